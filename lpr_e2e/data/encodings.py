"""Bytes of a table to text: UTF-8, UTF-16, or the code page of an old Windows, told by the whole file.

A code page is taken only where its letters make words and no other one's do: capitals and small letters do not mix
within a word, nor do scripts, accents stand beside letters without, and so on. Where two fit, nobody is asked to trust
a guess. Detectors for prose (charset-normalizer, chardet) go by the letters that a language often uses, and plates have
none: of eight tables of plates, each in the code page of its country, charset-normalizer took one for what it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from unicodedata import category

from lpr_e2e.common.terminal import many

# Zero bytes in one half of the positions, from which on it is UTF-16 without a mark that says so.
_MOST_ZEROS = 0.3
# So many of the words have to look right: some are mistyped.
_MOST = 0.9
# Letters and marks that belong to a letter. A name's ending is no word of the language.
_WORD = re.compile(r"[^\W\d_]+")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}(?![^\s,;|\"\t])")
# Beside letters and what is put above or below them, a table may have such marks.
_LETTERS = frozenset(("Lu", "Ll", "Lo", "Lm", "Mn"))
_PUNCTUATION = frozenset("\u00a0\u00b7\u2013\u2014\u2018\u2019\u201c\u201d\u20ac")
# So many letters of UTF-8 for each byte that is none of it make a file of UTF-8 with faults.
_MANY_LETTERS = 4
# From so many different words on it says something if a letter is not there.
_MANY_WORDS = 12


class UnclearEncoding(ValueError):
    """Bytes that are text in no known encoding, or in several; the message says which."""


@dataclass(frozen=True)
class Decoded:
    """A text, and how it was written: "" for UTF-8."""

    text: str
    said: str


def decode(data: bytes) -> Decoded:
    """The text that bytes stand for, without a byte order mark; stray bytes in UTF-8 become U+FFFD.

    Raises:
        UnclearEncoding: it is none, or could be several.
    """
    for mark, encoding, said in _MARKS:
        if data.startswith(mark):
            return Decoded(_strictly(data[len(mark) :], encoding, said), said)
    pairs = max(1, len(data) // 2)
    zeros = [data[start::2].count(0) / pairs for start in (0, 1)]
    if max(zeros) > _MOST_ZEROS and min(zeros) < _MOST_ZEROS / 4:
        encoding = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        return Decoded(_strictly(data, encoding, "UTF-16"), "UTF-16")
    try:
        return Decoded(data.decode(), "")
    except UnicodeDecodeError as error:
        reason = error.reason
    damaged = data.decode(errors="surrogateescape")
    stray = sum("\udc80" <= letter <= "\udcff" for letter in damaged)
    if sum(not letter.isascii() for letter in damaged) - stray >= _MANY_LETTERS * stray:
        return Decoded(data.decode(errors="replace"), f"UTF-8, but for {many(stray, 'byte')}")
    fitting = [(name, text) for name, encoding, fits in _CODE_PAGES if (text := _fitting(data, encoding, fits))]
    if not fitting:
        raise UnclearEncoding(f"{reason}, and no code page that gives words")
    if len({text for _, text in fitting}) > 1:
        readings = " or ".join(f"{name} ({_example(text)})" for name, text in fitting)
        raise UnclearEncoding(f"what may be {readings}")
    name, text = fitting[0]
    return Decoded(text, f"{name} (such as {_example(text)})")


_MARKS = (
    (b"\xef\xbb\xbf", "utf-8", ""),
    (b"\xff\xfe\0\0", "utf-32-le", "UTF-32"),
    (b"\0\0\xfe\xff", "utf-32-be", "UTF-32"),
    (b"\xff\xfe", "utf-16-le", "UTF-16"),
    (b"\xfe\xff", "utf-16-be", "UTF-16"),
)


def _strictly(data: bytes, encoding: str, said: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnclearEncoding(f"damaged {said or 'UTF-8'} ({error.reason})") from None


def _fitting(data: bytes, encoding: str, fits: Callable[[list[str], list[str]], bool]) -> str | None:
    """The text in a code page, if its words look right in it."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    bare = _ENDING.sub("", text)
    if not all(letter.isascii() or letter in _PUNCTUATION or category(letter) in _LETTERS for letter in set(bare)):
        return None
    cells = [cell for cell in re.split(r"[\n\r,;|\t]", bare) if not cell.isascii()]
    words = sorted({word for cell in cells for word in _WORD.findall(cell) if not word.isascii()})
    return text if words and fits(words, cells) else None


def _example(text: str) -> str:
    cells = (cell.strip() for cell in re.split(r"[\n\r,;|\t]", text))
    return next(cell for cell in cells if not cell.isascii())[:40]


def _mostly(true: list[bool]) -> bool:
    return sum(true) >= _MOST * len(true)


def _one_case(word: str) -> bool:
    return word in (word.upper(), word.lower()) or word[1:] == word[1:].lower()


def _is_latin(words: list[str], cells: list[str]) -> bool:
    """Accented letters stand beside letters without accents."""
    accented = re.compile(r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u0160\u0161\u017d\u017e\u0152\u0153\u0178]+")
    beside = [re.search("[A-Za-z]", cell) is not None for cell in cells]
    return _mostly([accented.fullmatch(word) is not None and _one_case(word) for word in words]) and _mostly(beside)


# Letters of the languages from Poland to Croatia and Romania, and of Turkish, beyond those that Western ones have, too.
_SHARED = "ÁÂÄÇÉËÍÎÓÔÖÚÜÝŠŽ"
_CENTRAL, _TURKISH = "ĄĆĘŁŃŚŹŻČĎĚŇŘŤŮĐŐŰĽĂŞŢ", "ĞİŞÇÖÜÂÎÛ"
# What no Western letter has the byte of.
_ONLY_CENTRAL = frozenset("ĄąŁłŚśŹźŻżŤťĽľ")


