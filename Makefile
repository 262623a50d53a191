# Gatehouse: everything a person or CI does with the tree. `make help` lists it.
# `make demo` and `make check` need Go alone.

GO      ?= go
SPEC    ?= $(abspath ../shared/spec)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TAGS    := nethttpomithttp2
LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)'

export SPEC

.PHONY: help demo check check-peers build cross ipk size footprint fleet matrix bench fuzz vuln clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: build ## the main job, told live: agent against the embedded lab
	@bin/gatehouse-lab demo $(DEMO)

build: ## bin/gatehouse and bin/gatehouse-lab for this machine
	@mkdir -p bin
	@$(BUILD) -o bin/gatehouse ./agent
	@$(BUILD) -o bin/gatehouse-lab ./lab

check: ## format, vet, staticcheck, all tests: with -race, and as 32 bits
	@scripts/check

check-peers: ## tests that need root or Debian packages (installs them when root)
	@scripts/check-peers

cross: ## static binaries for the routers, in dist/
	@scripts/cross

ipk: ## packages for OpenWrt's opkg, in dist/
	@scripts/ipk

size: ## what each binary weighs, raw and compressed; what each dependency costs
	@scripts/size

footprint: ## memory, wake-ups and flash writes of an idle agent
	@scripts/footprint

fleet: ## 10,000 agents in one process after a power cut: what each weighs, how their retries spread
	GATEHOUSE_FLEET=$(or $(FLEET),10000) $(GO) test -tags '$(TAGS)' -run '^TestFleet$$' -v -timeout 30m ./agent/app

matrix: ## the agent killed, cut off or with a broken disk at every single step (a check takes some)
	GATEHOUSE_MATRIX=all $(GO) test -tags '$(TAGS)' -run '^TestCrashMatrix$$' -v -timeout 30m ./agent/app

bench: ## Go benchmarks: BENCH=regexp, PKG=./...
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem $(or $(PKG),./...)

fuzz: ## one fuzz target for a while: T=FuzzEnvelope FUZZTIME=1m; without T every one of them
	@scripts/fuzz '$(T)' '$(or $(FUZZTIME),1m)'

vuln: ## known vulnerabilities of what we link (needs the public database)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...

clean: ## forget what was built
	rm -rf bin dist
