"""Say how good readings are: those of a predictions.csv, or of photographs that are read now.

    lpr-e2e evaluate known.csv predictions/predictions.csv
    lpr-e2e evaluate known.csv FOLDER --model DIR
    lpr-e2e evaluate known.csv predictions/predictions.csv --coco --figures figures.md

The first file is the truth: a CSV with img_id and text, boxes ymin,xmin,ymax,xmax in pixels, or both; one row a plate,
several for a photograph with several, and one with an empty box and text for a photograph without. Or labels in any
form that a training takes. Photographs are named in it as in predictions.csv: by their path below the folder given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lpr_e2e.commands.arguments import add_model, add_precision, add_threads, at_least_one
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.terminal import complain, say

if TYPE_CHECKING:
    from lpr_e2e.common.vocabulary import Vocabulary
    from lpr_e2e.evaluation.scoring import Scoring
    from lpr_e2e.evaluation.truth import Truth


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    add = parser.add_argument
    add(
        "truth",
        type=Path,
        metavar="TRUTH",
        help="CSV, a row a plate: img_id,text[,ymin,xmin,ymax,xmax]; or other labels",
    )
    add("readings", nargs="+", metavar="READINGS", help="a predictions.csv; or photographs: a folder, a file or a glob")
    add_model(parser)
    add("--format", metavar="REGEX", help="with photographs: what plates can say, as for predict")
    add_precision(parser)
    add("--batch-size", type=at_least_one, metavar="N", help="with photographs: how many per call of the model")
    add("--figures", type=Path, metavar="FILE", help="write all figures, as .md or .json")
    add("--seen", type=Path, metavar="CSV", help="texts trained on (a column text); others are scored apart")
    add("--coco", action="store_true", help="also COCO's box metrics, by keras-cv (needs TensorFlow)")
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Print the figures, and write them if asked to.

    Raises:
        UserError: wrong options or files.
        OSError: the figures cannot be written.
    """
    from lpr_e2e.common.files import refuse_inputs, require_places
    from lpr_e2e.evaluation.summary import Summary, require_form
    from lpr_e2e.evaluation.truth import read_texts, read_truth
    from lpr_e2e.prediction.models import find

    is_table = any(name.lower().endswith(".csv") for name in options.readings)
    if options.figures:
        require_form(options.figures)
        require_places([options.figures])
        given = [options.truth, *map(Path, options.readings), *([options.seen] if options.seen else [])]
        refuse_inputs([options.figures], given if is_table else [*given, find(options.model)])
    notes: list[str] = []
    truths = read_truth(options.truth, notes)
    for note in notes:
        say(note)
    seen = read_texts(options.seen) if options.seen else None
    if is_table:
        scoring, vocabulary = _score_predictions(truths, options), None
    else:
        scoring, vocabulary = _score_photographs(truths, options)
    summary = Summary.of(scoring, vocabulary, seen, _coco(scoring) if options.coco else None)
    try:
        if options.figures:
            summary.write(options.figures)
    finally:  # Neither a full disk nor a closed terminal takes the other one's figures along.
        say(summary.text())
    return 0


def _score_predictions(truths: Sequence[Truth], options: argparse.Namespace) -> Scoring:
    """Score what a predictions.csv holds."""
    from lpr_e2e.evaluation.truth import read_predictions

    if len(options.readings) > 1:
        raise UserError(f"{', '.join(options.readings)}: expected one predictions.csv, or photographs")
    if options.model or options.format or options.precision is not None:
        raise UserError(f"{options.readings[0]} is read already: --model, --format and --precision are for photographs")
    readings = read_predictions(options.readings[0])
    scoring = _scoring(truths, list(readings), options)
    for img_id, plates in readings.items():
        scoring.write(img_id, None, plates)
    return scoring


def _score_photographs(truths: Sequence[Truth], options: argparse.Namespace) -> tuple[Scoring, Vocabulary]:
    """Read the photographs of known truth, and score that; also return the model's vocabulary."""
    from tqdm import tqdm

    from lpr_e2e.common.photographs import find_photographs
    from lpr_e2e.prediction.reader import BATCH_SIZE, PlateReader

    photographs = find_photographs(options.readings)
    scoring = _scoring(truths, [img_id for img_id, _ in photographs], options)
    photographs = [(img_id, path) for img_id, path in photographs if img_id in scoring.truths]
    reader = PlateReader.load(options.model, options.format, precision=options.precision)
    if reader.format_warning:
        complain(reader.format_warning)
    with tqdm(total=len(photographs), unit="photograph", disable=None if sys.stderr else True) as progress:
        for img_id, photograph, plates in reader.read_files(photographs, options.batch_size or BATCH_SIZE):
            scoring.write(img_id, photograph, plates)
            progress.update()
    return scoring, reader.vocabulary


def _scoring(truths: Sequence[Truth], img_ids: Sequence[str], options: argparse.Namespace) -> Scoring:
    """What collects the readings of these photographs.

    Raises:
        UserError: the truth knows none of them: they are named otherwise, most likely.
    """
    from lpr_e2e.evaluation.names import as_read
    from lpr_e2e.evaluation.scoring import Scoring

    truths, note = as_read(truths, img_ids, options.truth)
    if note:
        say(note)
    scoring = Scoring(truths)
    if not scoring.truths.keys() & set(img_ids):
        known, found = (next(iter(names), "none") for names in (scoring.truths, img_ids))
        raise UserError(
            f"{options.truth}: none of its {len(scoring.truths)} photographs is among the {len(img_ids)} of "
            f"{', '.join(options.readings)}: one is named {known!r} there and one {found!r} here; "
            "name them alike in the column img_id"
        )
    return scoring


def _coco(scoring: Scoring) -> dict[str, float] | None:
    """COCO's box metrics; where they cannot be computed, say so."""
    from lpr_e2e.common.extras import install
    from lpr_e2e.evaluation.coco import box_metrics

    try:
        return box_metrics(list(scoring.truths.values()), scoring.readings)
    except ImportError as error:
        complain(
            f"no COCO box metrics: they need TensorFlow, keras-cv and pycocotools ({error}): {install('keras_cv')}"
        )
        return None
