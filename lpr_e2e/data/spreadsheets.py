"""What spreadsheets and tables of programs make of a plate's text, and what people write where they cannot read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_QUOTED = re.compile(
    r'=\s*"+(.*?)"+|"(.*)"|[\'\u2018\u2019](.*?)[\'\u2018\u2019]?|[\u201c\u201d\u201e](.*)[\u201c\u201d]|\u00ab(.*)\u00bb|`(.*)[`\u00b4]',
    re.DOTALL,
)
# Excel's errors in any of its languages, and its sign for a column that is too narrow.
_ERROR = re.compile(r"#(?:N/?A|NV|Н/Д|[^\W_]+(?:/[^\W_]+)*[!?！？])|#{4,}", re.IGNORECASE)
_EXPONENT = re.compile(r"\d[.,]\d+E[+-]?\d{1,3}|\dE[+-]\d{2,3}", re.IGNORECASE)
_FLOAT = re.compile(r"\d+[.,]0+")
# English, German, Spanish, Portuguese, French, Italian, Dutch; Turkish, Indonesian, Polish; Russian; Greek.
_MONTHS = "|".join(
    "jan feb mar apr may jun jul aug sep sept oct nov dec mrz mär mai okt dez ene abr ago dic fév fev avr juin juil "
    "aoû gen mag giu lug set ott out mrt mei maj oca şub nis haz tem ağu eyl eki kas ara agu agt des "
    "sty lut kwi cze lip sie wrz paź lis gru янв фев мар апр май мая июн июл авг сен окт ноя дек "
    "ιαν φεβ μαρ απρ μαϊ ιουν ιουλ αυγ σεπ οκτ νοε δεκ".split()
)
_DAY, _MONTH, _TIME = (
    r"(?:0?[1-9]|[12]\d|3[01])",
    r"(?:0?[1-9]|1[0-2])",
    r"\d{1,2}:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?: [AP]M)?",
)
_DATE = re.compile(
    rf"\d{{1,2}}[-. ]+(?:{_MONTHS})\.?|(?:{_MONTHS})[-. ]\d{{2,4}}|\d{{1,2}}[-. ](?:{_MONTHS})[-. ]\d{{2,4}}"
    rf"|(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[T ]{_TIME})?"
    rf"|\d{{1,2}}([-/.])\d{{1,2}}\1(?:19|20)\d\d(?: {_TIME})?"
    # A year of two digits: the day and the month have to be there, in either order.
    rf"|(?:{_DAY}([/.]){_MONTH}\2|{_MONTH}([/.]){_DAY}\3)\d\d(?: {_TIME})?"
    rf"|{_MONTH}[月월] ?{_DAY}[日일]|{_TIME}",
    re.IGNORECASE,
)
_SHAPES = str.maketrans("0123456789", "0" * 10)
# A whole number with commas as English spreadsheets show it; no plate is known to have a comma.
_WITH_COMMAS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
# So many of a column's texts have to be whole numbers with `.0` for that to be what the program made of all of them.
_MOST = 0.98

# Signs for a character that nobody can read: what people type, what is put for a faulty one, empty and full squares.
_UNREAD = "?*\ufffd\uff1f■□▯◻█"
_NO_TEXT = re.compile(rf"[{_UNREAD}.\-_/]+|#{{1,3}}")
_AROUND = re.compile(r"[(\[{<（【](.+)[)\]}>）】]")
_NO_TEXT_WORDS = frozenset(
    "unknown unk unreadable illegible notreadable notlegible notvisible notclear notavailable unclear blurred blurry "
    "cannotread can'tread invisible occluded unlabelled unlabeled notext noplate nolicenseplate nolicenceplate "
    "dontcare don'tcare ignore nan na n/a n.a. null none nil undefined nat unbekannt unleserlich nichtlesbar "
    "inconnu illisible desconocido ilegible desconhecido ilegível ilegivel sconosciuto illeggibile onbekend onleesbaar "
    "nieznany nieczytelne nieczytelny nečitelné okunamıyor okunmuyor bilinmiyor tidakterbaca takterbaca tidakjelas "
    "khôngrõ неизвестно нечитаемо неразборчиво невидно άγνωστο δυσανάγνωστο לאקריא לאידוע غيرواضح غيرمعروف ناخوانا "
    "अज्ञात ไม่ชัด อ่านไม่ออก ไม่ทราบ 판독불가 미상 未知 不明 不清 不清楚 看不清 无法识别 模糊 読めない".split()
)
# The same in more words: `plate not readable`, `cannot be read`, `no number visible`.
_NOT_READ = re.compile(
    "(?:the)?(?:text|number|plate|kennzeichen)?(?:is)?"
    "(?:not|un|non|in|il|cannot(?:be)?|can['\u2019]?t(?:be)?|nicht|niet|n\u00e3o|nao|pas)"
    "(?:read|readable|legible|lisible|lesbar|leserlich|leesbaar|leggibile|leg[i\u00ed]vel|visible|visibile|vis[i\u00ed]vel|"
    "sichtbar|clear|available|known|identifiable|recogni[sz]able|seen)"
    "|no(?:text|number|(?:license|licence|number)?plate)(?:visible|readable|legible)?"
)
# What programs take UTF-8 for.
_CODE_PAGES = ("cp1252", "cp1251", "cp1250", "cp1254")
# So many texts have to be UTF-8 in another code page than the first.
_MANY_TEXTS = 3
_PART_UNKNOWN = re.compile(rf"[{_UNREAD}]")


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
    inner = _AROUND.fullmatch(word)
    word = inner[1] if inner else word
    return word in _NO_TEXT_WORDS or any(one.fullmatch(word) for one in (_NO_TEXT, _NOT_READ))


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


def decoded(texts: Sequence[str]) -> list[str]:
    """The texts of a column, `ç²¤B123` as `粤B123`: those that are UTF-8 in Windows-1252, whose signs no plate has.

    In another code page, whose letters plates may have, all texts with letters beyond ASCII have to be UTF-8.
    """
    odd = {text for text in texts if not text.isascii()}
    for page in _CODE_PAGES:
        read = {text: _utf_8(text, page) for text in odd}
        if all(read.values()) and len(odd) >= _MANY_TEXTS:
            return [read.get(text) or text for text in texts]
    return [_utf_8(text, _CODE_PAGES[0]) or text for text in texts]


def _utf_8(text: str, page: str) -> str:
    """A text whose bytes in a code page are UTF-8 with letters or digits beyond ASCII; "" if they are not."""
    # A byte that the code page has no sign for is kept as a control character.
    kept = {chr(byte) for byte in range(0x80, 0xA0) if not bytes([byte]).decode(page, "ignore")}
    try:
        read = b"".join(letter.encode("latin1" if letter in kept else page) for letter in text).decode()
    except UnicodeError:
        return ""
    if not any(letter.isalnum() and not letter.isascii() for letter in read):
        return ""
    again = _utf_8(read, page) if page == _CODE_PAGES[0] else ""  # Perhaps it has happened twice.
    return again or read


def without_commas(texts: Sequence[str]) -> list[str]:
    """The texts of a column, `12,345` as `12345`, unless other texts have commas, too; else as they are."""
    if any("," in text and not _WITH_COMMAS.fullmatch(text) for text in texts):
        return list(texts)
    return [text.replace(",", "") if _WITH_COMMAS.fullmatch(text) else text for text in texts]


def is_float(text: str) -> bool:
    """Whether a text is a whole number as programs write it among others, `7809.0`."""
    return _FLOAT.fullmatch(text) is not None


def dates(texts: Iterable[str]) -> set[str]:
    """The texts that are dates or times, unless others have the same shape that are none, as 12-XYZ and 12-Mar."""
    texts = list(texts)
    found = {text for text in texts if _DATE.fullmatch(text)}
    if not found:
        return found
    others = {_shape(text) for text in texts if text not in found}
    return {text for text in found if _shape(text) not in others}


def _shape(text: str) -> str:
    return re.sub(r"[^\W\d_]", "A", text.translate(_SHAPES))
