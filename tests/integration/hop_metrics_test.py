"""Every hop is measured on both sides, under Istio's names: how often, who with whom, and what became of it."""

import contextlib
import socket
import tempfile
import unittest

import grpc

from tests.integration.harness import bootstrap, http1, mesh
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import Load, eventually
from tests.integration.harness.metrics import Metrics
from tests.integration.harness.proxy import Proxy

REQUESTS = 20
HOP_METRICS = bootstrap.TYPE + "weft.v1.HopMetrics"
HISTOGRAMS = ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes")


def hops(kind, reporter):
    return {"name": f"weft.filters.{kind}.hop_metrics", "typed_config": {"@type": HOP_METRICS, "reporter": reporter}}


def node(name, service, workload):
    metadata = {"namespace": "shop", "service": service, "workload": workload, "service_account": service}
    return {"id": name, "cluster": "test", "metadata": metadata}


def spiffe(service):
    return f"spiffe://cluster.local/ns/shop/sa/{service}"


def ask(address, path="/", headers=""):
    with http1.Client(address) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: cart\r\n{headers}\r\n".encode())
        return client.response()


class Pair(unittest.TestCase):
    """A caller's proxy and a called one's, with mutual TLS between them, from bootstraps."""

    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        authority = Authority(folder)
        self.web, self.cart = (authority.leaf(name, [f"URI:{spiffe(name)}"]) for name in ("web", "cart"))
        self.trust = {"validation_context": {"trusted_ca": {"filename": str(authority.certificate)}}}
        self.backend = self.enterContext(Backend())
        self.grpc = self.enterContext(Load.grpc_server())

    def tcp(self, name, cluster, reporter, tls=None):
        listener = bootstrap.tcp_listener(name, cluster)
        chain = listener["filter_chains"][0]
        chain["filters"].insert(0, hops("network", reporter))
        if tls is not None:
            chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": bootstrap.DOWNSTREAM_TLS, **tls}}
        return listener

    def called(self, tls=True):
        context = {**bootstrap.server_tls(self.cart, **self.trust), "require_client_certificate": True} if tls else None
        named = {"metadata": {"filter_metadata": {"weft": {"host": "cart.shop.svc.cluster.local", "service": "cart", "namespace": "shop"}}}}
        filters = [hops("http", "DESTINATION")]
        listeners = [bootstrap.http_listener("http", [bootstrap.route("app")], tls=context, http_filters=filters),
                     bootstrap.http_listener("grpc", [bootstrap.route("rpc")], tls=context, http_filters=filters),
                     self.tcp("tcp", "app", "DESTINATION", context)]
        clusters = [bootstrap.cluster("app", [self.backend.address], **named), bootstrap.cluster("rpc", [self.grpc], http2=True, **named)]
        return self.enterContext(Proxy(bootstrap.bootstrap(listeners, clusters, node=node("cart-1", "cart", "cart-v2")), kind="weft"))

    def caller(self, called, tls=True, more=()):
        context = bootstrap.server_tls(self.web, **self.trust) if tls else None

        def cluster(name, listener, **options):
            result = bootstrap.cluster(name, [called.addresses[listener]], tls=context, **options)
            result["metadata"] = {"filter_metadata": {"weft": {"host": "cart.shop.svc.cluster.local", "service": "cart", "namespace": "shop"}}}
            endpoint = result["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
            endpoint["metadata"] = {"filter_metadata": {"weft": {"workload": "cart-v2", "namespace": "shop", "service": "cart"}}}
            return result

        routes = [*more, bootstrap.route("http")]
        filters = [hops("http", "SOURCE")]
        listeners = [bootstrap.http_listener("http", routes, http_filters=filters),
                     bootstrap.http_listener("grpc", [bootstrap.route("grpc")], http_filters=filters), self.tcp("tcp", "tcp", "SOURCE")]
        clusters = [cluster("http", "http"), cluster("grpc", "grpc", http2=True), cluster("tcp", "tcp")]
        return self.enterContext(Proxy(bootstrap.bootstrap(listeners, clusters, node=node("web-1", "web", "web-canary")), kind="weft", concurrency=2))

    def test_both_sides_tell_the_same_with_both_identities(self):
        called = self.called()
        caller = self.caller(called)
        for _ in range(REQUESTS):
            # What an application says of its own accord is nobody's word.
            self.assertEqual(200, ask(caller.addresses["http"], headers="x-weft-peer: evil/evil\r\n").status)
        expected = {"source_workload": "web-canary", "source_workload_namespace": "shop", "source_principal": spiffe("web"), "source_app": "web",
                    "source_canonical_service": "web", "destination_workload": "cart-v2", "destination_workload_namespace": "shop",
                    "destination_principal": spiffe("cart"), "destination_app": "cart", "destination_canonical_service": "cart",
                    "destination_service": "cart.shop.svc.cluster.local", "destination_service_name": "cart",
                    "destination_service_namespace": "shop", "request_protocol": "http", "response_code": "200", "response_flags": "-",
                    "grpc_response_status": "", "connection_security_policy": "mutual_tls", "cause": "none"}
        for proxy, reporter in ((caller, "source"), (called, "destination")):
            with self.subTest(reporter=reporter):
                metrics = Metrics.once(proxy.admin, REQUESTS, "istio_requests_total", reporter=reporter)
                self.assertEqual(REQUESTS, metrics.total("istio_requests_total", reporter=reporter))
                labels = metrics.labels("istio_requests_total")
                self.assertEqual({**labels, **expected, "reporter": reporter}, labels)
                for name in HISTOGRAMS:
                    self.assertEqual("histogram", metrics.families[name].type)
                    self.assertEqual(REQUESTS, metrics.total(name + "_count", **expected))
                    self.assertEqual(REQUESTS, metrics.total(name + "_bucket", le="+Inf"))
                self.assertEqual(2 * REQUESTS, metrics.total("istio_response_bytes_sum"))
        _, request = self.backend.requests[-1] if isinstance(self.backend.requests[-1], tuple) else (None, self.backend.requests[-1])
        self.assertNotIn("x-weft-peer", str(vars(request)).lower())

    def test_failures_have_their_cause_on_the_side_that_saw_them(self):
        called = self.called()
        caller = self.caller(called, more=[{"match": {"prefix": "/gone"}, "direct_response": {"status": 410}}])
        self.backend.script(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(503, ask(caller.addresses["http"]).status)
        self.assertEqual(410, ask(caller.addresses["http"], "/gone").status)
        for proxy in (caller, called):
            labels = {"response_code": "503", "cause": "none", "destination_workload": "cart-v2"}
            self.assertEqual(1, Metrics.once(proxy.admin, 1, "istio_requests_total", **labels).total("istio_requests_total", **labels))
        metrics = Metrics.once(caller.admin, 1, "istio_requests_total", response_code="410")
        self.assertEqual("unknown", metrics.labels("istio_requests_total", response_code="410")["destination_service"])
        called.stop()
        self.assertEqual(503, ask(caller.addresses["http"]).status)
        metrics = Metrics.once(caller.admin, 1, "istio_requests_total", cause="connect_refused")
        labels = metrics.labels("istio_requests_total", cause="connect_refused")
        self.assertEqual(("UF", "cart", "cart-v2", "503"), (labels["response_flags"], labels["destination_service_name"], labels["destination_workload"],
                                                             labels["response_code"]))

    def test_grpc_is_told_by_its_status(self):
        called = self.called()
        caller = self.caller(called)
        with grpc.insecure_channel("%s:%d" % caller.addresses["grpc"]) as channel:
            call = channel.unary_unary("/test.Echo/Call")
            for _ in range(3):
                self.assertEqual(b"x", call(b"x", timeout=10))
            with self.assertRaises(grpc.RpcError):
                channel.unary_unary("/test.Echo/Unknown")(b"x", timeout=10)
        for proxy in (caller, called):
            metrics = Metrics.once(proxy.admin, 1, "istio_requests_total", request_protocol="grpc", grpc_response_status="12")
            self.assertEqual(3, metrics.total("istio_requests_total", request_protocol="grpc", grpc_response_status="0", response_code="200"))
            self.assertEqual(1, metrics.total("istio_requests_total", request_protocol="grpc", grpc_response_status="12"))

    def test_tcp_is_counted_while_it_lasts(self):
        called = self.called()
        caller = self.caller(called)
        request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        with contextlib.closing(socket.create_connection(caller.addresses["tcp"])) as client:
            client.sendall(request)
            answer = client.recv(4096)
            for proxy, reporter in ((caller, "source"), (called, "destination")):
                named = {"reporter": reporter, "request_protocol": "tcp", "destination_workload": "cart-v2", "source_principal": spiffe("web")}

                def counted(name, **more):
                    return Metrics(proxy.admin).total(f"istio_tcp_{name}_total", **named, **more)

                self.assertTrue(eventually(lambda: counted("sent_bytes") == len(answer)))
                self.assertEqual(len(request), counted("received_bytes"))
                self.assertEqual((1, 0), (counted("connections_opened"), counted("connections_closed")))
        for proxy in (caller, called):
            self.assertTrue(eventually(lambda: Metrics(proxy.admin).total("istio_tcp_connections_closed_total", connection_security_policy="mutual_tls") == 1))

    def test_without_mutual_tls_nobody_is_known_by_his_word(self):
        called = self.called(tls=False)
        caller = self.caller(called, tls=False)
        ask(caller.addresses["http"])
        ask(called.addresses["http"], headers="x-weft-peer: evil/evil\r\n")
        labels = Metrics.once(called.admin, 2, "istio_requests_total").labels("istio_requests_total")
        self.assertEqual(("unknown", "unknown", "none"), (labels["source_workload"], labels["source_principal"], labels["connection_security_policy"]))
        metrics = Metrics.once(caller.admin, 1, "istio_requests_total")
        self.assertEqual("none", metrics.labels("istio_requests_total")["connection_security_policy"])


class Bounded(unittest.TestCase):
    def test_more_sets_of_labels_than_there_is_room_for_are_counted_together(self):
        backend = self.enterContext(Backend())
        runtime = {"layers": [{"name": "static", "static_layer": {"weft.hop_metrics.max_series": 5}}]}
        listeners = [bootstrap.http_listener("http", [bootstrap.route("app")], http_filters=[hops("http", "DESTINATION")])]
        proxy = self.enterContext(Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("app", [backend.address])], layered_runtime=runtime), kind="weft"))
        with http1.Client(proxy.addresses["http"]) as client:
            for status in range(200, 220):
                if status in (204, 205):
                    continue
                backend.script(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(status, client.response().status)
        metrics = Metrics.once(proxy.admin, 18, "istio_requests_total")
        self.assertEqual(18, metrics.total("istio_requests_total"))
        self.assertEqual(13, metrics.total("istio_requests_total", destination_workload="overflow"))
        self.assertTrue(eventually(lambda: Metrics(proxy.admin).total("envoy_hop_metrics_overflowed_total") == 13))


class Mesh(unittest.TestCase):
    def test_the_control_plane_makes_every_hop_measured(self):
        control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory())))
        control.apply(mesh.service("web"), mesh.service("orders"), mesh.service("prices"))
        workloads = {}
        for name, calls in (("prices", None), ("orders", "prices"), ("web", "orders")):
            workloads[name] = self.enterContext(mesh.Workload(name, control, None, calls, ("--workload", name + "-v2")))
        self.assertTrue(eventually(lambda: workloads["web"].ask() == (200, "web > orders > prices")))
        admins = {name: workload.sidecar.admin() for name, workload in workloads.items()}

        def hop(of, reporter, called):
            return Metrics(admins[of]).total("istio_requests_total", reporter=reporter, destination_service_name=called, response_code="200",
                                             destination_workload=called + "-v2", destination_service=f"{called}.shop.svc.cluster.local")

        edges = [("web", "destination", "web"), ("web", "source", "orders"), ("orders", "destination", "orders"), ("orders", "source", "prices"),
                 ("prices", "destination", "prices")]
        def counts():
            return {edge: hop(*edge) for edge in edges}

        # The last answer was there before it was counted.
        self.assertTrue(eventually(lambda: counts() == counts()))
        before = counts()
        for _ in range(REQUESTS):
            self.assertEqual((200, "web > orders > prices"), workloads["web"].ask())
        expected = {edge: before[edge] + REQUESTS for edge in edges}
        eventually(lambda: counts() == expected)
        self.assertEqual(expected, counts())
        labels = Metrics(admins["web"]).labels("istio_requests_total", reporter="source", response_code="200")
        self.assertEqual(("web-v2", "shop", "orders-v2", "shop"), (labels["source_workload"], labels["source_workload_namespace"], labels["destination_workload"],
                                                              labels["destination_workload_namespace"]))


if __name__ == "__main__":
    unittest.main()
