"""The module in an encoder: what it does to vectors, on paper, and through saving and loading."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from isoglot.errors import ConfigError, ModelError
from isoglot.models.correction import LanguageCorrection
from isoglot.models.correction.attach import (
    apply_correction,
    came_as_bytes,
    find_correction,
    linear_layer,
    open_encoder,
    refuse_corrected,
)
from isoglot.models.correction.formulas import projection, shortening
from isoglot.models.loading import embedded_encoder
from tests.models.correction.encoders import word_encoder
from tests.reference import slow_correction as slow

# w1 is of German, w2 of English, w3 and w0 of neither.
SCORES = torch.tensor([[0.0, 0.0], [2.0, -2.0], [-1.0, 1.0]])
VECTORS = [[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0]]


def corrected(method, vectors, **options):
    module = LanguageCorrection.of(method, ("de", "en"), torch.tensor(vectors), SCORES)
    return apply_correction(word_encoder(VECTORS, **options), module)


def encode(encoder, text, **options):
    return encoder.encode_document(text, **options).tolist()


def test_a_mean_is_subtracted_on_paper():
    # w1 is (3, 4, 0), of length 5. In units of that length it is (.6, .8, 0); less the German mean
    # (.1, 0, .5) that is (.5, .8, -.5), and scaled back (2.5, 4, -2.5).
    encoder = corrected("mean", [[[0.1, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
    assert encode(encoder, "w1") == pytest.approx([2.5, 4.0, -2.5])
    assert encode(encoder, "w2") == pytest.approx([0.0, -2.0, 2.0])  # length 2, English mean


def test_directions_are_removed_on_paper():
    # (3, 4, 0) less its projection on the first axis is (0, 4, 0).
    encoder = corrected("lir", [[[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]])
    assert encode(encoder, "w1") == pytest.approx([0.0, 4.0, 0.0])
    assert encode(encoder, "w2") == pytest.approx([0.0, 0.0, 0.0])


def test_a_shift_is_subtracted_from_passages_only():
    encoder = corrected("shift", [[[0.1, 0.0, 0.5]], [[0.0, 0.0, 0.0]]])
    assert encode(encoder, "w1") == pytest.approx([2.5, 4.0, -2.5])
    assert encode(encoder, "w2") == VECTORS[2]  # the language that stays as it is
    assert encoder.encode_query("w1").tolist() == VECTORS[1]
    assert encoder.encode("w1").tolist() == VECTORS[1]


def test_vectors_have_length_one_where_they_had_it():
    encoder = corrected("mean", [[[0.1, 0.0, 0.5]], [[0.0, 0.0, 0.0]]], normalize=True)
    assert [type(module) for module in encoder][1:] == [LanguageCorrection, Normalize]
    expected = slow.unit_of([0.5, 0.8, -0.5])
    assert encode(encoder, "w1") == pytest.approx(expected)


def test_texts_without_tokens_stay_zero():
    encoder = corrected("mean", [[[0.1, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
    assert encode(encoder, "") == [0.0, 0.0, 0.0]


def test_many_directions_of_many_texts():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(3, 6)).tolist()
    found = [slow.first_directions(rng.normal(size=(9, 6)), 2) for _ in range(2)]
    module = LanguageCorrection.of("lir", ("de", "en"), torch.tensor(np.stack(found)), SCORES)
    encoder = apply_correction(word_encoder(table), module)
    texts = ["w1", "w2", "w1 w1 w2", "w2 w2 w1 w2 w2 w2"]
    langs = [0, 1, 0, 1]
    plain = word_encoder(table).encode(texts)
    expected = [slow.without(v, found[lang]) for v, lang in zip(plain, langs, strict=True)]
    assert encoder.encode(texts) == pytest.approx(np.array(expected), abs=1e-5)


def test_the_language_can_be_named():
    encoder = corrected("mean", [[[0.1, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
    assert encode(encoder, "w1", language="en") == pytest.approx([3.0, -1.0, 0.0])
    assert encode(encoder, "w1", language="eng") == encode(encoder, "w1", language="en")
    assert encode(encoder, ["w1", "w2"], language="de")[0] == encode(encoder, "w1")


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("sw", "language 'sw': this correction was fitted on de, en; name one of them, or none"),
        ("xx", "unknown language 'xx'"),
        (["de", "en"], r"language \['de', 'en'\]: name one for all texts of a call"),
    ],
)
def test_a_language_that_was_not_fitted_is_refused(language, message):
    for method in ("mean", "shift"):
        encoder = corrected(method, [[[0.1, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
        with pytest.raises(ConfigError, match=message):
            encoder.encode_query("w1", language=language)


@pytest.mark.parametrize("method", ["mean", "lir", "shift"])
def test_a_saved_encoder_gives_the_same_vectors(method, tmp_path):
    directions = torch.nn.functional.normalize(torch.randn(2, 1, 3), dim=2)
    encoder = corrected(method, directions.tolist(), prompts={"query": "w3 ", "document": "w0 "})
    encoder.save_pretrained(str(tmp_path))
    texts = ["w1 w2", "w2", "w3 w1"]
    for loaded in (
        open_encoder(str(tmp_path), device="cpu"),
        SentenceTransformer(str(tmp_path), trust_remote_code=True, device="cpu"),
    ):
        assert isinstance(loaded[1], LanguageCorrection)
        assert (loaded.encode_query(texts) == encoder.encode_query(texts)).all()
        assert (loaded.encode_document(texts) == encoder.encode_document(texts)).all()
    modules = json.loads((tmp_path / "modules.json").read_text("utf-8"))
    assert modules[1]["type"] == "isoglot.models.correction.LanguageCorrection"


@pytest.mark.parametrize("name", ["xlm-r", "labse", "e5", "static"])
def test_every_layout_of_encoders_takes_one(name, checkpoints, tmp_path):
    plain = SentenceTransformer(str(checkpoints[name]), device="cpu")
    torch.manual_seed(0)
    scores = torch.randn(2000, 2)
    module = LanguageCorrection.of("mean", ("de", "en"), torch.randn(2, 1, 32), scores)
    encoder = apply_correction(plain, module)
    assert encoder.prompts == plain.prompts
    texts = ["to be or not to be", "x", "auf der Bank"]
    apart = np.abs(encoder.encode_document(texts) - plain.encode_document(texts))
    assert (apart.max(axis=1) > 0.1).all()
    one_by_one = np.stack([encoder.encode_document(text) for text in texts])
    assert encoder.encode_document(texts) == pytest.approx(one_by_one, abs=1e-5)
    named = encoder.encode_document(texts, language="en")
    assert named.shape == apart.shape
    encoder.save_pretrained(str(tmp_path))
    loaded = open_encoder(str(tmp_path), device="cpu")
    assert loaded.encode_document(texts) == pytest.approx(encoder.encode_document(texts), abs=1e-6)


def test_a_dense_layer_loads_without_isoglot(tmp_path):
    plain = word_encoder(VECTORS, normalize=True)
    encoder = apply_correction(plain, linear_layer(projection(np.array([[0.6, 0.8, 0.0]]))))
    assert [type(module) for module in encoder][1:] == [Dense, Normalize]
    # Of (1, 0, 0) the projection leaves (.64, -.48, 0), of length .8.
    assert encode(encoder, "w3") == pytest.approx([0.8, -0.6, 0.0])
    encoder.save_pretrained(str(tmp_path))
    modules = json.loads((tmp_path / "modules.json").read_text("utf-8"))
    assert all(module["type"].startswith("sentence_transformers.") for module in modules)
    loaded = SentenceTransformer(str(tmp_path), device="cpu")
    assert encode(loaded, "w3") == pytest.approx([0.8, -0.6, 0.0])


def test_a_correction_is_found_and_not_taken_for_another_layer(checkpoints):
    torch.manual_seed(0)
    plain = word_encoder(VECTORS)
    layers = {
        "lsar": linear_layer(projection(np.array([[0.6, 0.8, 0.0]]))),
        None: Dense(3, 3, bias=False, activation_function=torch.nn.Identity()),
    }
    for method, layer in layers.items():
        model = SentenceTransformer(modules=[plain[0], layer], device="cpu")
        assert find_correction(model) == method
        assert find_correction(model.bfloat16()) == method
    identity = Dense(
        3, 3, bias=False, activation_function=torch.nn.Identity(), init_weight=torch.eye(3)
    )
    narrow = Dense(3, 2, bias=False, activation_function=torch.nn.Identity())
    for layer in (identity, narrow):
        assert find_correction(SentenceTransformer(modules=[plain[0], layer])) is None
    assert find_correction(plain) is None
    assert find_correction(SentenceTransformer(str(checkpoints["labse"]), device="cpu")) is None


def test_a_shortening_is_found_under_another_name(checkpoints):
    rng = np.random.default_rng(0)
    matrix = shortening(
        np.cov(rng.normal(size=(60, 32)) * np.linspace(1, 3, 32), rowvar=False), 0.3
    )
    plain = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    corrected = apply_correction(plain, linear_layer(matrix))
    again = SentenceTransformer(modules=list(corrected), device="cpu")
    assert list(dict(again.named_children())) == ["0", "1"]
    assert find_correction(again) == find_correction(again.bfloat16()) == "wccn"
    # A trained layer, also one that started from the identity, is not symmetric.
    torch.manual_seed(0)
    for weight in (torch.randn(32, 32), torch.eye(32) + 0.02 * torch.randn(32, 32)):
        layer = linear_layer(weight.double().numpy())
        assert find_correction(SentenceTransformer(modules=[plain[0], layer])) is None
    # Neither a change of length nor a reflection shortens some directions.
    for diagonal in (torch.full((32,), 2.0), torch.linspace(-1, 1, 32)):
        layer = linear_layer(torch.diag(diagonal).double().numpy())
        assert find_correction(SentenceTransformer(modules=[plain[0], layer])) is None
    biased = Dense(32, 32, activation_function=torch.nn.Identity())
    biased.linear.weight.data = torch.from_numpy(matrix).float()
    assert find_correction(SentenceTransformer(modules=[plain[0], biased])) is None
    labse = SentenceTransformer(str(checkpoints["labse"]), device="cpu")
    assert any(isinstance(module, Dense) for module in labse)
    assert find_correction(labse) is None


def test_encoders_are_loaded_with_an_undocumented_function_that_must_be_there(
    checkpoints, monkeypatch
):
    loader = SentenceTransformer._load_with_module_classes
    assert "module_classes" in inspect.signature(loader).parameters
    monkeypatch.delattr("sentence_transformers.base.model.BaseModel._load_with_module_classes")
    message = r"lacks SentenceTransformer._load_with_module_classes, .*; pip install 'sentence-"
    with pytest.raises(ModelError, match=message) as error:
        open_encoder(str(checkpoints["static"]))
    assert "\n" not in str(error.value)


def test_a_corrected_encoder_is_refused():
    encoder = corrected("mean", [[[0.1, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
    with pytest.raises(ModelError, match=r"model 'runs/a' has a correction \(mean\), .* train or"):
        refuse_corrected(encoder, "model 'runs/a'")
    with pytest.raises(ModelError, match="the encoder has a correction"):
        apply_correction(encoder, linear_layer(projection(np.array([[0.6, 0.8, 0.0]]))))
    refuse_corrected(word_encoder(VECTORS), "it")


def test_bytes_are_known_by_their_numbers(checkpoints):
    mini = SentenceTransformer(str(embedded_encoder()), device="cpu")
    static = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    labse = SentenceTransformer(str(checkpoints["labse"]), device="cpu")
    assert [came_as_bytes(model[0]) for model in (mini, static, labse)] == [True, False, False]


def test_no_gradient_reaches_a_correction():
    encoder = corrected("mean", [[[0.1, 0.0, 0.5]], [[0.0, 1.0, 0.0]]])
    before = {name: value.clone() for name, value in encoder[1].state_dict().items()}
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    encoder(encoder.preprocess(["w1", "w2"]))["sentence_embedding"].sum().backward()
    optimizer.step()
    assert encoder[0].embedding.weight.grad.any()
    assert not list(encoder[1].parameters())
    assert all((encoder[1].state_dict()[name] == value).all() for name, value in before.items())