def _is_central(words: list[str], cells: list[str]) -> bool:
    """Beside letters without accents; small letters that may be Western ones count only where another one is none."""
    small = (_SHARED + _CENTRAL if _ONLY_CENTRAL.intersection("".join(words)) else _SHARED).lower()
    accented = re.compile(f"[A-Za-zß{_SHARED}{_CENTRAL}{small}]+")
    beside = [re.search("[A-Za-z]", cell) is not None for cell in cells]
    return _all_of(accented, words) and _mostly([_one_case(word) for word in words]) and _mostly(beside)


def _is_turkish(words: list[str], cells: list[str]) -> bool:
    """As in `_is_latin`, with the letters of Turkish alone."""
    usual = re.compile(f"[A-Za-z{_TURKISH}ğışçöüâîû]+")
    beside = [re.search("[A-Za-z]", cell) is not None for cell in cells]
    return _all_of(usual, words) and _mostly(beside)


def _is_hebrew(words: list[str], cells: list[str]) -> bool:
    return _all_of(re.compile("[\u05d0-\u05ea]+"), words)


def _is_traditional_chinese(words: list[str], cells: list[str]) -> bool:
    """The first level of characters; among many are some whose second byte is none of another code page's."""
    pairs = {_bytes(letter, "big5") for word in words for letter in word if not letter.isascii()}
    frequent = all(pair[0] <= 0xC6 for pair in pairs)
    own = any(pair[-1] < 0x80 for pair in pairs) or len(words) < _MANY_WORDS
    return frequent and own and _all_of(re.compile("[A-Za-z\u4e00-\u9fff]+"), words)


def _is_cyrillic(words: list[str], cells: list[str]) -> bool:
    """Among many words are some with A, T or a letter behind Shch, which are no letters in Greek."""
    usual = re.compile(r"[\u0401\u0451\u0404\u0406\u0407\u0410-\u044f]+")
    own = any(re.search("[\u0410\u0422\u042a-\u042f\u0430\u0442]", word) for word in words)
    return _all_of(usual, words) and _mostly([_one_case(word) for word in words]) and (own or len(words) < _MANY_WORDS)


def _is_greek(words: list[str], cells: list[str]) -> bool:
    usual = re.compile(r"[\u0391-\u03a9\u03b1-\u03c9]+")
    return _all_of(usual, words) and _mostly([_one_case(word) for word in words])


def _is_arabic(words: list[str], cells: list[str]) -> bool:
    """Among many words are some of the most frequent letters, from lam to yeh, which are small letters in Cyrillic."""
    usual = re.compile("[\u0621-\u063a\u0641-\u064a\u067e\u0686\u0698\u06a9\u06af\u06cc]+")
    late = any(re.search("[\u0644-\u064a]", word) for word in words)
    return _all_of(usual, words) and (late or len(words) < _MANY_WORDS)


def _is_thai(words: list[str], cells: list[str]) -> bool:
    """Vowels and marks stand at consonants."""
    word = "(?:[\u0e40-\u0e44]?[\u0e01-\u0e23\u0e25\u0e27-\u0e2e][\u0e30-\u0e3a\u0e45\u0e47-\u0e4e]*)+"
    runs = {run for cell in cells for run in re.findall(r"[^\x00-\x7f]+", cell)}
    # Two bytes of Chinese are a Thai and a Latin letter as often as not.
    apart = [re.search(r"[^\x00-\x7f][A-Za-z_]|[A-Za-z_][^\x00-\x7f]", cell) is None for cell in cells]
    return _all_of(re.compile(word), sorted(runs)) and _mostly(apart)


def _is_chinese(words: list[str], cells: list[str]) -> bool:
    """The characters of everyday use, on plates beside a Latin letter."""
    everyday = all(all(byte >= 0xA1 for byte in _bytes(word, "gb2312")) for word in words)
    return everyday and _mostly([re.search("[A-Za-z]", cell) is not None for cell in cells])


def _is_korean(words: list[str], cells: list[str]) -> bool:
    return _all_of(re.compile("[\uac00-\ud7a3]+"), words)


def _is_japanese(words: list[str], cells: list[str]) -> bool:
    """Kana, and the first level of kanji."""
    frequent = all(_bytes(letter, "cp932")[:1] <= b"\x98" for word in words for letter in word)
    return frequent and _all_of(re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff]+"), words)


def _all_of(usual: re.Pattern, words: list[str]) -> bool:
    return _mostly([usual.fullmatch(word) is not None for word in words])


def _bytes(word: str, encoding: str) -> bytes:
    """The bytes of a word's letters beyond ASCII; a byte 0 for what the encoding lacks."""
    return "".join(letter for letter in word if not letter.isascii()).encode(encoding, "replace").replace(b"?", b"\0")


_CODE_PAGES = (
    ("Windows-1252", "cp1252", _is_latin),
    ("Windows-1250, Central European", "cp1250", _is_central),
    ("Windows-1254, Turkish", "cp1254", _is_turkish),
    ("Windows-1251, Cyrillic", "cp1251", _is_cyrillic),
    ("Windows-1253, Greek", "cp1253", _is_greek),
    ("Windows-1256, Arabic", "cp1256", _is_arabic),
    ("Windows-1255, Hebrew", "cp1255", _is_hebrew),
    ("Windows-874, Thai", "cp874", _is_thai),
    ("GB 18030, Chinese", "gb18030", _is_chinese),
    ("Big5, Chinese", "big5", _is_traditional_chinese),
    ("EUC-KR, Korean", "euc_kr", _is_korean),
    ("Shift-JIS, Japanese", "cp932", _is_japanese),
)
