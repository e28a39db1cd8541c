"""Results of libraries beside those of eager."""

from __future__ import annotations

import numpy as np
import torch


def arrays(value):
    """Tensors as arrays."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, (list, tuple)):
        return type(value)(map(arrays, value))
    return value


def same(found, expected):
    """Equal values of equal types; tensors nearly."""
    expected = arrays(expected)
    assert type(found) is type(expected), (found, expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        assert found == expected


def cell_input(m: torch.nn.Module) -> bytes:
    """Arguments and the expected result of the gated cell loop, for cell.c."""
    x, h = torch.randn(3, 4), torch.randn(3, 4)
    with torch.no_grad():
        expected = m(x, h, 10)
    numbers = [float(v) for t in (x, h, expected) for v in t.flatten()]
    return " ".join(map(repr, [10, 3, 4, *numbers])).encode()
