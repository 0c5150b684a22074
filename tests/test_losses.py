"""The loss terms: known values, and agreement with an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.model.box_head import cell_centres
from lpr_e2e.training.losses import (
    OWN_ATTENTION,
    attention_loss,
    box_losses,
    cells_of_plates,
    character_accuracy,
    known_cells,
    objectness_loss,
    overlap_loss,
    plate_accuracy,
    positive_cells,
    reading_loss,
    total,
)


def test_overlap_loss_is_zero_for_equal_boxes_and_grows_with_distance():
    box = tf.constant([[0.2, 0.2, 0.4, 0.8]])
    losses = [float(overlap_loss(box + shift, box)[0]) for shift in (0.0, 0.05, 0.1, 0.5)]
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert losses == sorted(losses) and losses[-1] > 1


def test_iou_agrees_with_keras_cv():
    bounding_box = pytest.importorskip("keras_cv", reason="keras-cv is not installed").bounding_box
    rng = np.random.default_rng(0)
    corners = rng.random((2, 40, 2))
    boxes = np.concatenate([corners, corners + rng.random((2, 40, 2)) + 0.05], axis=-1).astype("float32")
    theirs = np.diag(np.asarray(bounding_box.compute_iou(boxes[0], boxes[1], bounding_box_format="yxyx")))
    np.testing.assert_allclose(intersection_over_union(boxes[0], boxes[1]), theirs, atol=1e-5)
    # CIoU is at most the IoU, and equals it where centres and shapes agree.
    ours = 1 - np.asarray(overlap_loss(tf.constant(boxes[0]), tf.constant(boxes[1])))
    assert (ours <= theirs + 1e-5).all()


def test_positive_cells_are_the_middle_half_and_never_none():
    boxes = tf.constant([[0.25, 0.0, 0.75, 1.0], [0.501, 0.501, 0.502, 0.502]])
    positive = np.asarray(positive_cells(boxes, 64)).reshape(2, 8, 8)
    assert positive[0].sum() == 2 * 4 and positive[0, 3:5, 2:6].all()
    assert positive[1].sum() == 1 and positive[1, 4, 4] == 1


def test_objectness_prefers_the_truth():
    positive = tf.constant([[1.0, 0.0, 0.0, 0.0]])
    mask = tf.ones((1, 4))
    right = objectness_loss(positive, tf.constant([[5.0, -5.0, -5.0, -5.0]]), mask)
    wrong = objectness_loss(positive, tf.constant([[-5.0, 5.0, -5.0, -5.0]]), mask)
    assert float(right) < 0.01 < float(wrong)
    assert float(objectness_loss(positive, tf.constant([[-5.0, 5.0, -5.0, -5.0]]), tf.zeros((1, 4)))) == 0


def test_each_cell_learns_one_plate_the_smallest_it_is_in_the_middle_of():
    boxes = tf.constant([[[0.0, 0.0, 1.0, 1.0], [0.375, 0.375, 0.625, 0.625], [0.0, 0.0, 1.0, 1.0]]])
    owned = np.asarray(cells_of_plates(boxes, tf.constant([[1.0, 1.0, 0.0]]), 64)).reshape(3, 8, 8)
    assert owned.sum(0).max() == 1 and not owned[2].any()
    assert owned[1].sum() == 4 and owned[1, 3:5, 3:5].all()
    assert owned[0].sum() == 16 - 4 and owned[0, 2:6, 2:6].sum() == 12


NOTHING = tf.zeros((1, 1, 4))


def test_a_cut_plate_is_neither_plate_nor_background():
    boxes = tf.constant([[[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]])
    known = np.asarray(known_cells(boxes, tf.constant([[0.0, 1.0]]), tf.ones(1), NOTHING, tf.zeros((1, 16)))).reshape(
        4, 4
    )
    assert not known[2:, 2:].any() and known.sum() == 12


def test_where_plates_may_be_unlabelled_only_what_is_believed_in_is_left_out():
    boxes, cut = tf.zeros((2, 1, 4)), tf.zeros((2, 1))
    believed = tf.constant([[5.0, -5.0, 0.0, -1.0]] * 2)
    complete = tf.constant([1.0, 0.0])
    known = np.asarray(known_cells(boxes, cut, complete, tf.zeros((2, 1, 4)), believed))
    np.testing.assert_array_equal(known, [[1, 1, 1, 1], [0, 1, 0, 1]])
    # Of writing that the training has put there, the upper left quarter, it is known that it is no plate.
    written = tf.constant([[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]]] * 2)
    known = np.asarray(known_cells(boxes, cut, complete, written, believed))
    np.testing.assert_array_equal(known, [[1, 1, 1, 1], [1, 1, 0, 1]])


def box_targets(**changes) -> dict:
    """One photograph with two plates; the second has another turn."""
    targets = {
        "boxes_rel": [[[0.1, 0.1, 0.3, 0.5], [0.6, 0.5, 0.8, 0.9]]],
        "plate_visible": [[1.0, 1.0]],
        "plate_cut": [[0.0, 0.0]],
        "complete": [1.0],
        "written_rel": [[[0.0, 0.0, 0.0, 0.0]]],
        "turns": [[0, 1]],
        "turns_known": [[1.0, 1.0]],
        "tilts": [[0.0, 0.2]],
        "tilts_known": [[1.0, 1.0]],
    }
    return {name: tf.constant(value) for name, value in {**targets, **changes}.items()}


def right_answer(targets: dict, cells: int = 256) -> dict:
    """What a perfect box head says: in each plate's cells that plate, elsewhere nothing."""
    owned = np.asarray(cells_of_plates(targets["boxes_rel"], targets["plate_visible"], cells))
    plate = owned.argmax(1)[0]
    turns, tilts = np.asarray(targets["turns"])[0, plate], np.asarray(targets["tilts"])[0, plate]
    return {
        "objectness": tf.constant(np.where(owned.max(1) > 0, 9.0, -9.0).astype("float32")),
        "cell_boxes": tf.constant(np.asarray(targets["boxes_rel"])[:, plate]),
        "cell_turns": tf.constant((np.eye(4)[turns] * 20).astype("float32"))[None],
        "cell_tilts": tf.constant(tilts.astype("float32"))[None],
    }


