"""How a model copes with what a validation set lacks: turned, blurred, distant photographs, plates seen in part, none.

The held-out photographs are read as they are, turned by 90, 180 and 270 degrees, blurred along their rows as by a car
that drives past, and as small parts of pictures of eight megapixels; those whose plate is read rightly also with the
plate cut off, cut out, covered, mirrored, out of focus and too small. So are windows of photographs that miss the
plate, and the held-out crops. The readings are those of `lpr-e2e predict`; nothing is trained or chosen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lpr_e2e.common.boxes import turn_box, turn_picture
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.scripts import is_digit, is_letter
from lpr_e2e.common.text_forms import MOST_MARKS
from lpr_e2e.data.samples import Crop, Photograph
from lpr_e2e.evaluation.matching import Outcome, match
from lpr_e2e.evaluation.scoring import Figures, score
from lpr_e2e.evaluation.truth import Box, Known, TruePlate, Truth
from lpr_e2e.experiments.disturbances import DISTURBANCES, Disturbance
from lpr_e2e.experiments.wide_scenes import PLATE_WIDTHS_PX, wide_scenes
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.training.light import motion_blur

# A window beside the plate is no photograph any more if it is thinner than this, in pixels.
SMALLEST_WINDOW = 96
# Share of the plates on which the reader must not err: its most certain ones.
CERTAIN_SHARE = 0.9
# How far the photographs move while they are taken, in their own pixels.
MOTIONS_PX = (5, 9)
# Of `Robustness`, what is a table of its own.
_TABLES = ("turned", "moved", "distant", "disturbed", "crops")
# Crops less than this many times as wide as high hold two lines, or a tilted plate.
HIGH_ASPECT = 2.2


@dataclass(frozen=True)
class Robustness:
    """What `measure` found. Shares are 0..1.

    Attributes:
        turned: plate accuracy and mean IoU of the held-out photographs, by the degrees they were turned
            counter-clockwise; 0 is as they are.
        moved: plate accuracy of the held-out photographs blurred along their rows by so many pixels, and the plates
            that were read wrongly with the status `ok` then.
        distant: of plates on pictures of eight megapixels, by their width in pixels: how many there are, how many were
            read rightly, and how many wrongly with the status `ok`.
        disturbed: of plates that are read rightly as they are, by what was done to them: how many there are, and how
            many were read rightly and wrongly with the status `ok` then.
        certain: number of plates in the most certain `CERTAIN_SHARE`.
        certain_errors: wrong readings among them.
        windows: number of windows without a plate.
        false_readings: windows in which a text was read with the status `ok`.
        crops: number of held-out crops and their plate accuracy, in their own frame: of all, and of kinds of them.
    """

    turned: dict[int, tuple[float, float]]
    moved: dict[int, tuple[float, int]]
    distant: dict[int, tuple[int, int, int]]
    disturbed: dict[str, tuple[int, int, int]]
    certain: int
    certain_errors: int
    windows: int
    false_readings: int
    crops: dict[str, tuple[int, float]]

    def table(self) -> str:
        """The figures as lines of text for people."""
        rows = [("held-out photographs", "plate accuracy", "mean IoU")]
        for degrees, (plates, iou) in self.turned.items():
            rows.append((f"turned by {degrees} degrees" if degrees else "as they are", f"{plates:.1%}", f"{iou:.3f}"))
        for pixels, (plates, wrong) in self.moved.items():
            rows.append((f"blurred by {pixels} pixels of motion", f"{plates:.1%}", f"{wrong} ok, wrong"))
        for pixels, (count, right, wrong) in self.distant.items():
            rows.append((f"{pixels} of 3840 pixels wide, {count}", f"{right / count:.1%}", f"{wrong} ok, wrong"))
        for name, (plates, right, wrong) in self.disturbed.items():
            rows.append((f"{name}, of {plates} read rightly", f"{right} ok, right", f"{wrong} ok, wrong"))
        most = f"errors in the most certain {CERTAIN_SHARE:.0%}"
        rows.append((most, str(self.certain_errors), f"of {self.certain}"))
        rows.append(("readings where there is no plate", str(self.false_readings), f"of {self.windows}"))
        for kind, (count, right) in self.crops.items():
            rows.append((f"held-out crops: {kind}", f"{right:.1%}", f"of {count}"))
        return "\n".join(f"{name:<38}{first:>16}{second:>14}" for name, first, second in rows)

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return {
            **{name: value for name, value in vars(self).items() if name not in _TABLES},
            "crops": {kind: {"crops": count, "plates_right": right} for kind, (count, right) in self.crops.items()},
            "turned": {
                str(degrees): {"plates_right": plates, "mean_iou": iou}
                for degrees, (plates, iou) in self.turned.items()
            },
            "distant": {
                str(pixels): {"plates": count, "right": right, "ok_and_wrong": wrong}
                for pixels, (count, right, wrong) in self.distant.items()
            },
            "disturbed": {
                name: {"plates": plates, "ok_and_right": right, "ok_and_wrong": wrong}
                for name, (plates, right, wrong) in self.disturbed.items()
            },
            "moved": {
                str(pixels): {"plates_right": plates, "ok_and_wrong": wrong}
                for pixels, (plates, wrong) in self.moved.items()
            },
        }


def measure(
    reader: PlateReader,
    held_out: Sequence[Photograph],
    others: Sequence[Photograph] = (),
    crops: Sequence[Crop] = (),
    windows: int = 200,
    seed: int = 0,
) -> Robustness:
    """Measure a reader.

    Args:
        reader: the reader.
        held_out: photographs that the model has not seen; those with a text count.
        others: more photographs, for windows where the held-out ones are too few.
        crops: crops with text that the model has not seen.
        windows: number of windows without a plate; less if there are not enough photographs.
        seed: of the windows, the disturbances and the wide scenes.
    """
    held_out = [one for one in held_out if any(plate.text for plate in one.plates)]
    turned: dict[int, tuple[float, float]] = {}
    upright: dict[str, list[Reading]] = {}
    for quarters in range(4):
        figures, readings = _read_turned(reader, held_out, quarters)
        turned[90 * quarters] = (figures.plates_right or 0.0, figures.mean_iou or 0.0)
        upright = upright or readings
    moved = {pixels: _read_moved(reader, held_out, pixels) for pixels in MOTIONS_PX}
    distant = {
        pixels: counts
        for pixels in PLATE_WIDTHS_PX
        if (counts := _read_distant(reader, held_out, pixels, seed))[0]  # No photograph may have plates so wide.
    }
    clear = [one for one in held_out if _is_read_rightly(one, upright)]
    disturbed = {name: _read_disturbed(reader, clear, change, seed) for name, change in DISTURBANCES.items()}
    certain, errors = certain_errors(held_out, upright)
    named = plate_free_windows([*held_out, *others], windows, np.random.default_rng(seed))
    false = [any(one.status == "ok" for one in readings) for _, _, readings in reader.read_files(named)]
    kinds = _crops_right(reader, crops)
    return Robustness(turned, moved, distant, disturbed, certain, errors, len(false), sum(false), kinds)


def certain_errors(
    truths: Sequence[Known], readings: Mapping[str, Sequence[Reading]], share: float = CERTAIN_SHARE
) -> tuple[int, int]:
    """How many plates the most certain `share` of those with a text are, and how many of these are read wrongly."""
    known = _outcomes(truths, readings)
    accepted = sorted(known, key=lambda one: -one.confidence)[: round(share * len(known))]
    return len(accepted), sum(not one.is_right for one in accepted)


def plate_free_windows(
    photographs: Sequence[Photograph], count: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Windows of photographs that lie wholly beside all plates, at most one per photograph.

    Each is a random part, between a half and all, of one of the `_bands`; larger bands are likelier. A photograph on
    which there may be further plates, which nobody labelled, gives none.

    Yields:
        a name and uint8 RGB `(h, w, 3)`, at least `SMALLEST_WINDOW` pixels high and wide.
    """
    for photograph in photographs:
        if count <= 0:
            return
        if not photograph.complete:
            continue
        picture = read_picture(photograph.path)
        bands = _bands(photograph, *picture.shape[:2])
        if not bands:
            continue
        areas = np.array([(bottom - top) * (right - left) for top, left, bottom, right in bands], "float64")
        top, left, bottom, right = bands[rng.choice(len(bands), p=areas / areas.sum())]
        rows = max(SMALLEST_WINDOW, int((bottom - top) * rng.uniform(0.5, 1)))
        columns = max(SMALLEST_WINDOW, int((right - left) * rng.uniform(0.5, 1)))
        top = int(rng.integers(top, bottom - rows + 1))
        left = int(rng.integers(left, right - columns + 1))
        count -= 1
        yield f"window of {photograph.img_id}", picture[top : top + rows, left : left + columns]


