"""The shapes of characters: which fonts they come from, and that those of several scripts go together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lpr_e2e.common import fonts
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.fonts import brought_along, face_of_file
from lpr_e2e.drawing import glyphs
from lpr_e2e.drawing.plates import PlatePainter


def test_arabic_words_are_joined():
    """The word has one mask, wider than high, whose letters are joined: few separate parts."""
    sets, odds = glyphs.word_sets({"T": "تونس"})
    assert odds.sum() == pytest.approx(1)
    for masks in sets:
        assert masks["T"].shape[1] > masks["T"].shape[0]
        parts = cv2.connectedComponents((masks["T"] > 127).astype("uint8"))[0] - 1
        assert parts <= 6  # Two joined groups, tu and nis, and up to three dots (a speck more after resizing).


def test_scripts_that_meet_on_one_plate_have_one_height_and_about_one_stroke():
    alphabets = glyphs.Alphabets(sorted("АВ12سม"))
    assert not alphabets.undrawable
    ratios = []
    for seed in range(30):
        masks = alphabets.choose(np.random.default_rng(seed)).masks
        assert masks["1"].shape[0] == masks["А"].shape[0] == glyphs.GLYPH_HEIGHT
        assert all(glyphs.GLYPH_HEIGHT <= mask.shape[0] < 3 * glyphs.GLYPH_HEIGHT for mask in masks.values())
        ratios.append(glyphs._stroke([masks["А"]]) / glyphs._stroke([masks["1"]]))
    assert 0.6 < np.median(ratios) < 1.5


def test_a_named_font_comes_first_and_is_not_alone():
    """Half of the plates keep the faces that plates are drawn with; a script that no other font has is its own."""
    path = brought_along("sarabun", 700).path
    own = glyphs._masks(face_of_file(path), ["1", "2", "A", "B"], "")["A"]
    named = glyphs.Alphabets(sorted("AB12ก"), [path])
    chosen = [named.choose(np.random.default_rng(seed)).masks for seed in range(200)]
    by_it = [np.array_equal(masks["A"], own) for masks in chosen]
    assert 0.4 < np.mean(by_it) < 0.6 and len({masks["A"].shape for masks in chosen}) > 3
    without = glyphs.Alphabets(sorted("AB12ก")).choose(np.random.default_rng(0)).masks
    assert set(without) == set(chosen[0])
    with pytest.raises(UserError, match="missing.ttf.*font file"):
        PlatePainter(["AB12"], fonts=["missing.ttf"])


@pytest.mark.parametrize(
    "characters", ["АБВ123", "ΑΒΓ123", "سطن٧١٢", "אבג123", "กขค123", "कख१२", "ÄÖÜ123", "ქართ", "ԱԲԳ"]
)
def test_many_scripts_are_drawn_with_what_comes_along(characters):
    """Fonts of the project and of matplotlib, which training brings along: none of the machine's is needed."""
    alphabets = glyphs.Alphabets(sorted(characters))
    assert not alphabets.undrawable
    for seed in range(5):
        masks = alphabets.choose(np.random.default_rng(seed)).masks
        assert set(masks) == set(characters)
        assert all(mask.max() > 127 and mask.dtype == np.uint8 for mask in masks.values())
        # Every character has a shape of its own: none is the box that stands for a missing one.
        small = {cv2.resize(mask, (24, 24)).tobytes() for mask in masks.values()}
        assert len(small) == len(characters)


def test_characters_that_no_font_has_are_left_out_alone():
    alphabets = glyphs.Alphabets(["A", "1", "\U0001f697", "\U000fffff"])
    assert alphabets.undrawable == {"\U0001f697", "\U000fffff"}
    assert set(alphabets.choose(np.random.default_rng(0)).masks) == {"A", "1"}
    assert glyphs.Alphabets(["\U0001f697"]).choose(np.random.default_rng(0)).masks == {}
    assert not glyphs.Alphabets([]).undrawable


def test_what_one_font_lacks_another_one_draws(monkeypatch):
    """The machine's fonts come last, and only for what the others lack."""
    asked = []
    monkeypatch.setattr(glyphs, "system_faces", lambda: asked.append(1) or fonts.system_faces())
    glyphs.Alphabets(sorted("ABC123"))
    assert not asked
    mixed = glyphs.Alphabets(sorted("AӘ123"))  # A letter of Kazakh, which no plate font that comes along may have.
    assert not mixed.undrawable
    heights = {one: mask.shape[0] for one, mask in mixed.choose(np.random.default_rng(0)).masks.items()}
    assert heights["A"] == heights["1"] and heights["Ә"] <= 1.3 * heights["1"]


def test_marks_belong_to_their_letters():
    alphabets = glyphs.Alphabets(["बा", "ब", "१"])
    masks = alphabets.choose(np.random.default_rng(0)).masks
    assert masks["बा"].shape[1] > 1.2 * masks["ब"].shape[1]


def test_letters_keep_their_places_above_and_below_the_line():
    """ن has its dot above its bowl, ب below: cut to its own ink, each would fill the same rows."""
    masks = glyphs.Alphabets(sorted("نب١")).choose(np.random.default_rng(1)).masks
    assert masks["١"].shape[0] == glyphs.GLYPH_HEIGHT
    middles = {}
    for letter in "نب":
        rows = np.flatnonzero(masks[letter].max(1) > 127)
        middles[letter] = (rows[0] + rows[-1]) / 2 - masks[letter].shape[0] / 2
    assert middles["ب"] > 5  # Below the middle of the digits.


@pytest.mark.skipif(not glyphs.joins_letters(), reason="Pillow has no raqm here")
def test_heh_stands_in_both_forms_that_plates_show():
    """As at the beginning of a word it has two eyes; alone it is a ring like the five."""
    alphabets = glyphs.Alphabets(sorted("هس٥"))
    (ways,) = alphabets._ways
    half = len(ways.alphabets) // 2
    for alone, other in zip(ways.alphabets[:half], ways.alphabets[half:], strict=True):
        assert np.array_equal(alone.masks["س"], other.masks["س"])
        assert not np.array_equal(alone.masks["ه"], other.masks["ه"])


def test_square_characters_are_drawn_narrower_too_and_letters_as_the_font_has_them(monkeypatch):
    # Ж stands for a Chinese character, so that the test needs no font of the system.
    (before,) = glyphs.Alphabets("Ж")._ways
    monkeypatch.setattr(glyphs, "SQUARE_SCRIPTS", ("CYRILLIC",))
    latin, ways = glyphs.Alphabets("AЖ")._ways
    assert len(ways.alphabets) == len(before.alphabets) * len(glyphs.SQUARE_WIDTHS)
    assert ways.odds.sum() == pytest.approx(1) and len(ways.odds) == len(ways.strokes) == len(ways.alphabets)
    full = [one.masks["Ж"].shape for one in before.alphabets]
    expected = sorted((height, round(width * share)) for height, width in full for share in glyphs.SQUARE_WIDTHS)
    assert sorted(one.masks["Ж"].shape for one in ways.alphabets) == expected
    (control,) = glyphs.Alphabets("A")._ways
    assert [one.masks["A"].shape for one in latin.alphabets] == [one.masks["A"].shape for one in control.alphabets]
