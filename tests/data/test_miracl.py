import gzip
import json

import pytest

from isoglot.data.benchmarks import load_benchmark
from isoglot.data.corpus import StoredPassages
from isoglot.data.miracl import read_miracl, split_of
from isoglot.errors import ConfigError, DataError
from isoglot.records import Qrel
from tests.data.builders import write_jsonl

CORPUS = [
    {"docid": "1#0", "title": "Mji", "text": "Moja."},
    {"docid": "1#1", "title": "", "text": "Mbili."},
]


def write_language(folder, lang, split="dev", qrels="7\tQ0\t1#0\t1\n7\tQ0\t1#1\t0\n"):
    write_jsonl(folder / lang / "corpus.jsonl", CORPUS)
    (folder / lang / f"topics.{split}.tsv").write_text("7\tNini?\n8\tNani?\n", "utf-8")
    (folder / lang / f"qrels.{split}.tsv").write_text(qrels, "utf-8")
    return folder


def test_one_folder_per_language(tmp_path):
    write_language(write_language(tmp_path, "sw"), "yo")
    collection = read_miracl(tmp_path, name="x")
    assert [(p.doc_id, p.text) for p in collection.passages if p.lang == "sw"] == [
        ("sw:1#0", "Mji Moja."),
        ("sw:1#1", "Mbili."),
    ]
    # Negatives are kept; topic 8 stays although nothing is judged for it.
    assert [q for q in collection.qrels if q.query_lang == "yo"] == [
        Qrel("7", "yo", "yo:1#0", 1),
        Qrel("7", "yo", "yo:1#1", 0),
    ]
    assert [query.query_id for query in collection.queries] == ["7", "8", "7", "8"]
    assert collection.options == {"passage_text": "title text", "splits": "sw=dev yo=dev"}
    assert "sw/topics.dev.tsv" in collection.sources


def test_text_alone(tmp_path):
    collection = read_miracl(write_language(tmp_path, "sw"), passage_text="text")
    assert collection.passages[0].text == "Moja."
    assert collection.options["passage_text"] == "text"
    with pytest.raises(ConfigError, match="passage_text 'title' is unknown; allowed: title text"):
        read_miracl(tmp_path, passage_text="title")


