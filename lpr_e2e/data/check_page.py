"""The check of a data set as a page with pictures.

The page is one file and needs no network; names and texts are data to it, never markup.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import jinja2
import numpy as np

from lpr_e2e.common.files import whole_file
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.pages import STYLE, page_jpeg, thumbnail
from lpr_e2e.common.scripts import with_direction
from lpr_e2e.data.check import NOT_USED, Check
from lpr_e2e.data.findings import View
from lpr_e2e.data.problems import by_kind

# Rows of each problem and finding.
ROWS_SHOWN = 200
# How pages of HTML begin.
_BEGINNING = b"<!DOCTYPE HTML>"


def write_page(check: Check, path: str | PathLike) -> None:
    """Write the check as one HTML file, with small pictures inside.

    Raises:
        OSError: the file cannot be written.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["plate"] = lambda value: with_direction(value) if isinstance(value, str) else value
    page = templates.get_template("check.html").render(
        check=check,
        faults=by_kind(check.faults),
        changes=by_kind(check.changes),
        style=STYLE,
        not_used=NOT_USED,
        most=ROWS_SHOWN,
        picture=_on_page,
    )
    # A file name may hold bytes that are no text.
    with whole_file(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")


def is_page(path: Path) -> bool:
    """Whether a file begins as a page of HTML does."""
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)).upper() == _BEGINNING


def _on_page(view: View) -> dict:
    """What the page needs of a view: the JPEG as base64, the shape of what it shows, and the boxes to draw."""
    picture = read_picture(view.path)
    if view.cut_px is not None:
        box = view.cut_px
        (top, left), (bottom, right) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
        picture = picture[top:bottom, left:right]
    height, width = picture.shape[:2]
    jpeg = page_jpeg(thumbnail(picture[..., ::-1] if view.swapped else picture))
    return {"jpeg": jpeg, "height": height, "width": width, "boxes": view.boxes_px}
