"""What drawn plates say keeps to the form, the script and the places of the training texts."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from lpr_e2e.common.scripts import clusters, kind, reads_from_the_right, script, visual_order, with_direction
from lpr_e2e.drawing.texts import TextSampler

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"


def sampled(texts, count=600, **options):
    sampler, rng = TextSampler(texts, **options), np.random.default_rng(0)
    return [sampler.sample(rng) for _ in range(count)]


def chinese(count=200, provinces=PROVINCES[:12]):
    rng = np.random.default_rng(1)
    letters, any_of = list("ABCDEFGH"), list("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789")
    return [
        provinces[index % len(provinces)] + rng.choice(letters) + "".join(rng.choice(any_of, 5))
        for index in range(count)
    ]


@pytest.mark.parametrize(
    ("texts", "digits", "form"),
    [
        (["سطن٧١٢٦", "أنع٨١٩٠", "بدم٤٣٦٤", "قصه٥٥٠٠"], "٠١٣٤٥٦٧٨٩", r"[سطنأعبدمقصه]{3}[٠-٩]{4}"),
        (["12۴۵", "34۶۷"], "۴۵۶۷", r"[1-4]{2}[۴-۷]{2}"),
        (["กข1234", "คง5678", "จฉ9012", "ชซ3456"], "1234567890", r"[กขคงจฉชซ]{2}\d{4}"),
        (["बा१च२३४", "बा५ज६७८"], "१२३", r"बा[१-८][चज][१-८]{3}"),
    ],
)
def test_each_set_of_digits_and_each_script_keeps_to_itself(texts, digits, form):
    found = sampled(texts)
    assert all(re.fullmatch(form, text) for text in found)
    assert len(set(found)) > 100 and set(digits) <= set("".join(found))


def test_provinces_stay_in_front_and_serial_letters_behind():
    found = sampled(chinese())
    assert all(re.fullmatch(rf"[{PROVINCES}][A-Z][A-Z0-9]{{1,5}}", text) for text in found)
    assert all(kind(text[0]) == "CJK Lo" and not any(kind(one) == "CJK Lo" for one in text[1:]) for text in found)
    assert set(PROVINCES[:12]) == {text[0] for text in found}


def test_a_place_with_few_letters_shows_mostly_these():
    """Behind the province stand A to H in the texts; elsewhere any letter."""
    found = sampled(chinese(), 2000)
    second, third = (Counter(text[place] for text in found if text[place].isalpha()) for place in (1, 2))
    own = [sum(counts[letter] for letter in "ABCDEFGH") / counts.total() for counts in (second, third)]
    assert 0.85 < own[0] < 0.97 and own[1] < 0.6


def test_letters_that_no_text_has_stand_where_their_kind_stands():
    found = sampled(chinese(), 1500, extra=PROVINCES[12:])
    first = Counter(text[0] for text in found)
    assert set(first) == set(PROVINCES)
    assert min(first.values()) > len(found) / len(PROVINCES) / 3
    assert not any(one in PROVINCES for text in found for one in text[1:])
    assert "Q" in "".join(sampled(["AB12", "CD34", "EF56", "GH78"], extra="Q"))


def test_a_mark_at_one_place_does_not_wander():
    texts = chinese() + [text[:-1] + "学" for text in chinese(30)]
    found = sampled(texts, 1500)
    trainers = [text for text in found if "学" in text]
    assert len(trainers) > 30  # One in eight of the texts, and more often here.
    assert sum(text[-1] == "学" for text in trainers) > 0.8 * len(trainers)


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["12T3456", "123T45", "7T8901"], r"\d+T\d+"),  # A mark stays the only one.
        (chinese(), rf"[{PROVINCES}]{{1,2}}[A-Z0-9]{{3,7}}"),  # Some are short before.
        (["سطن٧١٢٦", "أنع٨١٩٠", "بدم٤٣٦٤", "قصه٥٥٠٠"], r"[سطنأعبدمقصه]{3,4}[٠-٩]{1,5}"),
        (["กข1234", "คง5678", "จฉ9012", "ชซ3456"], r"[ก-ซ]{2,3}\d{4,5}"),
    ],
)
def test_a_longer_text_has_one_more_of_a_kind_that_stands_there(texts, form):
    sampler, rng = TextSampler(texts), np.random.default_rng(0)
    places = set()
    for _ in range(300):
        text = sampler.sample(rng)
        longer = sampler.lengthened(text, rng)
        (place, *_) = [at for at in range(len(longer)) if longer[:at] + longer[at + 1 :] == text]
        assert len(longer) == len(text) + 1 and re.fullmatch(form, longer) and set(longer) <= sampler.characters
        assert kind(longer[place]) in {kind(one) for one in text[max(0, place - 1) : place + 1]}
        places.add(place)
    assert len(places) > 4


@pytest.mark.parametrize("text", ["बा१च२३४", "TN"])
def test_what_has_marks_of_letters_or_nothing_to_exchange_is_not_made_longer(text):
    sampler = TextSampler([text, text])
    assert sampler.lengthened(text, np.random.default_rng(0)) == text


def test_rare_forms_come_more_often_than_in_the_texts():
    texts = [f"B{1000 + number}UYP" for number in range(95)] + [f"AB{number}X" for number in range(5)]
    rare = sum(bool(re.match("[A-Z]{2}", text)) for text in sampled(texts, 1000))
    assert 120 < rare < 350


def test_what_cannot_be_drawn_is_replaced_or_left_out():
    found = sampled(chinese(), undrawable=[PROVINCES[0], PROVINCES[1]])
    assert not any(one in PROVINCES[:2] for text in found for one in text)
    assert all(text[0] in PROVINCES for text in found)
    found = sampled(chinese(), undrawable=PROVINCES)
    assert all(re.fullmatch("[A-Z0-9]+", text) for text in found)


def test_the_order_on_the_plate():
    """Egypt's letters stand right of its digits; a text that begins with digits runs from the left."""
    assert "".join(visual_order("سطن٧١٢٦")) == "٧١٢٦نطس"
    assert "".join(visual_order("سطن-٧١٢")) == "٧١٢-نطس"
    assert "".join(visual_order("12ب345")) == "12ب345"
    assert "".join(visual_order("12אב345")) == "12בא345"
    assert "".join(visual_order("粤BA9H07")) == "粤BA9H07"
    assert reads_from_the_right("سطن٧") and not reads_from_the_right("12ب") and not reads_from_the_right("")
    assert clusters("बा१") == ["बा", "१"]
    assert script("٧") == script("س") == "ARABIC" and script("7") == script("-") == "" and script("京") == "CJK"


