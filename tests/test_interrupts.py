"""Requests to end a process: one is enough, at any moment, and no further one does harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lpr_e2e.common.errors import UnwrittenError
from lpr_e2e.common.interrupts import as_interrupt, noticed

ROOT = Path(__file__).resolve().parents[1]
START = """
import signal, sys, time
from lpr_e2e.common import interrupts
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored where the tests run in the background.
"""
WAITS = """
def call():
    try:
        print("ready", flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        time.sleep(0.5)
        print("closed", flush=True)
        return 130
"""
ALL = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def started(code: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", START + code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def asked(process: subprocess.Popen, *numbers: int) -> tuple[str, str]:
    """What a process that gets these signals, one after the other, still says, and its errors."""
    for one in numbers:
        process.send_signal(one)
        time.sleep(0.05)
    return process.communicate(timeout=20)


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("again", [[], [signal.SIGINT], [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]])
def test_what_is_being_closed_is_closed_whatever_comes_then(number, again):
    process = started(WAITS + "interrupts.as_process(call)")
    said, errors = asked(process, number, *again)
    assert said == "closed\n" and errors == "" and process.returncode == 130


def test_who_catches_nothing_ends_as_shells_say_it():
    process = started("""
def call():
    print("ready", flush=True)
    time.sleep(30)
interrupts.as_process(call)
""")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert errors == "" and process.returncode == 128 + signal.SIGTERM


def test_who_hangs_is_ended():
    process = started("""
interrupts.GRACE_SECONDS = 0.3
def call():
    told = False
    while True:
        try:
            if not told:
                told = True
                print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            pass
interrupts.as_process(call)
""")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130


# A library that is interrupted in the middle of its work, whose clearing up then fails in its own way.
FAILS = """
import contextlib
@contextlib.contextmanager
def tracing():
    try:
        yield
    finally:
        assert False, "nesting violated"
def chained():
    with tracing():
        print("ready", flush=True)
        time.sleep(WAITING)
def instead(error):
    try:
        chained()
    except AssertionError:
        raise error from None
def swallowed():
    try:
        print("ready", flush=True)
        time.sleep(WAITING)
    except BaseException:
        pass
    raise ValueError("no result")
"""
HIDDEN, UNIMPORTED, UNREAD, UNWRITTEN = (
    f"instead({error})"
    for error in (
        'RuntimeError("cannot go on")',
        'ImportError("initialization failed", name="onnxruntime")',
        'OSError("no such picture")',
        'UnwrittenError("the disk is full")',
    )
)
IN_A_COMMAND = """
import types
from lpr_e2e import cli
from lpr_e2e.common.errors import UnwrittenError
cli.COMMANDS["fails"] = ("fails", "")
sys.modules["fails"] = types.SimpleNamespace(add_arguments=lambda parser: None, run=lambda options: WORK)
print("code", cli.main(["fails"]), flush=True)
"""


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("again", [[], [signal.SIGINT]])
@pytest.mark.parametrize("work", ["chained()", HIDDEN, "swallowed()"])
def test_an_interrupt_that_comes_out_as_another_error_is_an_interrupt(work, again, number):
    process = started(FAILS.replace("WAITING", "30") + f"interrupts.as_process(lambda: {work})")
    said, errors = asked(process, number, *again)
    assert said == "" and errors == "" and process.returncode == 128 + number


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("work", ["chained()", UNIMPORTED, UNREAD])
def test_within_a_program_it_is_an_interrupt_too(work, number):
    process = started(FAILS.replace("WAITING", "30") + IN_A_COMMAND.replace("WORK", work))
    said, errors = asked(process, number)
    assert said == f"code {128 + number}\n" and errors == "" and process.returncode == 0


def test_what_could_not_be_written_is_told_all_the_same():
    process = started(FAILS.replace("WAITING", "30") + IN_A_COMMAND.replace("WORK", UNWRITTEN))
    said, errors = asked(process, signal.SIGINT)
    assert said == "code 1\n" and "the disk is full" in errors and "Traceback" not in errors


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), OSError("x"), UnwrittenError("x")])
@pytest.mark.parametrize("but", [UnwrittenError, OSError])
@pytest.mark.parametrize("code", [None, 130])
def test_only_after_a_request_an_error_is_an_interrupt(code, but, error):
    stays = code is None or isinstance(error, but)
    with noticed() as requests, pytest.raises(type(error) if stays else KeyboardInterrupt), as_interrupt(but):
        requests.code = code
        raise error


@pytest.mark.parametrize("work, told", [(UNIMPORTED, "cannot be imported"), (UNREAD, "no such picture")])
def test_in_a_command_an_error_that_nobody_asked_for_is_told(work, told):
    process = started(FAILS.replace("WAITING", "0") + IN_A_COMMAND.replace("WORK", work))
    said, errors = process.communicate(timeout=20)
    assert said == "code 2\n" and told in errors and "Traceback" not in errors


@pytest.mark.parametrize("work", ["chained()", HIDDEN, "swallowed()"])
def test_an_error_that_nobody_asked_for_stays_one(work):
    process = started(FAILS.replace("WAITING", "0") + f"interrupts.as_process(lambda: {work})")
    said, errors = process.communicate(timeout=20)
    assert "Error: " in errors and process.returncode == 1


SLOW_LIBRARY = """
import time
print("ready", flush=True)
for _ in range(STEPS):
    time.sleep(0.05)
print("imported", flush=True)
"""
IMPORTS = """
sys.path.insert(0, {folder!r})
def call():
    import slow_library
    time.sleep(30)
interrupts.as_process(call)
"""


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("again", [[], [signal.SIGTERM], ALL])
def test_a_library_is_imported_before_a_request_is_noticed(again, number, tmp_path):
    (tmp_path / "slow_library.py").write_text(SLOW_LIBRARY.replace("STEPS", "16"))
    process = started(IMPORTS.format(folder=str(tmp_path)))
    said, errors = asked(process, number, *again)
    assert said == "imported\n" and errors == "" and process.returncode == 128 + number


@pytest.mark.parametrize("number", ALL)
def test_an_import_that_takes_too_long_is_ended(number, tmp_path):
    (tmp_path / "slow_library.py").write_text(SLOW_LIBRARY.replace("STEPS", "600"))
    process = started("interrupts.GRACE_SECONDS = 0.3" + IMPORTS.format(folder=str(tmp_path)))
    process.send_signal(number)
    started_at = time.monotonic()
    said, errors = process.communicate(timeout=20)
    assert said == "" and errors == "" and process.returncode == 128 + number and time.monotonic() - started_at < 5


def test_a_program_that_is_itself_imported_is_interrupted(tmp_path):
    (tmp_path / "program.py").write_text(START + WAITS + "interrupts.as_process(call)")
    process = started(f"sys.path.insert(0, {str(tmp_path)!r}); import program")
    said, errors = asked(process, signal.SIGINT)
    assert said == "closed\n" and errors == "" and process.returncode == 130


def test_who_is_busy_in_a_library_is_ended():
    """Python's handlers would run when it comes back."""
    process = started("""
import ctypes
interrupts.GRACE_SECONDS = 0.3
def call():
    print("ready", flush=True)
    ctypes.CDLL(None).system(b"sleep 30")  # It waits on, whatever signals come.
    return 0
interrupts.as_process(call)
""")
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 128 + signal.SIGTERM


def test_within_a_program_only_the_command_ends():
    """A notebook goes on after an interrupted command, and its own Ctrl-C works as before."""
    process = started("""
def command():
    with interrupts.noticed() as requests:
        try:
            print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            pass
    return requests.code
interrupts.GRACE_SECONDS = 0.2
before = signal.getsignal(signal.SIGINT)
print("command", command(), flush=True)
time.sleep(0.6)
print("goes on", signal.getsignal(signal.SIGINT) is before, flush=True)
""")
    said, errors = asked(process, signal.SIGINT)
    assert said == "command 130\ngoes on True\n" and errors == "" and process.returncode == 0


def test_threads_at_work_are_not_waited_for():
    process = started("""
import threading
def call():
    threading.Thread(target=time.sleep, args=(60,)).start()
    try:
        print("ready", flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        return 130
interrupts.as_process(call)
""")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130


def test_a_request_after_the_end_changes_nothing():
    """Python takes itself apart by then."""
    process = started("""
import atexit
atexit.register(lambda: (print("ready", flush=True), time.sleep(1.0)))
interrupts.as_process(lambda: 3)
""")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert errors == "" and process.returncode == 3


def test_what_is_ignored_stays_ignored():
    process = started("""
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # As nohup does.
def call():
    print("ready", flush=True)
    time.sleep(0.6)
    return 0
interrupts.as_process(call)
""")
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=20) == 0


