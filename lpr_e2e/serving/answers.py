"""The answers of the service: their form, and how it is described to those who call it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel, Field

from lpr_e2e.common.images import MAX_PIXELS
from lpr_e2e.prediction.reading import COLUMNS, Reading
from lpr_e2e.serving.limits import Limits
from lpr_e2e.serving.uploads import EXPECTED, FIELD, FORM

_UNREADABLE = "unreadable: "
_TEXTS = ("img_id", "text", "status")


class Row(BaseModel):
    """A plate of a picture, or why there is none: a row of `predictions.csv`, with null where that has nothing."""

    img_id: str = Field(description="The picture's name, as it was sent.")
    text: str = Field(description="What the plate says; `?` is what cannot be seen of it. Empty if nothing was read.")
    confidence: float = Field(description="Probability of the weakest character that was read, 0 to 1.")
    ymin: float | None = Field(description="Box of the plate, pixels of the picture after EXIF rotation: upper side.")
    xmin: float | None = Field(description="Left side.")
    ymax: float | None = Field(description="Lower side.")
    xmax: float | None = Field(description="Right side.")
    box_confidence: float = Field(description="How sure the model is that there is a plate, 0 to 1.")
    status: str = Field(
        description="`ok`, `uncertain`, `incomplete`, `illegible`, `no plate`, or `unreadable: REASON`."
    )


class PictureRows(BaseModel):
    """A picture that was sent, and its rows: the most certain plate first, and at least one row."""

    name: str = Field(description="The file name that came with the picture; may be empty.")
    rows: list[Row]


class Answer(BaseModel):
    """What was read, a picture after the other as they were sent."""

    files: list[PictureRows]


class Health(BaseModel):
    """Whether pictures are read, and by what."""

    status: str = Field(description="`ready`; the answer is 503 otherwise.")
    model: str = Field(description="The model's name.")
    weights: str = Field(description="The beginning of a checksum of the model's files: other weights have another.")
    version: str = Field(description="The version of lpr-e2e.")


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="One line: what was found, what was expected, and what to do.")


_ROW = ("car.jpg", "123T4567", 0.9931, 412.3, 220.8, 447.0, 391.5, 0.9984, "ok")
EXAMPLE: dict[str, Any] = {"files": [{"name": "car.jpg", "rows": [dict(zip(COLUMNS, _ROW, strict=True))]}]}
BODY: dict[str, Any] = {
    "required": True,
    "description": f"A form with one or more pictures, each a part named `{FIELD}` with its file name.",
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        }
    },
}


def about_reading(limits: Limits) -> str:
    """What the description of the service says about reading."""
    most = f"{limits.pictures} pictures, {limits.picture_mb} MB and {MAX_PIXELS // 1_000_000} megapixels each"
    return (
        f"JPEG, PNG, BMP, WebP, GIF, TIFF, PPM, JPEG 2000 or AVIF; up to {most}, {limits.request_mb} MB together. "
        "Beside others that can be read, a picture that cannot has a row that says why; if not one can, the answer is "
        "422."
    )


def refusals(limits: Limits, key: str | None) -> dict[int | str, dict[str, Any]]:
    """What else than an answer there is, by status: for the description of the service."""
    reasons = {
        400: "The body cannot be understood, or ends too early.",
        401: "The key is missing or wrong.",
        403: "Sent by a page of another site, or addressed to another name than localhost.",
        408: f"The body did not come within {limits.body_seconds} seconds.",
        413: f"More than {limits.picture_mb} MB in a picture, {limits.request_mb} MB in the request or "
        f"{limits.pictures} pictures.",
        415: f"The body is no {FORM}.",
        422: f"No picture in the field `{FIELD}`, a field of another name, or not one of the pictures can be read.",
        429: "The queue is full, or the memory for uploads. `Retry-After` says when to come again.",
        500: "A fault of the service; its log says more.",
        503: f"No turn within {limits.answer_seconds} seconds, too many connections, or the service is being stopped.",
        504: f"The pictures were not read within {limits.answer_seconds} seconds.",
    }
    del reasons[403 if key else 401]
    example = {"application/json": {"example": {"detail": f"no picture; {EXPECTED}"}}}
    return {
        status: {"model": Problem, "description": reason} | ({"content": example} if status == 422 else {})
        for status, reason in reasons.items()
    }


def as_row(reading: Reading) -> Row:
    """A reading as a row of `predictions.csv`: numbers with as many digits, and texts as they are."""
    cells = dict(zip(COLUMNS, reading.row(), strict=True))
    numbers = {name: float(cell) if cell else None for name, cell in cells.items() if name not in _TEXTS}
    return Row.model_validate({**numbers, **{name: getattr(reading, name) for name in _TEXTS}})


def refuse_if_none_is_readable(found: Sequence[Sequence[Reading]]) -> None:
    """Make sure that something of a request could be read.

    Raises:
        HTTPException: 422, not one of its pictures could; with the reason of the first one.
    """
    reasons = [one[0].status.removeprefix(_UNREADABLE) for one in found if one[0].status.startswith(_UNREADABLE)]
    if len(reasons) == len(found):
        more = f" (and {len(reasons) - 1} more like it)" if reasons[1:] else ""
        raise HTTPException(
            422,
            f"unreadable: {' '.join(reasons[0].split())}{more}; expected a picture such as a JPEG, PNG or WebP file",
        )
