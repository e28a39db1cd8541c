"""The reference interpreter: the meaning of the IR, slow and obvious; the oracle of every test."""

from scriptmode.interp.evaluator import Interpreter, run_graph

__all__ = ["Interpreter", "run_graph"]
