# Tapio needs Go and nothing else; the end-to-end tests also need Linux, root
# and a few Debian packages (deploy/testbed/README.md), the pictures Node.

export CGO_ENABLED := 0

# The build tags of tests that need more than Go.
tags := e2e,official,pictures

staticcheck := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
govulncheck := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Our own test cluster, or the cluster of E2E_KUBECONFIG, in new namespaces of
# which workloads are then broken; E2E_IMAGE is an image with busybox that it
# can pull. KUBECONFIG is not read: nobody shall break a cluster because a
# variable was set.
e2e := go test -tags e2e -count 1 -timeout 60m -v ./deploy/e2e \
	$(if $(E2E_KUBECONFIG),-kubeconfig $(abspath $(E2E_KUBECONFIG))) $(if $(E2E_IMAGE),-image $(E2E_IMAGE))
cluster := $(if $(E2E_KUBECONFIG),,testbed)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: demo
demo: ## play a recorded incident into a workspace page on this machine
	go run ./cmd/tapio demo

.PHONY: build
build: ## compile bin/tapio and bin/tapio-agent
	go build -trimpath -o bin/ ./cmd/tapio ./cmd/tapio-agent

.PHONY: test
test: ## run the tests; they need no root, no cluster, no Slack
	go test ./...

.PHONY: lint
lint: ## check format, go vet, staticcheck and the scripts' syntax
	@files=$$(git ls-files -z '*.go' | xargs -0 gofmt -l); test -z "$$files" || { echo "run gofmt -w on" $$files; exit 1; }
	go vet -tags $(tags) ./...
	$(staticcheck) -tags $(tags) ./...
	@git grep -lI '^#!/bin/bash' | xargs -n 1 bash -n

.PHONY: check
check: build lint test ## build, lint and test: what a change must pass

.PHONY: generate
generate: ## write generated files anew
	go generate ./...

# The kernel programs are compiled by clang 14 with the headers of libbpf 1.1
# (Debian 12: clang, llvm, libbpf-dev); another compiler writes other objects.
.PHONY: generate-check
generate-check: generate ## write generated files anew and fail where they differ from what is committed
	git diff --exit-code --stat

.PHONY: vuln
vuln: ## look for known vulnerabilities; asks vuln.go.dev, so it needs the internet
	$(govulncheck) ./...

.PHONY: images
images: ## build out/images.tar: images of tapio and tapio-agent, each one static executable, without Docker
	go build -trimpath -ldflags '-s -w' -o out/images/ ./cmd/tapio ./cmd/tapio-agent
	cd deploy/testbed/build/tools && go run ./mkimages -o $(CURDIR)/out/images.tar \
		-image tapio/tapio:0.1.0=$(CURDIR)/out/images/tapio -image tapio/tapio-agent:0.1.0=$(CURDIR)/out/images/tapio-agent

.PHONY: chart
chart: ## render the Helm chart with Helm, built from its Go module, and check what comes out; five minutes once
	cd deploy/e2e/chart && go vet ./... && go test -count 1 ./...

.PHONY: helm
helm: ## build Helm from its Go module; five minutes once
	go -C deploy/e2e/chart tool helm version

.PHONY: runtime
runtime: testbed ## 500 container starts and exits on a real containerd: each is seen once; needs Linux and root
	go test -tags e2e -count 1 -timeout 30m -v ./collectors/cri

.PHONY: bench
bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

# Folders with labelled incidents (tapio score --help).
corpus := $(or $(CORPUS),deploy/corpus)

.PHONY: score
score: ## measure how often labelled incidents are told right; CORPUS=DIR takes others than our own, MIN=0.97 fails below that
	go run ./cmd/tapio score $(corpus) $(if $(MIN),--min $(MIN))

.PHONY: calibrate
calibrate: ## measure anew how often each standing is right: engine/calibration.yaml
	go run ./cmd/tapio score --calibrate engine/calibration.yaml $(corpus)

.PHONY: testbed
testbed: ## build the test cluster's executables: ten minutes once, then a second
	deploy/testbed/build.sh

.PHONY: e2e
e2e: $(cluster) $(if $(cluster),helm) ## break and mend real workloads in the test cluster, see what is told; tables in out/e2e.json and .csv
	$(e2e) -skip 'TestChurn|TestControlPlane|TestCorpus'
	$(if $(cluster),$(e2e) -run TestControlPlane -faults -short)

.PHONY: corpus
corpus: testbed ## record the labelled cases of deploy/corpus anew, six at once; some two hours
	$(e2e) -run TestCorpus -timeout 240m -at-once 6 -corpus $(CURDIR)/deploy/corpus

.PHONY: churn
churn: $(cluster) ## ten minutes of healthy churn in the test cluster: nothing may be told
	$(e2e) -run TestChurn -churn 10m

.PHONY: controlplane
controlplane: testbed ## every fault of the control plane: with applications, in a quiet cluster and as a blip; half an hour
	$(e2e) -run TestControlPlane -faults

.PHONY: controlplane-cost
controlplane-cost: testbed ## break a real etcd and API server under the collector, and count its requests; five minutes, no root
	go test -tags e2e -count 1 -timeout 20m -v ./collectors/controlplane -run TestReal

.PHONY: installed
installed: $(cluster) helm ## install what the Helm chart renders in the test cluster and break things: eight minutes of make e2e
	$(e2e) -run TestChart

.PHONY: kill
kill: $(cluster) ## kill tapio at 20 instants of an incident: nothing lost, nothing told twice
	$(e2e) -run TestKill -kills 20

.PHONY: campaign
campaign: ## 2,000 incidents while Slack fails in every way and Tapio is killed; prints counts; fifteen minutes
	cd bot && go test -run '^TestCampaign$$' -campaign 2000 -count 1 -timeout 60m

.PHONY: storm
storm: ## 300 stories in a minute: messages sent, the channels' rate, how long until they are true again
	go test ./bot -run '^TestStormOf300$$' -count 1 -v

.PHONY: pictures
pictures: ## render every kind of message and the demo page to out/pictures; needs Node, Chromium and fonts (fonts-liberation, fonts-noto-color-emoji)
	deploy/pictures/render

.PHONY: slack-types
slack-types: ## check the messages against Slack's own TypeScript types; needs Node
	bot/slackfake/testdata/official/run types

.PHONY: official
official: ## drive the stand-in workspace with Slack's own JavaScript clients; needs Node
	bot/slackfake/testdata/official/run clients
