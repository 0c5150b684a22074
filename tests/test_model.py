"""The model: frames, masks, gradients, and that a saved model is the model."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from lpr_e2e.common.boxes import rectangle_corners, turn_box
from lpr_e2e.common.procedure import MARGIN
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.model.box_head import best_plates, cell_centres, pairwise_iou
from lpr_e2e.model.glimpse import cut_glimpses
from lpr_e2e.model.plate_model import Architecture, PlateModel, certainties_of, load
from lpr_e2e.training.tasks import JointStage


@pytest.fixture(scope="module")
def model(tiny_settings):
    keras.utils.set_random_seed(1)
    return PlateModel(tiny_settings.architecture, "0123456789T", 8)


@pytest.fixture
def canvases(model):
    size = model.canvas_size
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype="uint8")


def joint_batch(model, canvases, text_known=1.0, use_predicted=1.0):
    count, (height, width) = len(canvases), model.architecture.glimpse_size
    box = np.array([0.4, 0.3, 0.55, 0.7], "float32")
    ones = np.ones(count, "float32")
    return {
        "canvases": canvases,
        "boxes_rel": np.tile(box, (count, 1)),
        "jittered_boxes_rel": np.tile(box, (count, 1)),
        "box_known": ones,
        "plate_visible": ones,
        "turns": np.zeros(count, "int32"),
        "turns_known": ones,
        "tilts": np.full(count, 0.2, "float32"),
        "jittered_tilts": np.full(count, 0.2, "float32"),
        "tilts_known": ones,
        "classes": np.tile(model.vocabulary.encode("12T34"), (count, 1)),
        "text_known": ones * text_known,
        "use_predicted": ones * use_predicted,
        "glimpses": np.zeros((2, height, width, 3), "uint8"),
        "glimpse_classes": np.tile(model.vocabulary.encode("5T6"), (2, 1)),
    }


class TestGlimpse:
    def test_a_box_without_margin_is_cut_exactly(self):
        """A window of the canvas's own pixels comes back unchanged: the identity crop."""
        canvas = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("uint8")
        smooth = tf.image.resize(tf.image.resize(canvas, (8, 8)), (64, 64)).numpy()
        height, width = 20, 30
        # The box whose margins reach exactly 20 x 30 pixels from (10, 16).
        inner = np.array([height / (1 + 2 * MARGIN[0]), width / (1 + 2 * MARGIN[1])])
        centre = np.array([10 + height / 2, 16 + width / 2])
        box = np.concatenate([centre - inner / 2, centre + inner / 2])[None].astype("float32") / 64
        cut = np.asarray(cut_glimpses(smooth, box, np.zeros(1, "int32"), height, width))
        np.testing.assert_allclose(cut[0], smooth[0, 10:30, 16:46], atol=3.0)
        assert np.abs(cut[0] - smooth[0, 10:30, 16:46]).mean() < 0.5

    @pytest.mark.parametrize("turns", [1, 2, 3])
    def test_a_lying_plate_comes_out_upright(self, turns):
        upright = tf.image.resize(np.random.default_rng(1).integers(0, 256, (1, 6, 6, 3)), (96, 96)).numpy()
        box = np.array([30, 20, 48, 70], "float32")
        lying = np.rot90(upright, -turns, axes=(1, 2)).copy()
        lying_box = turn_box(box, 96, 96, -turns % 4)
        expected = cut_glimpses(upright, box[None] / 96, np.zeros(1, "int32"), 16, 48)
        found = cut_glimpses(lying, lying_box[None] / 96, np.full(1, turns, "int32"), 16, 48)
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-2)

    @pytest.mark.parametrize("degrees", [-20.0, 12.0])
    @pytest.mark.parametrize("turns", [0, 1])
    def test_a_tilted_plate_comes_out_upright(self, degrees, turns, monkeypatch):
        monkeypatch.setattr("lpr_e2e.model.glimpse.TILT_SLACK", 0.0)
        straight = tf.image.resize(np.random.default_rng(1).integers(0, 256, (8, 8, 3)), (96, 96)).numpy()
        box = np.array([40, 20, 56, 76], "float32")
        # OpenCV turns counter-clockwise, tilts are clockwise.
        matrix = cv2.getRotationMatrix2D((47.5, 47.5), -degrees, 1.0)
        tilted = cv2.warpAffine(straight, matrix, (96, 96), borderMode=cv2.BORDER_REPLICATE)
        corners = rectangle_corners(box - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
        tilted_box = np.array([*corners.min(0)[::-1], *corners.max(0)[::-1]])
        lying, lying_box = np.rot90(tilted, -turns).copy(), turn_box(tilted_box, 96, 96, -turns % 4)
        expected = cut_glimpses(straight[None], box[None] / 96, np.zeros(1, "int32"), 16, 48, margin=(0.0, 0.0))
        found = cut_glimpses(
            lying[None],
            lying_box[None].astype("float32") / 96,
            np.full(1, turns, "int32"),
            16,
            48,
            margin=(0.0, 0.0),
            tilts=np.deg2rad([degrees]),
        )
        assert np.abs(np.asarray(found) - np.asarray(expected)).mean() < 2.0

    def test_several_boxes_on_one_canvas(self, canvases):
        boxes = np.array([[0.1, 0.2, 0.3, 0.6], [0.4, 0.4, 0.5, 0.9]], "float32")
        turns = np.array([0, 3], "int32")
        together = np.asarray(cut_glimpses(canvases[:1], boxes, turns, 16, 48))
        for index in range(2):
            alone = cut_glimpses(canvases[:1], boxes[index : index + 1], turns[index : index + 1], 16, 48)
            np.testing.assert_allclose(together[index], np.asarray(alone)[0], atol=1e-3)

    def test_gradient_points_to_a_better_box(self):
        """On a horizontal ramp a brighter glimpse lies further right."""
        ramp = np.tile(np.linspace(0, 255, 64)[None, None, :, None], (1, 64, 1, 3)).astype("float32")
        box = tf.Variable([[0.3, 0.3, 0.6, 0.6]])
        with tf.GradientTape() as tape:
            brightness = tf.reduce_mean(cut_glimpses(ramp, box, np.zeros(1, "int32"), 16, 48))
        gradient = tape.gradient(brightness, box).numpy()[0]
        assert gradient[1] > 0 and gradient[3] > 0
        np.testing.assert_allclose(gradient[[0, 2]], 0, atol=1e-3)

    def test_a_box_beyond_the_canvas_repeats_the_edge(self):
        canvas = np.full((1, 32, 32, 3), 77, "uint8")
        box = np.array([[-0.5, -0.5, 1.5, 1.5]], "float32")
        cut = np.asarray(cut_glimpses(canvas, box, np.zeros(1, "int32"), 8, 8))
        np.testing.assert_allclose(cut, 77)


class TestBestPlates:
    def found(self, boxes, logits):
        cells = len(boxes)
        return {
            "objectness": tf.constant([logits], "float32"),
            "cell_boxes": tf.constant([boxes], "float32"),
            "cell_turns": tf.zeros((1, cells, 4)),
            "cell_tilts": tf.constant([np.arange(cells) / 10], "float32"),
        }

    def test_two_plates_are_found_once_each(self):
        first, second = [0.1, 0.1, 0.2, 0.4], [0.6, 0.5, 0.7, 0.9]
        near_first = [0.1, 0.11, 0.2, 0.41]
        plates = best_plates(self.found([first, near_first, second, first], [3.0, 2.0, 1.0, -5.0]), 3)
        boxes, confidence = np.asarray(plates["boxes_rel"])[0], np.asarray(plates["box_confidence"])[0]
        assert boxes[0][1] == pytest.approx(0.1, abs=0.01)
        np.testing.assert_allclose(boxes[1], second, atol=1e-5)
        assert confidence[0] > confidence[1] > 0.7 and confidence[2] < 0.01

    def test_overlapping_cells_vote(self):
        one, other = [0.1, 0.1, 0.2, 0.4], [0.1, 0.14, 0.2, 0.44]
        best = best_plates(self.found([one, other], [2.0, 2.0]), 1)
        np.testing.assert_allclose(best["boxes_rel"][0, 0], [0.1, 0.12, 0.2, 0.42], atol=1e-5)
        assert float(best["tilts"][0, 0]) == pytest.approx(0.05, abs=1e-5)

    def test_iou_of_a_box_with_itself_and_with_a_distant_one(self):
        boxes = tf.constant([[[0.0, 0.0, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9], [0.0, 0.0, 0.5, 0.25]]])
        iou = np.asarray(pairwise_iou(boxes, tf.constant([[0.0, 0.0, 0.5, 0.5]])))[0]
        np.testing.assert_allclose(iou, [1.0, 0.0, 0.5], atol=1e-6)

    def test_cell_centres_are_in_row_order(self):
        np.testing.assert_allclose(cell_centres(4), [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]])


