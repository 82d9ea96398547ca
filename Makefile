# Every target says what it does: `make` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# How many nodes `make fleet` has, how many rows `make bench-load` loads, how many changes `make bench-offline` misses.
NODES ?= 200
ROWS ?= 1000000
CHANGES ?= 100000
.PHONY: help demo test bench bench-load bench-offline fleet build check fmt clippy lint install-nats install-databases install-build-tools

scripts := deploy/scripts
target_dir = $${CARGO_TARGET_DIR:-target}

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install-nats ## the clinic on SQLite and a private nats-server: changes in all directions, one node away for a while
	@cargo build --workspace --bins
	@SYM_TEST_NATS_SERVER="$$($(scripts)/install-nats-server.sh)" $(target_dir)/debug/demo

test: install-nats install-databases ## installs what is missing, builds, runs every test
	cargo build --workspace --bins
	@export SYM_TEST_NATS_SERVER="$$($(scripts)/install-nats-server.sh)"; \
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace --no-fail-fast; \
	else cargo test --workspace --no-fail-fast -- --test-threads=2; fi

bench: install-nats install-databases ## rows per second and latency, PostgreSQL to PostgreSQL, beside logical replication
	@cargo build --release --workspace --bins
	@SYM_TEST_NATS_SERVER="$$($(scripts)/install-nats-server.sh)" $(target_dir)/release/bench

bench-load: install-nats install-databases ## an initial load of ROWS=1000000 beside 500 transactions a second, and COPY beside it
	@cargo build --release --workspace --bins
	@SYM_TEST_NATS_SERVER="$$($(scripts)/install-nats-server.sh)" ROWS=$(ROWS) $(target_dir)/release/load_bench

bench-offline: install-nats install-databases ## a node comes back after CHANGES=100000 changes: time and memory
	@cargo build --release --workspace --bins
	@SYM_TEST_NATS_SERVER="$$($(scripts)/install-nats-server.sh)" CHANGES=$(CHANGES) $(target_dir)/release/offline_bench

fleet: install-nats ## NODES=200 SQLite nodes in one process: registered, loaded, one change for all of them
	@cargo build --release --workspace --bins
	@SYM_TEST_NATS_SERVER="$$($(scripts)/install-nats-server.sh)" NODES=$(NODES) $(target_dir)/release/fleet

build: install-build-tools ## builds the release binaries into target/release
	cargo build --release --workspace --bins

lint: fmt clippy ## format and lints, as CI checks them

fmt: ## checks the format
	cargo fmt --all --check

clippy: install-build-tools ## checks the lints; a warning is an error
	cargo clippy --workspace --all-targets -- -D warnings

check: lint test ## everything that CI runs

install-build-tools: ## a C compiler, when it is missing
	@$(scripts)/install-build-tools.sh

install-nats: install-build-tools ## a nats-server, when it is missing
	@$(scripts)/install-nats-server.sh >/dev/null

install-databases: ## PostgreSQL and MariaDB servers, when they are missing
	@$(scripts)/install-databases.sh
