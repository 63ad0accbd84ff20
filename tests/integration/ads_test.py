"""All that another's control plane (go-control-plane) gives over an aggregated stream, SotW and delta."""

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


def ads_config(api_type):
    back_off = {"retry_back_off": {"base_interval": "0.05s"}}
    return {"api_type": api_type, "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "control", "retry_policy": back_off}}]}


class Case:
    api_type = None

    def setUp(self):
        self.first = self.enterContext(Backend(answer(b"first")))
        self.second = self.enterContext(Backend(answer(b"second")))
        self.control = ControlPlane()
        self.addCleanup(self.control.stop)
        ads = ads_config(self.api_type)
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


def listener(manager_options, name="http", **more):
    manager = bootstrap.connection_manager(None, rds={"route_config_name": "web", "config_source": {"ads": {}}}, **manager_options)
    return bootstrap.listener(name, [manager], **more)


def routes(to_cluster, **more):
    return {**bootstrap.route_configuration("web", [bootstrap.route(to_cluster)]), **more}


class Everything:
    """All but the control plane's own cluster comes from it."""

    api_type = None

    def setUp(self):
        self.first = self.enterContext(Backend(answer(b"first")))
        self.second = self.enterContext(Backend(answer(b"second")))
        self.control = ControlPlane()
        self.addCleanup(self.control.stop)
        config = bootstrap.bootstrap([], [bootstrap.cluster("control", [("127.0.0.1", self.control.port)], http2=True)],
                                     node={"id": "tester", "cluster": "test"},
                                     dynamic_resources={"ads_config": ads_config(self.api_type), "cds_config": {"ads": {}}, "lds_config": {"ads": {}}})
        self.version = 0
        self.serve()
        self.proxy = self.enterContext(Proxy(config))

    def serve(self, listeners=None, route=None):
        self.version += 1
        self.control.serve(str(self.version), clusters=[cluster("a"), cluster("b")],
                           endpoints=[endpoints("a", self.first.address), endpoints("b", self.second.address)],
                           listeners=[listener({})] if listeners is None else listeners, routes=[route or routes("a")])

    def ask(self, name="http"):
        with http1.Client(self.proxy.await_listener(name)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            return client.response()

    def refusals(self):
        return [each["error"] for each in self.control.requests() if "error" in each]

    def test_listeners_and_routes_come_change_and_go(self):
        self.assertEqual(b"first", self.ask().body)
        self.serve(route=routes("b"))
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        self.serve([listener({}), listener({"server_name": "changed"}, name="more")], routes("b"))
        self.assertEqual("changed", self.ask("more").get("server"))
        self.serve([listener({"server_name": "other"})], routes("b"))
        self.assertTrue(eventually(lambda: self.ask().get("server") == "other"))
        self.assertTrue(self.proxy.wait_until_refusing("more"))
        self.assertEqual([], self.refusals())

    def test_it_asks_for_listeners_when_the_clusters_are_warm_and_for_routes_when_listeners_name_them(self):
        self.assertEqual(b"first", self.ask().body)
        order = []
        for each in self.control.requests():
            kind = each["type"].rsplit(".", 1)[1]
            if kind not in order:
                order.append(kind)
        self.assertEqual(["Cluster", "ClusterLoadAssignment", "Listener", "RouteConfiguration"], order)

    def test_what_is_bad_is_refused_with_its_field_and_the_last_good_one_stays(self):
        self.assertEqual(b"first", self.ask().body)
        self.serve([listener({"stat_prefix": ""})])
        refusal = self.control.await_request(lambda e: "error" in e, "that refuses the listener")["error"]
        self.assertIn('listener "http": filter_chains[0].filters[0].typed_config.stat_prefix: is empty', refusal)
        self.assertEqual(b"first", self.ask().body)
        bad = routes("b")
        bad["virtual_hosts"][0]["domains"] = ["*", "*"]
        self.serve([listener({})], bad)
        refusal = self.control.await_request(lambda e: "error" in e and e["type"].endswith("RouteConfiguration"), "that refuses routes")["error"]
        self.assertIn('routes "web": ', refusal)
        self.assertEqual(b"first", self.ask().body)
        self.serve(route=routes("b"))
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))

    def test_all_goes_on_without_the_control_plane_and_follows_it_when_it_is_back(self):
        self.assertEqual(b"first", self.ask().body)
        self.control.cut()
        self.assertTrue(eventually(lambda: self.proxy.counter("control_plane.connected_state") == 0))
        self.assertEqual(b"first", self.ask().body)
        self.serve([listener({}), listener({}, name="more")], routes("b"))
        self.control.come_back()
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        self.assertEqual(b"second", self.ask("more").body)
        self.assertEqual([], self.refusals())


class EverythingSotw(Everything, unittest.TestCase):
    api_type = "GRPC"


class EverythingDelta(Everything, unittest.TestCase):
    api_type = "DELTA_GRPC"


class Sotw(Case, unittest.TestCase):
    api_type = "GRPC"


class Delta(Case, unittest.TestCase):
    api_type = "DELTA_GRPC"


if __name__ == "__main__":
    unittest.main()
