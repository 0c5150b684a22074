"""Labelling on a page: every answer is on disk when it is given, loads as it was given, and nobody else is answered."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_dataset import Folder

from lpr_e2e.annotation.answers import COLUMNS, Answers, StaleAnswer, plain_text, revision_of
from lpr_e2e.annotation.beginning import Beginning
from lpr_e2e.annotation.order import ALIKE, APART, NOTHING_FOUND, NOTHING_READ, contradictions, spread, usefulness
from lpr_e2e.cli import main
from lpr_e2e.common.errors import UserError
from lpr_e2e.data.check import check_data
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.importing import import_labels
from lpr_e2e.data.labels import NOTHING_SAID
from lpr_e2e.data.resolving import resolve
from lpr_e2e.data.samples import Plate
from lpr_e2e.prediction.reading import COLUMNS as READING_COLUMNS
from lpr_e2e.prediction.reading import Reading

pytest.importorskip("fastapi", reason="the extra label is not installed")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

from fastapi.testclient import TestClient  # noqa: E402

from lpr_e2e.annotation.desk import Desk  # noqa: E402
from lpr_e2e.annotation.reading_ahead import ReadingAhead, miniature  # noqa: E402
from lpr_e2e.annotation.site import make_site  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
HEIGHT, WIDTH = 90, 120
BOX, OTHER = (20.0, 30.0, 40.0, 90.0), (50.0, 30.0, 70.0, 90.0)
TOKEN = "a-secret"
HOME = "http://127.0.0.1:8000"


def photograph(seed: int) -> np.ndarray:
    """A picture that looks like no other one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), "uint8")
    return np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def write_photographs(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(photograph(number)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_photographs(tmp_path / "photographs", 6)


def reading(text="1T1", confidence=0.99, box=BOX, box_confidence=0.99, status="ok") -> Reading:
    return Reading("", text, confidence, box, box_confidence, status)


def beginning_of(folder, predictions=None, problems=None) -> Beginning:
    return Beginning.of(folder, NOTHING_SAID, predictions, problems)


@pytest.fixture
def desk(folder):
    with Answers(folder / "labels.csv") as answers:
        yield Desk(beginning_of(folder), answers)


@pytest.fixture
def page(desk):
    """What asks as the page does."""
    with TestClient(make_site(desk, TOKEN, set()), base_url=HOME) as client:
        client.get(f"/?token={TOKEN}")
        yield client


def give(page, number: int, plates, revision: str | None = None):
    """Answer as the page does; `plates` are pairs of box and text."""
    revision = revision or page.get(f"/photographs/{number}").json()["revision"]
    said = None if plates is None else [{"box": box, "text": text} for box, text in plates]
    return page.put(f"/photographs/{number}", json={"revision": revision, "plates": said})


def plates_by_name(folder: Path) -> dict[str, list[tuple]]:
    """The plates that the data loader finds, boxes rounded."""
    found = resolve(read_labels(folder))
    assert [one for one in found.problems if not one.harmless] == []
    return {
        one.img_id: [(tuple(round(value) for value in row.box_px), row.text) for row in one.plates]
        for one in found.photographs
    }


class TestTable:
    def test_what_is_answered_is_what_the_loader_finds(self, folder):
        texts = ["AB12CD", "سطن712", "京A12345", "กข1234"]
        with Answers(folder / "labels.csv") as answers:
            answers.give("00.png", tuple(Plate(box, text) for box, text in ((BOX, texts[0]), (OTHER, texts[1]))), NEW)
            answers.give("01.png", (Plate(BOX, texts[2]), Plate(OTHER)), NEW)
            answers.give("02.png", (), NEW)
            answers.give("03.png", (Plate(BOX, texts[3]),), NEW)
        found = plates_by_name(folder)
        box, other = (tuple(map(round, one)) for one in (BOX, OTHER))
        assert found == {
            "00.png": [(box, texts[0]), (other, texts[1])],
            "01.png": [(box, texts[2]), (other, None)],
            "02.png": [],
            "03.png": [(box, texts[3])],
        }

    def test_a_photograph_without_an_answer_is_not_without_a_plate(self, folder):
        with Answers(folder / "labels.csv") as answers:
            for number in range(4):
                answers.give(f"{number:02}.png", (Plate(BOX, f"{number}T123"),) if number else (), NEW)
        dataset = load_dataset(folder, validation_share=0)
        assert {one.img_id: len(one.plates) for one in dataset.photographs} == {
            "00.png": 0, "01.png": 1, "02.png": 1, "03.png": 1,
        }  # fmt: skip

    def test_it_is_whole_after_every_answer_and_read_again(self, folder):
        path = folder / "labels.csv"
        with Answers(path) as answers:
            answers.give("00.png", (Plate(BOX, "A1"),), NEW)
            written = path.read_text(encoding="utf-8")
            answers.give("00.png", (), answers_revision(answers, "00.png"))
            answers.give("=1.png", (Plate(BOX, "-12"), Plate(OTHER, "B2")), NEW)
        assert written.startswith(",".join(COLUMNS) + "\n00.png,20,30,40,90,A1,20")
        with Answers(path) as answers:
            assert answers.get("00.png") == () and answers.get("=1.png") == (Plate(BOX, "-12"), Plate(OTHER, "B2"))
            assert answers.get("02.png") is None and answers.last(1) == ["=1.png"]

    def test_an_answer_can_be_taken_back(self, folder):
        with Answers(folder / "labels.csv") as answers:
            answers.give("00.png", (), NEW)
            answers.give("00.png", None, answers_revision(answers, "00.png"))
            assert answers.get("00.png") is None and len(answers) == 0
        assert (folder / "labels.csv").read_text().splitlines() == [",".join(COLUMNS)]

    def test_a_stale_answer_changes_nothing(self, folder):
        with Answers(folder / "labels.csv") as answers:
            answers.give("00.png", (Plate(BOX, "A1"),), NEW)
            with pytest.raises(StaleAnswer, match="00.png: was answered elsewhere"):
                answers.give("00.png", (), NEW)
            assert answers.get("00.png") == (Plate(BOX, "A1"),)

    def test_what_cannot_be_written_is_not_said_to_be(self, folder, monkeypatch):
        with Answers(folder / "labels.csv") as answers:
            answers.give("00.png", (), NEW)
            before = (folder / "labels.csv").read_bytes()
            with monkeypatch.context() as full:
                full.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
                with pytest.raises(OSError, match="No space"):
                    answers.give("01.png", (), NEW)
            assert answers.get("01.png") is None and (folder / "labels.csv").read_bytes() == before
            assert sorted(path.name for path in folder.glob(".part*")) == []

    def test_one_process_alone_writes_it(self, folder):
        with Answers(folder / "labels.csv"):
            with pytest.raises(UserError, match="another `label` writes these answers"):
                Answers(folder / "labels.csv")
        with Answers(folder / "labels.csv"):
            pass

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("img_id,text\n00.png,A1\n", "no table of answers"),
            (",".join(COLUMNS) + "\n00.png,1,2,wide,9,A1,x\n", "row 2: 1,2,wide,9,A1"),
            (",".join(COLUMNS) + "\n00.png,,,,,A1,x\n", "row 2"),
            (",".join(COLUMNS) + "\n00.png,9,2,1,9,A1,x\n", "row 2"),
        ],
    )
    def test_what_is_no_table_of_answers_is_left_alone(self, folder, content, reason):
        (folder / "labels.csv").write_text(content)
        with pytest.raises(UserError, match=re.escape(reason)):
            Answers(folder / "labels.csv")
        assert (folder / "labels.csv").read_text() == content

    @pytest.mark.parametrize(
        ("written", "text"),
        [(" a\u0301b ", "áb"), ("A\u200f1\u202e2\t", "A12"), ("\x00", None), ("   ", None), ("سطن 7", "سطن 7")],
    )
    def test_texts_are_composed_and_in_reading_order(self, written, text):
        assert plain_text(written) == text


