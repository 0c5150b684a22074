"""Copies of a clip: with its plates drawn in, or with all of them hidden. Pictures alone: no sound, no metadata."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_file
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.pictures import annotate
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.prediction.redaction import around, hidden, places_to_hide
from lpr_e2e.video.frames import Frame
from lpr_e2e.video.passes import Vehicle
from lpr_e2e.video.tracker import REMEMBERED, Sighting, Track, Tracker

if TYPE_CHECKING:
    from av.video.stream import VideoStream

Kind = type[BaseException] | None

ANNOTATED, REDACTED = "annotated.mp4", "redacted.mp4"
# Seconds that a plate stays hidden where it is not seen: between sightings, and before the first and after the last.
_CARRIED, _BEYOND = 0.5, 0.25
# Where a place is not seen but believed, it is hidden so much more widely on each side, in shares of its shorter side.
_UNSURE = 0.3
# Times in a copy are whole numbers of these parts of a second.
_TIME_BASE = Fraction(1, 90_000)
# Of x264: smaller is better, and "fast" enough not to hold up the reading.
_ENCODING = {"crf": "21", "preset": "veryfast"}


class ClipWriter:
    """Writes frames as an MP4 in H.264, whole or not at all; to be used in a `with` statement.

    Args:
        path: the file; an earlier one is replaced. Without a single frame there is none.
        rate: about so many frames a second; what counts is each frame's time.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self._rate = path, Fraction(rate).limit_denominator(1001)
        self._container: Any = None  # Both come with the first frame.
        self._stream: VideoStream | None = None
        self._last = -1
        self._end = contextlib.ExitStack()

    @property
    def is_empty(self) -> bool:
        """Whether not one frame has come."""
        return self._stream is None

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: Kind, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        if error is not None:
            return self._end.__exit__(kind, error, trace)
        with self._end:
            if self._stream is not None:
                self._container.mux(self._stream.encode())
        return None

    def write(self, seconds: float, picture: np.ndarray) -> None:
        """Add a frame, uint8 RGB `(h, w, 3)`; one of another size than the first is brought to that.

        Raises:
            UserError: FFmpeg was built without an encoder of H.264.
        """
        import av

        stream = self._stream = self._stream or self._started(picture.shape[1], picture.shape[0])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._last = frame.pts = max(round(seconds / _TIME_BASE), self._last + 1)
        frame.time_base = _TIME_BASE
        frame = frame.reformat(width=stream.width, height=stream.height, format="yuv420p")
        self._container.mux(stream.encode(frame))

    def _started(self, width: int, height: int) -> VideoStream:
        import av

        part = self._end.enter_context(whole_file(self.path))
        self._container = self._end.enter_context(
            av.open(str(part), "w", format="mp4", container_options={"fflags": "+bitexact"})
        )
        try:
            stream = self._container.add_stream("h264", rate=self._rate, options=_ENCODING)
        except (av.FFmpegError, ValueError):
            raise UserError("this FFmpeg has no encoder of H.264; that of PyAV's wheels has: pip install av") from None
        # Colours are stored for two by two pixels.
        stream.width, stream.height, stream.pix_fmt = max(2, width // 2 * 2), max(2, height // 2 * 2), "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        return stream


class AnnotatedClip:
    """A copy of the clip with the plates drawn in, and what is known of each so far; in a `with` statement.

    Args:
        path, rate: see `ClipWriter`.
    """

    def __init__(self, path: Path, rate: float):
        self._clip = ClipWriter(path, rate)

    def __enter__(self) -> AnnotatedClip:
        self._clip.__enter__()
        return self

    def __exit__(self, kind: Kind, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        return self._clip.__exit__(kind, error, trace)

    def write(self, frames: Sequence[Frame], readings: Sequence[Reading], vehicles: Sequence[Vehicle]) -> None:
        """Add frames, the last of which was read; on the others the plates are between where they were seen."""
        for frame in frames:
            placed = [(one, one.track.box_at(frame.seconds)) for one in vehicles]
            shown = [replace(one.reading, box_px=box) for one, box in placed if box is not None]
            self._clip.write(frame.seconds, annotate(frame.picture, shown, nothing=""))

    def summary(self) -> str:
        """What was done, for people."""
        if self._clip.is_empty:
            return _nothing_in(self._clip.path)
        return f"the plates are drawn into {self._clip.path}, which has no sound"


class RedactedClip:
    """A copy of the clip on which no plate can be read; in a `with` statement.

    Every frame is looked at. A place that is hidden stays hidden while it is not seen for a moment, and some frames
    before it was first seen and after it was last seen: so the copy lags half a second behind, or as many frames as
    tracks remember, whichever is shorter.

    Args:
        path, rate: see `ClipWriter`.
        way: of `lpr_e2e.prediction.redaction.WAYS`.
        driver: finds what may be a plate; of no other thread.

    Attributes:
        frames, untouched: how many frames there are, and on how many of them nothing was hidden.
    """

    def __init__(self, path: Path, rate: float, way: str, driver: Driver):
        self._clip, self._way, self._driver = ClipWriter(path, rate), way, driver
        self._tracker = Tracker(_CARRIED)
        self._over: list[Track] = []  # Ended, and still of use for frames that wait.
        self._waiting: deque[Frame] = deque()
        self.frames = self.untouched = 0

    def __enter__(self) -> RedactedClip:
        self._clip.__enter__()
        return self

    def __exit__(self, kind: Kind, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        if error is not None:
            return self._clip.__exit__(kind, error, trace)
        with self._clip:
            self._write_until(float("inf"))
        return None

    def write(self, frames: Sequence[Frame], readings: Sequence[Reading], vehicles: Sequence[Vehicle]) -> None:
        """Add frames; the readings are those of the last one, if it was read."""
        for frame in frames:
            own = readings if frame is frames[-1] else ()
            places = places_to_hide(frame.picture, own, self._driver)
            sightings = [Sighting(frame.seconds, box) for box, _, _ in places]
            self._over += self._tracker.follow(frame.seconds, sightings)[1]
            self._waiting.append(frame)
            self._write_until(frame.seconds - max(_CARRIED, _BEYOND))
            self._over = [one for one in self._over if one.last.seconds + _BEYOND >= self._waiting[0].seconds]

    def _write_until(self, seconds: float) -> None:
        # A frame that waited longer than tracks remember would no longer be hidden where its plates were seen.
        while self._waiting and (self._waiting[0].seconds <= seconds or len(self._waiting) >= REMEMBERED):
            frame = self._waiting.popleft()
            boxes = [box for track in [*self._over, *self._tracker.tracks] for box in _hidden_at(track, frame.seconds)]
            self._clip.write(frame.seconds, hidden(frame.picture, boxes, self._way))
            self.frames, self.untouched = self.frames + 1, self.untouched + (not boxes)

    def summary(self) -> str:
        """What was done, for people."""
        if self._clip.is_empty:
            return _nothing_in(self._clip.path)
        untouched = f"; on {self.untouched} nothing was found to hide: look at them" if self.untouched else ""
        return f"{self.frames} frames without readable plates, without sound, are in {self._clip.path}{untouched}"


def _nothing_in(path: Path) -> str:
    return f"not one frame was read: there is no {path}"


def _hidden_at(track: Track, seconds: float) -> list[tuple[float, float, float, float]]:
    """The boxes to hide of a track at a time: where it was seen, or where it may be."""
    seen = [one.box_px for one in track.recent if one.seconds == seconds]
    if seen:
        return seen
    box = track.box_at(seconds, _BEYOND)
    if box is None:
        return []
    places = [around(box, _UNSURE)]
    nearest = min(track.recent, key=lambda one: abs(one.seconds - seconds))
    # It may as well have stood still.
    return [*places, around(nearest.box_px, _UNSURE)]
