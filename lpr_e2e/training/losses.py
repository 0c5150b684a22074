"""The loss terms of both heads. Every term has a mask; what is masked gives no gradient."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from lpr_e2e.common.vocabulary import BLANK
from lpr_e2e.model.box_head import cell_centres

# Weights of the terms in the joint loss.
WEIGHTS = {
    "objectness": 1.0,
    "box_overlap": 2.0,
    "box_distance": 5.0,
    "turns": 0.2,
    "tilt": 3.0,
    "reading": 1.0,
    "plates": 1.0,
}
LABEL_SMOOTHING = 0.02
# The share of a slot's attention that is to lie on its own character; the rest may look at what is around it.
OWN_ATTENTION = 0.5
# Where further plates may be unlabelled, what the model believes in more than this is not called background.
PERHAPS_A_PLATE = 0.3


def masked_mean(values, mask):
    """Mean of `values` weighted by `mask` (same shape, 0..1); 0 if the mask is empty."""
    return ops.sum(values * mask) / ops.maximum(ops.sum(mask), 1.0)


def reading_loss(classes, logits, mask):
    """Cross-entropy of the characters with a little label smoothing, in nats per slot.

    Args:
        classes: int `(batch, slots)`.
        logits: float `(batch, depth, slots, classes)`: the answers of every decoder layer; the last counts fully,
            the earlier ones half.
        mask: float `(batch,)`: 1 where the text is known.
    """
    targets = ops.one_hot(classes, logits.shape[-1]) * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / logits.shape[-1]
    entropy = -ops.sum(targets[:, None] * ops.log_softmax(logits, axis=-1), axis=-1)
    per_layer = ops.mean(entropy, axis=2)
    weights = ops.convert_to_tensor([0.5] * (logits.shape[1] - 1) + [1.0], dtype=per_layer.dtype)
    return masked_mean(ops.sum(per_layer * weights, axis=1), mask)


def attention_loss(attention, places):
    """How far the attention strays from the characters, in nats per slot whose character's place is known.

    Of characters alike, or side by side, a slot that looks at the wrong one reads it twice or leaves one out; after
    the focusing network of Cheng et al. 2017. Drawn plates tell the places; on real ones only the texts are known.

    Args:
        attention: float `(batch, slots, rows, columns)`, sums to 1 per slot.
        places: float `(batch, slots, 4)` yxyx in shares of the glimpse: boxes of the characters, empty ones where they
            are not known.
    """
    on_place = 1.0
    for axis, cells in enumerate(attention.shape[2:]):
        centres = ops.convert_to_tensor((np.arange(cells, dtype="float32") + 0.5) / cells)
        # A cell counts that the box so much as touches: a narrow character may have no cell's centre in it.
        low, high = places[..., axis, None] - 0.5 / cells, places[..., axis + 2, None] + 0.5 / cells
        along = ops.cast(ops.logical_and(centres > low, centres < high), attention.dtype)
        on_place = on_place * ops.expand_dims(along, 3 - axis)
    own = ops.sum(attention * on_place, axis=(2, 3))
    known = ops.all(places[..., 2:] > places[..., :2], axis=-1)
    return masked_mean(ops.relu(-ops.log(own / OWN_ATTENTION + 1e-6)), ops.cast(known, own.dtype))


def positive_cells(boxes_rel, cells: int):
    """Which cells learn a plate: those in the middle half of its box, and always the one next to its centre.

    Args:
        boxes_rel: float `(..., 4)` rel yxyx.
        cells: number of cells of the square map.

    Returns:
        float `(..., cells)` of 0 or 1.
    """
    middle = (boxes_rel[..., None, :2] + boxes_rel[..., None, 2:]) / 2
    sides = boxes_rel[..., None, 2:] - boxes_rel[..., None, :2]
    away = ops.abs(ops.convert_to_tensor(cell_centres(cells)) - middle)
    inside = ops.all(away <= sides / 4, axis=-1)
    nearest = ops.all(away <= 0.5 / cells**0.5, axis=-1)
    return ops.cast(ops.logical_or(inside, nearest), "float32")


def cells_of_plates(boxes_rel, visible, cells: int):
    """Which cells learn which plate: a cell in the middle of several learns the smallest (Tian et al. 2019).

    Args:
        boxes_rel: float `(batch, plates, 4)` rel yxyx.
        visible: float `(batch, plates)`: 1 where there is a plate to learn.
        cells: number of cells of the square map.

    Returns:
        float `(batch, plates, cells)` of 0 or 1, at most one 1 for each cell.
    """
    positive = positive_cells(boxes_rel, cells) * visible[..., None]
    sides = boxes_rel[..., 2:] - boxes_rel[..., :2]
    areas = ops.where(positive > 0, ops.prod(sides, axis=-1)[..., None], np.inf)
    smallest = ops.one_hot(ops.argmin(areas, axis=1), boxes_rel.shape[1], axis=1)
    return positive * smallest


def known_cells(boxes_rel, cut, complete, written_rel, objectness):
    """Where it is known whether a cell is in the middle of a plate, as far as it is in none that can be learned.

    It is not in a plate of which only a part can be seen; nor, where further plates may be unlabelled, where the model
    believes in one: it is neither told that there is one, nor punished for seeing it. Writing that the training has put
    on a photograph is none for certain.

    Args:
        boxes_rel: float `(batch, plates, 4)` rel yxyx.
        cut: float `(batch, plates)`: 1 for a plate of which only a part can be seen.
        complete: float `(batch,)`: 1 where no further plate is on the photograph.
        written_rel: float `(batch, any, 4)` rel yxyx of writing; of no writing an empty box.
        objectness: logits `(batch, cells)`.

    Returns:
        float `(batch, cells)` of 0 or 1.
    """
    free = 1 - ops.max(_cells_within(boxes_rel, objectness.shape[-1]) * cut[..., None], axis=1)
    written = ops.max(_cells_within(written_rel, objectness.shape[-1]), axis=1)
    believed = ops.cast(ops.stop_gradient(ops.sigmoid(objectness)) > PERHAPS_A_PLATE, "float32")
    return free * (1 - believed * (1 - complete[:, None]) * (1 - written))


def _cells_within(boxes_rel, cells: int):
    """Which cells' centres lie in which of boxes `(batch, n, 4)`: float `(batch, n, cells)` of 0 or 1."""
    centres = ops.convert_to_tensor(cell_centres(cells))
    low, high = boxes_rel[..., None, :2], boxes_rel[..., None, 2:]
    return ops.cast(ops.all(ops.logical_and(centres > low, centres < high), axis=-1), "float32")


