"""What a training starts from: another model's weights, carried over by what they stand for.

The backbone, the box head and the attention know plates of any country. Of the classifier, a character's weights are
carried over to the same character, whatever its class number. A character that the other model did not know begins as
one that looks the same on a plate, a Cyrillic letter as the Latin one, and else near the mean of the known ones, so
that none is preferred. What cannot be seen is like none of them: it begins at the mean. A slot reads the character of
its number, counted from the start of the text, in both models.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lpr_e2e.common.vocabulary import BLANK, UNSEEN, Vocabulary
from lpr_e2e.data.samples import Dataset
from lpr_e2e.data.spellings import look_alikes
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.training.evaluators import Glimpses, HeldOut
from lpr_e2e.training.settings import Settings, StageSettings

# New characters begin at the mean of the known ones, and differ from it by this much of the known ones' spread.
_SPREAD_OF_NEW = 0.5
# However well a start reads, a stage has at least this share of its steps.
_LEAST_STEPS = 0.1


@dataclass(frozen=True)
class TakenOver:
    """What a model has taken over from another.

    Attributes:
        weights: how many arrays, of `all_weights`.
        all_weights: how many it has.
        known: its characters that the other model knew, too.
        alike: those of its other characters that begin as one which looks the same, or means the same.
        new: its other characters.
    """

    weights: int
    all_weights: int
    known: str
    alike: str
    new: str

    def __str__(self) -> str:
        alike = f"; known by one that looks or means the same: {self.alike}" if self.alike else ""
        new = f"; new: {self.new}" if self.new else ""
        known = f"characters known: {self.known or 'none'}"
        return f"{self.weights} of {self.all_weights} weights taken over; {known}{alike}{new}"


def take_over(model: PlateModel, source: PlateModel, seed: int = 0) -> TakenOver:
    """Copy the weights of `source` into `model`, as far as names and shapes agree, and classes and slots by meaning.

    Args:
        model: is changed.
        source: is not.
        seed: of the starts of new characters.
    """
    given = {weight.path: np.asarray(weight) for weight in source.weights}
    given |= _classifier(given, source.vocabulary, model.vocabulary, np.random.default_rng(seed))
    given |= _queries(given, model.vocabulary.slots)
    taken = 0
    for weight in model.weights:
        value = given.get(weight.path)
        if value is not None and value.shape == tuple(weight.shape):
            weight.assign(value)
            taken += 1
    model.temperature.assign(1.0)  # Fitted to how sure the other one was.
    begins = {one: _begins_as(one, source.vocabulary.characters) for one in model.vocabulary.characters}
    known = "".join(one for one, before in begins.items() if one == before)
    alike = "".join(one for one, before in begins.items() if before and one != before)
    new = "".join(one for one, before in begins.items() if not before)
    return TakenOver(taken, len(model.weights), known, alike, new)


def _begins_as(character: str, known: str) -> str:
    """The known character whose weights one begins with; "" if there is none."""
    return next((one for one in (character, *look_alikes(character)) if one in known), "")


def _classifier(
    given: Mapping[str, np.ndarray], before: Vocabulary, now: Vocabulary, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The classifier's arrays for another vocabulary, by path; their last axis is the classes."""
    places = {character: number for number, character in enumerate(before.characters, start=1)}
    changed = {}
    for path, values in given.items():
        if "/classifier/" not in path:
            continue
        known = values[..., 1:]
        mean, spread = known.mean(-1), known.std(-1)
        columns = [values[..., BLANK]]
        for character in now.characters:
            apart = 0.0 if character == UNSEEN else _SPREAD_OF_NEW
            new = mean + apart * spread * rng.standard_normal(mean.shape)
            same = _begins_as(character, before.characters)
            columns.append(values[..., places[same]] if same else new)
        changed[path] = np.stack(columns, axis=-1).astype(values.dtype)
    return changed


def _queries(given: Mapping[str, np.ndarray], slots: int) -> dict[str, np.ndarray]:
    """The queries `(slots, width)` for another number of slots: further ones go on as the last two did."""
    changed = {}
    for path, values in given.items():
        if not path.endswith("/queries"):
            continue
        step = values[-1] - values[-2] if len(values) > 1 else np.zeros_like(values[-1])
        further = [values[-1] + step * number for number in range(1, slots - len(values) + 1)]
        changed[path] = np.stack([*values[:slots], *further])
    return changed


def share_read(settings: Settings, dataset: Dataset, source: PlateModel) -> float:
    """Share of the held-out plates, at their known places, that a model reads rightly before the training, 0..1."""
    vocabulary = Vocabulary.from_texts(dataset.training_texts(), settings.characters)
    model = PlateModel(settings.architecture, vocabulary.characters, vocabulary.slots, settings.procedure)
    take_over(model, source, settings.seed)
    held = HeldOut(dataset, vocabulary, settings.architecture, settings.procedure)
    return Glimpses(held).evaluate(model, None).get("reading/plates_right", 0.0)


def with_steps_for(settings: Settings, read: float, fixed: Collection[str] = ()) -> Settings:
    """The settings with the steps that a training needs which starts from weights that know plates.

    Args:
        settings: of the training.
        read: see `share_read`.
        fixed: stages whose steps are to stay as they are, because somebody has set them.
    """

    def changed(stage: StageSettings, needed: float) -> StageSettings:
        steps = min(stage.steps, stage.started_steps)
        epochs = max(1, round(steps * max(_LEAST_STEPS, needed) / settings.epoch_steps))
        return replace(stage, steps=min(stage.steps, epochs * settings.epoch_steps))

    # What the start reads says little about stage two: finding, and blurred and dark plates, are learned there.
    stages = {
        name: changed(getattr(settings, name), needed)
        for name, needed in (("recognition", 1 - read), ("joint", 1.0))
        if name not in fixed
    }
    return replace(settings, **stages)
