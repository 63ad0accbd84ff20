"""Proxies stream their metrics by Envoy's metrics service: to the mesh's control plane, which tells what flows by `weftctl top`
and `weftctl graph`, and to whomever their bootstrap names."""

import json
import tempfile
import unittest
import urllib.error
import urllib.request
import xml.etree.ElementTree

from tests.integration.harness import bootstrap, http1, mesh
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness.metrics import Metrics
from tests.integration.harness.metrics_service import MetricsServer
from tests.integration.harness.proxy import Proxy, split_address
from tests.integration.harness.sidecar import Sidecar
from tools.demos.ports import free_port

REQUESTS = 30
SINK = bootstrap.TYPE + "envoy.config.metrics.v3.MetricsServiceConfig"


def sink(**more):
    service = {"envoy_grpc": {"cluster_name": "metrics"}}
    return {"name": "envoy.stat_sinks.metrics_service", "typed_config": {"@type": SINK, "grpc_service": service, "transport_api_version": "V3", **more}}


class Mesh(unittest.TestCase):
    """web calls orders, orders calls prices; a stranger calls web."""

    @classmethod
    def setUpClass(cls):
        cls.control = cls.enterClassContext(ControlPlane(cls.enterClassContext(tempfile.TemporaryDirectory())))
        cls.control.apply(mesh.service("web"), mesh.service("orders"), mesh.service("prices"), mesh.service("raw", protocol="tcp"))
        arguments = ("--metrics-interval-ms", "100")
        cls.workloads = {}
        for name, calls in (("prices", None), ("orders", "prices"), ("web", "orders")):
            cls.workloads[name] = cls.enterClassContext(mesh.Workload(name, cls.control, None, calls, arguments))
        cls.raw = cls.enterClassContext(Backend())
        cls.sidecar = cls.enterClassContext(Sidecar(cls.control, "raw", cls.raw.address[1], arguments=arguments))
        web = cls.workloads["web"]
        if not eventually(lambda: web.ask() == (200, "web > orders > prices")):
            raise AssertionError("the mesh does not serve")

    def traffic(self, *arguments):
        return json.loads(self.control.weftctl("top", "-o", "json", *arguments))

    def edges(self, *arguments):
        found = {}
        for edge in self.traffic(*arguments).get("edges", []):
            found[edge["source"].get("name", "(outside)"), edge["destination"]["name"]] = edge
        return found

    def total(self, edge, kind="Requests"):
        return int(self.edges().get(edge, {}).get("flow", {}).get("total" + kind, 0))

    def test_every_request_is_on_its_edge_once(self):
        edges = [("(outside)", "web"), ("web", "orders"), ("orders", "prices")]
        self.assertTrue(eventually(lambda: all(self.total(edge) > 0 for edge in edges)))
        before = {edge: self.total(edge) for edge in edges}
        for _ in range(REQUESTS):
            self.assertEqual((200, "web > orders > prices"), self.workloads["web"].ask())
        self.assertTrue(eventually(lambda: all(self.total(edge) == before[edge] + REQUESTS for edge in edges)), self.edges)
        flow = self.edges()["web", "orders"]["flow"]
        self.assertGreater(flow["requests"], 0)
        self.assertGreater(flow["p99Ms"], 0)
        self.assertLessEqual(flow["p50Ms"], flow["p99Ms"])
        self.assertNotIn("failures", flow)
        services = {each["service"]["name"]: each["flow"] for each in self.traffic()["services"]}
        self.assertLessEqual({"web", "orders", "prices"}, set(services))
        self.assertEqual(4, self.traffic()["proxies"])

    def test_failures_show_on_the_edge_where_they_are(self):
        self.control.apply(mesh.service("nobody"))
        caller = self.workloads["web"].sidecar
        self.assertTrue(eventually(lambda: (caller.get("nobody") or (0,))[0] == 503))
        self.assertTrue(eventually(lambda: self.edges().get(("web", "nobody"), {}).get("flow", {}).get("failures", 0) > 0), self.edges)
        self.assertIn("web → nobody", self.control.weftctl("top", "-n", "shop"))

    def test_connections_that_are_not_http_have_their_bytes(self):
        def ask():
            try:
                with http1.Client(("127.0.0.1", self.sidecar.inbound_port)) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    return client.response().status
            except OSError:
                return None

        self.assertTrue(eventually(lambda: ask() == 200))
        self.assertTrue(eventually(lambda: self.total(("(outside)", "raw"), "Connections") > 0), self.edges)
        edge = self.edges()["(outside)", "raw"]
        self.assertEqual("tcp", edge["protocol"])
        self.assertGreater(edge["flow"]["sentBytes"], 0)
        self.assertGreater(edge["flow"]["receivedBytes"], 0)

    def test_the_table_and_the_graph_show_it(self):
        self.assertTrue(eventually(lambda: self.total(("orders", "prices")) > 0))
        table = self.control.weftctl("top", "--once", "--sort", "name")
        for words in ("SERVICE", "RATE/s", "SUCCESS", "P50", "P99", "EDGE", "shop/web → shop/orders"):
            self.assertIn(words, table)
        self.assertTrue(all(len(line) <= 80 for line in table.splitlines()), table)
        self.assertNotIn("\x1b", table)
        tree = self.control.weftctl("graph", "-n", "shop")
        self.assertLess(tree.index("web"), tree.index("─ orders"))
        picture = xml.etree.ElementTree.fromstring(self.control.weftctl("graph", "-o", "svg"))
        self.assertEqual("{http://www.w3.org/2000/svg}svg", picture.tag)
        titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
        self.assertTrue(any(title.startswith("shop/web → shop/orders: http, ") for title in titles), titles)
        self.assertIn('"shop/web" -> "shop/orders"', self.control.weftctl("graph", "-o", "dot"))
        self.assertIn("edges", json.loads(self.control.weftctl("graph", "-o", "json")))
        self.assertEqual({}, {name: edge for name, edge in self.edges("-n", "bank").items()})