def objectness_loss(positive, logits, known):
    """Focal loss (Lin et al. 2017, alpha 0.25 and gamma 2) over all cells, per positive cell.

    Args:
        positive: float `(batch, cells)` of 0 or 1.
        logits: float `(batch, cells)`.
        known: float `(batch, cells)`: 1 where a cell counts.
    """
    focal = ops.binary_crossentropy(positive, ops.sigmoid(logits), from_logits=False)
    probability = ops.sigmoid(logits)
    missed = positive * (1 - probability) + (1 - positive) * probability
    balance = positive * 0.25 + (1 - positive) * 0.75
    focal = focal * balance * ops.square(missed) * known
    return ops.sum(focal) / ops.maximum(ops.sum(positive * known), 1.0)


def overlap_loss(boxes, targets):
    """1 - CIoU (Zheng et al. 2020) of boxes `(..., 4)` with targets `(..., 4)`, yxyx of one frame; result `(...)`."""
    top_left = ops.maximum(boxes[..., :2], targets[..., :2])
    bottom_right = ops.minimum(boxes[..., 2:], targets[..., 2:])
    overlap = ops.prod(ops.maximum(bottom_right - top_left, 0.0), axis=-1)
    sides, true_sides = boxes[..., 2:] - boxes[..., :2], targets[..., 2:] - targets[..., :2]
    union = ops.prod(sides, axis=-1) + ops.prod(true_sides, axis=-1) - overlap
    iou = overlap / ops.maximum(union, 1e-9)
    hull = ops.maximum(boxes[..., 2:], targets[..., 2:]) - ops.minimum(boxes[..., :2], targets[..., :2])
    shift = (boxes[..., :2] + boxes[..., 2:] - targets[..., :2] - targets[..., 2:]) / 2
    distance = ops.sum(ops.square(shift), axis=-1) / ops.maximum(ops.sum(ops.square(hull), axis=-1), 1e-9)

    def shape(box_sides):
        return ops.arctan(box_sides[..., 1] / ops.maximum(box_sides[..., 0], 1e-6))

    aspect = 0.4052847 * ops.square(shape(true_sides) - shape(sides))  # 4 / pi^2
    share = ops.stop_gradient(aspect / ops.maximum(1 - iou + aspect, 1e-9))
    return 1 - iou + distance + share * aspect


