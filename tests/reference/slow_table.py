"""The table of parallel groups by dictionaries and search, all in memory and one step at a time."""

from __future__ import annotations

from typing import NamedTuple


class SlowTable(NamedTuple):
    langs: list[str]
    texts: list[str]
    """In order of appearance: queries, passages and listed negatives of each group."""
    groups: list[tuple]
    """(data set, id, query, passage, negatives), texts by language."""
    meanings: list[set[int]]
    """Groups that share a question or a passage, directly or through others."""
    negative_meanings: list[set[int]]
    """Of each listed negative, the groups of the meaning it has; empty for one of its own."""


def folded(text):
    return " ".join(text.casefold().split())


def build_slowly(sources):
    groups, texts, langs = [], {}, set()
    for name, records in sources.items():
        for group in records:
            groups.append(
                (name, group.group_id, group.query, group.passage, tuple(group.negatives))
            )
            for side in (group.query, group.passage, *group.negatives):
                langs.update(side)
                texts.update(dict.fromkeys(side.values()))
    meanings = _joined_by_negatives(_meanings(groups), groups)
    negatives = [
        _negative_meaning(negative, groups, meanings)
        for *_, listed in groups
        for negative in listed
    ]
    return SlowTable(sorted(langs), list(texts), groups, meanings, negatives)


def _sides(group):
    return [{folded(text) for text in side.values()} for side in group[2:4]]


def _meanings(groups):
    found = []
    for number, group in enumerate(groups):
        joined = {number}
        for meaning in list(found):
            if any(_shares(group, groups[other]) for other in meaning):
                found.remove(meaning)
                joined |= meaning
        found.append(joined)
    return sorted(found, key=min)


def _joined_by_negatives(meanings, groups):
    """The texts of a negative are translations: groups whose passages they are mean the same."""
    for *_, listed in groups:
        for negative in listed:
            wanted = {folded(text) for text in negative.values()}
            owners = {n for n, group in enumerate(groups) if _sides(group)[1] & wanted}
            touched = [meaning for meaning in meanings if meaning & owners]
            if touched:
                meanings = [meaning for meaning in meanings if meaning not in touched]
                meanings.append(set().union(*touched))
    return sorted(meanings, key=min)


def _shares(one, other):
    return any(mine & theirs for mine, theirs in zip(_sides(one), _sides(other), strict=True))


def _negative_meaning(negative, groups, meanings):
    for text in negative.values():
        for number, group in enumerate(groups):
            if folded(text) in _sides(group)[1]:
                return next(meaning for meaning in meanings if number in meaning)
    return set()
