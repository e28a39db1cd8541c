"""Functions of a program whose code was generated before, and counters in the code.

A call of such a function goes through a *cell* of the module, which is filled when the module is
loaded and may be pointed to other code at any time::

    define internal i32 @sm.f(ctx, arguments..., result) {
      missed -= MISS
      tail call *cell(ctx, arguments..., result)
    }

Specialised code calls the function that it is a version of in this way, when its guards fail; the
word that ``missed`` points to tells the Python boundary that it may be time to look again.
``torch::count`` adds to a word of the module, and so does a region that runs torch's ops instead of
its kernel.  All count without a lock: what two threads count at
once may be counted once.
"""

from __future__ import annotations

from collections.abc import Iterable

from llvmlite import ir

from scriptmode.abi.convention import I64, PTR
from scriptmode.codegen import tensors
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import lower
from scriptmode.codegen.unit import Unit
from scriptmode.ir.graph import Graph, Node, Program, callees

MISS = 1 << 32  # what a call whose guards fail takes from the word; other calls take 1 at most


def called_outside(program: Program, outside: Iterable[str]) -> list[str]:
    """The functions of ``outside`` that the program's own functions call."""
    elsewhere = frozenset(outside)
    own = [graph for name, graph in program.functions.items() if name not in elsewhere]
    return list(dict.fromkeys(c for graph in own for c in callees(graph) if c in elsewhere))


def emit_outside(unit: Unit, graph: Graph) -> None:
    """The function that calls the code of ``graph`` wherever it is."""
    function = unit.functions[graph.name]
    function.linkage = "internal"
    b = ir.IRBuilder(function.append_basic_block("entry"))
    cell = _word(unit, f"sm.outside.{graph.name}")
    unit.outside[graph.name] = cell.name
    if graph.name == unit.counted:
        missed = _word(unit, "sm.missed")
        unit.counters["missed"] = missed.name
        _add_to(b, b.load(tensors.address(missed), typ=PTR), -MISS)
    target = b.load_atomic(tensors.address(cell), "monotonic", 8, typ=I64)
    callee = b.inttoptr(target, function.ftype.as_pointer())
    b.ret(b.call(callee, function.args, tail=True))


def _word(unit: Unit, name: str) -> ir.GlobalVariable:
    """A word of the module that has an address of its own."""
    found = ir.GlobalVariable(unit.module, I64, name)
    found.initializer = ir.Constant(I64, 0)
    return found


def _add_to(b: ir.IRBuilder, place: ir.Value, change: int) -> None:
    """Add to a word; other threads see the old or the new value."""
    old = b.load_atomic(place, "monotonic", 8, typ=I64)
    b.store(b.add(old, ir.Constant(I64, change)), place, align=8)


@lower("torch::count", raw=True)
def count(f: FunctionEmitter, node: Node) -> None:
    """Add one to a counter."""
    count_one(f, node.inputs[0].constant)


def count_one(f: FunctionEmitter, what: str) -> None:
    """Add one to the counter called ``what``."""
    name = f.unit.counters.get(what)
    word = f.unit.module.globals[name] if name else _word(f.unit, f"sm.count.{what}")
    f.unit.counters[what] = word.name
    _add_to(f.b, tensors.address(word), 1)
