"""What is in a data set and what is wrong with it, before anyone trains on it: as text, and as a page with pictures.

    python -m lpr_e2e check DIR                    print what was found; write it with pictures to check.html
    python -m lpr_e2e check DIR --test FOLDER      also look for crops cut out of the photographs of FOLDER
    python -m lpr_e2e check DIR --fix DIR2         also write a cleaned copy

Nothing in DIR is changed. The page is one file and needs no network; names and texts are data to it, never markup.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image
from tqdm import tqdm

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.images import PictureError, read_picture
from lpr_e2e.common.pages import STYLE, page_jpeg, thumbnail
from lpr_e2e.common.photographs import find_photographs
from lpr_e2e.common.terminal import say
from lpr_e2e.data.dataset import Dataset, load_dataset
from lpr_e2e.data.fingerprints import CropPrint, PhotographPrint, Pictures, print_crops, print_photographs
from lpr_e2e.data.matching import Match, count_swapped, find_anywhere, match_crops, near_twins
from lpr_e2e.data.split import same_plate_key
from lpr_e2e.data.tables import BOX_COLUMNS, Problem, Row, Table, find_picture_folders, find_tables, usable_rows

DEFAULT_PAGE = Path("check.html")
# Of each kind: rows on the terminal, rows on the page, groups of pictures on the page.
ROWS_PRINTED, ROWS_SHOWN, EXAMPLES = 3, 200, 8
LEFT_OUT = "Left out: usable, but excluded by --exclude, or at odds with the validation table."
# Lower ends of the bars: plate widths in pixels, and boxes' widths by their heights.
WIDTHS = (0, 20, 40, 60, 80, 100, 120, 150, 200, 250, 300, 400, 600)
ASPECTS = (0, 0.3, 0.5, 0.8, 1.1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6)
# Of crops that are written anew because red and blue were exchanged.
JPEG_QUALITY = 95


@dataclass(frozen=True)
class View:
    """A picture on the page: a file's, with a box (yxyx, pixels) drawn in or cut out, or with red and blue swapped."""

    caption: str
    path: Path
    box_px: tuple[float, float, float, float] | None = None
    cut: bool = False
    swapped: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that is no fault of a row, but good to know.

    Attributes:
        title: a few words.
        said: what was found.
        training: what training does about it.
        doubtful: whether someone should look at it.
        columns, rows: a table of where it was found, if that can be said.
        exclude: a CSV of all crops that `--exclude` should name, if any.
        examples: groups of pictures that belong together.
    """

    title: str
    said: str
    training: str
    doubtful: bool = False
    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    exclude: str = ""
    examples: Sequence[tuple[View, ...]] = ()


@dataclass(frozen=True)
class Chart:
    """A bar chart: label and count of each bar."""

    title: str
    bars: list[tuple[str, int]]


@dataclass
class Check:
    """Everything that was measured of a data set.

    Attributes:
        folder: the data folder.
        tables, folders: its tables and picture folders by kind, see `tables`.
        dataset: what training makes of it.
        problems: every fault, also of rows that training leaves out for another reason; by file and row.
        photographs: of the detection table's usable rows.
        validation: of the validation table's usable rows; none if there is no such table.
        crops: of the recognition table's usable rows, excluded ones too.
        matches: which of `crops` are cut out of which of `photographs`.
        twins: pairs of numbers of `photographs`.
        swapped, compared: see `matching.count_swapped`.
        test: the folder of other photographs in which the crops were looked for, or None.
        leaks: the crops found in each readable photograph of `test`, by its name.
    """

    folder: Path
    tables: dict[str, Table]
    folders: dict[str, Path]
    dataset: Dataset
    problems: list[Problem]
    photographs: Pictures[PhotographPrint]
    validation: Pictures[PhotographPrint]
    crops: Pictures[CropPrint]
    matches: list[Match]
    twins: list[tuple[int, int]]
    swapped: int
    compared: int
    test: Path | None = None
    leaks: dict[str, list[Match]] = field(default_factory=dict)

    @property
    def colours_swapped(self) -> bool:
        """Whether most crops that can be compared fit their photograph better with red and blue swapped."""
        return 2 * self.swapped > self.compared

    @property
    def used_crops(self) -> set[str]:
        """img_ids of the crops that are trained on or held out."""
        return {crop.img_id for crop in self.dataset.crops + self.dataset.validation_crops}

    def counts(self) -> list[tuple[str, ...]]:
        """A table with a header: how many photographs and crops there are, and what becomes of them."""
        data = self.dataset
        kinds = (
            ("photographs", "detection", self.photographs, data.photographs, data.validation_photographs),
            ("crops", "recognition", self.crops, data.crops, data.validation_crops),
        )
        lines = [("", "rows", "usable", "trained on", "with text", "held out", "with text", "left out")]
        for name, kind, usable, trained, held in kinds:
            used, ids = {one.img_id for one in trained + held}, {row.img_id for row in usable.rows}
            # A held-out photograph counts even if its row of set 1 is faulty: that of the validation table serves.
            counts = [len(self.tables[kind].records), len(ids | used)]
            for side in (trained, held):
                counts += [len(side), sum(one.text is not None for one in side)]
            counts.append(len(ids - used))
            lines.append((f"{name} ({self.tables[kind].path.name})", *map(str, counts)))
        return lines

    def problems_by_kind(self) -> dict[str, list[Problem]]:
        """The problems of each kind, the most frequent kind first."""
        kinds: dict[str, list[Problem]] = defaultdict(list)
        for problem in self.problems:
            kinds[problem.kind].append(problem)
        return dict(sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0])))

    def findings(self) -> list[Finding]:
        """What is no fault of a row, but good to know."""
        return [
            self._lying(),
            self._near_twins(),
            self._cut_out(),
            self._colours(),
            self._held_out_texts(),
            *self._test_photographs(),
        ]

    def charts(self) -> list[Chart]:
        """Texts of the usable crops, and boxes of the usable photographs, in bars."""
        texts = [row.text for row in self.crops.rows]
        lengths, characters = Counter(map(len, texts)), Counter("".join(texts))
        shapes = np.array([one.shape for one in self.photographs.prints])
        every_length = range(min(lengths), max(lengths) + 1)
        return [
            Chart(
                f"Characters of a text ({len(set(texts))} different texts on {_many(len(texts), 'crop')})",
                [(str(length), lengths[length]) for length in every_length],
            ),
            Chart("Uses of a character", sorted(characters.items())),
            Chart("Plate width, px (longer side of the box)", _bars(shapes.max(1), WIDTHS)),
            Chart("Box, width / height", _bars(shapes[:, 1] / shapes[:, 0], ASPECTS)),
        ]

    def summary(self) -> str:
        """The whole check as text; of each kind of problem only the first few rows."""
        counts = self.counts()
        wide = [max(map(len, column)) for column in zip(*counts, strict=True)]
        lines = ["  ".join([line[0].ljust(wide[0]), *map(str.rjust, line[1:], wide[1:])]).rstrip() for line in counts]
        lines += [LEFT_OUT, "", f"{_many(len(self.problems), 'problem')} that training names, skips or mends"]
        for kind, problems in self.problems_by_kind().items():
            lines.append(f"  {len(problems)} x {kind}")
            lines += [f"    {problem}" for problem in problems[:ROWS_PRINTED]]
            if len(problems) > ROWS_PRINTED:
                lines.append(f"    and {len(problems) - ROWS_PRINTED} more: the page has them")
        for finding in self.findings():
            lines += ["", f"{finding.title}: {finding.said}", f"  Training: {finding.training}"]
        lines += [""] + [
            f"{chart.title}: {', '.join(f'{label}: {count}' for label, count in chart.bars)}" for chart in self.charts()
        ]
        return "\n".join(lines)

    def _lying(self) -> Finding:
        """Plates on their side."""
        lying = [number for number, one in enumerate(self.photographs.prints) if one.shape[0] > one.shape[1]]
        ids = {self.photographs.rows[number].img_id for number in lying}
        used = self.dataset.photographs + self.dataset.validation_photographs
        known = sum(one.img_id in ids and one.turns is not None for one in used)
        lying_crops = sum(crop.shape[0] > crop.shape[1] for crop in self.crops.prints)
        lost = sum(crop.turns is None for crop in self.dataset.crops + self.dataset.validation_crops)
        return Finding(
            "Plates on their side",
            f"{_many(len(lying), 'photograph')} with a box that is higher than wide, and {_many(lying_crops, 'crop')}.",
            f"a crop that stands upright tells which way up {known} of these photographs are; the other "
            f"{len(lying) - known} teach where the plate is, not what it says. Not used: {_many(lost, 'crop')} that "
            "may lie on their side, too, and match no upright photograph.",
            bool(lying or lost),
            ("photograph", "box, width x height px"),
            [(self.photographs.rows[number].img_id, _size(self.photographs.prints[number].shape)) for number in lying],
            examples=[(self._photograph(number),) for number in _some(lying)],
        )

    def _near_twins(self) -> Finding:
        photographs = {number for pair in self.twins for number in pair}
        held = {one.img_id for one in self.dataset.validation_photographs}
        names = [tuple(self.photographs.rows[number].img_id for number in pair) for pair in self.twins]
        apart = sum((first in held) != (second in held) for first, second in names)
        if "validation" in self.tables:
            training = (
                f"of {_many(apart, 'pair')} one twin is held out; the other one teaches where the plate is, not what "
                "it says, and no crop cut out of either is trained on."
            )
        else:
            training = "both twins are held out, or both are trained on."
        return Finding(
            "Near twins",
            f"{_many(len(self.twins), 'pair')} among {_many(len(photographs), 'photograph')} "
            "that show the same car in the same moment, or are copies.",
            training,
            bool(apart),
            ("photograph", "near twin"),
            names,
            examples=[tuple(map(self._photograph, pair)) for pair in _some(self.twins)],
        )

    def _cut_out(self) -> Finding:
        """Crops that are cut out of photographs."""
        turned = [match for match in self.matches if match.turns]
        texts = sum(one.text is not None for one in self.dataset.photographs)
        return Finding(
            "Crops cut out of photographs",
            f"{len({match.crop for match in self.matches})} of {_many(len(self.crops), 'crop')} are cut out of "
            f"{_many(len({match.photograph for match in self.matches}), 'photograph')}; "
            f"turned after that: {len({match.crop for match in turned})}.",
            f"a crop lends its photograph the text, so there is one for {texts} of the photographs to train on.",
            False,
            ("crop", "text", "photograph", "quarter turns", "correlation"),
            [
                (
                    self.crops.rows[match.crop].img_id,
                    self.crops.rows[match.crop].text,
                    self.photographs.rows[match.photograph].img_id,
                    str(match.turns),
                    f"{match.correlation:.3f}",
                )
                for match in self.matches
            ],
            examples=[
                (self._photograph(match.photograph), self._crop(match.crop))
                for match in _some(turned, EXAMPLES // 2) + _some(self.matches, EXAMPLES // 2)
            ],
        )

    def _colours(self) -> Finding:
        if not self.compared:
            return Finding("Red and blue", "no crop can be compared with its photograph.", "colours are varied anyway.")
        fit = (
            f"{self.swapped} of {self.compared} comparable crops fit their photograph better with red and blue swapped"
        )
        wrong = [
            match
            for match in self.matches
            if self.colours_swapped and count_swapped(self.crops.prints, self.photographs.prints, [match]) == (1, 1)
        ]
        # Grey plates show nothing of it.
        wrong.sort(key=lambda match: -np.ptp(self.crops.prints[match.crop].colours[..., ::2], axis=-1).mean())
        return Finding(
            "Red and blue",
            f"{fit}: they are exchanged in the crops, or in the photographs."
            if self.colours_swapped
            else f"{fit}: the two sets agree.",
            "the channels of three pictures in ten are shuffled, so that neither order matters."
            + (" --fix exchanges them in the crops." if self.colours_swapped else ""),
            self.colours_swapped,
            examples=[
                (
                    self._crop(match.crop),
                    View("red and blue swapped", self.crops.paths[match.crop], swapped=True),
                    self._photograph(match.photograph, cut=True),
                )
                for match in wrong[: EXAMPLES // 2]
            ],
        )

    def _held_out_texts(self) -> Finding:
        """Texts on both sides of the split."""
        title = "Texts to hold out"
        if "validation" not in self.tables:
            data = self.dataset
            return Finding(
                title,
                "there is no validation table.",
                f"draws {_many(len(data.validation_photographs), 'photograph')} and "
                f"{_many(len(data.validation_crops), 'crop')} (with --seed 0), such that no text and no near twin is "
                "on both sides.",
            )
        table = self.tables["validation"]
        keys = {same_plate_key(values["text"]) for _, values in table.records}
        crops = [row for row in self.crops.rows if same_plate_key(row.text) in keys]
        return Finding(
            title,
            f"{_many(len({same_plate_key(row.text) for row in crops}), 'text')} of {table.path.name} also in "
            f"{self.tables['recognition'].path.name}, on {_many(len(crops), 'crop')}.",
            f"holds these crops out, too ({len(self.dataset.validation_crops)} that it does not leave out anyway): no "
            "plate is both trained on and scored on.",
            False,
            ("crop", "text"),
            [(row.img_id, row.text) for row in crops],
        )

    def _test_photographs(self) -> list[Finding]:
        """Crops that are cut out of photographs of the test folder; how to look for them if nobody has."""
        title = "Crops cut out of test photographs"
        if self.test is None:
            test = self.folder / "test"
            command = f"python -m lpr_e2e check {self.folder} --test {test}"
            said = f"not looked for, as that takes about a second per photograph. To look for them: {command}"
            return [Finding(title, said, f"never reads {test}.")] if test.is_dir() else []
        photographs = {name: matches for name, matches in self.leaks.items() if matches}
        leaked = sorted({match.crop for matches in photographs.values() for match in matches})
        ids = [self.crops.rows[number].img_id for number in leaked]
        used = sum(img_id in self.used_crops for img_id in ids)
        return [
            Finding(
                title,
                f"{_many(len(ids), 'crop')} found in {len(photographs)} of "
                f"{_many(len(self.leaks), 'readable photograph')} of {self.test}.",
                f"uses {used} of these crops, so it may read plates of the test photographs beforehand, which flatters "
                "the score on them: save the list on the page as a CSV, and train with --exclude."
                if used
                else "uses none of them.",
                bool(used),
                ("crop", "text", "test photograph"),
                [
                    (self.crops.rows[match.crop].img_id, self.crops.rows[match.crop].text, name)
                    for name, matches in photographs.items()
                    for match in matches
                ],
                "\n".join(["img_id", *ids]) if ids else "",
                [
                    (View(name, self.test / name), self._crop(matches[0].crop))
                    for name, matches in _some(list(photographs.items()))
                ],
            )
        ]

    def _photograph(self, number: int, cut: bool = False) -> View:
        row = self.photographs.rows[number]
        return View(f"photograph {row.img_id}", self.photographs.paths[number], row.box_px, cut)

    def _crop(self, number: int) -> View:
        row = self.crops.rows[number]
        return View(f"{row.img_id}: {row.text}", self.crops.paths[number])


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
    problems: list[Problem] = []
    rows = {kind: usable_rows(table, kind, problems) for kind, table in tables.items()}
    photographs = print_photographs(rows["detection"], folders["detection"], problems)
    validation = print_photographs(rows.get("validation", []), folders["detection"], problems)
    crops = print_crops(rows["recognition"], folders["recognition"], problems)
    matches = match_crops(crops.prints, photographs.prints)
    leaks = {}
    for name, path in tqdm(test_photographs, desc=str(test), unit="photograph", disable=not test_photographs):
        try:
            leaks[name] = find_anywhere(crops.prints, read_picture(path))
        except PictureError:
            continue
    return Check(
        folder,
        tables,
        folders,
        dataset,
        sorted({*dataset.problems, *problems}, key=lambda one: (one.file, one.row or 0, one.kind, one.message)),
        photographs,
        validation,
        crops,
        matches,
        near_twins(np.stack([one.whole for one in photographs.prints])),
        *count_swapped(crops.prints, photographs.prints, matches),
        Path(test) if test is not None else None,
        leaks,
    )


def write_page(check: Check, path: str | PathLike) -> None:
    """Write the check as one HTML file, with small pictures inside.

    Raises:
        OSError: the file cannot be written.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = templates.get_template("check.html").render(
        check=check, style=STYLE, left_out=LEFT_OUT, most=ROWS_SHOWN, picture=_on_page
    )
    # A file name may hold bytes that are no text.
    Path(path).write_text(page, encoding="utf-8", errors="backslashreplace")


