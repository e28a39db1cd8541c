"""The description of libtorch's boundary agrees with the installed library."""

import re
from pathlib import Path

import pytest
import torch

from scriptmode.abi import cxx, libtorch, selfcheck
from scriptmode.abi.calls import Place, SystemV
from scriptmode.abi.dtypes import DTYPES, LAYOUTS
from scriptmode.abi.mangle import Builtin, Named, const_ref, mangle_function
from scriptmode.ir.schema import OpSchema, parse_schema

# Ops of aten that have no function of their own: TorchScript's, and two of other result types.
WITHOUT_FUNCTION = {
    "aten::get_gradients", "aten::sym_is_contiguous", "aten::_cufft_set_plan_cache_max_size",
    "aten::quantized_lstm.input", "aten::quantized_lstm.data", "aten::quantized_gru.input",
    "aten::quantized_gru.data", "aten::quantized_lstm.input_legacy",
    "aten::quantized_lstm.data_legacy", "aten::quantized_gru.input_legacy",
    "aten::quantized_gru.data_legacy",
}  # fmt: skip


def aten_schemas() -> list[OpSchema]:
    found = []
    for name in torch._C._dispatch_get_all_op_names():
        if name.startswith("aten::"):
            op, _, overload = name[6:].partition(".")
            schema = getattr(getattr(torch.ops.aten, op), overload or "default")._schema
            found.append(parse_schema(str(schema)))
    return found


def test_every_aten_op_is_found_by_its_mangled_name() -> None:
    missing = {s.kind for s in aten_schemas() if libtorch.find_target(s) is None}
    assert missing == WITHOUT_FUNCTION


def test_result_types_agree_with_the_headers() -> None:
    spelled = {
        "at::Tensor": cxx.ResultKind.TENSOR,
        "at::Tensor &": cxx.ResultKind.TENSOR_REFERENCE,
        "const at::Tensor &": cxx.ResultKind.TENSOR_REFERENCE,
        "::std::vector<at::Tensor>": cxx.ResultKind.TENSOR_LIST,
        "at::Scalar": cxx.ResultKind.SCALAR,
        "c10::SymInt": cxx.ResultKind.SYM_INT,
        "int64_t": cxx.ResultKind.INT,
        "double": cxx.ResultKind.FLOAT,
        "bool": cxx.ResultKind.BYTE,
        "at::QScheme": cxx.ResultKind.BYTE,
        "at::ScalarType": cxx.ResultKind.BYTE,
    }
    headers = Path(torch.__file__).parent / "include" / "ATen" / "ops"
    checked = 0
    for schema in aten_schemas():
        header = headers / f"{schema.base_name}_ops.h"
        target = libtorch.find_target(schema)
        if target is None or not header.exists():
            continue
        struct = (
            f"{schema.base_name}_{schema.overload}".rstrip("_")
            if schema.overload
            else (schema.base_name)
        )
        text = header.read_text()
        match = re.search(rf"struct TORCH_API {struct} {{\s+using schema = (.*?) ?\(.*\);", text)
        if match is None:
            continue
        written = match.group(1).strip()
        inner = re.fullmatch(r"::std::tuple<(.*)>", written)
        parts = inner.group(1).split(",") if inner else [] if written == "void" else [written]
        assert [spelled[p] for p in parts] == [r.kind for r in target.results], schema.kind
        checked += 1
    assert checked > 2700


def test_layout_checks_pass() -> None:
    for check in selfcheck._CHECKS:
        assert check() is None
    selfcheck.check_abi()


def test_layout_checks_do_not_see_modes(monkeypatch) -> None:
    selfcheck.check_abi.cache_clear()
    with torch.device("meta"), torch.inference_mode():
        selfcheck.check_abi()


def test_a_wrong_layout_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(selfcheck, "_CHECKS", (lambda: "tensors are round",))
    selfcheck.check_abi.cache_clear()
    with pytest.raises(ImportError, match="tensors are round"):
        selfcheck.check_abi()
    selfcheck.check_abi.cache_clear()


def test_dtypes_and_layouts_have_libtorchs_numbers() -> None:
    assert len(DTYPES) == 46
    for number, dtype in DTYPES.items():
        name = f"aoti_torch_dtype_{str(dtype).removeprefix('torch.')}"
        found = libtorch.find_symbol(name)
        if found is not None:
            assert selfcheck._function(name, 0)() == number
    for number, layout in LAYOUTS.items():
        name = f"aoti_torch_layout_{str(layout).removeprefix('torch.')}"
        assert selfcheck._function(name, 0)() == number


def test_substitutions_follow_the_itanium_rules() -> None:
    tensor = Named("at", "Tensor")
    array = Named("c10", "ArrayRef", (tensor,))
    longs = Named("c10", "ArrayRef", (Builtin("l"),))
    text = mangle_function(("at", "f"), [const_ref(tensor), array, longs, const_ref(tensor)])
    assert text == "_ZN2at1fERKNS_6TensorEN3c108ArrayRefIS0_EENS4_IlEES2_"


def test_arguments_move_to_memory_as_a_whole_when_registers_run_out() -> None:
    abi = SystemV()
    table = cxx.ARGUMENTS
    five = [table["Tensor"]] * 5
    places = abi.place([*five, table["int[]"], table["int"]], False)
    assert places[5:] == [Place.BYVAL, Place.WORDS]
    places = abi.place([*five, table["float?"]], False)
    assert places[5] is Place.WORDS
    places = abi.place([*five, table["float?"]], True)
    assert places[5] is Place.BYVAL
    assert abi.place([table["int[]?"]], False) == [Place.BYVAL]
