"""Labels are read in every form as they are written, are known by their content, and whatever is wrong is named."""

import json
import os

import pytest
from label_files import (
    HELD,
    LARGE,
    PLATES,
    SMALL,
    WRITERS,
    cvat_box,
    cvat_file,
    label_studio_plate,
    label_studio_task,
    save_photographs,
    save_picture,
    voc_file,
    voc_object,
    write_csv,
    write_json,
    write_text,
    write_yolo,
    yolo_line,
)

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.forms import FORMS, read_labels
from lpr_e2e.data.labels import LabelOptions, names_test, names_validation
from lpr_e2e.data.places import find_places
from lpr_e2e.data.resolving import resolve
from lpr_e2e.data.tables import DatasetError

HEADER = ("img_id", "ymin", "xmin", "ymax", "xmax", "text")


def rows_of(found, held=None):
    """(name, box, text) of every plate, names without what stands before them."""
    return [
        (plate.row.img_id.rpartition("/")[2].rpartition("-")[2], plate.box, plate.row.text)
        for labels in found
        if held in (None, labels.held_out)
        for plate in labels.plates
    ]


def kinds_of(found):
    return [(one.file, one.row, one.kind) for labels in found for one in labels.problems]


def notes_of(found):
    return "\n".join(note for labels in found for note in labels.notes)


@pytest.mark.parametrize("what", ["pipe", "/dev/null"])
def test_what_is_neither_file_nor_folder_is_named(what, tmp_path):
    """It was said that a part of the path is a file."""
    path = tmp_path / what
    if what == "pipe":
        os.mkfifo(path)
    with pytest.raises(DatasetError, match=f"{path}: no regular file; expected a folder or a file with labels"):
        read_labels(path)


# Every form


@pytest.mark.parametrize("form", WRITERS)
def test_a_folder_is_known_by_its_content(form, tmp_path):
    WRITERS[form](tmp_path / "data")
    found = read_labels(tmp_path / "data")
    assert f"Labels: {form} (" in notes_of(found) and not kinds_of(found)
    assert rows_of(read_labels(tmp_path / "data", LabelOptions(form=form))) == rows_of(found)
    if form == "fast_plate_ocr":
        assert [one.holds_crops for one in found] == [True]
        return
    assert {name for name, _, _ in rows_of(found)} == set(PLATES)
    assert {name for name, _, _ in rows_of(found, held=True)} == set(HELD)
    texts = {text for _, _, text in rows_of(found) if text}
    assert texts == (set() if form == "yolo" else {text for one in PLATES.values() for _, text in one if text})
    assert [name for name, box, _ in rows_of(found) if box is None] == ["3.png"]


@pytest.mark.parametrize("form", [form for form in WRITERS if form not in ("yolo", "fast_plate_ocr")])
def test_sizes_and_names_are_as_written(form, tmp_path):
    WRITERS[form](tmp_path / "data")
    for labels in read_labels(tmp_path / "data"):
        if form != "table":
            assert set(labels.sizes.values()) == {(160, 200)}
        assert all((labels.pictures[0] / name.rpartition("-")[2]).is_file() for name in labels.names if "/" not in name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.json", b"[]"),
        ("labels.json", b"{"),
        ("labels.json", b'{"images": []}'),
        ("labels.json", b"\xff\xfe\x00"),
        ("labels.json", b'[{"image": "1.jpg", "annotation_id": 1, "annotator": 1}]'),
        ("labels.xml", b"<annotations/>"),
        ("labels.xml", b"<annotation>"),
        ("labels.xml", b"<html/>"),
        ("data.yaml", b"a: [b"),
        ("data.yaml", b"train: nowhere\nnames: [plate]"),
        ("data.yaml", b"!!python/object/apply:os.system ['true']"),
        ("labels.csv", b"a,b\n1,2\n"),
        ("labels.csv", b""),
        ("labels.txt", b"0.png"),
    ],
)
def test_what_is_no_label_file_is_refused_in_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    for source in (tmp_path / name, tmp_path):
        with pytest.raises(UserError) as error:
            read_labels(source)
        assert name in str(error.value) and "expected" in str(error.value) and "\n" not in str(error.value)


def test_entities_that_fill_the_memory_are_refused(tmp_path):
    levels = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 9))
    bomb = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "ha">{levels}]>'
    write_text(tmp_path / "voc.xml", bomb + "<annotation><filename>&e8;</filename></annotation>")
    write_text(tmp_path / "cvat.xml", bomb + "<annotations><image name='&e8;'/></annotations>")
    for name in ("voc.xml", "cvat.xml"):
        with pytest.raises(DatasetError, match="defines entities of its own"):
            read_labels(tmp_path / name, LabelOptions(form=name.partition(".")[0]))


def test_two_forms_in_one_folder_have_to_be_told_apart(tmp_path):
    WRITERS["table"](tmp_path)
    WRITERS["cvat"](tmp_path)
    with pytest.raises(
        DatasetError, match=r"labels in 2 forms .*say with --form which of them are meant: cvat or table"
    ):
        read_labels(tmp_path)
    assert {labels.path.suffix for labels in read_labels(tmp_path, LabelOptions(form="cvat"))} == {".xml"}
    assert {labels.path.suffix for labels in read_labels(tmp_path, LabelOptions(form="table"))} == {".csv"}


def test_crops_go_with_labels_of_any_form(tmp_path):
    WRITERS["coco"](tmp_path)
    write_csv(tmp_path / "crops.csv", ("img_id", "text"), [("a.png", "7T77")])
    found = read_labels(tmp_path)
    assert [labels.path.name for labels in found] == ["crops.csv", "instances_train.json", "instances_val.json"]
    assert [labels.holds_crops for labels in found] == [True, False, False]


def test_what_is_no_label_is_left_alone_and_named(tmp_path):
    """A submission form, a list of names, labels of a test set, and the table of a prediction."""
    WRITERS["table"](tmp_path)
    write_csv(tmp_path / "submission.csv", ("id", *"0123456789"), [("img_1_1", *"0000000000")])
    write_csv(tmp_path / "overlap.csv", ("img_id",), [("0.png",)])
    write_csv(tmp_path / "test.csv", HEADER, [("9.png", *LARGE, "1T1")])
    columns = ("img_id", "text", "confidence", *HEADER[1:5], "box_confidence", "status")
    readings = write_csv(tmp_path / "predictions.csv", columns, [("0.png", "1T1", 0.9, *LARGE, 0.9, "ok")])
    found = read_labels(tmp_path)
    assert {labels.path.name for labels in found} == {"train.csv", "val.csv"}
    assert kinds_of(found) == [("predictions.csv", None, "prediction table")]
    assert "overlap.csv (img_id), submission.csv (id, 0, 1" in notes_of(
        found
    ) and "test set are left alone: test.csv" in notes_of(found)
    with pytest.raises(DatasetError, match=r"predictions.csv: this is a table of readings"):
        read_labels(readings)


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(tmp_path):
    WRITERS["coco"](tmp_path)
    write_text(tmp_path / "annotations" / "more.json", "{")
    (tmp_path / "annotations").rename(tmp_path / "x")
    for path in (tmp_path / "x").iterdir():
        path.rename(tmp_path / path.name)
    found = read_labels(tmp_path)
    assert len(found) == 2 and kinds_of(found) == [("more.json", None, "unreadable label file")]


@pytest.mark.parametrize("column", ["confidence", "Score", "prob", "weather"])
def test_texts_beside_a_certainty_are_doubted(tmp_path, column):
    write_csv(tmp_path / "cars.csv", (*HEADER, column), [("0.png", *LARGE, "1T1", "0.9")])
    save_photographs(tmp_path / "cars")
    found = read_labels(tmp_path)
    assert found[0].plates and (f"has a column {column.lower()}" in notes_of(found)) == (column != "weather")


@pytest.mark.parametrize(
    ("inside", "named"),
    [("test/labels.csv", True), ("Test/deep/labels.csv", True), ("test/0.png", False), ("more/labels.csv", False)],
)
def test_a_folder_of_a_test_set_is_named_if_it_has_labels(tmp_path, inside, named):
    write_csv(tmp_path / "cars.csv", HEADER, [("0.png", *LARGE, "1T1")])
    save_photographs(tmp_path / "cars")
    if inside.endswith(".csv"):
        write_csv(tmp_path / inside, HEADER, [("9.png", *LARGE, "9T9")])
    else:
        (tmp_path / inside).parent.mkdir()
        save_photographs((tmp_path / inside).parent)
    found = read_labels(tmp_path)
    assert [labels.path.name for labels in found] == ["cars.csv"]
    assert ("test set are left alone" in notes_of(found)) == named


