#!/usr/bin/env bash
# Runs the comparison as `go test` with the descriptor set of our protos. The modules are fetched by tools/setup.
set -euo pipefail
descriptors=$(realpath "$1")
folder=$(dirname "$(realpath "$2")")
# Bazel gives a test neither the caller's home nor the whole of its path.
export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
export PATH=${WEFT_CACHE:-$HOME/.cache/weft}/bin:$PATH:/usr/local/go/bin GOPROXY=off GOTOOLCHAIN=local
cd "$folder"
WEFT_DESCRIPTORS=$descriptors go test -count=1 ./...
