"""Loop nests as LLVM code: one function for each kernel.

::

    i32 name(inputs..., outputs...)      pointers, and i64, double or i8 for numbers
    0: done; 1: an index is out of bounds, a check has failed or memory is short

Where it gives 1 nothing was written but results.

In each bundle one loop is walked in vectors: the one along which most accesses are contiguous.  Its
last, shorter vector has exactly the lanes that are left, so every extent is static.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from llvmlite import ir

from scriptmode.abi.convention import I8, I32, I64, PTR
from scriptmode.codegen import lanes as L
from scriptmode.codegen.dense.emit import emit_product
from scriptmode.codegen.dense.product import DType, Product
from scriptmode.codegen.elementwise import emit
from scriptmode.codegen.engine import host_cpu
from scriptmode.loops.expr import Apply, Argument, Buffer, Const, Expr, Load, Position, cost
from scriptmode.loops.index import Affine, Element, Known, Quotient, Remainder, Term, Var, mentions
from scriptmode.loops.kernel import Stage
from scriptmode.loops.schedule import LINE, STACK, Bundle, Group, Schedule, bytes_of

MOST_VECTORS = 8  # registers of one value, at most
_PRODUCTS: Mapping[torch.dtype, DType] = {torch.float32: "f32", torch.float64: "f64"}
NUMBERS = {torch.int64: I64, torch.float64: ir.DoubleType(), torch.bool: I8}


def vector_bytes() -> int:
    """Width of the host's vector registers."""
    features = host_cpu()[1]
    return 64 if "+avx512f" in features else 32 if "+avx2" in features else 16


def emit_kernel(module: ir.Module, plan: Schedule, name: str) -> ir.Function:
    """Emit the function of a kernel into ``module``."""
    return _Emitter(module, plan, name).emit()


