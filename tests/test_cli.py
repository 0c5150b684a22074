"""The command `lpr-e2e`: light help, one line for a user's error, a traceback for a bug, completion."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lpr_e2e import __version__, cli
from lpr_e2e.cli import COMMANDS, main, run_command
from lpr_e2e.common import cores
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import OutputError

ROOT = Path(__file__).resolve().parent.parent
# What takes long to import, or is not there in an installation that only reads.
HEAVY = ("tensorflow", "keras", "jax", "cv2", "numpy", "pandas", "onnxruntime", "PIL", "matplotlib", "apache_beam")


def python(*arguments: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, **more)


@pytest.fixture
def command(monkeypatch):
    """Makes a command `models` that does what it is told, with one option and, if asked for, the rest."""

    def make(run, takes_rest=False):
        module = SimpleNamespace(
            __doc__="Does as told.\n\n    lpr-e2e models --like this\n\nSee `lpr-e2e train`, `lpr-e2e draw`.",
            add_arguments=lambda parser: parser.add_argument("--threads", type=int),
            run=run,
            TAKES_REST=takes_rest,
        )
        monkeypatch.setattr(cli, "_module", lambda name: module)

    monkeypatch.setattr(cores, "_threads", None)
    return make


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "code", "said"),
        [
            (UserError("a.csv, row 3: no such thing"), 2, "lpr-e2e models: a.csv, row 3: no such thing\n"),
            (FileNotFoundError(2, "No such file", "a.csv"), 2, "lpr-e2e models: a.csv: No such file\n"),
            (
                FileExistsError(17, "File exists", "a"),
                2,
                "lpr-e2e models: a: is a file; expected a folder, or a name that is not taken\n",
            ),
            (IsADirectoryError(21, "Is a directory", "a"), 2, "lpr-e2e models: a: is a folder; expected a file\n"),
            (
                NotADirectoryError(20, "Not a directory", "a/b"),
                2,
                "lpr-e2e models: a/b: a part of this path is a file; expected folders\n",
            ),
            (OSError(28, "No space left on device"), 2, "lpr-e2e models: [Errno 28] No space left on device\n"),
            (
                ModuleNotFoundError("No module named 'tf2onnx'", name="tf2onnx"),
                2,
                "lpr-e2e models: this needs tf2onnx, which is not installed: "
                "pip install '.[export]' in the project's folder\n",
            ),
            (
                ImportError("libGL.so.1: cannot open shared object file", name="cv2"),
                2,
                "lpr-e2e models: cv2 is installed and cannot be imported: libGL.so.1: cannot open shared object file\n",
            ),
            (KeyboardInterrupt(), 130, ""),
            (UserError("\x1b[2J.jpg: no picture"), 2, "lpr-e2e models: \\x1b[2J.jpg: no picture\n"),
        ],
    )
    def test_those_of_the_user_are_one_line(self, command, capsys, error, code, said):
        def run(options):
            raise error

        command(run)
        assert main(["models"]) == code
        assert capsys.readouterr().err == said

    @pytest.mark.parametrize(
        "error", [ValueError("a bug"), KeyError("a"), ImportError("no name in it", name="lpr_e2e.data"), RuntimeError()]
    )
    def test_those_of_the_program_show_where(self, command, error):
        def run(options):
            raise error

        command(run)
        with pytest.raises(type(error)):
            main(["models"])

    def test_a_closed_pipe_ends_quietly_and_a_full_disk_does_not(self):
        for target, code, words in (("| true", 141, ""), ("> /dev/full", 1, "cannot be printed")):
            if "/dev/full" in target and not os.path.exists("/dev/full"):
                continue
            call = f"set -o pipefail; '{sys.executable}' -m lpr_e2e models {target}"
            done = subprocess.run(["bash", "-c", call], cwd=ROOT, capture_output=True, text=True, timeout=60)
            assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr
            assert done.stderr.count("\n") == bool(words)

    def test_output_that_is_lost_is_no_wrong_input(self, command, capsys, monkeypatch):
        def run(options):
            raise OutputError(errno.ENOSPC, "No space left on device")

        command(run)
        monkeypatch.setattr(sys, "stdout", None)
        assert main(["models"]) == 1
        assert "lpr-e2e models: the output cannot be printed: [Errno 28]" in capsys.readouterr().err


class TestCalls:
    def test_the_rest_of_the_arguments_goes_to_who_takes_it(self, command, capsys):
        seen = []
        command(lambda options, rest: seen.append(rest) or 5, takes_rest=True)
        assert main(["models", "--runner", "DirectRunner", "--threads", "2"]) == 5
        assert seen == [["--runner", "DirectRunner"]]
        command(lambda options: 0)
        with pytest.raises(SystemExit, match="2"):
            main(["models", "--runner", "DirectRunner"])
        assert "unrecognized arguments: --runner" in capsys.readouterr().err

    def test_threads_hold_for_everything(self, command, monkeypatch):
        for name in cores.THREAD_VARIABLES:
            monkeypatch.setenv(name, "7")
        command(lambda options: cores.available_cores())
        assert main(["models", "--threads", "5"]) == 5
        assert os.environ["OPENBLAS_NUM_THREADS"] == "5"

    @pytest.mark.parametrize(
        ("spelling", "expected"),
        [
            (cli.INSTALLED, ("lpr-e2e models --like", "`lpr-e2e train`", "`lpr-e2e draw`")),
            (cli.MODULE, ("python -m lpr_e2e models --like", "`python -m lpr_e2e train`", "`python -m lpr_e2e draw`")),
            (cli.SCRIPT, ("python -m lpr_e2e models --like", "`python train.py`", "`python -m lpr_e2e draw`")),
        ],
    )
    def test_help_names_commands_as_they_can_be_called(self, command, capsys, spelling, expected):
        command(lambda options: 0)
        with pytest.raises(SystemExit, match="0"):
            run_command("models", ["--help"], spelling)
        shown = capsys.readouterr().out
        assert all(words in shown for words in expected)

    @pytest.mark.parametrize(
        ("arguments", "words"), [(["pridict"], "did you mean predict?"), (["x"], "x: no such command")]
    )
    def test_an_unknown_command_is_said(self, arguments, words, capsys):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert words in capsys.readouterr().err

    def test_without_a_command_all_are_listed(self, capsys):
        assert main([]) == 2
        shown = capsys.readouterr().err
        assert all(f"  {name} " in shown and line in shown for name, (_, line) in COMMANDS.items())

    def test_the_version(self, capsys):
        with pytest.raises(SystemExit, match="0"):
            main(["--version"])
        assert capsys.readouterr().out.strip() == __version__


class TestLightness:
    """Help and completion wait for no library, and work where most of them are missing."""

    SCRIPT = (
        "import sys, contextlib\n"
        "from lpr_e2e.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(sys.argv[1:])\n"
        f"print('heavy:', *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)"
    )

    @pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
    def test_help_imports_nothing_heavy(self, arguments):
        done = python("-c", self.SCRIPT, *arguments)
        assert done.stderr == "heavy:\n" and len(done.stdout.splitlines()) > 5

    def test_completion_imports_nothing_heavy(self):
        done = python("-c", self.SCRIPT, "--print-completion", "bash")
        assert done.stderr == "heavy:\n" and "--no-pictures" in done.stdout


class TestCompletion:
    @pytest.mark.parametrize("shell", cli.SHELLS)
    def test_every_shell_gets_commands_and_options(self, shell, capsys):
        assert main(["--print-completion", shell]) == 0
        script = capsys.readouterr().out
        assert all(name in script for name in COMMANDS)
        assert "no-pictures" in script and "resume" in script

    @pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["lpr-e2e", "pre"], {"predict"}),
            (["lpr-e2e", "predict", "--no-"], {"--no-report", "--no-pictures"}),
            (["lpr-e2e", "train", "--preset", "s"], {"standard", "small"}),
            (["lpr-e2e", "train", "--data", "lpr_e2e/comm"], {"lpr_e2e/common", "lpr_e2e/commands"}),
        ],
    )
    def test_bash_completes(self, words, expected, capsys):
        main(["--print-completion", "bash"])
        script = capsys.readouterr().out
        ask = f"""{script}
COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; COMP_LINE="{" ".join(words)}"; COMP_POINT=${{#COMP_LINE}}
function_of() {{ complete -p lpr-e2e | sed 's/.*-F \\([^ ]*\\) .*/\\1/'; }}
$(function_of) lpr-e2e "{words[-1]}" "{words[-2]}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        done = subprocess.run(["bash", "-c", ask], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert {line.rstrip("/ ") for line in done.stdout.splitlines() if line} == expected, done.stderr


@pytest.mark.parametrize("option", ["--seed", "--photographs", "--empty", "--crops"])
def test_numbers_of_what_is_drawn_are_not_negative(option, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["draw", "nowhere", option, "-1"])
    assert ended.value.code == 2
    assert f"argument {option}: -1: expected at least 0" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-3", "1.5", "many"])
@pytest.mark.parametrize("option", ["--batch-size", "--threads"])
def test_numbers_that_count_something_are_at_least_one(option, number, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "anywhere", f"{option}={number}"])
    assert f"argument {option}: {number}: expected at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["4097", "2147483648", "999999999999"])
def test_no_machine_has_so_many_threads(number, capsys):
    """A number that did not fit into 32 bits was an error of OpenCV's, with its traceback."""
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "anywhere", f"--threads={number}"])
    assert f"argument --threads: {number}: expected at most 4096" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_same_two_doors(name):
    module = importlib.import_module(COMMANDS[name][0])
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert callable(module.run)
    assert f"lpr-e2e {name}" in module.__doc__ or not [one for one in parser._actions if one.dest != "help"]
    assert all(action.help for action in parser._actions)


