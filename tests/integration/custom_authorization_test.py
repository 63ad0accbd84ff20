"""AuthorizationPolicies that leave the decision to a service of the mesh, asked over gRPC or HTTP and mutual TLS: what it is asked
about, what its answers do, and that without an answer, or without anybody to ask, nothing passes unless it is to."""

import json
import re
import subprocess

from tests.integration import authorization_test
from tests.integration.authorization_test import CART, DENIED, policy
from tests.integration.harness import authz
from tests.integration.harness.authz import denied, ok, option
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import LIMIT_S, binary
from tests.integration.harness.live import eventually
from tests.integration.jwt_authn_test import ISSUER, Keys
from tests.integration.mtls_test import authentication
from tests.integration.request_authentication_test import bearer, tokens
from tests.integration.scope_test import scope
from tests.integration.sidecar_test import Case, answer, service

ADMIN = {"to": [{"operation": {"paths": ["/admin*"]}}]}
FRONT = "spiffe://cluster.local/ns/shop/sa/front"


def authorizer(name, how, service=None, namespace="shop", port=80, config=None, **more):
    return {"apiVersion": "weft.mesh/v1", "kind": "ExternalAuthorizer", "metadata": {"name": name, "namespace": namespace},
            "spec": {"backendRef": {"name": service or name, "namespace": "shop", "port": port}, how: config or {}, **more}}


def custom(provider, *rules, name="ask", targets=CART):
    return policy(name, {"action": "CUSTOM", "provider": {"name": provider}, "targetRefs": targets, "rules": list(rules) or [{}]})


class Mesh(Case):
    def setUp(self):
        super().setUp()
        # Nobody's scope holds whom policies ask.
        self.control.apply(service("cart"), service("front"), scope("shop", "front", "cart"), authentication("STRICT"))
        self.app_of_cart = self.app("cart")
        self.front = self.sidecar("front", self.app("front"))
        self.cart = self.sidecar("cart", self.app_of_cart, "--access-log", "/dev/stdout")
        self.await_answer(self.front, "cart", (200, "cart"))

    def applied(self, *objects):
        self.control.apply(*objects, wait=True)

    def answers(self, wanted, path="/admin", fields=""):
        """A connection from before a change has one more exchange by what was."""
        got = lambda: self.front.get("cart", path, fields)
        self.assertTrue(eventually(lambda: got() == wanted), f"{path}: {got()}, wanted {wanted}\n{self.cart.output.text()[-3000:]}")

    def logged(self, pattern):
        line = re.compile(pattern)
        self.assertTrue(self.cart.output.wait_for(lambda lines: any(line.search(each) for each in lines)), self.cart.output.text()[-3000:])

    def findings(self):
        command = [binary("WEFTCTL_BINARY"), "--socket", self.control.socket, "analyze", "-o", "json"]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S).stdout).get("findings", [])
        return {(each["code"], each["source"]["object"]["name"]): each["message"] for each in found}


