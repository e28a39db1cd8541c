"""Modules in the language of TorchScript."""

import enum
from typing import Any, Dict, Final, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


class Pair(NamedTuple):
    first: Tensor
    second: int


class Plain(nn.Module):
    """parameters, buffers and submodules"""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 4)
        self.weight = nn.Parameter(torch.ones(4))
        self.frozen = nn.Parameter(torch.full([4], 2.0), requires_grad=False)
        self.register_buffer("scale", torch.arange(4.0))
        self.register_buffer("none", None)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.lin(x)) * self.weight + self.scale * self.frozen


class State(nn.Module):
    """attributes that methods change"""

    tags = ("state",)
    maybe: Optional[int]
    last: Optional[Tensor]

    def __init__(self):
        super().__init__()
        self.count = 0
        self.rate = 0.5
        self.name = "é\n"
        self.flag = True
        self.seen: List[int] = [1, 2]
        self.table: Dict[str, Tensor] = {"a": torch.ones(2)}
        self.pair: Tuple[int, str] = (3, "x")
        self.maybe = None
        self.last = None
        self.register_buffer("total", torch.zeros(()))
        self.plain = torch.ones(2)

    def forward(self, x: Tensor) -> Tuple[Tensor, int, List[int], float]:
        self.count += 1
        self.seen.append(self.count)
        self.table[str(self.count)] = x
        self.total += x.sum()
        self.rate = self.rate * 2
        last = self.last
        if last is not None:
            x = x + last
        self.last = x
        self.plain = self.plain + x.sum()
        if self.maybe is None:
            self.maybe = 5
        return self.total + self.plain, self.count + len(self.table), self.seen, self.rate

    @torch.jit.export
    def texts(self, s: str) -> Tuple[str, bool, Tuple[int, str]]:
        return self.name + s, self.flag, self.pair

    @torch.jit.export
    def reset(self) -> None:
        self.count = 0
        self.seen.clear()


class Constants(nn.Module):
    """constants, enumerations and named tuples"""

    size: Final[int] = 3
    names: Final[List[str]]

    def __init__(self):
        super().__init__()
        self.names = ["a", "b"]
        self.color = Color.RED
        self.mode = Mode.SLOW

    def forward(self, x: Tensor, color: Color) -> Tuple[Pair, bool, int, str, str]:
        if color == Color.BLUE:
            x = x * self.size
        same = color == self.color
        return Pair(x, self.size), same, color.value, self.mode.value, self.color.name

    @torch.jit.export
    def pick(self, mode: Mode) -> Mode:
        if mode != Mode.FAST:
            return Mode.FAST
        return self.mode


class Lists(nn.Module):
    """module lists and dicts, sequences, sharing"""

    def __init__(self):
        super().__init__()
        self.many = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])
        self.named = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)})
        self.first = self.many[0]
        self.seq = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Dropout(0.5))
        self.params = nn.ParameterList([nn.Parameter(torch.ones(3))])

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.many):
            x = layer(x) + i
        total = torch.zeros(2)
        for name, layer in self.named.items():
            total = total + layer(x).sum(0)
        x = self.seq(self.first(x))
        for p in self.params:
            x = x * p
        return torch.cat([x.flatten(), total])


@torch.jit.interface
class Step:
    def run(self, x: Tensor) -> Tensor:
        pass


@torch.jit.script
class Twice:
    def __init__(self, factor: int):
        self.factor = factor

    def run(self, x: Tensor) -> Tensor:
        return x * self.factor


@torch.jit.script
class Plus:
    def __init__(self):
        self.amount = 1.5
        self.calls: List[int] = []

    def run(self, x: Tensor) -> Tensor:
        self.calls.append(1)
        return x + self.amount


class Counter:
    def __init__(self, start: int, names: List[str]):
        self.value = start
        self.names = names
        best: Optional[Tensor] = None
        self.best = best

    def add(self, x: Tensor, n: int = 1) -> int:
        self.value += n
        self.best = x
        self.names.append(str(self.value))
        return self.value

    @property
    def size(self) -> int:
        return len(self.names)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> str:
        return self.names[i]


class Classes(nn.Module):
    """classes of the user, interfaces"""

    def forward(self, x: Tensor, n: int) -> Tuple[Tensor, int, List[str], int, str]:
        counter = Counter(n, ["start"])
        same = counter
        same.add(x, 3)
        counter.add(x + 1)
        steps: List[Step] = []
        for i in range(n):
            step: Step = Twice(i)
            steps.append(step)
        last: Step = Plus()
        steps.append(last)
        for step in steps:
            x = step.run(x)
        best = counter.best
        if best is not None:
            x = x + best
        return x, counter.value, counter.names, len(counter), counter[-1]


