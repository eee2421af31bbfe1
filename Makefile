# Thin names for what the scripts and the go command do. `make check` is what CI runs.

TAGS  := nomsgpack
BUILD := CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags "-s -w -X main.version=$(shell git describe --tags --always --dirty 2>/dev/null || echo dev)"

.PHONY: check test race lint rules demo drill build bench clean

check: ## everything CI checks, installs what is missing when run as root
	.ci/run

test: ## every test that this machine can run
	go test ./...

race: ## the packages that start goroutines, with the race detector
	.ci/run race

lint: ## format, vet, golangci-lint
	.ci/run format vet lint

rules: ## the alerting rules, by pint
	.ci/run rules

demo: ## the incident, rehearsed in one process
	go run ./cmd/qrgate-demo

drill: ## break an engine and see who is paged; needs prometheus, alertmanager and redis-server
	go -C tools run ./drill --once

build: ## static binaries in bin/
	$(BUILD) -o bin/ ./cmd/...

bench: ## microbenchmarks of the hot paths
	go test -run '^$$' -bench . -benchmem ./proxy ./internal/acquire ./internal/store/memory

clean:
	rm -rf bin
