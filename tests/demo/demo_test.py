"""tools/demo, as a user runs it: every step must go as it says."""

import pathlib
import subprocess
import unittest

from tests.integration.harness.namespaces import needs_root

DEMO = pathlib.Path(__file__).resolve().parents[2] / "tools/demo"
LIMIT_S = 300


class Demo(unittest.TestCase):
    def tour(self, *arguments):
        run = subprocess.run([DEMO, *arguments, "--once"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=LIMIT_S)
        self.assertEqual(0, run.returncode, run.stdout[-12_000:])
        self.assertNotIn("!!", run.stdout)
        return run.stdout

    @needs_root
    def test_a_mesh_of_pods(self):
        said = self.tour()
        self.assertIn("that could be read: {'4111-1111-1111-1111': 0, 'GET / HTTP/1.1': 0}", said)

    def test_the_mesh_on_loopback(self):
        self.assertIn(", 0 failed", self.tour("loopback"))


if __name__ == "__main__":
    unittest.main()
