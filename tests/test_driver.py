"""The reading procedure: its steps, what is asked of an engine, and that its numbers decide."""

from __future__ import annotations

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from stand_in import (
    CANVAS,
    FIRST,
    LATER,
    PROCEDURE,
    VOCABULARY,
    MagentaEngine,
    SeveralEngine,
    car,
    description,
    reader,
    street,
)

from lpr_e2e.common import steps
from lpr_e2e.common.boxes import intersection_over_union, letterbox, turn_box
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.procedure import TODAY, VERSION, Procedure
from lpr_e2e.common.vocabulary import BLANK, Vocabulary
from lpr_e2e.model.glimpse import cut_glimpses
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.arrays import cut_window
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.engines.keras_model import KerasEngine, describe
from lpr_e2e.prediction.reader import PlateReader

TILTS = len(PROCEDURE.tilts)


class TestProcedure:
    def test_it_comes_back_as_it_was_stored(self):
        changed = replace(TODAY, plates=7, margin=(0.2, 0.1), tilts_degrees=(0.0, 5.0), rectify=False)
        assert Procedure.from_config(changed.as_config(), {}) == changed
        assert changed.as_config()["version"] == VERSION

    def test_a_model_that_carries_none_is_read_with_the_numbers_of_then_and_its_own(self):
        before = {"plates": 5, "reading_scales": [1.0], "doubt": 0.5, "widths": [16, 32]}
        assert Procedure.from_config(None, before) == replace(FIRST, plates=5, reading_scales=(1.0,), doubt=0.5)
        assert Procedure.from_config(None, {}) == FIRST

    def test_a_model_of_an_earlier_version_is_read_without_what_came_later(self):
        earlier = {**replace(TODAY, plates=5).as_config(), "version": 1}
        earlier = {name: value for name, value in earlier.items() if name not in LATER}
        assert Procedure.from_config(earlier, {}) == replace(FIRST, plates=5)
        fifth = {**TODAY.as_config(), "version": 5}
        del fifth["step_back"], fifth["filling_plate"]
        without_step_back = replace(TODAY, step_back=0.0, filling_plate=1.0)
        assert Procedure.from_config(fifth, {}) == without_step_back
        fourth = {**fifth, "version": 4}
        del fourth["equalised"]
        assert Procedure.from_config(fourth, {}) == replace(without_step_back, equalised=0.0)
        second = {**fourth, "version": 2}
        del second["other_form"], second["edge"], second["moved"], second["moved_noise"]
        assert Procedure.from_config(second, {}) == replace(without_step_back, edge=0.0, moved=(0.0,), equalised=0.0)
        del earlier["doubt"]
        with pytest.raises(UserError, match="doubt"):
            Procedure.from_config(earlier, {})

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"version": 99}, "version 99.*update"),
            ({"doubt": None}, "doubt"),
            ({"doubt": 1.5}, "doubt.*1.5"),
            ({"doubt": float("nan")}, "doubt"),
            ({"plates": 0}, "plates"),
            ({"plates": 2.5}, "plates"),
            ({"rectify": 1}, "rectify"),
            ({"reading_scales": []}, "reading_scales"),
            ({"margin": [0.1, 0.1, 0.1]}, "margin"),
            ({"tilts_degrees": [0, 90]}, "tilts_degrees"),
            ({"unheard_of": 1}, "unheard_of"),
        ],
    )
    def test_what_it_cannot_be_is_refused(self, change, words):
        with pytest.raises(UserError, match=words):
            Procedure.from_config({**TODAY.as_config(), **change}, {})

    def test_a_missing_number_is_refused(self):
        config = TODAY.as_config()
        del config["doubt"]
        with pytest.raises(UserError, match="doubt"):
            Procedure.from_config(config, {})


