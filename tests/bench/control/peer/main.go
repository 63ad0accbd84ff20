// peer is a go-control-plane server as a careful person would write it, for the control bench to compare weft-control
// with. It prints the address on which it listens; changes come as lines of JSON on a Unix socket, each answered by an
// empty object when it has been taken.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weft/tests/bench/control/shape"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, "peer:", err)
	os.Exit(1)
}

// byGroup has nodes with the same scope share a snapshot.
type byGroup struct{}

func (byGroup) ID(node *corev3.Node) string {
	return fmt.Sprintf("group-%d", shape.GroupOf(node.GetId()))
}

const (
	inLinear   = "linear"
	inSnapshot = "snapshot"
)

func cacheOf(typeURL string) string {
	if typeURL == resource.EndpointType {
		return inLinear
	}
	return inSnapshot
}

func callbacks(m *mesh, keys cache.NodeHash) server.CallbackFuncs {
	came := func(node *corev3.Node) { m.connected(keys.ID(node), shape.GroupOf(node.GetId())) }
	return server.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discovery.DiscoveryRequest) error {
			if r.GetNode() != nil && r.GetResponseNonce() == "" {
				came(r.GetNode())
			}
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, r *discovery.DeltaDiscoveryRequest) error {
			if r.GetNode() != nil && r.GetResponseNonce() == "" {
				came(r.GetNode())
			}
			return nil
		},
	}
}

func serveChanges(socket string, m *mesh) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		fail(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			defer connection.Close()
			lines := bufio.NewReader(connection)
			for {
				line, err := lines.ReadBytes('\n')
				if err != nil {
					return
				}
				var changes []change
				if err = json.Unmarshal(line, &changes); err != nil {
					fail(err)
				}
				m.apply(changes)
				if _, err = connection.Write([]byte("{}\n")); err != nil {
					return
				}
			}
		}()
	}
}

func main() {
	socket := flag.String("socket", "", "the Unix socket for changes")
	services := flag.Int("services", 1000, "services of the mesh")
	shared := flag.Bool("shared", false, "one snapshot for all nodes with the same scope, and endpoints in a LinearCache")
	secure := flag.Bool("tls", false, "by TLS, with a certificate that is made at the start")
	flag.Parse()

	var keys cache.NodeHash = cache.IDHash{}
	if *shared {
		keys = byGroup{}
	}
	snapshots := cache.NewSnapshotCache(true, keys, nil)
	var all cache.Cache = snapshots
	var linear *cache.LinearCache
	if *shared {
		linear = cache.NewLinearCache(resource.EndpointType)
		all = &cache.MuxCache{Classify: func(r *cache.Request) string { return cacheOf(r.GetTypeUrl()) },
			ClassifyDelta: func(r *cache.DeltaRequest) string { return cacheOf(r.GetTypeUrl()) },
			Caches:        map[string]cache.Cache{inLinear: linear, inSnapshot: snapshots}}
	}
	m := newMesh(*services, snapshots, linear)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	var options []grpc.ServerOption
	if *secure {
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(makeCertificate())))
	}
	service := grpc.NewServer(options...)
	discovery.RegisterAggregatedDiscoveryServiceServer(service, server.NewServer(context.Background(), all, callbacks(m, keys)))
	go serveChanges(*socket, m)
	fmt.Println("listening on", listener.Addr())
	if err = service.Serve(listener); err != nil {
		fail(err)
	}
}
