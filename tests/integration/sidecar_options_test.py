"""The command line of `weft-proxy sidecar`: what it prints, and what it says of mistakes."""

import subprocess
import unittest

from tests.integration.harness.proxy import weft_binary

CONTROL = ["--control", "127.0.0.1:15010"]


def sidecar(*arguments):
    return subprocess.run([weft_binary(), "sidecar", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=30)


class SidecarOptions(unittest.TestCase):
    def refused(self, *arguments):
        run = sidecar(*arguments)
        self.assertEqual(1, run.returncode, run.stdout)
        return run.stdout

    def test_the_bootstrap_is_printed_with_what_follows_from_the_rest(self):
        run = sidecar(*CONTROL, "--namespace", "shop", "--service", "cart", "--app-port", "8080", "--print-bootstrap")
        self.assertEqual(0, run.returncode)
        # The address from which loopback is reached is loopback's own.
        self.assertIn('inbound_address: "127.0.0.1"', run.stdout)
        self.assertIn('id: "shop/cart/127.0.0.1:15006"', run.stdout)

    def test_a_mistake_is_told_with_what_was_expected(self):
        for arguments, expected in [
            ([], "--control is required"),
            (["--control", "here"], '"here": expected HOST:PORT'),
            ([*CONTROL, "--service", "cart"], "--service requires --app-port"),
            ([*CONTROL, "--service", "Cart", "--app-port", "80"], '"Cart" is no name'),
            ([*CONTROL, "--namespace", "-x"], '"-x" is no name'),
            ([*CONTROL, "--service", "cart", "--app-port", "0"], "--app-port"),
            ([*CONTROL, "--service", "cart", "--app-port", "80", "--inbound-address", "cart.shop"], '"cart.shop" is no IP address'),
            ([*CONTROL, "--scope", "cart,a/b/c"], '"a/b/c": expected service, namespace/service or namespace/*'),
            ([*CONTROL, "--health-http", "healthz"], '"healthz": expected a path'),
            ([*CONTROL, "--health-http", "/", "--health-tcp"], "at most 1 options"),
        ]:
            with self.subTest(arguments):
                self.assertIn(expected, self.refused(*arguments))

    def test_a_file_and_a_sidecar_exclude_each_other(self):
        run = subprocess.run([weft_binary(), "-c", "x.yaml", "sidecar", *CONTROL], capture_output=True, text=True, timeout=30)
        self.assertEqual(1, run.returncode)
        self.assertIn("either -c FILE", run.stderr)


if __name__ == "__main__":
    unittest.main()
