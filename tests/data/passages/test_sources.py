import gzip

import pytest

from isoglot.data.passages.sources import find_files, format_of, is_dataset
from isoglot.errors import DataError


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"") if path.suffix == ".gz" else b"")


def found(source):
    return [(file.name, file.lang, file.prefixed) for file in find_files(source)]


def test_one_file_may_be_named_by_its_language(tmp_path):
    make(tmp_path, "passages.jsonl.gz", "sw.tsv", "one.jsonl")
    assert found(tmp_path / "passages.jsonl.gz") == [("passages.jsonl.gz", None, False)]
    assert found(tmp_path / "sw.tsv") == [("sw.tsv", "sw", False)]
    assert found(tmp_path / "one.jsonl") == [("one.jsonl", None, False)]


def test_files_and_folders_named_by_language(tmp_path):
    make(tmp_path, "de.jsonl.gz", "sw/corpus.jsonl", "zh-Hans/part-2.parquet")
    make(tmp_path, "zh-Hans/part-10.parquet")
    assert found(tmp_path) == [
        ("de.jsonl.gz", "de", True),
        ("sw/corpus.jsonl", "sw", True),
        ("zh-Hans/part-2.parquet", "zh", True),
        ("zh-Hans/part-10.parquet", "zh", True),
    ]
    assert found(tmp_path / "sw") == [("corpus.jsonl", "sw", False)]


def test_the_innermost_name_counts(tmp_path):
    make(tmp_path, "en/fr.jsonl", "en/more.parquet", "data/ha/b.jsonl")
    assert {name: lang for name, lang, _ in found(tmp_path)} == {
        "en/fr.jsonl": "fr",
        "en/more.parquet": "en",
        "data/ha/b.jsonl": "ha",
    }


def test_three_letters_are_a_language_only_beside_one_that_surely_is(tmp_path):
    make(tmp_path / "words", "one.jsonl", "dev/two.jsonl", "run/new/a.tsv")
    assert {lang for _, lang, _ in found(tmp_path / "words")} == {None}
    make(tmp_path / "langs", "en/a.jsonl", "bem/a.jsonl", "swa.tsv")
    assert [lang for _, lang, _ in found(tmp_path / "langs")] == ["sw", "bem", "en"]
    make(tmp_path / "flores", "swh_Latn.jsonl", "fon.jsonl")
    assert [lang for _, lang, _ in found(tmp_path / "flores")] == ["fon", "swh"]


def test_topics_queries_and_judgments_are_passed_over(tmp_path):
    make(tmp_path / "miracl", "yo/corpus.jsonl.gz", "yo/topics.dev.tsv", "yo/qrels.dev.tsv")
    assert found(tmp_path / "miracl") == [("yo/corpus.jsonl.gz", "yo", True)]
    make(tmp_path / "beir", "corpus.jsonl", "queries.jsonl", "other.jsonl", "qrels/test.tsv")
    assert found(tmp_path / "beir") == [("corpus.jsonl", None, False)]
    make(tmp_path / "plain", "queries.jsonl", "one.jsonl", ".hidden/two.jsonl", "info.json")
    assert found(tmp_path / "plain") == [("one.jsonl", None, False)]
    make(tmp_path / "under", "queries_en.jsonl", "qrels2.tsv", "topics-dev.tsv", "topical.jsonl")
    assert found(tmp_path / "under") == [("topical.jsonl", None, False)]


def test_miracl_as_published(tmp_path):
    make(
        tmp_path,
        *(f"miracl-corpus/miracl-corpus-v1.0-sw/docs-{n}.jsonl.gz" for n in (0, 1, 2, 10)),
        "miracl/miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv",
        "miracl/miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv",
    )
    assert found(tmp_path) == [
        (f"miracl-corpus/miracl-corpus-v1.0-sw/docs-{n}.jsonl.gz", "sw", True)
        for n in (0, 1, 2, 10)
    ]


def test_what_is_a_data_set(tmp_path):
    assert is_dataset("owner/name") and is_dataset("name")
    make(tmp_path, "plain/a.jsonl", "saved/state.json", "many/dataset_dict.json")
    assert [is_dataset(str(tmp_path / name)) for name in ("plain", "saved", "many")] == [
        False,
        True,
        True,
    ]
    assert not is_dataset(str(tmp_path / "plain" / "a.jsonl"))


@pytest.mark.parametrize("source", ["/no/such", "no/such.jsonl", "no/such.tsv.gz", "a/b/c", ""])
def test_a_path_that_is_not_there(source):
    with pytest.raises(DataError, match="no such file or folder; name one, or a data set on the"):
        is_dataset(source)


def test_names_without_a_format(tmp_path):
    make(tmp_path, "a.txt", "b.parquet.gz")
    for name in ("a.txt", "b.parquet.gz"):
        with pytest.raises(DataError, match=r"unknown format; the file name must end in \.jsonl"):
            format_of(tmp_path / name)
        with pytest.raises(DataError, match="unknown format"):
            find_files(tmp_path / name)
    (tmp_path / "b.parquet.gz").unlink()
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DataError, match=r"no files with passages; expected .*; found a\.json, a"):
        find_files(tmp_path)