class TestSteps:
    """Numpy and Keras give the same."""

    def both(self, step, *arrays, **more):
        """What a step gives with numpy and with Keras."""
        found = [step(*arrays, xp=np, **more), step(*map(ops.convert_to_tensor, arrays), xp=ops, **more)]
        return [np.asarray(one) for one in found]

    def found(self, rng, cells=64):
        corner = rng.uniform(0, 0.7, (2, cells, 2))
        return {
            "objectness": rng.normal(0, 2, (2, cells)).astype("float32"),
            "cell_boxes": np.concatenate([corner, corner + rng.uniform(0.1, 0.3, (2, cells, 2))], -1).astype("float32"),
            "cell_turns": rng.normal(0, 1, (2, cells, 4)).astype("float32"),
            "cell_tilts": rng.normal(0, 1, (2, cells)).astype("float32"),
        }

    def test_plates_are_chosen_alike(self):
        found = self.found(np.random.default_rng(0))
        plain = steps.best_plates(found, 3, TODAY, np)
        graph = steps.best_plates({name: tf.constant(one) for name, one in found.items()}, 3, TODAY, ops)
        for name, values in plain.items():
            np.testing.assert_allclose(values, graph[name], atol=1e-5, err_msg=name)

    def test_two_plates_are_found_once_each(self):
        first, near_first, second = [0.1, 0.1, 0.2, 0.4], [0.1, 0.11, 0.2, 0.41], [0.6, 0.5, 0.7, 0.9]
        found = MagentaEngine.cells([[first, near_first, second, first]], [[0.95, 0.88, 0.73, 0.006]])
        plates = steps.best_plates(found, 3, TODAY, np)
        boxes, confidence = plates["boxes_rel"][0], plates["box_confidence"][0]
        assert boxes[0][1] == pytest.approx(0.1, abs=0.01)
        np.testing.assert_allclose(boxes[1], second, atol=1e-5)
        assert confidence[0] > confidence[1] > 0.7 and confidence[2] < 0.01

    def test_overlapping_cells_vote(self):
        found = MagentaEngine.cells([[[0.1, 0.1, 0.2, 0.4], [0.1, 0.14, 0.2, 0.44]]], [[0.88, 0.88]])
        best = steps.best_plates({**found, "cell_tilts": np.float32([[0.0, 0.1]])}, 1, TODAY, np)
        np.testing.assert_allclose(best["boxes_rel"][0, 0], [0.1, 0.12, 0.2, 0.42], atol=1e-5)
        assert best["tilts"][0, 0] == pytest.approx(0.05, abs=1e-5)

    def test_iou_of_a_box_with_itself_and_with_a_distant_one(self):
        boxes = np.float32([[0.0, 0.0, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9], [0.0, 0.0, 0.5, 0.25], [0.2, 0.2, 0.2, 0.2]])
        for iou in self.both(intersection_over_union, boxes, boxes[:1]):
            np.testing.assert_allclose(iou, [1.0, 0.0, 0.5, 0.0], atol=1e-6)

    def test_certainties_are_those_of_the_vocabulary(self):
        rng = np.random.default_rng(0)
        odds = rng.exponential(size=(40, VOCABULARY.slots, VOCABULARY.classes)) ** 4
        odds[::2, :, 0] *= 20  # Short texts, and none, among them.
        probabilities = (odds / odds.sum(-1, keepdims=True)).astype("float32")
        texts = [VOCABULARY.decode(one)[0] for one in probabilities]
        assert "" in texts and max(map(len, texts)) > 3
        for xp in (np, ops):
            certainties, within = (np.asarray(one) for one in steps.certainties(probabilities, xp))
            np.testing.assert_array_equal(within.sum(-1), list(map(len, texts)))
            expected = [VOCABULARY.certainty(one) for one in probabilities]
            np.testing.assert_allclose(certainties, expected, rtol=1e-6)

    def test_likelihoods_are_means_over_the_text_and_its_end(self):
        classes = VOCABULARY.classes

        def said(text, *chances):
            rows = np.eye(classes)[VOCABULARY.encode(text)]
            chances = np.array([*chances, *[1.0] * (VOCABULARY.slots - len(chances))])[:, None]
            return np.where(rows > 0, chances, (1 - chances) / (classes - 1)).astype("float32")

        rows = np.stack([said("12", 0.5, 0.8, 0.625), said("1234T56", *[0.6] * 8), said(""), said("9", 0.9, 0.9)])
        before = np.array([1.0, 1.0, 1.0, 0.25], "float32")
        for likely in self.both(steps.likelihoods, rows, before):
            np.testing.assert_allclose(likely, [0.25 ** (1 / 3), 0.6, 0.0, 0.45], rtol=1e-5)

    @pytest.mark.parametrize("quarters", [0, 1, 2, 3])
    def test_a_box_in_a_turned_window_comes_back_where_it_is(self, quarters):
        first = {
            "boxes_rel": np.float32([[0.40, 0.46, 0.62, 0.55]]),
            "box_confidence": np.float32([0.6]),
            "turns": np.float32([[0.7, 0.1, 0.1, 0.1]]),
            "tilts": np.float32([0.1]),
        }
        windows = steps.second_windows(first["boxes_rel"], TODAY, np)
        side = windows[0, 2] - windows[0, 0]
        assert side == pytest.approx(TODAY.second_look * 0.22)
        in_window = (first["boxes_rel"][0] - np.tile(windows[0, :2], 2)) / side
        again = {
            "boxes_rel": turn_box(in_window, 1, 1, quarters)[None],
            "box_confidence": np.float32([0.9]),
            "turns": np.float32([[1.0, 0.0, 0.0, 0.0]]),
            "tilts": np.float32([-0.3]),
        }
        for xp in (np, ops):
            one, two = ({name: xp.array(values) for name, values in plate.items()} for plate in (first, again))
            seen = steps.both_looks(one, two, xp.array(windows), xp.array(np.int32([quarters])), TODAY, xp)
            np.testing.assert_allclose(seen["boxes_rel"], first["boxes_rel"], atol=1e-5)
            assert np.asarray(seen["turns"])[0].argmax() == quarters
            assert float(seen["box_confidence"][0]) == pytest.approx(0.75)
            assert float(seen["tilts"][0]) == pytest.approx(-0.3)

    def test_something_else_in_the_window_changes_nothing(self):
        first = {
            "boxes_rel": np.float32([[0.45, 0.4, 0.55, 0.6]]),
            "box_confidence": np.float32([0.6]),
            "turns": np.float32([[0.7, 0.1, 0.1, 0.1]]),
            "tilts": np.float32([0.1]),
        }
        again = {**first, "boxes_rel": np.float32([[0.0, 0.0, 0.1, 0.2]]), "box_confidence": np.float32([0.9])}
        windows = steps.second_windows(first["boxes_rel"], TODAY, np)
        seen = steps.both_looks(first, again, windows, np.array([0]), TODAY, np)
        for name, values in first.items():
            np.testing.assert_array_equal(seen[name], values)

    def test_only_what_lies_elsewhere_stays(self):
        boxes = np.float32([[0, 0, 10, 30], [0, 1, 10, 31], [50, 50, 60, 80], [0, 0, 10, 30], [90, 0, 99, 30]])
        stays = np.array([True, True, True, True, False])
        for kept in self.both(lambda *given, xp: steps.apart(*given, TODAY, xp), boxes, stays):
            assert kept.tolist() == [True, False, True, False, False]


