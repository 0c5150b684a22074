"""What photographs really show, and what an earlier `predictions.csv` says of them: the two sides of every scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import from_cell
from lpr_e2e.common.terminal import many
from lpr_e2e.data.box_forms import corners_px
from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.labels import BOX_ARRANGEMENTS, Labels
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.resolving import resolve
from lpr_e2e.data.tables import BOX_COLUMNS, EXTRA, DatasetError, Row, Table, numbers, read_table
from lpr_e2e.data.texts import RARE, normalise_texts
from lpr_e2e.prediction.reading import COLUMNS, Reading

Box = tuple[float, float, float, float]


class KnownPlate(Protocol):
    """A labelled plate: its box, yxyx in photograph pixels, and its text; None for what is unknown."""

    @property
    def box_px(self) -> Box | None: ...

    @property
    def text(self) -> str | None: ...


class Known(Protocol):
    """What a scoring needs to know about a photograph: `Truth` has it, and so has `lpr_e2e.data.samples.Photograph`."""

    @property
    def img_id(self) -> str: ...

    @property
    def plates(self) -> Sequence[KnownPlate]: ...

    @property
    def complete(self) -> bool: ...


@dataclass(frozen=True)
class TruePlate:
    """A plate that a photograph shows.

    Attributes:
        box_px: its box, yxyx in photograph pixels; None if it is somewhere on the photograph.
        text: what it says; None if unknown.
    """

    box_px: Box | None = None
    text: str | None = None


@dataclass(frozen=True)
class Truth:
    """What a photograph really shows.

    Attributes:
        img_id: the photograph, named as its readings name it.
        plates: its plates; none, if it is known to show none.
        complete: whether no further plate is on it, so that a reading elsewhere is a false one.
    """

    img_id: str
    plates: tuple[TruePlate, ...] = ()
    complete: bool = True


def read_texts(path: Path | str) -> set[str]:
    """The texts in the column `text` of a CSV.

    Raises:
        UserError: the file cannot be read, or has no such column.
    """
    table = read_table(Path(path))
    if "text" not in table.columns:
        raise UserError(f"{path}: expected a column text, found {','.join(table.columns) or 'none'}")
    return {values["text"] for _, values in table.records if values["text"]}


def read_truth(path: Path | str, notes: list[str] | None = None) -> list[Truth]:
    """Read what photographs show: a CSV, or labels in any form that `lpr_e2e.data.forms` reads.

    The CSV has the column `img_id`, and `text` or boxes `ymin,xmin,ymax,xmax` (pixels) or both; one row a plate. A text
    without a box is somewhere on the photograph; a box without a text is a plate of unknown text. A row without both
    says that the photograph shows no plate; in a table of texts alone, that nothing is known of it.

    Of other labels, those that are held out are taken; all of them, if none is. Texts are brought to the form in which
    a training learns them, see `lpr_e2e.data.texts`.

    Args:
        path: a file, or a folder with label files.
        notes: gets a sentence about everything that was changed or left aside.

    Raises:
        UserError: the labels cannot be read, a value is not as expected, or two rows contradict each other; says where.
    """
    path, notes = Path(path), [] if notes is None else notes
    is_table = path.suffix.lower() == ".csv" and not path.is_dir()
    table = read_table(path) if is_table else None
    if table is None or "img_id" not in table.columns:
        return _truth_of_labels(path, notes)
    return _truth_of_table(table, notes)


def _truth_of_labels(path: Path, notes: list[str]) -> list[Truth]:
    """The truth of labels in any form; with their pictures, if these are where the labels say, else as written."""
    found = read_labels(path)
    chosen = [one for one in found if one.held_out] or found
    chosen = [one for one in chosen if not one.holds_crops] or chosen
    if not any(one.holds_crops for one in chosen):
        try:
            return _with_pictures(path, chosen, notes)
        except DatasetError:  # The pictures are elsewhere.
            if not all(one.box_form in BOX_ARRANGEMENTS or not one.has_boxes for one in chosen):
                raise
    return _as_written(path, chosen, notes)


def _with_pictures(path: Path, chosen: Sequence[Labels], notes: list[str]) -> list[Truth]:
    labelled = resolve(chosen)
    notes += [*_summary(path, labelled.problems), *labelled.notes]
    return [
        Truth(one.img_id, tuple(TruePlate(row.box_px, row.text) for row in one.plates), one.complete)
        for one in labelled.photographs
    ]


def _as_written(path: Path, chosen: Sequence[Labels], notes: list[str]) -> list[Truth]:
    rows = iter(_normalised([plate.row for labels in chosen for plate in labels.plates], notes))
    plates: dict[str, dict[TruePlate, None]] = {}
    incomplete: set[str] = set()
    for labels in chosen:
        notes += [*_summary(path, labels.problems), *labels.notes]
        incomplete |= labels.incomplete
        for label in labels.plates:
            row = next(rows)
            shown = plates.setdefault(row.img_id, {})
            if label.box is not None:
                (corners,) = corners_px(np.array([label.box]), labels.box_form or "", np.ones((1, 2))).tolist()
                shown[TruePlate(tuple(corners), row.text)] = None
            elif row.text is not None:
                shown[TruePlate(None, row.text)] = None
            elif labels.holds_crops:  # A text is missing, which says nothing of the picture.
                incomplete.add(row.img_id)
    return [Truth(img_id, tuple(shown), img_id not in incomplete) for img_id, shown in plates.items()]


def _summary(path: Path, problems: Sequence[Problem]) -> list[str]:
    """A sentence about problems of labels, if there are any; what is hard to learn is none for a truth."""
    problems = [one for one in problems if one.kind != RARE]
    return [f"{path}: {many(len(problems), 'problem')} with its labels; the first: {problems[0]}"] if problems else []


def _normalised(rows: Sequence[Row], notes: list[str]) -> list[Row]:
    """The rows with their texts in one form."""
    normalised = normalise_texts(rows)
    changed = [(row.text, now.text) for row, now in zip(rows, normalised.rows, strict=True) if row.text != now.text]
    if changed:
        first, now = changed[0]
        notes.append(f"{many(len(changed), 'text')} brought to another form, such as {first!r} to {now!r}")
    return normalised.rows


def _truth_of_table(table: Table, notes: list[str]) -> list[Truth]:
    path, columns = table.path, set(table.columns)
    notes += table.notes
    if set(COLUMNS) <= columns:
        raise UserError(
            f"{path}: is a predictions.csv, what a model read; expected what the photographs really show: "
            f"img_id,{','.join(BOX_COLUMNS)},text"
        )
    has_boxes = set(BOX_COLUMNS) <= columns
    if not ("text" in columns or has_boxes):
        expected = f"img_id,text and optionally {','.join(BOX_COLUMNS)}"
        raise UserError(f"{path}: expected the columns {expected}, found {','.join(table.columns) or 'none'}")
    written = [
        Row(path.name, number, _img_id(table, number, values), _box(table, number, values), values.get("text") or None)
        for number, values in table.records
    ]
    rows: dict[str, dict[TruePlate | None, int]] = {}
    for row in _normalised(written, notes):
        box_px, number = row.box_px, row.number
        if box_px is not None and (box_px[0] >= box_px[2] or box_px[1] >= box_px[3]):
            shown = ",".join(f"{value:g}" for value in box_px)
            raise UserError(f"{path}, line {number}: box {shown}: expected ymin < ymax and xmin < xmax; correct it")
        plate = None if box_px is None and row.text is None else TruePlate(box_px, row.text)
        earlier = rows.setdefault(row.img_id, {})
        for other, line in earlier.items():
            fault = _contradiction(plate, other)
            if fault is not None:
                raise UserError(
                    f"{path}, line {number}: img_id {row.img_id!r}: {fault}, as line {line} says; correct one"
                )
        earlier[plate] = number
    return [_truth(img_id, plates, has_boxes) for img_id, plates in rows.items()]


def _contradiction(plate: TruePlate | None, other: TruePlate | None) -> str | None:
    """What is wrong with two rows of one photograph, if anything; None stands for a row without a plate."""
    if plate is None or other is None:
        return "expected one row if it shows no plate, and none such if it shows one"
    if plate == other:
        return "expected each plate only once, and it is the same"
    if plate.box_px is not None and plate.box_px == other.box_px:
        return f"expected one text for each box, and it is {other.text!r}"
    return None


def _truth(img_id: str, plates: dict[TruePlate | None, int], has_boxes: bool) -> Truth:
    known = tuple(plate for plate in plates if plate is not None)
    # A table of texts alone has no way to say that there is no plate.
    return Truth(img_id, known, complete=bool(known) or has_boxes)


def read_predictions(path: Path | str) -> dict[str, list[Reading]]:
    """The readings that an earlier `predictions.csv` holds, by img_id, in its order.

    They are without the probabilities of single characters, so they allow no log loss.

    Raises:
        UserError: the file cannot be read, a column is missing, or a value is none that this file holds; says where.
    """
    table = read_table(Path(path))
    if not set(COLUMNS) <= set(table.columns):
        found = ",".join(table.columns) or "none"
        raise UserError(f"{path}: expected a predictions.csv with the columns {','.join(COLUMNS)}, found {found}")
    readings: dict[str, list[Reading]] = {}
    for number, values in table.records:
        img_id = _img_id(table, number, values)
        written = [values[name] for name in ("confidence", "box_confidence")]
        certainties = numbers(written)
        if certainties is None or not all(0 <= value <= 1 for value in certainties):
            raise UserError(
                f"{path}, line {number}: confidence and box_confidence {written}: expected two numbers 0 to 1"
            )
        box_px = _box(table, number, values)
        reading = Reading(img_id, from_cell(values["text"]), certainties[0], box_px, certainties[1], values["status"])
        readings.setdefault(img_id, []).append(reading)
    return readings


def _img_id(table: Table, number: int, values: dict[str, str]) -> str:
    """The photograph that a row is about, and nothing behind the last column."""
    if not values["img_id"]:
        raise UserError(f"{table.path}, line {number}: img_id '': expected a photograph's name")
    if values[EXTRA]:
        raise UserError(
            f"{table.path}, line {number}: {values[EXTRA]!r} is too much: expected {','.join(table.columns)}"
        )
    # `./` stands in predictions.csv before a name that a spreadsheet would take for a formula.
    return values["img_id"].removeprefix("./")


def _box(table: Table, number: int, values: dict[str, str]) -> Box | None:
    """The box of a row, or None if it is empty."""
    written = [values.get(column, "") for column in BOX_COLUMNS]
    if not any(written):
        return None
    box_px = numbers(written)
    if box_px is None:
        raise UserError(f"{table.path}, line {number}: box {written}: expected four numbers {','.join(BOX_COLUMNS)}")
    ymin, xmin, ymax, xmax = box_px
    return ymin, xmin, ymax, xmax