class Admitted(unittest.TestCase):
    def test_metrics_come_in_by_the_credential_of_the_discovery_stream(self):
        control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory()), secure=True))
        control.apply(mesh.service("web"))
        token = control.token("-n", "shop")
        workload = self.enterContext(mesh.Workload("web", control, token, None, ("--metrics-interval-ms", "100")))
        self.assertTrue(eventually(lambda: workload.ask() == (200, "web")))

        def proxies():
            return json.loads(control.weftctl("top", "-o", "json")).get("proxies", 0)

        self.assertTrue(eventually(lambda: proxies() == 1))
        listed = json.loads(control.weftctl("token", "list", "-o", "json"))["tokens"]
        control.weftctl("token", "revoke", listed[0]["id"])
        self.assertTrue(eventually(lambda: proxies() == 0))


class Sinks(unittest.TestCase):
    """A metrics service that the bootstrap names."""

    def run_proxy(self, kind="weft", interval="0.1s", **more):
        self.server = self.enterContext(MetricsServer())
        backend = self.enterContext(Backend())
        listeners = [bootstrap.http_listener("http", [bootstrap.route("app")])]
        clusters = [bootstrap.cluster("app", [backend.address]), bootstrap.cluster("metrics", [self.server.address], http2=True)]
        config = bootstrap.bootstrap(listeners, clusters, node={"id": "n", "cluster": "c"}, stats_sinks=[sink(**more)], stats_flush_interval=interval)
        proxy = self.enterContext(Proxy(config, kind=kind))
        with http1.Client(proxy.addresses["http"]) as client:
            for _ in range(3):
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(200, client.response().status)

    def counters(self, name, **labels):
        return [metric.counter.value for metric in self.server.metrics(name)
                if labels.items() <= {each.name: each.value for each in metric.label}.items()]

    def test_the_node_is_told_first_and_counters_are_totals(self):
        self.run_proxy()
        name = "cluster.app.upstream_rq_total"
        self.assertTrue(self.server.wait_for(lambda _: self.counters(name)[-2:] == [3, 3]))
        self.assertEqual("n", self.server.messages[0].identifier.node.id)
        self.assertFalse(any(message.HasField("identifier") for message in self.server.messages[1:]))
        spans = [metric for metric in self.server.metrics("cluster.app.upstream_rq_time") if metric.HasField("histogram")]
        self.assertEqual(3, sum(metric.histogram.sample_count for metric in spans))

    def test_deltas_and_labels_as_the_sink_asks(self):
        self.run_proxy(report_counters_as_deltas=True, emit_tags_as_labels=True, histogram_emit_mode="SUMMARY")
        name = "cluster.upstream_rq_total"

        def deltas(_):
            seen = self.counters(name, **{"envoy.cluster_name": "app"})
            return sum(seen) == 3 and seen[-1] == 0

        self.assertTrue(self.server.wait_for(deltas))
        spans = self.server.metrics("cluster.upstream_rq_time")
        self.assertTrue(spans)
        self.assertTrue(all(metric.HasField("summary") and not metric.HasField("histogram") for metric in spans))

    def test_envoy_itself_sends_the_same(self):
        self.run_proxy(kind="envoy")
        self.assertTrue(self.server.wait_for(lambda _: self.counters("cluster.app.upstream_rq_total")[-1:] == [3]))

    def test_a_sink_of_another_kind_is_refused_by_name(self):
        config = bootstrap.bootstrap([], [], stats_sinks=[{"name": "envoy.stat_sinks.statsd", "typed_config": {
            "@type": bootstrap.TYPE + "envoy.config.metrics.v3.StatsdSink", "tcp_cluster_name": "x"}}])
        with self.assertRaisesRegex(AssertionError, "StatsdSink"):
            Proxy(config, kind="weft")


