"""The ticker: a native thread that asks running calls to poll, every 50 ms.

It needs no GIL, so it works while a call keeps it.  It sets the flag of the main thread's calls
while one runs (Ctrl-C is handled by the poll), and the flag of the call that keeps the GIL when
that call has run for a whole tick.  After two seconds without calls it parks on a semaphore; the
next call wakes it.  A forked child starts its own with its first call.
"""

from __future__ import annotations

from scriptmode.codegen.native import (
    address_of,
    atomic_load,
    atomic_store,
    cell,
    extern,
    i8,
    i32,
    i64,
    load,
    memset,
    native,
    ptr,
    stack,
    store,
)

# ---- the ticker's words; flags lie in cache lines of their own ----
TICK_MAIN_FLAG = 0  # asks the main thread's calls to poll
TICK_GIL_FLAG = 64  # asks the call that keeps the GIL to let it go
TICK_NO_FLAG = 128  # never set
TICK_MAIN_CALLS = 192  # calls running on the main thread
TICK_SEQUENCE = 200  # odd while a call that keeps the GIL runs
TICK_ACTIVITY = 208  # number of calls
TICK_STATE = 216
TICK_SEMAPHORE = 224
TICK_SIZE = 320

# TICK_STATE
TICKING = 0
PARKED = 1
NOT_STARTED = 2

TICK = 50_000  # microseconds
PATIENCE = 40  # ticks without calls before the ticker parks
STACK_BYTES = 1 << 20
DETACHED = 1
SIG_BLOCK = 0
SIG_SETMASK = 2

sm_ticker = cell("sm_ticker", TICK_SIZE)

usleep = extern("usleep", i32, i32)
sem_init = extern("sem_init", i32, ptr, i32, i32)
sem_wait = extern("sem_wait", i32, ptr)
sem_post = extern("sem_post", i32, ptr)
pthread_create = extern("pthread_create", i32, ptr, ptr, ptr, ptr)
pthread_attr_init = extern("pthread_attr_init", i32, ptr)
pthread_attr_destroy = extern("pthread_attr_destroy", i32, ptr)
pthread_attr_setdetachstate = extern("pthread_attr_setdetachstate", i32, ptr, i32)
pthread_attr_setstacksize = extern("pthread_attr_setstacksize", i32, ptr, i64)
pthread_sigmask = extern("pthread_sigmask", i32, i32, ptr, ptr)


@native
def sm_tick(argument: ptr) -> ptr:
    """The ticker's thread."""
    idle = 0
    activity = 0
    sequence = 0
    while True:
        usleep(i32(TICK))
        if atomic_load(i64, sm_ticker + TICK_MAIN_CALLS) > 0:
            store(i8, sm_ticker, TICK_MAIN_FLAG, i8(1))
        before = sequence
        sequence = atomic_load(i64, sm_ticker + TICK_SEQUENCE)
        if sequence == before and sequence & 1:
            store(i8, sm_ticker, TICK_GIL_FLAG, i8(1))
        before = activity
        activity = atomic_load(i64, sm_ticker + TICK_ACTIVITY)
        idle = idle + 1 if _is_idle(before) else 0
        if idle > PATIENCE:
            atomic_store(i64, sm_ticker + TICK_STATE, PARKED)
            # a call that began before it could see the word has changed the activity
            if _is_idle(activity):
                sem_wait(sm_ticker + TICK_SEMAPHORE)
            atomic_store(i64, sm_ticker + TICK_STATE, TICKING)
            idle = 0
    return argument


@native
def _is_idle(activity: i64) -> bool:
    """Whether no call runs that may need a poll, and none has begun since."""
    return (
        atomic_load(i64, sm_ticker + TICK_ACTIVITY) == activity
        and atomic_load(i64, sm_ticker + TICK_MAIN_CALLS) == 0
        and atomic_load(i64, sm_ticker + TICK_SEQUENCE) & 1 == 0
    )


@native(noinline=True)
def wake_ticker() -> None:
    """Start the ticker, or end its sleep."""
    if atomic_load(i64, sm_ticker + TICK_STATE) == PARKED:
        sem_post(sm_ticker + TICK_SEMAPHORE)
        return
    sem_init(sm_ticker + TICK_SEMAPHORE, i32(0), i32(0))
    atomic_store(i64, sm_ticker + TICK_STATE, TICKING)
    # signals are for Python's threads: a sleep there ends when one arrives
    masks = stack(256)
    memset(masks, i8(-1), 128)
    pthread_sigmask(i32(SIG_BLOCK), masks, masks + 128)
    attributes = stack(128)
    pthread_attr_init(attributes)
    pthread_attr_setdetachstate(attributes, i32(DETACHED))
    pthread_attr_setstacksize(attributes, STACK_BYTES)
    thread = stack(8)
    pthread_create(thread, attributes, address_of(sm_tick), ptr(0))
    pthread_attr_destroy(attributes)
    pthread_sigmask(i32(SIG_SETMASK), masks + 128, ptr(0))


@native
def sm_ticker_reset(main_calls: i64) -> None:
    """Make the next call start a ticker: in a new process, and in a forked one."""
    store(i8, sm_ticker, TICK_MAIN_FLAG, i8(0))
    store(i8, sm_ticker, TICK_GIL_FLAG, i8(0))
    store(i64, sm_ticker, TICK_MAIN_CALLS, main_calls)
    sequence = load(i64, sm_ticker, TICK_SEQUENCE)
    store(i64, sm_ticker, TICK_SEQUENCE, (sequence + 1) & -2)
    atomic_store(i64, sm_ticker + TICK_STATE, NOT_STARTED)
