# Builds, tests and installs filescom. `make help` lists what there is to make.
#
# The core (src/, without Lua) is compiled once, the binding once for each Lua ABI, each into a
# folder of its own below build/: an object of one ABI never ends up in a module of another.

LUA_VERSION ?= 5.4
PREFIX      ?= /usr/local
DESTDIR     ?=

# The ABIs that `make test` covers, and what runs each. 5.1's module is LuaJIT's as well.
ABIS         = 5.4 5.3 5.1
INTERPRETERS = lua5.4 lua5.3 lua5.1 luajit
abi_of       = $(if $(filter luajit,$(1)),5.1,$(patsubst lua%,%,$(1)))

CC         ?= cc
CFLAGS     ?= -O2 -g
PKG_CONFIG ?= pkg-config
HARDENING   = -fstack-protector-strong -D_FORTIFY_SOURCE=2
WARNINGS    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
OWN_CFLAGS  = -std=gnu11 -fPIC -fvisibility=hidden $(WARNINGS) $(HARDENING)
ifeq ($(shell uname -s),Darwin)
OWN_LDFLAGS = -bundle -undefined dynamic_lookup
else
OWN_LDFLAGS = -shared -Wl,-z,relro,-z,now,--exclude-libs,ALL
endif

# pkg-config finds libcurl and Lua's headers, unless they are named: a libcurl elsewhere by the two
# folders, as for LuaRocks (or all that it takes to link with it), and another Lua by LUA_CFLAGS.
CURL_INCDIR ?=
CURL_LIBDIR ?=
CURL_CFLAGS = $(if $(CURL_INCDIR),-I$(CURL_INCDIR),$(shell $(PKG_CONFIG) --cflags libcurl))
CURL_LIBS   = $(if $(CURL_LIBDIR),-L$(CURL_LIBDIR) $(CURL_LIBDIR:%=-Wl,-rpath,%) -lcurl,$(shell $(PKG_CONFIG) --libs libcurl))
lua_cflags  = $(or $(LUA_CFLAGS),$(shell $(PKG_CONFIG) --cflags lua$(1)))

