"""--keep-config: a proxy that starts while its control plane is away serves what it was told last."""

import json
import pathlib
import tempfile
import unittest

from tests.conformance.xds.control_plane import ControlPlane
from tests.integration.harness.live import answer, eventually
from tests.integration.harness import bootstrap, http1, watched
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy
from tests.integration.own_streams_test import own
from tests.integration.sds_test import Certificates, certificate_secret, connection_manager, named

QUICK = {"initial_fetch_timeout": "0.3s"}


class Case:
    api_type = None
    aggregated = False

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "kept"
        self.control = ControlPlane()
        self.addCleanup(self.control.stop)
        self.source = {"ads": {}, **QUICK} if self.aggregated else {**own(self.api_type, "control"), **QUICK}
        self.first, self.second = (self.enterContext(Backend(answer(text))) for text in (b"first", b"second"))

    def serve(self, version, address, **more):
        self.control.serve(version, clusters=[watched.discovered("a", self.source)], endpoints=[watched.assignment("a", address)], **more)

    def start(self, node="tester", arguments=(), secret=None, dynamic=None):
        tls = {"common_tls_context": {"tls_certificate_sds_secret_configs": named(self.source, secret)}} if secret else None
        control = bootstrap.cluster("control", [("127.0.0.1", self.control.port)], http2=True)
        dynamic = {"cds_config": self.source, **(dynamic or {})}
        if self.aggregated:
            dynamic["ads_config"] = own(self.api_type, "control")["api_config_source"]
        config = bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("a")], tls=tls)], [control],
                                     node={"id": node, "cluster": "test"}, dynamic_resources=dynamic)
        self.proxy = self.enterContext(Proxy(config, arguments=["--keep-config", str(self.folder), *arguments]))

    def ask(self):
        with http1.Client(self.proxy.addresses["http"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            return client.response()

    def versions(self):
        """version_info of the cluster and its endpoints."""
        dump = {each["@type"].rsplit(".", 1)[1]: each for each in json.loads(self.proxy.get_admin("/config_dump?include_eds"))["configs"]}
        return [dump["ClustersConfigDump"]["dynamic_active_clusters"][0]["version_info"],
                dump["EndpointsConfigDump"]["dynamic_endpoint_configs"][0]["version_info"]]

    def test_what_was_kept_serves_until_the_control_plane_is_back(self):
        self.serve("1", self.first.address)
        self.start()
        self.assertEqual(b"first", self.ask().body)
        self.proxy.stop()
        self.assertEqual(0o700, self.folder.stat().st_mode & 0o777)
        self.assertEqual({0o600}, {each.stat().st_mode & 0o777 for each in self.folder.iterdir()})
        self.control.cut()
        self.start()
        self.assertEqual(b"first", self.ask().body)
        self.assertTrue(all(each.endswith(" (restored from disk)") for each in self.versions()), self.versions())
        self.assertEqual(2, self.proxy.counter("keep_config.restored_resources"))
        self.assertIn("did not answer in time; restored from", self.proxy.output.text())
        self.serve("2", self.second.address)
        self.control.come_back()
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        self.assertTrue(eventually(lambda: not [each for each in self.versions() if "restored" in each]))
        self.assertEqual(0, self.proxy.counter("keep_config.restored_resources"))


class Sotw(Case, unittest.TestCase):
    api_type = "GRPC"


class AggregatedDelta(Case, unittest.TestCase):
    api_type = "DELTA_GRPC"
    aggregated = True

    def test_files_of_another_node_and_damaged_ones_are_refused_and_nothing_breaks(self):
        self.serve("1", self.first.address)
        self.start()
        self.proxy.stop()
        self.control.cut()
        self.start(node="another")
        self.assertEqual(503, self.ask().status)
        self.assertIn('is of node "tester", this is "another"', self.proxy.output.text())
        self.assertEqual(1, self.proxy.counter("keep_config.refused_files"))
        self.proxy.stop()
        for each in self.folder.iterdir():
            each.write_bytes(each.read_bytes()[:-5])
        self.start()
        self.assertEqual(503, self.ask().status)
        self.assertIn("is cut off or has grown", self.proxy.output.text())


class Keys(Certificates, Case):
    api_type = "DELTA_GRPC"

    def setUp(self):
        Case.setUp(self)
        self.serve("1", self.first.address, secrets=[certificate_secret("server", self.leaves[0])])
        self.key = pathlib.Path(self.leaves[0][1]).read_bytes()

    def test_what_was_kept_serves_until_the_control_plane_is_back(self):
        """Over TLS, too, when keys may be kept."""
        self.start(arguments=["--keep-private-keys"], secret="server")
        self.assertEqual("n0.example", self.shown())
        self.proxy.stop()
        self.assertTrue(any(self.key in each.read_bytes() for each in self.folder.iterdir()))
        self.control.cut()
        self.start(arguments=["--keep-private-keys"], secret="server")
        self.assertEqual("n0.example", self.shown())
        self.assertIn("(restored from disk)", self.dump()["dynamic_active_secrets"][0]["version_info"])

    def test_listeners_and_routes_are_kept_with_all_that_they_need(self):
        tls = {"common_tls_context": {"tls_certificate_sds_secret_configs": named(self.source, "server")}}
        more = {"listeners": [bootstrap.listener("come", [connection_manager(self.source)], tls=tls)],
                "routes": [{"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [bootstrap.route("a")]}]}]}
        self.serve("1", self.first.address, secrets=[certificate_secret("server", self.leaves[0])], **more)

        def answered():
            self.start(arguments=["--keep-private-keys"], dynamic={"lds_config": self.source})
            self.proxy.addresses["come"] = self.proxy.await_listener("come")
            with self.open("come") as tls:
                self.assertEqual(b"first", self.get(tls).body)
            self.assertEqual("n0.example", self.shown("come"))

        answered()
        self.proxy.stop()
        self.assertEqual(["cluster", "endpoints", "listener", "routes", "secret"], sorted(each.name.split("-")[0] for each in self.folder.iterdir()))
        self.control.cut()
        answered()
        self.assertEqual(5, self.proxy.counter("keep_config.restored_resources"))

    def test_without_the_second_option_no_key_is_written(self):
        self.start(secret="server")
        self.assertEqual("n0.example", self.shown())
        self.proxy.stop()
        self.assertFalse(any(self.key in each.read_bytes() for each in self.folder.iterdir()))
        self.control.cut()
        self.start(secret="server")
        self.assertIsNone(self.shown())


if __name__ == "__main__":
    unittest.main()
