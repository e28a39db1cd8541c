"""Random differentiable programs on float64 tensors, judged against eager autograd.

::

    python -m tests.autodiff.generator --count 200          fresh seeds, printed
    python -m tests.autodiff.generator --seed 17 --show     one program and its verdict
    python -m tests.autodiff.generator --first 0 --count 10000

``programs.random_program(seed)`` writes a plain Python file with ``f`` and ``ARGUMENTS``;
``judge.judge`` compares values, aliases, ``requires_grad``, gradients and second derivatives; what
fails is made small by ``tests.generator.shrink``.
"""
