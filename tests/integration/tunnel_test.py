"""Tunnels over both versions: Upgrade, WebSocket over an HTTP/2 stream; and what a backend's GOAWAY and refused streams
mean for requests under way."""

import base64
import collections
import hashlib
import socket
import unittest

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import Backend, Reply
from tests.integration.harness.proxy import Proxy, under_test

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
UPGRADE = b"GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n"


class Tunnels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        listeners = [
            bootstrap.http_listener("web", [bootstrap.route("backend", timeout="0s")], upgrade_configs=[{"upgrade_type": "websocket"}, {"upgrade_type": "echo"}],
                                    http2_protocol_options={"allow_connect": True}),
        ]
        clusters = [bootstrap.cluster("backend", [cls.backend.address])]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters)))

    def exactly(self, client, data):
        self.assertEqual(data, client.reader.exactly(len(data)))

    def test_an_upgrade_over_http_1(self):
        self.backend.script(Reply(SWITCH, then="tunnel"))
        with http1.Client(self.proxy.addresses["web"]) as client:
            client.send(UPGRADE)
            self.assertEqual(101, client.response().status)
            for data in (b"ping", b"x" * 100000, b"\0\r\n\r\n"):
                client.send(data)
                self.exactly(client, data)
            client.half_close()
            self.assertTrue(client.reader.at_end())

    def test_the_first_bytes_may_come_with_the_101(self):
        self.backend.script(Reply(SWITCH + b"first", then="tunnel"))
        with http1.Client(self.proxy.addresses["web"]) as client:
            client.send(UPGRADE)
            self.assertEqual(101, client.response().status)
            self.exactly(client, b"first")
            client.send(b"second")
            self.exactly(client, b"second")

    def test_an_upgrade_over_an_http_2_stream(self):
        self.backend.script(Reply(SWITCH.replace(b"websocket", b"echo"), then="tunnel"))
        with http2.Client(self.proxy.addresses["web"]) as client:
            self.assertTrue(client.wait(lambda: client.settings))
            self.assertEqual(1, client.settings.get(8), "SETTINGS_ENABLE_CONNECT_PROTOCOL")
            stream = client.start("CONNECT", "/chat", [(":protocol", "echo")], body=b"hello", end=False)
            self.assertTrue(client.wait(lambda: stream.body == b"hello" or stream.ended))
            self.assertEqual((200, b"hello"), (stream.status, stream.body))
            client.send_body(stream.number, b" again", end=False)
            self.assertTrue(client.wait(lambda: stream.body == b"hello again"))
            request = self.backend.requests[-1]
            self.assertEqual(("GET /chat HTTP/1.1", "echo"), (request.start, request.get("upgrade")))

    def test_connect_where_it_is_not_configured(self):
        with http1.Client(self.proxy.addresses["web"]) as client:
            client.send(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
            self.assertIn(client.response("CONNECT").status, (403, 404, 405))


@unittest.skipIf(under_test() == "envoy", "Envoy leaves the proof to the two ends")
class WebSocketHandshakes(unittest.TestCase):
    """HTTP/1's WebSocket handshake has a proof in it, HTTP/2's has none: where they meet, the proxy gives and checks it."""

    # RFC 6455, 1.3.
    KEY, PROOF = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    @classmethod
    def setUpClass(cls):
        cls.keys = []
        cls.listener = cls.enterClassContext(socket.create_server(("127.0.0.1", 0)))
        cls.listener.settimeout(http1.WAIT_LIMIT_S)
        # The far proxy takes extended CONNECT; the near one makes it of what HTTP/1 clients ask.
        cls.far = cls.proxy_to(cls.listener.getsockname(), http2=False)
        cls.near = cls.proxy_to(cls.far.addresses["web"], http2=True)

    @classmethod
    def proxy_to(cls, address, http2):
        listener = bootstrap.http_listener("web", [bootstrap.route("x", timeout="0s")], upgrade_configs=[{"upgrade_type": "websocket"}],
                                           http2_protocol_options={"allow_connect": True})
        return cls.enterClassContext(Proxy(bootstrap.bootstrap([listener], [bootstrap.cluster("x", [address], http2=http2)])))

    @staticmethod
    def proof(key):
        return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()

    def handshake(self, answer):
        """Plays the backend of one handshake; the key that came."""
        sock, _ = self.listener.accept()
        self.addCleanup(sock.close)
        sock.settimeout(http1.WAIT_LIMIT_S)
        reader = http1.Reader(sock)
        self.assertEqual("GET /chat HTTP/1.1", reader.line().decode())
        key = dict(http1.read_fields(reader))["sec-websocket-key"]
        sock.sendall(answer(key))
        return key

    def accept(self, key):
        return SWITCH[:-2] + f"Sec-WebSocket-Accept: {self.proof(key)}\r\n\r\n".encode()

    def answered(self, answer):
        """An extended CONNECT, and what becomes of the backend's answer(key)."""
        with http2.Client(self.far.addresses["web"]) as client:
            self.assertTrue(client.wait(lambda: client.settings))
            stream = client.start("CONNECT", "/chat", [(":protocol", "websocket"), ("sec-websocket-version", "13")], end=False)
            self.keys.append(self.handshake(answer))
            self.assertTrue(client.wait(lambda: stream.status or stream.ended))
            if stream.status != 200:
                self.assertTrue(client.wait(lambda: stream.ended))
            return stream

    def test_from_http_2_each_handshake_has_a_key_of_its_own(self):
        for _ in range(2):
            stream = self.answered(self.accept)
            self.assertEqual((200, None), (stream.status, stream.get("sec-websocket-accept")))
        one, other = self.keys[-2:]
        self.assertNotEqual(one, other)
        self.assertEqual([16, 16], [len(base64.b64decode(key, validate=True)) for key in (one, other)])

    def test_from_http_2_a_wrong_proof_is_a_502(self):
        for answer in (SWITCH, SWITCH[:-2] + f"Sec-WebSocket-Accept: {self.PROOF}\r\n\r\n".encode()):
            stream = self.answered(lambda key, answer=answer: answer)
            self.assertEqual(502, stream.status)
            self.assertIn(b"Sec-WebSocket-Accept", stream.body)

    def test_from_http_2_a_200_is_no_tunnel(self):
        stream = self.answered(lambda key: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.assertEqual(502, stream.status)
        self.assertIn(b"did not switch", stream.body)

    def test_from_http_2_a_refusal_arrives(self):
        stream = self.answered(lambda key: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual((403, b"no"), (stream.status, stream.body))

    def test_to_http_2_the_proof_is_ours(self):
        with http1.Client(self.near.addresses["web"]) as client:
            client.send(UPGRADE.replace(b"AAAA", self.KEY.encode()))
            self.assertNotEqual(self.KEY, self.handshake(self.accept))
            response = client.response()
            self.assertEqual((101, self.PROOF), (response.status, response.get("sec-websocket-accept")))

    def test_to_an_endpoint_without_extended_connect_is_a_502(self):
        with http2.Backend() as backend, http1.Client(self.proxy_to(backend.address, http2=True).addresses["web"]) as client:
            client.send(UPGRADE)
            self.assertEqual(502, client.response().status)

    def test_to_http_2_without_a_key_is_a_400(self):
        with http1.Client(self.near.addresses["web"]) as client:
            client.send(UPGRADE.replace(b"Sec-WebSocket-Key: AAAA\r\n", b""))
            response = client.response()
            self.assertEqual(400, response.status)
            self.assertIn(b"Sec-WebSocket-Key", response.body)


class Refusals(unittest.TestCase):
    """What was provably not processed is sent elsewhere, whatever the method and without any policy."""

    def setUp(self):
        self.plan = collections.deque()
        self.backend = self.enterContext(http2.Backend(lambda stream: self.plan.popleft() if self.plan and stream.complete else http2.Reply()))
        listeners = [bootstrap.http_listener("http", [bootstrap.route("x", retry_policy={"retry_on": "refused-stream", "num_retries": 1})])]
        self.proxy = self.enterContext(Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("x", [self.backend.address], http2=True)])))

    def ask(self):
        with http2.Client(self.proxy.addresses["http"]) as client:
            return client.request("POST", "/", body=b"hello")

    def test_a_refused_stream_is_sent_again(self):
        self.plan.append(http2.Reply(reset=http2.h2.errors.ErrorCodes.REFUSED_STREAM))
        self.assertEqual((200, b"ok"), (lambda g: (g.status, g.body))(self.ask()))
        self.assertEqual([b"hello"] * 2, [s.body for s in self.backend.streams])

    def test_after_a_goaway_a_new_connection_is_used(self):
        self.plan.append(http2.Reply(go_away=True))
        self.assertEqual(200, self.ask().status)
        self.assertEqual(200, self.ask().status)
        self.assertEqual(2, self.backend.connections)


if __name__ == "__main__":
    unittest.main()
