"""One spelling for every character: what looks the same on a plate is written the same, in every text of a data set.

`plain_characters` needs one text; `Spelling` is decided over all of them, because only the whole set tells whether an A
is a Latin or a Cyrillic one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# Letters and digits of another width, raised, lowered or in circles, Roman numbers as one sign, letters as they look
# joined, radicals as signs: NFKC gives what they stand for.
_FORMS = re.compile(
    "[\u00b2\u00b3\u00b9\u2070-\u2089\u2160-\u217f\u2460-\u2473\u2f00-\u2fd5\ufb00-\ufb06\ufb50-\ufdff\ufe70-\ufefc\uff01-\uffdc\U0001d400-\U0001d7ff]+"
)
# Marks of direction, joiners, byte order marks, selectors of glyphs; and the line that only lengthens Arabic words.
_INVISIBLE = re.compile("[\u0640\ufe00-\ufe0f]")
_HYPHENS = re.compile("[\u2010-\u2015\u2043\u2212\u2e3a\u2e3b\u30a0\ufe58\ufe63\u02d7\u06d4]")
_DOTS = re.compile("[\u2022\u2027\u2219\u22c5\u30fb\uff65\u0387\u2e31\u16eb]")
# What Thai and Lao keyboards write in two signs where there is one, perhaps with a tone between; and Georgian capitals.
_IN_TWO = (
    (re.compile("\u0e4d([\u0e48-\u0e4b]?)\u0e32"), "\\1\u0e33"),
    (re.compile("\u0ecd([\u0ec8-\u0ecb]?)\u0eb2"), "\\1\u0eb3"),
    (re.compile("\u0e40\u0e40"), "\u0e41"),
)
_GEORGIAN_CAPITALS = re.compile("[\u1c90-\u1cbf]+")
# Letters that are the same on a plate: Latin, Cyrillic, Greek. A blank where a script has none.
_SAME_LETTERS = (
    *("A\u0410\u0391", "B\u0412\u0392", "C\u0421 ", "E\u0415\u0395", "H\u041d\u0397", "I\u0406\u0399", "J\u0408 "),
    *("K\u041a\u039a", "M\u041c\u039c", "N \u039d", "O\u041e\u039f", "P\u0420\u03a1", "S\u0405 ", "T\u0422\u03a4"),
    *("X\u0425\u03a7", "Y\u0423\u03a5", "Z \u0396", "a\u0430 ", "c\u0441 ", "e\u0435 ", "i\u0456 ", "j\u0458 "),
    *("o\u043e\u03bf", "p\u0440 ", "s\u0455 ", "x\u0445 ", "y\u0443 "),
)
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")
# Arabic letters of several keyboards: yeh, kaf, heh.
_SAME_ARABIC = ("\u064a\u06cc", "\u0643\u06a9", "\u0647\u06c1\u06be\u06d5")
# Arabic and Persian digits: the same numbers, of which some look different.
_DIGITS = tuple("".join(chr(zero + digit) for digit in range(10)) for zero in (0x660, 0x6F0))
# Scripts whose small letters are the same classes as their capitals; Georgian has no capitals on plates.
_CASED = frozenset(("LATIN", "CYRILLIC", "GREEK", "ARMENIAN"))
# A case that so few letters of a script have is no second set of letters.
_FEW = 0.1

OTHER_FORM, INVISIBLE, OTHER_SCRIPT, OTHER_CASE = (
    "another form of a character",
    "invisible character",
    "look-alike of another script",
    "another case",
)


def plain_characters(text: str) -> tuple[str, list[str]]:
    """A text with every character in its plain form (NFC), and the kinds of what was changed; blanks stay."""
    kinds = []
    seen = "".join(letter for letter in _INVISIBLE.sub("", text) if unicodedata.category(letter) != "Cf")
    if seen != text:
        kinds.append(INVISIBLE)
    plain = _FORMS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), seen)
    for two, one in _IN_TWO:
        plain = two.sub(one, plain)
    plain = _GEORGIAN_CAPITALS.sub(lambda found: found[0].lower(), plain)
    plain = unicodedata.normalize("NFC", _DOTS.sub("\u00b7", _HYPHENS.sub("-", plain)))
    if plain != seen:
        kinds.append(OTHER_FORM)
    return plain, kinds


def script(letter: str) -> str:
    """The script of a letter, as the first word of its Unicode name: LATIN, ARABIC, CJK, HANGUL, ...; "" of others."""
    return unicodedata.name(letter, " ").split(" ")[0] if letter.isalpha() else ""


def look_alikes(letter: str) -> str:
    """The characters that look like this one on a plate, or are another form of it, in any script; itself is none."""
    digits = ["".join(same) for same in zip(*_DIGITS, strict=True)]
    alike = "".join(same for same in (*_SAME_LETTERS, *_SAME_ARABIC, *digits) if letter in same)
    return alike.replace(letter, "").replace(" ", "")


@dataclass
class Spelling:
    """How characters are written in a set of texts: what to write for what, by the kind of the change.

    Attributes:
        changes: for each kind a table for `str.translate`.
        notes: what is not clear, a line each.
    """

    changes: dict[str, dict[int, str]]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Spelling:
        """The spelling that most of the texts have."""
        uses: Counter[str] = Counter("".join(texts))
        spelling = cls({OTHER_SCRIPT: _other_scripts(uses), OTHER_FORM: _other_arabic(uses)})
        for letter, own in spelling.changes[OTHER_SCRIPT].items():
            uses[own] += uses.pop(chr(letter))
        spelling.changes[OTHER_CASE] = spelling._other_case(uses)
        western = sum(count for letter, count in uses.items() if letter.isascii() and letter.isdigit())
        eastern = sum(uses[digit] for digits in _DIGITS for digit in digits)
        if western and eastern:
            spelling.notes.append(
                f"The texts have {western} digits of 0 to 9 and {eastern} Arabic ones; they are taken for different "
                "characters. If the plates show one kind only, write that one."
            )
        return spelling

    def apply(self, text: str) -> tuple[str, list[str]]:
        """A text in this spelling, and the kinds of what was changed."""
        kinds = []
        for kind, table in self.changes.items():
            changed = text.translate(table)
            if changed != text:
                kinds.append(kind)
            text = changed
        return text, kinds

    def _other_case(self, uses: Counter[str]) -> dict[int, str]:
        """Letters to capitals, or nearly all being small to small ones, where both are used for one of them."""
        table: dict[int, str] = {}
        for name in _CASED:
            upper = {one: count for one, count in uses.items() if script(one) == name and _changes(one, str.lower)}
            lower = {one: count for one, count in uses.items() if script(one) == name and _changes(one, str.upper)}
            if not upper or not lower:
                continue
            total = sum(upper.values()) + sum(lower.values())
            both = any(letter.upper() in upper for letter in lower)
            # Plates have capitals; only where nearly all letters are small ones, these may be what they show.
            few_capitals = sum(upper.values()) < _FEW * total
            rarer, fold = (upper, str.lower) if few_capitals else (lower, str.upper)
            if both or sum(rarer.values()) < _FEW * total:
                table |= {ord(letter): fold(letter) for letter in rarer}
            else:
                self.notes.append(
                    f"{''.join(sorted(upper))} are capitals and {''.join(sorted(lower))} small letters; no letter is "
                    "both, so each is taken as it is."
                )
        return table


def _changes(letter: str, case: Callable[[str], str]) -> bool:
    """Whether a letter is another single one in a case."""
    other = case(letter)
    return other != letter and len(other) == 1


def _other_scripts(uses: Counter[str]) -> dict[int, str]:
    """Look-alikes to the one of Latin, Cyrillic and Greek that most letters have."""
    totals = [sum(count for letter, count in uses.items() if script(letter) == name) for name in _SCRIPTS]
    place = totals.index(max(totals))
    if sum(map(bool, totals)) < 2:
        return {}
    table: dict[int, str] = {}
    for same in _SAME_LETTERS:
        if same[place] != " ":
            table |= {ord(letter): same[place] for letter in same if letter not in " " + same[place]}
    # Small letters that look like none of the script have capitals that do; the others' case is that of most letters.
    looks = set("".join(_SAME_LETTERS))
    own_script = {letter: count for letter, count in uses.items() if script(letter) == _SCRIPTS[place]}
    are_small = 2 * sum(own_script[one] for one in own_script if one.islower()) > sum(own_script.values())
    for same in _SAME_LETTERS:
        if same[place].isupper():
            own = same[place].lower() if are_small else same[place]
            small = (letter.lower() for letter in same if letter not in " " + same[place])
            table |= {ord(letter): own for letter in small if letter not in looks}
    return {letter: own for letter, own in table.items() if chr(letter) in uses}


def _other_arabic(uses: Counter[str]) -> dict[int, str]:
    """Arabic letters and digits of one meaning to the one that most texts have."""
    table: dict[int, str] = {}
    for same in _SAME_ARABIC:
        own = max(same, key=lambda letter: uses[letter])
        table |= {ord(letter): own for letter in same if letter != own and uses[letter]}
    own_digits = max(_DIGITS, key=lambda digits: sum(uses[digit] for digit in digits))
    for digits in _DIGITS:
        table |= {
            ord(digit): own for digit, own in zip(digits, own_digits, strict=True) if digit != own and uses[digit]
        }
    return table
