package main

// What a change of the mesh is known by when it arrives, and when it did.

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"
)

// part is one thing that a proxy must have got: a resource of a type, with a text in it.
type part struct {
	kind   kind
	name   string
	marker []byte
}

// expectation is one change that some proxies are to get.
type expectation struct {
	parts    []part
	from     atomic.Int64 // when its commit began, by the bench's clock
	expected int
	left     atomic.Int64
}

func newExpectation(proxies int, parts ...part) *expectation {
	e := &expectation{parts: parts, expected: proxies}
	e.left.Store(int64(proxies))
	return e
}

func (e *expectation) arrived() { e.left.Add(-1) }

// key is what a resource is looked up by.
type key struct {
	kind kind
	name string
}

type wanted struct {
	of   *expectation
	part int
}

// expectations are what is on its way at one time; read by all proxies, replaced as a whole.
type expectations struct {
	byKey map[key][]wanted
}

func newExpectations(all []*expectation) *expectations {
	out := &expectations{byKey: map[key][]wanted{}}
	for _, e := range all {
		for i, p := range e.parts {
			k := key{p.kind, p.name}
			out.byKey[k] = append(out.byKey[k], wanted{e, i})
		}
	}
	return out
}

// sample is when one proxy had got, and answered, all parts of one change, since its commit began.
type sample struct{ received, acknowledged time.Duration }

// progress is how much of each expectation one proxy has; its goroutine's own.
type progress struct {
	has       map[*expectation]uint32
	completed []*expectation
}

// see notes what a resource completes.
func (p *progress) see(all *expectations, kind kind, name, content []byte) {
	if all == nil {
		return
	}
	for _, w := range all.byKey[key{kind, string(name)}] {
		had := p.has[w.of]
		if had&(1<<w.part) != 0 || !bytes.Contains(content, w.of.parts[w.part].marker) {
			continue
		}
		had |= 1 << w.part
		if p.has == nil {
			p.has = map[*expectation]uint32{}
		}
		p.has[w.of] = had
		if had == 1<<len(w.of.parts)-1 {
			p.completed = append(p.completed, w.of)
		}
	}
}

// samples of all proxies.
type samples struct {
	mutex sync.Mutex
	all   []sample
}

func (s *samples) add(one sample) {
	s.mutex.Lock()
	s.all = append(s.all, one)
	s.mutex.Unlock()
}

func (s *samples) take() []sample {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	taken := s.all
	s.all = nil
	return taken
}
