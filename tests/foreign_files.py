"""Every reader of bytes that others have made: files to begin with, and what it may answer to any other ones.

`READERS` holds all of them. `test_fuzz` damages their files at random, `attack.py` by what is run in the program.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import io
import json
import math
import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import printable


@dataclass(frozen=True)
class Reader:
    """A reader of foreign bytes.

    Attributes:
        name: of the kind of file.
        seeds: makes whole files of the kind. Where the kind is a folder of files, the first byte says which of them the
            others stand for.
        check: reads bytes, and raises whatever is no allowed answer to them. The folder is empty the first time, and
            stays.
        slow: whether it takes far longer than the others.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    check: Callable[[bytes, Path], None]
    slow: bool = False


def damage(data: bytes, rng: random.Random) -> bytes:
    """A file with bytes changed, cut off, doubled, put in or set to zero, in one place or a few."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at, length = rng.randrange(len(damaged) + 1), rng.randint(1, 40)
        kind = rng.choice(("change", "cut", "remove", "insert", "double", "zero"))
        if kind == "change" and at < len(damaged):
            damaged[at] = rng.randrange(256)
        elif kind == "cut":
            del damaged[at:]
        elif kind == "remove":
            del damaged[at : at + length]
        elif kind == "insert":
            damaged[at:at] = rng.randbytes(length)
        elif kind == "double":
            damaged[at:at] = damaged[at : at + length]
        else:
            damaged[at : at + length] = bytes(len(damaged[at : at + length]))
    return bytes(damaged)


def refused(error: Exception, *named: str) -> None:
    """Make sure that a refusal is one line, and names what it is about."""
    assert all(name in str(error) for name in named), f"{named} not in: {error}"
    assert str(error).strip() and "\n" not in printable(str(error)).strip(), f"several lines: {error!r}"


def in_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], None]:
    """A check of a reader of one file, which it names where it refuses it; `read` asserts what else it may answer."""

    def check(data: bytes, folder: Path) -> None:
        path = folder / name
        path.write_bytes(data)
        try:
            read(path)
        except UserError as error:
            refused(error, name)

    return check


# ---------------------------------------------------------------------------------------------------------- pictures


def encoded_pictures() -> list[bytes]:
    """Small pictures in every format and mode that is read."""
    rng, files = np.random.default_rng(0), []
    rgb = Image.fromarray(rng.integers(0, 256, (12, 17, 3), "uint8"))
    for form, modes in (
        ("JPEG", ("RGB", "L", "CMYK")),
        ("PNG", ("RGB", "RGBA", "P", "I;16", "1")),
        ("GIF", ("P",)),
        ("BMP", ("RGB",)),
        ("TIFF", ("RGB", "L")),
        ("WEBP", ("RGB", "RGBA")),
        ("PPM", ("RGB",)),
        ("JPEG2000", ("RGB",)),
        ("AVIF", ("RGB",)),
    ):
        for mode in modes:
            picture = (
                Image.fromarray(rng.integers(0, 65536, (12, 17), "uint16")) if mode == "I;16" else rgb.convert(mode)
            )
            file = io.BytesIO()
            picture.save(file, form)
            files.append(file.getvalue())
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    rgb.save(turned, "JPEG", exif=exif, progressive=True)
    return [*files, turned.getvalue()]


def check_picture(data: bytes, folder: Path) -> None:
    from lpr_e2e.common.images import PictureError, read_picture, read_size

    try:
        picture = read_picture(data)
    except PictureError as error:
        refused(error)
        picture = None
    else:
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size
    try:
        size = read_size(data)
    except PictureError as error:
        refused(error)
        assert picture is None, f"it can be read, but its size cannot: {error}"
    else:
        assert picture is None or (size.height, size.width) == picture.shape[:2]


# ---------------------------------------------------------------------------------------------------- tables, truths

TABLES = (
    b"img_id,ymin,xmin,ymax,xmax,text\n1.jpg,1,2,20,40,12T34\n2.jpg,3,4,20,40,\n3.jpg,,,,,\n",
    '\ufeffimg_id;text\r\né.jpg;1\r\n\'=2.jpg;"a;b"\r\n'.encode(),
    "img_id\ttext\n1.jpg\tسطن٧١٢٦\n".encode("utf-16"),
    "img_id|text\n1.jpg|粤BA9H07\n2.jpg|津G68991\n".encode("gb18030"),
    "Bild;Kennzeichen\nä.jpg;MÜ-A 1\nö.jpg;LÖ-B 22\n".encode("cp1252"),
)
PREDICTIONS = (
    b"img_id,text,confidence,ymin,xmin,ymax,xmax,box_confidence,status\n"
    b"1.jpg,12T34,0.99,1,2,20,40,0.9,ok\n./=2.jpg,'+1,0.5,1.5,2,20,40,0.9,unsure\n3.jpg,,0,,,,,0.1,no plate\n"
)
ANSWERED = (
    b"img_id,ymin,xmin,ymax,xmax,text,answered\n"
    b"00.png,20,30,40,90,12T34,2026-11-01T10:00:00Z\n01.png,,,,,,2026-11-01T10:00:01Z\n"
)
PROBLEMS = b"file,row,value,kind,message\nlabels.csv,2,00.png,no box,expected one\n,,01.png,damaged,cannot be read\n"


def read_any_table(path: Path) -> None:
    from lpr_e2e.data.tables import read_table

    table = read_table(path)
    assert all(set(table.columns) <= set(values) for _, values in table.records)


def read_any_truth(path: Path) -> None:
    from lpr_e2e.evaluation.truth import read_truth

    for truth in read_truth(path):
        assert truth.img_id
        for plate in truth.plates:
            assert plate.box_px is None or all(map(math.isfinite, plate.box_px))


def read_any_predictions(path: Path) -> None:
    from lpr_e2e.evaluation.truth import read_predictions

    for img_id, readings in read_predictions(path).items():
        assert img_id and readings
        for one in readings:
            assert 0 <= one.confidence <= 1 and (one.box_px is None or all(map(math.isfinite, one.box_px)))


def check_problems(data: bytes, folder: Path) -> None:
    """Faults of a check that `label` shows."""
    from label_files import save_picture

    from lpr_e2e.annotation.beginning import Beginning
    from lpr_e2e.data.labels import NOTHING_SAID

    for number in range(2):
        if not (folder / "photographs" / f"0{number}.png").exists():
            save_picture(folder / "photographs" / f"0{number}.png", number)

    def read(path: Path) -> None:
        found = Beginning.of(folder / "photographs", NOTHING_SAID, None, path)
        assert found.photographs and set(found.problems) == set(range(len(found.photographs)))

    in_file("problems.csv", read)(data, folder)


def read_any_exclusions(path: Path) -> None:
    from lpr_e2e.data.dataset import listed_to_exclude

    listed_to_exclude(path)


def read_any_answers(path: Path) -> None:
    """What is read of a table of answers is what is written of it, and read again."""
    from lpr_e2e.annotation.answers import Answers

    with Answers(path) as answers:
        said = {name: answers.get(name) for name in answers.last(len(answers))}
        for name, plates in said.items():
            for plate in plates or ():
                assert plate.box_px is not None and all(map(math.isfinite, plate.box_px)) and name
        answers._write(answers._lines.values())
    with Answers(path) as answers:
        again = {name: answers.get(name) for name in answers.last(len(answers))}
    rounded = {name: [(*map(_hundredths, one.box_px), one.text) for one in plates] for name, plates in said.items()}
    assert again.keys() == said.keys()
    for name, plates in again.items():
        assert [(*map(_hundredths, one.box_px), one.text) for one in plates] == rounded[name]


def _hundredths(value: float) -> str:
    return f"{round(value, 2):.12g}"


# ------------------------------------------------------------------------------------------------------------ labels


def assert_usable(labels) -> None:
    """Every plate has a photograph, a box that is four numbers if there is one, and a text that is not blank."""
    for one in labels.plates:
        assert one.row.img_id and (one.box is None or (len(one.box) == 4 and all(map(math.isfinite, one.box))))
        assert one.row.text is None or one.row.text.strip()


def _label_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".png")


def _labels(form: str) -> Reader:
    """A folder of labels of one form; the first byte says in which of its files the others are."""

    def seeds() -> list[bytes]:
        from label_files import WRITERS

        with tempfile.TemporaryDirectory() as name:
            WRITERS[form](Path(name))
            return [bytes([index]) + path.read_bytes() for index, path in enumerate(_label_files(Path(name)))]

    def check(data: bytes, folder: Path) -> None:
        from label_files import WRITERS

        from lpr_e2e.data.forms import read_labels
        from lpr_e2e.data.resolving import resolve

        folder = folder / form
        if not folder.exists():
            WRITERS[form](folder)
            for picture in folder.rglob("*.png"):  # Of one colour, they are decoded in no time.
                Image.new("RGB", Image.open(picture).size).save(picture)
        files = _label_files(folder)
        path = files[(data[0] if data else 0) % len(files)]
        whole = path.read_bytes()
        path.write_bytes(data[1:])
        try:
            found = read_labels(folder)
            for labels in found:
                assert_usable(labels)
            labelled = resolve(found)
            for photograph in labelled.photographs:
                assert photograph.path.is_relative_to(folder)
        except UserError as error:
            # Columns, categories and boxes are named without the folder that they are in.
            refused(error)
        finally:
            path.write_bytes(whole)

    return Reader(f"labels_{form}", seeds, check)


# ------------------------------------------------------------------------------------------------------------ models


def tiny_model():
    """A Keras model as small as can be."""
    from dataclasses import replace

    from lpr_e2e.model.plate_model import PlateModel
    from lpr_e2e.training.settings import PRESETS

    sizes = replace(
        PRESETS["small"].architecture, canvas_size=96, glimpse_size=(32, 64), widths=(8, 8, 8, 8, 8), head_width=8
    )
    model, rng = PlateModel(sizes, "0123", 4), np.random.default_rng(0)
    # The same in every process: an attack begins with what an earlier one has kept.
    model.set_weights([rng.uniform(0.1, 1.0, weight.shape) for weight in model.get_weights()])
    return model


@functools.cache
def keras_bytes() -> bytes:
    """The `.keras` file of a tiny model."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "model.keras")
        tiny_model().save(path)
        return path.read_bytes()


