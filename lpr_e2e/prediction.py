"""Read the plates of photographs with a trained model: from a program (`PlateReader`) or whole folders (`predict.py`).

Example:
    >>> reader = PlateReader.load()
    >>> [reading.text for reading in reader.read("car.jpg")]
    ['123T4567']
"""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from lpr_e2e.boxes import Letterbox, letterbox
from lpr_e2e.picture_files import PictureError, read_picture

DEFAULT_MODEL = Path(__file__).resolve().parent.parent / "saved_models" / "tunisia.keras"
# Boxes that the model believes in less than this are no plates.
BOX_THRESHOLD = 0.3
# A reading whose weakest character is less certain than this is more likely wrong than right.
CERTAINTY_THRESHOLD = 0.5
# Decoding a JPEG takes less time than reading its plates: two threads keep ahead of the model.
DECODING_THREADS = 2
BATCH_SIZE = 8
# What counts as a photograph in a folder. Formats that cannot be decoded here (HEIC) get a row that says so.
PICTURE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .jp2 .png .bmp .webp .gif .tif .tiff .ppm .pgm .heic .heif .avif".split()
)
COLUMNS = ("img_id", "text", "confidence", "ymin", "xmin", "ymax", "xmax", "box_confidence", "status")


@dataclass(frozen=True)
class Reading:
    """One plate of a photograph, or the reason why there is none.

    Attributes:
        img_id: the photograph's name.
        text: what the plate says; empty if nothing was read.
        confidence: probability of the weakest character, the end of the text included; 0 if nothing was read.
        box_px: yxyx in pixels of the photograph (after EXIF rotation), or None if there is no plate.
        box_confidence: how sure the model is that there is a plate; below `BOX_THRESHOLD` there is none.
        status: `ok`, `uncertain` (confidence below `CERTAINTY_THRESHOLD`), `no plate`, or `unreadable: REASON`.
        characters: float `(slots, classes)` probabilities behind the text, or None if there is no plate.
    """

    img_id: str
    text: str = ""
    confidence: float = 0.0
    box_px: tuple[float, float, float, float] | None = None
    box_confidence: float = 0.0
    status: str = "no plate"
    characters: np.ndarray | None = field(default=None, repr=False, compare=False)

    def row(self) -> list[str]:
        """The values of `COLUMNS`, as they are written to `predictions.csv`."""
        box = ["" for _ in range(4)] if self.box_px is None else [f"{value:.1f}" for value in self.box_px]
        return [self.img_id, self.text, f"{self.confidence:.4f}", *box, f"{self.box_confidence:.4f}", self.status]


def to_readings(outputs: dict, index: int, img_id: str, frame: Letterbox, vocabulary) -> list[Reading]:
    """The readings of one photograph of a batch, most confident box first; never empty.

    Args:
        outputs: what the model's `predict_on_batch` returned: `boxes_rel` `(B, K, 4)` yxyx, `box_confidence` `(B, K)`,
            `characters` `(B, K, slots, classes)`.
        index: the photograph's place in the batch.
        img_id: its name.
        frame: how it was laid into the canvas.
        vocabulary: the model's.
    """
    confidences = np.asarray(outputs["box_confidence"][index], "float64")
    readings = []
    for plate in np.argsort(-confidences, kind="stable"):
        if not confidences[plate] >= BOX_THRESHOLD:
            continue
        characters = np.asarray(outputs["characters"][index][plate])
        text, certainties = vocabulary.decode(characters)
        confidence = float(certainties.min()) if text else 0.0
        if not text:
            status = "unreadable: a plate without legible characters"
        else:
            status = "ok" if confidence >= CERTAINTY_THRESHOLD else "uncertain"
        box_px = tuple(frame.to_px(outputs["boxes_rel"][index][plate]).tolist())
        readings.append(Reading(img_id, text, confidence, box_px, float(confidences[plate]), status, characters))
    # The confidence of the best candidate is kept: it says by how much the threshold was missed.
    return readings or [Reading(img_id, box_confidence=float(np.nan_to_num(confidences).max(initial=0.0)))]


