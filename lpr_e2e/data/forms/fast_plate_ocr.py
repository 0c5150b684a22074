"""Labels of fast-plate-ocr: a CSV with the columns `image_path` and `plate_text`, a row a plate crop.

The format: https://ankandrew.github.io/fast-plate-ocr/. Paths are below the CSV's folder. It may have further columns,
such as `plate_region`, which are left alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lpr_e2e.data.forms import table
from lpr_e2e.data.forms.sources import plain, read_table
from lpr_e2e.data.labels import LabelOptions, Labels
from lpr_e2e.data.tables import DatasetError

ABOUT = "fast-plate-ocr: a CSV with the columns image_path and plate_text, a row a crop"
SUFFIXES = (".csv",)

_COLUMNS = {"image_path", "plate_text"}


def recognises(path: Path) -> bool:
    """Whether a table has the two columns, and none for a box.

    Raises:
        DatasetError: it cannot be read.
    """
    names = {plain(name) for name in read_table(path).columns}
    return names >= _COLUMNS and not table.has_boxes(path)


def read(path: Path, options: LabelOptions) -> list[Labels]:
    """Read the table as one of crops.

    Raises:
        DatasetError: it cannot be read, or has not these columns.
    """
    if not recognises(path):
        found = ", ".join(read_table(path).columns)
        raise DatasetError(f"{path}: expected the columns image_path and plate_text, and no box; found {found}")
    found = table.read(path, replace(options, picture_column="image_path", text_column="plate_text"))
    for labels in found:
        if not options.pictures:
            labels.pictures = tuple(dict.fromkeys([path.parent, *labels.pictures]))
    return found
