"""An encoder and parallel texts to a corrected encoder: texts drawn, vectors reduced, a run folder.

The folder holds ``config.yaml``, ``model/``, ``correction.json`` (which languages, how many texts,
how well languages are detected), ``provenance.json``, and the completion marker last.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isoglot.artifacts import (
    mark_complete,
    prepare_folder,
    provenance,
    read_yaml,
    refuse_complete,
    write_json,
    write_yaml,
)
from isoglot.config.correction import CorrectConfig, CorrectionConfig
from isoglot.config.sources import SourceConfig
from isoglot.data.parallel import ParallelTable
from isoglot.data.prepared.sources import identify
from isoglot.data.prepared.store import prepare_table
from isoglot.errors import ArtifactError, ConfigError
from isoglot.pipeline.correction_texts import (
    CorrectionTexts,
    TranslationGroups,
    draw_groups,
    draw_texts,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    from isoglot.models.correction import LanguageCorrection

__all__ = [
    "detection_shares",
    "fit_correction",
    "fit_shortening",
    "hash_texts",
    "run_correction",
]

_POWER = 0.3
_DETECTED_AT_A_TIME = 512

Report = Callable[[str], object]
FloatArray = npt.NDArray[np.float64]


def _unheard(line: str) -> None: ...


def run_correction(config: CorrectConfig, folder: Path, report: Report = _unheard) -> Path:
    """Fit a correction and write the encoder with it.

    Args:
        config: The encoder, the method and its texts.
        folder: The run folder; nothing is written to it before the correction is fitted.
        report: Takes lines for the reader.

    Returns:
        The folder of the corrected encoder.

    Raises:
        ArtifactError: If the folder holds something else, or cannot be written.
        ConfigError: If languages or components do not fit the texts.
        DataError: If a data set is missing or malformed, or has too few texts.
        ModelError: If the encoder cannot be loaded, or has a correction already.
    """
    from isoglot.models.correction.attach import apply_correction, refuse_corrected
    from isoglot.models.loading import load_encoder

    _refuse_other_contents(folder)
    hashes = hash_texts(config.correction.data)
    table = prepare_table(config.correction.data)
    encoder = load_encoder(config.model)
    refuse_corrected(encoder, f"model {config.model.name!r}")
    correction, record = _fit(encoder, table, config.correction)
    for line in _lines(record):
        report(line)
    prepare_folder(folder)
    write_yaml(folder / "config.yaml", config.model_dump(mode="json"))
    model = _save(apply_correction(encoder, correction), folder)
    write_json(folder / "correction.json", record)
    seeds = {"correction": config.correction.seed}
    write_json(folder / "provenance.json", provenance(seeds=seeds, data=hashes))
    mark_complete(folder)
    return model


def _fit(
    encoder: SentenceTransformer, table: ParallelTable, config: CorrectionConfig
) -> tuple[Dense | LanguageCorrection, dict[str, Any]]:
    """Return a correction, and what ``correction.json`` says of it."""
    if config.method == "wccn":
        groups = draw_groups(table, config)
        counts = Counter(lang for of_dataset in groups for lang in of_dataset.langs)
        record = {"method": config.method, "texts": dict(sorted(counts.items()))}
        power = _POWER if config.power is None else config.power
        return fit_shortening(encoder, groups, power), record | {"power": power}
    texts = draw_texts(table, config)
    correction = fit_correction(encoder, texts.fitted, config, references=texts.references)
    return correction, _record(encoder, correction, config, texts)


def fit_shortening(
    model: SentenceTransformer, groups: Sequence[TranslationGroups], power: float
) -> Dense:
    """Learn from translations which directions to shorten; data sets count the same.

    Args:
        model: The encoder.
        groups: Of each data set; encoded as passages.
        power: To which the variance of translations is divided out.
    """
    from isoglot.models.correction.attach import linear_layer
    from isoglot.models.correction.formulas import shortening, within_covariance

    covariances = [within_covariance(_embed(model, part.texts), part.group) for part in groups]
    return linear_layer(shortening(np.mean(covariances, axis=0), power))


def fit_correction(
    model: SentenceTransformer,
    texts: Mapping[str, Sequence[str]],
    config: CorrectionConfig,
    *,
    references: Mapping[str, Sequence[str]] | None = None,
) -> Dense | LanguageCorrection:
    """Learn a correction from texts, encoded as passages.

    Args:
        model: The encoder.
        texts: By language.
        config: The method; its data sets are not read.
        references: ``shift`` only: by language, the translations of its texts in ``config.lang``,
            in the same order.

    Returns:
        A plain dense layer for ``lsar``, else a ``LanguageCorrection``; either is put into the
        encoder with ``isoglot.models.correction.attach.apply_correction``.

    Raises:
        ConfigError: If there are more components than the texts can give, or too few languages.
        ModelError: If languages are to be told by tokens and the encoder makes none.
    """
    import torch

    from isoglot.models.correction.attach import linear_layer
    from isoglot.models.correction.detection import learn_token_scores
    from isoglot.models.correction.formulas import projection
    from isoglot.models.correction.module import LanguageCorrection

    if config.method == "lsar":
        return linear_layer(projection(_subspace(model, texts, config.components)))
    if config.method == "shift":
        found = _shifts(model, texts, references or {}, config.lang)
    else:
        found = {lang: _of_language(model, texts[lang], lang, config) for lang in texts}
    return LanguageCorrection.of(
        config.method,
        tuple(texts),
        torch.from_numpy(np.stack(list(found.values()))),
        torch.from_numpy(learn_token_scores(model, texts)),
    )


def _subspace(
    model: SentenceTransformer, texts: Mapping[str, Sequence[str]], components: int | None
) -> FloatArray:
    """Return the directions in which the means of languages differ: (components, dim)."""
    from isoglot.models.correction.formulas import language_subspace

    if len(texts) < 2:
        raise ConfigError(
            "lsar compares the means of languages, and there are texts only in "
            f"{', '.join(texts)}; add data in other languages"
        )
    means = np.stack([_embed(model, of_lang).mean(axis=0) for of_lang in texts.values()])
    directions = language_subspace(means, components)
    if components is not None and len(directions) < components:
        raise ConfigError(
            f"components: {components} is too many; the means of {len(texts)} languages differ in "
            f"{len(directions)} directions"
        )
    if len(directions) in (0, means.shape[1]):
        raise ConfigError(
            f"the means of {len(texts)} languages differ in {len(directions)} of the encoder's "
            f"{means.shape[1]} dimensions; set components to a number in between"
        )
    return directions


def _of_language(
    model: SentenceTransformer, texts: Sequence[str], lang: str, config: CorrectionConfig
) -> FloatArray:
    """Return what ``mean`` or ``lir`` takes out of a language: (components, dim)."""
    from isoglot.models.correction.formulas import principal_directions

    embeddings = _embed(model, texts)
    if config.method == "mean":
        mean: FloatArray = embeddings.mean(axis=0, keepdims=True)
        return mean
    components = config.components or 1
    if components >= embeddings.shape[1] or components > len(embeddings):
        raise ConfigError(
            f"components: {components} is too many; {lang} has {len(embeddings)} texts, and the "
            f"encoder {embeddings.shape[1]} dimensions, of which one must be left"
        )
    return principal_directions(embeddings, components)


def _shifts(
    model: SentenceTransformer,
    texts: Mapping[str, Sequence[str]],
    references: Mapping[str, Sequence[str]],
    reference: str,
) -> dict[str, FloatArray]:
    """Return by how much each language lies apart from its translations: (1, dim) each."""
    found = {}
    for lang, of_lang in texts.items():
        if lang == reference:
            continue
        apart = _embed(model, of_lang) - _embed(model, references[lang])
        found[lang] = apart.mean(axis=0, keepdims=True)
    if not found:
        raise ConfigError(f"shift needs a language besides {reference!r}; add parallel texts")
    nowhere = np.zeros_like(next(iter(found.values())))
    return {lang: found.get(lang, nowhere) for lang in texts}


def _embed(model: SentenceTransformer, texts: Sequence[str]) -> FloatArray:
    """Encode passages: (texts, dim) of length 1, not truncated."""
    from isoglot.encoding.encode import encode_texts
    from isoglot.models.correction.formulas import unit

    with model.truncate_embeddings(None):
        return unit(encode_texts(model, texts, "passage"))


def detection_shares(
    model: SentenceTransformer, correction: LanguageCorrection, texts: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Return by language the share of texts, without prompt, whose language is detected."""
    from isoglot.models.correction.detection import score_texts

    scores = correction.token_scores.cpu()
    shares = {}
    for lang, of_lang in texts.items():
        position = correction.languages.index(lang)
        found = 0
        for start in range(0, len(of_lang), _DETECTED_AT_A_TIME):
            features = model.preprocess(list(of_lang[start : start + _DETECTED_AT_A_TIME]))
            found += int((score_texts(features, scores).argmax(dim=1) == position).sum())
        shares[lang] = found / len(of_lang)
    return shares


