"""The passes of a video as a page: one HTML file that needs no network and no other file.

Like the report of a prediction it is written as it goes: each pass is data in it, with small pictures. All that comes
from outside (texts, names of sources) is data to the page, never markup.
"""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path

from lpr_e2e.common.files import read_file, whole_file
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.pages import data_script, page_jpeg, page_of_cards, thumbnail
from lpr_e2e.common.scripts import with_direction
from lpr_e2e.video.outputs import LINES, PAGE, Pass, read_passes

_PAGE = Path(__file__).with_name("page.html")
# More than a picture of one plate has: a page with larger ones would not be shown.
_MOST_BYTES = 2**20


class PassPage:
    """Writes `passes.html` while passes end; to be used in a `with` statement, which completes the page.

    Args:
        output: the folder of the passes; those that it holds already come first.
        name: of what they were seen on.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, output: Path, name: str):
        self.path, self._output = output / PAGE, output
        head, self._tail = page_of_cards(_PAGE)
        self._whole = contextlib.ExitStack()
        part = self._whole.enter_context(whole_file(self.path))
        self._file = self._whole.enter_context(part.open("w", encoding="utf-8", errors="backslashreplace"))
        self._file.write(head + data_script('id="about"', {"title": f"Passes of {name}"}))
        if (output / LINES).exists():
            for one in read_passes(output / LINES):
                self.write(one)

    def __enter__(self) -> PassPage:
        return self

    def __exit__(self, *_: object) -> None:
        with self._whole:
            self._file.write(self._tail)

    def write(self, one: Pass) -> None:
        """Add a pass, whose pictures are in the output's folder."""
        data = {
            **{
                name: getattr(one, name)
                for name in ("number", "text", "confidence", "status", "first", "last", "frames")
            },
            "shown": with_direction(one.text),
            "box": [one.ymin, one.xmin, one.ymax, one.xmax],
        }
        with contextlib.suppress(OSError):  # Somebody may have taken a picture away; the pass is there all the same.
            data["plate"] = base64.b64encode(read_file(self._output / one.plate, _MOST_BYTES)).decode("ascii")
        with contextlib.suppress(PictureError):
            frame = read_picture(self._output / one.frame)
            data |= {"height": frame.shape[0], "width": frame.shape[1]}
            data["frame"] = page_jpeg(thumbnail(frame))
        self._file.write(data_script('class="pass"', data))
