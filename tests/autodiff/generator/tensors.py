"""Expressions for tensors of given shapes."""

from __future__ import annotations

import random
from collections.abc import Callable

Shape = tuple[int, ...]
SHAPES: tuple[Shape, ...] = ((), (3,), (2,), (2, 3), (3, 3), (3, 2))

_UNARY = (
    "torch.sin({})", "torch.cos({})", "torch.tanh({})", "torch.sigmoid({})", "torch.exp(-({}).abs())",
    "torch.relu({})", "F.softplus({})", "F.gelu({})", "F.silu({})", "F.elu({})", "-{}",
    "F.leaky_relu({}, 0.1)", "({}).clamp(-1.0, 1.0)", "({}).abs()", "({}) ** 2", "({}).pow(3)",
    "torch.sqrt(({}).abs() + 1.0)", "torch.log(({}).abs() + 0.5)", "torch.erf({})",
    "torch.atan({})", "torch.log1p(({}) ** 2)", "torch.expm1(torch.tanh({}))", "({}).square()",
    "torch.rsqrt(({}) ** 2 + 1)", "torch.reciprocal(({}).abs() + 1)", "({}).clamp(min=0.0)",
    "F.hardtanh({})", "F.logsigmoid({})", "F.softsign({})", "F.tanhshrink({})", "F.mish({})",
    "F.hardswish({})", "F.selu({})", "({}).neg()", "({}) * 0.5", "2.0 - {}", "({}) / 3.0",
    "1.0 / (({}) ** 2 + 1.0)", "({}).clone()", "({}).contiguous()", "({}).exp().log1p()",
    "torch.nan_to_num({})", "({}).asinh()",
)  # fmt: skip
_WITHOUT_RULE = (
    "torch.digamma(({}).abs() + 1.0)", "torch.lgamma(({}).abs() + 1.0)", "torch.special.i0({})",
    "torch.sinc({})", "torch.special.erfcx(torch.tanh({}))", "torch.special.ndtri(torch.sigmoid({}))",
)  # fmt: skip
_BINARY = (
    "{} + {}", "{} - {}", "{} * {}", "{} / (({}).abs() + 1.0)", "torch.maximum({}, {})",
    "torch.minimum({}, {})", "torch.atan2({}, {})", "torch.mul({}, {})", "torch.add({}, {}, alpha=2)",
    "torch.hypot({}, {})", "torch.sub({}, {})", "torch.logaddexp({}, {})",
)  # fmt: skip
_TERNARY = (
    "torch.where({0} > {1}, {1}, {2})", "torch.lerp({0}, {1}, torch.sigmoid({2}))",
    "torch.addcmul({0}, {1}, {2}, value=0.5)", "torch.where({0} > 0, {1}, {2})",
    "({0}).masked_fill({1} > {2}, 0.5)", "torch.addcdiv({0}, {1}, ({2}).abs() + 1.0)",
)  # fmt: skip
_SAME = {  # shape kept, for tensors of one dimension or more
    1: (
        "torch.softmax({}, 0)", "torch.log_softmax({}, 0)", "torch.cumsum({}, 0)", "({}).flip(0)",
        "torch.roll({}, 1)", "torch.sort({})[0]", "torch.sort({}, descending=True).values",
        "({}).cumprod(0)", "({}).unsqueeze(0).squeeze(0)", "F.normalize({}, dim=0)",
        "torch.logcumsumexp({}, 0)", "torch.stack(({}).unbind(0))", "torch.cat(({}).split(1))",
    ),
    2: (
        "torch.softmax({}, dim=1)", "torch.softmax({}, dim=-1)", "torch.log_softmax({}, 0)",
        "torch.cumsum({}, 1)", "({}).flip(0)", "({}).flip([0, 1])", "({}).tril()", "({}).triu(1)",
        "torch.sort({}, dim=1)[0]", "({}).t().t()", "({}).transpose(0, 1).contiguous().t()",
        "torch.cat(({}).chunk(2, 0), 0)", "torch.stack(({}).unbind(1), 1)",
        "F.normalize({}, dim=1)", "torch.cat(({}).split(1, dim=1), dim=1)",
        "({}).cummax(1).values", "F.layer_norm({}, [{}])", "torch.renorm({}, 2, 0, 1.0)",
    ),
}  # fmt: skip
_TO_SCALAR = (
    "({}).sum()", "({}).mean()", "({}).max()", "({}).min()", "({}).norm()", "({}).std()",
    "({}).var(unbiased=False)", "({}).prod()", "({}).amax()", "torch.logsumexp(({}).reshape(-1), 0)",
    "({}).reshape(-1)[0]", "({}).flatten()[-1]", "({}).square().sum().sqrt()",
    "torch.linalg.vector_norm({})",
)  # fmt: skip
_LOSSES = (
    "F.mse_loss({}, {})", "F.l1_loss({}, {})", "F.smooth_l1_loss({}, {})", "F.huber_loss({}, {})",
    "torch.dist({}, {})", "F.binary_cross_entropy_with_logits({}, torch.sigmoid({}))",
    "(({}) * ({})).sum()", "F.kl_div({}, torch.sigmoid({}), reduction='sum')",
)  # fmt: skip
# source shape, target shape, expressions; torch's median along a dimension gives anything where a
# stride is 0, as after expand
_BETWEEN: tuple[tuple[Shape, Shape, tuple[str, ...]], ...] = (
    ((3,), (), ("({})[0]", "({})[-1]", "torch.dot({0}, {0})", "({}).max(0)[0]", "({}).unbind()[1]")),
    ((2,), (), ("({})[1]", "({}).max(dim=0).values", "({}).select(0, 0)")),
    ((2, 3), (), ("({})[1, 2]", "F.cross_entropy({}, torch.tensor([0, 2]))", "({})[0][1]",
                  "F.nll_loss(torch.log_softmax({}, 1), torch.tensor([1, 0]))")),
    ((3, 3), (), ("torch.trace({})", "torch.det({})", "({}).diagonal().sum()", "({})[2, 0]")),
    ((2, 3), (3,), ("({})[0]", "({})[-1]", "({}).sum(0)", "({}).mean(0)", "({}).max(0)[0]",
                    "({}).min(dim=0).values", "({}).amax(0)", "torch.logsumexp({}, 0)",
                    "({}).std(0)", "({}).prod(0)", "({}).unbind(0)[1]", "({}).select(0, 1)",
                    "({}).chunk(2)[1].squeeze(0)", "({}).contiguous().median(0).values")),
    ((3, 3), (3,), ("({})[1]", "({})[:, 0]", "({}).diagonal()", "({}).sum(1)", "({}).mean(dim=-1)",
                    "({}).max(1)[0]", "({})[torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0])]",
                    "torch.diag({})", "({}).gather(1, torch.tensor([[2], [0], [1]])).squeeze(1)")),
    ((3, 2), (3,), ("({})[:, 1]", "({}).sum(1)", "({}).amin(-1)", "({}).norm(dim=1)",
                    "({}).max(1).values", "({}).unbind(1)[0]")),
    ((2, 3), (2,), ("({}).sum(-1)", "({})[:, 2]", "({}).max(1)[0]", "({}).mean(1)",
                    "({}).topk(1, dim=1).values.squeeze(1)", "({}).select(1, 0)",
                    "({}).argmax(1) * ({}).sum(1)")),
    ((3, 2), (2,), ("({})[2]", "({}).sum(0)", "({})[0]", "({}).var(0)", "({}).max(0)[0]")),
    ((3,), (2,), ("({})[:2]", "({})[1:]", "({}).narrow(0, 1, 2)", "({})[[0, 2]]", "({}).topk(2)[0]",
                  "({}).index_select(0, torch.tensor([2, 0]))", "({}).diff()")),
    ((2,), (3,), ("F.pad({}, [0, 1])", "torch.cat([{}, ({})[:1]])",
                  "({}).index_select(0, torch.tensor([1, 0, 1]))", "({})[torch.tensor([0, 0, 1])]")),
    ((), (3,), ("({}).expand(3)", "({}).repeat(3)", "torch.stack([{0}, {0}, {0} * 2])")),
    ((), (2,), ("({}).unsqueeze(0).expand(2)", "torch.stack([{0}, -({0})])")),
    ((3,), (2, 3), ("({}).expand(2, 3)", "({}).unsqueeze(0).repeat(2, 1)", "torch.stack([{0}, {0}])",
                    "torch.cat([({}).unsqueeze(0), ({}).unsqueeze(0)])")),
    ((3,), (3, 3), ("torch.outer({0}, {0})", "torch.diag({})", "({}).unsqueeze(1).expand(3, 3)",
                    "torch.diag_embed({})")),
    ((2, 3), (3, 2), ("({}).t()", "({}).reshape(3, 2)", "({}).view(3, 2)", "({}).transpose(0, 1)",
                      "({}).permute(1, 0)", "({}).T")),
    ((3, 2), (2, 3), ("({}).t()", "({}).reshape(2, 3)", "({}).mT", "({}).swapaxes(0, 1)")),
    ((3, 3), (3, 3), ("({}).t()", "({0}) @ ({0})", "({}).T", "torch.linalg.inv({} + 5 * torch.eye(3, dtype=torch.float64))",
                      "torch.matrix_exp({} * 0.1)", "({}).index_add(0, torch.tensor([0, 0]), ({})[:2])")),
    ((3, 3), (2, 3), ("({})[:2]", "({})[1:, :]", "({}).narrow(0, 0, 2)", "({})[torch.tensor([2, 2])]",
                      "({}).split([2, 1])[0]", "({}).index_select(0, torch.tensor([1, 0]))")),
    ((2, 3), (3, 3), ("torch.cat([{0}, ({0})[:1]])", "torch.cov(({0}).t())", "F.pad({}, [0, 0, 1, 0])")),
)  # fmt: skip
_PRODUCTS: dict[Shape, tuple[tuple[Shape, Shape, str], ...]] = {
    (): (((3,), (3,), "torch.dot({}, {})"), ((2,), (2,), "({}) @ ({})"),
         ((3,), (3,), "F.cosine_similarity({}, {}, dim=0)")),
    (3,): (((3, 3), (3,), "({}) @ ({})"), ((3,), (3, 3), "torch.matmul({}, {})"),
           ((2,), (2, 3), "({}) @ ({})"), ((3, 2), (2,), "torch.mv({}, {})"),
           ((3,), (3,), "torch.linalg.cross({}, {})")),
    (2,): (((2, 3), (3,), "({}) @ ({})"), ((3,), (3, 2), "({}) @ ({})")),
    (2, 3): (((2, 3), (3, 3), "({}) @ ({})"), ((2,), (3,), "torch.outer({}, {})"),
             ((2, 3), (3, 3), "F.linear({}, {})"), ((2, 3), (3, 3), "torch.mm({}, {})"),
             ((2, 3), (3, 3), "torch.einsum('ij,jk->ik', {}, {})"),
             ((2,), (3,), "({}).unsqueeze(1) * ({}).unsqueeze(0)")),
    (3, 3): (((3, 2), (2, 3), "({}) @ ({})"), ((3, 3), (3, 3), "torch.matmul({}, {})"),
             ((3,), (3,), "torch.ger({}, {})"), ((3, 2), (3, 2), "torch.cdist({}, {} + 5.0)"),
             ((3, 3), (3, 3), "torch.linalg.solve({} + 9 * torch.eye(3, dtype=torch.float64), {})")),
    (3, 2): (((3, 3), (3, 2), "({}) @ ({})"), ((3,), (2,), "torch.outer({}, {})")),
}  # fmt: skip
_BROADCAST: dict[Shape, tuple[Shape, ...]] = {
    (): ((),), (3,): ((3,), ()), (2,): ((2,), ()), (2, 3): ((2, 3), (3,), ()),
    (3, 3): ((3, 3), (3,), ()), (3, 2): ((3, 2), (2,), ()),
}  # fmt: skip


