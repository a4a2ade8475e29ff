"""Exported encoders: the vectors of the original from a folder that needs no torch."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Pooling,
    StaticEmbedding,
    Transformer,
)

from isoglot.artifacts import is_complete
from isoglot.config.model import ModelConfig
from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.models import export as export_module
from isoglot.models import onnx_graph as graph_module
from isoglot.models.export import export_encoder
from isoglot.models.loading import load_encoder
from isoglot.models.onnx import GRAPH_FILE, OnnxEncoder
from isoglot.models.static import WeightedStaticEmbedding
from tests.models.checkpoints import sentences

# Tracing takes seconds; the modules of e5 are among those of LaBSE.
LAYOUTS = ("xlm-r", "labse", pytest.param("e5", marks=pytest.mark.slow), "static", "mini")
PROMPTS = {"query_prompt": "query: ", "passage_prompt": "passage: "}
TEXTS = [*sentences()[100:130], "", " ", "\u0301", "🦉", "word " * 3000, "x"]
FILES = {
    "COMPLETE",
    "README.md",
    "encoder.json",
    "onnx/model.onnx",
    "provenance.json",
    "tokenizer.json",
}


@pytest.fixture(scope="module")
def exports(checkpoints, tmp_path_factory):
    """Return a function that exports a layout once and gives its config and folder."""
    folder = tmp_path_factory.mktemp("exports")
    made = {}

    def export(name):
        if name not in made:
            options = PROMPTS if name == "labse" else {}  # e5 has its own
            config = ModelConfig(name=str(checkpoints.get(name, name)), **options)
            made[name] = config, export_encoder(config, folder / name)
        return made[name]

    return export


@pytest.fixture
def traced(exports, monkeypatch):
    """Take the graph of the static encoder from its export, because tracing takes seconds."""
    graph = exports("static")[1].folder / GRAPH_FILE
    monkeypatch.setattr(export_module, "write_graph", lambda model, path: shutil.copy(graph, path))


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def differences(ours, theirs):
    lengths = np.maximum(np.linalg.norm(theirs, axis=1), np.finfo(np.float32).tiny)
    return np.linalg.norm(ours - theirs, axis=1) / lengths


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_its_own_vectors_for_other_texts_and_batches(exports, name):
    config, exported = exports(name)
    model, encoder = load_encoder(config, device="cpu"), OnnxEncoder(exported.folder)
    assert exported.difference <= 1e-4
    assert encoder.dim == exported.dim == model.get_embedding_dimension()
    for batch_size in (1, 7, 64):
        for ours, theirs in (
            (encoder.encode_query, model.encode_query),
            (encoder.encode_document, model.encode_document),
            (encoder.encode, model.encode),
        ):
            vectors = ours(TEXTS, batch_size=batch_size)
            assert vectors.dtype == np.float32
            assert differences(vectors, theirs(TEXTS)).max() <= 1e-4


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_holds_what_a_user_needs_and_no_path_of_the_machine_in_its_graph(exports, name):
    _, exported = exports(name)
    assert files_of(exported.folder) == FILES
    assert exported.size == sum((exported.folder / file).stat().st_size for file in FILES)
    assert b"site-packages" not in (exported.folder / GRAPH_FILE).read_bytes()
    assert exported.folder.stat().st_mode & 0o055  # as readable as any other new folder


def description(exported):
    return json.loads((exported.folder / "encoder.json").read_text("utf-8"))


def test_descriptions_say_what_is_in_the_graph_and_before_the_texts(exports):
    labse, static = (description(exports(name)[1]) for name in ("labse", "static"))
    assert labse["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    assert (labse["pooling"], labse["normalized"], labse["max_tokens"]) == ("cls", True, 48)
    assert labse["prompts"] == {"query": "query: ", "passage": "passage: ", "other": ""}
    assert static["inputs"] == ["input_ids", "attention_mask"]
    assert (static["pooling"], static["normalized"], static["max_tokens"]) == ("mean", False, None)
    assert not static["special_tokens"]
    readme = (exports("labse")[1].folder / "README.md").read_text()
    assert "| before a query | `'query: '` |" in readme


@pytest.mark.parametrize("name", ["labse", "static"])
def test_the_readme_shows_code_that_runs_without_isoglot(exports, monkeypatch, name):
    config, exported = exports(name)
    code = re.findall(r"```python\n(.*?)```", (exported.folder / "README.md").read_text(), re.S)
    monkeypatch.chdir(exported.folder)
    names = {}
    exec(code[1], names)
    plain = load_encoder(config, device="cpu").encode(["Bundi huishi msituni."])
    assert differences(names["vectors"], plain).max() <= 1e-4


def test_reading_needs_no_torch(exports):
    # In a process of its own, because torch is here already.
    code = (
        "import sys; from isoglot.models.onnx import OnnxEncoder\n"
        f"print(OnnxEncoder({str(exports('static')[1].folder)!r}, threads=1).encode(['a']).shape)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 32)\n[]\n"


def test_a_prompt_of_the_caller_replaces_the_stored_one(exports):
    config, exported = exports("labse")
    ours = OnnxEncoder(exported.folder).encode(["owl"], prompt="query: ")
    theirs = load_encoder(config, device="cpu").encode_query(["owl"])
    assert differences(ours, theirs).max() <= 1e-4


def test_no_texts_give_no_vectors_and_one_text_is_not_a_sequence(exports):
    encoder = OnnxEncoder(exports("static")[1].folder)
    assert encoder.encode([]).shape == (0, 32)
    with pytest.raises(TypeError, match="put it in a list"):
        encoder.encode("owl")


def test_a_padded_mean_worked_by_hand(checkpoints):
    tokenizer = load_encoder(ModelConfig(name=str(checkpoints["static"])))[0].tokenizer
    vectors = torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, 6.0]])
    mean = graph_module._PaddedMean(StaticEmbedding(tokenizer, embedding_weights=vectors))
    ids = torch.tensor([[1, 2, 2], [2, 0, 0], [0, 0, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    found = mean({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
    # (1 + 3 + 3) / 3, (2 + 6 + 6) / 3; one vector; no vector
    expected = torch.tensor([[7 / 3, 14 / 3], [3.0, 6.0], [0.0, 0.0]])
    assert torch.allclose(found, expected)


def test_weights_too_large_for_the_graph_are_in_a_file_beside_it(
    checkpoints, tmp_path, monkeypatch
):
    monkeypatch.setattr(graph_module, "_PROTOBUF_LIMIT", 1000)
    config = ModelConfig(name=str(checkpoints["static"]))
    exported = export_encoder(config, tmp_path / "out")
    assert files_of(exported.folder) == {*FILES, f"{GRAPH_FILE}.data"}
    ours = OnnxEncoder(exported.folder).encode(TEXTS)
    assert differences(ours, load_encoder(config, device="cpu").encode(TEXTS)).max() <= 1e-4


def test_the_original_folder_is_left_as_it_was(exports, checkpoints):
    exports("labse")
    before = files_of(checkpoints["labse"])
    assert not any(file.endswith(".onnx") for file in before)
    assert np.isfinite(
        SentenceTransformer(str(checkpoints["labse"]), device="cpu").encode("a")
    ).all()


def refused(config, folder, error, message):
    with pytest.raises(error, match=message):
        export_encoder(config, folder)
    assert not list(folder.parent.iterdir())


def test_a_graph_with_other_vectors_is_refused_and_nothing_is_left(
    checkpoints, tmp_path, monkeypatch, traced
):
    # As a tokenizer that does not cut where the encoder does would cause it.
    tokenizer = export_module._tokenizer

    def cuts(model):
        other = tokenizer(model)
        other.enable_truncation(2)
        return other

    monkeypatch.setattr(export_module, "_tokenizer", cuts)
    config = ModelConfig(name=str(checkpoints["static"]))
    message = "was not exported: onnxruntime gives other vectors, they differ by .* is allowed"
    refused(config, tmp_path / "out", ModelError, message)


def test_an_encoder_that_fails_on_long_texts_is_refused(checkpoints, tmp_path):
    # It has 64 positions.
    config = ModelConfig(name=str(checkpoints["e5"]), max_tokens=100)
    refused(config, tmp_path / "out", ModelError, "cannot be exported: it fails on sample texts")


def in_memory(monkeypatch, *modules):
    model = SentenceTransformer(modules=list(modules), device="cpu")
    monkeypatch.setattr(export_module, "load_encoder", lambda config, device: model)


def test_an_operation_without_a_counterpart_is_one_line(checkpoints, tmp_path, monkeypatch):
    def fails(model, path):
        raise RuntimeError("no ONNX function for qr\nand a long list of advice")

    monkeypatch.setattr(export_module, "write_graph", fails)
    message = r"cannot be written as an ONNX graph \(RuntimeError: no ONNX function for qr\)$"
    config = ModelConfig(name=str(checkpoints["static"]))
    refused(config, tmp_path / "out", ModelError, message)


def test_encoders_that_need_more_than_tokens_are_refused(checkpoints, tmp_path, monkeypatch):
    config = ModelConfig(name="x")
    static = load_encoder(ModelConfig(name=str(checkpoints["static"])))[0]
    weights = torch.ones(static.num_embeddings)
    in_memory(
        monkeypatch,
        WeightedStaticEmbedding(static.tokenizer, weights, static.embedding.weight.detach()),
    )
    refused(config, tmp_path / "out", ModelError, "WeightedStaticEmbedding is a static encoder in")
    transformer = Transformer(str(checkpoints["xlm-r"]))
    in_memory(monkeypatch, transformer, Pooling(32, include_prompt=False))
    refused(config, tmp_path / "out", ModelError, "its pooling leaves prompts out")
    in_memory(monkeypatch, Dense(32, 32))
    refused(config, tmp_path / "out", ModelError, "it starts with Dense, not Transformer or Static")


def test_a_folder_that_is_not_empty_is_left_alone(checkpoints, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    config = ModelConfig(name=str(checkpoints["static"]))
    for folder in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(ArtifactError, match="is not empty; choose another --output or delete"):
            export_encoder(config, folder)
    assert files_of(tmp_path) == {"mine.txt"}


def test_an_empty_folder_is_used_and_one_that_cannot_be_made_is_an_error(
    checkpoints, tmp_path, traced
):
    config = ModelConfig(name=str(checkpoints["static"]))
    (tmp_path / "out").mkdir()
    export_encoder(config, tmp_path / "out")
    assert is_complete(tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="out: cannot be written"):
        export_encoder(config, tmp_path / "file" / "out")


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_how_to_install_it(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    find_spec = export_module.importlib.util.find_spec
    monkeypatch.setattr(
        export_module.importlib.util,
        "find_spec",
        lambda name: None if name == package else find_spec(name),
    )
    message = rf"need[s]? {package}.* not installed; pip install 'isoglot\[onnx\]'"
    refused(ModelConfig(name="mini"), tmp_path / "out", ConfigError, message)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^--format tflite: allowed is onnx$"):
        export_encoder(ModelConfig(name="mini"), tmp_path / "out", "tflite")


def test_folders_that_are_no_whole_export_are_refused(exports, checkpoints, tmp_path):
    with pytest.raises(ArtifactError, match="not an exported encoder, there is no COMPLETE; give"):
        OnnxEncoder(checkpoints["static"])
    folder = shutil.copytree(exports("static")[1].folder, tmp_path / "copy")
    (folder / GRAPH_FILE).write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"model.onnx: cannot be loaded by onnxruntime"):
        OnnxEncoder(folder)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer.json: cannot be read as a tokenizer"):
        OnnxEncoder(folder)
