"""The two stages of training as Keras models: what `fit` calls, and the named loss terms it minimises."""

from __future__ import annotations

import keras
from keras import ops

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.training.losses import (
    box_losses,
    character_accuracy,
    masked_mean,
    plate_accuracy,
    reading_loss,
    total,
)

# The objectness of a cell that is left out, a logit.
_NEVER = -1e4


class _Task(keras.Model):
    """Keeps a running mean of every loss term and figure, for the progress bar, history and TensorBoard."""

    def __init__(self, names: list[str], **kwargs):
        super().__init__(**kwargs)
        self.means = [keras.metrics.Mean(name=name) for name in names]

    def _record(self, values: dict) -> None:
        for mean in self.means:
            mean.update_state(values[mean.name])


class RecognitionTask(_Task):
    """Stage one: reading alone, on the glimpses of `lpr_e2e.training.batches.BatchMaker.recognition_batch`."""

    def __init__(self, model: PlateModel):
        super().__init__(["reading", "plates_right", "characters_right"], name="recognition")
        self.reader = model.reader  # Only what is trained here, so that the optimiser leaves the box head alone.
        self._read = model.read

    def call(self, batch, training=None):
        return self._read(batch["glimpses"], training=training)["logits"]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        classes = x["glimpse_classes"]
        everywhere = ops.ones(ops.shape(classes)[:1])
        loss = reading_loss(classes, y_pred, everywhere)
        right = plate_accuracy(classes, y_pred, everywhere)
        characters = character_accuracy(classes, y_pred, everywhere)
        self._record({"reading": loss, "plates_right": right, "characters_right": characters})
        return loss


class JointTask(_Task):
    """Stage two: finding and reading together, on the batches of `lpr_e2e.training.batches.BatchMaker.joint_batch`.

    Args:
        model: the model that is trained.
        crop_gradient: share of the reading loss's gradient that reaches the box head through the crop.
        reading_weight: weight of the reading loss against the box losses.
    """

    def __init__(self, model: PlateModel, crop_gradient: float, reading_weight: float = 1.0):
        names = ["objectness", "box_overlap", "box_distance", "turns", "tilt", "reading", "plates"]
        super().__init__([*names, "mean_iou", "turns_right", "plates_right", "characters_right"], name="joint")
        self.model = model
        self.crop_gradient, self.reading_weight = crop_gradient, reading_weight

    def call(self, batch, training=None):
        """The dense outputs of the box head; of the plate that is read of each photograph `predicted_boxes`
        `(batch, 4)`, `predicted_turns` `(batch,)` and the box's `iou` `(batch,)`; and `logits` `(batch + plates, depth,
        slots, classes)` of these plates, then of the separate glimpses."""
        found = self.model.find(batch["canvases"], training=training)
        best = {name: values[:, 0] for name, values in self._best_of_first(found, batch).items()}
        predicted, visible = best["boxes_rel"], batch["plate_visible"][:, 0]
        iou = ops.stop_gradient(intersection_over_union(predicted, batch["boxes_rel"][:, 0], ops))
        # Reading in a box that cuts characters off would teach nonsense. Where no plate is, there are none.
        harmless = ops.logical_or(iou > 0.7, visible == 0)
        trusted = (batch["use_predicted"] * ops.cast(harmless, "float32"))[:, None]
        boxes_rel = trusted * self._through(predicted) + (1 - trusted) * batch["jittered_boxes_rel"]
        tilts = trusted[:, 0] * self._through(best["tilts"]) + (1 - trusted[:, 0]) * batch["jittered_tilts"]
        glimpses = self.model.cut(batch["canvases"], boxes_rel, batch["turns"][:, 0], tilts=tilts)
        glimpses = ops.concatenate([glimpses, ops.cast(batch["glimpses"], "float32")])
        logits = self.model.read(glimpses, training=training)["logits"]
        turns = ops.cast(ops.argmax(best["turns"], axis=-1), "int32")
        return {**found, "predicted_boxes": predicted, "predicted_turns": turns, "iou": iou, "logits": logits}

    def _best_of_first(self, found: dict, batch: dict) -> dict:
        """The most certain plate of each photograph, out of the cells that mean none of its other plates."""
        boxes_rel, there = batch["boxes_rel"], ops.maximum(batch["plate_visible"], batch["plate_cut"])
        if boxes_rel.shape[1] == 1:
            return self.model.best_plates(found, 1)
        cells = ops.stop_gradient(found["cell_boxes"])[:, None]
        overlaps = intersection_over_union(cells, boxes_rel[:, :, None], ops) * there[..., None]
        others = ops.max(overlaps[:, 1:], axis=1) > overlaps[:, 0]
        return self.model.best_plates({**found, "objectness": ops.where(others, _NEVER, found["objectness"])}, 1)

    def _through(self, values):
        """The same values, with a part of the gradient."""
        fixed = ops.stop_gradient(values)
        return fixed + self.crop_gradient * (values - fixed)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        count = ops.shape(x["canvases"])[0]
        seen, separate = y_pred["logits"][:count], y_pred["logits"][count:]
        everywhere = ops.ones(ops.shape(x["glimpse_classes"])[:1])
        terms = {
            **box_losses(y_pred, x),
            "reading": reading_loss(x["classes"], seen, x["text_known"]),
            "plates": reading_loss(x["glimpse_classes"], separate, everywhere),
        }
        right_way_up = ops.cast(y_pred["predicted_turns"] == ops.cast(x["turns"][:, 0], "int32"), "float32")
        self._record(
            {
                **terms,
                "mean_iou": masked_mean(y_pred["iou"], x["plate_visible"][:, 0]),
                "turns_right": masked_mean(right_way_up, x["turns_known"][:, 0]),
                "plates_right": plate_accuracy(x["classes"], seen, x["text_known"]),
                "characters_right": character_accuracy(x["classes"], seen, x["text_known"]),
            }
        )
        return total(terms, self.reading_weight)
