"""The numbers by which a photograph is read. A model carries its own, so that new code reads an old model as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lpr_e2e.common.errors import UserError

# Raised when a number is added, or when the same numbers begin to mean something else.
VERSION = 6

# Parts of a photograph that a closer look is at.
PARTS = 4

# Each of several numbers is another look at a plate: more would take minutes.
_MOST_ITEMS = 32


@dataclass(frozen=True)
class Procedure:
    """How a photograph is read: every number that decides it, but for the sizes and the weights of the model.

    Its steps are those of `lpr_e2e.prediction.driver`. Shares and certainties are 0..1.

    Attributes:
        letterbox_grey: grey level of the canvas outside the photograph: neither a black car nor a white wall.
        plates: the most plates looked for in one look at a whole photograph.
        vote_iou: cells whose boxes overlap the best one by more than this vote for the final box.
        suppression_iou: a second plate may overlap a better one by no more than this.
        second_look: side of the window in which each plate is looked for again, in longer sides of its box: there the
            plate is large, its box exact, and what only resembled a plate is told apart. 0 leaves it out.
        same_plate_iou: two boxes that overlap by this much are one plate, seen twice.
        least_confidence: what the first look believes in less than this is not looked at again.
        sure_confidence, further_confidence: if the best candidate has proved to be a plate with the first of these, the
            others need the second, because most of them are none, and each takes as long as the whole photograph.
        further_share: or this share of what the best one had at the first look, if that is less: where the model sees
            plates weakly, it sees all of them so.
        margin: share of the plate's upright (height, width) that is added on each side of a glimpse: boxes are never
            exact.
        samples: samples per pixel and axis of a glimpse: with two, large plates are averaged and not skipped through.
        tilt_slack: a glimpse is cut as if the plate were tilted by this much less, radians: a box off by a little, or a
            tilt that is not there, then costs no character.
        rectify: whether a plate is read along its tilt, as the box head sees it, or always in an upright window.
        reading_scales: heights of the glimpses in which a plate is read, in heights of the usual one; widths differ a
            third as much. Their answers are averaged: a box a little off then costs no character.
        sure: plates read with at least this certainty at the first of the `reading_scales` are not read at the others.
        equalised: at the others, the glimpse's contrast is evened out, with this limit; see `lpr_e2e.common.contrast`.
            A plate in glaring sun then shows its strokes in one answer, and a noisy one has its quiet answer besides.
            0: not.
        box_threshold: boxes that the model believes in less than this are no plates.
        doubt: plates read with less certainty are read again from all sides; 0: none.
        tilts_degrees: the tilts at which they are read again, at each quarter turn.
        moved: a plate that is still in doubt is read as if it had moved along its rows while it was taken, by these
            lengths, in shares of its glimpse's width, the shortest first; see `lpr_e2e.common.motion`. A reading counts
            if the next length, or the one before, says the same: a wrong length leaves edges that ring, and what is
            read into them changes with it. 0 is none.
        moved_noise: of the undoing, see there: with more, fewer strokes come back; with less, more noise does.
        least_turn, turn_power: of the quarter turns, those at least this likely; the likelier ones are preferred: this
            power of their probability counts. A plate of 0, 1, 6, 8 and 9 also reads well upside down.
        without_gaps: whether it counts that a text has no gap: a place that is followed by a character is not empty.
        certainty_threshold: a reading whose weakest character is less certain is more likely wrong than right.
        sureness_threshold: nor is one believed whose text and box are not both likely, by the product of their
            certainties: of 700 windows beside the plates of training photographs, 11 gave a text with at least the
            certainty above, and one of them with at least this product.
        unseen_threshold: nor is one with a place where something that cannot be seen is likelier than this, which a
            training lowers to what its held-out plates need, see `lpr_e2e.evaluation.promising.unseen_bar`.
        other_form: nor is one of a form that no training text has, or not of the user's format: its certainty is
            multiplied by this. So is the likelihood of such a text where a doubtful plate is read from several sides,
            and the worth of one of which something is not seen.
        edge: nor is one of a plate that ends as close as this to an edge of the photograph, in shares of its length: it
            may go on beyond. 0: all are.
        sure_plate: but what has a box believed more than this is a plate, and reported, however doubtful its text is.
        step_back: where a plate fills the picture, it is looked at once more with this share of its longer side in grey
            around it, see `lpr_e2e.prediction.step_back`. 0: not.
        filling_plate: a plate fills the picture if it is higher or wider than this share of it. Of pictures cut around
            held-out plates, far fewer are read without the step back where the plate has 0.85 of the width; at 0.75 as
            many.
        closer_part: where nothing is read with certainty, four overlapping parts of the photograph are looked at, of
            this share of each side. 0: none.
        distant_plate: so they are where no plate is read with certainty that is this large, in shares of the
            photograph's longer side: it shows a street, and there may be plates further away.
        spared_plates: and where more than this are read with certainty or are surely plates, see `sure_plate`, however
            large: where several cars are, there may be more of them.
        part_plates: the most plates looked for in each part. 0: `plates`.
        large_photograph: photographs whose longer side has more pixels than this are large: they have pixels that the
            canvas has not. 0: none is.
        part_pixels: sides of the tiles in which plates of a large photograph are looked for besides, in its own pixels;
            each unless it is larger than the parts above. Of 480, a plate 60 wide is 40 where the model looks, which
            it needs. The larger tiles are for plates too large for those and too small for the parts.
        part_overlap: tiles share this much of their side with the next one: a plate up to this wide is whole in one.
        tile_confidence: what the look at a tile believes in less than this is not looked at again.
        tile_doubt: plates of tiles that are read with doubt are read again from all sides if their boxes are believed
            this much: most of the doubtful ones are none, and it takes as long as looking at six tiles.
        closer_further_confidence: `further_confidence` in the parts.
        part_edge: plates that end as close as this to where a part was cut from the photograph are left out, in shares
            of the part's longer side. 0: none.
        closer_certainty: only readings this certain count there. Of 200 plate-free windows, none gave one above 0.7.
        format_likelihood: a text that fits the user's format is taken only if it is at least this likely against the
            likeliest text: a plate that clearly says something else is something else.
    """

    letterbox_grey: int = 114
    plates: int = 3
    vote_iou: float = 0.6
    suppression_iou: float = 0.3
    second_look: float = 2.1
    same_plate_iou: float = 0.3
    least_confidence: float = 0.1
    sure_confidence: float = 0.5
    further_confidence: float = 0.3
    further_share: float = 0.4
    margin: tuple[float, float] = (0.15, 0.06)
    samples: int = 2
    tilt_slack: float = 0.04
    rectify: bool = True
    reading_scales: tuple[float, ...] = (1.0, 1.15, 0.9)
    sure: float = 0.98
    equalised: float = 2.0
    box_threshold: float = 0.3
    doubt: float = 0.9
    tilts_degrees: tuple[float, ...] = (-24.0, -16.0, -8.0, 0.0, 8.0, 16.0, 24.0)
    moved: tuple[float, ...] = tuple(round(0.02 + 0.0065 * step, 4) for step in range(13))
    moved_noise: float = 0.02
    least_turn: float = 0.01
    turn_power: float = 0.25
    without_gaps: bool = True
    certainty_threshold: float = 0.5
    sureness_threshold: float = 0.4
    sure_plate: float = 0.55
    unseen_threshold: float = 0.3
    other_form: float = 0.4
    edge: float = 0.03
    step_back: float = 0.3
    filling_plate: float = 0.5
    closer_part: float = 0.6
    distant_plate: float = 0.11
    spared_plates: int = 1
    part_plates: int = 8
    large_photograph: int = 900
    part_pixels: tuple[float, ...] = (480.0, 1280.0, 3840.0)
    part_overlap: float = 0.2
    tile_confidence: float = 0.2
    tile_doubt: float = 0.75
    closer_further_confidence: float = 0.15
    part_edge: float = 0.005
    closer_certainty: float = 0.8
    format_likelihood: float = 0.1

    def __post_init__(self):
        for one in fields(self):
            value, (low, high) = getattr(self, one.name), _RANGES[one.name]
            example = one.default
            values = value if isinstance(example, tuple) else (value,)
            kind = type(example[0] if isinstance(example, tuple) else example)
            right = isinstance(values, tuple) and 0 < len(values) <= _MOST_ITEMS
            right = right and all(_is_number(item, kind) for item in values)
            right = right and all(low <= item <= high for item in values)
            if one.name == "margin":
                right = right and len(values) == 2
            if not right:
                raise UserError(
                    f"procedure.{one.name}: {value!r:.60}; expected a value like {example!r}, {low} to {high}"
                )

    def window_margin(self, scale: float) -> tuple[float, float]:
        """`margin` of a window that is higher by the factor `scale`, and wider by a third of the difference."""
        growth = (scale, 1 + (scale - 1) / 3)
        high, wide = (((1 + 2 * share) * factor - 1) / 2 for share, factor in zip(self.margin, growth, strict=True))
        return high, wide

    @property
    def most_reported(self) -> int:
        """The most plates that a graph reports, as its answers have one shape: of the photograph, and of four parts."""
        return self.plates + PARTS * self.plates_of_part * bool(self.closer_part and self.distant_plate)

    @property
    def plates_of_part(self) -> int:
        """The most plates looked for in a part."""
        return self.part_plates or self.plates

    @property
    def tilts(self) -> tuple[float, ...]:
        """`tilts_degrees` in radians."""
        return tuple(math.radians(degrees) for degrees in self.tilts_degrees)

    def as_config(self) -> dict:
        """Plain values for JSON, with the version."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_config(cls, config: Mapping | None, before: Mapping) -> Procedure:
        """The procedure that a model carries.

        Args:
            config: what `as_config` gave, by this version or an earlier one, or None for a model from before
                procedures were stored. What there was not yet is left out when such a model reads.
            before: the values that such a model keeps elsewhere, in its architecture or its description; those that are
                named like a number of the procedure are taken.

        Raises:
            UserError: the config is of a later version, or a number is missing, unknown or out of range.
        """
        names = [one.name for one in fields(cls)]
        if config is None:
            values = _NOT_YET[1] | {name: before[name] for name in names if name in before}
        else:
            found = config.get("version") if isinstance(config, Mapping) else config
            if not isinstance(config, Mapping) or type(found) is not int or found not in (*_NOT_YET, VERSION):
                raise UserError(
                    f"procedure: version {found!r:.60}, expected {VERSION}; update lpr_e2e to read this model"
                )
            values = _NOT_YET.get(found, {}) | {name: value for name, value in config.items() if name != "version"}
            wrong = sorted(set(names) ^ set(values))
            if wrong:
                raise UserError(
                    f"procedure: expected the numbers {', '.join(names)}; missing or unknown: {wrong!r:.200}"
                )
        numbers: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**numbers)


