import pytest

from isoglot.data.hub import HubColumns, read_hub
from isoglot.errors import DataError, DownloadError
from isoglot.records import Group
from tests.data.builders import write_jsonl

datasets = pytest.importorskip("datasets")

ROWS = {
    "key": ["a", "b"],
    "question": ["what?", "nini?"],
    "context": ["that", "hiyo"],
    "wrong": [["this", "it"], []],
    "lang": ["en", "swa"],
}
COLUMNS = HubColumns("question", "context", "lang", "lang", ("wrong",), "key")
GROUPS = [
    Group("a", {"en": "what?"}, {"en": "that"}, ({"en": "this"}, {"en": "it"})),
    Group("b", {"sw": "nini?"}, {"sw": "hiyo"}),
]


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def dataset():
    return datasets.Dataset.from_dict(ROWS)


def test_parquet_file(tmp_path, dataset):
    path = tmp_path / "a.parquet"
    dataset.to_parquet(path)
    assert list(read_hub(str(path), COLUMNS)) == GROUPS


def test_json_lines_file_and_row_numbers(tmp_path):
    rows = [{"q": "what?", "p": "that"}, {"q": "who?", "p": "she"}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    assert list(read_hub(str(path), HubColumns("q", "p", "en", "en"))) == [
        Group("0", {"en": "what?"}, {"en": "that"}),
        Group("1", {"en": "who?"}, {"en": "she"}),
    ]
    assert len(list(read_hub(str(path), HubColumns("q", "p", "en", "en"), split="train[:1]"))) == 1


def test_saved_folders(tmp_path, dataset):
    dataset.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"dev": dataset}).save_to_disk(tmp_path / "many")
    assert list(read_hub(str(tmp_path / "one"), COLUMNS)) == GROUPS
    assert list(read_hub(str(tmp_path / "many"), COLUMNS, split="dev")) == GROUPS
    with pytest.raises(DataError, match="no split 'train'; the splits here are dev"):
        list(read_hub(str(tmp_path / "many"), COLUMNS))


def test_folder_of_files(tmp_path, dataset):
    dataset.to_parquet(tmp_path / "folder" / "train.parquet")
    assert list(read_hub(str(tmp_path / "folder"), COLUMNS)) == GROUPS


def test_columns_of_mappings(tmp_path):
    rows = [
        {"q": {"en": "what?", "sw": "nini?"}, "p": {"en": "that"}},
        {"q": {"sw": "nani?"}, "p": {"de": "er"}},
    ]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    assert list(read_hub(str(path), HubColumns("q", "p"))) == [
        Group("0", {"en": "what?", "sw": "nini?"}, {"en": "that"}),
        Group("1", {"sw": "nani?"}, {"de": "er"}),
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (HubColumns("query", "p"), "no column 'query'; the columns here are id, q"),
        (HubColumns("q", "p"), "row 0: column 'q': the language is not known; set query_lang"),
        (HubColumns("q", "p", "en", "quux9"), "unknown language 'quux9'"),
        (HubColumns("q", "p", "en", "en", (), "id"), "row 1: id '1' comes twice"),
        (HubColumns("q", "empty", "en", "en"), "row 0: column 'empty': the text is empty"),
    ],
)
def test_bad_rows(tmp_path, columns, message):
    rows = [{"id": 1, "q": "a", "p": "b", "empty": " "}] * 2
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=message):
        list(read_hub(str(path), columns))


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"the file name must end in one of \.parquet, \.json"):
        list(read_hub(str(tmp_path / "a.txt"), COLUMNS))
    with pytest.raises(DownloadError, match="nobody/nothing: no such file or folder, and not to"):
        list(read_hub("nobody/nothing", COLUMNS))
