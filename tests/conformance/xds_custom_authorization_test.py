"""AuthorizationPolicies with a provider, through our control plane to a real Envoy and to weft-proxy: both ask the same services about
the same requests, and do the same with what they say and where they say nothing."""

import pathlib
import tempfile
import unittest

from tests.conformance.xds_server_test import endpoint, envoy_bootstrap, free_port, says
from tests.integration.authorization_test import CART, DENIED, policy
from tests.integration.custom_authorization_test import authorizer, custom
from tests.integration.harness import authz
from tests.integration.harness.authz import denied, ok, option
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.http1 import Client
from tests.integration.harness.live import eventually
from tests.integration.harness.mesh import service
from tests.integration.harness.proxy import Proxy
from tests.integration.jwt_authn_test import ISSUER, Keys
from tests.integration.request_authentication_test import bearer, tokens
from tests.integration.sidecar_test import answer


def at(*paths):
    return {"to": [{"operation": {"paths": list(paths)}}]}


class CustomCases:
    kind = None

    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.control = cls.enterClassContext(ControlPlane(folder, ("--debounce-ms", "10")))
        cls.app = cls.enterClassContext(Backend(says("cart")))
        cls.http = cls.enterClassContext(Backend())
        cls.grpc = cls.enterClassContext(authz.GrpcService())
        cls.control.apply(service("cart"), service("ask", protocol="grpc"), service("gate"), service("gone"), endpoint("ask", cls.grpc.address[1]),
                          endpoint("gate", cls.http.address[1]), endpoint("gone", 1))
        bootstrap = envoy_bootstrap(cls.control, "DELTA_GRPC", free_port())
        cls.port, cls.log = free_port(), pathlib.Path(folder, "access.log")
        bootstrap["node"]["metadata"].update(service="cart", app_port=cls.app.address[1], inbound_address="127.0.0.1", inbound_port=cls.port,
                                             access_log=str(cls.log), scope=["~/*"])
        cls.proxy = cls.enterClassContext(Proxy(bootstrap, kind=cls.kind))

    def setUp(self):
        self.used = set()
        self.grpc.answer = denied(401, "who are you?", [option("www-authenticate", "Basic")])
        self.http.default = answer("no", "403 Forbidden\r\nX-Why: card\r\nX-More: 1")

    def tearDown(self):
        self.assertEqual([], [node["refusals"] for node in self.control.nodes().values() if node["refused"]])
        for kind, name in self.used:
            self.control.weftctl("delete", kind, name, "-n", "shop")

    def use(self, *objects):
        self.control.apply(*objects, wait=True)
        self.used.update((each["kind"], each["metadata"]["name"]) for each in objects)

    def ask(self, path="/", fields="", body=""):
        try:
            with Client(("127.0.0.1", self.port)) as client:
                length = f"Content-Length: {len(body)}\r\n" if body else ""
                client.send(f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: cart\r\n{length}{fields}\r\n{body}".encode())
                return client.response()
        except OSError:
            return None

    def answers(self, wanted, path="/", fields="", body=""):
        def got():
            response = self.ask(path, fields, body)
            return None if response is None else (response.status, response.body.decode())

        self.assertTrue(eventually(lambda: got() == wanted), f"{path}: {got()}, wanted {wanted}\n{self.proxy.output.text()[-3000:]}")

    def passed(self, *arguments):
        """What the application got of a request."""
        mark = self.app.mark()
        self.assertEqual(200, self.ask(*arguments).status)
        return self.app.since(mark)[0][-1]

    def logged(self, line):
        self.assertTrue(eventually(lambda: self.log.exists() and any(line in each for each in self.log.read_text().splitlines())),
                        self.log.read_text() if self.log.exists() else "no log")

    def test_each_provider_is_asked_about_what_its_policies_match(self):
        config = {"pathPrefix": "/check", "includeRequestHeadersInCheck": ["X-Card", "x-b*"], "includeAdditionalHeadersInCheck": {"x-from": "mesh"},
                  "headersToUpstreamOnAllow": ["x-user"], "headersToDownstreamOnDeny": ["X-Why"], "headersToDownstreamOnAllow": ["x-seen"]}
        self.use(authorizer("ask", "grpc", includeRequestBodyInCheck={"maxRequestBytes": 4, "allowPartialMessage": True}), authorizer("gate", "http", config=config),
                 custom("ask", at("/grpc", "/both"), name="one"), custom("gate", at("/http", "/both"), name="two"),
                 policy("closed", {"action": "DENY", "targetRefs": CART, "rules": [at("/grpc/closed")]}))
        self.answers((401, "who are you?"), "/grpc", body="abcdef")
        self.assertEqual("abcd", self.grpc.requests[-1].attributes.request.http.body)
        self.logged("ext_authz_denied")
        self.logged("AuthorizationPolicy/shop/one/0@ExternalAuthorizer/shop/ask")
        self.answers((403, "no"), "/http", "X-Card: 7\r\nX-Bag: 1\r\nX-Other: 8\r\nAuthorization: Basic eA==\r\n")
        reply = self.ask("/http", "X-Card: 7\r\nX-Bag: 1\r\nX-Other: 8\r\nAuthorization: Basic eA==\r\n")
        self.assertEqual(("card", None), (reply.get("x-why"), reply.get("x-more")))
        asked = self.http.requests[-1]
        self.assertEqual("GET /check/http HTTP/1.1", asked.start)
        self.assertEqual(("cart", "7", "1", None, "mesh", "Basic eA=="),
                         tuple(asked.get(name) for name in ("host", "x-card", "x-bag", "x-other", "x-from", "authorization")))
        self.grpc.answer = ok(headers=[option("x-user", "ann")])
        self.answers((403, "no"), "/both")
        self.http.default = answer("yes", "200 OK\r\nX-User: bob\r\nX-Seen: 1")
        self.answers((200, "cart"), "/both")
        self.assertEqual(["bob"], self.passed("/both", "X-User: forged\r\n").all("x-user"))
        self.assertEqual(["ann"], self.passed("/grpc", "X-User: forged\r\n").all("x-user"))
        self.assertEqual("1", self.ask("/http").get("x-seen"))
        counts = len(self.grpc.requests), len(self.http.requests)
        self.answers((200, "cart"), "/open")
        self.answers(DENIED, "/grpc/closed")
        self.assertEqual(counts, (len(self.grpc.requests), len(self.http.requests)))

    def test_without_an_answer_and_without_anybody_to_ask(self):
        self.use(authorizer("gone", "http"), custom("gone", at("/x")))
        self.answers((403, ""), "/x")
        self.logged("ext_authz_error")
        self.use(authorizer("gone", "http", statusOnError=503))
        self.answers((503, ""), "/x")
        self.use(authorizer("gone", "http", failOpen=True))
        self.answers((200, "cart"), "/x")
        self.use(authorizer("gone", "http", service="nobody", failOpen=True))
        self.answers(DENIED, "/x")
        self.logged("rbac_access_denied_matched_policy[AuthorizationPolicy/shop/ask/0@ExternalAuthorizer/shop/gone]")
        self.answers((200, "cart"), "/open")
        self.use(custom("gone", at("/y")))
        self.answers((200, "cart"), "/x")

    def test_in_front_of_tokens_and_behind_them(self):
        keys = Keys()
        known = {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/*"]}}]}
        self.grpc.answer = ok(headers=[option("authorization", "Bearer " + keys.token())])
        self.use(authorizer("ask", "grpc"), authorizer("gate", "http"), tokens({"issuer": ISSUER, "jwks": keys.jwks()}),
                 policy("known", {"targetRefs": CART, "rules": [known]}), custom("ask", at("/in"), name="one"),
                 custom("gate", {**known, **at("/by")}, name="two"))
        self.answers((200, "cart"), "/in")
        self.answers(DENIED, "/out")
        self.answers((403, "no"), "/by", bearer(keys.token()))
        self.answers(DENIED, "/by")


class Envoy(CustomCases, unittest.TestCase):
    kind = "envoy"


class Weft(CustomCases, unittest.TestCase):
    kind = "weft"
