"""Gradients three ways: eager autograd, the reverse program interpreted, and natively.

``check_gradients(target, *arguments)`` compares results, gradients of every tensor that requires
one, which of them are None, ``requires_grad`` of the results, a second run of the same node, and
second derivatives.
"""

import copy

import torch

import scriptmode
from scriptmode.autodiff.differentiate import differentiate, program_of
from scriptmode.autodiff.paths import root_paths
from scriptmode.autodiff.structures import root_of
from scriptmode.ir.verifier import verify
from scriptmode.ops.aten import schema_of


def leaves(value):
    """The tensors in nested containers, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in leaves(v)]
    if isinstance(value, dict):
        return [t for v in value.values() for t in leaves(v)]
    if type(value).__module__.startswith("tests.") and hasattr(value, "__dict__"):
        return leaves(vars(value))
    return []


def fresh(value):
    """A copy whose tensors are leaves of their own."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        made = [fresh(v) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    if isinstance(value, dict):
        return {k: fresh(v) for k, v in value.items()}
    return value


def wanted(target, arguments):
    """Whatever has a gradient: tensors of the arguments and parameters."""
    found = [t for t in leaves(list(arguments)) if t.requires_grad]
    if isinstance(target, torch.nn.Module):
        found += [p for p in target.parameters() if p.requires_grad]
    return found


def close(want, got, what):
    assert (want is None) == (got is None), f"{what}: {got} instead of {want}"
    if want is not None:
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6, msg=lambda m: f"{what}: {m}")


def cotangents(outputs, seed):
    torch.manual_seed(seed)
    # not randn_like: its elements depend on the strides
    return [torch.randn(o.shape, dtype=o.dtype, device=o.device) for o in outputs]


def gradients(function, target, arguments, twice=False):
    """Results and gradients of a call."""
    torch.manual_seed(3)
    result = function(*arguments)
    outputs = [o for o in leaves(result) if o.requires_grad]
    inputs = wanted(target, arguments)
    found = []
    for seed in (5, 6)[: 1 + twice]:
        given = cotangents(outputs, seed)
        if outputs and inputs:
            found.append(torch.autograd.grad(
                outputs, inputs, given, allow_unused=True, retain_graph=True
            ))  # fmt: skip
    return result, found


def second_gradients(function, target, arguments):
    result = function(*arguments)
    outputs = [o for o in leaves(result) if o.requires_grad]
    inputs = wanted(target, arguments)
    if not outputs or not inputs:
        return None
    first = torch.autograd.grad(
        outputs, inputs, cotangents(outputs, 5), create_graph=True, allow_unused=True
    )
    again = [g for g in first if g is not None and g.requires_grad]
    if not again:
        return None
    return torch.autograd.grad(again, inputs, cotangents(again, 8), allow_unused=True)


def check_gradients(target, *arguments, differentiated=True, second=True, verify=True):
    """Compare; ``differentiated`` says whether there is a reverse program at all."""
    is_module = isinstance(target, torch.nn.Module)
    eager = copy.deepcopy(target) if is_module else target
    scripted = scriptmode.script(copy.deepcopy(target) if is_module else target)
    want, want_gradients = gradients(eager, eager, fresh(arguments), twice=True)
    got, got_gradients = gradients(scripted, scripted, fresh(arguments), twice=True)
    assert len(leaves(want)) == len(leaves(got))
    for w, g in zip(leaves(want), leaves(got)):
        close(w.detach(), g.detach(), "result")
        assert w.requires_grad == g.requires_grad, "requires_grad"
        assert w.is_leaf == g.is_leaf, "is_leaf"
    for first, other in zip(want_gradients, got_gradients, strict=True):
        for number, (w, g) in enumerate(zip(first, other, strict=True)):
            close(w, g, f"gradient {number}")
    reason = scripted._dispatcher.primary.gradients.reason
    assert (reason == "") == differentiated, reason or "it has a reverse program"
    if second:
        w = second_gradients(eager, eager, fresh(arguments))
        g = second_gradients(scripted, scripted, fresh(arguments))
        for number, (a, b) in enumerate(zip(w or (), g or (), strict=True)):
            close(a, b, f"second gradient {number}")
    if verify and differentiated:
        verify_reverse(scripted, arguments)
    return scripted


def verify_reverse(scripted, arguments):
    """The graphs are valid, and print and parse to themselves."""
    program, name, owner = scripted.__scriptmode_ir__()
    has_self = owner is not None

    def roots(graph, found):
        own = graph.params[1:] if has_self else graph.params
        return [root_of(p, path) for p in own for path in root_paths(p.type)]

    found, _ = differentiate(program, name, roots)
    for graph in (found.forward, found.reverse):
        whole = program_of(graph, program, found.functions)
        for function in whole.functions.values():
            verify(function, whole, schema_of)