class TestTextsWithoutGaps:
    """A place in the middle of a text is not empty."""

    def of(self, characters):
        """As numpy and as a graph's operations have it, which must be the same."""
        arrays = np.asarray(characters, "float32")
        found, again = steps.without_gaps(arrays, np), steps.without_gaps(ops.convert_to_tensor(arrays), ops)
        np.testing.assert_allclose(found, ops.convert_to_numpy(again), atol=1e-5)
        return found

    def test_it_is_what_all_texts_without_gaps_say_together(self):
        characters = np.random.default_rng(0).dirichlet(np.ones(3), (5, 4))
        texts = np.array(list(itertools.product(range(3), repeat=4)))
        texts = texts[~((texts[:, :-1] == BLANK) & (texts[:, 1:] != BLANK)).any(axis=1)]
        chances = np.prod(characters[:, np.arange(4), texts], axis=-1)  # (5, texts)
        expected = np.einsum("nt,tsc->nsc", chances / chances.sum(1, keepdims=True), np.eye(3)[texts])
        np.testing.assert_allclose(self.of(characters), expected, atol=1e-5)

    def test_a_doubt_whether_a_character_is_there_ends_where_others_follow(self):
        """The second place: is it empty, or a 1? A third character follows, and it is a 1."""
        before = [[0.01, 0.98, 0.01], [0.3, 0.69, 0.01], [0.01, 0.01, 0.98], [0.98, 0.01, 0.01]]
        after = self.of([before])[0]
        assert after[1, 1] == pytest.approx(0.69 / 0.7, abs=0.01)
        np.testing.assert_allclose(after[[0, 2, 3]], np.array(before)[[0, 2, 3]], atol=0.03)

    @pytest.mark.parametrize("text", [[], [1], [1, 2], [2, 2, 2, 2]])
    def test_what_is_certain_stays(self, text):
        characters = np.eye(3)[[*text, *[BLANK] * (4 - len(text))]]
        np.testing.assert_allclose(self.of([characters])[0], characters, atol=1e-5)

    def test_a_doubt_at_the_end_stays(self):
        characters = [[0.01, 0.98, 0.01], [0.4, 0.59, 0.01], [0.98, 0.01, 0.01]]
        np.testing.assert_allclose(self.of([characters])[0], characters, atol=0.02)

    @pytest.mark.parametrize(("without_gaps", "certainty"), [(True, 0.985), (False, 0.69)])
    def test_models_from_before_read_as_they_did(self, without_gaps, certainty):
        class Torn(MagentaEngine):
            def answer(self, said):
                answer = super().answer(said)
                answer["logits"][:, 1] = np.log(0.001)
                answer["logits"][:, 1, [BLANK, VOCABULARY.encode("2")[0]]] = np.log([0.3, 0.69])
                return answer

        procedure = replace(PROCEDURE, doubt=0.0, without_gaps=without_gaps)
        (reading,) = reader(Torn(certainty=0.999), procedure=procedure).read(car())
        assert reading.text == "12T345" and reading.confidence == pytest.approx(certainty, abs=0.01)


