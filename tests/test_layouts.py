"""Plates of no country in particular: their lines stand on them, and what else stands there is not taken for these."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lpr_e2e.drawing import plates
from lpr_e2e.drawing.faces import ANY_FACES, FACES
from lpr_e2e.drawing.layouts import any_look, line_breaks
from lpr_e2e.drawing.letters import Group, separated
from lpr_e2e.drawing.plate_surface import with_band
from lpr_e2e.drawing.plates import PlatePainter


def looks(count=400, length=7, breaks=(2, 5), two_lines=0.3):
    rng = np.random.default_rng(1)
    return [any_look(length, breaks, two_lines, rng) for _ in range(count)]


def test_lines_stand_on_the_plate_and_apart():
    for look in looks():
        edges = [edge for centre, height in look.lines for edge in (centre - height / 2, centre + height / 2)]
        assert edges == sorted(edges) and 0.05 < edges[0] and edges[-1] < 0.95, look


def test_small_print_has_room_beside_the_line():
    printed = [look for look in looks(two_lines=0.0) if look.small_above or look.small_below]
    assert 0.35 < len(printed) / 400 < 0.65
    for look in printed:
        (centre, height), room = look.lines[0], []
        room += [centre - height / 2] if look.small_above else []
        room += [1 - centre - height / 2] if look.small_below else []
        assert min(room) > 0.13, look


def test_two_lines_are_as_many_as_asked_and_end_where_they_may():
    drawn = looks(two_lines=0.3)
    two = [look for look in drawn if len(look.lines) == 2]
    assert 0.2 < len(two) / len(drawn) < 0.4
    assert {line_breaks(7, look)[1] for look in two} == {2, 5}
    assert not any(len(look.lines) == 2 for look in looks(breaks=()))
    assert all(len(look.lines) == 1 for look in looks(two_lines=0.0))


def test_characters_part_in_several_ways():
    gaps = Counter(look.gaps for look in looks(two_lines=0.0))
    assert 0.45 < gaps[None] / 400 < 0.75 and gaps[()] > 20 and len(gaps) > 8
    assert all(0 < gap < 7 for known in gaps if known for gap in known)


@pytest.mark.parametrize("text", ["A", "12", "B1234XYZ", "12AB34CD56", "سطن٧١٢٦"])
def test_every_character_is_on_the_plate_where_it_is_said_to_be(text):
    painter, rng = PlatePainter([text], worn=0.0, two_lines=0.3), np.random.default_rng(2)
    for _ in range(60):
        plate, outline, places = painter.draw_placed(text, rng)
        assert plate.shape[:2] == outline.shape and len(places.parts) == len(text)
        height, width = plate.shape[:2]
        assert places.boxes.min() > -2 and (places.boxes[:, 2:] < (height + 2, width + 2)).all()
        for y, x, bottom, right in (places.boxes.round().astype(int) + (-3, -3, 3, 3)).clip(0):
            shown = plate[y:bottom, x:right].astype(int)
            assert np.ptp(shown, (0, 1)).max() > 30  # Ground and paint.


def test_a_band_moves_what_stands_right_of_it():
    plate, rng = np.full((40, 160, 3), 200, "uint8"), np.random.default_rng(3)
    for _ in range(20):
        shown, left = with_band(plate, rng)
        assert shown.shape[0] == 40 and shown.shape[1] > 160
        assert np.array_equal(shown[:, left : left + 160], plate)


def test_marks_between_groups_are_no_part_of_the_text():
    glyph = np.full((72, 30), 255, "uint8")
    groups, rng = [Group([glyph] * 2, [(0,), (1,)]), Group([glyph], [(2,)])], np.random.default_rng(4)
    drawn = [separated(groups, rng) for _ in range(300)]
    assert 0.25 < sum(len(one) == 3 for one in drawn) / 300 < 0.45
    assert all([place for group in one for place in group.places if place] == [(0,), (1,), (2,)] for one in drawn)


def test_other_countries_are_drawn_with_more_faces_than_tunisia(monkeypatch):
    asked = []

    class Spy(plates.Alphabets):
        def __init__(self, *arguments):
            asked.append(arguments[-1])
            super().__init__(*arguments)

    monkeypatch.setattr(plates, "Alphabets", Spy)
    PlatePainter(["AB12CD"])
    PlatePainter(["123T4567", "129T8760"])
    assert asked == [ANY_FACES, FACES] and len({family for family, *_ in ANY_FACES}) > 15


def test_the_same_seed_draws_the_same_plate():
    one, other = (PlatePainter(["B1234XY"]).draw("B1234XY", np.random.default_rng(5))[0] for _ in range(2))
    assert np.array_equal(one, other)
