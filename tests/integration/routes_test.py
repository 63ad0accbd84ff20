"""Route configurations that come and change while the proxy runs, from watched files."""

import unittest

from tests.integration.harness import bootstrap, http1
from tests.integration.harness.live import Files, eventually


def table(to_cluster, name="web", prefix="/", **more):
    return {**bootstrap.route_configuration(name, [bootstrap.route(to_cluster, prefix)]), **more}


class Routes(Files):
    """Two fixed clusters, "a" and "b"; the listener's routes come from a file."""

    def start(self, concurrency=1, timeout=None):
        source = {**self.folder.source("routes"), **({"initial_fetch_timeout": timeout} if timeout else {})}
        manager = bootstrap.connection_manager(None, rds={"route_config_name": "web", "config_source": source})
        listeners = [bootstrap.listener("http", [manager]), bootstrap.tcp_listener("tcp", "a")]
        clusters = [bootstrap.cluster("a", [self.first.address]), bootstrap.cluster("b", [self.second.address])]
        self.launch(bootstrap.bootstrap(listeners, clusters), concurrency)

    def test_new_requests_see_the_new_table_on_the_same_connection(self):
        self.folder.write("routes", [table("a")])
        self.start()
        with http1.Client(self.proxy.addresses["http"]) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual(client.response().body, b"first")
            self.folder.write("routes", [table("b")])
            self.assertTrue(eventually(lambda: self.ask("/").body == b"second"))
            client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            self.assertEqual(client.response().body, b"second")
        dump = self.dump("Routes")["dynamic_route_configs"]
        self.assertEqual([(each["version_info"], each["route_config"]["name"]) for each in dump], [("2", "web")])
        self.assertEqual(self.proxy.counter("http.ingress.rds.web.config_reload"), 2)
        self.assertIn('http.ingress.rds.web.version_text: "2"\n', self.proxy.get_admin("/stats"))
        self.assertGreater(self.proxy.counter("http.ingress.rds.web.update_time"), 1_500_000_000_000)

    def test_a_request_keeps_the_table_with_which_it_began(self):
        header = {"response_headers_to_add": [{"header": {"key": "x-table", "value": "old"}}]}
        self.folder.write("routes", [table("a", **header)])
        self.start()
        with http1.Client(self.proxy.addresses["http"]) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\n")
            self.assertTrue(self.first.wait_for(lambda requests: requests))
            self.folder.write("routes", [table("b")])
            self.assertTrue(eventually(lambda: self.ask("/").body == b"second"))
            client.send(b"body")
            response = client.response()
            self.assertEqual((response.body, response.get("x-table")), (b"first", "old"))

    def test_a_bad_table_is_refused_and_the_last_good_one_stays(self):
        self.folder.write("routes", [table("a")])
        self.start()
        self.folder.write("routes", [table("")])
        self.assertTrue(eventually(lambda: self.proxy.counter("http.ingress.rds.web.update_rejected") == 1))
        self.assertEqual(self.ask("/").body, b"first")
        error = self.dump("Routes")["dynamic_route_configs"][0]["error_state"]
        self.assertIn("virtual_hosts[0].routes[0].route.cluster: is empty", error["details"])
        self.assertIn("virtual_hosts[0].routes[0].route.cluster: is empty", self.proxy.output.text())

    def test_a_cluster_that_does_not_exist_fails_the_request_alone(self):
        self.folder.write("routes", [table("c")])
        self.start()
        response = self.ask("/")
        self.assertEqual(response.status, 503)
        self.assertIn(b"The route names a cluster that does not exist. (c)", response.body)
        self.folder.write("routes", [table("missing", validate_clusters=True)])
        self.assertTrue(eventually(lambda: self.proxy.counter("http.ingress.rds.web.update_rejected") == 1))
        self.assertIn('there is no cluster "missing"', self.dump("Routes")["dynamic_route_configs"][0]["error_state"]["details"])

    def test_a_listener_whose_routes_do_not_come_in_time_goes_on_without(self):
        self.start(timeout="0.2s")
        response = self.ask("/")
        self.assertEqual(response.status, 404)
        self.assertIn(b'the route configuration "web" has not come yet', response.body)
        self.assertEqual(self.proxy.counter("http.ingress.rds.web.init_fetch_timeout"), 1)
        self.folder.write("routes", [table("a")])
        self.assertTrue(eventually(lambda: self.ask("/").body == b"first"))

    def test_no_request_fails_while_routes_change(self):
        self.folder.write("routes", [table("a")])
        self.start(concurrency=2)
        self.run_load(lambda i: self.folder.write("routes", [table("ab"[i % 2])]), 300)
        self.assertTrue(eventually(lambda: self.proxy.counter("http.ingress.rds.web.config_reload") >= 20))


if __name__ == "__main__":
    unittest.main()
