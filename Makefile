# make test   set up what the tests need, and run all of them
# make unit   the tests that need neither root nor systemd, in less than a minute
# make systemd  those that boot a systemd
# make load   those of whole daemons: under load, of other protocols, of packages
# make check  format, vet, linters, tidy, structure, bill of materials, other systems
# make demo   replace a server twenty times under load, and count the broken requests
# make demo-systemd   the same on a booted systemd, beside other libraries; as root, after make setup
# make scale       how a daemon with thousands of idle connections is replaced, and what that costs; as root, after make setup
# make costs       what requests and reloads take, beside net/http alone and tableflip; as root, after make setup
# make tls-proof   the longest test of TLS connections that move: 50 clients of each kind, 50 reloads and restarts; as root
# make chaos  everything that breaks services, at random and for long, on each systemd; as root
# make soak   a thousand reloads, a thousand restarts and 300 kills, on each systemd; as root
# make sbom   the library's bill of materials, in dist
# make vulncheck   that no known vulnerability is in what daemons import
# make packages VERSION=1.2.0   hello and heirloom-units as .deb and .rpm, in dist

GO ?= go

# git answers nobody but the owner of a checkout, and go would fail for want of an answer. gin's MessagePack, in test/real, is
# generated code that takes half a minute to compile.
export GOFLAGS := $(GOFLAGS) -buildvcs=false -tags=nomsgpack

.PHONY: all test unit systemd load structure test-oldest test-newest setup modules check format vet lint tidy sbom vulncheck other-systems demo demo-systemd table \
	scale costs tls-proof chaos soak packages

all: check test

# Three packages at a time (tools/testsummary), and four tests of each, of those that say they may: they wait half of the time. What
# waits for something gets more time on a machine that is busy (internal/rig/patience). Nothing is taken from the cache of results:
# go does not see the systemds that the results depend on.
test: setup modules
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-oldest test-newest
	$(GO) run ./tools/testsummary -p 1 -parallel 4 -count=1 -timeout 60m ./...

# Parts of the same: tools/testsummary tells the tests apart by what they use, so
# that each is in one part.
unit:
	$(GO) run ./tools/testsummary -kind unit -timeout 5m

systemd: setup
	$(GO) run ./tools/testsummary -kind systemd -parallel 6 -count=1 -timeout 30m

load: setup
	$(GO) run ./tools/testsummary -kind load -parallel 6 -count=1 -timeout 30m

# What relies on the inside of net/http and crypto/tls, with the oldest Go that go.mod allows,
# and with the newest: the other tests are made with the one that is installed.
OLDEST_GO = go$(shell sed -n 's/^go //p' go.mod)
NEWEST_GO = go1.27.0

test-oldest:
	$(call with_go,$(OLDEST_GO))

test-newest:
	$(call with_go,$(NEWEST_GO))

# Without cgo there is less to compile.
with_go = @export GOTOOLCHAIN=$(1) CGO_ENABLED=0; if $(call again,$(GO) version); then \
		$(GO) test -vet=off -count=1 -timeout 10m -run '$(INSIDE)' ./lifecycle ./internal/conntrack && \
		$(GO) test -vet=off -count=1 -timeout 10m -skip '$(CLIENTS)' ./internal/goaway ./internal/httpserver ./internal/streams ./internal/tlsmove ./internal/framework; \
	else echo "$(1) cannot be had: its tests are left out"; [ "$$CI" != true ]; fi

# A command that downloads, up to three times: what serves it may be busy.
again = { $(1) || { sleep 10; $(1); } || { sleep 30; $(1); }; }

# The modules that everything here is compiled of.
modules:
	@$(each_module) do ( cd "$$(dirname "$$mod")" && $(call again,$(GO) list -deps -test ./... >/dev/null) ) </dev/null || exit 1; done

