"""A promised precision: its bound, how often it is kept, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from stand_in import MAGENTA, PROCEDURE, MagentaEngine, car, description, reader

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.promise import Bar, Promise, checked_precision, least_certainty
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Photograph, Plate
from lpr_e2e.evaluation.promising import promise_of, unseen_bar
from lpr_e2e.prediction.description import Description
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.training import promising


def drawn(rng, plates, versions=1, sharpness=6.0):
    """Readings of drawn plates: how certain each is, and whether it is right.

    A reader that is too sure of itself: certainties are the probabilities' roots.
    """
    skill = rng.beta(sharpness, 0.5, plates)
    chance = np.clip(np.stack([skill * rng.uniform(0.85, 1.0, plates) ** one for one in range(versions)]), 0, 1)
    return np.sqrt(chance), rng.random(chance.shape) < chance


def of(certainties, right, **options):
    return promise_of(certainties.ravel(), right.ravel(), certainties.shape[1], certainties[0], **options)


class TestBars:
    @pytest.mark.parametrize(("plates", "highest"), [(10, None), (22, 0.9), (60, 0.95), (105, 0.97), (230, 0.99)])
    def test_what_few_plates_can_show(self, plates, highest):
        """By the bound of so many right ones of so many: 0.1 ** (1 / n)."""
        promise = promise_of([0.9] * plates, [True] * plates, plates, [0.9] * plates)
        assert (promise.bars[-1].precision if promise.bars else None) == highest
        assert highest is None or (0.1 ** (1 / plates) >= highest and promise.bars[-1].coverage == 1)

    def test_versions_of_a_plate_count_as_one_plate(self):
        once = promise_of([0.9] * 60, [True] * 60, 60, [0.9] * 60)
        often = promise_of([0.9] * 240, [True] * 240, 60, [0.9] * 60)
        assert often == once

    def test_the_bar_lies_above_what_is_wrong_too_often(self):
        """Certain readings are right; of the others every second one is wrong."""
        certainties = np.concatenate([np.linspace(0.8, 1.0, 300), np.linspace(0.2, 0.7, 100)])
        right = [True] * 300 + [True, False] * 50
        promise = promise_of(certainties, right, 400, certainties)
        bars = [bar.certainty for bar in promise.bars]
        assert bars == sorted(bars) and [bar.precision for bar in promise.bars][-1] == 0.99
        assert bars[-1] >= 0.69 and promise.bars[-1].coverage == pytest.approx(0.75, abs=0.02)
        assert bars[0] < 0.65  # Of all down to there, nine of ten are right.

    def test_a_bar_is_no_lower_than_an_undisturbed_plate_needs(self):
        """All of 200 plates are certain, of the same ones disturbed none is, and all are right. For 98 % the certain
        ones alone are too few."""
        ordinary, disturbed = np.linspace(0.9, 1.0, 200), np.linspace(0.3, 0.85, 200)
        promise = promise_of([*ordinary, *disturbed], [True] * 400, 200, ordinary)
        bars = {bar.precision: bar.certainty for bar in promise.bars}
        assert bars == {0.9: 0.9, 0.95: 0.9, 0.97: 0.9, 0.98: 0.3} and {bar.coverage for bar in promise.bars} == {1.0}

    def test_where_too_few_would_be_left_a_bar_stays(self):
        """Of 30 plates, two are certain as they are: two could not show anything."""
        ordinary = [0.9, 0.9, *[0.0] * 28]
        promise = promise_of([0.9, 0.9, *[0.4] * 28], [True] * 30, 30, ordinary)
        assert [bar.certainty for bar in promise.bars] == [0.4]

    def test_ties_are_taken_together(self):
        """Whether the wrong one of two that are as certain comes first is chance."""
        for wrong in (0, 99):
            right = [number != wrong for number in range(100)]
            assert not promise_of([0.9] * 100, right, 100, [0.9] * 100, precisions=[0.97]).bars

    def test_no_readings(self):
        assert promise_of([], [], 0, []) == Promise(0, 0.9, ())

    @pytest.mark.parametrize(("versions", "sharpness"), [(1, 6.0), (3, 15.0)])
    def test_what_is_promised_is_kept_as_often_as_it_says(self, versions, sharpness):
        """200 times, 150 drawn plates are held out; what the bar promises is compared with 100,000 others."""
        rng = np.random.default_rng(7)
        others, right = drawn(rng, 100_000, 1, sharpness)
        others, right = others.ravel(), right.ravel()
        order = np.argsort(-others)
        precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
        kept = promised = 0
        for _ in range(200):
            for bar in of(*drawn(rng, 150, versions, sharpness), precisions=[0.95]).bars:
                promised += 1
                kept += precision[np.searchsorted(-others[order], -bar.certainty, side="right") - 1] >= bar.precision
        assert promised >= 20
        assert kept / 200 + (200 - promised) / 200 >= 0.9


class TestPromise:
    BARS = (Bar(0.95, 0.6, 0.99), Bar(0.98, 0.8, 0.97), Bar(0.995, 0.97, 0.96))

    @pytest.mark.parametrize(
        ("asked", "given"), [(0.9, 0.95), (0.95, 0.95), (0.96, 0.98), (None, 0.98), (0.995, 0.995), (0.999, 0.995)]
    )
    def test_the_least_that_is_enough_or_the_most_there_is(self, asked, given):
        promise = Promise(200, 0.9, self.BARS)
        assert promise.bar(asked).precision == given
        assert least_certainty(promise, asked) == promise.bar(asked).certainty
        said = promise.in_words(asked)
        assert f"{given:.1%}" in said and ("cannot be shown" in said) == (asked == 0.999)

    @pytest.mark.parametrize(("coverages", "usual"), [((0.99, 0.93), 0.95), ((0.9, 0.8), 0.95), ((0.99, 0.96), 0.98)])
    def test_the_usual_promise_leaves_most_plates_ok(self, coverages, usual):
        bars = tuple(Bar(one.precision, one.certainty, cover) for one, cover in zip(self.BARS, coverages, strict=False))
        assert Promise(200, 0.9, bars).bar().precision == usual

    def test_a_model_that_promises_nothing(self):
        assert Promise().bar(0.9) is None and least_certainty(Promise(), None) == 0.0
        assert "no precision is promised" in Promise().in_words()

    def test_it_comes_back_as_it_was_stored(self):
        promise = Promise(200, 0.9, self.BARS)
        assert Promise.from_config(promise.as_config()) == promise
        assert Promise.from_config(None) == Promise()

    @pytest.mark.parametrize(
        "change",
        [
            {"plates": -1},
            {"plates": True},
            {"plates": "many"},
            {"confidence": 2},
            {"bars": [[0.9, 0.5]]},
            {"bars": [[0.9, float("nan"), 0.5]]},
            {"bars": [[0.95, 0.5, 0.9], [0.9, 0.5, 0.9]]},
            {"bars": [["a", 0.5, 0.9]]},
            {"bars": None},
        ],
    )
    def test_what_it_cannot_be_is_refused(self, change):
        with pytest.raises(UserError, match="promise"):
            Promise.from_config({**Promise(200, 0.9, self.BARS).as_config(), **change})
        config = Promise(200, 0.9, self.BARS).as_config()
        del config[next(iter(change))]
        with pytest.raises(UserError, match="promise"):
            Promise.from_config(config)

    @pytest.mark.parametrize("precision", [0, 1, 99, -0.5, True, "0.99", None])
    def test_a_precision_that_cannot_be(self, precision):
        with pytest.raises(UserError, match="between 0 and 1"):
            checked_precision(precision)
        assert checked_precision(0.99) == 0.99


class TestReader:
    """The magenta plate is read with a certainty of 0.9."""

    @pytest.mark.parametrize(("precision", "status"), [(0.95, "ok"), (None, "ok"), (0.99, "uncertain")])
    def test_what_is_promised_decides_what_is_ok(self, precision, status):
        about = replace(description(), promise=Promise(200, 0.9, TestPromise.BARS))
        reader = PlateReader(Driver(MagentaEngine(), about), precision=precision)
        (reading,) = reader.read(car())
        assert (reading.text, reading.status) == ("12T345", status)
        (crop,) = reader.read_crops([np.full((40, 160, 3), MAGENTA, "uint8")])
        assert (crop.text, crop.status) == ("12T345", status)

    def test_a_model_without_a_promise_reads_as_before(self):
        assert PlateReader(Driver(MagentaEngine(0.6), description())).read(car())[0].status == "ok"

    def test_a_precision_that_cannot_be_is_refused_before_a_model_is_loaded(self, tmp_path):
        with pytest.raises(UserError, match="precision"):
            PlateReader.load(tmp_path / "none.keras", precision=99)

    def test_it_goes_with_the_description(self):
        about = replace(description(), promise=Promise(200, 0.9, TestPromise.BARS))
        assert Description.from_json(about.as_json()) == about
        before = about.as_json()
        del before["promise"]
        assert Description.from_json(before).promise == Promise()


class TestUnseenBar:
    def test_of_a_hundred_whole_plates_one_is_lost(self):
        holes = [number / 10_000 for number in range(100, 200)]
        assert unseen_bar(holes, 0.3) == 0.0198
        assert unseen_bar(holes[::-1], 0.3) == 0.0198

    def test_few_plates_are_all_kept(self):
        assert unseen_bar([0.002, 0.07, 0.01], 0.3) == 0.07

    @pytest.mark.parametrize(("holes", "bar"), [([], 0.3), ([0.9] * 50, 0.3), ([1e-9] * 50, 0.001), ([0.2] * 50, 0.2)])
    def test_it_has_a_least_and_a_most(self, holes, bar):
        assert unseen_bar(holes, 0.3) == bar


class TestFitPromise:
    @pytest.fixture
    def photographs(self, tmp_path):
        """Forty cars whose plates say 12T345, as the stand-in reads them; one is labelled otherwise."""
        found = []
        for number in range(40):
            path = tmp_path / f"{number}.png"
            Image.fromarray(car()).save(path)
            text = "12T345" if number else "99T999"
            found.append(Photograph(path.name, path, (Plate((100.0, 60.0, 140.0, 180.0), text),)))
        return found

    @pytest.fixture
    def asked(self, monkeypatch):
        """What `promise_of` was asked."""
        asked = {}
        monkeypatch.setattr(promising.PlateReader, "of", lambda model: reader(MagentaEngine()))
        monkeypatch.setattr(
            promising, "_CHANGES", (promising.as_it_is, lambda one, place: car(), lambda one, place: car())
        )
        names = ("certainties", "right", "plates", "ordinary")
        monkeypatch.setattr(
            promising, "promise_of", lambda *given: asked.update(zip(names, given, strict=True)) or Promise()
        )
        return asked

    def ask(self, photographs):
        promising.fit_promise(SimpleNamespace(procedure=PROCEDURE), photographs)

    def test_every_plate_is_read_three_times(self, photographs, asked):
        self.ask(photographs)
        assert (asked["plates"], len(asked["ordinary"]), len(asked["certainties"])) == (40, 40, 120)
        assert asked["right"].count(False) == 3
        assert asked["certainties"] == pytest.approx([0.9] * 120, abs=1e-3)

    @pytest.mark.parametrize(("most", "bar", "believed"), [(0.3, 0.004, 79), (0.005, 0.004, 79), (0.003, 0.003, 40)])
    def test_what_may_be_hidden_is_not_believed(self, photographs, asked, monkeypatch, most, bar, believed):
        """The first photograph is read wrongly; of the others more than a little is hidden only where they are
        disturbed, in two of three ways."""
        vocabulary = Vocabulary("0123456789NT?", 8)
        holes = iter([0.2, *[0.004] * 39, *[0.005] * 40, *[0.001] * 40])

        def read(pictures, count):
            for img_id, picture in pictures:
                characters = np.zeros((8, len(vocabulary.characters) + 1))
                for place, character in enumerate("12T345"):
                    characters[place, 1 + vocabulary.characters.index(character)] = 0.7
                characters[6:, 0], characters[3, vocabulary.unseen] = 1.0, next(holes)
                assert vocabulary.decode(characters)[0] == "12T345"
                box = (100.0, 60.0, 140.0, 180.0)
                yield img_id, picture, [Reading(img_id, "12T345", 0.7, box, 0.8, "ok", characters)]

        stand_in = SimpleNamespace(read_files=read, vocabulary=vocabulary)
        monkeypatch.setattr(promising.PlateReader, "of", lambda model: stand_in)
        model = SimpleNamespace(procedure=replace(PROCEDURE, unseen_threshold=most))
        promising.fit_promise(model, photographs)
        assert model.procedure == replace(PROCEDURE, unseen_threshold=bar)
        assert len(asked["certainties"]) == believed
        assert np.count_nonzero(asked["ordinary"]) == (39 if bar == 0.004 else 0)

    def test_what_is_no_plate_counts_where_all_plates_are_labelled(self, photographs, asked):
        empty = [replace(photographs[0], plates=(), complete=complete) for complete in (True, False)]
        self.ask([*photographs[1:], *empty])
        assert asked["right"].count(False) == 3 and asked["plates"] == 39

    def test_a_plate_without_a_text_is_left_out(self, photographs, asked):
        plate = replace(photographs[0].plates[0], text=None)
        self.ask([*photographs[1:], replace(photographs[0], plates=(plate,))])
        assert all(asked["right"]) and (asked["plates"], len(asked["right"])) == (39, 117)
