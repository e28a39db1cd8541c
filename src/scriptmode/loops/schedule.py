"""The order of the loops: which stages share which loops, and where temporary values live.

A *group* runs several stages inside common outer loops, so that what one stage writes is read while
it is hot::

    for i:                          group over i
      for j: m = max(m, x[i, j])      bundle
      for j: e[j] = exp(x[i, j] - m); s += e[j]      bundle: a map and a sum over the same j
      for j: out[i, j] = e[j] / s     bundle

Two stages share the outer loops when the later one reads only what the earlier one has written for
the same values of these loops' variables; a buffer that is only used inside keeps one slice.
A *bundle* is one loop nest for stages over equal extents that read each other's results at the same
place only: these stay in registers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scriptmode.loops.expr import (
    Buffer,
    Expr,
    Load,
    Position,
    forget,
    gathered,
    load,
    loads,
    rewritten,
)
from scriptmode.loops.index import Affine, Quotient, Remainder, Term, Var, mentions
from scriptmode.loops.kernel import Kernel, Stage
from scriptmode.loops.overlay import overlay_temporaries

Extents = tuple[int, ...]
STACK = 1 << 15  # bytes of temporaries that live in the frame; more are allocated
LINE = 64  # bytes


def bytes_of(buffer: Buffer) -> int:
    """Memory of a temporary buffer, in whole cache lines."""
    return -(-max(buffer.size, 1) * buffer.dtype.itemsize // LINE) * LINE


@dataclass(eq=False)
class Bundle:
    """One loop nest: over ``vars``, inside of them over ``reduced``."""

    vars: tuple[Var, ...]
    reduced: tuple[Var, ...]
    stages: list[Stage] = field(default_factory=list)


@dataclass(eq=False)
class Group:
    """Bundles one after the other, inside loops over ``vars``."""

    vars: tuple[Var, ...]
    bundles: list[Bundle] = field(default_factory=list)


@dataclass(eq=False)
class Schedule:
    """The loop nests of a kernel and its temporary memory.

    ``in_place`` gives, by its number, the results that lie where the argument of a number does.
    """

    kernel: Kernel
    groups: list[Group]
    temporaries: list[Buffer]
    in_place: dict[int, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Of all temporary buffers, each on cache lines of its own."""
        return sum(map(bytes_of, self.temporaries))

    @property
    def may_refuse(self) -> bool:
        """Whether its results may not count: a bound or check fails, or memory is missing."""
        return bool(self.kernel.bounds or self.kernel.checks) or self.bytes > STACK


def schedule(kernel: Kernel) -> Schedule:
    """Decide the loops of a kernel; its stages are replaced by ones over the shared variables."""
    try:
        drafts: list[_Draft] = []
        for stage in kernel.stages:
            _follow_memory(stage)
            if not drafts or not drafts[-1].join(stage):
                drafts.append(_Draft(stage))
        groups = [draft.finish() for draft in drafts]
        _forward(groups)
        _drop_dead(groups, {check.memory for check in kernel.checks})
        _contract(groups)
        for group in groups:
            for bundle in group.bundles:
                _collapse(bundle)
        overlay_temporaries([s for g in groups for b in g.bundles for s in b.stages])
        used = {s.out.memory for g in groups for b in g.bundles for s in b.stages}
        return Schedule(kernel, groups, sorted(
            (b for b in used if b.role == "temporary"), key=lambda b: b.name
        ))  # fmt: skip
    finally:
        forget()


def _follow_memory(stage: Stage) -> None:
    """Let the loops of a map go through its result as that lies in memory."""
    if stage.fold is not None or stage.whole:
        return
    long = [v for v in stage.vars if v.extent > 1]
    ordered = sorted(long, key=lambda v: -stage.offset.coefficient(v))
    if ordered != long:
        stage.vars = (*(v for v in stage.vars if v.extent == 1), *ordered)


def _extents(variables: Iterable[Var]) -> Extents:
    return tuple(v.extent for v in variables)


