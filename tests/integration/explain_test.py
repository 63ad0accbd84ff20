"""weftctl explain and analyze against a control plane: what they say, and that the winner of `explain` is the one of a real proxy,
for random routes and requests."""

import http.client
import json
import os
import pathlib
import random
import subprocess
import tempfile
import unittest

from tests.conformance.xds_server_test import endpoint, envoy_bootstrap, free_port, service, wait_until
from tests.integration.harness.control_plane import ControlPlane, binary
from tests.integration.harness.proxy import Proxy

LIMIT_S = 60
DONE, WARNINGS, WRONG_USE, REFUSED = range(4)

ROUTE = """apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: canary, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules:
  - matches: [{path: {value: /items}, method: POST}]
    backendRefs: [{name: cart-v2, port: 80}]
  - name: main
    matches: [{path: {value: /items}}]
    backendRefs: [{name: cart, port: 80, weight: 9}, {name: cart-v2, port: 80}]
"""


def http_route(name, rules):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "cart"}], "rules": rules}}


class Weftctl(unittest.TestCase):
    def start(self, *arguments):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.mesh = folder / "mesh"
        self.mesh.mkdir()
        self.control = self.enterContext(ControlPlane(str(folder / "data"), arguments))

    def weftctl(self, *arguments, text=None, expect=DONE):
        result = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, *arguments], input=text, capture_output=True,
                                text=True, timeout=LIMIT_S)
        self.assertEqual(expect, result.returncode, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def explain(self, *arguments, expect=DONE):
        return json.loads(self.weftctl("explain", *arguments, "-o", "json", expect=expect))


class Explain(Weftctl):
    def test_a_request_is_explained_with_objects_revisions_and_places(self):
        self.start()
        self.control.apply(service("cart", 80), service("cart-v2", 80), endpoint("cart", 8080))
        self.weftctl("apply", "-f", "-", text=ROUTE)
        told = self.weftctl("explain", "--from", "shop/cart-v2", "http://cart/items/1")
        self.assertIn('by rule 1 "main" of HTTPRoute shop/canary (revision 2)', told)
        self.assertIn("127.0.0.1:8080", told)
        found = self.explain("--from", "shop", "-X", "POST", "cart:80/items/1", "-H", "x: y")
        self.assertEqual((0, "canary", "2"), (found["winner"].get("rule", 0), found["winner"]["source"]["object"]["name"],
                                              found["winner"]["source"]["revision"]))
        self.assertEqual(["shop/cart-v2:80"], [d["cluster"]["name"] for d in found["destinations"]])
        # Exits with 1 where no route matches.
        self.assertNotIn("winner", self.explain("--from", "shop", "cart/none", expect=WARNINGS))
        self.assertNotIn("virtualHost", self.explain("--from", "web", "cart", expect=WARNINGS))
        self.assertIn("the caller's service shop/nobody does not exist", self.weftctl("explain", "--from", "shop/nobody", "cart", expect=REFUSED))
        self.assertIn("expected a host", self.weftctl("explain", "/items", expect=WRONG_USE))

    def test_the_winner_is_a_real_proxys_for_random_routes_and_requests(self):
        """Every rule redirects to a host that tells which it was, so that no backend is needed."""
        seed = int(os.environ.get("WEFT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
        draw = random.Random(seed)
        self.start("--debounce-ms", "5")
        port = free_port()
        self.control.apply(service("cart", 80), service("plain", 80))
        kind = os.environ.get("WEFT_EXPLAINED_PROXY", "envoy")
        proxy = self.enterContext(Proxy(envoy_bootstrap(self.control, "DELTA_GRPC", port), kind=kind))
        for round_number in range(8):
            mark = f"r{round_number}"
            self.control.apply(*[http_route(f"route-{i}", random_rules(draw, mark, i)) for i in range(4)],
                               http_route("mark", [{"matches": [{"path": {"type": "Exact", "value": "/mark"}}],
                                                    "filters": [redirect(mark, 9, 9)]}]))
            wait_until(lambda: winner(port, "GET", "/mark", {}) == f"{mark}-9-9", "the proxy does not run the new routes")
            for _ in range(40):
                method, path, headers = random_request(draw)
                arguments = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
                # A proxy's answer of 404 is explain's exit by 1.
                actual = winner(port, method, path, headers)
                found = self.explain("--from", "shop", "-X", method, "http://cart" + path, *arguments,
                                     expect=WARNINGS if actual is None else DONE)
                location = found.get("location", "")
                self.assertEqual(actual, location.split("/")[2].removesuffix(".example") if location else None,
                                 f"seed {seed}: {method} {path} {headers}: {json.dumps(found, indent=1)}")
                if actual is not None:
                    # And the provenance is the rule that it names.
                    _, route, rule = actual.split("-")
                    name = "mark" if route == "9" else f"route-{route}"
                    expected_rule = 0 if route == "9" else int(rule)
                    self.assertEqual((name, expected_rule), (found["winner"]["source"]["object"]["name"], found["winner"].get("rule", 0)))
        # By the routes that the proxy has, when the control plane has others by now.
        dump = self.mesh / "dump.json"
        dump.write_text(proxy.get_admin("/config_dump"))
        self.control.weftctl("delete", "httproute", "mark", "-n", "shop")
        found = self.explain("--from", "shop", "cart/mark", "--config-dump", str(dump))
        self.assertEqual(f"http://{mark}-9-9.example/mark", found["location"])
        self.assertEqual("HTTPRoute/shop/mark/0", found["winner"]["name"])


# The last ones in other writing.
PATHS = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/", "/c/a", "/b/../a", "/%61/b", "/c/%2E%2e/a/./b", "/a%2Fb", "/a//b", "/a/b/.."]
HEADERS = ["x-user", "x-group"]
VALUES = ["1", "22", "a"]


def redirect(mark, route, rule):
    return {"type": "RequestRedirect", "requestRedirect": {"hostname": f"{mark}-{route}-{rule}.example"}}


def random_rules(draw, mark, route):
    rules = []
    for number in range(draw.randrange(1, 4)):
        matches = []
        for _ in range(draw.randrange(0, 3)):
            match = {}
            if draw.random() < 0.8:
                kind = draw.choice(["PathPrefix", "PathPrefix", "Exact", "RegularExpression"])
                value = draw.choice(["/a/.*", "/[ab]", ".*/c", "/(a|b)/b?"]) if kind == "RegularExpression" else draw.choice(PATHS)
                match["path"] = {"type": kind, "value": value}
            if draw.random() < 0.3:
                match["method"] = draw.choice(["GET", "POST"])
            if draw.random() < 0.4:
                match["headers"] = [{"name": name, **random_value(draw)} for name in draw.sample(HEADERS, draw.randrange(1, 3))]
            if draw.random() < 0.3:
                match["queryParams"] = [{"name": draw.choice("pq"), **random_value(draw)}]
            matches.append(match)
        rules.append({"matches": matches, "filters": [redirect(mark, route, number)]})
    return rules


def random_value(draw):
    if draw.random() < 0.3:
        return {"type": "RegularExpression", "value": draw.choice(["[0-9]+", ".*", "a|1"])}
    return {"value": draw.choice(VALUES)}


def random_request(draw):
    path = draw.choice(PATHS + ["/a/", "/abc", "/d"])
    if draw.random() < 0.4:
        path += "?" + "&".join(f"{draw.choice('pq')}={draw.choice(VALUES)}" for _ in range(draw.randrange(1, 3)))
    headers = {name: draw.choice(VALUES) for name in HEADERS if draw.random() < 0.5}
    return draw.choice(["GET", "POST", "PUT"]), path, headers


def winner(port, method, path, headers):
    """The name to which a real proxy redirects, None if no route matches; "" while it is not there."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        connection.request(method, path, headers={"Host": "cart", **headers})
        response = connection.getresponse()
        response.read()
        connection.close()
    except OSError:
        return ""
    location = response.getheader("location")
    return location.split("/")[2].removesuffix(".example") if location else None


class Analyze(Weftctl):
    def test_a_mesh_is_analysed_before_and_after_applying(self):
        self.start()
        self.control.apply(service("cart", 80), endpoint("cart", 8080))
        self.assertIn("0 errors, 0 warnings", self.weftctl("analyze"))
        file = self.mesh / "canary.yaml"
        file.write_text(ROUTE)
        told = self.weftctl("analyze", "-f", str(file), expect=REFUSED)
        self.assertIn(f"error: BackendNotFound: HTTPRoute shop/canary ({file}:1): ", told)
        self.assertIn("the service shop/cart-v2 does not exist", told)
        # Nothing was changed by that.
        self.assertIn("0 errors", self.weftctl("analyze"))
        self.weftctl("apply", "-f", str(file))
        self.weftctl("analyze", expect=REFUSED)
        self.control.apply(service("cart-v2", 80))
        found = json.loads(self.weftctl("analyze", "-o", "json", expect=REFUSED))["findings"]
        self.assertEqual([("ERROR", "BackendWithoutEndpoints", "spec.rules[0].backendRefs[0]"),
                          ("ERROR", "BackendWithoutEndpoints", "spec.rules[1].backendRefs[1]"), ("WARNING", "NoEndpoints", "")],
                         [(f["severity"], f["code"], f.get("path", "")) for f in found])
        self.control.apply(endpoint("cart-v2", 8081))
        self.weftctl("analyze")
        file.write_text(ROUTE.replace("canary", "second"))
        told = self.weftctl("analyze", "-f", str(file), expect=WARNINGS)
        self.assertIn(f"warning: ShadowedRule: HTTPRoute shop/second ({file}:7): spec.rules[0]: never matches", told)
        self.assertIn("HTTPRoute shop/canary, spec.rules[0], takes all of them first", told)
        self.assertIn("0 errors, 2 warnings", told)
        file.write_text("kind: [")
        self.assertIn(f"{file}:1:", self.weftctl("analyze", "-f", str(file), expect=REFUSED))

    def test_refused_files_of_the_directory_are_found(self):
        self.start()
        self.control.stop()
        self.control = self.enterContext(ControlPlane(self.control.folder, ("--config-dir", str(self.mesh))))
        (self.mesh / "cart.yaml").write_text("kind: Service\n")
        wait_until(lambda: "refused" in self.control.output.text(), "the file is not refused")
        self.assertIn(f"error: RefusedFile: {self.mesh}/cart.yaml:1:", self.weftctl("analyze", expect=REFUSED))


if __name__ == "__main__":
    unittest.main()
