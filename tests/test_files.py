"""Reading CSV files: every row or one sentence, with the line where something is wrong."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest

from fastgd.data.files import Format, read_table
from fastgd.data.reading import source
from fastgd.errors import InvalidInputError

HEADER = "size,age,price,name"


NUMBERS = ["size", "age", "price"]


PIPES = [HEADER, *(f"{60 + i},{i % 9},{120 + 2 * i},pipe" for i in range(40))]


ADDRESSES = "name,size,age,price"


def table(path, lines, end="\n"):
    path.write_bytes(lines if isinstance(lines, bytes) else (end.join(lines) + end).encode())
    return path


def changed(**lines):
    """The table of pipes with other lines; line1 is the header."""
    return [lines.get(f"line{number}", line) for number, line in enumerate(PIPES, start=1)]


def read(path, numbers, text=(), **options):
    frame = read_table(path, [*numbers, *text], text, numbers, gaps=False, **options)
    return frame.select(numbers).to_numpy(), {name: frame[name].to_list() for name in text}


def refusal(path, numbers=NUMBERS, text=()):
    with pytest.raises(InvalidInputError) as caught:
        read(path, numbers, text)
    assert str(caught.value).startswith(f"{path}")
    assert "\n" not in str(caught.value).removeprefix(f"{path}")
    return str(caught.value).removeprefix(f"{path}").lstrip(",: ")


def test_reading_a_table(tmp_path):
    (tmp_path / "t.csv").write_text('\ufeff\na, b ,c\n1,"2",x\n\n  \n3,4e1,"y,z"\n', encoding="utf-8")
    numbers, text = read(tmp_path / "t.csv", ["b", "a"], ["c"])
    assert numbers.tolist() == [[2, 1], [40, 3]]
    assert text == {"c": ["x", "y,z"]}


STRAY = {
    "never closed": (changed(line31='80,2,160,"5 inch pipe'), 31),
    "closed in a later row": (changed(line21='80,2,160,"5 inch', line31='80,2,160,6 inch"'), 21),
    "closed in the next row": (changed(line21='80,2,160,"5 inch', line22='80,2,160,6"'), 21),
    "closed in the next row, which lacks a number": (changed(line21='80,2,160,"5 inch', line22='80,n/a,160,6"'), 21),
    "with a comma": (changed(line21='80,2,160,"5 inch, black', line22='80,2,160,6"'), 21),
    "opened twice": (changed(line21='80,2,160,"5 inch', line31='80,2,160,"6 inch'), 21),
    "closed before its cell ends": (changed(line21='80,2,160,"5" pipe'), 21),
    "before a number": (changed(line21='80,"2,160,x', line31='80,2",160,x'), 21),
    "before the first number": (changed(line21='"80,2,160,x', line31='80",2,160,x'), 21),
    "closed in another column": (changed(line21='80,2,160,"5 inch', line31='80,2",160,x'), 21),
    "doubled where it should close": (changed(line21='80,2,160,"5 inch""'), 21),
    "around everything that is left": (changed(line2='"60,0,120,pipe', line41='99,3,198,pipe"'), 2),
    "with NUL": (changed(line21='80,2,160,"5\0'), 21),
    "in the header": (changed(line1='size,age,price,"name'), 1),
    "in the header, closed later": (changed(line1='size,age,price,"name', line10='1,2,3,6"'), 1),
    "in the header, closed in the first row": (changed(line1='size,age,price,"name', line2='1,2,3,6"'), 1),
    "in the header, before a column to read": (changed(line1='size,age,"price,name', line10='1,2,3,6"'), 1),
    "in the header, with a comma": (changed(line1='size,age,price,"name, full', line10='1,2,3,6"'), 1),
    "behind an address": (
        [HEADER, '1,2,3,"Main street 5\n12345 Town"', '1,2,3,"5 inch', "1,2,3,pipe", '1,2,3,6"'], 4,
    ),
    "behind an address in the same row": (
        ["name,size,age,price,note", '"Main street 5\nTown",1,2,3,"5 inch', "pipe,1,2,3,", 'pipe,1,2,3,6"'], 3,
    ),
    "in the first column": ([ADDRESSES, "pipe,1,2,3", '"5 inch,1,2,3', '6 inch",1,2,3', "pipe,1,2,3"], 3),
    "between numbers": (
        ["size,name,age,price", '1,"5 inch, black,2,3', '1,6",2,3', "1,pipe,2,3"], 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("lines", "opens"), STRAY.values(), ids=STRAY)
def test_a_quote_astray_takes_no_rows_away(tmp_path, lines, opens, zipped, end):
    content = (end.join(lines) + end).encode()
    message = refusal(table(tmp_path / "t.csv", gzip.compress(content) if zipped else content))
    assert message.startswith(f"line {opens} opens a quote that ")
    assert message.endswith(": close it where its cell ends, or drop it.")


@pytest.mark.parametrize("rows", [60, 20_000])
def test_a_quote_that_is_never_closed_in_a_short_and_in_a_long_file(tmp_path, rows):
    lines = [HEADER, '1,2,3,"5 inch', *["1,2,3,pipe"] * rows]
    assert refusal(table(tmp_path / "t.csv", lines)).startswith("line 2 opens a quote that is not closed")


KEPT = {
    "inch marks": ([HEADER, '1,2,3,5" pipe', '4,5,6,6"', '7,8,9,a "b" c'], ['5" pipe', '6"', 'a "b" c']),
    "closed in its line": ([HEADER, '1,2,3,"5 inch, black"', '4,5,6,""', '7,8,9,"say ""hi"""'],
                           ["5 inch, black", None, 'say "hi"']),
    "an address": ([HEADER, '1,2,3,"Main street 5\n12345 Town\nSpain"', "4,5,6,x", '7,8,9,"\n\ny"'],
                   ["Main street 5\n12345 Town\nSpain", "x", "\n\ny"]),
    "an address in the first column": (
        [ADDRESSES, '"Main street 5\nTown",1,2,3', '"x\ry",4,5,6', "z,7,8,9"], ["Main street 5\nTown", "x\ry", "z"]),
    "an address with commas": ([ADDRESSES, '"12, rue de Paris, 75000, Paris\nFrance",1,2,3', "x,4,5,6", "y,7,8,9"],
                               ["12, rue de Paris, 75000, Paris\nFrance", "x", "y"]),
    "an address between numbers": (
        ["size,name,age,price", '1,"5 High Street\n12, Town",2,3', "4,x,5,6", "7,y,8,9"],
        ["5 High Street\n12, Town", "x", "y"]),
    "single quotes": ([HEADER, "1,2,3,'5 inch", "4,5,6,6'", "7,8,9,it's"], ["'5 inch", "6'", "it's"]),
}  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("lines", "names"), KEPT.values(), ids=KEPT)
def test_what_a_quote_may_hold(tmp_path, lines, names, end):
    numbers, text = read(table(tmp_path / "t.csv", lines, end), NUMBERS, ["name"])
    assert numbers.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert text == {"name": names}


