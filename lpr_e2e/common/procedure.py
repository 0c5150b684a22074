"""The numbers of looking at a plate, shared by the Keras model (`model`) and its exported form (`exported`)."""

from __future__ import annotations

import numpy as np

# Share of the plate's upright (height, width) that is added on each side of a glimpse: boxes are never exact.
MARGIN = (0.15, 0.06)
# Cells whose boxes overlap the best one by more than this share vote for the final box.
VOTE_IOU = 0.6
# A second plate may overlap a better one by no more than this.
SUPPRESSION_IOU = 0.3
# Both looks see the same plate if their boxes overlap by more than this.
SAME_PLATE_IOU = 0.3
# What the first look believes in less than this is not looked at again. If the best candidate has proved to be a plate,
# the others need more, because most of them are none, and each takes as long as the whole photograph.
LEAST_CONFIDENCE, FURTHER_CONFIDENCE, SURE_CONFIDENCE = 0.1, 0.3, 0.5
# The most that a plate is taken to rise or fall along its width, radians.
MOST_TILT = 0.6
# A window is cut as if the plate were tilted by this much less, radians: a box off by a little, or a tilt that is not
# there, then costs no character.
TILT_SLACK = 0.04
# Tilts at which a doubtful plate is read again, in radians, each at every quarter turn that is at least this likely. Of
# these, the likelier ones are preferred: this power of their probability counts.
TILTS = np.deg2rad([-24.0, -16.0, -8.0, 0.0, 8.0, 16.0, 24.0])
LEAST_TURN, TURN_POWER = 0.01, 0.25


def window_margin(scale: float) -> tuple[float, float]:
    """`MARGIN` of a window that is higher by the factor `scale`, and wider by a third of the difference."""
    growth = (scale, 1 + (scale - 1) / 3)
    return tuple(((1 + 2 * share) * factor - 1) / 2 for share, factor in zip(MARGIN, growth, strict=True))
