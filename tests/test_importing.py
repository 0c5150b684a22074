"""Labels in any form become a data folder of ours, and COCO files again, and not a plate or a letter is lost."""

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from label_files import (
    CROPS,
    HELD,
    LARGE,
    PLATES,
    SMALL,
    WRITERS,
    save_photographs,
    save_picture,
    write_coco,
    write_csv,
    write_fast_plate_ocr,
    write_json,
    write_table,
)
from PIL import Image

from lpr_e2e.cli import main
from lpr_e2e.commands.arguments import add_label_options, label_options
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_folder
from lpr_e2e.data.exporting import export_labels
from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.importing import import_labels
from lpr_e2e.data.labels import LabelOptions
from lpr_e2e.data.resolving import resolve
from lpr_e2e.data.tables import DatasetError, read_table

COLUMNS = ("img_id", "ymin", "xmin", "ymax", "xmax", "text")


def resolved(source, **options):
    said = LabelOptions(**options)
    return resolve(read_labels(source, said), said)


def imported(source, folder, **options):
    return import_labels(folder, resolved(source, **options), source)


def plates_of(labelled, texts=True):
    """By photograph: whether it is held out, and its plates from above, boxes rounded to half a pixel."""
    return {
        one.img_id.rpartition("/")[2]: (
            one.held,
            sorted((*(round(2 * value) / 2 for value in row.box_px), texts and row.text or "") for row in one.plates),
        )
        for one in labelled.photographs
    }


def crops_of(labelled):
    return {one.row.img_id.rpartition("/")[2]: one.row.text for one in labelled.crops}


def truth(texts=True):
    return {
        name: (name in HELD, sorted((*map(float, box), texts and text or "") for box, text in plates))
        for name, plates in PLATES.items()
    }


# Round trips


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "fast_plate_ocr"])
def test_nothing_is_lost_on_the_way_to_ours_to_coco_and_back(form, tmp_path, capsys):
    WRITERS[form](tmp_path / "source")
    write_csv(tmp_path / "source" / "crops.csv", ("img_id", "text"), CROPS.items())
    for seed, name in enumerate(CROPS):
        save_picture(tmp_path / "source" / "crops" / name, 50 + seed, 30, 90)
    source, ours, coco, again = (tmp_path / name for name in ("source", "ours", "coco", "again"))
    coco.mkdir()
    pictures = (ours / "photographs", ours / "crops")
    for words in (
        ["import", "auto", source, ours],
        ["export-labels", ours, coco / "labels.json"],
        ["import", "coco", coco, again, "--pictures", *pictures],
    ):
        assert main([str(word) for word in words]) == 0, capsys.readouterr().err
    expected = truth(texts=form != "yolo")
    for folder in (source, ours, coco, again):
        labelled = resolved(folder, pictures=pictures if folder == coco else ())
        assert plates_of(labelled, texts=form != "yolo") == expected, folder
        assert crops_of(labelled) == CROPS, folder
    assert sorted(path.name for path in coco.iterdir()) == [
        "labels.crops.csv", "labels.json", "labels.validation.json",
    ]  # fmt: skip


def test_crops_alone_are_imported(tmp_path):
    write_fast_plate_ocr(tmp_path / "source")
    found = imported(tmp_path / "source", tmp_path / "data")
    assert found.counts.crops == 2 and not found.problems
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["crops", "crops.csv"]
    assert crops_of(resolved(tmp_path / "data")) == CROPS
    with pytest.raises(UserError, match="no photographs to write"):
        export_labels(tmp_path / "labels.json", resolved(tmp_path / "data"))


# What libraries write


def globox_set(gx):
    boxes = {
        name: [gx.BoundingBox(label="plate", xmin=b[1], ymin=b[0], xmax=b[3], ymax=b[2]) for b, _ in plates]
        for name, plates in PLATES.items()
    }
    return gx.AnnotationSet(gx.Annotation(image_id=n, image_size=(200, 160), boxes=b) for n, b in boxes.items())