@torch.jit.interface
class Layer(nn.Module):
    def forward(self, input: Tensor) -> Tensor:
        pass


class Interfaces(nn.Module):
    """submodules behind an interface"""

    layer: Layer
    other: Layer

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.other = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.layer(x))


class Tasks(nn.Module):
    """tasks over submodules"""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.jit.fork(self.a, x)
        second = self.b(x)
        return torch.jit.wait(first) + second


class Grad(nn.Module):
    """a mode of the autograd engine"""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        with torch.no_grad():
            y = self.lin(x)
        return y, self.lin(x)


class Raising(nn.Module):
    """errors below other calls"""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)

    def forward(self, x: Tensor, n: int) -> Tensor:
        if n > 2:
            raise IndexError("n is {}".format(n))
        if n < 0:
            raise NotImplementedError
        for i in range(n):
            if i == 1:
                raise RuntimeError("in a loop")
            x = self.lin(x)
        return x


class Optional_(nn.Module):
    """parts that are not there"""

    def __init__(self, bias: bool = False):
        super().__init__()
        self.lin = nn.Linear(3, 3, bias=False)
        self.norm = nn.LayerNorm(3) if bias else None
        self.bias = None

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        x = self.lin(x)
        if self.norm is not None:
            x = self.norm(x)
        if mask is not None:
            x = x.masked_fill(mask, 0.0)
        if self.bias is not None:
            x = x + self.bias
        return x


class Attention(nn.Module):
    """layers of a transformer"""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        x = self.layer(x)
        return self.attention(x, x, x)


class Recurrent(nn.Module):
    """recurrent layers and cells"""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(8, 4)
        self.cell = nn.LSTMCell(4, 4)
        self.rnn = nn.RNNCell(4, 4)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        y, (h, c) = self.lstm(x)
        z, _ = self.gru(y)
        state = (torch.zeros(x.size(0), 4), torch.ones(x.size(0), 4))
        for i in range(3):
            state = self.cell(z[:, 0], state)
        return self.rnn(state[0], state[1]), h + c


class Convolutions(nn.Module):
    """a small network for images"""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3, groups=2), nn.GroupNorm(2, 4), nn.SiLU(), nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self.up = nn.ConvTranspose2d(4, 2, 2)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        y = self.features(x)
        return F.softmax(self.head(y.flatten(1)), dim=1), self.up(y)


class Embeddings(nn.Module):
    """embeddings and losses"""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4, padding_idx=0)
        self.bag = nn.EmbeddingBag(10, 4)
        self.loss = nn.CrossEntropyLoss()
        self.norm = nn.LayerNorm(4)

    def forward(self, ids: Tensor) -> Tuple[Tensor, Tensor]:
        x = self.norm(self.table(ids))
        return self.loss(x.reshape(-1, 4), ids.reshape(-1) % 4), self.bag(ids)


class Hooked(nn.Module):
    """values of every type as an argument"""

    def forward(
        self, x: Tensor, values: Dict[str, List[Tensor]], any_: Any = None
    ) -> Dict[str, Tensor]:
        found: Dict[str, Tensor] = {}
        for k, v in values.items():
            found[k] = torch.stack(v).sum() + x.sum()
        return found


Y = torch.linspace(-1, 1, 6).reshape(2, 3)
IMAGE = torch.linspace(-1, 1, 3 * 64).reshape(1, 3, 8, 8)
MODULES = {
    Plain: [(Y,)],
    State: [(Y,), (Y + 1,)],
    Lists: [(Y,)],
    Classes: [(Y, 3), (Y, 0)],
    Interfaces: [(Y,)],
    Tasks: [(Y,)],
    Grad: [(Y,)],
    Raising: [(Y, 3), (Y, 2), (Y, 1), (Y, -1)],
    Optional_: [(Y,), (Y, Y > 0)],
    Attention: [(torch.linspace(-1, 1, 48).reshape(2, 3, 8),)],
    Recurrent: [(torch.linspace(-1, 1, 24).reshape(2, 4, 3),)],
    Convolutions: [(IMAGE,)],
    Embeddings: [(torch.tensor([[1, 2, 0], [3, 9, 4]]),)],
    Hooked: [(Y, {"a": [Y, Y], "b": [Y + 1]})],
}
