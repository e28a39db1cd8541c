"""Source text of Python functions as syntax trees with true places.

``source_of(function)`` finds the ``def`` or ``lambda`` that a function object was made from, by its
code object (so decorators' wrappers are themselves, never what they wrap) and keeps the lines and
columns of the user's file::

    source = source_of(model.forward)
    source.node            # ast.FunctionDef
    source.span(node)      # Span(file, line, column, ...)
"""

from __future__ import annotations

import ast
import inspect
import types
import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from scriptmode.frontend.script.trees import children, walk
from scriptmode.frontend.script.yield_hoisting import hoist_yields
from scriptmode.support.diagnostics import CompileError, Diagnostic, ScriptSyntaxError
from scriptmode.support.source import Span

FunctionNode = ast.FunctionDef | ast.Lambda


@dataclass
class FunctionSource:
    """One function's syntax tree; nested functions share their outermost one's file."""

    node: FunctionNode
    file: str
    qualname: str
    module: str
    spans: dict[int, Span] = field(default_factory=dict)
    inner: dict[int, FunctionSource] = field(default_factory=dict)
    classes: dict[Hashable, type] = field(default_factory=dict)  # made by class statements inside
    parent: FunctionSource | None = None
    origin: ast.AST | None = None  # the expression that Python makes this function of
    is_given: bool = False  # no text: the tree of a generated method

    def __post_init__(self) -> None:
        node = self.node
        if isinstance(node, ast.FunctionDef) and own_yields(node):
            hoist_yields(node, lambda: local_names(node))
        self.locals = local_names(self.node)
        self.globals, self.nonlocals = outer_names(self.node)
        self.is_generator = bool(own_yields(self.node))

        self._loads: dict[str, int] | None = None

    @property
    def loads(self) -> dict[str, int]:
        """How often the function, with what is nested in it, reads each name."""
        if self._loads is None:
            self._loads = count_loads([self.node])
        return self._loads

    def span(self, node: ast.AST) -> Span:
        """Place of a statement or expression."""
        found = self.spans.get(id(node))
        if found is None:
            found = self.spans[id(node)] = Span(
                self.file,
                getattr(node, "lineno", 0),
                getattr(node, "col_offset", 0),
                getattr(node, "end_lineno", 0) or 0,
                getattr(node, "end_col_offset", 0) or 0,
                self.qualname,
            )
        return found

    def nested(self, node: FunctionNode) -> FunctionSource:
        """The source of a function defined inside this one."""
        found = self.inner.get(id(node))
        if found is None:
            name = node.name if isinstance(node, ast.FunctionDef) else "<lambda>"
            qualname = f"{self.qualname}.<locals>.{name}"
            found = self.inner[id(node)] = FunctionSource(
                node, self.file, qualname, self.module, parent=self
            )
            around: FunctionSource | None = self
            while around is not None:  # a generator's tree was changed
                around._loads = None
                around = around.parent
        return found


# By identity: code objects of two files with the same text are equal.  An entry goes with its code.
_CACHE: dict[int, tuple[weakref.ref[types.CodeType], FunctionSource]] = {}


STUB = "__scriptmode_stub__"  # an attribute of functions that stand for programs of archives


def source_of(function: types.FunctionType) -> FunctionSource:
    """The source of a function; CompileError when there is none to be found."""
    if hasattr(function, STUB):
        raise _missing(
            function,
            "it was loaded from an archive, which holds programs",
            "call the loaded object itself; for a module, import its class before it is loaded",
        )
    code = function.__code__
    key = id(code)
    found = _CACHE.get(key)
    if found is not None and found[0]() is code:
        return found[1]
    source = _parse(function, code)
    _CACHE[key] = weakref.ref(code, lambda _: _CACHE.pop(key, None)), source
    return source


def commented_result(function: types.FunctionType) -> str | None:
    """The result type that a comment ``# type: (int) -> Tensor`` names; None without one."""
    try:
        comment = getattr(source_of(function).node, "type_comment", None)
    except CompileError:  # without source: it is not compiled itself
        return None
    return comment.rpartition("->")[2].strip() if comment and "->" in comment else None


def enter_source(function: types.FunctionType, source: FunctionSource) -> None:
    """Say what the source of a function without text is."""
    code = function.__code__
    key = id(code)
    _CACHE[key] = weakref.ref(code, lambda _: _CACHE.pop(key, None)), source


def place_of(function: object) -> Span:
    """Where a function is defined, as well as that is known."""
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        return Span(code.co_filename, code.co_firstlineno, 0, 0, 0, code.co_name)
    return Span("<unknown>", 0, 0)


def _parse(function: types.FunctionType, code: types.CodeType) -> FunctionSource:
    if code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise ScriptSyntaxError(
            Diagnostic("SM0102", "async functions cannot be compiled", place_of(function))
        )
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError, IndentationError, SyntaxError) as problem:
        raise _missing(function, str(problem)) from None
    tree = _parse_block("".join(lines), first)
    node = None if tree is None else _find(tree, code)
    if node is None:  # a lambda inside an expression of several lines, for instance
        tree = _parse_file(code)
        node = None if tree is None else _find(tree, code)
    if node is None:
        raise _missing(function, "the text at its place defines another function")
    module = function.__module__ or "<unknown>"
    return FunctionSource(node, code.co_filename, function.__qualname__, module)


def _parse_block(text: str, first: int) -> ast.AST | None:
    """Parse a function's lines; an ``if`` before an indented block keeps the columns."""
    if text[:1] in " \t":
        text, first = "if 1:\n" + text, first - 1
    tree = _try_parse(text)
    return None if tree is None else ast.increment_lineno(tree, first - 1)


