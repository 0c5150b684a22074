"""Letters that a country's plates do not have: a reader that has seen some takes none of them for one of its own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from lpr_e2e.common.scripts import is_letter, script
from lpr_e2e.drawing.glyphs import Alphabets

# Stands in a text for such a letter while it is drawn: a character of no script and of no direction.
PLACEHOLDER = "\ue000"
# Letters of scripts that plates have; none of them is like a digit or like a Latin, Cyrillic or Greek letter.
_LETTERS = {
    "ARABIC": "بتثجحخسشصضطقكمهي",
    "HEBREW": "אבגטלמעפצקש",
    "THAI": "กขคชญณฐพฟภมศสหฮ",
    "DEVANAGARI": "अआकखगचझतदधनफमलशसह",
    "CJK": "京津冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新使警学港澳領品横浜",
    "HANGUL": "가나다라마바사자하거너더러머버서저허배",
}


def foreign_letters(characters: Iterable[str]) -> Alphabets | None:
    """The letters of all scripts that none of these characters is of, as far as fonts have them; None if none has any.

    Args:
        characters: of the country's plates.
    """
    own = {script(one[0]) for one in characters if is_letter(one[0])}
    found = _drawn(tuple(name for name in _LETTERS if name not in own))
    return found if found.drawn_by else None


def one_of(alphabets: Alphabets, rng: np.random.Generator) -> np.ndarray:
    """The mask of one of the letters, see `lpr_e2e.drawing.glyphs.Alphabet`; each script as often as the others."""
    masks = alphabets.choose(rng).masks
    names = sorted({script(one) for one in masks})
    name = names[int(rng.integers(len(names)))]
    letters = sorted(one for one in masks if script(one) == name)
    return masks[letters[int(rng.integers(len(letters)))]]


@lru_cache(maxsize=8)
def _drawn(scripts: tuple[str, ...]) -> Alphabets:
    return Alphabets([letter for name in scripts for letter in _LETTERS[name]])
