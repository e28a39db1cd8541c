"""Turns: one call at a time uses the state of a tree of modules.

What modules hold besides tensors (lists, dicts, strings, objects) is counted and changed without
atomic operations, so a call of a program that uses such state takes the tree's *turn*, as Python
code takes the GIL.  A thread that waits for a turn lets go of the GIL; the turn is given up while
Python code runs that the program calls.  A thread that has the turn may take it again.

::

    turn    {i64 owner (a thread, 0: free), i64 depth}
"""

from __future__ import annotations

from scriptmode.codegen.native import (
    atomic_load,
    atomic_store,
    compare_and_swap,
    extern,
    i32,
    i64,
    load,
    native,
    ptr,
    store,
    unlikely,
)
from scriptmode.runtime.pyapi import PyEval_RestoreThread, PyEval_SaveThread

TURN_OWNER = 0
TURN_DEPTH = 8
TURN_WORDS = 2

pthread_self = extern("pthread_self", i64)
usleep = extern("usleep", i32, i32)
SHORTEST_PAUSE = 5  # microseconds
LONGEST_PAUSE = 500


@native
def sm_turn_take(turn: ptr) -> None:
    """Wait for the turn; the caller has the GIL before and after."""
    me = pthread_self()
    if atomic_load(i64, turn + TURN_OWNER) != me:
        _, mine = compare_and_swap(turn + TURN_OWNER, 0, me)
        if unlikely(not mine):
            _wait(turn, me)
    store(i64, turn, TURN_DEPTH, load(i64, turn, TURN_DEPTH) + 1)


@native(noinline=True)
def _wait(turn: ptr, me: i64) -> None:
    thread = PyEval_SaveThread()
    pause = SHORTEST_PAUSE
    _, mine = compare_and_swap(turn + TURN_OWNER, 0, me)
    while not mine:
        usleep(i32(pause))
        pause = pause + pause if pause < LONGEST_PAUSE else pause
        _, mine = compare_and_swap(turn + TURN_OWNER, 0, me)
    PyEval_RestoreThread(thread)


@native
def sm_turn_give(turn: ptr) -> None:
    """Give the turn back."""
    depth = load(i64, turn, TURN_DEPTH) - 1
    store(i64, turn, TURN_DEPTH, depth)
    if depth == 0:
        atomic_store(i64, turn + TURN_OWNER, 0)


@native
def give_whole_turn(turn: ptr) -> i64:
    """Give the turn back however often it was taken: the number of times; of null, nothing."""
    if turn == 0:
        return 0
    depth = load(i64, turn, TURN_DEPTH)
    store(i64, turn, TURN_DEPTH, 0)
    atomic_store(i64, turn + TURN_OWNER, 0)
    return depth


@native
def take_whole_turn(turn: ptr, depth: i64) -> None:
    """The opposite of ``give_whole_turn``."""
    if turn != 0:
        sm_turn_take(turn)
        store(i64, turn, TURN_DEPTH, depth)
