"""What MTEB's task metadata say of the benchmarks that have a name."""

from __future__ import annotations

from typing import Any

__all__ = ["facts"]

_LAREQA = r"""
@inproceedings{roy-etal-2020-lareqa,
  author = {Roy, Uma and Constant, Noah and Al-Rfou, Rami and Barua, Aditya and Phillips, Aaron and Yang, Yinfei},
  booktitle = {Proceedings of the 2020 Conference on Empirical Methods in Natural Language Processing},
  title = {{LAReQA}: Language-Agnostic Answer Retrieval from a Multilingual Pool},
  year = {2020},
}
"""  # noqa: E501 - BibTeX

_POOLS = (
    "Queries of each language retrieve from the passages of their language (as en-en), of each "
    "other language (en-de), and of all languages together (en-all)."
)

_FACTS: dict[str, dict[str, Any]] = {
    "xquad-r": {
        "name": "XQuAD-R",
        "description": f"Answer sentences in 11 languages to parallel questions. {_POOLS}",
        "reference": "https://github.com/google-research-datasets/lareqa",
        "date": ("2019-10-25", "2020-04-11"),
        "domains": ["Encyclopaedic", "Written"],
        "license": "cc-by-sa-4.0",
        "annotations_creators": "human-annotated",
        "sample_creation": "human-translated",
        "bibtex_citation": _LAREQA,
    },
    "mlqa-r": {
        "name": "MLQA-R",
        "description": f"Answer sentences in 7 languages to questions in 2 to 4. {_POOLS}",
        "reference": "https://github.com/google-research-datasets/lareqa",
        "date": ("2019-10-16", "2020-04-11"),
        "domains": ["Encyclopaedic", "Written"],
        "license": "cc-by-nc-4.0",
        "annotations_creators": "human-annotated",
        "sample_creation": "multiple",
        "bibtex_citation": _LAREQA,
    },
    "mini": {
        "name": "isoglot-mini",
        "description": f"48 facts in 12 languages, embedded in isoglot, for tests. {_POOLS}",
        "date": ("2026-11-22", "2026-11-22"),
        "domains": ["Written"],
        "license": "apache-2.0",
        "annotations_creators": "derived",
        "sample_creation": "created",
        "bibtex_citation": "",
    },
}


def facts(benchmark: str) -> dict[str, Any]:
    """Return metadata of a benchmark; for others than the named ones, its name and no claims."""
    return _FACTS.get(benchmark, {"name": benchmark, "description": _POOLS})
