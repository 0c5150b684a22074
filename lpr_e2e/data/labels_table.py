"""Labels in one CSV file: a row a plate, with the photograph's name, a box and perhaps a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.data.labels import Labels, name_problem, one_line, photograph_name
from lpr_e2e.data.tables import EXTRA, Row, Table, numbers, read_table

# Columns by which a table is understood without being told, in lower case.
PICTURE_COLUMNS = ("img_id", "image_id", "image", "file_name", "filename", "file", "picture", "image_path", "path")
TEXT_COLUMNS = ("text", "plate_text", "plate", "plate_number", "license_plate", "licence_plate", "transcription")
BOX_COLUMNS = {
    "yxyx": (
        ("ymin", "xmin", "ymax", "xmax"),
        ("y_min", "x_min", "y_max", "x_max"),
        ("y1", "x1", "y2", "x2"),
        ("top", "left", "bottom", "right"),
    ),
    "xywh": (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height")),
    "center_xywh": (
        ("x_center", "y_center", "width", "height"),
        ("center_x", "center_y", "width", "height"),
        ("cx", "cy", "w", "h"),
    ),
}


def read_label_table(
    path: Path,
    boxes: str | None = None,
    picture_column: str | None = None,
    box_columns: Sequence[str] | None = None,
    text_column: str | None = None,
) -> Labels:
    """Read a table of plates; names of columns are compared without case.

    Args:
        path: a CSV, see `lpr_e2e.data.tables.read_table`.
        boxes: the form of the boxes, of `BOX_FORMS`; told by the columns' names if None, in pixels.
        picture_column: with the photograph's name; if None, the one of `PICTURE_COLUMNS` that is there.
        box_columns: the four columns of the box, in the order of `boxes`; if None, those of `BOX_COLUMNS`.
        text_column: with the plate's text; if None, the one of `TEXT_COLUMNS` that is there, or there are no texts.

    Raises:
        DatasetError: the table cannot be read.
        UserError: a column is missing, or it is not clear which one is meant, or see `Labels.add_plates`.
    """
    table = read_table(path)
    picture = _column(table, picture_column, PICTURE_COLUMNS, "--picture-column")
    if picture is None:
        raise UserError(
            f"{path}: no column with the photographs' names; expected one of {', '.join(PICTURE_COLUMNS)}, or its name "
            f"by --picture-column; found {_found(table)}"
        )
    form, corners = _box_columns(table, boxes, box_columns)
    text = _column(table, text_column, TEXT_COLUMNS, "--text-column")
    labels = Labels(path)
    rows: list[Row] = []
    values_of_boxes: list[tuple[float, ...]] = []
    for number, values in table.records:
        row = Row(path.name, number, photograph_name(values[picture]), None, None)
        written = [values[name] for name in corners]
        box = numbers(written)
        found, problem = one_line(row, values[text]) if text else (None, None)
        fault = name_problem(row)
        if fault is None:
            labels.photographs[row.img_id] = None
        if fault is None and values[EXTRA]:
            expected = f"expected {','.join(table.columns)}; skipped, correct the row"
            fault = row.problem(values[EXTRA], "too many values", expected)
        if fault is None and not any(written) and not found:
            labels.without_plate.append(row)
            continue
        if fault is None and box is None:
            expected = f"expected four numbers {','.join(corners)}; skipped, correct it"
            fault = row.problem(",".join(written), "non-numeric box", expected)
        labels.problems += filter(None, [fault or problem])
        if fault is None:
            rows.append(Row(row.csv, number, row.img_id, None, found))
            values_of_boxes.append(box)
    labels.add_plates(rows, values_of_boxes, form)
    return labels


def read_crop_table(path: Path, picture_column: str | None = None, text_column: str | None = None) -> Table:
    """Read a table of plate crops and their texts; its columns are then called `img_id` and `text`.

    Raises:
        DatasetError: the table cannot be read.
        UserError: a column is missing, or it is not clear which one is meant.
    """
    table = read_table(path)
    picture = _column(table, picture_column, PICTURE_COLUMNS, "--picture-column")
    text = _column(table, text_column, TEXT_COLUMNS, "--text-column")
    if picture is None or text is None:
        raise UserError(f"{path}: expected a column with the crops' names and one with texts; found {_found(table)}")
    records = [
        (number, {"img_id": photograph_name(values[picture]), "text": values[text], EXTRA: values[EXTRA]})
        for number, values in table.records
    ]
    return Table(path, ("img_id", "text"), records)


def _column(table: Table, named: str | None, known: Sequence[str], option: str) -> str | None:
    """The column that was named, or the one of the known names that is there; None if there is none."""
    if named is not None:
        if named.strip().lower() not in table.columns:
            raise UserError(f"{table.path}: no column {named!r} for {option}; found {_found(table)}")
        return named.strip().lower()
    found = [name for name in known if name in table.columns]
    if len(found) > 1:
        raise UserError(f"{table.path}: both {found[0]} and {found[1]} may be meant; say which with {option}")
    return found[0] if found else None


def _box_columns(table: Table, form: str | None, named: Sequence[str] | None) -> tuple[str, Sequence[str]]:
    """The form of the boxes, and their columns in its order; corners are taken as yxyx, which needs no conversion."""
    if named is not None:
        if form is None:
            raise UserError("--box-columns: in what order? expected --boxes too, such as --boxes xyxy")
        return form, [_column(table, name, (), "--box-columns") for name in named]
    relative = "rel_" if form is not None and form.startswith("rel_") else ""
    asked = form.removeprefix("rel_").replace("xyxy", "yxyx") if form is not None else None
    for arrangement, choices in BOX_COLUMNS.items():
        for columns in choices if asked in (None, arrangement) else ():
            if set(columns) <= set(table.columns):
                return relative + arrangement, columns
    expected = " or ".join(", ".join(BOX_COLUMNS[one][0]) for one in BOX_COLUMNS if asked in (None, one))
    raise UserError(
        f"{table.path}: no columns with boxes; expected {expected}, or their names by --boxes and --box-columns; found "
        f"{_found(table)}"
    )


def _found(table: Table) -> str:
    return ", ".join(table.columns) or "none"
