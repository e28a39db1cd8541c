"""Index arithmetic: what is simplified means the same."""

import itertools
import random

import pytest

from scriptmode.loops.index import Affine, Known, Quotient, Remainder, Var, linear, mentions


def value_of(index, values):
    total = index.constant
    for term, coefficient in index.parts:
        if isinstance(term, Quotient):
            number = value_of(term.value, values) // term.divisor
        elif isinstance(term, Remainder):
            number = value_of(term.value, values) % term.divisor
        else:
            number = values[term]
        total += coefficient * number
    return total


def everywhere(variables):
    ranges = [range(v.low, v.high + 1) for v in variables]
    return [dict(zip(variables, point, strict=True)) for point in itertools.product(*ranges)]


@pytest.mark.parametrize("seed", range(30))
def test_quotients_and_remainders_are_those_of_numbers(seed):
    rng = random.Random(seed)
    variables = [Var(f"v{i}", rng.randint(1, 5)) for i in range(3)]
    parts = [(v, rng.choice([0, 1, 2, 3, 4, 6, 12])) for v in variables]
    index = Affine.sum(rng.randint(0, 7), parts)
    divisor = rng.choice([1, 2, 3, 4, 6])
    quotient, remainder = index.divided(divisor), index.modulo(divisor)
    whole = quotient * divisor + remainder
    for point in everywhere(variables):
        number = value_of(index, point)
        assert value_of(quotient, point) == number // divisor
        assert value_of(remainder, point) == number % divisor
        assert value_of(whole, point) == number


def test_a_quotient_and_its_remainder_together_are_the_index():
    i, j = Var("i", 5), Var("j", 7)
    index = Affine.sum(0, [(i, 7), (j, 1)])
    odd = Affine.sum(0, [(i, 3), (j, 1)])
    assert index.divided(7) == Affine.of(i) and index.modulo(7) == Affine.of(j)
    quotient, remainder = odd.divided(4), odd.modulo(4)
    assert quotient * 4 + remainder == odd


def test_bounds_hold_and_substitution_reaches_into_quotients():
    i, j, k = Var("i", 4), Var("j", 6), Var("k", 24)
    index = Affine.sum(2, [(i, 3), (j, -1)])
    low, high = index.bounds
    found = [value_of(index, point) for point in everywhere([i, j])]
    assert min(found) == low and max(found) == high
    odd = Affine.sum(1, [(i, 3), (j, 1)]).divided(4)
    moved = odd.substitute({i: Affine.of(k).divided(6), j: Affine.of(k).modulo(6)})
    for point in everywhere([k]):
        both = {i: point[k] // 6, j: point[k] % 6}
        assert value_of(moved, point) == value_of(odd, both)
    assert mentions(odd, j) and not mentions(odd, k)


def test_a_variable_of_one_value_vanishes():
    one, known = Var("one", 1), Known("n", 0, 3)
    assert Affine.sum(5, [(one, 9)]) == Affine(5)
    assert linear([Affine.of(one), Affine.of(known)], (4, 1)).parts == ((known, 1),)
