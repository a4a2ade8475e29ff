"""Leakage: planted leaks of every kind are found, and texts of one topic raise no alarm."""

import numpy as np
import pytest

from isoglot.data.collection import Collection
from isoglot.data.leakage import find_leaks
from isoglot.data.shingles import TextIndex, shared_share, to_letters
from isoglot.errors import DataError
from isoglot.records import Group, Passage, Qrel, Query

QUERY = "Which river did the engineers divert before they laid the foundations of the dam?"
PASSAGE = (
    "The engineers diverted the river through two tunnels before they laid the foundations, and "
    "the valley was flooded only in the spring of the following year."
)
THAI = "วิศวกรเบี่ยงทางน้ำผ่านอุโมงค์สองแห่งก่อนที่จะวางฐานรากของเขื่อนขนาดใหญ่ในหุบเขา"
CHINESE = "工程师们先让河水流经两条隧道，然后才在山谷里浇筑大坝的地基，第二年春天水库开始蓄水。"
JAPANESE = "技師たちは川の水を二本のトンネルに流してから、谷間に大きなダムの基礎を築いた。"
LONG_ID = "56beb4343aeaaa14008c925b"
FILLER = (
    "Visitors reach the museum by a narrow road that was once a railway. Its rooms show tools, "
    "letters and photographs that families of the village have kept for three generations. "
)

OTHER = (
    "Bread was baked twice a week, and whoever came first could choose. On market days the oven "
    "stayed warm until the evening, so that neighbours brought their own pots of beans. "
)


def collection(queries=(), passages=(), qrels=(), name="test"):
    """Queries and passages as (id, lang, text); what is missing is filled with unrelated texts."""
    queries = [*queries, ("filler", "en", "How many rooms does the museum on the old hill have?")]
    passages = [*passages, ("filler", "en", FILLER)]
    qrels = [*qrels, ("filler", "en", "filler", 1)]
    return Collection(
        name,
        [Query(*query) for query in queries],
        [Passage(*passage) for passage in passages],
        [Qrel(*qrel) for qrel in qrels],
    )


def group(query, passage="An unrelated passage about the weather in the north.", lang="en", **more):
    return Group("g1", {lang: query}, {lang: passage}, **more)


def leaks_of(groups, benchmark):
    (report,) = find_leaks([("train", groups)], [benchmark])
    return report


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (QUERY, "exact"),
        (QUERY.upper().rstrip("?") + " !!", "exact"),
        ("  ".join(QUERY.replace("the", "ｔｈｅ").split()), "exact"),
        (QUERY.replace("engineers", "builders"), "near"),
        (OTHER + QUERY + " " + OTHER, "near"),
    ],
    ids=["same", "case and punctuation", "width and spaces", "a word changed", "within a page"],
)
def test_a_query_is_found(text, kind):
    report = leaks_of([group(text)], collection([("q1", "en", QUERY)]))
    (leak,) = [leak for leak in report.leaks if leak.text_id == "q1"]
    assert (leak.side, leak.kind, leak.text) == ("query", kind, QUERY)
    assert leak.training[:5] == ("train", "g1", "query", "en", text)
    assert leak.share >= 0.8


@pytest.mark.parametrize(
    ("lang", "text", "changed"),
    [
        ("th", THAI, THAI.replace("ขนาดใหญ่", "แห่งใหม่")),
        ("zh", CHINESE, CHINESE.replace("隧道", "渠道")),
        ("ja", JAPANESE, JAPANESE.replace("大きな", "新しい")),
    ],
)
def test_scripts_without_spaces(lang, text, changed):
    assert changed != text
    benchmark = collection(passages=[("p1", lang, text)])
    for found in (changed, OTHER + changed + OTHER):
        (leak,) = leaks_of([group("?", found, lang)], benchmark).leaks
        assert (leak.text_id, leak.side, leak.kind, leak.training.role) == (
            *("p1", "passage", "near"),
            "passage",
        )


def test_a_training_sentence_within_a_benchmark_passage_counts_if_it_is_long_enough():
    benchmark = collection(passages=[("p1", "en", f"{FILLER} {PASSAGE} {FILLER[:100]}")])
    assert [leak.text_id for leak in leaks_of([group("?", PASSAGE)], benchmark).leaks] == ["p1"]
    assert not leaks_of([group("?", "before they laid the foundations")], benchmark).leaks


