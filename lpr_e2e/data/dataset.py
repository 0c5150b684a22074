"""The data set: label files of any form become what is trained on and what is held out.

    label files --`forms`--> as written --`resolving`--> files, pixels, one form of text --`pictures`--> decoded once
        --`matching`--> what shows the same --`split`--> what is held out --> `samples.Dataset`

Plates of photographs without a text get it from a crop that was cut out of them. Nothing that shows a held-out plate is
trained on with its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.photographs import note_of_drawn
from lpr_e2e.common.terminal import many
from lpr_e2e.data.fingerprint_cache import FingerprintCache
from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.labels import NOTHING_SAID, Labelled, LabelOptions, Labels
from lpr_e2e.data.lending import contradicting_twins, texts_of_plates, upright_turns
from lpr_e2e.data.matching import Compared, compare
from lpr_e2e.data.pictures import Usable, usable
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.resolving import resolve
from lpr_e2e.data.samples import Crop, Dataset, Photograph, Plate
from lpr_e2e.data.split import Split, draw_split, same_plate_key, split_by_table
from lpr_e2e.data.tables import DatasetError, read_table

# Stands between the name of one of several data sets and that of a picture.
AFTER_NAME = "/"
# Share of the plates that is held out where the labels do not say what is.
VALIDATION_SHARE = 0.15
# Where so many photographs all have exactly one labelled plate, their labels are one plate a photograph by habit.
_PHOTOGRAPHS_TO_TELL = 20


@dataclass(frozen=True)
class DataSource:
    """Where a data set comes from, and how it is to be taken.

    Attributes:
        path: a folder, or a label file.
        options: what the labels do not say themselves.
        exclude: a CSV whose column `img_id` names crops to leave out, with everything that has one of their texts.
        seed: of a drawn split.
        cache: folder for what is remembered of the pictures; None: beside the data.
        further: where further data sets are, to be trained on together with this one; see `together.load_all`.
        names: of all of several sets, or of one of them; their list to exclude has `NAME/IMG_ID`. If not given, several
            are called as their folders or label files are, with a number where two have one name.

    Raises:
        UserError: one of several sets is named twice.
    """

    path: Path
    options: LabelOptions = NOTHING_SAID
    exclude: Path | None = None
    seed: int = 0
    cache: Path | None = None
    further: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.further and not self.names:
            object.__setattr__(self, "names", _names_of((self.path, *self.further)))

    @property
    def named(self) -> str:
        """Where the data are, for people."""
        return ", ".join(map(str, (self.path, *self.further)))

    def as_config(self) -> dict:
        """Plain values, for JSON; what nobody has said is left out, and paths are whole."""
        options = {one.name: getattr(self.options, one.name) for one in fields(LabelOptions)}
        data = (self.path, *self.further) if self.further else self.path
        values = {
            "data": data,
            "names": self.names,
            "exclude": self.exclude,
            "cache": self.cache,
            "labels": options,
        }
        return _plain(values)

    @classmethod
    def from_config(cls, values: Mapping, seed: int) -> DataSource:
        """The source of `as_config`."""
        labels = dict(values.get("labels", {}))
        paths = {name: Path(labels[name]) for name in ("no_plates", "validation") if labels.get(name)}
        pictures = tuple(map(Path, labels.pop("pictures", ())))
        columns = tuple(labels.pop("box_columns", ()))
        options = LabelOptions(**{**labels, **paths, "pictures": pictures, "box_columns": columns})
        exclude, cache = (Path(values[name]) if values.get(name) else None for name in ("exclude", "cache"))
        data = values["data"] if isinstance(values["data"], list) else [values["data"]]
        path, *further = map(Path, data)
        return cls(path, options, exclude, seed, cache, tuple(further), tuple(values.get("names", ())))

    def moved(self, paths: Sequence[Path]) -> DataSource:
        """The same data, which are elsewhere now; so is what was named within them.

        Raises:
            UserError: these are more data sets, or fewer.
        """
        before = (self.path, *self.further)
        if len(paths) != len(before):
            raise UserError(f"--data: {many(len(paths), 'folder')}; expected where each of {self.named} is now")

        # Beside a label file there is what belongs to it. Of a folder within another one, its own place counts.
        folders = [
            (old.parent, new.parent) if new.is_file() else (old, new) for old, new in zip(before, paths, strict=True)
        ]
        folders.sort(key=lambda pair: -len(pair[0].parts))

        def now(value: Path | None) -> Path | None:
            for old, new in folders:
                if value is not None and value.is_relative_to(old):
                    return new / value.relative_to(old)
            return value

        options = replace(
            self.options,
            pictures=tuple(now(one) or one for one in self.options.pictures),
            no_plates=now(self.options.no_plates),
            validation=now(self.options.validation),
        )
        path, *further = paths
        return DataSource(path, options, now(self.exclude), self.seed, now(self.cache), tuple(further), self.names)


def _names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    whole = [path.resolve() for path in paths]
    twice = [str(path) for path, count in Counter(whole).items() if count > 1]
    if twice:
        raise UserError(f"--data: {twice[0]} is named twice")
    names: list[str] = []
    for path in whole:
        name, number = path.stem if path.is_file() else path.name, 1
        while (name if number == 1 else f"{name}-{number}") in names:
            number += 1
        names.append(name if number == 1 else f"{name}-{number}")
    return tuple(names)


def _plain(value):
    """Paths as texts, tuples as lists, and nothing that is None or empty in dicts."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if one not in (None, (), {})}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value.resolve()) if isinstance(value, Path) else value