CORE_SOURCES    = $(filter-out src/lua_%.c,$(wildcard src/*.c))
BINDING_SOURCES = $(wildcard src/lua_*.c)
HEADERS         = $(wildcard src/*.h)
CORE_OBJECTS    = $(CORE_SOURCES:src/%.c=build/core/%.o)
LUA_MODULES     = $(wildcard lua/*.lua lua/filescom/*.lua lua/filescom/store/*.lua \
                    lua/filescom/command/*.lua lua/filescom/loop/*.lua)
VERSION         = $(shell sed -n 's/.*FILESCOM_VERSION "\(.*\)".*/\1/p' src/filescom.h)

# What Debian calls the things that the goals need. lua-posix and lua-md5 spare LuaRocks a process for each file.
BUILD_PACKAGES = gcc libc6-dev make pkg-config libcurl4-openssl-dev lua-cjson lua5.4 liblua5.4-dev
DEMO_PACKAGES  = $(BUILD_PACKAGES) lua-cqueues lua-luaossl lua-socket
TEST_PACKAGES  = $(DEMO_PACKAGES) lua5.3 liblua5.3-dev lua5.1 liblua5.1-0-dev luajit2 \
                 libluajit2-5.1-dev lua-busted luarocks git clang musl-tools $(DOC_PACKAGES) curl \
                 openssl bsdutils unzip zip nginx-light libnginx-mod-http-lua lua-luv lua-copas \
                 lua-filesystem redis-server lua-redis lua-nginx-redis lua-argparse mandoc \
                 lua-posix lua-md5
DOC_PACKAGES   = lua-ldoc lua-discount lua5.1
FUZZ_PACKAGES  = $(BUILD_PACKAGES) clang libclang-rt-14-dev
LINT_PACKAGES  = $(TEST_PACKAGES) lua-check clang-format cppcheck
SOAK_PACKAGES  = $(TEST_PACKAGES) valgrind
CHECK_PACKAGES = $(LINT_PACKAGES) $(FUZZ_PACKAGES)

.PHONY: all help demo test lint check fuzz soak doc types rockspec install uninstall clean build
.DELETE_ON_ERROR:

all: build/$(LUA_VERSION)/filescom/core.so ## build the module for LUA_VERSION (5.4, 5.3 or 5.1)

help: ## list the goals
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# ---- building ---------------------------------------------------------------------------------

build/core/%.o: src/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) $(OWN_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(CURL_CFLAGS) -c $< -o $@

define abi_rules
build/$(1)/%.o: src/%.c $$(HEADERS)
	@mkdir -p $$(@D)
	$$(CC) $$(OWN_CFLAGS) $$(CPPFLAGS) $$(CFLAGS) $$(call lua_cflags,$(1)) -c $$< -o $$@

build/$(1)/filescom/core.so: $$(CORE_OBJECTS) $$(BINDING_SOURCES:src/%.c=build/$(1)/%.o)
	@mkdir -p $$(@D)
	$$(CC) $$(OWN_LDFLAGS) $$(LDFLAGS) $$^ $$(CURL_LIBS) -lm -o $$@
endef
$(foreach abi,$(ABIS),$(eval $(call abi_rules,$(abi))))

# Of any other, which alone the goals that need it refuse: LUA_VERSION may be in an environment for something else.
build/%/filescom/core.so:
	@echo "LUA_VERSION is 5.4, 5.3 or 5.1, not $*" >&2; exit 1

build: $(ABIS:%=build/%/filescom/core.so) ## build the module for every ABI

# ---- running ----------------------------------------------------------------------------------

demo: ## log in with a second factor against the stand-in, use the session, log out
	@.ci/packages $(DEMO_PACKAGES)
	@$(MAKE) --no-print-directory -s build/5.4/filescom/core.so
	@LUA_PATH='lua/?.lua;./?.lua;;' LUA_CPATH='build/5.4/?.so;;' lua5.4 examples/demo.lua

test: ## run the specs on every Lua, several at once, then those of nginx
	@.ci/packages $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory build
	@.ci/specs lua5.4:5.4:spec/packaging $(foreach lua,$(INTERPRETERS),$(lua):$(call abi_of,$(lua)):spec) \
	    lua5.4:5.4:spec/keeper lua5.4:5.4:spec/command luajit:5.1:spec/command lua5.4:5.4:spec/core \
	    lua5.4:5.4:spec/documents alone lua5.4:5.4:spec/nginx

lint: ## check style and hunt for mistakes, without running anything
	@.ci/packages $(LINT_PACKAGES)
	@.ci/lint

check: ## lint, test, short fuzzing, failing allocations, sanitizers, coverage (PARTS names some of them)
	@.ci/packages $(CHECK_PACKAGES)
	@.ci/check $(PARTS)

fuzz: ## every fuzzer at once, for HOURS (1)
	@.ci/packages $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory -j8 -f spec/fuzz/Makefile long HOURS=$(or $(HOURS),1)

soak: ## rounds of long loops, wrong calls, faults, failing allocations, sanitizers: for HOURS (1), or ROUNDS
	@.ci/packages $(SOAK_PACKAGES)
	@$(MAKE) --no-print-directory build
	@HOURS="$(HOURS)" ROUNDS="$(ROUNDS)" .ci/soak $(PARTS)

# LDoc's Markdown knows no fences, and its pages have names of their own.
build/pages/%.md: %.md
	@mkdir -p $(@D)
	sed -E -e '/^```/,/^```/{s/^```.*//;t;s/^/    /;}' \
	    -e 's/\]\((doc\/|\.\.\/)?([A-Za-z]+\.md)(#[^)]*)?\)/](\2.html)/g' \
	    -e ':again;s/(\]\(#[^)-]*)-/\1_/;tagain;s/\]\(#([a-z])/](#\u\1/g' $< >$@

PAGES = README.md $(wildcard doc/*.md) SECURITY.md CHANGELOG.md

doc: ## build the pages of the reference, to read at build/doc/index.html
	@.ci/packages $(DOC_PACKAGES)
	@rm -rf build/doc build/pages
	@$(MAKE) --no-print-directory -s $(PAGES:%=build/pages/%)
	@ldoc --quiet --fatalwarnings --testing . >build/doc.log || { cat build/doc.log; exit 1; }
	@# LDoc's links to a class miss the name that it gives the class's place.
	@for class in $$(sed -n -E 's/.*name="Class_([A-Za-z]+)".*/\1/p' build/doc/modules/*.html); do \
	    sed -i "s/html#$$class\"/html#Class_$$class\"/g" build/doc/modules/*.html; done

types: ## have lua-language-server check the annotations by the examples and some mistakes
	@.ci/types

# ---- installing -------------------------------------------------------------------------------

SHARE = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
TYPES = $(DESTDIR)$(PREFIX)/share/filescom/types
LIB   = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)
BIN   = $(DESTDIR)$(PREFIX)/bin
MAN   = $(DESTDIR)$(PREFIX)/share/man/man1

# What runs the command, and where it finds what is installed here.
LUA        ?= lua$(LUA_VERSION)
FIND_SHARE  = package.path = "$(PREFIX)/share/lua/$(LUA_VERSION)/?.lua;" .. package.path
FIND_LIB    = package.cpath = "$(PREFIX)/lib/lua/$(LUA_VERSION)/?.so;" .. package.cpath

# Versions share a PREFIX; the command, its manual and the types are of the one that was there first.
OWNS_COMMAND = { [ ! -e $(BIN)/filescom ] || grep -qF '/share/lua/$(LUA_VERSION)/' $(BIN)/filescom; }

install: all ## install for LUA_VERSION below PREFIX (and DESTDIR)
	install -d $(SHARE)/filescom/store $(SHARE)/filescom/loop $(SHARE)/filescom/command \
	    $(LIB)/filescom $(TYPES)/filescom/loop $(BIN) $(MAN)
	install -m 644 lua/filescom.lua $(SHARE)/
	install -m 644 lua/filescom/*.lua $(SHARE)/filescom/
	install -m 644 lua/filescom/store/*.lua $(SHARE)/filescom/store/
	install -m 644 lua/filescom/command/*.lua $(SHARE)/filescom/command/
	install -m 644 lua/filescom/loop/*.lua $(SHARE)/filescom/loop/
	install -m 755 build/$(LUA_VERSION)/filescom/core.so $(LIB)/filescom/
	if $(OWNS_COMMAND); then \
	    sed -e '1s|.*|#!/usr/bin/env $(LUA)|' -e 's|^os[.]exit|$(FIND_SHARE); $(FIND_LIB)\n&|' \
	        bin/filescom >$(BIN)/filescom && chmod 755 $(BIN)/filescom; \
	else echo "$(BIN)/filescom is of another version of Lua: left as it is"; fi
	install -m 644 doc/filescom.1 $(MAN)/
	install -m 644 types/filescom.lua $(TYPES)/
	install -m 644 types/filescom/*.lua $(TYPES)/filescom/
	install -m 644 types/filescom/loop/*.lua $(TYPES)/filescom/loop/

uninstall: ## remove what `make install` installed
	rm -f $(SHARE)/filescom.lua $(LUA_MODULES:lua/%=$(SHARE)/%) $(LIB)/filescom/core.so
	if $(OWNS_COMMAND); then rm -rf $(BIN)/filescom $(MAN)/filescom.1 $(TYPES); fi
	rmdir $(SHARE)/filescom/store $(SHARE)/filescom/loop $(SHARE)/filescom/command $(SHARE)/filescom \
	    $(LIB)/filescom $(DESTDIR)$(PREFIX)/share/filescom 2>/dev/null || true

# A released version is built from its tag, and is otherwise what the checkout is.
rockspec: ## write the rockspec of this version, from that of the checkout
	sed -e 's/^version = .*/version = "$(VERSION)-1"/' -e 's/^  url = .*/&\n  tag = "v$(VERSION)",/' \
	    -e '/^-- The checkout/,/^$$/d' rockspec/filescom-scm-1.rockspec >rockspec/filescom-$(VERSION)-1.rockspec

clean: ## remove what was built
	rm -rf build
