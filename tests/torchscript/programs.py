"""Functions in the language of TorchScript, with the arguments of their calls."""

import math
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor
from torch.nn import functional as F

PROGRAMS = {}
X = torch.linspace(-2, 2, 12).reshape(3, 4)


def program(*calls):
    """Enter a function, with the arguments of its calls."""

    def enter(function):
        PROGRAMS[function.__name__] = (function, calls)
        return function

    return enter


@program((7, -2), (-7, 2), (0, 5), (7, 0))
def integers(a: int, b: int):
    return a + b, a - b, a * b, a // b, -a, abs(b), a & b, a | b, a ^ b, a << 3, a >> 1


@program((7, 3), (-7, 3), (7, -3))
def remainders(a: int, b: int):
    return a % b, divmod(a, b), float(a) % b, a % 2.5, float(a) // b, divmod(float(a), float(b))


@program((7.5, 2.0), (-7.5, 2.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 0.0), (1.0, 0.1))
def floats(a: float, b: float):
    return a + b, a - b, a * b, a / b, a // b, -a, abs(a), a == b, a < b, a >= b, a % b, a**b


@program((7, 2), (0, 0), (-3, 0), (2, -1))
def int_division_and_power(a: int, b: int):
    return a / b, a**b, a / 2.0, 2.0**b


@program((3, 0.5, True), (0, -1.5, False))
def mixed_numbers(i: int, x: float, b: bool):
    return i + x, x - i, i * x, i / 2, i == x, i < x, int(b) + i, float(b), bool(i), bool(x), int(x)


@program((2.5,), (-2.5,), (0.49,), (3.5,))
def rounding(x: float):
    return round(x), math.floor(x), math.ceil(x), int(x), math.fabs(x)


@program((0.5,), (2.0,), (-1.0,), (0.0,))
def mathematics(x: float):
    return (
        math.sqrt(x), math.log(x), math.exp(x), math.sin(x), math.cos(x), math.atan2(x, 2.0),
        math.log10(x), math.tanh(x), math.asin(x), math.pow(x, 3.0), math.copysign(1.0, x),
        math.isnan(x), math.isinf(x), math.log1p(x), math.erf(x), math.degrees(x),
    )  # fmt: skip


@program((6, 4))
def whole_mathematics(a: int, b: int):
    return math.gcd(a, b), math.factorial(a), math.sqrt(a), math.log(a, b), math.pi, math.inf


@program((1 + 2j, 2.0), (0j, 1.0))
def complexes(z: complex, x: float):
    return z + x, z * z, z - 1, abs(z), z == z, complex(x, 3.0)


@program((3, 5), (5, 3))
def extremes(a: int, b: int):
    xs = [a, b, 4]
    return min(a, b), max(a, b), min(xs), max(xs), max(a, 2.5), sum(xs), min([1.5, 0.5])


@program((True, False), (False, False), (True, True))
def booleans(a: bool, b: bool):
    return a and b, a or b, not a, a == b, a != b, a ^ b, a & b, a | b, any([a, b]), all([a, b])


@program((5,), (-5,), (0,))
def choices(n: int):
    if n > 3:
        found = "large"
    elif n < 0:
        found = "negative"
    else:
        found = "small"
    return found, "even" if n % 2 == 0 else "odd", n if n > 0 else 0


@program((10,), (3,), (0,))
def early_returns(n: int) -> int:
    if n > 5:
        return 100
    for i in range(n):
        if i == 2:
            return i * 10
    return -1


@program((12,), (0,))
def while_loops(n: int):
    total, steps = 0, 0
    while n > 0:
        n -= 1
        if n % 3 == 0:
            continue
        if total > 20:
            break
        total += n
        steps += 1
    return total, steps


@program((4,), (1,))
def nested_loops(n: int):
    found: List[int] = []
    for i in range(n):
        for j in range(i, -2, -1):
            if j == 1:
                break
            found.append(i * 10 + j)
    return found


@program(([3, 1, 2], 5), ([], 1))
def list_methods(xs: List[int], n: int):
    ys = xs + [n]
    ys.append(7)
    ys.insert(1, 9)
    ys.extend([4, 4])
    ys.reverse()
    last = ys.pop()
    first = ys.pop(0)
    ys.remove(4)
    copied = ys.copy()
    copied.sort()
    copied.sort(reverse=True)
    ys[0] = 11
    return ys, copied, last, first, len(ys), ys.index(9), ys.count(4), 7 in ys, ys[-1], sorted(ys)


@program(([1, 2, 3, 4, 5],))
def list_slices(xs: List[int]):
    ys = [x * 2 for x in xs]
    ys += [1]
    return xs[1:3], xs[::2], xs[-2:], xs[:10], xs[::-1], ys, xs * 2, [0] * 3, xs == ys, xs != ys