class TestWindows:
    canvas = (
        tf.image.resize(np.random.default_rng(1).integers(0, 256, (12, 12, 3)), (192, 192), "bicubic")
        .numpy()
        .clip(0, 255)
        .astype("uint8")
    )

    @pytest.mark.parametrize("tilt", [0.0, -0.3, 0.2])
    @pytest.mark.parametrize("turns", [0, 1, 2, 3])
    def test_they_are_cut_as_in_training(self, turns, tilt):
        size, margin = (32, 96), TODAY.margin
        for box in ([0.3, 0.35, 0.5, 0.8], [-0.1, 0.5, 0.3, 1.2]):
            box = np.array(box, "float32")
            tilts = np.array([tilt], "float32") if tilt else None
            place = self.canvas[None], box[None], np.array([turns], "int32")
            expected = cut_glimpses(*place, size, margin, TODAY, 2, tilts)
            found = cut_window(self.canvas, box, turns, tilt, size, margin, 2, TODAY)
            assert np.abs(found - np.asarray(expected)[0]).max() < 3.0


class TestReadingOnce:
    def test_what_is_no_candidate_costs_nothing(self):
        engine = MagentaEngine()
        seen = Driver(engine, description()).look(np.full((3, CANVAS, CANVAS, 3), 120, "uint8"))
        assert engine.found == [3] and not engine.read_ and not seen["characters"].any()

    def test_each_candidate_is_looked_at_again(self):
        engine = MagentaEngine()
        procedure = replace(PROCEDURE, second_look=2.1)
        canvases = np.stack([letterbox(car(), CANVAS)[0], np.full((CANVAS, CANVAS, 3), 120, "uint8")])
        seen = Driver(engine, description(procedure=procedure)).look(canvases)
        assert engine.found == [2, 1]
        np.testing.assert_allclose(seen["boxes_rel"][0] * CANVAS, [140, 60, 180, 180], atol=2.5)

    def test_only_the_unsure_are_read_at_the_other_scales(self):
        procedure = replace(PROCEDURE, reading_scales=(1.0, 1.15, 0.9), sure=0.95, doubt=0.0)
        for certainty, asked in ((0.97, [1]), (0.9, [1, 2])):
            engine = MagentaEngine(certainty)
            Driver(engine, description(procedure=procedure)).look(letterbox(car(), CANVAS)[0][None])
            assert engine.read_ == asked

    def test_scales_read_alike_are_read_as_one(self):
        canvas = letterbox(car(), CANVAS)[0][None]
        answers = []
        for scales in ((1.0,), (1.0, 1.0, 1.0)):
            procedure = replace(PROCEDURE, reading_scales=scales, sure=1.0, doubt=0.0)
            answers.append(Driver(MagentaEngine(0.6), description(procedure=procedure)).look(canvas))
        np.testing.assert_allclose(answers[0]["characters"], answers[1]["characters"], atol=1e-5)


class Hesitant(MagentaEngine):
    """Reads `12T345` in the first glimpse with one certainty, and `9N` in all later ones with another.

    Of the glimpses tried from all sides, only those of one place in their batches (side by side, tilt by tilt) are
    read with certainty, if a place is given.
    """

    def __init__(self, certainty, again, place=None):
        super().__init__(certainty)
        self.again, self.place, self.tried = again, place, []

    def read(self, glimpses):
        self.read_.append(len(glimpses))
        if len(self.read_) == 1:
            return self.answer([("12T345", self.certainty)] * len(glimpses))
        certain = [self.again] * len(glimpses)
        if len(glimpses) == TILTS:
            self.tried.append(glimpses)
            if self.place is not None:
                places = range(TILTS * (len(self.tried) - 1), TILTS * len(self.tried))
                certain = [self.again if place == self.place else 0.5 for place in places]
        return self.answer([("9N", certainty) for certainty in certain])


