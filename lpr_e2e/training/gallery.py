"""The pictures of a training in TensorBoard: what is trained on, and what the model makes of what is held out."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence

import cv2
import keras
import numpy as np

from lpr_e2e.common.boxes import Letterbox
from lpr_e2e.common.images import read_picture
from lpr_e2e.common.lettering import write_text
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.data.samples import Dataset, Photograph
from lpr_e2e.evaluation.matching import match
from lpr_e2e.model.plate_model import PlateModel
from lpr_e2e.prediction.pictures import TRUE_BOX, annotate, attention_strip
from lpr_e2e.training.board import Board
from lpr_e2e.training.evaluators import SHOWN, Photographs, read_photographs
from lpr_e2e.training.plots import calibration_plot, confusion_plot, shares_plot

# Side of the squares that photographs are shown in, pixels.
_SHOWN_SIDE, _DOTS_PER_INCH = 512, 128


class Gallery:
    """Shows pictures on the board.

    Args:
        board: shows them.
        dataset: of the run.
        vocabulary: of its model.
    """

    def __init__(self, board: Board, dataset: Dataset, vocabulary: Vocabulary):
        self.board, self.held, self.vocabulary = board, dataset.validation_photographs, vocabulary

    def show_training(self, batch: Mapping[str, np.ndarray]) -> None:
        """The augmented samples of a batch of stage two."""
        # keras-cv writes with OpenCV, which has Latin letters alone.
        photographs = canvas_gallery if has_keras_cv() and self.vocabulary.characters.isascii() else canvas_pictures
        self.board.pictures(0, "training/photographs", photographs(batch, self.vocabulary))
        self.board.pictures(0, "training/glimpses", glimpse_pictures(batch, self.vocabulary))

    def show_validation(self, epoch: int, model: PlateModel, found: Photographs, shown: Counter[str]) -> None:
        """Pictures of held-out photographs: always the same, and those read wrongly most surely; and plots.

        Args:
            epoch: of both stages together.
            model: as it stands.
            found: the last evaluation of the held-out photographs.
            shown: how many of the samples trained on came from each source.
        """
        chosen = self.held[:: max(1, len(self.held) // SHOWN)][:SHOWN]
        worst = [photograph for photograph in self.held if photograph.img_id in found.worst]
        for title, photographs in (("validation", chosen), ("mistakes", worst)):
            for name, pictures in validation_pictures(model, photographs).items():
                if pictures:
                    self.board.pictures(epoch, f"{title}/{name}", pictures)
        for name, plot in self._plots(found).items():
            self.board.pictures(epoch, f"plots/{name}", [plot])
        shares = {source: count / shown.total() for source, count in shown.items()}
        self.board.pictures(epoch, "training/sources", [shares_plot(shares, "Samples per source")])

    def _plots(self, found: Photographs) -> dict[str, np.ndarray]:
        outcomes = [one for held in self.held for one in match(held, found.readings[held.img_id]).outcomes]
        read = [one for one in outcomes if one.plate.text is not None]
        if not read:
            return {}
        return {
            "confusion of characters": confusion_plot(
                [(one.plate.text, one.text) for one in read], self.vocabulary.characters
            ),
            "calibration": calibration_plot([one.confidence for one in read], [one.is_right for one in read]),
        }


def glimpse_pictures(batch: Mapping[str, np.ndarray], vocabulary: Vocabulary, count: int = 12) -> list[np.ndarray]:
    """The first separate glimpses of a training batch with their texts below, uint8; and around each character of which
    it is known where it stands, its box."""
    pictures = []
    rows = zip(batch["glimpses"], batch["glimpse_classes"], batch["glimpse_places"], strict=True)
    for glimpse, classes, places in list(rows)[:count]:
        text, _ = vocabulary.decode(np.eye(vocabulary.classes)[classes])
        shown = cv2.resize(glimpse, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        for top, left, bottom, right in (places * np.tile(shown.shape[:2], 2)).round().astype(int).tolist():
            if bottom > top:
                cv2.rectangle(shown, (left, top), (right, bottom), TRUE_BOX, 1)
        shown = cv2.copyMakeBorder(shown, 0, 28, 0, 0, cv2.BORDER_CONSTANT, value=(32, 32, 32))
        write_text(shown, text, (4, shown.shape[0] - 14), 20, (240, 240, 240))
        pictures.append(shown)
    return pictures


def has_keras_cv() -> bool:
    """Whether keras-cv can draw here. It needs TensorFlow, which a training on another backend leaves alone."""
    if keras.backend.backend() != "tensorflow":
        return False
    try:
        import keras_cv  # noqa: F401
    except ImportError:
        return False
    return True


def canvas_gallery(batch: Mapping[str, np.ndarray], vocabulary: Vocabulary) -> list[np.ndarray]:
    """The photographs of a training batch as augmented, side by side in one picture, uint8, drawn by keras-cv.

    Its boxes have an edge that shows on light and on dark, and their texts stand at them.
    """
    from keras_cv import visualization

    count, visible = len(batch["canvases"]), batch["plate_visible"] == 1
    names = _labels(batch, vocabulary)
    rows = 1 if count % 2 else 2
    file = io.BytesIO()
    visualization.plot_bounding_box_gallery(
        np.stack([_shown(canvas) for canvas in batch["canvases"]]),
        value_range=(0, 255),
        bounding_box_format="yxyx",
        # Each box is a class of its own, named by its text; -1 is no box.
        y_true={
            "boxes": (batch["boxes_rel"] * _SHOWN_SIDE).astype("float32"),
            "classes": np.where(visible, np.arange(visible.size).reshape(visible.shape), -1),
        },
        class_mapping=dict(enumerate(name for plates in names for name in plates)),
        true_color=TRUE_BOX,
        font_scale=0.8,
        rows=rows,
        cols=count // rows,
        scale=_SHOWN_SIDE / _DOTS_PER_INCH,
        dpi=_DOTS_PER_INCH,
        transparent=False,
        path=file,
    )
    return [read_picture(file.getvalue())]


def _shown(canvas: np.ndarray) -> np.ndarray:
    return cv2.resize(canvas, (_SHOWN_SIDE, _SHOWN_SIDE), interpolation=cv2.INTER_AREA)


def _labels(batch: Mapping[str, np.ndarray], vocabulary: Vocabulary) -> list[list[str]]:
    """What is known of each plate of each photograph; only the first one's text is in a batch."""
    names = []
    for classes, known, plates in zip(batch["classes"], batch["text_known"], batch["plate_visible"], strict=True):
        first = vocabulary.decode(np.eye(vocabulary.classes)[classes])[0] if known else "text unknown"
        names.append([first if plates[0] else "no plate", *["another plate"] * (len(plates) - 1)])
    return names