class _Draft:
    """A group while stages are added; ``depth`` outer variables are shared."""

    def __init__(self, stage: Stage) -> None:
        self.stages = [stage]
        self.depth = len(stage.vars) - stage.whole

    @property
    def is_flat(self) -> bool:
        """Whether all stages are maps over the same extents, so that one bundle holds them."""
        first = _extents(self.stages[0].vars)
        return all(
            s.fold is None and _extents(s.vars) == first for s in self.stages
        ) and self.depth == len(first)

    def join(self, stage: Stage) -> bool:
        """Add a stage if it can share loops."""
        if not self._keeps_order(stage):
            return False
        reads = [r for r in loads(stage.value) if self._writers(r)]
        related = bool(reads) or self._reads_alike(stage)
        if not related:
            return False
        most = min(self.depth, len(stage.vars) - stage.whole)
        first = _extents(self.stages[0].vars)
        for depth in range(most, 0, -1):
            same = _extents(stage.vars[:depth]) == first[:depth]
            if same and math.prod(first[:depth]) > 1 and self._contained(stage, reads, depth):
                self.stages.append(stage)
                self.depth = depth
                return True
        is_fold = stage.fold is not None and not stage.vars
        if is_fold and self.is_flat and _extents(stage.reduced) == first:
            pairs: dict[Term, Var] = dict(zip(stage.reduced, self.stages[0].vars, strict=True))
            if all(self._same_place(r, pairs) for r in reads):
                self.stages.append(stage)
                self.depth = 0
                return True
        return False

    def _writers(self, read: Load) -> list[Stage]:
        """The stages that write the memory which is read."""
        return [s for s in self.stages if s.out.memory is read.buffer.memory]

    def _keeps_order(self, stage: Stage) -> bool:
        """Whether a write in place meets the same elements as what comes before, one by one."""
        if stage.out.role != "written":
            return True
        memory = stage.out.memory
        for other in self.stages:
            met = [r.offset for r in loads(other.value) if r.buffer.memory is memory]
            if other.out.memory is memory:
                met.append(other.offset)
            if not met:
                continue
            if other.fold is not None or _extents(other.vars) != _extents(stage.vars):
                return False
            renamed: dict[Term, Affine] = dict(
                zip(other.vars, map(Affine.of, stage.vars), strict=True)
            )
            if any(offset.substitute(renamed) != stage.offset for offset in met):
                return False
        return True

    def _reads_alike(self, stage: Stage) -> bool:
        """Whether a stage over the same extents reads what the group reads."""
        if _extents(stage.vars) != _extents(self.stages[0].vars):
            return False
        ours = {r.buffer for s in self.stages for r in loads(s.value)}
        return any(r.buffer in ours for r in loads(stage.value)) or stage.out in {
            s.out for s in self.stages
        }

    def _same_place(self, read: Load, pairs: Mapping[Term, Var]) -> bool:
        mapping: dict[Term, Affine] = {a: Affine.of(b) for a, b in pairs.items()}
        offset = read.offset.substitute(mapping)
        own = self.stages[0].vars
        for writer in self._writers(read):
            renamed: dict[Term, Affine] = dict(zip(writer.vars, map(Affine.of, own), strict=True))
            if writer.offset.substitute(renamed) != offset:
                return False
        return True

    def _contained(self, stage: Stage, reads: list[Load], depth: int) -> bool:
        """Whether what is read lies in the slices that the same outer iteration writes."""
        for read in reads:
            for writer in self._writers(read):
                steps = [writer.offset.coefficient(v) for v in writer.vars[:depth]]
                asked = [read.offset.coefficient(v) for v in stage.vars[:depth]]
                pairs = zip(steps, asked, writer.vars[:depth], strict=True)
                if any(a != b for a, b, v in pairs if v.extent > 1):
                    return False
                used = [s for s, v in zip(steps, writer.vars, strict=False) if v.extent > 1]
                room = min(used, default=1 << 62)
                for offset, variables in (
                    (writer.offset, writer.vars), (read.offset, stage.vars),
                ):  # fmt: skip
                    rest = offset
                    for v in variables[:depth]:
                        rest = rest.without(v)
                        if mentions(rest, v):
                            return False
                    low, high = rest.bounds
                    if low < 0 or high >= room:
                        return False
                nested = sorted(
                    (
                        (s, v.extent)
                        for s, v in zip(steps, writer.vars, strict=False)
                        if v.extent > 1
                    ),
                )
                reach = room
                for step, extent in nested:
                    if step < reach:
                        return False
                    reach = step * extent
        return True

    def finish(self) -> Group:
        """The group, with its own variables in place of the stages'."""
        depth = 0 if self.is_flat else self.depth
        shared = tuple(Var(v.name, v.extent) for v in self.stages[0].vars[:depth])
        group = Group(shared)
        for stage in self.stages:
            mapping: dict[Term, Affine] = dict(
                zip(stage.vars[:depth], map(Affine.of, shared), strict=True)
            )
            inner = stage.vars[depth:]
            bundle = self._bundle_for(group, stage, inner, mapping)
            if bundle is None:
                bundle = Bundle(
                    tuple(Var(v.name, v.extent) for v in inner),
                    tuple(Var(v.name, v.extent) for v in stage.reduced),
                )
                group.bundles.append(bundle)
                mapping.update(zip(inner, map(Affine.of, bundle.vars), strict=True))
                mapping.update(zip(stage.reduced, map(Affine.of, bundle.reduced), strict=True))
            bundle.stages.append(_renamed(stage, mapping, bundle))
        return group

    def _bundle_for(
        self, group: Group, stage: Stage, inner: tuple[Var, ...], mapping: dict[Term, Affine]
    ) -> Bundle | None:
        """The last bundle, if ``stage`` fits into its loops; the mapping is completed for it."""
        if not group.bundles:
            return None
        bundle = group.bundles[-1]
        ours = (_extents(inner), _extents(stage.reduced))
        theirs = (_extents(bundle.vars), _extents(bundle.reduced))
        target: tuple[Var, ...]
        if ours == theirs:
            source, target = (*inner, *stage.reduced), (*bundle.vars, *bundle.reduced)
        elif not ours[1] and not theirs[0] and ours[0] == theirs[1] and ours[0]:
            source, target = inner, bundle.reduced  # a map beside a fold
        elif not ours[0] and not theirs[1] and ours[1] == theirs[0] and ours[1]:
            source, target = stage.reduced, bundle.vars  # a fold beside maps
        else:
            return None
        complete = dict(mapping)
        complete.update(zip(source, map(Affine.of, target), strict=True))
        for read in loads(stage.value):
            for other in bundle.stages:
                if other.out.memory is not read.buffer.memory:
                    continue
                if other.fold is not None or read.offset.substitute(complete) != other.offset:
                    return None
        if stage.out.role == "written":
            offset = stage.offset.substitute(complete)
            for other in bundle.stages:
                for read in loads(other.value):
                    if read.buffer.memory is stage.out.memory and read.offset != offset:
                        return None
        mapping.update(complete)
        return bundle