@dataclass(frozen=True)
class Loaded:
    """A data set, and all that it was made from, for who checks it.

    Attributes:
        labels: every label file, as written; what answers replace is left out.
        labelled: the same, found and brought to one form; what is excluded is left out.
        usable: its pictures.
        compared: which of them show the same.
        split: what is held out.
        dataset: what training makes of it.
    """

    labels: list[Labels]
    labelled: Labelled
    usable: Usable
    compared: Compared
    split: Split
    dataset: Dataset


def load_dataset(
    folder: str | PathLike,
    exclude: str | PathLike | None = None,
    seed: int = 0,
    validation_share: float = VALIDATION_SHARE,
) -> Dataset:
    """`load` of a folder whose labels say all themselves."""
    source = DataSource(Path(folder), exclude=None if exclude is None else Path(exclude), seed=seed)
    return load(source, validation_share).dataset


def load(source: DataSource, validation_share: float = VALIDATION_SHARE) -> Loaded:
    """Read a data set, check every row and picture, match crops to photographs, and hold out validation data.

    Where the labels say what is held out, it is that, with every crop of one of its texts, and every crop cut from one
    of its photographs or from a near twin of one. Else about `validation_share` of the plates is drawn with the seed,
    such that no plate text and no near twin is on both sides.

    Raises:
        DatasetError: the labels cannot be read, or nothing usable is left.
        UserError: something that people have to say.
    """
    if not 0 <= validation_share < 1:
        raise DatasetError(f"validation share {validation_share}: expected a number from 0 to below 1")
    labels = read_labels(source.path, source.options)
    labelled = resolve(labels, source.options)
    excluded: set[str] = set()
    if source.exclude is not None:
        labelled, excluded = _without_excluded(labelled, source.exclude, "".join(source.names))
    cache = FingerprintCache.beside(source.path, source.cache)
    found = usable(labelled, cache)
    problems, notes = [*labelled.problems, *found.problems], [*labelled.notes, *found.notes]
    _refuse_if_empty(source.path, found, problems)
    compared = compare(found.photographs, found.crops, cache)
    notes.append(_note_on_links(compared))
    if labelled.has_validation:
        split = split_by_table(compared, found.held_texts | _held_texts(labels))
    else:
        split = draw_split(compared, source.seed, validation_share)
    notes += split.notes
    _refuse_if_held_out_are_unusable(source.path, labelled.sources, split, problems)
    texts, contradictory = texts_of_plates(compared, split)
    complete, note = _completeness(labelled, source.options)
    dataset = _divided(compared, split, texts, complete)
    dataset.problems = [*problems, *_contradicting(compared, split), *contradictory]
    dataset.notes = [*notes, note]
    dataset.withheld |= excluded
    if note_of_drawn(source.path).exists():
        dataset.drawn_sets = frozenset([""])
    _refuse_if_nothing_to_train_on(source.path, dataset)
    return Loaded(labelled.sources, labelled, found, compared, split, dataset)


