"""From a corpus to answers on the command line, with the embedded encoder."""

from __future__ import annotations

import json

import pytest

from isoglot.artifacts import read_json
from isoglot.data.mini import load_mini
from isoglot.errors import ArtifactError

COLLECTION = load_mini("evaluation")


def write_corpus(path, passages):
    lines = (
        json.dumps({"doc_id": p.doc_id, "lang": p.lang, "text": p.text}, ensure_ascii=False)
        for p in passages
    )
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def other_encoder(folder):
    from sentence_transformers import SentenceTransformer

    from isoglot.models.loading import embedded_encoder

    model = SentenceTransformer(str(embedded_encoder()))
    model[0].embedding.weight.data[0] += 1
    model.save(str(folder))
    return folder


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


def test_embeddings_that_other_runs_left_are_removed_by_the_next(tmp_path, call):
    import isoglot.pipeline.indexing as indexing

    passages = COLLECTION.passages
    first = write_corpus(tmp_path / "first.jsonl", passages[:10])
    second = write_corpus(tmp_path / "second.jsonl", passages[10:20])
    root = tmp_path / "index"

    def fail(*args, **kwargs):
        raise ArtifactError("no room")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "add_passages", fail)
        assert call("index", first, "-m", "mini", "-o", root)[0] == 2
    assert len(list(root.glob(".encoding-*"))) == 1
    assert call("index", second, "-m", "mini", "-o", root)[0] == 0
    assert list(root.glob(".encoding-*")) == []


def test_a_corpus_is_encoded_anew_for_another_model(tmp_path, call):
    import isoglot.pipeline.indexing as indexing

    corpus = write_corpus(tmp_path / "corpus.jsonl", COLLECTION.passages[:10])
    other = other_encoder(tmp_path / "other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "add_passages", lambda *args, **kwargs: 1 / 0)
        assert call("index", corpus, "-m", "mini", "-o", tmp_path / "index")[0] == 1
    assert call("index", corpus, "-m", other, "-o", tmp_path / "index")[0] == 0


def test_embeddings_left_by_a_run_whose_index_was_made_are_removed(tmp_path, call, refused):
    import isoglot.pipeline.indexing as indexing

    corpus = write_corpus(tmp_path / "corpus.jsonl", COLLECTION.passages[:10])
    arguments = ("index", corpus, "-m", "mini", "-o", tmp_path / "index")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "_remove_encodings", lambda root: None)
        assert call(*arguments)[0] == 0
    assert len(list((tmp_path / "index").glob(".encoding-*"))) == 1
    assert "already holds an index" in refused(*arguments)
    assert list((tmp_path / "index").glob(".encoding-*")) == []


def test_only_one_process_encodes_into_an_index(tmp_path, refused):
    from isoglot.pipeline.indexing import _ENCODING_LOCK
    from isoglot.retrieval.manifest import lock_index

    corpus = write_corpus(tmp_path / "corpus.jsonl", COLLECTION.passages[:10])
    with lock_index(tmp_path / "index", _ENCODING_LOCK):
        line = refused("index", corpus, "-m", "mini", "-o", tmp_path / "index")
    assert "another process is changing this index" in line


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
        (
            ["--delete", "ids.txt", "--segment-rows", "9"],
            "--segment-rows does nothing with --delete",
        ),
        (["--delete", "ids.txt", "--add"], "--add does nothing with --delete; leave it out"),
        (["--compact", "-m", "mini"], "--model does nothing with --compact; leave it out"),
        (["e", "--add", "--no-words"], "--words does nothing with --add; leave it out"),
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
        (["a", "--policy", "quota", "--quota", "sw=3,en"], "quota"),
        (["a", "--policy", "quota", "--quota", "sw=3,sw=4"], "--quota names 'sw' twice"),
        (["a", "--lang", "sw"], "--lang does nothing without --queries; leave it out"),
        (["--queries", "q", "-o", "o", "--json"], "--json does nothing with --queries"),
        (["a", "--languages", "klingonian"], "unknown language 'klingonian'"),
        (["a", "--languages", "bem"], "no passages in 'bem'"),
        ([" "], "query 1 is empty"),
    ],
)
def test_search_says_what_is_wrong(built, refused, arguments, message):
    assert message in refused("search", built / "index", *arguments)


@pytest.mark.parametrize("option", ["--segment-rows", "--threads"])
def test_options_of_folders_are_refused_for_milvus(refused, tmp_path, option):
    line = refused("index", "e", "-o", tmp_path / "i.db", option, "5")
    assert f"{option} does nothing with an index in Milvus; leave it out" in line


def test_an_index_is_searched_with_its_own_encoder_only(built, refused, tmp_path):
    line = refused("search", built / "index", "a", "-m", other_encoder(tmp_path / "other"))
    assert "is another encoder; name the right one with --model" in line


def test_a_folder_without_an_index_is_refused(refused, tmp_path):
    assert "no index, there is no index.json" in refused("search", tmp_path, "a")
