"""What ``scriptmode inspect`` prints."""

from __future__ import annotations

from collections.abc import Iterator

from scriptmode.jit.loading import Contents


def shown(found: Contents) -> Iterator[str]:
    """Lines on what an archive holds."""
    facts = found.facts
    made = "".join(f", {n} {facts[n]}" for n in ("format", "scriptmode", "torch") if n in facts)
    yield facts["kind"] + made
    yield "methods:" if len(found.methods) > 1 else "method:"
    for text in facts["methods"].values():
        yield f"  {text}"
    if facts["tensors"]:
        yield "tensors:"
        width = max(len(t["name"]) for t in facts["tensors"])
        for t in facts["tensors"]:
            size = ", ".join(map(str, t["shape"]))
            yield f"  {t['name']:{width}}  {t['kind']:9}  {t['dtype']}[{size}]"
    yield "files:"
    width = max(map(len, facts["files"]))
    for name, size in facts["files"].items():
        yield f"  {name:{width}}  {size:,} bytes"
