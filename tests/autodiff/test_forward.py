"""``jvp`` in forward mode: against torch.func, finite differences and the way by two pull-backs."""

import copy
import gc
from typing import NamedTuple, Optional

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, func
from torch.utils import _pytree as pytree

import scriptmode
from scriptmode.runtime import nativelib
from scriptmode.transforms.forward_mode import compiled_form, pulled_twice


def rand(*shape):
    return torch.rand(*shape, dtype=torch.float64)


def leaves(value):
    return [t for t in pytree.tree_leaves(value) if isinstance(t, torch.Tensor)]


def floats(value):
    return [t for t in leaves(value) if t.is_floating_point() or t.is_complex()]


def drawn(primals):
    """Tangents in the structure of the primals."""
    torch.manual_seed(4)
    return pytree.tree_map_only(
        torch.Tensor, lambda t: torch.randn_like(t) if t.is_floating_point() else t, primals
    )


def differences(function, primals, tangents, size=1e-6):
    """The derivative by central differences."""

    def at(step):
        moved = pytree.tree_map(
            lambda p, t: p + step * t if isinstance(p, torch.Tensor) and p.is_floating_point() else p,
            primals, tangents,
        )  # fmt: skip
        return floats(function(*moved))

    return [(a - b) / (2 * size) for a, b in zip(at(size), at(-size))]


def reason_of(function):
    compiled = compiled_form(function)
    return compiled._dispatcher.primary.pushforwards.reason


def check(function, *primals, reason="", is_smooth=True, is_pulled=True):
    """Compare; ``reason`` begins what says why there is no forward program.

    Not compared are differences with ``is_smooth=False``, and with ``is_pulled=False`` the pull-back
    of the pull-back, which torch refuses for some programs that write in place.
    """
    eager = function
    tangents = drawn(primals)
    compiled = function if isinstance(function, torch.nn.Module) else scriptmode.script(function)
    if isinstance(compiled, torch.nn.Module):
        compiled = scriptmode.script(compiled)
    want = eager(*copy.deepcopy(primals))
    moved = differences(eager, primals, tangents) if is_smooth else None
    gc.collect()
    before = nativelib.live_objects(), nativelib.live_tensors()
    for _ in range(2):
        result, tangent = scriptmode.jvp(compiled, copy.deepcopy(primals), tangents)
        torch.testing.assert_close(leaves(result), leaves(want))
        assert pytree.tree_structure(result) == pytree.tree_structure(want)
        assert pytree.tree_structure(tangent) == pytree.tree_structure(want)
        for x, d in zip(leaves(result), leaves(tangent)):
            assert (x.shape, x.dtype) == (d.shape, d.dtype)
            assert x.is_floating_point() or x.is_complex() or not d.any()
        if moved is not None:
            torch.testing.assert_close(floats(tangent), moved, rtol=1e-4, atol=1e-5)
        if is_pulled:
            pulled = pulled_twice(compiled, primals, floats(tangents))[1]
            torch.testing.assert_close(floats(tangent), [t.detach() for t in floats(pulled)])
            del pulled
        del result, tangent, x, d
    variants = compiled._dispatcher.variants
    reasons = [v.pushforwards.reason for v in variants if v.pushforwards.reason]
    assert reasons == [] if not reason else reasons[0].startswith(reason), reasons
    gc.collect()
    now = nativelib.live_objects(), nativelib.live_tensors()
    assert now == before
    return compiled


def with_torch(function, *primals, **options):
    """``check``, and the same derivative as torch.func's."""
    check(function, *primals, **options)
    tangents = drawn(primals)
    want = func.jvp(function, primals, tangents)
    torch.testing.assert_close(scriptmode.jvp(function, primals, tangents), want)


def straight(x, w):
    y = torch.tanh(x @ w) + x.sum(0) * 2
    return y.softmax(-1), torch.cat([y, x]).exp().mean()


def test_a_straight_line():
    with_torch(straight, rand(3, 3), rand(3, 3))


def branches(x, w):
    if float(x.sum()) > 1:
        y = x * w
    elif float(w.sum()) > 100:
        y = torch.ones_like(x)
    else:
        y = x.detach()
    z = torch.zeros(3, dtype=torch.float64)
    if float(w.sum()) > 0:
        z = y.sin()
    return y, z


def test_branches():
    with_torch(branches, rand(3) + 1, rand(3))
    check(branches, -rand(3), rand(3), is_smooth=False)


