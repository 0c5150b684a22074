"""What the pages of HTML share: their style, and pictures and data inside them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np

# Longer side of the small pictures inside a page, pixels, and the quality of all pictures there.
THUMBNAIL_SIDE, PAGE_QUALITY = 224, 65
# The first rules of a page's style: its colours, light and dark, and its letters.
STYLE = """:root {
    --ink: #1d2327; --soft: #5b646c; --line: #d9dee2; --ground: #f5f6f7; --card: #fff;
    --ok: #17803f; --doubt: #b45309; --wrong: #c53030; --true: #2563eb;
    --scripts: Noto Sans, Noto Sans Arabic, Noto Sans Thai, Noto Sans Devanagari, Noto Sans CJK SC,
      PingFang SC, Microsoft YaHei, WenQuanYi Micro Hei;
    --letters: system-ui, var(--scripts), sans-serif; --plate-letters: ui-monospace, var(--scripts), monospace;
  }
  @media (prefers-color-scheme: dark) { :root {
    --ink: #e8eaec; --soft: #9aa4ad; --line: #3a4249; --ground: #171b1f; --card: #21272c;
    --ok: #34d17f; --doubt: #f5a524; --wrong: #f87171; --true: #60a5fa;
  } }
  * { box-sizing: border-box; }
  body { margin: 0; font: 15px/1.45 var(--letters); color: var(--ink); background: var(--ground); }
  h1 { font-size: 1.3rem; margin: 0 0 .3rem; }
  article { background: var(--card); border: 1px solid var(--line); border-radius: 9px; min-width: 0; }
  table { border-collapse: collapse; }
  figure { margin: 0; }
  rect { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }"""

# What pages that list cards have besides, and what their scripts share.
_CARDS = Path(__file__).with_name("cards.css"), Path(__file__).with_name("cards.js")
# Where in a page of cards the style and the script that all have go, and its data.
_STYLE_MARK, _SCRIPT_MARK, _DATA_MARK = "/* style */", "/* script */", "<!-- data -->"


def page_of_cards(path: Path) -> tuple[str, str]:
    """What stands before and after the data of a page that lists cards, of its own part at a path."""
    style, script = (part.read_text(encoding="utf-8").strip() for part in _CARDS)
    page = path.read_text(encoding="utf-8").replace(_STYLE_MARK, f"{STYLE}\n  {style}").replace(_SCRIPT_MARK, script)
    head, tail = page.split(_DATA_MARK)
    return head, tail


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """A uint8 RGB picture `(h, w, 3)`, made smaller if its longer side has more than 224 pixels."""
    height, width = picture.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def page_jpeg(picture: np.ndarray) -> str:
    """A uint8 RGB picture as a page holds it: base64 of a JPEG."""
    encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, PAGE_QUALITY])[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def data_script(attribute: str, data: dict) -> str:
    """A script element that holds data and runs nothing: no `<` can end it early.

    Args:
        attribute: by which the page finds it, such as `id="about"`.
        data: plain values, for JSON.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
    return f'<script type="application/json" {attribute}>{text}</script>\n'
