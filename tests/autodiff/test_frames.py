"""What a node keeps: until its last backward, and no longer."""

import faulthandler
import gc
import os
import threading
import warnings
import weakref

import pytest
import torch
from torch import Tensor

import scriptmode


def deep(x: Tensor, n: int) -> Tensor:
    for _ in range(n):
        x = torch.tanh(x * 1.5)
    return x.sum()


def test_a_kept_graph_runs_again_and_the_last_backward_ends_it():
    x = torch.rand(5, requires_grad=True)
    loss = scriptmode.script(deep)(x, 3)
    (want,) = torch.autograd.grad(deep(x, 3), x)
    for _ in range(2):
        (got,) = torch.autograd.grad(loss, x, retain_graph=True)
        torch.testing.assert_close(got, want)
    (got,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(got, want)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_result_that_the_reverse_needs_is_freed_with_the_node():
    def squash(x: Tensor) -> Tensor:
        return torch.exp(x)

    x = torch.rand(5, requires_grad=True)
    y = scriptmode.script(squash)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def complains(x: Tensor) -> Tensor:
    if x.sum() > 0:
        warnings.warn("positive", stacklevel=2)
    return x.exp().sum()


def test_a_second_derivative_does_not_warn_again():
    x = torch.rand(5, requires_grad=True)
    scripted = scriptmode.script(complains)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        (g,) = torch.autograd.grad(scripted(x), x, create_graph=True)
        (gg,) = torch.autograd.grad(g.sum(), x)
    assert [str(w.message) for w in seen] == ["positive"]
    torch.testing.assert_close(gg, x.exp())
    assert scripted._dispatcher.primary.gradients.reason == ""


def doubled(a: Tensor) -> Tensor:
    return a + a


def rows(a: Tensor, w: Tensor) -> Tensor:
    h = w
    for i in range(2):
        h = h * a[i]
    return h


def gradient_after_a_write(function, write: bool):
    x = torch.ones(2, 2, requires_grad=True)
    a = -x
    arguments = (a,) if function.__name__ == "doubled" else (a, torch.ones(2))
    made = (function, scriptmode.script(function))
    found = []
    for each in made:
        y = each(*arguments)
        if write:
            with torch.no_grad():
                a.add_(1)
        found.append(y)
    return x, found


def test_an_argument_that_no_one_needs_may_be_written_later():
    x, found = gradient_after_a_write(doubled, True)
    want, got = (torch.autograd.grad(y.sum(), x)[0] for y in found)
    torch.testing.assert_close(got, want)


def test_an_argument_of_which_views_are_kept_may_not():
    x, found = gradient_after_a_write(rows, True)
    for y in found:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(y.sum(), x)


def test_what_keeps_nothing_runs_backward_any_number_of_times():
    x = torch.rand(3, requires_grad=True)
    for each in (doubled, scriptmode.script(doubled)):
        y = each(x).sum()
        y.backward()
        y.backward()


def test_a_node_forgets_its_arguments_in_the_last_backward():
    x = torch.rand(3, requires_grad=True)
    a = x * 3
    y = scriptmode.script(deep)(a, 2)
    held = weakref.ref(a)
    del a
    y.backward()
    assert held() is None
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def curved(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        x = torch.nn.functional.gelu(x, approximate="tanh" if i > 0 else "none")
    return x


def test_a_frame_that_is_garbage_together_with_its_program_goes_first():
    for _ in range(3):
        scripted = scriptmode.script(curved)
        result = scripted(torch.rand(3, requires_grad=True), 3)
        ring = {"result": result, "scripted": scripted}  # the frame holds constants of the program
        ring["ring"] = ring
        node = weakref.ref(result.grad_fn)
        del scripted, result, ring
        gc.collect()
        assert node() is None


def test_the_tape_of_torch_when_reverse_programs_are_switched_off():
    x = torch.rand(5, requires_grad=True)
    scripted = scriptmode.script(deep)
    own = scripted(x, 3)
    with scriptmode.config.override(autodiff=False):
        taped = scripted(x, 3)
    assert own.grad_fn.name() != taped.grad_fn.name() == "SumBackward0"
    torch.testing.assert_close(*(torch.autograd.grad(y, x)[0] for y in (own, taped)))


def test_a_lock_that_another_thread_held_is_free_in_a_forked_process():
    scripted = scriptmode.script(deep)
    x = torch.rand(5, requires_grad=True)
    codes = []

    def fork():
        pid = os.fork()
        if pid == 0:
            faulthandler.dump_traceback_later(60, exit=True)
            os._exit(0 if scripted(x, 2).requires_grad else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    with scripted._dispatcher.primary.gradients._lock:  # as if it compiled
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert codes == [0]