class RealEnvoy(unittest.TestCase):
    def test_an_envoy_of_the_mesh_shows_in_the_graph(self):
        control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory())))
        control.apply(mesh.service("prices"))
        workload = self.enterContext(mesh.Workload("prices", control, None, None, ("--metrics-interval-ms", "100")))
        outbound = free_port()
        grpc_service = {"envoy_grpc": {"cluster_name": "metrics"}}
        ads = {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [grpc_service]}
        of_ads = {"ads": {}, "resource_api_version": "V3"}
        config = bootstrap.bootstrap([], [bootstrap.cluster("metrics", [control.xds], http2=True)], stats_sinks=[sink()], stats_flush_interval="0.1s",
                                     node={"id": "envoy-1", "cluster": "c", "metadata": {"namespace": "shop", "service": "gate", "outbound_port": outbound}},
                                     dynamic_resources={"ads_config": ads, "cds_config": of_ads, "lds_config": of_ads})
        self.enterContext(Proxy(config, kind="envoy"))

        def ask():
            try:
                with http1.Client(("127.0.0.1", outbound)) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: prices\r\n\r\n")
                    return client.response().status
            except (OSError, http1.Malformed, http1.Truncated):
                return None

        self.assertTrue(eventually(lambda: ask() == 200))

        def edge():
            for each in json.loads(control.weftctl("top", "-o", "json")).get("edges", []):
                if (each["source"].get("name"), each["destination"]["name"]) == ("gate", "prices"):
                    return int(each["flow"].get("totalRequests", 0))
            return 0

        self.assertTrue(eventually(lambda: ask() == 200 and edge() > 0))
        self.assertTrue(workload.ask())


class Scraped(unittest.TestCase):
    def test_metrics_have_a_port_of_their_own_and_nothing_else_is_there(self):
        port = free_port()
        with Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [])], []), kind="weft", arguments=["--metrics-address", f"127.0.0.1:{port}"]) as proxy:
            self.assertIn(f"metrics listening on 127.0.0.1:{port}", proxy.output.text())
            metrics = Metrics(split_address(f"127.0.0.1:{port}"))
            self.assertEqual(1, metrics.total("envoy_server_live"))
            for path in ("/", "/config_dump", "/quitquitquit", "/stats"):
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)
                self.assertEqual(404, refused.exception.code)


if __name__ == "__main__":
    unittest.main()
