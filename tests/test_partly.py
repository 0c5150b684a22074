"""Plates of which something cannot be seen: where their characters stand, what is hidden, and what is to be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lpr_e2e.common.places import HIDDEN, SEEN, Places, beyond, places_by_cuts
from lpr_e2e.common.scripts import visual_order
from lpr_e2e.common.vocabulary import UNSEEN
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.samples import Plate
from lpr_e2e.drawing.glyphs import GLYPH_HEIGHT
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.training import partly
from lpr_e2e.training.batches import BatchMaker
from lpr_e2e.training.covers import _KINDS, OPAQUE, cover
from lpr_e2e.training.partly import covered, cut_line, cut_photograph, on_background, partly_seen
from lpr_e2e.training.plate_sources import ECHO_STEPS
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.set_samples import RECOGNITION, SetSamples
from lpr_e2e.training.settings import Mixture
from lpr_e2e.training.trainer import training_vocabulary

ARABIC = "سطن٧١٢٦"
SOLID, EMPTY = np.full((GLYPH_HEIGHT, 40), 255, "uint8"), np.zeros((GLYPH_HEIGHT, 40), "uint8")


def row_of(text: str) -> Places:
    """A plate of one line, 10 pixels a character, from the left as it is seen; 40 rows, the characters in 10 to 30."""
    order = [text.index(character) for character in visual_order(text)]
    boxes = np.array([(10, 10 * order.index(place), 30, 10 * order.index(place) + 10) for place in range(len(text))])
    return Places(tuple(text), boxes.astype(float), np.ones(len(text), bool))


class TestPlacesOfDrawnPlates:
    @pytest.mark.parametrize(
        ("text", "two_lines"), [("AB 1234 C", 0.0), ("AB 1234 C", 1.0), ("12T345", 0.0), (ARABIC, 0.0)]
    )
    def test_the_box_of_a_character_holds_its_ink_and_no_others(self, text, two_lines):
        """One character is a block, the others are blank: the block is where the character's box is."""
        characters = sorted(set(text) - {" "})
        for number, seen in enumerate(characters):
            letters = {one: [SOLID if one == seen else EMPTY] for one in characters}
            texts = [text, text.replace("T", "X")]  # Not only Tunisian ones, whose marks are words.
            painter = PlatePainter(texts, 0.0, two_lines, letters=letters, letters_share=1.0)
            painter._surface.paint = lambda ink, *_: np.dstack([ink] * 3)
            for seed in range(6):
                plate, outline, places = painter.draw_placed(text, np.random.default_rng(seed * 100 + number))
                assert places.text == text.replace(" ", "") and places.apart.all()
                assert plate.shape[:2] == outline.shape
                inked = [self.ink(plate, box) for box in places.boxes]
                assert inked.pop(places.text.index(seen)) > 200 and max(inked) < 60

    @staticmethod
    def ink(plate, box) -> float:
        """How much ink, 0..255, is in the middle of a box."""
        (top, left), (bottom, right) = (box[:2] * 0.8 + box[2:] * 0.2).astype(int), box[:2] * 0.2 + box[2:] * 0.8
        return float(plate[top : int(bottom) + 1, left : int(right) + 1].mean())

    def test_the_words_of_tunisian_plates_are_one_character(self):
        painter = PlatePainter(["12T345", "123456N"], 0.0, 0.0)
        for text in ("12T345", "123456N"):
            for seed in range(5):
                _, _, places = painter.draw_placed(text, np.random.default_rng(seed))
                assert places.text == text and places.apart.all()
                assert (np.diff(places.boxes[:, 1]) > 0).all()

    def test_joined_letters_share_a_place(self):
        painter = PlatePainter([ARABIC], 0.0, 0.0, joined=True)
        _, _, places = painter.draw_placed(ARABIC, np.random.default_rng(0))
        assert places.apart.tolist() == [False] * 3 + [True] * 4
        assert (places.boxes[0] == places.boxes[1]).all() and places.boxes[0, 1] > places.boxes[6, 1]

    def test_drawing_stays_as_it_was(self):
        painter = PlatePainter(["AB 12", "BA 21"])
        for seed in range(5):
            plate, outline = painter.draw("AB 12", np.random.default_rng(seed))
            again, same, _ = painter.draw_placed("AB 12", np.random.default_rng(seed))
            assert (plate == again).all() and (outline == same).all()


