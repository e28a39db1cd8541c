"""Memory for small things: a cache of free blocks for each thread, above malloc.

Programs that work on strs, lists and objects free as many small blocks as they allocate; malloc
takes several times as long for a pair as a list of free blocks does.  Every block comes from malloc
and has its size from there, so realloc and free of libc work on it; a block may be freed by another
thread than the one that allocated it.  What a thread has kept is freed when it ends.
"""

from __future__ import annotations

from scriptmode.codegen.native import (
    cell,
    extern,
    i32,
    i64,
    likely,
    load,
    lshr,
    memcpy,
    memset,
    native,
    ptr,
    store,
    ult,
)

malloc = extern("malloc", ptr, i64)
realloc = extern("realloc", ptr, ptr, i64)
free = extern("free", None, ptr)
malloc_usable_size = extern("malloc_usable_size", i64, ptr)
pthread_getspecific = extern("pthread_getspecific", ptr, i32)
pthread_setspecific = extern("pthread_setspecific", i32, i32, ptr)

sm_thread_key = cell("sm_thread_key")  # of the caches; made when the library is loaded

LARGEST_KEPT = 256  # bytes
CLASSES = 17  # of 16 bytes each; the first is not used
KEPT_BYTES = 1 << 17  # in each class
COUNTS = CLASSES * 8  # after the heads of the lists
CACHE_SIZE = CLASSES * 16


@native(fast=True)
def allocate(nbytes: i64) -> ptr:
    """Uninitialised memory, 16-byte aligned; null when there is none, or for no bytes."""
    if not ult(nbytes - 1, LARGEST_KEPT):
        return malloc(nbytes)
    kind = lshr(nbytes + 15, 4)
    cache = pthread_getspecific(i32(load(i64, sm_thread_key)))
    if likely(cache != 0):
        head = load(ptr, cache, kind * 8)
        if head != 0:
            store(ptr, cache, kind * 8, load(ptr, head))
            store(i64, cache, COUNTS + kind * 8, load(i64, cache, COUNTS + kind * 8) - 1)
            return head
    return malloc(kind << 4)


@native(fast=True)
def deallocate(block: ptr) -> None:
    """Give memory back, to the thread's cache when it is small; null is allowed."""
    if block == 0:
        return
    kind = lshr(malloc_usable_size(block), 4)
    if kind < CLASSES:
        cache = pthread_getspecific(i32(load(i64, sm_thread_key)))
        if cache == 0:
            cache = _new_cache()
        if likely(cache != 0):
            count = load(i64, cache, COUNTS + kind * 8)
            if (count + 1) * (kind << 4) <= KEPT_BYTES:
                store(ptr, block, 0, load(ptr, cache, kind * 8))
                store(ptr, cache, kind * 8, block)
                store(i64, cache, COUNTS + kind * 8, count + 1)
                return
    free(block)


@native(fast=True)
def reallocate(block: ptr, used: i64, nbytes: i64) -> ptr:
    """Memory with the first ``used`` bytes of ``block``, which it replaces; null without memory."""
    if nbytes > LARGEST_KEPT:
        return realloc(block, nbytes)
    moved = allocate(nbytes)
    if moved != 0:
        memcpy(moved, block, used)
        deallocate(block)
    return moved


@native(noinline=True)
def _new_cache() -> ptr:
    cache = malloc(CACHE_SIZE)
    if cache != 0:
        memset(cache, 0, CACHE_SIZE)
        if pthread_setspecific(i32(load(i64, sm_thread_key)), cache) != 0:
            free(cache)
            return ptr(0)
    return cache


@native
def sm_free_cache(cache: ptr) -> None:
    """Free what an ending thread has kept."""
    for kind in range(CLASSES):
        block = load(ptr, cache, kind * 8)
        while block != 0:
            following = load(ptr, block)
            free(block)
            block = following
    free(cache)
