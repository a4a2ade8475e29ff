import gzip
import json

import pytest

from isoglot.data import files
from isoglot.errors import DataError


def test_bom_crlf_and_gzip_read_like_the_plain_file(tmp_path):
    plain, windows, packed = (tmp_path / name for name in ("a.txt", "b.txt", "c.txt.gz"))
    plain.write_bytes("één\nzwei\n".encode())
    windows.write_bytes(b"\xef\xbb\xbf" + "één\r\nzwei\r\n".encode())
    packed.write_bytes(gzip.compress("één\nzwei".encode()))
    for path in (plain, windows, packed):
        assert list(files.read_lines(path)) == [(1, "één"), (2, "zwei")]


def test_a_line_ends_only_at_a_line_feed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\u2028still one\x85\x0cyes\ntwo", "utf-8", newline="")
    assert len(list(files.read_lines(path))) == 2


def test_wrong_encoding_names_the_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"a\.txt:2: not UTF-8 \(byte 3: 0xe9\); save"):
        list(files.read_lines(path))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match=r"x\.txt: no such file"):
        list(files.read_lines(tmp_path / "x.txt"))
    with pytest.raises(DataError, match="expected a file, got a folder"):
        files.read_json(tmp_path)


def test_cut_and_damaged_gzip(tmp_path):
    rows = "".join(json.dumps({"n": str(n * n)}) + "\n" for n in range(5000)).encode()
    whole = gzip.compress(rows)
    cut, broken, false = (tmp_path / name for name in ("cut.gz", "broken.gz", "false.gz"))
    cut.write_bytes(whole[: len(whole) // 2])
    broken.write_bytes(whole[:200] + b"\0" * 50 + whole[250:])
    false.write_bytes(rows)
    with pytest.raises(DataError, match=r"cut\.gz:\d+: the gzip file is damaged or cut short"):
        list(files.read_lines(cut))
    with pytest.raises(DataError, match="damaged or cut short; fetch it again"):
        list(files.read_json_objects(broken))
    with pytest.raises(DataError, match=r"cut\.gz: the gzip file is damaged"):
        files.read_json(cut)
    with pytest.raises(DataError, match=r"named \.gz but is no gzip file"):
        list(files.read_lines(false))


def test_json_errors_name_the_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": }\n', "utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:3: not valid JSON"):
        list(files.read_json_objects(path))
    path.write_text("[1]\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:1: expected a JSON object in braces, got a lis"):
        list(files.read_json_objects(path))
    path.write_text('{"a":\n 1,\n x}', "utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:3: not valid JSON"):
        files.read_json(path)
    path.write_text("[" * 100_000, "utf-8")
    with pytest.raises(DataError, match="nested too deeply"):
        files.read_json(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"b": "x"}, "f:1: no field 'a'; the fields here are b"),
        ({"a": 3}, "f:1: a: expected a text, got the number 3"),
        ({"a": None}, "f:1: a: expected a text, got null"),
        ({"a": " \n"}, "f:1: a: the text is empty"),
        ({"a": "\ud800"}, "half of a surrogate pair"),
    ],
)
def test_ask_text(row, message):
    with pytest.raises(DataError, match=message):
        files.ask_text(row, "a", "f:1")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected a mapping of languages to texts .* got a list that is empty"),
        ({}, "got a mapping that is empty"),
        ({"qqq1": "x"}, "f:1: t: unknown language 'qqq1'"),
        ({"zh": "x", "zh-Hans": "y"}, r"language 'zh' comes twice \(again as 'zh-Hans'\)"),
        ({"en": ""}, r"f:1: t\.en: the text is empty"),
    ],
)
def test_ask_texts(value, message):
    with pytest.raises(DataError, match=message):
        files.ask_texts({"t": value}, "t", "f:1")


def test_ids_are_texts_or_whole_numbers():
    assert files.ask_id({"id": 7}, "id", "f") == "7"
    with pytest.raises(DataError, match="expected a text, got true or false"):
        files.ask_id({"id": True}, "id", "f")


def test_unknown_keys_are_refused_with_a_hint():
    with pytest.raises(DataError, match="f:1: unknown field 'querry'; did you mean 'query'"):
        files.refuse_unknown_keys({"querry": 1}, ("query", "passage"), "f:1")
    with pytest.raises(DataError, match="unknown field 'zzz'; allowed: passage, query"):
        files.refuse_unknown_keys({"zzz": 1}, ("query", "passage"), "f:1")


def test_written_lines_are_the_same_bytes_every_time(tmp_path):
    rows = [{"a": "é"}, {"a": "b"}]
    first, second = tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl.gz"
    assert files.write_json_lines(first, rows) == 2
    files.write_json_lines(second, rows)
    assert first.read_bytes() == second.read_bytes()
    assert [row for _, row in files.read_json_objects(first)] == rows
