"""Threads follow the cores that this process may use. The control groups' files are made up; affinity is the real one.

On Windows and macOS there is neither affinity nor a control group: that is simulated by taking both away.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lpr_e2e.common import cores
from lpr_e2e.common.cores import THREAD_VARIABLES, available_cores, use_threads


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """What a test sets does not last, and the machine has 64 cores, all of them ours."""
    monkeypatch.setattr(cores, "_threads", None)
    monkeypatch.setattr(cores, "_bound_cores", lambda: 64)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def groups(root, cgroup: str, files: dict[str, str], below: str = "sys/fs/cgroup"):
    """A root folder with this `/proc/self/cgroup` and these files below the folder of the control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),  # A container that sees itself as the root.
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),  # A core and a half: two threads use it up.
        ("0::/\n", {"cpu.max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),  # More than there are.
        ("0::/\n", {}, 64),  # The real root has no such file.
        ("0::/user.slice/job\n", {"user.slice/cpu.max": "300000 100000", "user.slice/job/cpu.max": "max 100000"}, 3),
        ("0::/user.slice/job\n", {"user.slice/cpu.max": "300000 100000", "user.slice/job/cpu.max": "90000 100000"}, 1),
        ("0::/docker/not-seen-inside\n", {"cpu.max": "400000 100000\n"}, 4),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        (
            "12:memory:/job\n4:cpu:/docker/job\n0::/\n",
            {"cpu/docker/job/cpu.cfs_quota_us": "50000", "cpu/docker/job/cpu.cfs_period_us": "25000"},
            2,
        ),
        ("0::/\n", {"cpu.max": "nothing that a kernel writes"}, 64),
        ("0::/\n", {"cpu.max": "100000 0"}, 64),
        ("0::/\n", {"cpu.max": ""}, 64),
        ("no lines that a kernel writes\n::\n", {"cpu.max": "1 1"}, 64),
    ],
)
def test_the_quota_of_a_container_counts(cgroup, files, expected, tmp_path):
    assert available_cores(groups(tmp_path, cgroup, files)) == expected


TWO_CORES = {"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("cgroup", "mounted", "below", "files", "expected"),
    [
        # Both controllers in one folder, without the link that most systems put beside it.
        ("4:cpu,cpuacct:/", "/ /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct", None, TWO_CORES, 2),
        # A job within a container that sees its names from outside and its own group alone.
        ("4:cpu:/docker/ab/job", "/docker/ab /sys/fs/cgroup/cpu rw - cgroup c rw,cpu", "job", TWO_CORES, 2),
        ("0::/docker/ab/job", "/docker/ab /sys/fs/cgroup rw - cgroup2 c rw", "job", {"cpu.max": "200000 100000"}, 2),
        ("4:cpu:/docker/ab", "/docker/ab /sys/fs/cgroup/cpu rw - cgroup c rw,cpu", None, TWO_CORES, 2),
        # Mounted elsewhere, once under a name with a blank.
        ("4:cpu:/", "/ /cgroup/cpu rw - cgroup c rw,cpu", None, TWO_CORES, 2),
        ("0::/", r"/ /my\040groups rw shared:1 - cgroup2 c rw", None, {"cpu.max": "200000 100000"}, 2),
        ("0::/a", "/ /sys/fs/cgroup/unified rw - cgroup2 c rw", "a", {"cpu.max": "200000 100000"}, 2),
        # What stays: other controllers' folders, a group whose name only begins alike, and lines of no kernel.
        ("4:cpu:/", "/ /cgroup/cpuset rw - cgroup c rw,cpuset", None, TWO_CORES, 64),
        ("0::/docker/abc", "/docker/ab /sys/fs/cgroup rw - cgroup2 c rw", "c", {"cpu.max": "200000 100000"}, 64),
        ("0::/", "/ - cgroup2\n - \n", None, {"cpu.max": "200000 100000"}, 64),
    ],
)
def test_the_groups_are_looked_for_where_they_are_mounted(cgroup, mounted, below, files, expected, tmp_path):
    folder = mounted.split()[1].strip("/").replace(r"\040", " ")
    root = groups(tmp_path, cgroup, files, "/".join(filter(None, [folder, below])))
    (root / "proc/self/mountinfo").write_text(f"23 1 0:5 / /proc rw - proc proc rw\n31 23 0:28 {mounted}\n")
    assert available_cores(root) == expected


