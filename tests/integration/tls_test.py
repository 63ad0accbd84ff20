"""TLS on both sides: versions, ALPN, certificates by name, client certificates, and whom an upstream must be."""

import socket
import ssl
import tempfile
import unittest

from tests.integration.harness import bootstrap, http1, http2
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy


class TlsBackend(Backend):
    """A recording HTTP/1 backend behind TLS; peers has what each client showed."""

    def __init__(self, context, *default):
        super().__init__(*default)
        self._context = context
        self.peers = []

    def _serve(self, sock, number):
        try:
            sock = self._context.wrap_socket(sock, server_side=True)
        except (OSError, ssl.SSLError):
            sock.close()
            return
        with self._changed:
            self.peers.append((sock.getpeercert(), sock.version(), sock.selected_alpn_protocol()))
        super()._serve(sock, number)


def tls_listener(name, routes, chains, **more):
    """A listener whose filter chains are (match, tls context, routes)."""
    return {
        "name": name,
        "address": bootstrap.address("127.0.0.1", 0),
        "listener_filters": [{"name": "envoy.filters.listener.tls_inspector",
                              "typed_config": {"@type": bootstrap.TYPE + "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}],
        "filter_chains": [
            {"filter_chain_match": match, "filters": [bootstrap.connection_manager(chain_routes)],
             **({"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": bootstrap.DOWNSTREAM_TLS, **tls}}} if tls else {})}
            for match, tls, chain_routes in chains
        ],
        **more,
    }


def text_route(text):
    return [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": text}}}]


class Downstream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.authority = Authority(folder)
        cls.stranger = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()), "Stranger")
        cls.backend = cls.enterClassContext(Backend())
        a = cls.authority.leaf("a", ["DNS:a.example", "IP:127.0.0.1"])
        b = cls.authority.leaf("b", ["DNS:b.example", "DNS:*.wild.example"])
        trust = {"validation_context": {"trusted_ca": {"filename": str(cls.authority.certificate)}}}
        both = bootstrap.server_tls(a)
        both["common_tls_context"]["tls_certificates"] += bootstrap.server_tls(b)["common_tls_context"]["tls_certificates"]
        named = {"validation_context": {**trust["validation_context"],
                                        "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": "spiffe://mesh/"}}]}}
        old = bootstrap.server_tls(a)
        old["common_tls_context"]["tls_params"] = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_2"}
        with open(a[0]) as chain, open(a[1]) as key:
            inline = {"common_tls_context": {"tls_certificates": [{"certificate_chain": {"inline_string": chain.read()}, "private_key": {"inline_string": key.read()}}]}}
        routes = [bootstrap.route("backend")]
        listeners = [
            bootstrap.http_listener("plain", routes, tls=bootstrap.server_tls(a, alpn=["h2", "http/1.1"])),
            bootstrap.http_listener("both", routes, tls=both),
            bootstrap.http_listener("inline", routes, tls=inline),
            bootstrap.http_listener("tls12", routes, tls=old),
            bootstrap.http_listener("required", routes, tls={**bootstrap.server_tls(a, **trust), "require_client_certificate": True}),
            bootstrap.http_listener("optional", routes, tls=bootstrap.server_tls(a, **trust)),
            bootstrap.http_listener("named", routes, tls={**bootstrap.server_tls(a, **named), "require_client_certificate": True}),
            tls_listener("chains", routes, [
                ({"server_names": ["a.example"]}, bootstrap.server_tls(a), text_route("chain a")),
                ({"server_names": ["*.wild.example"]}, bootstrap.server_tls(b), text_route("chain wild")),
                ({"transport_protocol": "tls", "application_protocols": ["h2"]}, bootstrap.server_tls(a, alpn=["h2"]), text_route("chain h2")),
                ({"transport_protocol": "raw_buffer"}, None, text_route("chain raw")),
            ]),
        ]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap(listeners, [bootstrap.cluster("backend", [cls.backend.address])])))

    def context(self, certificate=None, alpn=None, **options):
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if certificate:
            context.load_cert_chain(*map(str, certificate))
        if alpn:
            context.set_alpn_protocols(alpn)
        for name, value in options.items():
            setattr(context, name, value)
        return context

    def open(self, listener, name="127.0.0.1", **options):
        sock = socket.create_connection(self.proxy.addresses[listener], http1.WAIT_LIMIT_S)
        self.addCleanup(sock.close)
        tls = self.context(**options).wrap_socket(sock, server_hostname=name)
        self.addCleanup(tls.close)
        return tls

    def get(self, tls, headers=""):
        tls.sendall(f"GET / HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n".encode())
        return http1.read_response(http1.Reader(tls))

    def test_both_versions_are_spoken(self):
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            tls = self.open("plain", minimum_version=version, maximum_version=version)
            self.assertEqual(name, tls.version())
            self.assertEqual(200, self.get(tls).status)

    def test_a_listener_can_bound_the_version(self):
        self.assertEqual("TLSv1.2", self.open("tls12").version())
        with self.assertRaises(ssl.SSLError):
            self.open("tls12", minimum_version=ssl.TLSVersion.TLSv1_3)

    def test_alpn_chooses_the_codec(self):
        self.assertEqual("http/1.1", self.open("plain", alpn=["http/1.1"]).selected_alpn_protocol())
        with http2.Client(self.proxy.addresses["plain"], self.context(alpn=["h2", "http/1.1"]), "127.0.0.1") as client:
            self.assertEqual("h2", client.sock.selected_alpn_protocol())
            self.assertEqual((200, b"ok"), (lambda s: (s.status, s.body))(client.request()))

    def test_no_alpn_is_http_1(self):
        tls = self.open("plain")
        self.assertIsNone(tls.selected_alpn_protocol())
        self.assertEqual(200, self.get(tls).status)

    def test_the_scheme_told_is_https(self):
        self.get(self.open("plain"))
        self.assertEqual("https", self.backend.requests[-1].get("x-forwarded-proto"))

    def test_a_certificate_given_inline(self):
        self.assertEqual(200, self.get(self.open("inline")).status)

    def test_the_certificate_follows_the_name(self):
        for name, subject in (("a.example", "a"), ("b.example", "b"), ("x.wild.example", "b")):
            with self.subTest(name=name):
                self.assertIn((("commonName", subject),), self.open("both", name).getpeercert()["subject"])

    def test_a_required_client_certificate(self):
        self.assertEqual(200, self.get(self.open("required", certificate=self.authority.leaf("client"))).status)

    def refused(self, listener, **options):
        """Over TLS 1.3 a refusal comes after the client thinks that the handshake is over."""
        try:
            got = self.get(self.open(listener, **options))
            self.assertEqual("", got.start)
        except (ssl.SSLError, ConnectionError):
            pass

    def test_no_client_certificate_where_one_is_required(self):
        self.refused("required")

    def test_a_client_certificate_of_a_stranger(self):
        self.refused("required", certificate=self.stranger.leaf("client"))
        self.refused("optional", certificate=self.stranger.leaf("client"))

    def test_an_optional_client_certificate(self):
        self.assertEqual(200, self.get(self.open("optional")).status)
        self.assertEqual(200, self.get(self.open("optional", certificate=self.authority.leaf("client"))).status)

    def test_a_client_must_have_the_right_name(self):
        self.assertEqual(200, self.get(self.open("named", certificate=self.authority.leaf("good", ["URI:spiffe://mesh/ns/a"]))).status)
        self.refused("named", certificate=self.authority.leaf("bad", ["URI:spiffe://other/ns/a"]))
        self.refused("named", certificate=self.authority.leaf("dns", ["DNS:mesh"]))

    def test_a_session_is_resumed(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                context = self.context(minimum_version=version, maximum_version=version)
                first = context.wrap_socket(socket.create_connection(self.proxy.addresses["plain"], http1.WAIT_LIMIT_S), server_hostname="127.0.0.1")
                self.assertEqual(200, self.get(first).status)
                second = context.wrap_socket(socket.create_connection(self.proxy.addresses["plain"], http1.WAIT_LIMIT_S), server_hostname="127.0.0.1",
                                             session=first.session)
                self.assertEqual(200, self.get(second).status)
                self.assertTrue(second.session_reused)
                first.close()
                second.close()

    def test_filter_chains_by_name_and_protocol(self):
        self.assertEqual(b"chain a", self.get(self.open("chains", "a.example")).body)
        self.assertEqual(b"chain wild", self.get(self.open("chains", "x.wild.example")).body)
        with http2.Client(self.proxy.addresses["chains"], self.context(alpn=["h2"]), "127.0.0.1") as client:
            self.assertEqual(b"chain h2", client.request().body)
        with http1.Client(self.proxy.addresses["chains"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual(b"chain raw", client.response().body)

    def test_a_name_of_no_chain_is_closed(self):
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.open("chains", "unknown.example")

    def test_clear_text_on_a_tls_listener_is_closed(self):
        with http1.Client(self.proxy.addresses["plain"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual("", client.response().start)
        self.assertEqual(200, self.get(self.open("plain")).status)

    def test_a_hello_that_comes_byte_by_byte(self):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context().wrap_bio(incoming, outgoing, server_hostname="a.example")
        with http1.Client(self.proxy.addresses["chains"]) as client:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        client.send(bytes([byte]))
                    incoming.write(client.sock.recv(65536))
            tls.write(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            client.send(outgoing.read())
            while data := client.sock.recv(65536):
                incoming.write(data)
            answer = b""
            while True:
                try:
                    part = tls.read(65536)
                except ssl.SSLError:
                    break
                if not part:
                    break
                answer += part
            self.assertTrue(answer.endswith(b"chain a"), answer)


class Upstream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.authority = Authority(folder)
        server = cls.authority.leaf("server", ["DNS:server.example", "URI:spiffe://mesh/server"])
        client = cls.authority.leaf("client", ["URI:spiffe://mesh/client"])

        def context(required, alpn=None):
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            made.load_cert_chain(*map(str, server))
            made.load_verify_locations(str(cls.authority.certificate))
            made.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
            if alpn:
                made.set_alpn_protocols(alpn)
            made.sni_callback = lambda sock, name, _: cls.names.append(name)
            return made

        cls.names = []
        cls.backend = cls.enterClassContext(TlsBackend(context(False)))
        cls.mutual = cls.enterClassContext(TlsBackend(context(True)))
        cls.two = cls.enterClassContext(http2.Backend(context=context(False, ["h2"])))
        stranger = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()), "Stranger")
        trust = {"trusted_ca": {"filename": str(cls.authority.certificate)}}

        def san(kind, **matcher):
            return {"common_tls_context": {"validation_context": {**trust, "match_typed_subject_alt_names": [{"san_type": kind, "matcher": matcher}]}}}

        identity = {"tls_certificates": [{"certificate_chain": {"filename": str(client[0])}, "private_key": {"filename": str(client[1])}}]}
        kinds = {
            "unverified": (cls.backend, {"sni": "server.example"}),
            "verified": (cls.backend, {"common_tls_context": {"validation_context": trust}, "sni": "server.example"}),
            "stranger": (cls.backend, {"common_tls_context": {"validation_context": {"trusted_ca": {"filename": str(stranger.certificate)}}}}),
            "named": (cls.backend, san("URI", exact="spiffe://mesh/server")),
            "misnamed": (cls.backend, san("URI", exact="spiffe://mesh/other")),
            "dns": (cls.backend, san("DNS", suffix=".example")),
            "misdns": (cls.backend, san("DNS", exact="other.example")),
            "mutual": (cls.mutual, {"common_tls_context": {**identity, "validation_context": trust}}),
            "anonymous": (cls.mutual, {"common_tls_context": {"validation_context": trust}}),
        }
        clusters = [bootstrap.cluster(name, [backend.address], tls=tls) for name, (backend, tls) in kinds.items()]
        clusters.append(bootstrap.cluster("two", [cls.two.address], http2=True,
                                          tls={"common_tls_context": {"alpn_protocols": ["h2"], "validation_context": trust}}))
        clusters.append(bootstrap.cluster("cleartext", [cls.enterClassContext(Backend()).address], tls={}))
        routes = [bootstrap.route(cluster["name"], prefix=f"/{cluster['name']}/") for cluster in clusters]
        cls.proxy = cls.enterClassContext(Proxy(bootstrap.bootstrap([bootstrap.http_listener("http", routes)], clusters)))

    def get(self, cluster):
        with http1.Client(self.proxy.addresses["http"]) as client:
            client.send(f"GET /{cluster}/ HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
            return client.response()

    def test_an_upstream_that_may_be_anyone(self):
        self.assertEqual((200, b"ok"), (lambda g: (g.status, g.body))(self.get("unverified")))

    def test_the_name_is_sent(self):
        self.names.clear()
        self.get("verified")
        self.get("unverified")
        self.assertLessEqual(set(self.names), {"server.example"})

    def test_an_upstream_of_our_root(self):
        self.assertEqual(200, self.get("verified").status)

    def test_an_upstream_of_a_stranger_is_not_spoken_to(self):
        before = len(self.backend.requests)
        self.assertEqual(503, self.get("stranger").status)
        self.assertEqual(before, len(self.backend.requests))

    def test_an_upstream_must_have_the_right_name(self):
        for cluster, status in (("named", 200), ("misnamed", 503), ("dns", 200), ("misdns", 503)):
            with self.subTest(cluster=cluster):
                self.assertEqual(status, self.get(cluster).status)

    def test_our_certificate_is_shown(self):
        self.assertEqual(200, self.get("mutual").status)
        self.assertIn(("URI", "spiffe://mesh/client"), self.mutual.peers[-1][0]["subjectAltName"])

    def test_without_our_certificate_we_are_refused(self):
        self.assertEqual(503, self.get("anonymous").status)

    def test_http_2_upstream_over_tls(self):
        self.assertEqual((200, b"ok"), (lambda g: (g.status, g.body))(self.get("two")))

    def test_an_upstream_that_speaks_clear_text(self):
        self.assertEqual(503, self.get("cleartext").status)

    def test_connections_are_reused(self):
        with http1.Client(self.proxy.addresses["http"]) as client:
            before = None
            for _ in range(5):
                client.send(b"GET /verified/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
                self.assertEqual(200, client.response().status)
                before = before or len(self.backend.peers)
        self.assertEqual(before, len(self.backend.peers))


if __name__ == "__main__":
    unittest.main()
