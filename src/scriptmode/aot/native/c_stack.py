"""How far the C stack of a thread goes; asked once in each thread."""

from __future__ import annotations

from scriptmode.codegen.native import cell, extern, i32, i64, load, native, ptr, stack

pthread_getspecific = extern("pthread_getspecific", ptr, i32)
pthread_setspecific = extern("pthread_setspecific", i32, i32, ptr)
pthread_self = extern("pthread_self", i64)
pthread_getattr_np = extern("pthread_getattr_np", i32, i64, ptr)
pthread_attr_getstack = extern("pthread_attr_getstack", i32, ptr, ptr, ptr)
pthread_attr_destroy = extern("pthread_attr_destroy", i32, ptr)

aot_stack_key = cell("aot_stack_key")
LEAST_ROOM = 128 * 1024  # of the C stack that libraries' own code gets
MOST_ROOM = 1024 * 1024


@native
def aot_stack_limit() -> i64:
    """The lowest stack address that native code may use in this thread."""
    key = i32(load(i64, aot_stack_key))
    known = pthread_getspecific(key)
    if known != 0:
        return i64(known)
    attributes = stack(128)
    where = stack(16)
    limit = 1
    if pthread_getattr_np(pthread_self(), attributes) == 0:
        if pthread_attr_getstack(attributes, where, where + 8) == 0:
            room = load(i64, where, 8) >> 3
            room = LEAST_ROOM if room < LEAST_ROOM else room
            limit = load(i64, where) + (MOST_ROOM if room > MOST_ROOM else room)
        pthread_attr_destroy(attributes)
    pthread_setspecific(key, ptr(limit))
    return limit
