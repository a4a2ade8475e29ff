import gzip
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

from isoglot.artifacts import read_json
from isoglot.cli.app import app
from isoglot.config.loading import parse_config
from isoglot.config.schema import TrainConfig
from isoglot.config.sources import SourceConfig
from isoglot.data.afriqa import is_afriqa_folder, read_afriqa, read_afriqa_groups
from isoglot.data.benchmarks import load_benchmark, parse_benchmark
from isoglot.data.inspection import inspect
from isoglot.data.layouts import detect_layout
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.evaluate import evaluate
from isoglot.pipeline.sources import prepare_sources, read_source
from isoglot.records import Group, Passage, Qrel, Query
from tests.data.builders import write_jsonl
from tests.data.test_miracl import write_language

ENGLISH = [
    {"docid": "a", "title": "Zambia", "text": "A country."},
    {"docid": "b", "title": "", "text": "A river."},
    {"docid": "c", "title": "Lake", "text": "Water."},
]
FRENCH = [{"docid": "a", "title": "Bénin", "text": "Un pays."}]
DEV = [
    {"query_id": "bem-dev-0", "lang": "bem", "text": "Icalo?", "pivot_text": "Which country?"},
    {"query_id": "twi-dev-0", "lang": "twi", "text": "Asubɔnten?", "pivot_text": "Which river?"},
    {"query_id": "twi-dev-1", "lang": "twi", "text": "Ɔtare?", "pivot_text": "Which lake?"},
]
FRENCH_DEV = [{"query_id": "fon-dev-0", "lang": "fon", "text": "Tò?", "pivot_text": "Quel pays ?"}]
DEV_QRELS = "bem-dev-0\tQ0\ta\t1\nbem-dev-0\tQ0\tb\t0\ntwi-dev-0\tQ0\tb\t1\ntwi-dev-1\tQ0\tc\t0\n"


def write_split(folder, split, topics, qrels):
    write_jsonl(folder / f"topics.{split}.jsonl", topics)
    (folder / f"qrels.{split}.tsv").write_text(qrels, "utf-8")


@pytest.fixture
def folder(tmp_path):
    """Two questions of three over English passages are answered, and one over French ones."""
    folder = tmp_path / "afriqa"
    english = write_jsonl(folder / "en" / "corpus.jsonl", ENGLISH)
    with gzip.open(f"{english}.gz", "wb") as file:
        file.write(english.read_bytes())
    english.unlink()
    write_jsonl(folder / "fr" / "corpus.jsonl", FRENCH)
    write_split(folder / "en", "dev", DEV, DEV_QRELS)
    write_split(folder / "fr", "dev", FRENCH_DEV, "fon-dev-0 Q0 a 1\n")
    train = [
        {"query_id": "yor-train-0", "lang": "yor", "text": "Odò?", "pivot_text": "Which river?"}
    ]
    write_split(folder / "en", "train", train, "yor-train-0\tQ0\tb\t1\n")
    write_split(
        folder / "fr", "train", [{**FRENCH_DEV[0], "query_id": "fon-train-0"}], "fon-train-0 0 a 1"
    )
    return folder


def test_questions_with_one_pool_of_passages(folder):
    collection = read_afriqa(folder)
    assert collection.queries == [
        Query("bem-dev-0", "bem", "Icalo?"),
        Query("twi-dev-0", "tw", "Asubɔnten?"),
        Query("twi-dev-1", "tw", "Ɔtare?"),
        Query("fon-dev-0", "fon", "Tò?"),
    ]
    assert collection.passages == [
        Passage("en:a", "en", "Zambia A country."),
        Passage("en:b", "en", "A river."),
        Passage("en:c", "en", "Lake Water."),
        Passage("fr:a", "fr", "Bénin Un pays."),
    ]
    assert collection.qrels == [
        Qrel("bem-dev-0", "bem", "en:a", 1),
        Qrel("bem-dev-0", "bem", "en:b", 0),
        Qrel("twi-dev-0", "tw", "en:b", 1),
        Qrel("twi-dev-1", "tw", "en:c", 0),
        Qrel("fon-dev-0", "fon", "fr:a", 1),
    ]
    assert collection.options == {"passage_text": "title text", "split": "dev"}
    files = ("corpus.jsonl{}", "qrels.dev.tsv", "topics.dev.jsonl")
    names = [
        f"{lang}/{name}".format(zip) for lang, zip in (("en", ".gz"), ("fr", "")) for name in files
    ]
    assert sorted(collection.sources) == names


def test_titles_can_be_left_out(folder):
    assert read_afriqa(folder, passage_text="text").passages[0].text == "A country."
    with pytest.raises(ConfigError, match="passage_text 'titel' is unknown"):
        read_afriqa(folder, passage_text="titel")


