"""How plates look before a training: their light and their size, told from what is kept of each picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lpr_e2e.common.terminal import many
from lpr_e2e.data.dataset import Loaded
from lpr_e2e.data.findings import EXAMPLES, Finding, View, crop_view, photograph_view

# Greys, 0 to 255: nine tenths of a dark plate are darker than the first, nine tenths of a washed-out one lighter than
# the second; from the darkest twentieth of a plate to the lightest one of little contrast there is less than the third.
DARK, WASHED_OUT, LITTLE_CONTRAST = 80, 175, 55
# A plate that is less wide, in pixels, is hard to read for people, too.
SMALL_PX = 40


def light(loaded: Loaded) -> Finding:
    """How many plates are dark, washed out, or of little contrast."""
    kinds: dict[str, list[View]] = {"dark": [], "washed out": [], "of little contrast": []}
    total = 0
    for grey, view in _plates(loaded):
        total += 1
        low, tenth, ninth, high = np.percentile(grey, (5, 10, 90, 95))
        if ninth < DARK:
            kinds["dark"].append(view)
        if tenth > WASHED_OUT:
            kinds["washed out"].append(view)
        if high - low < LITTLE_CONTRAST:
            kinds["of little contrast"].append(view)
    shares = ", ".join(f"{len(views)} ({len(views) / max(total, 1):.0%}) {kind}" for kind, views in kinds.items())
    examples = [(view,) for views in kinds.values() for view in views[: EXAMPLES // 3]]
    return Finding(
        "Light",
        f"of {many(total, 'picture')} of a plate {shares}.",
        "real and drawn plates are shown darker, washed out, in glare and in half shade, too, so that a few of each "
        "kind are enough; where there is none, the figures say nothing about such light.",
        examples=examples,
    )


def sizes(loaded: Loaded) -> Finding:
    """How large plates and photographs are."""
    photographs = [one.fingerprint.shape for one in loaded.compared.photographs]
    plates = [plate.shape for one in loaded.compared.photographs for plate in one.fingerprint.plates]
    crops = [one.fingerprint.shape for one in loaded.compared.crops]
    said = []
    if photographs:
        height, width = np.median(photographs, axis=0)
        said.append(f"a middling photograph has {width:.0f} x {height:.0f} px")
    for name, shapes in (("plate on one", plates), ("crop", crops)):
        if shapes:
            said.append(f"a middling {name} is {np.median(np.max(shapes, axis=1)):.0f} px wide")
    small = sum(max(shape) < SMALL_PX for shape in plates + crops)
    return Finding(
        "Sizes",
        f"{'; '.join(said)}. {many(small, 'plate')} less than {SMALL_PX} px wide.",
        "photographs are shown at several sizes, and plates that are as small are learned as they are.",
        small > len(plates + crops) / 4,
    )


def _plates(loaded: Loaded) -> Iterator[tuple[np.ndarray, View]]:
    """The greys of every plate and crop, and its picture."""
    for one in loaded.compared.photographs:
        for number, plate in enumerate(one.fingerprint.plates):
            yield plate.plate, photograph_view(one, number, cut=True)
    for crop in loaded.compared.crops:
        yield crop.fingerprint.grey, crop_view(crop)
