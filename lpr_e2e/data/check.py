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
from lpr_e2e.data import findings
from lpr_e2e.data.dataset import load_dataset
from lpr_e2e.data.findings import Chart, Finding
from lpr_e2e.data.fingerprints import CropFingerprint, PhotographFingerprint, Picture, usable_crops, usable_photographs
from lpr_e2e.data.matching import Colours, Compared, Match, compare, count_swapped, find_anywhere
from lpr_e2e.data.problems import Problem, problem_lines
from lpr_e2e.data.samples import Dataset
from lpr_e2e.data.tables import Table, find_picture_folders, find_tables, usable_rows_by_kind

# What the last column of `Check.counts` means.
LEFT_OUT = "Left out: usable, but excluded by --exclude, or at odds with the validation table."


@dataclass(frozen=True)
class Check:
    """Everything that was measured of a data set.

    Attributes:
        folder: the data folder.
        tables, folders: its tables and picture folders by kind, see `lpr_e2e.data.tables`.
        dataset: what training makes of it.
        problems: every fault, also of rows that training leaves out for another reason; by file and row.
        compared: the usable rows of the detection and the recognition table, excluded ones too.
        validation: the usable rows of the validation table; none if there is no such table.
        colours: whether red and blue are exchanged.
        findings: what is no fault of a row, but good to know.
        charts: texts of the usable crops, and boxes of the usable photographs.
    """

    folder: Path
    tables: dict[str, Table]
    folders: dict[str, Path]
    dataset: Dataset
    problems: list[Problem]
    compared: Compared
    validation: list[Picture[PhotographFingerprint]]
    colours: Colours
    findings: list[Finding]
    charts: list[Chart]

    def counts(self) -> list[tuple[str, ...]]:
        """A table with a header: how many photographs and crops there are, and what becomes of them."""
        data = self.dataset
        kinds = (
            ("photographs", "detection", self.compared.photographs, data.photographs, data.validation_photographs),
            ("crops", "recognition", self.compared.crops, data.crops, data.validation_crops),
        )
        lines = [("", "rows", "usable", "trained on", "with text", "held out", "with text", "left out")]
        for name, kind, usable, trained, held in kinds:
            used, ids = data.img_ids(name), {one.row.img_id for one in usable}
            # A held-out photograph counts even if its row of set 1 is faulty: that of the validation table serves.
            counts = [len(self.tables[kind].records), len(ids | used)]
            for side in (trained, held):
                counts += [len(side), sum(one.text is not None for one in side)]
            counts.append(len(ids - used))
            lines.append((f"{name} ({self.tables[kind].path.name})", *map(str, counts)))
        return lines

    def summary(self) -> str:
        """The whole check as text; of each kind of problem only the first few rows."""
        counts = self.counts()
        wide = [max(map(len, column)) for column in zip(*counts, strict=True)]
        lines = ["  ".join([line[0].ljust(wide[0]), *map(str.rjust, line[1:], wide[1:])]).rstrip() for line in counts]
        lines += [LEFT_OUT, "", f"{many(len(self.problems), 'problem')} that training names, skips or mends"]
        lines += problem_lines(self.problems, "the page")
        for finding in self.findings:
            lines += ["", f"{finding.title}: {finding.said}", f"  Training: {finding.training}"]
        lines += [""] + [
            f"{chart.title}: {', '.join(f'{label}: {count}' for label, count in chart.bars)}" for chart in self.charts
        ]
        return "\n".join(lines)


def check_data(
    folder: str | PathLike, exclude: str | PathLike | None = None, test: str | PathLike | None = None
) -> Check:
    """Measure a data folder.

    Args:
        folder: the data folder, see `dataset.load_dataset`.
        exclude: as for training. What it leaves out is measured, but counts as left out.
        test: a folder of photographs in which to look for the crops, about a second each; a bar shows how far it is.

    Raises:
        DatasetError: the data cannot be used at all.
        FileNotFoundError: there is no such `test` folder.
        ValueError: the `test` folder holds no picture.
    """
    folder = Path(folder)
    if test is not None and not Path(test).is_dir():
        raise FileNotFoundError(f"{test}: no such folder")
    test_photographs = find_photographs([test]) if test is not None else []
    dataset = load_dataset(folder, exclude=exclude)
    tables = find_tables(folder)
    folders = find_picture_folders(folder, tables)
    # Training passes over excluded crops, and over the detection rows of held-out photographs; here all are looked at.
    rows, problems = usable_rows_by_kind(tables)
    photographs, in_photographs = usable_photographs(rows["detection"], folders["detection"])
    validation, in_validation = usable_photographs(rows.get("validation", []), folders["detection"])
    crops, in_crops = usable_crops(rows["recognition"], folders["recognition"])
    every_problem = {*dataset.problems, *problems, *in_photographs, *in_validation, *in_crops}
    compared = compare(photographs, crops)
    colours = count_swapped(
        [one.fingerprint for one in crops], [one.fingerprint for one in photographs], compared.matches
    )
    found = [
        findings.plates_on_their_side(compared, dataset),
        findings.near_twin_photographs(compared, dataset, drawn="validation" not in tables),
        findings.crops_cut_out(compared, dataset),
        findings.red_and_blue(compared, colours),
        findings.texts_to_hold_out(compared, dataset, tables),
    ]
    if test is not None:
        leaks = _crops_in(test_photographs, crops, str(test))
        found.append(findings.crops_of_test_photographs(compared, dataset, Path(test), leaks))
    elif (folder / "test").is_dir():
        found.append(findings.crops_not_looked_for(folder))
    return Check(
        folder,
        tables,
        folders,
        dataset,
        sorted(every_problem, key=lambda one: (one.file, one.row or 0, one.kind, one.message)),
        compared,
        validation,
        colours,
        found,
        findings.charts(compared),
    )


def _crops_in(
    photographs: list[tuple[str, Path]], crops: list[Picture[CropFingerprint]], title: str
) -> dict[str, list[Match]]:
    """The crops found in each readable photograph, by its name; a bar with a title shows how far it is."""
    fingerprints = [one.fingerprint for one in crops]
    leaks = {}
    for name, path in tqdm(photographs, desc=title, unit="photograph"):
        try:
            leaks[name] = find_anywhere(fingerprints, read_picture(path))
        except PictureError:
            continue
    return leaks