def test_listed_negatives_are_training_texts_too():
    (leak,) = leaks_of(
        [group("?", negatives=[{"en": PASSAGE}])], collection(passages=[("p1", "en", PASSAGE)])
    ).leaks
    assert (leak.kind, leak.training.role) == ("exact", "negatives")


UNRELATED = [
    "Which company built the tunnels under the harbour, and what did they cost the city?",
    "The dam was finished four years late because the concrete cracked in the first winter.",
    "Engineers had warned that the river would rise faster than the pumps could work.",
    "In the spring of that year the lake behind the wall was still a field of wheat and stones.",
    "What is the name of the river that flows through the capital before it reaches the sea?",
    "In what year did the government decide to move the villages out of the valley?",
]


def test_texts_of_the_same_topic_raise_no_alarm():
    benchmark = collection(
        [("q1", "en", QUERY), ("q2", "en", "What is the name of the river that powers the mill?")],
        [("p1", "en", PASSAGE), ("p2", "zh", CHINESE), ("p3", "th", THAI)],
    )
    groups = [Group(str(i), {"en": text}, {"en": text}) for i, text in enumerate(UNRELATED)]
    groups.append(
        Group(
            "others",
            {
                "zh": "第二年春天，工程师们在河边种了树。",
                "th": "เขื่อนนี้สร้างขึ้นเพื่อผลิตไฟฟ้าให้แก่หมู่บ้านในหุบเขา",
            },
            {
                "zh": "这座山谷里没有大坝，只有一条小河和两个村庄。",
                "th": "แม่น้ำไหลผ่านเมืองหลวงก่อนลงสู่ทะเล",
            },
        )
    )
    report = leaks_of(groups, benchmark)
    assert not report.leaks and not report.groups
    assert not report.exceeds(0.0)


def test_a_phrase_repeated_in_the_shorter_text_counts_once_per_occurrence():
    one = to_letters(["denial of service and denial of service"]).codes
    other = to_letters(["the simple denial of service strike or its defence"]).codes
    # 15 letters of "denial of service" once, of the 33 letters.
    assert shared_share(one, other) == pytest.approx(15 / 33)


def test_short_texts_are_ignored_and_counted():
    benchmark = collection([("q1", "en", "Thank you."), ("q2", "zh", "谢谢你们大家。")])
    report = leaks_of([group("Thank you."), group("谢谢你们大家。", lang="zh")], benchmark)
    assert not report.leaks
    assert report.ignored == {("query", "en"): 1, ("query", "zh"): 1, ("passage", "en"): 0}
    assert report.total("query") == 3


@pytest.mark.parametrize(
    ("group_id", "query_id", "found"),
    [
        (LONG_ID, LONG_ID, True),
        (f"squad/{LONG_ID.upper()}#0", LONG_ID, True),
        ("12", "12", False),
        ("train.tsv:104", "train.tsv:104", False),
        ("0000000000000012", "0000000000000012", False),
        (LONG_ID + "0", LONG_ID, False),
    ],
)
def test_only_long_ids_are_evidence(group_id, query_id, found):
    benchmark = collection([(query_id, "th", THAI), (query_id, "en", QUERY)])
    texts = {"sw": "Mto gani ulihamishwa?"}
    report = leaks_of([Group(group_id, texts, texts)], benchmark)
    kinds = {(leak.lang, leak.kind) for leak in report.leaks}
    assert kinds == ({("th", "id"), ("en", "id")} if found else set())


def test_an_id_within_a_doc_id():
    benchmark = collection(passages=[(f"th/{LONG_ID}", "th", THAI)])
    (leak,) = leaks_of([Group(LONG_ID, {"sw": "mto"}, {"sw": "bwawa"})], benchmark).leaks
    assert (leak.side, leak.lang, leak.kind) == ("passage", "th", "id")


