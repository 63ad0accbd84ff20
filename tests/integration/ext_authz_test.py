"""Requests that a service of the user's own must allow, asked over HTTP and over gRPC: what it is told, what its answers do, and
what happens without one; and that Envoy says the same to all three sides."""

import json
import pathlib
import subprocess
import tempfile
import unittest
import urllib.parse

from google.protobuf import struct_pb2

from tests.integration.harness import authz, bootstrap, http1, http2
from tests.integration.harness.authz import Actions, denied, ok, option
from tests.integration.harness.backend import Backend, Reply
from tests.integration.harness.proxy import Proxy, under_test, weft_binary

AUTHZ = bootstrap.TYPE + "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
PER_ROUTE = bootstrap.TYPE + "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
NAME = "envoy.filters.http.ext_authz"
WAIT_S = 8


def exact(*names):
    return {"patterns": [{"exact": name} for name in names]}


def grpc_service(cluster="authz-grpc", **more):
    return {"grpc_service": {"envoy_grpc": {"cluster_name": cluster}, "timeout": "5s", **more}, "transport_api_version": "V3"}


def http_service(cluster="authz-http", **more):
    return {"http_service": {"server_uri": {"uri": "http://authz.example", "cluster": cluster, "timeout": "5s"}, **more}}


# By the name of the listener, which is its filter's stat_prefix too.
FILTERS = {
    "grpc": grpc_service(initial_metadata=[{"key": "x-shop", "value": "main"}]),
    "grpc-open": {**grpc_service("gone"), "failure_mode_allow": True, "failure_mode_allow_header_add": True},
    "grpc-gone": {**grpc_service("gone"), "status_on_error": {"code": "ServiceUnavailable"}},
    "grpc-slow": {**grpc_service(), "grpc_service": {"envoy_grpc": {"cluster_name": "authz-grpc"}, "timeout": "0.2s"}},
    "grpc-body": {**grpc_service(), "with_request_body": {"max_request_bytes": 10}},
    "grpc-bytes": {**grpc_service(), "with_request_body": {"max_request_bytes": 10, "allow_partial_message": True, "pack_as_bytes": True}},
    "grpc-some": {**grpc_service(), "allowed_headers": {"patterns": [{"prefix": "x-"}]}, "disallowed_headers": exact("x-secret"), "encode_raw_headers": True},
    "grpc-rules": {**grpc_service(), "decoder_header_mutation_rules": {"disallow_expression": {"regex": "x-fixed"}, "allow_envoy": False}},
    "grpc-strict": {**grpc_service(), "validate_mutations": True,
                    "decoder_header_mutation_rules": {"disallow_all": True, "allow_expression": {"regex": "x-free.*"}, "disallow_is_error": True}},
    "grpc-reroute": {**grpc_service(), "clear_route_cache": True},
    "grpc-reroute-some": {**grpc_service(), "clear_route_cache": True, "clear_route_cache_headers": ["X-Shop"]},
    "grpc-off": {**grpc_service(), "filter_enabled": {"default_value": {"numerator": 0}}},
    "grpc-deny-off": {**grpc_service(), "filter_enabled": {"default_value": {"numerator": 0}}, "deny_at_disable": {"default_value": True, "runtime_key": "no.such"}},
    "http": http_service(authorization_request={"headers_to_add": [{"key": "x-shop", "value": "main"}]},
                         authorization_response={"allowed_upstream_headers": exact("x-user"), "allowed_upstream_headers_to_append": exact("x-role"),
                                                 "allowed_client_headers_on_success": exact("x-seen"), "dynamic_metadata_from_headers": exact("x-meta")},
                         path_prefix="/check") | {"allowed_headers": exact("x-told", "x-twice")},
    "http-told": http_service(authorization_response={"allowed_client_headers": exact("x-why")}),
    "http-body": {**http_service(), "with_request_body": {"max_request_bytes": 10, "allow_partial_message": True}},
    "http-path": http_service(path_override="/fixed?x=1"),
    "http-gone": http_service("gone"),
    # Names that a service could break a message with.
    "http-all": http_service(authorization_response={"allowed_upstream_headers": {"patterns": [{"safe_regex": {"regex": ".*"}}]}}),
}
# What differs from one request to the next, and what each proxy says of itself.
VOLATILE = {"date", "server", "x-request-id", "x-envoy-upstream-service-time", "x-envoy-expected-rq-timeout-ms", "x-forwarded-for", "x-envoy-internal", "host",
            "connection", "transfer-encoding", "keep-alive", "te"}


