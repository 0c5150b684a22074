"""The CSV files of a data set: found by their columns, checked row by row, every fault named.

| kind | columns | rows |
| --- | --- | --- |
| detection | img_id, ymin, xmin, ymax, xmax | photographs with a box |
| recognition | img_id, text | plate crops with a text |
| validation | img_id, ymin, xmin, ymax, xmax, text | photographs to hold out |

A CSV with other columns is left alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path, PureWindowsPath

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import csv_lines
from lpr_e2e.data.dialects import parse
from lpr_e2e.data.encodings import UnclearEncoding, decode
from lpr_e2e.data.problems import Problem

BOX_COLUMNS = ("ymin", "xmin", "ymax", "xmax")
COLUMNS = {
    "detection": ("img_id", *BOX_COLUMNS),
    "recognition": ("img_id", "text"),
    "validation": ("img_id", *BOX_COLUMNS, "text"),
}
# Key of what a row has beyond the header's columns.
EXTRA = "\0extra"
# What stands there for a row that cannot be split into cells.
UNSPLIT = "a cell of more than 131072 characters, or a broken one"
# In a smaller table a character that occurs only once is no sign of a mistake.
ROWS_FOR_RARE_CHARACTERS = 50


class DatasetError(UserError):
    """The data cannot be used at all; the message is one line that says why and what to do."""


@dataclass(frozen=True)
class Row:
    """A usable row of a CSV: `box_px` is yxyx or None, `text` is None where the table has no such column."""

    csv: str
    number: int
    img_id: str
    box_px: tuple[float, float, float, float] | None
    text: str | None

    def problem(self, value: str, kind: str, message: str) -> Problem:
        """A problem of this row."""
        return Problem(self.csv, self.number, value, kind, message)

    def change(self, value: str, kind: str, message: str) -> Problem:
        """What was changed in this row, harmlessly; `value` is what was written."""
        return Problem(self.csv, self.number, value, kind, message, harmless=True)


@dataclass(frozen=True)
class Table:
    """A CSV file.

    Attributes:
        path: the file.
        columns: in lower case.
        records: (line number, values by column or EXTRA) of each row.
        notes: what was unusual about the file, in one line; () if nothing was.
    """

    path: Path
    columns: tuple[str, ...]
    records: list[tuple[int, dict[str, str]]]
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Read a CSV as texts without surrounding blanks, in whatever dialect and encoding; see `dialects`, `encodings`.

    Raises:
        DatasetError: the file cannot be read, is no text, or may be text in several encodings.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); expected a CSV file") from None
    try:
        decoded = decode(data)
    except UnclearEncoding as error:
        raise DatasetError(f"{path}: expected UTF-8 text, found {error}; save it as UTF-8") from None
    parsed = parse(decoded.text)
    for name in {name for columns in COLUMNS.values() for name in columns}.intersection(parsed.repeated):
        raise DatasetError(f"{path}: several columns are named {name}; expected one, rename or remove the others")
    records = []
    for number, cells in parsed.rows:
        values = dict.fromkeys(parsed.columns, "") | dict(zip(parsed.columns, cells, strict=False))
        extra = parsed.delimiter.join(filter(None, cells[len(parsed.columns) :])) if cells else UNSPLIT
        records.append((number, values | {EXTRA: extra}))
    unusual = [*([f"read as {decoded.said}"] if decoded.said else []), *parsed.notes]
    notes = (f"{path.name}: {'; '.join(unusual)}.",) if unusual else ()
    return Table(path, parsed.columns, records, notes)


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV, which `read_table` reads; what is no text is written with escapes.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text(csv_lines([tuple(columns), *rows]), "utf-8", errors="backslashreplace", newline="")


def find_tables(folder: Path) -> dict[str, Table]:
    """The tables of a data folder by kind; "validation" may be absent.

    Raises:
        DatasetError: the folder or a table is missing, or two tables have the columns of the same kind.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; expected a folder with the pictures and their CSV files")
    found: dict[str, Table] = {}
    seen = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file()):
        try:
            table = read_table(path)
        except DatasetError as error:
            seen.append(str(error))
            continue
        seen.append(f"{path.name} ({', '.join(table.columns[:8])})")
        has_box, has_text = set(BOX_COLUMNS) <= set(table.columns), "text" in table.columns
        if "img_id" not in table.columns or not (has_box or has_text):
            continue
        kind = "validation" if has_box and has_text else "detection" if has_box else "recognition"
        if kind in found:
            raise DatasetError(
                f"{folder}: {found[kind].path.name} and {path.name} both have the columns of the {kind} table "
                f"({', '.join(COLUMNS[kind])}); expected one such file: move the other one away"
            )
        found[kind] = table
    for kind in ("detection", "recognition"):
        if kind not in found:
            raise DatasetError(
                f"{folder}: no {kind} table; expected a CSV file with the columns {', '.join(COLUMNS[kind])}; "
                f"found {'; '.join(seen) or 'no CSV file'}"
            )
    return found