@pytest.mark.parametrize(("read", "held"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_table_with_texts_of_most_photographs_of_another_one_is_not_held_out(tmp_path, read, held):
    names = [f"{number}.png" for number in range(4)]
    write_csv(tmp_path / "boxes.csv", HEADER[:5], [(name, *LARGE) for name in names])
    write_csv(
        tmp_path / "texts.csv", HEADER, [(name, *LARGE, f"{number}T1") for number, name in enumerate(names[:read])]
    )
    save_photographs(tmp_path / "cars", names)
    found = read_labels(tmp_path)
    assert [labels.path.stem for labels in found if labels.held_out] == ["texts"] * held
    shown = resolve(found).photographs
    assert [bool(one.plates[0].text) for one in shown] == [number < read for number in range(4)]


def test_a_table_with_texts_beside_one_with_the_same_photographs_is_held_out(tmp_path):
    write_csv(tmp_path / "cars.csv", HEADER[:5], [(name, *LARGE) for name in PLATES])
    write_csv(tmp_path / "read.csv", HEADER, [("0.png", *LARGE, "1T1")])
    write_csv(tmp_path / "plates.csv", ("img_id", "text"), [("0.png", "7T77")])
    for name in ("cars", "plates"):
        save_photographs(tmp_path / name)
    found = {labels.path.stem: labels for labels in read_labels(tmp_path)}
    assert [name for name, labels in found.items() if labels.held_out] == ["read"]
    assert found["read"].pictures[0] == found["cars"].pictures[0] == tmp_path / "cars"
    assert found["plates"].pictures[0] == tmp_path / "plates"


def test_pictures_of_a_test_set_are_never_looked_for(tmp_path):
    write_csv(tmp_path / "plates.csv", HEADER, [("0.png", *LARGE, "1T1")])
    for name in ("test", "images"):
        save_picture(tmp_path / name / "0.png", 1)
    (labels,) = read_labels(tmp_path)
    assert labels.pictures == (tmp_path / "images", tmp_path)


def test_validation_and_no_plates_are_read_too(tmp_path):
    WRITERS["table"](tmp_path / "data")
    write_csv(tmp_path / "more.csv", HEADER, [("8.png", *LARGE, "1T1")])
    save_picture(tmp_path / "empty" / "street" / "9.jpg", 1)
    options = LabelOptions(validation=tmp_path / "more.csv", no_plates=tmp_path / "empty")
    found = read_labels(tmp_path / "data", options)
    assert [labels.held_out for labels in found] == [False, True, True, False]
    assert rows_of(found[-1:]) == [("9.jpg", None, None)] and found[-1].names == ["street/9.jpg"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DatasetError, match="no pictures"):
        read_labels(tmp_path / "data", LabelOptions(no_plates=tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("name", "held", "test"),
    [
        ("val", True, False), ("validation.v2", True, False), ("instances_val2017", True, False),
        ("held-out", True, False), ("valuesOfPlates", False, False), ("dev", True, False), ("myDevSet", True, False),
        ("device", False, False), ("train", False, False), ("test_overlap", False, True), ("latest", False, False),
    ],
)  # fmt: skip
def test_names_say_what_is_held_out(name, held, test):
    assert (names_validation(name), names_test(name)) == (held, test)


# Tables


def read_table(folder, columns, rows, **options):
    (labels,) = read_labels(write_csv(folder / "plates.csv", columns, rows), LabelOptions(**options))
    return labels


@pytest.mark.parametrize(
    ("columns", "values", "form", "box"),
    [
        (("filename", "X1", "Y1", "X2", "Y2", "Plate"), (40, 60, 130, 90), "yxyx", LARGE),
        (("image", "left", "top", "right", "bottom", "plate_text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("Image Path", "x min", "y-min", "X_Max", "y_max", "License Plate"), (40, 60, 130, 90), "yxyx", LARGE),
        (("picture", "cx", "cy", "width", "height", "ocr"), (85, 75, 90, 30), "center_xywh", (85, 75, 90, 30)),
        (("file", "left", "top", "width", "height", "text"), (40, 60, 90, 30), "xywh", (40, 60, 90, 30)),
        (("file", "x", "y", "w", "h", "text"), (40, 60, 90, 30), ("xywh", "center_xywh"), (40, 60, 90, 30)),
        (("ImageID", "XMin", "XMax", "YMin", "YMax", "text"), (40, 130, 60, 90), "yxyx", LARGE),
        (("file", "x0", "y0", "x1", "y1", "text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "xmin (px)", "ymin (px)", "xmax (px)", "ymax (px)", "text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "plate_xmin", "plate_ymin", "plate_xmax", "plate_ymax", "plate"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "box_left", "box_top", "box_width", "box_height", "ocr"), (40, 60, 90, 30), "xywh", (40, 60, 90, 30)),
        (("", "file", "xtl", "ytl", "xbr", "ybr", "text"), (0, "0.png", 40, 60, 130, 90), "yxyx", LARGE),
        (("bild", "links", "oben", "rechts", "unten", "Kennzeichen"), (40, 60, 130, 90), "yxyx", LARGE),
        (("bildname", "links", "oben", "breite", "hoehe", "kennzeichen"), (40, 60, 90, 30), "xywh", (40, 60, 90, 30)),
        (("fichier", "gauche", "haut", "droite", "bas", "text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("файл", "лево", "верх", "ширина", "высота", "номер"), (40, 60, 90, 30), "xywh", (40, 60, 90, 30)),
        (("文件", "左", "上", "右", "下", "车牌"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "x_top_left", "y_top_left", "x_bottom_right", "y_bottom_right", "text"),
         (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "left_x", "top_y", "right_x", "bottom_y", "text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "tl_x", "tl_y", "br_x", "br_y", "text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "p1_x", "p1_y", "p2_x", "p2_y", "text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "x", "y", "x2", "y2", "text"), (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "x1", "y1", "w", "h", "text"), (40, 60, 90, 30), "xywh", (40, 60, 90, 30)),
        (("file", "license plate xmin", "license plate ymin", "license plate xmax", "license plate ymax", "plate"),
         (40, 60, 130, 90), "yxyx", LARGE),
        (("file", "center_x", "center_y", "box_width", "box_height", "ocr"),
         (85, 75, 90, 30), "center_xywh", (85, 75, 90, 30)),
        (("file", "bbox_x_c", "bbox_y_c", "bbox_w", "bbox_h", "ocr"),
         (85, 75, 90, 30), "center_xywh", (85, 75, 90, 30)),
    ],
)  # fmt: skip
def test_columns_are_known_by_their_names(columns, values, form, box, tmp_path):
    row = (*([] if "0.png" in values else ["0.png"]), *values, "1T1")
    labels = read_table(tmp_path, columns, [row])
    assert [(plate.box, plate.row.text) for plate in labels.plates] == [(box, "1T1")]
    assert not any("class" in note for note in labels.notes)
    assert (labels.box_form or labels.box_candidates) == form


@pytest.mark.parametrize("first", [0, 1])
def test_of_four_corners_the_box_around_them_is_taken(first, tmp_path):
    columns = ("file", *(f"{axis}{number + first}" for number in range(4) for axis in "xy"), "text")
    labels = read_table(tmp_path, columns, [("0.png", 42, 60, 130, 61, 128, 90, 40, 88, "1T1")])
    assert labels.box_form == "xyxy" and labels.plates[0].box == (40, 60, 130, 90)


def test_names_before_and_behind_are_those_of_all_four_columns(tmp_path):
    # Width and height are the photograph's, those of the box are called otherwise.
    columns = ("file", "width", "height", "plate_x", "plate_y", "plate_width", "plate_height", "text")
    labels = read_table(tmp_path, columns, [("0.png", 200, 160, 40, 60, 90, 30, "1T1")])
    assert labels.plates[0].box == (40, 60, 90, 30) and labels.sizes == {"0.png": (160, 200)}
    with pytest.raises(UserError, match="no columns with boxes or texts"):
        read_table(tmp_path, ("file", "plate_x1", "box_y1", "plate_x2", "lp_y2"), [("0.png", 40, 60, 130, 90)])


@pytest.mark.parametrize("corner", [("x", "y"), ("left", "top"), ("x_min", "y_min")])
@pytest.mark.parametrize("sides", [("w", "h"), ("box_width", "box_height"), ("bbox_w", "bbox_h")])
@pytest.mark.parametrize("before", [True, False])
def test_width_and_height_beside_sides_of_another_name_are_the_photographs(corner, sides, before, tmp_path):
    ours = (*corner, *sides)
    columns, row = (ours, ("width", "height")), ((40, 60, 90, 30), (200, 160))
    columns, row = [[*one[1], *one[0]] if before else [*one[0], *one[1]] for one in (columns, row)]
    labels = read_table(tmp_path, ("file", *columns, "text"), [("0.png", *row, "1T1")])
    assert labels.plates[0].box == (40, 60, 90, 30) and labels.sizes == {"0.png": (160, 200)}


@pytest.mark.parametrize(
    ("columns", "boxes", "said"),
    [
        (("a", "b", "c", "d"), [LARGE, SMALL], "a, b, c, d"),
        (("id", "a", "b", "c", "d"), [(1, *LARGE), (2, *SMALL)], "a, b, c, d"),
        (("polygon",), [("[[40, 60], [130, 60], [130, 90]]",), ("[[1, 2], [3, 4], [5.5, 6]]",)], "polygon"),
        (("where",), [("{'x': 1, 'y': 2}",), ("{'x': 3, 'y': 4}",)], "where"),
        # None of these is a box.
        (("year", "width", "height", "confidence"), [(2020, 90, 30, 0.9), (2021, 91, 30, 0.8)], None),
        (("a", "b", "c"), [(1, 2, 3), (4, 5, 6)], None),
        (("a", "b", "c", "country"), [(1, 2, 3, "GB"), (4, 5, 6, "FR")], None),
    ],
)
def test_numbers_that_may_be_boxes_are_named_and_not_left_aside_in_silence(columns, boxes, said, tmp_path):
    rows = [(f"{number}.png", *box, f"{number}T1") for number, box in enumerate(boxes)]
    labels = read_table(tmp_path, ("file", *columns, "text"), rows)
    assert labels.holds_crops and len(labels.plates) == 2
    assert [(one.kind, one.value) for one in labels.problems] == [("numbers that may be boxes", said)] * bool(said)


@pytest.mark.parametrize(
    ("column", "texts", "taken", "said"),
    [
        ("plaque", ("AB12", "CD34"), True, "the texts are taken from the column plaque"),
        ("matrícula del coche", ("AB12", "CD34"), True, "the texts are taken from the column matrícula del coche"),
        ("what", ("AB12", "CD34"), False, "what (such as 'AB12'); if one of them is the plate's, say --text-column"),
        ("plate_area", ("1200", "1340"), False, ""),
        ("plate_type", ("new", "old"), False, ""),
        ("plate_picture", ("p1.png", "p2.png"), False, ""),
    ],
)
def test_a_column_that_looks_like_texts_is_taken_or_said(column, texts, taken, said, tmp_path):
    rows = [("0.png", *LARGE, texts[0]), ("1.png", *LARGE, texts[1])]
    labels = read_table(tmp_path, ("img_id", *HEADER[1:5], column), rows)
    assert labels.has_texts == taken and (said in notes_of([labels]) if said else not labels.notes)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (-1, -1, -1, -1), ("0.0",) * 4, ("NaN",) * 4, ("", "", "", "")])
@pytest.mark.parametrize("text", ["", "nan", "-", "no plate"])
def test_no_box_and_no_text_are_a_photograph_without_a_plate(box, text, tmp_path):
    labels = read_table(tmp_path, HEADER, [("0.png", *LARGE, "1T1"), ("1.png", *box, text)])
    assert rows_of([labels]) == [("0.png", LARGE, "1T1"), ("1.png", None, None)] and not labels.incomplete
    numbers = box[0] in (0, -1, "0.0")
    assert [(one.kind, one.harmless) for one in labels.problems] == [("box of nothing", True)] * numbers


def test_an_empty_list_is_no_box(tmp_path):
    labels = read_table(
        tmp_path, ("image", "bbox", "text"), [("0.png", "[40, 60, 130, 90]", "1T1"), ("1.png", "[]", "")]
    )
    assert [plate.box for plate in labels.plates] == [(40, 60, 130, 90), None] and not labels.problems


def test_an_export_of_label_studio_that_has_no_row_a_plate_is_named(tmp_path):
    columns = ("image", "id", "bbox", "transcription", "annotator", "annotation_id", "lead_time")
    row = ("0.png", 1, '[{"x": 20, "y": 30, "width": 10, "height": 5}]', "1T1", 1, 1, 3.2)
    write_csv(tmp_path / "project-1.csv", columns, [row])
    with pytest.raises(
        UserError, match=f"{tmp_path}: no labels that are known; found project-1.csv.* export it as JSON"
    ):
        read_labels(tmp_path)


@pytest.mark.parametrize(
    "cell", ["[40, 60, 130, 90]", "40 60 130 90", "(40.0;60;130;90)", "40,60,130,9e1", "((40, 60), (130, 90))"]
)
def test_a_box_may_stand_in_one_cell(cell, tmp_path):
    labels = read_table(tmp_path, ("image", "bbox", "text"), [("0.png", cell, "1T1"), ("1.png", "1 2 3", "1T1")])
    assert labels.plates[0].box == (40, 60, 130, 90) and "xyxy" in labels.box_candidates
    assert [one.kind for one in labels.problems] == ["non-numeric box"]


@pytest.mark.parametrize(
    ("boxes", "form", "box"),
    [("xyxy", "xyxy", (40, 60, 130, 90)), ("rel_yxyx", "rel_yxyx", LARGE), ("rel_xyxy", "rel_xyxy", (40, 60, 130, 90))],
)
def test_the_form_that_is_said_is_that_of_the_box(boxes, form, box, tmp_path):
    labels = read_table(tmp_path, HEADER, [("0.png", *LARGE, "1T1")], boxes=boxes)
    assert (labels.box_form, labels.plates[0].box) == (form, box)


def test_columns_are_taken_by_the_names_that_are_given(tmp_path):
    columns = ("Photo", "right", "low", "Left One", "up", "says", "text")
    options = {"picture_column": "photo", "text_column": "Says", "boxes": "xyxy"}
    labels = read_table(tmp_path, columns, [("0.png", 130, 90, 40, 60, "1T1", "x")], **options,
                        box_columns=("left one", "up", "right", "low"))  # fmt: skip
    assert (labels.box_form, labels.plates[0].box, labels.plates[0].row.text) == ("xyxy", (40, 60, 130, 90), "1T1")
    in_folder = read_labels(tmp_path, LabelOptions(**options, box_columns=("left one", "up", "right", "low")))
    assert rows_of(in_folder) == rows_of([labels])


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        (("a", *HEADER[1:]), {}, "no column with the pictures' names; expected one of img_id"),
        (("img_id", "file", *HEADER[1:]), {}, "both img_id and file may be meant; say which with --picture-column"),
        ((*HEADER, "plate"), {}, "both text and plate may be meant; say which with --text-column"),
        (HEADER, {"text_column": "says"}, "no column 'says' for --text-column; found img_id, ymin"),
        (HEADER, {"box_columns": HEADER[1:5]}, "in what order"),
        (("img_id", "a"), {}, "no columns with boxes or texts"),
        (("img_id", "a", "b"), {"boxes": "xywh"}, "no columns with boxes of the form xywh"),
    ],
)
def test_columns_that_are_missing_or_unclear_are_said(columns, options, words, tmp_path):
    with pytest.raises(UserError) as error:
        read_table(tmp_path, columns, [("0", *"1234567")[: len(columns)]], **options)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_column_that_no_table_has_is_said(tmp_path):
    WRITERS["table"](tmp_path)
    with pytest.raises(UserError, match="no table has the column 'says'"):
        read_labels(tmp_path, LabelOptions(text_column="says"))


@pytest.mark.parametrize("number", ["id", "name"])
def test_names_like_pictures_count_more_than_a_column_of_numbers(number, tmp_path):
    labels = read_table(tmp_path, (number, "where", *HEADER[1:]), [(7, "0.png", *LARGE, "1T1")])
    assert labels.names == ["0.png"]
    assert read_table(tmp_path, (number, *HEADER[1:]), [(7, *LARGE, "1T1")]).names == ["7"]


def test_the_pictures_names_tell_their_column(tmp_path):
    columns = ("image_id", "file_name", *HEADER[1:])
    labels = read_table(tmp_path, columns, [(1, "0.png", *LARGE, "1T1")])
    assert labels.names == ["0.png"] and "the pictures' names are taken from the column file_name" in labels.notes[0]
    unknown = read_table(tmp_path, ("what", *HEADER[1:]), [("0.png", *LARGE, "1T1")])
    assert unknown.names == ["0.png"]


@pytest.mark.parametrize(("label", "text"), [(("AB12", "CD34"), "AB12"), (("plate", "plate"), None)])
def test_a_column_label_holds_texts_or_classes(label, text, tmp_path):
    rows = [("0.png", *LARGE, label[0]), ("1.png", *LARGE, label[1])]
    labels = read_table(tmp_path, (*HEADER[:5], "label"), rows)
    assert labels.plates[0].row.text == text and len(labels.plates) == 2


def test_of_several_classes_the_plates_are_taken(tmp_path):
    rows = [("0.png", "car", 0, 0, 150, 190), ("0.png", "plate", *LARGE), ("1.png", "car", 0, 0, 150, 190)]
    labels = read_table(tmp_path, ("filename", "class", *HEADER[1:5]), rows)
    assert rows_of([labels]) == [("0.png", LARGE, None), ("1.png", None, None)] and "2 x car" in labels.notes[0]
    unnamed = read_table(
        tmp_path, ("filename", "class", *HEADER[1:5]), [("0.png", "tag", *LARGE), ("1.png", *[""] * 5)]
    )
    assert rows_of([unnamed]) == [("0.png", LARGE, None), ("1.png", None, None)]


def test_a_column_says_what_is_held_out(tmp_path):
    rows = [(f"{n}.png", *LARGE, "1T1", part) for n, part in enumerate(["train", "Valid", "test", "TRAIN"])]
    found = read_labels(write_csv(tmp_path / "plates.csv", (*HEADER, "split"), rows))
    assert [name for name, _, _ in rows_of(found, held=False)] == ["0.png", "3.png"]
    assert [name for name, _, _ in rows_of(found, held=True)] == ["1.png"]
    assert "1 row of its test set" in notes_of(found)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (("", *LARGE, "1"), "empty name"),
        (("n.png", "60", "40", "90", "wide", "1"), "non-numeric box"),
        (("n.png", "60", "40", "90", "inf", "1"), "non-numeric box"),
        (("n.png", "60", "40", "", "130", "1"), "non-numeric box"),
        (("n.png", "", "", "", "", "1"), "text without a box"),
        (("n.png", "", "", "", "", "unknown"), "text without a box"),
        (("n.png", *LARGE, "1", "2"), "too many values"),
    ],
)
def test_rows_that_cannot_be_used_are_named(row, kind, tmp_path):
    labels = read_table(tmp_path, HEADER, [("0.png", *LARGE, "1T1"), row, ("1.png", *LARGE, "")])
    assert kinds_of([labels]) == [("plates.csv", 3, kind)] and labels.incomplete == ({row[0]} if row[0] else set())
    assert rows_of([labels]) == [("0.png", LARGE, "1T1"), ("1.png", LARGE, None)]


@pytest.mark.parametrize("written", ['="{}"', "'{}", '"{}"', "{} "])
def test_what_makes_a_spreadsheet_keep_a_number_as_a_text_is_no_part_of_a_box(written, tmp_path):
    labels = read_table(tmp_path, HEADER, [("0.png", *map(written.format, LARGE), "1T1")])
    assert rows_of([labels]) == [("0.png", LARGE, "1T1")] and not labels.problems


def test_a_crop_without_a_text_is_named(tmp_path):
    labels = read_table(tmp_path, ("image_path", "plate_text"), [("a.png", "1T1"), ("b.png", "")])
    assert labels.holds_crops and len(labels.plates) == 1 and kinds_of([labels]) == [("plates.csv", 3, "empty text")]
    with pytest.raises(DatasetError, match="expected the columns image_path and plate_text"):
        read_table(tmp_path, ("img_id", "text"), [("a.png", "1T1")], form="fast_plate_ocr")


# COCO


def coco(annotations, images=None, **more):
    images = [{"id": 1, "file_name": "0.png"}, {"id": 2, "file_name": "1.png"}] if images is None else images
    return {"images": images, "annotations": annotations, **more}


def annotation(image=1, bbox=(40, 60, 90, 30), text=None, **more):
    return {"image_id": image, "bbox": bbox, **({"attributes": {"text": text}} if text else {}), **more}


def read_coco(folder, content, **options):
    (labels,) = read_labels(write_json(folder / "labels.json", content), LabelOptions(**options))
    return labels


@pytest.mark.parametrize(
    ("ids", "places"), [((1, 2), ("1", "2")), (("1", "2"), (1, 2)), (("a", "b"), ("a", "b")), ((1, 2), (1.0, "2"))]
)
def test_ids_are_the_same_as_a_number_and_as_a_text(ids, places, tmp_path):
    images = [{"id": one, "file_name": f"{number}.png"} for number, one in enumerate(ids)]
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "plate"}]
    annotations = [annotation(place, text="1T0", category_id="2") for place in places]
    annotations.append(annotation(places[0], (0, 0, 9, 9), category_id=1))
    labels = read_coco(tmp_path, coco(annotations, images, categories=categories))
    assert [name for name, _, _ in rows_of([labels])] == ["0.png", "1.png"] and not labels.problems
    assert all(plate.box for plate in labels.plates)


def test_ids_that_differ_as_numbers_and_texts_stay_apart(tmp_path):
    images = [{"id": 1, "file_name": "0.png"}, {"id": "1", "file_name": "1.png"}]
    labels = read_coco(tmp_path, coco([annotation(1, text="1T0"), annotation("1", text="2T0")], images))
    assert [(name, text) for name, _, text in rows_of([labels])] == [("0.png", "1T0"), ("1.png", "2T0")]


@pytest.mark.parametrize(
    ("written", "box"),
    [
        ({"bbox": ["40", "60", "90.0", "30"]}, (40, 60, 90, 30)),
        ({"bbox": [], "segmentation": [[40, 60, 130, 60, 130, 90, 40, 90]]}, (40, 60, 90, 30)),
        ({"bbox": None, "segmentation": [[40, 60, 60, 60, 60, 90], [100, 70, 130, 70, 130, 90]]}, (40, 60, 90, 30)),
        ({"bbox": [40, 60, 90, 30], "segmentation": [[1, 2, 3, 4, 5, 6]]}, (40, 60, 90, 30)),
        ({"bbox": None, "segmentation": {"counts": "abc", "size": [160, 200]}}, None),
        ({"bbox": None, "segmentation": [[40, 60, 130]]}, None),
        ({"bbox": None, "segmentation": []}, None),
        ({"bbox": [1, 2, 3], "segmentation": [[1, 2, 3, 4, 5, 6]]}, None),
    ],
)
def test_a_box_may_be_written_as_texts_or_as_polygons(written, box, tmp_path):
    labels = read_coco(tmp_path, coco([{"image_id": 1, **written}, annotation(2)]))
    assert [plate.box for plate in labels.plates] == [*([box] if box else []), (40, 60, 90, 30)]
    assert [one.kind for one in labels.problems] == ["non-numeric box"] * (not box)


@pytest.mark.parametrize(
    ("key", "more"),
    [("caption", {"caption": "1T0"}), ("a.b.c", {"a": {"b": {"c": "1T0"}}}), ("number", {"number": 1234})],
)
def test_a_text_is_found_where_it_is_said_to_be(key, more, tmp_path):
    labels = read_coco(tmp_path, coco([annotation(text="wrong", **more), annotation(2)]), text_key=key)
    assert [plate.row.text for plate in labels.plates] == ["1234" if key == "number" else "1T0", None]
    assert not labels.problems


@pytest.mark.parametrize(
    ("key", "more", "said"),
    [
        ("attributes.number", {"attributes": {"number": "1T1", "occluded": False}}, True),
        ("caption", {"caption": "1T1"}, True),
        ("attributes.text", {"attributes": {"text": "1T1", "colour": "white"}}, False),
    ],
)
def test_attributes_that_may_be_the_texts_are_named_where_there_are_none(key, more, said, tmp_path):
    WRITERS["coco"](tmp_path)
    path = tmp_path / "annotations" / "instances_train.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"] = [{**one, "attributes": {}} | more for one in content["annotations"]]
    write_json(path, content)
    (labels,) = read_labels(path)
    assert labels.has_texts is not said
    assert any(f"{key} (such as '1T1')" in note for note in labels.notes) is said
    (labels,) = read_labels(path, LabelOptions(text_key=key))
    assert labels.has_texts


