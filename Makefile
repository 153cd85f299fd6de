# Two commands do everything: `make run` and `make test`. The rest is for developers.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run build test check bench load tools redis

CARGO ?= cargo
ARGS ?=

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: build ## Build and start the appliance with a demo sale (ARGS="--listen 127.0.0.1:9000" and the like)
	@exec "$$($(CARGO) metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/$(PROFILE_DIR)/holdfast" dev $(ARGS)

build: tools redis
	@$(CARGO) build $(PROFILE) --locked

test: tools redis ## Run all tests, against real servers
	@$(CARGO) test --workspace --locked

check: tools ## What CI checks besides tests: format and lints
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

PROFILE :=
PROFILE_DIR := debug

tools:
	@command -v $(CARGO) >/dev/null || { echo "holdfast: cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || deploy/install.sh build-essential cc

redis:
	@command -v redis-server >/dev/null || deploy/install.sh redis-server redis-server
