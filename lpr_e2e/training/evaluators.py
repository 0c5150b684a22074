"""What a model is evaluated by after every epoch: small classes of one interface, which the settings choose."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import keras
import numpy as np

from lpr_e2e.common.architecture import Architecture
from lpr_e2e.common.boxes import turn_picture
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import BLANK, UNSEEN, Vocabulary
from lpr_e2e.data.samples import Dataset, Photograph
from lpr_e2e.evaluation.calibration import PRIOR_PLATES, fitted_temperature
from lpr_e2e.evaluation.matching import match
from lpr_e2e.evaluation.scoring import Figures, score
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.engines.keras_model import KerasEngine
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.training.plain_batches import plain_glimpses, plain_joint_batches

# Photographs shown in TensorBoard, and training photographs whose figures stand beside the held-out ones.
SHOWN, COMPARED = 8, 32
# Readings by which the certainty is calibrated: photographs' plates, filled up with crops.
ENOUGH_TO_CALIBRATE = 100
# Photographs, and glimpses, per batch where nothing is learned.
_PHOTOGRAPHS, _GLIMPSES = 8, 64
# The loss terms of which nothing held out tells the truth: where characters stand is known of drawn plates alone.
_OF_DRAWN_PLATES = {"attention"}


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

    @property
    def texts(self) -> int:
        """How many plates of the photographs have a text."""
        return sum(plate.text is not None for one in self.dataset.validation_photographs for plate in one.plates)

    @functools.cached_property
    def glimpses(self) -> dict[str, np.ndarray]:
        """See `plain_glimpses`."""
        return plain_glimpses(self.dataset.validation_photographs, self.dataset.validation_crops, *self._sizes)

    def batches(self, stage: str) -> Iterator[dict[str, np.ndarray]]:
        """Batches such as a stage is trained on."""
        if stage == "joint":
            photographs = self.dataset.validation_photographs
            straight = {name: part.straight_aspect() for name, part in self.dataset.by_set().items()}
            yield from plain_joint_batches(photographs, *self._sizes, _PHOTOGRAPHS, straight)
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
            # Photographs that only fill a batch up, wholly unknown, do not count.
            unknown = batch["plate_cut"].all(1) if "plate_cut" in batch else np.zeros(len(batch["glimpses"]), bool)
            size = int((~unknown).sum())
            count += size
            for key, value in logs.items():
                if key not in _OF_DRAWN_PLATES:
                    sums[key] = sums.get(key, 0.0) + float(value) * size
        return {f"loss/{key}": value / count for key, value in sums.items() if count}


class Glimpses:
    """How well plates are read whose place is known: held-out crops, and the plates of held-out photographs."""

    side = "validation"

    def __init__(self, held: HeldOut):
        self.held = held

    def evaluate(self, model: PlateModel, task: keras.Model) -> dict[str, float]:
        """`reading/plates_right` and `reading/characters_right`; nothing where no glimpse is held out."""
        engine, plates, right, characters, letters = KerasEngine(model), 0, 0, 0, 0
        for batch in self.held.batches("recognition"):
            classes = batch["glimpse_classes"]
            answers = engine.read(batch["glimpses"])["logits"].argmax(-1)
            plates += len(classes)
            right += (answers == classes).all(-1).sum()
            characters += ((answers == classes) & (classes != BLANK)).sum()
            letters += (classes != BLANK).sum()
        if not plates:
            return {}
        return {
            "reading/plates_right": float(right / plates),
            "reading/characters_right": float(characters / letters),
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
        """`end to end/...`, see `Figures.as_dict`; of several data sets also `end to end/plates_right/NAME`."""
        figures = {f"end to end/{key}": value for key, value in self.figures(model).as_dict().items()}
        for name, of_set in self.figures_by_set().items():
            if of_set.plates_right is not None:
                figures[f"end to end/plates_right/{name}"] = of_set.plates_right
        return figures

    def figures_by_set(self) -> dict[str, Figures]:
        """The figures of the last evaluation for each data set, by its name; nothing if there is one."""
        names = sorted({one.origin for one in self.truths})
        if len(names) <= 1:
            return {}
        truths = {name: [one for one in self.truths if one.origin == name] for name in names}
        return {name: score(of_set, self.readings, self.vocabulary) for name, of_set in truths.items()}


class SeenPhotographs(Photographs):
    """The same of a few photographs that are trained on: how much better they are says how much is learned by heart."""

    side = "training"

    def __init__(self, held: HeldOut):
        super().__init__(held)
        seen = held.dataset.photographs
        places = np.linspace(0, len(seen) - 1, min(COMPARED, len(seen))).round().astype(int)
        self.truths = [seen[place] for place in places]


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
        score: the higher, the better is the model; None where nothing is held out that could tell.
        validation, training: the figures of both sides.
    """

    score: float | None
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
        self.stage, self.held = stage, held
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
        texts = self.held.texts if self.stage == "joint" else 0
        return Evaluation(deciding_score(figures["validation"], texts, len(self.held.glimpses["glimpses"])), **figures)


