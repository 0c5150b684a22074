"""Where frames come from: a video file, a camera, a stream; each upright, with its time.

A file is read frame by frame, and nothing of it is left out but what was not asked for. What is live goes on while a
frame is read: a thread keeps the newest one, and counts those that it replaces.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lpr_e2e.common.boxes import turn_picture
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.photographs import as_text
from lpr_e2e.video.opening import BrokenOff, opened, reason_of

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

# Of a file, so many frames a second are read unless told: vehicles that pass in a second are seen often enough to vote.
FRAMES_A_SECOND = 6.0
# Where a clip boasts of more frames than it has, those that are read lie no further apart than this, seconds, if there
# are any between. Of one that tells the truth, they lie up to 4/3 of a sixth apart.
_MOST_APART = 1.35 / FRAMES_A_SECOND
# Of a clip that does not say it.
_USUAL_RATE = 25.0
# How long is waited before a stream is opened again, seconds: twice as long each time, up to the second number.
_FIRST_WAIT, _MOST_WAIT = 1.0, 60.0
# Whoever waits for a frame is told after so many seconds that there is none.
_IDLE = 1.0
# How often in a row that is tried, unless told.
RECONNECTS = 10
# A clip that ends earlier than it says by this much, seconds and share, was cut off.
_LEAST_MISSING = (1.0, 0.05)
# How Matroska and WebM say how long one of their streams goes on.
_MATROSKA_DURATION = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# What has a length and is read from its beginning when it is opened, even though a server gives it.
_FILES_OF_SERVERS = ("http", "https")


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        number: of the frame within its source, from 0 on; frames that were dropped are counted.
        seconds: since the beginning of the source, growing from frame to frame.
        picture: uint8 RGB `(h, w, 3)`, upright.
        wanted: whether it is to be read; the others only go into copies of the clip.
    """

    number: int
    seconds: float
    picture: np.ndarray
    wanted: bool = True


class Source(Protocol):
    """Gives frames, once.

    Attributes:
        name: for people, without passwords, see `shown_name`.
        live: whether frames that nobody waits for are dropped.
        rate: frames a second, as far as that is known.
        length: how many frames it will give, or None.
        dropped: how many frames were dropped so far.
        fault: why it ended before its end; "" if it did not.
    """

    name: str
    live: bool
    rate: float
    length: int | None
    dropped: int
    fault: str

    def __iter__(self) -> Iterator[Frame | None]:
        """The frames; None whenever none has come for a second."""

    def now(self) -> float:
        """Seconds since the beginning of the source."""

    def stamp(self, seconds: float) -> float | str:
        """A frame's time as it is written down: seconds in a clip, wall time in ISO 8601 of what is live."""

    def close(self) -> None:
        """Let go of it."""


def shown_name(source: str) -> str:
    """A source as people may see it: of an address neither user nor password, nor what else may be secret in it.

    Cameras take passwords before an `@`, in the query, some in the path: what follows a `?`, `#` or `=` is left out.
    """
    found = _SCHEME.match(source)
    if not found:
        # A mistyped address must not show its password either.
        return as_text(source.rpartition("@")[2] if "@" in source and not os.path.exists(source) else source)
    head, mark, rest = _split(source[found.end() :])
    if "@" in rest:  # A password may hold any of these letters: where it ends, nobody knows.
        return f"{found[1]}://…"
    place = head.rpartition("@")[2]
    kept = place.partition("=")[0]
    if kept != place:
        kept = kept.rpartition("/")[0] + "/"
    return f"{found[1]}://{kept}" + ("…" if mark or kept != place else "")


def _split(address: str) -> tuple[str, str, str]:
    """What stands before the first `?` or `#`, that, and what stands behind."""
    found = re.search(r"[?#]", address)
    return (address[: found.start()], found[0], address[found.end() :]) if found else (address, "", "")


