"""Switches of other script modes' executors: accepted, remembered, without effect here.

The compiler decides by itself what to fuse; programs that set a strategy keep working and get back
what they had set.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scriptmode.support.diagnostics import ArgumentError, Diagnostic

_FUSERS = ("fuser0", "fuser1", "fuser2", "fuser3", "none")


@dataclass
class _Settings:
    """What was set last."""

    strategy: Sequence[tuple[str, int]] = (("STATIC", 2), ("DYNAMIC", 10))
    uses_onednn: bool = False


_SETTINGS = _Settings()


def set_fusion_strategy(strategy: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Accept ``[("STATIC", n), ("DYNAMIC", m)]``; the strategy before is returned."""
    for kind, depth in strategy:
        if kind not in ("STATIC", "DYNAMIC") or not isinstance(depth, int):
            raise ArgumentError(
                Diagnostic(
                    "SM0405",
                    f"({kind!r}, {depth!r}) is no step of a fusion strategy",
                    help='write ("STATIC", n) or ("DYNAMIC", n)',
                )
            )
    before, _SETTINGS.strategy = _SETTINGS.strategy, tuple(strategy)
    return list(before)


@contextlib.contextmanager
def fuser(name: str) -> Iterator[None]:
    """Accept the name of a fuser for a block."""
    if name not in _FUSERS:
        raise ArgumentError(
            Diagnostic(
                "SM0405", f"there is no fuser {name!r}", help=f"there are {', '.join(_FUSERS)}"
            )
        )
    yield


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """Accept whether calls in a block may be optimised; results are the same either way."""
    yield


def enable_onednn_fusion(enabled: bool) -> None:
    """Accept whether oneDNN may fuse."""
    _SETTINGS.uses_onednn = bool(enabled)


def onednn_fusion_enabled() -> bool:
    """What ``enable_onednn_fusion`` was given last."""
    return _SETTINGS.uses_onednn


__all__ = [
    "enable_onednn_fusion",
    "fuser",
    "onednn_fusion_enabled",
    "optimized_execution",
    "set_fusion_strategy",
]
