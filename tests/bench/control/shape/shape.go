// Package shape says what the mesh of the control bench looks like: the names, endpoints and scopes that the load tool
// and the peer server both go by. Pure.
package shape

import "fmt"

const (
	Namespace      = "default"
	Port           = 80
	OutboundPort   = 15001
	Groups         = 1000 // of proxies: those of one group have the same scope
	scopeSize      = 20   // services in a scope
	newServices    = 50   // services that come later, each in as many scopes as any other
	EndpointsEach  = 10
	endpointPort   = 8080
	scopeStride    = 7
	groupsPerNewer = Groups / scopeSize
)

// Service is the name of the service of a number.
func Service(number int) string { return fmt.Sprintf("svc-%04d", number) }

// NewService is the name of a service that is made while the bench runs.
func NewService(number int) string { return fmt.Sprintf("new-%02d", number%newServices) }

// Cluster is what the control plane calls the cluster of a service, its endpoints too.
func Cluster(service string) string { return fmt.Sprintf("%s/%s:%d", Namespace, service, Port) }

// Scope is the services that proxies of a group call, of a mesh of `services`; those that come later are named beside.
// Every service stands in scopeSize scopes of Groups, so that a change of one concerns a fiftieth of all proxies.
func Scope(group, services int) (now []string, later string) {
	for i := 0; i < scopeSize; i++ {
		now = append(now, Service((group+i*scopeStride*7)%services))
	}
	return now, NewService(group % groupsPerNewer)
}

// Addresses are the endpoints of a service; the first is `first` if that is not empty.
func Addresses(number int, first string) []string {
	addresses := make([]string, EndpointsEach)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("10.%d.%d.%d", number/250%250, number%250, i+1)
	}
	if first != "" {
		addresses[0] = first
	}
	return addresses
}

// EndpointPort is where every endpoint listens.
func EndpointPort() uint32 { return endpointPort }

// Hosts are the names by which callers of the same namespace call a service.
func Hosts(service string) []string {
	in := service + "." + Namespace
	return []string{service, in, in + ".svc", in + ".svc.cluster.local"}
}

// NodeID names a proxy; the group can be read from it.
func NodeID(group, number int) string { return fmt.Sprintf("proxy-%d-%d", group, number) }

// GroupOf is the group in a node's id; -1 if it has none.
func GroupOf(id string) int {
	var group, number int
	if n, _ := fmt.Sscanf(id, "proxy-%d-%d", &group, &number); n != 2 {
		return -1
	}
	return group
}
