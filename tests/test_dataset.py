"""A data folder is read whatever is wrong with it, every fault is named, and no plate is on both sides of a split."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.common.images import PictureError, read_picture, read_size
from lpr_e2e.data.dataset import DataSource, load, load_dataset
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.data.tables import DatasetError

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "tunisia"
BOX = (60, 40, 90, 130)
BOX_TEXT = ",".join(map(str, BOX))


def picture(seed, height=160, width=200):
    """A photograph of coloured blotches, uint8 RGB."""
    blotches = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, 3), "uint8")
    return np.array(Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC))


def plate(seed, box=BOX):
    ymin, xmin, ymax, xmax = box
    return picture(seed)[ymin:ymax, xmin:xmax]


class Folder:
    """A data folder of 8 photographs `0.png` ...; crop `N.png` is cut from photograph N and says `NT0N`."""

    def __init__(self, path, photographs=8):
        self.path = path
        self.cars = [f"{seed}.png,{BOX_TEXT}" for seed in range(photographs)]
        self.plates = [f"{seed}.png,{seed}T0{seed}" for seed in range(photographs)]
        self.validation = None
        for seed in range(photographs):
            self.save(f"cars/{seed}.png", picture(seed))
            self.save(f"plates/{seed}.png", plate(seed))

    def save(self, name, pixels):
        (self.path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(self.path / name)

    def write(self, name, header, rows, encoding="utf-8"):
        (self.path / name).write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
        return self.path / name

    def load(self, **options):
        self.write("cars.csv", "img_id,ymin,xmin,ymax,xmax", self.cars)
        self.write("plates.csv", "img_id,text", self.plates)
        if self.validation is not None:
            self.write("validation.csv", "img_id,ymin,xmin,ymax,xmax,text", self.validation)
        return load_dataset(self.path, **options)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def ids(samples):
    return sorted(sample.img_id for sample in samples)


def texts_of(photographs):
    """The text of the only plate of each photograph, by img_id."""
    return {one.img_id: plate.text for one in photographs for plate in one.plates}


def only_problem(dataset, kind):
    [problem] = [problem for problem in dataset.problems if problem.kind == kind]
    return problem


# Reading pictures


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F"])
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    grey = np.full((20, 30), 200, "uint8")
    if mode == "I;16":
        image = Image.fromarray(grey.astype("uint16") * 256)
    else:
        image = Image.fromarray(grey).convert(mode)
    path = tmp_path / ("picture.tif" if mode in ("CMYK", "F", "I") else "picture.png")
    image.save(path)
    pixels = read_picture(path)
    assert pixels.shape == (20, 30, 3) and pixels.dtype == np.uint8 and pixels.flags.writeable
    # One bit is dithered.
    assert abs(int(pixels.mean()) - 200) <= (12 if mode == "1" else 2)


@pytest.mark.parametrize(
    ("kind", "white"),
    [
        *(("float32", white) for white in (1, 255, 65535, 1e6)),
        *(("int32", white) for white in (255, 65535, 2**31 - 1)),
        *(("uint16", white) for white in (255, 1023, 4095, 16383, 65535)),
    ],
)
def test_the_brightest_of_long_numbers_says_what_is_white(tmp_path, kind, white):
    """Scanners, thermal cameras and programs write floats of 0..1, and whole numbers of more than 16 bits."""
    values = np.linspace(0, white, 256).astype(kind).reshape(16, 16)
    if kind == "float32":
        values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "picture.tif")
    expected = np.arange(256).reshape(16, 16)
    np.testing.assert_allclose(read_picture(tmp_path / "picture.tif")[..., 0], expected, atol=1)


def test_a_dark_picture_of_whole_numbers_stays_dark(tmp_path):
    """Only floats have 1 for white; and no camera has fewer than 8 bits."""
    Image.fromarray(np.full((8, 8), 1, "int32")).save(tmp_path / "dark.tif")
    assert (read_picture(tmp_path / "dark.tif") == 1).all()
    Image.fromarray(np.full((8, 8), 1000, "uint16")).save(tmp_path / "dim.tif")
    assert (read_picture(tmp_path / "dim.tif") == 250).all()  # Of 10 bits.


@pytest.mark.parametrize("named", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("form", ["PCX", "SGI", "TGA", "ICO", "ICNS", "DDS", "QOI", "EPS", "MSP"])
def test_other_formats_are_no_pictures_whatever_they_are_called(tmp_path, form, named, monkeypatch):
    """Of Pillow's forty formats some start a program, or hold a picture past all limits."""
    path = tmp_path / f"picture{named}"
    Image.new("RGB", (64, 48), (90, 120, 150)).convert("1" if form == "MSP" else "RGB").save(path, form)
    with Image.open(path) as image:  # By itself, Pillow takes it.
        assert image.format == form
    monkeypatch.setattr(
        "subprocess.Popen", lambda *arguments, **more: pytest.fail(f"a program is started: {arguments}")
    )
    for read in (read_picture, read_size, lambda path: read_picture(path.read_bytes())):
        with pytest.raises(PictureError, match="not a picture"):
            read(path)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "MPO"])
