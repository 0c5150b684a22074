"""Pages that we write, by axe-core in a browser: names for screen readers, contrast, landmarks, light and dark."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra label is not installed")

from test_check import write_faulty  # noqa: E402
from test_label import ROOT, Program, none, opened, two, write_photographs  # noqa: E402
from test_report import write_report_of_several  # noqa: E402

from lpr_e2e.data.check import check_data  # noqa: E402
from lpr_e2e.data.check_page import write_page  # noqa: E402
from lpr_e2e.video.outputs import Pass  # noqa: E402
from lpr_e2e.video.page import PassPage  # noqa: E402

# Not in the repository: `npm install axe-core` beside it, or its file named here.
AXE = Path(os.environ.get("AXE", ROOT / "node_modules/axe-core/axe.min.js"))
pytestmark = pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: AXE names its axe.min.js")

LOOKS = {"light": {}, "dark": {"color_scheme": "dark"}, "phone": {"viewport": {"width": 390, "height": 780}}}


@pytest.fixture(params=LOOKS)
def look(request):
    return LOOKS[request.param]


def faults(page) -> list[tuple]:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]


def write_check(path) -> None:
    data = path.parent / "data"
    data.mkdir()
    write_page(check_data(write_faulty(data).path), path)


def write_passes(path) -> None:
    Image.fromarray(np.full((90, 160, 3), 120, "uint8")).save(path.parent / "frame.png")
    with PassPage(path.parent, "gate.mp4") as page:
        for number, (text, status) in enumerate([("12T34", "ok"), ("سطن7126", "uncertain"), ("", "illegible")], 1):
            where, pictures = (20.0, 30.0, 40.0, 110.0, 0.9), ("frame.png", "frame.png")
            page.write(Pass(number, text, 0.9, status, 1.0, 2.5, 30, 2.0, *where, *pictures, "gate.mp4", [0.9]))
    (path.parent / "passes.html").rename(path)


@pytest.fixture(scope="module", params=[write_check, write_report_of_several, write_passes])
def written(request, tmp_path_factory):
    """A page of results."""
    path = tmp_path_factory.mktemp("pages") / "page.html"
    request.param(path)
    return path


def test_axe_finds_nothing_on_a_page_of_results(browser, written, look):
    # Without the page's policy, which lets no script of others in.
    page = browser.new_context(bypass_csp=True, **look).new_page()
    page.goto(written.as_uri())
    page.wait_for_timeout(250)
    assert page.locator("h1").text_content()
    assert faults(page) == []
    page.context.close()


def test_axe_finds_nothing_while_labelling(browser, tmp_path, look):
    program = Program(write_photographs(tmp_path / "photographs", 2), "--model", "none")
    page = opened(browser, program.address, **look)
    for act in (none, two, lambda page: page.keyboard.press("?")):
        page.keyboard.press("Escape")
        act(page)
        page.wait_for_timeout(250)  # Colours change within 150 milliseconds.
        assert faults(page) == []
    program.end()
    page.context.close()


def test_axe_finds_what_is_wrong(browser, tmp_path):
    (tmp_path / "page.html").write_text(
        "<title>t</title><h1>t</h1><p style='color:#ddd;background:#fff'>hardly seen</p>"
    )
    page = browser.new_context().new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert "color-contrast" in [name for name, _ in faults(page)]
    page.context.close()
