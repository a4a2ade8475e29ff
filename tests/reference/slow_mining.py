"""Hard negatives by definition: one query after the other, every passage looked at."""

from isoglot.data.parallel import ABSENT


def passages_of(table, dataset, lang):
    """{row of the text: first group with it} of the passages of a data set in a language."""
    found = {}
    for g in range(len(table)):
        row = int(table.passage[g, lang])
        if table.dataset[g] == dataset and row != ABSENT:
            found.setdefault(row, g)
    return found


def listed_rows(table, group):
    """(language, row) of all negatives that a group lists."""
    first, last = table.negative_start[group : group + 2]
    return {
        (lang, int(row))
        for entry in table.negative[first:last]
        for lang, row in enumerate(entry)
        if row != ABSENT
    }


def usable(table, dataset, config, score, group, query, lang):
    """Rows of a language that may be negatives of a query, best first; and how many there were."""
    own = table.passage[group]
    if own[lang] != ABSENT:
        positive = score(query, own[lang])
    else:
        positive = max(score(query, row) for row in own if row != ABSENT)
    listed = listed_rows(table, group) if config.keep_listed else set()
    ranked = sorted(
        (-score(query, row), row)
        for row, source in passages_of(table, dataset, lang).items()
        if table.meaning[source] != table.meaning[group] and (lang, row) not in listed
    )
    behind = ranked[config.skip :]
    below = [
        row
        for negated, row in behind
        if (config.max_share is None or -negated < limit(positive, config.max_share))
        and (config.margin == 0 or -negated < positive - config.margin)
    ]
    return below, (len(ranked), len(behind), len(below))


def limit(positive, max_share):
    return positive * max_share if positive > 0 else positive * (2 - max_share)


def mine_slowly(table, dataset, config, score):
    """{(group, query language): (same-language rows, [(language, row), ...], counts by kind)}."""
    langs = range(len(table.langs))
    there = [lang for lang in langs if passages_of(table, dataset, lang)]
    result = {}
    for query_lang in langs:
        groups = [
            g
            for g in range(len(table))
            if table.dataset[g] == dataset and table.query[g, query_lang] != ABSENT
        ]
        others = [lang for lang in there if lang != query_lang]
        for number, group in enumerate(groups):
            query = table.query[group, query_lang]
            options = {
                lang: usable(table, dataset, config, score, group, query, lang) for lang in langs
            }
            same, same_counts = options[query_lang]
            start = number + query_lang * config.cross_language
            ring = [others[(start + step) % len(others)] for step in range(len(others))]
            cross, counts = share_out(ring, options, config.cross_language)
            seen = [list(same_counts) if config.same_language else [0, 0, 0], counts]
            result[group, query_lang] = (same[: config.same_language], cross, seen)
    return result


def share_out(ring, options, quota):
    """Ask each language in turn for its share of what is missing, then all once more."""
    taken, counts = [], [0, 0, 0]
    for lap in (0, 1):
        for step, lang in enumerate(ring):
            missing = quota - len(taken)
            if missing == 0:
                return taken, counts
            left = len(ring) - step
            wanted = (missing + left - 1) // left if lap == 0 else missing
            rows, seen = options[lang]
            given = sum(1 for other, _ in taken if other == lang)
            taken += [(lang, row) for row in rows[given : given + wanted]]
            if lap == 0:
                counts = [a + b for a, b in zip(counts, seen, strict=True)]
    return taken, counts
