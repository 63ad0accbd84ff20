// load plays the proxies of the control bench, each with a connection of its own, and commits the changes whose way to
// them it measures. It is told on standard input what to do and tells on standard output what came of it, one JSON object
// a line, both ways: {"do": "connect", "proxies": 1000} and so on; see command.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"weft/tests/bench/control/shape"
)

const (
	patience    = 60 * time.Second
	dialsAtOnce = 256
	changePause = 30 * time.Millisecond
)

type command struct {
	Do          string  `json:"do"` // setup, connect, disconnect, reconnect, endpoint, route, service, forget, storm
	Proxies     int     `json:"proxies"`
	Repetitions int     `json:"repetitions"`
	Changes     int     `json:"changes"`
	Seconds     float64 `json:"seconds"`
}

type bench struct {
	fleet     *fleet
	committer committer
	proxies   []*proxy
	running   sync.WaitGroup
	counter   int // of all changes, so that no two are alike
}

func main() {
	xds := flag.String("xds", "", "HOST:PORT of the server's discovery service")
	socket := flag.String("weft", "", "weft-control's Unix socket")
	peerSocket := flag.String("peer", "", "the peer's Unix socket")
	delta := flag.Bool("delta", true, "the delta form; else the state of the world")
	services := flag.Int("services", 1000, "services of the mesh")
	secure := flag.Bool("tls", false, "proxies connect by TLS, and show weft-control a join token that is made for them")
	flag.Parse()

	b := &bench{fleet: &fleet{address: *xds, delta: *delta, services: *services, start: time.Now()}}
	if *secure {
		// Whom they talk to is not what is measured; the handshake is the same.
		b.fleet.secure = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, SessionTicketsDisabled: true}
	}
	var err error
	if *socket != "" {
		var w *weft
		if w, err = dialWeft(*socket); err == nil && *secure {
			b.fleet.token, err = w.token()
		}
		b.committer = w
	} else {
		b.committer, err = dialPeer(*peerSocket)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		var c command
		if err = json.Unmarshal(input.Bytes(), &c); err != nil {
			fmt.Fprintln(os.Stderr, "load:", err)
			os.Exit(1)
		}
		line, _ := json.Marshal(b.run(c))
		fmt.Println(string(line))
	}
}

