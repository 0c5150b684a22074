"""Labels in other forms become a data folder that a training can load, and whatever cannot be used is named."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from lpr_e2e.data.labels_coco import read_coco
from lpr_e2e.data.labels_table import read_crop_table, read_label_table
from PIL import Image
from test_dataset import picture

from lpr_e2e.cli import main
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_folder
from lpr_e2e.common.images import read_picture
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.importing import import_labels
from lpr_e2e.data.labels import BOX_FORMS, to_yxyx
from lpr_e2e.data.tables import DatasetError, find_tables, read_table

LARGE, SMALL = (60, 40, 90, 130), (10, 20, 22, 60)  # Boxes of two plates, yxyx.
HEADER = "img_id,ymin,xmin,ymax,xmax,text"


def line(name, box, text=""):
    return ",".join([name, *map(str, box), text])


class Source:
    """Photographs `0.png` ... in `pictures`, each with a plate `NT0N` at `LARGE`, and the label files beside it."""

    def __init__(self, path, photographs=6, first=0):
        self.path = path
        self.names = [f"{seed}.png" for seed in range(first, first + photographs)]
        self.rows = [line(f"{seed}.png", LARGE, f"{seed}T0{seed}") for seed in range(first, first + photographs)]
        for seed in range(first, first + photographs):
            self.save(f"pictures/{seed}.png", picture(seed))

    def save(self, name, pixels):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(self.path / name)

    def table(self, name="labels.csv", rows=None, header=HEADER):
        (self.path / name).write_text("\n".join([header, *(self.rows if rows is None else rows)]) + "\n", "utf-8")
        return self.path / name

    def coco(self, annotations, name="labels.json", images=None, **more):
        if images is None:
            images = [
                {"id": number, "file_name": name, "width": 200, "height": 160}
                for number, name in enumerate(self.names, start=1)
            ]
        content = {"images": images, "annotations": annotations, **more}
        (self.path / name).write_text(json.dumps(content), "utf-8")
        return self.path / name


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path / "source")


def annotation(image, box=LARGE, text=None, **more):
    ymin, xmin, ymax, xmax = box
    attributes = {} if text is None else {"attributes": {"text": text}}
    return {"image_id": image, "category_id": 1, "bbox": [xmin, ymin, xmax - xmin, ymax - ymin], **attributes, **more}


def imported_table(source, target, rows=None, **options):
    return import_labels(target, read_label_table(source.table(rows=rows)), **options)


def texts(photographs):
    return {one.img_id: one.text for one in photographs}


# Forms of boxes


@pytest.mark.parametrize(
    ("form", "box", "expected"),
    [
        ("yxyx", (60, 40, 90, 130), (60, 40, 90, 130)),
        ("xyxy", (40, 60, 130, 90), (60, 40, 90, 130)),
        ("xywh", (40, 60, 90, 30), (60, 40, 90, 130)),
        ("center_xywh", (85, 75, 90, 30), (60, 40, 90, 130)),
        ("rel_yxyx", (0.25, 0.5, 0.375, 1), (0.25, 0.5, 0.375, 1)),
        ("rel_xyxy", (0.5, 0.25, 1, 0.375), (0.25, 0.5, 0.375, 1)),
        ("rel_xywh", (0.5, 0.25, 0.5, 0.125), (0.25, 0.5, 0.375, 1)),
        ("rel_center_xywh", (0.75, 0.3125, 0.5, 0.125), (0.25, 0.5, 0.375, 1)),
    ],
)
def test_boxes_of_every_form_become_corners(form, box, expected):
    assert [tuple(one) for one in to_yxyx([box, box], form)] == [expected] * 2
    assert form in BOX_FORMS


@pytest.mark.parametrize("form", [form for form in BOX_FORMS if form != "rel_center_xywh"])
def test_a_table_gives_the_pixels_that_keras_cv_gives(tmp_path, form):
    """The whole way, shares and photographs of other sizes included; keras-cv has no `rel_center_xywh`."""
    from keras_cv.bounding_box import convert_format

    source = Source(tmp_path / "source", 2)
    source.save("pictures/1.png", picture(1, height=240, width=360))
    sizes = {"0.png": (160, 200), "1.png": (240, 360)}
    rows = []
    for name, (height, width) in sizes.items():
        given = convert_format(np.array([LARGE], "float32"), source="yxyx", target=form, image_shape=(height, width, 3))
        rows.append(line(name, [f"{value:.9g}" for value in np.asarray(given)[0]], "1T0"))
    path = source.table(rows=rows, header="img_id,a,b,c,d,text")
    import_labels(tmp_path / "data", read_label_table(path, form, box_columns=["a", "B", "c", "d"]))
    for _, values in find_tables(tmp_path / "data")["detection"].records:
        assert [float(values[name]) for name in ("ymin", "xmin", "ymax", "xmax")] == list(LARGE)


def test_without_keras_cv_corners_are_read_and_other_forms_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    assert to_yxyx([LARGE], "rel_yxyx") == [LARGE]
    with pytest.raises(UserError, match="form xywh are converted by keras-cv, which cannot be imported"):
        to_yxyx([LARGE], "xywh")


# Tables


def test_a_table_becomes_a_folder_that_a_training_loads(source, tmp_path):
    before = {path: path.read_bytes() for path in source.path.rglob("*.png")}
    assert main(["import", "table", str(source.table()), str(tmp_path / "data")]) == 0
    dataset = load_dataset(tmp_path / "data", validation_share=0)
    assert not dataset.problems and texts(dataset.photographs) == {
        f"{seed}.png": f"{seed}T0{seed}" for seed in range(6)
    }
    assert {one.box_px for one in dataset.photographs} == {LARGE} and len(dataset.crops) == 6
    assert all(path.read_bytes() == content for path, content in before.items())
    assert all((tmp_path / "data/photographs" / path.name).read_bytes() == content for path, content in before.items())
    np.testing.assert_array_equal(read_picture(tmp_path / "data/crops/3_1.png"), picture(3)[60:90, 40:130])
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "crops", "crops.csv", "photographs", "photographs.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("filename;X1;Y1;X2;Y2;Plate", (40, 60, 130, 90)),
        ("image\tleft\ttop\tright\tbottom\tplate_text", (40, 60, 130, 90)),
        ("path,width,height,class,xmin,ymin,xmax,ymax,license_plate", (200, 160, "plate", 40, 60, 130, 90)),
        ("file,x,y,w,h,text", (40, 60, 90, 30)),
        ("picture,x_center,y_center,width,height,transcription", (85, 75, 90, 30)),
    ],
)
def test_columns_are_known_by_their_names(source, tmp_path, header, values):
    delimiter = next(one for one in ",;\t" if one in header)
    rows = [delimiter.join([name, *map(str, values), f"{name[0]}T1"]) for name in source.names]
    imported = import_labels(tmp_path / "data", read_label_table(source.table(rows=rows, header=header)))
    assert not imported.problems and imported.crops == imported.photographs == 6
    assert {one.box_px for one in load_dataset(tmp_path / "data", validation_share=0).photographs} == {LARGE}


def test_columns_are_taken_by_the_names_that_are_given(source, tmp_path):
    rows = [line(name, (130, 90, 40, 60), f"{name[0]}T1") for name in source.names]
    path = source.table(rows=rows, header="Photo,right,low,Left One,up,says")
    options = ["--picture-column", "photo", "--text-column", "Says", "--boxes", "xyxy"]
    columns = ["--box-columns", "left one", "up", "right", "low"]
    assert main(["import", "table", str(path), str(tmp_path / "data"), *options, *columns]) == 0
    dataset = load_dataset(tmp_path / "data", validation_share=0)
    assert {one.box_px for one in dataset.photographs} == {LARGE} and texts(dataset.photographs)["2.png"] == "2T1"


@pytest.mark.parametrize(
    ("header", "options", "words"),
    [
        ("a,ymin,xmin,ymax,xmax,text", {}, "no column with the photographs' names; expected one of img_id"),
        ("img_id,a,b,c,d,text", {}, "no columns with boxes; expected ymin, xmin, ymax, xmax or x, y"),
        (
            "img_id,ymin,xmin,ymax,xmax,text",
            {"boxes": "xywh"},
            "no columns with boxes; expected x, y, width, height, or",
        ),
        ("img_id,file,ymin,xmin,ymax,xmax", {}, "both img_id and file may be meant; say which with --picture-column"),
        ("img_id,ymin,xmin,ymax,xmax,text,plate", {}, "both text and plate may be meant; say which with --text-column"),
        (HEADER, {"text_column": "says"}, "no column 'says' for --text-column; found img_id, ymin"),
        (HEADER, {"box_columns": ["ymin", "xmin", "ymax", "xmax"]}, "in what order"),
    ],
)
def test_columns_that_are_missing_or_unclear_are_said(source, header, options, words):
    with pytest.raises(UserError) as error:
        read_label_table(source.table(header=header), **options)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_shares_that_are_taken_for_pixels_are_refused(source, tmp_path, capsys):
    rows = [line(name, (0.375, 0.2, 0.5625, 0.65), "1T1") for name in source.names]
    path = str(source.table(rows=rows))
    assert main(["import", "table", path, str(tmp_path / "data")]) == 2
    assert "say --boxes rel_yxyx" in capsys.readouterr().err and not (tmp_path / "data").exists()
    assert main(["import", "table", path, str(tmp_path / "data"), "--boxes", "rel_yxyx"]) == 0
    assert {one.box_px for one in load_dataset(tmp_path / "data", validation_share=0).photographs} == {LARGE}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (line("", LARGE, "1"), "empty name"),
        (line("../pictures/0.png", LARGE, "1"), "unsafe name"),
        (line("/etc/hosts", LARGE, "1"), "unsafe name"),
        (line("nowhere.png", LARGE, "1"), "missing picture"),
        (line("n" * 300, LARGE, "1"), "unusable picture"),
        (line(".", LARGE, "1"), "unusable picture"),
        (line("broken.png", LARGE, "1"), "unusable picture"),
        (line("new.png", ("60", "40", "90", "wide"), "1"), "non-numeric box"),
        (line("new.png", ("60", "40", "90", "inf"), "1"), "non-numeric box"),
        (line("new.png", ("", "", "", ""), "1"), "non-numeric box"),
        (line("new.png", ("", "", "", "")), "no plate"),
        (line("new.png", LARGE, "1,2"), "too many values"),
        (line("new.png", (90, 40, 60, 130), "1"), "inside-out box"),
        (line("new.png", (600, 40, 690, 130), "1"), "box outside the picture"),
        (line("new.png", (60, 40, 61, 130), "1"), "box too thin"),
        (line("0.png", LARGE, "0T00"), "duplicate row"),
        (line("0.png", LARGE), "duplicate row"),
        (line("0.png", SMALL), "further plate"),
    ],
)
def test_rows_that_cannot_be_used_are_named_and_the_others_are_used(source, tmp_path, row, kind):
    source.save("pictures/new.png", picture(50))
    (source.path / "pictures" / "broken.png").write_bytes(b"")
    imported = imported_table(source, tmp_path / "data", [*source.rows[:2], row, *source.rows[2:]])
    [problem] = imported.problems
    assert (problem.file, problem.row, problem.kind) == ("labels.csv", 4, kind)
    assert "skipped" in problem.message or "left out" in problem.message or "only the crop" in problem.message
    [(_, listed)] = read_table(tmp_path / "data" / "problems.csv").records
    assert (listed["file"], listed["row"], listed["kind"]) == ("labels.csv", "4", kind)
    assert f"1 x {kind}" in imported.summary() and f"labels.csv, row 4: {kind}" in imported.summary()
    dataset = load_dataset(tmp_path / "data", validation_share=0)
    assert not dataset.problems and texts(dataset.photographs) == {
        f"{seed}.png": f"{seed}T0{seed}" for seed in range(6)
    }


def test_a_box_partly_outside_is_clipped_and_named(source, tmp_path):
    imported = imported_table(source, tmp_path / "data", [*source.rows[1:], line("0.png", (-10, -2.5, 50, 90), "0T0")])
    assert [problem.kind for problem in imported.problems] == ["box partly outside"]
    dataset = load_dataset(tmp_path / "data", validation_share=0)
    assert not dataset.problems and dataset.photographs[-1].box_px == (0, 0, 50, 90)


def test_two_texts_for_one_box_leave_it_without(source, tmp_path):
    rows = [*source.rows, line("0.png", LARGE, "9T99"), line("0.png", LARGE, "8T88")]
    imported = imported_table(source, tmp_path / "data", rows)
    assert [(one.row, one.kind) for one in imported.problems] == [(row, "contradictory texts") for row in (2, 8, 9)]
    dataset = load_dataset(tmp_path / "data", validation_share=0)
    assert texts(dataset.photographs)["0.png"] is None and len(dataset.photographs) == 6 and len(dataset.crops) == 5


def test_a_plate_without_a_text_is_a_photograph_without_a_crop(source, tmp_path):
    imported = imported_table(source, tmp_path / "data", [*source.rows[1:], line("0.png", LARGE)])
    assert (imported.photographs, imported.crops, imported.problems) == (6, 5, [])
    assert texts(load_dataset(tmp_path / "data", validation_share=0).photographs)["0.png"] is None


def test_labels_without_any_text_are_imported_and_it_is_said(source, tmp_path):
    imported = imported_table(source, tmp_path / "data", [line(name, LARGE) for name in source.names])
    assert "No plate has a text" in imported.summary()
    with pytest.raises(DatasetError, match="6 usable photographs and 0 usable crops"):
        load_dataset(tmp_path / "data")


# Several plates


def test_of_several_plates_the_largest_box_is_used_and_every_crop(source, tmp_path):
    rows = [line("0.png", SMALL, "7T77"), *source.rows, line("1.png", (100, 20, 112, 60))]
    imported = imported_table(source, tmp_path / "data", rows)
    assert imported.further == {"0.png": 1, "1.png": 1} and imported.crops == 7
    assert "2 further plates on 2 photographs left out (0.png, 1.png)" in imported.summary()
    dataset = load_dataset(tmp_path / "data", validation_share=0)
    assert not dataset.problems and {one.box_px for one in dataset.photographs} == {LARGE}
    assert texts(dataset.photographs) == {f"{seed}.png": f"{seed}T0{seed}" for seed in range(6)}
    [crop] = [crop for crop in dataset.crops if crop.text == "7T77"]
    np.testing.assert_array_equal(read_picture(crop.path), picture(0)[10:22, 20:60])


# What is held out


def test_nothing_of_a_photograph_to_hold_out_is_trained_on(source, tmp_path):
    """Neither its further plates nor what the other file says about it."""
    held = source.table("held.csv", [line("0.png", SMALL, "7T77"), source.rows[0], line("1.png", SMALL)])
    train = source.table(rows=[*source.rows, line("0.png", (100, 20, 112, 60), "8T88")])
    imported = import_labels(tmp_path / "data", read_label_table(train), read_label_table(held))
    assert (imported.photographs, imported.held_out, imported.crops) == (4, 1, 5)
    kinds = sorted((one.file, one.row, one.kind) for one in imported.problems)
    assert kinds == [
        ("held.csv", 2, "further plate"),
        ("held.csv", 4, "held out without a text"),
        ("labels.csv", 2, "held out too"),
        ("labels.csv", 3, "held out too"),
        ("labels.csv", 8, "held out too"),
    ]
    dataset = load_dataset(tmp_path / "data")
    assert texts(dataset.validation_photographs) == {"0.png": "0T00"} and not dataset.problems
    assert [crop.text for crop in dataset.validation_crops] == ["0T00"]
    used = [*dataset.photographs, *dataset.crops]
    assert {one.text for one in used} == {"2T02", "3T03", "4T04", "5T05"} and not {"0.png", "1.png"} & set(texts(used))


def test_a_held_out_photograph_is_scored_by_a_plate_with_a_text(source, tmp_path):
    held = source.table("held.csv", [line("0.png", LARGE), line("0.png", SMALL, "7T77")])
    import_labels(tmp_path / "data", read_label_table(source.table(rows=source.rows[1:])), read_label_table(held))
    [photograph] = load_dataset(tmp_path / "data").validation_photographs
    assert (photograph.box_px, photograph.text) == (SMALL, "7T77")


def test_pictures_of_one_name_in_two_folders_are_two_pictures(tmp_path):
    train, held = Source(tmp_path / "train", 4), Source(tmp_path / "valid", 4, first=4)
    for seed in range(4, 8):
        (held.path / "pictures" / f"{seed}.png").rename(held.path / "pictures" / f"{seed - 4}.png")
    held.rows = [line(f"{seed - 4}.png", LARGE, f"{seed}T0{seed}") for seed in range(4, 8)]
    import_labels(tmp_path / "data", read_label_table(train.table()), read_label_table(held.table()))
    dataset = load_dataset(tmp_path / "data")
    assert sorted(one.text for one in dataset.photographs) == ["0T00", "1T01", "2T02", "3T03"]
    assert sorted(one.text for one in dataset.validation_photographs) == ["4T04", "5T05", "6T06", "7T07"]
    for one in dataset.photographs + dataset.validation_photographs:
        np.testing.assert_array_equal(read_picture(one.path), picture(int(one.text[0])))


# Further crops, folders of pictures


def test_crops_that_are_given_are_copied(source, tmp_path):
    source.save("plates/0_1.png", picture(90, 30, 90))
    (source.path / "plates" / "broken.png").write_bytes(b"")
    crops = source.table(
        "crops.csv", ["0_1.png,9T99", "broken.png,1", "nowhere.png,1", "0_1.png,9T99"], "file_name,plate"
    )
    imported = import_labels(tmp_path / "data", read_label_table(source.table()), crops=read_crop_table(crops))
    assert sorted((one.file, one.row, one.kind) for one in imported.problems) == [
        ("crops.csv", 3, "unusable picture"), ("crops.csv", 4, "missing picture"), ("crops.csv", 5, "duplicate row"),
    ]  # fmt: skip
    dataset = load_dataset(tmp_path / "data", validation_share=0)
    assert len(dataset.crops) == 7 and texts(dataset.crops)["0_1.png"] == "9T99"
    assert texts(dataset.crops)["0_2.png"] == "0T00"  # Cut out of photograph 0.


def test_pictures_are_found_below_folders_and_by_names_of_other_systems(source, tmp_path):
    for name in source.names:
        source.save(f"elsewhere/a/b/{name}", picture(int(name[0])))
    shutil.rmtree(source.path / "pictures")
    rows = [line(f".\\b\\{name}" if name > "2" else f"./b/{name}", LARGE, f"{name[0]}T1") for name in source.names]
    path = str(source.table(rows=rows))
    assert main(["import", "table", path, str(tmp_path / "data")]) == 2
    where = ["--pictures", str(source.path), str(source.path / "elsewhere" / "a")]
    assert main(["import", "table", path, str(tmp_path / "data"), *where]) == 0
    assert set(texts(load_dataset(tmp_path / "data", validation_share=0).photographs)) == {
        f"b/{n}" for n in source.names
    }


def test_pictures_that_are_nowhere_are_said_in_one_line(source, tmp_path, capsys):
    shutil.rmtree(source.path / "pictures")
    assert main(["import", "table", str(source.table()), str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    assert (
        "none of its 6 pictures, 0.png and so on, is in" in error and "--pictures" in error and error.count("\n") == 1
    )


# COCO


def test_a_coco_file_becomes_a_folder_that_a_training_loads(source, tmp_path):
    rows = [annotation(number, text=f"{number}T0") for number in range(1, 7)]
    rows.append(annotation(1, SMALL, "7T77", iscrowd=0, area=480.0, segmentation=[]))
    held = source.coco([rows.pop(2)], "val.json")
    assert main(["import", "coco", str(source.coco(rows)), str(tmp_path / "data"), "--validation", str(held)]) == 0
    dataset = load_dataset(tmp_path / "data")
    assert texts(dataset.validation_photographs) == {"2.png": "3T0"} and not dataset.problems
    assert {one.box_px for one in dataset.photographs} == {LARGE} and "7T77" in texts(dataset.crops).values()


@pytest.mark.parametrize(
    ("key", "more"),
    [("caption", {"caption": " 1T0 "}), ("a.b.c", {"a": {"b": {"c": "1T0"}}}), ("number", {"number": 1234})],
)
def test_a_text_is_found_where_it_is_said_to_be(source, key, more):
    labels = read_coco(source.coco([annotation(1, text="wrong", **more), annotation(2)]), key)
    assert [plate.row.text for plate in labels.plates] == ["1234" if key == "number" else "1T0", None]
    assert not labels.problems


def test_a_text_of_two_lines_becomes_one(source, tmp_path):
    labels = read_coco(source.coco([annotation(number, text=f"{number}T\r\n0{number}") for number in range(1, 7)]))
    imported = import_labels(tmp_path / "data", labels)
    assert {one.kind for one in imported.problems} == {"text of several lines"} and len(imported.problems) == 6
    assert texts(load_dataset(tmp_path / "data", validation_share=0).photographs)["0.png"] == "1T01"


@pytest.mark.parametrize(
    ("faulty", "kind"),
    [
        ("text", "unknown image"),
        ({}, "unknown image"),
        (annotation([1]), "unknown image"),
        (annotation(99), "unknown image"),
        (annotation(1) | {"bbox": None}, "non-numeric box"),
        (annotation(1) | {"bbox": [1, 2, 3]}, "non-numeric box"),
        (annotation(1) | {"bbox": [1, 2, 3, "4"]}, "non-numeric box"),
        (annotation(1) | {"bbox": [1, 2, 3, float("nan")]}, "non-numeric box"),
        (annotation(1) | {"bbox": [1, 2, 3, 10**400]}, "non-numeric box"),
        (annotation(1) | {"bbox": [1, 2, -3, 4]}, "inside-out box"),
        (annotation(1) | {"bbox": [1, 2, 0, 0]}, "inside-out box"),
        (annotation(1, iscrowd=1), "crowd"),
        (annotation(1, text=[1]), "no text"),
        (annotation(1, text=True), "no text"),
        (annotation(1, text="\ud800"), "no text"),
    ],
)
def test_annotations_that_cannot_be_used_are_named(source, tmp_path, faulty, kind):
    good = [annotation(number, text=f"{number}T0") for number in range(2, 7)]
    labels = read_coco(source.coco([good[0], faulty, *good[1:]]))
    imported = import_labels(tmp_path / "data", labels)
    found = [(one.file, one.row, one.kind) for one in imported.problems if one.kind != "no plate"]
    assert found == [("labels.json", 2, kind)] and (tmp_path / "data" / "problems.csv").exists()
    assert imported.photographs == (6 if kind == "no text" else 5) and imported.crops == 5


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ({"id": 7}, "faulty image"),
        ([], "faulty image"),
        ({"id": 7, "file_name": "../pictures/0.png"}, "unsafe name"),
        ({"id": 7, "file_name": "a\nb.png"}, "unsafe name"),
        ({"id": 1, "file_name": "5.png"}, "duplicate image id"),
        ({"id": 7, "file_name": "5.png"}, "no plate"),
    ],
)
def test_images_that_cannot_be_used_are_named(source, image, kind):
    images = [{"id": 1, "file_name": "0.png"}, image]
    labels = read_coco(source.coco([annotation(1, text="1T0")], images=images))
    assert [plate.row.img_id for plate in labels.plates] == ["0.png"]
    if kind == "no plate":
        assert [row.img_id for row in labels.without_plate] == ["5.png"] and not labels.problems
    else:
        assert [(one.row, one.kind) for one in labels.problems] == [(2, kind)]


def test_a_picture_of_another_size_than_it_was_labelled_in_is_not_used(source, tmp_path):
    source.save("pictures/0.png", picture(0, 320, 400))
    imported = import_labels(tmp_path / "data", read_coco(source.coco([annotation(n, text="1") for n in range(1, 7)])))
    [problem] = imported.problems
    assert problem.kind == "picture of another size" and "200 x 160 px, the picture has 400 x 320" in problem.message
    assert imported.photographs == 5


def test_of_several_categories_that_of_the_plates_has_to_be_named(source):
    categories = [{"id": 1, "name": "plate"}, {"id": 2, "name": "car"}, {"id": 3, "name": "unused"}]
    rows = [annotation(1, text="1T0"), annotation(1, (0, 0, 150, 190), category_id=2)]
    path = source.coco([rows[0] | {"category_id": 1}, rows[1] | {"category_id": 2}], categories=categories)
    with pytest.raises(UserError, match=r"several categories \(car, plate\); say with --category"):
        read_coco(path)
    with pytest.raises(UserError, match="no category 'wheel'; found plate, car, unused"):
        read_coco(path, category="wheel")
    assert [plate.box for plate in read_coco(path, category="Plate").plates] == [LARGE]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"images": []}', b'{"images": {}, "annotations": []}', b"\xff{}"]
)
def test_what_is_no_coco_file_is_refused_in_one_line(tmp_path, capsys, content):
    (tmp_path / "labels.json").write_bytes(content)
    assert main(["import", "coco", str(tmp_path / "labels.json"), str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    assert "labels.json: expected a COCO file" in error and error.count("\n") == 1


# Nothing is overwritten, and what is not whole is not there


@pytest.mark.parametrize("place", ["full", "file"])
def test_nothing_that_exists_is_overwritten(source, tmp_path, capsys, place):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    path = source.table()
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert main(["import", "table", str(path), str(tmp_path / place)]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_an_empty_folder_is_filled(source, tmp_path):
    (tmp_path / "data").mkdir()
    imported_table(source, tmp_path / "data")
    assert len(load_dataset(tmp_path / "data", validation_share=0).photographs) == 6


@pytest.mark.parametrize("exists", [True, False])
def test_after_a_full_disk_everything_is_as_before(source, tmp_path, monkeypatch, exists):
    if exists:
        (tmp_path / "data").mkdir()
    before = sorted(tmp_path.rglob("*"))
    copy, copied = shutil.copyfile, []

    def fail_at_the_third(*paths):
        copied.append(paths)
        if len(copied) == 3:
            raise OSError(28, "No space left on device")
        copy(*paths)

    monkeypatch.setattr(shutil, "copyfile", fail_at_the_third)
    path = source.table()
    with pytest.raises(OSError, match="No space left"):
        import_labels(tmp_path / "data", read_label_table(path))
    assert len(copied) == 3 and sorted(tmp_path.rglob("*")) == sorted([*before, path])


@pytest.mark.parametrize("held", [True, False])
def test_labels_of_which_nothing_is_usable_are_refused(source, tmp_path, held):
    faulty = source.table("faulty.csv", [line(name, (90, 40, 60, 130), "1") for name in source.names])
    labels = [read_label_table(source.table()), read_label_table(faulty)]
    with pytest.raises(UserError, match=r"first of \d+ problems: faulty.csv, row 2: inside-out box"):
        import_labels(tmp_path / "data", *labels if held else labels[1:])
    assert not (tmp_path / "data").exists()


def test_what_a_killed_process_leaves_is_not_taken_for_data(tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from lpr_e2e.common.files import whole_folder\n"
        "with whole_folder(pathlib.Path(sys.argv[1])) as part:\n"
        "    (part / 'photographs.csv').write_text('img_id,ymin,xmin,ymax,xmax\\n')\n"
        "    (part / 'crops.csv').write_text('img_id,text\\n')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], timeout=60).returncode == -9
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["part"]
    with pytest.raises(DatasetError, match="no detection table"):
        load_dataset(tmp_path / "data")
    with pytest.raises(UserError, match="expected a new or empty folder"), whole_folder(tmp_path / "data"):
        pass


def test_two_processes_do_not_fill_one_folder(tmp_path, monkeypatch):
    with whole_folder(tmp_path / "data") as part:
        (part / "mine").write_text("precious")
        # The other one looked when the folder was still empty.
        monkeypatch.setattr("lpr_e2e.common.files.refuse_filled", lambda path: None)
        with pytest.raises(UserError, match="another process"), whole_folder(tmp_path / "data"):
            pass
    assert [path.read_text() for path in (tmp_path / "data").iterdir()] == ["precious"]
