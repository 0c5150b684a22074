"""Faults of the data: each is named with file, row, value and remedy, and none stops what can go on without it.

What is brought to another form because it plainly means that is named in the same way, but is no fault: see
`Problem.harmless`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lpr_e2e.common.files import as_cell

# The columns of a `problems.csv`.
COLUMNS = ("file", "row", "value", "kind", "message")
# Problems of each kind in a text for people.
ROWS_PRINTED = 3


@dataclass(frozen=True)
class Problem:
    """One fault of the data, or one change of it.

    Attributes:
        file: the CSV or picture at fault.
        row: line number in the CSV, the header being line 1; in a COCO file the number of the annotation, or of the
            image if it is at fault, in its list, the first being 1; None if the fault is in no row.
        value: what was found.
        kind: a short name by which problems can be counted, such as "missing picture".
        message: what was expected, what was done, and what can be done.
        harmless: nothing is lost and nobody has to do anything: a value was brought to the form that it plainly means,
            or says in its own way that something is unknown. A check of data with such problems alone finds no fault.
    """

    file: str
    row: int | None
    value: str
    kind: str
    message: str
    harmless: bool = False

    def cells(self) -> tuple[str, str, str, str, str]:
        """The values of `COLUMNS`, as `problems.csv` has them."""
        row = "" if self.row is None else str(self.row)
        return as_cell(self.file), row, as_cell(self.value), self.kind, as_cell(self.message)

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{place}: {self.kind}: {self.value!r}: {self.message}"


def faults(problems: Iterable[Problem]) -> list[Problem]:
    """The problems that are not harmless."""
    return [problem for problem in problems if not problem.harmless]


def by_kind(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """The problems of each kind, the most frequent kind first."""
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    return dict(sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0])))


def problem_lines(problems: Sequence[Problem], elsewhere: str) -> list[str]:
    """How many problems of each kind there are, and the first few of them; `elsewhere` is what has them all."""
    lines = []
    for kind, found in by_kind(problems).items():
        lines.append(f"  {len(found)} x {kind}")
        lines += [f"    {problem}" for problem in found[:ROWS_PRINTED]]
        if len(found) > ROWS_PRINTED:
            lines.append(f"    and {len(found) - ROWS_PRINTED} more: {elsewhere} has them")
    return lines
