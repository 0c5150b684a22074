"""Clips, cameras and streams: a row for each vehicle, nothing lost on the way, no password or hidden plate shown."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_in import VOCABULARY, MagentaEngine, SeveralEngine, car, reader, street

from lpr_e2e.cli import main
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import WholeLines
from lpr_e2e.common.photographs import as_text
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.scenes import EXAMPLE_TEXTS, draw_scene
from lpr_e2e.evaluation.calibration import expected_calibration_error
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.video import frames as frames_module
from lpr_e2e.video import opening
from lpr_e2e.video.clips import RedactedClip
from lpr_e2e.video.frames import BrokenOff, Frame, LiveFrames, open_source, shown_name
from lpr_e2e.video.outputs import COLUMNS, read_passes
from lpr_e2e.video.passes import LEAST_SEEN, PassBook
from lpr_e2e.video.tracker import REMEMBERED, Sighting, Tracker
from lpr_e2e.video.votes import APART, CORRELATION, Votes, effective
from lpr_e2e.video.watching import watch

av = pytest.importorskip("av")
ROOT = Path(__file__).resolve().parent.parent
STEP = 1 / 6


def box_at(x: float, y: float = 100, width: float = 60, height: float = 20):
    return (y - height / 2, x - width / 2, y + height / 2, x + width / 2)


def write_clip(path: Path, pictures, rate: int = 10, sound: bool = False, sound_seconds: int = 1) -> Path:
    """A clip of uint8 RGB pictures, all of one even size."""
    pictures = list(pictures)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "the car of AB12CDE"
        stream = container.add_stream("h264", rate=rate, options={"crf": "10", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        voice = container.add_stream("aac", rate=8000) if sound else None
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if voice is not None:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 8000 * sound_seconds), "float32"), format="fltp", layout="mono"
            )
            silence.sample_rate = 8000
            container.mux(voice.encode(silence))
            container.mux(voice.encode())
    return path


def passing(count: int = 20, hidden: tuple[int, ...] = (), step: int = 8):
    """Pictures of a magenta plate that moves to the right; on some of them it is not seen."""
    for number in range(count):
        left = 40 + step * number
        yield car(box=(100, left, 140, left + 100)) if number not in hidden else np.full((240, 320, 3), 120, "uint8")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", passing(), sound=True)


@pytest.fixture
def magenta(monkeypatch) -> MagentaEngine:
    """A model that reads magenta plates, whatever model is asked for."""
    engine = MagentaEngine(0.99)
    monkeypatch.setattr(PlateReader, "load", classmethod(lambda cls, path=None, format=None, **_: reader(engine)))
    return engine


def said(text: str, certainty: float = 0.9) -> np.ndarray:
    """The characters of a reading, each of this certainty."""
    classes = VOCABULARY.classes
    right = np.eye(classes)[VOCABULARY.encode(text)] > 0
    return np.where(right, certainty, (1 - certainty) / (classes - 1))


def a_reading(text: str, box, certainty: float = 0.97) -> Reading:
    status = "ok" if text else "illegible"
    return Reading("", text, certainty if text else 0.0, box, 0.9, status, said(text, certainty))


class TestTracker:
    def follow(self, tracker, moments):
        """The number of the track of each sighting; `moments` are pairs of seconds and sightings."""
        numbers: dict[int, int] = {}
        return [
            [numbers.setdefault(id(track), len(numbers)) for track in tracker.follow(seconds, sightings)[0]]
            for seconds, sightings in moments
        ]

    @pytest.mark.parametrize("texts", [("12T345", "67T890"), ("", "")], ids=["read", "not read"])
    def test_plates_that_cross_keep_their_tracks(self, texts):
        moments = []
        for step in range(20):
            there, back = 100 + 30 * step, 670 - 30 * step
            sightings = [
                Sighting(step * STEP, box_at(x, y), text, 0.9)
                for x, y, text in ((there, 100, texts[0]), (back, 106, texts[1]))
            ]
            moments.append((step * STEP, sightings[:: -1 if step % 2 else 1]))
        found = self.follow(Tracker(), moments)
        assert [pair[:: -1 if step % 2 else 1] for step, pair in enumerate(found)] == [[0, 1]] * 20

    def test_texts_keep_apart_what_meets_at_one_place(self):
        """Both turn back where they meet: place and speed alone would exchange them."""
        moments = []
        for step in range(21):
            seconds, away = step * STEP, abs(10 - step) * 20
            left = Sighting(seconds, box_at(300 - away), "12T345", 0.9)
            right = Sighting(seconds, box_at(310 + away), "67T890", 0.9)
            moments.append((seconds, [left, right]))
        assert self.follow(Tracker(), moments) == [[0, 1]] * 21

    @pytest.mark.parametrize(("gap", "tracks"), [(0.8, 1), (1.4, 2)])
    def test_a_gap_of_less_than_a_second_is_survived(self, gap, tracks):
        times = [0, STEP, 2 * STEP, 2 * STEP + gap, 3 * STEP + gap]
        moments = [(one, [Sighting(one, box_at(100 + 120 * one), "12T345", 0.9)]) for one in times]
        assert max(number for (number,) in self.follow(Tracker(), moments)) == tracks - 1

    def test_blurred_readings_belong_to_the_plate(self):
        texts = ["12T345", "", "12T346", "17T3", "12T345", "?345"]
        moments = [
            (step * STEP, [Sighting(step * STEP, box_at(100 + 40 * step), text, 0.6)])
            for step, text in enumerate(texts)
        ]
        assert self.follow(Tracker(), moments) == [[0]] * 6

    def test_another_plate_far_away_is_another_one(self):
        moments = [
            (0.0, [Sighting(0.0, box_at(100), "12T345", 0.9)]),
            (STEP, [Sighting(STEP, box_at(900), "67T890", 0.9)]),
        ]
        assert self.follow(Tracker(), moments) == [[0], [1]]

    def test_the_box_between_two_sightings_is_between_them(self):
        tracker = Tracker()
        for seconds, x in ((0.0, 100), (1.0, 200)):
            (track,), _ = tracker.follow(seconds, [Sighting(seconds, box_at(x))])
        assert track.box_at(0.25) == box_at(125)
        assert track.box_at(1.2) is None and track.box_at(1.2, beyond=0.25) == pytest.approx(box_at(220))
        assert track.box_at(-0.2, beyond=0.25) == pytest.approx(box_at(80))


class TestVotes:
    def voted(self, readings, apart=STEP) -> np.ndarray:
        votes = Votes(VOCABULARY.slots, VOCABULARY.classes)
        for place, one in enumerate(readings):
            votes.add(one, apart if place else None)
        return votes.characters()

    @pytest.mark.parametrize("text", ["12T345", "9N", "", "123T4567"])
    def test_one_reading_stays_as_it_is(self, text):
        one = said(text, 0.8)
        voted = self.voted([one])
        assert VOCABULARY.decode(voted)[0] == text
        np.testing.assert_allclose(voted[: len(text) + 1], one[: len(text) + 1], atol=1e-3)

    @pytest.mark.parametrize("further", ["12T34", "1T345", "12T3455", "412T345", "12T3"])
    def test_characters_that_fell_out_or_came_in_are_put_in_their_place(self, further):
        """Unaligned, all behind them would vote for their neighbours."""
        alone = self.voted([said("12T345", 0.7)] * 4)
        text, certainties = VOCABULARY.decode(self.voted([said("12T345", 0.7)] * 4 + [said(further, 0.7)]))
        assert text == "12T345" and certainties[:3].min() > 0.9 * alone.max(-1)[:3].min()

    def noisy(self, rng, count, looks, correlation):
        """Texts, and what several looks at each give: exact posteriors of what was seen, errors of this correlation."""
        classes, slots = VOCABULARY.classes, VOCABULARY.slots
        strength = 2.2
        for _ in range(count):
            text = "".join(rng.choice(list("0123456789"), rng.integers(5, 8)))
            truth = np.eye(classes)[VOCABULARY.encode(text)]
            shared = rng.standard_normal((slots, classes)) * np.sqrt(correlation)
            seen = strength * truth + shared + rng.standard_normal((looks, slots, classes)) * np.sqrt(1 - correlation)
            odds = np.exp(strength * (seen - seen.max(-1, keepdims=True)))
            yield text, odds / odds.sum(-1, keepdims=True)

    def test_votes_are_better_than_the_best_single_frame(self):
        rng, best, voted = np.random.default_rng(0), 0, 0
        for text, looks in self.noisy(rng, 200, 8, CORRELATION):
            best += VOCABULARY.decode(max(looks, key=VOCABULARY.certainty))[0] == text
            voted += VOCABULARY.decode(self.voted(looks))[0] == text
        assert voted > best + 10

    @pytest.mark.parametrize("looks", [1, 2, 8, 30])
    def test_the_voted_probabilities_of_characters_are_calibrated(self, looks):
        """However many looks there are, as long as their errors are as alike as is supposed."""
        told, right = [], []
        for text, readings in self.noisy(np.random.default_rng(1), 150, looks, CORRELATION):
            voted, truth = self.voted(readings), VOCABULARY.encode(text)
            if VOCABULARY.decode(voted)[0] and len(VOCABULARY.decode(voted)[0]) == len(text):
                told += list(voted[: len(text)].max(-1))
                right += list(voted[: len(text)].argmax(-1) == truth[: len(text)])
        assert expected_calibration_error(told, right) < 0.05

    def test_many_looks_are_worth_a_few(self):
        assert effective(1) == 1 and effective(10_000) == pytest.approx(1 / CORRELATION, rel=0.01)

    def test_frames_of_one_moment_are_one_look(self):
        slow, fast = (Votes(VOCABULARY.slots, VOCABULARY.classes) for _ in range(2))
        for votes, count in ((slow, 3), (fast, 31)):
            for place in range(count):
                votes.add(said("12T345"), 2 * APART / (count - 1) if place else None)
        assert fast.looks == pytest.approx(slow.looks)
        np.testing.assert_allclose(fast.characters(), slow.characters(), atol=1e-6)


def watched(moments, book=None):
    """The passes of what is seen; `moments` are pairs of seconds and readings."""
    book = book or PassBook(reader())
    picture, ended = np.zeros((480, 640, 3), "uint8"), []
    for number, (seconds, readings) in enumerate(moments):
        book.see(Frame(number, seconds, picture), readings)
        ended += book.ended(seconds)
    return ended + book.finish()


def drive(text, start, frames=6, x=150.0, y=200.0, speed=240.0):
    """Readings of a vehicle that passes."""
    return [
        (start + step * STEP, [a_reading(text, box_at(x + speed * step * STEP, y))]) for step in range(frames)
    ]  # fmt: skip


class TestPasses:
    def test_a_vehicle_is_one_pass(self):
        (one,) = watched(drive("12T345", 1.0))
        assert (one.reading.text, one.reading.status, one.seen) == ("12T345", "ok", 6)
        assert one.first == 1.0 and one.last == pytest.approx(1 + 5 * STEP)
        assert one.shot.plate[:2] == one.shot.frame[:2] == b"\xff\xd8"

    @pytest.mark.parametrize(("away", "passes"), [(3.0, 1), (20.0, 2)])
    def test_a_vehicle_that_was_hidden_is_the_same_pass(self, away, passes):
        before = drive("12T345", 0.0, x=150)
        after = drive("12T345", before[-1][0] + away, x=420)
        assert [one.reading.text for one in watched(before + after)] == ["12T345"] * passes

    def test_a_vehicle_that_was_hidden_and_misread_is_the_same_pass(self):
        before = [(0.0, [a_reading("12T346", box_at(150, 200), 0.45)])]
        (one,) = watched(before + drive("12T345", 3.0, x=420))
        assert one.reading.text == "12T345" and one.seen == 7 and one.first == 0.0

    def test_vehicles_of_a_fleet_are_not_one(self):
        passes = watched(drive("12T345", 0.0) + drive("12T346", 3.0))
        assert [one.reading.text for one in passes] == ["12T345", "12T346"]

    def test_a_plate_cut_off_at_first_is_no_pass_of_its_own(self):
        """The model of this test has no `?`: what it reads of the first frames is too short."""
        entering = [(0.0, [a_reading("345", (190.0, 0.0, 210.0, 20.0))])]
        later = [(STEP + seconds, readings) for seconds, readings in drive("12T345", 0.0, x=30)]
        (one,) = watched(entering + later)
        assert one.reading.text == "12T345" and one.reading.status == "ok"

    @pytest.mark.parametrize("frames", range(1, 6))
    def test_what_is_not_read_must_be_seen_in_several_frames(self, frames):
        book = PassBook(reader())
        passes = watched(drive("", 0.0, frames), book)
        assert len(passes) == (frames >= LEAST_SEEN) and book.left_out == (frames < LEAST_SEEN)
        assert [one.reading.status for one in passes] == ["illegible"] * len(passes)

    def test_a_box_around_a_plate_is_no_plate(self):
        moments = [
            (seconds, [*readings, a_reading("77T777", box_at(150 + 240 * seconds, 200, 160, 80), 0.6)])
            for seconds, readings in drive("12T345", 0.0)
        ]
        assert [one.reading.text for one in watched(moments)] == ["12T345"]

    def test_votes_put_single_errors_right(self):
        texts = ["12T345", "12T845", "12T345", "72T345", "12T34"]
        moments = [
            (step * STEP, [a_reading(text, box_at(150 + 40 * step, 200), 0.7)]) for step, text in enumerate(texts)
        ]
        (one,) = watched(moments)
        assert one.reading.text == "12T345"

    def test_hours_take_no_more_memory_than_minutes(self):
        book, picture = PassBook(reader()), np.zeros((48, 64, 3), "uint8")
        rng = np.random.default_rng(0)

        def minutes(start, count):
            for step in range(count):
                seconds = start + step * STEP
                text = (
                    f"{int(seconds) // 10 % 90 + 10}T345"  # Another vehicle every ten seconds, and some that flicker.
                )
                readings = [a_reading(text, box_at(100 + (seconds % 10) * 50))]
                if rng.random() < 0.2:
                    readings.append(a_reading("", box_at(*rng.uniform(0, 500, 2))))
                book.see(Frame(step, seconds, picture), readings)
                book.ended(seconds)

        minutes(0, 300)
        tracemalloc.start()
        try:
            minutes(1000, 120)
            before = tracemalloc.get_traced_memory()[0]
            minutes(2000, 480)
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < 200_000


class TestNames:
    @pytest.mark.parametrize(
        ("source", "shown"),
        [
            ("rtsp://user:secret@camera:554/live/1", "rtsp://camera:554/live/1"),
            ("rtsp://user:se@cr@et/x@camera/live", "rtsp://camera/live"),
            ("rtsp://user:se?cret@camera/live", "rtsp://…"),
            ("http://camera/video.cgi?user=admin&pwd=secret", "http://camera/video.cgi…"),
            ("rtsp://camera/user=admin&password=secret&channel=1", "rtsp://camera/…"),
            ("rtsp//user:secret@camera/live", "camera/live"),
            ("clip.mp4", "clip.mp4"),
        ],
    )
    def test_no_password_is_shown(self, source, shown):
        assert shown_name(source) == shown and "secret" not in shown

    def test_nor_by_an_address_that_does_not_answer(self, capfd, tmp_path):
        address = "rtsp://user:secret@127.0.0.1:9/live?token=secret"
        assert main(["video", address, "--output", str(tmp_path / "out")]) == 2
        told = capfd.readouterr()
        assert "secret" not in told.out + told.err and "127.0.0.1:9/live" in told.err
        assert told.err.count("\n") == 1


class TestFiles:
    def test_frames_come_with_their_times(self, clip):
        frames = list(open_source(str(clip), every=4, all_frames=True))
        assert [frame.number for frame in frames] == list(range(20))
        np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(20) / 10, atol=1e-3)
        assert [frame.number for frame in frames if frame.wanted] == [0, 4, 8, 12, 16]
        assert [frame.number for frame in open_source(str(clip), every=4)] == [0, 4, 8, 12, 16]

    @pytest.mark.parametrize(("rate", "told"), [(10, 10), (25, 25), (25, 1000), (30, 240)])
    def test_a_clip_that_boasts_of_its_rate_is_read_often_enough(self, rate, told, tmp_path):
        """As browsers record them: times are right, and the rate is that of the clock."""
        path = tmp_path / "clip.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=told)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            for number in range(2 * rate):
                frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), "uint8"), format="rgb24")
                frame.pts, frame.time_base = number * 1000 // rate, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        source = open_source(str(path))
        assert round(source.rate) == told
        times = [frame.seconds for frame in source]
        assert np.diff([*times, 2]).max() < 0.3 and len(times) <= 15 and not source.fault
        assert len(list(open_source(str(path), every=2 * rate))) == 1  # Who says how many gets so many.

    @pytest.mark.parametrize("seconds", [1, 2, 7])
    @pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
    def test_a_clip_whose_sound_goes_on_for_longer_was_not_cut_off(self, seconds, ending, tmp_path):
        clip = write_clip(tmp_path / f"clip.{ending}", passing(20), sound=True, sound_seconds=seconds)
        source = open_source(str(clip))
        assert len(list(source)) == 10 and not source.fault

    @pytest.mark.parametrize("name", [b"gate.mp4", b"\xff gate.mp4", 'ق, "1".mp4'.encode()])
    def test_a_clip_and_its_output_may_have_any_name(self, name, clip, magenta, tmp_path):
        path, output = tmp_path / os.fsdecode(name), tmp_path / os.fsdecode(b"out " + name)
        path.write_bytes(clip.read_bytes())
        assert main(["video", str(path), "--output", str(output), "--redact", "box"]) == 0
        assert [row["source"] for row in rows_of(output)] == [as_text(str(path))]
        assert '"frame":' in (output / "passes.html").read_text(encoding="utf-8")
        assert len(pictures_of(output / "redacted.mp4")) == 20

    def test_a_clip_without_a_frame_is_called_so_and_leaves_no_copy(self, magenta, tmp_path, capfd):
        data = write_clip(tmp_path / "whole.mkv", passing(20)).read_bytes()
        (tmp_path / "clip.mkv").write_bytes(data[: data.index(b"\x1fC\xb6u") + 40])  # The head, and no picture.
        command = ["video", str(tmp_path / "clip.mkv"), "--output", str(tmp_path / "out"), "--annotated"]
        assert main([*command, "--redact", "box"]) == 1
        told = capfd.readouterr()
        assert "not one frame could be decoded" in told.err and "Errno" not in told.err
        assert told.out.count("there is no") == 2 and not list((tmp_path / "out").rglob("*.mp4"))

    def test_a_clip_that_lies_on_its_side_is_turned(self, tmp_path):
        """Its display matrix says that players turn it clockwise."""
        flat = write_clip(tmp_path / "flat.mp4", passing(3))
        data = flat.read_bytes()
        one, none = (65_536).to_bytes(4, "big"), bytes(4)
        less = (-65_536).to_bytes(4, "big", signed=True)
        identity, turned = one + 3 * none + one, none + one + none + less + none
        place = data.index(identity, data.index(b"tkhd"))
        on_its_side = tmp_path / "side.mp4"
        on_its_side.write_bytes(data[:place] + turned + data[place + len(turned) :])
        before, after = (next(iter(open_source(str(path)))).picture for path in (flat, on_its_side))
        np.testing.assert_array_equal(after, np.rot90(before, -1))

    def test_of_a_file_that_is_cut_off_what_there_is_is_kept_and_the_fault_named(self, tmp_path, magenta, capfd):
        whole = write_clip(tmp_path / "whole.ts", passing(60, step=2), rate=10)
        broken = tmp_path / "broken.mkv"
        write_clip(broken, passing(60, step=2), rate=10)
        data = broken.read_bytes()
        broken.write_bytes(data[: len(data) // 2])
        assert main(["video", str(broken), "--output", str(tmp_path / "out")]) == 1
        error = capfd.readouterr().err
        assert re.search(r"broken.mkv: (ends|broken) after \d\.\d .*: .*; what was read before is kept", error), error
        assert [one.text for one in read_passes(tmp_path / "out/passes.jsonl")] == ["12T345"]
        assert main(["video", str(whole), "--output", str(tmp_path / "whole")]) == 0

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("missing.mp4", "no such file"),
            ("text.mp4", "cannot be opened as a video: Invalid data"),
            ("empty.mp4", "cannot be opened as a video"),
            (".", "no file"),
        ],
    )
    def test_what_is_no_video_is_one_line(self, name, words, tmp_path, capfd):
        (tmp_path / "text.mp4").write_text("not a video")
        (tmp_path / "empty.mp4").touch()
        assert main(["video", str(tmp_path / name), "--output", str(tmp_path / "out")]) == 2
        error = capfd.readouterr().err
        assert words in error and error.count("\n") == 1
        assert not (tmp_path / "out").exists()


def raw_clip(path: Path, frames: list[bytes], form: str = "avi") -> Path:
    """A clip of JPEG frames, said to be of 64 x 48 pixels each."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number, data in enumerate(frames):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 5)
            container.mux(packet)
    return path


