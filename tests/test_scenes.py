"""Drawn photographs and the demonstration data set: boxes frame the plates, files have the challenge's layout."""

import csv
import hashlib
import re

import cv2
import numpy as np
import pytest

from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.scenes import EXAMPLE_TEXTS, cut_plate, draw_scene, write_demo

SIZES = {"photographs": 6, "crops": 7, "test": 2, "validation": 3}


class MagentaPainter:
    """A painter whose plates are one colour that nothing else in a scene has."""

    def sample_text(self, rng):
        return "1T1"

    def draw(self, text, rng):
        return np.full((80, 370, 3), (255, 0, 255), "uint8"), np.full((80, 370), 255, "uint8")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, **SIZES, seed=3)
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_box_frames_the_plate():
    rng = np.random.default_rng(0)
    for _ in range(8):
        scene = draw_scene(MagentaPainter(), rng)
        photograph = scene.photograph.astype(int)
        red, green, blue = photograph[..., 0], photograph[..., 1], photograph[..., 2]
        magenta = (red - green > 60) & (blue - green > 60) & (abs(red - blue) < 80)
        # A house far away may be pink.
        near = np.zeros_like(magenta)
        top, left, bottom, right = scene.boxes_px[0].astype(int)
        near[max(0, top - 30) : bottom + 30, max(0, left - 30) : right + 30] = True
        ys, xs = np.nonzero(magenta & near)
        seen = np.array([ys.min(), xs.min(), ys.max() + 1, xs.max() + 1])
        assert np.abs(seen - scene.boxes_px[0]).max() <= 4
        assert 0.1 < (scene.boxes_px[0, 3] - scene.boxes_px[0, 1]) / photograph.shape[1] < 0.45


@pytest.mark.parametrize("cars", [0, 1, 2, 3])
def test_every_car_has_a_box_inside_and_a_text(cars):
    painter, rng = PlatePainter(EXAMPLE_TEXTS), np.random.default_rng(cars)
    scene = draw_scene(painter, rng, cars)
    height, width = scene.photograph.shape[:2]
    assert scene.photograph.dtype == np.uint8 and 480 <= width <= 760
    assert scene.boxes_px.shape == (cars, 4) and len(scene.texts) == cars
    assert (scene.boxes_px >= 0).all() and (scene.boxes_px <= [height, width, height, width]).all()
    centres = np.sort((scene.boxes_px[:, 1] + scene.boxes_px[:, 3]) / 2)
    assert (np.diff(centres) > (scene.boxes_px[:, 3] - scene.boxes_px[:, 1]).max(initial=0)).all()


def test_backdrops_and_cars_vary():
    rng = np.random.default_rng(5)
    small = [cv2.resize(draw_scene(MagentaPainter(), rng).photograph, (16, 12)).astype(float) for _ in range(8)]
    gaps = [np.abs(one - other).mean() for index, one in enumerate(small) for other in small[:index]]
    assert min(gaps) > 8


def test_cut_plate_rounds_outwards():
    photograph = np.arange(20 * 30 * 3, dtype="uint16").reshape(20, 30, 3)
    np.testing.assert_array_equal(cut_plate(photograph, np.array([2.6, 3.2, 8.1, 19.0])), photograph[2:9, 3:19])


def test_the_demo_has_the_challenges_layout(demo):
    boxes, texts = (rows(demo / f"license_plates_{name}_train.csv") for name in ("detection", "recognition"))
    assert list(boxes[0]) == ["img_id", "ymin", "xmin", "ymax", "xmax"] and len(boxes) == SIZES["photographs"]
    assert list(texts[0]) == ["img_id", "text"] and len(texts) == SIZES["crops"]
    assert all(re.fullmatch(r"[1-9]\d{0,2}T[1-9]\d{0,3}|\dT\d+|\d+T\d|\d{6}N", row["text"]) for row in texts)
    for row in boxes:
        height, width = cv2.imread(str(demo / "license_plates_detection_train" / row["img_id"])).shape[:2]
        ymin, xmin, ymax, xmax = (int(row[name]) for name in list(row)[1:])
        assert 0 <= ymin < ymax <= height and 0 <= xmin < xmax <= width
    for row in texts:
        assert cv2.imread(str(demo / "license_plates_recognition_train" / row["img_id"])) is not None
    validation = rows(demo / "validation.csv")
    by_id = {row["img_id"]: row for row in boxes}
    assert len(validation) == SIZES["validation"]
    assert all({name: row[name] for name in by_id[row["img_id"]]} == by_id[row["img_id"]] for row in validation)
    assert sorted(path.name for path in (demo / "test").iterdir()) == ["7.jpg", "8.jpg"]
    form = rows(demo / "SampleSubmission.csv")
    assert list(form[0]) == ["id", *"0123456789"]
    assert [row["id"] for row in form] == [f"img_{number}_{digit}" for number in (7, 8) for digit in range(1, 8)]


