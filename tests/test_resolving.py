"""Labels as written become photographs with plates: files, pixels, one form of texts; every row is used or named."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.labels import LabelOptions, Labels
from lpr_e2e.data.problems import faults
from lpr_e2e.data.resolving import resolve
from lpr_e2e.data.tables import Row

SIZE = (240, 320)  # Height, width.


class Folder:
    """A data folder; `plates(n)` are rows of boxes and texts all over the photographs `0.jpg` to `n - 1.jpg`."""

    def __init__(self, path: Path):
        self.path = path

    def picture(self, name, size=SIZE, orientation=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1]).save(path, exif=exif)

    def pictures(self, folder, count, ending=".jpg"):
        for number in range(count):
            self.picture(f"{folder}/{number}{ending}")

    def plates(self, count, seed=0):
        rng = np.random.default_rng(seed)
        rows = []
        for number in range(count):
            y, x = int(rng.integers(0, SIZE[0] - 20)), int(rng.integers(0, SIZE[1] - 60))
            rows.append([f"{number}.jpg", y, x, y + 20, x + 60, f"{number}T0{number}"])
        return rows

    def table(self, name, header, rows, delimiter=",", encoding="utf-8"):
        lines = io.StringIO()
        csv.writer(lines, delimiter=delimiter).writerows([header.split(","), *rows])
        (self.path / name).write_text(lines.getvalue(), encoding)


BOX, ALL = "img_id,ymin,xmin,ymax,xmax", "img_id,ymin,xmin,ymax,xmax,text"


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def cars(folder):
    """Twelve photographs with a plate each."""
    folder.pictures("cars", 12)
    return folder


def boxes(labelled):
    return {one.img_id: [row.box_px for row in one.plates] for one in labelled.photographs}


def texts(labelled):
    return {one.img_id: [row.text for row in one.plates] for one in labelled.photographs}


def load(folder, **options):
    options = LabelOptions(**options)
    return resolve(read_labels(folder.path, options), options)


def test_a_clean_set_has_no_problem_and_nothing_changed(cars):
    rows = cars.plates(12)
    cars.pictures("plates", 5)
    cars.table("cars.csv", BOX, [row[:5] for row in rows])
    cars.table("plates.csv", "img_id,text", [[f"{number}.jpg", f"{number}T1"] for number in range(5)])
    cars.table("validation.csv", ALL, rows[:3])
    found = load(cars)
    assert boxes(found) == {row[0]: [tuple(row[1:5])] for row in rows} and not found.problems
    assert [one.img_id for one in found.photographs if one.held] == ["0.jpg", "1.jpg", "2.jpg"]
    assert texts(found)["0.jpg"] == ["0T00"] and texts(found)["5.jpg"] == [None] and found.has_validation
    assert [(one.row.img_id, one.row.text, one.held) for one in found.crops] == [
        (f"{number}.jpg", f"{number}T1", False) for number in range(5)
    ]
    assert all(one.path == cars.path / "cars" / one.img_id and one.complete for one in found.photographs)
    assert all(one.path == cars.path / "plates" / one.row.img_id for one in found.crops)


def test_a_set_as_people_keep_it_comes_to_the_same(cars):
    """UTF-16 of a spreadsheet, names of another machine, texts of all sorts: everything is changed, nothing is lost."""
    rows = cars.plates(12)
    odd = [[rf"C:\data\cars\{n}.JPG", *row[1:5], row[5].lower()[:3] + "\n" + row[5][3:]] for n, row in enumerate(rows)]
    odd[3][5] = '="3T03"'
    cars.table("cars.csv", ALL, odd, delimiter="\t", encoding="utf-16")
    found = load(cars)
    assert boxes(found) == {row[0]: [tuple(row[1:5])] for row in rows}
    assert [one[0].replace("t", "T") for one in texts(found).values()] == [row[5] for row in rows]
    assert found.problems and not faults(found.problems) and {one.row for one in found.problems} >= {2, 4, 8}
    assert any("12 names written otherwise" in note for note in found.notes)


# Boxes


@pytest.mark.parametrize("header", ["img_id,xmin,ymin,xmax,ymax,text", "text,ymax,xmax,ymin,xmin,img_id"])
def test_columns_in_any_order_are_the_same_plates(cars, header):
    rows = cars.plates(12)
    by_name = [dict(zip(ALL.split(","), row, strict=True)) for row in rows]
    cars.table("cars.csv", header, [[row[name] for name in header.split(",")] for row in by_name])
    assert boxes(load(cars)) == {row[0]: [tuple(row[1:5])] for row in rows}


def test_shares_under_the_names_of_corners_are_told_and_said(cars):
    rows = cars.plates(12)
    shares = [[row[0], *(value / side for value, side in zip(row[1:5], SIZE * 2, strict=True)), row[5]] for row in rows]
    cars.table("cars.csv", ALL, shares)
    found = load(cars)
    for row in rows:
        np.testing.assert_allclose(boxes(found)[row[0]], [row[1:5]])
    assert any("read as rel_yxyx" in note for note in found.notes) and not found.problems


def test_a_corner_or_the_centre_is_asked_for_and_decided_by_the_option(cars):
    rows = [[f"{number}.jpg", 100 + number, 110 + number, 60, 20] for number in range(12)]
    cars.table("cars.csv", "img_id,x,y,width,height", rows)
    with pytest.raises(UserError, match="cars.csv: its boxes can be read in several ways.* --boxes xywh"):
        load(cars)
    assert boxes(load(cars, boxes="xywh"))["0.jpg"] == [(110, 100, 130, 160)]
    assert boxes(load(cars, boxes="center_xywh"))["0.jpg"] == [(100, 70, 120, 130)]


@pytest.mark.parametrize("corner", ["x,y", "left,top", "x_min,y_min", "x_center,y_center"])
def test_sides_that_are_those_of_the_pictures_are_no_boxes(cars, corner):
    rows = [[row[0], row[2], row[1], *SIZE[::-1], row[5]] for row in cars.plates(12)]
    cars.table("cars.csv", f"img_id,{corner},width,height,text", rows)
    with pytest.raises(
        UserError, match="cars.csv: the width and height of its boxes, .* are those of the pictures; say"
    ):
        load(cars)


def test_a_box_around_a_whole_picture_is_a_box(cars):
    cars.table("cars.csv", "img_id,left,top,width,height", [[f"{n}.jpg", 0, 0, *SIZE[::-1]] for n in range(12)])
    assert boxes(load(cars))["0.jpg"] == [(0, 0, *SIZE)]


@pytest.mark.parametrize(
    "box, kind, used",
    [
        ((60, 40, 30, 100), "inside-out box", None),
        ((600, 40, 620, 100), "box outside the picture", None),
        ((60, 40, 61, 100), "box too thin", None),
        ((230, 40, 244, 100), "box partly outside", (230, 40, 240, 100)),
    ],
)
def test_a_faulty_box_is_named_and_its_photograph_is_not_one_without_a_plate(cars, box, kind, used):
    rows = cars.plates(12)
    rows[4][1:5] = box
    cars.table("cars.csv", ALL, [*rows, ["5.jpg", *box, "AB12"]])
    found = load(cars)
    assert [(one.row, one.kind, one.harmless) for one in found.problems] == [
        (6, kind, bool(used)),
        (14, kind, bool(used)),
    ]
    assert boxes(found).get("4.jpg") == ([used] if used else None)
    assert [one.complete for one in found.photographs if one.img_id == "5.jpg"] == [bool(used)]
    assert boxes(found)["5.jpg"] == [tuple(rows[5][1:5]), *([used] if used else [])]


@pytest.mark.parametrize("way", ["before", "after"])
def test_boxes_on_turned_photographs_are_told_by_the_boxes_or_by_the_option(folder, way):
    rows = folder.plates(12)
    for number in range(12):
        folder.picture(f"cars/{number}.jpg", orientation=6 if number < 4 else 1)
    if way == "after":  # Seen, the first four photographs are higher than wide.
        for row in rows[:4]:
            row[1:5] = [250, 100, 270, 160]
    else:  # On the picture as it is stored, a plate that is seen upright lies on its side.
        for row in rows[:4]:
            row[1:5] = [100, 250, 160, 270]
    folder.table("cars.csv", ALL, rows)
    found = load(folder)
    expected = (250, 100, 270, 160) if way == "after" else (250, 80, 270, 140)
    assert boxes(found)["0.jpg"] == [expected] and boxes(found)["8.jpg"] == [tuple(rows[8][1:5])]
    assert any("EXIF" in note for note in found.notes) and not found.problems
    assert boxes(load(folder, exif=way)) == boxes(found)


def sized(folder, factor=None, wrong=()):
    """Labels that say sizes of the pictures: twice as large as they are, but for some."""
    given = Labels(folder.path / "cars.json", box_form="yxyx", pictures=(folder.path / "cars",))
    for number, row in enumerate(folder.plates(12)):
        by = factor or 1
        given.add(Row("cars.json", number, row[0], None, None), tuple(value * by for value in row[1:5]), row[5])
        given.sizes[row[0]] = (SIZE[0] * by, SIZE[1] * by) if number not in wrong else (500, 500)
    return given


def test_pictures_made_smaller_take_their_boxes_with_them(cars):
    found = resolve([sized(cars, factor=2)])
    assert boxes(found) == {row[0]: [tuple(row[1:5])] for row in cars.plates(12)}
    assert any("its boxes are scaled" in note for note in found.notes) and not found.problems


def test_one_picture_of_another_size_is_a_fault_of_its_row(cars):
    found = resolve([sized(cars, wrong=(3,))])
    assert [(one.row, one.kind) for one in found.problems] == [(3, "picture of another size")]
    assert "3.jpg" not in boxes(found) and len(found.photographs) == 11


# Photographs


def test_all_plates_of_a_photograph_and_those_without_one(cars):
    rows = cars.plates(10)
    rows.insert(1, ["0.jpg", 200, 200, 220, 260, ""])
    cars.table("cars.csv", ALL, [*rows, ["10.jpg", "", "", "", "", ""], ["11.jpg", "", "", "", "", ""]])
    found = load(cars)
    assert not found.problems and len(found.photographs) == 12
    assert texts(found)["0.jpg"] == ["0T00", None] and boxes(found)["10.jpg"] == boxes(found)["11.jpg"] == []


@pytest.mark.parametrize(
    "first, second, text, kinds",
    [
        ("AB12", "AB12", "AB12", ["duplicate row"]),
        ("AB12", "", "AB12", ["duplicate row"]),
        ("", "ab 12", "AB12", ["duplicate row", "blanks within a text"]),
        ("AB12", "CD34", None, ["contradictory texts", "contradictory texts"]),
    ],
)
def test_two_rows_of_one_plate_are_one_plate(cars, first, second, text, kinds):
    rows = cars.plates(8)
    more = [["9.jpg", 50, 50, 70, 110, first], ["9.jpg", 50, 51, 70, 110, second]]
    cars.table("cars.csv", ALL, [*rows, *more])
    found = load(cars)
    assert [one.upper() if one else one for one in texts(found)["9.jpg"]] == [text]
    assert sorted({one.kind for one in found.problems} - {"another case"}) == sorted(set(kinds))
    assert {one.row for one in found.problems} <= {10, 11}


@pytest.mark.parametrize(
    ("second", "plates"),
    [
        ([52, 52, 72, 112], 1),  # Somebody else's box.
        ([46, 44, 74, 116], 1),  # With its frame.
        ([50, 50, 70, 110], 1),
        ([50, 111, 70, 171], 2),  # Side by side.
        ([60, 80, 80, 140], 2),  # Behind a corner of the first.
        ([40, 30, 120, 200], 2),  # One of a truck, far larger.
    ],
)
@pytest.mark.parametrize("text", ["AB12", ""])
def test_boxes_that_lie_on_one_another_are_around_one_plate(cars, second, plates, text):
    cars.table("cars.csv", ALL, [*cars.plates(8), ["9.jpg", 50, 50, 70, 110, "AB12"], ["9.jpg", *second, text]])
    found = load(cars)
    assert texts(found)["9.jpg"] == ["AB12", text or None][:plates]
    assert [one.kind for one in found.problems] == ["duplicate row"] * (2 - plates)


def test_three_rows_of_one_plate_that_contradict_each_other_leave_it_without_a_text(cars):
    more = [["9.jpg", 50, 50, 70, 110, text] for text in ("AB12", "CD34", "AB12")]
    cars.table("cars.csv", ALL, [*cars.plates(8), *more])
    found = load(cars)
    assert texts(found)["9.jpg"] == [None] and [one.row for one in found.problems] == [10, 11, 12]


def test_plates_win_over_a_row_that_says_there_is_none(cars):
    rows = cars.plates(12)
    cars.table("cars.csv", ALL, [*rows, ["3.jpg", "", "", "", "", ""]])
    found = load(cars)
    assert texts(found)["3.jpg"] == ["3T03"] and [(one.row, one.kind) for one in found.problems] == [
        (14, "plate and no plate")
    ]


def test_a_photograph_that_is_held_out_is_not_trained_on_too(cars):
    rows = cars.plates(12)
    cars.table("train.csv", ALL, rows)
    cars.table("val.csv", ALL, [rows[0][:5] + ["AB12"], ["1.jpg", "", "", "", "", ""]])
    found = load(cars)
    assert [one.img_id for one in found.photographs if one.held] == ["0.jpg", "1.jpg"]
    assert texts(found)["0.jpg"] == ["AB12"] and texts(found)["1.jpg"] == []
    assert [(one.file, one.row, one.kind) for one in found.problems] == [
        ("train.csv", 2, "held out too"),
        ("train.csv", 3, "held out too"),
    ]


@pytest.mark.parametrize("content, kind", [(b"", "empty picture"), (b"text", "unusable picture")])
def test_pictures_that_are_none_are_named(cars, content, kind):
    (cars.path / "cars" / "2.jpg").write_bytes(content)
    cars.table("cars.csv", ALL, [*cars.plates(12), ["2.jpg", 1, 1, 30, 90, ""]])
    found = load(cars)
    assert [(one.row, one.kind) for one in found.problems] == [(4, kind), (14, kind)] and "2.jpg" not in boxes(found)


def test_photographs_of_one_name_in_two_folders_are_two(folder):
    given = []
    for name in ("train", "valid"):
        folder.pictures(name, 12)
        labels = Labels(folder.path / f"{name}.csv", box_form="yxyx", pictures=(folder.path / name,))
        labels.held_out = name == "valid"
        for number, row in enumerate(folder.plates(12)):
            labels.add(Row(f"{name}.csv", number, row[0], None, None), tuple(row[1:5]), row[5])
        given.append(labels)
    found = resolve(given)
    assert [one.img_id for one in found.photographs][::12] == ["train/0.jpg", "valid/0.jpg"]
    assert sum(one.held for one in found.photographs) == 12 and not found.problems
    assert {row.img_id for one in found.photographs for row in one.plates} == {one.img_id for one in found.photographs}


# Crops


def test_faulty_crops_are_named_and_their_texts_decided_with_the_others(cars):
    cars.pictures("plates", 8, ".png")
    cars.table("cars.csv", ALL, cars.plates(12))
    lines = [
        "0.png,ab12",
        "1.png,AB13",
        "1.png,AB13",
        "2.png,AB14",
        "2.png,AB15",
        "3.png,?",
        "4.png,#N/A",
        "5.png,",
        "9.png,A",
    ]
    (cars.path / "plates.csv").write_text("\n".join(["img_id,text", *lines]) + "\n")
    found = load(cars)
    assert [(one.row.img_id, one.row.text) for one in found.crops] == [("0.png", "AB12"), ("1.png", "AB13")]
    named = [(one.row, one.kind, one.harmless) for one in found.problems if one.file == "plates.csv"]
    assert named == [
        (2, "another case", True),
        (4, "duplicate row", False),
        (5, "contradictory texts", False),
        (6, "contradictory texts", False),
        (7, "no text", False),
        (8, "spreadsheet damage", False),
        (9, "empty text", False),
        (10, "missing picture", False),
    ]


def test_a_plate_whose_text_nobody_knows_is_still_a_plate(cars):
    rows = cars.plates(12)
    rows[0][5], rows[1][5], rows[2][5] = "?", "#N/A", ""
    cars.table("cars.csv", ALL, rows)
    found = load(cars)
    assert [texts(found)[f"{number}.jpg"] for number in range(4)] == [[None], [None], [None], ["3T03"]]
    assert [(one.row, one.harmless) for one in found.problems] == [(2, True), (3, False)]


def test_photographs_and_crops_have_one_spelling(cars):
    cars.pictures("plates", 12)
    cars.table("cars.csv", ALL, [[*row[:5], "абв"[number % 3] + "1"] for number, row in enumerate(cars.plates(12))])
    cars.table("plates.csv", "img_id,text", [[f"{number}.jpg", "АВ"[number % 2] + "2"] for number in range(12)])
    found = load(cars)
    assert {row[0] for one in texts(found).values() for row in one} | {one.row.text[0] for one in found.crops} in (
        {"А", "Б", "В"},
        {"а", "б", "в"},
    )


def test_every_row_is_used_or_named(cars):
    rng = np.random.default_rng(5)
    values = [
        "",
        "0.jpg",
        "cars\\1.JPG",
        "9",
        "x",
        "-3",
        "40",
        "90",
        "1e9",
        "AB12",
        "?",
        "12-Mar",
        "\u202eA",
        '"',
        "12\n3",
    ]
    rows = [[str(one) for one in row] for row in cars.plates(12)]
    rows += [[str(rng.choice(values)) for _ in range(6)] for _ in range(60)]
    cars.table("cars.csv", ALL, rows)
    labels = read_labels(cars.path)
    found = resolve(labels)
    numbers = {plate.row.number for one in labels for plate in one.plates}
    used = {row.number for one in found.photographs for row in one.plates}
    empty = {plate.row.number for one in labels for plate in one.plates if plate.box is None}
    assert numbers <= used | empty | {one.row for one in found.problems}
    for one in found.photographs:
        for row in one.plates:
            ymin, xmin, ymax, xmax = row.box_px
            assert 0 <= ymin < ymax <= SIZE[0] and 0 <= xmin < xmax <= SIZE[1] and row.text != ""


def test_what_is_resolved_and_resolved_again_stays(cars):
    cars.table("cars.csv", ALL, cars.plates(12))
    once = load(cars)
    given = Labels(cars.path / "again.csv", box_form="yxyx", pictures=(cars.path / "cars",))
    for one in once.photographs:
        for row in one.plates:
            given.add(replace(row, box_px=None), row.box_px, row.text)
    again = resolve([given])
    assert boxes(again) == boxes(once) and texts(again) == texts(once) and not again.problems


# Texts of photographs in a table of their own


def test_a_table_of_texts_may_be_that_of_photographs(cars):
    rows = cars.plates(12)
    cars.table("cars.csv", BOX, [*(row[:5] for row in rows), ["11.jpg", 1, 1, 30, 90]])
    cars.table("texts.csv", "image,plate", [*([row[0], row[5]] for row in rows), ["99.jpg", "X"]])
    found = load(cars)
    assert texts(found) == {row[0]: [row[5]] for row in rows[:-1]} | {"11.jpg": [None, None]} and not found.crops
    assert [(one.file, one.row, one.kind) for one in faults(found.problems)] == [
        ("texts.csv", 13, "text of a photograph"),
        ("texts.csv", 14, "missing picture"),
    ]
    assert any(note.startswith("texts.csv: its pictures are photographs") for note in found.notes)


def test_a_table_of_texts_goes_with_the_boxes_of_other_forms(folder):
    for number in range(8):
        part = "valid" if number > 5 else "train"
        folder.picture(f"{part}/images/{number}.jpg")
        (folder.path / part / "labels").mkdir(exist_ok=True)
        (folder.path / part / "labels" / f"{number}.txt").write_text(f"0 0.5 0.{number + 1} 0.2 0.1\n")
    (folder.path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: [plate]\n")
    folder.table("annotations.csv", "img_id,text", [[f"{number}.jpg", f"A{number}"] for number in range(8)])
    found = load(folder)
    assert {name: [text] for name, [text] in texts(found).items()} == {f"{n}.jpg": [f"A{n}"] for n in range(8)}
    assert sum(one.held for one in found.photographs) == 2 and not found.crops and not faults(found.problems)


def test_a_text_that_contradicts_the_one_beside_the_box_is_named(cars):
    rows = cars.plates(12)
    cars.table("cars.csv", ALL, rows)
    cars.table("texts.csv", "img_id,text", [[rows[0][0], "OTHER"], *([row[0], row[5]] for row in rows[1:])])
    found = load(cars)
    assert texts(found) == {row[0]: [row[5]] for row in rows}
    assert [(one.row, one.kind, one.value) for one in faults(found.problems)] == [(2, "text of a photograph", "OTHER")]


def test_pictures_of_a_folder_of_their_own_stay_crops(cars):
    rows = cars.plates(12)
    cars.pictures("plates", 12)
    cars.table("cars.csv", BOX, [row[:5] for row in rows])
    cars.table("texts.csv", "img_id,text", [[row[0], row[5]] for row in rows])
    found = load(cars)
    assert len(found.crops) == 12 and set(map(tuple, texts(found).values())) == {(None,)}


@pytest.mark.parametrize(("rows", "has_validation"), [([], False), ([["0.jpg", 10, 10, 30, 70, "1T1"]], True)])
def test_a_table_of_validation_without_a_row_holds_nothing_out(cars, rows, has_validation):
    cars.table("cars.csv", ALL, cars.plates(12))
    cars.table("validation.csv", ALL, rows)
    assert load(cars).has_validation is has_validation


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [-1, -1, -1, -1]])
def test_a_box_of_nothing_is_a_photograph_without_a_plate_and_is_named(cars, box):
    rows = cars.plates(12)
    cars.table("cars.csv", ALL, [*rows[:11], ["11.jpg", *box, ""]])
    found = load(cars)
    assert boxes(found)["11.jpg"] == [] and not faults(found.problems)
    assert [one.kind for one in found.problems] == ["box of nothing"]
