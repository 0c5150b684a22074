"""The model: frames, masks, gradients, and that a saved model is the model."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace

import cv2
import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.boxes import rectangle_corners, turn_box
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.procedure import TODAY, Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.model.box_head import cell_centres
from lpr_e2e.model.glimpse import cut_glimpses
from lpr_e2e.model.plate_model import PlateModel, load
from lpr_e2e.training.tasks import JointTask


@pytest.fixture(scope="module")
def model(tiny_settings):
    keras.utils.set_random_seed(1)
    return PlateModel(tiny_settings.architecture, "0123456789T", 8, tiny_settings.procedure)


@pytest.fixture
def canvases(model):
    size = model.architecture.canvas_size
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype="uint8")


def joint_batch(model, canvases, text_known=1.0, use_predicted=1.0):
    count, (height, width) = len(canvases), model.architecture.glimpse_size
    box = np.array([0.4, 0.3, 0.55, 0.7], "float32")
    ones = np.ones(count, "float32")
    return {
        "canvases": canvases,
        "boxes_rel": np.tile(box, (count, 1, 1)),
        "jittered_boxes_rel": np.tile(box, (count, 1)),
        "complete": ones,
        "written_rel": np.zeros((count, 1, 4), "float32"),
        "plate_visible": ones[:, None],
        "plate_cut": 0 * ones[:, None],
        "turns": np.zeros((count, 1), "int32"),
        "turns_known": ones[:, None],
        "tilts": np.full((count, 1), 0.2, "float32"),
        "jittered_tilts": np.full(count, 0.2, "float32"),
        "tilts_known": ones[:, None],
        "classes": np.tile(model.vocabulary.encode("12T34"), (count, 1)),
        "text_known": ones * text_known,
        "use_predicted": ones * use_predicted,
        "glimpses": np.zeros((2, height, width, 3), "uint8"),
        "glimpse_classes": np.tile(model.vocabulary.encode("5T6"), (2, 1)),
        "glimpse_places": np.zeros((2, model.vocabulary.slots, 4), "float32"),
    }


def cut(canvases, boxes_rel, turns, height, width, margin=TODAY.margin, tilts=None, procedure=TODAY):
    """Glimpses as numpy arrays, or tensors where a gradient is wanted."""
    return cut_glimpses(canvases, boxes_rel, turns, (height, width), margin, procedure, procedure.samples, tilts)


class TestGlimpse:
    def test_a_box_without_margin_is_cut_exactly(self):
        """A window of the canvas's own pixels comes back unchanged: the identity crop."""
        canvas = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("uint8")
        smooth = tf.image.resize(tf.image.resize(canvas, (8, 8)), (64, 64)).numpy()
        height, width = 20, 30
        # The box whose margins reach exactly 20 x 30 pixels from (10, 16).
        inner = np.array([height / (1 + 2 * TODAY.margin[0]), width / (1 + 2 * TODAY.margin[1])])
        centre = np.array([10 + height / 2, 16 + width / 2])
        box = np.concatenate([centre - inner / 2, centre + inner / 2])[None].astype("float32") / 64
        found = np.asarray(cut(smooth, box, np.zeros(1, "int32"), height, width))
        np.testing.assert_allclose(found[0], smooth[0, 10:30, 16:46], atol=3.0)
        assert np.abs(found[0] - smooth[0, 10:30, 16:46]).mean() < 0.5

    @pytest.mark.parametrize("turns", [1, 2, 3])
    def test_a_lying_plate_comes_out_upright(self, turns):
        upright = tf.image.resize(np.random.default_rng(1).integers(0, 256, (1, 6, 6, 3)), (96, 96)).numpy()
        box = np.array([30, 20, 48, 70], "float32")
        lying = np.rot90(upright, -turns, axes=(1, 2)).copy()
        lying_box = turn_box(box, 96, 96, -turns % 4)
        expected = cut(upright, box[None] / 96, np.zeros(1, "int32"), 16, 48)
        found = cut(lying, lying_box[None] / 96, np.full(1, turns, "int32"), 16, 48)
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-2)

    @pytest.mark.parametrize("degrees", [-20.0, 12.0])
    @pytest.mark.parametrize("turns", [0, 1])
    def test_a_tilted_plate_comes_out_upright(self, degrees, turns):
        straight = tf.image.resize(np.random.default_rng(1).integers(0, 256, (8, 8, 3)), (96, 96)).numpy()
        box = np.array([40, 20, 56, 76], "float32")
        # OpenCV turns counter-clockwise, tilts are clockwise.
        matrix = cv2.getRotationMatrix2D((47.5, 47.5), -degrees, 1.0)
        tilted = cv2.warpAffine(straight, matrix, (96, 96), borderMode=cv2.BORDER_REPLICATE)
        corners = rectangle_corners(box - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
        tilted_box = np.array([*corners.min(0)[::-1], *corners.max(0)[::-1]])
        lying, lying_box = np.rot90(tilted, -turns).copy(), turn_box(tilted_box, 96, 96, -turns % 4)
        expected = cut(straight[None], box[None] / 96, np.zeros(1, "int32"), 16, 48, margin=(0.0, 0.0))
        found = cut(
            lying[None],
            lying_box[None].astype("float32") / 96,
            np.full(1, turns, "int32"),
            16,
            48,
            margin=(0.0, 0.0),
            tilts=np.deg2rad([degrees]),
            procedure=replace(TODAY, tilt_slack=0.0),
        )
        assert np.abs(np.asarray(found) - np.asarray(expected)).mean() < 2.0

    def test_several_boxes_on_one_canvas(self, canvases):
        boxes = np.array([[0.1, 0.2, 0.3, 0.6], [0.4, 0.4, 0.5, 0.9]], "float32")
        turns = np.array([0, 3], "int32")
        together = np.asarray(cut(canvases[:1], boxes, turns, 16, 48))
        for index in range(2):
            alone = cut(canvases[:1], boxes[index : index + 1], turns[index : index + 1], 16, 48)
            np.testing.assert_allclose(together[index], np.asarray(alone)[0], atol=1e-3)

    def test_gradient_points_to_a_better_box(self):
        """On a horizontal ramp a brighter glimpse lies further right."""
        ramp = np.tile(np.linspace(0, 255, 64)[None, None, :, None], (1, 64, 1, 3)).astype("float32")
        box = tf.Variable([[0.3, 0.3, 0.6, 0.6]])
        with tf.GradientTape() as tape:
            brightness = tf.reduce_mean(cut(ramp, box, np.zeros(1, "int32"), 16, 48))
        gradient = tape.gradient(brightness, box).numpy()[0]
        assert gradient[1] > 0 and gradient[3] > 0
        np.testing.assert_allclose(gradient[[0, 2]], 0, atol=1e-3)

    def test_a_box_beyond_the_canvas_repeats_the_edge(self):
        canvas = np.full((1, 32, 32, 3), 77, "uint8")
        box = np.array([[-0.5, -0.5, 1.5, 1.5]], "float32")
        found = np.asarray(cut(canvas, box, np.zeros(1, "int32"), 8, 8))
        np.testing.assert_allclose(found, 77)


def test_cell_centres_are_in_row_order():
    np.testing.assert_allclose(cell_centres(4), [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]])


