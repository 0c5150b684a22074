"""Columns of a table that hold boxes, by their names; what the names do not settle, the numbers have to tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from lpr_e2e.data.forms.sources import plain
from lpr_e2e.data.tables import Table, numbers

_ONE_BOX_COLUMN = ("bbox", "box", "bounding_box", "boundingbox", "coordinates")
# By the columns, as `_box_name` calls them, in the order of the numbers: the forms that their names allow.
_CORNERS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("ymin", "xmin", "ymax", "xmax"): ("yxyx",),
    ("y1", "x1", "y2", "x2"): ("yxyx",),
    ("top", "left", "bottom", "right"): ("yxyx",),
    ("y0", "x0", "y1", "x1"): ("yxyx",),
    ("y", "x", "y2", "x2"): ("yxyx",),
}
_CORNER_OR_CENTRE: dict[tuple[str, ...], tuple[str, ...]] = {
    ("left", "top"): ("xywh",),
    ("xmin", "ymin"): ("xywh",),
    ("x1", "y1"): ("xywh",),
    ("xcenter", "ycenter"): ("center_xywh",),
    ("x", "y"): ("xywh", "center_xywh"),
}
_SIDES = (("w", "h"), ("width", "height"))
# Four corners of a plate, in any order: the box around them is taken.
_CORNER_COLUMNS = [tuple(f"{axis}{first + number}" for number in range(4) for axis in "xy") for first in (0, 1)]
# What names of columns are made of, in some languages; what else is in them, all columns of a box have the same.
_WORDS = {
    word: own
    for own, words in {
        "left": "left links gauche izquierda izq esquerda sinistra лево слева левый 左",
        "top": "top upper oben haut arriba superior topo sopra верх сверху верхний 上",
        "right": "right rechts droite derecha der direita destra право справа правый 右",
        "bottom": "bottom lower unten bas abajo inferior sotto низ снизу нижний 下",
        "width": "width breite largeur ancho anchura largura larghezza ширина 宽 宽度",
        "height": "height höhe hoehe hauteur alto altura altezza высота 高 高度",
        "min": "min start begin tl lt",
        "max": "max end br rb",
        "center": "c center centre mid middle mitte centro центр",
    }.items()
    for word in words.split()
}
_FUSED = re.compile("([xy])(min|max|tl|br|start|end|center|centre)|(min|max|start|end|center|centre|c)([xy])")
_NUMBERED = re.compile("(?:p|pt|point|corner)?([0-4])")
# Sides with one of these words in their names are a box's, and those called width and height alone the photograph's.
_OF_BOX = frozenset("bbox box bb bounding plate lp rect rectangle roi region object".split())
# Which form is the same one with x and y exchanged.
_Y_FIRST = {"yxyx": "xyxy", "xywh": "yxhw", "center_xywh": "center_yxhw"}
_ANY_BOX = ("xyxy", "xywh", "yxyx", "center_xywh")
# Columns of numbers that are none of a box.
_NO_BOX = frozenset("id index width height size confidence score fold lat lon latitude longitude year speed".split())
_LIST = re.compile(r"\s*[\[({][-+\d.,;\s\[\](){}'\":a-z]*\d[-+\d.,;\s\[\](){}'\":a-z]*[\])}]\s*")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FOUR_NUMBERS = re.compile(rf"({_NUMBER})" + rf"[\s,;]+({_NUMBER})" * 3)
_BRACKETS = re.compile(r"[\[\](){}]")


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
    for by_name, columns in product(groups.values(), _CORNER_COLUMNS):
        if by_name.keys() >= set(columns):
            return tuple(by_name[one] for one in columns), ((asked or "").removesuffix(arrangement) + "xyxy",)
    for found, readings in _named_boxes(groups):
        if asked is None:
            return found, readings
        if arrangement in readings:
            return found, (asked,)
        if arrangement in [_Y_FIRST[one] for one in readings]:
            return (found[1], found[0], found[3], found[2]), (asked,)
    by_name = {plain(name): name for name in reversed(table.columns)}
    for name in _ONE_BOX_COLUMN:
        if name in by_name:
            return (by_name[name],), (asked,) if asked else _ANY_BOX
    return (), ()


def _named_boxes(groups: Mapping[frozenset[str], dict[str, str]]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The columns that may be boxes by their names, and the readings of each; corners come first."""
    for by_name, (corners, readings) in product(groups.values(), _CORNERS.items()):
        if by_name.keys() >= set(corners):
            yield tuple(by_name[one] for one in corners), readings
    for (key, by_name), (first, readings) in product(groups.items(), _CORNER_OR_CENTRE.items()):
        of_box = [group for other, group in groups.items() if other & _OF_BOX and not key]
        places = [(by_name, _SIDES[0]), *product(of_box, _SIDES), (by_name, _SIDES[1])]
        for group, sides in places:
            if by_name.keys() >= set(first) and group.keys() >= set(sides):
                yield (by_name[first[0]], by_name[first[1]], group[sides[0]], group[sides[1]]), readings


