"""One encoder in any backend gives the vectors of the original, under the original's identity."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, WordEmbeddings
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

from isoglot.config.model import ModelConfig
from isoglot.encoding import graph_encoder, opening, sentence_encoder
from isoglot.encoding.encoders import open_text_encoder
from isoglot.encoding.sentence_encoder import SentenceEncoder
from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.models.export import export_encoder
from isoglot.models.identity import model_identity
from tests.models.checkpoints import sentences

TEXTS = [*sentences()[100:160], "", "?", "owl", "owl " * 500]


def cosines(found, expected):
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return (found * expected).sum(axis=1) / norms


@pytest.fixture(scope="module")
def e5(checkpoints):
    return ModelConfig(name=str(checkpoints["e5"]))


@pytest.fixture(scope="module")
def original(checkpoints):
    return SentenceTransformer(str(checkpoints["e5"]), device="cpu")


@pytest.mark.parametrize("layout", ["e5", "labse", "xlm-r"])
@pytest.mark.parametrize("role", ["query", "passage"])
def test_batches_by_tokens_give_the_librarys_vectors(checkpoints, layout, role):
    model = SentenceTransformer(str(checkpoints[layout]), device="cpu")
    expected = (model.encode_query if role == "query" else model.encode_document)(TEXTS)
    for batch_size in (1, 3, None):
        found = SentenceEncoder(model).encode(TEXTS, role, batch_size=batch_size)
        assert found.dtype == np.float32
        assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("role", ["query", "passage"])
def test_static_vectors_are_the_librarys_bit_by_bit(checkpoints, role):
    prompts = {"query": "query: ", "document": "passage: "}
    model = SentenceTransformer(str(checkpoints["static"]), prompts=prompts, device="cpu")
    texts = TEXTS * 10  # more than one chunk
    expected = (model.encode_query if role == "query" else model.encode_document)(texts)
    assert np.array_equal(SentenceEncoder(model).encode(texts, role), expected)
    model.truncate_dim = 5
    assert np.array_equal(SentenceEncoder(model).encode(texts, role), expected[:, :5])


def test_texts_are_batched_by_tokens_and_padded_to_no_more(original, monkeypatch):
    shapes = []
    encoder = SentenceEncoder(original)
    handle = original[0].register_forward_pre_hook(
        lambda module, given: shapes.append(tuple(given[0]["input_ids"].shape))
    )
    # Of equal length in characters, and of very different ones in tokens.
    texts = ["a b c d e f", "abcdefghijk", "g h i j k l", "owlowlowlow"]
    encoder.encode(texts, "passage", batch_size=2)
    handle.remove()
    lengths = original.preprocess(texts, prompt="passage: ")["attention_mask"].sum(1).tolist()
    longest = sorted(lengths, reverse=True)
    assert shapes == [(2, longest[0]), (2, longest[2])]


def test_nothing_to_encode(original, checkpoints):
    static = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    for model in (original, static):
        assert SentenceEncoder(model).encode([], "query").shape == (0, 32)


def test_encoders_that_read_texts_in_other_ways_are_left_to_the_library(original, monkeypatch):
    words = WordEmbeddings(WhitespaceTokenizer(["owl", "stone"]), np.eye(2, 4, dtype=np.float32))
    model = SentenceTransformer(modules=[words, Pooling(4)], device="cpu")
    found = SentenceEncoder(model).encode(["owl stone", "owl"], "query")
    assert np.array_equal(found, model.encode_query(["owl stone", "owl"]))
    monkeypatch.setattr(sentence_encoder, "cut_by_library", lambda *given: None)
    found = SentenceEncoder(original).encode(TEXTS, "query")
    assert np.allclose(found, original.encode_query(TEXTS), atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_16_bit_weights_keep_the_direction_of_every_vector(e5, original, precision):
    encoder = open_text_encoder(e5, precision=precision, device="cpu")
    assert encoder.precision == precision
    assert encoder.identity == model_identity(original)
    for role, expected in (
        ("query", original.encode_query(TEXTS)),
        ("passage", original.encode_document(TEXTS)),
    ):
        assert cosines(encoder.encode(TEXTS, role), expected).min() > 0.9999


@pytest.mark.parametrize(
    ("backend", "precision", "lowest"),
    [
        ("onnx", "float32", 1 - 1e-6),
        ("onnx", "int8", 0.99),
        ("openvino", "float32", 1 - 1e-6),
        ("openvino", "bfloat16", 0.9999),
    ],
)
def test_graphs_give_the_vectors_of_the_original(e5, original, backend, precision, lowest):
    pytest.importorskip({"onnx": "onnxruntime"}.get(backend, backend))
    encoder = open_text_encoder(e5, backend=backend, precision=precision, threads=1)
    assert (encoder.dim, encoder.precision) == (32, precision)
    assert encoder.identity == model_identity(original)
    assert (encoder.query_prompt, encoder.passage_prompt) == ("query: ", "passage: ")
    assert encoder.similarity == "cosine"
    for role, expected in (
        ("query", original.encode_query(TEXTS)),
        ("passage", original.encode_document(TEXTS)),
    ):
        found = encoder.encode(TEXTS, role, batch_size=7)
        assert cosines(found, expected).min() > lowest
        assert np.array_equal(encoder.encode(TEXTS, role, batch_size=7), found)


def test_openvino_gets_few_shapes(e5, original):
    pytest.importorskip("openvino")
    encoder = open_text_encoder(e5, backend="openvino", threads=1)
    graph, widths = encoder._encoder._run, set()

    def run(inputs):
        widths.add(inputs["input_ids"].shape[1])
        return graph(inputs)

    encoder._encoder._run = run
    found = encoder.encode(TEXTS, "passage", batch_size=1)
    assert cosines(found, original.encode_document(TEXTS)).min() > 1 - 1e-6
    assert len(widths) > 3 and max(widths) == 64 and {width % 8 for width in widths} == {0}
    encoder._encoder.description["max_tokens"] = 61
    assert [encoder._encoder._width(longest) for longest in (0, 1, 8, 9, 61)] == [8, 8, 8, 16, 61]


def test_an_encoder_is_exported_once_and_again_for_other_prompts(e5, monkeypatch):
    open_text_encoder(e5, backend="onnx")
    monkeypatch.setattr("isoglot.models.export.export_encoder", None)
    open_text_encoder(e5, backend="onnx")
    calls = []
    monkeypatch.setattr(
        "isoglot.models.export.export_encoder", lambda config, folder: calls.append(folder)
    )
    other = e5.model_copy(update={"query_prompt": "ask: "})
    with pytest.raises(Exception, match="not an exported encoder"):
        open_text_encoder(other, backend="onnx")
    assert len(calls) == 1


def test_encoders_of_the_same_weights_and_other_settings_do_not_share_a_graph(
    checkpoints, tmp_path, monkeypatch
):
    folders = []

    def note(config, folder):
        folders.append(folder)
        raise ModelError("not exported")

    monkeypatch.setattr("isoglot.models.export.export_encoder", note)

    def save(name, change):
        model = SentenceTransformer(str(checkpoints["labse"]), device="cpu")
        change(model)
        model.save(str(tmp_path / name))

    save("same", lambda model: None)
    save("activation", lambda model: setattr(model[2], "activation_function", torch.nn.ReLU()))
    save("similarity", lambda model: setattr(model, "similarity_fn_name", "dot"))
    save("heads", lambda model: setattr(model[0].model.config, "num_attention_heads", 1))
    save("prompt", lambda model: model.prompts.update(document="passage: "))
    save("length", lambda model: setattr(model, "max_seq_length", 7))
    names = ["same", "activation", "similarity", "heads", "prompt", "length"]
    for folder in [checkpoints["labse"], *(tmp_path / name for name in names)]:
        with pytest.raises(ModelError, match="not exported"):
            open_text_encoder(ModelConfig(name=str(folder)), backend="onnx")
    assert folders[0] == folders[1]
    assert len(set(folders)) == len(names)


def test_a_cache_that_cannot_be_written_is_one_line(e5, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ArtifactError, match=r"cannot be written \(.*\); set ISOGLOT_CACHE to a"):
        open_text_encoder(e5, backend="onnx")


def test_graphs_with_the_same_form_and_other_weights_do_not_share_an_int8_copy(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(graph_encoder, "write_int8", lambda graph, target: None)
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"graph")
    copies = [graph_encoder._int8(graph)]
    for weights in (b"one", b"other"):
        graph.with_name("model.onnx.data").write_bytes(weights)
        copies.append(graph_encoder._int8(graph))
    assert len(set(copies)) == 3


def test_a_gpu_without_instructions_for_bfloat16_computes_in_float16(monkeypatch):
    gpu = torch.device("cuda")
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    assert opening._precision("auto", static=False, device=gpu) == "float16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert opening._precision("auto", static=False, device=gpu) == "bfloat16"


def test_rotary_angles_stay_in_float32(checkpoints):
    model = SentenceTransformer(str(checkpoints["e5"]), device="cpu")
    angles = torch.tensor([1.0, 0.777])
    model[0].model.encoder.register_buffer("inv_freq", angles, persistent=False)
    model[0].model.encoder.register_buffer("scale", angles, persistent=False)
    sentence_encoder.compute_in(model, "bfloat16")
    assert torch.equal(model[0].model.encoder.inv_freq, angles)
    assert model[0].model.encoder.scale.dtype == torch.bfloat16


def test_an_exported_folder_is_an_encoder(e5, original, checkpoints, tmp_path):
    config = ModelConfig(name=str(checkpoints["static"]))
    folder = export_encoder(config, tmp_path / "out").folder
    encoder = open_text_encoder(ModelConfig(name=str(folder), query_prompt="ask: "))
    static = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    assert encoder.identity == model_identity(static)
    assert (encoder.query_prompt, encoder.passage_prompt) == ("ask: ", "")
    expected = static.encode_document(TEXTS[:20])
    assert np.allclose(encoder.encode(TEXTS[:20], "passage"), expected, atol=1e-6)
    with pytest.raises(ConfigError, match="was exported with its max_tokens, which cannot be"):
        open_text_encoder(ModelConfig(name=str(folder), max_tokens=9))
    with pytest.raises(ConfigError, match="backend onnx does not compute in bfloat16; use float32"):
        open_text_encoder(ModelConfig(name=str(folder)), precision="bfloat16")
    with pytest.raises(ConfigError, match="an exported encoder computes on the CPU, not on 'cuda'"):
        open_text_encoder(ModelConfig(name=str(folder)), device="cuda")


def test_auto_is_the_own_path_of_a_static_encoder(checkpoints):
    config = ModelConfig(name=str(checkpoints["static"]))
    encoder = open_text_encoder(config, backend="auto", precision="auto", device="cpu")
    assert isinstance(encoder, SentenceEncoder) and encoder.precision == "float32"


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_openvino_in_what_the_processor_has(e5, monkeypatch, has_bfloat16, expected):
    pytest.importorskip("openvino")
    monkeypatch.setattr(opening, "_cpu_has_bfloat16", lambda: has_bfloat16)
    encoder = open_text_encoder(e5, backend="auto", precision="auto", device="cpu", threads=1)
    assert isinstance(encoder, graph_encoder.GraphEncoder) and encoder.precision == expected
    plain = open_text_encoder(e5, backend="onnx", precision="auto", threads=1)
    assert plain.precision == "float32"
    eight = open_text_encoder(e5, backend="auto", precision="int8", device="cpu", threads=1)
    assert isinstance(eight, graph_encoder.GraphEncoder) and eight.precision == "int8"


def test_auto_is_torch_without_openvino_or_a_graph(e5, monkeypatch):
    monkeypatch.setattr(opening, "_cpu_has_bfloat16", lambda: True)

    def fails(*given):
        raise ModelError("cannot be exported")

    with monkeypatch.context() as patch:
        patch.setattr(opening, "_open_graph", fails)
        encoder = open_text_encoder(e5, backend="auto", precision="auto", device="cpu")
        assert isinstance(encoder, SentenceEncoder) and encoder.precision == "bfloat16"
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: None)
    encoder = open_text_encoder(e5, backend="auto", precision="auto", device="cpu")
    assert isinstance(encoder, SentenceEncoder) and encoder.precision == "bfloat16"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "jax"}, "backend 'jax' is unknown; use auto, torch, onnx, openvino"),
        ({"precision": "int4"}, "precision 'int4' is unknown; use auto, float32, bfloat16, float"),
        ({"precision": "int8"}, "backend torch does not compute in int8; use backend onnx"),
        (
            {"backend": "openvino", "precision": "int8"},
            "openvino does not compute in int8; use float32 or bfloat16, or another backend",
        ),
        (
            {"backend": "onnx", "device": "cuda"},
            "backend onnx computes on the CPU, not on 'cuda'; use torch",
        ),
    ],
)
def test_what_does_not_go_together(e5, options, message):
    with pytest.raises(ConfigError, match=message):
        open_text_encoder(e5, **options)


def test_a_static_encoder_has_no_other_precision(checkpoints):
    with pytest.raises(ConfigError, match="computes in float32, not bfloat16: it looks vectors"):
        open_text_encoder(ModelConfig(name=str(checkpoints["static"])), precision="bfloat16")


@pytest.mark.parametrize("package", ["openvino", "onnxruntime"])
def test_a_missing_package_is_named_with_how_to_install_it(e5, monkeypatch, package):
    backend = {"onnxruntime": "onnx"}.get(package, package)
    open_text_encoder(e5, backend="onnx")  # the export needs onnxruntime
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"{package}.* not installed; .*isoglot\[{backend}\]"):
        open_text_encoder(e5, backend=backend)


def test_a_damaged_graph_is_one_line(e5, checkpoints, tmp_path):
    pytest.importorskip("openvino")
    config = ModelConfig(name=str(checkpoints["static"]))
    folder = export_encoder(config, tmp_path / "out").folder
    (folder / "onnx" / "model.onnx").write_bytes(b"no graph")
    for backend, runtime in (("openvino", "OpenVINO"), ("onnx", "onnxruntime")):
        with pytest.raises(ModelError, match=rf"model\.onnx: cannot be loaded by {runtime} \("):
            open_text_encoder(ModelConfig(name=str(folder)), backend=backend)


def test_the_protocol_needs_no_torch():
    code = "import sys, isoglot.encoding.encoders; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
