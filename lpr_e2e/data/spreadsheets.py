"""What spreadsheets and tables of programs make of a plate's text, and what people write where they cannot read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_QUOTED = re.compile(r'=\s*"+(.*?)"+|"(.*)"|[\'\u2018\u2019](.*?)[\'\u2018\u2019]?', re.DOTALL)
# Excel's errors in any of its languages, and its sign for a column that is too narrow.
_ERROR = re.compile(r"#(?:N/?A|NV|[A-Z\u00c0-\u00dc0/]+[!?])|#{4,}", re.IGNORECASE)
_EXPONENT = re.compile(r"\d[.,]\d+E[+-]?\d{1,3}|\dE[+-]\d{2,3}", re.IGNORECASE)
_FLOAT = re.compile(r"\d+[.,]0+")
_MONTHS = "|".join(
    "jan feb mar apr may jun jul aug sep sept oct nov dec mrz m\u00e4r mai okt dez ene abr ago dic f\u00e9v fev avr "
    "juin juil ao\u00fb gen mag giu lug set ott out".split()
)
_DATE = re.compile(
    rf"\d{{1,2}}[-. ]+(?:{_MONTHS})\.?|(?:{_MONTHS})[-. ]\d{{2,4}}|\d{{1,2}}[-. ](?:{_MONTHS})[-. ]\d{{2,4}}"
    r"|(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
    r"|\d{1,2}([/.])\d{1,2}\1(?:19|20)\d\d(?: \d\d?:\d\d(?::\d\d)?)?",
    re.IGNORECASE,
)
_SHAPES = str.maketrans("0123456789", "0" * 10)
# So many of a column's texts have to be whole numbers with `.0` for that to be what the program made of all of them.
_MOST = 0.98

_NO_TEXT = re.compile(r"[?*\ufffd\uff1f.\-_/]+|#{1,3}")
_NO_TEXT_WORDS = frozenset(
    "unknown unk unreadable illegible notreadable invisible occluded unlabelled unlabeled notext dontcare don'tcare "
    "ignore nan <na> na n/a null none nil undefined nat unbekannt unleserlich inconnu illisible desconocido ilegible "
    "\u043d\u0435\u0438\u0437\u0432\u0435\u0441\u0442\u043d\u043e \u672a\u77e5 \u4e0d\u660e \u4e0d\u6e05\u695a".split()
)
_PART_UNKNOWN = re.compile(r"[?*\ufffd]")


def unquoted(text: str) -> str:
    """A text without what makes a spreadsheet keep it as a text: `="0123"`, `'0123`, `"0123"`, one in another."""
    while found := _QUOTED.fullmatch(text):
        inner = next((one for one in found.groups() if one is not None), text).strip()
        if inner == text:
            break
        text = inner
    return text


def says_nothing(text: str) -> bool:
    """Whether a text says that there is none, or that nobody can read it."""
    word = "".join(text.lower().split())
    return word in _NO_TEXT_WORDS or _NO_TEXT.fullmatch(word) is not None


def is_partly_unknown(text: str) -> bool:
    """Whether a text has a sign for a character that nobody can read."""
    return _PART_UNKNOWN.search(text) is not None


def damage(text: str) -> str:
    """What a spreadsheet has made of a text that is lost by it, in a few words; "" if nothing."""
    if _ERROR.fullmatch(text):
        return "an error of a spreadsheet"
    if text.startswith("="):
        return "a formula of a spreadsheet"
    return "a number rounded by a spreadsheet" if _EXPONENT.fullmatch(text) else ""


def whole_numbers(texts: Sequence[str]) -> list[str]:
    """The texts of a column, `7809.0` as `7809` if nearly all are such; else as they are."""
    floats = sum(_FLOAT.fullmatch(text) is not None for text in texts)
    if not texts or floats < _MOST * len(texts):
        return list(texts)
    return [re.split("[.,]", text)[0] if _FLOAT.fullmatch(text) else text for text in texts]


def is_float(text: str) -> bool:
    """Whether a text is a whole number as programs write it among others, `7809.0`."""
    return _FLOAT.fullmatch(text) is not None


def dates(texts: Iterable[str]) -> set[str]:
    """The texts that are dates, unless others that are none have the same shape, as 12-XYZ has that of 12-Mar."""
    texts = list(texts)
    found = {text for text in texts if _DATE.fullmatch(text)}
    if not found:
        return found
    others = {_shape(text) for text in texts if text not in found}
    return {text for text in found if _shape(text) not in others}


def _shape(text: str) -> str:
    return re.sub(r"[^\W\d_]", "A", text.translate(_SHAPES))
