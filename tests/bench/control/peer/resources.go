package main

// The resources, as weft-control makes them for a sidecar: one cluster and its endpoints for each service, one listener,
// one route with a virtual host for each service in the scope. Each is made once and shared by all nodes.

import (
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weft/tests/bench/control/shape"
)

const outbound = "outbound"

func fromADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}
}

func socketAddress(address string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: address,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}}}
}

// By which a proxy names whom it calls, in the metrics of a hop.
func named(service string) *corev3.Metadata {
	fields := map[string]*structpb.Value{"service": structpb.NewStringValue(service),
		"namespace": structpb.NewStringValue(shape.Namespace), "host": structpb.NewStringValue(shape.Hosts(service)[3])}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"weft": {Fields: fields}}}
}

func makeCluster(service string) *clusterv3.Cluster {
	return &clusterv3.Cluster{Name: shape.Cluster(service), Metadata: named(service),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS()}}
}

func makeEndpoints(service string, addresses []string) *endpointv3.ClusterLoadAssignment {
	locality := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{},
		LoadBalancingWeight: wrapperspb.UInt32(uint32(len(addresses)))}
	for _, address := range addresses {
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: socketAddress(address, shape.EndpointPort())}},
			LoadBalancingWeight: wrapperspb.UInt32(1)})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: shape.Cluster(service),
		Endpoints: []*endpointv3.LocalityLbEndpoints{locality}}
}

func anyOf(message proto.Message) *anypb.Any {
	out, err := anypb.New(message)
	if err != nil {
		fail(err)
	}
	return out
}

func makeListener() *listenerv3.Listener {
	manager := &hcmv3.HttpConnectionManager{StatPrefix: outbound,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: fromADS(), RouteConfigName: outbound}},
		HttpFilters: []*hcmv3.HttpFilter{{Name: "envoy.filters.http.router",
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: anyOf(&routerv3.Router{})}}}}
	return &listenerv3.Listener{Name: outbound, Address: socketAddress("127.0.0.1", shape.OutboundPort),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: anyOf(manager)}}}}}}
}

func makeHost(service, marker string) *routev3.VirtualHost {
	cluster := shape.Cluster(service)
	route := &routev3.Route{Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{Timeout: durationpb.New(time.Duration(0)),
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}}}
	if marker != "" {
		route.Name = fmt.Sprintf("%s/%s/0", shape.Namespace, service)
		route.RequestHeadersToAdd = []*corev3.HeaderValueOption{{
			Header:       &corev3.HeaderValue{Key: "x-bench", Value: marker},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}}
	}
	host := &routev3.VirtualHost{Name: cluster, Routes: []*routev3.Route{route}}
	for _, name := range shape.Hosts(service) {
		host.Domains = append(host.Domains, fmt.Sprintf("%s:%d", name, shape.Port), name)
	}
	return host
}
