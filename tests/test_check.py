"""The check of a data set: what is wrong is found and shown, and a cleaned copy has nothing wrong with it."""

import base64
import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from test_dataset import BOX, BOX_TEXT, Folder, ids, picture, plate

import train
from lpr_e2e.cli import main
from lpr_e2e.common.images import read_picture
from lpr_e2e.data import check as check_module
from lpr_e2e.data.check import check_data
from lpr_e2e.data.check_page import write_page
from lpr_e2e.data.cleaning import write_fixed
from lpr_e2e.data.dataset import DataSource, load_dataset
from lpr_e2e.data.problems import by_kind
from lpr_e2e.data.tables import DatasetError
from lpr_e2e.drawing.scenes import write_demo

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIDEWAYS = (40, 60, 130, 90)


def write_faulty(path):
    """Twelve photographs and crops, and everything that can be wrong with them; crops have red and blue exchanged."""
    folder = Folder(path, 12)
    for seed in range(12):
        folder.save(f"plates/{seed}.png", plate(seed)[..., ::-1])
    (path / "plates" / "5.png").write_bytes(b"")
    for name, seed in (("inside_out", 50), ("edge", 51), ("lying", 52)):
        folder.save(f"cars/{name}.png", picture(seed))
    folder.save("cars/twin.png", np.clip(picture(7).astype(int) + 3, 0, 255).astype("uint8"))
    folder.save("plates/again.png", plate(4)[..., ::-1])
    folder.save("plates/lying.png", np.rot90(plate(52, SIDEWAYS), 3)[..., ::-1])
    folder.cars += [
        "inside_out.png,90,40,60,130",
        "edge.png,-10,-2.5,50,90",
        f"lying.png,{','.join(map(str, SIDEWAYS))}",
        f"twin.png,{BOX_TEXT}",
        f"0.png,{BOX_TEXT}",
        f"<b>gone.png,{BOX_TEXT}",
    ]
    folder.plates += ["1.png,9T99", "again.png,4T44", "lying.png,52T1"]
    folder.save("test/leak.png", picture(3))
    folder.save("test/other.png", picture(60))
    (path / "test" / "broken.png").write_bytes(b"")
    folder.write("cars.csv", "img_id,ymin,xmin,ymax,xmax", folder.cars)
    folder.write("plates.csv", "img_id,text", folder.plates)
    return folder


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return write_faulty(tmp_path_factory.mktemp("faulty"))


@pytest.fixture(scope="module")
def checked(faulty):
    return check_data(faulty.path, test=faulty.path / "test")


def data_folder(path, photographs=8):
    """A folder `data` in `path` with nothing wrong, beside which something can be written."""
    (path / "data").mkdir()
    return Folder(path / "data", photographs)


def finding(check, title):
    [found] = [one for one in check.findings if one.title == title]
    return found


def test_every_fault_is_found(checked):
    assert {kind: [problem.value for problem in found] for kind, found in by_kind(checked.faults).items()} == {
        "contradictory texts": ["1T01", "9T99", "4T44"],
        "duplicate row": [BOX_TEXT],
        "empty picture": ["5.png"],
        "inside-out box": ["90,40,60,130"],
        "missing picture": ["<b>gone.png"],
    }
    assert {kind: [problem.value for problem in found] for kind, found in by_kind(checked.changes).items()} == {
        "box partly outside": ["-10,-2.5,50,90"],
    }
    assert len(set(checked.problems)) == len(checked.problems)


def test_counts_say_what_becomes_of_photographs_plates_and_crops(checked):
    header, photographs, plates, crops = checked.counts()
    dataset = checked.loaded.dataset
    assert header[1:3] == ("labelled", "usable")
    assert photographs[1:3] == ("17", "15") and plates[1:3] == ("17", "15") and crops[1:3] == ("14", "12")
    trained, held, not_used = (int(crops[column]) for column in (3, 5, 7))
    assert (trained, held) == (len(dataset.crops), len(dataset.validation_crops)) and not_used == 2
    with_text = sum(plate.text is not None for one in dataset.photographs for plate in one.plates)
    assert photographs[4] == plates[4] == str(with_text)