def write_fixed(check: Check, folder: str | PathLike) -> str:
    """Write a cleaned copy of the data set, with the same names of CSV files and folders.

    It holds the photographs and crops that training uses or holds out, with clipped boxes, and nothing that
    contradicts itself: `load_dataset` has no problem with it. Pictures are copied as they are, except that red and
    blue of the crops are exchanged if `check.colours_swapped`. Test photographs are not copied.

    Returns:
        A sentence about what was written.

    Raises:
        ValueError: the folder is not empty, or inside the data folder.
        OSError: something cannot be written.
    """
    folder = Path(folder)
    _refuse_unsafe(folder, check.folder)
    data = check.dataset
    photograph_ids = {one.img_id for one in data.photographs + data.validation_photographs}
    kept = {
        "detection": (check.photographs, photograph_ids),
        "recognition": (check.crops, check.used_crops - _unclear_crops(check)),
        "validation": (check.validation, photograph_ids),
    }
    counts = {}
    for kind, table in check.tables.items():
        pictures, ids = kept[kind]
        clean = _clean_table(table, kind, [row for row in pictures.rows if row.img_id in ids])
        counts[kind] = len(clean.records)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / table.path.name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.columns)
            writer.writerows([values[name] for name in table.columns] for _, values in clean.records)
        numbers = {number for number, _ in clean.records}
        picture_folder = folder / check.folders["recognition" if kind == "recognition" else "detection"].name
        for row, path in zip(pictures.rows, pictures.paths, strict=True):
            if row.number in numbers:
                _copy(path, picture_folder / row.img_id, kind == "recognition" and check.colours_swapped)
    return (
        f"{folder}: a cleaned copy of {_many(counts['detection'], 'photograph')} and "
        f"{_many(counts['recognition'], 'crop')}, {counts.get('validation', 0)} of the photographs for validation."
        + (
            f" Red and blue of the crops were exchanged, which wrote them anew (JPEG, quality {JPEG_QUALITY})."
            if check.colours_swapped
            else ""
        )
    )


