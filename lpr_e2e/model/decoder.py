"""The attention-based sequence decoder: one query per character slot looks at the glimpse's feature grid."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


def _waves(count: int, width: int) -> np.ndarray:
    """Sines and cosines `(count, width)`, float32, of `count` places spread evenly over 0..1.

    From half a wave to eight: neighbouring characters differ, and places far apart do not resemble each other.
    """
    places = (np.arange(count) + 0.5) / count
    waves = np.pi * places[:, None] * np.geomspace(1, 16, (width + 1) // 2)
    return np.concatenate([np.sin(waves), np.cos(waves)], axis=1)[:, :width].astype("float32")


@keras.saving.register_keras_serializable("lpr_e2e")
class AttentionDecoder(layers.Layer):
    """Reads a feature grid into one class distribution per character slot, all slots at once.

    Learned position queries attend to each other (so that neighbours agree on who reads what) and to the grid with
    its 2-D positions; after DETR (Carion et al. 2020) and the position queries of PARSeq (Bautista and Atienza
    2022). Digits carry no language, so nothing is autoregressive. Every layer's slots go through the one classifier:
    the early answers are supervised too.

    Args:
        slots: number of character slots.
        classes: number of classes, the blank included.
        width: channels of the queries and of the grid.
        heads: attention heads; divides `width`.
        depth: decoder layers.
    """

    def __init__(self, slots: int, classes: int, width: int, heads: int, depth: int, **kwargs):
        super().__init__(**kwargs)
        self.slots, self.classes, self.width, self.heads, self.depth = slots, classes, width, heads, depth
        self.blocks = [
            {
                "self": layers.MultiHeadAttention(heads, width // heads, name=f"self_attention{index}"),
                # One seed for all kernels: queries and keys are projected alike at the start, so that slots look
                # where positions resemble their own.
                "cross": layers.MultiHeadAttention(
                    heads,
                    width // heads,
                    kernel_initializer=keras.initializers.RandomNormal(stddev=width**-0.5, seed=index),
                    name=f"cross_attention{index}",
                ),
                "expand": layers.Dense(2 * width, activation="relu", name=f"expand{index}"),
                "reduce": layers.Dense(width, name=f"reduce{index}"),
                "norms": [layers.LayerNormalization(name=f"norm{index}_{part}") for part in range(3)],
            }
            for index in range(depth)
        ]
        self.grid_norm = layers.LayerNormalization(name="grid_norm")
        self.final_norm = layers.LayerNormalization(name="final_norm")
        self.classifier = layers.Dense(classes, name="classifier")

    def build(self, grid_shape):
        _, rows, columns, width = grid_shape
        if width != self.width:
            raise ValueError(f"decoder: the grid has {width} channels, expected {self.width}")
        # Everything that follows is learned; it starts with the slots spread evenly along the middle of the plate,
        # which spares hundreds of steps in which the attention would search for its places.
        along, across = _waves(columns, width // 2), _waves(rows, width - width // 2)
        middle = np.broadcast_to(across.mean(0), (self.slots, across.shape[1]))
        starts = {
            "row_positions": np.pad(across, ((0, 0), (width // 2, 0)))[:, None],
            "column_positions": np.pad(along, ((0, 0), (0, width - width // 2)))[None],
            "queries": np.concatenate([_waves(self.slots, width // 2), middle], axis=1),
        }
        for name, start in starts.items():
            weight = self.add_weight(
                shape=start.shape, initializer=lambda shape, dtype=None, start=start: ops.cast(start, dtype), name=name
            )
            setattr(self, name, weight)
        slots, tokens = (None, self.slots, width), (None, rows * columns, width)
        for block in self.blocks:
            block["self"].build(slots, slots)
            block["cross"].build(slots, tokens, tokens)
            block["expand"].build(slots)
            block["reduce"].build((None, self.slots, 2 * width))
            for norm in block["norms"]:
                norm.build(slots)
        self.grid_norm.build(tokens)
        self.final_norm.build(slots)
        self.classifier.build(slots)

    def call(self, grid):
        """Decode.

        Args:
            grid: float `(batch, rows, columns, width)`.

        Returns:
            `logits` float `(batch, depth, slots, classes)`, the last layer's answer last, and `attention` float
            `(batch, slots, rows, columns)`: where the last layer looked, mean over its heads, sums to 1 per slot.
        """
        rows, columns = grid.shape[1:3]
        tokens = ops.reshape(grid, (-1, rows * columns, self.width))
        positions = ops.reshape(self.row_positions + self.column_positions, (1, rows * columns, self.width))
        values = self.grid_norm(tokens)
        keys = values + positions
        queries = ops.expand_dims(self.queries, 0)
        x = ops.broadcast_to(queries, (ops.shape(grid)[0], self.slots, self.width))
        answers = []
        for block in self.blocks:
            slots = block["norms"][0](x)
            x = x + block["self"](slots + queries, slots, slots + queries)
            seen, attention = block["cross"](block["norms"][1](x), values, keys, return_attention_scores=True)
            x = x + seen
            x = x + block["reduce"](block["expand"](block["norms"][2](x)))
            answers.append(self.classifier(self.final_norm(x)))
        attention = ops.reshape(ops.mean(attention, axis=1), (-1, self.slots, rows, columns))
        return ops.stack(answers, axis=1), attention

    def get_config(self):
        names = ("slots", "classes", "width", "heads", "depth")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
