"""Writing that is no plate: its texts are of no form that plates have, and it never covers one."""

from __future__ import annotations

import numpy as np
import pytest

from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import UNSEEN, Vocabulary
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.drawing.signs import SignPainter, Writing
from lpr_e2e.training.augmentation import write_on
from lpr_e2e.training.batches import BatchMaker
from lpr_e2e.training.set_samples import RECOGNITION, SetSamples
from lpr_e2e.training.settings import Mixture
from lpr_e2e.training.trainer import training_vocabulary

LATIN = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
COUNTRIES = {
    "british": (LATIN, ("AA00AAA",)),
    "indonesian": (LATIN, ("A0000AA", "AA0000AA", "A000AAA", "A0A")),
    "egyptian": ("أبتجسطعقنمهو٠١٢٣٤٥٦٧٨٩", ("أأأ٠٠٠٠", "أأ٠٠٠")),
    "numbers": ("0123456789", ("00000", "0000000")),
}


def forms_of(country: str) -> TextForms:
    characters, examples = COUNTRIES[country]
    return TextForms(Vocabulary(characters + UNSEEN, 9), examples)


def read(line: str, forms: TextForms) -> str:
    return "".join(one for one in line.upper() if one in forms.vocabulary.characters)


@pytest.mark.parametrize("country", COUNTRIES)
def test_no_line_could_be_a_plates(country, monkeypatch):
    forms, texts = forms_of(country), []
    monkeypatch.setattr(
        "lpr_e2e.drawing.signs._written", lambda text, face: texts.append(text) or np.full((9, 30), 255, "uint8")
    )
    painter = SignPainter(forms)
    kinds = {painter.draw(np.random.default_rng(seed)).kind for seed in range(400)}
    assert kinds == {"sign", "letters", "caption", "foreign"} and len(set(texts)) > 350
    assert not any(read(text, forms) and forms.fits(read(text, forms)) for text in texts)


def test_where_forms_are_not_known_nothing_looks_like_a_plate(monkeypatch):
    forms, texts = TextForms(Vocabulary("0123456789AB", 5)), []
    monkeypatch.setattr(
        "lpr_e2e.drawing.signs._written", lambda text, face: texts.append(text) or np.full((9, 30), 255, "uint8")
    )
    kinds = {SignPainter(forms).draw(np.random.default_rng(seed)).kind for seed in range(200)}
    assert "foreign" not in kinds and all(len(read(text, forms)) > 6 for text in texts)


@pytest.mark.parametrize("country", COUNTRIES)
def test_it_is_drawn_the_same_each_time_and_can_be_seen(country):
    painter = SignPainter(forms_of(country))
    for seed in range(40):
        first, again = (painter.draw(np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first.picture, again.picture)
        assert first.picture.shape == (*first.cover.shape, 3) and first.picture.dtype == first.cover.dtype == np.uint8
        shown = first.picture[first.cover > 200].astype(int)
        assert len(shown) > 50 and np.ptp(shown, axis=0).max() > 40 or first.kind in ("letters", "caption")


class TestOnPhotographs:
    BOXES = np.array([[60.0, 40.0, 90.0, 160.0], [10.0, 200.0, 30.0, 260.0]])

    @pytest.mark.parametrize("seed", range(30))
    def test_plates_stay_as_they_are_and_something_is_written(self, seed):
        rng = np.random.default_rng(seed)
        picture = rng.integers(0, 256, (240, 320, 3)).astype("uint8")
        before = picture.copy()
        writing = SignPainter(forms_of("british")).draw(rng)
        shown, box = write_on(picture, self.BOXES, writing, rng)
        np.testing.assert_array_equal(picture, before)
        for top, left, bottom, right in self.BOXES.astype(int):
            np.testing.assert_array_equal(shown[top:bottom, left:right], before[top:bottom, left:right])
        changed = np.argwhere((shown != before).any(-1))
        if box is None:
            assert shown is picture
        else:
            assert 20 < len(changed) < 0.4 * 240 * 320
            assert (changed >= box[:2]).all() and (changed < box[2:]).all()

    def test_captions_stand_along_an_edge(self):
        writing = Writing(np.full((20, 200, 3), 255, "uint8"), np.full((20, 200), 255, "uint8"), "caption")
        for seed in range(20):
            shown, _ = write_on(np.zeros((240, 320, 3), "uint8"), (), writing, np.random.default_rng(seed))
            rows = np.flatnonzero(shown.any((1, 2)))
            assert rows[0] < 12 or rows[-1] > 225

    def test_where_plates_leave_no_room_nothing_is_written(self):
        picture = np.zeros((100, 100, 3), "uint8")
        writing = Writing(np.full((20, 60, 3), 255, "uint8"), np.full((20, 60), 255, "uint8"), "sign")
        shown, box = write_on(picture, [[0, 0, 100, 100]], writing, np.random.default_rng(0))
        assert shown is picture and box is None


class TestInBatches:
    @pytest.fixture
    def make_maker(self, tiny_data, tiny_settings):
        dataset = load_dataset(tiny_data)

        def make(**mixture):
            sizes = (tiny_settings.architecture, tiny_settings.procedure)
            painter = PlatePainter([crop.text for crop in dataset.crops])
            samples = SetSamples(dataset, training_vocabulary(dataset), *sizes, painter, Mixture(**mixture), 0)
            return BatchMaker({"": samples})

        return make

    def test_photographs_with_writing_teach_what_they_taught_without(self, make_maker):
        some, none = make_maker(written=1.0), make_maker(written=0.0)
        first, second = (maker.joint_batch(3, 12, 2, 0.5) for maker in (some, none))
        assert (first["canvases"] != second["canvases"]).any((1, 2, 3)).sum() >= 9
        for name in set(first) - {"canvases", "glimpses", "glimpse_classes", "written_rel"}:
            np.testing.assert_array_equal(first[name], second[name])
        assert first["written_rel"].any((1, 2)).sum() >= 9 and not second["written_rel"].any()
        assert sum("writing" in name for name in some.shown) and not any("writing" in name for name in none.shown)

    def test_on_writing_there_is_nothing_to_read(self, make_maker):
        maker = make_maker(unreadable=1.0, written=1.0)
        classes = maker.plates(RECOGNITION, 0, 60)["glimpse_classes"]
        assert not classes.any() and 10 <= maker.shown["plate: writing"] <= 35
        maker = make_maker(unreadable=1.0, written=0.0)
        maker.plates(RECOGNITION, 0, 60)
        assert "plate: writing" not in maker.shown
