"""Fonts on this machine, and which characters they have.

First come the fonts that this project brings along (`fontpkg-*` packages), then those of the machine, as far as
matplotlib finds them. Where neither is installed, Pillow's own font is left, with Latin letters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import require_file

# Fonts that have pictures of another kind for a character, or a placeholder for every character.
_NO_LETTERS = re.compile(r"last.?resort|emoji|symbol|icon|awesome|wingding|webding|dingbat|^stix|^cm[a-z]+10$", re.I)
# Leaning, ornamental or monospaced faces are not what plates show.
_UNLIKE_PLATES = re.compile(r"italic|oblique|serif|mincho|ming|song|mono|thin|light|script|display|nonuni|siz", re.I)
# A size to try characters at, in pixels: large enough to tell a letter from the box of a missing one.
_TRIAL = 24
# No font has a character of this number: what it shows for it, it shows for every character that it lacks.
_ABSENT = "\U000fffff"


@dataclass(frozen=True)
class Face:
    """A font file, or one weight of it.

    Attributes:
        path: the file; "" is Pillow's own font.
        weight: of a variable font, 100 to 900; 0 leaves a font as it is.
    """

    path: str
    weight: int = 0

    def font(self, size: float) -> ImageFont.FreeTypeFont:
        """The font at so many pixels."""
        if not self.path:
            font = ImageFont.load_default(size)
            assert isinstance(font, ImageFont.FreeTypeFont)
            return font
        font = ImageFont.truetype(self.path, size)
        if self.weight:
            _set_weight(font, self.weight)
        return font

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return Path(self.path).stem or "Pillow's own font"

    def has(self, text: str) -> bool:
        """Whether the font has all characters of a text."""
        return all(_has(self, character) for character in text)


def brought_along(family: str, weight: int) -> Face | None:
    """A face of a `fontpkg-*` package; None if that is not installed."""
    try:
        import fontpkg
    except ImportError:
        return None
    try:
        chosen = fontpkg.select_file(fontpkg.family(family), weight, "normal", True)
    except fontpkg.FontpkgError:
        return None
    return Face(str(chosen.path), weight if chosen.variable else 0)


@lru_cache(maxsize=1)
def system_faces() -> tuple[Face, ...]:
    """The fonts of this machine, those most like the letters of plates first; empty without matplotlib."""
    try:
        import matplotlib
        from matplotlib import font_manager
    except ImportError:
        return ()
    paths = {str(path) for path in Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")}
    paths |= set(font_manager.findSystemFonts(fontext="ttf"))
    named = [(Path(path).stem, path) for path in paths]
    letters = [(name, path) for name, path in named if not _NO_LETTERS.search(name)]
    letters.sort(key=lambda one: (bool(_UNLIKE_PLATES.search(one[0])), "bold" not in one[0].lower(), one))
    return tuple(Face(path) for _, path in letters)


def face_of_file(path: str | Path) -> Face:
    """A font file that somebody named.

    Raises:
        UserError: it is not there, or no font.
    """
    try:
        require_file(Path(path))  # Opening a pipe would wait for ever.
        ImageFont.truetype(str(path), _TRIAL)
    except OSError as error:
        raise UserError(
            f"font {path}: expected a font file (.ttf, .otf, .ttc), found {error}; give the path of one"
        ) from None
    return Face(str(path))


@lru_cache(maxsize=256)
def _trial_font(face: Face) -> ImageFont.FreeTypeFont | None:
    try:
        return face.font(_TRIAL)
    except (OSError, ValueError):  # A bitmap font, or a file that only looks like a font.
        return None


@lru_cache(maxsize=65536)
def _has(face: Face, character: str) -> bool:
    font = _trial_font(face)
    if font is None:
        return False
    if character.isspace():
        return True
    shown = _shown(font, character)
    return shown is not None and shown != _shown(font, _ABSENT)


def _shown(font: ImageFont.FreeTypeFont, character: str) -> bytes | None:
    """The pixels of a character; None if nothing is to be seen, or the font fails on it."""
    page = Image.new("L", (3 * _TRIAL, 3 * _TRIAL), 0)
    try:
        ImageDraw.Draw(page).text((_TRIAL, 2 * _TRIAL), character, font=font, fill=255, anchor="ls")
    except (OSError, ValueError):
        return None
    return page.tobytes() if page.getbbox() else None


def _set_weight(font: ImageFont.FreeTypeFont, weight: int) -> None:
    """Set the weight of a variable font; its other axes stay."""
    try:
        axes = font.get_variation_axes()
    except (OSError, NotImplementedError):
        return
    values: list[float] = []
    for axis in axes:
        name = (axis["name"] or b"").decode("ascii", "replace").strip().lower()
        values.append(float(weight) if name in ("weight", "wght") else float(axis["default"] or 0))
    font.set_variation_by_axes(values)
