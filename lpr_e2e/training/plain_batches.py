"""Batches of held-out data, as it is: nothing is moved, lit or mixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.boxes import aspect, letterbox, upright_glimpse
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Crop, Photograph, readable_plates


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
        What `BatchMaker.plates` gives; of no character it is known where it stands.
    """
    glimpses = [np.empty((0, *architecture.glimpse_size, 3), "uint8")]
    classes = [np.empty((0, vocabulary.slots), "int32")]
    for one in readable_plates(photographs, crops):
        if vocabulary.spells(one.text):
            picture = read_picture(one.path)
            box = (0, 0, *picture.shape[:2]) if one.box_px is None else one.box_px
            window = upright_glimpse(picture, box, one.turns, architecture.glimpse_size, procedure.margin)
            glimpses.append(window[None])
            classes.append(vocabulary.encode(one.text)[None])
    texts = np.concatenate(classes)
    places = np.zeros((*texts.shape, 4), "float32")
    return {"glimpses": np.concatenate(glimpses), "glimpse_classes": texts, "glimpse_places": places}


def plain_joint_batches(
    photographs: Sequence[Photograph],
    vocabulary: Vocabulary,
    architecture: Architecture,
    procedure: Procedure,
    size: int,
    straight_aspects: Mapping[str, float],
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of `size` photographs without augmentation, one plate of each read in its predicted box, for evaluation.

    From so many on, longer by shorter side, a plate of each data set, by its name, fills its box. The last batch is
    filled up with photographs of which nothing is known: a new size would be compiled anew.

    Yields:
        The dicts of `BatchMaker.joint_batch`, without glimpses of their own.
    """
    none = plain_glimpses([], [], vocabulary, architecture, procedure)
    most = max([1, *(len(one.plates) for one in photographs)])
    for start in range(0, len(photographs), size):
        samples = [
            _plain_sample(one, most, vocabulary, architecture, procedure, straight_aspects[one.origin])
            for one in photographs[start : start + size]
        ]
        samples += [_nothing_known(samples[-1])] * (size - len(samples))
        yield {**{name: np.stack([sample[name] for sample in samples]) for name in samples[0]}, **none}


def _nothing_known(sample: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A sample that counts nowhere: all of it is a plate of which only a part can be seen."""
    masks = ("plate_visible", "turns_known", "tilts_known", "text_known")
    unknown = {name: np.zeros_like(sample[name]) for name in masks}
    everywhere = np.broadcast_to(np.float32([0, 0, 1, 1]), sample["boxes_rel"].shape)
    return {**sample, **unknown, "boxes_rel": everywhere, "plate_cut": np.ones_like(sample["plate_cut"])}


def _plain_sample(
    photograph: Photograph,
    most: int,
    vocabulary: Vocabulary,
    architecture: Architecture,
    procedure: Procedure,
    straight_aspect: float,
) -> dict[str, np.ndarray]:
    """One photograph's sample, with room for `most` plates; see `BatchMaker.joint_batch`."""
    canvas, frame = letterbox(read_picture(photograph.path), architecture.canvas_size, grey=procedure.letterbox_grey)
    readable = [plate.is_readable and vocabulary.spells(plate.text) for plate in photograph.plates]
    # The first plate is the one that is read.
    order = sorted(range(len(readable)), key=lambda number: not readable[number])
    plates = [photograph.plates[number] for number in order]
    boxes_rel = np.zeros((most, 4), "float32")
    known = np.zeros((4, most), "float32")
    turns = np.zeros(most, "int32")
    for number, plate in enumerate(plates):
        boxes_rel[number] = frame.to_rel(plate.box_px)
        turns[number] = plate.turns or 0
        known[:3, number] = 1, plate.turns is not None, aspect(plate.box_px) > straight_aspect
    return {
        "canvases": canvas,
        "complete": np.float32(photograph.complete),
        "written_rel": np.zeros((1, 4), "float32"),
        "boxes_rel": boxes_rel,
        "plate_visible": known[0],
        "plate_cut": known[3],
        "turns": turns,
        "turns_known": known[1],
        "tilts": np.zeros(most, "float32"),
        "tilts_known": known[2],
        "classes": vocabulary.encode(plates[0].text if any(readable) else ""),
        "text_known": np.float32(any(readable)),
        "jittered_boxes_rel": boxes_rel[0],
        "jittered_tilts": np.float32(0),
        "use_predicted": np.float32(1),
    }
