"""Other ways to compute an exported graph: OpenVINO, and a copy of it with 8-bit weights."""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from isoglot.errors import ArtifactError, ConfigError, ModelError
from isoglot.machine import cores
from isoglot.models.onnx import GraphRun, import_onnxruntime

__all__ = ["open_openvino", "write_int8"]

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def open_openvino(
    path: Path, *, precision: Literal["float32", "bfloat16"], threads: int | None = None
) -> GraphRun:
    """Open a graph in OpenVINO, on the CPU.

    Args:
        path: File of the graph, its weights in float32.
        precision: In which matrices are multiplied; sums are kept in float32.
        threads: Threads of one call; default: as many as there are cores.

    Raises:
        ConfigError: If OpenVINO is not installed.
        ModelError: If it cannot read the graph.
    """
    try:
        openvino = importlib.import_module("openvino")
    except ImportError as error:
        raise ConfigError(
            "backend openvino needs OpenVINO, which is not installed; "
            "pip install 'isoglot[openvino]'"
        ) from error
    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # all threads work on one batch
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        # By itself OpenVINO counts two threads as one.
        "INFERENCE_NUM_THREADS": threads or cores(),
    }
    try:
        request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"{path}: cannot be loaded by OpenVINO ({reason})") from error

    def run(inputs: Mapping[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        # The request's own memory, which the next call writes to.
        vectors: npt.NDArray[np.float32] = request.infer(dict(inputs), share_inputs=True)[0]
        return vectors.copy()

    return run


def write_int8(graph: Path, target: Path) -> None:
    """Write a copy of a graph whose matrices are 8-bit integers, one scale per column.

    What is multiplied with them is made 8-bit at run time (dynamic quantisation of onnxruntime).

    Args:
        graph: File of the graph in float32.
        target: The file to write, put in place when it is whole.

    Raises:
        ArtifactError: If it cannot be written.
        ConfigError: If onnxruntime or onnx is not installed.
    """
    import_onnxruntime()
    try:
        quantization = importlib.import_module("onnxruntime.quantization")
    except ImportError as error:
        raise ConfigError(
            "precision int8 needs onnx, which is not installed; pip install 'isoglot[onnx]'"
        ) from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".int8.") as folder:
            temporary = Path(folder) / target.name
            disabled = logging.root.manager.disable
            logging.disable(logging.WARNING)  # advice to prepare the graph, which changes nothing
            try:
                quantization.quantize_dynamic(
                    graph,
                    temporary,
                    weight_type=quantization.QuantType.QInt8,
                    per_channel=True,
                    op_types_to_quantize=["MatMul", "Gemm"],
                )
            finally:
                logging.disable(disabled)
            temporary.replace(target)
    except OSError as error:
        raise ArtifactError(f"{target}: cannot be written ({error.strerror or error})") from error