def deciding_score(figures: Mapping[str, float], texts: int, glimpses: int) -> float | None:
    """What decides which epoch of a stage is the best, from its held-out figures; higher is better.

    Of a hundred held-out plates, one more or less is chance: characters and boxes count as much as whole plates. And
    where few photographs are held out, the readings of crops tell more: each reading counts the same.

    Args:
        figures: by name, as the evaluators give them.
        texts: how many plates of held-out photographs have a text; 0 in stage one, where no plate is found yet.
        glimpses: how many held-out plates are read whose place is known.

    Returns:
        the sum of the shares of plates and characters read rightly and the mean IoU, as far as they are known; None if
        nothing is.
    """
    parts = []
    for name in ("plates_right", "characters_right"):
        known = [
            (figures[key], count)
            for key, count in ((f"end to end/{name}", texts), (f"reading/{name}", glimpses))
            if count and key in figures
        ]
        if known:
            parts.append(sum(value * count for value, count in known) / sum(count for _, count in known))
    if "end to end/mean_iou" in figures:
        parts.append(figures["end to end/mean_iou"])
    return sum(parts) if parts else None


def read_photographs(
    model: PlateModel, photographs: Sequence[Photograph]
) -> Iterator[tuple[str, np.ndarray, list[Reading]]]:
    """The readings of a model as it stands, as `predict` gives them.

    Yields:
        img_id, uint8 RGB picture, readings.
    """
    files = [(photograph.img_id, photograph.path) for photograph in photographs]
    return PlateReader.of(model).read_files(files, _PHOTOGRAPHS)


def best_temperature(model: PlateModel, held: HeldOut, prior_plates: float = PRIOR_PLATES) -> float:
    """The temperature that fits what is held out: the plates of photographs that are found, and, where these are few,
    crops as well; see `fitted_temperature`.

    A plate that the model says it cannot see, as a whole or in part, is left out: it counts with a confidence of 0 at
    any temperature, and its true text is so unlikely that one such plate would outweigh many others.
    """
    model.temperature.assign(1.0)
    photographs, crops = held.dataset.validation_photographs, held.dataset.validation_crops
    readings = {img_id: found for img_id, _, found in read_photographs(model, photographs)}
    outcomes = [one for photograph in photographs for one in match(photograph, readings[photograph.img_id]).outcomes]
    read = [(one.plate.text, one.reading) for one in outcomes if one.reading is not None]
    upright = [one for one in crops if one.turns is not None][: max(0, ENOUGH_TO_CALIBRATE - len(read))]
    pictures = [turn_picture(read_picture(one.path), one.turns) for one in upright]
    read += [
        (one.text, one_read) for one, one_read in zip(upright, PlateReader.of(model).read_crops(pictures), strict=True)
    ]
    known = [
        (reading.characters, model.vocabulary.encode(text))
        for text, reading in read
        if text is not None
        and reading.characters is not None
        and reading.text
        and UNSEEN not in reading.text
        and model.vocabulary.spells(text)
    ]
    probabilities, classes = (np.array(values) for values in (list(zip(*known, strict=True)) or ((), ())))
    return fitted_temperature(probabilities, classes, prior_plates)
