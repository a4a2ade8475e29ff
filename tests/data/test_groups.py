import pytest

from isoglot.data.groups import groups_to_collection, read_groups, write_groups
from isoglot.errors import DataError
from isoglot.records import Group, Qrel
from tests.data.builders import write_jsonl

GROUPS = [
    Group("g1", {"en": "what?", "sw": "nini?"}, {"en": "that", "de": "das"}),
    Group("g2", {"de": "wer?"}, {"de": "er"}, ({"de": "sie", "en": "she"}, {"en": "it"})),
]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_round_trip(tmp_path, name):
    assert write_groups(tmp_path / name, GROUPS) == 2
    assert list(read_groups(tmp_path / name)) == GROUPS


def test_languages_are_normalised_and_ids_made_text(tmp_path):
    row = {"id": 1, "query": {"swa": "q"}, "passage": {"zh-Hans": "p"}}
    path = write_jsonl(tmp_path / "a.jsonl", [row])
    assert list(read_groups(path)) == [Group("1", {"sw": "q"}, {"zh": "p"})]


def test_splits(tmp_path):
    row = {"query": {"en": "q"}, "passage": {"en": "p"}}
    path = write_jsonl(
        tmp_path / "a.jsonl", [{"id": "1", "split": "train", **row}, {"id": "2", **row}]
    )
    assert [group.group_id for group in read_groups(path, split="train")] == ["1"]
    assert len(list(read_groups(path))) == 2
    with pytest.raises(DataError, match="no groups of split 'dev'"):
        list(read_groups(path, split="dev"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"query": "what?"}, r"a\.jsonl:1: query: expected a mapping of languages to texts"),
        ({"passage": {}}, "a.jsonl:1: passage: .* got a mapping that is empty"),
        ({"passage": {"english": "x"}}, "a.jsonl:1: passage: unknown language 'english'"),
        ({"query": {"en": " "}}, r"a\.jsonl:1: query\.en: the text is empty"),
        ({"pasage": {"en": "x"}}, "a.jsonl:1: unknown field 'pasage'; did you mean 'passage'"),
        ({"negatives": {"en": "x"}}, "a.jsonl:1: negatives must be a list of mappings"),
        ({"negatives": [{"en": 1}]}, r"negatives\[0\]\.en: expected a text, got the number 1"),
        ({"id": ""}, "a.jsonl:1: id: the text is empty"),
    ],
)
def test_bad_rows(tmp_path, changed, message):
    row = {"id": "1", "query": {"en": "q"}, "passage": {"en": "p"}, **changed}
    path = write_jsonl(tmp_path / "a.jsonl", [row])
    with pytest.raises(DataError, match=message):
        list(read_groups(path))


def test_repeated_id_and_empty_file(tmp_path):
    row = {"id": "1", "query": {"en": "q"}, "passage": {"en": "p"}}
    with pytest.raises(DataError, match=r"a\.jsonl:2: group id '1' comes twice"):
        list(read_groups(write_jsonl(tmp_path / "a.jsonl", [row, row])))
    with pytest.raises(DataError, match=r"b\.jsonl: no groups"):
        list(read_groups(write_jsonl(tmp_path / "b.jsonl", [])))


def test_held_out_groups_are_a_collection():
    collection = groups_to_collection(GROUPS, "held-out", sources={"a": "0"})
    assert [passage.doc_id for passage in collection.passages] == ["en/g1", "de/g1", "de/g2"]
    assert collection.qrels == [
        Qrel("g1", "en", "en/g1", 1),
        Qrel("g1", "en", "de/g1", 1),
        Qrel("g1", "sw", "en/g1", 1),
        Qrel("g1", "sw", "de/g1", 1),
        Qrel("g2", "de", "de/g2", 1),
    ]
    assert collection.sources == {"a": "0"}


def test_an_unfinished_file_is_never_seen(tmp_path):
    def broken():
        yield GROUPS[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_groups(tmp_path / "a.jsonl.gz", broken())
    assert not list(tmp_path.iterdir())
