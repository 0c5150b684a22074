"""Texts to class numbers and back. The vocabulary is read from the training texts and stored in the model."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import zip_longest

import numpy as np

from lpr_e2e.common.errors import UserError

# Class 0 fills every slot behind the last character: it ends the text.
BLANK = 0
# A character that is there, or may be, and cannot be seen: it is covered, or cut off. Where the plate is cut off, one
# stands for all that are missing there. Texts of labels have none, see `lpr_e2e.data.texts`. A model that can say it
# has it as its last character.
UNSEEN = "?"
# The most slots, and the most characters, that a model may have: no plate has as many.
_MOST_SLOTS, _MOST_CHARACTERS = 128, 50_000


def require_letters(characters: str) -> None:
    """Make sure that letters which somebody has named can stand on a plate.

    Raises:
        UserError: one cannot be printed, is a blank, which no text has, or stands for what cannot be seen.
    """
    for one in characters:
        # What Unicode leaves to private use may be a sign of a country, in a font of its own.
        is_sign = one.isprintable() or unicodedata.category(one) == "Co"
        if not is_sign or one in (" ", UNSEEN):
            raise UserError(f"characters: {one!r}; expected letters, digits and signs of plates; leave it out")


class Vocabulary:
    """The characters that a model can read, in class order: class 0 is the blank, class `i` is `characters[i - 1]`.

    Args:
        characters: every character once, as one string.
        slots: number of character slots of the decoder: the longest text that can be read.
    """

    def __init__(self, characters: str, slots: int):
        if len(set(characters)) != len(characters) or not characters:
            raise UserError(f"vocabulary {characters!r:.60}: expected at least one character, each exactly once")
        if len(characters) > _MOST_CHARACTERS:
            raise UserError(f"vocabulary: {len(characters)} characters, expected at most {_MOST_CHARACTERS}")
        if isinstance(slots, bool) or not isinstance(slots, (int, np.integer)) or not 0 <= slots <= _MOST_SLOTS:
            raise UserError(f"slots {slots!r:.60}: expected a whole number, at most {_MOST_SLOTS}")
        self.characters = characters
        self.slots = slots
        self._class_of = {character: index + 1 for index, character in enumerate(characters)}

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], further: str = "", unseen: bool = False, spare: bool = False
    ) -> Vocabulary:
        """The sorted characters of the texts, and `further` ones, and slots for the longest text.

        With `unseen`, what is there and cannot be seen has a class as well; with `spare`, there is one slot more.
        """
        texts = list(texts)
        characters = sorted({*"".join(texts), *further} - {UNSEEN})
        return cls("".join(characters) + UNSEEN * unseen, max(map(len, texts)) + spare)

    @property
    def classes(self) -> int:
        """Number of classes, the blank included."""
        return len(self.characters) + 1

    @property
    def unseen(self) -> int | None:
        """The class of `UNSEEN`; None if the model cannot say it."""
        return self._class_of.get(UNSEEN)

    def spells(self, text: str) -> bool:
        """Whether the text fits the slots and uses only known characters."""
        return len(text) <= self.slots and set(text) <= set(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """int32 `(slots,)` class numbers of a text, filled up with blanks.

        Raises:
            ValueError: the text is too long, or holds a character that the vocabulary lacks.
        """
        if not self.spells(text):
            unknown = sorted(set(text) - set(self.characters))
            raise UserError(
                f"text {text!r}: expected at most {self.slots} characters out of {self.characters!r}"
                + (f", found {''.join(unknown)!r}" if unknown else f", found {len(text)}")
            )
        classes = np.full(self.slots, BLANK, "int32")
        classes[: len(text)] = [self._class_of[character] for character in text]
        return classes

    def decode(self, probabilities: np.ndarray) -> tuple[str, np.ndarray]:
        """The likeliest text of `(slots, classes)` probabilities, and its certainty per character.

        The text ends at the first slot whose likeliest class is the blank. The certainties, float `(len(text) + 1,)`
        (without the last one if the text fills every slot), are the probabilities of each character and of the
        end: a dropped last character shows as an uncertain end.
        """
        best = np.asarray(probabilities).argmax(-1)
        ends = np.flatnonzero(best == BLANK)
        length = int(ends[0]) if len(ends) else len(best)
        text = "".join(self.characters[index - 1] for index in best[:length])
        return text, np.asarray(probabilities).max(-1)[: length + 1]

    def certainty(self, probabilities: np.ndarray) -> float:
        """The probability of the weakest character read of the likeliest text, its end included; 0 if none is read.

        Args:
            probabilities: as in `decode`.
        """
        return weakest(*self.decode(probabilities))

    def hole(self, probabilities: np.ndarray) -> float:
        """How likely something is at any place of the likeliest text, its end included, that cannot be seen; 0..1.

        Args:
            probabilities: as in `decode`.
        """
        if self.unseen is None:
            return 0.0
        _, certainties = self.decode(probabilities)
        return float(np.asarray(probabilities)[: len(certainties), self.unseen].max())


def weakest(text: str, certainties: np.ndarray) -> float:
    """The certainty of the weakest character that is read of a text, its end included; 0 if none is.

    Args:
        text, certainties: see `Vocabulary.decode`.
    """
    if not text.strip(UNSEEN):
        return 0.0
    return float(min(one for one, character in zip_longest(certainties, text) if character != UNSEEN))
