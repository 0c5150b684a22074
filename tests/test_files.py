"""Whole or not at all: files that replace an earlier one, and what one process alone may use."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lpr_e2e.annotation.answers import Answers
from lpr_e2e.common.errors import UserError, in_words
from lpr_e2e.common.files import (
    WholeLines,
    as_cell,
    csv_lines,
    from_cell,
    name_as_cell,
    owned,
    read_file,
    refuse_foreign,
    refuse_inputs,
    require_places,
    whole_file,
    whole_folder,
    write_json,
)
from lpr_e2e.data.tables import DatasetError
from lpr_e2e.evaluation.truth import read_predictions, read_truth


class TestWholeFile:
    def test_it_replaces_the_earlier_one_at_once(self, tmp_path):
        path = tmp_path / "figures.json"
        path.write_text("before")
        with whole_file(path) as part:
            part.write_text("after")
            assert path.read_text() == "before" and part.suffix == ".json" and part.parent == tmp_path
        assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("leads", ["symlink_to", "hardlink_to"])
    def test_what_lies_under_the_hidden_name_is_not_written_through(self, leads, tmp_path):
        """A folder of photographs comes from somebody else: `labels.csv` in it overwrote whatever a link led to."""
        (tmp_path / "mine").write_text("mine")
        getattr(tmp_path / ".part.labels.csv", leads)(tmp_path / "mine")
        with whole_file(tmp_path / "labels.csv") as part:
            part.write_text("labels")
        assert (tmp_path / "mine").read_text() == "mine" and (tmp_path / "labels.csv").read_text() == "labels"
        assert not (tmp_path / "labels.csv").is_symlink() and len(list(tmp_path.iterdir())) == 2

    @pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
    @pytest.mark.parametrize("begun", [True, False])
    def test_an_error_leaves_what_was_there(self, error, begun, tmp_path):
        path = tmp_path / "figures.json"
        path.write_text("before")
        with pytest.raises(error), whole_file(path) as part:
            if begun:
                part.write_text("hal")
            raise error
        assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]

    def test_json_that_cannot_be_written_leaves_what_was_there(self, tmp_path):
        path = tmp_path / "figures.json"
        write_json(path, {"text": "京A12 م"})
        for wrong in ({"a": object()}, {"a": "\udcff"}):
            with pytest.raises((TypeError, UnicodeError)):
                write_json(path, wrong)
        assert json.loads(path.read_text(encoding="utf-8")) == {"text": "京A12 م"}
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["a" * 255, "é" * 127 + "x", "京" * 85, "a" * 250 + ".json", ".hidden", "a.b.c"])
    def test_any_name_that_a_file_may_have(self, name, tmp_path):
        try:
            (tmp_path / name).touch()
        except OSError:
            pytest.skip("this file system takes no such name")
        with whole_file(tmp_path / name) as part:
            part.write_text("x")
        assert (tmp_path / name).read_text() == "x" and len(list(tmp_path.iterdir())) == 1

    def test_a_link_is_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real/file")
        for text in ("one", "two"):
            with whole_file(tmp_path / "link") as part:
                part.write_text(text)
            assert (tmp_path / "link").is_symlink() and (tmp_path / "real/file").read_text() == text

    @pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no such device here")
    def test_a_device_is_written_to_and_stays_one(self):
        with whole_file(Path("/dev/null")) as part:
            part.write_text("x")
        assert not Path("/dev/null").is_file()


def test_what_another_process_owns_is_refused_until_it_ends(tmp_path):
    lock = tmp_path / "lock"
    script = (
        "import sys; from pathlib import Path; from lpr_e2e.common.files import owned\n"
        "with owned(Path(sys.argv[1]), ''):\n"
        "    print('owned', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(lock)]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as other:
        assert other.stdout.readline() == b"owned\n"
        with pytest.raises(UserError, match="taken"), owned(lock, "taken"):
            pass
        other.kill()  # However it ends.
    with owned(lock, "taken"):
        pass


@pytest.mark.parametrize("mine", ["file", "link", "dangling link"])
def test_what_somebody_keeps_under_the_name_of_a_lock_is_not_emptied(mine, tmp_path):
    (tmp_path / "mine").write_text("mine")
    lock = tmp_path / "lock"
    lock.write_text("mine") if mine == "file" else lock.symlink_to("mine" if mine == "link" else "nowhere")
    with contextlib.nullcontext() if mine == "file" else pytest.raises(OSError), owned(lock, "taken"):
        pass
    assert (tmp_path / "mine").read_text() == "mine" and not (tmp_path / "nowhere").exists()
    assert mine != "file" or lock.read_text() == "mine"


class TestInputsAreKept:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "truth.csv").write_text("truth")
        (tmp_path / "below").mkdir()
        (tmp_path / "below/labels.json").write_text("labels")
        (tmp_path / "below/deep").mkdir()
        (tmp_path / "below/deep/car.jpg").write_text("picture")
        (tmp_path / "deep link").symlink_to("below/deep/car.jpg")
        (tmp_path / "link.csv").symlink_to("truth.csv")
        (tmp_path / "hard.csv").hardlink_to(tmp_path / "truth.csv")
        return tmp_path

    @pytest.mark.parametrize(
        ("target", "given"),
        [
            ("truth.csv", "truth.csv"),
            ("below/../truth.csv", "truth.csv"),
            ("link.csv", "truth.csv"),
            ("truth.csv", "link.csv"),
            ("hard.csv", "truth.csv"),
            ("below/labels.json", "below"),
            ("below/deep/car.jpg", "below"),
            ("deep link", "below"),
        ],
    )
    def test_a_target_that_is_read_is_refused_whatever_leads_to_it(self, folder, target, given):
        with pytest.raises(UserError, match="would overwrite .*which is read"):
            refuse_inputs([folder / "new.csv", folder / target], [folder / "nowhere", folder / given])

    def test_other_files_may_be_written(self, folder):
        (folder / "old.csv").write_text("truth")  # The same, but another file.
        refuse_inputs([folder / "new.csv", folder / "old.csv"], [folder / "truth.csv", folder / "below"])
        refuse_inputs([], [folder / "truth.csv"])

    @pytest.mark.parametrize("append", [True, False])
    def test_lines_that_replace_a_file_leave_its_other_name_alone(self, folder, append):
        """`cp -l` makes a copy of earlier results, which were emptied with them."""
        lines = WholeLines(folder / "hard.csv")
        lines.write("new\n")
        lines.close()
        assert (folder / "truth.csv").read_text() == "truth" and (folder / "hard.csv").read_text() == "new\n"
        (folder / "log").hardlink_to(folder / "hard.csv")
        lines = WholeLines(folder / "log", append)
        lines.close()
        assert (folder / "hard.csv").read_text() == "new\n"

    def test_lines_do_not_go_through_a_link(self, folder):
        with pytest.raises(UserError, match="a link to .*truth.csv"):
            WholeLines(folder / "link.csv")
        assert (folder / "truth.csv").read_text() == "truth"
        (folder / "nowhere.csv").symlink_to("not yet there")
        WholeLines(folder / "nowhere.csv").close()  # Nothing is lost.


COMPUTED = ["=1+1", "+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://x")']
HIDDEN = [
    "\uff1d1+1",
    "\uff20SUM(1)",
    "  =1",
    "\u00a0\u3000-1",
    "\n+1",
    "\ufeff=1",
    "\u202e=1",
    "\x0b@a",
    "\u200b\uff0b1",
]


@pytest.mark.parametrize("text", [*COMPUTED, *HIDDEN, "'=1", "''\uff1d1"])
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe(text):
    assert as_cell(text) == f"'{text}"
    assert from_cell(as_cell(text)) == text


@pytest.mark.parametrize("name", [*COMPUTED, *HIDDEN])
def test_a_name_that_a_spreadsheet_would_compute_is_another_name_of_its_file(name):
    assert name_as_cell(name) == f"./{name}"
    assert name_as_cell(f"a{name}") == f"a{name}"


@pytest.mark.parametrize("text", ["", "12-345", "AB 12", "0012345", "'1", "NA", "12E4567", "سطن٧١٢٦", "京A12345"])
def test_other_texts_stay_as_they_are(text):
    assert as_cell(text) == text
    assert from_cell(text) == text


ODD_CELLS = [
    *("a\rb", "a\r", "\r", "\r\n", "a\nb", 'a"b', '"', '","', "a,b", "a\tb", "a\0b", "\u2028", "a\x85b", "a\x0cb"),
    *("\ufeffa", "\u202egpj.a", " a ", "NA", "", "\\", "\x1a", "plain", *HIDDEN),
]


@pytest.mark.parametrize("cell", ODD_CELLS)
def test_no_cell_ends_itself_or_its_row(cell):
    """Whoever reads the table gets the same cells, on every version of Python."""
    rows = [["x", "y", "z"], ["before", cell, "behind"], [cell, "", cell]]
    written = csv_lines(rows)
    assert list(csv.reader(io.StringIO(written, newline=""), strict=True)) == rows
    read = pd.read_csv(io.StringIO(written, newline=""), dtype=str, keep_default_na=False)
    assert [[*read.columns], *read.to_numpy().tolist()] == rows


class TestReadFile:
    """What has no end, or more than the memory, is refused before it is read."""

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="no regular file"):
            read_file(tmp_path / "pipe")

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
    def test_a_device_without_an_end_is_not_read(self, tmp_path):
        (tmp_path / "link").symlink_to("/dev/zero")
        with pytest.raises(OSError, match="no regular file"):
            read_file(tmp_path / "link")

    def test_a_folder_is_none(self, tmp_path):
        with pytest.raises(IsADirectoryError):
            read_file(tmp_path)

    def test_a_file_of_holes_does_not_fill_the_memory(self, tmp_path):
        (tmp_path / "holes").touch()
        os.truncate(tmp_path / "holes", 2**36)
        with pytest.raises(OSError, match="larger than 1,024 MiB"):
            read_file(tmp_path / "holes")

    def test_a_link_to_itself_is_named(self, tmp_path):
        (tmp_path / "self").symlink_to("self")
        with pytest.raises(OSError, match="self"):
            read_file(tmp_path / "self")

    def test_others_are_read_to_the_last_byte(self, tmp_path):
        (tmp_path / "a").write_bytes(bytes(range(256)))
        assert read_file(tmp_path / "a", most=256) == bytes(range(256))
        assert read_file(tmp_path / "a") == bytes(range(256))


@pytest.mark.parametrize("value", ["a\nb", "x" * 1_000_000, "\n" * 50_000])
def test_an_error_is_a_line_that_begins_with_the_place_and_ends_with_the_remedy(value):
    said = in_words(UserError(f"a.csv, row 7: {value}: expected less; leave it out"))
    assert len(said) < 2100 and "\n" not in said
    assert said.startswith("a.csv, row 7: ") and said.endswith("expected less; leave it out")
    assert in_words(UserError("a.csv: short")) == "a.csv: short"


class TestWhatErrorsQuote:
    """Pages and tables show an error as it is: it is one line, whatever a cell holds."""

    @pytest.mark.parametrize(
        ("read", "table"),
        [
            (Answers, 'img_id,ymin,xmin,ymax,xmax,text,answered\na.png,"1\n2",3,4,5,A1,\n'),
            (Answers, 'img_id,"ymin\nxmin"\na.png,1\n'),
            (read_truth, 'img_id,"text\nof plates"\na.png,A1\n'),
            (read_predictions, 'img_id,text,"stat\nus"\na.png,A1,ok\n'),
        ],
    )
    def test_a_refused_cell_of_two_lines(self, tmp_path, read, table):
        (tmp_path / "a.csv").write_text(table)
        with pytest.raises(UserError, match="a.csv") as error:
            read(tmp_path / "a.csv")
        assert "\n" not in str(error.value)

    def test_a_kind_of_them_and_what_was_given_stays(self):
        assert str(DatasetError("a.csv: b\nc: expected d")) == "a.csv: b\\nc: expected d"
        assert DatasetError("a\nb").args == ("a\nb",)


class TestWhatIsNotOurs:
    """A folder in which no command has written yet is somebody else's."""

    @pytest.mark.parametrize("found", ["report.html", "pictures/mine.jpg", "link.html"])
    def test_it_is_not_replaced(self, found, tmp_path):
        (tmp_path / "pictures").mkdir()
        (tmp_path / "elsewhere").write_text("mine")
        path = tmp_path / found
        path.symlink_to("elsewhere") if found.startswith("link") else path.write_text("mine")
        with pytest.raises(UserError, match="is there already, and was not written by this command.*--output"):
            refuse_foreign(tmp_path, ["predictions.csv"], ["report.html", "pictures", "link.html"])
        (tmp_path / "predictions.csv").touch()
        refuse_foreign(tmp_path, ["predictions.csv"], ["report.html", "pictures", "link.html"])

    def test_an_empty_folder_and_other_names_may_be_there(self, tmp_path):
        (tmp_path / "pictures").mkdir()
        (tmp_path / "notes.txt").write_text("mine")
        refuse_foreign(tmp_path, ["predictions.csv"], ["report.html", "pictures"])
        refuse_foreign(tmp_path / "new", ["predictions.csv"], ["report.html"])


