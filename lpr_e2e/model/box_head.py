"""The box-regression head: a dense, anchor-free detector of plates on the stride-8 map of the scene.

After FCOS (Tian et al. 2019): every cell says whether it lies in the middle of a plate, and how far away the plate's
four edges are. It also says which way up the plate is, because photographs lie on their side, and how much it is
tilted, because the box of a tilted plate is far larger than the plate.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers, ops

from lpr_e2e.common.architecture import MOST_TILT
from lpr_e2e.model.backbone import convolution_block

# Share of cells that are positive at the start, for the bias of the objectness (Lin et al. 2017, focal loss).
_PRIOR = 0.01
# A typical distance from a cell to an edge, relative to the canvas: where the exponential starts from.
_TYPICAL_DISTANCE = 0.06


def box_head(maps: list, channels: int) -> dict:
    """Build the head on the backbone's maps of strides 8, 16 and 32.

    Args:
        maps: Keras tensors `(batch, size / stride, size / stride, c)`, finest first.
        channels: width of the fused map.

    Returns:
        A dict of Keras tensors over the `n x n` cells of the finest map: `objectness` logits `(batch, n * n)`,
        `cell_boxes` rel yxyx `(batch, n * n, 4)`, `cell_turns` logits `(batch, n * n, 4)`, `cell_tilts` `(batch,
        n * n)`, radians: by how much the plate, put upright by these turns, is turned clockwise.
    """
    fused = None
    for level, x in reversed(list(enumerate(maps))):
        lateral = convolution_block(x, f"find_lateral{level + 1}", channels, kernel=1)
        fused = lateral if fused is None else layers.Add()([layers.UpSampling2D(2)(fused), lateral])
    fused = convolution_block(fused, "find_fuse", channels)
    cells = fused.shape[1] * fused.shape[2]

    bias = keras.initializers.Constant(-math.log((1 - _PRIOR) / _PRIOR))
    objectness = layers.Conv2D(1, 1, bias_initializer=bias, name="find_objectness")(fused)
    shape = convolution_block(fused, "find_regress", channels)
    distances = layers.Conv2D(4, 3, padding="same", name="find_distances")(shape)
    tilts = layers.Conv2D(1, 3, padding="same", activation="tanh", name="find_tilts")(shape)
    turns = layers.Conv2D(4, 1, name="find_turns")(fused)
    return {
        "objectness": layers.Reshape((cells,), name="objectness")(objectness),
        "cell_boxes": CellBoxes(name="cell_boxes")(layers.Reshape((cells, 4))(distances)),
        "cell_turns": layers.Reshape((cells, 4), name="cell_turns")(turns),
        "cell_tilts": layers.Rescaling(MOST_TILT, name="cell_tilts")(layers.Reshape((cells,))(tilts)),
    }


def cell_centres(cells: int) -> np.ndarray:
    """Centres `(cells, 2)`, float32 rel yx, of a square map with `cells` cells in row order."""
    side = math.isqrt(cells)
    centres = (np.arange(side, dtype="float32") + 0.5) / side
    return np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(cells, 2)


@keras.saving.register_keras_serializable("lpr_e2e")
class CellBoxes(layers.Layer):
    """Raw distances `(batch, cells, 4)` (top, left, bottom, right) to boxes rel yxyx of the same shape."""

    def call(self, raw):
        distances = ops.exp(ops.clip(raw, -4.0, 3.0)) * _TYPICAL_DISTANCE
        centres = ops.convert_to_tensor(cell_centres(raw.shape[1]))
        return ops.concatenate([centres - distances[..., :2], centres + distances[..., 2:]], axis=-1)
