"""The model at work behind the page: it reads the photographs ahead, in batches, while a person looks at others."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lpr_e2e.annotation.order import spread, usefulness
from lpr_e2e.common.terminal import complain
from lpr_e2e.data.fingerprints import PHOTOGRAPH_SIDE, to_grey
from lpr_e2e.prediction.reading import Reading

# What reads any number of photographs, as `PlateReader.read_files` does.
ReadFiles = Callable[[Iterable[tuple[str, Any]]], Iterator[tuple[str, np.ndarray | None, list[Reading]]]]
# What is told of a photograph, by its number: its readings, and its miniature, None if it cannot be read.
Receive = Callable[[int, list[Reading], np.ndarray | None], None]


class ReadingAhead:
    """Reads photographs in a thread of its own.

    Photographs of one camera or one day lie side by side in most folders. They are read in a random order, the same
    each time, so that what has been read at any moment shows a bit of everything.

    Args:
        read_files: reads them.
        photographs: pairs of img_id and path.
        numbers: of those that are to be read.
        receive: called in that thread for each of them.

    Attributes:
        failure: why no more is read, for people; "" while all goes well.
    """

    def __init__(
        self, read_files: ReadFiles, photographs: Sequence[tuple[str, Path]], numbers: Iterable[int], receive: Receive
    ):
        self.failure = ""
        self._read_files, self._photographs, self._receive = read_files, photographs, receive
        self._numbers = sorted(numbers)
        random.Random(0).shuffle(self._numbers)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reading ahead", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no further photograph; those that are being read are not waited for."""
        self._stop.set()

    @property
    def is_at_work(self) -> bool:
        """Whether there will be further readings."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            pictures = ((str(number), self._photographs[number][1]) for number in self._numbers)
            for number, photograph, readings in self._read_files(pictures):
                if self._stop.is_set():
                    return
                self._receive(int(number), [_light(one) for one in readings], miniature(photograph))
        except Exception as error:  # The person goes on without the model; the fault is shown, and not lost.
            self.failure = f"The model has stopped: {type(error).__name__}: {error}"
            complain(self.failure)
            raise


def miniature(photograph: np.ndarray | None) -> np.ndarray | None:
    """What `order.spread` compares of a uint8 RGB photograph: uint8 grey `(48, 48)`."""
    if photograph is None:
        return None
    return to_grey(cv2.resize(photograph, (PHOTOGRAPH_SIDE,) * 2, interpolation=cv2.INTER_AREA))


def proposed(read: Iterable[tuple[str, np.ndarray | None, list[Reading]]]) -> list[str]:
    """The names of photographs without labels, the one whose answer teaches most first, see `order`.

    Args:
        read: the names, the photographs and what a model reads of them, as `PlateReader.read_files` gives them.
    """
    names, worth, looks = [], [], []
    for name, photograph, readings in read:
        names.append(name)
        worth.append(usefulness(readings))
        looks.append(miniature(photograph))
    ranked = sorted(range(len(names)), key=lambda number: -worth[number])
    return [names[number] for number in spread(ranked, looks.__getitem__)]


def _light(reading: Reading) -> Reading:
    """A reading without what it was read from: there may be twenty thousand of them."""
    return replace(reading, characters=None, glimpse=None, attention=None)
