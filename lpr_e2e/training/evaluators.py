"""What a model is evaluated by after every epoch: small classes of one interface, which the settings choose."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import keras
import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import BLANK, Vocabulary
from lpr_e2e.data.samples import Dataset, Photograph
from lpr_e2e.evaluation.calibration import fitted_temperature
from lpr_e2e.evaluation.scoring import Figures, score
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.engines.keras_model import KerasEngine
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading, best_reading
from lpr_e2e.training.plain_batches import plain_glimpses, plain_joint_batches

# Photographs shown in TensorBoard, and training photographs whose figures stand beside the held-out ones.
SHOWN, COMPARED = 8, 32
# Photographs, and glimpses, per batch where nothing is learned.
_PHOTOGRAPHS, _GLIMPSES = 8, 64


class Evaluator(Protocol):
    """One way to evaluate a model.

    Attributes:
        side: beside which curves the figures belong: `validation`, or `training` if they are of what is trained on.
    """

    side: str

    def evaluate(self, model: PlateModel, task: keras.Model) -> dict[str, float]:
        """The figures of a model as it stands, and of the task that trains it, by name."""
        ...


class HeldOut:
    """What is held out, as evaluators want it.

    Args:
        dataset: of the run.
        vocabulary, architecture, procedure: of its model.
    """

    def __init__(self, dataset: Dataset, vocabulary: Vocabulary, architecture: Architecture, procedure: Procedure):
        self.dataset, self.vocabulary = dataset, vocabulary
        self._sizes = (vocabulary, architecture, procedure)

    @functools.cached_property
    def glimpses(self) -> dict[str, np.ndarray]:
        """See `plain_glimpses`."""
        return plain_glimpses(self.dataset.validation_photographs, self.dataset.validation_crops, *self._sizes)

    def batches(self, stage: str) -> Iterator[dict[str, np.ndarray]]:
        """Batches such as a stage is trained on."""
        if stage == "joint":
            yield from plain_joint_batches(self.dataset.validation_photographs, *self._sizes, _PHOTOGRAPHS)
            return
        for start in range(0, len(self.glimpses["glimpses"]), _GLIMPSES):
            yield {name: values[start : start + _GLIMPSES] for name, values in self.glimpses.items()}


class Losses:
    """The mean loss terms of the stage's task over what is held out."""

    side = "validation"

    def __init__(self, held: HeldOut):
        self.held = held

    def evaluate(self, model: PlateModel, task: keras.Model) -> dict[str, float]:
        """`loss/...`, a figure for each term and mean of the task."""
        sums: dict[str, float] = {}
        count = 0
        for batch in self.held.batches(task.name):
            logs = task.test_on_batch(batch, return_dict=True)
            task.reset_metrics()
            # Photographs that only fill a batch up do not count.
            size = int(batch["box_known"].sum()) if "box_known" in batch else len(batch["glimpses"])
            count += size
            for key, value in logs.items():
                sums[key] = sums.get(key, 0.0) + float(value) * size
        return {f"loss/{key}": value / count for key, value in sums.items()}


class Glimpses:
    """How well plates are read whose place is known: held-out crops, and the plates of held-out photographs."""

    side = "validation"

    def __init__(self, held: HeldOut):
        self.held = held

    def evaluate(self, model: PlateModel, task: keras.Model) -> dict[str, float]:
        """`reading/plates_right` and `reading/characters_right`; 0 where no glimpse is held out."""
        engine, plates, right, characters, letters = KerasEngine(model), 0, 0, 0, 0
        for batch in self.held.batches("recognition"):
            classes = batch["glimpse_classes"]
            answers = engine.read(batch["glimpses"])["logits"].argmax(-1)
            plates += len(classes)
            right += (answers == classes).all(-1).sum()
            characters += ((answers == classes) & (classes != BLANK)).sum()
            letters += (classes != BLANK).sum()
        return {
            "reading/plates_right": float(right / max(1, plates)),
            "reading/characters_right": float(characters / max(1, letters)),
        }