def test_what_cameras_and_programs_write_is_read_whatever_it_is_called(tmp_path, form):
    path = tmp_path / "picture.dat"
    Image.new("RGB", (64, 48), (90, 120, 150)).save(path, form)
    np.testing.assert_allclose(read_picture(path).mean((0, 1)), (90, 120, 150), atol=6)
    assert read_size(path).stored == (48, 64)


def test_a_limit_that_the_program_gave_pillow_is_named(tmp_path, monkeypatch):
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    for limit in (None, Image.MAX_IMAGE_PIXELS):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert read_picture(tmp_path / "a.png").ndim == 3
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(PictureError, match="MAX_IMAGE_PIXELS of this program"):
        read_picture(tmp_path / "a.png")


def test_channels_are_red_green_blue(tmp_path):
    Image.new("RGB", (8, 8), (250, 100, 3)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png")[0, 0].tolist() == [250, 100, 3]


def test_transparent_parts_become_white(tmp_path):
    Image.new("RGBA", (8, 8), (250, 100, 3, 0)).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") == 255).all()


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = picture(1)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    read = read_picture(tmp_path / "a.jpg")
    assert read.shape == (200, 160, 3)
    assert np.abs(read.astype(int) - np.rot90(pixels, 3)).mean() < 10


def test_names_with_accents_and_any_extension(tmp_path):
    path = tmp_path / "été تونس.picture"
    Image.fromarray(picture(1)).save(path, format="JPEG")
    assert read_picture(str(path)).shape == (160, 200, 3)


def jpeg_bytes():
    buffer = io.BytesIO()
    Image.fromarray(picture(1)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty file"),
        (b"img_id,text\n", "not a picture"),
        (jpeg_bytes()[:-2000], "truncated"),
        (jpeg_bytes()[:30], "truncated|damaged|not a picture"),
        (None, "missing file"),
    ],
)
def test_unusable_files_are_refused_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=reason):
        read_picture(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_001, 13_500])
def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, side):
    Image.new("1", (side, side)).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="too large: expected at most 100 megapixels"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(("scans", "refused"), [(0, False), (20, False), (600, True)])
def test_a_jpeg_that_would_take_minutes_is_refused_before_it_is_decoded(tmp_path, monkeypatch, scans, refused):
    Image.new("RGB", (2000, 2000), (90, 120, 150)).save(tmp_path / "a.jpg", progressive=True)
    data = (tmp_path / "a.jpg").read_bytes()
    assert data.count(b"\xff\xda") >= 3
    last = data[data.rindex(b"\xff\xda") : -2]
    (tmp_path / "a.jpg").write_bytes(data[:-2] + last * scans + data[-2:])
    if refused:
        monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
        with pytest.raises(PictureError, match="JPEG of 6[0-9][0-9] scans and 2000 x 2000 pixels"):
            read_picture(tmp_path / "a.jpg")
    else:
        np.testing.assert_allclose(read_picture(tmp_path / "a.jpg").mean((0, 1)), (90, 120, 150), atol=3)