INSIDE = ^(TestRehearsal|TestRehearsalFails|TestRest|TestValueConn|TestUntoldHTTP2|TestOtherProtocolWorks|TestSeenAsItIs|TestSeenByHTTP2|TestRegisterOnShutdown|TestTLS|TestHijacked|TestTimeoutsOfMovedConnections|TestMoveTLS|TestMoveTLSHalf|TestMoveTLSHTTP2|TestHTTPBy|TestRelease)$$

# Clients of HTTP/2 that nobody here wrote, and that take long: they run with the Go that is installed alone.
CLIENTS = ^(TestH2load|TestCurl|TestNghttp)$$

# Root on a Debian machine gets all that the tests need: a C compiler for the race detector, Debian packages, and the folders
# with other systemds. Anybody else, and who cannot reach a mirror, gets the list of what was left out, at the end.
setup:
	@if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
		echo "not root on Debian: tests that boot systemd are left out"; \
	elif ! { $(call again,$(INSTALL_CC)) && $(call again,$(GO) run ./internal/rig/sdtest/cmd/sdroots); }; then \
		[ "$$CI" != true ] && echo "the set-up failed: see the end for what was left out"; \
	fi

INSTALL_CC = { command -v cc >/dev/null || command -v gcc >/dev/null || \
	{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev; }; }

check: format lint tidy structure sbom vulncheck other-systems

# As the tests build programs, so that it is done once.
vet lint structure sbom vulncheck other-systems: export CGO_ENABLED = 0
vet lint tidy sbom vulncheck other-systems: modules

# With the checks of staticcheck and go vet.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.14.0

# In every module: those that are nested as well.
each_module = find . -name go.mod -not -path '*/testdata/*' -not -path '*/.*/*' | sort | while read -r mod;
in_each_module = @$(each_module) do \
	echo "$$mod: $(1)"; ( cd "$$(dirname "$$mod")" && $(1) ) </dev/null || exit 1; done

format:
	@files=$$(find . -name '*.go' -not -path './.*/*' -exec gofmt -l {} +) && [ -z "$$files" ] || { echo "gofmt: $$files"; exit 1; }

vet:
	$(call in_each_module,$(GO) vet ./...)

# What golangci-lint has found out of a package it forgets where go.mod is another one: it would look at the standard library once
# for each module. So each goes together with the module at the top, in a workspace whose go.mod is that one's.
lint:
	@$(call again,$(GO) run $(GOLANGCI_LINT) version)
	GOWORK=off $(GO) run $(GOLANGCI_LINT) run ./...
	@mkdir -p dist
	@$(each_module) do dir=$$(dirname "$$mod"); [ "$$dir" != . ] || continue; echo "$$dir: golangci-lint"; \
		printf 'go %s\nuse (\n\t..\n\t../%s\n)\n' "$$($(GO) env GOVERSION | sed s/^go//)" "$$dir" >dist/go.work; \
		GOWORK=$(CURDIR)/dist/go.work $(GO) run $(GOLANGCI_LINT) run "$$dir/..." </dev/null || exit 1; done

# How large and how entangled a package may be.
structure:
	$(GO) run ./tools/structure

tidy:
	$(call in_each_module,$(GO) mod tidy -diff)

# The tool of the CycloneDX project. It takes the modules that packages import on any system, and not those of tests.
CYCLONEDX = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# Without a time, a serial number and the system that it was made on, so that two bills can be compared.
# The standard library is that of the Go which compiles the daemon. The licences that the tool finds are not all right.
sbom:
	@$(call again,$(GO) run $(CYCLONEDX) version >/dev/null)
	@mkdir -p dist
	$(GO) run $(CYCLONEDX) mod -type library -json -noserial -notimestamp -short-purls -output dist/heirloom.cdx.json
	$(GO) run ./tools/sbom dist/heirloom.cdx.json

# What is known to be wrong with the modules that a daemon gets from here. The database is that of a day, as a module, so that the
# result is the same tomorrow. What it says of the standard library is left out: that is of the Go which compiles the daemon.
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
VULNDB = golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018

