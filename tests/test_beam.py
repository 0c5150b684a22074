"""Reading with Apache Beam: the rows of `predict`, none twice, none missing, whatever is interrupted."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("apache_beam", reason="needs lpr_e2e/serving/beam-requirements.txt, in an environment of its own")

from lpr_e2e import cli  # noqa: E402
from lpr_e2e.common.errors import UserError  # noqa: E402
from lpr_e2e.prediction.checksums import checksum  # noqa: E402
from lpr_e2e.prediction.description import with_checksum  # noqa: E402
from lpr_e2e.prediction.models import find  # noqa: E402
from lpr_e2e.serving import beam  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


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
    return cli.main(["batch", str(folder), "--output", str(output), "--shard", "2", *others])


def rows(output):
    found = []
    for path in sorted(Path(output).glob("part-*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            found += list(csv.DictReader(file))
    return found


def test_the_rows_are_those_of_predict(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "read") == 0
    assert "9 photographs: 7 no plate, 2 unreadable" in capsys.readouterr().out
    output = ["--output", str(tmp_path / "predict"), "--no-pictures", "--no-report"]
    assert cli.main(["predict", str(folder), *output]) == 0
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
    contents = beam._contents

    def die(photographs):
        if any(img_id == "broken.jpg" for img_id, _ in photographs):
            raise ConnectionError("the network is away")
        return contents(photographs)

    monkeypatch.setattr(beam, "_contents", die)
    assert run(folder, tmp_path) == 1
    assert "the same command goes on" in capsys.readouterr().err
    for path in tmp_path.glob("part-*"):
        assert path.read_text(encoding="utf-8").count("\n") == 3
    monkeypatch.setattr(beam, "_contents", contents)
    assert run(folder, tmp_path) == 0
    assert len(rows(tmp_path)) == 9


def test_a_killed_process_costs_nothing(folder, tmp_path, capsys, monkeypatch):
    """One of two processes is killed as soon as it starts: its shards are read in the next round."""
    started = []

    def start(command):
        process = Popen(command, cwd=ROOT)
        if not started:
            process.kill()
        started.append(process)
        return process

    Popen = subprocess.Popen
    monkeypatch.setattr(beam.subprocess, "Popen", start)
    assert run(folder, tmp_path, "--workers", "2") == 0
    assert len(started) == 4 and started[0].returncode == -signal.SIGKILL
    assert "9 photographs: 7 no plate, 2 unreadable" in capsys.readouterr().out
    assert len({row["img_id"] for row in rows(tmp_path)}) == len(rows(tmp_path)) == 9


def test_what_kills_every_process_is_given_up(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(beam, "read_in_processes", lambda *_: None)
    assert run(folder, tmp_path, "--workers", "2") == 1
    assert "5 of 5 shards are not read" in capsys.readouterr().err


def test_other_settings_are_refused_for_the_same_folder(folder, tmp_path, capsys):
    run(folder, tmp_path)
    assert run(folder, tmp_path, "--form", "jsonl") == 2
    assert "holds readings with form 'csv', not 'jsonl'" in capsys.readouterr().err


def test_a_format_that_no_plate_meets_and_what_is_promised_are_said_once(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(beam.PlateReader, "format_warning", "no plate looks like this")
    assert run(folder, tmp_path, "--format", "x", "--precision", "0.97") == 0
    said = capsys.readouterr()
    assert said.err.count("no plate looks like this") == 1 and "promised" in said.out
    assert run(folder, tmp_path, "--format", "x", "--precision", "0.9") == 2
    assert "precision 0.97, not 0.9" in capsys.readouterr().err


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
        (["{photographs}", "--workers", "2", "--runner", "DirectRunner"], "Beam's runner decides"),
        (["{photographs}", "--model", "nowhere"], "nowhere"),
        (["{photographs}", "--format", "("], "("),
        (["{photographs}", "--precision", "2"], "precision: 2.0"),
    ],
)
def test_wrong_calls_give_one_clear_line(folder, tmp_path, capsys, arguments, words):
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "photographs": folder}
    arguments = [part.format(**places) for part in arguments]
    assert cli.main(["batch", *arguments, "--output", str(tmp_path / "read")]) == 2
    complaint = capsys.readouterr().err.strip()
    assert words in complaint and "\n" not in complaint
    assert not list(tmp_path.glob("read/part-*"))


@pytest.mark.parametrize("option", ["--shard", "--workers"])
def test_numbers_that_cannot_be_are_refused(folder, tmp_path, capsys, option):
    with pytest.raises(SystemExit) as ended:
        run(folder, tmp_path, option, "0")
    assert ended.value.code == 2 and f"{option}: 0: expected at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", [beam.PLAN, beam.PHOTOGRAPHS])
@pytest.mark.parametrize("content", [b"", b"[1]", b"7", b"{", b'{"a": 1}', b"\xff\xfe"])
def test_a_plan_that_is_damaged_is_named_in_one_line(folder, tmp_path, capsys, name, content):
    settings = {"pattern": str(folder), "shard": 2, "form": "csv"}
    assert len(beam.Batch(str(tmp_path), settings).photographs) == len(beam.Batch(str(tmp_path), settings).photographs)
    if (name, content) != (beam.PHOTOGRAPHS, b""):  # That is no photograph at all.
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="damaged, or no plan of this command|holds readings with") as raised:
            beam.Batch(str(tmp_path), settings)
        assert "\n" not in str(raised.value).strip()


@pytest.mark.parametrize("name", [beam.PLAN, beam.PHOTOGRAPHS, "model.json"])
@pytest.mark.parametrize("instead", ["pipe", "/dev/zero", "holes"])
def test_nothing_is_read_without_end(folder, tmp_path, name, instead):
    """A pipe was waited for, a device or a file of holes filled the memory."""
    settings = {"pattern": str(folder), "shard": 2, "form": "csv"}
    beam.Batch(str(tmp_path), settings)
    (tmp_path / name).unlink(missing_ok=True)
    if instead == "pipe":
        os.mkfifo(tmp_path / name)
    elif instead == "holes":
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 2**40)
    else:
        (tmp_path / name).symlink_to(instead)
    with pytest.raises((UserError, OSError), match="larger than|no regular file"):
        beam.fingerprint(str(tmp_path)) if name == "model.json" else beam.Batch(str(tmp_path), settings)


@pytest.mark.parametrize("name", ["part-00000-of-00005.csv", "part-list.txt", "unreadable-00000-of-00005.csv"])
def test_parts_of_somebody_else_are_not_taken_for_ours(folder, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"{name}: is there already.*--output"):
        beam.Batch(str(tmp_path), {"pattern": str(folder), "shard": 2, "form": "csv"})
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_odd_files_are_rows_as_those_of_predict(tmp_path, capsys):
    """A pipe was waited for without end, and a file of holes filled the memory."""
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    os.mkfifo(photographs / "a.jpg")
    (photographs / "b.jpg").touch()
    os.truncate(photographs / "b.jpg", 2**36)
    Image.new("RGB", (80, 60)).save(photographs / "c.png")
    assert run(photographs, tmp_path / "read") == 0
    found = [row["status"] for row in rows(tmp_path / "read")]
    assert "no regular file" in found[0] and "too large" in found[1] and found[2] == "no plate"


def test_a_model_that_was_exported_anew_does_not_go_on(folder, tmp_path, capsys):
    """One folder of results holds the readings of one model, though another one takes its place."""
    model = Path(shutil.copytree(find(), tmp_path / "model"))
    assert run(folder, tmp_path / "read", "--model", str(model)) == 0
    facts = json.loads((model / "model.json").read_text(encoding="utf-8"))
    checksums = {path.name: checksum(path) for path in model.iterdir() if path.name != "model.json"}
    another = with_checksum(facts | {"model": "another", "files": checksums})
    (model / "model.json").write_text(json.dumps(another), encoding="utf-8")
    assert run(folder, tmp_path / "read", "--model", str(model)) == 2
    assert "weights" in capsys.readouterr().err
    assert run(folder, tmp_path / "other", "--model", str(model)) == 0


def test_photographs_may_have_odd_names(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shutil.copytree(folder, tmp_path / "-cars [1]")
    assert cli.main(["batch", "--output=-read", "--shard=2", "--workers=2", "--", "./-cars [[]1]/**.png"]) == 0
    assert len(rows(tmp_path / "-read")) == 7


def test_no_tensorflow_is_needed():
    assert find().is_dir() and not {"tensorflow", "keras"} & set(sys.modules)