class _Emitter:
    def __init__(self, module: ir.Module, plan: Schedule, name: str) -> None:
        self.plan = plan
        kernel = plan.kernel
        self.arguments = _number_types(plan)
        types = [
            PTR if isinstance(i, Buffer) else self.arguments.get(i, I64) for i in kernel.inputs
        ]
        types += [PTR] * len(kernel.outputs)
        self.function = ir.Function(module, ir.FunctionType(I32, types), name)
        self.function.linkage = "internal"
        self.function.attributes.add("nounwind")
        self.entry = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.b = ir.IRBuilder(self.function.append_basic_block("start"))
        self.places: dict[Buffer, ir.Value] = {}
        self.numbers: dict[str, ir.Value] = {}
        self.terms: dict[Term, ir.Value] = {}  # scalars; the first lane's for the vector loop
        self.vector: Var | None = None
        self.lanes = 1
        self.done: dict[Expr, ir.Value] = {}
        self.heap: ir.Value | None = None

    def emit(self) -> ir.Function:
        kernel = self.plan.kernel
        given = [*kernel.inputs, *kernel.outputs]
        first = len(kernel.inputs)
        shared = {*self.plan.in_place.values(), *(first + i for i in self.plan.in_place)}
        for index, (item, argument) in enumerate(zip(given, self.function.args, strict=True)):
            if isinstance(item, Buffer):
                self.places.setdefault(item, argument)
                if index not in shared:
                    argument.attributes.add("noalias")
            else:
                self.numbers[item] = argument
        for known in kernel.bounds:
            self._check(known)
        self._allocate()
        for group in self.plan.groups:
            self._group(group)
        refused = self._refused()
        if self.heap is not None:
            free = _declared(self.b.module, "free", ir.VoidType(), [PTR])
            self.b.call(free, [self.heap])
        self.b.ret(refused)
        self.entry.position_at_end(self.function.blocks[0])  # kernels of products add to it
        self.entry.branch(self.function.blocks[1])
        return self.function

    def _check(self, known: Known) -> None:
        """An index that may count from the end; the kernel refuses one out of bounds."""
        size = ir.Constant(I64, known.high + 1)
        value = self.numbers[known.name]
        negative = self.b.icmp_signed("<", value, ir.Constant(I64, 0))
        value = self.b.select(negative, self.b.add(value, size), value)
        outside = self.b.icmp_unsigned(">=", value, size)
        with self.b.if_then(outside, likely=False):
            self.b.ret(ir.Constant(I32, 1))
        self.terms[known] = value

    def _refused(self) -> ir.Value:
        """1 where some check has failed."""
        b = self.b
        found: ir.Value = ir.Constant(I8, 1)
        for check in self.plan.kernel.checks:
            flag = b.load(self._address(check, ir.Constant(I64, 0)), typ=I8, align=1)
            found = b.and_(found, flag)
        return b.zext(b.icmp_unsigned("==", found, ir.Constant(I8, 0)), I32)

    def _allocate(self) -> None:
        if self.plan.bytes <= STACK:
            for buffer in self.plan.temporaries:
                t = L.in_memory(buffer.dtype)
                place = self.entry.alloca(ir.ArrayType(t, max(buffer.size, 1)))
                place.align = LINE
                place.type = PTR
                self.places[buffer] = place
            return
        allocate = _declared(self.b.module, "aligned_alloc", PTR, [I64, I64])
        total = ir.Constant(I64, self.plan.bytes)
        self.heap = self.b.call(allocate, [ir.Constant(I64, LINE), total])
        missing = self.b.icmp_unsigned("==", self.heap, ir.Constant(PTR, None))
        with self.b.if_then(missing, likely=False):
            self.b.ret(ir.Constant(I32, 1))  # the ops of torch say that memory is short
        offset = 0
        for buffer in self.plan.temporaries:
            self.places[buffer] = self._moved(self.heap, ir.Constant(I64, offset), I8)
            offset += bytes_of(buffer)

    # ---- loops ----

    @contextlib.contextmanager
    def _loop(self, var: Var, start: int, stop: int, step: int) -> Iterator[None]:
        """A loop of at least one iteration."""
        b = self.b
        if stop - start <= step:
            self.terms[var] = ir.Constant(I64, start)
            self.done = {}
            yield
            return
        before = b.block
        body = b.append_basic_block(f"for.{var.name}")
        after = b.append_basic_block("done")
        b.branch(body)
        b.position_at_end(body)
        index = b.phi(I64)
        index.add_incoming(ir.Constant(I64, start), before)
        self.terms[var] = index
        self.done = {}
        yield
        following = b.add(index, ir.Constant(I64, step), flags=["nsw", "nuw"])
        index.add_incoming(following, b.block)
        more = b.icmp_signed("<", following, ir.Constant(I64, stop))
        b.cbranch(more, body, after)
        b.position_at_end(after)
        self.done = {}

    def _nest(self, variables: Sequence[Var], body: Callable[[], None]) -> None:
        if not variables:
            body()
            return
        with self._loop(variables[0], 0, variables[0].extent, 1):
            self._nest(variables[1:], body)

    def _chunks(self, var: Var | None, lanes: int, body: Callable[[], None]) -> None:
        """Walk ``var`` in vectors of ``lanes``, then in one of what is left."""
        if var is None:
            body()
            return
        whole = var.extent - var.extent % lanes
        for start, stop, width in ((0, whole, lanes), (whole, var.extent, var.extent - whole)):
            if width == 0 or stop == start:
                continue
            self.vector, self.lanes = var, width
            with self._loop(var, start, stop, width):
                body()
            self.vector, self.lanes = None, 1

    def _group(self, group: Group) -> None:
        def inside() -> None:
            for bundle in group.bundles:
                self._bundle(bundle)

        self._nest(group.vars, inside)

    def _product(self, bundle: Bundle) -> bool:
        """Emit a bundle that is a product of matrices by a kernel for such; whether it is one."""
        found = matrix_product(bundle)
        if found is None:
            return False

        def inside() -> None:
            self.done = {}
            a, b, c = (
                self._address(buffer, self._scalar(without(offset, found.loops)))
                for buffer, offset in found.operands
            )
            emit_product(self.b, found.product, a, b, c)

        self._nest(found.outer, inside)
        return True

    def _bundle(self, bundle: Bundle) -> None:
        if self._product(bundle):
            return
        folds = [s for s in bundle.stages if s.fold is not None]
        outer = bundle.vars if bundle.reduced or not folds else ()
        inner = bundle.reduced if bundle.reduced else bundle.vars if folds else ()
        vector = _vector_loop(bundle)
        lanes = _lanes(bundle, vector) if vector is not None else 1
        if vector in inner:
            self._nest(
                outer,
                lambda: self._fold_in_vectors(bundle, folds, inner, vector, lanes),
            )
            return
        rest = [v for v in outer if v is not vector]

        def folded() -> None:
            sums = [self._accumulator(s, self.lanes) for s in folds]
            self._nest(inner, lambda: self._body(bundle, dict(zip(folds, sums, strict=True))))
            self.done = {}
            for stage, place in zip(folds, sums, strict=True):
                t = L.with_lanes(L.SCALARS[stage.out.dtype], self.lanes)
                self._store(stage, self.b.load(place, typ=t))

        self._nest(rest, lambda: self._chunks(vector, lanes, folded))

    def _fold_in_vectors(
        self, bundle: Bundle, folds: Sequence[Stage], inner: Sequence[Var], vector: Var | None,
        lanes: int,
    ) -> None:  # fmt: skip
        """Folds whose innermost loop is walked in vectors: lanes first, then across them."""
        assert vector is not None
        rest = [v for v in inner if v is not vector]
        left = vector.extent % lanes
        wide = [self._accumulator(s, lanes) for s in folds] if vector.extent >= lanes else []
        narrow = [self._accumulator(s, left) for s in folds] if left else []

        def chunk() -> None:
            places = wide if self.lanes == lanes and wide else narrow
            self._body(bundle, dict(zip(folds, places, strict=True)))

        self._nest(rest, lambda: self._chunks(vector, lanes, chunk))
        self.done = {}
        for index, stage in enumerate(folds):
            assert stage.fold is not None
            parts = []
            for places, width in ((wide, lanes), (narrow, left)):
                if places:
                    t = L.with_lanes(L.SCALARS[stage.out.dtype], width)
                    part = self.b.load(places[index], typ=t)
                    parts.append(L.across_lanes(self.b, stage.fold, part, stage.out.dtype))
            result = parts[0]
            if len(parts) == 2:
                combined = L.operate(self.b, stage.fold, parts, stage.out.dtype)
                assert combined is not None
                result = combined
            self._store(stage, result)

    def _accumulator(self, stage: Stage, lanes: int) -> ir.Value:
        assert stage.fold is not None
        dtype = stage.out.dtype
        t = L.with_lanes(L.SCALARS[dtype], lanes)
        place = self.entry.alloca(t)
        place.type = PTR
        self.b.store(L.splat(self.b, L.identity(stage.fold, dtype), lanes), place)
        return place

    def _body(self, bundle: Bundle, sums: dict[Stage, ir.Value]) -> None:
        for stage in bundle.stages:
            value = self._value(stage.value)
            if stage.fold is None:
                self._store(stage, value)
                continue
            t = L.with_lanes(L.SCALARS[stage.out.dtype], self.lanes)
            before = self.b.load(sums[stage], typ=t)
            value = L.splat(self.b, value, self.lanes)
            after = L.operate(self.b, stage.fold, [before, value], stage.out.dtype)
            assert after is not None
            self.b.store(after, sums[stage])

    # ---- values ----

    def _value(self, expr: Expr) -> ir.Value:
        found = self.done.get(expr)
        if found is None:
            found = self.done[expr] = self._computed(expr)
        return found

    def _computed(self, expr: Expr) -> ir.Value:
        b = self.b
        if isinstance(expr, Const):
            return L.constant(expr.value, expr.dtype)
        if isinstance(expr, Argument):
            value = self.numbers[expr.name]
            return b.trunc(value, L.SCALARS[torch.bool]) if expr.dtype == torch.bool else value
        if isinstance(expr, Load):
            return self._load(expr)
        if isinstance(expr, Position):
            return self._index(expr.index)
        assert isinstance(expr, Apply)
        values = [self._value(o) for o in expr.operands]
        if expr.name == "cast":
            return L.convert(b, values[0], expr.operands[0].dtype, expr.dtype)
        operand = expr.operands[-1].dtype
        result = L.operate(b, expr.name, values, operand)
        if result is None:
            result = elementary(b, expr.name, L.same_lanes(b, values))
        return result

    def _load(self, expr: Load) -> ir.Value:
        b, buffer = self.b, expr.buffer
        t = L.in_memory(buffer.dtype)
        vector = self.vector
        if vector is None or not mentions(expr.offset, vector):
            place = self._address(buffer, self._scalar(expr.offset))
            value = b.load(place, typ=t, align=buffer.dtype.itemsize)
        elif _steps(expr.offset, vector) == 1:
            place = self._address(buffer, self._scalar(expr.offset))
            value = b.load(place, typ=L.with_lanes(t, self.lanes), align=buffer.dtype.itemsize)
        else:
            value = self._gather(expr, t)
        if buffer.dtype == torch.bool:
            value = b.trunc(value, L.with_lanes(L.SCALARS[torch.bool], L.lanes_of(value)))
        return value

    def _gather(self, expr: Load, t: ir.Type) -> ir.Value:
        b = self.b
        offsets = L.splat(b, self._index(expr.offset), self.lanes)
        if self.lanes == 1:
            place = self._address(expr.buffer, offsets)
            return b.load(place, typ=t, align=expr.buffer.dtype.itemsize)
        value: ir.Value = ir.Constant(L.with_lanes(t, self.lanes), ir.Undefined)
        for lane in range(self.lanes):
            number = ir.Constant(I32, lane)
            place = self._address(expr.buffer, b.extract_element(offsets, number))
            one = b.load(place, typ=t, align=expr.buffer.dtype.itemsize)
            value = b.insert_element(value, one, number)
        return value

    def _store(self, stage: Stage, value: ir.Value) -> None:
        b, buffer = self.b, stage.out
        align = buffer.dtype.itemsize
        value = L.splat(b, value, self.lanes)
        if buffer.dtype == torch.bool:
            value = b.zext(value, L.with_lanes(I8, L.lanes_of(value)))
        vector = self.vector
        if self.lanes == 1 or vector is None or _steps(stage.offset, vector) == 1:
            b.store(value, self._address(buffer, self._scalar(stage.offset)), align=align)
            return
        assert mentions(stage.offset, vector), "a vector is stored in one place"
        offsets = self._index(stage.offset)
        for lane in range(self.lanes):
            number = ir.Constant(I32, lane)
            place = self._address(buffer, b.extract_element(offsets, number))
            b.store(b.extract_element(value, number), place, align=align)

    # ---- indices ----

    def _address(self, buffer: Buffer, offset: ir.Value) -> ir.Value:
        return self._moved(self.places[buffer.memory], offset, L.in_memory(buffer.dtype))

    def _moved(self, place: ir.Value, offset: ir.Value, t: ir.Type) -> ir.Value:
        return self.b.gep(place, [offset], inbounds=True, source_etype=t)

    def _scalar(self, index: Affine) -> ir.Value:
        """The index of the first lane."""
        vector, lanes = self.vector, self.lanes
        self.vector, self.lanes = None, 1
        try:
            return self._index(index)
        finally:
            self.vector, self.lanes = vector, lanes

    def _index(self, index: Affine) -> ir.Value:
        """An index: a vector where it depends on the vector loop."""
        b = self.b
        total: ir.Value | None = None
        for term, coefficient in index.parts:
            value = self._term(term)
            if coefficient != 1:
                factor = L.splat(b, ir.Constant(I64, coefficient), L.lanes_of(value))
                value = b.mul(value, factor, flags=["nsw"])
            if total is None:
                total = value
            else:
                total, value = L.same_lanes(b, [total, value])
                total = b.add(total, value, flags=["nsw"])
        if total is None:
            return ir.Constant(I64, index.constant)
        if index.constant:
            constant = L.splat(b, ir.Constant(I64, index.constant), L.lanes_of(total))
            total = b.add(total, constant, flags=["nsw"])
        return total

    def _term(self, term: Term) -> ir.Value:
        b = self.b
        if isinstance(term, (Quotient, Remainder)):
            value = self._index(term.value)
            divisor = L.splat(b, ir.Constant(I64, term.divisor), L.lanes_of(value))
            return (b.udiv if isinstance(term, Quotient) else b.urem)(value, divisor)
        if isinstance(term, Element):
            return self._value(term.value)
        value = self.terms[term]
        if term is self.vector and self.lanes > 1:
            return b.add(L.splat(b, value, self.lanes), L.iota(self.lanes), flags=["nsw"])
        return value


