"""The command line of `weft-proxy sidecar`: what it prints, and what it says of mistakes."""

import os
import subprocess
import tempfile
import unittest

from tests.integration.harness.proxy import weft_binary

CONTROL = ["--control", "127.0.0.1:15010", "--insecure"]


TOKEN = "weft1_0123456789abcdef_" + "5e" * 32 + "_" + "f1" * 32


def sidecar(*arguments, token=None):
    environment = {name: value for name, value in os.environ.items() if name != "WEFT_TOKEN"}
    if token is not None:
        environment["WEFT_TOKEN"] = token
    return subprocess.run([weft_binary(), "sidecar", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=30, env=environment)


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

    def test_a_token_comes_by_file_or_environment_and_is_not_shown(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(TOKEN + "\n")
            file.flush()
            for run in (sidecar("--control", "127.0.0.1:15010", "--print-bootstrap", "--token-file", file.name),
                        sidecar(*CONTROL[:2], "--print-bootstrap", token=TOKEN)):
                self.assertEqual(0, run.returncode, run.stdout)
                self.assertIn("f1" * 32, run.stdout)
                self.assertIn("[redacted]", run.stdout)
                self.assertNotIn("5e5e", run.stdout)

    def test_without_a_good_token_it_does_not_begin(self):
        for arguments, token, expected in [
            (CONTROL[:2], None, "a join token is missing: --token-file FILE or $WEFT_TOKEN"),
            (CONTROL[:2], "secret", "$WEFT_TOKEN: this is no join token"),
            ([*CONTROL[:2], "--token-file", "/none"], None, "--token-file /none: cannot be read"),
            ([*CONTROL[:2], "--token-file", "/dev/null"], None, "/dev/null: this is no join token: it is empty"),
            (["--control", "10.0.0.1:15010", "--insecure"], None, "--insecure: 10.0.0.1 is not this machine"),
            ([*CONTROL, "--token-file", "x"], None, "excludes"),
        ]:
            with self.subTest(arguments):
                run = sidecar(*arguments, token=token)
                self.assertEqual(1, run.returncode, run.stdout)
                self.assertIn(expected, run.stdout)
                self.assertNotIn("secret\"", run.stdout)

    def test_a_file_and_a_sidecar_exclude_each_other(self):
        run = subprocess.run([weft_binary(), "-c", "x.yaml", "sidecar", *CONTROL], capture_output=True, text=True, timeout=30)
        self.assertEqual(1, run.returncode)
        self.assertIn("either -c FILE", run.stderr)


if __name__ == "__main__":
    unittest.main()