@pytest.mark.parametrize("form", ["coco", "yolo", "voc", "cvat"])
def test_what_globox_writes_is_read(form, tmp_path):
    gx = pytest.importorskip("globox")
    written = globox_set(gx)
    save_photographs(tmp_path / "images")
    if form == "coco":
        written.save_coco(tmp_path / "labels.json", auto_ids=True)
    elif form == "cvat":
        written.save_cvat(tmp_path / "annotations.xml")
    else:
        folder = tmp_path / {"yolo": "labels", "voc": "Annotations"}[form]
        folder.mkdir()
        if form == "yolo":
            written.save_yolo_v5(folder, label_to_id={"plate": 0})
        else:
            written.save_pascal_voc(folder)
    assert f"Labels: {form} (" in read_labels(tmp_path)[0].notes[0]
    found = plates_of(resolved(tmp_path), texts=False)
    assert {name: plates for name, (_, plates) in found.items()} == {n: p for n, (_, p) in truth(texts=False).items()}


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_what_supervision_writes_is_read(form, tmp_path):
    """Its VOC counts pixels from 1, which no file says: boxes begin one pixel further."""
    sv = pytest.importorskip("supervision")
    save_photographs(tmp_path / "pictures")
    annotations = {
        str(tmp_path / "pictures" / name): sv.Detections(
            xyxy=np.array([(b[1], b[0], b[3], b[2]) for b, _ in plates], float).reshape(-1, 4),
            class_id=np.zeros(len(plates), int),
        )
        for name, plates in PLATES.items()
    }
    written = sv.DetectionDataset(classes=["plate"], images=list(annotations), annotations=annotations)
    data = tmp_path / "data"
    if form == "coco":
        written.as_coco(images_directory_path=str(data / "images"), annotations_path=str(data / "labels.json"))
    elif form == "yolo":
        written.as_yolo(str(data / "images"), str(data / "labels"), str(data / "data.yaml"))
    else:
        written.as_pascal_voc(str(data / "JPEGImages"), str(data / "Annotations"))
    found = plates_of(resolved(data), texts=False)
    shift = np.array([1, 1, 0, 0] if form == "voc" else [0] * 4)
    assert found.keys() == PLATES.keys()
    for name, (_, plates) in found.items():
        expected = sorted(box for box, _ in PLATES[name])
        np.testing.assert_array_equal([plate[:4] for plate in plates], [np.add(box, shift) for box in expected])


def test_pycocotools_reads_what_is_exported(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    write_table(tmp_path / "data")
    exported = export_labels(tmp_path / "labels.json", resolved(tmp_path / "data"))
    assert exported.files == [tmp_path / "labels.json", tmp_path / "labels.validation.json"]
    read = {}
    for path in exported.files:
        index = coco.COCO(str(path))
        assert [one["name"] for one in index.loadCats(index.getCatIds())] == ["license_plate"]
        for image in index.loadImgs(index.getImgIds()):
            assert (image["height"], image["width"]) == (160, 200)
            found = index.loadAnns(index.getAnnIds(imgIds=[image["id"]]))
            read[image["file_name"]] = [(one["bbox"], one.get("attributes", {}).get("text")) for one in found]
    assert read == {
        name: [([b[1], b[0], b[3] - b[1], b[2] - b[0]], text) for b, text in plates] for name, plates in PLATES.items()
    }


def test_a_photograph_that_exif_turns_is_exported_as_it_is_seen(tmp_path):
    write_csv(tmp_path / "plates.csv", COLUMNS, [("0.jpg", 10, 20, 30, 90, "1T1")])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 160)).save(tmp_path / "0.jpg", exif=exif)
    export_labels(tmp_path / "labels.json", resolved(tmp_path, exif="after"))
    (image,) = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))["images"]
    assert (image["width"], image["height"]) == (160, 200)


@pytest.mark.parametrize("name", ["labels.json", "labels.validation.json"])
def test_an_export_overwrites_nothing(name, tmp_path):
    write_table(tmp_path / "data")
    (tmp_path / name).write_text("precious")
    with pytest.raises(UserError, match=f"{name}: is there already"):
        export_labels(tmp_path / "labels.json", resolved(tmp_path / "data"))
    assert [path.name for path in tmp_path.glob("labels*")] == [name] and (tmp_path / name).read_text() == "precious"
    with pytest.raises(UserError, match="expected a name that ends in .json"):
        export_labels(tmp_path / "labels.csv", resolved(tmp_path / "data"))


# What an import writes


