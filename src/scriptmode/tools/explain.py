"""``explain``: every stage of a compiled function, as text.

::

    == source ==            the user's lines
    == IR ==                what the front end made of them
    == after fold ==        a diff for each pass that changed something
    == native IR ==         with retain and release
    == LLVM ==              the module as it was compiled
    == gradients ==         what is saved for the reverse program, and the program
    == versions ==          special code: guards, how often it ran and did not
    == instances and bail-outs ==
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.ir import types as T
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.gradient_versions import Pairs
from scriptmode.jit.pipeline import StageReport, optimize
from scriptmode.support import config


def explain(compiled: Any, *, llvm: bool = False, assembly: bool = False) -> str:
    """The stages of a ``ScriptFunction`` or of a ``ScriptModule``'s ``forward``.

    Parameters
    ----------
    compiled
        What ``script`` or ``trace`` returned.
    llvm, assembly
        Also show the LLVM text and the machine code; both are long.
    """
    return "\n".join(_sections(compiled._dispatcher, llvm, assembly))


def _sections(dispatcher: Dispatcher, llvm: bool, assembly: bool) -> Iterator[str]:
    primary = dispatcher.primary
    span = primary.graph.span
    if span.line:
        yield f"== source: {span.file} =="
        yield from span.text_lines(span.line, max(span.line, span.end_line))
    yield "== IR =="
    yield str(primary.graph)
    report: list[StageReport] = []
    optimize(primary.program, report)
    for stage in report:
        if stage.changed:
            yield f"== after {stage.name}: {stage.function} =="
            yield from _diff(stage)
    yield "== native IR =="
    for graph in primary.compiled.graphs.values():
        yield str(graph)
    if llvm:
        yield "== LLVM =="
        yield primary.compiled.llvm_text
    if assembly:
        yield "== assembly =="
        yield primary.compiled.assembly
    yield from _gradients(dispatcher)
    yield from _versions(dispatcher)
    yield "== instances and bail-outs =="
    for variant in dispatcher.variants:
        yield f"instance ({', '.join(map(str, variant.types))}) -> {variant.graph.return_type}"
    for what, count in dispatcher.recompiled.items():
        yield f"compiled again: the captured {what} changed ({count} times)"
    if not dispatcher.bailouts:
        yield "no call left native code"
    for reason, count in dispatcher.bailouts.items():
        yield f"{count} calls interpreted: {reason}"


def _versions(dispatcher: Dispatcher) -> Iterator[str]:
    """What calls were specialised for, the version that is tried first at the top."""
    managers = [variant.versions for variant in dispatcher.variants]
    if not any(manager.found or manager.text for manager in managers):
        return
    yield "== versions =="
    for manager in managers:
        for version in manager.found:
            tried = f", calls take {version.ratio:.2f} of the time" if version.ratio else ""
            yield (
                f"version: {version.hits} hits, {version.misses} misses, "
                f"compiled in {1e3 * version.seconds:.0f} ms{tried}"
            )
            yield from (f"  {guard}" for guard in version.guards)
            for name, times in version.left.items():
                yield f"  {times} times torch's ops ran instead of the kernel of {name}"
            yield str(version.graph)
        yield from manager.text


def _gradients(dispatcher: Dispatcher) -> Iterator[str]:
    """The reverse program, and what is saved for it and why."""
    graph = dispatcher.primary.graph
    if graph.return_type is None or T.TENSOR not in T.walk(graph.return_type):
        return
    yield "== gradients =="
    if config.get("autodiff") == "auto":
        yield f"calls that run the programs below: {dispatcher.primary.gradients.choice.text}"
    if dispatcher.primary.pushforwards.reason:
        yield f"jvp pulls back twice: {dispatcher.primary.pushforwards.reason}"
    try:
        found = dispatcher.primary.gradients.differentiated()
    except NotDifferentiable as error:
        yield f"calls that need gradients record torch's tape: {error}"
        return
    pullbacks = dispatcher.primary.gradients.pullbacks
    if pullbacks.reason:
        yield f"second derivatives record torch's tape: {pullbacks.reason}"
    elif pullbacks.all():
        yield "second derivatives run programs of their own"
    for where, saved in found.saved:
        span = saved.value.node.span if saved.value.node is not None else graph.span
        yield f"saved in {where}: {saved.value.type} of line {span.line}, {saved.reason}"
    yield str(found.reverse)
    for pairs in dispatcher.primary.gradients.pairs:
        yield from _pairs(pairs)


def _pairs(pairs: Pairs) -> Iterator[str]:
    """Special forms of the forward and the reverse program."""
    for pair in pairs.found:
        yield (
            f"special forward and reverse program: {pair.hits} hits, {pair.misses} misses, "
            f"compiled in {1e3 * pair.seconds:.0f} ms"
            + (f", calls take {pair.ratio:.2f} of the time" if pair.ratio else "")
        )
        yield from (f"  {guard}" for guard in pair.guards)
        yield from map(str, pair.graphs)
    for pair in pairs.dropped:
        yield f"dropped, calls took {pair.ratio:.2f} times as long: {'; '.join(pair.guards)}"
    if pairs.redone:
        yield f"{pairs.redone} backwards ran the program again, on torch's tape: others were seen"
    if pairs.reason:
        yield f"no further special forward and reverse program: {pairs.reason}"


def _diff(stage: StageReport) -> Iterator[str]:
    before, after = stage.before.splitlines(), stage.after.splitlines()
    for line in difflib.unified_diff(before, after, n=1, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line
