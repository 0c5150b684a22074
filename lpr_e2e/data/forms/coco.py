"""Labels in a COCO file: JSON with a list of images, and one of annotations with a box `[x, y, width, height]` each.

The format: https://cocodataset.org/#format-data. It is read with Python's own `json`: pycocotools and its like take a
file for right, stop at the first entry that is not, and cannot say where it stands. An image without an annotation of
a plate is a photograph without a plate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.forms.sources import (
    TEXT_NAMES,
    around,
    finite,
    is_number,
    note_on_classes,
    note_on_other_texts,
    picture_folders,
    plain,
    plate_classes,
    read_json,
    shown,
)
from lpr_e2e.data.labels import TEXT_KEY, LabelOptions, Labels
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import DatasetError, Row

ABOUT = "COCO: JSON with the lists images and annotations"
SUFFIXES = (".json",)


def recognises(path: Path) -> bool:
    """Whether a file is JSON with the lists of a COCO file.

    Raises:
        DatasetError: it is no JSON.
    """
    content = read_json(path, "a COCO file")
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read(path: Path, options: LabelOptions) -> list[Labels]:
    """Read a COCO file; a row's number is the annotation's place in its list, the first being 1, or the image's.

    Raises:
        DatasetError: the file cannot be read, or is no COCO file.
        UserError: it cannot be told which category the plates', or which key the texts have.
    """
    content = read_json(path, "a COCO file")
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DatasetError(
                f"{path}: expected a COCO file with the lists images and annotations; found no list {key}"
            )
    labels = Labels(
        path,
        box_form="xywh",
        pictures=picture_folders(path, options),
    )
    images = _images(content["images"], labels)
    entries = [entry if isinstance(entry, dict) else {} for entry in content["annotations"]]
    wanted = _categories(content, entries, labels, options.category)
    chosen = [
        (number, one)
        for number, one in enumerate(entries, start=1)
        if wanted is None or not _is_id(one.get("category_id")) or one["category_id"] in wanted
    ]
    key = _text_key([one for _, one in chosen], labels, options.text_key)
    annotated = set()
    by_text = {str(one): row for one, row in images.items()}
    for number, annotation in chosen:
        place = annotation.get("image_id")
        image = images.get(place, by_text.get(str(place))) if _is_id(place) else None
        row = Row(path.name, number, image.img_id if image else "", None, None)
        annotated.add(row.img_id)
        fault = _fault(row, annotation)
        if fault is not None:
            labels.give_up(replace(row, text=_text(row, annotation, key)[0]), *fault)
            continue
        text, problem = _text(row, annotation, key)
        labels.problems += filter(None, [problem])
        labels.add(row, _box(annotation), text)
    for image in images.values():
        if image.img_id not in annotated:
            labels.add(image)
    if not labels.has_texts:
        labels.notes += note_on_other_texts(dict(_other_texts([one for _, one in chosen])), path)
    return [labels]


def _other_texts(annotations: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The texts that annotations have at other keys than the one of the plates', each with its key."""
    for annotation in annotations:
        inner = annotation.get("attributes")
        for where, one in (("", annotation), ("attributes.", inner if isinstance(inner, dict) else {})):
            yield from ((where + key, value) for key, value in one.items() if isinstance(value, str) and value.strip())


def _images(entries: list, labels: Labels) -> dict[int | float | str, Row]:
    """The images by id, each as a row with its place in the list; notes sizes and faults in `labels`."""
    images: dict[int | float | str, Row] = {}
    for number, entry in enumerate(entries, start=1):
        known = isinstance(entry, dict) and _is_id(entry.get("id")) and isinstance(entry.get("file_name"), str)
        if not known or not entry["file_name"].strip():
            message = "expected an image with an id and a file_name; its plates are skipped, correct it"
            labels.problems.append(Problem(labels.path.name, number, shown(entry), "faulty image", message))
            continue
        row = Row(labels.path.name, number, entry["file_name"], None, None)
        if entry["id"] in images:
            message = f"expected an id of its own; {images[entry['id']].img_id} has it, too, and keeps it, correct it"
            labels.problems.append(row.problem(f"{entry['id']}: {row.img_id}", "duplicate image id", message))
            continue
        images[entry["id"]] = row
        height, width = entry.get("height"), entry.get("width")
        if all(is_number(side) and side > 0 for side in (height, width)):
            labels.sizes[row.img_id] = int(height), int(width)
    return images


