"""Stand-ins for models that people trace: attention with masks, rotary embeddings, conv features."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from scriptmode.frontend.trace import trace_function
from tests.frontend.trace.helpers import agrees, run, trace_agrees, warnings_of


class BertAttention(nn.Module):
    def __init__(self, hidden=16, heads=4):
        super().__init__()
        self.heads, self.size = heads, hidden // heads
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.output = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(0.1)

    def split(self, x):
        return x.view(*x.size()[:-1], self.heads, self.size).permute(0, 2, 1, 3)

    def forward(self, hidden, mask=None):
        q, k, v = self.split(self.query(hidden)), self.split(self.key(hidden)), None
        v = self.split(self.value(hidden))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.size)
        if mask is not None:
            scores = scores + mask
        context = torch.matmul(self.dropout(F.softmax(scores, dim=-1)), v)
        context = context.permute(0, 2, 1, 3).contiguous()
        context = context.view(context.size()[:-2] + (self.heads * self.size,))
        return self.norm(self.output(context) + hidden)


class Bert(nn.Module):
    def __init__(self, vocabulary=20, hidden=16):
        super().__init__()
        self.words = nn.Embedding(vocabulary, hidden, padding_idx=0)
        self.positions = nn.Embedding(32, hidden)
        self.register_buffer("position_ids", torch.arange(32).expand((1, -1)), persistent=False)
        self.layers = nn.ModuleList(BertAttention(hidden) for _ in range(2))

    def forward(self, ids, mask):
        positions = self.position_ids[:, : ids.size(1)]
        x = self.words(ids) + self.positions(positions)
        extended = mask[:, None, None, :].to(dtype=x.dtype)
        extended = (1.0 - extended) * torch.finfo(x.dtype).min
        for layer in self.layers:
            x = layer(x, extended)
        return x, torch.tanh(x[:, 0])


def bert_inputs(batch, length):
    ids = torch.randint(0, 20, (batch, length))
    mask = torch.ones_like(ids)
    mask[0, -2:] = 0
    return ids, mask


def test_bert_follows_batch_and_length():
    for training in (True, False):
        model = Bert().train(training)
        trace_agrees(model, bert_inputs(2, 6), bert_inputs(3, 9))


def rotate_half(x):
    x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return torch.cat((-x2, x1), dim=-1)


class Rotary(nn.Module):
    def __init__(self, size):
        super().__init__()
        inverse = 1.0 / (10000 ** (torch.arange(0, size, 2).float() / size))
        self.register_buffer("inverse", inverse, persistent=False)

    @torch.no_grad()
    def forward(self, x, positions):
        inverse = self.inverse[None, :, None].float().expand(positions.shape[0], -1, 1)
        frequencies = (inverse @ positions[:, None, :].float()).transpose(1, 2)
        angles = torch.cat((frequencies, frequencies), dim=-1)
        return angles.cos().to(dtype=x.dtype), angles.sin().to(dtype=x.dtype)


def repeat_kv(x, n):
    batch, heads, length, size = x.shape
    x = x[:, :, None, :, :].expand(batch, heads, n, length, size)
    return x.reshape(batch, heads * n, length, size)


class Llama(nn.Module):
    def __init__(self, hidden=16, heads=4, groups=2):
        super().__init__()
        self.size, self.n = hidden // heads, heads // groups
        self.norm = nn.RMSNorm(hidden)
        self.rotary = Rotary(self.size)
        self.q = nn.Linear(hidden, hidden, bias=False)
        self.k = nn.Linear(hidden, groups * self.size, bias=False)
        self.v = nn.Linear(hidden, groups * self.size, bias=False)
        self.o = nn.Linear(hidden, hidden, bias=False)
        self.gate, self.up = nn.Linear(hidden, 24), nn.Linear(hidden, 24)
        self.down = nn.Linear(24, hidden)

    def forward(self, x):
        batch, length, _ = x.shape
        positions = torch.arange(length, device=x.device).unsqueeze(0)
        shape = (batch, length, -1, self.size)
        y = self.norm(x)
        q, k, v = (f(y).view(shape).transpose(1, 2) for f in (self.q, self.k, self.v))
        cos, sin = self.rotary(v, positions)
        q = q * cos + rotate_half(q) * sin
        k = k * cos + rotate_half(k) * sin
        k, v = repeat_kv(k, self.n), repeat_kv(v, self.n)
        mask = torch.full((length, length), float("-inf")).triu(1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, -1))
        return x + self.down(F.silu(self.gate(x)) * self.up(x))


def test_llama_follows_batch_and_length():
    trace_agrees(Llama(), (torch.randn(2, 5, 16),), (torch.randn(3, 8, 16),))


class Wav2Vec(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [nn.Conv1d(1, 8, 10, 5, bias=False), nn.Conv1d(8, 8, 3, 2, bias=False)]
        )
        self.group_norm = nn.GroupNorm(8, 8)
        self.project = nn.Linear(8, 16)
        position = nn.Conv1d(16, 16, 16, padding=8, groups=4)
        self.position = nn.utils.parametrizations.weight_norm(position, name="weight", dim=2)
        self.attention = BertAttention()

    def lengths(self, n):
        for convolution in self.convolutions:
            kernel, stride = convolution.kernel_size[0], convolution.stride[0]
            n = torch.div(n - kernel, stride, rounding_mode="floor") + 1
        return n

    def forward(self, audio, mask):
        x = audio[:, None]
        for index, convolution in enumerate(self.convolutions):
            x = convolution(x)
            if index == 0:
                x = self.group_norm(x)
            x = F.gelu(x)
        x = self.project(x.transpose(1, 2))
        ends = self.lengths(mask.sum(-1))
        kept = torch.zeros(x.shape[:2], dtype=mask.dtype)
        kept[(torch.arange(kept.shape[0]), ends - 1)] = 1
        kept = kept.flip([-1]).cumsum(-1).flip([-1]).bool()
        x[~kept] = 0
        position = self.position(x.transpose(1, 2))[:, :, :-1]
        x = x + F.gelu(position).transpose(1, 2)
        return self.attention(x, (~kept)[:, None, None, :] * -1e4)


def audio_inputs(batch, length):
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[0, -20:] = 0
    return torch.randn(batch, length), mask


def test_wav2vec_follows_batch_and_length():
    trace_agrees(Wav2Vec(), audio_inputs(2, 100), audio_inputs(3, 140))


class Flow(nn.Module):
    """An ODE solver: Python control flow over fixed times."""

    def __init__(self):
        super().__init__()
        self.field = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
        self.register_buffer("times", torch.linspace(0.0, 1.0, 5))

    def forward(self, y):
        out = [y]
        for t0, t1 in zip(self.times[:-1], self.times[1:], strict=True):
            h = t1 - t0
            k1 = self.field(y)
            k2 = self.field(y + h * k1 / 3)
            k3 = self.field(y + h * (k2 - k1 / 3))
            k4 = self.field(y + h * (k1 - k2 + k3))
            y = y + h * (k1 + 3 * (k2 + k3) + k4) / 8
            out.append(y)
        return torch.stack(out)


def test_an_ode_loop_unrolls_and_says_so():
    model = Flow()
    result, caught = warnings_of(model, torch.randn(3, 2))
    assert {str(w.message).split(" (")[0] for w in caught} == {
        "iterating over a tensor unrolls its first dimension"
    }
    agrees(result, model, (torch.randn(3, 2),), (torch.randn(7, 2),))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.out = nn.Conv2d(8, 1, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        a = self.norm(self.down1(x)).relu_()
        b = self.up(F.relu(self.down2(F.max_pool2d(a, 2)), inplace=True))
        dy, dx = a.size(2) - b.size(2), a.size(3) - b.size(3)
        b = F.pad(b, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.out(torch.cat([a, b], dim=1))


def test_unet_pads_by_its_sizes():
    trace_agrees(UNet(), (torch.randn(2, 1, 8, 8),), (torch.randn(1, 1, 9, 11),))


class Graph(nn.Module):
    """Message passing: scatter by an edge list."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Linear(4, 8), nn.Linear(4, 8)
        self.attention = nn.Parameter(torch.randn(1, 8))

    def forward(self, x, edges):
        source, target = edges[0], edges[1]
        message = F.leaky_relu(self.source(x)[source] + self.target(x)[target], 0.2)
        score = (message * self.attention).sum(-1)
        top = x.new_full((x.size(0),), float("-inf"))
        top = top.scatter_reduce(0, target, score, "amax", include_self=False)
        weight = (score - top[target]).exp()
        total = torch.zeros(x.size(0)).index_add_(0, target, weight)
        out = torch.zeros(x.size(0), message.size(-1))
        return out.index_add_(0, target, message * (weight / total[target]).unsqueeze(-1))


def test_graph_networks_follow_nodes_and_edges():
    edges = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 1]])
    more = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])
    trace_agrees(Graph(), (torch.randn(3, 4), edges), (torch.randn(5, 4), more))


def test_parameters_train_through_the_program():
    model = Llama()
    result = trace_function(model, (torch.randn(1, 3, 16),))
    x = torch.randn(2, 4, 16)
    run(result, x).sum().backward()
    got = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    model(x).sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad)
