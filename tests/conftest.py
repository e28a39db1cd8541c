"""What every test gets: one thread, a fixed seed, verification between passes."""

from __future__ import annotations

import os

os.environ.setdefault("SCRIPTMODE_VERIFY", "1")
os.environ.setdefault("SCRIPTMODE_DEBUG", "1")

import pytest
import torch


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite expected texts of text cases")


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
