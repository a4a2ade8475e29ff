"""Imports run one way, torch stays out of the torch-free parts, and functions stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "isoglot"

# From the bottom to the top: a module may import from its own layer's package and from the lines
# above it, never from the lines below.
LAYERS = [
    {"records", "errors", "__init__"},
    {"languages", "artifacts", "machine", "progress"},
    {"config"},
    {"data"},
    {"batches"},
    {"models"},
    {"training"},
    {"encoding"},
    {"lexical"},
    {"evaluation"},
    {"bias"},
    {"retrieval"},
    {"reporting"},
    {"pipeline"},
    {"integrations"},
    {"experiment"},
    {"serve"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Neighbours in the list that must not know each other all the same.
FORBIDDEN = {("evaluation", "training"), ("evaluation", "models"), ("evaluation", "encoding")}
TORCH_FREE = (
    "data",
    "batches",
    "config",
    "lexical",
    "evaluation",
    "bias",
    "retrieval",
    "reporting",
)

MODULES = sorted(SOURCE.rglob("*.py"))


def part_of(module: str) -> str:
    """Return the layer name of a dotted module name: its first part below the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """Yield every isoglot module a file imports, late imports included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("isoglot"):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("isoglot"))


def test_every_module_has_a_layer():
    assert {part_of(name_of(path)) for path in MODULES} <= LEVEL.keys()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    own = part_of(name_of(path))
    for imported in imports_of(path):
        other = part_of(imported)
        assert LEVEL[other] < LEVEL[own] or other == own, f"{own} imports {other}"
        assert (own, other) not in FORBIDDEN


def test_no_cycle_among_modules():
    graph = {name_of(path): set(imports_of(path)) for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module not in done:
            for imported in graph.get(module, ()):
                visit(imported, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_the_torch_free_parts_load_no_torch():
    modules = [name_of(p) for p in MODULES if part_of(name_of(p)) in TORCH_FREE]
    code = "import sys\n" + "\n".join(f"import {module}" for module in modules)
    code += "\nassert 'torch' not in sys.modules and 'sentence_transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (name, code lines without docstring) of every function.

    The signature of a command is the table of its options and does not count.
    """
    module = name_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
            signature = 0 if part_of(module) == "cli" else node.body[0].lineno - node.lineno
            yield f"{module}:{node.name}", node.end_lineno - first.lineno + 1 + signature


def test_functions_and_files_keep_their_budget():
    lengths = dict(entry for path in MODULES for entry in functions(path))
    assert max(lengths.values()) <= 60, max(lengths, key=lengths.get)
    assert quantiles(lengths.values(), n=10)[-1] <= 30
    for path in MODULES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
