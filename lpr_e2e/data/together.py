"""Several data sets to train on together: each is loaded for itself; what one of them holds out, no other teaches.

The pictures of a set are called `SET/IMG_ID` from here on, in every file and message, and in a list to exclude.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import many
from lpr_e2e.data.dataset import AFTER_NAME, DataSource, Loaded, listed_to_exclude, load
from lpr_e2e.data.matching import compare
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.samples import Crop, Dataset, Photograph
from lpr_e2e.data.spellings import look_alikes
from lpr_e2e.data.split import same_plate_key


def load_all(source: DataSource) -> Dataset:
    """The data set of a source, or of its several ones together.

    Raises:
        DatasetError, UserError: see `lpr_e2e.data.dataset.load`; or an option can only be about one of several sets.
    """
    if not source.further:
        return load(source).dataset
    for name, value in (
        ("--validation", source.options.validation),
        ("--no-plates", source.options.no_plates),
        ("--pictures", source.options.pictures),
    ):
        if value:
            raise UserError(
                f"{name}: is about one data set, and there are several; write it with `import` into its own"
            )
    paths = dict(zip(source.names, (source.path, *source.further), strict=True))
    if source.exclude is not None:
        _refuse_unknown_sets(source.exclude, paths)
    loaded = {name: load(replace(source, path=path, further=(), names=(name,))) for name, path in paths.items()}
    return joined(loaded)


def joined(loaded: Mapping[str, Loaded]) -> Dataset:
    """Data sets as one, by their names. Nothing is trained on that one of them holds out."""
    parts = {name: _named(name, one.dataset) for name, one in loaded.items()}
    all_withheld = frozenset().union(*(one.withheld for one in parts.values()))
    withheld = frozenset(map(_look, all_withheld))
    twins = _twins_of_held_out(loaded, parts)
    drawn = frozenset(name for name, one in loaded.items() if one.dataset.drawn_sets)
    together = Dataset([], [], [], [], withheld=all_withheld, drawn_sets=drawn)
    for name, part in parts.items():
        photographs, crops, left_out = _without(part, withheld, twins)
        together.photographs += photographs
        together.crops += crops
        together.validation_photographs += part.validation_photographs
        together.validation_crops += part.validation_crops
        together.problems += [*part.problems, *left_out]
        together.notes += [f"{name}: {note}" for note in part.notes]
    for name, part in together.by_set().items():
        if not any(one.plates for one in part.photographs) or not part.training_texts():
            raise UserError(f"{name}: no plate, or no text, is left to train on that no other data set holds out")
    together.notes += _note_on_look_alikes(parts)
    together.notes.append(
        f"{len(parts)} data sets have equal shares of every batch: "
        + ", ".join(
            f"{name} ({many(len(part.photographs), 'photograph')}, {many(len(part.crops), 'crop')})"
            for name, part in together.by_set().items()
        )
        + "."
    )
    if drawn and drawn != parts.keys():
        together.notes.append(
            f"{', '.join(sorted(drawn))}: drawn, so that a reading in a form that no photograph's text has is not ok."
        )
    return together


def _look(text: str) -> str:
    """The same for texts that look the same on a plate, whatever script each set writes them in."""
    # As capitals: more of them look the same in several scripts than of the small letters.
    return "".join(min((one, *look_alikes(one))) for one in same_plate_key(text).upper())


def _note_on_look_alikes(parts: Mapping[str, Dataset]) -> list[str]:
    """A note where sets write what looks the same in several ways: the model would have to tell them apart."""
    used = {one for part in parts.values() for text in part.training_texts() for one in text}
    pairs = sorted({min(one + other, other + one) for one in used for other in look_alikes(one) if other in used})
    if not pairs:
        return []
    return [
        f"The sets write in two ways what looks the same, or means the same: {', '.join(map(' '.join, pairs))}. They "
        "are taken for different characters; where the plates show one, write it in one way."
    ]


def _refuse_unknown_sets(exclude: Path, paths: Mapping[str, Path]) -> None:
    for number, img_id in listed_to_exclude(exclude):
        if img_id.partition(AFTER_NAME)[0] not in paths:
            raise UserError(
                f"{exclude}, row {number}: img_id {img_id!r}; with several data sets, expected SET/IMG_ID with one of "
                f"the sets {', '.join(paths)}"
            )


def _named(name: str, dataset: Dataset) -> Dataset:
    """The data set, its pictures and problems with its name."""

    def named(one):
        return replace(one, img_id=f"{name}{AFTER_NAME}{one.img_id}", origin=name)

    return replace(
        dataset,
        photographs=list(map(named, dataset.photographs)),
        crops=list(map(named, dataset.crops)),
        validation_photographs=list(map(named, dataset.validation_photographs)),
        validation_crops=list(map(named, dataset.validation_crops)),
        problems=[replace(one, file=f"{name}{AFTER_NAME}{one.file}") for one in dataset.problems],
    )


def _twins_of_held_out(loaded: Mapping[str, Loaded], parts: Mapping[str, Dataset]) -> dict[str, str]:
    """Photographs that are near twins of one that another set holds out, by img_id."""
    pictures = [(name, one) for name, of_set in loaded.items() for one in of_set.compared.photographs]
    held = {one.img_id for part in parts.values() for one in part.validation_photographs}
    named = [f"{name}{AFTER_NAME}{one.img_id}" for name, one in pictures]
    found = {}
    for pair in compare([one for _, one in pictures], []).twins:
        for one, other in (pair, pair[::-1]):
            if pictures[one][0] != pictures[other][0] and named[other] in held:
                found[named[one]] = named[other]
    return found


def _without(
    part: Dataset, withheld: frozenset[str], twins: Mapping[str, str]
) -> tuple[list[Photograph], list[Crop], list[Problem]]:
    """What may be trained on of a set, and a problem for each picture that another set forbids."""
    problems, photographs, crops = [], [], []

    def forbid(one: Photograph | Crop, value: str, message: str) -> None:
        file = f"{one.origin}{AFTER_NAME}{one.path.name}"
        problems.append(Problem(file, None, value, "held out or excluded by another set", message))

    for one in part.photographs:
        if one.img_id in twins:
            forbid(one, one.img_id, f"shows what {twins[one.img_id]} shows, which is held out; left out")
            continue
        held = [bool(plate.text) and _look(plate.text) in withheld for plate in one.plates]
        if any(held):
            forbid(one, one.img_id, "another set holds out, or excludes, a plate of it; its text is not used")
        plates = [replace(plate, text=None) if out else plate for plate, out in zip(one.plates, held, strict=True)]
        photographs.append(replace(one, plates=tuple(plates)))
    for crop in part.crops:
        if _look(crop.text) in withheld:
            forbid(crop, crop.text, f"{crop.img_id} has a text that another set holds out or excludes; left out")
        else:
            crops.append(crop)
    return photographs, crops, problems
