"""Programs that the tests export."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from examples.demo import Loop as Loop

import scriptmode


class Settings(torch.nn.Module):
    """State of all sorts that a library may keep."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, 2).t())
        self.tied = self.weight
        self.register_buffer("offset", torch.arange(3))
        self.missing = None
        self.names = ["eins", "zwei", "drüben"]
        self.scale = 2.5
        self.shape = (1, -1)
        self.flags = [(1, True), (2, False)]

    def forward(self, x: torch.Tensor, which: int = 1, factor: float = 0.5):
        name = self.names[which]
        total = 0
        for number, on in self.flags:
            if on:
                total += number
        y = x @ self.weight * self.scale * factor + self.offset
        return y.reshape(self.shape), name.upper() + "!", total, self.tied.sum()


def words(text: str, n: int):
    """Strings, lists, dicts, exceptions inside."""
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + n
    found = [f"{key}={value:>3}" for key, value in counts.items()]
    try:
        found.append(str([1, 2, 3][n]))
    except IndexError as error:
        found.append(f"{type(error).__name__}: {error}")
    return counts, found, (len(text), n / 2, None, n > 2)


def checked(x: torch.Tensor, limit: int):
    """Raises in a function that it calls."""
    return guard(x, limit).sum()


def guard(x: torch.Tensor, limit: int):
    if limit < 0:
        raise ValueError(f"limit {limit} is negative")
    if limit == 1:
        raise KeyError("eins")
    if limit == 2:
        return x[limit + 5]
    if limit == 3:
        return x @ x.reshape(-1, 1, 1)
    return x


def caught(x: torch.Tensor):
    """Errors of torch, caught inside."""
    try:
        return x.view(7, 7), "fits"
    except RuntimeError as error:
        return x, str(error)


def shared(xs: list[torch.Tensor], i: int):
    """A list of tensors, a constant tensor, an index by a tensor."""
    y = xs[i][torch.tensor([1, 0])]
    return [y + x for x in xs], y


def nothing(x: torch.Tensor | None, pair: tuple[int, str]):
    """Optional and tuple arguments."""
    if x is None:
        return pair[0], pair[1]
    return int(x.sum()), pair[1] * 2


def deep(n: int) -> int:
    """Uses up the stack."""
    return 0 if n == 0 else deep(n - 1) + 1


def talking(n: int):
    """Prints."""
    for i in range(n):
        print("line", i, "größer", sep=" | ")
    return n


class SmallCNN(torch.nn.Module):
    """Convolutions, pooling, batch norm, a classifier."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.second = torch.nn.Conv2d(8, 16, 3, padding=1, stride=2, bias=False)
        self.norm = torch.nn.BatchNorm2d(16)
        self.out = torch.nn.Linear(16 * 2 * 2, 10)

    def forward(self, x: torch.Tensor):
        x = F.max_pool2d(F.relu(self.first(x)), 2)
        x = F.avg_pool2d(F.relu(self.norm(self.second(x))), 2)
        return F.log_softmax(self.out(torch.flatten(x, 1)), dim=1)


class Block(torch.nn.Module):
    """A transformer block."""

    def __init__(self, is_causal: bool, width: int = 32, heads: int = 4):
        super().__init__()
        self.is_causal = is_causal
        self.heads = heads
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def split(self, x: torch.Tensor):
        b, t, d = x.shape
        return x.view(b, t, self.heads, d // self.heads).transpose(1, 2)

    def forward(self, x: torch.Tensor):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        q, k, v = self.split(q), self.split(k), self.split(v)
        if self.is_causal:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) / (d // self.heads) ** 0.5
            y = F.softmax(scores, dim=-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Words(torch.nn.Module):
    """Embedded words, a choice of the best, strings and lists beside."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 8)
        self.linear = torch.nn.Linear(8, 4)
        self.names = ["a", "b", "c", "ä"]

    def forward(self, ids: torch.Tensor, extra: torch.Tensor | None = None):
        y = self.linear(self.embedding(ids).mean(1))
        if extra is not None:
            y = y + extra
        if float(y.sum()) > 1e6:
            raise OverflowError("too large")
        found = [name for name in self.names if name > "a"]
        return y.argmax(-1), f"{len(found)} names: {', '.join(found)}", [y, y * 2]


class Switch(torch.nn.Module):
    """Two methods."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3))

    def forward(self, x: torch.Tensor):
        return x * self.weight

    @scriptmode.export
    def inverse(self, x: torch.Tensor, n: int):
        if n < 0:
            raise ValueError(f"{n} is negative")
        for _ in range(n):
            x = x / self.weight
        return x, n
