# Supervisor: run, test, check, bench, fmt. Everything lands in target/ and run/.

CARGO     ?= cargo
VENV      := target/upstream
TOOLS     := target/tools
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)

# The upstream that the comparison and the benchmark run beside ours.
UPSTREAM  := supervisor==4.3.0
SUPERVISOR_UPSTREAM ?= $(CURDIR)/$(VENV)
export SUPERVISOR_UPSTREAM
# Tools that people use with Supervisor, which the tests run unchanged.
SUPERVISOR_CLIENTS ?= $(CURDIR)/target/clients
export SUPERVISOR_CLIENTS
# What looks for barriers on the web page.
SUPERVISOR_AXE ?= $(CURDIR)/target/axe
export SUPERVISOR_AXE

# Programs that the tests run, each as PROGRAM:DEBIAN-PACKAGE.
NEEDED := python3:python3 nginx:nginx-light redis-server:redis-server redis-cli:redis-tools \
          strace:strace dbus-daemon:dbus-daemon curl:curl openssl:openssl systemd-analyze:systemd \
          mmdebstrap:mmdebstrap systemd-nspawn:systemd-container \
          groff:groff-base zsh:zsh fish:fish pkcheck:polkitd ps:procps \
          chromium:chromium chromedriver:chromium-driver node:nodejs npm:npm

# What the package is built and checked with.
DEB_NEEDED := dpkg-buildpackage:dpkg-dev dh:debhelper fakeroot:fakeroot lintian:lintian

.PHONY: help run test check bench upgrades kills chaos fuzz sanitize fmt generated deb lintian deps deb-deps upstream clients axe nextest deny clean

help: ## What there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## Build, and start supervisord on examples/demo.conf in the foreground
	$(CARGO) build --bins
	@mkdir -p run
	@echo
	@echo "  In another terminal, in this directory:"
	@echo
	@echo "    target/debug/supervisorctl -c examples/demo.conf status"
	@echo "    target/debug/supervisorctl -c examples/demo.conf tail -f worker"
	@echo "    target/debug/supervisorctl -c examples/demo.conf          # the shell"
	@echo "    curl http://127.0.0.1:8088/                               # the web program"
	@echo "    curl http://127.0.0.1:9001/                               # Supervisor itself"
	@echo
	@echo "  Ctrl-C ends it. Logs are in run/."
	@echo
	target/debug/supervisord -n -c examples/demo.conf

test: deps upstream clients axe nextest deb ## Install what tests need, build the package, and run all of them
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    $(CARGO) test --doc --quiet && $(CARGO) nextest run --lib --bins --tests; \
	else \
	    $(CARGO) test --lib --bins --tests --doc; \
	fi

check: deny ## Format, lints, licences and sources of crates, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps
	@echo "cargo deny: bans, licenses and sources (advisories need the network: cargo deny check advisories)"
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources

bench: upstream ## Measure ours beside Python Supervisor (release build)
	$(CARGO) bench --bench compare

UPGRADES ?= 1000

upgrades: ## Upgrade a daemon in place UPGRADES times (1000) while its programs write
	SUPERVISOR_UPGRADES=$(UPGRADES) $(CARGO) test --test daemon -- --exact \
	    upgrade::programs_run_on_and_not_a_byte_of_their_output_is_lost

KILLS ?= 100

kills: deps deb ## Kill the daemon KILLS times (100) under a booted systemd while its programs write
	SUPERVISOR_KILLS=$(KILLS) $(CARGO) test --test booted -- \
	    a_hundred_programs_that_write_outlive_each_daemon

CHAOS_SECONDS ?= 1800

chaos: ## Random programs, commands and upgrades for CHAOS_SECONDS (1800); SUPERVISOR_SEED repeats a run
	SUPERVISOR_CHAOS=$(CHAOS_SECONDS) $(CARGO) test --test daemon -- --exact --nocapture \
	    chaos::nothing_is_lost_and_nothing_runs_twice_whatever_happens

