"""Labels in one CSV file: a row a plate, with its photograph's name, a box and perhaps a text; or a row a plate crop.

Columns are known by their names, in any case. What names do not settle stays open, such as whether `x`, `y` are a
corner or the centre: the numbers of the whole table tell later, and whether they are pixels or shares.

| row | what it is |
| --- | --- |
| box, text | a plate |
| box, no text | a plate whose text is unknown |
| no box, no text | a photograph without a plate, in a table that has columns for boxes |
| text, in a table without columns for boxes | a picture of one plate |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.forms.box_columns import columns_of_boxes, four_numbers, unknown_boxes
from lpr_e2e.data.forms.sources import (
    TEXT_NAMES,
    Parts,
    around,
    note_on_classes,
    note_on_other_texts,
    picture_folders,
    plain,
    plate_classes,
    read_table,
)
from lpr_e2e.data.forms.text_columns import is_named_like_picture, like_texts, maybe_texts, named_like_pictures
from lpr_e2e.data.labels import NOTHING_SAID, LabelOptions, Labels
from lpr_e2e.data.problems import Problem
from lpr_e2e.data.spreadsheets import unquoted
from lpr_e2e.data.tables import BOX_COLUMNS, EXTRA, DatasetError, Row, Table, numbers

ABOUT = "table: a CSV with a column of pictures' names and with boxes, texts, or both"
SUFFIXES = (".csv", ".tsv")

# Names of columns, as `plain` writes them.
PICTURE_COLUMNS = (
    *("img_id", "image_id", "image", "file_name", "filename", "file", "picture", "image_path", "path", "image_name"),
    *("img", "img_name", "img_path", "imagename", "image_file", "image_filename", "photo", "photograph"),
    *("picture_name", "filepath", "file_path", "imageid", "image_url", "photo_name"),
)
_MAYBE_PICTURE_COLUMNS = ("id", "name")  # Where no column has a clearer name.
_CLASS_COLUMNS = ("class", "class_name", "category", "category_name", "label", "name")
_PART_COLUMNS = ("split", "subset", "set", "usage", "partition", "fold")
_PARTS = frozenset("train training trainval val valid validation dev test testing held heldout holdout".split())
_SIZE_COLUMNS = (("height", "width"), ("image_height", "image_width"), ("img_height", "img_width"))
# Columns of Label Studio's export CSV, which has all the plates of a picture in one cell.
_LABEL_STUDIO_COLUMNS = {"annotation_id", "annotator", "lead_time"}
# Boxes that programs write for a photograph without a plate.
_NO_BOXES = ((0.0,) * 4, (-1.0,) * 4)
_NO_PLATE = frozenset(("noplate", "no_plate", "no plate", "no-plate"))
_EMPTY = frozenset(("", "nan", "none", "null", "na", "n/a", "-", "[]"))
# What `problems.csv` has, which names rows of labels.
_PROBLEM_COLUMNS = {"file", "row", "value", "kind", "message"}
# The column that `label` writes beside a box and a text: when a person said so.
ANSWERED_COLUMN = "answered"
# What a table of readings has beside texts, and labels have not.
_PREDICTION_COLUMNS = {"text", "confidence", "status"}
# What labels may have, too, of objects that somebody found by a model.
_CERTAINTY_COLUMNS = ("confidence", "conf", "score", "certainty", "probability", "prob")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        picture: the pictures' names.
        box: four columns, or one with four numbers, in the order of the readings; () if there are no boxes.
        readings: forms of boxes that are possible, the likeliest first.
        text, label_class, part: the plate's text, its class, and the part of the set; "" if there is none.
        size: the photograph's height and width; () if they are not there.
    """

    picture: str
    box: tuple[str, ...] = ()
    readings: tuple[str, ...] = ()
    text: str = ""
    label_class: str = ""
    part: str = ""
    size: tuple[str, ...] = ()