def test_a_held_out_photograph_with_a_faulty_row_in_set_1_is_usable(tmp_path):
    folder = data_folder(tmp_path)
    folder.cars[1] = "1.png,90,40,60,130"
    folder.validation = [f"1.png,{BOX_TEXT},1T01"]
    folder.load()
    photographs = check_data(folder.path).counts()[1]
    assert photographs[1:4] == ("8", "8", "7") and photographs[5] == "1" and photographs[7] == "0"


def test_plates_on_their_side_are_counted_and_shown(checked):
    found = finding(checked, "Plates on their side")
    assert found.said == "1 plate of photographs with a box that is higher than wide, and 0 crops."
    assert "which way up 1 of these plates are; the other 0 teach where" in found.training and found.doubtful
    assert found.rows == [("lying.png", "30 x 90")]
    [[view]] = found.examples
    assert view.path.name == "lying.png" and view.boxes_px == (SIDEWAYS,)


def test_every_plate_of_a_photograph_is_drawn_in(tmp_path):
    folder = data_folder(tmp_path)
    folder.save("cars/none.png", picture(50))
    folder.cars += ["0.png,10,10,30,90", "none.png,,,,"]
    folder.load()
    check = check_data(folder.path)
    found = finding(check, "Plates on a photograph")
    assert found.said == "1 photograph with several plates, at most 2; 1 without any." and not check.faults
    assert [view.boxes_px for [view] in found.examples] == [(BOX, (10, 10, 30, 90)), ()]
    assert check.counts()[4][:2] == ("photographs without a plate", "1")
    assert check.counts()[1][1] == "9" and check.counts()[2][1] == "9"
    write_page(check, tmp_path / "check.html")
    part = (tmp_path / "check.html").read_text().split("<h3>Plates on a photograph</h3>")[1].split("<article")[0]
    assert part.count("<rect ") == 2 and part.count("<img ") == 2


def test_near_twins_are_counted_and_shown(checked):
    found = finding(checked, "Near twins")
    assert found.said.startswith("1 pair among 2 photographs") and found.rows == [("7.png", "twin.png")]
    assert [view.path.name for view in found.examples[0]] == ["7.png", "twin.png"]


def test_a_twin_of_a_held_out_photograph_is_pointed_out(tmp_path):
    folder = Folder(tmp_path)
    folder.save("cars/twin.png", picture(1))
    folder.cars.append(f"twin.png,{BOX_TEXT}")
    folder.validation = [f"1.png,{BOX_TEXT},1T01"]
    folder.load()
    found = finding(check_data(tmp_path), "Near twins")
    assert found.training.startswith("of 1 pair one twin is held out") and found.doubtful


def test_crops_cut_out_of_photographs_are_counted(checked):
    found = finding(checked, "Crops cut out of photographs")
    # Crop 7 is cut out of both twins, crops 4 and `again` out of one photograph.
    assert found.said == "12 of 12 crops are cut out of 12 photographs; turned after that: 1."
    assert ("lying.png", "52T1", "lying.png", "3") in [row[:4] for row in found.rows] and len(found.rows) == 13


def test_exchanged_colours_are_said_and_shown(checked, tmp_path):
    found = finding(checked, "Red and blue")
    assert checked.colours.exchanged and found.doubtful
    assert found.said.startswith("12 of 12 comparable") and "exchanged" in found.said and "--fix" in found.training
    crop, mended, photograph = found.examples[0]
    assert crop.path == mended.path and mended.swapped and photograph.cut_px == BOX
    Folder(tmp_path).load()
    agreeing = check_data(tmp_path)
    assert not agreeing.colours.exchanged and finding(agreeing, "Red and blue").said.endswith("the two sets agree.")