def test_an_import_writes_pictures_as_they_are_and_tables_of_all_plates(tmp_path):
    write_coco(tmp_path / "source")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = imported(tmp_path / "source", tmp_path / "data")
    counts = found.counts
    assert (counts.photographs, counts.held_photographs, counts.plates, counts.texts) == (4, 2, 7, 6)
    assert counts.without_plate == 1 and not found.problems
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "no_plates.csv", "photographs", "photographs.csv", "validation.csv",
    ]  # fmt: skip
    for name in PLATES:
        assert (tmp_path / "data/photographs" / name).read_bytes() == before[tmp_path / "source/images" / name]
    assert all(path.read_bytes() == content for path, content in before.items())
    lines = (tmp_path / "data/photographs.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "img_id,ymin,xmin,ymax,xmax,text" and all(",,," not in line for line in lines)
    assert (tmp_path / "data/no_plates.csv").read_text(encoding="utf-8").splitlines() == ["img_id,box", "3.png,"]
    assert "1.png,60,40,90,130,سطن٧١٢٦" in lines and "2.png,10,20,22,60,粤BA9H07" in lines
    assert (tmp_path / "data/validation.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        "4.png,60,40,90,130,B1876UYP", "4.png,10,20,22,60,", "5.png,60,40,90,130,AB12",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (("", *LARGE, "1"), "empty name"),
        (("../../secret.png", *LARGE, "1"), None),
        (("nowhere.png", *LARGE, "1"), "missing picture"),
        (("new.png", "60", "40", "90", "wide", "1"), "non-numeric box"),
        (("new.png", "", "", "", "", "1"), "text without a box"),
        (("new.png", *LARGE, "1", "2"), "too many values"),
        (("new.png", 90, 40, 60, 130, "1"), "inside-out box"),
        (("0.png", *LARGE, "169T9685"), "duplicate row"),
    ],
)
def test_rows_that_cannot_be_used_are_named_and_the_others_are_used(row, kind, tmp_path):
    rows = [(name, *box, text) for name, plates in PLATES.items() for box, text in plates]
    write_csv(tmp_path / "source/labels.csv", COLUMNS, [rows[0], row, *rows[1:]])
    save_photographs(tmp_path / "source/pictures")
    save_picture(tmp_path / "source/pictures/new.png", 50)
    save_picture(tmp_path / "secret.png", 51)
    found = imported(tmp_path / "source", tmp_path / "data")
    [problem] = found.problems
    assert (problem.file, problem.row) == ("labels.csv", 3) and kind in (None, problem.kind)
    [(_, listed)] = read_table(tmp_path / "data" / "problems.csv").records
    assert (listed["file"], listed["row"], listed["kind"]) == ("labels.csv", "3", problem.kind)
    assert f"1 x {problem.kind}" in found.summary() and f"labels.csv, row 3: {problem.kind}" in found.summary()
    copied = {path.name for path in (tmp_path / "data/photographs").iterdir()}
    assert copied == set(PLATES) - {"3.png"}


def test_a_photograph_of_which_a_plate_is_lost_is_not_complete(tmp_path):
    """That plate must not be taught as background."""
    rows = [("0.png", *LARGE, "1T1"), ("0.png", *SMALL[:3], "wide", "2T2"), ("1.png", *LARGE, "3T3")]
    write_csv(tmp_path / "source/labels.csv", COLUMNS, rows)
    save_photographs(tmp_path / "source/pictures")
    assert {one.img_id: one.complete for one in resolved(tmp_path / "source").photographs} == {
        "0.png": False, "1.png": True,
    }  # fmt: skip
    assert "1 photograph with a plate whose label" in imported(tmp_path / "source", tmp_path / "data").summary()


def test_labels_without_any_text_are_imported_and_it_is_said(tmp_path):
    write_csv(tmp_path / "source/labels.csv", COLUMNS, [(name, *LARGE, "") for name in PLATES])
    save_photographs(tmp_path / "source/pictures")
    assert "No plate has a text" in imported(tmp_path / "source", tmp_path / "data").summary()


def test_what_is_named_to_hold_out_is_held_out(tmp_path):
    rows = [(name, *LARGE, f"{number}T1") for number, name in enumerate(PLATES)]
    write_csv(tmp_path / "source/labels.csv", COLUMNS, rows)
    write_csv(tmp_path / "source/other/more.csv", COLUMNS, [(*rows[0][:5], "0T1"), rows[1]])
    save_photographs(tmp_path / "source/pictures")
    words = [str(tmp_path / name) for name in ("source/labels.csv", "data", "source/other/more.csv", "source/pictures")]
    assert main(["import", "auto", *words[:2], "--validation", words[2], "--pictures", words[3]]) == 0
    assert {name for name, (held, _) in plates_of(resolved(tmp_path / "data")).items() if held} == {"0.png", "1.png"}


