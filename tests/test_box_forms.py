"""The form of boxes is told by all of them and the sizes of their pictures; what may be two things is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lpr_e2e.common.boxes import turn_box
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureError, PictureSize, read_picture, read_size
from lpr_e2e.data.box_forms import Frames, Reading, corners_px, decide, to_photograph
from lpr_e2e.data.labels import BOX_FORMS, BOX_SCALES

# Forms that keras-cv knows by the same name.
KERAS_CV = [scale + form for scale in ("", "rel_") for form in ("yxyx", "xyxy", "xywh")] + [
    "center_xywh",
    "center_yxhw",
]


def written(boxes_px, form, sizes):
    """yxyx in pixels as a form writes them, step by step."""
    ymin, xmin, ymax, xmax = np.asarray(boxes_px, "float64").T
    height, width = np.asarray(sizes, "float64").T
    scale = next((one for one in BOX_SCALES if one and form.startswith(one)), "")
    arrangement = form.removeprefix(scale)
    if scale:
        parts = BOX_SCALES[scale]
        ymin, ymax, xmin, xmax = (
            ymin / height * parts,
            ymax / height * parts,
            xmin / width * parts,
            xmax / width * parts,
        )
    y, x, h, w = (ymin + ymax) / 2, (xmin + xmax) / 2, ymax - ymin, xmax - xmin
    return np.stack(
        {
            "yxyx": (ymin, xmin, ymax, xmax),
            "xyxy": (xmin, ymin, xmax, ymax),
            "xywh": (xmin, ymin, w, h),
            "yxhw": (ymin, xmin, h, w),
            "center_xywh": (x, y, w, h),
            "center_yxhw": (y, x, h, w),
        }[arrangement],
        1,
    )


def plates(count=60, seed=0, size=(480, 640), inside=1.0):
    """Boxes of plates all over their pictures, wider than high; and the pictures' sizes."""
    rng = np.random.default_rng(seed)
    sizes = np.tile(size, (count, 1))
    width = rng.uniform(60, 140, count)
    height = width / rng.uniform(2, 5, count)
    ymin, xmin = rng.uniform(0, size[0] - height), rng.uniform(0, size[1] - width)
    boxes = np.stack([ymin, xmin, ymin + height, xmin + width], 1)
    boxes[: round((1 - inside) * count)] += 5000
    return boxes, sizes


def frames(sizes, orientation=1, factors=()):
    orientations = np.broadcast_to(orientation, len(sizes))
    pairs = zip(np.asarray(sizes).tolist(), orientations.tolist(), strict=True)
    return Frames.of([PictureSize(*size, one) for size, one in pairs], factors)


# Conversion


@pytest.mark.parametrize("form", BOX_FORMS)
def test_boxes_of_every_form_become_corners_in_pixels(form):
    boxes, sizes = plates()
    np.testing.assert_allclose(corners_px(written(boxes, form, sizes), form, sizes), boxes)


@pytest.mark.parametrize("form", KERAS_CV)
def test_forms_mean_what_keras_cv_means_by_them(form):
    from keras_cv.bounding_box import convert_format

    boxes, sizes = plates(5)
    given = convert_format(boxes.astype("float32"), source="yxyx", target=form, image_shape=(480, 640, 3))
    np.testing.assert_allclose(corners_px(np.asarray(given), form, sizes), boxes, atol=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "tif", "png"])
def test_a_size_is_that_of_the_picture_as_it_is_decoded(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (40, 24)).save(path, exif=exif)
    size = read_size(path)
    assert (size.height, size.width) == read_picture(path).shape[:2]
    assert size.stored == (24, 40) and size.orientation == orientation


