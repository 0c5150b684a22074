"""Files that exist go on working: weights, exported models and run folders from before procedures were stored."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from stand_in import FIRST, LATER

from lpr_e2e import PlateReader
from lpr_e2e.prediction.description import Description, with_checksum
from lpr_e2e.training.settings import PRESETS, Settings

SAVED = Path(__file__).resolve().parent.parent / "saved_models"
# What the architecture and the description of a model held besides its sizes.
MOVED = ("plates", "second_look", "reading_scales", "sure", "rectify", "doubt")
# What descriptions have got since then.
LATER_KEYS = ("procedure", "promise", "forms", "model")


def test_an_exported_model_is_read_with_the_numbers_of_then(tmp_path):
    """Its description, as it was written then: these numbers among its sizes, and no procedure."""
    values = json.loads((SAVED / "tunisia" / "model.json").read_text(encoding="utf-8"))
    before = {name: value for name, value in values.items() if name not in LATER_KEYS}
    before |= {name: value for name, value in asdict(FIRST).items() if name in MOVED}
    for path in (SAVED / "tunisia").iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "model.json").unlink()
    (tmp_path / "model.json").write_text(json.dumps(with_checksum(before)), encoding="utf-8")
    assert Description.load(tmp_path).procedure == FIRST


def test_a_saved_model_is_read_with_the_numbers_of_then():
    from lpr_e2e.model.plate_model import load

    path = SAVED / "tunisia_seed0.keras"
    with zipfile.ZipFile(path) as file:
        assert "procedure" not in json.loads(file.read("config.json"))["config"]
    model = load(path)
    assert model.procedure == FIRST and model.architecture == PRESETS["standard"].architecture
    reader = PlateReader.of(model)
    photograph = np.random.default_rng(0).integers(0, 255, (240, 320, 3), "uint8")
    assert reader.read(photograph)[0].status == "no plate"


def test_both_forms_of_the_shipped_model_know_the_same():
    exported = PlateReader.load(SAVED / "tunisia").description
    of_keras = PlateReader.load(SAVED / "tunisia.keras").description
    assert replace(exported, temperature=of_keras.temperature) == of_keras
    assert exported.temperature == pytest.approx(of_keras.temperature)


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_of_a_run_from_before_are_those_of_today_but_for_what_came_later(preset):
    """A run folder's config.json, as it was written then."""
    settings = PRESETS[preset]
    before = json.loads(json.dumps(settings.as_dict()))
    numbers = asdict(settings.procedure)
    del before["procedure"]
    before["architecture"] |= {name: numbers[name] for name in MOVED}
    expected = replace(settings, procedure=replace(settings.procedure, **LATER))
    assert Settings.from_dict(json.loads(json.dumps(before))) == expected


def test_a_run_from_before_with_numbers_of_its_own_keeps_them():
    before = json.loads(json.dumps(PRESETS["small"].as_dict()))
    del before["procedure"]
    before["architecture"] |= {"plates": 1, "second_look": 0.0, "reading_scales": [1.0], "doubt": 0.0}
    expected = replace(FIRST, plates=1, second_look=0.0, reading_scales=(1.0,), doubt=0.0)
    assert Settings.from_dict(before).procedure == expected
