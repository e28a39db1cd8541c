"""What is learnt of generators while a unit is compiled; it outlives the attempts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from scriptmode.ir import types as T


@dataclass
class GeneratorFacts:
    """Facts about the code of generators, by its key."""

    thrown_into: set[Hashable] = field(default_factory=set)
    sent: dict[Hashable, T.Type] = field(default_factory=dict)
    starved: set[Hashable] = field(default_factory=set)  # nothing is known to be sent, yet used
    needs_sent: set[Hashable] = field(default_factory=set)  # a `yield` is never given None
