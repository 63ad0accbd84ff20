"""Under faults: peers that are slow, silent, gone, too many or hostile. The proxy goes on serving the others, and its
memory does not grow with what a peer does."""

import os
import resource
import socket
import struct
import subprocess
import threading
import unittest

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import OK, Backend, Reply
from tests.integration.harness.proxy import Proxy, under_test

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
MIB = 1024 * 1024


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def descriptors_at_least(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= count


def until(condition, what, limit_s=15):
    pause = threading.Event()
    for _ in range(int(limit_s / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(f"it never came to this: {what}")


class Stream(threading.Thread):
    """A backend that sends a body of a size, or reads one, at full speed; it serves one connection."""

    def __init__(self, send=0):
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self.sent = 0
        self.received = 0
        self._send = send
        self.start()

    def run(self):
        sock, _ = self._listener.accept()
        self._listener.close()
        buffer = bytearray(MIB)
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(65536)
            if self._send:
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self._send)
                while self.sent < self._send:
                    self.sent += sock.send(memoryview(buffer)[:self._send - self.sent])
            else:
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.received = len(head.split(b"\r\n\r\n", 1)[1])
                while self.received < length:
                    got = sock.recv_into(buffer)
                    if not got:
                        return
                    self.received += got
                sock.sendall(OK)
        except OSError:
            pass
        finally:
            sock.close()


class Memory(unittest.TestCase):
    # What one connection may hold: the buffers of both sides, in the proxy's defaults and those of its allocator.
    ROOM = 24 * MIB
    GIGABYTE = 1024 * MIB

    def start(self, backend, **more):
        return self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x", timeout="0s")], **more)],
                                                           [bootstrap.cluster("x", [backend.address])])))

    def test_a_gigabyte_down_with_flat_memory(self):
        backend = Stream(send=self.GIGABYTE)
        proxy = self.start(backend)
        base = peak = rss_bytes(proxy.process.pid)
        with http1.Client(proxy.addresses["http"]) as client:
            client.send(GET)
            while b"\r\n\r\n" not in client.reader.buffer:
                client.reader.more()
            received = len(client.reader.buffer) - client.reader.buffer.index(b"\r\n\r\n") - 4
            buffer = bytearray(MIB)
            while received < self.GIGABYTE:
                got = client.sock.recv_into(buffer)
                self.assertTrue(got, f"it ended after {received} bytes")
                received += got
                peak = max(peak, rss_bytes(proxy.process.pid))
        self.assertLess(peak - base, self.ROOM)

    def test_a_gigabyte_up_with_flat_memory(self):
        backend = Stream()
        proxy = self.start(backend)
        base = peak = rss_bytes(proxy.process.pid)
        with http1.Client(proxy.addresses["http"]) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % self.GIGABYTE)
            block = bytes(MIB)
            for _ in range(self.GIGABYTE // MIB):
                client.sock.sendall(block)
                peak = max(peak, rss_bytes(proxy.process.pid))
            self.assertEqual(200, client.response().status)
        self.assertEqual(self.GIGABYTE, backend.received)
        self.assertLess(peak - base, self.ROOM)

    def test_a_client_that_never_reads_holds_up_its_own_backend_only(self):
        backend = Stream(send=self.GIGABYTE)
        proxy = self.start(backend)
        base = rss_bytes(proxy.process.pid)
        with http1.Client(proxy.addresses["http"]) as client:
            client.send(GET)
            last = -1

            def stands_still():
                nonlocal last
                before, last = last, backend.sent
                return last > 0 and before == last

            until(stands_still, "the backend waits")
            self.assertLess(backend.sent, 200 * MIB)
            self.assertLess(rss_bytes(proxy.process.pid) - base, self.ROOM)
            self.assertEqual("LIVE", proxy.get_admin("/ready").strip())

    def test_an_http_2_client_that_opens_no_window_holds_up_its_stream_only(self):
        backend = Stream(send=self.GIGABYTE)
        proxy = self.start(backend)
        base = rss_bytes(proxy.process.pid)
        with http2.Client(proxy.addresses["http"]) as client:
            # Data is counted but never acknowledged.
            client.h2.acknowledge_received_data = lambda *_: None
            stream = client.start()
            self.assertTrue(client.wait(lambda: len(stream.body) >= 65535))
            self.assertEqual(65535, len(stream.body))
            self.assertLess(rss_bytes(proxy.process.pid) - base, self.ROOM)
            self.assertLess(backend.sent, 64 * MIB)

    def test_a_backend_that_never_reads_holds_up_its_client(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(http1.WAIT_LIMIT_S)
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x", timeout="0s")])],
                                                                [bootstrap.cluster("x", [server.getsockname()])])))
            base = rss_bytes(proxy.process.pid)
            with http1.Client(proxy.addresses["http"]) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % self.GIGABYTE)
                upstream, _ = server.accept()
                client.sock.settimeout(1)
                sent = 0
                with self.assertRaises(TimeoutError):
                    while True:
                        sent += client.sock.send(bytes(MIB))
                        self.assertLess(sent, 200 * MIB)
                self.assertLess(rss_bytes(proxy.process.pid) - base, self.ROOM)
                upstream.close()


