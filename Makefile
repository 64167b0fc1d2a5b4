# Works with Python 3.11+ and GNU make alone, from any path, as often as you like.
# Everything is installed into .venv; nothing outside this folder changes.

# The first interpreter that is new enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

# `python -m` throughout: the scripts in bin/ carry an absolute path, which a moved folder breaks.
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
VLLM := .venv-vllm/bin/python
VLLM_PIP := $(VLLM) -m pip --disable-pip-version-check install --quiet
export MPLBACKEND := Agg

.PHONY: demo test lint unit services attacks wheel-test vllm vllm-test clean help
.DELETE_ON_ERROR:

help:
	@echo "make demo        set up, run the study on Lexicon, show table, picture and sentence (runs/demo)"
	@echo "make test        set up, lint, type-check, unit and smoke tests"
	@echo "make services    the slow tests"
	@echo "make attacks     every attack on every sandbox (Docker where an engine starts)"
	@echo "make wheel-test  build the wheel and try it in a clean environment"
	@echo "make vllm        set up .venv-vllm: vLLM for processors, apart from everything else (3 GB)"
	@echo "make vllm-test   the tests of the real vLLM engine and its server, in .venv-vllm"
	@echo "make clean       remove environments, builds and runs"

demo: .venv/.required
	rm -rf runs/demo
	$(PY) -m reachlab run lexicon --out runs/demo

test: lint unit

lint: .venv/.development
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

# Sandboxes have limits in seconds: their tests have the machine to themselves.
unit: .venv/.development
	$(PY) -m pytest -m "not services and not vllm" tests/sandbox
	$(PY) -m pytest -m "not services and not vllm" --ignore tests/sandbox --numprocesses 2 --dist loadfile

# Training the tiny base anew takes every core: it comes alone.
services: .venv/.development .venv/.extras
	$(PY) -m pytest -m "services and not attacks" --ignore tests/studies/test_tiny.py --numprocesses 2 --dist loadfile
	$(PY) -m pytest -m services tests/studies/test_tiny.py

attacks: .venv/.development
	$(PY) -m pytest -m attacks

wheel-test: .venv/.development
	rm -rf dist build .venv-wheel
	$(PY) -m build --wheel --outdir dist .
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt dist/*.whl
	.venv-wheel/bin/python -I .ci/check_wheel.py

vllm: .venv-vllm/.required

# Fails where vLLM is missing: asked for by their marker, its tests do not stand aside.
vllm-test: .venv-vllm/.required
	$(VLLM) -m pytest -m vllm tests/vllm tests/vllm_server

clean:
	rm -rf .venv .venv-wheel .venv-vllm dist build runs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "reachlab needs Python 3.11 or newer on the path (or: make PYTHON=/path/to/python)"; exit 1; }
	rm -rf .venv
	$(PYTHON) -m venv .venv

# Stamps: set up once, and again when the requirements change.
.venv/.required: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up .venv (a few minutes the first time)"
	$(PIP) --editable .
	@touch $@

.venv/.development: .venv/.required
	$(PIP) --editable ".[test,dev]"
	@touch $@

# reasoning-gym builds C: it needs a compiler and Python's headers.
.venv/.extras: .venv/.development
	$(PIP) --editable ".[dense,reasoning-gym]"
	@touch $@

# An environment of its own: vLLM wants other versions than the rest, and lists what it does not need.
.venv-vllm/bin/python:
	@test -n "$(PYTHON)" || { echo "reachlab needs Python 3.11 or newer on the path (or: make PYTHON=/path/to/python)"; exit 1; }
	rm -rf .venv-vllm
	$(PYTHON) -m venv .venv-vllm

.venv-vllm/.required: pyproject.toml constraints.txt requirements-vllm.txt | .venv-vllm/bin/python
	@echo "Setting up .venv-vllm (a few minutes the first time)"
	$(VLLM_PIP) --constraint constraints.txt torch
	$(VLLM_PIP) --no-deps --requirement requirements-vllm.txt
	$(VLLM_PIP) --no-deps --no-build-isolation --editable .
	@touch $@
