package main

// The mesh as the peer holds it, and what it tells go-control-plane's caches: endpoints to a LinearCache, which knows who
// asked for each; clusters, listener and route to a SnapshotCache, one snapshot for all nodes with the same scope, made
// when the first of them comes. Changes are debounced as weft-control's are. What is shared is built and hashed once.

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
	endpointQuiet  = 10 * time.Millisecond
	endpointAtMost = 100 * time.Millisecond
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
	endpoints *cache.LinearCache

	mutex    sync.Mutex
	clusters map[string]versioned            // by service
	hosts    map[string]*routev3.VirtualHost // by service
	listener versioned
	groups   map[int]bool              // that have a snapshot
	seenBy   map[string][]int          // service -> groups
	touched  map[int]bool              // groups of which something other than endpoints changed
	moved    map[string]types.Resource // endpoints that changed
	gone     []string

	all, some *debounce
}

func newMesh(services int, snapshots cache.SnapshotCache, endpoints *cache.LinearCache) *mesh {
	m := &mesh{services: services, snapshots: snapshots, endpoints: endpoints, clusters: map[string]versioned{},
		hosts: map[string]*routev3.VirtualHost{}, listener: newVersioned(makeListener()), groups: map[int]bool{},
		seenBy: map[string][]int{}, touched: map[int]bool{}, moved: map[string]types.Resource{}}
	for group := 0; group < shape.Groups; group++ {
		now, later := shape.Scope(group, services)
		for _, service := range append(now, later) {
			m.seenBy[service] = append(m.seenBy[service], group)
		}
	}
	m.all = newDebounce(quiet, atMost, m.pushAll)
	m.some = newDebounce(endpointQuiet, endpointAtMost, m.pushEndpoints)
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
			m.gone = append(m.gone, shape.Cluster(c.Service))
			m.touch(c.Service)
		case c.Marker != "":
			m.hosts[c.Service] = makeHost(c.Service, c.Marker)
			m.touch(c.Service)
		default:
			m.moved[shape.Cluster(c.Service)] = makeEndpoints(c.Service, shape.Addresses(c.Number, c.First))
			if c.New {
				m.clusters[c.Service] = newVersioned(makeCluster(c.Service))
				m.hosts[c.Service] = makeHost(c.Service, "")
				m.touch(c.Service)
			} else {
				m.some.note()
			}
		}
	}
}

func (m *mesh) touch(service string) {
	for _, group := range m.seenBy[service] {
		m.touched[group] = true
	}
	m.all.note()
}

func (m *mesh) pushEndpoints() {
	m.mutex.Lock()
	moved, gone := m.moved, m.gone
	m.moved, m.gone = map[string]types.Resource{}, nil
	m.mutex.Unlock()
	if err := m.endpoints.UpdateResources(moved, gone); err != nil {
		fail(err)
	}
}

func (m *mesh) pushAll() {
	// Endpoints first, so that no cluster is without.
	m.pushEndpoints()
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for group := range m.touched {
		if m.groups[group] {
			m.set(group)
		}
	}
	m.touched = map[int]bool{}
}

// connected sees to it that a node's group has a snapshot.
func (m *mesh) connected(group int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if group >= 0 && !m.groups[group] {
		m.groups[group] = true
		m.set(group)
	}
}

func (m *mesh) set(group int) {
	now, later := shape.Scope(group, m.services)
	var clusters []versioned
	routes := &routev3.RouteConfiguration{Name: outbound}
	services := append(now, later)
	slices.Sort(services)
	for _, service := range services {
		if cluster, ok := m.clusters[service]; ok {
			clusters = append(clusters, cluster)
			routes.VirtualHosts = append(routes.VirtualHosts, m.hosts[service])
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
	put(types.Listener, resource.ListenerType, []versioned{m.listener})
	put(types.Route, resource.RouteType, []versioned{newVersioned(routes)})
	if err := m.snapshots.SetSnapshot(context.Background(), groupKey(group), snapshot); err != nil {
		fail(err)
	}
}