def steady(fields):
    return sorted((name.lower(), value) for name, value in fields if name.lower() not in VOLATILE)


def validate(config):
    """What weft-proxy says of a configuration that it refuses."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "config.json")
        path.write_text(json.dumps(config))
        done = subprocess.run([weft_binary(), "-c", path, "--mode", "validate"], capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr if done.returncode != 0 else "accepted"


class Case(unittest.TestCase):
    """The proxy under test and Envoy beside it, the same configuration, the same services."""

    @classmethod
    def setUpClass(cls):
        cls.backend = cls.enterClassContext(Backend())
        cls.other = cls.enterClassContext(Backend())
        cls.http = cls.enterClassContext(Backend())
        cls.grpc = cls.enterClassContext(authz.GrpcService())
        routes = [bootstrap.route("backend", "/open"), bootstrap.route("backend", "/tagged"), bootstrap.route("backend", "/bodiless"),
                  bootstrap.route("backend", "/small"), bootstrap.route("other", "/other"), bootstrap.route("backend")]
        for route, own in zip(routes, ({"disabled": True}, {"check_settings": {"context_extensions": {"place": "route", "own": "1"}}},
                                       {"check_settings": {"disable_request_body_buffering": True}},
                                       {"check_settings": {"with_request_body": {"max_request_bytes": 3, "allow_partial_message": True}}})):
            route["typed_per_filter_config"] = {NAME: {"@type": PER_ROUTE, **own}}
        hosts = [{"name": "all", "domains": ["*"], "routes": routes,
                  "typed_per_filter_config": {NAME: {"@type": PER_ROUTE, "check_settings": {"context_extensions": {"place": "host", "all": "1"}}}}}]
        upgrades = [{"upgrade_type": "websocket"}]
        log = {"name": "envoy.access_loggers.stdout", "typed_config": {
            "@type": bootstrap.STDOUT_LOG, "log_format": {"text_format_source": {
                "inline_string": "LOG %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %DYNAMIC_METADATA(envoy.filters.http.ext_authz:x-meta)%\n"}}}}
        listeners = []
        for name, config in FILTERS.items():
            filters = [{"name": NAME, "typed_config": {"@type": AUTHZ, **config}}]
            listeners.append(bootstrap.http_listener(name, None, virtual_hosts=hosts, http_filters=filters, stat_prefix=name, upgrade_configs=upgrades, access_log=[log]))
        clusters = [bootstrap.cluster("backend", [cls.backend.address]), bootstrap.cluster("other", [cls.other.address]),
                    bootstrap.cluster("authz-http", [cls.http.address]), bootstrap.cluster("authz-grpc", [cls.grpc.address], http2=True),
                    bootstrap.cluster("gone", [("127.0.0.1", 1)], http2=True)]
        config = bootstrap.bootstrap(listeners, clusters)
        cls.proxies = {kind: cls.enterClassContext(Proxy(config, kind=kind)) for kind in {under_test(), "envoy"}}
        cls.proxy = cls.proxies[under_test()]

    def setUp(self):
        self.grpc.answer = ok()
        self.http.script()

    def ask(self, listener, path="/", headers=(), body=b"", method="GET", kind=None, answer=None):
        """The client's view of one request. `answer`: of the service over HTTP."""
        if answer is not None:
            self.http.script(answer)
        with http1.Client(self.proxies[kind or under_test()].addresses[listener]) as client:
            lines = [f"{method} {path} HTTP/1.1", "Host: a.example", *headers]
            if body:
                lines.append(f"Content-Length: {len(body)}")
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            return client.response(method)

    def seen(self, *arguments, backend=None, **named):
        """What the backend got of a request that passed."""
        backend = backend or self.backend
        mark = backend.mark()
        self.assertEqual(200, self.ask(*arguments, **named).status)
        [request] = backend.since(mark)[0]
        return request

    def told(self, *arguments, kind=None, **named):
        """What the service over gRPC was told of a request."""
        before = len(self.grpc.requests)
        self.ask(*arguments, kind=kind, **named)
        self.assertEqual(before + 1, len(self.grpc.requests))
        return self.grpc.requests[-1].attributes


