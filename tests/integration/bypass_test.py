"""What somebody in a pod next to the mesh may try in order to get at a service: none of it reaches the application."""

import contextlib
import os
import pathlib
import socket
import ssl
import sys
import tempfile
import threading
import unittest

from tests.integration.authorization_test import policy
from tests.integration.harness import http1, intercepted
from tests.integration.harness.certificates import Authority
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.identity import openssl
from tests.integration.harness.live import eventually
from tests.integration.harness.namespaces import Network, needs_root
from tests.integration.interception_test import Server, service
from tests.integration.mtls_test import authentication

CART = "10.96.0.1"
ROOT = pathlib.Path(__file__).resolve().parents[2]
SHORT_TTL_S = 5
# Of a member that came in by a token: run in its pod, for a channel of gRPC's is where its threads are.
JOIN = """
import sys, grpc
from tests.integration.harness.identity import Workload
folder, name, address, trusted, token = sys.argv[1:]
with grpc.secure_channel(address, grpc.ssl_channel_credentials(open(trusted, "rb").read())) as channel:
    Workload(folder, name).ask(channel, token)
"""


class Application:
    """An HTTP server that remembers the path and the x-forwarded-client-cert of every request that reached it, and everything else
    that did."""

    def __init__(self, pod):
        self.requests, self.strays = [], []
        self._lock = threading.Lock()
        self._server = Server(pod, 8080, self._serve)
        self.close = self._server.close

    def _serve(self, connection):
        with connection:
            reader = http1.Reader(connection)
            try:
                while reader.buffer or reader.more():
                    request = http1.Message(start=reader.line().decode("latin-1"), fields=http1.read_fields(reader))
                    with self._lock:
                        self.requests.append((request.start.split(" ")[1], request.all("x-forwarded-client-cert")))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncart\n")
            except (http1.Malformed, http1.Truncated, IndexError):
                with self._lock:
                    self.strays.append(bytes(reader.buffer))

    def seen(self, path):
        """What came with the requests for a path."""
        with self._lock:
            return [certificates for asked, certificates in self.requests if asked == path]