def test_several_columns_with_line_breaks(tmp_path):
    lines = ["name,size,age,price,note", '"Main street\nTown",1,2,3,"a\nb"', "z,4,5,6,"]
    numbers, text = read(table(tmp_path / "t.csv", lines), NUMBERS, ["name", "note"])
    assert numbers.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert text == {"name": ["Main street\nTown", "z"], "note": ["a\nb", None]}


def test_names_of_columns_may_be_quoted(tmp_path):
    lines = ['"size, in m²","age\n(years)","price"', "1,2,3", "4,5,6"]
    numbers, _ = read(table(tmp_path / "t.csv", lines), ["age\n(years)", "size, in m²", "price"])
    assert numbers.tolist() == [[2, 1, 3], [5, 4, 6]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("z,1,x,3", "line 7, column 'age' holds 'x', which is not a number: correct it, or drop the line."),
        ('"z\nz",1,x,3', "line 8, column 'age' holds 'x', which is not a number: correct it, or drop the line."),
        ('"z\nz",1,,3', "line 8, column 'age' is empty: fill it, or drop the line."),
        ('"z\nz",1,-inf,3', "line 8, column 'age' is -inf, not a finite number: fill it, or drop the line."),
        ("z,1,2,1e39", "line 7, column 'price' is 1e+39, too large: use other units."),
        ("z,1,2", "line 7 has 3 cells, but the header names 4 columns: correct the line."),
        (
            '"z\nz",1,2',
            "line 7 opens a quote that goes on to line 8, which makes 3 cells for 4 columns: "
            "close it where its cell ends, or drop it.",
        ),
        (f"z,1,{'x' * 100},3", f"line 7, column 'age' holds '{'x' * 30}…{'x' * 29}', which is not a number: "
                               "correct it, or drop the line."),
        (f"{'z' * 200_000},1,2,3", "line 7 has a cell of more than 131,072 characters: shorten it."),
        ("z,1,2\0,3", r"line 7, column 'age' holds '2\x00', which is not a number: correct it, or drop the line."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_the_line_of_the_file_is_told(tmp_path, row, message, end):
    lines = ["", ADDRESSES, "", '"Main street\nTown",1,2,3', "y,4,5,6", row, "x,7,8,9"]
    assert refusal(table(tmp_path / "t.csv", lines, end)) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (b"size,age,price\n", "header line but no rows"),
        (b"size,age,size,price\n", "more than one column 'size'"),
        (b"\x1f\x8bsize,age,price\n1,2,3\n", "not a whole gzip file"),
        (b"\x1f", "not a whole gzip file"),
        (
            gzip.compress(b"size,age,price\n" + b"".join(b"%d,%d,3\n" % (i, i**3) for i in range(2000)))[:2000],
            "not a whole gz",
        ),
        (b"\xff\xfe\x00", "not text in utf-16"),
        ("size,age,price\n1,2,3\n".encode("utf-16-le"), "binary, or text in UTF-16"),
        (os.urandom(5000), "is binary|is not a whole gzip|line .* opens a quote"),
        (b"PK\x03\x04" + bytes(100), "an Excel workbook or a zip archive: save the table as CSV"),
        (b'{"size": 1, "price": 2}\n{"size": 3, "price": 4}\n', "t.csv is JSON: save the table as CSV"),
        (b'[{"size": 1, "price": 2}]', "t.csv is JSON"),
        (b'[\n  {"size": 1, "price": 2}\n]', "t.csv is JSON"),
        (b"PAR1" + bytes(100), "not a whole Parquet file"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "not a whole zstd file"),
        (b"size,age,price\n1,2,3\n\xe9,2,3\n", "line 3, column 'size' holds 'é', which is not a number"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    with pytest.raises(InvalidInputError, match=message):
        read(table(tmp_path / "t.csv", content), NUMBERS)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separator_and_encoding_are_found(tmp_path, separator, encoding):
    lines = [["größe", "name", "preis"], ["1.5", "Müller", "2"], ["", "x", "n/a"]]
    content = "".join(separator.join(line) + "\n" for line in lines).encode(encoding)
    remarks = []
    frame = read_table(table(tmp_path / "t.csv", content), told=remarks.append)
    assert frame.to_dict(as_series=False) == {"größe": [1.5, None], "name": ["Müller", "x"], "preis": [2, None]}
    assert len(remarks) == (encoding == "cp1252")
    assert all("not UTF-8 and is read as Western European text (cp1252)" in remark for remark in remarks)
    with pytest.raises(InvalidInputError, match=r"t.csv is not text in utf-8|no column 'größe'"):
        read_table(table(tmp_path / "t.csv", "größe\nü\n".encode("cp1252")), ["größe"], fmt=Format(encoding="utf-8"))


EUROPEAN = 'Ort;Fläche;Preis\nKöln;84,5;1.250,00\nBrühl;60;250,50\n"a;b";-;1.000.000\n'


def test_a_european_file(tmp_path):
    path, remarks = table(tmp_path / "t.csv", EUROPEAN.encode("latin-1")), []
    frame = read_table(path, told=remarks.append)
    assert frame["Ort"].to_list() == ["Köln", "Brühl", "a;b"]
    assert frame["Fläche"].to_list() == [84.5, 60, None]
    assert frame["Preis"].to_list() == [1250, 250.5, 1e6]
    assert remarks[1:] == ["Column 'Preis': 1.250,00 is read with separated thousands."]
    given = Format(separator=";", decimal=",", encoding="latin-1")
    assert read_table(path, fmt=given).equals(frame)
    with pytest.raises(InvalidInputError, match="column 'Fläche' holds '84,5', which is not a number"):
        read_table(path, numbers=["Fläche"], fmt=Format(decimal="."))


@pytest.mark.parametrize(
    ("cells", "decimal"),
    [(["1,5", "2"], ","), (["1.5", "2"], "."), (["1,234.5", "2,345"], "."), (["1.234,5", "2,345"], ","),
     (["1,234,567"], "."), (["0,125", "1,234"], ","), (["1,234", "2,345"], None),],
)  # fmt: skip
def test_what_a_comma_in_a_number_is(tmp_path, cells, decimal):
    path = table(tmp_path / "t.csv", ["x;y", *(f"{cell};1" for cell in cells)])
    if decimal is None:
        assert refusal(path, ["x"]).startswith("has numbers such as 1,234, whose comma may be a decimal one")
        return
    numbers = [float(cell.translate({ord(",."[decimal == ","]): None}).replace(",", ".")) for cell in cells]
    assert read(path, ["x"])[0][:, 0].tolist() == numbers


def test_a_comma_among_points_is_no_number(tmp_path):
    path = table(tmp_path / "t.csv", ["x;y", "1.2;1", "3,4;1", "5.6;1"])
    assert refusal(path, ["x"]) == (
        "line 3, column 'x' holds '3,4', which is not a number: correct it, or drop the line; if its comma is a "
        "decimal one, say --decimal , (in Python decimal=',')."
    )


def test_what_stands_for_nothing(tmp_path):
    path = table(tmp_path / "t.csv", ["x,y", "1,NA", "-,none", "?,-", "NaN,b", "-999,c", "None,", "2, nan ", " n/a ,d"])
    frame = read_table(path)
    assert frame["x"].to_list() == [1, None, None, None, -999, None, 2, None]
    assert frame["y"].to_list() == [None, "none", "-", "b", "c", None, None, "d"]  # of a text nobody knows what "-" is
    frame = read_table(
        path, text=["y"], numbers=["x"], fmt=Format(missing=("-999", "c", "?", "-", "nan", "none", "n/a"))
    )
    assert frame["x"].to_list() == [1, None, None, None, None, None, 2, None]
    assert frame["y"].to_list() == ["NA", None, None, "b", None, None, None, "d"]
    assert refusal(path, ["x"]) == (
        "line 3, column 'x' holds '-', which stands for an unknown value (the first of 5 such cells): fill it, or drop "
        "the line."
    )


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "", "-3e2"], "Float64"),
        (["01", "12", "100"], "String"),  # codes
        (["0", "0.5", "12"], "Float64"),
        (["yes", "no", ""], "String"),
        (["true", "false"], "String"),
        (["12A", "13", "14"], "String"),
        (["", "", ""], "Float64"),
        (["2024-05-01", "2024-05-02"], "String"),
    ],
)
def test_what_a_column_holds_is_found(tmp_path, cells, kind):
    frame = read_table(table(tmp_path / "t.csv", ["x,y", *(f"{cell},0" for cell in cells)]))
    assert str(frame["x"].dtype) == kind
    assert read_table(tmp_path / "t.csv", text=["x"])["x"].to_list() == [cell or None for cell in cells]


