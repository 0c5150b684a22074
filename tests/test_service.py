"""Reading over HTTP: the rows of `predict`, whoever else calls, and nothing that a caller sends costs the others."""

from __future__ import annotations

import csv
import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import stand_in
from PIL import Image

pytest.importorskip("fastapi", reason="needs pip install '.[serve]'")
pytest.importorskip("httpx2", reason="FastAPI's client for tests needs it")

from fastapi.testclient import TestClient  # noqa: E402

from lpr_e2e import PlateReader, __version__, cli  # noqa: E402
from lpr_e2e.common.errors import UserError  # noqa: E402
from lpr_e2e.prediction.reading import COLUMNS, Reading  # noqa: E402
from lpr_e2e.serving.door import find_key  # noqa: E402
from lpr_e2e.serving.limits import MB, Limits  # noqa: E402
from lpr_e2e.serving.queueing import QueueFull, ReadingQueue  # noqa: E402
from lpr_e2e.serving.server import listen  # noqa: E402
from lpr_e2e.serving.service import Service  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
KEY = "a key of no blanks".replace(" ", "-")


def png(photograph: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "PNG")
    return file.getvalue()


CAR, WALL = png(stand_in.car()), png(np.full((60, 80, 3), 120, "uint8"))


class Slow:
    """A reader that reads nothing until it is allowed to; it knows the names that it was given."""

    def __init__(self):
        self.go, self.has_begun = threading.Event(), threading.Event()
        self.calls: list[list[str]] = []

    def read_files(self, photographs):
        self.calls.append([name for name, _ in photographs])
        self.has_begun.set()
        assert self.go.wait(20)
        for name, content in photographs:
            if content == b"poison":
                raise MemoryError(name)
            yield name, None, [Reading(name, text=name.upper(), status="ok")]


def client(reader=None, key=None, log=lambda line: None, together=16, headers=None, **limits) -> TestClient:
    service = Service(reader or stand_in.reader(), "magenta", "0123", Limits(**limits), together, key, log)
    return TestClient(service.door, base_url="http://127.0.0.1:8000", raise_server_exceptions=False, headers=headers)


def send(caller, *contents, names=None, **more):
    named = zip(names or [f"{number}.png" for number in range(len(contents))], contents, strict=True)
    return caller.post("/v1/read", files=[("file", one) for one in named], **more)


def figure(caller, name: str, **labels) -> float:
    """A figure of /metrics, 0 if it is not there."""
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = re.search(
        rf"^{re.escape(name + (f'{{{told}}}' if told else ''))} (\S+)$", caller.get("/metrics").text, re.M
    )
    return float(found[1]) if found else 0.0


