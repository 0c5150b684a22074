"""The two stages of training as Keras models: what `fit` calls, and the named loss terms it minimises."""

from __future__ import annotations

import keras
from keras import ops

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.training.losses import (
    attention_loss,
    box_losses,
    character_accuracy,
    masked_mean,
    plate_accuracy,
    reading_loss,
    total,
)
from lpr_e2e.training.settings import Settings

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
    """Stage one: reading alone, on the glimpses of `lpr_e2e.training.batches.BatchMaker.recognition_batch`.

    Args:
        model: the model that is trained.
        attention_weight: weight of the attention loss against the reading loss.
    """

    def __init__(self, model: PlateModel, attention_weight: float = 0.0):
        super().__init__(["reading", "attention", "plates_right", "characters_right"], name="recognition")
        self.reader = model.reader  # Only what is trained here, so that the optimiser leaves the box head alone.
        self._read, self.attention_weight = model.read, attention_weight

    def call(self, batch, training=None):
        """What `PlateModel.read` gives of the glimpses."""
        return self._read(batch["glimpses"], training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        classes, logits = x["glimpse_classes"], y_pred["logits"]
        everywhere = ops.ones(ops.shape(classes)[:1])
        terms = {
            "reading": reading_loss(classes, logits, everywhere),
            "attention": attention_loss(y_pred["attention"], x["glimpse_places"]),
        }
        right = plate_accuracy(classes, logits, everywhere)
        characters = character_accuracy(classes, logits, everywhere)
        self._record({**terms, "plates_right": right, "characters_right": characters})
        return total(terms, attention_weight=self.attention_weight)


class JointTask(_Task):
    """Stage two: finding and reading together, on the batches of `lpr_e2e.training.batches.BatchMaker.joint_batch`.

    Args:
        model: the model that is trained.
        crop_gradient: share of the reading loss's gradient that reaches the box head through the crop.
        reading_weight: weight of the reading loss against the box losses.
        attention_weight: of the attention loss against the reading loss.
    """

    def __init__(
        self, model: PlateModel, crop_gradient: float, reading_weight: float = 1.0, attention_weight: float = 0.0
    ):
        names = ["objectness", "box_overlap", "box_distance", "turns", "tilt", "reading", "plates", "attention"]
        super().__init__([*names, "mean_iou", "turns_right", "plates_right", "characters_right"], name="joint")
        self.model = model
        self.crop_gradient, self.reading_weight = crop_gradient, reading_weight
        self.attention_weight = attention_weight

    def call(self, batch, training=None):
        """The dense outputs of the box head; of the plate that is read of each photograph `predicted_boxes`
        `(batch, 4)`, `predicted_turns` `(batch,)` and the box's `iou` `(batch,)`; and what `PlateModel.read` gives of
        these plates, then of the separate glimpses: `logits` and `attention` `(batch + plates, ...)`."""
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
        read = self.model.read(glimpses, training=training)
        turns = ops.cast(ops.argmax(best["turns"], axis=-1), "int32")
        return {**found, **read, "predicted_boxes": predicted, "predicted_turns": turns, "iou": iou}

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
            "attention": attention_loss(y_pred["attention"][count:], x["glimpse_places"]),
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
        return total(terms, self.reading_weight, self.attention_weight)


def task_of(stage: str, model: PlateModel, settings: Settings) -> RecognitionTask | JointTask:
    """What a stage trains a model with: `recognition` or `joint`."""
    if stage == "recognition":
        return RecognitionTask(model, settings.attention_weight)
    return JointTask(model, settings.crop_gradient, settings.reading_weight, settings.attention_weight)
