"""How many cores this process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """The cores that this process may use."""
    return os.cpu_count() or 1
