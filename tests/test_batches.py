"""Training batches: reproducible, truthful, masked where something is unknown."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lpr_e2e.common.boxes import intersection_over_union, rectangle_corners, turn_box
from lpr_e2e.common.procedure import TODAY
from lpr_e2e.common.vocabulary import BLANK
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.samples import Plate
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.model.glimpse import cut_glimpses
from lpr_e2e.training.augmentation import boxes_around, glimpse_of_plate, paste_plate
from lpr_e2e.training.batches import BatchMaker
from lpr_e2e.training.canvas import CanvasMotion, photograph_on_canvas
from lpr_e2e.training.light import (
    _HARSH_LIGHTS,
    Light,
    _softened,
    change_light,
    change_sharpness,
    harsh_light,
    motion_blur,
    smear,
)
from lpr_e2e.training.losses import known_cells
from lpr_e2e.training.picture_cache import PictureCache
from lpr_e2e.training.plain_batches import plain_glimpses, plain_joint_batches
from lpr_e2e.training.plate_sources import ECHO_STEPS, ECHOES
from lpr_e2e.training.set_samples import SetSamples
from lpr_e2e.training.settings import Mixture
from lpr_e2e.training.trainer import training_vocabulary
from tests.stand_in import with_plates

# Logits of cells that are believed to hold no plate.
ZEROS = np.full((1, 16), -9.0, "float32")


@pytest.fixture(scope="module")
def dataset(tiny_data):
    return load_dataset(tiny_data)


def texts(photographs) -> list[str]:
    return [plate.text for one in photographs for plate in one.plates if plate.text is not None]


@pytest.fixture(scope="module")
def make_maker(dataset, tiny_settings):
    vocabulary = training_vocabulary(dataset)
    painter = PlatePainter([crop.text for crop in dataset.crops])

    def make(seed=0, dataset=dataset, **mixture):
        settings = tiny_settings
        sizes = (settings.architecture, settings.procedure)
        return BatchMaker({"": SetSamples(dataset, vocabulary, *sizes, painter, Mixture(**mixture), seed)})

    return make


class TestBatchMaker:
    def test_a_batch_is_a_function_of_seed_and_step(self, make_maker):
        first, again = make_maker(), make_maker()
        again.joint_batch(0, 3, 2, 0.5)  # Whatever was made before does not matter.
        for make in (lambda maker, step: maker.joint_batch(step, 3, 2, 0.5), lambda m, s: m.recognition_batch(s, 4)):
            one, same, other = make(first, 7), make(again, 7), make(first, 8)
            assert all((one[name] == same[name]).all() for name in one)
            assert any((one[name] != other[name]).any() for name in one)
        other_seed = make_maker(seed=1).recognition_batch(7, 4)
        assert (other_seed["glimpses"] != first.recognition_batch(7, 4)["glimpses"]).any()

    @pytest.mark.parametrize("processes", [2, 3])
    @pytest.mark.parametrize("workers", [1, 2])
    def test_processes_and_their_workers_share_a_batch(self, make_maker, processes, workers):
        """Together they make what one makes, in order, and nothing twice."""
        whole, shares = make_maker(), [make_maker() for _ in range(processes * workers)]
        for index, maker in enumerate(shares):
            maker.parts = ((index // workers, processes), (index % workers, workers))
        for make in (lambda one: one.recognition_batch(5, 6), lambda one: one.joint_batch(5, 6, 6, 0.5)):
            expected, parts = make(whole), [make(one) for one in shares]
            for name, values in expected.items():
                np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values, err_msg=name)

    def test_every_photograph_is_seen_once_before_any_again(self, make_maker, dataset):
        seen = []
        maker = make_maker()
        sample = maker.sets[""]._photograph

        def note(photograph, *arguments):
            seen.append(photograph.img_id)
            return sample(photograph, *arguments)

        maker.sets[""]._photograph = note
        count = len(dataset.photographs)
        for step in range(count):
            maker.joint_batch(step, 2, 1, 0.0)
        assert sorted(seen[:count]) == sorted(seen[count:]) == sorted(one.img_id for one in dataset.photographs)

    def test_without_texts_nothing_is_read(self, make_maker, dataset):
        nameless = replace(dataset, photographs=with_plates(dataset.photographs, text=None))
        batch = make_maker(dataset=nameless, pasted_unknown=0.0).joint_batch(0, 8, 1, 0.0)
        assert not batch["text_known"].any() and not batch["classes"].any()
        assert batch["plate_visible"].any()

    def test_no_more_texts_are_used_than_told(self, make_maker, dataset):
        known = len(texts(dataset.photographs))
        assert known > 2
        for share in (0.0, 0.5, 1.0):
            maker = make_maker(matched=share, pasted_known=0.0, pasted_unknown=0.0, hidden=0.0)
            assert len(texts(maker.sets[""].photographs)) == round(share * known)
            assert len(maker.sets[""].photographs) == len(dataset.photographs)
        assert not make_maker(matched=0.0, pasted_unknown=0.0).joint_batch(0, 8, 1, 0.0)["text_known"].any()

    def test_no_more_plates_are_learned_than_told(self, make_maker, dataset):
        """Without the lever, the further plates of a photograph are background, as they once were."""
        small = Plate((1.0, 1.0, 9.0, 30.0), None, 0)
        several = [replace(one, plates=(small, *one.plates)) for one in dataset.photographs]
        for share in (0.0, 0.5, 1.0):
            maker = make_maker(dataset=replace(dataset, photographs=several), further=share)
            counts = Counter(len(one.plates) for one in maker.sets[""].photographs)
            assert counts[2] == round(share * len(several)) and counts[1] == len(several) - counts[2]
            assert all(small not in one.plates for one in maker.sets[""].photographs if len(one.plates) == 1)

    def test_pasted_plates_give_texts(self, make_maker, dataset):
        nameless = replace(dataset, photographs=with_plates(dataset.photographs, text=None))
        batch = make_maker(dataset=nameless, pasted_unknown=1.0, hidden=0.0).joint_batch(0, 8, 1, 0.0)
        np.testing.assert_array_equal(batch["text_known"], batch["plate_visible"][:, 0])
        assert (batch["classes"][batch["text_known"] == 1] != 0).any(axis=1).all()

    def test_unknown_way_up_is_masked(self, make_maker, dataset):
        lost = replace(dataset, photographs=with_plates(dataset.photographs, turns=None))
        batch = make_maker(dataset=lost, hidden=0.0).joint_batch(0, 8, 1, 0.0)
        assert not batch["turns_known"].any() and not batch["text_known"].any()

    def test_all_plates_of_a_photograph_are_learned_and_each_is_read_in_turn(self, make_maker, dataset):
        first = next(one for one in dataset.photographs if one.plates[0].is_readable)
        ymin, xmin, ymax, xmax = first.plates[0].box_px
        other = Plate((ymin / 4, xmin / 4, ymax / 4, xmax / 4), dataset.crops[0].text, 0)
        assert other.text != first.plates[0].text
        several = replace(dataset, photographs=[replace(first, plates=(*first.plates, other))])
        maker = make_maker(dataset=several, pasted_known=0.0, hidden=0.0, turned=0.0, close=0.0)
        batches = [maker.joint_batch(step, 1, 1, 0.0) for step in range(6)]
        assert {batch["boxes_rel"].shape for batch in batches} == {(1, 2, 4)}
        read = [
            maker.sets[""].vocabulary.decode(np.eye(maker.sets[""].vocabulary.classes)[batch["classes"][0]])[0]
            for batch in batches
        ]
        assert set(read) - {""} == {first.plates[0].text, other.text}
        assert any(batch["plate_visible"].all() for batch in batches)
        for step, batch in enumerate(batches):  # The plate that is read comes first.
            areas = np.prod(batch["boxes_rel"][0, :, 2:] - batch["boxes_rel"][0, :, :2], axis=-1)
            assert (areas[0] > areas[1]) == (step % 2 == 0)

    def test_a_photograph_without_a_plate_teaches_where_none_is(self, make_maker, dataset):
        empty = replace(dataset, photographs=[replace(one, plates=()) for one in dataset.photographs])
        batch = make_maker(dataset=empty).joint_batch(0, 6, 1, 1.0)
        masks = ("plate_visible", "plate_cut", "turns_known", "tilts_known")
        assert not any(batch[name].any() for name in masks) and batch["complete"].all()
        assert batch["text_known"].all() and not batch["classes"].any()  # What is taken for a plate reads as nothing.
        partial = replace(empty, photographs=[replace(one, complete=False) for one in empty.photographs])
        batch = make_maker(dataset=partial).joint_batch(0, 6, 1, 1.0)
        assert not batch["complete"].any() and not batch["text_known"].any()

    def test_hidden_plates_have_no_box_but_teach_objectness(self, make_maker):
        batch = make_maker(hidden=1.0).joint_batch(0, 6, 1, 0.0)
        assert not batch["plate_visible"].any() and not batch["plate_cut"].any() and not batch["text_known"].any()

    def test_what_is_taken_for_a_plate_where_there_is_none_reads_as_nothing(self, make_maker):
        batch = make_maker(hidden=1.0).joint_batch(0, 6, 1, 1.0)
        assert batch["text_known"].all() and batch["use_predicted"].all() and not batch["classes"].any()
        assert not make_maker(hidden=1.0, unreadable=0.0).joint_batch(0, 6, 1, 1.0)["text_known"].any()

    def test_plates_the_wrong_way_up_read_as_nothing(self, make_maker):
        maker = make_maker(unreadable=1.0)
        assert not maker.recognition_batch(0, 40)["glimpse_classes"].any()
        assert (
            set(maker.shown) == {"plate: wrong way up", "plate: none", "plate: writing"} and maker.shown.total() == 40
        )
        maker = make_maker(unreadable=0.0)
        assert maker.recognition_batch(0, 40)["glimpse_classes"].any(axis=1).all()
        assert set(maker.shown) == {"plate: real", "plate: drawn"}

    def test_of_drawn_plates_it_is_known_where_the_characters_stand(self, make_maker):
        batch = make_maker(real=0.0, unreadable=0.0, partly=0.0, hardness=0.0).recognition_batch(0, 40)
        low, high = batch["glimpse_places"][..., :2], batch["glimpse_places"][..., 2:]
        has_character = batch["glimpse_classes"] != BLANK
        known = (low < high).all(-1)
        assert not known[~has_character].any()
        assert known[has_character].mean() > 0.95  # Now and then the box is so wrong that a character is outside.
        assert low.min() >= 0 and high.max() <= 1
        # On its place there is a character: bright and dark. (What words stand for is written over several places.)
        for glimpse, boxes, there in zip(batch["glimpses"], batch["glimpse_places"], known, strict=True):
            for top, left, bottom, right in (boxes[there] * np.tile(glimpse.shape[:2], 2)).astype(int):
                place = glimpse[top : bottom + 1, left : right + 1].mean(-1)
                assert np.ptp(place) > 0.3 * np.ptp(glimpse.mean(-1))

    @pytest.mark.parametrize("mixture", [{"real": 1.0, "unreadable": 0.0, "partly": 0.0}, {"unreadable": 1.0}])
    def test_of_others_it_is_not(self, make_maker, mixture):
        assert not make_maker(**mixture).recognition_batch(0, 40)["glimpse_places"].any()

    def test_a_drawn_plate_is_seen_again_later_but_differently(self, make_maker):
        maker = make_maker(real=0.0, unreadable=0.0)
        first, second, later = (maker.recognition_batch(step, 8) for step in (0, 1, ECHO_STEPS))
        places = [place for place in range(8) if place % ECHOES < ECHOES - 1]  # The others have a new plate by then.
        np.testing.assert_array_equal(first["glimpse_classes"][places], later["glimpse_classes"][places])
        assert (first["glimpses"][places] != later["glimpses"][places]).any(axis=(1, 2, 3)).all()
        assert (first["glimpse_classes"] != second["glimpse_classes"]).any(axis=1).all()
        after = maker.recognition_batch(ECHOES * ECHO_STEPS, 8)
        assert (first["glimpse_classes"] != after["glimpse_classes"]).any(axis=1).all()

    def test_a_window_beside_a_plate_misses_it(self, make_maker, dataset):
        for photograph in dataset.photographs[:3]:
            maker = make_maker(dataset=replace(dataset, photographs=[photograph]))
            ymin, xmin, ymax, xmax = (round(float(value)) for value in photograph.plates[0].box_px)
            picture = np.zeros_like(maker.sets[""].cache.read(photograph.path))
            picture[ymin:ymax, xmin:xmax] = 255  # Nothing but the plate is bright.
            maker.sets[""].cache.read = lambda path, picture=picture: picture
            for seed in range(20):
                window, box = maker.sets[""].sources._beside_a_plate(np.random.default_rng(seed))
                top, left, bottom, right = box
                assert 0 <= top < bottom <= len(window) and 0 <= left < right <= window.shape[1]
                inside = window[math.ceil(top) + 1 : int(bottom) - 1, math.ceil(left) + 1 : int(right) - 1]
                assert not (inside == 255).any()

    def test_true_boxes_are_not_far_from_jittered_ones(self, make_maker):
        batch = make_maker().joint_batch(0, 8, 1, 0.0)
        visible = batch["plate_visible"][:, 0] == 1
        iou = intersection_over_union(batch["boxes_rel"][:, 0], batch["jittered_boxes_rel"])
        assert (iou[visible] > 0.5).all() and (iou[visible] < 1).all()


def test_cache_keeps_no_more_than_its_room(dataset):
    path = dataset.photographs[0].path
    roomy, full = PictureCache(), PictureCache(most_bytes=10)
    assert roomy.read(path) is roomy.read(path)
    assert full.read(path) is not full.read(path)
    np.testing.assert_array_equal(roomy.read(path), full.read(path))


def test_plain_glimpses_leave_out_what_cannot_be_spelt(dataset, tiny_settings):
    vocabulary = training_vocabulary(dataset)
    strange = [replace(crop, text="?" + crop.text) for crop in dataset.crops[:2]]
    settings = tiny_settings
    crops = [*dataset.crops[:3], *strange]
    plain = plain_glimpses([], crops, vocabulary, settings.architecture, settings.procedure)
    assert len(plain["glimpses"]) == len(plain["glimpse_classes"]) == 3
    eye = np.eye(vocabulary.classes)
    texts = [vocabulary.decode(eye[classes])[0] for classes in plain["glimpse_classes"]]
    assert texts == [crop.text for crop in dataset.crops[:3]]


def test_plain_joint_batches_hold_every_photograph_once(dataset, tiny_settings):
    sizes = (training_vocabulary(dataset), tiny_settings.architecture, tiny_settings.procedure)
    found = list(plain_joint_batches(dataset.photographs, *sizes, 4, {"": dataset.straight_aspect()}))
    visible = np.concatenate([batch["plate_visible"] for batch in found])
    assert visible.sum() == sum(len(one.plates) for one in dataset.photographs)
    assert {len(batch["canvases"]) for batch in found} == {4}
    assert len(dataset.photographs) % 4  # The last batch is filled up with photographs that count for nothing.
    masks = ("plate_visible", "turns_known", "tilts_known", "text_known")
    unknown = found[-1]["plate_cut"].all(1)
    assert unknown.any() and not any(found[-1][name][unknown].any() for name in masks)
    names = ("boxes_rel", "plate_cut", "complete", "written_rel")
    everywhere = known_cells(*(found[-1][name][unknown] for name in names), ZEROS)
    assert not np.asarray(everywhere).any()


def test_plain_batches_read_a_plate_whose_text_is_known(dataset, tiny_settings):
    """Of several, the first with a text; a photograph without a plate has nothing to read, and nothing to find."""
    first = next(one for one in dataset.photographs if one.plates[0].is_readable)
    several = replace(first, plates=(replace(first.plates[0], text=None), first.plates[0]))
    empty = replace(first, plates=())
    vocabulary = training_vocabulary(dataset)
    sizes = (vocabulary, tiny_settings.architecture, tiny_settings.procedure)
    (batch,) = plain_joint_batches([several, empty], *sizes, 2, {"": dataset.straight_aspect()})
    np.testing.assert_array_equal(batch["classes"][0], vocabulary.encode(first.plates[0].text))
    np.testing.assert_array_equal(batch["plate_visible"], [[1, 1], [0, 0]])
    np.testing.assert_array_equal(batch["text_known"], [1, 0])


# What a photograph may meet on its way to the canvas.
MOTION = CanvasMotion(
    size=256,
    grey=114,
    light=Light(1.0, 0.15, 0.12, 0.0, 0.02, 0.1, 2.0),
    turned=0.2,
    tilted=0.3,
    close=0.3,
    close_side=2.7,
    distant=0.3,
    straight_aspect=3.4,
)


class TestAugmentation:
    def marked_photograph(self):
        """A grey photograph with one red plate."""
        photograph = np.full((300, 400, 3), 120, "uint8")
        photograph[150:180, 100:220] = (250, 20, 20)
        return photograph, (150.0, 100.0, 180.0, 220.0)

    @pytest.mark.parametrize("distant", [0.0, 1.0])
    def test_the_box_follows_the_plate(self, monkeypatch, distant):
        """Whatever is done to the photograph, the red plate is where the box says."""
        monkeypatch.setattr(Light, "on_canvas", lambda self, canvas, *others: canvas)
        photograph, box = self.marked_photograph()
        turned = set()
        for seed in range(40):
            motion = replace(MOTION, distant=distant)
            shown = photograph_on_canvas(photograph, [box], motion, np.random.default_rng(seed))
            turned.add(shown.quarters)
            if not shown.whole()[0]:
                continue
            self.assert_red_is_in(shown.canvas, shown.boxes_rel[0])
            sides = shown.boxes_rel[0, 2:] - shown.boxes_rel[0, :2]
            assert (sides[0] > sides[1]) == bool(shown.quarters % 2)
        assert turned == {0, 1, 2, 3}

    @pytest.mark.parametrize(("plate", "fewer"), [(120, True), (30, False)])
    def test_some_photographs_have_fewer_pixels_unless_the_plate_has_few_already(self, monkeypatch, plate, fewer):
        monkeypatch.setattr(Light, "on_canvas", lambda self, canvas, *others: canvas)
        photograph = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype("uint8")
        box, boxes, detail = (150.0, 100.0, 150.0 + plate / 4, 100.0 + plate), [], []
        for distant in (0.0, 1.0):
            motion = replace(MOTION, size=512, distant=distant)
            shown = [photograph_on_canvas(photograph, [box], motion, np.random.default_rng(seed)) for seed in range(12)]
            detail.append(np.array([one.canvas.astype(float).std() for one in shown]))
            boxes.append([one.boxes_rel for one in shown])
        np.testing.assert_array_equal(*boxes)
        assert ((detail[1] < 0.97 * detail[0]).mean() > 0.7) == fewer
        if not fewer:
            np.testing.assert_array_equal(*detail)

    def assert_red_is_in(self, canvas, box_rel):
        red = np.argwhere((canvas[..., 0] > 200) & (canvas[..., 1] < 90))
        found = np.concatenate([red.min(0), red.max(0) + 1]) / len(canvas)
        assert intersection_over_union(found, box_rel) > 0.8

    def test_the_boxes_of_further_plates_follow_them(self, monkeypatch):
        """One that is wholly on the canvas is where its box says, and one that is cut is known to be."""
        monkeypatch.setattr(Light, "on_canvas", lambda self, canvas, *others: canvas)
        photograph, box = self.marked_photograph()
        other = (30.0, 10.0, 60.0, 130.0)
        seen = Counter()
        for seed in range(60):
            motion = replace(MOTION, close=0.5, close_side=1.5)
            shown = photograph_on_canvas(photograph, [other, box], motion, np.random.default_rng(seed))
            if shown.whole()[1]:
                seen["whole"] += 1
                self.assert_red_is_in(shown.canvas, shown.boxes_rel[1])
            red = (shown.canvas[..., 0] > 200) & (shown.canvas[..., 1] < 90)
            if shown.cut()[1]:
                seen["cut"] += 1
            elif not shown.whole()[1]:
                seen["away"] += 1
                assert not red.any()
            assert not (shown.whole() & shown.cut()).any()
        assert min(seen[name] for name in ("whole", "cut", "away")) > 0

    def test_a_photograph_without_a_plate_is_shown_and_has_none(self):
        photograph, _ = self.marked_photograph()
        for hide in (False, True):
            shown = photograph_on_canvas(photograph, [], MOTION, np.random.default_rng(0), hide)
            assert shown.canvas.shape == (256, 256, 3) and shown.boxes_rel.shape == (0, 4)
            assert len(shown.whole()) == len(shown.cut()) == 0

    def test_where_plates_leave_no_room_nothing_is_hidden(self):
        photograph, _ = self.marked_photograph()
        shown = photograph_on_canvas(photograph, [(2.0, 2.0, 298.0, 398.0)], MOTION, np.random.default_rng(0), True)
        assert not shown.hidden

    @pytest.mark.parametrize("turns", [0, 1, 2, 3])
    def test_along_its_tilt_a_plate_is_level(self, monkeypatch, turns):
        """A plate with a white upper and a black lower half, however tilted: the border is level in its glimpse."""
        monkeypatch.setattr(Light, "on_canvas", lambda self, canvas, *others: canvas)
        upright = np.full((400, 400, 3), 120, "uint8")
        upright[180:200, 110:290], upright[200:220, 110:290] = 255, 0
        photograph = np.ascontiguousarray(np.rot90(upright, -turns))
        box = turn_box(np.array([180.0, 110.0, 220.0, 290.0]), 400, 400, -turns % 4)
        angles = []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            shown = photograph_on_canvas(photograph, [box], replace(MOTION, size=384, tilted=1.0), rng)
            if shown.whole()[0]:
                self.assert_level(shown.canvas, shown.boxes_rel[0], (turns - shown.quarters) % 4, shown.angles[0])
                angles.append(shown.angles[0])
        assert min(angles) < -0.2 and max(angles) > 0.2

    def assert_level(self, canvas, box_rel, turns, angle):
        place = (canvas[None], box_rel[None].astype("float32"), np.array([turns]))
        tilts = np.array([angle], "float32")
        glimpse = np.asarray(cut_glimpses(*place, (64, 192), TODAY.margin, TODAY, TODAY.samples, tilts))[0, ..., 0]
        # Between the brightest and the darkest row of each column lies the border.
        columns = glimpse[8:-8, 40:-40]
        border = (columns.argmax(0) + columns.argmin(0)) / 2
        assert (columns.argmin(0) > columns.argmax(0)).all(), "upside down"
        slope = np.polyfit(np.arange(len(border)), border, 1)[0]
        assert abs(slope) < 0.06

    @pytest.mark.parametrize("turns", [0, 1])
    def test_a_plate_pasted_into_a_high_box_has_a_known_tilt(self, turns):
        upright = np.full((400, 400, 3), 120, "uint8")
        upright[150:240, 100:130], upright[150:240, 270:300] = 0, 255  # The old plate's light is taken over.
        photograph = np.ascontiguousarray(np.rot90(upright, -turns))
        plate = np.full((80, 360, 3), 255, "uint8")
        plate[40:] = 0
        box = turn_box(np.array([150.0, 100.0, 240.0, 300.0]), 400, 400, -turns % 4)
        tilts = []
        for seed in range(6):
            outline = np.full((80, 360), 255, "uint8")
            pasted, tilt = paste_plate(photograph, box, turns, plate, outline, np.random.default_rng(seed))
            self.assert_level(pasted, np.asarray(box) / 400, turns, tilt)
            tilts.append(tilt)
        assert min(tilts) < -0.15 and max(tilts) > 0.15

    def test_a_hidden_plate_is_not_on_the_canvas(self):
        photograph, box = self.marked_photograph()
        for seed in range(10):
            shown = photograph_on_canvas(
                photograph, [box], replace(MOTION, size=128), np.random.default_rng(seed), True
            )
            assert shown.hidden and not shown.whole().any() and not shown.cut().any()
            spread = shown.canvas.astype(int).max(-1) - shown.canvas.astype(int).min(-1)
            assert np.percentile(spread, 99) < 110  # No saturated red anywhere, apart from noise.

    def test_harsh_light_falls_on_plates_and_hardly_beside_them(self, monkeypatch):
        monkeypatch.setattr("lpr_e2e.training.light.change_light", lambda canvas, rng, strength: canvas)
        monkeypatch.setattr("lpr_e2e.training.light.change_sharpness", lambda canvas, rng, strength: canvas)
        canvas = np.random.default_rng(1).integers(60, 190, (256, 256, 3)).astype("uint8")
        canvas = cv2.GaussianBlur(canvas, (0, 0), 2)
        boxes = [(100.0, 60.0, 140.0, 180.0), (200.0, 220.0, 240.0, 320.0), (300.0, 300.0, 340.0, 400.0)]
        around = np.zeros((256, 256), bool)
        around[95:145, 55:185] = around[195:245, 215:] = True
        changed, harsh = [], Light(1.0, 1.0, 0.0, 0.0, 0.02, 0.0, 0.0)
        for seed in range(60):
            lit = harsh.on_canvas(canvas, np.random.default_rng(seed), 120.0, boxes)
            where = (lit != canvas).any(-1)
            assert lit.shape == canvas.shape and not where[~around].any()
            changed.append(where[105:135, 70:170].mean() > 0.3)
        assert 15 <= sum(changed) <= 40
        for light, shown in ((replace(harsh, harsh=0.0), boxes), (harsh, [])):
            for seed in range(10):
                lit = light.on_canvas(canvas, np.random.default_rng(seed), 120.0, shown)
                np.testing.assert_array_equal(lit, canvas)

    def test_pasting_changes_the_box_and_nothing_else(self):
        photograph, box = self.marked_photograph()
        plate = np.zeros((80, 320, 3), "uint8")
        cv2.putText(plate, "12345", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 5)
        outline = np.full((80, 320), 255, "uint8")
        pasted, tilt = paste_plate(photograph, box, 0, plate, outline, np.random.default_rng(0))
        assert tilt == pytest.approx(0, abs=0.02)
        changed = (pasted != photograph).any(-1)
        assert changed[150:180, 100:220].mean() > 0.7
        changed[150:180, 100:220] = False
        assert not changed.any()
        assert (photograph[150:180, 100:220] == (250, 20, 20)).all()

    def test_a_glimpse_without_change_is_the_plate(self, monkeypatch):
        """With all randomness at zero the glimpse is the box with its margins."""

        class Still:
            def normal(self, mean, deviation, size=None):
                return np.zeros(size) if size else 0.0

            def uniform(self, low, high, size=None):
                return 1.0

            def random(self):
                return 0.0

        monkeypatch.setattr(Light, "on_glimpse", lambda self, glimpse, *others: glimpse)
        photograph, box = self.marked_photograph()
        glimpse, to_shares = glimpse_of_plate(
            photograph, rectangle_corners(box), (52, 112), TODAY.margin, MOTION.light, Still(), 5.0, 0.5
        )
        red = (glimpse[..., 0] > 190) & (glimpse[..., 1] < 90)
        np.testing.assert_allclose(np.flatnonzero(red.any(1))[[0, -1]], [6, 45], atol=1)
        np.testing.assert_allclose(np.flatnonzero(red.any(0))[[0, -1]], [6, 105], atol=1)
        (top, left, bottom, right), size = boxes_around(np.array([box], "float64"), to_shares)[0], red.shape
        np.testing.assert_allclose(np.array([top, bottom]) * size[0], [6, 46], atol=1)
        np.testing.assert_allclose(np.array([left, right]) * size[1], [6, 106], atol=1)

    @pytest.mark.parametrize("change", [change_light, change_sharpness, smear, harsh_light, *_HARSH_LIGHTS])
    def test_pictures_stay_pictures(self, change):
        picture = np.random.default_rng(0).integers(0, 256, (30, 60, 3), dtype="uint8")
        before = picture.copy()
        for seed in range(30):
            changed = change(picture, np.random.default_rng(seed))
            assert changed.dtype == np.uint8 and changed.shape == picture.shape
        np.testing.assert_array_equal(picture, before)

    @pytest.mark.parametrize("length", [3, 5, 9, 15])
    @pytest.mark.parametrize("angle", [0.0, np.pi / 2])
    def test_motion_smears_a_point_along_its_way(self, length, angle):
        picture = np.zeros((41, 41, 3), "uint8")
        picture[20, 20] = 255
        smeared = motion_blur(picture, length, angle)[..., 0] > 0
        rows, columns = np.ptp(np.flatnonzero(smeared.any(1))) + 1, np.ptp(np.flatnonzero(smeared.any(0))) + 1
        assert (rows, columns) == ((1, length) if angle == 0 else (length, 1))

    @pytest.mark.parametrize("length", [3, 6, 13, 18])
    def test_motion_keeps_brightness_and_place_in_any_direction(self, length):
        picture = np.full((61, 61, 3), 20, "uint8")
        picture[25:36, 25:36] = 220
        for angle in np.linspace(0, np.pi, 9):
            moved = motion_blur(picture, length, angle)[..., 0].astype(float) - 20
            assert moved.sum() == pytest.approx(11 * 11 * 200, rel=0.02)
            places = np.argwhere(moved > -1)
            middle = (places * moved.ravel()[:, None]).sum(0) / moved.sum()
            np.testing.assert_allclose(middle, 30, atol=1.2)  # Even lengths have no pixel in their middle.

    @pytest.mark.parametrize("length", [2, 7, 16, 33, 100])
    @pytest.mark.parametrize("axis", [0, 1])
    def test_motion_along_an_axis_is_the_average_over_so_many_pixels(self, length, axis):
        picture = np.random.default_rng(length).integers(0, 256, (140, 150, 3), dtype="uint8")
        moved = motion_blur(picture, length, np.pi / 2 * (1 - axis)).astype(float)
        mean = np.lib.stride_tricks.sliding_window_view(picture, length, axis).mean(-1)
        inside = slice((length - 1) // 2, (length - 1) // 2 + mean.shape[axis])
        np.testing.assert_allclose(moved[inside] if axis == 0 else moved[:, inside], mean, atol=0.51)

    @pytest.mark.parametrize("length", [9, 40, 90])
    @pytest.mark.parametrize("angle", [0.3, -0.4, 1.1, 2.0, 2.9])
    def test_motion_draws_a_straight_line_of_its_length(self, length, angle):
        picture = np.zeros((201, 201, 3), "uint8")
        picture[99:102, 99:102] = 255
        rows, columns = np.nonzero(motion_blur(picture, length, angle)[..., 0])
        along = (rows - 100) * np.sin(angle) + (columns - 100) * np.cos(angle)
        across = (columns - 100) * np.sin(angle) - (rows - 100) * np.cos(angle)
        assert np.abs(across).max() < 4 and np.ptp(along) == pytest.approx(length + 2, abs=4)

    @pytest.mark.parametrize("deviation", [3.0, 9.0])
    def test_wide_blurs_are_what_a_filter_gives(self, deviation):
        picture = np.zeros((64, 192, 3), "uint8")
        cv2.ellipse(picture, (90, 30), (40, 20), 20, 0, 360, (255, 200, 90), -1)
        exact = cv2.GaussianBlur(picture, (0, 0), deviation).astype(int)
        difference = np.abs(_softened(picture, deviation) - exact)
        assert difference.mean() < 3 and difference.max() < 40  # Most at the edge, where either has to invent.
