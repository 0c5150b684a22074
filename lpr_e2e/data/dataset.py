"""The data set: photographs with boxes, crops with texts, what is held out, and everything that is wrong with them.

Photographs get a text where a crop was cut out of them. Nothing that shows a held-out plate is trained on with its
text. See `lpr_e2e.data.tables` for the CSV files, `fingerprints` for reading and remembering pictures, `matching` for
comparing them, and `split` for what is held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from lpr_e2e.data.fingerprint_cache import FingerprintCache
from lpr_e2e.data.labels import Labelled, LabelledCrop, LabelledPhotograph
from lpr_e2e.data.lending import texts_of_plates, upright_turns
from lpr_e2e.data.matching import Compared, compare
from lpr_e2e.data.pictures import CropPicture, PhotographPicture, usable
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.samples import Crop, Dataset, Photograph, Plate
from lpr_e2e.data.split import Split, draw_split, same_plate_key, split_by_table
from lpr_e2e.data.tables import (
    DatasetError,
    Row,
    Table,
    find_picture_folders,
    find_tables,
    read_table,
    usable_rows_by_kind,
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
    validation = tables.get("validation")
    usable = _usable_pictures(folder, tables, read_table(Path(exclude)) if exclude is not None else None)
    problems, notes = usable.problems, usable.notes
    if not usable.photographs or not usable.crops:
        raise DatasetError(
            f"{folder}: {len(usable.photographs)} usable photographs and {len(usable.crops)} usable crops; expected "
            f"some of both; {_first(problems) or 'the tables have no rows'}"
        )
    compared = compare(usable.photographs, usable.crops, usable.cache)
    notes.append(
        f"{len({match.crop for match in compared.matches})} crops are cut out of "
        f"{len({match.photograph for match in compared.matches})} photographs; "
        f"{len({number for pair in compared.twins for number in pair})} photographs have a near twin."
    )
    if validation:
        split = split_by_table(compared, {values["text"] for _, values in validation.records})
        problems += _contradicting(compared, split, validation)
    else:
        split = draw_split(compared, seed, validation_share)
    notes += split.notes
    texts, contradictory = texts_of_plates(compared, split)
    problems += contradictory
    withheld = frozenset(usable.excluded_keys | _keys_of(validation))
    dataset = _divide(compared, split, texts, Dataset([], [], [], [], problems, notes, withheld))
    if not dataset.photographs or not dataset.crops or (validation and not dataset.validation_photographs):
        raise DatasetError(
            f"{folder}: {len(dataset.photographs)} photographs and {len(dataset.crops)} crops are left to train on, "
            f"{len(dataset.validation_photographs)} photographs to validate on; expected some of each; "
            f"{_first(problems) or ' '.join(notes)}"
        )
    return dataset


def _first(problems: Sequence[Problem]) -> str:
    return f"first of {len(problems)} problems: {problems[0]}" if problems else ""


def _keys_of(table: Table | None) -> set[str]:
    """The texts of a table, as they are compared; none without a table."""
    return {same_plate_key(values["text"]) for _, values in table.records} if table else set()


@dataclass
class _Usable:
    """What can be used of a data folder, before anything is held out; `excluded_keys` are texts left out as told."""

    photographs: list[PhotographPicture]
    crops: list[CropPicture]
    excluded_keys: set[str]
    problems: list[Problem]
    notes: list[str]
    cache: FingerprintCache


def _usable_pictures(folder: Path, tables: dict[str, Table], exclude: Table | None) -> _Usable:
    """Check every row and picture; a photograph of the validation table counts by its row there."""
    folders = find_picture_folders(folder, tables)
    rows, problems = usable_rows_by_kind(tables)
    keys: set[str] = set()
    notes: list[str] = []
    if exclude is not None:
        exclusion = _exclude(rows["recognition"], tables["recognition"], exclude)
        rows["recognition"], keys, notes = exclusion.rows, exclusion.keys, [exclusion.note]
        problems += exclusion.problems
    # Named in the validation table, usable there or not: not to be trained on.
    named = {values["img_id"] for _, values in tables["validation"].records} if "validation" in tables else set()
    photograph_rows = rows.get("validation", []) + [row for row in rows["detection"] if row.img_id not in named]
    photographs = [
        LabelledPhotograph(row.img_id, folders["detection"] / row.img_id, (row,), row.img_id in named)
        for row in photograph_rows
    ]
    crops = [LabelledCrop(row, folders["recognition"] / row.img_id) for row in rows["recognition"]]
    cache = FingerprintCache.beside(folder)
    found = usable(Labelled(photographs, crops, [], [], bool(named)), cache)
    return _Usable(found.photographs, found.crops, keys, problems + found.problems, notes + found.notes, cache)


@dataclass(frozen=True)
class _Exclusion:
    """The rows that an exclusion list leaves, the texts it leaves out, as they are compared, and what to say of it."""

    rows: list[Row]
    keys: set[str]
    problems: list[Problem]
    note: str


def _exclude(rows: list[Row], recognition: Table, listed: Table) -> _Exclusion:
    """Leave out the crops that a list names, and every other crop with one of their texts."""
    if "img_id" not in listed.columns:
        raise DatasetError(f"{listed.path}: expected a column img_id, found {', '.join(listed.columns) or 'none'}")
    problems = []
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
    named = len(rows) - len(kept) - len(by_text)
    note = f"{listed.path.name} leaves out {named} crops, and {len(by_text)} more that have one of their texts."
    return _Exclusion(kept, keys, problems, note)


def _contradicting(compared: Compared, split: Split, validation: Table) -> list[Problem]:
    """The crops of held-out plates that have another text than the validation table."""
    problems = []
    for row in (compared.crops[number].row for number in sorted(split.unusable_crops)):
        message = (
            f"{row.img_id} shows a plate that has another text in {validation.path.name}; left out, correct the text"
        )
        problems.append(row.problem(row.text, "contradicts validation", message))
    return problems


def _divide(compared: Compared, split: Split, texts: dict[tuple[int, int], str], known: Dataset) -> Dataset:
    """`known` with the pictures of each side; a plate has its text of `texts`."""
    plate_turns, crop_turns = upright_turns(compared)
    photographs = []
    for number, (one, turns) in enumerate(zip(compared.photographs, plate_turns, strict=True)):
        plates = [
            Plate(row.box_px, texts.get((number, index)), turned)
            for index, (row, turned) in enumerate(zip(one.plates, turns, strict=True))
        ]
        photographs.append(Photograph(one.img_id, one.path, tuple(plates), one.complete))
    crops = [
        Crop(one.row.img_id, one.path, one.row.text, turns)
        for one, turns in zip(compared.crops, crop_turns, strict=True)
    ]
    not_to_train_on = split.held_crops | split.unusable_crops
    return replace(
        known,
        photographs=[one for number, one in enumerate(photographs) if number not in split.held_photographs],
        crops=[one for number, one in enumerate(crops) if number not in not_to_train_on],
        validation_photographs=[photographs[number] for number in sorted(split.held_photographs)],
        validation_crops=[crops[number] for number in sorted(split.held_crops)],
        withheld=known.withheld | {same_plate_key(crops[number].text) for number in not_to_train_on},
    )
