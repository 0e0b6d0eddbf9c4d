import zipfile

import pandas as pd
import pytest

from resnest_bench.errors import UserError
from resnest_bench.imports.tables import read_table

TEXT = "model,seed,acc\nA,0,0.9\nB,1,0.8\n"


@pytest.fixture
def put(tmp_path):
    def write(content, name="r.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace(",", "\t"),
        TEXT.replace(",", ";"),
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        "\n" + TEXT + "\n,,\n",
    ],
    ids=["commas", "tabs", "semicolons", "windows", "mark", "blank lines"],
)
def test_the_same_table_in_many_forms(put, text):
    table = read_table(put(text))
    assert table.columns == {"model": ["A", "B"], "seed": ["0", "1"], "acc": ["0.9", "0.8"]}
    assert table.where(1).endswith(f"line {3 + text.startswith(chr(10))}")


def test_utf_16_with_its_mark(put):
    assert read_table(put(TEXT.encode("utf-16"))).columns["model"] == ["A", "B"]


def test_parquet_with_a_list_and_a_gap(put, tmp_path):
    path = tmp_path / "r.parquet"
    pd.DataFrame({"model": ["A", "B"], "ms": [[1.0, 2.0], [3.0]], "acc": [0.5, None]}).to_parquet(
        path
    )
    table = read_table(path)
    assert table.columns == {"model": ["A", "B"], "ms": ["[1.0, 2.0]", "[3.0]"], "acc": ["0.5", ""]}
    assert table.where(0).endswith("row 1")


def workbook(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\xff\xfe", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        (b"model,acc\n", "at least one row"),
        (b"model,acc\nA\xff,0.9\n", "UTF-8"),
        (b"model,acc\nA,0.9,3\n", "line 2"),
        (b"model,acc,acc\nA,0.9,0.8\n", "twice"),
        (b",,acc\nA,0.9,0.8\n", "must have a name"),
        (b"model,acc\nA,\0\n", "zero bytes"),
        (b'model,acc\n"A,0.9\n', "line"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\xd0\xcf\x11\xe0rest", "Excel"),
        (b"\x93NUMPYrest", "numpy"),
        (b"PAR1rest", "Parquet"),
    ],
)
def test_what_is_no_table_is_refused(put, content, words):
    path = put(content)
    with pytest.raises(UserError, match=words) as error:
        read_table(path)
    assert str(path) in str(error.value)


def test_a_workbook_named_csv(tmp_path):
    workbook(tmp_path / "r.csv")
    with pytest.raises(UserError, match="Excel"):
        read_table(tmp_path / "r.csv")


def test_a_folder_and_nothing(tmp_path):
    with pytest.raises(UserError, match="folder"):
        read_table(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        read_table(tmp_path / "gone.csv")
