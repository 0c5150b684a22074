"""Read the plates of photographs with a trained model.

Example:
    >>> from lpr_e2e import PlateReader
    >>> reader = PlateReader.load()
    >>> [reading.text for reading in reader.read("car.jpg")]
    ['123T4567']
"""

from __future__ import annotations

import importlib.util
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from lpr_e2e.common.boxes import letterbox, upright_glimpse
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.prediction.format_rule import FormatRule
from lpr_e2e.prediction.reading import (
    BOX_THRESHOLD,
    SURENESS_THRESHOLD,
    Reading,
    apart,
    is_sure,
    to_reading,
    to_readings,
)

DEFAULT_MODEL = Path(__file__).resolve().parents[2] / "saved_models" / "tunisia.keras"
EXPORTED_MODEL = DEFAULT_MODEL.with_suffix("")
# Decoding a batch takes far less time than Keras takes to read it.
DECODING_THREADS = 1
BATCH_SIZE = 8
# A seventh of reading is Python, which runs in one thread at a time; and each thread needs a hundred megabytes.
MOST_READERS = 8
CROPS_AT_ONCE = 64
# Where nothing is read with certainty, parts of the photograph are looked at: of this share of each side, and only
# readings this certain count. Of plate-free windows, none of 200 gave one above 0.7.
PART, CLOSER_CERTAINTY = 0.6, 0.8


