"""Evaluators: the settings choose them, each gives its figures, and the score of an epoch is what it was."""

from __future__ import annotations

import pytest

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
    found = Validation("recognition", ("glimpses", "seen_photographs"), None).evaluate(None, None)
    assert (found.score, found.validation, found.training) == (0.5, {"reading/plates_right": 0.5}, {"seen": 0.9})
    found = Validation("recognition", ("losses", "glimpses"), None).evaluate(None, None)
    assert list(found.validation) == ["loss", "reading/plates_right"] and not found.training


READ = {"reading/plates_right": 0.5, "reading/characters_right": 0.8}


@pytest.mark.parametrize(
    ("stage", "figures", "score"),
    [
        ("recognition", {**READ, "end to end/plates_right": 1.0}, 0.5),
        # Held-out photographs with texts and boxes, with boxes alone, with neither.
        (
            "joint",
            {
                **READ,
                "end to end/plates_right": 0.25,
                "end to end/characters_right": 0.5,
                "end to end/mean_iou": 0.125,
            },
            0.875,
        ),
        ("joint", {**READ, "end to end/mean_iou": 0.25}, 1.55),
        ("joint", READ, 1.3),
    ],
)
def test_plates_characters_and_boxes_decide(stage, figures, score):
    assert deciding_score(stage, figures) == pytest.approx(score)
