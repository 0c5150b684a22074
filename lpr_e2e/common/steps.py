"""Pure steps of finding and reading a plate, each written once.

`xp` is the namespace to compute in: `numpy` for the reading procedure, `keras.ops` for the training and for graphs.
Boxes are yxyx of one frame; `n` plates stand in a row, each with its own box, window and turn.
"""

from __future__ import annotations

import numpy as np

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import BLANK

# The least chance that a place of a text is empty, and that it is not.
_LEAST_CHANCE = 1e-7
# Rounds in which plates that lie over each other are told apart.
_CHAIN = 16


def softmax(logits, xp):
    """Probabilities along the last axis."""
    odds = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return odds / xp.sum(odds, axis=-1, keepdims=True)


def best_plates(found: dict, plates: int, procedure: Procedure, xp) -> dict:
    """The most certain plates of each scene, by non-maximum suppression with box voting.

    Voting (the mean of the boxes of overlapping cells, weighted by objectness) is steadier than the best cell's own
    box, and lets the reading loss's gradient reach every cell that voted.

    Args:
        found: the outputs of `lpr_e2e.model.box_head.box_head`, over the n cells of each scene.
        plates: number of plates K to return, at least 1; static, so that the graph exports.
        procedure: whose `vote_iou` and `suppression_iou` count.
        xp: the namespace.

    Returns:
        `boxes_rel` `(batch, K, 4)` yxyx, `box_confidence` `(batch, K)` in 0..1, `turns` probabilities
        `(batch, K, 4)`, `tilts` `(batch, K)` radians; the most certain first.
    """
    confidence = xp.exp(-xp.logaddexp(0.0, -found["objectness"]))
    boxes, cells = found["cell_boxes"], xp.arange(confidence.shape[-1])
    exact = boxes.astype("float64") if xp is np else boxes  # Once, and not again for every plate.
    left, chosen = confidence, []
    for index in range(plates):
        best = xp.argmax(left, axis=-1)
        overlap = _fixed(intersection_over_union(exact, of_each(exact, best, xp)[:, None], xp), xp)
        is_best = cells == best[:, None]
        votes = xp.where(overlap > procedure.vote_iou, _fixed(left, xp), 0.0)
        votes = xp.where(is_best, votes + 1e-6, votes)  # All may be 0.
        votes = votes / xp.sum(votes, axis=-1, keepdims=True)
        boxes_rel, turns, tilts = _means(votes, found, xp)
        confidence = xp.max(left, axis=-1)
        chosen.append({"boxes_rel": boxes_rel, "box_confidence": confidence, "turns": turns, "tilts": tilts})
        if index + 1 < plates:
            left = xp.where(xp.logical_or(overlap > procedure.suppression_iou, is_best), 0.0, left)
    return {name: xp.stack([one[name] for one in chosen], axis=1) for name in chosen[0]}


def _fixed(values, xp):
    """The same values, through which no gradient goes."""
    return values if xp is np else xp.stop_gradient(values)


def _means(votes, found: dict, xp) -> tuple:
    """Boxes `(batch, 4)`, probabilities of the turns `(batch, 4)` and tilts `(batch,)`, the means over the n cells.

    Each cell counts by its share of the `votes` `(batch, n)`.
    """
    boxes, turns, tilts = found["cell_boxes"], found["cell_turns"], found["cell_tilts"]
    if xp is not np:
        weights = votes[..., None]
        means = (xp.sum(weights * values, axis=1) for values in (boxes, softmax(turns, xp)))
        return (*means, xp.sum(votes * tilts, axis=1))
    means = []
    for index, own in enumerate(votes):
        voters = np.flatnonzero(own)  # They are few.
        own = own[voters]
        odds = softmax(turns[index, voters], np)
        means.append((own @ boxes[index, voters], own @ odds, own @ tilts[index, voters]))
    return tuple(np.array(values, "float32") for values in zip(*means, strict=True))


def second_windows(boxes_rel, procedure: Procedure, xp):
    """The squares `(n, 4)` around boxes `(n, 4)` in which plates are looked for again, in the boxes' frame."""
    sides = procedure.second_look * xp.max(boxes_rel[:, 2:] - boxes_rel[:, :2], axis=-1, keepdims=True)
    corners = (boxes_rel[:, :2] + boxes_rel[:, 2:] - sides) / 2
    return xp.concatenate([corners, corners + sides], axis=-1)


