"""Labels that the model adds itself after stage one, from what it can read by then.

Four things are missing in the data: the texts of the photographs from which no crop was cut, where on a plate each
character stands, what the country's letters look like, and by how much a plate is tilted in its box. The reader of
stage one knows most of them. Its certain readings of true boxes become texts of stage two (self-training, after Lee
2013 "Pseudo-Label"). The places it looked at let real plates be cut between their characters and put together anew: a
real surface with a number that no plate of the data has. The characters there, averaged over many plates, are the
letters of drawn ones (`letterforms`). The tilt at which it reads a plate best is what the box head learns.

Readings that say a number which is held out or excluded, or nearly so, are not used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from keras import ops

from lpr_e2e.common.architecture import MOST_TILT
from lpr_e2e.common.boxes import aspect, letterbox, turn_box, turn_picture, upright_glimpse
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.scripts import is_digit, is_letter, kind
from lpr_e2e.common.vocabulary import UNSEEN, weakest
from lpr_e2e.data.samples import Dataset, Photograph, PlateKey, ReadablePlate, readable_plates
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.drawing.letters import Looks
from lpr_e2e.evaluation.calibration import certainty_bar
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.engines.keras_model import KerasEngine
from lpr_e2e.training.augmentation import rearranged
from lpr_e2e.training.letterforms import LetterForms
from lpr_e2e.training.pseudo_labels import PseudoLabels

# A reading is used as a label if its weakest character is as certain, in the mean of all scales, as held-out readings
# have to be so that this share of them is surely right; never less certain than the first number, and as certain as the
# second where too little is held out to tell.
LABEL_PRECISION, LABEL_CERTAINTY, _UNPROVED_CERTAINTY = 0.93, 0.9, 0.97
# Cut lines are moved to the emptiest column within this share of the distance between two characters.
_SNAP = 0.3
# Characters side by side: not closer than this, in widths of the glimpse; their distances differ by no more than this
# factor; they rise and fall by no more than this, in heights of the glimpse.
_CLOSEST, _UNEVEN, _LEVEL = 0.03, 1.7, 0.15
_BATCH = 64
# Rearrangements that the model must read rightly before a plate's cuts are used.
_TRIALS = 2
# Tilts that are tried, radians.
_TILTS = np.linspace(-MOST_TILT, MOST_TILT, 19)


def label(model: PlateModel, dataset: Dataset, share: float = 1.0) -> PseudoLabels:
    """Label what is trained on, with a model that can read; each of several data sets for itself.

    Args:
        model: a model after stage one.
        dataset: its data; what is held out only tells how far the model's certainty can be trusted.
        share: of the photographs with a plate without a text, the share whose plates may get one.
    """
    own = PseudoLabels()
    for name, part in dataset.by_set().items():
        own.letters[name] = _label(model, part, share, own)
    return own


def _label(model: PlateModel, dataset: Dataset, share: float, own: PseudoLabels) -> Looks:
    """Add the labels of one data set to those that there are; and what its letters look like."""
    unknown = [one for one in dataset.photographs if any(plate.text is None for plate in one.plates)]
    bar = bar_for_labels(model, dataset)
    for key, reading in _certain_readings(model, unknown[: round(share * len(unknown))], bar):
        if not any(_nearly_equal(same_plate_key(reading[0]), withheld) for withheld in dataset.withheld):
            own.readings[key] = reading
    known = [
        one
        for one in readable_plates(own.applied(dataset.photographs), dataset.crops)
        if model.vocabulary.spells(one.text)
    ]
    straight = dataset.straight_aspect()
    for one in known:
        if one.box_px is not None and aspect(one.box_px) <= straight:
            tilt = _tilt_of_best_reading(model, one)
            if tilt is not None:
                own.tilts[one.key] = tilt
    forms = LetterForms()
    for start in range(0, len(known), _BATCH):
        own.cuts.update(_cuts(model, known[start : start + _BATCH], forms))
    return forms.looks()


def _cuts(
    model: PlateModel, plates: Sequence[ReadablePlate], forms: LetterForms
) -> dict[PlateKey, list[tuple[int, np.ndarray]]]:
    """Where plates can be cut between their characters, for those where it is clear.

    Args:
        model: reads them.
        plates: with a text.
        forms: collects the characters of those that can be cut.
    """
    pictures = [_upright(one.path, one.box_px, one.turns) for one in plates]
    glimpses = np.stack([_glimpse(model, *picture) for picture in pictures])
    groups, margin = [], model.procedure.margin[1]
    answers = _answers(model, glimpses)
    for one, glimpse, (classes, attention) in zip(plates, glimpses, answers, strict=True):
        right = np.array_equal(classes, model.vocabulary.encode(one.text))
        groups.append(groups_between(glimpse, attention[: len(one.text)], one.text, margin) if right else [])
    # The cuts are good where the model reads the plate rightly after its characters have changed places.
    for seed in range(_TRIALS):
        rng = np.random.default_rng(seed)
        trials = [
            rearranged(*picture, cuts, one.text, rng)
            for picture, cuts, one in zip(pictures, groups, plates, strict=True)
        ]
        read = _answers(
            model,
            np.stack([_glimpse(model, trial, box) for (trial, _), (_, box) in zip(trials, pictures, strict=True)]),
        )
        for number, ((_, text), (classes, _)) in enumerate(zip(trials, read, strict=True)):
            if not np.array_equal(classes, model.vocabulary.encode(text)):
                groups[number] = []
    above = model.procedure.margin[0]
    for one, picture, cuts, (_, attention) in zip(plates, pictures, groups, answers, strict=True):
        levels = _middles(attention)[0] * (1 + 2 * above) - above
        for start, places in cuts:
            word = slice(start, start + len(places) - 1)
            forms.add(*picture, one.text[word], places, float(levels[word].mean()))
    return {one.key: cuts for one, cuts in zip(plates, groups, strict=True) if cuts}


def _upright(path: Path, box_px, turns: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture with its plate upright, uint8, and the plate's box in it, yxyx; without a box it is the picture."""
    picture = read_picture(path)
    box = (0, 0, *picture.shape[:2]) if box_px is None else box_px
    box = turn_box(box, *picture.shape[:2], turns)
    return turn_picture(picture, turns), box