def test_without_a_request_all_handlers_come_back():
    before = [signal.getsignal(number) for number in ALL]
    with noticed() as outer, noticed() as inner:
        assert inner is outer
    assert [signal.getsignal(number) for number in ALL] == before


def test_another_thread_changes_nothing():
    found = []

    def elsewhere():
        before = [signal.getsignal(number) for number in ALL]
        with noticed():
            found.append([signal.getsignal(number) for number in ALL] == before)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [True]


@pytest.mark.parametrize("number", ALL)
def test_a_prediction_that_is_asked_to_end_says_what_is_there(number, tmp_path):
    """However it is asked; the rows that were written are whole."""
    from PIL import Image

    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (640, 480), (90, 120, 150)).save(folder / "0.jpg")
    for name in range(1, 2000):
        os.link(folder / "0.jpg", folder / f"{name}.jpg")
    code = f"""
from lpr_e2e.cli import script
import os, threading
def told():
    while not os.path.exists("out/predictions.csv") or os.path.getsize("out/predictions.csv") < 2000:
        time.sleep(0.01)
    os.kill(os.getpid(), {int(number)})
threading.Thread(target=told, daemon=True).start()
print("ready", flush=True)
arguments = ["in", "--output", "out", "--no-pictures", "--no-report"]
interrupts.as_process(lambda: script("predict", arguments))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", START + code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "interrupted: " in errors and "Traceback" not in errors
    rows = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert 1 < len(rows) < 2001 and len({row.count(",") for row in rows}) == 1


@pytest.mark.parametrize("waiting", [ALL, ALL[::-1], ALL[:2], [signal.SIGINT, signal.SIGINT, signal.SIGHUP]])
def test_requests_that_wait_beside_each_other_are_one(waiting):
    """They come while a library is at work: Python sees all of them at once."""
    process = started(f"""
