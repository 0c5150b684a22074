"""What is held out: whole plates, enough to measure by, and never what few plates teach."""

import numpy as np
import pytest
from drawn_fleet import box_at, cropped, photographed
from hypothesis import given, settings
from hypothesis import strategies as st

from lpr_e2e.data.lending import texts_of_plates, upright_turns
from lpr_e2e.data.matching import Compared, Match
from lpr_e2e.data.split import FEWEST_HELD, FEWEST_WANTED, GREATEST_SHARE, draw_split, same_plate_key, split_by_table

NOTHING = np.zeros((240, 320, 3), "uint8")


def photographs(texts, held=()):
    """A photograph for each entry: a tuple with a text, or None, for each of its plates."""
    return [
        photographed(
            f"c{number}",
            NOTHING,
            [(box_at(20 + 60 * index, 20), text) for index, text in enumerate(plates)],
            number in held,
        )
        for number, plates in enumerate(texts)
    ]


def crops(texts, held=()):
    return [cropped(f"p{number}", NOTHING[:36, :128], text, number in held) for number, text in enumerate(texts)]


def compared(photograph_texts=(), crop_texts=(), links=(), twins=(), crop_twins=(), held=(), held_crops=()):
    """Pictures of which is known what they show; `links`: (crop, photograph) or (crop, photograph, plate)."""
    matches = [Match(link[0], link[1], (*link, 0)[2], 0, 1.0) for link in links]
    return Compared(
        photographs(photograph_texts, held), crops(crop_texts, held_crops), matches, list(twins), list(crop_twins)
    )


def plates_of_country(count, seed=0):
    rng = np.random.default_rng(seed)
    letters = list("ABCDEFG")
    return ["".join(rng.choice(letters, 2)) + f"{number}" for number in rng.choice(8999, count, False) + 1000]


def sides(found, split):
    """The texts of each side, as they are compared: to train on, held out."""
    texts = (set(), set())
    for number, one in enumerate(found.photographs):
        for index, row in enumerate(one.plates):
            if row.text and (number, index) not in split.withheld_plates:
                texts[number in split.held_photographs].add(same_plate_key(row.text))
    for number, one in enumerate(found.crops):
        if number not in split.unusable_crops:
            texts[number in split.held_crops].add(same_plate_key(one.row.text))
    return texts


# Drawn


@pytest.mark.parametrize("count, share", [(400, 0.15), (200, 0.15), (120, 0.25), (60, 0.25), (24, 0.25)])
def test_the_share_grows_for_small_sets(count, share):
    texts = plates_of_country(count)
    for found in (compared([(text,) for text in texts]), compared(crop_texts=texts)):
        split = draw_split(found, 0, 0.15)
        held = split.readings_on_photographs + split.readings_on_crops
        assert share * count - 2 <= held <= share * count
        assert len(split.held_photographs) + len(split.held_crops) == held
        assert held >= min(FEWEST_WANTED, GREATEST_SHARE * count) - 2


@pytest.mark.parametrize("count", [0, 1, 5, 15])
def test_where_too_little_could_be_held_out_nothing_is_and_it_is_said(count):
    texts = plates_of_country(count)
    split = draw_split(compared([(text,) for text in texts], texts, [(n, n) for n in range(count)]), 0, 0.15)
    assert not split.held_photographs and not split.held_crops
    assert "Nothing is held out" in " ".join(split.notes)


def test_one_group_is_never_split():
    same = compared([("AB1234",)] * 60)
    assert not draw_split(same, 0, 0.15).held_photographs
    chain = compared([(None,)] * 60, twins=[(n, n + 1) for n in range(59)])
    assert not draw_split(chain, 0, 0.15).held_photographs


def test_seeds_draw_different_splits_and_the_same_seed_the_same():
    found = compared([(text,) for text in plates_of_country(100)])
    drawn = [draw_split(found, seed, 0.15).held_photographs for seed in (0, 1, 2, 0)]
    assert drawn[0] == drawn[3] and len(set(drawn)) == 3


