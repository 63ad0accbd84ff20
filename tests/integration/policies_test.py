"""Policies of routes, clusters and connection managers: mirroring, hashing, header-driven retries, who counts as a client of
ours, health checks of every kind, CORS counts."""

import concurrent.futures
import socket
import ssl
import tempfile
import threading
import unittest

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy, under_test


def wait_until(condition, limit_s=http1.WAIT_LIMIT_S):
    pause = threading.Event()
    for _ in range(int(limit_s / 0.02)):
        if condition():
            return True
        pause.wait(0.02)
    return False


def ask(proxy, path="/", method="GET", headers=(), body=b"", listener="http", authority="a.example:80"):
    with http1.Client(proxy.addresses[listener]) as client:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {authority}", *headers]
        client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return client.response(method)


class Mirrors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        cls.shadow = cls.enterClassContext(Backend())
        cls.shadow2 = cls.enterClassContext(http2.Backend())
        percent = lambda n: {"default_value": {"numerator": n, "denominator": "HUNDRED"}}
        mirror = lambda prefix, *policies: bootstrap.route("backend", prefix=prefix, request_mirror_policies=list(policies))
        routes = [
            mirror("/all", {"cluster": "shadow"}),
            mirror("/none", {"cluster": "shadow", "runtime_fraction": percent(0)}),
            mirror("/two", {"cluster": "shadow", "disable_shadow_host_suffix_append": True}, {"cluster": "shadow2"}),
            mirror("/gone", {"cluster": "gone"}),
        ]
        clusters = [bootstrap.cluster("backend", [cls.backend.address]), bootstrap.cluster("shadow", [cls.shadow.address]),
                    bootstrap.cluster("shadow2", [cls.shadow2.address], http2=True), bootstrap.cluster("gone", [("127.0.0.1", 1)])]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", routes)], clusters)))

    def test_a_copy_with_its_body_goes_to_the_shadow(self):
        before = len(self.shadow.requests)
        got = ask(self.proxy, "/all?x", "POST", ["Content-Length: 5", "X-Mine: yes"], b"hello")
        self.assertEqual((200, b"ok"), (got.status, got.body))
        self.assertTrue(self.shadow.wait_for(lambda requests: len(requests) > before and requests[before].complete))
        copy = self.shadow.requests[before]
        self.assertEqual(("POST /all?x HTTP/1.1", b"hello", "yes"), (copy.start, copy.body, copy.get("x-mine")))
        self.assertEqual("a.example-shadow:80", copy.get("host"))
        self.assertTrue(wait_until(lambda: self.proxy.counter("cluster.shadow.upstream_rq_200") > 0))

    def test_chunks_and_trailers_go_too(self):
        before = len(self.shadow.requests)
        body = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        self.assertEqual(200, ask(self.proxy, "/two", "POST", ["Transfer-Encoding: chunked"], body).status)
        self.assertTrue(self.shadow.wait_for(lambda requests: len(requests) > before and requests[before].complete))
        self.assertEqual((b"abcdefg", "a.example:80"), (self.shadow.requests[before].body, self.shadow.requests[before].get("host")))
        self.assertTrue(self.shadow2.wait_for(lambda streams: streams and streams[-1].complete))
        self.assertEqual(b"abcdefg", bytes(self.shadow2.streams[-1].body))

    def test_a_share_of_none_mirrors_nothing(self):
        mark = len(self.shadow.requests)
        for _ in range(5):
            self.assertEqual(200, ask(self.proxy, "/none").status)
        # The request after them is mirrored, and theirs would have come before it.
        ask(self.proxy, "/all/mark")
        self.assertTrue(self.shadow.wait_for(lambda requests: len(requests) > mark))
        self.assertEqual("GET /all/mark HTTP/1.1", self.shadow.requests[mark].start)

    def test_a_shadow_that_is_not_there_harms_nobody(self):
        self.assertEqual(200, ask(self.proxy, "/gone").status)
        self.assertTrue(wait_until(lambda: self.proxy.counter("cluster.gone.upstream_cx_connect_fail") > 0))


