"""Answers of a person, given with `label`, win over other labels: of their photographs, those say nothing any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lpr_e2e.common.terminal import many
from lpr_e2e.data.places import Place


def let_answers_win(places: Sequence[Place]) -> list[Place]:
    """Leave out of all label files what answers replace, faults included.

    Answers to photographs that other labels hold out are held out: they come as a place of their own.

    Args:
        places: of all label files of a data set.
    """
    given = [place for place in places if place.labels.answers]
    answered = {path for place in given for path in place.paths.values()}
    if not answered:
        return list(places)
    held = {
        path
        for place in places
        if place.labels.held_out and not place.labels.holds_crops and not place.labels.answers
        for path in place.paths.values()
    }
    found = []
    for place in places:
        if place.labels.answers:
            found += _by_side(place, held)
        elif place.labels.holds_crops and not place.tells_photographs:
            found.append(place)
        else:
            found.append(_without(place, answered))
    names = ", ".join(place.labels.path.name for place in given)
    said = f"{names}: {many(len(answered), 'photograph')} answered by hand; other labels say nothing of them."
    found[0] = replace(found[0], notes=[said, *found[0].notes])
    return found


def _by_side(place: Place, held: set[Path]) -> list[Place]:
    """The answers to photographs that are not held out, and those to photographs that are, if there are some."""
    labels = place.labels
    if labels.held_out:
        return [place]
    sides: tuple[list, list] = ([], [])
    for plate in labels.plates:
        sides[place.paths.get(plate.row.img_id) in held].append(plate)
    trained = replace(place, labels=replace(labels, plates=sides[0]))
    if not sides[1]:
        return [trained]
    # What is wrong with the table is said once.
    apart = replace(labels, plates=sides[1], held_out=True, given_up=[], problems=[], notes=[])
    return [trained, replace(place, labels=apart, problems=[], notes=[])]


def _without(place: Place, answered: set[Path]) -> Place:
    """A label file without the rows of answered photographs."""
    labels = place.labels
    replaced = {(row.csv, row.number) for row in labels.given_up if place.paths.get(row.img_id) in answered}
    return replace(
        place,
        labels=replace(
            labels,
            plates=[plate for plate in labels.plates if place.paths.get(plate.row.img_id) not in answered],
            given_up=[row for row in labels.given_up if (row.csv, row.number) not in replaced],
            problems=[one for one in labels.problems if (one.file, one.row) not in replaced],
        ),
    )
