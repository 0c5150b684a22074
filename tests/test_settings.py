"""Settings: changed by name, with errors that help."""

import json
from operator import attrgetter

import pytest

from lpr_e2e.cli import main
from lpr_e2e.training.settings import PRESETS, Settings

STANDARD = PRESETS["standard"]


def test_named_values_change_and_no_others():
    changed = STANDARD.changed(["joint.steps=500", "mixture.real=1", "procedure.reading_scales=[1.0]", "seed=3"])
    assert (changed.joint.steps, changed.mixture.real, changed.seed) == (500, 1, 3)
    assert changed.procedure.reading_scales == (1.0,)
    assert STANDARD.procedure.rectify and not STANDARD.changed(["procedure.rectify=false"]).procedure.rectify
    back = changed.changed(
        [f"joint.steps={STANDARD.joint.steps}", f"mixture.real={STANDARD.mixture.real}", "seed=0",
         f"procedure.reading_scales={list(STANDARD.procedure.reading_scales)}"]
    )  # fmt: skip
    assert back == STANDARD


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_settings_survive_a_dict(preset):
    assert Settings.from_dict(preset.as_dict()) == preset


@pytest.mark.parametrize("characters", ["\n", "A\t", "?", "  ", "A B", "\u3000", "\u200b", "\x1b[1m"])
def test_letters_that_are_none_are_not_drawn_either(characters, tmp_path, capsys):
    assert main(["draw", str(tmp_path / "new"), "--characters", characters]) == 2
    assert "expected letters, digits and signs of plates" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("characters", ["", "ABC", "京سﺱ한", "Ä-·", "é", "\U000f0000"])
def test_letters_of_any_script_may_be_learned(characters):
    assert STANDARD.changed([f"characters={json.dumps(characters)}"]).characters == characters


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("joint.step=5", "joint.step'.*joint.steps=8000"),
        ("mixure.real=0.5", "mixture.real"),
        ("joint.steps=many", "'many'.*joint.steps=8000"),
        ("joint.steps=0.5", "joint.steps=8000"),
        ("joint.steps", "joint.steps=8000"),
        ("mixture.real=-1", "mixture.real"),
        ("mixture.real=true", "mixture.real"),
        ("procedure.rectify=1", "procedure.rectify=true"),
        ("mixture.real=1.5", "from 0 to 1"),
        ("epoch_steps=0", "setting epoch_steps: 0; expected a whole number from 1 to"),
        ("joint.steps=-5", "setting joint.steps: -5; expected a whole number from 0 to 10000000"),
        ("joint.steps=10000000000000000000000", "setting joint.steps: 1.*; expected a whole number from 0 to 10000000"),
        ("recognition.plates=0", "setting recognition.plates: 0; expected a whole number from 1 to 4096"),
        ("recognition.photographs=1", "setting recognition.photographs: 1; expected a whole number from 0 to 0"),
        ("joint.plates=0", "setting joint.plates: 0"),
        ("joint.photographs=0", "setting joint.photographs: 0; expected a whole number from 1"),
        ("joint.learning_rate=1e30", r"setting joint.learning_rate: 1e\+30; expected a number from 0.0 to 10.0"),
        ("reading_weight=1e400", "setting reading_weight: inf"),
        ("crop_gradient=NaN", "crop_gradient"),
        ("seed=-1", "seed"),
        ("averaging=1", "setting averaging: 1.0; expected a momentum from 0 to below 1"),
        ("averaging=2", "averaging"),
        ("averaging=-0.5", "averaging"),
        ("seed=4294967296", "setting seed: 4294967296; expected a whole number from 0 to 4294967295"),
        ('recognition.evaluators="glimpses"', 'recognition.evaluators=\\["losses", "glimpses"\\]'),
        ('recognition.evaluators=["losses"]', "recognition.evaluators: losses; expected glimpses, which decide"),
        (
            'joint.evaluators=["photographs", "glimpses", "slices"]',
            "slices; expected photographs, glimpses",
        ),
        ('characters="A\\t"', r"characters: '\\t'; expected letters"),
        ('characters="\\u0000"', "characters: .*; expected letters"),
        ('characters="\\udcff"', "characters: .*; expected letters"),
        ('characters="\\u202eB"', "characters: .*; expected letters"),
        ('characters="?"', r"characters: '\?'; expected letters"),
        ("architecture.glimpse_size=64", "glimpse_size"),
        ("architecture.glimpse_size=[64, 100]", "multiples of 16"),
    ],
)
def test_wrong_settings_name_the_right_ones(assignment, words):
    with pytest.raises(ValueError, match=words):
        STANDARD.changed([assignment])


@pytest.mark.parametrize(
    "assignment", ["recognition.plates=1", "joint.photographs=1", "joint.warm_up=0", "predicted_to=0"]
)
def test_the_least_of_each_number_is_taken(assignment):
    name, _, value = assignment.partition("=")
    assert attrgetter(name)(STANDARD.changed([assignment])) == float(value)
