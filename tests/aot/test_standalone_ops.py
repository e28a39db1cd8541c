"""``docs/standalone.md`` lists what standalone libraries have; ``pytest --update`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from scriptmode.loops.lowering import lowered_kinds, without_torch
from scriptmode.loops.sharing import VIEWS

PATH = Path(__file__).parents[2] / "docs/standalone.md"
HEAD = """# Ops of standalone libraries

Generated from the tables of the compiler. A standalone library (`export_library(..., standalone=True)`) has these ops of
torch, for tensors whose sizes are known when it is made: each becomes part of a loop of our own, views and in-place forms
(`add_`, `x[i] = y`) among them. Not every combination of arguments has a form (dtypes other than float32 and float64 in
layers, masks of attention, pools with windows of several sizes, ...); what has none is refused with its line.
Everything of the language besides tensors is there as well: numbers, strings, lists, dicts, classes, exceptions, loops.

"""


def text() -> str:
    """The page."""
    with without_torch():
        kinds = {*lowered_kinds(), *VIEWS}
    names = sorted({kind.removeprefix("aten::").partition(".")[0] for kind in kinds
                    if kind.startswith("aten::")})  # fmt: skip
    lines, line = [], ""
    for name in names:
        if len(line) + len(name) > 110:
            lines.append(line.rstrip())
            line = ""
        line += f"`{name}` "
    return HEAD + "\n".join([*lines, line.rstrip()]) + "\n"


def test_the_list_is_current(request):
    if request.config.getoption("--update"):
        PATH.write_text(text())
    assert PATH.read_text() == text()


def test_what_is_left_to_torch_is_lowered_only_without_it():
    with without_torch():
        alone = set(lowered_kinds())
    assert "aten::conv2d" in alone - set(lowered_kinds())
