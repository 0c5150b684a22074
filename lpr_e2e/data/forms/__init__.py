"""The forms in which people keep labels: a module for each, and here which one a folder or a file is in."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.forms import coco, cvat, fast_plate_ocr, label_studio, table, voc, yolo
from lpr_e2e.data.forms.sources import (
    files_in,
    folders_in,
    forget_tables,
    pictures_below,
    plain,
    read_table,
    test_folders_in,
)
from lpr_e2e.data.labels import NOTHING_SAID, LabelOptions, Labels, names_test, names_validation
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.tables import DatasetError, Row

# By the name that `--form` takes. Each has `ABOUT`, `SUFFIXES` of its files, `recognises(path)` and `read(path,
# options)`; fast-plate-ocr's tables are tables, too, and come first.
FORMS: dict[str, ModuleType] = {
    "fast_plate_ocr": fast_plate_ocr,
    "table": table,
    "coco": coco,
    "yolo": yolo,
    "voc": voc,
    "cvat": cvat,
    "label_studio": label_studio,
}
_TABLES = ("fast_plate_ocr", "table")
# Forms that are a folder of files, one for each picture.
_FOLDERS = ("yolo", "voc")
# How far below a folder label files are looked for, where it has none itself: `data/train/Annotations`.
_MOST_LEVELS = 3
_SEEN_NAMED = 8
# Nobody holds out a larger share of their photographs without saying so.
_MOST_HELD_OUT = 0.5
# Tables that are no CSV.
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")


def read_labels(source: Path, options: LabelOptions = NOTHING_SAID) -> list[Labels]:
    """Read all labels of a folder or a file, in whatever form they are.

    A table of readings, a test set and files that are no labels are left aside; the first two are named. What
    `options.validation` and `options.no_plates` name is read, too.

    Args:
        source: a folder, which is searched for label files, or one of those.
        options: what people say about the labels; `form` has to be said where two forms are found.

    Returns:
        the labels of each file, those of a file that holds some of its rows out in two parts.

    Raises:
        DatasetError: there are no labels, or two forms of them, or they cannot be read.
        UserError: something that people have to say, such as a column.
    """
    forget_tables()
    found = _read(source, options)
    _hold_out_tables(found)
    if not options.pictures:
        _share_folders(found)
    if options.validation is not None:
        held = _read(options.validation, options)
        for labels in held:
            labels.held_out = True
        found += held
    if options.no_plates is not None:
        found.append(_without_plates(options.no_plates))
    return found


def holds_labels(folder: Path, options: LabelOptions = NOTHING_SAID) -> bool:
    """Whether there are labels in a folder, in a form that is known.

    Raises:
        DatasetError: there are two forms of them.
    """
    forget_tables()
    return bool(_Search(folder, options).found)


def require_source(source: Path) -> None:
    """Make sure that there is something to look for labels in.

    Raises:
        DatasetError: it is missing, or is neither a folder nor a file.
    """
    if not source.exists():
        raise DatasetError(f"{source}: no such folder or file; expected one with labels")
    if not (source.is_file() or source.is_dir()):
        raise DatasetError(f"{source}: no regular file; expected a folder or a file with labels")


def _read(source: Path, options: LabelOptions) -> list[Labels]:
    """The labels of one folder or file."""
    require_source(source)
    if source.is_file():
        return FORMS[options.form or _form_of_file(source)].read(source, options)
    if [one.name for one in source.iterdir()] == ["part"]:
        raise DatasetError(
            f"{source / 'part'}: left by a process that fills this folder, or was ended; expected a folder with "
            "labels; remove it, and make the data again"
        )
    search = _Search(source, options)
    if not search.found:
        raise DatasetError(_nothing(source, search))
    tables = [path for form, path in search.found if form in _TABLES]
    _refuse_unknown_columns(tables, options)
    found = []
    for form, path in search.found:
        try:
            read = FORMS[form].read(path, table.options_for(path, options) if form in _TABLES else options)
        except DatasetError as error:
            if search.problems:  # What was left aside may be what is lacking.
                raise DatasetError(f"{error}; {search.problems[0]}") from None
            raise
        for labels in read:
            below = path.relative_to(source)
            labels.held_out |= any(map(names_validation, [*below.parent.parts, below.stem]))
            found.append(labels)
    found[0].problems[:0] = search.problems
    found[0].notes[:0] = search.notes()
    return found


def _refuse_unknown_columns(tables: list[Path], options: LabelOptions) -> None:
    """Make sure that every column that people name is in a table.

    Raises:
        UserError: one is in none.
    """
    known = {column for path in tables for column in read_table(path).columns}
    for name in table.named_columns(options) - {plain(column) for column in known}:
        raise UserError(f"no table has the column {name!r}; found {', '.join(sorted(known)) or 'no table'}")


class _Search:
    """What a folder holds.

    The folder itself is looked at first, then those in it, until something with boxes is found.

    Attributes:
        found: pairs of form and path, in the order of the paths.
        problems: tables of readings, and files that should be labels and cannot be read.
    """

    def __init__(self, folder: Path, options: LabelOptions):
        self.found: list[tuple[str, Path]] = []
        self.problems: list[Problem] = []
        self.folder = folder
        self._form = options.form
        self._options = options
        self._others: list[str] = []
        self._test: list[str] = []
        level = [folder]
        for _ in range(_MOST_LEVELS):
            for one in level:
                self._look_at(one)
                self._test += [self._shown(inner) for inner in test_folders_in(one) if _has_labels(inner, options)]
            if any(not self._goes_with_any(*pair) for pair in self.found):
                break
            level = [inner for one in level for inner in folders_in(one)]
        forms = sorted({form for form, path in self.found if not self._goes_with_any(form, path)})
        if len(forms) > 1:
            files = ", ".join(f"{path.relative_to(folder)} ({form})" for form, path in self.found[:_SEEN_NAMED])
            raise DatasetError(
                f"{folder}: labels in {len(forms)} forms ({files}); say with --form which of them are meant: "
                f"{' or '.join(forms)}"
            )

    def notes(self) -> list[str]:
        """A line for what was found, and for what was left aside."""
        kinds: dict[str, list[str]] = {}
        for form, path in self.found:
            kinds.setdefault(form, []).append(self._shown(path))
        lines = [f"Labels: {'; '.join(f'{form} ({_some(names)})' for form, names in kinds.items())}."]
        if self._test:
            lines.append(f"Labels of a test set are left alone: {_some(self._test)}.")
        if self._others:
            lines.append(f"Left alone, as they are no labels: {_some(self._others)}.")
        return lines

    def seen(self) -> str:
        """What was looked at in vain."""
        return "; ".join([*map(str, self.problems), *self._others, *self._test][:_SEEN_NAMED])

    def _look_at(self, folder: Path) -> None:
        """Note what one folder holds."""
        whole = [form for form in _FOLDERS if self._form in (None, form) and _is_folder_of(form, folder)]
        self.found += [(form, folder) for form in whole]
        suffixes = {suffix for module in FORMS.values() for suffix in module.SUFFIXES}
        for path in files_in(folder, *suffixes):
            if whole and (path.suffix.lower() in (".xml", ".yaml", ".yml")):
                continue
            try:
                self._note(path)
            except DatasetError as error:
                if folder == self.folder:
                    message = f"{error}; left aside, correct or remove it"
                    self.problems.append(Problem(path.name, None, path.name, "unreadable label file", message))

    def _note(self, path: Path) -> None:
        """Note what one file is.

        Raises:
            DatasetError: it cannot be read.
        """
        name = self._shown(path)
        if path.suffix.lower() in table.SUFFIXES and table.holds_readings(path):
            message = "a table of readings of a model, which are no labels; left aside, move it away"
            self.problems.append(Problem(name, None, name, "prediction table", message))
            return
        form = _form_of(path)
        if form is None and path.suffix.lower() in table.SUFFIXES and table.recognises(path, self._options):
            form = "table"
        if form is None:
            is_table = path.suffix.lower() in table.SUFFIXES
            columns = ", ".join(read_table(path).columns[:_SEEN_NAMED]) if is_table else ""
            if is_table and table.lacks_header(path):
                columns += (
                    ": a row and no names of columns; write these above it, such as img_id,ymin,xmin,ymax,xmax,text"
                )
            self._others.append(f"{name} ({columns})" if is_table else name)
        elif names_test(path.stem):
            self._test.append(name)
        elif self._form in (None, form) or self._goes_with_any(form, path):
            self.found.append((form, path))
        else:
            self._others.append(name)

    def _goes_with_any(self, form: str, path: Path) -> bool:
        """Whether a label file goes with photographs' labels of any form: one of crops, or of answers."""
        return form in _TABLES and (not table.has_boxes(path, self._options) or table.holds_answers(path))

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _is_folder_of(form: str, folder: Path) -> bool:
    """Whether a folder as a whole is of a form with a file for each picture, and has no file that says all of it."""
    try:
        if form == "yolo" and any(yolo.recognises(path) for path in files_in(folder, *yolo.SUFFIXES)):
            return False
        return FORMS[form].recognises(folder)
    except DatasetError:
        return False


