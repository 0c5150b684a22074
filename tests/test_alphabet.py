"""Letters that labels are likely to lack: which are added, and which are not."""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_dataset import Folder

from lpr_e2e.cli import main
from lpr_e2e.commands.starting import add_start_options, letters_lacking, settings_of, start_of
from lpr_e2e.data.samples import Crop, Dataset
from lpr_e2e.prediction.models import find
from lpr_e2e.training.alphabet import characters_of, lacking, with_letters
from lpr_e2e.training.settings import PRESETS

SETTINGS = PRESETS["quick"]
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋"
DIGITS = "0123456789"


def texts(letters: str, count: int, seed: int = 0, form: str = "LL00LL") -> list[str]:
    """Texts of a form, `L` being one of the letters."""
    rng = np.random.default_rng(seed)
    pools = {"L": letters, "0": DIGITS}
    return ["".join(rng.choice([*pools[one]]) if one in pools else one for one in form) for _ in range(count)]


def added(training_texts, known: str = DIGITS + LATIN + PROVINCES) -> str:
    return "".join(one.letters for one in lacking(training_texts, known, SETTINGS))


def test_of_few_plates_the_letters_that_no_label_has_are_learned_too():
    few = texts(LATIN, 10)
    missing = lacking(few, DIGITS + LATIN, SETTINGS)
    assert len(missing) == 1 and missing[0].letters
    assert set(missing[0].letters) == set(LATIN) - set("".join(few))
    plates_with = {one: sum(one in text for text in few) for one in set("".join(few)) & set(LATIN)}
    assert missing[0].seen == len(plates_with) and missing[0].once == list(plates_with.values()).count(1)
    assert all(one in str(missing[0]) for one in missing[0].letters)


def test_of_many_plates_none_is_added_though_the_country_leaves_letters_out():
    assert added(texts(LATIN.replace("I", "").replace("Q", ""), 600)) == ""


def test_the_share_is_near_the_one_of_new_letters_on_other_plates():
    known, other = texts(LATIN, 12, seed=3), "".join(texts(LATIN, 4000, seed=4, form="LLLL"))
    (missing,) = lacking(known, DIGITS + LATIN, SETTINGS)
    new = np.mean([one not in "".join(known) for one in other])
    assert new / 2 < missing.share < 2 * new


@pytest.mark.parametrize(
    "few",
    [
        texts("TN", 8, form="000L0000"),  # series marks
        [*texts("", 40, form="0000000"), "000N000"],
        texts("", 10, form="0000000"),
        [],
    ],
)
def test_marks_and_digits_are_no_alphabet(few):
    assert added(few) == ""


@pytest.mark.parametrize(
    ("training_texts", "expected"),
    [
        # Each script for itself: here all Latin letters are known well, and provinces are lacking.
        ([a + b for a, b in zip(PROVINCES[:12], texts(LATIN, 12, form="LL000"), strict=True)] + texts(LATIN, 300), "P"),
        ([a + b for a, b in zip(PROVINCES * 20, texts(LATIN[:9], 400, form="L000"), strict=True)], ""),
    ],
)
def test_each_script_is_judged_by_itself(training_texts, expected):
    found = added(training_texts)
    assert set(found) == (set(PROVINCES) - set("".join(training_texts)) if expected else set())


def test_what_the_start_does_not_know_is_not_added():
    few = texts(LATIN[:20], 8)
    assert added(few, DIGITS + LATIN[:20]) == "".join(sorted(set(LATIN[:20]) - set("".join(few))))
    assert added(few, DIGITS) == ""


def test_what_cannot_be_drawn_is_not_added():
    nowhere = "\U0001e900"  # A letter of Adlam, to which no font here goes.
    letters = "𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇"
    assert added([f"{one}123" for one in letters[1:]], letters + nowhere) == ""


def test_twice_the_same_plate_is_one_plate():
    few = texts(LATIN, 10)
    assert added(few * 3) == added(few) != ""


def test_the_check_says_what_a_training_will_learn_too(tmp_path, capsys):
    folder = Folder(tmp_path, 12)
    folder.plates = [f"{number}.png,{text}" for number, text in enumerate(texts(LATIN, 12))]
    labels = folder.load().training_texts()
    call = ["check", str(folder.path), "--output", str(tmp_path / "check.html")]
    main(call)
    (sentence,) = [str(one) for one in lacking(labels, characters_of(find("base", keras=True)), SETTINGS)]
    said = capsys.readouterr().out
    new = sorted(set(LATIN) - set("".join(labels)))
    assert sentence.split(":")[0] in said and "Learned from drawn plates, too" in (tmp_path / "check.html").read_text()
    assert f"from drawn plates alone, as no label has it: {' '.join(new)}" in said
    main([*call, "--characters", "Ö"])
    assert "as no label has it: Ö" in (said := capsys.readouterr().out) and "Learned from drawn plates" not in said


class TestStart:
    dataset = Dataset([], [Crop(str(n), Path(f"{n}.png"), text, 0) for n, text in enumerate(texts(LATIN, 10))], [], [])

    def letters(self, *arguments):
        parser = argparse.ArgumentParser()
        add_start_options(parser, parser)
        parser.add_argument("--data", nargs="+")
        options = parser.parse_args(["--data", "DIR", *arguments])
        settings = settings_of(options)
        missing = letters_lacking(options, settings, start_of(options), self.dataset)
        return with_letters(settings, missing).characters

    def test_a_training_from_the_base_learns_them(self):
        assert set(self.letters()) == set(LATIN) - set("".join(self.dataset.training_texts()))

    def test_letters_that_somebody_names_are_all_that_is_added(self):
        assert self.letters("--characters", "Ö") == "Ö" and self.letters("--characters", "") == ""

    def test_a_training_from_nothing_adds_none(self):
        assert self.letters("--weights", "none") == ""


def test_the_characters_of_a_model_are_read_without_loading_it():
    base = find("base", keras=True)
    with zipfile.ZipFile(base) as archive:
        assert characters_of(base) == json.loads(archive.read("config.json"))["config"]["characters"]
    assert set(DIGITS + LATIN) < set(characters_of(base))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 damaged"])
def test_a_file_that_is_no_model_has_none(tmp_path, content):
    (tmp_path / "one.keras").write_bytes(content)
    assert characters_of(tmp_path / "one.keras") == ""
    assert characters_of(tmp_path / "missing.keras") == ""
