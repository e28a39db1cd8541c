"""``contextlib.ExitStack`` and ``closing`` in the language itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def entered(manager: Any) -> Any:
    """Enter a context manager: the manager to be left, and what it gives."""
    raise NotImplementedError("known to the compiler only")


def left(manager: Any) -> None:
    """Leave a context manager."""
    raise NotImplementedError("known to the compiler only")


def handled(manager: Any, error: BaseException) -> None:
    """Leave a context manager with an error, which is raised again unless it is swallowed."""
    raise NotImplementedError("known to the compiler only")


def _leave(manager: Any, error: BaseException | None) -> bool:
    """Leave a manager; whether it has swallowed the error."""
    if error is None:
        left(manager)
        return False
    try:
        raise error
    except BaseException as again:
        handled(manager, again)
    return True


def _call(function: Any, arguments: Any, error: BaseException | None) -> bool:
    function(*arguments)
    return False


class Closing:
    """``contextlib.closing``."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __enter__(self) -> Any:
        return self.thing

    def __exit__(self, *exc_info: Any) -> None:
        self.thing.close()


class ExitStack:
    """``contextlib.ExitStack``."""

    def __init__(self) -> None:
        self.exits: list[Callable[[BaseException | None], bool]] = []

    def __enter__(self) -> Any:
        return self

    def enter_context(self, manager: Any) -> Any:
        """Enter a manager now, and leave it with the stack."""
        kept, value = entered(manager)
        self.exits.append(partial(_leave, kept))
        return value

    def push(self, manager: Any) -> Any:
        """Leave a manager with the stack."""
        self.exits.append(partial(_leave, manager))
        return manager

    def callback(self, function: Any, *arguments: Any, **keywords: Any) -> Any:
        """Call a function when the stack is left."""
        self.exits.append(partial(_call, partial(function, **keywords), arguments))
        return function

    def pop_all(self) -> Any:
        """Move what is to be left to a new stack."""
        other = ExitStack()
        other.exits = self.exits
        self.exits = []
        return other

    def close(self) -> None:
        """Leave all now."""
        self.__exit__(None, None, None)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        received = error is not None
        current = error
        swallowed = False
        while len(self.exits) > 0:
            leave = self.exits.pop()
            try:
                if leave(current):
                    swallowed = True
                    current = None
            except BaseException as new:
                current = new
        if current is not None and current is not error:
            context = current.__context__
            try:
                raise current
            except BaseException as again:
                again.__context__ = context
                raise
        return received and swallowed and current is None
