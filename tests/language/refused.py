"""Refused"""

import asyncio

import torch
from torch import nn


async def coroutine(n: int = 1):
    """`async` functions, `await`

    Write an ordinary function; `scriptmode.fork` runs it beside others.
    """
    await asyncio.sleep(n)


def evaluation(n: int = 1):
    """`eval`, `exec`, `compile`, `locals`, `globals`

    Name the values that are meant.
    """
    return eval("n")


def identity_of_numbers(n: int = 1):
    """`id`

    Compare objects with `is`, or number them.
    """
    return id(n)


def file_access(n: int = 1):
    """`open`, `input`

    Read the file outside, or in a function marked with `scriptmode.ignore`.
    """
    return open("x").read()


def large_literal(n: int = 1):
    """an integer literal beyond 64 bits

    Use a float.
    """
    return n + 100000000000000000000000


def star_import(n: int = 1):
    """NumPy's functions

    Use torch's; or mark the function with `scriptmode.ignore`.
    """
    import numpy

    return numpy.sqrt(n)


def new_module(x: torch.Tensor = torch.ones(2)):
    """making an `nn.Module` or an `nn.Parameter` inside compiled code

    Make it in `__init__`.
    """
    return nn.Linear(2, 2)(x)


def default_representation(n: int = 1):
    """the default `repr` of an object, which shows its address

    Give the class a `__repr__`.
    """

    class Plain:
        def __init__(self, k: int):
            self.k = k

    return str(Plain(n))


def deleter(n: int = 1):
    """`__del__`

    Release in a method or in `__exit__`.
    """

    class Closing:
        def __init__(self, k: int):
            self.k = k

        def __del__(self):
            self.k = 0

    return Closing(n).k


def metaclasses(n: int = 1):
    """`type(name, bases, dict)`, metaclasses with `__call__` or `__instancecheck__`

    Write the class out.
    """
    return type("Made", (), {"n": n})


def variable_attribute(name: str = "n"):
    """`getattr`, `setattr` with a name known at run time only

    Use a dict.
    """

    class Holder:
        def __init__(self):
            self.n = 1

    return getattr(Holder(), name)


def unbound(n: int = 1):
    """a variable that is bound on some paths only

    Give it a value before the branch.
    """
    if n > 0:
        y = n
    return y


def type_errors(n: int = 1):
    """an operation that Python's types do not have: found when compiling

    Convert first.
    """
    return n + "a"


def unknown_names(n: int = 1):
    """a name or attribute that does not exist: found when compiling

    Spell it as it is declared.
    """
    return torch.no_such_function(n)


def raw_pointer(x: torch.Tensor = torch.ones(2)):
    """`Tensor.numpy`, `data_ptr`, `storage`, `register_hook`, `apply_`

    Do it outside, or in a function marked with `scriptmode.ignore`.
    """
    return x.numpy()


def tracebacks(n: int = 1):
    """tracebacks, frames, `inspect`, `sys._getframe`

    Errors carry the places in your source as notes.
    """
    import inspect

    return inspect.currentframe()