func (b *bench) run(c command) result {
	f := b.fleet
	f.bytes.Store(0)
	f.responses.Store(0)
	f.samples.take()
	commits, expected, err := b.do(c)
	out := resultOf(f.samples.take())
	out.Bytes, out.Responses, out.Repetitions = f.bytes.Load(), f.responses.Load(), len(commits)
	out.Expected, out.CommitP99 = expected, spreadOf(commits).P99
	if fault := f.fault.Swap(nil); fault != nil {
		err = errors.Join(err, *fault)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// do returns how long each commit took, and how many samples there should be.
func (b *bench) do(c command) ([]time.Duration, int, error) {
	switch c.Do {
	case "setup":
		return nil, 0, b.setup()
	case "connect":
		for number := 0; number < c.Proxies; number++ {
			b.proxies = append(b.proxies, newProxy(b.fleet, number))
		}
		return nil, len(b.proxies), b.connect()
	case "reconnect":
		b.disconnect()
		return nil, len(b.proxies), b.connect()
	case "disconnect":
		b.disconnect()
		b.proxies = nil
		return nil, 0, nil
	case "endpoint", "route", "service":
		return b.changes(c)
	case "forget":
		var gone []change
		for i := 0; i < c.Repetitions; i++ {
			gone = append(gone, change{Service: shape.NewService(i), New: true, Gone: true})
		}
		return nil, 0, b.committer.commit(gone...)
	case "storm":
		return b.storm(c.Changes, time.Duration(c.Seconds*float64(time.Second)))
	}
	return nil, 0, fmt.Errorf("there is no command %q", c.Do)
}

func (b *bench) setup() error {
	var all []change
	for number := 0; number < b.fleet.services; number++ {
		all = append(all, change{Service: shape.Service(number), Number: number, New: true})
	}
	return b.committer.commit(all...)
}

func (b *bench) connect() error {
	f := b.fleet
	f.ready.Store(int64(len(b.proxies)))
	f.from.Store(f.now())
	dials := make(chan struct{}, dialsAtOnce)
	for _, p := range b.proxies {
		dials <- struct{}{}
		p.closing.Store(false)
		p.connected = func() { <-dials }
		b.running.Add(1)
		go func() {
			defer b.running.Done()
			p.run()
		}()
	}
	return b.await(func() bool { return f.ready.Load() == 0 }, "proxies have all that they asked for")
}

func (b *bench) disconnect() {
	for _, p := range b.proxies {
		p.closing.Store(true)
		if c := p.connection.Load(); c != nil {
			c.close()
		}
	}
	b.running.Wait()
}

func (b *bench) await(done func() bool, what string) error {
	deadline := time.Now().Add(patience)
	for !done() {
		if b.fleet.fault.Load() != nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// seers is how many proxies have in their scope what `sees` says of a scope.
func (b *bench) seers(sees func(now []string, later string) bool) int {
	count := 0
	for group := 0; group < shape.Groups; group++ {
		if !sees(shape.Scope(group, b.fleet.services)) {
			continue
		}
		if group < len(b.proxies) {
			count += (len(b.proxies)-group-1)/shape.Groups + 1
		}
	}
	return count
}

func (b *bench) seersOf(service string) int {
	return b.seers(func(now []string, later string) bool {
		if service == later {
			return true
		}
		for _, each := range now {
			if each == service {
				return true
			}
		}
		return false
	})
}

func (b *bench) address() string {
	b.counter++
	return fmt.Sprintf("172.%d.%d.%d", 16+b.counter/62500%16, b.counter/250%250+1, b.counter%250+1)
}

// next is one change of a kind, and what it will be known by.
func (b *bench) next(what string, i int) (change, *expectation) {
	number := i * 37 % b.fleet.services
	service := shape.Service(number)
	switch what {
	case "endpoint":
		address := b.address()
		return change{Service: service, Number: number, First: address},
			newExpectation(b.seersOf(service), part{endpoints, shape.Cluster(service), []byte(address)})
	case "route":
		b.counter++
		marker := fmt.Sprintf("mark-%d-", b.counter)
		return change{Service: service, Number: number, Marker: marker},
			newExpectation(b.seersOf(service), part{routes, routeName, []byte(marker)})
	}
	service = shape.NewService(i)
	return change{Service: service, Number: b.fleet.services + i, New: true},
		newExpectation(b.seersOf(service), part{clusters, shape.Cluster(service), nil},
			part{endpoints, shape.Cluster(service), nil}, part{routes, routeName, []byte(shape.Hosts(service)[3])})
}

func (b *bench) changes(c command) (commits []time.Duration, expected int, err error) {
	defer b.fleet.expecting.Store(nil)
	for i := 0; i < c.Repetitions && err == nil; i++ {
		change, e := b.next(c.Do, i)
		expected += e.expected
		b.fleet.expecting.Store(newExpectations([]*expectation{e}))
		took, failed := b.commit(change, e)
		if failed != nil {
			return commits, expected, failed
		}
		commits = append(commits, took)
		err = b.await(func() bool { return e.left.Load() == 0 }, fmt.Sprintf("the change of %s is everywhere", change.Service))
		time.Sleep(changePause)
	}
	return commits, expected, err
}

func (b *bench) commit(c change, e *expectation) (time.Duration, error) {
	from := b.fleet.now()
	e.from.Store(from)
	err := b.committer.commit(c)
	return time.Duration(b.fleet.now() - from), err
}

// storm changes one service's endpoints after the other, at a steady pace.
func (b *bench) storm(count int, over time.Duration) (commits []time.Duration, expected int, err error) {
	defer b.fleet.expecting.Store(nil)
	count = min(count, b.fleet.services) // each service once, so that each change can be told from the others
	changes := make([]change, count)
	all := make([]*expectation, count)
	for i := range changes {
		changes[i], all[i] = b.next("endpoint", i)
		expected += all[i].expected
	}
	b.fleet.expecting.Store(newExpectations(all))
	begin := time.Now()
	for i, c := range changes {
		time.Sleep(time.Until(begin.Add(over * time.Duration(i) / time.Duration(count))))
		took, failed := b.commit(c, all[i])
		if failed != nil {
			return commits, expected, failed
		}
		commits = append(commits, took)
	}
	err = b.await(func() bool {
		for _, e := range all {
			if e.left.Load() != 0 {
				return false
			}
		}
		return true
	}, "all of the storm is everywhere")
	return commits, expected, err
}
