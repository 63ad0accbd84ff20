"""How the process begins and ends: what it says, what it refuses, how it drains."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import OK, Backend, Reply
from tests.integration.harness.proxy import LISTENING, Proxy, split_address, under_test, weft_binary

LIMIT_S = 30
DIRECT = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "here"}}}]


@unittest.skipIf(under_test() == "envoy", "Weft's own command line")
class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_proxy(self, *arguments):
        run = subprocess.run([weft_binary(), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=LIMIT_S)
        return run.returncode, run.stdout

    def file(self, content, name="bootstrap.yaml"):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def test_version(self):
        code, output = self.run_proxy("--version")
        self.assertEqual(0, code)
        self.assertIn("weft-proxy", output)

    def test_a_file_that_is_not_there(self):
        code, output = self.run_proxy("-c", self.folder / "none.yaml")
        self.assertEqual(1, code)
        self.assertIn("none.yaml", output)

    def test_an_unknown_field_is_refused_by_place_and_name(self):
        text = "static_resources:\n  listeners:\n  - name: a\n    adress: {}\n"
        code, output = self.run_proxy("-c", self.file(text), "--mode", "validate")
        self.assertEqual(1, code)
        self.assertIn("bootstrap.yaml:4", output)
        self.assertIn("adress", output)
        self.assertIn("address", output.replace("adress", ""), "it suggests the nearest name")

    def test_a_good_file_is_valid(self):
        code, output = self.run_proxy("-c", self.file(bootstrap.bootstrap([bootstrap.http_listener("http", DIRECT)], [])), "--mode", "validate")
        self.assertEqual(0, code, output)

    def test_a_route_to_no_cluster_is_refused(self):
        code, output = self.run_proxy("-c", self.file(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("ghost")])], [])), "--mode", "validate")
        self.assertEqual(1, code)
        self.assertIn("ghost", output)

    def test_what_is_not_supported_is_refused_by_name(self):
        code, output = self.run_proxy("-c", self.file(bootstrap.bootstrap(
            [bootstrap.listener("x", [{"name": "envoy.filters.network.mongo_proxy",
                                       "typed_config": {"@type": bootstrap.TYPE + "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy", "stat_prefix": "x"}}])], [])),
            "--mode", "validate")
        self.assertEqual(1, code)
        self.assertIn("mongo_proxy", output)

    def test_a_port_that_is_taken_is_one_clear_error(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, output = self.run_proxy("-c", self.file(bootstrap.bootstrap([bootstrap.http_listener("http", DIRECT, listener_options={"port": port})], [])))
        self.assertEqual(1, code)
        self.assertIn(str(port), output)
        self.assertIn("in use", output.lower())

    def test_a_certificate_that_cannot_be_read(self):
        tls = bootstrap.server_tls((self.folder / "no.pem", self.folder / "no.key"))
        code, output = self.run_proxy("-c", self.file(bootstrap.bootstrap([bootstrap.http_listener("http", DIRECT, tls=tls)], [])))
        self.assertEqual(1, code)
        self.assertIn("no.pem", output)

    def test_each_listener_is_told(self):
        listeners = [bootstrap.http_listener(name, DIRECT) for name in ("a", "b")]
        with Proxy(bootstrap.bootstrap(listeners, [])) as proxy:
            said = {m.group(1): split_address(m.group(2)) for m in LISTENING.finditer(proxy.output.text())}
            self.assertEqual({"a", "b"}, set(said))
            for address in said.values():
                with http1.Client(address) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(b"here", client.response().body)

    def test_a_reopened_log_is_a_new_file(self):
        path = self.folder / "access.log"
        log = [{"name": "envoy.access_loggers.file",
                "typed_config": {"@type": bootstrap.FILE_LOG, "path": str(path), "log_format": {"text_format_source": {"inline_string": "%REQ(:PATH)%\n"}}}}]
        with Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", DIRECT, access_log=log)], [])) as proxy:
            pause = threading.Event()

            def ask_until_logged(target):
                for _ in range(1000):
                    with http1.Client(proxy.addresses["http"]) as client:
                        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                        client.response()
                    if path.exists() and target in path.read_text():
                        return
                    pause.wait(0.01)
                self.fail(f"{target} is not in the log")

            ask_until_logged("/before")
            os.rename(path, self.folder / "access.log.1")
            proxy.process.send_signal(signal.SIGHUP)
            ask_until_logged("/after")
            self.assertIn("/before", (self.folder / "access.log.1").read_text())


class Listening(unittest.TestCase):
    def test_ipv6_and_unix_sockets(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/weft.sock"
            unix = bootstrap.http_listener("unix", DIRECT)
            unix["address"] = {"pipe": {"path": path}}
            six = bootstrap.http_listener("six", DIRECT, listener_options={"host": "::1"})
            with Proxy(bootstrap.bootstrap([unix, six], [])) as proxy:
                with http1.Client(proxy.addresses["six"]) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(b"here", client.response().body)
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(b"here", http1.read_response(http1.Reader(sock)).body)

    def test_several_workers_serve_one_port(self):
        with Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", DIRECT)], []), concurrency=4) as proxy:
            for _ in range(100):
                with http1.Client(proxy.addresses["http"]) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(b"here", client.response().body)

    def test_a_unix_socket_upstream(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/backend.sock"
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path)
                server.listen()
                server.settimeout(http1.WAIT_LIMIT_S)
                cluster = bootstrap.cluster("x", [])
                cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}]
                with Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")])], [cluster])) as proxy:
                    with http1.Client(proxy.addresses["http"]) as client:
                        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                        upstream, _ = server.accept()
                        upstream.recv(65536)
                        upstream.sendall(OK)
                        self.assertEqual(b"ok", client.response().body)
                        upstream.close()

    def test_names_are_looked_up(self):
        with Backend() as backend:
            for kind in ("STRICT_DNS", "LOGICAL_DNS"):
                with self.subTest(kind=kind):
                    cluster = bootstrap.cluster("x", [("localhost", backend.address[1])], type=kind, dns_lookup_family="V4_ONLY")
                    with Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")])], [cluster])) as proxy:
                        with http1.Client(proxy.addresses["http"]) as client:
                            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                            self.assertEqual(b"ok", client.response().body)


@unittest.skipIf(under_test() == "envoy", "Envoy ends at once on SIGTERM")
class Draining(unittest.TestCase):
    def test_a_request_under_way_is_finished_and_the_connection_closed(self):
        release = threading.Event()

        class Slow(Backend):
            def _next_reply(self):
                release.wait(LIMIT_S)
                return Reply(OK)

        with Slow() as backend:
            proxy = Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x")])], [bootstrap.cluster("x", [backend.address])]))
            try:
                with http1.Client(proxy.addresses["http"]) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertTrue(backend.wait_for(lambda requests: len(requests) == 1))
                    proxy.process.send_signal(signal.SIGTERM)
                    self.assertTrue(proxy.wait_until_refusing("http"))
                    release.set()
                    got = client.response()
                    self.assertEqual((200, "close"), (got.status, got.get("connection")))
                    self.assertTrue(client.reader.at_end())
                self.assertEqual(0, proxy.process.wait(LIMIT_S))
            finally:
                release.set()
                proxy.kill()

    def test_http_2_is_told_to_go_away(self):
        proxy = Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", DIRECT)], []))
        try:
            with http2.Client(proxy.addresses["http"]) as client:
                self.assertEqual(200, client.request().status)
                proxy.process.send_signal(signal.SIGTERM)
                self.assertTrue(client.wait(lambda: client.goaway is not None))
            self.assertEqual(0, proxy.process.wait(LIMIT_S))
        finally:
            proxy.kill()

    def test_a_second_signal_ends_at_once(self):
        with Backend() as backend:
            backend.script(Reply(b"", then="keep"))
            proxy = Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("x", timeout="0s")])], [bootstrap.cluster("x", [backend.address])]))
            try:
                with http1.Client(proxy.addresses["http"]) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertTrue(backend.wait_for(lambda requests: len(requests) == 1))
                    proxy.process.send_signal(signal.SIGTERM)
                    self.assertTrue(proxy.wait_until_refusing("http"))
                    self.assertIsNone(proxy.process.poll())
                    proxy.process.send_signal(signal.SIGTERM)
                    proxy.process.wait(5)
            finally:
                proxy.kill()


if __name__ == "__main__":
    unittest.main()