def _record(
    model: SentenceTransformer,
    correction: Dense | LanguageCorrection,
    config: CorrectionConfig,
    texts: CorrectionTexts,
) -> dict[str, Any]:
    """Return what ``correction.json`` says."""
    from isoglot.models.correction import LanguageCorrection

    record: dict[str, Any] = {
        "method": config.method,
        "texts": {lang: len(of_lang) for lang, of_lang in texts.fitted.items()},
    }
    if isinstance(correction, LanguageCorrection):
        record["components"] = correction.components
        record["detected"] = detection_shares(model, correction, texts.held_out)
        record["held_out"] = {lang: len(of_lang) for lang, of_lang in texts.held_out.items()}
    else:  # the trace of a projection is what it leaves
        weight = correction.linear.weight.detach()
        record["components"] = len(weight) - round(float(weight.trace()))
    return record


def _lines(record: Mapping[str, Any]) -> list[str]:
    counts = ", ".join(f"{lang} {count:,}" for lang, count in record["texts"].items())
    lines = [f"{record['method']} fitted on texts in {len(record['texts'])} languages: {counts}"]
    if shares := record.get("detected"):
        lowest = min(shares, key=lambda lang: shares[lang])
        mean = sum(shares.values()) / len(shares)
        lines.append(
            f"language detected in {mean:.1%} of held-out texts, least in {lowest}: "
            f"{shares[lowest]:.1%}"
        )
    return lines


