"""The choice of hard negatives, against a plain loop over everything."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.config.loading import parse_config
from isoglot.config.mining import MiningConfig
from isoglot.data.mining import Candidates, mine_dataset, score_limits
from isoglot.data.parallel import ABSENT, build_table
from isoglot.errors import ConfigError
from isoglot.records import Group
from tests.batches.tables import LANGS, group, ragged_table
from tests.reference.slow_mining import mine_slowly


class GivenScores:
    """Scores from a matrix over all texts, in parts of a few queries and passages."""

    def __init__(self, matrix, part=(1000, 1000)):
        self.matrix, self.part = np.asarray(matrix, dtype=np.float32), part

    def tiles(self, queries, passages):
        for q in range(0, len(queries), self.part[0]):
            for p in range(0, len(passages), self.part[1]):
                rows, columns = queries[q : q + self.part[0]], passages[p : p + self.part[1]]
                scores = self.matrix[np.ix_(rows, columns)]
                yield slice(q, q + len(rows)), slice(p, p + len(columns)), scores

    def pairs(self, queries, passages):
        return self.matrix[queries, passages]


def random_scores(table, seed=0, *, steps=12):
    """Few different values between -0.5 and 1, so that many scores tie."""
    rng = np.random.default_rng(seed)
    texts = len(table.texts)
    return rng.integers(-steps // 2, steps + 1, size=(texts, texts)).astype(np.float32) / steps


def mined_by_query(table, mined, same):
    result = {}
    for i, key in enumerate(zip(mined.group.tolist(), mined.lang.tolist(), strict=True)):
        pairs = list(zip(mined.langs[i].tolist(), mined.rows[i].tolist(), strict=True))
        assert all(lang == key[1] for lang, row in pairs[:same] if row != ABSENT)
        result[key] = (
            [row for _, row in pairs[:same] if row != ABSENT],
            [pair for pair in pairs[same:] if pair[1] != ABSENT],
            mined.seen[i].tolist(),
        )
    return result


@pytest.mark.parametrize("part", [(1000, 1000), (5, 3)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"same_language": 3, "cross_language": 7},
        {"same_language": 0, "skip": 2, "margin": 0.2},
        {"cross_language": 0, "max_share": None},
        {"skip": 5, "max_share": 0.5, "cross_language": 5, "keep_listed": False},
        {"max_share": 1.0, "cross_language": 40},
    ],
)
def test_mining_equals_a_plain_loop(options, part):
    table = with_listed_negatives(seed=len(options))
    config = MiningConfig(**options)
    scores = GivenScores(random_scores(table), part)
    for dataset in range(2):
        mined = mine_dataset(table, dataset, config, scores)
        expected = mine_slowly(
            table, dataset, config, lambda query, row: float(scores.matrix[query, row])
        )
        assert mined_by_query(table, mined, config.same_language) == expected


def with_listed_negatives(seed):
    """Ragged groups of which some share a passage and some list passages of others."""
    base = list(ragged_table(seed).groups())
    groups = []
    for i, (name, query, passage, _) in enumerate(base):
        if i % 5 == 1:
            passage = {**passage, **base[i - 1].passage}
        negatives = (base[(i + 7) % 60].passage, {"en": f"elsewhere {i}"}) if i % 3 == 0 else ()
        groups.append(Group(name.split("/")[1], query, passage, negatives))
    return build_table({"a": groups[:20], "b": groups[20:]})


def english(*names):
    return build_table({"d": [group(name, ("en",)) for name in names]})


def score_rows(table, scores):
    """Return a matrix with the scores of the query of group ``a`` with the English passages."""
    matrix = np.zeros((len(table.texts), len(table.texts)))
    query = table.query[table.group_ids.index("a"), 0]
    for name, value in scores.items():
        matrix[query, table.passage[table.group_ids.index(name), 0]] = value
    return GivenScores(matrix)


def chosen(table, scores, **options):
    config = MiningConfig(cross_language=0, **options)
    mined = mine_dataset(table, 0, config, score_rows(table, scores))
    (i,) = np.flatnonzero(mined.group == table.group_ids.index("a"))
    return [table.group_ids[g] for g in mined.sources[i] if g != ABSENT]


def test_the_limit_of_a_positive_at_80_hundredths_worked_by_hand():
    """.95 * .8 = .76, so b at .76 is an answer perhaps and c at .75 a negative."""
    table = english(*"abcde")
    scores = {"a": 0.8, "b": 0.76, "c": 0.75, "d": 0.5, "e": 0.2}
    assert chosen(table, scores) == ["c", "d"]
    assert chosen(table, scores, max_share=None) == ["b", "c"]
    # .8 - .25 = .55
    assert chosen(table, scores, margin=0.25) == ["d", "e"]
    # b and c are skipped, whether below the limit or not.
    assert chosen(table, scores, skip=2) == ["d", "e"]
    assert chosen(table, scores, skip=1) == ["c", "d"]
    assert chosen(table, scores, skip=4) == []


def test_limits_are_below_positives_of_either_sign():
    positives = np.array([0.8, 0.0, -0.2], dtype=np.float32)
    limits = score_limits(positives, MiningConfig(max_share=0.9))
    assert limits == pytest.approx([0.72, 0.0, -0.22])
    limits = score_limits(positives, MiningConfig(max_share=0.9, margin=0.1))
    assert limits == pytest.approx([0.7, -0.1, -0.3])
    assert np.isposinf(score_limits(positives, MiningConfig(max_share=None))).all()


def test_the_positive_of_the_candidates_language_sets_the_limit_else_the_best_one():
    both = {"en": "q a", "de": "F a"}, {"en": "p a", "de": "A a"}
    table = build_table(
        {
            "d": [
                Group("a", *both),
                Group("b", {"en": "q b"}, {"de": "A b", "sw": "J b"}),
                Group("c", {"en": "q c"}, {"de": "A c", "sw": "J c"}),
            ]
        }
    )
    rows = {text: row for row, text in enumerate(table.texts.to_pylist())}
    matrix = np.zeros((len(rows), len(rows)))
    for passage, score in {"p a": 0.9, "A a": 0.4, "A b": 0.5, "A c": 0.3}.items():
        matrix[rows["q a"], rows[passage]] = score
    for passage, score in {"J b": 0.8, "J c": 0.87}.items():
        matrix[rows["q a"], rows[passage]] = score
    config = MiningConfig(same_language=0, cross_language=4)
    mined = mine_dataset(table, 0, config, GivenScores(matrix))
    (i,) = np.flatnonzero((mined.group == 0) & (mined.lang == table.langs.index("en")))
    found = {table.text(row) for row in mined.rows[i] if row != ABSENT}
    # German: below .95 * .4 = .38; Swahili, where there is no positive: below .95 * .9 = .855.
    assert found == {"A c", "J b"}
    compared = sorted(mined.positives[i][mined.rows[i] != ABSENT].tolist())
    assert compared == pytest.approx([0.4, 0.9])


def test_no_translation_of_the_positive_and_no_group_that_shares_its_question():
    groups = [group(f"g{i}") for i in range(6)]
    groups[1] = groups[1]._replace(query={**groups[1].query, "de": groups[0].query["de"].upper()})
    groups[2] = groups[2]._replace(passage={**groups[2].passage, "sw": groups[1].passage["sw"]})
    table = build_table({"d": groups})
    scores = GivenScores(np.ones((len(table.texts),) * 2))
    config = MiningConfig(same_language=9, cross_language=30, max_share=None)
    mined = mine_dataset(table, 0, config, scores)
    for i, g in enumerate(mined.group):
        sources = {int(s) for s in mined.sources[i] if s != ABSENT}
        assert sources == ({3, 4, 5} if g < 3 else set(range(6)) - {g})
        rows = {int(row) for row in mined.rows[i] if row != ABSENT}
        assert not rows & set(table.passage[g].tolist())


def test_ties_go_to_the_earlier_text_even_across_blocks():
    table = english(*"abcdefgh")
    for part in ((1000, 1000), (2, 3), (8, 1)):
        mined = mine_dataset(
            table,
            0,
            MiningConfig(same_language=3, cross_language=0, max_share=None),
            GivenScores(np.ones((len(table.texts),) * 2), part),
        )
        assert mined.rows[0].tolist() == table.passage[1:4, 0].tolist()
        assert mined.rows[-1].tolist() == table.passage[:3, 0].tolist()


def test_negatives_in_other_languages_are_shared_out_evenly():
    table = build_table({"d": [group(f"g{i}") for i in range(30)]})
    config = MiningConfig(same_language=1, cross_language=2, max_share=None)
    mined = mine_dataset(table, 0, config, GivenScores(random_scores(table)))
    for lang in range(len(LANGS)):
        cross = mined.langs[mined.lang == lang, 1:]
        assert np.bincount(cross.ravel(), minlength=4).tolist() == [
            0 if other == lang else 20 for other in range(4)
        ]
    # All queries of a group together meet all languages.
    for g in range(30):
        assert set(mined.langs[mined.group == g, 1:].ravel().tolist()) == {0, 1, 2, 3}


def test_a_language_with_too_little_hands_its_share_on():
    groups = [group(f"g{i}", ("de", "en")) for i in range(5)]
    groups.append(Group("lone", {"en": "q"}, {"sw": "only one"}))
    table = build_table({"d": groups})
    config = MiningConfig(same_language=0, cross_language=4, max_share=None)
    mined = mine_dataset(table, 0, config, GivenScores(random_scores(table)))
    english_queries = (mined.lang == table.langs.index("en")) & (mined.group < 5)
    for langs in mined.langs[english_queries]:
        assert np.bincount(langs, minlength=3).tolist() == [3, 0, 1]


def test_a_language_with_a_single_meaning_gives_its_own_queries_nothing():
    groups = [group(f"g{i}", ("en",)) for i in range(4)]
    groups.append(group("lone", ("en", "sw")))
    table = build_table({"d": groups})
    mined = mine_dataset(table, 0, MiningConfig(), GivenScores(random_scores(table)))
    (i,) = np.flatnonzero(mined.lang == table.langs.index("sw"))
    assert mined.rows[i, :2].tolist() == [ABSENT, ABSENT]
    assert mined.seen[i, 0].tolist() == [0, 0, 0]
    assert (mined.rows[i, 2:] != ABSENT).all()


def test_progress_is_told_of_every_query_and_language():
    table = build_table({"d": [group(f"g{i}") for i in range(6)]})
    told = {}
    mine_dataset(
        table,
        0,
        MiningConfig(max_share=None),
        GivenScores(random_scores(table)),
        lambda lang, queries: told.update({lang: told.get(lang, 0) + queries}),
    )
    # Six queries of its own, and a third of two times 18 others.
    assert told == dict.fromkeys(LANGS, 18)


def test_scores_above_the_limit_are_counted_and_not_kept():
    candidates = Candidates(np.array([0.5], dtype=np.float32), depth=2)
    scores = np.array([[0.9, 0.5, 0.4, 0.3, 0.2]], dtype=np.float32)
    hidden = np.array([0]), np.array([2])
    candidates.add(slice(0, 1), np.arange(10, 15), scores, hidden)
    assert (candidates.eligible[0], candidates.above[0]) == (4, 2)
    assert candidates.rows.tolist() == [[13, 14]]
    assert candidates.behind(skip=3).tolist() == [[4, 1, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"same_language": 0, "cross_language": 0}, "are both 0, so there is nothing to mine; set"),
        ({"same_language": -1}, "same_language: input should be greater than or equal to 0"),
        ({"max_share": 1.5}, "max_share: input should be less than or equal to 1, got 1.5"),
        ({"max_share": 0.0}, "max_share: input should be greater than 0"),
        ({"margin": -0.1}, "margin: input should be greater than or equal to 0"),
        ({"skip": -1}, "skip: input should be greater than or equal to 0"),
        ({"maxshare": 0.9}, "unknown key 'maxshare'; did you mean 'max_share'?"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        parse_config(MiningConfig, options, where="mine")
