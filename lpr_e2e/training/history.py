"""The rows of `history.csv` in a run folder, as texts: the figures of every epoch."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd

# What names rows.
EPOCH = ("stage", "epoch")


def added(table: pd.DataFrame, row: dict[str, Any]) -> pd.DataFrame:
    """A history with one more row, which replaces that of the same epoch. The texts of all others stay as they are."""
    again = (table["stage"] == row["stage"]) & (table["epoch"] == str(row["epoch"]))
    return pd.concat([table[~again], pd.DataFrame([row])], ignore_index=True)


def mark(table: pd.DataFrame, rows: int | None = None) -> str:
    """What the first rows of a history, or all of them, can be known by: their number, and a checksum of their figures.

    Columns that later rows have, and these do not, change nothing.
    """
    head = table if rows is None else table.head(rows)
    told = [{name: cell for name, cell in row.items() if cell} for row in head.to_dict("records")]
    return f"{len(told)} {hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}"


def begins_as(table: pd.DataFrame, marked: str) -> bool:
    """Whether a history begins with the rows of which `mark` gave this. Those of an epoch that was not saved to its end
    may follow."""
    rows = marked.partition(" ")[0]
    return rows.isdigit() and mark(table, int(rows)) == marked