def _bands(photograph: Photograph, height: int, width: int) -> list[tuple[int, int, int, int]]:
    """The bands over the whole width, and those over the whole height, that no plate reaches into: yxyx, whole pixels.

    Those thinner than `SMALLEST_WINDOW` are left out.
    """
    boxes = [plate.box_px for plate in photograph.plates]
    rows = _gaps([(box[0], box[2]) for box in boxes], height)
    columns = _gaps([(box[1], box[3]) for box in boxes], width)
    bands = [(top, 0, bottom, width) for top, bottom in rows] + [(0, left, height, right) for left, right in columns]
    return [band for band in bands if min(band[2] - band[0], band[3] - band[1]) >= SMALLEST_WINDOW]


def _gaps(taken: Sequence[tuple[float, float]], length: int) -> list[tuple[int, int]]:
    """What of 0..`length` lies in none of the intervals, rounded inwards to whole pixels."""
    gaps, start = [], 0
    for low, high in sorted(taken):
        gaps.append((start, max(0, int(np.floor(low)))))
        start = max(start, int(np.ceil(high)))
    return [(low, high) for low, high in [*gaps, (start, length)] if low < high]


def _read_turned(
    reader: PlateReader, photographs: Sequence[Photograph], quarters: int
) -> tuple[Figures, dict[str, list[Reading]]]:
    return _read_changed(
        reader,
        photographs,
        lambda picture: turn_picture(picture, quarters),
        lambda box, height, width: tuple(turn_box(box, height, width, quarters).tolist()),
    )


