"""A scoring as people get it: all figures as text, or as a Markdown or JSON file."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import whole_file
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.evaluation.coco import LEGEND
from lpr_e2e.evaluation.intervals import interval_in_words, wilson_interval
from lpr_e2e.evaluation.scoring import Figures, Mistake, Scoring
from lpr_e2e.evaluation.slices import markdown, slices

# Decimals of the figures of slices in JSON.
_DECIMALS = 10


@dataclass(frozen=True)
class Summary:
    """Everything that is told about a scoring.

    Attributes:
        figures: of all photographs.
        slices: of kinds of plates, see `slices.slices`.
        coco: COCO's box metrics, if they were asked for, see `coco.box_metrics`.
    """

    figures: Figures
    slices: Sequence[Mapping]
    coco: Mapping[str, float] | None = None

    @classmethod
    def of(
        cls,
        scoring: Scoring,
        vocabulary: Vocabulary | None = None,
        trained_texts: Collection[str] | None = None,
        coco: Mapping[str, float] | None = None,
    ) -> Summary:
        """The summary of what was collected.

        Args:
            scoring: the truth and the readings.
            vocabulary: as in `scoring.score`.
            trained_texts: as in `slices.slices`.
            coco: as above.
        """
        truths = list(scoring.truths.values())
        table = slices(truths, scoring.readings, scoring.appearances, trained_texts)
        return cls(scoring.figures(vocabulary), table, coco)

    def text(self) -> str:
        """All figures for people, with the mistakes and what is missing."""
        figures = self.figures
        parts = [figures.table()]
        if self.coco:
            rows = (f"{name:<38}{value:>8.3f}" for name, value in self.coco.items())
            parts.append("\n".join([f"COCO's box metrics ({LEGEND}):", *rows]))
        parts += _listed("read wrongly:", figures.mistakes)
        parts += _listed("read with the status ok where no plate is labelled:", figures.false_readings)
        if figures.missing:
            names = ", ".join(figures.missing)
            parts.append(f"in the truth but not among the photographs ({len(figures.missing)}): {names}")
        return "\n\n".join([*parts, f"with 95 % intervals:\n{markdown(self.slices)}"])

    def write(self, path: Path) -> None:
        """Write figures and slices, whole or not at all: Markdown if the name ends in `.md`, JSON if in `.json`.

        Raises:
            UserError: another ending.
            OSError: the file cannot be written.
        """
        require_form(path)
        text = self._markdown() if path.suffix == ".md" else self._json()
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8")

    def _markdown(self) -> str:
        named = [f"- {name}: {value}" for name, value in self.figures.sizes().items()]
        for name, value in self.figures.as_dict().items():
            counted = self.figures.counts.get(name)
            named.append(f"- {name}: {value:.4f}" + (f" {interval_in_words(*counted)}" if counted else ""))
        if self.coco:
            named += [f"- COCO {name}: {value:.4f}" for name, value in self.coco.items()]
        return "\n".join(named) + f"\n\n{markdown(self.slices)}\n"

    def _json(self) -> str:
        rows = [
            {name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in row.items()}
            for row in self.slices
        ]
        coco = {"coco": dict(self.coco)} if self.coco else {}
        counts = {
            name: {"count": count, "of": of, **dict(zip(("low", "high"), wilson_interval(count, of), strict=True))}
            for name, (count, of) in self.figures.counts.items()
        }
        written = {"figures": self.figures.as_dict(), "sizes": self.figures.sizes(), "counts": counts}
        return json.dumps({**written, **coco, "slices": rows}, indent=2) + "\n"


def _listed(title: str, mistakes: Sequence[Mistake]) -> list[str]:
    """A list of mistakes under its title, as one text; no text if there are none."""
    if not mistakes:
        return []
    rows = (f"{one.img_id:<24} {one.truth or '-':<12} {one.read or '-':<12} {one.confidence:.3f}" for one in mistakes)
    return ["\n".join([title, f"{'img_id':<24} {'truth':<12} {'read':<12} confidence", *rows])]


def require_form(path: Path) -> None:
    """Raise a `UserError` if `Summary.write` knows no form for a name that ends like this."""
    if path.suffix not in (".md", ".json"):
        raise UserError(f"{path}: expected a name that ends in .md or .json")