class TestSecondLook:
    """The finder is replaced by one that always sees one box, given in its scene."""

    def plate(self, box):
        return {
            "boxes_rel": tf.constant([box]),
            "box_confidence": tf.constant([0.6]),
            "turns": tf.constant([[0.7, 0.1, 0.1, 0.1]]),
            "tilts": tf.constant([0.1]),
        }

    def look(self, model, monkeypatch, seen, first=(0.45, 0.4, 0.55, 0.6), least=0.5):
        scene_shape = model.finder.input_shape[1:]

        def finder(scene, training=None):
            assert scene.shape[1:] == scene_shape
            return {
                "objectness": tf.constant([[4.0, -9.0]]),
                "cell_boxes": tf.constant([[seen, seen]]),
                "cell_turns": tf.constant([[[0.0, 9.0, 0.0, 0.0]] * 2]),
                "cell_tilts": tf.constant([[-0.3, -0.3]]),
            }

        monkeypatch.setattr(model, "finder", finder)
        canvas = np.zeros((1, model.canvas_size, model.canvas_size, 3), "uint8")
        again = model.look_again(canvas, self.plate(first), tf.constant([least]))
        return {name: np.asarray(values)[0] for name, values in again.items()}

    def side(self, model):
        """Of the window around the first box, whose longer side is 0.2."""
        return model.architecture.second_look * 0.2

    def test_a_box_seen_where_it_was_stays(self, model, monkeypatch):
        side = self.side(model)
        half_height, half_width = 0.05 / side, 0.1 / side  # The first box, seen in the window.
        seen = [0.5 - half_height, 0.5 - half_width, 0.5 + half_height, 0.5 + half_width]
        again = self.look(model, monkeypatch, seen)
        np.testing.assert_allclose(again["boxes_rel"], [0.45, 0.4, 0.55, 0.6], atol=1e-5)
        assert again["box_confidence"] == pytest.approx((0.6 + 1 / (1 + np.exp(-4))) / 2)
        assert again["turns"].argmax() == 1 and again["tilts"] == pytest.approx(-0.3)

    @pytest.mark.parametrize("quarters", [0, 1, 2, 3])
    def test_the_window_is_upright(self, model, monkeypatch, quarters):
        """A plate on its side is seen upright in the window; box and turns come back as they are on the canvas."""
        canvas = np.random.default_rng(0).integers(0, 256, (1, model.canvas_size, model.canvas_size, 3), dtype="uint8")
        first = np.array([0.40, 0.46, 0.62, 0.55], "float32")  # Higher than wide.
        seen = []

        def finder(scene, training=None):
            seen.append(np.asarray(scene)[0])
            box = turn_box(self.in_window(model, first), 1, 1, quarters)
            return {
                "objectness": tf.constant([[4.0, -9.0]]),
                "cell_boxes": tf.constant([[box, box]], "float32"),
                "cell_turns": tf.constant([[[9.0, 0.0, 0.0, 0.0]] * 2]),
                "cell_tilts": tf.constant([[0.0, 0.0]]),
            }

        monkeypatch.setattr(model, "finder", finder)
        for turns in (0, quarters):
            plate = {**self.plate(list(first)), "turns": tf.one_hot([turns], 4)}
            again = model.look_again(canvas, plate, tf.constant([0.5]))
            if turns == quarters:
                np.testing.assert_allclose(np.asarray(again["boxes_rel"])[0], first, atol=1e-5)
                assert np.asarray(again["turns"])[0].argmax() == quarters
        np.testing.assert_allclose(seen[1], np.rot90(seen[0], quarters), atol=0.02)

    def in_window(self, model, box):
        """The box in its window."""
        side = model.architecture.second_look * max(box[2] - box[0], box[3] - box[1])
        corner = (box[:2] + box[2:] - side) / 2
        return (box - np.tile(corner, 2)) / side

    def test_a_better_box_is_taken_over(self, model, monkeypatch):
        better = np.array([0.44, 0.39, 0.55, 0.63])
        seen = 0.5 + (better - 0.5) / self.side(model)  # The window's middle is the canvas's.
        again = self.look(model, monkeypatch, seen.tolist())
        np.testing.assert_allclose(again["boxes_rel"], better, atol=1e-5)

    def test_what_is_hardly_believed_in_is_not_looked_at_again(self, model, monkeypatch):
        again = self.look(model, monkeypatch, [0.48, 0.46, 0.52, 0.57], least=0.7)
        np.testing.assert_allclose(again["boxes_rel"], [0.45, 0.4, 0.55, 0.6], atol=1e-6)
        assert again["box_confidence"] == pytest.approx(0.6)

    def test_something_else_in_the_window_changes_nothing(self, model, monkeypatch):
        again = self.look(model, monkeypatch, [0.0, 0.0, 0.1, 0.2])
        np.testing.assert_allclose(again["boxes_rel"], [0.45, 0.4, 0.55, 0.6], atol=1e-6)
        assert again["box_confidence"] == pytest.approx(0.6) and again["turns"].argmax() == 0
        assert again["tilts"] == pytest.approx(0.1)


