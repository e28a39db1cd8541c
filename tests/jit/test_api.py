"""The public names, and what they share with the older script mode."""

import inspect
import typing

import pytest
import torch
from torch import nn

import scriptmode

# names of torch.jit that are left out, and why
LEFT_OUT = {
    "ONNXTracedModule": "belongs to the ONNX exporter",
    "RecursiveScriptClass": "objects of classes stay objects of their own class",
}
# what torch.jit only imports
IMPORTED = {"Iterator", "annotations", "contextmanager", "set_module", "torch", "warnings"}


def public_names():
    return [n for n in dir(torch.jit) if not n.startswith("_") and n not in IMPORTED]


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_exists(name):
    assert hasattr(scriptmode, name) != (name in LEFT_OUT)


@pytest.mark.parametrize(
    "name",
    [
        "_overload",
        "_overload_method",
        "_unwrap_optional",
        "_awaitable",
        "_awaitable_wait",
        "_awaitable_nowait",
        "_IgnoreContextManager",
    ],
)
def test_names_that_programs_use_although_they_are_private(name):
    assert callable(getattr(scriptmode, name))


@pytest.mark.parametrize(
    "name", ["script", "trace", "trace_module", "save", "load", "freeze", "optimize_for_inference",
             "run_frozen_optimizations", "set_fusion_strategy", "fuser", "optimized_execution",
             "annotate", "isinstance", "export", "unused", "interface", "export_opnames",
             "enable_onednn_fusion", "onednn_fusion_enabled"],
)  # fmt: skip
def test_calls_that_the_older_name_takes_are_taken(name):
    def parameters(function):
        return list(inspect.signature(function).parameters)

    theirs = parameters(getattr(torch.jit, name))
    ours = parameters(getattr(scriptmode, name))
    if theirs == ["fn"]:  # a decorator, called by position
        assert len(ours) == 1
    else:
        assert set(theirs) <= set(ours) or len(theirs) == len(ours) == 1


@pytest.mark.parametrize("name", ["freeze", "optimize_for_inference",
                                  "run_frozen_optimizations", "jit_module_from_flatbuffer",
                                  "save_jit_module_to_flatbuffer"])  # fmt: skip
def test_what_is_not_built_says_so(name):
    function = getattr(scriptmode, name)
    required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    with pytest.raises(scriptmode.CompileError, match=f"{name} is not built yet"):
        function(*required)


def test_members_of_compiled_objects():
    for name in ["graph", "inlined_graph", "code", "graph_for", "schema", "name", "qualified_name",
                 "get_debug_state", "save", "save_to_buffer"]:  # fmt: skip
        assert hasattr(scriptmode.ScriptFunction, name)
    for name in ["graph", "inlined_graph", "code", "graph_for", "code_with_constants", "define",
                 "get_debug_state", "save", "save_to_buffer", "original_name"]:  # fmt: skip
        assert hasattr(scriptmode.RecursiveScriptModule, name)
    double = scriptmode.script(lambda x: x + x)
    state = double.get_debug_state()
    assert str(state.graph) == str(double.graph) and len(state.execution_plans) == 1
    assert "def" in double.code_with_constants[0]
    assert double.save_to_buffer().startswith(b"PK")


def test_settings_of_other_executors_are_accepted():
    before = scriptmode.set_fusion_strategy([("STATIC", 1)])
    assert scriptmode.set_fusion_strategy(before) == [("STATIC", 1)]
    with pytest.raises(RuntimeError, match="no step of a fusion strategy"):
        scriptmode.set_fusion_strategy([("SOMETIMES", 1)])
    with scriptmode.fuser("fuser1"), scriptmode.optimized_execution(False):
        assert scriptmode.script(lambda x: x + 1)(torch.zeros(1)).item() == 1
    with pytest.raises(RuntimeError, match="there is no fuser"), scriptmode.fuser("fuser9"):
        pass
    scriptmode.enable_onednn_fusion(True)
    assert scriptmode.onednn_fusion_enabled()
    scriptmode.enable_onednn_fusion(False)


def test_the_fused_block_is_a_plain_block():
    def f(x):
        with scriptmode.strict_fusion():
            y = x * 2
        with torch.jit.strict_fusion():
            return y + 1

    assert scriptmode.script(f)(torch.ones(1)).item() == 3


def test_export_opnames_are_torchs_operators():
    f = scriptmode.script(lambda x: [torch.relu(x) + 1][0])
    assert scriptmode.export_opnames(f) == ["aten::add.Scalar", "aten::relu"]
    with pytest.raises(RuntimeError):
        scriptmode.export_opnames(torch.relu)


