# Everything sets itself up in .venv from the pinned constraints; nothing else is installed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test lint format bench bench-peers vad-table faults soak clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[service,operator,dev]'
	touch $@

demo: $(STAMP)  ## one Hebrew call, everything embedded (ARGS=--stay keeps it up, ARGS=--traces draws its traces)
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

bench-peers: $(STAMP)  ## install pipecat and livekit in venvs of their own, run the bench with pipecat, count lost words
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/run.py $(ARGS); costs=$$?; $(BIN)/python bench/lost_words.py && exit $$costs

vad-table: $(STAMP)  ## both detectors on Hebrew at 20, 10 and 5 dB SNR
	$(BIN)/python bench/vad_table.py

faults: $(STAMP)  ## every fault against the real service: no word lost, doubled or misattributed (ARGS=--write)
	$(BIN)/python tests/reliability/matrix.py $(ARGS)

soak: MINUTES ?= 12
soak: CALLS ?= 4
soak: $(STAMP)  ## calls that outlive their streams, at Google's real limits: words, rotations, memory, what is left
	PYTHONPATH=tests $(BIN)/python -m reliability.soak --minutes $(MINUTES) --calls $(CALLS) $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
