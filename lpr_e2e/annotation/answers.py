"""The table of answers: what a person says is on each photograph, on disk when it is said.

    img_id,ymin,xmin,ymax,xmax,text,answered     a row a plate; an empty text: it cannot be read
                                                 an empty box: the photograph shows no plate

`answered` is the time in UTC. By this column the table is known where a data set is loaded: of the photographs that it
names, other labels say nothing (`lpr_e2e.data.answered`). A photograph without a row has no answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import as_cell, csv_lines, from_cell, name_as_cell, owned, whole_file
from lpr_e2e.data.forms.table import ANSWERED_COLUMN
from lpr_e2e.data.importing import PHOTOGRAPH_COLUMNS
from lpr_e2e.data.samples import Plate
from lpr_e2e.data.tables import BOX_COLUMNS, EXTRA, numbers, read_table

COLUMNS = (*PHOTOGRAPH_COLUMNS, ANSWERED_COLUMN)
# Decimals of a box in pixels: far below what anyone can draw.
DECIMALS = 2
# Nothing that a plate shows: control characters, marks of direction, halves of characters, places of none.
_NO_CHARACTERS = frozenset(("Cc", "Cf", "Cs", "Cn"))

# What is on a photograph; () if it shows no plate, None if nobody has said.
Answer = tuple[Plate, ...] | None


class StaleAnswer(UserError):
    """An answer that was made from an earlier one than there is now."""


class Answers:
    """The answers to photographs, in a table that this process alone writes; to be used in a `with` statement.

    Each call may come from another thread.

    Args:
        path: the table; it need not exist, its folder does.

    Raises:
        UserError: there is a file of another kind, or a row that cannot be used, or another process writes the table.
    """

    def __init__(self, path: Path):
        self.path = path
        self._mutex = threading.Lock()
        self._plates: dict[str, tuple[Plate, ...]] = {}
        self._lines: dict[str, str] = {}
        refusal = f"{path}: another `label` writes these answers; go on there, end it, or name another --output"
        with contextlib.ExitStack() as stack:
            lock = path.with_name(f".{path.name}.lock")
            stack.enter_context(owned(lock, refusal))
            stack.callback(lock.unlink, missing_ok=True)
            if path.exists():
                self._read()
            self._end = stack.pop_all()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def __len__(self) -> int:
        return len(self._plates)

    def get(self, img_id: str) -> Answer:
        """The answer to a photograph, by its name; None if there is none."""
        return self._plates.get(img_id)

    def last(self, count: int) -> list[str]:
        """The names of the photographs that were answered last, the latest one at the end."""
        return list(self._plates)[-count:]

    def give(self, img_id: str, answer: Answer, revision: str) -> None:
        """Give the answer to a photograph, or take it back (None). It is on disk afterwards.

        Args:
            revision: that of the answer which this one was made from, see `revision_of`.

        Raises:
            StaleAnswer: there is another answer by now; nothing is changed.
            OSError: the table cannot be written; nothing is changed.
        """
        with self._mutex:
            if revision != revision_of(self.get(img_id)):
                raise StaleAnswer(f"{img_id}: was answered elsewhere in the meantime; look at that answer first")
            lines = {name: written for name, written in self._lines.items() if name != img_id}
            if answer is not None:
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                lines[img_id] = csv_lines(_rows(img_id, answer, now))
            self._write(lines.values())
            self._lines = lines
            self._plates.pop(img_id, None)
            if answer is not None:
                self._plates[img_id] = answer

    def _write(self, lines: Iterable[str]) -> None:
        with whole_file(self.path) as part:
            with part.open("wb") as file:
                file.write("".join([csv_lines([COLUMNS]), *lines]).encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
        # The name of the file, too, is on disk only now. Windows has no such call for folders.
        with contextlib.suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _read(self) -> None:
        table = read_table(self.path)
        if not set(COLUMNS).issubset(table.columns):
            found = ",".join(table.columns) or "none"
            raise UserError(
                f"{self.path}: is there already, and no table of answers (columns {','.join(COLUMNS)}); found {found}; "
                "it is not overwritten, name another file with --output"
            )
        rows: dict[str, list[tuple[Plate | None, str]]] = defaultdict(list)
        for number, values in table.records:
            plate = _plate(self.path, number, values)
            rows[values["img_id"].removeprefix("./")].append((plate, values[ANSWERED_COLUMN]))
        for img_id, said in rows.items():
            plates = tuple(plate for plate, _ in said if plate is not None)
            self._plates[img_id] = plates
            self._lines[img_id] = csv_lines(_rows(img_id, plates, said[0][1]))


def revision_of(answer: Answer) -> str:
    """What tells an answer from any other one to the same photograph."""
    said = None if answer is None else [(_cells(plate.box_px), plate.text) for plate in answer]
    return hashlib.sha256(json.dumps(said).encode("utf-8")).hexdigest()[:16]


def plain_text(written: str) -> str | None:
    """A text as the table holds it: composed (NFC), in reading order, on one line; None if nothing is left of it."""
    kept = "".join(one for one in written if unicodedata.category(one) not in _NO_CHARACTERS)
    return unicodedata.normalize("NFC", kept).strip() or None


def _rows(img_id: str, answer: Sequence[Plate], answered: str) -> list[tuple[str, ...]]:
    name = name_as_cell(img_id)
    if not answer:
        return [(name, "", "", "", "", "", answered)]
    return [(name, *_cells(plate.box_px), as_cell(plate.text or ""), answered) for plate in answer]


def _cells(box_px: Sequence[float]) -> list[str]:
    return [f"{round(value, DECIMALS):.12g}" for value in box_px]


def _plate(path: Path, number: int, values: dict[str, str]) -> Plate | None:
    """The plate of a row; None if it says that there is none.

    Raises:
        UserError: it says neither.
    """
    cells = [values[name] for name in BOX_COLUMNS]
    if not any(cells) and not values["text"] and values["img_id"] and not values[EXTRA]:
        return None
    box = numbers(cells)
    if box is None or not values["img_id"] or values[EXTRA] or box[0] >= box[2] or box[1] >= box[3]:
        written = ",".join([*cells, values["text"], values[EXTRA]])
        raise UserError(f"{path}, row {number}: {written}: expected {','.join(COLUMNS)}; correct the row, or remove it")
    return Plate((box[0], box[1], box[2], box[3]), plain_text(from_cell(values["text"])))
