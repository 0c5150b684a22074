"""How far a share that was counted can be off: its 95 % interval."""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


def wilson_interval(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0..1 (Wilson 1927); it is sound for small numbers and for shares of 0 and 1.

    The same as `scipy.stats.binomtest(count, of).proportion_ci(method="wilson")`; scipy is no part of an installation
    that only reads.

    Args:
        count: how many of them have what is counted.
        of: how many there are, at least 1.
    """
    share, square = count / of, _Z * _Z
    middle = share + square / (2 * of)
    half = _Z * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    low, high = (middle - half) / (1 + square / of), (middle + half) / (1 + square / of)
    # Where all or none were counted the end is exact, but for rounding.
    return (0.0 if count == 0 else low), (1.0 if count == of else high)


def interval_in_words(count: int, of: int) -> str:
    """What a share was counted from, and its interval: `(155 of 159; 93.7% to 99.0%)`."""
    low, high = wilson_interval(count, of)
    return f"({count} of {of}; {low:.1%} to {high:.1%})"
