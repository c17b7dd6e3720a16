# Everything from nothing: each target makes what it needs first. `make help` lists them.
#
#   PYTHON=/path/to/python3   interpreter for .venv (default: the first Python >= 3.10 found)
#   CXX=/path/to/g++          compiler
#   PYTEST_ARGS="..."         more arguments for pytest
PYTHON ?=
BUILD_TYPE ?= Release
PYTEST_ARGS ?=
BENCH_ARGS ?=
PEERS ?= onnxruntime,ctranslate2,sentence-transformers

VENV := .venv
BIN := $(VENV)/bin
BUILD := build/$(BUILD_TYPE)
PIP := $(BIN)/python -m pip --disable-pip-version-check
CLANG_FORMAT_FILES = $(shell find csrc benchmarks tests -name '*.cc' -o -name '*.h' -o -name '*.inc')

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all bench lint format wheel deps build coverage-cpp fuzz clean distclean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: build ## a real model from nothing: convert, quantise, remember a corpus, recall from it
	$(BIN)/python examples/demo.py

test: build ## the tests that take less than ten seconds each
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: build
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-all: build ## every test, with coverage of the Python code (at least 90 %)
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=90 $(PYTEST_ARGS)

bench: build $(VENV)/.peers ## speed, size and fidelity beside the peers; writes results/
	$(BIN)/arrowmind bench --peers $(PEERS) $(BENCH_ARGS)

lint: $(VENV)/.lint build ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run -Werror $(CLANG_FORMAT_FILES)

format: $(VENV)/.lint ## rewrite the sources in the common style
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CLANG_FORMAT_FILES)

wheel: $(VENV)/.deps ## one wheel for every Python >= 3.10, in dist/
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

deps: $(VENV)/.deps ## the virtual environment with what the package and its tests need

# The extension goes straight into the package folder; ninja does nothing when nothing changed.
build: $(VENV)/.deps
	@[ -f $(BUILD)/build.ninja ] || $(BIN)/cmake -S . -B $(BUILD) -G Ninja --log-level=WARNING \
	  -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) \
	  -DPython_EXECUTABLE=$(abspath $(BIN)/python) -DCMAKE_LIBRARY_OUTPUT_DIRECTORY=$(abspath python/arrowmind)
	@$(BIN)/ninja -C $(BUILD) --quiet

$(VENV)/.created: scripts/bootstrap.sh
	scripts/bootstrap.sh $(PYTHON)
	@touch $@

# Editable and without the native part, which `build` keeps up to date.
$(VENV)/.deps: pyproject.toml $(VENV)/.created
	$(PIP) install --quiet "scikit-build-core==1.1.2" "nanobind==3.1.0" "cmake>=3.24" "ninja>=1.11"
	$(PIP) install --quiet --no-build-isolation -Cwheel.cmake=false -Ceditable.mode=inplace --editable ".[test]"
	@rm -rf $(BUILD)/CMakeCache.txt $(BUILD)/build.ninja
	@touch $@

$(VENV)/.lint: $(VENV)/.deps
	$(PIP) install --quiet --no-build-isolation -Cwheel.cmake=false -Ceditable.mode=inplace --editable ".[test,lint]"
	@touch $@

$(VENV)/.peers: $(VENV)/.deps
	$(PIP) install --quiet --no-build-isolation -Cwheel.cmake=false -Ceditable.mode=inplace --editable ".[test,peers]"
	@touch $@

coverage-cpp: $(VENV)/.lint ## coverage of the C++ code by the fast tests
	scripts/coverage_cpp.sh $(BIN) build/coverage

fuzz: $(VENV)/.deps ## every fuzz target for a short while (needs clang++)
	scripts/fuzz.sh $(BIN) build/fuzz $(FUZZ_SECONDS)

clean: ## remove what was built
	rm -rf build dist python/arrowmind/*.so .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

distclean: clean ## remove the virtual environment, models and memories too
	rm -rf $(VENV) models memory results