def test_most_crops_are_cut_from_the_photographs(demo):
    crops = [cv2.imread(str(path)) for path in (demo / "license_plates_recognition_train").iterdir()]
    matched = 0
    for row in rows(demo / "license_plates_detection_train.csv"):
        photograph = cv2.imread(str(demo / "license_plates_detection_train" / row["img_id"]))
        part = photograph[int(row["ymin"]) : int(row["ymax"]), int(row["xmin"]) : int(row["xmax"])].astype(float)
        matched += any(crop.shape == part.shape and np.abs(crop - part).mean() < 8 for crop in crops)
    assert matched == 6  # 80 % of 7 crops, rounded; the others come from photographs that are not kept.


def test_a_seed_writes_the_same_files_again(demo, tmp_path):
    def digest(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    write_demo(tmp_path / "again", **SIZES, seed=3)
    write_demo(tmp_path / "other", **SIZES, seed=4)
    assert digest(tmp_path / "again") == digest(demo)
    assert digest(tmp_path / "other") != digest(demo)


def test_more_validation_rows_than_photographs_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="validation: 5.*3"):
        write_demo(tmp_path, photographs=3, crops=1, test=1, validation=5)


def test_plates_like_other_texts(tmp_path):
    write_demo(tmp_path, **SIZES, like=["AB12CDE", "FG34HJK", "LM56NPR"])
    texts = [row["text"] for row in rows(tmp_path / "license_plates_recognition_train.csv")]
    assert all(re.fullmatch(r"[A-R]{2}\d{2}[A-R]{3}", text) for text in texts) and len(set(texts)) > 3
    assert not (tmp_path / "SampleSubmission.csv").exists()


def test_labels_hold_all_plates_and_photographs_without_one(tmp_path):
    write_demo(tmp_path, **SIZES, empty=2, cars=3, like=["AB12CDE", "FG34HJK", "LM56NPR"], seed=1)
    boxes = rows(tmp_path / "license_plates_detection_train.csv")
    by_photograph = {}
    for row in boxes:
        by_photograph.setdefault(row["img_id"], []).append(row)
    assert set(by_photograph) == {f"{number}.jpg" for number in range(1, 9)}
    assert max(map(len, by_photograph.values())) > 1
    for name in ("7.jpg", "8.jpg"):
        (empty,) = by_photograph[name]
        assert not any(empty[side] for side in ("ymin", "xmin", "ymax", "xmax"))
        assert (tmp_path / "license_plates_detection_train" / name).exists()
    validation = rows(tmp_path / "validation.csv")
    assert len({row["img_id"] for row in validation}) == SIZES["validation"] and all(row["text"] for row in validation)
    held = {row["img_id"] for row in validation}
    assert len(validation) == sum(len(by_photograph[name]) for name in held)
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == ["10.jpg", "9.jpg"]


def test_other_scripts_and_letters_that_no_text_has(tmp_path):
    like = ["سطن٧١٢٦", "أنع٨١٩٣", "بدم٤٣٦٤"]
    assert write_demo(tmp_path, **SIZES | {"crops": 40}, like=like, characters="ق") == frozenset()
    texts = [row["text"] for row in rows(tmp_path / "license_plates_recognition_train.csv")]
    assert all(re.fullmatch("[سطنأعبدمق]{3}[٠-٩]{4}", text) for text in texts)
    assert any("ق" in text for text in texts)


def test_what_no_font_has_is_returned_or_an_error(tmp_path):
    assert write_demo(tmp_path, **SIZES, like=["\U0001f697A12", "\U0001f697B34"]) == {"\U0001f697"}
    with pytest.raises(ValueError, match="no font"):
        write_demo(tmp_path / "nothing", **SIZES, like=["\U0001f697"])
    with pytest.raises(ValueError, match="none.ttf"):
        write_demo(tmp_path / "nothing", **SIZES, fonts=["none.ttf"])