class TestPlateModel:
    def test_outputs_are_boxes_probabilities_and_attention(self, model, canvases):
        out = model.predict_on_batch(canvases)
        plates, slots = model.procedure.plates, model.vocabulary.slots
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

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("widths", (16, 32, 64, 112, 100_000)),
            ("widths", (16, 32, 64, 112)),
            ("depths", (1, 10**5, 1, 1)),
            ("depths", 2),
            ("heads", 0),
            ("head_width", 80.0),
            ("decoder_depth", True),
            ("canvas_size", 96 * 10**6),
            ("scene_shrink", -3),
            ("glimpse_size", (64, 192, 16)),
            ("glimpse_size", "64"),
        ],
    )
    def test_sizes_that_no_model_has_are_refused_before_anything_is_built(self, name, value):
        """A model file may say anything."""
        with pytest.raises(UserError, match=f"{name} .*expected"):
            Architecture.from_config({name: value})

    def test_so_are_sizes_that_are_too_many_together(self):
        with pytest.raises(UserError, match="at most 500,000,000 weights"):
            Architecture(widths=(16, 4096, 4096, 4096, 4096), depths=(8, 8, 8, 8))

    @pytest.mark.parametrize("slots", [10**9, -1, 2.5, True])
    def test_so_are_slots(self, slots):
        with pytest.raises(UserError, match="slots .*expected a whole number"):
            Vocabulary("01", slots)


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

    @pytest.mark.parametrize("name", ["model.weights.h5", "config.json", "assets/other"])
    def test_a_file_that_fills_the_memory_is_refused_before_it_is_unpacked(self, tmp_path, monkeypatch, name):
        with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, bytes(100 * 2**20))
        monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it is unpacked"))
        with pytest.raises(UserError, match="bomb.keras: .*: 0.1 MiB that unpack to 100.0 MiB"):
            load(tmp_path / "bomb.keras")

    def test_a_file_that_somebody_has_compressed_is_read(self, seeing_model, tmp_path):
        seeing_model.save(tmp_path / "stored.keras")
        with (
            zipfile.ZipFile(tmp_path / "stored.keras") as stored,
            zipfile.ZipFile(tmp_path / "small.keras", "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for member in stored.namelist():
                archive.writestr(member, stored.read(member))
        for before, after in zip(seeing_model.weights, load(tmp_path / "small.keras").weights, strict=True):
            np.testing.assert_array_equal(before, after)

    @pytest.mark.parametrize("kind", ["link", "raw file", "virtual"])
    def test_weights_outside_of_the_file_are_not_read(self, seeing_model, tmp_path, kind):
        """HDF5 knows several ways to name another file; of none is anything taken."""
        seeing_model.save(tmp_path / "whole.keras")
        with zipfile.ZipFile(tmp_path / "whole.keras") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        path = tmp_path / "weights.h5"
        path.write_bytes(members["model.weights.h5"])
        with h5py.File(path, "r+") as file:
            name = file.visititems(lambda name, one: name if isinstance(one, h5py.Dataset) and one.shape else None)
            secret = np.full(file[name].shape, 42, "float32")
            with h5py.File(tmp_path / "secret.h5", "w") as other:
                other["secret"] = secret
            (tmp_path / "secret.bin").write_bytes(secret.tobytes())
            del file[name]
            if kind == "link":
                file[name] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "secret")
            elif kind == "raw file":
                outside = [(str(tmp_path / "secret.bin"), 0, secret.nbytes)]
                file.create_dataset(name, secret.shape, "float32", external=outside)
            else:
                layout = h5py.VirtualLayout(secret.shape, "float32")
                layout[...] = h5py.VirtualSource(tmp_path / "secret.h5", "secret", secret.shape)
                file.create_virtual_dataset(name, layout)
        with zipfile.ZipFile(tmp_path / "evil.keras", "w") as archive:
            for member, data in members.items():
                archive.writestr(member, path.read_bytes() if member == "model.weights.h5" else data)
        with pytest.raises(UserError, match="evil.keras: expected a .keras file") as error:
            load(tmp_path / "evil.keras")
        assert "\n" not in str(error.value)

    def test_of_two_files_of_one_name_neither_runs_code(self, tmp_path):
        """Who checks one of them may load the other."""
        keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]).save(tmp_path / "code.keras")
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "plain.keras")
        configs = [zipfile.ZipFile(tmp_path / f"{name}.keras").read("config.json") for name in ("code", "plain")]
        for order in (configs, configs[::-1]):
            with zipfile.ZipFile(tmp_path / "two.keras", "w") as archive, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # That there are two.
                for config in order:
                    archive.writestr("config.json", config)
            with pytest.raises(UserError, match="two.keras"):
                load(tmp_path / "two.keras")

    def test_code_in_the_file_is_refused(self, tmp_path):
        """A Lambda layer carries marshalled Python: safe mode must not run it."""
        lambda_model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
        lambda_model.save(tmp_path / "evil.keras")
        assert "__lambda__" in json.dumps(json.loads(zipfile.ZipFile(tmp_path / "evil.keras").read("config.json")))
        with pytest.raises(ValueError, match="evil.keras"):
            load(tmp_path / "evil.keras")