def test_pictures_of_one_name_in_two_folders_are_two_pictures(tmp_path):
    for part, seeds in (("train", range(3)), ("valid", range(3, 6))):
        rows = [(f"{seed % 3}.png", *LARGE, f"{seed}T{seed}") for seed in seeds]
        write_csv(tmp_path / "source" / part / "labels.csv", COLUMNS, rows)
        for seed in seeds:
            save_picture(tmp_path / "source" / part / f"{seed % 3}.png", seed)
    found = imported(tmp_path / "source", tmp_path / "data")
    assert (found.counts.photographs, found.counts.held_photographs) == (3, 3)
    for one in resolved(tmp_path / "data").photographs:
        seed = int(one.plates[0].text[0])
        part = "train" if seed < 3 else "valid"
        assert one.held == (part == "valid")
        assert one.path.read_bytes() == (tmp_path / "source" / part / f"{seed % 3}.png").read_bytes()


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "a.png/b.png", "a.png/a.png/b.png"),
        ("A.PNG/b.png", "a.png", "other/a.png/c.png"),
        ("e\u0301.png", "\u00e9.png", "\u00c9.png/x.png"),
    ],
)
def test_a_picture_that_is_called_like_a_folder_is_copied_beside_it(names, tmp_path):
    """Labels name them alike, whatever folders they lie in."""
    rows = [(f"{number}/{name}", *LARGE, f"{number}T{number}") for number, name in enumerate(names)]
    write_csv(tmp_path / "source" / "labels.csv", COLUMNS, rows)
    for number, name in enumerate(names):
        save_picture(tmp_path / "source" / str(number) / name, number)
    labelled = resolve(read_labels(tmp_path / "source"))
    shorter = [replace(one, img_id=one.img_id.partition("/")[2]) for one in labelled.photographs]
    import_labels(tmp_path / "data", replace(labelled, photographs=shorter), tmp_path / "source")
    found = resolved(tmp_path / "data").photographs
    assert {one.plates[0].text for one in found} == {f"{number}T{number}" for number in range(len(names))}
    for one in found:
        number = int(one.plates[0].text[0])
        assert one.path.read_bytes() == (tmp_path / "source" / str(number) / names[number]).read_bytes()


@pytest.mark.parametrize("name", ["=1.png", "-2.png", "@3.png", "+4.png", "\uff1d5.png", "cr\ra.png", "a\u2028b.png"])
def test_names_are_cells_of_our_tables_and_lead_back_to_their_pictures(name, tmp_path):
    write_csv(tmp_path / "source/labels.csv", COLUMNS, [("plain.png", *LARGE, "1T1"), ("odd.png", *LARGE, "2T2")])
    save_picture(tmp_path / "source/plain.png", 1)
    save_picture(tmp_path / "source/odd.png", 2)
    labelled = resolve(read_labels(tmp_path / "source"))
    odd = [replace(one, img_id=name) if one.img_id == "odd.png" else one for one in labelled.photographs]
    import_labels(tmp_path / "data", replace(labelled, photographs=odd), tmp_path / "source")
    table = pd.read_csv(tmp_path / "data/photographs.csv", dtype=str, keep_default_na=False)
    cells = table["img_id"].tolist()
    assert cells[0] == "plain.png" and cells[1].removeprefix("./") == name
    assert not any(cell.startswith(("=", "+", "-", "@", "\uff1d")) for cell in cells)
    (found,) = [one for one in resolved(tmp_path / "data").photographs if one.plates[0].text == "2T2"]
    assert found.path.read_bytes() == (tmp_path / "source/odd.png").read_bytes()


def test_pictures_that_show_no_plate_are_added(tmp_path):
    write_table(tmp_path / "source")
    save_picture(tmp_path / "empty/street/9.png", 9)
    found = imported(tmp_path / "source", tmp_path / "data", no_plates=tmp_path / "empty")
    assert found.counts.without_plate == 2
    assert plates_of(resolved(tmp_path / "data"))["9.png"] == (False, [])


def test_pictures_that_are_nowhere_are_said_in_one_line(tmp_path, capsys):
    write_table(tmp_path / "source")
    shutil.rmtree(tmp_path / "source/photographs")
    assert main(["import", "table", str(tmp_path / "source"), str(tmp_path / "data")]) == 2
    error = capsys.readouterr().err
    assert "--pictures" in error and error.count("\n") == 1 and not (tmp_path / "data").exists()