class TestPlacesByCuts:
    def test_characters_that_cannot_be_cut_stand_between_the_others(self):
        places = places_by_cuts("12T34", [(0, np.array([0.1, 0.2, 0.3])), (3, np.array([0.6, 0.7, 0.8]))])
        np.testing.assert_allclose(
            places.boxes[:, [1, 3]], [[0.1, 0.2], [0.2, 0.3], [0.3, 0.6], [0.6, 0.7], [0.7, 0.8]]
        )
        assert places.apart.tolist() == [True, True, False, True, True] and not places.rows_known

    def test_letters_from_the_right_stand_right_of_the_digits(self):
        places = places_by_cuts("سط٧١", [(2, np.array([0.1, 0.3, 0.5]))])
        np.testing.assert_allclose(places.boxes[:, [1, 3]], [[0.5, 1.0], [0.5, 1.0], [0.1, 0.3], [0.3, 0.5]])

    @pytest.mark.parametrize(
        ("text", "groups"),
        [
            ("1234", [(0, np.array([0.1, 0.4, 0.8])), (2, np.array([0.1, 0.4, 0.8]))]),  # Two lines.
            ("AB12", []),
            ("A 12", [(2, np.array([0.5, 0.6, 0.7]))]),
        ],
    )
    def test_where_it_is_not_clear_there_are_none(self, text, groups):
        assert places_by_cuts(text, groups) is None


class TestTexts:
    """What is to be read of a plate that is cut off or covered."""

    @pytest.mark.parametrize(
        ("text", "side", "share", "expected"),
        [
            ("12T345", 1, 0.0, "12T345"),
            ("12T345", 1, 1 / 6, "?2T345"),
            ("12T345", 1, 0.5, "?345"),
            ("12T345", 3, 1 / 6, "12T34?"),
            ("12T345", 3, 0.5, "12T?"),
            ("12T345", 1, 0.02, "12T345"),  # Only a little of the first is gone.
            ("12T345", 1, 0.08, None),  # About half of it is.
            (ARABIC, 3, 1 / 7, "?طن٧١٢٦"),  # It begins at the right.
            (ARABIC, 1, 2 / 7, "سطن?٢٦"),  # The first digits are the leftmost.
            (ARABIC, 1, 4 / 7, "سطن?"),
            ("12T345", 0, 0.1, "12T345"),  # Above the characters.
            ("12T345", 0, 0.6, ""),
            ("12T345", 2, 0.6, ""),
            ("12T345", 2, 0.45, None),
        ],
    )
    def test_one_sign_stands_for_all_that_is_cut_off(self, text, side, share, expected):
        places = row_of(text)
        found = cut_line(np.array([0.0, 0.0, 40.0, 10.0 * len(text)]), places, side, share)
        assert (found and found[1]) == expected

    def test_each_line_of_two_is_cut_off(self):
        boxes = np.array([(0, 0, 10, 10), (0, 10, 10, 20), (12, 0, 22, 10), (12, 10, 22, 20)], float)
        places = Places(tuple("1234"), boxes, np.ones(4, bool))
        assert cut_line(np.array([0.0, 0, 22, 20]), places, 1, 0.5)[1] == "?2?4"
        assert cut_line(np.array([0.0, 0, 22, 20]), places, 0, 0.5)[1] == "?34"

    def test_covered_characters_are_counted(self):
        places, nothing = row_of("12345"), np.zeros(5)
        hidden = np.array([0, 1, HIDDEN, 0, 0])
        assert places.text_seen(hidden, hidden, counted=True) == "1??45"
        assert places.text_seen(nothing, np.full(5, SEEN), counted=True) == "12345"
        assert places.text_seen(nothing, hidden, counted=True) is None  # It may be hidden, or not.
        assert places.text_seen(np.ones(5), np.ones(5), counted=True) == ""
        joined = replace(places, apart=np.array([True, False, False, True, True]))
        assert joined.text_seen(np.array([0, 1, 1, 0, 0]), np.array([0, 1, 1, 0, 0]), counted=True) is None
        assert joined.text_seen(np.array([0, 0.7, 0.7, 0, 0]), np.array([0, 0.7, 0.7, 0, 0]), counted=False) is None

    @pytest.mark.parametrize("side", range(4))
    def test_what_is_beyond_a_line(self, side):
        boxes = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
        expected = [0.5, 0.0] if side < 2 else [0.5, 1.0]
        np.testing.assert_allclose(beyond(boxes, side, 5), expected)


