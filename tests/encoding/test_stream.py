"""Shards hold what encoding all at once gives, survive a killed process, and bound the memory."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Pooling,
    StaticEmbedding,
    WordEmbeddings,
)
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase

from isoglot.config.model import ModelConfig
from isoglot.data.corpus import store_passages
from isoglot.encoding import stream
from isoglot.encoding.encode import encode_texts
from isoglot.encoding.encoders import open_text_encoder
from isoglot.encoding.sentence_encoder import SentenceEncoder
from isoglot.encoding.shards import open_shards
from isoglot.encoding.stream import encode_corpus, encode_queries, model_identity
from isoglot.errors import ArtifactError, ConfigError, DataError, ModelError
from isoglot.records import Passage, Query

# Two languages that take turns; "same" comes twice in each.
PASSAGES = [
    Passage(f"{lang}:{i}", lang, "same" if i in (1, 3) else f"{lang} text {i} " + "word " * i)
    for i in range(7)
    for lang in ("sw", "bn")
]


@pytest.fixture(params=["e5", "static"])
def model(request, checkpoints):
    return SentenceTransformer(str(checkpoints[request.param]), device="cpu")


@pytest.fixture
def static(checkpoints):
    return SentenceTransformer(str(checkpoints["static"]), device="cpu")


def encode(model, folder, passages=PASSAGES, **options):
    options = {"shard_size": 3, "show_progress": False, **options}
    encode_corpus(model, passages, folder, model_name="tiny", **options)
    return folder


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3)])
def test_shards_hold_the_vectors_of_encoding_at_once(model, tmp_path, dtype, tolerance):
    shards = open_shards(encode(model, tmp_path, dtype=dtype), verify=True)
    found = list(shards.vectors("passages"))
    assert [len(array) for array in found] == [3, 3, 1] * 2
    assert found[0].dtype == dtype
    ordered = [p for lang in ("bn", "sw") for p in PASSAGES if p.lang == lang]
    assert [name for _, ids in shards.ids("passages") for name in ids] == [
        passage.doc_id for passage in ordered
    ]
    expected = encode_texts(model, [passage.text for passage in ordered], "passage")
    assert np.allclose(np.concatenate(found), expected, atol=tolerance)
    assert shards.origin.passage_prompt == (model.prompts.get("document") or "")


def test_equal_texts_of_a_shard_share_every_bit(model, tmp_path):
    shards = open_shards(encode(model, tmp_path, shard_size=5), passage_langs=["sw"])
    first, _ = shards.vectors("passages")
    assert first[1].tobytes() == first[3].tobytes()


def test_queries_have_their_own_shards_and_prompt(checkpoints, tmp_path):
    model = SentenceTransformer(str(checkpoints["e5"]), device="cpu")
    queries = [Query("7", "sw", "Nini?"), Query("7", "bn", "ki"), Query("8", "sw", "Nani?")]
    encode(model, tmp_path)
    encode_queries(model, queries, tmp_path, shard_size=3, show_progress=False)
    shards = open_shards(tmp_path)
    assert list(shards.ids("queries")) == [("bn", ["7"]), ("sw", ["7", "8"])]
    expected = encode_texts(model, ["ki", "Nini?", "Nani?"], "query")
    assert np.allclose(np.concatenate(list(shards.vectors("queries"))), expected, atol=1e-6)


def test_other_queries_take_the_place_of_those_there(static, tmp_path, capsys):
    options = {"shard_size": 1, "show_progress": False}
    encode_queries(static, [Query("7", "sw", "a"), Query("8", "sw", "b")], tmp_path, **options)
    encode_queries(static, [Query("9", "sw", "c")], tmp_path, **options)
    assert list(open_shards(tmp_path).ids("queries")) == [("sw", ["9"])]
    assert "sw-00000.npy holds other queries; encoding this shard again" in capsys.readouterr().err


def test_a_list_a_stored_corpus_and_a_stream_give_the_same_bytes(static, tmp_path):
    stored = store_passages(tmp_path / "store", {}, lambda: PASSAGES, name="tiny")
    by_language = sorted(PASSAGES, key=lambda passage: passage.lang)
    expected = contents(encode(static, tmp_path / "list"))
    assert contents(encode(static, tmp_path / "stored", stored)) == expected
    assert contents(encode(static, tmp_path / "stream", iter(by_language))) == expected
    with pytest.raises(DataError, match="passages in 'sw' come again after another language"):
        encode(static, tmp_path / "mixed", iter(PASSAGES))


def test_languages_may_be_added_later(static, tmp_path):
    swahili = [passage for passage in PASSAGES if passage.lang == "sw"]
    encode(static, tmp_path / "grown", swahili)
    assert list(open_shards(tmp_path / "grown").shards["passages"]) == ["sw"]
    encode(static, tmp_path / "grown")
    assert contents(tmp_path / "grown") == contents(encode(static, tmp_path / "whole"))


def test_a_killed_run_continues_at_the_first_missing_shard(
    checkpoints, static, tmp_path, monkeypatch
):
    # The process kills itself at the fifth of six shards, a file half written beside it.
    code = f"""