def _contents(model) -> tuple:
    """All that a loaded model reads with."""
    return (model.get_config(), [np.asarray(weight.value) for weight in model.weights])


@functools.cache
def _saved_contents(path: Path) -> tuple:
    from lpr_e2e.model.plate_model import load

    path.write_bytes(keras_bytes())
    return _contents(load(path))


def check_keras(data: bytes, folder: Path) -> None:
    """A damaged `.keras` file is refused, or the model that was saved."""
    from lpr_e2e.model.plate_model import load

    config, weights = _saved_contents(folder / "whole.keras")

    def read(path: Path) -> None:
        found, found_weights = _contents(load(path))
        assert found == config and all(map(np.array_equal, found_weights, weights)), "not what was saved"

    in_file("model.keras", read)(data, folder)


def keras_members() -> list[bytes]:
    """The files within a `.keras` file, each after its number."""
    with zipfile.ZipFile(io.BytesIO(keras_bytes())) as archive:
        return [bytes([index]) + archive.read(name) for index, name in enumerate(archive.namelist())]


def check_keras_members(data: bytes, folder: Path) -> None:
    """A `.keras` file of somebody who means harm, with check sums that fit, is a model of ours or refused."""
    from lpr_e2e.model.plate_model import PlateModel, load

    (folder / "model.keras").write_bytes(with_member(keras_bytes(), data))

    def read(path: Path) -> None:
        assert isinstance(load(path), PlateModel)

    try:
        read(folder / "model.keras")
    except UserError as error:
        refused(error, "model.keras")


