"""What must hold before a loop so that its version without checks does what the loop does."""

from __future__ import annotations

from scriptmode.analysis.loop_indices import IndexForm
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Node, Value


class Guard:
    """Builds one condition of all that is required, and what runs first where it holds."""

    def __init__(self, build: Builder, first: Builder) -> None:
        self.build = build
        self.first = first
        self.condition: Value | None = None
        self._constants: dict[int, Value] = {}
        self._known: set[object] = set()

    def constant(self, value: int) -> Value:
        """An int before the loop."""
        if value not in self._constants:
            self._constants[value] = self.build.constant(value)
        return self._constants[value]

    def require(self, condition: Value) -> None:
        """A bool that is computed before the loop must be true."""
        if condition in self._known:
            return
        self._known.add(condition)
        before = self.condition
        both = condition if before is None else self.build.op("bool::and", before, condition)
        self.condition = both

    def require_other(self, a: Value, b: Value) -> None:
        """Two lists must be different objects."""
        if (a, b) not in self._known:
            self._known.add((a, b))
            same = self.build.node("prim::is", [a, b], [T.BOOL]).output
            self.require(self.build.op("bool::not", same))

    def require_inside(self, source: Value, form: IndexForm, loop: Node) -> None:
        """All indices of a form must be those of elements, counted from the start."""
        if (source, form) in self._known:
            return
        self._known.add((source, form))
        low, end, constant = self.constant(0), loop.inputs[0], form.constant
        if form.is_fixed:
            end = self.constant(1)
        elif form.item is not None:
            low, end, _, _ = form.item.inputs
            if form.step < 0:
                low, end, constant = end, low, constant + 1
        plus, minus = form.outer, self.constant(0)
        if form.sign > 0 and constant:
            minus = self.constant(-constant)
        elif form.sign < 0:
            plus, minus = None, plus or minus
        plus = plus if plus is not None else self.constant(constant)
        self.require(self.build.op("list::covers", source, low, end, plus, minus))

    def _first_index(self, form: IndexForm) -> Value:
        base = form.item.inputs[0] if form.item is not None else None
        found = base if base is not None else self.constant(0)
        if form.outer is not None:
            kind = "int::add" if form.sign > 0 else "int::sub"
            found = self.first.op(kind, found, form.outer)
        if form.constant:
            found = self.first.op("int::add", found, self.constant(form.constant))
        return found

    def first_element(self, read: Node, form: IndexForm) -> Value:
        """The element that ``read`` reads in the first iteration."""
        return self.first.op(read.kind, read.inputs[0], self._first_index(form))
