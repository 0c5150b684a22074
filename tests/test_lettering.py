"""Texts of any script on pictures: they show, with letters of their own, in the order in which they are read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont, features

from lpr_e2e.common import lettering
from lpr_e2e.common.fonts import Face, brought_along, face_of_file, system_faces
from lpr_e2e.common.lettering import font_families, text_size, write_text
from lpr_e2e.prediction.pictures import annotate, attention_strip
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.training.plots import confusion_plot

WHITE = (255, 255, 255)
TEXTS = ["سطن٧١٢٦", "กข1234", "12ב34", "बा१च१२", "Ж123", "AB12CDE"]


def written(text, size=32, **options):
    """The ink of a text on a black picture, cut to its columns."""
    picture = np.zeros((100, 600, 3), "uint8")
    write_text(picture, text, (20, 50), size, WHITE, **options)
    return picture


def columns(picture):
    ink = np.flatnonzero(picture.max((0, 2)) > 100)
    return picture[:, ink[0] : ink[-1] + 1, 0]


@pytest.mark.parametrize("text", TEXTS)
def test_every_character_shows_as_itself(text):
    """The letters of each text differ from each other: `????` or boxes would be alike."""
    shapes = [columns(written(one)) for one in dict.fromkeys(text.replace("ा", ""))]
    assert len({(shape.shape, shape.tobytes()) for shape in shapes}) == len(shapes)
    missing = columns(written("\U000fffff"))
    assert not any(np.array_equal(shape, missing) for shape in shapes)


@pytest.mark.parametrize("text", TEXTS)
def test_the_size_of_a_text_is_what_it_takes(text):
    width, above, below = text_size(text, 32)
    ink = written(text).max(2) > 100
    rows, places = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    assert 50 - above - 1 <= rows[0] and rows[-1] <= 50 + below + 1
    assert 20 - 3 <= places[0] and places[-1] <= 20 + width + 3
    assert places[-1] - places[0] > 0.7 * width


def test_right_to_left_letters_stand_right_of_their_digits():
    """The left part of the whole is what the digits alone look like."""
    digits, both = columns(written("٧١٢٦")), columns(written("سطن٧١٢٦"))
    assert both.shape[1] > 1.5 * digits.shape[1]
    assert np.abs(both[:, : digits.shape[1] - 4].astype(int) - digits[:, :-4]).mean() < 8
    latin = columns(written("AB12"))
    assert np.array_equal(columns(written("AB"))[:, :20], latin[:, :20])


def test_texts_side_by_side_keep_their_own_order():
    """A certainty behind an Arabic text stays on its right."""
    alone, both = written("سطن٧١٢٦"), written(("سطن٧١٢٦", "  98%"))
    end = np.flatnonzero(alone.max((0, 2)) > 100)[-1]
    assert np.array_equal(alone[:, : end + 1], both[:, : end + 1])
    assert np.flatnonzero(both.max((0, 2)) > 100)[-1] > end + 40


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow has no raqm here")
def test_arabic_letters_are_joined_where_pillow_can(monkeypatch):
    joined = columns(written("سطن"))
    monkeypatch.setattr(lettering, "_raqm", lambda: False)
    basic = ImageFont.Layout.BASIC
    monkeypatch.setattr(
        lettering,
        "_font",
        lambda face, size: ImageFont.truetype(face.path, size, layout_engine=basic) if face.path else face.font(size),
    )
    apart = columns(written("سطن"))
    assert joined.shape[1] != apart.shape[1]
    # Without it the first letter is the rightmost one all the same.
    first = columns(written("س"))
    assert np.array_equal(apart[:, -first.shape[1] + 6 : -6], first[:, 6:-6])


def test_an_outline_is_read_on_white():
    picture = np.full((60, 200, 3), 255, "uint8")
    write_text(picture, "AB12", (10, 30), 24, WHITE)
    assert picture.min() == 255
    write_text(picture, "AB12", (10, 30), 24, WHITE, outline=(16, 16, 16))
    assert picture.min() < 40


def test_without_fonts_of_the_machine_or_packages_latin_texts_are_written(monkeypatch):
    lettering._face_of.cache_clear()
    monkeypatch.setattr(lettering, "system_faces", lambda: ())
    monkeypatch.setattr(lettering, "brought_along", lambda family, weight: None)
    assert written("AB12").max() == 255
    assert written("京سB").max() == 255  # Boxes, and no error.
    lettering._face_of.cache_clear()


def test_faces_say_what_they_have():
    thai = brought_along("noto-sans-thai", 500)
    assert thai.has("กข") and not thai.has("ж") and not thai.has("ก京")
    assert Face("").has("AB12") and not Face("").has("京")
    assert brought_along("no-such-family", 400) is None
    assert any(face.has("Ж") for face in system_faces())
    assert not any("LastResort" in face.path for face in system_faces())


def test_a_file_that_is_no_font_is_said(tmp_path):
    (tmp_path / "no.ttf").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"no\.ttf.*expected a font file"):
        face_of_file(tmp_path / "no.ttf")


def test_annotated_pictures_and_strips_show_any_script():
    photograph = np.full((400, 700, 3), 90, "uint8")
    box = (150.0, 100.0, 200.0, 300.0)
    shown = {
        text: annotate(photograph, [Reading("a.jpg", text, 0.9, box, 0.9, "ok")])
        for text in ("سطن٧", "سطب٧", "京ت12", "กข12")
    }
    pictures = list(shown.values())
    assert all(not np.array_equal(one, other) for index, one in enumerate(pictures) for other in pictures[:index])
    strips = [attention_strip(np.zeros((32, 96, 3)), np.ones((3, 2, 4)), text) for text in ("سط", "نط", "กข")]
    assert len({strip.tobytes() for strip in strips}) == 3 and len({strip.shape for strip in strips}) == 1


def test_plots_name_characters_of_any_script(recwarn):
    """matplotlib warns of each character that it draws as a box."""
    plot = confusion_plot([("سطن٧", "سطب٧"), ("กข1", "กข2")], "12กขسطنب٧")
    assert plot.std() > 5
    assert not [warning for warning in recwarn if "missing from" in str(warning.message)]
    assert font_families("AB12") == [] and font_families("ก") == ["Noto Sans Thai"]


def test_latin_texts_look_for_no_other_font(monkeypatch):
    """Reading Latin plates imports neither fontpkg nor matplotlib, which an installation for reading lacks."""
    lettering._face_of.cache_clear()
    for name in ("brought_along", "system_faces"):
        monkeypatch.setattr(lettering, name, lambda *_: pytest.fail("looked for another font"))
    assert written(("AB12-", "  98%")).max() == 255
