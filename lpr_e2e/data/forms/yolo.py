"""Labels of YOLO: pictures in folders `images`, beside them folders `labels` with a text file for each picture.

A line of a text file is `class x_center y_center width height`, in shares of the picture's width and height, perhaps
with the plate's corners behind it; or a class and the corners of a polygon, whose bounding box is taken. A picture with
an empty text file, or with none, is a photograph without a plate.
`data.yaml` says which folders or lists of files are to train on (`train`) and to hold out
(`val`), and what the classes are called; without it, folders say it by their names and `classes.txt` has the names.
The format: https://docs.ultralytics.com/datasets/detect/. YOLO's labels have no texts.

Read by ourselves, but for `data.yaml`: libraries such as supervision stop at the first faulty line, or clip and drop it
without a word.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lpr_e2e.common.photographs import PICTURE_SUFFIXES
from lpr_e2e.common.terminal import many
from lpr_e2e.data.forms.sources import (
    around,
    files_in,
    finite,
    folders_in,
    note_on_classes,
    pictures_below,
    plate_classes,
    read_text,
    shown,
)
from lpr_e2e.data.labels import LabelOptions, Labels, names_test, names_validation
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import DatasetError, Row

ABOUT = "YOLO: data.yaml with train and names, or text files in labels/ beside images/"
SUFFIXES = (".yaml", ".yml")

_ROLES = ("train", "val", "valid", "validation", "test")
_NO_LABELS = frozenset(("classes.txt", "notes.txt", "readme.txt", "readme.dataset.txt", "readme.roboflow.txt"))
# Text files that are looked into to know a folder of labels.
_LOOKED_AT = 5
# How far a corner of a plate may be out of its box, in shares of its sides.
_SLACK = 0.1


@dataclass
class _Set:
    """Pictures of one part of a set: their folder, their paths below it, and where their text files are.

    `roots` are the folders below which a picture's text file lies as its picture does below `folder`.
    """

    part: str
    folder: Path
    names: list[str]
    roots: list[Path] = field(default_factory=list)


def recognises(path: Path) -> bool:
    """Whether a file is a `data.yaml`, or a folder holds labels without one.

    Raises:
        DatasetError: it is no YAML.
    """
    if path.is_dir():
        return any(_looks_like_labels(folder) for folder in _label_folders(path))
    content = _read_yaml(path)
    return isinstance(content, dict) and ("names" in content or "nc" in content) and any(map(content.get, _ROLES))


def read(path: Path, options: LabelOptions) -> list[Labels]:
    """Read a set by its `data.yaml`, or a folder that has none; a row's number is the line of its text file.

    Raises:
        DatasetError: `data.yaml` cannot be read, names folders that are not there, or no picture has a text file.
        UserError: it cannot be told which class the plates' is.
    """
    if path.is_dir():
        sets, names = list(_sets_of_folder(path, options)), _class_list(path)
    else:
        content = _read_yaml(path)
        if not isinstance(content, dict):
            raise DatasetError(f"{path}: expected the keys train, val and names; found none")
        sets, names = list(_sets_of_yaml(path, content)), _class_names(content.get("names"))
    notes = []
    if len({one.folder for one in sets}) == 1 and all(one.names == sets[0].names for one in sets[1:]) and sets[1:]:
        notes.append(f"{path}: {sets[0].part} and {sets[1].part} are the same pictures, so nothing is held out by it.")
        sets = sets[:1]
    lines = [_Lines(one) for one in sets]
    if not any(one.files for one in lines):
        looked = ", ".join(str(root) for one in sets for root in one.roots) or "no folder"
        raise DatasetError(f"{path}: no text file for any picture; expected one for most of them; looked in {looked}")
    used: Counter = Counter()
    for one in lines:
        used.update(_called(key, names) for key in one.classes())
    taken = plate_classes(used, options.category, path, names.values())
    keys = {key for one in lines for key in one.classes() if _called(key, names) in taken}
    found = []
    for one in lines:
        held = names_validation(one.pictures.part)
        found.append(Labels(path, held_out=held, box_form="rel_center_xywh", pictures=(one.pictures.folder,)))
        one.labels(found[-1], keys)
    found[0].notes[:0] = [*notes, *note_on_classes(used, taken, path)]
    found[0].problems += _without_picture(lines)
    return found


def _called(key: str, names: dict[str, str]) -> str:
    """What a class is called."""
    return names.get(key, f"class {key}")


class _Lines:
    """The lines of the text files of one part of a set."""

    def __init__(self, pictures: _Set):
        self.pictures = pictures
        self.files: dict[str, tuple[str, list[str]]] = {}  # By picture: the text file's name, and its lines.
        self.paths: dict[Path, Path] = {}  # Every text file that is a picture's, and the root it lies below.
        self._problems: list[Problem] = []
        self._unread: set[str] = set()
        for name in pictures.names:
            below = PurePosixPath(name).with_suffix(".txt")
            places = [(one, one / below.with_suffix(suffix)) for one in pictures.roots for suffix in (".txt", ".TXT")]
            root, path = next((place for place in places if place[1].is_file()), (None, None))
            if root is None or path is None:
                continue
            self.paths[path] = root
            try:
                self.files[name] = _shown(path), read_text(path, "a text file of labels").splitlines()
            except DatasetError as error:
                self._unread.add(name)
                message = f"{error}; its picture is not used"
                self._problems.append(Problem(_shown(path), None, name, "unreadable labels", message))

    def classes(self) -> Iterator[str]:
        """The class of each line, as the number that is written."""
        for _, lines in self.files.values():
            yield from filter(None, (_class_of(line.split()[0]) for line in lines if line.strip()))

    def labels(self, labels: Labels, keys: set[str]) -> None:
        """Add what these lines say of the classes with these numbers."""
        labels.problems += self._problems
        missing = [name for name in self.pictures.names if name not in self.files and name not in self._unread]
        if missing:
            pictures = many(len(missing), "picture")
            labels.notes.append(
                f"{self.pictures.folder}: {pictures} without a text file ({missing[0]} and so on), taken for "
                "photographs without a plate."
            )
        for name in self.pictures.names:
            if name in self._unread:
                continue
            file, lines = self.files.get(name, (name, []))
            numbered = [(number, line.split()) for number, line in enumerate(lines, start=1)]
            plates = [
                (number, values) for number, values in numbered if values and _class_of(values[0]) in (None, *keys)
            ]
            for number, values in plates:
                box, row = _box(values[1:]), Row(file, number, name, None, None)
                if box is None or _class_of(values[0]) is None:
                    message = "expected class, x_center, y_center, width and height, or a polygon; skipped, correct it"
                    labels.give_up(row, shown(" ".join(values)), "non-numeric box", message)
                else:
                    labels.add(row, box)
            if not plates:
                labels.add(Row(file, 1, name, None, None))


def _without_picture(sets: list[_Lines]) -> Iterator[Problem]:
    """Text files that no picture has the name of."""
    taken = {path for one in sets for path in one.paths}
    message = "expected a picture of the same name; its labels are not used, add it or remove the file"
    for root in sorted({root for one in sets for root in one.paths.values()}):
        for path in sorted(root.rglob("*.txt")):
            parts = path.relative_to(root).parts
            if path not in taken and path.name.lower() not in _NO_LABELS and not any(map(names_test, parts)):
                yield Problem(_shown(path), None, path.name, "labels without a picture", message)


def _shown(path: Path) -> str:
    """A text file's name, with the folder that holds it."""
    return f"{path.parent.name}/{path.name}"


