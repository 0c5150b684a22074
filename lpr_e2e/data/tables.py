"""CSV files: read whatever their dialect and encoding, with the number of each row, and written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import csv_lines, read_file
from lpr_e2e.data.dialects import TooWide, parse
from lpr_e2e.data.encodings import UnclearEncoding, decode
from lpr_e2e.data.problems import Problem

BOX_COLUMNS = ("ymin", "xmin", "ymax", "xmax")
# Columns of which a table has one at most: of two, nobody could tell which is meant.
_ONCE = ("img_id", *BOX_COLUMNS, "text")
# No picture has as many pixels, and what is computed with numbers of this size stays a number.
LARGEST = 1e15
# Key of what a row has beyond the header's columns.
EXTRA = "\0extra"
# What stands there for a row that cannot be split into cells.
UNSPLIT = "a cell of more than 131072 characters, or a broken one"


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
        DatasetError: the file cannot be read, is no text, may be text in several encodings, or has too many columns.
    """
    try:
        data = read_file(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); expected a CSV file") from None
    try:
        decoded = decode(data)
    except UnclearEncoding as error:
        raise DatasetError(f"{path}: expected UTF-8 text, found {error}; save it as UTF-8") from None
    try:
        parsed = parse(decoded.text)
    except TooWide as error:
        raise DatasetError(f"{path}: {error}") from None
    for name in set(_ONCE).intersection(parsed.repeated):
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


def numbers(values: Iterable[str]) -> tuple[float, ...] | None:
    """The numbers that the values stand for, or None if one stands for none, or for one beyond `LARGEST`."""
    try:
        found = tuple(float(value.replace("_", "?")) for value in values)  # Python reads 1_0 as 10.
    except ValueError:
        return None
    return found if all(abs(number) <= LARGEST for number in found) else None


def stays_inside(img_id: str) -> bool:
    """Whether a name stays in its folder, read as a path of any system."""
    path = PureWindowsPath(img_id)
    return bool(img_id) and "\0" not in img_id and not path.anchor and ".." not in path.parts