def both_looks(first: dict, again: dict, windows, quarters, procedure: Procedure, xp) -> dict:
    """What the two looks at each plate say together.

    Args:
        first: `boxes_rel`, `box_confidence`, `turns` and `tilts` of n plates, on the canvas.
        again: the same of the best plate in each window, which was cut upright.
        windows: `(n, 4)`, where the windows lie on the canvas.
        quarters: int `(n,)`: the windows were turned by so many counter-clockwise quarters.
        procedure: whose `same_plate_iou` counts.
        xp: the namespace.

    Returns:
        box, turns and tilt of the second look, and the mean of both confidences, where it sees the same plate;
        elsewhere the first look stands.
    """
    seen = _turned_back(again["boxes_rel"], quarters, xp)
    corners, sides = windows[:, :2], windows[:, 2:3] - windows[:, :1]
    boxes_rel = seen * sides + xp.concatenate([corners, corners], axis=-1)
    same = intersection_over_union(boxes_rel, first["boxes_rel"], xp) > procedure.same_plate_iou
    confidence = (first["box_confidence"] + again["box_confidence"]) / 2
    places = (xp.arange(4) - quarters[:, None]) % 4
    return {
        "boxes_rel": xp.where(same[:, None], boxes_rel, first["boxes_rel"]),
        "box_confidence": xp.where(same, confidence, first["box_confidence"]),
        "turns": xp.where(same[:, None], xp.take_along_axis(again["turns"], places, axis=-1), first["turns"]),
        "tilts": xp.where(same, again["tilts"], first["tilts"]),
    }


def _turned_back(boxes_rel, quarters, xp):
    """Boxes `(n, 4)` of square windows after `numpy.rot90(window, quarters)`, in the windows as they were."""
    turned = [boxes_rel]
    for _ in range(3):  # One counter-clockwise quarter: y' = 1 - x, x' = y.
        ymin, xmin, ymax, xmax = (turned[-1][:, side : side + 1] for side in range(4))
        turned.append(xp.concatenate([1 - xmax, ymin, 1 - xmin, ymax], axis=-1))
    missing = (-quarters) % 4
    return xp.take_along_axis(xp.stack(turned, axis=1), missing[:, None, None], axis=1)[:, 0]


def tilted_sides(high, wide, tilts, xp) -> tuple:
    """Height and width of the rectangles that upright boxes enclose.

    The box is never exact, and near 45 degrees it says little about the rectangle: a tilted plate is at least a sixth
    of its width and a quarter of its box high.

    Args:
        high, wide: sides of the boxes, of any one shape.
        tilts: by how much the rectangles are tilted, radians, at least 0, of the same shape.
        xp: the namespace.
    """
    sine, cosine, both = xp.sin(tilts), xp.cos(tilts), xp.cos(2 * tilts)
    plate_wide = xp.maximum((wide * cosine - high * sine) / both, wide / 2)
    least = xp.minimum(high, xp.maximum(plate_wide / 6, high / 4))
    return xp.maximum((high * cosine - wide * sine) / both, least), plate_wide


