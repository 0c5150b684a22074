"""A data folder of ours, written from labels as people have them.

    photographs.csv, photographs/    every photograph with the box of its largest plate
    crops.csv, crops/                every plate with a text, cut out of its photograph; and crops that were given
    validation.csv                   the photographs to hold out, with box and text
    problems.csv                     every row that could not be used or was mended: file, row, value, kind, message

See `lpr_e2e.data.tables` for the CSV files. Pictures are copied as they are. Texts reach a photograph through the crop
that is cut out of it. A training takes one plate of a photograph so far; of the others only the crops are kept, and of
those on photographs to hold out nothing, because nothing of such a photograph may be trained on.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from tqdm import tqdm

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_folder
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.terminal import many
from lpr_e2e.data.fingerprints import clip_box
from lpr_e2e.data.labels import Labels
from lpr_e2e.data.problems import Problem, problem_lines
from lpr_e2e.data.tables import BOX_COLUMNS, COLUMNS, Row, Table, distinct_rows, write_table

# Decimals of a box in pixels: far below what anyone can draw.
_DECIMALS = 2


@dataclass(frozen=True)
class Imported:
    """What was written.

    Attributes:
        folder: where to.
        photographs, held_out: how many photographs there are to train on and to hold out.
        crops: how many crops with a text there are.
        further: how many plates were left out, by their photograph, because it has a larger one.
        without_plate: how many photographs were left out because nothing is on them.
        problems: every row that could not be used or was mended, by file and row.
    """

    folder: Path
    photographs: int
    held_out: int
    crops: int
    further: dict[str, int]
    without_plate: int
    problems: list[Problem]

    def summary(self) -> str:
        """A few lines for people."""
        lines = [
            f"{self.folder}: {many(self.photographs, 'photograph')} to train on, {self.held_out} to hold out, and "
            f"{many(self.crops, 'crop')} with a text."
        ]
        if self.further:
            names = ", ".join([*list(self.further)[:3], *(["..."] if len(self.further) > 3 else [])])
            lines.append(
                f"{many(sum(self.further.values()), 'further plate')} on {many(len(self.further), 'photograph')} left "
                f"out ({names}): a training takes one plate of a photograph, the largest. Those with a text are among "
                "the crops, unless their photograph is held out."
            )
        if self.without_plate:
            lines.append(
                f"{many(self.without_plate, 'photograph')} without a plate left out: no training takes them yet."
            )
        if not self.crops:
            lines.append("No plate has a text, so there are no crops: a training needs some in crops.csv.")
        if self.problems:
            lines.append(f"{many(len(self.problems), 'row')} not used, or mended:")
            lines += problem_lines(self.problems, "problems.csv")
        return "\n".join(lines)


def import_labels(
    folder: Path,
    labels: Labels,
    validation: Labels | None = None,
    crops: Table | None = None,
    pictures: Sequence[Path] = (),
) -> Imported:
    """Write a data folder from labels; it appears as a whole or not at all.

    Args:
        folder: a new or empty folder.
        labels: the plates to train on.
        validation: the plates to hold out. A photograph that both name is held out.
        crops: further crops, columns `img_id` and `text`.
        pictures: folders to look for the pictures in; if none, those of the label files and the folders in them. Of
            these the one is taken that has most of a label file's pictures.

    Raises:
        UserError: the folder is not empty, no folder has any of the pictures, or nothing can be used.
        OSError: something cannot be read or written.
    """
    sources = [labels] if validation is None else [validation, labels]  # Held out first: they take their photographs.
    folders = [_picture_folder(source.path, list(source.photographs), pictures) for source in sources]
    with whole_folder(folder) as part:
        writer = _Writer(part)
        if crops is not None:
            writer.add_crops(crops, pictures)
        for source, place in zip(sources, folders, strict=True):
            writer.add_labels(source, place, held=source is validation)
        imported = writer.imported(folder)
        if not imported.photographs or (validation and not imported.held_out):
            first = f"; first of {len(imported.problems)} problems: {imported.problems[0]}" if imported.problems else ""
            raise UserError(
                f"{many(imported.photographs, 'usable photograph')} to train on, {imported.held_out} to hold out; "
                f"expected some{first}"
            )
        writer.write_tables(imported.problems)
    return imported


class _Writer:
    """Writes pictures as they come, and the tables at the end."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._rows: dict[str, list[Row]] = {"detection": [], "recognition": [], "validation": []}
        self._problems: list[Problem] = []
        self._further: dict[str, int] = {}
        self._without_plate = 0
        self._taken: dict[tuple[str, str], Path | None] = {}  # By kind of picture and img_id: what it was copied from.
        self._held: set[Path] = set()

    def add_labels(self, labels: Labels, folder: Path, held: bool) -> None:
        """Add the photographs of a label file and the crops of their plates; a bar shows how far it is."""
        self._problems += labels.problems
        self._without_plate += len(labels.without_plate)
        message = "left out: no training takes a photograph without a plate yet"
        self._name(labels.without_plate, "no plate", message)
        if held:
            empty = {row.img_id for row in labels.without_plate}
            self._held |= {folder / name for name in labels.photographs if name not in empty}
        plates = defaultdict(list)
        for plate in labels.plates:
            plates[plate.row.img_id].append(plate)
        for name, found in tqdm(plates.items(), desc=labels.path.name, unit="photograph"):
            rows = [plate.row for plate in found]
            if not held and folder / name in self._held:
                message = "the photograph is held out; skipped, name it in one of the two label files only"
                self._name(rows, "held out too", message)
                continue
            photograph = self._read(folder / name, rows)
            if photograph is None:
                continue
            height, width = photograph.shape[:2]
            said = labels.sizes.get(name, (height, width))
            if said != (height, width):
                message = (
                    f"labelled as {said[1]} x {said[0]} px, the picture has {width} x {height}; skipped, label it anew"
                )
                self._name(rows, "picture of another size", message)
                continue
            self._add_photograph(folder / name, photograph, [plate.on(height, width) for plate in found], held)

    def add_crops(self, table: Table, pictures: Sequence[Path]) -> None:
        """Add crops that are given as pictures of their own."""
        rows, problems = distinct_rows(table, "recognition")
        self._problems += problems
        folder = _picture_folder(table.path, [row.img_id for row in rows], pictures)
        for row in tqdm(rows, desc=table.path.name, unit="crop"):
            if self._read(folder / row.img_id, [row]) is not None:
                self._copy(folder / row.img_id, "crops", row.img_id)
                self._rows["recognition"].append(row)

    def imported(self, folder: Path) -> Imported:
        """What there is so far; `folder` is where it will be."""
        held_out = len(self._rows["validation"])
        return Imported(
            folder,
            len(self._rows["detection"]) - held_out,
            held_out,
            len(self._rows["recognition"]),
            self._further,
            self._without_plate,
            sorted(self._problems, key=lambda one: (one.file, one.row or 0)),
        )

    def write_tables(self, problems: Sequence[Problem]) -> None:
        """Write the CSV files."""
        for kind, name in (("detection", "photographs"), ("recognition", "crops"), ("validation", "validation")):
            rows = self._rows[kind]
            if rows or kind != "validation":
                (self._folder / ("crops" if kind == "recognition" else "photographs")).mkdir(exist_ok=True)
                write_table(self._folder / f"{name}.csv", COLUMNS[kind], [_cells(row, kind) for row in rows])
        if problems:
            lines = [(one.file, str(one.row or ""), one.value, one.kind, one.message) for one in problems]
            write_table(self._folder / "problems.csv", ("file", "row", "value", "kind", "message"), lines)

    def _add_photograph(self, path: Path, photograph: np.ndarray, written: list[Row], held: bool) -> None:
        """Add a photograph with the largest of its plates, and the crops of those that have a text."""
        rows = []
        for row in self._one_a_box(written):
            box_px = tuple(round(value, _DECIMALS) for value in row.box_px)
            clipped, problem = clip_box(replace(row, box_px=box_px), *photograph.shape[:2])
            self._problems += filter(None, [problem])
            rows += filter(None, [clipped])
        if held and not any(row.text for row in rows):
            message = "expected a text on a photograph to hold out; skipped, fill it in"
            self._name(rows, "held out without a text", message)
            return
        if not rows:
            return
        # What is held out is scored by its text.
        largest = max(rows, key=lambda row: (held and row.text is not None, _area(row)))
        further = [row for row in rows if row is not largest]
        if further:
            self._further[largest.img_id] = len(further)
            used = "nothing, as the photograph is held out" if held else "only the crop, if it has a text"
            message = f"expected one plate of a photograph; that of row {largest.number} is used, of this one {used}"
            self._name(further, "further plate", message)
        row = replace(largest, img_id=self._copy(path, "photographs", largest.img_id))
        for kind in ("detection", "validation") if held else ("detection",):
            self._rows[kind].append(row)
        for row in [largest] if held else rows:
            if row.text is not None:
                self._cut(photograph, row)

    def _one_a_box(self, rows: list[Row]) -> Iterator[Row]:
        """One row for each box; if several texts are written for it, it has none."""
        boxes: dict[tuple, list[Row]] = defaultdict(list)
        for row in rows:
            boxes[row.box_px].append(row)
        for first, *others in boxes.values():
            texts = {row.text for row in (first, *others) if row.text is not None}
            if len(texts) > 1:
                message = f"{' and '.join(sorted(texts))} are written for one box, which is used without; correct one"
                self._name([first, *others], "contradictory texts", message)
            else:
                self._name(others, "duplicate row", f"the box of row {first.number}; skipped, remove it")
            yield replace(first, text=texts.pop() if len(texts) == 1 else None)

    def _cut(self, photograph: np.ndarray, row: Row) -> None:
        """Write a plate as a crop: lossless, so that it is found again in its photograph pixel by pixel."""
        (top, left), (bottom, right) = np.floor(row.box_px[:2]).astype(int), np.ceil(row.box_px[2:]).astype(int)
        stem = PurePosixPath(row.img_id).with_suffix("").as_posix()
        img_id = next(name for number in count(1) if ("crops", name := f"{stem}_{number}.png") not in self._taken)
        self._taken["crops", img_id] = None
        target = self._folder / "crops" / img_id
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(photograph[top:bottom, left:right])).save(target)
        self._rows["recognition"].append(replace(row, img_id=img_id))

    def _read(self, path: Path, rows: Sequence[Row]) -> np.ndarray | None:
        """The picture of some rows, uint8 RGB `(h, w, 3)`; None if it cannot be used, which is named then."""
        try:
            return read_picture(path)
        except PictureError as error:
            kind = "missing picture" if str(error) == "missing file" else "unusable picture"
            self._name(rows, kind, f"{path}: {error}; skipped, replace the picture, or remove the row")
            return None

    def _copy(self, path: Path, kind: str, img_id: str) -> str:
        """Copy a picture, and return its img_id: another one if a picture from elsewhere has this one."""
        while self._taken.setdefault((kind, img_id), path) != path:
            img_id = f"other/{img_id}"
        target = self._folder / kind / img_id
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        return img_id

    def _name(self, rows: Sequence[Row], kind: str, message: str) -> None:
        """Name rows as problems of this kind."""
        for row in rows:
            said = [row.img_id, *([] if row.box_px is None else [f"{value:g}" for value in row.box_px]), row.text or ""]
            self._problems.append(row.problem(",".join(filter(None, said)), kind, message))


