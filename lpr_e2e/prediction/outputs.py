"""What a prediction leaves: `predictions.csv`, `predictions.jsonl`, and the annotated pictures."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import WholeLines, csv_lines, owned
from lpr_e2e.prediction.pictures import annotate, write_picture
from lpr_e2e.prediction.reading import COLUMNS, Reading

# What is in the folder of a prediction: the first one always.
CSV, JSONL, PICTURES = "predictions.csv", "predictions.jsonl", "pictures"
# The page; copies on which no plate can be read, and the list of what was hidden.
REPORT, REDACTED, REDACTED_CSV = "report.html", "redacted", "redacted.csv"
# What only some predictions have, beside the pictures; and the file that each comes with.
_OPTIONAL = {JSONL: JSONL, REPORT: REPORT, REDACTED: REDACTED_CSV, REDACTED_CSV: REDACTED_CSV}
# The lock of a folder that a prediction writes into.
_LOCK = ".predictions.lock"
# A name in a folder may have so many bytes.
_LONGEST_NAME = 255


def default_output(arguments: Sequence[str | Path]) -> Path:
    """`predictions` in the current folder; beside the photographs' folder where that would lie within it."""
    output = Path.cwd() / "predictions"
    folders = [Path(argument).resolve() for argument in arguments if os.path.isdir(argument)]
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        if output.is_relative_to(folder):
            output = folder.parent / "predictions"
    return output


def is_predictions(path: Path) -> bool:
    """Whether a file is a `predictions.csv` that a prediction wrote, or began to, and no other table of that name.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.readline(1000)
    return not header or (header.startswith(b"img_id,text,") and b"confidence" in header)


class PredictionsWriter:
    """Writes `predictions.csv` and the annotated pictures of a folder as the readings come.

    Every photograph's rows are on disk before the next one's are written. The folder is this writer's alone from the
    beginning to the end of the `with` statement that it is to be used in, or of the process.

    Args:
        output: the folder; made if it is missing. An earlier `predictions.csv` in it is replaced.
        pictures: whether to draw the annotated pictures, `output/pictures/IMG_ID` (`.jpg` is added to other names, and
            a number to those that a system may take for one that there is).
        photographs: what will be read.

    Raises:
        UserError: an annotated picture could overwrite a photograph, or another process writes into the folder.
        OSError: the folder cannot be written.

    Attributes:
        count: photographs written so far.
        statuses: of the most certain readings, counted, without the reasons.
    """

    def __init__(self, output: Path, pictures: bool, photographs: Sequence[tuple[str, Path]]):
        self.csv_path = output / CSV
        self.pictures = output / PICTURES if pictures else None
        self.count = 0
        self.statuses: Counter = Counter()
        if self.pictures:
            refuse_over_photographs(self.pictures, "use --no-pictures", photographs)
        output.mkdir(parents=True, exist_ok=True)
        self._names = PictureNames()
        self._drawn: set[str] = set()
        refusal = f"{output}: another process writes its predictions there; wait, or name another folder with --output"
        with contextlib.ExitStack() as stack:
            stack.enter_context(owned(output / _LOCK, refusal))
            stack.callback((output / _LOCK).unlink, missing_ok=True)
            self._file = WholeLines(self.csv_path)
            stack.callback(self._file.close)
            self._file.write(csv_lines([COLUMNS]))
            self._end = stack.pop_all()

    def __enter__(self) -> PredictionsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Write one photograph's rows and its annotated picture (none for an unreadable file)."""
        self._file.write(csv_lines([reading.row() for reading in readings]))
        self.count += 1
        self.statuses[max(readings, key=lambda reading: reading.certainty).status.split(":")[0]] += 1
        if self.pictures and photograph is not None:
            name = self._names.name(img_id)
            write_picture(own_file(self.pictures, name), annotate(photograph, readings))
            self._drawn.add(name)

    def others(self, written: Collection[str]) -> list[str]:
        """What is in the folder and is named like a result, but is none of this prediction: for people.

        Args:
            written: the names of this one's files, beside the table and the pictures.
        """
        output = self.csv_path.parent
        found = [name for name, file in _OPTIONAL.items() if file not in written and os.path.lexists(output / name)]
        drawn = {os.path.join(output / PICTURES, name) for name in self._drawn}
        in_folder = (os.path.join(folder, name) for folder, _, names in os.walk(output / PICTURES) for name in names)
        count = sum(path not in drawn for path in in_folder)
        return found + [f"{count} in {PICTURES}"] * (count > 0)


