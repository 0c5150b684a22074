"""How much of what the data says about photographs a training is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lpr_e2e.data.samples import Photograph
from lpr_e2e.training.settings import Mixture


def as_told(photographs: Sequence[Photograph], mixture: Mixture) -> list[Photograph]:
    """The photographs with as many of their texts and further plates as are to be used, those of the first ones."""
    known = _first([one for one in photographs if any(plate.text is not None for plate in one.plates)], mixture.matched)
    several = _first([one for one in photographs if len(one.plates) > 1], mixture.further)
    told = []
    for one in photographs:
        plates = one.plates
        if one.img_id not in known:
            plates = tuple(replace(plate, text=None) for plate in plates)
        if len(plates) > 1 and one.img_id not in several:
            plates = (max(plates, key=lambda plate: _area(plate.box_px)),)
        told.append(replace(one, plates=plates))
    return told


def _first(photographs: Sequence[Photograph], share: float) -> set[str]:
    return {one.img_id for one in photographs[: round(share * len(photographs))]}


def _area(box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
