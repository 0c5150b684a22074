"""What a training takes over from another model: by name and shape, and characters and slots by what they stand for."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from lpr_e2e.commands.starting import add_start_options, start_of
from lpr_e2e.common.errors import UserError
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.models import find
from lpr_e2e.training.settings import PRESETS
from lpr_e2e.training.start import take_over, with_steps_for


def named(model: PlateModel, ending: str) -> np.ndarray:
    (weight,) = [weight for weight in model.weights if weight.path.endswith(ending)]
    return np.asarray(weight)


@pytest.fixture(scope="module")
def source(tiny_settings):
    model = PlateModel(tiny_settings.architecture, "0123456789T", 6)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 1, weight.shape))
    return model


@pytest.mark.parametrize(
    ("characters", "slots"),
    [("0123456789T", 6), ("T9876543210", 1), ("ABT0123456789Zß粤ع", 9), ("XYZ", 4), ("5", 9)],
)
def test_a_character_keeps_its_weights_whatever_its_number(source, tiny_settings, characters, slots):
    characters = "".join(sorted(characters))
    model = PlateModel(tiny_settings.architecture, characters, slots)
    taken = take_over(model, source)
    assert taken.weights == taken.all_weights
    assert set(taken.known) == set(characters) & set(source.vocabulary.characters)
    assert sorted(taken.known + taken.new) == sorted(characters)
    before, now = named(source, "classifier/kernel"), named(model, "classifier/kernel")
    np.testing.assert_array_equal(now[:, 0], before[:, 0])  # The end of a text is the end of a text.
    mean, spread = before[:, 1:].mean(-1), before[:, 1:].std(-1)
    for number, character in enumerate(characters, start=1):
        if character in source.vocabulary.characters:
            place = 1 + source.vocabulary.characters.index(character)
            np.testing.assert_array_equal(now[:, number], before[:, place])
        else:
            assert (np.abs(now[:, number] - mean) < 3 * spread).all()
    queries = named(model, "decoder/queries")
    assert queries.shape[0] == slots
    np.testing.assert_array_equal(queries[:6], named(source, "decoder/queries")[:slots])


@pytest.mark.parametrize(
    ("characters", "alike", "as_them"),
    [
        ("0123456789ТУ", "Т", "T"),  # Cyrillic: there is a Latin T, and no Y.
        ("0123456789Τ", "Τ", "T"),  # Greek
        ("TZ", "", ""),
    ],
)
def test_a_character_begins_as_one_that_looks_the_same(source, tiny_settings, characters, alike, as_them):
    model = PlateModel(tiny_settings.architecture, characters, 6)
    taken = take_over(model, source)
    assert taken.alike == alike and sorted(taken.known + taken.alike + taken.new) == sorted(characters)
    before, now = named(source, "classifier/kernel"), named(model, "classifier/kernel")
    for mine, theirs in zip(alike, as_them, strict=True):
        place, known = 1 + characters.index(mine), 1 + source.vocabulary.characters.index(theirs)
        np.testing.assert_array_equal(now[:, place], before[:, known])
    assert all(one in str(taken) for one in alike)


@pytest.mark.parametrize(("digits", "as_these"), [("۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩")])
def test_persian_digits_begin_as_arabic_ones(tiny_settings, digits, as_these):
    theirs = PlateModel(tiny_settings.architecture, as_these, 6)
    assert take_over(PlateModel(tiny_settings.architecture, digits, 6), theirs).alike == digits


def test_new_characters_differ_from_each_other_and_are_the_same_each_time(source, tiny_settings):
    models = [PlateModel(tiny_settings.architecture, "ABC", 6) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        take_over(model, source, seed)
    first, same, other = (named(model, "classifier/kernel") for model in models)
    np.testing.assert_array_equal(first, same)
    assert (first[:, 1:] != other[:, 1:]).any() and (first[:, 1] != first[:, 2]).any()


def test_backbone_and_box_head_are_taken_and_the_temperature_is_not(source, tiny_settings):
    model = PlateModel(tiny_settings.architecture, "ABC", 4)
    source.temperature.assign(3.0)
    take_over(model, source)
    assert float(model.temperature) == 1.0
    for ending in ("stem/kernel", "find_fuse/kernel"):
        mine, theirs = ([w for w in one.weights if ending in w.path][0] for one in (model, source))
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


def test_of_another_size_only_what_fits_is_taken(source, tiny_settings):
    other = tiny_settings.changed(["architecture.head_width=24"]).architecture
    taken = take_over(PlateModel(other, "0123456789T", 6), source)
    assert 0 < taken.weights < taken.all_weights


class TestSteps:
    settings = PRESETS["standard"]

    def steps(self, read, fixed=()):
        changed = with_steps_for(self.settings, read, fixed)
        assert changed.recognition.steps % changed.epoch_steps == 0 == changed.joint.steps % changed.epoch_steps
        return changed.recognition.steps, changed.joint.steps

    def test_the_better_the_start_reads_the_fewer_steps_of_reading_alone(self):
        nothing, half, all_read = self.steps(0.0), self.steps(0.5), self.steps(1.0)
        assert nothing == (self.settings.recognition.started_steps, self.settings.joint.started_steps)
        assert nothing[0] > half[0] > all_read[0] >= self.settings.epoch_steps
        assert nothing[1] == half[1] == all_read[1]

    def test_steps_that_somebody_set_stay(self):
        assert self.steps(1.0, {"joint"})[1] == self.settings.joint.steps

    def test_a_short_training_stays_short(self):
        short = self.settings.changed(["joint.steps=2", "recognition.steps=0"])
        changed = with_steps_for(short, 0.0)
        assert (changed.recognition.steps, changed.joint.steps) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "name", "chosen"),
    [
        ([], "base", True),
        (["--preset", "quick"], "base", True),
        (["--weights", "egypt"], "egypt", False),
        (["--weights", "none"], None, False),
        (["--preset", "small"], None, False),
    ],
)
def test_a_training_starts_from_the_base_unless_somebody_names_another(arguments, name, chosen):
    parser = argparse.ArgumentParser()
    add_start_options(parser, parser)
    parser.add_argument("--data")
    start = start_of(parser.parse_args(["--data", "mine", *arguments]))
    assert start.weights == (find(name, keras=True) if name else None) and start.chosen == chosen
    assert (name or "nothing") in start.said


def test_the_quick_preset_is_the_standard_model_and_refuses_to_start_from_nothing():
    assert PRESETS["quick"].architecture == PRESETS["standard"].architecture
    parser = argparse.ArgumentParser()
    add_start_options(parser, parser)
    parser.add_argument("--data")
    with pytest.raises(UserError, match="--preset quick: is too short to learn from nothing; .*--preset standard"):
        start_of(parser.parse_args(["--data", "mine", "--preset", "quick", "--weights", "none"]))
