"""Labels of Label Studio: its JSON export, a list of tasks with annotations of regions.

The format: https://labelstud.io/guide/task_format. A plate is a region of the type rectangle (or polygon), in percent
of the picture's width and height; its text is a TextArea of the same region (the same `id`, or it as the `parentID`).
A task whose annotation has no region is a photograph without a plate; a task that nobody annotated, or whose annotation
was cancelled, is left aside and counted. Of several annotations of a task one is used: the one marked as ground truth,
else the one changed last. Pictures' names are places, such as `/data/upload/1/0123abcd-car.jpg`.

Label Studio's own converters make other forms out of this, without texts, and need a hundred packages; it is read by
ourselves.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.photographs import PICTURE_SUFFIXES
from lpr_e2e.common.terminal import many
from lpr_e2e.data.forms.sources import (
    TEXT_NAMES,
    around,
    is_number,
    note_on_classes,
    picture_folders,
    plain,
    plate_classes,
    read_json,
    rotated,
    shown,
)
from lpr_e2e.data.forms.table import PICTURE_COLUMNS
from lpr_e2e.data.labels import LabelOptions, Labels
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import DatasetError, Row

ABOUT = "Label Studio: its JSON export, a list of tasks with annotations"
SUFFIXES = (".json",)

_EXPECTED = "the JSON export of Label Studio, a list of tasks with data and annotations"
# The keys that annotations of a task have had.
_ANNOTATIONS = ("annotations", "completions")
_SHAPES = ("rectanglelabels", "rectangle", "polygonlabels", "polygon", "brushlabels", "ellipselabels")
_CLASS_KEYS = ("rectanglelabels", "polygonlabels", "labels")


def recognises(path: Path) -> bool:
    """Whether a file is JSON with a list of tasks.

    Raises:
        DatasetError: it is no JSON.
    """
    content = read_json(path, _EXPECTED)
    return isinstance(content, list) and any(_is_task(one) or _is_short(one) for one in content)


def read(path: Path, options: LabelOptions) -> list[Labels]:
    """Read an export; a row's number is the task's place in the list, the first being 1.

    Raises:
        DatasetError: the file cannot be read, or is another export.
        UserError: it cannot be told which label the plates' is, or which TextArea their texts have.
    """
    content = read_json(path, _EXPECTED)
    if not isinstance(content, list) or not any(map(_is_task, content)):
        short = isinstance(content, list) and any(map(_is_short, content))
        found = "its short form, JSON-MIN; export it as JSON" if short else "something else"
        raise DatasetError(f"{path}: expected {_EXPECTED}; found {found}")
    labels = Labels(path, box_form="rel_xywh", pictures=picture_folders(path, options))
    key = _picture_key(content)
    tasks = [_Task(path.name, number, task, key) for number, task in enumerate(content, start=1)]
    used: Counter = Counter(name for task in tasks for name in task.classes())
    taken = plate_classes(used, options.category, path)
    labels.notes += note_on_classes(used, taken, path)
    unlabelled = [task.row.img_id for task in tasks if task.is_unlabelled]
    if unlabelled:
        tasks_aside = many(len(unlabelled), "task")
        labels.notes.append(f"{path.name}: {tasks_aside} without an annotation left aside ({unlabelled[0]} and so on).")
    area = options.text_key or _text_area(tasks, labels)
    for task in tasks:
        task.add_to(labels, taken, area)
    return [labels]


class _Task:
    """A task: its picture, and the regions of the annotation that is used."""

    def __init__(self, file: str, number: int, task: Any, picture_key: str):
        self.problems: list[Problem] = []
        self.is_unlabelled = False
        self._results: list[dict] = []
        data = task.get("data") if _is_task(task) else None
        values = [data.get(picture_key), *data.values()] if isinstance(data, dict) else []
        url = next(filter(_is_picture, values), "")
        self.row = Row(file, number, url.strip(), None, None)
        if not self.row.img_id:
            message = "expected a task with a picture in its data; skipped, correct it"
            self.problems.append(self.row.problem(shown(task), "faulty task", message))
            return
        given = next((task[key] for key in _ANNOTATIONS if isinstance(task.get(key), list)), [])
        usable = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
        self.is_unlabelled = not usable
        if usable:
            self._results = self._results_of(usable)
        for one in self._results:
            one["id"] = str(one.get("id", ""))
        # Of regions whose class is a result of its own, by their id.
        self._classes: dict[str, str] = {}
        for one in self._results:
            if one["id"] and (name := _own_class(one)):
                self._classes.setdefault(one["id"], name)

    def classes(self) -> list[str]:
        """The class of each region; "" if it has none."""
        return [self._class_of(one) for one in self._results if _is_shape(one)]

    def text_areas(self) -> dict[str, set[str]]:
        """The names of the TextAreas of each region, by its id."""
        found: dict[str, set[str]] = defaultdict(set)
        for one in self._results:
            if one.get("type") == "textarea":
                found[str(one.get("parentID") or one["id"])].add(str(one.get("from_name")))
        return found

    def add_to(self, labels: Labels, taken: set[str], key: str | None) -> None:
        """Add the plates of this task, and what is wrong with it."""
        labels.problems += self.problems
        if self.is_unlabelled or not self.row.img_id:
            return
        chosen = [one for one in self._results if _is_shape(one) and self._class_of(one) in taken]
        texts, loose = self._texts(key)
        if loose and len(chosen) == 1:
            texts[chosen[0]["id"]] += loose
        elif loose:
            message = "expected a text of one region; not used, give it to its region"
            labels.problems.append(self.row.problem(shown(" ".join(loose)), "text of no region", message))
        for one in chosen:
            box = _box(one)
            if box is None:
                message = (
                    "expected a rectangle or polygon with numbers, of a picture that Label Studio does not turn; "
                    "skipped, label it anew"
                )
                labels.give_up(self.row, shown(one.get("value")), "unusable region", message)
                continue
            size = one.get("original_height"), one.get("original_width")
            if all(is_number(side) and side >= 1 for side in size):
                labels.sizes[self.row.img_id] = int(size[0]), int(size[1])
            labels.add(self.row, box, "\n".join(texts[one["id"]]) or None)
        if not chosen:
            labels.add(self.row)

    def _results_of(self, usable: list[dict]) -> list[dict]:
        """The results of the annotation that is used; that there are others is a problem."""
        best = max(
            enumerate(usable),
            key=lambda one: (bool(one[1].get("ground_truth")), str(one[1].get("updated_at") or ""), one[0]),
        )[1]
        if len(usable) > 1:
            why = "marked as ground truth" if best.get("ground_truth") else "changed last"
            message = f"{len(usable)} annotations of this task; the one {why} (id {shown(best.get('id'))}) is used"
            self.problems.append(self.row.problem(self.row.img_id, "several annotations", message))
        results = best.get("result")
        return [dict(one) for one in results if isinstance(one, dict)] if isinstance(results, list) else []

    def _class_of(self, region: dict) -> str:
        """The class of a region, which may be a result of its own with the same id."""
        return _own_class(region) or self._classes.get(region["id"], "")

    def _texts(self, key: str | None) -> tuple[dict[str, list[str]], list[str]]:
        """The texts by their region's id, and those of no region; `key` names the TextArea, if there are several."""
        regions = {one["id"] for one in self._results if _is_shape(one)}
        texts: dict[str, list[str]] = defaultdict(list)
        loose: list[str] = []
        for one in self._results:
            if one.get("type") != "textarea" or (key is not None and one.get("from_name") != key):
                continue
            value = one.get("value") if isinstance(one.get("value"), dict) else {}
            found = value.get("text")
            lines = [str(line) for line in (found if isinstance(found, list) else [found]) if line]
            ids = [str(one.get(name)) for name in ("id", "parentID", "parent_id") if str(one.get(name)) in regions]
            (texts[ids[0]] if ids else loose).extend(lines)
        return texts, loose


