"""Requests from this machine to this machine, told from those of other pages and names."""

import pytest

from lpr_e2e.common.hosts import is_foreign, is_this_machine


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:8000", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("[::1]:80", True),
        ("", False),
        (":80", False),
        ("evil.example", False),
        ("localhost.evil.example:80", False),
        ("127.0.0.1.evil.example", False),
        ("192.168.0.4", False),
        ("0.0.0.0", False),
        ("[2001:db8::1]:80", False),
        ("localhost:80:80", False),
        ("localhost@evil.example", False),
    ],
)
def test_only_names_of_every_machine_for_itself_are_ours(host, ours):
    assert is_this_machine(host) == ours


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        (None, False),
        ("http://localhost:80", False),
        ("HTTP://LOCALHOST:80", False),
        ("http://localhost", True),
        ("http://localhost:81", True),
        ("https://evil.example", True),
        ("null", True),
        ("", True),
    ],
)
def test_a_page_of_another_site_is_foreign(origin, foreign):
    assert is_foreign(origin, "localhost:80") == foreign
