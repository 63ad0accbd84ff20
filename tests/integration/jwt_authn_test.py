"""Requests and their tokens: which are good for what, in Envoy's words, and what of them goes on to the upstream; and that Envoy
says the same."""

import base64
import itertools
import json
import time
import unittest

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy, under_test

JWT = bootstrap.TYPE + "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
PER_ROUTE = bootstrap.TYPE + "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig"
HTTP_RBAC = bootstrap.TYPE + "envoy.extensions.filters.http.rbac.v3.RBAC"
NAME = "envoy.filters.http.jwt_authn"
ISSUER = "https://issuer.example"
OTHER = "https://other.example"


class Keys:
    """One key of each kind, and tokens signed by them."""

    def __init__(self):
        large = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._keys = {"RS256": large, "RS384": large, "RS512": large, "PS256": large, "PS384": large, "PS512": large,
                      "ES256": ec.generate_private_key(ec.SECP256R1()), "ES384": ec.generate_private_key(ec.SECP384R1()),
                      "ES512": ec.generate_private_key(ec.SECP521R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate()}
        self.stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self):
        makers = {"RS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}
        keys = []
        for algorithm in ("RS256", "ES256", "ES384", "ES512", "EdDSA"):
            key = json.loads(makers[algorithm[:2]].to_jwk(self._keys[algorithm].public_key()))
            keys.append({**{name: value for name, value in key.items() if name != "key_ops"}, "kid": "RSA" if algorithm == "RS256" else algorithm})
        return json.dumps({"keys": keys})

    def token(self, algorithm="RS256", key=None, headers=None, **claims):
        kid = "RSA" if algorithm[:2] in ("RS", "PS") else algorithm
        return jwt.encode({"iss": ISSUER, "sub": "ann", "exp": int(time.time()) + 600, **claims}, key or self._keys[algorithm], algorithm,
                          headers={"kid": kid, **(headers or {})})

    @staticmethod
    def unsigned(header, payload, signature=b""):
        part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        return ".".join([part(json.dumps(header).encode()), part(json.dumps(payload).encode()), part(signature)])


def configuration(keys, jwks_cluster="jwks"):
    local = {"local_jwks": {"inline_string": keys.jwks()}}
    return {
        "providers": {
            "main": {"issuer": ISSUER, **local, "forward_payload_header": "x-payload", "payload_in_metadata": "payload",
                     "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}, {"header_name": "x-level", "claim_name": "level"},
                                          {"header_name": "x-nested", "claim_name": "realm.role"}]},
            "kept": {"issuer": ISSUER, **local, "forward": True, "from_headers": [{"name": "x-token"}], "from_params": ["token"], "from_cookies": ["tok"]},
            "cart": {"issuer": ISSUER, **local, "audiences": ["cart.example"]},
            "strict": {"issuer": ISSUER, **local, "clock_skew_seconds": 1},
            "remote": {"issuer": ISSUER, "remote_jwks": {"http_uri": {"uri": "http://keys.example/jwks", "cluster": jwks_cluster, "timeout": "2s"}}},
            "broken": {"issuer": ISSUER, "remote_jwks": {"http_uri": {"uri": "http://keys.example/jwks", "cluster": "gone", "timeout": "1s"},
                                                         "retry_policy": {"num_retries": 0}}},
            "other": {"issuer": OTHER, **local, "from_headers": [{"name": "x-other"}]},
        },
        "rules": [
            {"match": {"prefix": "/main"}, "requires": {"provider_name": "main"}},
            {"match": {"prefix": "/kept"}, "requires": {"provider_name": "kept"}},
            {"match": {"prefix": "/cart"}, "requires": {"provider_name": "cart"}},
            {"match": {"prefix": "/aud"}, "requires": {"provider_and_audiences": {"provider_name": "main", "audiences": ["till"]}}},
            {"match": {"prefix": "/strict"}, "requires": {"provider_name": "strict"}},
            {"match": {"prefix": "/remote"}, "requires": {"provider_name": "remote"}},
            {"match": {"prefix": "/broken"}, "requires": {"provider_name": "broken"}},
            {"match": {"prefix": "/any"}, "requires": {"requires_any": {"requirements": [{"provider_name": "cart"}, {"provider_name": "other"}]}}},
            {"match": {"prefix": "/all"}, "requires": {"requires_all": {"requirements": [{"provider_name": "main"}, {"provider_name": "other"}]}}},
            {"match": {"prefix": "/maybe"}, "requires": {"requires_any": {"requirements": [{"provider_name": "main"}, {"allow_missing": {}}]}}},
            {"match": {"prefix": "/failed"}, "requires": {"requires_any": {"requirements": [{"provider_name": "main"}, {"allow_missing_or_failed": {}}]}}},
            {"match": {"prefix": "/open"}},
        ],
        "requirement_map": {"cart": {"provider_name": "cart"}},
    }


