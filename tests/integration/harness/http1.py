"""HTTP/1 as bytes: strict readers of requests and responses, for the two ends that a test plays itself. They share nothing
with the proxy's parser, so a disagreement between the two shows."""

import dataclasses
import re
import socket

WAIT_LIMIT_S = 8
HEX = re.compile(rb"[0-9A-Fa-f]{1,8}")


class Malformed(Exception):
    """What arrived is no HTTP/1 message in the strict reading of RFC 9112."""


class Truncated(Exception):
    """The peer closed in the middle of a message."""


class Reader:
    """Reads from a socket and keeps all that came, and where the message that is being read began."""

    def __init__(self, sock, record=None):
        self.sock = sock
        self.buffer = bytearray()
        self.ended = False
        self._record = record

    def more(self):
        """Reads once; False at the end of the stream. A reset counts as an end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if self._record and data:
            self._record(data)
        self.buffer += data
        self.ended = self.ended or not data
        return bool(data)

    def line(self):
        """One line without its CRLF."""
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line = bytes(self.buffer[:end + 1])
                if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                    raise Malformed(f"a line does not end with CRLF: {line[:80]!r}")
                del self.buffer[:end + 1]
                return line[:-2]
            if not self.more():
                raise Truncated(f"within a line: {bytes(self.buffer[:80])!r}")

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise Truncated(f"{len(self.buffer)} of {count} bytes")
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def rest(self):
        while self.more():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def at_end(self):
        """Waits for the peer to say more or to close; True when it closed without another byte."""
        return not self.buffer and (self.ended or not self.more())


@dataclasses.dataclass
class Message:
    start: str = ""
    fields: list = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    interim: list = dataclasses.field(default_factory=list)
    framing: str = "none"
    complete: bool = False
    problem: str = ""
    connection: int = 0

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    @property
    def method(self):
        return self.start.split(" ")[0]

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return ", ".join(values) if values else None


def read_fields(reader):
    fields = []
    while True:
        line = reader.line()
        if not line:
            return fields
        name, colon, value = line.partition(b":")
        if not colon or not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
            raise Malformed(f"no header field: {line[:80]!r}")
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise Malformed(f"a control character in a value: {line[:80]!r}")
        fields.append((name.decode(), value.strip(b" \t").decode("latin-1")))


def read_chunked(reader, message):
    message.framing = "chunked"
    while True:
        size_text, _, _ = reader.line().partition(b";")
        if not HEX.fullmatch(size_text):
            raise Malformed(f"no chunk size: {size_text[:80]!r}")
        size = int(size_text, 16)
        if size == 0:
            message.trailers = read_fields(reader)
            return
        # Byte for byte into the message, so that what came before a truncation is seen.
        while size:
            part = reader.exactly(1) + bytes(reader.buffer[:size - 1])
            del reader.buffer[:len(part) - 1]
            message.body += part
            size -= len(part)
        if reader.exactly(2) != b"\r\n":
            raise Malformed("chunk data runs on past its size")


def read_body(reader, message, until_close):
    encodings, lengths = message.all("transfer-encoding"), message.all("content-length")
    if encodings and lengths:
        raise Malformed("both Transfer-Encoding and Content-Length")
    if encodings:
        if [e.lower() for e in encodings] != ["chunked"]:
            raise Malformed(f"Transfer-Encoding {encodings}")
        read_chunked(reader, message)
    elif lengths:
        if len(lengths) > 1 or not re.fullmatch(r"\d{1,15}", lengths[0]):
            raise Malformed(f"Content-Length {lengths}")
        message.framing = "length"
        length = int(lengths[0])
        while len(reader.buffer) < length and reader.more():
            pass
        message.body = bytes(reader.buffer[:length])
        del reader.buffer[:length]
        if len(message.body) < length:
            raise Truncated(f"{len(message.body)} of {length} bytes of the body")
    elif until_close:
        message.framing = "close"
        message.body = reader.rest()


def read_response(reader, method="GET"):
    """One final response with the interim ones before it. A message that breaks off has complete == False and the reason."""
    interim = []
    while True:
        message = Message(interim=interim)
        try:
            message.start = reader.line().decode("latin-1")
            if not re.fullmatch(r"HTTP/1\.[01] [1-9]\d\d( .*)?", message.start):
                raise Malformed(f"no status line: {message.start[:80]!r}")
            message.fields = read_fields(reader)
            if 100 <= message.status < 200 and message.status != 101:
                interim.append(message.status)
                continue
            tunnel = message.status == 101 or (method == "CONNECT" and message.status < 300)
            if not tunnel and method != "HEAD" and message.status not in (204, 304):
                read_body(reader, message, until_close=True)
            message.complete = True
        except (Truncated, Malformed, TimeoutError) as error:
            message.problem = f"{type(error).__name__}: {error}"
        return message


class Client:
    """One client connection whose bytes the test writes itself."""

    def __init__(self, address, limit_s=WAIT_LIMIT_S):
        self.sock = socket.create_connection(address, limit_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = Reader(self.sock)

    def send(self, data):
        """Writes all; a peer that closed is no error here, the answer before that is what counts."""
        try:
            self.sock.sendall(data)
        except ConnectionError:
            pass

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def response(self, method="GET"):
        return read_response(self.reader, method)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