def newton(a, n: int):
    x = torch.ones_like(a)
    steps = 0
    while float((x * x - a).abs().max()) > 1e-9 and steps < n:
        x = 0.5 * (x + a / x)
        steps += 1
    return x, steps


def test_a_loop_that_ends_where_the_data_say_so():
    check(newton, rand(3) + 1, 50)
    check(newton, rand(3) + 1, 0)


def early(xs: list[Tensor], limit: float):
    total = torch.zeros(2, dtype=torch.float64)
    for i, x in enumerate(xs):
        if i == 0:
            continue
        total = total + x * x
        if float(total.sum()) > limit:
            return total * 10
        if float(total.sum()) < -limit:
            break
    return total.exp()


def test_early_exits():
    xs = [rand(2) for _ in range(4)]
    check(early, xs, 0.5)
    check(early, xs, 100.0)


def tree(x: Tensor, depth: int, w: Tensor) -> tuple[Tensor, Tensor]:
    if depth == 0:
        return x * w, x
    a, b = tree(x.sin(), depth - 1, w)
    c, d = tree(a + b, depth - 2, w) if depth > 1 else (a * b, b)
    return a * c, d


def test_recursion():
    with_torch(lambda x, w: tree(x, 4, w), rand(3), rand(3))


def even(x: Tensor, n: int) -> Tensor:
    return x if n == 0 else odd(x * x, n - 1)


def odd(x: Tensor, n: int) -> Tensor:
    return x.sin() if n == 0 else even(x.cos(), n - 1)


def test_functions_that_call_each_other():
    with_torch(lambda x: even(x, 5) + odd(x, 2), rand(3))


class Pair(NamedTuple):
    first: Tensor
    rest: list[Tensor]


def containers(p: dict[str, Tensor], xs: list[Tensor], t: tuple[Tensor, tuple[Tensor, int]]):
    a, (b, n) = t
    made = [x * a for x in xs]
    made.append(b)
    made.insert(0, p["w"])
    table: dict[str, list[Tensor]] = {"even": [], "odd": []}
    for i, x in enumerate(made):
        key = "even" if i % 2 == 0 else "odd"
        table[key].append(x * n)
    table["none"] = [torch.ones(2, dtype=torch.float64)]
    return table, (made[-1], made), p["b"] * 2


def test_containers():
    p = {"w": rand(2), "b": rand(2)}
    check(containers, p, [rand(2), rand(2)], (rand(2), (rand(2), 3)))


def named(x: Tensor, y: Tensor):
    return Pair(x * y, [x, y * 2])


def test_a_named_tuple():
    check(named, rand(2), rand(2))


class State:
    def __init__(self, h: Tensor):
        self.h = h
        self.seen = [h]

    def step(self, x: Tensor) -> Tensor:
        self.h = torch.tanh(self.h * x)
        self.seen.append(self.h)
        return self.h


def with_objects(x: Tensor, n: int):
    state = State(x)
    for _ in range(n):
        state.step(x)
    return state.h, state.seen[1]


def test_objects_that_the_function_makes():
    check(with_objects, rand(3), 3)


def made(x: Tensor):
    return State(x.exp()), x * 2


def test_an_object_as_result():
    x, v = rand(2), rand(2)
    (state, y), (moved, d) = scriptmode.jvp(made, (x,), (v,))
    assert type(state) is type(moved) is State
    torch.testing.assert_close([state.h, *state.seen, y], [x.exp(), x.exp(), x * 2])
    torch.testing.assert_close([moved.h, *moved.seen, d], [x.exp() * v, x.exp() * v, v * 2])


def written(x: Tensor, n: int):
    h = torch.zeros(n, 3, dtype=torch.float64)
    h[0] = x
    for i in range(1, n):
        h[i] = h[i - 1] * x
        h[i, 0].mul_(2)
    h.tanh_()
    y = x * 1
    y.sin_().add_(x)
    y[1:].copy_(h[0, 1:])
    k = torch.arange(3)
    k.add_(1)
    return h, y, k


def test_writes_of_what_the_function_made():
    with_torch(lambda x: written(x, 4), rand(3), is_pulled=False)


def unread(x: Tensor):
    h = x.exp()
    h.zero_()
    g = x.exp()
    g[0] = 1.0
    g.masked_fill_(g > 2, 0.0)
    z = torch.zeros(3, dtype=torch.int64)
    z.copy_(x * 10)
    return h, g, z, z * x


