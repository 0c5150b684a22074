"""A promised precision: how certain a reading must be, so that of those that are believed a share is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lpr_e2e.common.errors import UserError

# Unless it is asked for another one, a model promises the highest precision up to the first number that leaves at least
# this share of the held-out plates `ok`, as they were photographed: a promise that calls every fifth plate uncertain
# helps nobody. With 0.99, nine of 122 pictures without a plate were `ok` to the Egyptian weights, with 0.95 one.
_USUAL_PRECISION, _USUAL_COVERAGE = 0.99, 0.94
# More than anybody holds out.
_MOST_PLATES = 10**9


@dataclass(frozen=True)
class Bar:
    """What a promise asks of a reading, and what that costs.

    Attributes:
        precision: of the readings with at least the `certainty` this share is right, 0..1.
        certainty: the least certainty of a reading's weakest character, 0..1.
        coverage: the share of the held-out plates, as they were photographed, that were read with at least it.
    """

    precision: float
    certainty: float
    coverage: float


@dataclass(frozen=True)
class Promise:
    """What a model can promise, measured on plates that were held out of its training.

    Attributes:
        plates: how many plates it was measured on; 0 for a model that promises nothing.
        confidence: how sure each bar is: of so many measurements like this one, this share keeps what it promises.
        bars: the highest precision last.
    """

    plates: int = 0
    confidence: float = 0.9
    bars: tuple[Bar, ...] = ()

    def bar(self, precision: float | None = None) -> Bar | None:
        """The bar of the least precision that is at least the one asked for, by default the usual one.

        Where the model cannot promise as much, that of the highest that it can; None if it promises nothing.
        """
        if precision is None:
            usual = [bar for bar in self.bars if bar.precision <= _USUAL_PRECISION and bar.coverage >= _USUAL_COVERAGE]
            return (usual[::-1] or self.bars or (None,))[0]
        enough = [bar for bar in self.bars if bar.precision >= precision - 1e-9]
        return (enough or self.bars[::-1] or (None,))[0]

    def told(self, precision: float | None = None) -> str:
        """`in_words`, for a command to print; "" where nothing is promised and nobody has asked for a precision."""
        return self.in_words(precision) if self.bars or precision is not None else ""

    def in_words(self, precision: float | None = None) -> str:
        """What is promised, a line for people."""
        bar = self.bar(precision)
        if bar is None:
            return "no precision is promised: the plates that were held out of the training show none"
        less = f"; {precision:.1%} cannot be shown" if precision and bar.precision < precision - 1e-9 else ""
        return (
            f"of readings with `ok`, {bar.precision:.1%} are right on photographs like those this was measured on "
            f"({self.confidence:.0%} sure; {self.plates} plates, {bar.coverage:.1%} of them `ok`){less}"
        )

    def as_config(self) -> dict:
        """Plain values for JSON."""
        bars = [[bar.precision, bar.certainty, bar.coverage] for bar in self.bars]
        return {"plates": self.plates, "confidence": self.confidence, "bars": bars}

    @classmethod
    def from_config(cls, config: Mapping | None) -> Promise:
        """The promise of `as_config`; None is that of a model from before there were promises.

        Raises:
            UserError: a value is missing or cannot be.
        """
        if config is None:
            return cls()
        expected = "promise: expected plates, confidence and bars of three shares each, the highest precision last"
        try:
            plates, confidence = config["plates"], config["confidence"]
            bars = tuple(Bar(*map(_share, bar)) for bar in config["bars"])
            promise = cls(plates, _share(confidence), bars)
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{expected}; found {config!r:.200}") from None
        ordered = [bar.precision for bar in bars]
        if type(plates) is not int or not 0 <= plates <= _MOST_PLATES or ordered != sorted(set(ordered)):
            raise UserError(f"{expected}; found {config!r:.200}")
        return promise


def _share(value) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1 or math.isnan(value):
        raise ValueError(value)
    return float(value)


def checked_precision(precision: float) -> float:
    """A precision that was asked for.

    Raises:
        UserError: it is no share between 0 and 1.
    """
    if isinstance(precision, bool) or not isinstance(precision, (int, float)) or not 0 < precision < 1:
        raise UserError(f"precision: {precision!r:.40}; expected a share between 0 and 1, such as 0.99")
    return float(precision)


def least_certainty(promise: Promise, precision: float | None) -> float:
    """What a reading needs to be `ok`: 0 if the model promises nothing."""
    bar = promise.bar(precision)
    return bar.certainty if bar else 0.0
