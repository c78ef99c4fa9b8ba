# Everything runs in its own virtual environment, whether or not another one is active.
#   make demo    run a real day and leave an executed notebook and an HTML report in build/
#   make test    run the tests, but for the long ones
#   VENV=path, PYTHON=path and PYTEST_ARGS="-k name" may be given.

VENV ?= .venv
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))))
BIN := $(VENV)/bin
BUILD := $(CURDIR)/build
DEMO_URL := sqlite:///$(BUILD)/blizzard.db
LAB_URL := sqlite:///$(BUILD)/lab.db
# In a container one is root, and Jupyter wants to be told.
ALLOW_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
LAB_NOTEBOOK := $(firstword $(wildcard notebooks/04_triage.ipynb notebooks/01_blizzard.ipynb))
# A page that shows everything without a network.
HTML := --to triggers_nb.notebook.export.StaticExporter

.DELETE_ON_ERROR:
.PHONY: help demo test test-long check lab clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/demo.stamp
	@mkdir -p build && rm -f build/blizzard.db build/blizzard.db-* build/journal.jsonl
	TRIGGERS_URL="$(DEMO_URL)" TRIGGERS_JOURNAL="$(BUILD)/journal.jsonl" $(BIN)/python -m nbconvert --log-level WARN --execute --to notebook \
		--ExecutePreprocessor.kernel_name=python3 --output-dir build --output 01_blizzard.ipynb notebooks/01_blizzard.ipynb
	$(BIN)/python -m nbconvert --log-level WARN $(HTML) --output-dir build --output 01_blizzard.html build/01_blizzard.ipynb
	@echo "The executed notebook is build/01_blizzard.ipynb, the report build/01_blizzard.html."

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m "not long" $(PYTEST_ARGS)

test-long: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m long --timeout 1500 $(PYTEST_ARGS)

check: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: build/lab.db
	TRIGGERS_URL="$(LAB_URL)" TRIGGERS_JOURNAL="$(BUILD)/lab-journal.jsonl" $(BIN)/python -m jupyterlab $(ALLOW_ROOT) $(LAB_NOTEBOOK)

build/lab.db: | $(VENV)/demo.stamp
	@mkdir -p build && rm -f build/lab.db-*
	$(BIN)/triggers-nb demo --url "$(LAB_URL)"

clean:
	rm -rf build

# Installed once, and again when pyproject.toml has changed.
$(VENV)/demo.stamp: EXTRAS := demo
$(VENV)/test.stamp: EXTRAS := all,test
$(VENV)/demo.stamp $(VENV)/test.stamp: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) what is needed, once; that takes a minute or two."
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[$(EXTRAS)]"
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (Debian: apt-get install python3 python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "The venv module of $(PYTHON) does not work (Debian: apt-get install python3-venv)." >&2; exit 1; }
