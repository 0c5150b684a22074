"""Drawn photographs of cars with plates, and the demonstration data set made of them.

What they show is far simpler than real photographs: figures measured on them say nothing about real ones.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.photographs import DRAWN
from lpr_e2e.drawing.backdrop import draw_backdrop
from lpr_e2e.drawing.cars import draw_car
from lpr_e2e.drawing.plates import PlatePainter

# The demo is to be learnt in minutes: most of its plates are clean, and hardly any has two lines.
DEMO_WORN, DEMO_TWO_LINES = 0.3, 0.01
# What the numbers of the demonstration set look like: only their patterns and letters matter.
EXAMPLE_TEXTS = ("123T4567",) * 500 + ("45T6789",) * 250 + ("190T275",) * 70 + ("87T654",) * 30 + ("150T12", "123456N")
PLATE_PER_CAR = 0.3  # width of a plate of one line, in widths of its car
TALL_PLATE_PER_CAR = 0.17  # width of a plate of two lines
MOST_CARS = 3  # on one photograph; more would leave their plates too small to read
_DRAWN_NOTE = """# Drawn pictures

`draw` has drawn all pictures of this folder. While this file is here, a training on photographs and on these together
does not take the forms of texts that only these have for ones that it has seen on photographs.
"""
PHOTOGRAPHS, CROPS = "license_plates_detection_train", "license_plates_recognition_train"
BOX_COLUMNS = ["img_id", "ymin", "xmin", "ymax", "xmax"]
SUBMISSION_ROWS = 7  # the challenge asks for seven digits per photograph


@dataclass(frozen=True)
class Scene:
    """A drawn photograph: uint8 RGB `(height, width, 3)`, its plates' boxes, float `(n, 4)` yxyx, and their texts."""

    photograph: np.ndarray
    boxes_px: np.ndarray
    texts: list[str]


def draw_scene(painter: PlatePainter, rng: np.random.Generator, cars: int = 1) -> Scene:
    """A street or yard with cars, each with a plate; 480 to 760 px wide.

    A single car's plate takes about 23 to 40 % of the photograph's width; several cars stand side by side.
    """
    width = int(rng.integers(480, 761))
    height = int(width * (rng.uniform(0.62, 0.85) if rng.random() < 0.85 else rng.uniform(1.0, 1.3)))
    photograph = draw_backdrop(height, width, rng)
    boxes, texts = [], []
    for number in range(cars):
        # A single car may reach out of the photograph; several must not hide each other's plates.
        plate_width = width * (rng.uniform(0.23, 0.4) if cars == 1 else rng.uniform(0.2, 0.27) / cars)
        middle = width * (number + 0.5 + (rng.uniform(-0.12, 0.12) if cars == 1 else 0)) / cars
        texts.append(painter.sample_text(rng))
        plate, outline = painter.draw(texts[-1], rng)
        boxes.append(_put_car(photograph, plate, outline, plate_width / PLATE_PER_CAR, middle, rng))
    return Scene(_expose(photograph, rng), np.array(boxes, "float32").reshape(-1, 4), texts)


def cut_plate(photograph: np.ndarray, box_px: np.ndarray) -> np.ndarray:
    """The crop that a box `(4,)` yxyx frames, rounded outwards: uint8 RGB `(h, w, 3)`."""
    ymin, xmin = np.floor(box_px[:2]).astype(int)
    ymax, xmax = np.ceil(box_px[2:]).astype(int)
    return photograph[ymin:ymax, xmin:xmax].copy()


