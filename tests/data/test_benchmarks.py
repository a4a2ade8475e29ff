import hashlib

import pytest

from isoglot.data import download, named
from isoglot.data.benchmarks import BENCHMARKS, load_benchmark, parse_benchmark
from isoglot.data.files import hash_files
from isoglot.data.layouts import detect_layout
from isoglot.data.published_counts import LAREQA_COUNTS, MIRACL_COUNTS, MIRACL_LANGS, Counts
from isoglot.errors import ConfigError, DataError, DownloadError
from tests.data.builders import lareqa_paragraph, squad, write_json, write_jsonl
from tests.data.test_miracl import write_language

GROUP = {"id": "1", "query": {"en": "q", "sw": "s"}, "passage": {"en": "p", "sw": "t"}}


@pytest.fixture
def tiny(tmp_path):
    """A LAReQA folder of two languages whose counts are nobody's."""
    folder = tmp_path / "tiny"
    write_json(folder / "en.json", squad(lareqa_paragraph(["A.", "B."], {"1": 1, "2": 0})))
    write_json(folder / "de.json", squad(lareqa_paragraph(["C."], {"1": 0})))
    return folder


def publish(monkeypatch, name, **counts):
    monkeypatch.setitem(LAREQA_COUNTS, name, {lang: Counts(*c) for lang, c in counts.items()})


def test_names_paths_and_languages(tiny):
    assert parse_benchmark("xquad-r") == ("xquad-r", None)
    assert parse_benchmark("miracl:swa, bn,sw") == ("miracl", ("sw", "bn"))
    assert parse_benchmark(f"{tiny}:en") == (str(tiny), ("en",))
    assert parse_benchmark(str(tiny)) == (str(tiny), None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("xquadr", r"benchmark 'xquadr' is neither .*; the names are xquad-r, .*; did you mean"),
        ("mircl:en", r"benchmark 'mircl' is neither .*; did you mean 'miracl'\?"),
        ("./nowhere", "neither a known name nor a folder that exists"),
        ("xquad-r:", "no language after the colon; write xquad-r:en,sw"),
        ("xquad-r:klingonese", "unknown language 'klingonese'"),
        ("xquad-r:sw", "xquad-r has no language 'sw'; allowed: ar, de, el"),
        ("", "benchmark '' is neither"),
    ],
)
def test_unknown_benchmarks(spec, message):
    with pytest.raises(ConfigError, match=message):
        load_benchmark(spec)


def test_published_counts_hold(tiny, monkeypatch):
    publish(monkeypatch, "mlqa-r", en=(2, 2), de=(1, 1))
    whole = load_benchmark("mlqa-r", data_dir=tiny)
    assert (whole.name, len(whole.queries), len(whole.qrels)) == ("mlqa-r", 3, 5)
    # A question's relevant passages are in the languages that have it.
    assert len(load_benchmark("mlqa-r:en", data_dir=tiny).qrels) == 2
    publish(monkeypatch, "mlqa-r", en=(2, 2), de=(2, 1))
    with pytest.raises(DataError, match=r"mlqa-r: de\.json: found 1 queries, the published .* 2;"):
        load_benchmark("mlqa-r", data_dir=tiny)
    publish(monkeypatch, "mlqa-r", en=(2, 3), de=(1, 1))
    with pytest.raises(DataError, match=r"mlqa-r: en\.json: found 2 passages, .* has 3; fetch"):
        load_benchmark("mlqa-r", data_dir=tiny)


def test_a_subfolder_of_the_benchmarks_name(tiny, monkeypatch):
    publish(monkeypatch, "xquad-r", en=(2, 2), de=(1, 1))
    tiny.rename(tiny.parent / "xquad-r")
    assert len(load_benchmark("xquad-r", data_dir=tiny.parent).passages) == 3


def test_xquad_r_is_downloaded_language_by_language(tiny, tmp_path, monkeypatch):
    publish(monkeypatch, "xquad-r", en=(2, 2), de=(1, 1))
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    urls = []

    def fetch(remote):
        urls.append(remote.url)
        target = download.cache_folder() / remote.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tiny / target.name).read_bytes())

    monkeypatch.setattr(named, "fetch", fetch)
    collection = load_benchmark("xquad-r:de")
    assert collection.passage_langs == ("de",)
    assert [url.rsplit("/", 3)[1:] for url in urls] == [
        ["5405d2a77e83d5ccb47623a3f9e5604c3f103193", "xquad-r", "de.json"]
    ]
    content = (tiny / "de.json").read_bytes()
    assert collection.sources == {"de.json": hashlib.sha256(content).hexdigest()}


def test_the_pinned_files_are_the_published_ones(shared_data):
    folder = shared_data / "xquad-r"
    paths = [folder / f"{lang}.json" for lang in LAREQA_COUNTS["xquad-r"]]
    pinned = {f"{lang}.json": sha256 for lang, sha256 in named._XQUAD_R_SHA256.items()}
    assert hash_files(paths, folder) == pinned


def test_miracl_is_checked_where_counts_are_published(tmp_path, monkeypatch):
    write_language(write_language(tmp_path, "sw"), "yo")
    monkeypatch.setitem(MIRACL_COUNTS["dev"], "sw", Counts(2, 2, 2))
    assert len(load_benchmark("miracl", data_dir=tmp_path).queries) == 4
    monkeypatch.setitem(MIRACL_COUNTS["dev"], "sw", Counts(2, 2, 5092))
    with pytest.raises(DataError, match=r"miracl: sw, split dev: found 2 judgments, .* has 5092;"):
        load_benchmark("miracl:sw", data_dir=tmp_path)


