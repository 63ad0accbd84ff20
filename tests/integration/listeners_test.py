"""Listeners that come, change and go while the proxy runs, from watched files."""

import json
import threading
import unittest
import urllib.error
import urllib.request

from tests.integration.harness import bootstrap, http1, http2, watched
from tests.integration.harness.live import Files, Load, eventually
from tools.demos.ports import free_port

INSPECTOR = {
    "name": "envoy.filters.listener.http_inspector",
    "typed_config": {"@type": bootstrap.TYPE + "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"},
}


def chain(manager, protocol):
    return {"filter_chain_match": {"application_protocols": [protocol]}, "filters": [manager]}


class Listeners(Files):
    """Two fixed clusters, "a" and "b"; all listeners come from a file."""

    def start(self, concurrency=1, static=(), **more):
        clusters = [bootstrap.cluster("a", [self.first.address]), bootstrap.cluster("b", [self.second.address])]
        dynamic = {"dynamic_resources": {"lds_config": self.folder.source("listener")}}
        self.launch(bootstrap.bootstrap(list(static), clusters, **{**dynamic, **more}), concurrency)

    def refused(self, name):
        """Why the last update of the listener was refused; None while it was not."""
        for each in self.dump("Listeners")["dynamic_listeners"]:
            if each["name"] == name:
                return each.get("error_state", {}).get("details")
        return None

    def test_listeners_come_change_and_go(self):
        first = bootstrap.http_listener("http", [bootstrap.route("a")])
        self.folder.write("listener", [first])
        self.start()
        self.assertEqual(self.ask().body, b"first")
        self.folder.write("listener", [first, bootstrap.http_listener("more", [bootstrap.route("b")])])
        more = self.proxy.await_listener("more")
        self.assertEqual(self.ask(at=more).body, b"second")
        dump = self.dump("Listeners")
        self.assertEqual([each["name"] for each in dump["dynamic_listeners"]], ["http", "more"])
        self.assertEqual(dump["version_info"], "2")
        statuses = json.loads(self.proxy.get_admin("/listeners?format=json"))["listener_statuses"]
        self.assertEqual({each["name"] for each in statuses}, {"http", "more"})

        with http1.Client(more) as kept:
            kept.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertIsNone(kept.response().get("connection"))
            self.folder.write("listener", [bootstrap.http_listener("http", [bootstrap.route("b")])])
            self.assertTrue(eventually(lambda: self.ask().body == b"second"))
            self.proxy.addresses["more"] = more
            self.assertTrue(self.proxy.wait_until_refusing("more"))
            self.assertIn("more", self.draining())
            # What is open has its last answer.
            kept.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            response = kept.response()
            self.assertEqual((response.status, response.get("connection")), (200, "close"))
        self.assertTrue(eventually(lambda: not self.draining()))
        self.assertEqual(self.proxy.counter("listener_manager.listener_removed"), 1)
        self.assertEqual(self.proxy.counter("listener_manager.listener_modified"), 1)
        self.assertEqual(self.proxy.counter("listener_manager.lds.update_success"), 3)
        self.assertEqual(self.proxy.counter("listener_manager.total_listeners_active"), 1)

    def draining(self):
        return [each["name"] for each in self.dump("Listeners")["dynamic_listeners"] if "draining_state" in each]

    def test_what_is_bad_is_refused_and_what_runs_goes_on(self):
        good = bootstrap.http_listener("http", [bootstrap.route("a")])
        self.folder.write("listener", [good])
        self.start(static=[bootstrap.http_listener("fixed", [bootstrap.route("b")])])
        self.proxy.await_listener("http")
        port = self.proxy.addresses["http"][1]
        self.folder.write("listener", [
            bootstrap.http_listener("http", [bootstrap.route("missing")]),
            bootstrap.http_listener("fixed", [bootstrap.route("a")]),
            {"name": "grpc", "api_listener": {"api_listener": bootstrap.connection_manager([])["typed_config"]}},
            bootstrap.listener("same", [bootstrap.connection_manager([bootstrap.route("a")])], port=port),
            bootstrap.listener("nowhere", [bootstrap.connection_manager([bootstrap.route("a")])], host="203.0.113.1"),
            bootstrap.http_listener("good", [bootstrap.route("b")]),
        ])
        good_address = self.proxy.await_listener("good")
        self.assertEqual(self.ask(at=good_address).body, b"second")
        self.assertEqual(self.ask().body, b"first")
        self.assertIn('route_config.virtual_hosts[0].routes[0].route.cluster: there is no cluster "missing"', self.refused("http"))
        self.assertEqual(self.refused("fixed"), "the bootstrap has a listener of this name")
        self.assertIn("api_listener: is for gRPC clients", self.refused("grpc"))
        self.assertIn(f'address: 127.0.0.1:{port} is the address of listener "http"', self.refused("same"))
        self.assertIn("address: cannot listen on 203.0.113.1:0", self.refused("nowhere"))
        self.assertEqual(self.proxy.counter("listener_manager.lds.update_rejected"), 1)
        self.assertEqual(self.proxy.counter("listener_manager.listener_create_failure"), 5)

    def test_only_filter_chains_that_changed_end(self):
        def listener(to_cluster):
            return {**bootstrap.http_listener("http", []), "listener_filters": [INSPECTOR], "filter_chains": [
                chain(bootstrap.connection_manager([bootstrap.route("a")]), "http/1.1"),
                chain(bootstrap.connection_manager([bootstrap.route(to_cluster)], codec="HTTP2", drain_timeout="0.1s"), "h2c")]}

        self.folder.write("listener", [listener("a")])
        self.start()
        with http1.Client(self.proxy.addresses["http"]) as kept, http2.Client(self.proxy.addresses["http"]) as ended:
            kept.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual(kept.response().status, 200)
            self.assertEqual(ended.request().body, b"first")
            self.folder.write("listener", [listener("b")])
            # The other chain's connection is told to go, and goes.
            self.assertTrue(ended.wait(lambda: ended.goaway is not None))
            ended.wait(lambda: False)
            kept.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            response = kept.response()
            self.assertEqual((response.status, response.get("connection")), (200, None))
        with http2.Client(self.proxy.addresses["http"]) as new:
            self.assertEqual(new.request().body, b"second")
        self.assertEqual(self.proxy.counter("listener_manager.listener_in_place_updated"), 1)

    def test_a_changed_listener_takes_over_when_its_routes_are_there(self):
        self.folder.write("listener", [bootstrap.http_listener("http", [bootstrap.route("a")])])
        self.start()
        rds = {"route_config_name": "web", "config_source": self.folder.source("routes")}
        self.folder.write("listener", [bootstrap.listener("http", [bootstrap.connection_manager(None, rds=rds)])])
        self.assertTrue(eventually(lambda: "warming_state" in self.dump("Listeners")["dynamic_listeners"][0]))
        self.assertEqual(self.ask().body, b"first")
        self.folder.write("routes", [bootstrap.route_configuration("web", [bootstrap.route("b")])])
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        self.assertNotIn("warming_state", self.dump("Listeners")["dynamic_listeners"][0])

    def test_connections_that_do_not_end_are_closed_when_the_drain_time_is_over(self):
        self.folder.write("listener", [bootstrap.tcp_listener("tcp", "a"), bootstrap.http_listener("http", [bootstrap.route("a")])])
        self.start_with_drain_time(1)
        with http1.Client(self.proxy.addresses["tcp"]) as tcp, http1.Client(self.proxy.addresses["http"]) as idle:
            tcp.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            idle.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual((tcp.response().status, idle.response().status), (200, 200))
            self.folder.write("listener", [])
            for each in (tcp, idle):
                self.assertTrue(each.reader.at_end())
        self.assertTrue(eventually(lambda: self.proxy.counter("listener_manager.total_listeners_draining") == 0))

    def start_with_drain_time(self, seconds):
        clusters = [bootstrap.cluster("a", [self.first.address])]
        dynamic = {"lds_config": self.folder.source("listener")}
        self.launch(bootstrap.bootstrap([], clusters, dynamic_resources=dynamic), arguments=("--drain-time-s", str(seconds)))

    def test_the_workers_wait_for_listeners_and_their_routes_and_ready_says_so(self):
        port = free_port()
        rds = {"route_config_name": "web", "config_source": self.folder.source("routes")}
        clusters = [bootstrap.cluster("a", [self.first.address])]
        config = bootstrap.bootstrap([], clusters, dynamic_resources={"lds_config": self.folder.source("listener")})
        config["admin"]["address"]["socket_address"]["port_value"] = port
        started = threading.Thread(target=lambda: self.launch(config))
        started.start()
        try:
            self.assertTrue(eventually(lambda: ready(port) == (503, "INITIALIZING\nwaiting for listeners\n")))
            self.folder.write("listener", [bootstrap.listener("http", [bootstrap.connection_manager(None, rds=rds)])])
            self.assertTrue(eventually(lambda: ready(port) == (503, "INITIALIZING\nwaiting for what these listeners need: http\n")))
            self.folder.write("routes", [bootstrap.route_configuration("web", [bootstrap.route("a")])])
            self.assertTrue(eventually(lambda: ready(port) == (200, "LIVE\n")))
        finally:
            self.folder.write("listener", [])
            started.join()

    def test_another_kind_of_source_is_refused_by_name(self):
        with self.assertRaisesRegex(AssertionError, "dynamic_resources.lds_config.ads"):
            self.start(dynamic_resources={"lds_config": {"ads": {}}})


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return None


