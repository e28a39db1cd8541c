"""What compiling a program has made goes when the compiled function does."""

from __future__ import annotations

import gc
from typing import Dict, List

from llvmlite import ir

import scriptmode


def modules() -> int:
    gc.collect()
    return sum(isinstance(o, ir.Module) for o in gc.get_objects())


def test_modules_of_llvm_are_not_kept():
    def count(words: List[str]) -> Dict[str, int]:
        found: Dict[str, int] = {}
        for word in words:
            found[word] = found.get(word, 0) + 1
        return found

    assert scriptmode.script(count)(["a", "b", "a"]) == {"a": 2, "b": 1}
    before = modules()
    for _ in range(3):
        assert scriptmode.script(count)(["a", "b", "a"]) == {"a": 2, "b": 1}
    assert modules() == before
