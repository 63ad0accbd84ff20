package main

// The few protobuf fields that a proxy of the bench reads and writes, by hand: a generated message for each response of
// thousands of proxies would cost the load core more than the servers' work.

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

var errWire = errors.New("not the message that was expected")

// fields calls visit for each field of a message; only length-delimited ones have data.
func fields(message []byte, visit func(number protowire.Number, data []byte)) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errWire
		}
		message = message[n:]
		if kind == protowire.BytesType {
			data, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return errWire
			}
			visit(number, data)
			message = message[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return errWire
		}
		message = message[n:]
	}
	return nil
}

// field is the last value of a field; nil if there is none.
func field(message []byte, wanted protowire.Number) (found []byte) {
	_ = fields(message, func(number protowire.Number, data []byte) {
		if number == wanted {
			found = data
		}
	})
	return found
}

func appendBytes(out []byte, number protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), data)
}

func appendText(out []byte, number protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, number, protowire.BytesType), text)
}

// google.protobuf.Value and Struct.
func textValue(text string) []byte { return appendText(nil, 3, text) }

func numberValue(number float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), doubleBits(number))
}

func listValue(texts []string) []byte {
	var list []byte
	for _, text := range texts {
		list = appendBytes(list, 1, textValue(text))
	}
	return appendBytes(nil, 6, list)
}

func structEntry(out []byte, name string, value []byte) []byte {
	return appendBytes(out, 1, appendBytes(appendText(nil, 1, name), 2, value))
}

// node is an envoy.config.core.v3.Node.
func node(id, namespace string, outboundPort int, scope []string) []byte {
	metadata := structEntry(nil, "namespace", textValue(namespace))
	metadata = structEntry(metadata, "outbound_port", numberValue(float64(outboundPort)))
	metadata = structEntry(metadata, "scope", listValue(scope))
	out := appendText(nil, 1, id)
	out = appendText(out, 2, "bench")
	return appendBytes(out, 3, metadata)
}

// resource is one of a response: its name, version (delta only) and the Any's bytes.
type resource struct {
	name, version []byte
	content       []byte
}

// response is a DiscoveryResponse or a DeltaDiscoveryResponse.
type response struct {
	version, typeURL, nonce []byte
	resources               []resource
	removed                 [][]byte // delta only
}

// parse reads into r, whose slices point into the message.
func (r *response) parse(message []byte, delta bool) error {
	*r = response{resources: r.resources[:0], removed: r.removed[:0]}
	var inner error
	err := fields(message, func(number protowire.Number, data []byte) {
		switch number {
		case 1:
			r.version = data
		case 2:
			r.resources = append(r.resources, readResource(data, delta, &inner))
		case 4:
			r.typeURL = data
		case 5:
			r.nonce = data
		case 6:
			if delta {
				r.removed = append(r.removed, data)
			}
		}
	})
	return errors.Join(err, inner)
}

func readResource(data []byte, delta bool, failed *error) (out resource) {
	any := data
	if delta {
		any = nil
		err := fields(data, func(number protowire.Number, part []byte) {
			switch number {
			case 1:
				out.version = part
			case 2:
				any = part
			case 3:
				out.name = part
			}
		})
		if err != nil {
			*failed = err
		}
	}
	out.content = field(any, 2)
	if !delta {
		// Clusters, their endpoints, listeners and routes all have their name in field 1.
		out.name = field(out.content, 1)
	}
	return out
}
