"""Texts of a set come to one form, decided over all of them; whatever is changed is named, and clean texts stay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpr_e2e.data.tables import Row
from lpr_e2e.data.texts import normalise_texts


def normalise(texts, csv="plates.csv"):
    return normalise_texts(
        [Row(csv, number, f"{number}.jpg", None, text) for number, text in enumerate(texts, start=2)]
    )


def now(*texts):
    return [row.text for row in normalise(texts).rows]


CLEAN = {
    "egypt": ["سطن٧١٢٦", "أنع٨١٩", "رىع١٦٤٧", "صقد٢٤١١", "هأق٤٧٦"],
    "china": ["粤BA9H07", "京A12345", "津MRW368", "粤B1234学", "沪AGH092"],
    "tunisia": ["169T9685", "39T8707", "123456N", "1T1"],
    "indonesia": ["B1876UYP", "AB1652CX", "AD1614SP"],
    "russia": ["А123ВС77", "К777УТ199", "Х001ЕН50"],
    "thailand": ["กข1234", "1ฆจ77", "ชฌ9999กรุงเทพมหานคร"],
    "korea": ["12가3456", "서울34나5678", "123다7890"],
    "japan": ["品川300さ1234", "横浜500た77"],
    "netherlands": ["12-AB-34", "ZZ-99-XX", "1-ABC-23"],
    "lower": ["ab123", "cd456"],
    "iran": ["۱۲ب۳۴۵", "۶۷د۸۹۱"],
    "points": ["粤B·A9H07", "京A·12345"],
    "georgia": ["აბ123გდ", "AB123CD", "EF456GH"],
}


@pytest.mark.parametrize("country", CLEAN)
def test_clean_texts_stay_as_they_are(country):
    found = normalise(CLEAN[country])
    assert [row.text for row in found.rows] == CLEAN[country] and not found.problems and not found.notes


def test_rows_without_a_text_stay_without_and_in_place():
    found = normalise([None, "AB12", None])
    assert [row.text for row in found.rows] == [None, "AB12", None] and not found.problems


# One line, no blanks


@pytest.mark.parametrize(
    "between", ["\n", "\r\n", "\r", "|", " | ", "\\n", "\\r\\n", "<br>", "<BR/>", "\u2028", " \n "]
)
@pytest.mark.parametrize(
    "first, second", [("AB", "12"), ("سطن", "٧١٢٦"), ("粤B", "A9H07"), ("서울12", "가3456"), ("กข", "12")]
)
def test_two_lines_become_one_in_reading_order(between, first, second):
    found = normalise([first + between + second])
    [problem] = found.problems
    assert found.rows[0].text == first + second and problem.kind == "text of several lines" and problem.harmless
    assert problem.value == first + between + second and repr(first + second) in problem.message


@pytest.mark.parametrize("blank", [" ", "  ", "\t", "\u00a0", "\u2009", "\u3000", "_"])
def test_blanks_are_no_characters(blank):
    found = normalise([f"AB{blank}12", "CD34"])
    assert [row.text for row in found.rows] == ["AB12", "CD34"]
    assert [(one.row, one.kind, one.harmless) for one in found.problems] == [(2, "blanks within a text", True)]
    assert found.notes == [f"1 text changed, blanks within a text: {'AB' + blank + '12'!r} is taken as 'AB12'."]


@pytest.mark.parametrize(
    "written",
    ["AB / 12", "AB\u21b512", "AB \u23ce 12", "AB_x000D_\n12", "AB\u00b612", '["AB", "12"]', "['AB','12']", "['AB12']"],
)
def test_what_tools_write_between_lines_is_no_part_of_a_text(written):
    found = normalise([written, "CD34"])
    assert [row.text for row in found.rows] == ["AB12", "CD34"]
    assert {one.kind for one in found.problems} == {"text of several lines"}


@pytest.mark.parametrize("written", ["AB/12", "[AB12]", "[1,2]", "AB_12X"])
def test_slashes_and_brackets_of_a_text_stay(written):
    assert now(written, "CD34") == [written.replace("_", ""), "CD34"]


# Spreadsheets


@pytest.mark.parametrize(
    "written", ['="AB12"', '=""AB12""', '= "AB12"', "'AB12", "\u2019AB12", "'AB12'", '"AB12"', "AB12", " AB12 "]
)
def test_what_keeps_a_text_a_text_is_no_part_of_it(written):
    assert now(written, "CD34") == ["AB12", "CD34"]


def test_a_column_of_numbers_with_a_point_is_one_of_whole_numbers():
    found = normalise(["7809.0", "123.0", "7.0", None])
    assert [row.text for row in found.rows] == ["7809", "123", "7", None]
    assert [(one.kind, one.harmless) for one in found.problems] == [("number of a spreadsheet", True)] * 3
    assert any("zeros" in note for note in found.notes)


def test_a_number_with_a_point_among_other_texts_is_named_and_not_used():
    found = normalise(["AB12", "7809.0", "CD34", "EF56"])
    assert [row.text for row in found.rows] == ["AB12", None, "CD34", "EF56"]
    assert [(one.row, one.kind, one.harmless) for one in found.problems] == [(3, "spreadsheet damage", False)]


def test_each_file_is_a_column_of_its_own():
    rows = [Row("a.csv", 2, "1", None, "7809.0"), Row("b.csv", 2, "2", None, "AB12")]
    assert [row.text for row in normalise_texts(rows).rows] == ["7809", "AB12"]


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["12,345", "67890", "1,234"], ["12345", "67890", "1234"]),
        (["1,234,567", "AB1234"], ["1234567", "AB1234"]),
        # Commas that other texts have as well are the plates' own, and others are none of thousands.
        (["12,345", "AB,12"], ["12,345", "AB,12"]),
        (["12,34", "56,78"], ["12,34", "56,78"]),
    ],
)
def test_commas_of_thousands_are_no_characters(texts, expected):
    found = normalise(texts)
    assert [row.text for row in found.rows] == expected
    assert {one.kind for one in found.problems} == ({"number of a spreadsheet"} if texts != expected else set())


LOST = "1.23E+04 1,23E+12 1E+05 #N/A #NAME? #REF! #DIV/0! ######## =A1&B1 12-Mar Mar-12 01-Mai 2012-03-01".split()


FURTHER = (
    "#ССЫЛКА! #ЗНАЧ! #Н/Д #值! 12.мар 12-Agu 12-Ağu 12-paź 12-Αυγ 3月12日 03/12/24 12.03.24 12:34 12:34:00".split()
)


@pytest.mark.parametrize(
    "written",
    [
        *LOST,
        *FURTHER,
        "2012-03-01 00:00:00",
        "01/03/2012",
        "1.3.2012",
        "1-3-2012",
        "12-Mar-2012",
        "3월 12일",
        "1:30 PM",
    ],
)
def test_what_a_spreadsheet_has_lost_is_named_and_not_used(written):
    found = normalise(["AB1234", written, "CD5678"])
    assert [row.text for row in found.rows] == ["AB1234", None, "CD5678"]
    [problem] = found.problems
    assert (problem.row, problem.value, problem.kind, problem.harmless) == (3, written, "spreadsheet damage", False)


@pytest.mark.parametrize(
    "texts",
    [
        ["12-MAR", "34-XYZ", "56-ABC"],
        ["MAR-12", "XYZ-34"],
        ["2012-03-01", "8899-77-66"],
        ["12E34", "1E5", "7E1234"],
        ["MAR1234", "DEC12"],
        ["12-AGU", "34-XYZ"],
        ["12.03.24", "12.99.24"],
        ["12:34", "99:99"],
        ["45.67.89", "31-12-24", "AB#12"],
        ["B1876DEC"],
    ],
)
def test_plates_that_only_look_like_damage_stay(texts):
    assert now(*texts) == texts


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("cp1252", ["粤B12345", "京A88888", "AB12"]),
        ("cp1252", ["M-Ü123", "AB12"]),
        ("cp1252", ["سطن٧١٢٦", "رى٤٢", "AB12"]),
        ("cp1251", ["А123ВС77", "К777УТ99", "Х001ЕН50"]),
        ("cp1250", ["ŁÓ12", "ŻÓŁ3", "ĘĄ77", "AB12"]),
        ("cp1254", ["ŞĞ12", "ÖÇ34", "ÜĞ56"]),
    ],
)
def test_utf_8_that_a_program_took_for_a_code_page_is_read_and_said(page, texts):
    wrong = ["".join(bytes([one]).decode(page, "ignore") or chr(one) for one in text.encode()) for text in texts]
    found = normalise(wrong)
    assert [row.text for row in found.rows] == texts
    changed = [one for one in found.problems if one.kind == "text read in a wrong encoding"]
    assert len(changed) == sum(not text.isascii() for text in texts) and all(one.harmless for one in found.problems)
    assert f"{wrong[0]!r} is taken as {texts[0]!r}" in found.notes[0]


@pytest.mark.parametrize(
    "texts", [["M-Ü123", "Ã12"], ["ÄÖ12", "SÃO1"], ["РІ12", "АІ34", "ВІ56"], ["粤B2"], ["РІ12"], ["ŁÓ1"], ["AÂ·1"]]
)
def test_letters_that_are_no_utf_8_in_a_code_page_stay(texts):
    assert not [one for one in normalise(texts).problems if one.kind == "text read in a wrong encoding"]


# No text


@pytest.mark.parametrize(
    "written",
    [
        *("?", "???", "*", "-", "--", ".", "#", "###", "unknown", "Unreadable", "n/a", "nan", "None", "NULL", "不清楚"),
        *(
            "(unreadable)",
            "[UNK]",
            "<unreadable>",
            "<NA>",
            "（不清）",
            "Not visible",
            "N.A.",
            "no plate",
            "□□□",
            "ilegível",
        ),
        *("not readable", "Text not legible", "non lisible", "cannot be read", "can't be read", "nicht lesbar"),
        *("number is not visible", "no number", "no plate visible", "não legível", "plate unreadable", "not clear"),
        *("неразборчиво", "อ่านไม่ออก", "판독불가", "غير واضح", "לא קריא", "okunamıyor"),
    ],
)
def test_signs_that_nobody_knows_the_text_are_no_text(written):
    found = normalise(["AB12", written])
    assert [row.text for row in found.rows] == ["AB12", None]
    assert [(one.row, one.kind, one.harmless) for one in found.problems] == [(3, "no text", True)]
    assert len(found.notes) == 1 and "1 text not used, no text" in found.notes[0]


@pytest.mark.parametrize("written", ["AB?2", "A*12", "\ufffdB12", "AB□2", "■B12"])
def test_a_text_that_is_partly_unknown_is_not_used(written):
    found = normalise(["AB12", "CD34", written])
    assert found.rows[2].text is None and found.problems[0].kind == "partly unknown text" and found.problems[0].harmless


@pytest.mark.parametrize(
    "written", ["(AB)12", "[AB12]", "EMPTY", "NOREAD1", "UNREAL", "NOT12", "UNKN0WN", "NANA12", "不A12"]
)
def test_what_only_resembles_such_signs_is_a_text(written):
    assert now("CD34", written) == ["CD34", written]


@pytest.mark.parametrize("written", ["A\0B", "A\ud800B", "A\x1b[2JB", "A\ue000"])
def test_what_no_plate_can_show_is_a_fault(written):
    found = normalise(["AB12", written])
    assert found.rows[1].text is None and not found.problems[0].harmless


# One spelling


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["ＡＢ１２", "CD34"], ["AB12", "CD34"]),
        (["粤ＢＡ９", "京A1"], ["粤BA9", "京A1"]),
        (["\ufeb3\ufec4\ufee7٧", "سطن٧"], ["سطن٧", "سطن٧"]),  # Arabic letters as they look joined.
        (["سـطـن٧"], ["سطن٧"]),
        (["\u200fسطن\u200e٧", "\u202bأب\u202c١"], ["سطن٧", "أب١"]),
        (["A\u200bB12\ufeff", "A\u00adC1"], ["AB12", "AC1"]),
        (["12\u11a1".replace("\u11a1", "\u1100\u1161") + "34", "12가34"], ["12가34", "12가34"]),
        (["ｻ12", "サ34", "ｶﾞ1"], ["サ12", "サ34", "ガ1"]),
        (["A\u030a12", "\u00c512", "\u212b12"], ["\u00c512"] * 3),
        (["AB\u201312", "AB-12", "AB\u221212", "AB\u201012"], ["AB-12"] * 4),
        (["粤B•A1", "粤B・A1", "粤B·A1"], ["粤B·A1"] * 3),
        (
            ["\u0e25\u0e4d\u0e32\u0e1b\u0e32\u0e071", "\u0e25\u0e33\u0e1b\u0e32\u0e071"],
            ["\u0e25\u0e33\u0e1b\u0e32\u0e071"] * 2,
        ),  # Sara am in two signs.
        (["\u0e19\u0e4d\u0e49\u0e321", "\u0e19\u0e49\u0e331"], ["\u0e19\u0e49\u0e331"] * 2),
        (["\u0e40\u0e40\u0e1e\u0e23\u0e48", "\u0e41\u0e1e\u0e23\u0e48"], ["\u0e41\u0e1e\u0e23\u0e48"] * 2),
        (
            ["\u0e40\u0e0a\u0e35\u0e22\u0e07\u0e43\u0e2b\u0e21\u0e48 12"],
            ["\u0e40\u0e0a\u0e35\u0e22\u0e07\u0e43\u0e2b\u0e21\u0e4812"],
        ),
        (["ᲐᲑ123ᲒᲓ", "აბ123გდ"], ["აბ123გდ"] * 2),  # Georgian capitals, which no plate has.
        (["AB①²", "ⅣA1", "AB₁2"], ["AB12", "IVA1", "AB12"]),
        (["AB&amp;12", "&#1587;٧", "A&nbsp;B"], ["AB&12", "س٧", "AB"]),
    ],
)
def test_every_character_has_one_form(texts, expected):
    assert now(*texts) == expected


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["AB12", "CD34", "АС56", "ΑΒ7"], ["AB12", "CD34", "AC56", "AB7"]),
        (["А123ВС", "К777УТ", "A123BC", "Ж1"], ["А123ВС", "К777УТ", "А123ВС", "Ж1"]),
        (
            ["AB12", "KM34", "TH56", "\u0432\u043a78", "\u0442\u043d90"],
            ["AB12", "KM34", "TH56", "BK78", "TH90"],
        ),  # Small Cyrillic ones.
        (["АВ12", "КМ34", "ТН56", "bk78", "th90"], ["АВ12", "КМ34", "ТН56", "ВК78", "ТН90"]),
        (["АВ12", "КМ34", "wq78"], ["АВ12", "КМ34", "wq78"]),  # These look like none.
        (["ab12", "kn34", "cd56", "\u03b178"], ["ab12", "kn34", "cd56", "a78"]),
        (["ΙΖΧ12", "ΚΥΗ34", "IZX56"], ["ΙΖΧ12", "ΚΥΗ34", "ΙΖΧ56"]),
        (["۱۲ب۳۴۵", "۶۷د۸۹", "٤٥ب٦"], ["۱۲ب۳۴۵", "۶۷د۸۹", "۴۵ب۶"]),
        (["سطن٤٥٦", "أب٧٨", "ق۴۵"], ["سطن٤٥٦", "أب٧٨", "ق٤٥"]),
        (["كم١", "كن٢", "کم٣"], ["كم١", "كن٢", "كم٣"]),
        (["یک۱", "یم۲", "ي۳"], ["یک۱", "یم۲", "ی۳"]),
    ],
)
def test_look_alikes_become_the_character_that_the_set_has(texts, expected):
    found = normalise(texts)
    assert [row.text for row in found.rows] == expected
    assert {one.value for one in found.problems} == {
        old for old, new in zip(texts, expected, strict=True) if old != new
    }
    assert all(one.harmless for one in found.problems)


def test_digits_of_two_scripts_stay_apart_and_it_is_said():
    found = normalise(["سطن٧١", "أب12"])
    assert [row.text for row in found.rows] == ["سطن٧١", "أب12"] and "different characters" in found.notes[0]


@pytest.mark.parametrize(
    "texts, expected",
    [
        (["ab12", "AB34", "Cd56"], ["AB12", "AB34", "CD56"]),
        (["ab12", "cd34", "ef56", "AB78"], ["AB12", "CD34", "EF56", "AB78"]),
        (["abcdef12", "cdefab34", "efabcd56", "A78"], ["abcdef12", "cdefab34", "efabcd56", "a78"]),
        (["AB1", "CD2", "EF3", "GH4", "IJ5", "x6"], ["AB1", "CD2", "EF3", "GH4", "IJ5", "X6"]),
        (["öb12", "ÖB34", "ÄB5"], ["ÖB12", "ÖB34", "ÄB5"]),
        (["а1вс", "А2ВС", "К3"], ["А1ВС", "А2ВС", "К3"]),
        (["აბ12", "AB34", "ab5"], ["აბ12", "AB34", "AB5"]),
        (["ß12", "SS34", "AB5"], ["ß12", "SS34", "AB5"]),
    ],
)
def test_upper_and_lower_case_of_a_letter_are_one(texts, expected):
    assert now(*texts) == expected


def test_capitals_and_small_letters_that_are_different_ones_stay_and_it_is_said():
    found = normalise(["ABx1", "CDy2", "ABx3"])
    assert [row.text for row in found.rows] == ["ABx1", "CDy2", "ABx3"] and "small letters" in found.notes[0]


# All texts


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.none() | st.text(max_size=10) | st.text(st.sampled_from("AaАа1١۱ \n|-?'\".#E+0"), max_size=8), max_size=6
    )
)
def test_nothing_is_changed_or_lost_in_silence_and_twice_is_once(texts):
    found = normalise(texts)
    named = {one.row for one in found.problems}
    for number, (old, row) in enumerate(zip(texts, found.rows, strict=True), start=2):
        assert row.number == number and row.text != "" and (old is not None or row.text is None)
        assert old == row.text or number in named or (old or "").strip() == row.text
        assert row.text is None or not any(letter.isspace() for letter in row.text)
    again = normalise_texts(found.rows)
    assert all(old.text == new.text or new.text is None for old, new in zip(found.rows, again.rows, strict=True))


def test_a_character_that_no_other_text_has_is_named_and_stays():
    usual = [f"A{number}" for number in range(60)]
    found = normalise([*usual, "XA1"])
    assert [row.text for row in found.rows] == [*usual, "XA1"]
    assert [(one.row, one.value, one.kind, one.harmless) for one in found.problems] == [
        (62, "XA1", "rare character", True)
    ]
    assert "no other text has 'X'" in found.problems[0].message and "1 text with a character" in found.notes[0]
    assert not normalise([*usual, "XA1", "X2"]).problems and not normalise(["XA1", "B2"]).problems
