"""HTTP/1 and HTTP/2 on either side: all four combinations, bodies and trailers, interim answers, resets, gRPC's own
answers, and the TCP proxy."""

import hashlib
import socket
import threading
import unittest

import h2.errors

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import Backend, Reply
from tests.integration.harness.proxy import Proxy, under_test

LARGE = bytes(range(256)) * 4096


class Combinations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.one = cls.enterClassContext(Backend())
        cls.two = cls.enterClassContext(http2.Backend(cls.decide))
        trailers = {"http_protocol_options": {"enable_trailers": True}}
        listeners = [
            bootstrap.http_listener("to_one", [bootstrap.route("one", timeout="20s")], **trailers),
            bootstrap.http_listener("to_two", [bootstrap.route("two", timeout="20s")], **trailers),
        ]
        options = {bootstrap.HTTP_OPTIONS_NAME: {"@type": bootstrap.HTTP_OPTIONS, "explicit_http_config": trailers}}
        clusters = [bootstrap.cluster("one", [cls.one.address], typed_extension_protocol_options=options), bootstrap.cluster("two", [cls.two.address], http2=True)]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters)))

    @staticmethod
    def decide(stream):
        path = stream.get(":path")
        if path == "/large":
            return http2.Reply(body=LARGE)
        if path == "/trailers":
            return http2.Reply(trailers=(("x-sum", "1"),))
        if path == "/refused":
            return http2.Reply(reset=http2.h2.errors.ErrorCodes.INTERNAL_ERROR)
        if path == "/hash":
            return http2.Reply(body=hashlib.sha256(stream.body).hexdigest().encode())
        if path == "/empty":
            return http2.Reply(status=204, body=b"")
        if path == "/status":
            return http2.Reply(status=503, headers=(("x-why", "because"),), body=b"no")
        return http2.Reply(headers=(("x-path", path),))

    def h1(self, listener, method="GET", path="/", headers=(), body=b""):
        with http1.Client(self.proxy.addresses[listener]) as client:
            lines = [f"{method} {path} HTTP/1.1", "Host: a.example", *headers]
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            return client.response(method)

    def h2(self, listener, *arguments, **keywords):
        with http2.Client(self.proxy.addresses[listener]) as client:
            return client.request(*arguments, **keywords)

    def test_one_to_two(self):
        got = self.h1("to_two", path="/a?b", headers=["X-A: 1", "Connection: keep-alive", "Keep-Alive: 5"])
        self.assertEqual((200, b"ok", "/a?b"), (got.status, got.body, got.get("x-path")))
        seen = self.two.streams[-1]
        self.assertEqual(("a.example", "1", "/a?b", "GET"), tuple(map(seen.get, (":authority", "x-a", ":path", ":method"))))
        self.assertFalse({n for n, _ in seen.headers} & {"host", "connection", "keep-alive", "transfer-encoding"})

    def test_two_to_one(self):
        got = self.h2("to_one", path="/a?b", headers=[("x-a", "1")])
        self.assertEqual((200, b"ok"), (got.status, got.body))
        self.assertFalse({n for n, _ in got.headers} & {"connection", "transfer-encoding"})
        seen = self.one.requests[-1]
        self.assertEqual(("GET /a?b HTTP/1.1", "a.example", "1"), (seen.start, seen.get("host"), seen.get("x-a")))

    def test_two_to_two(self):
        got = self.h2("to_two", path="/a")
        self.assertEqual((200, b"ok", "/a"), (got.status, got.body, got.get("x-path")))

    def test_statuses_and_headers_come_back(self):
        self.assertEqual((503, b"no", "because"), (lambda g: (g.status, g.body, g.get("x-why")))(self.h1("to_two", path="/status")))
        self.assertEqual((503, b"no", "because"), (lambda g: (g.status, g.body, g.get("x-why")))(self.h2("to_two", path="/status")))

    def test_answers_without_a_body(self):
        self.assertEqual(204, self.h1("to_two", path="/empty").status)
        self.assertEqual((204, b"", True), (lambda g: (g.status, g.body, g.complete))(self.h2("to_two", path="/empty")))
        self.one.script(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual((204, b"", True), (lambda g: (g.status, g.body, g.complete))(self.h2("to_one")))

    def test_head(self):
        self.one.script(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")
        got = self.h2("to_one", method="HEAD")
        self.assertEqual((200, "77", b"", True), (got.status, got.get("content-length"), got.body, got.complete))

    def test_large_answers(self):
        self.assertEqual(LARGE, self.h1("to_two", path="/large").body)
        self.assertEqual(LARGE, self.h2("to_two", path="/large").body)
        self.one.script(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE)
        self.assertEqual(LARGE, self.h2("to_one").body)
        self.one.script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(LARGE) + LARGE + b"\r\n0\r\n\r\n")
        self.assertEqual(LARGE, self.h1("to_one").body)

    def test_large_requests(self):
        digest = hashlib.sha256(LARGE).hexdigest().encode()
        self.assertEqual(digest, self.h2("to_two", method="POST", path="/hash", body=LARGE).body)
        self.assertEqual(digest, self.h1("to_two", "POST", "/hash", [f"Content-Length: {len(LARGE)}"], LARGE).body)
        chunks = b"".join(b"%x\r\n" % len(LARGE[i:i + 10000]) + LARGE[i:i + 10000] + b"\r\n" for i in range(0, len(LARGE), 10000)) + b"0\r\n\r\n"
        self.assertEqual(digest, self.h1("to_two", "POST", "/hash", ["Transfer-Encoding: chunked"], chunks).body)
        self.assertEqual(200, self.h2("to_one", method="POST", body=LARGE).status)
        self.assertEqual(LARGE, self.one.requests[-1].body)
        self.assertEqual("chunked", self.one.requests[-1].framing)

    def test_a_content_length_stays(self):
        self.assertEqual(200, self.h2("to_one", method="POST", headers=[("content-length", "5")], body=b"hello").status)
        self.assertEqual(("5", b"hello"), (self.one.requests[-1].get("content-length"), self.one.requests[-1].body))

    def test_a_body_that_belies_its_length_is_refused(self):
        for length in ("3", "9"):
            with self.subTest(length=length):
                before = len(self.one.requests)
                got = self.h2("to_one", method="POST", headers=[("content-length", length)], body=b"hello")
                self.assertTrue(got.reset is not None or got.status == 400, got)
                self.assertFalse([r for r in self.one.requests[before:] if r.complete])

    def test_trailers_of_an_answer(self):
        self.assertEqual([("x-sum", "1")], self.h2("to_two", path="/trailers").trailers)
        self.one.script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
        self.assertEqual([("x-sum", "1")], self.h2("to_one").trailers)
        self.assertEqual([("x-sum", "1")], [(n.lower(), v) for n, v in self.h1("to_two", path="/trailers", headers=["TE: trailers"]).trailers])

    def test_trailers_of_a_request(self):
        with http2.Client(self.proxy.addresses["to_two"]) as client:
            stream = client.start("POST", "/t", body=b"hello", end=False)
            client.trailers(stream, [("x-sum", "2")])
            self.assertTrue(client.wait(lambda: stream.ended))
        self.assertEqual([("x-sum", "2")], self.two.streams[-1].trailers)

    def test_an_interim_answer(self):
        self.one.script(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        got = self.h2("to_one")
        self.assertEqual((200, b"ok"), (got.status, got.body))

    def test_many_streams_at_once(self):
        with http2.Client(self.proxy.addresses["to_one"]) as client:
            streams = [client.start(path=f"/{i}") for i in range(50)]
            self.assertTrue(client.wait(lambda: all(s.ended for s in streams)))
        self.assertEqual([200] * 50, [s.status for s in streams])

    def test_a_reset_of_the_backend_is_an_answer_or_a_reset(self):
        got = self.h1("to_two", path="/refused")
        self.assertIn(got.status, (502, 503))
        got = self.h2("to_two", path="/refused")
        self.assertTrue(got.reset is not None or got.status in (502, 503), got)

    def test_a_backend_that_closes_half_way_resets_the_stream_only(self):
        self.one.script(Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then="close"))
        with http2.Client(self.proxy.addresses["to_one"]) as client:
            broken = client.request()
            self.assertIsNotNone(broken.reset)
            self.assertIn(broken.body, (b"", b"half"))
            self.assertEqual(200, client.request().status)

    def test_a_client_that_resets_frees_the_backend(self):
        started = len(self.two.streams)
        with http2.Client(self.proxy.addresses["to_two"]) as client:
            stream = client.start("POST", "/never", body=b"some", end=False)
            self.assertTrue(self.two.wait_for(lambda streams: len(streams) > started))
            client.h2.reset_stream(stream.number, http2.h2.errors.ErrorCodes.CANCEL)
            client.flush()
            self.assertTrue(self.two.wait_for(lambda streams: streams[started].reset is not None))
            self.assertEqual(200, client.request().status)

    def test_cookies_are_one_field_in_http_1(self):
        self.h2("to_one", headers=[("cookie", "a=1"), ("cookie", "b=2")])
        self.assertEqual(["a=1; b=2"], self.one.requests[-1].all("cookie"))

    def test_connection_fields_are_refused_in_http_2(self):
        got = self.h2("to_one", headers=[("connection", "close")])
        self.assertTrue(got.reset is not None or got.status in (0, 400), got)

    def test_header_injection_through_http_2_is_refused(self):
        before = len(self.one.requests)
        for name, value in (("x-a", "b\r\nx-c: d"), ("x-a", "b\nx-c: d"), ("x-a", "b\0c"), ("x-a\r\nx-c", "d"), ("x a", "b"), ("X-A", "b"),
                            (":path", "/ HTTP/1.1\r\nx-c: d"), ("transfer-encoding", "chunked")):
            with self.subTest(name=name, value=value):
                try:
                    got = self.h2("to_one", headers=[(name, value)])
                    self.assertTrue(got.reset is not None or got.status in (0, 400), got)
                except ConnectionError:
                    pass
                except TimeoutError:
                    # Envoy leaves the stream of a second :path open.
                    self.assertEqual("envoy", under_test())
        self.assertEqual([], [r.start for r in self.one.requests[before:]])


class Malformed(unittest.TestCase):
    """A request over HTTP/2 that is not valid ends its connection, or its stream alone, as the configuration says."""

    def listener(self, name, **options):
        return bootstrap.http_listener(name, [bootstrap.route("one")], http2_protocol_options=options)

    def test_what_ends(self):
        with Backend() as backend:
            listeners = [self.listener("all"), self.listener("alone", override_stream_error_on_invalid_http_message=True)]
            with Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("one", [backend.address])])) as proxy:
                with http2.Client(proxy.addresses["alone"]) as client:
                    self.assertEqual(h2.errors.ErrorCodes.PROTOCOL_ERROR, client.request(headers=[("X-A", "b")]).reset)
                    self.assertEqual(200, client.request().status)
                with http2.Client(proxy.addresses["all"]) as client:
                    client.start(headers=[("X-A", "b")])
                    self.assertFalse(client.wait(lambda: False))
                    if under_test() == "weft":
                        self.assertEqual(h2.errors.ErrorCodes.PROTOCOL_ERROR, client.goaway.error_code)
                self.assertEqual(1, len(backend.requests))