def find_picture_folders(folder: Path, tables: dict[str, Table]) -> dict[str, Path]:
    """The sub-folders with the pictures of the detection and the recognition table.

    A folder with the CSV's own name comes first, then the folder that holds most of its pictures. A folder named
    `test`, or after another CSV, is never taken.

    Raises:
        DatasetError: no folder has a table's name or at least half of its pictures.
    """
    kinds = ("detection", "recognition")
    stems = {kind: tables[kind].path.stem.lower() for kind in kinds}
    candidates = [path for path in folder.iterdir() if path.is_dir()]
    chosen: dict[str, Path] = {}
    # A table whose folder is named after it chooses first, so that the other cannot take that folder.
    for kind in sorted(kinds, key=lambda kind: stems[kind] not in {path.name.lower() for path in candidates}):
        stem = stems[kind]
        ids = {values["img_id"] for _, values in tables[kind].records if stays_inside(values["img_id"])}
        taken = {"test"} | set(stems.values()) - {stem} | {path.name.lower() for path in chosen.values()}
        ranked = sorted(
            (
                path.name.lower() == stem,
                sum((path / img_id).exists() for img_id in ids),
                SequenceMatcher(None, path.name.lower(), stem).ratio(),
                path,
            )
            for path in candidates
            if path.name.lower() not in taken
        )
        if not ranked or not (ranked[-1][0] or ranked[-1][1] >= len(ids) / 2):
            best = f"{ranked[-1][3].name} holds {ranked[-1][1]} of them" if ranked else "found no folder to take"
            raise DatasetError(
                f"{folder}: no folder with the {len(ids)} pictures named in {tables[kind].path.name}; "
                f"expected a folder {tables[kind].path.stem}; {best}"
            )
        chosen[kind] = ranked[-1][3]
    return chosen


def usable_rows_by_kind(tables: dict[str, Table]) -> tuple[dict[str, list[Row]], list[Problem]]:
    """`usable_rows` of each table of a data folder, by kind, and the problems of all of them."""
    usable, problems = {}, []
    for kind, table in tables.items():
        usable[kind], found = usable_rows(table, kind)
        problems += found
    return usable, problems


def usable_rows(table: Table, kind: str) -> tuple[list[Row], list[Problem]]:
    """The rows of a table of this kind with an id, a box and a text as the kind asks, and the faults of the others.

    Whether the pictures exist, and whether the boxes lie in them, is not looked at here.
    """
    rows, problems = distinct_rows(table, kind)
    if kind == "recognition":
        rows, rare = _without_rare_characters(rows)
        problems += rare
    return rows, problems


def distinct_rows(table: Table, kind: str) -> tuple[list[Row], list[Problem]]:
    """As `usable_rows`, but a text may have a character that no other row has."""
    rows: dict[str, Row] = {}
    contradictory: set[str] = set()
    problems: list[Problem] = []
    for number, values in table.records:
        row = _row_or_problem(table, kind, number, values)
        if isinstance(row, Problem):
            problems.append(row)
            continue
        first = rows.setdefault(row.img_id, row)
        if first is row:
            continue
        if (first.box_px, first.text) == (row.box_px, row.text):
            problem = row.problem(row.img_id, "duplicate row", f"same as row {first.number}; skipped, remove it")
        elif kind == "recognition":
            if row.img_id not in contradictory:
                contradictory.add(row.img_id)
                problems.append(_contradictory(first, row))
            problem = _contradictory(row, first)
        else:
            problem = row.problem(
                row.img_id,
                "several boxes",
                f"expected one row per photograph; row {first.number} is used, this one is not",
            )
        problems.append(problem)
    return [row for row in rows.values() if row.img_id not in contradictory], problems


def _contradictory(row: Row, other: Row) -> Problem:
    message = f"row {other.number} says {other.text!r} for {row.img_id}; both skipped, remove the wrong one"
    return row.problem(row.text, "contradictory texts", message)


def _row_or_problem(table: Table, kind: str, number: int, values: dict[str, str]) -> Row | Problem:
    """The row with this line number, or its first fault."""
    row = Row(table.path.name, number, values["img_id"], None, None)
    box_px, text = None, values["text"] if "text" in COLUMNS[kind] else None
    if values[EXTRA]:
        expected = f"expected {','.join(table.columns)}; skipped, correct the row"
        return row.problem(values[EXTRA], "too many values", expected)
    if not row.img_id:
        return row.problem("", "empty img_id", "expected a picture's file name; skipped, fill it in")
    if not stays_inside(row.img_id):
        expected = "expected a name inside the picture folder; skipped, correct it"
        return row.problem(row.img_id, "unsafe img_id", expected)
    if text == "":
        return row.problem(
            "", "empty text", f"expected the text of {row.img_id}; skipped, fill it in or remove the row"
        )
    if kind != "recognition":
        written = ",".join(values[name] for name in BOX_COLUMNS)
        box_px = numbers(values[name] for name in BOX_COLUMNS)
        if box_px is None:
            expected = "expected four numbers ymin,xmin,ymax,xmax; skipped, correct it"
            return row.problem(written, "non-numeric box", expected)
        if box_px[2] <= box_px[0] or box_px[3] <= box_px[1]:
            return row.problem(written, "inside-out box", "expected ymin < ymax and xmin < xmax; skipped, correct it")
    return Row(row.csv, number, row.img_id, box_px, text)


def _without_rare_characters(rows: list[Row]) -> tuple[list[Row], list[Problem]]:
    """One sample cannot teach a character: the rows without those that have a character which no other row has."""
    if len(rows) < ROWS_FOR_RARE_CHARACTERS:
        return rows, []
    uses = Counter(character for row in rows for character in set(row.text))
    usable, problems = [], []
    for row in rows:
        rare = sorted(character for character in set(row.text) if uses[character] == 1)
        if rare:
            problems.append(
                row.problem(
                    row.text,
                    "rare character",
                    f"expected characters that other rows have too, found {''.join(rare)!r}; skipped, correct it",
                )
            )
        else:
            usable.append(row)
    return usable, problems


def numbers(values: Iterable[str]) -> tuple[float, ...] | None:
    """The finite numbers that the values stand for, or None if one does not."""
    try:
        found = tuple(float(value.replace("_", "?")) for value in values)  # Python reads 1_0 as 10.
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def stays_inside(img_id: str) -> bool:
    """Whether a name stays in its folder, read as a path of any system."""
    path = PureWindowsPath(img_id)
    return bool(img_id) and "\0" not in img_id and not path.anchor and ".." not in path.parts
