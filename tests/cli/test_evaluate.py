"""``isoglot evaluate`` from embeddings, BM25 and runs; subsets and translated topics."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from isoglot.data.benchmarks import load_benchmark
from tests.training.runs import write_training_groups


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    return write_training_groups(tmp_path_factory.mktemp("data") / "groups.jsonl")


@pytest.fixture(scope="module")
def miracl(tmp_path_factory):
    """A folder in MIRACL's layout with passages in two languages."""
    folder = tmp_path_factory.mktemp("miracl")
    for lang, word in (("en", "stone"), ("sw", "jiwe")):
        (folder / lang).mkdir()
        rows = [{"docid": f"{i}#0", "title": word, "text": f"{word} {i}"} for i in range(12)]
        (folder / lang / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        topics = "".join(f"{i}\t{word} {i}?\n" for i in range(4))
        (folder / lang / "topics.dev.tsv").write_text(topics, "utf-8")
        qrels = "".join(f"{i} Q0 {i}#0 1\n{i} Q0 {i + 1}#0 0\n" for i in range(4))
        (folder / lang / "qrels.dev.tsv").write_text(qrels, "utf-8")
    return folder


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text("utf-8"))


def rows_of(folder):
    return sorted(map(str, pq.read_table(folder / "settings.parquet").to_pylist()))


def test_stored_embeddings_give_the_figures_of_the_model(call, checkpoints, miracl, tmp_path):
    model = ("-m", checkpoints["static"])
    assert call("evaluate", *model, "-b", miracl, "-o", tmp_path / "memory")[0] == 0
    store = tmp_path / "embeddings"
    line = ("evaluate", "-b", miracl, "--embeddings", store)
    assert call(*line, *model, "--shard-size", 5, "-o", tmp_path / "stored")[0] == 0
    assert rows_of(tmp_path / "stored") == rows_of(tmp_path / "memory")
    assert (store / "corpus" / "sw" / "sw.arrow").is_file()
    assert len(list((store / "passages").glob("sw-*.npy"))) == 3
    # Complete embeddings need no model; results still name it.
    assert call(*line, "-o", tmp_path / "again")[0] == 0
    assert rows_of(tmp_path / "again") == rows_of(tmp_path / "memory")
    assert metrics_of(tmp_path / "again")["model"] == str(checkpoints["static"])


def test_embeddings_of_another_system(call, refused, groups, tmp_path):
    collection = load_benchmark(str(groups))
    store = tmp_path / "theirs"
    store.mkdir()
    rng = np.random.default_rng(0)
    np.save(store / "queries.npy", rng.standard_normal((len(collection.queries), 4)))
    np.save(store / "passages.npy", rng.standard_normal((len(collection.passages), 4)))
    ids = [f"{query.lang}\t{query.query_id}\n" for query in collection.queries]
    (store / "queries.ids.tsv").write_text("".join(ids), "utf-8")
    ids = [f"{passage.doc_id}\n" for passage in collection.passages]
    (store / "passages.ids.txt").write_text("".join(ids), "utf-8")
    out = tmp_path / "out"
    assert call("evaluate", "-b", groups, "--embeddings", store, "-o", out)[0] == 0
    assert metrics_of(out)["model"] == "theirs"
    (store / "passages.ids.txt").write_text("".join(ids[1:]), "utf-8")
    message = refused("evaluate", "-b", groups, "--embeddings", store, "-o", tmp_path / "bad")
    assert "passage" in message and not (tmp_path / "bad" / "COMPLETE").exists()


def test_runs_of_full_depth_give_the_figures_of_the_model(call, checkpoints, groups, tmp_path):
    line = ("evaluate", "-b", groups, "--run-depth", 100_000)
    assert call(*line, "-m", checkpoints["static"], "-o", tmp_path / "model")[0] == 0
    runs = ("--run", tmp_path / "model" / "runs")
    code, out, _ = call(*line, *runs, "-m", "theirs", "-o", tmp_path / "runs")
    assert code == 0
    assert rows_of(tmp_path / "runs") == rows_of(tmp_path / "model")
    metrics = metrics_of(tmp_path / "runs")
    assert (metrics["model"], metrics["similarity"]) == ("theirs", None)
    assert metrics["depth"] == metrics["passages"]
    assert f"from runs of {metrics['passages']} passages per query" in out
    # Cut, figures that need the whole ranking are not there.
    code, _, _ = call(*line, *runs, "--depth", 2, "-o", tmp_path / "cut")
    assert code == 0
    metrics = metrics_of(tmp_path / "cut")
    assert (metrics["model"], metrics["depth"]) == ("model", 2)  # the folder of the runs
    assert metrics["bias"]["rank_distance"] is None
    table = pq.read_table(tmp_path / "cut" / "ranks.parquet").to_pylist()
    assert {row["rank"] for row in table} <= {1, 2, None}