class TestGradients:
    def gradients(self, model, batch, terms):
        stage = JointTask(model, crop_gradient=1.0)
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
        out = JointTask(model, 1.0)(batch, training=True)
        return {**batch, "boxes_rel": ops.convert_to_numpy(out["predicted_boxes"])[:, None]}

    def test_reading_reaches_the_box_head_through_the_crop(self, model, canvases):
        batch = self.trusted_batch(model, canvases)
        assert self.gradients(model, batch, ["reading"])[1] > 0

    def test_where_no_plate_is_the_predicted_box_is_read(self, model, canvases):
        """Whatever box is given there: what the box head takes for a plate is what it must not be read as."""
        stage, batch = JointTask(model, 1.0), joint_batch(model, canvases)
        beside = {**batch, "boxes_rel": np.tile(np.array([0.9, 0.9, 0.91, 0.91], "float32"), (3, 1, 1))}
        beside["jittered_boxes_rel"] = beside["boxes_rel"][:, 0]
        hidden = {**beside, "plate_visible": np.zeros((3, 1), "float32")}
        predicted = ops.convert_to_numpy(stage(batch, training=False)["predicted_boxes"])
        true = np.asarray(stage({**batch, "boxes_rel": predicted[:, None]}, training=False)["logits"])
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
        # All of the photograph is a plate of which only a part can be seen.
        hidden = {**batch, "plate_visible": np.zeros((3, 1), "float32"), "plate_cut": np.ones((3, 1), "float32")}
        hidden["boxes_rel"] = np.tile(np.array([0, 0, 1, 1], "float32"), (3, 1, 1))
        loss, size = self.gradients(model, hidden, terms)
        assert float(loss) == 0 and size == 0

    def test_of_several_plates_the_first_is_read(self, model, canvases):
        """Another plate where the model is surest of one: the cells that mean it are left out."""
        stage, batch = JointTask(model, 1.0), joint_batch(model, canvases)
        surest = ops.convert_to_numpy(stage(batch, training=False)["predicted_boxes"])[:, None]
        names = ("plate_visible", "plate_cut", "turns", "turns_known", "tilts", "tilts_known")
        both = {**batch, **{name: np.repeat(batch[name], 2, 1) for name in names}}
        beside = surest + 0.3 * (1 - 2 * (surest > 0.5))
        for boxes, is_first in (((surest, beside), True), ((beside, surest), False)):
            found = stage({**both, "boxes_rel": np.concatenate(boxes, 1)}, training=False)["predicted_boxes"]
            assert np.allclose(found, surest[:, 0], atol=1e-5) == is_first

    def test_an_unknown_tilt_gives_none(self, model, canvases):
        batch = joint_batch(model, canvases)
        assert self.gradients(model, batch, ["tilt"])[1] > 0
        loss, size = self.gradients(model, {**batch, "tilts_known": np.zeros((3, 1), "float32")}, ["tilt"])
        assert float(loss) == 0 and size == 0

    def test_the_tilt_learns_from_the_reading(self, model, canvases):
        """Only where the plate is cut along the predicted tilt; its own weights show it."""
        upright = replace(model.procedure, rectify=False)
        model_upright = PlateModel(model.architecture, "0123456789T", 8, upright)
        model_upright.set_weights(model.get_weights())
        sizes = {}
        for one in (model, model_upright):
            task = JointTask(one, crop_gradient=1.0)
            batch = self.trusted_batch(one, canvases)
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(task(batch, training=True)["logits"][:3]))
            kernel = one.finder.get_layer("find_tilts").kernel.value
            gradient = tape.gradient(loss, kernel)
            sizes[one.procedure.rectify] = 0.0 if gradient is None else float(tf.norm(gradient))
        assert sizes[True] > 0 and sizes[False] == 0


