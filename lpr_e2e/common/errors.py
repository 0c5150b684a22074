"""Errors of the person who calls, not of the program: each message is for people and says what to do."""

from __future__ import annotations


class UserError(ValueError):
    """A call, a file or data that cannot be used. The message says what is wrong, what was expected and the remedy.

    The command line prints the message alone and ends with exit code 2. It is one line, whatever it quotes.
    """

    def __str__(self) -> str:
        return super().__str__().replace("\n", "\\n")


class TrainingError(UserError):
    """The training cannot go on; the message says why and what to do."""


class UnwrittenError(OSError):
    """Results cannot be written where they are to go; the message says why and what to do.

    The command line prints the message alone and ends with exit code 1: the call may be right, and the disk full.
    """


# What was expected where a file stands in place of a folder, or the other way round.
_EXPECTED = {
    FileExistsError: "is a file; expected a folder, or a name that is not taken",
    NotADirectoryError: "a part of this path is a file; expected folders",
    IsADirectoryError: "is a folder; expected a file",
}


# A message has so many characters at most: it may quote what a file holds, and that may be of any length.
_LONGEST = 2000


def in_words(error: UserError | OSError) -> str:
    """An error for people, a line: of a fault of the system's, the file, what is wrong with it, and what was expected.

    Of a very long message the middle is left out: it begins with the place, and ends with what to do.
    """
    said = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        said = f"{error.filename}: {_EXPECTED.get(type(error), error.strerror)}"
    said = said.replace("\n", "\\n")
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST // 2]} ... {said[-_LONGEST // 2 :]}"
