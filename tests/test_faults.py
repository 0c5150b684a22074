"""A full disk, a crowded folder: what is done is kept, nothing is half written, and the message says what to do."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from foreign_files import clip_bytes
from PIL import Image
from stand_in import reader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import predict
import train
from lpr_e2e.commands.loop import _refuse_rounds_of_others
from lpr_e2e.common.backend import _settings
from lpr_e2e.common.errors import TrainingError, UserError
from lpr_e2e.common.files import WholeLines
from lpr_e2e.common.fonts import face_of_file
from lpr_e2e.common.photographs import find_photographs
from lpr_e2e.data.dataset import DataSource, load_dataset
from lpr_e2e.experiments.ablation import EVERYTHING, Ablation
from lpr_e2e.experiments.benchmark import other_format
from lpr_e2e.experiments.processes import figures_of
from lpr_e2e.model.plate_model import PlateModel, load
from lpr_e2e.prediction.checksums import check_files, fingerprint
from lpr_e2e.prediction.models import shipped
from lpr_e2e.prediction.outputs import JsonLines, PredictionsWriter
from lpr_e2e.prediction.pictures import write_picture
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import COLUMNS, Reading
from lpr_e2e.training import letterforms
from lpr_e2e.training.board import Board
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.run_folder import RunError, RunFolder
from lpr_e2e.training.settings import PRESETS
from lpr_e2e.training.sides import split
from lpr_e2e.training.trainer import Training, training_vocabulary
from lpr_e2e.video.outputs import read_passes

ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def room(bytes_per_file: int):
    """No file may grow beyond this, which fails as it does on a full disk, but for the error's number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestFullDisk:
    def test_a_state_that_does_not_fit_leaves_the_one_before(self, tmp_path):
        folder, small, large = RunFolder(tmp_path), [np.arange(4.0)], [np.arange(100_000.0)]
        folder.save_state(small, {"epoch": 1})
        with room(20_000), pytest.raises(OSError):
            folder.save_state(large, {"epoch": 2})
        assert folder.progress() == {"epoch": 1}
        assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]
        folder.save_state(large, {"epoch": 2})
        assert folder.progress() == {"epoch": 2}

    def test_a_model_that_does_not_fit_leaves_the_one_before(self, tmp_path, tiny_settings):
        folder, model = RunFolder(tmp_path), PlateModel(tiny_settings.architecture, "0123", 4)
        folder.save_model(model, "best.keras")
        before = (tmp_path / "best.keras").read_bytes()
        with room(20_000), pytest.raises(OSError):
            folder.save_model(model, "best.keras")
        assert (tmp_path / "best.keras").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["best.keras"]
        assert load(tmp_path / "best.keras").vocabulary.characters == "0123"

    @pytest.mark.parametrize("name", ["history", "figures"])
    def test_tables_of_a_run_are_whole_or_not_there(self, tmp_path, name):
        folder = RunFolder(tmp_path)
        write = folder.add_history if name == "history" else folder.write_figures
        write({"stage": "joint", "epoch": 1})
        (path,) = tmp_path.iterdir()
        before = path.read_text()
        with room(len(before) + 10), pytest.raises(OSError):
            write({"stage": "joint", "epoch": 2, "loss": "9" * 100})
        assert path.read_text() == before and list(tmp_path.iterdir()) == [path]

    def test_event_files_that_do_not_fit_can_be_read_to_where_they_do(self, tmp_path):
        board = Board(tmp_path)
        board.scalars("training", 1, {"loss": 1.0})
        (file,) = (tmp_path / "training").iterdir()
        with room(file.stat().st_size + 10), pytest.raises(OSError, match="event files cannot be written"):
            board.scalars("training", 2, {"loss": 0.5})
        seen = EventAccumulator(str(tmp_path / "training"))
        seen.Reload()
        assert [one.step for one in seen.Scalars("loss")] == [1]

    def test_a_training_says_how_to_go_on(self, tiny_data, tmp_path, monkeypatch, capsys):
        def full(self, variables, progress):
            raise OSError(28, "No space left on device", str(self.path / "state.npz"))

        monkeypatch.setattr(RunFolder, "save_state", full)
        sets = ["architecture.canvas_size=96", "architecture.glimpse_size=[32, 64]", "architecture.head_width=16"]
        arguments = [part for one in sets for part in ("--set", one)]
        arguments += ["--data", str(tiny_data), "--preset", "small", "--run", str(tmp_path / "run")]
        assert train.main(arguments) == 2
        said = capsys.readouterr().err
        assert "No space left on device" in said and f"--resume {tmp_path / 'run'}" in said

    def test_predictions_end_with_a_whole_row(self, tmp_path, capsys, monkeypatch):
        folder = tmp_path / "in"
        folder.mkdir()
        for number in range(60):
            (folder / f"{number}.jpg").write_bytes(b"nothing")
        monkeypatch.setattr(PlateReader, "load", lambda *_, **__: reader())
        with room(1000):
            code = predict.main([str(folder), "--output", str(tmp_path / "out"), "--no-report", "--jsonl"])
        said = capsys.readouterr().err
        with (tmp_path / "out/predictions.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, strict=True))
        lines = (tmp_path / "out/predictions.jsonl").read_text().splitlines()
        assert code == 1 and rows[0] == list(COLUMNS)
        assert {len(row) for row in rows} == {len(COLUMNS)}
        assert 3 < len(rows) < 60 and f"{len(rows) - 1} of 60 photographs are in" in said
        assert all(json.loads(line)["img_id"] for line in lines)


class TestNoRights:
    """A folder that nothing can be written to; a file in its place is a wrong call, as it always was."""

    @pytest.fixture
    def called(self, tmp_path):
        """Calls a command as a user whose rights are those that the files say; root has all."""
        Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
        (tmp_path / "shut").mkdir()
        (tmp_path / "shut").chmod(0o555)
        (tmp_path / "file").touch()
        setpriv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
        if setpriv and shutil.which("setpriv") is None:
            pytest.skip("setpriv is not installed, without which root may write everywhere")

        def call(*arguments: str) -> subprocess.CompletedProcess:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            command = [*setpriv, sys.executable, "-m", "lpr_e2e", *arguments]
            return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

        return call

    @pytest.mark.skipif("ONNX Runtime" not in shipped()["tunisia"].forms, reason="saved_models/tunisia is not there")
    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (("predict", "a.png", "--output", "shut"), 1),
            (("predict", "a.png", "--output", "shut/below"), 1),
            (("predict", "a.png", "--output", "new", "--submission", "shut/submission.csv"), 1),
            (("predict", "a.png", "--output", "file"), 2),
            (("predict", "a.png", "--output", "file/below"), 2),
            (("predict", "a.png", "--output", "new"), 0),
        ],
        ids=lambda value: value if isinstance(value, int) else " ".join(value[2:]),
    )
    def test_results_that_cannot_be_written_are_no_wrong_call(self, called, arguments, code):
        done = called(*arguments)
        said = [line for line in done.stderr.splitlines() if line.startswith("lpr-e2e predict: ")]
        assert done.returncode == code and len(said) == (code != 0), done.stderr
        assert "Traceback" not in done.stderr and ".lock" not in done.stderr

    def test_the_same_of_a_clip(self, called, tmp_path):
        pytest.importorskip("av")
        (tmp_path / "clip.mp4").write_bytes(clip_bytes())
        for output, code in (("shut", 1), ("shut/below", 1), ("file", 2)):
            done = called("video", "clip.mp4", "--output", output)
            assert done.returncode == code and f"video: {output}: " in done.stderr, done.stderr


