"""Pictures are decoded once, in any number of processes, and known again as long as they and their boxes stay."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.data import fingerprint_cache, pictures
from lpr_e2e.data.fingerprint_cache import COMPARISONS, FILE, FOLDER, FingerprintCache, digest
from lpr_e2e.data.labels import Labelled, LabelledCrop, LabelledPhotograph
from lpr_e2e.data.matching import compare
from lpr_e2e.data.pictures import usable
from lpr_e2e.data.tables import Row


def blotches(seed, height=60, width=90):
    few = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3), "uint8")
    return Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC)


def row(name, number=2, box=(20.0, 30.0, 40.0, 80.0), text=None):
    return Row("cars.csv", number, name, box, text)


@pytest.fixture
def labelled(tmp_path):
    """Four photographs with one plate, two, none and one, and three crops."""
    photographs, crops = [], []
    boxes = [
        ((20.0, 30.0, 40.0, 80.0),),
        ((5.0, 5.5, 20.0, 60.0), (30.0, 2.0, 58.0, 22.0)),
        (),
        ((0.0, 0.0, 60.0, 90.0),),
    ]
    for number, plates in enumerate(boxes):
        path = tmp_path / f"c{number}.png"
        blotches(number).save(path)
        photographs.append(LabelledPhotograph(path.name, path, tuple(row(path.name, 2, box) for box in plates)))
    for number in range(3):
        path = tmp_path / f"p{number}.png"
        blotches(10 + number, 24, 96).save(path)
        crops.append(LabelledCrop(Row("plates.csv", number + 2, path.name, None, f"A{number}"), path))
    return Labelled(photographs, crops, [], [])


def seen(found):
    return digest([one.fingerprint for one in [*found.photographs, *found.crops]])


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded, as they come."""
    names = []
    real = pictures.read_picture
    monkeypatch.setattr(pictures, "read_picture", lambda path: names.append(path.name) or real(path))
    return names


# What can be used


def test_every_plate_has_its_fingerprint_and_a_photograph_may_have_none(labelled):
    found = usable(labelled)
    assert [len(one.plates) for one in found.photographs] == [1, 2, 0, 1] and len(found.crops) == 3
    assert [[plate.shape for plate in one.fingerprint.plates] for one in found.photographs[:2]] == [
        [(20, 50)],
        [(15, 55), (28, 20)],
    ]
    assert not found.problems and all(one.complete for one in found.photographs)
    plate = found.photographs[0].fingerprint.plates[0]
    np.testing.assert_array_equal(plate.plate, plate.grey[slice(*plate.box[::2]), slice(*plate.box[1::2])])
    assert plate.plate.shape == (20, 50)


def test_a_photograph_loses_a_faulty_box_but_never_passes_for_one_without_a_plate(labelled):
    good, bad, outside = (20.0, 30.0, 40.0, 80.0), (200.0, 0.0, 220.0, 50.0), (-5.0, 0.0, 20.0, 50.0)
    one, two, empty, _ = labelled.photographs
    labelled.photographs = [
        LabelledPhotograph("both", one.path, (row("both", 2, bad), row("both", 3, good))),
        LabelledPhotograph("only", two.path, (row("only", 4, bad),)),
        LabelledPhotograph("clipped", empty.path, (row("clipped", 5, outside),)),
    ]
    found = usable(labelled)
    assert [(one.img_id, len(one.plates), one.complete) for one in found.photographs] == [
        ("both", 1, False),
        ("clipped", 1, True),
    ]
    assert found.photographs[0].plates[0].number == 3 and found.photographs[1].plates[0].box_px == (0, 0, 20, 50)
    assert [(one.row, one.kind) for one in found.problems] == [
        (2, "box outside the picture"),
        (4, "box outside the picture"),
        (5, "box partly outside"),
    ]


@pytest.mark.parametrize(
    "content, kind", [(None, "missing picture"), (b"", "empty picture"), (b"text", "unusable picture")]
)
def test_pictures_that_cannot_be_used_are_named_with_and_without_a_cache(labelled, tmp_path, content, kind):
    for name in ("c1.png", "c2.png", "p2.png"):
        (tmp_path / name).unlink()
        if content is not None:
            (tmp_path / name).write_bytes(content)
    for _ in range(2):
        found = usable(labelled, FingerprintCache(tmp_path / "cache"))
        assert [one.img_id for one in found.photographs] == ["c0.png", "c3.png"] and len(found.crops) == 2
        assert [(one.value, one.kind) for one in found.problems] == [(n, kind) for n in ("c1.png", "c2.png", "p2.png")]


