"""Random programs of the language, each a plain Python file, compared eager, interpreted and native.

::

    python -m tests.generator --count 300            fresh seeds, printed
    python -m tests.generator --seed 17 --show       one program and its verdict
    python -m tests.generator --first 0 --count 20000

``programs.random_program(seed)`` writes a program; ``judge.judge`` runs it every way and compares
values, aliases, exceptions, printed text and the final state of the arguments; ``shrink.shrink``
makes a failing one small.  A failure that was mended stays as a file in ``tests/programs/cases``.
"""