class PlateReader:
    """Reads the plates of photographs with a trained model.

    Args:
        model: a `PlateModel` or an `ExportedModel`: attributes `vocabulary`, `canvas_size`, `glimpse_size`
            and `doubt`, methods `predict_on_batch`, `read_again` and `read_glimpses`.
        format: a regular expression that texts should match, or None: it decides between readings that are nearly as
            likely, see `lpr_e2e.prediction.format_rule`.
        several: called when there is more than one batch to read: gives models that read at the same time, each in a
            thread of its own, instead of `model`. Without it, all is read in the thread that asks for it.

    Raises:
        ValueError: the format is no regular expression.
    """

    def __init__(self, model, format: str | None = None, several: Callable[[], Sequence] | None = None):
        self.model = model
        self.rule = FormatRule(format) if format else None
        self.vocabulary = model.vocabulary
        self._several, self._models = several, []

    @classmethod
    def load(cls, path: Path | str | None = None, format: str | None = None) -> PlateReader:
        """Load a model.

        Args:
            path: a `.keras` file, or a folder that `lpr_e2e.export` wrote. None takes the model that comes with the
                project, in its exported form if ONNX Runtime is installed, else with Keras.
            format: as above.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no model of this package.
        """
        if path is None:
            path = (
                EXPORTED_MODEL if importlib.util.find_spec("onnxruntime") and EXPORTED_MODEL.is_dir() else DEFAULT_MODEL
            )
        path = Path(path)
        if path.is_dir():
            from lpr_e2e.prediction import exported

            def several():
                # Two threads with a batch each are faster than two threads that share every layer of one batch.
                cores = os.cpu_count() or 1
                readers = min(cores, MOST_READERS)
                return exported.load_several(path, readers, cores // readers)

            return cls(exported.load(path), format, several)
        if not path.is_file():
            raise FileNotFoundError(f"no model at {path}: name a .keras file with --model, or train one with train.py")
        # Importing TensorFlow takes seconds: a mistyped path should be reported before that.
        from lpr_e2e.model import plate_model as model

        return cls(model.load(path), format)

    def read(self, photographs):
        """Read the plates of one photograph or of several.

        Args:
            photographs: a path, or a uint8 RGB array `(h, w, 3)`, or a list of them.

        Returns:
            The readings of one photograph (at least one `Reading`, the most certain first), or for a list one such
            list per photograph. A file that cannot be read gives one reading with `status` `unreadable: REASON`.

        Raises:
            ValueError: an array is no uint8 RGB picture.
        """
        several = isinstance(photographs, (list, tuple))
        sources = photographs if several else [photographs]
        named = [("" if isinstance(source, np.ndarray) else Path(source).name, source) for source in sources]
        results = [readings for _, _, readings in self.read_files(named)]
        return results if several else results[0]

    def read_crops(self, crops: Sequence[np.ndarray]) -> list[Reading]:
        """Read pictures that show one upright plate each and hardly anything else, without looking for it.

        Args:
            crops: uint8 RGB arrays `(h, w, 3)`.

        Returns:
            one reading per crop, whose box is the whole picture.

        Raises:
            ValueError: an array is no uint8 RGB picture.
        """
        readings = []
        for start in range(0, len(crops), CROPS_AT_ONCE):
            batch = crops[start : start + CROPS_AT_ONCE]
            boxes = [(0.0, 0.0, *map(float, _checked(crop).shape[:2])) for crop in batch]
            glimpses = [
                upright_glimpse(crop, box, 0, self.model.glimpse_size) for crop, box in zip(batch, boxes, strict=True)
            ]
            for box, characters in zip(boxes, self.model.read_glimpses(np.stack(glimpses)), strict=True):
                readings.append(to_reading("", characters, box, 1.0, self.vocabulary, self.rule))
        return readings

    def read_files(
        self,
        photographs: Iterable[tuple[str, Path | str | bytes | np.ndarray | PictureError]],
        batch_size: int = BATCH_SIZE,
        fill: bool = False,
    ) -> Iterator[tuple[str, np.ndarray | None, list[Reading]]]:
        """Read any number of photographs, in order, with the memory of a few batches.

        The next batches are decoded, and with several models also read, while the caller uses this one.

        Args:
            photographs: pairs of img_id and file (or what the file holds, a uint8 RGB array, or the reason why there is
                neither).
            batch_size: photographs per call of the model.
            fill: fill a short batch up with empty canvases, as it is always done after a full one: the Keras model is
                compiled anew for every new size, which takes longer than to read a full batch.

        Yields:
            img_id, the decoded photograph (uint8 RGB, EXIF rotation applied; None if unreadable), its readings.
        """
        batches = _batches(photographs, batch_size)
        first, second = next(batches, []), next(batches, [])
        batches = chain(filter(None, (first, second)), batches)
        if second and self._several and not self._models:
            self._models = list(self._several())
        models = self._models if second else []
        pool = ThreadPoolExecutor(len(models) or DECODING_THREADS)
        try:
            if models:
                free: SimpleQueue = SimpleQueue()
                for model in models:
                    free.put(model)
                found = _ahead(pool, lambda batch: self._read_with_one_of(free, batch), batches, len(models))
            else:
                least = batch_size if fill or second else 0
                decoded = _ahead(pool, self._decode_batch, batches, 1)
                found = (self._read_batch(self.model, *batch, least) for batch in decoded)
            yield from chain.from_iterable(found)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _read_with_one_of(self, free: SimpleQueue, batch) -> list:
        """Decode and read a batch with a model that no other thread is using."""
        decoded = self._decode_batch(batch)
        model = free.get()
        try:
            return list(self._read_batch(model, *decoded))
        finally:
            free.put(model)

    def _decode_batch(self, batch) -> tuple[list, np.ndarray]:
        """The img_id and what `_decode` gives of each photograph, and the canvases of the readable ones."""
        canvases = np.empty((len(batch), self.model.canvas_size, self.model.canvas_size, 3), "uint8")
        decoded = [
            (img_id, self._decode(source, canvas)) for (img_id, source), canvas in zip(batch, canvases, strict=True)
        ]
        readable = [not isinstance(one, str) for _, one in decoded]
        return decoded, canvases if all(readable) else canvases[readable]

    def _decode(self, source, canvas: np.ndarray):
        """`(photograph, frame)`, the photograph laid into the canvas; or the reason why there is none, as a string."""
        try:
            if isinstance(source, PictureError):
                raise source
            if isinstance(source, np.ndarray):
                photograph = _checked(source)
            else:
                photograph = read_picture(source)
        except PictureError as error:
            return str(error)
        return photograph, letterbox(photograph, self.model.canvas_size, canvas)[1]

    def _outputs(self, model, canvases: np.ndarray) -> dict:
        """The model's outputs; where it reads with doubt, those of a reading from all sides if that is more certain."""
        outputs = {name: np.array(values) for name, values in model.predict_on_batch(canvases).items()}
        boxes = outputs["box_confidence"]
        certainties = np.array([[self.vocabulary.certainty(one) for one in plates] for plates in outputs["characters"]])
        # Beside a plate that is read, one with a box as doubtful as this is not reported, whatever it says.
        reported = (boxes >= BOX_THRESHOLD) & (
            (boxes >= SURENESS_THRESHOLD) | ~is_sure(certainties, boxes).any(1, keepdims=True)
        )
        for image, plate in np.argwhere(reported & (certainties < model.doubt)):
            seen = [outputs[name][image, plate] for name in ("boxes_rel", "turns")]
            answer = model.read_again(canvases[image], *seen)
            if self.vocabulary.certainty(answer["characters"]) > certainties[image, plate]:
                for name, values in answer.items():
                    outputs[name][image, plate] = values
        return outputs

    def _read_batch(self, model, decoded: list, canvases: np.ndarray, least: int = 0):
        """Readings of what `_decode_batch` gives, in order; the model gets at least this many canvases."""
        missing = least - len(canvases)
        if len(canvases) and missing > 0:
            canvases = np.concatenate([canvases, np.zeros((missing, *canvases.shape[1:]), "uint8")])
        outputs = self._outputs(model, canvases) if len(canvases) else {}
        index = 0
        for img_id, one in decoded:
            if isinstance(one, str):
                yield img_id, None, [Reading(img_id, status=f"unreadable: {one}")]
                continue
            photograph, frame = one
            readings = to_readings(outputs, index, img_id, frame, self.vocabulary, self.rule)
            if readings[0].status != "ok":
                readings = self._look_closer(model, img_id, photograph) or readings
            yield img_id, photograph, readings
            index += 1

    def _look_closer(self, model, img_id: str, photograph: np.ndarray) -> list[Reading]:
        """The certain readings in four overlapping parts of a photograph, the most certain first.

        For photographs on which nothing is read with certainty: in a part a small plate is larger.
        """
        sides = np.array(photograph.shape[:2])
        part = np.ceil(PART * sides).astype(int)
        corners = [tuple(np.array(corner) * (sides - part)) for corner in ((0, 0), (0, 1), (1, 0), (1, 1))]
        framed = [
            letterbox(photograph[top : top + part[0], left : left + part[1]], model.canvas_size)
            for top, left in corners
        ]
        outputs = model.predict_on_batch(np.stack([canvas for canvas, _ in framed]))
        readings = [
            replace(reading, box_px=tuple((np.array(reading.box_px) + np.tile(corner, 2)).tolist()))
            for index, (corner, (_, frame)) in enumerate(zip(corners, framed, strict=True))
            for reading in to_readings(outputs, index, img_id, frame, self.vocabulary, self.rule)
            if reading.status == "ok" and reading.confidence >= CLOSER_CERTAINTY
        ]
        return apart(readings)


def _batches(photographs: Iterable, size: int) -> Iterator[list]:
    """Lists of up to `size` of the photographs."""
    photographs = iter(photographs)
    return iter(lambda: list(islice(photographs, size)), [])


def _ahead(pool: ThreadPoolExecutor, work: Callable, items: Iterable, count: int) -> Iterator:
    """What `work` makes of each item, in order; the pool works on up to `count` items before they are asked for."""
    waiting: deque[Future] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _checked(picture: np.ndarray) -> np.ndarray:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise UserError(f"array {picture.shape} {picture.dtype}: expected a uint8 RGB picture (h, w, 3)")
    return picture
