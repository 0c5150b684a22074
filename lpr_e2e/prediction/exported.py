"""The exported model: two small networks, run by ONNX Runtime or LiteRT, and what lies between them in numpy.

The first network finds plates in a scene, the second reads a glimpse. Cutting windows, choosing plates and looking
again happen here, for those plates only that need it; so TensorFlow is not imported, and a photograph without a plate
costs less than half as much. The answers are those of `lpr_e2e.model.plate_model.PlateModel` up to rounding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lpr_e2e.common.boxes import intersection_over_union, turn_box
from lpr_e2e.common.errors import UserError
from lpr_e2e.common.procedure import (
    FURTHER_CONFIDENCE,
    LEAST_CONFIDENCE,
    LEAST_TURN,
    SAME_PLATE_IOU,
    SUPPRESSION_IOU,
    SURE_CONFIDENCE,
    TILT_SLACK,
    TILTS,
    TURN_POWER,
    VOTE_IOU,
    window_margin,
)
from lpr_e2e.common.vocabulary import Vocabulary
from lpr_e2e.prediction.reading import BOX_THRESHOLD

DESCRIPTION = "model.json"
ONNX_FILES = {"find": "find.onnx", "read": "read.onnx", "weights": "weights.bin"}
# In 8 bits, for processors: as exact, and nearly twice as fast.
ONNX_INT8_FILES = {"find": "find_int8.onnx", "read": "read_int8.onnx", "weights": "weights_int8.bin"}
ONNX_FORMS = {"ONNX int8": ONNX_INT8_FILES, "ONNX": ONNX_FILES}  # The fastest first.
TFLITE_FILE, INT8_FILE = "plates.tflite", "plates_int8.tflite"

# The C library returns blocks larger than any freed before to the system, and gets them again, page by page, for every
# photograph, which takes a fifth of its time. Freeing one of this many bytes makes it keep them.
_KEPT = 8 << 20

Network = Callable[[np.ndarray], dict[str, np.ndarray]]


class ExportedModel:
    """Gives what `lpr_e2e.model.plate_model.PlateModel` gives, with the same methods for prediction.

    Args:
        description: what `lpr_e2e.export` wrote to `model.json`.
        find: the first network: scenes uint8 `(batch, side, side, 3)` to `objectness` logits `(batch, cells)`,
            `cell_boxes` `(batch, cells, 4)`, `cell_turns` logits `(batch, cells, 4)` and `cell_tilts` `(batch, cells)`.
        read: the second: glimpses uint8 `(batch, height, width, 3)` to `logits` `(batch, slots, classes)` and
            `attention` `(batch, slots, rows, columns)`.
    """

    def __init__(self, description: dict, find: Network, read: Network):
        self.vocabulary = Vocabulary(description["characters"], description["slots"])
        self.canvas_size = description["canvas_size"]
        self.scene_shrink = description["scene_shrink"]
        self.glimpse_size = tuple(description["glimpse_size"])
        self.grid_size = tuple(description["grid_size"])
        self.plates = description["plates"]
        self.second_look = description["second_look"]
        self.reading_scales = description["reading_scales"]
        self.sure = description["sure"]
        self.temperature = description["temperature"]
        self.doubt = description["doubt"]
        self.rectify = description["rectify"]
        self._find, self._read = find, read

    def predict_on_batch(self, canvases: np.ndarray) -> dict[str, np.ndarray]:
        """Find and read the plates of canvases, uint8 `(batch, canvas_size, canvas_size, 3)`.

        Returns:
            as `PlateModel`, with glimpses in uint8; of what is no plate only the box is filled in.
        """
        count = len(canvases)
        found = self._find(np.stack([shrunk(canvas, self.scene_shrink) for canvas in canvases]))
        first = [best_plates({name: one[index] for name, one in found.items()}, self.plates) for index in range(count)]
        outputs = {name: np.stack([one[name] for one in first]) for name in first[0]}
        confidence = outputs["box_confidence"]
        best = [(image, 0) for image in range(count) if confidence[image, 0] >= LEAST_CONFIDENCE]
        self._look_again(canvases, outputs, best)
        least = np.where(confidence[:, :1] >= SURE_CONFIDENCE, FURTHER_CONFIDENCE, LEAST_CONFIDENCE)
        further = [(image, 1 + plate) for image, plate in np.argwhere(confidence[:, 1:] >= least)]
        self._look_again(canvases, outputs, further)
        places = [place for place in [*best, *further] if confidence[place] >= BOX_THRESHOLD]
        answers = self._read_plates(
            [
                (
                    canvases[place[0]],
                    outputs["boxes_rel"][place],
                    outputs["turns"][place].argmax(),
                    self.rectify * outputs["tilts"][place],
                )
                for place in places
            ]
        )
        for name, (shape, kind) in self._answer_shapes().items():
            outputs[name] = np.zeros((count, self.plates, *shape), kind)
            for place, answer in zip(places, answers, strict=True):
                outputs[name][place] = answer[name]
        return outputs

    def read_glimpses(self, glimpses: np.ndarray) -> np.ndarray:
        """See `PlateModel.read_glimpses`."""
        return _softmax(self._read(glimpses)["logits"] / self.temperature)

    def read_again(self, canvas: np.ndarray, box_rel: np.ndarray, turns: np.ndarray) -> dict[str, np.ndarray]:
        """Read one plate from all sides, see `PlateModel.read_again`; a side that cannot win any more is not read."""
        size, margin = self.glimpse_size, window_margin(1.0)
        best, score = (0, 0.0), -1.0
        for side in np.argsort(-turns, kind="stable"):
            most = turns[side] ** TURN_POWER  # No certainty is above 1.
            if turns[side] < LEAST_TURN or most <= score:
                break
            glimpses = np.stack([cut_window(canvas, box_rel, side, size, margin, 2, tilt) for tilt in TILTS])
            certainties = [self.vocabulary.certainty(one) for one in _softmax(self._read(glimpses)["logits"])]
            tilt = int(np.argmax(certainties))
            if certainties[tilt] * most > score:
                best, score = (side, TILTS[tilt]), certainties[tilt] * most
        return self._read_plates([(canvas, box_rel, *best)])[0]

    def _look_again(self, canvases: np.ndarray, outputs: dict, places: list[tuple[int, int]]) -> None:
        """The second look at these plates, into the outputs, in place; see `PlateModel.look_again`."""
        if not self.second_look or not places:
            return
        firsts = [outputs["boxes_rel"][place] for place in places]
        windows = [second_window(first, self.second_look) for first in firsts]
        size = (self.canvas_size // self.scene_shrink,) * 2
        turns = [int(outputs["turns"][place].argmax()) for place in places]
        scenes = [
            cut_window(canvases[image], window, quarters, size, (0.0, 0.0), 1)
            for (image, _), window, quarters in zip(places, windows, turns, strict=True)
        ]
        found = self._find(np.stack(scenes))
        for index, place in enumerate(places):
            again = best_plates({name: one[index] for name, one in found.items()}, 1)
            seen = turn_box(again["boxes_rel"][0], 1, 1, -turns[index])  # In the window as it lies on the canvas.
            corner, side = windows[index][:2], windows[index][2] - windows[index][0]
            box_rel = seen * side + np.tile(corner, 2)
            if intersection_over_union(box_rel, firsts[index]) > SAME_PLATE_IOU:
                outputs["boxes_rel"][place] = box_rel
                outputs["turns"][place] = np.roll(again["turns"][0], turns[index])
                outputs["tilts"][place] = again["tilts"][0]
                outputs["box_confidence"][place] = (outputs["box_confidence"][place] + again["box_confidence"][0]) / 2

    def _read_plates(self, plates: list[tuple]) -> list[dict[str, np.ndarray]]:
        """`characters`, `attention` and `glimpses` of plates given as canvas, box, turns and tilt."""
        if not plates:
            return []
        glimpses, answer = self._read_at(plates, self.reading_scales[:1])
        logs = np.log(np.maximum(_softmax(answer["logits"]), 1e-30))
        characters = _softmax(logs / self.temperature)
        unsure = [place for place, one in enumerate(characters) if self.vocabulary.certainty(one) < self.sure]
        if unsure and len(self.reading_scales) > 1:
            others = self._read_at([plates[place] for place in unsure], self.reading_scales[1:])[1]["logits"]
            others = np.log(np.maximum(_softmax(others), 1e-30)).reshape(len(unsure), -1, *logs.shape[1:])
            agreed = (logs[unsure] + others.sum(1)) / len(self.reading_scales)
            characters[unsure] = _softmax(agreed / self.temperature)
        return [
            {"characters": one, "attention": attention, "glimpses": glimpse}
            for one, attention, glimpse in zip(characters, answer["attention"], glimpses, strict=True)
        ]

    def _read_at(self, plates: list[tuple], scales: tuple[float, ...]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Glimpses of each plate at each scale, plate by plate, and what the second network gives for them."""
        glimpses = np.stack(
            [
                cut_window(canvas, box_rel, turns, self.glimpse_size, window_margin(scale), 2, tilt)
                for canvas, box_rel, turns, tilt in plates
                for scale in scales
            ]
        )
        return glimpses, self._read(glimpses)

    def _answer_shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        slots, classes = self.vocabulary.slots, self.vocabulary.classes
        return {
            "characters": ((slots, classes), "float32"),
            "attention": ((slots, *self.grid_size), "float32"),
            "glimpses": ((*self.glimpse_size, 3), "uint8"),
        }