class Many(unittest.TestCase):
    CONNECTIONS = 10000

    def test_ten_thousand_idle_connections(self):
        if not descriptors_at_least(self.CONNECTIONS + 1000):
            self.skipTest("the system allows too few descriptors")
        with Backend() as backend:
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")])], [bootstrap.cluster("x", [backend.address])])))
            base = rss_bytes(proxy.process.pid)
            idle = []
            try:
                for _ in range(self.CONNECTIONS):
                    idle.append(socket.create_connection(proxy.addresses["http"], http1.WAIT_LIMIT_S))
                until(lambda: proxy.counter("http.ingress.downstream_cx_active") >= self.CONNECTIONS, "all are accepted")
                per_connection = (rss_bytes(proxy.process.pid) - base) / self.CONNECTIONS
                if under_test() == "weft":
                    self.assertLess(per_connection, 32 * 1024)
                for sock in idle[::1000]:
                    sock.sendall(GET)
                    self.assertEqual(200, http1.read_response(http1.Reader(sock)).status)
            finally:
                for sock in idle:
                    sock.close()
            until(lambda: proxy.counter("http.ingress.downstream_cx_active") == 0, "all are gone")

    def test_out_of_descriptors_and_back(self):
        with Backend() as backend:
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")])], [bootstrap.cluster("x", [backend.address])])))
            first = http1.Client(proxy.addresses["http"])
            self.addCleanup(first.close)
            first.send(GET)
            self.assertEqual(200, first.response().status)
            in_use = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
            subprocess.run(["prlimit", "--pid", str(proxy.process.pid), f"--nofile={in_use + 20}"], check=True)
            crowd = [socket.create_connection(proxy.addresses["http"], http1.WAIT_LIMIT_S) for _ in range(60)]
            # What is open is served; the connection to the backend is open, too.
            for _ in range(5):
                first.send(GET)
                self.assertEqual(200, first.response().status)
            for sock in crowd:
                sock.close()

            def served():
                try:
                    with http1.Client(proxy.addresses["http"]) as client:
                        client.send(GET)
                        return client.response().start.startswith("HTTP/1.1 200")
                except OSError:
                    return False

            until(served, "it accepts again")

    def test_clients_that_vanish_leave_nothing_behind(self):
        release = threading.Event()

        class Slow(Backend):
            def _next_reply(self):
                release.wait(30)
                return Reply(OK)

        with Slow() as backend:
            self.addCleanup(release.set)
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x", timeout="0s")])],
                                                                [bootstrap.cluster("x", [backend.address])])))
            # By a reset: after an orderly end of its half a client may still wait for the answer.
            for _ in range(20):
                client = http1.Client(proxy.addresses["http"])
                client.send(GET)
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            until(lambda: proxy.counter("http.ingress.downstream_cx_active") == 0, "the connections are gone")
            until(lambda: proxy.counter("cluster.x.upstream_rq_active") == 0, "the requests are gone")


class Slow(unittest.TestCase):
    def test_a_head_that_trickles_is_timed_out(self):
        with Backend() as backend:
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")], request_headers_timeout="0.3s")],
                                                                [bootstrap.cluster("x", [backend.address])])))
            with http1.Client(proxy.addresses["http"]) as client:
                client.send(b"GET / HTTP/1.1\r\nHost:")
                got = client.response()
                self.assertEqual(408, got.status)
                self.assertTrue(client.reader.at_end())
            self.assertEqual([], backend.requests)

    def test_an_idle_connection_is_closed(self):
        with Backend() as backend:
            options = {"common_http_protocol_options": {"idle_timeout": "0.3s"}}
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")], **options)],
                                                                [bootstrap.cluster("x", [backend.address])])))
            with http1.Client(proxy.addresses["http"]) as client:
                client.send(GET)
                self.assertEqual(200, client.response().status)
                self.assertTrue(client.reader.at_end())

    def test_a_body_that_stops_is_timed_out(self):
        with Backend() as backend:
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")], stream_idle_timeout="0.3s")],
                                                                [bootstrap.cluster("x", [backend.address])])))
            with http1.Client(proxy.addresses["http"]) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome")
                self.assertEqual(408, client.response().status)
            until(lambda: proxy.counter("cluster.x.upstream_rq_active") == 0, "the request is gone")

    def test_a_kept_upstream_connection_is_closed_when_idle(self):
        with Backend() as backend:
            options = {bootstrap.HTTP_OPTIONS_NAME: {"@type": bootstrap.HTTP_OPTIONS, "explicit_http_config": {"http_protocol_options": {}},
                                                     "common_http_protocol_options": {"idle_timeout": "0.2s"}}}
            proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")])],
                                                                [bootstrap.cluster("x", [backend.address], typed_extension_protocol_options=options)])))
            with http1.Client(proxy.addresses["http"]) as client:
                client.send(GET)
                self.assertEqual(200, client.response().status)
                until(lambda: proxy.counter("cluster.x.upstream_cx_active") == 0, "the upstream connection is closed")
                client.send(GET)
                self.assertEqual(200, client.response().status)


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS)
# :method GET, :scheme http, :path / from the static table, and :authority a.
REQUEST = b"\x82\x86\x84\x41\x01a"


