"""Which exchanges and connections an access log is told of: its filters, and the log of a listener itself."""

import pathlib
import socket
import tempfile
import threading
import unittest

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy, under_test

ARGUMENTS = ["--file-flush-interval-msec", "20"] if under_test() == "envoy" else []


def file_log(path, text, log_filter=None):
    log = {"name": "envoy.access_loggers.file",
           "typed_config": {"@type": bootstrap.FILE_LOG, "path": str(path), "log_format": {"text_format_source": {"inline_string": text}}}}
    return {**log, "filter": log_filter} if log_filter else log


def lines_of(path, condition):
    """The log's lines once the condition holds of them."""
    pause = threading.Event()
    lines = []
    for _ in range(1000):
        lines = path.read_text().splitlines() if path.exists() else []
        if condition(lines):
            return lines
        pause.wait(0.01)
    raise AssertionError(f"{path}: {lines}")


def compare(kind, op, value):
    return {kind: {"comparison": {"op": op, "value": {"default_value": value, "runtime_key": "none"}}}}


class Filters(unittest.TestCase):
    """One listener, one log for each filter; every request is told apart by its path, and `/end` passes all of them last."""

    STATUS = {"ok": 200, "moved": 301, "missing": 404, "failed": 503}
    PERCENT = lambda n: {"runtime_filter": {"runtime_key": "sample", "percent_sampled": {"numerator": n}}}
    FILTERS = {
        "eq": (compare("status_code_filter", "EQ", 404), {"missing"}),
        "ge": (compare("status_code_filter", "GE", 404), {"missing", "failed"}),
        "le": (compare("status_code_filter", "LE", 301), {"ok", "moved", "tagged"}),
        "slow": (compare("duration_filter", "GE", 60_000), set()),
        "quick": (compare("duration_filter", "LE", 60_000), {"ok", "moved", "missing", "failed", "tagged"}),
        "no-check": ({"not_health_check_filter": {}}, {"ok", "moved", "missing", "failed", "tagged"}),
        "and": ({"and_filter": {"filters": [compare("status_code_filter", "GE", 300), compare("status_code_filter", "LE", 404)]}}, {"moved", "missing"}),
        "or": ({"or_filter": {"filters": [compare("status_code_filter", "EQ", 301), compare("status_code_filter", "EQ", 503)]}}, {"moved", "failed"}),
        "header": ({"header_filter": {"header": {"name": "x-tag", "string_match": {"prefix": "a"}}}}, {"tagged"}),
        "flags": ({"response_flag_filter": {"flags": ["UF", "NR"]}}, {"failed", "missing"}),
        "any-flag": ({"response_flag_filter": {}}, {"failed", "missing"}),
        "all": (PERCENT(100), {"ok", "moved", "missing", "failed", "tagged"}),
        "none": (PERCENT(0), set()),
        "grpc": ({"grpc_status_filter": {"statuses": ["UNAVAILABLE", "UNIMPLEMENTED"]}}, {"failed", "missing"}),
        "not-grpc": ({"grpc_status_filter": {"statuses": ["UNAVAILABLE", "UNIMPLEMENTED"], "exclude": True}}, {"ok", "moved", "tagged"}),
    }

    def test_each_filter_passes_what_it_says(self):
        with tempfile.TemporaryDirectory() as name, Backend() as backend:
            folder = pathlib.Path(name)
            end = {"header_filter": {"header": {"name": "x-end", "present_match": True}}}
            logs = [file_log(folder / key, "%REQ(:PATH)%\n", {"or_filter": {"filters": [each, end]}}) for key, (each, _) in self.FILTERS.items()]
            direct = lambda path, status: {"match": {"path": path}, "direct_response": {"status": status}}
            routes = [direct("/moved", 301), bootstrap.route("gone", prefix="/failed"), bootstrap.route("backend", prefix="/ok"),
                      bootstrap.route("backend", prefix="/tagged"), bootstrap.route("backend", prefix="/end")]
            clusters = [bootstrap.cluster("backend", [backend.address]), bootstrap.cluster("gone", [("127.0.0.1", 1)])]
            listener = bootstrap.http_listener("http", routes, access_log=logs)
            with Proxy(bootstrap.bootstrap([listener], clusters), arguments=ARGUMENTS) as proxy:
                with http1.Client(proxy.addresses["http"]) as client:
                    for path, header in (("ok", ""), ("moved", ""), ("missing", ""), ("failed", ""), ("tagged", "X-Tag: abc\r\n"), ("end", "X-End: 1\r\n")):
                        client.send(f"GET /{path} HTTP/1.1\r\nHost: a\r\n{header}\r\n".encode())
                        self.assertEqual(self.STATUS.get(path, 200), client.response().status)
                for key, (_, expected) in self.FILTERS.items():
                    with self.subTest(filter=key):
                        lines = lines_of(folder / key, lambda lines: "/end" in lines)
                        self.assertEqual(expected, {line[1:] for line in lines} - {"end"})

    def test_a_sample_follows_the_requests_id(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "log"
            sample = {"runtime_filter": {"runtime_key": "sample", "percent_sampled": {"numerator": 50}}}
            listener = bootstrap.http_listener("http", [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}],
                                               access_log=[file_log(path, "%REQ(:PATH)%\n", sample)], preserve_external_request_id=True)
            with Proxy(bootstrap.bootstrap([listener], []), arguments=ARGUMENTS) as proxy:
                with http1.Client(proxy.addresses["http"]) as client:
                    # The first eight digits modulo a hundred.
                    for number in (0, 49, 50, 99, 100, 0x31):
                        client.send(f"GET /{number} HTTP/1.1\r\nHost: a\r\nX-Request-Id: {number:08x}-0000-4000-8000-000000000000\r\n\r\n".encode())
                        client.response()
                self.assertEqual(["/0", "/49", "/100", "/49"], lines_of(path, lambda lines: len(lines) == 4))