@pytest.fixture(scope="module")
def drawn():
    """A drawn plate on a grey background: picture, box, places."""
    painter = PlatePainter(["AB 1234", "CD 5678"], 0.0, 0.0)
    plates = (painter.draw_placed("AB 1234", np.random.default_rng(seed)) for seed in range(200))
    plate, outline, places = next(one for one in plates if one[0].shape[0] <= partly._HIGHEST)  # None is shrunk.
    cut = np.dstack([plate * (outline > 127)[..., None], outline])
    return on_background(cut, places, np.full((20, 60, 3), 90, "uint8"))


class TestViews:
    @pytest.mark.parametrize("kind", sorted(set(_KINDS), key=lambda kind: kind.__name__))
    def test_a_cover_hides_its_box_and_leaves_what_is_far(self, drawn, kind, monkeypatch):
        picture, _, places = drawn
        monkeypatch.setattr("lpr_e2e.training.covers._KINDS", (kind,))
        monkeypatch.setattr("lpr_e2e.training.covers._CONTRAST", 0)
        for seed in range(5):
            before = picture.copy()
            shown, mask = cover(picture, places.boxes[2], np.random.default_rng(seed))
            assert (picture == before).all() and shown.shape == picture.shape and shown.dtype == np.uint8
            top, left, bottom, right = places.boxes[2].astype(int)
            assert (mask[top:bottom, left:right] >= OPAQUE).mean() > HIDDEN
            assert (shown[mask == 0] == picture[mask == 0]).all()
            assert not mask[top:bottom, int(places.boxes[5, 1]) + 1 :].any()

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_over_an_end_nothing_tells_where_the_text_ends(self, drawn, monkeypatch, share):
        monkeypatch.setattr(partly, "_OVER_AN_END", share)
        picture, box, places = drawn
        row, (left, right) = int(places.boxes[0, ::2].mean()), (int(box[1]) + 2, int(box[3]) - 3)
        ends = Counter()
        for seed in range(40):
            view = covered(picture, box, places, np.random.default_rng(seed))
            if view is not None:
                over = [bool((view.picture[row, column] != picture[row, column]).any()) for column in (left, right)]
                ends.update(side for side, is_over in zip(("left", "right"), over, strict=True) if is_over)
                if share:
                    side = 3 if over[1] else 1
                    inner = places.boxes[-1, 1] if over[1] else places.boxes[0, 3]
                    assert min(inner, box[side]) <= view.box[side] <= max(inner, box[side])
                    assert sum(over) == 1 and view.text[-1 if over[1] else 0] == UNSEEN
                    assert view.text.strip(UNSEEN) in "AB1234"
        assert set(ends) == {"left", "right"} if share else sum(ends.values()) < 5

    def test_where_a_joined_word_ends_the_plate_no_cover_is_over_it(self, drawn, monkeypatch):
        monkeypatch.setattr(partly, "_OVER_AN_END", 1.0)
        picture, box, places = drawn
        joined = replace(places, apart=np.array([False, False, True, True, False, False]))
        assert all(covered(picture, box, joined, np.random.default_rng(seed)) is None for seed in range(10))

    def test_covered_characters_are_hidden_and_the_others_are_not(self, drawn, monkeypatch):
        monkeypatch.setattr(partly, "_OVER_AN_END", 0.0)
        picture, box, places = drawn
        texts = Counter()
        for seed in range(60):
            view = covered(picture, box, places, np.random.default_rng(seed))
            if view is not None:
                texts[view.text] += 1
                assert len(view.text) == 6 and UNSEEN in view.text and view.source == "covered"
                assert all(one in (UNSEEN, other) for one, other in zip(view.text, "AB1234", strict=True))
        assert sum(texts.values()) > 40 and len(texts) > 5

    def test_every_kind_is_made_and_says_what_it_shows(self, drawn):
        picture, box, places = drawn
        sources = Counter()
        for seed in range(150):
            view = partly_seen(picture, box, places, lambda: picture[:9], 114, np.random.default_rng(seed))
            if view is None:
                continue
            sources[view.source] += 1
            height, width = view.picture.shape[:2]
            top, left, bottom, right = view.box
            assert 0 <= top < bottom <= height and 0 <= left < right <= width
            if view.source == "mirrored":
                assert view.text == "" and (view.picture == picture[:, ::-1]).all()
            if view.source == "cut off":
                sides = np.array([bottom - top, right - left]) / [box[2] - box[0], box[3] - box[1]]
                assert 0.35 < sides.min() < 1 and sides.max() == pytest.approx(1)
        assert set(sources) == {"cut off", "covered", "mirrored"} and sum(sources.values()) > 120

    @pytest.mark.parametrize("text", ["8008", "HAXO18", "M1"])
    def test_what_looks_the_same_in_a_mirror_is_not_mirrored(self, drawn, text, monkeypatch):
        picture, box, _ = drawn
        monkeypatch.setattr("lpr_e2e.training.partly._CUT", 0.0)
        monkeypatch.setattr("lpr_e2e.training.partly._COVERED", 0.0)
        assert partly_seen(picture, box, row_of("".join(dict.fromkeys(text))), lambda: picture, 114, rng()) is None

    @pytest.mark.parametrize("left", [True, False])
    def test_a_photograph_ends_within_its_plate(self, left):
        photograph = np.random.default_rng(0).integers(0, 255, (60, 300, 3), "uint8")
        box = (20.0, 10.0, 40.0, 70.0) if left else (20.0, 230.0, 40.0, 290.0)
        places = replace(row_of("12T345"), boxes=row_of("12T345").boxes / [40, 60, 40, 60])
        for seed in range(10):
            generator = np.random.default_rng(seed)
            shown, plate = cut_photograph(photograph, Plate(box, "12T345", 0), 0.0, places, generator)
            top, start, bottom, end = plate.box_px
            assert (top, bottom) == (20, 40) and shown.shape[1] < 300
            if left:
                assert start == 0 and plate.text.startswith("?") and (shown == photograph[:, -shown.shape[1] :]).all()
            else:
                assert end == shown.shape[1] and plate.text.endswith("?")
            missing = 60 - (end - start)
            assert abs(len(plate.text) - 1 - (6 - missing / 10)) < 0.7
        assert cut_photograph(photograph, Plate(box, "12T345", 0), 0.2, places, rng()) is None  # It is tilted.
        assert cut_photograph(photograph, Plate(box, "12T345", 2), 0.0, places, rng()) is None


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def make_maker(tiny_data, tiny_settings):
    dataset = load_dataset(tiny_data)
    painter = PlatePainter([crop.text for crop in dataset.crops])
    cuts = {
        one.key: [(0, np.linspace(0.05, 0.4, 1 + one.text.index("T")))]
        for one in SetSamples(
            dataset,
            training_vocabulary(dataset),
            tiny_settings.architecture,
            tiny_settings.procedure,
            painter,
            Mixture(),
            0,
        ).sources.texted
        if "T" in one.text[2:]
    }

    def make(unseen=True, own=True, room=False, **mixture):
        samples = SetSamples(
            dataset,
            training_vocabulary(dataset, unseen=unseen, spare=room),
            tiny_settings.architecture,
            tiny_settings.procedure,
            painter,
            Mixture(**mixture),
            0,
            PseudoLabels(cuts=cuts if own else {}),
        )
        return BatchMaker({"": samples})

    return make


