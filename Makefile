# `make` lists the targets.

GO        ?= go
TOOLS     := dist/tools
GOTEST    := $(GO) run ./integration/gotest
HADOOPCTL := $(GO) run ./integration/hadoop/hadoopctl
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help build check test race bench bench-flink bench-compare demo demo-docker nightly fuzz-short generate hadoop-up hadoop-down clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build dist/flott
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o dist/flott ./bin/flott

check: check-format check-vet check-staticcheck check-generated check-mod check-structure ## formatting, vet, staticcheck, generated code, go.mod, structure (layering test)

# The parts of check; `make -k check` goes on after one that fails.
.PHONY: check-format check-vet check-staticcheck check-generated check-mod check-structure

check-format:
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; }

check-vet:
	$(GO) vet ./...
	$(GO) vet -tags nightly,invariants ./...
	$(GO) vet -C bin/devtools ./...

check-staticcheck: $(TOOLS)/staticcheck
	$(TOOLS)/staticcheck ./...

check-generated:
	$(GO) test -C bin/devtools ./...
	$(GO) run -C bin/devtools ./protogen -check
	@mkdir -p dist && $(GO) run ./conf/gen dist/options.md && cmp docs/options.md dist/options.md || { echo "docs/options.md is stale: make generate"; exit 1; }

check-mod:
	$(GO) mod tidy -diff

check-structure:
	$(GO) test -count=1 ./integration/layering

test: ## all tests, also on real Hadoop; ends with "N passed, 0 failed, 0 skipped"
	@$(GOTEST) test

race: ## the tests without Hadoop three times, shuffled, race detector and invariants on
	@$(GOTEST) race

bench: ## measure; prints a table with command, runs and median; BENCH="-run regexp -runs n -micro"
	@$(GO) run ./integration/bench $(BENCH)

bench-flink: ## the same for flott and Apache Flink in turn on one YARN, with ratios and bars; takes about 35 minutes; BENCH as above
	@$(GO) run ./integration/bench -flink $(BENCH)

bench-compare: ## what moved between two runs of make bench: OLD=<file> NEW=<file>
	@$(GO) run ./integration/bench -compare "$(OLD)" "$(NEW)"

demo: ## WordCount over Go's own sources on real YARN, from nothing
	@$(GO) run ./integration/demo

demo-docker: ## WordCount on Hadoop in containers, three NodeManagers, from nothing; DEMO="-runner compose|docker-compose|plain"
	@$(GO) run ./integration/docker $(DEMO)

nightly: ## what takes longer than make test
	@$(GOTEST) nightly

fuzz-short: ## every fuzz test for 5 seconds
	@$(GOTEST) fuzz

generate: ## write generated code and docs/options.md again
	$(GO) run -C bin/devtools ./protogen
	$(GO) generate ./...

hadoop-up: ## start real Hadoop in the background and print the exports that make a shell its client
	@$(HADOOPCTL) up

hadoop-down: ## end it
	@$(HADOOPCTL) down

clean: ## remove what was built, and what tests left in .hadoop
	rm -rf dist .hadoop
	$(GO) clean -testcache

# The tools have a go.mod of their own, so that the product does not depend on theirs.
$(TOOLS)/staticcheck: bin/devtools/go.mod
	$(GO) build -C bin/devtools -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck
