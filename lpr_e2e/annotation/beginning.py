"""What there is before the first answer: the photographs of a folder, their labels, readings and faults."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import from_cell
from lpr_e2e.common.photographs import find_photographs
from lpr_e2e.common.terminal import many
from lpr_e2e.data.forms import holds_labels, read_labels
from lpr_e2e.data.labels import Labelled, LabelOptions, Labels, names_test
from lpr_e2e.data.names import Listing
from lpr_e2e.data.places import find_places
from lpr_e2e.data.problems import COLUMNS as PROBLEM_COLUMNS
from lpr_e2e.data.resolving import resolve
from lpr_e2e.data.samples import Plate
from lpr_e2e.data.tables import read_table
from lpr_e2e.evaluation.truth import read_predictions
from lpr_e2e.prediction.reading import Reading


@dataclass
class Beginning:
    """What there is before the first answer; photographs are named by their number.

    Attributes:
        folder: that of the photographs.
        photographs: pairs of img_id, the path below the folder, and path.
        labels: the plates that labels have, by photograph; () if they say that there is none.
        readings: what is read on photographs, if that was done before.
        problems: what is wrong with the labels of a photograph, a sentence each.
        notes: what people should know, a line each.
    """

    folder: Path
    photographs: list[tuple[str, Path]]
    labels: dict[int, tuple[Plate, ...]] = field(default_factory=dict)
    readings: dict[int, list[Reading]] = field(default_factory=dict)
    problems: dict[int, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, options: LabelOptions, predictions: Path | None, problems: Path | None) -> Beginning:
        """Find everything.

        Args:
            folder: is searched for photographs, and for labels in any form that `import` takes.
            options: what the labels do not say themselves.
            predictions: a `predictions.csv`; None if nothing was read before.
            problems: a `problems.csv`; then its photographs alone are taken.

        Raises:
            UserError: there are no photographs, or something that was named cannot be used.
        """
        if not folder.is_dir():
            seen = "is a file" if folder.exists() else "no such folder"
            raise UserError(f"{folder}: {seen}; expected a folder with photographs")
        # Answers are no labels here: what they say is shown as such, and is what can be taken back.
        read = read_labels(folder, options) if holds_labels(folder, options) else []
        labels = [one for one in read if not one.answers]
        labelled = resolve(labels, options) if labels else Labelled()
        found = cls(folder, _photographs(folder, labelled))
        if labels:
            found._take_labels(labelled)
        if predictions is not None:
            found._take_readings(predictions)
        if problems is not None:
            found._keep(found._problems(problems, labels), problems)
        return found

    def _take_labels(self, labelled: Labelled) -> None:
        numbers = self._numbers()
        outside = 0
        for one in labelled.photographs:
            number = numbers.get(os.path.abspath(one.path))
            if number is None:
                outside += 1
            else:
                plates = (Plate(row.box_px, row.text) for row in one.plates if row.box_px is not None)
                self.labels[number] = tuple(plates)
        count = many(len(self.labels), "photograph")
        self.notes.append(f"Labels of {count} are there already: they are shown, and stay as they are.")
        if outside:
            self.notes.append(f"{many(outside, 'labelled photograph')} outside of {self.folder}: left aside.")

    def _take_readings(self, path: Path) -> None:
        listing, numbers = Listing([self.folder]), self._numbers()
        unknown = 0
        for img_id, readings in read_predictions(path).items():
            file = listing.find(img_id, self.folder).path
            number = None if file is None else numbers.get(os.path.abspath(file))
            if number is None:
                unknown += 1
            else:
                self.readings[number] = readings
        if not self.readings:
            raise UserError(f"{path}: none of its {unknown} photographs is in {self.folder}; name their folder")
        if unknown:
            self.notes.append(f"{path}: {many(unknown, 'photograph')} not in {self.folder}, left aside.")

    def _problems(self, path: Path, labels: list[Labels]) -> dict[int, list[str]]:
        """The problems of a `problems.csv`, by photograph."""
        table = read_table(path)
        if not set(PROBLEM_COLUMNS).issubset(table.columns):
            found = ",".join(table.columns) or "none"
            raise UserError(
                f"{path}: expected a problems.csv with the columns {','.join(PROBLEM_COLUMNS)}, found {found}"
            )
        named, numbers, listing = _rows(labels), self._numbers(), Listing([self.folder])
        problems: dict[int, list[str]] = defaultdict(list)
        elsewhere = 0
        for _, values in table.records:
            file, value = from_cell(values["file"]), from_cell(values["value"])
            meant = named.get((file, values["row"]))
            # A fault of no row is one of a picture, which is named as the file or as the value.
            for name in (file, value) if meant is None else ():
                meant = meant or (listing.find(name, self.folder).path if name else None)
            number = None if meant is None else numbers.get(os.path.abspath(meant))
            if number is None:
                elsewhere += 1
            else:
                problems[number].append(f"{values['kind']}: {value}: {from_cell(values['message'])}")
        if elsewhere:
            self.notes.append(f"{path}: {many(elsewhere, 'row')} of no photograph in {self.folder}, left aside.")
        return problems

    def _keep(self, problems: Mapping[int, list[str]], path: Path) -> None:
        """Keep only photographs with a problem."""
        if not problems:
            raise UserError(f"{path}: none of its rows is of a photograph in {self.folder}; expected some")
        now = {before: number for number, before in enumerate(sorted(problems))}
        self.photographs = [self.photographs[before] for before in now]
        self.labels = {now[before]: one for before, one in self.labels.items() if before in now}
        self.readings = {now[before]: one for before, one in self.readings.items() if before in now}
        self.problems = {now[before]: one for before, one in problems.items()}

    def _numbers(self) -> dict[str, int]:
        return {os.path.abspath(path): number for number, (_, path) in enumerate(self.photographs)}


def _photographs(folder: Path, labelled: Labelled) -> list[tuple[str, Path]]:
    """The photographs of a folder: no plate crops, and no test set, which nothing is ever learned from."""
    labelled_folders = {one.path.parent.resolve() for one in labelled.photographs}
    crop_folders = {one.path.parent.resolve() for one in labelled.crops} - labelled_folders
    found = find_photographs([folder])
    photographs = [
        (img_id, path)
        for img_id, path in found
        if path.parent.resolve() not in crop_folders and not any(map(names_test, Path(img_id).parts[:-1]))
    ]
    if not photographs:
        raise UserError(
            f"{folder}: {many(len(found), 'picture')}, all of them crops or of a test set; name their folder"
        )
    return photographs


def _rows(labels: list[Labels]) -> dict[tuple[str, str], Path]:
    """The picture of each row of label files, by the name of the file and the number of the row."""
    found = {}
    for place in find_places(labels) if labels else ():
        rows = [*(plate.row for plate in place.labels.plates), *place.labels.given_up]
        for row in rows:
            if row.img_id in place.paths:
                found[row.csv, str(row.number)] = place.paths[row.img_id]
    return found
