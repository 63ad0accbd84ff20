"""A real Envoy as one of the sidecars of a STRICT mesh: driven by our control plane, with its identity by SDS, it calls and is
called by weft-proxy over mutual TLS."""

import socket
import tempfile
import unittest

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness.mesh import service
from tests.integration.harness.proxy import Proxy
from tests.integration.harness.sidecar import Sidecar
from tests.integration.mtls_test import authentication
from tests.integration.sidecar_test import answer
from tools.demos.ports import free_ports

ADS = {"ads": {}, "resource_api_version": "V3"}


def envoy_sidecar(control, token, name, app_port, inbound_port, outbound_port):
    """The bootstrap of an Envoy that stands before an application as `weft-proxy sidecar` would."""
    to_control = bootstrap.cluster("control", [control.xds], http2=True,
                                   tls={"common_tls_context": {"validation_context": {"trusted_ca": {"filename": control.certificate}}}})
    grpc_service = {"envoy_grpc": {"cluster_name": "control"}, "initial_metadata": [{"key": "authorization", "value": "Bearer " + token}]}
    metadata = {"namespace": "shop", "service": name, "mtls": True, "app_port": app_port, "inbound_address": "127.0.0.1",
                "inbound_port": inbound_port, "outbound_port": outbound_port}
    return bootstrap.bootstrap([], [to_control], node={"id": "envoy-" + name, "cluster": "shop", "metadata": metadata},
                               dynamic_resources={"cds_config": ADS, "lds_config": ADS,
                                                  "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [grpc_service]}})


class EnvoyInTheMesh(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.control = self.enterContext(ControlPlane(folder, secure=True, arguments=["--debounce-ms", "20"]))
        self.control.apply(service("front"), service("cart"), authentication("STRICT"))
        self.front, self.cart = (self.enterContext(Backend(answer(name))) for name in ("front", "cart"))
        self.token = self.control.token("-n", "shop")
        self.weft = self.enterContext(Sidecar(self.control, "front", self.front.address[1], self.token))
        self.inbound, self.outbound = free_ports(2)
        self.envoy = self.enterContext(Proxy(envoy_sidecar(self.control, self.token, "cart", self.cart.address[1], self.inbound, self.outbound), kind="envoy"))

    def get_by_envoy(self, host):
        try:
            with http1.Client(("127.0.0.1", self.outbound)) as client:
                client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                response = client.response()
                return response.status, response.body.decode()
        except (OSError, http1.Malformed, http1.Truncated):
            return None

    def told(self, app):
        """What the application was told last of who called."""
        return app.requests[-1].all("x-forwarded-client-cert")

    def test_envoy_and_weft_proxy_call_one_another_and_know_who_calls(self):
        self.assertTrue(eventually(lambda: self.weft.get("cart") == (200, "cart")), f"{self.weft.get('cart')}\n{self.envoy.output.text()}")
        self.assertIn("URI=spiffe://cluster.local/ns/shop/sa/front", self.told(self.cart)[0])
        self.assertTrue(eventually(lambda: self.get_by_envoy("front") == (200, "front")), f"{self.get_by_envoy('front')}\n{self.envoy.output.text()}")
        self.assertIn("URI=spiffe://cluster.local/ns/shop/sa/cart", self.told(self.front)[0])
        self.assertEqual([], [each for each in self.control.nodes().items() if each[1]["refused"]])

    def test_envoy_takes_nobody_by_plaintext(self):
        self.assertTrue(eventually(lambda: self.weft.get("cart") == (200, "cart")))
        with socket.create_connection(("127.0.0.1", self.inbound), http1.WAIT_LIMIT_S) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: cart\r\n\r\n")
            try:
                self.assertEqual(b"", sock.recv(100))
            except ConnectionError:
                pass


if __name__ == "__main__":
    unittest.main()