def test_writes_that_end_a_dependence():
    with_torch(unread, rand(3), is_pulled=False)


def numbers(x: Tensor, i: Tensor, mask: Tensor):
    return x[i].sum(), x[mask], x.argmax(), i + 1, x.long() * 2, torch.where(mask, x, 1.0), len(x)


def test_integers_and_bools_have_no_tangent():
    check(numbers, rand(4), torch.tensor([0, 2, 2]), torch.tensor([True, False, True, True]))


def mixed(xs: list[Tensor]):
    total = torch.zeros(1, dtype=torch.float64)
    for x in xs:
        total = total + x.sum() * x[0]
    return total


def test_a_list_with_integers():
    check(mixed, [rand(2), torch.tensor([1, 2]), rand(2)])


def detached(x: Tensor, w: Tensor):
    with torch.no_grad():
        scale = (x * w).sum()
    return x * scale + x.detach() * w


def test_no_grad_and_detach():
    check(detached, rand(3), rand(3), is_smooth=False)


def optional(x: Optional[Tensor], y: Tensor, z: Optional[Tensor] = None):
    if x is None:
        x = y * 2
    w = y if z is None else z * y
    return x.sin() + w, z


def test_optional_tensors():
    check(optional, rand(3), rand(3), rand(3))
    check(optional, None, rand(3))


def fallen_back(x: Tensor, y: Tensor):
    a, b = torch.aminmax(x, dim=1)
    values, _ = torch.linalg.eigh(x @ x.mT)
    parts = torch.tensor_split(x, 2)
    joined = torch.einsum("ij,jk->ik", x, y)
    return (
        a + torch.digamma(b + 1),
        values,
        parts[0] * 2,
        joined,
        torch.linalg.norm(x),
        x.cumprod(0),
    )


def test_ops_that_torch_pushes_forward():
    with_torch(fallen_back, rand(3, 3), rand(3, 3))


def in_complex(x: Tensor):
    z = torch.complex(x, x.sin())
    w = (z * z.exp() / (z + 2)).pow(2).tanh().sqrt().log()
    return w, z.abs(), torch.view_as_real(w), z.conj() * z, z.real


def test_complex_tensors():
    with_torch(in_complex, rand(3) + 0.5)
    z = torch.complex(rand(2), rand(2))
    v = torch.complex(rand(2), rand(2))

    def function(z):
        return z.exp() * z.abs(), (z * z).sin() / (z + 1)

    torch.testing.assert_close(scriptmode.jvp(function, (z,), (v,)), func.jvp(function, (z,), (v,)))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.norm = torch.nn.LayerNorm(4)
        self.batch = torch.nn.BatchNorm2d(4)
        self.out = torch.nn.Linear(4, 2)

    def forward(self, x: Tensor, n: int) -> Tensor:
        y = F.max_pool2d(F.gelu(self.batch(self.conv(x))), 2).mean([2, 3])
        for _ in range(n):
            y = self.norm(y + y.sigmoid())
        return F.log_softmax(self.out(y), 1)


def test_a_module():
    torch.manual_seed(0)
    net = Net().double().eval()
    for p in net.parameters():
        p.requires_grad_(False)
    check(net, rand(2, 2, 4, 4), 2)


def test_a_module_that_trains_updates_its_statistics_once():
    torch.manual_seed(0)
    for has_pushed in (False, True):
        eager = (TrainedBeside() if has_pushed else Trained()).double()
        ours = copy.deepcopy(eager).requires_grad_(False)
        scripted = scriptmode.script(ours)
        x, v = rand(3, 2, 4, 4), rand(3, 2, 4, 4)
        eager(x)
        got = scriptmode.jvp(scripted, (x,), (v,))
        if not has_pushed:
            torch.testing.assert_close(got, func.jvp(normalised, (x,), (v,)))
        torch.testing.assert_close(list(ours.buffers()), list(eager.buffers()))
        reason = scripted._dispatcher.primary.pushforwards.reason
        assert reason.startswith("effects beside an op" if has_pushed else "")
        assert bool(reason) == has_pushed


def normalised(x):
    return F.max_pool2d(F.batch_norm(x, None, None, training=True), 2)


class Trained(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.batch = torch.nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.batch(x), 2)


