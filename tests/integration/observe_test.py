"""What is seen from outside: admin pages, metrics, access logs, and the reasons of the proxy's own answers."""

import json
import pathlib
import re
import socket
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend, Reply
from tests.integration.harness.proxy import Proxy, under_test

TEXT_FORMAT = "|".join([
    "%REQ(:METHOD)%", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "%PROTOCOL%", "%RESPONSE_CODE%", "%RESPONSE_FLAGS%", "%BYTES_RECEIVED%", "%BYTES_SENT%",
    "%DURATION%", "%REQ(X-NONE)%", "%REQ(USER-AGENT):4%", "%RESP(X-ANSWER)%", "%REQ(:AUTHORITY)%", "%UPSTREAM_HOST%", "%UPSTREAM_CLUSTER%",
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%RESPONSE_CODE_DETAILS%", "%START_TIME(%Y-%m-%d)%", "%START_TIME%",
]) + "\n"


def file_log(path, **format):
    return [{"name": "envoy.access_loggers.file", "typed_config": {"@type": bootstrap.FILE_LOG, "path": str(path), "log_format": format}}]


class Logs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.backend = cls.enterClassContext(Backend())
        gone = socket.create_server(("127.0.0.1", 0))
        address = gone.getsockname()
        gone.close()
        routes = [bootstrap.route("gone", prefix="/gone"), {"match": {"prefix": "/direct"}, "direct_response": {"status": 204}},
                  {"match": {"prefix": "/wait"}, "route": {"cluster": "backend", "timeout": "0.1s"}}, bootstrap.route("backend")]
        fields = {"method": "%REQ(:METHOD)%", "status": "%RESPONSE_CODE%", "none": "%REQ(X-NONE)%", "mixed": "a %PROTOCOL% b", "nested": {"flags": "%RESPONSE_FLAGS%"},
                  "quote": "%REQ(X-QUOTE)%"}
        log_of = lambda name, **log_format: {"access_log": file_log(cls.folder / name, **log_format)}
        listeners = [
            bootstrap.http_listener("text", routes, **log_of("text", text_format_source={"inline_string": TEXT_FORMAT})),
            bootstrap.http_listener("json", routes, **log_of("json", json_format=fields)),
            bootstrap.http_listener("limited", routes + [], access_log=[{
                **file_log(cls.folder / "limited", text_format_source={"inline_string": "%RESPONSE_CODE%\n"})[0],
                "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "x"}}}}}]),
        ]
        clusters = [bootstrap.cluster("backend", [cls.backend.address]), bootstrap.cluster("gone", [address])]
        # A flush every few milliseconds, so that a test need not wait for the second of the default.
        arguments = ["--file-flush-interval-msec", "20"] if under_test() == "envoy" else []
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters), arguments=arguments))

    def ask(self, listener, path="/", method="GET", headers=(), body=b""):
        with http1.Client(self.proxy.addresses[listener]) as client:
            lines = [f"{method} {path} HTTP/1.1", "Host: a.example", *headers]
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            return client.response(method)

    def line(self, name, marker):
        """The log line with the marker, once it is there."""
        pause = threading.Event()
        for _ in range(1000):
            path = self.folder / name
            for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
                if marker in line:
                    return line
            pause.wait(0.01)
        self.fail(f"no line with {marker} in {path}: {path.read_text()[-500:] if path.exists() else 'no file'}")

    def test_the_operators_of_a_text_format(self):
        self.backend.script(b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\nX-Answer: yes\r\n\r\none")
        self.ask("text", "/text?a=b", "POST", ["Content-Length: 5", "User-Agent: curl/8"], b"hello")
        fields = self.line("text", "/text?a=b").split("|")
        host, port = self.backend.address
        self.assertEqual(["POST", "/text?a=b", "HTTP/1.1", "201", "-", "5", "3"], fields[:7])
        self.assertRegex(fields[7], r"^\d+$")
        self.assertEqual(["-", "curl", "yes", "a.example", f"{host}:{port}", "backend", "127.0.0.1", "via_upstream"], fields[8:16])
        self.assertRegex(fields[16], r"^20\d\d-\d\d-\d\d$")
        self.assertRegex(fields[17], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$")

    def flags(self, path, **more):
        got = self.ask("text", path, **more)
        return got, self.line("text", path.split("?")[0] + "?" + path.split("?")[1]).split("|")[4]

    def test_the_flags_of_our_own_answers(self):
        self.assertEqual("UF", self.flags("/gone?flags")[1].split(",")[0])
        self.backend.script(Reply(b"", then="close"))
        self.assertEqual("UC", self.flags("/closed?flags")[1])

    def test_the_flag_of_a_time_out(self):
        with self.subTest():
            self.backend.script(Reply(b"", whole=True))
            got, flags = self.flags("/wait?flags")
            self.assertEqual((504, "UT"), (got.status, flags))

    def test_json(self):
        self.ask("json", headers=['X-Quote: a"b\\c'])
        line = json.loads(self.line("json", "GET"))
        self.assertEqual({"method": "GET", "status": 200, "none": None, "mixed": "a HTTP/1.1 b", "nested": {"flags": "-"}, "quote": 'a"b\\c'}, line)

    def test_a_filter_by_status(self):
        self.ask("limited", "/direct")
        self.ask("limited", "/gone")
        self.line("limited", "503")
        self.assertEqual("503\n", (self.folder / "limited").read_text())


class Admin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("backend")])],
                                                                    [bootstrap.cluster("backend", [cls.backend.address])])))

    def ask(self, *replies, count=1):
        self.backend.script(*replies)
        for _ in range(count):
            with http1.Client(self.proxy.addresses["http"]) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.response()

    def test_ready(self):
        self.assertEqual("LIVE", self.proxy.get_admin("/ready").strip())

    def test_the_index_names_the_pages(self):
        page = self.proxy.get_admin("/")
        for path in ("stats", "clusters", "config_dump", "listeners", "ready", "server_info"):
            self.assertIn(path, page)

    def test_an_unknown_page(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.proxy.get_admin("/nothing")
        self.assertEqual(404, caught.exception.code)

    def test_server_info(self):
        info = json.loads(self.proxy.get_admin("/server_info"))
        self.assertEqual("LIVE", info["state"])
        self.assertTrue(info["version"])

    def test_listeners(self):
        host, port = self.proxy.addresses["http"]
        self.assertIn(f"http::{host}:{port}", self.proxy.get_admin("/listeners"))
        statuses = json.loads(self.proxy.get_admin("/listeners?format=json"))["listener_statuses"]
        self.assertIn({"name": "http", "local_address": {"socket_address": {"address": host, "port_value": port}}},
                      [{k: s[k] for k in ("name", "local_address")} for s in statuses])

    def test_clusters(self):
        host, port = self.backend.address
        text = self.proxy.get_admin("/clusters")
        self.assertIn(f"backend::{host}:{port}::health_flags::healthy", text)
        statuses = json.loads(self.proxy.get_admin("/clusters?format=json"))["cluster_statuses"]
        status = next(s for s in statuses if s["name"] == "backend")
        self.assertEqual({"address": host, "port_value": port}, status["host_statuses"][0]["address"]["socket_address"])

    def test_the_configuration(self):
        dump = json.loads(self.proxy.get_admin("/config_dump"))
        types = [entry["@type"].rsplit(".", 1)[-1] for entry in dump["configs"]]
        for name in ("BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump"):
            self.assertIn(name, types)
        self.assertIn('"backend"', json.dumps(dump))

    def test_counters_have_envoys_names(self):
        names = ["cluster.backend.upstream_rq_total", "cluster.backend.upstream_rq_2xx", "cluster.backend.upstream_rq_200", "http.ingress.downstream_rq_total",
                 "http.ingress.downstream_rq_2xx"]
        before = {name: self.proxy.counter(name) for name in names}
        self.ask(count=3)
        pause = threading.Event()
        for _ in range(300):
            after = {name: self.proxy.counter(name) - before[name] for name in names}
            if set(after.values()) == {3}:
                break
            pause.wait(0.01)
        self.assertEqual(dict.fromkeys(names, 3), after)
        self.assertGreater(self.proxy.counter("cluster.backend.upstream_cx_total"), 0)
        self.assertGreater(self.proxy.counter("http.ingress.downstream_cx_total"), 0)
        self.assertGreater(self.proxy.counter("cluster.backend.membership_healthy"), 0)

    def test_prometheus(self):
        self.ask()
        text = self.proxy.get_admin("/stats/prometheus")
        self.assertRegex(text, r'(?m)^envoy_cluster_upstream_rq_total\{.*envoy_cluster_name="backend".*\} \d+$')
        self.assertRegex(text, r'(?m)^envoy_cluster_upstream_rq_time_bucket\{.*le="\+Inf".*\} \d+$')
        self.assertRegex(text, r"(?m)^# TYPE envoy_cluster_upstream_rq_total counter$")
        families = re.findall(r"(?m)^# TYPE (\S+) ", text)
        self.assertEqual(len(families), len(set(families)), "a family is announced twice")

    def test_stats_can_be_filtered(self):
        lines = self.proxy.get_admin("/stats?filter=cluster.backend.upstream_cx_total").splitlines()
        self.assertEqual(["cluster.backend.upstream_cx_total"], [line.split(":")[0] for line in lines])

    def test_changing_something_needs_a_post(self):
        for path in ("/quitquitquit", "/drain_listeners", "/logging?level=info"):
            with self.subTest(path=path), self.assertRaises(urllib.error.HTTPError):
                self.proxy.get_admin(path)
        self.assertEqual("LIVE", self.proxy.get_admin("/ready").strip())

    def test_memory_certificates_and_logging(self):
        # Sanitizers have an allocator of their own, of which mallinfo knows nothing.
        self.assertGreater(int(json.loads(self.proxy.get_admin("/memory"))["total_physical_bytes"]), 0)
        self.assertIn("certificates", json.loads(self.proxy.get_admin("/certs")))
        self.assertTrue(self.proxy.get_admin("/logging?level=info", method="POST"))


class Quit(unittest.TestCase):
    def start(self, **more):
        return Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}])], []), **more)

    def test_quitquitquit_ends_the_process(self):
        with self.start() as proxy:
            proxy.get_admin("/quitquitquit", method="POST")
            proxy.process.wait(http1.WAIT_LIMIT_S)

    def test_drained_listeners_take_no_new_connection(self):
        with self.start() as proxy:
            proxy.get_admin("/drain_listeners", method="POST")
            self.assertTrue(proxy.wait_until_refusing("http"))
            self.assertTrue(proxy.get_admin("/server_info"))


