"""CONNECT that ends at the proxy: it answers 200 once its connection to the cluster stands, and carries raw bytes from then
on; and CONNECT that is passed on as CONNECT."""

import json
import socket
import struct
import threading
import unittest

import h2.errors

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import Backend, Reply
from tests.integration.harness.proxy import Proxy

CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
PREVIOUS_HOSTS = {"name": "previous", "typed_config": {"@type": bootstrap.TYPE + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}
ENDED_HERE = [{"upgrade_type": "CONNECT", "connect_config": {}}]
REQUEST_TIMEOUT_S = 0.3
RESET = struct.pack("ii", 1, 0)


class Peer:
    """The far end of one tunnel, which the test plays itself."""

    def __init__(self, sock):
        self.sock = sock
        self.reader = http1.Reader(sock)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()


class Listener:
    """A TCP server that is no HTTP: accept() gives the next connection."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(http1.WAIT_LIMIT_S)
        self.address = self._listener.getsockname()

    def accept(self):
        sock, _ = self._listener.accept()
        sock.settimeout(http1.WAIT_LIMIT_S)
        return Peer(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def unused_address():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()


def connect_route(cluster, authority, upgrades=None, **action):
    match = {"connect_matcher": {}, "headers": [{"name": ":authority", "string_match": {"exact": authority}}]}
    return {"match": match, "route": {"cluster": cluster, "upgrade_configs": upgrades or ENDED_HERE, **action}}


class Connect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.far = cls.enterClassContext(Listener())
        cls.backend = cls.enterClassContext(Backend())
        routes = [
            connect_route("dead", "dead.example:1"),
            connect_route("retried", "retried.example:1", retry_policy={"retry_on": "connect-failure", "num_retries": 3,
                                                                        "retry_host_predicate": [PREVIOUS_HOSTS]}),
            connect_route("forward", "forward.example:1", upgrades=[{"upgrade_type": "CONNECT"}]),
            connect_route("far", "idle.example:1", idle_timeout="0.2s"),
            {"match": {"connect_matcher": {}}, "route": {"cluster": "far", "upgrade_configs": ENDED_HERE}},
            bootstrap.route("forward"),
        ]
        log = {"name": "log", "typed_config": {"@type": bootstrap.STDOUT_LOG, "log_format": {"text_format_source": {"inline_string":
               '{"log":"%REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS%","in":%BYTES_RECEIVED%,"out":%BYTES_SENT%,"to":"%UPSTREAM_HOST%"}\n'}}}}
        listener = bootstrap.http_listener("http", routes, upgrade_configs=[{"upgrade_type": "CONNECT"}],
                                           http2_protocol_options={"allow_connect": True}, access_log=[log],
                                           request_timeout=f"{REQUEST_TIMEOUT_S}s")
        clusters = [bootstrap.cluster("far", [cls.far.address]), bootstrap.cluster("dead", [unused_address()]),
                    bootstrap.cluster("retried", [unused_address(), cls.far.address]), bootstrap.cluster("forward", [cls.backend.address])]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([listener], clusters)))

    def client(self):
        return self.enterContext(http1.Client(self.proxy.addresses["http"]))

    def tunnel(self, authority="a.example:443", early=b""):
        """An HTTP/1 client in a tunnel, and the tunnel's far end."""
        client = self.client()
        client.send(CONNECT.replace(b"a.example:443", authority.encode()) + early)
        response = client.response("CONNECT")
        self.assertEqual((200, None, None), (response.status, response.get("content-length"), response.get("transfer-encoding")))
        return client, self.far_end()

    def far_end(self):
        far = self.far.accept()
        self.addCleanup(far.sock.close)
        return far

    def stream(self, client, authority="a.example:443"):
        """Starts a CONNECT on an HTTP/2 connection."""
        number = client.h2.get_next_available_stream_id()
        stream = client.streams[number] = http2.Stream(number)
        client.h2.send_headers(number, [(":method", "CONNECT"), (":authority", authority)])
        client.flush()
        return stream

    def tunnel2(self):
        client = self.enterContext(http2.Client(self.proxy.addresses["http"]))
        stream = self.stream(client)
        self.assertTrue(client.wait(lambda: stream.status or stream.ended))
        self.assertEqual(200, stream.status)
        return client, stream, self.far_end()

    def exactly(self, reader, data):
        self.assertEqual(data, reader.exactly(len(data)))

    def until_counter(self, name, value):
        pause = threading.Event()
        for _ in range(400):
            if self.proxy.counter(name) == value:
                return
            pause.wait(0.02)
        self.assertEqual(value, self.proxy.counter(name), name)

    def test_bytes_go_both_ways_over_http_1(self):
        client, far = self.tunnel(early=b"early")
        self.exactly(far.reader, b"early")
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0\xff" * 200000):
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            self.exactly(far.reader, data)
            sender.join()
            sender = threading.Thread(target=far.sock.sendall, args=(data,))
            sender.start()
            self.exactly(client.reader, data)
            sender.join()

    def test_bytes_go_both_ways_over_http_2(self):
        client, stream, far = self.tunnel2()
        client.send_body(stream.number, b"hello", end=False)
        self.exactly(far.reader, b"hello")
        data = b"xyz" * 100000
        sender = threading.Thread(target=far.sock.sendall, args=(data,))
        sender.start()
        self.assertTrue(client.wait(lambda: len(stream.body) == len(data) or stream.ended))
        sender.join()
        self.assertEqual(data, stream.body)

    def test_the_far_end_may_speak_first(self):
        client, far = self.tunnel()
        far.sock.sendall(b"220 ready\r\n")
        self.exactly(client.reader, b"220 ready\r\n")

    def test_the_client_ends_its_half_first(self):
        client, far = self.tunnel()
        client.send(b"question")
        client.half_close()
        self.assertEqual(b"question", far.reader.rest())
        far.sock.sendall(b"answer")
        far.sock.close()
        self.assertEqual(b"answer", client.reader.rest())

    def test_the_far_end_ends_its_half_first(self):
        client, far = self.tunnel()
        far.sock.sendall(b"greeting")
        far.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(b"greeting", client.reader.rest())
        data = b"z" * 1000000
        sender = threading.Thread(target=lambda: (client.send(data), client.half_close()))
        sender.start()
        self.assertEqual(len(data), len(far.reader.rest()))
        sender.join()

    def test_halves_end_apart_over_http_2(self):
        client, stream, far = self.tunnel2()
        far.sock.shutdown(socket.SHUT_WR)
        self.assertTrue(client.wait(lambda: stream.ended))
        self.assertIsNone(stream.reset)
        client.send_body(stream.number, b"still here", end=True)
        self.assertEqual(b"still here", far.reader.rest())

    def test_a_refused_connection_is_a_503_with_its_cause(self):
        client = self.client()
        client.send(CONNECT.replace(b"a.example:443", b"dead.example:1"))
        response = client.response("CONNECT")
        self.assertEqual(503, response.status)
        self.assertIn(b"refused", response.body)
        with http2.Client(self.proxy.addresses["http"]) as client2:
            stream = self.stream(client2, "dead.example:1")
            self.assertTrue(client2.wait(lambda: stream.ended))
            self.assertEqual(503, stream.status)
            self.assertIn(b"refused", stream.body)

    def test_another_host_is_tried_as_the_policy_says(self):
        for _ in range(2):  # Wherever round robin begins.
            client, far = self.tunnel("retried.example:1", early=b"kept")
            self.exactly(far.reader, b"kept")
            client.close()

    def test_a_reset_of_the_far_end_resets_the_client(self):
        client, far = self.tunnel()
        client.send(b"x")
        self.exactly(far.reader, b"x")
        far.reset()
        with self.assertRaises(ConnectionResetError):
            client.sock.recv(1)
        client, stream, far = self.tunnel2()
        far.reset()
        self.assertTrue(client.wait(lambda: stream.ended))
        self.assertEqual(h2.errors.ErrorCodes.CONNECT_ERROR, stream.reset)

    def test_a_reset_of_the_client_resets_the_far_end(self):
        client, far = self.tunnel()
        client.send(b"x")
        self.exactly(far.reader, b"x")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        with self.assertRaises(ConnectionResetError):
            far.sock.recv(1)
        client, stream, far = self.tunnel2()
        client.h2.reset_stream(stream.number, h2.errors.ErrorCodes.CANCEL)
        client.flush()
        with self.assertRaises(ConnectionResetError):
            far.sock.recv(1)

    def test_an_idle_tunnel_ends(self):
        client, far = self.tunnel("idle.example:1")
        with self.assertRaises(ConnectionResetError):
            client.sock.recv(1)
        with self.assertRaises(ConnectionResetError):
            far.sock.recv(1)

    def test_the_time_for_a_request_ends_with_the_answer(self):
        client, far = self.tunnel()
        client.sock.settimeout(3 * REQUEST_TIMEOUT_S)
        with self.assertRaises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(http1.WAIT_LIMIT_S)
        far.sock.sendall(b"still here")
        self.exactly(client.reader, b"still here")

    def test_a_sender_that_is_too_fast_waits(self):
        client, far = self.tunnel()
        client.sock.settimeout(0.5)
        sent = 0
        with self.assertRaises(TimeoutError):
            for _ in range(1000):
                sent += client.sock.send(b"x" * 65536)
        self.assertLess(sent, 32 * 2**20)
        client.sock.settimeout(http1.WAIT_LIMIT_S)
        client.half_close()
        self.assertEqual(sent, len(far.reader.rest()))

    def test_metrics_and_the_log_tell_of_it(self):
        self.until_counter("http.ingress.downstream_cx_upgrades_active", 0)
        total = self.proxy.counter("http.ingress.downstream_cx_upgrades_total")
        connections = self.proxy.counter("cluster.far.upstream_cx_total")
        lines = len(self.proxy.output.lines())
        client, far = self.tunnel()
        self.assertEqual(1, self.proxy.counter("http.ingress.downstream_cx_upgrades_active"))
        self.assertEqual(1, self.proxy.counter("cluster.far.upstream_cx_active"))
        client.send(b"1234567")
        client.half_close()
        self.assertEqual(b"1234567", far.reader.rest())
        far.sock.sendall(b"123")
        far.sock.close()
        self.assertEqual(b"123", client.reader.rest())
        client.close()
        self.until_counter("http.ingress.downstream_cx_upgrades_active", 0)
        self.until_counter("cluster.far.upstream_cx_active", 0)
        self.assertEqual(total + 1, self.proxy.counter("http.ingress.downstream_cx_upgrades_total"))
        self.assertEqual(connections + 1, self.proxy.counter("cluster.far.upstream_cx_total"))
        self.assertTrue(self.proxy.output.wait_for(lambda out: any('"in":7' in line for line in out[lines:])))
        line = next(line for line in self.proxy.output.lines()[lines:] if '"in":7' in line)
        self.assertEqual({"log": "CONNECT 200 -", "in": 7, "out": 3, "to": "%s:%d" % self.far.address}, json.loads(line))

    def test_without_connect_config_it_is_passed_on(self):
        self.backend.script(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        client = self.client()
        client.send(CONNECT.replace(b"a.example:443", b"forward.example:1"))
        self.assertEqual(403, client.response("CONNECT").status)
        self.assertEqual("CONNECT forward.example:1 HTTP/1.1", self.backend.requests[-1].start)
        self.backend.script(Reply(b"HTTP/1.1 200 OK\r\n\r\n", then="tunnel"))
        client = self.client()
        client.send(CONNECT.replace(b"a.example:443", b"forward.example:1"))
        self.assertEqual(200, client.response("CONNECT").status)
        client.send(b"echo")
        self.exactly(client.reader, b"echo")


if __name__ == "__main__":
    unittest.main()