def test_options_that_are_wrong_are_said(tmp_path, capsys):
    write_coco(tmp_path / "source")
    places = [str(tmp_path / "source"), str(tmp_path / "data")]
    assert main(["import", "coco", *places, "--text-column", "says"]) == 2
    assert "no table has the column 'says'; found no table" in capsys.readouterr().err
    assert main(["import", "table", *places]) == 2
    assert "no labels that are known; found" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["import", "nothing", *places])
    assert "choose from auto, fast_plate_ocr, table" in capsys.readouterr().err.replace("'", "")


def test_every_option_reaches_the_labels(tmp_path):
    """`train` and `check` take them, too, with the form and whether labels are complete."""
    parser = argparse.ArgumentParser()
    add_label_options(parser)
    assert label_options(parser.parse_args([])) == LabelOptions()
    words = [
        *("--form voc --boxes rel_xyxy --exif before --picture-column p --box-columns a b c d --text-column t").split(),
        *("--text-key k --category c --pictures x y --labels partial --no-plates n --validation v").split(),
    ]
    assert label_options(parser.parse_args(words)) == LabelOptions(
        "voc", "rel_xyxy", "before", "p", ("a", "b", "c", "d"), "t", "k", "c", (Path("x"), Path("y")), "partial",
        Path("n"), Path("v"),
    )  # fmt: skip
    without = argparse.ArgumentParser()
    add_label_options(without, training=False)
    assert {"form", "labels"}.isdisjoint(vars(without.parse_args([])))


# Nothing is overwritten, and what is not whole is not there


@pytest.mark.parametrize("place", ["full", "file"])
def test_nothing_that_exists_is_overwritten(tmp_path, capsys, place):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    (tmp_path / "file").write_text("precious")
    write_table(tmp_path / "source")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert main(["import", "table", str(tmp_path / "source"), str(tmp_path / place)]) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "source")
    imported(tmp_path / "source", tmp_path / "data")
    assert plates_of(resolved(tmp_path / "data")) == truth()


@pytest.mark.parametrize("exists", [True, False])
def test_after_a_full_disk_everything_is_as_before(tmp_path, monkeypatch, exists):
    if exists:
        (tmp_path / "data").mkdir()
    write_table(tmp_path / "source")
    before = sorted(tmp_path.rglob("*"))
    copy, copied = shutil.copyfile, []

    def fail_at_the_third(*paths):
        copied.append(paths)
        if len(copied) == 3:
            raise OSError(28, "No space left on device")
        copy(*paths)

    monkeypatch.setattr(shutil, "copyfile", fail_at_the_third)
    with pytest.raises(OSError, match="No space left"):
        imported(tmp_path / "source", tmp_path / "data")
    assert len(copied) == 3 and sorted(tmp_path.rglob("*")) == before


def test_an_export_to_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    write_table(tmp_path / "data")
    labelled = resolved(tmp_path / "data")

    def fail(path, *_, **__):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    with pytest.raises(OSError, match="No space left"):
        export_labels(tmp_path / "labels.json", labelled)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_labels_of_which_nothing_is_usable_say_what_was_left_aside(tmp_path):
    tasks = [{"id": 1, "data": {"image": "0.png"}, "annotations": [], "predictions": [{"result": []}]}]
    write_json(tmp_path / "source/tasks.json", tasks)
    save_photographs(tmp_path / "source/pictures")
    with pytest.raises(UserError, match=r"expected some to train on.*1 task without an annotation left aside"):
        imported(tmp_path / "source", tmp_path / "data")


@pytest.mark.parametrize("held", [True, False])
def test_labels_of_which_nothing_is_usable_are_refused(held, tmp_path):
    faulty = [(name, 90, 40, 60, 130, "1") for name in PLATES]
    good = [(name, *LARGE, "1T1") for name in PLATES]
    write_csv(tmp_path / "source/labels.csv", COLUMNS, good if held else faulty)
    save_photographs(tmp_path / "source/pictures")
    if held:
        write_csv(tmp_path / "source/validation.csv", COLUMNS, [("x" + row[0], *row[1:]) for row in faulty])
        for name in PLATES:
            save_picture(tmp_path / "source/pictures" / f"x{name}", 9)
    with pytest.raises(UserError, match=r"first of \d+ problems: (labels|validation).csv, row 2: inside-out box"):
        imported(tmp_path / "source", tmp_path / "data")
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
    with pytest.raises(DatasetError, match="part: left by a process that fills this folder, or was ended"):
        read_labels(tmp_path / "data")
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