def _glimpse(model: PlateModel, picture: np.ndarray, box, scale: float = 1.0) -> np.ndarray:
    return upright_glimpse(picture, box, 0, model.architecture.glimpse_size, model.procedure.window_margin(scale))


def _answers(model: PlateModel, glimpses: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Classes `(slots,)` and attention `(slots, rows, columns)` of each glimpse."""
    answer = KerasEngine(model).read(glimpses)
    return list(zip(answer["logits"].argmax(-1), answer["attention"], strict=True))


def bar_for_labels(model: PlateModel, dataset: Dataset) -> float:
    """The certainty from which on a reading becomes a label, see `LABEL_PRECISION`; above 1 if none does."""
    known = list(readable_plates(dataset.validation_photographs, dataset.validation_crops))
    answers = _readings(model, [(one.path, one.box_px, one.turns) for one in known])
    confidences = [certainty for _, certainty in answers]
    right = [text == one.text for (text, _), one in zip(answers, known, strict=True)]
    bar = certainty_bar(confidences, right, LABEL_PRECISION)
    if bar is not None:
        return max(LABEL_CERTAINTY, bar)
    certain = [one for one, certainty in zip(right, confidences, strict=True) if certainty >= _UNPROVED_CERTAINTY]
    disproved = certain and sum(certain) < LABEL_PRECISION * len(certain)
    return float("inf") if disproved else _UNPROVED_CERTAINTY


def _readings(model: PlateModel, views: Sequence[tuple]) -> list[tuple[str, float]]:
    """Text and certainty of plates given by path, box and turns, in the mean of all scales of the glimpse."""
    engine, scales = KerasEngine(model), model.procedure.reading_scales
    answers = []
    for start in range(0, len(views), _BATCH // len(scales)):
        batch = views[start : start + _BATCH // len(scales)]
        glimpses = [_glimpse(model, *_upright(*view), scale) for view in batch for scale in scales]
        logits = engine.read(np.stack(glimpses))["logits"]
        logs = np.asarray(ops.log_softmax(logits))
        means = np.exp(logs.reshape(len(batch), len(scales), *logits.shape[1:]).mean(1))
        for mean in means:
            text, certainties = model.vocabulary.decode(mean / mean.sum(-1, keepdims=True))
            # What is not seen whole says nothing about the plate.
            answers.append((text, 0.0 if UNSEEN in text else weakest(text, certainties)))
    return answers


def _certain_readings(
    model: PlateModel, photographs: Sequence[Photograph], bar: float
) -> Iterator[tuple[PlateKey, tuple[str, int]]]:
    """Text and turns of the plates without a text that are read with certainty one way up, and no other."""
    views = [
        (("photograph", one.img_id, number), turns, (one.path, plate.box_px, turns))
        for one in photographs
        for number, plate in enumerate(one.plates)
        if plate.text is None
        for turns in ([0, 1, 2, 3] if plate.turns is None else [plate.turns])
    ]
    certain: dict[PlateKey, list[tuple[str, int]]] = defaultdict(list)
    for (key, turns, _), (text, certainty) in zip(views, _readings(model, [view for *_, view in views]), strict=True):
        if text and certainty >= bar:
            certain[key].append((text, turns))
    for key, found in certain.items():
        if len(found) == 1:
            yield key, found[0]


def _tilt_of_best_reading(model: PlateModel, plate: ReadablePlate) -> float | None:
    """The tilt at which a photograph's plate's text is the likeliest, radians; None if it is not read there."""
    size, grey = model.architecture.canvas_size, model.procedure.letterbox_grey
    canvas, frame = letterbox(read_picture(plate.path), size, grey=grey)
    boxes_rel = np.tile(frame.to_rel(plate.box_px), (len(_TILTS), 1)).astype("float32")
    turns = np.full(len(_TILTS), plate.turns, "int32")
    glimpses = model.cut(canvas[None], boxes_rel, turns, tilts=_TILTS.astype("float32"))
    logits = KerasEngine(model).read(np.asarray(glimpses))["logits"]
    classes = model.vocabulary.encode(plate.text)
    logs = np.asarray(ops.log_softmax(logits))
    likelihoods = np.take_along_axis(logs, np.tile(classes, (len(logs), 1))[..., None], axis=-1).sum((1, 2))
    # Neighbouring tilts are read almost as well: their mean is steadier than the best alone.
    best = int(np.argmax(np.convolve(likelihoods, np.ones(3) / 3, mode="same")[1:-1])) + 1
    return float(_TILTS[best]) if np.array_equal(logits[best].argmax(-1), classes) else None


def _nearly_equal(text: str, other: str) -> bool:
    """Whether the texts differ in one character at most: that would be one plate, read a little wrongly."""
    return len(text) == len(other) and sum(a != b for a, b in zip(text, other, strict=True)) <= 1


def groups_between(
    glimpse: np.ndarray, attention: np.ndarray, text: str, margin: float
) -> list[tuple[int, np.ndarray]]:
    """Where to cut an upright plate between its characters.

    Args:
        glimpse: uint8 `(height, width, 3)`, with the usual margins.
        attention: `(n, rows, columns)`: where each of the n characters was looked for.
        text: what the plate says.
        margin: share of the plate's width that the glimpse shows on each side of it.

    Returns:
        see `PseudoLabels.cuts`; empty if nowhere two digits, or two letters, clearly stand side by side.
    """
    heights, centres = _middles(attention)
    grey = cv2.cvtColor(glimpse, cv2.COLOR_RGB2GRAY).astype("float32")
    busy = grey[round(0.25 * len(grey)) : round(0.75 * len(grey))].std(0)
    groups = []
    for start, end in _words(text):
        places, levels = centres[start:end], heights[start:end]
        gaps = np.diff(places)
        if gaps.min() < _CLOSEST or gaps.max() > _UNEVEN * gaps.min() or np.ptp(levels) > _LEVEL:
            continue
        lines = [places[0] - gaps[0] / 2, *(places[:-1] + gaps / 2), places[-1] + gaps[-1] / 2]
        cuts = [_emptiest(busy, line, _SNAP * gap) for line, gap in zip(lines, [gaps[0], *gaps], strict=False)]
        cuts.append(_emptiest(busy, lines[-1], _SNAP * gaps[-1]))
        # From widths of the glimpse to widths of the box in it.
        groups.append((start, np.array(cuts) * (1 + 2 * margin) - margin))
    return groups


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each number, and of each word of letters of one script: what is a text of the same form when its
    characters change places. A province before letters is of another script, and keeps its place."""
    start = 0
    for _, run in groupby(text, key=kind):
        end = start + len(list(run))
        if end - start > 1 and (is_digit(text[start]) or is_letter(text[start])):
            yield start, end
        start = end


def _middles(attention: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where characters were looked for, `(n, rows, columns)`: `(n,)` heights and `(n,)` widths of the glimpse."""
    rows, columns = attention.shape[1:]
    # Around the strongest column only: a little attention lies everywhere.
    along = attention.sum(1)
    near = np.abs(np.arange(columns) - along.argmax(1)[:, None]) <= columns // 16
    along = along * near
    centres = (along * (np.arange(columns) + 0.5)).sum(1) / along.sum(1) / columns
    across = (attention * near[:, None]).sum(2)
    heights = (across * (np.arange(rows) + 0.5)).sum(1) / across.sum(1) / rows
    return heights, centres


def _emptiest(busy: np.ndarray, place: float, reach: float) -> float:
    """The place of the least busy column within `reach` of a place, in widths; nearer ones are preferred a little."""
    width = len(busy)
    place = min(max(place, 0.5 / width), 1 - 0.5 / width)  # Behind a character at the very edge lies no column.
    low, high = max(0, round((place - reach) * width)), min(width - 1, round((place + reach) * width))
    columns = np.arange(min(low, width - 1), high + 1)
    away = np.abs((columns + 0.5) / width - place) / reach
    return (columns[np.argmin(busy[columns] * (1 + 0.3 * away))] + 0.5) / width
