"""Put a correction into an encoder, load encoders that have one, and find it in them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import sentence_transformers
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    StaticEmbedding,
)
from torch import nn

from isoglot.errors import ModelError
from isoglot.models.correction.formulas import FloatArray
from isoglot.models.correction.module import LanguageCorrection

__all__ = [
    "apply_correction",
    "came_as_bytes",
    "find_correction",
    "linear_layer",
    "open_encoder",
    "refuse_corrected",
]

_NAME = "correction"
_TESTED = "6.2.0"
"""A version of the library that has all that is used here."""
_OWN_MODULES = {"isoglot.models.correction.LanguageCorrection": LanguageCorrection}
_ROUNDING = 0.05
"""Share of a matrix that is taken for rounding, as large as bfloat16 needs; of any other dense
layer, what is compared differs by about its whole size."""


def linear_layer(matrix: FloatArray) -> Dense:
    """Return the plain dense layer that multiplies every vector by a matrix.

    Args:
        matrix: (dim, dim) symmetric.
    """
    weight = torch.from_numpy(matrix).float()
    dim = len(weight)
    return Dense(dim, dim, bias=False, activation_function=nn.Identity(), init_weight=weight)


def apply_correction(
    model: SentenceTransformer, correction: Dense | LanguageCorrection
) -> SentenceTransformer:
    """Return a new encoder of the same modules and a correction.

    It comes last, but before the ``Normalize`` that an encoder may end with, so that corrected
    vectors have length 1 where the others had. Modules are shared, not copied.

    Raises:
        ModelError: If the encoder has a correction already.
    """
    refuse_corrected(model, "the encoder")
    modules = OrderedDict(model.named_children())
    last = next(reversed(modules))
    modules[_NAME] = correction
    if isinstance(modules[last], Normalize):
        modules.move_to_end(last)
    corrected = SentenceTransformer(
        modules=modules,
        device=str(model.device),
        prompts=dict(model.prompts),
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=model.similarity_fn_name,
        truncate_dim=model.truncate_dim,
    )
    corrected.module_kwargs = model.module_kwargs
    return corrected


def find_correction(model: SentenceTransformer) -> str | None:
    """Return what kind of correction an encoder has: ``mean``, ``lir``, ``shift`` ...

    Another tool may have given the modules other names, so a dense layer is known by its matrix.
    Square, without bias and activation, it is a correction if it only removes directions (an
    orthogonal projection, but not the identity) or only makes some shorter than others
    (symmetric and positive definite, but no multiple of the identity). A layer that was trained
    is neither: nothing keeps its matrix symmetric.
    """
    for name, module in model.named_children():
        if isinstance(module, LanguageCorrection):
            return module.method
        if not isinstance(module, Dense):
            continue
        weight = _linear_map(module)
        if weight is not None and _is_projection(weight):
            return "lsar"
        if name == _NAME or (weight is not None and _is_shortening(weight)):
            return "wccn"
    return None


def refuse_corrected(model: SentenceTransformer, what: str) -> None:
    """Refuse an encoder that has a correction, which fits the vectors it was learned from.

    Args:
        model: The encoder.
        what: Stands for it in the message, such as ``"model 'runs/a'"``.

    Raises:
        ModelError: If it has one.
    """
    if (method := find_correction(model)) is not None:
        raise ModelError(
            f"{what} has a correction ({method}), which fits only the vectors that it was "
            "learned from; train or correct the encoder that it was made from, named in the "
            "config.yaml beside its model folder"
        )


def open_encoder(name: str, **options: Any) -> SentenceTransformer:  # noqa: ANN401 - passed on
    """Load an encoder that may hold a ``LanguageCorrection``.

    The library imports no classes but its own unless all code of a model is trusted
    (``trust_remote_code``). Here this one class is, because it is the installed one, and no code
    that comes with the model.

    Args:
        name: Folder or hub name.
        options: Of ``SentenceTransformer``.

    Raises:
        ModelError: If the installed library has no loader that takes classes.
    """
    # The library's own training code reloads models with it; it is not documented.
    load = getattr(SentenceTransformer, "_load_with_module_classes", None)
    if load is None:
        raise ModelError(
            f"sentence-transformers {sentence_transformers.__version__} lacks "
            "SentenceTransformer._load_with_module_classes, with which isoglot loads encoders; "
            f"pip install 'sentence-transformers=={_TESTED}'"
        )
    model: SentenceTransformer = load(name, _OWN_MODULES, **options)
    return model


def came_as_bytes(module: nn.Module) -> bool:
    """Say whether a static encoder's vectors are whole numbers up to 127 times a scale each.

    ``isoglot.models.compression.store_as_int8`` then loses nothing.
    """
    if not isinstance(module, StaticEmbedding):
        return False
    vectors = module.embedding.weight.detach().float()
    scales = vectors.abs().amax(dim=1, keepdim=True) / 127
    numbers = vectors / scales.clamp(min=torch.finfo(torch.float32).tiny)
    return bool((numbers - numbers.round()).abs().max() < 1e-3)


def _linear_map(layer: Dense) -> torch.Tensor | None:
    """Return the matrix of a layer that maps vectors to vectors of their length, and no more."""
    if layer.bias or layer.use_residual or not isinstance(layer.activation_function, nn.Identity):
        return None
    weight = layer.linear.weight.detach().float().cpu()
    return weight if weight.shape[0] == weight.shape[1] else None


def _is_projection(weight: torch.Tensor) -> bool:
    removed = torch.eye(len(weight)) - weight
    allowed = _ROUNDING * removed.norm()
    return bool(
        removed.trace() > 0.5  # one direction or more
        and (removed - removed.T).norm() <= allowed
        and (removed @ removed - removed).norm() <= allowed
    )


def _is_shortening(weight: torch.Tensor) -> bool:
    uneven = weight - weight.diagonal().mean() * torch.eye(len(weight))
    return bool(
        uneven.norm() > _ROUNDING * weight.norm()
        and (uneven - uneven.T).norm() <= _ROUNDING * uneven.norm()
        and torch.linalg.eigvalsh(weight)[0] > 0
    )
