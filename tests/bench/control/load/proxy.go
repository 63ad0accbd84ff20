package main

// A proxy as a server sees it: one connection, one aggregated stream, and Envoy's order of asking: clusters, their
// endpoints, listeners, the route. Everything is acknowledged.

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"weft/tests/bench/control/shape"
)

type kind uint8

const (
	clusters kind = iota
	endpoints
	listeners
	routes
	kinds
)

var typeURLs = [kinds]string{
	"type.googleapis.com/envoy.config.cluster.v3.Cluster",
	"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
	"type.googleapis.com/envoy.config.listener.v3.Listener",
	"type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}

const (
	deltaPath = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	sotwPath  = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	routeName = "outbound"
)

// fleet is what all proxies have in common.
type fleet struct {
	address   string
	delta     bool
	secure    *tls.Config // nil: not encrypted
	token     string
	services  int
	start     time.Time
	expecting atomic.Pointer[expectations]
	samples   samples
	bytes     atomic.Int64
	responses atomic.Int64
	// Since when proxies connect, and those that are not ready yet.
	from  atomic.Int64
	ready atomic.Int64
	fault atomic.Pointer[error]
}

func (f *fleet) now() int64 { return int64(time.Since(f.start)) }

func (f *fleet) fail(err error) { f.fault.CompareAndSwap(nil, &err) }

type proxy struct {
	fleet         *fleet
	group, number int
	connection    atomic.Pointer[connection]
	connected     func() // called once the connection stands, or failed to
	stream        uint32
	asked         [kinds]bool
	names         [kinds][]string // that it has asked for by name
	versions      [kinds]string   // state of the world
	nonces        [kinds]string
	held          [kinds]map[string]string
	isReady       bool
	closing       atomic.Bool
	progress      progress
}

func newProxy(f *fleet, number int) *proxy {
	p := &proxy{fleet: f, group: number % shape.Groups, number: number}
	for k := range p.held {
		p.held[k] = map[string]string{}
	}
	return p
}

// run connects and answers until the connection ends.
func (p *proxy) run() {
	err := p.converse()
	if !p.closing.Load() {
		p.fleet.fail(fmt.Errorf("proxy %d: %w", p.number, err))
	}
}

func (p *proxy) converse() error {
	f := p.fleet
	c, err := dial("tcp", f.address, f.secure)
	p.connected()
	if err != nil {
		return err
	}
	defer c.close()
	p.connection.Store(c)
	p.isReady = false
	p.asked, p.nonces = [kinds]bool{}, [kinds]string{}
	path := sotwPath
	if f.delta {
		path = deltaPath
	}
	var more []string
	if f.token != "" {
		more = []string{"authorization", "Bearer " + f.token}
	}
	if p.stream, err = c.open(path, more...); err != nil {
		return err
	}
	// The first time one thing leads to the other. Who comes back asks for all that it holds; that it does not say which
	// route it has makes the route's coming the sign that all that was asked before is settled.
	last := clusters
	if len(p.held[routes]) > 0 {
		last = routes
	}
	for k := clusters; k <= last; k++ {
		if err = p.ask(k, p.names[k]); err != nil {
			return err
		}
	}
	var r response
	for {
		message, err := c.receive()
		if err != nil {
			return err
		}
		f.bytes.Add(int64(len(message)) + prefixBytes)
		f.responses.Add(1)
		if err = r.parse(message, f.delta); err != nil {
			return err
		}
		if err = p.answer(&r); err != nil {
			return err
		}
	}
}

// answer takes a response, acknowledges it and asks for what it leads to.
func (p *proxy) answer(r *response) error {
	f := p.fleet
	index := slices.Index(typeURLs[:], string(r.typeURL))
	if index < 0 {
		return fmt.Errorf("a response of type %q", r.typeURL)
	}
	k := kind(index)
	received := f.now()
	expecting := f.expecting.Load()
	var news []string
	for _, each := range r.resources {
		p.progress.see(expecting, k, each.name, each.content)
		if _, known := p.held[k][string(each.name)]; !known {
			name := strings.Clone(string(each.name))
			news = append(news, name)
			p.held[k][name] = ""
		}
		if f.delta {
			p.held[k][string(each.name)] = string(each.version)
		}
	}
	p.versions[k] = string(r.version)
	if err := p.acknowledge(k, string(r.nonce)); err != nil {
		return err
	}
	acknowledged := f.now()
	for _, e := range p.progress.completed {
		from := e.from.Load()
		f.samples.add(sample{time.Duration(received - from), time.Duration(acknowledged - from)})
		e.arrived()
	}
	p.progress.completed = p.progress.completed[:0]
	if k == clusters {
		if err := p.forget(r); err != nil {
			return err
		}
	}
	return p.proceed(k, news, received)
}

// forget drops clusters that are gone, and no longer asks for their endpoints.
func (p *proxy) forget(r *response) error {
	var gone []string
	if p.fleet.delta {
		for _, name := range r.removed {
			gone = append(gone, string(name))
		}
	} else if len(r.resources) < len(p.held[clusters]) {
		// What a state of the world leaves out is gone.
		left := map[string]bool{}
		for _, each := range r.resources {
			left[string(each.name)] = true
		}
		for name := range p.held[clusters] {
			if !left[name] {
				gone = append(gone, name)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for _, name := range gone {
		delete(p.held[clusters], name)
		delete(p.held[endpoints], name)
	}
	p.names[endpoints] = slices.DeleteFunc(p.names[endpoints], func(name string) bool { return slices.Contains(gone, name) })
	if !p.fleet.delta {
		return p.connection.Load().send(p.stream, p.sotwRequest(nil, endpoints, p.versions[endpoints], p.nonces[endpoints]))
	}
	out := appendText(nil, 2, typeURLs[endpoints])
	for _, name := range gone {
		out = appendText(out, 4, name)
	}
	return p.connection.Load().send(p.stream, out)
}

func (p *proxy) proceed(k kind, news []string, received int64) error {
	f := p.fleet
	switch {
	case k == clusters && len(news) > 0:
		p.names[endpoints] = append(p.names[endpoints], news...)
		return p.ask(endpoints, news)
	case k == endpoints && !p.asked[listeners] && len(p.held[endpoints]) >= len(p.held[clusters]):
		return p.ask(listeners, nil)
	case k == listeners && !p.asked[routes]:
		p.names[routes] = []string{routeName}
		return p.ask(routes, p.names[routes])
	case k == routes && !p.isReady:
		p.isReady = true
		from := f.from.Load()
		f.samples.add(sample{time.Duration(received - from), time.Duration(f.now() - from)})
		f.ready.Add(-1)
	}
	return nil
}

// ask sends a request that is no answer: the first of a type, or one for more names.
func (p *proxy) ask(k kind, names []string) error {
	first := !p.asked[k]
	p.asked[k] = true
	var out []byte
	if first && k == clusters {
		scope, later := shape.Scope(p.group, p.fleet.services)
		scope = append(scope, later)
		number := protowire.Number(2)
		if p.fleet.delta {
			number = 1
		}
		out = appendBytes(out, number, node(shape.NodeID(p.group, p.number), shape.Namespace, shape.OutboundPort, scope))
	}
	if p.fleet.delta {
		out = appendText(out, 2, typeURLs[k])
		for _, name := range names {
			out = appendText(out, 3, name)
		}
		if first && k != routes {
			for name, version := range p.held[k] {
				if version != "" {
					out = appendBytes(out, 5, appendText(appendText(nil, 1, name), 2, version))
				}
			}
		}
		return p.connection.Load().send(p.stream, out)
	}
	version, nonce := p.versions[k], p.nonces[k]
	if first && k == routes {
		version = ""
	}
	return p.connection.Load().send(p.stream, p.sotwRequest(out, k, version, nonce))
}

func (p *proxy) sotwRequest(out []byte, k kind, version, nonce string) []byte {
	if version != "" {
		out = appendText(out, 1, version)
	}
	for _, name := range p.names[k] {
		out = appendText(out, 3, name)
	}
	out = appendText(out, 4, typeURLs[k])
	if nonce != "" {
		out = appendText(out, 5, nonce)
	}
	return out
}

func (p *proxy) acknowledge(k kind, nonce string) error {
	p.nonces[k] = nonce
	if p.fleet.delta {
		return p.connection.Load().send(p.stream, appendText(appendText(nil, 2, typeURLs[k]), 6, nonce))
	}
	return p.connection.Load().send(p.stream, p.sotwRequest(nil, k, p.versions[k], nonce))
}
