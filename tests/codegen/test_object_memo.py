"""Object code is made once for equal texts."""

from __future__ import annotations

import scriptmode
from scriptmode.codegen import object_memo
from scriptmode.codegen.object_memo import ObjectMemo


class Maker:
    """Counts how often code is made."""

    def __init__(self, code=b"code"):
        self.code, self.made = code, 0

    def __call__(self):
        self.made += 1
        return self.code


def test_equal_texts_are_compiled_once():
    memo, maker = ObjectMemo(), Maker()
    assert [memo.compiled("text", 2, maker) for _ in range(3)] == [b"code"] * 3
    assert maker.made == 1


def test_another_text_or_level_is_compiled():
    memo, maker = ObjectMemo(), Maker()
    memo.compiled("text", 2, maker)
    memo.compiled("text", 0, maker)
    memo.compiled("texts", 2, maker)
    assert maker.made == 3


def test_the_code_used_longest_ago_is_forgotten(monkeypatch):
    monkeypatch.setattr(object_memo, "ENTRIES", 2)
    memo, maker = ObjectMemo(), Maker()
    for text in ("a", "b", "a", "c"):
        memo.compiled(text, 0, maker)
    assert maker.made == 3
    memo.compiled("a", 0, maker)
    assert maker.made == 3
    memo.compiled("b", 0, maker)
    assert maker.made == 4


def test_large_code_is_not_kept(monkeypatch):
    monkeypatch.setattr(object_memo, "LARGEST", 3)
    memo, maker = ObjectMemo(), Maker()
    memo.compiled("a", 0, maker)
    memo.compiled("a", 0, maker)
    assert maker.made == 2


def test_programs_with_equal_texts_keep_their_own_objects():
    def make(table):
        def f(n: int):
            return table[n]

        return scriptmode.script(f)

    assert [make(table)(1) for table in ([1, 2], [1, 3], [1, 2])] == [2, 3, 2]