def shown_texts(maker, classes) -> list[str]:
    return [maker.sets[""].vocabulary.decode(np.eye(maker.sets[""].vocabulary.classes)[one])[0] for one in classes]


class TestBatches:
    def test_what_cannot_be_seen_is_to_be_read_as_such(self, make_maker):
        maker = make_maker(partly=1.0, unreadable=0.0)
        plates = maker.plates(RECOGNITION, 0, 60)
        assert len(plates["glimpses"]) == 60
        read = shown_texts(maker, plates["glimpse_classes"])
        assert sum(UNSEEN in one for one in read) > 30
        assert {"plate: cut off", "plate: covered"} <= set(maker.shown)
        again = make_maker(partly=1.0, unreadable=0.0).plates(RECOGNITION, 0, 60)
        for name, values in plates.items():
            np.testing.assert_array_equal(again[name], values)

    def test_it_is_seen_again_later_but_differently(self, make_maker):
        maker = make_maker(partly=1.0, unreadable=0.0)
        first, later = (maker.plates(RECOGNITION, step, 7) for step in (0, ECHO_STEPS))
        np.testing.assert_array_equal(first["glimpse_classes"], later["glimpse_classes"])
        assert (first["glimpses"] != later["glimpses"]).any(axis=(1, 2, 3)).all()
        anew = make_maker(partly=1.0, unreadable=0.0).plates(RECOGNITION, ECHO_STEPS, 7)
        np.testing.assert_array_equal(later["glimpses"], anew["glimpses"])

    def test_real_plates_are_used_where_their_places_are_known(self, make_maker):
        maker = make_maker(partly=1.0, unreadable=0.0, real=1.0)
        assert maker.sets[""].sources._placed
        read = shown_texts(maker, maker.plates(RECOGNITION, 0, 30)["glimpse_classes"])
        assert maker.sets[""].sources._drawn_again.cache_info().misses == 0 and any(UNSEEN in one for one in read)
        assert not make_maker(own=False, partly=1.0).sets[""].sources._placed

    def test_a_model_that_cannot_say_it_is_not_shown_it(self, make_maker):
        maker = make_maker(unseen=False, partly=1.0, unreadable=0.0)
        maker.plates(RECOGNITION, 0, 20)
        assert set(maker.shown) <= {"plate: real", "plate: drawn"}

    def test_foreign_letters_are_to_be_read_as_such(self, make_maker):
        foreign = make_maker(partly=0.01, unreadable=0.0, real=0.0, foreign=1.0)
        read = shown_texts(foreign, foreign.plates(RECOGNITION, 0, 40)["glimpse_classes"])
        assert sum(one.count(UNSEEN) == 1 for one in read) > 30
        cannot_say = make_maker(unseen=False, partly=0.01, unreadable=0.0, real=0.0, foreign=1.0)
        read = shown_texts(cannot_say, cannot_say.plates(RECOGNITION, 0, 40)["glimpse_classes"])
        assert not any(UNSEEN in one for one in read)

    def test_longer_plates_are_shown_to_a_model_that_has_room_for_them(self, make_maker):
        longest = make_maker().sets[""].vocabulary.slots
        for room in (False, True):
            maker = make_maker(partly=0.0, unreadable=0.0, real=0.0, longer=1.0, room=room)
            read = shown_texts(maker, maker.plates(RECOGNITION, 0, 40)["glimpse_classes"])
            assert (max(map(len, read)) == longest + 1) == room

    def test_other_samples_stay_as_they_are(self, make_maker):
        """Only the places that are taken for such plates change."""
        without, some = make_maker(partly=0.0), make_maker(partly=0.2)
        before, now = (one.plates(RECOGNITION, 3, 60) for one in (without, some))
        same = (before["glimpses"] == now["glimpses"]).all((1, 2, 3))
        assert 30 < same.sum() < 58
        first, then = (one.joint_batch(0, 8, 1, 0.0)["canvases"] for one in (without, some))
        assert (first == then).all((1, 2, 3)).sum() >= 4

    def test_photographs_end_within_plates_or_show_covered_ones(self, make_maker):
        maker = make_maker(partly=1.0, hidden=0.0, pasted_known=0.5)
        read = []
        for step in range(8):
            batch = maker.joint_batch(step, 6, 1, 0.0)
            known = batch["text_known"] == 1
            read += shown_texts(maker, batch["classes"][known])
            assert (batch["plate_visible"][known, 0] == 1).all()
        assert any(UNSEEN in one for one in read)
        assert any("cut off" in name for name in maker.shown) and any("covered" in name for name in maker.shown)
