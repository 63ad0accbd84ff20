"""weft-control with a watched directory beside its database: what is written there, moved and replaced takes effect, what is
wrong is refused and told, and weftctl leaves its objects alone."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from tests.integration.harness.control_plane import ControlPlane, binary

LIMIT_S = 30
DONE, REFUSED = 0, 3


def service(name, port=80):
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{ports: [{{port: {port}}}]}}\n"


class ConfigDir(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.data = str(folder / "data")
        self.mesh = folder / "mesh"
        self.mesh.mkdir()
        self.control = None
        self.addCleanup(lambda: self.control is None or self.control.process.poll() is not None or self.control.stop())

    def start(self, folder=None):
        arguments = () if folder is False else ("--config-dir", str(folder or self.mesh))
        self.control = ControlPlane(self.data, arguments)

    def weftctl(self, *arguments, text=None, expect=DONE):
        result = subprocess.run([binary("WEFTCTL_BINARY"), "--socket", self.control.socket, *arguments], input=text, capture_output=True,
                                text=True, timeout=LIMIT_S)
        self.assertEqual(expect, result.returncode, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def items(self):
        """{name: port} of all services."""
        listed = json.loads(self.weftctl("get", "services", "-A", "-o", "json"))["items"]
        return {item["metadata"]["name"]: item["spec"]["ports"][0]["port"] for item in listed}

    def wait_until(self, condition, what):
        deadline = time.monotonic() + LIMIT_S
        pause = threading.Event()
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: {self.items()}\n{self.control.output.text()}")
            pause.wait(0.02)

    def await_items(self, **expected):
        self.wait_until(lambda: self.items() == expected, f"the services do not become {expected}")

    def await_log(self, text):
        self.wait_until(lambda: text in self.control.output.text(), f"the log does not say {text!r}")

    def metric(self, name):
        return next(int(line.split()[1]) for line in self.control.get_admin("/metrics").splitlines() if line.startswith(name + " "))

    def test_files_come_change_move_and_go(self):
        (self.mesh / "cart.yaml").write_text(service("cart"))
        self.start()
        # Before it serves anyone.
        self.assertEqual({"cart": 80}, self.items())
        deep = self.mesh / "team" / "a"
        deep.mkdir(parents=True)
        (deep / "more.yaml").write_text(service("pay") + "---\n" + service("stock"))
        self.await_items(cart=80, pay=80, stock=80)
        # As editors do: a new file takes the place of the old one.
        (self.mesh / ".cart.yaml.swp").write_text(service("cart", 81))
        os.rename(self.mesh / ".cart.yaml.swp", self.mesh / "cart.yaml")
        self.await_items(cart=81, pay=80, stock=80)
        before = len(self.weftctl("history").splitlines())
        (deep / "more.yaml").write_text(service("pay", 82) + "---\n" + service("stock", 82) + "---\n" + service("log", 82))
        self.await_items(cart=81, pay=82, stock=82, log=82)
        history = self.weftctl("history").splitlines()
        self.assertEqual(before + 1, len(history))
        self.assertIn(f"file {deep}/more.yaml:1", history[1])
        os.rename(deep, self.mesh / "b")
        self.wait_until(lambda: f"{self.mesh}/b/more.yaml:6" in self.weftctl("get", "service", "stock", "-n", "shop", "-o", "yaml"),
                        "the objects' file is not the moved one")
        shutil.rmtree(self.mesh / "b")
        self.await_items(cart=81)
        self.assertEqual(1, self.metric("weft_control_directory_files"))

    def test_a_bad_file_is_refused_by_place_and_what_was_good_stays_also_over_a_kill(self):
        (self.mesh / "cart.yaml").write_text(service("cart"))
        self.start()
        (self.mesh / "cart.yaml").write_text(service("cart", 70000) + "---\n" + service("pay"))
        self.await_log(f"{self.mesh}/cart.yaml:4:")
        self.assertIn("spec.ports[0].port: expected 1 to 65535; got 70000", self.control.output.text())
        self.assertEqual({"cart": 80}, self.items())
        self.assertEqual((1, 1), (self.metric("weft_control_directory_files_refused"), self.metric("weft_control_directory_refusals_total")))
        self.control.stop(signal.SIGKILL)
        self.start()
        self.assertEqual({"cart": 80}, self.items())
        (self.mesh / "cart.yaml").write_text(service("cart", 90) + "---\n" + service("pay"))
        self.await_items(cart=90, pay=80)
        self.assertEqual(0, self.metric("weft_control_directory_files_refused"))

    def test_a_directory_that_is_replaced_by_a_link_takes_effect_as_one_change(self):
        # As Kubernetes mounts a ConfigMap.
        for number in (1, 2):
            version = self.mesh / f"..{number}"
            version.mkdir()
            (version / "cart.yaml").write_text(service("cart", number))
            (version / "pay.yaml").write_text(service("pay", number))
        (self.mesh / "..data").symlink_to("..1")
        for name in ("cart", "pay"):
            (self.mesh / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
        self.start()
        self.assertEqual({"cart": 1, "pay": 1}, self.items())
        before = len(self.weftctl("history").splitlines())
        (self.mesh / "..data_tmp").symlink_to("..2")
        os.rename(self.mesh / "..data_tmp", self.mesh / "..data")
        self.await_items(cart=2, pay=2)
        self.assertEqual(before + 1, len(self.weftctl("history").splitlines()))

    def test_the_directory_itself_may_be_a_link_that_moves_on(self):
        for number in (1, 2):
            (self.mesh / f"v{number}").mkdir()
            (self.mesh / f"v{number}" / "cart.yaml").write_text(service("cart", number))
        (self.mesh / "now").symlink_to("v1")
        self.start(self.mesh / "now")
        (self.mesh / "next").symlink_to("v2")
        os.rename(self.mesh / "next", self.mesh / "now")
        self.await_items(cart=2)
        # While it is away nothing changes.
        os.rename(self.mesh / "now", self.mesh / "away")
        self.await_log("what is in force stays")
        self.assertEqual({"cart": 2}, self.items())
        (self.mesh / "v2" / "cart.yaml").write_text(service("cart", 3))
        os.rename(self.mesh / "away", self.mesh / "now")
        self.await_items(cart=3)

    def test_weftctl_reads_the_directorys_objects_and_changes_none(self):
        (self.mesh / "cart.yaml").write_text("# ours\n" + service("cart"))
        self.start()
        self.weftctl("apply", "-f", "-", text=service("pay"))
        origin = f"{self.mesh}/cart.yaml:2"
        self.assertIn(f"weft.mesh/origin: {origin}", self.weftctl("get", "service", "cart", "-n", "shop", "-o", "yaml").replace('"', ""))
        for told in (self.weftctl("apply", "-f", "-", text=service("cart", 81) + "---\n" + service("pay", 81), expect=REFUSED),
                     self.weftctl("delete", "service", "cart", "-n", "shop", expect=REFUSED)):
            self.assertIn(f"Service shop/cart is from {origin}; change it in that file", told)
        self.assertEqual({"cart": 80, "pay": 80}, self.items())
        # Nor does a rollback.
        self.weftctl("apply", "-f", "-", text=service("pay", 82))
        (self.mesh / "cart.yaml").write_text(service("cart", 83))
        self.await_items(cart=83, pay=82)
        told = self.weftctl("rollback", "2")
        self.assertNotIn("cart", told)
        self.assertEqual({"cart": 83, "pay": 80}, self.items())

    def test_an_object_in_both_sources_or_in_two_files_is_refused_where_it_came_later(self):
        self.start()
        self.weftctl("apply", "-f", "-", text=service("cart"))
        (self.mesh / "a.yaml").write_text(service("cart", 81) + "---\n" + service("pay"))
        self.await_log(f"{self.mesh}/a.yaml:1: Service shop/cart is in the database already, since revision 1")
        self.assertEqual({"cart": 80}, self.items())
        self.weftctl("delete", "service", "cart", "-n", "shop")
        self.await_items(cart=81, pay=80)
        (self.mesh / "b.yaml").write_text(service("pay", 90) + "---\n" + service("stock"))
        self.await_log(f"{self.mesh}/b.yaml:1: Service shop/pay is in {self.mesh}/a.yaml:6 already")
        (self.mesh / "a.yaml").unlink()
        self.await_items(pay=90, stock=80)

    def test_without_the_directory_its_objects_are_no_more(self):
        (self.mesh / "cart.yaml").write_text(service("cart"))
        self.start()
        self.weftctl("apply", "-f", "-", text=service("pay"))
        self.assertEqual(0, self.control.stop())
        self.start(False)
        self.assertEqual({"pay": 80}, self.items())

    def test_a_directory_that_is_not_there_is_no_start(self):
        result = subprocess.run([binary("WEFT_CONTROL_BINARY"), "--data-dir", self.data, "--config-dir", str(self.mesh / "none")],
                                capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(1, result.returncode)
        self.assertIn(f"cannot read the folder {self.mesh}/none", result.stderr)


if __name__ == "__main__":
    unittest.main()
