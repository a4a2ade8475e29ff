"""The table of parallel groups: texts, meanings, held-out groups."""

from __future__ import annotations

import numpy as np
import pytest

from isoglot.data.parallel import build_table
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


def test_one_text_in_any_language_makes_a_listed_negative_that_groups_passage():
    """Whatever the order of its languages: none of its texts may stand beside b's passage."""
    b = Group("b", {"en": "R"}, {"en": "P of b"})
    for negative in (
        {"en": "P  of B", "sw": "nobody's"},
        {"sw": "nobody's", "en": "P  of B"},
    ):
        table = build_table({"d": [Group("a", {"en": "Q"}, {"en": "P"}, [negative]), b]})
        assert table.negative_meaning.tolist() == [table.meaning[1]]


def test_selecting_groups_keeps_their_negatives():
    rows = [
        simple(f"g{i}")._replace(negatives=[{"en": f"n{i}.{k}"} for k in range(i)])
        for i in range(4)
    ]
    table = build_table({"d": rows})
    assert list(table.select(np.array([False, True, False, True])).groups()) == [rows[1], rows[3]]


def test_restricting_languages_drops_texts_and_what_is_left_without_query_or_passage():
    german = simple("b", de="b")
    half = Group("c", {"sw": "swali", "de": "Frage"}, {"de": "Antwort"}, [{"sw": "la"}])
    table = build_table({"d": [german, half, simple("a")]}).restrict(["sw"])
    assert table.langs == ("sw",)
    (left,) = table.groups()
    assert left.query == {"sw": "q a kwa Kiswahili"}
    assert left.passage == {"sw": "p a kwa Kiswahili"}
    with pytest.raises(ConfigError, match=r"no training text in yo; the data has sw"):
        table.restrict(["yo"])


def test_restricting_to_languages_without_a_whole_group_is_refused():
    table = build_table({"d": [Group("a", {"en": "q"}, {"sw": "p"})]})
    with pytest.raises(ConfigError, match="languages: no group has a query and a passage in sw"):
        table.restrict(["sw"])
    assert len(table.restrict(["en", "sw"])) == 1


def test_only_whole_groups_are_held_out():
    """Of 400 groups the 40 with Kiswahili can be used, and 20 of these are not to be had."""
    rows = [
        simple(f"g{i}", **({"sw": f"{i}"} if i % 10 == 0 else {"en": f"{i}"})) for i in range(400)
    ]
    training, held = build_table({"d": rows}).restrict(["sw"]).hold_out(15)
    assert (len(training), len(held)) == (25, 15)


def test_data_sets_may_use_the_same_ids():
    """As row numbers are: each data set holds out groups of its own, under names that differ."""
    rows = {
        name: [simple(f"{name}{i}")._replace(group_id=str(i)) for i in range(100)] for name in "ab"
    }
    _, held = build_table(rows).hold_out(20)
    names = [group.group_id for group in held.groups()]
    assert len(set(names)) == 20
    of_a, of_b = ({n[2:] for n in names if n.startswith(f"{d}/")} for d in "ab")
    assert of_a and of_b and of_a != of_b


def test_what_means_the_same_as_another_tables_groups_is_left_out():
    """Texts are compared as for meanings: but for case and white space, and through others."""
    question = Group("q", {"en": "Question  one"}, {"en": "x"})
    passage = Group("p", {"sw": "y"}, {"sw": "PASSAGE"})
    through = Group("t", {"sw": "z"}, {"en": "x"})
    swapped = Group("s", {"en": "passage"}, {"en": "question one"})
    table = build_table({"d": [question, passage, through, swapped, simple("a")]})
    development = build_table(
        {
            "e": [
                Group("e", {"en": "question one"}, {"en": "e"}),
                Group("f", {"en": "f"}, {"sw": "passage"}),
            ]
        }
    )
    assert table.apart_from(development).group_ids == ["s", "a"]


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


def test_groups_of_one_meaning_are_not_held_out_from_each_other():
    rows = [simple(f"g{i}")._replace(query={"en": "the same heading"}) for i in range(9)]
    with pytest.raises(ConfigError, match="every group shares its question or passage"):
        build_table({"d": rows}).hold_out(2)


def test_an_empty_data_set_and_an_empty_group_are_refused():
    with pytest.raises(DataError, match="data set 'd' has no groups"):
        build_table({"d": []})
    with pytest.raises(DataError, match="group 'a' lacks a query or passage"):
        build_table({"d": [Group("a", {}, {"en": "x"})]})


def test_groups_whose_passages_one_negative_translates_mean_the_same():
    rows = [
        Group("x", {"en": "qx"}, {"en": "P"}),
        Group("y", {"sw": "qy"}, {"sw": "Q"}),
        Group("z", {"en": "qz"}, {"en": "R"}, [{"en": "p", "sw": "Q"}]),
    ]
    table = build_table({"d": rows})
    assert table.meaning[0] == table.meaning[1] == table.negative_meaning[0]
    assert table.meaning[2] != table.meaning[0]
