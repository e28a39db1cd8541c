"""Shape rules of ops on tensors of ones say what torch's meta kernels say."""

import pytest
import torch

from scriptmode.analysis import shapes
from scriptmode.ops.aten import overload

X = shapes.TensorFact(torch.float32, (2, 3, 4), (12, 1, 3))
N = shapes.TensorFact(torch.int64, (3, 1), (1, 1))
IMAGE = shapes.TensorFact(torch.float32, (2, 3, 8, 8), (192, 1, 24, 3))  # channels last
CASES = {
    "aten::add.Tensor": [X, N],
    "aten::div.Tensor": [N, N],
    "aten::gelu": [X],
    "aten::where.self": [shapes.TensorFact(torch.bool, (4,), (1,)), X, N],
    "aten::softmax.int": [X, 1],
    "aten::sum.dim_IntList": [X, [1], True],
    "aten::max.dim": [X, 2],
    "aten::any.dim": [X, 0],
    "aten::layer_norm": [X, [4], None, None],
    "aten::max_pool2d": [IMAGE, [2, 2]],
    "aten::adaptive_avg_pool2d": [IMAGE, [1, 1]],
}


@pytest.mark.parametrize("kind", CASES)
def test_ones_tell_what_meta_tensors_tell(kind) -> None:
    function = overload(kind)
    given = [shapes.meta_tensor(v) if isinstance(v, shapes.TensorFact) else v for v in CASES[kind]]
    found = shapes._of_ones(kind, function, given, {})
    want = function(*given)
    pairs = zip(found, want, strict=True) if isinstance(want, tuple) else [(found, want)]
    for a, b in pairs:
        assert a.device.type == "meta"
        assert shapes.fact_of(a) == shapes.fact_of(b)


def test_large_tensors_and_other_ops_are_left_to_torch() -> None:
    large = torch.empty(1 << 22, device="meta")
    assert shapes._of_ones("aten::exp", overload("aten::exp"), [large], {}) is None
    matrix = torch.empty(4, 4, device="meta")
    assert shapes._of_ones("aten::mm", overload("aten::mm"), [matrix, matrix], {}) is None
    assert shapes._of_ones("aten::t", overload("aten::t"), [matrix], {}) is None
