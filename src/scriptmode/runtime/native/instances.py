"""Instances of user classes: errors about their attributes."""

from __future__ import annotations

from scriptmode.abi.objects import DESC_NAME, HEAP_DESCRIPTOR
from scriptmode.codegen.native import i32, load, native, ptr, stack, text
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.errors import ATTRIBUTE_ERROR, raise_from


@native(noinline=True)
def sm_raise_missing_attribute(ctx: ptr, instance: ptr, name: ptr) -> i32:
    """AttributeError: the instance has no value for an attribute."""
    b = stack(40)
    b_init(b)
    b_text(b, text("'"))
    b_text(b, load(ptr, load(ptr, instance, HEAP_DESCRIPTOR), DESC_NAME))
    b_text(b, text("' object has no attribute '"))
    b_text(b, name)
    b_text(b, text("'"))
    return raise_from(ctx, ATTRIBUTE_ERROR, b_finish(b))
