"""What a process needs to know to make the batches of a stage, small enough to be sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.boxes import turn_picture
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Dataset, ReadablePlate, readable_plates
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.style import PlateStyle, learn_style
from lpr_e2e.training.batches import BatchMaker
from lpr_e2e.training.picture_cache import CACHE_BYTES, PictureCache
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.set_samples import SetSamples
from lpr_e2e.training.settings import Mixture, Settings

# Plates from which it is learned how plates look.
_PLATES_FOR_STYLE = 200


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


def styles_of(dataset: Dataset) -> dict[str, PlateStyle | None]:
    """How the plates of each data set look, by its name, learned from a few of them, from all over the set; see
    `learn_style`."""
    styles = {}
    for name, part in dataset.by_set().items():
        plates = list(readable_plates(part.photographs, part.crops))
        sample = plates[:: max(1, len(plates) // _PLATES_FOR_STYLE)]
        styles[name] = learn_style((upright_cut(one), one.text) for one in sample)
    return styles


def upright_cut(plate: ReadablePlate) -> np.ndarray:
    """A plate alone, upright, uint8 RGB `(h, w, 3)`."""
    picture = read_picture(plate.path)
    if plate.box_px is not None:
        (top, left), (bottom, right) = np.floor(plate.box_px[:2]).astype(int), np.ceil(plate.box_px[2:]).astype(int)
        picture = picture[top:bottom, left:right]
    return turn_picture(picture, plate.turns)


@dataclass(frozen=True)
class BatchRecipe:
    """What a `BatchMaker` is made from: small and picklable, for the processes that make batches.

    Attributes:
        dataset: all that is trained on; see `Dataset.by_set`.
        vocabulary, architecture, procedure, mixture, seed, own: see `SetSamples`.
        parts: see `BatchMaker`.
        characters, fonts: see `lpr_e2e.drawing.plates.PlatePainter`.
        styles: of each data set, see `styles_of`; none where plates are drawn in any style.
    """

    dataset: Dataset
    vocabulary: Vocabulary
    architecture: Architecture
    procedure: Procedure
    mixture: Mixture
    seed: int
    own: PseudoLabels = field(default_factory=PseudoLabels)
    parts: tuple[tuple[int, int], ...] = ()
    characters: str = ""
    fonts: tuple[str, ...] = ()
    styles: Mapping[str, PlateStyle | None] = field(default_factory=dict)

    def painter(self, name: str, part: Dataset) -> PlatePainter:
        """What draws synthetic plates like those of one of the data sets.

        Raises:
            UserError: see `PlatePainter`.
        """
        return PlatePainter(
            part.training_texts(),
            self.mixture.worn,
            style=self.styles.get(name),
            fonts=self.fonts,
            characters=self.characters,
            letters=self.own.letters.get(name),
            letters_share=self.mixture.real_letters,
        )

    def maker(self, worker: int = 0, workers: int = 1) -> BatchMaker:
        """The maker of one worker's part of what the recipe asks for; the workers share the room for pictures.

        Raises:
            ValueError, RuntimeError: plates cannot be drawn, see `PlatePainter`.
        """
        cache, texts = PictureCache(CACHE_BYTES // workers), self.dataset.training_texts()
        sets = {
            name: SetSamples(
                part,
                self.vocabulary,
                self.architecture,
                self.procedure,
                self.painter(name, part),
                self.mixture,
                self.seed,
                self.own,
                cache,
                self.dataset.most_plates(),
                texts,
            )
            for name, part in self.dataset.by_set().items()
        }
        return BatchMaker(sets, (*self.parts, (worker, workers)))
