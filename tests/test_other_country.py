"""Plates of another country, from raw folders to a report, with the commands that people use."""

from __future__ import annotations

import csv
import json
import re

import cv2
import pytest

import predict
import train
from lpr_e2e.cli import main

# Letters and digits, two groups of them, on one line or two.
from lpr_e2e.drawing import scenes

# Letters and digits, two groups of them, on one line or two.
LIKE = ("AB12CDE", "FG34HJK", "LM56NPR", "ST78UVW", "XY90ZAB")
TINY = (
    "architecture.canvas_size=192",
    "architecture.glimpse_size=[32, 64]",
    "architecture.widths=[8, 8, 16, 16, 16]",
    "architecture.head_width=16",
    "recognition.steps=2",
    "recognition.plates=8",
    "joint.steps=2",
    "joint.photographs=4",
    "joint.plates=4",
    "epoch_steps=2",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other") / "data"
    counts = {"photographs": 12, "crops": 16, "test": 6, "validation": 3}
    scenes.write_demo(folder, **counts, seed=1, like=LIKE, cars=2, two_lines=0.5)
    return folder


def files_of(folder):
    """Names of the files of a data folder, but those of its cache."""
    return sorted(path.name for path in folder.rglob("*") if ".lpr_e2e_cache" not in path.relative_to(folder).parts)


def test_from_raw_folders_to_a_report(folder, tmp_path, monkeypatch, eagerly):
    """No setting says which country it is, and nothing but the cache is left in the folder of the data."""
    monkeypatch.chdir(tmp_path)
    before = files_of(folder)
    assert main(["check", str(folder)]) == 0
    assert "AB" in (tmp_path / "check.html").read_text(encoding="utf-8")

    settings = [part for one in TINY for part in ("--set", one)]
    assert train.main(["--data", str(folder), "--preset", "small", "--run", "run", *settings]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert set(config["characters"]) <= set("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") and config["slots"] == 7

    form = "[A-Z]{2}[0-9]{2}[A-Z]{3}"
    asked = ["--model", "run/best.keras", "--format", form, "--jsonl", "--no-pictures"]
    assert predict.main([str(folder / "test"), *asked]) == 0
    with open(tmp_path / "predictions" / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["img_id"] for row in rows} == {path.name for path in (folder / "test").iterdir()}
    assert (tmp_path / "predictions" / "report.html").exists()
    assert len((tmp_path / "predictions" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()) == len(rows)
    assert files_of(folder) == before


def test_photographs_show_one_or_two_cars(folder, monkeypatch, tmp_path):
    shown = []
    draw = scenes.draw_scene
    monkeypatch.setattr(
        scenes, "draw_scene", lambda painter, rng, cars=1: shown.append(cars) or draw(painter, rng, cars)
    )
    scenes.write_demo(tmp_path, photographs=8, crops=1, test=8, validation=1, like=LIKE, cars=2)
    assert set(shown[:8]) == {1, 2} and set(shown[-8:]) == {1, 2}


def test_plates_have_one_line_or_two(folder):
    with open(folder / "license_plates_recognition_train.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(re.fullmatch("[A-Z]{2}[0-9]{2}[A-Z]{3}", row["text"]) for row in rows)
    aspects = []
    for row in rows:
        height, width = cv2.imread(str(folder / "license_plates_recognition_train" / row["img_id"])).shape[:2]
        aspects.append(width / height)
    assert min(aspects) < 2 < max(aspects)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"cars": 4}, "cars: 4; expected 1 to 3"), ({"two_lines": 1.5}, "two lines: 1.5; expected")],
)
def test_what_cannot_be_drawn_is_said(tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words):
        scenes.write_demo(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())