class PlateReader:
    """Reads the plates of photographs with a trained model.

    Args:
        model: a model of `lpr_e2e.model`: attributes `vocabulary` and `canvas_size`, and `predict_on_batch`.
    """

    def __init__(self, model):
        self.model = model
        self.vocabulary = model.vocabulary

    @classmethod
    def load(cls, path: Path | str | None = None) -> PlateReader:
        """Load a `.keras` file; without a path the model that comes with the project.

        Raises:
            FileNotFoundError: there is no such file.
        """
        path = Path(path or DEFAULT_MODEL)
        if not path.is_file():
            raise FileNotFoundError(f"no model at {path}: name a .keras file with --model, or train one with train.py")
        # Importing TensorFlow takes seconds: a mistyped path should be reported before that.
        from lpr_e2e import model

        return cls(model.load(path))

    def read(self, photographs):
        """Read the plates of one photograph or of several.

        Args:
            photographs: a path, or a uint8 RGB array `(h, w, 3)`, or a list of them.

        Returns:
            The readings of one photograph (at least one `Reading`, most confident box first), or for a list one such
            list per photograph. A file that cannot be read gives one reading with `status` `unreadable: REASON`.

        Raises:
            ValueError: an array is no uint8 RGB picture.
        """
        several = isinstance(photographs, (list, tuple))
        sources = photographs if several else [photographs]
        named = [("" if isinstance(source, np.ndarray) else Path(source).name, source) for source in sources]
        results = [readings for _, _, readings in self.read_files(named)]
        return results if several else results[0]

    def read_files(
        self, photographs: Iterable[tuple[str, Path | str | np.ndarray]], batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[str, np.ndarray | None, list[Reading]]]:
        """Read any number of photographs, in order, with the memory of two batches.

        The next batch is decoded by threads while the model reads this one.

        Args:
            photographs: pairs of img_id and file (or uint8 RGB array).
            batch_size: photographs per call of the model.

        Yields:
            img_id, the decoded photograph (uint8 RGB, EXIF rotation applied; None if unreadable), its readings.
        """
        photographs = iter(photographs)
        pool = ThreadPoolExecutor(DECODING_THREADS)

        def start_decoding():
            return [(img_id, pool.submit(self._decode, source)) for img_id, source in islice(photographs, batch_size)]

        try:
            batch = start_decoding()
            while batch:
                upcoming = start_decoding()
                yield from self._read_batch([(img_id, future.result()) for img_id, future in batch])
                batch = upcoming
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _decode(self, source):
        """`(photograph, canvas, frame)`, or the reason why there is none, as a string."""
        if isinstance(source, np.ndarray):
            if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
                raise ValueError(f"array {source.shape} {source.dtype}: expected a uint8 RGB picture (h, w, 3)")
            photograph = source
        else:
            if os.path.exists(source) and not os.path.isfile(source):  # Opening a pipe would wait for ever.
                return "no regular file, or a folder that cannot be listed"
            try:
                photograph = read_picture(source)
            except PictureError as error:
                return str(error)
        return photograph, *letterbox(photograph, self.model.canvas_size)

    def _read_batch(self, batch):
        """Readings of `(img_id, result of _decode)` pairs, in order."""
        canvases = [decoded[1] for _, decoded in batch if not isinstance(decoded, str)]
        outputs = self.model.predict_on_batch(np.stack(canvases)) if canvases else {}
        index = 0
        for img_id, decoded in batch:
            if isinstance(decoded, str):
                yield img_id, None, [Reading(img_id, status=f"unreadable: {decoded}")]
                continue
            photograph, _, frame = decoded
            yield img_id, photograph, to_readings(outputs, index, img_id, frame, self.vocabulary)
            index += 1