class UnderLoad(Files):
    """One listener for HTTP and one for TCP under changes of every kind."""

    def test_no_request_fails_while_everything_changes(self):
        endpoints, rds = self.folder.source("endpoints"), {"route_config_name": "web", "config_source": self.folder.source("routes")}
        backends = [self.first.address, self.second.address]
        with Load.grpc_server() as grpc_address:
            fixed = bootstrap.cluster("g", [grpc_address], http2=True)
            port = free_port()

            def listeners(i):
                manager = bootstrap.connection_manager(None, rds=rds, stream_idle_timeout=f"{300 + i}s")
                name = "web" if i % 20 < 10 else "renamed"
                return [bootstrap.listener(name, [manager], port=port), bootstrap.tcp_listener("tcp", "a", idle_timeout=f"{3600 + i}s")]

            def routes(i):
                grpc = {"match": {"prefix": "/test.Echo/"}, "route": {"cluster": "g", "timeout": "0s"}}
                return [bootstrap.route_configuration("web", [grpc, bootstrap.route("a", timeout=f"{15 + i}s")])]

            def write(i):
                kinds = [("endpoints", lambda: [watched.assignment("a", *[backends, backends[:1], backends[1:]][i % 3])]),
                         ("cluster", lambda: [fixed, watched.discovered("a", endpoints, connect_timeout=f"{2 + i}s")]),
                         ("routes", lambda: routes(i)),
                         ("listener", lambda: listeners(i))]
                kind, resources = kinds[i % 4]
                self.folder.write(kind, resources())

            for i in (0, 1, 2, 3):
                write(i)
            self.launch(bootstrap.bootstrap([], [], dynamic_resources={"cds_config": self.folder.source("cluster"),
                                                                      "lds_config": self.folder.source("listener")}),
                        concurrency=2, arguments=("--drain-time-s", "600"))
            load = Load(("127.0.0.1", port), self.proxy.await_listener("tcp"), grpc=True)
            load.run(lambda i: write(i + 4), 300, self)
        self.assertTrue(eventually(lambda: self.proxy.counter("listener_manager.listener_modified") >= 20))
        self.assertGreaterEqual(self.proxy.counter("listener_manager.listener_removed"), 2)
        self.assertGreaterEqual(self.proxy.counter("cluster_manager.cluster_modified"), 20)


if __name__ == "__main__":
    unittest.main()
