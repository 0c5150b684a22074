"""Labels in a COCO file: JSON with a list of images, and one of annotations with a box `[x, y, width, height]` each.

The format: https://cocodataset.org/#format-data. It is read with Python's own `json`: pycocotools and its like take a
file for right, stop at the first entry that is not, and cannot say where it stands.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.labels import Labels, name_problem, one_line, photograph_name
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import DatasetError, Row

TEXT_KEY = "attributes.text"


def read_coco(path: Path, text_key: str = TEXT_KEY, category: str | None = None) -> Labels:
    """Read a COCO file; a row's number is the annotation's place in its list, the first being 1.

    Args:
        path: the file.
        text_key: where an annotation has the plate's text; a dot leads into an object.
        category: the name of the plates' category; only needed if the annotations have several.

    Raises:
        DatasetError: the file cannot be read, or is no COCO file.
        UserError: there are several categories and none was named, or another one.
    """
    content = _read(path)
    labels = Labels(path)
    images = _images(content["images"], labels)
    wanted = _category(content, path, category)
    rows: list[Row] = []
    boxes: list[list[float]] = []
    annotated = set()
    for number, entry in enumerate(content["annotations"], start=1):
        annotation = entry if isinstance(entry, dict) else {}
        if wanted is not None and annotation.get("category_id", wanted) != wanted:
            continue
        image = images.get(annotation["image_id"]) if _is_id(annotation.get("image_id")) else None
        row = Row(path.name, number, image.img_id if image else "", None, None)
        annotated.add(row.img_id)
        fault = _fault(row, annotation)
        if fault is not None:
            labels.problems.append(fault)
            continue
        text, problem = _text(row, annotation, text_key)
        labels.problems += filter(None, [problem])
        rows.append(Row(row.csv, number, row.img_id, None, text))
        boxes.append([float(value) for value in annotation["bbox"]])
    labels.add_plates(rows, boxes, "xywh")
    labels.without_plate += [image for image in images.values() if image.img_id not in annotated]
    return labels


def _read(path: Path) -> dict[str, Any]:
    """The content of the file, with its lists of images and annotations."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); expected a COCO file") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: expected a COCO file, which is JSON in UTF-8; found otherwise ({error})") from None
    for key in ("images", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DatasetError(
                f"{path}: expected a COCO file with the lists images and annotations; found no list {key}"
            )
    return content


def _images(entries: list, labels: Labels) -> dict[int | str, Row]:
    """The images by id, each as a row with its place in the list; notes names, sizes and faults in `labels`."""
    images: dict[int | str, Row] = {}
    for number, entry in enumerate(entries, start=1):
        known = isinstance(entry, dict) and _is_id(entry.get("id")) and isinstance(entry.get("file_name"), str)
        if not known:
            message = "expected an image with an id and a file_name; its plates are skipped, correct it"
            labels.problems.append(Problem(labels.path.name, number, str(entry)[:80], "faulty image", message))
            continue
        row = Row(labels.path.name, number, photograph_name(entry["file_name"]), None, None)
        fault = name_problem(row)
        if fault is None and entry["id"] in images:
            message = f"expected an id of its own; {images[entry['id']].img_id} has it, too, and keeps it, correct it"
            fault = row.problem(f"{entry['id']}: {row.img_id}", "duplicate image id", message)
        if fault is not None:
            labels.problems.append(fault)
            continue
        images[entry["id"]] = row
        labels.photographs[row.img_id] = None
        size = entry.get("height"), entry.get("width")
        if all(isinstance(side, int) and side > 0 for side in size):
            labels.sizes[row.img_id] = size
    return images


def _category(content: dict[str, Any], path: Path, named: str | None) -> int | str | None:
    """The id of the plates' category; None if the annotations have no category, or one only."""
    listed = content.get("categories")
    names = {
        entry["id"]: str(entry.get("name"))
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and _is_id(entry.get("id"))
    }
    if named is not None:
        for key, name in names.items():
            if name.casefold() == named.strip().casefold():
                return key
        raise UserError(f"{path}: no category {named!r}; found {', '.join(names.values()) or 'none'}")
    given = (entry.get("category_id") for entry in content["annotations"] if isinstance(entry, dict))
    used = {key for key in given if _is_id(key)}
    if len(used) > 1:
        found = ", ".join(sorted(names.get(key, str(key)) for key in used))
        raise UserError(f"{path}: several categories ({found}); say with --category which one is the plates'")
    return None


def _fault(row: Row, annotation: dict[str, Any]) -> Problem | None:
    """Why an annotation cannot be used, if it cannot."""
    if not row.img_id:
        message = "expected the id of an image of this file; skipped, correct it"
        return row.problem(str(annotation.get("image_id"))[:80], "unknown image", message)
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return row.problem(str(box)[:80], "non-numeric box", "expected [x, y, width, height]; skipped, correct it")
    if annotation.get("iscrowd"):
        return row.problem(str(box), "crowd", "expected a box around one plate; skipped, label its plates one by one")
    return None


def _text(row: Row, annotation: dict[str, Any], key: str) -> tuple[str | None, Problem | None]:
    """The plate's text, None if it has none, and what is wrong with it."""
    value: Any = annotation
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return None, None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        message = f"expected a text at {key}; the box is used without, correct it"
        return None, row.problem(str(value)[:80], "no text", message)
    return one_line(row, value)


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # A whole number beyond every float.
        return False
