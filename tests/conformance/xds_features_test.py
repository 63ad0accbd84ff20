"""What people write (HTTPRoute, GRPCRoute, TrafficPolicy, ExternalService) through our control plane and a real sidecar to a
backend: each field does there what Gateway API and our policies say of it."""

import concurrent.futures
import json
import tempfile
import unittest

import grpc

from tests.conformance.xds_server_test import endpoint, envoy_bootstrap, free_port, says, service, wait_until
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.http1 import Client, Truncated
from tests.integration.harness.proxy import Proxy

GATEWAY = "gateway.networking.k8s.io/v1"
FAILS = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
# Of a request that nothing ends yet.
ANSWER_LIMIT_S = 3
# Takes requests and never answers.
SILENT = b""


def route(rules, kind="HTTPRoute", name="route", parent="cart"):
    return {"apiVersion": GATEWAY, "kind": kind, "metadata": {"name": name, "namespace": "shop"},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": parent}], "rules": rules}}


def policy(target, name="policy", namespace="shop", **sections):
    return {"apiVersion": "weft.mesh/v1", "kind": "TrafficPolicy", "metadata": {"name": name, "namespace": namespace},
            "spec": {"targetRefs": [target], **sections}}


CART = {"kind": "Service", "name": "cart"}
TO_CART = {"backendRefs": [{"name": "cart", "port": 80}]}
TO_OTHER = {"backendRefs": [{"name": "other", "port": 80}]}


class FeatureCases:
    kind = None

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup((folder := tempfile.TemporaryDirectory()).cleanup)
        cls.control = cls.enterClassContext(ControlPlane(folder.name, ("--debounce-ms", "10")))
        cls.port = free_port()
        cls.proxy = cls.enterClassContext(Proxy(envoy_bootstrap(cls.control, "DELTA_GRPC", cls.port), kind=cls.kind))

    def setUp(self):
        self.cart = self.enterContext(Backend(says("cart")))
        self.other = self.enterContext(Backend(says("other")))
        self.addCleanup(self.delete_all)
        self.addCleanup(self.assert_nothing_refused)
        self.use(service("cart", 80), endpoint("cart", self.cart.address[1]), service("other", 80), endpoint("other", self.other.address[1]))

    def use(self, *objects):
        """Applies these, and waits until the proxy has acknowledged what came of them."""
        before = self.sent()
        self.control.apply(*objects, wait=True)
        wait_until(lambda: self.sent() > before and self.is_settled(), lambda: f"not all is acknowledged: {self.control.nodes()}")

    def sent(self):
        return sum(node["sent"] for node in self.control.nodes().values())

    def is_settled(self):
        return all(n["sent"] == n["acknowledged"] + n["refused"] and n["due"] == 0 for n in self.control.nodes().values())

    def delete_all(self):
        for kind in ("httproutes", "grpcroutes", "trafficpolicies", "externalservices", "endpointslices", "services"):
            items = json.loads(self.control.weftctl("get", kind, "-A", "-o", "json"))["items"]
            for item in items:
                self.control.weftctl("delete", kind, item["metadata"]["name"], "-n", item["metadata"]["namespace"])

    def assert_nothing_refused(self):
        self.assertEqual([], [n["refusals"] for n in self.control.nodes().values() if n["refused"]])

    def ask(self, path="/", host="cart", method="GET", headers=()):
        with Client(("127.0.0.1", self.port), ANSWER_LIMIT_S) as client:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode())
            return client.response(method)

    def body(self, *arguments, **more):
        try:
            response = self.ask(*arguments, **more)
        except (OSError, Truncated):
            return None
        if not response.start:
            return None
        return response.body.decode() if response.status == 200 else response.status

    def await_body(self, expected, *arguments, **more):
        wait_until(lambda: self.body(*arguments, **more) == expected,
                   lambda: f"{arguments} {more}: {self.body(*arguments, **more)}, expected {expected}")

    def last(self, backend):
        return backend.requests[-1]

    # ---- matches ----

    def test_matches_of_path_header_query_and_method(self):
        def to_other(**match):
            return {"matches": [match], **TO_OTHER}

        self.use(route([to_other(path={"type": "Exact", "value": "/exact"}), to_other(path={"value": "/prefix"}),
                        to_other(path={"type": "RegularExpression", "value": "/r[0-9]+"}), to_other(headers=[{"name": "X-A", "value": "1"}]),
                        to_other(headers=[{"name": "x-b", "value": "[ab]+", "type": "RegularExpression"}]),
                        to_other(queryParams=[{"name": "q", "value": "1"}]), to_other(method="DELETE"), TO_CART]))
        self.await_body("other", "/exact")
        for path in ("/prefix", "/prefix/x", "/r12", "/?q=1", "/x?z=2&q=1"):
            self.assertEqual("other", self.body(path), path)
        for path in ("/exact/x", "/prefixed", "/r12x", "/?q=2", "/"):
            self.assertEqual("cart", self.body(path), path)
        self.assertEqual("other", self.body(headers=[("x-a", "1")]))
        self.assertEqual("cart", self.body(headers=[("x-a", "2")]))
        self.assertEqual("other", self.body(headers=[("x-b", "abba")]))
        self.assertEqual("cart", self.body(headers=[("x-b", "abc")]))
        self.assertEqual("other", self.body(method="DELETE"))

    def test_the_most_specific_match_wins_whatever_the_order(self):
        self.use(route([{"matches": [{"path": {"value": "/a"}}], **TO_CART}, {"matches": [{"path": {"value": "/a/b"}}], **TO_OTHER},
                        {"matches": [{"path": {"type": "Exact", "value": "/a/b/c"}}], **TO_CART}]))
        self.await_body("other", "/a/b")
        self.assertEqual(["cart", "other", "cart"], [self.body(path) for path in ("/a/x", "/a/b/x", "/a/b/c")])
        self.assertEqual(404, self.body("/none"))

    # ---- filters ----

    def test_headers_are_changed_both_ways(self):
        changes = {"set": [{"name": "x-set", "value": "50%"}], "add": [{"name": "x-add", "value": "2"}], "remove": ["x-gone"]}
        answer = {"set": [{"name": "x-answer", "value": "1"}], "remove": ["x-secret"]}
        self.use(route([{"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": changes},
                                     {"type": "ResponseHeaderModifier", "responseHeaderModifier": answer}], **TO_CART}]))
        self.cart.default = b"HTTP/1.1 200 OK\r\nX-Secret: 1\r\nContent-Length: 4\r\n\r\ncart"
        wait_until(lambda: self.ask().get("x-answer") == "1", "the answer's header is not set")
        response = self.ask(headers=[("x-set", "0"), ("x-add", "1"), ("x-gone", "1")])
        self.assertIsNone(response.get("x-secret"))
        request = self.last(self.cart)
        self.assertEqual(["50%"], request.all("x-set"))
        self.assertEqual(["1", "2"], [v.strip() for value in request.all("x-add") for v in value.split(",")])
        self.assertEqual([], request.all("x-gone"))

    def test_redirects(self):
        def redirect(prefix, **fields):
            return {"matches": [{"path": {"value": prefix}}], "filters": [{"type": "RequestRedirect", "requestRedirect": fields}]}

        self.use(route([redirect("/host", hostname="new.example", statusCode=301), redirect("/scheme", scheme="https"),
                        redirect("/prefix", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}, statusCode=308),
                        redirect("/full", path={"type": "ReplaceFullPath", "replaceFullPath": "/all"}, port=8080)]))
        wait_until(lambda: self.body("/host") == 301, "no redirect")
        for path, expected in (("/host/x?y=1", (301, "http://new.example/host/x?y=1")), ("/scheme/x", (302, "https://cart/scheme/x")),
                               ("/prefix/x", (308, "http://cart/new/x")), ("/full/x", (302, "http://cart:8080/all"))):
            response = self.ask(path)
            self.assertEqual(expected, (response.status, response.get("location")))

    def test_rewrites_of_path_and_host(self):
        def rewrite(path, to, kind="ReplacePrefixMatch", **more):
            field = "replacePrefixMatch" if kind == "ReplacePrefixMatch" else "replaceFullPath"
            return {"matches": [{"path": {"value": path}}], **TO_CART,
                    "filters": [{"type": "URLRewrite", "urlRewrite": {"path": {"type": kind, field: to}, **more}}]}

        self.use(route([rewrite("/a", "/b", hostname="inner.example"), rewrite("/strip", "/"), rewrite("/full", "/a\\1", "ReplaceFullPath")]))
        wait_until(lambda: self.body("/a") == "cart" and self.last(self.cart).start.split()[1] == "/b", "nothing is rewritten")
        for path, expected in (("/a/x?q=1", "/b/x?q=1"), ("/a", "/b"), ("/strip/x", "/x"), ("/strip", "/"), ("/full/x?q=1", "/a\\1?q=1")):
            self.assertEqual("cart", self.body(path), path)
            self.assertEqual(expected, self.last(self.cart).start.split()[1])
        self.body("/a")
        self.assertEqual(["inner.example"], self.last(self.cart).all("host"))

    def test_requests_are_mirrored(self):
        self.use(route([{"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "other", "port": 80}}}], **TO_CART}]))
        self.await_body("cart", "/first")
        wait_until(lambda: self.body("/again") == "cart" and self.other.requests, "nothing is mirrored")
        self.assertIn("/", self.last(self.other).start)

    # ---- timeouts and retries ----

    def test_a_rules_timeouts_end_requests_and_attempts(self):
        self.use(route([{"timeouts": {"request": "300ms"}, **TO_CART}]))
        self.cart.default = SILENT
        self.await_body(504)
        self.use(route([{"timeouts": {"request": "10s", "backendRequest": "200ms"}, "retry": {"attempts": 1, "codes": [504]}, **TO_CART}]))
        mark = self.cart.mark()
        self.await_body(504)
        self.assertGreaterEqual(len(self.cart.since(mark)[0]), 2)

    def test_a_rules_retries_try_what_they_name_again(self):
        self.use(route([{"retry": {"attempts": 2, "codes": [503], "backoff": "5ms"}, **TO_CART}]))
        wait_until(lambda: self.scripted(FAILS, FAILS) == (3, "cart"), "no two retries")
        self.assertEqual((3, 503), self.scripted(FAILS, FAILS, FAILS))
        self.assertEqual((1, 500), self.scripted(FAILS.replace(b"503", b"500")))

    def scripted(self, *replies):
        """(how many requests came, what the caller got) with these replies before the usual one."""
        mark = self.cart.mark()
        self.cart.script(*replies)
        body = self.body()
        self.cart.script()
        return len(self.cart.since(mark)[0]), body

    def test_policies_hold_by_mesh_namespace_service_and_route_the_most_specific_first(self):
        mesh = policy({"group": "weft.mesh", "kind": "Mesh", "name": "default"}, "mesh", "weft-system", retry={"attempts": 1, "codes": [503]})
        self.use(mesh)
        wait_until(lambda: self.scripted(FAILS, FAILS)[0] == 2, "the mesh's policy does not hold")
        self.use(policy({"kind": "Namespace", "name": "shop"}, "namespace", retry={"attempts": 2, "codes": [503]}))
        wait_until(lambda: self.scripted(FAILS, FAILS, FAILS)[0] == 3, "the namespace's does not")
        self.use(policy(CART, "service", retry={"attempts": 3, "codes": [503]}))
        wait_until(lambda: self.scripted(*[FAILS] * 4)[0] == 4, "the service's does not")
        self.use(route([{"name": "main", **TO_CART}]),
                 policy({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "route", "sectionName": "main"}, "rule",
                        retry={"attempts": 0}))
        wait_until(lambda: self.scripted(FAILS) == (1, 503), "the rule's does not")

    def test_a_policys_timeout_and_what_was_not_processed_is_tried_again_by_default(self):
        self.use(policy(CART, timeouts={"request": "300ms"}, retry={"attempts": 2}))
        self.cart.default = SILENT
        self.await_body(504)
        self.cart.default = says("cart")
        self.await_body("cart")
        # An answer is one: it was processed.
        self.assertEqual((1, 503), self.scripted(FAILS))

    # ---- what holds for a service ----

    def test_a_breaker_lets_only_so_many_requests_in(self):
        self.use(policy(CART, circuitBreaker={"maxRequests": 1, "maxPendingRequests": 1, "maxConnections": 1}, timeouts={"request": "2s"}))
        self.await_body("cart")
        self.cart.default = SILENT
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [each.result() for each in [pool.submit(self.body) for _ in range(8)]]
        self.assertIn(503, answers)
        self.assertIn(504, answers)

    def test_an_endpoint_that_fails_is_ejected(self):
        second = self.enterContext(Backend(FAILS))
        slice_ = endpoint("cart", self.cart.address[1])
        bad = endpoint("cart", second.address[1])
        bad["metadata"]["name"] = "cart-bad"
        self.use(slice_, bad, policy(CART, outlierDetection={"consecutiveErrors": 2, "interval": "100ms", "baseEjectionTime": "60s",
                                                             "maxEjectionPercent": 100}))
        wait_until(lambda: self.body() != "cart" or len(second.requests) >= 2, "the one that fails takes no requests")
        wait_until(lambda: {self.body() for _ in range(12)} == {"cart"}, "the one that fails still takes requests")
        self.assertGreaterEqual(len(second.requests), 2)

    def test_an_endpoint_whose_check_fails_gets_nothing(self):
        second = self.enterContext(Backend(says("second")))
        bad = endpoint("cart", second.address[1])
        bad["metadata"]["name"] = "cart-2"
        self.cart.default = FAILS
        self.use(endpoint("cart", self.cart.address[1]), bad,
                 policy(CART, healthCheck={"http": {"path": "/health"}, "interval": "100ms", "timeout": "1s", "unhealthyThreshold": 1}))
        wait_until(lambda: {self.body("/x") for _ in range(12)} == {"second"}, "the one whose check fails still takes requests")
        self.assertTrue(any("/health" in request.start for request in self.cart.requests))

    def test_a_hash_keeps_a_caller_with_its_endpoint(self):
        backends = [self.enterContext(Backend(says(name))) for name in ("one", "two", "three")]
        slices = []
        for i, backend in enumerate(backends):
            slices.append(endpoint("cart", backend.address[1]))
            slices[-1]["metadata"]["name"] = "cart" if i == 0 else f"cart-{i}"
        for algorithm in ("RingHash", "Maglev"):
            self.use(*slices, policy(CART, loadBalancer={"algorithm": algorithm, "hashKey": {"header": "x-user"}}))

            def kept():
                by_user = {user: {self.body(headers=[("x-user", user)]) for _ in range(5)} for user in "abcdefghijkl"}
                return all(len(each) == 1 for each in by_user.values()) and len(set.union(*by_user.values())) > 1

            wait_until(kept, f"{algorithm} does not keep callers")
        self.use(policy(CART, loadBalancer={"algorithm": "LeastRequest"}))
        wait_until(lambda: len({self.body(headers=[("x-user", "a")]) for _ in range(30)}) == 3, "not all take their share")

    def test_every_field_of_a_policy_is_taken(self):
        self.use(policy(CART, timeouts={"request": "5s", "backendRequest": "1s", "idle": "1m", "connect": "500ms"},
                        retry={"attempts": 2, "codes": [503], "grpcStatuses": ["unavailable"], "on": ["connect-failure", "refused-stream",
                               "reset-before-request", "reset"], "backoff": "10ms", "maxBackoff": "50ms"},
                        retryBudget={"percent": 20, "minConcurrent": 3},
                        circuitBreaker={"maxConnections": 10, "maxPendingRequests": 10, "maxRequests": 10, "maxRequestsPerConnection": 100},
                        outlierDetection={"consecutiveErrors": 5, "consecutiveGatewayErrors": 5, "interval": "1s", "baseEjectionTime": "1s",
                                          "maxEjectionPercent": 50},
                        healthCheck={"tcp": {}, "interval": "1s", "timeout": "1s", "healthyThreshold": 1, "unhealthyThreshold": 2},
                        loadBalancer={"algorithm": "LeastRequest", "slowStart": "1s", "preferZone": True}))
        self.await_body("cart")

    def test_an_external_service_is_called_by_its_host(self):
        self.use({"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": "ext", "namespace": "shop"},
                  "spec": {"hosts": ["api.example"], "ports": [{"port": 80, "appProtocol": "http", "targetPort": self.other.address[1]}],
                           "resolution": "Static", "endpoints": [{"address": "127.0.0.1"}]}})
        self.await_body("other", host="api.example")
        self.use({"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": "dns", "namespace": "shop"},
                  "spec": {"hosts": ["localhost"], "ports": [{"port": 80, "appProtocol": "http", "targetPort": self.other.address[1]}]}})
        self.await_body("other", host="localhost")

    def test_grpc_calls_go_by_method_and_header(self):
        def server(name):
            class Handler(grpc.GenericRpcHandler):
                def service(self, call):
                    return grpc.unary_unary_rpc_method_handler(lambda request, context: name.encode())

            made = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[Handler()])
            port = made.add_insecure_port("127.0.0.1:0")
            made.start()
            self.addCleanup(lambda: made.stop(None).wait())
            return port

        def rule(match, name):
            return {"matches": [match], "backendRefs": [{"name": name, "port": 50}]}

        self.use(service("one", 50, "grpc"), endpoint("one", server("one")), service("two", 50, "grpc"), endpoint("two", server("two")),
                 route([rule({"method": {"service": "a.S", "method": "M"}}, "two"), rule({"method": {"service": "a.T"}}, "two"),
                        rule({"headers": [{"name": "x-user", "value": "1"}]}, "two"), {"backendRefs": [{"name": "one", "port": 50}]}],
                       "GRPCRoute", parent="one"))
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", [("grpc.default_authority", "one:50")]) as channel:
            def call(method, **metadata):
                try:
                    return channel.unary_unary(method)(b"", timeout=10, wait_for_ready=True,
                                                       metadata=[(n.replace("_", "-"), v) for n, v in metadata.items()]).decode()
                except grpc.RpcError as error:
                    return error.code().name

            wait_until(lambda: call("/a.S/M") == "two", "the method's rule does not hold")
            self.assertEqual(["one", "two", "two", "one"], [call("/a.S/N"), call("/a.T/X"), call("/b.U/V", x_user="1"), call("/b.U/V")])


class Envoy(FeatureCases, unittest.TestCase):
    kind = "envoy"


if __name__ == "__main__":
    unittest.main()