def detail(answer, status: int) -> str:
    """Why there is no answer: one line of JSON, and nothing else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert list(told) == ["detail"] and isinstance(told["detail"], str) and "\n" not in answer.text
    return told["detail"]


@pytest.fixture
def waits():
    """Calls a function in another thread, and waits for all of them at the end."""
    with ThreadPoolExecutor(16) as pool:
        yield pool.submit


class TestAnswers:
    @pytest.fixture(scope="class")
    def photographs(self, tiny_data, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("sent")
        for path in sorted(tiny_data.rglob("*.jpg"))[:40:5]:
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "=1+1, ü.png").write_bytes(WALL)
        (folder / "broken.jpg").write_bytes(CAR[: len(CAR) // 2])
        return folder

    @pytest.fixture(scope="class")
    def predicted(self, photographs, tmp_path_factory) -> dict[str, list[dict]]:
        """The rows of predictions.csv by file, with its numbers as numbers."""
        output = tmp_path_factory.mktemp("predicted")
        assert cli.main(["predict", str(photographs), "--output", str(output), "--no-report", "--no-pictures"]) == 0
        rows: dict[str, list[dict]] = {}
        with (output / "predictions.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                values = {name: row[name] if name in ("text", "status") else _number(row[name]) for name in COLUMNS}
                name = row["img_id"].removeprefix("./")
                rows.setdefault(name, []).append({**values, "img_id": name})
        return rows

    @pytest.fixture(scope="class")
    def caller(self):
        with client(PlateReader.load(threads=1)) as caller:
            yield caller

    def test_they_are_the_rows_of_predict(self, caller, photographs, predicted):
        paths = sorted(photographs.iterdir())
        answer = send(caller, *(path.read_bytes() for path in paths), names=[path.name for path in paths])
        assert answer.status_code == 200
        files = answer.json()["files"]
        assert [one["name"] for one in files] == [path.name for path in paths]
        assert {one["name"]: one["rows"] for one in files} == predicted
        assert all(tuple(row) == COLUMNS for one in files for row in one["rows"])
        statuses = {row["status"].partition(":")[0] for rows in predicted.values() for row in rows}
        assert {"ok", "no plate", "unreadable"} <= statuses  # Else this would say little.

    def test_they_are_the_same_from_many_callers_at_once(self, caller, photographs, predicted, waits):
        before = figure(caller, "lpr_e2e_batch_pictures_count")
        paths = [path for path in sorted(photographs.iterdir()) if path.name != "broken.jpg"] * 3
        answers = [waits(send, caller, path.read_bytes(), names=[path.name]) for path in paths]
        for path, answer in zip(paths, answers, strict=True):
            assert answer.result().json() == {"files": [{"name": path.name, "rows": predicted[path.name]}]}
        assert figure(caller, "lpr_e2e_batch_pictures_count") < before + len(paths)  # Some were read together.

    def test_a_picture_that_cannot_be_read_has_its_row_beside_others(self):
        with client() as caller:
            files = send(caller, CAR, b"no picture", b"").json()["files"]
            assert [one["rows"][0]["text"] for one in files] == ["12T345", "", ""]
            assert files[1]["rows"][0]["status"] == "unreadable: not a picture"
            assert files[2]["rows"][0]["status"] == "unreadable: empty file (0 bytes)"

    @pytest.mark.parametrize(
        ("contents", "words"),
        [
            ([b"no picture"], "unreadable: not a picture; expected a picture such as"),
            ([b""], r"unreadable: empty file \(0 bytes\); expected"),
            ([CAR[:-50]], "unreadable: truncated"),
            ([b"no picture", b"", b"x"], r"unreadable: not a picture \(and 2 more like it\)"),
            ([png(np.zeros((1, 1), "uint8")).replace(b"\0\0\0\1\0\0\0\1", b"\0\0\xff\xff\0\0\xff\xff")], "unreadable"),
        ],
    )
    def test_if_not_one_can_be_read_there_are_no_rows(self, contents, words):
        with client() as caller:
            assert re.match(words, detail(send(caller, *contents), 422))

    @pytest.mark.parametrize("name", ["a.png", "ü, 車.png", "", "=1+1.png", '"quoted".png', "../../etc/passwd"])
    def test_any_name_comes_back(self, name):
        with client() as caller:
            (file,) = send(caller, CAR, names=[name]).json()["files"]
        assert file["name"] == file["rows"][0]["img_id"]
        assert file["name"] in (name, name.replace('"', "%22"))  # As browsers write it.

    def test_two_files_of_one_name_are_two(self):
        with client() as caller:
            files = send(caller, CAR, WALL, names=["a.png", "a.png"]).json()["files"]
        assert [one["rows"][0]["status"] for one in files] == ["ok", "no plate"]


def _number(cell: str) -> float | str | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


class TestRefusals:
    FORM = {"Content-Type": "multipart/form-data; boundary=B"}
    PART = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'

    @pytest.mark.parametrize(
        ("status", "words", "body", "headers"),
        [
            (415, "found nothing|no content type", b"", {}),
            (415, "the content type 'image/png'; expected multipart/form-data", CAR, {"Content-Type": "image/png"}),
            (415, "in the coding 'gzip'", b"", {**FORM, "Content-Encoding": "gzip"}),
            (400, "names no boundary", b"", {"Content-Type": "multipart/form-data"}),
            (400, "names no boundary", b"", {"Content-Type": f"multipart/form-data; boundary={'B' * 300}"}),
            (400, "cannot be understood", b"neither a boundary nor a part", FORM),
            (400, "cannot be understood", PART.replace(b"name=", b"x" * 9000), FORM),
            (400, "ends too early", PART + CAR, FORM),
            (400, "ends too early", b"", FORM),
            (422, "no picture", b"--B--\r\n", FORM),
            (422, "a field 'image'; expected", PART.replace(b"file", b"image") + CAR + b"\r\n--B--\r\n", FORM),
            (422, "a field ''; expected", b"--B\r\n\r\n\r\n--B--\r\n", FORM),
        ],
    )
    def test_what_is_no_form_with_pictures_is_told(self, status, words, body, headers):
        with client() as caller:
            assert re.search(words, detail(caller.post("/v1/read", content=body, headers=headers), status))

    @pytest.mark.parametrize(
        ("words", "contents", "limits"),
        [
            ("at most 1 MB in one picture, found more in picture 2", [CAR, b"x" * (MB + 1)], {"picture_mb": 1}),
            ("at most 2 pictures in one request", [CAR] * 3, {"pictures": 2}),
            (r"at most 1 MB in one request, found a body of \d+ bytes", [b"x" * MB, CAR], {"request_mb": 1}),
        ],
    )
    def test_too_much_is_refused(self, words, contents, limits):
        with client(**limits) as caller:
            assert re.search(words, detail(send(caller, *contents), 413))
            assert send(caller, CAR).status_code == 200

    def test_a_body_of_unknown_length_is_refused_once_it_is_too_long(self):
        sent = []

        def endless():
            yield self.PART
            while len(sent) < 1000:
                sent.append(b"x" * 65536)
                yield sent[-1]

        with client(request_mb=1) as caller:
            answer = caller.post("/v1/read", content=endless(), headers=self.FORM)
        assert "found a larger body" in detail(answer, 413)

    def test_there_is_no_more_memory_for_uploads_than_was_allowed(self):
        with client(held_mb=1, request_mb=1) as caller:
            assert send(caller, b"x" * (MB - 1000)).status_code == 422  # No picture, but there is room.
            for _ in range(3):  # What was taken is given back.
                assert send(caller, CAR, b"x" * 900_000).status_code == 200
        with client(held_mb=1) as caller:
            answer = send(caller, b"x" * MB)
            assert "fill the memory" in detail(answer, 429) and answer.headers["retry-after"]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/", 404), ("GET", "/v1/read", 405), ("PUT", "/health", 405), ("POST", "/v1/read/", 404)],
    )
    def test_other_addresses_name_those_that_there_are(self, method, path, status):
        with client() as caller:
            assert "expected POST /v1/read" in detail(caller.request(method, path), status)

    def test_nothing_of_a_picture_gets_to_the_disk(self, monkeypatch):
        def refuse(*_, **__):
            raise AssertionError("a temporary file")

        noise = png(np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), "uint8"))
        assert len(noise) > 4 * MB  # Starlette itself would write it down from one megabyte on.
        for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp"):
            monkeypatch.setattr(tempfile, name, refuse)
        with client() as caller:
            assert send(caller, noise).status_code == 200


class TestQueue:
    def test_those_who_wait_together_are_read_together(self, waits):
        reader = Slow()
        with client(reader, together=4) as caller:
            first = waits(send, caller, b"x", names=["first"])
            assert reader.has_begun.wait(5)
            others = [waits(send, caller, b"x", names=[f"other {number}"]) for number in range(6)]
            _until(lambda: figure(caller, "lpr_e2e_queue_pictures") == 6)
            reader.go.set()
            texts = [one.result().json()["files"][0]["rows"][0]["text"] for one in (first, *others)]
            assert texts == ["FIRST", *(f"OTHER {number}" for number in range(6))]
            assert [len(call) for call in reader.calls] == [1, 4, 2]
            assert figure(caller, "lpr_e2e_batch_pictures_sum") == 7
            assert figure(caller, "lpr_e2e_pictures_total", status="ok") == 7

    def test_who_comes_when_it_is_full_is_told_to_come_again(self, waits):
        reader = Slow()
        with client(reader, waiting=2) as caller:
            one = waits(send, caller, b"x")
            assert reader.has_begun.wait(5)
            two = waits(send, caller, b"x")
            _until(lambda: figure(caller, "lpr_e2e_queue_pictures") == 1)
            answer = send(caller, b"x", b"y")  # There is room for one of them.
            assert "the queue is full; send the request again later" in detail(answer, 429)
            assert int(answer.headers["retry-after"]) >= 1
            three = waits(send, caller, b"x")
            _until(lambda: figure(caller, "lpr_e2e_queue_pictures") == 2)
            detail(caller.post("/v1/read"), 429)  # Before anything of the body is looked at.
            reader.go.set()
            assert [answer.result().status_code for answer in (one, two, three)] == [200, 200, 200]
            assert send(caller, b"x").status_code == 200
            assert figure(caller, "lpr_e2e_requests_total", path="/v1/read", status="429") == 2

    def test_who_waits_too_long_is_told_what_for(self, waits):
        reader = Slow()
        with client(reader, answer_seconds=1) as caller:
            read = waits(send, caller, b"x", names=["read"])
            assert reader.has_begun.wait(5)
            waiting = send(caller, b"x", names=["waits"])
            assert "no turn within 1 seconds" in detail(waiting, 503) and waiting.headers["retry-after"]
            assert "reading took longer than 1 seconds" in detail(read.result(), 504)
            assert figure(caller, "lpr_e2e_queue_pictures") == 0
            reader.go.set()
            assert send(caller, b"x", names=["later"]).status_code == 200
            assert reader.calls == [["read"], ["later"]]

    def test_a_fault_costs_its_own_picture_only(self, waits):
        reader = Slow()
        reader.go.set()
        with client(reader) as caller:
            assert "MemoryError" in detail(send(caller, b"poison"), 500)
        queue = ReadingQueue(reader, 8, 8, lambda taken: None)
        good, bad, better = queue.submit([("good", b""), ("bad", b"poison"), ("better", b"")])
        queue.start()
        assert good.result(5)[0].text == "GOOD" and better.result(5)[0].text == "BETTER"
        with pytest.raises(MemoryError):
            bad.result(5)
        queue.stop()

    def test_what_nobody_wants_any_more_is_not_read_and_takes_no_place(self):
        reader = Slow()
        queue = ReadingQueue(reader, 2, 8, lambda taken: None)
        gone, _ = queue.submit([("gone", b""), ("stays", b"")])
        with pytest.raises(QueueFull):
            queue.submit([("more", b"")])
        gone.cancel()
        (more,) = queue.submit([("more", b"")])
        assert queue.waiting == 2
        reader.go.set()
        queue.start()
        assert more.result(5)[0].text == "MORE" and reader.calls == [["stays", "more"]]
        queue.stop()

    def test_after_the_end_nothing_is_taken(self):
        queue = ReadingQueue(Slow(), 2, 8, lambda taken: None)
        (waiting,) = queue.submit([("waits", b"")])
        queue.stop()
        assert waiting.cancelled() and not queue.is_reading
        with pytest.raises(QueueFull):
            queue.submit([("more", b"")])


def _until(holds, seconds=5.0):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


class TestWhoMayCome:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 401),
            ({"Authorization": f"Bearer {KEY}"}, 200),
            ({"authorization": f"bearer  {KEY}"}, 200),
            ({"X-API-Key": KEY}, 200),
            ({"X-API-Key": KEY[:-1]}, 401),
            ({"X-API-Key": KEY + "x"}, 401),
            ({"X-API-Key": ""}, 401),
            ({"X-API-Key": "ü".encode()}, 401),
            ({"Authorization": f"Basic {KEY}"}, 401),
            ({"Authorization": KEY}, 401),
            ({"X-API-Key": KEY, "Host": "reader.example"}, 200),  # Who knows the key may use any name.
        ],
    )
    def test_with_a_key_only_those_who_know_it(self, headers, status):
        with client(key=KEY) as caller:
            answer = send(caller, CAR, headers=headers)
            if status == 401:
                assert "Bearer" in answer.headers["www-authenticate"] and KEY not in detail(answer, 401)
            assert answer.status_code == status
            for path in ("/metrics", "/docs", "/openapi.json", "/nothing"):
                assert (caller.get(path, headers=headers).status_code == 401) == (status == 401)
            assert caller.get("/health").status_code == 200

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Host": "localhost"}, 200),
            ({"Host": "LOCALHOST:8000"}, 200),
            ({"Host": "127.0.0.1:1"}, 200),
            ({"Host": "[::1]:8000"}, 200),
            ({"Host": "evil.example"}, 403),
            ({"Host": "127.0.0.1.evil.example"}, 403),
            ({"Host": "localhost.evil.example:8000"}, 403),
            ({"Host": "10.1.2.3"}, 403),
            ({"Host": ""}, 403),
            ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),  # The page of /docs.
            ({"Host": "localhost:8000", "Origin": "http://evil.example"}, 403),
            ({"Host": "localhost:8000", "Origin": "http://localhost:3000"}, 403),
            ({"Host": "localhost:8000", "Origin": "null"}, 403),
        ],
    )
    def test_without_a_key_only_this_machine_and_no_page_of_another_site(self, headers, status):
        with client() as caller:
            answer = send(caller, CAR, headers=headers)
            assert answer.status_code == status, answer.text
            if status == 403:
                detail(answer, 403)
            assert not any(name.startswith("access-control") for name in answer.headers)

    @pytest.mark.parametrize("key", ["", "short", "x" * 15, "x" * 16 + " y", "ü" * 20])
    def test_a_key_that_is_none_is_refused_without_being_told(self, key, tmp_path):
        (tmp_path / "key").write_text(key)
        for call in ((tmp_path / "key", {}), (None, {"LPR_E2E_KEY": key})):
            with pytest.raises(UserError, match="expected a key of at least 16") as raised:
                find_key(*call)
            assert not key or key not in str(raised.value)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such devices")
    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
    def test_a_file_without_an_end_is_no_key(self, device, tmp_path):
        (tmp_path / "link").symlink_to(device)
        for path in (Path(device), tmp_path / "link"):
            with pytest.raises(UserError, match="expected a key of at least 16"):
                find_key(path, {})

    def test_a_key_may_come_through_a_pipe(self, tmp_path):
        """As a shell's `<(pass show key)` gives it."""
        os.mkfifo(tmp_path / "pipe")
        writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(f"{KEY}\n"))
        writer.start()
        assert find_key(tmp_path / "pipe", {}) == KEY
        writer.join()

    def test_a_key_comes_from_one_place(self, tmp_path):
        (tmp_path / "key").write_text(f"{KEY}\n")
        assert find_key(tmp_path / "key", {}) == KEY == find_key(None, {"LPR_E2E_KEY": KEY})
        assert find_key(None, {}) is None
        with pytest.raises(UserError, match="expected one of them"):
            find_key(tmp_path / "key", {"LPR_E2E_KEY": KEY})


