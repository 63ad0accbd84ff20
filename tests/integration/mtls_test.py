"""Mutual TLS in a mesh of real processes: who is taken and who is not, certificates that are renewed under load, and a control
plane that is away for longer than they wait."""

import os
import signal
import socket
import ssl
import tempfile
import threading
import unittest

import grpc

from tests.integration.harness import http1
from tests.integration.harness.certificates import Authority
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.identity import Workload, openssl
from tests.integration.harness.live import eventually
from tests.integration.sidecar_test import LONG_GRACE_MS, Case, Load, answer, service

# How many renewals the test of many waits for; a thousand take eight minutes.
RENEWALS = int(os.environ.get("WEFT_RENEWALS", "8"))
GET = b"GET / HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n"


def authentication(mode, name="all", namespace="shop", **spec):
    return {"apiVersion": "weft.mesh/v1", "kind": "PeerAuthentication", "metadata": {"name": name, "namespace": namespace},
            "spec": {"mtls": {"mode": mode}, **spec}}


class Mesh(Case):
    def start_mesh(self, *names, ttl=None, mode="STRICT"):
        """Services with sidecars; each application answers its name, and requests has what it got."""
        self.start_control(LONG_GRACE_MS, **({"more": ["--certificate-ttl", ttl]} if ttl else {}))
        self.control.apply(*(service(name) for name in names), authentication(mode))
        self.apps = {name: self.app(name) for name in names}
        self.sidecars = {name: self.sidecar(name, self.apps[name]) for name in names}
        for caller in names:
            for callee in names:
                self.await_answer(self.sidecars[caller], callee, (200, callee))

    def start_control(self, grace_ms=LONG_GRACE_MS, more=(), **options):
        self.arguments = ["--workload-grace-ms", str(grace_ms), "--debounce-ms", "20", *more]
        self.control = ControlPlane(self.folder, secure=True, arguments=self.arguments, **options)

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.addCleanup(lambda: self.control.process.poll() is None and self.control.stop())
        self.tokens = {}

    @property
    def root(self):
        return os.path.join(self.folder, "ca", "1", "root.crt")

    def join(self, name):
        """The identity of shop/NAME, in this test's hands."""
        with open(self.control.certificate, "rb") as trusted:
            credentials = grpc.ssl_channel_credentials(trusted.read())
        with grpc.secure_channel("%s:%d" % self.control.xds, credentials) as channel:
            workload = Workload(self.folder, f"rogue-{name}")
            workload.ask(channel, self.control.token("-n", "shop", "--service", name), service=name)
        return workload

    def call_inbound(self, name, certificate=None, key=None, alpn=("weft", "http/1.1")):
        """What the sidecar of a service answers to a TLS client at its inbound port: the status, or None when it does not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(list(alpn))
        if certificate:
            context.load_cert_chain(str(certificate), str(key))
        try:
            with socket.create_connection(("127.0.0.1", self.sidecars[name].inbound_port), http1.WAIT_LIMIT_S) as sock:
                with context.wrap_socket(sock) as tls:
                    tls.sendall(GET)
                    return http1.read_response(http1.Reader(tls)).status
        except (OSError, http1.Malformed, http1.Truncated, IndexError):
            return None

    def call_plainly(self, name):
        try:
            with http1.Client(("127.0.0.1", self.sidecars[name].inbound_port)) as client:
                client.send(GET)
                return client.response().status
        except (OSError, http1.Malformed, http1.Truncated, IndexError):
            return None


class Strict(Mesh):
    def test_members_call_one_another_and_the_application_learns_who_calls(self):
        self.start_mesh("front", "cart", "pay")
        mark = self.apps["cart"].mark()
        spoofed = "X-Forwarded-Client-Cert: By=spiffe://evil;URI=spiffe://cluster.local/ns/shop/sa/admin\r\n"
        self.assertEqual((200, "cart"), self.sidecars["front"].get("cart", fields=spoofed))
        told = self.apps["cart"].since(mark)[0][0].all("x-forwarded-client-cert")
        self.assertEqual(1, len(told))
        self.assertIn("By=spiffe://cluster.local/ns/shop/sa/cart", told[0])
        self.assertIn("URI=spiffe://cluster.local/ns/shop/sa/front", told[0])
        self.assertNotIn("admin", told[0])

    def test_plaintext_strangers_and_who_is_out_of_date_are_refused(self):
        self.start_mesh("cart")
        self.assertIsNone(self.call_plainly("cart"))
        self.assertIsNone(self.call_inbound("cart"))
        stranger = Authority(self.enterContext(tempfile.TemporaryDirectory())).leaf("cart", ["URI:spiffe://cluster.local/ns/shop/sa/cart"])
        self.assertIsNone(self.call_inbound("cart", *stranger))
        member = self.join("cart")
        self.assertEqual(200, self.call_inbound("cart", member.certificate, member.key))
        # Also without the mesh's own mark.
        self.assertEqual(200, self.call_inbound("cart", member.certificate, member.key, alpn=["http/1.1"]))

    def test_a_certificate_that_has_expired_opens_nothing(self):
        self.start_mesh("cart", ttl="2s")
        member = self.join("cart")
        self.assertEqual(200, self.call_inbound("cart", member.certificate, member.key))
        self.assertTrue(eventually(lambda: openssl("x509", "-in", member.certificate, "-noout", "-checkend", "0", check=False).startswith(b"Certificate will expire")))
        self.assertIsNone(self.call_inbound("cart", member.certificate, member.key))
        self.await_answer(self.sidecars["cart"], "cart", (200, "cart"))

    def test_a_caller_does_not_take_another_member_for_the_service_that_it_means(self):
        self.start_mesh("front", "cart")
        stolen = ("127.0.0.1", self.sidecars["cart"].inbound_port)
        self.sidecars["cart"].stop(signal.SIGKILL)
        for name, certificate, status in (("pay", self.join("pay"), 503), ("cart", self.join("cart"), 200)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(str(certificate.certificate), str(certificate.key))
            with RogueServer(stolen, context):
                self.assertTrue(eventually(lambda: (self.sidecars["front"].get("cart") or (0,))[0] == status),
                                f"{name}: {self.sidecars['front'].get('cart')}")
        self.assertLess(0, self.sidecars["front"].metric("cluster.shop/cart:80.ssl.fail_verify_san"))


class RogueServer:
    """Answers every request at an address, which another process had, behind TLS."""

    def __init__(self, address, context):
        self._context, self._ended = context, threading.Event()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.assert_bound(address)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def assert_bound(self, address):
        def bound():
            try:
                self._socket.bind(address)
                return True
            except OSError:
                return False

        if not eventually(bound):
            raise AssertionError(f"{address} stays taken")

    def _serve(self):
        while not self._ended.is_set():
            try:
                sock, _ = self._socket.accept()
                with self._context.wrap_socket(sock, server_side=True) as tls:
                    reader = http1.Reader(tls)
                    while reader.line():
                        pass
                    tls.sendall(answer("rogue"))
            except (OSError, ssl.SSLError, http1.Malformed, http1.Truncated):
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class Renewal(Mesh):
    def renewals(self):
        return sum(each.metric("identity.certificates_issued") for each in self.sidecars.values())

    def test_many_renewals_under_load_fail_no_request(self):
        self.start_mesh("front", "cart", "pay", ttl="3s")
        before = self.renewals()
        pause = threading.Event()
        with Load(self.sidecars["front"], "cart") as cart, Load(self.sidecars["front"], "pay") as pay:
            while self.renewals() < before + RENEWALS:
                self.assertIsNone(self.sidecars["front"].process.poll())
                pause.wait(0.1)
        self.assertEqual(([], []), (cart.failed, pay.failed))

    def test_without_a_control_plane_for_half_a_life_all_goes_on_with_an_alarm_before_the_end(self):
        self.start_mesh("front", "cart", ttl="6s")
        place = "%s:%d" % self.control.xds
        front = self.sidecars["front"]
        self.assertEqual(0, front.metric("identity.alarm"))
        self.control.stop(signal.SIGKILL)
        with Load(front, "cart") as load:
            self.assertTrue(eventually(lambda: front.metric("identity.alarm") == 1), front.output.text())
            self.assertLess(0, front.metric("identity.seconds_until_expiry"))
            self.assertLess(0, front.metric("identity.renewal_failures"))
            self.start_control(more=["--certificate-ttl", "6s"], xds=place)
            self.assertTrue(eventually(lambda: front.metric("identity.alarm") == 0), front.output.text())
        self.assertEqual([], load.failed)
        self.assertIn("ALARM", front.output.text())


if __name__ == "__main__":
    unittest.main()
