"""Layout of heap objects and type descriptors: byte offsets and small enumerations.

::

    object      {i64 count, ptr descriptor, payload}
    list        {header, i64 length, i64 capacity, ptr data}       elements unboxed in data
    str         {header, i64 length, i64 hash, i32 width, i32 room, bytes}
                                                                   code points of width 1, 2 or 4
    dict        {header, i64 length, i64 used, i64 capacity, i64 mask, ptr index, ptr entries,
                 i64 version, i64 filled}
    cell        {header, i64 bound, value}                         a variable
    set         {header, i64 used, i64 filled, i64 mask, ptr table, i64 finger}
    deque       {list, i64 gap, i64 limit, i64 version}
    iterator    {header, ptr source, i64 position, i64 expected, i64 kind}
    bytes       as a str of width 1
    box         {header, value}                                    descriptor is the value's own
    instance    {header, fields}                                   offsets from the object's start

An object is immortal when its count is at least ``IMMORTAL``: retain and release skip it.  A str is
stored in the smallest width that holds its code points, and is followed by one zero code unit.  A
descriptor describes a *slot* (the memory of a value); for pointer kinds the slot holds the address.
"""

from __future__ import annotations

from scriptmode.abi.convention import ERROR_OBJECT as ERROR_OBJECT
from scriptmode.abi.convention import ERROR_SCRIPT as ERROR_SCRIPT
from scriptmode.abi.convention import ctx_offset
from scriptmode.abi.layouts import CELL_BOUND as CELL_BOUND
from scriptmode.abi.layouts import CELL_VALUE as CELL_VALUE
from scriptmode.abi.layouts import HEAP_COUNT as HEAP_COUNT
from scriptmode.abi.layouts import HEAP_DESCRIPTOR as HEAP_DESCRIPTOR
from scriptmode.abi.layouts import HEAP_PAYLOAD as HEAP_PAYLOAD
from scriptmode.abi.layouts import IMMORTAL as IMMORTAL
from scriptmode.abi.layouts import LIST_CAPACITY as LIST_CAPACITY
from scriptmode.abi.layouts import LIST_DATA as LIST_DATA
from scriptmode.abi.layouts import LIST_LENGTH as LIST_LENGTH
from scriptmode.abi.layouts import LIST_SIZE as LIST_SIZE
from scriptmode.abi.layouts import STR_DATA as STR_DATA
from scriptmode.abi.layouts import STR_HASH as STR_HASH  # 0: not computed yet
from scriptmode.abi.layouts import STR_LENGTH as STR_LENGTH
from scriptmode.abi.layouts import STR_ROOM as STR_ROOM  # for as many more code points
from scriptmode.abi.layouts import STR_WIDTH as STR_WIDTH

# ---- strs of one code point below 256, made once ----
CHARACTER_SIZE = 48
N_CHARACTERS = 256

# ---- dict: entries {i64 hash, key, value}, index of i64 entry numbers ----
DICT_LENGTH = 16
DICT_USED = 24  # entries in use, erased ones included
DICT_CAPACITY = 32
DICT_MASK = 40  # size of the index less one
DICT_INDEX = 48
DICT_ENTRIES = 56
DICT_VERSION = 64  # changes whenever a key is added or removed
DICT_FILLED = 72  # places of the index that are not free
DICT_FIRST = 80  # entries before this one are erased
DICT_SIZE = 88
ENTRY_HASH = 0
ENTRY_KEY = 8
ENTRY_ERASED = -(1 << 63)  # in ENTRY_HASH: the entry was removed
INDEX_FREE = -1
INDEX_ERASED = -2

# ---- set: CPython's table, places {i64 state, i64 hash, element} ----
SET_USED = 16
SET_FILLED = 24  # used places and dummies
SET_MASK = 32
SET_TABLE = 40
SET_FINGER = 48  # where pop() searches
SET_SIZE = 56
PLACE_STATE = 0
PLACE_HASH = 8
PLACE_KEY = 16
PLACE_FREE = 0
PLACE_USED = 1
PLACE_DUMMY = 2
DUMMY_HASH = -1

# ---- deque: a list with free places before its first element ----
DEQUE_GAP = 40  # how many; the memory begins there
DEQUE_LIMIT = 48  # maxlen, or -1
DEQUE_VERSION = 56  # changes with every mutation
DEQUE_SIZE = 64

# ---- iterator ----
ITER_SOURCE = 16  # the object that is iterated over, or null when it is exhausted
ITER_POSITION = 24  # of the current element
ITER_EXPECTED = 32  # the source's size (or version) at the start
ITER_KIND = 40
ITER_LEFT = 48  # entries of a dict that are still expected
ITER_SIZE = 56
OVER_REVERSED_LIST = 0
OVER_KEYS = 1
OVER_VALUES = 2
OVER_ITEMS = 3
OVER_SET = 4
OVER_DEQUE = 5
OVER_BYTES = 6
REVERSED = 16  # added to the kind of a dict's or deque's iterator
OVER_ORDERED = 32  # added to the kind of an iterator over an OrderedDict

# ---- enum member: an immortal object, the descriptor is the enum's ----
ENUM_NAME = 16  # str
ENUM_REPR = 24  # str, as repr(member)
ENUM_TEXT = 32  # str, as str(member)
ENUM_DATA = 40  # {ptr descriptor or null, slot}: the int, float or str that a member is, too
ENUM_HASH = 56
ENUM_SIZE = 64