import threading
def call():
    print("ready", flush=True)
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {[int(one) for one in ALL]})
        for number in {[int(one) for one in waiting]}:
            signal.pthread_kill(threading.get_ident(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {[int(one) for one in ALL]})
        time.sleep(5)
    except KeyboardInterrupt:
        time.sleep(0.2)
    return 130
interrupts.as_process(call)
""")
    _, errors = process.communicate(timeout=20)
    assert errors == "" and process.returncode == 130


def collects(number: int) -> str:
    """The code of `collects`, for `gc.callbacks`: as soon as Python collects garbage, it asks to end, once."""
    return f"""
import gc
def collects(phase, about):
    gc.callbacks.clear()
    print("ready", flush=True)
    signal.raise_signal({int(number)})
    time.sleep(0)
"""


@pytest.mark.parametrize("number", ALL)
def test_a_request_that_comes_while_python_collects_garbage_is_not_lost(number):
    process = started(
        collects(number)
        + """
def call():
    gc.callbacks.append(collects)
    gc.collect()
    time.sleep(20)
    return 0
interrupts.as_process(call)
"""
    )
    _, errors = process.communicate(timeout=10)
    assert errors == "" and process.returncode == 128 + number


@pytest.mark.parametrize("is_asked", [True, False])
def test_what_is_left_half_made_complains_only_if_nobody_asked_to_end(is_asked):
    process = started(f"""
class Made:
    def __init__(self):
        print("ready", flush=True)
        if {is_asked}:
            signal.raise_signal(signal.SIGINT)
            time.sleep(5)
    def __del__(self):
        self.never_made
def call():
    Made()
    return 0
interrupts.as_process(call)
""")
    _, errors = process.communicate(timeout=10)
    assert process.returncode == (130 if is_asked else 0)
    assert ("never_made" in errors) != is_asked and ("Traceback" in errors) != is_asked


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("again", [(), (signal.SIGINT,), (signal.SIGTERM, signal.SIGINT)])
def test_a_request_that_comes_while_another_is_asked_again_is_not_lost(number, again):
    """Nor does it complain, and what has to be closed is closed: also if threads cannot be started as usual."""
    process = started(
        collects(number)
        + f"""
import _thread, threading, types
def start(*what):
    for one in {[int(one) for one in again]}:
        signal.raise_signal(one)
    return _thread.start_new_thread(*what)
interrupts._thread = types.SimpleNamespace(start_new_thread=start)
def call():
    gc.callbacks.append(collects)
    try:
        with threading._active_limbo_lock:
            gc.collect()
            time.sleep(20)
    finally:
        print("closed", file=sys.stderr)
    return 0
interrupts.as_process(call)
"""
    )
    _, errors = process.communicate(timeout=10)
    assert errors == "closed\n" and process.returncode == 128 + number


@pytest.mark.parametrize("number", ALL)
def test_a_request_that_comes_while_an_error_is_told_is_not_lost(number):
    process = started(f"""
def tell(of):
    print("ready", flush=True)
    signal.raise_signal({int(number)})
    print(of.exc_value, file=sys.stderr)
sys.unraisablehook = tell
class Made:
    def __del__(self):
        raise ValueError("told")
def call():
    Made()
    time.sleep(20)
    return 0
interrupts.as_process(call)
""")
    _, errors = process.communicate(timeout=10)
    assert errors == "told\n" and process.returncode == 128 + number
