# Everything here works from a fresh clone, as root on Debian 12 or newer; see `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(PATH):/usr/sbin:/sbin:$(HOME)/.cargo/bin
# Labs of tests carry the inode of this directory in their names, so that two clones on one machine don't meet.
TEST_LABS := test-$(shell stat -c %i .)

.DEFAULT_GOAL := help
.PHONY: help setup build release test demo lint bench clean-lab

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

setup:  ## install what building and testing needs (as root; does nothing when all is there)
	@./lab/setup

build: setup  ## kopsrun for trying and testing: target/debug/kopsrun, with its agent beside it
	cargo xtask agent
	cargo build --workspace

release: setup  ## kopsrun for use: target/release/kopsrun, with its agent inside
	cargo xtask build

test: build  ## all tests; those on real machines make labs of their own (as root)
	@[ "$$(id -u)" = 0 ] || { echo 'make test needs root: its tests make real machines'; exit 1; }
	@trap './lab/lab down --like $(TEST_LABS)' EXIT; ./lab/lab down --like $(TEST_LABS); \
	./lab/lab image; etcd=$$(./lab/lab fetch-etcd 34); ./lab/lab fetch-etcd 35 >/dev/null; \
	export KOPSRUN_ETCD=$$etcd/etcd; \
	if cargo nextest --version >/dev/null 2>&1; \
	then cargo test --workspace --doc --quiet && cargo nextest run --workspace; \
	else cargo test --workspace --no-fail-fast; fi

demo: build  ## a cluster of real machines loses a member and gets it back (as root, a minute or two once built)
	./lab/demo

lint: setup  ## formatting, clippy, licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	./.ci/deny

bench: release  ## a play of ten tasks on 20 hosts against plain ssh (as root)
	./benches/rig

clean-lab:  ## remove all labs, and what the lab keeps
	./lab/lab down --all
	rm -rf --one-file-system "$${KOPSRUN_LAB_DIR:-/var/cache/kopsrun-lab}"
