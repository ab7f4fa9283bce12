# The few words a person types; the work is done by Meson (meson.build) and the programs in tools/.
#
#   make            build/sekishod and build/sekisho
#   make demo       two sites in network namespaces joined by a tunnel; cleans up behind itself
#   make check      every test; ends with "N passed, N failed"
#   make explore    what can happen to two IKE machines, deeper than the check goes (takes very long)
#   make bench      beside other VPNs in userspace (takes long)
#   make strangers  a million conversations with somebody who has no credentials (five minutes)
#   make install    PREFIX=/usr/local DESTDIR=

PREFIX ?= /usr/local
BUILD = build

.PHONY: all build setup demo check explore bench fuzz strangers format install clean

all: build

$(BUILD)/build.ninja:
	@sh tools/setup build
	CC=gcc meson setup $(BUILD) --prefix=$(PREFIX) > /dev/null

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

demo:
	@sh tools/setup demo
	@$(MAKE) --no-print-directory build
	@python3 tests/interop/demo.py

check:
	@sh tools/setup check
	@$(MAKE) --no-print-directory build
	@python3 tools/check.py

ORDERS = 3
FAULTS = 1
explore:
	@sh tools/setup check
	@$(MAKE) --no-print-directory build
	@build/tests/exchange/exchange_explore --orders $(ORDERS) --faults $(FAULTS)
	@build/tests/exchange/exchange_explore_old --orders $(ORDERS) --faults $(FAULTS)

bench:
	@sh tools/setup bench
	@$(MAKE) --no-print-directory build
	@tests/bench/run

# Hours by hand: make fuzz TARGET=ikev2_message SECONDS=300
fuzz:
	@sh tools/setup check
	@tools/fuzz $(TARGET) $(SECONDS)

# Both roles, shared keys and certificates; a few thousand are in the check.
strangers: build
	@SEKISHO_STRANGERS=1000000 $(BUILD)/tests/exchange/exchange_attacker 'sequences*'

format:
	find src tests -name '*.[ch]' | xargs clang-format -i

install: build
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean:
	rm -rf build build-asan build-tsan build-fuzz
