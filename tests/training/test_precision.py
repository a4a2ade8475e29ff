"""What a machine trains in."""

import pytest
from sentence_transformers import SentenceTransformer

from isoglot.errors import ConfigError
from isoglot.training.loop import precision as module
from isoglot.training.loop.precision import resolve_precision, suited_attention


@pytest.mark.parametrize("has_bf16", [True, False])
def test_auto_is_bf16_where_it_is_computed(monkeypatch, has_bf16):
    monkeypatch.setattr(module, "_has_bf16", lambda device: has_bf16)
    assert resolve_precision("auto") == ("bf16" if has_bf16 else "fp32")
    assert resolve_precision("fp32") == "fp32"
    assert resolve_precision("bf16") == "bf16"  # slow is not wrong


def test_fp16_needs_a_gpu(monkeypatch):
    monkeypatch.setattr(module, "get_device_name", lambda: "cpu")
    with pytest.raises(ConfigError, match="fp16 needs a GPU; use auto, fp32 or bf16"):
        resolve_precision("fp16")
    monkeypatch.setattr(module, "get_device_name", lambda: "cuda:0")
    assert resolve_precision("fp16") == "fp16"


@pytest.mark.parametrize(("slow", "during"), [(True, "eager"), (False, "sdpa")])
def test_attention_is_as_before_when_training_is_over(checkpoints, slow, during):
    model = SentenceTransformer(str(checkpoints["xlm-r"]), device="cpu")
    transformer = model[0].model
    with pytest.raises(RuntimeError), suited_attention(model, in_bf16_on_cpu=slow):
        assert transformer.config._attn_implementation == during
        raise RuntimeError
    assert transformer.config._attn_implementation == "sdpa"


def test_an_encoder_without_attention_needs_none(checkpoints):
    model = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    with suited_attention(model, in_bf16_on_cpu=True):
        pass
