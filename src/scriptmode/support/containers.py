"""``ScriptList`` and ``ScriptDict``: containers whose elements are of one type.

They are lists and dicts; what is put into them or looked up in them is checked.  A compiled
function that is given one works on that object, as it does on a plain list or dict.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex

Check = Callable[[Any], None]  # raises TypeError for a value of another type


class ScriptList(list[Any]):
    """A list that holds what ``check`` lets pass."""

    def __init__(self, items: Iterable[Any], check: Check, name: str) -> None:
        super().__init__(items)
        self._check = check
        self.type_name = name  # such as List[int]

    def _checked(self, items: Iterable[Any]) -> list[Any]:
        found = list(items)
        for item in found:
            self._check(item)
        return found

    def append(self, item: Any) -> None:
        self._check(item)
        super().append(item)

    def insert(self, index: SupportsIndex, item: Any) -> None:
        self._check(item)
        super().insert(index, item)

    def extend(self, items: Iterable[Any]) -> None:
        super().extend(self._checked(items))

    def __iadd__(self, items: Iterable[Any]) -> ScriptList:  # type: ignore[misc]
        super().extend(self._checked(items))
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            value = self._checked(value)
        else:
            self._check(value)
        super().__setitem__(index, value)

    def __contains__(self, item: object) -> bool:
        self._check(item)
        return super().__contains__(item)

    def count(self, item: Any) -> int:
        self._check(item)
        return super().count(item)

    def remove(self, item: Any) -> None:
        self._check(item)
        super().remove(item)

    def __copy__(self) -> ScriptList:
        return ScriptList(self, self._check, self.type_name)

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptList:
        return ScriptList(copy.deepcopy(list(self), memo), self._check, self.type_name)

    def __reduce__(self) -> Any:
        raise TypeError("a ScriptList is saved with scriptmode.save, not with pickle")


class ScriptDict(dict[Any, Any]):
    """A dict whose keys and values pass their checks."""

    def __init__(
        self, items: Mapping[Any, Any], check_key: Check, check_value: Check, name: str
    ) -> None:
        super().__init__(items)
        self._check_key, self._check_value = check_key, check_value
        self.type_name = name  # such as Dict[str, int]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check_key(key)
        self._check_value(value)
        super().__setitem__(key, value)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:
        for key, value in dict(*others, **named).items():
            self[key] = value

    def __getitem__(self, key: Any) -> Any:
        self._check_key(key)
        return super().__getitem__(key)

    def __delitem__(self, key: Any) -> None:
        self._check_key(key)
        super().__delitem__(key)

    def __contains__(self, key: object) -> bool:
        self._check_key(key)
        return super().__contains__(key)

    def __copy__(self) -> ScriptDict:
        return ScriptDict(self, self._check_key, self._check_value, self.type_name)

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptDict:
        copied = copy.deepcopy(dict(self), memo)
        return ScriptDict(copied, self._check_key, self._check_value, self.type_name)

    def __reduce__(self) -> Any:
        raise TypeError("a ScriptDict is saved with scriptmode.save, not with pickle")


__all__ = ["ScriptDict", "ScriptList"]
