"""What is no fault of a row, but good to know before a training. Each finding also says what training does about it.

A finding is made by one function of what was read, and shown by `lpr_e2e.data.check` as text and by
`lpr_e2e.data.check_page` with pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lpr_e2e.common.terminal import many
from lpr_e2e.data.fingerprints import CropFingerprint, PhotographFingerprint, Picture
from lpr_e2e.data.matching import Colours, Compared, Match, count_swapped
from lpr_e2e.data.samples import Dataset
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.data.tables import Table

# Groups of pictures that a finding shows.
EXAMPLES = 8
# Lower ends of the bars: plate widths in pixels, and boxes' widths by their heights.
WIDTHS = (0, 20, 40, 60, 80, 100, 120, 150, 200, 250, 300, 400, 600)
ASPECTS = (0, 0.3, 0.5, 0.8, 1.1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6)

_TEST_PHOTOGRAPHS = "Crops cut out of test photographs"


@dataclass(frozen=True)
class View:
    """A picture on the page: a file's, with a box (yxyx, pixels) drawn in or cut out, or with red and blue swapped."""

    caption: str
    path: Path
    box_px: tuple[float, float, float, float] | None = None
    cut: bool = False
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


def plates_on_their_side(compared: Compared, dataset: Dataset) -> Finding:
    """Photographs and crops that are higher than wide."""
    lying = [one for one in compared.photographs if _is_lying(one)]
    ids = {one.row.img_id for one in lying}
    used = dataset.photographs + dataset.validation_photographs
    known = sum(one.img_id in ids and one.turns is not None for one in used)
    lost = sum(crop.turns is None for crop in dataset.crops + dataset.validation_crops)
    lying_crops = sum(map(_is_lying, compared.crops))
    return Finding(
        "Plates on their side",
        f"{many(len(lying), 'photograph')} with a box that is higher than wide, and {many(lying_crops, 'crop')}.",
        f"a crop that stands upright tells which way up {known} of these photographs are; the other "
        f"{len(lying) - known} teach where the plate is, not what it says. Not used: {many(lost, 'crop')} that "
        "may lie on their side, too, and match no upright photograph.",
        bool(lying or lost),
        ("photograph", "box, width x height px"),
        [(one.row.img_id, "{1} x {0}".format(*one.fingerprint.shape)) for one in lying],
        examples=[(_photograph(one),) for one in _some(lying)],
    )


def near_twin_photographs(compared: Compared, dataset: Dataset, drawn: bool) -> Finding:
    """Photographs that are nearly the same; `drawn`: whether the split was drawn, so that it could heed them."""
    pairs = [(compared.photographs[first], compared.photographs[second]) for first, second in compared.twins]
    names = [(first.row.img_id, second.row.img_id) for first, second in pairs]
    held = {one.img_id for one in dataset.validation_photographs}
    apart = sum((first in held) != (second in held) for first, second in names)
    training = (
        "both twins are held out, or both are trained on."
        if drawn
        else f"of {many(apart, 'pair')} one twin is held out; the other one teaches where the plate is, not what "
        "it says, and no crop cut out of either is trained on."
    )
    return Finding(
        "Near twins",
        f"{many(len(pairs), 'pair')} among {many(len({name for pair in names for name in pair}), 'photograph')} "
        "that show the same car in the same moment, or are copies.",
        training,
        bool(apart),
        ("photograph", "near twin"),
        names,
        examples=[(_photograph(first), _photograph(second)) for first, second in _some(pairs)],
    )


