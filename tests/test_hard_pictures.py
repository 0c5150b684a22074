"""Forty hard pictures: each shows what its name says, and the truth tells it."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest

from lpr_e2e.cli import main
from lpr_e2e.common.errors import UserError
from lpr_e2e.evaluation.truth import read_truth
from lpr_e2e.experiments import hard_pictures
from lpr_e2e.experiments.hard_pictures import write_hard_pictures

LIKE = ["AB12CDE", "FG34HJK", "LM56NPR", "ST78UVW", "XY90ZAB"] * 20


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hard_pictures, "_LARGE", (540, 960))  # Drawn in a tenth of the time.
        patch.setattr(hard_pictures, "_LARGE_CAR", 300)
        assert write_hard_pictures(folder, LIKE) == 40
    return folder


def kind(name: str) -> str:
    return name[3:].removesuffix(".jpg")


def test_there_are_forty_of_many_kinds_and_the_truth_knows_them(drawn):
    names = sorted(path.name for path in drawn.glob("*.jpg"))
    truths = {one.img_id: one for one in read_truth(drawn / "truth.csv")}
    assert len(names) == 40 and set(truths) == set(names)
    assert len(Counter(map(kind, names))) >= 12
    for name, truth in truths.items():
        height, width = cv2.imread(str(drawn / name)).shape[:2]
        for plate in truth.plates:
            top, left, bottom, right = plate.box_px
            assert 0 <= top < bottom <= height + 1 and 0 <= left < right <= width + 1
            if kind(name) in ("mirrored", "moved too far", "out of focus", "too small"):
                assert not plate.text
            else:
                assert len(plate.text) == 7
            if kind(name) == "cut off":
                assert left == 0 or right == width
        if kind(name) in ("sign", "plate of elsewhere", "no plate"):
            assert not truth.plates
        else:
            assert len(truth.plates) == (3 if kind(name) == "several cars" else 1)


def test_the_same_seed_draws_the_same_files(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(hard_pictures, "_KINDS", hard_pictures._KINDS[:1])
    write_hard_pictures(tmp_path / "same", LIKE)
    write_hard_pictures(tmp_path / "other", LIKE, seed=1)
    for number in (1, 2, 3):
        own = (drawn / f"{number:02} clear.jpg").read_bytes()
        assert (tmp_path / "same" / f"{number:02} clear.jpg").read_bytes() == own
        assert (tmp_path / "other" / f"{number:02} clear.jpg").read_bytes() != own


def test_what_is_hidden_is_where_the_plate_is(drawn):
    for path in drawn.glob("*large*.jpg"):
        assert cv2.imread(str(path)).shape == (540, 960, 3)
    (truth, *_) = [one for one in read_truth(drawn / "truth.csv") if kind(one.img_id) == "mirrored"]
    top, left, bottom, right = np.round(truth.plates[0].box_px).astype(int)
    plate = cv2.imread(str(drawn / truth.img_id), cv2.IMREAD_GRAYSCALE)[top:bottom, left:right]
    assert plate.std() > 20  # Letters on it.


def test_the_command_takes_only_what_it_uses(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hard_pictures, "_KINDS", hard_pictures._KINDS[:1])
    assert main(["draw", str(tmp_path / "hard"), "--hard", "--like", *LIKE[:5], "--seed", "3"]) == 0
    assert "3 hard pictures drawn" in capsys.readouterr().out and (tmp_path / "hard" / "truth.csv").exists()
    assert main(["draw", str(tmp_path / "no"), "--hard", "--cars", "2"]) == 2
    assert "--cars" in capsys.readouterr().err and not (tmp_path / "no").exists()
    with pytest.raises(UserError, match="no font"):
        write_hard_pictures(tmp_path / "none", ["\U000fff00" * 3])
