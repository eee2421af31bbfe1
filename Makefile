# Short names for the scripts and the go command. `make check` is what CI runs.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO      := CGO_ENABLED=0 go
BUILD   := -tags nomsgpack -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

.PHONY: help run demo build release test race check lint fmt generate rules drill soak bench clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## qrgate on 127.0.0.1:8080, as an engine of the real WhatsApp
	$(GO) run $(BUILD) ./cmd/qrgate

demo: ## the incident and its fix, in one process without a network
	$(GO) run $(BUILD) ./cmd/qrgate-demo

build: ## static binaries in bin/
	$(GO) build $(BUILD) -o bin/ ./cmd/...

# Windows has no SIGHUP, so settings are reloaded by a restart there.
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
SBOM      := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

release: ## static binaries for all platforms in dist/, with an SBOM (CycloneDX) and checksums
	rm -rf dist
	mkdir -p dist
	for platform in $(PLATFORMS); do \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build $(BUILD) -buildvcs=true \
			-o dist/qrgate-$(VERSION)-$${platform%/*}-$${platform#*/}$$(test $${platform%/*} = windows && echo .exe) ./cmd/qrgate || exit 1; \
	done
	go run $(SBOM) bin -json -std -licenses -noserial -notimestamp -version $(VERSION) -output dist/qrgate-$(VERSION).cdx.json dist/qrgate-$(VERSION)-linux-amd64
	cp LICENSE NOTICE dist/
	cd dist && sha256sum * >SHA256SUMS

test: ## all tests; those that need another program skip without it
	$(GO) test ./...

race: ## the packages that start goroutines, with the race detector
	.ci/run race

check: ## everything that CI checks; as root it installs missing programs
	.ci/run

lint: ## format, vet, golangci-lint
	.ci/run format vet lint

fmt: ## format the Go files
	git ls-files '*.go' | xargs gofmt -w

generate: ## dashboards, alerting rules, manifests and the documents that tests compare
	$(GO) generate ./...

rules: ## the alerting rules, with pint
	.ci/run rules

drill: ## break an engine and see who is paged; needs prometheus, alertmanager and redis-server
	go -C tools run ./drill --once

soak: ## half an hour of load on two replicas; writes docs/SOAK.md and fails if anything grows; needs redis-server
	go -C tools run ./soak --write ../docs

bench: ## microbenchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./proxy ./internal/acquire ./internal/store/memory

clean: ## remove bin/ and dist/
	rm -rf bin dist
