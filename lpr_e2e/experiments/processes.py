"""Processes that are measured: each with two threads, whatever else the machine has."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Where the package is found, installed or not.
ROOT = Path(__file__).resolve().parents[2]
THREADS = 2


def environment() -> dict[str, str]:
    """The environment of a measured process: two threads wherever a library asks for their number."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(THREADS)), "TF_CPP_MIN_LOG_LEVEL": "3"}


def python(interpreter: str, script: str) -> dict:
    """Run a script in a process of its own and return the JSON of its last line.

    Raises:
        RuntimeError: the process fails; the message is its last one.
    """
    done = subprocess.run([interpreter, "-c", script], capture_output=True, text=True, env=environment(), cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{interpreter}: {done.stderr.strip().splitlines()[-1] if done.stderr else 'failed'}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def process_ms(command: Sequence[str], runs: int) -> float:
    """Median milliseconds of a whole process, the first run left out: it fills the disk's cache."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment(), cwd=ROOT)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


def peak_mb() -> float | None:
    """The most memory that this process has had, in MiB; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # Kibibytes, but bytes on a Mac.
