"""Clusters and endpoints that change while the proxy runs, from watched files."""

import unittest

from tests.integration.harness import bootstrap, watched
from tests.integration.harness.live import Files, eventually


class Clusters(Files):
    """A proxy whose clusters come from files; routes go by cluster name."""

    def start(self, concurrency=1, **more):
        routes = [{"match": {"prefix": f"/{name}/"}, "route": {"cluster": name}} for name in ("a", "b")]
        listeners = [
            bootstrap.http_listener("http", routes),
            bootstrap.tcp_listener("tcp", "a"),
        ]
        config = bootstrap.bootstrap(listeners, [], **{"dynamic_resources": {"cds_config": self.folder.source("cluster")}, **more})
        self.launch(config, concurrency)


class Dynamic(Clusters):
    def test_clusters_come_change_and_go(self):
        self.folder.write("cluster", [bootstrap.cluster("a", [self.first.address])])
        self.start()
        self.assertEqual(self.ask().body, b"first")
        self.assertEqual(self.ask("/b/").status, 503)

        self.folder.write("cluster", [bootstrap.cluster("a", [self.second.address]), bootstrap.cluster("b", [self.first.address])])
        self.assertTrue(eventually(lambda: self.ask("/b/").status == 200))
        self.assertEqual(self.ask().body, b"second")
        dump = self.dump("Clusters")
        self.assertEqual(dump["version_info"], "2")
        self.assertEqual([each["cluster"]["name"] for each in dump["dynamic_active_clusters"]], ["a", "b"])
        self.assertEqual(self.proxy.counter("cluster_manager.cluster_modified"), 1)

        self.folder.write("cluster", [bootstrap.cluster("a", [self.second.address])])
        self.assertTrue(eventually(lambda: self.ask("/b/").status == 503))
        self.assertEqual(self.proxy.counter("cluster_manager.cluster_removed"), 1)
        self.assertNotIn("cluster.b.", self.proxy.get_admin("/stats"))

    def test_what_is_bad_is_refused_and_what_runs_goes_on(self):
        good = bootstrap.cluster("a", [self.first.address])
        self.folder.write("cluster", [good])
        self.start()
        self.folder.write("cluster", [{**good, "connect_timeout": "-1s"}, bootstrap.cluster("b", [self.second.address])])
        self.assertTrue(eventually(lambda: self.ask("/b/").status == 200))
        self.assertEqual(self.ask().body, b"first")
        error = self.dump("Clusters")["dynamic_active_clusters"][0]["error_state"]
        self.assertIn("connect_timeout: expected more than zero", error["details"])
        self.assertEqual(self.proxy.counter("cluster_manager.cds.update_rejected"), 1)

        self.folder.write_text("cluster", "version_info: '9'\nresources:\n- nonsense: [\n")
        self.assertTrue(self.proxy.output.wait_for(lambda lines: any("cluster.yaml:" in line and "refused" in line for line in lines)))
        self.assertEqual(self.ask().body, b"first")

        self.folder.write("cluster", [good])
        self.assertTrue(eventually(lambda: self.ask("/b/").status == 503))
        self.assertNotIn("error_state", self.dump("Clusters")["dynamic_active_clusters"][0])

    def test_a_changed_cluster_takes_over_when_its_endpoints_are_known(self):
        self.folder.write("cluster", [bootstrap.cluster("a", [self.first.address])])
        self.start()
        self.folder.write("cluster", [watched.discovered("a", self.folder.source("endpoints"))])
        self.assertTrue(eventually(lambda: self.dump("Clusters")["dynamic_warming_clusters"]))
        self.assertEqual(self.ask().body, b"first")
        self.folder.write("endpoints", [watched.assignment("a", self.second.address)])
        self.assertTrue(eventually(lambda: not self.dump("Clusters")["dynamic_warming_clusters"]))
        self.assertEqual(self.ask().body, b"second")
        endpoints = self.dump("Endpoints", "?include_eds")["dynamic_endpoint_configs"]
        self.assertEqual(endpoints[0]["endpoint_config"]["cluster_name"], "a")

    def test_endpoints_that_stay_keep_their_connections(self):
        self.folder.write("endpoints", [watched.assignment("a", self.first.address)])
        self.folder.write("cluster", [watched.discovered("a", self.folder.source("endpoints"))])
        self.start()
        self.assertEqual(self.ask().body, b"first")
        self.folder.write("endpoints", [watched.assignment("a", self.first.address, self.second.address)])
        self.assertTrue(eventually(lambda: self.ask().body == b"second"))
        self.assertTrue(eventually(lambda: self.ask().body == b"first"))
        self.assertEqual(len(self.first.raw), 1)

    def test_another_kind_of_source_is_refused_by_name(self):
        with self.assertRaisesRegex(AssertionError, "dynamic_resources.cds_config.ads"):
            self.start(dynamic_resources={"cds_config": {"ads": {}}})


class UnderLoad(Clusters):
    def test_no_request_fails_while_clusters_and_endpoints_change(self):
        source = self.folder.source("endpoints")
        backends = [self.first.address, self.second.address]
        self.folder.write("endpoints", [watched.assignment("a", *backends)])
        self.folder.write("cluster", [watched.discovered("a", source)])
        self.start(concurrency=2)

        def change(i):
            if i % 2 == 0:
                some = [backends, backends[:1], backends[1:]][i // 2 % 3]
                self.folder.write("endpoints", [watched.assignment("a", *some)])
            else:
                self.folder.write("cluster", [watched.discovered("a", source, connect_timeout=f"{2 + i}s")])

        self.run_load(change, 300)
        self.assertTrue(eventually(lambda: self.proxy.counter("cluster_manager.cluster_modified") >= 20))


if __name__ == "__main__":
    unittest.main()
