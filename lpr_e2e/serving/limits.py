"""How much a service takes of its callers, and how long it waits for them."""

from __future__ import annotations

from dataclasses import dataclass

# One million bytes: what options and messages count in.
MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """How much a service takes from its callers.

    Attributes:
        picture_mb, request_mb: most megabytes of a picture and of a request's body.
        pictures: most pictures of a request.
        held_mb: most megabytes of all requests that are being received, wait or are read at a time.
        waiting: most pictures that wait to be read.
        connections: most connections whose requests are answered.
        body_seconds: within which a request's body must have come.
        answer_seconds: within which its pictures must have been read after that.
    """

    picture_mb: int = 20
    request_mb: int = 64
    pictures: int = 16
    held_mb: int = 512
    waiting: int = 64
    connections: int = 128
    body_seconds: int = 20
    answer_seconds: int = 30
