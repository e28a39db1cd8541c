"""The interpreter over graphs built by hand."""

import pytest
import torch

from scriptmode.interp import Interpreter, run_graph
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import BREAK, CONTINUE, RETURN, UNREACHABLE, YIELD, Graph, Program
from scriptmode.ops.aten import schema_of
from scriptmode.support.source import Span

torch.set_num_threads(1)


def function(program, name, *params):
    graph = program.add(Graph(name))
    values = [graph.add_param(t, n) for n, t in params]
    return graph, Builder(graph.block, schema_of), values


def test_runs_torch_ops_with_keyword_only_arguments():
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.TENSOR))
    two = b.constant(2.0)
    alpha = b.constant(3)
    y = b.op("aten::add.Tensor", x, x, alpha)
    z = b.op("aten::mul.Scalar", y, two)
    graph.block.terminate(YIELD, [z])
    value = torch.randn(3)
    torch.testing.assert_close(Interpreter(program).run("f", value), (value + 3 * value) * 2)


def test_multiple_results_and_tuples():
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.TENSOR))
    node = b.op_node("aten::max.dim", [x, b.constant(1), b.constant(False)])
    pair = b.tuple(node.outputs)
    graph.block.terminate(YIELD, [b.tuple_index(pair, 1)])
    value = torch.randn(3, 4)
    assert Interpreter(program).run("f", value).equal(value.max(1).indices)


def summing_loop(end):
    """The sum of i for i < n, stopped (``end``) where i == 3."""
    program = Program("f")
    graph, b, (n,) = function(program, "f", ("n", T.INT))
    true, zero, three = b.constant(True), b.constant(0), b.constant(3)
    loop = b.node("prim::Loop", [n, true, zero], [T.INT])
    body = loop.add_block()
    i, total = body.add_param(T.INT, "i"), body.add_param(T.INT, "total")
    with b.at(body):
        branch = b.if_node(b.op("int::eq", i, three))
        inner = [true, total] if end == CONTINUE else [total]
        branch.blocks[0].terminate(end, inner)
        branch.blocks[1].terminate(YIELD, [])
        body.terminate(YIELD, [true, b.op("int::add", total, i)])
    graph.block.terminate(YIELD, [b.op("int::neg", loop.output)])
    return program


def test_loops_end_in_every_way():
    assert Interpreter(summing_loop(BREAK)).run("f", 6) == -3
    assert Interpreter(summing_loop(CONTINUE)).run("f", 6) == -12
    assert Interpreter(summing_loop(RETURN)).run("f", 6) == 3
    assert Interpreter(summing_loop(BREAK)).run("f", 0) == 0


def test_long_loops_need_no_stack():
    assert Interpreter(summing_loop(CONTINUE)).run("f", 5000) == -(5000 * 4999 // 2 - 3)


def test_loop_stops_on_its_condition():
    program = Program("f")
    graph, b, (n,) = function(program, "f", ("n", T.INT))
    far = b.constant(2**62)
    loop = b.node("prim::Loop", [far, b.op("int::gt", n, b.constant(1)), n], [T.INT])
    body = loop.add_block()
    body.add_param(T.INT)
    value = body.add_param(T.INT, "v")
    with b.at(body):
        half = b.op("int::floordiv", value, b.constant(2))
        body.terminate(YIELD, [b.op("int::gt", half, b.constant(1)), half])
    graph.block.terminate(YIELD, [loop.output])
    assert Interpreter(program).run("f", 100) == 1


def test_attributes_of_modules_and_of_dicts():
    cls = T.ClassType("m.Linear", is_module=True)
    cls.attributes = {"weight": T.TENSOR, "count": T.INT}
    program = Program("f")
    graph, b, (owner,) = function(program, "f", ("self", cls))
    count = b.node("prim::GetAttr", [owner], [T.INT], name="count").output
    b.node("prim::SetAttr", [owner, b.op("int::add", count, count)], name="count")
    graph.block.terminate(
        YIELD, [b.node("prim::GetAttr", [owner], [T.TENSOR], name="weight").output]
    )
    module = torch.nn.Linear(2, 2)
    module.count = 3
    assert Interpreter(program).run("f", module) is module.weight and module.count == 6
    state = {"weight": "w", "count": 2}
    assert Interpreter(program).run("f", state) == "w" and state["count"] == 4


def test_errors_name_the_line_and_the_calls():
    program = Program("g")
    graph, b, (x,) = function(program, "f", ("x", T.TENSOR))
    with b.located(Span("model.py", 7, 4, function="f")):
        y = b.op("aten::mm", x, x)
    graph.block.terminate(YIELD, [y])
    caller, b, (x,) = function(program, "g", ("x", T.TENSOR))
    with b.located(Span("model.py", 9, 4, function="g")):
        caller.block.terminate(YIELD, [b.call("f", [x], T.TENSOR)])
    with pytest.raises(RuntimeError) as caught:
        Interpreter(program).run("g", torch.randn(2, 3))
    assert caught.value.__notes__ == [
        'File "model.py", line 7, in f', 'File "model.py", line 9, in g'
    ]  # fmt: skip


def test_raises_python_exceptions():
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.STR))
    b.node("prim::raise", [x], exception=KeyError)
    graph.block.terminate(UNREACHABLE, [])
    with pytest.raises(KeyError, match="no"):
        Interpreter(program).run("f", "no")


