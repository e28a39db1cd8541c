"""A NaN in a container: found where it is the same object, as Python's identity test does."""

from __future__ import annotations

import math
import struct

import torch

from tests.fourway import check

NAN = float("nan")


def made_inside(scale: float):
    x, y = float("nan"), float("nan")
    xs, copied = [x, scale], [x, scale][:]
    found = x in xs, y in xs, x in [x], x in (y, scale), xs.count(x), xs.index(x)
    same = [x] == [x], [x] == [y], xs == copied, (x,) == (x,), (x, 1) == (y, 1), x == x
    keys = {x: 1} == {x: 1}, {x: 1} == {y: 1}, x in {x: 1}, x in {x}, y in {x}
    ordered = [x] <= [x], [x] < [x], [x, 1.0] < [x, 2.0], (x, 1.0) < (x, 2.0), [x] <= [y]
    return found, same, keys, ordered, len({x, y, x}), scale in xs


def test_a_nan_that_the_program_made():
    check(made_inside, (2.0,))


def read(text: str):
    x, y = float(text), float(text + " ")
    return x in [x], x in [y], [x, y].count(y), [x, y].index(y)


def test_a_nan_that_was_read():
    check(read, ("nan",), ("-nan",), ("1.5",))


def given(xs: list[float], x: float, pair: tuple[float, float]):
    return x in xs, xs.count(x), x in pair, pair[0] in xs, xs == xs[:], math.nan in xs


def test_a_nan_from_outside():
    one, other = float("nan"), float("nan")
    check(given, ([one, 1.0], one, (one, 2.0)), ([one, math.nan], other, (other, one)))
    check(given, ([math.nan], math.nan, (1.0, math.nan)))


def optional(xs: list[float | None], x: float | None, y: float):
    maybe = (x, 1)
    return x in xs, y in xs, maybe == (x, 1), maybe == (y, 1), xs == [x, None]


def test_a_nan_that_may_be_none():
    check(optional, ([NAN, None], NAN, float("nan")), ([None, 2.0], None, 2.0))


def constant(x: float):
    return math.nan in [math.nan, x], (math.nan, x) == (math.nan, x), [NAN] == [NAN], NAN == NAN


def test_a_nan_that_is_a_constant():
    check(constant, (1.0,))


def complexes(z: complex):
    w = complex(float("nan"), 0.0)
    return w in [w], [w] == [w], w == w, z in [z, w]


def test_complex_numbers_with_nan():
    check(complexes, (1 + 2j,))


def assigned(xs: list[float]):
    xs[1] = xs[0]
    return xs.count(xs[0]), xs.index(xs[1]), sorted([2.0, 1.0]) == [1.0, 2.0]


def test_elements_that_are_copied_stay_the_same():
    check(assigned, ([float("nan"), 2.0, float("nan")],))


def bits(x: float, xs: list[float], z: float):
    y = float("nan")
    made = torch.tensor([x, y]), torch.tensor(xs, dtype=torch.float64), torch.tensor([y])
    other = torch.full((1,), y, dtype=torch.float64), torch.zeros(1).double() * x, z - z
    return [t.view(torch.uint8) for t in (*made, *other[:2])], x, y, other[2]


def test_torch_and_python_see_the_bits_of_eager():
    args = (NAN, [NAN, 1.0, -NAN], math.inf)
    compiled = check(bits, args)
    for want, got in zip(bits(*args)[1:], compiled(*args)[1:], strict=True):
        assert struct.pack("d", want) == struct.pack("d", got)
