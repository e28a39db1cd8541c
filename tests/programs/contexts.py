"""Programs with ``with``, and arguments for them."""

from __future__ import annotations

import contextlib
from typing import List

import torch


class Tracker:
    def __init__(self, name: str, log: List[str], swallow: bool = False):
        self.name = name
        self.log = log
        self.swallow = swallow

    def __enter__(self):
        self.log.append("enter " + self.name)
        return self

    def __exit__(self, exc_type, exc, tb):
        if exc_type is None:
            self.log.append("exit " + self.name)
        else:
            self.log.append("exit " + self.name + " with " + exc_type.__name__ + " " + str(exc))
        return self.swallow


class OnlyKey:
    def __enter__(self) -> int:
        return 5

    def __exit__(self, exc_type, exc_value, traceback):
        return exc_type is not None and issubclass(exc_type, KeyError)


class Raises:
    def __enter__(self):
        return None

    def __exit__(self, *args):
        raise RuntimeError("in exit")


def a_manager_sees_the_end(n: int):
    log: List[str] = []
    with Tracker("a", log) as t:
        log.append(t.name)
        x = 10 // (n + 1)
    return log, x


def two_managers_see_the_exception(n: int):
    log: List[str] = []
    try:
        with Tracker("a", log), Tracker("b", log):
            10 // n
    except ZeroDivisionError as e:
        log.append(str(e))
    return log


def a_manager_swallows(n: int):
    log: List[str] = []
    x = -1
    with Tracker("a", log, True):
        x = 1
        x = 10 // n
        x = 2
    return log, x


def jumps_out_of_a_body(n: int):
    log: List[str] = []
    for i in range(4):
        with Tracker(str(i), log):
            if i == n:
                continue
            if i == n + 1:
                break
            if n == 7:
                return log
    return log


def exit_tests_the_class(n: int):
    with OnlyKey() as k:
        if n == 0:
            raise KeyError(k)
        if n == 1:
            raise ValueError(k)
        return k
    return -1


def exit_raises(n: int):
    with Raises():
        10 // n
    return 0


def no_grad_is_over_after_the_body(n: int):
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        y = x * 2
        a = torch.is_grad_enabled()
    z = x * 3
    return y.requires_grad, z.requires_grad, a, torch.is_grad_enabled()


def no_grad_is_over_after_an_exception(n: int):
    a = torch.is_grad_enabled()
    try:
        with torch.no_grad():
            10 // n
            b = torch.is_grad_enabled()
    except ZeroDivisionError:
        b = True
    return a, b, torch.is_grad_enabled()


def no_grad_is_over_after_a_break(n: int):
    for i in range(3):
        with torch.no_grad():
            if i == n:
                break
            if i > 5:
                return False
    return torch.is_grad_enabled()


def set_grad_enabled_both_ways(n: int):
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    inside = torch.is_grad_enabled()
    torch.set_grad_enabled(before)
    with torch.set_grad_enabled(n > 0):
        c = torch.is_grad_enabled()
    return before, inside, c, torch.is_grad_enabled()


def suppress(n: int):
    with contextlib.suppress(ZeroDivisionError, KeyError):
        return 10 // n
    return -1


def null_contexts(n: int):
    with contextlib.nullcontext(n) as k, torch.profiler.record_function("x"):
        k += 1
    return k


def autocast_casts(x: torch.Tensor, w: torch.Tensor, on: bool):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
        y = x @ w
        a = torch.is_autocast_enabled("cpu")
    z = x @ w
    return y, z, a, torch.is_autocast_enabled("cpu")


def autocast_is_over_after_an_exception(x: torch.Tensor, n: int):
    try:
        with torch.autocast(device_type="cpu"):
            y = x @ x
            10 // n
    except ZeroDivisionError:
        y = x @ x
    return y, torch.is_autocast_enabled("cpu")


def inference_mode(x: torch.Tensor, n: int):
    with torch.inference_mode():
        y = x * 2
        a = torch.is_inference_mode_enabled()
    return y.sum().item(), a, torch.is_inference_mode_enabled()


def a_mode_in_a_variable(n: int):
    mode = torch.no_grad()
    with mode:
        a = torch.is_grad_enabled()
    with mode:
        b = torch.is_grad_enabled()
    return a, b, torch.is_grad_enabled()


def nested_modes(n: int):
    out: List[int] = []
    with torch.no_grad():
        with torch.enable_grad():
            try:
                out.append(int(torch.is_grad_enabled()))
                if n == 0:
                    raise ValueError("v")
            finally:
                out.append(int(torch.is_grad_enabled()) + 10)
        out.append(int(torch.is_grad_enabled()) + 20)
    return out


@torch.autocast("cpu", dtype=torch.bfloat16)
def autocast_as_a_decorator(x: torch.Tensor):
    return x @ x


@torch.inference_mode()
def inference_mode_as_a_decorator(x: torch.Tensor):
    return (x * 2).sum().item(), torch.is_inference_mode_enabled()


MODE = torch.no_grad()


def a_mode_made_outside(x: torch.Tensor):
    with MODE:
        return torch.is_grad_enabled(), x * 2


X = torch.randn(3, 3)
CASES = [
    (autocast_as_a_decorator, (X,)),
    (inference_mode_as_a_decorator, (X,)),
    (a_mode_made_outside, (X,)),
    (a_manager_sees_the_end, (0,), (-1,), (1,)),
    (two_managers_see_the_exception, (0,), (1,)),
    (a_manager_swallows, (0,), (1,)),
    (jumps_out_of_a_body, (0,), (2,), (7,), (9,)),
    (exit_tests_the_class, (0,), (1,), (2,)),
    (exit_raises, (0,), (1,)),
    (no_grad_is_over_after_the_body, (0,)),
    (no_grad_is_over_after_an_exception, (0,), (1,)),
    (no_grad_is_over_after_a_break, (0,), (9,)),
    (set_grad_enabled_both_ways, (0,), (1,)),
    (suppress, (0,), (3,)),
    (null_contexts, (1,)),
    (autocast_casts, (X, X, True), (X, X, False)),
    (autocast_is_over_after_an_exception, (X, 0), (X, 1)),
    (inference_mode, (X, 1)),
    (a_mode_in_a_variable, (1,)),
    (nested_modes, (0,), (1,)),
]