@pytest.mark.parametrize("content, reason", [(None, "missing"), (b"", "empty file"), (b"text", "not a picture")])
def test_what_has_no_size_is_refused_with_the_reason(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(PictureError, match=reason):
        read_size(tmp_path / "a.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_before_exif_frames_the_same_pixels_after_it(tmp_path, orientation):
    stored = np.zeros((24, 40, 3), "uint8")
    stored[3:9, 10:31] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    seen = np.argwhere(read_picture(tmp_path / "a.png")[..., 0])
    size = read_size(tmp_path / "a.png")
    for form in ("yxyx", "rel_center_xywh"):
        box = written([[3, 10, 9, 31]], form, [[24, 40]])
        found = to_photograph(box, Reading(form, before_exif=True), Frames.of([size]))
        np.testing.assert_allclose(found, [[*seen.min(0), *(seen.max(0) + 1)]])


# Decision


def decided(boxes, sizes, orientation=1, **known):
    return decide("plates.csv", boxes, frames(sizes, orientation), **known)


@pytest.mark.parametrize("form", BOX_FORMS)
@pytest.mark.parametrize("count", [1, 3, 60])
@pytest.mark.parametrize("inside", [1.0, 0.96])
def test_a_form_that_is_known_is_believed_whatever_a_few_rows_say(form, count, inside):
    boxes, sizes = plates(count, inside=inside)
    decision = decided(written(boxes, form, sizes), sizes, named=form)
    assert decision.reading == Reading(form) and not decision.notes


@pytest.mark.parametrize("form", BOX_FORMS)
@pytest.mark.parametrize("named", ["yxyx", "xywh", "rel_xyxy"])
@pytest.mark.parametrize("inside", [1.0, 0.985])
def test_a_form_that_the_boxes_contradict_gives_way_to_the_one_that_fits_or_is_asked_for(form, named, inside):
    boxes, sizes = plates(200, inside=inside)
    try:
        decision = decided(written(boxes, form, sizes), sizes, named=named)
    except UserError as error:  # A corner or the centre, percent or pixels: both may fit.
        assert f"{form}, x " in str(error) and "--boxes" in str(error)
    else:
        assert decision.reading in (Reading(form), Reading(named))
        assert not decision.notes if form == named else form in decision.notes[0] and named in decision.notes[0]


@pytest.mark.parametrize("form", ["xyxy", "rel_yxyx", "permille_yxyx", "permille_xyxy"])
def test_corners_in_another_order_or_scale_than_their_names_say_are_read_as_they_are(form):
    boxes, sizes = plates(60)
    decision = decided(written(boxes, form, sizes), sizes, named="yxyx")
    assert decision.reading == Reading(form) and f"read as {form}" in decision.notes[0]


def test_few_boxes_do_not_turn_the_names_of_columns():
    boxes, sizes = plates(6)
    assert decided(written(boxes, "xyxy", sizes), sizes, named="yxyx").reading == Reading("yxyx")


@pytest.mark.parametrize("form", ["yxyx", "xyxy", "rel_xyxy", "rel_yxyx", "permille_xyxy"])
@pytest.mark.parametrize("inside", [1.0, 0.985])
def test_the_numbers_alone_tell_corners(form, inside):
    boxes, sizes = plates(200, inside=inside)
    decision = decided(written(boxes, form, sizes), sizes, candidates=("xyxy", "yxyx"))
    assert decision.reading == Reading(form)


@pytest.mark.parametrize("form", ["xywh", "center_xywh", "rel_xywh", "rel_center_xywh"])
def test_a_corner_or_the_centre_is_told_by_plates_at_the_edge_and_else_asked_for(form):
    boxes, sizes = plates(400)
    given = written(boxes, form, sizes)
    candidates = ("xywh", "center_xywh", "rel_xywh", "rel_center_xywh")
    assert decided(given, sizes, candidates=candidates).reading == Reading(form)
    middle = boxes.copy()
    middle[:, :2] = boxes[:, :2] * 0.3 + [150, 200]
    middle[:, 2:] = middle[:, :2] + boxes[:, 2:] - boxes[:, :2]
    with pytest.raises(
        UserError, match="plates.csv: its boxes can be read in several ways, such as .*xywh, x .* of 640"
    ):
        decided(written(middle, form, sizes), sizes, candidates=candidates)
    assert decided(written(middle, form, sizes), sizes, candidates=candidates, told=form).reading == Reading(form)


def test_percent_that_may_be_pixels_are_asked_for():
    boxes, sizes = plates(60)
    decision = decided(written(boxes, "percent_xywh", sizes), sizes, named="percent_xywh")
    assert decision.reading == Reading("percent_xywh") and not decision.notes
    for known in ({"named": "yxyx"}, {"candidates": ("yxyx", "xyxy")}):
        with pytest.raises(UserError, match="yxyx, x .*; percent_yxyx, x "):
            decided(written(boxes, "percent_yxyx", sizes), sizes, **known)


def test_boxes_that_fit_in_no_form_are_refused_and_under_a_name_counted():
    boxes, sizes = plates(20)
    with pytest.raises(UserError, match="in none of the forms xyxy, xywh; correct them, or say the form with --boxes"):
        decided(boxes + 9000, sizes, candidates=("xyxy", "xywh"))
    decision = decided(boxes + 9000, sizes, named="yxyx")
    assert decision.reading == Reading("yxyx") and "only 0 of 20 boxes lie in their pictures" in decision.notes[0]


@pytest.mark.parametrize("named", ["yxyx", "xyxy"])
def test_boxes_that_are_inside_out_are_asked_for_and_not_taken_for_thousandths(named):
    boxes, sizes = plates(20)
    exchanged = written(boxes, named, sizes)[:, [2, 3, 0, 1]]
    with pytest.raises(UserError, match="inside out as .* are exchanged, exchange them; if not, say --boxes permille_"):
        decided(exchanged, sizes, named=named)


@pytest.mark.parametrize("form", ["xyxy", "rel_xyxy", "xywh"])
@pytest.mark.parametrize("faulty", [[0, 0, 0, 0], [9, 9, 9, 9], [9000, 9000, 9500, 9500]])
def test_a_faulty_box_does_not_make_a_small_set_unreadable(form, faulty):
    boxes, sizes = plates(6)
    values = written(boxes, form, sizes)
    values[2] = faulty
    candidates = ("xyxy", "yxyx") if "xyxy" in form else ("xywh",)
    decision = decided(values, sizes, candidates=candidates)
    assert decision.reading == Reading(form) and (len(candidates) == 1 or f"read as {form}" in decision.notes[0])


def test_larger_pictures_than_were_labelled_scale_pixels_and_not_shares():
    boxes, sizes = plates(5)
    grown = frames(sizes * 2, factors=[2] * 5)
    np.testing.assert_allclose(to_photograph(boxes, Reading("yxyx"), grown), boxes * 2)
    shares = written(boxes, "rel_xywh", sizes)
    np.testing.assert_allclose(to_photograph(shares, Reading("rel_xywh"), grown), boxes * 2)


# EXIF


def turned(boxes, sizes, share=0.3):
    """Orientations, of which some are 6, and boxes as they are in the pictures as those are stored."""
    orientations = np.where(np.arange(len(boxes)) < share * len(boxes), 6, 1)
    stored = boxes.copy()
    for number in np.flatnonzero(orientations == 6):
        stored[number] = turn_box(boxes[number], *sizes[number], 1)  # Seen, it is turned clockwise.
    return orientations, stored


@pytest.mark.parametrize("form", ["yxyx", "rel_center_xywh", "xywh"])
@pytest.mark.parametrize("share", [0.02, 0.3, 1])
def test_boxes_before_exif_are_told_from_those_after_it(form, share):
    boxes, sizes = plates(100)
    orientations, stored = turned(boxes, sizes, share)
    sides = [tuple(size[::-1] if one == 6 else size) for size, one in zip(sizes, orientations, strict=True)]
    before = decided(written(stored, form, sides), sizes, orientations, named=form)
    assert before.reading == Reading(form, before_exif=True) and "before the turn" in before.notes[-1]
    after = decided(written(boxes, form, sizes), sizes, orientations, named=form)
    assert after.reading == Reading(form) and "after it" in after.notes[-1]
    np.testing.assert_allclose(
        to_photograph(written(stored, form, sides), before.reading, frames(sizes, orientations)), boxes, atol=1e-3
    )


def test_what_is_said_of_exif_decides_and_sizes_tell():
    boxes, sizes = plates(20)
    orientations, _ = turned(boxes, sizes)
    assert decided(boxes, sizes, orientations, named="yxyx", exif="before").reading.before_exif
    stored = orientations == 6
    assert decided(boxes, sizes, orientations, named="yxyx", said_stored=stored).reading.before_exif
    assert not decided(boxes, sizes, orientations, named="yxyx", exif="after", said_stored=stored).reading.before_exif


def test_boxes_that_fit_before_and_after_exif_are_taken_as_seen_and_it_is_said():
    sizes = np.tile((400, 400), (3, 1))
    square = np.tile([180.0, 180.0, 220.0, 220.0], (3, 1))
    decision = decided(square, sizes, 6, named="yxyx")
    assert not decision.reading.before_exif and "--exif before" in decision.notes[0]


# Any table


@settings(max_examples=100, deadline=None)
@given(
    boxes=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), min_size=1, max_size=12),
    named=st.none() | st.sampled_from(BOX_FORMS),
    orientation=st.integers(1, 8),
)
def test_any_numbers_are_read_in_one_form_or_refused(boxes, named, orientation):
    sizes = np.tile((48, 64), (len(boxes), 1))
    try:
        decision = decided(np.array(boxes), sizes, orientation, named=named)
    except UserError as error:
        assert "plates.csv" in str(error) and "--boxes" in str(error)
    else:
        assert decision.reading.form in BOX_FORMS
        assert to_photograph(boxes, decision.reading, frames(sizes, orientation)).shape == (len(boxes), 4)


def test_one_box_many_times_says_no_more_than_once():
    boxes, sizes = np.tile([90.0, 40.0, 60.0, 130.0], (40, 1)), np.tile((160, 200), (40, 1))
    assert decided(boxes, sizes, named="yxyx").reading == Reading("yxyx")


def test_hardly_any_box_that_fits_is_enough_to_turn_the_names_of_columns():
    boxes, sizes = plates(5)
    decision = decided(written(boxes, "yxhw", sizes), sizes, named="yxyx")
    assert decision.reading == Reading("yxhw") and "read as yxhw" in decision.notes[0]
