"""Whom a request over HTTP is addressed to, and which page has sent it.

A page of a stranger's that a browser shows can send requests to this machine: to `localhost`, which the browser tells
by the header `Origin`, or to a name of the stranger's that leads here (DNS rebinding), which the header `Host` tells.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re


def is_this_machine(host: str) -> bool:
    """Whether a `Host` header, with or without a port, is a name that leads every machine to itself."""
    name = re.sub(r":\d*$", "", host.lower())
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    return name == "localhost"


def is_foreign(origin: str | None, host: str) -> bool:
    """Whether an `Origin` header, if there is one, is that of another site than the one addressed."""
    return origin is not None and origin.lower().partition("://")[2] != host.lower()