import os, signal
from pathlib import Path
from sentence_transformers import SentenceTransformer
from isoglot.encoding.sentence_encoder import SentenceEncoder
from tests.encoding.test_stream import encode
calls = []
real = SentenceEncoder.encode
def encode_texts(self, texts, role, **options):
    calls.append(texts)
    if len(calls) == 6:  # the first finds out the dimensions
        Path({str(tmp_path)!r}, "cut", "passages", ".sw-00000.npy.abc").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, texts, role, **options)
SentenceEncoder.encode = encode_texts
model = SentenceTransformer({str(checkpoints["static"])!r}, device="cpu")
encode(model, Path({str(tmp_path)!r}, "cut"))
"""
    root = Path(__file__).resolve().parents[2]
    killed = subprocess.run([sys.executable, "-c", code], check=False, cwd=root)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(ArtifactError, match="passages in 'sw' are unfinished"):
        open_shards(tmp_path / "cut")
    seen = []
    real = SentenceEncoder.encode

    def watched(self, texts, role, **options):
        seen.append(texts)
        return real(self, texts, role, **options)

    monkeypatch.setattr(SentenceEncoder, "encode", watched)
    encode(static, tmp_path / "cut")
    # The dimensions, then the second and third shard of sw, whose first one was finished.
    swahili = [passage.text for passage in PASSAGES if passage.lang == "sw"]
    assert [sorted(texts) for texts in seen] == [["a"], sorted(swahili[3:6]), swahili[6:]]
    monkeypatch.undo()
    assert contents(tmp_path / "cut") == contents(encode(static, tmp_path / "whole"))


@pytest.mark.parametrize("verify", [False, True])
def test_a_damaged_shard_is_encoded_again_with_a_message(static, tmp_path, capsys, verify):
    whole = contents(encode(static, tmp_path))
    path = tmp_path / "passages" / "sw-00001.npy"
    if verify:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    else:
        os.truncate(path, 200)
    encode(static, tmp_path, verify=verify)
    expected = "another SHA-256" if verify else "has 200 bytes, the manifest says"
    message = capsys.readouterr().err
    assert expected in message and "sw-00001.npy" in message
    assert "encoding this shard again" in message
    assert contents(tmp_path) == whole


def test_other_models_and_other_texts_are_refused(static, checkpoints, tmp_path):
    encode(static, tmp_path)
    other = SentenceTransformer(str(checkpoints["e5"]), device="cpu")
    with pytest.raises(ArtifactError, match=r"holds embeddings of model 'tiny \(\w{12}\)', not"):
        encode(other, tmp_path)
    changed = [*PASSAGES[:-1], PASSAGES[-1]._replace(text="other")]
    with pytest.raises(ArtifactError, match=r"bn-00002\.npy: made from other passages"):
        encode(static, tmp_path, changed)
    with pytest.raises(ArtifactError, match=r"holds 3 shards of passages in 'bn', .* make 1"):
        encode(static, tmp_path, PASSAGES[:6])


def test_identity_is_that_of_weights_and_settings(checkpoints, tmp_path):
    models = {
        name: SentenceTransformer(str(checkpoints[name]), device="cpu") for name in ("e5", "static")
    }
    assert len({model_identity(model) for model in models.values()}) == 2
    model = models["e5"]
    before = model_identity(model)
    shutil.copytree(checkpoints["e5"], tmp_path / "copy")
    assert model_identity(SentenceTransformer(str(tmp_path / "copy"), device="cpu")) == before
    model.encode(["short", "long " * 99], batch_size=2)  # sets truncation and padding
    assert model_identity(model) == before
    model.max_seq_length = 7
    shorter = model_identity(model)
    model.default_prompt_name = "query"
    prompted = model_identity(model)
    model.bfloat16()
    assert len({before, shorter, prompted, model_identity(model)}) == 4


def test_what_comes_after_the_transformer_is_part_of_the_identity(checkpoints):
    model = SentenceTransformer(str(checkpoints["labse"]), device="cpu")
    found = [model_identity(model)]
    model[2].activation_function = torch.nn.ReLU()
    found.append(model_identity(model))
    model[1].include_prompt = False
    found.append(model_identity(model))
    assert len(set(found)) == 3


def static_encoder(normalizer=None):
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "Stone": 1, "stone": 2}, unk_token="[UNK]"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    module = StaticEmbedding(tokenizer, embedding_weights=np.eye(3, 4, dtype=np.float32))
    return SentenceTransformer(modules=[module], device="cpu")


def test_another_tokenizer_makes_another_identity(checkpoints):
    plain = model_identity(static_encoder())
    assert model_identity(static_encoder()) == plain
    assert model_identity(static_encoder(Lowercase())) != plain
    model = SentenceTransformer(str(checkpoints["e5"]), device="cpu")
    found = [model_identity(model)]
    model.tokenizer.truncation_side = "left"
    found.append(model_identity(model))
    model.tokenizer.backend_tokenizer.normalizer = Lowercase()
    found.append(model_identity(model))
    assert len(set(found)) == 3


def test_a_slow_tokenizer_is_known_by_class_and_vocabulary():
    def encoder(tokenizer, words=("stone", "water")):
        module = WordEmbeddings(tokenizer(words), torch.eye(2, 4))
        return SentenceTransformer(modules=[module, Pooling(4)], device="cpu")

    class Other(WhitespaceTokenizer):
        pass

    plain = model_identity(encoder(WhitespaceTokenizer))
    assert model_identity(encoder(WhitespaceTokenizer)) == plain
    swapped = model_identity(encoder(WhitespaceTokenizer, ("water", "stone")))
    assert len({plain, swapped, model_identity(encoder(Other))}) == 3


def test_vectors_of_another_precision_are_mixed_in_only_if_that_is_allowed(checkpoints, tmp_path):
    config = ModelConfig(name=str(checkpoints["e5"]))
    single, half = (
        open_text_encoder(config, precision=precision, device="cpu")
        for precision in ("float32", "bfloat16")
    )
    swahili = [passage for passage in PASSAGES if passage.lang == "sw"]
    encode(single, tmp_path, swahili)
    assert open_shards(tmp_path).origin.precision == "float32"
    with pytest.raises(
        ArtifactError, match=r"of precision 'float32', not 'bfloat16'; .*, or allow mix_precisions"
    ):
        encode(half, tmp_path)
    encode(half, tmp_path, mix_precisions=True)
    assert open_shards(tmp_path).origin.precision == "mixed"
    with pytest.raises(ArtifactError, match="of precision 'mixed', not 'bfloat16'"):
        encode(half, tmp_path)
    encode(half, tmp_path, mix_precisions=True)


def test_bad_options(static, tmp_path):
    with pytest.raises(ConfigError, match="dtype 'int8' is unknown; use float32 or float16"):
        encode(static, tmp_path, dtype="int8")
    with pytest.raises(ConfigError, match="shard_size is 0; use 1 or more"):
        encode(static, tmp_path, shard_size=0)
    assert list(tmp_path.iterdir()) == []


def test_values_that_float16_cannot_hold(static, tmp_path, monkeypatch):
    real = SentenceEncoder.encode
    monkeypatch.setattr(SentenceEncoder, "encode", lambda *a, **o: real(*a, **o) * 1e7)
    with pytest.raises(ModelError, match="values above 65504, which float16 cannot hold; use"):
        encode(static, tmp_path / "half", dtype="float16")
    encode(static, tmp_path / "single")


def test_progress_counts_every_text_and_skipped_ones_not_in_the_rate(static, tmp_path, monkeypatch):
    bars = []
    real = stream.progress_bar
    monkeypatch.setattr(
        stream, "progress_bar", lambda *a, **o: bars.append(real(*a, **o)) or bars[-1]
    )
    encode(static, tmp_path, show_progress=True)
    encode(static, tmp_path, show_progress=True)
    assert [(bar.n, bar.total, bar.initial) for bar in bars] == [(14, 14, 0), (14, 14, 14)]


def numbered(count):
    for i in range(count):
        yield Passage(f"en:{i}", "en", f"passage {i} of a corpus that is larger than the memory")


def test_memory_does_not_grow_with_the_corpus(static, tmp_path):
    peaks = []
    for count in (4_000, 16_000):
        tracemalloc.start()
        encode(static, tmp_path / str(count), numbered(count), shard_size=2_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.slow
def test_memory_of_200_000_passages(tmp_path):
    """Resident memory above that of the process with its model, in a process of its own."""
    code = f"""
import json, resource
from pathlib import Path
from isoglot.config.schema import ModelConfig
from isoglot.models.loading import load_encoder
from isoglot.encoding.stream import encode_corpus
from tests.encoding.test_stream import numbered
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
model = load_encoder(ModelConfig(name="mini"), device="cpu")
peaks = []
for count in (20_000, 200_000):
    folder = Path({str(tmp_path)!r}, str(count))
    encode_corpus(model, numbered(count), folder, shard_size=20_000, show_progress=False)
    peaks.append(peak())
print(json.dumps(peaks))
"""
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=root, capture_output=True, text=True
    )
    small, large = json.loads(result.stdout)
    assert large < small + 40, (small, large)  # MiB