def test_crops_with_a_held_out_text_are_named(tmp_path):
    folder = Folder(tmp_path)
    folder.save("plates/other.png", plate(40))
    folder.plates.append("other.png, 1t 01")
    folder.validation = [f"1.png,{BOX_TEXT},1T01", f"2.png,{BOX_TEXT},2T02", f"3.png,{BOX_TEXT},77T7"]
    folder.load()
    found = finding(check_data(tmp_path), "Held out")
    assert found.said == "the labels say which: 3 photographs and 3 crops, with 4 plates to read."
    assert sorted(found.rows) == [("1.png", "1T01"), ("2.png", "2T02"), ("other.png", "1T01")]


def test_crops_cut_out_of_test_photographs_are_found(faulty, checked, tmp_path):
    found = finding(checked, "Crops cut out of test photographs")
    assert found.said == f"1 crop found in 1 of 2 readable photographs of {faulty.path / 'test'}."
    assert found.rows == [("3.png", "3T03", "leak.png")] and found.training.startswith("uses 1 of these crops")
    # What it advises helps.
    (tmp_path / "leak.csv").write_text(found.exclude)
    check = check_data(DataSource(faulty.path, exclude=tmp_path / "leak.csv"), faulty.path / "test")
    found = finding(check, "Crops cut out of test photographs")
    assert found.training == "uses none of them." and not found.doubtful and check.counts()[3][7] == "3"


def test_test_photographs_are_looked_at_only_when_asked(faulty, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(check_module, "find_anywhere", None)
    assert main(["check", str(faulty.path), "--output", str(tmp_path / "check.html")]) == 1
    printed = capsys.readouterr().out
    assert f"To look for them: python -m lpr_e2e check {faulty.path} --test {faulty.path / 'test'}" in printed


def test_a_picture_that_is_excluded_is_no_fault(faulty, tmp_path):
    (tmp_path / "leave_out.csv").write_text("img_id\n5.png\n")
    check = check_data(DataSource(faulty.path, exclude=tmp_path / "leave_out.csv"))
    assert "empty picture" not in by_kind(check.faults) and "contradictory texts" in by_kind(check.faults)


def test_summary_names_the_first_rows_of_each_kind(tmp_path):
    folder = Folder(tmp_path)
    folder.cars += [f"gone{number}.png,{BOX_TEXT}" for number in range(205)]
    folder.load()
    check = check_data(tmp_path)
    summary = check.summary()
    assert "205 x missing picture" in summary and "and 202 more: the page has them" in summary
    assert "cars.csv, row 12: missing picture: 'gone2.png'" in summary and "gone3.png" not in summary
    assert "(8 different texts on 16 plates): 4: 16" in summary
    write_page(check, tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    assert page.count("<td>gone") == 200 and "and 5 more" in page


def test_a_drawn_set_has_no_problems(tmp_path, capsys):
    data = tmp_path / "data"
    write_demo(data, photographs=6, crops=8, test=1, validation=2, seed=3)
    assert main(["check", str(data), "--output", str(tmp_path / "check.html"), "--fix", str(tmp_path / "copy")]) == 0
    printed = capsys.readouterr()
    assert "0 problems" in printed.out and "2 of the photographs for validation" in printed.out and not printed.err
    assert "exchanged" not in printed.out
    for path in (data / "license_plates_recognition_train").iterdir():
        assert path.read_bytes() == (tmp_path / "copy" / "crops" / path.name).read_bytes()


# What people's programs make of labels


def _names(change):
    return lambda kind, rows: [",".join([change(kind, row.split(",")[0]), *row.split(",")[1:]]) for row in rows]


def _texts(change):
    return lambda kind, rows: (
        [f"{row.split(',')[0]},{change(row.split(',')[1])}" for row in rows] if kind == "plates" else rows
    )


SAME = {
    "as they are": (lambda kind, rows: rows, "utf-8", ""),
    "names in capitals": (_names(lambda kind, name: name.upper()), "utf-8", ""),
    "names with another ending": (_names(lambda kind, name: name.replace(".png", ".jpeg")), "utf-8", ""),
    "names of another machine": (_names(lambda kind, name: rf"C:\data set\{kind}\{name}"), "utf-8", ""),
    "addresses": (_names(lambda kind, name: f"file:///home/me/{kind}/{name}"), "utf-8", ""),
    "UTF-16 and tabs": (lambda kind, rows: [row.replace(",", "\t") for row in rows], "utf-16", "\t"),
    "sep= and semicolons": (lambda kind, rows: [row.replace(",", ";") for row in rows], "utf-8", ";"),
    "empty last columns": (lambda kind, rows: [f"{row},,," for row in rows], "utf-8", ""),
    "two lines in quotes": (_texts(lambda text: f'"{text[:2]}\n{text[2:]}"'), "utf-8", ""),
    "a bar between lines": (_texts(lambda text: f"{text[:2]} | {text[2:]}"), "utf-8", ""),
    "formulas": (_texts(lambda text: f'"=""{text}"""'), "utf-8", ""),
    "full width": (_texts(lambda text: "".join(chr(ord(one) + 0xFEE0) for one in text)), "utf-8", ""),
    "small letters here and there": (_texts(lambda text: text.lower() if text < "3" else text), "utf-8", ""),
}


@pytest.mark.parametrize("name", SAME)
def test_labels_that_plainly_mean_the_same_are_taken_as_the_same(name, tmp_path):
    change, encoding, delimiter = SAME[name]
    folder = data_folder(tmp_path)
    for kind, header, rows in (
        ("cars", "img_id,ymin,xmin,ymax,xmax", folder.cars),
        ("plates", "img_id,text", folder.plates),
    ):
        header = header.replace(",", delimiter or ",")
        header = f"sep={delimiter}\n{header}" if name.startswith("sep=") else header
        folder.write(f"{kind}.csv", header, change(kind, rows), encoding)
    check = check_data(folder.path)
    assert not check.faults
    dataset = check.loaded.dataset
    crops = {one.img_id: one.text for one in dataset.crops + dataset.validation_crops}
    assert crops == {f"{seed}.png": f"{seed}T0{seed}" for seed in range(8)}
    photographs = dataset.photographs + dataset.validation_photographs
    assert {plate.box_px for one in photographs for plate in one.plates} == {BOX} and len(photographs) == 8


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ({1: "1,1T01"}, "ambiguous picture"),
        ({2: "2.png,#N/A"}, "spreadsheet damage"),
        ({3: "gone/x.png,3T03"}, "missing picture"),
    ],
)
def test_labels_that_may_mean_anything_are_faults(rows, kind, tmp_path):
    folder = data_folder(tmp_path)
    folder.save("plates/1.jpg", plate(60))
    for number, row in rows.items():
        folder.plates[number] = row
    folder.load()
    assert [one.kind for one in check_data(folder.path).faults] == [kind]