def _save(model: SentenceTransformer, folder: Path) -> Path:
    """Save the encoder, as bytes if it came so, and let it appear when it is whole."""
    from isoglot.models.compression import store_as_int8
    from isoglot.models.correction.attach import came_as_bytes

    path = folder / "model"
    unfinished = Path(tempfile.mkdtemp(dir=folder, prefix=".model."))
    try:
        model.save_pretrained(str(unfinished))
        if came_as_bytes(model[0]):
            store_as_int8(unfinished)
        unfinished.chmod(folder.stat().st_mode & 0o777)
        shutil.rmtree(path, ignore_errors=True)
        unfinished.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return path


def _refuse_other_contents(folder: Path) -> None:
    """Refuse a folder that is in use, unless an unfinished correction is all that it holds.

    Raises:
        ArtifactError: If it is.
    """
    refuse_complete(folder, "delete the folder")
    if not folder.exists():
        return
    if folder.is_dir() and not any(folder.iterdir()):
        return
    config = folder / "config.yaml"
    if not config.is_file() or "correction" not in read_yaml(config):
        raise ArtifactError(f"{folder}: is not empty; choose another --output or delete it")


def hash_texts(sources: Sequence[SourceConfig]) -> dict[str, str]:
    """Return the SHA-256 of every file, or the fingerprint of a data set of the hub, by name."""
    hashes: dict[str, str] = {}
    for source in sources:
        record = identify(source).record
        if "fingerprint" in record:
            hashes[source.label] = str(record["fingerprint"])
        for name, sha256 in record.get("sha256", {}).items():
            hashes[f"{source.label}/{name}" if name else source.label] = sha256
    return hashes