# Each target for so many seconds. What is found new is kept in target/; the inputs in fuzz/corpus are
# for what was once a finding, and for a start, and the tests read them too.
FUZZ_SECONDS ?= 600

fuzz: ## Feed the readers of what comes from outside random input, FUZZ_SECONDS each (600)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || \
	    $(CARGO) install --quiet --locked --root $(TOOLS) cargo-fuzz
	@for target in xmlrpc http_target capture listener configuration expansions handover; do \
	    mkdir -p target/fuzz/corpus/$$target; \
	    RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --target-dir target/fuzz $$target \
	        target/fuzz/corpus/$$target fuzz/corpus/$$target -- \
	        -dict=fuzz/$$target.dict -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	        -max_len=65536 -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

# Leaks are not looked for: what a thread still holds when the tests end is none.
sanitize: ## Run the tests of sys, runtime and systemd under AddressSanitizer
	ASAN_OPTIONS=detect_leaks=0 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address \
	    $(CARGO) test --lib --target "$$(rustc -vV | sed -n 's/^host: //p')" \
	    --target-dir target/sanitize -- sys:: runtime:: systemd::

fmt: ## Format the source
	$(CARGO) fmt

generated: ## Make manual pages, completions and debian/copyright anew from the source
	$(CARGO) run --quiet --example generate

DEB := supervisor_$(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)_$(shell dpkg --print-architecture 2>/dev/null)

deb: deb-deps ## Build the Debian package: target/deb/supervisor.deb
	@mkdir -p target/deb
	@rm -f target/deb/supervisor*
	DEB_DIR=target/deb dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary \
	    --post-clean \
	    --buildinfo-option=-utarget/deb --buildinfo-file=target/deb/$(DEB).buildinfo \
	    --changes-option=-utarget/deb --changes-file=target/deb/$(DEB).changes
	@cp target/deb/$(DEB).deb target/deb/supervisor.deb
	@echo "built target/deb/$(DEB).deb, also as target/deb/supervisor.deb"

lintian: deb ## Build the Debian package and check it
	lintian --fail-on error,warning target/deb/$(DEB).changes

# Installs only what is missing, and only as root; otherwise says what to install.
deps: WANTED = $(NEEDED)
deb-deps: WANTED = $(DEB_NEEDED)
deps deb-deps:
	@missing=""; \
	for pair in $(WANTED); do \
	    PATH="$$PATH:/usr/sbin:/sbin" command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	[ $@ = deb-deps ] || /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || \
	    missing="$$missing python3-venv"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" != 0 ]; then \
	    echo "Please install:$$missing" >&2; exit 1; \
	fi; \
	echo "installing$$missing"; \
	DEBIAN_FRONTEND=noninteractive apt-get -qq update && \
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $$missing

# Python Supervisor in a venv of its own; setuptools because it still asks for pkg_resources.
upstream: deps
	@[ -x "$(SUPERVISOR_UPSTREAM)/bin/supervisord" ] || { \
	    echo "installing $(UPSTREAM) into $(VENV)"; \
	    /usr/bin/python3 -m venv $(VENV) && \
	    $(VENV)/bin/pip install --quiet --disable-pip-version-check $(UPSTREAM) 'setuptools<81'; }

# Ansible, testinfra and others in another venv: they have versions of their own to agree on.
clients: deps
	@tests/clients/install.sh "$(SUPERVISOR_CLIENTS)"

# One file of JavaScript, from npm.
axe: deps
	@tests/browser/install.sh "$(SUPERVISOR_AXE)"

# A tool that cannot be built here is not worth failing for: cargo test does as well.
nextest:
	@$(CARGO) nextest --version >/dev/null 2>&1 || \
	    $(CARGO) install --quiet --locked --root $(TOOLS) cargo-nextest || \
	    echo "no cargo-nextest: using cargo test"

deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
	    echo "installing cargo-deny: this takes some minutes, once"; \
	    $(CARGO) install --quiet --locked --root $(TOOLS) cargo-deny; }

clean:
	$(CARGO) clean
	rm -rf run
