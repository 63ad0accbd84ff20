package main

// The mesh as the peer holds it, and what it tells go-control-plane's caches: a snapshot for each node, made when it
// comes. Or, shared: clusters, listener and route in one snapshot for all nodes with the same scope, and endpoints in a
// LinearCache, which knows who asked for each. Changes are debounced as weft-control's are. Each resource is built and
// hashed once for all.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"weft/tests/bench/control/shape"
)

const (
	quiet          = 100 * time.Millisecond
	atMost         = 10 * time.Second
	endpointQuiet  = 50 * time.Millisecond
	endpointAtMost = 50 * time.Millisecond
	endpointRest   = 30 * time.Millisecond
)

// change is a line of the control socket.
type change struct {
	Service string
	Number  int
	First   string
	New     bool
	Gone    bool
	Marker  string
}

// versioned is a resource with the hash of its content.
type versioned struct {
	resource types.Resource
	version  string
}

func newVersioned(message types.Resource) versioned {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		fail(err)
	}
	sum := sha256.Sum256(content)
	return versioned{message, hex.EncodeToString(sum[:8])}
}

type mesh struct {
	services  int
	snapshots cache.SnapshotCache
	endpoints *cache.LinearCache // nil: they are in the snapshots

	mutex    sync.Mutex
	clusters map[string]versioned            // by service
	hosts    map[string]*routev3.VirtualHost // by service
	listener versioned
	assigned map[string]versioned      // endpoints, by service
	keys     map[int][]string          // of the snapshots of a group
	known    map[string]bool           // keys that have a snapshot
	seenBy   map[string][]int          // service -> groups
	touched  map[int]bool              // groups of which something other than endpoints changed
	moving   map[int]bool              // those of which endpoints changed
	moved    map[string]types.Resource // endpoints that changed, for the LinearCache
	gone     []string

	all, some *debounce
}

func newMesh(services int, snapshots cache.SnapshotCache, endpoints *cache.LinearCache) *mesh {
	m := &mesh{services: services, snapshots: snapshots, endpoints: endpoints, clusters: map[string]versioned{},
		hosts: map[string]*routev3.VirtualHost{}, listener: newVersioned(makeListener()), assigned: map[string]versioned{},
		keys: map[int][]string{}, known: map[string]bool{}, seenBy: map[string][]int{}, touched: map[int]bool{},
		moving: map[int]bool{}, moved: map[string]types.Resource{}}
	for group := 0; group < shape.Groups; group++ {
		now, later := shape.Scope(group, services)
		for _, service := range append(now, later) {
			m.seenBy[service] = append(m.seenBy[service], group)
		}
	}
	m.all = newDebounce(quiet, atMost, 0, m.pushAll)
	m.some = newDebounce(endpointQuiet, endpointAtMost, endpointRest, m.pushEndpoints)
	return m
}

// apply takes changes of one commit.
func (m *mesh) apply(changes []change) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, c := range changes {
		switch {
		case c.Gone:
			delete(m.clusters, c.Service)
			delete(m.hosts, c.Service)
			delete(m.assigned, c.Service)
			m.gone = append(m.gone, shape.Cluster(c.Service))
			m.touch(c.Service)
		case c.Marker != "":
			m.hosts[c.Service] = makeHost(c.Service, c.Marker)
			m.touch(c.Service)
		default:
			endpoints := makeEndpoints(c.Service, shape.Addresses(c.Number, c.First))
			if m.endpoints == nil {
				m.assigned[c.Service] = newVersioned(endpoints)
			} else {
				m.moved[shape.Cluster(c.Service)] = endpoints
			}
			if c.New {
				m.clusters[c.Service] = newVersioned(makeCluster(c.Service))
				m.hosts[c.Service] = makeHost(c.Service, "")
				m.touch(c.Service)
			} else {
				mark(m.moving, m.seenBy[c.Service])
				m.some.note()
			}
		}
	}
}

func mark(groups map[int]bool, all []int) {
	for _, group := range all {
		groups[group] = true
	}
}

func (m *mesh) touch(service string) {
	mark(m.touched, m.seenBy[service])
	m.all.note()
}

func (m *mesh) pushEndpoints() {
	m.mutex.Lock()
	moved, gone := m.moved, m.gone
	m.moved, m.gone = map[string]types.Resource{}, nil
	if m.endpoints == nil {
		m.setAll(m.moving)
	}
	m.moving = map[int]bool{}
	m.mutex.Unlock()
	if m.endpoints == nil {
		return
	}
	if err := m.endpoints.UpdateResources(moved, gone); err != nil {
		fail(err)
	}
}

func (m *mesh) pushAll() {
	// Endpoints first, so that no cluster is without.
	if m.endpoints != nil {
		m.pushEndpoints()
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.setAll(m.touched)
	m.touched = map[int]bool{}
}

func (m *mesh) setAll(groups map[int]bool) {
	for group := range groups {
		for _, key := range m.keys[group] {
			m.set(key, group)
		}
	}
}

// connected sees to it that a node has a snapshot.
func (m *mesh) connected(key string, group int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if group >= 0 && !m.known[key] {
		m.known[key] = true
		m.keys[group] = append(m.keys[group], key)
		m.set(key, group)
	}
}

func (m *mesh) set(key string, group int) {
	now, later := shape.Scope(group, m.services)
	var clusters, endpoints []versioned
	routes := &routev3.RouteConfiguration{Name: outbound}
	services := append(now, later)
	slices.Sort(services)
	for _, service := range services {
		if cluster, ok := m.clusters[service]; ok {
			clusters = append(clusters, cluster)
			routes.VirtualHosts = append(routes.VirtualHosts, m.hosts[service])
		}
		if assigned, ok := m.assigned[service]; ok {
			endpoints = append(endpoints, assigned)
		}
	}
	snapshot := &cache.Snapshot{VersionMap: map[string]map[string]string{}}
	put := func(kind types.ResponseType, url string, all []versioned) {
		versions := make(map[string]string, len(all))
		items := make(map[string]types.ResourceWithTTL, len(all))
		sum := sha256.New()
		for _, each := range all {
			name := cache.GetResourceName(each.resource)
			versions[name] = each.version
			items[name] = types.ResourceWithTTL{Resource: each.resource}
			sum.Write([]byte(each.version))
		}
		snapshot.VersionMap[url] = versions
		snapshot.Resources[kind] = cache.Resources{Version: hex.EncodeToString(sum.Sum(nil)[:8]), Items: items}
	}
	put(types.Cluster, resource.ClusterType, clusters)
	put(types.Endpoint, resource.EndpointType, endpoints)
	put(types.Listener, resource.ListenerType, []versioned{m.listener})
	put(types.Route, resource.RouteType, []versioned{newVersioned(routes)})
	if err := m.snapshots.SetSnapshot(context.Background(), key, snapshot); err != nil {
		fail(err)
	}
}