def _is_number(value, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int) or (kind is float and isinstance(value, float) and math.isfinite(value))


# What each earlier version had not, with values that leave out what the numbers are for.
_SINCE_6: dict[str, Any] = {"step_back": 0.0, "filling_plate": 1.0}
_SINCE_5: dict[str, Any] = {**_SINCE_6, "equalised": 0.0}
_SINCE_4: dict[str, Any] = {
    **_SINCE_5,
    "further_share": 1.0,
    "without_gaps": False,
    "spared_plates": 1000,
    "sure_plate": 1.0,
}
# Models from before have no forms: `other_form` counts for a user's format alone.
_SINCE_3: dict[str, Any] = {**_SINCE_4, "other_form": 0.4, "edge": 0.0, "moved": (0.0,), "moved_noise": 0.02}
_NOT_YET: dict[int, dict[str, Any]] = {
    5: _SINCE_6,
    4: _SINCE_5,
    3: _SINCE_4,
    2: _SINCE_3,
    1: {
        **_SINCE_3,
        "distant_plate": 0.0,
        "part_plates": 0,
        "large_photograph": 0,
        "part_pixels": (480.0,),
        "part_overlap": 0.2,
        "tile_confidence": 0.2,
        "tile_doubt": 1.0,
        "closer_further_confidence": 0.3,
        "part_edge": 0.0,
        "unseen_threshold": 1.0,
    },
}

# What each number may be at least and at most; of tuples, each of their items.
_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys((one.name for one in fields(Procedure)), (0, 1)),
    "letterbox_grey": (0, 255),
    "samples": (1, 8),
    "plates": (1, 1000),
    "part_plates": (0, 1000),
    "spared_plates": (0, 1000),
    "large_photograph": (0, 1_000_000_000),
    "part_pixels": (16, 100_000),
    "part_overlap": (0, 0.9),
    "second_look": (0, 100),
    "step_back": (0, 10),
    "reading_scales": (0.1, 10),
    "sure": (0, 2),
    "equalised": (0, 100),
    "tilts_degrees": (-80, 80),
    "turn_power": (0, 10),
    "moved_noise": (1e-4, 10),
}

# Today's numbers: of a new model, and of a model that carries none.
TODAY = Procedure()
