"""Nothing that comes from files steers the terminal."""

from __future__ import annotations

import pytest

from lpr_e2e.common.terminal import printable, say


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ü, تونس, 京\nnext line", "plain, ü, تونس, 京\nnext line"),
        ("\x1b]0;title\x07.jpg", r"\x1b]0;title\x07.jpg"),
        ("over\rwritten\tand\x00", r"over\rwritten\tand\x00"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("no text: \udcff", r"no text: \udcff"),
    ],
)
def test_what_could_steer_it_is_written_out(text, shown, capsys):
    assert printable(text) == shown
    say(text)
    assert capsys.readouterr().out == shown + "\n"
