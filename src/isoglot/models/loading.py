"""Load any encoder: a folder, a cached or downloadable hub model, with the project's options.

Everything becomes a ``SentenceTransformer``. A model is looked for as a folder, then in the local
hub cache, then on the hub after a probe of seconds; a hub that cannot be reached must not cost
minutes of retries.
"""

from __future__ import annotations

import contextlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

from isoglot.config.schema import ModelConfig
from isoglot.errors import ModelError
from isoglot.models.correction.attach import open_encoder

__all__ = ["embedded_encoder", "load_encoder"]

_PROBE_TIMEOUT_S = 5.0
_MARKERS = ("modules.json", "config.json")
_EMBEDDED = "mini"
"""The encoder that comes with the package; write ``./mini`` for a folder of that name."""


def embedded_encoder() -> Path:
    """Return the folder of the embedded encoder, for ``SentenceTransformer(folder)``."""
    return Path(__file__).with_name("mini")


def load_encoder(config: ModelConfig, device: str | None = None) -> SentenceTransformer:
    """Load an encoder and apply the options of its config.

    Args:
        config: Name and options.
        device: Torch device; default: the fastest there is.

    Raises:
        ModelError: If it cannot be found, downloaded or loaded, in one line.
    """
    path, local_only = _locate(config.name, config.revision)
    try:
        if config.pooling is not None and not _is_sentence_transformers(path, config.revision):
            model = _with_pooling(path, config, local_only, device)
        else:
            model = open_encoder(
                path, revision=config.revision, local_files_only=local_only, device=device
            )
    except Exception as error:
        # The libraries below raise whatever the broken file happens to trip.
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"model {config.name!r} cannot be loaded as a sentence-transformers or transformers "
            f"encoder ({type(error).__name__}: {reason[0] if reason else 'no message'})"
        ) from error
    _apply_options(model, config)
    return model


def _with_pooling(
    path: str, config: ModelConfig, local_only: bool, device: str | None
) -> SentenceTransformer:
    """Put pooling on an encoder that has none."""
    transformer = Transformer(
        path,
        model_kwargs={"revision": config.revision, "local_files_only": local_only},
        processor_kwargs={"revision": config.revision, "local_files_only": local_only},
        config_kwargs={"revision": config.revision, "local_files_only": local_only},
    )
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode=config.pooling)
    return SentenceTransformer(
        modules=[transformer, pooling], device=device, local_files_only=local_only
    )


def _apply_options(model: SentenceTransformer, config: ModelConfig) -> None:
    pooling = next((module for module in model if isinstance(module, Pooling)), None)
    current = pooling.pooling_mode if pooling is not None else "no"
    if config.pooling is not None and current != config.pooling:
        raise ModelError(
            f"model {config.name!r} comes with {current} pooling; "
            f"remove model.pooling: {config.pooling}"
        )
    if not model.prompts.get("document") and model.prompts.get("passage"):
        # The library adds an empty "document" prompt, which would hide the one that is stored.
        model.prompts["document"] = model.prompts["passage"]
    if config.query_prompt is not None:
        model.prompts["query"] = config.query_prompt
    if config.passage_prompt is not None:
        model.prompts["document"] = config.passage_prompt
    if config.max_tokens is not None:
        with contextlib.suppress(AttributeError):  # static encoders read texts of any length
            model.max_seq_length = config.max_tokens


def _locate(name: str, revision: str | None) -> tuple[str, bool]:
    """Return what to load and whether it must be loaded without the hub."""
    if name == _EMBEDDED:
        return str(embedded_encoder()), True
    folder = Path(name).expanduser()
    if folder.is_dir():
        # A training run keeps its model in a folder of its own.
        inner = folder / "model"
        return str(inner if (inner / "modules.json").is_file() else folder), True
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(f"model {name!r}: no such folder")
    if _is_cached(name, revision):
        return name, True
    _probe_hub(name)
    return name, False


def _is_sentence_transformers(path: str, revision: str | None) -> bool:
    if Path(path).is_dir():
        return Path(path, "modules.json").is_file()
    from huggingface_hub import file_exists, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(try_to_load_from_cache(path, "modules.json", revision=revision), str):
        return True
    with contextlib.suppress(OSError, HfHubHTTPError, OfflineModeIsEnabled):
        return bool(file_exists(path, "modules.json", revision=revision))
    return False


def _is_cached(name: str, revision: str | None) -> bool:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = [try_to_load_from_cache(name, marker, revision=revision) for marker in _MARKERS]
    except HFValidationError:
        raise ModelError(f"model {name!r} is neither a folder nor a valid hub name") from None
    return any(isinstance(path, str) for path in found)


def _probe_hub(name: str) -> None:
    """Raise unless the hub answers within seconds and knows the model."""
    from huggingface_hub import constants

    advice = f"model {name!r} is not a folder and not in the local cache"
    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"{advice}, and HF_HUB_OFFLINE is set; give the path of a local folder")
    endpoint = os.environ.get("HF_ENDPOINT", constants.ENDPOINT)
    request = urllib.request.Request(f"{endpoint}/api/models/{name}", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PROBE_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise ModelError(f"{advice}, and the hub has no model of this name") from None
        # 401 and 403 may be mended by the user's token, which the real download sends.
    except OSError as error:
        raise ModelError(
            f"{advice}, and the hub {endpoint} cannot be reached ({error}); "
            "give the path of a local folder"
        ) from None
