"""The function level: a mode sees torch's Python API as the user calls it.

A builtin is recorded by the resolver as one call (``linear``, ``layer_norm``, ``max``) and run with
recording off; a Python function of torch is entered, so that its inner calls are recorded; what
takes a value out of a tensor is frozen; all else is recorded at the dispatch level.
"""

from __future__ import annotations

import functools
import math
import sys
import types
from collections.abc import Callable
from typing import Any

import torch
from torch._jit_internal import boolean_dispatched
from torch.overrides import TorchFunctionMode

from scriptmode.frontend import calls
from scriptmode.frontend.trace import numbers
from scriptmode.frontend.trace.dispatch import DispatchMode, tensors_in
from scriptmode.frontend.trace.recorder import Recorder
from scriptmode.frontend.trace.resolve import accessor_name, resolve
from scriptmode.frontend.trace.state import active_recorder, paused

_TENSOR = torch.Tensor
# a tensor's value leaves the trace
_CONVERSIONS: dict[Any, str] = {
    _TENSOR.item: "item", _TENSOR.__bool__: "bool", _TENSOR.__int__: "int",
    _TENSOR.__float__: "float", _TENSOR.__complex__: "complex", _TENSOR.__index__: "index",
    _TENSOR.tolist: "tolist", _TENSOR.numpy: "numpy", _TENSOR.__array__: "numpy",
    _TENSOR.__len__: "len", _TENSOR.is_nonzero: "bool", torch.is_nonzero: "bool",
    _TENSOR.equal: "equal", torch.equal: "equal", _TENSOR.allclose: "allclose",
    torch.allclose: "allclose", _TENSOR.__repr__: "str", _TENSOR.__format__: "str",
    _TENSOR.__dlpack__: "dlpack", _TENSOR.data_ptr: "data_ptr",
}  # fmt: skip
_CONVERSION_TEXTS = {
    "item": "converting a tensor to a Python number",
    "index": "converting a tensor to a Python int",
    "tolist": "converting a tensor to a Python list",
    "len": "len() of a tensor gives a Python int",
    "equal": "comparing tensors gives a Python bool",
    "allclose": "comparing tensors gives a Python bool",
    "str": "the text of a tensor is a Python str",
    "numpy": "converting a tensor to a NumPy array",
}
# properties of a tensor that a trace takes as they are
_METADATA = frozenset([
    "dtype", "device", "layout", "ndim", "requires_grad", "is_leaf", "grad_fn", "is_cuda", "is_cpu",
    "is_meta", "is_mps", "is_xpu", "is_sparse", "is_sparse_csr", "is_quantized", "is_mkldnn",
    "is_nested", "names", "itemsize", "output_nr", "_version", "is_xla", "is_ipu", "is_maia",
    "is_mtia", "is_vulkan", "retains_grad", "_backward_hooks", "_post_accumulate_grad_hooks",
    "name", "_base", "_grad_fn", "nbytes", "_is_zerotensor", "_cdata", "is_hpu",
    "dim", "ndimension", "is_floating_point", "is_complex", "is_signed", "is_contiguous", "is_conj",
    "is_neg", "is_inference", "element_size", "get_device", "type", "_is_view", "has_names",
    "is_pinned", "is_shared", "is_coalesced", "storage_offset", "is_same_size", "result_type",
    "can_cast", "promote_types", "sparse_dim", "dense_dim", "is_distributed", "_is_zerotensor",
    "is_set_to", "qscheme", "untyped_storage", "_typed_storage", "storage",
])  # fmt: skip
_RANK = frozenset(["dim", "ndim", "ndimension"])
_REFUSED: dict[Any, str] = {
    _TENSOR.backward: "backward()",
    torch.autograd.grad: "torch.autograd.grad",
    torch.autograd.backward: "torch.autograd.backward",
    _TENSOR.register_hook: "a hook on a tensor",
    _TENSOR.retain_grad: "retain_grad()",
}
_SYMBOLIC: dict[Any, Callable[[Any], Any]] = {
    torch.sym_int: math.trunc,
    torch.sym_float: numbers.as_traced_float,
}
_NEVER = {
    name: (lambda *args, **kwargs: False)
    for name in ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
}


class _NumberClass(type):
    """Stands in for ``int`` or ``float`` inside torch's Python functions: keeps numbers traced."""

    original: type
    convert: Callable[[Any], Any]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and numbers.is_live(args[0]):
            return cls.convert(args[0])
        return cls.original(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.original)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.original)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.original

    def __hash__(cls) -> int:
        return hash(cls.original)


class _Int(metaclass=_NumberClass):
    original = int
    convert = staticmethod(math.trunc)


