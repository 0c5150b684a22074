"""A car's rear or front drawn from simple shapes, with a place for its plate. `scenes` puts it into a photograph."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

PAINTS = (  # RGB
    *((235, 235, 232), (190, 192, 195), (120, 124, 128), (35, 36, 40), (150, 25, 25)),
    *((30, 60, 130), (190, 170, 130), (45, 80, 60), (210, 170, 40), (110, 60, 40)),
)
HEIGHT_PER_WIDTH = 0.95  # of the layer; the car fills its width but for the margin
MARGIN = 0.14  # of the layer's width, left and right of the car's rear: room for a side seen in perspective


def draw_car(width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A car seen from behind or from the front, its wheels at the bottom.

    Args:
        width: width of the layer in pixels; the car's rear takes 72 % of it.

    Returns:
        uint8 RGB layer `(height, width, 3)`, its uint8 opacity `(height, width)`, and the centre of the plate with the
        car's width: float `(x, y, width)` in pixels of the layer.
    """
    car = _Car(width, rng)
    if rng.random() < 0.6:
        car.draw_flank(rng)
    car.draw_body(rng)
    car.draw_lamps(rng)
    car.draw_lettering(rng)
    plate = car.draw_place_of_plate(rng)
    _shade(car.layer, rng)
    return car.layer, car.opacity, np.array([*car.pixels(plate), car.width])


