"""How many photographs it takes: trainings on few of a data set's photographs, each judged by all that it holds out.

A draw puts the photographs to train on in an order, and each training of the draw takes so many of the first ones: by
chance, or as `lpr-e2e loop` proposes them, by how much the model of the training before can learn from them. A training
knows nothing of the other photographs. It holds out some of its own few, as it does anywhere, and the photographs that
the data set holds out are read when it is done: they choose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.files import owned, whole_file, whole_folder, write_json
from lpr_e2e.common.terminal import say
from lpr_e2e.data.importing import write_ours
from lpr_e2e.data.labels import Labelled, LabelledPhotograph
from lpr_e2e.data.samples import Dataset, Photograph
from lpr_e2e.data.tables import Row
from lpr_e2e.evaluation.intervals import wilson_interval
from lpr_e2e.evaluation.scoring import Scoring
from lpr_e2e.experiments import processes
from lpr_e2e.prediction.reader import PlateReader
from lpr_e2e.training.plots import new_figure

# How photographs are put in order.
CHANCE, USEFUL = "chance", "useful"
# In the folder of all trainings: what they have in common, and who works there. In that of one: the names of its
# photographs, the first proposed first, its data, its run, and what it reads.
_CALL, _LOCK = "curve.json", "lock"
_CHOSEN, _DATA, _RUN, _FIGURES = "chosen.json", "data", "run", "figures.json"


@dataclass(frozen=True)
class Point:
    """What came of one training.

    Attributes:
        order: by what its photographs were chosen, `CHANCE` or `USEFUL`.
        draw: which draw it is of.
        photographs: how many it had.
        texts: how many held-out plates with a text there are.
        right: how many of them it reads without an error.
        ok, ok_right: how many readings of them have the status `ok`, and how many of these are right.
    """

    order: str
    draw: int
    photographs: int
    texts: int
    right: int
    ok: int
    ok_right: int


class Curve:
    """Trains on few photographs, and on more.

    Args:
        dataset: of all photographs; those of them with a text are drawn from.
        source: where it is from.
        start: the model that trainings start from, and that proposes the first photographs.
        propose: the img_ids of photographs, the one that a saved model can learn most from first.
        arguments: of every training, without data, `--run`, `--weights` and `--seed`.
        output: a folder for all of it. What is there already is not trained again.

    Raises:
        UserError: nothing with a text is held out, or the folder is of another curve.
    """

    def __init__(
        self,
        dataset: Dataset,
        source: Path,
        start: Path,
        propose: Callable[[Path, Sequence[Photograph]], list[str]],
        arguments: Sequence[str],
        output: Path,
    ):
        self.source, self.start, self.propose, self.output = source, start, propose, output
        self.arguments = [*arguments]
        self.held = [one for one in dataset.validation_photographs if any(plate.text for plate in one.plates)]
        self.candidates = [one for one in dataset.photographs if any(plate.text for plate in one.plates)]
        if not self.held:
            raise UserError(f"{source}: no photograph with a text is held out, so nothing can be measured")
        call = {
            "data": str(source.resolve()),
            "start": str(start.resolve()),
            "arguments": self.arguments,
            "held out": sorted(one.img_id for one in self.held),
        }
        output.mkdir(parents=True, exist_ok=True)
        if not (output / _CALL).exists():
            write_json(output / _CALL, call)
        elif processes.kept(output / _CALL, dict) != call:
            raise UserError(f"{output}: has trainings of another call, see {_CALL} in it; name another with --output")

    def run(self, counts: Sequence[int], draws: int, orders: Sequence[str]) -> list[Point]:
        """Train what is not trained yet.

        Args:
            counts: of photographs.
            draws: how many orders of each kind.
            orders: out of `CHANCE` and `USEFUL`.

        Raises:
            UserError: there are not so many photographs, a training ends early, or another process works here.
        """
        counts = sorted(set(counts))
        if counts[-1] > len(self.candidates):
            raise UserError(
                f"{counts[-1]} photographs: {self.source} has {len(self.candidates)} with a text to train on"
            )
        points = []
        with owned(self.output / _LOCK, f"{self.output}: another process works in this folder; wait for it"):
            for draw in range(draws):
                for order in orders:
                    before = None
                    for count in counts:
                        folder = self.output / f"{order}-{draw}" / f"{count:04}"
                        points.append(self._point(folder, order, draw, count, before))
                        before = folder
        return points

    def _point(self, folder: Path, order: str, draw: int, count: int, before: Path | None) -> Point:
        """A training, or what came of it if it is done."""
        if not (folder / _FIGURES).exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._write_data(folder, self._chosen(folder, order, draw, count, before))
            new = ["--data", str(folder / _DATA), "--weights", str(self.start), "--seed", str(draw), *self.arguments]
            processes.train(processes.resumed(folder / _RUN, [*new, "--run", str(folder / _RUN)]))
            write_json(folder / _FIGURES, self._judged(folder / _RUN / "best.keras"))
        point = Point(order, draw, count, **processes.kept(folder / _FIGURES, dict))
        say(f"{count} photographs, {order}, draw {draw}: {point.right} of {point.texts} plates read")
        return point

    def _chosen(self, folder: Path, order: str, draw: int, count: int, before: Path | None) -> list[str]:
        """The img_ids of a training's photographs."""
        if (folder / _CHOSEN).exists():
            return processes.kept(folder / _CHOSEN, list)
        if order == CHANCE:
            places = np.random.default_rng(draw).permutation(len(self.candidates))[:count]
            names = [self.candidates[place].img_id for place in places]
        else:
            names = [] if before is None else processes.kept(before / _CHOSEN, list)
            model = self.start if before is None else before / _RUN / "best.keras"
            left = [one for one in self.candidates if one.img_id not in {*names}]
            # Among equals chance decides, as where a person labels while the model still reads.
            left = [left[place] for place in np.random.default_rng(draw).permutation(len(left))]
            names += self.propose(model, left)[: count - len(names)]
        write_json(folder / _CHOSEN, names)
        return names

    def _write_data(self, folder: Path, names: Sequence[str]) -> None:
        """Write a data folder of these photographs, if it is not there yet."""
        if (folder / _DATA).exists():
            return
        by_name = {one.img_id: one for one in self.candidates}
        labelled = Labelled([_labelled(by_name[name]) for name in names])
        with whole_folder(folder / _DATA) as part:
            write_ours(part, labelled, self.source)

    def _judged(self, model: Path) -> dict[str, int]:
        """What a model reads of the held-out photographs."""
        scoring = Scoring(self.held)
        for img_id, photograph, readings in PlateReader.load(model).read_files(
            (one.img_id, one.path) for one in self.held
        ):
            scoring.write(img_id, photograph, readings)
        counts = scoring.figures().counts
        (right, texts), (ok_right, ok) = counts["plates_right"], counts.get("ok_precision", (0, 0))
        return {"texts": texts, "right": right, "ok": ok, "ok_right": ok_right}


