"""Evaluators: the settings choose them, each gives its figures, and the score of an epoch is what it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Photograph, Plate
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.training import evaluators
from lpr_e2e.training.callbacks import Progress
from lpr_e2e.training.evaluators import EVALUATORS, Validation, deciding_score
from lpr_e2e.training.settings import EVALUATORS as NAMES
from lpr_e2e.training.settings import PRESETS


class Fixed:
    """Gives the same figures whatever it is asked."""

    def __init__(self, side, **figures):
        self.side, self.figures = side, figures

    def evaluate(self, model, task):
        return self.figures


def test_the_settings_know_all_evaluators():
    assert tuple(EVALUATORS) == NAMES
    for preset in PRESETS.values():
        assert set(preset.joint.evaluators) == set(NAMES)


def test_only_those_named_are_asked_and_each_side_gets_its_own(monkeypatch):
    for name, one in {
        "losses": Fixed("validation", loss=1.0),
        "glimpses": Fixed("validation", **{"reading/plates_right": 0.5}),
        "seen_photographs": Fixed("training", seen=0.9),
    }.items():
        monkeypatch.setitem(EVALUATORS, name, lambda held, one=one: one)
    monkeypatch.setitem(EVALUATORS, "photographs", lambda held: pytest.fail("not named"))
    held = SimpleNamespace(glimpses={"glimpses": [0] * 9}, texts=0)
    found = Validation("recognition", ("glimpses", "seen_photographs"), held).evaluate(None, None)
    assert (found.score, found.validation, found.training) == (0.5, {"reading/plates_right": 0.5}, {"seen": 0.9})
    found = Validation("recognition", ("losses", "glimpses"), held).evaluate(None, None)
    assert list(found.validation) == ["loss", "reading/plates_right"] and not found.training


READ = {"reading/plates_right": 0.5, "reading/characters_right": 0.8}
BOTH = {**READ, "end to end/plates_right": 0.25, "end to end/characters_right": 0.5, "end to end/mean_iou": 0.125}


@pytest.mark.parametrize(
    ("figures", "texts", "glimpses", "score"),
    [
        (READ, 0, 40, 1.3),  # Stage one, and stage two without a held-out photograph.
        (BOTH, 40, 40, (0.25 + 0.5) / 2 + (0.5 + 0.8) / 2 + 0.125),
        (BOTH, 40, 0, 0.875),
        # Two photographs do not decide against fifty crops.
        (BOTH, 2, 50, (2 * 0.25 + 50 * 0.5) / 52 + (2 * 0.5 + 50 * 0.8) / 52 + 0.125),
        ({**READ, "end to end/mean_iou": 0.25}, 0, 40, 1.55),
        ({}, 0, 0, None),
    ],
)
def test_every_reading_and_the_boxes_decide(figures, texts, glimpses, score):
    assert deciding_score(figures, texts, glimpses) == (None if score is None else pytest.approx(score))


def test_where_nothing_tells_the_last_epoch_is_the_best():
    progress = Progress("joint")
    assert [progress.note(None) for _ in range(3)] == [True, True, True] and progress.waited == 0
    assert [progress.note(score) for score in (0.5, 0.4, 0.6)] == [True, False, True]


ABC = Vocabulary("ABC?", 4)


def read_as(text: str, certainty: float) -> Reading:
    """A plate that is read so, each character with this certainty; all others are as likely as each other."""
    characters = np.full((ABC.slots, ABC.classes), (1 - certainty) / (ABC.classes - 1))
    characters[np.arange(ABC.slots), ABC.encode(text)] = certainty
    return Reading("x", text, certainty, (0, 0, 9, 9), 0.9, "ok", characters)


def held_out(monkeypatch, readings: Sequence[tuple[str, Reading]]) -> SimpleNamespace:
    """What holds out a photograph for each pair of a true text and what is read."""
    box = (0.0, 0.0, 9.0, 9.0)
    photographs = [
        Photograph(str(number), Path("x.jpg"), (Plate(box, text),)) for number, (text, _) in enumerate(readings)
    ]
    found = [(str(number), None, [reading]) for number, (_, reading) in enumerate(readings)]
    monkeypatch.setattr(evaluators, "read_photographs", lambda model, asked: found)
    no_crops = SimpleNamespace(read_crops=lambda pictures: [])
    monkeypatch.setattr(evaluators, "PlateReader", SimpleNamespace(of=lambda model: no_crops))
    return SimpleNamespace(dataset=SimpleNamespace(validation_photographs=photographs, validation_crops=[]))


class TestTemperature:
    READ = (("AB", "AB", 0.9),) * 18 + (("AB", "AC", 0.6),) * 2

    def fitted(self, monkeypatch, *further):
        model = SimpleNamespace(vocabulary=ABC, temperature=SimpleNamespace(assign=lambda value: None))
        pairs = [(text, read_as(read, certainty)) for text, read, certainty in (*self.READ, *further)]
        return evaluators.best_temperature(model, held_out(monkeypatch, pairs))

    @pytest.mark.parametrize("seen", ["", "?B", "A?", "??"])
    def test_what_cannot_be_seen_tells_nothing(self, monkeypatch, seen):
        assert self.fitted(monkeypatch, *[("AB", seen, 0.999999)] * 3) == self.fitted(monkeypatch)

    def test_a_wrong_reading_that_is_sure_of_itself_does(self, monkeypatch):
        assert self.fitted(monkeypatch, *[("AB", "CB", 0.999999)] * 3) > 1.2 * self.fitted(monkeypatch)
