"""Ctrl-C, and other requests to end, at any moment of a command: out within seconds, without a traceback.

The first request raises `KeyboardInterrupt` in the main thread, as Python does for Ctrl-C. Further ones change nothing:
what is being closed is closed. A process that hangs then is ended. While a library is being imported a request waits:
interrupted while it sets itself up, one of compiled code may crash.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from lpr_e2e.common.errors import UnwrittenError

# After a request, a process has so long to end by itself, seconds.
GRACE_SECONDS = 2.5
# As shells report a process that a signal has ended: this and the signal's number, 130 for Ctrl-C.
SIGNALLED = 128
# A request that got lost, or that waits, comes again after so many seconds.
_AGAIN_SECONDS = 0.05
# What runs a command: module and function.
_CALLERS = ((__name__, "as_process"), ("lpr_e2e.cli", "run_command"))
# A terminal's Ctrl-C, `kill`, a terminal that is closed. Not every system has all of them.
REQUESTS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Requests:
    """What was asked for so far.

    Attributes:
        code: exit code of a process that was asked to end; None if it was not.
        last: whether requests are ignored until the process ends.
        grace_seconds: how long the process may take to end after the first request; a command that has work of others
            to finish may raise it.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self.last = False
        self.grace_seconds = GRACE_SECONDS
        self._first: int | None = None  # The signal of the first request, from when it came.
        self._asks_again = False

    def notice(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of a request."""
        # Further ones come here, too: of signals that wait beside this one, Python would say that they are ignored.
        if self.code is not None or self.last:
            return
        self._first = self._first or number
        if _has_to_wait(frame):
            self._ask_again()
            return
        self.code = SIGNALLED + self._first
        raise KeyboardInterrupt

    def unraisable(self, of: sys.UnraisableHookArgs, hook: Callable[[sys.UnraisableHookArgs], object]) -> None:
        """What becomes of an error where none can be raised, as while Python collects garbage.

        If it is a request, that comes again. What a request has left half made complains while it is taken away; nobody
        is to read that.

        Args:
            of: the error.
            hook: who is told of all others.
        """
        if self.code is None:
            hook(of)
        elif isinstance(of.exc_value, KeyboardInterrupt):
            self.code = None
            self._ask_again()

    def _ask_again(self) -> None:
        """Send this process the first request again, until it is noticed."""
        if not self._asks_again:
            self._asks_again = True
            # Not by `threading`: who is interrupted may hold a lock of its.
            _thread.start_new_thread(self._go_on_asking, ())

    def _go_on_asking(self) -> None:
        while True:
            time.sleep(_AGAIN_SECONDS)
            if self.code is None and self._first is not None:
                os.kill(os.getpid(), self._first)
            if _noticed is not self:
                return


def _has_to_wait(frame: FrameType | None) -> bool:
    """Whether a request has to wait: a command is importing a module, or nothing can be raised.

    Args:
        frame: what it runs. What has called the command does not count: that may be a program that is imported itself.
    """
    while frame is not None and (frame.f_globals.get("__name__"), frame.f_code.co_name) not in _CALLERS:
        code = frame.f_code
        if code is Requests.unraisable.__code__:
            return True
        if code.co_name == "_find_and_load" and code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


_noticed: Requests | None = None


@contextlib.contextmanager
def noticed() -> Iterator[Requests]:
    """Within it, a request to end raises `KeyboardInterrupt` once; further ones are ignored.

    Requests that the process ignores already, as under `nohup`, stay ignored. Within another such context, or in
    another thread than the main one, nothing changes. Afterwards requests mean what they meant before.
    """
    global _noticed
    if _noticed is not None or threading.current_thread() is not threading.main_thread():
        yield _noticed or Requests()
        return
    requests = _noticed = Requests()
    before = {number: signal.getsignal(number) for number in REQUESTS}
    hook = sys.unraisablehook
    try:
        sys.unraisablehook = functools.partial(requests.unraisable, hook=hook)
        for number, handler in before.items():
            if handler is not None and handler != signal.SIG_IGN:
                signal.signal(number, requests.notice)
        yield requests
    finally:
        sys.unraisablehook = hook
        _noticed = None
        for number, handler in before.items():
            if handler is not None and not requests.last:
                signal.signal(number, handler)


@contextlib.contextmanager
def as_interrupt(but: type[Exception] = UnwrittenError) -> Iterator[None]:
    """Within it, an error that comes out after a request is the `KeyboardInterrupt` of that request.

    A library that is interrupted in the middle of its work may fail with an error of its own, of any kind.

    Args:
        but: errors that stay what they are: those that people have to know of all the same.

    Raises:
        KeyboardInterrupt: in place of any other error, if a request was noticed before.
    """
    try:
        yield
    except but:
        raise
    except Exception as error:
        if _noticed is None or _noticed.code is None:
            raise
        raise KeyboardInterrupt from error


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Within it, a request to end waits for its end: for a few quick steps that make sense only together.

    In another thread than the main one, in which no request interrupts anything, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in REQUESTS}
    try:
        for number, handler in before.items():
            if handler is not None and handler != signal.SIG_IGN:
                signal.signal(number, lambda one, frame: came.append(one))
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def as_process(call: Callable[[], int]) -> NoReturn:
    """End this process with the exit code that a call returns, whatever comes in between: within
    `Requests.grace_seconds` of a request, even if the main thread is busy and cannot notice it."""
    with noticed() as requests:
        _end_who_hangs(requests)
        try:
            with as_interrupt():
                code = call()
        except KeyboardInterrupt:
            if requests.code is None:
                raise
            code = requests.code
        # Python takes itself apart now: a request would end it with a traceback, or with another code.
        requests.last = True
        ignore()
    if requests.code is not None:
        # What runs in other threads is not waited for, nor taken apart while it runs.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # Closed, or there is none.
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _end_who_hangs(requests: Requests) -> None:
    """Start a thread that ends the process some time after the first request.

    Python's handlers run in the main thread, once that is back from whatever it has called; a byte is written at once.
    """
    if not hasattr(signal, "set_wakeup_fd") or threading.current_thread() is not threading.main_thread():
        return
    theirs, ours = socket.socketpair()
    ours.setblocking(False)
    signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)

    def wait() -> None:
        _keep = ours  # Closed with the last reference to it.
        while True:
            number = theirs.recv(1)
            if number and number[0] in REQUESTS:
                time.sleep(requests.grace_seconds)
                os._exit(SIGNALLED + number[0])

    threading.Thread(target=wait, name="end who hangs", daemon=True).start()


def ignore() -> None:
    """From now on no request is noticed."""
    for number in REQUESTS:
        if signal.getsignal(number) is not None:
            signal.signal(number, signal.SIG_IGN)