def with_member(archive: bytes, data: bytes) -> bytes:
    """A zip archive with one of its files exchanged: the first byte says which, the others are what it holds then."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as given, zipfile.ZipFile(changed, "w") as written:
        names = given.namelist()
        chosen = names[(data[0] if data else 0) % len(names)]
        for name in names:
            written.writestr(name, data[1:] if name == chosen else given.read(name))
    return changed.getvalue()


EXPORTED_FILES = ("model.json", "find_int8.onnx", "read_int8.onnx", "weights_int8.bin")


def exported_files() -> list[bytes]:
    """The files of the shipped model in 8 bits, each after its number."""
    return [bytes([index]) + (_exported_folder() / name).read_bytes() for index, name in enumerate(EXPORTED_FILES)]


@functools.cache
def _exported_folder() -> Path:
    """A shipped model, with a checksum of its `model.json` as it is exported today."""
    from lpr_e2e.prediction.description import with_checksum
    from lpr_e2e.prediction.models import find

    folder = Path(tempfile.mkdtemp(prefix="exported-"))
    shutil.copytree(find("indonesia"), folder, dirs_exist_ok=True)
    description = folder / EXPORTED_FILES[0]
    description.write_text(json.dumps(with_checksum(json.loads(description.read_text(encoding="utf-8")))))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def description_file() -> list[bytes]:
    """Its `model.json` alone."""
    return exported_files()[:1]


def check_exported(data: bytes, folder: Path) -> None:
    """A damaged exported model is refused, or is the one that was exported."""
    from lpr_e2e.prediction.engines.loading import load_drivers

    name = EXPORTED_FILES[(data[0] if data else 0) % len(EXPORTED_FILES)]
    for other in EXPORTED_FILES:
        if not (folder / other).exists():
            shutil.copy(_exported_folder() / other, folder / other)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(data[1:])
    try:
        (driver,) = load_drivers(folder, 1, 1)
    except (UserError, FileNotFoundError) as error:
        refused(error, str(folder))
    else:
        # Without a checksum it is one from before there were any, of a model like that.
        if name != "model.json" or "checksum" in json.loads(data[1:]):
            assert driver.description == _description(_exported_folder()), "not what was exported"
        assert name == "model.json" or data[1:] == whole, f"a damaged {name} is taken"
    finally:
        (folder / name).write_bytes(whole)


@functools.cache
def _description(folder: Path):
    from lpr_e2e.prediction.description import Description

    return Description.load(folder)


def check_description(data: bytes, folder: Path) -> None:
    """Whatever a `model.json` says, it is a description or refused."""
    from lpr_e2e.prediction.checksums import check_files
    from lpr_e2e.prediction.description import Description

    def read(path: Path) -> None:
        (folder / EXPORTED_FILES[1]).write_bytes(b"")
        found = Description.load(path.parent)
        assert found.vocabulary and found.text_forms is not None and found.scene_size >= 0
        check_files(path.parent, EXPORTED_FILES[1:2])

    try:
        in_file("model.json", read)(data[1:], folder)
    except UserError as error:
        refused(error, EXPORTED_FILES[1])


# -------------------------------------------------------------------------------------------------------- run folders

STATE = (np.arange(600.0, dtype="float32").reshape(20, 30), np.arange(5000.0), np.array(7))


class Variable:
    def __init__(self, shape):
        self.shape, self.value = shape, None

    def assign(self, value) -> None:
        self.value = value


@functools.cache
def state_bytes() -> bytes:
    from lpr_e2e.training.run_folder import RunFolder

    with tempfile.TemporaryDirectory() as name:
        RunFolder(name).save_state(list(STATE), {"stage": "joint", "epoch": 3})
        return Path(name, "state.npz").read_bytes()


def check_state(data: bytes, folder: Path) -> None:
    """A damaged state is refused, or is the one that was saved."""
    from lpr_e2e.training.run_folder import RunFolder

    def read(path: Path) -> None:
        run, variables = RunFolder(path.parent), [Variable(one.shape) for one in STATE]
        assert run.progress() == {"stage": "joint", "epoch": 3}, "not the progress that was saved"
        run.load_variables(variables)
        assert all(np.array_equal(one.value, saved) for one, saved in zip(variables, STATE, strict=True))

    in_file("state.npz", read)(data, folder)


def state_members() -> list[bytes]:
    """The files within a state, each after its number."""
    with zipfile.ZipFile(io.BytesIO(state_bytes())) as archive:
        return [bytes([index]) + archive.read(name) for index, name in enumerate(archive.namelist())]


def check_state_members(data: bytes, folder: Path) -> None:
    """A state with check sums that fit, whatever is in it, is refused or fits the variables."""
    from lpr_e2e.training.run_folder import RunFolder

    def read(path: Path) -> None:
        run, variables = RunFolder(path.parent), [Variable(one.shape) for one in STATE]
        assert isinstance(run.progress(), dict)
        run.load_variables(variables)
        assert all(one.value.shape == one.shape for one in variables)

    in_file("state.npz", read)(with_member(state_bytes(), data), folder)


def config_bytes() -> list[bytes]:
    from lpr_e2e.training.settings import PRESETS

    config = {"data": "x", "exclude": None, "characters": "01", "slots": 3, "settings": PRESETS["small"].as_dict()}
    return [json.dumps(config).encode()]


def read_any_config(path: Path) -> None:
    from lpr_e2e.training.run_folder import RunFolder
    from lpr_e2e.training.settings import Settings

    assert isinstance(RunFolder(path.parent).config()["settings"], Settings)


def small_dataset():
    from lpr_e2e.data.samples import Crop, Dataset

    crops = [Crop(name, Path(name), text, None) for name, text in (("a.png", "12"), ("ü.png", "سطن"), ("c.png", "NA"))]
    return Dataset([], crops[:2], [], crops[2:])


def split_bytes() -> list[bytes]:
    from lpr_e2e.training.sides import split

    return [split(small_dataset()).to_csv(index=False).encode()]


def read_any_split(path: Path) -> None:
    from lpr_e2e.training.run_folder import RunFolder

    RunFolder(path.parent).check_split(small_dataset())


HISTORY = b"stage,epoch,loss\nrecognition,1,0.5\njoint,2,0.25\n"


def read_any_history(path: Path) -> None:
    """A history is gone on with."""
    import pandas as pd

    from lpr_e2e.training.run_folder import RunFolder

    RunFolder(path.parent).add_history({"stage": "joint", "epoch": 3, "loss": 0.125})
    last = pd.read_csv(path).iloc[-1]
    assert (last["stage"], float(last["epoch"]), float(last["loss"])) == ("joint", 3, 0.125)


def own_labels_bytes() -> list[bytes]:
    from lpr_e2e.training.pseudo_labels import PseudoLabels

    own = PseudoLabels(
        {("photograph", "a.jpg", 0): ("12", 0), ("photograph", "ü.jpg", 1): ("سطن", 3)},
        {("crop", "b.jpg", 0): [(0, np.array([0.1, 0.5])), (3, np.array([0.6, 0.7, 0.9]))]},
        {("photograph", "c.jpg", 0): 0.2},
    )
    with tempfile.TemporaryDirectory() as name:
        own.save(Path(name, "own_labels.csv"))
        return [Path(name, "own_labels.csv").read_bytes()]


def read_any_own_labels(path: Path) -> None:
    from lpr_e2e.training.pseudo_labels import PseudoLabels

    own = PseudoLabels.load(path)
    assert all(math.isfinite(tilt) for tilt in own.tilts.values())
    assert all(text and turns in range(4) for text, turns in own.readings.values())
    for groups in own.cuts.values():
        assert all(start >= 0 and np.isfinite(cuts).all() and (np.diff(cuts) >= 0).all() for start, cuts in groups)


LETTERS = {
    "": {"A": [np.eye(72, 40, dtype="uint8"), np.ones((72, 90), "uint8")]},
    "b": {"国": [np.ones((72, 72), "uint8")]},
}


@functools.cache
def letters_bytes() -> bytes:
    from lpr_e2e.training import letterforms

    with tempfile.TemporaryDirectory() as name:
        letterforms.save(LETTERS, Path(name, "letters.npz"))
        return Path(name, "letters.npz").read_bytes()


def read_any_letters(path: Path) -> dict:
    from lpr_e2e.training import letterforms

    letters = letterforms.load(path)
    for of_set in letters.values():
        for masks in of_set.values():
            assert all(mask.dtype == np.uint8 and mask.shape[0] == 72 and mask.size for mask in masks)
    return letters


def read_damaged_letters(path: Path) -> None:
    letters = read_any_letters(path)
    assert letters.keys() == LETTERS.keys(), "not the letters that were saved"
    for name, of_set in LETTERS.items():
        assert letters[name].keys() == of_set.keys()
        for character, masks in of_set.items():
            assert all(map(np.array_equal, letters[name][character], masks)), "not the letters that were saved"


def letters_members() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(letters_bytes())) as archive:
        return [bytes([index]) + archive.read(name) for index, name in enumerate(archive.namelist())]


def check_letters_members(data: bytes, folder: Path) -> None:
    in_file("letters.npz", read_any_letters)(with_member(letters_bytes(), data), folder)


# ------------------------------------------------------------------------------------------------- kept fingerprints


def cached(folder: Path):
    """A cache that has the fingerprint of a crop, the crop's path, and the fingerprint."""
    from lpr_e2e.data.fingerprint_cache import FingerprintCache
    from lpr_e2e.data.fingerprints import crop_fingerprint

    picture, path = np.random.default_rng(0).integers(0, 256, (30, 90, 3), "uint8"), folder / "a.png"
    if not path.exists():
        Image.fromarray(picture).save(path)
        os.utime(path, (1, 1))
    fingerprint = crop_fingerprint(picture)
    cache = FingerprintCache(folder)
    cache.put(path, None, fingerprint, cache.state_of(path, None))
    cache.save()
    cache.keep_comparison("key", {"same": [[1, 2, 0.5]]})
    return cache, path, fingerprint


