"""WebSocket through the proxy, by a client and a server that other people wrote (the websockets library), over clear text
and over TLS, over HTTP/1 and HTTP/2 in all four combinations."""

import asyncio
import contextlib
import logging
import random
import ssl
import tempfile
import threading
import unittest

import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions

from tests.integration.harness import bootstrap
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy

LIMIT_S = 30
LARGE = 4 * 1024 * 1024

# What the server thinks of a handshake is in the response; its traces would only hide a failure.
silent = logging.getLogger("websockets.silent")
silent.addHandler(logging.NullHandler())
silent.propagate = False


async def serve(socket):
    """What the server does is in the path: echo, close with a code, greet before it is asked, or tell the headers."""
    path = socket.request.path
    if path.startswith("/close/"):
        _, _, code, reason = path.split("/")
        await socket.close(int(code), reason)
    elif path == "/greet":
        await socket.send("hello")
        await socket.wait_closed()
    elif path == "/abort":
        socket.transport.abort()
    else:
        async for message in socket:
            await socket.send(message)


def choose(connection, offered):
    return "chat" if "chat" in offered else None


class Server:
    """The library's server on a thread of its own."""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(LIMIT_S)
        self.address = next(iter(self._server.sockets)).getsockname()
        return self

    async def _start(self):
        return await websockets.asyncio.server.serve(serve, "127.0.0.1", 0, max_size=2 * LARGE, subprotocols=["chat"],
                                                        select_subprotocol=choose, logger=silent)

    async def _stop(self):
        self._server.close()
        await self._server.wait_closed()

    def __exit__(self, *_):
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(LIMIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)