def shrunk(canvas: np.ndarray, factor: int) -> np.ndarray:
    """The scene `(side / factor, side / factor, 3)` of a canvas `(side, side, 3)`, both uint8: means of squares.

    A blur of which every pixel that is wanted is taken is twice as fast as a resize by area.
    """
    side = len(canvas) // factor
    return cv2.resize(cv2.blur(canvas, (factor, factor), anchor=(0, 0)), (side, side), interpolation=cv2.INTER_NEAREST)


def best_plates(found: dict[str, np.ndarray], plates: int) -> dict[str, np.ndarray]:
    """The most certain plates of one photograph, see `lpr_e2e.model.box_head.best_plates`, which does the same."""
    confidence, boxes = np.exp(-np.logaddexp(0, -found["objectness"])), found["cell_boxes"]
    left, chosen = confidence.copy(), []
    for _ in range(plates):
        best = int(left.argmax())
        overlap = intersection_over_union(boxes, boxes[best])
        votes = left * (overlap > VOTE_IOU)
        votes[best] += 1e-6
        voters = np.flatnonzero(votes)
        votes = votes[voters] / votes.sum()
        turns = _softmax(found["cell_turns"][voters])
        chosen.append((votes @ boxes[voters], left[best], votes @ turns, votes @ found["cell_tilts"][voters]))
        left = left * (overlap <= SUPPRESSION_IOU)
        left[best] = 0.0
    names = ("boxes_rel", "box_confidence", "turns", "tilts")
    return {name: np.array(parts, "float32") for name, parts in zip(names, zip(*chosen, strict=True), strict=True)}


