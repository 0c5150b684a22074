"""Crops are found on the plates that they were cut from, whatever became of them, and nowhere else."""

import io

import numpy as np
import pytest
from drawn_fleet import PLATE, box_at, cropped, drawn_plate, linked, photographed, shot, street, twins, with_plates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lpr_e2e.data.fingerprints import crop_fingerprint
from lpr_e2e.data.matching import compare, count_swapped, find_anywhere
from lpr_e2e.data.uncropped import uncropped


def fleet(texts, seed=0, light=0.0, fixed=None):
    """(name, pixels, place of the plate) of a photograph of each car: `c0`, `c1`, ..."""
    rng = np.random.default_rng(seed)
    shots = []
    for number, text in enumerate(texts):
        top, left = int(rng.integers(30, 160)), int(rng.integers(30, 150))
        scene = street(rng) if fixed is None else fixed
        side = light if number % 2 else -light / (1 - light)
        shots.append((f"c{number}", shot(with_plates(scene, [(text, top, left)], side), rng), (top, left)))
    return shots


def cut(pixels, place, out=(0, 0, 0, 0)):
    top, left = place
    return pixels[top - out[0] : top + PLATE[0] + out[1], left - out[2] : left + PLATE[1] + out[3]]


def photographs(shots):
    return [photographed(name, pixels, [(box_at(*place), None)]) for name, pixels, place in shots]


def own(shots):
    """Every crop on its own photograph."""
    return {("p" + name[1:], name, 0) for name, _, _ in shots}


def resized(pixels, share):
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((round(width * share), round(height * share))))


