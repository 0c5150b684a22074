"""What the README and the docstrings show can be typed in as it stands."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.scenes import draw_scene
from lpr_e2e.prediction import reader as prediction

ROOT = Path(__file__).resolve().parent.parent


class Saying(PlatePainter):
    """Draws plates that say this."""

    def sample_text(self, rng: np.random.Generator) -> str:
        return "123T4567"


@pytest.fixture
def car(tmp_path, monkeypatch):
    """`car.jpg` in the current folder, a drawn photograph of a car whose plate says 123T4567."""
    painter = Saying(["123T4567", "45T678"], worn=0.0, two_lines=0.0)
    scene = draw_scene(painter, np.random.default_rng(5))
    Image.fromarray(scene.photograph).save(tmp_path / "car.jpg", quality=95)
    monkeypatch.chdir(tmp_path)


def test_the_example_of_the_reader(car):
    assert doctest.testmod(prediction).attempted >= 3
    assert not doctest.testmod(prediction).failed


def test_the_readers_example_in_the_readme(car, capsys):
    (example,) = re.findall(
        r"```python\n(from lpr_e2e import PlateReader.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("123T4567 0.9")


def test_the_example_of_taking_the_model_apart(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    (example,) = re.findall(r"```python\n(import keras\n.*?)```", (ROOT / "README.md").read_text(), re.S)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    taken, weights = map(int, re.search(r"(\d+) of (\d+) \(", capsys.readouterr().out.splitlines()[-1]).groups())
    assert weights - 10 < taken < weights  # All but the classifier's.
    assert {layer.name for layer in names["theirs"].reader.layers if layer.trainable} == {"decoder"}


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "saved_models" / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