def test_a_folder_is_not_a_picture(tmp_path):
    with pytest.raises(PictureError):
        read_picture(tmp_path)


@pytest.mark.skipif(os.name == "nt" or getattr(os, "geteuid", lambda: 0)() == 0, reason="the user may read everything")
def test_unreadable_file(tmp_path):
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(PictureError, match="unreadable"):
        read_picture(tmp_path / "a.png")


# Finding tables and folders


def test_photographs_get_the_texts_of_the_crops_cut_from_them(folder):
    folder.plates.pop(3)
    dataset = folder.load(validation_share=0)
    texts = texts_of(dataset.photographs)
    assert texts == {f"{seed}.png": None if seed == 3 else f"{seed}T0{seed}" for seed in range(8)}
    assert (
        dataset.photographs[0].plates[0].box_px == BOX and dataset.photographs[0].path == folder.path / "cars" / "0.png"
    )
    assert not dataset.problems and not dataset.validation_photographs


def test_tables_are_known_by_their_columns_not_their_names(folder):
    folder.write(
        "one.csv", " IMG_ID ;ymin;xmin;ymax;xmax", [row.replace(",", "; ") for row in folder.cars], "utf-8-sig"
    )
    folder.write("two.csv", "text\timg_id", ["\t".join(row.split(",")[::-1]) for row in folder.plates])
    folder.write("form.csv", "id,0,1", ["a,0,1"])
    folder.write("ids.csv", "img_id", ["0.png"])
    (folder.path / "cars").rename(folder.path / "photos")
    (folder.path / "photos" / "extra.png").write_bytes(b"")
    (folder.path / "plates" / "7.png").unlink()
    (folder.path / "test").mkdir()
    dataset = load_dataset(folder.path, validation_share=0)
    assert len(dataset.photographs) == 8 and dataset.photographs[0].path.parent.name == "photos"
    assert len(dataset.crops) == 7 and dataset.crops[1].text == "1T01"


def test_the_folder_with_the_name_of_the_table_is_taken(folder):
    for seed in range(8, 12):  # The other folder has more of the named pictures.
        folder.save(f"plates/{seed}.png", picture(seed))
        folder.cars.append(f"{seed}.png,{BOX_TEXT}")
    dataset = folder.load(validation_share=0)
    assert {one.path.parent.name for one in dataset.photographs} == {"cars"}
    assert {one.path.parent.name for one in dataset.crops} == {"plates"}


def test_a_test_folder_is_never_taken(folder):
    (folder.path / "cars").rename(folder.path / "test")
    with pytest.raises(DatasetError, match="cars.csv: no folder with its 8 pictures.*expected a folder cars"):
        folder.load()


@pytest.mark.parametrize(
    "header, found",
    [
        ("img_id,label", "plates.csv (img_id, label)"),
        ("", "plates.csv ()"),
        ("number,text", "plates.csv (number, text)"),
    ],
)
def test_a_missing_column_stops_with_what_was_found(folder, header, found):
    folder.load()
    folder.write("plates.csv", header, [])
    with pytest.raises(DatasetError) as error:
        load_dataset(folder.path)
    assert "a CSV with the columns img_id, text" in str(error.value) and found in str(error.value)
    assert "\n" not in str(error.value)


def test_two_tables_of_one_kind_are_both_read_and_their_contradictions_named(folder):
    folder.write("plates_old.csv", "img_id,text", [*folder.plates[:7], "7.png,9T99"])
    dataset = folder.load(validation_share=0)
    assert len(dataset.crops) == 7
    found = {(one.file, one.row) for one in dataset.problems if one.kind == "contradictory texts"}
    assert found == {("plates.csv", 9), ("plates_old.csv", 9)}
    assert sum(one.kind == "duplicate row" for one in dataset.problems) == 7


def test_a_table_in_another_encoding_is_named(folder):
    folder.load()
    (folder.path / "plates.csv").write_bytes(b"img_id,text\n\xa7\xe0\xff.png,12\n")
    with pytest.raises(DatasetError, match="plates.csv: expected UTF-8"):
        load_dataset(folder.path)


