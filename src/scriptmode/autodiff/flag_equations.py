"""Whether a tensor depends on what is differentiated by: where each answer comes from.

``Equations(activity, roots)`` has for each *key*, the tensor at a path in a value, the equation of
its *flag*, and for a list of tensors, under the path ``ELEMENTS``, that of the flags of its
elements::

    %a: Tensor = aten::mul.Tensor(%x, %y)     %a = any of %x, %y
    %b: Tensor = prim::If(%c)                 %b = one of %a, %y
      block0():
        -> (%a)
      block1():
        -> (%y)

``possible(key)`` is the least set of bools that solves all equations, loops included: {True} and
{False} are constants, and which of {True, False} holds is only known at run time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from scriptmode.autodiff.activity import Activity, is_taped
from scriptmode.autodiff.dual import DUAL, TENSORS, TO_TENSORS
from scriptmode.autodiff.mutation import WRITTEN
from scriptmode.autodiff.paths import Key, Path
from scriptmode.autodiff.recorded import RECORDS, STRIPS
from scriptmode.autodiff.rule import dtype_asked, is_linear
from scriptmode.autodiff.structures import is_structural
from scriptmode.ir import types as T
from scriptmode.ir.graph import UNREACHABLE, Node, Value

ELEMENTS: Path = (-1,)
Bools = frozenset[bool]
# lists of which each element depends on that of the operand alone
_BY_ELEMENT = (
    "tuple::as_list", "tuple::from_list", "aten::broadcast_tensors", "aten::meshgrid",
    "aten::meshgrid.indexing", "aten::atleast_1d.Sequence", "aten::atleast_2d.Sequence",
    "aten::atleast_3d.Sequence",
)  # fmt: skip


class How(Enum):
    """What the flag of a key is, in terms of its operands."""

    ANY = "whether any of them holds"
    ONE = "one of them: that of the branch that ran, or of the element"
    CARRIED = "what a loop was given, then what its body yields"
    FLOATING = "whether any holds, and the result is of a dtype that carries a gradient"
    ASKED = "whether any holds, and torch has recorded the result"
    STORED = "what a parameter, a callee, or what is stored with the tensor says"


@dataclass(frozen=True)
class Equation:
    """How a flag comes from those of other keys."""

    how: How
    keys: tuple[Key, ...] = ()


FALSE = Equation(How.ANY)


class Equations:
    """The equations of one graph, and their solution."""

    def __init__(self, activity: Activity, roots: Collection[Key]) -> None:
        self.activity = activity
        self.roots = set(roots)
        self.given: set[Key] = set()  # roots of which only a run knows whether they count
        self._equations: dict[Key, Equation | bool] = {}
        self._possible: dict[Key, Bools] = {}

    def of(self, key: Key) -> Equation | bool:
        """The equation of a key, or the flag itself."""
        found = self._equations.get(key)
        if found is None:
            value, path = key
            found = self._of_elements(value) if path == ELEMENTS else self._of_tensor(value, path)
            self._equations[key] = found
        return found

    def possible(self, key: Key) -> Bools:
        """What the flag may be in some run."""
        if key not in self._possible:
            self._solve(key)
        return self._possible[key]

    # ---- the equations

    def _of_tensor(self, value: Value, path: Path) -> Equation | bool:
        if (value, path) in self.given:
            return Equation(How.STORED)
        if (value, path) in self.roots:
            is_list = isinstance(value.type, T.ListType)
            return Equation(How.ANY, ((value, ELEMENTS),)) if is_list else True
        if not self.activity.is_active(value, path):
            return False
        node = value.node
        if node is None:
            owner = value.block.owner
            assert owner is not None, "an active parameter is a root"
            return self._of_carried(owner, value.block.params.index(value) - 1, path)
        callee = node.attributes.get("callee")
        match node.kind:
            case "prim::If":
                index = node.outputs.index(value)
                live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
                return Equation(How.ONE, tuple((b.returns[index], path) for b in live))
            case "prim::Loop":
                return self._of_carried(node, node.outputs.index(value), path)
            case "prim::TupleConstruct":
                return Equation(How.ONE, ((node.inputs[path[0]], path[1:]),))
            case "prim::TupleIndex" if node.inputs[0].type == DUAL:
                return Equation(How.STORED)
            case "prim::TupleIndex":
                return Equation(How.ONE, ((node.inputs[0], (node.attributes["index"], *path)),))
            case "prim::unchecked_cast" | "prim::checked_cast":
                return Equation(How.ONE, ((node.inputs[0], path),))
            case "list::getitem":
                return Equation(How.ONE, ((node.inputs[0], ELEMENTS),))
            case "prim::Call" if callee in STRIPS and node.inputs[0].type != TENSORS:
                assert node.inputs[0].node is not None
                return Equation(How.ASKED, self._operands(node.inputs[0].node))
            case "prim::Call" if callee == WRITTEN:
                return Equation(How.ANY, self._operands(node))
            case "prim::Call" if callee in RECORDS:
                return Equation(How.ONE, ((node.inputs[0], ()),))
            case "prim::Call" if is_taped(node):
                return Equation(How.STORED)
            case "prim::Call" if is_linear(node):
                return Equation(How.ONE, ((node.inputs[0], ()),))
            case "prim::Call" if is_structural(node):
                return Equation(How.ONE, ((node.inputs[0], path),))
            case "prim::Call":  # of a list
                return Equation(How.ANY, ((value, ELEMENTS),))
        is_open = isinstance(dtype_asked(node), Value)
        return Equation(How.FLOATING if is_open else How.ANY, self._operands(node))

    def _of_carried(self, loop: Node, index: int, path: Path) -> Equation:
        """A value that a loop carries, inside and behind it."""
        start, after = loop.inputs[2 + index], loop.blocks[0].returns[1 + index]
        return Equation(How.CARRIED, ((start, path), (after, path)))

    def _of_elements(self, value: Value) -> Equation | bool:
        if (value, ()) in self.roots:
            return Equation(How.STORED)
        if not self.activity.is_active(value):
            return False
        node = value.node
        assert node is not None, "an active list is a root or made by an op"
        callee = node.attributes.get("callee")
        if callee == TO_TENSORS:
            return Equation(How.STORED)
        if callee in STRIPS:
            raw = node.inputs[0]
            assert raw.node is not None
            if raw.node.kind in _BY_ELEMENT:
                return Equation(How.ONE, ((raw, ELEMENTS),))
            return Equation(How.ASKED, self._operands(raw.node))
        if callee in RECORDS or node.kind in _BY_ELEMENT:
            return Equation(How.ONE, ((node.inputs[0], ELEMENTS),))
        if node.kind == "prim::ListConstruct":
            return Equation(How.ONE, tuple((v, ()) for v in node.inputs))
        return Equation(How.ANY, self._operands(node))

    def _operands(self, node: Node) -> tuple[Key, ...]:
        return tuple((v, ()) for v in dict.fromkeys(node.inputs) if self.activity.any_in(v))

    # ---- their solution

    def _solve(self, key: Key) -> None:
        """Find the flags of ``key`` and of all that it depends on: from below, until all agree."""
        new: list[Key] = []
        users: dict[Key, list[Key]] = {}
        stack, seen = [key], {key}
        while stack:
            found = stack.pop()
            new.append(found)
            for operand in self._operands_of(found):
                users.setdefault(operand, []).append(found)
                if operand not in self._possible and operand not in seen:
                    seen.add(operand)
                    stack.append(operand)
        self._possible.update((k, frozenset()) for k in new)
        again = new  # the last found, which the others depend on, come off first
        while again:
            changed = again.pop()
            solution = self._solution(changed)
            if solution != self._possible[changed]:
                self._possible[changed] = solution
                again.extend(users.get(changed, ()))

    def _operands_of(self, key: Key) -> tuple[Key, ...]:
        equation = self.of(key)
        return () if isinstance(equation, bool) else equation.keys

    def _solution(self, key: Key) -> Bools:
        equation = self.of(key)
        if isinstance(equation, bool):
            return frozenset([equation])
        operands = [self._possible[k] for k in equation.keys]
        either = frozenset[bool]().union(*operands)
        match equation.how:
            case How.STORED:
                return frozenset([True, False])
            case How.ONE | How.CARRIED:
                return either
        solution = either & {True}
        if all(False in found for found in operands) or (equation.how is not How.ANY and solution):
            solution |= {False}
        return solution
