"""Files in and out of a prediction: which photographs are meant, `predictions.csv`, the annotated pictures."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lpr_e2e.pictures import annotate, write_jpeg
from lpr_e2e.reading import COLUMNS, Reading

# What counts as a photograph in a folder. Formats that cannot be decoded here (HEIC) get a row that says so.
PICTURE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .jp2 .png .bmp .webp .gif .tif .tiff .ppm .pgm .heic .heif .avif".split()
)


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


class WholeLines:
    """A text file in which everything that is written at once is on disk at once, or not at all.

    A name of a file that is no valid text is written with \\x escapes, so that the file is always UTF-8.

    Args:
        path: the file; an earlier one is replaced.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path):
        self._file = path.open("wb", buffering=0)

    def write(self, lines: str) -> None:
        """Append some lines; if there is no room for all of them (`OSError`), none is left."""
        before, data = self._file.tell(), lines.encode("utf-8", errors="backslashreplace")
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            self._file.truncate(before)
            self._file.seek(before)
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def csv_lines(rows: Iterable[Sequence[str]]) -> str:
    """Rows as they stand in a CSV file, each with its line end."""
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()


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

    Attributes:
        count: photographs written so far.
        statuses: of the most certain readings, counted, without the reasons.
    """

    def __init__(self, output: Path, pictures: bool, photographs: Sequence[tuple[str, Path]]):
        self.csv_path = output / "predictions.csv"
        self.pictures = output / "pictures" if pictures else None
        self.count = 0
        self.statuses: Counter = Counter()
        clash = self.pictures and next(
            (path for _, path in photographs if path.resolve().is_relative_to(self.pictures.resolve())), None
        )
        if clash:
            raise ValueError(
                f"{clash}: annotated pictures are written to {self.pictures}, over photographs like this one; "
                "name another folder with --output, or use --no-pictures"
            )
        output.mkdir(parents=True, exist_ok=True)
        self._file = WholeLines(self.csv_path)
        self._file.write(csv_lines([COLUMNS]))

    def __enter__(self) -> PredictionsWriter:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Write one photograph's rows and its annotated picture (none for an unreadable file)."""
        self._file.write(csv_lines([reading.row() for reading in readings]))
        self.count += 1
        self.statuses[max(readings, key=lambda reading: reading.certainty).status.split(":")[0]] += 1
        if self.pictures and photograph is not None:
            name = img_id if img_id.lower().endswith((".jpg", ".jpeg")) else f"{img_id}.jpg"
            write_jpeg(self.pictures / name, annotate(photograph, readings))


def as_json(img_id: str, reading: Reading) -> str:
    """One plate as a JSON object.

    Its keys are the columns of `predictions.csv`, with null for what is not known, and `certainties`: the probability
    of each character of the text and of its end.
    """
    box = reading.box_px or (None,) * 4
    values = (img_id, reading.text, reading.confidence, *box, reading.box_confidence, reading.status)
    return json.dumps({**dict(zip(COLUMNS, values, strict=True)), "certainties": list(reading.certainties)})


class JsonLines:
    """Writes one JSON object per plate and line, see `as_json`, as the readings come; to be used in a `with` statement.

    Args:
        path: the file; an earlier one is replaced.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path):
        self._file = WholeLines(path)

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Write one photograph's plates, at least one line."""
        self._file.write("".join(as_json(img_id, reading) + "\n" for reading in readings))
