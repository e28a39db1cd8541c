"""Each construct of the language reference does what the page says."""

from __future__ import annotations

import itertools

import pytest

import scriptmode
from tests.fourway import check
from tests.language import modules, refused
from tests.language.table import PAGE, SECTIONS, constructs, page

FUNCTIONS = [
    pytest.param(row.subject, id=f"{section.__name__.rpartition('.')[2]}.{row.name}")
    for section in SECTIONS
    if section is not modules
    for row in constructs(section)
]
MODULES = [pytest.param(row.subject, id=row.name) for row in constructs(modules)]
REFUSED = [pytest.param(row.subject, id=row.name) for row in constructs(refused)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_gives_what_eager_gives(function, monkeypatch):
    arguments = function.__defaults__ or ()
    monkeypatch.setattr(function, "__defaults__", None)  # an entry does not change a default
    check(function, arguments)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_module_gives_what_eager_gives(module, training):
    check(module().train(training), modules.INPUTS)


@pytest.mark.parametrize("function", REFUSED)
def test_refused_construct_names_its_place(function):
    with pytest.raises(scriptmode.CompileError) as caught:
        scriptmode.script(function)
    assert "line " in str(caught.value) and "column " in str(caught.value)
    assert "refused.py" in str(caught.value)


def test_page_is_generated_from_the_programs():
    assert PAGE.read_text() == page(), "run python -m tests.language.table"


def test_every_section_has_constructs():
    counts = [len(constructs(section)) for section in SECTIONS]
    assert all(counts) and sum(counts) > 100, list(itertools.accumulate(counts))