class TrainedBeside(Trained):
    def forward(self, x: Tensor) -> Tensor:
        grid = torch.zeros(3, 1, 1, 2, dtype=torch.float64)
        return F.grid_sample(self.batch(x), grid, align_corners=True)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.out = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)

    def forward(self, x: Tensor, n: int) -> Tensor:
        for _ in range(n):
            x = x + 0.5
        return self.out(self.inner(x).tanh()).softmax(1)


def test_a_module_whose_parameters_require_gradients():
    torch.manual_seed(0)
    net = Small().double()
    scripted = scriptmode.script(net)
    x, v = rand(2, 3), rand(2, 3)
    want = func.jvp(lambda x: net(x, 1), (x,), (v,))
    with torch.no_grad():
        got = scriptmode.jvp(scripted, (x, 1), (v, 1))
    torch.testing.assert_close(got, want)
    assert not scripted._dispatcher.primary.pushforwards.reason
    scriptmode.jvp(scripted, (x, 1), (v, 1))[1].square().sum().backward()
    got = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    net.zero_grad()
    func.jvp(lambda x: net(x, 1), (x,), (v,))[1].square().sum().backward()
    torch.testing.assert_close(got, [p.grad for p in net.parameters() if p.grad is not None])
    assert not scripted._dispatcher.primary.pushforwards.reason
    x.requires_grad_()
    v.requires_grad_()
    both = []
    for function in (scriptmode.jvp, func.jvp):
        target, given = (scripted, (x, 1)) if function is scriptmode.jvp else (net_of(net), (x,))
        result, tangent = function(target, given, (v, 1)[: len(given)])
        total = result.square().sum() + tangent.square().sum()
        first = torch.autograd.grad(total, (x, v), create_graph=True)
        both.append((first, torch.autograd.grad(first[0].square().sum(), (x, v))))
    torch.testing.assert_close(*both)


def net_of(net):
    return lambda x: net(x, 1)


def test_effects_of_a_result_to_differentiate_again_happen_once(capfd):
    x = rand(2).requires_grad_()
    scriptmode.jvp(printed, (x,), (x,))[1].sum().backward()
    assert capfd.readouterr().out == "once\n"
    torch.testing.assert_close(x.grad, torch.full_like(x, 2))
    assert reason_of(printed).startswith("a result to differentiate again")


def cubes(v):
    return (v**3).sum() + v.prod()


def test_derivatives_of_derivatives():
    v, d = rand(3), rand(3)
    want = func.jvp(func.grad(cubes), (v,), (d,))

    def slope(v):
        return scriptmode.grad(cubes)(v)

    torch.testing.assert_close(scriptmode.jvp(slope, (v,), (d,))[1], want[1])

    def along(x):
        return scriptmode.jvp(cubes, (x,), (d,))[1]

    x = v.clone().requires_grad_()
    (again,) = torch.autograd.grad(along(x), x)
    torch.testing.assert_close(again, func.hessian(cubes)(v) @ d)
    rows = [scriptmode.jvp(slope, (v,), (e,))[1] for e in torch.eye(3, dtype=torch.float64)]
    torch.testing.assert_close(torch.stack(rows), func.hessian(cubes)(v))


def test_the_result_requires_no_gradient_unless_something_does():
    result, tangent = scriptmode.jvp(cubes, (rand(3),), (rand(3),))
    assert not result.requires_grad and not tangent.requires_grad
    v = rand(3).requires_grad_()
    assert scriptmode.jvp(cubes, (rand(3),), (v,))[1].requires_grad


def attempted(x: Tensor):
    try:
        y = x.reshape(7)
    except RuntimeError:
        y = x * x
    return y.sum()


def test_what_has_no_forward_program_goes_the_other_way():
    compiled = check(attempted, rand(3), reason="prim::Try is not differentiated")
    assert "jvp pulls back twice: prim::Try" in scriptmode.explain(compiled)
    check(lambda x, *rest: x * rest[0], rand(3), rand(3), reason="it takes any number")


def changed(xs: list[Tensor], x: Tensor):
    xs[0] = xs[0] * x
    xs.append(x.sin())
    if len(xs) > 5:
        raise ValueError("too long")
    return xs, xs[0] * xs[1]


