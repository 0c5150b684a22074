"""The loss terms: known values, and agreement with an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.model.box_head import cell_centres
from lpr_e2e.training.losses import (
    character_accuracy,
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
    mask = tf.ones(1)
    right = objectness_loss(positive, tf.constant([[5.0, -5.0, -5.0, -5.0]]), mask)
    wrong = objectness_loss(positive, tf.constant([[-5.0, 5.0, -5.0, -5.0]]), mask)
    assert float(right) < 0.01 < float(wrong)
    assert float(objectness_loss(positive, tf.constant([[-5.0, 5.0, -5.0, -5.0]]), tf.zeros(1))) == 0


def test_reading_loss_counts_only_known_texts():
    classes = tf.constant([[1, 2, 0], [2, 1, 0]])
    logits = tf.one_hot(classes, 3)[:, None] * 10
    wrong = tf.concat([logits[:1], logits[1:, ..., ::-1]], axis=0)
    first_only = reading_loss(classes, wrong, tf.constant([1.0, 0.0]))
    assert float(first_only) == pytest.approx(float(reading_loss(classes[:1], logits[:1], tf.ones(1))))
    assert float(reading_loss(classes, wrong, tf.ones(2))) > float(first_only) + 1


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
