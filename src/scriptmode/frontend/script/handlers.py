"""Tables of what the emitter dispatches on: syntax nodes, kinds of symbolic values, Python objects.

Each file of this package enters its handlers at import; ``compile`` imports them all::

    @EXPRESSIONS(ast.IfExp)
    def conditional(e: Emitter, node: ast.IfExp, expected: Type | None) -> Sugared: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch._compile

if TYPE_CHECKING:
    from scriptmode.frontend.script.emitter import Emitter
    from scriptmode.frontend.script.values import Arguments, Sugared

F = TypeVar("F", bound=Callable[..., Any])


class Table:
    """Handlers by key; a key is entered once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *keys: Any) -> Callable[[F], F]:
        """Decorator: enter the function for every key."""

        def enter(function: F) -> F:
            for key in keys:
                assert key not in self._handlers, f"{self.name} has a handler for {key!r}"
                self._handlers[key] = function
            return function

        return enter

    def get(self, key: Any) -> Callable[..., Any] | None:
        """The handler of ``key``."""
        return self._handlers.get(key)

    def __contains__(self, key: Any) -> bool:
        return key in self._handlers


EXPRESSIONS = Table("EXPRESSIONS")  # ast class -> (e, node, expected) -> Sugared
STATEMENTS = Table("STATEMENTS")  # ast class -> (e, node) -> None
CALLS = Table("CALLS")  # Sugared class -> (e, value, arguments) -> Sugared
ATTRIBUTES = Table("ATTRIBUTES")  # Sugared class -> (e, value, name) -> Sugared | None
SUBSCRIPTS = Table("SUBSCRIPTS")  # Sugared class -> (e, value, index) -> Sugared

ObjectCall = Callable[["Emitter", "Arguments"], "Sugared"]


class ObjectTable:
    """Handlers of calls of particular Python objects, by identity or by qualified name."""

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[Any, ObjectCall]] = {}
        self._by_name: dict[tuple[str, str], ObjectCall] = {}

    def __call__(self, *objects: Any) -> Callable[[ObjectCall], ObjectCall]:
        """Decorator: enter the handler for objects, or for ("module", "name") pairs."""

        def enter(function: ObjectCall) -> ObjectCall:
            for obj in objects:
                if isinstance(obj, tuple):
                    assert obj not in self._by_name
                    self._by_name[obj] = function
                else:
                    assert id(obj) not in self._by_identity, obj
                    self._by_identity[id(obj)] = (obj, function)  # holds it: ids stay unique
            return function

        return enter

    def get(self, obj: Any) -> ObjectCall | None:
        """The handler of a call of ``obj``."""
        found = self._by_identity.get(id(obj))
        if found is not None:
            return found[1]
        code = getattr(obj, "__code__", None)
        if code is not None and code.co_filename == torch._compile.__file__:
            return self.get(obj.__wrapped__)  # one that torch._dynamo, once imported, has wrapped
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
        owner = getattr(obj, "__self__", None)
        if module is None and isinstance(owner, type):  # a class method in C
            module = owner.__module__
        if isinstance(module, str) and isinstance(name, str):
            return self._by_name.get((module, name))
        return None


OBJECT_CALLS = ObjectTable()
