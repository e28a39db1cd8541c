"""``requires_grad`` of results, which a run decides: flags of arguments, branches, loops, dtypes."""

from typing import Optional

import torch
from torch import Tensor

from tests.autodiff.gradients import check_gradients


def made(*needs):
    torch.manual_seed(0)
    return [torch.randn(3, dtype=torch.float64).requires_grad_(n) for n in needs]


def results_in_a_list(x: Tensor, y: Tensor) -> list[Tensor]:
    return [x * 2, y * 2, y, torch.sin(x + y)]


def test_elements_of_a_returned_list():
    for needs in ((True, False), (False, True), (True, True)):
        check_gradients(results_in_a_list, *made(*needs))


def stacked(x: Tensor, xs: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    made = [torch.sin(t) for t in xs]
    return torch.stack(made).sum(0), xs[0] * 2, x * 2


def test_ops_on_lists_without_gradients():
    x, a, b = made(True, False, False)
    check_gradients(stacked, x, [a, b])


def test_elements_of_a_list_argument():
    x, a, b = made(False, False, True)
    check_gradients(stacked, x, [a, b])


def stacked_values(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    found = {"a": x * 2}
    found["b"] = torch.cos(x)
    return torch.stack(list(found.values())).sum(0), y * 2


def test_values_of_a_dict_without_gradients():
    check_gradients(stacked_values, *made(False, True))


def recorded_in_a_branch(x: Tensor, y: Tensor, n: int) -> Tensor:
    if n > 0:
        y = torch.tanh(x)
    return torch.logaddexp(y, y * 2)


def test_op_that_torch_records_of_a_branch_not_taken():
    for n in (0, 1):
        check_gradients(recorded_in_a_branch, *made(True, False), n)


def parts(x: Tensor, y: Tensor, n: int) -> list[Tensor]:
    both = list(torch.stack([x, y]).unbind(0))
    if n > 0:
        both.append(y)
    return both


def test_results_of_an_op_in_a_list_that_grows():
    for n in (0, 1):
        check_gradients(parts, *made(True, False), n)


def carried_in_turn(x: Tensor, y: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    a, b, c = y, y * 2, y * 3
    for i in range(n):
        if i > 0:
            a = torch.sin(b)
        if i > 1:
            b = torch.cos(c) * a
        if y.sum() > -100:
            c = a + x
    return a * 2, b * 2, c * 2


def test_flags_of_tensors_that_loops_carry_in_turn():
    for n in range(6):
        check_gradients(carried_in_turn, *made(True, False), n, second=False, verify=n == 5)


def broadcast(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b = torch.broadcast_tensors(x * 2, y)
    c, d = torch.meshgrid([x, y], indexing="ij")
    return a * 2, b * 2, c * 2, d * 2


def test_ops_on_lists_whose_results_depend_on_one_element_each():
    for needs in ((True, False), (True, True)):
        check_gradients(broadcast, *made(*needs))


def moved_round(x: Tensor, y: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    a, b, c = x, y, torch.zeros(3, dtype=torch.float64)
    for i in range(n):
        a, b, c = c, a, b
        if i == 2:
            break
    return a * 2, b * 2, c * 2


def in_two_loops(x: Tensor, y: Tensor, n: int) -> tuple[Tensor, Tensor]:
    a, b = y * 2, y * 3
    for i in range(n):
        c = a
        for j in range(i):
            c = c + b
            b = c if j > 0 else b
            if j == 1:
                a = x * 1
        b = c
    return a * 2, b * 2


def left_early(x: Tensor, y: Tensor, n: int) -> tuple[Tensor, Tensor]:
    a = y * 2
    while n > 0:
        n -= 1
        if n == 2:
            return a * 2, y * 1
        if n == 1:
            return y * 2, a * 3
        a = a + x if n == 3 else a * 2
    return a.detach() * 2, y * 3


def optional(x: Tensor, y: Tensor, n: int) -> tuple[Optional[Tensor], Tensor]:
    o: Optional[Tensor] = None
    for i in range(n):
        o = y * 1 if o is None else (o + x if i > 1 else o)
    return o, (y if o is None else o) * 2


def test_flags_in_all_runs_of_programs_with_loops():
    for function in (moved_round, in_two_loops, left_early, optional):
        for needs in ((True, False), (False, True)):
            for n in range(5):
                check_gradients(function, *made(*needs), n, second=False, verify=n == 4)


def converted(x: Tensor, y: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dtype = torch.float64 if n > 0 else torch.int64
    a = x.to(dtype)
    return a, (a * y).double(), x.long().double() * 2, x.type_as(y.long()).double()


def test_conversions_to_whole_numbers_end_what_carries_a_gradient():
    for needs in ((True, False), (True, True)):
        for n in (0, 1):
            check_gradients(converted, *made(*needs), n)


def summed(x: Tensor, n: int) -> Tensor:
    dtype = torch.float64 if n > 0 else torch.float32
    return x.sum(dtype=dtype) * torch.cumsum(x, 0, dtype=dtype)


def test_reductions_to_a_dtype_that_a_run_chooses():
    for n in (0, 1):
        check_gradients(summed, *made(True), n)


def sorted_parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    values, order = x.sort()
    _, best = torch.topk(x, 2)
    return values * order, order.double(), best.double()


def test_indices_that_become_numbers_carry_none():
    check_gradients(sorted_parts, *made(True))


def maybe_dropped(x: Tensor, training: bool) -> Tensor:
    return torch.nn.functional.dropout(x, 0.5, training)


def test_dropout_in_evaluation_is_its_argument():
    scripted = check_gradients(maybe_dropped, *made(True), False)
    (x,) = made(True)
    assert scripted(x, False) is x
