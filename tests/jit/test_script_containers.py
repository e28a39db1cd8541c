"""Lists and dicts given to ``script``: of one type, by reference."""

import copy
import pickle
from typing import Dict, List  # noqa: UP035

import pytest

import scriptmode


def test_a_list_keeps_its_type():
    items = scriptmode.script([1, 2, 3])
    assert isinstance(items, scriptmode.ScriptList) and scriptmode.script(items) is items
    items.append(4)
    items.insert(0, 0)
    items.extend([5])
    items += [6]
    items[0] = 9
    items[1:3] = [7, 7]
    assert items == [9, 7, 7, 3, 4, 5, 6] and 3 in items and items.count(7) == 2
    for change in (
        lambda: items.append("a"), lambda: items.insert(0, 1.5), lambda: items.extend([None]),
        lambda: items.__setitem__(0, "a"), lambda: items.__setitem__(slice(0, 1), ["a"]),
        lambda: "a" in items, lambda: items.remove("a"), lambda: items.__iadd__(["a"]),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="expected a value of type int"):
            change()
    with pytest.raises(IndexError):
        items[100]
    with pytest.raises(RuntimeError, match="no common type"):
        scriptmode.script([1, object()])


def test_a_dict_keeps_its_types():
    table = scriptmode.script({"a": 1})
    table["b"] = 2
    table.update({"c": 3}, d=4)
    assert table.setdefault("e", 5) == 5 and list(table) == ["a", "b", "c", "d", "e"]
    del table["a"]
    assert "a" not in table and table["b"] == 2 and table.get("z") is None
    for change in (
        lambda: table.__setitem__(1, 1), lambda: table.__setitem__("a", "b"),
        lambda: table.update({"a": None}), lambda: 1 in table, lambda: table[1],
        lambda: table.__delitem__(2),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="expected a value of type"):
            change()
    with pytest.raises(KeyError):
        table["nowhere"]


def test_compiled_functions_work_on_the_object_itself():
    def f(items: List[int], table: Dict[str, int]):
        items.append(len(table))
        table["new"] = items[0]
        return items, table

    compiled = scriptmode.script(f)
    items, table = scriptmode.script([1]), scriptmode.script({"a": 1})
    for _ in range(2):
        same_items, same_table = compiled(items, table)
        assert same_items is items and same_table is table
    assert items == [1, 1, 2] and table == {"a": 1, "new": 1}


def test_copies_are_typed_too_and_nothing_is_pickled():
    items, table = scriptmode.script([[1]]), scriptmode.script({"a": [1]})
    for made in (copy.copy(items), copy.deepcopy(items)):
        assert made == [[1]] and made is not items
        with pytest.raises(TypeError):
            made.append(1)
    assert copy.copy(items)[0] is items[0] and copy.deepcopy(items)[0] is not items[0]
    assert copy.copy(table) == copy.deepcopy(table) == {"a": [1]}
    for value in (items, table):
        with pytest.raises(TypeError, match="not with pickle"):
            pickle.dumps(value)
