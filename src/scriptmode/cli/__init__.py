"""The command line: ``scriptmode inspect``, ``convert``, ``run`` and ``export`` of archives."""

from scriptmode.cli.commands import main

__all__ = ["main"]
