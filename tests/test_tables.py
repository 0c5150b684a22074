"""Tables are read in whatever dialect and encoding people keep them; what is unusual is said, and no row is lost."""

import codecs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lpr_e2e.data.forms import read_labels
from lpr_e2e.data.tables import EXTRA, UNSPLIT, DatasetError, numbers, read_table, write_table

LATIN, ARABIC = "img_id,text\n1.jpg,AB12\n2.jpg,CD34\n", "img_id,text\n1.jpg,سطن٧١٢٦\n2.jpg,أب٤٥\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "plates.csv"


def rows(path, content):
    """The values of a table of this content, without the file's, and its notes."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_table(path)
    return [[number, *(values[name] for name in table.columns)] for number, values in table.records], table.notes


TWO = [[2, "1.jpg", "AB12"], [3, "2.jpg", "CD34"]]


# Dialects


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_and_line_ends_are_no_news(path, delimiter, end):
    assert rows(path, LATIN.replace(",", delimiter).replace("\n", end)) == (TWO, ())


@pytest.mark.parametrize(
    "content, first, said",
    [
        (LATIN.replace("\n", "\r"), 2, "old Macs"),
        ("\n" + LATIN, 3, "1 blank line first"),
        ("\n \n,,\n" + LATIN, 5, "3 blank lines first"),
        ("sep=,\n" + LATIN, 3, "a line sep="),
        ("sep=;\n" + LATIN.replace(",", ";"), 3, "a line sep="),
        ("SEP=|\r\n" + LATIN.replace(",", "|"), 3, "a line sep="),
        ('"sep=\t"\n' + LATIN.replace(",", "\t"), 3, "a line sep="),
        (LATIN.replace("\n", ",,,\n"), 2, "empty last columns"),
        (LATIN.replace("\n", ";;;;;;\n"), 2, "empty last columns"),
        (LATIN.replace("\n", "\t\n"), 2, "empty last columns"),
        (LATIN.replace(",", ";").replace("\n", ",,\n"), 2, "empty last columns"),
        ("\ufeff\ufeff" + LATIN, 2, ""),
        (LATIN + ",\n,\n", 2, "2 rows of empty cells"),
    ],
)
def test_what_spreadsheets_put_around_a_table_is_no_part_of_it(path, content, first, said):
    found, notes = rows(path, content)
    assert found == [[first, "1.jpg", "AB12"], [first + 1, "2.jpg", "CD34"]]
    assert (said in notes[0] and notes[0].startswith("plates.csv: ")) if said else not notes


def test_an_empty_last_column_takes_no_text_away(path):
    found, _ = rows(path, "img_id,text;;\n1.jpg,AB12;;\n2.jpg,A;B;;\n3.jpg,;;\n")
    assert found == [[2, "1.jpg", "AB12"], [3, "2.jpg", "A;B"], [4, "3.jpg", ""]]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_become_points_in_columns_of_numbers_alone(path, delimiter):
    lines = ["img_id,ymin,xmin,text", *(f"{n}.jpg,{n}#5,1.00{n}#25,A#{n}" for n in range(9)), "x.jpg,wide,7,1#5"]
    found, notes = rows(path, "\n".join(lines).replace(",", delimiter).replace("#", ","))
    assert found[3] == [5, "3.jpg", "3.5", "1003.25", "A,3"] and found[9] == [11, "x.jpg", "wide", "7", "1,5"]
    assert "decimal commas in ymin, xmin" in notes[0]


@pytest.mark.parametrize(
    "written, read, said",
    [
        (["12,5", "7", "30,25"], ["12.5", "7", "30.25"], "decimal commas in ymin"),
        (["0,512", "0,25", "1"], ["0.512", "0.25", "1"], "decimal commas in ymin"),
        (["1,204", "207", "1,180"], ["1204", "207", "1180"], "commas of thousands in ymin"),
        # Nearly all have to be numbers, and a list of them is none.
        (["12,5", "AB", "7"], ["12,5", "AB", "7"], ""),
        (["1,2,3,4", "5,6,7,8", "7"], ["1,2,3,4", "5,6,7,8", "7"], ""),
        (["12.5", "7", "30.25"], ["12.5", "7", "30.25"], ""),
    ],
)
def test_where_commas_are_delimiters_numbers_may_have_them_in_quotes(path, written, read, said):
    lines = [f'{number}.jpg,"{value}"' for number, value in enumerate(written)]
    found, notes = rows(path, "\n".join(["img_id,ymin", *lines]))
    assert [row[2] for row in found] == read
    assert said in notes[0] if said else not notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("column", ["text", "plate_number", "Label"])
def test_a_text_that_looks_like_a_number_is_none(path, delimiter, column):
    found, _ = rows(
        path, f'img_id,{column},y\n1.jpg,"12#345",4\n2.jpg,67890,4\n'.replace(",", delimiter).replace("#", ",")
    )
    assert [row[2] for row in found] == ["12,345", "67890"]


BOXES = "img_id,x1,x2,text\n1.jpg,5,7,AB12\n2.jpg,6,8,CD34\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "title", ["Plates of 2023\n", "Plates of 2023\n\n", "Plates#####\n", "# by a tool, 2023\n", "A\nB\n"]
)
@pytest.mark.parametrize("content", [LATIN, BOXES])
def test_a_title_above_the_header_is_left_aside_and_said(path, delimiter, title, content):
    expected, _ = rows(path, content)
    found, notes = rows(path, title.replace("#####", delimiter * 3) + content.replace(",", delimiter))
    assert [row[1:] for row in found] == [row[1:] for row in expected] and found[0][0] == 2 + title.count("\n")
    assert "above the header left aside" in notes[0]


@pytest.mark.parametrize(
    "content, columns",
    [
        ("img_id\na, b.jpg\nc, d.jpg\n", ("img_id",)),  # A table of one column, whose names have commas.
        ("img_id\n1.jpg,AB12\n2.jpg,CD34\n", ("img_id",)),
        ("#img_id,text\n1.jpg,AB12\n2.jpg,CD34\n", ("#img_id", "text")),
        ("img_id\n1.jpg\n2.jpg\n", ("img_id",)),
    ],
)
def test_what_is_no_title_is_the_header(path, content, columns):
    path.write_text(content)
    assert read_table(path).columns == columns


@pytest.mark.parametrize("content", [LATIN, BOXES, 'img_id,text\n1.jpg,"AB,12"\n2.jpg,CD34\n'])
@pytest.mark.parametrize("end", ["", ";;;"])
def test_quotes_around_whole_rows_are_taken_off_and_said(path, content, end):
    expected, _ = rows(path, content)
    whole = "".join('"' + line.replace('"', '""') + f'"{end}\n' for line in content.splitlines())
    found, notes = rows(path, whole)
    assert found == expected and "quotes around whole rows" in notes[0]


def test_a_table_of_one_quoted_column_has_no_quotes_around_rows(path):
    found, notes = rows(path, '"img_id"\n"a,b.jpg"\n"c,d.jpg"\n')
    assert found == [[2, "a,b.jpg"], [3, "c,d.jpg"]] and not notes


def test_single_quotes_around_all_names_are_those_of_cells(path):
    found, notes = rows(path, "'img_id','text'\n'1.jpg','AB,12'\n'2.jpg','CD34'\n")
    assert found == [[2, "1.jpg", "AB,12"], [3, "2.jpg", "CD34"]] and "single quotes around cells" in notes[0]
    found, _ = rows(path, "img_id,text\n1.jpg,'AB12'\n2.jpg,'CD34\n")
    assert found == [[2, "1.jpg", "'AB12'"], [3, "2.jpg", "'CD34"]]


def test_of_columns_of_one_name_the_first_is_taken_unless_we_need_it(path):
    found, notes = rows(path, "img_id,text,note,note\n1.jpg,AB12,x,y\n")
    assert found == [[2, "1.jpg", "AB12", "x", "y"]] and "several columns note" in notes[0]
    with pytest.raises(DatasetError, match="several columns are named text"):
        rows(path, "img_id,text,Text\n1.jpg,AB12,CD34\n")


# Quotes


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "header, line, expected",
    [
        ("img_id,text", '1.jpg,"AB\n12"', ["1.jpg", "AB\n12"]),
        ("img_id,text", '1.jpg, "AB\n12\n34"', ["1.jpg", "AB\n12\n34"]),
        ("text,img_id", '"AB\n12",1.jpg', ["AB\n12", "1.jpg"]),
        ("img_id,a,b,text", '1.jpg,1,2,"A ""B"",\nC"', ["1.jpg", "1", "2", 'A "B",\nC']),
    ],
)
def test_a_quoted_cell_may_hold_line_breaks(path, end, header, line, expected):
    content = "\n".join([header, line, line, "2.jpg,3" + ",4" * (header.count(",") - 1)]) + "\n"
    found, notes = rows(path, content.replace("\n", end))
    lines = line.count("\n") + 1
    assert found == [[2, *expected], [2 + lines, *expected], [2 + 2 * lines, *content.split("\n")[-2].split(",")]]
    assert "2 rows have a line break in a cell" in notes[0]


@pytest.mark.parametrize(
    "stray", ['"1.jpg,AB12', '1.jpg,"AB12', '"1.jpg","AB12', '1.jpg,"AB"12', '1.jpg,AB"12', '1.jpg,""AB"']
)
@pytest.mark.parametrize("after", ["", '"3.jpg","AB34"', '3.jpg,AB34"'])
def test_a_stray_quote_spoils_its_row_only(path, stray, after):
    others = [f"{number}.jpg,CD{number}" for number in range(4, 40)]
    found, _ = rows(path, "\n".join(["img_id,text", stray, "2.jpg,EF22", *filter(None, [after]), *others]))
    assert [number for number, *_ in found[:2]] == [2, 3]
    assert found[1][1:] == ["2.jpg", "EF22"] and [row[1] for row in found[-36:]] == [f"{n}.jpg" for n in range(4, 40)]


def test_a_row_that_cannot_be_split_is_named_as_such(path):
    path.write_text(f"img_id,text\n1.jpg,{'1' * 200_000}\n2.jpg,3\n")
    (labels,) = read_labels(path)
    assert [plate.row.img_id for plate in labels.plates] == ["2.jpg"]
    [problem] = labels.problems
    assert (problem.row, problem.kind, problem.value) == (2, "too many values", UNSPLIT)


def test_zero_bytes_stay_in_their_cell(path):
    found, _ = rows(path, "img_id,text\na\0.jpg,1\nb.jpg,2\n")
    assert found == [[2, "a\0.jpg", "1"], [3, "b.jpg", "2"]]


# Encodings


@pytest.mark.parametrize("content", [LATIN, ARABIC])
@pytest.mark.parametrize(
    "encoding, mark",
    [
        ("utf-16", b""),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
def test_utf_16_is_read_and_said(path, content, encoding, mark):
    expected = [[number + 2, *line.split(",")] for number, line in enumerate(content.split("\n")[1:-1])]
    found, notes = rows(path, mark + content.encode(encoding))
    assert found == expected and "read as UTF-" in notes[0]


@pytest.mark.parametrize("content", [LATIN, ARABIC])
def test_utf_8_needs_no_word_with_or_without_a_mark(path, content):
    assert rows(path, content.encode("utf-8-sig")) == rows(path, content.encode()) and not rows(path, content)[1]


CODE_PAGES = {
    "cp1252": ("Windows-1252", ["ÖAB123", "ÄBX77", "LÜB9", "CÉD12"]),
    "cp1251": ("Windows-1251", ["А123ВС77", "К777УТ99", "Х001ЕН50", "М456ОР178"]),
    "cp1256": ("Windows-1256", ["سطن7126", "أب45", "مدق991", "هلو1234"]),
    "cp1253": ("Windows-1253", ["ΙΖΧ1234", "ΚΥΗ3273", "ΝΑΕ77", "ΒΜΡ1000"]),
    "cp874": ("Windows-874", ["กข1234", "ฆจ77", "ชฌ1", "งต9999"]),
    "gb18030": ("GB 18030", ["粤BA9H07", "京A12345", "沪C99X88", "学A1234"]),
    "euc_kr": ("EUC-KR", ["12가3456", "34나5678", "56다7890", "78라1234"]),
    "cp932": ("Shift-JIS", ["品川300さ1234", "横浜500た77", "大阪12な1", "札幌33も99"]),
}


@pytest.mark.parametrize("encoding", CODE_PAGES)
def test_a_code_page_is_told_by_the_whole_file_and_said(path, encoding):
    name, texts = CODE_PAGES[encoding]
    # Any three of the letters, so that the file has many different words.
    pool = sorted({letter for text in texts for letter in text if not letter.isascii()})
    words = [f"{pool[n % len(pool)]}{pool[n * 7 // 3 % len(pool)]}{n}" for n in range(20)]
    mixed = [texts[n % 4][:1] + "AB" + str(n) for n in range(20)] if encoding in ("cp1252", "gb18030") else words
    expected = [[n + 2, f"p{n}.jpg", text] for n, text in enumerate(texts + mixed)]
    if encoding == "cp1252":
        expected = [row for row in expected if not row[2].startswith(("L", "C"))]
        expected = [[n + 2, *row[1:]] for n, row in enumerate(expected)]
    lines = ["img_id,text", *(",".join(row[1:]) for row in expected)]
    found, notes = rows(path, "\n".join(lines).encode(encoding))
    assert found == expected and name in notes[0] and expected[0][2] in notes[0]


@pytest.mark.parametrize(
    "encoding, name, texts",
    [
        ("cp1250", "Windows-1250", ["POŁ1234", "GDAŃ12", "ŻYW4455"]),
        ("cp1250", "Windows-1250", ["łódź1", "AB12"]),
        ("big5", "Big5", ["臺北AB123", "高雄CD456", "臺中EF789"]),
        ("big5", "Big5", ["臺灣省AB1234", "高雄市GH111"]),
        # What Western letters have in common with others stays Western, and so do small ones of names.
        ("cp1252", "Windows-1252", ["MÜAB12", "ŠI12AB", "GÖ34"]),
        ("cp1252", "Windows-1252", ["carrière 1", "año 2"]),
    ],
)
def test_further_code_pages_are_told_by_letters_of_their_own(path, encoding, name, texts):
    lines = ["img_id,text", *(f"p{number}.jpg,{text}" for number, text in enumerate(texts))]
    found, notes = rows(path, "\n".join(lines).encode(encoding))
    assert [row[2] for row in found] == texts and name in notes[0]


@pytest.mark.parametrize(
    "encoding, texts, both",
    [
        ("cp1250", ["ČK123AB", "VŽ789EF"], ["ÈK123AB", "ČK123AB"]),
        ("cp1254", ["34İST12", "06ŞGÖ34"], ["34ÝST12", "34İST12"]),
        ("cp1255", ["צ12345", "מצ67890"], ["ц12345", "צ12345"]),
        ("cp1255", [f"{letter}ק{number}" for number, letter in enumerate("אבגדהוזחטיכלמנסע")], ["Cyrillic", "אק0"]),
    ],
)
def test_letters_of_one_byte_in_neighbouring_code_pages_are_asked_for(path, encoding, texts, both):
    lines = ["img_id,text", *(f"p{number}.jpg,{text}" for number, text in enumerate(texts))]
    with pytest.raises(DatasetError, match=".* or .*".join(both)):
        rows(path, "\n".join(lines).encode(encoding))


def test_a_stray_byte_in_utf_8_spoils_its_cell_only(path):
    found, notes = rows(path, ARABIC.encode() + b"3.jpg,\xd6\n4.jpg,AB\n")
    assert found[:2] == [[2, "1.jpg", "سطن٧١٢٦"], [3, "2.jpg", "أب٤٥"]] and found[2:] == [
        [4, "3.jpg", "\ufffd"],
        [5, "4.jpg", "AB"],
    ]
    assert "UTF-8, but for 1 byte" in notes[0]


def test_letters_that_may_be_of_two_code_pages_are_nobody_s_guess(path):
    with pytest.raises(DatasetError, match="plates.csv: expected UTF-8 text, found what may be .* or .*; save it as"):
        rows(path, "img_id,text\n1.jpg,БВЕ1\n".encode("cp1251"))


@pytest.mark.parametrize(
    "content",
    [b"img_id,text\n\x81\x8d\x8f.png,12\n", b"\xff\xfei\0m", b"\xff\xfe\0", b"\xef\xbb\xbf\xff", bytes(range(256))],
)
def test_what_is_no_text_is_refused_or_read_as_nothing(path, content):
    try:
        found, _ = rows(path, content)
    except DatasetError as error:
        assert "plates.csv: expected UTF-8 text, found" in str(error) and "save it as UTF-8" in str(error)
    else:
        assert not found


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=120)
    | st.text(st.sampled_from('ab1,;\t|"\n\r sep=\ufeff\u0416\u00d6'), max_size=60).map(str.encode)
    | st.tuples(st.text(max_size=40), st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])).map(
        lambda pair: pair[0].encode(pair[1], "replace")
    )
)
def test_any_bytes_are_a_table_or_refused(path, data):
    path.write_bytes(data)
    try:
        table = read_table(path)
    except DatasetError as error:
        assert "plates.csv" in str(error)
    else:
        numbers = [number for number, _ in table.records]
        assert numbers == sorted(set(numbers)) and all({*table.columns, EXTRA} == set(one) for _, one in table.records)


# Round trips

words = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12).map(str.strip)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(st.tuples(words, words, words).filter(any), max_size=6))
def test_what_is_written_is_read(path, cells):
    cells = [
        row for row in cells if not any(len(line.split(",")) == 3 for cell in row for line in cell.split("\n")[1:])
    ]
    write_table(path, ("img_id", "text", "note"), cells)
    table = read_table(path)
    assert [tuple(values[name] for name in table.columns) for _, values in table.records] == cells
    assert not any(values[EXTRA] for _, values in table.records)


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["", "x", "number {}"])
def test_a_header_of_more_columns_than_any_table_has_is_refused_at_once(path, between, name):
    """Each row would have a value for each of them."""
    columns = [name.format(number) for number in range(20_000)]
    path.write_text(between.join(["img_id", *columns, "text"]) + "\n" + "a.jpg\n" * 1000)
    with pytest.raises(DatasetError, match="plates.csv: 20002 columns; expected at most 256"):
        read_table(path)


def test_wide_tables_and_rows_that_are_too_long_are_read(path):
    columns = ",".join(f"c{number}" for number in range(254))
    found, _ = rows(path, f"img_id,{columns},text\n1.jpg{',' * 255}AB12\n2.jpg{',1' * 1_000_000}\n3.jpg{',' * 255}CD\n")
    assert [(row[1], row[-1]) for row in found] == [("1.jpg", "AB12"), ("2.jpg", "1"), ("3.jpg", "CD")]


@pytest.mark.parametrize("values", [["1_0"], ["1e999"], ["nan"], [""], ["1,5"], ["0x1"]])
def test_what_is_no_finite_number_is_none(values):
    assert numbers(values) is None


def test_numbers_are_read_as_people_write_them():
    assert numbers(["1", "-2.5", "1e3", " 7 "]) == (1, -2.5, 1000, 7)
