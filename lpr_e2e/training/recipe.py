"""What a process needs to know to make the batches of a stage, small enough to be sent to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Dataset
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.training.batches import BatchMaker
from lpr_e2e.training.picture_cache import CACHE_BYTES, PictureCache
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.settings import Mixture, Settings


@dataclass(frozen=True)
class BatchPlan:
    """Which batch each step of a stage gets.

    Attributes:
        stage: `recognition` or `joint`.
        steps: of the whole stage.
        plates, photographs: see `lpr_e2e.training.settings.StageSettings`.
        predicted_from, predicted_to: see `lpr_e2e.training.settings.Settings`.
    """

    stage: str
    steps: int
    plates: int
    photographs: int
    predicted_from: float
    predicted_to: float

    @classmethod
    def of(cls, settings: Settings, stage: str) -> BatchPlan:
        """The plan of a stage."""
        one = getattr(settings, stage)
        return cls(stage, one.steps, one.plates, one.photographs, settings.predicted_from, settings.predicted_to)

    def batch(self, maker: BatchMaker, step: int) -> dict[str, np.ndarray]:
        """The batch of a step, or the maker's part of it."""
        if self.stage == "recognition":
            return maker.recognition_batch(step, self.plates)
        # The predicted boxes are bad at first; they come in over the first half.
        grown = min(1.0, 2 * step / self.steps)
        predicted = self.predicted_from + (self.predicted_to - self.predicted_from) * grown
        return maker.joint_batch(step, self.photographs, self.plates, predicted)


@dataclass(frozen=True)
class BatchRecipe:
    """What a `BatchMaker` is made from: small and picklable, for the processes that make batches.

    Attributes:
        dataset, vocabulary, architecture, procedure, mixture, seed, own, parts: see `BatchMaker`.
        texts, characters, fonts: see `lpr_e2e.drawing.plates.PlatePainter`.
    """

    dataset: Dataset
    vocabulary: Vocabulary
    architecture: Architecture
    procedure: Procedure
    texts: Sequence[str]
    mixture: Mixture
    seed: int
    own: PseudoLabels = field(default_factory=PseudoLabels)
    parts: tuple[tuple[int, int], ...] = ()
    characters: str = ""
    fonts: tuple[str, ...] = ()

    def maker(self, worker: int = 0, workers: int = 1) -> BatchMaker:
        """The maker of one worker's part of what the recipe asks for; the workers share the room for pictures.

        Raises:
            ValueError, RuntimeError: plates cannot be drawn, see `PlatePainter`.
        """
        return BatchMaker(
            self.dataset,
            self.vocabulary,
            self.architecture,
            self.procedure,
            PlatePainter(self.texts, self.mixture.worn, fonts=self.fonts, characters=self.characters),
            self.mixture,
            self.seed,
            self.own,
            (*self.parts, (worker, workers)),
            PictureCache(CACHE_BYTES // workers),
        )
