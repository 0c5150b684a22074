"""The dialects of CSV: what Excel, Windows and labelling tools make of a table, read as one header and numbered rows.

A quoted cell may hold line breaks (RFC 4180, https://www.rfc-editor.org/rfc/rfc4180), but a stray quote spoils its own
row only. What is unusual about a file is said once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

DELIMITERS = ",;\t|"
# A quoted cell of more lines than this is taken for a stray quote.
LINES_OF_A_CELL = 20
# So many of a column's values have to be numbers for it to be a column of numbers.
_MOST = 0.9
# What Excel writes before the header to say what stands between the columns.
_SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?[,;|\s]*', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_WHOLE = re.compile(r"[-+]?\d+")
# Where commas stand between columns, a number with a comma has been in quotes: `"204,5"`, or `"1,204"` for 1204.
_ONE_COMMA, _THOUSANDS = re.compile(r"[-+]?\d+,\d+"), re.compile(r"[1-9],\d{3}")
# Columns of such names hold texts, though all of them may look like numbers; `texts` tells what is damaged in them.
_OF_TEXTS = re.compile("text|transcription|ocr|(?:plate|number|plate.?num?|label|words?|registration)$")
# So many lines above a header may be a title or remarks.
_LINES_OF_A_TITLE = 10
# As many as old spreadsheets have. Every row has a value for every column: a few letters a row would fill the memory.
_MOST_COLUMNS = 256


class TooWide(ValueError):
    """A header of more columns than any table of plates has; the message says how many."""


@dataclass
class Parsed:
    """A CSV file in cells without surrounding blanks.

    Attributes:
        columns: the header, in lower case.
        rows: (number of its first line, cells) of each row; no cells if the row cannot be split.
        delimiter: what stands between cells.
        notes: what is unusual about it, a few words each.
        repeated: names that several columns have; all but the first have got their number behind it.
    """

    columns: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    delimiter: str
    notes: list[str] = field(default_factory=list)
    repeated: tuple[str, ...] = ()


def parse(text: str) -> Parsed:
    """The cells of a CSV file.

    Raises:
        TooWide: its header has more than 256 columns.
    """
    notes = []
    if "\r" in text:
        if "\r" in text.replace("\r\n", ""):
            notes.append("with line ends of old Macs")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if _are_quoted_whole(lines):
        notes.append("with quotes around whole rows")
        lines = [_unquoted_row(line) for line in lines]
    first = next((number for number, line in enumerate(lines) if line.strip(DELIMITERS + " \ufeff")), 0)
    said = _SEP.fullmatch(lines[first].strip("\ufeff"))
    if first:
        notes.append(f"{first} blank {'line' if first == 1 else 'lines'} first")
    if said:
        notes.append("with a line sep= before the header")
        lines[first] = ""
        first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    title, first = first, _below_title(lines, first, said[1] if said else None)
    if title < first:
        notes.append(f"{lines[title].strip(DELIMITERS + ' ')!r} above the header left aside")
    if _have_single_quotes(lines[first]):
        notes.append("with single quotes around cells")
        lines = [line.replace('"', '""').replace("'", '"') for line in lines]
    delimiter = said[1] if said else _delimiter(lines[first])
    tail = _foreign_tail(lines[first], delimiter)
    if tail:
        lines = [line.removesuffix(tail) for line in lines]
    records = _records(lines, delimiter, first)
    _, header = next(records)
    width = max((number for number, name in enumerate(header, start=1) if name), default=1)
    if width > _MOST_COLUMNS:
        raise TooWide(f"{width} columns; expected at most {_MOST_COLUMNS}, leave the others out")
    if tail or width < len(header):
        notes.append("with empty last columns")
    rows = list(records)
    names = [" ".join(written.replace("\ufeff", "").lower().split()) for written in header[:width]]
    repeated = tuple(sorted({name for name in names if name and names.count(name) > 1}))
    columns = tuple(name if names.index(name) == place else f"{name} ({place + 1})" for place, name in enumerate(names))
    if repeated:
        notes.append(f"of several columns {', '.join(repeated)} the first is taken")
    parsed = Parsed(columns, [row for row in rows if any(row[1]) or not row[1]], delimiter, notes, repeated)
    if len(parsed.rows) < len(rows):
        notes.append(f"with {len(rows) - len(parsed.rows)} rows of empty cells")
    broken = sum(any("\n" in cell for cell in cells) for _, cells in parsed.rows)
    if broken:
        notes.append(f"{broken} {'row has' if broken == 1 else 'rows have'} a line break in a cell")
    if delimiter != ",":
        _mend_decimal_commas(parsed)
    else:
        _mend_quoted_commas(parsed)
    return parsed


def _are_quoted_whole(lines: list[str]) -> bool:
    """Whether every row is one quoted cell: what Excel saves where it has put a table's rows into its first column.

    The header tells, as names have no delimiters in them.
    """
    rows = [line for line in lines if line.strip(DELIMITERS + " \ufeff")]
    bare = [_unquoted_row(row) for row in rows[:2]]
    is_table = len(bare) > 1 and all(len(_cells(row, _delimiter(bare[0]))) > 1 for row in bare)
    return is_table and all(_unquoted_row(row) != row for row in rows)


def _unquoted_row(line: str) -> str:
    """A line without the quotes around all of it, and with one quote for two within; as it is, if it has none."""
    bare = line.strip("\ufeff ").rstrip(DELIMITERS)
    is_quoted = len(bare) > 1 and bare[0] == bare[-1] == '"' and '"' not in bare[1:-1].replace('""', "")
    return bare[1:-1].replace('""', '"') if is_quoted else line


def _have_single_quotes(header: str) -> bool:
    """Whether all names of a header are in single quotes, as some programs write cells."""
    names = _cells(header, _delimiter(header))
    return bool(names) and all(re.fullmatch("'[^']+'", name) for name in names)


def _below_title(lines: list[str], first: int, said: str | None) -> int:
    """The line of the header, where a title or remarks of one cell each stand above it; else the first one.

    Only what looks like a header is taken for one: names that differ and are no numbers (of two, neither digits nor
    points in them), and at least as many cells in the row below. So a table of one column begins with its first line.
    """
    for number in range(first, min(first + _LINES_OF_A_TITLE, len(lines))):
        line = lines[number].lstrip("\ufeff ")
        delimiter = said or _delimiter(line)
        names = [name for name in _cells(line, delimiter) if name]
        if len(names) < 2 or line.startswith("#"):
            continue
        below = next((one for one in lines[number + 1 :] if one.strip(DELIMITERS + " ")), "")
        is_no_name = _is_number if len(names) > 2 else _may_be_value
        is_header = len(set(names)) == len(names) <= len(_cells(below, delimiter)) and not any(map(is_no_name, names))
        return number if is_header else first
    return first


def _may_be_value(cell: str) -> bool:
    return re.search(r"[\d.]", cell) is not None


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.,]+", cell) is not None


def _delimiter(header: str) -> str:
    """What stands between the names of a header: what gives the most names; the first of `DELIMITERS` of several.

    Delimiters are not counted: empty last columns may be written with another one than the names have between them.
    """
    return max(DELIMITERS, key=lambda delimiter: len(list(filter(None, _cells(header, delimiter)))))


def _foreign_tail(header: str, delimiter: str) -> str:
    """What other delimiters a header ends with: a comma-separated file that a German Excel opened and saved."""
    return header[len(header.rstrip(DELIMITERS.replace(delimiter, ""))) :]


def _records(lines: list[str], delimiter: str, number: int) -> Iterator[tuple[int, list[str]]]:
    """The header, whatever it is, and the rows that are not blank, each with the number of its first line from 1."""
    width = None
    while number < len(lines):
        cells, used = _record(lines, number, delimiter, width)
        if width is None or any(line.strip() for line in lines[number : number + used]):
            yield number + 1, cells
        width = width or len(cells)
        number += used


def _record(lines: list[str], number: int, delimiter: str, width: int | None) -> tuple[list[str], int]:
    """The cells of the row that begins with a line, and how many lines it has.

    Several only if a quote in it is closed properly in a later one, and if what the quotes hold is not itself rows of
    `width` cells: then the quote is a stray one.
    """
    if '"' in lines[number] and not _is_closed(lines[number : number + 1], delimiter):
        for used in range(2, LINES_OF_A_CELL + 1):
            closed = _is_closed(lines[number : number + used], delimiter)
            if closed is False and number + used <= len(lines):
                continue
            if closed:
                cells = _split(lines[number : number + used], delimiter)
                if not any(_holds_rows(cell, delimiter, width) for cell in cells):
                    return cells, used
            break
    return _cells(lines[number], delimiter), 1


def _is_closed(lines: list[str], delimiter: str) -> bool | None:
    """Whether every quote of a row is closed; None if one stands where none can be."""
    try:
        records = list(csv.reader(_with_ends(lines), delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error as error:
        return False if "unexpected end" in str(error) else None
    return True if len(records) == 1 else None


def _split(lines: list[str], delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader(_with_ends(lines), delimiter=delimiter, skipinitialspace=True))]


def _with_ends(lines: list[str]) -> list[str]:
    return [line + "\n" for line in lines[:-1]] + lines[-1:]


def _holds_rows(cell: str, delimiter: str, width: int | None) -> bool:
    return any(len(_cells(line, delimiter)) == width for line in cell.split("\n")[1:])


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line, whatever its quotes; none if it cannot be split."""
    if '"' not in line and len(line) < csv.field_size_limit():  # Several times as fast.
        return [cell.strip() for cell in line.split(delimiter)] if line else []
    try:
        return _split([line], delimiter)
    except (csv.Error, StopIteration):
        return []