class TestPlateModel:
    def test_outputs_are_boxes_probabilities_and_attention(self, model, canvases):
        out = model.predict_on_batch(canvases)
        plates, slots = model.architecture.plates, model.vocabulary.slots
        assert out["boxes_rel"].shape == (3, plates, 4)
        assert (out["box_confidence"] > 0).all() and (out["box_confidence"] < 1).all()
        assert (out["boxes_rel"][..., 2:] > out["boxes_rel"][..., :2]).all()
        for name, axes in (("turns", -1), ("characters", -1), ("attention", (-2, -1))):
            np.testing.assert_allclose(out[name].sum(axes), 1, atol=1e-5)
        assert out["characters"].shape[2:] == (slots, 12)
        assert out["glimpses"].shape[2:] == (*model.architecture.glimpse_size, 3)

    def test_a_photograph_is_read_alike_alone_and_in_a_batch(self, model, canvases):
        together, alone = model.predict_on_batch(canvases), model.predict_on_batch(canvases[1:2])
        for name in together:
            np.testing.assert_allclose(together[name][1:2], alone[name], atol=2e-3, err_msg=name)

    def test_both_views_use_the_same_convolutions(self, model):
        finder = {id(layer) for layer in model.finder.layers if isinstance(layer, keras.layers.Conv2D)}
        shared = [layer for layer in model.reader.layers if id(layer) in finder]
        assert {"stem", "stage1_down", "stage2_down", "stage3_down"} <= {layer.name for layer in shared}

    def test_brightness_of_the_glimpse_does_not_matter(self, model):
        size = (1, *model.architecture.glimpse_size, 3)
        glimpse = np.random.default_rng(2).integers(100, 200, size).astype("float32")
        logits = [np.asarray(model.read(picture)["logits"]) for picture in (glimpse, glimpse * 0.5 + 20)]
        np.testing.assert_allclose(logits[0], logits[1], atol=0.05)

    def test_temperature_softens_probabilities_and_keeps_the_text(self, model, canvases):
        sharp = model.predict_on_batch(canvases)["characters"]
        model.temperature.assign(3.0)
        soft = model.predict_on_batch(canvases)["characters"]
        model.temperature.assign(1.0)
        assert soft.max(-1).mean() < sharp.max(-1).mean()
        np.testing.assert_array_equal(soft.argmax(-1), sharp.argmax(-1))

    def test_scales_read_alike_are_read_as_one(self, model, canvases, monkeypatch):
        """The same window three times over gives what it gives once; other windows change the probabilities."""
        place = canvases[:1], np.array([[0.4, 0.3, 0.55, 0.7]], "float32"), np.zeros(1, "int32")
        answers = []
        for scales in ((1.0,), (1.0, 1.0, 1.0), (1.0, 1.6)):
            monkeypatch.setattr(model, "architecture", replace(model.architecture, reading_scales=scales))
            answers.append({name: np.asarray(values) for name, values in model.read_plates(*place).items()})
        once, thrice, mixed = answers
        for name, values in once.items():
            np.testing.assert_allclose(thrice[name], values, atol=1e-4)
        assert np.abs(mixed["characters"] - once["characters"]).max() > 1e-4
        np.testing.assert_allclose(mixed["glimpses"], once["glimpses"], atol=1e-3)
        np.testing.assert_allclose(mixed["characters"].sum(-1), 1, atol=1e-5)

    def test_a_sure_first_glimpse_is_enough(self, model, canvases, monkeypatch):
        place = canvases[:1], np.array([[0.4, 0.3, 0.55, 0.7]], "float32"), np.zeros(1, "int32")

        def characters(**changes):
            monkeypatch.setattr(model, "architecture", replace(model.architecture, **changes))
            return np.asarray(model.read_plates(*place)["characters"])

        one, several = characters(reading_scales=(1.0,)), characters(reading_scales=(1.0, 1.6), sure=1.1)
        assert np.abs(one - several).max() > 1e-4
        certainty = model.vocabulary.certainty(one[0])
        np.testing.assert_allclose(characters(sure=certainty - 1e-3), one, atol=1e-5)
        np.testing.assert_allclose(characters(sure=certainty + 1e-3), several, atol=1e-5)

    def test_certainties_in_a_graph_are_those_of_the_vocabulary(self, model):
        rng = np.random.default_rng(0)
        odds = rng.exponential(size=(40, model.vocabulary.slots, model.vocabulary.classes)) ** 4
        odds[::2, :, 0] *= 20  # Short texts, and none, among them.
        probabilities = (odds / odds.sum(-1, keepdims=True)).astype("float32")
        certainties, within = (np.asarray(values) for values in certainties_of(probabilities))
        texts = [model.vocabulary.decode(one)[0] for one in probabilities]
        assert "" in texts and max(map(len, texts)) > 3
        np.testing.assert_array_equal(within.sum(-1), list(map(len, texts)))
        np.testing.assert_allclose(certainties, [model.vocabulary.certainty(one) for one in probabilities], rtol=1e-6)

    @pytest.fixture
    def reads(self, model, monkeypatch):
        """Makes the model read one character, of single sides with these certainties, else with hardly any."""
        glimpses, slots, classes = [], model.vocabulary.slots, model.vocabulary.classes

        def certain(sides: dict[int, float]):
            def read(windows):
                glimpses.append(np.asarray(windows))
                wanted = np.array([sides.get(index, 0.1) for index in range(len(windows))])
                answers = np.full((len(windows), 2, slots, classes), -20.0, "float32")
                answers[..., 0] = 0.0
                answers[:, :, 0, 5], answers[:, :, 0, 0] = np.log(wanted)[:, None], np.log(1 - wanted)[:, None]
                return {"logits": answers, "attention": np.full((len(windows), slots, 2, 2), 0.25)}

            monkeypatch.setattr(model, "_read_now", read)
            return glimpses

        return certain

    box = np.array([0.4, 0.3, 0.55, 0.7], "float32")

    def test_the_most_certain_side_is_read(self, model, canvases, reads):
        """Of all turns and tilts, the one that the reader is certain of is read, in every scale."""
        glimpses = reads({9: 0.99})
        answer = model.read_again(canvases[0], self.box, np.full(4, 0.25))
        tried, final = glimpses
        assert len(tried) == 28 and len(final) == len(model.architecture.reading_scales)
        np.testing.assert_allclose(answer["glimpses"], tried[9], atol=1e-2)

    @pytest.mark.parametrize(
        ("turns", "chosen"), [([0.96, 0.01, 0.02, 0.01], 3), ([0.4, 0.1, 0.4, 0.1], 17), ([0.5, 0.5, 0.0, 0.0], 3)]
    )
    def test_a_plate_upside_down_is_doubted(self, model, canvases, reads, turns, chosen):
        """More certain the wrong way up than upright: upright it is, if the box head says so clearly."""
        glimpses = reads({3: 0.7, 17: 0.8})  # Both straight: upright, and after half a turn.
        answer = model.read_again(canvases[0], self.box, np.array(turns))
        np.testing.assert_allclose(answer["glimpses"], glimpses[0][chosen], atol=1e-2)

    def test_without_a_second_look_the_first_box_stands(self, model, canvases):
        first = PlateModel(replace(model.architecture, second_look=0.0), "0123456789T", 8)
        first.set_weights(model.get_weights())
        found = best_plates(first.find(canvases), model.architecture.plates)
        np.testing.assert_allclose(first.predict_on_batch(canvases)["boxes_rel"], found["boxes_rel"], atol=1e-5)

    def test_saved_and_loaded_in_a_new_process_it_gives_identical_outputs(self, model, canvases, tmp_path):
        model.temperature.assign(1.7)
        expected = model.predict_on_batch(canvases)
        model.save(tmp_path / "model.keras")
        model.temperature.assign(1.0)
        np.save(tmp_path / "canvases.npy", canvases)
        script = (
            "import sys, numpy as np; from lpr_e2e.model.plate_model import load;"
            "model = load(sys.argv[1] + '/model.keras');"
            "out = model.predict_on_batch(np.load(sys.argv[1] + '/canvases.npy'));"
            "np.savez(sys.argv[1] + '/out.npz', text=model.vocabulary.characters, **out)"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True)
        with np.load(tmp_path / "out.npz") as found:
            assert str(found["text"]) == "0123456789T"
            for name, values in expected.items():
                np.testing.assert_array_equal(found[name], values, err_msg=name)

    def test_sizes_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match="canvas_size 100.*multiple of"):
            Architecture(canvas_size=100)
        with pytest.raises(ValueError, match="glimpse_size"):
            Architecture(glimpse_size=(30, 64))