def test_browsers_are_told_the_direction_of_a_plate_and_nothing_else():
    assert with_direction("AB12") == "AB12" and with_direction("粤BA9H07") == "粤BA9H07"
    assert with_direction("سطن٧") == "\u2067سطن٧\u2069"
    assert with_direction("12ب34") == "\u206612ب\u200e34\u2069"
    assert with_direction("text 'سطن٧': expected") == "text 'سطن٧': expected"


class TestRepeats:
    """Plates of the kind of 7777 are drawn as often as there are such ones."""

    def share_of(self, texts, characters, count=3000):
        sampler = TextSampler(texts)
        rng = np.random.default_rng(0)
        pairs = [
            (one, other)
            for text in (sampler.sample(rng) for _ in range(count))
            for one, other in zip(text, text[1:], strict=False)
            if one in characters and other in characters
        ]
        return np.mean([one == other for one, other in pairs])

    @pytest.mark.parametrize("share", [0.3, 0.7])
    @pytest.mark.parametrize("digits", ["0123456789", "٠١٢٣٤٥٦٧٨٩"])
    def test_digits_repeat_as_often_as_in_the_texts(self, share, digits):
        rng = np.random.default_rng(1)
        texts = []
        for _ in range(400):
            number = [digits[rng.integers(1, 10)]]
            for _ in range(3):
                number.append(number[-1] if rng.random() < share else digits[rng.integers(10)])
            texts.append("AB" + "".join(number))
        assert abs(self.share_of(texts, digits) - (share + (1 - share) / 10)) < 0.06

    def test_where_none_do_they_are_spread_evenly(self):
        """Half of the first digits are those of the texts."""
        texts = [f"{a}{(a + 3) % 10}{(a + 5) % 10}AB" for a in range(1, 10)] * 20
        assert self.share_of(texts, "0123456789") < 0.12

    def test_letters_repeat_for_themselves(self):
        rng = np.random.default_rng(2)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        texts = []
        for _ in range(400):
            letter, digits = letters[rng.integers(26)], rng.permutation(10)[:3]
            texts.append(letter * 3 + "".join(map(str, digits)))
        assert self.share_of(texts, letters) > 0.9 and self.share_of(texts, "0123456789") < 0.15

    def test_a_place_with_letters_of_its_own_keeps_them(self):
        """Provinces KA, TN, MH, DL never are KK or TT, however often the letters behind them repeat."""
        rng = np.random.default_rng(3)
        texts = []
        for _ in range(400):
            letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rng.integers(26)]
            number = "".join(map(str, rng.integers(0, 10, 4)))
            texts.append(("KA", "TN", "MH", "DL")[rng.integers(4)] + "1" + letter * 2 + number)
        drawn = sampled(texts, 2000)
        assert sum(text[0] == text[1] for text in drawn) < 0.05 * len(drawn)
        assert sum(text[3] == text[4] for text in drawn) > 0.8 * len(drawn)

    def test_a_single_text_decides_nothing(self):
        rng = np.random.default_rng(4)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        texts = [letters[rng.integers(26)] + "".join(map(str, rng.integers(0, 10, 4))) for _ in range(300)]
        drawn = [text for text in sampled([*texts, "MM1234"], 4000) if text[:2].isalpha()]
        assert len(drawn) > 50 and sum(text[0] == text[1] for text in drawn) < 0.3 * len(drawn)