# Odd sets


def test_crops_that_are_whole_photographs_are_a_fault_and_leave_the_cleaned_copy(tmp_path):
    folder = data_folder(tmp_path)
    for seed in (2, 5):
        folder.save(f"plates/{seed}.png", picture(seed))
    folder.save("plates/large.png", picture(70, 240, 300))  # Of a photograph that is not among these.
    folder.save("plates/close.png", picture(71, 160, 600))  # A plate from near by: no photograph is as long.
    folder.save("plates/upright.png", picture(72, 300, 240))  # Of a photograph that was taken upright.
    folder.plates += ["large.png,70T1", "close.png,71T1", "upright.png,72T1"]
    folder.load()
    check = check_data(folder.path)
    found = by_kind(check.faults)
    assert {one.value for one in found["whole photograph"]} == {"2.png", "5.png", "large.png", "upright.png"} and len(
        found
    ) == 1
    assert "found a whole photograph: " in found["whole photograph"][0].message
    write_fixed(check, tmp_path / "copy")
    assert not check_data(tmp_path / "copy").faults


def test_crops_beside_photographs_without_a_plate_are_no_photographs(tmp_path):
    folder = data_folder(tmp_path)
    folder.cars[3] = "3.png,,,,"
    folder.load()
    assert not check_data(folder.path).faults


