"""Forwarding that holds: time-outs, retries, limits, ejection and health checks."""

import collections
import socket
import threading
import unittest

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import OK, Backend, Reply
from tests.integration.harness.proxy import Proxy

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfull"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope"
CLOSED = Reply(b"", then="close")


class Silent:
    """Accepts, reads and never answers, until released; then it closes."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self.accepted = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self.accepted.append(self._listener.accept()[0])
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        for sock in self.accepted:
            sock.close()


def free_address():
    """An address where nothing listens."""
    sock = socket.create_server(("127.0.0.1", 0))
    address = sock.getsockname()
    sock.close()
    return address


class One(unittest.TestCase):
    """A proxy with one listener whose routes go by cluster name."""

    @classmethod
    def start(cls, clusters, actions):
        routes = [{"match": {"prefix": f"/{name}/"}, "route": {"timeout": "10s", **action}} for name, action in actions.items()]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", routes)], clusters)))

    def ask(self, route, method="GET", headers=(), body=b""):
        with http1.Client(self.proxy.addresses["http"]) as client:
            lines = [f"{method} /{route}/ HTTP/1.1", "Host: a.example", *headers]
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            return client.response(method)


class TimeOuts(One):
    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        cls.silent = cls.enterClassContext(Silent())
        clusters = [bootstrap.cluster("backend", [cls.backend.address]), bootstrap.cluster("silent", [cls.silent.address]),
                    bootstrap.cluster("gone", [free_address()])]
        cls.start(clusters, {
            "short": {"cluster": "silent", "timeout": "0.2s"},
            "per-try": {"cluster": "silent", "timeout": "5s", "retry_policy": {"retry_on": "5xx", "num_retries": 2, "per_try_timeout": "0.1s"}},
            "idle": {"cluster": "silent", "timeout": "0s", "idle_timeout": "0.2s"},
            "gone": {"cluster": "gone"},
        })

    def test_the_routes_time_out_is_an_answer(self):
        got = self.ask("short")
        self.assertEqual(504, got.status)
        self.assertIn(b"timeout", got.body)

    def test_each_try_has_a_time_of_its_own(self):
        before = len(self.silent.accepted)
        self.assertEqual(504, self.ask("per-try").status)
        self.assertEqual(3, len(self.silent.accepted) - before)

    def test_the_caller_may_wait_less(self):
        got = self.ask("per-try", headers=["x-envoy-upstream-rq-timeout-ms: 50"])
        self.assertEqual(504, got.status)
        self.assertIn(b"timeout", got.body)

    def test_an_idle_stream_ends(self):
        self.assertEqual(504, self.ask("idle").status)

    def test_a_backend_that_is_not_there(self):
        got = self.ask("gone")
        self.assertEqual(503, got.status)
        self.assertTrue(got.body)


class Retries(One):
    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        cls.second = cls.enterClassContext(Backend())
        cls.grpc = cls.enterClassContext(http2.Backend(cls.decide))
        cls.grpc_codes = collections.deque()
        clusters = [
            bootstrap.cluster("backend", [cls.backend.address]),
            bootstrap.cluster("pair", [free_address(), cls.second.address]),
            bootstrap.cluster("grpc", [cls.grpc.address], http2=True),
        ]

        def retry(on, count=2, cluster="backend", **more):
            quick = {"retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"}}
            return {"cluster": cluster, "retry_policy": {"retry_on": on, "num_retries": count, **quick, **more}}

        cls.start(clusters, {
            "none": {"cluster": "backend"},
            "5xx": retry("5xx"),
            "gateway": retry("gateway-error"),
            "reset": retry("reset"),
            "codes": retry("retriable-status-codes", retriable_status_codes=[404]),
            "4xx": retry("retriable-4xx"),
            "connect": retry("connect-failure", 3, "pair"),
            "grpc": retry("unavailable", 2, "grpc"),
        })

    @classmethod
    def decide(cls, stream):
        if not stream.complete:
            return http2.Reply()
        code = cls.grpc_codes.popleft() if cls.grpc_codes else "0"
        if code != "0":
            return http2.Reply(headers=(("content-type", "application/grpc"), ("grpc-status", code)), body=b"")
        return http2.Reply(headers=(("content-type", "application/grpc"),), body=b"\0\0\0\0\0", trailers=(("grpc-status", "0"),))

    def tries(self, route, *replies, **keywords):
        """(status, number of requests at the backend)."""
        self.backend.script(*replies)
        before = len(self.backend.requests)
        got = self.ask(route, **keywords)
        return got.status, len(self.backend.requests) - before

    def test_no_policy_no_retry(self):
        self.assertEqual((503, 1), self.tries("none", UNAVAILABLE, OK))

    def test_the_caller_may_ask_for_retries(self):
        asks = ["x-envoy-retry-on: 5xx", "x-envoy-max-retries: 2"]
        self.assertEqual((200, 3), self.tries("none", UNAVAILABLE, UNAVAILABLE, OK, headers=asks))
        self.assertIsNone(self.backend.requests[-1].get("x-envoy-retry-on"))
        self.assertEqual((503, 1), self.tries("5xx", UNAVAILABLE, OK, headers=["x-envoy-max-retries: 0"]))

    def test_an_error_is_tried_again(self):
        self.assertEqual((200, 2), self.tries("5xx", UNAVAILABLE, OK))
        self.assertEqual((200, 3), self.tries("gateway", UNAVAILABLE, UNAVAILABLE, OK))

    def test_the_number_of_retries_is_kept(self):
        self.assertEqual((503, 3), self.tries("5xx", UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE))

    def test_only_what_the_policy_names_is_tried_again(self):
        self.assertEqual((404, 1), self.tries("5xx", NOT_FOUND, OK))
        self.assertEqual((503, 1), self.tries("reset", UNAVAILABLE, OK))
        self.assertEqual((404, 1), self.tries("4xx", NOT_FOUND, OK))

    def test_named_codes_are_tried_again(self):
        self.assertEqual((200, 2), self.tries("codes", NOT_FOUND, OK))

    def test_a_conflict_is_tried_again(self):
        self.assertEqual((200, 2), self.tries("4xx", NOT_FOUND.replace(b"404 Not Found", b"409 Conflict"), OK))

    def test_a_connection_that_broke_is_tried_again(self):
        self.assertEqual((200, 2), self.tries("reset", CLOSED, OK))
        self.assertEqual((200, 2), self.tries("reset", Reply(b"", then="reset"), OK))

    def test_an_answer_that_began_is_not_tried_again(self):
        half = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then="close")
        self.backend.script(half, OK)
        before = len(self.backend.requests)
        got = self.ask("5xx")
        self.assertEqual((200, False), (got.status, got.complete))
        self.assertEqual(1, len(self.backend.requests) - before)

    def test_the_body_is_sent_again(self):
        self.assertEqual((200, 2), self.tries("5xx", UNAVAILABLE, OK, method="PUT", headers=["Content-Length: 5"], body=b"hello"))
        self.assertEqual([b"hello", b"hello"], [r.body for r in self.backend.requests[-2:]])

    def test_a_chunked_body_is_sent_again(self):
        self.assertEqual((200, 2), self.tries("5xx", UNAVAILABLE, OK, method="PUT", headers=["Transfer-Encoding: chunked"],
                                              body=b"5\r\nhello\r\n0\r\n\r\n"))
        self.assertEqual([b"hello", b"hello"], [r.body for r in self.backend.requests[-2:]])

    def test_a_refused_connection_is_tried_at_another_host(self):
        for _ in range(6):
            self.assertEqual(200, self.ask("connect").status)

    def test_a_refused_connection_is_tried_again_even_for_a_post(self):
        for _ in range(6):
            self.assertEqual(200, self.ask("connect", method="POST", headers=["Content-Length: 5"], body=b"hello").status)

    def test_grpc_statuses_are_tried_again(self):
        for codes, wanted, tries in ((["14", "0"], "0", 2), (["14", "14", "14"], "14", 3), (["5", "0"], "5", 1)):
            with self.subTest(codes=codes), http2.Client(self.proxy.addresses["http"]) as client:
                self.grpc_codes.clear()
                self.grpc_codes.extend(codes)
                before = len(self.grpc.streams)
                got = client.request("POST", "/grpc/", headers=[("content-type", "application/grpc"), ("te", "trailers")], body=b"\0\0\0\0\0")
                fields = dict(got.headers) | dict(got.trailers)
                self.assertEqual((wanted, tries), (fields.get("grpc-status"), len(self.grpc.streams) - before))


class KeepAliveRace(One):
    """A kept connection that the backend closes while a request is on its way to it."""

    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        policy = {"retry_policy": {"retry_on": "reset"}}
        cls.start([bootstrap.cluster("backend", [cls.backend.address])], {"x": {"cluster": "backend"}, "policy": {"cluster": "backend", **policy}})

    def repeats(self):
        return self.proxy.counter("cluster.backend.upstream_rq_retry_stale_connection")

    def after_another(self, *replies, **request):
        """What is answered on a connection that has been used before: status, and the backend's connections that it came on."""
        self.backend.script()
        self.assertEqual(200, self.ask("x").status)
        mark = self.backend.mark()
        self.backend.script(*replies)
        status = self.ask("x", **request).status
        return status, [r.connection for r in self.backend.since(mark)[0]]

    def test_a_closed_connection_is_not_an_error_of_a_safe_request(self):
        for _ in range(50):
            # The backend closes right after its answer, so the next request may find the connection half gone.
            self.backend.script(Reply(OK, then="close"))
            self.assertEqual(200, self.ask("policy").status)

    def test_an_idempotent_request_goes_again_on_a_new_connection(self):
        for then in ("close", "reset"):
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
                with self.subTest(then=then, method=method):
                    before = self.repeats()
                    status, connections = self.after_another(Reply(b"", then=then), method=method)
                    self.assertEqual(200, status)
                    self.assertEqual(2, len(connections))
                    self.assertEqual(len(self.backend.raw) - 1, connections[1])
                    self.assertEqual(1, self.repeats() - before)

    def test_a_post_does_not(self):
        before = self.repeats()
        for then in ("close", "reset"):
            for request in ({}, {"headers": ["Content-Length: 5"], "body": b"hello"}):
                with self.subTest(then=then, request=request):
                    status, connections = self.after_another(Reply(b"", then=then), method="POST", **request)
                    self.assertEqual((503, 1), (status, len(connections)))
        self.assertEqual(before, self.repeats())

    def test_a_connection_that_ends_under_its_first_request_is_an_error(self):
        last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        for then in ("close", "reset"):
            with self.subTest(then=then):
                self.backend.script(last, last)
                self.assertEqual([200, 200], [self.ask("x").status for _ in range(2)])
                mark = self.backend.mark()
                self.backend.script(Reply(b"", then=then))
                self.assertEqual(503, self.ask("x").status)
                self.assertEqual(1, len(self.backend.since(mark)[0]))

    def test_it_goes_again_only_once(self):
        status, connections = self.after_another(*[Reply(b"", then="close")] * 3)
        self.assertEqual((503, 2), (status, len(connections)))

    def test_the_proxy_next_to_the_backend_does_it_for_those_behind_it(self):
        front = bootstrap.cluster("back", [self.proxy.addresses["http"]], http2=True)
        listener = bootstrap.http_listener("http", [{"match": {"prefix": "/"}, "route": {"cluster": "back"}}])
        with Proxy(bootstrap.bootstrap([listener], [front])) as proxy, http1.Client(proxy.addresses["http"]) as client:
            for method, status in (("GET", 200), ("POST", 503)):
                with self.subTest(method=method):
                    self.backend.script()
                    self.assertEqual(200, self.ask("x").status)
                    self.backend.script(Reply(b"", then="close"))
                    client.send(f"{method} /x/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
                    self.assertEqual(status, client.response(method).status)
            self.assertEqual(0, proxy.counter("cluster.back.upstream_rq_retry"))


class SingleUse(One):
    """Every connection ends at its second request. The first requests are answered when as many as `together` are there."""

    class Upstream(Backend):
        def __init__(self, together):
            self._together = together
            self._own = threading.local()
            super().__init__()

        def _add(self, message):
            self._own.connection = message.connection
            super()._add(message)

        def _next_reply(self):
            self.wait_for(lambda requests: len(requests) >= self._together)
            first = sum(r.connection == self._own.connection for r in self.requests) == 1
            return Reply(OK) if first else Reply(b"", then="reset")

    def start_before(self, backend):
        self.start([bootstrap.cluster("backend", [backend.address])], {"x": {"cluster": "backend"}})

    def repeats(self):
        return self.proxy.counter("cluster.backend.upstream_rq_retry_stale_connection")

    def test_one_request_after_another(self):
        with self.Upstream(1) as backend:
            self.start_before(backend)
            self.assertEqual([200] * 20, [self.ask("x").status for _ in range(20)])
            self.assertEqual((39, 19), (len(backend.requests), self.repeats()))

    def test_no_other_connection_that_was_idle_is_tried(self):
        with self.Upstream(8) as backend:
            self.start_before(backend)
            clients = [self.enterContext(http1.Client(self.proxy.addresses["http"])) for _ in range(8)]
            for client in clients:
                client.send(b"GET /x/ HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual([200] * 8, [client.response().status for client in clients])
            self.assertEqual(200, self.ask("x").status)
            self.assertEqual((10, 1), (len(backend.requests), self.repeats()))


class Limits(One):
    def test_pending_requests_over_the_limit_are_answered_at_once(self):
        with Silent() as silent:
            limits = {"circuit_breakers": {"thresholds": [{"max_connections": 1, "max_pending_requests": 1, "max_requests": 10}]}}
            self.start([bootstrap.cluster("silent", [silent.address], **limits)], {"x": {"cluster": "silent", "timeout": "30s"}})
            waiting = []
            for _ in range(2):
                client = http1.Client(self.proxy.addresses["http"])
                self.addCleanup(client.close)
                client.send(b"GET /x/ HTTP/1.1\r\nHost: a\r\n\r\n")
                waiting.append(client)
                self.await_stat("cluster.silent.upstream_rq_total" if not waiting[1:] else "cluster.silent.upstream_rq_pending_total", len(waiting))
            got = self.ask("x")
            self.assertEqual(503, got.status)
            self.assertRegex(got.body.decode().lower(), "overflow|too many")
            self.assertEqual(1, self.proxy.counter("cluster.silent.upstream_rq_pending_overflow"))

    def await_stat(self, name, at_least):
        pause = threading.Event()
        for _ in range(500):
            if self.proxy.counter(name) >= at_least:
                return
            pause.wait(0.01)
        self.fail(f"{name} is {self.proxy.counter(name)}, not {at_least}")

    def test_requests_over_the_limit_are_answered_at_once(self):
        with http2.Backend(lambda stream: http2.Reply(on_head=False)) as backend:
            limits = {"circuit_breakers": {"thresholds": [{"max_requests": 1}]}}
            self.start([bootstrap.cluster("two", [backend.address], http2=True, **limits)], {"x": {"cluster": "two", "timeout": "30s"}})
            with http2.Client(self.proxy.addresses["http"]) as client:
                first = client.start("POST", "/x/", body=b"a", end=False)
                self.assertTrue(backend.wait_for(lambda streams: len(streams) == 1))
                self.assertEqual(503, self.ask("x").status)
                client.send_body(first.number, b"b")
                self.assertTrue(client.wait(lambda: first.ended))
                self.assertEqual(200, first.status)
                self.assertEqual(200, client.request(path="/x/").status)


class Hosts(One):
    def hits(self, backends):
        return [len([r for r in b.requests if r.start.startswith("GET /x/")]) for b in backends]

    def test_round_robin_is_even(self):
        with Backend() as a, Backend() as b, Backend() as c:
            self.start([bootstrap.cluster("x", [a.address, b.address, c.address])], {"x": {"cluster": "x"}})
            for _ in range(30):
                self.assertEqual(200, self.ask("x").status)
            self.assertEqual([10, 10, 10], self.hits([a, b, c]))

    def test_every_policy_reaches_every_host(self):
        for policy in ("ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"):
            with self.subTest(policy=policy), Backend() as a, Backend() as b:
                self.start([bootstrap.cluster("x", [a.address, b.address], lb_policy=policy)], {"x": {"cluster": "x"}})
                for _ in range(60):
                    self.assertEqual(200, self.ask("x").status)
                self.assertTrue(all(n >= 5 for n in self.hits([a, b])), self.hits([a, b]))

    def test_weights_of_hosts(self):
        with Backend() as a, Backend() as b:
            cluster = bootstrap.cluster("x", [a.address, b.address])
            endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
            endpoints[0]["load_balancing_weight"], endpoints[1]["load_balancing_weight"] = 3, 1
            self.start([cluster], {"x": {"cluster": "x"}})
            for _ in range(40):
                self.ask("x")
            self.assertEqual([30, 10], self.hits([a, b]))

    def test_a_host_that_fails_again_and_again_is_left_out(self):
        with Backend(default=UNAVAILABLE) as bad, Backend() as good:
            outliers = {"outlier_detection": {"consecutive_5xx": 3, "interval": "0.05s", "base_ejection_time": "60s", "max_ejection_percent": 50}}
            self.start([bootstrap.cluster("x", [bad.address, good.address], **outliers)], {"x": {"cluster": "x"}})
            for _ in range(20):
                self.ask("x")
            self.assertEqual(3, self.hits([bad])[0])
            self.assertEqual(1, self.proxy.counter("cluster.x.outlier_detection.ejections_active"))

    def test_health_checks_take_a_host_out_and_in(self):
        health = {"healthy": True}

        class Checked(Backend):
            def _next_reply(self):
                request = self.requests[-1]
                if request.start.startswith("GET /health "):
                    return Reply(OK if health["healthy"] else UNAVAILABLE)
                return super()._next_reply()

        check = {"health_checks": [{"timeout": "1s", "interval": "0.05s", "no_traffic_interval": "0.05s", "unhealthy_threshold": 2, "healthy_threshold": 1,
                                    "http_health_check": {"path": "/health"}}],
                 "common_lb_config": {"healthy_panic_threshold": {"value": 0}}}
        with Checked() as a:
            self.start([bootstrap.cluster("x", [a.address], **check)], {"x": {"cluster": "x"}})
            pause = threading.Event()

            def await_status(status):
                for _ in range(500):
                    if self.ask("x").status == status:
                        return
                    pause.wait(0.01)
                self.fail(f"it never answered {status}")

            await_status(200)
            health["healthy"] = False
            await_status(503)
            health["healthy"] = True
            await_status(200)


if __name__ == "__main__":
    unittest.main()