def test_bm25_is_a_model_name(call, groups, tmp_path):
    out = tmp_path / "out"
    assert call("evaluate", "-b", groups, "-m", "bm25", "-o", out)[0] == 0
    metrics = metrics_of(out)
    assert (metrics["model"], metrics["similarity"], metrics["depth"]) == ("bm25", "bm25", None)
    assert metrics["summary"]["monolingual"]["AP"] > metrics["summary"]["cross-lingual"]["AP"]


def test_subsets_and_groups_are_measured_besides(call, checkpoints, groups, tmp_path):
    out = tmp_path / "out"
    line = ("evaluate", "-m", checkpoints["static"], "-o", out, "-b", groups)
    code, shown, _ = call(*line, "--subset", "two=en,sw", "--subset", "one=de")
    assert code == 0 and "two     en sw" in shown
    subsets = metrics_of(out)["subsets"]
    assert subsets["two"]["langs"] == ["en", "sw"]
    assert subsets["one"]["summary"]["cross-lingual"] == {}
    part = tmp_path / "part"
    assert call(*line[:3], "-o", part, "-b", f"{groups}:en,sw")[0] == 0
    assert subsets["two"]["summary"] == metrics_of(part)["summary"]


def test_translated_topics_give_a_pair_its_row(call, checkpoints, miracl, tmp_path):
    topics = tmp_path / "topics.tsv"
    topics.write_text("0\tjiwe 0?\n2\tjiwe 2?\n", "utf-8")
    line = ("evaluate", "-m", checkpoints["static"], "-b", miracl)
    out = tmp_path / "out"
    assert call(*line, "-o", out, "--topics", f"en:sw={topics}")[0] == 0
    rows = pq.read_table(out / "settings.parquet").to_pylist()
    queries = {
        (row["setting"], row["query_lang"], row["passage_lang"]): row["queries"] for row in rows
    }
    assert queries["cross-lingual", "sw", "en"] == 2
    assert queries["monolingual", "sw", "sw"] == 4


def test_worst_queries_are_written_with_their_texts(call, checkpoints, groups, tmp_path):
    out = tmp_path / "out"
    assert call("evaluate", "-m", checkpoints["static"], "-b", groups, "-o", out)[0] == 0
    lines = (out / "examples.jsonl").read_text("utf-8").splitlines()
    first = json.loads(lines[0])
    assert {"query_lang", "query_id", "query", "measure", "value", "answer", "above"} == set(first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no model; name an encoder or bm25, or give embeddings or runs instead"),
        (("--pooling", "cls"), "--pooling is of a model, and there is no --model; name it"),
        (("-m", "bm25", "--embeddings", "x"), "bm25 has no embeddings; leave the folder"),
        (("--run", "en=x", "--embeddings", "x"), "runs and embeddings are both given; measure one"),
        (("-m", "bm25", "--pooling", "cls"), "bm25 is no encoder and has no pooling; leave it out"),
        (("-m", "bm25", "--depth", "3"), "a depth is given without runs; it says how much of them"),
        (("--run", "x.trec"), "say the language of its queries, as in sw=x.trec; or name a folder"),
        (("--run", "fr=x"), "has no queries in 'fr'; allowed: de, en, sw"),
        (("--run", "en=x", "--run", "en=y"), "the run of 'en' is given twice, before as x"),
        (("--run", "en=nowhere"), "nowhere: no such file"),
        (("--embeddings", "nowhere"), "nowhere: no embeddings; found no such folder"),
        (("-m", "bm25", "--subset", "low"), "--subset low: expected NAME=LANG,LANG, such as low="),
        (("-m", "bm25", "--subset", "a=en", "--subset", "a=sw"), "the name 'a' is given twice"),
        (("-m", "bm25", "--subset", "a=yo"), "has no passages in 'yo'; it has de, en, sw"),
        (("-m", "bm25", "--topics", "en"), "translated topics 'en': expected SOURCE:LANG=FILE"),
        (("-m", "bm25", "--dtype", "int8"), "dtype"),
        (("-m", "bm25", "--dtype", "float16"), "dtype is of a folder of embeddings, and none is"),
    ],
)
def test_what_can_be_said_wrong(refused, groups, tmp_path, options, message):
    found = refused("evaluate", "-b", groups, "-o", tmp_path / "out", *options)
    assert message in found
    assert not (tmp_path / "out" / "COMPLETE").exists()


def write_runs(folder, langs=("en", "sw")):
    """Write runs of the MIRACL folder, 8 passages per query."""
    folder.mkdir(parents=True)
    for lang in langs:
        lines = [f"{q} Q0 {lang}:{d}#0 0 {9 - d} theirs\n" for q in range(4) for d in range(8)]
        (folder / f"{lang}.trec").write_text("".join(lines), "utf-8")
    return folder


def test_runs_that_are_measured_are_never_overwritten(refused, miracl, tmp_path):
    runs = write_runs(tmp_path / "project" / "runs")
    before = {path: path.read_bytes() for path in runs.iterdir()}
    for spec in (("--run", runs), ("--run", f"en={runs / 'en.trec'}")):
        line = ("evaluate", "-b", miracl, *spec, "--depth", 3, "-o", tmp_path / "project")
        assert "would be lost; choose another --output" in refused(*line)
    assert {path: path.read_bytes() for path in runs.iterdir()} == before


