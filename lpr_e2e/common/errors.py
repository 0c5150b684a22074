"""Errors of the person who calls, not of the program: each message is for people and says what to do."""

from __future__ import annotations


class UserError(ValueError):
    """A call, a file or data that cannot be used. The message says what is wrong, what was expected and the remedy.

    The command line prints the message alone and ends with exit code 2.
    """


class TrainingError(UserError):
    """The training cannot go on; the message says why and what to do."""
