"""What proxies run, as the control plane knows it: sent, acknowledged, applied or refused; with weft-proxies, and Envoy for one that
does not report."""

import json
import re
import signal
import subprocess
import tempfile
import unittest

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.service.status.v3 import csds_pb2, csds_pb2_grpc

from tests.integration.harness.live import answer, eventually
from tests.integration.harness import bootstrap, held
from tests.integration.harness.backend import Backend
from tests.integration.harness.control_plane import ControlPlane, binary
from tests.integration.harness.proxy import Proxy

DONE, WRONG_USE, REFUSED, NOT_APPLIED = 0, 2, 3, 5
LIMIT_S = 60


def service(name, port=80):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"name": "main", "port": port, "appProtocol": "http"}]}}


def endpoint(name, port):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"name": "main", "port": port}]}


def config(xds, node_id, api_type, clusters=(), **metadata):
    """A bootstrap of a proxy that takes its clusters from a control plane, and has others of its own."""
    ads = {"api_type": api_type, "transport_api_version": "V3",
           "grpc_services": [{"envoy_grpc": {"cluster_name": "control"}}]}
    return bootstrap.bootstrap([], [bootstrap.cluster("control", [xds], http2=True), *clusters],
                               node={"id": node_id, "cluster": "test", "metadata": {"namespace": "shop", **metadata}},
                               dynamic_resources={"ads_config": ads, "cds_config": {"ads": {}, "resource_api_version": "V3"}})


