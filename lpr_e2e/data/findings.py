"""What is no fault of a row, but good to know before a training. Each finding also says what training does about it.

A finding is made by one function of what was loaded, and shown by `lpr_e2e.data.check` as text and by
`lpr_e2e.data.check_page` with pictures. Those about texts and about light are in `text_findings` and `appearance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lpr_e2e.common.terminal import many
from lpr_e2e.data.dataset import Loaded
from lpr_e2e.data.matching import Colours, Compared, Match, count_swapped
from lpr_e2e.data.pictures import CropPicture, PhotographPicture

# Groups of pictures that a finding shows.
EXAMPLES = 8
# Lower ends of the bars: plate widths in pixels, and boxes' widths by their heights.
WIDTHS = (0, 20, 40, 60, 80, 100, 120, 150, 200, 250, 300, 400, 600)
ASPECTS = (0, 0.3, 0.5, 0.8, 1.1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6)

_TEST_PHOTOGRAPHS = "Crops cut out of test photographs"
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class View:
    """A picture on the page: a file's, with boxes (yxyx, pixels) drawn in, or cut out, or with red and blue swapped.

    Attributes:
        caption: what is shown.
        path: the file.
        text: what its plate says; "" if that is not known.
        boxes_px: to be drawn in; none if it is cut out.
        cut_px: the part to show; None: all of it.
        swapped: whether red and blue are exchanged.
    """

    caption: str
    path: Path
    text: str = ""
    boxes_px: tuple[Box, ...] = ()
    cut_px: Box | None = None
    swapped: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that is no fault of a row, but good to know.

    Attributes:
        title: a few words.
        said: what was found.
        training: what training does about it.
        doubtful: whether someone should look at it.
        columns, rows: a table of where it was found, if that can be said.
        exclude: a CSV of all crops that `--exclude` should name, if any.
        examples: groups of pictures that belong together.
    """

    title: str
    said: str
    training: str
    doubtful: bool = False
    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    exclude: str = ""
    examples: Sequence[tuple[View, ...]] = ()


@dataclass(frozen=True)
class Chart:
    """A bar chart: label and count of each bar."""

    title: str
    bars: list[tuple[str, int]]


