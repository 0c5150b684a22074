"""What the forms share: files read safely, folders of pictures, the parts of a set, the class of the plates."""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import read_file
from lpr_e2e.common.photographs import PICTURE_SUFFIXES
from lpr_e2e.common.terminal import many
from lpr_e2e.data import tables
from lpr_e2e.data.labels import LabelOptions, Labels, names_test, names_validation
from lpr_e2e.data.tables import LARGEST, DatasetError, Table, numbers

# Names of columns, attributes and elements that hold a plate's text, as `plain` writes them.
TEXT_NAMES = (
    *("text", "plate_text", "plate", "plate_number", "plate_no", "platenumber", "license_plate", "licence_plate"),
    *("license_plate_number", "licence_plate_number", "license_number", "number_plate", "licenseplate", "numberplate"),
    *("plate_num", "registration", "registration_number", "transcription", "ocr", "ocr_text", "gt_text", "utf8_string"),
    *("license_plate_text", "licence_plate_text", "license_plate_no", "licence_plate_no", "license_no", "licence_no"),
    *(
        "plate_string",
        "plate_value",
        "lp_number",
        "lp_text",
        "reg_no",
        "reg_number",
        "registration_plate",
        "vrn",
        "vrm",
    ),
    *("vehicle_number", "kennzeichen", "placa", "matricula", "immatriculation", "targa", "plaka", "plat_nomor"),
    *("nomor_plat", "номер", "гос_номер", "госномер", "车牌", "车牌号", "车牌号码", "차량번호", "번호판"),
)
_PLATE_WORDS = frozenset(
    "plate plates plat lp lpr anpr licence license licenseplate licenceplate numberplate carplate kennzeichen "
    "nummernschild plaque plaques placa placas matricula matrícula immatriculation targa rejestracja rejestracyjna "
    "rejestracyjny plaka rendszám номер номерной госномер 车牌 车牌号 車牌 ナンバープレート 번호판 لوحة".split()
)
# Words in the names of folders that hold crops.
_CROP_WORDS = ("crop", "recognition", "ocr")
# Folders that hold label files and no pictures; the pictures are beside them.
_LABEL_FOLDERS = ("annotations", "annotation", "labels")
# Of a value that is named in a message.
_SHOWN = 80
_CLASSES_SHOWN = 8
# Elements of XML files of labels are in five others at most.
_MOST_NESTED = 50


def shown(value: Any) -> str:
    """A value of a label file as a message shows it."""
    return str(value)[:_SHOWN]


def plain(name: str) -> str:
    """A name of a column, an attribute or an element, by which spellings of it are compared: `plate_number`."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def is_number(value: Any) -> bool:
    """Whether a value of JSON or YAML is a number, and none beyond `LARGEST`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def finite(values: Iterable[str | None]) -> tuple[float, ...] | None:
    """The numbers that texts stand for, see `tables.numbers`; None if one does not stand for any, or is not there."""
    return numbers(value or "" for value in values)


