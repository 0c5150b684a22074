"""A reading of a form that no training text has is doubted; which forms these are is learned from the texts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from keras import ops
from stand_in import PROCEDURE, MagentaEngine, car, description

from lpr_e2e.common import steps
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.procedure import TODAY
from lpr_e2e.common.text_forms import ANY, TextForms
from lpr_e2e.common.vocabulary import UNSEEN, Vocabulary
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.description import Description
from lpr_e2e.prediction.driver import Driver
from lpr_e2e.prediction.engines.keras_model import describe
from lpr_e2e.prediction.format_rule import FormatRule
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.prediction.reading import to_reading

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
RNG = np.random.default_rng(0)


def texts(form: str, count: int = 100) -> list[str]:
    """Texts of a form: `A` is any letter, `0` any digit, `京` any of some provinces, `س` any Arabic letter."""
    kinds = {"A": LETTERS, "0": "0123456789", "京": "京沪津渝冀晋蒙", "س": "أبتسطعقن", "٠": "٠١٢٣٤٥٦٧٨٩"}
    return ["".join(RNG.choice(list(kinds.get(one, one))) for one in form) for _ in range(count)]


def learned(labels: list[str], extra: str = "") -> TextForms:
    return TextForms.learned(labels, Vocabulary.from_texts(labels, extra, unseen=True))


class TestLearned:
    @pytest.mark.parametrize(
        ("forms", "fitting", "others"),
        [
            (["AA00AAA"], ["ZZ99ZZZ"], ["ZZ9ZZZZ", "ZZ99ZZ", "ZZ99ZZZA", "POLACE", "1234567", "Z"]),
            (["000T0000", "00T0000", "0T000"], ["169T9685", "16T9685", "1T968"], ["1T96", "169T968", "169N9685", "T"]),
            (["京A00000", "京A0A000"], ["冀B12345", "渝B1C345"], ["1A23456", "冀B1234", "BB12345"]),
            (["سسس٠٠٠٠", "سس٠٠٠"], ["بتس٧١٢٦", "قن٥٥٥"], ["بتس٧١٢", "٧بت١٢٦٣"]),
        ],
        ids=["british", "tunisian", "chinese", "egyptian"],
    )
    def test_of_countries(self, forms, fitting, others):
        labels = [text for form in forms for text in texts(form)] + (["12N34"] * 3 if "T" in forms[0] else [])
        known = learned(labels)
        assert all(known.fits(text) for text in labels + fitting)
        assert not any(known.fits(text) for text in others)

    def test_a_few_letters_are_marks_and_many_any_of_their_kind(self):
        labels = texts("000T000", 200) + texts("N00000", 200)
        known = learned(labels)
        assert known.fits("999T999") and not known.fits("999N999")
        assert learned(labels + texts("AAA000", 200)).fits("999N999")

    def test_letters_that_no_label_has_stand_where_their_kind_does(self):
        known = learned(texts("京A00000"), "琼藏")
        assert known.fits("琼A00000") and not known.fits("A琼00000")

    def test_rare_errors_of_labels_are_no_reason_to_ask_for_less(self):
        known = learned(texts("AA00AAA", 200) + ["AA00"])
        assert not known.fits("AA0AAAA") and known.fits("BB11")

    def test_of_texts_that_are_all_different_the_lengths_are_known_or_nothing(self):
        mixed = sorted({"".join(RNG.choice(list(LETTERS + "0123456789"), 7)) for _ in range(200)})
        known = learned(mixed)
        assert known.examples == (ANY * 7,)
        assert known.fits("1234567") and known.fits("ABCDEFG") and not known.fits("ABC123")
        assert learned(["AB12", "1A", "77777"]).examples == () and learned(["AB12", "1A", "77777"]).fits("A")

    def test_what_is_not_all_seen_may_have_any_form(self):
        known = learned(texts("AA00AAA"))
        assert known.fits("") and known.fits("AA" + UNSEEN) and known.fits(UNSEEN + "A0")

    def test_drawn_texts_have_the_forms(self):
        known = learned(texts("000T0000") + texts("00T000"))
        drawn = known.drawn(RNG, 300)
        assert len(set(drawn)) > 200 and {len(one) for one in drawn} == {6, 8} and all(map(known.fits, drawn))
        assert TextForms(known.vocabulary).drawn(RNG, 5) == []


@pytest.mark.parametrize(
    "labels", [texts("AA00AAA") + texts("AA0AA"), ["".join(RNG.permutation(list(LETTERS))[:5])] * 9]
)
def test_arrays_and_tensors_say_what_the_texts_say(labels):
    known = learned(sorted({*labels, *texts("AAAAA", 120), *texts("AA0AAA", 50)}))
    vocabulary, shape = known.vocabulary, (400, known.vocabulary.slots, known.vocabulary.classes)
    characters = RNG.random(shape).astype("float32")
    characters[::2, 5:, 0] += 2
    characters[::4, 0, 0] += 2
    characters[::5, 2, vocabulary.unseen] += 3
    for index, text in enumerate(labels[:50]):
        characters[index] = np.eye(vocabulary.classes)[vocabulary.encode(text)]
    expected = [known.fits(vocabulary.decode(one)[0]) for one in characters]
    assert 50 < sum(expected) < 350
    for xp in (np, ops):
        found = steps.fits_form(characters, known.codes(), xp, vocabulary.unseen)
        np.testing.assert_array_equal(np.asarray(found), expected)


class TestReading:
    @staticmethod
    def read(text: str, forms: TextForms | None, rule: FormatRule | None = None):
        vocabulary = Vocabulary("0123456789" + LETTERS, 7)
        characters = np.full((7, vocabulary.classes), 0.001)
        characters[np.arange(7), vocabulary.encode(text)] = 0.9
        plate = {"boxes_px": (1.0, 2.0, 3.0, 4.0), "box_confidence": 0.95, "characters": characters}
        return to_reading("a.jpg", plate, vocabulary, TODAY, rule, forms=forms)

    def test_another_form_is_read_as_it_is_and_doubted(self):
        known = TextForms.learned(texts("AA00AAA"), Vocabulary("0123456789" + LETTERS, 7))
        other = self.read("SCHUT", known)
        assert (other.text, other.status) == ("SCHUT", "uncertain")
        assert other.confidence == pytest.approx(0.9 * TODAY.other_form)
        # Controls: a text of the form, and a model without forms.
        for own, forms in (("AB12CDE", known), ("SCHUT", None), ("SCHUT", TextForms(known.vocabulary))):
            found = self.read(own, forms)
            assert (found.text, found.status, found.confidence) == (own, "ok", pytest.approx(0.9))

    def test_the_users_format_counts_instead(self):
        known = TextForms.learned(texts("AA00AAA"), Vocabulary("0123456789" + LETTERS, 7))
        five, seven = FormatRule("[A-Z]{5}", 0.1), FormatRule("[0-9]{7}", 0.1)
        assert self.read("SCHUT", known, five).status == "ok"
        assert self.read("AB12CDE", known, five).status == "uncertain"
        assert self.read("AB12CDE", None, seven).status == "uncertain"

    @pytest.mark.parametrize("forms", [(), ("00T000",), ("00N000",), ("00T0",)])
    def test_the_procedure_doubts_it_too(self, forms):
        engine = MagentaEngine(0.99)  # It reads 12T345.
        described = replace(description(), forms=forms, procedure=replace(PROCEDURE, doubt=0.8))
        (found,) = PlateReader(Driver(engine, described)).read([car()])[0]
        expected = "ok" if forms in ((), ("00T000",)) else "uncertain"
        assert (found.text, found.status) == ("12T345", expected)
        # What is doubted is looked at from all sides.
        assert (len(engine.read_) > 1) == (expected == "uncertain")


class TestStored:
    def test_a_model_keeps_its_forms(self, tiny_settings, tmp_path):
        from lpr_e2e.model.plate_model import load

        model = PlateModel(tiny_settings.architecture, "0123456789T", 8, TODAY, forms=("000T0000", "00T0"))
        model.save(tmp_path / "m.keras")
        again = load(tmp_path / "m.keras")
        assert again.text_forms.examples == ("000T0000", "00T0")
        described = Description.from_json(json.loads(json.dumps(describe(again).as_json())))
        assert described.text_forms.fits("12T3") and not described.text_forms.fits("12T34")
        assert PlateModel(tiny_settings.architecture, "01T", 8).text_forms.fits("TT")

    @pytest.mark.parametrize("found", ["00T0", [""], [7], [["0"]], {"0": 1}, ["Ж00"], ["0" * 9], 5])
    def test_damaged_ones_are_named(self, found):
        with pytest.raises(UserError, match="forms: expected"):
            TextForms.from_config(found, Vocabulary("0123T", 8))


class TestFormatThatNoPlateMeets:
    @pytest.mark.parametrize(
        "expression", ["[0-9]{7}", "[a-z]{2}[0-9]{2}[a-z]{3}", "[A-Z]{2}[0-9]{2} [A-Z]{3}", "AB", ".{8,}", "Ж.*", ""]
    )
    def test_is_said_with_what_they_look_like(self, expression):
        known = learned(texts("AA00AAA"))
        warning = FormatRule(expression, 0.1).warning(known)
        assert repr(expression) in warning and any(one in warning for one in known.drawn(np.random.default_rng(0), 3))

    @pytest.mark.parametrize("expression", ["[A-Z]{2}[0-9]{2}[A-Z]{3}", ".*", "(?i)[a-z]{2}.+", "A.*", "[A-Z0-9]{7}"])
    def test_one_that_they_meet_is_not(self, expression):
        assert FormatRule(expression, 0.1).warning(learned(texts("AA00AAA"))) == ""

    def test_of_a_model_without_forms_nothing_is_known(self):
        assert FormatRule("x", 0.1).warning(TextForms(Vocabulary("01", 3))) == ""