class Status(unittest.TestCase):
    def setUp(self):
        self.control = self.enterContext(ControlPlane(self.enterContext(tempfile.TemporaryDirectory())))
        self.backend = self.enterContext(Backend(answer(b"cart")))
        self.control.apply(service("cart"), endpoint("cart", self.backend.address[1]))

    def start(self, node_id, api_type="DELTA_GRPC", kind=None, **more):
        proxy = self.enterContext(Proxy(config(self.control.xds, node_id, api_type, **more), kind=kind))
        self.assertTrue(eventually(lambda: self.applied().get(node_id, 0) != 0), self.control.get_admin("/nodes"))
        return proxy

    def weftctl(self, *arguments, text=None, expect=DONE):
        result = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, *arguments], input=text, capture_output=True,
                                text=True, timeout=LIMIT_S)
        self.assertEqual(expect, result.returncode, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def apply_and_wait(self, *objects, timeout="30s", expect=DONE):
        text = "\n---\n".join(json.dumps(each) for each in objects)
        return self.weftctl("apply", "-f", "-", "--wait", "--timeout", timeout, text=text, expect=expect)

    def applied(self):
        """By node, of which revision everything is applied."""
        return {node["id"]: node["appliedRevision"] for node in self.control.get_json("/nodes")}

    def metric(self, name):
        return next(float(line.split()[-1]) for line in self.control.get_admin("/metrics").splitlines() if line.split()[0] == name)

    def test_commits_are_applied_by_those_who_report_and_acknowledged_by_others(self):
        for node_id, api_type, kind in (("sotw", "GRPC", None), ("delta", "DELTA_GRPC", None), ("envoy", "DELTA_GRPC", "envoy")):
            self.start(node_id, api_type, kind)
        self.assertEqual({"sotw": 1, "delta": 1, "envoy": 1}, self.applied())
        counts = ["weft_control_commit_to_applied_seconds_count", "weft_control_commit_to_acknowledged_seconds_count"]
        before = [self.metric(name) for name in counts]
        told = self.apply_and_wait(service("pay"), endpoint("pay", self.backend.address[1]))
        self.assertIn("applied by 3 proxies, of which 1 only acknowledged\n", told)
        self.assertEqual({"sotw": 2, "delta": 2, "envoy": 2}, self.applied())
        self.assertEqual([], [state["refusals"] for state in self.control.nodes().values() if state["refusals"]])
        self.assertEqual({"sotw": True, "delta": True, "envoy": False},
                         {node["id"]: node["reports"] for node in self.control.get_json("/nodes")})
        self.assertEqual(2, self.metric("weft_control_reports"))
        self.assertEqual([each + 3 for each in before], [self.metric(name) for name in counts])
        self.assertEqual(0, self.metric("weft_control_open_commits"))

    def test_a_change_of_endpoints_a_rollback_and_a_deletion_can_be_waited_for_too(self):
        proxy = self.start("a")
        self.apply_and_wait(endpoint("cart", 9))
        self.assertIn(":9::", proxy.get_admin("/clusters"))
        self.assertIn("applied by 1 proxy\n", self.weftctl("rollback", "1", "--wait"))
        self.assertIn(f":{self.backend.address[1]}::", proxy.get_admin("/clusters"))
        self.assertIn("applied by 1 proxy\n", self.weftctl("delete", "service", "cart", "-n", "shop", "--wait"))
        self.assertNotIn("shop/cart:80::", proxy.get_admin("/clusters"))
        # Nothing changes, and of what was changed before it is known how it went.
        self.assertIn("nothing to change\nrevision 4\napplied by 1 proxy\n", self.weftctl("rollback", "4", "--wait"))

    def test_a_proxy_that_refuses_is_named_with_its_reason_and_holds_up_nobody(self):
        self.start("good")
        self.start("bad", clusters=[bootstrap.cluster("shop/pay:80", [self.backend.address])])
        told = self.apply_and_wait(service("pay"), endpoint("pay", self.backend.address[1]), expect=NOT_APPLIED)
        self.assertIn("1 of 2 proxies have applied revision 2\n", told)
        self.assertIn('bad refused it: cluster: cluster "shop/pay:80": the bootstrap has a cluster of this name', told)
        self.assertNotIn("good refused", told)
        self.assertIn("applied by 2 proxies\n", self.apply_and_wait(service("stock"), endpoint("stock", 9)))
        table = self.weftctl("proxy-status")
        self.assertRegex(table, r"bad +shop +- +\S+ +REFUSED +SYNCED")
        self.assertRegex(table, r"good +shop +- +\S+ +SYNCED +SYNCED")
        self.assertIn('bad: cluster "shop/pay:80" version', table)
        self.assertEqual(1, self.metric('weft_control_responses_total{type="cluster",state="refused"}'))
        self.assertEqual(1, self.metric('weft_control_refused_resources{type="cluster"}'))

    def test_a_proxy_that_is_stopped_is_named_when_the_time_is_over_and_catches_up(self):
        self.start("quick")
        stopped = self.start("stopped")
        stopped.process.send_signal(signal.SIGSTOP)
        try:
            told = self.apply_and_wait(service("pay"), timeout="1s", expect=NOT_APPLIED)
            self.assertIn("stopped has not applied it: has not acknowledged cluster resources", told)
            self.assertNotIn("quick has not", told)
            self.assertIn("1 of 2 proxies have applied revision 2\n", told)
            self.assertEqual(1, self.metric("weft_control_open_commits"))
        finally:
            stopped.process.send_signal(signal.SIGCONT)
        self.assertTrue(eventually(lambda: self.applied() == {"quick": 2, "stopped": 2}))
        self.assertEqual(0, self.metric("weft_control_open_commits"))

    def test_what_a_worker_has_not_come_to_yet_is_not_applied(self):
        proxy = self.start("busy")
        with held.all_but_main_thread(proxy.process.pid):
            self.control.apply(service("pay"), endpoint("pay", 9))
            # The main thread has it, and has acknowledged it.
            warming = re.compile(r"busy +shop +- +\S+ +WARMING +WARMING")
            self.assertTrue(eventually(lambda: "shop/pay:80::127.0.0.1:9" in proxy.get_admin("/clusters")))
            self.assertTrue(eventually(lambda: warming.search(self.weftctl("proxy-status"))), self.weftctl("proxy-status"))
            # What it is waited for at the end, not when one of the numbers changed last.
            self.assertRegex(self.apply_and_wait(service("stock"), timeout="1s", expect=NOT_APPLIED),
                             r'busy has not applied it: cluster "shop/(pay|stock):80" is (warming|not in force yet)')
            self.assertRegex(self.weftctl("proxy-status"), warming)
            self.assertEqual({"busy": 1}, self.applied())
        self.assertTrue(eventually(lambda: self.applied() == {"busy": 3}))

    def test_a_proxy_that_comes_back_is_waited_for_until_it_runs_what_it_missed(self):
        proxy = self.start("back")
        folder, place = self.control.folder, "%s:%d" % self.control.xds
        with held.all_but_main_thread(proxy.process.pid):
            self.control.stop()
            with ControlPlane(folder) as elsewhere:
                elsewhere.apply(service("pay"))
            self.control = self.enterContext(ControlPlane(folder, xds=place))
            self.assertTrue(eventually(lambda: "back" in self.applied()))
            # Of which no push concerned it: it was away.
            told = self.apply_and_wait(service("pay"), timeout="1s", expect=NOT_APPLIED)
            self.assertIn("back has not applied it: ", told)
        self.assertIn("revision 2\n", self.apply_and_wait(service("pay")))
        self.assertEqual({"back": 2}, self.applied())

    def test_what_a_proxy_was_given_and_runs_is_shown(self):
        self.start("a")
        self.assertRegex(self.weftctl("proxy-config", "clusters", "a"), r"shop/cart:80 +EDS +\S+ +[0-9a-f]{16} +SYNCED")
        self.assertRegex(self.weftctl("proxy-config", "endpoints", "a"), rf"shop/cart:80 +127.0.0.1 +{self.backend.address[1]} +\S+ +1 ")
        self.assertEqual("nothing\n", self.weftctl("proxy-config", "routes", "a"))
        resources = json.loads(self.weftctl("proxy-config", "clusters", "a", "-o", "json"))["resources"]
        cart = next(each for each in resources if each["name"] == "shop/cart:80")
        self.assertEqual(("SYNCED", cart["version"]), (cart["state"], cart["appliedVersion"]))
        self.assertEqual("EDS", cart["content"]["type"])
        [proxy] = json.loads(self.weftctl("proxy-status", "a", "-o", "json"))["proxies"]
        self.assertTrue(proxy["version"].startswith("weft-proxy "), proxy)
        self.assertIn("id: a\n", self.weftctl("proxy-status", "-o", "yaml"))
        self.assertIn('no proxy "b" is connected', self.weftctl("proxy-config", "clusters", "b", expect=REFUSED))
        self.assertIn('no proxy "b" is connected', self.weftctl("proxy-status", "b", expect=REFUSED))
        self.weftctl("proxy-config", "cluster", "a", expect=WRONG_USE)
        self.weftctl("apply", "-f", "-", "--wait", "--timeout", "soon", text="", expect=WRONG_USE)

    def test_envoys_client_status_discovery_tells_of_every_client(self):
        self.start("weft")
        self.start("envoy", kind="envoy")
        with grpc.insecure_channel("unix:" + self.control.socket) as channel:
            stub = csds_pb2_grpc.ClientStatusDiscoveryServiceStub(channel)

            def fetch():
                return {each.node.id: each for each in stub.FetchClientStatus(csds_pb2.ClientStatusRequest(), timeout=LIMIT_S).config}

            def are_synced():
                return all({csds_pb2.SYNCED} == {each.config_status for each in client.generic_xds_configs} for client in fetch().values())

            self.assertTrue(eventually(are_synced), fetch())
            clients = fetch()
            self.assertEqual({"weft", "envoy"}, set(clients))
            self.assertEqual("shop", clients["envoy"].node.metadata["namespace"])
            content = cluster_pb2.Cluster()
            cart = next(each for each in clients["envoy"].generic_xds_configs
                        if each.name == "shop/cart:80" and each.type_url.endswith("Cluster"))
            self.assertTrue(cart.xds_config.Unpack(content))
            self.assertEqual("shop/cart:80", content.name)
            request = csds_pb2.ClientStatusRequest(exclude_resource_contents=True)
            request.node_matchers.add().node_id.exact = "weft"
            [response] = stub.StreamClientStatus(iter([request]), timeout=LIMIT_S)
            self.assertEqual(["weft"], [each.node.id for each in response.config])
            self.assertFalse(any(each.HasField("xds_config") for each in response.config[0].generic_xds_configs))


if __name__ == "__main__":
    unittest.main()
