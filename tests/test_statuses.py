"""What a reading says of a plate of which something cannot be seen, and what becomes of it everywhere."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from lpr_e2e import PlateReader
from lpr_e2e.common import steps
from lpr_e2e.common.procedure import TODAY, Procedure
from lpr_e2e.common.vocabulary import UNSEEN, Vocabulary, weakest
from lpr_e2e.evaluation.scoring import score
from lpr_e2e.evaluation.truth import TruePlate, Truth
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.description import Description
from lpr_e2e.prediction.engines.keras_model import describe
from lpr_e2e.prediction.format_rule import FormatRule
from lpr_e2e.prediction.reading import Reading, to_reading
from lpr_e2e.training.settings import PRESETS, Settings
from lpr_e2e.training.start import take_over

VOCABULARY = Vocabulary.from_texts(["12T345"], unseen=True)
BOX = (10.0, 10.0, 20.0, 40.0)


def slots(*odds: dict[str, float], vocabulary=VOCABULARY) -> np.ndarray:
    """Probabilities `(slots, classes)`; what is not named shares the rest; `-` is the end."""
    names = ["-", *vocabulary.characters]
    rows = [{"-": 0.98}] * (vocabulary.slots - len(odds))
    table = np.zeros((vocabulary.slots, vocabulary.classes))
    for row, chances in zip(table, [*odds, *rows], strict=True):
        row[:] = (1 - sum(chances.values())) / (len(names) - len(chances))
        for name, chance in chances.items():
            row[names.index(name)] = chance
    return table


def read(*odds, procedure=TODAY, vocabulary=VOCABULARY, box=0.9, rule=None) -> Reading:
    plate = {"boxes_px": BOX, "box_confidence": box, "characters": slots(*odds, vocabulary=vocabulary)}
    return to_reading("a.jpg", plate, vocabulary, procedure, rule)


def sure(*characters: str) -> list[dict[str, float]]:
    return [{one: 0.97} for one in characters]


class TestStatuses:
    @pytest.mark.parametrize(
        ("odds", "text", "status", "confidence"),
        [
            (sure(*"12T"), "12T", "ok", 0.97),
            (sure(*"1?T"), "1?T", "incomplete", 0.97),
            ([{"1": 0.97}, {"?": 0.4}, {"T": 0.9}], "1?T", "incomplete", 0.9),  # How sure the hole is does not count.
            ([{"?": 0.97}, {"1": 0.2}], "?1", "incomplete", 0.2),
            (sure(*"12?"), "12?", "incomplete", 0.97),
            (sure("?"), "", "illegible", 0.0),
            (sure("?", "?"), "", "illegible", 0.0),
            ([], "", "illegible", 0.0),
            ([{"1": 0.97}, {"2": 0.6, "?": 0.35}], "12", "uncertain", 0.6),  # It may be covered.
            ([{"1": 0.97}, {"2": 0.6, "?": 0.25}], "12", "ok", 0.6),
            ([{"1": 0.97}, {"-": 0.6, "?": 0.35}], "1", "uncertain", 0.6),  # Something may be missing at the end.
            ([{"1": 0.97}, {"2": 0.4}], "12", "uncertain", 0.4),
        ],
    )
    def test_of_a_plate(self, odds, text, status, confidence):
        found = read(*odds)
        assert (found.text, found.status) == (text, status)
        assert found.confidence == pytest.approx(confidence)

    def test_a_model_that_cannot_say_it_never_does(self):
        vocabulary = Vocabulary("12345T", 6)
        assert vocabulary.unseen is None and vocabulary.hole(slots({"1": 0.5}, vocabulary=vocabulary)) == 0
        assert read({"1": 0.97}, {"2": 0.6}, vocabulary=vocabulary).status == "ok"
        assert read(vocabulary=vocabulary).status == "illegible"

    def test_a_rule_does_not_make_a_guess_ok(self):
        found = read({"1": 0.97}, {"?": 0.5, "2": 0.45}, {"T": 0.97}, rule=FormatRule("[0-9]+T", 0.1))
        assert (found.text, found.status) == ("12T", "uncertain")
        clear = read({"1": 0.97}, {"?": 0.97}, {"T": 0.97}, rule=FormatRule("[0-9]+T", 0.1))
        assert (clear.text, clear.status) == ("1?T", "incomplete")

    def test_the_bar_is_one_of_the_procedures_and_off_in_older_ones(self):
        odds = [{"1": 0.97}, {"2": 0.6, "?": 0.35}]
        assert read(*odds, procedure=replace(TODAY, unseen_threshold=0.4)).status == "ok"
        assert Procedure.from_config(None, {}).unseen_threshold == 1.0


class TestAtTheEdge:
    """A plate that runs out of the photograph may go on there: what is read of it is not believed."""

    @staticmethod
    def status(box, sides=(100, 200), procedure=TODAY) -> str:
        plate = {"boxes_px": np.array(box, "float32"), "box_confidence": 0.9, "characters": slots(*sure(*"12T"))}
        return to_reading("a.jpg", plate, VOCABULARY, procedure, sides=sides).status

    @pytest.mark.parametrize(
        ("box", "status"),
        [
            ((40, 50, 60, 110), "ok"),
            ((40, 0, 60, 60), "uncertain"),  # Its left end is at the edge,
            ((40, 1.5, 60, 61.5), "uncertain"),
            ((40, 139, 60, 199), "uncertain"),  # or its right one;
            ((40, -3, 60, 57), "uncertain"),
            ((40, 4, 60, 64), "ok"),  # this one only near it.
            ((0, 50, 20, 110), "uncertain"),  # A second line, or half of the only one, may be above or below.
            ((80, 50, 99, 110), "uncertain"),
            ((41, 50, 100, 70), "uncertain"),  # So it is with a plate that stands on end.
            ((10, 0, 90, 200), "ok"),  # A picture of one plate, from edge to edge.
            ((0, 0, 100, 200), "ok"),
        ],
    )
    def test_what_runs_out_of_the_photograph_is_doubted(self, box, status):
        assert self.status(box) == status

    def test_a_crop_has_no_edge_and_older_models_none_either(self):
        assert self.status((40, 0, 60, 60), sides=None) == "ok"
        assert self.status((40, 0, 60, 60), procedure=Procedure.from_config(None, {})) == "ok"

    def test_arrays_and_tensors_say_the_same(self):
        rng = np.random.default_rng(0)
        corners = rng.uniform(-5, 90, (300, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (300, 2))], axis=1).astype("float32")
        first, second = (np.asarray(steps.may_go_on(boxes, (100, 110), TODAY, xp)) for xp in (np, ops))
        np.testing.assert_array_equal(first, second)
        assert 30 < first.sum() < 150


class TestVocabulary:
    def test_what_cannot_be_seen_comes_last(self):
        assert VOCABULARY.characters == "12345T?" and VOCABULARY.unseen == 7
        assert Vocabulary.from_texts(["12"], "?").characters == "12"  # Only where it is asked for.
        assert VOCABULARY.decode(np.eye(8)[VOCABULARY.encode("1?T")])[0] == "1?T"

    def test_the_weakest_is_one_that_was_read(self):
        assert weakest("1?2", np.array([0.9, 0.1, 0.8, 0.7])) == 0.7
        assert weakest("1?2", np.array([0.9, 0.1, 0.8])) == 0.8
        assert weakest("??", np.array([0.9, 0.1, 0.8])) == weakest("", np.array([0.8])) == 0

    def test_arrays_and_tensors_say_the_same(self):
        odds = np.random.default_rng(0).exponential(size=(60, VOCABULARY.slots, VOCABULARY.classes)) ** 4
        odds[:, :, VOCABULARY.unseen] *= 20
        odds[::3, 1] = np.eye(VOCABULARY.classes)[0]
        odds[::6, 0] = np.eye(VOCABULARY.classes)[VOCABULARY.unseen]
        characters = (odds / odds.sum(-1, keepdims=True)).astype("float32")
        expected = [VOCABULARY.certainty(one) for one in characters]
        assert expected.count(0) >= 10
        for xp in (np, ops):
            found, _ = steps.certainties(characters, xp, VOCABULARY.unseen)
            np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


def test_a_text_with_a_hole_is_never_right():
    truths = [Truth("a.jpg", (TruePlate(BOX, "1?T"),)), Truth("b.jpg", (TruePlate(BOX, "12T"),))]
    readings = {
        "a.jpg": [Reading("a.jpg", "1?T", 0.97, BOX, 0.9, "incomplete")],
        "b.jpg": [Reading("b.jpg", "1?T", 0.97, BOX, 0.9, "incomplete")],
    }
    figures = score(truths, readings)
    assert figures.plates_right == 0 and figures.plates_found == 1 and figures.ok_coverage == 0
    # It does not claim to be the plate's text, so it is no false claim either.
    assert figures.calibration_error == 0 and figures.mean_certainty == 0


class TestModels:
    @pytest.fixture(scope="class")
    def source(self, tiny_settings):
        model = PlateModel(tiny_settings.architecture, "12T", 4)
        for weight in model.weights:
            weight.assign(np.random.default_rng(0).normal(0, 1, weight.shape))
        return model

    def test_a_start_from_a_model_without_it_begins_between_its_characters(self, source, tiny_settings):
        model = PlateModel(tiny_settings.architecture, "12T" + UNSEEN, 4)
        taken = take_over(model, source)
        assert (taken.weights, taken.known, taken.new) == (taken.all_weights, "12T", UNSEEN)
        glimpses = np.random.default_rng(1).integers(0, 255, (3, *tiny_settings.architecture.glimpse_size, 3))
        before, now = (np.asarray(one.read(glimpses)["logits"]) for one in (source, model))
        np.testing.assert_allclose(now[..., :-1], before, atol=1e-4)
        np.testing.assert_allclose(now[..., -1], before[..., 1:].mean(-1), atol=1e-4)

    def test_it_is_taken_over_from_a_model_that_has_it(self, tiny_settings):
        first, second = (PlateModel(tiny_settings.architecture, one, 4) for one in ("12" + UNSEEN, "123" + UNSEEN))
        take_over(second, first)
        (kernel,), (taken,) = (
            [np.asarray(one) for one in model.weights if one.path.endswith("classifier/kernel")]
            for model in (first, second)
        )
        np.testing.assert_array_equal(taken[:, [0, 1, 2, 4]], kernel)

    def test_a_description_carries_it(self, tiny_settings):
        described = describe(PlateModel(tiny_settings.architecture, "12T" + UNSEEN, 4, TODAY))
        assert described.characters == "12T?"
        again = Description.from_json(json.loads(json.dumps(described.as_json())))
        assert again.vocabulary.unseen == 4 and again.procedure.unseen_threshold == TODAY.unseen_threshold

    @pytest.mark.parametrize("name", ["tunisia.keras", "tunisia"])
    def test_models_of_before_have_none(self, name):
        from tests.test_files_of_before import SAVED

        assert PlateReader.load(SAVED / name).vocabulary.unseen is None


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_from_before_goes_on_without(preset):
    """It was started with a vocabulary without it, to which its weights belong."""
    values = json.loads(json.dumps(PRESETS[preset].as_dict()))
    later = ("partly", "written", "foreign", "longer", "undone")
    for name in later:
        del values["mixture"][name]
    mixture = Settings.from_dict(values).mixture
    assert [getattr(mixture, name) for name in later] == [0.0] * len(later)
