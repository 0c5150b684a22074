"""Large photographs and many plates: what is looked at more closely, and that nothing is lost or read twice by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from stand_in import CANVAS, MAGENTA, PROCEDURE, SeveralEngine, description, reader, street

from lpr_e2e.common import parts, steps
from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.procedure import TODAY
from lpr_e2e.export.saved_model import GraphArrays
from lpr_e2e.prediction import arrays
from lpr_e2e.prediction.driver import Driver

# The engine's canvas is its scene of 320 pixels. A tile of 320 shows each pixel of the photograph as it is.
# Statuses at edges are the subject of `test_statuses`.
LARGE = replace(PROCEDURE, plates=3, part_pixels=(320.0, 1280.0), edge=0.0)
SIDES = (1080, 1920)


def sizes(*sides):
    return np.array(sides, "int64")


class TestTiles:
    @pytest.mark.parametrize(
        "sides", [(2160, 3840), (1080, 1920), (1000, 1300), (5000, 700), (10_000, 10_000), (90, 9000)]
    )
    @pytest.mark.parametrize("pixels", [480.0, 640.0])
    def test_they_cover_everything_and_share_what_they_should(self, sides, pixels):
        found = parts.tiles(sizes(*sides), pixels, TODAY, np)
        assert len({tuple(one) for one in found}) == len(found)
        for axis, side in enumerate(sides):
            starts, ends = np.unique(found[:, axis]), np.unique(found[:, axis + 2])
            part = min(side, int(pixels))
            assert starts[0] == 0 and ends[-1] == side and set(ends - starts) == {part}
            assert len(starts) == 1 or np.diff(starts).max() <= part * (1 - TODAY.part_overlap) + 1
        rows, columns = (len(np.unique(found[:, axis])) for axis in range(2))
        assert len(found) == rows * columns

    def test_their_number_follows_the_size(self):
        counts = [len(parts.tiles(sizes(9 * one, 16 * one), 640, TODAY, np)) for one in (60, 80, 120, 240, 480)]
        assert counts[0] == 0 and counts == sorted(counts) and 20 <= counts[3] <= 40 and counts[4] < 5 * counts[3]

    @pytest.mark.parametrize("sides", [(750, 900), (300, 200), (7, 5), (1, 1)])
    def test_of_an_ordinary_photograph_there_are_the_four_corners(self, sides):
        exact = sizes(*sides)
        assert not parts.is_large(exact, TODAY, np)
        corners = parts.corners(exact, TODAY, np)
        height, width = (int(np.ceil(TODAY.closer_part * side)) for side in sides)
        places = [(y, x) for y in (0, sides[0] - height) for x in (0, sides[1] - width)]
        assert [tuple(one) for one in corners] == [(y, x, y + height, x + width) for y, x in places]

    def test_a_part_around_a_plate_holds_it_and_ends_with_the_photograph(self):
        boxes = np.array(
            [[0, 0, 20, 60], [1000, 1700, 1080, 1920], [500, 900, 540, 1000], [100, 100, 900, 1800]], "float32"
        )
        found = parts.around(boxes, sizes(*SIDES), 0.2, TODAY, np)
        assert (found[:, :2] <= boxes[:, :2]).all() and (found[:, 2:] >= boxes[:, 2:]).all()
        assert found.min() == 0 and (found[:, 2:] <= SIDES).all()
        assert (found[2, 2:] - found[2, :2]).tolist() == [500] * 2
        assert (found[1, 2:] - found[1, :2]).tolist() == [1080, 1100]


class Near(SeveralEngine):
    """Also keeps how fine the details of each glimpse are."""

    def __init__(self):
        super().__init__()
        self.details: list[float] = []

    def read(self, glimpses):
        self.details += [float(np.abs(np.diff(one[..., 1].astype(int), axis=1)).mean()) for one in glimpses]
        return super().read(glimpses)


def read(photograph, engine=None, **changes):
    found = reader(engine or SeveralEngine(), procedure=replace(LARGE, **changes)).read(photograph)
    return [reading for reading in found if reading.status == "ok"]


def boxes_are(readings, expected, iou=0.5):
    """Whether each plate was read, and once."""
    found = np.array([reading.box_px for reading in readings])
    overlaps = intersection_over_union(found[:, None], np.array(expected, "float32")[None])
    return len(found) == len(expected) and (overlaps.max(0) > iou).all()


class TestLargePhotographs:
    SMALL = [(200, 300, 210, 330), (700, 1500, 710, 1530), (1060, 5, 1070, 35)]

    def test_plates_too_small_for_its_canvas_are_read(self):
        photograph = street(*self.SMALL, sides=SIDES)
        assert boxes_are(read(photograph), self.SMALL, 0.7)
        assert not read(photograph, large_photograph=0)

    @pytest.mark.parametrize("width", [20, 40, 64, 100, 200, 400, 900])
    def test_plates_of_any_width_at_any_place_are_read_once(self, width):
        rng, high = np.random.default_rng(width), max(8, width // 4)
        for _ in range(3):
            top, left = int(rng.integers(SIDES[0] - high)), int(rng.integers(SIDES[1] - width))
            box = (top, left, top + high, left + width)
            assert boxes_are(read(street(box, sides=SIDES)), [box], 0.7), box

    def test_what_tiles_cut_off_is_no_plate_of_its_own(self):
        tiles = parts.tiles(sizes(*SIDES), 320, LARGE, np)
        cut = [(300, int(left) - 30, 310, int(left) + 30) for left in np.unique(tiles[:, 1])[1:]]
        engine = SeveralEngine()
        engine.least = 8
        assert boxes_are(read(street(*cut, sides=SIDES), engine), cut, 0.7)

    def test_a_plate_of_the_whole_is_read_from_the_photographs_own_pixels(self):
        """120 pixels are 20 on the canvas: the stripes of the plate, three pixels wide, are not on it."""
        photograph = street((500, 900, 530, 1020), sides=SIDES)
        photograph[500:530, 900:1020:6] = photograph[500:530, 901:1020:6] = photograph[500:530, 902:1020:6] = (
            255,
            40,
            255,
        )
        sharp, blurred = Near(), Near()
        readings, before = read(photograph, sharp), read(photograph, blurred, large_photograph=0, distant_plate=0.0)
        assert len(readings) == len(before) == 1
        assert max(sharp.details) > 2 * max(blurred.details)
        assert boxes_are(readings, [(500, 900, 530, 1020)], 0.8)

    @pytest.mark.parametrize(("width", "tiles"), [(200, True), (220, False)])  # 0.11 of 1920 is 211.2.
    def test_a_near_plate_needs_no_tiles(self, width, tiles):
        engine = SeveralEngine()
        assert len(read(street((500, 900, 550, 900 + width), sides=SIDES), engine)) == 1
        # The whole; the plate, smaller on the canvas than in the glimpse, around its place.
        assert (sum(engine.found) > 20) == tiles and (engine.found == [1]) != tiles

    def test_no_place_is_looked_at_twice(self):
        """With a second look, one of each plate, however many tiles show it."""
        engine = SeveralEngine()
        boxes = [(200, 300, 215, 360), (700, 1500, 715, 1560)]
        assert boxes_are(read(street(*boxes, sides=SIDES), engine, second_look=2.1), boxes, 0.7)
        tiles = len(parts.all_tiles(sizes(*SIDES), LARGE, np))
        assert sum(engine.found) == 1 + tiles + 2

    def test_few_scenes_are_in_memory_at_a_time(self):
        engine = SeveralEngine()
        read(street(*self.SMALL, sides=SIDES), engine)
        assert max(engine.found) <= arrays.AT_ONCE < sum(engine.found)

    @pytest.mark.parametrize("sides", [(12_000, 8000), (60, 20_000), (20_000, 60)])
    def test_very_large_and_very_long_photographs(self, sides):
        box = (sides[0] - 40, sides[1] - 44, sides[0] - 30, sides[1] - 10)
        assert boxes_are(read(street(box, sides=sides), part_pixels=TODAY.part_pixels), [box], 0.7)


class TestOrdinaryPhotographs:
    @pytest.mark.parametrize(("width", "asked"), [(24, [1, 4]), (60, [1])])
    def test_they_cost_what_they_cost(self, width, asked):
        engine = SeveralEngine()
        photograph = street((300, 100, 320, 100 + width), sides=(400, 500))
        assert boxes_are(read(photograph, engine), [(300, 100, 320, 100 + width)])
        assert engine.found == asked

    @pytest.mark.parametrize("spared", [1, 1000])
    def test_where_several_plates_are_or_one_look_is_full_there_may_be_more(self, spared):
        near = [
            (20 + 110 * row, 30 + 220 * column, 40 + 110 * row, 130 + 220 * column)
            for row in range(4)
            for column in range(2)
        ]
        for count in range(1, 9):
            engine = SeveralEngine()
            found = read(street(*near[:count], sides=(480, 480)), engine, spared_plates=spared)
            is_full = count >= LARGE.plates
            looked = is_full or count > spared
            assert boxes_are(found, near[:count]) and engine.found == ([1, 4] if looked else [1])

    def test_the_most_certain_plate_comes_first(self):
        found = read(street(*TestLargePhotographs.SMALL, sides=SIDES))
        products = [one.confidence * one.box_confidence for one in found]
        assert products == sorted(products, reverse=True)


def test_twenty_plates_are_twenty_rows():
    rng = np.random.default_rng(0)
    for count in range(1, 21):
        cells = rng.permutation(40)[:count]
        tops, lefts = 20 + 250 * (cells // 10), 20 + 180 * (cells % 10)
        boxes = [
            (int(y), int(x), int(y) + 12, int(x) + int(rng.integers(20, 120))) for y, x in zip(tops, lefts, strict=True)
        ]
        assert boxes_are(read(street(*boxes, sides=SIDES)), boxes)


class InGraph:
    """The engine in a graph."""

    def __init__(self, engine):
        self.engine = engine
        self.kinds = {"objectness": (), "cell_boxes": (4,), "cell_turns": (4,), "cell_tilts": ()}

    def find(self, scenes):
        def found(scenes):
            cells = self.engine.find(scenes.astype("uint8"))
            return [cells[name] for name in self.kinds]

        values = tf.numpy_function(found, [scenes], [tf.float32] * len(self.kinds))
        shapes = [(None, self.engine.most, *kind) for kind in self.kinds.values()]
        return {name: tf.ensure_shape(*one) for name, *one in zip(self.kinds, values, shapes, strict=True)}

    def read(self, glimpses):
        def answers(glimpses):
            answer = self.engine.read(glimpses.astype("uint8"))
            return answer["logits"], answer["attention"]

        logits, attention = tf.numpy_function(answers, [glimpses], [tf.float32, tf.float32])
        about = description()
        logits = tf.ensure_shape(logits, (None, about.slots, about.vocabulary.classes))
        return {"logits": logits, "attention": tf.ensure_shape(attention, (None, about.slots, 2, 2))}


class Unsure(SeveralEngine):
    """Whose certainty follows the brightness of the plate, so that no two are alike."""

    def say(self, glimpse):
        text, _ = super().say(glimpse)
        return text, 0.82 + 0.15 * float(glimpse[..., 1].mean()) / 255

    def answer(self, said):
        if said:
            return super().answer(said)
        return {name: values[:0] for name, values in super().answer([("", 1.0)]).items()}


IN_GRAPH = description(procedure=replace(LARGE, second_look=2.1))


@pytest.fixture(scope="module")
def read_in_graph():
    """Reads a photograph of any size in a graph, which takes a dozen seconds to build."""
    graph = GraphArrays(IN_GRAPH.procedure.most_reported)
    driver = Driver(InGraph(Unsure()), IN_GRAPH, graph)

    def serve(photograph):
        canvas, frame = graph.letterbox(photograph, CANVAS, 114)
        return driver.read([photograph], canvas, [frame])[0]

    return tf.function(serve, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)], autograph=False)


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [(500, 900, 560, 1140)],
        TestLargePhotographs.SMALL,
        [(20 + 120 * one, 90 + 170 * one, 32 + 120 * one, 130 + 190 * one) for one in range(8)],
    ],
)
def test_the_same_in_a_graph(boxes, read_in_graph):
    photograph = street(*boxes, sides=SIDES)
    for place, (top, left, bottom, right) in enumerate(boxes):
        photograph[top:bottom, left:right] = (MAGENTA[0], 6 * place, MAGENTA[2])
    found = read_in_graph(photograph)
    plain = Driver(Unsure(), IN_GRAPH)
    canvas, frame = plain.arrays.letterbox(photograph, CANVAS, 114)
    (expected,) = plain.read([photograph], canvas, [frame])
    count = len(boxes)
    rows = np.argsort(found["boxes_px"][:count, 1]), np.argsort(expected["boxes_px"][:, 1])[:count]
    assert not found["box_confidence"][count:].numpy().any()
    for name in ("boxes_px", "confidence", "box_confidence", "characters"):
        np.testing.assert_allclose(
            found[name].numpy()[rows[0]], expected[name][rows[1]], atol=3 if "px" in name else 0.02
        )


def test_of_plates_that_hide_one_another_the_same_stay_in_a_graph():
    rng = np.random.default_rng(0)
    for count in (0, 1, 30):
        corners = rng.uniform(0, 100, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(20, 60, (count, 2))], axis=1).astype("float32")
        stays = rng.uniform(size=count) > 0.2
        kept: list[bool] = []
        for place in range(count):
            hidden = intersection_over_union(boxes[place], boxes[:place])[np.array(kept, bool)] >= TODAY.same_plate_iou
            kept.append(bool(stays[place]) and not hidden.any())
        assert steps.apart(boxes, stays, TODAY, np).tolist() == kept
        assert steps.apart(tf.constant(boxes), tf.constant(stays), TODAY, ops).numpy().tolist() == kept
