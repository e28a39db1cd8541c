"""Compare what compiled programs raise with what eager Python raises, in every detail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import scriptmode
from scriptmode.interp import Interpreter
from scriptmode.support import config
from tests.fourway import clone, same


def facts(error: BaseException | None, depth: int = 4) -> Any:
    """Class, arguments, attributes, cause and context of an exception."""
    if error is None or depth == 0:
        return None
    return (
        type(error),
        error.args,
        str(error),
        {k: v for k, v in vars(error).items() if k != "__notes__"},
        facts(error.__cause__, depth - 1),
        facts(error.__context__, depth - 1),
        error.__suppress_context__,
    )


def outcome(run: Callable[..., Any], args: Sequence[Any]) -> tuple[str, Any, Any]:
    args = clone(args)
    try:
        return "value", run(*args), args
    except BaseException as error:
        return "raises", facts(error), args


def check_alike(function: Callable[..., Any], *argument_sets: Sequence[Any]) -> None:
    """The same result, or an exception that is alike in all, four ways."""
    for level in (0, 1):
        with config.override(opt=level):
            compiled = scriptmode.script(function)
            program, name, _ = compiled.__scriptmode_ir__()
            interpreter = Interpreter(program)
            for args in argument_sets:
                want = outcome(function, args)
                for how, run in (
                    ("interpreter", lambda *a: interpreter.run(name, *a)),
                    (f"native O{level}", compiled),
                    (f"native O{level} again", compiled),
                ):
                    got = outcome(run, args)
                    assert want[0] == got[0], f"{how}{args}: eager {want[:2]}, but {got[:2]}"
                    if want[0] == "value":
                        same(want[1], got[1], f"{how}{args}")
                    else:
                        assert want[1] == got[1], f"{how}{args}: {got[1]} instead of {want[1]}"
                    same(want[2], got[2], f"{how}{args}: arguments")
