"""HTTP/2 ends that a test plays itself, on the h2 library: a client connection and a recording backend."""

import dataclasses
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.integration.harness.http1 import WAIT_LIMIT_S

WINDOW = 2**20


@dataclasses.dataclass
class Stream:
    """One request and its answer, seen from either side. Header lists are pairs of text."""

    number: int = 0
    headers: list = dataclasses.field(default_factory=list)
    interim: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    complete: bool = False
    reset: object = None
    connection: int = 0

    def get(self, name):
        values = [v for n, v in self.headers if n == name]
        return ", ".join(values) if values else None

    @property
    def status(self):
        return int(self.get(":status") or 0)

    @property
    def ended(self):
        return self.complete or self.reset is not None


def text(headers):
    return [(n.decode("latin-1") if isinstance(n, bytes) else n, v.decode("latin-1") if isinstance(v, bytes) else v) for n, v in headers]


class Connection(h2.connection.H2Connection):
    """The library's, but a graceful GOAWAY does not end the streams that are open."""

    def _receive_goaway_frame(self, frame):
        if frame.error_code != h2.errors.ErrorCodes.NO_ERROR:
            return super()._receive_goaway_frame(frame)
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = h2.errors.ErrorCodes.NO_ERROR, frame.last_stream_id
        return [], [event]


class _End:
    """What both sides share: the library's connection, its socket, and the streams seen on it."""

    def __init__(self, sock, client):
        self.sock = sock
        self.h2 = Connection(h2.config.H2Configuration(client_side=client, header_encoding=None, validate_inbound_headers=False, validate_outbound_headers=False,
                                                                       normalize_outbound_headers=False))
        self.h2.initiate_connection()
        self.streams = {}
        self.goaway = None
        self.closed = False
        self.settings = {}
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def read(self):
        """Reads once and takes in what came; the streams that changed. Sets closed at the end."""
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = True
            return []
        touched = []
        for event in self.h2.receive_data(data):
            number = getattr(event, "stream_id", None)
            stream = self.streams.setdefault(number, Stream(number)) if number else None
            if isinstance(event, (h2.events.RequestReceived, h2.events.ResponseReceived)):
                stream.headers = text(event.headers)
            elif isinstance(event, h2.events.InformationalResponseReceived):
                stream.interim.append(int(dict(text(event.headers))[":status"]))
            elif isinstance(event, h2.events.DataReceived):
                stream.body += event.data
                if event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, h2.events.TrailersReceived):
                stream.trailers = text(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                stream.complete = True
            elif isinstance(event, h2.events.StreamReset):
                stream.reset = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event
            elif isinstance(event, h2.events.RemoteSettingsChanged):
                self.settings.update({k: v.new_value for k, v in event.changed_settings.items()})
            else:
                continue
            if stream:
                touched.append(stream)
        self.flush()
        return touched

    def send_body(self, number, data, end=True):
        """Writes within the peer's windows, reading on while they are closed."""
        while data:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(data))
            if room <= 0:
                self.read()
                if self.closed or self.streams.get(number, Stream()).reset is not None:
                    return
                continue
            self.h2.send_data(number, data[:room])
            self.flush()
            data = data[room:]
        if end:
            self.h2.end_stream(number)
            self.flush()


class Client(_End):
    """A client connection with prior knowledge, or over TLS with ALPN when a context is given."""

    def __init__(self, address, context=None, server_name=None):
        sock = socket.create_connection(address, WAIT_LIMIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            sock = context.wrap_socket(sock, server_hostname=server_name)
        super().__init__(sock, client=True)

    def start(self, method="GET", path="/", headers=(), body=None, authority="a.example", end=True):
        """Sends a request; the stream to wait for."""
        number = self.h2.get_next_available_stream_id()
        stream = self.streams[number] = Stream(number)
        fields = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path), *headers]
        self.h2.send_headers(number, fields, end_stream=end and body is None)
        self.flush()
        if body is not None:
            self.send_body(number, body, end)
        return stream

    def trailers(self, stream, fields):
        self.h2.send_headers(stream.number, fields, end_stream=True)
        self.flush()

    def wait(self, condition):
        """Reads until condition() is true; says whether it is."""
        while not condition():
            if self.closed:
                return False
            self.read()
        return True

    def request(self, *arguments, **keywords):
        stream = self.start(*arguments, **keywords)
        self.wait(lambda: stream.ended)
        return stream

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclasses.dataclass
class Reply:
    """What the backend answers. With reset the stream ends by that code; on_head answers before the body has come;
    go_away says after the answer that no more will be taken."""

    status: int = 200
    headers: tuple = ()
    body: bytes = b"ok"
    trailers: tuple = ()
    reset: object = None
    on_head: bool = False
    go_away: bool = False


class Backend:
    """An HTTP/2 backend on a free loopback port. decide(stream) gives the Reply to each request, on the connection's
    thread; streams has all requests in the order of their heads."""

    def __init__(self, decide=lambda stream: Reply(), context=None):
        self.decide = decide
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = self._listener.getsockname()
        self.streams = []
        self.connections = 0
        self._sockets = []
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def wait_for(self, condition):
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.streams), WAIT_LIMIT_S)

    def close(self):
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            with self._changed:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        try:
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            end = _End(sock, client=False)
            seen, replied = set(), set()
            while not end.closed:
                for stream in end.read():
                    if stream.number not in seen:
                        seen.add(stream.number)
                        stream.connection = number
                        with self._changed:
                            self.streams.append(stream)
                    if stream.number not in replied and stream.reset is None:
                        reply = self.decide(stream)
                        if reply.on_head or stream.complete:
                            replied.add(stream.number)
                            self._reply(end, stream, reply)
                with self._changed:
                    self._changed.notify_all()
        except (OSError, h2.exceptions.H2Error):
            pass
        finally:
            with self._changed:
                self._changed.notify_all()
            sock.close()

    @staticmethod
    def _reply(end, stream, reply):
        if reply.reset is not None:
            end.h2.reset_stream(stream.number, reply.reset)
            end.flush()
            return
        end.h2.send_headers(stream.number, [(":status", str(reply.status)), *reply.headers], end_stream=not reply.body and not reply.trailers)
        end.flush()
        if reply.body:
            end.send_body(stream.number, reply.body, end=not reply.trailers)
        if reply.trailers:
            end.h2.send_headers(stream.number, list(reply.trailers), end_stream=True)
            end.flush()
        if reply.go_away:
            end.h2.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=stream.number)
            end.flush()
