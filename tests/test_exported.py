"""The exported model: the same answers as the Keras model, in every form, without TensorFlow where none is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lpr_e2e.common.procedure import window_margin
from lpr_e2e.export.networks import Networks, description
from lpr_e2e.model import box_head
from lpr_e2e.model.glimpse import cut_glimpses
from lpr_e2e.prediction import exported
from lpr_e2e.prediction.exported import ExportedModel, best_plates, cut_window

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def model(seeing_model):
    return seeing_model


@pytest.fixture(scope="module")
def mirrored(model):
    """The exported model, with the Keras model's own networks in it."""
    networks = Networks(model)

    def numpy(network):
        return lambda batch: {name: one.numpy() for name, one in network(tf.constant(batch, tf.float32)).items()}

    return ExportedModel(description(model), numpy(networks.find), numpy(networks.read))


class TestExportedModel:
    def test_it_gives_what_the_keras_model_gives(self, model, mirrored, canvases):
        expected, found = model.predict_on_batch(canvases), mirrored.predict_on_batch(canvases)
        assert (expected["box_confidence"] > 0.2).all()
        assert set(found) == set(expected)
        for name in ("boxes_rel", "box_confidence", "turns", "tilts", "characters"):
            tolerance = 0.03 if name == "characters" else 5e-3
            assert found[name].shape == expected[name].shape
            np.testing.assert_allclose(found[name], expected[name], atol=tolerance, err_msg=name)
        assert np.abs(found["glimpses"] - expected["glimpses"]).mean() < 1.0

    # A box and how likely its turns are.
    place = np.array([0.3, 0.35, 0.5, 0.8], "float32"), np.array([0.2, 0.6, 0.195, 0.005], "float32")

    def test_what_is_read_again_is_the_same(self, model, mirrored, canvases):
        expected, found = model.read_again(canvases[0], *self.place), mirrored.read_again(canvases[0], *self.place)
        np.testing.assert_allclose(found["characters"], expected["characters"], atol=0.03)
        assert np.abs(found["glimpses"] - expected["glimpses"]).mean() < 1.0

    def test_a_side_that_cannot_win_is_not_read_again(self, mirrored, canvases, monkeypatch):
        read, batches = mirrored._read, []
        monkeypatch.setattr(mirrored, "_read", lambda batch: batches.append(len(batch)) or read(batch))
        monkeypatch.setattr(mirrored, "sure", 0.0)  # One scale is enough.
        monkeypatch.setattr(mirrored.vocabulary, "certainty", lambda characters: 0.7)
        for second, sides in ((0.4, 2), (0.02, 1)):  # To the power of 1/4, 0.4 is 0.8 and 0.02 is 0.38.
            del batches[:]
            mirrored.read_again(canvases[0], self.place[0], np.array([0, second, 0, 1 - second], "float32"))
            assert batches == [len(exported.TILTS)] * sides + [1]

    def test_crops_are_read_alike(self, model, mirrored):
        glimpses = np.random.default_rng(0).integers(0, 256, (3, *model.glimpse_size, 3), dtype="uint8")
        np.testing.assert_allclose(mirrored.read_glimpses(glimpses), model.read_glimpses(glimpses), atol=1e-3)

    def test_what_is_no_candidate_costs_nothing(self, mirrored, canvases, monkeypatch):
        read = []
        monkeypatch.setattr(mirrored, "_read", lambda batch: read.append(batch))
        for name in ("LEAST_CONFIDENCE", "FURTHER_CONFIDENCE", "BOX_THRESHOLD"):
            monkeypatch.setattr(exported, name, 1.1)
        assert not mirrored.predict_on_batch(canvases)["characters"].any() and not read

    def test_only_the_unsure_are_read_in_the_other_scales(self, mirrored, canvases, monkeypatch):
        box = np.array([0.3, 0.35, 0.5, 0.8], "float32")
        plates = [(canvas, box, 0, 0.0) for canvas in canvases]
        read, batches = mirrored._read, []
        monkeypatch.setattr(mirrored, "_read", lambda batch: batches.append(len(batch)) or read(batch))
        monkeypatch.setattr(mirrored, "sure", 1.1)
        expected = [one["characters"] for one in mirrored._read_plates(plates)]
        certainties = [
            mirrored.vocabulary.certainty(one)
            for one in mirrored.read_glimpses(
                np.stack([cut_window(*plate[:3], mirrored.glimpse_size, window_margin(1.0), 2) for plate in plates])
            )
        ]
        assert len(set(certainties)) == 3
        del batches[:]
        monkeypatch.setattr(mirrored, "sure", np.mean(sorted(certainties)[:2]))
        found = [one["characters"] for one in mirrored._read_plates(plates)]
        others = len(mirrored.reading_scales) - 1
        assert others and batches == [3, others]
        for one, other, certainty in zip(found, expected, certainties, strict=True):
            assert np.allclose(one, other, atol=1e-5) == (certainty < mirrored.sure)

    @pytest.mark.parametrize("tilt", [0.0, -0.3, 0.2])
    @pytest.mark.parametrize("turns", [0, 1, 2, 3])
    def test_windows_are_cut_alike(self, canvases, turns, tilt):
        for box in ([0.3, 0.35, 0.5, 0.8], [-0.1, 0.5, 0.3, 1.2]):
            box = np.array(box, "float32")
            tilts = np.array([tilt], "float32") if tilt else None
            expected = cut_glimpses(canvases[:1], box[None], np.array([turns], "int32"), 32, 96, tilts=tilts)
            found = cut_window(canvases[0], box, turns, (32, 96), (0.15, 0.06), 2, tilt)
            assert np.abs(found - np.asarray(expected)[0]).max() < 3.0

    def test_plates_are_chosen_alike(self):
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 0.7, (2, 64, 2))
        found = {
            "objectness": rng.normal(0, 2, (2, 64)).astype("float32"),
            "cell_boxes": np.concatenate([corner, corner + rng.uniform(0.1, 0.3, (2, 64, 2))], -1).astype("float32"),
            "cell_turns": rng.normal(0, 1, (2, 64, 4)).astype("float32"),
            "cell_tilts": rng.normal(0, 1, (2, 64)).astype("float32"),
        }
        expected = box_head.best_plates({name: tf.constant(values) for name, values in found.items()}, 3)
        for index in range(2):
            one = best_plates({name: values[index] for name, values in found.items()}, 3)
            for name, values in one.items():
                np.testing.assert_allclose(values, expected[name][index], atol=1e-5)
