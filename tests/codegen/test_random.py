"""Random structured graphs, native against the interpreter, with every tensor reference counted."""

from __future__ import annotations

import pytest
import torch

from scriptmode.interp.evaluator import Interpreter
from scriptmode.ir.graph import Program
from scriptmode.support.diagnostics import InternalError
from tests.codegen.native_calls import Compiled, nothing_left
from tests.passes.test_retain_release import Generator


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_run_as_interpreted_and_leave_nothing(seed):
    graph = Generator(seed).graph()
    program = Program("f")
    program.add(graph)
    run, interpreter = Compiled(program), Interpreter(program)
    for flag in (True, False):
        for trips in (0, 1, 2):
            inputs = torch.randn(2), torch.randn(2)
            before = [t._use_count() for t in inputs]
            arguments = (*inputs, flag, trips)
            with nothing_left():
                try:
                    expected = interpreter.run_root(*arguments)
                except (InternalError, RuntimeError) as error:
                    # an Unreachable that is reached, or shapes that do not fit
                    wanted = SystemError if isinstance(error, InternalError) else RuntimeError
                    with pytest.raises(wanted):
                        run(*arguments)
                else:
                    torch.testing.assert_close(run(*arguments), expected)
                    del expected
            assert [t._use_count() for t in inputs] == before
    run.close()
