"""Labels of ours, or in any other form, as COCO files that other programs read.

    OUT.json                        the photographs to train on, texts in `attributes.text`
    OUT.validation.json             the photographs that are held out, if there are some
    OUT.crops.csv                   plates that are pictures of their own, img_id and text: COCO has no place for them
    OUT.validation_crops.csv        those that are held out

A photograph without a plate is an image without an annotation, a plate without a text an annotation without attributes.
`file_name` is the path below the folder that holds all photographs; boxes are of the photograph as it is seen, after
EXIF rotation, and so are width and height.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import as_cell, csv_lines, name_as_cell, whole_file
from lpr_e2e.common.images import read_size
from lpr_e2e.common.terminal import many
from lpr_e2e.data.importing import CROP_COLUMNS, Counts
from lpr_e2e.data.labels import Labelled, LabelledCrop, LabelledPhotograph
from lpr_e2e.data.problems import Problem, problem_lines

CATEGORY = "license_plate"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: the files.
        pictures, crops: the folders below which the names of photographs and crops are; None where there are none.
        counts: how much.
        problems: every row that could not be used or was changed.
    """

    files: list[Path]
    pictures: Path | None
    crops: Path | None
    counts: Counts
    problems: list[Problem]

    def summary(self) -> str:
        """A few lines for people."""
        lines = [f"{', '.join(map(str, self.files))}: {self.counts}."]
        if self.pictures is not None:
            lines.append(f"Names of photographs are below {self.pictures}.")
        if self.crops is not None:
            lines.append(f"Names of crops are below {self.crops}.")
        lost = [one for one in self.problems if not one.harmless]
        if lost:
            lines.append(f"{many(len(lost), 'row')} not used, or not as written:")
            lines += problem_lines(lost, "`check`")
        return "\n".join(lines)


def export_labels(output: Path, labelled: Labelled) -> Exported:
    """Write labels as COCO files, see above; each appears as a whole or not at all.

    Args:
        output: the file for the photographs to train on, ending in `.json`; its folder exists.
        labelled: the photographs and crops, from `lpr_e2e.data.resolving.resolve`.

    Raises:
        UserError: the name has another ending, a file is there already, or there are no photographs.
        PictureError: a picture cannot be read any more.
        OSError: a file cannot be written.
    """
    if output.suffix.lower() != ".json":
        raise UserError(f"{output}: expected a name that ends in .json")
    if not labelled.photographs:
        first = f"; first of {len(labelled.problems)} problems: {labelled.problems[0]}" if labelled.problems else ""
        raise UserError(f"{output}: no photographs to write{first}")
    stem = output.with_suffix("")
    pictures, crops = (_common([one.path for one in ones]) for ones in (labelled.photographs, labelled.crops))
    contents: dict[Path, str] = {}
    for held, suffix in ((False, ""), (True, ".validation")):
        photographs = [one for one in labelled.photographs if one.held == held]
        if photographs or not held:
            contents[stem.with_name(f"{stem.name}{suffix}.json")] = _coco(photographs, pictures)
        rows = [one for one in labelled.crops if one.held == held]
        if rows:
            contents[stem.with_name(f"{stem.name}{suffix}{'_' if held else '.'}crops.csv")] = _table(rows, crops)
    for path in contents:
        if path.exists():
            raise UserError(f"{path}: is there already; expected a new name")
    for path, content in contents.items():
        with whole_file(path) as part:
            part.write_text(content, encoding="utf-8", newline="")
    return Exported(list(contents), pictures, crops, Counts.of(labelled), labelled.problems)


def _coco(photographs: Sequence[LabelledPhotograph], root: Path | None) -> str:
    """A COCO file of some photographs."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, one in enumerate(tqdm(photographs, desc="sizes", unit="photograph", disable=None), start=1):
        size = read_size(one.path)
        images.append({"id": number, "file_name": _below(one.path, root), "width": size.width, "height": size.height})
        for plate in one.plates:
            assert plate.box_px is not None
            ymin, xmin, ymax, xmax = plate.box_px
            box = [round(value, 4) for value in (xmin, ymin, xmax - xmin, ymax - ymin)]
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "bbox": box}
            entry |= {"area": round(box[2] * box[3], 4), "iscrowd": 0}
            annotations.append(entry | ({"attributes": {"text": plate.text}} if plate.text else {}))
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": CATEGORY}]}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _table(crops: Sequence[LabelledCrop], root: Path | None) -> str:
    """A CSV of some crops."""
    return csv_lines(
        [CROP_COLUMNS, *((name_as_cell(_below(one.path, root)), as_cell(one.row.text or "")) for one in crops)]
    )


def _common(paths: Sequence[Path]) -> Path | None:
    """The folder that holds all of some files."""
    return Path(os.path.commonpath([os.path.abspath(path.parent) for path in paths])) if paths else None


def _below(path: Path, root: Path | None) -> str:
    """A path below a folder, with `/`."""
    return Path(os.path.abspath(path)).relative_to(root or "/").as_posix()