def test_missing_folder_and_missing_exclusion_list_are_named(folder, tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="nowhere.csv: cannot be read"):
        folder.load(exclude=tmp_path / "nowhere.csv")


# Faulty rows


@pytest.mark.parametrize(
    "row, kind, value",
    [
        (f"nowhere.png,{BOX_TEXT}", "missing picture", "nowhere.png"),
        (f",{BOX_TEXT}", "empty name", ""),
        (f"../plates/0.png,{BOX_TEXT}", "unsafe img_id", "../plates/0.png"),
        (f"/etc/hosts,{BOX_TEXT}", "unsafe img_id", "/etc/hosts"),
        (f"..\\plates\\0.png,{BOX_TEXT}", "unsafe img_id", "..\\plates\\0.png"),
        (f"a\0b.png,{BOX_TEXT}", "unsafe img_id", "a\0b.png"),
        ("new.png,60,40,90,wide", "non-numeric box", "60,40,90,wide"),
        ("new.png,60,40,90,nan", "non-numeric box", "60,40,90,nan"),
        ("new.png,60,40,90", "non-numeric box", "60,40,90,"),
        ("new.png,60,40,90,130,7", "too many values", "7"),
        ("new.png,90,40,60,130", "inside-out box", "90,40,60,130"),
        ("new.png,60,40,60,130", "inside-out box", "60,40,60,130"),
        ("new.png,600,40,690,130", "box outside the picture", "600,40,690,130"),
        ("new.png,60,190,90,280", "box outside the picture", "60,190,90,280"),
        ("new.png,60,40,61,130", "box too thin", "60,40,61,130"),
        (f"0.png,{BOX_TEXT}", "duplicate row", BOX_TEXT),
        (f"0.png,{BOX_TEXT}".replace("60", "60.0"), "duplicate row", BOX_TEXT),
    ],
)
def test_faulty_detection_rows_are_named_and_skipped(folder, row, kind, value):
    folder.save("cars/new.png", picture(50))
    folder.cars.insert(4, row)
    dataset = folder.load(validation_share=0)
    assert ids(dataset.photographs) == [f"{seed}.png" for seed in range(8)]
    [problem] = dataset.problems
    assert (problem.file, problem.kind, problem.value) == ("cars.csv", kind, value)
    # The first of two rows of one photograph is the good one, here the inserted one comes after it.
    assert problem.row == 6
    assert f"row 6: {kind}" in str(problem)


def test_a_box_partly_outside_is_clipped(folder):
    folder.save("cars/new.png", picture(50))
    folder.cars.append("new.png,-10,-2.5,50,90")
    dataset = folder.load(validation_share=0)
    assert dataset.photographs[-1].plates[0].box_px == (0, 0, 50, 90)
    assert "clipped" in only_problem(dataset, "box partly outside").message


@pytest.mark.parametrize(
    "content, kind",
    [(b"", "empty picture"), (b"text", "unusable picture"), (jpeg_bytes()[:-2000], "unusable picture")],
)
def test_unusable_pictures_are_named_and_skipped(folder, content, kind):
    (folder.path / "plates" / "5.png").write_bytes(content)
    (folder.path / "cars" / "6.png").write_bytes(content)
    dataset = folder.load(validation_share=0)
    assert len(dataset.crops) == len(dataset.photographs) == 7
    assert [(problem.file, problem.row, problem.value, problem.kind) for problem in dataset.problems] == [
        ("cars.csv", 8, "6.png", kind),
        ("plates.csv", 7, "5.png", kind),
    ]
    assert f"problems: 2 x {kind}" in dataset.summary().lower()


@pytest.mark.parametrize(
    "row, kind, kept",
    [
        ("0.png,", "empty text", 8),
        ("0.png,  ", "empty text", 8),
        ("0.png,0T00", "duplicate row", 8),
        ("nowhere.png,9T99", "missing picture", 8),
    ],
)
def test_faulty_recognition_rows_are_named(folder, row, kind, kept):
    folder.plates.append(row)
    dataset = folder.load(validation_share=0)
    assert len(dataset.crops) == kept
    assert only_problem(dataset, kind).row == 10