def test_a_table_of_readings_is_a_fault(tmp_path):
    folder = data_folder(tmp_path)
    folder.load()
    folder.write("predictions.csv", "img_id,ymin,xmin,ymax,xmax,text,confidence,status", ["0.png,1,2,30,40,1,0.9,ok"])
    check = check_data(folder.path)
    assert [(one.file, one.kind) for one in check.faults] == [("predictions.csv", "prediction table")]
    write_fixed(check, tmp_path / "copy")
    assert not check_data(tmp_path / "copy").faults


def test_labels_without_crops_are_checked(tmp_path):
    folder = data_folder(tmp_path)
    shutil.rmtree(folder.path / "plates")
    rows = [f"{row},{row[0]}T0{row[0]}" for row in folder.cars]
    folder.write("labels.csv", "img_id,ymin,xmin,ymax,xmax,text", rows)
    check = check_data(folder.path / "labels.csv")
    assert not check.faults and check.counts()[3][1:] == ("0",) * 7 and "Red and blue" not in check.summary()
    write_page(check, tmp_path / "check.html")


def test_rare_characters_and_lengths_are_shown_and_stay(tmp_path):
    folder = data_folder(tmp_path, 4)
    for seed in range(4, 104):
        folder.save(f"plates/{seed}.png", plate(seed))
        folder.plates.append(f"{seed}.png,{1000 + seed}")
    folder.plates[-1] = "103.png,B1"
    folder.load()
    check = check_data(folder.path)
    found = finding(check, "Rare characters and lengths")
    assert "fewer than 5 plates to train on: B;" in found.said and found.said.endswith("hardly any text has: 2.")
    assert ("plates.csv", "105", "B1", "B on 1 plate; 2 characters, as 1 of 81 texts have") in found.rows
    assert not check.faults and "103.png" in check.loaded.dataset.img_ids("crops")