def _read_moved(reader: PlateReader, photographs: Sequence[Photograph], pixels: int) -> tuple[float, int]:
    """Plate accuracy of photographs blurred by motion, and how many plates are `ok` and wrong then."""
    figures, readings = _read_changed(
        reader, photographs, lambda picture: motion_blur(picture, pixels, 0.0), lambda box, height, width: box
    )
    return figures.plates_right or 0.0, _counted(photographs, readings)[2]


def _outcomes(truths: Sequence[Known], readings: Mapping[str, Sequence[Reading]]) -> list[Outcome]:
    """What became of each plate that has a text."""
    return [one for truth in truths for one in match(truth, readings[truth.img_id]).outcomes if one.plate.text]


def _counted(truths: Sequence[Known], readings: Mapping[str, Sequence[Reading]]) -> tuple[int, int, int]:
    """How many plates have a text, how many of these are read rightly, and how many wrongly with the status `ok`."""
    known = _outcomes(truths, readings)
    wrong = sum(one.reading is not None and one.reading.status == "ok" and not one.is_right for one in known)
    return len(known), sum(one.is_right for one in known), wrong


def _read_distant(
    reader: PlateReader, photographs: Sequence[Photograph], pixels: int, seed: int
) -> tuple[int, int, int]:
    """What `_counted` counts of the plates of wide scenes, so many pixels wide."""
    truths = []

    def scenes() -> Iterator[tuple[str, np.ndarray]]:
        for truth, scene in wide_scenes(photographs, pixels, seed):
            truths.append(truth)
            yield truth.img_id, scene

    readings = {img_id: found for img_id, _, found in reader.read_files(scenes())}
    return _counted(truths, readings)


