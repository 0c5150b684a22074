"""The plates that are drawn: their texts, shapes, and the errors for texts that cannot be drawn."""

import pickle
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpr_e2e.common.errors import UserError
from lpr_e2e.drawing import glyphs, letters
from lpr_e2e.drawing.layouts import any_look
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.style import PlateLook, PlateStyle, read_look

TUNISIAN = ["123T4567", "129T8760", "71T625", "150T12", "123456N"] + ["155T3241", "93T5877"] * 10


@pytest.fixture(scope="module")
def painter():
    return PlatePainter(TUNISIAN)


def sampled(painter, count=1500):
    rng = np.random.default_rng(0)
    return [painter.sample_text(rng) for _ in range(count)]


def test_sampled_texts_follow_the_patterns(painter):
    texts = sampled(painter)
    assert all(re.fullmatch(r"[1-9]\d{0,2}T[1-9]\d{0,3}|\dT\d+|\d+T\d|[1-9]\d{5}N", text) for text in texts)
    patterns = Counter(re.sub(r"\d", "d", text) for text in texts)
    assert patterns["ddddddN"] > len(texts) / 25 * 1.5  # One of 25 training texts: oversampled.
    assert "dTdd" in patterns or "dTddd" in patterns or "dTdddd" in patterns  # Shortened numbers occur.


def test_digits_are_spread_evenly(painter):
    counts = Counter("".join(text[-2:] for text in sampled(painter) if re.fullmatch(r"\d+T\d{3,4}", text)))
    assert set(counts) == set("0123456789")
    assert max(counts.values()) < 1.5 * min(counts.values())


def test_leading_zeros_only_where_training_texts_have_them():
    with_zeros = sampled(PlatePainter(["012345", "987654"]), 300)
    assert any(text[0] == "0" for text in with_zeros)
    without = sampled(PlatePainter(["812305", "987654"]), 300)
    assert not any(text[0] == "0" for text in without)


def test_only_known_characters_are_sampled():
    texts = sampled(PlatePainter(["AB12CD", "EX13FD", "AB-31"]), 300)
    assert set("".join(texts)) <= set("ABCDEFX123-")
    assert len({text[:2] for text in texts}) > 5  # Letters vary where there are many of them ...
    marks = sampled(PlatePainter(["A1234", "B4321"]), 300)
    assert {text[0] for text in marks} == {"A", "B"}  # ... and stay where they are marks of a series.
    assert all(re.fullmatch(r"[AB][1-4]{4}", text) for text in marks)


