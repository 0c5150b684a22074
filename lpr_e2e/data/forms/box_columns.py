"""Columns of a table that hold boxes, by their names; what the names do not settle, the numbers have to tell."""

from __future__ import annotations

import re
from itertools import product

from lpr_e2e.data.forms.sources import plain
from lpr_e2e.data.tables import Table, numbers

_ONE_BOX_COLUMN = ("bbox", "box", "bounding_box", "boundingbox", "coordinates")
# By the columns, in the order of the numbers: the forms that their names allow, in pixels or shares.
BOX_COLUMNS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("ymin", "xmin", "ymax", "xmax"): ("yxyx",),
    ("y_min", "x_min", "y_max", "x_max"): ("yxyx",),
    ("y1", "x1", "y2", "x2"): ("yxyx",),
    ("top", "left", "bottom", "right"): ("yxyx",),
    ("y0", "x0", "y1", "x1"): ("yxyx",),
    ("min_y", "min_x", "max_y", "max_x"): ("yxyx",),
    ("miny", "minx", "maxy", "maxx"): ("yxyx",),
    ("ytl", "xtl", "ybr", "xbr"): ("yxyx",),
    ("starty", "startx", "endy", "endx"): ("yxyx",),
    ("left", "top", "width", "height"): ("xywh",),
    ("xmin", "ymin", "width", "height"): ("xywh",),
    ("x_min", "y_min", "width", "height"): ("xywh",),
    ("x_center", "y_center", "width", "height"): ("center_xywh",),
    ("center_x", "center_y", "width", "height"): ("center_xywh",),
    ("xcenter", "ycenter", "width", "height"): ("center_xywh",),
    ("cx", "cy", "w", "h"): ("center_xywh",),
    ("cx", "cy", "width", "height"): ("center_xywh",),
    ("x", "y", "width", "height"): ("xywh", "center_xywh"),
    ("x", "y", "w", "h"): ("xywh", "center_xywh"),
}
# Four corners of a plate, in any order: the box around them is taken.
_CORNER_COLUMNS = [tuple(f"{axis}{first + number}" for number in range(4) for axis in "xy") for first in (0, 1)]
# What names of box columns may have before and behind, all four of them the same: `bbox_x1`, `xmin (px)`.
_BEFORE, _BEHIND = re.compile("^(?:bbox|box|bb|plate|lp|rect)_"), re.compile("_(?:px|pix|pixels?)$")
# Which form is the same one with x and y exchanged.
_Y_FIRST = {"yxyx": "xyxy", "xywh": "yxhw", "center_xywh": "center_yxhw"}
_ANY_BOX = ("xyxy", "xywh", "yxyx", "center_xywh")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FOUR_NUMBERS = re.compile(rf"[\[({{]?\s*({_NUMBER})" + rf"[\s,;]+({_NUMBER})" * 3 + r"\s*[\])}]?")


def columns_of_boxes(table: Table, asked: str | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of the boxes: four, or one with four numbers in a cell, or eight with four corners.

    Args:
        table: the table.
        asked: a form of `BOX_FORMS` that somebody says they are in.

    Returns:
        the columns in the order of the readings that are possible, and these, the likeliest first; () and () if no
        columns are called like boxes, or none that can be in the form that is asked for.
    """
    arrangement = re.sub("^(rel|percent|permille)_", "", asked or "")
    groups = _box_names(table)
    for by_name, columns in product(groups, _CORNER_COLUMNS):
        if by_name.keys() >= set(columns):
            return tuple(by_name[one] for one in columns), ((asked or "").removesuffix(arrangement) + "xyxy",)
    for by_name, (columns, readings) in product(groups, BOX_COLUMNS.items()):
        if by_name.keys() >= set(columns):
            found = tuple(by_name[one] for one in columns)
            if asked is None:
                return found, readings
            if arrangement in readings:
                return found, (asked,)
            if arrangement in [_Y_FIRST[one] for one in readings]:
                return (found[1], found[0], found[3], found[2]), (asked,)
    by_name = groups[0]
    for name in _ONE_BOX_COLUMN:
        if name in by_name:
            return (by_name[name],), (asked,) if asked else _ANY_BOX
    return (), ()


def _box_names(table: Table) -> list[dict[str, str]]:
    """The columns by their names as they stand; then those of each group that have the same before and behind them."""
    groups: dict[tuple[str, str], dict[str, str]] = {("", ""): {}}
    for name in reversed(table.columns):
        whole = plain(name)
        before, behind = _BEFORE.match(whole), _BEHIND.search(whole)
        groups["", ""][whole] = name
        if before or behind:
            key = before[0] if before else "", behind[0] if behind else ""
            groups.setdefault(key, {})[whole.removeprefix(key[0]).removesuffix(key[1])] = name
    return list(groups.values())


def four_numbers(written: str) -> tuple[float, ...] | None:
    """The four numbers of one cell, such as `[1, 2, 3, 4]`."""
    found = _FOUR_NUMBERS.fullmatch(written.strip())
    return numbers(found.groups()) if found else None
