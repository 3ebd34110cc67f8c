# moolloy-workers: `make demo` shows it at work, `make check` tests it, `make help` lists the rest.
VERSION := 0.1.0
BUILD   ?= build
# One name for one directory, or what was noted of an object's headers is not found again.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
PREFIX  ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system

# Debian packages, by what they are for.
PACKAGES_BUILD := gcc make pkg-config libcurl4-openssl-dev libjansson-dev libssl-dev libgit2-dev \
	libarchive-dev libyaml-dev libexpat1-dev libsystemd-dev libseccomp-dev libsqlite3-dev libmicrohttpd-dev
PACKAGES_RUN   := bubblewrap git openssh-client ca-certificates openjdk-17-jdk-headless ant python3
PACKAGES_DEMO  := bzip2 zstd
PACKAGES_CHECK := $(PACKAGES_DEMO) libcmocka-dev python3-pytest python3-pytest-xdist python3-yaml \
	openssh-server openssl xz-utils man-db systemd
# Servers that the tests start; MOOLLOY_SKIP_SERVERS=1 does without, and skips the tests that need them.
ifneq ($(MOOLLOY_SKIP_SERVERS),1)
PACKAGES_SERVERS := python3-swift $(if $(shell command -v npm),,nodejs npm)
EMULATOR := build/npm/node_modules/.package-lock.json
endif
PACKAGES_LINT  := clang-format shellcheck
PACKAGES_BENCH := curl awscli s3cmd rclone # what the store is measured against
PACKAGES_FUZZ  := clang libclang-rt-14-dev
PACKAGES       := $(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_CHECK) $(PACKAGES_SERVERS) $(PACKAGES_LINT)

CC       := gcc
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wcast-qual -Wvla
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2
CFLAGS   ?= -O2 -g
LDFLAGS  ?=
ifdef SANITIZE
HARDEN   := -fPIE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LINKSAN  := -fsanitize=address,undefined
CFLAGS   := -O1 -g
endif
ifdef FUZZ
CC       := clang
HARDEN   := -fPIE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LINKSAN  := -fsanitize=fuzzer,address,undefined
WARNINGS += -Wno-unused-variable # clang does not see that scoped ones are used
CFLAGS   := -O1 -g
endif
ifdef WERROR
WARNINGS += -Werror
endif
ALL_CFLAGS  = -std=gnu17 $(CFLAGS) $(HARDEN) $(WARNINGS) -Iinclude -D_GNU_SOURCE \
	-DMOOLLOY_VERSION='"$(VERSION)"' -MMD -MP
ALL_LDFLAGS = $(LDFLAGS) $(LINKSAN) -pie -Wl,-z,relro,-z,now -Wl,--as-needed

# The floors, from the ground up: each may use only those before it.
FLOORS := base outside remote work engine
LIBS_outside := -lcurl -ljansson -lcrypto -lgit2 -larchive -lyaml -lexpat -lsystemd
LIBS_dashboard := -lsqlite3 -lmicrohttpd

objects   = $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard $(1)/*.c)))
archives  = $(patsubst %,$(BUILD)/lib/lib%.a,$(1))
# Archives a floor's code may be linked with: itself and those below, topmost first.
up_to     = $(call archives,$(call reverse,$(call below,$(1)) $(1)))
below     = $(call below_of,$(1),$(FLOORS))
below_of  = $(if $(filter $(1),$(firstword $(2))),,$(firstword $(2)) $(call below_of,$(1),$(wordlist 2,9,$(2))))
reverse   = $(if $(1),$(call reverse,$(wordlist 2,9,$(1))) $(firstword $(1)))
library   = $(if $(filter-out base,$(1)),$(LIBS_outside))

PROGRAMS := moolloy-build-worker moolloy-run-worker moolloy-workerctl moolloy-dashboard
BINARIES := $(addprefix $(BUILD)/,$(PROGRAMS))

.SECONDARY:
.DELETE_ON_ERROR:
# make V=1 shows the commands.
Q := $(if $(V),,@)

.PHONY: all
all: $(BINARIES) $(FLOORS:%=$(BUILD)/lib/%.linked)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

define floor_rules
$(BUILD)/lib/lib$(1).a: $(call objects,common/$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	@echo "  AR    $$@"
	$(Q)ar rcs $$@ $$^

# The whole floor must link with nothing but the floors below it.
$(BUILD)/lib/$(1).linked: $(call up_to,$(1))
	@printf 'int main(void) { return 0; }' | $(CC) -x c - -x none -fPIE $(ALL_LDFLAGS) -o $$@ \
		-Wl,--whole-archive $$< -Wl,--no-whole-archive $$(wordlist 2,9,$$^) $(call library,$(1))
endef
$(foreach f,$(FLOORS),$(eval $(call floor_rules,$(f))))

$(BUILD)/obj/tests/%.o: ALL_CFLAGS += -Itests/unit

link = @echo "  LD    $@"; $(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS_outside)

$(BUILD)/moolloy-build-worker: $(call objects,build-worker) $(call up_to,engine)
	$(link)
$(BUILD)/moolloy-run-worker: $(call objects,run-worker) $(call up_to,engine)
	$(link)
$(BUILD)/moolloy-workerctl: $(call objects,src) $(call up_to,work)
	$(link)
$(BUILD)/moolloy-dashboard: $(call objects,src/dashboard) $(call up_to,work)
	$(link) $(LIBS_dashboard)

# ---- tests ------------------------------------------------------------------------------------
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/*/test_*.c)))
# Most of these tests wait most of the time. A file's tests stay together: they share what is costly.
PYTEST     := /usr/bin/python3 -m pytest -q -p no:cacheprovider -n $(shell expr $$(nproc) + 1) --dist loadfile