def test_the_same_questions_in_the_language_of_their_passages(folder):
    plain, both = read_afriqa(folder), read_afriqa(folder, pivots=True)
    assert both.passages == plain.passages
    added = [query for query in both.queries if query not in plain.queries]
    assert added == [
        Query("bem-dev-0", "en", "Which country?"),
        Query("twi-dev-0", "en", "Which river?"),
        Query("twi-dev-1", "en", "Which lake?"),
        Query("fon-dev-0", "fr", "Quel pays ?"),
    ]
    pivots = [qrel for qrel in both.qrels if qrel.query_lang in ("en", "fr")]
    assert [(q.query_id, q.doc_id, q.relevance) for q in pivots] == [
        (q.query_id, q.doc_id, q.relevance) for q in plain.qrels
    ]


@pytest.mark.parametrize(
    ("langs", "query_langs", "passage_langs"),
    [
        (["tw"], ("tw",), ("en", "fr")),
        (["tw", "fon"], ("fon", "tw"), ("en", "fr")),
        (["twi", "en"], ("tw",), ("en",)),
        (["en"], ("bem", "tw"), ("en",)),
        (["fr"], ("fon",), ("fr",)),
        (["en", "fr"], ("bem", "fon", "tw"), ("en", "fr")),
    ],
)
def test_languages_are_of_questions_of_passages_or_both(folder, langs, query_langs, passage_langs):
    collection = read_afriqa(folder, langs=langs)
    assert (collection.query_langs, collection.passage_langs) == (query_langs, passage_langs)


def test_a_translation_comes_with_its_question_only(folder):
    queries = read_afriqa(folder, langs=["bem", "fon"], pivots=True).queries
    assert [(query.lang, query.query_id) for query in queries] == [
        *(("bem", "bem-dev-0"), ("en", "bem-dev-0")),
        *(("fon", "fon-dev-0"), ("fr", "fon-dev-0")),
    ]


def test_the_split_that_is_there(folder):
    assert read_afriqa(folder, split="train").query_langs == ("fon", "yo")
    assert read_afriqa(folder, split=None).options["split"] == "dev"
    for path in folder.glob("*/topics.dev.jsonl"):
        path.unlink()
    assert read_afriqa(folder, split=None).options["split"] == "train"


def test_groups_pair_a_question_and_its_translation_with_the_passage(folder):
    assert list(read_afriqa_groups(folder)) == [
        Group(
            "yor-train-0", {"yo": "Odò?", "en": "Which river?"}, {"en": "A river."}, negatives=()
        ),
        Group("fon-train-0", {"fon": "Tò?", "fr": "Quel pays ?"}, {"fr": "Bénin Un pays."}, ()),
    ]
    # twi-dev-1 has only a judged negative; that of bem-dev-0 is its group's
    dev = {group.group_id: group for group in read_afriqa_groups(folder, split="dev")}
    assert list(dev) == ["bem-dev-0", "twi-dev-0", "fon-dev-0"]
    assert dev["bem-dev-0"].negatives == ({"en": "A river."},)


def test_a_group_has_the_most_relevant_passage_and_the_first_of_equals(folder):
    (folder / "en" / "qrels.train.tsv").write_text(
        "yor-train-0 0 a 1\nyor-train-0 0 c 2\nyor-train-0 0 b 2\n", "utf-8"
    )
    assert next(iter(read_afriqa_groups(folder))).passage == {"en": "Lake Water."}


def test_passages_of_groups_are_those_of_the_evaluation(folder):
    texts = {passage.text for passage in read_afriqa(folder).passages}
    groups = [
        group for split in ("train", "dev") for group in read_afriqa_groups(folder, split=split)
    ]
    assert {text for group in groups for text in group.passage.values()} <= texts


def test_the_layout_is_told_from_miracls(folder, tmp_path):
    assert detect_layout(folder) == "afriqa"
    assert is_afriqa_folder(folder)
    miracl = write_language(tmp_path / "miracl", "sw")
    assert detect_layout(miracl) == "miracl"
    assert not is_afriqa_folder(miracl)
    found = inspect(folder)
    assert found.layout == "afriqa"
    assert found.counts["tw"] == Counter(queries=2, judgments=2)
    assert found.counts["en"] == Counter(passages=3)


def test_by_path_and_by_name(folder):
    assert load_benchmark(f"{folder}:tw").query_langs == ("tw",)
    assert load_benchmark(str(folder), split="train").name == str(folder)
    named = load_benchmark("afriqa:twi,fon", data_dir=folder.parent)
    assert (named.name, named.query_langs) == ("afriqa", ("fon", "tw"))
    both = load_benchmark("afriqa-pivot", data_dir=folder)
    assert (both.name, both.query_langs) == ("afriqa-pivot", ("bem", "en", "fon", "fr", "tw"))
    assert parse_benchmark("afriqa:bem,hau,ibo,kin,twi,yor,zul")[1] == tuple(
        "bem ha ig rw tw yo zu".split()
    )


