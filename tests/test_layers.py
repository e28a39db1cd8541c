"""Each package imports only packages before it, at module level, and every module says what it does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "scriptmode"
ORDER = [
    "support", "ir", "ops", "interp", "analysis", "passes", "frontend", "autodiff", "loops", "abi",
    "codegen", "runtime", "archive", "torchscript", "aot", "jit", "transforms", "tools", "cli",
]  # fmt: skip
FILES = sorted(ROOT.rglob("*.py"))


def imported_packages(node):
    """Names right below ``scriptmode`` that an import statement names."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module == "scriptmode":
        names = [f"scriptmode.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative import"
        names = [node.module]
    else:
        return []
    return [n.split(".")[1] for n in names if n.startswith("scriptmode.")]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "no module docstring"
    package = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for node in ast.walk(tree):
        if package in ORDER:
            for name in imported_packages(node):
                if name in ORDER:
                    assert ORDER.index(name) <= ORDER.index(package), f"line {node.lineno}: {name}"
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inner = [n for n in ast.walk(node) if imported_packages(n)]
            assert not inner, f"line {inner[0].lineno}: import inside of a function"


def test_the_list_of_packages_is_complete():
    found = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert found <= set(ORDER)