def second_window(box_rel: np.ndarray, second_look: float) -> np.ndarray:
    """The square `(4,)` yxyx around a box, `second_look` of its longer sides wide, in the box's frame."""
    side = second_look * (box_rel[2:] - box_rel[:2]).max()
    corner = (box_rel[:2] + box_rel[2:] - side) / 2
    return np.concatenate([corner, corner + side])


def cut_window(
    canvas: np.ndarray,
    box_rel: np.ndarray,
    turns: int,
    size: tuple[int, int],
    margin: tuple[float, float],
    samples: int,
    tilt: float = 0.0,
) -> np.ndarray:
    """One upright window, see `lpr_e2e.model.glimpse.cut_glimpses`, which does the same, differentiably.

    Args:
        canvas: uint8 `(side, side, 3)`.
        box_rel: `(4,)` yxyx, 0..1 of the canvas.
        turns, margin, samples, tilt: as there.
        size: height and width of the window, pixels.

    Returns:
        uint8 `(height, width, 3)`.
    """
    height, width = size
    cosine, sine = round(np.cos(turns * np.pi / 2)), round(np.sin(turns * np.pi / 2))
    sides = box_rel[2:] - box_rel[:2]
    high, wide = (sides[1], sides[0]) if turns % 2 else (sides[0], sides[1])
    high, wide = _tilted_sides(high, wide, max(abs(tilt) - TILT_SLACK, 0.0))
    # From the window's pixel (column, row) to the plate's frame, to the tilted, to the lying one, to canvas pixels.
    rows, columns = height * samples, width * samples
    across, down = wide * (1 + 2 * margin[1]) / columns, high * (1 + 2 * margin[0]) / rows
    to_plate = np.array(
        [[across, 0, across * (0.5 - columns / 2)], [0, down, down * (0.5 - rows / 2)], [0, 0, 1]], "float64"
    )
    tilted = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    lying = np.array([[cosine, -sine], [sine, cosine]])
    matrix = len(canvas) * (lying @ tilted @ to_plate[:2])
    centre = (box_rel[:2] + box_rel[2:])[::-1] / 2
    matrix[:, 2] += len(canvas) * centre - 0.5
    window = cv2.warpAffine(
        canvas, matrix, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    # By whole factors, this is the mean.
    return cv2.resize(window, (width, height), interpolation=cv2.INTER_AREA) if samples > 1 else window


def _tilted_sides(high: float, wide: float, tilt: float) -> tuple[float, float]:
    """See `lpr_e2e.model.glimpse._tilted_sides`."""
    sine, cosine, both = np.sin(tilt), np.cos(tilt), np.cos(2 * tilt)
    plate_wide = max((wide * cosine - high * sine) / both, wide / 2)
    least = min(high, max(plate_wide / 6, high / 4))
    return max((high * cosine - wide * sine) / both, least), plate_wide


def _softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def load(folder: str | Path, threads: int | None = None) -> ExportedModel:
    """Load what `python -m lpr_e2e export` wrote, with the fastest of its forms for which a runtime is installed.

    Args:
        folder: the folder.
        threads: of the runtime; all cores if None.

    Raises:
        FileNotFoundError: the folder holds no exported model.
        ValueError: a file of it is damaged, or was written by another version.
        ImportError: no runtime is installed that can run it.
    """
    return load_several(folder, 1, threads or os.cpu_count() or 1)[0]


def load_several(folder: str | Path, count: int, threads: int = 1) -> list[ExportedModel]:
    """The same, `count` times, for as many threads that read at the same time; `threads` are those of each runtime."""
    folder = Path(folder)
    np.empty(_KEPT, "uint8")
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder}: no exported model (there is no {DESCRIPTION}); write one with `python -m lpr_e2e export`"
        ) from None
    missing = []
    for files, runtime in (*((files, "onnxruntime") for files in ONNX_FORMS.values()), (None, "ai-edge-litert")):
        if not (folder / (files["find"] if files else TFLITE_FILE)).exists():
            continue
        try:
            if files:  # One session serves any number of threads.
                networks = [onnx_networks(folder, threads, files)] * count
            else:
                networks = [tflite_networks(folder, threads) for _ in range(count)]
            return [ExportedModel(description, *one) for one in networks]
        except ImportError:
            missing.append(runtime)
        except KeyError as error:
            raise UserError(
                f"{folder / DESCRIPTION}: no {error}; export the model anew with `python -m lpr_e2e export`"
            ) from None
    names = ", ".join(dict.fromkeys(missing)) or "onnxruntime, ai-edge-litert"
    raise ImportError(f"{folder}: needs one of {names}; pip install it")


