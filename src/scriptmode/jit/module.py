"""``ScriptModule``: a compiled module that is a real ``nn.Module``.

``script(module)`` returns a ``RecursiveScriptModule``.  ``ScriptModule``, its base, can be
subclassed: an object is an ordinary module while its ``__init__`` runs, and then becomes a
``RecursiveScriptModule`` itself::

    class Scale(scriptmode.ScriptModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3))

        @scriptmode.script_method
        def forward(self, x):
            return x * self.weight

It shares the *dicts* of parameters and buffers with the eager module it was made from, so that
``load_state_dict``, ``.to()``, ``p.data = ...`` and optimizers on either side act on both.  All
other state (ints, flags, strings, lists) is owned by the native instance, where attribute access
goes.
Submodules are ``ScriptModule`` views into the same native instance.
"""

from __future__ import annotations

import copy
import inspect
import operator
import types
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, cast

import torch
from torch.nn.modules import module as nn_module

from scriptmode.codegen.module import CompiledProgram
from scriptmode.frontend.script import ClassFacts, compile_module, entry_methods
from scriptmode.frontend.script.linking import is_traced
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program
from scriptmode.jit import text
from scriptmode.jit.authored import extend, script_methods, unwrap_attributes
from scriptmode.jit.dispatch import Dispatcher
from scriptmode.jit.function import Compiled, ScriptFunction, types_of_examples
from scriptmode.jit.hook_checks import check_hooks
from scriptmode.jit.own_tree import OwnTree, own_tree
from scriptmode.jit.pipeline import compile_native
from scriptmode.jit.state_dicts import STATE_HOOKS, with_own_state_methods
from scriptmode.runtime.instance import NativeInstance
from scriptmode.support import config
from scriptmode.support.diagnostics import CompileError, Diagnostic, ScriptAttributeError
from scriptmode.support.markers import Attribute

_SHARED = ("_parameters", "_buffers", "_non_persistent_buffers_set")
CALL = "__call__"
_HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
    "_backward_hooks", "_backward_pre_hooks", "_is_full_backward_hook",
)  # fmt: skip
_GLOBAL_HOOKS = (
    nn_module._global_forward_hooks, nn_module._global_forward_pre_hooks,
    nn_module._global_backward_hooks, nn_module._global_backward_pre_hooks,
)  # fmt: skip


# modules of subclasses of ScriptModule whose ``__init__`` runs, by thread
_MAKING: ContextVar[tuple[torch.nn.Module, ...]] = ContextVar("making", default=())


class _MadeThenCompiled(type):
    """Compiles the object that a call of the class has made."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made: Any = cls.__new__(cast(Any, cls), *args, **kwargs)
        token = _MAKING.set((*_MAKING.get(), made))
        try:
            made.__init__(*args, **kwargs)
        finally:
            _MAKING.reset(token)
        if config.get("enabled") and script_methods(type(made)):
            _compile_in_place(made)
        return made


class ScriptModule(torch.nn.Module, metaclass=_MadeThenCompiled):
    """Base class of compiled modules."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.value if isinstance(value, Attribute) else value)

    def define(self, src: str, _frames_up: int = 0) -> None:
        """Add the functions of a text as compiled methods."""
        functions = text.define(src, text.names_of_caller(_frames_up))
        eager = self.to_eager() if isinstance(self, RecursiveScriptModule) else self
        extend(eager, functions)
        if config.get("enabled") and all(m is not self for m in _MAKING.get()):
            _compile_in_place(self)


