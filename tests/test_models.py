"""Shipped models: what is known of them, and how `--model` finds one by its name or path."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from lpr_e2e.cli import main
from lpr_e2e.common.errors import UserError
from lpr_e2e.prediction import models
from lpr_e2e.prediction.models import DEFAULT_NAME, find, megabytes, shipped

SAVED = Path(__file__).resolve().parent.parent / "saved_models"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder as an installed package has it: one model in 8 bits, and what is known of another one."""
    folder = tmp_path / "site-packages/lpr_e2e/saved_models"
    (folder / "tunisia").mkdir(parents=True)
    (folder / "tunisia/model.json").write_text("{}")
    for name in ("tunisia", "british"):
        (folder / f"{name}.json").write_bytes((SAVED / f"{name}.json").read_bytes())
    monkeypatch.setattr(models, "shipped_folder", lambda: folder)
    return folder


def test_all_weights_are_known_and_all_that_is_known_has_weights():
    known = shipped()
    assert list(known)[0] == DEFAULT_NAME
    assert {path.stem for path in SAVED.glob("*.keras")} == set(known)
    for model in known.values():
        assert model.country and re.fullmatch(r"[A-Za-z]+-[0-9.]+", model.licence)
        assert {"plates_right", "characters_right", "mean_iou", "photographs"} <= set(model.figures)
        assert "Keras" in model.forms


class TestFind:
    def test_the_default_is_the_exported_form_where_its_runtime_is(self, monkeypatch):
        assert find() == find("tunisia") == SAVED / "tunisia"
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert find() == find("tunisia") == SAVED / "tunisia.keras"

    def test_a_name_gives_the_file_where_keras_is_wanted(self):
        assert find("tunisia", keras=True) == SAVED / "tunisia.keras"
        assert find("british") == find("british", keras=True) == SAVED / "british.keras"

    def test_a_model_at_a_path_goes_before_a_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "tunisia").mkdir()  # Photographs, say.
        assert find("tunisia") == SAVED / "tunisia"
        (tmp_path / "tunisia/model.json").touch()
        assert find("tunisia") == Path("tunisia")
        (tmp_path / "british").touch()
        assert find("british") == Path("british")

    def test_any_path_that_is_there_is_for_who_loads_it(self, tmp_path):
        assert find(tmp_path) == tmp_path
        assert find(str(tmp_path)) == tmp_path

    @pytest.mark.parametrize("name", ["tunesia", "tunisia.keras", "../british", "nowhere/best.keras"])
    def test_a_wrong_name_lists_the_known_ones(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(
            UserError, match="tunisia, base, british, china, egypt, indonesia, tunisia_careful, tunisia_seed0"
        ) as refused:
            find(name)
        assert f"no model at {name}" in str(refused.value)

    @pytest.mark.parametrize("what", ["pipe", "/dev/null", "/dev/zero"])
    def test_what_is_neither_file_nor_folder_is_no_model(self, what, tmp_path):
        """It was told after Keras was imported, and after the data were read."""
        path = tmp_path / what
        if what == "pipe":
            os.mkfifo(path)
        with pytest.raises(UserError, match="no model at .*: name a .keras file"):
            find(path)

    def test_what_is_not_installed_is_said(self, installed):
        assert find() == installed / "tunisia"
        for name, keras in (("british", False), ("british", True), ("tunisia", True)):
            with pytest.raises(UserError, match=rf"{name}: its \.keras file is not in .*repository"):
                find(name, keras)


def test_sizes_are_those_of_the_files(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(bytes(1_500_000))
    (tmp_path / "below/b").write_bytes(bytes(500_000))
    assert megabytes(tmp_path) == 2.0 and megabytes(tmp_path / "a") == 1.5


def test_the_list_says_what_is_there(installed, capsys):
    assert main(["models"]) == 0
    tunisia, british = capsys.readouterr().out.splitlines()[1:3]
    assert tunisia.startswith("tunisia ") and "97.5% of 159" in tunisia and "Apache-2.0" in tunisia
    assert tunisia.endswith("ONNX Runtime 0.0 MB")
    assert british.startswith("british ") and british.endswith("not installed")


@pytest.mark.parametrize("command", [["predict", "IN"], ["robustness", "IN"], ["train", "--data", "IN"]])
def test_a_wrong_name_is_one_line_everywhere(command, tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    option = "--weights" if command[0] == "train" else "--model"
    data = tiny_data / "test" if command[0] == "predict" else tiny_data
    assert main([str(data) if part == "IN" else part for part in command] + [option, "tunesia"]) == 2
    said = capsys.readouterr().err
    assert (
        said.startswith(f"lpr-e2e {command[0]}: no model at tunesia: did you mean tunisia? Else name a")
        and said.count("\n") == 1
    )
    assert not list(tmp_path.iterdir())


def test_what_is_known_names_the_training(tmp_path):
    """So that the figures can be made again."""
    for path in SAVED.glob("*.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        assert {"settings", "versions", "characters", "slots"} <= set(facts)
