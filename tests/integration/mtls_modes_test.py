"""Whether workloads ask for mutual TLS changes while they are called: nobody fails by it, and then it is as it was to be."""

import random
import signal
import threading
import unittest

from tests.integration.harness.live import eventually
from tests.integration.mtls_test import Mesh, authentication
from tests.integration.sidecar_test import Load


class Modes(Mesh):
    # What is answered to who calls in the clear, and to a member who calls by mutual TLS.
    TAKEN = {"STRICT": (None, 200), "PERMISSIVE": (200, 200), "DISABLE": (200, None)}

    def await_mode(self, mode, name="cart"):
        def taken():
            return self.call_plainly(name), self.call_inbound(name, self.member.certificate, self.member.key)

        self.assertTrue(eventually(lambda: taken() == self.TAKEN[mode]), f"{mode}: {taken()}\n{self.control.output.text()}")
        # Calls of its own are by mutual TLS wherever they can be.
        mark = self.apps[name].mark()
        self.assertTrue(eventually(lambda: any(bool(each.all("x-forwarded-client-cert")) == (mode != "DISABLE")
                                               for each in self.apps[name].since(mark)[0])), mode)

    def test_every_mode_becomes_every_other_while_calls_go_on_and_none_fails(self):
        self.start_mesh("front", "cart", mode="PERMISSIVE")
        self.member = self.join("cart")
        with Load(self.sidecars["front"], "cart") as load:
            self.await_mode("PERMISSIVE")
            for mode in ("STRICT", "DISABLE", "STRICT", "PERMISSIVE", "DISABLE", "PERMISSIVE"):
                self.control.apply(authentication(mode), wait=True)
                self.await_mode(mode)
            # Nor when it is changed again before it is what it was to be.
            for mode in ("DISABLE", "STRICT", "PERMISSIVE", "STRICT", "DISABLE"):
                self.control.apply(authentication(mode, name="cart", services=["cart"]))
            self.await_mode("DISABLE")
        self.assertEqual([], load.failed)

    def test_no_call_fails_though_the_control_plane_is_killed_in_the_midst_of_a_change(self):
        self.start_mesh("front", "cart", mode="STRICT")
        self.member = self.join("cart")
        place = "%s:%d" % self.control.xds
        # A change that nothing disturbs takes some 0.7 seconds.
        moments = {mode: random.uniform(0, 0.8) for mode in ("DISABLE", "STRICT")}
        with Load(self.sidecars["front"], "cart") as load:
            for mode, moment in moments.items():
                self.control.apply(authentication(mode))
                threading.Event().wait(moment)
                self.control.stop(signal.SIGKILL)
                self.start_control(grace_ms=4_000, xds=place)
                self.await_mode(mode)
        self.assertEqual([], load.failed, f"killed so many seconds after {moments}")

    def test_what_is_strict_is_so_at_once_when_the_control_plane_is_started_anew(self):
        self.start_mesh("front", "cart", mode="DISABLE")
        self.control.apply(authentication("STRICT"), wait=True)
        place = "%s:%d" % self.control.xds
        self.control.stop(signal.SIGKILL)
        self.sidecars["cart"].stop(signal.SIGKILL)
        self.start_control(xds=place)
        self.sidecars["cart"] = self.sidecar("cart", self.apps["cart"])
        self.assertIsNone(self.call_plainly("cart"))
        self.await_answer(self.sidecars["front"], "cart", (200, "cart"))

    def test_a_port_may_ask_for_less_than_its_namespace(self):
        self.start_mesh("cart")
        self.assertIsNone(self.call_plainly("cart"))
        self.control.apply(authentication("STRICT", name="cart", services=["cart"], portLevelMtls={self.apps["cart"].address[1]: {"mode": "PERMISSIVE"}}))
        self.assertTrue(eventually(lambda: self.call_plainly("cart") == 200))


if __name__ == "__main__":
    unittest.main()