def test_attributes_of_cvat_are_named_where_there_is_no_text(tmp_path):
    shape = '<box label="plate" xtl="40" ytl="60" xbr="130" ybr="90"><attribute name="{}">1T1</attribute></box>'
    for name, said in (("number", True), ("Plate Number", False)):
        image = f'<image id="0" name="0.png" width="200" height="160">{shape.format(name)}</image>'
        (labels,) = read_labels(write_text(tmp_path / "a.xml", f"<annotations>{image}</annotations>"))
        assert any("number (such as '1T1')" in note for note in labels.notes) is said is not labels.has_texts


def test_a_text_is_found_under_another_name_if_it_is_the_only_one(tmp_path):
    labels = read_coco(tmp_path, coco([annotation(attributes={"Plate Number": "1T0", "colour": "red"})]))
    assert labels.plates[0].row.text == "1T0" and "taken from attributes.Plate Number" in labels.notes[0]
    with pytest.raises(UserError, match="the texts may be at attributes.plate, text; say with --text-key"):
        read_coco(tmp_path, coco([annotation(attributes={"plate": "1T0"}, text="x") | {"text": "x"}]))


@pytest.mark.parametrize(
    ("faulty", "kind"),
    [
        ("text", "unknown image"),
        ({}, "unknown image"),
        (annotation([1]), "unknown image"),
        (annotation(99), "unknown image"),
        (annotation(bbox=None), "non-numeric box"),
        (annotation(bbox=[1, 2, 3]), "non-numeric box"),
        (annotation(bbox=[1, 2, 3, "wide"]), "non-numeric box"),
        (annotation(bbox=[1, 2, 3, float("nan")]), "non-numeric box"),
        (annotation(bbox=[1, 2, 3, 10**400]), "non-numeric box"),
        (annotation(iscrowd=1), "crowd"),
        (annotation(text=[1]), "no text"),
        (annotation(text=True), "no text"),
    ],
)
def test_annotations_that_cannot_be_used_are_named(faulty, kind, tmp_path):
    labels = read_coco(tmp_path, coco([annotation(text="1T0"), faulty, annotation(2, text="2T0")]))
    assert kinds_of([labels]) == [("labels.json", 2, kind)]
    assert [row[2] for row in rows_of([labels])] == (["1T0", None, "2T0"] if kind == "no text" else ["1T0", "2T0"])


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ({"id": 7}, "faulty image"),
        ([], "faulty image"),
        ({"id": 7, "file_name": " "}, "faulty image"),
        ({"id": 1, "file_name": "5.png"}, "duplicate image id"),
    ],
)
def test_images_that_cannot_be_used_are_named(image, kind, tmp_path):
    labels = read_coco(tmp_path, coco([annotation(text="1T0")], [{"id": 1, "file_name": "0.png"}, image]))
    assert labels.names == ["0.png"] and kinds_of([labels]) == [("labels.json", 2, kind)]