def _renamed(stage: Stage, mapping: Mapping[Term, Affine], bundle: Bundle) -> Stage:
    value = stage.value.substitute(mapping)
    return Stage(
        bundle.vars, bundle.reduced, stage.fold, value, stage.out, stage.offset.substitute(mapping)
    )


def _forward(groups: list[Group]) -> None:
    """Take what the same bundle has just stored from where it was computed."""
    for group in groups:
        for bundle in group.bundles:
            _forward_within(bundle)


def _forward_within(bundle: Bundle) -> None:
    stored: dict[tuple[int, Affine], Expr] = {}

    def taken(read: Load) -> Expr:
        return stored.get((id(read.buffer.memory), read.offset), read)

    for stage in bundle.stages:
        stage.value = rewritten(stage.value, taken, {})
        if stage.fold is None:
            stored[id(stage.out.memory), stage.offset] = stage.value


def _drop_dead(groups: list[Group], kept: set[Buffer]) -> None:
    """Drop stages whose temporary buffer nobody reads, but for those ``kept``."""
    changed = True
    while changed:
        read = kept | {
            r.buffer.memory
            for g in groups for b in g.bundles for s in b.stages
            for r in loads(s.value)
        }  # fmt: skip
        changed = False
        for group in groups:
            for bundle in group.bundles:
                left = [s for s in bundle.stages if _is_kept(s.out.memory, read)]
                changed |= len(left) < len(bundle.stages)
                bundle.stages = left
            group.bundles = [b for b in group.bundles if b.stages]
    groups[:] = [g for g in groups if g.bundles]


def _is_kept(memory: Buffer, read: set[Buffer]) -> bool:
    """Whether someone looks at what is in a buffer."""
    return memory.role != "temporary" or memory in read


