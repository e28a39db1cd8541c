"""The standard ``torch.nn`` modules, each with inputs of several shapes.

A row is (name, constructor, argument tuples).  Constructors run under a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Row = tuple[str, Callable[[], nn.Module], list[tuple[Any, ...]]]


def T(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    g = torch.Generator().manual_seed(sum(shape) + len(shape))
    return torch.randn(*shape, generator=g).to(dtype)


def P(*shape: int) -> torch.Tensor:
    return torch.sigmoid(T(*shape))


def ints(hi: int, *shape: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(hi)
    return torch.randint(0, hi, shape, generator=g)


ACTIVATIONS: list[Row] = [
    (name, (lambda make=make: make()), [(T(2, 4),), (T(3, 2, 6),)])
    for name, make in {
        "ReLU": nn.ReLU, "ReLU-inplace": lambda: nn.Sequential(nn.Tanh(), nn.ReLU(inplace=True)),
        "ReLU6": nn.ReLU6, "LeakyReLU": nn.LeakyReLU, "PReLU": nn.PReLU, "RReLU": nn.RReLU,
        "ELU": nn.ELU, "CELU": nn.CELU, "SELU": nn.SELU, "GELU": nn.GELU,
        "GELU-tanh": lambda: nn.GELU(approximate="tanh"), "SiLU": nn.SiLU, "Mish": nn.Mish,
        "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh, "Softplus": nn.Softplus, "Softsign": nn.Softsign,
        "Softshrink": nn.Softshrink, "Hardshrink": nn.Hardshrink, "Hardtanh": nn.Hardtanh,
        "Hardsigmoid": nn.Hardsigmoid, "Hardswish": nn.Hardswish, "LogSigmoid": nn.LogSigmoid,
        "Tanhshrink": nn.Tanhshrink, "Threshold": lambda: nn.Threshold(0.1, 2.0),
        "Softmax": lambda: nn.Softmax(dim=1), "Softmin": lambda: nn.Softmin(dim=1),
        "LogSoftmax": lambda: nn.LogSoftmax(dim=-1), "GLU": nn.GLU, "Identity": nn.Identity,
        "Dropout": nn.Dropout, "AlphaDropout": nn.AlphaDropout,
        "FeatureAlphaDropout": nn.FeatureAlphaDropout, "Flatten": nn.Flatten,
    }.items()
]  # fmt: skip

CONVOLUTIONS: list[Row] = [
    ("Conv1d", lambda: nn.Conv1d(4, 6, 3), [(T(2, 4, 9),), (T(4, 7),)]),
    ("Conv1d-same", lambda: nn.Conv1d(4, 6, 3, padding="same"), [(T(2, 4, 9),)]),
    ("Conv1d-reflect", lambda: nn.Conv1d(4, 6, 3, padding=2, padding_mode="reflect"),
     [(T(2, 4, 9),)]),
    ("Conv2d", lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), [(T(2, 3, 8, 9),), (T(3, 5, 5),)]),
    ("Conv2d-groups", lambda: nn.Conv2d(4, 8, 3, groups=2, dilation=2, bias=False),
     [(T(2, 4, 9, 9),)]),
    ("Conv2d-circular", lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"),
     [(T(2, 3, 6, 6),)]),
    ("Conv3d", lambda: nn.Conv3d(2, 3, 2), [(T(2, 2, 4, 4, 4),)]),
    ("ConvTranspose1d", lambda: nn.ConvTranspose1d(4, 6, 3, stride=2), [(T(2, 4, 5),)]),
    ("ConvTranspose2d", lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), [(T(2, 3, 4, 4),)]),
    ("ConvTranspose3d", lambda: nn.ConvTranspose3d(2, 3, 2), [(T(1, 2, 3, 3, 3),)]),
    ("Unfold", lambda: nn.Unfold(2), [(T(2, 3, 4, 5),)]),
    ("Fold", lambda: nn.Fold((4, 5), 2), [(T(2, 12, 12),)]),
]  # fmt: skip

NORMS: list[Row] = [
    ("BatchNorm1d", lambda: nn.BatchNorm1d(4), [(T(3, 4),), (T(3, 4, 5),)]),
    ("BatchNorm1d-no-track", lambda: nn.BatchNorm1d(4, track_running_stats=False), [(T(3, 4),)]),
    ("BatchNorm1d-cumulative", lambda: nn.BatchNorm1d(4, momentum=None), [(T(3, 4),)]),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(3), [(T(2, 3, 4, 4),)]),
    ("BatchNorm3d", lambda: nn.BatchNorm3d(2), [(T(2, 2, 3, 3, 3),)]),
    ("InstanceNorm1d", lambda: nn.InstanceNorm1d(4), [(T(3, 4, 5),)]),
    ("InstanceNorm2d-affine", lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
     [(T(2, 3, 4, 4),)]),
    ("GroupNorm", lambda: nn.GroupNorm(2, 4), [(T(3, 4, 5),)]),
    ("LayerNorm", lambda: nn.LayerNorm([4, 5]), [(T(3, 4, 5),)]),
    ("LayerNorm-no-affine", lambda: nn.LayerNorm(5, elementwise_affine=False), [(T(3, 4, 5),)]),
    ("RMSNorm", lambda: nn.RMSNorm(5), [(T(3, 4, 5),)]),
    ("LocalResponseNorm", lambda: nn.LocalResponseNorm(2), [(T(2, 4, 5, 5),)]),
]  # fmt: skip

POOLING: list[Row] = [
    ("MaxPool1d", lambda: nn.MaxPool1d(2), [(T(2, 3, 8),)]),
    ("MaxPool2d", lambda: nn.MaxPool2d(2, stride=1, padding=1), [(T(2, 3, 8, 8),)]),
    ("MaxPool2d-indices", lambda: nn.MaxPool2d(2, return_indices=True), [(T(2, 3, 8, 8),)]),
    ("MaxPool3d", lambda: nn.MaxPool3d(2), [(T(1, 2, 4, 4, 4),)]),
    ("AvgPool1d", lambda: nn.AvgPool1d(2), [(T(2, 3, 8),)]),
    ("AvgPool2d", lambda: nn.AvgPool2d((2, 3)), [(T(2, 3, 8, 9),)]),
    ("AvgPool3d", lambda: nn.AvgPool3d(2), [(T(1, 2, 4, 4, 4),)]),
    ("LPPool2d", lambda: nn.LPPool2d(2, 2), [(P(2, 3, 6, 6),)]),
    ("AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(3), [(T(2, 3, 8),)]),
    ("AdaptiveAvgPool2d", lambda: nn.AdaptiveAvgPool2d((None, 3)), [(T(2, 3, 8, 7),)]),
    ("AdaptiveMaxPool2d", lambda: nn.AdaptiveMaxPool2d((2, 3)), [(T(2, 3, 8, 7),)]),
    ("FractionalMaxPool2d", lambda: nn.FractionalMaxPool2d(2, output_size=3), [(T(2, 3, 8, 8),)]),
]  # fmt: skip

SPARSE_AND_SHAPES: list[Row] = [
    ("Linear", lambda: nn.Linear(4, 5), [(T(3, 4),), (T(2, 3, 4),), (T(4),)]),
    ("Linear-no-bias", lambda: nn.Linear(4, 5, bias=False), [(T(3, 4),)]),
    ("Linear-double", lambda: nn.Linear(4, 5, dtype=torch.float64), [(T(3, 4).double(),)]),
    ("Linear-bfloat16", lambda: nn.Linear(4, 5, dtype=torch.bfloat16), [(T(3, 4).bfloat16(),)]),
    ("Bilinear", lambda: nn.Bilinear(3, 4, 5), [(T(2, 3), T(2, 4))]),
    ("Embedding", lambda: nn.Embedding(10, 4), [(ints(10, 3, 5),), (ints(10, 2),)]),
    ("Embedding-padding", lambda: nn.Embedding(10, 4, padding_idx=0), [(ints(10, 3, 5),)]),
    ("EmbeddingBag", lambda: nn.EmbeddingBag(10, 4, mode="sum"),
     [(ints(10, 3, 5),), (ints(10, 6), torch.tensor([0, 2, 4]))]),
    ("Unflatten", lambda: nn.Unflatten(1, (2, 3)), [(T(4, 6),)]),
    ("PixelShuffle", lambda: nn.PixelShuffle(2), [(T(2, 8, 3, 3),)]),
    ("PixelUnshuffle", lambda: nn.PixelUnshuffle(2), [(T(2, 2, 4, 4),)]),
    ("ChannelShuffle", lambda: nn.ChannelShuffle(2), [(T(2, 4, 3, 3),)]),
    ("Upsample", lambda: nn.Upsample(scale_factor=2, mode="bilinear"), [(T(2, 3, 4, 4),)]),
    ("UpsamplingNearest2d", lambda: nn.UpsamplingNearest2d(size=(5, 6)), [(T(2, 3, 4, 4),)]),
    ("ZeroPad2d", lambda: nn.ZeroPad2d((1, 2, 0, 1)), [(T(2, 3, 4, 4),)]),
    ("ConstantPad1d", lambda: nn.ConstantPad1d(2, 3.5), [(T(2, 3, 4),)]),
    ("ReflectionPad2d", lambda: nn.ReflectionPad2d(2), [(T(2, 3, 4, 4),)]),
    ("ReplicationPad3d", lambda: nn.ReplicationPad3d(1), [(T(2, 3, 4, 4, 4),)]),
    ("CircularPad1d", lambda: nn.CircularPad1d(2), [(T(2, 3, 4),)]),
    ("CosineSimilarity", lambda: nn.CosineSimilarity(), [(T(3, 4), T(3, 4))]),
    ("PairwiseDistance", lambda: nn.PairwiseDistance(), [(T(3, 4), T(3, 4))]),
    ("Dropout1d", lambda: nn.Dropout1d(), [(T(3, 4, 5),)]),
    ("Dropout2d", lambda: nn.Dropout2d(), [(T(2, 3, 4, 4),)]),
    ("Softmax2d", lambda: nn.Softmax2d(), [(T(2, 3, 4, 4),)]),
    ("Sequential", lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
     [(T(3, 4),)]),
]  # fmt: skip

LOSSES: list[Row] = [
    (name, make, arguments)
    for name, make, arguments in [
        ("L1Loss", nn.L1Loss, [(T(3, 4), P(3, 4))]),
        ("MSELoss", lambda: nn.MSELoss(reduction="sum"), [(T(3, 4), P(3, 4))]),
        ("SmoothL1Loss", nn.SmoothL1Loss, [(T(3, 4), P(3, 4))]),
        ("HuberLoss", nn.HuberLoss, [(T(3, 4), P(3, 4))]),
        ("BCELoss", nn.BCELoss, [(P(3, 4), P(3, 4))]),
        ("BCEWithLogitsLoss", nn.BCEWithLogitsLoss, [(T(3, 4), P(3, 4))]),
        ("CrossEntropyLoss", lambda: nn.CrossEntropyLoss(label_smoothing=0.1),
         [(T(3, 4), ints(4, 3))]),
        ("NLLLoss", nn.NLLLoss, [(T(3, 4), ints(4, 3))]),
        ("KLDivLoss", lambda: nn.KLDivLoss(reduction="batchmean"), [(T(3, 4), P(3, 4))]),
        ("PoissonNLLLoss", nn.PoissonNLLLoss, [(T(3, 4), P(3, 4))]),
        ("GaussianNLLLoss", nn.GaussianNLLLoss, [(T(3, 4), T(3, 4), P(3, 4))]),
        ("MarginRankingLoss", nn.MarginRankingLoss, [(T(3), P(3), torch.tensor([1, -1, 1]))]),
        ("HingeEmbeddingLoss", nn.HingeEmbeddingLoss, [(T(3), torch.tensor([1, -1, 1]))]),
        ("TripletMarginLoss", nn.TripletMarginLoss, [(T(3, 4), P(3, 4), T(3, 4) + 1)]),
        ("CosineEmbeddingLoss", nn.CosineEmbeddingLoss,
         [(T(3, 4), P(3, 4), torch.tensor([1, -1, 1]))]),
        ("MultiMarginLoss", nn.MultiMarginLoss, [(T(3, 4), ints(4, 3))]),
        ("SoftMarginLoss", nn.SoftMarginLoss, [(T(3), torch.tensor([1.0, -1.0, 1.0]))]),
        ("CTCLoss", nn.CTCLoss,
         [(T(9, 2, 5).log_softmax(2), ints(4, 2, 3) + 1, torch.tensor([9, 9]),
           torch.tensor([3, 2]))]),
    ]
]  # fmt: skip

RECURRENT: list[Row] = [
    ("RNN", lambda: nn.RNN(4, 5, 2), [(T(6, 3, 4),), (T(6, 4),)]),
    ("LSTM", lambda: nn.LSTM(4, 5), [(T(6, 3, 4),), (T(6, 3, 4), (T(1, 3, 5), T(1, 3, 5)))]),
    (
        "LSTM-deep",
        lambda: nn.LSTM(4, 5, 2, bidirectional=True, batch_first=True, dropout=0.5),
        [(T(3, 6, 4),)],
    ),
    ("LSTM-projection", lambda: nn.LSTM(4, 6, proj_size=3), [(T(6, 3, 4),)]),
    ("GRU", lambda: nn.GRU(4, 5, 2), [(T(6, 3, 4),), (T(6, 3, 4), T(2, 3, 5)), (T(6, 4),)]),
    ("RNNCell", lambda: nn.RNNCell(4, 5), [(T(3, 4),), (T(3, 4), T(3, 5))]),
    ("LSTMCell", lambda: nn.LSTMCell(4, 5), [(T(3, 4),), (T(3, 4), (T(3, 5), T(3, 5)))]),
    ("GRUCell", lambda: nn.GRUCell(4, 5), [(T(3, 4),), (T(4),)]),
]

ATTENTION: list[Row] = [
    ("MultiheadAttention", lambda: nn.MultiheadAttention(8, 2),
     [(T(5, 3, 8), T(6, 3, 8), T(6, 3, 8)), (T(5, 8), T(6, 8), T(6, 8))]),
    ("MultiheadAttention-batch-first",
     lambda: nn.MultiheadAttention(8, 2, batch_first=True, dropout=0.1),
     [(T(3, 5, 8), T(3, 6, 8), T(3, 6, 8))]),
    ("MultiheadAttention-kdim", lambda: nn.MultiheadAttention(8, 2, kdim=4, vdim=6),
     [(T(5, 3, 8), T(6, 3, 4), T(6, 3, 6))]),
    ("TransformerEncoderLayer", lambda: nn.TransformerEncoderLayer(8, 2, 16),
     [(T(5, 3, 8),)]),
    ("TransformerEncoderLayer-gelu",
     lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True,
                                        activation="gelu"),
     [(T(3, 5, 8),)]),
    ("TransformerEncoder",
     lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
     [(T(3, 5, 8),)]),
    ("TransformerDecoderLayer", lambda: nn.TransformerDecoderLayer(8, 2, 16),
     [(T(5, 3, 8), T(6, 3, 8))]),
    ("TransformerDecoder",
     lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2),
     [(T(5, 3, 8), T(6, 3, 8))]),
    ("Transformer", lambda: nn.Transformer(8, 2, 1, 1, 16), [(T(5, 3, 8), T(6, 3, 8))]),
]  # fmt: skip

ROWS: list[Row] = [
    *ACTIVATIONS, *CONVOLUTIONS, *NORMS, *POOLING, *SPARSE_AND_SHAPES, *LOSSES, *RECURRENT,
    *ATTENTION,
]  # fmt: skip
