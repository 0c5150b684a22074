"""What the model adds to the labels: what it is certain of, nothing held out, and cuts between characters."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lpr_e2e.common.procedure import Procedure
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.drawing.plates import PlatePainter
from lpr_e2e.training.augmentation import rearranged
from lpr_e2e.training.batches import BatchMaker
from lpr_e2e.training.labelling import bar_for_labels, groups_between, label
from lpr_e2e.training.pseudo_labels import PseudoLabels
from lpr_e2e.training.set_samples import RECOGNITION, SetSamples
from lpr_e2e.training.settings import Mixture
from lpr_e2e.training.trainer import training_vocabulary
from tests.stand_in import with_plates

ROWS, COLUMNS, HEIGHT, WIDTH = 8, 48, 64, 192
MARGIN = 0.06


def striped(text: str) -> np.ndarray:
    """A plate whose characters are stripes, 20 pixels wide, as bright as their code, on a margin of 10 pixels."""
    plate = np.zeros((40, 20 + 20 * len(text), 3), "uint8")
    for index, character in enumerate(text):
        plate[5:35, 10 + 20 * index : 30 + 20 * index] = ord(character)
    return plate


class TestRearranged:
    text = "107T4563"
    groups = [(0, (10 + 20 * np.arange(4)) / 180), (4, (90 + 20 * np.arange(5)) / 180)]

    def rearranged(self, seed, groups=None):
        rng = np.random.default_rng(seed)
        return rearranged(striped(self.text), (5, 0, 35, 180), groups or self.groups, self.text, rng)

    def test_the_picture_says_what_the_text_says(self):
        seen = set()
        for seed in range(50):
            picture, text = self.rearranged(seed)
            assert (picture == striped(text)).all()
            seen.add(text)
        assert len(seen) > 20

    def test_digits_stay_in_their_number_and_zeros_off_its_start(self):
        for seed in range(100):
            _, text = self.rearranged(seed)
            assert text[3] == "T" and sorted(text[:3]) == sorted("107") and sorted(text[4:]) == sorted("4563")
            assert text[0] != "0" and text[4] != "0"

    def test_zeros_of_other_digits_stay_off_the_start_too(self):
        text = "٦٠٥ب"
        plate = np.zeros((40, 100, 3), "uint8")
        cuts = [(0, np.array([0.1, 0.3, 0.5, 0.7]))]
        texts = {rearranged(plate, (5, 0, 35, 100), cuts, text, np.random.default_rng(seed))[1] for seed in range(40)}
        assert texts == {"٦٠٥ب", "٦٥٠ب", "٥٦٠ب", "٥٠٦ب"}

    def test_the_given_picture_is_not_changed(self):
        plate = striped(self.text)
        rearranged(plate, (5, 0, 35, 180), self.groups, self.text, np.random.default_rng(0))
        assert (plate == striped(self.text)).all()

    def test_cuts_too_close_leave_their_number_as_it_is(self):
        cuts = self.groups[1][1].copy()
        cuts[2] = cuts[1] + 0.001
        texts = {self.rearranged(seed, [self.groups[0], (4, cuts)])[1] for seed in range(20)}
        assert {text[3:] for text in texts} == {"T4563"} and len(texts) > 1


class TestGroups:
    text = "123T56"
    centres = np.array([0.15, 0.25, 0.35, 0.55, 0.75, 0.86])

    def glimpse(self):
        glimpse = np.full((HEIGHT, WIDTH, 3), 30, "uint8")
        for centre in self.centres:
            middle = round(centre * WIDTH)
            glimpse[20:44, middle - 5 : middle + 5] = np.arange(20, 44)[:, None, None] * 5
        return glimpse

    def attention(self, centres, heights=None):
        maps = np.full((len(centres), ROWS, COLUMNS), 1e-4)
        for index, centre in enumerate(centres):
            maps[index, ROWS // 2 if heights is None else heights[index], int(centre * COLUMNS)] = 1.0
        return maps

    def test_cuts_lie_between_the_characters(self):
        # The model looks a little beside the characters.
        groups = groups_between(self.glimpse(), self.attention(self.centres + 0.015), self.text, MARGIN)
        assert [(start, len(cuts)) for start, cuts in groups] == [(0, 4), (4, 3)]
        for start, cuts in groups:
            in_glimpse = (cuts + MARGIN) / (1 + 2 * MARGIN) * WIDTH
            middles = self.centres[start : start + len(cuts) - 1] * WIDTH
            assert (in_glimpse[:-1] <= middles - 5).all() and (in_glimpse[1:] >= middles + 5).all()

    @pytest.mark.parametrize("order", [(1, 0, 2, 3, 4, 5), (0, 0, 2, 3, 4, 5), (0, 1, 3, 3, 4, 5)])
    def test_a_number_is_not_cut_where_its_digits_do_not_stand_side_by_side(self, order):
        groups = groups_between(self.glimpse(), self.attention(self.centres[list(order)]), self.text, MARGIN)
        assert [start for start, _ in groups] == [4]

    def test_nor_where_they_rise(self):
        heights = [1, 4, 6, 4, 4, 4]
        assert [
            start
            for start, _ in groups_between(self.glimpse(), self.attention(self.centres, heights), self.text, MARGIN)
        ] == [4]

    @pytest.mark.parametrize("turned", [False, True])
    def test_a_number_that_reaches_out_of_the_glimpse_is_cut_within_it(self, turned):
        centres = 1 - self.centres[::-1] - 0.13 if turned else self.centres + 0.13
        for _, cuts in groups_between(
            self.glimpse(), self.attention(centres), self.text[::-1] if turned else self.text, MARGIN
        ):
            in_glimpse = (cuts + MARGIN) / (1 + 2 * MARGIN)
            assert (in_glimpse > 0).all() and (in_glimpse < 1).all() and (np.diff(in_glimpse) > 0).all()

    def test_digits_of_every_script_are_cut_and_letters_from_the_right_are_not(self):
        """Such letters run against their numbers' order; what stands side by side is in another order there."""
        as_they_stand, from_the_right = (
            self.attention(self.centres[order]) for order in (range(6), [2, 1, 0, 3, 4, 5])
        )
        for text, places, starts in (("١٢٣T٥٦", as_they_stand, [0, 4]), ("سطنT٥٦", from_the_right, [4])):
            assert [start for start, _ in groups_between(self.glimpse(), places, text, MARGIN)] == starts

    def test_single_characters_are_no_group(self):
        assert groups_between(self.glimpse(), self.attention(self.centres[:3]), "1T2", MARGIN) == []