def test_of_several_mounts_the_smallest_quota_counts(tmp_path):
    """A monitor in a container has the machine's groups mounted, too."""
    root = groups(tmp_path, "0::/", {"cpu.max": "200000 100000"})
    lines = [f"1 1 0:1 {own} {folder} rw - cgroup2 c rw" for own, folder in (("/", "/sys/fs/cgroup"), ("/..", "/host"))]
    (root / "proc/self/mountinfo").write_text("\n".join(lines))
    assert available_cores(root) == 2


def test_without_control_groups_the_machine_counts(tmp_path):
    assert available_cores(tmp_path) == 64


def test_a_quota_does_not_raise_what_affinity_leaves(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "_bound_cores", lambda: 3)
    assert available_cores(groups(tmp_path, "0::/", {"cpu.max": "800000 100000"})) == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_affinity_counts():
    script = (
        "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])\n"
        "os.cpu_count = lambda: 64\n"  # A large machine cannot be had here.
        "from lpr_e2e.common.cores import available_cores; print(available_cores())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


@pytest.mark.parametrize("machine", [8, None])
def test_where_no_system_call_tells_the_machine_counts(machine, tmp_path, monkeypatch):
    """Windows and macOS, simulated."""
    monkeypatch.undo()
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: machine)
    assert available_cores(tmp_path) == (machine or 1)


def test_where_the_system_call_is_refused_the_machine_counts(tmp_path, monkeypatch):
    """As in some sandboxes."""

    def refused(process):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.undo()
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", refused, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert available_cores(tmp_path) == 8


class TestThreads:
    def test_what_was_asked_for_counts_and_libraries_are_told(self):
        os.environ["OMP_NUM_THREADS"] = "9"
        use_threads(3)
        assert available_cores() == 3
        assert {os.environ[name] for name in THREAD_VARIABLES} == {"3"}

    def test_a_quota_is_told_and_what_the_user_says_to_a_library_stays(self, monkeypatch):
        os.environ["OMP_NUM_THREADS"] = "9"
        monkeypatch.setattr(cores, "_bound_cores", lambda: 2)
        use_threads()
        assert {name: os.environ[name] for name in THREAD_VARIABLES} == dict.fromkeys(THREAD_VARIABLES, "2") | {
            "OMP_NUM_THREADS": "9"
        }

    def test_where_all_cores_are_ours_libraries_are_left_alone(self):
        use_threads()
        assert not set(THREAD_VARIABLES) & set(os.environ)

    def test_an_empty_variable_says_nothing_to_a_library(self, monkeypatch):
        """OpenCV fails on an empty one."""
        for name in THREAD_VARIABLES[:4]:
            os.environ[name] = ""
        os.environ["NPROC"] = "3"
        use_threads()
        assert {name for name in THREAD_VARIABLES if name in os.environ} == {"NPROC"}
        os.environ["OMP_NUM_THREADS"] = ""
        monkeypatch.setattr(cores, "_bound_cores", lambda: 2)
        use_threads()
        assert os.environ["OMP_NUM_THREADS"] == "2" and os.environ["NPROC"] == "3"

    def test_opencv_and_the_algebra_below_numpy_follow(self):
        script = (
            "from lpr_e2e.common.cores import use_threads; use_threads(1)\n"
            "import cv2, numpy, os\n"
            "numpy.ones((400, 400)) @ numpy.ones((400, 400))\n"
            "own = len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1\n"
            "print(cv2.getNumThreads(), own); use_threads(2); print(cv2.getNumThreads())"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["1", "1", "2"]
