"""A short attack on every reader of foreign bytes, that an attack can find something, and what was found by attacks.

`DAMAGES=2000 python -m pytest -n 0 tests/test_attack.py` damages a file of each kind so often, in processes whose time
and memory are limited. See `attack.py` for attacks as long as one likes.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import attack
import numpy as np
import pytest
from foreign_files import (
    HISTORY,
    LETTERS,
    PASSES,
    READERS,
    STATE,
    Reader,
    Variable,
    cached,
    config_bytes,
    description_file,
    own_labels_bytes,
    small_dataset,
    split_bytes,
)

from lpr_e2e.common.archives import refuse_unsound
from lpr_e2e.common.errors import UserError
from lpr_e2e.data.fingerprint_cache import FILE, FingerprintCache
from lpr_e2e.data.samples import Crop, Dataset
from lpr_e2e.prediction.description import Description
from lpr_e2e.training import letterforms
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.run_folder import RunError, RunFolder
from lpr_e2e.training.sides import write_split
from lpr_e2e.video.outputs import read_passes

DAMAGES = int(os.environ.get("DAMAGES", "0"))
# Guided inputs of a test run, beside the files that it begins with.
RUNS = 300

# Their readers import Keras, which takes longer than the attack; `test_fuzz` damages them, too.
OF_KERAS = ("config", "split", "history", "state", "state_members")

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: it has no wheel for this system"
)


def attacked(*arguments, **environment) -> subprocess.CompletedProcess:
    """The program's end, and what it said."""
    call = [sys.executable, attack.__file__, *map(str, arguments)]
    return subprocess.run(
        call, capture_output=True, encoding="utf-8", errors="backslashreplace", env={**os.environ, **environment}
    )


def figures(done: subprocess.CompletedProcess) -> tuple[int, int]:
    """How many inputs there were, and how many edges they have covered, of the first line of the table."""
    executions, coverage = done.stdout.splitlines()[1].split()[1:3]
    return int(executions.replace(",", "")), int(coverage.replace(",", ""))


