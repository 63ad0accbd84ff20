"""The real Envoy with the identity that our control plane gives it by SDS: it shows it, trusts whom the mesh trusts, takes new
ones without a dropped connection, and follows as the mesh's root is replaced."""

import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import unittest

import grpc

from tests.integration.harness import bootstrap
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane, binary
from tests.integration.harness.identity import Workload, openssl
from tests.integration.harness.live import eventually
from tests.integration.harness.mesh import service
from tests.integration.harness.proxy import Proxy

ADS = {"ads": {}, "resource_api_version": "V3"}
LIMIT_S = 30


def envoy_bootstrap(control, token, backend, api_type, name="envoy-1"):
    """An Envoy that stands before `backend`, by mTLS with what it gets by SDS."""
    to_control = bootstrap.cluster("control", [control.xds], http2=True,
                                   tls={"common_tls_context": {"validation_context": {"trusted_ca": {"filename": control.certificate}}}})
    grpc_service = {"envoy_grpc": {"cluster_name": "control"}, "initial_metadata": [{"key": "authorization", "value": "Bearer " + token}]}
    tls = {"require_client_certificate": True, "common_tls_context": {
        "tls_certificate_sds_secret_configs": [{"name": "default", "sds_config": ADS}],
        "validation_context_sds_secret_config": {"name": "ROOTCA", "sds_config": ADS}}}
    listener = bootstrap.http_listener("in", [bootstrap.route("app")], tls=tls)
    return bootstrap.bootstrap([listener], [to_control, bootstrap.cluster("app", [backend.address])],
                               node={"id": name, "cluster": "test", "metadata": {"namespace": "shop", "service": "cart"}},
                               dynamic_resources={"ads_config": {"api_type": api_type, "transport_api_version": "V3", "grpc_services": [grpc_service]}})


