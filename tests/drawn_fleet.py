"""Drawn photographs of cars whose plates differ in a digit, in memory, with the crops cut out of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lpr_e2e.data.fingerprints import crop_fingerprint, photograph_fingerprint
from lpr_e2e.data.labels import LabelledCrop, LabelledPhotograph
from lpr_e2e.data.matching import Compared
from lpr_e2e.data.pictures import CropPicture, PhotographPicture
from lpr_e2e.data.tables import Row

SIDES = (240, 320)
PLATE = (36, 128)


def drawn_plate(text: str, sides: tuple[int, int] = PLATE) -> np.ndarray:
    """A plate, uint8 RGB `(height, width, 3)`, seen from straight ahead, with soft edges."""
    height, width = sides[0] * 3, sides[1] * 3
    plate = Image.new("RGB", (width, height), (250, 250, 240))
    pen = ImageDraw.Draw(plate)
    pen.rectangle((3, 3, width - 4, height - 4), outline=(20, 20, 20), width=4)
    font = ImageFont.load_default(size=round(height * 0.72))
    pen.text((width / 2, height / 2), text, fill=(15, 15, 20), font=font, anchor="mm")
    return np.asarray(plate.resize(sides[::-1], Image.Resampling.LANCZOS))


def street(rng: np.random.Generator) -> np.ndarray:
    """Coloured blotches, float `(240, 320, 3)`."""
    blotches = Image.fromarray(rng.integers(40, 200, (6, 8, 3)).astype("uint8"))
    return np.asarray(blotches.resize(SIDES[::-1], Image.Resampling.BICUBIC), "float64")


def shot(scene: np.ndarray, rng: np.random.Generator, noise: float = 5) -> np.ndarray:
    """A photograph of a scene: uint8, with an exposure and noise of its own."""
    return (scene * rng.uniform(0.75, 1) + rng.normal(0, noise, (*scene.shape[:2], 1))).clip(0, 255).astype("uint8")


def with_plates(scene: np.ndarray, plates: list[tuple[str, int, int]], light: float = 0) -> np.ndarray:
    """A scene with plates (text, top, left), the light on each falling off by `light` from one side to the other."""
    scene = scene.copy()
    fall = np.linspace(1, 1 - light, PLATE[1])[None, :, None]
    for text, top, left in plates:
        scene[top : top + PLATE[0], left : left + PLATE[1]] = drawn_plate(text) * fall
    return scene


def box_at(top: int, left: int) -> tuple[float, float, float, float]:
    return float(top), float(left), float(top + PLATE[0]), float(left + PLATE[1])


def photographed(name: str, pixels: np.ndarray, plates=(), held: bool = False) -> PhotographPicture:
    """A photograph with plates (box yxyx, text or None)."""
    rows = tuple(Row("cars.csv", number, name, box, text) for number, (box, text) in enumerate(plates, 2))
    fingerprint = photograph_fingerprint(pixels, [row.box_px for row in rows])
    return PhotographPicture(LabelledPhotograph(name, Path(name), rows, held), rows, fingerprint)


def cropped(name: str, pixels: np.ndarray, text: str, held: bool = False) -> CropPicture:
    row = Row("plates.csv", 2, name, None, text)
    return CropPicture(LabelledCrop(row, Path(name), held), crop_fingerprint(np.ascontiguousarray(pixels)))


def linked(compared: Compared) -> set[tuple[str, str, int]]:
    """(crop, photograph, number of the plate) of every match."""
    return {
        (compared.crops[one.crop].row.img_id, compared.photographs[one.photograph].img_id, one.plate)
        for one in compared.matches
    }


def twins(compared: Compared) -> set[frozenset[str]]:
    return {frozenset(compared.photographs[number].img_id for number in pair) for pair in compared.twins}
