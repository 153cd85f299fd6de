# `make run` and `make test` do everything on a fresh machine; the rest is for developers.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build cluster test browser check chaos bench load package where compiler redis cassandra prometheus postgres

CARGO ?= cargo
# Flags for what is run: make run ARGS="--listen 127.0.0.1:9000", make load ARGS="journey --sale demo", make bench ARGS=--quick
ARGS ?=
# Where cargo puts what it builds, whatever the environment says about it.
TARGET = $(shell $(CARGO) metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: build ## Build and start the appliance with its demo sales
	@exec "$(TARGET)/debug/holdfast" dev $(ARGS)

cluster: build ## Start the roles as processes on Cassandra and a Redis Cluster; ARGS="--cassandra 1": one node
	@exec deploy/cluster.sh "$(TARGET)/debug/holdfast" $(ARGS)

# One profile for what is run, tested and linted, so that a machine with two cores builds everything once.
build: compiler redis
	@$(CARGO) build --locked

test: compiler redis cassandra prometheus ## Run all tests, on real servers
	@$(CARGO) test --workspace --locked

browser: build ## Drive the page in a real Chromium (installs it, and two packages of npm into the target directory)
	@tests/browser/run.sh "$(TARGET)/debug/holdfast" "$(TARGET)/browser" $(ARGS)

check: compiler ## Format and lints, as CI checks them
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# A seed is printed, and has its plan again: make chaos ARGS="CHAOS_SEED=7". Fewer: ARGS="CHAOS_FAULTS=20 CHAOS_CASSANDRA_FAULTS=5".
chaos: compiler redis cassandra ## Carry out a hundred random faults while visitors buy, more on three Cassandra nodes, and every row of the recovery table
	@env CHAOS_FAULTS=100 CHAOS_CASSANDRA_FAULTS=20 CHAOS_NODES=3 CHAOS_AWAY_MS=30000 $(ARGS) \
		$(CARGO) test --workspace --locked --test chaos -- --nocapture --test-threads 1 nothing_is_sold visitors_see

load: build ## Send visitors to a running appliance: make load ARGS="book --visitors 256"
	@exec "$(TARGET)/debug/holdfast" load $(ARGS)

bench: compiler redis postgres ## Measure beside baselines, in release: the table of the README
	@$(CARGO) build --release --locked --workspace --bins --examples
	@$(CARGO) build --release --locked --manifest-path baselines/postgres/Cargo.toml --target-dir "$(TARGET)/baselines"
	@$(CARGO) run --release --locked --example bench -- $(ARGS)

package: compiler ## Build the Debian package, in release
	@$(CARGO) build --release --locked
	@deploy/debian/build "$(TARGET)/release/holdfast" "$(TARGET)"

where:
	@echo "$(TARGET)"

compiler:
	@command -v $(CARGO) >/dev/null || { echo "holdfast: cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || deploy/install.sh build-essential cc

redis:
	@command -v redis-server >/dev/null || deploy/install.sh redis-server redis-server

# Debian keeps the server's program out of the path.
postgres:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || deploy/install.sh postgresql psql

# What tests on a real Cassandra need; without it they are left out, except where CI=true says that nothing may be.
cassandra:
	@why=$$(deploy/cassandra/cassandra.sh check 2>&1) || { echo "left out: tests on a real Cassandra ($$why)" >&2; [ "$${CI:-}" != true ]; }

# What the test of alerts on a running program needs; without it that one is left out, in the same way.
prometheus:
	@command -v prometheus >/dev/null && command -v python3 >/dev/null || { echo "left out: alerts on a running program (prometheus or python3 is missing)" >&2; [ "$${CI:-}" != true ]; }
