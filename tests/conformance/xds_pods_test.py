"""A real Envoy as one of the sidecars of a mesh of pods, behind rules of the kernel that weft-proxy made: driven by our control plane,
with its identity by SDS, it calls and is called by weft-proxy over mutual TLS, and asks who calls."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests.conformance.xds_server_test import envoy_bootstrap
from tests.integration.authorization_test import DENIED, policy
from tests.integration.harness import certificates, intercepted
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness.namespaces import Network, needs_root
from tests.integration.harness.proxy import Output, envoy_binary
from tests.integration.interception_test import Clients, service
from tests.integration.jwt_authn_test import ISSUER, OTHER, Keys
from tests.integration.mtls_test import authentication
from tests.integration.request_authentication_test import MISSING_KEYS, tokens
from tools.demos.wire import Wire

FRONT, CART = "10.96.0.1", "10.96.0.2"
KEYS_PORT = 8443
SECRET = "4111-1111-1111-1111"
# Answers everybody with a text, in which CALLER is whom it was told of; behind TLS, if it is given a certificate.
SERVER = """
import http.server, ssl, sys
port, text, *certificate = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = text.replace("CALLER", str(self.headers.get("x-forwarded-client-cert"))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(port)), Handler)
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@needs_root
class EnvoyInAPod(Clients, unittest.TestCase):
    """`front` has a weft-proxy, `cart` an Envoy, `stranger` no sidecar."""

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            cls.switch = network.switch
            cls.control_pod, cls.client, cls.cart, cls.stranger = map(network.pod, ("control", "front", "cart", "stranger"))
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            with cls.control_pod.inside():
                cls.control = stack.enter_context(ControlPlane(folder, secure=True, xds=f"{cls.control_pod.ipv4}:15010",
                                                               arguments=["--debounce-ms", "20"]))
            cls.control.apply(service("front", [("http", 80, 8080)], clusterIP=FRONT), service("cart", [("http", 80, 8080)], clusterIP=CART),
                              authentication("STRICT"))
            token = cls.control.token("-n", "shop")
            cls.start_key_server(stack)
            for pod, name in ((cls.client, "front"), (cls.cart, "cart")):
                pod.popen(sys.executable, "-c", SERVER, 8080, f"{name} CALLER", stderr=subprocess.DEVNULL)
                intercepted.intercept(pod)
            cls.weft = stack.enter_context(intercepted.Sidecar(cls.client, cls.control.xds, token, "front", 8080, ["--health-tcp"]))
            cls.start_envoy(stack, token)
            cls.addClassCleanup(stack.pop_all().close)

    @classmethod
    def start_key_server(cls, stack):
        """In the pod of the stranger: https://keys.example, whose authority is the only one that both pods trust."""
        cls.keys = Keys()
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = certificates.Authority(folder)
        certificate = authority.leaf("keys", ["DNS:keys.example"])
        roots = folder / "roots"
        roots.mkdir()
        shutil.copy(authority.certificate, roots / "ca-certificates.crt")
        subprocess.run(["openssl", "rehash", str(roots)], check=True, capture_output=True)
        cls.stranger.popen(sys.executable, "-c", SERVER, KEYS_PORT, cls.keys.jwks(), *certificate, stderr=subprocess.DEVNULL)
        for pod in (cls.client, cls.cart):
            pod.hosts.write_text(f"127.0.0.1 localhost\n{cls.stranger.ipv4} keys.example\n{cls.stranger.ipv4} other.example\n")
            pod.run("mount", "--bind", roots, "/etc/ssl/certs")

    @classmethod
    def start_envoy(cls, stack, token):
        bootstrap = envoy_bootstrap(cls.control, "DELTA_GRPC", 0, token)
        bootstrap["node"]["metadata"] = {
            "namespace": "shop", "service": "cart", "mtls": True, "app_port": 8080, "inbound_address": cls.cart.ipv4,
            "interception": {"outbound_port": intercepted.OUTBOUND, "inbound_port": intercepted.INBOUND}}
        process = cls.cart.popen("setpriv", "--regid", str(intercepted.GROUP), "--clear-groups", envoy_binary(), "--config-yaml", json.dumps(bootstrap),
                                 "--concurrency", "1", "--disable-hot-restart", "-l", "info", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=os.environ)
        cls.envoy = Output(process.stdout)
        stack.callback(cls.envoy.join)
        stack.callback(process.wait)
        stack.callback(process.kill)

    def setUp(self):
        self.answers_as("cart", "front", self.client, CART)
        self.answers_as("front", "cart", self.cart, FRONT)

    def tearDown(self):
        with self.control_pod.inside():
            nodes = self.control.nodes()
        self.assertEqual({"front", "envoy-1"}, {node for node, _ in nodes})
        self.assertEqual([], [node["refusals"] for node in nodes.values() if node["refused"]])

    def answers_as(self, name, caller, pod, address):
        """Waits until a service answers, and has been told who calls."""
        def answers():
            status, body = self.get(f"http://{address}/", pod)
            return status == 200 and body.startswith(name + " ") and f"URI=spiffe://cluster.local/ns/shop/sa/{caller}" in body

        if not eventually(answers):
            self.fail(f"{name}: {self.get(f'http://{address}/', pod)}\n{self.envoy.text()[-4000:]}\n{self.weft.output.text()[-2000:]}")

    def test_what_both_say_to_one_another_cannot_be_read_between_them(self):
        with Wire(self.switch, SECRET.encode(), b"spiffe://") as wire:
            for pod, address in ((self.client, CART), (self.cart, FRONT)):
                self.assertEqual(200, self.get(f"http://{address}/", pod, {"X-Card": SECRET})[0])
        self.assertEqual({SECRET.encode(): 0, b"spiffe://": 0}, wire.seen)
        self.assertGreater(wire.tls, 0)

    def test_neither_takes_who_has_no_certificate_of_the_mesh(self):
        for pod in (self.client, self.cart):
            self.assertEqual(0, self.get(f"http://{pod.ipv4}:8080/", self.stranger)[0])

    def test_envoy_asks_who_calls_and_with_what_token(self):
        keys = self.keys
        self.control.apply(tokens({"issuer": ISSUER, "jwks": keys.jwks()}), policy("callers", {
            "targetRefs": [{"kind": "Service", "name": "cart"}],
            "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/front"]}}], "to": [{"operation": {"paths": ["/"]}}]},
                      {"from": [{"source": {"requestPrincipals": [f"{ISSUER}/ann"]}}], "to": [{"operation": {"paths": ["/ann"]}}]}]}), wait=True)

        def ask(path, token=None):
            return self.get(f"http://{CART}{path}", headers={"Authorization": f"Bearer {token}"} if token else None)

        if not eventually(lambda: ask("/ann") == DENIED):
            self.fail(f"{ask('/ann')}\n{self.envoy.text()[-4000:]}")
        self.assertEqual(200, ask("/")[0])
        self.assertEqual(200, ask("/ann", keys.token("ES256"))[0])
        self.assertEqual(DENIED, ask("/ann", keys.token(sub="eve")))
        self.assertEqual((401, "Jwt is expired"), ask("/", keys.token(exp=1)))
        for kind, name in (("requestauthentication", "tokens"), ("authorizationpolicy", "callers")):
            self.control.weftctl("delete", kind, name, "-n", "shop", "--wait")

    def test_both_fetch_keys_from_who_shows_a_good_certificate_and_from_nobody_else(self):
        self.control.apply(tokens({"issuer": ISSUER, "jwksUri": f"https://keys.example:{KEYS_PORT}/jwks"},
                                  {"issuer": OTHER, "jwksUri": f"https://other.example:{KEYS_PORT}/jwks"}, targets=[]), wait=True)
        for pod, address in ((self.client, CART), (self.cart, FRONT)):
            ask = lambda token: self.get(f"http://{address}/", pod, {"Authorization": f"Bearer {token}"})
            self.assertTrue(eventually(lambda: ask(self.keys.token(exp=1)) == (401, "Jwt is expired")))
            self.assertEqual(200, ask(self.keys.token("ES384"))[0])
            self.assertEqual((401, "Jwt verification fails"), ask(self.keys.token(key=self.keys.stranger)))
            self.assertEqual((401, MISSING_KEYS), ask(self.keys.token(iss=OTHER)))
        self.control.weftctl("delete", "requestauthentication", "tokens", "-n", "shop", "--wait")


if __name__ == "__main__":
    unittest.main()
