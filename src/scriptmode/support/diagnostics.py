"""Diagnostics: what is wrong, where, why, and the way out.

``str`` of an error is the rendered diagnostic::

    error[SM0207]: `y` may be unbound here
      --> line 12, column 12 of model.py
       |
    10 |     if x > 0:
       ...

One ``Diagnostic`` serves the front ends, the verifier, the run time and the importers.  Every error
class is also the Python exception that fits: ``except TypeError`` catches a ``ScriptTypeError``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from scriptmode.support.source import Span


@dataclass(frozen=True)
class Label:
    """A secondary place with a remark."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One finding.

    ``code`` is stable (``SM0207``); ``message`` makes sense alone and fits 80 columns; ``label``
    stands under the carets; ``chain`` holds the call sites that led here, outermost first.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ""
    chain: tuple[Span, ...] = field(default=())

    def render(self) -> str:
        """The full text, ending without a newline."""
        is_defect = self.code.startswith("SM9")  # which shows the IR as it is
        message = self.message if is_defect else as_written(self.message)
        lines = [f"error[{self.code}]: {message}"]
        if self.span is not None and self.span.line:
            lines += self._excerpt(self.span)
        lines += [f"note: {note}" for note in self.notes]
        if self.help:
            lines.append(f"help: {as_written(self.help)}")
        for site in reversed([s for s in self.chain if s.line]):
            where = f" in {site.function}" if site.function else ""
            lines.append(f"called from {site.file}, line {site.line}{where}")
            text = site.text_lines(site.line, site.line)[0].strip()
            if text:
                lines.append(f"    {text}")
        return "\n".join(lines)

    def _excerpt(self, span: Span) -> list[str]:
        first = min([span.line, *(la.span.line for la in self.labels if la.span.file == span.file)])
        first = max(first, span.line - 6)
        last = span.line
        width = len(str(last))
        out = [f"{' ' * width}--> {span.file}, line {span.line}, column {span.column + 1}"]
        out.append(f"{' ' * width} |")
        texts = span.text_lines(first, last)
        if not any(texts):
            return out[:1]
        for number, text in zip(range(first, last + 1), texts, strict=True):
            out.append(f"{number:>{width}} | {text}")
            for label in self.labels:
                if label.span.line == number and label.span.file == span.file:
                    out.append(_underline(width, text, label.span, "-", label.text))
        out.append(_underline(width, texts[-1], span, "^", self.label))
        return out


_NAMED = re.compile(r"\b(Class|Module|Enum|NamedTuple|Choice)<")


def as_written(text: str) -> str:
    """A text in which the IR's types of classes stand as users write them.

    ``Class<model.f.<locals>.Point>`` is ``Point``, ``NamedTuple<model.Pair>(a: int)`` is ``Pair``
    and ``Choice<0|3>`` a ``function``.
    """
    found = _NAMED.search(text)
    if found is None:
        return text
    end = _closing(text, found.end(), "<", ">")
    name = text[found.end() : end - 1].rpartition(".")[2]
    if found[1] == "NamedTuple" and text[end : end + 1] == "(":
        end = _closing(text, end + 1, "(", ")")
    name = "function" if found[1] == "Choice" else name
    return text[: found.start()] + name + as_written(text[end:])


def _closing(text: str, start: int, opening: str, closing: str) -> int:
    """Where the bracket that is open at ``start`` is closed, behind it."""
    depth = 1
    for index in range(start, len(text)):
        depth += (text[index] == opening) - (text[index] == closing)
        if depth == 0:
            return index + 1
    return len(text)


def _underline(width: int, text: str, span: Span, mark: str, remark: str) -> str:
    # ast columns count UTF-8 bytes
    start = len(text.encode()[: span.column].decode(errors="ignore"))
    end = len(text)
    if span.end_line == span.line and span.end_column:
        end = len(text.encode()[: span.end_column].decode(errors="ignore"))
    marks = mark * max(1, end - start)
    return f"{' ' * width} | {' ' * start}{marks} {remark}".rstrip()


class ScriptError(Exception):
    """Base of every error that scriptmode reports; ``diagnostics`` has its findings."""

    def __init__(self, diagnostics: Diagnostic | Sequence[Diagnostic] | str) -> None:
        if isinstance(diagnostics, str):
            diagnostics = Diagnostic("SM0000", diagnostics)
        if isinstance(diagnostics, Diagnostic):
            diagnostics = [diagnostics]
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(d.render() for d in self.diagnostics))

    @property
    def code(self) -> str:
        """Code of the first finding."""
        return self.diagnostics[0].code

    @property
    def span(self) -> Span | None:
        """Place of the first finding."""
        return self.diagnostics[0].span


class CompileError(ScriptError, RuntimeError):
    """The program cannot be compiled."""


class NotSupportedError(CompileError):
    """A construct that cannot be compiled; its subclasses say whether that may change."""


class ScriptSyntaxError(NotSupportedError, SyntaxError):
    """A construct outside the supported language."""

    def __str__(self) -> str:  # SyntaxError would print only its first argument
        return "\n".join(d.render() for d in self.diagnostics)


class ScriptTypeError(CompileError, TypeError):
    """An operation on types that do not support it."""


class ScriptAnnotationError(ScriptTypeError, ValueError):
    """An annotation that is no type of compiled code."""


class ScriptCallError(ScriptTypeError):
    """Arguments that do not fit the parameters of the function that is called."""


class ScriptNameError(CompileError, NameError):
    """A name that is not defined, or may be unbound."""


class ScriptAttributeError(CompileError, AttributeError):
    """An attribute that does not exist."""


class NotBuiltError(NotSupportedError, NotImplementedError):
    """A construct or name that is planned and not built yet."""


class ArgumentError(ScriptError, TypeError, RuntimeError):
    """A call of a compiled program with wrong arguments."""


class ForeignResultError(TypeError, RuntimeError):
    """What a function that is left to Python gave is not of its declared type."""


class TraceError(ScriptError, RuntimeError):
    """A run that cannot be recorded, or a recording that does not reproduce."""


class TracingCheckError(TraceError):
    """A recording that does not reproduce the run it was made from."""


class ArchiveError(ScriptError, RuntimeError):
    """An archive that cannot be written or read."""


class InternalError(ScriptError, AssertionError):
    """A defect of the compiler itself."""


class ScriptWarning(UserWarning):
    """A remark of the script front end."""


class TracerWarning(UserWarning):
    """A remark of the trace front end: what the recording has frozen."""

    @staticmethod
    def ignore_lib_warnings() -> None:
        """Do not show the remarks about torch's own Python code."""
        warnings.filterwarnings("ignore", category=TracerWarning, module=r"torch\.(?!jit)")
