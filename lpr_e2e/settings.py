"""The settings of a training, all in one place, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields

from lpr_e2e.model import Architecture


@dataclass(frozen=True)
class Mixture:
    """Shares of the sources in the training batches.

    Attributes:
        real: of the plates read without their photograph, the share that is real; the others are synthetic.
        pasted_unknown: of the photographs whose text is unknown, the share that gets another plate pasted over.
        pasted_known: the same for the photographs whose text is known.
        pasted_real: of the pasted plates, the share that is a real crop.
        hidden: share of photographs shown in a window without their plate, to learn what is no plate.
        hardness: strength of the changes of light, sharpness and detail; 1 is what real photographs need.
    """

    real: float = 0.4
    pasted_unknown: float = 0.7
    pasted_known: float = 0.25
    pasted_real: float = 0.3
    hidden: float = 0.1
    hardness: float = 1.0


@dataclass(frozen=True)
class Stage:
    """One stage of the training.

    Attributes:
        steps: number of optimiser steps.
        plates: glimpses per step that are read without their photograph.
        photographs: photographs per step; none in stage one.
        learning_rate: peak, reached after the warm-up; a cosine takes it to a hundredth.
        warm_up: steps of linear warm-up.
    """

    steps: int
    plates: int
    photographs: int
    learning_rate: float
    warm_up: int


@dataclass(frozen=True)
class Settings:
    """Everything that decides a training, apart from the data.

    Attributes:
        architecture: sizes of the model.
        recognition: stage one, which pretrains reading on crops and synthetic plates.
        joint: stage two, which trains finding and reading together.
        mixture: shares of the sources.
        epoch_steps: steps between two evaluations; a training resumes from the last one.
        patience: epochs without a better validation before a stage ends early.
        predicted_from, predicted_to: share of the stage two photographs that are read in the predicted box, at the
            stage's start and from its middle on.
        crop_gradient: share of the reading loss's gradient that goes through the crop into the box head.
        weight_decay: of AdamW.
        averaging: highest momentum of the exponential moving average of the weights, which is what is evaluated and
            saved; it rises with the steps.
        picture_epochs: epochs between two sets of pictures in TensorBoard.
        seed: of the initial weights, the batches and a drawn split.
    """

    architecture: Architecture
    recognition: Stage
    joint: Stage
    mixture: Mixture = field(default_factory=Mixture)
    epoch_steps: int = 250
    patience: int = 12
    predicted_from: float = 0.0
    predicted_to: float = 0.7
    crop_gradient: float = 0.1
    weight_decay: float = 0.05
    averaging: float = 0.998
    picture_epochs: int = 3
    seed: int = 0

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Settings:
        """The settings of `as_dict`.

        Raises:
            ValueError: an unknown or a missing name.
        """
        unknown = sorted(set(values) - {one.name for one in fields(cls)})
        if unknown:
            raise ValueError(f"settings: unknown {unknown}; expected names out of {[one.name for one in fields(cls)]}")
        nested = {
            "architecture": Architecture.from_config(values["architecture"]),
            "recognition": Stage(**values["recognition"]),
            "joint": Stage(**values["joint"]),
            "mixture": Mixture(**values["mixture"]),
        }
        return cls(**{**values, **nested})


PRESETS = {
    # Real photographs: about an hour and a half on two cores.
    "standard": Settings(
        architecture=Architecture(),
        recognition=Stage(steps=4000, plates=64, photographs=0, learning_rate=2e-3, warm_up=300),
        joint=Stage(steps=3000, plates=32, photographs=8, learning_rate=1e-3, warm_up=200),
    ),
    # The demo set of drawn photographs: about 10 minutes on two cores.
    "small": Settings(
        architecture=Architecture(
            canvas_size=576,
            scene_shrink=3,
            glimpse_size=(48, 160),
            widths=(16, 24, 40, 64, 96),
            depths=(1, 1, 1, 1),
            head_width=64,
            plates=2,
        ),
        recognition=Stage(steps=1200, plates=64, photographs=0, learning_rate=3e-3, warm_up=60),
        joint=Stage(steps=450, plates=24, photographs=16, learning_rate=2e-3, warm_up=40),
        mixture=Mixture(hardness=0.5),
        epoch_steps=150,
    ),
}
