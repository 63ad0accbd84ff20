"""x-forwarded-client-cert: what the application learns of who calls, in every mode, by weft-proxy and by Envoy, which must agree."""

import socket
import ssl
import tempfile
import unittest

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy

MODES = ["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"]
DETAILS = {"all": {"subject": True, "cert": True, "chain": True, "dns": True, "uri": True}, "uri": {"uri": True}, "none": {}}
SPOOFED = "By=spiffe://mesh/evil;Hash=00;URI=spiffe://mesh/admin"


class ClientCertificate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.backend = cls.enterClassContext(Backend())
        server = cls.authority.leaf("server", ["URI:spiffe://mesh/server", "IP:127.0.0.1"])
        cls.clients = {
            None: None,
            "workload": cls.authority.leaf("workload", ["URI:spiffe://cluster.local/ns/shop/sa/cart", "DNS:cart.example", "DNS:b.example"]),
            "two": cls.authority.leaf("two", ["URI:spiffe://mesh/a", "URI:spiffe://mesh/b"]),
            "nameless": cls.authority.leaf("nameless", ["IP:10.0.0.1"]),
        }
        tls = bootstrap.server_tls(server, validation_context={"trusted_ca": {"filename": str(cls.authority.certificate)}})
        listeners = [bootstrap.http_listener(f"{mode}-{details}", [bootstrap.route("backend")], tls=tls, forward_client_cert_details=mode,
                                             set_current_client_cert_details=DETAILS[details])
                     for mode in MODES for details in DETAILS]
        listeners.append(bootstrap.http_listener("plain", [bootstrap.route("backend")], forward_client_cert_details="SANITIZE_SET",
                                                 set_current_client_cert_details=DETAILS["all"]))
        config = bootstrap.bootstrap(listeners, [bootstrap.cluster("backend", [cls.backend.address])])
        cls.proxies = {kind: cls.enterClassContext(Proxy(config, kind=kind)) for kind in ("weft", "envoy")}

    def forwarded(self, kind, listener, client, spoofed):
        """The header's values, as the backend got them."""
        sock = socket.create_connection(self.proxies[kind].addresses[listener], http1.WAIT_LIMIT_S)
        self.addCleanup(sock.close)
        if listener != "plain":
            context = ssl.create_default_context(cafile=str(self.authority.certificate))
            if self.clients[client]:
                context.load_cert_chain(*map(str, self.clients[client]))
            sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
            self.addCleanup(sock.close)
        mark = self.backend.mark()
        fields = f"X-Forwarded-Client-Cert: {SPOOFED}\r\n" if spoofed else ""
        sock.sendall(f"GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n".encode())
        self.assertEqual(200, http1.read_response(http1.Reader(sock)).status)
        return self.backend.since(mark)[0][0].all("x-forwarded-client-cert")

    def test_weft_proxy_says_what_envoy_says(self):
        for listener in self.proxies["weft"].addresses:
            for client in self.clients:
                for spoofed in (False, True):
                    with self.subTest(listener=listener, client=client, spoofed=spoofed):
                        self.assertEqual(self.forwarded("envoy", listener, client, spoofed), self.forwarded("weft", listener, client, spoofed))

    def test_a_header_from_outside_never_passes_where_it_is_set(self):
        for listener, client in (("SANITIZE_SET-uri", None), ("SANITIZE_SET-uri", "workload"), ("plain", None), ("SANITIZE-all", "workload")):
            got = self.forwarded("weft", listener, client, True)
            self.assertNotIn("spiffe://mesh/admin", "".join(got), listener)
        self.assertIn("URI=spiffe://cluster.local/ns/shop/sa/cart", self.forwarded("weft", "SANITIZE_SET-uri", "workload", True)[0])


if __name__ == "__main__":
    unittest.main()
