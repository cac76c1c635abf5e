# Every target sets up what it needs first (scripts/setup.sh): system tools and .venv.
# A failed set-up shows as "Error 3"; make's own exit status is 2 for any failure.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal --durations=10
C_FILES = $(shell find runtime tests/c -name '*.[ch]' 2>/dev/null)

.PHONY: demo test verify bench bench-bcnet bench-tune figures docs docs-check new-user format setup lint types c-format unit slow device clean distclean

demo:
	@scripts/setup.sh demo
	$(BIN)/python examples/digits/demo.py

test: lint types c-format unit

# `make test`, the slow tests, the device's twenty times, and the record in docs/verify.md.
verify: setup
	$(BIN)/python scripts/verify.py

# Writes docs/performance.md and its plots; needs the models, which are not part of the project.
bench:
	$(if $(MODELS),,$(error MODELS is not set: make bench MODELS=<folder with the int8 models of \
		MLPerf Tiny that benchmarks/models.py names>))
	@scripts/setup.sh
	$(BIN)/python benchmarks/performance.py "$(MODELS)"

# Writes docs/bcnet.md and its plots from the trained models in examples/bcnet; needs the test data.
bench-bcnet:
	$(if $(DATASETS),,$(error DATASETS is not set: make bench-bcnet DATASETS=<folder with the data \
		sets' folders that examples/bcnet/README.md names>))
	@scripts/setup.sh
	$(BIN)/python benchmarks/bcnet.py "$(DATASETS)"

# Measures every schedule of MLPerf Tiny's layers (build/tune/all.jsonl; with it an interrupted run
# goes on), and writes what is shipped of it, docs/tuning.md and its plot.
bench-tune:
	$(if $(MODELS),,$(error MODELS is not set: make bench-tune MODELS=<as for bench>))
	@scripts/setup.sh
	$(BIN)/python benchmarks/tune_shipped.py "$(MODELS)"
	$(BIN)/python benchmarks/tuning.py "$(MODELS)"

# All pages of figures that take no hours, anew: `git diff docs` shows which have moved.
figures:
	$(if $(and $(MODELS),$(DATASETS)),,$(error MODELS or DATASETS is not set: make figures \
		MODELS=<as for bench> DATASETS=<folder with the data that benchmarks/mlperf_tiny.py, \
		quantization.py and bcnet.py name>))
	$(MAKE) bench bench-bcnet
	$(BIN)/python benchmarks/mlperf_tiny.py "$(MODELS)" --data "$(DATASETS)" --output docs/mlperf_tiny.md
	$(BIN)/python benchmarks/virtual_quantization.py "$(MODELS)"
	$(BIN)/python benchmarks/quantization.py "$(MODELS)" "$(DATASETS)" --output docs/quantization.md
	$(BIN)/python benchmarks/fit.py "$(MODELS)" "$(DATASETS)"

# The site of docs/ in build/site, strictly; the reference in docs/reference is written first.
docs: setup
	$(BIN)/python scripts/write_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# What checks each code block and each table of figures in README and docs; status 2 if one has none.
docs-check: setup
	$(BIN)/python scripts/docs_check.py

# A new user's path in a fresh Debian, and what it took (docs/new_user.md); as root. It sets up nothing.
new-user:
	python3 scripts/new_user.py

format: setup
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
	$(BIN)/clang-format -i $(C_FILES)

setup:
	@scripts/setup.sh

lint: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: setup
	$(BIN)/python -m mypy

c-format: setup
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)

unit: setup
	$(PYTEST) -m "not slow"

slow: setup
	$(PYTEST) -m slow

# What talks to devices, as often as a flaky test needs to show: a second try is never made.
DEVICE_RUNS := 20
DEVICE_TESTS := tests/python/micro tests/python/farm tests/python/test_cli_micro.py \
	tests/python/test_cli_serve.py

device: setup
	for run in $$(seq $(DEVICE_RUNS)); do echo "run $$run of $(DEVICE_RUNS)" && \
		$(PYTEST) $(DEVICE_TESTS) || exit 1; done

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
