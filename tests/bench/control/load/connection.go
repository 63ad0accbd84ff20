package main

// One HTTP/2 connection with gRPC calls on it, as little as that takes: no pool, no HPACK decoding where nothing is read
// of headers, large windows so that none need be given back.

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	window      = 1 << 30
	readBuffer  = 4 << 10
	maxMessage  = 64 << 20
	prefixBytes = 5 // of a gRPC message: compressed or not, and its length
)

func doubleBits(number float64) uint64 { return math.Float64bits(number) }

type connection struct {
	net     net.Conn
	scheme  string
	framer  *http2.Framer
	writing sync.Mutex
	headers bytes.Buffer
	encoder *hpack.Encoder
	next    uint32
	// What the peer still takes, of the connection and of the one stream that is open.
	credit, streamCredit, firstCredit int64
	pending                           []byte
}

// dial connects, by TLS if `secure` is set.
func dial(network, address string, secure *tls.Config) (*connection, error) {
	raw, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if secure != nil {
		scheme = "https"
		encrypted := tls.Client(raw, secure)
		if err = encrypted.Handshake(); err != nil {
			raw.Close()
			return nil, err
		}
		raw = encrypted
	}
	c := &connection{net: raw, scheme: scheme, next: 1, credit: 65535, firstCredit: 65535}
	c.framer = http2.NewFramer(raw, bufio.NewReaderSize(raw, readBuffer))
	c.framer.SetReuseFrames()
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.SetMaxReadFrameSize(1 << 20)
	c.encoder = hpack.NewEncoder(&c.headers)
	c.encoder.SetMaxDynamicTableSize(0)
	var hello bytes.Buffer
	hello.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&hello, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
		http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	_ = framer.WriteWindowUpdate(0, window)
	if _, err = raw.Write(hello.Bytes()); err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

// open begins a call and returns its stream.
func (c *connection) open(path string, more ...string) (uint32, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.headers.Reset()
	words := append([]string{":method", "POST", ":scheme", c.scheme, ":path", path, ":authority", "bench",
		"content-type", "application/grpc", "te", "trailers", "user-agent", "weft-bench"}, more...)
	for i := 0; i < len(words); i += 2 {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: words[i], Value: words[i+1]}); err != nil {
			return 0, err
		}
	}
	stream := c.next
	c.next += 2
	c.streamCredit = c.firstCredit
	return stream, c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.headers.Bytes(), EndHeaders: true})
}

// send writes one gRPC message with one system call.
func (c *connection) send(stream uint32, message []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	out := make([]byte, 0, len(message)+64)
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	c.credit -= int64(len(body))
	c.streamCredit -= int64(len(body))
	if c.credit < 0 || c.streamCredit < 0 {
		return errors.New("the server's window is used up")
	}
	for len(body) > 0 {
		part := body[:min(len(body), 16384)]
		body = body[len(part):]
		out = append(out, byte(len(part)>>16), byte(len(part)>>8), byte(len(part)), byte(http2.FrameData), 0)
		out = append(binary.BigEndian.AppendUint32(out, stream), part...)
	}
	_, err := c.net.Write(out)
	return err
}

// sendAll sends one gRPC message of any length and ends the stream, waiting for the server's windows; only where nobody
// else reads from the connection.
func (c *connection) sendAll(stream uint32, message []byte) error {
	body := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	for len(body) > 0 {
		part := body[:min(len(body), 16384)]
		for c.credit < int64(len(part)) || c.streamCredit < int64(len(part)) {
			frame, err := c.framer.ReadFrame()
			if err == nil {
				err = c.take(frame)
			}
			if err != nil {
				return err
			}
		}
		body = body[len(part):]
		c.credit -= int64(len(part))
		c.streamCredit -= int64(len(part))
		if err := c.framer.WriteData(stream, len(body) == 0, part); err != nil {
			return err
		}
	}
	return nil
}

// receive waits for the next gRPC message, which is good until the next call; io.EOF when the call has ended, with what
// its last headers say in the error if they were not read as such.
func (c *connection) receive() ([]byte, error) {
	if used := c.messageLength(); used > 0 {
		c.pending = append(c.pending[:0], c.pending[used:]...)
	}
	for c.messageLength() == 0 {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		if err = c.take(frame); err != nil {
			return nil, err
		}
	}
	return c.pending[prefixBytes:c.messageLength()], nil
}

// messageLength is that of the first message in pending with its prefix; 0 while it is not whole.
func (c *connection) messageLength() int {
	if len(c.pending) < prefixBytes {
		return 0
	}
	length := prefixBytes + int(binary.BigEndian.Uint32(c.pending[1:prefixBytes]))
	if len(c.pending) < length {
		return 0
	}
	return length
}

func (c *connection) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.DataFrame:
		c.pending = append(c.pending, f.Data()...)
		if len(c.pending) > maxMessage {
			return errors.New("a message is too large")
		}
		if f.StreamEnded() {
			return io.EOF
		}
	case *http2.MetaHeadersFrame:
		if f.StreamEnded() {
			return endOf(f)
		}
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		return c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.writing.Lock()
			defer c.writing.Unlock()
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		c.writing.Lock()
		defer c.writing.Unlock()
		if f.StreamID == 0 {
			c.credit += int64(f.Increment)
		} else {
			c.streamCredit += int64(f.Increment)
		}
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the server reset the stream: %v", f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Errorf("the server goes away: %v", f.ErrCode)
	}
	return nil
}

func (c *connection) settings(f *http2.SettingsFrame) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if value, ok := f.Value(http2.SettingInitialWindowSize); ok {
		c.streamCredit += int64(value) - c.firstCredit
		c.firstCredit = int64(value)
	}
	return c.framer.WriteSettingsAck()
}

// endOf says how a call ended: io.EOF for OK.
func endOf(f *http2.MetaHeadersFrame) error {
	status, message := "", ""
	for _, field := range f.Fields {
		switch field.Name {
		case "grpc-status":
			status = field.Value
		case "grpc-message":
			message = field.Value
		}
	}
	if status == "0" {
		return io.EOF
	}
	return fmt.Errorf("the call ended with status %q: %s", status, message)
}

func (c *connection) close() { c.net.Close() }