def _picture_folder(labels: Path, img_ids: Sequence[str], given: Sequence[Path]) -> Path:
    """The folder that has most of the pictures.

    Raises:
        UserError: none has any of them.
    """
    beside = [labels.parent, *sorted(path for path in labels.parent.iterdir() if path.is_dir())]
    folders = list(given) or beside
    best = max(folders, key=lambda folder: sum(os.path.isfile(folder / img_id) for img_id in img_ids))
    if img_ids and not any(os.path.isfile(best / img_id) for img_id in img_ids):
        looked = ", ".join(map(str, given)) or f"{labels.parent} and the folders in it"
        raise UserError(
            f"{labels}: none of its {len(img_ids)} pictures, {img_ids[0]} and so on, is in {looked}; say where "
            "they are with --pictures"
        )
    return best


def _cells(row: Row, kind: str) -> list[str]:
    """A row as it stands in a table of this kind."""
    box = {} if row.box_px is None else dict(zip(BOX_COLUMNS, (f"{value:.12g}" for value in row.box_px), strict=True))
    values = {"img_id": row.img_id, "text": row.text, **box}
    return [values[name] for name in COLUMNS[kind]]


def _area(row: Row) -> float:
    ymin, xmin, ymax, xmax = row.box_px
    return (ymax - ymin) * (xmax - xmin)