def open_source(
    source: str, every: int | None = None, all_frames: bool = False, reconnects: int = RECONNECTS, tell=None
) -> Source:
    """Open a video.

    Args:
        source: path of a file, of a camera's device (`/dev/video0`), or the address of a stream.
        every: read each so-many-th frame of a file; by default as many as make about `FRAMES_A_SECOND`.
        all_frames: whether the other frames of a file are given as well.
        reconnects: how often in a row a stream that has broken off is opened again.
        tell: called with a line for people whenever a stream breaks off.

    Raises:
        UserError: there is nothing of the kind, no video in it, or `every` was given for what is live.
    """
    name, scheme = shown_name(source), _SCHEME.match(source)
    if scheme and scheme[1].lower() == "file":
        source, scheme = source[scheme.end() :], None
    if scheme is None and not os.path.exists(source):
        raise UserError(f"{name}: no such file; expected a video file, a camera such as /dev/video0, or an address")
    device = scheme is None and stat.S_ISCHR(os.stat(source).st_mode)
    if scheme is None and not device and not os.path.isfile(source):
        raise UserError(f"{name}: no file; expected a video file, a camera such as /dev/video0, or an address")
    try:
        container = opened(source, device, live=scheme is not None)
    except BrokenOff as error:
        raise UserError(f"{name}: cannot be opened as a video: {error}") from None
    has_length = scheme is None or (scheme[1].lower() in _FILES_OF_SERVERS and bool(container.duration))
    if has_length and not device:
        return FileFrames(container, name, every, all_frames)
    if every is not None:
        container.close()
        raise UserError(f"{name}: --every is for files; of what is live the newest frame is read, as fast as possible")
    first = [container]  # Opened already.

    def connect() -> Iterator[Callable[[], np.ndarray]]:
        yield from _live_frames(first.pop() if first else opened(source, device, live=True))

    return LiveFrames(connect, name, reconnects, tell)


def upright(frame: VideoFrame) -> np.ndarray:
    """The picture of a frame, uint8 RGB `(h, w, 3)`, as its display matrix turns it."""
    return turn_picture(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))


def _seconds_of_pictures(stream: VideoStream) -> float | None:
    """How long the pictures of a clip go on, if the clip says so."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    told = _MATROSKA_DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    return sum(float(part) * unit for part, unit in zip(told.groups(), (3600, 60, 1), strict=True)) if told else None


class FileFrames:
    """The frames of a file; see `Source`. A fault in the file ends it, and is named in `fault`.

    Args:
        container: the opened file.
        name: for people.
        every, all_frames: see `open_source`.
    """

    live = False
    dropped = 0

    def __init__(self, container: InputContainer, name: str, every: int | None = None, all_frames: bool = False):
        self.name, self.fault, self._seconds = name, "", 0.0
        self._container, self._stream = container, container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = float(self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE)
        self.every = every or max(1, round(self.rate / FRAMES_A_SECOND))
        self._all, self._most_apart = all_frames, float("inf") if every else _MOST_APART
        own = _seconds_of_pictures(self._stream)
        self.duration = (container.duration or 0) / 1_000_000 if own is None else own
        # The sound may go on for longer.
        self._says_its_end = own is not None or len(container.streams) == 1
        frames = self._stream.frames or round(self.duration * self.rate)
        self.length = (frames if all_frames else -(-frames // self.every)) or None

    def now(self) -> float:
        """The time of the last frame."""
        return self._seconds

    def stamp(self, seconds: float) -> float:
        """Seconds since the clip's beginning, in thousandths."""
        return round(seconds, 3)

    def __iter__(self) -> Iterator[Frame]:
        seconds, start, number, last_read = 0.0, None, -1, 0.0
        try:
            for number, frame in enumerate(self._decoded()):
                told = frame.time
                start = told if start is None else start
                late = number / self.rate if told is None or start is None else told - start
                # Times may be missing or go back: frames follow each other all the same.
                seconds = late if number == 0 or late > seconds else seconds + 1 / self.rate
                self._seconds = seconds
                wanted = number % self.every == 0 or seconds - last_read > self._most_apart
                last_read = seconds if wanted else last_read
                if wanted or self._all:
                    yield Frame(number, seconds, upright(frame), wanted)
        except BrokenOff as error:
            self.fault = f"broken after {seconds:.1f} seconds: {error}"
            return
        missing = self.duration - seconds - 1 / self.rate
        if number < 0:
            self.fault = "not one frame could be decoded"
        elif self._says_its_end and missing > max(_LEAST_MISSING[0], _LEAST_MISSING[1] * self.duration):
            self.fault = f"ends after {seconds:.1f} of {self.duration:.1f} seconds: it was cut off"

    def _decoded(self) -> Iterator[VideoFrame]:
        import av

        try:
            for packet in self._container.demux(self._stream):
                yield from packet.decode()
        except (av.FFmpegError, OSError) as error:
            raise BrokenOff(reason_of(error)) from None

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def _live_frames(container: InputContainer) -> Iterator[Callable[[], np.ndarray]]:
    """What gives the picture of each frame of a stream, until it breaks off: frames that are dropped need none.

    Raises:
        BrokenOff: the stream ends, or an error ended it.
    """
    import av

    try:
        with container:
            for packet in container.demux(container.streams.video[0]):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue  # A stream is joined in its middle, and packets are lost: the next whole picture comes.
                for frame in frames:
                    yield functools.partial(upright, frame)
    except (av.FFmpegError, OSError) as error:
        raise BrokenOff(reason_of(error)) from None
    raise BrokenOff("the stream has ended")


