"""From a corpus to answers on the command line, with the embedded encoder."""

from __future__ import annotations

import json

import pytest

from isoglot.artifacts import read_json
from isoglot.data.mini import load_mini

COLLECTION = load_mini("evaluation")


def write_corpus(path, passages):
    lines = (
        json.dumps({"doc_id": p.doc_id, "lang": p.lang, "text": p.text}, ensure_ascii=False)
        for p in passages
    )
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with the embedded collection's corpus, embeddings and index."""
    from isoglot.cli.app import run

    folder = tmp_path_factory.mktemp("search")
    write_corpus(folder / "corpus.jsonl", COLLECTION.passages)
    for line in (
        ["encode", folder / "corpus.jsonl", "-m", "mini", "-o", folder / "embeddings"],
        ["index", folder / "embeddings", "-o", folder / "index"],
    ):
        assert run([str(part) for part in line]) == 0
    return folder


def test_a_query_in_one_language_is_answered_in_several(built, call):
    query = next(query for query in COLLECTION.queries if query.lang == "sw")
    code, out, _ = call("search", built / "index", query.text, "--policy", "balanced", "--json")
    hits = json.loads(out)
    assert (code, len(hits)) == (0, 10)
    assert len({hit["lang"] for hit in hits}) > 5
    code, out, _ = call("search", built / "index", query.text, "-k", "3", "--languages", "en,es")
    lines = out.splitlines()
    assert [line.split()[2] in ("en", "es") for line in lines[:3]] == [True] * 3
    assert lines[3].startswith("languages: ")


def test_runs_of_a_search_measure_as_the_encoder_itself(built, call, tmp_path):
    queries = tmp_path / "queries.jsonl"
    rows = (
        json.dumps({"query_id": q.query_id, "lang": q.lang, "text": q.text})
        for q in COLLECTION.queries
    )
    queries.write_text("".join(f"{row}\n" for row in rows), "utf-8")
    found = tmp_path / "found"
    code, out, _ = call("search", built / "index", "--queries", queries, "-o", found, "-k", "10")
    assert code == 0
    assert out.splitlines()[-1] == f"results: {found}"
    measure = ("--measure", "nDCG@10")
    assert call("evaluate", "-b", "mini", "--run", found, "-o", tmp_path / "a", *measure)[0] == 0
    assert call("evaluate", "-b", "mini", "-m", "mini", "-o", tmp_path / "b", *measure)[0] == 0
    a, b = (read_json(tmp_path / name / "metrics.json")["summary"] for name in "ab")
    assert a["multilingual"]["nDCG@10"] == pytest.approx(b["multilingual"]["nDCG@10"], abs=1e-9)


def test_a_corpus_is_encoded_and_indexed_in_one_go_and_changed(tmp_path, call):
    passages = COLLECTION.passages
    first = write_corpus(tmp_path / "first.jsonl", passages[:40])
    second = write_corpus(tmp_path / "second.jsonl", passages[30:60])
    root = tmp_path / "index"
    code, out, _ = call("index", first, "-m", "mini", "-o", root)
    assert (code, out.splitlines()[0]) == (0, "added 40 passages")
    assert [path.name for path in root.glob(".encoding-*")] == []
    code, out, _ = call("index", second, "-m", "mini", "-o", root, "--add")
    assert out.splitlines()[0] == "added 30 passages, of which 10 replace others"
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{passages[0].doc_id}\nnobody\n", "utf-8")
    code, out, _ = call("index", "-o", root, "--delete", ids)
    assert out.splitlines()[:2] == ["deleted 1 passages", "not there: 1 ids, such as nobody"]
    code, out, _ = call("index", "-o", root, "--compact")
    assert (code, out.splitlines()[-2][:12]) == (0, "59 passages ")


def test_an_index_is_not_written_over_or_added_to_by_mistake(built, refused, tmp_path):
    line = refused("index", built / "embeddings", "-o", built / "index")
    assert "already holds an index; --add adds to it" in line
    line = refused("index", built / "embeddings", "-o", tmp_path / "none", "--add")
    assert "no index to add to; leave --add out to make one" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of: what to index, --delete FILE, --compact"),
        (["e", "--compact"], "give one of: what to index, --delete FILE, --compact"),
        (["--delete", "ids.txt"], "ids.txt"),
        (["e", "--kind", "best"], "kind"),
        (["nowhere"], "no passages to show, there is no corpus/"),
    ],
)
def test_index_says_what_is_wrong(refused, tmp_path, arguments, message):
    assert message in refused("index", *arguments, "-o", tmp_path / "i")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], 'give one query, as in isoglot search INDEX "...", or --queries FILE'),
        (["a", "--queries", "q.tsv"], "give one query"),
        (["--queries", "q.tsv"], "--queries and --output go together"),
        (["a", "-k", "0"], "k"),
        (["a", "--policy", "fair"], "policy"),
        (["a", "--quota", "3"], "quota is of policy 'quota'"),
        (["a", "--policy", "quota", "--quota", "sw:3"], "quota"),
        (["a", "--languages", "klingonian"], "unknown language 'klingonian'"),
        (["a", "--languages", "bem"], "no passages in 'bem'"),
        ([" "], "query 1 is empty"),
    ],
)
def test_search_says_what_is_wrong(built, refused, arguments, message):
    assert message in refused("search", built / "index", *arguments)


def test_an_index_is_searched_with_its_own_encoder_only(built, refused, tmp_path):
    from sentence_transformers import SentenceTransformer

    from isoglot.models.loading import embedded_encoder

    model = SentenceTransformer(str(embedded_encoder()))
    model[0].embedding.weight.data[0] += 1
    model.save(str(tmp_path / "other"))
    line = refused("search", built / "index", "a", "-m", tmp_path / "other")
    assert "is another encoder; name the right one with --model" in line


def test_a_folder_without_an_index_is_refused(refused, tmp_path):
    assert "no index, there is no index.json" in refused("search", tmp_path, "a")
