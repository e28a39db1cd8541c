"""Native libraries: programs compiled ahead of time for processes without Python.

::

    program's LLVM + runtime (bitcode) + values of this process as data -> one module
    one module -> private symbols, dead code removed -> object code -> linker -> libNAME.so

``image`` turns what is an address in this process into data of the module, ``native`` is the
boundary to C in the low-level dialect, ``build`` puts the module together, ``linking`` makes the
shared library of it.  A program of C uses ``include/scriptmode.h``.
"""
