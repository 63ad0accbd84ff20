"""Clusters and endpoints from another's control plane (go-control-plane) over an aggregated stream, SotW and delta."""

import unittest

from tests.conformance.xds.control_plane import ControlPlane
from tests.integration.harness.live import answer, eventually
from tests.integration.harness import bootstrap, http1
from tests.integration.harness.backend import Backend
from tests.integration.harness.proxy import Proxy


def cluster(name, **more):
    return {"name": name, "type": "EDS", "connect_timeout": "2s", "eds_cluster_config": {"eds_config": {"ads": {}}}, **more}


def endpoints(name, address):
    socket = {"socket_address": {"address": address[0], "port_value": address[1]}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket}}]}]}


class Case:
    api_type = None

    def setUp(self):
        self.first = self.enterContext(Backend(answer(b"first")))
        self.second = self.enterContext(Backend(answer(b"second")))
        self.control = ControlPlane()
        self.addCleanup(self.control.stop)
        ads = {"api_type": self.api_type, "transport_api_version": "V3",
               "grpc_services": [{"envoy_grpc": {"cluster_name": "control", "retry_policy": {"retry_back_off": {"base_interval": "0.05s"}}}}]}
        config = bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("a")])],
                                     [bootstrap.cluster("control", [("127.0.0.1", self.control.port)], http2=True)],
                                     node={"id": "tester", "cluster": "test"}, dynamic_resources={"ads_config": ads, "cds_config": {"ads": {}}})
        self.control.serve("1", clusters=[cluster("a")], endpoints=[endpoints("a", self.first.address)])
        self.proxy = self.enterContext(Proxy(config))

    def ask(self):
        with http1.Client(self.proxy.addresses["http"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            return client.response()

    def test_endpoints_change_and_the_control_plane_may_go(self):
        self.assertEqual(b"first", self.ask().body)
        self.assertEqual(1, self.proxy.counter("control_plane.connected_state"))
        self.control.serve("2", clusters=[cluster("a")], endpoints=[endpoints("a", self.second.address)])
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        self.control.cut()
        self.assertTrue(eventually(lambda: self.proxy.counter("control_plane.connected_state") == 0))
        self.assertEqual(b"second", self.ask().body)
        self.control.come_back()
        self.control.serve("3", clusters=[cluster("a")], endpoints=[endpoints("a", self.first.address)])
        self.assertTrue(eventually(lambda: self.ask().body == b"first"))
        self.assertFalse([each for each in self.control.requests() if "error" in each])

    def test_a_bad_cluster_is_refused_with_its_reason_and_the_last_good_one_stays(self):
        self.assertEqual(200, self.ask().status)
        bad = cluster("a", connect_timeout="0s")
        self.control.serve("2", clusters=[bad], endpoints=[endpoints("a", self.first.address)])
        refusal = self.control.await_request(lambda e: "error" in e, "that refuses")
        self.assertIn('cluster "a"', refusal["error"])
        self.assertIn("connect_timeout", refusal["error"])
        self.assertEqual(200, self.ask().status)


class Sotw(Case, unittest.TestCase):
    api_type = "GRPC"


class Delta(Case, unittest.TestCase):
    api_type = "DELTA_GRPC"


if __name__ == "__main__":
    unittest.main()
