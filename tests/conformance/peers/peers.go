//go:build tools

// Package peers names the other people's programs that the conformance suites run; tools/setup builds them. xds_server
// is ours: other people's control plane, made to do as a test says.
package peers

import (
	_ "github.com/summerwind/h2spec/cmd/h2spec"
	_ "google.golang.org/grpc/interop/client"
	_ "google.golang.org/grpc/interop/server"
)
