"""A cleaned copy of a data set: what training uses or holds out, and nothing that contradicts itself."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import refuse_filled, whole_folder
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.terminal import many
from lpr_e2e.data.check import Check
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.data.tables import BOX_COLUMNS, Row, Table, usable_rows, write_table

# Of crops that are written anew because red and blue were exchanged.
JPEG_QUALITY = 95


def write_fixed(check: Check, folder: str | PathLike) -> str:
    """Write a cleaned copy of the data set, with the same names of CSV files and folders.

    It holds the photographs and crops that training uses or holds out, with clipped boxes, and nothing that
    contradicts itself: `load_dataset` has no problem with it. Pictures are copied as they are, except that red and
    blue of the crops are exchanged if they were (`check.colours`). Test photographs are not copied.

    Returns:
        A sentence about what was written.

    Raises:
        UserError: the folder is not empty, or inside the data folder.
        OSError: something cannot be written.
    """
    folder = Path(folder)
    refuse_unsafe(folder, check.folder)
    photograph_ids = check.dataset.img_ids("photographs")
    crop_ids = check.dataset.img_ids("crops") - _unclear_crops(check)
    kept = {
        "detection": (check.compared.photographs, photograph_ids),
        "recognition": (check.compared.crops, crop_ids),
        "validation": (check.validation, photograph_ids),
    }
    exchanged = check.colours.exchanged
    counts = Counter()
    with whole_folder(folder) as part:
        for kind, table in check.tables.items():
            pictures, ids = kept[kind]
            clean = _clean_table(table, kind, [one.row for one in pictures if one.row.img_id in ids])
            counts[kind] = len(clean.records)
            rows = ([values[name] for name in table.columns] for _, values in clean.records)
            write_table(part / table.path.name, table.columns, rows)
            numbers = {number for number, _ in clean.records}
            picture_folder = part / check.folders["recognition" if kind == "recognition" else "detection"].name
            for one in pictures:
                if one.row.number in numbers:
                    _copy(one.path, picture_folder / one.row.img_id, kind == "recognition" and exchanged)
    said = (
        f"{folder}: a cleaned copy of {many(counts['detection'], 'photograph')} and "
        f"{many(counts['recognition'], 'crop')}, {counts['validation']} of the photographs for validation."
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


def _unclear_crops(check: Check) -> set[str]:
    """img_ids of the crops whose text contradicts that of another crop of the same photograph: any may be wrong."""
    rows = [one.row for one in check.compared.crops]
    numbers = {problem.row for problem in check.problems if problem.kind == "contradictory texts"}
    unclear = {crop for crop, row in enumerate(rows) if row.number in numbers}
    families: dict[int, set[int]] = defaultdict(set)
    for match in check.compared.matches:
        families[match.photograph].add(match.crop)
    for family in list(families.values()):
        texts = {same_plate_key(rows[crop].text) for crop in family}
        if len(texts) > 1 and not family.isdisjoint(unclear):
            unclear = unclear | family
    return {rows[crop].img_id for crop in unclear}


def _clean_table(table: Table, kind: str, rows: Iterable[Row]) -> Table:
    """The table with these rows only, and with their boxes; less rows that have become faulty without the others."""
    by_number = {row.number: row for row in rows}
    records = []
    for number, values in table.records:
        if number not in by_number:
            continue
        box_px = by_number[number].box_px
        if box_px is not None and box_px != tuple(float(values[name]) for name in BOX_COLUMNS):
            values = values | {name: f"{value:.12g}" for name, value in zip(BOX_COLUMNS, box_px, strict=True)}
        records.append((number, values))
    # Without the others a character may have become rare, and without that row another one.
    while True:
        clean = Table(table.path, table.columns, records)
        usable, problems = usable_rows(clean, kind)
        if not problems:
            return clean
        numbers = {row.number for row in usable}
        records = [record for record in records if record[0] in numbers]


def _copy(source: Path, target: Path, swap: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not swap:
        shutil.copyfile(source, target)
        return
    picture = Image.fromarray(np.ascontiguousarray(read_picture(source)[..., ::-1]))
    if target.suffix.lower() == ".png":
        picture.save(target, "PNG")
    else:
        picture.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