@dataclass(frozen=True)
class MatrixProduct:
    """A bundle that is a product: its operands A, B and C, and the loops around it."""

    product: Product
    operands: tuple[tuple[Buffer, Affine], ...]
    loops: tuple[Var, ...]  # of rows, columns and the sum, which the kernel runs
    outer: tuple[Var, ...]


def matrix_product(bundle: Bundle) -> MatrixProduct | None:
    """The product that a bundle is, if it is the sum of the products of two loads."""
    if len(bundle.stages) != 1 or len(bundle.reduced) != 1:
        return None
    (stage,) = bundle.stages
    value = stage.value
    if stage.fold != "add" or not isinstance(value, Apply) or value.name != "mul":
        return None
    a, b = value.operands
    if not (isinstance(a, Load) and isinstance(b, Load)) or value.dtype not in _PRODUCTS:
        return None
    (k,) = bundle.reduced
    rows = [v for v in bundle.vars if mentions(a.offset, v) and not mentions(b.offset, v)]
    columns = [v for v in bundle.vars if mentions(b.offset, v) and not mentions(a.offset, v)]
    i = max(rows, key=lambda v: v.extent, default=None)
    j = max(columns, key=lambda v: v.extent, default=None)
    loops = tuple(v for v in (i, j, k) if v is not None)
    for offset in (a.offset, b.offset, stage.offset):
        rest = without(offset, loops)
        if any(mentions(rest, v) for v in loops):
            return None

    def step(offset: Affine, var: Var | None) -> int:
        return 0 if var is None else offset.coefficient(var)

    product = Product(
        1 if i is None else i.extent,
        1 if j is None else j.extent,
        k.extent,
        (step(a.offset, i), step(a.offset, k)),
        (step(b.offset, k), step(b.offset, j)),
        (step(stage.offset, i), step(stage.offset, j)),
        _PRODUCTS[value.dtype],
    )
    operands = ((a.buffer, a.offset), (b.buffer, b.offset), (stage.out, stage.offset))
    outer = tuple(v for v in bundle.vars if v not in loops)
    return MatrixProduct(product, operands, loops, outer)


