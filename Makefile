# nante — build. Everything that is not building is a script this file only names.
#
#   make            build/nante           development build (glibc)
#   make static     build/static/nante    the product (static-pie, musl, stripped)
#   make asan       build/asan/nante      AddressSanitizer + UBSan
#   make test       tests/run             (make test ARGS="unit jinja" for a part)
#   make soak       tests/soak/run        (hours; make soak ARGS=Requests for a part)
#   make V=1        show the commands

.DEFAULT_GOAL := all
CACHE   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nante
ARCH    ?= $(shell uname -m)
VERSION := $(or $(shell git describe --tags --always --dirty 2>/dev/null),$(file <VERSION),unknown)
Q       := $(if $(V),,@)
SHOW    := $(Q)$(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),:,echo)

SRC  := $(wildcard src/*.c src/*/*.c)
HDR  := $(wildcard src/*.h src/*/*.h)
PKGS := libcurl jansson libssh2 yaml-0.1 libpcre2-8 libarchive libcrypto

STD   := -std=c17 -D_GNU_SOURCE -Isrc
# A row of a table may end where its zeros begin.
WARN  := -Wall -Wextra -Wpedantic -Wconversion -Wno-missing-field-initializers -Werror
FLAGS := $(STD) $(WARN) -fno-strict-aliasing -fstack-protector-strong -g $(CFLAGS)
LIBS   = $(shell pkg-config --libs $(PKGS)) -lpthread -lcrypt -lm
PKGINC = $(shell pkg-config --cflags $(PKGS))

