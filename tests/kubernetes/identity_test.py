"""Workloads that come in by the tokens that a real API server gives to their service accounts, whose keys weft-control reads
there with the right that `weftctl install` gives it."""

import pathlib
import tempfile
import unittest

import grpc

from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.identity import Workload
from tests.kubernetes.cluster import ISSUER, Cluster
from tests.kubernetes.install_test import manifests


class Identity(unittest.TestCase):
    def test_a_service_accounts_token_gets_its_certificate_and_no_other(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        cluster = self.enterContext(Cluster(folder))
        for each in manifests("--issuer", ISSUER):
            if each["kind"] in ("Namespace", "ServiceAccount", "ClusterRoleBinding"):
                answer = cluster.apply(each)
                self.assertEqual(201, answer.status, answer.message)
        for name in ("shop", "pay"):
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            answer = cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "cart", "namespace": name}})
            self.assertEqual(201, answer.status, answer.message)
        own = pathlib.Path(folder) / "own.token"
        own.write_text(cluster.account_token("weft-system", "weft-control"))
        control = ControlPlane(f"{folder}/data", secure=True, arguments=[
            "--kubernetes-jwks", f"https://127.0.0.1:{cluster.port}/openid/v1/jwks", "--kubernetes-jwks-ca", str(cluster.root),
            "--kubernetes-jwks-token", str(own), "--kubernetes-issuer", ISSUER])
        self.addCleanup(control.stop)
        self.assertNotIn("not known yet", control.output.text())
        server = pathlib.Path(control.certificate).read_bytes()
        channel = self.enterContext(grpc.secure_channel("%s:%d" % control.xds, grpc.ssl_channel_credentials(server)))
        cart = Workload(folder, "cart")
        token = cluster.account_token("shop", "cart", "weft")
        signed = cart.ask(channel, token, namespace="shop", service_account="cart")
        self.assertEqual("spiffe://cluster.local/ns/shop/sa/cart", signed.spiffe_id)
        for wrong, claims in [(cluster.account_token("shop", "cart"), {"namespace": "shop"}), (token, {"namespace": "pay"}),
                              (token[:-4] + "AAAA", {"namespace": "shop"})]:
            with self.assertRaises(grpc.RpcError) as caught:
                cart.ask(channel, wrong, service_account="cart", **claims)
            self.assertIn(caught.exception.code(), (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED))


if __name__ == "__main__":
    unittest.main()
