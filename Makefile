# The front door. Everything that takes more than a line lives in scripts/.
.PHONY: help demo check audit bench bench-storage bench-masking setup conformance vm-check

help:
	@echo 'make demo         build and start the simulated array on 127.0.0.1:5988 and :5989'
	@echo 'make check        install what is needed, then run every check there is'
	@echo 'make conformance  other clients and suites against a demo started for them'
	@echo 'make vm-check     the gateway on real LVM and LIO in a booted kernel'
	@echo 'make bench        what requests cost, as ratios; how to read them is in benches/wire.rs'
	@echo 'make bench-storage  create, grow and delete beside LVM by hand, in the test kernel'
	@echo 'make bench-masking  show volumes to hosts beside configfs and targetcli by hand, there too'
	@echo 'make audit        known vulnerabilities of the dependencies (downloads the database)'
	@echo 'make setup        only install what the checks need'

demo:
	cargo run --locked -- demo $(DEMO)

check:
	@scripts/check

setup:
	@scripts/setup

conformance: setup
	cargo build --locked
	conformance/run

vm-check: setup
	cargo build --locked
	tests/vm/run

audit:
	cargo deny check advisories

bench:
	cargo bench --locked --bench wire

bench-storage: setup
	benches/storage.py

bench-masking: setup
	benches/masking.py
