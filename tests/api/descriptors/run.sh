#!/usr/bin/env bash
# Runs the comparison as `go test` with the first descriptor set of our protos, and what compares alone with the others:
# run.sh GO_MOD DESCRIPTORS... The modules are fetched by tools/setup.
set -euo pipefail
folder=$(dirname "$(realpath "$1")")
mapfile -t descriptor_sets < <(realpath "${@:2}")
# Bazel gives a test neither the caller's home nor the whole of its path.
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
export PATH=${WEFT_CACHE:-$HOME/.cache/weft}/bin:$PATH:/usr/local/go/bin GOPROXY=off GOTOOLCHAIN=local
cd "$folder"
tests=.
for descriptors in "${descriptor_sets[@]}"; do
  WEFT_DESCRIPTORS=$descriptors go test -count=1 -run "$tests" ./...
  tests=TestOurProtosAreTheWires
done