def write_demo(
    folder: Path | str,
    photographs: int = 400,
    crops: int = 500,
    test: int = 40,
    validation: int = 60,
    seed: int = 0,
    like: Sequence[str] = EXAMPLE_TEXTS,
    cars: int = 1,
    two_lines: float = DEMO_TWO_LINES,
    empty: int = 0,
    fonts: Sequence[Path | str] = (),
    characters: str = "",
) -> frozenset[str]:
    """Write a drawn data set in the challenge's layout; the same arguments write the same files.

    A photograph has a row for each of its plates, one without a plate a row with an empty box. A note (`DRAWN`) says
    that all is drawn.

    Args:
        folder: where to; it is made. Files of the same names are replaced.
        photographs: photographs with plates (set 1), the validation ones included.
        crops: plate crops with a text (set 2); four in five are cut out of set 1 as far as it reaches.
        test: photographs without labels.
        validation: how many photographs of set 1 `validation.csv` lists with boxes and texts.
        seed: of everything random.
        like: texts whose patterns and characters the plates have, see `lpr_e2e.drawing.plates.PlatePainter`.
            `SampleSubmission` is only for the challenge's patterns.
        cars: the most cars on a photograph.
        two_lines: share of the plates with two lines, of those whose text has groups to part.
        empty: further photographs of set 1, without a car.
        fonts, characters: see `lpr_e2e.drawing.plates.PlatePainter`.

    Returns:
        The characters that are not drawn, because no font has them.

    Raises:
        UserError: `validation` exceeds `photographs`, `cars` or `two_lines` is out of range, a font cannot be read, or
            no font has any of the characters of `like`.
    """
    _require_sizes(photographs, validation, cars, two_lines)
    folder, rng = Path(folder), np.random.default_rng(seed)
    painter = PlatePainter(like, DEMO_WORN, two_lines, fonts=fonts, characters=characters)
    if not painter.can_draw:
        raise UserError(f"like: no font on this machine has any of {''.join(sorted(painter.undrawable))!r}; name one")
    shown = _write_photographs(folder, photographs, cars, painter, rng)
    numbers = _write_crops(folder, crops, [plate for plates in shown for plate in plates], painter, rng)
    _write_test(folder, range(photographs + empty + 1, photographs + empty + test + 1), cars, painter, rng)
    held_out = sorted(rng.permutation(photographs)[:validation])
    boxes = [[plate.img_id, *plate.box_px] for plates in shown for plate in plates]
    boxes += _write_empty(folder, range(photographs + 1, photographs + empty + 1), painter, rng)
    _write_table(folder / f"{PHOTOGRAPHS}.csv", BOX_COLUMNS, boxes)
    _write_table(folder / f"{CROPS}.csv", ["img_id", "text"], numbers)
    texts = [[plate.img_id, *plate.box_px, plate.text] for number in held_out for plate in shown[number]]
    _write_table(folder / "validation.csv", [*BOX_COLUMNS, "text"], texts)
    (folder / DRAWN).write_text(_DRAWN_NOTE, encoding="utf-8")
    return painter.undrawable


def _require_sizes(photographs: int, validation: int, cars: int, two_lines: float) -> None:
    if not 1 <= cars <= MOST_CARS:
        raise UserError(f"cars: {cars}; expected 1 to {MOST_CARS}")
    if not 0 <= two_lines <= 1:
        raise UserError(f"two lines: {two_lines}; expected a share from 0 to 1")
    if validation > photographs:
        raise UserError(f"validation: {validation} photographs; expected at most the {photographs} of set 1")


@dataclass(frozen=True)
class _Shown:
    """A plate on a photograph that was written: its box, yxyx in whole pixels, its text, and what the box frames."""

    img_id: str
    box_px: list[int]
    text: str
    crop: np.ndarray


def _write_empty(folder: Path, numbers: range, painter: PlatePainter, rng: np.random.Generator) -> list[list[str]]:
    """Write the photographs of set 1 that have no plate: their rows."""
    for number in numbers:
        _write_jpeg(folder / PHOTOGRAPHS / f"{number}.jpg", draw_scene(painter, rng, 0).photograph, rng)
    return [[f"{number}.jpg", "", "", "", ""] for number in numbers]


def _write_test(folder: Path, numbers: range, cars: int, painter: PlatePainter, rng: np.random.Generator) -> None:
    """Write the photographs without labels, and the challenge's form for them if it is about such plates."""
    for number in numbers:
        _write_jpeg(folder / "test" / f"{number}.jpg", draw_scene(painter, rng, _cars(cars, rng)).photograph, rng)
    if painter.tunisian:
        asked = [[f"img_{number}_{row}", *[""] * 10] for number in numbers for row in range(1, SUBMISSION_ROWS + 1)]
        _write_table(folder / "SampleSubmission.csv", ["id", *map(str, range(10))], asked)