class Hashing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backends = [cls.enterClassContext(Backend(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % i)) for i in range(4)]
        policies = {
            "header": [{"header": {"header_name": "x-user"}}],
            "cookie": [{"cookie": {"name": "sticky", "ttl": "60s", "path": "/"}}],
            "ip": [{"connection_properties": {"source_ip": True}}],
            "query": [{"query_parameter": {"name": "user"}}],
            "terminal": [{"header": {"header_name": "x-user"}, "terminal": True}, {"header": {"header_name": "x-other"}}],
        }
        routes = [bootstrap.route(balancer, prefix=f"/{balancer}/{name}", hash_policy=policy) for balancer in ("ring", "maglev")
                  for name, policy in policies.items()]
        addresses = [backend.address for backend in cls.backends]
        clusters = [bootstrap.cluster("ring", addresses, lb_policy="RING_HASH"), bootstrap.cluster("maglev", addresses, lb_policy="MAGLEV")]
        cls.bootstrap = bootstrap.bootstrap([bootstrap.http_listener("http", routes)], clusters)
        cls.proxy = cls.enterClassContext(Proxy(cls.bootstrap, concurrency=2))

    def chosen(self, path, *headers):
        return ask(self.proxy, path, headers=headers).body

    def each(self):
        for balancer in ("ring", "maglev"):
            with self.subTest(balancer=balancer):
                yield balancer

    def test_equal_headers_go_to_equal_hosts_on_every_worker(self):
        for balancer in self.each():
            hosts = {}
            for user in range(12):
                got = {self.chosen(f"/{balancer}/header", f"X-User: {user}") for _ in range(6)}
                self.assertEqual(1, len(got), user)
                hosts[user] = got.pop()
            self.assertGreater(len(set(hosts.values())), 1)

    def test_what_has_no_hash_goes_anywhere(self):
        for balancer in self.each():
            self.assertGreater(len({self.chosen(f"/{balancer}/header") for _ in range(40)}), 1)

    def test_a_client_gets_a_cookie_and_keeps_its_host(self):
        for balancer in self.each():
            got = ask(self.proxy, f"/{balancer}/cookie")
            cookie = got.get("set-cookie")
            self.assertRegex(cookie, r'^sticky="[0-9a-f]+"; Max-Age=60; Path=/; HttpOnly$')
            for _ in range(6):
                again = ask(self.proxy, f"/{balancer}/cookie", headers=["Cookie: a=b; " + cookie.split(";")[0]])
                self.assertEqual((got.body, None), (again.body, again.get("set-cookie")))

    def test_the_source_address_and_a_parameter(self):
        for balancer in self.each():
            self.assertEqual(1, len({self.chosen(f"/{balancer}/ip") for _ in range(8)}))
            self.assertEqual(1, len({self.chosen(f"/{balancer}/query?a=1&user=7") for _ in range(8)}))

    def test_a_terminal_policy_ends_the_search(self):
        for balancer in self.each():
            self.assertEqual(1, len({self.chosen(f"/{balancer}/terminal", "X-User: 1", f"X-Other: {i}") for i in range(12)}))
            self.assertGreater(len({self.chosen(f"/{balancer}/terminal", f"X-Other: {i}") for i in range(24)}), 1)

    @unittest.skipIf(under_test() == "envoy", "compares the two")
    def test_envoy_chooses_the_same_hosts(self):
        with Proxy(self.bootstrap, kind="envoy") as envoy:
            for balancer in self.each():
                for user in range(20):
                    theirs = ask(envoy, f"/{balancer}/header", headers=[f"X-User: {user}"]).body
                    self.assertEqual(theirs, self.chosen(f"/{balancer}/header", f"X-User: {user}"), user)


class HealthChecks(unittest.TestCase):
    TIMES = {"timeout": "1s", "interval": "0.05s", "no_traffic_interval": "0.05s", "unhealthy_threshold": 1, "healthy_threshold": 1}

    def start(self, cluster):
        return Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("c")])], [cluster]))

    def healthy(self, proxy):
        return proxy.counter("cluster.c.membership_healthy")

    def test_a_real_grpc_health_service(self):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        servicer = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        servicer.set("mine", health_pb2.HealthCheckResponse.SERVING)
        servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        check = {**self.TIMES, "grpc_health_check": {"service_name": "mine", "authority": "health.example"}}
        with self.start(bootstrap.cluster("c", [("127.0.0.1", port)], http2=True, health_checks=[check])) as proxy:
            self.assertTrue(wait_until(lambda: self.healthy(proxy) == 1))
            servicer.set("mine", health_pb2.HealthCheckResponse.NOT_SERVING)
            self.assertTrue(wait_until(lambda: self.healthy(proxy) == 0))
            servicer.set("mine", health_pb2.HealthCheckResponse.SERVING)
            self.assertTrue(wait_until(lambda: self.healthy(proxy) == 1))

    def test_of_several_checks_all_must_pass(self):
        with Backend() as backend:
            backend.default = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            checks = [{**self.TIMES, "name": "connects", "tcp_health_check": {}},
                      {**self.TIMES, "name": "answers", "http_health_check": {"path": "/health"}}]
            with self.start(bootstrap.cluster("c", [backend.address], health_checks=checks)) as proxy:
                self.assertTrue(wait_until(lambda: self.healthy(proxy) == 1))
                backend.default = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
                self.assertTrue(wait_until(lambda: self.healthy(proxy) == 0))
                backend.default = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                self.assertTrue(wait_until(lambda: self.healthy(proxy) == 1))


