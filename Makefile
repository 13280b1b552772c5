# Makefile - builds the extension against the server PG_CONFIG names.
#
#   make && make install                            the newest pg_config in PATH
#   make PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
#   make WERROR=1                                   warnings are errors, as in CI
#   make core-test | core-bench | core-fuzz         src/core alone; needs no PostgreSQL
#   make dist                                       a release for PGXN
#
# Needs a C++20 compiler and the headers of Boost (Debian: libboost-dev), of which nothing is linked.
#
# Objects of different servers never mix: build.stamp names the server and the flags they were compiled
# for, and when it changes all of them are compiled again. For several at once build in a directory each:
#   mkdir -p build/pg17 && make -C build/pg17 -f ../../Makefile VPATH=../.. PG_CONFIG=...

EXTENSION = omen_alex
MODULE_big = omen_alex
PGFILEDESC = "omen_alex - learned index and versioned table access methods"

# The source directory, before PGXS has set srcdir.
top = $(if $(VPATH),$(VPATH),.)

DATA = $(patsubst $(top)/%,%,$(wildcard $(top)/sql/omen_alex--*.sql))

core_sources = $(patsubst $(top)/%,%,$(wildcard $(top)/src/core/*.cc))
c_sources = $(patsubst $(top)/%,%,$(wildcard $(top)/src/alex/*.c $(top)/src/omen/*.c $(top)/src/common/*.c))
core_objects = $(core_sources:.cc=.o)
c_objects = $(c_sources:.c=.o)
OBJS = $(core_objects) $(c_objects)

# Warnings: everything -Wall -Wextra knows. In C without two, both because of PostgreSQL's headers: callbacks must take
# parameters they do not need, and structs that are initialised in place get new fields in new versions.
warnings = -Wall -Wextra $(if $(WERROR),-Werror)
c_warnings = $(warnings) -Wno-unused-parameter -Wno-missing-field-initializers

# The core: no exceptions and no RTTI cross its border or exist behind it, and its symbols stay inside
# the module. -fno-threadsafe-statics: a backend is one thread, and the guards would need libstdc++.
# It is optimised even when the server is a debug build: its speed is what the index is for.
# No -march: the result must run on any machine of its architecture.
core_flags = -std=c++20 -O2 -g -fno-exceptions -fno-rtti -fvisibility=hidden -fno-threadsafe-statics \
	$(warnings) -Wshadow

# ---- the extension ----

core_goals = core-test core-bench core-fuzz core-clean dist

# The core's own targets, and dist, work without any PostgreSQL, so the rest is read only for the others.
ifneq ($(filter-out $(core_goals),$(or $(MAKECMDGOALS),all)),)

PG_CONFIG ?= pg_config
pg_version := $(shell $(PG_CONFIG) --version 2>/dev/null)
ifeq ($(pg_version),)
$(error cannot run "$(PG_CONFIG)": install the server development files (Debian: postgresql-server-dev-NN) or set PG_CONFIG=/path/to/pg_config)
endif
pg_major := $(firstword $(subst ., ,$(shell echo '$(pg_version)' | sed -e 's/^[^0-9]*//' -e 's/[^0-9.].*//')))
ifeq ($(filter 15 16 17 18 19,$(pg_major)),)
$(error omen_alex needs PostgreSQL 15, 16, 17, 18 or 19, but "$(PG_CONFIG)" belongs to $(pg_version))
endif

# Make looks for objects along VPATH too, so an in-tree build would leak into this one.
ifneq ($(VPATH),)
ifneq ($(wildcard $(addprefix $(top)/,$(OBJS))),)
$(error $(top) holds objects of a build of its own; run "make clean" there first)
endif
endif

# No bitcode: it serves to inline functions into compiled expressions, and nothing here is ever
# called from an expression. Servers with LLVM would ask for it, and PGXS has no rule to make it from .cc.
override with_llvm = no

PG_CPPFLAGS = -I$(top)/src/core -I$(top)/src/alex -I$(top)/src/omen -I$(top)/src/common

# Linked only if something needs it (--as-needed), which so far nothing does; on the list so
# that a build with other compiler settings cannot end in a module that does not load.
SHLIB_LINK = $(if $(filter darwin,$(PORTNAME)),-lc++,-Wl,--push-state,--as-needed -lstdc++ -Wl,--pop-state)

# Tests. The sources are in regress/, what they should print is in expected/, for SQL and isolation
# tests alike; both programs look for it in the output directory ("."), so the names must differ:
# SQL tests use underscores, isolation specs hyphens.
REGRESS = $(sort $(patsubst $(top)/regress/sql/%.sql,%,$(wildcard $(top)/regress/sql/*.sql)))
REGRESS_OPTS = --inputdir=$(top)/regress --load-extension=omen_alex
ISOLATION = $(sort $(patsubst $(top)/regress/specs/%.spec,%,$(wildcard $(top)/regress/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(top)/regress --outputdir=. --load-extension=omen_alex
ifneq ($(wildcard $(top)/regress/t/*.pl),)
TAP_TESTS = 1
PROVE_TESTS = regress/t/*.pl
endif
ifneq ($(VPATH),)
REGRESS_PREP = expected
endif

EXTRA_CLEAN = build.stamp $(OBJS:.o=.d) results regression.diffs regression.out

# Debian splits these from the server: pg_config can be there without the headers.
ifeq ($(wildcard $(shell $(PG_CONFIG) --includedir-server)/postgres.h),)
$(error $(pg_version) is installed without its server headers (Debian: apt install postgresql-server-dev-$(pg_major)))
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Nothing is linked that is not found without a path of its own.
rpath =

# The server's headers as system headers: their warnings are not ours. (The compiler then
# drops the -I of the same directory.)
system_headers = -isystem $(includedir_server)

compile_c = $(CC) $(CFLAGS) $(c_warnings) $(system_headers) $(CPPFLAGS)
compile_core = $(CXX) $(filter-out -O%,$(CXXFLAGS)) $(core_flags) $(CFLAGS_SL) -I$(top)/src/core

$(c_objects): %.o: %.c build.stamp
	@mkdir -p $(@D)
	$(compile_c) -MMD -MP -c -o $@ $<

$(core_objects): %.o: %.cc build.stamp
	@mkdir -p $(@D)
	$(compile_core) -MMD -MP -c -o $@ $<

-include $(wildcard $(OBJS:.o=.d))

# Written only when its content changes, so that it is no reason to compile otherwise.
build.stamp: FORCE
	@echo '$(pg_version) $(includedir_server) $(compile_c) $(compile_core)' > $@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

expected:
	ln -s $(top)/expected $@

.PHONY: FORCE
FORCE:

endif

# ---- the core as a plain library: unit tests, benchmarks, fuzzing ----
#
# Every src/core/test/NAME_test.cc, NAME_bench.cc, NAME_fuzz.cc becomes one program; other .cc files
# there are shared by all of them. GoogleTest and Google Benchmark as Debian packages them. The tests run
# under AddressSanitizer and UBSan and keep libstdc++'s assertions on; the benchmarks are built as the module is.

CXX ?= g++
CLANGXX ?= clang++
core_build = build/core
core_test_dir = $(top)/src/core/test
core_headers = $(wildcard $(top)/src/core/*.h $(top)/src/core/*.hh $(core_test_dir)/*.h)
core_lib = $(wildcard $(top)/src/core/*.cc)
core_shared = $(filter-out %_test.cc %_bench.cc %_fuzz.cc,$(wildcard $(core_test_dir)/*.cc))

core_tests = $(patsubst $(core_test_dir)/%.cc,$(core_build)/%,$(wildcard $(core_test_dir)/*_test.cc))
core_benches = $(patsubst $(core_test_dir)/%.cc,$(core_build)/%,$(wildcard $(core_test_dir)/*_bench.cc))
core_fuzzers = $(patsubst $(core_test_dir)/%.cc,$(core_build)/%,$(wildcard $(core_test_dir)/*_fuzz.cc))

sanitize = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Test programs may use the whole of C++, the core they link may not.
test_flags = -std=c++20 -g $(warnings) -I$(top)/src/core -I$(core_test_dir)

# $(call core_objs,KIND): the core's objects of one kind of build; shared test code likewise.
core_objs = $(patsubst $(top)/src/core/%.cc,$(core_build)/$(1)/%.o,$(core_lib) $(core_shared))

$(core_build)/asan/test/%.o: $(core_test_dir)/%.cc $(core_headers)
	@mkdir -p $(@D)
	$(CXX) $(test_flags) -O1 $(sanitize) -D_GLIBCXX_ASSERTIONS -c -o $@ $<
$(core_build)/asan/%.o: $(top)/src/core/%.cc $(core_headers)
	@mkdir -p $(@D)
	$(CXX) $(core_flags) -O1 $(sanitize) -D_GLIBCXX_ASSERTIONS -I$(top)/src/core -c -o $@ $<
$(core_tests): $(core_build)/%: $(core_build)/asan/test/%.o $(call core_objs,asan)
	$(CXX) $(sanitize) -o $@ $^ -lgtest -lgtest_main -lpthread

$(core_build)/plain/test/%.o: $(core_test_dir)/%.cc $(core_headers)
	@mkdir -p $(@D)
	$(CXX) $(test_flags) -O2 -c -o $@ $<
$(core_build)/plain/%.o: $(top)/src/core/%.cc $(core_headers)
	@mkdir -p $(@D)
	$(CXX) $(core_flags) -I$(top)/src/core -c -o $@ $<
$(core_benches): $(core_build)/%: $(core_build)/plain/test/%.o $(call core_objs,plain)
	$(CXX) -o $@ $^ -lbenchmark -lbenchmark_main -lpthread

$(core_build)/fuzz/test/%.o: $(core_test_dir)/%.cc $(core_headers)
	@mkdir -p $(@D)
	$(CLANGXX) $(test_flags) -O1 $(sanitize) -fsanitize=fuzzer-no-link -c -o $@ $<
$(core_build)/fuzz/%.o: $(top)/src/core/%.cc $(core_headers)
	@mkdir -p $(@D)
	$(CLANGXX) $(core_flags) -O1 $(sanitize) -fsanitize=fuzzer-no-link -I$(top)/src/core -c -o $@ $<
$(core_fuzzers): $(core_build)/%: $(core_build)/fuzz/test/%.o $(call core_objs,fuzz)
	$(CLANGXX) $(sanitize) -fsanitize=fuzzer -o $@ $^

# Objects are kept between runs, not treated as intermediate files.
.SECONDARY:

.PHONY: $(core_goals)

core-test: $(core_tests)
	@test -n '$(core_tests)' || { echo 'no *_test.cc in $(core_test_dir)' >&2; exit 1; }
	@failed=; for t in $(core_tests); do echo "== $$t"; $$t $(GTEST_ARGS) || failed="$$failed $$t"; done; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

core-bench: $(core_benches)
	@test -n '$(core_benches)' || { echo 'no *_bench.cc in $(core_test_dir)' >&2; exit 1; }
	@for b in $(core_benches); do echo "== $$b"; $$b $(BENCH_ARGS) || exit 1; done

# FUZZ_SECONDS per target. The corpus found is kept and is the start of the next run.
FUZZ_SECONDS ?= 60
core-fuzz: $(core_fuzzers)
	@test -n '$(core_fuzzers)' || { echo 'no *_fuzz.cc in $(core_test_dir)' >&2; exit 1; }
	@for f in $(core_fuzzers); do echo "== $$f, $(FUZZ_SECONDS) s"; mkdir -p $$f.corpus; \
	$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -artifact_prefix=$$f. $(FUZZ_ARGS) $$f.corpus || exit 1; done

core-clean:
	rm -rf $(core_build)

# ---- a release ----

# What PGXN takes: the committed tree as build/NAME-VERSION.zip.
dist_name = omen_alex-$(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(top)/omen_alex.control)
dist:
	@mkdir -p build
	git archive --format zip --prefix=$(dist_name)/ -o build/$(dist_name).zip HEAD