def two_issuers(keys):
    """Providers of which each has an issuer and places of its own: which of them allow_missing takes is thus not for Envoy to choose."""
    local = {"local_jwks": {"inline_string": keys.jwks()}}
    either = [{"provider_name": "main"}, {"provider_name": "other"}]
    requirements = {
        "missing": {"allow_missing": {}}, "failed": {"allow_missing_or_failed": {}}, "nothing": {},
        "any": {"requires_any": {"requirements": either}}, "all": {"requires_all": {"requirements": either}},
        "maybe": {"requires_any": {"requirements": [*either, {"allow_missing": {}}]}},
        "whatever": {"requires_any": {"requirements": [*either, {"allow_missing_or_failed": {}}]}},
        "allowed": {"requires_any": {"requirements": [{"allow_missing": {}}, {"allow_missing": {}}]}},
        "twice": {"requires_all": {"requirements": [{"provider_name": "main"}, {"provider_name": "main"}]}},
        "nested": {"requires_any": {"requirements": [*either, {"requires_all": {"requirements": [
            {"requires_any": {"requirements": [each, {"allow_missing": {}}]}} for each in either]}}]}},
    }
    return {
        "providers": {
            "main": {"issuer": ISSUER, **local, "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}]},
            "other": {"issuer": OTHER, **local, "from_headers": [{"name": "x-other"}, {"name": "x-scheme", "value_prefix": "JWT "}], "from_params": ["tok"],
                      "from_cookies": ["tok"], "forward_payload_header": "x-payload"},
        },
        "rules": [{"match": {"prefix": "/" + name}, "requires": requirement} for name, requirement in requirements.items()],
    }


class Case(unittest.TestCase):
    """The proxy under test, and Envoy beside it with the same configuration and keys."""

    @classmethod
    def setUpClass(cls):
        cls.keys = Keys()
        cls.backend = cls.enterClassContext(Backend())
        text = cls.keys.jwks()
        cls.jwks = cls.enterClassContext(Backend(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()))
        admins = {"policies": {"ann": {"permissions": [{"any": True}], "principals": [{"metadata": {
            "filter": NAME, "path": [{"key": "payload"}, {"key": "roles"}],
            "value": {"list_match": {"one_of": {"string_match": {"exact": "admin"}}}}}}]}}}
        rbac = {"name": "envoy.filters.http.rbac", "typed_config": {"@type": HTTP_RBAC}}
        per_route = bootstrap.TYPE + "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
        routes = [bootstrap.route("backend", "/main/admin"), bootstrap.route("backend", "/named"), bootstrap.route("backend", "/wrong"),
                  bootstrap.route("backend", "/main/off"), bootstrap.route("backend")]
        routes[0]["typed_per_filter_config"] = {"envoy.filters.http.rbac": {"@type": per_route, "rbac": {"rules": admins}}}
        routes[1]["typed_per_filter_config"] = {NAME: {"@type": PER_ROUTE, "requirement_name": "cart"}}
        routes[2]["typed_per_filter_config"] = {NAME: {"@type": PER_ROUTE, "requirement_name": "nobody"}}
        routes[3]["typed_per_filter_config"] = {NAME: {"@type": PER_ROUTE, "disabled": True}}
        filters = [{"name": NAME, "typed_config": {"@type": JWT, **configuration(cls.keys)}}, rbac]
        clusters = [bootstrap.cluster("backend", [cls.backend.address]), bootstrap.cluster("jwks", [cls.jwks.address]),
                    bootstrap.cluster("gone", [("127.0.0.1", 1)])]
        two = [{"name": NAME, "typed_config": {"@type": JWT, **two_issuers(cls.keys)}}]
        listeners = [bootstrap.http_listener("http", routes, http_filters=filters),
                     bootstrap.http_listener("two", [bootstrap.route("backend")], http_filters=two)]
        config = bootstrap.bootstrap(listeners, clusters)
        cls.proxies = {kind: cls.enterClassContext(Proxy(config, kind=kind)) for kind in {under_test(), "envoy"}}
        cls.proxy = cls.proxies[under_test()]

    def ask(self, path, token=None, headers=(), kind=None, listener="http"):
        proxy = self.proxies[kind or under_test()]
        with http1.Client(proxy.addresses[listener]) as client:
            lines = [f"GET {path} HTTP/1.1", "Host: a.example", *headers]
            if token is not None:
                lines.append(f"Authorization: Bearer {token}")
            client.send(("\r\n".join(lines) + "\r\n\r\n").encode())
            return client.response()

    def seen(self, *arguments, **named):
        """What the backend got of a request that passed."""
        mark = self.backend.mark()
        self.assertEqual(200, self.ask(*arguments, **named).status)
        [request] = self.backend.since(mark)[0]
        return request

    def refused(self, status, text, *arguments, **named):
        answer = self.ask(*arguments, **named)
        self.assertEqual((status, text), (answer.status, answer.body.decode()))
        return answer


class Tokens(Case):
    def test_each_algorithm_is_taken(self):
        for algorithm in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"):
            with self.subTest(algorithm):
                self.assertEqual(200, self.ask("/main", self.keys.token(algorithm)).status)

    def test_what_a_token_says_goes_on_and_the_token_does_not(self):
        got = self.seen("/main?a=1", self.keys.token(level=7, realm={"role": "x"}), ["X-Sub: forged", "X-Payload: forged"])
        self.assertIsNone(got.get("authorization"))
        self.assertEqual((["ann"], "7", "x"), (got.all("x-sub"), got.get("x-level"), got.get("x-nested")))
        [payload] = got.all("x-payload")
        self.assertEqual("ann", json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"])

    def test_headers_that_only_a_token_may_set_are_taken_from_everybody(self):
        got = self.seen("/open", headers=["X-Sub: forged"])
        self.assertIsNone(got.get("x-sub"))

    def test_a_token_is_found_in_headers_query_and_cookies_and_stays_where_it_is_to(self):
        token = self.keys.token()
        self.assertEqual(token, self.seen("/kept", headers=[f"X-Token: {token}"]).get("x-token"))
        self.assertIn(token, self.seen(f"/kept?token={token}").start)
        self.assertIn(token, self.seen("/kept", headers=[f"Cookie: a=b; tok={token}"]).get("cookie"))
        self.assertNotIn(token, self.seen(f"/main?x=1&access_token={token}").start)

    def test_bad_tokens_are_refused_with_what_is_wrong(self):
        answer = self.refused(401, "Jwt is missing", "/main")
        self.assertEqual('Bearer realm="http://a.example/main"', answer.get("www-authenticate"))
        answer = self.refused(401, "Jwt is expired", "/main", self.keys.token(exp=1))
        self.assertEqual('Bearer realm="http://a.example/main", error="invalid_token"', answer.get("www-authenticate"))
        self.refused(401, "Jwt verification fails", "/main", self.keys.token(key=self.keys.stranger))
        self.refused(403, "Audiences in Jwt are not allowed", "/cart", self.keys.token(aud="till"))

    def test_claims_decide_who_may_pass(self):
        self.assertEqual(200, self.ask("/main/admin", self.keys.token(roles=["user", "admin"])).status)
        self.assertEqual(403, self.ask("/main/admin", self.keys.token(roles=["user"])).status)
        self.assertEqual(403, self.ask("/main/admin", self.keys.token()).status)

    def test_remote_keys_are_fetched_once_and_a_failed_fetch_is_told(self):
        token = self.keys.token()
        for _ in range(3):
            self.assertEqual(200, self.ask("/remote", token).status)
        asked = [request.start for request in self.jwks.requests]
        self.assertLessEqual(len(asked), len(self.proxies))
        self.assertEqual({"GET /jwks HTTP/1.1"}, set(asked))
        self.refused(401, "Jwks remote fetch is failed", "/broken", token)
        self.assertGreaterEqual(self.proxy.counter("http.ingress.jwt_authn.jwks_fetch_failed"), 1)
        self.assertGreaterEqual(self.proxy.counter("http.ingress.jwt_authn.jwks_fetch_success"), 1)


@unittest.skipIf(under_test() == "envoy", "compares the two")
class SameAsEnvoy(Case):
    def cases(self):
        keys, now = self.keys, int(time.time())
        good = keys.token(aud="cart.example")
        part = good.split(".")
        public = json.loads(keys.jwks())["keys"][0]
        header = {"alg": "RS256", "kid": "RSA"}
        tokens = {
            "none": None, "good": good, "empty": "", "no dots": "abc", "two parts": "a.b", "four parts": good + ".x", "bad header": "!." + part[1] + "." + part[2],
            "header no json": "YWJj." + part[1] + "." + part[2], "no alg": keys.unsigned({}, {}), "alg none": keys.unsigned({"alg": "none"}, {"iss": ISSUER}),
            "alg number": keys.unsigned({"alg": 1}, {}), "kid number": keys.unsigned({"alg": "RS256", "kid": 1}, {}),
            "hmac with the public key": jwt.encode({"iss": ISSUER}, json.dumps(public), "HS256", headers={"kid": "RSA"}),
            "bad payload": part[0] + ".!." + part[2], "payload no json": part[0] + ".YWJj." + part[2], "bad signature": part[0] + "." + part[1] + ".!",
            "other payload": part[0] + "." + keys.token(sub="eve").split(".")[1] + "." + part[2], "stranger": keys.token(key=keys.stranger),
            "wrong kid": keys.token(headers={"kid": "unknown"}),
            "wrong curve": keys.token("ES384", headers={"alg": "ES384", "kid": "ES256"}),
            "expired": keys.token(exp=now - 3600), "in tolerance": keys.token(exp=now - 30), "not yet": keys.token(nbf=now + 3600), "soon": keys.token(nbf=now + 30),
            "iss number": keys.unsigned(header, {"iss": 1}), "sub number": keys.unsigned(header, {"iss": ISSUER, "sub": 1}),
            "exp text": keys.unsigned(header, {"iss": ISSUER, "exp": "x"}), "nbf text": keys.unsigned(header, {"iss": ISSUER, "nbf": "x"}),
            "exp negative": keys.unsigned(header, {"iss": ISSUER, "exp": -1}), "aud number": keys.unsigned(header, {"iss": ISSUER, "aud": 1}),
            "other issuer": keys.token(iss="https://nobody.example"), "its issuer": keys.token(iss=OTHER),
            "audience with scheme": keys.token(aud=["x", "https://cart.example/"]), "wrong audience": keys.token(aud="till"),
            "EdDSA": keys.token("EdDSA"), "ES512": keys.token("ES512", aud="cart.example"), "PS384": keys.token("PS384"),
        }
        for path in ("/main", "/cart", "/aud", "/strict", "/open", "/named", "/main/off", "/remote", "/any", "/maybe", "/failed", "/wrong"):
            for name, token in tokens.items():
                yield "http", path, name, token, ()
        other = keys.token(iss=OTHER)
        for name in ("none", "good", "expired", "wrong audience"):
            for path in ("/all", "/any", "/maybe", "/failed"):
                yield "http", path, f"{name} and another", tokens[name], (f"X-Other: {other}",)

    def several(self):
        """Tokens at several places, and at such where their issuer's provider does not look."""
        keys = self.keys
        main = {"none": None, "good": keys.token(), "expired": keys.token(exp=1), "stranger": keys.token(key=keys.stranger), "other's": keys.token(iss=OTHER),
                "nobody's": keys.token(iss="https://nobody.example"), "no token": "abc"}
        good, expired = keys.token(iss=OTHER, sub="bob"), keys.token(iss=OTHER, exp=1)
        other = {"none": ("", ()), "header": ("", (f"X-Other: {good}",)), "expired header": ("", (f"X-Other: {expired}",)), "main's": ("", (f"X-Other: {main['good']}",)),
                 "scheme": ("", (f"X-Scheme: JWT {good}",)), "scheme further on": ("", (f"X-Scheme: a JWT {good}",)), "other scheme": ("", (f"X-Scheme: Basic {good}",)),
                 "param": (f"?a=1&tok={good}&b=2", ()), "main's param": (f"?access_token={main['good']}", ()), "escaped": (f"?t%6fk={good.replace('.', '%2E')}", ()),
                 "expired param": (f"?tok={expired}", ()), "cookie": ("", (f"Cookie: a=b; tok={good}",)), "quoted cookie": ("", (f'Cookie: tok="{good}"',)),
                 "expired cookie": ("", (f"Cookie: tok={expired}",)), "header and cookie": ("", (f"X-Other: {good}", f"Cookie: tok={expired}")),
                 "expired and no token": ("", (f"X-Other: {expired}", "Cookie: tok=abc")), "two headers": ("", (f"X-Other: {good}", f"X-Other: {expired}"))}
        for path in ("/missing", "/failed", "/nothing", "/any", "/all", "/maybe", "/whatever", "/allowed", "/twice", "/nested"):
            for here, token in main.items():
                for there, (query, headers) in other.items():
                    yield "two", path + query, f"{here} and {there}", token, headers

    def said(self, listener, path, token, headers):
        """What each of the two answers, and what it lets through."""
        said = {}
        for kind in ("weft", "envoy"):
            mark = self.backend.mark()
            answer = self.ask(path, token, headers, kind=kind, listener=listener)
            passed = [(request.start, *(request.get(name) for name in ("authorization", "x-other", "x-scheme", "x-payload", "x-sub", "cookie")))
                      for request in self.backend.since(mark)[0]]
            said[kind] = (answer.status, answer.body.decode(), answer.get("www-authenticate"), passed)
        return said

    def test_the_same_is_said_of_every_token(self):
        seen, carried, differences = 0, 0, []
        for listener, path, name, token, headers in itertools.chain(self.cases(), self.several()):
            seen += 1
            said = self.said(listener, path, token, headers)
            if said["envoy"] == said["weft"]:
                continue
            # Where a token may be missing Envoy goes by its verdict on the last of several alone: ours refuses a bad one.
            if path.startswith(("/missing", "/allowed")) and (said["envoy"][0], said["weft"][0]) == (200, 401):
                carried += 1
            else:
                differences.append((path.partition("?")[0], name, said["envoy"], said["weft"]))
        self.assertEqual([], differences[:5], f"and what follows, {len(differences)} in all: {[each[:2] for each in differences]}")
        self.assertGreater(carried, 0)
        self.assertGreater(seen, 1500)