def without(offset: Affine, variables: Sequence[Var]) -> Affine:
    """The part of an offset that does not grow with the variables."""
    for v in variables:
        offset = offset.without(v)
    return offset


def elementary(b: ir.IRBuilder, name: str, values: Sequence[ir.Value]) -> ir.Value:
    """One of the functions of ``codegen.elementwise``."""
    return emit(name, b, *values)


def _declared(
    module: ir.Module, name: str, result: ir.Type, arguments: Sequence[ir.Type]
) -> ir.Function:
    found = module.globals.get(name)
    if found is not None:
        return found
    return ir.Function(module, ir.FunctionType(result, list(arguments)), name)


def _number_types(plan: Schedule) -> dict[str, ir.Type]:
    """The LLVM types of the numbers among the inputs, by what reads them."""
    found: dict[str, ir.Type] = {}
    for group in plan.groups:
        for bundle in group.bundles:
            for stage in bundle.stages:
                pending, seen = [stage.value], set()
                while pending:
                    value = pending.pop()
                    if value in seen:
                        continue
                    seen.add(value)
                    if isinstance(value, Argument):
                        found[value.name] = NUMBERS[value.dtype]
                    pending += value.operands
    return found


def _steps(offset: Affine, vector: Var) -> int:
    """By how much an offset grows from lane to lane; 0 where that varies."""
    return 0 if mentions(offset.without(vector), vector) else offset.coefficient(vector)