@pytest.mark.parametrize("before", ["", "a", "a/b", "a/b/c"])
def test_of_a_folder_that_fails_none_is_left_on_the_way(before, tmp_path):
    (tmp_path / before).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ValueError), whole_folder(tmp_path / "a/b/c") as part:
        (part / "half.csv").write_text("half")
        raise ValueError
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        name for name in ("a", "a/b", "a/b/c") if before.startswith(name)
    }


class TestPlaces:
    """What cannot be written is said before anything is worked for."""

    @pytest.mark.parametrize(
        ("targets", "words"),
        [
            (["nowhere/a.md"], "there is no folder"),
            (["folder"], "is a folder; expected a file"),
            (["a.csv", "folder/../a.csv"], "written twice"),
            (["a.csv", "link.csv"], "written twice"),
            (["made/deeper/a.csv"], "there is no folder"),
        ],
    )
    def test_what_cannot_be_is_refused(self, targets, words, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "link.csv").symlink_to("a.csv")
        with pytest.raises(UserError, match=words):
            require_places([tmp_path / one for one in targets], tmp_path / "made")

    @pytest.mark.parametrize("made", ["file", "file/made", "file/deeper/made"])
    def test_a_file_on_the_way_to_a_new_folder_is_refused(self, made, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(UserError, match="file is a file; expected a folder|there is no folder"):
            require_places([tmp_path / made / "a.csv"], tmp_path / made)

    def test_others_are_not(self, tmp_path):
        require_places([tmp_path / "made/deeper/a.csv"], tmp_path / "made/deeper")
        (tmp_path / "old.csv").write_text("old")
        require_places([tmp_path / "old.csv", tmp_path / "new.csv", tmp_path / "made/a.csv"], tmp_path / "made")
        require_places([])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("again", [False, True])
def test_a_folder_is_whole_or_not_there_whenever_somebody_asks_to_end(number, again, tmp_path, monkeypatch):
    """Also between the moves of what was written."""
    rename, moved = Path.rename, []

    def asked(self, target):
        moved.append(self.name)
        rename(self, target)
        if len(moved) == 1:
            for _ in range(1 + again):
                signal.raise_signal(number)

    def ends(*_):
        raise KeyboardInterrupt

    before = signal.signal(number, ends)
    try:
        monkeypatch.setattr(Path, "rename", asked)
        with pytest.raises(KeyboardInterrupt):
            with whole_folder(tmp_path / "new") as part:
                for name in ("a.csv", "b.csv"):
                    (part / name).write_text("whole")
        assert signal.getsignal(number) is ends
    finally:
        signal.signal(number, before)
    assert sorted(os.listdir(tmp_path / "new")) == ["a.csv", "b.csv"]
