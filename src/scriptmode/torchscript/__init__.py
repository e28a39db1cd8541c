"""TorchScript files (``.pt``), read into programs of our own.

::

    m/data.pkl, m/data/0           the module's state, and its storages
    m/code/__torch__/shop.py       classes and functions, in a syntax like Python's
    m/constants.pkl, m/constants/0 tensors that the code names ``CONSTANTS.c0``
    m/version                      which meaning the ops of the code have

``pickles`` reads values without running anything, ``sources`` parses the code, ``objects`` makes
modules and instances, ``lowering`` turns functions into graphs, ``ops`` says what the ops of that
language are here.  What makes callables of it is in ``jit``.
"""