NEW = revision_of(None)


def answers_revision(answers: Answers, img_id: str) -> str:
    return revision_of(answers.get(img_id))


class TestOtherLabels:
    """Labels that are there stay as they are; of what is answered, they say nothing any more."""

    def labelled(self, path: Path) -> Folder:
        path.mkdir(exist_ok=True)
        folder = Folder(path, 8)
        folder.validation = [f"6.png,{'20,40,60,130'},6T6"]
        folder.load()
        return folder

    def test_they_are_shown_first_and_stay(self, tmp_path):
        self.labelled(tmp_path)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.csv")}
        beginning = beginning_of(tmp_path)
        names = [img_id for img_id, _ in beginning.photographs]
        assert names and all(name.startswith("cars/") for name in names)
        assert set(beginning.labels) == set(range(len(names)))
        assert "are shown, and stay as they are" in beginning.notes[0]
        with Answers(tmp_path / "labels.csv") as answers:
            desk = Desk(beginning, answers)
            shown = desk.photograph(0)
            assert shown["source"] == "labels" and not shown["plates"][0]["unread"]
            desk.answer(0, [(shown["plates"][0]["box"], "99T99")], shown["revision"])
        assert {path: path.read_bytes() for path in before} == before

    def test_answers_win_and_what_is_held_out_stays_so(self, tmp_path):
        self.labelled(tmp_path)
        labelled = {one.img_id: one for one in resolve(read_labels(tmp_path)).photographs}
        with Answers(tmp_path / "labels.csv") as answers:
            answers.give("cars/1.png", (Plate((5, 5, 25, 60), "11T11"),), NEW)
            answers.give("cars/2.png", (), NEW)
            answers.give("cars/6.png", (Plate((5, 5, 25, 60), "66T66"),), NEW)
        resolved = resolve(read_labels(tmp_path))
        found = {one.img_id: one for one in resolved.photographs}
        assert found.keys() == labelled.keys() and resolved.problems == []
        assert [line[1:3] for line in check_data(tmp_path).counts()[1:3]] == [("8", "8"), ("7", "7")]
        assert [(row.box_px, row.text) for row in found["1.png"].plates] == [((5, 5, 25, 60), "11T11")]
        assert found["2.png"].plates == () and found["3.png"] == labelled["3.png"]
        assert {name for name, one in found.items() if one.held} == {"6.png"}
        assert [row.text for row in found["6.png"].plates] == ["66T66"]

    def test_a_fault_that_is_answered_is_none_any_more(self, tmp_path):
        folder = self.labelled(tmp_path)
        folder.cars.append("7.png,1,2,wide,9")
        folder.load()
        kinds = [one.kind for one in resolve(read_labels(tmp_path)).problems if not one.harmless]
        assert kinds == ["non-numeric box"]
        with Answers(tmp_path / "labels.csv") as answers:
            answers.give("cars/7.png", (Plate((5, 5, 25, 60), "7T7"),), NEW)
        found = resolve(read_labels(tmp_path))
        assert [one for one in found.problems if not one.harmless] == []
        assert [one.complete for one in found.photographs if one.img_id == "7.png"] == [True]

    def test_coco_goes_out_as_coco_with_the_answers(self, tmp_path):
        self.labelled(tmp_path / "ours")
        assert main(["export-labels", str(tmp_path / "ours"), str(tmp_path / "ours/cars/labels.json")]) == 0
        coco = tmp_path / "coco"
        shutil.copytree(tmp_path / "ours/cars", coco)
        for path in coco.glob("*.csv"):
            path.unlink()
        before = {path.name: path.read_bytes() for path in coco.glob("*.json")}
        assert before
        with Answers(coco / "labels.csv") as answers:
            answers.give("1.png", (Plate((5, 5, 25, 60), "11T11"),), NEW)
        assert main(["export-labels", str(coco), str(tmp_path / "again.json")]) == 0
        again = {one.img_id: one for one in resolve(read_labels(tmp_path / "again.json", pictures(coco))).photographs}
        assert [(row.box_px, row.text) for row in again["1.png"].plates] == [((5, 5, 25, 60), "11T11")]
        assert len(again) == 7 and {path.name: path.read_bytes() for path in coco.glob("*.json")} == before
        assert import_labels(tmp_path / "imported", resolve(read_labels(coco)), coco).counts.plates == 8


