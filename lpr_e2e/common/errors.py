"""Errors of the person who calls, not of the program: each message is for people and says what to do."""

from __future__ import annotations


class UserError(ValueError):
    """A call, a file or data that cannot be used. The message says what is wrong, what was expected and the remedy.

    The command line prints the message alone and ends with exit code 2.
    """


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


def in_words(error: UserError | OSError) -> str:
    """An error for people: of a fault of the system's, the file, what is wrong with it, and what was expected."""
    if not isinstance(error, OSError) or error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {_EXPECTED.get(type(error), error.strerror)}"
