"""From labels as they are written to what they mean: files, pixels of the photographs, and texts in one form.

    Labels --`places`--> files --`box_forms`--> pixels --`texts`--> one form --> plates by photograph

What is decided for a whole label file (the folder of its pictures, the form of its boxes) or for all of them (the
spelling of the texts) is a note; what concerns a row is a problem.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lpr_e2e.common.boxes import intersection_over_union
from lpr_e2e.common.images import PictureError, PictureSize, read_size
from lpr_e2e.data.answered import let_answers_win
from lpr_e2e.data.box_forms import Frames, decide, to_photograph
from lpr_e2e.data.fingerprints import clip_box
from lpr_e2e.data.labels import (
    BOX_SCALES,
    NOTHING_SAID,
    Labelled,
    LabelledCrop,
    LabelledPhotograph,
    LabelOptions,
    Labels,
    PlateLabel,
)
from lpr_e2e.data.places import Place, find_places
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import Row
from lpr_e2e.data.texts import LOST, normalise_texts

# Two boxes that overlap so far (IoU) are around one plate: no plate hides half of another one that can be read.
SAME_PLATE = 0.5
# A picture that was made smaller keeps its shape, but for the rounding of its sides.
_SAME_SHAPE = 0.02
# In so many of a file's pictures another size is that of a smaller copy, and not a mistake.
_MOST = 0.9


def resolve(labels: Sequence[Labels], options: LabelOptions = NOTHING_SAID) -> Labelled:
    """Find the pictures that labels name, and bring their boxes to pixels and their texts to one form.

    Args:
        labels: as `lpr_e2e.data.forms.read_labels` reads them.
        options: what people say about them; here `boxes` and `exif`.

    Returns:
        Every photograph and crop once; a photograph that is both held out and trained on is held out. Nothing is
        decoded: a picture may turn out to be damaged.

    Raises:
        DatasetError: the pictures of a label file are in no folder.
        UserError: it is not clear how boxes are to be read.
    """
    places = let_answers_win(find_places(labels))
    resolver = _Resolver(options)
    for place in places:
        resolver.problems += place.labels.problems
        resolver.notes += place.labels.notes
    for place in places:
        resolver.problems += place.problems
        resolver.notes += place.notes
        resolver.add(place)
    # A table of validation that has no row yet holds nothing out: then it is drawn, as without one.
    sources = [place.labels for place in places]
    labelled = resolver.labelled(any(one.held_out and (one.plates or one.given_up) for one in sources))
    labelled.sources = sources
    return labelled


@dataclass
class _Entry:
    """A row with its picture; with a box in pixels if it is that of a plate on a photograph."""

    row: Row
    path: Path
    place: Place


@dataclass
class _Shown:
    """What the labels say of one photograph; `faulty`: the label of one of its plates cannot be used."""

    plates: list[_Entry] = field(default_factory=list)
    empty: list[_Entry] = field(default_factory=list)
    faulty: bool = False
    held: bool = False


class _Resolver:
    """Gathers the rows of all label files."""

    def __init__(self, options: LabelOptions):
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._options = options
        self._sizes: dict[Path, PictureSize] = {}
        self._unusable: dict[Path, Problem] = {}
        self._photographs: dict[Path, _Shown] = {}
        self._names: dict[Path, str] = {}
        self._crops: list[_Entry] = []
        self._texts: list[tuple[Row, Path]] = []  # Of photographs, in a table of their own.

    def add(self, place: Place) -> None:
        """Add the rows of a label file that have a picture."""
        found = [plate for plate in place.labels.plates if plate.row.img_id in place.paths]
        self._hold_out_given_up(place)
        if place.tells_photographs:
            self._texts += [(plate.row, place.paths[plate.row.img_id]) for plate in found]
            return
        if place.labels.holds_crops:
            for plate in found:
                path = place.paths[plate.row.img_id]
                row = replace(plate.row, img_id=path.relative_to(place.folder).as_posix())
                self._crops.append(_Entry(row, path, place))
            return
        boxed = []
        for plate in found:
            path = place.paths[plate.row.img_id]
            problem = self._unusable_picture(path, plate.row, place)
            shown = self._photographs.setdefault(path, _Shown())
            self._names.setdefault(path, path.relative_to(place.folder).as_posix())
            shown.held |= place.labels.held_out
            shown.faulty |= plate.row.img_id in place.labels.incomplete
            if problem is not None:
                self.problems.append(replace(problem, file=plate.row.csv, row=plate.row.number))
                shown.faulty = True
            elif plate.box is not None:
                boxed.append(plate)
            elif plate.row.text is not None:
                message = "expected a box for the text; skipped, fill it in or remove the text"
                self.problems.append(plate.row.problem(plate.row.text, "text without a box", message))
                shown.faulty = True
            else:
                shown.empty.append(_Entry(plate.row, path, place))
        if boxed:
            self._add_boxes(place, boxed)

    def _hold_out_given_up(self, place: Place) -> None:
        """A photograph that is to be held out is not trained on, though its row cannot be used."""
        for name in place.labels.incomplete if place.labels.held_out else ():
            if name in place.paths:
                shown = self._photographs.setdefault(place.paths[name], _Shown())
                self._names.setdefault(place.paths[name], place.paths[name].relative_to(place.folder).as_posix())
                shown.held = shown.faulty = True

    def labelled(self, has_validation: bool) -> Labelled:
        """All photographs and crops."""
        self._give_texts()
        self._normalise()
        labelled = Labelled(has_validation=has_validation)
        names = _apart(self._names)
        for path, shown in self._photographs.items():
            self._let_held_out_win(shown)
            kept = self._one_a_plate(shown.plates)
            self._name_contradictions(shown)
            if kept or shown.empty:
                rows = tuple(replace(entry.row, img_id=names[path]) for entry in kept)
                complete = not shown.faulty
                labelled.photographs.append(LabelledPhotograph(names[path], path, rows, shown.held, complete))
        labelled.crops = self._one_a_crop()
        labelled.problems = sorted(self.problems, key=lambda one: (one.file, one.row or 0))
        labelled.notes = self.notes
        return labelled

    def _unusable_picture(self, path: Path, row: Row, place: Place) -> Problem | None:
        """Why a picture cannot be used; None if its size is known now."""
        if path not in self._sizes and path not in self._unusable:
            try:
                self._sizes[path] = read_size(path)
            except PictureError as error:
                kind = {"missing file": "missing picture", "empty file (0 bytes)": "empty picture"}.get(str(error))
                name = f"{place.folder.name}/{path.relative_to(place.folder).as_posix()}"
                message = f"{name}: {error}; skipped, replace the picture or remove the row"
                self._unusable[path] = row.problem(row.img_id, kind or "unusable picture", message)
        return self._unusable.get(path)

    def _add_boxes(self, place: Place, plates: Sequence[PlateLabel]) -> None:
        """Read the boxes of a label file, all in one form, and clip them to their photographs."""
        labels = place.labels
        sizes = [self._sizes[place.paths[plate.row.img_id]] for plate in plates]
        said = _SaidSizes([labels.sizes.get(plate.row.img_id) for plate in plates], sizes)
        frames = Frames.of(sizes, said.factors)
        boxes = np.array([plate.box for plate in plates], "float64")
        is_told = self._options.boxes is not None and labels.path.suffix.lower() in (".csv", ".tsv")
        decision = decide(
            labels.path.name,
            boxes,
            frames,
            named=labels.box_form,
            candidates=labels.box_candidates,
            told=labels.box_form if is_told else None,
            exif=self._options.exif,
            said_stored=said.stored if said.stored.any() else None,
        )
        self.notes += decision.notes
        form = decision.reading.form
        is_in_pixels = not any(scale and form.startswith(scale) for scale in BOX_SCALES)
        if is_in_pixels and said.is_scaled:
            self.notes.append(
                f"{labels.path.name}: its photographs have another size than they were labelled in; its boxes are "
                "scaled with them."
            )
        corners = to_photograph(boxes, decision.reading, frames)
        for number, (plate, box_px) in enumerate(zip(plates, corners.tolist(), strict=True)):
            path = place.paths[plate.row.img_id]
            row = replace(plate.row, box_px=tuple(box_px))
            wrong = said.wrong[number] if is_in_pixels else ""
            entry = self._clipped(row, path, plate, form, wrong)
            if entry is None:
                self._photographs[path].faulty = True
            else:
                self._photographs[path].plates.append(_Entry(entry, path, place))

    def _clipped(self, row: Row, path: Path, plate: PlateLabel, form: str, wrong: str) -> Row | None:
        """A row with its box inside its photograph; None, with a problem, if it cannot be."""
        written = ",".join(f"{value:g}" for value in plate.box)
        if wrong:
            self.problems.append(row.problem(written, "picture of another size", wrong))
            return None
        ymin, xmin, ymax, xmax = row.box_px
        if ymin >= ymax or xmin >= xmax:
            message = f"expected a box of the form {form}; skipped, correct it, or say the form with --boxes"
            self.problems.append(row.problem(written, "inside-out box", message))
            return None
        size = self._sizes[path]
        clipped, problem = clip_box(row, size.height, size.width)
        if problem is not None:  # A plate that the photograph cuts off may well be labelled beyond its edge.
            self.problems.append(replace(problem, harmless=clipped is not None))
        return clipped

    def _give_texts(self) -> None:
        """Give the plate of a photograph the text that a table of its own has for it, where it has one plate alone."""
        for row, path in self._texts:
            plates = self._photographs[path].plates if path in self._photographs else []
            if len(plates) == 1 and plates[0].row.text in (None, row.text):
                plates[0].row = replace(plates[0].row, text=row.text)
                continue
            what = f"{len(plates)} plates" if len(plates) != 1 else f"a plate with the text {plates[0].row.text!r}"
            message = f"the photograph {row.img_id} has {what}; not used, write the text beside the box of its plate"
            self.problems.append(row.problem(row.text or "", "text of a photograph", message))

    def _normalise(self) -> None:
        """Bring all texts to one form."""
        plates = [entry for shown in self._photographs.values() for entry in shown.plates]
        entries = [*plates, *self._crops]
        texts = normalise_texts([entry.row for entry in entries])
        crops = {(entry.row.csv, entry.row.number) for entry in self._crops}
        for problem in texts.problems:
            is_lost = problem.harmless and (problem.file, problem.row) in crops and problem.kind in LOST
            self.problems.append(replace(problem, harmless=False) if is_lost else problem)
        self.notes += texts.notes
        for entry, row in zip(entries, texts.rows, strict=True):
            entry.row = row

    def _let_held_out_win(self, shown: _Shown) -> None:
        """Of a photograph that one label file holds out and another one does not, keep what the first says."""
        trained = [entry for entry in shown.plates + shown.empty if not entry.place.labels.held_out]
        if not shown.held or not trained:
            return
        shown.plates = [entry for entry in shown.plates if entry.place.labels.held_out]
        shown.empty = [entry for entry in shown.empty if entry.place.labels.held_out]
        for entry in trained:
            if entry.row.text is not None:
                message = "the photograph is held out by another label file; skipped, name it in one of them only"
                self.problems.append(entry.row.change(entry.row.text, "held out too", message))

    def _one_a_plate(self, entries: Sequence[_Entry]) -> list[_Entry]:
        """One entry for each plate; without a text, if several are written for it."""
        plates: list[list[_Entry]] = []
        for entry in entries:
            same = next((plate for plate in plates if _overlap(plate[0].row, entry.row) > SAME_PLATE), None)
            if same is None:
                plates.append([entry])
            else:
                same.append(entry)
        for first, *others in plates:
            texts = {entry.row.text for entry in (first, *others)} - {None}
            if len(texts) > 1:
                self._name_contradictory([entry for entry in (first, *others) if entry.row.text is not None])
                texts = {None}
            else:
                for entry in others:
                    message = f"the box of row {first.row.number} of {first.row.csv}; one is used, remove the other"
                    self.problems.append(entry.row.problem(_shown_box(entry.row), "duplicate row", message))
            first.row = replace(first.row, text=next(iter(texts), None))
        return [plate[0] for plate in plates]

    def _name_contradictory(self, entries: Sequence[_Entry]) -> None:
        """Name each of some rows of one plate, with one that says something else."""
        for row in (entry.row for entry in entries):
            other = next(entry.row for entry in entries if entry.row.text != row.text)
            message = f"row {other.number} of {other.csv} says {other.text!r} for the same plate; neither is used, "
            self.problems.append(row.problem(row.text, "contradictory texts", message + "correct one"))

    def _name_contradictions(self, shown: _Shown) -> None:
        """Name the rows that say that nothing is on a photograph, but for one that is right."""
        for number, entry in enumerate(shown.empty):
            if shown.plates:
                message = f"says that no plate is on it, and row {shown.plates[0].row.number} that one is; that is used"
                self.problems.append(entry.row.problem(entry.row.img_id, "plate and no plate", message))
            elif number:
                message = f"same as row {shown.empty[0].row.number}; skipped, remove it"
                self.problems.append(entry.row.problem(entry.row.img_id, "duplicate row", message))

    def _one_a_crop(self) -> list[LabelledCrop]:
        """One crop for each picture; none, if several texts are written for it."""
        by_path: dict[Path, list[_Entry]] = defaultdict(list)
        for entry in self._crops:
            if entry.row.text is not None:
                by_path[entry.path].append(entry)
        self._name_empty_texts()
        crops = []
        names = _apart({path: entries[0].row.img_id for path, entries in by_path.items()})
        for path, (first, *others) in by_path.items():
            if any(entry.row.text != first.row.text for entry in others):
                self._name_contradictory([first, *others])
                continue
            for entry in others:
                message = f"same as row {first.row.number}; skipped, remove it"
                self.problems.append(entry.row.problem(first.row.img_id, "duplicate row", message))
            held = any(entry.place.labels.held_out for entry in (first, *others))
            crops.append(LabelledCrop(replace(first.row, img_id=names[path]), path, held))
        return crops

    def _name_empty_texts(self) -> None:
        """Name the crops that have never had a text."""
        named = {(problem.file, problem.row) for problem in self.problems if not problem.harmless}
        for row in (entry.row for entry in self._crops if entry.row.text is None):
            if (row.csv, row.number) not in named:
                message = f"expected the text of {row.img_id}; skipped, fill it in or remove the row"
                self.problems.append(row.problem("", "empty text", message))


class _SaidSizes:
    """What a label file says of the sizes of its photographs, against what they are.

    Attributes:
        stored: bool `(n,)`: the size is that of the picture as it is stored, which is not as it is seen.
        factors: `(n,)` by how much the picture is larger than it was labelled.
        wrong: for each box what is wrong with the size of its picture; "" if nothing.
        is_scaled: whether nearly all pictures have another size than was said.
    """

    def __init__(self, said: Sequence[tuple[int, int] | None], sizes: Sequence[PictureSize]):
        self.stored = np.zeros(len(sizes), bool)
        self.factors = np.ones(len(sizes))
        self.wrong = [""] * len(sizes)
        other: dict[int, float | None] = {}
        for number, (one, size) in enumerate(zip(said, sizes, strict=True)):
            if one is None or one == (size.height, size.width):
                continue
            if one == size.stored:
                self.stored[number] = True
                continue
            other[number] = _factor(one, size)
        known = sum(one is not None for one in said)
        alike = sum(factor is not None for factor in other.values())
        self.is_scaled = known > 0 and alike >= _MOST * known
        for number, factor in other.items():
            if self.is_scaled and factor is not None:
                self.factors[number] = factor
            else:
                (height, width), size = said[number], sizes[number]
                self.wrong[number] = (
                    f"labelled as {width} x {height} px, the picture has {size.width} x {size.height}; skipped, label "
                    "it anew"
                )


def _factor(said: tuple[int, int], size: PictureSize) -> float | None:
    """By how much a picture is larger than was said; None if it has another shape."""
    by_height, by_width = size.height / said[0], size.width / said[1]
    if abs(by_height / by_width - 1) > _SAME_SHAPE:
        return None
    return (by_height + by_width) / 2


def _overlap(first: Row, second: Row) -> float:
    return float(intersection_over_union(first.box_px, second.box_px))


def _shown_box(row: Row) -> str:
    return ",".join(f"{value:g}" for value in row.box_px)


def _apart(names: Mapping[Path, str]) -> dict[Path, str]:
    """The names of files below their folders; below the folder of all of them, if some would be the same."""
    if len(set(names.values())) == len(names):
        return dict(names)
    common = os.path.commonpath([path.parent for path in names])
    return {path: path.relative_to(common).as_posix() for path in names}
