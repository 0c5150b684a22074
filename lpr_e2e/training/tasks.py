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
        """The dense outputs of the box head, `predicted_boxes` `(batch, 4)` and their `iou` `(batch,)`, and `logits`
        `(batch + plates, depth, slots, classes)` of the photographs' plates, then of the separate glimpses."""
        found = self.model.find(batch["canvases"], training=training)
        best = {name: values[:, 0] for name, values in self.model.best_plates(found, 1).items()}
        predicted = best["boxes_rel"]
        iou = ops.stop_gradient(intersection_over_union(predicted, batch["boxes_rel"], ops))
        # Reading in a box that cuts characters off would teach nonsense. Where no plate is, there are none.
        harmless = ops.logical_or(iou > 0.7, batch["plate_visible"] == 0)
        trusted = (batch["use_predicted"] * ops.cast(harmless, "float32"))[:, None]
        boxes_rel = trusted * self._through(predicted) + (1 - trusted) * batch["jittered_boxes_rel"]
        tilts = trusted[:, 0] * self._through(best["tilts"]) + (1 - trusted[:, 0]) * batch["jittered_tilts"]
        glimpses = self.model.cut(batch["canvases"], boxes_rel, batch["turns"], tilts=tilts)
        glimpses = ops.concatenate([glimpses, ops.cast(batch["glimpses"], "float32")])
        logits = self.model.read(glimpses, training=training)["logits"]
        return {**found, "predicted_boxes": predicted, "iou": iou, "logits": logits}

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
        right_way_up = ops.cast(self._turns_of_best(y_pred) == ops.cast(x["turns"], "int32"), "float32")
        self._record(
            {
                **terms,
                "mean_iou": masked_mean(y_pred["iou"], x["plate_visible"]),
                "turns_right": masked_mean(right_way_up, x["turns_known"]),
                "plates_right": plate_accuracy(x["classes"], seen, x["text_known"]),
                "characters_right": character_accuracy(x["classes"], seen, x["text_known"]),
            }
        )
        return total(terms, self.reading_weight)

    def _turns_of_best(self, found: dict):
        """int32 `(batch,)`: the likeliest quarter turns at the most certain plate."""
        return ops.cast(ops.argmax(self.model.best_plates(found, 1)["turns"][:, 0], axis=-1), "int32")