def recognises(path: Path, options: LabelOptions = NOTHING_SAID) -> bool:
    """Whether the columns of a table are those of labels: a picture's name, and boxes or texts.

    Raises:
        DatasetError: it cannot be read.
    """
    table = read_table(path)
    has_texts = any(plain(name) in TEXT_NAMES for name in table.columns) or any(maybe_texts(table))
    has_pictures = bool(_pictures_by_name(table)) or any(named_like_pictures(table))
    if _PROBLEM_COLUMNS <= {plain(name) for name in table.columns}:
        return False
    if _LABEL_STUDIO_COLUMNS <= {plain(name) for name in table.columns}:
        raise DatasetError(f"{path}: Label Studio's export CSV, which has no row a plate; export it as JSON")
    is_named = bool(named_columns(options) & {plain(name) for name in table.columns})
    return is_named or (has_pictures and (has_texts or has_boxes(path)))


def named_columns(options: LabelOptions) -> set[str]:
    """The columns that people name, as `plain` writes them."""
    return {plain(one) for one in (options.picture_column, options.text_column, *options.box_columns) if one}


def holds_readings(path: Path) -> bool:
    """Whether a table is what `predict` writes, and no labels.

    Raises:
        DatasetError: it cannot be read.
    """
    return _PREDICTION_COLUMNS <= {plain(name) for name in read_table(path).columns}


def lacks_header(path: Path) -> bool:
    """Whether what stands in the place of the names of columns is a row, with a picture's name.

    Raises:
        DatasetError: it cannot be read.
    """
    return any(map(is_named_like_picture, read_table(path).columns))


def holds_answers(path: Path) -> bool:
    """Whether a table is what `label` writes: of the photographs that it names, other labels say nothing.

    Raises:
        DatasetError: it cannot be read.
    """
    return {*BOX_COLUMNS, "text", ANSWERED_COLUMN}.issubset(read_table(path).columns)


def has_boxes(path: Path, options: LabelOptions = NOTHING_SAID) -> bool:
    """Whether a table has columns for boxes, as they are named or by their names.

    Raises:
        DatasetError: it cannot be read.
    """
    names = {plain(name) for name in read_table(path).columns}
    if options.box_columns and names.issuperset(map(plain, options.box_columns)):
        return True
    return columns_of_boxes(read_table(path)) != ((), ())


def options_for(path: Path, options: LabelOptions) -> LabelOptions:
    """What of the options is meant for a table that is one of several: columns, as far as it has them.

    Raises:
        DatasetError: it cannot be read.
    """
    names = {plain(name) for name in read_table(path).columns}
    picture, text = (
        one if one and plain(one) in names else None for one in (options.picture_column, options.text_column)
    )
    has_box = bool(options.box_columns) and names.issuperset(map(plain, options.box_columns))
    return replace(
        options, picture_column=picture, text_column=text, box_columns=options.box_columns if has_box else ()
    )


def read(path: Path, options: LabelOptions) -> list[Labels]:
    """Read a table.

    Raises:
        DatasetError: the table cannot be read, or holds readings of a model.
        UserError: a column is missing, or it is not clear which one is meant.
    """
    table = read_table(path)
    if _PREDICTION_COLUMNS <= {plain(name) for name in table.columns}:
        raise DatasetError(
            f"{path}: this is a table of readings, with the columns confidence and status; expected labels, which a "
            "person has checked; to train on it nevertheless, remove these two columns"
        )
    notes = list(table.notes)
    columns = _columns(table, options, notes)
    readings = columns.readings
    problems = list(_columns_left_aside(table, columns, notes))
    certain = _first(table, _CERTAINTY_COLUMNS, ()) if columns.text else ""
    if certain:
        notes.append(
            f"{path.name} has a column {certain}: if a model has read its texts, they are no labels; move it away."
        )
    parts = Parts(
        path,
        picture_folders(path, options, holds_crops=not columns.box),
        holds_crops=not columns.box,
        box_form=readings[0] if len(readings) == 1 else None,
        box_candidates=readings if len(readings) > 1 else (),
        problems=problems,
        notes=notes,
    )
    _add_rows(table, columns, parts, options)
    found = parts.labels()
    for labels in found:
        labels.answers = holds_answers(path)
    return found


