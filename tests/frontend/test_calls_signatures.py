"""The derived signatures are those that torch's own argument parser was built with."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import torch

from scriptmode.frontend.signatures import signatures

# bound by hand in torch, and by hand here
_BY_HAND = re.compile(
    r"sparse_.*tensor|nonzero|range|_cufft_.*|copy_|gradient|_nested_tensor_from_tensor_list|"
    r"is_contiguous|size|stride|to|unique_consecutive"
)


def _normal(text: str) -> str:
    """Without the spelling of defaults and of symbolic ints."""
    text = re.sub(r"=(\{[^}]*\}|\[[^\]]*\]|[^,)]*)", "=_", text)
    return text.replace("SymInt", "int64_t").replace("int64_tArrayRef", "IntArrayRef")


def _known() -> dict[str, set[str]]:
    library = Path(torch.__file__).parent / "lib" / "libtorch_python.so"
    known = defaultdict(set)
    for text in library.read_bytes().split(b"\0"):
        name, opening, _ = text.partition(b"(")
        if opening and name.isascii() and name.decode().isidentifier() and text.isascii():
            known[name.decode()].add(_normal(text.decode()))
    return known


def test_signatures_are_those_of_torchs_parser() -> None:
    known = _known()
    modules = (torch._C._VariableFunctions, torch._C._nn, torch._C._linalg, torch._C._fft,
               torch._C._special)  # fmt: skip
    functions = {n for m in modules for n in dir(m) if not n.startswith("__")}
    checked, wrong = 0, []
    for names, is_method in ((functions, False), (set(dir(torch.Tensor)), True)):
        for name in sorted(names & set(known)):
            if _BY_HAND.fullmatch(name):
                continue
            for signature in signatures(name, is_method=is_method):
                if not signature.parameters:
                    continue  # not in the parser's list: it takes no argument
                checked += 1
                if _normal(str(signature)) not in known[name]:
                    wrong.append(str(signature))
    assert checked > 1800
    # overloads that are functions only, and old forms without `out`
    assert {w.partition("(")[0] for w in wrong} <= {"sspaddmm", "addmm", "baddbmm", "bmm", "mm"}
    assert len(wrong) == 6, wrong


def test_a_tensor_overload_goes_before_a_number() -> None:
    for name in ("bitwise_and", "pow", "eq", "clamp", "lerp", "index_fill", "masked_fill"):
        kinds = [[p.written.rstrip("?") for p in s.parameters[1:2] + s.parameters[-2:]]
                 for s in signatures(name)]  # fmt: skip
        first = next(i for i, k in enumerate(kinds) if "Scalar" not in k)
        assert first == 0, name


def test_scalar_overloads_of_torchscript_are_not_torchs() -> None:
    assert all(s.schema.kind != "aten::add.int" for s in signatures("add"))
    assert signatures("len") == ()


def test_names_of_tensor_lists_are_kept() -> None:
    (signature,) = signatures("cat")
    assert str(signature) == "cat(TensorList tensors, int64_t dim=0, *, Tensor out=None)"
