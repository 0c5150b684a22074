"""Processes beside this one: started anew (`spawn`), so that nothing of a running backend is copied into them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator

from lpr_e2e.common.cores import THREAD_VARIABLES


@contextlib.contextmanager
def started_alone() -> Iterator[None]:
    """A process that is started in this context does not run the main script, ignores Ctrl-C from its first moment, and
    has one thread in each of the libraries that would take one for every core.

    `spawn` would import the main script into it, which may import Keras, or train without `if __name__ == "__main__"`.
    Many processes side by side have a core each: on 16 cores, 16 of them with 16 threads each make batches a hundred
    times slower.
    """
    threads = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(threads, "1"))
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    # What is ignored is so in a new process too. Only the main thread may say so, and only Python's handlers come back.
    handler = signal.getsignal(signal.SIGINT)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        handler = None
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in threads.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


def end_with_parent() -> None:
    """Let this process end when the one that started it does, even if that was killed and could tell nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, name="end with parent", daemon=True).start()