def _refuse_unsafe(target: Path, data: Path) -> None:
    """Raise ValueError if a copy of `data` must not be written to `target`."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: expected a new or empty folder for the cleaned copy")
    if target.resolve().is_relative_to(data.resolve()):
        raise UserError(f"{target}: is inside {data}; expected a folder outside of it for the cleaned copy")


def _unclear_crops(check: Check) -> set[str]:
    """img_ids of the crops whose text contradicts that of another crop of the same photograph: any may be wrong."""
    numbers = {problem.row for problem in check.problems if problem.kind == "contradictory texts"}
    unclear = {crop for crop, row in enumerate(check.crops.rows) if row.number in numbers}
    families: dict[int, set[int]] = defaultdict(set)
    for match in check.matches:
        families[match.photograph].add(match.crop)
    for family in list(families.values()):
        texts = {same_plate_key(check.crops.rows[crop].text) for crop in family}
        if len(texts) > 1 and not family.isdisjoint(unclear):
            unclear = unclear | family
    return {check.crops.rows[crop].img_id for crop in unclear}


def _clean_table(table: Table, kind: str, rows: Iterable[Row]) -> Table:
    """The table with these rows only, and with their boxes; less rows that have become faulty without the others."""
    by_number = {row.number: row for row in rows}
    records = []
    for number, values in table.records:
        if number not in by_number:
            continue
        box_px = by_number[number].box_px
        if box_px is not None and box_px != tuple(float(values[name]) for name in BOX_COLUMNS):
            values = values | {name: f"{value:.12g}" for name, value in zip(BOX_COLUMNS, box_px, strict=True)}
        records.append((number, values))
    # Without the others a character may have become rare, and without that row another one.
    while True:
        problems: list[Problem] = []
        clean = Table(table.path, table.columns, records)
        numbers = {row.number for row in usable_rows(clean, kind, problems)}
        if not problems:
            return clean
        records = [record for record in records if record[0] in numbers]


def _copy(source: Path, target: Path, swap: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not swap:
        shutil.copyfile(source, target)
        return
    picture = Image.fromarray(np.ascontiguousarray(read_picture(source)[..., ::-1]))
    if target.suffix.lower() == ".png":
        picture.save(target, "PNG")
    else:
        picture.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)


def _on_page(view: View) -> dict:
    """What the page needs of a view: the JPEG as base64, the shape of what it shows, and the box to draw, if any."""
    picture = read_picture(view.path)
    box = view.box_px
    if view.cut:
        (top, left), (bottom, right) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
        picture, box = picture[top:bottom, left:right], None
    height, width = picture.shape[:2]
    jpeg = page_jpeg(thumbnail(picture[..., ::-1] if view.swapped else picture))
    return {"jpeg": jpeg, "height": height, "width": width, "box": box}


def _bars(values: np.ndarray, ends: Sequence[float]) -> list[tuple[str, int]]:
    """How many values there are from each lower end to the next, without empty bars at either end."""
    counts = np.histogram(values, [*ends, np.inf])[0].tolist()
    labels = [f"{low:g}\u2013{high:g}" for low, high in zip(ends, ends[1:], strict=False)] + [f"{ends[-1]:g}+"]
    filled = np.flatnonzero(counts)
    return list(zip(labels, counts, strict=True))[filled[0] : filled[-1] + 1]


def _some(items: Sequence, count: int = EXAMPLES) -> list:
    """At most `count` of the items, from all over the list."""
    return list(items[:: -(-len(items) // count) or 1])


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]} x {shape[0]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m lpr_e2e check`.

    Returns:
        The exit code: 0 no problems, 1 problems, 2 data that cannot be used, or a wrong call.
    """
    parser = argparse.ArgumentParser(prog="python -m lpr_e2e check", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, metavar="DIR", help="data folder with the CSV files and pictures")
    parser.add_argument("--exclude", type=Path, metavar="CSV", help="img_ids of crops to leave out, as for training")
    parser.add_argument("--test", type=Path, metavar="FOLDER", help="photographs in which to look for the crops")
    parser.add_argument("--output", type=Path, metavar="HTML", default=DEFAULT_PAGE, help=f"default {DEFAULT_PAGE}")
    parser.add_argument("--fix", type=Path, metavar="DIR2", help="new folder for a cleaned copy of the data")
    options = parser.parse_args(arguments)
    try:
        # Measuring takes a while: what cannot be done is said before.
        if options.fix is not None:
            _refuse_unsafe(options.fix, options.data)
        if not options.output.parent.is_dir():
            raise FileNotFoundError(f"{options.output}: there is no folder {options.output.parent}")
        check = check_data(options.data, options.exclude, options.test)
        say(check.summary())
        say("")
        if options.fix is not None:
            say(write_fixed(check, options.fix))
        write_page(check, options.output)
        say(f"page: {options.output}")
    except (ValueError, OSError) as error:
        say(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main())