def _cars(most: int, rng: np.random.Generator) -> int:
    return int(rng.integers(1, most + 1)) if most > 1 else 1


def _write_photographs(
    folder: Path, count: int, cars: int, painter: PlatePainter, rng: np.random.Generator
) -> list[list[_Shown]]:
    """Write the photographs of set 1 that have plates: the plates of each."""
    shown = []
    for number in range(1, count + 1):
        scene, name = draw_scene(painter, rng, _cars(cars, rng)), f"{number}.jpg"
        photograph = _write_jpeg(folder / PHOTOGRAPHS / name, scene.photograph, rng)
        boxes = [_whole_pixels(box_px, photograph) for box_px in scene.boxes_px]
        shown.append(
            [
                _Shown(name, box_px, text, cut_plate(photograph, np.array(box_px)))
                for box_px, text in zip(boxes, scene.texts, strict=True)
            ]
        )
    return shown


def _write_crops(
    folder: Path, count: int, plates: list[_Shown], painter: PlatePainter, rng: np.random.Generator
) -> list[list[str]]:
    """Write set 2, four in five of its crops out of set 1 as far as that reaches: the rows of its table."""
    matched = min(len(plates), round(count * 0.8))
    labelled = [(plates[source].crop, plates[source].text) for source in rng.permutation(len(plates))[:matched]]
    for _ in range(count - matched):
        scene = draw_scene(painter, rng)
        box_px = np.array(_whole_pixels(scene.boxes_px[0], scene.photograph))
        labelled.append((cut_plate(scene.photograph, box_px), scene.texts[0]))
    rows = []
    for number, index in enumerate(rng.permutation(count)):
        crop, text = labelled[index]
        _write_jpeg(folder / CROPS / f"{number}.jpg", crop, rng)
        rows.append([f"{number}.jpg", text])
    return rows


def _put_car(
    photograph: np.ndarray, plate: np.ndarray, outline: np.ndarray, size: float, middle: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw a car `size` pixels wide around the column `middle`, with its plate, in place: the plate's box, yxyx."""
    height, width = photograph.shape[:2]
    layer, opacity, (plate_x, plate_y, car) = draw_car(int(size / 0.72), rng)
    aspect = plate.shape[1] / plate.shape[0]
    half_width = car * (PLATE_PER_CAR if aspect > 2.2 else TALL_PLATE_PER_CAR) * rng.uniform(0.92, 1.05) / 2
    half = np.array([half_width, half_width / aspect])
    turn = np.deg2rad(rng.normal(0, 1.2))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    quad = corners @ rotation.T + (plate_x, plate_y)
    # The car stands so that its plate is well inside, tilted, and seen a little from one side.
    view = _view(layer.shape, rng)
    x, y = cv2.perspectiveTransform(np.array([[[plate_x, plate_y]]]), view)[0, 0]
    target = (middle, height * rng.uniform(0.5, 0.82))
    view = np.array([[1, 0, target[0] - x], [0, 1, target[1] - y], [0, 0, 1.0]]) @ view
    quad = cv2.perspectiveTransform(quad[None], view)[0]
    room = np.array([width, height]) - 4 - quad.max(0)
    shift = np.maximum(np.minimum(room, 0), 4 - quad.min(0))
    view, quad = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]]) @ view, quad + shift
    feet = np.array([[0.1, 0.98], [0.9, 0.98]]) * layer.shape[1::-1]
    _shadow(photograph, cv2.perspectiveTransform(feet[None], view)[0])
    _blend(photograph, layer, opacity, view)
    # Shrinking first keeps the plate's strokes smooth; the warp itself only samples.
    scale = min(1.0, np.linalg.norm(quad[1] - quad[0]) / plate.shape[1])
    shown = cv2.resize(plate, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    outline = cv2.resize(outline, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
    shown = cv2.convertScaleAbs(shown, alpha=rng.uniform(0.75, 1.1))
    rows, columns = shown.shape[:2]
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], "float32")
    _blend(photograph, shown, outline, cv2.getPerspectiveTransform(source, quad.astype("float32")))
    return np.array([quad[:, 1].min(), quad[:, 0].min(), quad[:, 1].max(), quad[:, 0].max()])


