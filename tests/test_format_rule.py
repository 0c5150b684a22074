"""The format rule: it decides where the model hesitates, and nowhere else."""

import itertools
import re

import numpy as np
import pytest

from lpr_e2e.common.procedure import TODAY
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.prediction.format_rule import FormatRule, _likeliest_texts
from lpr_e2e.prediction.reading import to_reading

VOCABULARY = Vocabulary("018BO", 4)


def rule(expression: str) -> FormatRule:
    return FormatRule(expression, TODAY.format_likelihood)


def slots(*chances: dict[str, float]) -> np.ndarray:
    """Probabilities of slots, the rest spread evenly; `-` is the blank."""
    rows = []
    for slot in chances:
        row = np.full(VOCABULARY.classes, (1 - sum(slot.values())) / (VOCABULARY.classes - len(slot)))
        for character, chance in slot.items():
            row[0 if character == "-" else VOCABULARY.encode(character)[0]] = chance
        rows.append(row)
    return np.array(rows)


def test_a_hesitant_reading_is_corrected_and_no_more_certain_for_it():
    hesitant = slots({"B": 0.97}, {"8": 0.5, "B": 0.45}, {"1": 0.97}, {"-": 0.97})
    assert VOCABULARY.decode(hesitant)[0] == "B81"
    text, certainties = rule("[A-Z]{2}[0-9]").decode(hesitant, VOCABULARY)
    assert text == "BB1"
    np.testing.assert_allclose(certainties, [0.97, 0.45, 0.97, 0.97])


def test_a_certain_reading_is_left_alone():
    certain = slots({"B": 0.97}, {"8": 0.96, "B": 0.03}, {"1": 0.97}, {"-": 0.97})
    text, certainties = rule("[A-Z]{2}[0-9]").decode(certain, VOCABULARY)
    assert text == "B81" and certainties.min() == pytest.approx(0.96)


def test_a_dropped_end_is_corrected():
    hesitant = slots({"1": 0.97}, {"0": 0.97}, {"-": 0.55, "8": 0.4}, {"-": 0.97})
    assert rule("[0-9]{3}").decode(hesitant, VOCABULARY)[0] == "108"


def test_what_fits_or_is_empty_stays():
    fits = slots({"1": 0.4, "0": 0.39}, {"-": 0.9}, {"-": 0.9}, {"-": 0.9})
    assert rule("[0-9]").decode(fits, VOCABULARY)[0] == "1"
    empty = slots({"-": 0.9}, {"-": 0.9}, {"-": 0.9}, {"-": 0.9})
    assert rule("[0-9]").decode(empty, VOCABULARY)[0] == ""


def test_texts_come_in_the_order_of_their_probability_without_doubles():
    rng = np.random.default_rng(0)
    small = Vocabulary("01", 3)
    probabilities = rng.dirichlet(np.ones(3), 3)
    found = list(_likeliest_texts(probabilities, small))
    expected = {}
    for length in (1, 2, 3):
        for classes in itertools.product((1, 2), repeat=length):
            chance = np.prod([probabilities[slot, one] for slot, one in enumerate(classes)])
            expected["".join("01"[one - 1] for one in classes)] = chance * (
                probabilities[length, 0] if length < 3 else 1
            )
    assert [text for text, _ in found] == sorted(expected, key=expected.get, reverse=True)
    assert all(chances.prod() == pytest.approx(expected[text]) for text, chances in found)


def test_readings_follow_the_rule():
    hesitant = slots({"B": 0.97}, {"8": 0.5, "B": 0.45}, {"1": 0.97}, {"-": 0.97})
    plate = {"boxes_px": [10, 10, 20, 40], "box_confidence": 0.9, "characters": hesitant}
    plain = to_reading("a", plate, VOCABULARY, TODAY)
    ruled = to_reading("a", plate, VOCABULARY, TODAY, rule("B+1"))
    assert (plain.text, ruled.text) == ("B81", "BB1")
    assert ruled.confidence == pytest.approx(0.45) and ruled.status == "uncertain"


@pytest.mark.parametrize(
    "given",
    [
        *("[0-9", "(?!12)[0-9]+", r"([0-9])\1", "(a{100}){100}", "x{1001}"),
        *("(a{1000}){1000}", "((a{50}){50}){50}", "(?<=1)2", "(?<!1)2", "(?=1)1", r"(?P<a>1)(?P=a)"),
        *("(?>1)", "(?R)", "[b-a]", "*", "(?#x", r"(\p{L}{300}){3}", r"[\p{L}\p{N}]{1000}"),
    ],
)
def test_what_is_no_expression_or_one_that_could_take_for_ever_is_refused(given):
    with pytest.raises(ValueError, match="expected a regular expression as RE2 knows them; [a-z]"):
        rule(given)


@pytest.mark.parametrize(
    "given", ["([0-9]+)+X", "(((([0-9]*)*)*)*)*X", "(1|1)*X", "(.*)(.*)(.*)(.*)(.*)X", "(1?){64}1{64}X"]
)
def test_no_expression_takes_long(given):
    """With Python's own expressions, the first takes minutes with 30 digits, twice as long with each further one."""
    assert not rule(given).fits("1" * 3000)
    assert rule("([0-9]+)+X").fits("1" * 3000 + "X")


def test_expressions_know_letters_of_any_script_and_cases():
    assert rule("京[A-Z][0-9]{5}").fits("京A12345") and rule(r"\p{Nd}+").fits("٣٤") and not rule(r"\d+").fits("٣٤")
    assert rule("(?i)ab").fits("AB") and rule(re.compile("ab", re.IGNORECASE)).fits("AB") and not rule("ab").fits("AB")


@pytest.mark.parametrize("given", [b"[0-9]", 5, ["[0-9]"], re.compile(b"[0-9]")])
def test_what_is_no_expression_for_texts_is_said(given):
    with pytest.raises(ValueError, match="expected a regular expression"):
        rule(given)
    assert rule(re.compile("[0-9]{3}")) is not None