def _form_of(path: Path) -> str | None:
    """The form of a file; None if it is no label file.

    Raises:
        DatasetError: it cannot be read.
    """
    suffix = path.suffix.lower()
    return next((name for name, one in FORMS.items() if suffix in one.SUFFIXES and one.recognises(path)), None)


def _form_of_file(path: Path) -> str:
    """The form of a file that is named as the labels."""
    if path.suffix.lower() in table.SUFFIXES:
        return "fast_plate_ocr" if fast_plate_ocr.recognises(path) else "table"
    form = _form_of(path)
    if form is None:
        raise DatasetError(f"{path}: no labels in a form that is known; expected {_expected()}")
    return form


def _has_labels(folder: Path, options: LabelOptions) -> bool:
    """Whether there are labels in a folder, of one form or several."""
    try:
        return bool(_Search(folder, options).found)
    except DatasetError:
        return True


def _hold_out_tables(found: list[Labels]) -> None:
    """A table with boxes and texts beside one with boxes only is held out, if it names a part of its photographs; if it
    names most of them, it says what is on them."""
    tables = [labels for labels in found if labels.path.suffix.lower() in table.SUFFIXES and not labels.answers]
    plates = [labels for labels in tables if labels.has_boxes]
    without_texts = {name for labels in plates if not labels.has_texts for name in labels.names}
    for labels in plates:
        few = len(set(labels.names)) <= _MOST_HELD_OUT * len(without_texts)
        if labels.has_texts and few and without_texts.issuperset(labels.names):
            labels.held_out = True