def _view(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A mild perspective with a tilt: the homography `(3, 3)` from a layer of this shape."""
    height, width = shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], "float32")
    near, sheer, tilt = rng.normal(0, 0.07), rng.normal(0, 0.03), rng.normal(0, 0.035)
    target = source.copy()
    target[[1, 2], 1] += np.array([-near, near]) * height / 2  # One side is nearer, so higher.
    target[[0, 3], 1] -= np.array([-near, near]) * height / 2
    target[:, 0] = width / 2 + (target[:, 0] - width / 2) * (1 - abs(near) * rng.uniform(0.5, 3)) + sheer * target[:, 1]
    target[:, 1] += tilt * target[:, 0]
    return cv2.getPerspectiveTransform(source, target)


def _blend(photograph: np.ndarray, layer: np.ndarray, opacity: np.ndarray, view: np.ndarray) -> None:
    """Lay a layer with its uint8 opacity over the photograph, in place, through a homography."""
    rows, columns = layer.shape[:2]
    corners = np.array([[[0.0, 0], [columns, 0], [columns, rows], [0, rows]]])
    reached = cv2.perspectiveTransform(corners, view)[0]
    left, top = np.maximum(np.floor(reached.min(0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(reached.max(0)).astype(int) + 2, photograph.shape[1::-1])
    part, size = photograph[top:bottom, left:right], (int(right - left), int(bottom - top))
    view = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ view
    cover = cv2.warpPerspective(opacity, view, size, flags=cv2.INTER_LINEAR)
    warped = cv2.warpPerspective(layer, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.merge([cover] * 3)
    part[:] = cv2.add(cv2.multiply(warped, cover, scale=1 / 255), cv2.multiply(part, 255 - cover, scale=1 / 255))


def _shadow(photograph: np.ndarray, ends: np.ndarray) -> None:
    """A soft dark ellipse under the car, in place; `ends` are its left and right end, `(2, 2)` x and y."""
    shade = np.zeros(photograph.shape[:2], "uint8")
    length = np.linalg.norm(ends[1] - ends[0])
    centre = tuple(int(value) for value in ends.mean(0))
    cv2.ellipse(shade, centre, (int(length * 0.55), int(length * 0.09)), 0, 0, 360, 190, -1)
    shade = cv2.blur(shade, (max(3, int(length * 0.06)),) * 2)
    photograph[:] = cv2.multiply(photograph, cv2.merge([255 - shade] * 3), scale=1 / 255)


def _expose(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, colour cast, blur and noise of a camera."""
    height, width = photograph.shape[:2]
    coarse = rng.uniform(0.85, 1.25, (3, 3)).astype("float32")
    light = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    gain = np.exp(rng.normal(0.1, 0.2)) * rng.uniform(0.95, 1.05, 3)
    picture = cv2.multiply(photograph, cv2.merge([light * float(value) for value in gain]), dtype=cv2.CV_8U)
    picture = cv2.GaussianBlur(picture, (5, 5), rng.uniform(0.35, 0.7))
    if rng.random() < 0.05:  # The camera moved.
        length = int(rng.integers(3, 6))
        picture = cv2.blur(picture, (length, 1) if rng.random() < 0.7 else (1, length))
    noise = rng.standard_normal((height, width), "float32") * rng.uniform(1, 5) + rng.uniform(-5, 15)
    return cv2.add(picture, cv2.merge([noise] * 3), dtype=cv2.CV_8U)


def _whole_pixels(box_px: np.ndarray, photograph: np.ndarray) -> list[int]:
    """A box as a person would draw it: whole pixels, outwards, inside the photograph."""
    ymin, xmin = np.floor(np.maximum(box_px[:2], 0)).astype(int)
    ymax, xmax = np.ceil(np.minimum(box_px[2:], photograph.shape[:2])).astype(int)
    return [int(value) for value in (ymin, xmin, ymax, xmax)]


def _write_jpeg(path: Path, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Write a uint8 RGB picture; return it as it reads back."""
    quality = int(rng.integers(78, 96))
    encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.tobytes())
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]


def _write_table(path: Path, columns: list[str], rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, *rows])
