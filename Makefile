# Everything sets itself up in .venv from the pinned constraints; nothing else is installed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint format bench bench-peers vad-table clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[service,dev]'
	touch $@

demo: $(STAMP)  ## one Hebrew call, everything embedded (ARGS=--stay keeps it up)
	$(BIN)/batkol demo $(ARGS)

test: $(STAMP)  ## every test
	$(BIN)/pytest --numprocesses 4 --dist worksteal $(ARGS)

lint: $(STAMP)  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## CPU per call-second and latencies, against the floor and the naive design
	$(BIN)/python bench/run.py $(ARGS)

bench-peers: $(STAMP)  ## install pipecat in a venv of its own, and run the bench with it
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/run.py $(ARGS)

vad-table: $(STAMP)  ## both detectors on Hebrew at 20, 10 and 5 dB SNR
	$(BIN)/python bench/vad_table.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
