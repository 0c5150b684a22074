"""A cleaned copy of a data set, in our own form: what training uses or holds out, without contradictions."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import refuse_filled, whole_folder
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.terminal import many
from lpr_e2e.data.check import Check
from lpr_e2e.data.importing import write_ours
from lpr_e2e.data.labels import Labelled, LabelledCrop, LabelledPhotograph
from lpr_e2e.data.lending import contradicting_twins
from lpr_e2e.data.split import same_plate_key

# Of crops that are written anew because red and blue were exchanged.
JPEG_QUALITY = 95


def write_fixed(check: Check, folder: str | PathLike) -> str:
    """Write a cleaned copy of the data set in our own form, see `lpr_e2e.data.importing`.

    It holds the photographs and crops that training uses or holds out, with clipped boxes and texts in one form, and
    nothing that contradicts itself: `lpr_e2e.data.dataset.load` finds no fault in it. What the labels hold out is in
    `validation.csv`; a drawn split is drawn anew. Pictures are copied as they are, except that red and blue of the
    crops are exchanged if they were (`check.colours`). Test photographs and other files are not copied.

    Returns:
        A sentence about what was written.

    Raises:
        UserError: the folder is not empty, or inside the data folder; or nothing is left to be written.
        OSError: something cannot be written.
    """
    folder = Path(folder)
    refuse_unsafe(folder, check.source.path)
    labelled, left_out = _cleaned(check)
    if not labelled.photographs:
        raise UserError(f"{check.source.path}: no photograph is left without a fault; expected some for a cleaned copy")
    exchanged = check.colours.exchanged
    with whole_folder(folder) as part:
        write_ours(part, labelled, check.source.path, _copy_exchanged if exchanged else shutil.copyfile)
    held = sum(one.held for one in labelled.photographs)
    said = (
        f"{folder}: a cleaned copy of {many(len(labelled.photographs), 'photograph')} and "
        f"{many(len(labelled.crops), 'crop')}, {held} of the photographs for validation."
    )
    if left_out:
        said += (
            f" Left out: {many(left_out, 'photograph')} with a plate whose label cannot be used, which would be taken "
            "for background."
        )
    if exchanged:
        said += f" Red and blue of the crops were exchanged, which wrote them anew (JPEG, quality {JPEG_QUALITY})."
    return said


def refuse_unsafe(target: Path, data: Path) -> None:
    """Make sure that a copy of `data` may be written to `target`.

    Raises:
        UserError: it is not empty, or inside the data.
    """
    refuse_filled(target)
    if target.resolve().is_relative_to(data.resolve()):
        raise UserError(f"{target}: is inside {data}; expected a folder outside of it for the cleaned copy")


def _cleaned(check: Check) -> tuple[Labelled, int]:
    """What the copy holds, and how many photographs are left out as not all of their plates are known."""
    compared, split = check.loaded.compared, check.loaded.split
    unclear_plates, unclear_crops = _unclear(check)
    photographs, left_out = [], 0
    for number, one in enumerate(compared.photographs):
        if not (one.complete and one.labelled.complete):
            left_out += 1
            continue
        rows = tuple(
            replace(row, text=None) if (number, index) in unclear_plates else row
            for index, row in enumerate(one.plates)
        )
        photographs.append(LabelledPhotograph(one.img_id, one.path, rows, one.labelled.held))
    without = split.unusable_crops | check.uncropped | unclear_crops
    crops: list[LabelledCrop] = [one.labelled for number, one in enumerate(compared.crops) if number not in without]
    return Labelled(photographs, crops), left_out


def _unclear(check: Check) -> tuple[set[tuple[int, int]], set[int]]:
    """Plates and crops whose texts contradict each other, by their numbers: nobody knows which of them is right."""
    compared, split = check.loaded.compared, check.loaded.split
    families: dict[tuple[int, int], set[int]] = defaultdict(set)
    for match in compared.matches:
        if match.crop not in split.unusable_crops:
            families[match.photograph, match.plate].add(match.crop)
    plates, crops = set(), set()
    for (photograph, plate), members in families.items():
        own = compared.photographs[photograph].plates[plate].text
        texts = [compared.crops[crop].row.text for crop in members] + [own]
        if len({same_plate_key(text) for text in texts if text}) > 1:
            plates.add((photograph, plate))
            crops |= members
    plates |= {(number, 0) for pair in contradicting_twins(compared) for number in pair}
    return plates, crops


def _copy_exchanged(source: Path, target: Path) -> None:
    """Copy a picture with red and blue exchanged."""
    picture = Image.fromarray(np.ascontiguousarray(read_picture(source)[..., ::-1]))
    if target.suffix.lower() == ".png":
        picture.save(target, "PNG")
    else:
        picture.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
