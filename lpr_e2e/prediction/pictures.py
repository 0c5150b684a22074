"""Pictures for people: photographs with the plates found drawn in, and where the decoder looked."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from lpr_e2e.common.files import whole_file
from lpr_e2e.common.lettering import text_size, write_text
from lpr_e2e.prediction.reading import Reading

# Annotated pictures are for looking at: their longer side is brought into this range, in pixels.
SMALLEST_SIDE = 640
LARGEST_SIDE = 2048
JPEG_QUALITY = 85

Colour = tuple[int, int, int]

OK = (46, 204, 113)
DOUBTFUL = (255, 159, 28)
TRUE_BOX = (77, 171, 255)
LABEL_TEXT = (16, 16, 16)

STRIP_COLUMNS = 3
STRIP_GAP = 4
STRIP_GREY = 32


def annotate(
    photograph: np.ndarray,
    readings: Sequence[Reading],
    true_boxes_px: Sequence[Sequence[float]] = (),
    nothing: str = "no plate",
) -> np.ndarray:
    """Draw boxes and texts of readings into a photograph.

    Green is a certain reading, orange any other plate, thin blue the true boxes. Lines and letters
    grow with the picture.

    Args:
        photograph: uint8 RGB `(h, w, 3)`; not changed.
        readings: of this photograph.
        true_boxes_px: the true boxes `(n, 4)` yxyx in photograph pixels, as far as they are known.
        nothing: what is written where there is no plate; "" for nothing.

    Returns:
        uint8 RGB `(H, W, 3)`, the photograph's aspect, scaled so that its longer side is 640 to 2048 pixels.
    """
    longer = max(photograph.shape[:2])
    scale = min(max(longer, SMALLEST_SIDE), LARGEST_SIDE) / longer
    height, width = (max(1, round(side * scale)) for side in photograph.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = Image.fromarray(cv2.resize(photograph, (width, height), interpolation=interpolation))
    draw = ImageDraw.Draw(picture)
    line = max(2, round(max(height, width) / 320))
    size = max(14, round(max(height, width) / 32))

    for box_px in true_boxes_px:
        _draw_box(draw, box_px, scale, TRUE_BOX, max(1, line // 2))
    plates = [(reading, reading.box_px) for reading in readings if reading.box_px is not None]
    # The most confident plate is drawn last, on top.
    for reading, box_px in reversed(plates):
        _draw_box(draw, box_px, scale, OK if reading.status == "ok" else DOUBTFUL, line)
    for reading, box_px in reversed(plates):
        colour = OK if reading.status == "ok" else DOUBTFUL
        label = (reading.text, f"  {reading.confidence:.0%}") if reading.text else ("not legible",)
        _draw_label(draw, label, np.asarray(box_px) * scale, colour, size, line)
    if not plates and nothing:
        _draw_label(draw, (nothing,), np.zeros(4), DOUBTFUL, size, line)
    return np.asarray(picture)


def attention_strip(glimpse: np.ndarray, attention: np.ndarray, text: str) -> np.ndarray:
    """Where the decoder looked for each character.

    The plain glimpse comes first, with the text above it, then one copy per slot with that slot's attention as heat,
    labelled with its character; the slot that ended the text is labelled `end`, slots behind it stay empty.

    Args:
        glimpse: RGB `(h, w, 3)`, 0..255, uint8 or float.
        attention: float `(slots, rows, columns)`, not negative; every slot is scaled to its own maximum.
        text: what was read, at most `slots` characters.

    Returns:
        uint8 RGB, a grid of `slots + 1` cells in three columns; its size depends on `h`, `w` and `slots` alone, so that
        strips of one model can be shown together.
    """
    height, width = glimpse.shape[:2]
    slots = len(attention)
    glimpse = np.clip(np.asarray(glimpse, "float32"), 0, 255)
    faded = 0.5 * glimpse.mean(-1, keepdims=True)
    caption = max(14, round(height * 0.3))

    cells = [(text or "nothing read", glimpse)]
    for slot, label in enumerate([*text, "end"][:slots]):
        heat = cv2.resize(np.asarray(attention[slot], "float32"), (width, height), interpolation=cv2.INTER_LINEAR)
        heat = np.clip(heat / max(float(heat.max()), 1e-12), 0, 1)
        colours = cv2.applyColorMap((heat * 255).astype("uint8"), cv2.COLORMAP_INFERNO)[..., ::-1].astype("float32")
        # Heat replaces the grey plate only where there is some: the character under it stays visible.
        cells.append((label, np.clip(faded * (1.6 - 0.6 * heat[..., None]) + 0.75 * colours, 0, 255)))

    rows = -(-(slots + 1) // STRIP_COLUMNS)
    cell_height, cell_width = height + caption + STRIP_GAP, width + STRIP_GAP
    size = (rows * cell_height + STRIP_GAP, STRIP_COLUMNS * cell_width + STRIP_GAP, 3)
    strip = np.full(size, STRIP_GREY, "uint8")
    corners = [divmod(index, STRIP_COLUMNS) for index in range(len(cells))]
    for (row, column), (_, cell) in zip(corners, cells, strict=True):
        top, left = STRIP_GAP + row * cell_height + caption, STRIP_GAP + column * cell_width
        strip[top : top + height, left : left + width] = cell.astype("uint8")
    picture = Image.fromarray(strip)
    draw = ImageDraw.Draw(picture)
    for (row, column), (label, _) in zip(corners, cells, strict=True):
        left, middle = STRIP_GAP + column * cell_width, STRIP_GAP + row * cell_height + caption / 2
        write_text(draw, label, (left + 2, middle), round(caption * 0.8), (240, 240, 240))
    return np.asarray(picture)


def write_picture(path: Path, picture: np.ndarray, quality: int = JPEG_QUALITY) -> None:
    """Write a uint8 RGB picture `(h, w, 3)` as PNG, if it is called so, else as JPEG, at once or not at all, making its
    folder; `quality` is a JPEG's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()  # Written to a full disk by Pillow itself, a picture is cut off without an error.
    form = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    Image.fromarray(picture).save(encoded, form, quality=quality)
    with whole_file(path) as part:
        part.write_bytes(encoded.getvalue())


def _draw_box(draw: ImageDraw.ImageDraw, box_px: Sequence[float], scale: float, colour: Colour, line: int) -> None:
    """Draw a frame around a box, its line outside the box so that no character is covered."""
    top, left, bottom, right = np.asarray(box_px, "float64") * scale
    draw.rectangle(
        (left - line, top - line, max(left, right) + line, max(top, bottom) + line), outline=colour, width=line
    )


def _draw_label(
    draw: ImageDraw.ImageDraw, label: Sequence[str], box: np.ndarray, colour: Colour, size: int, line: int
) -> None:
    """Write a label on a filled ground above a box (yxyx, picture pixels), or below it where there is no room."""
    padding = 2 * line
    text_width, above, below = text_size(label, size)
    width, height = text_width + 2 * padding, above + below + 2 * padding
    picture_width, picture_height = draw.im.size
    y = box[0] - line - height
    if y < 0:
        y = min(box[2] + line, picture_height - height)
    y, x = max(0, y), max(0, min(box[1] - line, picture_width - width))
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    write_text(draw, label, (x + padding, y + padding + above), size, LABEL_TEXT)