def test_of_several_categories_those_of_plates_are_taken_or_have_to_be_named(tmp_path):
    rows = [annotation(category_id=1, text="1T0"), annotation(2, category_id=2), annotation(2, category_id=[3])]
    names = [{"id": 1, "name": "Licence-Plate"}, {"id": 2, "name": "car"}, {"id": 3, "name": "unused"}]
    labels = read_coco(tmp_path, coco(rows[:2], categories=names))
    assert [row[0] for row in rows_of([labels]) if row[1]] == ["0.png"] and "1 x car" in labels.notes[0]
    assert [row[0] for row in rows_of([labels]) if not row[1]] == ["1.png"]
    assert read_coco(tmp_path, coco(rows, categories=names), category="CAR").plates[0].row.img_id == "1.png"
    with pytest.raises(UserError, match="no category 'wheel'; found Licence-Plate, car, unused"):
        read_coco(tmp_path, coco(rows, categories=names), category="wheel")
    with pytest.raises(UserError, match=r"several categories \(category 1, category 2\); say with --category"):
        read_coco(tmp_path, coco(rows[:2]))


@pytest.mark.parametrize("content", [[], {}, {"images": []}, {"images": {}, "annotations": []}])
def test_what_is_no_coco_file_is_refused(content, tmp_path):
    with pytest.raises(DatasetError, match=r"labels.json: expected a COCO file"):
        read_coco(tmp_path, content, form="coco")


