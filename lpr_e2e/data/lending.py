"""What crops tell of the photographs that they are cut from, and the other way round: the text, and which way is up."""

from __future__ import annotations

from collections import defaultdict

from lpr_e2e.data.matching import Compared
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.split import Split, same_plate_key
from lpr_e2e.data.tables import Row

# A plate wider than this times its height is not on its side; two-line plates can be nearly square.
UPRIGHT_ASPECT = 1.1


def texts_of_plates(compared: Compared, split: Split) -> tuple[dict[tuple[int, int], str], list[Problem]]:
    """The texts of plates on photographs, by (photograph, plate), and a problem where they contradict each other.

    A plate has the text that its photograph's labels give it, else the one that crops lend it, if they agree. From one
    side of a split to the other nothing is lent, and a withheld text is no text.
    """
    texts = {
        (number, index): row.text
        for number, one in enumerate(compared.photographs)
        for index, row in enumerate(one.plates)
        if row.text and (number, index) not in split.withheld_plates
    }
    lent: dict[tuple[int, int], dict[str, Row]] = defaultdict(dict)
    for match in compared.matches:
        plate = match.photograph, match.plate
        same_side = (match.crop in split.held_crops) == (match.photograph in split.held_photographs)
        if same_side and match.crop not in split.unusable_crops and plate not in split.withheld_plates:
            row = compared.crops[match.crop].row
            lent[plate].setdefault(same_plate_key(row.text), row)
    problems = []
    for (photograph, plate), by_key in lent.items():
        img_id = compared.photographs[photograph].img_id
        own = compared.photographs[photograph].plates[plate]
        first, *others = by_key.values()
        if own.text:
            for row in by_key.values():
                if same_plate_key(row.text) != same_plate_key(own.text):
                    message = (
                        f"{row.img_id} is cut from {img_id}, whose plate says {own.text!r} in {own.csv}, row "
                        f"{own.number}; both stay as they are, correct one of them"
                    )
                    problems.append(row.problem(row.text, "contradictory texts", message))
        elif others:
            message = (
                f"{others[0].img_id} and {first.img_id} (row {first.number}, {first.text!r}) are cut from the same "
                f"photograph {img_id}, which gets no text; correct one of them"
            )
            problems.append(others[0].problem(others[0].text, "contradictory texts", message))
        else:
            texts[photograph, plate] = first.text
    return texts, problems


def contradicting_twins(compared: Compared) -> list[tuple[int, int]]:
    """The near twins, by their numbers, that have one plate each and different texts for it.

    Of photographs with several plates it is not known here which of them agree: a parked car, and another one that
    passes it.
    """
    found = []
    for pair in compared.twins:
        texts = [[row.text for row in compared.photographs[number].plates] for number in pair]
        if all(len(one) == 1 and one[0] for one in texts):
            first, second = (same_plate_key(one[0]) for one in texts)
            found += [pair] * (first != second)
    return found


def upright_turns(compared: Compared) -> tuple[list[list[int | None]], list[int | None]]:
    """Turns that put each plate of each photograph upright, and each crop.

    0 for a plate that is clearly wider than high; else as a matching picture that is wide tells; else None.
    """
    plates = [[_turns_of_wide(plate.shape) for plate in one.fingerprint.plates] for one in compared.photographs]
    crops = [_turns_of_wide(one.fingerprint.shape) for one in compared.crops]
    # The crop is rot90(photograph, match.turns), so what puts one upright tells what puts the other upright.
    for match in compared.matches:
        crop = crops[match.crop]
        if plates[match.photograph][match.plate] is None and crop is not None:
            plates[match.photograph][match.plate] = (match.turns + crop) % 4
    for match in compared.matches:
        plate = plates[match.photograph][match.plate]
        if crops[match.crop] is None and plate is not None:
            crops[match.crop] = (plate - match.turns) % 4
    return plates, crops


def _turns_of_wide(shape: tuple[int, int]) -> int | None:
    return 0 if shape[1] > UPRIGHT_ASPECT * shape[0] else None