def test_named_without_files_or_with_a_language_it_does_not_have(folder):
    with pytest.raises(DataError, match=r"afriqa is not downloaded; pass with --data DIR the fold"):
        load_benchmark("afriqa")
    with pytest.raises(DataError, match=r"afriqa-pivot is not downloaded"):
        load_benchmark("afriqa-pivot")
    with pytest.raises(ConfigError, match=r"afriqa has no language 'sw'; allowed: bem, en, fon, f"):
        load_benchmark("afriqa:sw", data_dir=folder)
    with pytest.raises(
        DataError, match=r"no questions in 'yo' over passages in en and fr, split '"
    ):
        load_benchmark("afriqa:yo", data_dir=folder)
    with pytest.raises(
        DataError, match=r"no questions in 'fon' over passages in en, split 'dev'; t"
    ):
        load_benchmark("afriqa:fon,en", data_dir=folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("en/topics.dev.jsonl", "", r"en/topics\.dev\.jsonl: no topics"),
        (
            "en/topics.dev.jsonl",
            '{"query_id": "1", "lang": "twi", "text": "t"}',
            r"topics\.dev\.jsonl:1: no field 'pivot_text'; the fields here are lang, query_id, t",
        ),
        (
            "en/topics.dev.jsonl",
            '{"query_id": "1", "lang": "eng", "text": "t", "pivot_text": "p"}',
            r":1: lang 'en' is the language of the passages; a question here is in another l",
        ),
        (
            "en/topics.dev.jsonl",
            '{"query_id": "1", "lang": "xxqq", "text": "t", "pivot_text": "p"}',
            r"topics\.dev\.jsonl:1: lang: unknown language 'xxqq'",
        ),
        (
            "en/topics.dev.jsonl",
            '{"query_id": "1", "lang": "twi", "text": "t", "pivot_text": "p"}\n' * 2,
            r"topics\.dev\.jsonl:2: query id '1' comes twice; ids must be unique",
        ),
        (
            "en/qrels.dev.tsv",
            "none 0 a 1\n",
            r"qrels\.dev\.tsv: a judgment names query 'none', which is not among the topics",
        ),
        (
            "en/qrels.dev.tsv",
            "twi-dev-0 0 z 1\n",
            r"query 'twi-dev-0' has a judgment for passage 'z', which is not in the corpus; fetch",
        ),
        ("en/corpus.jsonl", '{"docid": "a"}', r"en/corpus\.jsonl:1: the text is empty"),
    ],
)
def test_malformed_files(folder, name, content, message):
    (folder / name).write_text(content, "utf-8")
    with pytest.raises(DataError, match=message):
        read_afriqa(folder)