@pytest.fixture(scope="module")
def dataset(tiny_data):
    loaded = load_dataset(tiny_data)
    assert sum(one.plates[0].text is not None for one in loaded.photographs) >= 3
    return loaded


def test_own_labels_survive_the_file(tmp_path):
    groups = [(0, np.array([-0.02, 0.5, 1.01])), (3, np.array([0.7, 0.8, 0.9]))]
    own = PseudoLabels(
        {("photograph", "a, b.jpg", 1): ("12T3", 3)},
        {("crop", "é.jpg", 0): groups},
        {("photograph", "é.jpg", 0): -0.25},
    )
    own.save(tmp_path / "own.csv")
    again = PseudoLabels.load(tmp_path / "own.csv")
    assert again.readings == own.readings and again.tilts == own.tilts and list(again.cuts) == list(own.cuts)
    for (start, cuts), (start_again, cuts_again) in zip(groups, again.cuts["crop", "é.jpg", 0], strict=True):
        assert start == start_again
        np.testing.assert_allclose(cuts_again, cuts, atol=1e-4)
    assert [one.name for one in tmp_path.iterdir()] == ["own.csv"]


def test_own_labels_of_a_run_of_before_are_of_the_first_plate(tmp_path):
    """Then every photograph had one."""
    (tmp_path / "own.csv").write_text("set,img_id,text,turns,cuts,tilt\nphotograph,a.jpg,12T3,3,,\n")
    assert PseudoLabels.load(tmp_path / "own.csv").readings == {("photograph", "a.jpg", 0): ("12T3", 3)}


def test_a_given_text_outranks_the_model(dataset):
    several = [replace(one, plates=(*one.plates, replace(one.plates[0], text=None))) for one in dataset.photographs]
    own = PseudoLabels({("photograph", one.img_id, number): ("1T1", 0) for one in several for number in (0, 1)})
    for before, after in zip(several, own.applied(several), strict=True):
        for given, plate in zip(before.plates, after.plates, strict=True):
            assert plate == given if given.text is not None else (plate.text, plate.turns) == ("1T1", 0)


class Oracle:
    """Reads the same text everywhere, as certainly as told."""

    def __init__(self, text: str, certainty: float, size: tuple[int, int]):
        self.vocabulary = Vocabulary("0123456789NT", 8)
        self.architecture = SimpleNamespace(glimpse_size=size, canvas_size=96)
        self.procedure = Procedure(reading_scales=(1.0, 1.15))
        classes = self.vocabulary.encode(text)
        rest = (1 - certainty) / (self.vocabulary.classes - 1)
        odds = np.where(np.eye(self.vocabulary.classes)[classes] > 0, certainty, rest)
        self.logits = np.log(odds)[None]

    def cut(self, canvases, boxes_rel, turns, tilts):
        """Glimpses that show nothing but their tilt."""
        return np.ones((1, *self.architecture.glimpse_size, 3)) * tilts[:, None, None, None]

    def read(self, glimpses):
        maps = np.zeros((len(glimpses), self.vocabulary.slots, 4, 16))
        maps[..., 0] = 1.0
        return {"logits": np.repeat(self.logits, len(glimpses), 0), "attention": maps}


