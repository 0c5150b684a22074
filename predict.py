"""Read the licence plates on photographs.

    python predict.py FOLDER
    python predict.py car.jpg "holiday/*.jpg" --output read
    python predict.py FOLDER --truth known.csv           how good is the model?
    python predict.py FOLDER --submission submission.csv the 2019 challenge's form

Writes predictions.csv (one row per plate, at least one per file), report.html with all of them to look at, and
pictures with the plates drawn in.
Exit status: 0 when every file was processed, also if some could not be read (see the column status); 2 for a wrong
call; 1 if the results cannot be written; 130 after Ctrl-C. Everything read before is on disk then.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Without a GPU, TensorFlow reports an error that is none.

from tqdm import tqdm  # noqa: E402

from lpr_e2e.common.photographs import find_photographs  # noqa: E402
from lpr_e2e.common.terminal import say  # noqa: E402
from lpr_e2e.evaluation import report  # noqa: E402
from lpr_e2e.evaluation import scoring as evaluation  # noqa: E402
from lpr_e2e.evaluation.summary import Summary  # noqa: E402
from lpr_e2e.prediction import challenge as submission  # noqa: E402
from lpr_e2e.prediction import outputs as prediction_files  # noqa: E402
from lpr_e2e.prediction import reader as prediction  # noqa: E402


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("photographs", nargs="+", metavar="FOLDER", help="a folder (searched with all below it), a file or a glob")
    add("--model", type=Path, metavar="FILE", help=f"default: saved_models/{prediction.DEFAULT_MODEL.name}")
    add("--output", type=Path, metavar="DIR", help="default: predictions, but never within the photographs' folder")
    add("--no-report", action="store_true", help="write no report.html")
    add("--no-pictures", action="store_true", help="draw no pictures")
    add("--format", metavar="REGEX", help="what plates can say; decides between readings that are nearly as likely")
    add("--jsonl", action="store_true", help="also write predictions.jsonl: a line per plate, certainties included")
    add("--submission", type=Path, metavar="FILE", help="also write the 2019 challenge's form")
    add("--truth", type=Path, metavar="CSV", help="score the readings against img_id,text[,ymin,xmin,ymax,xmax]")
    add("--figures", type=Path, metavar="FILE", help="with --truth: write all figures, as .md or .json")
    add(
        "--seen",
        type=Path,
        metavar="CSV",
        help="with --truth: texts trained on (a column text), to tell apart new ones",
    )
    add("--batch-size", type=int, default=prediction.BATCH_SIZE, metavar="N", help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not options.truth and (options.figures or options.seen):
        parser.error("--figures and --seen need --truth")
    if options.figures and options.figures.suffix not in (".md", ".json"):
        parser.error(f"--figures {options.figures}: expected a name that ends in .md or .json")
    if options.batch_size < 1:
        parser.error(f"--batch-size {options.batch_size}: expected at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        # Everything that can be wrong with the call is found before the first photograph is read.
        photographs = find_photographs(options.photographs)
        scoring = evaluation.Scoring(evaluation.read_truth(options.truth) if options.truth else [])
        seen = evaluation.read_texts(options.seen) if options.seen else None
        reader = prediction.PlateReader.load(options.model, options.format)
        form = None
        if options.submission:
            form = submission.SubmissionForm(reader.vocabulary, [img_id for img_id, _ in photographs])
        output = options.output or prediction_files.default_output(options.photographs)
        writer = prediction_files.PredictionsWriter(output, not options.no_pictures, photographs)
        lines = prediction_files.JsonLines(output / "predictions.jsonl") if options.jsonl else contextlib.nullcontext()
        pages = contextlib.nullcontext()
        if not options.no_report:
            pages = report.ReportWriter(output / "report.html", title(options.photographs), scoring.truths)
    except (ValueError, OSError) as error:
        say(f"predict.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130

    stopped = None
    try:
        with writer, lines as json_lines, pages as page:
            receivers = [receiver for receiver in (writer, json_lines, page, scoring, form) if receiver is not None]
            stopped = read(reader, photographs, options.batch_size, receivers)
            if page and options.truth:
                page.add_figures(scoring.figures(reader.vocabulary), scoring.readings)
        if form:
            form.save(options.submission)
    except OSError as error:  # The end of a file could not be written.
        stopped = stopped or error
    if stopped is not None:
        reason = "interrupted" if isinstance(stopped, KeyboardInterrupt) else f"stopped, {stopped}"
        done = f"{writer.count} of {len(photographs)} photographs are in {writer.csv_path}"
        say(f"predict.py: {reason}: {done}", file=sys.stderr)
        return 130 if isinstance(stopped, KeyboardInterrupt) else 1
    counts = ", ".join(f"{count} {status}" for status, count in writer.statuses.most_common())
    place = page.path if page else writer.csv_path
    say(f"{writer.count} photograph{'s' * (writer.count != 1)}: {counts}; see {place}")
    if options.truth:
        summary = Summary.of(scoring, reader.vocabulary, seen)
        say(f"\n{summary.text()}")
        if options.figures:
            try:
                summary.write(options.figures)
            except OSError as error:
                say(f"predict.py: {error}", file=sys.stderr)
                return 1
    return 0


def title(photographs: list[str]) -> str:
    others = f" and {len(photographs) - 1} more" if photographs[1:] else ""
    return f"Licence plates of {photographs[0]}{others}"


def read(reader, photographs, batch_size: int, receivers: list) -> KeyboardInterrupt | OSError | None:
    """Give every photograph's readings to all receivers as they come; return what stopped it, if anything did."""
    with tqdm(total=len(photographs), unit="photograph", disable=None) as progress:
        try:
            for img_id, photograph, readings in reader.read_files(photographs, batch_size):
                for receiver in receivers:
                    receiver.write(img_id, photograph, readings)
                progress.update()
        except (KeyboardInterrupt, OSError) as error:  # An OSError here is about writing: the disk is full, say.
            return error
    return None


if __name__ == "__main__":
    sys.exit(main())
