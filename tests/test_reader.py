"""The door of Python: what people hand to a reader, batches, and several engines at the same time."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_in import MagentaEngine, car, reader

from lpr_e2e.common import images
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureError, read_picture, read_size
from lpr_e2e.prediction import reader as reading
from lpr_e2e.prediction.reader import PlateReader

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def path(tmp_path):
    Image.fromarray(car()).save(tmp_path / "car.png")
    return tmp_path / "car.png"


class Borrowed:
    """An array of another library."""

    def __array__(self, dtype=None, copy=None):
        return car()


class TestWhatPeopleHand:
    KINDS = {
        "path": lambda path: path,
        "name": str,
        "bytes": lambda path: path.read_bytes(),
        "bytearray": lambda path: bytearray(path.read_bytes()),
        "memoryview": lambda path: memoryview(path.read_bytes()),
        "open file": lambda path: path.open("rb"),
        "file in memory": lambda path: io.BytesIO(path.read_bytes()),
        "Pillow picture": Image.open,
        "Pillow picture with a palette": lambda path: Image.open(path).quantize(32),
        "array": lambda path: car(),
        "array of columns": lambda path: np.asfortranarray(car()),
        "mirrored view": lambda path: car()[:, ::-1][:, ::-1],
        "channels of another picture": lambda path: np.dstack([car(), car()])[..., :3],
        "read-only array": lambda path: np.broadcast_to(car(), car().shape),
        "another library's array": lambda path: Borrowed(),
        "name out of an array": lambda path: np.array([str(path)])[0],
        "name of a listing in bytes": lambda path: next(os.scandir(os.fsencode(path.parent))),
    }
    NAMED = ("path", "name", "name out of an array", "name of a listing in bytes")

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_picture_of_any_kind_is_read(self, path, kind):
        readings = reader().read(self.KINDS[kind](path))
        assert [reading.text for reading in readings] == ["12T345"]
        assert readings[0].img_id == ("car.png" if kind in self.NAMED else "")

    @pytest.mark.parametrize("several", [list, tuple, iter, lambda items: (item for item in items)])
    def test_several_are_read_in_order(self, path, several):
        given = several([path, car(), np.full((50, 50, 3), 90, "uint8"), path.read_bytes()])
        assert [readings[0].text for readings in reader().read(given)] == ["12T345", "12T345", "", "12T345"]

    def test_stacks_and_rows_of_names_are_several(self, path):
        assert len(reader().read(np.stack([car()] * 3))) == 3
        assert len(reader().read(np.array([str(path), str(path)], dtype=object))) == 2
        assert reader().read([]) == []

    WRONG = {
        "None": None,
        "number": 7,
        "mapping": {"a": 1},
        "floats": car() / 255.0,
        "grey": car()[..., 0],
        "transparent": np.dstack([car(), car()[..., :1]]),
        "whole numbers": car().astype("int64"),
        "empty": np.empty((0, 10, 3), "uint8"),
        "encoded": np.zeros(100, "uint8"),
        "text file": io.StringIO("picture"),
        "archive": zipfile.ZipFile(io.BytesIO(), "w"),
        "object": object(),
        "array of None": np.array(None),  # As of a picture that OpenCV could not open.
        "array of one name": np.array("car.png"),
        "object array": car()[:4].astype(object),
        "array of bytes": np.array([b"car.png"]),
    }

    @pytest.mark.parametrize("kind", WRONG)
    def test_anything_else_is_refused_by_naming_what_is_taken(self, kind):
        with pytest.raises(UserError, match=r"expected .*path.*bytes.*Pillow.*uint8 RGB array \(h, w, 3\)"):
            reader().read(self.WRONG[kind])

    @pytest.mark.parametrize("kind", WRONG)
    def test_in_a_list_it_costs_its_own_answer_only(self, kind):
        if kind == "text file":
            self.WRONG[kind].seek(0)
        found = reader().read([car(), self.WRONG[kind], car()])
        assert [readings[0].text for readings in found] == ["12T345", "", "12T345"]
        assert found[1][0].status.startswith("unreadable: ") and "expected" in found[1][0].status

    def test_a_broken_file_is_an_answer_and_broken_bytes_alone_are_an_error(self, tmp_path, path):
        (tmp_path / "letter.jpg").write_text("Dear Sir")
        assert reader().read(tmp_path / "letter.jpg")[0].status == "unreadable: not a picture"
        assert reader().read(tmp_path / "none.jpg")[0].status == "unreadable: missing file"
        with pytest.raises(PictureError, match="truncated|damaged"):
            reader().read(path.read_bytes()[:-200])

    def test_what_gives_no_array_or_no_bytes_says_why(self, path):
        class OnDevice:
            def __array__(self, dtype=None, copy=None):
                raise TypeError("it lies on a device: copy it first")

        class NoPath:
            def __fspath__(self):
                return 3

        written = io.BytesIO()
        Image.fromarray(car()).save(written, "PNG")
        given = {"on a device": OnDevice(), "read before": written, "returns? str": NoPath()}
        for reason, one in given.items():
            answers = reader().read([car(), one])
            assert answers[0][0].text == "12T345" and re.search(reason, answers[1][0].status), answers[1][0].status
        for reason in ("on a device", "read before"):
            with pytest.raises(PictureError, match=reason):
                reader().read(given[reason])

    def test_what_is_handed_over_stays_as_it_is(self, path):
        picture, array = Image.open(path), car()
        before = array.copy()
        reader().read([picture, array])
        np.testing.assert_array_equal(array, before)
        assert picture.size == (320, 240) and reader().read(picture)[0].text == "12T345"

    def test_a_pillow_picture_is_turned_as_its_camera_was(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        upright = car(height=320, width=240, box=(200, 20, 230, 120))
        Image.fromarray(np.rot90(upright)).save(tmp_path / "side.png", exif=exif)
        box = reader().read(Image.open(tmp_path / "side.png"))[0].box_px
        np.testing.assert_allclose(box, [200, 20, 230, 120], atol=2)


class TestCrops:
    def test_they_are_read_without_looking_for_a_plate(self, monkeypatch):
        monkeypatch.setattr("lpr_e2e.prediction.reader.CROPS_AT_ONCE", 2)
        engine = MagentaEngine()
        crops = [np.full((20 + index, 90, 3), 40 * index, "uint8") for index in range(6)]
        readings = reader(engine).read_crops(crops)
        assert [reading.text for reading in readings] == ["", "", "", "", "9N", "9N"]
        assert [reading.status for reading in readings] == ["illegible"] * 4 + ["ok"] * 2
        assert readings[5].box_px == (0, 0, 25, 90) and readings[5].confidence == pytest.approx(1)
        assert not engine.found and engine.read_ == [2, 2, 2]

    def test_they_come_as_photographs_do(self, tmp_path):
        Image.new("RGB", (90, 20), "white").save(tmp_path / "crop.png")
        given = [tmp_path / "crop.png", Image.open(tmp_path / "crop.png"), None, np.full((20, 90, 3), 255, "uint8")]
        readings = reader().read_crops(one for one in given)
        assert [reading.text for reading in readings] == ["9N", "9N", "", "9N"]
        assert "expected" in readings[2].status
        assert reader().read_crops([]) == []

    @pytest.mark.parametrize("given", [None, "crop.png", np.zeros((20, 90, 3), "uint8"), np.array(None), np.str_("a")])
    def test_a_single_one_is_no_list(self, given):
        with pytest.raises(UserError, match="list of crops"):
            reader().read_crops(given)


def test_files_are_read_in_batches_and_decoded_at_most_one_batch_ahead():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield "car.jpg", car()

    engine = MagentaEngine()
    results = reader(engine).read_files(endless(), batch_size=4)
    for _ in range(9):
        next(results)
    results.close()
    assert engine.found == [4, 4, 4] and len(taken) <= 16


@pytest.mark.parametrize("number", [0, -1, 2.0, "2", None])
def test_batches_of_no_whole_number_are_refused(number):
    with pytest.raises(UserError, match="batch_size: .*at least 1"):
        list(reader().read_files([("car.jpg", car())], number))
    assert len(list(reader().read_files([("car.jpg", car())] * 3, np.int64(2)))) == 3


@pytest.mark.parametrize("number", [0, -1, 1.5, "2"])
def test_threads_of_no_whole_number_are_refused(number):
    with pytest.raises(UserError, match="threads: .*at least 1"):
        PlateReader.load(threads=number)


class TestSeveralEngines:
    """More than one batch is read by several engines at the same time, each with one thread."""

    class Slow(MagentaEngine):
        """Notes in which threads it is called, and whether by two at the same time."""

        def __init__(self):
            super().__init__()
            self.busy, self.threads, self.shared = threading.Lock(), set(), False

        def find(self, scenes):
            if not self.busy.acquire(blocking=False):
                self.shared = True
                return super().find(scenes)
            self.threads.add(threading.get_ident())
            time.sleep(0.01)
            self.busy.release()
            return super().find(scenes)

    def test_they_read_what_one_reads_in_the_same_order(self):
        engines, alone = [self.Slow() for _ in range(3)], MagentaEngine()
        named = [(str(number), car(box=(100, 60 + number, 140, 180 + number))) for number in range(23)]
        named[7] = ("7", PictureError("damaged"))
        found = list(reader(alone, several=engines).read_files(named, batch_size=2))
        expected = list(reader().read_files(named, batch_size=2))
        assert [(img_id, readings) for img_id, _, readings in found] == [
            (img_id, readings) for img_id, _, readings in expected
        ]
        assert not alone.found and sum(sum(engine.found) for engine in engines) == 22
        assert all(engine.threads and not engine.shared for engine in engines)

    def test_one_batch_is_read_by_the_one_with_all_threads(self):
        alone = MagentaEngine()
        one = reader(alone, several=lambda: pytest.fail("not needed"))
        assert len(one.read([car()] * 3)) == 3 and alone.found == [3]

    def test_all_of_them_know_the_format(self):
        one = reader(format="[0-9]+T[0-9]+", several=[MagentaEngine(), MagentaEngine()])
        list(one.read_files([("", car())] * 3, batch_size=1))
        assert len({driver.certainty for driver in one._drivers}) == 1

    def test_what_goes_wrong_there_is_raised_here(self):
        broken = MagentaEngine()
        broken.find = lambda scenes: 1 / 0
        results = reader(several=[broken]).read_files([("", car())] * 3, batch_size=1)
        with pytest.raises(ZeroDivisionError):
            list(results)

    def test_little_is_read_ahead(self):
        taken = []

        def endless():
            while True:
                taken.append(1)
                yield "car.jpg", car()

        results = reader(several=[MagentaEngine(), MagentaEngine()]).read_files(endless(), batch_size=4)
        for _ in range(9):
            next(results)
        results.close()
        assert len(taken) <= 4 * (3 + 3)  # Three batches were used; two were being read, and one waited.


class TestRoom:
    """Photographs that are held at a time have a bounded number of pixels, however many there are."""

    SIDES = [(10, 10), (10, 10), (30, 30), (10, 10), (60, 60), (60, 60), (10, 10)]

    def photographs(self):
        return [(str(number), np.zeros((*sides, 3), "uint8")) for number, sides in enumerate(self.SIDES)]

    @pytest.mark.parametrize("size", [1, 3, 8])
    def test_batches_stay_below_it_and_keep_the_order(self, size, monkeypatch):
        monkeypatch.setattr(reading, "PIXELS_IN_A_BATCH", 1000)
        batches = list(reading._weighed_batches(self.photographs(), size))
        assert [img_id for batch, _ in batches for img_id, _ in batch] == [str(n) for n in range(len(self.SIDES))]
        for batch, pixels in batches:
            assert pixels == sum(one.shape[0] * one.shape[1] for _, one in batch)
            assert len(batch) <= size and (pixels <= 1000 or len(batch) == 1)

    def test_what_comes_as_bytes_counts_as_well(self):
        files = []
        for _ in range(3):
            file = io.BytesIO()
            Image.new("L", (6000, 5000)).save(file, "PNG")  # Thirty million pixels in 30 kB.
            files.append(("", file.getvalue()))
        assert [len(batch) for batch, _ in reading._weighed_batches(files, 8)] == [1, 1, 1]

    def test_small_photographs_fill_their_batches(self):
        small = [(str(number), np.zeros((8, 8, 3), "uint8")) for number in range(20)]
        assert [len(batch) for batch, _ in reading._weighed_batches(small, 8)] == [8, 8, 4]

    def test_a_batch_is_there_as_soon_as_it_is_full(self):
        """A camera gives its next photograph later."""
        taken = []

        def camera():
            for number in range(4):
                taken.append(number)
                yield str(number), np.zeros((8, 8, 3), "uint8")

        next(reading._weighed_batches(camera(), 2))
        assert taken == [0, 1]

    @pytest.mark.parametrize("count", [1, 3])
    def test_what_waits_stays_below_it(self, count, monkeypatch):
        monkeypatch.setattr(reading, "PIXELS_AHEAD", 5000)
        weights = [100, 4000, 3000, 2500, 9000, 100, 100, 100]
        begun: list[int] = []

        class Pool:
            def submit(self, work, batch):
                begun.append(batch[0])
                done = Future()
                done.set_result(batch[0])
                return done

        batches = (([number], pixels) for number, pixels in enumerate(weights))
        seen = []
        for number in reading._ahead(Pool(), None, batches, count):
            seen.append(number)
            waiting = [weights[one] for one in begun if one not in seen]
            assert sum(waiting) <= 5000 or len(waiting) == 1
            assert len(waiting) <= count
        assert seen == begun == list(range(len(weights)))

    def test_files_tell_their_size_before_they_are_decoded(self, tmp_path):
        Image.new("RGB", (70, 20)).save(tmp_path / "a.png")
        (tmp_path / "b.png").write_bytes(b"no picture")
        assert reading._pixels(tmp_path / "a.png") == 1400
        assert reading._pixels(tmp_path / "b.png") == reading._pixels(tmp_path / "none.png") == 0


def test_the_runtime_leaves_nothing_behind_and_reports_nothing(tmp_path):
    """ONNX Runtime would keep a number of this machine, and what it has not sent yet, in the user's folder."""
    script = "from lpr_e2e import PlateReader; import numpy; PlateReader.load().read(numpy.zeros((60, 80, 3), 'uint8'))"
    kept = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    environment = {**kept, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


class TestCost:
    """What would take minutes is refused in seconds, by its file alone."""

    @staticmethod
    def jpeg() -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (40, 30), (90, 120, 150)).save(file, "JPEG")
        return file.getvalue()

    def crowded(self, kind: str) -> bytes:
        if kind == "jpeg":
            whole = self.jpeg()
            return whole[:2] + (b"\xff\xe1\x00\x10Exif\0\0" + bytes(8)) * 100_000 + whole[2:]
        if kind == "gif":
            file = io.BytesIO()
            Image.new("P", (40, 30)).save(file, "GIF")
            whole = file.getvalue()
            return whole[:13] + b"\x21\xfe" + (b"\xff" + bytes(255)) * 60_000 + b"\0" + whole[13:]
        if kind == "ppm":
            return b"P6\n#" + b"x" * 1_000_000 + b"\n2 2 255\n" + bytes(12)
        return b"P2 4000 4000 255\n" + b"1 " * 16_000_000

    @pytest.mark.parametrize("kind", ["jpeg", "gif", "ppm", "digits"])
    def test_notes_and_digits_without_end_are_refused(self, kind, tmp_path):
        (tmp_path / "a.jpg").write_bytes(self.crowded(kind))
        for source in (tmp_path / "a.jpg", (tmp_path / "a.jpg").read_bytes()):
            with pytest.raises(PictureError, match="would take minutes"):
                read_picture(source)
        with pytest.raises(PictureError, match="would take minutes"):
            read_size(tmp_path / "a.jpg")

    @staticmethod
    def in_parts(kind: str, count: int) -> bytes:
        """A picture that Pillow takes in at least so many parts after it was opened."""
        if kind == "png":
            file = io.BytesIO()
            Image.new("RGB", (40, 30)).save(file, "PNG")
            return (
                file.getvalue()[:-12]
                + (b"\0\0\0\0prVt" + zlib.crc32(b"prVt").to_bytes(4)) * count
                + file.getvalue()[-12:]
            )
        if kind == "ppm":
            return b"P6 100 %d 254\n" % (count // 100) + bytes(300 * (count // 100))
        if kind == "bmp":  # Runs of one pixel each.
            return TestCost.bmp(100, count // 100, (b"\1\0" * 100 + bytes(2)) * (count // 100))
        return TestCost.tiff(count)

    @staticmethod
    def bmp(width: int, height: int, runs: bytes, bits: int = 8) -> bytes:
        """A picture in runs, of 4 or 8 bits a pixel."""
        compression = {8: 1, 4: 2}[bits]
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 2**bits, 0)
        head += bytes(4 * 2**bits)
        return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head)) + head + runs

    @staticmethod
    def tiff(count: int, tags: tuple[int, int, int] = (273, 278, 279), kind: int = 1, order: str = "<") -> bytes:
        """A picture of one column, a strip or a tile for each pixel; their places and lengths in numbers of a byte."""
        where, height, length = tags
        more = [(322, 3, 1, 1)] if where == 324 else [(277, 3, 1, 1)]
        found = [(256, 4, 1, 1), (257, 4, 1, count), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), *more]
        found = sorted([*found, (where, kind, count, 200), (height, 3, 1, 1), (length, kind, count, 200)])
        entries = b""
        for tag, form, many, value in found:
            written = struct.pack(f"{order}HH", value, 0) if form == 3 else struct.pack(f"{order}I", value)
            entries += struct.pack(f"{order}HHI", tag, form, many) + written
        head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(found))
        return (head + entries).ljust(200, b"\0") + b"\1" * count

    @pytest.mark.filterwarnings("ignore:Tag data larger")
    @pytest.mark.parametrize("kind", ["png", "ppm", "bmp", "tiff"])
    def test_small_parts_without_end_are_refused_while_they_are_decoded(self, kind, monkeypatch):
        """Half a gigabyte of them would take minutes, and all the memory."""
        monkeypatch.setattr(images, "_MOST_READS", 5_000)
        with pytest.raises(PictureError, match="small parts that decoding it would take minutes"):
            read_picture(self.in_parts(kind, 10_000))
        assert read_picture(self.in_parts(kind, 1_000)).size

    @pytest.mark.parametrize("bits", [4, 8])
    @pytest.mark.parametrize("runs", [b"\1\0" + bytes(2), b"\0\2\1\0" * 3, b"\xff\1" * 3, b"\0\1"])
    def test_a_few_runs_that_say_many_pixels_are_refused(self, bits, runs):
        """Pillow fills the rest of a line pixel by pixel: half a minute for a hundred bytes."""
        for read in (read_picture, read_size):
            with pytest.raises(PictureError, match="a BMP of 30000000 pixels in runs"):
                read(self.bmp(30_000_000 // 12, 12, runs, bits))
        assert read_picture(self.bmp(200, 1, b"\xc8\1" + runs, bits)).shape == (1, 200, 3)

    @pytest.mark.filterwarnings("ignore:Tag data larger")
    @pytest.mark.parametrize("tags", [(273, 278, 279), (324, 323, 325)])
    @pytest.mark.parametrize("order", "<>")
    def test_strips_and_tiles_without_end_are_refused_before_they_are_listed(self, tags, order):
        """A hundred megabytes of them would take thirty gigabytes of memory when the file is opened."""
        many = self.tiff(2_000_000, tags, order=order)
        for read in (read_picture, read_size):
            with pytest.raises(PictureError, match="a TIFF of 2000000 strips or tiles"):
                read(many)
        assert read_picture(self.tiff(1_000, tags, order=order)).shape == (1000, 1, 3)

    @pytest.mark.filterwarnings("ignore")
    def test_a_directory_of_a_tiff_that_lies_is_no_other_error(self):
        whole = self.tiff(100)
        for damaged in (
            whole[:12],
            whole[:8] + b"\xff\xff" + whole[10:],
            whole[:4] + b"\xff" * 8,
            b"II+\0" + b"\xff" * 90,
        ):
            with contextlib.suppress(PictureError):
                read_picture(damaged)

    @staticmethod
    def with_notes(kind: str, values: int) -> bytes:
        """A picture of 40 x 30 on its side, with EXIF that has so many fractions."""
        entries = [(274, 3, 1, 6), (50000, 5, values, 38)]
        notes = (
            struct.pack("<4sIH", b"II*\0", 8, 2) + b"".join(struct.pack("<HHII", *one) for one in entries) + bytes(4)
        )
        notes += struct.pack("<II", 1, 3) * values
        file, image = io.BytesIO(), Image.new("RGB", (40, 30), (90, 120, 150))
        if kind == "JPEG":
            image.save(file, kind)
            parts = [b"Exif\0\0" + notes[start : start + 65_000] for start in range(0, len(notes), 65_000)]
            whole = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
            return file.getvalue()[:2] + whole + file.getvalue()[2:]
        if kind in ("PNG, in letters", "PNG, at its end"):
            image.save(file, "PNG")
            text = b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(notes), notes.hex().encode())
            name, data = (b"tEXt", text) if kind == "PNG, in letters" else (b"eXIf", notes)
            chunk = struct.pack(">I", len(data)) + name + data + zlib.crc32(name + data).to_bytes(4)
            return file.getvalue()[:-12] + chunk + file.getvalue()[-12:]
        image.save(file, kind, exif=notes)
        return file.getvalue()

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG, at its end", "PNG, in letters", "WEBP"])
    def test_notes_with_values_without_end_are_refused_before_they_are_unpacked(self, kind):
        """Eight megabytes of them took 14 seconds, and memory for each value."""
        for read in (read_picture, read_size):
            with pytest.raises(PictureError, match="MiB of EXIF, which would take minutes"):
                read(self.with_notes(kind, 200_000))
        assert read_picture(self.with_notes(kind, 1_000)).shape == (40, 30, 3)
        size = read_size(self.with_notes(kind, 1_000))
        assert (size.height, size.width) == (40, 30)

    def test_the_notes_of_an_avif_are_left_alone(self, monkeypatch):
        """They say nothing that is not told elsewhere, and are unpacked and packed again when it is opened."""
        whole, unpacked, load = self.with_notes("AVIF", 5_000), [], Image.Exif.load
        assert b"Exif" in whole and len(whole) > 40_000
        monkeypatch.setattr(Image.Exif, "load", lambda self, data: unpacked.append(len(data)) or load(self, data))
        assert read_picture(whole).shape == (40, 30, 3) and read_size(whole).stored == (30, 40)
        assert not [size for size in unpacked if size > 1000]

    @staticmethod
    def tiff_of_lists(values: int, kind: int, place: int, is_big: bool = False) -> bytes:
        """A TIFF whose notes lead to a further list of so many fractions, by a number of this kind."""
        entry, count, long = ("<HHQQ", "<Q", 8) if is_big else ("<HHII", "<H", 4)
        basic = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
        found = [*basic, (277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 1), (34665, kind, 1, place)]
        lists = [
            struct.pack(count, len(one)) + b"".join(struct.pack(entry, *each) for each in one) + bytes(long)
            for one in (found, [(282, 5, values, 600)])
        ]
        head = struct.pack("<4sHHQ", b"II+\0", 8, 0, 16) if is_big else struct.pack("<4sI", b"II*\0", 8)
        return (
            (head + lists[0]).ljust(400, b"\0").ljust(400)
            + lists[1].ljust(200, b"\0")
            + struct.pack("<II", 1, 3) * values
        )

    @pytest.mark.parametrize("is_big", [False, True])
    @pytest.mark.parametrize("kind", [4, 13])
    def test_lists_of_a_tiff_that_others_lead_to_count(self, kind, is_big):
        with pytest.raises(PictureError, match="a TIFF with 11000.. values in its notes, which would take minutes"):
            read_picture(self.tiff_of_lists(1_100_000, kind, 400, is_big))
        assert read_picture(self.tiff_of_lists(1_000, kind, 400, is_big)).shape == (1, 1, 3)

    @pytest.mark.parametrize("kind", [3, 5, 8, 9])
    def test_lists_of_a_tiff_in_other_places_are_refused(self, kind):
        with pytest.raises(PictureError, match="lead nowhere"):
            read_picture(self.tiff_of_lists(1_000, kind, 400))

    def test_values_of_any_note_of_a_tiff_count(self):
        """Whole numbers of 16 bits are objects, bytes and letters are not."""
        whole = bytearray(self.tiff_of_lists(1_000, 4, 400) + bytes(4_000_000))
        for kind, refused in ((3, True), (12, True), (1, False), (2, False), (7, False)):
            struct.pack_into("<HHII", whole, 402, 700, kind, 1_500_000, 600)
            with pytest.raises(PictureError, match="15000.. values") if refused else contextlib.nullcontext():
                read_picture(bytes(whole))

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
    def test_a_picture_with_holes_behind_it_does_not_fill_the_memory(self, kind, tmp_path):
        """What is behind the picture counts: all of a JPEG is searched for scans."""
        Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", kind)
        os.truncate(tmp_path / "a.jpg", 2**36)
        with pytest.raises(PictureError, match="too large: expected at most 2 GiB, found 64"):
            read_picture(tmp_path / "a.jpg")
        os.truncate(tmp_path / "a.jpg", 2**21)
        assert read_picture(tmp_path / "a.jpg").shape == (30, 40, 3)

    def test_scans_are_counted_wherever_blocks_end(self):
        """A marker may lie half in one block and half in the next one."""
        whole = self.jpeg()
        for before in range(3):
            image = whole + b"\0" * (2**20 - len(whole) - 2 + before) + b"\xff\xda" * 2_000_000
            with pytest.raises(PictureError, match="a JPEG of 2000001 scans"):
                read_picture(image)

    @pytest.mark.parametrize("scans", [0, 60, 200])
    def test_scans_in_a_tiff_have_a_limit_too(self, scans):
        """Of libtiff's, 100: what a JPEG is refused for may not come in a TIFF."""
        file, side = io.BytesIO(), 64
        Image.new("L", (side, side), 77).save(file, "JPEG", progressive=True)
        whole = file.getvalue()
        data = whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * scans + whole[-2:]
        found = [(256, side), (257, side), (258, 8), (259, 7), (262, 1), (273, 200), (277, 1), (278, side)]
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in [*found, (279, len(data))])
        tiff = (struct.pack("<4sIH", b"II*\0", 8, len(found) + 1) + entries).ljust(200, b"\0") + data
        with pytest.raises(PictureError) if scans > 100 else contextlib.nullcontext():
            assert read_picture(tiff).shape == (side, side, 3)

    def test_what_cameras_write_is_read(self, tmp_path):
        """Three hundred parts of notes, a colour profile in 255, a small picture in digits."""
        whole = self.jpeg()
        notes = (b"\xff\xe1\xff\xff" + b"http://ns.adobe.com/xmp/extension/\0" + bytes(65_498)) * 300
        (tmp_path / "a.jpg").write_bytes(whole[:2] + notes + whole[2:])
        assert read_picture(tmp_path / "a.jpg").shape == (30, 40, 3)
        assert read_picture(b"P2 20 10 255\n" + b"1 " * 200).shape == (10, 20, 3)
