"""The figures of readings, each a function of plain values: texts, boxes, the challenge's log loss.

Edit distances come from `rapidfuzz`, average precision from COCO's own library, `pycocotools`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from lpr_e2e.prediction.challenge import digits_asked

# No error costs more than a true digit of this probability.
_LEAST_PROBABILITY = 1e-15


def character_accuracy(truths: Sequence[str], texts: Sequence[str]) -> float | None:
    """Share of the truths' characters that are right: per text its length less the edit distance, at least 0.

    None if the truths have no characters.
    """
    total = sum(map(len, truths))
    right = sum(characters_right(truth, text) for truth, text in zip(truths, texts, strict=True))
    return right / total if total else None


def characters_right(truth: str, text: str) -> int:
    """How many characters of a true text are right: its length less the edit distance to the text read, at least 0."""
    from rapidfuzz.distance import Levenshtein  # Late: who reads without a truth does not wait for it.

    return max(0, len(truth) - Levenshtein.distance(truth, text))


def alignment(first: str, second: str) -> list[tuple[str, str]]:
    """The characters of two texts side by side, with the fewest differences.

    Returns:
        pairs of one character of each; an empty string stands where the other text has one more.
    """
    from rapidfuzz.distance import Levenshtein

    pairs: list[tuple[str, str]] = []
    for step in Levenshtein.opcodes(first, second):
        ours, theirs = first[step.src_start : step.src_end], second[step.dest_start : step.dest_end]
        if step.tag == "delete":
            pairs += [(character, "") for character in ours]
        elif step.tag == "insert":
            pairs += [("", character) for character in theirs]
        else:  # Equal or replaced, one by one.
            pairs += zip(ours, theirs, strict=True)
    return pairs


def challenge_log_loss(texts: Sequence[str], digits: Sequence[np.ndarray]) -> float | None:
    """The challenge's score: mean over all rows (photograph and position) of -ln(probability of the true digit).

    Args:
        texts: the true texts; those that do not fit the form (see `digits_asked`) are left out.
        digits: `(7, 10)` probabilities for each text, in the same order.

    Returns:
        Nats per row: 0 is perfect, ln 10 = 2.303 is knowing nothing. None if no text fits.
    """
    losses = []
    for text, rows in zip(texts, digits, strict=True):
        asked = digits_asked(text)
        if asked is not None:
            told = np.asarray(rows, "float64")[np.arange(len(asked)), asked]
            losses.append(-np.log(np.maximum(told, _LEAST_PROBABILITY)))
    return float(np.mean(losses)) if losses else None


def average_precision(
    truths: Sequence[tuple[str, Sequence[float]]],
    boxes: Sequence[tuple[str, float, Sequence[float]]],
    overlap: float,
) -> float | None:
    """Average precision (AP) of one class, COCO's: precision at 101 levels of recall.

    Args:
        truths: every true box, any number per photograph: img_id, `(4,)` yxyx.
        boxes: every box found in these photographs, or in others that show nothing: img_id, confidence, `(4,)` yxyx in
            the frame of the truth.
        overlap: the IoU from which a box is right.

    Returns:
        0..1; None where there are no true boxes, or where `pycocotools` is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        return None
    if not truths or not boxes:
        return 0.0 if truths else None
    # Ids start at 1: the library takes an id of 0 for no match.
    names = dict.fromkeys(img_id for img_id, *_ in (*truths, *boxes))
    photographs = {img_id: number for number, img_id in enumerate(names, start=1)}
    known = COCO()
    known.dataset = {
        "images": [{"id": number} for number in photographs.values()],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": number, **_coco_box(photographs[img_id], box), "iscrowd": 0}
            for number, (img_id, box) in enumerate(truths, start=1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # The library tells of every step.
        known.createIndex()
        found = known.loadRes(
            [{**_coco_box(photographs[img_id], box), "score": confidence} for img_id, confidence, box in boxes]
        )
        evaluation = COCOeval(known, found, "bbox")
        evaluation.params.iouThrs = np.array([overlap])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, np.inf]], ["all"]
        evaluation.params.maxDets = [len(boxes)]
        evaluation.evaluate()
        evaluation.accumulate()
    return float(evaluation.eval["precision"].mean())


def _coco_box(photograph: int, box: Sequence[float]) -> dict:
    """A box `(4,)` yxyx in COCO's form, with its area."""
    ymin, xmin, ymax, xmax = map(float, box)
    width, height = xmax - xmin, ymax - ymin
    return {"image_id": photograph, "category_id": 1, "bbox": [xmin, ymin, width, height], "area": width * height}