@needs_root
class Bypass(unittest.TestCase):
    """`cart` takes members of the mesh alone, and of its paths below /front/ only `front` may ask. `neighbour` is a pod on the same
    network, without sidecar and rules, whose owner may send whatever he likes."""

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            network = stack.enter_context(Network())
            cls.control_pod, cls.front, cls.cart, cls.neighbour = map(network.pod, ("control", "front", "cart", "neighbour"))
            cls.folder = stack.enter_context(tempfile.TemporaryDirectory())
            with cls.control_pod.inside():
                cls.control = stack.enter_context(ControlPlane(cls.folder, secure=True, xds=f"{cls.control_pod.ipv4}:15010",
                                                               arguments=["--certificate-ttl", f"{SHORT_TTL_S}s"]))
            token = cls.control.token("-n", "shop")
            cls.control.apply(
                service("cart", [("http", 80, 8080), ("tcp-raw", 7000, 7000)], clusterIP=CART), service("pay", [("http", 80, 8080)]),
                authentication("STRICT"),
                policy("front-only", {"targetRefs": [{"kind": "Service", "name": "cart"}], "action": "DENY", "rules": [
                    {"from": [{"source": {"notPrincipals": ["cluster.local/ns/shop/sa/front"]}}], "to": [{"operation": {"paths": ["/front/*"]}}]},
                    {"from": [{"source": {"notPrincipals": ["cluster.local/ns/shop/sa/front"]}}], "to": [{"operation": {"ports": ["7000"]}}]}]}))
            cls.application = Application(cls.cart)
            stack.callback(cls.application.close)
            raw = Server(cls.cart, 7000, lambda connection: connection.sendall(b"raw\n") or connection.close())
            stack.callback(raw.close)
            for pod in (cls.front, cls.cart):
                intercepted.intercept(pod)
            probes = {"/app-health/cart/livez": {"httpGet": {"path": "/probed", "port": 8080}}}
            start = lambda pod, name: stack.enter_context(intercepted.Sidecar(pod, cls.control.xds, token, name, 8080, ["--health-port", "15021"], probes))
            cls.callee, cls.caller = start(cls.cart, "cart"), start(cls.front, "front")
            cls.addClassCleanup(stack.pop_all().close)
        if not eventually(lambda: cls.curl(cls.front, f"http://{CART}/ready") == 200 and cls.application.seen("/ready")):
            raise AssertionError(f"front does not reach cart\n{cls.caller.output.text()}\n{cls.callee.output.text()}")

    @staticmethod
    def curl(pod, url, *arguments):
        """The status of an answer, 0 without one."""
        done = pod.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5", *arguments, url, check=False)
        return int(done.stdout or 0)

    def join(self, name):
        """(certificate, key) of a member of the mesh who is in the neighbour's hands."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        token = self.control.token("-n", "shop", "--service", name)
        self.sign(folder, name, token)
        return folder / f"{name}.crt", folder / f"{name}.key"

    def sign(self, folder, name, token, check=True):
        """What became of the neighbour's wish for a certificate as shop/NAME."""
        return self.neighbour.run(sys.executable, "-B", "-c", JOIN, folder, name, "%s:%d" % self.control.xds, self.control.certificate, token,
                                  check=check, env={**os.environ, "PYTHONPATH": str(ROOT)})

    @staticmethod
    def context(identity, alpn=("weft", "http/1.1")):
        """Of a client who takes any server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(list(alpn))
        if identity:
            context.load_cert_chain(*map(str, identity))
        return context

    def by_tls(self, path, identity=None, port=8080, fields=b"", alpn=("weft", "http/1.1")):
        """The status that the neighbour gets from a port of cart's pod by TLS; None without an answer."""
        try:
            with self.neighbour.connect((self.cart.ipv4, port)) as sock, self.context(identity, alpn).wrap_socket(sock) as tls:
                tls.sendall(b"GET %s HTTP/1.1\r\nHost: cart\r\n%sConnection: close\r\n\r\n" % (path.encode(), fields))
                return http1.read_response(http1.Reader(tls)).status
        except (OSError, http1.Malformed, http1.Truncated, IndexError):
            return None

    def raw_by_tls(self, identity):
        """What the TCP service says to a member."""
        try:
            with self.neighbour.connect((self.cart.ipv4, 7000)) as sock, self.context(identity, ["weft"]).wrap_socket(sock) as tls:
                return tls.recv(16)
        except OSError:
            return b""

    def assert_nothing_came(self, path):
        self.assertEqual([], self.application.seen(path))
        self.assertEqual([], self.application.strays)

    def test_plaintext_to_the_application_or_to_the_sidecar(self):
        for host in (self.cart.ipv4, f"[{self.cart.ipv6}]"):
            for port in (8080, intercepted.INBOUND, intercepted.OUTBOUND, 7000, 9999):
                self.assertEqual(0, self.curl(self.neighbour, f"http://{host}:{port}/plain"), f"{host}:{port}")
        self.assertEqual(0, self.curl(self.neighbour, f"http://{self.cart.ipv4}:8080/plain", "--http2-prior-knowledge"))
        # As if the neighbour was the sidecar: its user, and the address by which it goes on to the application.
        done = self.neighbour.run("curl", "-s", "--max-time", "5", f"http://{self.cart.ipv4}:8080/plain", uid=1337, check=False)
        self.assertNotEqual(0, done.returncode)
        self.neighbour.run("ip", "addr", "add", "127.0.0.6/32", "dev", "eth0")
        self.assertEqual(0, self.curl(self.neighbour, f"http://{self.cart.ipv4}:8080/plain", "--interface", "127.0.0.6"))
        self.assert_nothing_came("/plain")

    def test_the_sidecars_own_ports_are_not_reached_from_without(self):
        for port in (intercepted.ADMIN, 15090, 15053):
            self.assertEqual(0, self.curl(self.neighbour, f"http://{self.cart.ipv4}:{port}/stats"), port)
        # Which is for the platform, and says no more than whether the workload is ready.
        self.assertEqual(200, self.curl(self.neighbour, f"http://{self.cart.ipv4}:15021/healthz/ready"))
        self.assertEqual(404, self.curl(self.neighbour, f"http://{self.cart.ipv4}:15021/config_dump"))
        # And the application's own probes, which know nothing of mutual TLS.
        self.assertEqual(200, self.curl(self.neighbour, f"http://{self.cart.ipv4}:15021/app-health/cart/livez"))
        self.assertEqual(1, len(self.application.seen("/probed")))
        self.assertEqual(404, self.curl(self.neighbour, f"http://{self.cart.ipv4}:15021/app-health/cart/../../probed", "--path-as-is"))

    def test_tls_by_who_is_not_of_the_mesh(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        spiffe = ["URI:spiffe://cluster.local/ns/shop/sa/front"]
        strangers = {"none": None, "a certificate authority of his own": Authority(folder).leaf("front", spiffe),
                     "a certificate authority of the same name": Authority(self.enterContext(tempfile.TemporaryDirectory()), self.root_name()).leaf("front", spiffe)}
        for what, identity in strangers.items():
            for alpn in (("weft", "http/1.1"), ("http/1.1",)):
                self.assertIsNone(self.by_tls("/stranger", identity, alpn=alpn), f"{what}, {alpn}")
                self.assertIsNone(self.by_tls("/stranger", identity, port=intercepted.INBOUND, alpn=alpn), f"{what}, {alpn}, to the sidecar's port")
        self.assert_nothing_came("/stranger")

    def root_name(self):
        subject = openssl("x509", "-in", pathlib.Path(self.folder) / "ca/1/root.crt", "-noout", "-subject", "-nameopt", "multiline").decode()
        return next(line.split("= ")[1] for line in subject.splitlines() if "commonName" in line)

    def test_a_member_may_do_what_policy_lets_that_member_do(self):
        pay, before = self.join("pay"), len(self.application.requests)
        self.assertEqual(200, self.by_tls("/open", pay))
        self.assertEqual(403, self.by_tls("/front/pay", pay))
        for disguise in ("/front/../front/pay", "//front/pay", "/%66ront/pay", "/x/..//front/pay", "/front%2fpay", "/front%5Cpay", "/x%2f..%2ffront/pay",
                         "/x/%2e%2e/front/pay", "/\\front/pay", "/x/..%2ffront/pay", "/front/pay?x", "/front/pay#x"):
            self.assertIn(self.by_tls(disguise, pay), (403, 400), disguise)
        self.assertEqual(b"", self.raw_by_tls(pay))
        self.assertEqual(200, self.curl(self.front, f"http://{CART}/front/1"))
        self.assertEqual(b"raw\n", self.raw_by_tls(self.join("front")))
        self.assertEqual({"/open", "/front/1"}, {asked for asked, _ in self.application.requests[before:]})

    def test_a_spoofed_name_of_the_caller(self):
        spoofed = "X-Forwarded-Client-Cert: By=spiffe://cluster.local/ns/shop/sa/cart;URI=spiffe://cluster.local/ns/shop/sa/front"
        pay = self.join("pay")
        self.assertEqual(403, self.by_tls("/front/spoofed", pay, fields=spoofed.encode() + b"\r\n"))
        self.assert_nothing_came("/front/spoofed")
        self.assertEqual(200, self.by_tls("/spoofed", pay, fields=spoofed.encode() + b"\r\n"))
        self.assertEqual(200, self.curl(self.front, f"http://{CART}/spoofed", "-H", spoofed.replace("front", "admin")))
        told = self.application.seen("/spoofed")
        self.assertEqual([1, 1], list(map(len, told)))
        self.assertIn("URI=spiffe://cluster.local/ns/shop/sa/pay", told[0][0])
        self.assertNotIn("front", told[0][0])
        self.assertIn("URI=spiffe://cluster.local/ns/shop/sa/front", told[1][0])
        self.assertNotIn("admin", told[1][0])

    def test_a_certificate_that_was_good_and_has_expired(self):
        pay = self.join("pay")
        self.assertEqual(200, self.by_tls("/expired", pay))
        self.assertTrue(eventually(lambda: openssl("x509", "-in", pay[0], "-noout", "-checkend", "0", check=False).startswith(b"Certificate will expire")))
        self.assertIsNone(self.by_tls("/expired", pay))
        self.assertEqual(1, len(self.application.seen("/expired")))
        self.assertEqual(200, self.curl(self.front, f"http://{CART}/renewed"))

    def test_no_identity_is_given_to_who_shows_no_token_or_one_of_another(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.assertIn("UNAUTHENTICATED", self.sign(folder, "front", "", check=False).stderr)
        self.assertIn("PERMISSION_DENIED", self.sign(folder, "front", self.control.token("-n", "shop", "--service", "pay"), check=False).stderr)
        self.assertEqual([], list(pathlib.Path(folder).glob("*.crt")))


if __name__ == "__main__":
    unittest.main()