def _text_area(tasks: Sequence[_Task], labels: Labels) -> str | None:
    """Which TextArea has the plates' texts, where a region has several; None if all have: lines of one text.

    Raises:
        UserError: it cannot be told.
    """
    several = [names for task in tasks for names in task.text_areas().values() if len(names) > 1]
    names = sorted({name for one in several for name in one})
    if len({re.sub(r"[\W\d_]+", "", name) for name in names}) <= 1:
        return None
    called = [name for name in names if plain(name) in TEXT_NAMES]
    if len(called) != 1:
        raise UserError(f"{labels.path}: the texts may be at {', '.join(names)}; say with --text-key where they are")
    labels.notes.append(f"{labels.path.name}: the texts are taken from {called[0]}.")
    return called[0]


def _picture_key(content: list) -> str:
    """Where the tasks have their picture: a key called like one, or whose values are named like pictures."""
    named: Counter = Counter()
    for data in (task["data"] for task in content if _is_task(task)):
        for key, value in data.items():
            if _is_picture(value):
                is_named = any(value.lower().partition("?")[0].endswith(suffix) for suffix in PICTURE_SUFFIXES)
                named[key] += 2 * (plain(key) in PICTURE_COLUMNS) + is_named
    return named.most_common(1)[0][0] if named else ""


