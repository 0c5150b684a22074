"""Robustness: what is measured is what a reader of known behaviour does."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lpr_e2e.cli import main
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Crop, Photograph, Plate
from lpr_e2e.experiments.disturbances import DISTURBANCES
from lpr_e2e.experiments.robustness import (
    MOTIONS_PX,
    SMALLEST_WINDOW,
    certain_errors,
    measure,
    plate_free_windows,
)
from lpr_e2e.experiments.wide_scenes import SCENE_SIZE, wide_scenes
from lpr_e2e.prediction.reading import Reading

RED = np.array([250, 10, 10])


@pytest.fixture
def photographs(tmp_path):
    """Grey photographs with a red plate; their texts are 1, 2, 3 ..."""
    rng, made = np.random.default_rng(0), []
    for number in range(1, 9):
        picture = np.full((300, 400, 3), 120, "uint8")
        top, left = int(rng.integers(100, 200)), int(rng.integers(100, 200))
        picture[top : top + 30, left : left + 100] = RED
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), picture[..., ::-1])
        box = (top, left, top + 30, left + 100)
        made.append(Photograph(path.name, path, (Plate(box, str(number), 0),)))
    return made


def red_pixels(picture):
    return np.argwhere((picture == RED).all(-1))


class RedReader:
    """Finds the red plate exactly; reads the photograph's number from its name, but only if it lies as it should."""

    vocabulary = Vocabulary("0123456789", 1)

    def __init__(self, invents: bool = False):
        self.invents = invents

    def read_files(self, photographs):
        for img_id, picture in photographs:
            spots = red_pixels(picture)
            if not len(spots):
                yield img_id, picture, [Reading(img_id, "7", 0.9, None, 0.9, "ok") if self.invents else Reading(img_id)]
                continue
            box = (*spots.min(0), *(spots.max(0) + 1))
            upright = picture.shape[0] < picture.shape[1]
            text = img_id.split(".")[0] if upright else "0"
            yield img_id, picture, [Reading(img_id, text, 0.9, box, 0.9, "ok")]

    def read_crops(self, crops):
        """Upright crops say how wide they are."""
        return [Reading("", str(crop.shape[1])) for crop in crops]


def test_turned_photographs_and_their_boxes(photographs):
    found = measure(RedReader(), photographs, windows=0)
    assert found.turned == {0: (1.0, 1.0), 90: (0.0, 1.0), 180: (1.0, 1.0), 270: (0.0, 1.0)}
    assert (found.certain, found.certain_errors, found.crops) == (7, 0, {})
    assert "turned by 180 degrees" in found.table() and "100.0%" in found.table()


class SharpReader(RedReader):
    """Reads a red plate from its name, but wrongly if its left edge is not sharp: then more than one column differs."""

    def __init__(self, status: str):
        super().__init__()
        self.status = status

    def read_files(self, photographs):
        for img_id, picture in photographs:
            reddish = np.argwhere(picture[..., 0].astype(int) - picture[..., 2] > 5)
            box = (*reddish.min(0), *(reddish.max(0) + 1))
            blurred = box[3] - box[1] - 100
            text = img_id.split(".")[0] if blurred < 6 else "0"
            yield img_id, picture, [Reading(img_id, text, 0.9, box, 0.9, "ok" if text != "0" else self.status)]


@pytest.mark.parametrize(("status", "wrong"), [("ok", 8), ("uncertain", 0)])
def test_photographs_blurred_by_motion(photographs, status, wrong):
    found = measure(SharpReader(status), photographs, windows=0)
    # A plate 100 pixels wide is smeared over as many pixels more as it moved, less one: along the rows only.
    assert MOTIONS_PX == (5, 9)
    assert found.moved == {5: (1.0, 0), 9: (0.0, wrong)}
    assert found.turned[0] == (1.0, 1.0)
    assert found.as_dict()["moved"]["9"] == {"plates_right": 0.0, "ok_and_wrong": wrong}
    assert "blurred by 9 pixels of motion" in found.table()