def pictures(folder: Path):
    from lpr_e2e.data.labels import LabelOptions

    return LabelOptions(pictures=(folder,))


class TestOrder:
    def test_the_least_certain_comes_first(self):
        sure, unsure, unread = (
            reading(),
            reading(confidence=0.3, status="uncertain"),
            reading("", 0.0, status="illegible"),
        )
        nothing = Reading("", box_confidence=0.1)
        contradicted = [Plate(BOX, "2T2")]
        assert usefulness([sure]) < usefulness([nothing]) == NOTHING_FOUND < usefulness([unread]) == NOTHING_READ
        assert usefulness([sure, unsure]) == usefulness([unsure]) > NOTHING_READ
        assert usefulness([sure], contradicted) > 1 > usefulness([unsure], contradicted)
        assert usefulness([sure], [Plate(BOX, "1T1")]) == usefulness([sure], [Plate(BOX)]) == usefulness([sure])

    def test_only_a_certain_reading_contradicts_a_label(self):
        assert contradictions([reading()], [Plate(BOX, "1T1")]) == []
        assert contradictions([reading(status="uncertain")], [Plate(BOX, "2T2")]) == []
        (missed,) = contradictions([reading()], [Plate(OTHER, "1T1")])
        assert missed.labelled is None and "no plate there" in str(missed)
        (wrong,) = contradictions([reading()], [Plate(BOX, "2T2")])
        assert str(wrong) == "The model reads 1T1 with 99\u00a0%; the label says 2T2."

    def test_near_twins_do_not_stand_side_by_side(self):
        looks = [miniature(photograph(number // 5)) for number in range(60)]
        taken = list(spread(range(60), looks.__getitem__))
        assert sorted(taken) == list(range(60)) and taken[0] == 0
        kinds = [number // 5 for number in taken]
        assert len(set(kinds[: APART + 1])) == APART + 1
        assert next(spread([0, 5], looks.__getitem__, before=[1])) == 5
        others = range(5, 5 + 5 * APART, 5)
        assert next(spread([0, 5], looks.__getitem__, before=[1, *others])) == 0

    def test_without_looks_the_order_stays(self):
        assert list(spread([3, 1, 2], lambda number: None)) == [3, 1, 2]
        assert 0 < ALIKE < 1


class TestDesk:
    def test_what_the_model_reads_is_filled_in_and_ordered(self, desk):
        said = {0: 0.9, 1: 0.2, 2: 0.6, 3: 0.99, 4: 0.95, 5: 0.4}

        def read(photographs):
            for name, path in photographs:
                yield name, photograph(int(path.stem)), [reading(confidence=said[int(path.stem)])]

        desk.read_with(lambda *more: ReadingAhead(read, *more))
        wait_until(lambda: not desk.is_reading)
        assert desk.next(3) == [1, 5, 2] and desk.next(3, without=[1, 5]) == [2, 0, 4]
        desk.put_off(1)
        assert desk.next(6) == [5, 2, 0, 4, 3, 1]
        shown = desk.photograph(1)
        assert shown["source"] == "model" and shown["plates"][0]["text"] == "1T1"
        assert shown["plates"][0]["certainty"] == 0.2

    def test_people_at_several_pages_get_different_photographs(self, desk):
        assert desk.next(2, page="a") == [0, 1] and desk.next(2, page="b") == [2, 3]
        assert desk.next(1, without=[0, 1], page="a") == [4]
        # A page that asks again gets what it had.
        assert desk.next(2, page="b") == [2, 3]
        # When nothing else is left: what the others come to last.
        desk.answer(5, [], NEW)
        assert desk.next(4, without=[2, 3], page="b") == [4, 1, 0]

    def test_what_a_page_was_given_is_free_when_it_is_closed_or_silent(self, desk, monkeypatch):
        assert desk.next(2, page="a") == [0, 1] and desk.next(1, page="b") == [2]
        desk.leave("a")
        desk.leave("never there")
        assert desk.next(2, page="c") == [0, 1]
        monkeypatch.setattr("lpr_e2e.annotation.desk.KEPT_SECONDS", -1)
        assert desk.next(6, page="d") == [0, 1, 2, 3, 4, 5]

    def test_an_answer_that_is_taken_back_is_anybodys(self, desk):
        assert desk.next(1, page="a") == [0]
        desk.answer(0, [], NEW)
        desk.answer(0, None, desk.photograph(0)["revision"])
        assert desk.next(1, page="b") == [0]

    def test_a_label_that_is_contradicted_is_marked_and_not_changed(self, desk):
        desk.beginning.labels[3] = (Plate(BOX, "2T2"), Plate(OTHER))
        desk.receive(3, [reading(), reading("3T3", box=OTHER)], None)
        shown = desk.photograph(3)
        assert desk.next(1) == [3] and shown["source"] == "labels"
        # Of the second one the labels had no text: what is read there fills the gap.
        assert [plate["text"] for plate in shown["plates"]] == ["2T2", "3T3"]
        assert shown["remarks"] == ["The model reads 1T1 with 99\u00a0%; the label says 2T2."]
        assert [plate["text"] for plate in shown["suggestion"]] == ["1T1", "3T3"]

    def test_what_cannot_be_read_is_counted_and_left_aside(self, folder):
        (folder / "02.png").write_bytes(b"no picture")
        with Answers(folder / "labels.csv") as answers:
            desk = Desk(beginning_of(folder), answers)
            assert desk.photograph(2)["error"] == "not a picture"
            assert 2 not in desk.next(9)
            progress = desk.progress()
            assert (progress["answered"], progress["total"], progress["unreadable"]) == (0, 5, 1)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_model_that_fails_stops_nobody(self, desk, capsys):
        def read(photographs):
            raise RuntimeError("no memory")
            yield

        desk.read_with(lambda *more: ReadingAhead(read, *more))
        wait_until(lambda: not desk.is_reading)
        assert desk.next(2) == [0, 1] and "no memory" in desk.progress()["failure"]

    def test_twenty_thousand_photographs_are_no_matter(self, folder):
        beginning = beginning_of(folder)
        beginning.photographs = [(f"{number}.png", folder / "00.png") for number in range(20_000)]
        with Answers(folder / "labels.csv") as answers:
            desk = Desk(beginning, answers)
            for number in range(20_000):
                desk.receive(number, [reading(confidence=number / 20_000)], None)
            assert desk.next(3) == [0, 1, 2]
            assert len(str(desk.photograph(0))) + len(str(desk.progress())) < 2000


class TestBeginning:
    def test_predictions_are_shown_and_matched_by_name(self, folder, tmp_path):
        rows = [Reading("photographs/01.png", "1T1", 0.4, BOX, 0.9, "uncertain").row(), Reading("gone.png").row()]
        path = write_table(tmp_path / "predictions.csv", READING_COLUMNS, rows)
        beginning = beginning_of(folder, predictions=path)
        assert {number: one[0].text for number, one in beginning.readings.items()} == {1: "1T1"}
        assert "1 photograph not in" in beginning.notes[-1]
        with Answers(folder / "labels.csv") as answers:
            desk = Desk(beginning, answers)
            assert desk.next(1) == [1] and desk.photograph(1)["source"] == "model"

    def test_only_photographs_with_a_problem_and_what_it_is(self, tmp_path, capsys):
        (tmp_path / "data").mkdir()
        folder = Folder(tmp_path / "data", 8)
        folder.cars += ["3.png,1,2,wide,9", "gone.png,1,2,30,40"]
        folder.load()
        problems = tmp_path / "problems.csv"
        page = tmp_path / "check.html"
        assert main(["check", str(tmp_path / "data"), "--problems", str(problems), "--output", str(page)]) == 1
        beginning = beginning_of(tmp_path / "data", problems=problems)
        assert [img_id for img_id, _ in beginning.photographs] == ["cars/3.png"]
        assert beginning.problems[0][0].startswith("non-numeric box: 1,2,wide,9: expected four numbers")
        assert beginning.labels[0][0].box_px and "1 row of no photograph" in beginning.notes[-1]

    def test_neither_crops_nor_a_test_set_are_shown(self, tmp_path):
        folder = Folder(tmp_path, 8)
        folder.save("test/1.png", photograph(1))
        folder.load()
        assert {img_id.partition("/")[0] for img_id, _ in beginning_of(tmp_path).photographs} == {"cars"}

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["nowhere"], "nowhere: no such folder"),
            (["empty"], "no pictures in empty"),
            (["photographs", "--from", "nowhere.csv"], "nowhere.csv: cannot be read"),
            (["photographs", "--from", "table.csv"], "expected a predictions.csv"),
            (["photographs", "--problems", "table.csv"], "expected a problems.csv"),
            (["photographs", "--output", "table.csv"], "table.csv: is there already, and no table of answers"),
            (["photographs", "--output", "nowhere/labels.csv"], "there is no folder nowhere"),
            (["photographs", "--from", "table.csv", "--output", "table.csv"], "this would overwrite"),
            (["photographs", "--from", "table.csv", "--model", "tunisia"], "expected one of them"),
            (["photographs", "--model", "nothing"], "nothing"),
        ],
    )
    def test_what_cannot_be_done_is_said_in_one_line(self, tmp_path, capsys, monkeypatch, arguments, reason):
        monkeypatch.chdir(tmp_path)
        write_photographs(tmp_path / "photographs", 1)
        (tmp_path / "empty").mkdir()
        (tmp_path / "table.csv").write_text("a,b\n1,2\n")
        more = [] if "--model" in arguments or "--from" in arguments else ["--model", "none"]
        assert main(["label", *arguments, "--no-browser", *more]) == 2
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1


class TestSite:
    def test_only_who_has_the_token_is_answered(self, desk):
        with TestClient(make_site(desk, TOKEN, set()), base_url=HOME) as stranger:
            for address in (
                "/",
                "/?token=guess",
                "/begin",
                "/photographs/0",
                "/photographs/0/picture",
                "/files/page.js",
            ):
                assert stranger.get(address).status_code == 403
            assert stranger.put("/photographs/0", json={"revision": NEW, "plates": []}).status_code == 403
            opened = stranger.get(f"/?token={TOKEN}")
            assert opened.status_code == 200 and TOKEN not in str(opened.url)
            cookie = opened.history[0].headers["set-cookie"].lower()
            assert "httponly" in cookie and "samesite=lax" in cookie
            assert stranger.get("/begin").status_code == 200

    def test_an_address_of_a_command_line_opens_once(self, desk):
        tickets = {"once"}
        site = make_site(desk, TOKEN, tickets)
        with TestClient(site, base_url=HOME) as first, TestClient(site, base_url=HOME) as second:
            assert first.get("/?token=once").status_code == 200
            assert second.get("/?token=once").status_code == 403

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "", ":localhost"])
    def test_another_name_for_this_machine_is_refused(self, page, host):
        assert page.get("/begin", headers={"Host": host}).status_code == 403

    @pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.0.0.1:9", "[::1]:8000", "[::1]"])
    def test_its_own_names_are_not(self, page, host):
        assert page.get("/begin", headers={"Host": host, "Cookie": cookie_of(page)}).status_code == 200

    def test_nothing_is_allowed_from_elsewhere(self, page):
        for address in ("/", "/begin", "/files/page.js", "/photographs/0/picture", "/nowhere"):
            headers = page.get(address, headers={"Origin": "https://evil.example"}).headers
            assert "access-control-allow-origin" not in headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
        html = page.get("/").text
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", html)
        assert page.get("/files/../site.py").status_code == page.get("/files/site.py").status_code == 404

    def test_a_form_of_another_site_changes_nothing(self, page):
        form = json.dumps({"revision": NEW, "plates": []})
        done = page.put("/photographs/0", content=form, headers={"Content-Type": "text/plain"})
        assert done.status_code == 422
        foreign = {"Content-Type": "application/json", "Origin": "https://evil.example"}
        assert page.put("/photographs/0", content=form, headers=foreign).status_code == 403
        assert page.get("/photographs/0").json()["source"] == "nothing"
        assert page.put("/photographs/0", content=form, headers={**foreign, "Origin": HOME}).status_code == 200

    def test_a_body_longer_than_any_answer_is_not_read(self, page):
        form = json.dumps({"revision": NEW, "plates": []}).encode()
        as_json = {"Content-Type": "application/json"}
        for body in (b" " * 1_000_000 + form, iter([form]), iter([b" "] * 2_000_000)):  # An iterator says no length.
            assert page.put("/photographs/0", content=body, headers=as_json).status_code == 413
        said = {**as_json, "Content-Length": "many"}
        assert page.put("/photographs/0", content=form, headers=said).status_code == 413
        assert page.get("/photographs/0").json()["source"] == "nothing"
        longest = [((4 * row, 0, 4 * row + 3, 12.123456789012345), "\u20ac" * 200) for row in range(HEIGHT // 4)]
        assert give(page, 0, longest).status_code == 200

    @pytest.mark.parametrize("number", ["6", "-1", "x", "../labels.csv"])
    def test_photographs_have_numbers_alone(self, page, number):
        for what in ("", "/picture", "/plate?box=1&box=2&box=3&box=4"):
            assert page.get(f"/photographs/{number}{what}").status_code in (404, 422)

    def test_pictures_are_upright_small_and_cut(self, page, folder):
        image = Image.new("RGB", (4000, 2000), "red")
        exif = image.getexif()
        exif[274] = 6
        image.save(folder / "00.jpg", exif=exif)
        with Answers(folder / "others.csv") as answers:
            site = make_site(Desk(beginning_of(folder), answers), TOKEN, set())
            with TestClient(site, base_url=HOME) as page:
                page.get(f"/?token={TOKEN}")
                shown = page.get("/photographs/0").json()
                assert (shown["name"], shown["height"], shown["width"]) == ("00.jpg", 4000, 2000)
                assert size_of(page.get("/photographs/0/picture")) == (800, 1600)
                assert size_of(page.get("/photographs/0/picture?near=true")) == (2000, 4000)
                assert size_of(page.get("/photographs/0/plate?box=100&box=100&box=200&box=400")) == (370, 170)
                assert size_of(page.get("/photographs/0/plate?box=-9e9&box=-5&box=1&box=9e9")) == (320, 640)
                assert page.get("/photographs/0/plate?box=nan&box=1&box=2&box=3").status_code == 422

    def test_an_answer_is_on_disk_and_counted(self, page, folder):
        said = give(page, 0, [(BOX, " <b>a\u0301</b> "), ((50, 30, 70, 150), "")]).json()
        assert said["progress"]["answered"] == 1 and said["photograph"]["source"] == "answer"
        rows = list(csv.DictReader(io.StringIO((folder / "labels.csv").read_text(encoding="utf-8"))))
        assert [(row["text"], row["xmax"]) for row in rows] == [("<b>á</b>", "90"), ("", str(WIDTH))]
        assert said["photograph"]["plates"][1]["unread"] and page.get("/begin").json()["recent"] == [0]
        again = give(page, 0, None).json()
        assert again["progress"]["answered"] == 0 and again["photograph"]["source"] == "nothing"

    @pytest.mark.parametrize(
        ("plates", "reason"),
        [
            ([(BOX, "A"), ((21, 31, 41, 91), "B")], "boxes 1 and 2 are around one plate"),
            ([((20, 30, 21, 90), "A")], "thinner than 2 pixels"),
            ([((500, 500, 600, 600), "A")], "outside of the photograph"),
            ([((40, 30, 20, 90), "A")], "thinner"),
            ([(BOX, "A" * 300)], ""),
        ],
    )
    def test_what_the_loader_would_not_take_is_refused(self, page, folder, plates, reason):
        done = give(page, 0, plates)
        assert done.status_code == 422 and reason in done.json().get("message", "")
        assert not (folder / "labels.csv").exists()

    @pytest.mark.parametrize(
        "sent",
        [
            '{"revision": "NEW", "plates": [{"box": [NaN, 30, 40, 90], "text": "A"}]}',
            '{"revision": "NEW", "plates": [{"box": [20, 30, 40, 1e999], "text": "A"}]}',
            '{"revision": "NEW", "plates": [{"box": [20, 30, 40, 90], "text": "\\ud800"}]}',
            '{"revision": "NEW", "plates": [], "\\ud800": 1}',
            '{"revision": "NEW", "plates": [',
            "NaN",
        ],
        ids=["not a number", "endless", "half a character", "half a character as a name", "cut off", "no answer"],
    )
    def test_what_cannot_be_understood_is_refused_with_the_reason(self, page, folder, sent):
        done = page.put(
            "/photographs/0", content=sent.replace("NEW", NEW), headers={"Content-Type": "application/json"}
        )
        assert done.status_code == 422 and done.json()["message"].startswith("not understood: ")
        assert not (folder / "labels.csv").exists()
        assert give(page, 0, [(BOX, "A")]).status_code == 200

    def test_of_two_pages_the_second_one_is_shown_the_first_ones_answer(self, page):
        revision = page.get("/photographs/0").json()["revision"]
        assert give(page, 0, [(BOX, "A1")], revision).status_code == 200
        late = give(page, 0, [], revision)
        assert late.status_code == 409 and "answered elsewhere" in late.json()["message"]
        assert late.json()["photograph"]["plates"][0]["text"] == "A1"
        assert give(page, 0, [], late.json()["photograph"]["revision"]).status_code == 200


def size_of(response) -> tuple[int, int]:
    return Image.open(io.BytesIO(response.content)).size


def cookie_of(page) -> str:
    return "; ".join(f"{name}={value}" for name, value in page.cookies.items())


def wait_until(true, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def write_table(path: Path, columns, rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


class Program:
    """The command itself, as people start it."""

    def __init__(self, folder: Path, *more: str):
        command = [sys.executable, "-m", "lpr_e2e", "label", str(folder), "--no-browser", *more]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search(r"http://\S+", line):
                self.address = found[0]
                break
        else:
            pytest.fail("".join(self.said))

    def end(self, number: int = signal.SIGINT) -> str:
        self.process.send_signal(number)
        return self.process.communicate(timeout=20)[0]


def test_killed_at_any_moment_nothing_that_was_given_is_lost(tmp_path):
    import httpx2

    folder = write_photographs(tmp_path / "photographs", 12)
    given: dict[int, str] = {}
    for _ in range(2):
        program = Program(folder, "--model", "none")
        with httpx2.Client(base_url=program.address.partition("?")[0], follow_redirects=True) as page:
            page.get(program.address)
            numbers = page.post("/next", json={"page": "a", "count": 20, "without": []}).json()["numbers"]
            assert sorted([*numbers, *given]) == list(range(12))
            for number in numbers[:5]:
                assert give(page, number, [(BOX, f"{number}T{number}"), (OTHER, "")]).status_code == 200
                given[number] = f"{number}T{number}"
            program.process.kill()
            program.process.communicate()
    found = plates_by_name(folder)
    assert {name: plates[0][1] for name, plates in found.items()} == {
        f"{number:02}.png": text for number, text in given.items()
    }
    program = Program(folder, "--model", "none")
    assert "10 of 12 photographs are answered" in "".join(program.said)
    farewell = program.end()
    assert program.process.returncode == 0 and f"train --data {folder}" in farewell
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".png") == ["labels.csv"]


def none(page):
    page.keyboard.press("0")


def plate(text: str, *moves: str):
    """Draw a box, move it, go to its text and type it; without one, it cannot be read."""

    def act(page):
        page.keyboard.press("n")
        for move in moves:
            page.keyboard.press(move)
        page.keyboard.press("Enter")
        if text:
            page.keyboard.type(text)
        else:
            page.keyboard.press("Enter")

    return act


def two(page):
    plate("AB12CD", *["Control+ArrowUp"] * 12)(page)
    page.keyboard.press("Escape")
    plate("京A12345", "Control+ArrowDown", *["Control+ArrowDown"] * 8)(page)


def undone(page):
    """What was done wrong is undone, back to a box that was deleted."""
    plate("7T7")(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    page.keyboard.press("0")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")


# What is done on a photograph before the last Enter, and the texts that it has then.
DONE = [
    (none, []), (plate("AB12CD", "ArrowLeft", "Shift+ArrowRight"), ["AB12CD"]), (plate("سطن712"), ["سطن712"]),
    (two, ["AB12CD", "京A12345"]), (plate(""), [None]), (undone, ["7T7"]),
]  # fmt: skip


def opened(browser, address: str, **more):
    """The page, as soon as it shows something; whatever goes wrong in it goes wrong here."""
    page = browser.new_context(**more).new_page()
    page.set_default_timeout(10_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
    page.goto(address)
    wait_for_another(page, "Label licence plates")
    return page


def wait_for_another(page, name: str) -> str:
    """The name of the photograph that is shown after another one."""
    page.wait_for_function("name => document.getElementById('name').textContent !== name", arg=name)
    return page.text_content("#name")


def wait_for_count(page, words: str) -> None:
    page.wait_for_function("words => document.getElementById('counts').textContent.startsWith(words)", arg=words)


def accept(page) -> str:
    """Enter; returns the name of the photograph that is shown then."""
    name = page.text_content("#name")
    page.keyboard.press("Enter")
    return wait_for_another(page, name)


class TestInTheBrowser:
    def test_thirty_photographs_by_keys_alone_and_a_kill_between(self, browser, tmp_path):
        folder, expected = write_photographs(tmp_path / "photographs", 30), {}
        for until in (13, 30):
            program = Program(folder, "--model", "none")
            page = opened(browser, program.address)
            name = page.text_content("#name")
            while len(expected) < until:
                act, texts = DONE[len(expected) % len(DONE)]
                act(page)
                expected[name] = texts
                name = accept(page)
            assert f"{until} of 30" in page.text_content("#counts") and page.faults == []
            program.process.kill()
            program.process.communicate()
            page.context.close()
        assert name == folder.name and len(expected) == 30
        found = plates_by_name(folder)
        assert {name: [text for _, text in plates] for name, plates in found.items()} == expected
        (upper, lower) = (box for box, _ in found["03.png"])
        assert upper[2] <= lower[0]

    def test_undo_goes_back_across_photographs(self, browser, tmp_path):
        folder = write_photographs(tmp_path / "photographs", 4)
        program = Program(folder, "--model", "none")
        page = opened(browser, program.address)
        names = [page.text_content("#name")]
        for act in (plate("A1"), none):
            act(page)
            names.append(accept(page))
        for _ in range(2):  # The answer, and then what was done for it.
            page.keyboard.press("Control+z")
            assert wait_for_another(page, names[2]) == names[1]
        wait_for_count(page, "1 of 4")
        page.keyboard.press("Control+z")
        assert wait_for_another(page, names[1]) == names[0]
        wait_for_count(page, "0 of 4")
        assert page.input_value("#text0") == "A1"
        page.keyboard.press("t")
        page.keyboard.type("B")
        second = accept(page)
        page.keyboard.press("PageUp")
        assert wait_for_another(page, second) == names[0] and page.faults == []
        program.end()
        assert {name: plates[0][1] for name, plates in plates_by_name(folder).items()} == {names[0]: "A1B"}
        page.context.close()

    def test_two_pages_at_once_do_not_overwrite_each_other(self, browser, tmp_path):
        folder = write_photographs(tmp_path / "photographs", 1)
        program = Program(folder, "--model", "none")
        first, second = (opened(browser, program.address) for _ in range(2))
        name = first.text_content("#name")
        assert second.text_content("#name") == name
        plate("A1")(first)
        first.keyboard.press("Enter")
        first.wait_for_selector("#accept:disabled")
        none(second)
        second.keyboard.press("Enter")
        second.wait_for_selector("#text0")
        assert "answered elsewhere" in second.text_content("#trouble") and second.input_value("#text0") == "A1"
        second.keyboard.press("Control+z")
        second.wait_for_selector("#text0", state="detached")
        second.keyboard.press("Enter")
        second.wait_for_selector("#accept:disabled")
        program.end()
        assert plates_by_name(folder) == {name: []}
        for page in (first, second):
            page.context.close()

    def test_two_pages_share_the_work(self, browser, tmp_path):
        program = Program(write_photographs(tmp_path / "photographs", 9), "--model", "none")
        first, second = (opened(browser, program.address) for _ in range(2))
        names = [page.text_content("#name") for page in (first, second)]
        assert names[0] != names[1]
        first.goto("about:blank")  # Closed: what it was given comes next.
        third = opened(browser, program.address)
        assert third.text_content("#name") == names[0]
        program.end()
        for page in (first, second, third):
            page.context.close()

    def test_boxes_are_drawn_moved_and_sized_by_finger_and_mouse(self, browser, tmp_path):
        folder = write_photographs(tmp_path / "photographs", 1)
        program = Program(folder, "--model", "none")
        page = opened(browser, program.address, viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
        left, top, scale = page.evaluate(
            "() => { const at = document.getElementById('sheet').getBoundingClientRect();"
            f" return [at.left, at.top, at.width / {WIDTH}]; }}"
        )

        def drag(*points):
            page.mouse.move(left + scale * points[0][1], top + scale * points[0][0])
            page.mouse.down()
            for y, x in points[1:]:
                page.mouse.move(left + scale * x, top + scale * y)
            page.mouse.up()

        drag((20, 30), (30, 60), (40, 90))  # Draw,
        page.keyboard.type("A1")
        drag((30, 60), (35, 65), (40, 70))  # move by its middle,
        drag((50, 100), (52, 102), (60, 110))  # and take it by its corner.
        page.tap("#accept")
        wait_for_another(page, "00.png")
        program.end()
        ((box, text),) = plates_by_name(folder)["00.png"]
        assert text == "A1" and np.abs(np.subtract(box, (30, 40, 60, 110))).max() <= 1
        page.context.close()

    def test_texts_and_names_are_no_html(self, browser, tmp_path):
        folder = write_photographs(tmp_path / "photographs", 2)
        (folder / "00.png").rename(folder / "<img src=x onerror=document.title='owned'>.png")
        program = Program(folder, "--model", "none")
        page = opened(browser, program.address)
        for _ in range(2):
            plate("<b>1")(page)
            assert page.text_content(".tag").endswith("<b>1") and page.locator(".tag b").count() == 0
            accept(page)
        assert page.title() != "owned" and page.faults == []
        program.end()
        page.context.close()
