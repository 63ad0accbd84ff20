package main

// How a change gets into a server: into weft-control by the service that weftctl calls, over its Unix socket and so into
// its database; into the peer by a line on its own socket.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"google.golang.org/protobuf/encoding/protowire"

	"weft/tests/bench/control/shape"
)

// change is one change of the mesh: endpoints of a service, with or without the service itself, or its route.
type change struct {
	Service string `json:"service"`
	Number  int    `json:"number"`
	First   string `json:"first,omitempty"`  // the first endpoint's address
	New     bool   `json:"new,omitempty"`    // the service itself, too
	Gone    bool   `json:"gone,omitempty"`   // neither it nor its endpoints are there any more
	Marker  string `json:"marker,omitempty"` // a header that its route adds
}

type committer interface {
	// commit returns when the server has taken the change.
	commit(changes ...change) error
}

type object = map[string]any

func serviceObject(name string) object {
	return object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": name, "namespace": shape.Namespace},
		"spec": object{"ports": []object{{"name": "http", "port": shape.Port, "appProtocol": "http"}}}}
}

func sliceObject(c change) object {
	var all []object
	for _, address := range shape.Addresses(c.Number, c.First) {
		all = append(all, object{"addresses": []string{address}})
	}
	return object{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
		"metadata": object{"name": c.Service, "namespace": shape.Namespace,
			"labels": object{"kubernetes.io/service-name": c.Service}},
		"ports": []object{{"name": "http", "port": shape.EndpointPort()}}, "endpoints": all}
}

func routeObject(c change) object {
	filter := object{"type": "RequestHeaderModifier",
		"requestHeaderModifier": object{"set": []object{{"name": "x-bench", "value": c.Marker}}}}
	return object{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
		"metadata": object{"name": c.Service, "namespace": shape.Namespace},
		"spec": object{"parentRefs": []object{{"group": "", "kind": "Service", "name": c.Service}},
			"rules": []object{{"filters": []object{filter}, "backendRefs": []object{{"name": c.Service, "port": shape.Port}}}}}}
}

func objectsOf(c change) []object {
	switch {
	case c.Marker != "":
		return []object{routeObject(c)}
	case c.New:
		return []object{serviceObject(c.Service), sliceObject(c)}
	default:
		return []object{sliceObject(c)}
	}
}

// weft is weft-control's Control service.
type weft struct{ connection *connection }

func dialWeft(socket string) (*weft, error) {
	c, err := dial("unix", socket, nil)
	if err != nil {
		return nil, err
	}
	return &weft{c}, nil
}

func (w *weft) commit(changes ...change) error {
	var apply, remove []byte
	for _, c := range changes {
		for _, each := range objectsOf(c) {
			text, err := json.Marshal(each)
			if err != nil {
				return err
			}
			document := appendBytes(appendText(nil, 1, "bench.json"), 2, text)
			if c.Gone {
				remove = appendBytes(remove, 2, document)
			} else {
				apply = appendBytes(apply, 1, document)
			}
		}
	}
	if remove != nil {
		if _, err := w.call("/weft.v1.Control/Delete", remove); err != nil {
			return err
		}
	}
	if apply == nil {
		return nil
	}
	_, err := w.call("/weft.v1.Control/Apply", apply)
	return err
}

// token makes a join token for all proxies of the bench.
func (w *weft) token() (string, error) {
	request := appendText(appendText(nil, 1, shape.Namespace), 3, "1h")
	response, err := w.call("/weft.v1.Control/CreateToken", protowire.AppendVarint(protowire.AppendTag(request, 4, protowire.VarintType), 0))
	return string(field(response, 1)), err
}

// call makes a call and returns its one response.
func (w *weft) call(path string, request []byte) ([]byte, error) {
	stream, err := w.connection.open(path)
	if err != nil {
		return nil, err
	}
	if err = w.connection.sendAll(stream, request); err != nil {
		return nil, err
	}
	var response []byte
	for {
		message, err := w.connection.receive()
		if errors.Is(err, io.EOF) {
			return response, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		response = bytes.Clone(message)
	}
}

// peer is the go-control-plane server beside this.
type peer struct {
	socket net.Conn
	answer *bufio.Reader
}

func dialPeer(socket string) (*peer, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	return &peer{c, bufio.NewReader(c)}, nil
}

func (p *peer) commit(changes ...change) error {
	line, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	if _, err = p.socket.Write(append(line, '\n')); err != nil {
		return err
	}
	if _, err = p.answer.ReadString('\n'); err != nil {
		return fmt.Errorf("the peer: %w", err)
	}
	return nil
}