def test_every_row_of_one_crop_with_several_texts_is_named(folder):
    folder.plates += ["0.png,9T99", "0.png,8T88"]
    dataset = folder.load(validation_share=0)
    assert len(dataset.crops) == 7
    problems = [problem for problem in dataset.problems if problem.kind == "contradictory texts"]
    assert [(problem.row, problem.value) for problem in problems] == [(2, "0T00"), (10, "9T99"), (11, "8T88")]


def test_texts_keep_leading_zeros_and_odd_words(folder):
    folder.plates[:3] = ["0.png,007", "1.png, NA12 ", "2.png,1e5"]
    assert [crop.text for crop in folder.load(validation_share=0).crops[:3]] == ["007", "NA12", "1e5"]


def test_a_stray_quote_spoils_one_row_only(folder):
    folder.plates[2] = '"2.png,2T02'
    folder.plates[3] = '"3.png","3T03"'
    dataset = folder.load(validation_share=0)
    assert "2.png" not in ids(dataset.crops) and len(dataset.crops) == 7


def test_blank_lines_do_not_shift_row_numbers(folder):
    folder.plates.insert(0, "")
    folder.plates.append("nowhere.png,1")
    assert only_problem(folder.load(), "missing picture").row == 11


def test_a_character_that_no_other_row_has_is_named_and_stays(folder):
    for seed in range(8, 60):
        folder.save(f"plates/{seed}.png", plate(seed))
        folder.plates.append(f"{seed}.png,{seed % 8}T{seed}")
    folder.plates[2] = "2.png,2X02"
    dataset = folder.load(validation_share=0)
    problem = only_problem(dataset, "rare character")
    assert problem.value == "2X02" and problem.harmless
    assert "2.png" in ids(dataset.crops)


def test_a_few_rows_may_each_have_their_own_characters(folder):
    folder.plates[2] = "2.png,2X02"
    assert not folder.load(validation_share=0).problems


def test_every_plate_of_a_photograph_is_kept_and_an_empty_box_is_a_photograph_without_one(folder):
    folder.save("cars/none.png", picture(50))
    folder.cars += ["0.png,10,10,30,90", "none.png,,,,"]
    dataset = folder.load(validation_share=0)
    assert [plate.box_px for plate in dataset.photographs[0].plates] == [BOX, (10, 10, 30, 90)]
    assert dataset.photographs[-1].plates == () and not dataset.problems


def test_nothing_usable_stops_with_one_line(folder):
    for path in (folder.path / "plates").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="0 texts are left to train on.*plates.csv, row 2") as error:
        folder.load()
    assert "\n" not in str(error.value)


def test_crops_of_one_photograph_with_two_texts_give_it_none(folder):
    folder.save("plates/again.png", plate(4))
    folder.plates.append("again.png,9T99")
    dataset = folder.load(validation_share=0)
    assert texts_of(dataset.photographs)["4.png"] is None
    assert "4.png" in only_problem(dataset, "contradictory texts").message


# Which way up


def test_turns_come_from_the_shape_or_from_a_matching_upright_crop(folder):
    sideways_box = (40, 60, 130, 90)
    for name, seed in (("left", 20), ("unknown", 21)):
        folder.save(f"cars/{name}.png", picture(seed))
        folder.cars.append(f"{name}.png,40,60,130,90")
    folder.save("plates/left.png", np.rot90(plate(20, sideways_box), 3))
    folder.save("plates/turned.png", np.rot90(plate(1), 1))
    folder.save("plates/lost.png", np.rot90(plate(99), 1))
    folder.plates += ["left.png,20T1", "turned.png,1T01", "lost.png,99T1"]
    dataset = folder.load(validation_share=0)
    turns = {one.img_id: one.plates[0].turns for one in dataset.photographs}
    assert (turns["0.png"], turns["left.png"], turns["unknown.png"]) == (0, 3, None)
    turns = {crop.img_id: crop.turns for crop in dataset.crops}
    assert (turns["0.png"], turns["left.png"], turns["turned.png"], turns["lost.png"]) == (0, 0, 3, None)
    # What the contract promises: that many quarter turns put the plate upright.
    np.testing.assert_array_equal(np.rot90(read_picture(folder.path / "plates/turned.png"), 3), plate(1))