def without_gaps(characters, xp):
    """Probabilities of characters, given that a text has no gap: after its end comes nothing more.

    Each place is read on its own, so that one in the middle may be held for empty though those after it are surely not.
    That cannot be, and what is left for the place are its characters. Exact: of all lengths a text may have, with all
    texts of each, by the chances of the places.

    Args:
        characters: `(n, slots, classes)`, the sum of each place being 1.
        xp: the namespace.

    Returns:
        the same shape; the chance that a place is empty never falls from one to the next.
    """
    empty = xp.clip(characters[..., BLANK], _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    filled, nothing = xp.log1p(-empty), xp.log(empty)
    none = xp.zeros_like(empty[:, :1])
    # For each length 0 to `slots`: all places before are filled, all others empty.
    before = xp.concatenate([none, xp.cumsum(filled, axis=1)], axis=1)
    after = xp.concatenate([xp.flip(xp.cumsum(xp.flip(nothing, axis=1), axis=1), axis=1), none], axis=1)
    lengths = softmax(before + after, xp)
    goes_on = xp.flip(xp.cumsum(xp.flip(lengths[:, 1:], axis=1), axis=1), axis=1)
    others = characters[..., BLANK + 1 :] * (goes_on / (1 - empty))[..., None]
    return xp.concatenate([(1 - xp.sum(others, axis=-1))[..., None], others], axis=-1)


def logarithms(logits, xp):
    """The logarithms of `softmax`, none below that of 1e-30."""
    return xp.log(xp.maximum(softmax(logits, xp), 1e-30))


def certainties(characters, xp, unseen: int | None = None):
    """How certain readings are, as `lpr_e2e.common.vocabulary.Vocabulary.certainty`.

    Args:
        characters: float `(..., slots, classes)` probabilities.
        xp: the namespace.
        unseen: `Vocabulary.unseen` of the model.

    Returns:
        float `(...)`: the probability of the weakest character that is read, the end of the text included; 0 if none
        is; and bool `(..., slots)`: which slots hold the text.
    """
    within, counted = _text_and_end(characters, xp)
    read = within
    if unseen is not None:
        best = xp.argmax(characters, axis=-1)
        counted, read = (xp.logical_and(mask, best != unseen) for mask in (counted, within))
    weakest = xp.min(xp.where(counted, xp.max(characters, axis=-1), 1.0), axis=-1)
    return xp.where(xp.any(read, axis=-1), weakest, 0.0), within


def likelihoods(characters, before, xp):
    """How likely texts are place by place: the geometric mean of the probabilities of their characters and their end.

    Args:
        characters: float `(..., slots, classes)` probabilities.
        before: float `(...)`, above 0: how likely each is before it is looked at; one factor more for the whole text.
        xp: the namespace.

    Returns:
        float `(...)`; 0 where nothing is read.
    """
    within, counted = _text_and_end(characters, xp)
    logs = xp.log(xp.maximum(xp.max(characters, axis=-1), _LEAST_CHANCE))
    together = xp.sum(xp.where(counted, logs, 0.0), axis=-1) + xp.log(before)
    likely = xp.exp(together / xp.sum(xp.where(counted, 1.0, 0.0), axis=-1))
    return xp.where(xp.any(within, axis=-1), likely, 0.0)


def _text_and_end(characters, xp) -> tuple:
    """Which slots `(..., slots)` hold the text, and these with the one after it: that says that the text ends there."""
    within = xp.cumprod(xp.where(xp.argmax(characters, axis=-1) != BLANK, 1, 0), axis=-1) > 0
    return within, xp.concatenate([xp.ones_like(within[..., :1]), within[..., :-1]], axis=-1)


def fits_form(characters, codes, xp, unseen: int | None = None):
    """Whether texts have a form that training texts have, as `lpr_e2e.common.text_forms.TextForms.fits`.

    Args:
        characters: float `(..., slots, classes)` probabilities.
        codes: `TextForms.codes` of the model: `(classes,)` and `(forms, slots)`, at least one form.
        xp: the namespace.
        unseen: `Vocabulary.unseen` of the model.

    Returns:
        bool `(...)`; true where nothing is read, or not everything is seen.
    """
    kinds, forms = codes
    best = xp.argmax(characters, axis=-1)
    within = xp.cumprod(xp.where(best != BLANK, 1, 0), axis=-1)
    own = xp.expand_dims(xp.take(kinds, best) * within, axis=-2)
    alike = xp.logical_or(own == forms, xp.logical_and(forms < 0, own > 0))
    fits = xp.logical_or(xp.any(xp.all(alike, axis=-1), axis=-1), best[..., 0] == BLANK)
    if unseen is None:
        return fits
    return xp.logical_or(fits, xp.any(xp.logical_and(best == unseen, within > 0), axis=-1))


def texts(characters, xp):
    """Classes `(..., slots)` of the texts that `characters` `(..., slots, classes)` say, blanks from their end on."""
    best = xp.argmax(characters, axis=-1)
    within = xp.cumprod(xp.where(best != BLANK, 1, 0), axis=-1)
    return xp.where(within > 0, best, BLANK)


def best_agreed(texts, worth, xp) -> tuple:
    """Of readings of one plate, in some order, the one worth most that agrees with one beside it.

    Args:
        texts: `(n, k, slots)`, of n plates k readings each.
        worth: `(n, k)`, at least 0.
        xp: the namespace.

    Returns:
        which one, int `(n,)`, and what it is worth `(n,)`: 0 if none agrees.
    """
    same = xp.all(texts[:, 1:] == texts[:, :-1], axis=-1)
    alone = xp.zeros_like(texts[:, :1, 0]) > 0
    agrees = xp.logical_or(xp.concatenate([same, alone], axis=1), xp.concatenate([alone, same], axis=1))
    worth = xp.where(agrees, worth, 0.0)
    return xp.argmax(worth, axis=1), xp.max(worth, axis=1)


def of_each(values, places, xp):
    """Of `values` `(n, k, ...)` the one at each place `(n,)`: `(n, ...)`."""
    if xp is np:
        return values[np.arange(len(values)), places]
    return xp.take_along_axis(values, xp.reshape(places, (-1, *[1] * (len(values.shape) - 1))), axis=1)[:, 0]


def is_sure(confidence, box_confidence, procedure: Procedure):
    """Whether plates' texts are believed: numbers, arrays or tensors of one shape, both 0..1."""
    certain = confidence >= procedure.certainty_threshold
    return certain & (confidence * box_confidence >= procedure.sureness_threshold)


def fills(boxes_px, sides, procedure: Procedure, xp):
    """Whether plates fill their picture: they are higher or wider than the share `filling_plate` of it.

    Args:
        boxes_px, sides, xp: as of `may_go_on`.
        procedure: whose `filling_plate` counts.

    Returns:
        bool `(...)`.
    """
    return xp.max(_shares(boxes_px, sides, xp), axis=-1) > procedure.filling_plate


def _shares(boxes_px, sides, xp):
    """Of boxes `(..., 4)`, their heights and widths in shares of the picture's: `(..., 2)`."""
    return (boxes_px[..., 2:] - boxes_px[..., :2]) / xp.array(sides, "float32")


def may_go_on(boxes_px, sides, procedure: Procedure, xp, unseen: int | None = None):
    """Whether plates may go on beyond the photograph: one of their sides is at its edge, and the opposite one is not.

    What reaches from side to side is a picture of a plate, and no plate that is cut off. So is what only fills most of
    its picture's height and of its width, where the model itself says what cannot be seen.

    Args:
        boxes_px: `(..., 4)` yxyx in pixels of the photograph.
        sides: its height and width.
        procedure: whose `edge` and `filling_plate` count.
        xp: the namespace.
        unseen: `Vocabulary.unseen` of the model.

    Returns:
        bool `(...)`.
    """
    low, high = boxes_px[..., :2], boxes_px[..., 2:]
    slack = procedure.edge * xp.max(high - low, axis=-1)[..., None]
    cut_off = xp.any(xp.logical_xor(low < slack, high > xp.array(sides, "float32") - slack), axis=-1)
    if unseen is None:
        return cut_off
    return xp.logical_and(cut_off, xp.min(_shares(boxes_px, sides, xp), axis=-1) <= procedure.filling_plate)


def in_order(confidence, box_confidence, xp):
    """Places `(n,)` of plates by the certainty of box and text together, then by that of the box, highest first."""
    by_box = stable_order(-box_confidence, xp)
    together = xp.take(confidence * box_confidence, by_box)
    return xp.take(by_box, stable_order(-together, xp))


def stable_order(values, xp):
    """Places along the last axis, the smallest value first; of equal ones the first."""
    return np.argsort(values, kind="stable") if xp is np else xp.argsort(values)


def apart(boxes, may_stay, procedure: Procedure, xp):
    """Which of n plates, in order, are reported: those that may, and lie elsewhere than all reported before them.

    Args:
        boxes: `(n, 4)`.
        may_stay: bool `(n,)`.
        procedure: whose `same_plate_iou` counts.
        xp: the namespace.

    Returns:
        bool `(n,)`.
    """
    overlaps = intersection_over_union(boxes[:, None], boxes[None], xp) >= procedure.same_plate_iou
    rank = xp.cumsum(xp.where(may_stay, 1, 1))
    hides = xp.logical_and(overlaps, rank[:, None] > rank[None])
    kept = may_stay
    # Right for the first ones, then for those that only they can hide, and so on. No chain of plates, each of which
    # overlaps the next one, is this long.
    for _ in range(_CHAIN):
        before, hidden = kept, xp.any(xp.logical_and(hides, kept[None]), axis=1)
        kept = xp.logical_and(may_stay, xp.logical_not(hidden))
        if xp is np and (kept == before).all():
            break
    return kept


def cast(values, dtype: str, xp):
    """Numbers as another type."""
    return np.asarray(values).astype(dtype) if xp is np else xp.cast(values, dtype)