def test_the_terms_of_several_plates_are_zero_for_the_truth_and_name_what_is_wrong():
    targets = box_targets()
    found = right_answer(targets)
    assert all(float(value) < 1e-3 for value in box_losses(found, targets).values())
    # Only the second plate is missed, put elsewhere, turned or tilted.
    second = np.asarray(cells_of_plates(targets["boxes_rel"], targets["plate_visible"], 256))[0, 1] > 0
    wrong = {
        "objectness": np.where(second, -9.0, found["objectness"]),
        "cell_boxes": found["cell_boxes"] + 0.1 * second[None, :, None],
        "cell_turns": np.where(second[None, :, None], found["cell_turns"][..., ::-1], found["cell_turns"]),
        "cell_tilts": found["cell_tilts"] + 0.3 * second,
    }
    names = {"objectness": "objectness", "cell_boxes": "box_overlap", "cell_turns": "turns", "cell_tilts": "tilt"}
    for name, term in names.items():
        changed = {**found, name: tf.constant(np.asarray(wrong[name], "float32"))}
        terms = box_losses(changed, targets)
        assert float(terms[term]) > 0.05, name
        # Where it is not known, it does not count.
        unknown = {"turns": {"turns_known": [[1.0, 0.0]]}, "tilt": {"tilts_known": [[1.0, 0.0]]}}.get(term)
        unknown = unknown or {"plate_visible": [[1.0, 0.0]], "plate_cut": [[0.0, 1.0]]}
        assert float(box_losses(changed, box_targets(**unknown))[term]) < 1e-3, name