def around(points: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The box xyxy around points `(x, y)`."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def rotated(points: Sequence[tuple[float, float]], degrees: float, centre: tuple[float, float]) -> list[tuple]:
    """Points turned clockwise, as it looks on a picture, around a centre."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    moved = [(x - centre[0], y - centre[1]) for x, y in points]
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in moved]


def read_text(path: Path, expected: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        DatasetError: it cannot be read, or is none; `expected` says what should be there.
    """
    try:
        return io.TextIOWrapper(io.BytesIO(read_file(path)), encoding="utf-8-sig").read()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: expected {expected} in UTF-8; found {error.reason}; save it as UTF-8") from None


def read_json(path: Path, expected: str) -> Any:
    """What a JSON file holds.

    Raises:
        DatasetError: as `read_text`, or it is no JSON.
    """
    try:
        return json.loads(read_text(path, expected))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: expected {expected}, which is JSON; found otherwise ({error})") from None


def read_table(path: Path) -> Table:
    """A CSV, see `lpr_e2e.data.tables.read_table`: once, until `forget_tables`; it is not to be changed.

    Raises:
        DatasetError: it cannot be read.
    """
    return _read_table(path)


def forget_tables() -> None:
    """Read tables anew from now on."""
    _read_table.cache_clear()


@lru_cache(maxsize=8)
def _read_table(path: Path) -> Table:
    return tables.read_table(path)


def read_xml(path: Path, expected: str) -> Element:
    """The root of an XML file.

    Read with defusedxml: Python's own parser lets a few lines of entities fill the memory.

    Raises:
        DatasetError: the file cannot be read, is no XML, is nested deeper than labels are, or defines entities.
    """
    import defusedxml  # Late: completion of a command line must not wait for it.
    from defusedxml.ElementTree import parse

    try:
        root = parse(io.BytesIO(read_file(path))).getroot()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from None
    except defusedxml.DefusedXmlException:
        raise DatasetError(f"{path}: it defines entities of its own; expected {expected} without any") from None
    except (ParseError, ValueError, LookupError) as error:
        raise DatasetError(f"{path}: expected {expected}, which is XML; found otherwise ({error})") from None
    level = [root]
    for _ in range(_MOST_NESTED):
        level = [inner for one in level for inner in one]
    if level:  # Whoever looks for something in every element would look for minutes.
        raise DatasetError(f"{path}: elements in elements, more than {_MOST_NESTED} deep; expected {expected}")
    return root


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden and no test set, sorted."""
    return [one for one in _all_folders_in(folder) if not names_test(one.name)]


def test_folders_in(folder: Path) -> list[Path]:
    """The folders of test sets in a folder, sorted."""
    return [one for one in _all_folders_in(folder) if names_test(one.name)]


def _all_folders_in(folder: Path) -> list[Path]:
    try:
        inner = sorted(folder.iterdir())
    except OSError:
        return []
    return [one for one in inner if one.is_dir() and not one.name.startswith(".")]


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a folder with these endings, in lower case with dot, that are not hidden, sorted."""
    try:
        inner = sorted(folder.iterdir())
    except OSError:
        return []
    return [one for one in inner if one.suffix.lower() in suffixes and not one.name.startswith(".") and one.is_file()]


def pictures_below(folder: Path) -> list[str]:
    """The pictures in a folder and below it, but in no test set, as paths below it with `/`, sorted."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(one for one in folders if not one.startswith(".") and not names_test(one))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                found.append((Path(parent) / name).relative_to(folder).as_posix())
    return found


def picture_folders(path: Path, options: LabelOptions, holds_crops: bool = False) -> tuple[Path, ...]:
    """Where the pictures of a label file may be, the likeliest first: in the folders that people name, or beside it.

    Beside it, or beside its folder `annotations`, that is the folder with the file's own name; without one, all of
    them, by how alike their names are, but never a test set, nor a folder that has the name of another label file; and
    last the folder that holds them.
    """

    def is_unlike(folder: Path) -> bool:
        return any(word in folder.name.lower() for word in _CROP_WORDS) != holds_crops

    if options.pictures:
        return tuple(sorted(options.pictures, key=is_unlike))
    stem = path.stem.lower()
    root = path.parent.parent if path.parent.name.lower() in _LABEL_FOLDERS else path.parent
    beside = [one for one in folders_in(root) if one != path.parent]
    own = [one for one in beside if one.name.lower() == stem]
    if own:
        return (*own, root)
    others = {one.stem.lower() for one in files_in(root, ".csv", ".tsv", ".json", ".xml")}
    beside = [one for one in beside if one.name.lower() not in others]
    beside.sort(key=lambda one: (is_unlike(one), -SequenceMatcher(None, one.name.lower(), stem).ratio()))
    return (*beside, root)


@dataclass
class Parts:
    """The labels of one source, apart by what they are for; rows of a test set are left alone and counted.

    Attributes:
        path, pictures, holds_crops, box_form, box_candidates, sizes: as `Labels` has them, the same for all parts.
        problems, notes: of the source; the first part gets them.
    """

    path: Path
    pictures: tuple[Path, ...] = ()
    holds_crops: bool = False
    box_form: str | None = None
    box_candidates: tuple[str, ...] = ()
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    problems: list = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _sides: dict[bool, Labels] = field(default_factory=dict)
    _test: int = 0

    def of(self, part: str = "") -> Labels | None:
        """The labels that rows of a part of this name belong to; None for a test set."""
        if part and names_test(part):
            self._test += 1
            return None
        held = bool(part and names_validation(part))
        if held not in self._sides:
            self._sides[held] = Labels(
                self.path,
                holds_crops=self.holds_crops,
                held_out=held,
                box_form=self.box_form,
                box_candidates=self.box_candidates,
                sizes=self.sizes,
                pictures=self.pictures,
            )
        return self._sides[held]

    def labels(self) -> list[Labels]:
        """Every part that has rows, at least one."""
        if self._test:
            self.notes.append(f"{self.path.name}: {many(self._test, 'row')} of its test set left alone.")
        if not self._sides:
            self.of()
        found = [self._sides[held] for held in (False, True) if held in self._sides]
        found[0].problems[:0] = self.problems
        found[0].notes[:0] = self.notes
        return found


def note_on_other_texts(seen: Mapping[str, str], path: Path, option: str = "--text-key") -> Iterator[str]:
    """A line about attributes whose values may be the texts, where no plate has one: none is taken unasked.

    Args:
        seen: an example by the name of the attribute, as the option takes it.
        path: of the label file.
        option: names the attribute.
    """
    words = [f"{name} (such as {shown(value)!r})" for name, value in seen.items()]
    if words:
        listed = ", ".join(words[:_CLASSES_SHOWN])
        yield f"{path.name}: no text is taken of {listed}; if one of them is the plate's, say {option} and its name."


def is_called_plate(name: str) -> bool:
    """Whether the name of a class says that it is one of plates: `License-Plate`, `plate_1`."""
    return not _PLATE_WORDS.isdisjoint(re.split(r"[\W_\d]+", name.lower()))


def plate_classes(used: Mapping[str, int], named: str | None, path: Path, known: Iterable[str] = ()) -> set[str]:
    """Which classes of a label file are plates; the only one, the one that is named, or those called so.

    Args:
        used: how many boxes each class has, by its name.
        named: `--category`.
        path: of the label file, for messages.
        known: further names of classes, without a box.

    Raises:
        UserError: `named` is none of them, or it cannot be told which ones are plates.
    """
    if named is not None:
        found = {name for name in {*used, *known} if name.casefold() == named.strip().casefold()}
        if not found:
            listed = ", ".join(sorted({*used, *known})[:_CLASSES_SHOWN]) or "none"
            raise UserError(f"{path}: no category {named!r}; found {listed}")
        return found
    if len(used) <= 1:
        return set(used)
    found = {name for name in used if is_called_plate(name)}
    if found:
        return found
    names = [name for name, _ in Counter(used).most_common()]
    listed = ", ".join(sorted(names[:_CLASSES_SHOWN])) + (", ..." if len(names) > _CLASSES_SHOWN else "")
    if sum(len(name.strip()) == 1 for name in names) > len(names) / 2:
        raise UserError(
            f"{path}: its boxes are around single characters ({listed}); expected boxes around whole plates: no "
            "training here takes boxes of characters"
        )
    raise UserError(f"{path}: several categories ({listed}); say with --category which one is the plates'")


def note_on_classes(used: Mapping[str, int], taken: set[str], path: Path) -> Iterator[str]:
    """A line about the classes that are not taken, if there are some."""
    others = {name: count for name, count in used.items() if name not in taken}
    if others:
        listed = ", ".join(f"{count} x {name}" for name, count in Counter(others).most_common(_CLASSES_SHOWN))
        mine = " and ".join(sorted(taken)) or "no class"
        yield f"{path.name}: boxes of {mine} are taken, not those of others: {listed}."
