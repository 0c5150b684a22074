"""What is learned from crops, and drawn like them. The crops are drawn plates of one look."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lpr_e2e.drawing import plates
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.style import PlateLook, PlateStyle, learn_style, read_look

TUNISIAN = ["123T4567", "129T8760", "71T625", "150T12", "123456N"]
BLUE, WHITE = (20.0, 60.0, 190.0), (240.0, 240.0, 240.0)
LOOK = PlateLook(BLUE, WHITE, 3.2, ((0.5, 0.62),), None, None, False, False, 7, (2,), (7,))


def crops(look, count=40):
    painter = PlatePainter(["AB12345", "CD67890"], worn=0.0, style=PlateStyle((look,)))
    rng, crops = np.random.default_rng(4), []
    while len(crops) < count:
        text = painter.sample_text(rng)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plates, "STYLED_SHARE", 1.0)
            patch.setattr(plates, "EMBOSSED_SHARE", 0.0)  # No part of a look.
            patch.setattr(plates, "BAND_SHARE", 0.0)
            crops.append((painter.draw(text, rng)[0], text))
    return crops


def test_colours_shape_and_gaps_are_learned():
    style = learn_style(crops(LOOK))
    summary = style.summary()
    assert summary["plates"] >= 35 and summary["dark_on_light"] < 0.1 and summary["two_lines"] == 0
    assert summary["aspect"] == pytest.approx(3.2, abs=0.25)
    assert summary["character_height"] == pytest.approx(0.6, abs=0.12)
    ground = np.median([look.ground for look in style.looks], 0)
    assert ground[2] > 2 * ground[0] and ground[2] > 1.5 * ground[1]
    gaps = Counter(look.gaps for look in style.looks if look.gaps)
    assert gaps.most_common(1)[0][0] == (2,)


def test_two_lines_are_learned():
    look = replace(LOOK, aspect=1.5, lines=((0.28, 0.34), (0.72, 0.36)), pieces=(2, 5))
    style = learn_style(crops(look))
    assert style.summary()["two_lines"] > 0.6


def test_plates_are_drawn_like_that_but_not_all_of_them():
    style = learn_style(crops(LOOK))
    painter, rng = PlatePainter(["AB12345", "CD67890"], style=style), np.random.default_rng(5)
    drawn = [painter.draw(painter.sample_text(rng), rng)[0] for _ in range(80)]
    looks = [look for picture in drawn if (look := read_look(picture, "AB12345"))]
    blue = [look for look in looks if look.ground[2] > 1.5 * look.ground[0]]
    assert 0.5 < len(blue) / len(drawn) < 0.9
    generic = PlatePainter(["AB12345", "CD67890"])
    drawn = [generic.draw(generic.sample_text(rng), rng)[0] for _ in range(80)]
    looks = [look for picture in drawn if (look := read_look(picture, "AB12345"))]
    assert sum(look.ground[2] > 1.5 * look.ground[0] for look in looks) < 0.15 * len(drawn)


def test_it_is_plain_numbers():
    style = learn_style(crops(LOOK))
    assert PlateStyle.of_numbers(json.loads(json.dumps(style.as_numbers()))) == style
    assert learn_style(crops(LOOK)) == style


@pytest.mark.parametrize(
    "picture",
    [np.zeros((40, 160, 3), "uint8"), np.zeros((3, 3, 3), "uint8"), np.full((1, 500, 3), 255, "uint8")],
)
def test_crops_without_characters_teach_nothing(picture):
    assert read_look(picture, "AB12345") is None and learn_style([(picture, "AB12345")] * 20) is None


def test_hostile_crops_do_no_harm():
    rng = np.random.default_rng(6)
    crops = [(rng.integers(0, 256, (*rng.integers(1, 90, 2), 3)).astype("uint8"), "AB12345") for _ in range(200)]
    style = learn_style(crops)
    if style is not None:
        painter = PlatePainter(["AB12345"], style=style)
        for _ in range(100):
            plate, outline = painter.draw("AB12345", rng)
            assert plate.shape[:2] == outline.shape and min(plate.shape[:2]) >= 40


def test_tunisian_plates_do_without():
    style = learn_style(crops(LOOK))
    with_style, without = PlatePainter(TUNISIAN, style=style), PlatePainter(TUNISIAN)
    one, other = (painter.draw("71T625", np.random.default_rng(7))[0] for painter in (with_style, without))
    assert np.array_equal(one, other)
