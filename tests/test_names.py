"""Names of pictures find the file that they plainly mean, never two, and never one outside of their folder."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lpr_e2e.data.labels import Labels
from lpr_e2e.data.names import Listing
from lpr_e2e.data.places import find_places
from lpr_e2e.data.tables import DatasetError, Row


@pytest.fixture
def folder(tmp_path):
    for name in ("cars/c1.jpg", "cars/c2.JPG", "cars/new/c3.png", "cars/\u00e9t\u00e9 4.jpeg", "plates/c1.jpg"):
        make(tmp_path / name)
    return tmp_path


def make(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def find(folder, written, inside="cars", without=()):
    return Listing([folder]).find(written, folder / inside, [folder / one for one in without])


def test_a_name_that_is_the_file_s_is_exact(folder):
    for name in ("c1.jpg", "new/c3.png", "\u00e9t\u00e9 4.jpeg"):
        found = find(folder, name)
        assert found.exact and found.path == folder / "cars" / name


@pytest.mark.parametrize(
    "written",
    [
        *("c1.JPG", "C1.jpg", "c1", "c1.png", "c1.jpeg", " c1.jpg ", '"c1.jpg"', "./c1.jpg", "././cars/c1.jpg"),
        *(
            "cars/c1.jpg",
            "cars\\c1.jpg",
            "CARS\\C1.JPG",
            ".\\cars\\c1",
            "images/c1.jpg",
            "/c1.jpg",
            "//server/x/c1.jpg",
        ),
        *("C:\\Users\\me\\data\\cars\\c1.jpg", "/home/other/data/cars/c1.jpg", "../images/c1.jpg", "..\\cars\\c1.jpg"),
        *("file:///home/other/cars/c1.jpg", "https://example.org/data/c1.jpg?size=big#top", "s3://bucket/cars/c1.jpg"),
        *("/data/local-files/?d=cars/c1.jpg", "/data/local-files/?d=cars%2Fc1.jpg", "/data/upload/1/8f2a-c1.jpg"),
        *("/data/upload/12/8f2a01bc-c1.jpg", "8f2a01bc-c1.jpg", "c%31.jpg"),
    ],
)
def test_what_plainly_means_one_file_finds_it(folder, written):
    found = find(folder, written)
    assert found.path == folder / "cars" / "c1.jpg" and not found.exact and not found.others


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
def test_accents_may_be_composed_or_not(folder, form):
    for written in (
        unicodedata.normalize(form, "\u00e9t\u00e9 4"),
        unicodedata.normalize(form, "x/\u00c9T\u00c9 4.JPEG"),
    ):
        assert find(folder, written).path == folder / "cars" / "\u00e9t\u00e9 4.jpeg"


@pytest.mark.parametrize(
    "file, written",
    [
        *(("car 1.jpg", "car+1.jpg"), ("car 1.jpg", "car_1"), ("my_car_1.jpg", "my car 1.jpg")),
        *(("12_30_01.jpg", "12:30:01.jpg"), ("車両1.jpg", "車両\uff11.jpg"), ("00007.jpg", "7.0"), ("7.jpg", "7.0")),
        *(("c1.jpg", "\u200ec1.jpg"), ("c1.jpg", "\ufeffc1.jpg"), ("c1.jpg", "\u2018c1.jpg\u2019")),
        *(("c1.jpg", "c1.jpg.jpg"), ("c1.jpg.jpg", "c1.jpg"), ("c1.png.jpg", "c1"), ("c1.jpg", "labels/c1.xml")),
        *(("c1.jpg", "DSC\\c1.NEF"), ("c1.jpg", "c1.CR2"), ("c1.jpg", "/data/local-files/?d=plates%5Ccars%5Cc1.jpg")),
        *(("0012.jpg", '="0012"'), ("c1.jpg", '="c1.jpg"'), ("c1.jpg", "plates%5Ccars%5Cc1.jpg")),
        *(("c1.jpg", "c1.txt"), ("c1_jpg.rf.0a1b2c3d.jpg", "c1.jpg"), ("my-car_PNG.rf.9f.jpg", "My-Car.png")),
    ],
)
def test_what_systems_and_tools_make_of_a_name_still_finds_its_file(tmp_path, file, written):
    make(tmp_path / "cars" / file)
    make(tmp_path / "cars" / "other 2.jpg")
    found = find(tmp_path, written)
    assert found.path == tmp_path / "cars" / file and not found.exact


@pytest.mark.parametrize(
    "files, written, meant",
    [
        (("car 1.jpg", "car_1.jpg"), "car_1", "car_1.jpg"),
        (("car 1.jpg", "car_1.jpg"), "car+1", None),
        (("c1.jpg", "c1.jpg.jpg"), "c1.jpg", "c1.jpg"),
        (("c1_jpg.rf.0a.jpg", "c1_jpg.rf.0b.jpg"), "c1.jpg", None),  # Copies that may be turned or cut.
        (("c1.jpg", "c1_jpg.rf.0b.jpg"), "c1.jpg", "c1.jpg"),
        (("c1.jpg",), "c_1.jpg", None),
        (("c-1.jpg",), "c_1.jpg", None),
        (("7.jpg", "70.jpg"), "7.0", "7.jpg"),
    ],
)
def test_what_is_written_exactly_comes_before_what_is_alike(tmp_path, files, written, meant):
    for name in files:
        make(tmp_path / "cars" / name)
    assert find(tmp_path, written).path == (meant and tmp_path / "cars" / meant)


def test_names_that_may_all_mean_several_files_are_said(tmp_path):
    for number in range(8):
        make(tmp_path / "cars" / f"c{number // 2}.{'jpg' if number % 2 else 'png'}")
    labels = Labels(tmp_path / "cars.csv", pictures=(tmp_path / "cars",))
    for number in range(4):
        labels.add(Row("cars.csv", number + 2, f"c{number}", None, None))
    with pytest.raises(DatasetError, match=r"4 names may mean several files: c0 may be .*c0.jpg or .*c0.png"):
        find_places([labels])


@pytest.mark.parametrize(
    "written",
    ["", " ", ".", "..", "/", "\0", "c1.jpg\0", "nowhere.jpg", "/etc/hosts", "../../etc/passwd", "c", "1234-c1.jpg"],
)
def test_what_means_no_file_finds_none(folder, written):
    found = find(folder, written)
    assert found.path is None and not found.others


@pytest.mark.parametrize(
    "files, written, both",
    [
        (("a.jpg", "a.png"), "a", 2),
        (("a.jpg", "A.JPG"), "a.Jpg", 2),
        (("x/a.jpg", "y/a.jpg"), "a.jpg", 2),
        (("x/a.jpg", "y/a.jpg", "z/a.jpg"), "w/a.jpg", 3),
        (("a.jpg", "a.png", "b/a.jpg"), "a.jpeg", 2),
        (("001.jpg", "01.jpg"), "1", 2),
    ],
)
def test_what_may_mean_several_files_finds_none_and_names_them(tmp_path, files, written, both):
    for name in files:
        make(tmp_path / "cars" / name)
    found = find(tmp_path, written)
    assert found.path is None and len(found.others) == both


@pytest.mark.parametrize(
    "files, written, meant",
    [
        (("a.jpg", "a.png"), "a.png", "a.png"),
        (("a.jpg", "A.JPG"), "A.JPG", "A.JPG"),
        (("a.jpg", "A.JPG"), "x/A.JPG", "A.JPG"),
        (("x/a.jpg", "y/a.jpg"), "y\\A.JPG", "y/a.jpg"),
        (("x/a.jpg", "x/y/a.jpg"), "y/a", "x/y/a.jpg"),
        (("a.txt", "a.jpg"), "a", "a.jpg"),
        (("a.b.jpg", "a.jpg"), "a.b", "a.b.jpg"),
        (("a.jpg", "small/a.jpg"), "A.JPG", "a.jpg"),
        (("b/a.jpg", "small/b/a.jpg", "a.jpg"), "B\\a", "b/a.jpg"),
        (("0001.jpg", "0010.jpg"), "1", "0001.jpg"),
        (("0001.jpg", "1.jpg"), "1", "1.jpg"),
        (("0001.jpg", "0010.jpg"), "x/10", "0010.jpg"),
    ],
)
def test_of_several_files_the_one_that_is_written_most_exactly_is_meant(tmp_path, files, written, meant):
    for name in files:
        make(tmp_path / "cars" / name)
    assert find(tmp_path, written).path == tmp_path / "cars" / meant


def test_a_name_with_the_folder_of_another_picture_is_not_taken_for_this_one(folder):
    found = find(folder, "plates/c1.jpg")
    assert found.path is None and found.others == (folder / "plates" / "c1.jpg",)
    assert find(folder, "../plates/c1.jpg").path is None
    assert find(folder, "plates/c2.jpg").path == folder / "cars" / "c2.JPG"  # There is no such picture there.


def test_nothing_of_a_test_set_is_ever_found(folder):
    make(folder / "test" / "c1.jpg")
    make(folder / "test" / "t.jpg")
    make(folder / "cars" / "Test" / "u.jpg")
    assert find(folder, "test/c1.jpg").path is None
    assert find(folder, "t.jpg", ".").path is None and find(folder, "u.jpg").path is None
    assert find(folder, "c1.jpg").path == folder / "cars" / "c1.jpg"
    assert Listing([folder / "test"]).find("t", folder / "test").path  # Unless somebody names the folder itself.


def test_links_are_followed_and_do_not_lead_round_in_circles(folder, tmp_path_factory):
    elsewhere = make(tmp_path_factory.mktemp("elsewhere") / "far" / "l.jpg")
    (folder / "cars" / "linked").symlink_to(elsewhere.parent)
    (folder / "cars" / "again").symlink_to(folder / "cars")
    (folder / "cars" / "m.jpg").symlink_to(elsewhere)
    (folder / "cars" / "gone.jpg").symlink_to(folder / "nowhere")
    (folder / "cars" / "self.jpg").symlink_to(folder / "cars" / "self.jpg")
    assert find(folder, "L.jpg").path == folder / "cars" / "linked" / "l.jpg"
    assert find(folder, "m").path == folder / "cars" / "m.jpg"
    assert find(folder, "gone.jpg").path is None and find(folder, "self.jpg").path is None


@pytest.mark.parametrize(
    "name", ["a%20b.jpg", "a b.jpg", "a;b,c.jpg", "\u062a\u0648\u0646\u0633.jpg", "...jpg", "x\\y.jpg"]
)
def test_odd_names_are_found_as_they_are(tmp_path, name):
    make(tmp_path / "cars" / name)
    assert find(tmp_path, name).path == tmp_path / "cars" / name


def test_a_name_that_is_no_text_is_found(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        make(tmp_path / "cars" / name)
    except OSError:
        pytest.skip("this file system takes no such names")
    assert find(tmp_path, name).path == tmp_path / "cars" / name


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.text(st.sampled_from("cars/\\.1jpgC ~%2f:?d=\0"), max_size=30) | st.text(max_size=12))
def test_no_name_leads_out_of_its_folder(folder, written):
    found = find(folder, written)
    assert found.path is None or found.path.is_relative_to(folder / "cars")


# Places


def labels(path, names, pictures=None, **more):
    found = Labels(path, pictures=pictures or (path.parent / path.stem, path.parent), **more)
    for number, name in enumerate(names, start=2):
        found.add(Row(path.name, number, name, None, None), (1, 2, 3, 4))
    return found


def test_names_written_otherwise_are_counted_and_named_and_harmless(folder):
    [place] = find_places([labels(folder / "cars.csv", ["c1.jpg", "cars\\c2.jpg", "c3", "c3", "gone.jpg"])])
    assert place.paths["c3"] == folder / "cars" / "new" / "c3.png" and len(place.paths) == 3
    kinds = [(one.row, one.kind, one.harmless) for one in place.problems]
    assert kinds == [
        (3, "name written otherwise", True),
        (4, "name written otherwise", True),
        (6, "missing picture", False),
    ]
    assert place.notes[0] == ("cars.csv: 2 names written otherwise than the files in cars: cars\\c2.jpg is c2.JPG.")


def test_pictures_without_a_label_are_counted(folder):
    places = find_places([labels(folder / "cars.csv", ["c1.jpg"]), labels(folder / "plates.csv", ["c1.jpg"])])
    assert [place.notes for place in places] == [
        ["cars: 3 pictures named by no label, such as c2.JPG; not used."],
        [],
    ]


@pytest.mark.parametrize(
    "written, kind, words",
    [
        ("nowhere.jpg", "missing picture", "cars/nowhere.jpg: missing file; skipped"),
        ("plates/c1.jpg", "missing picture", "plates/c1.jpg is no picture of this table"),
        ("../plates/c1.jpg", "unsafe img_id", "expected a name inside the picture folder cars"),
        ("/etc/hosts", "unsafe img_id", "expected a name inside the picture folder cars"),
        ("a\0b.jpg", "unsafe img_id", "expected a name inside the picture folder cars"),
        ("", "empty img_id", "expected a picture's file name"),
        ("c5", "ambiguous picture", "may be c5.jpg or c5.png in cars"),
    ],
)
def test_a_name_without_a_file_is_a_fault(folder, written, kind, words):
    make(folder / "cars" / "c5.jpg")
    make(folder / "cars" / "c5.png")
    [place] = find_places([labels(folder / "cars.csv", ["c1.jpg", written])])
    [problem] = [one for one in place.problems if not one.harmless]
    assert (problem.row, problem.value, problem.kind) == (3, written, kind) and words in problem.message


def test_photographs_and_crops_of_the_same_names_stay_apart(folder):
    cars, plates = folder / "cars", folder / "plates"
    given = [
        labels(folder / "validation.csv", ["c1.jpg"], (plates, cars, folder)),
        labels(folder / "boxes.csv", ["c1.jpg", "c2.jpg"], (plates, cars, folder)),
        labels(folder / "plates.csv", ["c1.jpg"], (plates, folder), holds_crops=True),
    ]
    assert [place.folder for place in find_places(given)] == [cars, cars, plates]


def test_the_folder_with_most_pictures_is_taken_and_too_few_are_refused(folder):
    other = folder / "other"
    make(other / "c1.jpg")
    some = (other, folder / "cars")
    assert find_places([labels(folder / "b.csv", ["c1.jpg", "c2.jpg"], some)])[0].folder == folder / "cars"
    with pytest.raises(
        DatasetError, match="b.csv: no folder with its 3 pictures, x.jpg .* --pictures .* other has 1 of"
    ):
        find_places([labels(folder / "b.csv", ["x.jpg", "y.jpg", "c1.jpg"], (other,))])
    with pytest.raises(DatasetError, match="expected a folder b, or --pictures"):
        find_places([labels(folder / "b.csv", ["x.jpg"], some)])
