"""Our xDS client against go-control-plane's server: SotW and delta, one stream for all types and one for each, through
updates, removals, refused resources and a restart of the server."""

import os
import unittest

from tests.conformance.xds.control_plane import ControlPlane, Lines


def cluster(name, bad=False):
    return {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}, **({"alt_stat_name": "refuse-me"} if bad else {})}


def endpoints(name, port):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def listener(name):
    return {"name": name, "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}


def routes(name, domain="*"):
    return {"name": name, "virtual_hosts": [{"name": "v", "domains": [domain]}]}


class Case:
    form = None
    streams = None

    def setUp(self):
        self.server = ControlPlane()
        self.addCleanup(self.server.stop)
        self.client = Lines([os.environ["WEFT_XDS_CLIENT"], str(self.server.port), self.form, self.streams])
        self.addCleanup(self.end_client)

    def end_client(self):
        code = self.client.stop()
        self.assertEqual(0, code, self.client.errors.text())

    def serve_all(self):
        self.server.serve("1", clusters=[cluster("a"), cluster("b")], endpoints=[endpoints("a", 1), endpoints("b", 2)], listeners=[listener("l")],
                          routes=[routes("l")])
        for kind in ("cluster", "endpoints", "listener", "routes"):
            self.await_update(kind, lambda e: e["changed"])

    def await_update(self, kind, condition):
        return self.client.wait_for(lambda e: e.get("update") == kind and condition(e), f"update of {kind}")

    def await_ack(self, kind, since=0):
        """A request that accepts a response, not refusing anything, behind the first `since` events."""
        def accepted(lines):
            return [e for e in self.server._parse(lines)[since:]
                    if "request" in e and e["type"].endswith(kind) and e["nonce"] and "error" not in e]
        self.assertTrue(self.server.output.wait_for(accepted), self.server.output.text())
        return accepted(self.server.output.lines())[0]

    def test_every_type_arrives_and_is_acknowledged(self):
        self.serve_all()
        for kind in ("Cluster", "ClusterLoadAssignment", "Listener", "RouteConfiguration"):
            self.await_ack("." + kind)
        self.assertFalse([e for e in self.server.requests() if "error" in e])
        first = self.server.requests()[0]
        self.assertEqual("tester", first["node"])
        by_stream = {}
        for request in self.server.requests():
            by_stream.setdefault(request["stream"], []).append(request)
        self.assertEqual(1 if self.streams == "ads" else 4, len(by_stream))
        if self.form == "delta":  # In SotW the server remembers the node and fills it in.
            for requests in by_stream.values():
                self.assertEqual(["tester"] + [None] * (len(requests) - 1), [r.get("node") for r in requests])

    def test_a_change_of_endpoints_brings_these_alone(self):
        self.serve_all()
        self.await_ack(".ClusterLoadAssignment")
        seen = len(self.server.events())
        self.server.serve("2", clusters=[cluster("a"), cluster("b")], endpoints=[endpoints("a", 7), endpoints("b", 2)], listeners=[listener("l")],
                          routes=[routes("l")])
        if self.form == "delta":
            # The endpoints of "a" changed, and nothing else is sent.
            def changed(lines):
                return [e for e in self.client._parse(lines) if e.get("update") == "endpoints" and list(e["changed"]) == ["a"]]
            self.assertTrue(self.client.output.wait_for(changed), self.client.output.text())
        else:
            self.await_update("endpoints", lambda e: e["version"] == "2" and list(e["changed"]) == ["a", "b"])
        self.await_ack(".ClusterLoadAssignment", seen)

    def test_what_is_removed_goes(self):
        self.serve_all()
        self.server.serve("2", clusters=[cluster("b")], endpoints=[endpoints("b", 2)], listeners=[], routes=[])
        if self.form == "delta":
            self.await_update("cluster", lambda e: e["removed"] == ["a"])
            self.await_update("listener", lambda e: e["removed"] == ["l"])
            gone = self.server.await_request(lambda e: e["type"].endswith(".ClusterLoadAssignment") and "a" in (e["more"]["unsubscribe"] or []),
                                             "that no longer asks for the endpoints of a")
            self.assertNotIn("error", gone)
        else:
            self.await_update("cluster", lambda e: e["whole"] and list(e["changed"]) == ["b"])
            self.await_update("listener", lambda e: e["whole"] and not e["changed"] and e["version"] == "2")
            self.server.await_request(lambda e: e["type"].endswith(".ClusterLoadAssignment") and e["names"] == ["b"], "for the endpoints of b alone")

    def test_a_bad_resource_is_refused_with_its_reason_and_the_good_ones_are_taken(self):
        self.serve_all()
        self.server.serve("2", clusters=[cluster("a", bad=True), cluster("b"), cluster("c")], endpoints=[endpoints("a", 1), endpoints("b", 2)],
                          listeners=[listener("l")], routes=[routes("l")])
        refusal = self.server.await_request(lambda e: "error" in e, "that refuses")
        self.assertEqual('cluster "a": alt_stat_name: says refuse-me', refusal["error"])
        if self.form == "sotw":
            self.assertEqual("1", refusal["version"])
        self.await_update("cluster", lambda e: e["refused"] == 1 and "c" in e["changed"])
        reason = 'cluster "a": alt_stat_name: says refuse-me'
        self.assertTrue(self.client.errors.wait_for(lambda lines: any(reason in line for line in lines)), self.client.errors.text())
        seen = len(self.server.events())
        self.server.serve("3", clusters=[cluster("a"), cluster("b")], endpoints=[endpoints("a", 1), endpoints("b", 2)], listeners=[listener("l")],
                          routes=[routes("l")])
        self.await_ack(".Cluster", seen)

    def test_after_a_restart_of_the_server_the_client_tells_what_it_has(self):
        self.serve_all()
        for kind in (".Cluster", ".ClusterLoadAssignment", ".Listener", ".RouteConfiguration"):
            self.await_ack(kind)
        seen = len(self.server.events())
        self.server.cut()
        self.assertTrue(self.client.errors.wait_for(lambda lines: any('control plane "control_plane" is away' in line for line in lines)))
        self.server.come_back()

        def again(lines):
            return [e for e in self.server._parse(lines)[seen:] if "request" in e and e["type"].endswith(".Cluster")]
        self.assertTrue(self.server.output.wait_for(again), self.server.output.text())
        first = again(self.server.output.lines())[0]
        self.assertEqual("tester", first["node"])
        self.assertEqual("", first["nonce"])
        if self.form == "delta":
            self.assertEqual(["a", "b"], sorted(first["more"]["initial"]))
        else:
            self.assertEqual("1", first["version"])
        self.server.serve("9", clusters=[cluster("z")], endpoints=[endpoints("z", 1)], listeners=[listener("l")], routes=[routes("l")])
        self.await_update("cluster", lambda e: "z" in e["changed"])
        self.await_update("endpoints", lambda e: "z" in e["changed"])


def _make(form, streams):
    return type(f"{form}_{streams}", (Case, unittest.TestCase), {"form": form, "streams": streams, "__module__": __name__})


sotw_ads = _make("sotw", "ads")
sotw_separate = _make("sotw", "separate")
delta_ads = _make("delta", "ads")
delta_separate = _make("delta", "separate")

if __name__ == "__main__":
    unittest.main()