def box_losses(found: dict, targets: dict) -> dict:
    """The terms of the box head.

    Args:
        found: the outputs of `lpr_e2e.model.box_head.box_head`.
        targets: `boxes_rel`, `turns`, `tilts` and the masks of up to P plates, as in
            `lpr_e2e.training.batches.BatchMaker.joint_batch`.

    Returns:
        `objectness`, `box_overlap` (1 - CIoU), `box_distance` (L1 of the edges relative to the plate's sides),
        `turns` (cross-entropy) and `tilt` (L1, radians): scalars.
    """
    boxes_rel = targets["boxes_rel"]
    owned = cells_of_plates(boxes_rel, targets["plate_visible"], found["objectness"].shape[-1])
    positive = ops.max(owned, axis=1)
    known = known_cells(
        boxes_rel, targets["plate_cut"], targets["complete"], targets["written_rel"], found["objectness"]
    )
    # What each cell shall say: its plate's.
    truth = ops.einsum("bpc,bpk->bck", owned, boxes_rel)
    sides = ops.tile(truth[..., 2:] - truth[..., :2], (1, 1, 2))
    distance = ops.mean(ops.abs(found["cell_boxes"] - truth) / ops.maximum(sides, 1e-3), axis=-1)
    turns = ops.einsum("bpc,bpk->bck", owned, ops.one_hot(targets["turns"], 4))
    turn_entropy = -ops.sum(turns * ops.log_softmax(found["cell_turns"], axis=-1), axis=-1)
    tilt_error = ops.abs(found["cell_tilts"] - ops.einsum("bpc,bp->bc", owned, targets["tilts"]))
    return {
        "objectness": objectness_loss(positive, found["objectness"], ops.maximum(known, positive)),
        "box_overlap": masked_mean(overlap_loss(found["cell_boxes"], truth), positive),
        "box_distance": masked_mean(distance, positive),
        "turns": masked_mean(turn_entropy, ops.einsum("bpc,bp->bc", owned, targets["turns_known"])),
        "tilt": masked_mean(tilt_error, ops.einsum("bpc,bp->bc", owned, targets["tilts_known"])),
    }


def plate_accuracy(classes, logits, mask):
    """Share of the known texts that the last layer reads entirely right; scalar.

    Args: as in `reading_loss`.
    """
    right = ops.all(ops.cast(ops.argmax(logits[:, -1], axis=-1), "int32") == ops.cast(classes, "int32"), axis=-1)
    return masked_mean(ops.cast(right, "float32"), mask)


def character_accuracy(classes, logits, mask):
    """Share of the slots with a character, in the known texts, that the last layer reads right; scalar.

    Args: as in `reading_loss`.
    """
    right = ops.cast(ops.cast(ops.argmax(logits[:, -1], axis=-1), "int32") == ops.cast(classes, "int32"), "float32")
    return masked_mean(right, ops.cast(classes != BLANK, "float32") * mask[:, None])


def total(terms: dict, reading_weight: float = 1.0, attention_weight: float = 0.0) -> keras.KerasTensor:
    """The weighted sum of the terms, by `WEIGHTS`: those of the characters times `reading_weight`, that of the
    attention times `attention_weight` as well."""
    weights = {**WEIGHTS, "attention": attention_weight}
    weights |= {name: reading_weight * weights[name] for name in ("reading", "plates", "attention")}
    return sum(weights[name] * value for name, value in terms.items())