def _is_read_rightly(photograph: Photograph, readings: Mapping[str, Sequence[Reading]]) -> bool:
    """Whether it shows one plate, the right way up, whose text was read."""
    outcomes = match(photograph, readings[photograph.img_id]).outcomes
    return len(outcomes) == 1 and photograph.plates[0].turns in (0, None) and outcomes[0].is_right


def _read_disturbed(
    reader: PlateReader, photographs: Sequence[Photograph], change: Disturbance, seed: int
) -> tuple[int, int, int]:
    """How many photographs could be changed, and how many texts are right and wrong with the status `ok` then."""

    def changed() -> Iterator[tuple[str, np.ndarray]]:
        for number, one in enumerate(photographs):
            (plate,) = one.plates
            rng = np.random.default_rng([seed, number])
            picture = change(read_picture(one.path), np.array(plate.box_px), len(plate.text or ""), rng)
            if picture is not None:
                yield one.img_id, picture

    texts = {one.img_id: one.plates[0].text for one in photographs}
    count = right = wrong = 0
    for img_id, _, readings in reader.read_files(changed()):
        believed = [one.text == texts[img_id] for one in readings if one.status == "ok"]
        count, right, wrong = count + 1, right + any(believed), wrong + (not all(believed))
    return count, right, wrong


def _read_changed(
    reader: PlateReader,
    photographs: Sequence[Photograph],
    change: Callable[[np.ndarray], np.ndarray],
    box_after: Callable[[Box, int, int], Box],
) -> tuple[Figures, dict[str, list[Reading]]]:
    """Read changed photographs, whose boxes have moved with them.

    Args:
        reader: the reader.
        photographs: those to read.
        change: a photograph, uint8 RGB `(h, w, 3)`, as it is to be read.
        box_after: where a box of it, yxyx in pixels of a photograph of this height and width, lies then.

    Returns:
        the figures, and the readings by `img_id`.
    """
    truths = []

    def changed():
        for photograph in photographs:
            picture = read_picture(photograph.path)
            plates = tuple(
                TruePlate(box_after(plate.box_px, *picture.shape[:2]), plate.text) for plate in photograph.plates
            )
            truths.append(Truth(photograph.img_id, plates, photograph.complete))
            yield photograph.img_id, change(picture)

    readings = {img_id: found for img_id, _, found in reader.read_files(changed())}
    return score(truths, readings, reader.vocabulary), readings


def _crops_right(reader: PlateReader, crops: Sequence[Crop]) -> dict[str, tuple[int, float]]:
    """Number and plate accuracy of upright crops, by kind; kinds without a crop are left out."""
    crops = [crop for crop in crops if crop.turns is not None]
    pictures = [turn_picture(read_picture(crop.path), crop.turns or 0) for crop in crops]
    readings = reader.read_crops(pictures)
    patterns = _series([crop.text for crop in crops])
    usual = Counter(patterns).most_common(1)[0][0] if patterns else ""
    kinds: dict[str, list[bool]] = {}
    for crop, picture, pattern, reading in zip(crops, pictures, patterns, readings, strict=True):
        high = picture.shape[1] < HIGH_ASPECT * picture.shape[0]
        for kind, holds in (
            ("all", True),
            (f"high, such as two lines (below {HIGH_ASPECT}:1)", high),
            (f"series {pattern}", pattern != usual),
        ):
            if holds:
                kinds.setdefault(kind, []).append(reading.text == crop.text)
    return {kind: (len(right), float(np.mean(right))) for kind, right in kinds.items()}


def _series(texts: Sequence[str]) -> list[str]:
    """The texts with `#` for each number and, where they have many letters, `A` for each word."""
    letters = {character for text in texts for character in text if is_letter(character)}

    def shown(character: str) -> str:
        if is_digit(character):
            return "#"
        return "A" if is_letter(character) and len(letters) > MOST_MARKS else character

    return [re.sub("([#A])\\1+", "\\1", "".join(map(shown, text))) for text in texts]