class Case(unittest.TestCase):
    api_type = "GRPC"

    def start(self):
        self.control = ControlPlane(self.folder, secure=True, arguments=["--debounce-ms", "0", *self.arguments])

    def set_up(self, *arguments):
        self.arguments = arguments
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.start()
        self.addCleanup(lambda: self.control.process.poll() is None and self.control.stop())
        self.control.apply(service("cart", 80))
        self.backend = self.enterContext(Backend(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        self.token = self.control.token("-n", "shop")
        self.envoy = self.enterContext(Proxy(envoy_bootstrap(self.control, self.token, self.backend, self.api_type), kind="envoy"))
        self.caller = Workload(self.folder, "pay")
        self.renew_caller()

    def renew_caller(self):
        with grpc.secure_channel("%s:%d" % self.control.xds,
                                 grpc.ssl_channel_credentials(pathlib.Path(self.control.certificate).read_bytes())) as channel:
            self.caller.ask(channel, self.token)

    def roots(self):
        """What the mesh trusts, as weft-control has it in its folder."""
        return "".join(each.read_text() for each in sorted(pathlib.Path(self.folder, "ca").glob("*/root.crt")))

    def connect(self, with_certificate=True):
        """A connection to Envoy; (None, why) if TLS refuses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=self.roots())
        if with_certificate:
            context.load_cert_chain(self.caller.certificate, self.caller.key)
        connection = context.wrap_socket(socket.create_connection(self.envoy.addresses["in"], LIMIT_S))
        self.addCleanup(connection.close)
        return connection

    @staticmethod
    def get(connection):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: cart\r\n\r\n")
        return connection.recv(4096)

    def answers(self, **more):
        """Whether a caller by a connection of its own is answered, and what Envoy shows him (PEM)."""
        try:
            connection = self.connect(**more)
            if not self.get(connection).startswith(b"HTTP/1.1 200"):
                return None
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
        except (OSError, ssl.SSLError):
            return None

    def await_answer(self):
        self.assertTrue(eventually(self.answers), self.envoy.output.text())
        return self.answers()

    def root_of_chain(self, pem):
        """Of which of the mesh's roots a certificate that Envoy shows is: the folder's name."""
        for each in sorted(pathlib.Path(self.folder, "ca").iterdir()):
            arguments = ["verify", "-CAfile", each / "root.crt", "-untrusted", each / "intermediate.crt"]
            if b": OK" in openssl(*arguments, stdin=pem.encode(), check=False):
                return each.name
        return None

    def secrets(self):
        return [each for each in self.control.nodes().items() if each[0][1] == "secret"]


class StateOfTheWorld(Case):
    def test_it_shows_the_identity_of_its_service_and_refuses_who_has_none(self):
        self.set_up()
        shown = self.await_answer()
        self.assertIn("URI:spiffe://cluster.local/ns/shop/sa/cart", openssl("x509", "-noout", "-ext", "subjectAltName", stdin=shown.encode()).decode())
        self.assertEqual("1", self.root_of_chain(shown))
        self.assertIsNone(self.answers(with_certificate=False))
        stranger = Workload(self.enterContext(tempfile.TemporaryDirectory()), "pay")
        stranger.certificate.write_bytes(openssl("req", "-x509", "-key", stranger.key, "-days", "2", "-subj", "/CN=pay", "-addext",
                                                 "subjectAltName=URI:spiffe://cluster.local/ns/shop/sa/pay"))
        good, self.caller = self.caller, stranger
        self.assertIsNone(self.answers())
        self.caller = good
        self.assertIsNotNone(self.answers())
        for (node, _), state in self.secrets():
            self.assertEqual((0, state["sent"]), (state["refused"], state["acknowledged"]), node)
        # Keys are told to nobody who looks.
        told = self.control.weftctl("proxy-config", "secrets", "envoy-1", "-o", "json")
        self.assertIn("BEGIN CERTIFICATE", told)
        self.assertNotIn("PRIVATE KEY", told + self.control.output.text())
        issued = json.loads(self.control.weftctl("ca", "issued", "envoy-1", "-o", "json"))["certificates"]
        self.assertEqual(["secret"], [each["shown"] for each in issued])

    def test_it_is_given_new_ones_and_drops_no_connection_for_it(self):
        self.set_up("--certificate-ttl", "4s")
        connection = self.connect() if self.await_answer() else None
        seen = {self.answers()}
        for _ in range(2):
            count = len(seen)

            def is_renewed():
                self.assertTrue(self.get(connection).startswith(b"HTTP/1.1 200"))
                self.renew_caller()
                seen.add(self.answers())
                return len(seen) > count

            self.assertTrue(eventually(is_renewed))
        self.assertNotIn(None, seen)


class Delta(StateOfTheWorld):
    api_type = "DELTA_GRPC"


class Rotation(Case):
    def weftctl(self, *arguments, code=0):
        run = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, *arguments], capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(code, run.returncode, run.stdout + run.stderr)
        return run.stdout + run.stderr

    def phase(self):
        return json.loads(self.weftctl("ca", "status", "-o", "json")).get("phase", "STEADY")

    def restart(self):
        """As if its machine had failed; Envoy comes back by itself."""
        port = self.control.xds[1]
        self.control.stop()
        self.control = ControlPlane(self.folder, secure=True, xds=f"127.0.0.1:{port}", arguments=["--debounce-ms", "0", *self.arguments])

    def trusting(self):
        status = json.loads(self.weftctl("ca", "status", "-o", "json"))
        return status.get("proxies", 0) == status.get("proxiesTrusting", 0) == 1

    def test_a_root_is_replaced_while_the_mesh_runs_over_restarts_and_nobody_is_refused(self):
        self.set_up("--certificate-ttl", "6s")
        self.assertEqual("1", self.root_of_chain(self.await_answer()))
        self.assertEqual("STEADY", self.phase())
        self.assertIn("make a new root", self.weftctl("ca", "status"))

        self.assertIn("a new root is made", self.weftctl("ca", "rotate"))
        self.assertEqual("TRUSTING", self.phase())
        self.restart()
        self.assertEqual("TRUSTING", self.phase())
        self.assertTrue(eventually(self.trusting))
        self.renew_caller()
        self.assertEqual("1", self.root_of_chain(self.await_answer()))

        self.assertIn("the new root signs", self.weftctl("ca", "rotate"))
        self.assertEqual("RETIRING", self.phase())
        refused = self.weftctl("ca", "rotate", code=3)
        self.assertRegex(refused, "not yet; the next step is to drop the old root, and\n.*certificates hang from the old root")
        self.assertIn("with --force it is done nevertheless, and all proxies, and weft-control, refuse the workloads", refused)
        self.restart()
        # Callers by the old root and by the new one are answered.
        self.assertIsNotNone(self.await_answer())
        self.renew_caller()

        def has_moved():
            self.renew_caller()
            return self.root_of_chain(self.answers() or "") == "2"

        self.assertTrue(eventually(has_moved))

        def is_done():
            self.renew_caller()
            self.assertIsNotNone(self.await_answer())
            run = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, "ca", "rotate"], capture_output=True, text=True,
                                 timeout=LIMIT_S)
            return run.returncode == 0

        self.assertTrue(eventually(is_done))
        self.assertEqual("STEADY", self.phase())
        self.assertFalse(pathlib.Path(self.folder, "ca", "1").exists())
        self.assertTrue(eventually(self.trusting))
        self.renew_caller()
        self.assertEqual("2", self.root_of_chain(self.await_answer()))

    def test_a_proxy_that_does_not_answer_keeps_the_new_root_from_signing_unless_forced(self):
        self.set_up()
        self.await_answer()
        self.envoy.process.send_signal(19)  # SIGSTOP
        self.addCleanup(self.envoy.process.send_signal, 18)
        self.weftctl("ca", "rotate")
        refused = self.weftctl("ca", "rotate", code=3)
        self.assertIn("proxy envoy-1 does not trust the new root", refused)
        self.assertIn("these proxies refuse whoever shows a certificate below the new root", refused)
        self.assertIn("not yet: proxy envoy-1", self.weftctl("ca", "status"))
        forced = self.weftctl("ca", "rotate", "--force")
        self.assertIn("forced: proxy envoy-1 does not trust the new root", forced)
        self.assertEqual("RETIRING", self.phase())


if __name__ == "__main__":
    unittest.main()