class TestWideScenes:
    @pytest.mark.parametrize("width", [60, 90])
    def test_plates_are_as_wide_as_they_are_to_be_and_where_they_are_said_to_be(self, photographs, width):
        scenes = list(wide_scenes(photographs, width))
        assert [len(truth.plates) for truth, _ in scenes] == [4, 4]
        assert sorted(plate.text for truth, _ in scenes for plate in truth.plates) == list("12345678")
        for truth, scene in scenes:
            assert scene.shape == (*SCENE_SIZE, 3) and scene.dtype == np.uint8
            for plate in truth.plates:
                top, left, bottom, right = plate.box_px
                assert right - left == pytest.approx(width) and bottom - top == pytest.approx(0.3 * width, abs=0.6)
                inside = scene[round(top) + 2 : round(bottom) - 2, round(left) + 2 : round(right) - 2].astype(int)
                assert np.abs(inside - RED).max() < 9
                beyond = scene[round(top) - 8 : round(top) - 3, round(left) : round(right)].astype(int)
                assert np.abs(beyond - 120).max() < 9

    def test_none_is_enlarged_and_one_plate_alone_is_asked_for(self, photographs):
        first, second, third, *others = photographs
        plate = first.plates[0]
        untold = replace(second, plates=(replace(second.plates[0], text=None),))
        turned = replace(third, plates=(replace(third.plates[0], turns=1),))
        two = replace(others[0], plates=(plate, plate))
        assert not list(wide_scenes([untold, turned, two, replace(first, plates=())], 60))
        assert not list(wide_scenes(photographs, 101))
        ((truth, _),) = wide_scenes([first, untold], 100)
        assert [one.text for one in truth.plates] == ["1"]

    def test_of_a_large_photograph_the_part_around_the_plate_is_shown(self, tmp_path):
        picture = np.full((3000, 4000, 3), 120, "uint8")
        picture[2900:2960, 3700:3900] = RED
        cv2.imwrite(str(tmp_path / "1.png"), picture[..., ::-1])
        large = Photograph("1.png", tmp_path / "1.png", (Plate((2900, 3700, 2960, 3900), "1", 0),))
        ((truth, scene),) = wide_scenes([large], 130)
        spots = red_pixels(scene)
        box = (*spots.min(0), *(spots.max(0) + 1))
        np.testing.assert_allclose(box, truth.plates[0].box_px, atol=1.5)
        assert (scene[:1000, :1800] == 120).all(-1).mean() > 0.9

    def test_the_same_each_time_and_other_streets_with_another_seed(self, photographs):
        (one, first), (same, again) = (next(wide_scenes(photographs, 60, seed=3)) for _ in range(2))
        other, third = next(wide_scenes(photographs, 60, seed=4))
        np.testing.assert_array_equal(first, again)
        assert one == same != other and (first != third).any()

    def test_what_is_read_of_them_is_counted(self, photographs):
        class Places(RedReader):
            """Reads the red plates of wide scenes, from above, as the first of their texts."""

            def read_files(self, pictures):
                for img_id, picture in pictures:
                    if not img_id.startswith("scene"):
                        yield from super().read_files([(img_id, picture)])
                        continue
                    plates = TRUTHS[picture.tobytes()]
                    said = [Reading(img_id, plates[0].text, 0.9, one.box_px, 0.9, "ok") for one in plates]
                    yield img_id, picture, [replace(said[1], status="uncertain"), said[0], *said[2:]]

        TRUTHS = {
            scene.tobytes(): truth.plates for width in (60, 90) for truth, scene in wide_scenes(photographs, width)
        }
        found = measure(Places(), photographs, windows=0)
        # Of each four one is right; of the others one is doubted.
        assert found.distant == {60: (8, 2, 4), 90: (8, 2, 4)}
        assert found.as_dict()["distant"]["90"] == {"plates": 8, "right": 2, "ok_and_wrong": 4}
        assert "60 of 3840 pixels wide, 8" in found.table() and "130 of 3840" not in found.table()


@pytest.mark.parametrize(("text", "right", "wrong"), [("", 1, 0), ("7", 0, 1)])
def test_disturbed_plates_are_counted_by_what_is_said_of_them(photographs, text, right, wrong):
    class Says(RedReader):
        """Reads photographs as they are from their names, and of changed ones always the same."""

        def read_files(self, photographs):
            for img_id, picture, readings in super().read_files(photographs):
                spots = red_pixels(picture)
                if picture.shape == (300, 400, 3) and len(spots) == 3000 and spots[0][1] in PLACES[img_id]:
                    yield img_id, picture, readings
                else:
                    said = Reading(img_id, text or img_id.split(".")[0], 0.9, (0, 0, 9, 9), 0.9, "ok")
                    yield img_id, picture, [said, Reading(img_id, "5", 0.2, (0, 0, 9, 9), 0.9, "uncertain")]

    PLACES = {one.img_id: (one.plates[0].box_px[1],) for one in photographs}
    found = measure(Says(), photographs, windows=0)
    # Number 7 says "7" itself.
    assert {name: counts[0] for name, counts in found.disturbed.items()} == dict.fromkeys(DISTURBANCES, 8)
    for count, told_right, told_wrong in found.disturbed.values():
        assert (told_right, told_wrong) == ((8, 0) if right else (1, count - 1))
    assert "a character covered, of 8 read rightly" in found.table()
    assert found.as_dict()["disturbed"]["mirrored"]["plates"] == 8