def test_dark_and_washed_out_plates_are_counted(tmp_path):
    folder = data_folder(tmp_path)
    folder.save("plates/1.png", plate(1) // 4)
    folder.save("plates/2.png", 200 + plate(2) // 5)
    folder.save("plates/3.png", 100 + plate(3) // 8)
    folder.load()
    said = finding(check_data(folder.path), "Light").said
    assert said == "of 16 pictures of a plate 1 (6%) dark, 1 (6%) washed out, 3 (19%) of little contrast."


def test_arabic_texts_are_shown_from_the_right(tmp_path):
    folder = data_folder(tmp_path, 4)
    folder.plates = [f"{seed}.png,سطن٧١٢{seed}" for seed in range(4)]
    folder.load()
    write_page(check_data(folder.path), tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "0.png: \u2067سطن٧١٢" in page and "<td>\u2067سطن" in page


# The cleaned copy


def test_the_cleaned_copy_has_no_problems(checked, tmp_path):
    copy = tmp_path / "new" / "copy"
    said = write_fixed(checked, copy)
    assert "15 photographs and 10 crops" in said and "quality 95" in said
    dataset = load_dataset(copy)
    assert dataset.problems == []
    photographs = {one.img_id: one.plates[0] for one in dataset.photographs + dataset.validation_photographs}
    assert sorted(photographs) == sorted([*(f"{seed}.png" for seed in range(12)), "edge.png", "lying.png", "twin.png"])
    assert photographs["edge.png"].box_px == (0, 0, 50, 90) and photographs["0.png"].box_px == BOX
    # Nobody knows which of the texts of 1 and 4 is right.
    kept = {"0", "2", "3", "6", "7", "8", "9", "10", "11", "lying"}
    assert ids(dataset.crops + dataset.validation_crops) == sorted(f"{name}.png" for name in kept)
    assert {"crops", "crops.csv", "photographs", "photographs.csv"} == names_of(copy)
    assert len(list((copy / "photographs").iterdir())) == 15 and len(list((copy / "crops").iterdir())) == 10
    for path in (copy / "photographs").iterdir():
        assert path.read_bytes() == (checked.source.path / "cars" / path.name).read_bytes()


def test_the_cleaned_copy_has_the_right_colours(checked, tmp_path):
    write_fixed(checked, tmp_path / "copy")
    np.testing.assert_array_equal(read_picture(tmp_path / "copy" / "crops" / "2.png"), plate(2))
    assert not check_data(tmp_path / "copy").colours.exchanged


def test_exchanged_colours_of_a_jpeg_are_written_in_high_quality(tmp_path):
    folder = data_folder(tmp_path)
    for seed in range(8):
        (folder.path / "plates" / f"{seed}.png").unlink()
        swapped = Image.fromarray(np.ascontiguousarray(plate(seed)[..., ::-1]))
        swapped.save(folder.path / "plates" / f"{seed}.jpg", quality=95)
    folder.plates = [row.replace("png", "jpg") for row in folder.plates]
    folder.load()
    write_fixed(check_data(folder.path), tmp_path / "copy")
    written = read_picture(tmp_path / "copy" / "crops" / "3.jpg").astype(int)
    assert np.abs(written - read_picture(folder.path / "plates" / "3.jpg")[..., ::-1]).mean() < 2


def test_the_cleaned_copy_keeps_validation_and_leaves_excluded_crops_out(tmp_path):
    folder = data_folder(tmp_path)
    folder.validation = [f"1.png,{BOX_TEXT},1T01", "2.png,90,40,60,130,2T02", "3.png,-5,40,90,130,3T03"]
    folder.plates[1] = "1.png,9T99"  # Mislabelled.
    folder.load()
    exclude = folder.write("leave_out.csv", "img_id", ["6.png"])
    write_fixed(check_data(DataSource(folder.path, exclude=exclude)), tmp_path / "copy")
    dataset = load_dataset(tmp_path / "copy")
    assert dataset.problems == [] and ids(dataset.validation_photographs) == ["1.png", "3.png"]
    assert dataset.validation_photographs[1].plates[0].box_px == (0, 40, 90, 130)
    # What was to be held out, but cannot be, is not trained on either.
    assert ids(dataset.photographs) == ["0.png", "4.png", "5.png", "6.png", "7.png"]
    assert not (tmp_path / "copy" / "leave_out.csv").exists()
    assert ids(dataset.crops + dataset.validation_crops) == ["0.png", "2.png", "3.png", "4.png", "5.png", "7.png"]


def test_the_cleaned_copy_keeps_every_plate_and_photographs_without_one(tmp_path):
    folder = data_folder(tmp_path)
    folder.save("cars/none.png", picture(50))
    folder.save("cars/unclear.png", picture(51))
    rows = ["0.png,10,10,30,90,أب١٢", "none.png,,,,,", f"unclear.png,{BOX_TEXT},51T1", "unclear.png,1,2,wide,9,52T2"]
    folder.cars = [*(f"{row},{row[0]}T0{row[0]}" for row in folder.cars), *rows]
    folder.write("cars.csv", "img_id,ymin,xmin,ymax,xmax,text", folder.cars)
    folder.write("plates.csv", "img_id,text", folder.plates)
    said = write_fixed(check_data(folder.path), tmp_path / "copy")
    # Of the last one not all plates are known: in the copy nothing would say so.
    assert "9 photographs and 8 crops" in said and "Left out: 1 photograph with a plate whose label" in said
    dataset = load_dataset(tmp_path / "copy", validation_share=0)
    assert dataset.problems == [] and "unclear.png" not in ids(dataset.photographs)
    plates = {one.img_id: [(plate.box_px, plate.text) for plate in one.plates] for one in dataset.photographs}
    assert plates["0.png"] == [(BOX, "0T00"), ((10, 10, 30, 90), "أب١٢")] and plates["none.png"] == []


def test_a_text_that_contradicts_its_crop_leaves_the_cleaned_copy(tmp_path):
    folder = data_folder(tmp_path)
    folder.cars = [f"{row},{row[0]}T0{row[0]}" for row in folder.cars]
    folder.plates[3] = "3.png,9T99"
    folder.write("cars.csv", "img_id,ymin,xmin,ymax,xmax,text", folder.cars)
    folder.write("plates.csv", "img_id,text", folder.plates)
    check = check_data(folder.path)
    assert [one.kind for one in check.faults] == ["contradictory texts"]
    write_fixed(check, tmp_path / "copy")
    dataset = load_dataset(tmp_path / "copy", validation_share=0)
    assert dataset.problems == [] and "3.png" not in ids(dataset.crops)
    assert {one.img_id for one in dataset.photographs if one.plates[0].text is None} == {"3.png"}


@pytest.mark.parametrize(
    ("boxes", "text", "contradicts"),
    [
        ([BOX], "9T99", True),
        ([BOX], "3 T 03", False),  # The same plate, written in another way.
        ([BOX], "", False),
        ([BOX, (5, 5, 25, 85)], "9T99", False),  # Two plates: which of them agree, nobody says.
    ],
)
def test_copies_of_a_photograph_with_different_texts_are_named(tmp_path, boxes, text, contradicts):
    folder = data_folder(tmp_path)
    folder.cars = [f"{row},{row[0]}T0{row[0]}" for row in folder.cars]
    folder.save("cars/copy.png", picture(3))
    folder.cars += [f"copy.png,{','.join(map(str, box))},{text}" for box in boxes]
    folder.plates.remove("3.png,3T03")
    folder.write("cars.csv", "img_id,ymin,xmin,ymax,xmax,text", folder.cars)
    folder.write("plates.csv", "img_id,text", folder.plates)
    check = check_data(folder.path)
    assert [one.value for one in check.faults if one.kind == "contradictory texts"] == [text] * contradicts
    if contradicts:
        (fault,) = check.faults
        assert "3.png" in fault.message and "copy.png" in fault.message
        write_fixed(check, tmp_path / "copy")
        dataset = load_dataset(tmp_path / "copy", validation_share=0)
        assert dataset.problems == []
        assert {one.img_id for one in dataset.photographs if one.plates[0].text is None} == {"3.png", "copy.png"}


def names_of(folder):
    """The files and folders in a folder that people see."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("place", ["data/inside", "full/../data/inside", "full", "file"])
def test_a_copy_is_not_written_where_it_could_destroy_something(tmp_path, capsys, place):
    data_folder(tmp_path).load()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="is inside|expected a new or empty folder"):
        write_fixed(check_data(tmp_path / "data"), tmp_path / place)
    assert main(["check", str(tmp_path / "data"), "--fix", str(tmp_path / place)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and sorted(tmp_path.rglob("*")) == before


# The command


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "no such folder"),
        (["data", "--exclude", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["data", "--test", "nowhere"], "nowhere: no such folder"),
        (["data", "--test", "empty"], "no pictures in empty"),
        (["data", "--output", "nowhere/check.html"], "nowhere/check.html"),
        (["data", "--output", "mine.txt"], "mine.txt: is there already, and no page"),
        (["data", "--output", "empty"], "empty: is a folder; expected a file"),
        (["data", "--output", "new", "--problems", "new"], "new: is to be written twice"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capsys, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    data_folder(tmp_path).load()
    assert main(["check", *arguments]) == 2
    assert (tmp_path / "mine.txt").read_text() == "mine"
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1


def test_the_check_takes_what_a_training_takes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = data_folder(tmp_path, 30)
    folder.plates[-1] = "29.png,京T29"
    folder.load()
    options = ["--seed", "7", "--characters", "沪\U000f0000", "--set", "joint.steps=12", "--preset", "small"]
    assert main(["check", "data", *options]) == 0
    checked = capsys.readouterr().out
    assert train.main(["--data", "data", "--check", *options]) == 0
    assert capsys.readouterr().out == checked
    assert "drawn with seed 7" in checked and "12 of finding and reading" in checked
    assert "starts from nothing" in checked and "from nothing: no label and no font has it: \U000f0000" in checked
    assert main(["check", "data"]) == 0
    other = capsys.readouterr().out
    assert "drawn with seed 0" in other and "the weights of" in other and "沪" not in other
    seeds = [check_data(DataSource(folder.path, seed=seed)).loaded.dataset.img_ids("crops") for seed in (0, 7)]
    assert seeds[0] == seeds[1]


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (["--set", "joint.step=1"], "--set"),
        (["--seed", "-1"], "--seed: setting seed: -1; expected a whole number from 0 to"),
        (["--seed", "4294967296"], "--seed: setting seed: 4294967296"),
        (["--weights", "nowhere.keras"], "nowhere.keras"),
        (["--font", "nowhere.ttf"], "nowhere.ttf"),
        (["--text-column", "words"], "no table has the column 'words'"),
    ],
)
def test_what_a_training_refuses_the_check_refuses(tmp_path, capsys, monkeypatch, option, reason):
    monkeypatch.chdir(tmp_path)
    data_folder(tmp_path).load()
    for command in (["check", "data"], ["train", "--data", "data"]):
        assert main([*command, *option]) == 2
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1


def test_held_out_texts_that_no_model_can_write_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = data_folder(tmp_path)
    folder.validation = [f"1.png,{BOX_TEXT},冀T01", f"2.png,{BOX_TEXT},2T02"]
    folder.plates[1] = "1.png,冀T01"
    folder.load()
    assert main(["check", "data"]) == 0
    assert "2 held-out texts cannot be written" in capsys.readouterr().out
    assert main(["check", "data", "--characters", "冀12"]) == 0
    assert "cannot be written" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("crops", "words"), [(4, "boxes: finding is measured, reading is not"), (24, "readings on photo")]
)
def test_what_is_measured_is_said_where_hardly_any_text_is_known(tmp_path, capsys, monkeypatch, crops, words):
    monkeypatch.chdir(tmp_path)
    folder = data_folder(tmp_path, 24)
    folder.plates = folder.plates[:crops]
    folder.load()
    assert main(["check", "data"]) == 0
    assert words in capsys.readouterr().out


def test_data_of_which_nothing_is_usable_is_refused(tmp_path):
    folder = Folder(tmp_path)
    folder.load()
    for path in (tmp_path / "plates").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="0 texts are left to train on"):
        check_data(tmp_path)


# The page


def test_the_page_needs_nothing_else_and_runs_nothing(checked, tmp_path):
    write_page(checked, tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:)', page) and "<script" not in page and "<b>gone" not in page
    assert "default-src 'none'" in page
    assert "<rect" in page
    views = sum(len(group) for found in checked.findings for group in found.examples)
    assert page.count('src="data:image/jpeg;base64,') == views > 10


def test_the_page_shows_a_crop_as_it_is_then_mended_then_in_its_photograph(checked, tmp_path):
    write_page(checked, tmp_path / "check.html")
    part = (tmp_path / "check.html").read_text().split("<h3>Red and blue</h3>")[1]
    jpegs = re.findall(r'base64,(.*?)"', part)[:3]
    crop, mended, photograph = (np.array(Image.open(io.BytesIO(base64.b64decode(jpeg))), "int16") for jpeg in jpegs)
    assert crop.shape == mended.shape == photograph.shape == (30, 90, 3)
    assert np.abs(mended - photograph).mean() < 20 < np.abs(crop - photograph).mean()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_page_in_a_browser(checked, tmp_path):
    write_page(checked, tmp_path / "check.html")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *options, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "check.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    cells = re.findall(r"<td>(.*?)</td>", done.stdout, re.DOTALL)
    assert [cells[cells.index(value) - 1] for value in ("5.png", "&lt;b&gt;gone.png", "9T99")] == ["7", "19", "14"]
    assert len(re.findall(r'class="wrong problem"', done.stdout)) == 5
    assert len(re.findall(r'class="change problem"', done.stdout)) == 1
    assert len(re.findall(r'class="finding', done.stdout)) == len(checked.findings) == 10