def test_miracl_is_fetched_from_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path))
    monkeypatch.setitem(MIRACL_COUNTS["dev"], "sw", Counts(2, 2, 2))
    asked = []

    def fetch(repositories, target, marker):
        asked.append((repositories, marker))
        write_language(target, marker)

    monkeypatch.setattr(named, "fetch_hub_files", fetch)
    assert load_benchmark("miracl:sw").passage_langs == ("sw",)
    patterns = (
        ("miracl/miracl", "miracl-v1.0-sw"),
        ("miracl/miracl-corpus", "miracl-corpus-v1.0-sw"),
    )
    assert asked == [(patterns, "sw")]


def test_published_miracl_totals():
    for split, queries, judgments in (("dev", 13_071, 126_076), ("train", 40_203, 343_177)):
        counts = MIRACL_COUNTS[split].values()
        assert sum(count.queries for count in counts) == queries
        assert sum(count.judgments or 0 for count in counts) == judgments
    assert {*MIRACL_COUNTS["dev"], "de", "yo"} == set(MIRACL_LANGS)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mlqa-r", r"withdrew it, and its licence \(CC BY-NC 4\.0\) .* --data DIR .* 354d67d1cd06"),
        ("miracl-mini", r"miracl-mini is not downloaded; pass with --data DIR the folder"),
    ],
)
def test_benchmarks_that_are_not_downloaded(spec, message):
    with pytest.raises(DataError, match=message):
        load_benchmark(spec)


def test_options_that_mean_nothing(tiny):
    with pytest.raises(ConfigError, match="xquad-r has no splits, got split 'dev'; leave it out"):
        load_benchmark("xquad-r", data_dir=tiny, split="dev")
    with pytest.raises(ConfigError, match="candidates 'paragraph' is unknown"):
        load_benchmark("xquad-r", data_dir=tiny, candidates="paragraph")
    with pytest.raises(ConfigError, match="passage_text 'title' is unknown"):
        load_benchmark("miracl", data_dir=tiny, passage_text="title")
    with pytest.raises(DataError, match="no such folder; --data names the folder with xquad-r's"):
        load_benchmark("xquad-r", data_dir=tiny / "none")


def test_folders_are_known_by_their_files(tiny, tmp_path):
    assert load_benchmark(str(tiny)).name == str(tiny)
    assert load_benchmark(f"{tiny}:en").passage_langs == ("en",)
    miracl = load_benchmark(str(write_language(tmp_path / "m", "sw", split="train")))
    assert miracl.options["splits"] == "sw=train"
    beir = tmp_path / "b"
    write_jsonl(beir / "corpus.jsonl", [{"_id": "d", "text": "t"}])
    write_jsonl(beir / "queries.jsonl", [{"_id": "q", "text": "t"}])
    (beir / "qrels").mkdir()
    (beir / "qrels" / "dev.tsv").write_text("q\td\t1\n")
    assert load_benchmark(str(beir), lang="sw", split="dev").query_langs == ("sw",)
    groups = load_benchmark(str(write_jsonl(tmp_path / "g.jsonl", [GROUP])) + ":sw")
    assert (groups.name, groups.query_langs) == (str(tmp_path / "g.jsonl"), ("sw",))
    assert list(groups.sources) == ["g.jsonl"]


def test_unknown_layouts(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "a.md").touch()
    with pytest.raises(DataError, match=r"in no known layout; found a\.md, notes/; allowed: LARe"):
        load_benchmark(str(tmp_path))
    bitext = write_jsonl(tmp_path / "b.jsonl", [{"text": {"en": "a", "de": "b"}}])
    with pytest.raises(DataError, match="is in bitext layout, which has no judgments to evaluate"):
        load_benchmark(str(bitext))


@pytest.mark.parametrize(
    ("name", "content", "layout"),
    [
        ("a.jsonl", '{"query": {}, "passage": {}}', "groups"),
        ("a.jsonl", '{"text": {"en": "x"}}', "bitext"),
        ("a.tsv", "en\tsw\n", "bitext"),
        ("a.json", "{}", "squad"),
        ("a.tsv", "1\tQ0\td\t1\n", "qrels"),
        ("a.txt", "1 0 d 1\n", "qrels"),
        ("a.run", "1 Q0 d 1 0.5 t\n", "run"),
        ("a.tsv", "1\twhat is it\n", "topics"),
    ],
)
def test_layouts_of_files(tmp_path, name, content, layout):
    (tmp_path / name).write_text(content)
    assert detect_layout(tmp_path / name) == layout


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"docid": 1}', r"a\.jsonl:1: in no known layout; found the fields docid; all"),
        ("a.jsonl", "", r"a\.jsonl: in no known layout; found the fields none"),
        ("a.txt", "words", r"a\.txt:1: in no known layout; allowed: TREC qrels \(4 columns\)"),
    ],
)
def test_files_of_no_layout(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        detect_layout(tmp_path / name)


def test_every_name_is_loadable_or_says_how(monkeypatch):
    def offline(*args, **kwargs):
        raise DownloadError("offline")

    monkeypatch.setattr(named, "fetch", offline)
    monkeypatch.setattr(named, "fetch_hub_files", offline)
    for name in BENCHMARKS:
        if name != "mini":
            with pytest.raises((DataError, DownloadError), match=r"offline|--data"):
                load_benchmark(name)
