"""What is trained on and what is held out, as `split.csv` in a run folder tells it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lpr_e2e.common.files import as_cell
from lpr_e2e.data.samples import Dataset, Photograph
from lpr_e2e.data.tables import write_table

# The last of them runs of before boxes were noted lack.
SPLIT_COLUMNS = ("set", "side", "img_id", "text", "box")


def split(dataset: Dataset) -> pd.DataFrame:
    """What is on which side: `set`, `side` (`train` or `held`), `img_id`, `text` (empty: unknown), and `box`, yxyx in
    pixels (empty: the whole picture, or no plate).

    A row for each plate of a photograph and for each crop, and one for a photograph without a plate.
    """
    rows = []
    for name, side, one in dataset.pictures():
        if isinstance(one, Photograph):
            plates = [(plate.text or "", " ".join(f"{value:.1f}" for value in plate.box_px)) for plate in one.plates]
        else:
            plates = [(one.text, "")]
        rows += [(name, side, one.img_id, *plate) for plate in plates or [("", "")]]
    return pd.DataFrame(rows, columns=SPLIT_COLUMNS)


def write_split(path: Path, dataset: Dataset) -> None:
    """Write what `split` gives, each text as `as_cell` gives it."""
    rows = split(dataset).itertuples(index=False, name=None)
    write_table(path, SPLIT_COLUMNS, (tuple(map(as_cell, row)) for row in rows))
