"""Texts survive the way to class numbers and back; what cannot be encoded is refused with the reason."""

import numpy as np
import pytest

from lpr_e2e.common.vocabulary import BLANK, Vocabulary


def certain(vocabulary, text):
    return np.eye(vocabulary.classes)[vocabulary.encode(text)]


def test_characters_and_slots_come_from_the_texts():
    vocabulary = Vocabulary.from_texts(["12T7", "7N"])
    assert (vocabulary.characters, vocabulary.slots, vocabulary.classes) == ("127NT", 4, 6)


def test_there_is_room_for_a_longer_text_where_it_is_asked_for():
    vocabulary = Vocabulary.from_texts(["12T7", "7N"], spare=True)
    assert vocabulary.slots == 5 and vocabulary.spells("12T77")
    assert vocabulary.decode(certain(vocabulary, "12T7"))[1].shape == (5,)  # Its end is seen, too.


@pytest.mark.parametrize("text", ["12T7", "7", "", "0T01"])
def test_decode_undoes_encode(text):
    vocabulary = Vocabulary("0127T", 4)
    decoded, certainties = vocabulary.decode(certain(vocabulary, text))
    assert decoded == text
    # The end counts too, unless the text fills every slot.
    assert len(certainties) == min(len(text) + 1, 4) and (certainties == 1).all()


def test_encode_fills_up_with_blanks():
    classes = Vocabulary("12T", 5).encode("2T")
    assert classes.dtype == np.int32 and classes.tolist() == [2, 3, BLANK, BLANK, BLANK]


def test_text_ends_at_the_first_blank():
    vocabulary = Vocabulary("12", 3)
    probabilities = np.eye(3)[[1, BLANK, 2]]
    assert vocabulary.decode(probabilities)[0] == "1"


def test_uncertain_end_shows_in_the_certainties():
    vocabulary = Vocabulary("12", 2)
    text, certainties = vocabulary.decode(np.array([[0.0, 0.9, 0.1], [0.6, 0.0, 0.4]]))
    assert text == "1"
    np.testing.assert_allclose(certainties, [0.9, 0.6])


def test_other_scripts_need_no_code_change():
    vocabulary = Vocabulary.from_texts(["12تونس", "京A1"])
    assert vocabulary.decode(certain(vocabulary, "12تونس"))[0] == "12تونس"


def test_unknown_character_and_long_text_are_refused_by_name():
    vocabulary = Vocabulary("12", 3)
    with pytest.raises(ValueError, match="found 'X'"):
        vocabulary.encode("1X")
    with pytest.raises(ValueError, match="at most 3 characters .* found 4"):
        vocabulary.encode("1212")


@pytest.mark.parametrize("characters", ["", "11"])
def test_vocabulary_needs_each_character_once(characters):
    with pytest.raises(ValueError, match="exactly once"):
        Vocabulary(characters, 3)