def test_missing_files(folder, tmp_path):
    with pytest.raises(
        DataError, match=r"en has no split 'test' .*; the splits here are dev, train"
    ):
        read_afriqa(folder, split="test")
    (folder / "fr" / "qrels.dev.tsv").unlink()
    with pytest.raises(DataError, match=r"fr has no split 'dev' .*; the splits here are train$"):
        read_afriqa(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no LANG/corpus\.jsonl; found nothing"):
        read_afriqa(tmp_path / "empty")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        list(read_afriqa_groups(tmp_path / "nowhere"))


def test_groups_need_answers_and_ids_of_their_own(folder):
    write_split(folder / "fr", "train", FRENCH_DEV, "fon-dev-0 0 a 0\n")
    (folder / "en" / "qrels.train.tsv").write_text("yor-train-0 0 a 0\n", "utf-8")
    with pytest.raises(DataError, match="no question of split 'train' has a relevant passage"):
        list(read_afriqa_groups(folder))
    (folder / "en" / "qrels.train.tsv").write_text("yor-train-0 0 a 1\n", "utf-8")
    again = {**FRENCH_DEV[0], "query_id": "yor-train-0"}
    write_split(folder / "fr", "train", [again], "yor-train-0 0 a 1\n")
    with pytest.raises(DataError, match=r"fr/topics\.train\.jsonl: query id 'yor-train-0' comes t"):
        list(read_afriqa_groups(folder))


def test_a_source_of_training_groups(folder):
    source = SourceConfig(path=str(folder), format="afriqa")
    assert list(read_source(source)) == list(read_afriqa_groups(folder))
    values = {
        "model": {"name": "mini"},
        "data": [source.model_dump()],
    }
    config = parse_config(TrainConfig, values, where="test")
    table = prepare_sources(config)
    assert [group.group_id for group in table.groups()] == ["yor-train-0", "fon-train-0"]
    assert (table.datasets, table.langs) == (("afriqa",), ("en", "fon", "fr", "yo"))
    dev = source.model_copy(update={"split": "dev"})
    assert prepare_sources(config.model_copy(update={"data": (dev,)})).folder != table.folder


# Relevance by hand: bem-dev-0 en:a, twi-dev-0 en:b, twi-dev-1 none, fon-dev-0 fr:a. Passages are
# unit vectors, so that a query's vector holds its scores: en:a, en:b, en:c, fr:a.
SCORES = {
    ("bem", "bem-dev-0"): (0.5, 0.4, 0.6, 0.7),  # second in English, third of all
    ("en", "bem-dev-0"): (0.9, 0.0, 0.1, 0.2),
    ("tw", "twi-dev-0"): (0.1, 0.9, 0.2, 0.95),  # first in English, second of all
    ("en", "twi-dev-0"): (0.9, 0.8, 0.1, 0.2),  # second
    ("tw", "twi-dev-1"): (0.1, 0.2, 0.3, 0.4),
    ("en", "twi-dev-1"): (0.1, 0.2, 0.3, 0.4),
    ("fon", "fon-dev-0"): (0.9, 0.8, 0.7, 0.1),  # first in French, last of all
    ("fr", "fon-dev-0"): (0.1, 0.2, 0.3, 0.9),
}


def average_precision(folder, *, pivots):
    collection = read_afriqa(folder, pivots=pivots)
    vectors = np.array([SCORES[q.lang, q.query_id] for q in collection.queries], dtype=np.float32)
    found = evaluate(
        collection, vectors, np.eye(4, dtype=np.float32), measures=["AP"], similarity="dot"
    )
    rows = {(r.setting, r.query_lang, r.passage_lang): r.value for r in found.settings}
    return rows, found.summary


def test_query_languages_without_passages_have_no_monolingual_pool(folder):
    rows, summary = average_precision(folder, pivots=False)
    assert rows == {
        ("cross-lingual", "bem", "en"): pytest.approx(1 / 2),
        ("cross-lingual", "tw", "en"): 1.0,
        ("cross-lingual", "fon", "fr"): 1.0,
        ("multilingual", "bem", "*"): pytest.approx(1 / 3),
        ("multilingual", "tw", "*"): pytest.approx(1 / 2),
        ("multilingual", "fon", "*"): pytest.approx(1 / 4),
    }
    assert summary["monolingual"] == {}
    assert summary["multilingual"]["AP"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 4) / 3)


def test_the_translated_questions_are_the_monolingual_setting(folder):
    rows, summary = average_precision(folder, pivots=True)
    assert rows["monolingual", "en", "en"] == pytest.approx((1 + 1 / 2) / 2)
    assert rows["monolingual", "fr", "fr"] == 1.0
    assert summary["monolingual"]["AP"] == pytest.approx(0.875)
    assert summary["cross-lingual"]["AP"] == pytest.approx((1 / 2 + 1 + 1) / 3)


def test_evaluated_and_compared_from_the_command_line(folder, tmp_path):
    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    for name in ("a", "b"):
        run("evaluate", "-m", "bm25", "-b", "afriqa-pivot", "--data", folder, "-o", tmp_path / name)
    metrics = read_json(tmp_path / "a" / "metrics.json")
    assert set(metrics["summary"]["monolingual"]) == set(metrics["summary"]["multilingual"])
    assert metrics["bias"]["rank_distance"] is None
    assert metrics["resource_groups"]["groups"]["low"] == ["bem", "fon", "tw", "fr", "en"]
    assert "cross-lingual" in run("compare", tmp_path / "a", tmp_path / "b")
    run("report", tmp_path / "a", "-o", tmp_path / "report.html")
    listed = run("data", "list")
    assert "afriqa (10 languages)" in listed
    assert "CC BY 4.0" in listed


def test_the_real_data(shared_data):
    collection = load_benchmark("afriqa", data_dir=shared_data)
    counts = Counter(query.lang for query in collection.queries)
    assert sorted(counts) == ["bem", "fon", "ha", "ig", "rw", "tw", "zu"]
    assert [counts[lang] for lang in sorted(counts)] == [235, 271, 218, 303, 228, 342, 242]
    assert Counter(passage.lang for passage in collection.passages) == {"en": 3095, "fr": 494}
    assert len(collection.qrels) == 1839
    assert {qrel.doc_id for qrel in collection.qrels} <= {p.doc_id for p in collection.passages}
    both = load_benchmark("afriqa-pivot", data_dir=shared_data)
    assert Counter(query.lang for query in both.queries)["en"] == 1839 - 271
    groups = list(read_afriqa_groups(shared_data / "afriqa"))
    assert len(groups) == 1800 + 282
    assert Counter(next(iter(group.query)) for group in groups)["yo"] == 245
