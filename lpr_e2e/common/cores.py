"""How many processor cores this process may use, and how the libraries below it are told.

A machine's number of cores says little in a container, under Slurm or beside other programs: a process may be bound to
some of them (its affinity), and a container's quota may grant it the time of a few. Taking them all costs memory for
each thread, and time for the threads that wait.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# What libraries ask for the number of their threads, when they are imported or first used: OpenMP, the linear algebra
# below numpy, OpenCV, TensorFlow, and XLA, which JAX runs on. Left alone, most know affinity, and few a quota.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "NPROC",
)

_threads: int | None = None  # What `use_threads` was told.


def available_cores(root: Path | str = "/") -> int:
    """The number of cores this process may use, at least 1.

    The smallest of: the cores it is bound to (those of the machine where that is unknown), its container's quota
    rounded up, and what `use_threads` was told.

    Args:
        root: where the control groups' files are looked for: `/proc/self/cgroup`, `/proc/self/mountinfo` and what that
            names (`/sys/fs/cgroup` as a rule) below it.
    """
    if _threads is not None:
        return _threads
    cores = _bound_cores()
    quota = min(_quotas(Path(root)), default=math.inf)
    return max(1, cores if quota == math.inf else min(cores, math.ceil(quota)))


def use_threads(threads: int | None = None) -> None:
    """Let this process and the libraries that it loads from now on use so many threads.

    Args:
        threads: at least 1; None means `available_cores()`, and leaves what the environment already says to a library.
    """
    global _threads
    for name in THREAD_VARIABLES:
        if os.environ.get(name) == "":  # It says nothing, and OpenCV fails on it.
            del os.environ[name]
    if threads is None and available_cores() >= (os.cpu_count() or 1):
        return  # The libraries find out by themselves.
    if threads is not None:
        _threads = threads
    for name in THREAD_VARIABLES:
        if threads is not None or name not in os.environ:
            os.environ[name] = str(available_cores())
    if "cv2" in sys.modules:  # It has looked at the machine already.
        sys.modules["cv2"].setNumThreads(available_cores())


def _bound_cores() -> int:
    """The cores that this process is bound to, or those of the machine where no system call tells."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13; heeds PYTHON_CPU_COUNT too.
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux.
        with contextlib.suppress(OSError):  # Some sandboxes refuse the call.
            return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """The quotas in cores that apply: of the process's control group and of each one above, versions 2 and 1."""
    lines = _lines(root / "proc/self/cgroup")  # None but on Linux.
    mounts = _mounts(root)
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            version, read = "cgroup2", _quota_2
        elif "cpu" in controllers.split(","):
            version, read = "cgroup", _quota_1
        else:
            continue
        for own, mount in mounts[version]:
            # Within a container, what is mounted may be the container's own group: names above it are not there.
            inner = group[len(own) :] if group == own or group.startswith(f"{own}/") else group
            folder = mount / inner.strip("/")
            for above in (folder, *folder.parents):
                quota = read(above)
                if quota is not None and quota > 0:
                    yield quota
                if above == mount:
                    break


def _mounts(root: Path) -> dict[str, list[tuple[str, Path]]]:
    """Where control groups are mounted: `cgroup2` for version 2, `cgroup` for those of the CPU in version 1.

    Returns:
        pairs of the group that is mounted, without a `/` at its end, and the folder; the usual one where none is named.
    """
    mounts: dict[str, list[tuple[str, Path]]] = {"cgroup": [], "cgroup2": []}
    for line in _lines(root / "proc/self/mountinfo"):
        place, _, kind = (part.split() for part in line.partition(" - "))
        if len(place) < 5 or len(kind) < 3 or kind[0] not in mounts:
            continue
        if kind[0] == "cgroup2" or "cpu" in kind[2].split(","):
            # A blank is written as \040 there.
            own, folder = (re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), name) for name in place[3:5])
            mounts[kind[0]].append((own.rstrip("/"), root / folder.strip("/")))
    mounts["cgroup"] = mounts["cgroup"] or [("", root / "sys/fs/cgroup/cpu")]
    mounts["cgroup2"] = mounts["cgroup2"] or [("", root / "sys/fs/cgroup")]
    return mounts


def _quota_2(folder: Path) -> float | None:
    """Version 2: `cpu.max` holds quota and period in microseconds, the quota `max` where there is none."""
    words = _words(folder / "cpu.max")
    return _ratio(*words[:2]) if len(words) >= 2 else None


def _quota_1(folder: Path) -> float | None:
    """Version 1: a file each for quota and period in microseconds, the quota -1 where there is none."""
    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    return _ratio(quota[0], period[0]) if quota and period else None


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    """The lines of a file of the kernel's; none where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _ratio(quota: str, period: str) -> float | None:
    try:
        return float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # `max`, or nothing that a kernel writes.
        return None