class Tensors:
    """Writes tensor expressions; ``leaf(shape)`` gives a variable, or something else that is short."""

    def __init__(
        self, rng: random.Random, leaf: Callable[[Shape], str], number: Callable[[], str]
    ) -> None:
        self.rng, self.leaf, self.number = rng, leaf, number

    def expression(self, shape: Shape, depth: int) -> str:
        """An expression of this shape."""
        if depth <= 0 or self.rng.random() < 0.1:
            return self.leaf(shape)
        ways = (
            self._unary, self._unary, self._binary, self._binary, self._ternary, self._between,
            self._between, self._product, self._kept, self._scaled, self._loss,
        )  # fmt: skip
        return self.rng.choice(ways)(shape, depth - 1)

    def _filled(self, form: str, value: str) -> str:
        return form.replace("{0}", "{}").replace("{}", value)

    def _unary(self, shape: Shape, depth: int) -> str:
        forms = _WITHOUT_RULE if self.rng.random() < 0.06 else _UNARY
        return self._filled(self.rng.choice(forms), f"({self.expression(shape, depth)})")

    def _binary(self, shape: Shape, depth: int) -> str:
        a, b = shape, self.rng.choice(_BROADCAST[shape])
        if self.rng.random() < 0.5:
            a, b = b, a
        left, right = self.expression(a, depth), self.expression(b, depth)
        return self.rng.choice(_BINARY).format(f"({left})", f"({right})")

    def _ternary(self, shape: Shape, depth: int) -> str:
        parts = [f"({self.expression(shape, min(depth, 1))})" for _ in range(3)]
        return self.rng.choice(_TERNARY).format(*parts)

    def _between(self, shape: Shape, depth: int) -> str:
        if shape == () and self.rng.random() < 0.5:
            source = self.rng.choice(SHAPES[1:])
            return self._filled(self.rng.choice(_TO_SCALAR), self.expression(source, depth))
        found = [(source, forms) for source, target, forms in _BETWEEN if target == shape]
        source, forms = self.rng.choice(found)
        return self._filled(self.rng.choice(forms), self.expression(source, depth))

    def _product(self, shape: Shape, depth: int) -> str:
        a, b, form = self.rng.choice(_PRODUCTS[shape])
        return form.format(self.expression(a, depth), self.expression(b, depth))

    def _kept(self, shape: Shape, depth: int) -> str:
        if not shape:
            return self._unary(shape, depth)
        form = self.rng.choice(_SAME[len(shape)]).replace("[{}]", f"[{shape[-1]}]")
        return self._filled(form, self.expression(shape, depth))

    def _scaled(self, shape: Shape, depth: int) -> str:
        number = self.number()
        value = self.expression(shape, depth)
        form = self.rng.choice(("({}) * ({})", "({}) + ({})", "({}) - ({})", "torch.add({}, {})"))
        return (
            form.format(value, number)
            if self.rng.random() < 0.5
            else form.format(number, value)
            if form[0] == "("
            else form.format(value, number)
        )

    def _loss(self, shape: Shape, depth: int) -> str:
        if shape:
            return self._binary(shape, depth)
        source = self.rng.choice(SHAPES[1:])
        a, b = self.expression(source, depth), self.expression(source, depth)
        return self.rng.choice(_LOSSES).format(a, b)