def test_errors_belong_to_the_families_that_callers_catch():
    frontend = scriptmode.frontend
    assert issubclass(scriptmode.CompileError, RuntimeError)
    assert issubclass(scriptmode.ArgumentError, RuntimeError)
    assert issubclass(scriptmode.TracingCheckError, scriptmode.TraceError)

    def unsupported(x):
        async def g():
            return 1

        return x

    with pytest.raises(frontend.NotSupportedError):
        scriptmode.script(unsupported)
    with pytest.raises(frontend.FrontendTypeError):
        scriptmode.script(lambda x: x + "a")
    with pytest.raises(frontend.FrontendError):
        scriptmode.script(lambda x: missing)  # noqa: F821
    with pytest.raises(RuntimeError, match="argument"):
        scriptmode.script(lambda x: x)()


def test_what_a_program_raises_is_an_error():
    def f(n: int):
        if n:
            raise KeyError("no")

    with pytest.raises(scriptmode.Error):
        scriptmode.script(f)(1)


def test_script_returns_what_needs_no_compilation():
    class Plain:
        pass

    assert scriptmode.script(Plain) is Plain
    compiled = scriptmode.script(lambda x: x)
    assert scriptmode.script(compiled) is compiled
    with pytest.raises(RuntimeError, match="class of modules"):
        scriptmode.script(nn.Linear)
    with pytest.warns(FutureWarning):
        scriptmode.script(lambda x: x, True)


def test_example_inputs_type_a_module_s_methods():
    class Pair(nn.Module):
        def forward(self, a, b):
            return a * b

        def other(self, a):
            return a + 1

    module = Pair()
    compiled = scriptmode.script(module, example_inputs={module: [(2, 3)], module.other: [(1.5,)]})
    assert compiled(2, 3) == 6 and compiled.other(2.0) == 3.0
    assert [str(p.type) for p in compiled.graph.params[1:]] == ["int", "int"]
    assert str(compiled.other.graph.params[1].type) == "float"


def test_a_bound_method_can_be_compiled():
    class Net(nn.Module):
        def forward(self, x):
            return x

        def twice(self, x):
            return x * 2

    twice = scriptmode.script(Net().twice)
    assert twice(torch.ones(1)).item() == 2
    assert scriptmode.script(scriptmode.script(Net()).forward).name == "Net.forward"


def test_prepare_scriptable_replaces_an_object():
    class Wrapped(nn.Module):
        def forward(self, x):
            return eval("x")

        def __prepare_scriptable__(self):
            return nn.Identity()

    assert scriptmode.script(Wrapped())(torch.ones(1)).item() == 1


def test_modules_without_methods_are_containers():
    parts = scriptmode.script(nn.ModuleList([nn.ReLU(), nn.Linear(2, 2)]))
    assert isinstance(parts, scriptmode.ScriptModule) and len(parts) == 2
    x = torch.rand(1, 2)
    torch.testing.assert_close(parts[1](parts[0](x)), parts[1]._original(x))
    named = scriptmode.script(nn.ModuleDict({"a": nn.ReLU()}))
    halves = scriptmode.script(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Tanh()))
    torch.testing.assert_close(halves[1:](halves[0](x)), halves(x))
    assert len(parts[1:]) == 1
    assert "a" in named and torch.equal(named["a"](x), x)
    with pytest.raises((AttributeError, NotImplementedError)):
        parts(x)


def test_a_module_that_was_not_initialised_is_refused():
    class Early(nn.Module):
        def __init__(self):
            self.x = 2

        def forward(self):
            return self.x

    with pytest.raises(scriptmode.CompileError, match="has not been initialised"):
        scriptmode.script(Early())


def test_properties_are_those_of_the_compiled_module():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = 1

        @property
        def twice(self) -> int:
            return self.a * 2

        @twice.setter
        def twice(self, value: int):
            self.a = value // 2

        def forward(self):
            self.a += 1
            return self.twice

    net = scriptmode.script(Net())
    assert net() == 4 and net.twice == 4
    net.twice = 10
    assert net.a == 5 and net() == 12


def test_a_traced_method_is_called_as_the_method_was():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x

        def scaled(self, x):
            return x * self.weight

    net = Net()
    traced = scriptmode.trace(net.scaled, torch.ones(2))
    with torch.no_grad():
        net.weight.fill_(3.0)
    assert traced(torch.ones(2)).tolist() == [3, 3]


def test_traced_parts_of_compiled_modules_can_be_called():
    linear = nn.Linear(2, 2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = scriptmode.trace(linear, torch.ones(1, 2))

        def forward(self, x):
            return self.part(x) + 1

    net = scriptmode.script(Net())
    x = torch.rand(3, 2)
    torch.testing.assert_close(net(x), linear(x) + 1)
    torch.testing.assert_close(net.part(x), linear(x))


@pytest.mark.parametrize("function", [lambda x: abs("a"), lambda x: round("a", 1)])
def test_constants_of_the_wrong_type_are_errors_of_the_program(function):
    with pytest.raises(scriptmode.ScriptTypeError, match="str"):
        scriptmode.script(function)


def test_bare_containers_of_typing_hold_tensors():
    def f(items: typing.List, table: typing.Dict):  # noqa: UP006
        return items[0] + table["a"]

    assert scriptmode.script(f)([torch.ones(1)], {"a": torch.ones(1)}).item() == 2
