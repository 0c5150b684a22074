"""A car's rear or front drawn from simple shapes, with a place for its plate. `scenes` puts it into a photograph."""

from __future__ import annotations

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
    layer = np.zeros((int(width * HEIGHT_PER_WIDTH), width, 3), "uint8")
    opacity = np.zeros(layer.shape[:2], "uint8")
    car = width * (1 - 2 * MARGIN)
    middle = np.array([width / 2, layer.shape[0] - 0.02 * car])  # where the car's middle touches the ground
    paint = np.array(PAINTS[rng.integers(len(PAINTS))]) * rng.uniform(0.8, 1.05) * rng.uniform(0.96, 1.04, 3)
    trim = rng.uniform(20, 55) * np.ones(3) if rng.random() < 0.4 else paint * rng.uniform(0.75, 0.95)
    seen_from_behind = rng.random() < 0.6
    top, shoulder, waist = rng.uniform(0.78, 1.0), rng.uniform(0.5, 0.6), rng.uniform(0.26, 0.32)
    roof, glass = rng.uniform(0.3, 0.4), rng.uniform(0.015, 0.04)

    def fill(points: list[tuple[float, float]], colour: np.ndarray, solid: bool = True) -> None:
        """A polygon of points (x from the car's middle, y up from the ground), in car widths."""
        pixels = np.round((np.array(points) * (car, -car) + middle) * 16).astype("int32")
        cv2.fillPoly(layer, [pixels], np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, 4)
        if solid:
            cv2.fillPoly(opacity, [pixels], 255, cv2.LINE_AA, 4)

    def both_sides(points: list[tuple[float, float]], colour: np.ndarray) -> None:
        fill(points, colour)
        fill([(-x, y) for x, y in points], colour)

    if rng.random() < 0.6:  # One side of the car, seen at an angle.
        side = rng.choice([-1, 1])
        away = rng.uniform(0.06, 0.17)
        flank = [(0.4, top - 0.08), (0.5, shoulder), (0.49, 0.12), (0.5 + away, 0.2), (0.5 + away, shoulder + 0.02),
                 (0.4 + away, top - 0.1)]  # fmt: skip
        fill([(side * x, y) for x, y in flank], paint * 0.6)
        fill([(side * x, y) for x, y in [(0.47, 0.22), (0.49 + away, 0.24), (0.48 + away, 0.06), (0.47, 0.03)]],
             np.array([22.0, 22, 24]))  # fmt: skip
    both_sides([(0.33, 0.0), (0.47, 0.0), (0.48, 0.2), (0.33, 0.2)], np.array([20.0, 20, 22]))
    # Cabin, window with a reflection, body, bumper.
    fill([(-0.48, shoulder), (-roof, top - 0.03), (-roof + 0.06, top), (roof - 0.06, top), (roof, top - 0.03),
          (0.48, shoulder)], paint * 0.95)  # fmt: skip
    pane = rng.uniform(20, 90) * np.array([0.9, 1, 1.05])
    low, high = shoulder + 0.02, top - 0.05 - glass
    fill([(-0.41, low), (-roof + glass, high), (roof - glass, high), (0.41, low)], pane)
    slide = rng.uniform(-0.25, 0.1)
    fill([(slide, low), (slide + 0.1, high), (slide + 0.2, high), (slide + 0.12, low)], pane + rng.uniform(10, 60))
    body = [(-0.48, shoulder + 0.01), (-0.5, shoulder - 0.05), (-0.5, 0.2), (-0.46, 0.1), (0.46, 0.1), (0.5, 0.2),
            (0.5, shoulder - 0.05), (0.48, shoulder + 0.01)]  # fmt: skip
    fill(body, paint)
    fill([(-0.5, waist), (-0.5, 0.2), (-0.45, 0.1), (0.45, 0.1), (0.5, 0.2), (0.5, waist)], trim)
    fill([(-0.5, waist + 0.006), (-0.5, waist - 0.006), (0.5, waist - 0.006), (0.5, waist + 0.006)], paint * 0.5)
    # Lamps.
    inner, lower, upper = rng.uniform(0.24, 0.38), waist + rng.uniform(0.02, 0.06), shoulder - rng.uniform(0.01, 0.06)
    lamp = np.array([170.0, 25, 25]) if seen_from_behind else np.array([215.0, 220, 225])
    lamp *= rng.uniform(0.6, 1.1)
    both_sides([(inner, lower + 0.02), (0.49, lower), (0.49, upper), (inner + 0.03, upper)], lamp)
    spot = rng.uniform(inner + 0.04, 0.44)
    both_sides([(spot, lower + 0.03), (spot + 0.04, lower + 0.03), (spot + 0.04, upper - 0.02), (spot, upper - 0.02)],
               np.array([235.0, 190, 120]) if seen_from_behind else np.array([120.0, 125, 130]))  # fmt: skip
    if not seen_from_behind:  # A grille with bars.
        reach = inner - 0.03
        fill([(-reach, lower), (reach, lower), (reach, upper), (-reach, upper)], np.array([25.0, 25, 27]))
        bars = rng.integers(2, 6)
        for bar in range(1, bars):
            y = lower + (upper - lower) * bar / bars
            fill([(-reach, y - 0.006), (reach, y - 0.006), (reach, y + 0.006), (-reach, y + 0.006)], paint * 0.6 + 60)
    badge = shoulder - rng.uniform(0.05, 0.08)
    angles = np.linspace(0, 2 * np.pi, 17)
    fill([(0.028 * np.cos(angle), badge + 0.028 * np.sin(angle)) for angle in angles], np.array([205.0, 205, 210]))
    for _ in range(rng.integers(0, 3)):  # A maker's or dealer's lettering, which is no plate.
        spot = np.array([rng.uniform(-0.4, 0.2), -rng.uniform(waist + 0.03, shoulder)]) * car + middle
        word = "".join(rng.choice(list("AEGIKLMNORSTX123456"), rng.integers(2, 7)))
        place = (int(spot[0]), int(spot[1]))
        cv2.putText(layer, word, place, cv2.FONT_HERSHEY_SIMPLEX, car / 900, (200, 200, 205), 1, cv2.LINE_AA)
    # The plate hangs on the bumper or, behind, between the lamps, in a darker recess.
    high_up = seen_from_behind and rng.random() < 0.5
    plate_y = (lower + upper) / 2 - 0.02 if high_up else rng.uniform(0.17, 0.22)
    plate_x = rng.normal(0, 0.01)
    if rng.random() < 0.6:
        reach, rise = rng.uniform(0.17, 0.23), rng.uniform(0.045, 0.07)
        ground = (paint if high_up else trim) * rng.uniform(0.45, 0.8)
        fill([(plate_x - reach, plate_y - rise), (plate_x + reach, plate_y - rise),
              (plate_x + reach * 0.95, plate_y + rise), (plate_x - reach * 0.95, plate_y + rise)], ground)  # fmt: skip
    _shade(layer, rng)
    centre = np.array([plate_x, -plate_y]) * car + middle
    return layer, opacity, np.array([*centre, car])


def _shade(layer: np.ndarray, rng: np.random.Generator) -> None:
    """Light from above, darker sides and soft reflections, in place."""
    height, width = layer.shape[:2]
    heights, gains = np.array([0, 0.45, 0.7, 1]) * height, rng.uniform([1, 0.85, 0.75, 0.4], [1.2, 1.1, 1, 0.6])
    rows = np.interp(np.arange(height), heights, gains)
    columns = np.interp(np.arange(width), np.array([0, 0.25, 0.75, 1]) * width, (0.65, 1, rng.uniform(0.85, 1), 0.6))
    blotches = cv2.resize(rng.uniform(0.88, 1.12, (6, 9)), (width, height), interpolation=cv2.INTER_CUBIC)
    gain = (rows[:, None] * columns * blotches).astype("float32")
    cv2.multiply(layer, cv2.merge([gain] * 3), dst=layer, dtype=cv2.CV_8U)