class TestLabel:
    @pytest.fixture(autouse=True)
    def oracles_read_themselves(self, monkeypatch):
        monkeypatch.setattr("lpr_e2e.training.labelling.KerasEngine", lambda oracle: oracle)

    @pytest.fixture()
    def nameless(self, dataset):
        """Nothing is held out, so that nothing tells how far certainty can be trusted."""
        photographs = with_plates(dataset.photographs, text=None, turns=0)
        return replace(dataset, photographs=photographs, validation_photographs=[], validation_crops=[])

    def test_certain_readings_become_texts(self, nameless, tiny_settings):
        size = tiny_settings.architecture.glimpse_size
        assert len(label(Oracle("12T345", 0.99, size), nameless).readings) == len(nameless.photographs)
        assert not label(Oracle("12T345", 0.8, size), nameless).readings
        half = label(Oracle("12T345", 0.99, size), nameless, share=0.5).readings
        assert len(half) == round(0.5 * len(nameless.photographs))

    def test_a_model_that_is_surely_wrong_of_what_is_held_out_labels_nothing(self, dataset, nameless, tiny_settings):
        oracle = Oracle("12T345", 0.99, tiny_settings.architecture.glimpse_size)
        held = with_plates(dataset.photographs, text="12T345", turns=0)
        right = replace(nameless, validation_photographs=held)
        wrong = replace(nameless, validation_photographs=with_plates(held, text="99T999"))
        assert bar_for_labels(oracle, right) <= 0.99 < bar_for_labels(oracle, wrong)
        assert label(oracle, right).readings and not label(oracle, wrong).readings

    @pytest.mark.parametrize("text", ["12T345", "12T346"])
    def test_withheld_texts_do_not_nor_what_may_be_one_misread(self, nameless, tiny_settings, text):
        withheld = replace(nameless, withheld=frozenset({same_plate_key(text)}))
        assert not label(Oracle("12T345", 0.99, tiny_settings.architecture.glimpse_size), withheld).readings

    def test_nothing_is_certain_that_reads_alike_whichever_way_up(self, nameless, tiny_settings):
        unturned = replace(nameless, photographs=with_plates(nameless.photographs, turns=None))
        assert not label(Oracle("12T345", 0.99, tiny_settings.architecture.glimpse_size), unturned).readings

    def test_known_texts_stay(self, dataset, tiny_settings):
        own = label(Oracle("12T345", 0.99, tiny_settings.architecture.glimpse_size), dataset)
        known = {("photograph", one.img_id, 0) for one in dataset.photographs if one.plates[0].text is not None}
        assert known and not set(own.readings) & known

    @pytest.mark.parametrize("tilt", [-0.3, 0.0, 0.2])
    def test_tilts_are_those_at_which_the_known_text_reads_best(self, dataset, tiny_settings, tilt):
        class Tilted(Oracle):
            def read(self, glimpses):
                answer = super().read(glimpses)
                off = np.abs(glimpses[:, 0, 0, 0] - tilt)[:, None, None]
                return {**answer, "logits": answer["logits"] * np.maximum(0.05, 1 - 3 * off)}

        high = with_plates(dataset.photographs, text="12T345", turns=0, box_px=(10, 10, 60, 90))
        flat = [replace(one, img_id=f"flat {one.img_id}") for one in with_plates(high, box_px=(10, 10, 30, 90))]
        unread = [replace(one, img_id=f"other {one.img_id}") for one in with_plates(high, text="12T999")]
        oracle = Tilted("12T345", 0.97, tiny_settings.architecture.glimpse_size)
        tilts = label(oracle, replace(dataset, photographs=[*high, *flat, *unread], crops=[])).tilts
        assert set(tilts) == {("photograph", one.img_id, 0) for one in high}
        assert np.abs(np.array(list(tilts.values())) - tilt).max() < 0.05


def test_batches_use_them(dataset, tiny_settings):
    """A photograph that got its text from the model is read, and the plates with cuts are shown rearranged."""
    nameless = replace(dataset, photographs=with_plates(dataset.photographs, text=None, turns=0))
    vocabulary = training_vocabulary(dataset)
    painter = PlatePainter([crop.text for crop in dataset.crops])
    text = dataset.crops[0].text
    own = PseudoLabels(
        {("photograph", one.img_id, 0): (text, 0) for one in nameless.photographs},
        {("crop", one.img_id, 0): [(len(one.text) - 3, np.array([0.6, 0.7, 0.8, 0.9]))] for one in dataset.crops},
    )
    mixture = Mixture(pasted_unknown=0.0, pasted_known=0.0, hidden=0.0, unreadable=0.0, real=1.0, rearranged=1.0)
    settings = tiny_settings
    sizes = (settings.architecture, settings.procedure)
    maker = BatchMaker({"": SetSamples(nameless, vocabulary, *sizes, painter, mixture, 0, own)})
    assert maker.joint_batch(0, 6, 1, 0.0)["text_known"].any()
    classes = maker.plates(RECOGNITION, 0, 60)["glimpse_classes"]
    shown = {vocabulary.decode(np.eye(vocabulary.classes)[row])[0] for row in classes}
    assert not shown <= {crop.text for crop in dataset.crops}
    assert {"".join(sorted(one)) for one in shown} <= {"".join(sorted(crop.text)) for crop in dataset.crops}