def test_files_of_others_survive_a_first_and_a_second_evaluation(call, miracl, tmp_path):
    out = tmp_path / "out"
    theirs = [out / "runs" / "bm25.trec", out / "qrels" / "gold.qrels"]
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_text("mine\n", "utf-8")
    line = ("evaluate", "-b", miracl, "-m", "bm25", "-o", out, "--overwrite")
    assert call(*line)[0] == call(*line)[0] == 0
    assert [path.read_text("utf-8") for path in theirs] == ["mine\n"] * 2


def test_a_query_language_without_a_run_is_refused(refused, miracl, tmp_path):
    runs = write_runs(tmp_path / "runs", ["en"])
    message = refused("evaluate", "-b", miracl, "--run", runs, "-o", tmp_path / "out")
    assert "no run for the queries in sw, which would all score 0; give it, or" in message


def test_written_runs_of_runs_have_the_depth_asked_for(call, miracl, tmp_path):
    out = tmp_path / "out"
    line = ("evaluate", "-b", miracl, "--run", write_runs(tmp_path / "runs"), "-o", out)
    assert call(*line, "--run-depth", 2)[0] == 0
    assert len((out / "runs" / "en.trec").read_text("utf-8").splitlines()) == 4 * 2
    assert (metrics_of(out)["run_depth"], metrics_of(out)["depth"]) == (2, 8)


def test_a_model_does_not_mix_its_embeddings_with_those_of_another_system(
    call, checkpoints, miracl, tmp_path
):
    (tmp_path / "theirs").mkdir()
    np.save(tmp_path / "theirs" / "queries.npy", np.ones((8, 4)))
    line = ("evaluate", "-b", miracl, "-m", checkpoints["static"], "-o", tmp_path / "out")
    code, _, shown = call(*line, "--embeddings", tmp_path / "theirs")
    assert code == 2
    assert "holds embeddings of another system; leave the model out to measure them" in shown


def test_queries_stay_when_other_passages_are_refused(call, checkpoints, miracl, tmp_path):
    store, other = tmp_path / "store", tmp_path / "other"
    line = ("evaluate", "-m", checkpoints["static"], "--embeddings", store)
    assert call(*line, "-b", miracl, "-o", tmp_path / "a")[0] == 0
    shutil.copytree(miracl, other)
    for name in ("corpus.jsonl", "topics.dev.tsv"):
        path = other / "en" / name
        path.write_text(path.read_text("utf-8").replace("stone", "rock"), "utf-8")
    before = (store / "queries" / "en-00000.npy").read_bytes()
    assert call(*line, "-b", other, "-o", tmp_path / "b")[0] == 2
    assert (store / "queries" / "en-00000.npy").read_bytes() == before


def test_a_subset_in_which_nobody_asks_is_refused_before_the_work(refused, tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    rows = [
        {"_id": f"{lang}{i}", "text": f"{i}", "lang": lang} for lang in ("en", "sw") for i in "ab"
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    query = json.dumps({"_id": "q", "text": "a", "lang": "en"})
    (folder / "queries.jsonl").write_text(query, "utf-8")
    (folder / "qrels" / "test.tsv").write_text("q\tena\t1\n", "utf-8")
    line = ("evaluate", "-b", folder, "-m", "bm25", "-o", tmp_path / "out")
    assert "subset 'low': nothing can be measured in sw (" in refused(*line, "--subset", "low=sw")
    assert not (tmp_path / "out").exists()


def test_folders_that_hold_no_runs(refused, call, groups, tmp_path):
    line = ("evaluate", "-b", groups, "-o", tmp_path / "out", "--run", tmp_path)
    (tmp_path / "notes.txt").write_text("", "utf-8")
    assert "no runs named LANG.trec; found notes.txt" in refused(*line)
    (tmp_path / "the-best.trec").write_text("", "utf-8")
    assert "the-best.trec: not named by a language; rename it" in refused(*line)


def test_a_killed_evaluation_goes_on_from_its_embeddings(call, checkpoints, miracl, tmp_path):
    store = tmp_path / "embeddings"
    line = ("evaluate", "-m", checkpoints["static"], "-b", miracl, "--embeddings", store)
    assert call(*line, "--shard-size", 5, "-o", tmp_path / "whole")[0] == 0
    shutil.copytree(store, tmp_path / "copy")
    (store / "passages" / "sw-00001.npy").unlink()
    assert call(*line, "--shard-size", 5, "-o", tmp_path / "resumed")[0] == 0
    assert rows_of(tmp_path / "resumed") == rows_of(tmp_path / "whole")
    for path in (tmp_path / "copy" / "passages").iterdir():
        assert (store / "passages" / path.name).read_bytes() == path.read_bytes()
