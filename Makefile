# Everything runs in .venv, which each target makes for itself; only python3, make and git are needed.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
JOBS   ?= 2

.PHONY: demo test test-fast lint types opinfo bench clean

demo: $(VENV)/.installed
	$(PY) examples/demo.py

test: $(VENV)/.test
	$(PY) -m pytest -n $(JOBS) --dist=worksteal $(ARGS)

test-fast: $(VENV)/.test
	$(PY) -m pytest -n $(JOBS) --dist=worksteal -m "not slow" $(ARGS)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy

opinfo: $(VENV)/.test
	$(PY) -m tests.opinfo $(ARGS)

bench: $(VENV)/.test
	$(PY) benchmarks/run.py $(ARGS)

# torch goes first: this exact version is a CPU build, a range would bring gigabytes of CUDA
$(VENV)/.installed: pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(PY) -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test: $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
