"""Layouts of the Python boundary: plans, entry records, call frames, the memo of identities.

::

    plan     how values of one IR type cross the boundary; interned, immortal
    record   what the native entry of one function knows; lives as long as its callable
    frame    one call, on the C stack: the context of native code, the trace, the memo
    memo     rows (MEMO_...) of what crossed by identity: its Python object and its native one

All fields are 8-byte words at the byte offsets below; ``state`` is one table per process.
"""

from __future__ import annotations

from scriptmode.abi.convention import CTX_SIZE, TRACE_CAPACITY, WORD

# ---- plan ----
PLAN_KIND = 0
PLAN_DESCRIPTOR = 8  # of the native value
PLAN_SIZE = 16
PLAN_CLASS = 24  # exact Python type of the values, where one is needed; of `Any`: object
PLAN_N = 32
PLAN_CHILDREN = 40  # ptr to plans
PLAN_OFFSETS = 48  # ptr to i64: where the children lie in the value
PLAN_TABLE = 56  # Python objects: dtypes, enum members, [maker] of a named tuple, [factory]
PLAN_TABLE_N = 64
PLAN_NATIVE = 72  # enums: native members, in the order of the table
# instances of user classes; children, offsets and table are the attributes' plans, places, names;
# behind them are names that an instance must not have in its __dict__
PLAN_CLASSES = 80  # ptr to the plans of the classes that a value may be of
PLAN_CLASSES_N = 88
PLAN_FLAGS = 96  # ptr to i64: FIELD_... of each attribute
PLAN_MAKER = 104  # called with the class, makes an instance without attributes
PLAN_WORDS = 14

FIELD_MAY_LACK = 1  # the byte before the value tells whether it is there
FIELD_IN_DICT = 2  # the attribute is in the instance's __dict__, not in a slot of its class

(
    IN_NONE, IN_INT, IN_FLOAT, IN_BOOL, IN_COMPLEX, IN_NUMBER, IN_STR, IN_TENSOR, IN_LIST, IN_DICT,
    IN_TUPLE, IN_NAMED_TUPLE, IN_VAR_TUPLE, IN_SIZE, IN_OPTIONAL_POINTER, IN_OPTIONAL_VALUE,
    IN_UNION, IN_ENUM, IN_DEVICE, IN_CODE, IN_GENERATOR, IN_MODULE, IN_UNSUPPORTED, IN_FUTURE,
    IN_OBJECT, IN_SET, IN_FROZEN_SET, IN_DEQUE, IN_BYTES, IN_RANGE, IN_EXCEPTION,
    IN_KNOWN, IN_CELL,
) = range(33)  # fmt: skip
# kinds that boxing_collections deals with
FIRST_COLLECTION = IN_SET
LAST_COLLECTION = IN_RANGE

# ---- outcome of unboxing ----
FITS = 0
MISFIT = 1  # the value is not of the plan's type; the frame has the reason
FAILED = 2  # a Python exception is set

# ---- why a call went the slow way ----
REASONS = (
    "number or names of arguments",
    "type of an argument",
    "TorchDispatchMode is active",
    "TorchFunctionMode is active",
    "functorch transform is active",
    "tensor subclass",
    "module changed",
    "one container passed as two types",
    "type has no native form",
    "int beyond 64 bits",
    "instance of a class, or with attributes, that the program does not know",
    "a captured value changed",
)
(
    REASON_ARITY, REASON_TYPE, REASON_DISPATCH_MODE, REASON_FUNCTION_MODE, REASON_FUNCTORCH,
    REASON_SUBCLASS, REASON_MODULE, REASON_ALIAS, REASON_UNSUPPORTED, REASON_OVERFLOW,
    REASON_CLASS,
    REASON_CAPTURED,
) = range(len(REASONS))  # fmt: skip

# ---- record ----
REC_TRAMPOLINE = 0  # i32 (ctx, ptr function, ptr arguments, ptr result)
REC_FUNCTION = 8
REC_N_PARAMS = 16
REC_N_POSITIONAL = 24
REC_PLANS = 32  # ptr to the parameters' plans
REC_OFFSETS = 40  # ptr to i64: places in the argument area
REC_AREA_SIZE = 48
REC_RESULT_PLAN = 56
REC_SLOW = 64
REC_NAMES = 72  # ptr to interned str objects
REC_DEFAULTS = 80  # ptr to objects, null where there is none
REC_SELF = 88  # the native instance that goes first into the argument area, or null
REC_OWNER = 96  # the Python object of the record (borrowed)
REC_TABLE_SIZE = 104  # entries of the tensor table of a call
REC_N_FILL = 112  # tensor attributes that the program uses
REC_FILL = 120  # ptr to fill rows
REC_N_GUARDS = 128
REC_GUARDS = 136  # ptr to guard rows
REC_KEEP_GIL = 144  # 1: calls are short; -1: it is never kept
REC_SHORT_CALLS = 152  # short calls in a row while the GIL was released
REC_CALLS = 160
REC_REASON_COUNTS = 168  # ptr to i64 per reason
REC_MUTATES = 176  # whether the program may change a container
REC_CAPTURED = 184  # ptr to the guards of captured values, or null
REC_MIRRORS = 192  # the Python object of the state's mirrors, or null: no such state is touched
REC_MIRRORED = 200  # ptr to i64: how many containers of the state Python has
REC_TURN = 208  # the turn of the tree whose state the program uses, or null
REC_OUTER_TURN = 216  # the turn of what programs have captured, or null; taken first
REC_COUNTDOWN = 224  # a call takes 1; the one that finds nothing left is shown to REC_OBSERVE
REC_OBSERVE = 232  # a Python function that is given the tuple of a call's arguments
REC_GUARDED = 240  # whether the code has guards, which ask for the dual levels
REC_TIMED = 248  # calls whose time was taken
REC_TIME = 256  # nanoseconds that they took, without the way from and to Python
REC_WORDS = 33
FOREVER = 1 << 62  # a countdown that no process ends