def _class_of(value: str) -> str | None:
    """The class that the first value of a line says, as `data.yaml` numbers it; None if it says none."""
    number = finite([value])
    return str(int(number[0])) if number is not None and number[0] >= 0 and number[0] == int(number[0]) else None


def _box(values: list[str]) -> tuple[float, float, float, float] | None:
    """The box of the values after a class: the four of a box, perhaps with corners, or the corners of a polygon."""
    found = finite(values)
    if found is None or len(found) < 4:
        return None
    if len(found) == 4 or any(_are_points_of_box(found, each) for each in (2, 3)):
        return found[0], found[1], found[2], found[3]
    if len(found) % 2 or len(found) < 6:
        return None
    xmin, ymin, xmax, ymax = around(list(zip(found[::2], found[1::2], strict=True)))
    return (xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin


def _are_points_of_box(values: Sequence[float], each: int) -> bool:
    """Whether behind a box there are points of so many values each: three or more, in the box and all over it.

    So are the corners of plates written, as poses. The third value of a point says whether it is seen; one that is not
    has zeros, or -1 in older files. Four corners alone are never taken for a box with points.
    """
    x, y, width, height = values[:4]
    rest = values[4:]
    if len(rest) % each or len(rest) < 3 * each:
        return False
    points = [(rest[place], rest[place + 1]) for place in range(0, len(rest), each)]
    seen = [point for point in points if point not in ((0, 0), (-1, -1))]
    if not seen:
        return True
    xmin, ymin, xmax, ymax = around(seen)
    half_width, half_height = (0.5 + _SLACK) * width, (0.5 + _SLACK) * height
    inside = max(x - xmin, xmax - x) <= half_width and max(y - ymin, ymax - y) <= half_height
    return inside and (len(seen) < len(points) or (xmax - xmin >= width / 2 and ymax - ymin >= height / 2))


def _read_yaml(path: Path) -> Any:
    """What a YAML file holds, without making objects of anything but plain values."""
    import yaml

    try:
        return yaml.safe_load(read_text(path, "a data.yaml"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DatasetError(f"{path}: expected a data.yaml, which is YAML; found otherwise ({reason[:200]})") from None


def _class_names(names: Any) -> dict[str, str]:
    """The classes' names by their number as it is written in labels."""
    pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ()
    return {str(key): str(name) for key, name in pairs if isinstance(name, str | int)}


def _class_list(folder: Path) -> dict[str, str]:
    """The classes' names by their number: of a `classes.txt`, or of a `data.yaml` that says nothing else."""
    for path in files_in(folder, *SUFFIXES):
        content = _read_yaml(path)
        if isinstance(content, dict) and (names := _class_names(content.get("names"))):
            return names
    places = [folder, *_label_folders(folder)]
    lists = [path for place in places for path in files_in(place, ".txt") if path.name.lower() == "classes.txt"]
    lists += [path for place in (*places, folder.parent) for path in files_in(place, ".names")]  # Darknet, CVAT.
    return _class_names(read_text(lists[0], "a list of classes").split("\n")) if lists else {}


def _sets_of_yaml(path: Path, content: dict) -> Iterator[_Set]:
    """The parts of a set that a `data.yaml` names; test sets are left alone.

    Raises:
        DatasetError: a folder or list is not there, or there is none.
    """
    for role in _ROLES[:-1]:
        places = content.get(role)
        for place in places if isinstance(places, list) else [places] if places else []:
            found = _place(path, content.get("path"), place) if isinstance(place, str) else None
            if found is None:
                said = place if isinstance(place, str) else "no text"
                raise DatasetError(f"{path}: {role}: {said}: no such folder; expected a folder or list of pictures")
            if found.is_dir():
                yield _Set(role, found, pictures_below(found), _roots(found))
            else:
                yield from _sets_of_list(role, found)
    if not any(content.get(role) for role in _ROLES[:-1]):
        raise DatasetError(f"{path}: expected the keys train and val with folders; found none")


def _place(path: Path, root: Any, place: str) -> Path | None:
    """The folder or file that a `data.yaml` means.

    Roboflow writes `../train/images` for the folder `train/images` beside the file.
    """
    root = root if isinstance(root, str) else ""
    bases = [path.parent / root] if root else []
    written = place.replace("\\", "/")
    tries = [base / written for base in (*bases, path.parent)] + [path.parent / written.removeprefix("../")]
    if root and "/" in written:  # A path of another machine.
        tries.append(path.parent / written.removeprefix(f"{Path(root).name}/"))
    return next((one for one in tries if os.path.exists(one)), None) or _of_another_machine(path.parent, written)


def _of_another_machine(folder: Path, written: str) -> Path | None:
    """What the end of an absolute path means below a folder: `/content/plates/train/images` is `train/images`.

    The folder of a part of the set is not cut off: `valid/images` is not `images`.
    """
    parts = [one for one in written.replace("\\", "/").split("/") if one]
    if not (written.startswith("/") or re.match("[A-Za-z]:", written)):
        return None
    for first in range(1, len(parts)):
        if any(names_validation(one) or names_test(one) or one.lower() == "train" for one in parts[:first]):
            return None
        if os.path.exists(found := folder.joinpath(*parts[first:])):
            return found
    return None


def _sets_of_list(role: str, path: Path) -> Iterator[_Set]:
    """The pictures that a text file names, a line each, by their folders."""
    by_folder: dict[Path, list[str]] = {}
    for line in read_text(path, "a list of pictures").splitlines():
        if line.strip():
            written = Path(line.strip().replace("\\", "/"))
            picture = written if written.is_absolute() else path.parent / written
            if not picture.exists():
                picture = _of_another_machine(path.parent, line.strip().replace("\\", "/")) or picture
            if picture.name:
                by_folder.setdefault(picture.parent, []).append(picture.name)
    for folder, names in by_folder.items():
        yield _Set(role, folder, names, _roots(folder))


def _roots(folder: Path) -> list[Path]:
    """Where the text files of a folder of pictures may be: `labels` in place of its last `images`, or beside them."""
    parts = list(folder.parts)
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] == "images":
            return [Path(*parts[:index], "labels", *parts[index + 1 :]), folder]
    return [folder]


def _sets_of_folder(folder: Path, options: LabelOptions) -> Iterator[_Set]:
    """The parts of a set without a `data.yaml`."""
    for labels in _label_folders(folder):
        # `labels` has its parts from the folder that holds it: alone it would hold nothing out.
        is_alone = labels == folder and labels.name.lower() == "labels"
        pictures = options.pictures[0] if options.pictures else labels if is_alone else _pictures_of(labels)
        parts = [one.name for one in folders_in(labels) if files_in(one, ".txt")] if labels != folder else []
        for part in parts or [""]:
            yield _Set(part, pictures / part, pictures_below(pictures / part), [labels / part])


def _pictures_of(labels: Path) -> Path:
    """Where the pictures of a folder of text files are: in it, or in `images` beside it, or in the one folder there."""
    if pictures_below(labels):
        return labels
    beside = [one for one in folders_in(labels.parent) if one != labels]
    called = [one for one in beside if one.name.lower() == "images"]
    found = called or [one for one in beside if files_in(one, *PICTURE_SUFFIXES)]
    return found[0] if len(found) == 1 else labels


def _label_folders(folder: Path) -> list[Path]:
    """Where text files of labels may be without a `data.yaml`: in `labels`, or in the folder itself."""
    return [one for one in folders_in(folder) if one.name.lower() == "labels"] or [folder]


def _looks_like_labels(folder: Path) -> bool:
    """Whether the first text files that are not empty have lines of a class and a box."""
    places = [folder, *folders_in(folder)] if folder.name.lower() == "labels" else [folder]
    inside = [path for one in places for path in files_in(one, ".txt") if path.name.lower() not in _NO_LABELS]
    is_labels = False
    for path in inside[:_LOOKED_AT]:
        try:
            lines = [line.split() for line in read_text(path, "labels").splitlines() if line.strip()]
        except DatasetError:
            return False
        if any(not values[0].isdigit() or _box(values[1:]) is None for values in lines):
            return False
        is_labels = is_labels or bool(lines)
    return is_labels
