"""The table of parallel groups: texts, meanings, held-out groups."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.data.parallel import ABSENT, build_table
from isoglot.errors import ConfigError, DataError
from isoglot.records import Group


def simple(name: str, **texts: str) -> Group:
    texts = texts or {"en": name, "sw": f"{name} kwa Kiswahili"}
    return Group(
        name, {k: f"q {v}" for k, v in texts.items()}, {k: f"p {v}" for k, v in texts.items()}
    )


def test_groups_come_back_as_they_went_in():
    groups = [
        Group("a", {"en": "one", "sw": "moja"}, {"en": "first"}, [{"en": "no"}, {"sw": "la"}]),
        Group("b", {"sw": "mbili"}, {"en": "second", "th": "สอง"}, []),
    ]
    table = build_table({"d": groups})
    assert list(table.groups()) == groups
    assert table.langs == ("en", "sw", "th")


def test_equal_texts_are_stored_once():
    table = build_table({"d": [simple("a"), simple("b")._replace(query=simple("a").query)]})
    assert len(table.texts) == 2 + 2 + 2
    assert (table.query[0] == table.query[1]).all()


def test_meanings_join_through_chains_of_shared_texts():
    """a and b share a question, b and c a passage: none may be another's negative."""
    a = Group("a", {"en": "Q"}, {"en": "P1"})
    b = Group("b", {"en": "Q"}, {"en": "P2"})
    c = Group("c", {"de": "F"}, {"en": "P2"})
    d = Group("d", {"en": "P2"}, {"en": "Q"})
    meaning = build_table({"x": [a, b], "y": [c, d]}).meaning
    assert meaning[0] == meaning[1] == meaning[2]
    assert meaning[3] != meaning[0], "a question equal to another group's passage joins nothing"


def test_a_listed_negative_that_is_some_groups_passage_has_that_groups_meaning():
    a = Group("a", {"en": "Q"}, {"en": "P"}, [{"en": "P of b"}, {"en": "nobody's"}])
    b = Group("b", {"en": "R"}, {"en": "P of b"})
    table = build_table({"d": [a, b]})
    assert table.negative_meaning[0] == table.meaning[1]
    assert table.negative_meaning[1] not in table.meaning


def test_selecting_groups_keeps_their_negatives():
    rows = [
        simple(f"g{i}")._replace(negatives=[{"en": f"n{i}.{k}"} for k in range(i)])
        for i in range(4)
    ]
    table = build_table({"d": rows})
    assert list(table.select(np.array([False, True, False, True])).groups()) == [rows[1], rows[3]]


def test_restricting_languages_drops_the_others_texts():
    table = build_table({"d": [simple("a"), simple("b", de="b")]}).restrict(["sw"])
    assert table.langs == ("sw",)
    assert table.query[:, 0].tolist()[1] == ABSENT
    with pytest.raises(ConfigError, match=r"no training text in yo; the data has sw"):
        table.restrict(["yo"])


def test_holding_out_separates_meanings_and_does_not_depend_on_order():
    rows = [simple(f"g{i}") for i in range(60)]
    rows += [simple(f"h{i}")._replace(query={"en": "the same heading"}) for i in range(20)]
    training, held = build_table({"d": rows}).hold_out(10)
    assert len(training) + len(held) == 80
    assert len(held) == 10
    assert not set(training.meaning) & set(held.meaning)
    assert not any(name.startswith("h") for name in held.group_ids), "too many to hold out together"
    assert set(build_table({"d": rows[::-1]}).hold_out(10)[1].group_ids) == set(held.group_ids)
    assert set(held.meaning) <= set(build_table({"d": rows}).meaning)


def test_holding_out_half_is_refused():
    with pytest.raises(ConfigError, match=r"development.groups: 5 of 10 groups is too many"):
        build_table({"d": [simple(f"g{i}") for i in range(10)]}).hold_out(5)


def test_an_empty_data_set_and_an_empty_group_are_refused():
    with pytest.raises(DataError, match="data set 'd' has no groups"):
        build_table({"d": []})
    with pytest.raises(DataError, match="group 'a' lacks a query or passage"):
        build_table({"d": [Group("a", {}, {"en": "x"})]})
