"""List the weights that come with the project: `--model NAME` of the other commands takes them."""

from __future__ import annotations

import argparse

from lpr_e2e.common.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(options: argparse.Namespace) -> int:
    """Print a table; figures are those on the photographs that the training held out."""
    from lpr_e2e.prediction.models import DEFAULT_NAME, START_NAME, megabytes, shipped, shipped_folder

    rows = [("name", "plates of", "plates right", "characters", "IoU", "licence", "forms")]
    notes = []
    for name, model in shipped().items():
        figures = model.figures
        forms = [f"{form} {megabytes(path):.1f} MB" for form, path in model.forms.items()]
        rows.append(
            (
                name,
                model.country,
                f"{figures['plates_right']:.1%} of {figures.get('texts', figures['photographs'])}",
                f"{figures['characters_right']:.1%}",
                f"{figures['mean_iou']:.3f}",
                model.licence,
                ", ".join(forms) or "not installed",
            )
        )
        notes += [f"{name}: {model.note}"] if model.note else []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    notes.append("figures: of the Keras weights, on photographs held out; those in 8 bits are in the model cards")
    notes.append(f"default: {DEFAULT_NAME}; a training starts from {START_NAME}; folder: {shipped_folder()}")
    say("\n" + "\n".join(notes))
    return 0