class TestLoad:
    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such model file"):
            load(tmp_path / "none.keras")

    def test_file_that_is_no_model(self, tmp_path):
        (tmp_path / "junk.keras").write_bytes(b"not a zip")
        with pytest.raises(ValueError, match="expected a .keras file"):
            load(tmp_path / "junk.keras")

    def test_a_model_of_another_kind(self, tmp_path):
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
        with pytest.raises(ValueError, match="expected a PlateModel"):
            load(tmp_path / "other.keras")

    def test_code_in_the_file_is_refused(self, tmp_path):
        """A Lambda layer carries marshalled Python: safe mode must not run it."""
        lambda_model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
        lambda_model.save(tmp_path / "evil.keras")
        assert "__lambda__" in json.dumps(json.loads(zipfile.ZipFile(tmp_path / "evil.keras").read("config.json")))
        with pytest.raises(ValueError, match="evil.keras"):
            load(tmp_path / "evil.keras")


class TestGradients:
    def gradients(self, model, batch, terms):
        stage = JointStage(model, crop_gradient=1.0)
        with tf.GradientTape() as tape:
            out = stage(batch, training=True)
            count = len(batch["canvases"])
            from lpr_e2e.training.losses import box_losses, reading_loss

            losses = {
                **box_losses(out, batch),
                "reading": reading_loss(batch["classes"], out["logits"][:count], batch["text_known"]),
            }
            loss = sum(losses[term] for term in terms)
        box_head = [one for one in model.trainable_weights if "find_distances" in one.path or "find_tilts" in one.path]
        assert len(box_head) == 4
        gradients = tape.gradient(loss, box_head)
        return loss, sum(0.0 if one is None else float(tf.reduce_sum(tf.abs(one))) for one in gradients)

    def trusted_batch(self, model, canvases, **kwargs):
        """True boxes at the predicted ones, so that the predicted ones are trusted."""
        batch = joint_batch(model, canvases, **kwargs)
        out = JointStage(model, 1.0)(batch, training=True)
        return {**batch, "boxes_rel": ops.convert_to_numpy(out["predicted_boxes"])}

    def test_reading_reaches_the_box_head_through_the_crop(self, model, canvases):
        batch = self.trusted_batch(model, canvases)
        assert self.gradients(model, batch, ["reading"])[1] > 0

    def test_where_no_plate_is_the_predicted_box_is_read(self, model, canvases):
        """Whatever box is given there: what the box head takes for a plate is what it must not be read as."""
        stage, batch = JointStage(model, 1.0), joint_batch(model, canvases)
        beside = {**batch, "boxes_rel": np.tile(np.array([0.9, 0.9, 0.91, 0.91], "float32"), (3, 1))}
        beside["jittered_boxes_rel"] = beside["boxes_rel"]
        hidden = {**beside, "plate_visible": np.zeros(3, "float32")}
        predicted = ops.convert_to_numpy(stage(batch, training=False)["predicted_boxes"])
        true = np.asarray(stage({**batch, "boxes_rel": predicted}, training=False)["logits"])
        np.testing.assert_allclose(stage(hidden, training=False)["logits"], true, atol=1e-4)
        assert np.abs(np.asarray(stage(beside, training=False)["logits"]) - true).max() > 1e-3

    def test_not_through_jittered_true_boxes(self, model, canvases):
        batch = self.trusted_batch(model, canvases, use_predicted=0.0)
        assert self.gradients(model, batch, ["reading"])[1] == 0

    def test_masked_reading_gives_none(self, model, canvases):
        loss, size = self.gradients(model, self.trusted_batch(model, canvases, text_known=0.0), ["reading"])
        assert float(loss) == 0 and size == 0

    def test_masked_box_gives_none(self, model, canvases):
        batch = joint_batch(model, canvases)
        terms = ["box_overlap", "box_distance", "objectness", "turns", "tilt"]
        assert self.gradients(model, batch, terms)[1] > 0
        hidden = {**batch, "plate_visible": np.zeros(3, "float32"), "box_known": np.zeros(3, "float32")}
        loss, size = self.gradients(model, hidden, terms)
        assert float(loss) == 0 and size == 0

    def test_an_unknown_tilt_gives_none(self, model, canvases):
        batch = joint_batch(model, canvases)
        assert self.gradients(model, batch, ["tilt"])[1] > 0
        loss, size = self.gradients(model, {**batch, "tilts_known": np.zeros(3, "float32")}, ["tilt"])
        assert float(loss) == 0 and size == 0

    def test_the_tilt_learns_from_the_reading(self, model, canvases):
        """Only where the plate is cut along the predicted tilt; its own weights show it."""
        model_upright = PlateModel(replace(model.architecture, rectify=False), "0123456789T", 8)
        model_upright.set_weights(model.get_weights())
        sizes = {}
        for one in (model, model_upright):
            task = JointStage(one, crop_gradient=1.0)
            batch = self.trusted_batch(one, canvases)
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(task(batch, training=True)["logits"][:3]))
            kernel = one.finder.get_layer("find_tilts").kernel.value
            gradient = tape.gradient(loss, kernel)
            sizes[one.architecture.rectify] = 0.0 if gradient is None else float(tf.norm(gradient))
        assert sizes[True] > 0 and sizes[False] == 0


def test_vocabulary_is_stored_with_the_model(model):
    again = PlateModel.from_config(model.get_config())
    assert isinstance(again.vocabulary, Vocabulary)
    assert (again.vocabulary.characters, again.vocabulary.slots) == ("0123456789T", 8)
