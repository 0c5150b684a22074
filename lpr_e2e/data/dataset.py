"""The data set: photographs with boxes, crops with texts, what is held out, and everything that is wrong with them.

Photographs get a text where a crop was cut out of them. Nothing that shows a held-out plate is trained on with its
text. See `tables` for the CSV files, `picture_files` for reading pictures, `matching` for comparing them and
`holdout` for what is held out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.data.fingerprints import CropPrint, PhotographPrint, print_crops, print_photographs
from lpr_e2e.data.matching import Match, match_crops, near_twins
from lpr_e2e.data.split import HoldOut, draw_hold_out, hold_out_named, same_plate_key
from lpr_e2e.data.tables import (
    DatasetError,
    Problem,
    Row,
    Table,
    find_picture_folders,
    find_tables,
    read_table,
    usable_rows,
)

__all__ = ["Crop", "Dataset", "DatasetError", "Photograph", "PictureError", "Problem", "load_dataset", "read_picture"]

# A plate wider than this times its height is not on its side; two-line plates can be nearly square.
UPRIGHT_ASPECT = 1.1


@dataclass(frozen=True)
class Photograph:
    """A car photograph with one plate.

    Attributes:
        img_id: its name in the CSV.
        path: its file.
        box_px: the plate's box, yxyx, photograph pixels.
        text: the plate's text; None if unknown.
        turns: `numpy.rot90(photograph, turns)` puts the plate upright; None if unknown.
    """

    img_id: str
    path: Path
    box_px: tuple[float, float, float, float]
    text: str | None
    turns: int | None


@dataclass(frozen=True)
class Crop:
    """A plate crop with its text; `numpy.rot90(crop, turns)` puts it upright, None: unknown."""

    img_id: str
    path: Path
    text: str
    turns: int | None


@dataclass
class Dataset:
    """What to train on, what is held out, the faults found, and plain sentences about what was held out and why.

    `withheld` are the texts, as `lpr_e2e.data.split.same_plate_key` gives them, that are held out or excluded: no
    picture may be trained on with one of them.
    """

    photographs: list[Photograph]
    crops: list[Crop]
    validation_photographs: list[Photograph]
    validation_crops: list[Crop]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    withheld: frozenset[str] = frozenset()

    def summary(self) -> str:
        """A few lines for people: counts, notes, and the number of problems of each kind."""
        with_text = sum(photograph.text is not None for photograph in self.photographs)
        kinds = Counter(problem.kind for problem in self.problems)
        return "\n".join(
            [
                f"To train on: {len(self.photographs)} photographs, {with_text} of them with a text, and "
                f"{len(self.crops)} crops.",
                f"Held out: {len(self.validation_photographs)} photographs and {len(self.validation_crops)} crops.",
                *self.notes,
                *(f"Problems: {count} x {kind}." for kind, count in sorted(kinds.items())),
            ]
        )


def load_dataset(
    folder: str | PathLike, exclude: str | PathLike | None = None, seed: int = 0, validation_share: float = 0.15
) -> Dataset:
    """Read a data folder, check every row and picture, match crops to photographs, and hold out validation data.

    With a validation table, its photographs are held out, every crop with one of its texts, and every crop cut from
    one of its photographs or from a near twin of one. Without, about `validation_share` of the pictures is drawn
    with `seed`, such that no plate text and no near twin is on both sides.

    Args:
        folder: holds the CSV files and, in sub-folders, their pictures; see `tables`.
        exclude: a CSV file whose column `img_id` names crops to leave out, with every other crop of their texts.
        seed: of the drawn split.
        validation_share: of the drawn split, from 0 to below 1.

    Raises:
        DatasetError: a table, column or folder is missing, or nothing usable is left.
    """
    if not 0 <= validation_share < 1:
        raise DatasetError(f"validation share {validation_share}: expected a number from 0 to below 1")
    folder = Path(folder)
    tables = find_tables(folder)
    folders = find_picture_folders(folder, tables)
    named = tables.get("validation")
    problems: list[Problem] = []
    notes: list[str] = []

    rows = {kind: usable_rows(table, kind, problems) for kind, table in tables.items()}
    withheld: set[str] = set()
    if exclude is not None:
        rows["recognition"], withheld = _without_excluded(
            rows["recognition"], read_table(Path(exclude)), tables, problems, notes
        )
    # Named in the validation table, usable there or not: not to be trained on.
    held_ids = {values["img_id"] for _, values in named.records} if named else set()
    photograph_rows = [row for row in rows["detection"] if row.img_id not in held_ids]
    photographs = print_photographs(rows.get("validation", []) + photograph_rows, folders["detection"], problems)
    crops = print_crops(rows["recognition"], folders["recognition"], problems)
    if not len(photographs) or not len(crops):
        raise DatasetError(
            f"{folder}: {len(photographs)} usable photographs and {len(crops)} usable crops; expected some of both; "
            + (f"first of {len(problems)} problems: {problems[0]}" if problems else "the tables have no rows")
        )
    matches = match_crops(crops.prints, photographs.prints)
    twins = near_twins(np.stack([one.whole for one in photographs.prints]))
    notes.append(
        f"{len({match.crop for match in matches})} crops are cut out of "
        f"{len({match.photograph for match in matches})} photographs; "
        f"{len({number for pair in twins for number in pair})} photographs have a near twin."
    )
    crop_texts = [row.text for row in crops.rows]
    if named:
        held_photographs = {number for number, row in enumerate(photographs.rows) if row.img_id in held_ids}
        held_texts = {values["text"] for _, values in named.records}
        held = hold_out_named(held_photographs, held_texts, crop_texts, matches, twins)
        _note_named(named, held, crops.rows, problems, notes)
    else:
        crop_twins = near_twins(np.stack([one.plate for one in crops.prints]))
        held = draw_hold_out(len(photographs), crop_texts, matches, twins, crop_twins, seed, validation_share)
        notes.append(
            f"There is no validation table, so {len(held.photographs)} photographs and {len(held.crops)} crops were "
            f"drawn with seed {seed} and held out: no plate text and no near twin is on both sides."
        )
    texts = _texts_of_photographs(photographs.rows, crops.rows, matches, held, problems)
    photograph_turns, crop_turns = turns_by_matching(photographs.prints, crops.prints, matches)
    all_photographs = [
        Photograph(row.img_id, path, row.box_px, row.text or texts.get(number), photograph_turns[number])
        for number, (row, path) in enumerate(zip(photographs.rows, photographs.paths, strict=True))
    ]
    all_crops = [
        Crop(row.img_id, path, row.text, crop_turns[number])
        for number, (row, path) in enumerate(zip(crops.rows, crops.paths, strict=True))
    ]
    not_to_train_on = held.crops | held.unusable_crops
    withheld |= {same_plate_key(crop_texts[number]) for number in not_to_train_on}
    withheld |= {same_plate_key(values["text"]) for _, values in named.records} if named else set()
    dataset = Dataset(
        [photograph for number, photograph in enumerate(all_photographs) if number not in held.photographs],
        [crop for number, crop in enumerate(all_crops) if number not in not_to_train_on],
        [all_photographs[number] for number in sorted(held.photographs)],
        [all_crops[number] for number in sorted(held.crops)],
        problems,
        notes,
        frozenset(withheld),
    )
    if not dataset.photographs or not dataset.crops or (named and not dataset.validation_photographs):
        raise DatasetError(
            f"{folder}: {len(dataset.photographs)} photographs and {len(dataset.crops)} crops are left to train on, "
            f"{len(dataset.validation_photographs)} photographs to validate on; expected some of each; "
            + (f"first of {len(problems)} problems: {problems[0]}" if problems else " ".join(notes))
        )
    return dataset


def turns_by_matching(
    photographs: Sequence[PhotographPrint], crops: Sequence[CropPrint], matches: Sequence[Match]
) -> tuple[list[int | None], list[int | None]]:
    """Turns that put each photograph's plate and each crop upright.

    0 for a plate that is clearly wider than high; else as a matching picture that is wide tells; else None.
    """
    photograph_turns = [_turns_of_wide(photograph.shape) for photograph in photographs]
    crop_turns = [_turns_of_wide(crop.shape) for crop in crops]
    # The crop is rot90(photograph, match.turns), so what puts one upright tells what puts the other upright.
    for match in matches:
        if photograph_turns[match.photograph] is None and crop_turns[match.crop] is not None:
            photograph_turns[match.photograph] = (match.turns + crop_turns[match.crop]) % 4
    for match in matches:
        if crop_turns[match.crop] is None and photograph_turns[match.photograph] is not None:
            crop_turns[match.crop] = (photograph_turns[match.photograph] - match.turns) % 4
    return photograph_turns, crop_turns


def _turns_of_wide(shape: tuple[int, int]) -> int | None:
    return 0 if shape[1] > UPRIGHT_ASPECT * shape[0] else None


def _without_excluded(
    rows: list[Row], listed: Table, tables: dict[str, Table], problems: list[Problem], notes: list[str]
) -> tuple[list[Row], set[str]]:
    """The rows of the recognition table whose plate is on none of the crops that the exclusion list names, and the
    keys of the texts left out."""
    if "img_id" not in listed.columns:
        raise DatasetError(f"{listed.path}: expected a column img_id, found {', '.join(listed.columns) or 'none'}")
    recognition = tables["recognition"]
    known = {values["img_id"] for _, values in recognition.records}
    for number, values in listed.records:
        if values["img_id"] not in known:
            message = f"expected an img_id of {recognition.path.name}; nothing is left out for it, correct it"
            problems.append(Problem(listed.path.name, number, values["img_id"], "unknown img_id", message))
    excluded = {values["img_id"] for _, values in listed.records}
    keys = {same_plate_key(values["text"]) for _, values in recognition.records if values["img_id"] in excluded}
    by_text = [row for row in rows if row.img_id not in excluded and same_plate_key(row.text) in keys]
    for row in by_text:
        message = f"{row.img_id} has the text of a crop that {listed.path.name} leaves out; left out too, list it there"
        problems.append(row.problem(row.text, "excluded text", message))
    kept = [row for row in rows if row.img_id not in excluded and same_plate_key(row.text) not in keys]
    left_out = len(rows) - len(kept) - len(by_text)
    notes.append(
        f"{listed.path.name} leaves out {left_out} crops, and {len(by_text)} more that have one of their texts."
    )
    return kept, keys


def _note_named(
    named: Table, held: HoldOut, crop_rows: Sequence[Row], problems: list[Problem], notes: list[str]
) -> None:
    """Say what a validation table holds out, and name the mislabelled crops."""
    for number in sorted(held.unusable_crops):
        row = crop_rows[number]
        message = f"{row.img_id} shows a plate that has another text in {named.path.name}; left out, correct the text"
        problems.append(row.problem(row.text, "contradicts validation", message))
    notes.append(
        f"{named.path.name} holds out its {len(held.photographs)} photographs and the {len(held.crops)} crops with one "
        f"of its texts; {len(held.unusable_crops)} crops cut from them under another text are left out."
    )


def _texts_of_photographs(
    photograph_rows: Sequence[Row],
    crop_rows: Sequence[Row],
    matches: Sequence[Match],
    held: HoldOut,
    problems: list[Problem],
) -> dict[int, str]:
    """Text by photograph number, where the crops cut from it agree; a held-out crop lends its text to no other side."""
    found: dict[int, dict[str, Row]] = defaultdict(dict)
    for match in matches:
        same_side = (match.crop in held.crops) == (match.photograph in held.photographs)
        if same_side and match.crop not in held.unusable_crops:
            row = crop_rows[match.crop]
            found[match.photograph].setdefault(same_plate_key(row.text), row)
    for number, by_key in found.items():
        if len(by_key) > 1:
            first, second, *_ = by_key.values()
            message = (
                f"{second.img_id} and {first.img_id} (row {first.number}, {first.text!r}) are cut from the same "
                f"photograph {photograph_rows[number].img_id}, which gets no text; correct one of them"
            )
            problems.append(second.problem(second.text, "contradictory texts", message))
    return {number: next(iter(by_key.values())).text for number, by_key in found.items() if len(by_key) == 1}