class TestDoubt:
    @pytest.mark.parametrize(
        ("certainty", "again", "text", "looks"),
        [(0.9, 0.99, "12T345", 0), (0.6, 0.99, "9N", 1), (0.6, 0.5, "12T345", 1)],
    )
    def test_a_doubtful_plate_is_read_again(self, certainty, again, text, looks):
        engine = Hesitant(certainty, again)
        reading = reader(engine, procedure=replace(PROCEDURE, closer_part=0)).read(car())[0]
        assert reading.text == text and bool(engine.tried) == bool(looks)
        assert reading.confidence == pytest.approx(max(certainty, again) if looks else certainty, abs=1e-5)

    @pytest.mark.parametrize(
        ("first", "again", "text"),
        [
            # One letter hardly known, and a reading with a gap that is more certain of what it sees.
            ([0.9, 0.9, 0.15, 0.9, 0.9], ("1?T4", 0.7), "12T34"),
            ([0.9, 0.9, 0.15, 0.9, 0.9], ("1?", 0.9), "12T34"),
            ([0.9, 0.9, 0.15, 0.9, 0.9], ("12T84", 0.95), "12T84"),
            ([0.2] * 5, ("1?T4", 0.9), "1?T4"),  # Hardly anything is known: what is seen counts.
        ],
    )
    def test_a_gap_is_no_more_certain_than_a_letter_that_is_hardly_known(self, first, again, text):
        known = Vocabulary("0123456789NT?", 8)

        class Gap(MagentaEngine):
            def read(self, glimpses):
                self.read_.append(len(glimpses))
                text, chances = ("12T34", first) if len(self.read_) == 1 else (again[0], [again[1]] * 8)
                chances = np.array([*chances, *[0.99] * 8][: known.slots])[:, None]
                rows = np.eye(known.classes)[known.encode(text)]
                logits = np.log(np.where(rows > 0, chances, (1 - chances) / (known.classes - 1)))
                shape = (len(glimpses), known.slots, 2, 2)
                return {
                    "logits": np.repeat(logits[None], len(glimpses), 0).astype("float32"),
                    "attention": np.zeros(shape, "float32"),
                }

        about = description(known, replace(PROCEDURE, closer_part=0.0))
        reading = PlateReader(Driver(Gap(), about)).read(car())[0]
        assert reading.text == text

    @pytest.mark.parametrize(("beside", "looks"), [(0.39, 0), (0.45, 1)])
    def test_what_would_not_be_reported_is_not_read_again(self, beside, looks):
        """Of two plates, the first one is read with certainty, the second one's box is as doubtful as `beside`."""

        class Two(Hesitant):
            def find(self, scenes):
                return self.cells([[[0.5, 0.1, 0.6, 0.3], [0.2, 0.5, 0.3, 0.8]]], [[0.9, beside]])

            def read(self, glimpses):
                if len(glimpses) == 2:
                    self.read_.append(2)
                    return self.answer([("12T345", 0.95), ("12T345", 0.3)])
                return super().read(glimpses)

        engine = Two(0.95, 0.99)
        assert reader(engine, procedure=replace(PROCEDURE, part_plates=0)).read(car())[0].text == "12T345" and bool(
            engine.tried
        ) == bool(looks)

    def test_what_is_no_plate_is_not_read_again(self):
        engine = Hesitant(0.6, 0.99)
        reader(engine).read(np.full((100, 100, 3), 120, "uint8"))
        assert not engine.read_

    @pytest.mark.parametrize(("second", "sides"), [(0.4, 2), (0.02, 1)])
    def test_a_side_that_cannot_win_is_not_read(self, second, sides):
        """To the power of 1/4, 0.4 is 0.8 and 0.02 is 0.38: against a certainty of 0.7 on the likeliest side."""
        engine = Hesitant(0.5, 0.7)
        turns = np.float32([[0, second, 0, 1 - second]])
        canvases, box = np.zeros((1, CANVAS, CANVAS, 3), "uint8"), np.float32([[0.3, 0.35, 0.5, 0.8]])
        engine.read_.append(0)
        Driver(engine, description())._best_side(canvases, np.array([0]), box, turns)
        assert engine.read_[1:] == [TILTS] * sides

    @pytest.mark.parametrize(
        ("turns", "place", "quarters"),
        [([0.25] * 4, 9, 1), ([0.96, 0.01, 0.02, 0.01], 17, 0), ([0.5, 0.1, 0.3, 0.1], 10, 2)],
    )
    def test_the_most_certain_side_is_read_unless_the_box_head_is_clear(self, turns, place, quarters):
        """`place` counts sides in the order of their likelihood, and the tilts of each."""
        engine = Hesitant(0.5, 0.95, place)
        canvases, box = np.zeros((1, CANVAS, CANVAS, 3), "uint8"), np.float32([[0.3, 0.35, 0.5, 0.8]])
        engine.read_.append(0)
        found, tilts = Driver(engine, description())._best_side(canvases, np.array([0]), box, np.float32([turns]))
        assert found.tolist() == [quarters]
        if quarters:
            assert tilts.tolist() == [PROCEDURE.tilts[place % TILTS]]


