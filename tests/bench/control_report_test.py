"""What the control bench makes of its figures."""

import json
import unittest
import xml.dom.minidom

from bench import control_plane, control_report
from bench.rounds import Row

VARIANT = "delta, 3000 proxies"


def found(cpu_ms, p99_ms, samples=10, expected=10, repetitions=2, error=""):
    spread = {"p50_ms": 1, "p99_ms": p99_ms, "max_ms": p99_ms}
    return {"received": spread, "acknowledged": spread, "samples": samples, "expected": expected, "repetitions": repetitions,
            "bytes": 1000, "responses": 10, "commit_p99_ms": 1, "cpu_ms": cpu_ms, "error": error}


def rows_of(ours, theirs, scenario="endpoint"):
    rows = {}
    control_plane.add_sample(rows, scenario, "weft", VARIANT, ours)
    control_plane.add_sample(rows, scenario, "go-control-plane", VARIANT, theirs)
    return list(rows.values())


class Figures(unittest.TestCase):
    def test_a_change_costs_its_share_of_the_repetitions_and_a_storm_all_of_it(self):
        self.assertEqual(rows_of(found(10, 1), found(10, 1))[0].median("cpu_ms"), 5)
        self.assertEqual(rows_of(found(10, 1), found(10, 1), "storm")[0].median("cpu_ms"), 10)
        self.assertEqual(rows_of(found(10, 1), found(10, 1))[0].median("bytes"), 500)

    def test_what_did_not_arrive_fails_the_row(self):
        row = rows_of(found(10, 1, samples=9), found(10, 1))[0]
        self.assertEqual(row.complaints, ["9 of 10 arrived"])
        self.assertEqual(control_report.verdicts([row]), [])
        self.assertIn("FAILED: 9 of 10", control_report.table(VARIANT, [row]))
        self.assertEqual(rows_of(found(10, 1, error="it broke"), found(10, 1))[0].complaints, ["it broke"])

    def test_the_verdict_is_by_the_ratio_and_the_storm_by_its_time(self):
        (text, measured, must, aim), = control_report.verdicts(rows_of(found(6, 1), found(8, 1)))
        self.assertEqual((measured, must, aim), (0.75, 1.0, 0.5))
        self.assertIn("endpoint", text)
        storm = control_report.verdicts(rows_of(found(6, 501), found(8, 1), "storm"))[1]
        self.assertEqual(storm[1:3], (501, 500))
        self.assertIn("MISSED", control_report.verdict_table(rows_of(found(6, 501), found(8, 1), "storm")))

    def test_memory_is_held_against_the_limit_and_the_peer(self):
        rows = [Row("memory", peer, VARIANT) for peer in control_plane.PEERS]
        rows[0].add(rss_per_proxy_kib=130.0)
        rows[1].add(rss_per_proxy_kib=100.0)
        # What a server of that kind can be at its best is an aim.
        rows[2].add(rss_per_proxy_kib=65.0)
        self.assertEqual([verdict[1:] for verdict in control_report.verdicts(rows)],
                         [(1.3, 1.0, 0.5), (2.0, None, 1.0), (130.0, 120, 60)])

    def test_memory_by_tls_is_held_against_the_peer_alone(self):
        row = Row("memory", "weft", VARIANT + ", TLS")
        row.add(rss_per_proxy_kib=130.0)
        self.assertEqual([verdict[1:] for verdict in control_report.verdicts([row])], [(130.0, None, 60)])

    def test_json_and_svg_hold_every_row(self):
        rows = rows_of(found(6, 1), found(8, 1))
        report = json.loads(control_report.to_json(rows, control_plane.QUICK))
        self.assertEqual([row["server"] for row in report["rows"]], ["weft", "go-control-plane"])
        self.assertEqual(report["rows"][0]["samples"]["cpu_ms"], [3.0])
        self.assertIn("go-control-plane", xml.dom.minidom.parseString(control_report.to_svg(rows)).toxml())


class Words(unittest.TestCase):
    def test_a_wrong_word_is_told_with_those_that_there_are(self):
        self.assertEqual(control_plane.listed("delta", control_plane.FORMS, "form"), ["delta"])
        with self.assertRaisesRegex(control_plane.BenchError, "no form is called ads; there are delta, sotw"):
            control_plane.listed("delta,ads", control_plane.FORMS, "form")


if __name__ == "__main__":
    unittest.main()
