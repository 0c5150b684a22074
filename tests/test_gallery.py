"""The pictures of training photographs show their boxes and texts, drawn by keras-cv or without it."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.training.gallery import canvas_gallery, canvas_pictures, has_keras_cv

VOCABULARY = Vocabulary("0123456789T", 8)
# The colour of true boxes.
BLUE = np.array([77, 171, 255])


def batch(count: int) -> dict[str, np.ndarray]:
    """Black photographs, all but the last with a plate in their lower half."""
    return {
        "canvases": np.zeros((count, 96, 96, 3), "uint8"),
        "boxes_rel": np.tile(np.float32([0.6, 0.3, 0.8, 0.9]), (count, 1, 1)),
        "plate_visible": np.float32([1] * (count - 1) + [0])[:, None],
        "text_known": np.float32([1] * (count - 1) + [0]),
        "classes": np.stack([VOCABULARY.encode("12T345")] * count),
    }


def is_blue(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture.astype(int) - BLUE).max(-1) < 40


@pytest.mark.parametrize("count", [1, 3, 4])
def test_boxes_are_drawn_where_plates_are(count):
    pictures = canvas_pictures(batch(count), VOCABULARY)
    assert [bool(is_blue(picture).any()) for picture in pictures] == [True] * (count - 1) + [False]
    for picture in pictures[:-1]:
        rows, columns = np.nonzero(is_blue(picture))
        np.testing.assert_allclose([rows.min(), columns.min(), rows.max(), columns.max()], [307, 154, 410, 461], atol=3)


@pytest.mark.skipif(not has_keras_cv(), reason="keras-cv or TensorFlow is not there")
@pytest.mark.parametrize("count", [1, 3, 4])
def test_so_does_keras_cv_in_one_picture(count):
    (picture,) = canvas_gallery(batch(count), VOCABULARY)
    rows = 1 if count % 2 else 2
    cells = [cell for row in np.array_split(picture, rows) for cell in np.array_split(row, count // rows, axis=1)]
    assert [bool(is_blue(cell).any()) for cell in cells] == [True] * (count - 1) + [False]
    for cell in cells[:-1]:
        rows_of_box = np.nonzero(is_blue(cell).sum(1) > 0.4 * cell.shape[1])[0]
        assert 0.55 < rows_of_box.min() / len(cell) < 0.65 and 0.75 < rows_of_box.max() / len(cell) < 0.85
        # Its text stands above it.
        assert is_blue(cell)[: rows_of_box.min() - 5].sum() > 100


def test_without_it_or_on_another_backend_it_is_not_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    assert not has_keras_cv()
    monkeypatch.undo()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.delitem(sys.modules, "keras_cv", raising=False)
    assert not has_keras_cv() and "keras_cv" not in sys.modules