class Photographs:
    """Held-out photographs in, texts out.

    Attributes:
        readings: of the last evaluation, by img_id.
        worst: img_ids of its most certain mistakes.
    """

    side = "validation"

    def __init__(self, held: HeldOut):
        self.truths: Sequence[Photograph] = held.dataset.validation_photographs
        self.vocabulary = held.vocabulary
        self.readings: dict[str, list[Reading]] = {}
        self.worst: set[str] = set()

    def figures(self, model: PlateModel) -> Figures:
        """All figures of the model as it stands."""
        self.readings = {img_id: found for img_id, _, found in read_photographs(model, self.truths)}
        figures = score(self.truths, self.readings, self.vocabulary)
        self.worst = {mistake.img_id for mistake in figures.mistakes[:SHOWN]}
        return figures

    def evaluate(self, model: PlateModel, task: keras.Model) -> dict[str, float]:
        """`end to end/...`, see `Figures.as_dict`."""
        return {f"end to end/{key}": value for key, value in self.figures(model).as_dict().items()}


class SeenPhotographs(Photographs):
    """The same of a few photographs that are trained on: how much better they are says how much is learned by heart."""

    side = "training"

    def __init__(self, held: HeldOut):
        super().__init__(held)
        self.truths = held.dataset.photographs[:COMPARED]


# By the names in `lpr_e2e.training.settings.EVALUATORS`.
EVALUATORS: dict[str, Callable[[HeldOut], Evaluator]] = {
    "losses": Losses,
    "photographs": Photographs,
    "glimpses": Glimpses,
    "seen_photographs": SeenPhotographs,
}


@dataclass(frozen=True)
class Evaluation:
    """What the evaluators of a stage found.

    Attributes:
        score: the higher, the better is the model.
        validation, training: the figures of both sides.
    """

    score: float
    validation: dict[str, float]
    training: dict[str, float]


class Validation:
    """The evaluators of a stage.

    Args:
        stage: `recognition` or `joint`.
        names: which evaluators, out of `EVALUATORS`.
        held: what is held out.
    """

    def __init__(self, stage: str, names: Sequence[str], held: HeldOut):
        self.stage = stage
        self.evaluators = {name: EVALUATORS[name](held) for name in names}

    @property
    def photographs(self) -> Photographs | None:
        """The evaluator of the held-out photographs, if the stage has it."""
        return self.evaluators.get("photographs")

    def evaluate(self, model: PlateModel, task: keras.Model) -> Evaluation:
        """Let all of them evaluate a model and its task."""
        figures: dict[str, dict[str, float]] = {"validation": {}, "training": {}}
        for evaluator in self.evaluators.values():
            figures[evaluator.side] |= evaluator.evaluate(model, task)
        return Evaluation(deciding_score(self.stage, figures["validation"]), **figures)


def deciding_score(stage: str, figures: Mapping[str, float]) -> float:
    """What decides which epoch of a stage is the best, from its held-out figures; higher is better."""
    plates = figures["reading/plates_right"]
    if stage == "recognition":
        return plates
    # Of a hundred held-out plates, one more or less is chance: characters and boxes count as much.
    exact = figures.get("end to end/plates_right", plates)
    characters = figures.get("end to end/characters_right", figures["reading/characters_right"])
    return exact + characters + figures.get("end to end/mean_iou", 0.0)


def read_photographs(
    model: PlateModel, photographs: Sequence[Photograph]
) -> Iterator[tuple[str, np.ndarray, list[Reading]]]:
    """The readings of a model as it stands, as `predict` gives them.

    Yields:
        img_id, uint8 RGB picture, readings.
    """
    files = [(photograph.img_id, photograph.path) for photograph in photographs]
    return PlateReader.of(model).read_files(files, _PHOTOGRAPHS)


def best_temperature(model: PlateModel, photographs: Sequence[Photograph]) -> float:
    """The temperature that fits the photographs whose text can be spelt and whose plate is found; see
    `fitted_temperature`."""
    model.temperature.assign(1.0)
    readings = {img_id: found for img_id, _, found in read_photographs(model, photographs)}
    probabilities, classes = [], []
    for photograph in photographs:
        characters = best_reading(readings[photograph.img_id]).characters
        if photograph.text is not None and characters is not None and model.vocabulary.spells(photograph.text):
            probabilities.append(characters)
            classes.append(model.vocabulary.encode(photograph.text))
    return fitted_temperature(np.array(probabilities), np.array(classes))
