"""Scripts of the world: of what kind a character is, and in which order the characters of a text stand on a plate.

Texts are stored in logical order, as they are typed. Arabic and Hebrew letters run from right to left, all digits from
left to right.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import TypeVar

# A part of a text, or more than that: what is put in order stays what it is.
Cluster = TypeVar("Cluster", bound=str)
# Joins what stands on both sides of it into one letter, in the scripts of India.
_VIRAMA = 9  # its canonical combining class
# Unicode's marks of direction: what is between isolates is ordered by itself; behind a mark digits run on to the right.
_LEFT_ISOLATE, _RIGHT_ISOLATE, _ISOLATE_END, _LEFT_MARK = "\u2066", "\u2067", "\u2069", "\u200e"
# Letters of Arabic that do not reach over to the next one; the others do.
_JOINS_NOT_ON = frozenset("اأإآٱدذرزوؤءةىژڑڈۀۃ")


@lru_cache(maxsize=4096)
def script(character: str) -> str:
    """The script of a character by its Unicode name, such as "LATIN", "ARABIC", "CJK"; "" for what all scripts share.

    The digits of a script belong to it; 0 to 9 are shared.
    """
    category = unicodedata.category(character)
    name = unicodedata.name(character, "")
    if category == "Nd":
        name = name.removeprefix("EXTENDED ")
        return "" if name.startswith("DIGIT ") else name.split()[0].split("-")[0]
    return name.split()[0].split("-")[0] if category[0] in "LM" and name else ""


@lru_cache(maxsize=4096)
def kind(character: str) -> str:
    """Characters of one kind can stand for each other in a text of the same form.

    Digits of one set (0 to 9, ٠ to ٩, ۰ to ۹, ...) are of the kind named by their zero; letters of one script and case
    are of one kind; every other character is of a kind of its own.
    """
    category = unicodedata.category(character)
    if category == "Nd":
        return chr(ord(character) - unicodedata.digit(character))
    if category[0] == "L":
        return f"{script(character)} {category}"
    return character


def is_digit(character: str) -> bool:
    """Whether it is a decimal digit of any script."""
    return unicodedata.category(character) == "Nd"


def is_letter(character: str) -> bool:
    """Whether it is a letter of any script."""
    return unicodedata.category(character)[0] == "L"


def right_to_left(character: str) -> bool:
    """Whether it is a letter that runs from right to left."""
    return unicodedata.bidirectional(character) in ("R", "AL")


def clusters(text: str) -> list[str]:
    """The text cut into what is drawn as one: a character with the marks that go with it."""
    parts: list[str] = []
    for character in text:
        joined = parts and unicodedata.combining(parts[-1][-1]) == _VIRAMA and is_letter(character)
        belongs = joined or unicodedata.category(character)[0] == "M"
        if parts and belongs and not parts[-1].isspace():
            parts[-1] += character
        else:
            parts.append(character)
    return parts


def visual_order(text: str) -> list[str]:
    """The clusters of a text from left to right, as a plate shows them.

    A text that begins with a letter of a right-to-left script is read from the right as a whole: `سطن٧١٢٦` has its
    letters right of its digits, the first letter rightmost. Otherwise the parts stand from left to right as they come,
    and only the letters of such a part are turned round. Digits always run from left to right.
    """
    return in_visual_order(clusters(text))


def in_visual_order(parts: list[Cluster]) -> list[Cluster]:
    """The clusters of a text, in logical order, from left to right; see `visual_order`."""
    if not any(right_to_left(part[0]) for part in parts):
        return parts
    from_the_right = right_to_left(parts[0][0])

    def turns(part: Cluster) -> bool | None:
        """Whether it runs from the right; None: it goes with the text as a whole, as a hyphen does."""
        return right_to_left(part[0]) or (None if unicodedata.category(part[0])[0] not in "LN" else False)

    runs = [(turn, list(run)) for turn, run in groupby(parts, key=turns)]
    turned = [run[::-1] if turn or (turn is None and from_the_right) else run for turn, run in runs]
    return [part for run in (turned[::-1] if from_the_right else turned) for part in run]


def reads_from_the_right(text: str) -> bool:
    """Whether a text as a whole is read from the right: it begins with a letter of such a script."""
    return bool(text) and right_to_left(text[0])


def with_direction(text: str) -> str:
    """A text in logical order with the marks by which browsers show it as a plate does, see `visual_order`.

    Alone, they would take a text that has a right-to-left letter anywhere for one that is read from the right. Texts
    without such letters, and whole sentences that hold some, stay as they are.
    """
    if " " in text or not any(right_to_left(character) for character in text):
        return text
    if reads_from_the_right(text):
        return f"{_RIGHT_ISOLATE}{text}{_ISOLATE_END}"
    runs = groupby(text, key=right_to_left)
    marked = "".join("".join(run) + (_LEFT_MARK if from_the_right else "") for from_the_right, run in runs)
    return f"{_LEFT_ISOLATE}{marked}{_ISOLATE_END}"


def joins_next(character: str) -> bool:
    """Whether an Arabic letter reaches over to the next one where letters are joined."""
    return script(character) == "ARABIC" and is_letter(character) and character not in _JOINS_NOT_ON
