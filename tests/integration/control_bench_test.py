"""The control bench's load tool against weft-control and its peer, small: each change arrives at every proxy that has the
service in its scope, by both forms. Shows that the bench measures what it says, and weft-control under many streams."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft"))
sys.path.insert(0, str(ROOT / "tests"))

from bench import control_plane, process  # noqa: E402

# Every proxy is of another scope, and the services are few enough that each change concerns many.
PROXIES = 60
PLAN = control_plane.Plan(services=200, endpoint_changes=4, route_changes=2, new_services=2, storm_changes=40, storm_seconds=0.5)


class ControlBench(unittest.TestCase):
    def setUp(self):
        # As any other test: beside what else runs, not before it.
        self.enterContext(unittest.mock.patch.object(process, "real_time", lambda: []))

    def measure(self, peer, *words):
        control = os.environ.get("WEFT_CONTROL_BINARY")
        self.assertTrue(control, "set WEFT_CONTROL_BINARY to the path of the program (tools/test does)")
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(control, os.path.join(folder, "weft-control"))
            for name in ("load", "peer"):
                shutil.copy(CACHE / "bin" / f"control_bench_{name}", os.path.join(folder, name))
            options = control_plane.parse_arguments(["--load-core", "0", *words])
            rows = {}
            for number, form in enumerate(options.forms.split(",")):
                control_plane.run_one(rows, peer, folder, options, PLAN, form, PROXIES, number)
        for row in rows.values():
            self.assertEqual([], row.complaints, f"{row.scenario}, {row.variant}")
        return {(row.scenario, row.variant): row for row in rows.values()}

    def test_every_change_arrives_everywhere_from_weft_control(self):
        rows = self.measure("weft")
        self.assertEqual(14, len(rows))
        for form in control_plane.FORMS:
            sync = rows["first sync", f"{form}, {PROXIES} proxies"].median("responses")
            # Clusters, endpoints, listener and route of each, and nothing twice.
            self.assertEqual(4 * PROXIES, sync, form)

    def test_every_change_arrives_everywhere_from_the_peers(self):
        for peer in control_plane.PEERS[1:]:
            with self.subTest(peer=peer):
                self.assertEqual(14, len(self.measure(peer)))

    def test_proxies_come_by_tls_and_show_a_token(self):
        for peer in control_plane.PEERS:
            rows = self.measure(peer, "--tls", "--forms", "delta", "--rows", "endpoint,reconnect")
            self.assertEqual([("endpoint", "delta, 60 proxies, TLS"), ("first sync", "delta, 60 proxies, TLS"),
                              ("memory", "delta, 60 proxies, TLS"), ("reconnect", "delta, 60 proxies, TLS")], sorted(rows))

    def test_the_load_tool_tells_right_from_wrong(self):
        run = subprocess.run(["go", "test", "./..."], cwd=ROOT / "tests/bench/control", capture_output=True, text=True,
                             env={**os.environ, "PATH": os.environ["PATH"] + os.pathsep + str(CACHE / "bin")})
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
