"""libtorch's warnings: the handler of a thread, and what it is given.

A handler is an object of a class derived from ``c10::WarningHandler``, whose only virtual function
besides the destructors is ``process(this, Warning const&)``.  ``check_layout`` verifies that.
"""

from __future__ import annotations

import ctypes
from functools import cache

from scriptmode.abi.libtorch import symbol

GET_HANDLER = "_ZN3c1012WarningUtils19get_warning_handlerEv"
SET_HANDLER = "_ZN3c1012WarningUtils19set_warning_handlerEPNS_14WarningHandlerE"
HANDLER_TABLE = "_ZTVN3c1014WarningHandlerE"
PROCESS = "_ZN3c1014WarningHandler7processERKNS_7WarningE"
WARN = "_ZN3c104warnERKNS_7WarningE"
# accessors of a warning
TYPE = "_ZNK3c107Warning4typeEv"  # a std::variant of two empty classes: its index is byte 1
MESSAGE = "_ZNK3c107Warning3msgB5cxx11Ev"
SOURCE_LOCATION = "_ZNK3c107Warning15source_locationEv"
VERBATIM = "_ZNK3c107Warning8verbatimEv"

TABLE_WORDS = 5  # offset to top, type info, two destructors, process
TABLE_FUNCTIONS = 16  # what the first word of an object points to
TABLE_PROCESS = 32

STRING_DATA = 0  # of std::string
STRING_LENGTH = 8
LOCATION_FILE = 8  # of c10::SourceLocation: function, file, line
LOCATION_LINE = 16


@cache
def handler_table() -> tuple[int, ...]:
    """The virtual table of ``c10::WarningHandler``; ImportError if it is not as said above."""
    words = (ctypes.c_int64 * TABLE_WORDS).from_address(symbol(HANDLER_TABLE))
    if words[0] != 0 or words[TABLE_PROCESS // 8] != symbol(PROCESS):
        raise ImportError("libtorch's warning handlers are laid out in an unknown way")
    return tuple(words)
