"""Opening a video: which forms are read, and how large frames may be, both before one is decoded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lpr_e2e.common.images import MAX_PIXELS

if TYPE_CHECKING:
    from av.container import InputContainer

# The forms of files that are read, whatever a file is called, by FFmpeg's names. It has three hundred more: lists of
# other files, which it would open in turn, and pictures of all kinds.
FORMS = (
    *("mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf", "wtv", "dv", "rm", "nut"),
    *("ivf", "gif", "mpegvideo", "m4v", "h263", "h264", "hevc", "vvc", "obu", "mjpeg", "yuv4mpegpipe"),
)
# A stream has so long to be opened, and to give its next frame, seconds.
_TIMEOUT = (10.0, 10.0)


class BrokenOff(Exception):
    """A stream that cannot be opened or gives no more frames; the message is the reason, without the address."""


def opened(source: str, device: bool, live: bool) -> InputContainer:
    """The container of a source. Frames of more than `MAX_PIXELS` are an error when they are decoded.

    Args:
        source: path of a file or device, or an address.
        device: whether it is a camera's device.
        live: whether it is an address.

    Raises:
        BrokenOff: it cannot be opened, is a file of none of `FORMS`, or has no video.
    """
    import av

    # FFmpeg hands these to the decoders, too, that look at the first frames while it is opened.
    options = {"max_pixels": str(MAX_PIXELS)}
    if source.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    if not (device or live):
        options["format_whitelist"] = ",".join(FORMS)
    # An absolute path is never taken for an address.
    place = source if live else os.path.abspath(source)
    try:
        container = av.open(
            place, format="v4l2" if device else None, options=options, timeout=_TIMEOUT if live else None
        )
    except av.error.ArgumentError:  # As far as is known, only what is not on the list.
        raise BrokenOff("of a form that is not read; expected MP4, Matroska, AVI, MPEG or the like") from None
    except (av.FFmpegError, ValueError, OSError) as error:
        raise BrokenOff(reason_of(error)) from None
    videos = container.streams.video
    if not videos:
        container.close()
        raise BrokenOff("there is no video in it")
    if videos[0].codec_context is None:
        container.close()
        raise BrokenOff("its video is of a form that FFmpeg does not decode")
    videos[0].codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # They may grow.
    return container


def reason_of(error: Exception) -> str:
    """What FFmpeg says, without the address that stands in the message."""
    import av

    if isinstance(error, av.error.ArgumentError):
        return f"no frame, or one of more than {MAX_PIXELS // 1_000_000} megapixels"
    text = getattr(error, "strerror", None)
    return text if isinstance(text, str) and text else type(error).__name__