def _cached_bytes(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        cached(Path(folder))
        return Path(folder, name).read_bytes()


def check_fingerprints(data: bytes, folder: Path) -> None:
    """Of a damaged file of fingerprints, nothing is taken, or what was kept."""
    from lpr_e2e.data.fingerprint_cache import FILE, FingerprintCache, digest

    if not (folder / "a.png").exists():
        cached(folder)
    _, path, fingerprint = _known(folder)
    (folder / FILE).write_bytes(data)
    found = FingerprintCache(folder).get(path, None)
    assert found is None or digest([found]) == digest([fingerprint]), "not what was kept"


@functools.cache
def _known(folder: Path):
    return cached(folder)


def check_comparisons(data: bytes, folder: Path) -> None:
    """Of a damaged file of comparisons, nothing is taken, or lists of numbers."""
    from lpr_e2e.data.fingerprint_cache import COMPARISONS, FingerprintCache

    (folder / COMPARISONS).write_bytes(data)
    cache = FingerprintCache(folder)
    found = cache.comparison("key")
    assert found is None or isinstance(found, dict)
    cache.keep_comparison("other", {"same": []})
    assert cache.comparison("other") == {"same": []}


# -------------------------------------------------------------------------------------------------------- sent to us


BOUNDARY = "limit"


def forms_sent() -> list[bytes]:
    """Bodies of requests, each after a line with its content type."""
    head = f"multipart/form-data; boundary={BOUNDARY}\n".encode()
    one = (
        b'--limit\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n'
        b"Content-Type: image/png\r\n\r\n%s\r\n"
    )
    picture = encoded_pictures()[3]
    return [
        head + one % (b"a.png", picture) + b"--limit--\r\n",
        head + one % (b"a.png", b"x") + one % ("\u00fc/../b.png".encode(), b"") + b"--limit--\r\n",
        head + one % (b"a.png", b"x"),
        b'multipart/form-data; boundary="a b"\n--a b\r\n\r\n--a b--\r\n',
        b"text/plain\nx",
    ]


def check_form_sent(data: bytes, folder: Path) -> None:
    """A body is pictures with names, or refused with a status that says that the sender is at fault."""
    from fastapi import HTTPException, Request

    from lpr_e2e.serving.limits import Limits
    from lpr_e2e.serving.uploads import Room, receive_pictures

    kind, _, body = data.partition(b"\n")
    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive():
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind)], "query_string": b""}
    limits = Limits()
    with Room(limits).share() as share:
        try:
            pictures = asyncio.run(receive_pictures(Request(scope, receive), limits, share))
        except HTTPException as error:
            assert 400 <= error.status_code < 500 and error.detail
        else:
            assert pictures
            for name, _ in pictures:
                name.encode("utf-8")  # It stands in an answer.