def canvas_pictures(batch: Mapping[str, np.ndarray], vocabulary: Vocabulary) -> list[np.ndarray]:
    """The photographs of a training batch as augmented, with true boxes and the text to read, uint8."""
    pictures = []
    for index, (canvas, names) in enumerate(zip(batch["canvases"], _labels(batch, vocabulary), strict=True)):
        shown = _shown(canvas)
        for box, visible in zip(batch["boxes_rel"][index], batch["plate_visible"][index], strict=True):
            if visible:
                ymin, xmin, ymax, xmax = (box * _SHOWN_SIDE).round().astype(int).tolist()
                cv2.rectangle(shown, (xmin, ymin), (xmax, ymax), TRUE_BOX, 2)
        write_text(shown, names[0], (6, 17), 24, (255, 255, 255), outline=(16, 16, 16))
        pictures.append(shown)
    return pictures


def validation_pictures(model: PlateModel, photographs: Sequence[Photograph]) -> dict[str, list[np.ndarray]]:
    """What the model makes of photographs.

    Returns:
        `photographs` (true and predicted box and the text read), and of those with a plate `glimpses` (what was read)
        and `attention` (where each character was looked for): uint8 RGB pictures of one size each.
    """
    pictures: dict[str, list[np.ndarray]] = {"photographs": [], "glimpses": [], "attention": []}
    for photograph, (_, picture, readings) in zip(photographs, read_photographs(model, photographs), strict=True):
        shown = annotate(picture, readings, [plate.box_px for plate in photograph.plates])
        pictures["photographs"].append(Letterbox(*shown.shape[:2], _SHOWN_SIDE).draw(shown))
        best = readings[0]
        if best.glimpse is not None:
            shown = cv2.resize(best.glimpse, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
            pictures["glimpses"].append(shown)
            pictures["attention"].append(attention_strip(best.glimpse, best.attention, best.text))
    return pictures
