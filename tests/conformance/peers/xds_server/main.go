// xds_server is go-control-plane's server, told over standard input what to serve, and telling on standard output what
// it is asked: one JSON object a line, both ways.
//
//	{"snapshot": {"version": "1", "clusters": [...], "endpoints": [...], "listeners": [...], "routes": [...], "secrets": [...]}}
//	{"stop": true}     all connections are cut, nothing listens
//	{"start": true}    listens again, on the port it had
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
)

// Every client gets the same.
const group = "all"

type everyNode struct{}

func (everyNode) ID(*corev3.Node) string { return group }

var printing sync.Mutex

func tell(event map[string]any) {
	line, err := json.Marshal(event)
	if err != nil {
		fail(err)
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "xds_server:", err)
	os.Exit(1)
}

func tellRequest(form string, stream int64, url string, node *corev3.Node, version, nonce string, names []string, more any, detail *status.Status) {
	event := map[string]any{"request": form, "stream": stream, "type": url, "version": version, "nonce": nonce, "names": names, "more": more}
	if node != nil {
		event["node"] = node.GetId()
	}
	if detail != nil {
		event["error"] = detail.GetMessage()
	}
	tell(event)
}

func callbacks() server.CallbackFuncs {
	return server.CallbackFuncs{
		StreamOpenFunc: func(_ context.Context, id int64, url string) error {
			tell(map[string]any{"open": id, "type": url})
			return nil
		},
		DeltaStreamOpenFunc: func(_ context.Context, id int64, url string) error {
			tell(map[string]any{"open": id, "type": url})
			return nil
		},
		StreamRequestFunc: func(id int64, r *discovery.DiscoveryRequest) error {
			tellRequest("sotw", id, r.TypeUrl, r.Node, r.VersionInfo, r.ResponseNonce, r.ResourceNames, nil, r.ErrorDetail)
			return nil
		},
		StreamDeltaRequestFunc: func(id int64, r *discovery.DeltaDiscoveryRequest) error {
			more := map[string]any{"unsubscribe": r.ResourceNamesUnsubscribe, "initial": r.InitialResourceVersions}
			tellRequest("delta", id, r.TypeUrl, r.Node, "", r.ResponseNonce, r.ResourceNamesSubscribe, more, r.ErrorDetail)
			return nil
		},
	}
}

type snapshot struct {
	Version                                         string
	Clusters, Endpoints, Listeners, Routes, Secrets []json.RawMessage
}

func parse[M types.Resource](raw []json.RawMessage, empty func() M) []types.Resource {
	result := []types.Resource{}
	for _, each := range raw {
		message := empty()
		if err := protojson.Unmarshal(each, message); err != nil {
			fail(err)
		}
		result = append(result, message)
	}
	return result
}

func (s snapshot) make() *cache.Snapshot {
	made, err := cache.NewSnapshot(s.Version, map[resource.Type][]types.Resource{
		resource.ClusterType:  parse(s.Clusters, func() *clusterv3.Cluster { return &clusterv3.Cluster{} }),
		resource.EndpointType: parse(s.Endpoints, func() *endpointv3.ClusterLoadAssignment { return &endpointv3.ClusterLoadAssignment{} }),
		resource.ListenerType: parse(s.Listeners, func() *listenerv3.Listener { return &listenerv3.Listener{} }),
		resource.RouteType:    parse(s.Routes, func() *routev3.RouteConfiguration { return &routev3.RouteConfiguration{} }),
		resource.SecretType:   parse(s.Secrets, func() *tlsv3.Secret { return &tlsv3.Secret{} }),
	})
	if err != nil {
		fail(err)
	}
	return made
}

func listen(address string, service server.Server) (*grpc.Server, string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err)
	}
	s := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(s, service)
	clusterservice.RegisterClusterDiscoveryServiceServer(s, service)
	endpointservice.RegisterEndpointDiscoveryServiceServer(s, service)
	listenerservice.RegisterListenerDiscoveryServiceServer(s, service)
	routeservice.RegisterRouteDiscoveryServiceServer(s, service)
	secretservice.RegisterSecretDiscoveryServiceServer(s, service)
	go func() { _ = s.Serve(listener) }()
	return s, listener.Addr().String()
}

func main() {
	snapshots := cache.NewSnapshotCache(false, everyNode{}, nil)
	service := server.NewServer(context.Background(), snapshots, callbacks())
	running, address := listen("127.0.0.1:0", service)
	tell(map[string]any{"listening": address})
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	for input.Scan() {
		var command struct {
			Snapshot    *snapshot
			Stop, Start bool
		}
		if err := json.Unmarshal(input.Bytes(), &command); err != nil {
			fail(err)
		}
		switch {
		case command.Snapshot != nil:
			if err := snapshots.SetSnapshot(context.Background(), group, command.Snapshot.make()); err != nil {
				fail(err)
			}
		case command.Stop:
			running.Stop()
			tell(map[string]any{"stopped": true})
		case command.Start:
			running, _ = listen(address, service)
			tell(map[string]any{"listening": address})
		}
	}
}
