"""Watching a source: its frames are read, one by one or several at a time, and its passes told as they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.video.frames import Frame, Source
from lpr_e2e.video.passes import PassBook, Vehicle


@dataclass(frozen=True)
class Seen:
    """What one frame that was read has shown.

    Attributes:
        frames: this frame, and before it those that were not to be read; at the end of a clip perhaps these alone, and
            none while none comes.
        readings: of this frame; none if it was not read.
        vehicles: on this frame.
        ended: the passes that have ended since the frame before.
    """

    frames: list[Frame]
    readings: list[Reading]
    vehicles: list[Vehicle]
    ended: list[Vehicle]


def watch(source: Source, reader: PlateReader, book: PassBook) -> Iterator[Seen]:
    """Read a source to its end.

    What goes on at the end, or when this is given up, is in the book: `PassBook.finish` ends it.

    Args:
        source: gives frames.
        reader: reads them.
        book: makes passes of the readings.
    """
    for frames, readings in _read_live(source, reader) if source.live else _read_file(source, reader):
        vehicles = book.see(frames[-1], readings) if frames and frames[-1].wanted else []
        yield Seen(frames, readings, vehicles, book.ended(frames[-1].seconds if frames else source.now()))


def _read_live(source: Source, reader: PlateReader) -> Iterator[tuple[list[Frame], list[Reading]]]:
    """The newest frame, whenever the one before has been read; none while none comes."""
    for frame in source:
        if frame is None:
            yield [], []
        else:
            ((_, _, readings),) = reader.read_files([(str(frame.number), frame.picture)])
            yield [frame], readings


def _read_file(source: Source, reader: PlateReader) -> Iterator[tuple[list[Frame], list[Reading]]]:
    """All frames in order; several are read at the same time, each by a core of its own."""
    waiting: deque[list[Frame]] = deque()
    between: list[Frame] = []

    def pictures() -> Iterator[tuple[str, object]]:
        for frame in source:
            assert frame is not None, "a file does not keep anybody waiting"
            between.append(frame)
            if frame.wanted:
                waiting.append(between.copy())
                between.clear()
                yield str(frame.number), frame.picture

    # Frames of a clip are large and wait for each other: one at a time for each core.
    for _, _, readings in reader.read_files(pictures(), batch_size=1):
        yield waiting.popleft(), readings
    if between:
        yield between, []