class RecursiveScriptModule(ScriptModule, Compiled):
    """A module whose methods are native code."""

    def __init__(self) -> None:
        raise TypeError("make a RecursiveScriptModule with scriptmode.script(module)")

    # ---- construction

    @classmethod
    def _empty(cls, original: torch.nn.Module, made: ScriptModule | None) -> Any:
        """A module without state, or ``made`` become one."""
        if isinstance(original, ScriptModule) and not isinstance(original, RecursiveScriptModule):
            cls = compiled_class(cls, type(original))
        else:
            cls = with_own_state_methods(cls, type(original))
        if made is None:
            return cls.__new__(cls)
        made.__dict__.clear()
        made.__class__ = cls
        return made

    @classmethod
    def _wrap(
        cls,
        original: torch.nn.Module,
        instance: NativeInstance | None,
        build: Build,
        path: str = "",
        known: dict[int, RecursiveScriptModule] | None = None,
        made: ScriptModule | None = None,
    ) -> RecursiveScriptModule:
        if build.entry == CALL and not path:
            cls = _Calling
        self = cast(RecursiveScriptModule, cls._empty(original, made))
        known = {} if known is None else known  # a module that is reached twice is one here too
        known[id(original)] = self
        torch.nn.Module.__init__(self)
        state = self.__dict__
        state["_original"] = original
        state["_instance"] = instance
        state["_build"] = build
        state["_dispatchers"] = {}
        state["_methods"] = {}
        for shared in (*_SHARED, *STATE_HOOKS, *(_HOOKS if build.runs_hooks else ())):
            state[shared] = original.__dict__[shared]
        if instance is not None and instance.has_slot("training"):
            del state["training"]  # compiled code may change it
        else:
            state["training"] = original.training
        for name, child in original._modules.items():
            if child is None:
                self._modules[name] = None
                continue
            child = eager_module(child)
            found = known.get(id(child))
            if found is None and (is_traced(child) or isinstance(child, RecursiveScriptModule)):
                found = cast(RecursiveScriptModule, child)  # it has its own code and state
            if found is None:
                child_instance = instance.child(name) if instance is not None else None
                child_path = f"{path}.{name}" if path else name
                found = build.wrap_child(child, child_instance, child_path, known)
            self._modules[name] = found
        state["_path"] = path
        return self

    def _dispatcher_for(self, method: str) -> Dispatcher:
        found = self._dispatchers.get(method)
        if found is None:
            found = self._dispatchers[method] = self._build.dispatcher(self, method)
        return cast(Dispatcher, found)

    @property
    def _dispatcher(self) -> Dispatcher:
        return self._dispatcher_for(self._build.entry)

    def _call_own(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the original's class."""
        if self._build.is_method(self, name):
            return self._method(name)(*args, **kwargs)
        function = getattr(type(self._original), name)
        if self._instance is None:
            return function(self._original, *args, **kwargs)
        with self._instance.lent() as module:
            return function(module, *args, **kwargs)

    # ---- calls and attributes

    @property
    def forward(self) -> ScriptFunction:  # type: ignore[override]
        """The compiled ``forward``."""
        # an AttributeError of a property is lost: __getattr__ then asks for the method again
        if isinstance(self.__dict__.get("_build"), EmptyBuild):
            return cast(ScriptFunction, self._original.forward)  # which says that there is none
        source = self.__dict__.get("_source")
        if source is not None:
            source.check(self)
        return self._method("forward")

    def _method(self, name: str) -> ScriptFunction:
        if any(_GLOBAL_HOOKS) and self._modules:
            self._refuse_global_hooks()
        found = self._methods.get(name)
        if found is None:
            dispatcher = self._dispatcher_for(name)
            function = getattr(self._original, name)
            found = self._methods[name] = ScriptFunction(function, dispatcher)
        return cast(ScriptFunction, found)

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if name in state.get(table, ()):
                return state[table][name]
        if "_original" not in state:
            raise AttributeError(name)
        instance = state["_instance"]
        if instance is not None and instance.has_slot(name):
            return instance.get(name)
        original = state["_original"]
        found = inspect.getattr_static(type(original), name, None)
        if isinstance(found, property) and found.fget is not None:
            return found.fget(self)
        if name == "forward" or self._build.is_method(self, name):
            return self._method(name)
        value = getattr(original, name, _MISSING)
        if value is _MISSING:
            raise AttributeError(f"{self.original_name!r} module has no attribute {name!r}")
        if inspect.ismethod(value) and value.__self__ is original:
            # a method that is not compiled runs as Python, on this module's state
            return value.__func__.__get__(self)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if "_instance" in state and name not in state["_parameters"] | state["_buffers"]:
            instance = state["_instance"]
            if instance is not None and instance.has_slot(name):
                instance.set(name, value)
                return
            found = inspect.getattr_static(type(state["_original"]), name, None)
            if isinstance(found, property) and found.fset is not None:
                found.fset(self, value)
                return
            if name in state["_modules"] and _replaced(self, name, value):
                return
            self._refuse_constant(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        instance = self.__dict__["_instance"]
        if instance is not None and name in instance.class_type.late:
            instance.unbind(name)
            return
        self._refuse_constant(name)
        super().__delattr__(name)

    # containers (Sequential, ModuleList, ModuleDict, ...) stay containers

    def _special(self, name: str, *args: Any) -> Any:
        method = getattr(type(self._original), name, None)
        if method is None:
            raise TypeError(f"{self.original_name!r} module has no {name}")
        return method(self, *args)

    def __len__(self) -> int:
        return int(self._special("__len__"))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and isinstance(self._original, _SEQUENCES):
            parts = [m for m in list(self._modules.values())[key] if m is not None]
            is_list = isinstance(self._original, torch.nn.ModuleList)
            return torch.nn.ModuleList(parts) if is_list else torch.nn.Sequential(*parts)
        return self._special("__getitem__", key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._special("__iter__"))

    def __contains__(self, key: Any) -> bool:
        return bool(self._special("__contains__", key))

    def __bool__(self) -> bool:
        return not hasattr(type(self._original), "__len__") or len(self) > 0

    def _refuse_constant(self, name: str) -> None:
        """Raise when compiled code has taken attribute ``name`` as a constant."""
        eager = self.__dict__["_original"]
        original = vars(eager)
        of_class = getattr(type(eager), name, None)
        if name in self._modules:
            what = f"submodule `{name}` of a compiled module can be replaced by a compiled one only"
        elif name == "training" or name.startswith("_"):
            return
        elif name in original or not (of_class is None or callable(of_class)):
            what = f"`{name}` is a constant of the compiled module"
        else:
            return
        raise ScriptAttributeError(
            Diagnostic("SM0502", what, help="change the eager module and script it again")
        )

    def register_forward_hook(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_inner_hook("register_forward_hook")
        return super().register_forward_hook(*args, **kwargs)

    def register_forward_pre_hook(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_inner_hook("register_forward_pre_hook")
        return super().register_forward_pre_hook(*args, **kwargs)

    def register_full_backward_hook(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_inner_hook("register_full_backward_hook")
        return super().register_full_backward_hook(*args, **kwargs)

    def _refuse_inner_hook(self, what: str) -> None:
        if self._path:
            raise ScriptAttributeError(
                Diagnostic(
                    "SM0501",
                    f"{what} on submodule `{self._path}` of a compiled module has no effect",
                    notes=("the outer module calls it natively, without Python hooks",),
                    help="register the hook before scripting, or on the outermost module",
                )
            )

    def _refuse_global_hooks(self) -> None:
        raise ScriptAttributeError(
            Diagnostic(
                "SM0503",
                f"hooks of all modules do not see the submodules of compiled {self.original_name}",
                notes=("it calls them natively, without Python hooks",),
                help="remove the global module hooks, or call the eager module",
            )
        )

    # ---- printing

    @property
    def original_name(self) -> str:
        """Class name of the eager module."""
        return type(self._original).__name__

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """Shows the original class."""
        return f"original_name={self.original_name}"

    # ---- copies

    def __copy__(self) -> RecursiveScriptModule:
        return cast(RecursiveScriptModule, self._build.wrap(copy.copy(self.to_eager())))

    def __deepcopy__(self, memo: dict[int, Any]) -> RecursiveScriptModule:
        copied = self._build.copied(copy.deepcopy(self.to_eager(), memo))
        return cast(RecursiveScriptModule, copied)

    def to_eager(self) -> torch.nn.Module:
        """An eager module over the same tensors, with the native state in its attributes."""
        if self._instance is not None:
            self._instance.copy_to(self._original)
        return cast(torch.nn.Module, self._original)

    def __scriptmode_ir__(self) -> tuple[Program, str, Any]:
        """Program, name of its forward, and the eager module, for the front ends."""
        primary = self._dispatcher.primary
        return primary.program, primary.function, self.to_eager()

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *self.__dict__, *dir(self._original)})


_MISSING = object()
_SEQUENCES = (torch.nn.Sequential, torch.nn.ModuleList)


class Build:
    """How the methods of one module tree are compiled; shared by all its ``ScriptModule`` views.

    ``methods`` maps names of the root module's methods to the program's functions.
    """

    module_class: type[RecursiveScriptModule] = RecursiveScriptModule
    entry = "forward"  # what a call of the module runs
    runs_hooks = True  # of the module that Python calls; those of inner modules are compiled

    def __init__(self, program: Program, methods: Mapping[str, str]) -> None:
        self.program = program
        self.compiled: CompiledProgram = compile_native(program)
        self.methods = dict(methods)
        self._has_module = False

    def wrap(
        self, original: torch.nn.Module, made: ScriptModule | None = None
    ) -> RecursiveScriptModule:
        """A ``ScriptModule`` over an eager module of the program's concrete type.

        ``made`` is an object that becomes it.
        """
        if self._has_module and self.compiled.global_cells:
            # code that refers to captured modules belongs to one tree of native instances
            fresh = copy.copy(self)
            fresh.compiled, fresh._has_module = compile_native(self.program), False
            return fresh.wrap(original, made)
        self._has_module = True
        root_type = self.program.functions[next(iter(self.methods.values()))].params[0].type
        assert isinstance(root_type, T.ClassType)
        instance = NativeInstance(root_type, original)
        return self.module_class._wrap(original, instance, self, made=made)

    def wrap_child(
        self,
        child: torch.nn.Module,
        instance: NativeInstance | None,
        path: str,
        known: dict[int, RecursiveScriptModule],
    ) -> RecursiveScriptModule:
        """The view of a submodule, whose native instance is part of the whole tree's."""
        return self.module_class._wrap(child, instance, self, path, known)

    def copied(self, original: torch.nn.Module) -> RecursiveScriptModule:
        """A compiled module over a copy of the eager one."""
        return self.wrap(original)

    def signature_of_part(self, function: str) -> inspect.Signature | None:
        """How a method of a submodule is called, its module left out; None if no source says."""
        graph = self.program.functions[function]
        owner = graph.params[0].type if graph.params else None
        if not isinstance(owner, T.ClassType) or not owner.is_module or owner.python_class is None:
            return None
        method = inspect.getattr_static(owner.python_class, function.rpartition(".")[2], None)
        if not inspect.isfunction(method):
            return None
        signature = inspect.signature(method)
        parameters = list(signature.parameters.values())[1:]
        if [p.name for p in parameters] != [p.name for p in graph.params[1:]]:
            return None
        return signature.replace(
            parameters=[p.replace(annotation=p.empty) for p in parameters],
            return_annotation=signature.empty,
        )

    def is_method(self, module: RecursiveScriptModule, name: str) -> bool:
        """Whether ``name`` is a compiled method of ``module``."""
        raise NotImplementedError

    def dispatcher(self, module: RecursiveScriptModule, method: str) -> Dispatcher:
        """The dispatcher of a method."""
        raise NotImplementedError


class EmptyBuild(Build):
    """A module without methods to compile, such as a ModuleList; its submodules stand alone."""

    def __init__(self) -> None:
        self.methods = {}

    def wrap(
        self, original: torch.nn.Module, made: ScriptModule | None = None
    ) -> RecursiveScriptModule:
        return self.module_class._wrap(original, None, self, made=made)

    def wrap_child(
        self,
        child: torch.nn.Module,
        instance: NativeInstance | None,
        path: str,
        known: dict[int, RecursiveScriptModule],
    ) -> RecursiveScriptModule:
        return script_module(child)

    def is_method(self, module: RecursiveScriptModule, name: str) -> bool:
        return False

    def dispatcher(self, module: RecursiveScriptModule, method: str) -> Dispatcher:
        raise AttributeError(f"{module.original_name} has no method `{method}` to compile")


class ScriptBuild(Build):
    """Methods compiled from source; those of submodules on their own, when first called."""

    def __init__(self, program: Program, methods: Mapping[str, str], tree: OwnTree) -> None:
        super().__init__(program, methods)
        self.tree = tree
        self.entry = CALL if CALL in methods else "forward"

    def copied(self, original: torch.nn.Module) -> RecursiveScriptModule:
        if any(isinstance(v, torch.nn.Module) for v in self.program.globals.values()):
            return _compiled(OwnTree(original), list(self.methods), None)
        return self.wrap(original)

    def is_method(self, module: RecursiveScriptModule, name: str) -> bool:
        if not module._path:
            return name in self.methods
        return name == "forward"

    def dispatcher(self, module: RecursiveScriptModule, method: str) -> Dispatcher:
        original = module._original
        name = self.methods.get(method) if not module._path else None
        program, compiled = self.program, self.compiled
        if name is None:
            program = compile_module(original, [method], stand_ins=self.tree.stand_ins)
            compiled, name = compile_native(program), program.root

        def compile_instance(types: Mapping[str, T.Type], facts: ClassFacts) -> Program:
            return compile_module(
                module.to_eager(),
                [method],
                arg_types={method: types},
                stand_ins=self.tree.stand_ins,
                facts=facts,
            )

        return Dispatcher(
            f"{module.original_name}.{method}",
            program,
            name,
            compiled=compiled,
            signature=_signature(original, method),
            compile_instance=compile_instance,
            self_object=module,
            instance=module._instance,
        )


def _signature(original: torch.nn.Module, method: str) -> inspect.Signature:
    signature = inspect.signature(getattr(original, method))
    return signature.replace(
        parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
        return_annotation=signature.empty,
    )


def script_module(
    original: torch.nn.Module,
    methods: Sequence[str] | None = None,
    examples: Mapping[str, Sequence[tuple[Any, ...]]] | None = None,
    made: ScriptModule | None = None,
) -> RecursiveScriptModule:
    """Compile ``forward`` and every exported method of ``original``, or the named methods.

    ``examples`` give types of parameters by method; ``made`` is an object that becomes the result.
    """
    if "_modules" not in vars(original):
        raise CompileError(
            Diagnostic(
                "SM0106",
                f"`{type(original).__name__}` has not been initialised",
                help="call super().__init__() in its __init__",
            )
        )
    unwrap_attributes(original)
    check_hooks(original)
    known = {
        name: types_of_examples(_signature(original, name), given)
        for name, given in (examples or {}).items()
    }
    if known and methods is None:
        methods = list(dict.fromkeys([*entry_methods(original), *known]))
    if not methods and not entry_methods(original):
        return EmptyBuild().wrap(original, made)
    compiled = _compiled(own_tree(original), methods, known, made)
    compiled.__dict__["_source"] = _Source(original)
    return compiled


def _compiled(
    tree: OwnTree,
    methods: Sequence[str] | None,
    arg_types: Mapping[str, Mapping[str, T.Type]] | None,
    made: ScriptModule | None = None,
) -> RecursiveScriptModule:
    program = compile_module(tree.root, methods, arg_types, stand_ins=tree.stand_ins)
    root = program.graph.params[0].type
    assert isinstance(root, T.ClassType)
    return ScriptBuild(program, root.methods, tree).wrap(tree.root, made)


class _Source:
    """The eager module that was compiled, while it lives."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = weakref.ref(module)
        self._training = module.training

    def check(self, compiled: RecursiveScriptModule) -> None:
        """Warn, once for each change, when only the eager module's mode has been set."""
        module = self._module()
        if module is None or module.training == self._training:
            return
        self._training = module.training
        if compiled.training != module.training:
            mode = "train" if module.training else "eval"
            warnings.warn(
                f"the eager {type(module).__name__} is in {mode} mode now, the compiled one is "
                f"not: call {mode}() on the compiled module",
                stacklevel=5,
            )


class _Calling(RecursiveScriptModule):
    """A module whose class has its own ``__call__``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._method(CALL)(*args, **kwargs)


def script_method_of(
    owner: torch.nn.Module, name: str, examples: Sequence[tuple[Any, ...]] | None = None
) -> ScriptFunction:
    """Compile one bound method of a module."""
    compiled = script_module(owner, [name], {name: examples} if examples else None)
    return ScriptFunction(getattr(owner, name), compiled._dispatcher_for(name))


def _compile_in_place(made: ScriptModule) -> None:
    """Make a compiled module of an object; its state goes on in an eager twin."""
    if isinstance(made, RecursiveScriptModule):
        eager = made.to_eager()
    else:
        eager = type(made).__new__(type(made))
        eager.__dict__.update(made.__dict__)
    script_module(eager, script_methods(type(eager)), made=made)


def _replaced(module: RecursiveScriptModule, name: str, value: Any) -> bool:
    """Compile a module anew with another compiled submodule; False where that is not done."""
    build = module._build
    if module._path or not isinstance(build, ScriptBuild):
        return False
    if not isinstance(value, RecursiveScriptModule):
        return False
    eager, own = module.to_eager(), dict(module.__dict__)
    before, eager._modules[name] = eager._modules[name], value
    try:
        script_module(eager, list(build.methods), made=module)
    except BaseException:
        eager._modules[name] = before
        raise
    for key in own.keys() - module.__dict__.keys():
        module.__dict__[key] = own[key]
    return True


def compiled_class(base: type[RecursiveScriptModule], authored: type) -> Any:
    """The class of compiled objects of a subclass of ``ScriptModule``."""
    compiled = script_methods(authored)
    members: dict[str, Any] = {
        name: property(operator.methodcaller("_method", name))
        for name in compiled
        if name != "forward"
    }
    if "forward" not in compiled:
        members["forward"] = authored.forward  # type: ignore[attr-defined]
    return types.new_class(
        authored.__name__, (base, authored), exec_body=lambda names: names.update(members)
    )


def eager_module(module: torch.nn.Module) -> torch.nn.Module:
    """The eager module behind one that a subclass of ``ScriptModule`` has made."""
    if isinstance(module, RecursiveScriptModule) and isinstance(module._original, ScriptModule):
        return module.to_eager()
    return module
