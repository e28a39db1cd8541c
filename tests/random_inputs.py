"""Random values of IR types, and what a run gives: a value or an error, comparable with ``==``."""

import copy
import random

import torch

from scriptmode.interp import Interpreter
from scriptmode.ir import types as T

INTS = [0, 1, -1, 2, 3, 5, -7, 2**62, -(2**63), 2**63 - 1]
FLOATS = [0.0, -0.0, 1.0, -2.5, 1e300, float("inf"), float("nan")]


class Unsupported(Exception):
    """No values of the type are made here."""


def random_value(t, rng, small=False):
    if t == T.TENSOR:
        return torch.randint(-3, 4, (2, 2), generator=None).to(torch.float32)
    if t == T.INT:
        return rng.choice([0, 1, 2, 3, -1] if small else INTS)
    if t == T.FLOAT:
        return rng.choice(FLOATS)
    if t == T.BOOL:
        return rng.choice([True, False])
    if t == T.STR:
        return rng.choice(["", "a", "é", "aB c"])
    if t == T.NONE:
        return None
    if isinstance(t, T.OptionalType):
        return rng.choice([None, random_value(t.element, rng, small)])
    if isinstance(t, T.ListType):
        return [random_value(t.element, rng, small) for _ in range(rng.randrange(4))]
    if isinstance(t, T.DictType):
        key, value = t.contained
        keys = [random_value(key, rng, small) for _ in range(rng.randrange(4))]
        return {k: random_value(value, rng, small) for k in keys}
    if isinstance(t, T.TupleType):
        return tuple(random_value(e, rng, small) for e in t.elements)
    if isinstance(t, T.ClassType):
        return {name: random_value(kind, rng, small) for name, kind in t.attributes.items()}
    raise Unsupported(str(t))


def observe(program, name, args):
    """The result, the arguments after the call, and the error, in a form that compares."""
    args = copy.deepcopy(args)
    torch.manual_seed(0)
    try:
        result = Interpreter(program).run(name, *args)
    except Exception as error:
        return plain((type(error), str(error), args))
    return plain(
        (result, [isinstance(a, (torch.Tensor, list, dict)) and result is a for a in args], args)
    )


def plain(value):
    if isinstance(value, torch.Tensor):
        return ("tensor", value.dtype, tuple(value.shape), value.stride(), repr(value.tolist()))
    if isinstance(value, (list, tuple)):
        return (type(value), [plain(v) for v in value])
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value if isinstance(value, type) else (type(value), repr(value))


def rng_for(text):
    return random.Random(text)
