"""The sizes of the model. How it is used to read is in `procedure`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lpr_e2e.common.errors import UserError

# The most that the box head can take a plate to rise or fall along its width, radians.
MOST_TILT = 0.6


@dataclass(frozen=True)
class Architecture:
    """The sizes of the model; everything is static, so that it exports.

    Attributes:
        canvas_size: side of the square canvas that a photograph is letterboxed into, pixels.
        scene_shrink: canvas pixels per scene pixel; `canvas_size / scene_shrink` is a multiple of 32.
        glimpse_size: height and width of the window that is read, pixels; multiples of 16.
        widths, depths: see `lpr_e2e.model.backbone.Backbone`.
        head_width: channels of the fused maps of both heads.
        heads, decoder_depth: attention heads and layers of the decoder.
    """

    canvas_size: int = 960
    scene_shrink: int = 3
    glimpse_size: tuple[int, int] = (64, 192)
    widths: tuple[int, ...] = (16, 32, 64, 112, 144)
    depths: tuple[int, ...] = (1, 2, 2, 1)
    head_width: int = 80
    heads: int = 4
    decoder_depth: int = 2

    def __post_init__(self):
        if self.canvas_size % (32 * self.scene_shrink):
            raise UserError(
                f"canvas_size {self.canvas_size}: expected a multiple of 32 * scene_shrink = {32 * self.scene_shrink}"
            )
        if any(side % 16 for side in self.glimpse_size):
            raise UserError(f"glimpse_size {self.glimpse_size}: expected multiples of 16")

    @property
    def scene_size(self) -> int:
        """Side of the square scene in which plates are looked for, pixels."""
        return self.canvas_size // self.scene_shrink

    @classmethod
    def from_config(cls, config: Mapping) -> Architecture:
        """The architecture of a dict as `dataclasses.asdict` or JSON give it (lists for tuples).

        Models from before procedures were stored keep some numbers of reading here too; `Procedure.from_config` takes
        those.
        """
        names = {one.name for one in fields(cls)}
        values = {name: value for name, value in config.items() if name in names}
        sizes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**sizes)
