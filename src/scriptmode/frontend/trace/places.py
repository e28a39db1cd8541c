"""The user's place during a trace: the innermost frame outside torch, scriptmode and glue code."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
from pathlib import Path
from types import CodeType, FrameType

import torch

from scriptmode.support.source import UNKNOWN, Span

_LIBRARIES = (
    os.path.dirname(os.path.abspath(torch.__file__)) + os.sep,
    str(Path(__file__).resolve().parents[2]) + os.sep,
)
_GLUE = frozenset(
    module.__file__ for module in (contextlib, functools) if module.__file__ is not None
)


@functools.cache
def _is_library(file: str) -> bool:
    return file.startswith(_LIBRARIES) or file in _GLUE or file.startswith("<frozen ")


def user_frame() -> FrameType | None:
    """The innermost frame of code that the user wrote."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def user_span() -> Span:
    """The place that the user's frame stands at."""
    frame = user_frame()
    return UNKNOWN if frame is None else span_of_frame(frame)


def called_by_torch() -> bool:
    """Whether the innermost frame outside scriptmode is torch's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARIES[1]):
        frame = frame.f_back
    return frame is not None and is_torch_frame(frame)


def is_torch_frame(frame: FrameType) -> bool:
    """Whether the frame runs torch's code."""
    return frame.f_code.co_filename.startswith(_LIBRARIES[0])


def span_of_frame(frame: FrameType) -> Span:
    """The place of the instruction that ``frame`` is at."""
    code, line = frame.f_code, frame.f_lineno or 0
    function = getattr(code, "co_qualname", code.co_name)
    return _span(code, frame.f_lasti, line, function)


@functools.lru_cache(maxsize=4096)
def _span(code: CodeType, instruction: int, line: int, function: str) -> Span:
    if sys.version_info >= (3, 11) and instruction >= 0:
        place = next(itertools.islice(code.co_positions(), instruction // 2, None), None)
        if place is not None and None not in place:
            first, last, column, end_column = (int(p or 0) for p in place)
            return Span(code.co_filename, first, column, last, end_column, function)
    return Span(code.co_filename, line, 0, line, 0, function)