def test_vocabulary_is_stored_with_the_model(model):
    again = PlateModel.from_config(model.get_config())
    assert isinstance(again.vocabulary, Vocabulary)
    assert (again.vocabulary.characters, again.vocabulary.slots) == ("0123456789T", 8)


class TestProcedure:
    """The numbers of reading are in the file, and decide how the file is read."""

    def test_it_is_stored_with_the_model(self, model, tmp_path):
        changed = PlateModel(model.architecture, "0123456789T", 8, replace(TODAY, plates=2, margin=(0.3, 0.2)))
        changed.save(tmp_path / "model.keras")
        assert load(tmp_path / "model.keras").procedure == changed.procedure

    def test_a_model_from_before_keeps_its_own_numbers(self, model):
        config = model.get_config()
        del config["procedure"]
        config["architecture"] |= {"plates": 3, "second_look": 0.0, "reading_scales": [1.0], "sure": 0.9}
        own = {"plates": 3, "second_look": 0.0, "reading_scales": (1.0,), "sure": 0.9}
        expected = replace(Procedure.from_config(None, {}), **own)
        assert PlateModel.from_config(config).procedure == expected

    def test_numbers_that_cannot_be_are_refused(self, model, tmp_path):
        model.save(tmp_path / "model.keras")
        with zipfile.ZipFile(tmp_path / "model.keras") as whole, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
            for name in whole.namelist():
                bad.writestr(name, whole.read(name).replace(b'"vote_iou": 0.6', b'"vote_iou": 6.0'))
        with pytest.raises(ValueError, match=r"bad.keras.*vote_iou"):
            load(tmp_path / "bad.keras")
