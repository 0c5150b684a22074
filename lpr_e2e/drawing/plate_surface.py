"""The surface of a plate: wear of its paint, colours, dust and light, frame, bolts, stickers."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from lpr_e2e.drawing.style import PlateLook

FIELD_HEIGHT, FIELD_WIDTH = 260, 1100  # pixels of a cached texture; a plate shows a random window of it
GRAINS = (2, 3, 5, 9, 16, 40)  # grain sizes of the cached textures, in pixels: specks to large blotches
_HERSHEY_HEIGHT = 22  # pixels of a capital of OpenCV's font at scale 1
_LEAST_CONTRAST = 60  # grey levels between small print and the band it stands on
_LEVELS = np.linspace(0, 1, 256)[:, None]
# The corners of a rounded rectangle, clockwise from the top left, five points each: at which end of its sides, x and y,
# and where on the circle.
_AT_END = np.repeat([[0, 0], [1, 0], [1, 1], [0, 1]], 5, axis=0)
_ANGLES = np.deg2rad(np.add.outer([180, 270, 0, 90], [0, 22.5, 45, 67.5, 90]).ravel())
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


class Surface:
    """Random wear and colours. The textures are made once and only read after: threads may share them."""

    def __init__(self):
        self._fields = [_field(np.random.default_rng(seed), grain) for seed, grain in enumerate(GRAINS)]

    def wear(self, ink: np.ndarray, rng: np.random.Generator) -> None:
        """Fade, chip and smear the paint, in place."""
        if rng.random() < 0.12:  # Dirt or paint that fills a digit.
            middle = (int(rng.uniform(0.05, 0.95) * ink.shape[1]), int(rng.uniform(0.3, 0.7) * ink.shape[0]))
            axes = tuple(int(ink.shape[0] * rng.uniform(0.05, 0.13)) for _ in range(2))
            blob = np.zeros_like(ink)
            cv2.ellipse(blob, middle, axes, 0, 0, 360, int(rng.uniform(60, 200)), -1, cv2.LINE_AA)
            np.maximum(ink, blob, out=ink)
        if rng.random() < 0.3:  # Fading in blotches.
            field = self._window(int(rng.integers(3, 6)), ink.shape, rng)
            levels = np.interp(np.arange(256), (0, 255 * rng.uniform(0.2, 0.9)), (rng.uniform(0.5, 0.95), 1))
            cv2.multiply(ink, cv2.LUT(field, (levels * 255).astype("uint8")), dst=ink, scale=1 / 255)
        if rng.random() < 0.2:  # Chips: paint missing in specks.
            field = self._window(int(rng.integers(0, 4)), ink.shape, rng)
            share = 255 * rng.uniform(0.01, 0.1)
            levels = np.interp(np.arange(256), (share * 0.7, share * 1.4 + 4), (rng.uniform(0.1, 0.8), 1))
            cv2.multiply(ink, cv2.LUT(field, (levels * 255).astype("uint8")), dst=ink, scale=1 / 255)
        if rng.random() < 0.15:
            for _ in range(rng.integers(1, 7)):  # Scratches through the paint.
                start = rng.uniform(0, 1, 2) * ink.shape[::-1]
                end = start + rng.normal(0, 0.5, 2) * ink.shape[0]
                shade = int(rng.integers(0, 160))
                cv2.line(ink, *(tuple(map(int, point)) for point in (start, end)), shade, 1, cv2.LINE_AA)

    def paint(self, ink: np.ndarray, ground: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 RGB `(height, width, 3)` of an ink mask, in these two RGB colours, with dust and light."""
        plate = _coloured(ink, np.clip(ground + (paint - ground) * _LEVELS, 0, 255))
        if rng.random() < 0.6:  # Dust and haze: lighter in blotches, in the colour of the dust.
            field = self._window(int(rng.integers(0, 6)), ink.shape, rng)
            dust = rng.uniform(0.02, 0.13) * rng.uniform(160, 240, 3)
            curve = _LEVELS ** rng.uniform(1, 4)
            plate = cv2.add(plate, _coloured(field, dust * curve))
        if rng.random() < 0.5:  # Light that differs along the plate.
            gains = rng.uniform(75, 145, (rng.integers(1, 3), rng.integers(2, 5))).astype("uint8")
            gain = cv2.resize(gains, ink.shape[::-1], interpolation=cv2.INTER_LINEAR)
            plate = cv2.multiply(plate, cv2.merge([gain] * 3), scale=1 / 110)
        if rng.random() < 0.06:  # A patch of glare.
            glare = np.zeros((8, 32), "uint8")
            middle = (int(rng.integers(0, 32)), int(rng.integers(0, 8)))
            cv2.ellipse(
                glare,
                middle,
                (int(rng.integers(1, 8)), int(rng.integers(1, 4))),
                0,
                0,
                360,
                int(rng.integers(30, 150)),
                -1,
            )
            plate = cv2.add(plate, cv2.merge([cv2.resize(glare, ink.shape[::-1], interpolation=cv2.INTER_CUBIC)] * 3))
        return plate

    def _window(self, grain: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """A random window, uint8 `shape`, of the texture with this grain: values spread evenly over 0..255."""
        top = rng.integers(0, FIELD_HEIGHT - shape[0] + 1)
        left = rng.integers(0, FIELD_WIDTH - shape[1] + 1)
        return self._fields[grain][top : top + shape[0], left : left + shape[1]]


def _coloured(mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """uint8 `(height, width, 3)` of a uint8 mask and the colour of each of its 256 levels, `(256, 3)` 0..255."""
    return cv2.merge([cv2.LUT(mask, channel) for channel in colours.T.astype("uint8")])


def colours_of_look(look: PlateLook, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the ground and of the paint of a look, float `(3,)` RGB 0..255, as in daylight.

    Crops are small, so that blur has brought their colours together, and some were taken at night.
    """
    ground, paint = np.array(look.ground), np.array(look.paint)
    middle, half = (ground + paint) / 2, (paint - ground) / 2 * rng.uniform(1.0, 1.5)
    ground, paint = np.maximum(middle - half, 0), np.maximum(middle + half, 0)
    brightest = max(ground.max(), paint.max(), 1.0)
    gain = max(1.0, rng.uniform(130, 250) / brightest) * rng.uniform(0.93, 1.07, 3)
    return np.clip(ground * gain, 0, 255), np.clip(paint * gain, 0, 255)


def any_colours(tunisian: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the ground and of the paint of a plate of any look, float `(3,)` RGB 0..255."""
    kind = rng.random()
    dark = rng.uniform(5, 48) * rng.uniform(0.85, 1.1, 3)
    light = rng.uniform(165, 256) * rng.uniform(0.92, 1.0, 3)
    if kind < 0.12:  # Faded black, dull paint.
        dark = rng.uniform(50, 95) * rng.uniform(0.9, 1.1, 3)
        light = dark + rng.uniform(60, 130)
    elif kind < (0.15 if tunisian else 0.32):  # A coloured ground, or coloured paint.
        dark = rng.permutation(np.array([rng.uniform(90, 170), rng.uniform(20, 90), rng.uniform(10, 50)]))
    light_ground = rng.random() < (0.04 if tunisian else 0.75)
    if light_ground and not tunisian and rng.random() < 0.2:
        light = light * np.array([1.0, rng.uniform(0.75, 0.95), rng.uniform(0.1, 0.6)])
    elif light_ground and not tunisian and rng.random() < 0.12:  # Tinged with any colour.
        light = light * rng.permutation([1.0, rng.uniform(0.7, 1.0), rng.uniform(0.5, 0.9)])
    return (light, dark) if light_ground else (dark, light)


def embossed(plate: np.ndarray, ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The plate with its characters raised: bright edges towards the light, dark ones on the other side."""
    x, y = rng.integers(-2, 3, 2)
    towards, away = (np.roll(ink, (sign * y, sign * x), (0, 1)).astype("int16") for sign in (-1, 1))
    edges = (towards - away) * rng.uniform(0.1, 0.35)
    return np.clip(plate + edges[..., None], 0, 255).astype("uint8")


def draw_frame(ink: np.ndarray, rim: float, rng: np.random.Generator) -> None:
    """A thin rounded frame, in place, `rim` pixels inside the edge."""
    height, width = ink.shape
    inset, radius = max(1, round(rim * 0.8)), round(height * rng.uniform(0.02, 0.14))
    thickness = max(1, round(height * rng.uniform(0.014, 0.045)))
    points = _rounded_rectangle(inset, inset, height - 1 - inset, width - 1 - inset, radius)
    cv2.polylines(ink, [points], True, int(rng.uniform(170, 256)), thickness, cv2.LINE_AA)


def draw_end_dots(ink: np.ndarray, rim: float, rng: np.random.Generator) -> None:
    """The small dots at half height near both ends, in place."""
    height, width = ink.shape
    inset = rim + height * rng.uniform(0.05, 0.16)
    radius = height * rng.uniform(0.012, 0.035)
    for x in (inset, width - inset):
        middle = (round(x), round(height * (0.5 + rng.normal(0, 0.02))))
        cv2.circle(ink, middle, max(1, round(radius)), int(rng.uniform(120, 255)), -1, cv2.LINE_AA)


def draw_bolts(plate: np.ndarray, rng: np.random.Generator) -> None:
    """Bolts, rivets or screw caps, in place: mostly near the ends, sometimes between or on the characters."""
    height, width = plate.shape[:2]
    spots = []
    if rng.random() < 0.3:
        x, y = rng.uniform(0.03, 0.1) * height + 3, rng.choice([0.5, rng.uniform(0.1, 0.9)])
        spots += [(x, y * height), (width - x, y * height)]
    if rng.random() < 0.12:
        x, y = rng.uniform(0.15, 0.35), rng.uniform(0.08, 0.5)
        spots += [(x * width, y * height), ((1 - x) * width, y * height)]
    if rng.random() < 0.1:
        spots.append((rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height))
    radius = max(1, round(height * rng.uniform(0.015, 0.06)))
    shade = rng.uniform(20, 235) * rng.uniform(0.85, 1, 3)
    for x, y in spots:
        middle = (round(x + rng.normal(0, 1)), round(y + rng.normal(0, 1)))
        cv2.circle(plate, middle, radius, shade.tolist(), -1, cv2.LINE_AA)
        if radius > 2:
            cv2.circle(
                plate,
                (middle[0] - 1, middle[1] - 1),
                radius // 2,
                np.minimum(shade + 50, 255).tolist(),
                -1,
                cv2.LINE_AA,
            )


def draw_sticker(plate: np.ndarray, rng: np.random.Generator) -> None:
    """A narrow coloured sticker, such as a country's sign, at one end of the plate, in place."""
    height, width = plate.shape[:2]
    left = round(rng.choice([rng.uniform(0.01, 0.05), 1 - rng.uniform(0.06, 0.09)]) * width)
    top, bottom = round(height * rng.uniform(0.08, 0.3)), round(height * rng.uniform(0.6, 0.9))
    right = left + round(height * rng.uniform(0.12, 0.25))
    cv2.rectangle(plate, (left, top), (right, bottom), rng.uniform(20, 230, 3).tolist(), -1)
    middle = ((left + right) // 2, round(top + (bottom - top) * 0.7))
    cv2.circle(plate, middle, max(1, height // 24), (230, 230, 230), -1, cv2.LINE_AA)


def draw_surroundings(
    plate: np.ndarray,
    look: PlateLook,
    rows: tuple[float, float],
    paint: np.ndarray,
    glyphs: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> None:
    """What is above and below the characters of a look, in place: bands of another colour, small print.

    Args:
        plate: uint8 RGB `(h, w, 3)`.
        look: says what is there.
        rows: between which the characters stand.
        paint: the characters' colour, RGB.
        glyphs: masks of the plate's characters, in which half of the small print is set.
        rng: decides.
    """
    height = plate.shape[0]
    above, below = max(0, round(rows[0] - 0.03 * height)), round(rows[1] + 0.03 * height)
    for part, colour, small in (
        (plate[:above], look.above, look.small_above),
        (plate[below:], look.below, look.small_below),
    ):
        if part.shape[0] < 0.1 * height:
            continue
        if colour is not None and rng.random() < 0.85:
            band = np.clip(np.array(colour) * rng.uniform(0.9, 1.5) * rng.uniform(0.95, 1.05, 3), 0, 255)
            part[:] = cv2.addWeighted(part, 0.2, np.full_like(part, band.astype("uint8")), 0.8, 0)
        if small and rng.random() < 0.8:
            most = min(0.7 * part.shape[0], 0.5 * (rows[1] - rows[0]))
            # On a band of about the characters' colour it has another one.
            shade = paint if abs(paint.mean() - part.mean()) > _LEAST_CONTRAST else np.full(3, 255 - part.mean())
            if rng.random() < 0.5:
                _small_glyphs(part, most, shade, glyphs, rng)
            else:
                _small_print(part, most, shade, rng)


def _small_print(part: np.ndarray, most: float, paint: np.ndarray, rng: np.random.Generator) -> None:
    """Small letters and digits that are no part of the number, such as a month or a country's name, in place.

    They are at most `most` pixels high.
    """
    letters = "".join(rng.choice(list("ABCDEGILMNOPRSTUWXY0123456789.-"), rng.integers(3, 11)))
    scale = most * rng.uniform(0.55, 1.0) / _HERSHEY_HEIGHT
    thickness = max(1, round(1.6 * scale))
    (width, height), _ = cv2.getTextSize(letters, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    left = max(0, round((part.shape[1] - width) * rng.uniform(0.1, 0.9)))
    bottom = round((part.shape[0] + height) / 2)
    shade = tuple(np.clip(paint * rng.uniform(0.8, 1.2), 0, 255).tolist())
    cv2.putText(part, letters, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, scale, shade, thickness, cv2.LINE_AA)


def _small_glyphs(
    part: np.ndarray, most: float, paint: np.ndarray, glyphs: Sequence[np.ndarray], rng: np.random.Generator
) -> None:
    """Small print in the plate's own characters, in place: as large as these in nothing but their size."""
    height = max(3, round(most * rng.uniform(0.55, 1.0)))
    gap = np.zeros((height, max(1, round(height * rng.uniform(0.1, 0.4)))), "uint8")
    row = [gap]
    for number in rng.integers(len(glyphs), size=rng.integers(2, 11)):
        width = max(2, round(glyphs[number].shape[1] * height / glyphs[number].shape[0]))
        if sum(one.shape[1] for one in row) + width + gap.shape[1] > part.shape[1]:
            break
        row += [cv2.resize(glyphs[number], (width, height), interpolation=cv2.INTER_AREA), gap]
    mask = np.hstack(row)[:, : part.shape[1]]
    left = round((part.shape[1] - mask.shape[1]) * rng.uniform(0.1, 0.9))
    top = max(0, round((part.shape[0] - height) / 2))
    place = part[top : top + height, left : left + mask.shape[1]]
    shade = np.clip(paint * rng.uniform(0.8, 1.2), 0, 255)
    place[:] = place + (shade - place) * (mask[: place.shape[0], :, None] / 255)


def with_band(plate: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """The plate with a band of another colour at one end, such as a country's sign in it; how many columns are left
    of the plate."""
    height = plate.shape[0]
    width = max(4, round(height * rng.uniform(0.2, 0.5)))
    dark = rng.permutation([rng.uniform(5, 40), rng.uniform(10, 90), rng.uniform(70, 180)])
    band = np.full((height, width, 3), dark.astype("uint8"), "uint8")
    if rng.random() < 0.25:  # A flag: stripes.
        for number, colour in enumerate(rng.integers(0, 256, (3, 3))):
            band[number * height // 3 : (number + 1) * height // 3] = colour
    middle = (width // 2, round(height * rng.uniform(0.22, 0.4)))
    if rng.random() < 0.7:  # A ring of stars, or a badge.
        radius, colour = max(2, round(width * rng.uniform(0.2, 0.35))), (230, 200, 40)
        for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            star = (round(middle[0] + radius * np.cos(angle)), round(middle[1] + radius * np.sin(angle)))
            cv2.circle(band, star, max(1, radius // 6), colour, -1, cv2.LINE_AA)
    if rng.random() < 0.8:
        letters = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUVYZ"), rng.integers(1, 4)))
        scale = 0.6 * width / _HERSHEY_HEIGHT / len(letters)
        thickness = max(1, round(2 * scale))
        (wide, _), _ = cv2.getTextSize(letters, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        spot = ((width - wide) // 2, round(height * rng.uniform(0.75, 0.92)))
        cv2.putText(band, letters, spot, cv2.FONT_HERSHEY_SIMPLEX, scale, (240, 240, 240), thickness, cv2.LINE_AA)
    at_left = rng.random() < 0.8
    return np.hstack([band, plate] if at_left else [plate, band]), width if at_left else 0


def with_strip(plate: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """The plate with a dealer's strip under or over it, small lettering that is no part of the number; how many rows
    are over the plate."""
    height = int(plate.shape[0] * rng.uniform(0.12, 0.2))
    ground, ink = rng.permutation([rng.uniform(10, 60), rng.uniform(150, 230)])[:, None] * rng.uniform(0.9, 1.1, 3)
    strip = np.full((height, plate.shape[1], 3), ground.astype("uint8"), "uint8")
    letters = "".join(rng.choice(list("ABCDEILMNORSTUWX. "), rng.integers(8, 26)))
    scale = height / 40
    (width, _), _ = cv2.getTextSize(letters, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = int((plate.shape[1] - width) * rng.uniform(0.2, 0.8))
    cv2.putText(
        strip, letters, (left, int(height * 0.8)), cv2.FONT_HERSHEY_SIMPLEX, scale, tuple(ink.tolist()), 1, cv2.LINE_AA
    )
    below = rng.random() < 0.8
    return np.vstack([plate, strip] if below else [strip, plate]), 0 if below else height


def outline(shape: tuple[int, int], radius: float) -> np.ndarray:
    outline = np.zeros(shape, "uint8")
    cv2.fillPoly(outline, [_rounded_rectangle(0, 0, shape[0] - 1, shape[1] - 1, round(radius))], 255)
    return outline


def _rounded_rectangle(top: int, left: int, bottom: int, right: int, radius: int) -> np.ndarray:
    """int32 `(n, 1, 2)` outline points `(x, y)`."""
    low, high = np.array([left, top]) + radius, np.array([right, bottom]) - radius
    return np.round(low + _AT_END * (high - low) + radius * _CIRCLE).astype("int32")[:, None]


def _field(rng: np.random.Generator, cell: int) -> np.ndarray:
    """A random texture with grains of `cell` pixels, uint8 `(FIELD_HEIGHT, FIELD_WIDTH)`, evenly spread over 0..255."""
    coarse = rng.random((FIELD_HEIGHT // cell + 2, FIELD_WIDTH // cell + 2)).astype("float32")
    smooth = cv2.resize(coarse, (FIELD_WIDTH, FIELD_HEIGHT), interpolation=cv2.INTER_CUBIC)
    ranks = np.empty(smooth.size, "float32")
    ranks[np.argsort(smooth, axis=None)] = np.linspace(0, 255, smooth.size)
    return ranks.reshape(smooth.shape).astype("uint8")