def test_a_set_of_roboflow_has_a_file_in_each_folder(tmp_path):
    for part in ("train", "valid", "test"):
        name = f"{part}_jpg.rf.0123.jpg"
        write_json(
            tmp_path / part / "_annotations.coco.json",
            coco([annotation(bbox=[1, 2, 3, 4])], [{"id": 1, "file_name": name}]),
        )
        save_picture(tmp_path / part / name, 1)
    found = read_labels(tmp_path)
    assert [(labels.names, labels.held_out) for labels in found] == [
        (["train_jpg.rf.0123.jpg"], False), (["valid_jpg.rf.0123.jpg"], True),
    ]  # fmt: skip
    assert [labels.pictures for labels in found] == [(tmp_path / "train",), (tmp_path / "valid",)]


# YOLO


def test_a_picture_with_an_empty_text_file_or_none_shows_no_plate(tmp_path):
    write_yolo(tmp_path)
    write_text(tmp_path / "labels/train/0.txt", " \n")
    (tmp_path / "labels/train/1.txt").unlink()
    found = read_labels(tmp_path)
    assert [row[0] for row in rows_of(found) if row[1] is None] == ["0.png", "1.png", "3.png"]
    assert "1 picture without a text file (1.png and so on)" in notes_of(found)


@pytest.mark.parametrize("layout", ["roboflow", "list", "folders", "beside", "label_studio"])
def test_pictures_and_text_files_lie_in_several_ways(layout, tmp_path):
    where = {
        "roboflow": [("train/images", "train/labels"), ("valid/images", "valid/labels")],
        "list": [("pics/images", "pics/labels")] * 2,
        "folders": [("images/train", "labels/train"), ("images/val", "labels/val")],
        "beside": [("train", "train"), ("val", "val")],
        "label_studio": [("images", "labels")] * 2,
    }[layout]
    for (images, labels), name in zip(where, ("0.png", "5.png"), strict=True):
        save_picture(tmp_path / images / name, 1)
        write_text(tmp_path / labels / f"{name[0]}.txt", yolo_line(LARGE))
    if layout == "roboflow":
        write_text(
            tmp_path / "data.yaml", "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [p]"
        )
    elif layout == "list":
        write_text(tmp_path / "data.yaml", "path: /elsewhere\ntrain: t.txt\nval: [v.txt]\nnames:\n  0: plate")
        write_text(tmp_path / "t.txt", "pics/images/0.png\n")
        write_text(tmp_path / "v.txt", "./pics/images/5.png\n")
    elif layout == "label_studio":
        write_text(tmp_path / "classes.txt", "plate\n")
        write_json(tmp_path / "notes.json", {"categories": []})
    found = read_labels(tmp_path)
    assert {labels.box_form for labels in found} == {"rel_center_xywh"} and not kinds_of(found)
    assert [name for name, _, _ in rows_of(found)] == ["0.png", "5.png"]
    assert [box for _, box, _ in rows_of(found)] == [pytest.approx((0.425, 0.46875, 0.45, 0.1875))] * 2
    if layout != "label_studio":
        assert [name for name, _, _ in rows_of(found, held=True)] == ["5.png"]
    assert all((labels.pictures[0] / name).is_file() for labels in found for name in labels.names)


def test_polygons_of_yolo_become_boxes_and_faulty_lines_are_named(tmp_path):
    write_yolo(tmp_path)
    polygon = "0 0.2 0.375 0.65 0.4 0.6 0.5625 0.25 0.5"
    faulty = ("0 0.1 0.2", "0 a 0.1 0.2 0.2", "0 0.1 0.1 0.2 0.2 0.9", "x 0.1 0.1 0.2 0.2")
    write_text(tmp_path / "labels/train/0.txt", "\n".join([polygon, *faulty]))
    write_text(tmp_path / "labels/train/more.txt", yolo_line(LARGE))
    (tmp_path / "labels/val/4.txt").write_bytes(b"\xff\xfe\xfa")
    found = read_labels(tmp_path)
    assert rows_of(found)[0][1] == pytest.approx((0.425, 0.46875, 0.45, 0.1875))
    assert kinds_of(found) == [
        *(("train/0.txt", row, "non-numeric box") for row in (2, 3, 4, 5)),
        ("train/more.txt", None, "labels without a picture"),
        ("val/4.txt", None, "unreadable labels"),
    ]
    assert "4.png" not in [name for name, _, _ in rows_of(found)]