# What is held out


def test_validation_table_holds_out_photographs_texts_and_crops_cut_from_them(folder):
    folder.validation = [f"1.png,{BOX_TEXT},1T01", f"2.png,{BOX_TEXT},2T02"]
    folder.plates[2] = "2.png,2T99"  # Mislabelled: cut from a held-out photograph.
    folder.save("plates/other.png", plate(40))
    folder.plates.append("other.png, 1t 01")  # Another picture of a held-out plate.
    dataset = folder.load()
    assert ids(dataset.validation_photographs) == ["1.png", "2.png"]
    assert [*texts_of(dataset.validation_photographs).values()] == ["1T01", "2T02"]
    assert ids(dataset.validation_crops) == ["1.png", "other.png"]
    assert ids(dataset.photographs) == ids(dataset.crops) == ["0.png", "3.png", "4.png", "5.png", "6.png", "7.png"]
    assert only_problem(dataset, "contradicts validation").value == "2T99"
    assert "as the labels say: 2 photographs with 2 plates to read, and 2 crops" in dataset.summary()


def test_a_near_twin_of_a_validation_photograph_gets_no_text(folder):
    folder.save("cars/twin.png", np.clip(picture(1).astype(int) + 3, 0, 255).astype("uint8"))
    folder.cars.append(f"twin.png,{BOX_TEXT}")
    folder.save("plates/twin.png", plate(1))
    folder.plates.append("twin.png,9T99")
    folder.validation = [f"1.png,{BOX_TEXT},1T01"]
    dataset = folder.load()
    assert texts_of(dataset.photographs)["twin.png"] is None
    assert "twin.png" not in ids(dataset.crops)


def test_a_training_photograph_that_shows_a_held_out_plate_gets_no_text(folder):
    folder.plates[5] = "5.png,1T01"
    folder.save("plates/again.png", plate(5))
    folder.plates.append("again.png,9T99")
    folder.validation = [f"1.png,{BOX_TEXT},1T01"]
    dataset = folder.load()
    assert texts_of(dataset.photographs)["5.png"] is None
    assert ids(dataset.validation_crops) == ["1.png", "5.png"] and "again.png" not in ids(dataset.crops)


def test_a_faulty_validation_row_still_leaves_training(folder):
    folder.validation = [f"1.png,{BOX_TEXT},1T01", "2.png,90,40,60,130,2T02"]
    dataset = folder.load()
    assert ids(dataset.validation_photographs) == ["1.png"]
    assert not {"1.png", "2.png"} & set(ids(dataset.photographs) + ids(dataset.crops))
    # What its form refuses is to be held out all the same, with its text.
    folder.validation[1] = "2.png,90,wide,60,130,2T02"
    again = folder.load()
    assert not {"1.png", "2.png"} & set(ids(again.photographs) + ids(again.crops))
    assert ids(again.validation_crops) == ["1.png", "2.png"]
    folder.validation = ["2.png,90,40,60,130,2T02"]
    with pytest.raises(DatasetError, match="0 photographs to validate on.*inside-out box"):
        folder.load()


def test_excluded_crops_are_gone_with_their_texts(folder, tmp_path):
    exclude = folder.write("leave_out.csv", "img_id", ["3.png", "nowhere.png", "5.png"])
    folder.save("plates/again.png", plate(3))
    folder.plates.append("again.png,3T03")
    dataset = folder.load(exclude=exclude, validation_share=0)
    assert not {"3.png", "5.png", "again.png"} & set(ids(dataset.crops))
    assert {name for name, text in texts_of(dataset.photographs).items() if text is None} == {"3.png", "5.png"}
    assert dataset.withheld == {"3t03", "5t05"}
    problem = only_problem(dataset, "unknown img_id")
    assert (problem.file, problem.row, problem.value) == ("leave_out.csv", 3, "nowhere.png")
    assert only_problem(dataset, "excluded text").row == 10
    assert any("leave_out.csv leaves out 2 crops, and 1 more that have one of" in note for note in dataset.notes)