def _columns_left_aside(table: Table, columns: Columns, notes: list[str]) -> Iterator[Problem]:
    """Columns that may be boxes or texts by their values, where none has the name of one: neither is taken unasked."""
    used = {columns.picture, *columns.box, columns.text, columns.label_class, columns.part, *columns.size}
    if not columns.box and (maybe := unknown_boxes(table, used)):
        message = (
            "the names of these columns tell no box; its rows are taken for pictures of one plate each; if these are "
            "boxes, say --box-columns and --boxes, and if not, rename or remove the columns"
        )
        yield Problem(table.path.name, None, ", ".join(maybe), "numbers that may be boxes", message)
    if not columns.text:
        seen = {name: like_texts(table, name) for name in table.columns if name not in used}
        texts = {name: found[0] for name, found in seen.items() if found}
        notes += note_on_other_texts(texts, table.path, "--text-column")


def _add_rows(table: Table, columns: Columns, parts: Parts, options: LabelOptions) -> None:
    """Sort the rows of a table into `parts`."""
    taken: set[str] = set()
    if columns.label_class:
        classes = Counter(filter(None, (values[columns.label_class] for _, values in table.records)))
        taken = plate_classes(classes, options.category, table.path)
        parts.notes += note_on_classes(classes, taken, table.path)
    others: dict[str, tuple[Row, Labels]] = {}
    with_plate = set()
    for number, values in table.records:
        labels = parts.of(values[columns.part] if columns.part else "")
        text = values[columns.text] if columns.text else ""
        row = Row(table.path.name, number, values[columns.picture], None, text or None)
        if labels is None:
            continue
        if values[EXTRA]:
            message = f"expected {','.join(table.columns)}; skipped, correct the row"
            labels.give_up(row, values[EXTRA], "too many values", message)
        elif not row.img_id:
            message = "expected a picture's file name; skipped, fill it in"
            labels.problems.append(row.problem("", "empty name", message))
        elif columns.label_class and values[columns.label_class] not in ("", *taken):
            others.setdefault(row.img_id, (row, labels))
            continue
        else:
            if columns.size and (size := numbers(values[one] for one in columns.size)) and min(size) >= 1:
                labels.sizes[row.img_id] = int(size[0]), int(size[1])
            _add_row(row, text, values, columns, labels)
        with_plate.add(row.img_id)
    for name, (row, labels) in others.items():
        if name not in with_plate:
            labels.add(row)


def _add_row(row: Row, text: str, values: dict[str, str], columns: Columns, labels: Labels) -> None:
    """Add what one row says, or what is wrong with it."""
    if not columns.box:
        if text:
            labels.add(row, text=text)
        else:
            message = f"expected the text of {row.img_id}; skipped, fill it in or remove the row"
            labels.give_up(row, "", "empty text", message)
        return
    written = [values[name] for name in columns.box]
    if all(value.lower() in _EMPTY for value in written):
        if text and text.lower() not in _EMPTY | _NO_PLATE:
            message = (
                "expected a box around this text; skipped, fill the box in, or empty the text if no plate is there"
            )
            labels.give_up(row, text, "text without a box", message)
        else:
            labels.add(row)
        return
    box = numbers(map(unquoted, written)) if len(written) > 1 else four_numbers(written[0])
    if box is not None and len(box) > 4:
        box = around(list(zip(box[::2], box[1::2], strict=True)))
    if box in _NO_BOXES and (not text or text.lower() in _EMPTY | _NO_PLATE):
        message = "no box can be so; taken for a photograph without a plate"
        labels.problems.append(row.change(",".join(written), "box of nothing", message))
        labels.add(row)
    elif box is None:
        expected = f"expected four numbers {','.join(columns.box)}; skipped, correct it"
        labels.give_up(row, ",".join(written), "non-numeric box", expected)
    else:
        labels.add(row, (box[0], box[1], box[2], box[3]), text)