class PictureNames:
    """Names for the pictures made of photographs, no two of which a system may take for one.

    Args:
        endings: of the formats in which pictures are written, the first one for photographs of other formats.
    """

    def __init__(self, endings: Sequence[str] = (".jpg", ".jpeg")):
        self._endings = tuple(endings)
        # What is taken, in a form in which systems may compare names, and whether it is a folder.
        self._taken: dict[str, bool] = {}
        self._folders: dict[str, str] = {}

    def name(self, img_id: str) -> str:
        """The name of a photograph's picture, in the folders of its own.

        `a.png` and `a.png.jpg`, or `A.jpg` and `a.jpg` where a system does not tell them apart, are two pictures all
        the same; so are they where a folder has such a name; and a photograph's name may be as long as names can be.
        """
        folder, name = os.path.split(img_id)
        stem, ending = os.path.splitext(name) if name.lower().endswith(self._endings) else (name, self._endings[0])
        name = self._free(self._folder(folder), stem, ending, is_folder=False)
        # Names are UTF-8, also where the system says that they are ASCII.
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))

    def _folder(self, folder: str) -> str:
        """Where the pictures of a folder go."""
        above, own = os.path.split(folder)
        if own and folder not in self._folders:
            self._folders[folder] = self._free(self._folder(above), own, "", is_folder=True)
        return self._folders.get(folder, folder)

    def _free(self, folder: str, stem: str, ending: str, is_folder: bool) -> str:
        """A name that nothing else has; folders may share theirs."""
        for number in itertools.count(1):
            name = os.path.join(folder, _fitting(stem, ending if number == 1 else f" ({number}){ending}"))
            alike = unicodedata.normalize("NFC", name).casefold()
            if is_folder and self._taken.get(alike):
                return name
            if alike not in self._taken:
                break
        self._taken[alike] = is_folder
        return name


def own_file(folder: Path, name: str) -> Path:
    """Where a picture of this name goes within a folder of ours. A link that lies there is removed, not followed.

    Raises:
        OSError: a folder on the way is a link that leads out of ours.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(folder)):
        raise OSError(f"{path.parent}: leads out of {folder}; remove the link")
    if path.is_symlink():
        path.unlink()
    return path


def refuse_over_photographs(folder: Path, option: str, photographs: Sequence[tuple[str, Path]]) -> None:
    """Make sure that no photograph lies where pictures of them will be written.

    Args:
        folder: where they will be.
        option: what to do instead, of the command, besides naming another folder with `--output`.
        photographs: what will be read.

    Raises:
        UserError: one lies there.
    """
    real = Path(os.path.realpath(folder))  # Not by Path.resolve, which a link to itself makes raise.
    clash = next((path for _, path in photographs if Path(os.path.realpath(path)).is_relative_to(real)), None)
    if clash:
        raise UserError(
            f"{clash}: pictures are written to {folder}, over photographs like this one; name another folder with "
            f"--output, or {option}"
        )


def _fitting(stem: str, ending: str) -> str:
    """A file name of at most `_LONGEST_NAME` bytes: as much of the stem as there is room for, and the ending."""
    room = _LONGEST_NAME - len(ending.encode())
    encoded = stem.encode("utf-8", "surrogateescape")
    return (stem if len(encoded) <= room else encoded[:room].decode(errors="ignore")) + ending


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

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Write one photograph's plates, at least one line."""
        self._file.write("".join(as_json(img_id, reading) + "\n" for reading in readings))