@program(([1, 2], 5), ([1, 2], 1), ([], 0))
def index_errors(xs: List[int], i: int):
    return xs[i]


@program((2,))
def lists_of_lists(n: int):
    grid = [[0 for _ in range(n)] for _ in range(n)]
    row = grid[0]
    row[1] = 5
    names: List[str] = []
    for i, line in enumerate(grid):
        for a, b in zip(line, [10, 20]):
            names.append(str(a + b + i))
    return grid, names


@program(({"a": 1, "b": 2}, "a"), ({"b": 2}, "b"))
def dict_methods(d: Dict[str, int], key: str):
    e = d.copy()
    e["z"] = 26
    e.update({"y": 25})
    popped = e.pop(key)
    default = e.pop("none", -1)
    e.setdefault("w", 23)
    del e["z"]
    total = 0
    for k, v in e.items():
        total += v * len(k)
    for k in d:
        total += d[k]
    keys, values = list(e.keys()), list(e.values())
    return e, popped, default, total, keys, values, key in e, e.get("w"), e.get("q", 9), len(e)


@program(({1: "a"}, 1), ({1: "a"}, 2))
def missing_keys(d: Dict[int, str], key: int):
    return d[key]


@program((3,))
def dict_makers(n: int):
    squares = {i: i * i for i in range(n)}
    floats: Dict[float, List[int]] = {0.5: [1]}
    floats[0.5].append(2)
    empty: Dict[str, Tensor] = {}
    first = squares.popitem()
    return squares, floats, len(empty), first, dict([("a", 1), ("b", 2)])


@program((1, "a", 2.5))
def tuples(a: int, s: str, x: float):
    t = (a, s, x)
    b, c, d = t
    nested = (t, (b, (c, d)))
    return t[0], t[-1], nested[1][1][0], t[1:], (a, a, a)[a], len(t), t + (b,)


@program(("Hello World", "o"), ("", "x"))
def text_methods(s: str, part: str):
    return (
        s.upper(), s.lower(), s.title(), s.swapcase(), s.strip(), s.split(), s.split("l"), s.split(" ", 1),
        s.find(part), s.rfind(part), s.count(part), s.startswith("He"), s.endswith("ld"), s.replace(part, "0"),
        part in s, s + part, "-".join([s, part]), s.isalpha(), s.isdigit(), s.center(15, "*"), s.ljust(13),
        s.rjust(13), s.zfill(13), s.partition(part), s.capitalize(), len(s), s == part, s < part,
    )  # fmt: skip


@program(("abcdef", 2))
def text_subscripts(s: str, i: int):
    letters: List[str] = []
    for c in s:
        letters.append(c)
    return s[i], s[-1], s[1:4], s[::2], letters, ord(s[0]), chr(98), hex(i), bin(i), oct(i)


@program((3, "x", True, [1, 2]))
def formats(n: int, s: str, b: bool, xs: List[int]):
    return (
        "{} and {}".format(n, s), f"{n}-{s}-{b}", "%d %s" % (n, s), str(n) + str(b), "{}".format(xs),
        f"{n + 1}", int("12") + n, float("1.5"),
    )  # fmt: skip


@program(("é\n\"'\\\t",))
def text_literals(s: str):
    return s == "é\n\"'\\\t", "日本" + s, "\x01\x7f"


@program((None, X), (X + 1, X), (X, X))
def options(x: Optional[Tensor], y: Tensor):
    if x is None:
        return y
    if x is not None and x.sum() > 0:
        return x + y
    return x - y


@program((None,), (3,))
def optional_numbers(n: Optional[int]):
    m: Optional[int] = n
    found: List[Optional[int]] = [n, None, 4]
    if m is None:
        m = 10
    return m + 1, found


@program((3,), ("a",), (X,))
def unions(value: Union[int, str, Tensor]) -> str:
    if isinstance(value, int):
        return "int " + str(value + 1)
    elif isinstance(value, str):
        return "str " + value
    else:
        return "tensor"