def test_forty_cars_with_their_crops_hold_out_a_fair_share():
    texts = plates_of_country(40)
    split = draw_split(compared([(None,)] * 40, texts, [(n, n) for n in range(40)]), 0, 0.15)
    assert 6 <= len(split.held_photographs) <= 10 and len(split.held_photographs) == len(split.held_crops)
    assert split.readings_on_photographs == len(split.held_photographs) and split.readings_on_crops == 0


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_plate_is_ever_on_both_sides(data):
    texts = plates_of_country(30)
    several = st.lists(st.sampled_from([*texts, None]), max_size=3).map(tuple)
    on_photographs = data.draw(st.lists(several, min_size=20, max_size=50))
    on_crops = data.draw(st.lists(st.sampled_from(texts), min_size=10, max_size=40))
    with_plates = [number for number, plates in enumerate(on_photographs) if plates]
    count = st.integers(0, len(on_photographs) - 1)
    twins = data.draw(st.lists(st.tuples(count, count), max_size=5))
    links = []
    if with_plates:
        pairs = st.tuples(st.integers(0, len(on_crops) - 1), st.sampled_from(with_plates))
        links = data.draw(st.lists(pairs, max_size=10))
    found = compared(on_photographs, on_crops, links, twins)
    split = draw_split(found, data.draw(st.integers(0, 5)), 0.15)
    train, held = sides(found, split)
    assert not train & held and not split.unusable_crops and not split.withheld_plates
    for one, other in twins:
        assert (one in split.held_photographs) == (other in split.held_photographs)
    for crop, photograph in links:
        assert (crop in split.held_crops) == (photograph in split.held_photographs)
    texts_lent, _ = texts_of_plates(found, split)
    assert (
        not {same_plate_key(text) for (number, _), text in texts_lent.items() if number not in split.held_photographs}
        & held
    )


@pytest.mark.parametrize("seed", range(4))
def test_rare_characters_and_lengths_stay_in_training(seed):
    rare = [letter * 2 + str(1000 + 7 * number) for number, letter in enumerate("PQRS")]
    texts = [*plates_of_country(80), *(text for text in rare for _ in range(3)), "XY1234567", "XX4321", "YX9876"]
    found = compared([(text,) for text in texts[:40]], texts[40:])
    split = draw_split(found, seed, 0.15)
    train, held = sides(found, split)
    assert held and {same_plate_key(text) for text in rare} <= train and "xy1234567" in train
    # Two texts have an X or a Y beside the longest: held out they would leave one.
    for character in "XY":
        assert sum(character.lower() in text for text in train) >= 2


def test_photographs_without_plates_and_boxes_alone_are_on_both_sides():
    texts = [(text,) for text in plates_of_country(60)]
    found = compared([*texts, *[()] * 40, *[(None,)] * 40])
    held = draw_split(found, 3, 0.15).held_photographs
    assert {"text", "empty", "box"} == {
        "text" if number < 60 else "empty" if number < 100 else "box" for number in held
    }
    # 30 of 140 would be 21 %.
    assert sum(60 <= number < 100 for number in held) == sum(number >= 100 for number in held) == 8


def test_a_few_boxes_beside_many_texts_are_held_out_too():
    split = draw_split(compared([(None,)] * 20, plates_of_country(200)), 0, 0.15)
    assert len(split.held_photographs) == FEWEST_HELD
    assert not draw_split(compared([(None,)] * 12, plates_of_country(200)), 0, 0.15).held_photographs


def test_boxes_here_and_texts_of_other_cars_there_hold_out_some_of_each():
    found = compared([(None,)] * 200, plates_of_country(200))
    split = draw_split(found, 0, 0.15)
    assert len(split.held_photographs) == 30 and len(split.held_crops) == split.readings_on_crops == 30


def test_a_share_of_nothing_holds_out_nothing():
    assert not draw_split(compared([(text,) for text in plates_of_country(100)]), 0, 0.0).held_photographs


