"""The event files of a training, for TensorBoard: curves, pictures, texts, settings.

They are written with tensorboardX, without TensorFlow. Of it only what writes at once is used: its `SummaryWriter`
writes in a thread of its own, where a full disk is noticed by nobody.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

SIDES = ("training", "validation")
# The number of the type of texts and bytes in event files.
_STRING = 7


class Board:
    """Writes event files for `tensorboard --logdir`, with one run for training and one for validation.

    Args:
        folder: where the event files go.

    Raises:
        OSError: they cannot be written, by any method.
    """

    def __init__(self, folder: str | Path):
        self._folder = folder
        self._writers = {}
        for side in SIDES:
            path = Path(folder) / side
            path.mkdir(parents=True, exist_ok=True)
            # Their names have seconds; a run that is killed and resumed within one keeps both files.
            self._writers[side] = EventsWriter(str(path / "events"), f".{os.getpid()}.{time.time_ns()}")

    @contextlib.contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(f"{self._folder}: event files cannot be written: {error}") from error

    def _write(self, side: str, step: int, values: Sequence[Summary.Value]) -> None:
        """Put these values on disk."""
        with self._failing_clearly():
            event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
            self._writers[side].write_event(event)
            self._writers[side].flush()

    def scalars(self, side: str, step: int, values: Mapping[str, float]) -> None:
        """Add a point to the curves; `side` is one of `SIDES`."""
        self._write(side, step, [Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def pictures(self, step: int, name: str, pictures: Sequence[np.ndarray]) -> None:
        """Show uint8 RGB pictures `(h, w, 3)`, all of one size."""
        height, width = pictures[0].shape[:2]
        files = [cv2.imencode(".png", cv2.cvtColor(one, cv2.COLOR_RGB2BGR))[1].tobytes() for one in pictures]
        sides = [str(side).encode() for side in (width, height)]
        self._write("validation", step, [_strings(name, "images", [*sides, *files])])

    def text(self, name: str, markdown: str) -> None:
        """Show a text."""
        self._write("validation", 0, [_strings(name, "text", [markdown.encode()], scalar=True)])

    def settings(self, settings: Mapping, figures: Mapping[str, float], step: int) -> None:
        """Hyperparameters beside the final figures, for the table of runs."""
        flat = {}
        for name, value in settings.items():
            for inner, one in value.items() if isinstance(value, Mapping) else [("", value)]:
                key = f"{name}.{inner}" if inner else name
                flat[key] = one if isinstance(one, (int, float, str, bool)) else str(one)
        final = {f"final/{name}": value for name, value in figures.items()}
        for one in summary.hparams(flat, final):
            self._write("validation", step, one.value)
        self.scalars("validation", step, final)

    def close(self) -> None:
        """Finish the event files."""
        with self._failing_clearly():
            for writer in self._writers.values():
                writer.close()


def _strings(name: str, plugin: str, values: Sequence[bytes], scalar: bool = False) -> Summary.Value:
    """Texts or files as TensorBoard's plugins for pictures and texts read them, all under one name."""
    shape = TensorShapeProto(dim=[] if scalar else [TensorShapeProto.Dim(size=len(values))])
    return Summary.Value(
        tag=name,
        metadata=SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin)),
        tensor=TensorProto(dtype=_STRING, tensor_shape=shape, string_val=values),
    )
