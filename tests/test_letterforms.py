"""The letters of real plates: what many plates show alike is found again, whatever their light and dirt."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lpr_e2e.common.errors import UserError
from lpr_e2e.drawing.glyphs import GLYPH_HEIGHT, Alphabets
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.training.labelling import groups_between
from lpr_e2e.training.letterforms import LetterForms, load, save, specimen

CELL, HEIGHT = 40, 60
BOX = (10, 20)  # where a plate begins in its picture
(SHAPES,) = (one.masks for one in Alphabets("1AB8")._ways[0].alphabets[:1])


def plate(text, rng, light=True, between=None, size=36):
    """A picture of a noisy plate, its box and where to cut between its characters."""
    ground, paint = (200, 40) if light else (30, 180)
    picture = np.full((HEIGHT + 20, CELL * (len(text) + 1) + 40, 3), 120, "float32")
    ink = np.zeros(picture.shape[:2], "float32")
    top = BOX[0] + (HEIGHT - size) // 2
    for index, character in enumerate(text):
        mask = SHAPES[character]
        shape = cv2.resize(mask, (round(mask.shape[1] * size / GLYPH_HEIGHT), size), interpolation=cv2.INTER_AREA) / 255
        left = BOX[1] + CELL // 2 + index * CELL + (CELL - shape.shape[1]) // 2
        ink[top : top + size, left : left + shape.shape[1]] = shape
    if between:
        rows, columns = between
        ink[rows, columns] = 1
    picture[BOX[0] : BOX[0] + HEIGHT, BOX[1] : BOX[1] + CELL * (len(text) + 1)] = ground
    picture += ink[..., None] * (paint - ground)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.2)) + rng.normal(0, 8, picture.shape)
    width = CELL * (len(text) + 1)
    box = (BOX[0], BOX[1], BOX[0] + HEIGHT, BOX[1] + width)
    return (
        np.clip(picture, 0, 255).astype("uint8"),
        box,
        text,
        (CELL / 2 + CELL * np.arange(len(text) + 1)) / width,
        0.5,
    )


def learned(text, count=6, **options):
    forms, rng = LetterForms(), np.random.default_rng(0)
    for _ in range(count):
        forms.add(*plate(text, rng, **options))
    return usual(forms)


def usual(forms) -> dict:
    """The look of each character: all of them have one alone."""
    looks = forms.looks()
    assert all(len(masks) == 1 for masks in looks.values())
    return {character: mask for character, (mask,) in looks.items()}


def likeness(mask, other):
    other = cv2.resize(other, mask.shape[::-1])
    return np.corrcoef(mask.ravel().astype(float), other.ravel().astype(float))[0, 1]


@pytest.mark.parametrize("light", [True, False])
def test_the_letters_of_plates_are_found_again(light):
    masks = learned("A18B", light=light)
    assert set(masks) == set("A18B")
    for character, mask in masks.items():
        assert mask.dtype == np.uint8 and len(mask) == GLYPH_HEIGHT
        assert abs(mask.shape[1] - SHAPES[character].shape[1]) <= 0.15 * SHAPES[character].shape[1] + 2
        own = likeness(mask, SHAPES[character])
        assert own > 0.85 and own > max(likeness(mask, SHAPES[other]) for other in set("A18B") - {character})


def test_too_few_plates_or_too_small_ones_teach_nothing():
    assert set(learned("AB", count=4)) == set("AB")
    assert learned("AB", count=3) == {}
    forms = LetterForms()
    for seed in range(6):
        picture, box, *rest = plate("AB", np.random.default_rng(seed))
        forms.add(cv2.resize(picture, None, fx=0.3, fy=0.3), tuple(0.3 * value for value in box), *rest)
    assert forms.looks() == {}


def test_letters_that_touch_their_neighbours_are_left_out():
    bar = (slice(35, 45), slice(BOX[1] + CELL, BOX[1] + 2 * CELL))  # From the first letter into the second one.
    assert set(learned("A8B", between=bar)) == {"B"}


def test_a_dot_beside_a_letter_is_no_part_of_it():
    dot = (slice(38, 43), slice(BOX[1] + CELL // 2 + CELL + 1, BOX[1] + CELL // 2 + CELL + 4))
    with_dot, without = learned("AB", between=dot), learned("AB")
    assert set(with_dot) == set("AB")
    assert likeness(with_dot["B"], without["B"]) > 0.95


def test_what_differs_from_plate_to_plate_is_no_letter():
    forms, rng = LetterForms(), np.random.default_rng(0)
    for _ in range(12):
        picture, box, _, cuts, level = plate("BA", rng)
        # Blots where the first character was, as high and as wide as one.
        blots = np.kron(rng.integers(0, 2, (6, 3)), np.ones((6, 7), "uint8"))
        blots[[0, -1]] = 1
        picture[22:58, 48:69] = np.where(blots, 40, 200)[..., None]
        forms.add(picture, box, "XA", cuts, level)
    assert "X" not in forms.looks() and "A" in forms.looks()


def test_a_few_wrong_texts_do_not_spoil_a_letter():
    forms, rng = LetterForms(), np.random.default_rng(0)
    for number in range(12):
        forms.add(*plate("A1" if number % 4 else "B1", rng)[:2], "A1", *plate("A1", rng)[3:])
    (mask,) = forms.looks()["A"]
    assert likeness(mask, SHAPES["A"]) > likeness(mask, SHAPES["B"]) + 0.2


class TestTwoTypefaces:
    """Old and new plates: what is called an 8 looks like an 8 on some, and like an A on others; a B is a B on all."""

    def learned(self, count, others, light=True) -> dict:
        forms, rng = LetterForms(), np.random.default_rng(0)
        for number in range(count):
            picture, box, _, cuts, level = plate("BA" if number < others else "B8", rng, light=light)
            forms.add(picture, box, "B8", cuts, level)
        return forms.looks()

    @pytest.mark.parametrize("light", [True, False])
    @pytest.mark.parametrize(("others", "order"), [(6, "8A"), (14, "A8")])
    def test_a_character_of_two_kinds_has_two_looks_the_usual_one_first(self, others, order, light):
        looks = self.learned(20, others, light)
        assert len(looks["B"]) == 1 and len(looks["8"]) == 2
        for mask, shape, other in zip(looks["8"], order, order[::-1], strict=True):
            assert likeness(mask, SHAPES[shape]) > 0.85
            assert likeness(mask, SHAPES[shape]) > likeness(mask, SHAPES[other]) + 0.2

    def test_a_few_plates_are_no_typeface(self):
        (mask,) = self.learned(20, 2)["8"]
        assert likeness(mask, SHAPES["8"]) > likeness(mask, SHAPES["A"]) + 0.2

    def test_plates_show_either_look(self):
        looks = {"A": [np.full((GLYPH_HEIGHT, 40), value, "uint8") for value in (255, 200)]}
        alphabets, rng = Alphabets("AB", learned=looks, learned_share=1.0), np.random.default_rng(0)
        shown = [int(alphabets.choose(rng).masks["A"][0, 0]) for _ in range(200)]
        assert set(shown) == {255, 200} and 70 < shown.count(200) < 130


def test_letters_survive_their_file_and_a_damaged_one_is_named(tmp_path):
    masks = learned("A1")
    both = {"A": (masks["A"], masks["1"]), "1": (masks["1"],), "国": (masks["A"],)}
    save({"": both, "of/another set": {"A": (masks["1"],)}}, tmp_path / "letters.npz")
    again = load(tmp_path / "letters.npz")
    assert set(again) == {"", "of/another set"} and set(again["of/another set"]) == {"A"}
    assert {character: len(looks) for character, looks in again[""].items()} == {"A": 2, "1": 1, "国": 1}
    for character, looks in both.items():
        for before, after in zip(looks, again[""][character], strict=True):
            np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(again["of/another set"]["A"][0], masks["1"])
    assert load(tmp_path / "none.npz") == {}
    (tmp_path / "letters.npz").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(UserError, match=r"letters\.npz: damaged"):
        load(tmp_path / "letters.npz")
    save({"": {"A": [np.zeros((5, 5), "uint8")]}}, tmp_path / "letters.npz")
    with pytest.raises(UserError, match="no letter: A"):
        load(tmp_path / "letters.npz")


def test_the_specimen_shows_all_of_them():
    masks = learned("A1B")
    page = specimen({"A": [masks["A"], masks["1"]], "1": [masks["1"]], "B": [masks["B"]]}, across=3)
    assert page.shape[2] == 3 and page.shape[0] == 2 * (GLYPH_HEIGHT + 12) and page.min() == 0


def test_drawn_plates_are_set_in_them_as_often_as_asked():
    block = {"A": [np.full((GLYPH_HEIGHT, 40), 255, "uint8")]}
    for share, expected in ((0.0, 0), (1.0, 200)):
        alphabets, rng = Alphabets("AB", learned=block, learned_share=share), np.random.default_rng(0)
        chosen = [alphabets.choose(rng).masks for _ in range(200)]
        assert sum((one["A"] == 255).all() for one in chosen) == expected
        assert not any((one["B"] == 255).all() for one in chosen)  # What is not known comes from a font.
    half = Alphabets("AB", learned=block, learned_share=0.5)
    assert 60 < sum((half.choose(rng).masks["A"] == 255).all() for _ in range(200)) < 140


def test_without_letters_plates_are_drawn_as_before():
    texts = ["AB 12", "BA 21"]
    before, now = PlatePainter(texts), PlatePainter(texts, letters={}, letters_share=0.5)
    for seed in range(5):
        first, second = (one.draw("AB 12", np.random.default_rng(seed))[0] for one in (before, now))
        assert (first == second).all()


def test_words_of_one_script_change_places_and_a_province_keeps_its_own():
    glimpse = np.zeros((64, 192, 3), "uint8")
    text = "粤BA12"
    attention = np.zeros((len(text), 8, 48))
    for index in range(len(text)):
        attention[index, 4, 6 + 8 * index] = 1
    groups = groups_between(glimpse, attention, text, 0.06)
    assert [(start, len(cuts) - 1) for start, cuts in groups] == [(1, 2), (3, 2)]
