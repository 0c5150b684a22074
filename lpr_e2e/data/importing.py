"""A data folder of ours, written from labels in whatever form people have them.

    photographs.csv, photographs/    img_id,ymin,xmin,ymax,xmax,text: a row a plate; no text: unknown
    validation.csv                   the same for the photographs that are held out, which lie in photographs/, too
    no_plates.csv                    img_id,box: photographs without a plate; the box is empty
    validation_no_plates.csv         the same for those that are held out
    crops.csv, crops/                img_id,text: plates that were given as pictures of their own
    validation_crops.csv             the same for those that are held out
    problems.csv                     every row that could not be used or was changed: file, row, value, kind, message

Boxes are of the photograph as it is seen, after EXIF rotation. Pictures are copied as they are. A table without a row
is not written.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import as_cell, name_as_cell, whole_folder
from lpr_e2e.common.photographs import note_of_drawn
from lpr_e2e.common.terminal import many
from lpr_e2e.data.labels import Labelled, LabelledCrop, LabelledPhotograph
from lpr_e2e.data.problems import COLUMNS, Problem, problem_lines
from lpr_e2e.data.tables import BOX_COLUMNS, Row, write_table

PHOTOGRAPH_COLUMNS = ("img_id", *BOX_COLUMNS, "text")
# Apart from the plates: who reads those expects four numbers in each row.
NO_PLATE_COLUMNS = ("img_id", "box")
CROP_COLUMNS = ("img_id", "text")
# Decimals of a box in pixels: far below what anyone can draw.
_DECIMALS = 2


@dataclass(frozen=True)
class Counts:
    """How much labels hold: photographs and crops to train on and held out, plates, and how many have a text.

    Of `incomplete` photographs one plate or more has a label that cannot be used.
    """

    photographs: int
    held_photographs: int
    plates: int
    texts: int
    without_plate: int
    crops: int
    held_crops: int
    incomplete: int

    @staticmethod
    def of(labelled: Labelled) -> Counts:
        """The counts of labels."""
        plates = [plate for one in labelled.photographs for plate in one.plates]
        held = sum(one.held for one in labelled.photographs)
        held_crops = sum(one.held for one in labelled.crops)
        return Counts(
            len(labelled.photographs) - held,
            held,
            len(plates),
            sum(plate.text is not None for plate in plates),
            sum(not one.plates for one in labelled.photographs),
            len(labelled.crops) - held_crops,
            held_crops,
            sum(not one.complete for one in labelled.photographs),
        )

    def __str__(self) -> str:
        empty = f", {many(self.without_plate, 'photograph')} without a plate" if self.without_plate else ""
        return (
            f"{many(self.photographs, 'photograph')} to train on and {self.held_photographs} held out, with "
            f"{many(self.plates, 'plate')}, {self.texts} of them with a text{empty}; {many(self.crops, 'crop')} to "
            f"train on and {self.held_crops} held out"
        )


@dataclass(frozen=True)
class Imported:
    """What was written.

    Attributes:
        folder: where to.
        counts: how much.
        problems: every row that could not be used or was changed, by file and row.
        notes: how the labels were understood.
    """

    folder: Path
    counts: Counts
    problems: list[Problem]
    notes: list[str]

    def summary(self) -> str:
        """A few lines for people."""
        lines = [f"{self.folder}: {self.counts}.", *self.notes]
        if not self.counts.texts and not self.counts.crops:
            lines.append("No plate has a text: a training needs some, on photographs or as crops.")
        if self.counts.incomplete:
            lines.append(
                f"{many(self.counts.incomplete, 'photograph')} with a plate whose label cannot be used: correct it, or "
                "train with --labels partial, so that the plate is not taught as background."
            )
        lost = [one for one in self.problems if not one.harmless]
        if lost:
            lines.append(f"{many(len(lost), 'row')} not used, or not as written:")
            lines += problem_lines(lost, "problems.csv")
        if len(lost) < len(self.problems):
            lines.append(
                f"problems.csv also names {many(len(self.problems) - len(lost), 'row')} changed in spelling alone."
            )
        return "\n".join(lines)


def import_labels(folder: Path, labelled: Labelled, source: Path) -> Imported:
    """Write a data folder from labels; it appears as a whole or not at all. A bar shows how far it is.

    Args:
        folder: a new or empty folder.
        labelled: the photographs and crops, from `lpr_e2e.data.resolving.resolve`.
        source: the folder or label file that they are from.

    Raises:
        UserError: the folder is not empty, or nothing can be used to train on, or nothing of what is to be held out.
        OSError: something cannot be read or written.
    """
    problems = sorted(labelled.problems, key=lambda one: (one.file, one.row or 0))
    counts = Counts.of(labelled)
    lacks_held = labelled.has_validation and not counts.held_photographs and not counts.held_crops
    if lacks_held or not (counts.photographs or counts.crops):
        first = f"; first of {len(problems)} problems: {problems[0]}" if problems else f"; {' '.join(labelled.notes)}"
        raise UserError(f"{counts}; expected some to train on, and some of those that are to be held out{first}")
    with whole_folder(folder) as part:
        write_ours(part, labelled, source)
        if problems:
            write_table(part / "problems.csv", COLUMNS, [one.cells() for one in problems])
    return Imported(folder, counts, problems, labelled.notes)


def write_ours(
    folder: Path, labelled: Labelled, source: Path, copy_crop: Callable[[Path, Path], object] = shutil.copyfile
) -> None:
    """Write photographs, crops and their tables into a folder that is there, and that they are drawn if they are.

    Args:
        folder: an empty folder.
        labelled: what to write.
        source: the folder or label file that it is from.
        copy_crop: copies a crop from its file to another one.

    Raises:
        OSError: something cannot be read or written.
    """
    names = _copied(folder / "photographs", labelled.photographs, shutil.copyfile)
    names += _copied(folder / "crops", labelled.crops, copy_crop)
    _write_tables(folder, labelled, names)
    note = note_of_drawn(source)
    if note.exists():
        shutil.copyfile(note, folder / note.name)


def _copied(
    folder: Path,
    pictures: Sequence[LabelledPhotograph | LabelledCrop],
    copy: Callable[[Path, Path], object],
) -> list[str]:
    """Copy pictures into a folder; returns the img_id of each, which is its name in the folder."""
    names: dict[str, str] = {}  # By what some systems take for the same name: the name.
    folders: set[str] = set()
    for picture in tqdm(pictures, desc=folder.name, unit="picture", disable=None):
        name = _file_name(picture)
        while (alike := _alike(name)) in names or alike in folders or not names.keys().isdisjoint(_above(alike)):
            name = f"other/{name}"
        names[alike] = name
        folders.update(_above(alike))
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(picture.path, target)
    return list(names.values())


def _alike(name: str) -> str:
    """The same for names that a system may take for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _above(name: str) -> list[str]:
    """The folders on the way to a file."""
    return [str(one) for one in PurePosixPath(name).parents][:-1]


