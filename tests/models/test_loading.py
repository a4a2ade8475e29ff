"""Encoders of every layout load as themselves; what cannot be loaded says so within seconds."""

import http.server
import json
import shutil
import socket
import threading
import time

import numpy as np
import pytest
from huggingface_hub import constants
from sentence_transformers import SentenceTransformer

from isoglot.config.schema import ModelConfig
from isoglot.errors import ModelError
from isoglot.models.loading import load_encoder

TEXTS = ["Warum geht Brotteig auf?", "Kwa nini?", "面包"]
LAYOUTS = ("xlm-r", "labse", "e5", "static")


def load(name, **options):
    return load_encoder(ModelConfig(name=str(name), **options), device="cpu")


def plain(path):
    return SentenceTransformer(str(path), device="cpu")


@pytest.fixture(autouse=True)
def _answers_at_once():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_vectors_of_plain_sentence_transformers(checkpoints, layout):
    path = checkpoints[layout]
    ours, theirs = load(path), plain(path)
    assert np.array_equal(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
    assert np.array_equal(ours.encode_document(TEXTS), theirs.encode_document(TEXTS))


def test_labse_keeps_its_cls_pooling_dense_layer_and_length(checkpoints):
    model = load(checkpoints["labse"])
    kinds = [type(module).__name__ for module in model]
    assert kinds == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert (model[1].pooling_mode, model.max_seq_length) == ("cls", 48)
    assert np.allclose(np.linalg.norm(model.encode(TEXTS), axis=1), 1.0)


def test_an_encoder_without_pooling_gets_the_mean(checkpoints):
    path = checkpoints["xlm-r"]
    assert np.array_equal(load(path).encode(TEXTS), load(path, pooling="mean").encode(TEXTS))


def test_cls_pooling_is_the_vector_of_the_first_token(checkpoints):
    path = checkpoints["xlm-r"]
    cls = load(path, pooling="cls")
    first = plain(path).encode(TEXTS, output_value="token_embeddings")
    expected = np.stack([tokens[0].numpy() for tokens in first])
    assert np.allclose(cls.encode(TEXTS), expected, atol=1e-6)
    assert not np.allclose(cls.encode(TEXTS), load(path).encode(TEXTS))


def test_pooling_is_stored_with_the_model(checkpoints, tmp_path):
    model = load(checkpoints["xlm-r"], pooling="cls")
    model.save_pretrained(str(tmp_path / "saved"))
    assert np.array_equal(plain(tmp_path / "saved").encode(TEXTS), model.encode(TEXTS))


@pytest.mark.parametrize(
    ("layout", "pooling", "message"),
    [
        ("labse", "mean", "comes with cls pooling; remove model.pooling: mean"),
        ("e5", "cls", "comes with mean pooling; remove model.pooling: cls"),
        ("static", "mean", "comes with no pooling; remove model.pooling: mean"),
    ],
)
def test_pooling_that_contradicts_the_model_is_refused(checkpoints, layout, pooling, message):
    with pytest.raises(ModelError, match=message):
        load(checkpoints[layout], pooling=pooling)


def test_pooling_that_agrees_with_the_model_is_accepted(checkpoints):
    assert load(checkpoints["labse"], pooling="cls")[1].pooling_mode == "cls"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_prompts_are_used_and_stored_with_the_model(checkpoints, tmp_path, layout):
    model = load(checkpoints[layout], query_prompt="Query: ", passage_prompt="Passage: ")
    model.save_pretrained(str(tmp_path / "saved"))
    for reader in (model, plain(tmp_path / "saved")):
        assert np.array_equal(
            reader.encode_query(TEXTS), plain(checkpoints[layout]).encode(TEXTS, prompt="Query: ")
        )
        assert np.array_equal(
            reader.encode_document(TEXTS),
            plain(checkpoints[layout]).encode(TEXTS, prompt="Passage: "),
        )


def test_an_empty_prompt_takes_the_models_own_away(checkpoints):
    model = load(checkpoints["e5"], query_prompt="")
    assert np.array_equal(model.encode_query(TEXTS), plain(checkpoints["e5"]).encode(TEXTS))
    assert np.array_equal(
        model.encode_document(TEXTS), plain(checkpoints["e5"]).encode(TEXTS, prompt="passage: ")
    )


def test_max_tokens_cuts_longer_texts(checkpoints):
    model = load(checkpoints["xlm-r"], max_tokens=6)
    assert model.preprocess(["a b c d e f g h"])["input_ids"].shape == (1, 6)
    # Static encoders read texts of any length and take no notice.
    assert load(checkpoints["static"], max_tokens=6).encode(TEXTS).shape == (3, 32)


def test_a_run_folder_stands_for_its_model(checkpoints, tmp_path):
    shutil.copytree(checkpoints["labse"], tmp_path / "run" / "model")
    (tmp_path / "run" / "config.yaml").write_text("{}")
    expected = plain(checkpoints["labse"]).encode(TEXTS)
    assert np.array_equal(load(tmp_path / "run").encode(TEXTS), expected)


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "~/nowhere-at-all", "a/b/c"])
def test_a_path_that_does_not_exist(name):
    with pytest.raises(ModelError, match="no such folder"):
        load(name)


@pytest.mark.parametrize("name", ["two words", "a--b", "owner/na?me"])
def test_a_name_that_is_none(name):
    with pytest.raises(ModelError, match="neither a folder nor a valid hub name"):
        load(name)


def test_a_model_that_is_not_cached_while_offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match=r"'nobody/nothing' .* HF_HUB_OFFLINE is set; give the path"
    ):
        load("nobody/nothing")


def test_a_hub_that_cannot_be_reached(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(ModelError, match=r"hub http://127\S+ cannot be reached .*refused"):
            load("nobody/nothing")


@pytest.fixture
def hub_without_models():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_model_that_the_hub_does_not_have(monkeypatch, hub_without_models):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", hub_without_models)
    with pytest.raises(ModelError, match="and the hub has no model of this name"):
        load("nobody/nothing")


def break_config(folder):
    (folder / "config.json").write_text("{ not json")


def cut_weights(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def take_weights(folder):
    (folder / "model.safetensors").unlink()


def name_unknown_module(folder):
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "nowhere.models.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize(
    ("layout", "damage"),
    [
        ("xlm-r", break_config),
        ("xlm-r", cut_weights),
        ("xlm-r", take_weights),
        ("labse", cut_weights),
        ("labse", name_unknown_module),
        ("static", cut_weights),
    ],
)
def test_a_damaged_folder_is_one_line(checkpoints, tmp_path, layout, damage):
    folder = shutil.copytree(checkpoints[layout], tmp_path / "damaged")
    damage(folder)
    with pytest.raises(ModelError, match="damaged' cannot be loaded as a sentence-tr") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path)


def test_a_stored_passage_prompt_is_not_hidden_by_an_empty_document_prompt(checkpoints, tmp_path):
    """As E5 models store it; the library adds an empty "document" prompt, which would win."""
    folder = tmp_path / "e5"
    shutil.copytree(checkpoints["e5"], folder)
    path = folder / "config_sentence_transformers.json"
    stored = json.loads(path.read_text("utf-8"))
    stored["prompts"] = {"query": "query: ", "passage": "passage: "}
    path.write_text(json.dumps(stored), "utf-8")
    expected = plain(folder).encode(TEXTS, prompt="passage: ")
    assert np.array_equal(load(folder).encode_document(TEXTS), expected)
