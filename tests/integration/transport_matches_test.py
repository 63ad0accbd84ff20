"""transport_socket_matches: endpoints of one cluster are called in the clear or by TLS, as their metadata says. Cases run on weft-proxy,
and on Envoy with WEFT_PROXY_UNDER_TEST=envoy."""

import ssl
import tempfile
import unittest

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.live import answer
from tests.integration.harness.proxy import Proxy
from tests.integration.tls_test import TlsBackend

MATCH = "envoy.transport_socket_match"


def tls_socket(**common):
    return {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": bootstrap.UPSTREAM_TLS, "common_tls_context": common}}


class TransportMatches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()))
        server = cls.authority.leaf("server", ["URI:spiffe://mesh/cart"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, server))
        context.load_verify_locations(cafile=str(cls.authority.certificate))
        context.verify_mode = ssl.CERT_REQUIRED
        cls.plain = cls.enterClassContext(Backend(answer(b"plain")))
        cls.mutual = cls.enterClassContext(TlsBackend(context, answer(b"mutual")))

    def start(self, matches, endpoints, **more):
        """endpoints: of (backend, fields of its metadata)."""
        client = self.authority.leaf("client", ["URI:spiffe://mesh/front"])
        self.tls = {"tls_certificates": [{"certificate_chain": {"filename": str(client[0])}, "private_key": {"filename": str(client[1])}}],
                    "validation_context": {"trusted_ca": {"filename": str(self.authority.certificate)},
                                           "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": "spiffe://mesh/cart"}}]}}
        cluster = bootstrap.cluster("c", [backend.address for backend, _ in endpoints], transport_socket_matches=matches(self.tls), **more)
        for endpoint, (_, fields) in zip(cluster["load_assignment"]["endpoints"][0]["lb_endpoints"], endpoints):
            if fields is not None:
                endpoint["metadata"] = {"filter_metadata": {MATCH: fields}}
        self.proxy = self.enterContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("c")]),
                                                                  bootstrap.tcp_listener("tcp", "c")], [cluster])))

    def ask(self, listener="http"):
        with http1.Client(self.proxy.addresses[listener]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            response = client.response()
            return response.status, response.body

    @staticmethod
    def mesh_or_plain(tls):
        return [{"name": "mesh", "match": {"tlsMode": "weft"}, "transport_socket": tls_socket(**tls)},
                {"name": "plain", "match": {},
                 "transport_socket": {"name": "envoy.transport_sockets.raw_buffer",
                                      "typed_config": {"@type": bootstrap.TYPE + "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}}]

    def test_each_endpoint_is_called_as_it_says(self):
        self.start(self.mesh_or_plain, [(self.plain, None), (self.mutual, {"tlsMode": "weft", "other": 1}), (self.plain, {"tlsMode": "else"})])
        for listener in ("http", "tcp"):
            self.assertEqual({(200, b"plain"), (200, b"mutual")}, {self.ask(listener) for _ in range(6)})
        self.assertEqual({(("URI", "spiffe://mesh/front"),)}, {peer["subjectAltName"] for peer, _, _ in self.mutual.peers})

    def test_an_endpoint_that_nothing_matches_is_called_by_the_clusters_own_transport(self):
        self.start(lambda tls: self.mesh_or_plain(tls)[:1], [(self.plain, {"tlsMode": "else"})])
        self.assertEqual((200, b"plain"), self.ask())

    def test_who_is_not_whom_it_should_be_gets_no_request(self):
        def stranger(tls):
            tls["validation_context"]["match_typed_subject_alt_names"][0]["matcher"]["exact"] = "spiffe://mesh/other"
            return self.mesh_or_plain(tls)

        self.start(stranger, [(self.mutual, {"tlsMode": "weft"})])
        self.assertEqual(503, self.ask()[0])
        self.assertLess(0, self.proxy.counter("cluster.c.ssl.fail_verify_san"))


if __name__ == "__main__":
    unittest.main()
