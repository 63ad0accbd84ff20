"""weftctl against a weft-control of its own: what people type, what they read, and how the commands end."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import tempfile
import unittest

from tests.integration.harness.control_plane import ControlPlane, binary

LIMIT_S = 60
DONE, DIFFERENT, WRONG_USE, REFUSED, UNREACHABLE = range(5)

SERVICE = """apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  ports: [{name: http, port: %d}]
"""
ROUTE = """apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: canary, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules:
  - backendRefs: [{name: cart, port: 80, weight: 9}, {name: cart-v2, port: 80, weight: 1}]
"""


class Weftctl(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.data = os.path.join(self.folder, "data")
        self.control = ControlPlane(self.data)
        self.addCleanup(lambda: self.control.process.poll() is None and self.control.stop())

    def run_weftctl(self, *arguments, text=None, expect=DONE):
        result = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, *arguments], input=text, capture_output=True,
                                text=True, timeout=LIMIT_S)
        self.assertEqual(expect, result.returncode, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def apply(self, text, *arguments, expect=DONE):
        return self.run_weftctl("apply", "-f", "-", *arguments, text=text, expect=expect)

    def test_what_is_applied_is_shown_with_its_status(self):
        told = self.apply(SERVICE % 80 + "---\n" + ROUTE)
        self.assertIn("Service shop/cart created\n", told)
        self.assertIn("warning: HTTPRoute shop/canary: ResolvedRefs is False, BackendNotFound", told)
        self.assertIn("revision 1\n", told)
        table = self.run_weftctl("get", "httproutes", "-n", "shop").splitlines()
        self.assertEqual(["HTTPRoute", "shop", "canary", "BackendNotFound", "1"], table[1].split()[:5])
        shown = json.loads(self.run_weftctl("get", "httproute", "canary", "-n", "shop", "-o", "json"))
        conditions = {c["type"]: c["status"] for c in shown["status"]["parents"][0]["conditions"]}
        self.assertEqual({"Accepted": "True", "ResolvedRefs": "False"}, conditions)
        self.assertEqual("1", shown["metadata"]["resourceVersion"])
        self.assertEqual(2, len(json.loads(self.run_weftctl("get", "all", "-A", "-o", "json"))["items"]))
        # What is shown can be applied as it is.
        self.assertIn("unchanged", self.apply(self.run_weftctl("get", "all", "-A", "-o", "yaml")))

    def test_mistakes_change_nothing_and_are_told_by_place(self):
        folder = pathlib.Path(self.folder) / "mesh"
        folder.mkdir()
        (folder / "a.yaml").write_text(SERVICE % 80)
        (folder / "b.yml").write_text(SERVICE.replace("cart", "pay") % 70000)
        told = self.run_weftctl("apply", "-f", str(folder), expect=REFUSED)
        self.assertIn(f"{folder}/b.yml:5:24: spec.ports[0].port: expected 1 to 65535; got 70000", told)
        self.assertIn("nothing found", self.run_weftctl("get", "all", "-A"))
        self.run_weftctl("apply", "-f", str(folder / "none.yaml"), expect=WRONG_USE)
        self.run_weftctl("aply", expect=WRONG_USE)
        self.run_weftctl("get", "gadgets", expect=REFUSED)
        self.run_weftctl("get", "svc", "cart", "-n", "shop", expect=REFUSED)

    def test_a_dry_run_and_a_diff_tell_and_change_nothing(self):
        self.apply(SERVICE % 80)
        told = self.apply(SERVICE % 81, "--dry-run")
        self.assertIn("Service shop/cart configured", told)
        self.assertIn("still 1", told)
        told = self.run_weftctl("diff", "-f", "-", text=SERVICE % 81, expect=DIFFERENT)
        self.assertRegex(told, r"-  *port: 80\n\+  *port: 81")
        self.run_weftctl("diff", "-f", "-", text=SERVICE % 80)

    def test_history_leads_back(self):
        self.apply(SERVICE % 80)
        self.apply(SERVICE % 81 + "---\n" + ROUTE)
        self.run_weftctl("delete", "service", "cart", "-n", "shop")
        history = self.run_weftctl("history").splitlines()
        self.assertEqual(["3", "2", "1"], [line.split()[0] for line in history[1:]])
        self.assertEqual(2, len(self.run_weftctl("history", "httproute", "canary", "-n", "shop").splitlines()))
        told = self.run_weftctl("rollback", "1")
        self.assertIn("Service shop/cart created", told)
        self.assertIn("HTTPRoute shop/canary deleted", told)
        shown = json.loads(self.run_weftctl("get", "svc", "cart", "-n", "shop", "-o", "json"))
        self.assertEqual(80, shown["spec"]["ports"][0]["port"])
        self.run_weftctl("rollback", "9", expect=REFUSED)
        self.run_weftctl("delete", "service", "pay", "-n", "shop", expect=REFUSED)

    def test_a_change_on_top_of_an_older_revision_is_refused(self):
        self.apply(SERVICE % 80)
        old = self.run_weftctl("get", "svc", "cart", "-n", "shop", "-o", "yaml")
        self.apply(SERVICE % 81)
        self.assertIn("not at revision 1 any more: it is at 2", self.apply(old, expect=REFUSED))

    def test_all_is_there_after_a_kill_and_only_for_its_owner(self):
        self.apply(SERVICE % 80)
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.control.socket).st_mode) & ~0o100)
        self.assertEqual(0, stat.S_IMODE(os.stat(self.data).st_mode) & 0o077)
        self.assertEqual(-signal.SIGKILL, self.control.stop(signal.SIGKILL))
        self.assertIn("no control plane answers", self.run_weftctl("version", expect=UNREACHABLE))
        self.control = ControlPlane(self.data)
        self.assertIn("revision 1", self.run_weftctl("version"))
        self.run_weftctl("get", "svc", "cart", "-n", "shop")
        self.assertEqual(0, self.control.stop())

    def test_a_second_control_plane_on_one_database_is_refused(self):
        second = subprocess.run([binary("WEFT_CONTROL_BINARY"), "--data-dir", self.data], capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(1, second.returncode)
        self.assertIn("another process has it open", second.stderr)

    def test_the_completion_script_is_one(self):
        script = self.run_weftctl("completion", "bash")
        check = 'COMP_WORDS=(weftctl get serv); COMP_CWORD=2; _weftctl; echo "${COMPREPLY[@]}"'
        out = subprocess.run(["bash", "-c", script + check], capture_output=True, text=True, timeout=LIMIT_S, check=True)
        self.assertEqual("services\n", out.stdout)


if __name__ == "__main__":
    unittest.main()