define unit_rules
$(BUILD)/unit/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $(2)
	@mkdir -p $$(@D)
	@echo "  LD    $$@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $$@ $$^ -lcmocka $(3)
endef
$(foreach f,$(FLOORS),$(eval $(call unit_rules,$(f),$(call up_to,$(f)),$(call library,$(f)))))
$(foreach p,build-worker run-worker,$(eval $(call unit_rules,$(p),$(filter-out %/main.o,$(call objects,$(p))) $(call up_to,engine),$(LIBS_outside))))
$(eval $(call unit_rules,dashboard,$(filter-out %/main.o,$(call objects,src/dashboard)) $(call up_to,work),$(LIBS_outside) $(LIBS_dashboard)))

.PHONY: check check-unit check-system check-asan torture servers fuzz run-fuzzers bench lint format deps demo install clean help
check: deps
	@$(MAKE) --no-print-directory all check-unit check-system

check-unit: export LSAN_OPTIONS = suppressions=$(CURDIR)/tests/fixtures/leaks.txt:print_suppressions=0
check-unit: $(UNIT_TESTS)
	@failed=; for t in $^; do $$t >$$t.log 2>&1 || { cat $$t.log; failed="$$failed $$t"; }; done; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }; \
	echo "unit tests: $(words $^) programs, $$(cat $(addsuffix .log,$^) | grep -c '\[       OK \]') tests passed"

# The SQS emulator; once for all builds.
servers: $(EMULATOR)

$(EMULATOR): tests/fixtures/sqs/package.json tests/fixtures/sqs/package-lock.json
	@mkdir -p build/npm
	@cp $^ build/npm
	@echo "  NPM   $(<D)"
	$(Q)cd build/npm && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Preloaded by tests: programs are killed at chosen points, or have a clock that is wrong.
PRELOADED := $(BUILD)/kill_points.so $(BUILD)/wall_clock.so
$(BUILD)/%.so: tests/fixtures/%.c Makefile
	@echo "  LD    $@"
	$(Q)$(CC) -std=gnu17 -O1 -g $(WARNINGS) -D_GNU_SOURCE -shared -fPIC -o $@ $<

check-system: all servers $(PRELOADED)
	MOOLLOY_BUILD=$(abspath $(BUILD)) $(PYTEST) tests/system

# Every kill point, thousands of jobs; TORTURE_JOBS=10000 TORTURE_SEEDS=3 can be changed.
torture: all servers $(PRELOADED)
	MOOLLOY_BUILD=$(abspath $(BUILD)) TORTURE_POINTS=40 TORTURE_EVERY=1 $(PYTEST) -s \
		tests/system/torture.py tests/system/test_kills.py tests/system/test_kills_far.py \
		tests/system/test_dashboard_kills.py

check-asan: deps
	@$(MAKE) --no-print-directory BUILD=build-asan SANITIZE=1 all check-unit check-system

# Each fuzzer in turn, from its seeds and what earlier runs found; what it ends on stays beside it.
FUZZ_SECONDS ?= 10
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(call up_to,work)
	@mkdir -p $(@D)
	$(link)

fuzz:
	@$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES_BUILD) $(PACKAGES_FUZZ) python3 zstd'
	@$(MAKE) --no-print-directory BUILD=build-fuzz FUZZ=1 run-fuzzers

