"""A short attack on every reader of foreign bytes; a longer one on one's own machine. See `attack.py`.

`DAMAGES=2000 python -m pytest -n 0 tests/test_attack.py` damages a file of each kind so often, in processes whose time
and memory are limited.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from foreign_files import READERS

ATTACK = Path(__file__).with_name("attack.py")
DAMAGES = int(os.environ.get("DAMAGES", "0"))
# Guided inputs in a test run; each begins with the seeds.
RUNS = 1000

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: there is none for this system"
)


def attacked(*arguments) -> subprocess.CompletedProcess:
    """The program's end, and what it said."""
    call = [sys.executable, str(ATTACK), *map(str, arguments)]
    return subprocess.run(call, capture_output=True, encoding="utf-8", errors="backslashreplace")


@needs_atheris
def test_a_short_attack_finds_nothing(tmp_path):
    done = attacked(",".join(READERS), "--runs", RUNS, "--seed", 1, "--corpus", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = done.stdout.splitlines()[-1].split()
    assert int(figures[1].replace(",", "")) >= RUNS and int(figures[2].replace(",", "")) > 100, done.stdout


@pytest.mark.skipif(not DAMAGES, reason="DAMAGES=2000 tries so many on each reader")
@pytest.mark.parametrize("name", READERS)
def test_damages_are_refused_or_harmless(name, tmp_path):
    done = attacked(name, "--damages", DAMAGES, "--seed", 1, "--corpus", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
