"""Writing what the ecosystem's libraries write, of which a part may be left when they fail."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from isoglot.errors import ArtifactError

__all__ = ["complete_or_gone"]


@contextlib.contextmanager
def complete_or_gone(folder: Path) -> Iterator[None]:
    """Remove a folder if it cannot be written to its end.

    Raises:
        ArtifactError: If it cannot: the disk is full, or the folder above may not be written.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError, ArtifactError) as error:
        # PyTorch's and safetensors' writers have errors of their own for a full disk.
        if not _is_of_disk(error):
            raise
        shutil.rmtree(folder, ignore_errors=True)
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ArtifactError(
            f"{folder}: cannot be written ({reason}); make room or mend its permissions and repeat "
            "the command: it goes on from the last checkpoint that is complete"
        ) from error


def _is_of_disk(error: Exception) -> bool:
    if not isinstance(error, RuntimeError):
        return True
    return any(word in str(error) for word in ("PytorchStreamWriter", "inline_container", "write"))