@needs_atheris
def test_a_short_attack_finds_nothing(tmp_path):
    quick = [name for name, reader in READERS.items() if not reader.slow and name not in OF_KERAS]
    done = attacked(",".join(quick), "--runs", RUNS, "--seed", 1, "--corpus", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    executions, coverage = figures(done)
    assert executions >= RUNS and coverage > 1000, done.stdout


@pytest.mark.skipif(not DAMAGES, reason="DAMAGES=2000 tries so many on each reader")
@pytest.mark.parametrize("name", READERS)
def test_damages_are_refused_or_harmless(name, tmp_path):
    done = attacked(name, "--damages", DAMAGES, "--seed", 1, "--corpus", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


class TestAttack:
    """An attack that finds nothing says something only if it finds what is there."""

    @pytest.fixture
    def planted(self, tmp_path):
        """A module with a reader that goes wrong, but on bytes that nobody hits upon at random."""
        (tmp_path / "planted.py").write_text(
            "from foreign_files import Reader\n\n"
            "def check(data, folder):\n"
            "    if data[:1] == b'q' and data[1:2] == b'z':\n"
            "        if data[2:3] == b'x':\n"
            "            raise ZeroDivisionError('planted')\n\n"
            "READERS = {'planted': Reader('planted', lambda: [b'harmless'], check)}\n"
        )
        return tmp_path

    @needs_atheris
    def test_what_is_hidden_is_found_kept_and_repeated(self, planted):
        arguments = ("planted", "--module", "planted", "--corpus", planted / "corpus")
        done = attacked(*arguments, "--runs", 60_000, PYTHONPATH=str(planted))
        assert done.returncode == 1 and "ZeroDivisionError: planted" in done.stdout, done.stdout + done.stderr
        (find,) = (path for path in (planted / "corpus/finds").iterdir() if path.suffix != ".txt")
        assert find.read_bytes()[:3] == b"qzx"
        told = find.with_name(f"{find.name}.txt").read_text()
        assert f"python tests/attack.py planted --repeat {find}" in told and "Traceback" in told
        again = attacked("planted", "--module", "planted", "--repeat", find, PYTHONPATH=str(planted))
        assert again.returncode == 1 and "ZeroDivisionError: planted" in again.stderr
        assert len(list((planted / "corpus/planted").iterdir())) > 1  # The next attack begins with what led there.

    def test_what_crashes_the_process_is_a_find(self, tmp_path):
        (tmp_path / "planted.py").write_text(
            "import os\nfrom foreign_files import Reader\n\n"
            "def check(data, folder):\n"
            "    if data != b'harmless':\n"
            "        os.abort()\n\n"
            "READERS = {'planted': Reader('planted', lambda: [b'harmless'], check)}\n"
        )
        arguments = ("planted", "--module", "planted", "--corpus", tmp_path / "corpus", "--damages", 5)
        done = attacked(*arguments, PYTHONPATH=str(tmp_path))
        assert done.returncode == 1 and "planted-ended: the process ended" in done.stdout, done.stdout + done.stderr

    def test_what_takes_too_long_or_too_much_is_a_find(self, tmp_path, monkeypatch):
        def busy(data: bytes, folder: Path) -> None:
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass

        monkeypatch.setattr(attack, "MOST_SECONDS", 0.01)
        attack.Attempt([Reader("busy", lambda: [b""], busy)], tmp_path / "long").give(b"1")
        assert "took more than 0.01 seconds" in next((tmp_path / "long").glob("*.txt")).read_text()
        monkeypatch.setattr(attack, "MOST_SECONDS", 20)
        monkeypatch.setattr(attack, "MOST_MB", 1)
        monkeypatch.setattr(attack.os, "_exit", lambda code: None)
        attack.Attempt([Reader("large", lambda: [b""], lambda data, folder: None)], tmp_path / "much").give(b"1")
        assert "took more than 1 MB" in next((tmp_path / "much").glob("*.txt")).read_text()

    def test_what_is_as_it_should_be_is_no_find(self, tmp_path):
        attack.Attempt([Reader("good", lambda: [b""], lambda data, folder: None)], tmp_path / "finds").give(b"1")
        assert not (tmp_path / "finds").exists()


DEEP = b"[" * 100_000
HALF_SIZE = (b"'<f8'", b"'<f4'")  # Of an array's header: half of its bytes, as twice as short numbers.


class TestFinds:
    """What attacks have found, in the order in which they found it."""

    def test_a_state_whose_header_lies_is_refused(self, tmp_path):
        run, path = RunFolder(tmp_path), tmp_path / "state.npz"
        run.save_state(list(STATE), {"epoch": 3})
        variables = [Variable(one.shape) for one in STATE]
        run.load_variables(variables)
        assert all(np.array_equal(one.value, saved) for one, saved in zip(variables, STATE, strict=True))
        path.write_bytes(path.read_bytes().replace(*HALF_SIZE))
        with np.load(path) as state:  # numpy alone takes it, as numbers that nobody saved.
            assert state["variable_1"].shape == STATE[1].shape and not np.array_equal(state["variable_1"], STATE[1])
        with pytest.raises(RunError, match="state.npz: damaged"):
            run.load_variables(variables)

    def test_kept_fingerprints_in_an_archive_of_a_version_to_come_are_made_anew(self, tmp_path):
        _, path, _ = cached(tmp_path)
        assert FingerprintCache(tmp_path).get(path, None) is not None
        data = bytearray((tmp_path / FILE).read_bytes())
        data[data.index(b"PK\x01\x02") + 6] = 184  # The version that is needed to unpack it, of the first file.
        (tmp_path / FILE).write_bytes(data)
        assert FingerprintCache(tmp_path).get(path, None) is None

    @pytest.mark.parametrize("header", [b"{'descr': (", b"[" * 999, b"\xff", b"'"])
    def test_kept_fingerprints_that_are_one_array_with_an_odd_header_are_made_anew(self, tmp_path, header):
        _, path, _ = cached(tmp_path)
        (tmp_path / FILE).write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        assert FingerprintCache(tmp_path).get(path, None) is None

    @pytest.mark.parametrize("hides", ["all", "before", "between", "one"])
    def test_an_archive_that_holds_more_than_it_lists_is_refused(self, tmp_path, hides):
        path = tmp_path / "letters.npz"
        letterforms.save(LETTERS, path)
        data = path.read_bytes()
        directory, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
        second = data.index(b"PK\x01\x02", directory + 1)
        count, size, place = struct.unpack_from("<H2I", data, end + 10)

        def ended(count: int, size: int, place: int) -> bytes:
            return struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, size, place, 0)

        hidden = {
            "all": data[:end] + ended(0, 0, end),
            "one": data[:directory] + data[second:end] + ended(count - 1, size - (second - directory), place),
            "before": bytes(99) + data,
            "between": data[:directory] + bytes(99) + data[directory:end] + ended(count, size, place + 99),
        }[hides]
        path.write_bytes(hidden)
        with zipfile.ZipFile(path) as archive:  # Python alone takes it.
            assert archive.testzip() is None
        with pytest.raises(UserError, match="letters.npz: damaged .*holds more than the files that it lists"):
            letterforms.load(path)

    def test_letters_of_which_some_are_missing_are_refused(self, tmp_path):
        path = tmp_path / "letters.npz"
        letterforms.save({}, path)
        assert letterforms.load(path) == {}  # None were found, and none are missing.
        letterforms.save(LETTERS, path)
        with np.load(path) as file:
            members = dict(file)
        for left in ([], ["count"], list(members)[1:], [*list(members)[:1], "count"]):
            np.savez(path, **{name: members[name] for name in left})
            with pytest.raises(UserError, match="letters.npz: damaged"):
                letterforms.load(path)
        np.savez(path, **{name: mask for name, mask in members.items() if name != "count"})  # As it was before.
        assert letterforms.load(path).keys() == LETTERS.keys()

    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_archives_of_other_programs_are_sound(self, tmp_path, compressed, streamed):
        """A program that writes to a pipe gives the size of each file once more after it."""

        class Pipe(io.BytesIO):
            def seekable(self):
                return False

            def tell(self):
                raise io.UnsupportedOperation

        path, written = tmp_path / "sound.npz", Pipe() if streamed else io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
            for name in ("a", "b/c", "é"):
                archive.writestr(name, name * 99)
        path.write_bytes(written.getvalue())
        refuse_unsound(path)

    def test_letters_that_would_fill_the_memory_are_refused(self, tmp_path):
        path = tmp_path / "letters.npz"
        letterforms.save(LETTERS, path)
        assert letterforms.load(path)[""]["A"][1].shape == (72, 90)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("42.npy", bytes(1 << 25))
        with pytest.raises(UserError, match="letters.npz: damaged .*unpack to"):
            letterforms.load(path)

    @pytest.mark.parametrize(
        ("whole", "damaged"),
        [
            (b"a.jpg,0,12,0", b"a.jpg,0,12,8"),
            (b"a.jpg,0,12,0", b"a.jpg,-1,12,0"),
            (b"0.2000", b"nan"),
            (b"0.7000", b"0.1000"),
            (b"0.7000", b"inf"),
            (b"3 0.6000", b"-3 0.6000"),
        ],
    )
    def test_own_labels_that_no_run_has_written_are_refused(self, tmp_path, whole, damaged):
        path, (written,) = tmp_path / "own_labels.csv", own_labels_bytes()
        path.write_bytes(written)
        assert PseudoLabels.load(path).readings["photograph", "a.jpg", 0] == ("12", 0)
        path.write_bytes(written.replace(whole, damaged))
        with pytest.raises(UserError, match="own_labels.csv: damaged"):
            PseudoLabels.load(path)

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe\0", b'set,side\n"', b"set,side\na,b,c\n"])
    def test_a_damaged_split_is_refused(self, tmp_path, data):
        run = RunFolder(tmp_path)
        (tmp_path / "split.csv").write_bytes(split_bytes()[0])
        run.check_split(small_dataset())
        (tmp_path / "split.csv").write_bytes(data)
        with pytest.raises(RunError, match="split.csv"):
            run.check_split(small_dataset())

    @pytest.mark.parametrize(
        "name", ["a\rb.png", "\r\n.png", "\u2028.png", "a\x85\x0b.png", "=1.png", '",".png', "'-1.png"]
    )
    def test_any_name_comes_back_of_the_tables_of_a_run(self, tmp_path, name):
        plate = ("photograph", name, 0)
        PseudoLabels(readings={plate: ("=12", 1)}, tilts={("photograph", name, 1): -0.25}).save(tmp_path / "own.csv")
        own = PseudoLabels.load(tmp_path / "own.csv")
        assert own.readings == {plate: ("=12", 1)} and own.tilts == {("photograph", name, 1): -0.25}
        dataset = Dataset([], [Crop(name, Path(name), "-12", None)], [], [Crop("plain.png", Path("a"), "NA", None)])
        write_split(tmp_path / "split.csv", dataset)
        RunFolder(tmp_path).check_split(dataset)
        assert {row[2:4] for row in RunFolder(tmp_path).held_out()} == {("plain.png", "NA")}
        for table in ("own.csv", "split.csv"):
            cells = [cell for row in csv.reader((tmp_path / table).open(newline="", encoding="utf-8")) for cell in row]
            assert not any(cell.startswith(("=", "-", "\r")) for cell in cells)
        with pytest.raises(RunError, match="the data changed"):
            RunFolder(tmp_path).check_split(small_dataset())

    def test_a_split_that_is_cut_off_within_a_row_is_refused(self, tmp_path):
        whole = split_bytes()[0]
        (tmp_path / "split.csv").write_bytes(whole[: whole.rindex(b",NA")])
        with pytest.raises(RunError, match="the data changed"):
            RunFolder(tmp_path).check_split(small_dataset())

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe\0", b"step,loss\n1,2\n"])
    def test_a_damaged_history_is_refused_and_stays(self, tmp_path, data):
        run, row = RunFolder(tmp_path), {"stage": "joint", "epoch": 3, "loss": 0.1}
        (tmp_path / "history.csv").write_bytes(HISTORY)
        run.add_history(row)
        assert len(list(csv.reader((tmp_path / "history.csv").open()))) == 4
        (tmp_path / "history.csv").write_bytes(data)
        with pytest.raises(RunError, match="history.csv: damaged"):
            run.add_history(row)
        assert (tmp_path / "history.csv").read_bytes() == data

    def test_a_description_that_was_changed_is_refused(self, tmp_path):
        path, written = tmp_path / "model.json", description_file()[0][1:]
        path.write_bytes(written)
        characters = Description.load(tmp_path).characters
        other = "".join(sorted(characters, reverse=True))
        path.write_bytes(written.replace(json.dumps(characters).encode(), json.dumps(other).encode()))
        with pytest.raises(UserError, match="model.json: damaged, or changed after it was exported"):
            Description.load(tmp_path)
        values = json.loads(path.read_bytes())
        del values["checksum"]  # As it was exported before there were any.
        path.write_text(json.dumps(values))
        assert Description.load(tmp_path).characters == other

    @pytest.mark.parametrize("name", ["checksum", "procedure", "promise", "forms", "files", "model"])
    @pytest.mark.parametrize("keeps", [True, False])
    def test_a_description_with_a_name_that_nobody_knows_is_refused(self, tmp_path, name, keeps):
        """It would be read with what earlier models had in place of it."""
        values = json.loads(description_file()[0][1:])
        if not keeps:
            del values["checksum"]
        values = {f"{one[:1]}A{one[1:]}" if one == name else one: value for one, value in values.items()}
        (tmp_path / "model.json").write_text(json.dumps(values))
        if name == "checksum" and not keeps:
            assert Description.load(tmp_path)  # As it was exported before there were any.
        else:
            with pytest.raises(UserError, match=r"model.json: (unknown|damaged)"):
                Description.load(tmp_path)

    def test_json_within_json_without_end_is_refused(self, tmp_path):
        for name in ("config.json", "model.json", "passes.jsonl"):
            (tmp_path / name).write_bytes(DEEP + b"\n")
        with pytest.raises(RunError, match="config.json"):
            RunFolder(tmp_path).config()
        with pytest.raises(UserError, match="model.json"):
            Description.load(tmp_path)
        with pytest.raises(UserError, match="passes.jsonl"):
            list(read_passes(tmp_path / "passes.jsonl"))
        (tmp_path / "config.json").write_bytes(config_bytes()[0])
        assert RunFolder(tmp_path).config()["slots"] == 3

    @pytest.mark.parametrize(
        "change",
        [
            {"text": 5},
            {"confidence": "0.9"},
            {"certainties": [None]},
            {"text": "\ud800"},
            {"plate": "pictures/../../secret"},
            {"frame": "/etc/passwd"},
            {"plate": "pictures/a\0"},
        ],
    )
    def test_a_pass_that_is_none_is_refused(self, tmp_path, change):
        path = tmp_path / "passes.jsonl"
        path.write_bytes(PASSES)
        (whole,) = read_passes(path)
        path.write_text(json.dumps({**whole.__dict__, **change}) + "\n")
        with pytest.raises(UserError, match="passes.jsonl, line 1: no pass"):
            list(read_passes(path))

    def test_passes_that_are_no_text_are_refused(self, tmp_path):
        path = tmp_path / "passes.jsonl"
        path.write_bytes(PASSES + b"\xff\n")
        with pytest.raises(UserError, match="passes.jsonl, line 2: no pass"):
            list(read_passes(path))
