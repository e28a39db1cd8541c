"""Layout of futures and of the tasks behind them.

::

    future    {header, ptr task}                       one of the program's heap objects
    task      {count, state, ..., error, arguments, result}   shared between threads

A task is counted atomically: its futures, the queue of the pool and the call that launched it own
it.  Its error words are laid out as the first words of a context.  A task runs once, in whatever
thread takes it from ``QUEUED`` to ``RUNNING``.
"""

from __future__ import annotations

from scriptmode.abi.convention import TRACE_CAPACITY, WORD, ctx_offset
from scriptmode.abi.layouts import HEAP_PAYLOAD

FUTURE_TASK = HEAP_PAYLOAD
FUTURE_SIZE = HEAP_PAYLOAD + WORD

TASK_COUNT = 0
TASK_STATE = 8
TASK_RUN = 16  # i32 (ctx, ptr arguments, ptr result)
TASK_N = 24  # number of arguments
TASK_TYPES = 32  # ptr to the arguments' descriptors; null where nothing is counted
TASK_OFFSETS = 40  # ptr to i64: where they lie in the area
TASK_RESULT_TYPE = 48
TASK_RESULT = 56  # ptr to the result, inside the task
TASK_TENSORS = 64  # the tensor table of the call
TASK_NEXT = 72  # the task that the call launched before
TASK_GRAD_MODE = 80  # whether gradients were recorded where it was made
TASK_IN_POOL = 88  # 1: the queue of the pool owns it too, until it has been taken
TASK_ERROR = 96  # kind, type, value, trace length, trace data
TASK_TRACE = TASK_ERROR + ctx_offset("trace_data") + WORD
TASK_AREA = (TASK_TRACE + WORD * TRACE_CAPACITY + 15) & -16

# TASK_STATE
QUEUED = 0
RUNNING = 1
DONE = 2
FAILED = 3
DROPPED = 4  # nobody will ask for its result

# how a task starts
LATER = 0  # when it is waited for
NOW = 1  # in the thread that makes it, before that goes on
IN_POOL = 2