def _columns(table: Table, options: LabelOptions, notes: list[str]) -> Columns:
    """What the columns of a table are, by what people say and by their names."""
    picture = _picture_column(table, options, notes)
    box, readings = _box_columns(table, options)
    used = {picture, *box}
    text = _text_column(table, options, used, notes)
    part = _first(table, _PART_COLUMNS, {*used, text})
    if part and not {values[part].lower() for _, values in table.records} <= _PARTS:
        part = ""
    label_class = _first(table, _CLASS_COLUMNS, {*used, text, part})
    if (
        label_class
        and options.category is None
        and len({values[label_class] for _, values in table.records} - {""}) <= 1
    ):
        label_class = ""
    by_name = {plain(name): name for name in reversed(table.columns)}
    sizes = [tuple(by_name[one] for one in pair) for pair in _SIZE_COLUMNS if by_name.keys() >= set(pair)]
    size = next((pair for pair in sizes if used.isdisjoint(pair)), ())
    if not box and not text:
        raise UserError(
            f"{table.path}: no columns with boxes or texts; expected such as ymin, xmin, ymax, xmax and text, or their "
            f"names by --boxes, --box-columns and --text-column; found {_listed(table)}"
        )
    return Columns(picture, box, readings, text, label_class if box else "", part, size)


def _picture_column(table: Table, options: LabelOptions, notes: list[str]) -> str:
    """The column with the pictures' names: as named, or by its name, or the only one whose values are such names."""
    if options.picture_column is not None:
        return _named(table, options.picture_column, "--picture-column")
    found = _pictures_by_name(table)
    by_content = list(named_like_pictures(table))
    is_clear = bool(found) and (plain(found[0]) not in _MAYBE_PICTURE_COLUMNS or not by_content)
    if len(found) == 1 and is_clear:
        return found[0]
    if len(likely := [one for one in by_content if one in found] or by_content) == 1:
        notes.append(f"{table.path.name}: the pictures' names are taken from the column {likely[0]}.")
        return likely[0]
    if len(found) > 1:
        raise UserError(f"{table.path}: both {found[0]} and {found[1]} may be meant; say which with --picture-column")
    raise UserError(
        f"{table.path}: no column with the pictures' names; expected one of {', '.join(PICTURE_COLUMNS[:9])}, or "
        f"its name by --picture-column; found {_listed(table)}"
    )


def _text_column(table: Table, options: LabelOptions, used: Iterable[str], notes: list[str]) -> str:
    """The column with the texts: as named, or by its name; "" if there is none."""
    if options.text_column is not None:
        return _named(table, options.text_column, "--text-column")
    found = [name for name in table.columns if plain(name) in TEXT_NAMES and name not in used]
    if len(found) > 1:
        raise UserError(f"{table.path}: both {found[0]} and {found[1]} may be meant; say which with --text-column")
    if found:
        return found[0]
    maybe = [name for name in maybe_texts(table) if name not in used]
    if len(maybe) != 1:
        return ""
    notes.append(f"{table.path.name}: the texts are taken from the column {maybe[0]}.")
    return maybe[0]


def _box_columns(table: Table, options: LabelOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of the boxes, in the order of the readings that are possible; () if there are none."""
    asked = options.boxes
    if options.box_columns:
        if asked is None:
            raise UserError("--box-columns: in what order? expected --boxes too, such as --boxes xyxy")
        return tuple(_named(table, one, "--box-columns") for one in options.box_columns), (asked,)
    found = columns_of_boxes(table, asked)
    if found[0]:
        return found
    if asked is not None and not any(plain(name) in TEXT_NAMES for name in table.columns):
        raise UserError(
            f"{table.path}: no columns with boxes of the form {asked}; say their names with --box-columns; found "
            f"{_listed(table)}"
        )
    return (), ()


def _named(table: Table, named: str, option: str) -> str:
    """The column that an option names."""
    for name in table.columns:
        if plain(name) == plain(named):
            return name
    raise UserError(f"{table.path}: no column {named!r} for {option}; found {_listed(table)}")


def _first(table: Table, names: Sequence[str], used: Iterable[str]) -> str:
    """The first column that has one of these names and is not used; "" if there is none."""
    return next((one for one in table.columns if plain(one) in names and one not in used), "")


def _pictures_by_name(table: Table) -> list[str]:
    """Columns that hold the pictures' names by their own name."""
    found = [name for name in table.columns if plain(name) in PICTURE_COLUMNS]
    return found or [name for name in table.columns if plain(name) in _MAYBE_PICTURE_COLUMNS]


def _listed(table: Table) -> str:
    return ", ".join(table.columns) or "none"