def _own_class(result: dict) -> str:
    """The class that a result itself says; "" if it says none."""
    value = result.get("value") if isinstance(result.get("value"), dict) else {}
    return next((str(value[key][0]) for key in _CLASS_KEYS if isinstance(value.get(key), list) and value[key]), "")


def _is_task(value: Any) -> bool:
    is_task = isinstance(value, dict) and isinstance(value.get("data"), dict)
    return is_task and any(isinstance(value.get(key), list) for key in _ANNOTATIONS)


def _is_short(value: Any) -> bool:
    """Whether this is a task of the export JSON-MIN."""
    return isinstance(value, dict) and "annotation_id" in value and "annotator" in value


def _is_shape(result: dict) -> bool:
    return result.get("type") in _SHAPES


def _is_picture(value: Any) -> bool:
    """Whether a value of a task's data is the place of a picture."""
    return isinstance(value, str) and bool(re.search(r"\.\w{2,5}(\?|$)", value) or "://" in value or value[:1] == "/")


def _corners(result: dict) -> list[tuple[float, float]] | None:
    """The corners of a region in percent."""
    value = result.get("value") if isinstance(result.get("value"), dict) else {}
    points = value.get("points")
    if isinstance(points, list):
        pairs = [one for one in points if isinstance(one, list) and len(one) == 2 and all(map(is_number, one))]
        return [(one[0], one[1]) for one in pairs] if len(pairs) == len(points) >= 3 else None
    numbers = [value.get(key) for key in ("x", "y", "width", "height")]
    if not all(map(is_number, numbers)):
        return None
    x, y, width, height = numbers
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _box(result: dict) -> tuple[float, float, float, float] | None:
    """The bounding box of a region, a share each of left, top, width and height; None if it cannot be told."""
    corners = _corners(result)
    if corners is None or (result.get("image_rotation") or 0) != 0:
        return None
    value: dict = result["value"]
    degrees = value.get("rotation") or 0
    if degrees:  # Around the first corner, in pixels: percent of width and of height are not alike.
        width, height = result.get("original_width"), result.get("original_height")
        if not all(map(is_number, (degrees, width, height))) or min(width, height) < 1:
            return None
        pixels = [(x * width / 100, y * height / 100) for x, y in corners]
        corners = [(x * 100 / width, y * 100 / height) for x, y in rotated(pixels, degrees, pixels[0])]
    xmin, ymin, xmax, ymax = around(corners)
    return xmin / 100, ymin / 100, (xmax - xmin) / 100, (ymax - ymin) / 100