def crops_cut_out(compared: Compared, dataset: Dataset) -> Finding:
    """Crops that are cut out of photographs."""
    matches = compared.matches
    turned = [match for match in matches if match.turns]
    texts = sum(one.text is not None for one in dataset.photographs)
    return Finding(
        "Crops cut out of photographs",
        f"{len({match.crop for match in matches})} of {many(len(compared.crops), 'crop')} are cut out of "
        f"{many(len({match.photograph for match in matches}), 'photograph')}; "
        f"turned after that: {len({match.crop for match in turned})}.",
        f"a crop lends its photograph the text, so there is one for {texts} of the photographs to train on.",
        False,
        ("crop", "text", "photograph", "quarter turns", "correlation"),
        [
            (
                compared.crops[match.crop].row.img_id,
                compared.crops[match.crop].row.text,
                compared.photographs[match.photograph].row.img_id,
                str(match.turns),
                f"{match.correlation:.3f}",
            )
            for match in matches
        ],
        examples=[
            (_photograph(compared.photographs[match.photograph]), _crop(compared.crops[match.crop]))
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
            (_crop(crop), View("red and blue swapped", crop.path, swapped=True), _photograph(photograph, cut=True))
            for crop, photograph in _swapped_most(compared)[: EXAMPLES // 2]
        ],
    )


def _swapped_most(
    compared: Compared,
) -> list[tuple[Picture[CropFingerprint], Picture[PhotographFingerprint]]]:
    """Crops with red and blue swapped, each with its photograph, the most colourful first: grey shows nothing of it."""
    crops = [one.fingerprint for one in compared.crops]
    photographs = [one.fingerprint for one in compared.photographs]
    wrong = [match for match in compared.matches if count_swapped(crops, photographs, [match]) == (1, 1)]
    wrong.sort(key=lambda match: -np.ptp(crops[match.crop].colours[..., ::2], axis=-1).mean())
    return [(compared.crops[match.crop], compared.photographs[match.photograph]) for match in wrong]


def texts_to_hold_out(compared: Compared, dataset: Dataset, tables: dict[str, Table]) -> Finding:
    """Texts on both sides of the split."""
    title = "Texts to hold out"
    if "validation" not in tables:
        return Finding(
            title,
            "there is no validation table.",
            f"draws {many(len(dataset.validation_photographs), 'photograph')} and "
            f"{many(len(dataset.validation_crops), 'crop')} (with --seed 0), such that no text and no near twin is "
            "on both sides.",
        )
    table = tables["validation"]
    keys = {same_plate_key(values["text"]) for _, values in table.records}
    rows = [one.row for one in compared.crops if same_plate_key(one.row.text) in keys]
    return Finding(
        title,
        f"{many(len({same_plate_key(row.text) for row in rows}), 'text')} of {table.path.name} also in "
        f"{tables['recognition'].path.name}, on {many(len(rows), 'crop')}.",
        f"holds these crops out, too ({len(dataset.validation_crops)} that it does not leave out anyway): no "
        "plate is both trained on and scored on.",
        False,
        ("crop", "text"),
        [(row.img_id, row.text) for row in rows],
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


def crops_of_test_photographs(
    compared: Compared, dataset: Dataset, test: Path, leaks: dict[str, list[Match]]
) -> Finding:
    """Crops that are cut out of photographs of the folder `test`; `leaks`: those found in each readable one of them."""
    found = {name: matches for name, matches in leaks.items() if matches}
    leaked = sorted({match.crop for matches in found.values() for match in matches})
    ids = [compared.crops[number].row.img_id for number in leaked]
    used = len(dataset.img_ids("crops").intersection(ids))
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
            (compared.crops[match.crop].row.img_id, compared.crops[match.crop].row.text, name)
            for name, matches in found.items()
            for match in matches
        ],
        "\n".join(["img_id", *ids]) if ids else "",
        [
            (View(name, test / name), _crop(compared.crops[matches[0].crop]))
            for name, matches in _some(list(found.items()))
        ],
    )


def charts(compared: Compared) -> list[Chart]:
    """Texts of the usable crops, and boxes of the usable photographs, in bars."""
    texts = [one.row.text for one in compared.crops]
    lengths, characters = Counter(map(len, texts)), Counter("".join(texts))
    shapes = np.array([one.fingerprint.shape for one in compared.photographs])
    every_length = range(min(lengths), max(lengths) + 1)
    return [
        Chart(
            f"Characters of a text ({len(set(texts))} different texts on {many(len(texts), 'crop')})",
            [(str(length), lengths[length]) for length in every_length],
        ),
        Chart("Uses of a character", sorted(characters.items())),
        Chart("Plate width, px (longer side of the box)", _bars(shapes.max(1), WIDTHS)),
        Chart("Box, width / height", _bars(shapes[:, 1] / shapes[:, 0], ASPECTS)),
    ]


def _is_lying(picture: Picture) -> bool:
    height, width = picture.fingerprint.shape
    return height > width


def _photograph(photograph: Picture[PhotographFingerprint], cut: bool = False) -> View:
    return View(f"photograph {photograph.row.img_id}", photograph.path, photograph.row.box_px, cut)


def _crop(crop: Picture[CropFingerprint]) -> View:
    return View(f"{crop.row.img_id}: {crop.row.text}", crop.path)


def _bars(values: np.ndarray, ends: Sequence[float]) -> list[tuple[str, int]]:
    """How many values there are from each lower end to the next, without empty bars at either end."""
    counts = np.histogram(values, [*ends, np.inf])[0].tolist()
    labels = [f"{low:g}\u2013{high:g}" for low, high in zip(ends, ends[1:], strict=False)] + [f"{ends[-1]:g}+"]
    filled = np.flatnonzero(counts)
    return list(zip(labels, counts, strict=True))[filled[0] : filled[-1] + 1]


def _some(items: Sequence, count: int = EXAMPLES) -> list:
    """At most `count` of the items, from all over the list."""
    return list(items[:: -(-len(items) // count) or 1])
