# Everything runs in a local environment, .venv, that every target builds first.
#   make demo [IN=yo] | make test | make test-slow | make check | make bench [NAME=batches]
#   make setup TORCH=gpu      the default PyTorch build (CUDA on Linux); TORCH=cpu goes back

PYTHON ?= python3
# Written last by a set-up: the PyTorch build that is installed, and so the one to stay with.
MARKER := .venv/.torch-build
INSTALLED := $(shell cat $(MARKER) 2>/dev/null)
TORCH ?= $(or $(INSTALLED),cpu)
$(if $(filter cpu gpu,$(TORCH)),,$(error TORCH is cpu or gpu, got $(TORCH)))
TORCH_VERSION := 2.13.0
CPU_TORCH := torch==$(TORCH_VERSION)$(if $(filter Linux,$(shell uname -s)),+cpu)
BIN := .venv/bin
# No test, demo or check may wait for a model hub.
OFFLINE := HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=true

.PHONY: setup switch demo test test-slow lint check format bench clean

setup: $(MARKER)

$(MARKER): pyproject.toml $(if $(filter-out $(TORCH),$(INSTALLED)),switch)
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 10) else "isoglot needs Python 3.10 or newer, this is %d.%d; try: make setup PYTHON=python3.11" % v[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f $@
	$(BIN)/python -m pip install --quiet --upgrade pip
ifeq ($(TORCH),gpu)
	# With == pip would take an installed CPU build, 2.13.0+cpu, for this one.
	$(BIN)/python -m pip install --quiet torch===$(TORCH_VERSION)
else
	# A local or mirrored CPU build if pip knows one, else the one PyTorch publishes.
	$(BIN)/python -m pip install --quiet $(CPU_TORCH) 2>/dev/null || \
	$(BIN)/python -m pip install --quiet $(CPU_TORCH) --index-url https://download.pytorch.org/whl/cpu
endif
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	echo $(TORCH) > $@

demo: setup
	$(OFFLINE) $(BIN)/isoglot demo $(if $(IN),--language $(IN))

test: setup
	$(OFFLINE) $(BIN)/python -m pytest

test-slow: setup
	$(OFFLINE) $(BIN)/python -m pytest -m slow --timeout 1800

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The import direction is one of the tests.
check: lint test

format: setup
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

# All of them, or the one of NAME.
bench: setup
	for name in $(or $(NAME),$(filter-out _%,$(basename $(notdir $(wildcard benchmarks/*.py))))); do \
		$(OFFLINE) $(BIN)/python -m benchmarks.$$name || exit 1; \
	done

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