def test_a_photograph_without_a_plate_punishes_what_is_seen_on_it():
    targets = box_targets(plate_visible=[[0.0, 0.0]])
    found = right_answer(box_targets())
    assert float(box_losses(found, targets)["objectness"]) > 1
    assert float(box_losses(found, box_targets(plate_visible=[[0.0, 0.0]], complete=[0.0]))["objectness"]) < 1e-3


def test_reading_loss_counts_only_known_texts():
    classes = tf.constant([[1, 2, 0], [2, 1, 0]])
    logits = tf.one_hot(classes, 3)[:, None] * 10
    wrong = tf.concat([logits[:1], logits[1:, ..., ::-1]], axis=0)
    first_only = reading_loss(classes, wrong, tf.constant([1.0, 0.0]))
    assert float(first_only) == pytest.approx(float(reading_loss(classes[:1], logits[:1], tf.ones(1))))
    assert float(reading_loss(classes, wrong, tf.ones(2))) > float(first_only) + 1


class TestAttentionLoss:
    """Two slots on a grid of 2 x 4 cells; the first one's character stands in the upper left quarter."""

    PLACES = np.array([[[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]]], "float32")

    def loss(self, share: float, places=PLACES) -> float:
        """Of attention that lies to this share on the cell at the top left, else at the bottom right, in both slots."""
        grid = np.zeros((2, 4), "float32")
        grid[0, 0], grid[1, 3] = share, 1 - share
        return float(attention_loss(tf.constant(np.tile(grid, (1, 2, 1, 1))), tf.constant(places)))

    def test_half_on_its_own_character_is_enough(self):
        assert self.loss(1.0) == 0 and self.loss(OWN_ATTENTION) == pytest.approx(0, abs=1e-4)
        assert self.loss(0.05) > self.loss(0.25) > 0.5
        assert np.isfinite(self.loss(0.0))

    def test_a_slot_whose_place_is_unknown_counts_nowhere(self):
        second = self.PLACES[:, ::-1]
        assert self.loss(0.25, second) == pytest.approx(self.loss(0.25)) and self.loss(0.0, 0 * self.PLACES) == 0

    @pytest.mark.parametrize("box", [[0.1, 0.02, 0.4, 0.06], [0.1, 0.24, 0.4, 0.3], [0.45, 0.02, 0.7, 0.06]])
    def test_every_cell_counts_that_the_box_is_near(self, box):
        """A narrow character may have no cell's centre in it, or stand between two."""
        places = np.array([[box, [0, 0, 0, 0]]], "float32")
        assert self.loss(1.0, places) == pytest.approx(0, abs=1e-4)

    def test_cells_away_from_the_box_do_not(self):
        assert self.loss(1.0, np.array([[[0.0, 0.7, 0.4, 0.9], [0, 0, 0, 0]]], "float32")) > 5


def test_accuracies():
    classes = tf.constant([[1, 2, 0], [2, 2, 0]])
    answers = tf.constant([[1, 2, 0], [2, 1, 0]])
    logits = tf.one_hot(answers, 3)[:, None]
    assert float(plate_accuracy(classes, logits, tf.ones(2))) == 0.5
    assert float(character_accuracy(classes, logits, tf.ones(2))) == 0.75
    assert float(plate_accuracy(classes, logits, tf.constant([1.0, 0.0]))) == 1.0


def test_cell_centres_lie_inside():
    centres = cell_centres(25)
    assert centres.min() == pytest.approx(0.1) and centres.max() == pytest.approx(0.9)


def test_the_characters_weigh_as_much_as_they_are_told():
    terms = {"objectness": 1.0, "box_overlap": 1.0, "reading": 3.0, "plates": 5.0}
    boxes_only = total({"objectness": 1.0, "box_overlap": 1.0})
    assert total(terms, 0.0) == boxes_only
    assert total(terms, 0.5) - boxes_only == pytest.approx((total(terms) - boxes_only) / 2)
    looked = {**terms, "attention": 2.0}
    assert total(looked) == total(terms) and total(looked, attention_weight=0.1) == pytest.approx(total(terms) + 0.2)
    assert total(looked, 0.0, 0.1) == boxes_only
