"""What TensorBoard shows of a training: curves of every term and figure, pictures, settings."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from lpr_e2e.common.boxes import Letterbox
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.dataset import Photograph
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.pictures import annotate, attention_strip
from lpr_e2e.prediction.reader import PlateReader

# Side of the squares that photographs are shown in, pixels.
_SHOWN_SIDE = 512


class Board:
    """Writes event files for `tensorboard --logdir`, with one run for training and one for validation.

    Args:
        folder: where the event files go.

    Raises:
        OSError: they cannot be written, by any method.
    """

    def __init__(self, folder: str | Path):
        self._folder = folder
        self._writers = {
            side: tf.summary.create_file_writer(str(Path(folder) / side)) for side in ("training", "validation")
        }

    @contextlib.contextmanager
    def _written(self, side: str, step: int):
        """What is summarised within is on disk afterwards."""
        try:
            with self._writers[side].as_default(step):
                yield
            self._writers[side].flush()
        except tf.errors.OpError as error:
            raise OSError(f"{self._folder}: event files cannot be written: {error.message}") from error

    def scalars(self, side: str, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curves; `side` is `training` or `validation`."""
        with self._written(side, step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def pictures(self, step: int, name: str, pictures: Sequence[np.ndarray]) -> None:
        """Show uint8 RGB pictures `(h, w, 3)`, all of one size."""
        with self._written("validation", step):
            tf.summary.image(name, np.stack(pictures), max_outputs=len(pictures))

    def text(self, name: str, markdown: str) -> None:
        """Show a text."""
        with self._written("validation", 0):
            tf.summary.text(name, markdown)

    def settings(self, settings: Mapping, figures: Mapping[str, float], step: int) -> None:
        """Hyperparameters beside the final figures, for the table of runs."""
        flat = {}
        for name, value in settings.items():
            for inner, one in value.items() if isinstance(value, Mapping) else [("", value)]:
                key = f"{name}.{inner}" if inner else name
                flat[key] = one if isinstance(one, (int, float, str, bool)) else str(one)
        with self._written("validation", step):
            hparams.hparams(flat)
            for name, value in figures.items():
                tf.summary.scalar(f"final/{name}", value)

    def close(self) -> None:
        """Finish the event files."""
        for writer in self._writers.values():
            writer.close()


def glimpse_pictures(batch: Mapping[str, np.ndarray], vocabulary: Vocabulary, count: int = 12) -> list[np.ndarray]:
    """The first separate glimpses of a training batch with their texts below, uint8."""
    pictures = []
    for glimpse, classes in list(zip(batch["glimpses"], batch["glimpse_classes"], strict=True))[:count]:
        text, _ = vocabulary.decode(np.eye(vocabulary.classes)[classes])
        shown = cv2.resize(glimpse, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        shown = cv2.copyMakeBorder(shown, 0, 28, 0, 0, cv2.BORDER_CONSTANT, value=(32, 32, 32))
        cv2.putText(shown, text, (4, shown.shape[0] - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (240, 240, 240), 2)
        pictures.append(shown)
    return pictures


def canvas_pictures(batch: Mapping[str, np.ndarray], vocabulary: Vocabulary) -> list[np.ndarray]:
    """The photographs of a training batch as augmented, with true box and text, uint8."""
    pictures = []
    for index, canvas in enumerate(batch["canvases"]):
        shown = cv2.resize(canvas, (_SHOWN_SIDE, _SHOWN_SIDE), interpolation=cv2.INTER_AREA)
        if batch["plate_visible"][index]:
            ymin, xmin, ymax, xmax = (batch["boxes_rel"][index] * _SHOWN_SIDE).round().astype(int).tolist()
            cv2.rectangle(shown, (xmin, ymin), (xmax, ymax), (77, 171, 255), 2)
        label = "no plate" if not batch["plate_visible"][index] else "text unknown"
        if batch["text_known"][index]:
            label, _ = vocabulary.decode(np.eye(vocabulary.classes)[batch["classes"][index]])
        cv2.putText(shown, label, (6, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (16, 16, 16), 4)
        cv2.putText(shown, label, (6, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
        pictures.append(shown)
    return pictures


def validation_pictures(model: PlateModel, photographs: Sequence[Photograph]) -> dict[str, list[np.ndarray]]:
    """What the model makes of photographs.

    Returns:
        `photographs` (true and predicted box and the text read), and of those with a plate `glimpses` (what was read)
        and `attention` (where each character was looked for): uint8 RGB pictures of one size each.
    """
    pictures: dict[str, list[np.ndarray]] = {"photographs": [], "glimpses": [], "attention": []}
    named = [(photograph.img_id, photograph.path) for photograph in photographs]
    found = PlateReader.of(model).read_files(named)
    for photograph, (_, picture, readings) in zip(photographs, found, strict=True):
        shown = annotate(picture, readings, photograph.box_px)
        pictures["photographs"].append(Letterbox(*shown.shape[:2], _SHOWN_SIDE).draw(shown))
        best = readings[0]
        if best.glimpse is not None:
            shown = cv2.resize(best.glimpse, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
            pictures["glimpses"].append(shown)
            pictures["attention"].append(attention_strip(best.glimpse, best.attention, best.text))
    return pictures