class Listeners(unittest.TestCase):
    """The access log of a listener has a line for every connection, written when it ends."""

    FORMAT = "%FILTER_CHAIN_NAME%|%RESPONSE_FLAGS%|%BYTES_RECEIVED%|%BYTES_SENT%|%DOWNSTREAM_REMOTE_ADDRESS%\n"

    def start(self, listener):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        listener["access_log"] = [file_log(folder / "log", self.FORMAT)]
        self.proxy = self.enterContext(Proxy(bootstrap.bootstrap([listener], [bootstrap.cluster("backend", [self.backend.address])]), arguments=ARGUMENTS))
        return folder / "log"

    def setUp(self):
        self.backend = self.enterContext(Backend())

    def test_http(self):
        listener = bootstrap.http_listener("http", [bootstrap.route("backend")])
        listener["filter_chains"][0]["name"] = "web"
        path = self.start(listener)
        with socket.create_connection(self.proxy.addresses["http"]) as sock:
            client = sock.getsockname()
            request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            for _ in range(2):
                sock.sendall(request)
                self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 200"))
        fields = lines_of(path, len)[0].split("|")
        self.assertEqual(["web", "-"], fields[:2])
        self.assertEqual(f"{client[0]}:{client[1]}", fields[4])
        if under_test() != "envoy":
            self.assertEqual(str(2 * len(request)), fields[2])
        self.assertEqual(1, len(path.read_text().splitlines()))

    def test_tcp(self):
        path = self.start(bootstrap.tcp_listener("tcp", "backend"))
        with http1.Client(self.proxy.addresses["tcp"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(200, client.response().status)
        fields = lines_of(path, len)[0].split("|")
        self.assertEqual(["27", str(len(self.backend.default))], fields[2:4])

    def test_a_connection_that_no_filter_chain_takes(self):
        listener = bootstrap.http_listener("http", [bootstrap.route("backend")])
        listener["filter_chains"][0]["filter_chain_match"] = {"destination_port": 1}
        path = self.start(listener)
        with socket.create_connection(self.proxy.addresses["http"]) as sock:
            self.assertEqual(b"", sock.recv(1))
        self.assertEqual(["-", "NR"], lines_of(path, len)[0].split("|")[:2])


if __name__ == "__main__":
    unittest.main()
