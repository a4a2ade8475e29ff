"""What an audit of real training data costs, and what it finds: ``python -m benchmarks.audit``.

The sentences and course sections of ``data/`` in ``ISOGLOT_SHARED`` (default ``../shared``) against
XQuAD-R: wall time of one run, peak memory of the process. Then recall: XQuAD-R's own texts as
training data, each with its middle word replaced, or its middle three letters in Thai and Chinese.
"""

from __future__ import annotations

import json
import time

from benchmarks import SHARED_DATA, peak_mib
from isoglot.data.benchmarks import load_benchmark
from isoglot.data.bitext import read_bitext
from isoglot.data.collection import Collection
from isoglot.data.groups import read_groups
from isoglot.data.leakage import find_leaks
from isoglot.records import Group, Passage, Query

BENCHMARK = "xquad-r"
FILLER = "nothing of the kind stands in the benchmark"


def main() -> None:
    """Print a table and, last, one JSON object."""
    sources = {
        "bitext": read_bitext(SHARED_DATA / "bitext" / "sentences.jsonl.gz"),
        "courses": read_groups(SHARED_DATA / "parallel-pairs" / "courses.jsonl.gz"),
    }
    collection = load_benchmark(BENCHMARK, data_dir=SHARED_DATA / BENCHMARK)
    print("source    seconds  queries  passages  groups")
    results = []
    for name, groups in sources.items():
        started = time.monotonic()
        (report,) = find_leaks([(name, groups)], [collection])
        seconds = time.monotonic() - started
        queries, passages = report.count("query"), report.count("passage")
        leaking = sum(map(len, report.groups.values()))
        print(f"{name:8}  {seconds:7.1f}  {queries:7}  {passages:8}  {leaking:6}")
        results.append(
            {
                "source": name,
                "seconds": round(seconds, 1),
                "leaking_queries": queries,
                "leaking_passages": passages,
                "leaking_groups": leaking,
            }
        )
    peak = peak_mib()
    print(f"peak memory: {peak} MiB")
    recall = measure_recall(collection)
    print("\nlanguage  queries found  passages found")
    for lang in collection.query_langs:
        print(f"{lang:8}  {recall['query', lang]:13.1%}  {recall['passage', lang]:14.1%}")
    figures = {f"{side} {lang}": round(share, 4) for (side, lang), share in recall.items()}
    print(
        json.dumps({"audit": results, "benchmark": BENCHMARK, "peak_mib": peak, "recall": figures})
    )


def measure_recall(collection: Collection) -> dict[tuple[str, str], float]:
    """Return the share of slightly changed texts that are found, by side and language.

    Of the texts that are long enough to be compared; a text counts as found by its own letters
    only, not through a parallel text.
    """
    texts: list[Query | Passage] = [*collection.queries, *collection.passages]
    groups = (
        Group(f"text {number}", {text.lang: changed(text.text, text.lang)}, {text.lang: FILLER})
        for number, text in enumerate(texts)
    )
    (report,) = find_leaks([("changed", groups)], [collection])
    return {
        (side, lang): (report.count(side, lang, "exact") + report.count(side, lang, "near"))
        / (report.texts[side, lang] - report.ignored.get((side, lang), 0))
        for side, langs in (
            ("query", collection.query_langs),
            ("passage", collection.passage_langs),
        )
        for lang in langs
    }


def changed(text: str, lang: str) -> str:
    """Return a text with a word, or three letters where words have no spaces, replaced."""
    if lang in ("th", "zh"):
        middle = len(text) // 2
        return f"{text[: middle - 1]}quux{text[middle + 2 :]}"
    words = text.split()
    words[len(words) // 2] = "quux"
    return " ".join(words)


if __name__ == "__main__":
    main()