class Grpc(unittest.TestCase):
    """What the proxy itself answers to gRPC is gRPC."""

    def test_an_answer_of_our_own_is_a_grpc_status(self):
        free = socket.create_server(("127.0.0.1", 0))
        address = free.getsockname()
        free.close()
        listeners = [bootstrap.http_listener("http", [bootstrap.route("gone", prefix="/gone"), {"match": {"prefix": "/denied"}, "direct_response": {"status": 403}}])]
        with Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("gone", [address], http2=True)])) as proxy:
            with http2.Client(proxy.addresses["http"]) as client:
                for path, code in (("/gone", "14"), ("/none", "12"), ("/denied", "7")):
                    with self.subTest(path=path):
                        got = client.request("POST", path, headers=[("content-type", "application/grpc"), ("te", "trailers")], body=b"\0\0\0\0\0")
                        fields = dict(got.headers) | dict(got.trailers)
                        self.assertEqual((200, code), (got.status, fields.get("grpc-status")))
                        self.assertEqual("application/grpc", fields.get("content-type"))


class Tcp(unittest.TestCase):
    """The TCP proxy moves bytes and ends, in both directions."""

    @classmethod
    def setUpClass(cls):
        cls.server = socket.create_server(("127.0.0.1", 0))
        cls.addClassCleanup(cls.server.close)
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([bootstrap.tcp_listener("tcp", "server")],
                                                                    [bootstrap.cluster("server", [cls.server.getsockname()])])))

    def connect(self):
        client = socket.create_connection(self.proxy.addresses["tcp"], http1.WAIT_LIMIT_S)
        self.server.settimeout(http1.WAIT_LIMIT_S)
        server, _ = self.server.accept()
        server.settimeout(http1.WAIT_LIMIT_S)
        self.addCleanup(client.close)
        self.addCleanup(server.close)
        return client, server

    @staticmethod
    def read_all(sock):
        data = bytearray()
        while part := sock.recv(65536):
            data += part
        return bytes(data)

    def test_the_server_may_speak_first(self):
        client, server = self.connect()
        server.sendall(b"220 hello\r\n")
        self.assertEqual(b"220 hello\r\n", client.recv(100))

    def test_a_half_close_of_the_client_leaves_the_answer_open(self):
        client, server = self.connect()
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(b"question", self.read_all(server))
        server.sendall(b"answer")
        server.close()
        self.assertEqual(b"answer", self.read_all(client))

    def test_a_half_close_of_the_server_leaves_the_question_open(self):
        client, server = self.connect()
        server.sendall(b"bye")
        server.shutdown(socket.SHUT_WR)
        self.assertEqual(b"bye", self.read_all(client))
        client.sendall(b"more")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(b"more", self.read_all(server))

    def test_much_goes_both_ways_at_once(self):
        client, server = self.connect()
        data = LARGE * 16
        seen = {}

        def pump(name, sock):
            writer = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
            writer.start()
            seen[name] = self.read_all(sock)
            writer.join()

        threads = [threading.Thread(target=pump, args=pair) for pair in (("client", client), ("server", server))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertTrue(seen["client"] == data and seen["server"] == data)

    def test_a_backend_that_is_not_there_closes_the_client(self):
        gone = socket.create_server(("127.0.0.1", 0))
        address = gone.getsockname()
        gone.close()
        with Proxy(bootstrap.bootstrap([bootstrap.tcp_listener("tcp", "gone")], [bootstrap.cluster("gone", [address])])) as proxy:
            with socket.create_connection(proxy.addresses["tcp"], http1.WAIT_LIMIT_S) as client:
                try:
                    self.assertEqual(b"", client.recv(100))
                except ConnectionResetError:
                    pass


if __name__ == "__main__":
    unittest.main()