def _held_texts(labels: Sequence[Labels]) -> set[str]:
    """The texts that labels hold out, as written; also those of rows that cannot be used."""
    held = [one for one in labels if one.held_out]
    rows = [row for one in held for row in [*(plate.row for plate in one.plates), *one.given_up]]
    return {row.text for row in rows if row.text}


def listed_to_exclude(path: Path) -> list[tuple[int, str]]:
    """The line number and the img_id of each row of a list to exclude.

    Raises:
        DatasetError: it cannot be read, or has no such column.
    """
    listed = read_table(path)
    if "img_id" not in listed.columns:
        raise DatasetError(f"{path}: expected a column img_id, found {', '.join(listed.columns) or 'none'}")
    return [(number, values["img_id"]) for number, values in listed.records]


def _without_excluded(labelled: Labelled, path: Path, name: str) -> tuple[Labelled, set[str]]:
    """Leave out the crops that a list names, and every text of theirs; and these texts, as they are compared.

    Of several data sets, only rows are meant that begin with the name of this one.
    """
    before = f"{name}{AFTER_NAME}" if name else ""
    listed = listed_to_exclude(path)
    rows = [(number, img_id.removeprefix(before)) for number, img_id in listed if img_id.startswith(before)]
    if name and not rows:
        return labelled, set()
    problems, named = list(labelled.problems), {img_id for _, img_id in rows}
    known = {crop.row.img_id for crop in labelled.crops}
    for number, img_id in rows:
        if img_id not in known:
            message = "expected the img_id of a crop; nothing is left out for it, correct it"
            problems.append(Problem(path.name, number, img_id, "unknown img_id", message))
    keys = {same_plate_key(crop.row.text) for crop in labelled.crops if crop.row.img_id in named and crop.row.text}
    kept, by_text = [], 0
    for crop in labelled.crops:
        if crop.row.img_id in named:
            continue
        if same_plate_key(crop.row.text) not in keys:
            kept.append(crop)
            continue
        by_text += 1
        message = f"{crop.row.img_id} has the text of a crop that {path.name} leaves out; left out too, list it there"
        problems.append(crop.row.problem(crop.row.text, "excluded text", message))
    plates = 0
    photographs = []
    for one in labelled.photographs:
        rows = [replace(row, text=None) if row.text and same_plate_key(row.text) in keys else row for row in one.plates]
        plates += sum(row.text != before.text for row, before in zip(rows, one.plates, strict=True))
        photographs.append(replace(one, plates=tuple(rows)))
    note = (
        f"{path.name} leaves out {len(labelled.crops) - len(kept) - by_text} crops, and {by_text} more that have one "
        f"of their texts; {many(plates, 'plate')} of photographs with one of them stay without their text."
    )
    notes = [*labelled.notes, note]
    return replace(labelled, crops=kept, photographs=photographs, problems=problems, notes=notes), keys


def _refuse_if_empty(path: Path, found: Usable, problems: Sequence[Problem]) -> None:
    if not any(one.plates for one in found.photographs):
        raise DatasetError(
            f"{path}: {many(len(found.photographs), 'usable photograph')} with no usable plate, and "
            f"{many(len(found.crops), 'usable crop')}; expected photographs with the boxes of their plates; "
            f"{_first(problems) or 'the labels name none'}"
        )


def _refuse_if_held_out_are_unusable(
    path: Path, labels: Sequence[Labels], split: Split, problems: Sequence[Problem]
) -> None:
    named = any(one.held_out and not one.holds_crops and (one.plates or one.given_up) for one in labels)
    if named and not split.held_photographs:
        raise DatasetError(
            f"{path}: the labels hold photographs out, and none of them can be used: 0 photographs to validate on; "
            f"{_first(problems)}"
        )


