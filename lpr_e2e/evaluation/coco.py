"""COCO's twelve box metrics, by keras-cv: the figures in which detectors are compared.

keras-cv needs TensorFlow, whatever Keras computes with, and pycocotools; it is imported when the metrics are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lpr_e2e.evaluation.scoring import all_boxes_known
from lpr_e2e.evaluation.truth import Known
from lpr_e2e.prediction.reading import Reading

# keras-cv's names of the metrics, with COCO's.
_NAMES = {
    "MaP": "AP",
    "MaP@[IoU=50]": "AP50",
    "MaP@[IoU=75]": "AP75",
    "MaP@[area=small]": "APs",
    "MaP@[area=medium]": "APm",
    "MaP@[area=large]": "APl",
    "Recall@[max_detections=1]": "AR1",
    "Recall@[max_detections=10]": "AR10",
    "Recall@[max_detections=100]": "AR100",
    "Recall@[area=small]": "ARs",
    "Recall@[area=medium]": "ARm",
    "Recall@[area=large]": "ARl",
}
LEGEND = (
    "AP and AR: average precision and recall over IoU 0.50 to 0.95; s, m, l: true boxes of up to 32 x 32 pixels, "
    "up to 96 x 96, larger"
)
# COCO's sizes of true boxes, in square pixels, both ends included.
_SIZES = {"s": (0, 32**2), "m": (32**2, 96**2), "l": (96**2, 1e10)}
# A photograph without a box gets one of no size, which is nowhere right and comes last: keras-cv leaves photographs
# without boxes out, and with them the plates that were missed.
_NO_BOX, _NO_CONFIDENCE = (0.0, 0.0, 0.0, 0.0), 1e-9
# What fills the rows of photographs with fewer boxes than others, as keras-cv expects it.
_PADDING = -1.0


def box_metrics(truths: Sequence[Known], readings: Mapping[str, Sequence[Reading]]) -> dict[str, float]:
    """COCO's metrics of the boxes found on photographs of which every box is known, those without a plate included.

    Args:
        truths: what is known, one per photograph; incomplete ones, those with a plate whose box is unknown, and those
            without readings are left out.
        readings: the readings of every photograph, by img_id.

    Returns:
        the metrics 0..1 by COCO's names, see `LEGEND`; without those of sizes that no true box has. Empty where no
        truth has a box.

    Raises:
        ImportError: keras-cv, or TensorFlow or pycocotools, which it needs, cannot be imported.
    """
    known = {
        truth.img_id: [plate.box_px for plate in truth.plates if plate.box_px is not None]
        for truth in truths
        if truth.img_id in readings and all_boxes_known(truth)
    }
    if not any(known.values()):
        return {}
    keras_cv = _keras_cv()
    found = [[one for one in readings[img_id] if one.box_px is not None] for img_id in known]
    boxes = [[one.box_px for one in plates] or [_NO_BOX] for plates in found]
    # A confidence of 0 would be taken for padding.
    confidences = [[max(one.box_confidence, _NO_CONFIDENCE) for one in plates] or [_NO_CONFIDENCE] for plates in found]
    true_boxes = list(known.values())
    metric = keras_cv.metrics.BoxCOCOMetrics("yxyx", evaluate_freq=1)
    metric.update_state(
        {"boxes": _padded(true_boxes, 4), "classes": _classes(true_boxes)},
        {"boxes": _padded(boxes, 4), "classes": _classes(boxes), "confidence": _padded(confidences)},
    )
    values = {_NAMES[name]: float(value) for name, value in metric.result().items()}
    areas = np.array([(box[2] - box[0]) * (box[3] - box[1]) for plates in true_boxes for box in plates])
    absent = {size for size, (least, most) in _SIZES.items() if not ((areas >= least) & (areas <= most)).any()}
    return {name: value for name, value in values.items() if name[-1] not in absent}


def _keras_cv():
    """The module keras_cv; an ImportError, whatever stands in its way: a broken TensorFlow fails in ways of its own."""
    try:
        import keras_cv
        import pycocotools.cocoeval  # noqa: F401 keras-cv asks for it at the very end.
    except Exception as error:
        raise ImportError(f"{type(error).__name__}: {error}") from error
    return keras_cv


def _padded(rows: Sequence[Sequence], *shape: int) -> np.ndarray:
    """float32 `(rows, longest, *shape)` of rows of unequal length, filled up with `_PADDING`; some row has an entry."""
    padded = np.full((len(rows), max(map(len, rows)), *shape), _PADDING, "float32")
    for number, row in enumerate(rows):
        if row:
            padded[number, : len(row)] = row
    return padded


def _classes(rows: Sequence[Sequence]) -> np.ndarray:
    """float32 `(rows, longest)`: class 0 for each entry, filled up with `_PADDING`."""
    return _padded([[0.0] * len(row) for row in rows])