def jpeg_frame(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG")
    return file.getvalue()


class TestForeignClips:
    @pytest.mark.parametrize("kind", ["concat", "jpeg", "png", "tiff", "pcx"])
    def test_lists_of_other_files_and_pictures_are_no_clips_whatever_they_are_called(self, kind, tmp_path):
        """FFmpeg opened what a list names, and decoded pictures of all kinds."""
        path = tmp_path / "clip.mp4"
        raw_clip(tmp_path / "private.avi", [jpeg_frame(64, 48)])
        if kind == "concat":
            path.write_text("ffconcat version 1.0\nfile private.avi\n")
        else:
            Image.new("RGB", (64, 48)).save(path, kind)
        with pytest.raises(UserError, match="cannot be opened as a video: (of a form that|Invalid data)"):
            open_source(str(path))

    @pytest.mark.parametrize(("form", "codec"), [("avi", b"MJPG"), ("mov", b"jpeg"), ("matroska", b"V_MJPEG")])
    def test_a_clip_that_nothing_decodes_is_refused(self, form, codec, tmp_path):
        path = raw_clip(tmp_path / "clip", [jpeg_frame(64, 48)], form)
        assert codec in path.read_bytes() and open_source(str(path))
        path.write_bytes(path.read_bytes().replace(codec, codec[:-2] + b"zz"))
        with pytest.raises(UserError, match="cannot be opened as a video: its video is of a form that FFmpeg does not"):
            open_source(str(path))

    @pytest.mark.parametrize("form", ["avi", "matroska", "mov", "nut", "mjpeg"])
    def test_clips_are_told_by_content(self, form, tmp_path):
        source = open_source(str(raw_clip(tmp_path / "clip.xyz", [jpeg_frame(64, 48)] * 3, form)), every=1)
        assert [frame.picture.shape for frame in source] == [(48, 64, 3)] * 3 and not source.fault

    @pytest.mark.parametrize("frames", [[(64, 48), (640, 480)], [(640, 480)]])
    def test_frames_larger_than_pictures_may_be_are_not_decoded(self, frames, tmp_path, monkeypatch):
        """A few kilobytes say 268 megapixels, which take a gigabyte for each frame and core."""
        path = raw_clip(tmp_path / "clip.avi", [jpeg_frame(*size) for size in frames])
        monkeypatch.setattr(opening, "MAX_PIXELS", 640 * 480)
        source = open_source(str(path), every=1)
        assert [frame.picture.shape[:2] for frame in source] == [size[::-1] for size in frames] and not source.fault
        monkeypatch.setattr(opening, "MAX_PIXELS", 640 * 480 - 1)
        source = open_source(str(path), every=1)
        assert [frame.picture.shape[:2] for frame in source] == [(48, 64)] * (len(frames) - 1)
        assert "one of more than" in source.fault


class Breaking:
    """A camera whose stream breaks off, again and again.

    Args:
        frames: of each connection, one list after the other; then none can be made.
        pause: seconds between frames.
    """

    def __init__(self, *frames, pause=0.0):
        self.frames, self.pause, self.connected = list(frames), pause, 0

    def __call__(self):
        if not self.frames:
            raise BrokenOff("Connection refused")
        self.connected += 1
        for picture in self.frames.pop(0):
            time.sleep(self.pause)
            yield functools.partial(np.asarray, picture)
        raise BrokenOff("Input/output error")


def live(camera, name="rtsp://gate", reconnects=3, tell=None) -> LiveFrames:
    return LiveFrames(camera, name, reconnects, tell, first_wait=0.002)


class TestLive:
    def test_a_stream_that_breaks_off_ten_times_is_opened_again(self):
        lines: list[str] = []
        camera = Breaking(*([picture] for picture in passing(11)), pause=0.02)
        source = live(camera, tell=lines.append)
        frames = list(source)
        assert camera.connected == 11
        assert len(frames) + source.dropped == 11 and len(frames) >= 2
        assert "Connection refused" in source.fault and "3 attempts" in source.fault
        waits = [float(re.search(r"in ([\d.e-]+) seconds", line)[1]) for line in lines]
        assert waits[-3:] == pytest.approx([0.002, 0.004, 0.008]), "they grow while nothing comes"
        assert waits[:10] == pytest.approx([0.002] * 10), "and begin anew when something has come"

    def test_frames_that_nobody_waits_for_are_dropped_and_counted(self):
        source = live(Breaking(passing(40), pause=0.003), reconnects=0)
        frames = []
        for frame in source:
            frames.append(frame)
            time.sleep(0.02)
        assert source.dropped > 10 and len(frames) + source.dropped == 40
        numbers, seconds = [frame.number for frame in frames], [frame.seconds for frame in frames]
        assert numbers == sorted(set(numbers)) and numbers[-1] == 39, "the newest one is kept"
        assert seconds == sorted(seconds)

    def test_a_dropped_frame_is_never_converted(self):
        converted = []

        def connect():
            for number in range(30):
                yield lambda number=number: converted.append(number) or np.zeros((4, 4, 3), "uint8")
            raise BrokenOff("end")

        source = live(connect, reconnects=0)
        frames = list(source)
        assert converted == [frame.number for frame in frames]

    def test_times_are_wall_times(self):
        source = live(Breaking(passing(1)), reconnects=0)
        (frame,) = source
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", source.stamp(frame.seconds))

    def test_a_pass_is_told_though_no_further_frame_comes(self, monkeypatch):
        monkeypatch.setattr(frames_module, "_IDLE", 0.02)
        book, told = PassBook(reader(MagentaEngine(0.99)), gap=0.05, apart=0.05), []
        monkeypatch.setattr("lpr_e2e.video.passes._SETTLED", 0.05)

        def connect():
            yield from (functools.partial(np.asarray, picture) for picture in passing(2))
            until = time.monotonic() + 10
            while not told and time.monotonic() < until:
                time.sleep(0.01)
            raise BrokenOff("end")

        for seen in watch(live(connect, reconnects=0), reader(MagentaEngine(0.99)), book):
            told += [one.reading.text for one in seen.ended]
        assert told == ["12T345"]

    def test_every_is_for_files(self, monkeypatch, clip):
        monkeypatch.setattr(frames_module, "opened", lambda source, device, live: av.open(str(clip)))
        with pytest.raises(UserError, match="rtsp://gate: --every is for files"):
            open_source("rtsp://gate", every=2)


@pytest.fixture
def gate(monkeypatch):
    """Has the command watch a camera that gives these pictures, then breaks off for good."""

    def put(*connections, pause=0.01, name="rtsp://gate"):
        source = live(Breaking(*connections, pause=pause), name, reconnects=1)
        monkeypatch.setattr(frames_module, "open_source", lambda *_: source)
        return source

    return put


def rows_of(output: Path) -> list[dict[str, str]]:
    with (output / "passes.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestCommand:
    def test_a_clip_gives_a_row_pictures_and_a_page(self, clip, magenta, tmp_path, capfd):
        output = tmp_path / "out"
        assert main(["video", str(clip), "--output", str(output)]) == 0
        assert "1 pass: 1 ok" in capfd.readouterr().out
        (row,) = rows_of(output)
        assert tuple(row) == COLUMNS
        assert (row["text"], row["status"], row["first"], row["last"], row["frames"]) == (
            "12T345",
            "ok",
            "0.0",
            "1.8",
            "10",
        )
        assert float(row["ymin"]) == pytest.approx(100, abs=4)
        for name in (row["plate"], row["frame"]):
            assert (output / name).read_bytes()[:2] == b"\xff\xd8"
        (one,) = read_passes(output / "passes.jsonl")
        assert one.text == "12T345" and len(one.certainties) == 7
        page = (output / "passes.html").read_text(encoding="utf-8")
        data = [json.loads(one) for one in re.findall(r'class="pass">(.*?)</script>', page)]
        assert [one["text"] for one in data] == ["12T345"] and data[0]["plate"] and data[0]["frame"]
        assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page
        assert {path.name for path in output.iterdir()} == {"passes.csv", "passes.jsonl", "passes.html", "pictures"}

    def test_a_camera_gives_wall_times_and_says_what_was_dropped(self, gate, magenta, monkeypatch, tmp_path, capfd):
        find = magenta.find
        monkeypatch.setattr(magenta, "find", lambda scenes: time.sleep(0.05) or find(scenes))
        source = gate(passing(20), pause=0.005)
        assert main(["video", "rtsp://user:secret@gate", "--output", str(tmp_path)]) == 1
        told = capfd.readouterr()
        assert f"{source.dropped} frames dropped" in told.out and source.dropped
        assert "given up after 1 attempts" in told.err
        (row,) = rows_of(tmp_path)
        assert re.match(r"\d{4}-\d\d-\d\dT", row["first"]) and row["source"] == "rtsp://gate"
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"secret" not in written and "secret" not in told.out + told.err

    def test_an_earlier_run_is_gone_on_with_and_a_half_written_line_cut_off(self, gate, magenta, tmp_path, capfd):
        gate(passing(6))
        main(["video", "rtsp://gate", "--output", str(tmp_path)])
        with (tmp_path / "passes.jsonl").open("a") as file:
            file.write('{"number": 2, "text": "12T')  # Killed while it wrote.
        gate(passing(6))
        main(["video", "rtsp://gate", "--output", str(tmp_path)])
        assert "holds 1 pass; further ones are added" in capfd.readouterr().out
        assert [row["number"] for row in rows_of(tmp_path)] == ["1", "2"]
        assert len(re.findall('class="pass"', (tmp_path / "passes.html").read_text(encoding="utf-8"))) == 2

    @pytest.mark.parametrize(
        "content",
        [
            '{"lap": 1, "driver": "A"}',
            "one pass a line",
            '{"number": 1}\n{"lap": 2}',
            "[]",
            '{"text": "A", "number": 1',
            "x" * 3_000_000,
            '{"number": ' + "1" * 3_000_000,
        ],
        ids=["json", "text", "second line", "list", "other order", "long", "long number"],
    )
    def test_a_file_of_somebody_else_of_that_name_is_left_alone(self, content, gate, magenta, tmp_path, capfd):
        """Without a line end it was taken for half a pass, and cut off."""
        (tmp_path / "out").mkdir()
        (tmp_path / "out/passes.jsonl").write_text(content)
        gate(passing(2))
        assert main(["video", "rtsp://gate", "--output", str(tmp_path / "out")]) == 2
        said = [line for line in capfd.readouterr().err.splitlines() if "no pass as this version writes it" in line]
        assert len(said) == 1 and "name another folder with --output" in said[0]
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["passes.jsonl"]
        assert (tmp_path / "out/passes.jsonl").read_text() == content

    @pytest.mark.parametrize("name", ["passes.html", "passes.csv", "passes.jsonl", "pictures"])
    def test_no_result_is_written_through_a_link(self, name, gate, magenta, tmp_path, capfd):
        (tmp_path / "out").mkdir()
        (tmp_path / "out/passes.jsonl").touch()
        (tmp_path / "mine").mkdir() if name == "pictures" else (tmp_path / "mine").touch()
        (tmp_path / "out" / name).unlink(missing_ok=True)
        (tmp_path / "out" / name).symlink_to(tmp_path / "mine")
        gate(passing(2))
        assert main(["video", "rtsp://gate", "--output", str(tmp_path / "out")]) == 2
        assert f"{name}: a link to {tmp_path / 'mine'}, which is not overwritten" in capfd.readouterr().err
        assert (tmp_path / "out" / name).is_symlink()
        assert not (list((tmp_path / "mine").iterdir()) if name == "pictures" else (tmp_path / "mine").read_bytes())

    def test_of_a_file_an_earlier_run_is_refused(self, clip, gate, magenta, tmp_path, capfd):
        assert main(["video", str(clip), "--output", str(tmp_path)]) == 0
        before = (tmp_path / "passes.jsonl").read_bytes()
        assert main(["video", str(clip), "--output", str(tmp_path)]) == 2
        assert "holds passes of an earlier run" in capfd.readouterr().err
        gate(passing(3))
        assert main(["video", "rtsp://gate", "--output", str(tmp_path)]) == 2
        assert "clip.mp4; name another folder" in capfd.readouterr().err
        assert (tmp_path / "passes.jsonl").read_bytes() == before

    @pytest.mark.parametrize(
        ("name", "options"), [("annotated.mp4", ["--annotated"]), ("redacted.mp4", ["--redact", "box"])]
    )
    def test_an_output_that_is_the_source_is_refused(self, name, options, clip, magenta, tmp_path, capfd):
        source = tmp_path / name
        source.write_bytes(clip.read_bytes())
        assert main(["video", str(source), "--output", str(tmp_path), *options]) == 2
        assert "overwrite" in capfd.readouterr().err
        assert source.read_bytes() == clip.read_bytes()

    @pytest.mark.parametrize("package", ["av", "scipy"])
    def test_a_package_that_is_missing_is_one_line(self, package, clip, monkeypatch, tmp_path, capfd):
        for name in [one for one in sys.modules if one.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
        assert main(["video", str(clip), "--output", str(tmp_path / "out")]) == 2
        error = capfd.readouterr().err
        assert error.count("\n") == 1 and f"this needs {package}" in error and "'.[video]'" in error

    def test_killed_it_has_kept_what_had_ended_and_goes_on(self, gate, magenta, tmp_path):
        script = (
            "import itertools, sys, numpy as np\n"
            "sys.path[:0] = ['tests']\n"
            "from stand_in import MagentaEngine, reader\n"
            "from test_video import Breaking, live, passing\n"
            "from lpr_e2e.cli import main\n"
            "from lpr_e2e.prediction.reader import PlateReader\n"
            "from lpr_e2e.video import frames\n"
            "PlateReader.load = classmethod(lambda cls, path=None, format=None, **_: reader(MagentaEngine(0.99)))\n"
            "empty = np.full((240, 320, 3), 120, 'uint8')\n"
            "camera = Breaking(itertools.cycle([*passing(20), *[empty] * 60]), pause=0.02)\n"
            "frames.open_source = lambda *_: live(camera)\n"
            "main(['video', 'rtsp://gate', '--output', sys.argv[1], '--gap', '0.1', '--apart', '0.1'])\n"
        )
        lines = tmp_path / "passes.jsonl"
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 120
            while not (lines.exists() and lines.stat().st_size) and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
        before = [one.text for one in read_passes(lines)]
        assert before and set(before) == {"12T345"}
        gate(passing(6))
        main(["video", "rtsp://gate", "--output", str(tmp_path)])
        assert [row["text"] for row in rows_of(tmp_path)] == [*before, "12T345"]
        assert [row["number"] for row in rows_of(tmp_path)] == [str(number + 1) for number in range(len(before) + 1)]


def pictures_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def shows_magenta(picture: np.ndarray) -> bool:
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    return bool(((red > 170) & (green < 90) & (blue > 170)).any())


class TestCopies:
    def test_every_frame_is_drawn_in_and_all_letters_are_there(self, clip, magenta, tmp_path):
        assert main(["video", str(clip), "--output", str(tmp_path), "--annotated", "--every", "5"]) == 0
        before, after = pictures_of(clip), pictures_of(tmp_path / "annotated.mp4")
        assert len(after) == len(before)
        assert all(max(picture.shape[:2]) == 640 for picture in after)
        green = [((picture[..., 1] > 170) & (picture[..., 0] < 110)).sum() for picture in after]
        assert min(green[:16]) > 100, "between the frames that were read, too"

    @pytest.mark.parametrize("way", ["blur", "box", "pixels"])
    def test_no_frame_shows_a_plate_not_even_where_it_was_not_found(self, way, magenta, tmp_path, monkeypatch, capfd):
        clip = write_clip(tmp_path / "clip.mp4", passing(20), sound=True)
        find, number = magenta.find, iter(range(10_000))

        def missing(scenes):  # It is not seen in the first two frames, in two on its way, and in the last two.
            found = find(scenes)
            if next(number) in (0, 1, 8, 9, 18, 19):
                found["objectness"][:] = -9
            return found

        monkeypatch.setattr(magenta, "find", missing)
        monkeypatch.setattr("lpr_e2e.video.watching._read_file", lambda source, reader: (([one], []) for one in source))
        assert main(["video", str(clip), "--output", str(tmp_path / "out"), "--redact", way]) == 0
        copy = tmp_path / "out/redacted.mp4"
        assert "without sound" in capfd.readouterr().out
        before, after = pictures_of(clip), pictures_of(copy)
        assert len(after) == len(before) == 20 and all(map(shows_magenta, before))
        if way == "box":
            assert not any(map(shows_magenta, after))
        for number, (picture, shown) in enumerate(zip(before, after, strict=True)):
            left = 40 + 8 * number
            edge = picture[95:145, left - 5 : left + 105].astype(int) - shown[95:145, left - 5 : left + 105]
            assert np.abs(edge).max() > 60, number
            np.testing.assert_allclose(picture[200:], shown[200:], atol=12)  # Far from it all stays.
        with av.open(str(copy)) as container:
            assert not container.streams.audio and "title" not in container.metadata
        assert b"AB12CDE" not in copy.read_bytes()

    @pytest.mark.parametrize("rate", [10, 60, 240, 960, 90_000])
    def test_however_fast_frames_follow_each_other_plates_are_hidden(self, rate, monkeypatch, tmp_path):
        box = (4.0, 4.0, 8.0, 12.0)
        seen = range(20, 700)
        written = []

        def places(picture, own, driver):
            return [(np.array(box), 0.9, "plate")] if picture[0, 0, 0] else []

        monkeypatch.setattr("lpr_e2e.video.clips.places_to_hide", places)

        class Kept(contextlib.nullcontext):
            def write(self, seconds, picture):
                written.append(picture)

        monkeypatch.setattr("lpr_e2e.video.clips.ClipWriter", lambda path, rate: Kept())
        with RedactedClip(tmp_path / "copy.mp4", rate, "box", driver=None) as copy:
            for number in range(720):
                picture = np.full((16, 16, 3), 200, "uint8")
                picture[0, 0] = number in seen
                copy.write([Frame(number, number / rate, picture)], [], [])
                assert number - len(written) < REMEMBERED
        assert len(written) == copy.frames == 720
        for number in seen:
            assert (written[number][4:8, 4:12] != 200).all(), number
            assert (written[number][12:] == 200).all()

    def test_a_copy_of_an_earlier_run_is_not_overwritten(self, clip, magenta, tmp_path, capfd):
        (tmp_path / "redacted.mp4").write_bytes(b"mine")
        assert main(["video", str(clip), "--output", str(tmp_path), "--redact", "box"]) == 2
        assert "redacted.mp4" in capfd.readouterr().err and (tmp_path / "redacted.mp4").read_bytes() == b"mine"


class TestDrawnPlates:
    def test_a_drawn_car_that_drives_past_is_read_by_the_shipped_model(self, tmp_path):
        painter = PlatePainter(EXAMPLE_TEXTS, worn=0.0, two_lines=0.0)
        scene = draw_scene(painter, np.random.default_rng(5))
        height, width = (side // 2 * 2 for side in scene.photograph.shape[:2])
        noise = np.random.default_rng(0)
        pictures = []
        for step in range(8):
            moved = np.roll(scene.photograph[:height, :width], 6 * step, 1)
            pictures.append(np.clip(moved + noise.normal(0, 6, moved.shape), 0, 255).astype("uint8"))
        clip = write_clip(tmp_path / "clip.mp4", pictures)
        assert main(["video", str(clip), "--every", "1", "--output", str(tmp_path / "out")]) == 0
        (row,) = rows_of(tmp_path / "out")
        assert row["text"] == scene.texts[0] and row["status"] == "ok" and row["frames"] == "8"


def test_several_plates_of_a_frame_are_several_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(
        PlateReader, "load", classmethod(lambda cls, path=None, format=None, **_: reader(SeveralEngine(0.99)))
    )
    pictures = [
        street((100, 40 + 8 * step, 140, 140 + 8 * step), (300, 440 - 8 * step, 340, 540 - 8 * step))
        for step in range(8)
    ]
    clip = write_clip(tmp_path / "clip.mp4", pictures)
    assert main(["video", str(clip), "--every", "1", "--output", str(tmp_path / "out")]) == 0
    assert [row["frames"] for row in rows_of(tmp_path / "out")] == ["8", "8"]


class TestWholeLines:
    @pytest.mark.parametrize(
        ("held", "kept"),
        [(b"", b""), (b"one\ntwo", b"one\n"), (b"one\n", b"one\n"), (b"half", b""), (b"a" * 200_000, b"")],
    )
    def test_an_earlier_file_is_gone_on_with_after_its_last_whole_line(self, held, kept, tmp_path):
        path = tmp_path / "lines"
        path.write_bytes(held)
        lines = WholeLines(path, append=True)
        lines.write("next\n")
        lines.close()
        assert path.read_bytes() == kept + b"next\n"
