"""What goes to the terminal: names of files come from anywhere, and a terminal obeys what it prints."""

from __future__ import annotations

import contextlib
import sys
import unicodedata
from typing import TextIO


class OutputError(OSError):
    """What was to be printed cannot be: the pipe is closed, or the disk behind it full."""


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
    """Print a text, see `printable`; letters that the terminal's encoding lacks are written as escapes.

    Raises:
        OutputError: it cannot be printed.
    """
    file = file or sys.stdout
    if file is None:  # Closed by whoever started the program.
        return
    text = printable(text)
    encoding = getattr(file, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=file, flush=True)
    except OSError as error:
        raise OutputError(*error.args) from error


def complain(text: str) -> None:
    """Print a text to the standard error stream, see `say`; where nobody can be told, nobody is."""
    if sys.stderr is not None:
        with contextlib.suppress(OutputError):
            say(text, sys.stderr)
