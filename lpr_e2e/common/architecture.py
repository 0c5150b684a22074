"""The sizes of the model. How it is used to read is in `procedure`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lpr_e2e.common.errors import UserError

# The most that the box head can take a plate to rise or fall along its width, radians.
MOST_TILT = 0.6

# What each size may be at least and at most; of tuples, each of their items. Far more than is of use, and little enough
# that a model file cannot fill the memory before anybody sees that it is none.
_RANGES = {
    "canvas_size": (32, 8192),
    "scene_shrink": (1, 64),
    "glimpse_size": (16, 2048),
    "widths": (1, 4096),
    "depths": (0, 64),
    "head_width": (1, 4096),
    "heads": (1, 64),
    "decoder_depth": (1, 64),
}
# The most weights of the backbone's blocks, of two convolutions of 3 x 3 each; ours have about a million.
_MOST_WEIGHTS = 500_000_000


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
        for one in fields(self):
            value, example, (least, most) = getattr(self, one.name), one.default, _RANGES[one.name]
            # One number is like a tuple of one.
            sizes, usual = (value, example) if isinstance(example, tuple) else ((value,), (example,))
            right = isinstance(sizes, tuple) and len(sizes) == len(usual)
            if not right or not all(type(size) is int and least <= size <= most for size in sizes):
                raise UserError(f"{one.name} {value!r:.60}: expected {example!r} or the like, {least} to {most}")
        stages = zip(self.widths[1:], self.depths, strict=True)
        if sum(2 * 9 * width**2 * depth for width, depth in stages) > _MOST_WEIGHTS:
            raise UserError(f"widths {self.widths}, depths {self.depths}: expected at most {_MOST_WEIGHTS:,} weights")
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
