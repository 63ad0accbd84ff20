"""The bench's own parsers, statistics, configurations and reports."""

import json
import os
import socket
import tempfile
import threading
import unittest
import xml.dom.minidom

from bench import envoy_bootstrap, instructions, load, peers, process, report, scenarios
from bench.process import BenchError
from bench.rounds import Row
from bench.setup import Setup

H2LOAD = """starting benchmark...
finished in %s, 33800.15 req/s, 6.96MB/s
requests: 600 total, 600 started, 600 done, %d succeeded, %d failed, %d errored, 0 timeout
status codes: 600 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 126.56KB (129600) total, 47.46KB (48600) headers (space savings 0.00%%), 58.59KB (%d) data
                     min         max         mean         sd        +/- sd
time for request:       35us      8.32ms      1.87ms      1.13ms    79.45%%
"""

WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.52ms    2.81ms  18.23ms   69.64%
    Req/Sec     6.17k     1.29k    7.76k    50.00%
  Latency Distribution
     50%  853.00us
     75%    6.21ms
     90%    9.17ms
     99%   13.54ms
  6153 requests in 1.10s, 1.38MB read
"""


class Statistics(unittest.TestCase):
    def test_the_median_of_an_even_count_lies_between_the_middle_two(self):
        self.assertEqual(load.median([4, 1, 3, 2]), 2.5)
        self.assertEqual(load.median([9, 1, 5]), 5)
        self.assertEqual(load.median([]), 0)

    def test_a_percentile_is_a_value_that_occurred(self):
        values = list(range(1, 101))
        self.assertEqual(load.percentile(values, 0.5), 50)
        self.assertEqual(load.percentile(values, 0.99), 99)
        self.assertEqual(load.percentile([7], 0.99), 7)
        self.assertEqual(load.percentile([], 0.5), 0)


class Clients(unittest.TestCase):
    def test_h2load_of_whole_answers_is_clean(self):
        summary = load.parse_h2load(H2LOAD % ("1.78s", 600, 0, 0, 60000))
        self.assertEqual(summary["succeeded"], 600)
        self.assertAlmostEqual(summary["seconds"], 1.78)
        self.assertEqual(load.judge_h2load(summary, 600, 100), (0, ""))

    def test_h2load_counts_failed_and_unanswered_requests(self):
        summary = load.parse_h2load(H2LOAD % ("307.80ms", 590, 10, 4, 59000))
        self.assertAlmostEqual(summary["seconds"], 0.3078)
        failed, complaint = load.judge_h2load(summary, 600, 100)
        self.assertEqual(failed, 10)
        self.assertIn("10 of 600", complaint)

    def test_a_body_of_the_wrong_size_fails_the_whole_run(self):
        summary = load.parse_h2load(H2LOAD % ("1.0s", 600, 0, 0, 59999))
        failed, complaint = load.judge_h2load(summary, 600, 100)
        self.assertEqual(failed, 600)
        self.assertIn("59999 body bytes", complaint)

    def test_an_unknown_text_is_an_error_and_not_a_zero(self):
        with self.assertRaises(BenchError):
            load.parse_h2load("connection refused")
        with self.assertRaises(BenchError):
            load.parse_wrk("unable to connect")

    def test_the_log_tells_durations_from_failures(self):
        durations, failed = load.parse_h2load_log("1\t200\t30\n2\t503\t5\n3\t200\t10\n4\t-1\t7\n")
        self.assertEqual(durations, [10, 30])
        self.assertEqual(failed, 2)

    def test_wrk_without_errors(self):
        result = load.parse_wrk(WRK)
        self.assertEqual((result.requests, result.failed, result.complaint), (6153, 0, ""))
        self.assertEqual((result.p50_us, result.p99_us), (853, 13540))
        self.assertAlmostEqual(result.seconds, 1.1)

    def test_wrk_with_errors(self):
        result = load.parse_wrk(WRK + "  Socket errors: connect 1, read 2, write 3, timeout 4\n"
                                "  Non-2xx or 3xx responses: 5\n")
        self.assertEqual(result.failed, 15)
        self.assertIn("5 answers were not 2xx", result.complaint)

    def test_an_answer_is_whole_only_with_its_status_and_all_its_body(self):
        for sent, whole in ((b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxxx", True),
                            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxx", False),
                            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False)):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.sendall(sent)
                theirs.shutdown(socket.SHUT_WR)
                self.assertEqual(load.whole_answer(ours, 3), whole)

    def test_settled_waits_until_a_figure_stays(self):
        values = iter([10, 900] + [1000] * 1000)
        self.assertEqual(load.settled(lambda: next(values), 5), 1000)


class Costs(unittest.TestCase):
    def test_a_stat_line_is_read_past_a_name_with_parentheses(self):
        fields = ["S"] + [str(number) for number in range(4, 53)]  # field N of the manual holds N
        self.assertEqual(process.parse_stat_ticks("7 (a (b) c) " + " ".join(fields)), 14 + 15 + 16 + 17)

    def test_a_status_line_that_is_missing_counts_nothing(self):
        self.assertEqual(process.parse_status_kib("Name:\tx\nVmRSS:\t  1234 kB\n", "VmRSS"), 1234)
        self.assertEqual(process.parse_status_kib("Name:\tx\n", "VmRSS"), 0)

    def test_exact_time_is_used_only_while_no_thread_has_ended(self):
        before = process.Cpu(10_000_000, 11, frozenset({(1, "1")}))
        self.assertEqual(process.Cpu(20_000_000, 25, frozenset({(1, "1"), (1, "2")})).since(before), 14)
        self.assertEqual(process.Cpu(20_000_000, 5, frozenset()).since(before), 10_000_000)

    def test_our_own_cpu_time_is_seen(self):
        before = process.cpu_of([os.getpid()])
        total = 0
        while process.cpu_of([os.getpid()]).since(before) <= 0:
            total += sum(range(10_000))
        self.assertGreater(process.rss_kib([os.getpid()]), 1000)

    def test_waiting_ends_with_the_reason(self):
        with self.assertRaisesRegex(BenchError, "the moon rises: not within 0 s"):
            process.wait_for(lambda: False, "the moon rises", seconds=0)

    def test_listens_sees_a_listener(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            self.assertFalse(process.listens(port))
            listener.listen()
            self.assertTrue(process.listens(port))


class FakeCertificates:
    ca = "/ca.pem"

    def certificate(self, who):
        return "/%s.pem" % who

    key = both = certificate


class Configurations(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def make(self, **fields):
        return Setup(folder=self.folder.name, upstream_port=1, port=2, admin_port=3, certificates=FakeCertificates(),
                     **fields)

    def test_the_bootstrap_has_as_many_clusters_and_routes_as_asked(self):
        static = json.loads(envoy_bootstrap.bootstrap(self.make(clusters=1000, routes=7)))["static_resources"]
        self.assertEqual(len({cluster["name"] for cluster in static["clusters"]}), 1000)
        manager = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        self.assertEqual(len(manager["route_config"]["virtual_hosts"][0]["routes"]), 7)
        self.assertIn("access_log", manager)

    def test_the_mesh_verifies_both_ways(self):
        text = envoy_bootstrap.bootstrap(self.make(downstream_tls="mutual", upstream="h2", upstream_tls=True))
        static = json.loads(text)["static_resources"]
        downstream = static["listeners"][0]["filter_chains"][0]["transport_socket"]["typed_config"]
        upstream = static["clusters"][0]["transport_socket"]["typed_config"]
        self.assertTrue(downstream["require_client_certificate"])
        for side in (downstream, upstream):
            self.assertIn("match_typed_subject_alt_names", side["common_tls_context"]["validation_context"])

    def test_a_hop_with_policies_is_measured_at_both_ends_and_governed_at_the_callees(self):
        filters = lambda **fields: [each["name"] for each in json.loads(envoy_bootstrap.bootstrap(self.make(**fields)))["static_resources"][
            "listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]]
        self.assertEqual(filters(), ["envoy.filters.http.router"])
        self.assertEqual(filters(policies=2, upstream="h2", upstream_tls=True), ["weft.filters.http.hop_metrics", "envoy.filters.http.router"])
        self.assertEqual(filters(policies=2, downstream_tls="mutual"), ["weft.authorization.allow", "weft.filters.http.hop_metrics", "envoy.filters.http.router"])

    def test_without_a_log_nobody_logs(self):
        for name, peer in peers.CLASSES.items():
            words = peer({name: "/bin/" + name}).command(self.make(log=False))
            for file in os.listdir(self.folder.name):
                text = process.read_file(os.path.join(self.folder.name, file))
                self.assertNotIn("access.log", text, name)
                self.assertNotIn("log stdout", text, name)
            self.assertNotIn("access.log", " ".join(str(word) for word in words), name)

    def test_an_unknown_or_missing_peer_is_named(self):
        with self.assertRaisesRegex(BenchError, "no peer is called 'apache'"):
            peers.make_peers(["apache"], {})
        with self.assertRaisesRegex(BenchError, "nginx is not installed"):
            peers.make_peers(["nginx"], {})

    def test_scenarios_are_chosen_by_name_in_their_order(self):
        self.assertEqual([one.name for one in scenarios.by_name(["mesh", "h1"])], ["h1", "mesh"])
        self.assertEqual(len(scenarios.by_name([])), len(scenarios.SCENARIOS))
        with self.assertRaises(KeyError):
            scenarios.by_name(["h3"])


def rows_of(scenario, **cpu):
    rows = []
    for peer, value in cpu.items():
        row = Row(scenario, peer)
        row.add(cpu_us=value, rate_p99_us=value * 10)
        rows.append(row)
    return rows


class Reports(unittest.TestCase):
    def test_ratios_are_to_the_relay(self):
        text = report.scenario_table(scenarios.by_name(["h1"])[0], rows_of("h1", weft=12.0, haproxy=15.0, relay=10.0))
        cells = {line.split()[0]: line.split() for line in text.splitlines()[2:]}
        self.assertEqual((cells["weft"][3], cells["haproxy"][3], cells["relay"][3]), ("1.20", "1.50", "1.00"))

    def test_a_row_that_failed_says_so_and_yields_no_verdict(self):
        rows = rows_of("h1", weft=12.0, haproxy=15.0)
        rows[0].complain("3 of 100 requests failed\nmore", 3)
        self.assertIn("FAILED: 3 of 100 requests failed", report.scenario_table(scenarios.by_name(["h1"])[0], rows))
        self.assertEqual(report.verdicts(rows), [])

    def test_verdicts_tell_must_from_aim(self):
        found = {text: (measured, limit, aim) for text, measured, limit, aim in
                 report.verdicts(rows_of("h2", weft=10.0, haproxy=10.0))}
        self.assertEqual(found["h2: CPU per request over haproxy's"], (1.0, 1.1, 0.9))
        self.assertEqual(report.verdict_of(1.0, 1.1, 0.9), "met, short of the aim")
        self.assertEqual(report.verdict_of(1.2, 1.1, 0.9), "MISSED")
        self.assertEqual(report.verdict_of(0.8, 1.1, 0.9), "met")
        self.assertEqual(report.verdict_of(1.3, None, 1.25), "short of the aim")

    def test_the_plot_is_xml_with_a_bar_per_row(self):
        drawn = report.to_svg(scenarios.by_name(["h1", "h2"]), rows_of("h1", weft=12, relay=10) + rows_of("h2", weft=9))
        document = xml.dom.minidom.parseString(drawn)
        self.assertEqual(len(document.getElementsByTagName("rect")), 1 + 3)

    def test_json_keeps_every_sample(self):
        row = Row("h1", "relay")
        row.add(cpu_us=3.0)
        row.add(cpu_us=1.0)
        parsed = json.loads(report.to_json([row], {"versions": {}}, {"relay": peers.Relay({})}, {}))
        self.assertEqual(parsed["rows"][0]["samples"]["cpu_us"], [3.0, 1.0])
        self.assertEqual(parsed["rows"][0]["median"]["cpu_us"], 2.0)


class Instructions(unittest.TestCase):
    def test_what_starting_costs_cancels_out(self):
        self.assertEqual(instructions.per_request(1_000 + 50 * 10, 1_000 + 100 * 10, 50), 10)

    def test_a_dump_without_a_total_is_an_error(self):
        self.assertEqual(instructions.parse_dump("events: Ir\nsummary: 12\n\ntotals: 12\n"), 12)
        with self.assertRaises(BenchError):
            instructions.parse_dump("events: Ir\n")

    def test_growth_past_the_tolerance_is_worse(self):
        self.assertFalse(instructions.compare({"h1": 1020.0}, {"h1": 1000})[1])
        lines, worse = instructions.compare({"h1": 1050.0, "h2": 10.0}, {"h1": 1000})
        self.assertTrue(worse)
        self.assertIn("+5.0%  GREW", lines[0])
        self.assertIn("nothing committed", lines[1])

    def test_committed_figures_are_read_back(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "figures.json")
            self.assertEqual(instructions.read_committed(path), {})
            instructions.write_committed(path, {"h1": 12.6})
            self.assertEqual(instructions.read_committed(path), {"h1": 13})


class Connections(unittest.TestCase):
    def test_every_idle_connection_can_be_used(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=16)

        def serve():
            accepted = [listener.accept()[0] for _ in range(5)]
            for number, connection in enumerate(accepted):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % (500 if number == 3 else 200))
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        crowd = load.IdleConnections(listener.getsockname()[1], 5)
        try:
            self.assertEqual(crowd.request_on_each("/", 2), 1)
        finally:
            crowd.close()
            thread.join()
            listener.close()


if __name__ == "__main__":
    unittest.main()
