"""The harness's network namespaces: pods reach one another and nobody else, and nothing stays behind."""

import os
import pathlib
import signal
import subprocess
import sys
import unittest

from tests.integration.harness.live import eventually
from tests.integration.harness.namespaces import Network, needs_root

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAVES_WITHOUT_CLOSING = """
import os, signal, sys
from tests.integration.harness.namespaces import Network
network = Network()
pod = network.pod("a")
sleeper = pod.popen("sleep", "1000")
print(pod.pid, sleeper.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@needs_root
class Namespaces(unittest.TestCase):
    def test_pods_reach_one_another_by_both_families(self):
        with Network() as network:
            one, two = network.pod("one"), network.pod("two")
            for host, own in ((two.ipv4, f"::ffff:{one.ipv4}"), (two.ipv6, one.ipv6)):
                with two.listen(80) as listener, one.connect((host, 80)), listener.accept()[0] as accepted:
                    self.assertEqual(own, accepted.getpeername()[0])
            with self.assertRaises(OSError):
                one.connect(("192.0.2.1", 80))

    def test_a_pod_has_nameservers_of_its_own(self):
        with Network() as network:
            one, two = network.pod("one"), network.pod("two")
            one.resolv_conf.write_text("nameserver 10.77.0.9\n")
            self.assertEqual("nameserver 10.77.0.9\n", one.run("cat", "/etc/resolv.conf").stdout)
            self.assertEqual("", two.run("cat", "/etc/resolv.conf", uid=1337).stdout)

    def test_a_killed_test_leaves_nothing_behind(self):
        killed = subprocess.run([sys.executable, "-B", "-c", LEAVES_WITHOUT_CLOSING], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(-signal.SIGKILL, killed.returncode)
        for pid in killed.stdout.split():
            self.assertTrue(eventually(lambda: not runs(pid)), f"process {pid} is still there")

    def test_closing_ends_what_runs_inside(self):
        with Network() as network:
            sleeper = network.pod("one").popen("sleep", "1000")
            self.assertTrue(runs(sleeper.pid))
        self.assertEqual(-signal.SIGKILL, sleeper.returncode)
        self.assertFalse(os.path.exists(f"/proc/{sleeper.pid}"))


if __name__ == "__main__":
    unittest.main()