class ServerNames(unittest.TestCase):
    def test_the_requests_host_is_the_servers_name(self):
        authority = Authority(self.enterContext(tempfile.TemporaryDirectory()))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*map(str, authority.leaf("server", ["DNS:*.a.example", "IP:127.0.0.1"])))
        context.set_alpn_protocols(["h2"])
        names = []
        context.sni_callback = lambda sock, name, _: names.append(name)
        backend = self.enterContext(http2.Backend(context=context))
        trust = {"common_tls_context": {"validation_context": {"trusted_ca": {"filename": str(authority.certificate)}}}}
        cluster = bootstrap.cluster("c", [backend.address], http2=True, tls=trust)
        cluster["typed_extension_protocol_options"][bootstrap.HTTP_OPTIONS_NAME]["upstream_http_protocol_options"] = {
            "auto_sni": True, "auto_san_validation": True}
        proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("c")])], [cluster])))
        for host, status, name in (("x.a.example:80", 200, "x.a.example"), ("y.a.example", 200, "y.a.example"), ("b.example", 503, "b.example"),
                                   ("127.0.0.1:80", 200, None), ("127.0.0.2", 503, None)):
            with self.subTest(host=host):
                self.assertEqual(status, ask(proxy, authority=host).status)
                self.assertEqual(name, names[-1])
        # A name has connections of its own, and uses them again.
        before = len(names)
        self.assertEqual(200, ask(proxy, authority="x.a.example").status)
        self.assertEqual(before, len(names))


class Process(unittest.TestCase):
    """What the bootstrap says of the process as a whole."""

    def test_the_limit_of_all_connections_spares_listeners_that_do_not_count(self):
        routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}]
        listeners = [bootstrap.http_listener("http", routes), bootstrap.http_listener("spared", routes, listener_options={"ignore_global_conn_limit": True})]
        limit = {"layers": [{"name": "static", "static_layer": {"overload": {"global_downstream_max_connections": 1}}}]}
        with Proxy(bootstrap.bootstrap(listeners, [], layered_runtime=limit)) as proxy:
            with http1.Client(proxy.addresses["http"]) as first:
                first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertEqual(204, first.response().status)
                with socket.create_connection(proxy.addresses["http"], http1.WAIT_LIMIT_S) as second:
                    self.assertEqual(b"", second.recv(1))
                self.assertEqual(204, ask(proxy, listener="spared").status)
                self.assertTrue(wait_until(lambda: "downstream_global_cx_overflow: 1" in proxy.get_admin("/stats?filter=global_cx_overflow")))

    @unittest.skipIf(under_test() == "envoy", "Envoy says that it listens before its clusters are warm")
    def test_a_cluster_that_need_not_be_warm_holds_nothing_up(self):
        check = {"timeout": "60s", "interval": "60s", "unhealthy_threshold": 1, "healthy_threshold": 1, "tcp_health_check": {"receive": [{"text": "00"}]}}
        with Backend() as backend:
            cluster = bootstrap.cluster("c", [backend.address], health_checks=[check], wait_for_warm_on_init=False)
            routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}]
            with Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", routes)], [cluster])) as proxy:
                self.assertEqual(204, ask(proxy).status)
                self.assertNotIn("have not answered yet", proxy.output.text())


