"""AuthorizationPolicies in a mesh of real processes: who is refused by which policy, on trial or in earnest, and what people are told."""

import json
import re
import urllib.request

from tests.integration.harness import http1
from tests.integration.harness.live import eventually
from tests.integration.sidecar_test import Case, service


def policy(name, spec, namespace="shop", **annotations):
    return {"apiVersion": "weft.mesh/v1", "kind": "AuthorizationPolicy", "spec": spec,
            "metadata": {"name": name, "namespace": namespace, "annotations": {f"weft.mesh/{key.replace('_', '-')}": value for key, value in annotations.items()}}}


CART = [{"kind": "Service", "name": "cart"}]
DENIED = (403, "RBAC: access denied")


class Policies(Case):
    def setUp(self):
        super().setUp()
        self.control.apply(service("cart"), service("front"))
        self.front, self.cart = self.sidecar("front", self.app("front")), self.sidecar("cart", self.app("cart"))
        self.await_answer(self.front, "cart", (200, "cart"))

    def applied(self, *objects):
        self.control.apply(*objects, wait=True)

    def answers(self, wanted, host, path="/"):
        """A connection from before a change has one more exchange by what was."""
        self.assertTrue(eventually(lambda: self.front.get(host, path) == wanted), f"{host}{path}: {self.front.get(host, path)}")

    def counter(self, sidecar, name):
        admin = next(line.split(" ")[-1] for line in sidecar.output.lines() if "admin listening on" in line)
        return self.stats(admin).get(name, 0)

    @staticmethod
    def stats(admin):
        with urllib.request.urlopen(f"http://{admin}/stats", timeout=10) as response:
            lines = response.read().decode().splitlines()
        return {name: int(value) for name, value in (line.rsplit(": ", 1) for line in lines) if value.isdigit()}

    def test_only_what_an_allow_policy_allows_passes_and_a_deny_policy_comes_first(self):
        self.applied(policy("readers", {"targetRefs": CART, "rules": [{"to": [{"operation": {"methods": ["GET"], "paths": ["/items/{*}", "/health"]}}]}]}))
        self.answers((200, "cart"), "cart", "/items/7")
        self.answers((200, "cart"), "cart", "/health?full")
        self.answers(DENIED, "cart", "/items/7/8")
        self.answers((200, "front"), "front", "/anything")
        self.applied(policy("closed", {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/items/9"]}}]}]}, "weft-system"))
        self.answers(DENIED, "cart", "/items/9")
        self.answers(DENIED, "front", "/items/9")
        self.answers((200, "cart"), "cart", "/items/7")
        self.control.weftctl("delete", "authorizationpolicy", "readers", "-n", "shop", "--wait")
        self.answers((200, "cart"), "cart", "/items/7/8")

    def test_callers_without_a_certificate_have_no_principal(self):
        self.applied(policy("mesh-only", {"targetRefs": CART, "rules": [{"from": [{"source": {"namespaces": ["shop"]}}]},
                                                                        {"to": [{"operation": {"paths": ["/open"]}}]}]}))
        self.answers((200, "cart"), "cart", "/open")
        self.assertEqual(DENIED, self.direct("/items"))

    def direct(self, path):
        """Of a GET by somebody in plain text to the workload's own port."""
        with http1.Client(("127.0.0.1", self.cart.inbound_port)) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: cart\r\n\r\n".encode())
            response = client.response()
            return response.status, response.body.decode()

    def test_on_trial_a_policy_counts_and_refuses_nobody(self):
        spec = {"targetRefs": CART, "action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin*"]}}]}]}
        self.applied(policy("trial", spec, dry_run="true"))
        self.answers((200, "cart"), "cart", "/admin/x")
        counted = lambda: self.front.get("cart", "/admin/x") == (200, "cart") and self.counter(self.cart, "http.inbound.rbac.dry_run_deny_shadow_denied")
        self.assertTrue(eventually(counted))
        self.applied(policy("trial", spec))
        self.answers(DENIED, "cart", "/admin/x")

    def test_people_are_told_what_holds_and_what_is_wrong(self):
        self.applied(policy("readers", {"targetRefs": CART, "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}),
                     policy("lost", {"targetRefs": [{"kind": "Service", "name": "nobody"}], "action": "DENY", "rules": [{}]}))
        told = self.control.weftctl("explain", "--from", "shop", "http://cart/")
        self.assertRegex(told, r"ALLOW\s+AuthorizationPolicy shop/readers \(revision \d+\)\s+1 rule")
        self.assertNotIn("lost", told)
        explained = json.loads(self.control.weftctl("explain", "--from", "shop", "-o", "json", "http://cart/"))
        [held] = explained["destinations"][0]["cluster"]["authorizations"]
        self.assertEqual(("ALLOW", "readers", 1), (held["action"], held["source"]["object"]["name"], held["rules"]))
        shown = self.control.weftctl("get", "authorizationpolicy", "lost", "-n", "shop", "-o", "yaml")
        self.assertIn("TargetNotFound", shown)
        self.assertTrue(eventually(lambda: self.front.get("cart") == (200, "cart")))


class AccessLog(Case):
    def test_a_line_says_which_policy_refused_whom(self):
        self.control.apply(service("cart"), service("front"))
        front, cart = self.sidecar("front", self.app("front")), self.sidecar("cart", self.app("cart"), "--access-log", "/dev/stdout")
        self.await_answer(front, "cart", (200, "cart"))
        self.control.apply(policy("nobody", {"action": "DENY", "targetRefs": CART, "rules": [{"to": [{"operation": {"paths": ["/closed"]}}]}]}), wait=True)
        self.assertTrue(eventually(lambda: front.get("cart", "/closed?a") == DENIED))
        line = re.compile(r'"GET /closed\?a HTTP/1\.1" 403 \S+ rbac_access_denied_matched_policy\[AuthorizationPolicy/shop/nobody/0\] '
                          r'.*"spiffe://cluster\.local/ns/shop/sa/front"')
        self.assertTrue(cart.output.wait_for(lambda lines: any(line.search(each) for each in lines)), cart.output.text())


class Streams(Case):
    def test_connections_that_are_not_http_are_asked_what_they_can_be_asked(self):
        self.control.apply(service("db", "tcp"))
        sidecar = self.sidecar("db", self.app("db"))
        reach = lambda: self.connects(sidecar)
        self.assertTrue(reach())
        self.control.apply(policy("local", {"rules": [{"from": [{"source": {"ipBlocks": ["127.0.0.0/8"]}}]}]}), wait=True)
        self.assertTrue(reach())
        self.control.apply(policy("local", {"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}]}), wait=True)
        self.assertFalse(reach())
        # What only requests have never allows a connection, and is left out of what denies one.
        self.control.apply(policy("local", {"rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}), wait=True)
        self.assertFalse(reach())
        self.control.apply(policy("local", {"action": "DENY", "rules": [{"to": [{"operation": {"ports": ["1"], "paths": ["/a"]}}]}]}), wait=True)
        self.assertTrue(reach())

    @staticmethod
    def connects(sidecar):
        try:
            with http1.Client(("127.0.0.1", sidecar.inbound_port)) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: db\r\n\r\n")
                return client.response().start.startswith("HTTP/1.1 200 ")
        except (OSError, http1.Malformed, http1.Truncated):
            return False
