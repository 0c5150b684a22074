"""Read the plates of photographs with a trained model.

Example:
    >>> from lpr_e2e import PlateReader
    >>> reader = PlateReader.load()
    >>> [reading.text for reading in reader.read("car.jpg")]
    ['123T4567']
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from numbers import Integral
from os import PathLike
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lpr_e2e.common.boxes import Letterbox, letterbox, upright_glimpse
from lpr_e2e.common.cores import available_cores
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import ACCEPTED, MAX_PIXELS, PictureError, read_size, to_picture
from lpr_e2e.common.photographs import as_text
from lpr_e2e.common.promise import checked_precision, least_certainty
from lpr_e2e.common.vocabulary import weakest
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.engines.loading import load_drivers
from lpr_e2e.prediction.format_rule import FormatRule
from lpr_e2e.prediction.models import find
from lpr_e2e.prediction.reading import Reading, to_reading

if TYPE_CHECKING:
    from lpr_e2e.prediction.engines.keras_model import PlateModel

# Decoding a batch takes far less time than Keras takes to read it.
DECODING_THREADS = 1
BATCH_SIZE = 8
# A seventh of reading is Python, which runs in one thread at a time; and each thread needs a hundred megabytes.
MOST_READERS = 8
CROPS_AT_ONCE = 64
# Pixels of the photographs in a batch, eight of six million, and of those that are decoded and wait or are being read:
# twice the largest photograph that there may be. A photograph that has more than a batch may is one of its own.
PIXELS_IN_A_BATCH, PIXELS_AHEAD = 50_000_000, 2 * MAX_PIXELS


class PlateReader:
    """Reads the plates of photographs with a trained model.

    Args:
        driver: the reading procedure over an engine.
        format: a regular expression that texts should match, or None: it decides between readings that are nearly as
            likely, and what does not match is not `ok`, see `lpr_e2e.prediction.format_rule`.
        several: called when there is more than one batch to read: gives drivers that read at the same time, each in a
            thread of its own, instead of `driver`. Without it, all is read in the thread that asks for it.
        precision: the share of the readings with status `ok` that shall be right, 0..1; see
            `lpr_e2e.common.promise.Promise.bar` for the default, and for a model that cannot promise as much.

    Raises:
        UserError: the format is no regular expression, or the precision no share.
    """

    def __init__(
        self,
        driver: Driver,
        format: str | None = None,
        several: Callable[[], Sequence[Driver]] | None = None,
        precision: float | None = None,
    ):
        self.driver, self.description = driver, driver.description
        self.vocabulary, self.procedure = driver.vocabulary, driver.procedure
        wanted = None if precision is None else checked_precision(precision)
        self.least_certainty = least_certainty(self.description.promise, wanted)
        self.rule = FormatRule(format, self.procedure.format_likelihood) if format else None
        self._several = several
        self._drivers: list[Driver] = []
        self._use_rule([driver])

    @property
    def format_warning(self) -> str:
        """What to tell a user whose format no plate of the model's country seems to meet; else ""."""
        return self.rule.warning(self.description.text_forms) if self.rule else ""

    @classmethod
    def of(cls, model: PlateModel, format: str | None = None, precision: float | None = None) -> PlateReader:
        """A reader with a Keras model, as its weights and its temperature are now."""
        from lpr_e2e.prediction.engines.keras_model import KerasEngine, describe

        return cls(Driver(KerasEngine(model), describe(model)), format, precision=precision)

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        format: str | None = None,
        threads: int | None = None,
        precision: float | None = None,
    ) -> PlateReader:
        """Load a model.

        Args:
            path: a `.keras` file, a folder that `lpr-e2e export` wrote, or the name of a model that comes with the
                project, see `lpr_e2e.prediction.models.find`. None takes `tunisia`, in its exported form if ONNX
                Runtime is installed, else with Keras.
            format, precision: as above.
            threads: how many cores an exported form is to use; by default those that this process may use. With Keras,
                its backend decides.

        Raises:
            UserError: there is no such model, or the file is none of this package; or `threads` is no number from 1 on.
            ImportError: what runs it is not installed.
        """
        if precision is not None:
            checked_precision(precision)  # Before a model is loaded, which takes seconds.
        cores = available_cores() if threads is None else _at_least_one("threads", threads)
        path = find(path)
        if path.is_dir():
            # Two threads with a batch each are faster than two threads that share every layer of one batch.
            readers = min(cores, MOST_READERS)
            (driver,) = load_drivers(path, 1, cores)
            return cls(driver, format, lambda: load_drivers(path, readers, cores // readers), precision)
        # Importing Keras takes seconds: a mistyped path is reported before that.
        from lpr_e2e.prediction.engines.keras_model import load_model

        return cls.of(load_model(path), format, precision)

    def read(self, photographs: Any) -> list[Reading] | list[list[Reading]]:
        """Read the plates of one photograph or of several.

        Args:
            photographs: a path, the bytes of a picture file, a file opened with `'rb'`, a Pillow picture or a uint8 RGB
                array `(h, w, 3)`; or a list, a generator or another iterable of these.

        Returns:
            The readings of one photograph (at least one `Reading`, the most certain first), or for several one such
            list per photograph. A file that cannot be read, or anything else in a list that is no picture, gives one
            reading with `status` `unreadable: REASON`.

        Raises:
            UserError: what was given alone is nothing of the kind; the message names what is taken.
        """
        if _is_one(photographs):
            if not isinstance(photographs, (str, PathLike)):
                photographs = to_picture(photographs)
            return next(self.read_files([_named(photographs)]))[2]
        return [readings for _, _, readings in self.read_files(map(_named, photographs))]

    def read_crops(self, crops: Iterable[Any]) -> list[Reading]:
        """Read pictures that show one upright plate each and hardly anything else, without looking for it.

        Args:
            crops: pictures as `read` takes them.

        Returns:
            one reading per crop, whose box is the whole picture; of what is no picture, `unreadable: REASON`.

        Raises:
            UserError: the crops are no list or other iterable; the message names what is taken.
        """
        if _is_one(crops):
            raise PictureError(f"{type(crops).__name__}: expected a list of crops, each {ACCEPTED}")
        return list(chain.from_iterable(map(self._read_crops, _batches(crops, CROPS_AT_ONCE))))

    def reading_of(
        self,
        characters: np.ndarray,
        box_px: Sequence[float],
        box_confidence: float,
        sides: tuple[int, int] | None = None,
    ) -> Reading:
        """The reading of a plate whose characters are known, such as those that several frames have voted for.

        Args:
            characters: probabilities, `(slots, classes)`.
            box_px: yxyx in pixels of its photograph.
            box_confidence: how sure it is that there is a plate, 0..1.
            sides: height and width of the photograph; None if it is known that the plate does not go on beyond it.
        """
        plate = {"boxes_px": np.asarray(box_px), "box_confidence": box_confidence, "characters": characters}
        return self._reading("", plate, sides)

    def _read_crops(self, batch: Sequence[Any]) -> list[Reading]:
        size, margin = self.description.glimpse_size, self.procedure.window_margin(1.0)
        pictures, readings = {}, {}
        for place, crop in enumerate(batch):
            try:
                pictures[place] = to_picture(crop)
            except PictureError as error:
                readings[place] = Reading("", status=f"unreadable: {error}")
        if pictures:
            boxes = {place: (0.0, 0.0, *map(float, one.shape[:2])) for place, one in pictures.items()}
            glimpses = [upright_glimpse(one, boxes[place], 0, size, margin) for place, one in pictures.items()]
            answers = self.driver.read_glimpses(np.stack(glimpses))
            for place, characters in zip(pictures, answers, strict=True):
                plate = {"boxes_px": boxes[place], "box_confidence": 1.0, "characters": characters}
                readings[place] = self._reading("", plate)
        return [readings[place] for place in range(len(batch))]

    def read_files(
        self, photographs: Iterable[tuple[str, Any]], batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[str, np.ndarray | None, list[Reading]]]:
        """Read any number of photographs, in order, with the memory of a few batches.

        The next batches are decoded, and with several drivers also read, while the caller uses this one.

        Args:
            photographs: pairs of img_id and picture, as `read` takes it (or the `PictureError` why there is none).
            batch_size: photographs per call of the model.

        Yields:
            img_id, the decoded photograph (uint8 RGB, EXIF rotation applied; None if unreadable), its readings.

        Raises:
            UserError: `batch_size` is no number from 1 on.
        """
        batches = _weighed_batches(photographs, _at_least_one("batch_size", batch_size))
        first = list(islice(batches, 2))
        if len(first) < 2:  # There is nothing to decode meanwhile, and starting a thread takes time.
            for batch, _ in first:
                yield from self._read_batch(self.driver, *self._decode_batch(batch))
            return
        batches = chain(first, batches)
        if self._several and not self._drivers:
            self._drivers = list(self._several())
            self._use_rule(self._drivers)
        drivers = self._drivers
        pool = ThreadPoolExecutor(len(drivers) or DECODING_THREADS)
        try:
            if drivers:
                free: SimpleQueue = SimpleQueue()
                for driver in drivers:
                    free.put(driver)
                found = _ahead(pool, lambda batch: self._read_with_one_of(free, batch), batches, len(drivers))
            else:
                decoded = _ahead(pool, self._decode_batch, batches, 1)
                found = (self._read_batch(self.driver, *batch) for batch in decoded)
            for batch in found:
                yield from batch
                del batch  # The next ones need the room of its photographs.
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _use_rule(self, drivers: Iterable[Driver]) -> None:
        """Let the drivers judge texts by the format, too: what only fits less certainly is less certain."""
        if self.rule is None:
            return
        rule = self.rule

        def certainty(characters: np.ndarray) -> np.ndarray:
            decoded = [rule.decode(one, self.vocabulary) for one in characters]
            doubts = [1.0 if rule.fits(text) else self.procedure.other_form for text, _ in decoded]
            return np.array([weakest(*one) * doubt for one, doubt in zip(decoded, doubts, strict=True)])

        for driver in drivers:
            driver.certainty = certainty

    def _read_with_one_of(self, free: SimpleQueue, batch: list) -> list:
        """Decode and read a batch with a driver that no other thread is using."""
        decoded = self._decode_batch(batch)
        driver = free.get()
        try:
            return list(self._read_batch(driver, *decoded))
        finally:
            free.put(driver)

    def _decode_batch(self, batch: list) -> tuple[list, np.ndarray]:
        """The img_id and what `_decode` gives of each photograph, and the canvases of the readable ones."""
        size = self.description.canvas_size
        canvases = np.empty((len(batch), size, size, 3), "uint8")
        decoded = [
            (img_id, self._decode(source, canvas)) for (img_id, source), canvas in zip(batch, canvases, strict=True)
        ]
        readable = [not isinstance(one, str) for _, one in decoded]
        return decoded, canvases if all(readable) else canvases[readable]

    def _decode(self, source: Any, canvas: np.ndarray) -> tuple[np.ndarray, Letterbox] | str:
        """`(photograph, frame)`, the photograph laid into the canvas; or the reason why there is none, as a string."""
        try:
            if isinstance(source, PictureError):
                raise source
            photograph = to_picture(source)
        except PictureError as error:
            return str(error)
        return photograph, letterbox(photograph, len(canvas), canvas, self.procedure.letterbox_grey)[1]

    def _read_batch(self, driver: Driver, decoded: list, canvases: np.ndarray) -> Iterator[tuple]:
        """Readings of what `_decode_batch` gives, in order."""
        readable = [one for _, one in decoded if not isinstance(one, str)]
        photographs, frames = [one for one, _ in readable], [frame for _, frame in readable]
        answers = iter(driver.read(photographs, canvases, frames) if readable else [])
        for img_id, one in decoded:
            if isinstance(one, str):
                yield img_id, None, [Reading(img_id, status=f"unreadable: {one}")]
            else:
                yield img_id, one[0], self._readings(img_id, next(answers), one[0].shape[:2])

    def _readings(self, img_id: str, seen: dict, sides: tuple[int, int]) -> list[Reading]:
        """The readings of one photograph of these sides, never empty, of what `Driver.read` gives."""
        # The confidence of the best candidate says by how much a plate was missed.
        best_box_confidence = float(np.nan_to_num(seen.pop("best_box_confidence")))
        plates = [{name: values[place] for name, values in seen.items()} for place in range(len(seen["boxes_px"]))]
        readings = [self._reading(img_id, plate, sides) for plate in plates]
        return readings or [Reading(img_id, box_confidence=best_box_confidence)]

    def _reading(self, img_id: str, plate: dict, sides: tuple[int, int] | None = None) -> Reading:
        forms, least = self.description.text_forms, self.least_certainty
        return to_reading(img_id, plate, self.vocabulary, self.procedure, self.rule, least, forms, sides)


def _is_one(photographs: Any) -> bool:
    """Whether this is one picture, or nothing at all that could be several."""
    if hasattr(photographs, "__array__"):  # A row of names, or a stack of pictures, is several; a numpy.str_ is a name.
        try:
            array = np.asarray(photographs)
        except Exception:  # It may lie on a device. `to_picture` says so.
            return True
        return array.ndim != 4 and not (array.ndim == 1 and array.dtype.kind in "OUT")
    one = isinstance(photographs, (str, bytes, bytearray, memoryview, PathLike, Mapping))
    one = one or hasattr(photographs, "read")
    return one or not isinstance(photographs, Iterable)


def _named(source: Any) -> tuple[str, Any]:
    """The img_id of a picture that a program hands over: a file's name, else none; and the picture."""
    name = ""
    if isinstance(source, (str, PathLike)):
        with contextlib.suppress(TypeError):  # A path that names no file: `to_picture` says so.
            name = as_text(Path(os.fsdecode(source)).name)
    return name, source


def _at_least_one(name: str, number: Any) -> int:
    """A number of things, checked.

    Raises:
        UserError: it is no whole number, or below 1.
    """
    if not isinstance(number, Integral) or number < 1:
        raise UserError(f"{name}: {number!r:.40}; expected a whole number of at least 1")
    return int(number)


def _batches(items: Iterable, size: int) -> Iterator[list]:
    """Lists of up to `size` of the items."""
    items = iter(items)
    return iter(lambda: list(islice(items, size)), [])


def _weighed_batches(photographs: Iterable[tuple[str, Any]], size: int) -> Iterator[tuple[list, int]]:
    """Lists of up to `size` photographs and `PIXELS_IN_A_BATCH`, at least of one, and how many pixels they have."""
    batch: list[tuple[str, Any]] = []
    pixels = 0
    for one in photographs:
        more = _pixels(one[1])
        if batch and pixels + more > PIXELS_IN_A_BATCH:
            yield batch, pixels
            batch, pixels = [], 0
        batch.append(one)
        pixels += more
        if len(batch) == size:
            yield batch, pixels
            batch, pixels = [], 0
    if batch:
        yield batch, pixels


def _pixels(source: Any) -> int:
    """How many pixels a photograph has; 0 where only decoding would tell, or where it cannot be read."""
    if isinstance(source, np.ndarray):
        return source.shape[0] * source.shape[1] if source.ndim == 3 else 0
    if isinstance(source, Image.Image):
        return source.width * source.height
    if not isinstance(source, (str, PathLike, bytes)):
        return 0
    try:
        size = read_size(source)
    except PictureError:
        return 0
    return size.height * size.width


def _ahead(pool: ThreadPoolExecutor, work: Callable, batches: Iterable[tuple[list, int]], count: int) -> Iterator:
    """What `work` makes of each batch, in order; the pool works on up to `count` of them, and on no more than
    `PIXELS_AHEAD`, before they are asked for."""
    waiting: deque[tuple[Future, int]] = deque()
    for batch, pixels in batches:
        while waiting and sum(of for _, of in waiting) + pixels > PIXELS_AHEAD:
            yield waiting.popleft()[0].result()
        waiting.append((pool.submit(work, batch), pixels))
        if len(waiting) > count:
            yield waiting.popleft()[0].result()
    while waiting:
        yield waiting.popleft()[0].result()
