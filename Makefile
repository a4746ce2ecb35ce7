# The front door. The build itself is CMake (CMakePresets.json); every target here first installs
# the Debian packages that are missing (SKIP_PACKAGES=1 leaves that out).

.DEFAULT_GOAL := help
.PHONY: help packages build demo test bench lint format fuzz soak clean

FUZZ_SECONDS ?= 60
SOAK_SEEDS ?= 10000

help:
	@echo 'make demo    a layer-7 switch before three web servers, in network namespaces, until'
	@echo '             Ctrl-C; ONESHOT=1 ends by itself (root)'
	@echo 'make test    build and run all tests: sanitizers, simulation, system (root for the last)'
	@echo 'make bench   benchmarks, each with its peers measured in the same run (root)'
	@echo 'make lint    clang-format and clang-tidy'
	@echo
	@echo 'make build   the optimised build, in build/release'
	@echo 'make format  rewrite all sources in the project format'
	@echo 'make fuzz    every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make soak    the long simulations, SOAK_SEEDS=$(SOAK_SEEDS)'
	@echo 'make clean   remove build/'

packages:
	@[ -n "$(SKIP_PACKAGES)" ] || scripts/install_packages

build: packages
	scripts/build release

demo: build
	lab/demo.py

test: packages
	scripts/run_tests

bench: build
	scripts/run_benchmarks

lint: packages
	scripts/lint

format: packages
	git ls-files '*.h' '*.cc' '*.c' | xargs clang-format-19 -i

fuzz: packages
	scripts/run_fuzzers $(FUZZ_SECONDS)

soak: build
	scripts/run_soak $(SOAK_SEEDS)

clean:
	rm -rf build