class _Car:
    """A car that is being drawn, part by part. Places are x from its middle, y up from the ground, in its widths.

    Args:
        width: of the layer in pixels.
        rng: draws its measures and colours; what is drawn of it later draws more.
    """

    def __init__(self, width: int, rng: np.random.Generator):
        self.layer = np.zeros((int(width * HEIGHT_PER_WIDTH), width, 3), "uint8")
        self.opacity = np.zeros(self.layer.shape[:2], "uint8")
        self.width = width * (1 - 2 * MARGIN)
        self.foot = np.array([width / 2, self.layer.shape[0] - 0.02 * self.width])  # its middle on the ground, pixels
        self.paint = np.array(PAINTS[rng.integers(len(PAINTS))]) * rng.uniform(0.8, 1.05) * rng.uniform(0.96, 1.04, 3)
        self.trim = rng.uniform(20, 55) * np.ones(3) if rng.random() < 0.4 else self.paint * rng.uniform(0.75, 0.95)
        self.seen_from_behind = rng.random() < 0.6
        self.top, self.shoulder, self.waist = rng.uniform(0.78, 1.0), rng.uniform(0.5, 0.6), rng.uniform(0.26, 0.32)
        self.roof, self.glass = rng.uniform(0.3, 0.4), rng.uniform(0.015, 0.04)
        self.lamps = (0.0, 0.0)  # their lower and upper end

    def pixels(self, places: Sequence) -> np.ndarray:
        """Places `(..., 2)` in pixels of the layer, float x and y."""
        return np.array(places) * (self.width, -self.width) + self.foot

    def fill(self, places: Sequence[tuple[float, float]], colour: np.ndarray) -> None:
        """Draw a polygon."""
        corners = np.round(self.pixels(places) * 16).astype("int32")
        cv2.fillPoly(self.layer, [corners], np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, 4)
        cv2.fillPoly(self.opacity, [corners], 255, cv2.LINE_AA, 4)

    def fill_both_sides(self, places: Sequence[tuple[float, float]], colour: np.ndarray) -> None:
        """Draw a polygon and its mirror image."""
        self.fill(places, colour)
        self.fill([(-x, y) for x, y in places], colour)

    def draw_flank(self, rng: np.random.Generator) -> None:
        """One side of the car, seen at an angle."""
        side = rng.choice([-1, 1])
        away = rng.uniform(0.06, 0.17)
        flank = [(0.4, self.top - 0.08), (0.5, self.shoulder), (0.49, 0.12), (0.5 + away, 0.2),
                 (0.5 + away, self.shoulder + 0.02), (0.4 + away, self.top - 0.1)]  # fmt: skip
        wheel = [(0.47, 0.22), (0.49 + away, 0.24), (0.48 + away, 0.06), (0.47, 0.03)]
        self.fill([(side * x, y) for x, y in flank], self.paint * 0.6)
        self.fill([(side * x, y) for x, y in wheel], np.array([22.0, 22, 24]))

    def draw_body(self, rng: np.random.Generator) -> None:
        """Wheels, cabin, window with a reflection, body, bumper."""
        shoulder, waist, roof, glass = self.shoulder, self.waist, self.roof, self.glass
        self.fill_both_sides([(0.33, 0.0), (0.47, 0.0), (0.48, 0.2), (0.33, 0.2)], np.array([20.0, 20, 22]))
        cabin = [(-0.48, shoulder), (-roof, self.top - 0.03), (-roof + 0.06, self.top), (roof - 0.06, self.top),
                 (roof, self.top - 0.03), (0.48, shoulder)]  # fmt: skip
        self.fill(cabin, self.paint * 0.95)
        pane = rng.uniform(20, 90) * np.array([0.9, 1, 1.05])
        low, high = shoulder + 0.02, self.top - 0.05 - glass
        self.fill([(-0.41, low), (-roof + glass, high), (roof - glass, high), (0.41, low)], pane)
        slide = rng.uniform(-0.25, 0.1)
        reflection = [(slide, low), (slide + 0.1, high), (slide + 0.2, high), (slide + 0.12, low)]
        self.fill(reflection, pane + rng.uniform(10, 60))
        body = [(-0.48, shoulder + 0.01), (-0.5, shoulder - 0.05), (-0.5, 0.2), (-0.46, 0.1), (0.46, 0.1), (0.5, 0.2),
                (0.5, shoulder - 0.05), (0.48, shoulder + 0.01)]  # fmt: skip
        self.fill(body, self.paint)
        self.fill([(-0.5, waist), (-0.5, 0.2), (-0.45, 0.1), (0.45, 0.1), (0.5, 0.2), (0.5, waist)], self.trim)
        seam = [(-0.5, waist + 0.006), (-0.5, waist - 0.006), (0.5, waist - 0.006), (0.5, waist + 0.006)]
        self.fill(seam, self.paint * 0.5)

    def draw_lamps(self, rng: np.random.Generator) -> None:
        """Two lamps with a spot each; at the front, a grille with bars between them."""
        inner = rng.uniform(0.24, 0.38)
        lower, upper = self.waist + rng.uniform(0.02, 0.06), self.shoulder - rng.uniform(0.01, 0.06)
        self.lamps = (lower, upper)
        lamp = np.array([170.0, 25, 25]) if self.seen_from_behind else np.array([215.0, 220, 225])
        lamp *= rng.uniform(0.6, 1.1)
        self.fill_both_sides([(inner, lower + 0.02), (0.49, lower), (0.49, upper), (inner + 0.03, upper)], lamp)
        left = rng.uniform(inner + 0.04, 0.44)
        spot = [(left, lower + 0.03), (left + 0.04, lower + 0.03), (left + 0.04, upper - 0.02), (left, upper - 0.02)]
        colour = np.array([235.0, 190, 120]) if self.seen_from_behind else np.array([120.0, 125, 130])
        self.fill_both_sides(spot, colour)
        if self.seen_from_behind:
            return
        reach = inner - 0.03
        self.fill([(-reach, lower), (reach, lower), (reach, upper), (-reach, upper)], np.array([25.0, 25, 27]))
        bars = rng.integers(2, 6)
        for bar in range(1, bars):
            y = lower + (upper - lower) * bar / bars
            places = [(-reach, y - 0.006), (reach, y - 0.006), (reach, y + 0.006), (-reach, y + 0.006)]
            self.fill(places, self.paint * 0.6 + 60)

    def draw_lettering(self, rng: np.random.Generator) -> None:
        """A badge, and the maker's or dealer's name, which is no plate."""
        badge = self.shoulder - rng.uniform(0.05, 0.08)
        angles = np.linspace(0, 2 * np.pi, 17)
        circle = [(0.028 * np.cos(angle), badge + 0.028 * np.sin(angle)) for angle in angles]
        self.fill(circle, np.array([205.0, 205, 210]))
        for _ in range(rng.integers(0, 3)):
            place = self.pixels([rng.uniform(-0.4, 0.2), rng.uniform(self.waist + 0.03, self.shoulder)])
            word = "".join(rng.choice(list("AEGIKLMNORSTX123456"), rng.integers(2, 7)))
            start, size = (int(place[0]), int(place[1])), self.width / 900
            cv2.putText(self.layer, word, start, cv2.FONT_HERSHEY_SIMPLEX, size, (200, 200, 205), 1, cv2.LINE_AA)

    def draw_place_of_plate(self, rng: np.random.Generator) -> tuple[float, float]:
        """The plate hangs on the bumper or, behind, between the lamps, often in a darker recess: its centre."""
        high_up = self.seen_from_behind and rng.random() < 0.5
        y = sum(self.lamps) / 2 - 0.02 if high_up else rng.uniform(0.17, 0.22)
        x = rng.normal(0, 0.01)
        if rng.random() < 0.6:
            reach, rise = rng.uniform(0.17, 0.23), rng.uniform(0.045, 0.07)
            ground = (self.paint if high_up else self.trim) * rng.uniform(0.45, 0.8)
            recess = [(x - reach, y - rise), (x + reach, y - rise), (x + reach * 0.95, y + rise),
                      (x - reach * 0.95, y + rise)]  # fmt: skip
            self.fill(recess, ground)
        return x, y


def _shade(layer: np.ndarray, rng: np.random.Generator) -> None:
    """Light from above, darker sides and soft reflections, in place."""
    height, width = layer.shape[:2]
    heights, gains = np.array([0, 0.45, 0.7, 1]) * height, rng.uniform([1, 0.85, 0.75, 0.4], [1.2, 1.1, 1, 0.6])
    rows = np.interp(np.arange(height), heights, gains)
    columns = np.interp(np.arange(width), np.array([0, 0.25, 0.75, 1]) * width, (0.65, 1, rng.uniform(0.85, 1), 0.6))
    blotches = cv2.resize(rng.uniform(0.88, 1.12, (6, 9)), (width, height), interpolation=cv2.INTER_CUBIC)
    gain = (rows[:, None] * columns * blotches).astype("float32")
    cv2.multiply(layer, cv2.merge([gain] * 3), dst=layer, dtype=cv2.CV_8U)