class Floods(unittest.TestCase):
    """Each attack on HTTP/2 ends with the connection closed, long before it is through, and with flat memory."""

    FRAMES = 200000

    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x", timeout="5s")])],
                                                                    [bootstrap.cluster("x", [cls.backend.address])])))

    def flood(self, opening, make, batch=100, reads=True):
        """Sends what make(i) gives until the proxy closes; the number of rounds that took."""
        # What the kernel holds of answers that nobody reads must not end the flood before the proxy does.
        frames = self.FRAMES if reads else 50 * self.FRAMES
        base = rss_bytes(self.proxy.process.pid)
        with http1.Client(self.proxy.addresses["http"]) as client:
            stop = threading.Event()

            def drain():
                try:
                    while client.sock.recv(65536):
                        pass
                except OSError:
                    pass
                stop.set()

            reader = threading.Thread(target=drain, daemon=True)
            if reads:
                reader.start()
            closed = None
            try:
                client.sock.sendall(PREFACE + opening)
                for i in range(0, frames, batch):
                    client.sock.sendall(b"".join(make(j) for j in range(i, i + batch)))
                    if stop.is_set():
                        closed = i
                        break
            except ConnectionError:
                closed = i
            except TimeoutError:
                pass
            if closed is None and reads:
                closed = self.FRAMES if stop.wait(http1.WAIT_LIMIT_S) else None
        self.assertIsNotNone(closed, "the connection lives on")
        self.assertLess(rss_bytes(self.proxy.process.pid) - base, 32 * MIB)
        with http2.Client(self.proxy.addresses["http"]) as client:
            self.assertEqual(200, client.request().status)
        return closed

    def test_rapid_reset(self):
        self.flood(b"", lambda i: frame(HEADERS, 5, 2 * i + 1, REQUEST) + frame(RST, 0, 2 * i + 1, struct.pack(">I", 8)))

    def test_endless_continuation(self):
        self.flood(frame(HEADERS, 1, 1, REQUEST), lambda i: frame(CONTINUATION, 0, 1, b"\x00\x01a\x7f\x81\x01" + b"b" * 256))

    def test_endless_empty_continuation(self):
        self.flood(frame(HEADERS, 1, 1, REQUEST), lambda i: frame(CONTINUATION, 0, 1))

    def test_settings(self):
        self.flood(b"", lambda i: frame(SETTINGS))

    def test_pings(self):
        self.flood(b"", lambda i: frame(PING, 0, 0, b"12345678"))

    def test_pings_whose_answers_are_not_read(self):
        self.flood(b"", lambda i: frame(PING, 0, 0, b"12345678"), reads=False)

    def test_empty_data(self):
        self.flood(frame(HEADERS, 4, 1, b"\x83" + REQUEST[1:]), lambda i: frame(DATA, 0, 1))

    def test_window_updates_of_one(self):
        self.flood(b"", lambda i: frame(WINDOW, 0, 0, struct.pack(">I", 1)))

    def test_priorities(self):
        self.flood(b"", lambda i: frame(PRIORITY, 0, 2 * (i % 1000) + 1, struct.pack(">IB", 0, 16)))

    def test_a_header_bomb(self):
        """One large field put into the table, then named again and again by one byte each."""
        big = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000
        bomb = REQUEST + big + b"\xbe" * 12000
        client = http1.Client(self.proxy.addresses["http"])
        self.addCleanup(client.close)
        base = rss_bytes(self.proxy.process.pid)
        client.send(PREFACE + frame(HEADERS, 5, 1, bomb))
        client.send(frame(PING, 0, 0, b"are here"))
        seen = b""
        try:
            while b"are here" not in seen:
                part = client.sock.recv(65536)
                if not part:
                    break
                seen += part
        except ConnectionError:
            pass
        self.assertLess(rss_bytes(self.proxy.process.pid) - base, 32 * MIB)
        self.assertFalse([r for r in self.backend.requests if r.get("a")])


if __name__ == "__main__":
    unittest.main()