class TestDisturbances:
    BOX = np.array([100, 150, 130, 250])

    @staticmethod
    def picture(seed=0):
        return np.random.default_rng(seed).integers(0, 256, (300, 400, 3)).astype("uint8")

    @pytest.mark.parametrize("name", DISTURBANCES)
    def test_each_is_the_same_each_time_and_leaves_the_photograph_alone(self, name):
        picture, before = self.picture(), self.picture()
        first, again = (DISTURBANCES[name](picture, self.BOX, 7, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        np.testing.assert_array_equal(picture, before)
        assert first.dtype == np.uint8 and (first.shape != picture.shape or (first != picture).any())

    @pytest.mark.parametrize("share", [0.1, 0.15, 0.25, 0.5])
    def test_cut_off_is_a_share_of_the_plate(self, share):
        picture = np.zeros((300, 400, 3), "uint8")
        picture[100:130, 150:250] = RED
        left = {
            len(red_pixels(DISTURBANCES[f"cut off by {share:.0%}"](picture, self.BOX, 7, np.random.default_rng(seed))))
            for seed in range(20)
        }
        assert all(one == pytest.approx(3000 * (1 - share), abs=100) for one in left) and len(left) <= 3

    @pytest.mark.parametrize(("name", "share"), [("cut out", 1.0), ("cut out without an end", 0.75)])
    def test_cut_out_is_the_plate_alone(self, name, share):
        picture = np.zeros((300, 400, 3), "uint8")
        picture[100:130, 150:250] = RED
        for seed in range(20):
            plate = DISTURBANCES[name](picture, self.BOX, 7, np.random.default_rng(seed))
            assert plate.shape[0] == pytest.approx(30, abs=7) and plate.shape[1] == pytest.approx(100 * share, abs=7)
            assert len(red_pixels(plate)) == pytest.approx(3000 * share, rel=0.25)
        nothing = DISTURBANCES[name](picture, np.array([100, 150, 104, 160]), 7, np.random.default_rng(0))
        assert nothing is None

    def test_a_cover_hides_one_character(self):
        for seed in range(20):
            picture = np.full((300, 400, 3), 120, "uint8")
            changed = DISTURBANCES["a character covered"](picture, self.BOX, 7, np.random.default_rng(seed))
            rows, columns = np.nonzero((changed != picture).any(-1))
            assert (rows.min(), rows.max()) == (98, 131) and 13 <= np.ptp(columns) + 1 <= 15
            assert columns.min() >= 150 and columns.max() < 250

    def test_a_mirrors_mirror_shows_the_photograph(self):
        mirrored, picture = DISTURBANCES["mirrored"], self.picture()
        np.testing.assert_array_equal(mirrored(mirrored(picture, self.BOX, 7, None), self.BOX, 7, None), picture)

    @pytest.mark.parametrize("name", ["out of focus", "too small"])
    def test_nothing_fine_is_left(self, name):
        picture = np.zeros((300, 400, 3), "uint8")
        picture[:, ::4] = picture[:, 1::4] = 255
        changed = DISTURBANCES[name](picture, self.BOX, 7, None)
        assert changed.shape == picture.shape and changed[:, 20:-20].std() < 0.25 * picture.std()


def test_crops_by_kind(tmp_path):
    crops = []
    for number, (height, width, turns, text) in enumerate(
        [
            (20, 100, 0, "100"),
            (20, 90, 0, "91"),
            (120, 30, 1, "120"),
            (50, 80, 0, "80"),
            (20, 70, 0, "7N"),
            (9, 9, None, "9"),
        ]
    ):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.zeros((height, width, 3), "uint8"))
        crops.append(Crop(path.name, path, text, turns))
    found = measure(RedReader(), [], crops=crops, windows=0)
    assert found.crops == {
        "all": (5, pytest.approx(3 / 5)),
        "high, such as two lines (below 2.2:1)": (1, 1.0),
        "series #N": (1, 0.0),
    }
    assert "held-out crops: series #N" in found.table()


@pytest.mark.parametrize(
    ("texts", "odd"),
    [
        (["12T3", "1T345", "123456N"], {"series #N": 1}),
        (["سطن٧١٢", "أبج٤٥", "دط١"], {}),
        (["B1876UYP", "AB12C", "D99EFG", "7H"], {"series #A": 1}),
    ],
)
def test_series_are_forms_of_texts_in_any_script(tmp_path, texts, odd):
    path = tmp_path / "crop.png"
    cv2.imwrite(str(path), np.zeros((20, 100, 3), "uint8"))
    found = measure(RedReader(), [], crops=[Crop(path.name, path, text, 0) for text in texts], windows=0)
    assert {kind: count for kind, (count, _) in found.crops.items() if kind != "all"} == odd


@pytest.mark.parametrize("invents", [False, True])
def test_readings_without_a_plate(photographs, invents):
    found = measure(RedReader(invents), photographs[:2], photographs[2:], windows=5)
    assert found.windows == 5
    assert found.false_readings == (5 if invents else 0)
    written = json.loads(json.dumps(found.as_dict()))
    assert written["turned"]["0"] == {"plates_right": 1.0, "mean_iou": 1.0} and written["windows"] == 5


def test_windows_miss_the_plate_and_are_large_enough(photographs):
    for seed in range(5):
        windows = list(plate_free_windows(photographs, 100, np.random.default_rng(seed)))
        assert len(windows) == len(photographs)
        for _, window in windows:
            assert not len(red_pixels(window))
            assert min(window.shape[:2]) >= SMALLEST_WINDOW


def painted(path, size, boxes):
    """A grey photograph with red plates."""
    picture = np.full((*size, 3), 120, "uint8")
    for top, left, bottom, right in boxes:
        picture[top:bottom, left:right] = RED
    cv2.imwrite(str(path), picture[..., ::-1])
    return Photograph(path.name, path, tuple(Plate(box) for box in boxes))


def test_windows_miss_every_plate(tmp_path):
    boxes = [(10, 20, 40, 120), (250, 420, 290, 560), (30, 100, 60, 200)]
    photograph = painted(tmp_path / "several.png", (400, 600), boxes)
    seen = []
    for seed in range(60):
        ((_, window),) = plate_free_windows([photograph], 1, np.random.default_rng(seed))
        assert not len(red_pixels(window)) and min(window.shape[:2]) >= SMALLEST_WINDOW
        seen.append(window.shape[:2])
    # Between the plates, below them, and beside them over the whole height: all kinds of bands are used.
    assert any(width > 560 for _, width in seen) and any(height > 350 for height, _ in seen)


def test_a_photograph_without_a_plate_is_a_window_and_an_incomplete_one_is_none(tmp_path):
    empty = painted(tmp_path / "empty.png", (300, 400), [])
    assert len(list(plate_free_windows([empty], 3, np.random.default_rng(0)))) == 1
    assert not list(plate_free_windows([replace(empty, complete=False)], 3, np.random.default_rng(0)))


def test_plates_of_one_photograph_count_one_by_one(tmp_path):
    photograph = painted(tmp_path / "1.png", (300, 400), [(10, 20, 40, 120), (200, 220, 240, 330)])
    photograph = replace(photograph, plates=tuple(replace(one, text=str(n)) for n, one in enumerate(photograph.plates)))
    readings = {
        "1.png": [
            Reading("1.png", str(number), 0.9, plate.box_px, 0.9, "ok")
            for number, plate in enumerate(photograph.plates)
        ]
    }
    assert certain_errors([photograph], readings, 1.0) == (2, 0)
    readings["1.png"][1] = replace(readings["1.png"][1], text="7")
    assert certain_errors([photograph], readings, 1.0) == (2, 1)
    assert certain_errors([photograph], {"1.png": readings["1.png"][:1]}, 1.0) == (2, 1)


def test_no_window_where_the_plate_leaves_no_room(tmp_path):
    path = tmp_path / "close.png"
    cv2.imwrite(str(path), np.zeros((120, 300, 3), "uint8"))
    photograph = Photograph(path.name, path, (Plate((30, 50, 90, 250)),))
    assert not list(plate_free_windows([photograph], 3, np.random.default_rng(0)))


def found(photograph, text, confidence):
    """A reading where the photograph's first plate is."""
    return Reading(photograph.img_id, text, confidence, photograph.plates[0].box_px, 0.9, "ok")


def test_only_the_most_certain_count(photographs):
    confidences = [0.99, 0.98, 0.97, 0.96, 0.5, 0.4, 0.3, 0.2]
    readings = {
        photograph.img_id: [found(photograph, photograph.plates[0].text, confidence)]
        for photograph, confidence in zip(photographs, confidences, strict=True)
    }
    for doubtful, errors in (("8.png", 0), ("7.png", 0), ("4.png", 1)):
        wrong = {**readings, doubtful: [replace(readings[doubtful][0], text="x")]}
        assert certain_errors(photographs, wrong, 0.5) == (4, errors)


@pytest.mark.parametrize("option", ["--validation", "--no-plates", "--pictures", "--exclude"])
def test_figures_are_not_written_over_what_is_read(option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("more").mkdir()
    Path("more/val.json").write_text("mine")
    Path("link.json").symlink_to("more/val.json")
    given = "more" if option in ("--no-plates", "--pictures") else "more/val.json"
    for target in ("more/val.json", "link.json"):
        assert main(["robustness", "data", option, given, "--output", target]) == 2
        assert f"{target}: this would overwrite" in capsys.readouterr().err
    assert Path("more/val.json").read_text() == "mine"
    assert main(["robustness", "data", option, given, "--output", "new.json"]) == 2
    assert "overwrite" not in capsys.readouterr().err  # There is no such data.
