# The two commands a newcomer needs: `make serve` and `make test`.
# JOBS: how many tests at a time. They mostly wait, so on two cores there may be twice as many.

PYTHON ?= python3
VENV   ?= .venv
CONFIG ?= jobqueue.toml
ARGS   ?=
MINUTES ?=
SEED   ?=
RATE   ?=
JOBS   ?= 4
BIN    := $(VENV)/bin
# Who has no test left takes some of another's; what takes longest is in props, and begins first.
PYTEST := $(BIN)/pytest -q -n $(JOBS) --dist worksteal

# What the tests import is compiled once, and not by each process anew, whatever the shell has said.
export PYTHONDONTWRITEBYTECODE :=
# What walks at random walks the same way each time, also where it draws from a set.
export PYTHONHASHSEED ?= 0

.PHONY: serve test coverage check compiled props worlds faults load soak mutants bench bench-peers site docs pictures sbom clean

serve: $(VENV)/.serve  ## run an engine; `make serve ARGS=--drain` ends when all is done
	@$(BIN)/trioq serve $(CONFIG) $(ARGS)

test: $(VENV)/.test  ## lint, types, and all tests with a quick property profile
	@$(MAKE) --no-print-directory --jobs 2 check compiled
	@$(PYTEST) props tests $(ARGS)
	@TRIOQ_TEST_NETWORK=twice $(PYTEST) tests/store tests/engine $(ARGS)
	@TRIOQ_TEST_NETWORK=lost $(PYTEST) tests/store tests/engine $(ARGS)

coverage: $(VENV)/.test  ## which lines and branches the tests pass
	@$(PYTEST) tests --cov --cov-report=term:skip-covered $(ARGS)

check: $(VENV)/.test  ## lint and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy

compiled: $(VENV)/.test
	@$(BIN)/pytest -q --collect-only props tests > /dev/null || true  # who runs them tells why

props: $(VENV)/.test  ## the property suite, long profile
	@TRIOQ_TEST_PROPS=long $(PYTEST) props $(ARGS)

worlds: $(VENV)/.test  ## whole engines in virtual time, and the kit, on a real server
	@$(PYTEST) tests/engine tests/testing --trioq-redis $(ARGS)

load: $(VENV)/.test  ## files at RATE (1000/min, 20/s; else 1000/min, then 1000/s) for MINUTES, else 10
	@$(BIN)/python -m tests.faults.load $(if $(MINUTES),--minutes $(MINUTES)) $(RATE:%=--rate %)

soak: $(VENV)/.test  ## trouble for MINUTES (else 30) from SEED, and a look at every claim
	@$(BIN)/python -m tests.faults.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

faults: $(VENV)/.test  ## the long profile of all faults, and the suite on two bad networks
	@TRIOQ_TEST_FAULTS=long $(PYTEST) tests/faults $(ARGS)
	@TRIOQ_TEST_FAULTS=long $(PYTEST) tests -m long --deselect tests/faults $(ARGS)
	@TRIOQ_TEST_NETWORK=twice $(PYTEST) $(ARGS)
	@TRIOQ_TEST_NETWORK=lost $(PYTEST) $(ARGS)

mutants: $(VENV)/.test  ## break things on purpose, one at a time: the suite must notice each
	@$(BIN)/python -m tests.mutants $(ARGS)

bench: $(VENV)/.test  ## all figures against their goals; `make bench ARGS="--save FILE"`, `--against FILE`
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(VENV)/.test  ## beside other job queues, each with an environment below build/peers/
	@$(BIN)/python -m benchmarks.peers $(ARGS)

site: $(VENV)/.test  ## the documentation as a site, in build/site/
	@$(BIN)/python -m docs.site

pictures: $(VENV)/.test  ## pictures of the page, in docs/pictures/; takes chromium
	@$(BIN)/python -m tests.browser.pictures

docs: $(VENV)/.test  ## draw the pages of docs/ that are drawn from code
	@$(BIN)/python -m tests.write_docs

sbom:  ## what an installation consists of, as CycloneDX, in build/sbom.json
	@rm -rf build/sbom && mkdir -p build && $(PYTHON) -m venv build/sbom
	@build/sbom/bin/pip install --quiet --disable-pip-version-check '.[all]'
	@$(PYTHON) -m venv build/sbom-tool
	@build/sbom-tool/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom
	@build/sbom-tool/bin/cyclonedx-py environment --pyproject pyproject.toml \
		--output-reproducible -o build/sbom.json build/sbom/bin/python
	@rm -rf build/sbom build/sbom-tool build/lib build/bdist.*

clean:
	rm -rf $(VENV) .trioq .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.serve: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trioq needs Python 3.11 or newer: make PYTHON=…")'
	@test -x $(BIN)/python || { echo 'making $(VENV) ...' >&2; $(PYTHON) -m venv $(VENV); }
	@echo 'installing trioq into $(VENV), once; it takes a minute or so ...' >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[all]'
	@$(BIN)/python -m compileall -q trioq  # as pip does with what it copies: commands begin sooner
	@touch $@

$(VENV)/.test: $(VENV)/.serve
	@echo 'installing what the tests need into $(VENV) ...' >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,frameworks]'
	@touch $@
