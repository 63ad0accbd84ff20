"""The control plane's certificate authority by gRPC's own client: who has a certificate signed, what is in it (openssl judges
it), and whom it lets in."""

import base64
import http.server
import json
import os
import pathlib
import re
import ssl
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

from tests.integration.harness.certificates import Authority
from tests.integration.harness.control_plane import ControlPlane, binary
from tests.integration.harness.identity import Workload, openssl
from tests.integration.harness.live import eventually
from tests.integration.tokens_test import SERVICE, Stream

UNAUTHENTICATED, DENIED, INVALID = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT
LIMIT_S = 30


class Case(unittest.TestCase):
    def start(self, *arguments):
        self.control = ControlPlane(self.folder, secure=True, arguments=["--debounce-ms", "0", *arguments])

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.start()
        self.addCleanup(lambda: self.control.process.poll() is None and self.control.stop())
        self.control.apply(SERVICE)
        self.root = os.path.join(self.folder, "ca", "1", "root.crt")

    def restart(self, *arguments):
        self.control.stop()
        self.start(*arguments)

    def channel(self, workload=None):
        """To weft-control; with the workload's certificate if one is given."""
        server = self.control.certificate
        credentials = workload.credentials(server) if workload else grpc.ssl_channel_credentials(pathlib.Path(server).read_bytes())
        channel = grpc.secure_channel("%s:%d" % self.control.xds, credentials, options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        return channel

    def join(self, name="cart", **more):
        """A workload with a certificate by a join token of its service."""
        workload = Workload(self.folder, name, **more)
        workload.token = self.control.token("-n", "shop", "--service", name)
        workload.response = workload.ask(self.channel(), workload.token)
        return workload

    def assert_refused(self, status, why, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(status, caught.exception.code(), caught.exception.details())
        self.assertRegex(caught.exception.details(), why)

    def stream(self, channel, node="cart", metadata=(), **claims):
        stream = Stream(channel, node, list(metadata), **{"namespace": "shop", **claims})
        self.addCleanup(stream.close)
        return stream.answer()

    def verify(self, workload, root=None, intermediates=None):
        return openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root or self.root, "-untrusted", intermediates or workload.certificate,
                       workload.certificate).decode()


class Signing(Case):
    def test_a_join_token_gets_a_certificate_for_its_service_that_openssl_finds_good(self):
        cart = self.join()
        self.assertEqual("spiffe://cluster.local/ns/shop/sa/cart", cart.response.spiffe_id)
        self.assertEqual(2, len(cart.response.chain))
        self.assertIn(": OK", self.verify(cart))
        openssl("verify", "-purpose", "sslserver", "-CAfile", self.root, "-untrusted", cart.certificate, cart.certificate)
        names = cart.shown("-ext", "subjectAltName,keyUsage,extendedKeyUsage,basicConstraints")
        self.assertIn("URI:spiffe://cluster.local/ns/shop/sa/cart", names)
        self.assertIn("CA:FALSE", names)
        self.assertNotIn("ignored", cart.shown("-subject"))
        life_s = cart.response.not_after.seconds - cart.response.not_before.seconds
        self.assertEqual(24 * 3600 + 300, life_s)
        renewed_after_s = cart.response.renew_at.seconds - cart.response.not_before.seconds - 300
        self.assertTrue(12 * 3600 <= renewed_after_s <= 16 * 3600, renewed_after_s)
        for key in ("root.key", "intermediate.key"):
            self.assertEqual(0o600, stat.S_IMODE(os.stat(os.path.join(self.folder, "ca", "1", key)).st_mode))

    def test_who_shows_nothing_good_or_asks_for_another_gets_none(self):
        channel, cart = self.channel(), Workload(self.folder, "cart")
        token = self.control.token("-n", "shop", "--service", "cart")
        anybody = self.control.token("-n", "shop")
        self.assert_refused(UNAUTHENTICATED, "a join token is missing", lambda: cart.ask(channel))
        self.assert_refused(UNAUTHENTICATED, "this is no join token", lambda: cart.ask(channel, "weft1_x"))
        self.assert_refused(DENIED, "is for the service cart, and node .cart. says pay", lambda: cart.ask(channel, token, service="pay"))
        self.assert_refused(DENIED, "is for the namespace shop", lambda: cart.ask(channel, token, namespace="pay"))
        self.assert_refused(INVALID, "metadata.service: is missing", lambda: cart.ask(channel, anybody, service=None))
        self.assert_refused(DENIED, "metadata.service_account: pay; who joins by a token", lambda: cart.ask(channel, token, service_account="pay"))
        self.assertEqual("spiffe://cluster.local/ns/shop/sa/cart", cart.ask(channel, anybody, service_account="cart").spiffe_id)

    def test_requests_that_are_none_or_of_weak_keys_are_refused_and_use_up_no_token(self):
        channel, token = self.channel(), self.control.token("-n", "shop", "--uses", "1")
        cart = Workload(self.folder, "cart")
        weak = Workload(self.folder, "weak", ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"))
        good = cart.request()
        self.assert_refused(INVALID, "csr: is missing", lambda: cart.ask(channel, token, csr=b""))
        self.assert_refused(INVALID, "csr: is no signing request", lambda: cart.ask(channel, token, csr=b"weft"))
        self.assert_refused(INVALID, "csr: its signature is not by its key", lambda: cart.ask(channel, token, csr=good[:-1] + bytes([good[-1] ^ 1])))
        self.assert_refused(INVALID, "csr: its key is RSA of 1024 bits", lambda: cart.ask(channel, token, csr=weak.request(), node="weak"))
        self.assert_refused(INVALID, "csr: has 20000 bytes", lambda: cart.ask(channel, token, csr=bytes(20000)))
        cart.ask(channel, token)
        for kind in (("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"), ("-algorithm", "ED25519"),
                     ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")):
            each = Workload(self.folder, "cart", kind)
            each.ask(channel, token)
            self.assertIn(": OK", self.verify(each))

    def test_a_signing_certificate_of_ones_own_signs(self):
        other = self.enterContext(tempfile.TemporaryDirectory())
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=ours", "-addext",
                "keyUsage=critical,keyCertSign", "-keyout", f"{other}/ca.key", "-out", f"{other}/ca.crt")
        os.chmod(f"{other}/ca.key", 0o600)
        self.restart("--ca-cert", f"{other}/ca.crt", "--ca-key", f"{other}/ca.key", "--trust-domain", "mesh.example")
        cart = self.join()
        self.assertEqual("spiffe://mesh.example/ns/shop/sa/cart", cart.response.spiffe_id)
        self.assertIn(": OK", self.verify(cart, root=f"{other}/ca.crt"))
        os.chmod(f"{other}/ca.key", 0o644)
        self.control.stop()
        run = subprocess.run([binary("WEFT_CONTROL_BINARY"), "--data-dir", self.folder, "--ca-cert", f"{other}/ca.crt", "--ca-key",
                              f"{other}/ca.key"], capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(1, run.returncode)
        self.assertIn("ca.key: others than its owner may use this private key (its mode is 0644)", run.stderr)


    def test_where_nobody_shows_who_he_is_there_is_no_authority(self):
        self.control.stop()
        self.control = ControlPlane(self.folder)
        channel = grpc.insecure_channel("%s:%d" % self.control.xds)
        self.addCleanup(channel.close)
        self.assert_refused(grpc.StatusCode.UNIMPLEMENTED, "no method /weft.v1.Identity/Sign", lambda: Workload(self.folder, "cart").ask(channel))
        for command in ("status", "rotate", "issued"):
            run = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, "ca", command], capture_output=True, text=True,
                                 timeout=LIMIT_S)
            self.assertEqual(3, run.returncode, command)
            self.assertIn("--xds-insecure and gives nobody a certificate", run.stderr)


class ByCertificate(Case):
    def test_a_certificate_is_renewed_by_itself_without_a_token_and_for_no_other(self):
        cart = self.join()
        before = cart.shown("-serial")
        channel = self.channel(cart)
        response = cart.ask(channel)
        self.assertEqual("spiffe://cluster.local/ns/shop/sa/cart", response.spiffe_id)
        self.assertNotEqual(before, cart.shown("-serial"))
        self.assertIn(": OK", self.verify(cart))
        self.assert_refused(DENIED, "is spiffe://cluster.local/ns/shop/sa/cart, and says that it runs as the service account pay",
                            lambda: cart.ask(channel, service="pay"))
        self.assert_refused(DENIED, "says that it belongs to the namespace pay", lambda: cart.ask(channel, namespace="pay"))

    def test_a_stream_comes_in_by_a_certificate_as_who_it_names_alone(self):
        channel = self.channel(self.join())
        self.assertIn(b"shop/cart:80", self.stream(channel, service="cart"))
        self.assertEqual(DENIED, self.stream(channel, service="pay")[0])
        self.assertEqual(DENIED, self.stream(channel, service="cart", namespace="pay")[0])
        self.assertEqual(UNAUTHENTICATED, self.stream(self.channel(), service="cart")[0])
        self.assertIn('refused_streams_total{reason="identity"} 2', self.control.get_admin("/metrics"))

    def test_what_came_of_a_token_ends_with_it(self):
        cart, pay = self.join(), self.join("pay")
        channel, other = self.channel(cart), self.channel(pay)
        stream = Stream(channel, "cart", [], namespace="shop", service="cart")
        self.addCleanup(stream.close)
        self.assertIsInstance(stream.answer(), bytes)
        self.control.weftctl("token", "revoke", cart.token[6:22])
        self.assertEqual(UNAUTHENTICATED, stream.answer()[0])
        status, why = self.stream(channel, service="cart")
        self.assertEqual(UNAUTHENTICATED, status)
        self.assertIn("is from the join token " + cart.token[6:22] + ", which was revoked", why)
        self.assert_refused(UNAUTHENTICATED, "which was revoked", lambda: cart.ask(channel))
        self.assertIsInstance(self.stream(other, node="pay", service="pay"), bytes)
        # Nor by what it was renewed to.
        pay.ask(other)
        self.control.weftctl("token", "revoke", pay.token[6:22])
        self.assert_refused(UNAUTHENTICATED, "which was revoked", lambda: pay.ask(self.channel(pay)))

    def test_a_strangers_certificate_lets_nobody_in(self):
        cart = self.join()
        stranger = Workload(self.enterContext(tempfile.TemporaryDirectory()), "cart")
        stranger.certificate.write_bytes(openssl("req", "-x509", "-key", stranger.key, "-days", "2", "-subj", "/CN=cart", "-addext",
                                                 "subjectAltName=URI:spiffe://cluster.local/ns/shop/sa/cart"))
        status, why = self.stream(self.channel(stranger), service="cart")
        self.assertEqual(UNAUTHENTICATED, status)
        self.assertRegex(why, "is not one of this mesh: self.signed certificate")
        # Beside a good token it does not matter: who loses his certificate joins anew.
        self.assertIsInstance(self.stream(self.channel(stranger), service="cart", metadata=[("authorization", "Bearer " + cart.token)]), bytes)

    def test_a_certificate_lives_as_long_as_was_asked_for_and_not_longer(self):
        self.restart("--certificate-ttl", "1s")
        cart = self.join()
        self.assertEqual(1, cart.response.not_after.seconds - cart.response.not_before.seconds - 300)
        channel = self.channel(cart)

        self.assertTrue(eventually(lambda: isinstance(self.stream(channel, service="cart"), tuple)))
        status, why = self.stream(channel, service="cart")
        self.assertEqual(UNAUTHENTICATED, status)
        self.assertIn("certificate has expired", why)

    def test_a_stream_ends_with_its_certificate_and_one_by_a_token_does_not(self):
        self.restart("--certificate-ttl", "2s")
        cart = self.join()
        by_token = Stream(self.channel(), "two", [("authorization", "Bearer " + cart.token)], namespace="shop", service="cart")
        self.addCleanup(by_token.close)
        self.assertIsInstance(by_token.answer(), bytes)
        by_certificate = Stream(self.channel(cart), "one", [], namespace="shop", service="cart")
        self.addCleanup(by_certificate.close)
        self.assertIsInstance(by_certificate.answer(), bytes)
        status, why = by_certificate.answer()
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, status)
        self.assertIn("the certificate by which the stream came in has ended; come again", why)
        self.control.apply({**SERVICE, "metadata": {"name": "pay", "namespace": "shop"}})
        by_token.acknowledge()
        self.assertIn(b"shop/pay:80", by_token.answer())

    def test_it_outlives_a_restart(self):
        cart = self.join()
        self.restart()
        self.assertIsInstance(self.stream(self.channel(cart), service="cart"), bytes)