class Flush(unittest.TestCase):
    @unittest.skipIf(under_test() == "envoy", "Envoy counts from when the client's connection is closed, not from its last byte")
    def test_what_still_goes_to_the_upstream_of_a_client_that_is_done_is_counted(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            listener = bootstrap.tcp_listener("tcp", "c")
            listener["per_connection_buffer_limit_bytes"] = 64 << 20
            with Proxy(bootstrap.bootstrap([listener], [bootstrap.cluster("c", [server.getsockname()])])) as proxy:
                with socket.create_connection(proxy.addresses["tcp"], http1.WAIT_LIMIT_S) as client:
                    upstream, _ = server.accept()
                    with upstream:
                        upstream.shutdown(socket.SHUT_WR)
                        self.assertEqual(b"", client.recv(1))
                        client.sendall(bytes(16 << 20))
                        client.shutdown(socket.SHUT_WR)
                        counts = lambda: [proxy.counter("tcp.tcp.upstream_flush_" + kind) for kind in ("active", "total")]
                        self.assertTrue(wait_until(lambda: counts() == [1, 1]), counts())
                        read = 0
                        while piece := upstream.recv(1 << 20):
                            read += len(piece)
                        self.assertEqual(16 << 20, read)
                        self.assertTrue(wait_until(lambda: counts() == [0, 1]), counts())


class Breakers(unittest.TestCase):
    def test_what_breakers_have_left_is_a_metric(self):
        with Backend() as backend:
            thresholds = {"thresholds": [{"max_requests": 7, "max_connections": 0, "track_remaining": True}]}
            clusters = [bootstrap.cluster("c", [backend.address], circuit_breakers=thresholds), bootstrap.cluster("other", [backend.address])]
            with Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("c")])], clusters)) as proxy:
                stats = dict(line.split(": ") for line in proxy.get_admin("/stats?filter=circuit_breakers").splitlines())
                prefix = "cluster.c.circuit_breakers.default."
                self.assertEqual(("7", "0", "1"), tuple(stats[prefix + name] for name in ("remaining_rq", "rq_open", "cx_open")))
                self.assertNotIn("cluster.other.circuit_breakers.default.remaining_rq", stats)
                self.assertIn('envoy_cluster_circuit_breakers_default_remaining_rq{envoy_cluster_name="c"} 7', proxy.get_admin("/stats/prometheus"))


class Clients(unittest.TestCase):
    """Whom we count as inside, and what we tell the upstream of ourselves."""

    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        inside = {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}, {"address_prefix": "10.0.0.0", "prefix_len": 8}]}
        routes = [bootstrap.route("backend")]
        tls_only = [{"name": "outside", "domains": ["*"], "require_tls": "EXTERNAL_ONLY", "routes": routes}]
        listeners = [
            bootstrap.http_listener("http", routes, use_remote_address=True, internal_address_config=inside),
            bootstrap.http_listener("behind", routes, internal_address_config=inside),
            bootstrap.http_listener("plain", routes, use_remote_address=True, add_user_agent=True),
            bootstrap.http_listener("tls", [], virtual_hosts=tls_only, internal_address_config=inside),
        ]
        node = {"id": "node-1", "cluster": "edge"}
        clusters = [bootstrap.cluster("backend", [cls.backend.address])]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters, node=node)))

    def arrived(self, listener, *headers):
        mark = len(self.backend.requests)
        self.assertEqual(200, ask(self.proxy, listener=listener, headers=headers).status)
        return self.backend.requests[mark]

    def test_a_client_of_ours_is_internal(self):
        got = self.arrived("http", "X-Envoy-Internal: forged")
        self.assertEqual(("true", None), (got.get("x-envoy-internal"), got.get("x-envoy-external-address")))

    def test_one_who_came_by_another_proxy_is_not(self):
        got = self.arrived("http", "X-Forwarded-For: 10.0.0.1", "X-Envoy-Internal: true")
        self.assertEqual((None, "127.0.0.1"), (got.get("x-envoy-internal"), got.get("x-envoy-external-address")))

    def test_behind_a_proxy_the_only_address_counts(self):
        self.assertEqual("true", self.arrived("behind", "X-Forwarded-For: 10.1.2.3").get("x-envoy-internal"))
        for forwarded in ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.1.2.3,10.1.2.4", "X-Forwarded-For: /run/a", "X-None: 1"):
            self.assertIsNone(self.arrived("behind", forwarded).get("x-envoy-internal"), forwarded)

    def test_no_address_is_internal_by_default(self):
        self.assertIsNone(self.arrived("plain", "X-Envoy-Internal: true").get("x-envoy-internal"))

    def test_the_upstream_is_told_who_asks(self):
        got = self.arrived("plain")
        self.assertEqual(("edge", "edge", "node-1"),
                         (got.get("user-agent"), got.get("x-envoy-downstream-service-cluster"), got.get("x-envoy-downstream-service-node")))
        self.assertEqual("curl/8", self.arrived("plain", "User-Agent: curl/8").get("user-agent"))

    def test_tls_is_asked_of_outsiders_only(self):
        self.assertEqual(301, ask(self.proxy, listener="tls", headers=["X-Forwarded-For: 192.0.2.1"]).status)
        self.assertEqual(200, ask(self.proxy, listener="tls", headers=["X-Forwarded-For: 10.0.0.9"]).status)


