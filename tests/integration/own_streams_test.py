"""Sources of their own (api_config_source): a stream for each type, shared by what names the same, and several control planes of
which the next one is tried. The servers are other people's (go-control-plane)."""

import unittest

from tests.conformance.xds.control_plane import ControlPlane
from tests.integration.harness.live import answer, eventually
from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy
from tests.integration.harness.watched import assignment, discovered

TYPES = "type.googleapis.com/envoy."


def own(api_type, *clusters, **more):
    """A ConfigSource that calls the control planes of these clusters, one after the other."""
    services = [{"envoy_grpc": {"cluster_name": each, "authority": f"{each}.example", "retry_policy": {"retry_back_off": {"base_interval": "0.05s", "max_interval": "0.2s"}}},
                 "initial_metadata": [{"key": "x-token", "value": "t"}]} for each in clusters]
    return {"api_config_source": {"api_type": api_type, "transport_api_version": "V3", "grpc_services": services, **more}, "resource_api_version": "V3"}


class Case:
    api_type = None

    def setUp(self):
        self.backends = [self.enterContext(Backend(answer(text))) for text in (b"first", b"second")]

    def control_plane(self):
        control = ControlPlane()
        self.addCleanup(control.stop)
        return control

    def start(self, source, *controls):
        clusters = [bootstrap.cluster(f"control-{i}", [("127.0.0.1", each.port)], http2=True) for i, each in enumerate(controls)]
        config = bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("a"), bootstrap.route("b", prefix="/b/")])], clusters,
                                     node={"id": "tester", "cluster": "test"}, dynamic_resources={"cds_config": source})
        self.proxy = self.enterContext(Proxy(config))

    def ask(self):
        with http1.Client(self.proxy.addresses["http"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            return client.response()

    def test_each_type_has_one_stream_of_its_own_service_whoever_asks(self):
        control, source = self.control_plane(), own(self.api_type, "control-0")
        slower = {**source, "initial_fetch_timeout": "30s"}
        a, b = self.backends
        clusters = [discovered("a", source), discovered("b", slower)]
        control.serve("1", clusters=clusters, endpoints=[assignment("a", a.address), assignment("b", b.address)])
        self.start(source, control)
        self.assertEqual(b"first", self.ask().body)
        opened = [e["type"] for e in control.events() if "open" in e]
        self.assertEqual(sorted([TYPES + "config.cluster.v3.Cluster", TYPES + "config.endpoint.v3.ClusterLoadAssignment"]), sorted(opened))
        self.assertEqual(1, self.proxy.counter("control_plane.connected_state"))
        control.serve("2", clusters=clusters, endpoints=[assignment("a", b.address), assignment("b", b.address)])
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        # Nobody asks for endpoints any more.
        control.serve("3", clusters=[bootstrap.cluster("a", [a.address])])
        self.assertTrue(eventually(lambda: self.ask().body == b"first"))
        self.assertFalse([each for each in control.requests() if "error" in each])

    def test_the_next_control_plane_serves_when_one_is_killed(self):
        first, second = self.control_plane(), self.control_plane()
        source = own(self.api_type, "control-0", "control-1", set_node_on_first_message_only=True)
        for control, backend in zip((first, second), self.backends):
            control.serve("1", clusters=[discovered("a", source)], endpoints=[assignment("a", backend.address)])
        self.start(source, first, second)
        self.assertEqual(b"first", self.ask().body)
        first.process.kill()
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        self.assertTrue(eventually(lambda: self.proxy.counter("control_plane.connected_state") == 1))

    def test_a_control_plane_that_is_not_there_yet_does_not_hold_up_the_start_for_long(self):
        control = self.control_plane()
        control.cut()
        self.start({**own(self.api_type, "control-0"), "initial_fetch_timeout": "0.3s"}, control)
        self.assertEqual(503, self.ask().status)
        self.assertEqual(1, self.proxy.counter("cluster_manager.cds.init_fetch_timeout"))
        control.serve("1", clusters=[bootstrap.cluster("a", [self.backends[0].address])])
        control.come_back()
        self.assertTrue(eventually(lambda: self.ask().body == b"first"))


class Sotw(Case, unittest.TestCase):
    api_type = "GRPC"


class Delta(Case, unittest.TestCase):
    api_type = "DELTA_GRPC"


if __name__ == "__main__":
    unittest.main()
