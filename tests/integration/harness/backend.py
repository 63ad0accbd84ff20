"""A backend that records exactly what arrived and answers what the test scripted."""

import collections
import dataclasses
import select
import socket
import struct
import threading

from tests.integration.harness import http1

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclasses.dataclass
class Reply:
    """What the backend does with one request.

    data          what it writes once the request has arrived whole
    on_head       what it writes when only the head is there; with whole=False it then writes data at once, too
    then          keep, close, or reset the connection afterwards; tunnel echoes what comes
    """

    data: bytes = OK
    on_head: bytes = b""
    whole: bool = True
    then: str = "keep"


class Backend:
    """Listens on a free loopback port until closed. Requests are kept in the order of their arrival, with the number of
    the connection on which they came; raw[connection] has that connection's every byte."""

    def __init__(self, default=OK):
        self.default = default
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = self._listener.getsockname()
        self.requests = []
        self.raw = []
        self.strays = []
        self._script = collections.deque()
        self._sockets = set()
        self._changed = threading.Condition()
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def script(self, *replies):
        """The replies to the next requests, in their order; after those every request gets the default."""
        with self._changed:
            self._script = collections.deque(Reply(r) if isinstance(r, bytes) else r for r in replies)

    def mark(self):
        """A point in the recording, for since()."""
        with self._changed:
            return len(self.requests), [len(r) for r in self.raw], len(self.strays)

    def since(self, mark):
        """(requests, bytes by connection, stray bytes) recorded after the mark."""
        with self._changed:
            requests, lengths, strays = mark
            lengths = lengths + [0] * (len(self.raw) - len(lengths))
            raw = [bytes(r[n:]) for r, n in zip(self.raw, lengths)]
            return self.requests[requests:], [r for r in raw if r], self.strays[strays:]

    def wait_for(self, condition, limit_s=http1.WAIT_LIMIT_S):
        """Waits until condition(requests) is true; says whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.requests), limit_s)

    def close(self):
        with self._changed:
            self._closing = True
            sockets = list(self._sockets)
        self._listener.close()
        for sock in sockets:
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
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                if self._closing:
                    sock.close()
                    return
                self._sockets.add(sock)
                self.raw.append(bytearray())
                number = len(self.raw) - 1
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        def record(data):
            with self._changed:
                self.raw[number] += data
                self._changed.notify_all()

        reader = http1.Reader(sock, record)
        try:
            while self._serve_one(sock, reader, number):
                pass
        except OSError:
            pass
        finally:
            with self._changed:
                self._sockets.discard(sock)
            sock.close()

    def _serve_one(self, sock, reader, number):
        """One request and its reply; False when the connection is done."""
        message = http1.Message(connection=number)
        reply = None
        try:
            if not reader.buffer and not reader.more():
                return False
            message.start = reader.line().decode("latin-1")
            message.fields = http1.read_fields(reader)
            self._add(message)
            reply = self._next_reply()
            if reply.on_head:
                sock.sendall(reply.on_head)
            if reply.whole:
                http1.read_body(reader, message, until_close=False)
                self._complete(message)
        except (http1.Malformed, http1.Truncated) as error:
            with self._changed:
                message.problem = f"{type(error).__name__}: {error}"
                if reply is None:
                    self.strays.append(message.start.encode("latin-1") + bytes(reader.buffer))
                self._changed.notify_all()
            return False
        sock.sendall(reply.data)
        if reply.then == "keep":
            return True
        if reply.then == "tunnel":
            self._tunnel(sock, reader)
        if reply.then == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        # Closing with unread input would be a reset and could take the reply with it.
        sock.shutdown(socket.SHUT_WR)
        while select.select([sock], [], [], http1.WAIT_LIMIT_S)[0] and reader.more():
            reader.buffer.clear()
        return False

    def _tunnel(self, sock, reader):
        while reader.buffer or reader.more():
            sock.sendall(bytes(reader.buffer))
            reader.buffer.clear()

    def _add(self, message):
        with self._changed:
            self.requests.append(message)
            self._changed.notify_all()

    def _complete(self, message):
        with self._changed:
            message.complete = True
            self._changed.notify_all()

    def _next_reply(self):
        with self._changed:
            return self._script.popleft() if self._script else Reply(self.default)
