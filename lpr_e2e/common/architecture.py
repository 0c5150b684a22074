"""The sizes of the model."""

from __future__ import annotations

from dataclasses import dataclass

from lpr_e2e.common.errors import UserError


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
        plates: the most plates looked for on one photograph.
        second_look: side of the window in which each plate is looked for again, in longer sides of its box: there the
            plate is large, its box exact, and what only resembled a plate is told apart. 0 leaves it out.
        reading_scales: heights of the glimpses in which each plate is read at prediction, in heights of the usual one;
            widths differ a third as much. Their answers are averaged: a box a little off then costs no character.
        sure: plates read with at least this certainty in the first of the `reading_scales` are not read in the others.
        rectify: whether a plate is read along its tilt, as the box head sees it, or always in an upright window.
        doubt: plates read with less certainty are read again from all sides, see `PlateModel.read_again`; 0: none.
    """

    canvas_size: int = 960
    scene_shrink: int = 3
    glimpse_size: tuple[int, int] = (64, 192)
    widths: tuple[int, ...] = (16, 32, 64, 112, 144)
    depths: tuple[int, ...] = (1, 2, 2, 1)
    head_width: int = 80
    heads: int = 4
    decoder_depth: int = 2
    plates: int = 3
    second_look: float = 2.1
    reading_scales: tuple[float, ...] = (1.0, 1.15, 0.9)
    sure: float = 0.98
    rectify: bool = True
    doubt: float = 0.9

    def __post_init__(self):
        if self.canvas_size % (32 * self.scene_shrink):
            raise UserError(
                f"canvas_size {self.canvas_size}: expected a multiple of 32 * scene_shrink = {32 * self.scene_shrink}"
            )
        if any(side % 16 for side in self.glimpse_size):
            raise UserError(f"glimpse_size {self.glimpse_size}: expected multiples of 16")
        if not self.reading_scales or min(self.reading_scales) <= 0:
            raise UserError(f"reading_scales {self.reading_scales}: expected at least one factor above 0")

    @classmethod
    def from_config(cls, config: dict) -> Architecture:
        """The architecture of a dict as `dataclasses.asdict` or JSON give it (lists for tuples)."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in config.items()})