class _Float(metaclass=_NumberClass):
    original = float
    convert = staticmethod(numbers.as_traced_float)


_GRAD_MODE_FILE = torch.autograd.grad_mode.__file__


class _Globals(dict[str, Any]):
    """Another module's globals, in which nothing overrides torch functions."""

    def __init__(self, original: dict[str, Any]) -> None:
        kept = ("__builtins__", "__name__", "__package__", "__spec__", "__loader__", "__file__")
        super().__init__({n: original[n] for n in kept if n in original})
        self.update((n, f) for n, f in _NEVER.items() if n in original)
        self.update(int=_Int, float=_Float)
        self.original = original

    def __missing__(self, name: str) -> Any:
        return self.original[name]


@functools.cache
def _enterable(function: types.FunctionType) -> Callable[..., Any]:
    """A copy of a Python function that does not offer itself to modes."""
    copy = types.FunctionType(
        function.__code__,
        _Globals(function.__globals__),
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _body(function: Any, args: Any, kwargs: Any) -> Callable[..., Any]:
    """The Python code that a call of ``function`` runs."""
    choice: Any = boolean_dispatched.get(function)
    if choice is not None:
        flag = choice["default"]
        if choice["arg_name"] in kwargs:
            flag = kwargs[choice["arg_name"]]
        elif choice["index"] < len(args):
            flag = args[choice["index"]]
        function = choice["if_true"] if flag else choice["if_false"]
    return _enterable(function)


def plain_arguments(value: Any) -> Any:
    """``value`` with traced numbers made plain, in nested lists, tuples, dicts and slices."""
    if isinstance(value, (numbers.TracedInt, numbers.TracedFloat)):
        return numbers.plain(value)
    if isinstance(value, slice):
        return slice(*map(plain_arguments, (value.start, value.stop, value.step)))
    if type(value) in (list, tuple, torch.Size):
        items = [plain_arguments(v) for v in value]
        changed = any(a is not b for a, b in zip(items, value, strict=True))
        return type(value)(items) if changed else value
    if type(value) is dict:
        return {k: plain_arguments(v) for k, v in value.items()}
    return value


def live_numbers_in(value: Any) -> bool:
    """Whether a traced number occurs in ``value``."""
    if isinstance(value, (list, tuple)):
        return any(map(live_numbers_in, value))
    if isinstance(value, dict):
        return any(map(live_numbers_in, value.values()))
    if isinstance(value, slice):
        return any(map(live_numbers_in, (value.start, value.stop, value.step)))
    return numbers.is_live(value)


class FunctionMode(TorchFunctionMode):
    """Records what the traced function calls."""

    def __init__(self, recorder: Recorder, dispatch: DispatchMode) -> None:
        super().__init__()
        self.recorder = recorder
        self.dispatch = dispatch
        self._entered: set[tuple[Any, tuple[int, ...]]] = set()

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if active_recorder() is not self.recorder or self.dispatch.is_claimed:
            return function(*args, **kwargs)
        if function is torch._C._set_grad_enabled:
            self._set_grad(bool(args[0]))
            return function(*args)
        name = accessor_name(function, "__get__") or getattr(function, "__name__", "")
        if name in _METADATA and not isinstance(function, torch._ops.OpOverload):
            return self._metadata(name, function, args, kwargs)
        if name == "shape" or (function is _TENSOR.size and len(args) == 1 and not kwargs):
            return self._shape(args[0])
        conversion = _CONVERSIONS.get(function)
        refused = _REFUSED.get(function)
        if torch._C._are_functorch_transforms_active():
            return self._record_below(function, args, kwargs)
        if refused is not None:
            self.recorder.refuse("SM0615", f"{refused} inside a traced function is not built yet")
        if conversion is not None:
            return self._convert(conversion, function, args, kwargs)
        if accessor_name(function, "__set__") is not None:
            return self._assign(function, args)
        if function in _SYMBOLIC and numbers.is_live(args[0]):
            return _SYMBOLIC[function](args[0])
        if _is_python(function):
            return self._enter(function, args, kwargs)
        return self._record(function, args, kwargs)

    # calls

    def _enter(self, function: Any, args: Any, kwargs: Any) -> Any:
        key = (function, tuple(id(a) for a in args))
        if key in self._entered:
            # the builtin of the same name, which torch reports as the Python function
            return self._record(_builtin_behind(function), args, kwargs)
        self._entered.add(key)
        try:
            with self:
                return _body(function, args, kwargs)(*args, **kwargs)
        finally:
            self._entered.discard(key)

    def _record(self, function: Any, args: Any, kwargs: Any) -> Any:
        recorder = self.recorder
        operands = [recorder.operand(a) for a in args]
        keywords = {k: recorder.operand(v) for k, v in kwargs.items()}
        recorder.before_call()
        with recorder.attempt():
            value = resolve(recorder, function, operands, keywords)
            if value is not None:
                with self.dispatch.claimed():
                    result = function(*plain_arguments(args), **plain_arguments(kwargs))
        if value is None:
            return self._record_below(function, args, kwargs)
        result = self._fresh_objects(function, result, args, kwargs)
        what = getattr(function, "__name__", str(function))
        if _iterates():
            count = len(result)
            recorder.freeze(
                "iteration", count, "iterating over a tensor unrolls its first dimension"
            )
        return recorder.bind_result(result, value, what)

    def _record_below(self, function: Any, args: Any, kwargs: Any) -> Any:
        if live_numbers_in(args) or live_numbers_in(kwargs):
            what = getattr(function, "__name__", str(function))
            self.recorder.freeze("number", None, f"{what} takes the value of a size")
        result = function(*plain_arguments(args), **plain_arguments(kwargs))
        if isinstance(result, (bool, int, float)) and any(True for _ in tensors_in((args, kwargs))):
            what = getattr(function, "__name__", str(function))
            self.recorder.freeze("value", result, f"{what} gives a Python value")
        return result

    def _fresh_objects(self, function: Any, result: Any, args: Any, kwargs: Any) -> Any:
        """Results that are an input, although the op may return something else, as new objects.

        ``x.contiguous()`` is ``x`` here and may be a copy in another call: the two need names.
        """
        if not isinstance(result, torch.Tensor) or _writes(function):
            return result
        if any(result is t for t in tensors_in((args, kwargs))):
            with paused():
                return result.view_as(result)
        return result

    def _shape(self, tensor: torch.Tensor) -> torch.Size:
        recorder = self.recorder
        recorder.guard("shape")
        value = recorder.value_of_tensor(tensor)
        sizes = []
        for dim, size in enumerate(tensor.shape):
            traced = recorder.emit("aten::size.int", value, recorder.constant(dim))
            sizes.append(numbers.traced_int(recorder, size, traced))
        return torch.Size(sizes)

    # values that leave

    def _metadata(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        with self.dispatch.claimed():
            result = function(*plain_arguments(args), **plain_arguments(kwargs))
        if isinstance(result, torch.Tensor):
            return self._record(function, args, kwargs)
        if args and isinstance(args[0], torch.Tensor) and self.recorder.is_known(args[0]):
            self.recorder.guard(name)
            kind = "rank" if name in _RANK else name
            self.recorder.freeze(kind, result, f"{name} of a tensor", warn=False)
        return result

    def _convert(self, kind: str, function: Any, args: Any, kwargs: Any) -> Any:
        with paused():
            result = function(*plain_arguments(args), **plain_arguments(kwargs))
        if any(self.recorder.is_traced(t) for t in tensors_in(args)):
            text = _CONVERSION_TEXTS.get(kind, f"converting a tensor to a Python {kind}")
            self.recorder.freeze(kind, result, text)
        return result

    def _assign(self, function: Any, args: Any) -> Any:
        if any(self.recorder.is_known(t) for t in tensors_in(args)):
            name = accessor_name(function, "__set__")
            self.recorder.refuse("SM0614", f"assigning `{name}` of a tensor cannot be recorded")
        return function(*args)

    def _set_grad(self, mode: bool) -> None:
        frame = sys._getframe(2)
        found = None
        while frame is not None and frame.f_code.co_filename == _GRAD_MODE_FILE:
            found, frame = frame, frame.f_back  # type: ignore[assignment]
        grad = self.recorder.grad_mode
        if found is None:
            grad.enter(object(), mode)
        elif found.f_code.co_name in ("__exit__", "__call__"):
            grad.leave(found.f_locals["self"], mode)
        else:
            grad.enter(found.f_locals["self"], mode)


def _builtin_behind(function: Any) -> Any:
    name = function.__name__
    if calls.is_torch_callable(function):
        return function
    for owner in (torch._C.TensorBase, torch._C._VariableFunctions, torch._C._nn):
        found = getattr(owner, name, None)
        if found is not None and calls.is_torch_callable(found):
            return found
    return function


def _is_python(function: Any) -> bool:
    return isinstance(function, types.FunctionType)


def _writes(function: Any) -> bool:
    name = getattr(function, "__name__", "")
    if isinstance(function, torch._ops.OpOverload):
        return bool(function._schema.is_mutable)
    return (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")


def _iterates() -> bool:
    frame = sys._getframe(1)
    code = _TENSOR.__iter__.__code__
    for _ in range(6):
        if frame is None:
            return False
        if frame.f_code is code:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