ANSWERS_SENT = (
    b'{"revision": "0123", "plates": [{"box": [20, 30, 40.5, 90], "text": "12T34"}]}',
    b'{"revision": "0123", "plates": []}',
    b'{"revision": "0123", "plates": null}',
    '{"revision": "", "plates": [{"box": [0, 0, 9e9, 1], "text": "سطن \\ud800"}]}'.encode(),
)


@functools.cache
def _site(folder: Path):
    """The page of `label` on two photographs, and the table that its answers are in."""
    from fastapi.testclient import TestClient
    from label_files import save_picture

    from lpr_e2e.annotation.answers import Answers
    from lpr_e2e.annotation.beginning import Beginning
    from lpr_e2e.annotation.desk import Desk
    from lpr_e2e.annotation.site import make_site
    from lpr_e2e.data.labels import NOTHING_SAID

    for number in range(2):
        save_picture(folder / "photographs" / f"0{number}.png", number)
    answers = Answers(folder / "photographs" / "labels.csv")
    desk = Desk(Beginning.of(folder / "photographs", NOTHING_SAID, None, None), answers)
    client = TestClient(make_site(desk, "secret", set()), base_url="http://127.0.0.1:8000")
    client.get("/?token=secret")
    return client, answers


def check_answer_sent(data: bytes, folder: Path) -> None:
    """An answer that a page sends is taken, or refused in a sentence; what is taken can be read from the table."""
    from lpr_e2e.annotation.answers import revision_of

    client, answers = _site(folder)
    # Most would be refused for their revision alone.
    data = data.replace(b'"0123"', f'"{revision_of(answers.get("00.png"))}"'.encode())
    answer = client.put("/photographs/0", content=data, headers={"content-type": "application/json"})
    if answer.status_code != 200:  # 400 is FastAPI's own word on what is no text at all; 409: of another revision.
        assert answer.status_code in (400, 409, 422), answer.text
        assert answer.json()["detail" if answer.status_code == 400 else "message"]
    else:
        path = folder / "copy.csv"
        shutil.copy(answers.path, path)
        read_any_answers(path)