def _labelled(photograph: Photograph) -> LabelledPhotograph:
    rows = tuple(Row("", 0, photograph.img_id, one.box_px, one.text) for one in photograph.plates)
    return LabelledPhotograph(photograph.img_id, photograph.path, rows, complete=photograph.complete)


def _groups(points: Sequence[Point]) -> dict[tuple[str, int], list[Point]]:
    """The points of all draws, by order and number of photographs."""
    groups: dict[tuple[str, int], list[Point]] = {}
    for one in points:
        groups.setdefault((one.order, one.photographs), []).append(one)
    return groups


def _share(group: Sequence[Point]) -> tuple[float, float, float]:
    """The mean share of held-out plates that the models of a group read, and its interval, 0..1."""
    right, texts = mean(one.right for one in group), group[0].texts
    return right / texts, *wilson_interval(round(right), texts)


def table(points: Sequence[Point]) -> str:
    """A Markdown table: the mean of the draws, its interval for so many held-out plates, each draw, and `ok`."""
    lines = [
        "| photographs | chosen by | held-out plates read | each draw | `ok` | of these right |",
        "| --- " * 6 + "|",
    ]
    for (order, photographs), group in _groups(points).items():
        texts, (share, low, high) = group[0].texts, _share(group)
        ok, ok_right = sum(one.ok for one in group), sum(one.ok_right for one in group)
        cells = (
            str(photographs),
            order,
            f"{share:.1%} of {texts} ({low:.1%} to {high:.1%})",
            ", ".join(str(one.right) for one in group),
            f"{ok / texts / len(group):.1%}",
            f"{ok_right} of {ok}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(points: Sequence[Point], path: Path) -> None:
    """Draw the curve, with intervals, into a PNG file."""
    figure, axes = new_figure(6.4, 4.2)
    groups = _groups(points)
    for order in dict.fromkeys(one.order for one in points):
        counts = sorted(photographs for of, photographs in groups if of == order)
        shares, *ends = 100 * np.array([_share(groups[order, count]) for count in counts]).T
        label = "by chance" if order == CHANCE else "the most useful first"
        axes.errorbar(counts, shares, np.abs(ends - shares), marker="o", capsize=3, label=label)
    axes.set_xscale("log")
    ticks = sorted({one.photographs for one in points})
    axes.set_xticks(ticks, [str(one) for one in ticks], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("photographs to train on")
    axes.set_ylabel(f"plates read of {points[0].texts} held out, %")
    axes.grid(alpha=0.3)
    axes.legend()
    with whole_file(path) as part:
        figure.savefig(part, format="png")
