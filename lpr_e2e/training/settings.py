"""The settings of a training, all in one place, and the presets."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from operator import attrgetter

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import require_letters


@dataclass(frozen=True)
class Mixture:
    """Shares of the sources in the training batches.

    Attributes:
        real: of the plates read without their photograph, the share that is real; the others are synthetic.
        unreadable: of the plates read without their photograph, the share that stands upside down or on its side, or is
            none: what there is to read is nothing. Above 0, what is taken for a plate where there is none is too.
        partly: of the plates read without their photograph, and of the photographs where it is possible, the share of
            which something cannot be seen: cut off, covered, now and then mirrored. 0: the model has no class for it.
        foreign: of the synthetic plates, the share that has a letter of another script, which is not to be read as one
            of the country's; where `partly` is 0, none has.
        longer: of the synthetic plates, the share with one character more than a text of their form has: a plate that
            is longer than all that the labels have is not read as a shorter one. 0: the model has no room for it.
        pasted_unknown: of the photographs whose text is unknown, the share that gets another plate pasted over.
        pasted_known: the same for the photographs whose text is known.
        pasted_real: of the pasted plates, the share that is a real crop.
        written: share of photographs with writing on them that is no plate: signs, captions of cameras, plates of
            elsewhere. Above 0, some of what there is nothing to read on is such writing.
        hidden: share of photographs shown in a window without their plate, to learn what is no plate.
        matched: of the photographs with a known text, the share whose text is used.
        self_labelled: of the photographs without a text that the model reads with certainty after stage one, the share
            whose reading is used as their text in stage two.
        rearranged: of the real plates whose characters the model has placed by then, the share whose digits are shown
            in another order.
        real_letters: share of the synthetic plates set in the letters of the real ones, as far as these are known
            after stage one.
        close: share of photographs shown about as large as the second look shows them.
        distant: share of photographs shown with fewer pixels, down to a plate of 40, as if from further away.
        turned: share of photographs turned by one to three quarters.
        tilted: share of photographs tilted or sheared by some ten degrees, of those whose plate lies straight.
        worn: share of the synthetic plates that have seen the road, see `lpr_e2e.drawing.plates.PlatePainter`.
        harsh: share of the plates in light that leaves little to read: bleached, overexposed, glaring, half in the
            shade, at night in a lamp's light, in rain.
        moved: share of the plates blurred by motion, by up to an eighth of their width.
        undone: of the plates blurred along their rows, the share whose motion is undone again, as reading does it in
            doubt, see `lpr_e2e.common.motion`.
        equalised: of the other plates, the share whose contrast is evened out, as reading does it where the first
            glimpse is not enough, see `lpr_e2e.common.contrast`.
        further: share of the photographs with several plates all of which are learned; of the others only the largest,
            and the rest is taken for background.
        hardness: strength of the changes of light, sharpness, detail and tilt; 1 is what real photographs need.
    """

    real: float = 0.4
    unreadable: float = 0.06
    partly: float = 0.2
    written: float = 0.15
    foreign: float = 0.05
    longer: float = 0.04
    pasted_unknown: float = 0.7
    pasted_known: float = 0.25
    pasted_real: float = 0.3
    hidden: float = 0.1
    matched: float = 1.0
    self_labelled: float = 1.0
    rearranged: float = 0.5
    real_letters: float = 0.5
    close: float = 0.4
    distant: float = 0.3
    turned: float = 0.2
    tilted: float = 0.3
    worn: float = 1.0
    harsh: float = 0.2
    moved: float = 0.3
    undone: float = 0.4
    equalised: float = 0.25
    further: float = 1.0
    hardness: float = 1.0

    def __post_init__(self):
        for one in fields(self):
            share = getattr(self, one.name)
            if one.name != "hardness" and not 0 <= share <= 1:
                raise UserError(f"setting mixture.{one.name}: {share}; expected a share from 0 to 1")


# Shares of the mixture that runs from before they came have none of.
_CAME_LATER = ("partly", "written", "foreign", "longer", "undone", "equalised", "distant")

# Of a training that starts from weights, unless a preset says otherwise.
_STARTED_STEPS = 2500

# What a stage can be evaluated by, see `lpr_e2e.training.evaluators`; and, of each stage, those that decide which epoch
# is the best, which it therefore cannot do without.
EVALUATORS = ("losses", "photographs", "glimpses", "seen_photographs")
DECIDING = {"recognition": ("glimpses",), "joint": ("photographs", "glimpses")}
# Those of the presets, and of the runs from before there was a choice.
_EVALUATORS = {"recognition": ("losses", "glimpses"), "joint": EVALUATORS}


@dataclass(frozen=True)
class StageSettings:
    """One stage of the training.

    Attributes:
        steps: number of optimiser steps; 0 leaves the stage out.
        plates: glimpses per step that are read without their photograph.
        photographs: photographs per step; none in stage one.
        learning_rate: peak, reached after the warm-up.
        warm_up: steps of linear warm-up.
        lowest_rate: share of the peak to which a cosine takes the learning rate by the last step.
        started_steps: steps, if less, of a training that starts from weights which know plates; see
            `lpr_e2e.training.start`.
        evaluators: what the model is evaluated by after every epoch, out of `EVALUATORS`, in the order of the history.
    """

    steps: int
    plates: int
    photographs: int
    learning_rate: float
    warm_up: int
    evaluators: tuple[str, ...]
    started_steps: int = _STARTED_STEPS
    lowest_rate: float = 0.01


# Seeds that there are.
SEEDS = 2**32
# The least and the most of each number: with less there is nothing to learn from, and more can only be mistyped.
_STEPS, _WEIGHT = (0, 10_000_000), (0.0, 1000.0)
_OF_A_STAGE = {
    "steps": _STEPS,
    "plates": (1, 4096),
    "learning_rate": (0.0, 10.0),
    "warm_up": _STEPS,
    "started_steps": _STEPS,
    "lowest_rate": (0.0, 1.0),
}
_RANGES = {
    **{f"{stage}.{name}": limits for stage in DECIDING for name, limits in _OF_A_STAGE.items()},
    "recognition.photographs": (0, 0),
    "joint.photographs": (1, 4096),
    "mixture.hardness": (0.0, 10.0),
    **dict.fromkeys(("epoch_steps", "patience", "picture_epochs"), (1, _STEPS[1])),
    **dict.fromkeys(("predicted_from", "predicted_to", "crop_gradient"), (0.0, 1.0)),
    **dict.fromkeys(("reading_weight", "attention_weight", "averaging_power"), _WEIGHT),
    "weight_decay": (0.0, 10.0),
    "seed": (0, SEEDS - 1),  # What NumPy and Keras both take.
}


@dataclass(frozen=True)
class Settings:
    """Everything that decides a training, apart from the data.

    Attributes:
        architecture: sizes of the model.
        procedure: how photographs are read with it.
        recognition: stage one, which pretrains reading on crops and synthetic plates.
        joint: stage two, which trains finding and reading together.
        mixture: shares of the sources.
        epoch_steps: steps between two evaluations; a training resumes from the last one.
        patience: epochs without a better validation before a stage ends early.
        predicted_from, predicted_to: share of the stage two photographs that are read in the predicted box, at the
            stage's start and from its middle on.
        crop_gradient: share of the reading loss's gradient that goes through the crop into the box head.
        reading_weight: weight of the reading loss against the box losses in stage two.
        attention_weight: weight, against the reading loss, of where the decoder looks on drawn plates, of which it is
            known where each character stands.
        weight_decay: of AdamW.
        averaging: highest momentum of the exponential moving average of the weights, which is what is evaluated and
            saved; it rises with the steps.
        averaging_power: until then, the weights of a step count with its number to this power in the average.
        picture_epochs: epochs between two sets of pictures in TensorBoard.
        seed: of the initial weights, the batches and a drawn split.
        characters: characters that the model can read though no text has them: they are learned from drawn plates.
        fonts: font files to draw plates with before all others.
    """

    architecture: Architecture
    recognition: StageSettings
    joint: StageSettings
    procedure: Procedure = Procedure()
    mixture: Mixture = field(default_factory=Mixture)
    epoch_steps: int = 250
    patience: int = 12
    predicted_from: float = 0.0
    predicted_to: float = 0.7
    crop_gradient: float = 0.1
    reading_weight: float = 1.0
    attention_weight: float = 0.1
    weight_decay: float = 0.05
    averaging: float = 0.998
    averaging_power: float = 8.0
    picture_epochs: int = 3
    seed: int = 0
    characters: str = ""
    fonts: tuple[str, ...] = ()

    def __post_init__(self):
        for name, (least, most) in _RANGES.items():
            value = attrgetter(name)(self)
            if not least <= value <= most:
                kind = "whole number" if isinstance(least, int) else "number"
                raise UserError(f"setting {name}: {value}; expected a {kind} from {least} to {most}")
        if not 0 <= self.averaging < 1:
            raise UserError(f"setting averaging: {self.averaging}; expected a momentum from 0 to below 1")
        require_letters(self.characters)
        if not self.recognition.steps and not self.joint.steps:
            raise UserError("settings recognition.steps and joint.steps: both 0; expected steps in one of them")
        for stage, deciding in DECIDING.items():
            names = getattr(self, stage).evaluators
            if set(names) - set(EVALUATORS) or set(deciding) - set(names):
                raise UserError(
                    f"setting {stage}.evaluators: {', '.join(names)}; expected {', '.join(deciding)}, which decide "
                    f"which epoch is the best, and any others out of {', '.join(EVALUATORS)}"
                )

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return {**asdict(self), "procedure": self.procedure.as_config()}

    @classmethod
    def from_dict(cls, values: dict) -> Settings:
        """The settings of `as_dict`.

        Raises:
            ValueError: an unknown or a missing name.
        """
        unknown = sorted(set(values) - {one.name for one in fields(cls)})
        if unknown:
            raise UserError(f"settings: unknown {unknown}; expected names out of {[one.name for one in fields(cls)]}")
        nested = {
            "architecture": Architecture.from_config(values["architecture"]),
            # Runs from before procedures were stored keep some of its numbers in the architecture.
            "procedure": Procedure.from_config(values.get("procedure"), values["architecture"]),
            **{stage: _stage_settings(stage, values[stage]) for stage in DECIDING},
            "mixture": Mixture(**{**dict.fromkeys(_CAME_LATER, 0.0), **values["mixture"]}),
            "fonts": tuple(values.get("fonts", ())),
        }
        # Runs from before it was taught where to look.
        return cls(**{"attention_weight": 0.0, **values, **nested})

    def changed(self, assignments: Iterable[str]) -> Settings:
        """These settings with some values replaced.

        Args:
            assignments: such as `joint.steps=500`, `mixture.real=0.2` or `architecture.glimpse_size=[48, 160]`: a
                name, with a dot where it is nested, and a value in JSON.

        Raises:
            ValueError: an unknown name (the nearest valid one is named), or a value of another kind or range.
        """
        values = self.as_dict()
        known = _flat(asdict(self))
        for assignment in assignments:
            name, equals, text = (part.strip() for part in assignment.partition("="))
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
                raise UserError(f"unknown setting {name!r}; the nearest is {nearest}={json.dumps(known[nearest])}")
            try:
                value = json.loads(text)
            except ValueError:
                value = None
            if not equals or not _alike(value, known[name]):
                example = json.dumps(known[name])
                raise UserError(f"setting {name}: {text!r}; expected a value like {name}={example}")
            *outer, last = name.split(".")
            (values[outer[0]] if outer else values)[last] = float(value) if isinstance(known[name], float) else value
        return Settings.from_dict(values)


def _stage_settings(stage: str, values: dict) -> StageSettings:
    # Runs from before there was a choice of evaluators, or of a start.
    values = {"evaluators": _EVALUATORS[stage], **values}
    return StageSettings(**{**values, "evaluators": tuple(values["evaluators"])})


def _flat(values: dict, prefix: str = "") -> dict:
    """Nested names joined with dots."""
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _alike(value, example) -> bool:
    """Whether a JSON value can stand for the example: numbers for numbers, whole ones for whole ones, and so on."""
    if isinstance(example, bool) or isinstance(value, bool):
        return isinstance(example, bool) and isinstance(value, bool)
    if isinstance(example, tuple):
        return isinstance(value, list) and bool(value) and all(_alike(one, example[0]) for one in value)
    if isinstance(example, str):
        return isinstance(value, str)
    return isinstance(value, int) or (isinstance(value, float) and isinstance(example, float))


# Real photographs: about 80 minutes on two cores, forty from the base weights.
_STANDARD = Settings(
    architecture=Architecture(),
    recognition=StageSettings(
        steps=5000,
        plates=64,
        photographs=0,
        learning_rate=2e-3,
        warm_up=100,
        evaluators=_EVALUATORS["recognition"],
    ),
    joint=StageSettings(
        steps=8000,
        plates=40,
        photographs=8,
        learning_rate=1e-3,
        warm_up=200,
        evaluators=_EVALUATORS["joint"],
        started_steps=3500,
        # The averages are over many steps that still differ, as if several trainings were averaged.
        lowest_rate=0.25,
    ),
    averaging=0.9992,
    averaging_power=1.0,
    epoch_steps=500,
    picture_epochs=2,
)

# Those that need weights to start from: they are too short to learn to read.
FROM_WEIGHTS = ("quick",)
PRESETS = {
    "standard": _STANDARD,
    # The same model, from weights that know plates: a quarter of an hour on two cores.
    "quick": replace(
        _STANDARD,
        recognition=replace(_STANDARD.recognition, steps=250),
        # Its steps are too few to average many of them.
        joint=replace(_STANDARD.joint, steps=1250, lowest_rate=StageSettings.lowest_rate),
        averaging=Settings.averaging,
        averaging_power=Settings.averaging_power,
        epoch_steps=250,
    ),
    # The demo set of drawn photographs: five to ten minutes on two cores.
    "small": Settings(
        architecture=Architecture(
            canvas_size=480,
            scene_shrink=3,
            glimpse_size=(48, 160),
            widths=(16, 24, 40, 64, 96),
            depths=(1, 1, 1, 1),
            head_width=64,
        ),
        procedure=Procedure(plates=2),
        recognition=StageSettings(
            steps=900,
            plates=64,
            photographs=0,
            learning_rate=3e-3,
            warm_up=60,
            evaluators=_EVALUATORS["recognition"],
        ),
        joint=StageSettings(
            steps=600,
            plates=24,
            photographs=16,
            learning_rate=2e-3,
            warm_up=40,
            evaluators=_EVALUATORS["joint"],
        ),
        # Drawn photographs stand upright, and most drawn plates are clean.
        mixture=Mixture(
            unreadable=0.0,
            partly=0.0,
            written=0.0,
            foreign=0.0,
            longer=0.0,
            turned=0.05,
            tilted=0.05,
            worn=0.3,
            hardness=0.35,
            self_labelled=0.0,
            rearranged=0.0,
        ),
        epoch_steps=150,
    ),
}