def _file_name(picture: LabelledPhotograph | LabelledCrop) -> str:
    """The name of a picture in its folder: its img_id, with the ending of its file."""
    img_id = picture.img_id if isinstance(picture, LabelledPhotograph) else picture.row.img_id
    parts = [one for one in PurePosixPath(img_id.replace("\\", "/")).parts if one not in ("/", "..", ".")]
    name = "/".join(one.rstrip(":") for one in parts) or picture.path.name
    return name if name.lower().endswith(picture.path.suffix.lower()) else name + picture.path.suffix


def _write_tables(folder: Path, labelled: Labelled, names: Sequence[str]) -> None:
    """Write the CSV files; `names` are the img_ids of all photographs and then of all crops."""
    photographs = list(zip(labelled.photographs, names, strict=False))
    crops = list(zip(labelled.crops, names[len(photographs) :], strict=True))
    for held, prefix in ((False, ""), (True, "validation")):
        rows = [line for one, name in photographs if one.held == held for line in _lines(one, name)]
        if rows:
            write_table(folder / f"{prefix or 'photographs'}.csv", PHOTOGRAPH_COLUMNS, rows)
        empty = [(name_as_cell(name), "") for one, name in photographs if one.held == held and not one.plates]
        if empty:
            write_table(folder / f"{prefix + '_' if prefix else ''}no_plates.csv", NO_PLATE_COLUMNS, empty)
        texts = [(name_as_cell(name), as_cell(one.row.text or "")) for one, name in crops if one.held == held]
        if texts:
            write_table(folder / f"{prefix + '_' if prefix else ''}crops.csv", CROP_COLUMNS, texts)


def _lines(photograph: LabelledPhotograph, name: str) -> Iterator[tuple[str, ...]]:
    """The rows of a photograph: one for each plate."""
    for plate in photograph.plates:
        yield (name_as_cell(name), *_cells(plate), as_cell(plate.text or ""))


def _cells(plate: Row) -> tuple[str, ...]:
    """The box of a plate as it is written."""
    assert plate.box_px is not None
    return tuple(f"{round(value, _DECIMALS):.12g}" for value in plate.box_px)