def several_plates(loaded: Loaded) -> Finding:
    """How many plates photographs show, and those that show none."""
    photographs = loaded.compared.photographs
    several = [one for one in photographs if len(one.plates) > 1]
    empty = [one for one in photographs if not one.plates]
    partial = sum(not one.complete for one in loaded.dataset.photographs if one.plates)
    most = max((len(one.plates) for one in photographs), default=0)
    return Finding(
        "Plates on a photograph",
        f"{many(len(several), 'photograph')} with several plates, at most {most}; {len(empty)} without any.",
        "every plate with a box is learned, and a photograph without one teaches what is no plate. "
        + (
            f"On {partial} of the photographs there may be plates that nobody labelled: what the model believes to be "
            "one there is not called background."
            if partial
            else "What is outside of the boxes is taken for background."
        ),
        False,
        ("photograph", "plates"),
        [(one.img_id, str(len(one.plates))) for one in [*several, *empty]],
        examples=[(photograph_view(one),) for one in _some(several, EXAMPLES // 2) + _some(empty, EXAMPLES // 2)],
    )


def plates_on_their_side(loaded: Loaded) -> Finding:
    """Plates on photographs, and crops, that are higher than wide."""
    compared, dataset = loaded.compared, loaded.dataset
    lying = [
        (one, number)
        for one in compared.photographs
        for number, plate in enumerate(one.fingerprint.plates)
        if is_lying(plate.shape)
    ]
    used = {one.img_id: one for one in dataset.photographs + dataset.validation_photographs}
    known = sum(used[one.img_id].plates[number].turns is not None for one, number in lying)
    lost = sum(crop.turns is None for crop in dataset.crops + dataset.validation_crops)
    lying_crops = sum(is_lying(one.fingerprint.shape) for one in compared.crops)
    title = "Plates on their side"
    if not (lying or lost or lying_crops):
        return Finding(title, "none.", "turns some of the photographs, so that plates on their side are found, too.")
    return Finding(
        title,
        f"{many(len(lying), 'plate')} of photographs with a box that is higher than wide, and "
        f"{many(lying_crops, 'crop')}.",
        f"a crop that stands upright tells which way up {known} of these plates are; the other {len(lying) - known} "
        f"teach where the plate is, not what it says. Not used: {many(lost, 'crop')} that may lie on their side, too, "
        "and match no upright photograph.",
        bool(lying or lost),
        ("photograph", "box, width x height px"),
        [(one.img_id, "{1} x {0}".format(*one.fingerprint.plates[number].shape)) for one, number in lying],
        examples=[(photograph_view(one, number),) for one, number in _some(lying)],
    )


def near_twin_photographs(loaded: Loaded) -> Finding:
    """Photographs that are nearly the same."""
    compared = loaded.compared
    pairs = [(compared.photographs[first], compared.photographs[second]) for first, second in compared.twins]
    names = [(first.img_id, second.img_id) for first, second in pairs]
    held = {one.img_id for one in loaded.dataset.validation_photographs}
    apart = sum((first in held) != (second in held) for first, second in names)
    training = (
        f"of {many(apart, 'pair')} one twin is held out; the other one teaches where the plate is, not what "
        "it says, and no crop cut out of either is trained on."
        if apart
        else "both twins are held out, or both are trained on."
    )
    return Finding(
        "Near twins",
        f"{many(len(pairs), 'pair')} among {many(len({name for pair in names for name in pair}), 'photograph')} "
        "that show the same car in the same moment, or are copies.",
        training,
        bool(apart),
        ("photograph", "near twin"),
        names,
        examples=[(photograph_view(first), photograph_view(second)) for first, second in _some(pairs)],
    )


def crops_cut_out(loaded: Loaded) -> Finding:
    """Crops that are cut out of photographs."""
    compared = loaded.compared
    matches = compared.matches
    turned = [match for match in matches if match.turns]
    texts = sum(any(plate.text for plate in one.plates) for one in loaded.dataset.photographs)
    title = "Crops cut out of photographs"
    if not matches:
        return Finding(
            title,
            f"none of {many(len(compared.crops), 'crop')}: they show other cars.",
            "they teach reading, and are pasted into the boxes of photographs whose text nobody knows.",
        )
    return Finding(
        title,
        f"{len({match.crop for match in matches})} of {many(len(compared.crops), 'crop')} are cut out of "
        f"{many(len({match.photograph for match in matches}), 'photograph')}; "
        f"turned after that: {len({match.crop for match in turned})}.",
        f"a crop lends its plate on the photograph the text, so there is one on {texts} of the photographs to train "
        "on.",
        False,
        ("crop", "text", "photograph", "quarter turns", "correlation"),
        [
            (
                compared.crops[match.crop].row.img_id,
                compared.crops[match.crop].row.text or "",
                compared.photographs[match.photograph].img_id,
                str(match.turns),
                f"{match.correlation:.3f}",
            )
            for match in matches
        ],
        examples=[
            (
                photograph_view(compared.photographs[match.photograph], match.plate),
                crop_view(compared.crops[match.crop]),
            )
            for match in _some(turned, EXAMPLES // 2) + _some(matches, EXAMPLES // 2)
        ],
    )


def red_and_blue(compared: Compared, colours: Colours) -> Finding:
    """Whether red and blue are exchanged in one of the two sets."""
    title = "Red and blue"
    if not colours.comparable:
        return Finding(title, "no crop can be compared with its photograph.", "colours are varied anyway.")
    fit = (
        f"{colours.swapped} of {colours.comparable} comparable crops fit their photograph better with red and blue "
        "swapped"
    )
    shuffled = "the channels of three pictures in ten are shuffled, so that neither order matters."
    if not colours.exchanged:
        return Finding(title, f"{fit}: the two sets agree.", shuffled)
    return Finding(
        title,
        f"{fit}: they are exchanged in the crops, or in the photographs.",
        f"{shuffled} --fix exchanges them in the crops.",
        True,
        examples=[
            (
                crop_view(compared.crops[match.crop]),
                View("red and blue swapped", compared.crops[match.crop].path, swapped=True),
                photograph_view(compared.photographs[match.photograph], match.plate, cut=True),
            )
            for match in _swapped_most(compared)[: EXAMPLES // 2]
        ],
    )


def _swapped_most(compared: Compared) -> list[Match]:
    """Matches of crops with red and blue swapped, the most colourful crops first: grey shows nothing of it."""
    crops = [one.fingerprint for one in compared.crops]
    photographs = [one.fingerprint for one in compared.photographs]
    wrong = [match for match in compared.matches if count_swapped(crops, photographs, [match]) == (1, 1)]
    return sorted(wrong, key=lambda match: -np.ptp(crops[match.crop].colours[..., ::2], axis=-1).mean())


def held_out(loaded: Loaded, seed: int) -> Finding:
    """What is held out, why, and the crops that are on that side because of their text."""
    dataset, split = loaded.dataset, loaded.split
    readings = split.readings_on_photographs + split.readings_on_crops
    counts = (
        f"{many(len(dataset.validation_photographs), 'photograph')} and {many(len(dataset.validation_crops), 'crop')}"
    )
    if loaded.labelled.has_validation:
        said = f"the labels say which: {counts}, with {many(readings, 'plate')} to read."
        training = "holds out every crop with one of their texts, too: no plate is both trained on and scored on."
    else:
        said = f"the labels do not say what; drawn with seed {seed}: {counts}, with {many(readings, 'plate')} to read."
        training = "no text and no near twin is on both sides. Another --seed draws others."
    named = {one.labelled.row.img_id for one in loaded.compared.crops if one.labelled.held}
    rows = [(one.img_id, one.text) for one in dataset.validation_crops if one.img_id not in named]
    by_text = loaded.labelled.has_validation
    return Finding(
        "Held out",
        said,
        training,
        not readings,
        ("crop that is held out for its text", "text") if by_text else ("crop", "text"),
        rows,
    )


def crops_not_looked_for(folder: Path) -> Finding:
    """How to look for crops in the test photographs of a data folder."""
    test = folder / "test"
    command = f"python -m lpr_e2e check {folder} --test {test}"
    return Finding(
        _TEST_PHOTOGRAPHS,
        f"not looked for, as that takes about a second per photograph. To look for them: {command}",
        f"never reads {test}.",
    )


def crops_of_test_photographs(loaded: Loaded, test: Path, leaks: dict[str, list[Match]]) -> Finding:
    """Crops that are cut out of photographs of the folder `test`; `leaks`: those found in each readable one of them."""
    crops = loaded.compared.crops
    found = {name: matches for name, matches in leaks.items() if matches}
    leaked = sorted({match.crop for matches in found.values() for match in matches})
    ids = [crops[number].row.img_id for number in leaked]
    used = len(loaded.dataset.img_ids("crops").intersection(ids))
    return Finding(
        _TEST_PHOTOGRAPHS,
        f"{many(len(ids), 'crop')} found in {len(found)} of {many(len(leaks), 'readable photograph')} of {test}.",
        f"uses {used} of these crops, so it may read plates of the test photographs beforehand, which flatters "
        "the score on them: save the list on the page as a CSV, and train with --exclude."
        if used
        else "uses none of them.",
        bool(used),
        ("crop", "text", "test photograph"),
        [
            (crops[match.crop].row.img_id, crops[match.crop].row.text or "", name)
            for name, matches in found.items()
            for match in matches
        ],
        "\n".join(["img_id", *ids]) if ids else "",
        [(View(name, test / name), crop_view(crops[matches[0].crop])) for name, matches in _some(list(found.items()))],
    )


def box_charts(compared: Compared) -> list[Chart]:
    """Boxes of the usable photographs, in bars."""
    shapes = np.array([plate.shape for one in compared.photographs for plate in one.fingerprint.plates])
    if not len(shapes):
        return []
    return [
        Chart("Plate width, px (longer side of the box)", _bars(shapes.max(1), WIDTHS)),
        Chart("Box, width / height", _bars(shapes[:, 1] / shapes[:, 0], ASPECTS)),
    ]


def is_lying(shape: tuple[int, int]) -> bool:
    """Whether a picture of (height, width) is higher than wide."""
    height, width = shape
    return height > width


def photograph_view(photograph: PhotographPicture, plate: int | None = None, cut: bool = False) -> View:
    """A photograph with the boxes of all of its plates, or that of one drawn in, or that one cut out."""
    boxes = tuple(row.box_px for row in photograph.plates if row.box_px)
    caption = f"photograph {photograph.img_id}"
    if plate is None:
        return View(caption, photograph.path, boxes_px=boxes)
    text, box_px = photograph.plates[plate].text or "", boxes[plate]
    return View(caption, photograph.path, text, () if cut else (box_px,), box_px if cut else None)


def crop_view(crop: CropPicture) -> View:
    """A crop with its text."""
    return View(crop.row.img_id, crop.path, crop.row.text or "")


def _bars(values: np.ndarray, ends: Sequence[float]) -> list[tuple[str, int]]:
    """How many values there are from each lower end to the next, without empty bars at either end."""
    counts = np.histogram(values, [*ends, np.inf])[0].tolist()
    labels = [f"{low:g}\u2013{high:g}" for low, high in zip(ends, ends[1:], strict=False)] + [f"{ends[-1]:g}+"]
    filled = np.flatnonzero(counts)
    return list(zip(labels, counts, strict=True))[filled[0] : filled[-1] + 1]


def _some(items: Sequence, count: int = EXAMPLES) -> list:
    """At most `count` of the items, from all over the list."""
    return list(items[:: -(-len(items) // count) or 1])
