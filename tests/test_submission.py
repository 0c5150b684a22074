"""The challenge's form: padding zeros, layouts, and the file."""

import csv

import numpy as np
import pytest

from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.prediction.challenge import (
    PROBABILITY_FLOOR,
    digit_distributions,
    digits_asked,
    require_distinct_names,
    write_submission,
)

VOCABULARY = Vocabulary("0123456789NT", 8)


def certain(text, certainty=1.0):
    """Character probabilities that say `text`."""
    characters = np.full((VOCABULARY.slots, VOCABULARY.classes), (1 - certainty) / (VOCABULARY.classes - 1))
    characters[np.arange(VOCABULARY.slots), VOCABULARY.encode(text)] = certainty
    return characters


def digits_of(rows):
    return "".join(map(str, rows.argmax(-1)))


@pytest.mark.parametrize(
    ("text", "digits"),
    [("123T4567", "1234567"), ("45T6789", "0456789"), ("7T5", "0070005"), ("120T40", "1200040")],
)
def test_numbers_are_padded_with_zeros(text, digits):
    rows = digit_distributions(certain(text), VOCABULARY)
    assert rows.shape == (7, 10) and digits_of(rows) == digits
    assert "".join(map(str, digits_asked(text))) == digits
    assert rows.max(-1) == pytest.approx(1, abs=20 * PROBABILITY_FLOOR)


@pytest.mark.parametrize("text", ["123456N", "T", "1234T56", "12T34567", "N"])
def test_rows_sum_to_one_whatever_was_read(text):
    for certainty in (1.0, 0.7, 1 / VOCABULARY.classes):
        rows = digit_distributions(certain(text, certainty), VOCABULARY)
        assert rows.sum(-1) == pytest.approx(1)
        assert rows.min() >= PROBABILITY_FLOOR / 2


def test_other_texts_and_no_plate_give_uniform_rows():
    assert digit_distributions(certain("123456N"), VOCABULARY) == pytest.approx(0.1)
    assert digit_distributions(None, VOCABULARY) == pytest.approx(0.1)
    assert digits_asked("123456N") is None and digits_asked("1234T5") is None and digits_asked("T5") is None


def test_a_doubtful_digit_passes_its_probabilities_on():
    characters = certain("123T4567")
    characters[2] = 0
    characters[2, VOCABULARY.characters.index("9") + 1] = 0.7
    characters[2, VOCABULARY.characters.index("0") + 1] = 0.3
    rows = digit_distributions(characters, VOCABULARY)
    assert rows[2, 9] == pytest.approx(0.7, abs=1e-3) and rows[2, 0] == pytest.approx(0.3, abs=1e-3)


def test_a_doubtful_end_mixes_the_two_layouts():
    """`12T345` with probability 0.6, `12T3456` with 0.4: every digit of the right number moves."""
    characters = certain("12T345")
    characters[6] = 0
    characters[6, 0], characters[6, VOCABULARY.characters.index("6") + 1] = 0.6, 0.4
    rows = digit_distributions(characters, VOCABULARY)
    assert digits_of(rows[:3]) == "012"
    expected = [{0: 0.6, 3: 0.4}, {3: 0.6, 4: 0.4}, {4: 0.6, 5: 0.4}, {5: 0.6, 6: 0.4}]
    for row, digits in zip(rows[3:], expected, strict=True):
        for digit, probability in digits.items():
            assert row[digit] == pytest.approx(probability, abs=2e-3)


def test_a_doubtful_word_hardly_matters():
    """T is certain to be there in the challenge: that slot 3 may also be a digit says little."""
    characters = certain("123T4567")
    characters[3, VOCABULARY.characters.index("T") + 1] = 0.6
    characters[3, VOCABULARY.characters.index("1") + 1] = 0.4
    rows = digit_distributions(characters, VOCABULARY)
    assert digits_of(rows) == "1234567" and rows.max(-1).min() > 0.9


def test_a_missing_t_is_refused():
    with pytest.raises(ValueError, match="'T'"):
        digit_distributions(np.full((8, 11), 1 / 11), Vocabulary("0123456789", 8))


def test_the_file_has_the_challenges_form_and_order(tmp_path):
    path = tmp_path / "new" / "form.csv"
    write_submission(
        path, {"1000.jpg": np.full((7, 10), 0.1), "a/901.jpg": digit_distributions(certain("7T5"), VOCABULARY)}
    )
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", *"0123456789"]
    assert [row[0] for row in rows[1:]] == [f"img_{name}_{k}" for name in (901, 1000) for k in range(1, 8)]
    values = np.array([row[1:] for row in rows[1:]], float)
    assert values.sum(-1) == pytest.approx(1, abs=1e-5)
    assert digits_of(values[:7]) == "0070005"


def test_two_photographs_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"a/901\.jpg and b/901\.png"):
        require_distinct_names(["a/901.jpg", "b/901.png"])