# As the labels say


def test_held_photographs_take_their_texts_and_crops_along():
    found = compared(
        [("AB 12",), (None,), (None, "CD34"), (None,), ("ab12", "EF56")],
        ["ab12", "XX99", "CD34", "ZZ11", "GH78", "GH78"],
        links=[(1, 0), (2, 1), (4, 3)],
        held={0, 2, 3},
    )
    split = split_by_table(found)
    # By text: 0 and 2. 4 is cut from a held-out plate that nobody read, and 5 has its text.
    assert split.held_crops == {0, 2, 4, 5} and split.held_photographs == {0, 2, 3}
    # 1 is cut from AB 12 and says something else.
    assert split.unusable_crops == {1}
    # Photograph 1 shows CD34, by its crop; photograph 4 shows AB12, and another car that may be read.
    assert split.withheld_plates == {(1, 0), (4, 0)}
    train, held = sides(found, split)
    assert train == {"zz11", "ef56"} and held == {"ab12", "cd34", "gh78"}
    texts, problems = texts_of_plates(found, split)
    assert texts == {(0, 0): "AB 12", (2, 1): "CD34", (3, 0): "GH78", (4, 1): "EF56"} and not problems


def test_twins_of_held_pictures_teach_no_text():
    found = compared(
        [("AB12",), (None,), (None,)],
        ["CD34", "EF56", "EF57"],
        links=[(0, 1)],
        twins=[(0, 1)],
        crop_twins=[(1, 2)],
        held={0},
        held_crops={1},
    )
    split = split_by_table(found)
    assert split.unusable_crops == {0, 2} and split.withheld_plates == {(1, 0)}
    assert texts_of_plates(found, split)[0] == {(0, 0): "AB12"}


def test_a_held_crop_holds_out_its_text_everywhere():
    found = compared([("AB12",), (None,)], ["ab12", "AB12", "CD34"], links=[(1, 1)], held_crops={0})
    split = split_by_table(found)
    assert split.held_crops == {0, 1} and split.withheld_plates == {(0, 0), (1, 0)}
    assert (split.readings_on_photographs, split.readings_on_crops) == (0, 2)


def test_texts_of_held_pictures_that_cannot_be_used_are_held_out_too():
    found = compared([("AB12",)], ["AB12", "CD34"], held=())
    split = split_by_table(found, {"ab 12"})
    assert split.held_crops == {0} and split.withheld_plates == {(0, 0)}


def test_notes_tell_what_can_be_measured():
    found = compared([("AB12", "CD34", None)], ["AB12", "EF56"], links=[(0, 0)], held={0})
    assert "1 photograph with 2 plates to read, and 1 crop, 0 of them" in split_by_table(found).notes[0]


# What crops lend


def test_crops_that_contradict_each_other_or_the_photograph_are_named():
    found = compared(
        [(None,), ("AB12",), (None,)], ["A1", "B2", "AB13", "C3", "c 3"], [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2)]
    )
    texts, problems = texts_of_plates(found, draw_split(found, 0, 0))
    assert texts == {(1, 0): "AB12", (2, 0): "C3"}
    assert sorted((one.kind, one.value) for one in problems) == [
        ("contradictory texts", "AB13"),
        ("contradictory texts", "B2"),
    ]


def test_an_upright_crop_tells_which_way_up_its_photograph_is():
    lying = photographed("lying", NOTHING, [((20.0, 20.0, 148.0, 56.0), None)])
    upright = cropped("p", NOTHING[:36, :128], "A")
    turned = cropped("q", NOTHING[:128, :36], "B")
    straight = photographed("straight", NOTHING, [(box_at(20, 20), None)])
    matches = [Match(0, 0, 0, 3, 1.0), Match(1, 1, 0, 1, 1.0)]
    assert upright_turns(Compared([lying, straight], [upright, turned], matches, [], [])) == ([[3], [0]], [0, 3])
    assert upright_turns(Compared([lying], [turned], [], [], [])) == ([[None]], [None])
