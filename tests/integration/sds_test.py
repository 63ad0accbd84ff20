"""Secrets that come and change while the proxy runs: from another's control plane (go-control-plane) over the aggregated stream
and over streams of their own, and from watched files."""

import json
import os
import pathlib
import shutil
import socket
import ssl
import tempfile
import threading
import unittest

from tests.conformance.xds.control_plane import ControlPlane
from tests.integration.harness.live import eventually
from tests.integration.harness import bootstrap, http1, http2, watched
from tests.integration.harness.backend import Backend
from tests.integration.harness.certificates import Authority
from tests.integration.harness.proxy import Proxy
from tests.integration.own_streams_test import own
from tests.integration.tls_test import TlsBackend, text_route


def certificate_secret(name, pair):
    """A Secret that holds a certificate and its key, given as files."""
    chain, key = (pathlib.Path(each).read_text() for each in pair)
    return {"name": name, "tls_certificate": {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}}


def trust_secret(name, authority):
    return {"name": name, "validation_context": {"trusted_ca": {"inline_string": authority.certificate.read_text()}}}


def connection_manager(source):
    """Whose routes, "r", come from `source`."""
    filter_ = bootstrap.connection_manager([])
    filter_["typed_config"].pop("route_config")
    filter_["typed_config"]["rds"] = {"route_config_name": "r", "config_source": source}
    return filter_


def named(source, *names):
    """tls_certificate_sds_secret_configs"""
    return [{"name": name, "sds_config": source} for name in names]


class Certificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.stranger = Authority(cls.enterClassContext(tempfile.TemporaryDirectory()), "Stranger")
        # Each name's certificate, twice.
        cls.leaves = [cls.authority.leaf(f"leaf-{i}", [f"DNS:n{i}.example", "IP:127.0.0.1"]) for i in range(4)]

    def context(self, alpn=()):
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def open(self, listener="http"):
        sock = socket.create_connection(self.proxy.addresses[listener], http1.WAIT_LIMIT_S)
        try:
            return self.context().wrap_socket(sock, server_hostname="127.0.0.1")
        except BaseException:
            sock.close()
            raise

    def shown(self, listener="http"):
        """The name in the certificate that the listener shows now; None when it closes the connection."""
        try:
            with self.open(listener) as tls:
                return next(value for kind, value in tls.getpeercert()["subjectAltName"] if kind == "DNS")
        except (ssl.SSLError, ConnectionError):
            return None

    def get(self, tls):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        return http1.read_response(http1.Reader(tls))

    def dump(self):
        return next(each for each in json.loads(self.proxy.get_admin("/config_dump"))["configs"] if each["@type"].endswith("SecretsConfigDump"))

    def listener(self, *certificates, **more):
        tls = {"common_tls_context": {"tls_certificate_sds_secret_configs": list(certificates), "alpn_protocols": ["h2", "http/1.1"]}, **more}
        return bootstrap.http_listener("http", text_route("hello"), tls=tls)