def _categories(content: dict[str, Any], entries: list[dict], labels: Labels, named: str | None) -> set | None:
    """The ids of the plates' categories; None if the annotations have one only, or none."""
    listed = content.get("categories")
    names = {
        str(entry["id"]): str(entry.get("name"))
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and _is_id(entry.get("id"))
    }
    ids = [entry.get("category_id") for entry in entries]
    called = {one: names.get(str(one), f"category {shown(one)}") for one in filter(_is_id, [*names, *ids])}
    used = Counter(called[one] for one in ids if _is_id(one))
    if named is None and len(used) <= 1:
        return None
    taken = plate_classes(used, named, labels.path, names.values())
    labels.notes += note_on_classes(used, taken, labels.path)
    return {one for one, name in called.items() if name in taken}


def _fault(row: Row, annotation: dict[str, Any]) -> tuple[str, str, str] | None:
    """Why an annotation cannot be used, if it cannot: the value at fault, a short name, what was expected."""
    if not row.img_id:
        message = "expected the id of an image of this file; skipped, correct it"
        return shown(annotation.get("image_id")), "unknown image", message
    if _box(annotation) is None:
        message = "expected [x, y, width, height], or polygons; skipped, correct it"
        return shown(annotation.get("bbox")), "non-numeric box", message
    if annotation.get("iscrowd"):
        return (
            shown(annotation.get("bbox")),
            "crowd",
            "expected a box around one plate; skipped, label its plates one by one",
        )
    return None


def _box(annotation: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """The box xywh of an annotation, or around its polygons where it has none; None if it cannot be told."""
    box, polygons = annotation.get("bbox"), annotation.get("segmentation")
    if box in (None, []) and isinstance(polygons, list) and all(isinstance(one, list) for one in polygons):
        values = [value for one in polygons for value in one]
        if len(values) < 6 or any(len(one) % 2 for one in polygons) or not all(map(is_number, values)):
            return None
        xmin, ymin, xmax, ymax = around(list(zip(values[::2], values[1::2], strict=True)))
        return xmin, ymin, xmax - xmin, ymax - ymin
    if not isinstance(box, list) or len(box) != 4:
        return None
    found = finite(str(value) if is_number(value) else value if isinstance(value, str) else None for value in box)
    return found and (found[0], found[1], found[2], found[3])


def _text_key(annotations: list[dict[str, Any]], labels: Labels, named: str | None) -> str:
    """Where the annotations have the texts: where it is said, or at `TEXT_KEY`, or at the one key called like it."""
    if named is not None:
        return named
    found: Counter = Counter()
    for annotation in annotations:
        if _value(annotation, TEXT_KEY) is not None:
            return TEXT_KEY
        inner = annotation.get("attributes")
        places = [("", annotation), ("attributes.", inner if isinstance(inner, dict) else {})]
        found.update(where + key for where, one in places for key in one if plain(key) in TEXT_NAMES)
    if len(found) > 1:
        listed = ", ".join(sorted(found))
        raise UserError(f"{labels.path}: the texts may be at {listed}; say with --text-key where they are")
    if not found:
        return TEXT_KEY
    (key,) = found
    labels.notes.append(f"{labels.path.name}: the texts are taken from {key}.")
    return key


def _value(annotation: dict[str, Any], key: str) -> Any:
    """What an annotation has at a key; a dot leads into an object."""
    value: Any = annotation
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(row: Row, annotation: dict[str, Any], key: str) -> tuple[str | None, Problem | None]:
    """The plate's text as written, None if it has none, and what is wrong with it."""
    value = _value(annotation, key)
    if is_number(value):
        value = str(value)
    if value is None or isinstance(value, str):
        return value, None
    return None, row.problem(shown(value), "no text", f"expected a text at {key}; the box is used without, correct it")


def _is_id(value: Any) -> bool:
    return isinstance(value, int | float | str)