def _box_names(table: Table) -> dict[frozenset[str], dict[str, str]]:
    """The columns by what `_box_name` calls them, those together that have the same other words in their names."""
    groups: dict[frozenset[str], dict[str, str]] = {frozenset(): {}}
    for name in reversed(table.columns):
        own, others = _box_name(plain(name))
        if own:
            groups.setdefault(others, {})[own] = name
    return groups


def _box_name(name: str) -> tuple[str, frozenset[str]]:
    """What a column of a box is called in one way of many (`xmin`, `left`, `w`); "" if it is none; its other words."""
    words = [_WORDS.get(word, word) for word in name.split("_") if word]
    for place, word in enumerate(words):
        if fused := _FUSED.fullmatch(word):
            words[place : place + 1] = [_WORDS.get(part, part) for part in filter(None, fused.groups())]
    axes = [word for word in words if word in ("x", "y")]
    if len(axes) != 1:
        own = [word for word in words if re.fullmatch("[xy][0-4]|[wh]|left|top|right|bottom|width|height", word)]
        return (own[0], frozenset(words) - {own[0]}) if len(own) == 1 and not axes else ("", frozenset())
    (axis,) = axes
    along, across = (("left", "right"), ("top", "bottom"))[:: 1 if axis == "x" else -1]
    said = [word for word in words if word in along] or [word for word in words if word in across]
    ends = {"min" if word in ("left", "top") else "max" for word in said}
    ends |= {word for word in words if word in ("min", "max", "center")}
    numbers = {found[1] for word in words if (found := _NUMBERED.fullmatch(word))}
    if len(ends | numbers) > 1:
        return "", frozenset()
    used = {axis, *along, *across, "min", "max", "center"}
    others = frozenset(word for word in words if word not in used and not _NUMBERED.fullmatch(word))
    return axis + "".join(ends | numbers), others


def unknown_boxes(table: Table, used: Iterable[str]) -> tuple[str, ...]:
    """Columns that may be boxes by their values alone: four side by side with numbers, or one with lists of them."""
    used = {*used, *(name for name in table.columns if plain(name) in _NO_BOX)}
    varied = {name: {values[name] for _, values in table.records} for name in table.columns}
    lists = [name for name in table.columns if name not in used and all(map(_LIST.fullmatch, varied[name] or {""}))]
    are_numbers = [
        name not in used and len(varied[name]) > 1 and numbers(varied[name]) is not None for name in table.columns
    ]
    rows = [table.columns[place : place + 4] for place in range(len(table.columns) - 3)]
    found = [names for place, names in enumerate(rows) if all(are_numbers[place : place + 4])]
    return tuple(lists[:1]) or (found[0] if found else ())


def four_numbers(written: str) -> tuple[float, ...] | None:
    """The four numbers of one cell, such as `[1, 2, 3, 4]` or `((1, 2), (3, 4))`."""
    found = _FOUR_NUMBERS.fullmatch(_BRACKETS.sub(" ", written).strip())
    return numbers(found.groups()) if found else None
