"""Shape rules of ops on tensors of ones say what torch's meta kernels say."""

import pytest
import torch

from scriptmode.analysis import shapes
from scriptmode.ops.aten import overload

X = shapes.TensorFact(torch.float32, (2, 3, 4), (12, 1, 3))
N = shapes.TensorFact(torch.int64, (3, 1), (1, 1))
M = shapes.TensorFact(torch.float32, (4, 5), (5, 1))
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
    "aten::mm": [M, shapes.TensorFact(torch.float32, (5, 6), (1, 5))],
    "aten::linear": [X, shapes.TensorFact(torch.float32, (6, 4), (4, 1)), None],
    "aten::matmul": [X, shapes.TensorFact(torch.float32, (4, 6), (6, 1))],
    "aten::bmm": [X, shapes.TensorFact(torch.float32, (2, 4, 6), (24, 6, 1))],
    "aten::addmm": [M, M, shapes.TensorFact(torch.float32, (5, 5), (5, 1))],
    "aten::embedding": [shapes.TensorFact(torch.float32, (1, 4), (4, 1)), N],
    "aten::gather": [shapes.TensorFact(torch.float32, (3, 1), (1, 1)), 0, N],
    "aten::index_select": [M, 0, shapes.TensorFact(torch.int64, (3,), (1,))],
    "aten::cross_entropy_loss": [M, shapes.TensorFact(torch.int64, (4,), (1,))],
    "aten::zeros_like": [X],
    "aten::full_like": [IMAGE, 2.0],
    "aten::cat": [[X, X], 1],
    "aten::stack": [[M, M], -1],
    "aten::flip": [X, [0]],
    "aten::tril": [X],
    "aten::repeat": [M, [2, 1, 2]],
    "aten::masked_fill.Scalar": [X, shapes.TensorFact(torch.bool, (4,), (1,)), 0.0],
    "aten::glu": [X],
}


@pytest.mark.parametrize("kind", CASES)
def test_ones_tell_what_meta_tensors_tell(kind) -> None:
    function = overload(kind)

    def meta(value):
        if isinstance(value, list):
            return [meta(item) for item in value]
        return shapes.meta_tensor(value) if isinstance(value, shapes.TensorFact) else value

    given = [meta(value) for value in CASES[kind]]
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
    square = torch.empty(1024, 1024, device="meta")
    assert shapes._of_ones("aten::mm", overload("aten::mm"), [square, square], {}) is None
    assert shapes._of_ones("aten::t", overload("aten::t"), [matrix], {}) is None