class LiveFrames:
    """The newest frame of what is live, whenever one is asked for; see `Source`.

    A thread takes frames as they come. It opens the stream again when it breaks off, after waits that grow.

    Args:
        connect: opens the stream, and gives what gives the picture of each frame; raises `BrokenOff` in the end.
        name: for people.
        reconnects: how often in a row it is opened again before it is given up.
        tell: called with a line for people when it breaks off.
        first_wait: before it is opened again, seconds.
    """

    live = True
    rate = _USUAL_RATE
    length: int | None = None

    def __init__(
        self,
        connect: Callable[[], Iterator[Callable[[], np.ndarray]]],
        name: str,
        reconnects: int = RECONNECTS,
        tell: Callable[[str], Any] | None = None,
        first_wait: float = _FIRST_WAIT,
    ):
        self.name, self.fault, self.dropped = name, "", 0
        self.started, self._beginning = datetime.now().astimezone(), time.monotonic()
        self._connect, self._reconnects, self._tell, self._wait = connect, reconnects, tell, first_wait
        self._newest: tuple[int, float, Callable[[], np.ndarray]] | None = None
        self._came = self._failed = 0
        self._ended, self._changed, self._stop = False, threading.Condition(), threading.Event()

    def now(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._beginning

    def stamp(self, seconds: float) -> str:
        """Wall time in ISO 8601, of the zone of this machine."""
        return (self.started + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    def __iter__(self) -> Iterator[Frame | None]:
        threading.Thread(target=self._take, name="newest frame", daemon=True).start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._ended, _IDLE)
                if self._newest is None and self._ended:
                    return
                newest, self._newest = self._newest, None
            if newest is None:
                yield None
            else:
                number, seconds, give = newest
                yield Frame(number, seconds, give())

    def _take(self) -> None:
        """Take frames until the stream is given up."""
        try:
            while not self._stop.is_set():
                try:
                    for give in self._connect():
                        self._keep(give)
                        if self._stop.is_set():
                            return
                    reason = "the stream has ended"
                except BrokenOff as error:
                    reason = str(error)
                self._failed += 1
                if self._failed > self._reconnects:
                    self.fault = f"{reason}; given up after {self._reconnects} attempts to connect again"
                    return
                wait = min(self._wait * 2 ** (self._failed - 1), _MOST_WAIT)
                if self._tell:
                    self._tell(
                        f"{self.name}: broken off: {reason}; attempt {self._failed} of {self._reconnects} "
                        f"to connect again in {wait:g} seconds"
                    )
                self._stop.wait(wait)
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _keep(self, give: Callable[[], np.ndarray]) -> None:
        with self._changed:
            self._failed = 0
            self.dropped += self._newest is not None
            self._newest = (self._came, self.now(), give)
            self._came += 1
            self._changed.notify()

    def close(self) -> None:
        """Take no more frames."""
        self._stop.set()