class Headers(unittest.TestCase):
    """What headers decide: a cluster, a retry; and in which order they are changed."""

    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        add = lambda value: {"request_headers_to_add": [{"header": {"key": "x-level", "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}
        retry = {"retry_on": "retriable-headers", "num_retries": 2, "retriable_headers": [{"name": "x-again"}],
                 "retriable_request_headers": [{"name": "x-may-retry"}]}
        routes = [
            {"match": {"prefix": "/named"}, "route": {"cluster_header": "x-to", "cluster_not_found_response_code": "NOT_FOUND"}},
            bootstrap.route("backend", prefix="/retry", retry_policy=retry),
            {**bootstrap.route("backend"), **add("route")},
        ]
        listeners = []
        for name, wins in (("http", False), ("specific", True)):
            host = {"name": "all", "domains": ["*"], "routes": routes, **add("host")}
            manager = bootstrap.connection_manager([], virtual_hosts=[host])
            manager["typed_config"]["route_config"].update(add("table"), most_specific_header_mutations_wins=wins)
            listeners.append(bootstrap.listener(name, [manager]))
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("backend", [cls.backend.address])])))

    def test_a_header_names_the_cluster(self):
        self.assertEqual(200, ask(self.proxy, "/named", headers=["X-To: backend"]).status)
        self.assertEqual(404, ask(self.proxy, "/named", headers=["X-To: none"]).status)
        self.assertEqual(404, ask(self.proxy, "/named").status)

    def test_a_header_asks_for_a_retry(self):
        again = b"HTTP/1.1 200 OK\r\nX-Again: 1\r\nContent-Length: 0\r\n\r\n"
        for headers, tries in ((["X-May-Retry: 1"], 2), ([], 1)):
            self.backend.script(again)
            mark = len(self.backend.requests)
            self.assertEqual(200, ask(self.proxy, "/retry", headers=headers).status)
            self.assertEqual(tries, len(self.backend.requests) - mark, headers)

    def test_the_table_has_the_last_word_or_the_route(self):
        for listener, level in (("http", "table"), ("specific", "route")):
            mark = len(self.backend.requests)
            ask(self.proxy, listener=listener)
            self.assertEqual(level, self.backend.requests[mark].get("x-level"))


class Cors(unittest.TestCase):
    def test_origins_are_counted_and_shadows_do_nothing(self):
        cors = {"@type": bootstrap.TYPE + "envoy.extensions.filters.http.cors.v3.CorsPolicy", "allow_origin_string_match": [{"exact": "http://good.example"}]}
        percent = lambda n: {"default_value": {"numerator": n}, "runtime_key": "cors"}
        shadow = {**cors, "filter_enabled": percent(0), "shadow_enabled": percent(100)}
        routes = []
        for prefix, policy in (("/shadow", shadow), ("/", cors)):
            routes.append({"match": {"prefix": prefix}, "direct_response": {"status": 204},
                           "typed_per_filter_config": {"envoy.filters.http.cors": policy}})
        cors_filter = {"name": "envoy.filters.http.cors", "typed_config": {"@type": bootstrap.TYPE + "envoy.extensions.filters.http.cors.v3.Cors"}}
        listener = bootstrap.http_listener("http", routes, http_filters=[cors_filter])
        with Proxy(bootstrap.bootstrap([listener], [])) as proxy:
            allowed = lambda path, origin: ask(proxy, path, headers=[f"Origin: {origin}"]).get("access-control-allow-origin")
            self.assertEqual("http://good.example", allowed("/", "http://good.example"))
            self.assertIsNone(allowed("/", "http://bad.example"))
            self.assertIsNone(allowed("/shadow", "http://good.example"))
            counts = lambda: [proxy.counter("http.ingress.cors.origin_" + kind) for kind in ("valid", "invalid")]
            self.assertTrue(wait_until(lambda: counts() == [2, 1]), counts())


if __name__ == "__main__":
    unittest.main()