def test_a_few_words_among_numbers_are_mistakes(tmp_path):
    cells = [str(i) for i in range(100)]
    cells[40], cells[70] = "big", "huge"
    path = table(tmp_path / "t.csv", ["x,y", *(f"{cell},0" for cell in cells)])
    with pytest.raises(InvalidInputError) as caught:
        read_table(path)
    assert "line 42, column 'x' holds 'big', which is not a number (the first of 2 such cells): corr" in str(
        caught.value
    )
    assert read_table(path, text=["x"])["x"][40] == "big"
    assert read_table(path, ["y"])["y"].to_list() == [0] * 100
    cells[:50] = ["word"] * 50
    frame = read_table(table(path, ["x,y", *(f"{cell},0" for cell in cells)]))
    assert str(frame["x"].dtype) == "String", "where words are many, they are meant"


def test_all_wrong_cells_are_counted_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "PIECE", 1000)
    cells = ["" if i % 7 == 5 else str(i) for i in range(3000)]
    path = table(tmp_path / "t.csv", ["y,x", *(f"0,{cell}" for cell in cells)])
    count = cells.count("")
    assert refusal(path, ["y", "x"]) == (
        f"line 7, column 'x' is empty (the first of {count} such cells): fill it, or drop the line."
    )
    assert read_table(path)["x"].null_count() == count