def onnx_networks(folder: Path, threads: int, files: dict[str, str] = ONNX_FILES) -> tuple[Network, Network]:
    """Both networks in ONNX Runtime; `files` is `ONNX_FILES` or `ONNX_INT8_FILES`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait for work by spinning would take the cores from the other network, decoding and cutting.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3

    def network(file: str) -> Network:
        try:
            session = onnxruntime.InferenceSession(folder / file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # The runtime's own kinds.
            raise UserError(f"{folder / file}: no ONNX model written by lpr_e2e export: {error}") from error
        names = [output.name for output in session.get_outputs()]
        (given,) = session.get_inputs()
        kind = "uint8" if given.type == "tensor(uint8)" else "float32"
        return lambda batch: dict(
            zip(names, session.run(names, {given.name: batch.astype(kind, copy=False)}), strict=True)
        )

    return network(files["find"]), network(files["read"])


def tflite_networks(folder: Path, threads: int, file: str = TFLITE_FILE) -> tuple[Network, Network]:
    """Both networks in LiteRT; `file` is `TFLITE_FILE` or `INT8_FILE`."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(folder / file), num_threads=threads)
    except ValueError as error:
        raise UserError(f"{folder / file}: no TFLite model written by lpr_e2e export: {error}") from error

    def network(signature: str) -> Network:
        runner = interpreter.get_signature_runner(signature)
        (given,) = runner.get_input_details()
        return lambda batch: runner(**{given: batch.astype("float32")})

    return network("find"), network("read")