def encoded(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


TAXIS = [f"TX{4100 + number}" for number in range(24)]
HIRED = [f"KL{7088 + 11 * number}" for number in range(12)]
CHANGES = {
    "as it is": lambda one: one,
    "smaller": lambda one: resized(one, 0.7),
    "larger": lambda one: resized(one, 1.6),
    "encoded again": lambda one: encoded(one, 55),
    "on its left side": lambda one: np.rot90(one),
    "upside down": lambda one: np.rot90(one, 2),
    "red and blue swapped": lambda one: one[..., ::-1],
    "greyer and darker": lambda one: (one * 0.6 + 40).astype("uint8"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("out", [(0, 0, 0, 0), (5, 4, 9, 6)], ids=["along the box", "wider"])
def test_a_crop_goes_to_the_one_car_of_a_fleet_that_it_shows(change, out):
    shots = fleet(TAXIS)
    crops = [cropped("p" + name[1:], change(cut(pixels, place, out)), "?") for name, pixels, place in shots[1::2]]
    found = linked(compare(photographs(shots), crops))
    assert not found - own(shots) and len(found) >= len(crops) - 1


@pytest.mark.parametrize("texts", [TAXIS, HIRED], ids=["taxis", "hired"])
@pytest.mark.parametrize("light", [0.0, 0.6], ids=["even light", "light from one side"])
def test_a_crop_of_a_car_that_is_on_no_photograph_goes_to_none(texts, light):
    shots = fleet(texts, 1, light)
    crops = [cropped("p" + name[1:], cut(pixels, place), "?") for name, pixels, place in shots[1::2]]
    assert not linked(compare(photographs(shots[::2]), crops))
    assert linked(compare(photographs(shots), crops)) == own(shots[1::2])


@pytest.mark.parametrize("turns", range(4))
def test_turns_tell_how_the_crop_lies_on_the_photograph(turns):
    shots = fleet(HIRED[:6], 2)
    crops = [cropped("p" + name[1:], np.rot90(cut(pixels, place), turns), "?") for name, pixels, place in shots]
    assert {match.turns for match in compare(photographs(shots), crops).matches} == {turns}


def test_crops_of_a_photograph_on_its_side_are_found_upright():
    shots = fleet(HIRED[:6], 3)
    crops = [cropped("p" + name[1:], cut(pixels, place), "?") for name, pixels, place in shots]
    lying = []
    for name, pixels, (top, left) in shots:
        box = (320 - left - PLATE[1], top, 320 - left, top + PLATE[0])
        lying.append(photographed(name, np.ascontiguousarray(np.rot90(pixels)), [(box, None)]))
    compared = compare(lying, crops)
    assert linked(compared) == own(shots) and {match.turns for match in compared.matches} == {3}


def test_each_plate_of_a_photograph_has_its_own_crop():
    rng = np.random.default_rng(4)
    places = [(30, 20), (110, 170), (190, 40)]
    texts = ["AB4101", "AB4107", "ZK3388"]
    scene = with_plates(street(rng), [(text, *place) for text, place in zip(texts, places, strict=True)])
    pixels = shot(scene, rng)
    several = photographed("several", pixels, [(box_at(*place), None) for place in places])
    crops = [cropped(text, cut(pixels, place), text) for text, place in zip(texts, places, strict=True)]
    others = photographs(fleet(TAXIS[:4], 5))
    assert linked(compare([*others, several], crops)) == {(text, "several", n) for n, text in enumerate(texts)}


def test_plain_pictures_and_nothing_at_all_match_nothing():
    shots = fleet(HIRED[:4], 6)
    plain = cropped("plain", np.full((36, 128, 3), 200, "uint8"), "?")
    wall = photographed("wall", np.full((240, 320, 3), 90, "uint8"), [(box_at(100, 100), None)])
    assert not linked(compare([*photographs(shots), wall], [plain]))
    assert not linked(compare([], [plain])) and not linked(compare(photographs(shots), []))
    assert not compare([], []).twins


def test_a_crop_cut_from_near_twins_goes_to_all_of_them():
    rng = np.random.default_rng(7)
    scene = with_plates(street(rng), [("QR5566", 80, 90)])
    pair = [photographed(f"twin{number}", shot(scene, rng), [(box_at(80, 90), None)]) for number in (1, 2)]
    compared = compare([*pair, *photographs(fleet(HIRED[:5], 8))], [cropped("p", cut(shot(scene, rng), (80, 90)), "?")])
    assert linked(compared) == {("p", "twin1", 0), ("p", "twin2", 0)}
    assert twins(compared) == {frozenset({"twin1", "twin2"})}


def test_several_crops_of_one_plate_all_go_there():
    shots = fleet(HIRED[:5], 9)
    _, pixels, place = shots[2]
    crops = [cropped("p", cut(pixels, place), "A"), cropped("q", cut(pixels, place, (4, 4, 4, 4)), "B")]
    assert linked(compare(photographs(shots), crops)) == {("p", "c2", 0), ("q", "c2", 0)}


# Near twins


def test_cars_before_a_fixed_camera_are_no_twins_but_copies_are():
    fixed = street(np.random.default_rng(10))
    shots = fleet(TAXIS[:12], 10, fixed=fixed)
    name, pixels, place = shots[3]
    copies = [
        photographed("copy", encoded(pixels, 60), [(box_at(*place), None)]),
        photographed("small", resized(pixels, 0.8), [(tuple(0.8 * side for side in box_at(*place)), None)]),
    ]
    assert not compare(photographs(shots), []).twins
    found = twins(compare([*photographs(shots), *copies], []))
    assert len(found) >= 2 and frozenset().union(*found) == {"c3", "copy", "small"}


def test_photographs_without_plates_are_twins_by_the_scene():
    rng = np.random.default_rng(11)
    scenes = [street(rng) for _ in range(6)]
    empty = [photographed(f"e{number}", shot(scene, rng)) for number, scene in enumerate(scenes)]
    again = photographed("again", np.ascontiguousarray(np.rot90(shot(scenes[4], rng))))
    assert twins(compare([*empty, again], [])) == {frozenset({"e4", "again"})}


def test_an_empty_street_is_no_twin_of_the_same_street_with_a_car():
    rng = np.random.default_rng(12)
    scene = street(rng)
    with_car = scene.copy()
    with_car[90:200, 80:240] = (40, 60, 90)
    cars = [
        photographed(f"car{number}", shot(with_plates(with_car, [(text, 140, 96)]), rng), [(box_at(140, 96), None)])
        for number, text in enumerate(HIRED[:3])
    ]
    nobody_labelled = photographed("unlabelled", shot(with_plates(with_car, [(HIRED[0], 140, 96)]), rng))
    found = twins(compare([*cars, photographed("empty", shot(scene, rng))], []))
    assert not found
    assert frozenset({"car0", "unlabelled"}) in twins(compare([*cars, nobody_labelled], []))


def test_copies_of_a_crop_are_twins_and_crops_of_a_fleet_are_not():
    rng = np.random.default_rng(13)
    plates = [shot(drawn_plate(text).astype("float64"), rng) for text in TAXIS[:12]]
    crops = [cropped(f"p{number}", plate, "?") for number, plate in enumerate(plates)]
    assert not compare([], crops).crop_twins
    assert compare([], [*crops, cropped("copy", encoded(plates[5], 70), "?")]).crop_twins == [(5, 12)]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), out=st.tuples(*[st.integers(0, 7)] * 4), quality=st.integers(50, 95))
def test_no_crop_ever_goes_to_another_car(seed, out, quality):
    rng = np.random.default_rng(seed)
    texts = [f"{''.join(rng.choice(list('ABHKMX'), 2))}{number}" for number in rng.choice(9000, 8, False) + 1000]
    shots = fleet([*texts, *(text[:-1] + str((int(text[-1]) + 1) % 10) for text in texts)], seed)
    crops = [
        cropped("p" + name[1:], encoded(cut(pixels, place, out), quality), "?") for name, pixels, place in shots[::2]
    ]
    assert linked(compare(photographs(shots), crops)) <= own(shots)


# Colours, crops in other photographs, crops that are none


@pytest.mark.parametrize("swapped", [0, 2, 5])
def test_swapped_red_and_blue_is_counted(swapped):
    shots = fleet(HIRED[:5], 14)
    crops = [
        cropped("p" + name[1:], cut(pixels, place)[..., :: -1 if number < swapped else 1], "?")
        for number, (name, pixels, place) in enumerate(shots)
    ]
    compared = compare(photographs(shots), crops)
    counted = count_swapped(
        [one.fingerprint for one in compared.crops],
        [one.fingerprint for one in compared.photographs],
        compared.matches,
    )
    assert counted.comparable == 5
    # A white plate shows little of it: what is around the letters tells.
    assert (counted.swapped >= swapped - 1) and (counted.swapped <= swapped)


def test_find_anywhere_finds_upright_and_sideways_crops_only_where_they_are():
    rng = np.random.default_rng(15)
    pixels = shot(with_plates(street(rng), [("AB4101", 40, 30), ("ZK3388", 150, 150)]), rng)
    crops = [
        crop_fingerprint(np.ascontiguousarray(one))
        for one in (
            cut(pixels, (40, 30)),
            np.rot90(cut(pixels, (150, 150)), 3),
            shot(drawn_plate("AB4107").astype("float64"), rng),
        )
    ]
    matches = find_anywhere(crops, pixels, number=4)
    assert [(match.crop, match.photograph, match.turns) for match in matches] == [(0, 4, 0), (1, 4, 3)]


def test_whole_photographs_in_the_place_of_crops_are_named():
    shots = fleet(HIRED[:6], 16)
    elsewhere = shot(street(np.random.default_rng(99)), np.random.default_rng(1))
    crops = [cropped("p" + name[1:], cut(pixels, place), "?") for name, pixels, place in shots]
    whole = [cropped("small", resized(shots[1][1], 0.4), "?"), cropped("foreign", elsewhere, "?")]
    assert not uncropped(compare(photographs(shots), crops))
    found = uncropped(compare(photographs(shots), [*crops, *whole]))
    assert list(found) == [6, 7] and "c1" in found[6] and "320 x 240" in found[7]


def test_a_large_crop_of_a_photograph_that_was_made_small_is_a_crop():
    shots = fleet(HIRED[:4], 17)
    crops = [cropped("p" + name[1:], resized(cut(pixels, place), 5), "?") for name, pixels, place in shots]
    compared = compare(photographs(shots), crops)
    assert linked(compared) == own(shots) and not uncropped(compared)
