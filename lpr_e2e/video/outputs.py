"""What a video leaves: `passes.jsonl`, which grows as it goes, the pictures of each pass, and `passes.csv`."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import (
    WholeLines,
    as_cell,
    csv_lines,
    owned,
    refuse_foreign,
    refuse_link,
    require_file,
    whole_file,
)
from lpr_e2e.prediction.outputs import own_file
from lpr_e2e.video.frames import Source
from lpr_e2e.video.passes import Vehicle

LINES, TABLE, PAGE = "passes.jsonl", "passes.csv", "passes.html"
PICTURES = "pictures"
COLUMNS = (
    *("number", "text", "confidence", "status", "first", "last", "frames"),
    *("best", "ymin", "xmin", "ymax", "xmax", "box_confidence", "plate", "frame", "source"),
)
_LOCK = ".passes.lock"
# How a line of `passes.jsonl` begins; and a longer one than any of ours, bytes.
_BEGINNING, _LONGEST_LINE = b'{"number": ', 2**20


@dataclass(frozen=True)
class Pass:
    """A vehicle's pass as it is written down.

    Attributes:
        number: from 1 on.
        text, confidence, status: as of a reading of `predict`.
        first, last: seconds in a clip, or wall time in ISO 8601.
        frames: in how many frames it was seen.
        best: when its best picture was taken.
        ymin, xmin, ymax, xmax, box_confidence: of its plate there.
        plate, frame: names of the pictures, below the output's folder.
        source: what it was seen on.
        certainties: the probability of each character of the text and of its end.
    """

    number: int
    text: str
    confidence: float
    status: str
    first: float | str
    last: float | str
    frames: int
    best: float | str
    ymin: float
    xmin: float
    ymax: float
    xmax: float
    box_confidence: float
    plate: str
    frame: str
    source: str
    certainties: list[float]

    def line(self) -> str:
        """A line of `passes.jsonl`."""
        return json.dumps(self.__dict__) + "\n"

    def row(self) -> list[str]:
        """A row of `passes.csv`."""
        values = [self.__dict__[name] for name in COLUMNS]
        return [as_cell(value) if isinstance(value, str) else str(value) for value in values]


def read_passes(path: Path) -> Iterator[Pass]:
    """The passes of a `passes.jsonl`, one by one; a last line that is not whole is left out.

    Raises:
        UserError: a line of it is no pass.
        OSError: it cannot be read, or is a pipe or a device.
    """
    require_file(path, sys.maxsize)
    with path.open("rb") as file:
        for number, line in enumerate(iter(functools.partial(file.readline, _LONGEST_LINE), b""), 1):
            # Cut off in the middle of a pass; what begins otherwise is somebody else's, and no line of ours is longer.
            if not line.endswith(b"\n") and len(line) < _LONGEST_LINE and line.startswith(_BEGINNING[: len(line)]):
                return
            try:
                one = _pass(line)
            except (ValueError, TypeError, RecursionError):
                raise UserError(
                    f"{path}, line {number}: no pass as this version writes it; name another folder with --output"
                ) from None
            yield one


def _pass(line: bytes) -> Pass:
    """The pass of a line.

    Raises:
        ValueError, TypeError, RecursionError: it is none, or its pictures are not in the folder of pictures.
    """
    one = Pass(**json.loads(line.decode("utf-8")))
    numbers = (one.number, one.confidence, one.frames, one.ymin, one.xmin, one.ymax, one.xmax, one.box_confidence)
    stamps, texts = (one.first, one.last, one.best), (one.text, one.status, one.plate, one.frame, one.source)
    for values, kinds in (((*numbers, *one.certainties), int | float), (texts, str), (stamps, str | int | float)):
        if not all(isinstance(value, kinds) for value in values):
            raise ValueError("expected numbers and texts")
    "".join(map(str, (*texts, *stamps))).encode("utf-8")  # Half a character can be written nowhere.
    for name in (one.plate, one.frame):
        if PurePosixPath(name).parts[:-1] != (PICTURES,) or not name.isprintable():
            raise ValueError("expected pictures beside it")
    return one


class PassWriter:
    """Writes passes as they end; to be used in a `with` statement, whose end writes `passes.csv`.

    Each pass is whole on disk before the next one is written, its pictures first. Of a live source, passes are added to
    those that a folder holds already; of a file they are not.

    Args:
        output: the folder; made if it is missing.
        source: what the passes are of.

    Raises:
        UserError: the folder holds passes of a file or of another source, or what no video left there, or another
            process writes into it.
        OSError: the folder cannot be written.

    Attributes:
        before: how many passes the folder held already.
        count: how many it holds now.
        statuses: of those that were added, counted.
    """

    def __init__(self, output: Path, source: Source):
        self.output, self._source, self.statuses = output, source, Counter[str]()
        self.path = output / LINES
        refuse_foreign(output, [LINES], [TABLE, PAGE, PICTURES])
        for name in (LINES, TABLE, PAGE, PICTURES):
            refuse_link(output / name)
        output.mkdir(parents=True, exist_ok=True)
        refusal = f"{output}: another process writes its passes there; name another folder with --output"
        with contextlib.ExitStack() as stack:
            stack.enter_context(owned(output / _LOCK, refusal))
            stack.callback((output / _LOCK).unlink, missing_ok=True)
            self.before = self.count = self._held()
            self._file = WholeLines(self.path, append=True)
            stack.callback(self._file.close)
            self._end = stack.pop_all()

    def _held(self) -> int:
        """How many passes the folder holds already, if more of this source may be added."""
        if not self.path.exists():
            return 0
        count = 0
        for count, one in enumerate(read_passes(self.path), 1):  # noqa: B007
            if one.source != self._source.name:
                raise UserError(f"{self.output}: holds passes of {one.source}; name another folder with --output")
        if count and not self._source.live:
            raise UserError(
                f"{self.output}: holds passes of an earlier run; remove it, or name another folder with --output"
            )
        return count

    def __enter__(self) -> PassWriter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._end:
            self._write_table()

    def write(self, vehicle: Vehicle) -> Pass:
        """Write one pass and its pictures."""
        shot, reading, stamp = vehicle.shot, vehicle.reading, self._source.stamp
        assert shot is not None
        number = self.count + 1
        plate, frame = f"{number:06}_plate.jpg", f"{number:06}_frame.jpg"
        for name, data in ((plate, shot.plate), (frame, shot.frame)):
            with whole_file(own_file(self.output / PICTURES, name)) as part:
                part.write_bytes(data)
        top, left, bottom, right = (round(side, 1) for side in shot.box_px)
        one = Pass(
            number,
            reading.text,
            round(reading.confidence, 4),
            reading.status,
            stamp(vehicle.first),
            stamp(vehicle.last),
            vehicle.seen,
            stamp(shot.seconds),
            top,
            left,
            bottom,
            right,
            round(shot.box_confidence, 4),
            f"{PICTURES}/{plate}",
            f"{PICTURES}/{frame}",
            self._source.name,
            [round(value, 4) for value in reading.certainties],
        )
        self._file.write(one.line())
        self.count = number
        self.statuses[one.status] += 1
        return one

    def _write_table(self) -> None:
        """Write `passes.csv` anew, row by row."""
        with whole_file(self.output / TABLE) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_lines([COLUMNS]))
            for one in read_passes(self.path):
                file.write(csv_lines([one.row()]))