class TestWholeLines:
    def test_what_does_not_fit_is_not_there_at_all(self, tmp_path):
        file = WholeLines(tmp_path / "lines")
        with room(30):
            file.write("first\n")
            with pytest.raises(OSError):
                file.write("a line with more than thirty letters\n")
            file.write("third\n")
        file.close()
        assert (tmp_path / "lines").read_text() == "first\nthird\n"

    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    def test_names_that_are_no_text_are_written(self, tmp_path, kind):
        writer = PredictionsWriter(tmp_path, False, []) if kind == "csv" else JsonLines(tmp_path / "predictions.jsonl")
        with writer:
            writer.write("a\udcff.jpg", None, [Reading("a\udcff.jpg")])
        written = (tmp_path / f"predictions.{kind}").read_text(encoding="utf-8")
        assert "a\\udcff.jpg" in written


class TestDamagedRun:
    """What is gone on with is looked at before a step is trained."""

    @pytest.fixture
    def dataset(self, tiny_data):
        return load_dataset(tiny_data)

    @pytest.fixture
    def run(self, dataset, tmp_path):
        folder = RunFolder(tmp_path)
        split(dataset).to_csv(tmp_path / "split.csv", index=False)
        folder.add_history({"stage": "recognition", "epoch": 1, "loss": 2.0})
        return folder

    @pytest.mark.parametrize("name", ["split.csv", "history.csv"])
    @pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00\xd8", b'"'])
    def test_a_table_that_is_damaged_is_named_with_the_remedy(self, run, dataset, name, content):
        run.check_split(dataset)
        (run.path / name).write_bytes(content)
        with pytest.raises(RunError, match=f"{name}: .*--weights") as raised:
            run.check_split(dataset)
        assert "\n" not in str(raised.value).strip()
        if name == "history.csv":
            with pytest.raises(RunError, match="damaged"):
                run.add_history({"stage": "recognition", "epoch": 2})
            assert (run.path / name).read_bytes() == content

    @pytest.mark.parametrize("left", ["best.keras", "last.keras", "history.csv"])
    def test_a_state_that_is_lost_does_not_begin_anew_over_what_was_trained(self, tmp_path, left):
        folder = RunFolder(tmp_path)
        assert folder.progress() is None  # Nothing was trained yet.
        (tmp_path / left).write_text("stage,epoch\n")
        with pytest.raises(RunError, match=f"state.npz: is missing, and {left} is there.*restore it"):
            folder.progress()
        folder.save_state([], {"stage": "joint"})
        assert folder.progress() == {"stage": "joint"}

    @pytest.mark.parametrize("stage", ["joint", "done"])
    def test_a_best_model_that_is_lost_is_not_made_of_other_weights(self, tmp_path, dataset, tiny_settings, stage):
        """A resumed run ended with untrained weights as `best.keras`, and their figures."""
        folder = RunFolder(tmp_path)
        folder.save_state([], {"stage": stage, "epoch": 2, "best": 0.5, "waited": 1})
        (tmp_path / "figures.json").write_text("{}")
        with pytest.raises(RunError, match="best.keras: is missing.*--weights.*last.keras"):
            Training(tiny_settings, dataset, folder, say=lambda line: None)
        assert {path.name for path in tmp_path.iterdir()} == {"state.npz", "figures.json"}

    @pytest.mark.parametrize("name", ["state.npz", "split.csv", "config.json"])
    def test_files_of_two_runs_do_not_go_together(self, tmp_path, name):
        """Of one size, the weights of the one would be gone on with as those of the other."""
        runs = [RunFolder(tmp_path / part) for part in "ab"]
        for seed, run in enumerate(runs):
            run.path.mkdir()
            (run.path / "split.csv").write_text(f"set,side,img_id,text,box\n,held,{seed}.jpg,,\n")
            settings = replace(PRESETS["small"], seed=seed).as_dict()
            (run.path / "config.json").write_text(json.dumps({"settings": settings, "characters": "01"}))
            run.save_state([np.zeros(2)], {"stage": "joint"})
            assert run.progress() == {"stage": "joint"}
        shutil.copy(runs[1].path / name, runs[0].path / name)
        for read in (runs[0].progress, lambda: runs[0].load_variables([np.zeros(2)])):
            with pytest.raises(RunError, match="state.npz: does not belong to .*restore it"):
                read()
        assert runs[1].progress() == {"stage": "joint"}
        with np.load(runs[1].path / "state.npz") as state:  # As it was written before it said whose it is.
            before = {name: state[name] for name in state.files if name != "run"}
        np.savez(runs[0].path / "state.npz", **before)
        assert runs[0].progress() == {"stage": "joint"}

    READS = {
        "config.json": lambda folder: RunFolder(folder).config(),
        "state.npz": lambda folder: RunFolder(folder).progress(),
        "split.csv": lambda folder: RunFolder(folder).held_out(),
        "history.csv": lambda folder: RunFolder(folder).add_history({"stage": "joint", "epoch": 1}),
        "letters.npz": lambda folder: letterforms.load(folder / "letters.npz"),
        "own_labels.csv": lambda folder: PseudoLabels.load(folder / "own_labels.csv"),
    }

    @pytest.mark.parametrize("name", READS)
    @pytest.mark.parametrize("instead", ["folder", "pipe", "holes"])
    def test_what_is_no_file_any_more_is_one_line(self, tmp_path, name, instead):
        """A pipe was waited for without end, a config of holes filled the memory."""
        path = tmp_path / name
        if instead == "holes":
            path.touch()
            os.truncate(path, 2**40)
        else:
            path.mkdir() if instead == "folder" else os.mkfifo(path)
        with pytest.raises((UserError, OSError)) as raised:
            self.READS[name](tmp_path)
        assert name in str(raised.value) and "\n" not in str(raised.value).strip()

    @pytest.mark.parametrize("content", [b"", b"\n", bytes(1000), b"a,b\n", b"set,img_id\nx,y\n"])
    def test_own_labels_that_were_emptied_are_not_taken_for_none(self, tmp_path, content):
        PseudoLabels().save(tmp_path / "own_labels.csv")
        assert PseudoLabels.load(tmp_path / "own_labels.csv") == PseudoLabels()
        (tmp_path / "own_labels.csv").write_bytes(content)
        with pytest.raises(UserError, match="own_labels.csv: damaged.*restore it"):
            PseudoLabels.load(tmp_path / "own_labels.csv")

    @pytest.mark.parametrize("epoch", [1, 3])
    def test_own_labels_that_are_lost_are_not_made_of_other_weights(self, tmp_path, dataset, tiny_settings, epoch):
        RunFolder(tmp_path).save_state([], {"stage": "joint", "epoch": epoch, "best": None, "waited": 0})
        training = Training(tiny_settings, dataset, RunFolder(tmp_path), say=lambda line: None)
        with pytest.raises(TrainingError, match="own_labels.csv: is missing; restore it"):
            training._label()

    @pytest.mark.parametrize("content", ["", "[1]", "{", "7"])
    def test_figures_that_are_damaged_are_one_line(self, tmp_path, content):
        (tmp_path / "figures.json").write_text(content)
        with pytest.raises(UserError, match="figures.json: damaged.*to train anew"):
            figures_of(tmp_path)

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "null", "NaN", "{}", '{"settings": 3}', '{"settings": {}}', "1" * 5000]
    )
    def test_a_config_that_is_none_is_one_line_with_the_remedy(self, tmp_path, content):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(RunError, match="config.json: not the config of a run of this version .*; restore it"):
            RunFolder(tmp_path).config()

    @pytest.mark.parametrize("run", ["file", "file/run"])
    def test_a_run_that_cannot_be_made_is_refused_before_the_data_are_read(self, tmp_path, run, capsys):
        (tmp_path / "file").write_text("mine")
        (tmp_path / "empty").mkdir()  # It holds nothing to train on, which is found when it is read.
        assert train.main(["--data", str(tmp_path / "empty"), "--preset", "small", "--run", str(tmp_path / run)]) == 2
        assert "file is a file; expected a folder" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["problems.csv", "best.keras", "history.csv", "tensorboard/events"])
    def test_a_new_run_replaces_nothing_that_no_training_wrote(self, tmp_path, name):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match="was not written by this command.*--run"):
            RunFolder(tmp_path).refuse_filled()
        for content in ("{}", '{"npm": "10.2.3", "node": "20.10.0"}', "[]", "{", ""):  # Of other programs.
            (tmp_path / "versions.json").write_text(content)
            with pytest.raises(UserError, match="versions.json: is there already, and was not written by this command"):
                RunFolder(tmp_path).refuse_filled()
        began = {"python": "3.11.2", "machine": "x86_64", "cores": 2, "backend": "tensorflow", "keras": "3.15.0"}
        (tmp_path / "versions.json").write_text(json.dumps(began))  # Killed before it was a run.
        RunFolder(tmp_path).refuse_filled()

    @pytest.mark.parametrize("instead", ["pipe", "holes", "folder"])
    def test_versions_that_are_no_file_do_not_begin_a_run(self, tmp_path, instead):
        path = tmp_path / "versions.json"
        (tmp_path / "best.keras").write_text("mine")
        path.touch() if instead == "holes" else path.mkdir() if instead == "folder" else os.mkfifo(path)
        if instead == "holes":
            os.truncate(path, 2**40)
        with pytest.raises(UserError, match="was not written by this command"):
            RunFolder(tmp_path).refuse_filled()

    @pytest.fixture
    def runs(self, dataset, tiny_settings, tmp_path):
        """Two runs of one call, with models of one size."""
        runs = [RunFolder(tmp_path / name) for name in "ab"]
        for seed, run in enumerate(runs):
            run.start(tiny_settings, DataSource(tmp_path), dataset, training_vocabulary(dataset))
            # An archive, as models are; those take seconds.
            run.save_model(
                SimpleNamespace(save=lambda path: np.savez(path.open("wb"), weights=np.ones(9))), "best.keras"
            )
            PseudoLabels(tilts={("", f"{seed}.jpg", 0): 0.1}).save(run.path / "own_labels.csv")
            letterforms.save({"": {str(seed): (np.full((64, 20), 255, "uint8"),)}}, run.path / "letters.npz")
            run.save_state([], {"stage": "joint", "epoch": 1, "best": 0.5, "waited": 0})
        return runs

    @pytest.mark.parametrize("name", ["best.keras", "own_labels.csv", "letters.npz"])
    @pytest.mark.parametrize("becomes", ["another's", "damaged", "empty", "missing", "pipe"])
    def test_what_a_run_goes_on_with_is_its_own(self, runs, name, becomes):
        """Of one size, the best model or the letters of another run were taken for those of this one."""
        run, path = runs[0], runs[0].path / name
        look = run.require_best if name == "best.keras" else run.check_own_labels
        look()
        whole = path.read_bytes()
        path.unlink()
        if becomes == "another's":
            shutil.copy(runs[1].path / name, path)
        elif becomes == "pipe":
            os.mkfifo(path)
        elif becomes != "missing":
            path.write_bytes(b"" if becomes == "empty" else whole[: len(whole) // 2])
        with pytest.raises(RunError, match=f"{name}: .*restore it, or start a new run with --weights") as raised:
            look()
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("becomes", ["another's", "shorter", "empty", "missing", "changed"])
    def test_a_history_that_is_not_this_runs_is_noticed(self, runs, dataset, becomes):
        for seconds, run in enumerate(runs):
            for epoch in (1, 2):
                run.add_history({"stage": "joint", "epoch": epoch, "seconds": 7.5 + seconds, "loss": 1 / 3})
            run.save_state([], {"stage": "joint", "epoch": 2})
        run, path = runs[0], runs[0].path / "history.csv"
        run.check_split(dataset)
        whole = path.read_text()
        content = {
            "another's": (runs[1].path / "history.csv").read_text(),
            "shorter": whole[: whole.index("joint,2")],
            "empty": whole.splitlines(keepends=True)[0],
            "changed": whole.replace("0.333", "0.222", 1),
        }
        path.write_text(content[becomes]) if becomes in content else path.unlink()
        with pytest.raises(
            RunError, match="history.csv: is not this run's as it was saved; restore it, or start a new"
        ):
            run.check_split(dataset)
        path.write_text(whole)
        run.check_split(dataset)

    def test_an_epoch_that_was_written_and_not_saved_is_no_other_history(self, runs, dataset):
        """A process was killed between the two; then it is done again, with figures that there were not before."""
        run = runs[0]
        run.add_history({"stage": "recognition", "epoch": 1, "rate": 1e-3 / 3, "lost": float("nan")})
        run.save_state([], {"stage": "recognition", "epoch": 1})
        run.add_history({"stage": "joint", "epoch": 1, "rate": 0.1 + 0.2, "plates, right": 0.5})
        run.check_split(dataset)
        run.add_history({"stage": "joint", "epoch": 1, "rate": 0.1 + 0.2, "plates, right": 0.25})
        run.check_split(dataset)
        run.save_state([], {"stage": "joint", "epoch": 1})
        run.check_split(dataset)
        lines = (run.path / "history.csv").read_text().splitlines()
        assert lines[1:] == ["recognition,1,0.0003333333333333333,,", "joint,1,0.30000000000000004,,0.25"]

    def test_states_of_before_say_nothing_of_a_history(self, runs, dataset):
        run = runs[0]
        with np.load(run.path / "state.npz") as state:
            before = {name: state[name] for name in state.files if name != "history.csv"}
        np.savez(run.path / "state.npz", **before)
        run.add_history({"stage": "joint", "epoch": 1})
        run.check_split(dataset)
        (run.path / "history.csv").unlink()
        run.check_split(dataset)

    def test_a_state_of_another_run_of_the_same_call_is_noticed(self, runs):
        shutil.copy(runs[1].path / "state.npz", runs[0].path / "state.npz")
        with pytest.raises(RunError, match="state.npz: does not belong"):
            runs[0].progress()

    def test_what_does_not_say_whose_it_is_is_taken(self, runs, dataset, tiny_settings):
        """As it was written before it said so, or packed anew by another program."""
        model = PlateModel(tiny_settings.architecture, "0123", 4)
        runs[0].save_model(model, "best.keras")
        runs[0].require_best()
        assert load(runs[0].path / "best.keras").vocabulary.characters == "0123"
        model.save(runs[0].path / "best.keras")
        runs[0].require_best()
        with zipfile.ZipFile(runs[0].path / "best.keras", "a") as archive:
            archive.comment = b"packed by somebody"
        runs[0].require_best()
        with np.load(runs[0].path / "state.npz") as state:
            before = {name: state[name] for name in state.files if name not in ("own_labels.csv", "letters.npz")}
        np.savez(runs[0].path / "state.npz", **before)
        shutil.copy(runs[1].path / "letters.npz", runs[0].path / "letters.npz")
        runs[0].check_own_labels()


class TestFilesWithoutEnd:
    """A pipe was waited for, and a device or a file of holes filled the memory."""

    READS = {
        "loop-a/round-01.json": lambda path: _refuse_rounds_of_others(path.parent, path.parent.parent),
        "run/config.json": lambda path: other_format(0.1, path.parent.parent),
        "ablation.json": lambda path: Ablation(path.parent, None, path.parent, train=list).figures(EVERYTHING),
        "passes.jsonl": lambda path: list(read_passes(path)),
        "letters.ttf": face_of_file,
        "weights.bin": lambda path: fingerprint(path.parent),
        "model.json": lambda path: check_files(path.parent, []),
        "keras.json": _settings,
    }

    @pytest.mark.parametrize("name", READS)
    @pytest.mark.parametrize("instead", ["pipe", "/dev/zero", "holes"])
    def test_no_small_file_is_read_without_end(self, name, instead, tmp_path):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        (tmp_path / "data").mkdir()
        if instead == "holes":
            path.touch()
            os.truncate(path, 2**40)
        elif instead == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(instead)
        try:
            self.READS[name](path)
        except (UserError, OSError) as error:
            assert path.name in str(error) or str(path.parent) in str(error)
            assert "\n" not in str(error)
        else:  # What is no file is passed over among others, and what is no round of these photographs, too.
            assert name.startswith("loop") or (name == "weights.bin" and instead != "holes")


def test_a_hundred_thousand_files_are_listed(tmp_path):
    for number in range(100_000):
        (tmp_path / f"{number:06}.jpg").touch()
    found = find_photographs([str(tmp_path)])
    assert [img_id for img_id, _ in found] == [f"{number:06}.jpg" for number in range(100_000)]


def test_a_picture_that_does_not_fit_leaves_none(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype="uint8")
    with room(500), pytest.raises(OSError):
        write_picture(tmp_path / "a.jpg", picture)
    assert not (tmp_path / "a.jpg").exists()
    write_picture(tmp_path / "a.jpg", picture)
    assert Image.open(tmp_path / "a.jpg").size == (64, 64)
