"""Low-rank adapters (Hu et al., arXiv 2106.09685) through PEFT, trained instead of the encoder.

The adapter sits on the linear layers of the transformer. It is merged before the encoder is saved,
so the saved folder is plain. Checkpoints of a run hold the trained weights alone, by name and
unmerged: merging rounds, and a run that resumes must go on from the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer
from torch import nn

from isoglot.artifacts import atomic_write
from isoglot.config.model import LoraConfig
from isoglot.errors import ArtifactError, ConfigError, ModelError, did_you_mean

__all__ = [
    "ADAPTER_FILE",
    "attach_adapter",
    "has_adapter",
    "load_adapter_state",
    "merge_adapter",
    "save_adapter_state",
    "weight_counts",
]

ADAPTER_FILE = "adapter.safetensors"
"""The trained weights, in the folder of a checkpoint."""
_UNUSED = "pooler"
"""The layer that BERT and its kin put on their first token; no embedding is made from it."""


def attach_adapter(model: SentenceTransformer, config: LoraConfig, seed: int) -> None:
    """Put a new adapter on the encoder's transformer and freeze the transformer's own weights.

    The encoder gives the same vectors as before until it is trained. What follows the transformer,
    such as LaBSE's dense layer, is small and stays trainable.

    Args:
        model: The encoder, as loaded.
        config: Rank, scale, dropout and layers.
        seed: Seed of the adapter's first weights; torch's own random state is left as it was.

    Raises:
        ConfigError: If a target is no linear layer of the transformer, or PEFT is not installed.
        ModelError: If the encoder has no linear layers, as static ones have none.
    """
    peft = _import_peft()
    transformer = _transformer(model)
    wanted = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=_targets(transformer, config.targets),
    )
    # PEFT draws on the CPU, wherever the encoder is, and from torch's default generator.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        peft.inject_adapter_in_model(wanted, transformer)


def has_adapter(model: SentenceTransformer) -> bool:
    """Say whether an adapter is attached and not yet merged."""
    return any(_is_adapted(module) for module in model.modules())


def merge_adapter(model: SentenceTransformer) -> None:
    """Add the adapter to the weights it was trained beside, and take it away.

    What remains is the encoder as it was loaded, with other weights; it saves as a plain folder
    that needs no PEFT. Its vectors are those of the unmerged encoder but for rounding: of vectors
    of length 1, no number moves by more than 1e-5.
    """
    transformer = _transformer(model)
    for name, layer in list(transformer.named_modules()):
        if _is_adapted(layer):
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(transformer.get_submodule(parent), child, layer.get_base_layer())
    if hasattr(transformer, "peft_config"):
        del transformer.peft_config
    transformer.requires_grad_(True)


def weight_counts(model: nn.Module) -> tuple[int, int]:
    """Return how many numbers are trained, and how many the model has."""
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes)


def save_adapter_state(model: SentenceTransformer, folder: Path) -> None:
    """Write the trained weights into a checkpoint; the frozen ones are the base encoder's.

    Args:
        model: An encoder with an adapter.
        folder: The checkpoint.

    Raises:
        ArtifactError: If the folder cannot be written.
    """
    state = {name: weight.detach().contiguous() for name, weight in _trained(model)}
    with atomic_write(folder / ADAPTER_FILE, "wb") as file:
        file.write(save(state))


def load_adapter_state(model: SentenceTransformer, folder: Path) -> None:
    """Read what ``save_adapter_state`` wrote, bit by bit, into an encoder with an equal adapter.

    Args:
        model: An encoder with an adapter of the same config.
        folder: The checkpoint.

    Raises:
        ArtifactError: If the file is missing, damaged, or of another adapter; the encoder is then
            as it was.
    """
    path = folder / ADAPTER_FILE
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path}: cannot be read as trained weights ({error})") from error
    weights = dict(_trained(model))
    if {name: weight.shape for name, weight in state.items()} != {
        name: weight.shape for name, weight in weights.items()
    }:
        raise ArtifactError(
            f"{path}: holds other weights than this run trains; was model.lora changed?"
        )
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(state[name])


def _is_adapted(module: nn.Module) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "base_layer")


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def _import_peft() -> ModuleType:
    try:
        import peft
    except ImportError as error:
        raise ConfigError(
            "model.lora needs PEFT, which is not installed; pip install 'isoglot[lora]'"
        ) from error
    return peft


def _transformer(model: SentenceTransformer) -> nn.Module:
    first = model[0]
    found = first.auto_model if isinstance(first, Transformer) else None
    if not isinstance(found, nn.Module) or not _linear_layers(found):
        raise ModelError(
            f"model.lora: this {type(first).__name__} encoder has no linear layers for an adapter; "
            "remove model.lora or start from another encoder"
        )
    return found


def _linear_layers(transformer: nn.Module) -> list[str]:
    return [
        name
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear) and _UNUSED not in name.split(".")
    ]


def _targets(transformer: nn.Module, names: Sequence[str]) -> list[str]:
    """Return the full names of the layers that get an adapter.

    Args:
        transformer: The encoder's transformer.
        names: Last part or parts of layer names, such as ``query`` or ``output.dense``; none for
            every linear layer.
    """
    layers = _linear_layers(transformer)
    if not names:
        return layers
    for wanted in names:
        if not any(_ends_with(layer, wanted) for layer in layers):
            known = sorted({layer.rsplit(".", 1)[-1] for layer in layers})
            raise ConfigError(
                f"model.lora.targets: no linear layer of the transformer is named {wanted!r}; "
                f"there are {', '.join(known)}{did_you_mean(wanted, known)}"
            )
    return [layer for layer in layers if any(_ends_with(layer, wanted) for wanted in names)]


def _ends_with(layer: str, wanted: str) -> bool:
    return f".{layer}".endswith(f".{wanted}")
