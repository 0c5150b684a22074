"""COCO's box metrics, against cases worked out by hand and against COCO's own library."""

import contextlib
import io
import sys

import numpy as np
import pytest

from lpr_e2e.evaluation.coco import box_metrics
from lpr_e2e.evaluation.scoring import score
from lpr_e2e.evaluation.truth import TruePlate, Truth
from lpr_e2e.prediction.reading import Reading

BOX = (0.0, 0.0, 40.0, 100.0)


def shows(img_id, *boxes):
    """A photograph with plates in these boxes."""
    return Truth(img_id, tuple(TruePlate(box, str(number)) for number, box in enumerate(boxes)))


def reading(img_id, box, box_confidence):
    return Reading(img_id, "1", 0.9, box, box_confidence, "ok")


def cocos_own(truths, readings):
    """The twelve figures of pycocotools, fed in its own form."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def form(number, img_id, box):
        corner, sides = [box[1], box[0]], [box[3] - box[1], box[2] - box[0]]
        return {"image_id": numbers[img_id], "category_id": 1, "bbox": corner + sides, "area": sides[0] * sides[1]} | {
            "id": number
        }

    numbers = {truth.img_id: number for number, truth in enumerate(truths, start=1)}
    known = COCO()
    known.dataset = {
        "images": [{"id": number} for number in numbers.values()],
        "categories": [{"id": 1}],
        "annotations": [
            {**form(number, img_id, box), "iscrowd": 0}
            for number, (img_id, box) in enumerate(
                ((one.img_id, plate.box_px) for one in truths for plate in one.plates), start=1
            )
        ],
    }
    found = [one for img_id in numbers for one in readings[img_id] if one.box_px is not None]
    with contextlib.redirect_stdout(io.StringIO()):
        known.createIndex()
        boxes = known.loadRes([{**form(0, one.img_id, one.box_px), "score": one.box_confidence} for one in found])
        evaluation = COCOeval(known, boxes, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
    return {name: value for name, value in zip(names, evaluation.stats, strict=True) if value >= 0}


def test_by_hand():
    truths = [shows("exact", BOX), shows("missed", BOX), shows("text only", None)]
    readings = {
        "exact": [reading("exact", BOX, 0.9)],
        "missed": [Reading("missed")],
        "text only": [reading("text only", BOX, 0.9)],
    }
    found = box_metrics(truths, readings)
    # Recall 1/2 at every overlap: 51 of the 101 levels. Both plates are of the middle size.
    assert found == {
        **{name: pytest.approx(51 / 101) for name in ("AP", "AP50", "AP75", "APm")},
        **{name: pytest.approx(0.5) for name in ("AR1", "AR10", "AR100", "ARm")},
    }
    # IoU 0.8: right at seven of the ten overlaps, 0.50 to 0.80.
    readings["exact"] = [reading("exact", (0.0, 0.0, 40.0, 80.0), 0.9)]
    readings["missed"] = [reading("missed", (0.0, 0.0, 40.0, 80.0), 0.8)]
    found = box_metrics(truths, readings)
    assert found["AP"] == pytest.approx(0.7) and found["AP50"] == found["AP75"] == 1


def test_nothing_known_and_nothing_found():
    assert box_metrics([shows("a", None)], {"a": [Reading("a")]}) == {}
    assert box_metrics([shows("a", BOX)], {}) == {}
    found = box_metrics([shows("a", BOX)], {"a": [Reading("a")]})
    assert found["AP50"] == found["AR1"] == 0 and "APs" not in found


def random_case(rng, photographs=40):
    """Plates of all sizes, up to three a photograph; boxes about them, beside them, twice, or none."""
    truths, readings = [], {}
    for number in range(photographs):
        img_id = f"{number}.jpg"
        true_boxes, boxes = [], []
        for _ in range(rng.integers(0, 4)):
            corner, sides = rng.uniform(0, 300, 2), rng.uniform(8, 40, 2) * rng.choice([1, 3, 6])
            box = np.concatenate([corner, corner + sides])
            boxes += [box + rng.normal(0, 0.08, 4) * np.tile(sides, 2) for _ in range(rng.integers(0, 4))]
            true_boxes.append(tuple(box.tolist()))
        boxes += [rng.uniform(500, 540) + np.array([0, 0, 20, 60]) for _ in range(rng.integers(0, 2))]
        truths.append(shows(img_id, *true_boxes))
        readings[img_id] = [reading(img_id, tuple(one.tolist()), float(rng.random())) for one in boxes]
        readings[img_id] = readings[img_id] or [Reading(img_id)]
    return truths, readings


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_cocos_own_library(seed):
    truths, readings = random_case(np.random.default_rng(seed))
    found = box_metrics(truths, readings)
    assert found == pytest.approx(cocos_own(truths, readings), abs=1e-5)  # keras-cv computes in float32.
    # And the figure that every scoring has is one of them.
    assert score(truths, readings).average_precision_50 == pytest.approx(found["AP50"], abs=1e-5)


@pytest.mark.parametrize("absent", ["keras_cv", "pycocotools.cocoeval"])
def test_what_is_missing_is_said(monkeypatch, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ImportError, match=absent.split(".")[0]):
        box_metrics([shows("a", BOX)], {"a": [Reading("a")]})