def test_names_in_messages_are_harmless_and_short(tmp_path):
    path = table(tmp_path / "t.csv", [f"a\x1b[2J,\u202eb,{'c' * 1000}", "1,2,3"])
    message = refusal(path, ["d" * 1000])
    assert message == f"has no column '{'d' * 30}…{'d' * 29}'; its columns are: a\\x1b[2J, \\u202eb, " + (
        f"{'c' * 30}…{'c' * 29}."
    )


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("first", [1, 2, 100])
def test_a_pipe_is_read_from_its_first_byte(zipped, first):
    content = ("\n".join(PIPES) + "\n").encode()
    content = gzip.compress(content) if zipped else content
    reader, writer = os.pipe()
    os.write(writer, content[:first])  # the rest comes later, as from a program that is slow
    rest = threading.Timer(0.1, lambda: (os.write(writer, content[first:]), os.close(writer)))
    rest.start()
    numbers, _ = read(Path(f"/dev/fd/{reader}"), NUMBERS)
    rest.join()
    os.close(reader)
    assert len(numbers) == 40
    assert numbers[0].tolist() == [60, 0, 120]


def test_a_file_without_a_header_line_is_suspected(tmp_path):
    path = table(tmp_path / "t.csv", ["83,3,1.5e3", "60,1,2"])
    assert refusal(path, ["price"]) == (
        "has no column 'price'; its columns are: 83, 3, 1.5e3. Does the file begin with a header line?"
    )
    assert "header line" not in refusal(table(path, ["83,name", "60,1"]), ["price"])


def test_advice_to_read_a_column_as_text_where_nobody_has_said_that_it_holds_numbers(tmp_path):
    path = table(tmp_path / "t.csv", ["x,y", *(f"{k},0" for k in range(100)), "big,0"])
    with pytest.raises(
        InvalidInputError, match=r"line 102, .* correct it, or drop the line, or read the column as text\."
    ):
        read_table(path)
    assert refusal(path, ["x"]).endswith("which is not a number: correct it, or drop the line.")


def test_a_number_that_stands_for_nothing_among_plain_numbers(tmp_path):
    path = table(tmp_path / "t.csv", ["x,y", "1,0", "-999,1", "-999.0,2"])
    assert read_table(path, fmt=Format(missing=("-999",)))["x"].to_list() == [1, None, None]
    assert read_table(path)["x"].to_list() == [1, -999, -999]
