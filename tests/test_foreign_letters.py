"""Letters of other scripts on drawn plates: where they stand, what they are called, and which are none."""

import numpy as np
import pytest

from lpr_e2e.common.scripts import script
from lpr_e2e.common.vocabulary import UNSEEN
from lpr_e2e.drawing.foreign_letters import PLACEHOLDER, foreign_letters, one_of
from lpr_e2e.drawing.plates import PlatePainter

COUNTRIES = {
    "LATIN": ["AB12CDE", "XY98ZKL", "BD55KMM"],
    "ARABIC": ["سطن٧١٢٦", "أبج١٢٣"],
    "THAI": ["กข1234", "คช98"],
    "": ["123T4567", "71T625"],  # Tunisian plates: a word stands for the mark.
}


@pytest.mark.parametrize("own", COUNTRIES)
def test_one_character_of_a_plate_is_foreign_and_called_unseen(own):
    painter, rng = PlatePainter(COUNTRIES[own]), np.random.default_rng(0)
    places_of_unseen = set()
    for _ in range(40):
        plate, outline, text, places = painter.draw_sampled(rng, foreign=1.0)
        assert text.count(UNSEEN) == 1 and PLACEHOLDER not in text
        assert places.text == text and len(places.boxes) == len(text)
        assert outline.shape == plate.shape[:2]
        top, left, bottom, right = places.boxes[text.index(UNSEEN)]
        assert 0 <= top < bottom and 0 <= left < right
        places_of_unseen.add(text.index(UNSEEN))
    assert len(places_of_unseen) > 3  # At any place.


@pytest.mark.parametrize("own", COUNTRIES)
def test_the_letter_is_really_drawn_there(own, monkeypatch):
    """With another letter, what stands in its place looks otherwise, and the rest of the plate is the same."""
    painter = PlatePainter(COUNTRIES[own], worn=0.0)
    shown = []
    for dark in (0, 255):
        monkeypatch.setattr("lpr_e2e.drawing.plates.one_of", lambda *_, dark=dark: np.full((72, 40), dark, "uint8"))
        shown.append(painter.draw_sampled(np.random.default_rng(3), foreign=1.0))
    (plate, _, text, places), (other, *_) = shown
    change = np.abs(plate.astype(int) - other).max(2)
    top, left, bottom, right = places.boxes[text.index(UNSEEN)].round().astype(int)
    middle = change[(top + bottom) // 2, (left + right) // 2]
    assert middle > 40
    change[max(0, top - 12) : bottom + 12, max(0, left - 12) : right + 12] = 0
    assert (change > 40).mean() < 0.02


def test_letters_of_the_own_scripts_are_not_foreign():
    rng = np.random.default_rng(0)
    for own, other in (("THAI", "ARABIC"), ("ARABIC", "THAI")):
        letters = foreign_letters(set("".join(COUNTRIES[own])))
        scripts = {script(one) for one in letters.drawn_by}
        assert own not in scripts and other in scripts
        assert one_of(letters, rng).ndim == 2


def test_without_the_share_everything_is_drawn_as_it_was():
    painter = PlatePainter(COUNTRIES["LATIN"])
    plain, none = (painter.draw_sampled(np.random.default_rng(5), *share) for share in ((), (0.0,)))
    assert plain[2] == none[2] and UNSEEN not in plain[2]
    np.testing.assert_array_equal(plain[0], none[0])


@pytest.mark.parametrize("own", COUNTRIES)
def test_longer_plates_show_their_longer_text(own):
    painter, rng = PlatePainter(COUNTRIES[own]), np.random.default_rng(0)
    lengths = {len(text) for text in COUNTRIES[own]}
    for _ in range(30):
        plate, outline, text, places = painter.draw_sampled(rng, longer=1.0)
        assert places.text == text and len(places.boxes) == len(text) and outline.shape == plate.shape[:2]
        assert max(lengths) + 1 >= len(text) > 1
    usual = [len(painter.draw_sampled(rng)[2]) for _ in range(100)]
    assert max(usual) == max(lengths)
    some = [len(painter.draw_sampled(rng, longer=0.3)[2]) for _ in range(160)]
    assert 5 < sum(one == max(lengths) + 1 for one in some) < 75


def test_the_share_is_kept_and_a_single_character_is_no_plate_to_doubt():
    painter, rng = PlatePainter(COUNTRIES["LATIN"]), np.random.default_rng(1)
    assert 20 < sum(UNSEEN in painter.draw_sampled(rng, foreign=0.25)[2] for _ in range(160)) < 62
    single = PlatePainter(["7", "8", "9"])
    assert not any(UNSEEN in single.draw_sampled(rng, foreign=1.0)[2] for _ in range(20))