def test_a_list_that_the_function_changes_is_a_copy_as_in_torch():
    xs, x, v = [rand(2), rand(2)], rand(2), ([rand(2), rand(2)], rand(2))
    want = func.jvp(changed, (xs, x), v)
    torch.testing.assert_close(scriptmode.jvp(changed, (xs, x), v), want)
    assert len(xs) == 2 and not reason_of(changed)
    many = [rand(2) for _ in range(5)]
    with pytest.raises(ValueError, match="too long"):
        scriptmode.jvp(changed, (many, x), (many, x))
    assert len(many) == 5
    result, tangent = scriptmode.jvp(appended, (xs,), (v[0],))
    assert result[0] is result[1] and tangent[0] is tangent[1]


def appended(xs: list[Tensor]):
    xs.append(xs[0] * 2)
    return xs, xs


def printed(x: Tensor):
    print("once")
    return x * 2


def test_effects_happen_once(capfd):
    with_torch(printed, rand(2))
    capfd.readouterr()
    scriptmode.jvp(printed, (rand(2),), (rand(2),))
    assert capfd.readouterr().out == "once\n"


def random(x: Tensor):
    return F.dropout(x, 0.5) + torch.rand_like(x) * x


def test_random_numbers_are_those_of_one_call():
    x, v = rand(20), rand(20)
    torch.manual_seed(5)
    result, tangent = scriptmode.jvp(random, (x,), (v,))
    drawn_after = torch.rand(1)
    torch.manual_seed(5)
    want = random(x)
    torch.testing.assert_close(result, want)
    assert torch.equal(drawn_after, torch.rand(1))
    torch.testing.assert_close(tangent, result / x * v)


def test_tangents_that_do_not_fit():
    with pytest.raises(RuntimeError, match="shape"):
        scriptmode.jvp(cubes, (rand(3),), (rand(2),))
    with pytest.raises(RuntimeError, match="1 tensors"):
        scriptmode.jvp(cubes, (rand(3),), (1.0,))


def test_a_trace():
    traced = scriptmode.trace(straight, (rand(3, 3), rand(3, 3)))
    primals = rand(3, 3), rand(3, 3)
    tangents = drawn(primals)
    want = func.jvp(straight, primals, tangents)
    torch.testing.assert_close(scriptmode.jvp(traced, primals, tangents), want)
    assert not traced._dispatcher.primary.pushforwards.reason


def test_an_op_that_torch_cannot_push_forward():
    primals = rand(1, 1, 3, 3), rand(1, 2, 2, 2)
    tangents = drawn(primals)
    compiled = scriptmode.script(torch_cannot)
    for _ in range(2):
        torch.manual_seed(3)
        result, tangent = scriptmode.jvp(compiled, primals, tangents)
        torch.manual_seed(3)
        torch.testing.assert_close(list(result), list(torch_cannot(*primals)))
        moved = differences(torch_cannot, primals, tangents)[0]
        torch.testing.assert_close(tangent[0], moved, rtol=1e-4, atol=1e-5)
    reason = compiled._dispatcher.primary.pushforwards.reason
    assert reason.startswith("Trying to use forward AD with")


def torch_cannot(x: Tensor, grid: Tensor):
    return F.grid_sample(x, grid, align_corners=True) * 2, torch.rand_like(x)


def twice(xs: list[Tensor], ys: list[Tensor]):
    xs.append(ys[0] * 2)
    return ys[-1] * xs[0]


def test_one_list_given_twice():
    xs, vs = [rand(2)], [rand(2)]
    want = func.jvp(twice, (xs, xs), (vs, vs))
    torch.testing.assert_close(scriptmode.jvp(twice, (xs, xs), (vs, vs)), want)


def scale(x, factor: float = 3.0):
    return x * factor


def test_defaults_and_one_program_for_many_calls():
    x, v = rand(2), rand(2)
    for _ in range(3):
        torch.testing.assert_close(scriptmode.jvp(scale, (x,), (v,)), (x * 3, v * 3))
    torch.testing.assert_close(scriptmode.jvp(scale, (x, 2.0), (v, 2.0)), (x * 2, v * 2))
    (variant,) = compiled_form(scale)._dispatcher.variants
    assert len(variant.pushforwards._made) == 1


def shadowed(x: Tensor):
    xs = [x, x * 2]
    return xs, xs


def test_one_list_twice_in_a_result():
    result, tangent = scriptmode.jvp(shadowed, (rand(2),), (rand(2),))
    assert result[0] is result[1] and tangent[0] is tangent[1]