def answer(status, *headers, body=""):
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]).encode()


class OverGrpc(Case):
    def test_a_request_passes_with_what_the_service_says_and_the_service_knows_the_request(self):
        self.grpc.answer = ok(headers=[option("x-user", "ann")], headers_to_remove=["x-secret"], response_headers_to_add=[option("x-seen", "1")])
        mark = self.backend.mark()
        reply = self.ask("grpc", "/x?a=1", ["X-User: forged", "X-Secret: s"])
        self.assertEqual((200, "1"), (reply.status, reply.get("x-seen")))
        [request] = self.backend.since(mark)[0]
        self.assertEqual((["ann"], None), (request.all("x-user"), request.get("x-secret")))
        told = self.grpc.requests[-1].attributes
        self.assertEqual(("GET", "/x?a=1", "a.example", "http", "HTTP/1.1"),
                         (told.request.http.method, told.request.http.path, told.request.http.host, told.request.http.scheme, told.request.http.protocol))
        self.assertEqual("forged", told.request.http.headers["x-user"])
        self.assertEqual("127.0.0.1", told.source.address.socket_address.address)
        self.assertEqual(self.proxy.addresses["grpc"][1], told.destination.address.socket_address.port_value)
        self.assertEqual("main", self.grpc.metadata[-1]["x-shop"])

    def test_a_refusal_is_told_in_the_services_words_with_its_cause_and_counted(self):
        before = {name: self.proxy.counter(name) for name in ("http.grpc.ext_authz.denied", "cluster.backend.upstream_rq_401")}
        self.grpc.answer = denied(401, "who are you?", [option("www-authenticate", "Basic"), option("set-cookie", "a"), option("set-cookie", "b")])
        reply = self.ask("grpc", "/refused")
        self.assertEqual((401, b"who are you?", "Basic", ["a", "b"]), (reply.status, reply.body, reply.get("www-authenticate"), reply.all("set-cookie")))
        self.assertTrue(self.proxy.output.wait_for(lambda lines: any(line.startswith("LOG /refused 401 UAEX ext_authz_denied") for line in lines), WAIT_S))
        for name, value in before.items():
            self.assertEqual(value + 1, self.proxy.counter(name), name)

    def test_without_a_verdict_nothing_passes_unless_it_is_to(self):
        reply = self.ask("grpc-gone", "/no-verdict")
        self.assertEqual((503, b""), (reply.status, reply.body))
        self.assertTrue(self.proxy.output.wait_for(lambda lines: any(line.startswith("LOG /no-verdict 503 UAEX ext_authz_error") for line in lines), WAIT_S))
        self.assertEqual("true", self.seen("grpc-open").get("x-envoy-auth-failure-mode-allowed"))
        self.assertGreaterEqual(self.proxy.counter("http.grpc-open.ext_authz.failure_mode_allowed"), 1)

    def test_a_service_that_says_nothing_is_given_up(self):
        released = self.grpc.hold(WAIT_S)
        try:
            self.assertEqual(403, self.ask("grpc-slow").status)
            self.assertTrue(self.grpc.cancelled.wait(WAIT_S))
        finally:
            released.set()

    def test_a_client_that_goes_takes_its_question_with_it(self):
        before = len(self.grpc.requests)
        released = self.grpc.hold(WAIT_S)
        try:
            with http1.Client(self.proxy.addresses["grpc"]) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
                self.assertTrue(self.grpc.asked.wait(WAIT_S))
            self.assertTrue(self.grpc.cancelled.wait(WAIT_S))
        finally:
            released.set()
        self.assertEqual(before + 1, len(self.grpc.requests))

    def test_grpc_callers_are_refused_as_such(self):
        self.grpc.answer = denied(403, "not you")
        with http2.Client(self.proxy.addresses["grpc"]) as client:
            stream = client.request("POST", "/a.B/C", [("content-type", "application/grpc")], b"\0\0\0\0\0")
            self.assertEqual((200, "7", "not you"), (stream.status, stream.get("grpc-status"), stream.get("grpc-message")))

    def test_a_websocket_is_opened_only_if_it_is_allowed(self):
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
        self.grpc.answer = denied()
        self.assertEqual(403, self.ask("grpc", headers=upgrade).status)
        self.assertEqual("websocket", self.grpc.requests[-1].attributes.request.http.headers["upgrade"])
        self.grpc.answer = ok()
        self.backend.script(Reply(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                  b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", then="close"))
        self.assertEqual(101, self.ask("grpc", headers=upgrade).status)

    def test_a_request_goes_where_the_service_sends_it_if_the_route_is_looked_for_again(self):
        self.grpc.answer = ok(headers=[option(":path", "/other", Actions.OVERWRITE_IF_EXISTS_OR_ADD)])
        self.assertEqual("GET /other HTTP/1.1", self.seen("grpc-reroute", backend=self.other).start)
        self.assertEqual("GET /other HTTP/1.1", self.seen("grpc").start)
        self.assertEqual("GET /other HTTP/1.1", self.seen("grpc-reroute-some").start)
        self.grpc.answer = ok(headers=[option(":path", "/other"), option("x-shop", "1")])
        self.assertEqual("GET /other HTTP/1.1", self.seen("grpc-reroute-some", backend=self.other).start)

    def test_a_body_waits_within_its_bound(self):
        self.assertEqual(b"12345", self.seen("grpc-body", body=b"12345", method="POST").body)
        before = len(self.grpc.requests)
        reply = self.ask("grpc-body", body=b"x" * 11, method="POST")
        self.assertEqual((413, b"Payload Too Large"), (reply.status, reply.body))
        self.assertEqual(before, len(self.grpc.requests))
        large = b"\xff" * 3_000_000
        self.assertEqual(large, self.seen("grpc-bytes", body=large, method="POST").body)
        self.assertEqual(b"\xff" * 10, self.grpc.requests[-1].attributes.request.http.raw_body)

    def test_a_client_that_asks_whether_to_send_its_body_is_told_to(self):
        with http1.Client(self.proxy.addresses["grpc-body"]) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            self.assertEqual(b"HTTP/1.1 100 Continue", client.reader.line())
            self.assertEqual(b"", client.reader.line())
            client.send(b"abc")
            self.assertEqual(200, client.response().status)


class OverHttp(Case):
    def test_the_service_is_asked_by_a_request_of_its_own_and_its_headers_go_where_they_may(self):
        mark, asked = self.backend.mark(), self.http.mark()
        reply = self.ask("http", "/x?a=1", ["X-User: forged", "X-Role: r", "X-Told: t", "X-Untold: u", "Authorization: Basic z"], body=b"abc", method="POST",
                         answer=answer("200 OK", "x-user: ann", "x-role: s", "x-seen: y", "x-other: o", "x-envoy-auth-headers-to-remove: x-untold"))
        self.assertEqual((200, "y", None), (reply.status, reply.get("x-seen"), reply.get("x-other")))
        [question] = self.http.since(asked)[0]
        self.assertEqual(("POST /check/x?a=1 HTTP/1.1", "a.example", "0", "t", None, "Basic z", "main"),
                         (question.start, *(question.get(name) for name in ("host", "content-length", "x-told", "x-untold", "authorization", "x-shop"))))
        [request] = self.backend.since(mark)[0]
        self.assertEqual((["ann"], ["r", "s"], None, None, b"abc"),
                         (request.all("x-user"), request.all("x-role"), request.get("x-untold"), request.get("x-other"), request.body))

    def test_a_refusal_goes_to_the_client(self):
        reply = self.ask("http", answer=answer("302 Found", "location: https://login.example/", "set-cookie: a=b", body="go"))
        self.assertEqual((302, "https://login.example/", "a=b", b"go"), (reply.status, reply.get("location"), reply.get("set-cookie"), reply.body))
        self.assertEqual(403, self.ask("http", answer=answer("500 Broken", body="trace")).status)
        self.assertEqual(403, self.ask("http-gone").status)

    def test_no_header_of_the_service_breaks_the_request(self):
        request = self.seen("http-all", body=b"hello", method="POST", answer=answer("200 OK", "x-user: ann", body="a longer body"))
        self.assertEqual((b"hello", "5", "ann"), (request.body, request.get("content-length"), request.get("x-user")))

    def test_an_answer_that_is_no_http_or_never_ends_lets_nothing_pass(self):
        self.assertEqual(403, self.ask("http", answer=b"SSH-2.0-x\r\n").status)
        self.assertEqual(403, self.ask("http", answer=Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", then="close")).status)
        self.assertEqual(403, self.ask("http", answer=answer("200 OK", body="x" * 2_000_000)).status)

    def test_a_service_that_ends_a_kept_connection_under_a_question_is_asked_again_if_it_may_be(self):
        for then in ("close", "reset"):
            for method, status, questions in (("GET", 200, 2), ("POST", 403, 1)):
                with self.subTest(then=then, method=method):
                    self.assertEqual(200, self.ask("http", answer=answer("200 OK")).status)
                    asked = self.http.mark()
                    self.assertEqual(status, self.ask("http", method=method, answer=Reply(b"", then=then)).status)
                    self.assertEqual(questions, len(self.http.since(asked)[0]))


@unittest.skipIf(under_test() == "envoy", "compares the two")
class SameAsEnvoy(Case):
    def both(self, what, listener, path="/", **named):
        """The same request through each; what client, upstream and service saw."""
        views = {}
        for kind in ("weft", "envoy"):
            marks = [backend.mark() for backend in (self.backend, self.other, self.http)]
            asked = len(self.grpc.requests)
            reply = self.ask(listener, path, kind=kind, **named)
            passed = [(name, request.start, steady(request.fields), request.body) for name, backend, mark in zip(("backend", "other", "service"), (self.backend, self.other, self.http), marks)
                      for request in backend.since(mark)[0]]
            views[kind] = {"client": (reply.status, reply.body, steady(reply.fields)), "passed": passed,
                           "told": [authz.facts(request) for request in self.grpc.requests[asked:]]}
        self.maxDiff = None
        self.assertEqual(views["envoy"], views["weft"], f"{listener}: {what}")
        return views["weft"]

    def test_answers_over_grpc(self):
        caller = ["X-A: caller", "X-B: caller", "x-fixed: caller", "x-free: caller"]
        every = [None, Actions.APPEND_IF_EXISTS_OR_ADD, Actions.ADD_IF_ABSENT, Actions.OVERWRITE_IF_EXISTS_OR_ADD, Actions.OVERWRITE_IF_EXISTS]
        answers = {"ok": ok(), "no such response": denied(grpc_code=0)}
        for action in every:
            answers[f"header {action}"] = ok(headers=[option("x-a", "s", action), option("X-New", "s", action)])
            answers[f"response header {action}"] = ok(response_headers_to_add=[option("x-a", "s", action), option("content-type", "x", action)])
        for append in (True, False):
            answers[f"append {append}"] = ok(headers=[option("x-a", "s", append=append), option("x-new", "s", append=append)],
                                             response_headers_to_add=[option("x-a", "s", append=append), option("x-a", "t", append=append)])
        answers |= {
            "same twice": ok(headers=[option("x-a", "1"), option("x-a", "2")]),
            "removed": ok(headers_to_remove=["X-A", "host", ":path", "x-none"]),
            "path": ok(headers=[option(":path", "/other?z=1")]), "host": ok(headers=[option("host", "b.example")]),
            "envoy's own": ok(headers=[option("x-envoy-shop", "1")]), "fixed": ok(headers=[option("x-fixed", "s")], headers_to_remove=["x-fixed"]),
            "free": ok(headers=[option("x-free", "s")], headers_to_remove=["x-free-2"]),
            "denied": denied(), "unauthenticated": denied(grpc_code=16), "401": denied(401, "no", [option("x-why", "w"), option("x-why", "v"), option("content-type", "text/html")]),
            "redirect": denied(302, "", [option("location", "/login")]), "long": denied(403, "x" * 20_000),
            "metadata": ok(dynamic_metadata=struct_pb2.Struct(fields={"x-meta": struct_pb2.Value(string_value="m")})),
        }
        for name, self.grpc.answer in answers.items():
            for listener in ("grpc", "grpc-rules", "grpc-strict", "grpc-reroute"):
                self.both(name, listener, "/x?b=1&a=1", headers=caller)

    def test_invalid_answers_where_they_are_looked_at(self):
        for name, value in (("x-free", "a\nb"), ("x free", "a"), ("x-free\r\nx", "a"), ("x-free", "a\x01")):
            self.grpc.answer = ok(headers=[option(name, value)])
            self.both((name, value), "grpc-strict")
            self.grpc.answer = ok(response_headers_to_add=[option(name, value)])
            self.both(("response", name, value), "grpc-strict")
            self.grpc.answer = denied(403, "", [option(name, value)])
            self.both(("denied", name, value), "grpc-strict")
        self.grpc.answer = ok(response_headers_to_add=[option("x", "y", 9)])
        self.both("unknown action", "grpc-strict")

    def test_query_parameters(self):
        for listener, path in (("grpc", "/x?b=1&a=1&z=1&a=2&flag"), ("grpc", "/x")):
            self.grpc.answer = ok(query_parameters_to_set=[{"key": "a", "value": "9"}, {"key": "n", "value": "%20"}], query_parameters_to_remove=["z"])
            queries = {}
            for kind in ("weft", "envoy"):
                start = self.seen(listener, path, kind=kind).start.split(" ")[1]
                # Envoy sorts them.
                queries[kind] = (start.partition("?")[0], sorted(urllib.parse.parse_qsl(start.partition("?")[2], keep_blank_values=True)))
            self.assertEqual(queries["envoy"], queries["weft"])

    def test_questions_over_grpc(self):
        some = ["X-Told: 1", "x-told: 2", "X-Secret: s", "Authorization: b", "x-envoy-auth-partial-body: forged", "x-envoy-downstream-service-cluster: web", "te: trailers"]
        for listener in ("grpc", "grpc-some", "grpc-body", "grpc-bytes"):
            for path in ("/", "/tagged", "/bodiless", "/small", "/open", "/other"):
                self.both("get", listener, path, headers=some)
                for body in (b"12345", b"\xff\xfe\xc3\xa4", b"x" * 10, b"x" * 11, b"x" * 1000):
                    self.both(("post", body), listener, path, headers=some, body=body, method="POST")
        self.both("head", "grpc", method="HEAD")
        # With a body, for of none Envoy says so.
        self.both("odd method", "grpc", method="PURGE", body=b"all")

    def test_over_http(self):
        some = ["X-User: forged", "x-role: r", "X-Told: t", "x-twice: 1", "x-twice: 2", "X-Untold: u", "Authorization: z", "x-why: w"]
        answers = {
            "ok": answer("200 OK", "x-user: ann", "x-role: s", "x-role: t", "x-seen: y", "x-seen: z", "x-other: o", "x-meta: m", "x-envoy-auth-headers-to-remove: x-untold, X-Told"),
            "nothing": answer("200 OK"), "201": answer("201 Created", "x-user: ann"), "204": b"HTTP/1.1 204 No Content\r\n\r\n", "302": answer("302 Found", "location: /l", "x-why: w"),
            "401": answer("401 No", "www-authenticate: Basic", "set-cookie: a", "set-cookie: b", "content-type: text/html", "x-why: w", body="no"),
            "403": answer("403 No", "x-envoy-auth-headers-to-remove: x-told", body="no"), "429": answer("429 No", "retry-after: 1"), "500": answer("500 Broken", body="b"),
        }
        for name, said in answers.items():
            for listener in ("http", "http-told", "http-body", "http-gone", "http-path"):
                for body in (b"", b"12345", b"\xff" * 11):
                    self.both((name, body), listener, "/x?a=1", headers=some, body=body, method="POST" if body else "GET", answer=said)
        self.assertEqual(403, self.ask("http", method="HEAD", answer=b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\n").status)

    def test_without_a_verdict_and_without_a_question(self):
        for listener in ("grpc-open", "grpc-gone", "http-gone", "grpc-off", "grpc-deny-off"):
            for path in ("/", "/open"):
                self.both(path, listener, path)

    def test_counters(self):
        def counts(kind):
            lines = [line.split(": ") for line in self.proxies[kind].get_admin("/stats").splitlines() if ".ext_authz." in line and line.startswith("http.")]
            known = ("ok", "denied", "error", "disabled", "failure_mode_allowed", "invalid", "ignored_dynamic_metadata")
            return {name: int(value) for name, value in lines if name.rsplit(".", 1)[1] in known}

        before = {kind: counts(kind) for kind in self.proxies}
        for self.grpc.answer, listener in ((ok(), "grpc"), (denied(), "grpc"), (denied(404), "grpc-rules"), (ok(headers=[option("x-a", "b")]), "grpc-strict"),
                                           (ok(), "grpc-off"), (ok(), "grpc-deny-off"), (ok(), "grpc-open"), (ok(), "grpc-gone"), (ok(), "http-gone")):
            self.both("counted", listener)
        after = {kind: counts(kind) for kind in self.proxies}
        rises = {kind: {name: value - before[kind].get(name, 0) for name, value in after[kind].items() if value != before[kind].get(name, 0)} for kind in self.proxies}
        self.assertEqual(rises["envoy"], rises["weft"])
        self.assertGreaterEqual(len(rises["weft"]), 9)


class Validation(unittest.TestCase):
    """What the filter does not do, or cannot mean, is refused with its name."""

    def refused(self, config, text, per_route=None):
        route = bootstrap.route("backend")
        if per_route is not None:
            route["typed_per_filter_config"] = {NAME: {"@type": PER_ROUTE, **per_route}}
        filters = [{"name": NAME, "typed_config": {"@type": AUTHZ, **config}}]
        clusters = [bootstrap.cluster(name, [("127.0.0.1", 1)]) for name in ("backend", "authz-http", "authz-grpc")]
        said = validate(bootstrap.bootstrap([bootstrap.http_listener("http", [route], http_filters=filters)], clusters))
        self.assertIn(text, said)

    @unittest.skipIf(under_test() == "envoy", "weft-proxy's own words")
    def test_refused(self):
        grpc, http = grpc_service(), http_service()
        for config, text in (
                ({}, "expected grpc_service or http_service"), ({**grpc, "transport_api_version": "AUTO"}, "expected V3"),
                (grpc_service("nobody"), 'cluster "nobody"'), (http_service("nobody"), 'cluster "nobody"'),
                (http_service(path_prefix="check"), "path_prefix: expected a path"),
                ({"http_service": {"server_uri": {"uri": "x", "cluster": "authz-http"}}}, "timeout: expected 0s or more"),
                (http_service(path_prefix="/a", path_override="/b"), "expected one of path_prefix and path_override"),
                ({**grpc, "shadow_mode": True}, "shadow_mode"), ({**grpc, "emit_client_span": False}, "emit_client_span"),
                ({**grpc, "with_request_body": {}}, "max_request_bytes: expected more than 0"), ({**grpc, "status_on_error": {"code": "Continue"}}, "expected 200 to 599"),
                ({**http_service(authorization_request={"allowed_headers": exact("a")}), "allowed_headers": exact("a")}, "expected one of them"),
                ({**grpc, "typed_metadata_context_namespaces": ["a"]}, "typed_metadata_context_namespaces"),
                ({**grpc, "route_metadata_context_namespaces": ["a"]}, "route_metadata_context_namespaces"),
                ({**grpc, "emit_filter_state_stats": True}, "emit_filter_state_stats"), ({**grpc, "filter_metadata": {"a": 1}}, "filter_metadata"),
                ({**grpc, "enforce_response_header_limits": True}, "enforce_response_header_limits"),
                (http_service(retry_policy={"num_retries": 1}), "retry_policy"),
                (grpc_service(retry_policy={"num_retries": 1}), "retry_policy"),
                ({"grpc_service": {"envoy_grpc": {"cluster_name": "authz-grpc", "retry_policy": {}}}, "transport_api_version": "V3"}, "retry_policy"),
                ({"grpc_service": {"google_grpc": {"target_uri": "a", "stat_prefix": "a"}}, "transport_api_version": "V3"}, "google_grpc"),
                ({**grpc, "decoder_header_mutation_rules": {"allow_expression": {"regex": "("}}}, "regular expression")):
            with self.subTest(text):
                self.refused(config, text)
        for own, text in (({}, "expected disabled or check_settings"),
                          ({"check_settings": {"disable_request_body_buffering": True, "with_request_body": {"max_request_bytes": 1}}}, "expected one of"),
                          ({"check_settings": {"grpc_service": {"envoy_grpc": {"cluster_name": "authz-grpc"}}}}, "grpc_service"),
                          ({"check_settings": {"http_service": {}}}, "http_service")):
            with self.subTest(text):
                self.refused(http, text, own)
