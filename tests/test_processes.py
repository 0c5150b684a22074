"""Processes beside this one do not outlive it, and do not run its script."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from lpr_e2e.common.cores import THREAD_VARIABLES
from lpr_e2e.common.processes import started_alone

SCRIPT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from lpr_e2e.common.processes import end_with_parent, started_alone

print("script", flush=True)
pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
with started_alone():
    task = pool.submit(os.getpid)
print(task.result(), flush=True)
time.sleep(60)
"""


def is_alive(pid):
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_ends_with_the_process_that_started_it_even_if_that_is_killed(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout.readline() == "script\n"
        worker = int(parent.stdout.readline())  # No second "script": it was not run in the worker.
        assert worker != parent.pid and is_alive(worker)
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 20
    while is_alive(worker) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(worker)


def thread_counts():
    """The variables that libraries take their number of threads from, as they are in this process."""
    return {name: os.environ.get(name) for name in THREAD_VARIABLES}


def test_a_worker_has_one_thread_in_each_library_and_this_process_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = thread_counts()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with started_alone():
            task = pool.submit(thread_counts)
        assert set(task.result().values()) == {"1"}
    assert thread_counts() == before and before["OMP_NUM_THREADS"] == "7"
