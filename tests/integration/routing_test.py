"""Which cluster a request goes to, and what is changed on the way: virtual hosts, matches, rewrites, redirects, direct
responses, weights, headers."""

import collections
import re
import unittest

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy, under_test

CLUSTERS = ("red", "green", "blue")


def to(cluster, **action):
    return {"cluster": cluster, **action}


def direct(status, body):
    return {"direct_response": {"status": status, "body": {"inline_string": body}}}


ROUTES = [
    {"match": {"path": "/exact"}, "route": to("red")},
    {"match": {"prefix": "/first"}, "route": to("red")},
    {"match": {"prefix": "/first/second"}, "route": to("green")},
    {"match": {"safe_regex": {"regex": "/re/[0-9]+"}}, "route": to("green")},
    {"match": {"prefix": "/old/"}, "route": to("red", prefix_rewrite="/new/")},
    {"match": {"prefix": "/moved"}, "redirect": {"path_redirect": "/here", "host_redirect": "b.example"}},
    {"match": {"prefix": "/secure"}, "redirect": {"https_redirect": True, "response_code": "TEMPORARY_REDIRECT"}},
    {"match": {"prefix": "/direct"}, **direct(418, "short and stout")},
    {"match": {"prefix": "/host"}, "route": to("red", host_rewrite_literal="other.example")},
    {"match": {"prefix": "/header", "headers": [{"name": "x-color", "string_match": {"exact": "green"}}]}, "route": to("green")},
    {"match": {"prefix": "/header", "headers": [{"name": "x-color", "string_match": {"prefix": "bl"}}]}, "route": to("blue")},
    {"match": {"prefix": "/header", "headers": [{"name": "x-any", "present_match": True}]}, "route": to("blue")},
    {"match": {"prefix": "/header", "headers": [{"name": "x-color", "string_match": {"exact": "red"}, "invert_match": True}]}, "route": to("green")},
    {"match": {"prefix": "/header"}, "route": to("red")},
    {"match": {"prefix": "/query", "query_parameters": [{"name": "v", "string_match": {"exact": "2"}}]}, "route": to("green")},
    {"match": {"prefix": "/query"}, "route": to("red")},
    {"match": {"prefix": "/CASE", "case_sensitive": False}, "route": to("blue")},
    {"match": {"prefix": "/weights"}, "route": {"weighted_clusters": {"clusters": [{"name": "red", "weight": 75}, {"name": "green", "weight": 25}]}}},
    {
        "match": {"prefix": "/change"},
        "route": to("red"),
        "request_headers_to_add": [
            {"header": {"key": "x-added", "value": "route"}},
            {"header": {"key": "x-over", "value": "ours"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
            {"header": {"key": "x-from", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}},
        ],
        "request_headers_to_remove": ["x-secret"],
        "response_headers_to_add": [{"header": {"key": "x-answer", "value": "yes"}}],
        "response_headers_to_remove": ["x-internal"],
    },
    {"match": {"path_separated_prefix": "/seg"}, "route": to("green")},
    {"match": {"prefix": "/"}, "route": to("blue")},
]

HOSTS = [
    {"name": "exact", "domains": ["exact.example"], "routes": [{"match": {"prefix": "/"}, "route": to("red")}]},
    {"name": "suffix", "domains": ["*.suffix.example"], "routes": [{"match": {"prefix": "/"}, "route": to("green")}]},
    {"name": "longer", "domains": ["*.long.suffix.example"], "routes": [{"match": {"prefix": "/"}, "route": to("blue")}]},
    {"name": "prefix", "domains": ["prefix.*"], "routes": [{"match": {"prefix": "/"}, "route": to("blue")}]},
    {"name": "port", "domains": ["port.example:8443"], "routes": [{"match": {"prefix": "/"}, "route": to("green")}]},
    {"name": "tls", "domains": ["tls.example"], "require_tls": "ALL", "routes": [{"match": {"prefix": "/"}, "route": to("red")}]},
    {"name": "rest", "domains": ["*"], "routes": ROUTES},
]


class Routing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backends = {name: cls.enterClassContext(Backend(default=f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\nX-Internal: 1\r\n\r\n{name}".encode()))
                        for name in CLUSTERS}
        listeners = [
            bootstrap.http_listener("http", None, virtual_hosts=HOSTS),
            bootstrap.http_listener("edge", [bootstrap.route("red")], use_remote_address=True),
            bootstrap.http_listener("some", None, virtual_hosts=[{"name": "one", "domains": ["one.example"],
                                                                 "routes": [{"match": {"prefix": "/only"}, "route": to("red")}]}]),
        ]
        clusters = [bootstrap.cluster(name, [backend.address]) for name, backend in cls.backends.items()]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters)))

    def get(self, path, host="any.example", headers=(), listener="http", method="GET"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        with http1.Client(self.proxy.addresses[listener]) as client:
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode())
            return client.response(method)

    def goes_to(self, cluster, *arguments, **keywords):
        got = self.get(*arguments, **keywords)
        self.assertEqual((200, cluster), (got.status, got.body.decode()))
        return self.backends[cluster].requests[-1]

    def test_an_exact_host(self):
        self.goes_to("red", "/", host="exact.example")

    def test_a_hosts_case_does_not_matter(self):
        self.goes_to("red", "/", host="EXACT.Example")

    def test_a_suffix_wildcard_takes_the_longest(self):
        self.goes_to("green", "/", host="a.suffix.example")
        self.goes_to("blue", "/", host="a.long.suffix.example")

    def test_a_suffix_wildcard_needs_something_before_it(self):
        self.goes_to("blue", "/", host="suffix.example")

    def test_a_prefix_wildcard(self):
        self.goes_to("blue", "/", host="prefix.anything")

    def test_a_domain_with_a_port_matches_that_port_only(self):
        self.goes_to("green", "/", host="port.example:8443")
        self.goes_to("blue", "/", host="port.example")

    def test_a_host_of_no_virtual_host_is_not_found(self):
        self.assertEqual(404, self.get("/only", host="two.example", listener="some").status)

    def test_a_path_of_no_route_is_not_found(self):
        self.assertEqual(200, self.get("/only", host="one.example", listener="some").status)
        self.assertEqual(404, self.get("/", host="one.example", listener="some").status)

    def test_a_host_that_requires_tls_redirects(self):
        got = self.get("/x?y=1", host="tls.example")
        self.assertEqual((301, "https://tls.example/x?y=1"), (got.status, got.get("location")))

    def test_an_exact_path_ignores_the_query_and_nothing_else(self):
        self.goes_to("red", "/exact")
        self.goes_to("red", "/exact?a=b")
        self.goes_to("blue", "/exact/")
        self.goes_to("blue", "/EXACT")

    def test_the_first_route_that_matches_wins(self):
        self.goes_to("red", "/first/second")

    def test_a_regex_matches_the_whole_path(self):
        self.goes_to("green", "/re/12")
        self.goes_to("green", "/re/12?a=b")
        self.goes_to("blue", "/re/12x")

    def test_a_prefix_of_segments_ends_at_a_slash(self):
        self.goes_to("green", "/seg")
        self.goes_to("green", "/seg/x")
        self.goes_to("green", "/seg?a")
        self.goes_to("blue", "/segment")

    def test_a_prefix_without_regard_to_case(self):
        self.goes_to("blue", "/case/x")

    def test_headers_choose_a_route(self):
        self.goes_to("green", "/header", headers=["X-Color: green"])
        self.goes_to("blue", "/header", headers=["X-Color: blue"])
        self.goes_to("blue", "/header", headers=["X-Any:", "X-Color: red"])
        self.goes_to("red", "/header", headers=["X-Color: red"])

    def test_a_query_parameter_chooses_a_route(self):
        self.goes_to("green", "/query?a=1&v=2")
        self.goes_to("red", "/query?v=22")

    def test_a_prefix_is_rewritten_and_the_query_stays(self):
        self.assertEqual("GET /new/x?y=1 HTTP/1.1", self.goes_to("red", "/old/x?y=1").start)

    def test_the_host_is_rewritten(self):
        self.assertEqual("other.example", self.goes_to("red", "/host").get("host"))

    def test_a_redirect_names_host_and_path(self):
        got = self.get("/moved?x=1", host="a.example")
        self.assertEqual((301, "http://b.example/here?x=1"), (got.status, got.get("location")))

    def test_a_redirect_to_https_keeps_the_rest(self):
        got = self.get("/secure/x?y=1", host="a.example")
        self.assertEqual((307, "https://a.example/secure/x?y=1"), (got.status, got.get("location")))

    def test_a_direct_response(self):
        got = self.get("/direct")
        self.assertEqual((418, b"short and stout"), (got.status, got.body))

    def test_a_direct_response_to_head_has_no_body(self):
        got = self.get("/direct", method="HEAD")
        self.assertEqual((418, True), (got.status, got.complete))

    def test_weights_are_kept_on_average(self):
        with http1.Client(self.proxy.addresses["http"]) as client:
            counts = collections.Counter()
            for _ in range(1000):
                client.send(b"GET /weights HTTP/1.1\r\nHost: a\r\n\r\n")
                counts[client.response().body.decode()] += 1
        self.assertEqual({"red", "green"}, set(counts))
        # Six standard deviations around 250.
        self.assertTrue(168 < counts["green"] < 332, counts)

    def test_headers_are_added_and_removed(self):
        request = self.goes_to("red", "/change", headers=["X-Secret: s", "X-Over: theirs", "X-Added: client"])
        self.assertEqual(["client", "route"], request.all("x-added"))
        self.assertEqual(["ours"], request.all("x-over"))
        self.assertEqual("127.0.0.1", request.get("x-from"))
        self.assertIsNone(request.get("x-secret"))
        got = self.get("/change")
        self.assertEqual("yes", got.get("x-answer"))
        self.assertIsNone(got.get("x-internal"))
        self.assertEqual("1", self.get("/").get("x-internal"))

    def test_a_request_gets_an_id(self):
        ids = {self.goes_to("blue", "/").get("x-request-id") for _ in range(3)}
        self.assertEqual(3, len(ids))
        for value in ids:
            self.assertRegex(value, r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")

    def test_the_scheme_is_told(self):
        self.assertEqual("http", self.goes_to("blue", "/").get("x-forwarded-proto"))

    def test_an_edge_appends_the_peers_address(self):
        request = self.goes_to("red", "/", listener="edge", headers=["X-Forwarded-For: 10.1.1.1"])
        # For a peer on loopback Envoy writes the address of the machine instead.
        peer = r"[0-9.]+" if under_test() == "envoy" else r"127\.0\.0\.1"
        self.assertTrue(re.fullmatch(r"10\.1\.1\.1, ?" + peer, request.get("x-forwarded-for")), request.get("x-forwarded-for"))

    def test_without_an_edge_the_forwarded_for_stays(self):
        self.assertEqual("10.1.1.1", self.goes_to("blue", "/", headers=["X-Forwarded-For: 10.1.1.1"]).get("x-forwarded-for"))

    def test_responses_name_the_server(self):
        self.assertIsNotNone(self.get("/direct").get("date"))
        self.assertIsNotNone(self.get("/direct").get("server"))


if __name__ == "__main__":
    unittest.main()