def test_prints_and_warns(capsys):
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.INT))
    text = b.node("prim::str", [x], [T.STR]).output
    b.node("prim::print", [text, text], sep="-", end="!")
    with b.located(Span("model.py", 3, 0)):
        b.node("prim::warn", [text], category=FutureWarning, stacklevel=1)
    graph.block.terminate(YIELD, [b.constant(None)])
    with pytest.warns(FutureWarning, match="5") as seen:
        Interpreter(program).run("f", 5)
    assert (seen[0].filename, seen[0].lineno) == ("model.py", 3)
    assert capsys.readouterr().out == "5-5!"


@pytest.mark.parametrize(
    ("value", "expected"), [(1, True), (True, False), (1.0, False), (None, True), ("a", False)]
)
def test_dynamic_types(value, expected):
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.ANY))
    found = b.node("prim::isinstance", [x], [T.BOOL], types=(T.INT, T.NONE)).output
    graph.block.terminate(YIELD, [found])
    assert Interpreter(program).run("f", value) is expected


def test_casts():
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.optional_of(T.INT)))
    y = b.node("prim::checked_cast", [x], [T.INT]).output
    graph.block.terminate(YIELD, [b.cast(y, T.INT)])
    assert run_graph(program, graph, [4]) == 4
    with pytest.raises(TypeError, match="expected int, got NoneType"):
        run_graph(program, graph, [None])


def test_in_place_ops_return_the_same_tensor_object():
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.TENSOR))
    y = b.op("aten::relu_", x)
    graph.block.terminate(YIELD, [b.node("prim::is", [x, y], [T.BOOL]).output])
    assert run_graph(program, graph, [torch.randn(2)]) is True


def test_defaults_keywords_globals_and_python_calls():
    program = Program("f")
    graph, b, (x, y) = function(program, "f", ("x", T.INT), ("y", T.INT))
    graph.defaults = {"y": 10}
    program.globals["scale"] = {"by": 3}
    cls = T.ClassType("m.Scale")
    scale = b.node("prim::Global", [], [cls], name="scale").output
    by = b.node("prim::GetAttr", [scale], [T.INT], name="by").output
    z = b.node("prim::python_call", [x, y, by], [T.INT], function=lambda *a: sum(a)).output
    b.node("prim::retain", [z])
    graph.block.terminate(YIELD, [z])
    interpreter = Interpreter(program)
    assert interpreter.run("f", 1) == 14
    assert interpreter.run("f", 1, y=2) == 6
    assert interpreter.ownership == {"prim::retain": 2}
    with pytest.raises(TypeError, match="misses arguments: x"):
        interpreter.run("f", y=2)


def test_int_overflow_is_an_error():
    program = Program("f")
    graph, b, (x,) = function(program, "f", ("x", T.INT))
    graph.block.terminate(YIELD, [b.op("int::add", x, x)])
    with pytest.raises(OverflowError):
        run_graph(program, graph, [2**62])
