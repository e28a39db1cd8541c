"""Values from the command line and from files, and results into files.

A value is a file (``.npy``, ``.safetensors``, ``.json``) or JSON; ``name=value`` is a keyword.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from scriptmode.ir import types as T

_KEYWORD = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


class UsageError(Exception):
    """What was asked for on the command line cannot be done."""


def arguments(given: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments of a call."""
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for text in given:
        named = _KEYWORD.fullmatch(text)
        if named is not None:
            keywords[named[1]] = value(named[2])
        elif keywords:
            raise UsageError(f"{text!r} stands behind a keyword argument")
        else:
            positional.append(value(text))
    return positional, keywords


def value(text: str) -> Any:
    """The value that a text of the command line stands for."""
    read = _READERS.get(Path(text).suffix)
    if read is not None:
        try:
            return read(text)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {text}: {error}") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        kinds = ", ".join(_READERS)
        raise UsageError(f"{text!r} is neither JSON nor a file ({kinds})") from None


def fitted(given: Any, t: T.Type | None) -> Any:
    """A value from JSON as a parameter of type ``t`` takes it: tensors are written as lists."""
    if t == T.TENSOR and isinstance(given, (bool, int, float, list)):
        try:
            return torch.tensor(given)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"{given!r} is no tensor: {error}") from None
    if t == T.FLOAT and type(given) is int:
        return float(given)
    if isinstance(t, T.OptionalType):
        return fitted(given, t.element)
    if isinstance(given, list) and isinstance(t, T.ListType):
        return [fitted(v, t.element) for v in given]
    if isinstance(given, list) and type(t) is T.TupleType and len(t.elements) == len(given):
        return tuple(fitted(v, e) for v, e in zip(given, t.elements, strict=True))
    if isinstance(given, dict) and isinstance(t, T.DictType):
        return {fitted(k, t.contained[0]): fitted(v, t.contained[1]) for k, v in given.items()}
    return given


def _npy(path: str) -> torch.Tensor:
    numpy = _library("numpy")
    return torch.from_numpy(numpy.load(path, allow_pickle=False))


def _safetensors(path: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = _library("safetensors.torch").load_file(path)
    return found


def _json(path: str) -> Any:
    return json.loads(Path(path).read_text())


def _library(name: str) -> Any:
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        package = name.partition(".")[0]
        raise UsageError(f"this needs {package}: pip install {package}") from None


_READERS: Mapping[str, Callable[[str], Any]] = {
    ".npy": _npy, ".safetensors": _safetensors, ".json": _json,
}  # fmt: skip


# ---- results


def writer_for(path: str) -> Callable[[Any, str], None]:
    """What writes a file of this kind."""
    found = _WRITERS.get(Path(path).suffix)
    if found is None:
        raise UsageError(f"{path}: results go into {', '.join(_WRITERS)} files")
    return found


def write(result: Any, path: str) -> None:
    """Put a result into a file, whole or not at all."""
    writer = writer_for(path)
    folder = Path(path).parent
    try:
        number, made = tempfile.mkstemp(dir=folder, suffix=Path(path).suffix)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}") from None
    os.close(number)
    try:
        writer(result, made)
        os.replace(made, path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def _write_npy(result: Any, path: str) -> None:
    if not isinstance(result, torch.Tensor):
        raise UsageError(f"a .npy file holds one tensor, not a {type(result).__name__}")
    _library("numpy").save(path, result.detach().cpu().numpy())


def _write_safetensors(result: Any, path: str) -> None:
    found = dict(_named(result))
    wrong = [n for n, v in found.items() if not isinstance(v, torch.Tensor)]
    if wrong:
        raise UsageError(f"a .safetensors file holds tensors; {wrong[0] or 'the result'} is none")
    tensors = {n or "result": v.detach().cpu().contiguous().clone() for n, v in found.items()}
    _library("safetensors.torch").save_file(tensors, path)


def _named(result: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested containers by their place, as in ``boxes.0``."""
    for place, leaf in pytree.tree_flatten_with_path(result)[0]:
        yield ".".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in place), leaf


def _write_json(result: Any, path: str) -> None:
    try:
        text = json.dumps(plain(result), indent=1, ensure_ascii=False)
    except TypeError as error:
        raise UsageError(f"the result has no JSON: {error}") from None
    Path(path).write_text(text + "\n")


def plain(result: Any) -> Any:
    """A result as JSON has it: tensors are lists."""
    return pytree.tree_map(lambda v: v.tolist() if isinstance(v, torch.Tensor) else v, result)


_WRITERS: Mapping[str, Callable[[Any, str], None]] = {
    ".npy": _write_npy, ".safetensors": _write_safetensors, ".json": _write_json,
}  # fmt: skip