class OverGrpc(Mesh):
    def setUp(self):
        super().setUp()
        self.control.apply(service("ask", "grpc"))
        self.service = self.enterContext(authz.GrpcService())
        self.asked = self.sidecar("ask", self.service)
        self.service.answer = denied(401, "who are you?", [option("www-authenticate", "Basic")])

    def test_the_service_decides_about_what_the_policy_matches_and_knows_who_calls(self):
        self.applied(authorizer("ask", "grpc", namespace="weft-system"), custom("ask", ADMIN))
        self.answers((401, "who are you?"), "/admin/x?a=1")
        told = self.service.requests[-1].attributes
        self.assertEqual(("GET", "/admin/x?a=1", "cart"), (told.request.http.method, told.request.http.path, told.request.http.host))
        # By mutual TLS, both of them.
        self.assertEqual((FRONT, "spiffe://cluster.local/ns/shop/sa/cart"), (told.source.principal, told.destination.principal))
        rule = r"AuthorizationPolicy/shop/ask/0@ExternalAuthorizer/weft-system/ask"
        self.logged(rf'"GET /admin/x\?a=1 HTTP/1\.1" 401 UAEX ext_authz_denied .* {rule}$')
        count = len(self.service.requests)
        self.assertEqual((200, "cart"), self.front.get("cart", "/items"))
        self.assertEqual(count, len(self.service.requests))
        self.logged(r'"GET /items HTTP/1\.1" 200 .* -$')
        # In other writing it is the same path.
        self.assertEqual((401, "who are you?"), self.front.get("cart", "/%61dmin/../admin"))
        self.service.answer = ok(headers=[option("x-user", "ann")])
        mark = self.app_of_cart.mark()
        self.answers((200, "cart"), fields="X-User: forged\r\n")
        self.assertEqual(["ann"], self.app_of_cart.since(mark)[0][-1].all("x-user"))
        # What it allows, a DENY policy may still refuse.
        self.applied(policy("closed", {"action": "DENY", "targetRefs": CART, "rules": [ADMIN]}))
        self.answers(DENIED)
        explained = self.control.weftctl("explain", "--from", "shop", "http://cart/admin")
        self.assertRegex(explained, r"CUSTOM +AuthorizationPolicy shop/ask \(revision \d+\) +1 rule, asks ExternalAuthorizer weft-system/ask "
                                    r"\(revision \d+\) at shop/ask:80 over gRPC, before tokens\n +DENY ")
        self.assertEqual({}, {code: text for code, text in self.findings().items() if code[0] in ("ProviderNotFound", "BackendNotFound")})

    def test_without_an_answer_nothing_passes_unless_it_is_to(self):
        self.applied(authorizer("ask", "grpc", statusOnError=503), custom("ask", ADMIN))
        self.answers((401, "who are you?"))
        self.asked.stop()
        self.answers((503, ""))
        self.logged(r" 503 UAEX ext_authz_error .* AuthorizationPolicy/shop/ask/0@ExternalAuthorizer/shop/ask$")
        self.assertEqual((200, "cart"), self.front.get("cart", "/items"))
        self.applied(authorizer("ask", "grpc", failOpen=True))
        self.answers((200, "cart"))
        self.assertIn("without an answer requests pass", self.control.weftctl("explain", "--from", "shop", "http://cart/admin"))

    def test_without_anybody_to_ask_what_the_policy_matches_is_refused(self):
        self.applied(custom("ask", ADMIN))
        self.answers(DENIED)
        self.assertEqual((200, "cart"), self.front.get("cart", "/items"))
        self.logged(r"rbac_access_denied_matched_policy\[AuthorizationPolicy/shop/ask/0@ExternalAuthorizer/ask\]")
        missing = 'no ExternalAuthorizer "ask" exists in shop or weft-system'
        self.assertIn(missing, self.findings()["ProviderNotFound", "ask"])
        self.assertIn(missing, self.control.weftctl("explain", "--from", "shop", "http://cart/admin"))
        self.assertIn("ProviderNotFound", self.control.weftctl("get", "ap", "ask", "-n", "shop", "-o", "yaml"))
        # One that is there, and fails open, but has nobody to ask is no other.
        self.applied(authorizer("ask", "grpc", service="nobody", failOpen=True))
        self.answers(DENIED)
        self.assertIn("the service shop/nobody does not exist", self.findings()["BackendNotFound", "ask"])
        self.applied(authorizer("ask", "grpc"))
        self.answers((401, "who are you?"))
        self.control.weftctl("delete", "service", "ask", "-n", "shop", "--wait")
        self.answers(DENIED)
        self.control.weftctl("delete", "authorizationpolicy", "ask", "-n", "shop", "--wait")
        self.answers((200, "cart"))
        self.assertEqual([], [state for state in self.control.nodes().values() if state["refused"]])

    def test_a_policy_for_the_whole_mesh_has_nobody_asked_about_its_own_questions(self):
        count = len(self.service.requests)
        self.applied(authorizer("ask", "grpc", namespace="weft-system"), policy("all", {"action": "CUSTOM", "provider": {"name": "ask"}, "rules": [{}]}, "weft-system"))
        self.answers((401, "who are you?"))
        asked = len(self.service.requests)
        self.assertGreater(asked, count)
        self.assertEqual({FRONT}, {each.attributes.source.principal for each in self.service.requests[count:]})
        self.service.answer = ok()
        self.answers((200, "cart"))
        # Other policies hold for it as for everybody.
        self.applied(policy("strangers", {"targetRefs": [{"kind": "Service", "name": "ask"}], "rules": [{"from": [{"source": {"namespaces": ["none"]}}]}]}))
        self.answers((403, ""))

    def test_a_service_may_give_a_request_its_token_or_be_asked_by_one(self):
        keys = Keys()
        known = {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/*"]}}]}
        self.service.answer = lambda request, _: ok(headers=[option("authorization", "Bearer " + keys.token())] if request.attributes.request.http.path == "/in"
                                                    else [])
        self.applied(authorizer("ask", "grpc"), tokens({"issuer": ISSUER, "jwks": keys.jwks()}), policy("known", {"targetRefs": CART, "rules": [known]}),
                     custom("ask", {"to": [{"operation": {"paths": ["/in", "/out"]}}]}))
        self.answers((200, "cart"), "/in")
        self.answers(DENIED, "/out")
        # Tokens that are not good never come to be asked about.
        self.service.answer = denied(409, "asked")
        self.applied(custom("ask", {**known, "to": [{"operation": {"paths": ["/by"]}}]}))
        self.answers((409, "asked"), "/by", bearer(keys.token()))
        self.assertEqual((401, "Jwt is expired"), self.front.get("cart", "/by", bearer(keys.token(exp=1))))
        self.assertEqual(DENIED, self.front.get("cart", "/by"))
        self.assertIn("over gRPC, after tokens", self.control.weftctl("explain", "--from", "shop", "http://cart/"))


class OverHttp(Mesh):
    def test_the_service_gets_and_gives_the_headers_that_are_named(self):
        gate = self.app("no")
        self.control.apply(service("gate"))
        self.sidecar("gate", gate)
        config = {"pathPrefix": "/check", "includeRequestHeadersInCheck": ["X-Card"], "includeAdditionalHeadersInCheck": {"x-from": "mesh"},
                  "headersToUpstreamOnAllow": ["x-user*"], "headersToDownstreamOnDeny": ["x-why"]}
        self.applied(authorizer("gate", "http", config=config, timeout="2s"), custom("gate", ADMIN))
        gate.default = answer("no", "403 Forbidden\r\nX-Why: card")
        self.answers((403, "no"), "/admin/x", "X-Card: 7\r\nX-Other: 8\r\n")
        asked = gate.requests[-1]
        self.assertEqual("GET /check/admin/x HTTP/1.1", asked.start)
        self.assertEqual(("cart", "7", None, "mesh"), tuple(asked.get(name) for name in ("host", "x-card", "x-other", "x-from")))
        # It is called by mutual TLS, as everybody in this mesh.
        self.assertIn("/ns/shop/sa/cart", asked.get("x-forwarded-client-cert") or "")
        gate.default = answer("yes", "200 OK\r\nX-User-Id: ann\r\nX-Level: 3")
        mark = self.app_of_cart.mark()
        self.answers((200, "cart"))
        passed = self.app_of_cart.since(mark)[0][-1]
        self.assertEqual(("ann", None), (passed.get("x-user-id"), passed.get("x-level")))

    def test_a_service_outside_the_mesh_is_asked_as_it_is(self):
        outside = self.enterContext(Backend(answer("outside", "402 Payment Required")))
        address, port = outside.address
        external = {"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": "pay", "namespace": "shop"},
                    "spec": {"hosts": ["pay.example"], "ports": [{"port": 80, "targetPort": port, "appProtocol": "http"}], "resolution": "Static",
                             "endpoints": [{"address": address}]}}
        asks = authorizer("pay", "http")
        asks["spec"]["backendRef"].update(group="weft.mesh", kind="ExternalService")
        self.applied(external, asks, custom("pay", ADMIN))
        self.answers((402, "outside"))
        self.assertEqual("cart", outside.requests[-1].get("host"))


class NotHttp(Case):
    def test_about_connections_that_are_not_http_nobody_can_be_asked_and_those_that_match_are_closed(self):
        connects = authorization_test.Streams.connects
        self.control.apply(service("db", "tcp"), service("ask"), authorizer("ask", "http"))
        sidecar = self.sidecar("db", self.app("db"))
        self.assertTrue(connects(sidecar))
        self.control.apply(custom("ask", {"to": [{"operation": {"ports": ["1"]}}]}, targets=[]), wait=True)
        self.assertTrue(connects(sidecar))
        self.control.apply(custom("ask", ADMIN, targets=[]), wait=True)
        self.assertFalse(connects(sidecar))