@pytest.mark.parametrize("texts", [TUNISIAN, ["AB123CD", "WX 99 ZZ", "B-MW 4521", "x_9"]])
def test_a_plate_is_a_picture_with_an_outline(texts):
    painter, rng = PlatePainter(texts), np.random.default_rng(1)
    for _ in range(60):
        plate, outline = painter.draw(texts[rng.integers(len(texts))], rng)
        assert plate.dtype == outline.dtype == np.uint8
        assert plate.shape == (*outline.shape, 3) and 60 <= plate.shape[0] <= 150
        assert plate.std() > 3 and outline.mean() > 240 and outline[outline.shape[0] // 2].min() == 255


def test_the_text_decides_what_is_drawn(painter):
    """Average plates of two numbers differ where the numbers do: a long number covers more of the plate."""

    def mean(text):
        rng = np.random.default_rng(2)
        plates = [cv2.resize(painter.draw(text, rng)[0], (192, 48)).mean(2) for _ in range(60)]
        return np.mean([np.abs(plate - np.median(plate)) for plate in plates], 0)

    inner = np.s_[12:36, 12:40]
    assert mean("188T8888")[inner].mean() > 1.2 * mean("8T8")[inner].mean()


def test_drawing_is_decided_by_the_generator(painter):
    def draw(seed):
        rng = np.random.default_rng(seed)
        return painter.draw(painter.sample_text(rng), rng)[0]

    alone = [draw(seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(draw, range(24)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, threaded, strict=True))
    assert not np.array_equal(draw(0), draw(1))


def test_missing_raqm_is_an_error(monkeypatch):
    monkeypatch.setattr(glyphs.features, "check", lambda name: False)
    with pytest.raises(UserError, match="raqm.*libfribidi0"):
        PlatePainter(TUNISIAN)
    PlatePainter(["AB123"])  # Latin letters do without.


def test_what_cannot_be_drawn_is_an_error(painter):
    with pytest.raises(ValueError, match="at least one"):
        PlatePainter(["", " "])
    with pytest.raises(ValueError, match="no font.*\U0001f697"):
        PlatePainter(["\U0001f697123"]).draw("\U0001f697123", np.random.default_rng(0))
    with pytest.raises(ValueError, match="'X'"):
        painter.draw("12X3", np.random.default_rng(0))
    with pytest.raises(ValueError, match="found ''"):
        painter.draw("", np.random.default_rng(0))


def test_right_to_left_letters_stand_right_of_the_digits_and_from_the_right(monkeypatch):
    painter = PlatePainter(["سطن٧١٢٦", "أنع٨١٩"])
    alphabet = painter._alphabets.choose(np.random.default_rng(0))
    look = any_look(7, (), 0.0, np.random.default_rng(0))
    monkeypatch.setattr(letters, "SEPARATED", 0.0)
    (line,) = painter._lines_of_look("سطن٧١٢٦", replace(look, gaps=None), alphabet, np.random.default_rng(0))
    shown = [glyph for group in line for glyph in group]
    assert [group.word for group in line] == [False, False]
    for glyph, mask in zip(shown, [alphabet.masks[one] for one in "٧١٢٦نطس"], strict=True):
        assert glyph is mask


@pytest.mark.skipif(not glyphs.joins_letters(), reason="Pillow has no raqm here")
def test_letters_are_joined_only_where_they_are_said_to_be():
    def pieces(joined):
        painter = PlatePainter(["بسمل١٢", "سبلم٤٥"], worn=0.0, joined=joined)
        rng = np.random.default_rng(2)
        looks = [read_look(painter.draw("بسمل١٢", rng)[0], "بسمل١٢") for _ in range(60)]
        return np.mean([sum(look.pieces) for look in looks if look])

    assert pieces(True) < pieces(None) - 1.5
    assert pieces(False) == pieces(None)


def test_what_no_font_has_is_named_and_left_to_real_plates():
    """No font has emoji in one colour; a set with one trains nevertheless."""
    painter = PlatePainter(["\U0001f697A1234", "\U0001f697B5678", "B4321"])
    assert painter.undrawable == {"\U0001f697"} and painter.can_draw
    texts = sampled(painter, 100)
    assert all(re.fullmatch(r"[AB]\d{1,4}", text) for text in texts)
    for text in texts[:10]:
        painter.draw(text, np.random.default_rng(0))
    nothing = PlatePainter(["\U0001f697"])
    assert not nothing.can_draw
    with pytest.raises(UserError, match="no font"):
        nothing.sample_text(np.random.default_rng(0))


def test_the_painter_is_ready_in_a_worker_process():
    painter = pickle.loads(pickle.dumps(PlatePainter(["กข1234", "คง5678"])))
    plate, _ = painter.draw("กข1234", np.random.default_rng(0))
    assert plate.std() > 3


# Letters, digits and marks of many scripts, blanks, control characters, and what no font has.
ODD = st.sampled_from("AB12 -סאןטسطن٧١۴กข้ำबाक१২Ж京가ぶ\u0300\u200f\x1c\ufeff\U0001f697")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.text(ODD, min_size=1, max_size=8), min_size=1, max_size=12),
    st.text(ODD, max_size=3),
    st.sampled_from([None, True, False]),
    st.booleans(),
)
def test_any_texts_are_drawn_or_named(texts, characters, joined, like_crops):
    if not any(text.strip() for text in texts):
        return
    looks = [
        PlateLook((20.0,) * 3, (240.0,) * 3, 3.2, ((0.5, 0.6),), None, None, True, True, 4, (2,), (4,)),
        PlateLook((20.0,) * 3, (240.0,) * 3, 1.4, ((0.3, 0.3), (0.7, 0.4)), None, None, False, True, 4, None, (2, 2)),
    ]
    style = PlateStyle(tuple(looks)) if like_crops else None
    painter, rng = PlatePainter(texts, characters=characters, joined=joined, style=style), np.random.default_rng(0)
    for _ in range(6 if painter.can_draw else 0):
        text = painter.sample_text(rng)
        assert text.strip() and set(text) <= set("".join(texts)) | set(characters)
        plate, outline = painter.draw(text, rng)
        assert plate.shape[:2] == outline.shape