@pytest.mark.parametrize("apart", [False, True])
def test_published_layout(tmp_path, apart):
    texts = tmp_path / "miracl" if apart else tmp_path
    corpora = tmp_path / "miracl-corpus" if apart else tmp_path
    for kind, line in (("topics", "7\tNini?\n"), ("qrels", "7 Q0 10#0 1\n")):
        path = texts / "miracl-v1.0-sw" / kind / f"{kind}.miracl-v1.0-sw-dev.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(line)
    folder = corpora / "miracl-corpus-v1.0-sw"
    folder.mkdir(parents=True)
    for shard in (10, 9):
        row = {"docid": f"{shard}#0", "title": "T", "text": "t"}
        (folder / f"docs-{shard}.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    collection = read_miracl(tmp_path)
    assert [passage.doc_id for passage in collection.passages] == ["sw:9#0", "sw:10#0"]
    assert collection.qrels == [Qrel("7", "sw", "sw:10#0", 1)]
    assert same(read_miracl(tmp_path, store=tmp_path / "store"), collection)


def same(stored, in_memory):
    """Say whether two collections have the same content."""
    fields = ("name", "queries", "qrels", "sources", "options")
    equal = all(getattr(stored, field) == getattr(in_memory, field) for field in fields)
    return equal and list(stored.passages) == list(in_memory.passages)


def test_a_stored_corpus_gives_the_same_collection(tmp_path):
    folder, store = tmp_path / "miracl", tmp_path / "store"
    write_language(write_language(folder, "sw"), "yo")
    stored = read_miracl(folder, store=store)
    assert isinstance(stored.passages, StoredPassages)
    assert same(stored, read_miracl(folder))
    langs = ["yo", "sw"]
    assert same(read_miracl(folder, store=store, langs=langs), read_miracl(folder, langs=langs))
    assert sorted(path.name for path in store.iterdir()) == ["sw", "yo"]
    # Another choice of texts, or other files, is another corpus.
    text = read_miracl(folder, store=store, passage_text="text")
    assert same(text, read_miracl(folder, passage_text="text"))
    write_jsonl(folder / "sw" / "corpus.jsonl", [*CORPUS, {"docid": "2", "text": "Tatu."}])
    assert same(read_miracl(folder, store=store), read_miracl(folder))


def test_a_stored_corpus_refuses_what_the_one_in_memory_refuses(tmp_path):
    folder, store = tmp_path / "miracl", tmp_path / "store"
    write_language(folder, "sw", qrels="7\tQ0\t1#0\t1\n7\tQ0\t9#9\t1\n")
    with pytest.raises(DataError, match=r"qrels\.dev\.tsv: query '7' has .* passage '9#9'"):
        read_miracl(folder, store=store)
    for row, message in (
        ({"docid": "1", "title": "", "text": " "}, r"corpus\.jsonl:3: the text is empty"),
        ({"title": "T", "text": "t"}, r"corpus\.jsonl:3: no field 'docid'"),
        (CORPUS[1], r"miracl, sw: passage id 'sw:1#1' occurs more than once"),
    ):
        write_jsonl(folder / "sw" / "corpus.jsonl", [*CORPUS, row])
        with pytest.raises(DataError, match=message):
            read_miracl(folder, store=store)
    path = write_jsonl(folder / "sw" / "corpus.jsonl", CORPUS)
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_suffix(".jsonl.gz").write_bytes(packed[:-12])
    with pytest.raises(DataError, match=r"corpus\.jsonl\.gz:\d: the gzip file is damaged"):
        read_miracl(folder, store=store)


def test_splits(tmp_path):
    write_language(tmp_path, "sw", split="train")
    write_language(tmp_path, "de", split="dev_half")
    with pytest.raises(DataError, match=r"sw has no split 'train2' .* the splits here are train"):
        read_miracl(tmp_path, langs=["sw"], split="train2")
    collection = read_miracl(tmp_path, split="train", any_split=True)
    assert (split_of(collection, "de"), split_of(collection, "sw")) == ("dev_half", "train")
    mini = load_benchmark("miracl-mini", data_dir=tmp_path)
    assert mini.options["splits"] == "de=dev_half sw=train"


def test_a_judgment_for_a_passage_that_is_not_there(tmp_path):
    write_language(tmp_path, "sw", qrels="7\tQ0\t1#0\t1\n7\tQ0\t9#9\t1\n")
    with pytest.raises(
        DataError, match=r"qrels\.dev\.tsv: query '7' has .* passage '9#9', .* \(1 such .* of 2\)"
    ):
        read_miracl(tmp_path)


def test_folders_and_languages_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no LANG/corpus\.jsonl .* found nothing"):
        read_miracl(tmp_path)
    write_language(tmp_path, "sw")
    with pytest.raises(DataError, match="no files for language 'fi'; the languages here are sw"):
        read_miracl(tmp_path, langs=["fi"])
    with pytest.raises(DataError, match="no such folder"):
        read_miracl(tmp_path / "none")


def test_bad_passages(tmp_path):
    write_language(tmp_path, "sw")
    for row, message in (
        ({"docid": "1", "title": "", "text": " "}, r"corpus\.jsonl:1: the text is empty"),
        ({"docid": "1", "text": 3}, r"corpus\.jsonl:1: text must be a text, got 3"),
        ({"title": "T", "text": "t"}, r"corpus\.jsonl:1: no field 'docid'"),
    ):
        write_jsonl(tmp_path / "sw" / "corpus.jsonl", [row])
        with pytest.raises(DataError, match=message):
            read_miracl(tmp_path)


def test_miracl_mini(shared_data):
    collection = load_benchmark("miracl-mini", data_dir=shared_data)
    assert len(collection.passage_langs) == len(collection.query_langs) == 18
    assert len(collection.passages) == 80_971
    splits = {lang: split_of(collection, lang) for lang in collection.query_langs}
    assert {lang for lang, split in splits.items() if split == "dev_half"} == {"de", "yo"}
    assert any(qrel.relevance == 0 for qrel in collection.qrels)


def test_miracl_mini_stored(shared_data, tmp_path):
    options = {"langs": ["sw"], "split": "train"}
    folder = shared_data / "miracl-mini"
    assert same(read_miracl(folder, store=tmp_path, **options), read_miracl(folder, **options))