class TestWhatIsTold:
    def test_health_names_model_and_versions(self):
        with client() as caller:
            told = caller.get("/health").json()
        assert told == {"status": "ready", "model": "magenta", "weights": "0123", "version": __version__}

    def test_health_is_none_when_nothing_is_read(self):
        caller = client()  # Nobody has started it.
        assert "nothing is read" in detail(caller.get("/health"), 503)

    def test_requests_are_counted_by_what_became_of_them(self):
        with client() as caller:
            send(caller, CAR, WALL, b"no picture")
            send(caller, b"no picture")
            caller.get("/x/1")
            caller.get("/x/2")
            count = {(path, status): figure(caller, "lpr_e2e_requests_total", path=path, status=status)
                     for path, status in (("/v1/read", 200), ("/v1/read", 422), ("other", 404))}  # fmt: skip
            assert list(count.values()) == [1, 1, 2]
            assert figure(caller, "lpr_e2e_request_seconds_count", path="/v1/read") == 2
            statuses = [
                figure(caller, "lpr_e2e_pictures_total", status=one) for one in ("ok", "no plate", "unreadable")
            ]
            assert statuses == [1, 1, 2]

    def test_the_log_names_no_file_and_no_key(self):
        lines: list[str] = []
        with client(key=KEY, log=lines.append, headers={"X-API-Key": KEY}) as caller:
            send(caller, CAR, names=["secret.png"])
            send(caller, b"", names=["secret.png"])
            caller.get("/secret?secret=1")
        assert [re.sub(r"[\d.]+ s$", "", line) for line in lines] == [
            "testclient POST /v1/read 200 ", "testclient POST /v1/read 422 ", "testclient GET other 404 ",
        ]  # fmt: skip

    def test_the_description_is_whole(self):
        with client(key=KEY, headers={"X-API-Key": KEY}) as caller:
            told = caller.get("/openapi.json").json()
            page = caller.get("/docs").text
        reading = told["paths"]["/v1/read"]["post"]
        assert set(reading["responses"]) == set("200 400 401 408 413 415 422 429 500 503 504".split())
        assert all(one["description"] for one in reading["responses"].values())
        form = reading["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["required"] == ["file"]
        assert tuple(told["components"]["schemas"]["Row"]["properties"]) == COLUMNS
        example = reading["responses"]["200"]["content"]["application/json"]["example"]
        assert tuple(example["files"][0]["rows"][0]) == COLUMNS
        assert not re.search(r"(src|href)=\"?https?:", page)  # It needs no network.


# A service whose reader takes a second, and whose callers must be quick.
SLOW = """
import sys, time
from lpr_e2e import PlateReader, cli
from lpr_e2e.common.interrupts import as_process
from lpr_e2e.serving import server
server._HEAD_SECONDS = server.STOP_SECONDS = 1
read = PlateReader.read_files
def slowly(self, photographs, *more):
    if {seconds}:
        print("reading", flush=True)
        time.sleep({seconds})
    return read(self, photographs, *more)
PlateReader.read_files = slowly
as_process(lambda: cli.main(["serve", *sys.argv[1:]]))
"""


class Served:
    """A service in a process of its own."""

    def __init__(self, *options: str, seconds: float = 0.0, **environment: str):
        command = [sys.executable, "-c", SLOW.format(seconds=seconds), "--port", "0", "--threads", "1", *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, **pipes)
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.port = int(re.match(r"http://127\.0\.0\.1:(\d+): reading with tunisia for callers", line)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def connect(self, first: bytes = b"") -> socket.socket:
        """A connection, with something sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        connection.sendall(first)
        return connection

    def begin(self, *lines: str, body: bytes = b"") -> socket.socket:
        """A request to read, with these lines in its head, and some of its body."""
        head = ["POST /v1/read HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *lines, "", ""]
        return self.connect("\r\n".join(head).encode() + body)

    def send(self, *pictures: bytes) -> socket.socket:
        """A whole request."""
        parts = b"".join(TestRefusals.PART + picture + b"\r\n" for picture in pictures) + b"--B--\r\n"
        return self.begin(self.FORM, f"Content-Length: {len(parts)}", body=parts)

    FORM = "Content-Type: multipart/form-data; boundary=B"


def whole(connection: socket.socket) -> str:
    """All that comes, until the connection is closed or an answer of a known length is here."""
    got = b""
    with connection:
        while piece := connection.recv(65536):
            got += piece
            head, found, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            if found and length and len(body) >= int(length[1]):
                break
    return got.decode()


class TestServer:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
    def test_what_is_in_work_is_answered_before_the_end(self, number, code):
        with Served(seconds=0.7) as served:
            in_work = served.send(WALL)
            assert served.process.stdout.readline() == "reading\n"
            served.process.send_signal(number)
            assert '"status":"no plate"' in whole(in_work)
            assert served.process.wait(10) == code
            assert "Traceback" not in served.process.stderr.read()

    def test_a_second_time_asked_it_does_not_wait(self):
        with Served() as served:
            slow = served.begin(served.FORM, "Content-Length: 1000", body=TestRefusals.PART)
            for _ in range(2):
                time.sleep(0.3)
                served.process.send_signal(signal.SIGINT)
            assert " 503 " in whole(slow)
            assert served.process.wait(10) == 130
            assert "Traceback" not in served.process.stderr.read()

    def test_what_takes_longer_than_there_is_time_at_the_end_is_told_so(self):
        with Served(seconds=20.0) as served:
            in_work = served.send(WALL)
            assert served.process.stdout.readline() == "reading\n"
            served.process.send_signal(signal.SIGTERM)
            assert " 503 " in (told := whole(in_work)) and "the service is being stopped" in told
            assert served.process.wait(10) == 143
            assert "Traceback" not in served.process.stderr.read()

    def test_callers_who_take_their_time_cost_nothing(self):
        with Served("--body-seconds", "1", "--connections", "6", "--request-mb", "1") as served:
            silent = served.connect()
            dripping = served.connect(b"POST /v1/read HTTP/1.1\r\nX: ")
            slow = served.begin(served.FORM, "Content-Length: 1000", body=TestRefusals.PART)
            boasting = served.begin(served.FORM, "Content-Length: 99999999999999999999")
            no_http = served.connect(b"\x16\x03\x01 nothing\r\n\r\n")
            assert " 413 " in whole(boasting) and " 400 " in (told := whole(no_http)) and '{"detail": ' in told
            assert '"no plate"' in whole(served.send(WALL))  # All of them are still there.
            assert " 408 " in (told := whole(slow)) and "did not come within 1 seconds" in told
            assert whole(silent) == whole(dripping) == ""

    def test_an_endless_body_is_not_listened_to(self):
        with Served("--request-mb", "1") as served:
            endless = served.begin(served.FORM, "Transfer-Encoding: chunked")
            chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            with pytest.raises(OSError):  # noqa: PT012
                for _ in range(100_000):
                    endless.sendall(chunk)

    def test_of_too_many_connections_the_last_are_refused(self):
        with Served("--connections", "2") as served:
            kept = [served.connect() for _ in range(2)]
            assert " 503 " in (told := whole(served.send(WALL))) and "too many connections" in told
            for one in kept:
                one.close()
            _until(lambda: " 200 " in whole(served.send(WALL)))

    def test_who_leaves_before_his_turn_is_not_read_for(self):
        with Served(seconds=0.5) as served:
            first = served.send(WALL)
            assert served.process.stdout.readline() == "reading\n"
            served.send(WALL).close()
            time.sleep(0.2)
            assert " 200 " in whole(first)
            metrics = whole(served.connect(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode()))
            assert 'lpr_e2e_requests_total{path="/v1/read",status="499"} 1.0' in metrics
            assert "lpr_e2e_batch_pictures_count 1.0" in metrics


class TestStarting:
    def refused(self, capsys, *options: str) -> str:
        """What is said when it does not start: one line."""
        assert cli.main(["serve", "--port", "0", *options]) == 2
        told = capsys.readouterr()
        assert not told.out and told.err.count("\n") == 1
        return told.err

    def test_a_port_in_use_is_one_line(self, capsys):
        with listen("127.0.0.1", 0) as taken:
            port = str(taken.getsockname()[1])
            assert f"127.0.0.1:{port}: in use by another program" in self.refused(capsys, "--port", port)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::"])
    def test_other_machines_need_a_key(self, host, capsys, monkeypatch):
        monkeypatch.delenv("LPR_E2E_KEY", raising=False)
        try:
            listen(host, 0).close()
        except UserError:
            pytest.skip(f"{host} is no address here")
        assert f"--host {host}: other machines would reach this service" in self.refused(capsys, "--host", host)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--host", "no.such.host.invalid"], "no address of this machine"),
            (["--host", "192.0.2.1"], "cannot be listened at"),
            (["--port", "70000"], "70000"),
            (["--key-file", "no such file"], "no such file"),
            (["--model", "nothing"], "no model at nothing"),
            (["--format", "("], "format"),
            (["--pictures", "65"], "--waiting 64: expected at least --pictures, 65"),
            (["--held-mb", "63"], "--held-mb 63: expected at least --request-mb, 64"),
        ],
    )
    def test_a_wrong_call_is_one_line(self, options, words, capsys):
        assert words in self.refused(capsys, *options)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
class TestRecipes:
    """What the page shows, run as far as that is possible without the programs that it is for."""

    PAGE = (ROOT / "lpr_e2e/serving/README.md").read_text(encoding="utf-8")

    @pytest.fixture(scope="class")
    def served(self):
        with Served(LPR_E2E_KEY=KEY) as served:
            yield served

    @pytest.fixture(scope="class")
    def photograph(self, tiny_data) -> Path:
        return sorted((tiny_data / "test").iterdir())[0]

    @pytest.fixture(scope="class")
    def text(self, photograph) -> str:
        return PlateReader.load(threads=1).read(photograph)[0].text

    @pytest.fixture
    def here(self, served, photograph, tmp_path):
        """Puts places of this test into a recipe in place of those that it names."""
        (tmp_path / "header").write_text(f"X-API-Key: {KEY}")
        (tmp_path / "key.txt").write_text(f"{KEY}\n")
        places = {
            "reader.local:8000": f"127.0.0.1:{served.port}",
            "127.0.0.1:8000": f"127.0.0.1:{served.port}",
            "/config/": f"{tmp_path}/",
            "key_header.txt": "header",
            "/media/gate.jpg": str(photograph),
            "car.jpg": str(photograph),
            "van.jpg": str(photograph),
        }

        def put(recipe: str, **more: str) -> str:
            for place, ours in {**more, **places}.items():
                recipe = recipe.replace(place, ours)
            return recipe

        return put

    def block(self, language: str, words: str) -> str:
        """The piece of code on the page that says this."""
        (found,) = [one for one in re.findall(rf"```{language}\n(.*?)```", self.PAGE, re.S) if words in one]
        return found

    @staticmethod
    def called(command: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, **options)

    @staticmethod
    def template(of: str, answer: subprocess.CompletedProcess, **more) -> str:
        """What Home Assistant makes of a template after a command."""
        environment = pytest.importorskip("jinja2").Environment()
        environment.filters["from_json"] = json.loads
        return environment.from_string(of).render(answer=answer, **more)

    def test_curl(self, here, text, tmp_path):
        done = self.called(here(self.block("sh", "key_header.txt")), cwd=tmp_path)
        assert (tmp_path / "header").read_text() == f"X-API-Key: {KEY}"
        assert [one["rows"][0]["text"] for one in json.loads(done.stdout)["files"]] == [text, text]

    def test_python(self, here, text, capsys):
        exec(here(self.block("python", "urllib")).replace('key=""', f'key="{KEY}"'), {})
        assert capsys.readouterr().out.startswith(f"{text} 0.")

    def test_home_assistant(self, here, text):
        recipe = pytest.importorskip("yaml").safe_load(self.block("yaml", "camera.snapshot"))
        snapshot, _, condition, message = recipe["automation"][0]["actions"]
        command = recipe["shell_command"]["read_plate"]
        assert f"file=@{snapshot['data']['filename']}" in command
        answer = self.called(here(command))
        assert self.template(condition["value_template"], answer) == "True"
        assert self.template(message["data"]["message"], answer) == f"At the gate: {text}"
        wrong = self.called(here(command).replace("header @", "header @no-such-"))
        assert wrong.returncode and self.template(condition["value_template"], wrong) == "False"

    def test_frigate(self, here, text, photograph, tmp_path):
        asked = []

        class Frigate(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200 if "1700000000.5-abc" in self.path else 404)
                self.end_headers()
                self.wfile.write(photograph.read_bytes())

            def log_message(self, *_):
                pass

        recipe = pytest.importorskip("yaml").safe_load(self.block("yaml", "frigate/events"))
        (automation,) = recipe["automation"]
        told = {"type": "end", "after": {"id": "1700000000.5-abc", "label": "car", "has_snapshot": True}}
        trigger = {"payload_json": told}
        assert self.template(automation["conditions"][0]["value_template"], None, trigger=trigger).strip() == "True"
        event = self.template(automation["actions"][0]["data"]["event"], None, trigger=trigger)
        with http.server.HTTPServer(("127.0.0.1", 0), Frigate) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            script = here(
                self.block("bash", "read_event.sh"), **{"frigate.local:5000": f"127.0.0.1:{server.server_port}"}
            )
            (tmp_path / "read_event.sh").write_text(script)
            command = here(recipe["shell_command"]["read_event"])
            answer = self.called(self.template(command, None, event=event))
            missing = self.called(self.template(command, None, event="missing"))
            server.shutdown()
        assert asked[0] == "/api/events/1700000000.5-abc/snapshot.jpg"
        assert json.loads(answer.stdout)["files"][0]["name"] == "1700000000.5-abc.jpg"
        assert self.template(automation["actions"][2]["data"]["message"], answer) == f"Frigate saw {text}"
        assert missing.returncode