class Case:
    """By one form of the protocol."""

    api_type = None
    aggregated = False

    def start_control(self):
        self.control = ControlPlane()
        self.addCleanup(self.control.stop)
        self.source = {"ads": {}} if self.aggregated else own(self.api_type, "control")

    def start(self, listeners, clusters=(), dynamic=None, **options):
        control = bootstrap.cluster("control", [("127.0.0.1", self.control.port)], http2=True)
        dynamic = dict(dynamic or {})
        if self.aggregated:
            dynamic["ads_config"] = own(self.api_type, "control")["api_config_source"]
        config = bootstrap.bootstrap(listeners, [control, *clusters], node={"id": "tester", "cluster": "test"}, dynamic_resources=dynamic)
        self.proxy = self.enterContext(Proxy(config, **options))

    def test_a_certificate_rotates_and_no_request_fails(self):
        self.start_control()
        self.control.serve("0", secrets=[certificate_secret("server", self.leaves[0])])
        self.start([self.listener(*named(self.source, "server"))], concurrency=2)
        self.assertEqual("n0.example", self.shown())
        failures, counts, over = [], [0, 0], threading.Event()

        def by_http1():
            while not over.is_set():
                try:
                    with self.open() as tls:
                        for _ in range(3):
                            if self.get(tls).status != 200:
                                failures.append("HTTP/1")
                            counts[0] += 1
                except OSError as error:
                    failures.append(error)

        def by_http2():
            with http2.Client(self.proxy.addresses["http"], self.context(["h2"]), "127.0.0.1") as client:
                while not over.is_set():
                    if client.request().status != 200:
                        failures.append("HTTP/2")
                    counts[1] += 1

        with self.open() as established:
            self.assertEqual(200, self.get(established).status)
            threads = [threading.Thread(target=each) for each in (by_http1, by_http1, by_http2)]
            for thread in threads:
                thread.start()
            try:
                for i in range(1, 20):
                    before = list(counts)
                    self.control.serve(str(i), secrets=[certificate_secret("server", self.leaves[i % 4])])
                    self.assertTrue(eventually(lambda: self.shown() == f"n{i % 4}.example"))
                    self.assertTrue(eventually(lambda: all(now > then for now, then in zip(counts, before))))
            finally:
                over.set()
                for thread in threads:
                    thread.join()
            self.assertEqual(200, self.get(established).status)
        self.assertEqual([], failures)
        self.assertEqual(20, self.proxy.counter("sds.server.update_success"))
        prefix = next(line for line in self.proxy.get_admin("/stats").splitlines() if "ssl_context_update_by_sds" in line and line.startswith("listener."))
        self.assertGreaterEqual(int(prefix.split(": ")[1]), 19)

    def test_both_sides_of_mtls_rotate_and_no_request_fails(self):
        self.start_control()
        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.authority.certificate))
        theirs.load_cert_chain(*map(str, self.leaves[0]))
        theirs.verify_mode = ssl.CERT_REQUIRED
        backend = self.enterContext(TlsBackend(theirs))
        tls = {"common_tls_context": {
            "tls_certificate_sds_secret_configs": named(self.source, "client"),
            "combined_validation_context": {"default_validation_context": {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "n0.example"}}]},
                                            "validation_context_sds_secret_config": named(self.source, "trust")[0]}}}
        self.control.serve("0", secrets=[certificate_secret("client", self.leaves[0]), trust_secret("trust", self.authority)])
        self.start([bootstrap.http_listener("http", [bootstrap.route("backend")])], [bootstrap.cluster("backend", [backend.address], tls=tls)], concurrency=2)

        def seen():
            return {value for peer, _, _ in backend.peers for kind, value in peer["subjectAltName"] if kind == "DNS"}

        failures, over = [], threading.Event()

        def load():
            with http1.Client(self.proxy.addresses["http"]) as client:
                while not over.is_set():
                    client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
                    reply = client.response()
                    if reply.status != 200:
                        failures.append(reply.body)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for i in range(1, 4):
                self.control.serve(str(i), secrets=[certificate_secret("client", self.leaves[i]), trust_secret("trust", self.authority)])
                self.assertTrue(eventually(lambda: f"n{i}.example" in seen()), seen())
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], failures)
        # Whom we trust changes: those we had connections to are asked anew, and do not please any more.
        self.control.serve("9", secrets=[certificate_secret("client", self.leaves[0]), trust_secret("trust", self.stranger)])

        def refused():
            with http1.Client(self.proxy.addresses["http"]) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
                return client.response().status == 503

        self.assertTrue(eventually(refused))
        self.assertGreaterEqual(self.proxy.counter("cluster.backend.client_ssl_socket_factory.ssl_context_update_by_sds"), 3)

    def test_until_the_secret_is_there_connections_are_closed_and_counted(self):
        self.start_control()
        self.start([self.listener(*named({**self.source, "initial_fetch_timeout": "0.3s"}, "server"))])
        self.assertIsNone(self.shown())
        stats = self.proxy.get_admin("/stats")
        self.assertRegex(stats, r"listener\.\S+\.server_ssl_socket_factory\.downstream_context_secrets_not_ready: 1\n")
        self.assertIn("sds.server.init_fetch_timeout: 1", stats)
        self.assertEqual(["server"], [each["name"] for each in self.dump()["dynamic_warming_secrets"]])
        self.control.serve("1", secrets=[certificate_secret("server", self.leaves[1])])
        self.assertTrue(eventually(lambda: self.shown() == "n1.example"))

    def test_listeners_that_come_wait_for_their_secrets_and_all_types_come_this_way(self):
        self.start_control()
        backend = self.enterContext(Backend())
        config = connection_manager(self.source)
        tls = {"common_tls_context": {"tls_certificate_sds_secret_configs": named(self.source, "server")}}
        everything = {"listeners": [bootstrap.listener("come", [config], tls=tls)], "routes": [{"name": "r", "virtual_hosts": [{
            "name": "all", "domains": ["*"], "routes": [bootstrap.route("a")]}]}],
            "clusters": [watched.discovered("a", self.source)], "endpoints": [watched.assignment("a", backend.address)]}
        self.control.serve("0", clusters=everything["clusters"], endpoints=everything["endpoints"])
        self.start([bootstrap.http_listener("fixed", text_route("x"))], dynamic={"cds_config": self.source, "lds_config": self.source})
        self.control.serve("1", **everything)

        def warming():
            dump = next(each for each in json.loads(self.proxy.get_admin("/config_dump"))["configs"] if each["@type"].endswith("ListenersConfigDump"))
            return [each["name"] for each in dump["dynamic_listeners"] if "warming_state" in each]

        self.assertTrue(eventually(lambda: warming() == ["come"]))
        self.control.serve("2", secrets=[certificate_secret("server", self.leaves[0])], **everything)
        self.proxy.addresses["come"] = self.proxy.await_listener("come")
        self.assertEqual("n0.example", self.shown("come"))
        with self.open("come") as established:
            self.assertEqual(200, self.get(established).status)
            self.control.serve("3", secrets=[certificate_secret("server", self.leaves[1])], **everything)
            self.assertTrue(eventually(lambda: self.shown("come") == "n1.example"))
            self.assertEqual(200, self.get(established).status)
            # A version of the listener that has the filter chain of the one before, which drains for long.
            chain = everything["listeners"][0]["filter_chains"][0]
            everything["listeners"] = [{**everything["listeners"][0], "filter_chains": [chain, {**chain, "filter_chain_match": {"server_names": ["more.example"]}}]}]
            self.control.serve("4", secrets=[certificate_secret("server", self.leaves[1])], **everything)
            self.assertTrue(eventually(lambda: self.proxy.counter("listener_manager.listener_in_place_updated") == 1))
            for i, name in ((5, "n2.example"), (6, "n3.example")):
                self.control.serve(str(i), secrets=[certificate_secret("server", self.leaves[i - 3])], **everything)
                self.assertTrue(eventually(lambda: self.shown("come") == name), name)
            self.assertEqual(200, self.get(established).status)
        self.assertEqual([], warming())
        opened = [e["type"].rsplit(".", 1)[-1] for e in self.control.events() if "open" in e]
        if not self.aggregated:
            self.assertEqual(["Cluster", "ClusterLoadAssignment", "Listener", "RouteConfiguration", "Secret"], sorted(opened))
        self.assertFalse([each for each in self.control.requests() if "error" in each])

    def test_a_bad_secret_is_refused_by_its_field_and_no_key_is_told(self):
        self.start_control()
        good, bad = certificate_secret("server", self.leaves[0]), certificate_secret("server", (self.leaves[0][0], self.leaves[1][1]))
        self.control.serve("1", secrets=[good])
        self.start([self.listener(*named(self.source, "server"))])
        self.control.serve("2", secrets=[bad])
        refusal = self.control.await_request(lambda e: "error" in e, "that refuses")["error"]
        self.assertIn('secret "server": tls_certificate.private_key: inline: this is not the private key', refusal)
        self.assertEqual("n0.example", self.shown())
        shown = self.dump()["dynamic_active_secrets"][0]
        self.assertEqual("server", shown["name"])
        self.assertEqual("[redacted]", shown["secret"]["tls_certificate"]["private_key"]["inline_string"])
        self.assertEqual(good["tls_certificate"]["certificate_chain"], shown["secret"]["tls_certificate"]["certificate_chain"])
        self.assertIn("this is not the private key", shown["error_state"]["details"])
        everything = refusal + self.proxy.output.text() + self.proxy.get_admin("/config_dump")
        for pair in self.leaves[:2]:
            for line in pathlib.Path(pair[1]).read_text().splitlines():
                self.assertNotIn(line.strip("-"), everything)
        certs = json.loads(self.proxy.get_admin("/certs"))["certificates"]
        self.assertIn({"dns": "n0.example"}, certs[0]["cert_chain"][0]["subject_alt_names"])


