"""Batch reading with Apache Beam: the rows of `predict.py`, none twice, none missing, whatever is interrupted."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("apache_beam", reason="needs lpr_e2e/serving/beam-requirements.txt, in an environment of its own")

import predict  # noqa: E402
from lpr_e2e.prediction.reader import EXPORTED_MODEL  # noqa: E402
from lpr_e2e.serving import beam as batch  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of nothing, a broken and an empty file, something else, and something hidden."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(7):
        path = folder / ("below" if number % 2 else ".") / f"{number}, ü.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (80 + number, 60), (30 * number, 90, 120)).save(path)  # In noise, a model may see something.
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("no photograph")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def run(folder, output, *others):
    return batch.main([str(folder), "--output", str(output), "--shard", "2", *others])


def rows(output):
    found = []
    for path in sorted(Path(output).glob("part-*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            found += list(csv.DictReader(file))
    return found


def test_the_rows_are_those_of_predict(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "read") == 0
    assert "9 photographs: 7 no plate, 2 unreadable" in capsys.readouterr().out
    assert predict.main([str(folder), "--output", str(tmp_path / "predict"), "--no-pictures", "--no-report"]) == 0
    with open(tmp_path / "predict" / "predictions.csv", newline="", encoding="utf-8") as file:
        expected = {row["img_id"]: row for row in csv.DictReader(file)}
    found = rows(tmp_path / "read")
    assert Counter(row["img_id"] for row in found) == Counter(list(expected))
    for row in found:
        other = expected[row["img_id"]]
        assert (row["text"], row["status"]) == (other["text"], other["status"])
        assert float(row["box_confidence"]) == pytest.approx(float(other["box_confidence"]), abs=2e-4)


def test_what_cannot_be_read_is_listed_apart(folder, tmp_path):
    run(folder, tmp_path)
    listed = {}
    for path in tmp_path.glob("unreadable-*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            listed |= {row["img_id"]: row["status"] for row in csv.DictReader(file)}
    assert listed == {"broken.jpg": "unreadable: not a picture", "empty.jpg": "unreadable: empty file (0 bytes)"}


def test_only_what_is_missing_is_read_again(folder, tmp_path, capsys):
    run(folder, tmp_path)
    parts = sorted(tmp_path.glob("part-*"))
    assert len(parts) == 5
    before = {path: path.stat().st_mtime_ns for path in parts}
    expected = rows(tmp_path)
    parts[3].unlink()
    (tmp_path / f".{parts[1].name}.left over").write_text("half a line")
    assert run(folder, tmp_path) == 0
    assert "4 of them read before" in capsys.readouterr().out
    assert rows(tmp_path) == expected
    assert {path for path in parts if path.stat().st_mtime_ns != before[path]} == {parts[3]}


def test_photographs_that_come_later_do_not_move_the_others(folder, tmp_path):
    """The list is made once: a shard stands for the same photographs until the end."""
    photographs = shutil.copytree(folder, tmp_path / "photographs")
    run(photographs, tmp_path / "read")
    expected = rows(tmp_path / "read")
    sorted((tmp_path / "read").glob("part-*"))[0].unlink()
    Image.new("RGB", (50, 50)).save(photographs / "0 first.png")
    (photographs / "2, ü.png").unlink()
    assert run(photographs, tmp_path / "read") == 0
    assert [row["img_id"] for row in rows(tmp_path / "read")] == [row["img_id"] for row in expected]
    status = {row["img_id"]: row["status"] for row in rows(tmp_path / "read")}["2, ü.png"]
    assert status in ("unreadable: missing file", "no plate")  # Read before, if it was in another shard.


def test_a_failing_shard_leaves_the_others(folder, tmp_path, capsys, monkeypatch):
    """A worker that dies in the middle loses its shard, and nothing else."""
    contents = batch._contents

    def die(photographs):
        if any(img_id == "broken.jpg" for img_id, _ in photographs):
            raise ConnectionError("the network is away")
        return contents(photographs)

    monkeypatch.setattr(batch, "_contents", die)
    assert run(folder, tmp_path) == 1
    assert "the same command goes on" in capsys.readouterr().err
    for path in tmp_path.glob("part-*"):
        assert path.read_text(encoding="utf-8").count("\n") == 3
    monkeypatch.setattr(batch, "_contents", contents)
    assert run(folder, tmp_path) == 0
    assert len(rows(tmp_path)) == 9


def test_a_killed_process_costs_nothing(folder, tmp_path, capsys, monkeypatch):
    """One of two processes is killed as soon as it starts: its shards are read in the next round."""
    started = []

    def start(command):
        process = Popen(command, cwd=Path(__file__).parent.parent)
        if not started:
            process.kill()
        started.append(process)
        return process

    Popen = subprocess.Popen
    monkeypatch.setattr(batch.subprocess, "Popen", start)
    assert run(folder, tmp_path, "--workers", "2") == 0
    assert len(started) == 4 and started[0].returncode == -signal.SIGKILL
    assert "9 photographs: 7 no plate, 2 unreadable" in capsys.readouterr().out
    assert len({row["img_id"] for row in rows(tmp_path)}) == len(rows(tmp_path)) == 9


def test_what_kills_every_process_is_given_up(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(batch, "_run_processes", lambda *_: None)
    assert run(folder, tmp_path, "--workers", "2") == 1
    assert "5 of 5 shards are not read" in capsys.readouterr().err


def test_other_settings_are_refused_for_the_same_folder(folder, tmp_path, capsys):
    run(folder, tmp_path)
    assert run(folder, tmp_path, "--form", "jsonl") == 2
    assert "holds readings with form 'csv', not 'jsonl'" in capsys.readouterr().err


def test_patterns_and_json_lines(folder, tmp_path):
    assert run(folder / "**.png", tmp_path, "--form", "jsonl") == 0
    found = [json.loads(line) for path in tmp_path.glob("part-*.jsonl") for line in path.open(encoding="utf-8")]
    assert sorted(row["img_id"] for row in found) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("[0-9]*.png")
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{empty}"], "no pictures"),
        (["{photographs}", "--shard", "0"], "--shard 0: expected at least 1"),
        (["{photographs}", "--workers", "0"], "--workers 0"),
        (["{photographs}", "--workers", "2", "--runner", "DirectRunner"], "Beam's runner decides"),
        (["{photographs}", "--model", "nowhere"], "nowhere"),
        (["{photographs}", "--format", "("], "("),
    ],
)
def test_wrong_calls_give_one_clear_line(folder, tmp_path, capsys, arguments, words):
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "photographs": folder}
    assert batch.main([*(part.format(**places) for part in arguments), "--output", str(tmp_path / "read")]) == 2
    complaint = capsys.readouterr().err.strip()
    assert words in complaint and "\n" not in complaint
    assert not list(tmp_path.glob("read/part-*"))


def test_no_tensorflow_is_needed():
    import sys

    assert EXPORTED_MODEL.is_dir() and not {"tensorflow", "keras"} & set(sys.modules)