def parallel_collection(th_answers=("th1", "en1")):
    return collection(
        [("7", "en", QUERY), ("7", "th", THAI)],
        [("en1", "en", PASSAGE), ("th1", "th", THAI + THAI[:30]), ("th2", "th", THAI[:60])],
        [
            *(("7", "en", doc_id, 1) for doc_id in ("en1", "th1")),
            *(("7", "th", doc_id, 1) for doc_id in th_answers),
        ],
    )


def test_parallel_texts_leak_by_way_of_another_language():
    groups = [Group("g1", {"en": QUERY, "sw": "Mto gani?"}, {"en": PASSAGE, "sw": "Wahandisi"})]
    report = leaks_of(groups, parallel_collection())
    found = {(leak.text_id, leak.lang): (leak.kind, leak.via) for leak in report.leaks}
    assert found == {
        ("7", "en"): ("exact", None),
        ("7", "th"): ("parallel", "en"),
        ("en1", "en"): ("exact", None),
        ("th1", "th"): ("parallel", "en"),
    }
    assert {leak.training.langs for leak in report.leaks} == {("en", "sw")}


def test_an_equal_number_is_no_parallel_text():
    # As in MIRACL, where each language numbers its own queries.
    report = leaks_of([group(QUERY, PASSAGE)], parallel_collection(th_answers=("th2",)))
    assert {leak.text_id for leak in report.leaks} == {"7", "en1"}
    assert {leak.lang for leak in report.leaks} == {"en"}


def test_the_strongest_evidence_stays():
    groups = [
        Group(LONG_ID, {"sw": "mto"}, {"sw": "bwawa"}),
        Group("near", {"en": QUERY.replace("engineers", "builders")}, {"en": "short"}),
        Group("exact", {"en": QUERY.lower()}, {"en": "short"}),
        Group("later", {"en": QUERY.replace("river", "stream")}, {"en": "short"}),
    ]
    report = leaks_of(groups, collection([(LONG_ID, "en", QUERY)]))
    (leak,) = report.leaks
    assert (leak.kind, leak.training.group_id) == ("exact", "exact")
    assert sorted(report.groups["train"]) == sorted([LONG_ID, "near", "exact", "later"])


def test_shares_and_threshold():
    report = leaks_of([group(QUERY)], collection([("q1", "en", QUERY)]))
    assert (report.share("query"), report.share("passage")) == (0.5, 0.0)
    assert report.count("query", "en", "exact") == 1
    assert report.exceeds(0.4) and not report.exceeds(0.5)


def test_several_benchmarks_in_one_reading():
    groups = iter([group(QUERY, PASSAGE)])
    reports = find_leaks(
        [("train", groups)],
        [
            collection([("q1", "en", QUERY)], name="a"),
            collection(passages=[("p", "en", PASSAGE)], name="b"),
        ],
    )
    assert [[leak.text_id for leak in report.leaks] for report in reports] == [["q1"], ["p"]]
    assert [report.benchmark for report in reports] == ["a", "b"]


def test_no_training_text():
    with pytest.raises(DataError, match="no training texts to look for leaks in; name a data set"):
        find_leaks([("train", [])], [collection()])


def test_letters_are_those_of_any_script():
    letters = to_letters(["Ⅷ. Ｔｅｎ-10!", "", "a\0b", "水 みず", "กำ", "हिंदी", "\ud800x"])
    texts = ["".join(map(chr, letters.of(i))) for i in range(7)]
    assert texts == ["viiiten10", "", "ab", "水水みみずず", "กํา", "हिंदी", "x"]


def test_an_empty_index_finds_nothing():
    index = TextIndex([], min_letters=20)
    assert not list(index.matches(to_letters([QUERY, ""])))
    index = TextIndex([QUERY], min_letters=20)
    assert not list(index.matches(to_letters([])))
    assert not list(index.matches(to_letters(["", "?!"])))


def test_long_texts_keep_a_sample_of_their_runs_and_are_found_all_the_same():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), size=6)) for _ in range(4000)]
    texts = [" ".join(words[i : i + 200]) for i in range(0, 4000, 200)]
    index = TextIndex(texts, min_letters=20)
    parts = [" ".join(words[i + 50 : i + 60]) for i in range(0, 4000, 200)]
    found = {(match.text, match.indexed) for match in index.matches(to_letters(parts))}
    assert found == {(i, i) for i in range(20)}
