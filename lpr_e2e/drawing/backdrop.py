"""Drawn streets, in front of which `scenes` puts cars."""

from __future__ import annotations

import cv2
import numpy as np


def draw_backdrop(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Sky, walls with windows and shop signs, trees, poles, a road with lines: uint8 RGB `(height, width, 3)`."""
    picture = np.zeros((height, width, 3), "uint8")
    horizon = int(height * rng.uniform(0.25, 0.5))
    sky = np.array([rng.uniform(120, 200), rng.uniform(160, 210), rng.uniform(190, 240)]) * rng.uniform(0.6, 1)
    picture[:horizon] = np.clip(sky * np.linspace(0.8, 1.1, horizon)[:, None, None], 0, 255)
    road = rng.uniform(70, 160) * rng.uniform(0.92, 1.05, 3)
    picture[horizon:] = np.clip(road * np.linspace(1.1, 0.8, height - horizon)[:, None, None], 0, 255)
    left = -int(rng.integers(0, 80))
    while left < width:  # Houses.
        right = left + int(rng.integers(80, 300))
        if rng.random() < 0.75:
            _house(picture, left, right, int(horizon * rng.uniform(-0.3, 0.6)), horizon, rng)
        left = right + int(rng.integers(0, 60))
    for _ in range(rng.integers(0, 4)):  # Trees and bushes.
        x, size = rng.uniform(0, width), rng.uniform(0.06, 0.22) * width
        green = rng.uniform([20, 50, 15], [80, 120, 60])
        for _ in range(14):
            middle = (int(x + rng.normal(0, size * 0.4)), int(horizon - size * 0.6 + rng.normal(0, size * 0.3)))
            radius, shade = int(size * rng.uniform(0.15, 0.4)), green * rng.uniform(0.7, 1.2)
            cv2.circle(picture, middle, radius, shade.tolist(), -1)
    vanishing = (int(rng.uniform(0, width)), int(horizon))
    for _ in range(rng.integers(0, 5)):  # Lines on the road, towards one point.
        x, shade = rng.uniform(-0.5, 1.5) * width, rng.uniform(120, 240)
        foot = np.array([[x, height], [x + rng.uniform(4, 20), height], vanishing]).astype("int32")
        cv2.fillPoly(picture, [foot], (shade, shade, shade * rng.uniform(0.6, 1)), cv2.LINE_AA)
    for _ in range(rng.integers(0, 3)):  # Poles.
        x, shade = int(rng.uniform(0, width)), rng.uniform(30, 180)
        cv2.line(picture, (x, 0), (x, int(horizon * rng.uniform(1, 1.3))), (shade,) * 3, int(rng.integers(2, 8)))
    noise = np.zeros((height, width), "float32")
    for grain, strength in ((2, 7), (20, 6)):
        coarse = rng.standard_normal((height // grain + 1, width // grain + 1), "float32") * strength
        noise += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.add(picture, cv2.merge([noise] * 3), dtype=cv2.CV_8U)


def _house(picture: np.ndarray, left: int, right: int, top: int, bottom: int, rng: np.random.Generator) -> None:
    """A wall with bricks, windows or a shop's sign, in place."""
    wall = rng.uniform(90, 235) * rng.uniform([0.9, 0.85, 0.75], [1.05, 1, 0.98])
    cv2.rectangle(picture, (left, top), (right, bottom), wall.tolist(), -1)
    if rng.random() < 0.3:
        for y in range(max(top, 0), bottom, int(rng.integers(6, 14))):
            cv2.line(picture, (left, y), (right, y), (wall * 0.85).tolist(), 1)
    size = int(rng.integers(18, 50))
    dark = rng.uniform(30, 110) * np.array([0.9, 1, 1.1])
    for x in range(left + size // 2, right - size, int(size * rng.uniform(1.5, 2.5))):
        cv2.rectangle(picture, (x, bottom - size * 2), (x + size, bottom - size // 2), dark.tolist(), -1)
        cv2.rectangle(picture, (x, bottom - size * 2), (x + size, bottom - size // 2), (wall * 0.6).tolist(), 2)
    if rng.random() < 0.5:  # A sign with lettering, which is no plate.
        ground, ink = rng.uniform(20, 235, 3), rng.uniform(0, 255, 3)
        word = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUV 0123456789"), rng.integers(4, 12)))
        scale = rng.uniform(0.4, 1.0)
        x, y = left + int(rng.integers(0, 30)), int(rng.uniform(0.3, 0.9) * bottom)
        (length, rise), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 1)
        cv2.rectangle(picture, (x - 6, y - rise - 6), (x + length + 6, y + 7), ground.tolist(), -1)
        cv2.putText(picture, word, (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, ink.tolist(), 1, cv2.LINE_AA)
