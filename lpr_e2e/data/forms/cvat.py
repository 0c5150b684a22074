"""Labels of CVAT, "CVAT for images 1.1": one XML file with all pictures.

    <annotations><image name="1.jpg" subset="Train" width="640" height="480">
      <box label="plate" xtl="1.5" ytl="2.5" xbr="3.5" ybr="4.5"><attribute name="text">AB12</attribute></box></image>

The format: https://docs.cvat.ai/docs/manual/advanced/xml_format/. Of polygons, masks and turned boxes the bounding box
is taken. A picture without a shape is a photograph without a plate. A subset says by its name whether it is held out.
Read with defusedxml and by ourselves: no library that reads it is small, and none can say which shape is faulty.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

from lpr_e2e.data.forms.sources import (
    TEXT_NAMES,
    Parts,
    around,
    finite,
    note_on_classes,
    note_on_other_texts,
    picture_folders,
    plain,
    plate_classes,
    read_xml,
    rotated,
    shown,
)
from lpr_e2e.data.labels import LabelOptions, Labels
from lpr_e2e.data.tables import DatasetError, Row

ABOUT = "CVAT for images 1.1: an XML file with annotations of all pictures"
SUFFIXES = (".xml",)

_EXPECTED = "a file of CVAT for images 1.1"
_SHAPES = ("box", "polygon", "mask", "ellipse", "polyline", "points", "cuboid", "skeleton")


def recognises(path: Path) -> bool:
    """Whether a file is XML of CVAT, for images or for a video.

    Raises:
        DatasetError: it is no XML.
    """
    root = read_xml(path, _EXPECTED)
    return root.tag == "annotations" and any(root.find(tag) is not None for tag in ("image", "track", "meta"))


def read(path: Path, options: LabelOptions) -> list[Labels]:
    """Read a file of CVAT; a row's number is the shape's place among all shapes of the file, or the picture's.

    Raises:
        DatasetError: the file cannot be read, or is one of a video.
        UserError: it cannot be told which label the plates' is.
    """
    root = read_xml(path, _EXPECTED)
    if root.tag != "annotations":
        raise DatasetError(f"{path}: expected {_EXPECTED}, which begins with <annotations>; found <{shown(root.tag)}>")
    if root.find("track") is not None:
        raise DatasetError(f"{path}: these are tracks of a video; export the task from CVAT as CVAT for images 1.1")
    parts = Parts(path, picture_folders(path, options), box_form="xyxy")
    images = root.findall("image")
    used = Counter(shape.get("label", "") for image in images for shape in image if shape.tag in _SHAPES)
    taken = plate_classes(
        used, options.category, path, (one.text or "" for one in root.iterfind(".//labels/label/name"))
    )
    parts.notes += note_on_classes(used, taken, path)
    number = 0
    others: dict[str, str] = {}
    for place, image in enumerate(images, start=1):
        name = image.get("name", "")
        labels = parts.of(image.get("subset", ""))
        shapes = [shape for shape in image if shape.tag in _SHAPES]
        numbered = list(enumerate(shapes, start=number + 1))
        number += len(shapes)
        if labels is None:
            continue
        if not name.strip():
            message = "expected an image with a name; its plates are skipped, correct it"
            labels.problems.append(Row(path.name, place, "", None, None).problem("", "empty name", message))
            continue
        size = finite([image.get("height"), image.get("width")])
        if size and min(size) >= 1:
            labels.sizes[name] = int(size[0]), int(size[1])
        chosen = [(count, shape) for count, shape in numbered if shape.get("label", "") in taken]
        for count, shape in chosen:
            row = Row(path.name, count, name, None, None)
            box = _box(shape)
            if box is None:
                message = "expected a box, a polygon or a mask with numbers; skipped, label the plate anew"
                labels.give_up(row, shown(dict(shape.attrib)), f"unusable {shape.tag}", message)
            else:
                labels.add(row, box, _text(shape, options))
                others |= {one.get("name", ""): one.text for one in shape.iterfind("attribute") if one.text}
        if not chosen:
            labels.add(Row(path.name, place, name, None, None))
    found = parts.labels()
    if not any(labels.has_texts for labels in found):
        found[0].notes += note_on_other_texts(others, path)
    return found


def _box(shape: Element) -> tuple[float, float, float, float] | None:
    """The bounding box xyxy of a shape; None if it has none that can be told."""
    if shape.tag == "box":
        corners = finite(shape.get(key) for key in ("xtl", "ytl", "xbr", "ybr"))
        degrees = finite([shape.get("rotation", "0")])
        if corners is None or degrees is None:
            return None
        xmin, ymin, xmax, ymax = corners
        if degrees[0] % 360 == 0:
            return xmin, ymin, xmax, ymax
        points = [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)]
        return around(rotated(points, degrees[0], ((xmin + xmax) / 2, (ymin + ymax) / 2)))
    if shape.tag == "polygon":
        points = [finite(point.split(",")) for point in shape.get("points", "").split(";")]
        if len(points) < 3 or any(point is None or len(point) != 2 for point in points):
            return None
        return around([(point[0], point[1]) for point in points if point])
    if shape.tag == "mask":
        edges = finite(shape.get(key) for key in ("left", "top", "width", "height"))
        return edges and (edges[0], edges[1], edges[0] + edges[2], edges[1] + edges[3])
    return None


def _text(shape: Element, options: LabelOptions) -> str | None:
    """The text of a shape, in the attribute that is named or is called like a text."""
    wanted = TEXT_NAMES if options.text_key is None else (plain(options.text_key.rpartition(".")[2]),)
    for attribute in shape.iterfind("attribute"):
        if plain(attribute.get("name", "")) in wanted and attribute.text and attribute.text.strip():
            return attribute.text
    return None
