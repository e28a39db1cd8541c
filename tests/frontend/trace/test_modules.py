"""Every standard module traces without a warning and gives eager's result on other shapes too."""

from __future__ import annotations

import pytest
import torch

from tests.frontend.trace.helpers import agrees, quiet_trace, warnings_of
from tests.programs import nn_modules

# these look at values in Python and say so
LOOKING = {"GaussianNLLLoss", "BatchNorm1d-cumulative"}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("row", nn_modules.ROWS, ids=lambda r: r[0])
def test_a_module_traces_as_it_runs(row, training):
    name, make, calls = row
    torch.manual_seed(0)
    module = make().train(training)
    for args in calls:
        if name in LOOKING:
            result, _ = warnings_of(module, *args)
        else:
            result = quiet_trace(module, *args)
            agrees(result, module, args)


@pytest.mark.parametrize(
    ("module", "args", "others"),
    [
        (torch.nn.Linear(4, 3), (torch.randn(2, 4),), [(torch.randn(5, 4),)]),
        (torch.nn.Conv2d(3, 4, 3), (torch.randn(2, 3, 8, 8),), [(torch.randn(1, 3, 9, 5),)]),
        (torch.nn.BatchNorm2d(3), (torch.randn(2, 3, 5, 5),), [(torch.randn(4, 3, 2, 2),)]),
        (torch.nn.Upsample(scale_factor=1.5, mode="bilinear"), (torch.randn(1, 2, 4, 6),),
         [(torch.randn(2, 2, 3, 5),)]),
        (torch.nn.LSTM(4, 5, 2, bidirectional=True), (torch.randn(3, 2, 4),),
         [(torch.randn(6, 3, 4),)]),
        (torch.nn.GRU(4, 5, batch_first=True), (torch.randn(3, 2, 4),), [(torch.randn(1, 7, 4),)]),
        (torch.nn.MultiheadAttention(8, 2, batch_first=True), (torch.randn(2, 3, 8),) * 3,
         [(torch.randn(4, 6, 8),) * 3]),
        (torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (torch.randn(2, 3, 8),),
         [(torch.randn(4, 6, 8),)]),
        (torch.nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval(),
         (torch.randn(2, 3, 8), torch.randn(2, 4, 8)), [(torch.randn(3, 5, 8), torch.randn(3, 2, 8))]),
        (torch.nn.Unflatten(1, (2, 3)), (torch.randn(2, 6),), [(torch.randn(4, 6),)]),
        (torch.nn.EmbeddingBag(10, 4), (torch.randint(0, 10, (2, 3)),),
         [(torch.randint(0, 10, (5, 2)),)]),
        (torch.nn.AdaptiveAvgPool2d((3, None)), (torch.randn(1, 2, 6, 6),),
         [(torch.randn(1, 2, 7, 9),)]),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, torch.nn.Module) else "",
)  # fmt: skip
def test_sizes_stay_dynamic_inside_modules(module, args, others):
    result = quiet_trace(module, *args)
    agrees(result, module, args, *others)


def test_nodes_carry_their_module_scope_and_the_tree_its_names():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.Tanh()))
    result = quiet_trace(model, torch.randn(1, 2))
    scopes = {n.kind: n.scope for n in result.program.graph.nodes}
    assert scopes["aten::linear"] == "0"
    assert scopes["aten::tanh"] == "1.0"
    assert str(result.module_tree) == (
        "Sequential(\n  (0): Linear()\n  (1): Sequential(\n    (0): Tanh()\n  )\n)"
    )


def test_parameters_stay_parameters():
    module = torch.nn.Linear(2, 2)
    result = quiet_trace(module, torch.randn(1, 2))
    kind = result.program.graph.params[0].type
    assert kind.parameters == {"weight", "bias"}
    assert not any(
        isinstance(n.attributes.get("value"), torch.Tensor) for n in result.program.graph.walk()
    )
    with torch.no_grad():
        module.weight.fill_(2.0)
    x = torch.randn(3, 2)
    agrees(result, module, (x,))


def test_tied_weights_are_read_once():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(3, 3)
            self.b = torch.nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    result = quiet_trace(Tied(), torch.randn(1, 3))
    weights = [n for n in result.program.graph.nodes if n.attributes.get("name") == "weight"]
    assert len(weights) == 1
