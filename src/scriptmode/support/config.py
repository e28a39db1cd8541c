"""Every option and environment variable, in one table.

An option is read from its environment variable when the package is imported and can be changed by
``scriptmode.config.set(name, value)`` or, for a ``with`` block, ``scriptmode.config.override``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class ConfigError(ValueError):
    """An option was given a value that it does not take."""


def _flag(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


def _specialize(text: str) -> str:
    if text not in ("background", "sync", "off"):
        raise ConfigError(f"specialize is background, sync or off, not {text!r}")
    return text


def _autodiff(text: str) -> bool | str:
    return text if text == "auto" else _flag(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class Option:
    """One row of the table."""

    name: str
    variable: str
    default: Any
    parse: Callable[[str], Any]
    text: str


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("enabled", "SCRIPTMODE", True, _flag, "0 runs everything eagerly: script and "
               "trace return what they are given"),
        Option("opt", "SCRIPTMODE_OPT", 1, int, "0 no passes, of ours on the IR or of LLVM; 1 all"),
        Option("verify", "SCRIPTMODE_VERIFY", False, _flag, "verify the IR after each pass"),
        Option("debug", "SCRIPTMODE_DEBUG", False, _flag, "generated code counts every tensor "
               "handle it owns (scriptmode.runtime counters)"),
        Option("dump", "SCRIPTMODE_DUMP", (), _names, "print the IR after these passes "
               "(comma list, or all)"),
        Option("time", "SCRIPTMODE_TIME", False, _flag, "print the time of each compile stage"),
        Option("stop_after", "SCRIPTMODE_STOP_AFTER", -1, int, "run only this many passes, to "
               "bisect a miscompile"),
        Option("cache_dir", "SCRIPTMODE_CACHE_DIR", "", str, "folder of cached object code "
               "(default: scriptmode in the user's cache folder)"),
        Option("autodiff", "SCRIPTMODE_AUTODIFF", "auto", _autodiff, "1: calls that need "
               "gradients run a forward and a reverse program of their own; 0: they record "
               "torch's tape op by op; auto: the one or the other, whichever costs less"),
        Option("autodiff_again", "SCRIPTMODE_AUTODIFF_AGAIN", True, _flag, "0: calls that run "
               "programs of their own are differentiated a second time on torch's tape"),
        Option("max_instances", "SCRIPTMODE_MAX_INSTANCES", 32, int, "instances of one scripted "
               "function over argument types"),
        Option("specialize", "SCRIPTMODE_SPECIALIZE", "background", _specialize, "code for what "
               "calls have in common: background compiles it in another thread, once it is known "
               "to pay; sync in a call that is like the ones before; off"),
        Option("specialize_calls", "SCRIPTMODE_SPECIALIZE_CALLS", 3, int, "calls that must be "
               "alike before"),
        Option("specialize_seconds", "SCRIPTMODE_SPECIALIZE_SECONDS", 0.1, float, "that calls must "
               "have taken before, in the background; 0: special code is made without knowing that "
               "it pays, and not tried against the code before it"),
        Option("max_versions", "SCRIPTMODE_MAX_VERSIONS", 4, int, "versions of one function at a "
               "time"),
    )
}  # fmt: skip


def _initial(option: Option) -> Any:
    text = os.environ.get(option.variable)
    if text is None:
        return option.default
    try:
        return option.parse(text)
    except ValueError as error:
        raise ConfigError(f"{option.variable}={text!r} is not valid: {error}") from None


_values: dict[str, Any] = {name: _initial(option) for name, option in OPTIONS.items()}


def get(name: str) -> Any:
    """The option's value."""
    return _values[name]


def set(name: str, value: Any) -> None:
    """Change an option for the process; raises KeyError for an unknown one.

    A text is read as that of the environment variable; ConfigError when it cannot be.
    """
    if name not in OPTIONS:
        raise KeyError(f"unknown option {name!r}; there are {', '.join(OPTIONS)}")
    _values[name] = OPTIONS[name].parse(value) if isinstance(value, str) else value


@contextlib.contextmanager
def override(**options: Any) -> Iterator[None]:
    """Change options within the ``with``."""
    saved = {name: get(name) for name in options}
    for name, value in options.items():
        set(name, value)
    try:
        yield
    finally:
        _values.update(saved)
