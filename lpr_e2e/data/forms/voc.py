"""Labels of Pascal VOC: an XML file for each picture, in `Annotations`, the pictures in `JPEGImages` or beside them.

    <annotation><filename>1.jpg</filename><size>...</size>
      <object><name>plate</name><bndbox><xmin>...</bndbox><attributes>...</attributes></object></annotation>

The format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/. A file without an object is a photograph without a
plate. `ImageSets/Main/train.txt` and `val.txt`, or the folders' names, say what is to be held out.

Texts: VOC has no place for them. People put them into an element of the object (`<text>`, `<plate_number>` ...), into
`<attributes>` as CVAT does, or give each plate its text as its `<name>`; the last is what it is where most names have a
digit and differ.

Corners are taken as they are written, as edges of pixels counted from 0. Some programs count from 1, and nothing in a
file tells; their boxes begin a pixel too far to the right and too low, which is less than people's boxes differ by.

Read with defusedxml and by ourselves: the libraries that we know stop at the first faulty file and cannot say where.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree.ElementTree import Element

from lpr_e2e.common.photographs import PICTURE_SUFFIXES
from lpr_e2e.data.forms.sources import (
    TEXT_NAMES,
    Parts,
    files_in,
    finite,
    folders_in,
    is_called_plate,
    note_on_classes,
    plain,
    plate_classes,
    read_text,
    read_xml,
    shown,
)
from lpr_e2e.data.labels import LabelOptions, Labels, names_test, names_validation
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import DatasetError, Row

ABOUT = "Pascal VOC: XML files with an annotation each, in Annotations/ or beside the pictures"
SUFFIXES = (".xml",)

_EXPECTED = "an annotation of Pascal VOC"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
# So many different pictures for each XML file are one for each, but for a mistake.
_NEARLY_ALL = 0.9
# How far above XML files the folder of all of them may be: `annotations/train`.
_MOST_LEVELS = 2
# So many of the objects' names have to have a digit, and so many to be different, to be texts.
_MOST = 0.5
# Files that are tried before a folder is given up.
_LOOKED_AT = 5


@dataclass(frozen=True)
class _Object:
    """An object of a picture: where it is written, its name, the texts of its corners, and its own text."""

    row: Row
    name: str
    corners: list[str | None]
    text: str | None


@dataclass
class _Picture:
    """A picture as an XML file has it."""

    row: Row
    part: str
    size: tuple[int, int] | None
    objects: list[_Object] = field(default_factory=list)

    def rename(self, name: str) -> None:
        """Note that it is the picture of this name."""
        self.row = replace(self.row, img_id=name)
        self.objects = [replace(one, row=replace(one.row, img_id=name)) for one in self.objects]


def recognises(path: Path) -> bool:
    """Whether an XML file, or the first one of a folder that can be read, has an annotation of one picture.

    Raises:
        DatasetError: it is no XML.
    """
    if path.is_file():
        return read_xml(path, _EXPECTED).tag == "annotation"
    for one in files_in(path, ".xml")[:_LOOKED_AT]:
        with contextlib.suppress(DatasetError):
            return recognises(one)
    return False


def read(path: Path, options: LabelOptions) -> list[Labels]:
    """Read a folder of XML files, or one of them; a row's number is the object's place in its file.

    Raises:
        DatasetError: no file can be read.
        UserError: it cannot be told which objects are plates.
    """
    files = files_in(path, ".xml") if path.is_dir() else [path]
    folder = path if path.is_dir() else path.parent
    places = options.pictures or _picture_folders(folder)
    parts = Parts(path, places, box_form="xyxy")
    sides = _sides(folder.parent if folder.name.lower() == "annotations" else folder)
    stems = {one.stem: one.name for place in places for one in files_in(place, *PICTURE_SUFFIXES)}
    pictures = []
    for file in files:
        try:
            pictures.append(_read_file(file, sides.get(file.stem, ""), stems, options))
        except DatasetError as error:
            if len(files) == 1:
                raise
            message = f"{error}; its picture is not used, correct or remove it"
            parts.problems.append(Problem(file.name, None, file.name, "unreadable labels", message))
    if not pictures:
        raise DatasetError(
            f"{path}: no XML file could be read; {parts.problems[0] if parts.problems else 'found none'}"
        )
    _tell_pictures(pictures, stems, parts)
    names = Counter(one.name for picture in pictures for one in picture.objects)
    has_texts = any(one.text for picture in pictures for one in picture.objects)
    if not has_texts and _are_texts(names) and options.category is None:
        parts.notes.append(f"{path.name}: the objects' names are taken for the plates' texts.")
        _add(pictures, set(names), parts, named=True)
        return parts.labels()
    taken = plate_classes(names, options.category, path)
    parts.notes += note_on_classes(names, taken, path)
    _add(pictures, taken, parts, named=False)
    return parts.labels()


def _add(pictures: list[_Picture], taken: set[str], parts: Parts, named: bool) -> None:
    """Add the objects of these names; `named`: their names are their texts."""
    for picture in pictures:
        labels = parts.of(picture.part)
        if labels is None:
            continue
        if picture.size:
            labels.sizes[picture.row.img_id] = picture.size
        chosen = [one for one in picture.objects if one.name in taken]
        for one in chosen:
            box = finite(one.corners)
            if box is None:
                message = f"expected numbers {', '.join(_CORNERS)}; skipped, correct it"
                value = ",".join(shown(corner) for corner in one.corners)
                labels.give_up(one.row, value, "non-numeric box", message)
            else:
                labels.add(one.row, (box[0], box[1], box[2], box[3]), one.name if named else one.text)
        if not chosen:
            labels.add(picture.row)


def _tell_pictures(pictures: list[_Picture], stems: dict[str, str], parts: Parts) -> None:
    """Which picture each XML file is of, where it names another one than that with its own name, and both are there.

    Pictures and files that were renamed together keep the old name inside. So the own name counts where several files
    name the same picture; else the names inside are believed if most files have other ones, and a few are unclear.
    """
    own = {id(one): stems[Path(one.row.csv).stem] for one in pictures if Path(one.row.csv).stem in stems}
    named = Counter(_bare(one.row.img_id) for one in pictures)
    differing = [one for one in pictures if id(one) in own and own[id(one)] != _bare(one.row.img_id)]
    are_distinct = len(named) > _NEARLY_ALL * len(pictures)
    if 2 * len(differing) > len(pictures) and are_distinct:
        return
    for picture in differing:
        name, row = own[id(picture)], picture.row
        if named[_bare(row.img_id)] > 1:
            message = f"other files name this picture, too; {name} is used, which is called like the file"
            parts.problems.append(row.change(row.img_id, "name written otherwise", message))
            picture.rename(name)
        else:
            message = f"may be of {row.img_id} or of {name}; not used, correct the file name in it"
            parts.problems.append(row.problem(row.img_id, "ambiguous picture", message))
            pictures.remove(picture)


def _bare(name: str) -> str:
    """The name of a picture without the folders before it."""
    return name.replace("\\", "/").rpartition("/")[2]


def _read_file(path: Path, part: str, stems: dict[str, str], options: LabelOptions) -> _Picture:
    """One XML file; its picture is the one that it names, or the one with its own name."""
    root = read_xml(path, _EXPECTED)
    if root.tag != "annotation":
        raise DatasetError(f"{path}: expected {_EXPECTED}; found <{shown(root.tag)}>")
    name = (root.findtext("filename") or root.findtext("path") or "").strip()
    if not name or (_bare(name) not in stems.values() and path.stem in stems):
        name = stems.get(path.stem, path.stem)
    size = finite([root.findtext("size/height"), root.findtext("size/width")])
    picture = _Picture(
        Row(path.name, 1, name, None, None),
        part,
        (int(size[0]), int(size[1])) if size and min(size) >= 1 else None,
    )
    for number, element in enumerate(root.iter("object"), start=1):
        box = element.find("bndbox")
        corners = [None if box is None else box.findtext(corner) for corner in _CORNERS]
        row = Row(path.name, number, name, None, None)
        picture.objects.append(_Object(row, (element.findtext("name") or "").strip(), corners, _text(element, options)))
    return picture


def _text(element: Element, options: LabelOptions) -> str | None:
    """The text of an object, in an element of its own or in its attributes."""
    wanted = TEXT_NAMES if options.text_key is None else (plain(options.text_key.rpartition(".")[2]),)
    for child in element:
        if plain(child.tag) in wanted:
            return child.text
    for attribute in element.iter("attribute"):
        if plain(attribute.findtext("name") or "") in wanted:
            return attribute.findtext("value")
    return None


def _are_texts(names: Counter) -> bool:
    """Whether the names of objects are the texts of plates."""
    with_digit = sum(any(character.isdigit() for character in name) and len(name) > 2 for name in names)
    if any(map(is_called_plate, names)):
        return False
    return len(names) > 1 and with_digit > len(names) * _MOST and len(names) > names.total() * _MOST


def _picture_folders(folder: Path) -> tuple[Path, ...]:
    """Where the pictures may be, the likeliest first: with the XML files, in folders there, or in folders beside them.

    Folders in `annotations` have theirs in those of the same names: `images/train` for `annotations/train`.
    """
    inside = [one for one in folders_in(folder) if one.name.lower() != "imagesets"]
    if files_in(folder, *PICTURE_SUFFIXES):
        return (folder, *inside)
    outer = next((one for one in (folder, *folder.parents[:_MOST_LEVELS]) if one.name.lower() == "annotations"), None)
    if outer is None:
        beside = [] if inside else [one for one in folders_in(folder.parent) if files_in(one, *PICTURE_SUFFIXES)]
        return (*inside, *beside, folder)
    beside = [one for one in folders_in(outer.parent) if one != outer and one.name.lower() != "imagesets"]
    beside.sort(key=lambda one: one.name.lower() not in ("jpegimages", "images"))
    same = [one / folder.relative_to(outer) for one in beside if outer != folder]
    return (*filter(Path.is_dir, same), *beside, outer.parent)


def _sides(root: Path) -> dict[str, str]:
    """By the stem of a picture, the list of `ImageSets/Main` that names it; a test set counts most, then validation."""
    found: dict[str, str] = {}
    lists = sorted(_lists(root), key=lambda path: (names_test(path.stem), names_validation(path.stem)))
    for path in lists:
        for line in read_text(path, "a list of pictures").splitlines():
            if line.strip():
                found[line.split()[0]] = path.stem
    return found


def _lists(root: Path) -> Iterator[Path]:
    """The lists of `ImageSets/Main` of whole parts; others, such as `plate_train.txt`, say the same for one class."""
    names = ("train", "val", "valid", "validation", "test")
    for folder in (root / "ImageSets" / "Main", root / "ImageSets"):
        yield from (path for path in files_in(folder, ".txt") if path.stem.lower() in names)
