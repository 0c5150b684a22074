"""Batches of held-out data, as it is: nothing is moved, lit or mixed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.boxes import letterbox, lies_straight, upright_glimpse
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Crop, Photograph


def plain_glimpses(
    photographs: Sequence[Photograph],
    crops: Sequence[Crop],
    vocabulary: Vocabulary,
    architecture: Architecture,
    procedure: Procedure,
) -> dict[str, np.ndarray]:
    """Glimpses without augmentation, for evaluation: true boxes of photographs, and whole crops.

    Plates whose text or way up is unknown, or whose text the vocabulary cannot spell, are left out.

    Returns:
        `glimpses` uint8 `(n, height, width, 3)` and `glimpse_classes` int32 `(n, slots)`.
    """
    glimpses = [np.empty((0, *architecture.glimpse_size, 3), "uint8")]
    classes = [np.empty((0, vocabulary.slots), "int32")]
    for one in [*photographs, *crops]:
        if one.text is None or one.turns is None or not vocabulary.spells(one.text):
            continue
        picture = read_picture(one.path)
        box = one.box_px if isinstance(one, Photograph) else (0, 0, *picture.shape[:2])
        window = upright_glimpse(picture, box, one.turns, architecture.glimpse_size, procedure.margin)
        glimpses.append(window[None])
        classes.append(vocabulary.encode(one.text)[None])
    return {"glimpses": np.concatenate(glimpses), "glimpse_classes": np.concatenate(classes)}


def plain_joint_batches(
    photographs: Sequence[Photograph],
    vocabulary: Vocabulary,
    architecture: Architecture,
    procedure: Procedure,
    size: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of `size` photographs without augmentation, read in their predicted boxes, for evaluation.

    The last batch is filled up with photographs of which nothing is known: a new size would be compiled anew.

    Yields:
        The dicts of `BatchMaker.joint_batch`, without glimpses of their own.
    """
    none = plain_glimpses([], [], vocabulary, architecture, procedure)
    masks = ("box_known", "plate_visible", "turns_known", "tilts_known", "text_known")
    for start in range(0, len(photographs), size):
        samples = [_plain_sample(one, vocabulary, architecture, procedure) for one in photographs[start : start + size]]
        samples += [{**samples[-1], **dict.fromkeys(masks, np.float32(0))}] * (size - len(samples))
        yield {**{name: np.stack([sample[name] for sample in samples]) for name in samples[0]}, **none}


def _plain_sample(
    photograph: Photograph, vocabulary: Vocabulary, architecture: Architecture, procedure: Procedure
) -> dict[str, np.ndarray]:
    """One photograph's sample; see `BatchMaker.joint_batch`."""
    canvas, frame = letterbox(read_picture(photograph.path), architecture.canvas_size, grey=procedure.letterbox_grey)
    box = frame.to_rel(photograph.box_px)
    readable = photograph.text is not None and photograph.turns is not None and vocabulary.spells(photograph.text)
    return {
        "canvases": canvas,
        "boxes_rel": box,
        "box_known": np.float32(1),
        "plate_visible": np.float32(1),
        "turns": np.int32(photograph.turns or 0),
        "turns_known": np.float32(photograph.turns is not None),
        "tilts": np.float32(0),
        "tilts_known": np.float32(lies_straight(photograph.box_px)),
        "classes": vocabulary.encode(photograph.text if readable else ""),
        "text_known": np.float32(readable),
        "jittered_boxes_rel": box,
        "jittered_tilts": np.float32(0),
        "use_predicted": np.float32(1),
    }