# What `git describe` says changes with every commit; only what shows it may be built again.
VERSIONED := $(shell grep -l NANTE_VERSION src/*.c 2>/dev/null)
$(shell mkdir -p build; echo '$(VERSION)' | cmp -s - build/version || echo '$(VERSION)' >build/version)

# variant(NAME, directory, compiler, flags, libraries, linker flags)
define variant
$(1)_OBJ := $$(SRC:src/%.c=$(2)/obj/%.o)
$(2)/obj/%.o: src/%.c
	$(Q)mkdir -p $$(@D)
	$(SHOW) "CC  $$@"; $(3) $(4) $$(VERSION_FLAG) $$(SMALL) -MMD -MP -c -o $$@ $$<
$(VERSIONED:src/%.c=$(2)/obj/%.o): VERSION_FLAG = -DNANTE_VERSION='"$$(VERSION)"'
$(VERSIONED:src/%.c=$(2)/obj/%.o): build/version
$(2)/nante: $$($(1)_OBJ)
	$(SHOW) "LD  $$@"; $(3) $(4) $(6) -o $$@ $$^ $(5)
-include $$($(1)_OBJ:.o=.d)
endef

DEPS   := $(CACHE)/musl-$(ARCH)-$(shell sha256sum tools/musl-deps.sh | cut -c1-12)
# Nothing unwinds a stack here: its tables would be a tenth of the program.
STATIC := -ffunction-sections -fdata-sections -fPIE -fno-unwind-tables -fno-asynchronous-unwind-tables
SLINK  := -static-pie -s -Wl,--gc-sections,-z,relro,-z,now,-z,stack-size=1048576,-z,pack-relative-relocs
# What waits for the system or the network, not for the processor: small is what counts there.
$(foreach d,modules proxmox model doppler github ssh agent,build/static/obj/$(d)/%.o): SMALL = -Os
$(foreach d,ansible/act_ ansible/lookups ansible/inventory ansible/parse_ jinja/ip jinja/jmes_ jinja/time,build/static/obj/$(d)%.o): SMALL = -Os
$(foreach f,ansible general ini keys path text tree,build/static/obj/jinja/filters_$(f).o): SMALL = -Os
$(foreach f,argspec check output play role,build/static/obj/ansible/$(f).o): SMALL = -Os
$(patsubst src/%.c,build/static/obj/%.o,$(wildcard src/*.c)): SMALL = -Os
ASAN   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

$(eval $(call variant,DEV,build,$$(CC),$$(FLAGS) -O2 $$(PKGINC),$$(LIBS),))
$(eval $(call variant,ASAN,build/asan,$$(CC),$$(FLAGS) -O1 $$(ASAN) $$(PKGINC),$$(LIBS),))
$(eval $(call variant,STATIC,build/static,$$(MUSL_CC),$$(FLAGS) -O2 $$(STATIC),$$$$(tools/musl-deps.sh --flags $$(DEPS)),$$(SLINK)))

FUZZ   := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
$(eval $(call variant,FUZZ,build/fuzz,clang,$$(FLAGS) -O1 $$(FUZZ) $$(PKGINC),$$(LIBS),))

CROSS   := $(filter-out $(shell uname -m),$(ARCH))
MUSL_CC := $(if $(CROSS),REALGCC=$(CROSS)-linux-gnu-gcc )$(DEPS)/bin/musl-gcc
$(STATIC_OBJ): | $(DEPS)/.done
$(DEPS)/.done:
	$(Q)JOBS=$(JOBS) tools/musl-deps.sh $(DEPS) $(ARCH)

# ---- unit tests: every tests/unit/test_X.c is a program of its own over the whole library

LIBRARY_OF = $(filter-out $(1)/obj/main.o $(1)/obj/run%.o $(1)/obj/cmd%.o $(1)/obj/report.o,$(2))
LIB_OBJ   := $(call LIBRARY_OF,build/asan,$(ASAN_OBJ))
UNIT      := $(patsubst tests/unit/%.c,build/unit/%,$(wildcard tests/unit/test_*.c))
build/unit/libnante.a: $(LIB_OBJ)
	$(Q)mkdir -p $(@D); rm -f $@; ar rcs $@ $^
build/unit/%: tests/unit/%.c build/unit/libnante.a
	$(Q)mkdir -p $(@D)
	$(SHOW) "CC  $@"; $(CC) $(FLAGS) -O1 $(ASAN) $(PKGINC) -Itests/unit -MMD -MP -MF $@.d -o $@ $< build/unit/libnante.a $(LIBS) -lcmocka
-include $(UNIT:=.d)

# The same without sanitizers, for valgrind.
PLAIN     := $(patsubst %,build/plain/test_%,base yaml model proto)
build/plain/libnante.a: $(call LIBRARY_OF,build,$(DEV_OBJ))
	$(Q)mkdir -p $(@D); rm -f $@; ar rcs $@ $^
build/plain/%: tests/unit/%.c build/plain/libnante.a
	$(SHOW) "CC  $@"; $(CC) $(FLAGS) -O1 $(PKGINC) -Itests/unit -o $@ $< build/plain/libnante.a $(LIBS) -lcmocka

# ---- fuzzers: every tests/fuzz/fuzz_X.c is a libFuzzer target over the whole library

build/fuzz/libnante.a: $(call LIBRARY_OF,build/fuzz,$(FUZZ_OBJ))
	$(Q)mkdir -p $(@D); rm -f $@; ar rcs $@ $^
build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libnante.a
	$(SHOW) "CC  $@"; clang $(FLAGS) -Itests/fuzz -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $(PKGINC) -o $@ $< build/fuzz/libnante.a $(LIBS)

.PHONY: all static asan deps unit plain test soak demo lab lab-down lint fuzz bench oracle image format clean
all: $(if $(wildcard src/main.c),build/nante,$(DEV_OBJ))
static: build/static/nante
asan: build/asan/nante
deps: $(DEPS)/.done
unit: $(UNIT)
plain: $(PLAIN)

test:;     $(Q)tests/run $(ARGS)
soak: static; $(Q)tests/soak/run $(ARGS)
demo:;     $(Q)tests/demo $(ARGS)
lab:;      $(Q)tests/lab/lab up $(ARGS)
lab-down:; $(Q)tests/lab/lab down $(ARGS)
lint:;     $(Q)tests/lint/run $(ARGS)
fuzz:;     $(Q)tests/fuzz/run $(ARGS)
bench:;    $(Q)tests/bench/run --full $(ARGS)
# Records what the real ansible-playbook does, the expectations of tests/oracle.
oracle:;   $(Q)tests/oracle/run --record $(ARGS)
image:;    $(Q)tests/image $(ARGS)
format:;   $(Q)clang-format-14 -i $(SRC) $(HDR) $(wildcard tests/unit/*.[ch] tests/fuzz/*.[ch])
clean:;    $(Q)rm -rf build
