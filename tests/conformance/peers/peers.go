//go:build tools

// Package peers names the other people's programs that the conformance suites run; tools/setup builds them. xds_server
// and grpc_xds_client are ours: other people's control plane and client, made to do as a test says.
package peers

import (
	_ "github.com/summerwind/h2spec/cmd/h2spec"
	_ "google.golang.org/grpc/interop/client"
	_ "google.golang.org/grpc/interop/server"
)