def _refuse_if_nothing_to_train_on(path: Path, dataset: Dataset) -> None:
    plates = sum(len(one.plates) for one in dataset.photographs)
    if plates and dataset.training_texts():
        return
    raise DatasetError(
        f"{path}: {many(plates, 'plate')} on photographs and {many(len(dataset.training_texts()), 'text')} are left to "
        f"train on, {len(dataset.validation_photographs)} photographs to validate on; expected boxes, and texts of "
        "photographs or crops (a CSV with the columns img_id, text); "
        f"{_first(dataset.problems) or ' '.join(dataset.notes)}"
    )


def _first(problems: Sequence[Problem]) -> str:
    return f"first of {len(problems)} problems: {problems[0]}" if problems else ""


def _note_on_links(compared: Compared) -> str:
    return (
        f"{len({match.crop for match in compared.matches})} crops are cut out of "
        f"{len({match.photograph for match in compared.matches})} photographs; "
        f"{len({number for pair in compared.twins for number in pair})} photographs have a near twin."
    )


def _contradicting(compared: Compared, split: Split) -> list[Problem]:
    """The crops of held-out plates, and the near twins of photographs, that have another text than these."""
    problems = []
    for first, second in contradicting_twins(compared):
        (row,), (other,) = compared.photographs[second].plates, compared.photographs[first].plates
        message = (
            f"{row.img_id} and {other.img_id} ({other.csv}, row {other.number}, {other.text!r}) show the same plate; "
            "both stay as they are, correct one of them"
        )
        problems.append(row.problem(row.text, "contradictory texts", message))
    for row in (compared.crops[number].row for number in sorted(split.unusable_crops)):
        message = f"{row.img_id} shows a plate that is held out with another text; left out, correct the text"
        problems.append(row.problem(row.text, "contradicts validation", message))
    return problems


def _completeness(labelled: Labelled, options: LabelOptions) -> tuple[bool, str]:
    """Whether every plate of a photograph has a label, and a sentence that says so, and why."""
    counts = [len(one.plates) for one in labelled.photographs if one.plates]
    if options.labels is not None:
        return options.labels == "complete", f"Labels are {options.labels}, as told."
    if len(counts) >= _PHOTOGRAPHS_TO_TELL and set(counts) == {1}:
        return False, (
            "Every photograph has exactly one labelled plate, so further ones may be unlabelled: what the model "
            "believes to be one is not called background (--labels complete says that there are none)."
        )
    return True, "Every plate of a photograph is taken to be labelled (--labels partial says that some are not)."


def _divided(compared: Compared, split: Split, texts: dict[tuple[int, int], str], complete: bool) -> Dataset:
    """The pictures of each side; a plate has its text of `texts`."""
    plate_turns, crop_turns = upright_turns(compared)
    photographs = []
    for number, (one, turns) in enumerate(zip(compared.photographs, plate_turns, strict=True)):
        plates = [
            Plate(row.box_px, texts.get((number, index)), turned)
            for index, (row, turned) in enumerate(zip(one.plates, turns, strict=True))
        ]
        known = one.complete and one.labelled.complete
        photographs.append(Photograph(one.img_id, one.path, tuple(plates), known and (complete or not plates)))
    crops = [
        Crop(one.row.img_id, one.path, one.row.text, turns)
        for one, turns in zip(compared.crops, crop_turns, strict=True)
    ]
    not_to_train_on = split.held_crops | split.unusable_crops
    held = [photographs[number] for number in sorted(split.held_photographs)]
    withheld = [crops[number].text for number in not_to_train_on]
    withheld += [plate.text for one in held for plate in one.plates if plate.text is not None]
    return Dataset(
        [one for number, one in enumerate(photographs) if number not in split.held_photographs],
        [one for number, one in enumerate(crops) if number not in not_to_train_on],
        held,
        [crops[number] for number in sorted(split.held_crops)],
        withheld=frozenset(map(same_plate_key, withheld)),
    )