def test_texts_held_out_are_known_even_of_pictures_that_cannot_be_used(labelled, tmp_path):
    (tmp_path / "c0.png").unlink()
    labelled.photographs[0] = LabelledPhotograph("c0.png", tmp_path / "c0.png", (row("c0.png", text="AB1"),), held=True)
    assert usable(labelled).held_texts == {"AB1"}


@pytest.mark.parametrize("name", ["fingerprints.npz", "comparisons.json"])
def test_a_link_that_came_with_the_data_is_not_written_through(labelled, tmp_path, name):
    """Whoever checks a stranger's folder would lose what a link in its cache leads to."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "cache" / name).symlink_to(tmp_path / "mine")
    cache = FingerprintCache(tmp_path / "cache")
    usable(labelled, cache)
    cache.save()
    cache.keep_comparison("a", {"b": [[1, 2]]})
    assert (tmp_path / "mine").read_text() == "mine" and not (tmp_path / "cache" / name).is_symlink()
    assert FingerprintCache(tmp_path / "cache").comparison("a") == {"b": [[1, 2]]}


@pytest.mark.parametrize("name", ["fingerprints.npz", "comparisons.json"])
def test_a_pipe_that_came_with_the_data_is_not_waited_for(labelled, tmp_path, name):
    (tmp_path / "cache").mkdir()
    os.mkfifo(tmp_path / "cache" / name)
    cache = FingerprintCache(tmp_path / "cache")
    assert cache.comparison("a") is None and len(usable(labelled, cache).photographs)


# In processes


def test_several_processes_find_the_same(labelled, tmp_path):
    (tmp_path / "c3.png").write_bytes(b"")
    labelled.crops = labelled.crops * 12  # More than one process is given at a time.
    alone, together = usable(labelled, processes=1), usable(labelled, processes=2)
    assert seen(alone) == seen(together) and alone.problems == together.problems


@pytest.mark.parametrize("fault", [OSError("no more processes"), pictures.BrokenProcessPool("one was killed")])
def test_where_no_process_can_be_had_this_one_does_it(labelled, monkeypatch, fault):
    expected = seen(usable(labelled))

    class Pool:
        def __init__(self, *_, **__):
            pass

        def submit(self, *_):
            raise fault

        def shutdown(self, **_):
            pass

    monkeypatch.setattr(pictures, "ProcessPoolExecutor", Pool)
    assert seen(usable(labelled, processes=2)) == expected


# The cache


def test_nothing_is_decoded_twice(labelled, tmp_path, decoded):
    first = usable(labelled, FingerprintCache(tmp_path / "cache"))
    assert len(decoded) == 7
    decoded.clear()
    again = usable(labelled, FingerprintCache(tmp_path / "cache"))
    assert not decoded and seen(again) == seen(first) and not again.notes
    for one, other in zip(first.photographs, again.photographs, strict=True):
        assert [plate.box for plate in one.fingerprint.plates] == [plate.box for plate in other.fingerprint.plates]
        assert [plate.scale for plate in one.fingerprint.plates] == [plate.scale for plate in other.fingerprint.plates]


def test_a_changed_file_and_a_changed_box_are_decoded_anew_alone(labelled, tmp_path, decoded):
    usable(labelled, FingerprintCache(tmp_path / "cache"))
    decoded.clear()
    blotches(99).save(tmp_path / "c0.png")
    changed = labelled.photographs[1]
    plates = (changed.plates[0], row("c1.png", 3, (30.0, 2.0, 57.0, 22.0)))
    labelled.photographs[1] = LabelledPhotograph(changed.img_id, changed.path, plates)
    os.utime(tmp_path / "p1.png", ns=(1, 1))
    found = usable(labelled, FingerprintCache(tmp_path / "cache"))
    assert sorted(decoded) == ["c0.png", "c1.png", "p1.png"]
    assert seen(found) == seen(usable(labelled))


def test_a_data_folder_that_is_moved_is_still_known(labelled, tmp_path, decoded):
    data = tmp_path / "data"
    data.mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(data / path.name)

    def at(folder):
        photographs = [LabelledPhotograph(one.img_id, folder / one.img_id, one.plates) for one in labelled.photographs]
        crops = [LabelledCrop(one.row, folder / one.path.name) for one in labelled.crops]
        return Labelled(photographs, crops, [], [])

    usable(at(data), FingerprintCache.beside(data))
    assert (data / FOLDER / FILE).is_file()
    decoded.clear()
    moved = data.rename(tmp_path / "moved")
    usable(at(moved), FingerprintCache.beside(moved))
    assert not decoded


def damage_not_a_file(path):
    path.write_bytes(b"no archive")


def damage_truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def damage_pixels(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def damage_pickled(path):
    np.savez(path, version=np.array([{"a": 1}], dtype=object), allow_pickle=True)


def damage_other_columns(path):
    np.savez(path, version=np.int64(fingerprint_cache.VERSION), entries=np.frombuffer(b'[["a","b",9,9]]', np.uint8))


def damage_lengths(path):
    with np.load(path) as columns:
        columns = dict(columns)
    entries = json.loads(columns["entries"].tobytes())
    entries[0][3], entries[1][3] = entries[0][3] - 7, entries[1][3] + 7
    columns["entries"] = np.frombuffer(json.dumps(entries).encode(), np.uint8)
    np.savez(path, **columns)


def damage_version(path):
    with np.load(path) as columns:
        columns = dict(columns)
    np.savez(path, **columns | {"version": np.int64(fingerprint_cache.VERSION + 1)})


@pytest.mark.parametrize(
    "damage",
    [
        damage_not_a_file,
        damage_truncated,
        damage_pixels,
        damage_pickled,
        damage_other_columns,
        damage_lengths,
        damage_version,
    ],
)
def test_a_damaged_cache_is_made_anew(labelled, tmp_path, decoded, damage):
    expected = seen(usable(labelled, FingerprintCache(tmp_path / "cache")))
    damage(tmp_path / "cache" / FILE)
    assert seen(usable(labelled, FingerprintCache(tmp_path / "cache"))) == expected
    decoded.clear()
    assert seen(usable(labelled, FingerprintCache(tmp_path / "cache"))) == expected and not decoded


def test_two_at_once_keep_what_both_found(labelled, tmp_path, decoded):
    one, other = FingerprintCache(tmp_path / "cache"), FingerprintCache(tmp_path / "cache")
    usable(Labelled(labelled.photographs, [], [], []), one)
    usable(Labelled([], labelled.crops, [], []), other)
    decoded.clear()
    usable(labelled, FingerprintCache(tmp_path / "cache"))
    assert not decoded


def test_files_that_are_gone_are_forgotten(labelled, tmp_path):
    usable(labelled, FingerprintCache(tmp_path / "cache"))
    size = (tmp_path / "cache" / FILE).stat().st_size
    for one in labelled.photographs:
        one.path.unlink()
    blotches(1, 24, 96).save(tmp_path / "p0.png")
    usable(Labelled([], labelled.crops, [], []), FingerprintCache(tmp_path / "cache"))
    assert (tmp_path / "cache" / FILE).stat().st_size < size / 2


def test_where_nothing_can_be_written_the_data_are_read_all_the_same(labelled, tmp_path):
    (tmp_path / "file").write_text("in the way")
    found = usable(labelled, FingerprintCache(tmp_path / "file" / "cache"))
    assert len(found.photographs) == 4 and "not written" in found.notes[0]
    assert compare(found.photographs, found.crops, FingerprintCache(tmp_path / "file" / "cache")).matches == []


def test_read_only_data_are_remembered_among_the_users_caches(tmp_path, monkeypatch):
    data, other = tmp_path / "data", tmp_path / "own"
    data.mkdir()
    monkeypatch.setattr(fingerprint_cache, "_users_caches", lambda: other)
    read_only = {data}
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path not in read_only and real(path, mode))
    cache = FingerprintCache.beside(data)
    assert "read-only" in cache.note and str(other) in cache.note
    read_only |= {tmp_path}
    assert "decoded anew" in FingerprintCache.beside(data).note
    assert not FingerprintCache.beside(data, tmp_path / "chosen").note


# Comparisons


def compared_again(found, tmp_path, monkeypatch):
    """Whether the pictures are compared anew."""
    from lpr_e2e.data import matching

    looked = []
    real = matching._plates
    monkeypatch.setattr(matching, "_plates", lambda *photographs: looked.append(1) or real(*photographs))
    compare(found.photographs, found.crops, FingerprintCache(tmp_path / "cache"))
    monkeypatch.setattr(matching, "_plates", real)
    return bool(looked)


@pytest.mark.parametrize(
    "damage", ["{", "[]", '[["key", {"matches": [["a"]]}]]', "[[1, 2]]", '[["KEY", {"twins": [[0, 99]]}]]']
)
def test_what_was_compared_is_known_until_a_picture_changes(labelled, tmp_path, monkeypatch, damage):
    found = usable(labelled)
    assert compared_again(found, tmp_path, monkeypatch) and not compared_again(found, tmp_path, monkeypatch)
    file = tmp_path / "cache" / COMPARISONS
    [[key, _]] = json.loads(file.read_text())
    file.write_text(damage.replace("KEY", key))
    assert compared_again(found, tmp_path, monkeypatch) and not compared_again(found, tmp_path, monkeypatch)
    blotches(77, 24, 96).save(tmp_path / "p1.png")
    assert compared_again(usable(labelled), tmp_path, monkeypatch)
