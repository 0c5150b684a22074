"""What drawn plates say: texts of the forms of the training texts.

A form is a text whose digits, and letters where there are many, stand for all of their kind (`lpr_e2e.common.scripts`):
a digit is exchanged for digits of its own set, a letter for letters of its own script, and where the training texts
show only a few of them at a place, such as a province at the beginning, for one of these. Characters repeat the one
before as often as they do there: in some countries a third of the plates are of the kind of 7777.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.scripts import clusters, is_digit, is_letter, kind
from lpr_e2e.common.text_forms import MOST_MARKS

SHORTENED_SHARE = 0.08  # share of sampled texts whose numbers lose digits, where training numbers vary in length
# A place has letters of its own if training texts show fewer than this share of the letters that chance would, or
# are so many that chance would have shown this share of all letters.
OWN_LETTERS, ENOUGH_SEEN = 0.6, 0.9
# How often such a place shows another letter of its kind nevertheless, as the training texts are not all there is; and
# how much more often its own letters come, each, than another one.
OTHER_LETTERS, OWN_PER_OTHER = 0.1, 5
# Pairs of neighbours that count as much as what is known of other places.
FEW_PAIRS = 10
_FIRST_CLASS = 0xE000  # of the private characters that stand for a kind of letters in a pattern

# A kind of letters, the end of the text that is counted from, and how many characters from there.
Place = tuple[str, str, int]


@dataclass
class _Repeats:
    """Pairs of neighbours: how many there are, how many are equal, and how many would be by chance."""

    pairs: int = 0
    same: int = 0
    by_chance: float = 0.0

    def share(self, usual: float = 0.0) -> float:
        """The share of the pairs that repeat beyond chance; of few, it is near the usual one."""
        beyond = self.same - self.by_chance + FEW_PAIRS * usual
        return float(np.clip(beyond / (self.pairs - self.by_chance + FEW_PAIRS), 0.0, 1.0))


class TextSampler:
    """Samples texts of the training texts' forms.

    Args:
        texts: training texts, at least one that is not empty.
        extra: characters that no training text has; they are drawn where characters of their kind stand.
        undrawable: characters (with their marks) not to be sampled. Where others of their kind are exchanged, one of
            these takes their place; elsewhere the text is sampled without them.

    Attributes:
        characters: of the training texts, and the extra ones.
        is_empty: whether nothing is left to be sampled.
    """

    def __init__(self, texts: Sequence[str], extra: str = "", undrawable: Collection[str] = ()):
        self.characters = set("".join(texts)) | set(extra)
        # What only ever has marks is not exchanged: nobody said that it can stand alone.
        alone = {part for text in texts for part in clusters(text) if len(part) == 1} | set(extra)
        drawable = sorted(alone - set(undrawable))
        kinds = sorted({kind(one) for one in alone})
        self._pools = {name: [one for one in drawable if kind(one) == name] for name in kinds}
        self._extra = set(extra) - set("".join(texts)) - set(undrawable)
        many = {name for name, pool in self._pools.items() if len(pool) > MOST_MARKS and is_letter(pool[0])}
        self._classes = {name: chr(_FIRST_CLASS + index) for index, name in enumerate(sorted(many))}
        left = [self._without(text, set(undrawable)) for text in texts]
        left = [text for text in left if text.strip()]
        self.is_empty = not left
        self._zeros = {name for name, pool in self._pools.items() if pool and is_digit(pool[0])}
        self._digit_runs = re.compile(f"[{''.join(sorted(self._zeros)) or '0'}]+")
        self._learn_forms(left)
        self._learn_places(left)
        self._copied = self._learn_repeats(left)

    def _without(self, text: str, undrawable: set[str]) -> str:
        """The text without what can neither be drawn nor exchanged."""
        kept = [
            part
            for part in clusters(text)
            if part not in undrawable or (len(part) == 1 and self._pools.get(kind(part)) and self._exchanged(part))
        ]
        text = "".join(kept)
        # A mark that now stands behind another letter would be something that nobody has labelled.
        return text if clusters(text) == kept else ""

    def _exchanged(self, part: str) -> bool:
        return is_digit(part) or kind(part) in self._classes

    def _pattern(self, text: str) -> str:
        """The form of a text, a character for each of its own: letters with marks stay what they are."""
        form = ""
        for part in clusters(text):
            if len(part) > 1:
                form += part
            else:
                form += kind(part) if is_digit(part) else self._classes.get(kind(part), part)
        return form

    def _learn_forms(self, texts: Sequence[str]) -> None:
        patterns = [self._pattern(text) for text in texts]
        counts = Counter(patterns)
        self._examples: dict[str, list[str]] = {pattern: [] for pattern in counts}
        self._zero_starts = set()
        for text, pattern in zip(texts, patterns, strict=True):
            self._examples[pattern].append(text)
            starts = (match.start() for match in self._digit_runs.finditer(pattern))
            self._zero_starts.update((pattern, start) for start in starts if text[start] == pattern[start])
        self._patterns = list(counts)
        if counts:
            # The square root lets rare patterns be seen often enough to be learnt.
            self._odds = np.sqrt(list(counts.values())) / np.sqrt(list(counts.values())).sum()
        lengths = Counter(self._digit_runs.sub("0", pattern) for pattern in counts)
        self._varying = {pattern for pattern in counts if lengths[self._digit_runs.sub("0", pattern)] > 1}

    def _learn_places(self, texts: Sequence[str]) -> None:
        """Which letters each form may show at each of its places."""
        seen: dict[Place, Counter[str]] = {}
        for text in texts:
            for index, place in self._places(self._pattern(text)):
                seen.setdefault(place, Counter())[text[index]] += 1
        allowed = {place: self._letters_at(letters, self._pools[place[0]]) for place, letters in seen.items()}
        self._allowed: dict[str, dict[int, list[str]]] = {pattern: {} for pattern in self._patterns}
        for pattern, letters in self._allowed.items():
            for index, place in self._places(pattern):
                # Counted from the left or from the right: whichever says more.
                letters[index] = min(letters.get(index, allowed[place]), allowed[place], key=lambda one: len(set(one)))

    def _learn_repeats(self, texts: Sequence[str]) -> dict[tuple[str, int], float]:
        """How often a character is the one before, beyond chance, 0..1: by pattern and place.

        Each place counts for itself, for in a word of letters it may have letters of its own. A place that few texts
        have is taken to be as the digits of all texts are, or, for letters, to repeat by chance alone.
        """
        places: dict[tuple[str, int], _Repeats] = {}
        digits = _Repeats()
        for text in texts:
            pattern = self._pattern(text)
            for index in self._seconds(pattern):
                may_be = self._may_stand(pattern, index)
                chance = may_be.count(text[index - 1]) / max(1, len(may_be))
                counts = [places.setdefault((pattern, index), _Repeats())]
                counts += [digits] if pattern[index] in self._zeros else []
                for one in counts:
                    one.pairs, one.same, one.by_chance = (
                        one.pairs + 1,
                        one.same + (text[index] == text[index - 1]),
                        one.by_chance + chance,
                    )
        usual = digits.share()
        return {place: one.share(usual if place[0][place[1]] in self._zeros else 0.0) for place, one in places.items()}

    def _seconds(self, pattern: str) -> Iterator[int]:
        """The places of characters that can be exchanged, and whose neighbour before is of their kind."""
        marks = {*self._zeros, *self._classes.values()}
        return (index for index in range(1, len(pattern)) if pattern[index] == pattern[index - 1] in marks)

    def _may_stand(self, pattern: str, index: int) -> list[str]:
        """The characters that may stand at a place of a pattern, as often as they are likely."""
        letters = self._allowed[pattern].get(index)
        return self._pools[pattern[index]] if letters is None else letters

    def _letters_at(self, letters: Counter[str], pool: list[str]) -> list[str]:
        """The letters that a place may show, given those it shows in the texts; some of them several times."""
        if not self._has_own_letters(letters, pool):
            return pool
        own = sorted((set(letters) | (self._extra if len(letters) > 1 else set())) & set(pool))
        others = sorted(set(pool) - set(own)) if len(own) > 1 else []
        times = round(len(others) * (1 - OTHER_LETTERS) / OTHER_LETTERS / max(1, len(own)))
        return own * max(OWN_PER_OTHER, times) + others if others else own or pool

    def _has_own_letters(self, letters: Counter[str], pool: Sequence[str]) -> bool:
        size = len(set(pool) - self._extra) or len(pool)
        by_chance = size * (1 - (1 - 1 / size) ** letters.total())
        return len(letters) < OWN_LETTERS * by_chance or by_chance > ENOUGH_SEEN * size

    def _places(self, pattern: str) -> Iterator[tuple[int, Place]]:
        """The places of a pattern's exchanged letters after their index: twice, counted from either end."""
        names = {letter: name for name, letter in self._classes.items()}
        for index, letter in enumerate(pattern):
            if letter in names:
                yield index, (names[letter], "left", index)
                yield index, (names[letter], "right", len(pattern) - 1 - index)

    def sample(self, rng: np.random.Generator) -> str:
        """A text of a training text's form with evenly spread digits, repeated as often as there; rare forms come more
        often.

        Half of the numbers keep the first digit of a training text: which numbers exist helps to read a faint digit.

        Raises:
            UserError: nothing can be drawn.
        """
        if self.is_empty:
            raise UserError("texts: no font on this machine has any of their characters, so no plate can be drawn")
        pattern = self._patterns[rng.choice(len(self._patterns), p=self._odds)]
        examples = self._examples[pattern]
        text = list(examples[rng.integers(len(examples))])
        letters = self._allowed[pattern]
        for index, form in enumerate(pattern):
            if form in self._zeros and is_digit(text[index]):
                text[index] = self._sampled_digit(pattern, index, text[index], rng)
            elif index in letters:
                text[index] = letters[index][rng.integers(len(letters[index]))]
        for index in self._seconds(pattern):
            copied = self._copied.get((pattern, index), 0.0)
            if copied and rng.random() < copied and text[index - 1] in self._may_stand(pattern, index):
                text[index] = text[index - 1]
        sampled = "".join(text)
        shorter = pattern in self._varying and rng.random() < SHORTENED_SHARE
        if shorter and len(clusters(sampled)) == len(sampled):  # No mark may come behind another digit.
            sampled = re.sub(r"\d+", lambda match: match[0][: rng.integers(1, len(match[0]) + 1)], sampled)
        return sampled

    def lengthened(self, text: str, rng: np.random.Generator) -> str:
        """A text with one more digit or letter, beside one of its kind; as it is if it has none of such a kind."""
        if len(clusters(text)) != len(text):  # No mark may come behind another character.
            return text
        able = [place for place, one in enumerate(text) if self._exchanged(one)]
        if not able:
            return text
        place = able[int(rng.integers(len(able)))]
        pool = self._pools[kind(text[place])]
        return text[:place] + pool[int(rng.integers(len(pool)))] + text[place:]

    def _sampled_digit(self, pattern: str, index: int, shown: str, rng: np.random.Generator) -> str:
        zero = pattern[index]
        begins = pattern[index - 1 : index] != zero
        digits = self._pools[zero]
        if begins and rng.random() < 0.5 and shown in digits:
            return shown
        starts = begins and pattern[index + 1 : index + 2] == zero
        # No number starts with a zero unless training numbers do, at the same place.
        if starts and (pattern, index) not in self._zero_starts:
            digits = [digit for digit in digits if digit != zero] or digits
        return digits[rng.integers(len(digits))]
