"""A proxy whose configuration comes from watched files while it runs, and load on it while that changes."""

import json
import threading
import time
import unittest

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

    def ask(self, path="/a/"):
        with http1.Client(self.proxy.addresses["http"]) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
            return client.response()

    def dump(self, kind, query=""):
        for config in json.loads(self.proxy.get_admin("/config_dump" + query))["configs"]:
            if config["@type"].endswith(kind + "ConfigDump"):
                return config
        return None

    def run_load(self, change, times):
        """Requests by HTTP/1 and HTTP/2, a stream and a TCP connection that live throughout, while change(i) is made."""
        failures, counts, over = [], [0, 0], threading.Event()

        def by_http1():
            while not over.is_set():
                reply = self.ask()
                counts[0] += 1
                if reply.status != 200:
                    failures.append(reply.body)

        def by_http2():
            with http2.Client(self.proxy.addresses["http"]) as client:
                while not over.is_set():
                    stream = client.request(path="/a/")
                    counts[1] += 1
                    if stream.status != 200:
                        failures.append(stream)

        threads = [threading.Thread(target=each) for each in (by_http1, by_http2)]
        with http1.Client(self.proxy.addresses["tcp"]) as tcp:
            tcp.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual(tcp.response().status, 200)
            for thread in threads:
                thread.start()
            try:
                for i in range(times):
                    before = list(counts)
                    change(i)
                    # Each change meets some requests.
                    self.assertTrue(eventually(lambda: all(now > then for now, then in zip(counts, before))))
            finally:
                over.set()
                for thread in threads:
                    thread.join()
            tcp.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual(tcp.response().status, 200)
        self.assertEqual(failures, [])
