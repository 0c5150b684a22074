"""The report: what it holds, and that it works in a real browser, if there is one."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from lpr_e2e.common.pages import STYLE
from lpr_e2e.evaluation.calibration import risk_coverage
from lpr_e2e.evaluation.report import ReportWriter
from lpr_e2e.evaluation.scoring import score
from lpr_e2e.evaluation.truth import TruePlate, Truth
from lpr_e2e.prediction.reading import Reading

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">.jpg"
BOX = (20.0, 30.0, 40.0, 110.0)


def reading(img_id, text, confidence, status="ok", box=BOX):
    certainties = (confidence,) * (len(text) + 1)
    glimpse = np.full((16, 48, 3), 90, "uint8")
    attention = np.full((8, 2, 12), 1 / 24)
    return Reading(
        img_id, text, confidence, box, 0.9, status, certainties=certainties, glimpse=glimpse, attention=attention
    )


def write_report(path, count=130):
    """Photographs `0.jpg` ... of growing certainty, every tenth doubtful and wrong; an evil name; a broken one."""
    photograph = np.full((100, 160, 3), 120, "uint8")
    doubtful = range(0, count, 10)
    truths = {
        f"{number}.jpg": Truth(f"{number}.jpg", (TruePlate(BOX, "9T9" if number in doubtful else f"{number}T1"),))
        for number in range(count)
    }
    all_readings = {}
    with ReportWriter(path, "Licence plates of <b>here</b>", truths, "99 % are <b>right</b>", 0.45) as page:
        for number, img_id in enumerate(truths):
            sure = number not in doubtful
            all_readings[img_id] = [
                reading(img_id, f"{number}T1", 0.5 + number / 1000 if sure else 0.3, "ok" if sure else "uncertain")
            ]
            page.write(img_id, photograph, all_readings[img_id])
        page.write(EVIL, photograph, [reading(EVIL, "66T6", 0.99)])
        page.write("broken.jpg", None, [Reading("broken.jpg", status="unreadable: empty file (0 bytes)")])
        page.add_figures(score(list(truths.values()), all_readings))


OTHER, FAR = (60.0, 30.0, 80.0, 110.0), (60.0, 120.0, 80.0, 158.0)


def write_report_of_several(path):
    """Two plates, one of them missed; no plate, read rightly and not; Arabic and Chinese; boxes alone; no truth."""
    photograph = np.full((100, 160, 3), 120, "uint8")
    photograph[60:80, 30:110] = (250, 220, 0)
    known = {
        "two.jpg": [TruePlate(BOX, "12T345"), TruePlate(OTHER, "7T77")],
        "none.jpg": [],
        "false.jpg": [],
        "arabic.jpg": [TruePlate(BOX, "سطن٧١٢٦"), TruePlate(OTHER, "粤BA9H07")],
        "boxes.jpg": [TruePlate(BOX)],
    }
    truths = {img_id: Truth(img_id, tuple(plates)) for img_id, plates in known.items()}
    readings = {
        "two.jpg": [reading("two.jpg", "12T345", 0.9), reading("two.jpg", "8", 0.4, "uncertain", FAR)],
        "none.jpg": [Reading("none.jpg")],
        "false.jpg": [reading("false.jpg", "4T4", 0.95)],
        "arabic.jpg": [
            reading("arabic.jpg", "سطن٧١٢٦", 0.9),
            reading("arabic.jpg", "粤BA9H01", 0.6, "uncertain", OTHER),
        ],
        "boxes.jpg": [Reading("boxes.jpg", "5T5", 0.8, BOX, 0.9, "ok", certainties=(0.8,) * 4)],
        "unknown.jpg": [reading("unknown.jpg", "6T6", 0.7)],
    }
    with ReportWriter(path, "Several", truths) as page:
        for img_id, found in readings.items():
            page.write(img_id, photograph, found)
        page.add_figures(score(list(truths.values()), readings))


def data_of(html, name):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html)[1])


def test_everything_read_is_in_the_file(tmp_path):
    write_report(tmp_path / "report.html", 20)
    html = (tmp_path / "report.html").read_text()
    index = data_of(html, "about")["index"]
    assert [entry["name"] for entry in index] == [f"{number}.jpg" for number in range(20)] + [EVIL, "broken.jpg"]
    assert [entry["right"] for entry in index[:11]] == [False] + [True] * 9 + [False]
    plate = data_of(html, "photograph-3")["plates"][0]
    assert (
        plate["text"] == "3T1" and plate["box"] == list(BOX) and len(plate["looks"]) == len(plate["certainties"]) == 4
    )
    np.testing.assert_allclose(plate["looks"][0][:2], [0.5, 0.5])  # Even attention: its centre is the middle.
    assert "picture" not in data_of(html, "photograph-21")
    assert STYLE in html and "<!-- data -->" not in html
    assert EVIL not in html and [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert not re.search(r'(?:src|href)="(?!data:)', html)  # Nothing is fetched from anywhere.


def test_several_plates_and_none_are_compared_one_by_one(tmp_path):
    write_report_of_several(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    about = data_of(html, "about")
    assert {entry["name"]: entry.get("right") for entry in about["index"]} == {
        "two.jpg": False, "none.jpg": True, "false.jpg": False, "arabic.jpg": False, "boxes.jpg": None,
        "unknown.jpg": None,
    }  # fmt: skip
    two, none, false, arabic, boxes, unknown = (data_of(html, f"photograph-{number}") for number in range(6))
    assert two["missed"] == [{"text": "7T77", "cut": two["missed"][0]["cut"]}]
    assert two["true_boxes"] == [list(BOX), list(OTHER)]
    assert [plate.get("truth") for plate in two["plates"]] == ["12T345", None]
    assert [plate.get("false") for plate in two["plates"]] == [None, True]
    assert none == {"plates": [], "true_boxes": [], "missed": []} | {
        key: none[key] for key in ("picture", "height", "width")
    }
    assert false["plates"][0]["false"] and arabic["plates"][1]["truth"] == "粤BA9H07"
    # Where there is no window that was read, the photograph itself shows the plate.
    assert "cut" in boxes["plates"][0] and "truth" not in boxes["plates"][0] and "true_boxes" not in unknown
    # Without a truth for it, a reading is neither right nor wrong.
    assert dict(about["statuses"]) == {
        "ok": {"readings": 5, "right": 2, "nowhere": 1},
        "uncertain": {"readings": 2, "nowhere": 1, "wrong": 1},
        "no plate": {"readings": 1},
    }
    assert ["plates found", "80.0% (4 of 5; 37.6% to 96.4%)"] in about["figures"]
    assert len(about["risk"]) == 4


def test_what_was_written_before_an_interruption_is_a_whole_page(tmp_path):
    with pytest.raises(KeyboardInterrupt), ReportWriter(tmp_path / "report.html", "x") as page:
        page.write("a.jpg", None, [Reading("a.jpg")])
        raise KeyboardInterrupt
    html = (tmp_path / "report.html").read_text()
    assert data_of(html, "about")["index"][0]["name"] == "a.jpg" and html.rstrip().endswith("</html>")


def test_risk_and_coverage():
    assert risk_coverage([(0.2, False), (0.9, True)]) == [(0.5, 0.0, 0.9), (1.0, 0.5, 0.2)]
    assert risk_coverage([]) == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
class TestInBrowser:
    def visit(self, tmp_path, action="", write=write_report):
        """The page's elements after an action (JavaScript), and what the browser's console said."""
        write(tmp_path / "report.html")
        html = (tmp_path / "report.html").read_text()
        acted = tmp_path / "acted.html"
        acted.write_text(html.replace("</body>", f"<script>{action}</script></body>"))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
        done = subprocess.run(
            [BROWSER, *options, f"--user-data-dir={tmp_path / 'profile'}", acted.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    def names(self, page):
        return re.findall(r'<div class="name"[^>]*>(.*?)</div>', page, re.DOTALL)

    def test_it_shows_the_first_photographs_without_a_complaint(self, tmp_path):
        page, console = self.visit(tmp_path)
        assert console == []
        assert self.names(page) == [f"{number}.jpg" for number in range(60)]
        assert "132 photographs: 118 ok, 13 uncertain, 1 unreadable" in page
        assert "plate accuracy (exact match)" in page and "<polyline" in page
        assert 'class="text">3T1<' in page and "in truth <bdi>9T9</bdi>" in page

    def test_what_is_promised_and_what_ok_costs_is_shown(self, tmp_path):
        page, console = self.visit(tmp_path)
        assert console == [] and '<div id="promise">99 % are &lt;b&gt;right&lt;/b&gt;</div>' in page
        assert 'id="bar"' in page
        # Of 130 plates the 13 doubtful ones are below the bar, and wrong.
        assert (
            "45.0 %, the least that a reading needs to be ok: 90.0 % of the plates have it, 0 % of these are wrong"
            in page
        )
        page, _ = self.visit(tmp_path, write=write_report_of_several)
        assert '<div id="promise" hidden=""></div>' in page and 'id="bar"' not in page

    def test_plates_that_were_missed_or_invented_are_shown(self, tmp_path):
        page, console = self.visit(tmp_path, write=write_report_of_several)
        assert console == [] and len(self.names(page)) == 6
        assert "not found: <bdi>7T77</bdi>" in page
        # The false reading that is `ok` is a mistake, the doubtful one is none.
        for kind in ("bad", "doubt"):
            assert page.count(f'<div class="{kind}">no plate is labelled here</div>') == 1
        assert "in truth <bdi>粤BA9H07</bdi>" in page and "no plate, and none is labelled" in page
        assert re.search(r"<td>uncertain</td><td[^>]*>2</td><td[^>]*>0</td><td[^>]*>1</td><td[^>]*>1</td>", page)

    def test_characters_stand_side_by_side_as_on_the_plate(self, tmp_path):
        """Arabic letters run from right to left, their digits from left to right, and the end is on the left."""
        page, _ = self.visit(tmp_path, "at('search').value = 'arabic'; show();", write_report_of_several)
        rows = re.findall(r'<div class="characters">(.*?)</div>', page, re.DOTALL)
        shown = [re.findall(r"<span[^>]*>(.*?)<small>", row) for row in rows]
        assert shown == [["end", *"٧١٢٦", *"نطس"], [*"粤BA9H01", "end"]]

    def test_photographs_are_found_by_any_of_their_plates(self, tmp_path):
        for action, expected in (
            ("at('search').value = '7T77';", ["two.jpg"]),
            ("at('status').value = 'uncertain';", ["two.jpg", "arabic.jpg"]),
            ("at('most').value = 50;", ["two.jpg", "none.jpg"]),
            ("at('wrong').checked = true;", ["two.jpg", "false.jpg", "arabic.jpg"]),
        ):
            assert self.names(self.visit(tmp_path, f"{action} show();", write_report_of_several)[0]) == expected

    def test_names_are_shown_and_never_run(self, tmp_path):
        page, console = self.visit(tmp_path, "at('search').value = 'owned'; show();")
        assert console == [] and len(self.names(page)) == 1
        assert "<title>Licence plates of &lt;b&gt;here&lt;/b&gt;</title>" in page
        assert self.names(page)[0].startswith("&lt;/script&gt;&lt;script&gt;document.title")

    @pytest.mark.parametrize(
        ("action", "expected"),
        [
            ("at('status').value = 'unreadable';", ["broken.jpg"]),
            ("at('status').value = 'uncertain'; at('search').value = '5';", ["50.jpg"]),
            ("at('wrong').checked = true; at('search').value = '12';", ["120.jpg"]),
            ("at('order').value = 'sure'; at('most').value = 63; at('search').value = '12';",
             ["129.jpg", "128.jpg", "127.jpg", "126.jpg", "125.jpg", "124.jpg", "123.jpg", "122.jpg", "121.jpg",
              "112.jpg", "12.jpg", "120.jpg"]),
        ],
    )  # fmt: skip
    def test_filters_and_order(self, tmp_path, action, expected):
        page, console = self.visit(tmp_path, action + "at('tools').dispatchEvent(new Event('input'));")
        assert console == []
        assert self.names(page) == expected

    def test_more_are_shown_on_demand(self, tmp_path):
        page, _ = self.visit(tmp_path, "at('show-more').click(); at('show-more').click();")
        assert len(self.names(page)) == 132 and "132 shown" in page