def _share_folders(found: list[Labels]) -> None:
    """A label file without a folder of its own name has its pictures where another one of its kind has them."""
    own = {id(one): one.pictures[0] for one in found if one.pictures and one.pictures[0].name == one.path.stem}
    for labels in found:
        if id(labels) not in own:
            shared = [own[id(one)] for one in found if id(one) in own and one.holds_crops == labels.holds_crops]
            labels.pictures = tuple(dict.fromkeys([*shared, *labels.pictures]))


def _without_plates(folder: Path) -> Labels:
    """The pictures of a folder as photographs without a plate.

    Raises:
        DatasetError: it has none.
    """
    labels = Labels(folder, pictures=(folder,))
    for number, name in enumerate(pictures_below(folder), start=1):
        labels.add(Row(folder.name, number, name, None, None))
    if not labels.plates:
        raise DatasetError(f"{folder}: no pictures; expected a folder with pictures that show no plate")
    return labels


def _nothing(folder: Path, search: _Search) -> str:
    """That a folder has no labels: what was seen, and what to do."""
    seen = search.seen() or _some(sorted(one.name for one in folder.iterdir())) or "nothing"
    sheets = [one.name for one in folder.iterdir() if one.suffix.lower() in _SHEETS and not one.name.startswith("~")]
    if sheets:
        return f"{folder}: no labels that are known; found {seen}; save {_some(sheets)} as CSV, with commas"
    return f"{folder}: no labels that are known; found {seen}; expected {_expected()}"


def _expected() -> str:
    return "; or ".join(module.ABOUT for module in FORMS.values())


def _some(names: list[str]) -> str:
    """The first of some names."""
    return ", ".join(names[:_SEEN_NAMED]) + (
        f" and {len(names) - _SEEN_NAMED} more" if len(names) > _SEEN_NAMED else ""
    )