run-fuzzers: $(FUZZERS)
	@/usr/bin/python3 tests/fuzz/seeds.py $(BUILD)/corpus
	@for f in $^; do $$f -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 \
		-artifact_prefix=$$f- $(BUILD)/corpus/$${f##*/fuzz_} >$$f.log 2>&1 \
		|| { cat $$f.log; exit 1; }; echo "$${f##*/}: $$(tail -1 $$f.log)"; done

bench:
	@$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES) $(PACKAGES_BENCH)'
	@$(MAKE) --no-print-directory all
	MOOLLOY_BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/bench/bench.py

demo:
	@$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES_BUILD) $(PACKAGES_RUN) $(PACKAGES_DEMO)'
	@$(MAKE) --no-print-directory -s all
	@MOOLLOY_BUILD=$(abspath $(BUILD)) /usr/bin/python3 tests/system/demo.py

SOURCES := $(wildcard common/*/*.c build-worker/*.c run-worker/*.c src/*.c src/*/*.c)
HEADERS := $(wildcard include/*/*.h common/*/*.h build-worker/*.h run-worker/*.h src/*/*.h)
TESTS_C := $(wildcard tests/unit/*/*.c tests/fuzz/*.c)
ANALYZED := $(SOURCES:%.c=$(BUILD)/analyzed/%.ok)

$(BUILD)/analyzed/%.ok: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -Werror -fanalyzer -MF $@.d -MT $@ -c -o $(@:.ok=.o) $<
	@touch $@

lint: $(ANALYZED) $(FLOORS:%=$(BUILD)/lib/%.linked)
	clang-format --dry-run --Werror $(SOURCES) $(HEADERS) $(TESTS_C)
	/usr/bin/python3 tests/lint/house.py
	shellcheck .ci/run

format:
	clang-format -i $(SOURCES) $(HEADERS) $(TESTS_C)

# ---- installing -------------------------------------------------------------------------------
MANUALS := $(wildcard build-worker/*.8 run-worker/*.8 src/*.1 src/dashboard/*.8)
UNITS   := $(wildcard systemd/*.service)
LIBDIR  := $(DESTDIR)$(PREFIX)/lib

# Sample configuration that somebody has edited already stays.
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SYSCONFDIR)/moolloy-workers $(DESTDIR)$(UNITDIR)
	install $(BINARIES) $(DESTDIR)$(PREFIX)/bin
	@for page in $(MANUALS); do \
		install -D -m 644 "$$page" "$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}"; done
	@for unit in $(notdir $(UNITS)); do \
		sed 's|/usr/local/bin|$(PREFIX)/bin|' "systemd/$$unit" >"$(DESTDIR)$(UNITDIR)/$$unit"; done
	install -D -m 644 -t $(LIBDIR)/sysusers.d systemd/sysusers.d/moolloy-workers.conf
	install -D -m 644 -t $(LIBDIR)/tmpfiles.d systemd/tmpfiles.d/moolloy-workers.conf
	@for sample in etc/*.yaml; do \
		to="$(DESTDIR)$(SYSCONFDIR)/moolloy-workers/$${sample##*/}"; \
		[ -e "$$to" ] && echo "kept $$to" || install -m 644 "$$sample" "$$to"; done

deps:
	@missing=$$(for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok' || echo $$p; done); \
	[ -z "$$missing" ] && exit 0; \
	echo "installing missing Debian packages:" $$missing; \
	root=; [ "$$(id -u)" = 0 ] || { root=sudo; echo "(asking for root to run apt-get)"; }; \
	$$root apt-get update -q && \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

clean:
	rm -rf build build-asan build-fuzz

help:
	@echo 'make                build the four programs into build/'
	@echo 'make demo           run the whole workflow on this machine and show it (DEMO_KEEP=1 leaves it running)'
	@echo 'make check          unit and system tests'
	@echo 'make check-asan     the same under AddressSanitizer, UBSan and LeakSanitizer'
	@echo 'make torture        every kill point, 10,000 jobs through one worker; about 20 minutes'
	@echo 'make fuzz           libFuzzer on what comes from outside, FUZZ_SECONDS=10 each'
	@echo 'make lint           formatting, gcc -fanalyzer, floors, shellcheck'
	@echo 'make format         clang-format on all of it'
	@echo 'make bench          figures, with what each is measured against; writes build/bench.json'
	@echo 'make install        DESTDIR= PREFIX= (default /usr/local)'
	@echo 'make deps           install the Debian packages that are missing'
	@echo 'make servers        install the SQS emulator of the tests into build/npm'
	@echo 'make clean          remove what was built'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
