"""Columns of a table that may hold texts of plates, or the pictures' names, by their values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lpr_e2e.common.photographs import PICTURE_SUFFIXES
from lpr_e2e.data.forms.sources import is_called_plate, plain
from lpr_e2e.data.tables import Table

# Columns that hold texts in some tables, and classes in others: taken for texts where most values have a digit.
_MAYBE_TEXT_COLUMNS = ("label", "labels", "words", "word", "name", "class")
# Of a table's values, from which on they count as texts of plates, or as names of pictures.
_MOST = 0.5
# No plate has more characters.
_LONGEST = 20


def maybe_texts(table: Table) -> Iterator[str]:
    """Columns that may hold texts by their name and do by their values: most have a digit, and they differ.

    What is called a plate in other words than those that are known has to have letters, too: `plate_width` has none.
    """
    for name in table.columns:
        if plain(name) in _MAYBE_TEXT_COLUMNS:
            values = [values[name] for _, values in table.records if values[name]]
            if any(map(is_called_plate, values)):
                continue
            with_digit = sum(any(character.isdigit() for character in value) for value in values)
            if len(set(values)) > 1 and with_digit > len(values) * _MOST and any(len(one) > 2 for one in values):
                yield name
        elif is_called_plate(name) and like_texts(table, name):
            yield name


def like_texts(table: Table, name: str) -> list[str]:
    """The values of a column that look like texts of plates, if most do: they differ, and have letters and digits."""
    all_values = [values[name] for _, values in table.records]
    values = [value for value in all_values if value]
    mixed = [one for one in values if re.search(r"\d", one) and re.search(r"[^\W\d_]", one) and len(one) <= _LONGEST]
    are_texts = len(mixed) > len(values) * _MOST and len(set(values)) > max(1, len(values) * _MOST)
    return mixed if are_texts and not _mostly_pictures(all_values) else []


def named_like_pictures(table: Table) -> Iterator[str]:
    """Columns whose values are mostly named like pictures."""
    for name in table.columns:
        if _mostly_pictures([values[name] for _, values in table.records]):
            yield name


def is_named_like_picture(value: str) -> bool:
    """Whether a value ends as the name of a picture does."""
    return f".{value.rpartition('.')[2].lower()}" in PICTURE_SUFFIXES


def _mostly_pictures(values: list[str]) -> bool:
    return sum(map(is_named_like_picture, values)) > len(values) * _MOST
