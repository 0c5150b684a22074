"""The texts of a data set in one form, decided over all of them together; every change is named, and none is silent.

One line, no blanks, each character in one spelling (`spellings`), one case of each letter; what a spreadsheet did is
undone where it is certain what the text was (`spreadsheets`), and else the text is unknown.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lpr_e2e.common.terminal import many
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.spellings import Spelling, plain_characters
from lpr_e2e.data.spreadsheets import (
    damage,
    dates,
    decoded,
    is_float,
    is_partly_unknown,
    says_nothing,
    unquoted,
    whole_numbers,
    without_commas,
)
from lpr_e2e.data.tables import Row

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});")
# What stands between the lines of a plate: a line end, as such, as tools write or show it; a bar; a slash with blanks.
_LINE_ENDS = re.compile(
    r"\s*(?:[\n\r\x0b\x0c\x85\u2028\u2029\u00b6\u23ce\u21b5\u21a9\u240a\u2424]|\\r\\n|\\[nr]|_x000[AD]_|<br ?/?>"
    r"|[|\u00a6\uff5c\u2223])\s*|\s+/\s+",
    re.IGNORECASE,
)
# The lines of a text as a list of Python or JSON has them: `['AB', '12']`.
_LIST = re.compile(r"""\[\s*(?:"[^"]*"|'[^']*')(?:\s*,\s*(?:"[^"]*"|'[^']*'))*\s*\]""")
_ITEM = re.compile(r"""["']([^"']*)["']""")
# Control, surrogate, private use, not assigned: nothing that a plate shows.
_NO_CHARACTERS = frozenset(("Cc", "Cs", "Co", "Cn"))
# In a smaller set a character that occurs only once is no sign of a mistake.
_TEXTS_FOR_RARE_CHARACTERS = 50
# A sign for an unread character in more than this share of the texts is a character of the plates.
_MANY = 0.5

ENCODING, ENTITY, LINES, FORMULA, BLANKS, FLOAT = (
    "text read in a wrong encoding",
    "HTML entity",
    "text of several lines",
    "spreadsheet quotes",
    "blanks within a text",
    "number of a spreadsheet",
)
NO_TEXT, PARTLY_UNKNOWN, DAMAGE = "no text", "partly unknown text", "spreadsheet damage"
RARE = "rare character"
# Kinds of problems that leave a plate without a text.
LOST = frozenset((NO_TEXT, PARTLY_UNKNOWN, DAMAGE))


@dataclass
class NormalisedTexts:
    """Rows with their texts in one form.

    Attributes:
        rows: the rows given, in order, with their texts; None where nothing is known of it.
        problems: every text that was changed, is lost, or has a character that no other one has; those of lost texts
            are faults, unless the text says itself that it is unknown.
        notes: how many were changed in what way, a line each.
    """

    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def normalise_texts(rows: Sequence[Row]) -> NormalisedTexts:
    """Bring the texts of a data set to one form.

    Args:
        rows: of all sets together, of training and validation; their texts as written, None if there is none.
    """
    texts = [_Text(row, row.text) for row in rows if row.text is not None]
    written: dict[str, list[_Text]] = defaultdict(list)
    for text in texts:
        written[text.row.csv].append(text)
    for column in written.values():
        for text, now in zip(column, decoded([one.now or "" for one in column]), strict=True):
            if now != text.now:
                text.change(now, [ENCODING])
    many_signs = sum(is_partly_unknown(text.now or "") for text in texts) > _MANY * len(texts)
    for text in texts:
        text.read(many_signs)
    columns: dict[str, list[_Text]] = defaultdict(list)
    for text in texts:
        if text.now is not None:
            columns[text.row.csv].append(text)
    for column in columns.values():
        _undo_spreadsheet(column)
    for text in texts:
        text.drop_blanks()
    spelling = Spelling.of(text.now for text in texts if text.now is not None)
    for text in texts:
        if text.now is not None:
            text.change(*spelling.apply(text.now))
    rare = _rare_characters([text for text in texts if text.now is not None])
    now = iter(texts)
    normalised = [row if row.text is None else replace(row, text=next(now).now) for row in rows]
    problems = [problem for text in texts for problem in text.problems()]
    return NormalisedTexts(normalised, problems + rare, _notes(texts) + spelling.notes + _note_on_rare(rare))


@dataclass
class _Text:
    """A text on its way: what it is now (None: unknown), what was changed, and why it is lost if it is."""

    row: Row
    now: str | None
    kinds: list[str] = field(default_factory=list)
    lost: tuple[str, str, bool] | None = None

    def change(self, now: str, kinds: Sequence[str]) -> None:
        """Note that the text is `now`, because of `kinds`."""
        self.now = now
        self.kinds += [kind for kind in kinds if kind not in self.kinds]

    def lose(self, kind: str, message: str, harmless: bool) -> None:
        """Note that the text is unknown."""
        self.now, self.lost, self.kinds = None, (kind, message, harmless), []

    def read(self, many_signs: bool) -> None:
        """What one text tells by itself; blanks stay."""
        text = self.now or ""
        self._change(html.unescape(text) if _ENTITY.search(text) else text, ENTITY)
        plain, kinds = plain_characters((self.now or "").strip())
        self.change(plain.strip(), kinds)
        if _LIST.fullmatch(plain.strip()):
            self._change("".join(_ITEM.findall(plain)), LINES)
        else:
            self._change(unquoted(plain.strip()), FORMULA)
        if not self.now or says_nothing(self.now):
            self.lose(NO_TEXT, "says that nothing is known; the plate is used without a text", True)
            return
        lost = damage(self.now)
        if lost:
            self.lose(DAMAGE, f"{lost}; the text is lost, write it anew", False)
            return
        self._change("".join(filter(None, _LINE_ENDS.split(self.now))), LINES)
        self._change(unquoted(self.now or ""), FORMULA)  # Only now perhaps: a bar may have stood behind the quotes.
        if not self.now or any(
            unicodedata.category(letter) in _NO_CHARACTERS for letter in self.now.replace("\t", " ")
        ):
            self.lose(NO_TEXT, "expected letters and digits; the plate is used without a text, correct it", False)
        elif is_partly_unknown(self.now) and not many_signs:
            message = "some of its characters are unknown; the plate is used without a text"
            self.lose(PARTLY_UNKNOWN, message, True)

    def drop_blanks(self) -> None:
        """Take out the blanks, and the low lines that stand for them."""
        if self.now is not None:
            self._change("".join(self.now.replace("_", " ").split()), BLANKS)

    def problems(self) -> list[Problem]:
        """What has become of the text."""
        value = self.row.text or ""
        if self.lost is not None:
            kind, message, harmless = self.lost
            return [replace(self.row.problem(value, kind, message), harmless=harmless)]
        return [
            self.row.change(value, kind, f"{self.now!r} is used, correct it if that is wrong") for kind in self.kinds
        ]

    def _change(self, now: str, kind: str) -> None:
        if now != self.now:
            self.change(now, [kind])


def _undo_spreadsheet(column: Sequence[_Text]) -> None:
    """What the texts of one file tell together: numbers with `.0`, dates."""
    texts = [text.now or "" for text in column]
    for text, now in zip(column, whole_numbers(without_commas(texts)), strict=True):
        if now != text.now:
            text.change(now, [FLOAT])
        elif is_float(now):
            message = "a number of a spreadsheet, or a plate with a point; the text is not used, write it anew"
            text.lose(DAMAGE, message, False)
    lost = dates(texts)
    for text in column:
        if text.now in lost:
            text.lose(DAMAGE, "a date or time that a spreadsheet made; the text is lost, write it anew", False)


def _rare_characters(texts: Sequence[_Text]) -> list[Problem]:
    """Name the texts with a character that no other text has: it is a mistake, or hardly anything to learn it from."""
    if len(texts) < _TEXTS_FOR_RARE_CHARACTERS:
        return []
    uses = Counter(character for text in texts for character in set(text.now or ""))
    problems = []
    for text in texts:
        rare = "".join(sorted(character for character in set(text.now or "") if uses[character] == 1))
        if rare:
            message = f"no other text has {rare!r}; used nevertheless, correct it if it is a mistake"
            problems.append(text.row.change(text.row.text or "", RARE, message))
    return problems


def _note_on_rare(rare: Sequence[Problem]) -> list[str]:
    if not rare:
        return []
    return [f"{many(len(rare), 'text')} with a character that no other text has, such as {rare[0].value!r}."]


def _notes(texts: Sequence[_Text]) -> list[str]:
    """How many texts were changed in each way, with an example."""
    counts = Counter(kind for text in texts for kind in text.kinds)
    notes = []
    for kind, count in counts.most_common():
        example = next(text for text in texts if kind in text.kinds)
        notes.append(f"{many(count, 'text')} changed, {kind}: {example.row.text!r} is taken as {example.now!r}.")
    lost = Counter(text.lost[0] for text in texts if text.lost is not None)
    for kind, count in lost.most_common():
        example = next(text for text in texts if text.lost is not None and text.lost[0] == kind)
        notes.append(f"{many(count, 'text')} not used, {kind}: {example.row.text!r}, for instance.")
    if counts[FLOAT]:
        notes.append("The numbers of a spreadsheet have lost the zeros that they may have begun with.")
    return notes