@program((3,), ("a",), (2.5,))
def any_values(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return len(value)
    if torch.jit.isinstance(value, List[int]):
        return value[1]
    return -1


@program((X,), ([X, X],))
def bare_containers(x: Union[Tensor, List[Tensor]]):
    if isinstance(x, (list, tuple)):
        return torch.stack(x)
    else:
        assert isinstance(x, Tensor)
        return x + 1


def counted(n: int, x: float):
    return n, x


@program((torch.tensor(3), torch.tensor(1.5)))
def implicit_conversions(n: Tensor, x: Tensor):
    item = x.item()
    return (
        counted(n, x), torch.zeros(n), max(int(n), 2), n.item(), math.ceil(item), math.floor(n.item()), item + 1,
        item * 2.5, item > 1, -item, item / 2, max(item, 2), n.item() // 2, item == n.item(), int(item), math.sqrt(item),
    )  # fmt: skip


@program((5,), (-5,))
def errors(n: int):
    if n < 0:
        raise ValueError(f"negative: {n}")
    assert n < 10, "too large"
    return n


@program((20,), (5,))
def assertions(n: int):
    assert n < 10, "too large"
    return n


class Pair(NamedTuple):
    first: Tensor
    second: int


class Nested(NamedTuple):
    pair: Pair
    name: str


@program((X, 4))
def named_tuples(x: Tensor, n: int):
    pair = Pair(x, n)
    nested = Nested(pair, "a")
    first, second = pair
    return Pair(first + 1, second + nested.pair.second), nested.name, pair[1], nested


@program((X,), (X[:, :2],))
def tensor_subscripts(x: Tensor):
    y = x.clone()
    y[0] = 1
    y[1:, 0] += 5
    y[y > 1] = 0
    i = torch.tensor([0, 1])
    return y, x[0], x[:, 1], x[..., None], x[i], x[:, i], x[1:, ::2], x[x > 0], x[0, 1], x[-1]


@program((X,))
def tensor_attributes(x: Tensor):
    return (
        x.shape, x.size(), x.size(0), x.dim(), x.ndim, x.numel(), x.stride(), x.requires_grad, x.is_cuda,
        x.device == torch.device("cpu"), x.dtype == torch.float32, x.dtype, len(x), x.is_floating_point(),
        x.layout == torch.strided, x.itemsize, x.T.shape,
    )  # fmt: skip


@program((X,))
def tensor_conversions(x: Tensor):
    n = int(x.sum()) + int(x[0, 0])
    f = float(x[0, 1])
    item = x[0, 0].item()
    if bool(x.sum() > 100):
        n += 1
    if x[0, 0] < 0:
        n += 10
    doubled: List[float] = x[0].tolist()
    return (
        n,
        f,
        item,
        x.double(),
        x.to(torch.int64),
        x.to("cpu"),
        x.long(),
        x.half().float(),
        doubled,
    )


@program((X, 3))
def factories(x: Tensor, n: int):
    return (
        torch.zeros(n, 2), torch.ones([n]), torch.full((2,), n), torch.full([2], 1.5), torch.arange(n),
        torch.arange(1, n, dtype=torch.float32), torch.empty(0), torch.eye(n), torch.linspace(0, 1, n),
        torch.tensor([1, 2]), torch.tensor(1.5), torch.tensor([[1.0], [2.0]]), torch.tensor(n, dtype=torch.int32),
        torch.zeros_like(x), x.new_zeros([n]), torch.zeros(2, dtype=x.dtype, device=x.device),
        torch.tensor([True, False]), torch.as_tensor(n), torch.randn(n, generator=None),
    )  # fmt: skip


@program((X, X.T.contiguous()))
def products(x: Tensor, y: Tensor):
    return (
        x @ y, torch.mm(x, y), x.matmul(y), torch.bmm(x[None], y[None]), torch.einsum("ij,jk->ik", x, y),
        F.linear(x, x), torch.addmm(x @ y, x, y, beta=0.5), torch.dot(x[0], x[1]), torch.outer(x[0], x[1]),
    )  # fmt: skip


@program((X,))
def reductions(x: Tensor):
    values, indices = x.max(1)
    return (
        x.sum(), x.sum(0), x.sum([0, 1], keepdim=True), x.mean(-1), x.max(), values, indices, x.argmax(1),
        x.std(), x.norm(), x.prod(), x.cumsum(0), torch.softmax(x, 1), F.log_softmax(x, dim=-1), x.sort(1),
        x.topk(2), x.any(), torch.logsumexp(x, 1), torch.median(x), x.var(0, unbiased=False), torch.min(x, dim=0),
    )  # fmt: skip


@program((X, 2))
def movements(x: Tensor, n: int):
    a, b = x.chunk(2, 1)
    parts = x.split([1, 2])
    return (
        torch.cat([x, x], 0), torch.stack([x, x], dim=1), a, b, parts, x.view(-1), x.reshape(4, 3), x.permute(1, 0),
        x.transpose(0, 1), x.unsqueeze(0).squeeze(0), x.expand(2, 3, 4), x.flip(0), x.roll(1, 1), x.repeat(1, n),
        x.flatten(), torch.tile(x, (2, 1)), x.narrow(1, 0, 2), x.unbind(0), F.pad(x, [1, 1]), x.split(n, 1),
        torch.where(x > 0, x, -x), x.masked_fill(x > 0, 0.0), x.gather(1, torch.zeros(3, 1, dtype=torch.long)),
    )  # fmt: skip


@program((X, 2), (X, 0))
def pointwise(x: Tensor, n: int):
    y = x.clone()
    y += n
    y *= 2
    y.clamp_(-1, 1)
    return (
        x + n, n - x, x * 2.5, x / 2, 3 / (x + 10), x**2, 2**x, -x, abs(x), x // 2, x % 2, x > n, x == x, y,
        torch.add(x, x, alpha=n), x.exp().log1p(), F.gelu(x), F.relu(x), torch.sigmoid(x), F.leaky_relu(x, 0.1),
        torch.maximum(x, -x), x.clamp(min=0), (x > 0) & (x < 1), ~(x > 0), F.elu(x), F.hardtanh(x), x.round(),
    )  # fmt: skip


@program((torch.arange(6).reshape(2, 3), torch.tensor([2, 3, 4])))
def whole_tensors(x: Tensor, y: Tensor):
    return (
        x + y,
        x / y,
        x // y,
        x % y,
        x.sum(),
        x.float().mean(),
        x == 2,
        x & y,
        torch.bitwise_xor(x, y),
        x << 1,
    )


@program((torch.randn(2, 3, 8, 8),))
def images(x: Tensor):
    weight = torch.ones(4, 3, 3, 3)
    return (
        F.conv2d(x, weight, None, [1, 1], [1, 1]), F.max_pool2d(x, 2), F.avg_pool2d(x, 2), F.adaptive_avg_pool2d(x, 1),
        F.interpolate(x, scale_factor=2.0, mode="nearest"), F.interpolate(x, size=[4, 4], mode="bilinear"),
        F.layer_norm(x, [8, 8]), F.group_norm(x, 3), F.instance_norm(x), F.dropout(x, 0.5, False), F.unfold(x, 3),
        F.normalize(x, dim=1), F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), x.to(memory_format=torch.channels_last),
    )  # fmt: skip


