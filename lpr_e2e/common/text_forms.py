"""The forms of a country's plate texts: a reading of another form is doubted, whatever it says.

A form is a text in which a digit stands for all digits of its set, and a letter for all letters of its script
(`lpr_e2e.common.scripts.kind`): `AB12CDE` and `XY98ZKL` are of one form. A word on a shop sign, a badge or a plate of
another country is seldom of a form that the training texts have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.scripts import is_letter, kind
from lpr_e2e.common.vocabulary import UNSEEN, Vocabulary

# A few letters of a script are series marks, which mean something where they stand; more are part of a number.
MOST_MARKS = 4
# Stands for any character, where the texts are too different to tell more than their lengths.
ANY = "*"
# So large a share of a country's plates may be of a form that no training text has; otherwise less is asked of them. It
# is estimated by the share of texts that are the only one of their form (Good 1953, after Turing).
_MOST_OTHERS = 0.02
_NOTHING, _ANY = 0, -1


@dataclass(frozen=True)
class TextForms:
    """What readings should look like.

    Attributes:
        vocabulary: the model's.
        examples: a text of each form, or as many `ANY` as texts are long; empty if texts may be anything.
    """

    vocabulary: Vocabulary
    examples: tuple[str, ...] = ()

    @classmethod
    def learned(cls, texts: Iterable[str], vocabulary: Vocabulary) -> TextForms:
        """The forms of these texts; their lengths alone if too many texts would have another form; or else nothing."""
        texts, unlearned = sorted(set(texts)), cls(vocabulary)
        for form in (unlearned.form_of, lambda text: ANY * len(text)):
            counts = Counter(map(form, texts))
            alone = sum(count == 1 for count in counts.values())
            if counts and alone <= _MOST_OTHERS * len(texts):
                return cls(vocabulary, tuple(counts))
        return unlearned

    @classmethod
    def from_config(cls, config, vocabulary: Vocabulary) -> TextForms:
        """The forms with these `examples`; None is that of a model from before forms were stored.

        Raises:
            UserError: it is no list of texts that the model can read.
        """
        examples = tuple(config) if isinstance(config, (list, tuple)) else config
        if config is None:
            return cls(vocabulary)
        plain = isinstance(examples, tuple) and all(isinstance(one, str) and one for one in examples)
        if not plain or not all(vocabulary.spells(one.replace(ANY, vocabulary.characters[0])) for one in examples):
            raise UserError(f"forms: expected a list of texts that the model can read; found {config!r:.200}")
        return cls(vocabulary, examples)

    def form_of(self, text: str) -> str:
        """The same for all texts of one form: each character is the first of its kind in the vocabulary."""
        first = {kind: character for character, kind in reversed(self._kinds.items())}
        return "".join(first[self._kinds[character]] for character in text)

    def fits(self, text: str) -> bool:
        """Whether a text that the model read has one of the forms; one of which not everything is seen may have any."""
        if not self.examples or not text or UNSEEN in text:
            return True
        kinds = self._kinds
        return any(
            len(text) == len(example)
            and all(other == ANY or kinds[one] == kinds[other] for one, other in zip(text, example, strict=True))
            for example in self.examples
        )

    def drawn(self, rng: np.random.Generator, count: int) -> list[str]:
        """So many texts of the forms, with any characters of their kinds; none if there are no forms."""
        alike: dict[str, list[str]] = {ANY: [one for one in self.vocabulary.characters if one != UNSEEN]}
        for one, name in self._kinds.items():
            alike.setdefault(name, []).append(one)
        forms = [[alike[self._kinds.get(one, ANY)] for one in example] for example in self.examples]
        chosen = [forms[index] for index in rng.integers(len(forms), size=count)] if forms else []
        return ["".join(place[rng.integers(len(place))] for place in form) for form in chosen]

    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """The forms in numbers, see `lpr_e2e.common.steps.fits_form`.

        Returns:
            int32 `(classes,)`: the number of each class's kind, 0 of the blank; and int32 `(forms, slots)`: the numbers
            of each form, -1 where any character may stand, 0 behind its end.
        """
        numbers: dict[str, int] = {}
        numbered = {one: numbers.setdefault(name, len(numbers) + 1) for one, name in self._kinds.items()}
        forms = np.full((len(self.examples), self.vocabulary.slots), _NOTHING, "int32")
        for form, example in zip(forms, self.examples, strict=True):
            form[: len(example)] = [_ANY if one == ANY else numbered[one] for one in example]
        return np.array([_NOTHING, *numbered.values()], "int32"), forms

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """The kind of each character that the model reads."""
        kinds = {one: kind(one) for one in self.vocabulary.characters}
        many = {name for name, count in Counter(kinds.values()).items() if count > MOST_MARKS}
        return {one: one if is_letter(one) and name not in many else name for one, name in kinds.items()}
