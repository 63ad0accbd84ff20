"""weftctl inject and uninject as people call them: files, folders and standard input, what is told, and how they end."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from tests.integration.harness.control_plane import binary

LIMIT_S = 60
DONE, _, WRONG_USE, REFUSED = range(4)
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cart", "namespace": "shop"},
       "spec": {"containers": [{"name": "app", "image": "cart:1", "ports": [{"containerPort": 8080}]}]}}
SERVICE = "apiVersion: v1\nkind: Service   # the cart's\nmetadata: {name: cart}\nspec: {ports: [{port: 80}]}\n"


class Inject(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_weftctl(self, *arguments, text=None, expect=DONE, environment=None):
        result = subprocess.run([binary("WEFTCTL_BINARY"), *map(str, arguments)], input=text, capture_output=True, text=True,
                                timeout=LIMIT_S, env={**os.environ, **(environment or {})})
        self.assertEqual(expect, result.returncode, result.stdout + result.stderr)
        return result

    def injected_pod(self, *arguments, pod=POD):
        path = self.folder / "pod.json"
        path.write_text(json.dumps(pod))
        return json.loads(self.run_weftctl("inject", "-f", path, *arguments).stdout)

    def proxy(self, pod):
        return next(c for c in pod["spec"].get("initContainers", []) + pod["spec"]["containers"] if c["name"] == "weft-proxy")

    def test_standard_input_goes_through_and_comes_back(self):
        text = SERVICE + "---\n" + json.dumps(POD) + "\n"
        injected = self.run_weftctl("inject", "-f", "-", text=text)
        self.assertTrue(injected.stdout.startswith(SERVICE), injected.stdout)
        self.assertIn("Pod shop/cart: sidecar injected\n", injected.stderr)
        again = self.run_weftctl("inject", "-f", "-", text=injected.stdout)
        self.assertEqual(injected.stdout, again.stdout)
        self.assertIn("Pod shop/cart: has its sidecar already\n", again.stderr)
        bare = self.run_weftctl("uninject", "-f", "-", text=injected.stdout)
        self.assertNotIn("weft", bare.stdout)
        self.assertIn("Pod shop/cart: sidecar taken out\n", bare.stderr)
        untouched = self.run_weftctl("uninject", "-f", "-", text=text)
        self.assertEqual(text, untouched.stdout)
        self.assertIn("Pod shop/cart: left as it is: it has no sidecar of ours\n", untouched.stderr)

    def test_a_folder_becomes_one_stream(self):
        (self.folder / "a.yaml").write_text(SERVICE)
        (self.folder / "sub").mkdir()
        (self.folder / "sub/b.json").write_text(json.dumps(POD))
        (self.folder / "notes.txt").write_text("not yaml: [")
        out = self.run_weftctl("inject", "-f", self.folder).stdout
        service, pod = out.split("---\n")
        self.assertEqual(SERVICE, service)
        self.assertEqual(2, len(json.loads(pod)["spec"]["initContainers"]))

    def test_mistakes_are_told_by_place_and_nothing_is_printed(self):
        good, bad = self.folder / "a.yaml", self.folder / "b.yaml"
        good.write_text(json.dumps(POD))
        bad.write_text("apiVersion: v1\nkind: Pod\nmetadata:\n  annotations: {weft.mesh/inject: false}\nspec: {containers: [{name: a}]}\n")
        result = self.run_weftctl("inject", "-f", good, "-f", bad, expect=REFUSED)
        self.assertEqual("", result.stdout)
        self.assertIn(f'{bad}:4:17: metadata.annotations["weft.mesh/inject"]: expected a string; write "false" in quotes', result.stderr)
        self.run_weftctl("inject", "-f", self.folder / "none.yaml", expect=WRONG_USE)
        self.run_weftctl("inject", expect=WRONG_USE)
        self.run_weftctl("inject", "-f", good, "--form", "modern", expect=WRONG_USE)
        told = self.run_weftctl("inject", "-f", good, "--control", "nowhere", expect=WRONG_USE).stderr
        self.assertIn("--control: expected HOST:PORT", told)
        told = self.run_weftctl("inject", "-f", good, "--ca-file", good, expect=WRONG_USE).stderr
        self.assertIn("expected certificates in PEM", told)

    def test_what_is_injected_is_what_weft_proxy_takes(self):
        probe = {"httpGet": {"path": "/live", "port": 8080}}
        annotations = {"weft.mesh/exclude-inbound-ports": "9100,9101", "weft.mesh/include-inbound-ports": "8080",
                       "weft.mesh/exclude-outbound-ports": "5432", "weft.mesh/include-outbound-ports": "80",
                       "weft.mesh/include-outbound-cidrs": "10.0.0.0/8,fd00::/8", "weft.mesh/exclude-outbound-cidrs": "10.1.0.0/16"}
        ca, token = self.folder / "ca.crt", self.folder / "token"
        ca.write_text("no certificate is looked at here")
        # The form of a service account's token is all that the command line looks at.
        token.write_text("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln")
        values = {"$(POD_NAMESPACE)": "shop", "$(POD_NAME)": "cart-7", "$(POD_IP)": "10.9.8.7", "$(SERVICE_ACCOUNT)": "cart",
                  "/etc/weft/ca/ca.crt": str(ca), "/var/run/secrets/weft/token": str(token)}
        pod = {**POD, "metadata": {**POD["metadata"], "annotations": annotations},
               "spec": {"containers": [{**POD["spec"]["containers"][0], "livenessProbe": probe}]}}
        for form in ("native", "classic"):
            injected = self.injected_pod("--form", form, pod=pod)
            init = next(each for each in injected["spec"]["initContainers"] if each["name"] == "weft-init")
            rules = subprocess.run([binary("WEFT_PROXY"), *init["args"], "--dry-run"], capture_output=True, text=True, timeout=LIMIT_S)
            self.assertEqual(0, rules.returncode, rules.stderr)
            for each in ("9100", "5432", "10.1.0.0/16", "15001", "15006"):
                self.assertIn(each, rules.stdout)
            proxy = self.proxy(injected)
            arguments = proxy["args"]
            for name, value in values.items():
                arguments = [each.replace(name, value) for each in arguments]
            environment = {each["name"]: each["value"] for each in proxy["env"] if "value" in each}
            self.assertIn("/app-health/app/livez", environment["WEFT_APP_PROBES"])
            shown = subprocess.run([binary("WEFT_PROXY"), *arguments, "--print-bootstrap"], capture_output=True, text=True, timeout=LIMIT_S,
                                   env={**os.environ, **environment})
            self.assertEqual(0, shown.returncode, shown.stderr)
            self.assertIn("shop/cart-7", shown.stdout)

    def test_skipped_pods_say_why(self):
        pod = {**POD, "spec": {**POD["spec"], "hostNetwork": True}}
        told = self.run_weftctl("inject", "-f", "-", text=json.dumps(pod))
        self.assertIn("Pod shop/cart: left as it is: hostNetwork is true", told.stderr)
        self.assertEqual(pod, json.loads(told.stdout))

    def test_options_go_over_the_configuration_and_annotations_over_both(self):
        config = self.folder / "inject.yaml"
        config.write_text("image: from-config:1\nlogLevel: warning\nform: classic\nresources: {cpu: 50m}\n")
        proxy = self.proxy(self.injected_pod("--config", config))
        self.assertEqual("from-config:1", proxy["image"])
        self.assertEqual("50m", proxy["resources"]["requests"]["cpu"])
        self.assertNotIn("restartPolicy", proxy)
        proxy = self.proxy(self.injected_pod("--config", config, "--image", "from-option:2", "--form", "native"))
        self.assertEqual(("from-option:2", "Always"), (proxy["image"], proxy["restartPolicy"]))
        pod = {**POD, "metadata": {**POD["metadata"], "annotations": {"weft.mesh/proxy-image": "mine:3"}}}
        self.assertEqual("mine:3", self.proxy(self.injected_pod("--image", "from-option:2", pod=pod))["image"])
        config.write_text("imagee: x\n")
        told = self.run_weftctl("inject", "-f", "-", "--config", config, text="{}", expect=WRONG_USE).stderr
        self.assertIn(f'{config}:1:1: unknown field "imagee"', told)


if __name__ == "__main__":
    unittest.main()