@pytest.mark.parametrize("root", ["/content/plates", "C:\\Users\\me\\plates", "/kaggle/input/any thing/1"])
@pytest.mark.parametrize("lists", [False, True])
def test_paths_of_another_machine_in_a_data_yaml_are_found_by_their_end(root, lists, tmp_path):
    write_yolo(tmp_path)
    expected = rows_of(read_labels(tmp_path))
    between = "\\" if "\\" in root else "/"
    roots = {part: between.join([root, "images", part]) for part in ("train", "val")}
    if lists:
        for part, place in roots.items():
            names = sorted(path.name for path in (tmp_path / "images" / part).iterdir())
            write_text(tmp_path / f"{part}.txt", "".join(f"{place}{between}{name}\n" for name in names))
        roots = {part: f"{part}.txt" for part in roots}
    write_text(tmp_path / "data.yaml", f"train: '{roots['train']}'\nval: '{roots['val']}'\nnames: [plate]\n")
    assert rows_of(read_labels(tmp_path)) == expected


def test_a_part_of_another_machine_that_is_not_there_is_not_taken_for_all_pictures(tmp_path):
    write_yolo(tmp_path)
    write_text(tmp_path / "data.yaml", "train: /content/images\nval: /content/valid/images\nnames: [plate]\n")
    with pytest.raises(DatasetError, match="val: /content/valid/images: no such folder"):
        read_labels(tmp_path)


def test_a_data_yaml_that_cannot_be_read_is_named_where_its_labels_are_not_found(tmp_path):
    write_yolo(tmp_path)
    write_text(tmp_path / "data.yaml", "train: images/train\n\tval: images/val\nnames: [plate]\n")
    with pytest.raises(DatasetError, match="no text file for any picture.*unreadable label file: 'data.yaml'"):
        read_labels(tmp_path)


def test_text_files_may_have_their_ending_in_capitals(tmp_path):
    write_yolo(tmp_path)
    expected = rows_of(read_labels(tmp_path))
    path = tmp_path / "labels/train/0.txt"
    path.rename(path.with_suffix(".TXT"))
    assert rows_of(read_labels(tmp_path)) == expected


@pytest.mark.parametrize("name", ["Nummernschild", "номерной знак", "车牌", "placa_do_carro", "plaka", "번호판"])
def test_classes_are_called_plates_in_other_languages(name, tmp_path):
    rows = [("0.png", name, *LARGE), ("0.png", "auto", 0, 0, 150, 190)]
    labels = read_table(tmp_path, ("filename", "class", *HEADER[1:5]), rows)
    assert rows_of([labels]) == [("0.png", LARGE, None)]


CORNERS = ("0.2 0.38", "0.65 0.375", "0.65 0.56", "0.21 0.5625")


@pytest.mark.parametrize(
    "behind",
    [
        *(" ".join(CORNERS), " ".join(f"{one} 2" for one in CORNERS), " ".join(f"{one} 1" for one in CORNERS[:3])),
        *("0 0 " * 4, "-1 -1 " * 4, "0 0 0 " * 4, f"{CORNERS[0]} 2 0 0 0 {CORNERS[2]} 2 0 0 0"),
    ],
)
def test_corners_behind_a_box_of_yolo_leave_the_box_as_it_is(behind, tmp_path):
    write_yolo(tmp_path)
    line = yolo_line(LARGE).strip()
    write_text(tmp_path / "labels/train/0.txt", f"{line} {behind}\n")
    assert rows_of(read_labels(tmp_path))[0][1] == pytest.approx((0.425, 0.46875, 0.45, 0.1875))


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        (".45 .5 .55 .5 .55 .55 .45 .55", (0.5, 0.525, 0.1, 0.05)),
        (".05 .05 .1 .05 .1 .1 .05 .1", (0.075, 0.075, 0.05, 0.05)),
        (".45 .5 .5 .49 .55 .5 .55 .55 .45 .55", (0.5, 0.52, 0.1, 0.06)),
        (".1 .1 .15 .09 .2 .1 .2 .15 .15 .16 .1 .15", (0.15, 0.125, 0.1, 0.07)),
        (".2 .2 .8 .25 .8 .5 .2 .45 .2 .2", (0.5, 0.35, 0.6, 0.3)),
    ],
)
def test_polygons_are_no_boxes_with_corners(corners, box, tmp_path):
    write_yolo(tmp_path)
    write_text(tmp_path / "labels/train/0.txt", f"0 {corners}\n")
    assert rows_of(read_labels(tmp_path))[0][1] == pytest.approx(box)