class TestReported:
    def test_several_plates_give_several_readings_and_weak_boxes_none(self):
        class Three(MagentaEngine):
            def find(self, scenes):
                boxes = [[0.5, 0.1, 0.6, 0.3], [0.4, 0.5, 0.5, 0.8], [0.3, 0.3, 0.4, 0.4]]
                return self.cells([boxes], [[0.9, 0.5, 0.29]])

            def say(self, glimpse):
                return "12T345", 0.9

        readings = reader(Three(), procedure=replace(PROCEDURE, plates=3)).read(car())
        assert [reading.box_confidence for reading in readings] == pytest.approx([0.9, 0.5], abs=1e-5)

    @pytest.mark.parametrize(("sure_plate", "statuses"), [(0.55, ["ok", "uncertain"]), (1.0, ["ok"])])
    def test_the_most_certain_plate_comes_first_and_others_only_if_certain_and_elsewhere(self, sure_plate, statuses):
        class Candidates(MagentaEngine):
            """A sure box with doubtful text, a less sure one with sure text, its double, and a doubtful third."""

            def find(self, scenes):
                boxes = [[0.5, 0.1, 0.6, 0.3], [0.4, 0.5, 0.5, 0.8], [0.36, 0.51, 0.46, 0.81], [0.7, 0.3, 0.8, 0.5]]
                return self.cells([boxes], [[0.8, 0.7, 0.6, 0.5]])

            def read(self, glimpses):
                return self.answer([("12T345", 0.45), ("12T345", 0.9), ("12T345", 0.9), ("12T345", 0.45)])

        # Two boxes may overlap by more than is left to the report.
        procedure = replace(PROCEDURE, plates=4, suppression_iou=0.9, vote_iou=0.95, doubt=0.0, sure_plate=sure_plate)
        readings = reader(Candidates(), procedure=procedure).read(car())
        assert [reading.status for reading in readings] == statuses
        confidences = [reading.box_confidence for reading in readings]
        assert confidences == pytest.approx([0.7, 0.8][: len(statuses)], abs=1e-5)

    def test_the_confidence_is_that_of_the_weakest_character_the_end_included(self):
        class UncertainEnd(MagentaEngine):
            def read(self, glimpses):
                answer = super().read(glimpses)
                answer["logits"][:, 6] = np.log(0.03)
                answer["logits"][:, 6, 0] = np.log(0.64)
                answer["logits"][:, 7] = 0.0  # Behind the end: does not matter.
                return answer

        procedure = replace(PROCEDURE, doubt=0.0)
        expected = 0.64 / (0.64 + 12 * 0.03)
        found = reader(UncertainEnd(), procedure=procedure).read(car())[0].confidence
        assert found == pytest.approx(expected, abs=1e-5)

    def test_a_box_that_is_no_number_is_no_plate(self):
        class Broken(MagentaEngine):
            def find(self, scenes):
                found = super().find(scenes)
                return {**found, "objectness": np.full_like(found["objectness"], np.nan)}

        reading = reader(Broken()).read(car())[0]
        assert (reading.status, reading.box_confidence) == ("no plate", 0.0)


