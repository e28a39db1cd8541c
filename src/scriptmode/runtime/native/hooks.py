"""What only Python can do with values: function pointers that the host sets in ``sm_hooks``."""

from __future__ import annotations

from scriptmode.codegen.native import cell

# function pointers set by the host: tensor eq, tensor repr, object repr
sm_hooks = cell("sm_hooks", 64)
HOOK_TENSOR_EQ = 0  # i32 (ctx, tensor a, tensor b, i8* result)
HOOK_TENSOR_REPR = 8  # i32 (ctx, tensor, str* result)
HOOK_OBJECT_REPR = 16  # i32 (ctx, slot, descriptor, str* result)