def test_boxes_of_characters_are_refused(tmp_path):
    write_yolo(tmp_path)
    write_text(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnames: ['0', '1', A, B]\n")
    write_text(tmp_path / "labels/train/0.txt", "".join(yolo_line(SMALL, label) for label in range(4)))
    with pytest.raises(UserError, match="around single characters"):
        read_labels(tmp_path)
    write_text(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnames: ['0', '1', A, plate]\n")
    found = read_labels(tmp_path)
    assert [box for name, box, _ in rows_of(found) if name == "0.png"] == [pytest.approx((0.2, 0.1, 0.2, 0.075))]


def test_val_that_is_train_holds_nothing_out(tmp_path):
    write_yolo(tmp_path)
    write_text(tmp_path / "data.yaml", "train: images/train\nval: images/train\nnames: [plate]\n")
    found = read_labels(tmp_path)
    assert [labels.held_out for labels in found] == [False] and "train and val are the same pictures" in notes_of(found)


@pytest.mark.parametrize(
    ("images", "labels"),
    [("Images", "Labels"), ("images", "label"), ("pictures", "labels_yolo"), ("images/train", "Labels/train")],
)
def test_the_folders_of_yolo_may_be_called_otherwise(images, labels, tmp_path):
    save_picture(tmp_path / images / "0.png", 1)
    write_text(tmp_path / labels / "0.txt", yolo_line(LARGE))
    found = read_labels(tmp_path)
    assert len(rows_of(found)) == 1 and find_places(found)[0].paths == {"0.png": tmp_path / images / "0.png"}


@pytest.mark.parametrize("where", ["obj.names", "data/obj.names", "data/classes.txt"])
def test_lists_of_classes_of_darknet_and_of_labelimg_are_read(where, tmp_path):
    save_picture(tmp_path / "data/0.png", 1)
    write_text(tmp_path / "data/0.txt", yolo_line(SMALL) + yolo_line(LARGE, 1))
    write_text(tmp_path / where, "car\r\nlicense_plate\r\n")
    found = read_labels(tmp_path)
    assert len(rows_of(found)) == 1 and "boxes of license_plate are taken, not those of others: 1 x car" in notes_of(
        found
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("labels.csv", "0.png,40,60,130,90,1T1\n1.png,40,60,130,90,2T2\n", "write these above it, such as img_id"),
        ("labels.csv", "cars/0.JPG;40;60;130;90\ncars/1.JPG;41;61;131;91\n", "write these above it, such as img_id"),
        ("plates.xlsx", "PK", "save plates.xlsx as CSV"),
        ("plates.ODS", "PK", "save plates.ODS as CSV"),
    ],
)
def test_what_is_nearly_a_table_is_named_with_what_to_do(name, content, said, tmp_path):
    write_text(tmp_path / name, content)
    with pytest.raises(DatasetError) as error:
        read_labels(tmp_path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_columns_called_by_numbers_are_no_row(tmp_path):
    WRITERS["table"](tmp_path)
    write_csv(tmp_path / "submission.csv", ("id", *map(str, range(10))), [("img_1_1", *range(10))])
    assert "as they are no labels: submission.csv (id, 0, 1, 2, 3, 4, 5, 6)." in notes_of(read_labels(tmp_path))


def test_labels_that_are_nowhere_are_said(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="no text file for any picture"):
        read_labels(tmp_path / "data.yaml")
    write_text(tmp_path / "data.yaml", "train: images/nowhere\nnames: [plate]\n")
    with pytest.raises(DatasetError, match="train: images/nowhere: no such folder"):
        read_labels(tmp_path / "data.yaml")


# Pascal VOC


def write_voc(folder, files):
    for name, content in files.items():
        write_text(folder / f"{name}.xml", content)
        save_picture(folder / f"{name}.jpg", 1)


@pytest.mark.parametrize(
    "inside",
    [
        "<text>1T0</text>",
        "<plate_number>1T0</plate_number>",
        "<attributes><attribute><name>color</name><value>red</value></attribute>"
        "<attribute><name>Text</name><value>1T0</value></attribute></attributes>",
    ],
)
def test_texts_of_voc_stand_in_several_places(inside, tmp_path):
    write_voc(tmp_path, {"0": voc_file("0.jpg", [voc_object(LARGE, inside=inside)]), "1": voc_file("1.jpg", [])})
    (labels,) = read_labels(tmp_path)
    assert rows_of([labels]) == [("0.jpg", (40, 60, 130, 90), "1T0"), ("1.jpg", None, None)]
    assert labels.box_form == "xyxy"


def test_names_of_objects_that_are_texts_are_texts(tmp_path):
    names = ("AB1234", "粤B1", "CD5678", "CD5678")
    write_voc(tmp_path, {str(n): voc_file(f"{n}.jpg", [voc_object(LARGE, name)]) for n, name in enumerate(names)})
    found = read_labels(tmp_path)
    assert [text for _, _, text in rows_of(found)] == list(
        names
    ) and "names are taken for the plates' texts" in notes_of(found)


def test_classes_of_plates_are_no_texts(tmp_path):
    write_voc(tmp_path, {str(n): voc_file(f"{n}.jpg", [voc_object(LARGE, f"plate-{n}")]) for n in range(2)})
    assert [text for _, _, text in rows_of(read_labels(tmp_path))] == [None, None]


def test_other_objects_are_left_out_and_unclear_ones_refused(tmp_path):
    objects = [voc_object((0, 0, 150, 190), "car"), voc_object(LARGE, "number plate")]
    write_voc(tmp_path, {"0": voc_file("0.jpg", objects), "1": voc_file("1.jpg", objects[:1])})
    assert [box is None for _, box, _ in rows_of(read_labels(tmp_path))] == [False, True]
    write_voc(tmp_path, {"1": voc_file("1.jpg", [voc_object(SMALL, "bus")]), "0": voc_file("0.jpg", objects[:1])})
    with pytest.raises(UserError, match="say with --category"):
        read_labels(tmp_path)
    assert [box for _, box, _ in rows_of(read_labels(tmp_path, LabelOptions(category="bus"))) if box] == [
        (20, 10, 60, 22)
    ]


@pytest.mark.parametrize(
    ("named", "meant", "unclear"),
    [
        # Renamed together with the pictures, after they were labelled; copied from one file.
        ([("a", "a"), ("b", "a"), ("c", "c"), ("d", "d")], {"a": "a", "b": "b", "c": "c", "d": "d"}, []),
        ([("a", "a"), ("b", "a"), ("c", "a"), ("d", "a")], {"a": "a", "b": "b", "c": "c", "d": "d"}, []),
        ([("a", "a"), ("b", "a"), ("c", "b"), ("d", "d"), ("e", "e")], {"a": "a", "b": "b", "d": "d", "e": "e"}, ["c"]),
        ([("a", "a"), ("b", "e"), ("c", "c"), ("d", "d")], {"a": "a", "c": "c", "d": "d"}, ["b"]),
        # What is as it should be: files that are called otherwise, and two files of one picture.
        ([("a", "b"), ("b", "c"), ("c", "a"), ("d", "d")], {"b": "a", "c": "b", "a": "c", "d": "d"}, []),
        ([("1", "a"), ("2", "b"), ("3", "c")], {"a": "1", "b": "2", "c": "3"}, []),
        ([("a", "a"), ("more", "a"), ("b", "b")], {"a": "a", "b": "b"}, []),
    ],
)
def test_the_name_in_a_file_of_voc_counts_unless_the_file_s_own_name_tells_better(named, meant, unclear, tmp_path):
    for seed, name in enumerate("abcde"):
        save_picture(tmp_path / "images" / f"{name}.png", seed)
    for own, name in named:
        content = voc_file(f"{name}.png", [voc_object(LARGE, inside=f"<text>{own}</text>")])
        write_text(tmp_path / "Annotations" / f"{own}.xml", content)
    found = read_labels(tmp_path)
    texts = {name.removesuffix(".png"): text for name, _, text in rows_of(found)[::-1]}
    assert texts == meant
    problems = [one for labels in found for one in labels.problems]
    assert [one.file for one in problems if not one.harmless] == [f"{name}.xml" for name in unclear]
    assert all(one.kind == ("name written otherwise" if one.harmless else "ambiguous picture") for one in problems)


@pytest.mark.parametrize(
    ("labels", "pictures", "held"),
    [
        ("annotations/train", "images/train", False),
        ("Annotations/val", "JPEGImages/val", True),
        ("annotations/xmls", "images", False),
        ("annots", "images", False),
        ("xml", "pictures", False),
        ("set/valid", "set/valid", True),
    ],
)
def test_pictures_of_voc_are_beside_their_files_or_in_folders_of_the_same_names(labels, pictures, held, tmp_path):
    save_picture(tmp_path / pictures / "a.png", 1)
    write_text(tmp_path / labels / "a.xml", voc_file("a.png", [voc_object(LARGE)]))
    found = read_labels(tmp_path)
    assert [one.held_out for one in found] == [held] and find_places(found)[0].paths == {
        "a.png": tmp_path / pictures / "a.png"
    }


def test_faulty_files_and_objects_of_voc_are_named(tmp_path):
    broken = voc_object(LARGE).replace("<xmin>40</xmin>", "<xmin>left</xmin>")
    files = {"0": voc_file("0.jpg", [broken, voc_object(SMALL)]), "1": "<annotation>", "2": "<html/>"}
    write_voc(tmp_path, {**files, "3": voc_file("old.jpg", [voc_object(LARGE)])})
    found = read_labels(tmp_path)
    assert kinds_of(found) == [
        ("1.xml", None, "unreadable labels"), ("2.xml", None, "unreadable labels"), ("0.xml", 1, "non-numeric box"),
    ]  # fmt: skip
    assert [name for name, _, _ in rows_of(found)] == ["0.jpg", "3.jpg"]  # The file's own name where none is right.


# CVAT


def test_shapes_of_cvat_become_boxes(tmp_path):
    shapes = [
        cvat_box(LARGE, "1T0"),
        cvat_box((60, 40, 80, 60), more='rotation="45"'),
        '<polygon label="plate" points="40.0,60.5;130,60;129.0,90"><attribute name="text">2T0</attribute></polygon>',
        '<mask label="plate" left="40" top="60" width="90" height="30" rle="1"/>',
        '<polyline label="plate" points="1,2;3,4"/>',
        cvat_box(SMALL).replace('xtl="20"', 'xtl="left"'),
    ]
    write_text(tmp_path / "annotations.xml", cvat_file([('name="0.png"', shapes), ('name=""', shapes[:1])]))
    (labels,) = read_labels(tmp_path)
    half = 10 * 2**0.5
    assert [plate.box for plate in labels.plates] == [
        (40, 60, 130, 90), pytest.approx((50 - half, 70 - half, 50 + half, 70 + half)), *[(40, 60, 130, 90)] * 2,
    ]  # fmt: skip
    assert [plate.row.text for plate in labels.plates] == ["1T0", None, "2T0", None]
    kinds = [(5, "unusable polyline"), (6, "unusable box"), (2, "empty name")]
    assert kinds_of([labels]) == [("annotations.xml", *kind) for kind in kinds]


def test_labels_of_cvat_are_told_apart(tmp_path):
    images = [('name="0.png"', [cvat_box(LARGE), cvat_box(SMALL, label="car")]), ('name="1.png" subset="test"', [])]
    write_text(tmp_path / "annotations.xml", cvat_file(images))
    found = read_labels(tmp_path)
    assert rows_of(found) == [("0.png", (40, 60, 130, 90), None)]
    assert "1 x car" in notes_of(found) and "1 row of its test set" in notes_of(found)


def test_a_video_of_cvat_is_refused(tmp_path):
    write_text(tmp_path / "annotations.xml", '<annotations><track label="plate"><box frame="0"/></track></annotations>')
    with pytest.raises(DatasetError, match="tracks of a video; export the task"):
        read_labels(tmp_path)


# Label Studio


def read_tasks(folder, *tasks, **options):
    (labels,) = read_labels(write_json(folder / "export.json", list(tasks)), LabelOptions(**options))
    return labels


def test_texts_of_label_studio_belong_to_their_region(tmp_path):
    first, second = label_studio_plate(0, LARGE, "1T0"), label_studio_plate(1, SMALL, "2T0")
    second[1] |= {"id": "other", "parentID": "region1"}
    two_lines = label_studio_plate(2, LARGE, "3T")
    two_lines[1]["value"]["text"] = ["3T", "0"]
    task = label_studio_task(1, "/data/local-files/?d=cars/0.png", [*first, *second, *two_lines])
    labels = read_tasks(tmp_path, task)
    assert [plate.row.text for plate in labels.plates] == ["1T0", "2T0", "3T\n0"]
    assert labels.plates[0].box == pytest.approx((0.2, 0.375, 0.45, 0.1875)) and labels.box_form == "rel_xywh"
    assert labels.names == ["/data/local-files/?d=cars/0.png"]


@pytest.mark.parametrize(
    "data",
    [
        {"source": "https://example.org/page.html", "image": "s3://cars/0.png"},
        {"thumbnail": "small/0.png", "image": "cars/0.png"},
        {"when": "2024/05/01 10.15", "photo": "/data/local-files/?d=cars%5C0.png"},
        {"page": "https://example.org/a", "where": "cars/0.png"},
    ],
)
def test_the_picture_is_where_a_key_or_a_name_says_so(data, tmp_path):
    task = label_studio_task(1, "", label_studio_plate(0, LARGE)) | {"data": data}
    (name,) = read_tasks(tmp_path, task).names
    assert name == list(data.values())[1]


@pytest.mark.parametrize(
    ("areas", "key", "text", "said"),
    [
        (("transcription", "make"), None, "1T0", "the texts are taken from transcription"),
        (("note", "make"), None, None, "the texts may be at make, note; say with --text-key"),
        (("text", "plate"), None, None, "the texts may be at plate, text; say with --text-key"),
        (("note", "make"), "note", "1T0", ""),
        (("line1", "line2"), None, "1T0\nFord", ""),
    ],
)
def test_of_several_text_areas_of_a_region_one_is_the_plate_s(areas, key, text, said, tmp_path):
    region, first = label_studio_plate(0, LARGE, "1T0")
    second = first | {"from_name": areas[1], "value": {"text": ["Ford"]}}
    task = label_studio_task(1, "0.png", [region, first | {"from_name": areas[0]}, second])
    path = write_json(tmp_path / "export.json", [task])
    if text is None:
        with pytest.raises(UserError, match=said):
            read_labels(path)
    else:
        found = read_labels(path, LabelOptions(text_key=key))
        assert [plate.row.text for plate in found[0].plates] == [text] and said in notes_of(found)


def test_a_text_of_no_region_is_that_of_the_only_one(tmp_path):
    loose = {"type": "textarea", "id": "x", "value": {"text": ["1T0"]}}
    one = label_studio_task(1, "s3://cars/0.png", [*label_studio_plate(0, LARGE), loose])
    two = label_studio_task(2, "/1.png", [*label_studio_plate(0, LARGE), *label_studio_plate(1, SMALL), loose])
    labels = read_tasks(tmp_path, one, two)
    assert [plate.row.text for plate in labels.plates] == ["1T0", None, None]
    assert kinds_of([labels]) == [("export.json", 2, "text of no region")]


def test_of_several_annotations_one_is_used_and_cancelled_ones_are_left_aside(tmp_path):
    tasks = [label_studio_task(number, f"/{number}.png", label_studio_plate(0, LARGE, "1T0")) for number in range(1, 6)]
    tasks[0]["annotations"] = []
    tasks[1]["annotations"][0]["was_cancelled"] = True
    for task, more in ((tasks[2], {"ground_truth": True}), (tasks[3], {"updated_at": "2024"})):
        task["annotations"][0] |= more
        task["annotations"].append({"id": 9, "result": label_studio_plate(0, SMALL, "9T9"), "updated_at": "2023"})
    tasks[4]["annotations"][0]["result"] = []
    labels = read_tasks(tmp_path, *tasks)
    assert [(row[0], row[2]) for row in rows_of([labels])] == [("3.png", "1T0"), ("4.png", "1T0"), ("5.png", None)]
    assert labels.plates[-1].box is None and "2 tasks without an annotation left aside (/1.png" in labels.notes[-1]
    assert kinds_of([labels]) == [("export.json", row, "several annotations") for row in (3, 4)]


def test_turned_regions_become_the_boxes_around_them(tmp_path):
    results = label_studio_plate(0, (60, 40, 76, 100))
    results[0]["value"]["rotation"] = 30
    turned = json.loads(json.dumps(results))
    turned[0]["image_rotation"] = 90
    labels = read_tasks(tmp_path, label_studio_task(1, "/0.png", results), label_studio_task(2, "/1.png", turned))
    xmin, ymin, width, height = labels.plates[0].box
    assert (xmin * 200, ymin * 160) == pytest.approx((32, 60))  # Turned around its first corner, in pixels.
    assert (width * 200, height * 160) == pytest.approx((60 * 3**0.5 / 2 + 8, 30 + 16 * 3**0.5 / 2))
    assert kinds_of([labels]) == [("export.json", 2, "unusable region")]


@pytest.mark.parametrize("task", [1, {}, {"data": {}, "annotations": []}, {"data": {"n": 1}, "annotations": [{}]}])
def test_tasks_without_a_picture_are_named(task, tmp_path):
    good = label_studio_task(1, "/0.png", label_studio_plate(0, LARGE, "1T0"))
    assert kinds_of([read_tasks(tmp_path, good, task)]) == [("export.json", 2, "faulty task")]


def test_every_form_says_what_it_is():
    assert set(FORMS) == set(WRITERS) and all(form.ABOUT and form.SUFFIXES for form in FORMS.values())


# Numbers that are none of a picture


def numbers_of_coco(number):
    image, box = {"id": 1, "file_name": "a.png", "width": 640, "height": number}, [number, 10, number, 40]
    return "a.json", {"images": [image], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box}]}