vulncheck:
	@$(call again,$(GO) run $(GOVULNCHECK) -version >/dev/null) && $(call again,$(GO) mod download -json $(VULNDB) >/dev/null)
	@rm -rf dist/vulndb && mkdir -p dist/vulndb
	@for module in . prometheus; do $(GO) list -C $$module -m -f '"name": "{{.Path}}"' all; done | \
		grep -lF -f - "$$($(GO) mod download -json $(VULNDB) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')"/data/osv/*.json | \
		xargs grep -LF '"name": "stdlib"' | xargs -I FILE cp FILE dist/vulndb
	@[ -n "$$(ls dist/vulndb)" ] || { echo "$(VULNDB) has nothing on any of the modules"; exit 1; }
	@for module in . prometheus; do echo "$$module: govulncheck"; \
		$(GO) run -C $$module $(GOVULNCHECK) -db "file://$(CURDIR)/dist/vulndb" ./... || exit 1; done

# Elsewhere than on Linux the packages build, and their tests too. An example tells Linux from the others, and no more. The nested
# modules that only test, or compare, are for Linux.
other-systems:
	@$(GO) build -o dist/typecheck ./tools/typecheck
	@dist/typecheck linux/arm64 linux/386 darwin/arm64 windows/amd64 freebsd/amd64
	@for module in prometheus $$(dirname examples/*/go.mod examples/*/*/go.mod); do \
		echo "$$module"; ( cd $$module && $(CURDIR)/dist/typecheck darwin/arm64 ) || exit 1; done

demo:
	@$(GO) run ./tools/demo

# make demo-systemd ARGS="-rounds 3 -systemd 252,262"
demo-systemd:
	@$(GO) build -C tools/compare -o $(CURDIR)/dist/compare .
	@dist/compare $(ARGS)

# make table ARGS="-rounds 3 -markdown table.md -json table.json -svg table.svg"
table:
	@$(GO) build -C tools/compare -o $(CURDIR)/dist/compare .
	@dist/compare -rows all $(ARGS)

# make scale ARGS="-rounds 5 -connections 5000,10000 -json scale.json -plot scale.svg"
scale:
	@$(GO) build -C tools/compare -o $(CURDIR)/dist/compare .
	@dist/compare scale $(ARGS)

# make costs ARGS="-pairs 200"
costs:
	@$(GO) build -C tools/compare -o $(CURDIR)/dist/compare .
	@dist/compare costs $(ARGS)

# What make test does in short. make tls-proof ARGS="-run TestTLSClients/262 -args -tls.rounds 5"
tls-proof: setup
	HEIRLOOM_TEST_ALL=true $(GO) test -C test/protocols -count=1 -timeout 3h -v $(if $(ARGS),$(ARGS),-run '^(TestTLSClients|TestTLSIdle)$$' \
		-args -tls.clients 50 -tls.rounds 50 -tls.idle 5000)

# What make test does in short. make chaos ARGS="-seed 7 -steps 1000 -systemd 252,262"; without a seed it takes the time.
chaos: setup
	$(GO) test ./test/chaos -count=1 -timeout 24h -v -run '^TestChaos$$' -args $(or $(ARGS),-seed $(shell date +%s) -steps 1000 -systemd 252,257,262)

# make soak ARGS="-soak 0.1 -systemd 262" does a tenth of it.
soak: setup
	$(GO) test ./test/chaos -count=1 -timeout 24h -v -run '^TestSoak$$' -args $(or $(ARGS),-soak 1 -systemd 252,257,262)

VERSION ?= 0.0.0~dev

# nfpm's version is that of the tests of packages.
packages:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o dist/hello ./examples/hello
	$(GO) build -C test/packages -o $(CURDIR)/dist/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	$(GO) run ./units/cmd/heirloom-units package -spec examples/hello/hello.heirloom -version "$(VERSION)" -arch "$$($(GO) env GOARCH)" \
		-binary dist/hello -out dist/package -format deb,rpm -nfpm $(CURDIR)/dist/nfpm
	units/cmd/heirloom-units/package/build.sh "$(VERSION)" dist/units $(CURDIR)/dist/nfpm