# ------------------------------------------------------------------------------------------------------------- clips


@functools.cache
def clip_bytes() -> bytes:
    """A clip of half a second."""
    from lpr_e2e.video.clips import ClipWriter

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "clip.mp4")
        with ClipWriter(path, 10) as clip:
            for number in range(5):
                clip.write(number / 10, np.repeat(rng.integers(0, 256, (4, 6, 3), "uint8"), 16, 0).repeat(16, 1))
        return path.read_bytes()


def read_any_clip(path: Path) -> None:
    from lpr_e2e.video.frames import open_source

    source = open_source(str(path))
    try:
        before = -1.0
        for frame in source:
            assert frame is not None and frame.seconds > before and math.isfinite(frame.seconds)
            assert frame.picture.dtype == np.uint8 and frame.picture.ndim == 3 and frame.picture.shape[2] == 3
            before = frame.seconds
        assert "\n" not in source.fault
    finally:
        source.close()


PASSES = (
    b'{"number": 1, "text": "12T34", "confidence": 0.9, "status": "ok", "first": 0.5, "last": 1.5, "frames": 6, '
    b'"best": 1.0, "ymin": 1.0, "xmin": 2.0, "ymax": 20.0, "xmax": 40.0, "box_confidence": 0.9, '
    b'"plate": "pictures/000001_plate.jpg", "frame": "pictures/000001_frame.jpg", "source": "c.mp4", '
    b'"certainties": [0.9, 0.8]}\n'
)