class Issuer:
    """A cluster's issuer of service accounts' tokens: its keys, by openssl, and what it publishes of them."""

    URL = "https://kubernetes.default.svc"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.keys = []

    def add(self, name, kind):
        arguments = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048") if kind == "RSA" else ("-algorithm", "EC", "-pkeyopt",
                                                                                                    "ec_paramgen_curve:P-256")
        key = self.folder / name
        openssl("genpkey", *arguments, "-out", key)
        if kind == "RSA":
            modulus = openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().split("=")[1]
            jwk = {"n": self.text(bytes.fromhex(modulus)), "e": "AQAB"}
        else:
            point = openssl("ec", "-in", key, "-pubout", "-outform", "DER")[-64:]
            jwk = {"crv": "P-256", "x": self.text(point[:32]), "y": self.text(point[32:])}
        self.keys.append({"kty": kind, "kid": name, "use": "sig", **jwk})

    def jwks(self):
        return json.dumps({"keys": self.keys})

    @staticmethod
    def text(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    def token(self, key, namespace="shop", account="cart", alg=None, **claims):
        kind = next((each["kty"] for each in self.keys if each["kid"] == key), "RSA")
        now = int(time.time())
        claims = {"iss": self.URL, "aud": ["weft"], "exp": now + 600, "nbf": now, "sub": f"system:serviceaccount:{namespace}:{account}", **claims}
        header = {"alg": alg or {"RSA": "RS256", "EC": "ES256"}[kind], "kid": key}
        text = ".".join(self.text(json.dumps(each).encode()) for each in (header, claims))
        if alg == "none":
            return text + "."
        signature = openssl("dgst", "-sha256", "-sign", self.folder / key, stdin=text.encode())
        if kind == "EC":
            numbers = re.findall(rb"INTEGER +:([0-9A-F]+)", openssl("asn1parse", "-inform", "DER", stdin=signature))
            signature = b"".join(int(each, 16).to_bytes(32, "big") for each in numbers)
        return text + "." + self.text(signature)


class ServiceAccounts(Case):
    def setUp(self):
        super().setUp()
        self.issuer = Issuer(self.enterContext(tempfile.TemporaryDirectory()))
        self.issuer.add("rsa", "RSA")
        self.issuer.add("ec", "EC")

    def arguments(self, jwks):
        return ["--kubernetes-jwks", jwks, "--kubernetes-issuer", Issuer.URL]

    def test_a_service_accounts_token_gets_its_certificate_and_its_stream_and_bad_ones_get_none(self):
        keys = self.issuer.folder / "jwks.json"
        keys.write_text(self.issuer.jwks())
        self.restart(*self.arguments(str(keys)))
        cart, channel, token = Workload(self.folder, "cart"), self.channel(), self.issuer.token
        for key in ("rsa", "ec"):
            self.assertEqual("spiffe://cluster.local/ns/shop/sa/cart", cart.ask(channel, token(key)).spiffe_id)
            self.assertIn(": OK", self.verify(cart))
        self.assertIn(b"shop/cart:80", self.stream(channel, service="cart", metadata=[("authorization", "Bearer " + token("ec"))]))
        # And it is renewed by itself.
        self.assertEqual("spiffe://cluster.local/ns/shop/sa/cart", cart.ask(self.channel(cart)).spiffe_id)
        now = int(time.time())
        for why, bad in (("has expired", token("rsa", exp=now - 1)), ("audience", token("rsa", aud="api")), ("issuer", token("ec", iss="https://evil")),
                         ("algorithm", token("rsa", alg="none")), ("algorithm", token("rsa", alg="HS256")), ("for its algorithm", token("rsa", alg="ES256")),
                         ("not valid yet", token("ec", nbf=now + 600)), ("no service account", token("ec", sub="system:node:n1")),
                         ("signature", token("ec")[:-8] + "AAAAAAAA"), ("no JSON Web Token", "x")):
            self.assert_refused(UNAUTHENTICATED, why, lambda bad=bad: cart.ask(channel, bad))
        self.assert_refused(DENIED, "says that it belongs to the namespace pay", lambda: cart.ask(channel, token("ec"), namespace="pay"))
        self.assert_refused(DENIED, "runs as the service account pay", lambda: cart.ask(channel, token("ec"), service="pay"))
        # Join tokens go on being taken.
        self.join("pay")
        issued = json.loads(self.control.weftctl("ca", "issued", "-o", "json"))["certificates"]
        self.assertEqual([("token", "pay"), ("certificate", "cart"), ("kubernetes", "cart"), ("kubernetes", "cart")],
                         [(each["shown"], each["spiffeId"].rsplit("/", 1)[1]) for each in issued])
        self.assertEqual("kubernetes", issued[1]["origin"])

    def test_keys_come_from_a_server_and_a_new_one_is_found(self):
        issuer = self.issuer
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.path, self.headers["Authorization"]))
                content = issuer.jwks().encode()
                # As Kubernetes' API server, which knows no other media type here.
                self.send_response(200 if "application/jwk-set+json" in self.headers["Accept"] else 406)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        certificate, key = Authority(issuer.folder).leaf("issuer", ["DNS:localhost"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        port = server.server_address[1]
        shown = issuer.folder / "token"
        shown.write_text("reader\n")
        more = ["--kubernetes-jwks-ca", str(issuer.folder / "root.pem"), "--kubernetes-jwks-token", str(shown)]
        self.restart(*self.arguments(f"https://localhost:{port}/openid/v1/jwks"), *more)
        self.assertEqual([("/openid/v1/jwks", "Bearer reader")], asked)
        cart = Workload(self.folder, "cart")
        self.assertEqual("spiffe://cluster.local/ns/shop/sa/cart", cart.ask(self.channel(), issuer.token("ec")).spiffe_id)
        # Another name than its certificate's, and roots that do not know it: nobody is let in by what it says.
        for url, roots, why in ((f"https://127.0.0.1:{port}/", more, "IP address mismatch"),
                                (f"https://localhost:{port}/", ["--kubernetes-jwks-ca", self.control.certificate], "local issuer certificate|self.signed")):
            self.restart(*self.arguments(url), *roots)
            self.assertRegex(self.control.output.text(), "service accounts are not known yet: .*(" + why + ")")
            self.assert_refused(grpc.StatusCode.UNAUTHENTICATED, "no key of its issuer", lambda: cart.ask(self.channel(), issuer.token("ec")))
        self.control.stop()
        run = subprocess.run([binary("WEFT_CONTROL_BINARY"), "--data-dir", self.folder, *self.arguments("http://10.0.0.1/jwks")],
                             capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(1, run.returncode)
        self.assertIn("http://10.0.0.1/jwks: expected https://..., or http:// on loopback", run.stderr)


if __name__ == "__main__":
    unittest.main()
