"""One reader for many callers: pictures wait in a bounded queue, and those that wait together are read together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading


class QueueFull(Exception):
    """There is no room for all pictures of a request; none of them was taken."""


@dataclass(frozen=True)
class _Picture:
    """A picture that waits, and where its answer goes."""

    name: str
    content: bytes
    answer: Future[list[Reading]] = field(default_factory=Future)


class ReadingQueue:
    """Reads the pictures of any number of callers with one reader, in a thread of its own.

    While some are read, others come; all that wait then are read together, up to `together` of them, whoever sent
    them. A picture whose answer was cancelled before its turn is not read.

    Args:
        reader: reads them; nobody else uses it meanwhile.
        places: how many pictures may wait.
        together: how many are taken at once; the reader makes its batches of these.
        on_taken: called in the reading thread with the number of pictures that were taken.
    """

    def __init__(self, reader: PlateReader, places: int, together: int, on_taken: Callable[[int], None]):
        self._reader, self._places, self._together, self._on_taken = reader, places, together, on_taken
        self._waiting: deque[_Picture] = deque()
        self._change = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="read plates", daemon=True)

    def start(self) -> None:
        """Begin to read; a queue is started once."""
        self._thread.start()

    def stop(self) -> None:
        """Read nothing more but what was taken already; the answers of all that wait are cancelled."""
        with self._change:
            self._stopped = True
            for picture in self._waiting:
                picture.answer.cancel()
            self._change.notify()

    @property
    def is_reading(self) -> bool:
        """Whether pictures are read that are submitted now."""
        return self._thread.is_alive() and not self._stopped

    @property
    def waiting(self) -> int:
        """The number of pictures that wait for their turn and whose answers somebody wants."""
        with self._change:
            return self._count()

    def submit(self, pictures: Sequence[tuple[str, bytes]]) -> list[Future[list[Reading]]]:
        """Let pictures wait for their turn.

        Args:
            pictures: pairs of name and content of a picture file, in order.

        Returns:
            a future for each: its readings, as `PlateReader.read` gives them; or what the reader raised for it alone,
            which is a fault of the program's or the machine's. To cancel one takes its picture out of the queue.

        Raises:
            QueueFull: not all of them have room.
        """
        more = [_Picture(name, content) for name, content in pictures]
        with self._change:
            if self._stopped or self._count() + len(more) > self._places:
                raise QueueFull
            self._waiting.extend(more)
            self._change.notify()
        return [picture.answer for picture in more]

    def _count(self) -> int:
        if any(picture.answer.cancelled() for picture in self._waiting):
            self._waiting = deque(picture for picture in self._waiting if not picture.answer.cancelled())
        return len(self._waiting)

    def _work(self) -> None:
        while not self._stopped:
            batch = self._take()
            if batch:
                self._on_taken(len(batch))
                self._read(batch)

    def _take(self) -> list[_Picture]:
        """The next pictures whose answers are wanted, once there are some; none when the queue is stopped."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._stopped)
            taken: list[_Picture] = []
            while self._waiting and len(taken) < self._together:
                picture = self._waiting.popleft()
                if picture.answer.set_running_or_notify_cancel():
                    taken.append(picture)
            return taken

    def _read(self, batch: list[_Picture]) -> None:
        left = deque(batch)
        try:
            for _, _, readings in self._reader.read_files([(one.name, one.content) for one in batch]):
                left.popleft().answer.set_result(readings)
        except Exception:  # One picture must not cost the others their answers: the memory may be too small for it.
            for one in left:
                self._read_alone(one)

    def _read_alone(self, picture: _Picture) -> None:
        try:
            ((_, _, readings),) = self._reader.read_files([(picture.name, picture.content)])
            picture.answer.set_result(readings)
        except Exception as error:
            picture.answer.set_exception(error)
