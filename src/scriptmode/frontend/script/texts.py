"""What Python says of calls whose arguments do not fit."""

from __future__ import annotations

from collections.abc import Sequence


def missing_text(name: str, kind: str, missing: Sequence[str]) -> str:
    """Parameters that got no argument."""
    quoted = [f"'{m}'" for m in missing]
    if len(quoted) == 1:
        text = quoted[0]
    else:
        text = f"{', '.join(quoted[:-1])}{',' if len(quoted) > 2 else ''} and {quoted[-1]}"
    plural = "s" if len(quoted) > 1 else ""
    return f"{name}() missing {len(quoted)} required {kind} argument{plural}: {text}"


def too_many_text(name: str, most: int, optional: int) -> str:
    """Too many positional arguments; ``{}`` stands for their number, which is more than one."""
    takes = f"from {most - optional} to {most}" if optional else str(most)
    plural = "" if takes == "1" else "s"
    return f"{name}() takes {takes} positional argument{plural} but {{}} were given"
