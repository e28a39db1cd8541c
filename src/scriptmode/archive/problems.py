"""The errors of archives."""

from __future__ import annotations

from scriptmode.support.diagnostics import ArchiveError, Diagnostic


def bad_archive(archive: object, where: str, what: str) -> ArchiveError:
    """An archive that cannot be read: which one, where in it, and what is wrong."""
    place = f", `{where}`" if where else ""
    return ArchiveError(Diagnostic("SM0702", f"cannot read {archive}{place}: {what}"))


def not_saved(what: str, help: str = "") -> ArchiveError:
    """Something that no archive can hold."""
    return ArchiveError(Diagnostic("SM0701", f"cannot save {what}", help=help))
