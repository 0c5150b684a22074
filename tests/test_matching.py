"""Crops are found in the photographs that they were cut from, turned or not, and nowhere else."""

import numpy as np
import pytest
from PIL import Image

from lpr_e2e.data.fingerprints import PHOTOGRAPH_SIDE, crop_fingerprint, photograph_fingerprint
from lpr_e2e.data.matching import count_swapped, find_anywhere, match_crops, near_twins

BOX = (60, 40, 90, 130)


def picture(seed, height=160, width=200, size=5):
    """A photograph of coloured blotches of `size` pixels, uint8 RGB."""
    blotches = np.random.default_rng(seed).integers(0, 256, (height // size, width // size, 3), "uint8")
    return np.array(Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC))


def cut(photograph, box):
    ymin, xmin, ymax, xmax = box
    return photograph[ymin:ymax, xmin:xmax].copy()


def noisy(photograph, seed=0, strength=4):
    noise = np.random.default_rng(seed).normal(0, strength, photograph.shape)
    return np.clip(photograph + noise, 0, 255).astype("uint8")


def found(crops, photographs):
    return [(match.crop, match.photograph, match.turns) for match in match_crops(crops, photographs)]


def fingerprints(seeds):
    return [photograph_fingerprint(picture(seed), BOX) for seed in seeds]


@pytest.mark.parametrize("turns", range(4))
def test_crop_is_matched_at_its_turn(turns):
    crop = crop_fingerprint(noisy(np.rot90(cut(picture(3), BOX), turns)))
    assert found([crop], fingerprints(range(6))) == [(0, 3, turns)]


def test_foreign_and_plain_crops_match_nothing():
    plain = np.full((30, 90, 3), 200, "uint8")
    assert found([crop_fingerprint(cut(picture(99), BOX)), crop_fingerprint(plain)], fingerprints(range(6))) == []
    plain_photograph = photograph_fingerprint(np.full((160, 200, 3), 90, "uint8"), BOX)
    assert found([crop_fingerprint(plain), crop_fingerprint(cut(picture(1), BOX))], [plain_photograph]) == []


def test_crop_cut_along_another_box_is_found():
    crop = crop_fingerprint(noisy(cut(picture(2), (57, 44, 92, 136))))
    assert found([crop], fingerprints(range(4))) == [(0, 2, 0)]


def test_crop_of_a_sideways_photograph_cut_along_another_box_is_found():
    crop = crop_fingerprint(np.rot90(cut(picture(2), (57, 44, 92, 136)), -1))
    assert crop.shape == (92, 35)
    assert found([crop], fingerprints(range(4))) == [(0, 2, 3)]


def test_large_plates_are_matched_too():
    photograph = picture(5, 700, 900, size=20)
    box = (100, 100, 300, 800)
    crop = crop_fingerprint(cut(photograph, (110, 90, 310, 780)))
    assert max(crop.grey.shape) < 200
    assert found([crop], [photograph_fingerprint(photograph, box), *fingerprints([6])]) == [(0, 0, 0)]


def test_crop_matches_both_of_two_twins():
    photographs = [photograph_fingerprint(noisy(picture(1), seed), BOX) for seed in (0, 1)]
    assert sorted(found([crop_fingerprint(cut(picture(1), BOX))], photographs)) == [(0, 0, 0), (0, 1, 0)]


def test_nothing_to_match():
    assert match_crops([], fingerprints([1])) == [] and match_crops([crop_fingerprint(picture(1))], []) == []


def test_near_twins_are_noisy_or_turned_copies():
    pictures = [picture(0), picture(1), noisy(picture(0)), np.rot90(picture(1)), picture(2)]
    vectors = np.stack([photograph_fingerprint(one, (20, 20, 50, 80)).whole for one in pictures])
    assert vectors.shape == (5, PHOTOGRAPH_SIDE**2)
    assert near_twins(vectors) == [(0, 2), (1, 3)]


@pytest.mark.parametrize("swapped", [0, 2, 3])
def test_swapped_red_and_blue_is_counted(swapped):
    crops = [cut(picture(seed), BOX) for seed in range(3)]
    crops = [crop_fingerprint(crop[..., ::-1] if index < swapped else crop) for index, crop in enumerate(crops)]
    photographs = fingerprints(range(3))
    assert count_swapped(crops, photographs, match_crops(crops, photographs)) == (swapped, 3)


def test_find_anywhere_finds_upright_and_sideways_crops_only_where_they_are():
    photograph = picture(7, 300, 400)
    crops = [
        cut(photograph, (150, 210, 182, 310)),
        np.rot90(cut(photograph, (20, 30, 130, 62)), 3),
        cut(picture(8), BOX),
    ]
    matches = find_anywhere([crop_fingerprint(crop) for crop in crops], photograph, number=4)
    assert [(match.crop, match.photograph, match.turns) for match in matches] == [(0, 4, 0), (1, 4, 3)]