@program((X, torch.tensor([0, 1, 2])))
def losses(x: Tensor, y: Tensor):
    return (
        F.cross_entropy(x, y), F.nll_loss(F.log_softmax(x, 1), y), F.mse_loss(x, x + 1), F.l1_loss(x, x * 2),
        F.smooth_l1_loss(x, x + 2), F.binary_cross_entropy_with_logits(x, torch.ones(3, 4)), F.one_hot(y, 4),
        F.cosine_similarity(x, x + 1), F.kl_div(F.log_softmax(x, 1), torch.softmax(x, 1), reduction="batchmean"),
    )  # fmt: skip


def helper(x: Tensor, scale: float = 2.0, offset: int = 1) -> Tensor:
    return x * scale + offset


def twice(x: Tensor) -> Tuple[Tensor, int]:
    return helper(helper(x, 3.0), offset=5), x.dim()


@program((X,))
def calls(x: Tensor):
    y, n = twice(x)
    return helper(y), helper(y, offset=n), [helper(p) for p in x.unbind(0)]


@program((X,))
def tasks(x: Tensor):
    first = torch.jit.fork(helper, x, 2.0)
    futures: List[torch.jit.Future[Tensor]] = []
    for i in range(3):
        futures.append(torch.jit.fork(helper, x, float(i)))
    found = [torch.jit.wait(f) for f in futures]
    return torch.jit.wait(first), torch.stack(found)


@program((X,))
def modes(x: Tensor):
    with torch.no_grad():
        y = x * 2
        inside = torch.is_grad_enabled()
    return y, inside


@program((X, 3))
def carried_types(x: Tensor, n: int):
    best: Optional[Tensor] = None
    for i in range(n):
        y = x * i
        if best is None or y.sum() >= best.sum():
            best = y
    assert best is not None
    return best


@program((X,))
def gradients(x: Tensor):
    y = x.detach().requires_grad_()
    z = (y * y * y).sum()
    g = torch.autograd.grad([z], [y], create_graph=True, retain_graph=True)[0]
    assert g is not None
    g.sum().backward()
    return g.detach(), y.grad


@program((X,))
def printed(x: Tensor):
    print("shape", x.size(0), [1, 2])
    return x


@program((6,))
def comprehensions(n: int):
    evens = [i for i in range(n)]
    words = [str(i) + "!" for i in evens]
    return evens, words, [len(w) for w in words], {w: i for i, w in enumerate(words)}


@program((X, True), (X, False))
def dtypes(x: Tensor, is_given: bool):
    dtype: Optional[torch.dtype] = torch.float64 if is_given else None
    return (
        x.to(torch.float16),
        torch.zeros(2, dtype=dtype),
        x.sum(dtype=dtype),
        torch.softmax(x, 0, dtype=dtype),
    )


@program((X,))
def random_numbers(x: Tensor):
    return (
        torch.rand_like(x),
        torch.randint(0, 5, (3,)),
        F.dropout(x, 0.5),
        torch.normal(0.0, 1.0, [2]),
    )
