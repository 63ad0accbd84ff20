"""RequestAuthentications in a mesh of real processes: whose tokens are taken, where keys are from, and what claims are good for."""

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import subprocess
import time

from cryptography.hazmat.primitives import serialization
from jwt.algorithms import RSAAlgorithm

from tests.integration.authorization_test import CART, DENIED, policy
from tests.integration.harness.backend import Backend
from tests.integration.harness.live import eventually
from tests.integration.jwt_authn_test import ISSUER, OTHER, Keys
from tests.integration.sidecar_test import Case, answer, service

MISSING_KEYS = "Jwks remote fetch is failed"


def tokens(*rules, name="tokens", namespace="shop", targets=CART):
    return {"apiVersion": "weft.mesh/v1", "kind": "RequestAuthentication", "metadata": {"name": name, "namespace": namespace},
            "spec": {"targetRefs": targets, "jwtRules": list(rules)}}


def bearer(token):
    return f"Authorization: Bearer {token}\r\n" if token else ""


class Tokens(Case):
    def setUp(self):
        super().setUp()
        self.keys, self.strangers = Keys(), Keys()
        self.control.apply(service("cart"), service("front"))
        self.app_of_cart = self.app("cart")
        self.front, self.cart = self.sidecar("front", self.app("front")), self.sidecar("cart", self.app_of_cart)
        self.await_answer(self.front, "cart", (200, "cart"))

    def applied(self, *objects):
        self.control.apply(*objects, wait=True)

    def ask(self, token=None, path="/items", fields=""):
        return self.front.get("cart", path, bearer(token) + fields)

    def answers(self, wanted, *arguments, **named):
        """A connection from before a change has one more exchange by what was."""
        self.assertTrue(eventually(lambda: self.ask(*arguments, **named) == wanted), f"{arguments} {named}: {self.ask(*arguments, **named)}, "
                                                                                     f"wanted {wanted}")

    def seen(self, *arguments, **named):
        """What the application gets of a request that passes."""
        mark = self.app_of_cart.mark()
        self.assertEqual((200, "cart"), self.ask(*arguments, **named))
        [request] = self.app_of_cart.since(mark)[0]
        return request

    def signed_with_the_public_key(self):
        """By HMAC, with what everybody knows as the secret."""
        key = RSAAlgorithm.from_jwk(json.dumps(json.loads(self.keys.jwks())["keys"][0]))
        secret = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
        text = part({"alg": "HS256", "kid": "RSA"}) + "." + part({"iss": ISSUER, "sub": "ann", "aud": "cart", "exp": int(time.time()) + 600})
        return text + "." + base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).rstrip(b"=").decode()

    def test_bad_tokens_are_refused_and_a_request_may_have_none(self):
        self.applied(tokens({"issuer": ISSUER, "jwks": self.keys.jwks(), "audiences": ["cart"]}))
        good = self.keys.token(aud="cart")
        self.answers((401, "Jwt is expired"), self.keys.token(aud="cart", exp=1))
        self.answers((200, "cart"))
        for algorithm in ("RS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"):
            self.answers((200, "cart"), self.keys.token(algorithm, aud="cart"))
        head, body, signature = good.split(".")
        refused = {
            "alg none": (401, self.keys.unsigned({"alg": "none"}, {"iss": ISSUER, "aud": "cart"})),
            "no signature": (401, f"{head}.{body}."),
            "HMAC with the public key": (401, self.signed_with_the_public_key()),
            "wrong curve": (401, self.keys.token("ES384", headers={"alg": "ES384", "kid": "ES256"}, aud="cart")),
            "stranger": (401, self.strangers.token(aud="cart")),
            "another's body": (401, f"{head}.{self.keys.token(sub='eve', aud='cart').split('.')[1]}.{signature}"),
            "not yet": (401, self.keys.token(nbf=int(time.time()) + 3600, aud="cart")),
            "another issuer": (401, self.keys.token(iss=OTHER, aud="cart")),
            "no token": (401, "abc"),
            "wrong audience": (403, self.keys.token(aud="till")),
            "no audience": (403, self.keys.token()),
        }
        for name, (status, token) in refused.items():
            self.assertEqual(status, self.ask(token)[0], name)
            self.assertEqual(status, self.ask(path=f"/items?access_token={token}")[0], name)
        self.assertIsNone(self.seen(good).get("authorization"))
        self.control.weftctl("delete", "requestauthentication", "tokens", "-n", "shop", "--wait")
        self.answers((200, "cart"), "abc")

    def test_claims_decide_who_may_call_and_go_on_to_the_application(self):
        rules = [{"to": [{"operation": {"paths": ["/open"]}}]},
                 {"to": [{"operation": {"paths": ["/items"]}}], "from": [{"source": {"requestPrincipals": [f"{ISSUER}/*"]}}],
                  "when": [{"key": "request.auth.claims[scope]", "values": ["read"]}]},
                 {"to": [{"operation": {"paths": ["/ann"]}}], "when": [{"key": "request.auth.principal", "values": [f"{ISSUER}/ann"]}]},
                 {"to": [{"operation": {"paths": ["/aud"]}}], "when": [{"key": "request.auth.audiences", "values": ["till"]}]},
                 {"to": [{"operation": {"paths": ["/azp"]}}], "when": [{"key": "request.auth.presenter", "values": ["shop-*"]}]},
                 {"to": [{"operation": {"paths": ["/nested"]}}], "when": [{"key": "request.auth.claims[realm][roles]", "values": ["admin"]}]}]
        nobody = {"action": "DENY", "targetRefs": CART, "rules": [{"to": [{"operation": {"paths": ["/known*"]}}],
                                                                   "from": [{"source": {"notRequestPrincipals": ["*"]}}]}]}
        self.applied(tokens({"issuer": ISSUER, "jwks": self.keys.jwks(), "forwardOriginalToken": True, "outputPayloadToHeader": "x-payload",
                             "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}, {"header": "x-level", "claim": "realm.level"}]}),
                     policy("claims", {"targetRefs": CART, "rules": [*rules, {"to": [{"operation": {"paths": ["/known"]}}]}]}), policy("nobody", nobody))
        token = self.keys.token
        self.answers(DENIED)
        self.answers((200, "cart"), path="/open")
        for path, right, wrong in (("/items", token(scope="list read"), token(scope="reader")), ("/ann", token(), token(sub="eve")),
                                   ("/aud", token(aud=["cart", "till"]), token(aud="cart")), ("/azp", token(azp="shop-web"), token(azp="web")),
                                   ("/nested", token(realm={"roles": ["user", "admin"]}), token(roles=["admin"])), ("/known", token(), None)):
            with self.subTest(path):
                self.assertEqual((200, "cart"), self.ask(right, path))
                self.assertEqual(DENIED, self.ask(wrong, path))
                self.assertEqual(DENIED, self.ask(None, path))
        got = self.seen(token(realm={"level": 7}), "/ann", "X-User: forged\r\nX-Level: forged\r\n")
        self.assertEqual((["ann"], ["7"]), (got.all("x-user"), got.all("x-level")))
        self.assertTrue(got.get("authorization").startswith("Bearer "))
        self.assertEqual("ann", json.loads(base64.urlsafe_b64decode(got.get("x-payload") + "=="))["sub"])
        self.assertIsNone(self.seen(None, "/open", "X-User: forged\r\n").get("x-user"))

    def test_tokens_are_looked_for_where_each_rule_says(self):
        self.applied(tokens({"issuer": ISSUER, "jwks": self.keys.jwks()},
                            {"issuer": OTHER, "jwks": self.strangers.jwks(), "fromHeaders": [{"name": "X-Token", "prefix": "JWT "}], "fromParams": ["tok"],
                             "fromCookies": ["jar"]}))
        mine, other, bad = self.keys.token(), self.strangers.token(iss=OTHER), self.strangers.token(iss=OTHER, exp=1)
        self.answers((401, "Jwt is expired"), fields=f"X-Token: JWT {bad}\r\n")
        for good in ({"fields": f"X-Token: JWT {other}\r\n"}, {"path": f"/items?tok={other}"}, {"fields": f"Cookie: a=b; jar={other}\r\n"}):
            self.assertEqual((200, "cart"), self.ask(**good))
            self.assertEqual((200, "cart"), self.ask(mine, **good))
        # A good token does not carry a bad one past.
        self.assertEqual((401, "Jwt is expired"), self.ask(mine, fields=f"X-Token: JWT {bad}\r\n"))
        self.assertEqual((401, "Jwt is expired"), self.ask(mine, fields=f"Cookie: jar={bad}\r\n"))
        self.assertEqual((401, "Jwt issuer is not configured"), self.ask(other))

    def test_keys_are_fetched_and_whoever_cannot_be_asked_holds_nobody_else_up(self):
        issuer = self.enterContext(Backend(answer(self.keys.jwks())))
        address = "http://%s:%d" % issuer.address
        # One that takes connections and answers nobody, and one whose name nobody knows.
        silent = self.enterContext(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
        self.applied(tokens({"issuer": ISSUER, "jwksUri": f"{address}/jwks"},
                            {"issuer": "silent", "jwksUri": "http://%s:%d/" % silent.getsockname(), "timeout": "300ms"},
                            {"issuer": "nobody", "jwksUri": "https://keys.invalid/", "timeout": "300ms"}))
        self.answers((401, "Jwt is expired"), self.keys.token(exp=1))
        self.assertEqual([], issuer.requests)
        self.assertEqual((200, "cart"), self.ask())
        for _ in range(3):
            self.assertEqual((200, "cart"), self.ask(self.keys.token("ES256")))
        self.assertEqual(["GET /jwks HTTP/1.1"], [request.start for request in issuer.requests])
        self.assertEqual((401, MISSING_KEYS), self.ask(self.keys.token(iss="silent")))
        self.assertEqual((401, MISSING_KEYS), self.ask(self.keys.token(iss="nobody")))
        self.assertEqual((200, "cart"), self.ask(self.keys.token("EdDSA")))
        self.assertEqual([], [state for state in self.control.nodes().values() if state["refused"]])

    def test_keys_of_a_service_of_the_mesh_come_by_the_mesh(self):
        self.control.apply(service("issuer"), {"apiVersion": "weft.mesh/v1", "kind": "PeerAuthentication", "metadata": {"name": "all", "namespace": "shop"},
                                               "spec": {"mtls": {"mode": "STRICT"}}})
        app = self.enterContext(Backend(answer(self.keys.jwks())))
        issuer = self.sidecar("issuer", app)
        self.applied(tokens({"issuer": ISSUER, "jwksUri": "http://issuer.shop.svc.cluster.local/jwks", "timeout": "10s"}))
        self.answers((200, "cart"), self.keys.token())
        self.assertEqual((401, "Jwt verification fails"), self.ask(self.strangers.token()))
        [request] = [each for each in app.requests if each.start == "GET /jwks HTTP/1.1"]
        self.assertEqual("issuer.shop.svc.cluster.local", request.get("host"))
        self.assertIn("/ns/shop/sa/cart", request.get("x-forwarded-client-cert") or "", issuer.output.text())

    def test_it_is_explained_analyzed_and_refused_with_what_is_wrong(self):
        self.applied(tokens({"issuer": ISSUER, "jwks": self.keys.jwks()}))
        explained = self.control.weftctl("explain", "--from", "shop", "http://cart/")
        self.assertRegex(explained, r"TOKENS +RequestAuthentication.*tokens.* of " + ISSUER)
        with self.assertRaises(subprocess.CalledProcessError) as failed:
            self.control.apply(tokens({"issuer": ISSUER, "jwksUri": "keys.example"}, {"issuer": OTHER}))
        self.assertIn("spec.jwtRules[0].jwksUri: expected http://HOST[:PORT]/PATH", failed.exception.stderr)
        self.assertIn("spec.jwtRules[1]: expected one of jwks", failed.exception.stderr)
        [key] = [each for each in json.loads(self.keys.jwks())["keys"] if each.get("crv") == "P-256"]
        with self.assertRaises(subprocess.CalledProcessError) as failed:
            self.control.apply(tokens({"issuer": ISSUER, "jwks": json.dumps({"keys": [{**key, "x": key["y"], "y": key["x"]}]})}))
        self.assertIn(f'spec.jwtRules[0].jwks: keys[0] (kid "{key["kid"]}"): x and y are no point of the curve P-256', failed.exception.stderr)
        listed = json.loads(self.control.weftctl("get", "ra", "tokens", "-n", "shop", "-o", "json"))
        conditions = {each["type"]: each["status"] for each in (listed.get("items") or [listed])[0]["status"]["conditions"]}
        self.assertEqual({"Accepted": "True", "ResolvedRefs": "True"}, conditions)