def test_an_exclusion_list_needs_ids(folder):
    with pytest.raises(DatasetError, match="expected a column img_id, found name"):
        folder.load(exclude=folder.write("leave_out.csv", "name", ["3.png"]))


@pytest.mark.parametrize("seed", range(5))
def test_drawn_split_puts_no_plate_on_both_sides(tmp_path, seed):
    folder = Folder(tmp_path, 30)
    folder.save("cars/twin.png", picture(3))
    folder.save("plates/same_text.png", plate(60))
    folder.cars.append(f"twin.png,{BOX_TEXT}")
    folder.plates.append("same_text.png,3t03")
    dataset = folder.load(seed=seed, validation_share=0.3)
    assert dataset.validation_photographs and dataset.validation_crops
    assert len(dataset.validation_photographs) <= 0.3 * 31
    family = {"3.png", "twin.png", "same_text.png"}
    for held_ids in (ids(dataset.validation_photographs), ids(dataset.validation_crops)):
        assert not set(held_ids) & family or set(ids(dataset.validation_photographs)) >= {"3.png", "twin.png"}
    texts = {crop.text.casefold() for crop in dataset.crops}
    held_texts = {crop.text.casefold() for crop in dataset.validation_crops}
    assert not texts & held_texts
    assert not set(texts_of(dataset.photographs).values()) & set(texts_of(dataset.validation_photographs).values())
    assert len(dataset.photographs) + len(dataset.validation_photographs) == 31


def test_drawn_split_is_repeatable_and_follows_the_seed(tmp_path):
    folder = Folder(tmp_path, 30)

    def drawn(seed):
        return ids(folder.load(seed=seed).validation_photographs)

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(4)}) > 1


def test_a_tiny_set_holds_out_nothing_and_says_so(tmp_path):
    dataset = Folder(tmp_path, 2).load()
    assert len(dataset.photographs) == len(dataset.crops) == 2 and not dataset.validation_photographs
    assert "Nothing is held out" in dataset.summary()


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_a_share_out_of_range_is_refused(folder, share):
    with pytest.raises(DatasetError, match="expected a number from 0 to below 1"):
        folder.load(validation_share=share)


# The real data


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data is not beside this repository")
def test_nothing_held_out_or_excluded_is_trained_on_in_the_real_data(tmp_path):
    loaded = load(DataSource(REAL_DATA, exclude=REAL_DATA / "test_overlap.csv", cache=tmp_path))
    dataset = loaded.dataset
    plates = {one.path.name: [plate.row for plate in one.plates] for one in loaded.labels}
    held_texts = {row.text for row in plates["validation.csv"]}
    held_ids = {row.img_id for row in plates["validation.csv"]}
    excluded = set((REAL_DATA / "test_overlap.csv").read_text().split()[1:])
    crop_texts = {crop.text for crop in dataset.crops}
    texts = {text for text in texts_of(dataset.photographs).values() if text}
    assert len(dataset.photographs) == 741 and len(dataset.validation_photographs) == 159
    assert 440 <= len(dataset.crops) <= 459 and len(excluded) == 240
    assert not held_texts & (crop_texts | texts) and texts <= crop_texts
    assert not held_ids & set(ids(dataset.photographs))
    assert not excluded & set(ids(dataset.crops) + ids(dataset.validation_crops))
    assert "89T5864" not in crop_texts
    excluded_texts = {row.text for row in plates["license_plates_recognition_train.csv"] if row.img_id in excluded}
    assert not excluded_texts & (crop_texts | texts)
    assert dataset.withheld == {same_plate_key(text) for text in excluded_texts | held_texts | {"89T5864"}}
    assert sum(text is not None for text in texts_of(dataset.photographs).values()) > 440
    assert {problem.kind for problem in dataset.problems if not problem.harmless} == {
        "empty picture",
        "contradicts validation",
        "excluded text",
    }
    turns = [plate.turns for one in dataset.photographs for plate in one.plates]
    assert all(turned is None or turned in range(4) for turned in turns)
