# Bare `make` lists the targets. script/demo and script/test work without make.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# Static, and the same bytes for the same commit in any folder.
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -buildid='
FUZZTIME ?= 30s
ROUNDS ?= 40
KILLS ?= 200
CALLS ?= 0
RUNS ?= 10000
COUNT ?= 100000

# Tools are built once for each tools/go.sum and Go version, outside of the
# repository: golangci-lint takes minutes on two cores.
TOOLS_KEY := $(shell { cat tools/go.sum; go version; } 2>/dev/null | sha256sum | cut -c1-16)
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/zviz-run-tools/$(TOOLS_KEY)

.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-user race realwork attack layers kills faults soak lint fmt fuzz oracle oracle-expr bench bench-egress bench-packages cross vuln clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the tests need (Debian or Ubuntu; uses sudo if you are not root)
	@script/setup

build: ## build bin/zviz-runner, static
	$(GOBUILD) -o bin/zviz-runner ./cmd/zviz-runner

demo: build ## run npm ci of examples/hostile-dependency in the sandbox
	@examples/hostile-dependency/run bin/zviz-runner

test: ## all tests but the real builds; as root for those that need the kernel
	go test -timeout 30m ./...

race: ## the same tests under the race detector, but for two that start hundreds of sandboxes one by one
	go test -race -timeout 30m -skip 'TestScript/doctor_attack|TestUserAttack' ./...

realwork: ## real builds inside the sandbox: npm, node-gyp, go, git, python, gcc
	ZVIZ_REALWORK=1 go test -count=1 -timeout 30m -v ./internal/realwork/

attack: build ## every row of the table of attempts, by class; PEERS=1: other sandboxes too; AS_USER=1; V=1, JSON=1; needs root
	@mkdir -p bin && go build -o bin/attack-table ./internal/attack/table
	@bin/attack-table -runner bin/zviz-runner $(if $(PEERS),-peers) $(if $(AS_USER),-user) $(if $(V),-v) $(if $(JSON),-json)

test-user: build ## the table of attempts, and the real builds inside, where the runner is an ordinary user's; needs root
	@$(MAKE) --no-print-directory attack AS_USER=1
	ZVIZ_REALWORK=1 ZVIZ_REALWORK_USER=1 go test -count=1 -timeout 30m -v ./internal/realwork/

layers: ## lift each layer in turn and print what it stops alone, for docs/security.md; needs root, minutes
	ZVIZ_LAYERS=1 go test -count=1 -timeout 50m -v -run '^TestLayersTable$$' ./sandbox

kills: build ## kill the runner at KILLS (200) random moments and look for what is left; needs root
	go run ./bench/kills -runner bin/zviz-runner -rounds $(KILLS)

faults: build ## kill the runner at each system call, and make each fail (CALLS=N: a sample of N); needs root
	go run ./bench/kills -runner bin/zviz-runner -every-call -rounds $(CALLS)

soak: build ## RUNS (10000) sandboxes one after another and 100 at once: does anything grow? needs root
	go run ./bench/soak -runner bin/zviz-runner -runs $(RUNS)

oracle: ## compare our system call filter with libseccomp's (cgo)
	go test -count=1 -tags libseccomp ./sandbox/seccomp/...

oracle-expr: ## compare our expressions, workflow reader and patterns of hashFiles with GitHub's own libraries; COUNT (100000) expressions
	@ZVIZ_ORACLE="$$(script/oracle)" ZVIZ_ORACLE_COUNT=$(COUNT) ZVIZ_TEST_ONLINE=1 go test -count=1 -v -run '^Test(Oracle|OnlineActionsGlob)' ./workflows ./workflows/expr ./workflows/glob

lint: $(TOOLS)/golangci-lint ## golangci-lint, formatting, import wall, licence lines
	$(TOOLS)/golangci-lint run --allow-parallel-runners ./...

fmt: $(TOOLS)/golangci-lint ## format all Go files
	$(TOOLS)/golangci-lint fmt ./...

fuzz: ## each fuzz target for FUZZTIME (30s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "fuzz $$(dirname "$$file") $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")"; \
		done; \
	done

bench: build ## start beside bwrap, runc, crun; memory; file work, system calls; workflows beside act; ROUNDS (40); needs root
	go run ./bench/start -runner bin/zviz-runner -rounds $(ROUNDS)
	@echo
	go run ./bench/start -warm -rounds $(ROUNDS)
	@echo
	go run ./bench/memory -runner bin/zviz-runner
	@echo
	CGO_ENABLED=0 go run ./bench/inside -runner bin/zviz-runner
	@echo
	go run ./bench/workflow -runner bin/zviz-runner -rounds $(ROUNDS)

bench-egress: ## downloads through the job's network beside a bare veth, DNS, 500 connections, 200 networks; needs root
	go run ./bench/egress -rounds $(ROUNDS)

bench-packages: build ## npm ci with the package store, beside npm alone; ROUNDS (40); needs root, npm, mkfs.ext4
	go run ./bench/packages -runner bin/zviz-runner -rounds $(ROUNDS)

cross: ## build for arm64, and check that the packages build elsewhere
	GOOS=linux GOARCH=arm64 $(GOBUILD) -o bin/zviz-runner-arm64 ./cmd/zviz-runner
	GOOS=linux GOARCH=arm64 go vet ./...
	GOOS=darwin GOARCH=arm64 go build ./sandbox/... ./egress/... ./cache/... ./executor/...

vuln: $(TOOLS)/govulncheck ## known vulnerabilities in what we import (needs the network)
	$(TOOLS)/govulncheck ./...

clean: ## remove what was built
	rm -rf bin

$(TOOLS)/golangci-lint:
	go build -modfile=tools/go.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(TOOLS)/govulncheck:
	go build -modfile=tools/go.mod -o $@ golang.org/x/vuln/cmd/govulncheck
