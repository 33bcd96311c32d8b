# Everything a developer or CI runs. Tools come from the registries of cargo, pip, npm and apt.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO_TARGET_DIR ?= $(HOME)/.cache/llm-proxy/target
export CARGO_TARGET_DIR

.PHONY: help demo frontend build check test test-rust test-page bench-page test-cluster soak bench bench-baseline bench-logs test-sdk test-agents \
  test-helm test-image chart-readme chart image version licences sbom golden fuzz fuzz-short fuzz-each fuzz-tool

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## Run proxy and mock provider with a temporary database; prints curl lines to paste
	@frontend/scripts/build --if-possible
	@echo "building llm-proxy (the first time takes some minutes) ..."
	@cargo build --quiet --locked
	@$(CARGO_TARGET_DIR)/debug/llm-proxy demo $(DEMO_FLAGS)

frontend: ## Build the admin page, which the next build of the binary takes in; installs Node.js when it is missing
	@frontend/scripts/build

build: ## Build the release binary
	cargo build --release --locked

check: ## Formatting, lints, documentation
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --quiet

test: test-rust test-page test-sdk test-agents test-helm fuzz-short ## All tests; installs what they need

test-rust: ## Unit, integration and small cluster tests
	@tests/install-servers
	@echo "compiling and running the Rust tests (the first time takes some minutes) ..."
	cargo test --locked

test-cluster: ## Three replicas under load with outages, at full size; prints what it measured
	@tests/install-servers
	@echo "compiling and running the cluster tests (the first time takes some minutes) ..."
	CLUSTER_FULL=1 cargo test --release --locked --test cluster -- --nocapture --test-threads=1

# What is told on the way is repeated at the end. `SOAK_SEED=...` repeats the choices of a run.
PERCENT ?= 100
soak: ## Long runs, half an hour: left streams, failing providers, restarts, time, sums (SCENARIO=aborts PERCENT=10)
	@tests/install-servers
	@echo "compiling and running the long runs (the first time takes some minutes) ..."
	@set -o pipefail; told=$$(mktemp); ended=0; \
	SOAK_PERCENT=$(PERCENT) cargo test --release --locked --test soak -- --nocapture --test-threads=1 $(SCENARIO) \
	  | tee $$told || ended=$$?; \
	echo; grep -o 'soak: .*' $$told; rm -f $$told; exit $$ended

bench: ## What parts of a request cost: time, bytes per second and allocations, beside benches/baseline.json
	cargo bench --locked --bench hot_path

bench-baseline: ## The same, kept as the new benches/baseline.json
	BENCH_BASELINE=write cargo bench --locked --bench hot_path

LOGS_ROWS ?= 10000000
bench-logs: ## The log page's queries on 10 million rows (a tenth in SQLite), a quarter of an hour; takes 8 GB below TMPDIR
	@tests/install-servers
	@echo "compiling, filling and measuring ..."
	LOGS_ROWS=$(LOGS_ROWS) cargo test --release --locked --test logs -- --nocapture --test-threads=1

test-page: ## The admin page in headless Chromium, against a real server (SHOTS=folder also takes pictures)
	frontend/e2e/run

bench-page: ## The admin page's lists with 5,000 providers and 50,000 credentials
	frontend/e2e/run frontend/e2e/large.mjs

test-sdk: ## The official SDKs against a real server
	tests/sdk/run

test-agents: ## Codex, AI SDK, LangChain and Pydantic AI, each doing a task through a real server
	tests/agents/run

test-helm: ## The chart, the image and the README's commands: rendered, checked, and run in a sandbox
	tests/helm/run

chart-readme: ## Write helm/README.md anew from values.yaml
	tests/helm/run --readme

test-image: ## The Dockerfile's steps in a Debian made by debootstrap; the result serves. A release build; needs root and 6 GB
	tests/image/run

DIST ?= dist
VERSION_NOW = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
COMMIT_NOW = $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

image: ## Build the image with Docker
	docker build --build-arg COMMIT=$(COMMIT_NOW) --tag llm-proxy:$(VERSION_NOW) --tag llm-proxy .

chart: ## Package the chart into $(DIST)
	helm package helm --destination $(DIST)

version: ## Write VERSION=x.y.z into Cargo.toml and everything that repeats it
	@[[ "$(VERSION)" =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$$ ]] || { echo "VERSION=x.y.z is needed"; exit 2; }
	@sed -i '0,/^version = ".*"/s//version = "$(VERSION)"/' Cargo.toml
	@sed -i -E 's/^((appV|v)ersion): .*/\1: $(VERSION)/' helm/Chart.yaml
	@sed -i 's/\(image.version="\)[^"]*/\1$(VERSION)/' Dockerfile
	@sed -i '0,/"version": "[^"]*"/s//"version": "$(VERSION)"/' frontend/openapi.json
	@cd frontend && npm version $(VERSION) --no-git-tag-version --allow-same-version >/dev/null
	@cargo update --workspace --offline --quiet

licences: ## Licences and sources of every dependency, the admin page's too (cargo-deny; asks no network)
	@node frontend/scripts/packages.mjs
	@cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny@0.20.2
	cargo deny --offline check licenses bans sources

sbom: ## Bills of materials of the binary and of the admin page in it, CycloneDX, into $(DIST)
	@cargo cyclonedx --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-cyclonedx@0.5.9
	@mkdir -p $(DIST)
	cargo cyclonedx --format json --spec-version 1.5 --describe binaries --quiet
	@mv llm-proxy_bin.cdx.json $(DIST)/llm-proxy-$(VERSION_NOW).cdx.json
	@node frontend/scripts/packages.mjs --sbom > $(DIST)/llm-proxy-admin-$(VERSION_NOW).cdx.json

golden: ## Write the golden translations anew, for review
	UPDATE_GOLDEN=1 cargo test --locked --test golden

# The codecs are free of unsafe code, so no sanitizer and no nightly compiler is needed.
FUZZ_SECS ?= 600
FUZZ_RUN = CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz cargo fuzz run --sanitizer none
FUZZ_SEEDS = $(wildcard tests/golden/*/requests tests/golden/*/responses tests/golden/*/streams tests/golden/*/errors)

fuzz: fuzz-tool ## Fuzz every decoder for FUZZ_SECS seconds each
	@$(MAKE) --no-print-directory fuzz-each FUZZ_LIMIT="-max_total_time=$(FUZZ_SECS)"

# A fixed seed, so that the same code gives the same result everywhere.
fuzz-short: fuzz-tool ## The same for a bounded number of inputs, always the same ones
	@echo "building and running the fuzz targets (the first time takes some minutes) ..."
	@$(MAKE) --no-print-directory fuzz-each FUZZ_LIMIT="-runs=20000 -seed=1"

fuzz-each:
	@for target in $$(cargo fuzz list); do \
	  echo "fuzzing $$target ($(FUZZ_LIMIT))"; corpus=$$(mktemp -d); \
	  $(FUZZ_RUN) $$target $$corpus $(FUZZ_SEEDS) -- $(FUZZ_LIMIT) -max_len=16384 -timeout=20 -verbosity=0 \
	    || { rm -rf $$corpus; exit 1; }; rm -rf $$corpus; \
	done

fuzz-tool:
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-fuzz@0.13.2
