"""Other processes of this program: those that train, and those that are measured, each with two threads."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpr_e2e.common.cores import THREAD_VARIABLES
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import read_json
from lpr_e2e.common.terminal import say

# Where the package is found, installed or not.
ROOT = Path(__file__).resolve().parents[2]
THREADS = 2


def command(*arguments: str) -> list[str]:
    """The call of `lpr-e2e` with these arguments, with this Python and in any environment of `environment`."""
    return [sys.executable, "-m", "lpr_e2e", *arguments]


def environment(threads: int | None = None) -> dict[str, str]:
    """The environment of a process that finds this package.

    Args:
        threads: the number of threads wherever a library asks for it; as here if None.
    """
    told = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **told, "PYTHONPATH": os.pathsep.join(places), "TF_CPP_MIN_LOG_LEVEL": "3"}


def train(arguments: Sequence[str]) -> None:
    """Run `lpr-e2e train` in a process of its own, and say so.

    Raises:
        UserError: it ends with an error, which it has said itself.
    """
    say(f"lpr-e2e train {shlex.join(arguments)}")
    code = subprocess.run(command("train", *arguments), env=environment()).returncode
    if code:
        raise UserError(f"the training ended with {code} and has said why; this command goes on where it stopped")


def start_training(arguments: Sequence[str], log: Path) -> subprocess.Popen:
    """Start `lpr-e2e train` in a process of its own that adds what it prints to a file, and return the process."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command("train", *arguments), env=environment(), stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )


def resumed(folder: Path, new: Sequence[str]) -> list[str]:
    """The arguments of `lpr-e2e train` that go on with a run, or, if it was not begun, those of the new one."""
    return ["--resume", str(folder)] if (folder / "config.json").exists() else [*new]


def figures_of(run: Path) -> dict:
    """The figures of a training that has ended.

    Raises:
        UserError: they are damaged.
        OSError: they cannot be read.
    """
    return kept(run / "figures.json", dict)


def kept(path: Path, kind: type) -> Any:
    """What an earlier call has written down in a file of JSON, beside what it trained; of this kind, dict or list.

    Raises:
        UserError: it is damaged.
        OSError: it cannot be read.
    """
    try:
        values = read_json(path)
        if not isinstance(values, kind):
            raise ValueError(f"expected a {kind.__name__}, found a {type(values).__name__}")
        return values
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); restore it, or remove {path.parent} to train anew") from None


def python(interpreter: str, script: str) -> dict:
    """Run a script in a process of its own and return the JSON of its last line.

    Raises:
        UserError: the process fails; the message is its last one.
    """
    return json.loads(_output([interpreter, "-c", script]).strip().splitlines()[-1])


def process_ms(call: Sequence[str], runs: int) -> float:
    """Median milliseconds of a whole process, the first run left out: it fills the disk's cache.

    Raises:
        UserError: the process fails; the message is its last one.
    """
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        _output(call)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


def _output(call: Sequence[str]) -> str:
    done = subprocess.run(call, capture_output=True, encoding="utf-8", errors="replace", env=environment(THREADS))
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
        raise UserError(f"{call[0]}: {last[0]}")
    return done.stdout


def peak_mb() -> float | None:
    """The most memory that this process has had, in MiB; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # Kibibytes, but bytes on a Mac.