@unittest.skipIf(under_test() == "envoy", "what only Weft has")
class Causes(unittest.TestCase):
    """A local answer says why, in a sentence, and %CAUSE% names it."""

    def test_each_local_answer_says_its_cause(self):
        gone = socket.create_server(("127.0.0.1", 0))
        address = gone.getsockname()
        gone.close()
        with tempfile.TemporaryDirectory() as folder, Backend() as backend:
            log = file_log(pathlib.Path(folder) / "log", text_format_source={"inline_string": "%REQ(:PATH)%|%CAUSE%\n"})
            routes = [bootstrap.route("gone", prefix="/gone"), {"match": {"prefix": "/wait"}, "route": {"cluster": "backend", "timeout": "0.1s"}},
                      bootstrap.route("backend", prefix="/backend")]
            listeners = [bootstrap.http_listener("http", routes, access_log=log)]
            with Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("gone", [address]), bootstrap.cluster("backend", [backend.address])])) as proxy:
                bodies = set()
                for path, status in (("/gone", 503), ("/wait", 504), ("/backend", (502, 503)), ("/none", 404)):
                    backend.script(Reply(b"", then="keep" if path == "/wait" else "close"))
                    with http1.Client(proxy.addresses["http"]) as client:
                        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                        got = client.response()
                    self.assertIn(got.status, status if isinstance(status, tuple) else (status,))
                    # A sentence, not a word.
                    self.assertGreater(len(got.body.split()), 3, got.body)
                    bodies.add(got.body)
                self.assertEqual(4, len(bodies))
                pause = threading.Event()
                for _ in range(1000):
                    lines = (pathlib.Path(folder) / "log").read_text().splitlines()
                    if len(lines) == 4:
                        break
                    pause.wait(0.01)
                causes = dict(line.split("|") for line in lines)
                self.assertEqual({"/gone", "/wait", "/backend", "/none"}, set(causes))
                self.assertEqual(4, len(set(causes.values())), causes)
                self.assertNotIn("-", causes.values())


if __name__ == "__main__":
    unittest.main()
