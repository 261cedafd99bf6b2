.DEFAULT_GOAL := help

# What speaks to brokers, and so is tested against Apache Kafka too.
kafka_packages = $(addsuffix /...,$(wildcard ./es/kafka ./es/outbox ./es/inbox ./es/reactions ./projections ./services))

.PHONY: help
help: ## Show the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z\/]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: bin/demo ## Run the services, the relay and the read models for real, and prove what they promise
	@$(call until_stopped,bin/demo)

.PHONY: run
run: bin/demo ## Run the same until Ctrl-C, to try it by hand
	@$(call until_stopped,bin/demo run)

# Ctrl-C is no failure: 130 is what a program ends with that it stopped. (go run would
# end with 1 whatever the program does.)
until_stopped = trap 'stopped=1' INT; $(1); code=$$?; test "$$stopped$$code" = 1130 || exit $$code

.PHONY: bin/demo
bin/demo:
	@go build -o $@ ./cmd/demo

.PHONY: test
test: ## Run all tests, on a real PostgreSQL and an embedded broker
	go vet ./...
	go test -timeout 20m ./...

.PHONY: test/race
test/race: packages ?= ./...
test/race: ## Run tests with the race detector, all or those of packages=… (needs a C compiler)
	go test -race -timeout 40m $(packages)

.PHONY: test/kafka
test/kafka: bin/withkafka ## Run what speaks to Kafka or a registry on real ones (needs a JDK 17, Maven and pip)
	bin/withkafka go test -count=1 -p 1 -timeout 30m $(kafka_packages)
	go test -count=1 -p 1 -timeout 15m -tags realkafka ./es/kafka/failover ./es/outbox/interop ./es/schema/registry

.PHONY: bin/withkafka
bin/withkafka:
	go build -o $@ ./internal/realkafka/withkafka

.PHONY: lint
lint: ## Check the style and the directions of dependence (builds its linter once, for minutes)
	go tool -modfile=tools/go.mod golangci-lint run

.PHONY: bench
bench: ## Measure against the raw limits of pgx and kafka-go
	go run ./bench

.PHONY: tidy
tidy: ## Tidy the modules and format the code
	go mod tidy
	go -C tools mod tidy
	go tool -modfile=tools/go.mod golangci-lint fmt
