"""The 2019 challenge's submission form: seven digit distributions per photograph, from a model's character slots.

A plate of the challenge says `LEFT T RIGHT`: a left number of 1 to 3 digits, the word Tunis, a right number of
1 to 4 digits. The form asks for the left number zero-padded to three digits, then the right one zero-padded to four:
`39T870` is asked for as `0 3 9 0 8 7 0`, one row per digit, ten probabilities per row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_file
from lpr_e2e.common.vocabulary import BLANK, Vocabulary
from lpr_e2e.prediction.reading import Reading

LEFT_DIGITS = 3
RIGHT_DIGITS = 4
POSITIONS = LEFT_DIGITS + RIGHT_DIGITS
WORD = "T"
# No probability is written below this one: a single certain error would otherwise cost more than all other rows.
PROBABILITY_FLOOR = 1e-4
# Every plate of the challenge should fit the form, so most of the probability that falls on other texts (a missing T,
# a number too long) is a misreading of one that fits. This share of it is taken at its word: nothing is known then.
SHARE_OF_OTHER_TEXTS = 0.1

_CHALLENGE_TEXT = re.compile(rf"([0-9]{{1,{LEFT_DIGITS}}}){WORD}([0-9]{{1,{RIGHT_DIGITS}}})")


def unknown_digits() -> np.ndarray:
    """The rows of a photograph about which nothing is known: float64 `(7, 10)`, all 0.1."""
    return np.full((POSITIONS, 10), 0.1)


def digits_asked(text: str) -> list[int] | None:
    """The seven digits that the form asks for, of a text such as `39T870`; None if the text does not fit the form."""
    match = _CHALLENGE_TEXT.fullmatch(text)
    if not match:
        return None
    return [int(digit) for digit in match[1].zfill(LEFT_DIGITS) + match[2].zfill(RIGHT_DIGITS)]


def require_challenge_vocabulary(vocabulary: Vocabulary) -> None:
    """Raise a ValueError if the model cannot read the challenge's texts: it needs the ten digits and `T`."""
    missing = sorted(set("0123456789" + WORD) - set(vocabulary.characters))
    if missing:
        raise UserError(
            f"the submission form is for texts like 123T4567, and this model reads only {vocabulary.characters!r}: "
            f"it lacks {''.join(missing)!r}. Leave --submission out, or use a model trained on the challenge's plates"
        )


def digit_distributions(characters: np.ndarray | None, vocabulary: Vocabulary) -> np.ndarray:
    """Ten probabilities for each of the seven digits of the form.

    The slots are independent, and a text ends at its first blank. So "the left number has `l` digits, then comes T,
    the right number has `r` digits, then the text ends" is one product of slot probabilities, the twelve such layouts
    exclude one another, and the distribution of a digit is the mean over the layouts, weighted by their probabilities.
    A digit that a layout lacks is a padding zero there.

    Args:
        characters: float `(slots, classes)` probabilities, as the model returns them for one plate; None where no
            plate was found: nothing is known then.
        vocabulary: the model's.

    Returns:
        float64 `(7, 10)`, every row sums to 1 and no value is below about `PROBABILITY_FLOOR`.

    Raises:
        ValueError: the vocabulary lacks a digit or `T`.
    """
    require_challenge_vocabulary(vocabulary)
    if characters is None:
        return unknown_digits()
    characters = np.asarray(characters, "float64")
    slots = len(characters)
    digits = characters[:, [vocabulary.characters.index(digit) + 1 for digit in "0123456789"]]
    is_digit = digits.sum(-1)
    given_digit = digits / np.maximum(is_digit, 1e-12)[:, None]
    is_word = characters[:, vocabulary.characters.index(WORD) + 1]
    is_end = characters[:, BLANK]

    mixed = np.zeros((POSITIONS, 10))
    fitting = 0.0  # The probability that the text fits the form.
    for left in range(1, LEFT_DIGITS + 1):
        for right in range(1, RIGHT_DIGITS + 1):
            end = left + 1 + right
            if end > slots:
                continue
            probability = is_digit[:left].prod() * is_word[left] * is_digit[left + 1 : end].prod()
            if end < slots:
                probability *= is_end[end]
            layout = np.zeros((POSITIONS, 10))
            layout[:, 0] = 1  # Padding zeros, until a digit stands there.
            layout[LEFT_DIGITS - left : LEFT_DIGITS] = given_digit[:left]
            layout[POSITIONS - right :] = given_digit[left + 1 : end]
            mixed += probability * layout
            fitting += probability
    other = SHARE_OF_OTHER_TEXTS * max(0.0, 1 - fitting)
    mixed = (mixed + other * unknown_digits()) / (fitting + other)
    mixed = np.clip(mixed, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return mixed / mixed.sum(-1, keepdims=True)


def submission_name(img_id: str) -> str:
    """`901.jpg` is `img_901` in the form; folders before the name are left out."""
    return f"img_{PurePosixPath(img_id).stem}"


def require_distinct_names(img_ids: Iterable[str]) -> None:
    """Raise a ValueError that names two photographs which would share their rows of the form."""
    seen: dict[str, str] = {}
    for img_id in img_ids:
        other = seen.setdefault(submission_name(img_id), img_id)
        if other != img_id:
            raise UserError(
                f"{other} and {img_id} would both be {submission_name(img_id)} in the submission: "
                "predict the challenge's folder alone, or rename one of them"
            )


class SubmissionForm:
    """Collects the digits of photographs as their readings come, and writes the form at the end.

    Args:
        vocabulary: the model's.
        img_ids: of the photographs to come.

    Raises:
        ValueError: the model cannot read the challenge's texts, or two photographs would share their rows.
    """

    def __init__(self, vocabulary: Vocabulary, img_ids: Iterable[str]):
        require_challenge_vocabulary(vocabulary)
        require_distinct_names(img_ids)
        self._vocabulary = vocabulary
        self._digits: dict[str, np.ndarray] = {}

    def write(self, img_id: str, photograph: np.ndarray | None, readings: Sequence[Reading]) -> None:
        """Take the digits of one photograph's most certain reading."""
        best = max(readings, key=lambda reading: reading.certainty)
        self._digits[img_id] = digit_distributions(best.characters, self._vocabulary)

    def save(self, path: Path | str) -> None:
        """Write the form of the photographs so far; nothing if there are none."""
        if self._digits:
            write_submission(path, self._digits)


def write_submission(path: Path | str, photographs: Mapping[str, np.ndarray]) -> None:
    """Write the form, at once or not at all: `id,0,..,9`, seven rows per photograph, ordered by their numbers.

    Args:
        path: the CSV file to write; its folder is made if it is missing.
        photographs: img_id to the `(7, 10)` of `digit_distributions`.

    Raises:
        ValueError: two photographs share one name, see `require_distinct_names`.
    """
    require_distinct_names(photographs)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *range(10)])
        for img_id in sorted(photographs, key=_number_then_name):
            for position, row in enumerate(photographs[img_id], start=1):
                writer.writerow([f"{submission_name(img_id)}_{position}", *(f"{value:.6f}" for value in row)])


def _number_then_name(img_id: str) -> tuple[int, int, str]:
    """Sorts 901 before 1000, and numbers before other names."""
    stem = PurePosixPath(img_id).stem
    return (0, int(stem), stem) if stem.isdecimal() else (1, 0, stem)