def _parse_file(code: types.CodeType) -> ast.AST | None:
    try:
        lines, _ = inspect.findsource(code)
    except (OSError, TypeError):
        return None
    return _try_parse("".join(lines))


def _try_parse(text: str) -> ast.AST | None:
    for type_comments in (True, False):
        try:
            return ast.parse(text, type_comments=type_comments)
        except SyntaxError:
            continue
    return None


def _find(tree: ast.AST, code: types.CodeType) -> FunctionNode | None:
    """The function of ``tree`` whose code is ``code``."""
    candidates: list[FunctionNode] = []
    for node in walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            lines = {node.lineno, *(d.lineno for d in node.decorator_list)}
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            lines = {node.lineno}
        else:
            continue
        if code.co_firstlineno in lines:
            candidates.append(node)
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    # several lambdas on one line: take the one whose compiled form agrees
    same = [c for c in candidates if isinstance(c, ast.Lambda) and _same_code(c, code)]
    return same[0] if len(same) == 1 else None


def _same_code(node: ast.Lambda, code: types.CodeType) -> bool:
    if hasattr(code, "co_positions"):
        for position in code.co_positions():
            line, end_line, column, end_column = position
            if line and column is not None and end_column and end_line and column < end_column:
                body = node.body
                inside = (body.lineno, body.col_offset) <= (line, column)
                end = (body.end_lineno or 0, body.end_col_offset or 0)
                return inside and (end_line, end_column) <= end
    compiled = compile(ast.Expression(node), code.co_filename, "eval")
    inner = next(c for c in compiled.co_consts if isinstance(c, types.CodeType))
    return inner.co_code == code.co_code and inner.co_consts == code.co_consts


def _missing(function: types.FunctionType, reason: str, help: str = "") -> CompileError:
    name = getattr(function, "__qualname__", repr(function))
    return CompileError(
        Diagnostic(
            "SM0101",
            f"no source text of `{name}`",
            place_of(function),
            notes=(reason,),
            help=help
            or "functions made by exec or eval, or typed at a prompt, must be put into a file",
        )
    )


def own_yields(node: FunctionNode) -> list[ast.Yield | ast.YieldFrom]:
    """The ``yield`` expressions of a function itself, in order."""
    found: list[ast.Yield | ast.YieldFrom] = []

    def visit(inner: ast.AST) -> None:
        if isinstance(inner, (ast.Yield, ast.YieldFrom)):
            found.append(inner)
        if not isinstance(inner, (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp)):
            for child in children(inner):
                visit(child)

    for child in [node.body] if isinstance(node, ast.Lambda) else node.body:
        visit(child)
    return found


def stored_names(nodes: Sequence[ast.AST]) -> list[str]:
    """Names bound in ``nodes``, in order; not those of nested functions or comprehensions."""
    found: dict[str, None] = {}

    def visit(node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=(ast.Store() | ast.Del())):
                found[name] = None
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = None
                return
            case ast.Lambda():
                return
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                # only a walrus binds outside its comprehension
                for inner in walk(node):
                    if isinstance(inner, ast.NamedExpr) and isinstance(inner.target, ast.Name):
                        found[inner.target.id] = None
                return
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                for alias in names:
                    found[(alias.asname or alias.name).partition(".")[0]] = None
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found[name] = None
            case ast.MatchMapping(rest=str(name)):
                found[name] = None
            case ast.ExceptHandler(name=str(name)):
                found[name] = None
        for child in children(node):
            visit(child)

    for node in nodes:
        visit(node)
    return list(found)


def loaded_names(nodes: Sequence[ast.AST]) -> set[str]:
    """Names read anywhere in ``nodes``, nested functions included."""
    return {
        n.id
        for node in nodes
        for n in walk(node)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }


def count_loads(nodes: Sequence[ast.AST]) -> dict[str, int]:
    """How often names are read in ``nodes``, nested functions included."""
    found: dict[str, int] = {}
    for node in nodes:
        for n in walk(node):
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load):
                found[n.id] = found.get(n.id, 0) + 1
            elif isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name):
                found[n.target.id] = found.get(n.target.id, 0) + 1
    return found


def free_names(node: FunctionNode) -> set[str]:
    """Names that a function, or one inside of it, takes from outside."""
    body: list[ast.AST] = [node] if isinstance(node, ast.Lambda) else list(node.body)
    return (loaded_names(body) | nonlocal_names(body)) - local_names(node)


def nonlocal_names(nodes: Sequence[ast.AST]) -> set[str]:
    """Names declared ``nonlocal`` anywhere in ``nodes``, nested functions included."""
    return {
        name
        for node in nodes
        for inner in walk(node)
        if isinstance(inner, ast.Nonlocal)
        for name in inner.names
    }


def outer_names(node: FunctionNode) -> tuple[set[str], set[str]]:
    """Names declared ``global`` and ``nonlocal`` in a function's own body."""
    declared_global: set[str] = set()
    declared_nonlocal: set[str] = set()

    def visit(inner: ast.AST) -> None:
        if isinstance(inner, ast.Global):
            declared_global.update(inner.names)
        elif isinstance(inner, ast.Nonlocal):
            declared_nonlocal.update(inner.names)
        if not isinstance(inner, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            for child in children(inner):
                visit(child)

    if isinstance(node, ast.FunctionDef):
        for statement in node.body:
            visit(statement)
    return declared_global, declared_nonlocal


def local_names(node: FunctionNode) -> set[str]:
    """Names that are local to a function: parameters and what its body binds."""
    arguments = node.args
    names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    for rest in (arguments.vararg, arguments.kwarg):
        if rest is not None:
            names.add(rest.arg)
    if isinstance(node, ast.FunctionDef):
        declared_global, declared_nonlocal = outer_names(node)
        names |= set(stored_names(node.body)) - declared_global - declared_nonlocal
    return names