class TestCloserLook:
    """The engine sees magenta plates of at least 80 pixels on its canvas."""

    class Nearsighted(MagentaEngine):
        def find(self, scenes):
            found = super().find(scenes)
            sides = (found["cell_boxes"][..., 2:] - found["cell_boxes"][..., :2]).max(-1)
            found["objectness"][sides * CANVAS < 80] = -5.0
            return found

    def test_a_small_plate_is_read_in_a_part(self):
        engine = self.Nearsighted()
        box = (400, 480, 440, 600)  # In the lower right part only, 60 pixels wide on the canvas of 320.
        reading = reader(engine).read(car(480, 640, box))[0]
        assert (reading.text, reading.status) == ("12T345", "ok")
        np.testing.assert_allclose(reading.box_px, box, atol=3)
        assert engine.found == [1, 4]

    def test_a_doubtful_reading_in_a_part_does_not_count(self):
        photograph = car(480, 640, (400, 480, 440, 600))
        procedure = replace(PROCEDURE, sure_plate=1.0)
        assert reader(self.Nearsighted(certainty=0.7), procedure=procedure).read(photograph)[0].status == "no plate"

    @pytest.mark.parametrize(("certainty", "status"), [(0.7, "ok"), (0.4, "uncertain")])
    def test_what_is_surely_a_plate_is_reported_whatever_it_says(self, certainty, status):
        """Its box is believed with 0.8."""
        photograph, engine = car(480, 640, (400, 480, 440, 600)), self.Nearsighted(certainty=certainty)
        (reading,) = reader(engine, procedure=replace(PROCEDURE, sure_plate=0.75)).read(photograph)
        assert reading.status == status
        np.testing.assert_allclose(reading.box_px, (400, 480, 440, 600), atol=3)
        doubted = reader(engine, procedure=replace(PROCEDURE, sure_plate=0.85)).read(photograph)
        assert doubted[0].status == "no plate"

    def test_a_certain_reading_needs_none(self):
        engine = self.Nearsighted()
        assert reader(engine).read(car())[0].status == "ok"
        assert engine.found == [1]

    def test_a_plate_in_several_parts_is_one_plate(self):
        readings = reader(self.Nearsighted()).read(car(480, 640, (220, 260, 260, 380)))
        assert [reading.text for reading in readings] == ["12T345"]

    def test_it_can_be_left_out(self):
        engine = self.Nearsighted()
        procedure = replace(PROCEDURE, closer_part=0)
        assert reader(engine, procedure=procedure).read(car(480, 640, (400, 480, 440, 600)))[0].status == "no plate"
        assert engine.found == [1]

    def test_a_format_that_makes_the_text_doubtful_asks_for_one(self):
        """With the rule, the reading is no longer believed: the photograph is looked at more closely."""

        class Torn(MagentaEngine):
            def answer(self, said):
                answer = super().answer(said)
                answer["logits"][:, 0, VOCABULARY.encode("7")[0]] = np.log(0.3)
                return answer

        for rule, looks in ((None, [1]), ("7[0-9]T[0-9]+", [1, 4])):
            engine = Torn()
            reader(engine, rule, replace(PROCEDURE, doubt=0.0)).read(car())
            assert engine.found == looks


