"""Elements that an iteration reads where the one before has read or written: carried over.

In a loop whose accesses are inside (``version_loops``)::

    prim::Loop(%n, %c)
      block0(%i: int):
        %j: int = range::item(%one, %m, %one, %i)
        %k: int = int::sub(%j, %one)
        %x: int = list::getitem_inside(%a, %k)
        %y: int = int::add(%x, %one)
        list::setitem_inside(%a, %j, %y)
        -> (%c)

``%x`` is what the iteration before has stored: it becomes a carried value that starts as the
element before the first one, and the loop reads nothing.  Lists that are written under other names
must be other lists, which the guard of the loop asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scriptmode.analysis.borrowing import may_be_same, with_nested, written_by
from scriptmode.analysis.loop_indices import IndexForm, is_outside
from scriptmode.analysis.terminators import ends_of_loop
from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, CONTINUE, Node, Value
from scriptmode.passes.loop_guard import Guard

READ = "list::getitem_inside"
STORES = ("list::setitem", "list::setitem_inside")
ADDING = ("list::append", "list::append_at", "list::reserve")
_PLAIN = (T.INT, T.FLOAT, T.BOOL)


def carry_elements(loop: Node, forms: Mapping[Node, IndexForm], guard: Guard) -> None:
    """Change ``loop``; the first elements are read under its guard."""
    if any(end.kind == CONTINUE for end in ends_of_loop(loop)):
        return
    nodes = list(with_nested(loop))
    moving = [v.type for n in nodes if n.kind not in (*STORES, *ADDING) for v in written_by(n)]
    stores = [n for n in nodes if n.kind in STORES]
    sources = dict.fromkeys(n.inputs[0] for n in forms if n.kind == READ)
    for source in sources:
        if source.type.contained[0] in _PLAIN and not any(
            may_be_same(t, source.type) for t in moving
        ):
            _Carrying(loop, source, forms, guard).carry(stores)


class _Carrying:
    """One list of a loop."""

    def __init__(
        self, loop: Node, source: Value, forms: Mapping[Node, IndexForm], guard: Guard
    ) -> None:
        self.loop, self.body = loop, loop.blocks[0]
        self.source = source
        self.forms = forms
        self.guard = guard
        self.reads = [
            n for n in forms if n.kind == READ and n.block is not None and n.inputs[0] is source
        ]
        self.params: dict[IndexForm, Value] = {}

    def carry(self, stores: list[Node]) -> None:
        """Replace reads by carried values where it can be done."""
        own: list[Node] = []
        others: list[Value] = []
        for store in stores:
            target = store.inputs[0]
            if target is self.source:
                own.append(store)
            elif may_be_same(target.type, self.source.type):
                others.append(target)
        if any(v.type != self.source.type or not is_outside(v, self.loop) for v in others):
            return
        if any(s not in self.forms or self.forms[s].is_fixed for s in own):
            return
        written = {self.forms[s] for s in own}
        if len(written) > 1:
            return
        latest = {self.forms[n]: n.output for n in self.reads if n.block is self.body}
        for form in written:  # what is read there may be old
            latest.pop(form, None)
            if len(own) == 1 and own[0].block is self.body:
                latest[form] = own[0].inputs[2]
        for read in self.reads:
            form = self.forms[read]
            following = form.moved(form.step)
            if form.is_fixed or form in written or following not in latest:
                continue
            if any(replace(w, constant=form.constant) != form for w in written):
                continue  # how far apart they are is not known
            if not self.params:
                for other in dict.fromkeys(others):
                    self.guard.require_other(self.source, other)
            assert following is not None
            param = self._param(form, read, latest[following])
            for known, value in latest.items():
                if value is read.output:
                    latest[known] = param
            read.replace_with(param)

    def _param(self, form: IndexForm, read: Node, following: Value) -> Value:
        """The carried value of a form, made once."""
        if form in self.params:
            return self.params[form]
        self.loop.add_input(self.guard.first_element(read, form))
        self.loop.add_output(read.output.type)
        param = self.body.add_param(read.output.type)
        for end in ends_of_loop(self.loop):
            end.add_input(param if end.kind == BREAK else following)
        self.params[form] = param
        return param
