"""Programs that the tests export."""

from __future__ import annotations

import torch
from examples.demo import Loop as Loop


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