class TestStreet:
    """Small plates only: there may be more, further away. The engine sees plates of at least 16 pixels in its scene of
    320; the street is 640 pixels wide."""

    Sees = SeveralEngine

    NEAR, FAR, ELSEWHERE = (300, 100, 320, 160), (200, 300, 208, 324), (100, 600, 108, 624)

    def boxes(self, photograph, engine=None, **changes):
        found = reader(engine or self.Sees(), procedure=replace(PROCEDURE, plates=3, **changes)).read(photograph)
        assert {reading.status for reading in found} == {"ok"} and {reading.text for reading in found} == {"12T345"}
        return sorted(tuple(np.round(reading.box_px).astype(int).tolist()) for reading in found)

    def test_plates_further_away_are_read_beside_a_small_one(self):
        found = self.boxes(street(self.NEAR, self.FAR, self.ELSEWHERE))
        assert len(found) == 3
        for box, true in zip(found, sorted((self.NEAR, self.FAR, self.ELSEWHERE)), strict=True):
            assert intersection_over_union(np.array(box), np.array(true)) > 0.5

    def test_what_is_read_stays_as_it_was(self):
        alone = self.boxes(street(self.NEAR), distant_plate=0.0)
        assert self.boxes(street(self.NEAR)) == alone
        assert alone[0] in self.boxes(street(self.NEAR, self.FAR))

    @pytest.mark.parametrize(("width", "looks"), [(69, [1, 4]), (72, [1])])  # 0.11 of 640 is 70.4.
    def test_a_plate_that_is_near_needs_none(self, width, looks):
        engine = self.Sees()
        self.boxes(street((300, 100, 320, 100 + width)), engine)
        assert engine.found == looks

    @pytest.mark.parametrize(("spared", "looks"), [(1000, [1]), (2, [1]), (1, [1, 4])])
    def test_of_several_plates_the_nearest_decides_unless_they_are_more_than_are_spared(self, spared, looks):
        engine = self.Sees()
        self.boxes(street((300, 100, 330, 200), (200, 400, 212, 440)), engine, spared_plates=spared)
        assert engine.found == looks

    @pytest.mark.parametrize("off", [dict(closer_part=0.0), dict(distant_plate=0.0)])
    def test_it_can_be_left_out(self, off):
        engine = self.Sees()
        assert len(self.boxes(street(self.NEAR, self.FAR), engine, **off)) == 1 and engine.found == [1]

    def test_more_plates_than_one_look_gives(self):
        """Three at most from each of five looks; here eight, two to four in each part."""
        many = [
            (60 + 110 * row, 30 + 160 * column, 70 + 110 * row, 60 + 160 * column)
            for row in (0, 3)
            for column in range(4)
        ]
        assert len(self.boxes(street(*many))) == 8

    @pytest.mark.parametrize("mirror", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
    def test_what_a_part_cuts_off_is_no_plate_of_its_own(self, mirror):
        """The upper left part ends at (288, 384); of each plate across its edges it shows less than a fifth."""
        photograph = street((180, 374, 200, 434), (284, 200, 304, 260), self.NEAR)
        photograph = np.ascontiguousarray(photograph[:: mirror[0], :: mirror[1]])
        engine = self.Sees()
        engine.least = 8
        assert len(self.boxes(photograph, engine)) == 3
        assert len(self.boxes(photograph, engine, part_edge=0.0)) > 3

    def test_a_plate_at_the_edge_of_the_photograph_stays(self):
        for box in ((0, 300, 8, 324), (472, 300, 480, 324), (200, 0, 208, 24), (200, 616, 208, 640)):
            assert len(self.boxes(street(self.NEAR, box), edge=0.0)) == 2

    def test_a_doubtful_reading_there_does_not_count(self):
        class Doubtful(self.Sees):
            def read(self, glimpses):
                self.read_.append(len(glimpses))
                return self.answer([("12T345", 0.9 if len(self.read_) == 1 else 0.7)] * len(glimpses))

        assert len(self.boxes(street(self.NEAR, self.FAR), Doubtful(), doubt=0.0, sure_plate=1.0)) == 1

    @pytest.mark.parametrize(("sure_plate", "statuses"), [(0.55, ["ok", "uncertain"]), (0.85, ["ok"])])
    def test_what_is_surely_a_plate_stays_beside_what_is_found_there(self, sure_plate, statuses):
        """Every part cuts the large plate off, so it is only in the first look, where it is read with doubt."""

        class Doubtful(self.Sees):
            def read(self, glimpses):
                self.read_.append(len(glimpses))
                return self.answer([("12T345", 0.4 if len(self.read_) == 1 else 0.9)] * len(glimpses))

        procedure = replace(PROCEDURE, plates=3, doubt=0.0, sure_plate=sure_plate)
        found = reader(Doubtful(), procedure=procedure).read(street((220, 220, 260, 420), self.FAR))
        assert [reading.status for reading in found] == statuses

    @pytest.mark.parametrize(("share", "seen"), [(0.4, 3), (0.9, 2), (1.0, 1)])
    def test_where_plates_are_seen_weakly_all_of_them_are_looked_at(self, share, seen):
        """At the first look the best has 0.2, the others 0.19 and 0.1; the second look is sure of each."""

        class Weak(self.Sees):
            def find(self, scenes):
                cells = super().find(scenes)
                if len(self.found) == 1:
                    chances = np.full(cells["objectness"].shape, 0.01)
                    chances[:, :3] = 0.2, 0.19, 0.1
                    cells["objectness"] = np.log(chances / (1 - chances)).astype("float32")
                return cells

        photograph = street((20, 100, 40, 200), (120, 300, 140, 399), (220, 100, 240, 198))
        procedure = replace(PROCEDURE, plates=3, second_look=2.1, further_share=share, closer_part=0.0)
        assert len(reader(Weak(), procedure=procedure).read(photograph)) == seen


class TestKerasEngine:
    @pytest.fixture(scope="class")
    def model(self, tiny_settings):
        keras.utils.set_random_seed(3)
        return PlateModel(tiny_settings.architecture, "0123456789T", 8, tiny_settings.procedure)

    def test_it_gives_what_the_model_gives(self, model):
        rng = np.random.default_rng(0)
        engine, size = KerasEngine(model), model.architecture.glimpse_size
        for count in (1, 3):
            scenes = rng.integers(0, 256, (count, *[model.architecture.scene_size] * 2, 3), "uint8")
            for name, values in engine.find(scenes).items():
                np.testing.assert_allclose(values, model.find_in_scenes(scenes)[name], atol=1e-4)
            glimpses = rng.integers(0, 256, (count, *size, 3), "uint8")
            np.testing.assert_allclose(
                engine.read(glimpses)["logits"], np.asarray(model.read(glimpses)["logits"])[:, -1], atol=1e-3
            )

    def test_pictures_are_read_alike_alone_and_in_a_batch(self, model):
        canvases = np.random.default_rng(0).integers(0, 256, (3, *[model.architecture.canvas_size] * 2, 3), "uint8")
        driver = Driver(KerasEngine(model), describe(model))
        together, alone = driver.look(canvases), driver.look(canvases[1:2])
        plates = model.procedure.plates
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][plates : 2 * plates], values, atol=2e-3, err_msg=name)

    def test_the_description_has_the_temperature_of_the_moment(self, model):
        model.temperature.assign(1.7)
        assert describe(model).temperature == pytest.approx(1.7)
        model.temperature.assign(1.0)
        assert describe(model).procedure == model.procedure