def find_photographs(arguments: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """The photographs that files, folders and glob patterns stand for, sorted within each argument.

    A folder stands for all files in it and below that are named like pictures (`PICTURE_SUFFIXES`), without hidden
    ones and without the annotated pictures of an earlier run (a folder `pictures` beside a `predictions.csv`).
    A file that is named itself is taken whatever its name.

    Returns:
        Pairs of img_id and path. The img_id is the path below the folder given, with `/`; the name alone for a file
        given; and where that would name two files alike, the path below the folder that holds all of them.

    Raises:
        FileNotFoundError: an argument stands for nothing.
        ValueError: there is no picture in all the folders given.
    """
    found: dict[str, str] = {}  # Absolute path to img_id.
    for argument in map(str, arguments):
        matches = [argument] if os.path.lexists(argument) else sorted(glob.glob(argument, recursive=True))
        if not matches:
            raise FileNotFoundError(f"{argument}: no such file or folder")
        for match in matches:
            for path in _pictures_below(match) if os.path.isdir(match) else [match]:
                img_id = Path(path).relative_to(match).as_posix() if path != match else Path(path).name or path
                found.setdefault(os.path.abspath(path), img_id)
    if not found:
        raise ValueError(f"no pictures in {', '.join(map(str, arguments))} (names ending in .jpg, .png and so on)")
    if len(set(found.values())) < len(found):
        common = os.path.commonpath([os.path.dirname(path) for path in found])
        found = {path: Path(path).relative_to(common).as_posix() for path in found}
    return [(img_id, Path(path)) for path, img_id in found.items()]


def _pictures_below(folder: str) -> list[str]:
    """Paths of the files named like pictures in a folder and below it, links followed, sorted."""
    paths: list[str] = []
    seen = set()  # Real paths, so that a link to a folder above ends.

    def note_unlisted(error: OSError) -> None:
        paths.append(error.filename)  # A folder that cannot be listed gets a row with the reason.

    for parent, folders, names in os.walk(folder, followlinks=True, onerror=note_unlisted):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not (name == "pictures" and "predictions.csv" in names)
        )
        if os.path.realpath(parent) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(parent))
        paths += [
            os.path.join(parent, name)
            for name in sorted(names)
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    return paths


def default_output(arguments: Sequence[str | Path]) -> Path:
    """`predictions` in the current folder; beside the photographs' folder where that would lie within it."""
    output = Path.cwd() / "predictions"
    folders = [Path(argument).resolve() for argument in arguments if os.path.isdir(argument)]
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        if output.is_relative_to(folder):
            output = folder.parent / "predictions"
    return output


class PredictionsWriter:
    """Writes `predictions.csv` and the annotated pictures of a folder as the readings come.

    Every photograph's rows are on disk before the next one's are written. To be used in a `with` statement.

    Args:
        output: the folder; made if it is missing. An earlier `predictions.csv` in it is replaced.
        pictures: whether to draw the annotated pictures, `output/pictures/IMG_ID` (`.jpg` is added to other names).
        photographs: what will be read.

    Raises:
        ValueError: an annotated picture could overwrite a photograph.
        OSError: the folder cannot be written.
    """

    def __init__(self, output: Path, pictures: bool, photographs: Sequence[tuple[str, Path]]):
        self.csv_path = output / "predictions.csv"
        self.pictures = output / "pictures" if pictures else None
        self.count = 0
        clash = self.pictures and next(
            (path for _, path in photographs if path.resolve().is_relative_to(self.pictures.resolve())), None
        )
        if clash:
            raise ValueError(
                f"{clash}: annotated pictures are written to {self.pictures}, over photographs like this one; "
                "name another folder with --output, or use --no-pictures"
            )
        output.mkdir(parents=True, exist_ok=True)
        # A file name that is no valid text is written with \\x escapes, so that the CSV is always UTF-8.
        self._file = self.csv_path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(COLUMNS)

    def __enter__(self) -> PredictionsWriter:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Write one photograph's rows and its annotated picture (none for an unreadable file)."""
        self._csv.writerows(reading.row() for reading in readings)
        self._file.flush()
        self.count += 1
        if self.pictures and photograph is not None:
            from lpr_e2e.pictures import annotate, write_jpeg

            name = img_id if img_id.lower().endswith((".jpg", ".jpeg")) else f"{img_id}.jpg"
            write_jpeg(self.pictures / name, annotate(photograph, readings))