# ---- exception: the first attributes of every exception class ----
EXC_CLASS = 16  # the Python class
EXC_ARGS = 24  # Tuple[Any, ...]; null where a foreign one's have no native form
EXC_CAUSE = 32
EXC_CONTEXT = 40
EXC_ORIGIN = 48  # the Python exception that this one stands for; null: it is the program's own
EXC_TRACE = 56  # List[int]: location ids from where it was raised to where it was caught; or null
EXC_SUPPRESS = 64  # i8: __suppress_context__
EXC_SIZE = 72

# ---- descriptor ----
DESC_KIND = 0
DESC_SIZE = 8
DESC_ALIGN = 16
DESC_FLAGS = 24
DESC_DROP = 32  # void (ptr slot, ptr descriptor)
DESC_RETAIN = 40  # void (ptr slot, ptr descriptor)
DESC_EQ = 48  # i32 (ctx, ptr a, ptr b, ptr descriptor, ptr i8 result)
DESC_HASH = 56  # i32 (ctx, ptr slot, ptr descriptor, ptr i64 result)
DESC_REPR = 64  # i32 (ctx, ptr slot, ptr descriptor, ptr str result)
DESC_N_CHILDREN = 72
DESC_CHILDREN = 80
DESC_OFFSETS = 88
DESC_NAME = 96
DESC_PYTHON_CLASS = 104
DESC_OBJECT_SIZE = 112  # instances: bytes of the object
DESC_MEMBERS = 120  # ptr to an array of strs: a named tuple's fields; reprs of codes; devices
DESC_RESERVED = 128
DESC_FLAVOR = 136  # of a dict: one of FLAVOR_...
DESC_HASHES = 144  # of dtypes, layouts, ...: ptr to their hashes by number
DESC_BYTES = 160

# DESC_FLAGS
FLAG_PLAIN = 1  # copying the bytes is a full copy: nothing to retain or drop
FLAG_OBJECT = 2  # the slot holds a pointer to a heap object (or null if FLAG_NULLABLE)
FLAG_NULLABLE = 4
FLAG_CYCLIC = 8  # the value may refer to objects that are part of a cycle
FLAG_TRACKED = 16  # objects of this type are linked into the list of those that may be in cycles

# ---- tracked objects: before each {ptr previous, ptr next}; the fields of the cell sm_tracked ----
TRACK_HEADER = 16
TRACKED_FIRST = 0
TRACKED_COUNT = 8
TRACKED_NEW = 16  # made since the last collection
TRACKED_LIMIT = 24  # so many make a collection due inside a call
TRACKED_LOCK = 32  # held while the list is changed
TRACKED_ACTIVE = 40  # threads that work on native objects
TRACKED_BUSY = 48  # 1: a collection is going on
TRACKED_BYTES = 56

# DESC_KIND; new kinds go to the end
KIND_NONE = 0
KIND_INT = 1
KIND_FLOAT = 2
KIND_BOOL = 3
KIND_COMPLEX = 4
KIND_NUMBER = 5
KIND_STR = 6
KIND_TENSOR = 7
KIND_LIST = 8
KIND_DICT = 9
KIND_TUPLE = 10
KIND_OPTIONAL_POINTER = 11  # null is None
KIND_OPTIONAL_VALUE = 12  # {i8 has, value}
KIND_UNION = 13  # {ptr descriptor, i64 payload}; Any too
KIND_ENUM = 14
KIND_CLASS = 15
KIND_DEVICE = 16
KIND_CODE = 17  # dtype, layout, memory_format, qscheme: an i8
KIND_GENERATOR = 18
KIND_FOREIGN = 19  # a pointer that the native library does not own
KIND_ARRAY_TUPLE = 20  # Tuple[T, ...]: a list's layout; children: T, List[T]
KIND_SIZE = 21  # torch.Size, likewise; children: int, List[int]
KIND_CELL = 22  # {header, i64 bound, value}; the value's bytes mean nothing while it is unbound
KIND_PYTHON = 23  # a Python object, owned; null: none
KIND_FUTURE = 40  # {header, ptr task}; see tasks.py
KIND_SET = 50
KIND_FROZEN_SET = 51
KIND_DEQUE = 52
KIND_BYTES = 53
KIND_RANGE = 54
KIND_ITERATOR = 55

# DESC_FLAVOR
FLAVOR_DICT = 0
FLAVOR_ORDERED = 1
FLAVOR_DEFAULT = 2
FLAVOR_COUNTER = 3

# tags of the number type: c10::Scalar::Tag
TAG_FLOAT = 0
TAG_INT = 1
TAG_COMPLEX = 3
TAG_BOOL = 4

# ---- ctx: what the native library writes of it; the whole is declared in convention.py ----
CTX_ERROR_KIND = ctx_offset("error_kind")
CTX_ERROR_TYPE = ctx_offset("error_type")
CTX_ERROR_VALUE = ctx_offset("error_value")
CTX_STACK_LIMIT = ctx_offset("stack_limit")
CTX_HANDLED = ctx_offset("handled")
CTX_HOST = ctx_offset("host")
CTX_TRACE_LENGTH = ctx_offset("trace_length")
CTX_TRACE_DATA = ctx_offset("trace_data")