def numbers_of_label_studio(number, turn=30):
    value = {"points": [[number, number], [-number, 1], [1, -number]], "rotation": turn, "polygonlabels": ["plate"]}
    region = {"id": "r", "type": "polygonlabels", "value": value, "original_width": number, "original_height": number}
    return "a.json", [{"data": {"image": "/data/a.png"}, "annotations": [{"result": [region]}]}]


@pytest.mark.parametrize("of", [numbers_of_coco, numbers_of_label_studio])
@pytest.mark.parametrize("number", [10**308, 10**400, -(10**400), 1e308, 1.7e308, float("nan"), float("-inf"), 2e15])
def test_numbers_beyond_every_picture_are_none(of, number, tmp_path, recwarn):
    """They would make others, by which nobody can compute, in the midst of everything."""
    name, content = of(number)
    write_json(tmp_path / name, content)
    save_picture(tmp_path / "a.png", 1)
    found = read_labels(tmp_path / name)
    assert [kind for _, _, kind in kinds_of(found)] in (["non-numeric box"], ["unusable region"])
    assert not rows_of(found) and not recwarn.list


@pytest.mark.parametrize("number", ["1e308", "-1e308", "1e16", "9" * 400, "nan"])
@pytest.mark.parametrize(
    "content",
    [
        "<annotation><filename>a.png</filename><object><name>plate</name><bndbox><xmin>{0}</xmin><ymin>1</ymin>"
        "<xmax>9</xmax><ymax>{0}</ymax></bndbox></object></annotation>",
        '<annotations><image name="a.png" width="9" height="9"><box label="p" xtl="1" ytl="{0}" xbr="{0}" ybr="5"/>'
        "</image></annotations>",
        '<annotations><image name="a.png"><box label="p" xtl="1" ytl="2" xbr="3" ybr="5" rotation="{0}"/></image>'
        "</annotations>",
    ],
)
def test_so_are_those_of_xml(number, content, tmp_path, recwarn):
    write_text(tmp_path / "a.xml", content.format(number))
    found = read_labels(tmp_path / "a.xml")
    assert len(kinds_of(found)) == 1 and not rows_of(found) and not recwarn.list


@pytest.mark.parametrize("number", [12, 12.5, 10**15])
def test_other_numbers_are_read(number, tmp_path):
    name, content = numbers_of_coco(number)
    write_json(tmp_path / name, content)
    assert rows_of(read_labels(tmp_path / name)) == [("a.png", (number, 10, number, 40), None)]


@pytest.mark.parametrize("tag", ["object", "annotation", "attribute", "part"])
def test_xml_that_is_nested_without_end_is_refused_at_once(tag, tmp_path):
    """In each of the elements all inner ones would be looked through."""
    write_text(tmp_path / "a.xml", f"<annotation>{f'<{tag}>' * 50_000}{f'</{tag}>' * 50_000}</annotation>")
    with pytest.raises(DatasetError, match="a.xml: elements in elements, more than 50 deep"):
        read_labels(tmp_path / "a.xml")


def test_regions_of_label_studio_may_be_many(tmp_path):
    """Their classes are found by their id, not by looking through all of them for each."""
    regions = [{"id": f"r{n}", "type": "rectangle", "value": dict(x=1, y=1, width=9, height=9)} for n in range(10_000)]
    classes = [{"id": f"r{n}", "type": "labels", "value": {"labels": ["plate"]}} for n in range(10_000)]
    write_json(tmp_path / "a.json", [{"data": {"image": "/a.png"}, "annotations": [{"result": regions + classes}]}])
    assert len(rows_of(read_labels(tmp_path / "a.json"))) == 10_000