class Sotw(Case, Certificates):
    api_type = "GRPC"


class Delta(Case, Certificates):
    api_type = "DELTA_GRPC"


class AggregatedSotw(Case, Certificates):
    api_type = "GRPC"
    aggregated = True


class AggregatedDelta(Case, Certificates):
    api_type = "DELTA_GRPC"
    aggregated = True


class Files(Certificates):
    """A folder as Kubernetes mounts one: its files are links into the folder that `..data` is a link to."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.put(self.leaves[0], 0)
        for name in ("tls.crt", "tls.key"):
            (self.folder / name).symlink_to(f"..data/{name}")

    def put(self, pair, number):
        version = self.folder / f"..{number}"
        version.mkdir()
        for source, name in zip(pair, ("tls.crt", "tls.key")):
            shutil.copy(source, version / name)
        (self.folder / "..fresh").symlink_to(version.name)
        os.replace(self.folder / "..fresh", self.folder / "..data")

    def certificate(self, **more):
        return {"certificate_chain": {"filename": str(self.folder / "tls.crt")}, "private_key": {"filename": str(self.folder / "tls.key")}, **more}

    def start(self, tls):
        config = bootstrap.bootstrap([bootstrap.http_listener("http", text_route("hello"), tls={"common_tls_context": tls})], [])
        self.proxy = self.enterContext(Proxy(config, concurrency=2))

    def rotates(self):
        self.assertEqual("n0.example", self.shown())
        with self.open() as established:
            for i in range(1, 4):
                self.put(self.leaves[i], i)
                self.assertTrue(eventually(lambda: self.shown() == f"n{i}.example"))
            self.assertEqual(200, self.get(established).status)

    def test_a_named_certificate_with_a_watched_directory(self):
        self.start({"tls_certificates": [self.certificate(watched_directory={"path": str(self.folder)})]})
        self.rotates()
        path = json.loads(self.proxy.get_admin("/certs"))["certificates"][0]["cert_chain"][0]["path"]
        self.assertEqual(str(self.folder / "tls.crt"), path)

    def test_without_one_the_certificate_stays(self):
        self.start({"tls_certificates": [self.certificate()]})
        self.put(self.leaves[1], 1)
        self.assertEqual("n0.example", self.shown())

    def test_a_secret_in_a_watched_file_that_names_files(self):
        resources = self.enterContext(watched.Folder())
        resources.write("secret", [{"name": "server", "tls_certificate": self.certificate(watched_directory={"path": str(self.folder)})}])
        self.start({"tls_certificate_sds_secret_configs": named(resources.source("secret"), "server")})
        self.rotates()
        # The file itself changes, too.
        resources.write("secret", [certificate_secret("server", self.leaves[0])])
        self.assertTrue(eventually(lambda: self.shown() == "n0.example"))
        # Half a rotation leaves in force what was.
        resources.write("secret", [{"name": "server", "tls_certificate": self.certificate()}])
        self.assertTrue(eventually(lambda: self.shown() == "n3.example"))
        (self.folder / "tls.crt").unlink()
        (self.folder / "tls.crt").write_text("no certificate")
        self.assertTrue(eventually(lambda: self.proxy.counter("sds.server.key_rotation_failed") >= 1))
        self.assertEqual("n3.example", self.shown())

    def test_a_key_in_a_file_that_cannot_be_read_is_not_logged(self):
        resources = self.enterContext(watched.Folder())
        resources.write("secret", [certificate_secret("server", self.leaves[0])])
        self.start({"tls_certificate_sds_secret_configs": named(resources.source("secret"), "server")})
        key = pathlib.Path(self.leaves[0][1]).read_text()
        resources.write("secret", [{"name": "server", "tls_certificate": {"certificate_chain": {"inline_string": "x"}, "private_key": key}}])
        self.assertTrue(self.proxy.output.wait_for(lambda lines: any("private_key: expected" in line for line in lines)))
        self.assertNotIn(key.splitlines()[1][:20], self.proxy.output.text())
        self.assertEqual("n0.example", self.shown())


if __name__ == "__main__":
    unittest.main()
