"""The intermediate representation: types, schemas, graphs, their text and their verifier."""

from scriptmode.ir import printer  # str(graph) needs it

__all__ = ["printer"]
