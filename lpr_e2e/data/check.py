"""What is in a data set and what is wrong with it, before anyone trains on it.

Nothing in the data folder is changed. `lpr_e2e.data.check_page` shows the check with pictures, and
`lpr_e2e.data.cleaning` writes a copy of the data without what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.photographs import find_photographs
from lpr_e2e.common.terminal import many
from lpr_e2e.data import appearance, findings, text_findings
from lpr_e2e.data.dataset import DataSource, Loaded, load
from lpr_e2e.data.findings import Chart, Finding
from lpr_e2e.data.matching import Colours, Match, count_swapped, find_anywhere
from lpr_e2e.data.problems import Problem, faults, problem_lines
from lpr_e2e.data.samples import Photograph
from lpr_e2e.data.uncropped import uncropped

# What the last column of `Check.counts` means.
NOT_USED = (
    "Not used: cannot be used (see the problems), left out by --exclude, or at odds with what is held out. "
    "A photograph has a text if one of its plates has one."
)
UNCROPPED = "whole photograph"


@dataclass(frozen=True)
class Check:
    """Everything that was measured of a data set.

    Attributes:
        source: where it comes from.
        loaded: what training makes of it, and all that it was made from.
        problems: every fault and every change, by file and row.
        colours: whether red and blue are exchanged.
        findings: what is no fault of a row, but good to know.
        charts: texts and boxes.
        uncropped: numbers of the crops (in `loaded.compared`) that are whole photographs.
    """

    source: DataSource
    loaded: Loaded
    problems: list[Problem]
    colours: Colours
    findings: list[Finding]
    charts: list[Chart]
    uncropped: frozenset[int] = frozenset()

    @property
    def faults(self) -> list[Problem]:
        """The problems that somebody should do something about."""
        return faults(self.problems)

    @property
    def changes(self) -> list[Problem]:
        """What was brought to the form that it plainly means."""
        return [problem for problem in self.problems if problem.harmless]

    @property
    def notes(self) -> list[str]:
        """How the labels were understood, and what is held out; a sentence each."""
        return self.loaded.dataset.notes

    def counts(self) -> list[tuple[str, ...]]:
        """A table with a header: how many photographs, plates and crops there are, and what becomes of them."""
        data, labels = self.loaded.dataset, self.loaded.labels
        named = {one.img_id for file in labels if not file.holds_crops for one in (plate.row for plate in file.plates)}
        crops = {one.img_id for file in labels if file.holds_crops for one in (plate.row for plate in file.plates)}
        boxes = ((one.row.img_id, one.box) for file in labels if not file.holds_crops for one in file.plates)
        plates = len({pair for pair in boxes if pair[1] is not None})
        lines = [("", "labelled", "usable", "trained on", "with text", "held out", "with text", "not used")]
        trained, held = data.photographs, data.validation_photographs
        usable = self.loaded.usable
        lines.append(_line("photographs", len(named), len(usable.photographs), trained, held))
        on_photographs = sum(len(one.plates) for one in usable.photographs)
        sides = ([plate for one in side for plate in one.plates] for side in (trained, held))
        lines.append(_line("plates on them", plates, on_photographs, *sides))
        lines.append(_line("crops", len(crops), len(usable.crops), data.crops, data.validation_crops))
        empty = [[one for one in side if not one.plates] for side in (trained, held)]
        if any(empty):
            count = sum(map(len, empty))
            lines.append(_line("photographs without a plate", count, count, *empty))
        return lines

    def summary(self) -> str:
        """The whole check as text; of each kind of problem only the first few rows."""
        counts = self.counts()
        wide = [max(map(len, column)) for column in zip(*counts, strict=True)]
        lines = ["  ".join([line[0].ljust(wide[0]), *map(str.rjust, line[1:], wide[1:])]).rstrip() for line in counts]
        lines += [NOT_USED, "", "How the data are understood:", *(f"  {note}" for note in self.notes)]
        lines += ["", f"{many(len(self.faults), 'problem')} that training names, skips or mends"]
        lines += problem_lines(self.faults, "the page")
        if self.changes:
            lines += ["", f"{many(len(self.changes), 'harmless change')} (what is written otherwise than is meant)"]
            lines += problem_lines(self.changes, "the page")
        for finding in self.findings:
            lines += ["", f"{finding.title}: {finding.said}", f"  Training: {finding.training}"]
        lines += [""] + [
            f"{chart.title}: {', '.join(f'{label}: {count}' for label, count in chart.bars)}" for chart in self.charts
        ]
        return "\n".join(lines)


def _line(name: str, labelled: int, usable: int, trained: list, held: list) -> tuple[str, ...]:
    """A line of `Check.counts`."""
    counts = [labelled, usable]
    for side in (trained, held):
        counts += [len(side), sum(_has_text(one) for one in side)]
    # Labels that name a picture in two ways count twice, and what cannot be read in a label file is in no count.
    counts.append(max(0, max(labelled, usable) - len(trained) - len(held)))
    return (name, *map(str, counts))


def _has_text(one) -> bool:
    return any(plate.text for plate in one.plates) if isinstance(one, Photograph) else bool(one.text)


def check_data(source: DataSource | str | PathLike, test: str | PathLike | None = None) -> Check:
    """Measure a data set.

    Args:
        source: where it is, with the options that a training takes; or its path, if it says all itself.
        test: a folder of photographs in which to look for the crops, about a second each; a bar shows how far it is.

    Raises:
        DatasetError: the data cannot be used at all.
        FileNotFoundError: there is no such `test` folder.
        ValueError: the `test` folder holds no picture.
    """
    source = source if isinstance(source, DataSource) else DataSource(Path(source))
    if test is not None and not Path(test).is_dir():
        raise FileNotFoundError(f"{test}: no such folder")
    test_photographs = find_photographs([test]) if test is not None else []
    loaded = load(source)
    compared = loaded.compared
    whole = uncropped(compared)
    problems = {*loaded.dataset.problems, *(_whole(loaded, number, why) for number, why in whole.items())}
    crops = [one.fingerprint for one in compared.crops]
    colours = count_swapped(crops, [one.fingerprint for one in compared.photographs], compared.matches)
    found = [
        findings.held_out(loaded, source.seed),
        findings.several_plates(loaded),
        findings.near_twin_photographs(loaded),
        findings.plates_on_their_side(loaded),
        text_findings.rare_texts(loaded),
        appearance.light(loaded),
        appearance.sizes(loaded),
    ]
    if crops:
        found += [findings.crops_cut_out(loaded), findings.red_and_blue(compared, colours)]
    if test is not None:
        leaks = _crops_in(test_photographs, loaded, str(test))
        found.append(findings.crops_of_test_photographs(loaded, Path(test), leaks))
    elif crops and (source.path / "test").is_dir():
        found.append(findings.crops_not_looked_for(source.path))
    return Check(
        source,
        loaded,
        sorted(problems, key=lambda one: (one.file, one.row or 0, one.kind, one.message)),
        colours,
        found,
        [*text_findings.text_charts(loaded), *findings.box_charts(compared)],
        frozenset(whole),
    )


def _whole(loaded: Loaded, number: int, why: str) -> Problem:
    """That a crop is a whole photograph."""
    row = loaded.compared.crops[number].row
    message = f"expected a plate cut out, found a whole photograph: {why}; it teaches reading nothing: cut it out"
    return row.problem(row.img_id, UNCROPPED, message)


def _crops_in(photographs: list[tuple[str, Path]], loaded: Loaded, title: str) -> dict[str, list[Match]]:
    """The crops found in each readable photograph, by its name; a bar with a title shows how far it is."""
    fingerprints = [one.fingerprint for one in loaded.compared.crops]
    leaks = {}
    for name, path in tqdm(photographs, desc=title, unit="photograph"):
        try:
            leaks[name] = find_anywhere(fingerprints, read_picture(path))
        except PictureError:
            continue
    return leaks
