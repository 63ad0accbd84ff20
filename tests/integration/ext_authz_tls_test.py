"""What an authorization service is told of callers by TLS, and of the proxy: principals, the certificate and the server name, by
weft-proxy and by Envoy, which must agree."""

import socket
import ssl
import tempfile
import unittest
import urllib.parse

from cryptography import x509

from tests.integration.ext_authz_test import AUTHZ, NAME, grpc_service
from tests.integration.harness import authz, bootstrap, http1
from tests.integration.harness.authz import denied, ok
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy

CART = "spiffe://cluster.local/ns/shop/sa/cart"
FILTERS = {"told": {"include_peer_certificate": True, "include_tls_session": True}, "bare": {}}


class CallersByTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.backend, cls.grpc = cls.enterClassContext(Backend()), cls.enterClassContext(authz.GrpcService())
        server = cls.authority.leaf("server", ["URI:spiffe://mesh/server", "DNS:cart.example", "IP:127.0.0.1"])
        cls.clients = {
            None: None,
            "workload": cls.authority.leaf("workload", ["URI:" + CART, "DNS:cart.example"]),
            "two": cls.authority.leaf("two", ["URI:spiffe://mesh/a", "URI:spiffe://mesh/b"]),
            "dns": cls.authority.leaf("dns", ["DNS:a.example", "DNS:b.example"]),
            "nameless": cls.authority.leaf("nameless", ["IP:10.0.0.1"]),
        }
        tls = bootstrap.server_tls(server, validation_context={"trusted_ca": {"filename": str(cls.authority.certificate)}})
        listeners = [bootstrap.http_listener(name, [bootstrap.route("backend")], tls=tls, http_filters=[
            {"name": NAME, "typed_config": {"@type": AUTHZ, **grpc_service(), **config}}]) for name, config in FILTERS.items()]
        clusters = [bootstrap.cluster("backend", [cls.backend.address]), bootstrap.cluster("authz-grpc", [cls.grpc.address], http2=True)]
        cls.proxies = {kind: cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, clusters), kind=kind)) for kind in ("weft", "envoy")}

    def told(self, kind, listener, client, server_name="cart.example"):
        """What the service is told, and what the caller gets."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if self.clients[client]:
            context.load_cert_chain(*map(str, self.clients[client]))
        asked = len(self.grpc.requests)
        with socket.create_connection(self.proxies[kind].addresses[listener], http1.WAIT_LIMIT_S) as sock:
            with context.wrap_socket(sock, server_hostname=server_name) as tls:
                tls.sendall(b"GET /who HTTP/1.1\r\nHost: a.example\r\n\r\n")
                status = http1.read_response(http1.Reader(tls)).status
        [request] = self.grpc.requests[asked:]
        return status, authz.facts(request)

    def test_weft_proxy_says_what_envoy_says(self):
        for listener in FILTERS:
            for client in self.clients:
                for server_name in ("cart.example", "127.0.0.1"):
                    with self.subTest(listener=listener, client=client, server_name=server_name):
                        self.maxDiff = None
                        self.assertEqual(self.told("envoy", listener, client, server_name), self.told("weft", listener, client, server_name))

    def test_the_principal_is_that_of_the_certificate_and_the_service_decides_by_it(self):
        self.addCleanup(setattr, self.grpc, "answer", ok())
        self.grpc.answer = lambda request, _: ok() if request.attributes.source.principal == CART else denied(403, "not you")
        for client, wanted in (("workload", 200), ("two", 403), (None, 403)):
            self.assertEqual(wanted, self.told("weft", "told", client)[0], client)
        facts = self.told("weft", "told", "workload")[1]
        self.assertEqual((CART, "spiffe://mesh/server", "cart.example"), (facts["source"]["principal"], facts["destination"]["principal"], facts["tlsSession"]["sni"]))
        certificate = x509.load_pem_x509_certificate(urllib.parse.unquote(facts["source"]["certificate"]).encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual([CART], names.get_values_for_type(x509.UniformResourceIdentifier))
        self.assertNotIn("certificate", self.told("weft", "bare", "workload")[1]["source"])
        self.assertNotIn("principal", self.told("weft", "told", None)[1]["source"])


if __name__ == "__main__":
    unittest.main()