# fill row: which attribute goes where in the tensor table
FILL_DICT = 0
FILL_NAME = 8
FILL_INDEX = 16
FILL_NULLABLE = 24  # 1: it may be None, 2: it may be missing
FILL_MODULE = 32
FILL_SIZE = 40
# guard row: ``dict[name]`` must still be ``expected``
GUARD_DICT = 0
GUARD_NAME = 8
GUARD_EXPECTED = 16
GUARD_SIZE = 24

# ---- frame ----
FRAME_CTX = 0
FRAME_TRACE = CTX_SIZE
FRAME_RECORD = FRAME_TRACE + WORD * TRACE_CAPACITY
FRAME_MEMO_N = FRAME_RECORD + 8
FRAME_MEMO_CAPACITY = FRAME_RECORD + 16
FRAME_MEMO_DATA = FRAME_RECORD + 24
FRAME_MEMO_INDEX = FRAME_RECORD + 32
FRAME_REASON = FRAME_RECORD + 40
FRAME_OBJECTS = FRAME_RECORD + 48  # tensor objects in the order of the fill rows
FRAME_START = FRAME_RECORD + 56  # clock before the run: seconds, nanoseconds
FRAME_STOP = FRAME_RECORD + 72
FRAME_SEQUENCE = FRAME_RECORD + 88
FRAME_HANDLER = FRAME_RECORD + 96  # libtorch's warning handler of the call
FRAME_FILLED = FRAME_HANDLER + 24  # rows of the memo before this one have their attributes
FRAME_BOXED = FRAME_HANDLER + 32  # likewise, of Python objects made for native ones
FRAME_FUNCTION = FRAME_HANDLER + 40  # the code that the call runs
FRAME_SIZE = FRAME_HANDLER + 48

HANDLER_TABLE = 0  # pointer to the virtual functions
HANDLER_CTX = 8
HANDLER_BEFORE = 16  # the thread's handler outside of the call

# a warning that libtorch has given to a handler
WARNING_NEXT = 0
WARNING_KIND = 8  # 0 UserWarning, 1 DeprecationWarning
WARNING_FILE = 16  # of the C++ source, or null
WARNING_LINE = 24
WARNING_VERBATIM = 32
WARNING_LENGTH = 40
WARNING_TEXT = 48  # UTF-8

MEMO_OBJECT = 0
MEMO_NATIVE = 8
MEMO_PLAN = 16
MEMO_SNAPSHOT = 24  # the native container as it came in; null when it need not be written back
MEMO_STATE = 32  # ROW_...
MEMO_CHANGES = 40  # of a deque: Python's count of its changes when both were alike
MEMO_SIZE = 48

ROW_DONE = 0
ROW_UNBOXED = 1  # a native instance whose attributes are still to be read from the Python object
ROW_BOXED = 2  # a Python object whose attributes are still to be set

# ---- state: Python objects and facts of the process ----
STATE_TENSOR = 0  # torch.Tensor
STATE_PARAMETER = 8  # torch.nn.Parameter
STATE_PRINT = 16  # helpers: Python callables
STATE_WARN = 24
STATE_ERROR = 32
STATE_PLAN = 40
STATE_ASSIGN = 48
STATE_MAIN_THREAD = 56  # pthread_self of the main thread
STATE_HOST = 64  # the host table
STATE_MISFIT = 80
STATE_DEBUG = 72  # 1: owned tensors are counted in sm_live_tensors
STATE_OP_WARNING = 88
STATE_LEND = 96
STATE_TAKE_BACK = 104
STATE_FAILED_FUTURE = 112
STATE_CATCH = 120
STATE_TEXT = 128
STATE_EXCEPTION_OUT = 136
STATE_EXCEPTION_IN = 144
STATE_ENTER = 152
STATE_KEEP = 160
STATE_SCRIPT_LIST = 168  # classes
STATE_SCRIPT_DICT = 176
STATE_DUAL_PLACE = 184  # the dict that tells how many dual levels there are
STATE_DUAL_NAME = 192
STATE_DUAL_NONE = 200  # what it holds while there is none
STATE_NAN = 208  # math.nan
STATE_STACKS = 216  # STACK_ROWS rows {thread state id, stack limit}
STACK_ROWS = 64
STATE_SIZE = STATE_STACKS + 16 * STACK_ROWS

SHORT_CALL = 20_000  # nanoseconds below which a call keeps the GIL