def _accesses(bundle: Bundle) -> Iterator[tuple[Affine, int]]:
    """Offsets with their weight."""
    for stage in bundle.stages:
        if stage.fold is None:
            yield stage.offset, 2
        pending, seen = [stage.value], set()
        while pending:
            value = pending.pop()
            if value in seen:
                continue
            seen.add(value)
            if isinstance(value, Load):
                yield value.offset, 1
            pending += value.operands


def _vector_loop(bundle: Bundle) -> Var | None:
    """The loop along which most accesses are contiguous."""
    best, best_score = None, 0
    accesses = list(_accesses(bundle))
    for var in (*bundle.vars, *bundle.reduced):
        score = 0
        for offset, weight in accesses:
            if not mentions(offset, var):
                continue
            score += weight if _steps(offset, var) == 1 else -2 * weight
        stored = [s.offset for s in bundle.stages if s.fold is not None and var in bundle.vars]
        if bundle.reduced:
            score += sum(1 if _steps(o, var) == 1 else -1 for o in stored if mentions(o, var))
        if score > best_score or (score == best_score and best is not None and score > 0):
            best, best_score = var, score
    return best


def _lanes(bundle: Bundle, vector: Var) -> int:
    """How many elements of the vector loop are computed at once."""
    widest = max((v.dtype.itemsize for s in bundle.stages for v in _values(s.value)), default=4)
    native = vector_bytes() // widest
    folds = any(s.fold is not None for s in bundle.stages)
    heavy = max(cost(s.value) for s in bundle.stages) >= 20
    most = native * (MOST_VECTORS if folds and vector in bundle.vars else 4)
    if vector.extent <= most and not heavy:
        return vector.extent
    if vector.extent <= 4 * native:
        return vector.extent
    unrolled = native * (2 if heavy else 4)
    return unrolled if vector.extent >= unrolled else native


def _values(value: Expr) -> Iterator[Expr]:
    pending, seen = [value], set()
    while pending:
        found = pending.pop()
        if found in seen:
            continue
        seen.add(found)
        yield found
        pending += found.operands
