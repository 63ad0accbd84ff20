"""What proxies run, as the control plane knows it: sent, acknowledged, applied or refused; with weft-proxies, and Envoy for one that
does not report."""

import tempfile
import unittest

from tests.integration.harness.live import answer, eventually
from tests.integration.harness import bootstrap
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane
from tests.integration.harness.proxy import Proxy


def service(name, port=80):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"name": "main", "port": port, "appProtocol": "http"}]}}


def endpoint(name, port):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"name": "main", "port": port}]}


def config(xds, node_id, api_type, listeners=(), **metadata):
    """A bootstrap of a proxy that takes its clusters from a control plane."""
    ads = {"api_type": api_type, "transport_api_version": "V3",
           "grpc_services": [{"envoy_grpc": {"cluster_name": "control"}}]}
    return bootstrap.bootstrap(list(listeners),
                               [bootstrap.cluster("control", [xds], http2=True)],
                               node={"id": node_id, "cluster": "test", "metadata": {"namespace": "shop", **metadata}},
                               dynamic_resources={"ads_config": ads, "cds_config": {"ads": {}, "resource_api_version": "V3"}})


class Status(unittest.TestCase):
    def setUp(self):
        self.control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory())))
        self.backend = self.enterContext(Backend(answer(b"cart")))
        self.control.apply(service("cart"), endpoint("cart", self.backend.address[1]))

    def start(self, node_id, api_type="DELTA_GRPC", kind=None):
        return self.enterContext(Proxy(config(self.control.xds, node_id, api_type), **({"kind": kind} if kind else {})))

    def applied(self):
        """By node, of which revision everything is applied."""
        return {node["id"]: node["appliedRevision"] for node in self.control.get_json("/nodes")}

    def metric(self, name):
        return next(float(line.split()[-1]) for line in self.control.get_admin("/metrics").splitlines() if line.split()[0] == name)

    def test_commits_are_applied_by_those_who_report_and_acknowledged_by_others(self):
        self.start("sotw", "GRPC")
        self.start("delta")
        self.start("envoy", kind="envoy")
        self.assertTrue(eventually(lambda: self.applied() == {"sotw": 1, "delta": 1, "envoy": 1}), self.control.get_admin("/nodes"))
        counts = ["weft_control_commit_to_applied_seconds_count", "weft_control_commit_to_acknowledged_seconds_count"]
        before = [self.metric(name) for name in counts]
        self.control.apply(service("pay"), endpoint("pay", self.backend.address[1]))
        self.assertTrue(eventually(lambda: self.applied() == {"sotw": 2, "delta": 2, "envoy": 2}), self.control.get_admin("/nodes"))
        self.assertEqual({"sotw": True, "delta": True, "envoy": False},
                         {node["id"]: node["reports"] for node in self.control.get_json("/nodes")})
        self.assertEqual([], [state["refusals"] for state in self.control.nodes().values() if state["refusals"]])
        self.assertEqual(2, self.metric("weft_control_reports"))
        self.assertEqual([each + 3 for each in before], [self.metric(name) for name in counts])
        self.assertEqual(0, self.metric("weft_control_open_commits"))


if __name__ == "__main__":
    unittest.main()
