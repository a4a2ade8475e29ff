"""`isoglot data` and what it counts."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from isoglot.cli.data import data_app
from isoglot.data.inspection import inspect
from isoglot.errors import DataError
from tests.data.builders import lareqa_paragraph, squad, write_json, write_jsonl
from tests.data.test_miracl import write_language

TEXTS = {"en": "a", "swa": "b"}


def test_counts_of_groups(tmp_path):
    rows = [
        {"id": "1", "query": TEXTS, "passage": TEXTS, "negatives": [{"en": "n"}]},
        {"id": "2", "query": {"en": "a"}, "passage": {"en": "c"}},
    ]
    found = inspect(write_jsonl(tmp_path / "a.jsonl", rows))
    assert found.layout == "groups"
    assert found.counts == {
        "en": {"queries": 2, "passages": 2, "negatives": 1},
        "sw": {"queries": 1, "passages": 1},
    }
    assert found.repeated == {"queries": 1}


def test_counts_of_squad(tmp_path):
    paragraph = lareqa_paragraph(["One."], {"q": 0})
    paragraph["qas"].append({"id": "r", "question": "?", "answers": []})
    path = tmp_path / "name.sw.json.gz"
    path.write_bytes(gzip.compress(json.dumps(squad(paragraph)).encode()))
    found = inspect(path)
    assert found.counts == {"sw": {"queries": 1, "passages": 1}}
    assert found.skipped == 1
    other = write_json(tmp_path / "training.json", squad(paragraph))
    assert list(inspect(other, lang="fi").counts) == ["fi"]
    with pytest.raises(DataError, match=r"the language is not known; name it with --lang, or nam"):
        inspect(other)


@pytest.mark.parametrize(
    ("name", "content", "counts"),
    [
        ("q.tsv", "1\t0\ta\t1\n1\t0\tb\t0\n", {"queries": 1, "judgments": 2, "relevant": 1}),
        ("t.tsv", "1\twhat is it\n2\twhat is it\n", {"queries": 2}),
        ("a.run", "1 Q0 a 1 2 t\n1 Q0 b 2 1 t\n", {"queries": 1, "results": 2}),
    ],
)
def test_counts_of_trec_files(tmp_path, name, content, counts):
    (tmp_path / name).write_text(content)
    assert inspect(tmp_path / name).counts == {"mul": counts}


def run(*arguments):
    return CliRunner().invoke(data_app, [str(argument) for argument in arguments])


def test_list():
    result = run("list")
    assert result.exit_code == 0
    assert "xquad-r (11 languages)\n    ar de el en" in result.output
    assert "files: --data (withdrawn by its authors)" in result.output


def test_check(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": TEXTS}, {"text": {"en": "a", "de": "c"}}])
    result = run("check", path)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{path}: layout bitext, languages: 3",
        "lang         texts",
        "de               1",
        "en               2",
        "sw               1",
        "all              4",
        "repeated texts: 1 texts",
        "empty texts: none",
    ]


def test_check_of_a_folder_with_a_blank_sentence(tmp_path):
    paragraph = lareqa_paragraph(["One.", " "], {"q": 0})
    write_json(tmp_path / "en.json", squad(paragraph))
    assert "empty texts: 1" in run("check", tmp_path).output


def test_errors_reach_the_command_line_as_ours(tmp_path):
    result = run("check", tmp_path / "none.jsonl")
    assert isinstance(result.exception, DataError)


def test_prepare(tmp_path):
    result = run("prepare", "miracl-mini:sw", "--data", write_language(tmp_path, "sw"))
    assert result.exit_code == 0
    assert "sw               2           2           2" in result.output
    assert result.output.endswith("splits: sw=dev\nmiracl-mini: complete, 3 files\n")
