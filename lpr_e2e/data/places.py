"""Where the pictures of label files are: one folder for each file, and one file for each name in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lpr_e2e.common.terminal import many
from lpr_e2e.data.labels import Labels
from lpr_e2e.data.names import Found, Listing
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import DatasetError, Row, stays_inside


@dataclass
class Place:
    """Where the pictures of a label file are.

    Attributes:
        labels: what the file says.
        folder: where its pictures are.
        paths: the files by the names as written; a name that means none, or several, is missing.
        problems: a problem of each row without a picture, and a change for each name that is written otherwise.
        notes: how many names are, a line.
        tells_photographs: a table of names and texts that names photographs, whose plates have other labels; not crops.
    """

    labels: Labels
    folder: Path
    paths: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tells_photographs: bool = False


def find_places(labels: Sequence[Labels]) -> list[Place]:
    """Find the pictures of label files.

    Of the folders that may be meant (`Labels.pictures`), each file's pictures are in the one that has most of them; the
    first has to have one only if it is named like the file. Photographs and crops are never in one folder, unless it is
    the only one that may be meant. A table of names and texts whose pictures are in no folder of their own may tell
    those of photographs, see `Place.tells_photographs`.

    Raises:
        DatasetError: no folder has at least half of a file's pictures.
    """
    folders = {folder for one in labels for folder in one.pictures}
    # The innermost first: what somebody names as a folder of pictures is no test set, whatever is above it.
    listing = Listing(sorted(folders, key=lambda folder: (-len(folder.parts), folder)))
    order = sorted(labels, key=lambda one: (not _is_named_alike(one), one.holds_crops))
    places: dict[int, Place] = {}
    for one in order:
        places[id(one)] = _place(one, listing, list(places.values()))
    found = [places[id(one)] for one in labels]
    _note_unnamed(found, listing)
    return found


def _is_named_alike(labels: Labels) -> bool:
    """Whether the likeliest folder of a label file is named like it."""
    return bool(labels.pictures) and labels.pictures[0].name.lower() == labels.path.stem.lower()


def _place(labels: Labels, listing: Listing, taken: Sequence[Place]) -> Place:
    """Where the pictures of one label file are, if those of others are in their places."""
    names = list(dict.fromkeys(name for name in [*labels.names, *sorted(labels.incomplete)] if name))
    others = [place.folder for place in taken if place.labels.holds_crops != labels.holds_crops]
    same = [place.folder for place in taken if place.labels.holds_crops == labels.holds_crops]
    candidates = [folder for folder in labels.pictures if folder not in others] or list(labels.pictures)
    if len(candidates) > 1 and not _is_named_alike(labels):
        candidates = list(dict.fromkeys([*(folder for folder in same if folder in candidates), *candidates]))
    if not names:
        return Place(labels, candidates[0] if candidates else labels.path.parent)
    best: tuple[Path, dict[str, Found]] | None = None
    for number, folder in enumerate(candidates):
        without = [other for other in others if other != folder]
        found = {name: listing.find(name, folder, without) for name in names}
        if best is None or _count(found) > _count(best[1]):
            best = folder, found
        if _count(found) == len(names) or (number == 0 and _is_named_alike(labels) and _count(found)):
            break
    if best is None or not _count(best[1]) or (_count(best[1]) < len(names) / 2 and not _is_named_alike(labels)):
        if labels.holds_crops and (place := _of_photographs(labels, listing, taken)):
            return place
        looked = ", ".join(map(str, candidates)) or "no folder"
        most = f"; {best[0].name} has {_count(best[1])} of them" if best and _count(best[1]) else ""
        several = (
            [f"{name} may be {' or '.join(map(str, one.others))}" for name, one in best[1].items() if one.others[1:]]
            if best
            else []
        )
        most += (
            f"; {many(len(several), 'name')} may mean several files: {several[0]}; write the folder before the name"
            if several
            else ""
        )
        raise DatasetError(
            f"{labels.path}: no folder with its {many(len(names), 'picture')}, {names[0]} and so on; expected a folder "
            f"{labels.path.stem}, or --pictures with the name of another one; looked in {looked}{most}"
        )
    place = Place(labels, best[0])
    _take(place, best[1])
    return place


def _of_photographs(labels: Labels, listing: Listing, taken: Sequence[Place]) -> Place | None:
    """The place of a table of names and texts, most of whose names are photographs of other label files."""
    photographs = {
        path: other.folder for other in taken if not other.labels.holds_crops for path in other.paths.values()
    }
    folders = list(dict.fromkeys(photographs.values()))
    place = Place(labels, folders[0] if folders else labels.path.parent, tells_photographs=True)
    for name in labels.names:
        found = {one.path for one in (listing.find(name, folder) for folder in folders)} & photographs.keys()
        if len(found) == 1:
            place.paths[name] = found.pop()
    for row in (plate.row for plate in labels.plates):
        if row.img_id not in place.paths:
            place.problems.append(_missing(row, Found(None), place.folder))
    if len(place.paths) < len(labels.names) / 2:
        return None
    place.notes.append(
        f"{labels.path.name}: its pictures are photographs that other labels have boxes of; its texts are those of the "
        "plates on them."
    )
    return place


def _count(found: dict[str, Found]) -> int:
    return sum(one.path is not None for one in found.values())


def _take(place: Place, found: dict[str, Found]) -> None:
    """Note what the names mean, and what is wrong with those that mean nothing."""
    changed: dict[str, Path] = {}
    for name in place.labels.incomplete:
        if (path := found[name].path) is not None:
            place.paths[name] = path
    for row in (plate.row for plate in place.labels.plates):
        one = found.get(row.img_id, Found(None))
        if one.path is None:
            place.problems.append(_missing(row, one, place.folder))
            continue
        place.paths[row.img_id] = one.path
        # Answers name photographs by their path below the folder of the table, whichever of its folders they are in.
        is_exact = one.exact or (place.labels.answers and one.path == place.labels.path.parent / row.img_id)
        if not is_exact and row.img_id not in changed:
            changed[row.img_id] = one.path
            meant = one.path.relative_to(place.folder).as_posix()
            place.problems.append(
                row.change(row.img_id, "name written otherwise", f"the picture is {place.folder.name}/{meant}")
            )
    if changed:
        name, path = next(iter(changed.items()))
        place.notes.append(
            f"{place.labels.path.name}: {many(len(changed), 'name')} written otherwise than the files in "
            f"{place.folder.name}: {name} is {path.relative_to(place.folder).as_posix()}."
        )


def _missing(row: Row, found: Found, folder: Path) -> Problem:
    """Why a row has no picture."""
    if not row.img_id:
        return row.problem("", "empty img_id", "expected a picture's file name; skipped, fill it in")
    inside = [path for path in found.others if path.is_relative_to(folder)]
    if len(inside) > 1:
        named = " or ".join(path.relative_to(folder).as_posix() for path in sorted(inside))
        return row.problem(row.img_id, "ambiguous picture", f"may be {named} in {folder.name}; skipped, write which")
    others = [f"{path.parent.name}/{path.name} is no picture of this table" for path in found.others[:1]]
    elsewhere = "".join(f"; {other}" for other in others)
    if not stays_inside(row.img_id):
        message = f"expected a name inside the picture folder {folder.name}{elsewhere}; skipped, correct it"
        return row.problem(row.img_id, "unsafe img_id", message)
    message = f"{folder.name}/{row.img_id}: missing file{elsewhere}; skipped, add the picture or remove the row"
    return row.problem(row.img_id, "missing picture", message)


def _note_unnamed(places: Sequence[Place], listing: Listing) -> None:
    """Count the pictures that no label file names, in each folder that some are in."""
    named = {path for place in places for path in place.paths.values()}
    folders = list(dict.fromkeys(place.folder for place in places))
    for place in places:
        if place.folder not in folders:
            continue
        folders.remove(place.folder)
        inner = [other.folder for other in places if other.folder != place.folder]
        unnamed = [
            path
            for path in listing.pictures(place.folder)
            if path not in named and not any(path.is_relative_to(folder) for folder in inner)
        ]
        if unnamed:
            example = unnamed[0].relative_to(place.folder).as_posix()
            place.notes.append(
                f"{place.folder.name}: {many(len(unnamed), 'picture')} named by no label, such as {example}; not used."
            )
