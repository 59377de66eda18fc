# `make demo` and `make test` need Python 3.11 or newer and make; they fetch the rest.
# What they fetch goes to .venv/ and .tools/, which git ignores; `make clean` takes it away.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
BIN := .venv/bin
TOOLS := .tools
BUF_VERSION := 1.75.0
BUF := $(TOOLS)/node_modules/.bin/buf
PROTOS := $(wildcard protos/mesh/v1/*.proto)
PROTOC = $(BIN)/python -m grpc_tools.protoc -I protos $(PROTOS)
# The schema that other meshes may already speak: what has landed on main.
LANDED ?= $(shell git rev-parse -q --verify origin/main || git rev-parse -q --verify main)

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: demo test docs features soak bench profile clients node-client go-client java-client lint buf buf-lint buf-breaking generated programs proto clean help

help:
	@echo 'make demo    deploy the handwritten digits, ask them a few hundred images, print what came out'
	@echo 'make test    every check and every test'
	@echo 'make docs    build the documentation, with the API, into site/'
	@echo 'make features  what mesh promises, row by row, with the tests that show it'
	@echo 'make soak    what takes minutes to be seen: deaths, updates and scaling under load; SOAK="deaths --seconds 10" for less'
	@echo 'make bench   what mesh costs, each figure beside its baseline; BENCH="--quick --only chain" for less (fifteen minutes)'
	@echo 'make profile where the time of a call, an HTTP request and a chain goes: flame graphs in profiles/ (wants root)'
	@echo 'make clients build the clients in JavaScript, Go and Java, and have them call a mesh'
	@echo 'make lint    the checks alone'
	@echo 'make proto   generate mesh/v1 from protos/'
	@echo 'make clean   remove what the other commands have fetched and made'

demo: .venv/.examples
	@$(BIN)/python -m examples.digits.demo

test: lint programs
	$(BIN)/python -m pytest

# The variable keeps the makers of the theme from telling of what is to follow it (docs/decisions/023-site.md).
docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo 'the documentation is in site/index.html'

features: .venv/.dev
	@$(BIN)/python -m tests.features

# Apart from `make test`: each soak puts a mesh under load for a minute, one of them for ten.
soak: .venv/.dev
	@mkdir -p .benchmarks
	$(BIN)/python -m tests.soak --json .benchmarks/soak.json $(SOAK)

# HTTP is measured with wrk, a package of Debian; without it those rows say that they did not run.
bench: .venv/.dev
	@mkdir -p .benchmarks
	$(BIN)/python -m benchmarks --json .benchmarks/figures.json $(BENCH)

profile: .venv/.dev
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m benchmarks.profiles $(PROFILE)

# --- clients in other languages, each built by its own tools, which npm, Go and Maven fetch

CLIENTS := examples/clients
# Runs a command with the address of a mesh as its last argument; what it prints must be what every client prints.
CALL = $(BIN)/python -m examples.clients.served sh -c

clients: node-client go-client java-client

node-client: .venv/.dev
	npm install --prefix $(CLIENTS)/node --no-audit --no-fund --silent
	cd $(CLIENTS)/node && npm run --silent generate
	$(CALL) 'node $(CLIENTS)/node/client.js $$0 | tee /dev/stderr | diff $(CLIENTS)/printed.txt -'

GO_TOOLS := $(CURDIR)/$(TOOLS)/go
GO_OPTIONS := module=mesh.example/client,Mmesh/v1/predict.proto=mesh.example/client/predictpb

go-client: .venv/.dev
	cd $(CLIENTS)/go && GOBIN=$(GO_TOOLS) go install tool
	PATH=$(GO_TOOLS):$$PATH $(BIN)/python -m grpc_tools.protoc -I protos protos/mesh/v1/predict.proto \
	  --go_out=$(CLIENTS)/go --go_opt=$(GO_OPTIONS) --go-grpc_out=$(CLIENTS)/go --go-grpc_opt=$(GO_OPTIONS)
	cd $(CLIENTS)/go && go build -o $(GO_TOOLS)/client .
	$(CALL) '$(GO_TOOLS)/client $$0 | tee /dev/stderr | diff $(CLIENTS)/printed.txt -'

java-client: .venv/.dev
	mvn --quiet --batch-mode --file $(CLIENTS)/java package
	$(CALL) 'java -jar $(CLIENTS)/java/target/client-1.jar $$0 | tee /dev/stderr | diff $(CLIENTS)/printed.txt -'

# --- the checks

lint: .venv/.dev generated buf
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy --strict
	$(BIN)/lint-imports

# --- the schema

proto: .venv/.dev
	$(PROTOC) --python_out=. --pyi_out=. --grpc_python_out=.

generated: .venv/.dev
	@rm -rf $(TOOLS)/generated && mkdir -p $(TOOLS)/generated
	@$(PROTOC) --python_out=$(TOOLS)/generated --pyi_out=$(TOOLS)/generated --grpc_python_out=$(TOOLS)/generated
	@diff -r --exclude=__init__.py --exclude=__pycache__ $(TOOLS)/generated/mesh/v1 mesh/v1 \
	  || { echo 'mesh/v1 is not what protos/ says: run "make proto"'; exit 1; }
	@echo 'mesh/v1 is what protos/ says'

buf: buf-lint buf-breaking

buf-lint: $(BUF)
	@if [ -x $(BUF) ]; then \
	  echo '$(BUF) lint' && $(BUF) lint; \
	else \
	  echo 'SKIPPED buf lint: buf comes from npm, and that did not work (see above)'; \
	fi

buf-breaking: $(BUF)
	@rm -rf $(TOOLS)/landed && mkdir -p $(TOOLS)/landed
	@if [ ! -x $(BUF) ]; then \
	  echo 'SKIPPED buf breaking: buf comes from npm, and that did not work (see above)'; \
	elif [ -z '$(LANDED)' ]; then \
	  echo 'SKIPPED buf breaking: no branch main to compare with'; \
	elif ! git archive --output=$(TOOLS)/landed.tar $(LANDED) buf.yaml protos 2>$(TOOLS)/landed.log; then \
	  echo 'SKIPPED buf breaking: the landed main has no schema yet'; \
	else \
	  tar -x -f $(TOOLS)/landed.tar -C $(TOOLS)/landed \
	  && echo '$(BUF) breaking --against $(TOOLS)/landed' && $(BUF) breaking --against $(TOOLS)/landed; \
	fi

# --- what has to be fetched; each is a file, so that nothing is fetched twice

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mesh needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/.examples: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[examples]'
	@touch $@

.venv/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/.examples

# Neither of these two may fail the build: a machine without them skips what needs them, and says so.
$(BUF):
	@mkdir -p $(TOOLS)
	@if ! command -v npm >/dev/null; then \
	  echo 'npm is not installed'; \
	elif ! npm install --prefix $(TOOLS) --no-save --no-audit --no-fund --fetch-retries=1 --fetch-timeout=60000 \
	    @bufbuild/buf@$(BUF_VERSION) >$(TOOLS)/npm.log 2>&1; then \
	  echo 'npm could not install @bufbuild/buf:'; tail -n 5 $(TOOLS)/npm.log; \
	fi

# Tests draw with dot and ask with curl.
programs:
	@mkdir -p $(TOOLS)
	@if command -v dot >/dev/null && command -v curl >/dev/null; then \
	  :; \
	elif [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo 'install graphviz and curl: tests that draw pictures are SKIPPED without the one, pages of docs/ FAIL without the other'; \
	elif ! { apt-get $(APT_LIMITS) update && DEBIAN_FRONTEND=noninteractive apt-get $(APT_LIMITS) install --yes \
	    --no-install-recommends graphviz curl; } >$(TOOLS)/apt.log 2>&1; then \
	  echo 'apt could not install graphviz and curl, which tests that draw and the pages of docs/ need:'; tail -n 5 $(TOOLS)/apt.log; \
	fi
APT_LIMITS := -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Acquire::Retries=1

clean:
	rm -rf $(CLIENTS)/node/node_modules $(CLIENTS)/node/generated $(CLIENTS)/go/predictpb $(CLIENTS)/java/target
	rm -rf .venv $(TOOLS) .benchmarks profiles site build dist mesh.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