class Cases:
    """The cases; the classes below say over which listener."""

    scheme = "ws"
    listener = "clear"
    hops = 0  # Proxies that take HTTP/2, between the one under test and the server; the last of them goes on by HTTP/1.

    @classmethod
    def hop(cls, address, http2):
        listener = bootstrap.http_listener("hop", [bootstrap.route("next", timeout="0s")], codec="HTTP2", upgrade_configs=[{"upgrade_type": "websocket"}],
                                           http2_protocol_options={"allow_connect": True})
        cluster = bootstrap.cluster("next", [address], http2=http2)
        return cls.enterClassContext(Proxy(bootstrap.bootstrap([listener], [cluster]))).addresses["hop"]

    @classmethod
    def setUpClass(cls):
        server = cls.enterClassContext(Server())
        address = server.address
        for number in range(cls.hops):
            address = cls.hop(address, http2=number > 0)
        authority = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()))
        routes = [bootstrap.route("server", timeout="0s")]
        upgrades = [{"upgrade_type": "websocket"}]
        listeners = [
            bootstrap.http_listener("clear", routes, upgrade_configs=upgrades),
            bootstrap.http_listener("tls", routes, upgrade_configs=upgrades, tls=bootstrap.server_tls(authority.leaf("server"), alpn=["http/1.1"])),
            bootstrap.http_listener("off", routes),
        ]
        cluster = bootstrap.cluster("server", [address], http2=cls.hops > 0)
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, [cluster])))
        cls.trust = ssl.create_default_context(cafile=str(authority.certificate)) if cls.scheme == "wss" else None

    def connect(self, path="/", listener=None, **options):
        host, port = self.proxy.addresses[listener or self.listener]
        return websockets.asyncio.client.connect(f"{self.scheme}://{host}:{port}{path}", ssl=self.trust, proxy=None, max_size=2 * LARGE,
                                                 open_timeout=LIMIT_S, **options)

    def run_async(self, coroutine):
        return asyncio.run(asyncio.wait_for(coroutine, 2 * LIMIT_S))

    def test_text_comes_back(self):
        async def body():
            async with self.connect() as socket:
                await socket.send("grüß dich")
                self.assertEqual("grüß dich", await socket.recv())
        self.run_async(body())

    def test_binary_messages_of_all_length_forms_come_back(self):
        async def body():
            async with self.connect(compression=None) as socket:
                for size in (0, 1, 125, 126, 65535, 65536, 200000):
                    data = random.Random(size).randbytes(size)
                    await socket.send(data)
                    self.assertEqual(data, await socket.recv(), size)
        self.run_async(body())

    def test_a_large_message_comes_back(self):
        async def body():
            data = random.Random(1).randbytes(LARGE)
            async with self.connect(compression=None) as socket:
                await socket.send(data)
                self.assertEqual(data, await socket.recv())
        self.run_async(body())

    def test_a_fragmented_message_comes_back(self):
        async def body():
            async with self.connect() as socket:
                await socket.send(["one ", "two ", "three"])
                self.assertEqual("one two three", await socket.recv())
        self.run_async(body())

    def test_many_messages_in_flight_keep_their_order(self):
        async def body():
            async with self.connect() as socket:
                count = 500
                sender = asyncio.create_task(self.send_all(socket, count))
                self.assertEqual([str(i) for i in range(count)], [await socket.recv() for _ in range(count)])
                await sender
        self.run_async(body())

    @staticmethod
    async def send_all(socket, count):
        for i in range(count):
            await socket.send(str(i))

    def test_a_ping_is_answered_end_to_end(self):
        async def body():
            async with self.connect() as socket:
                await (await socket.ping(b"are you there"))
        self.run_async(body())

    def test_the_server_may_speak_first(self):
        async def body():
            async with self.connect("/greet") as socket:
                self.assertEqual("hello", await socket.recv())
        self.run_async(body())

    def test_a_subprotocol_is_agreed_end_to_end(self):
        async def body():
            async with self.connect(subprotocols=["other", "chat"]) as socket:
                self.assertEqual("chat", socket.subprotocol)
        self.run_async(body())

    def test_close_codes_and_reasons_arrive(self):
        async def body(code):
            async with self.connect(f"/close/{code}/because") as socket:
                with self.assertRaises(websockets.exceptions.ConnectionClosed) as caught:
                    await socket.recv()
                self.assertEqual((code, "because"), (caught.exception.rcvd.code, caught.exception.rcvd.reason))
        for code in (1000, 1001, 1008, 1011, 3000, 4999):
            with self.subTest(code=code):
                self.run_async(body(code))

    def test_the_clients_close_ends_both_sides(self):
        async def body():
            socket = await self.connect()
            await socket.close(1000, "done")
            self.assertEqual(1000, socket.close_code)
        self.run_async(body())

    def test_an_aborted_server_ends_the_client(self):
        async def body():
            async with self.connect("/abort") as socket:
                with self.assertRaises(websockets.exceptions.ConnectionClosedError):
                    await socket.recv()
        self.run_async(body())

    def test_fifty_connections_at_once(self):
        async def one(number):
            async with self.connect() as socket:
                for i in range(20):
                    await socket.send(f"{number} {i}")
                    self.assertEqual(f"{number} {i}", await socket.recv())

        async def body():
            await asyncio.gather(*(one(number) for number in range(50)))
        self.run_async(body())


class WebSocketClear(Cases, unittest.TestCase):
    def test_an_upgrade_that_is_not_configured_is_refused(self):
        async def body():
            with self.assertRaises(websockets.exceptions.InvalidStatus) as caught:
                await self.connect(listener="off")
            self.assertEqual(403, caught.exception.response.status_code)
        self.run_async(body())


class WebSocketByHttp2(Cases, unittest.TestCase):
    """HTTP/1 to HTTP/2, and HTTP/2 to HTTP/1."""

    hops = 1


class WebSocketByHttp2AllAlong(Cases, unittest.TestCase):
    """HTTP/1 to HTTP/2, HTTP/2 to HTTP/2, and HTTP/2 to HTTP/1."""

    hops = 2


class WebSocketTls(Cases, unittest.TestCase):
    scheme = "wss"
    listener = "tls"


if __name__ == "__main__":
    unittest.main()