def test_the_module_is_the_command():
    done = python("-m", "lpr_e2e", "models")
    assert done.returncode == 0 and done.stdout.startswith("name ")
    done = python("-m", "lpr_e2e", "draw", "nowhere", "--cars", "9")
    assert done.returncode == 2 and done.stderr == "lpr-e2e draw: cars: 9; expected 1 to 3\n"


@pytest.mark.parametrize("option", ["--hard", "--test=1"])
@pytest.mark.parametrize("name", ["truth.csv", "validation.csv", "notes.txt"])
def test_nothing_is_drawn_over_what_somebody_has(option, name, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    assert cli.main(["draw", str(tmp_path), option]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ["ablation", "d", "--effort", "nan"],
        ["ablation", "d", "--effort", "-1"],
        ["benchmark", "d", "--other-format", "inf"],
        ["robustness", "d", "--windows", "-1"],
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_anything_is_done(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2 and f"{arguments[-1]}: expected" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["robustness", "d", "--output"], ["benchmark", "d", "--json"]])
@pytest.mark.parametrize("target", ["nowhere/figures.json", "d/labels.json", "d/below/car.jpg", "d"])
def test_figures_are_never_written_over_the_data(command, target, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d/below").mkdir(parents=True)
    for name in ("d/labels.json", "d/below/car.jpg"):
        (tmp_path / name).write_text("mine")
    assert cli.main([*command, target]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "d/labels.json").read_text() == (tmp_path / "d/below/car.jpg").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", ""],
        ["predict", "a.jpg", "--output", ""],
        ["predict", "a.jpg", "--output="],
        ["check", ""],
        ["evaluate", "", "a.csv"],
        ["import", "auto", "a.csv", ""],
        ["export-labels", "a.csv", "--output", "b.json", "--text-key", ""],
        ["train", "--data", ""],
    ],
)
def test_an_argument_that_is_empty_stands_for_nothing(arguments, tmp_path, monkeypatch, capsys):
    """A variable of the shell that has no value: as a path, it would be the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "an argument is empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_folder_that_one_is_in_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "."]) == 2
    assert "an argument is empty" not in capsys.readouterr().err
