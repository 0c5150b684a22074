"""Asked to end at random moments, every long command is out in seconds, without a traceback and with nothing half.

    INTERRUPTS=200 python -m pytest -n 0 tests/test_requests.py

is the long form, of all commands together; `INTERRUPTS_SEED` gives other moments.
"""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_kills import TINY, whole

from lpr_e2e.prediction.checksums import check_files
from lpr_e2e.prediction.models import shipped

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("predict", "check", "import", "draw", "train", "export")
COUNT = int(os.environ.get("INTERRUPTS", "5"))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Within so many seconds it is out; the machine may be busy.
OUT = 3.0 + 2.0


def called(command: str, data: Path, output: Path) -> tuple[list[str], float]:
    """How a command is called, and how long it may take until it is asked, seconds."""
    sets = [part for value in TINY for part in ("--set", value)]
    if command == "predict":
        return ["predict", str(data / "test"), "--output", str(output), "--jsonl", "--redact", "box"], 3
    if command == "check":
        problems = str(output / "problems.csv")
        return ["check", str(data), "--preset", "small", "--output", str(output / "c.html"), "--problems", problems], 4
    if command == "import":
        return ["import", "auto", str(data), str(output / "new")], 3
    if command == "draw":
        numbers = ["--photographs", "20", "--validation", "5", "--crops", "10", "--test", "2"]
        return ["draw", str(output), "--like", "AB12CDE", "FG34HJK", *numbers], 6
    if command == "train":
        return ["train", "--data", str(data), "--preset", "small", "--run", str(output), *sets], 25
    return ["export", "tunisia", "--output", str(output), "--forms", "onnx"], 20


def nothing_is_half(command: str, output: Path) -> None:
    left = [path for path in output.rglob("*") if path.is_file()]
    assert not [path for path in left if path.name.startswith(".part.") or path.suffix == ".part"], left
    if command == "predict" and (output / "predictions.csv").exists():
        with (output / "predictions.csv").open(newline="", encoding="utf-8") as file:
            assert len({len(row) for row in csv.reader(file, strict=True)}) <= 1
        if (output / "predictions.jsonl").exists():
            for line in (output / "predictions.jsonl").read_text().splitlines():
                json.loads(line)
    elif command == "check":
        for name, end in (("c.html", "</html>"), ("problems.csv", "\n")):
            if (output / name).exists():
                assert (output / name).read_text().rstrip(" ").endswith(end) or name == "c.html"
    elif command == "import" and (output / "new").exists():
        assert (output / "new" / "crops.csv").exists() and not (output / "new" / "part").exists()
    elif command == "draw" and output.exists():
        assert (output / "validation.csv").exists() and not (output / "part").exists()
    elif command == "train" and output.exists():
        whole(output)
    elif command == "export":
        assert not (output / "part.export").exists()
        if (output / "model.json").exists():
            check_files(output, json.loads((output / "model.json").read_text())["files"])
        else:
            assert not [path for path in left if path.name != ".lock"]


@pytest.mark.skipif("ONNX Runtime" not in shipped()["tunisia"].forms, reason="saved_models/tunisia is not there")
@pytest.mark.parametrize("command", COMMANDS)
def test_asked_to_end_at_any_moment_a_command_ends_as_it_says(command, tiny_data, tmp_path):
    moments = random.Random(f"{os.environ.get('INTERRUPTS_SEED', '0')} {command}")
    for number in range(math.ceil(COUNT / len(COMMANDS))):
        output = tmp_path / str(number)
        if command in ("check", "import"):
            output.mkdir()
        arguments, longest = called(command, tiny_data, output)
        asked, again = moments.choice(SIGNALS), moments.choice([(), SIGNALS[:1], SIGNALS])
        # From the first moment at which Python runs what is ours.
        script = "import sys; from lpr_e2e import cli; print('ready', flush=True); sys.argv[0] = 'lpr-e2e'; cli.entry()"
        process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        try:
            said, _ = process.communicate(timeout=0.1 + moments.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.send_signal(asked)
            started = time.monotonic()
            for one in again:
                time.sleep(moments.uniform(0, 0.3))
                process.send_signal(one)
            said, _ = process.communicate(timeout=60)
            told = f"{command} {asked.name} {len(again)} more, {time.monotonic() - started:.1f} s: {said[-2000:]}"
            assert time.monotonic() - started < OUT, told
            # Of requests that wait beside each other nobody knows the first; and it may have been over by then.
            over = (0, 1) if command == "check" else (0,)
            assert process.returncode in {*over, *(128 + one for one in (asked, *again))}, told
        assert "Traceback" not in said, said[-3000:]
        nothing_is_half(command, output)