def _contract(groups: list[Group]) -> None:
    """Keep one slice of the buffers that only one group uses; not of those written in place."""
    homes: dict[Buffer, set[int]] = {}
    rewritten = {
        s.out.memory for g in groups for b in g.bundles for s in b.stages if s.out.base is not None
    }
    for number, group in enumerate(groups):
        for bundle in group.bundles:
            for stage in bundle.stages:
                for buffer in (stage.out, *(r.buffer for r in loads(stage.value))):
                    homes.setdefault(buffer, set()).add(number)
    for number, group in enumerate(groups):
        own = {b for b, h in homes.items() if h == {number} and b.role == "temporary"} - rewritten
        sizes: dict[Buffer, int] = dict.fromkeys(own, 1)
        for bundle in group.bundles:
            for stage in bundle.stages:
                if stage.out in own:
                    stage.offset = _sliced(stage.offset, group.vars)
                    sizes[stage.out] = max(sizes[stage.out], stage.offset.bounds[1] + 1)
                stage.value = _with_slices(stage.value, own, group.vars)
        for buffer, size in sizes.items():
            buffer.size = size


def _sliced(offset: Affine, variables: Iterable[Var]) -> Affine:
    for v in variables:
        offset = offset.without(v)
    return offset


def _with_slices(value: Expr, own: set[Buffer], variables: tuple[Var, ...]) -> Expr:
    def sliced(read: Load) -> Expr:
        return load(read.buffer, _sliced(read.offset, variables)) if read.buffer in own else read

    return rewritten(value, sliced, {})


def _collapse(bundle: Bundle) -> None:
    """Make one loop of two adjacent ones wherever all accesses walk through memory evenly."""
    bundle.vars = _collapsed(bundle, bundle.vars)
    bundle.reduced = _collapsed(bundle, bundle.reduced)
    for stage in bundle.stages:
        stage.vars, stage.reduced = bundle.vars, bundle.reduced


def _collapsed(bundle: Bundle, variables: tuple[Var, ...]) -> tuple[Var, ...]:
    found = [v for v in variables if v.extent > 1] or list(variables[:1])
    place = len(found) - 1
    while place > 0:
        outer, inner = found[place - 1], found[place]
        if all(_is_even(i, outer, inner) for i in _all_indices(bundle)):
            merged = Var(inner.name, outer.extent * inner.extent)
            mapping: dict[Term, Affine] = {outer: Affine(), inner: Affine.of(merged)}
            for stage in bundle.stages:
                stage.value = stage.value.substitute(mapping)
                stage.offset = stage.offset.substitute(mapping)
            found[place - 1 : place + 1] = [merged]
        place -= 1
    return tuple(v for v in found if v.extent > 1)


def _is_even(index: Affine, outer: Var, inner: Var) -> bool:
    for term, _ in index.parts:
        if isinstance(term, (Quotient, Remainder)) and (
            mentions(term.value, outer) or mentions(term.value, inner)
        ):
            return False
    return index.coefficient(outer) == index.coefficient(inner) * inner.extent


def _all_indices(bundle: Bundle) -> list[Affine]:
    """The offsets of all loads and stores, and the indices used as values."""
    found: list[Affine] = []
    for stage in bundle.stages:
        found.append(stage.offset)
        seen: set[int] = set()
        pending = [stage.value]
        while pending:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Load):
                found.append(value.offset)
            elif isinstance(value, Position):
                found.append(value.index)
            for index in found[-1:] if isinstance(value, (Load, Position)) else ():
                pending += gathered(index)
            pending += value.operands
    return found


def text(plan: Schedule) -> str:
    """The loop nests as explanations show them."""
    lines: list[str] = []
    for group in plan.groups:
        indent = "  "
        for v in group.vars:
            lines.append(f"{indent}for {v} in {v.extent}:")
            indent += "  "
        for bundle in group.bundles:
            inner = indent
            for v in (*bundle.vars, *bundle.reduced):
                lines.append(f"{inner}for {v} in {v.extent}:")
                inner += "  "
            for stage in bundle.stages:
                sign = "=" if stage.fold is None else f"{stage.fold}="
                lines.append(f"{inner}{stage.out}[{stage.offset}] {sign} {stage.value}")
    return "\n".join(lines)
