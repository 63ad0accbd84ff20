"""A proxy whose configuration comes from watched files while it runs, and load on it while that changes."""

import concurrent.futures
import contextlib
import json
import threading
import time
import unittest

import grpc

from tests.integration.harness import http1, http2, watched
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy

LIMIT_S = 20


def eventually(condition):
    """Asks until it is so; says whether it came to be."""
    pause = threading.Event()
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.005)
    return True


def answer(text):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


class Files(unittest.TestCase):
    """Two backends, which say which of them they are, and a folder for what is watched."""

    def setUp(self):
        self.folder = self.enterContext(watched.Folder())
        self.first = self.enterContext(Backend(answer(b"first")))
        self.second = self.enterContext(Backend(answer(b"second")))

    def launch(self, config, concurrency=1, **options):
        self.proxy = self.enterContext(Proxy(config, concurrency=concurrency, **options))

    def ask(self, path="/a/", at=None):
        with http1.Client(at or self.proxy.addresses["http"]) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
            return client.response()

    def dump(self, kind, query=""):
        for config in json.loads(self.proxy.get_admin("/config_dump" + query))["configs"]:
            if config["@type"].endswith(kind + "ConfigDump"):
                return config
        return None

    def run_load(self, change, times):
        """Load on the listeners "http" and "tcp" while change(i) is made; fails when anything of it does."""
        load = Load(self.proxy.addresses["http"], self.proxy.addresses["tcp"])
        load.run(change, times, self)


# What gRPC's protocol over HTTP/2 asks of a request, and one message: not compressed, of one byte.
GRPC_HEADERS = (("content-type", "application/grpc"), ("te", "trailers"))
GRPC_MESSAGE = b"\0\0\0\0\1x"


class Load:
    """Requests by HTTP/1 on new and on kept connections, by HTTP/2, TCP connections, old and new, and, where grpc=True, gRPC
    calls and a stream that lives throughout."""

    def __init__(self, http, tcp, path="/a/", grpc=False):
        self.http, self.tcp, self.path = http, tcp, path
        self.failures, self.counts = [], {}
        self._over = threading.Event()
        self._work = [self._fresh, self._kept, self._http2, self._tcp_fresh, self._tcp_kept, *([self._calls, self._stream] if grpc else [])]

    @staticmethod
    @contextlib.contextmanager
    def grpc_server():
        """Where a gRPC service listens that sends back what it gets."""
        handlers = {"Call": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
                    "Stream": grpc.stream_stream_rpc_method_handler(lambda requests, _: iter(requests))}
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield "127.0.0.1", port
        finally:
            server.stop(None)

    def run(self, change, times, case):
        """Makes change(i) so many times; each meets some of everything. Fails the test case when anything went wrong."""
        threads = [threading.Thread(target=self._guard, args=(each,)) for each in self._work]
        for thread in threads:
            thread.start()
        try:
            for i in range(times):
                before = dict(self.counts)
                change(i)
                met = eventually(lambda: self.failures or all(self.counts.get(each.__name__, 0) > before.get(each.__name__, 0) for each in self._work))
                case.assertTrue(met, f"change {i} was not met by all: {before}, {self.counts}")
                if self.failures:
                    break
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        case.assertEqual(self.failures, [])

    def _guard(self, work):
        try:
            work()
        except Exception as error:
            self.failures.append(f"{work.__name__} after {self.counts.get(work.__name__, 0)}: {error!r}")

    def _count(self, work, status, more=""):
        self.counts[work.__name__] = self.counts.get(work.__name__, 0) + 1
        if status != 200:
            self.failures.append(f"{work.__name__}: {status} {more}")

    def _ask(self, client):
        client.send(f"GET {self.path} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
        return client.response()

    def _fresh(self):
        while not self._over.is_set():
            with http1.Client(self.http) as client:
                reply = self._ask(client)
                self._count(self._fresh, reply.status, reply.body)

    def _kept(self):
        while not self._over.is_set():
            with http1.Client(self.http) as client:
                closing = False
                while not closing and not self._over.is_set():
                    reply = self._ask(client)
                    closing = reply.get("connection") == "close"
                    self._count(self._kept, reply.status, reply.body)

    def _http2(self):
        while not self._over.is_set():
            with http2.Client(self.http) as client:
                while client.goaway is None and not self._over.is_set():
                    stream = client.request(path=self.path)
                    self._count(self._http2, stream.status, stream)

    def _tcp_fresh(self):
        while not self._over.is_set():
            with http1.Client(self.tcp) as client:
                self._count(self._tcp_fresh, self._ask(client).status)

    def _tcp_kept(self):
        with http1.Client(self.tcp) as client:
            while not self._over.is_set():
                self._count(self._tcp_kept, self._ask(client).status)

    def _calls(self):
        while not self._over.is_set():
            with http2.Client(self.http) as client:
                while client.goaway is None and not self._over.is_set():
                    stream = client.request(method="POST", path="/test.Echo/Call", headers=GRPC_HEADERS, body=GRPC_MESSAGE)
                    self._grpc_ended(self._calls, stream, 1)

    def _stream(self):
        with http2.Client(self.http) as client:
            stream = client.start(method="POST", path="/test.Echo/Stream", headers=GRPC_HEADERS, end=False)
            sent = 0
            while not self._over.is_set():
                sent += 1
                client.send_body(stream.number, GRPC_MESSAGE, end=False)
                client.wait(lambda: stream.ended or len(stream.body) >= sent * len(GRPC_MESSAGE))
                self._count(self._stream, 0 if stream.ended else stream.status, stream)
            client.send_body(stream.number, b"")
            client.wait(lambda: stream.ended)
            self._grpc_ended(self._stream, stream, sent)

    def _grpc_ended(self, work, stream, messages):
        good = stream.body == messages * GRPC_MESSAGE and ("grpc-status", "0") in stream.trailers
        self._count(work, stream.status if good else 0, stream)