def _columns_of_numbers(parsed: Parsed) -> list[tuple[int, str]]:
    """Place and name of the columns that may hold numbers."""
    return [(place, name) for place, name in enumerate(parsed.columns) if not _OF_TEXTS.search(name)]


def _mend_decimal_commas(parsed: Parsed) -> None:
    """`12,5` becomes `12.5` in the columns of numbers, `1.234,5` becomes `1234.5`."""
    mended = []
    for place, name in _columns_of_numbers(parsed):
        values = [cells[place] for _, cells in parsed.rows if place < len(cells) and cells[place]]
        commas = sum(_DECIMAL_COMMA.fullmatch(value) is not None for value in values)
        whole = sum(_WHOLE.fullmatch(value) is not None for value in values)
        if not commas or commas + whole < _MOST * len(values):
            continue
        mended.append(name)
        for _, cells in parsed.rows:
            if place < len(cells) and _DECIMAL_COMMA.fullmatch(cells[place]):
                cells[place] = cells[place].replace(".", "").replace(",", ".")
    if mended:
        parsed.notes.append(f"with decimal commas in {', '.join(mended)}")


def _mend_quoted_commas(parsed: Parsed) -> None:
    """`"204,5"` becomes `204.5` in columns of numbers; `"1,204"` becomes `1204` where others below 1000 have none."""
    decimal, thousands = [], []
    for place, name in _columns_of_numbers(parsed):
        values = [cells[place] for _, cells in parsed.rows if place < len(cells) and cells[place]]
        commas = [value for value in values if _ONE_COMMA.fullmatch(value)]
        whole = [value for value in values if _WHOLE.fullmatch(value)]
        if not commas or len(commas) + len(whole) < _MOST * len(values):
            continue
        are_thousands = all(map(_THOUSANDS.fullmatch, commas)) and all(len(value) <= 3 for value in whole)
        (thousands if are_thousands else decimal).append(name)
        for _, cells in parsed.rows:
            if place < len(cells) and _ONE_COMMA.fullmatch(cells[place]):
                cells[place] = cells[place].replace(",", "" if are_thousands else ".")
    if decimal:
        parsed.notes.append(f"with decimal commas in {', '.join(decimal)}")
    if thousands:
        parsed.notes.append(f"with commas of thousands in {', '.join(thousands)}")