def read_any_passes(path: Path) -> None:
    from lpr_e2e.common.files import csv_lines
    from lpr_e2e.video.outputs import read_passes
    from lpr_e2e.video.page import PassPage

    for one in read_passes(path):
        csv_lines([one.row()]).encode("utf-8")
        one.line()
    with PassPage(path.parent, "a.mp4"):
        pass


READERS = {
    one.name: one
    for one in (
        Reader("pictures", encoded_pictures, check_picture),
        Reader("tables", lambda: list(TABLES), in_file("table.csv", read_any_table)),
        Reader("truths", lambda: [*TABLES, PREDICTIONS], in_file("truth.csv", read_any_truth)),
        Reader("predictions", lambda: [PREDICTIONS], in_file("predictions.csv", read_any_predictions)),
        Reader("problems", lambda: [PROBLEMS], check_problems),
        Reader("exclusions", lambda: [TABLES[0]], in_file("exclude.csv", read_any_exclusions)),
        *map(_labels, ("table", "coco", "yolo", "voc", "cvat", "label_studio", "fast_plate_ocr")),
        Reader("answers", lambda: [ANSWERED], in_file("labels.csv", read_any_answers)),
        Reader("answers_sent", lambda: list(ANSWERS_SENT), check_answer_sent),
        Reader("forms_sent", forms_sent, check_form_sent),
        Reader("description", description_file, check_description),
        Reader("exported", exported_files, check_exported, slow=True),
        Reader("keras", lambda: [keras_bytes()], check_keras, slow=True),
        Reader("keras_members", keras_members, check_keras_members, slow=True),
        Reader("config", config_bytes, in_file("config.json", read_any_config)),
        Reader("split", split_bytes, in_file("split.csv", read_any_split)),
        Reader("history", lambda: [HISTORY], in_file("history.csv", read_any_history)),
        Reader("fingerprints", lambda: [_cached_bytes("fingerprints.npz")], check_fingerprints),
        Reader("comparisons", lambda: [_cached_bytes("comparisons.json")], check_comparisons),
        Reader("state", lambda: [state_bytes()], check_state),
        Reader("state_members", state_members, check_state_members),
        Reader("own_labels", own_labels_bytes, in_file("own_labels.csv", read_any_own_labels)),
        Reader("letters", lambda: [letters_bytes()], in_file("letters.npz", read_damaged_letters)),
        Reader("letters_members", letters_members, check_letters_members),
        Reader("clips", lambda: [clip_bytes()], in_file("clip.mp4", read_any_clip)),
        Reader("passes", lambda: [PASSES], in_file("passes.jsonl", read_any_passes)),
    )
}
