"""What goes to the terminal: names of files come from anywhere, and a terminal obeys what it prints."""

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO


def printable(text: str) -> str:
    """The text with everything that could steer a terminal written out: `\\x1b` for an escape character.

    Line breaks stay. Control and format characters (such as those that turn the direction of writing) and lone
    surrogates (bytes of a file name that are no text) are written as escapes.
    """
    return "".join(
        character
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def many(count: int, noun: str) -> str:
    """A count with its noun: `1 crop`, `2 crops`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def say(text: str, file: TextIO | None = None) -> None:
    """Print a text, see `printable`."""
    print(printable(text), file=file or sys.stdout, flush=True)
