"""Copies of photographs on which no plate can be read: nothing of it is left, and all else stays."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from stand_in import CANVAS, MAGENTA, MagentaEngine, reader

import predict
from lpr_e2e.common.images import read_picture
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import Reading
from lpr_e2e.prediction.redaction import HIDDEN_FROM, WAYS, RedactionWriter, around, hidden, places_to_hide

BOX = (40.0, 60.0, 70.0, 160.0)


class DoubtfulEngine(MagentaEngine):
    """Sees cyan rectangles as well, and hardly believes in them."""

    belief = HIDDEN_FROM + 0.05

    def find(self, scenes):
        found = super().find(scenes)
        for index, scene in enumerate(scenes.astype(int)):
            rows, columns = np.nonzero((scene[..., 0] < 60) & (scene[..., 1] > 200) & (scene[..., 2] > 200))
            if len(rows):
                corners = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
                found["cell_boxes"][index, 1] = np.array(corners) / CANVAS
                found["objectness"][index, 1] = np.log(self.belief / (1 - self.belief))
        return found


class OneAtATime(DoubtfulEngine):
    """Believes in a cyan rectangle only where there is no magenta one beside it."""

    belief = 0.9

    def find(self, scenes):
        found = super().find(scenes)
        found["objectness"][found["objectness"][:, 0] > 0, 1] = -9.0
        return found


@pytest.fixture
def engine(monkeypatch):
    engine = DoubtfulEngine()
    monkeypatch.setattr(PlateReader, "load", classmethod(lambda cls, path=None, format=None, **_: reader(engine)))
    return engine


def street(plate=MAGENTA, doubtful=None) -> np.ndarray:
    """A photograph with something in every pixel, a plate, and perhaps something that may be one."""
    photograph = np.random.default_rng(0).integers(60, 190, (200, 300, 3), "uint8")
    photograph[40:70, 60:160] = plate
    if doubtful is not None:
        photograph[140:160, 200:260] = doubtful
    return photograph


def rows_of(output):
    with open(output / "redacted.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestHidden:
    @pytest.mark.parametrize("way", WAYS)
    def test_outside_the_box_every_pixel_stays(self, way):
        before = street(np.random.default_rng(1).integers(0, 256, (30, 100, 3), "uint8"))
        kept = before.copy()
        after = hidden(before, [BOX], way)
        np.testing.assert_array_equal(before, kept)
        mask = np.zeros(before.shape[:2], bool)
        mask[40:70, 60:160] = True
        np.testing.assert_array_equal(after[~mask], before[~mask])
        assert (after[mask] != before[mask]).any()

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("height", "turned"), [(12, False), (30, False), (120, False), (60, True)])
    def test_all_that_is_left_of_a_plate_follows_from_the_means_of_a_few_cells(self, way, height, turned):
        """So two texts cannot be told apart by more than that."""
        painter, rng = PlatePainter(["AB12CDE", "FG34HJK"]), np.random.default_rng(1)
        for text in ("AB12CDE", "KG43JFH"):
            plate = np.array(Image.fromarray(painter.draw(text, rng)[0]).resize((4 * height, height)))
            plate = np.ascontiguousarray(np.rot90(plate)) if turned else plate
            box = (0, 0, *plate.shape[:2])
            means = hidden(plate, [box], "pixels")
            assert len(np.unique(means.reshape(-1, 3), axis=0)) <= 12
            assert np.abs(hidden(means, [box], way).astype(int) - hidden(plate, [box], way)).max() <= 3

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "box", [(-20, -20, 30, 40), (190, 280, 400, 400), (10, 10, 10.4, 60), (-9, 500, -2, 600), (5, 5, 6, 6)]
    )
    def test_boxes_at_the_edge_outside_and_tiny_ones_are_taken(self, way, box):
        after = hidden(street(), [box], way)
        assert after.shape == (200, 300, 3) and after.dtype == np.uint8

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "other", [(45.0, 100.0, 90.0, 200.0), (20.0, 30.0, 110.0, 290.0), (50.0, 80.0, 60.0, 140.0)]
    )
    def test_where_boxes_overlap_no_more_is_left_of_a_plate(self, way, other):
        """Not the colours of several grids, which together would show more."""
        noise = np.random.default_rng(1).integers(0, 256, (30, 100, 3), "uint8")
        alone = hidden(street(noise), [BOX], "pixels")[40:70, 60:160]
        for boxes in ([BOX, other], [other, BOX]):
            means = hidden(street(noise), boxes, "pixels")
            assert len(np.unique(means[40:70, 60:160].reshape(-1, 3), axis=0)) <= 24
            # What is hidden in the end follows from what was left after the larger one.
            first, second = sorted(boxes, key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))
            np.testing.assert_array_equal(
                hidden(street(noise), boxes, way), hidden(hidden(street(noise), [first], way), [second], way)
            )
        assert len(np.unique(alone.reshape(-1, 3), axis=0)) <= 12

    def test_a_box_grows_by_its_shorter_side(self):
        assert around((10, 10, 30, 110), 0.5) == (0, 0, 40, 120)
        assert around((10, 10, 12, 14), 0.1) == (8, 8, 14, 16)


class TestWriter:
    def written(self, tmp_path, photographs, engine=None, way="box"):
        one = reader(engine or DoubtfulEngine())
        (tmp_path / "out").mkdir(exist_ok=True)
        with RedactionWriter(tmp_path / "out", way, one.driver) as writer:
            for name, photograph in photographs.items():
                writer.write(name, photograph, one.read(photograph) if photograph is not None else [Reading(name)])
        return writer

    def test_what_is_read_and_what_is_doubted_is_hidden_and_listed(self, tmp_path):
        photograph = street(doubtful=(0, 255, 255))
        writer = self.written(tmp_path, {"a.png": photograph})
        copy = read_picture(writer.folder / "a.png")
        for top, left, bottom, right in ((40, 60, 70, 160), (140, 200, 160, 260)):
            assert len(np.unique(copy[top:bottom, left:right].reshape(-1, 3), axis=0)) == 1
        rows = rows_of(tmp_path / "out")
        assert [row["why"] for row in rows] == ["plate", "perhaps a plate"] and writer.boxes == 2
        assert (copy[180:, :50] == photograph[180:, :50]).all()

    def test_below_the_bar_nothing_is_hidden(self, tmp_path):
        engine = DoubtfulEngine()
        engine.belief = HIDDEN_FROM - 0.05
        photograph = street(doubtful=(0, 255, 255))
        writer = self.written(tmp_path, {"a.png": photograph}, engine)
        np.testing.assert_array_equal(
            read_picture(writer.folder / "a.png")[140:160, 200:260], photograph[140:160, 200:260]
        )

    def test_small_plates_are_looked_for_in_tiles(self, tmp_path):
        """On the whole they are a pixel or two."""

        class Sharp(MagentaEngine):
            def find(self, scenes):
                found = super().find(scenes)
                lost = (scenes == np.array(MAGENTA)).all(-1).sum((1, 2)) < 40
                found["objectness"][lost] = -9.0
                return found

        photograph = np.random.default_rng(0).integers(60, 190, (1600, 2400, 3), "uint8")
        photograph[1000:1012, 1700:1740] = MAGENTA
        one = reader(Sharp())
        (tmp_path / "out").mkdir()
        with RedactionWriter(tmp_path / "out", "box", one.driver) as writer:
            writer.write("a.png", photograph, [Reading("a.png")])
        copy = read_picture(writer.folder / "a.png")
        assert len(np.unique(copy[1000:1012, 1700:1740].reshape(-1, 3), axis=0)) == 1

    @pytest.mark.parametrize("way", WAYS)
    def test_what_shows_only_without_the_plate_beside_it_is_hidden_too(self, tmp_path, way):
        photograph = street(doubtful=np.random.default_rng(1).integers((0, 220, 220), (40, 256, 256), (20, 60, 3)))
        writer = self.written(tmp_path, {"a.png": photograph}, OneAtATime(), way)
        assert [row["why"] for row in rows_of(tmp_path / "out")] == ["plate", "plate"]
        copy = read_picture(writer.folder / "a.png")
        assert (copy[140:160, 200:260] != photograph[140:160, 200:260]).any(-1).mean() > 0.9
        assert (copy[180:, :50] == photograph[180:, :50]).all()

    def test_covers_are_not_taken_for_further_plates(self):
        """However surely: what is covered already is covered once."""

        class Grey(MagentaEngine):
            def find(self, scenes):
                grey = (scenes == 40).all(-1)[..., None]
                return super().find(np.where(grey, np.array(MAGENTA, "uint8"), scenes))

        places = places_to_hide(street(), reader(Grey()).read(street()), reader(Grey()).driver)
        assert [why for _, _, why in places] == ["plate"]

    def test_where_nothing_was_found_nothing_is_read_again(self):
        engine = OneAtATime()
        assert not places_to_hide(street((90, 90, 90)), [], reader(engine).driver)
        assert not engine.read_

    def test_where_nothing_is_found_there_is_a_copy_and_a_row_that_says_so(self, tmp_path):
        photograph = np.full((60, 80, 3), 120, "uint8")
        writer = self.written(tmp_path, {"empty.png": photograph, "broken.jpg": None})
        (row,) = rows_of(tmp_path / "out")
        assert row["img_id"] == "empty.png" and row["why"] == "nothing hidden" and row["ymin"] == ""
        np.testing.assert_array_equal(read_picture(writer.folder / "empty.png"), photograph)
        assert [path.name for path in writer.folder.iterdir()] == ["empty.png"]
        assert "on 1 nothing was found" in writer.summary()

    def test_a_link_is_not_followed(self, tmp_path):
        """It may lead to the photograph itself."""
        (tmp_path / "in").mkdir()
        Image.fromarray(street()).save(tmp_path / "in" / "a.png")
        before = (tmp_path / "in" / "a.png").read_bytes()
        (tmp_path / "out" / "redacted").mkdir(parents=True)
        (tmp_path / "out" / "redacted" / "a.png").symlink_to(tmp_path / "in" / "a.png")
        (tmp_path / "out" / "redacted" / "in").symlink_to(tmp_path / "in")
        writer = self.written(tmp_path, {"a.png": street()})
        assert (tmp_path / "in" / "a.png").read_bytes() == before
        assert not (writer.folder / "a.png").is_symlink() and read_picture(writer.folder / "a.png").shape == (
            200,
            300,
            3,
        )
        with pytest.raises(OSError, match="leads out of"):
            self.written(tmp_path, {"in/a.png": street()})
        assert (tmp_path / "in" / "a.png").read_bytes() == before


class TestRefused:
    """Before anything of an earlier prediction is lost."""

    @pytest.fixture
    def earlier(self, engine, tmp_path):
        (tmp_path / "in").mkdir()
        Image.fromarray(street()).save(tmp_path / "in" / "a.png")
        arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--redact", "box"]
        assert predict.main(arguments) == 0
        return tmp_path / "out", arguments

    @pytest.mark.parametrize("again", ["same", "of the copies"])
    def test_copies_of_an_earlier_run_are_not_mixed_with_new_ones(self, earlier, again, capsys):
        output, arguments = earlier
        before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
        if again == "of the copies":
            arguments = [str(output / "redacted"), *arguments[1:]]
        assert predict.main(arguments) == 2
        assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
        said = capsys.readouterr().err
        assert "holds copies of an earlier run" in said or "over photographs like this one" in said

    def test_copies_are_no_photographs_to_read(self, engine, tmp_path):
        (tmp_path / "in").mkdir()
        Image.fromarray(street()).save(tmp_path / "in" / "a.png")
        arguments = [str(tmp_path / "in"), "--output", str(tmp_path / "in" / "read")]
        assert predict.main([*arguments, "--redact", "box"]) == 0
        assert predict.main(arguments) == 0
        with open(tmp_path / "in" / "read" / "predictions.csv", newline="", encoding="utf-8") as file:
            assert [row["img_id"] for row in csv.DictReader(file)] == ["a.png"]


@pytest.mark.parametrize("way", WAYS)
def test_predict_writes_copies_without_what_cameras_say(engine, tmp_path, way, capsys):
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6  # It says who made it, and that it lies on its side.
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 24.0)  # GPS
    picture = Image.fromarray(np.ascontiguousarray(np.rot90(street())))
    picture.save(folder / "a.jpg", exif=exif, quality=95, comment=b"a plate")
    Image.fromarray(street()).save(folder / "deeper" / "a.png")
    (folder / "b.jpg").write_bytes(b"no picture")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert predict.main([str(folder), "--output", str(tmp_path / "out"), "--redact", way]) == 0
    assert {path: path.read_bytes() for path in before} == before
    copies = sorted(
        path.relative_to(tmp_path / "out" / "redacted") for path in (tmp_path / "out").rglob("redacted/**/*.*")
    )
    assert [str(one) for one in copies] == ["a.jpg", "deeper/a.png"]
    with Image.open(tmp_path / "out" / "redacted" / "a.jpg") as copy:
        assert copy.size == (300, 200) and not dict(copy.getexif()) and "comment" not in copy.info
        assert copy.format == "JPEG"
    assert "places hidden" in capsys.readouterr().out


def test_without_the_option_there_are_no_copies(engine, tmp_path):
    Image.fromarray(street()).save(tmp_path / "a.png")
    assert predict.main([str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]) == 0
    assert not (tmp_path / "out" / "redacted").exists() and not (tmp_path / "out" / "redacted.csv").exists()
