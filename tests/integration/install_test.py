"""weftctl install as people call it: what it prints, and how it hands that to kubectl."""

import base64
import http.client
import json
import os
import pathlib
import re
import ssl
import subprocess
import tempfile
import unittest

from tests.integration.harness.control_plane import binary
from tests.integration.harness.proxy import Output

LIMIT_S = 60
DONE, _, WRONG_USE, REFUSED = range(4)


class Install(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def install(self, *arguments, expect=DONE, path=None):
        environment = {**os.environ, **({"PATH": path} if path is not None else {})}
        result = subprocess.run([binary("WEFTCTL_BINARY"), "install", *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT_S,
                                env=environment)
        self.assertEqual(expect, result.returncode, result.stdout + result.stderr)
        return result

    def fake_kubectl(self, code):
        """Keeps what it was called with and was given, and ends so."""
        program = self.folder / "kubectl"
        program.write_text(f'#!/bin/sh\necho "$@" > {self.folder}/arguments\ncat > {self.folder}/given\nexit {code}\n')
        program.chmod(0o755)
        return f"{self.folder}:{os.environ['PATH']}"

    def test_json_and_yaml_say_the_same(self):
        cert, key = self.folder / "c.pem", self.folder / "k.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                        "/CN=weft", "-keyout", key, "-out", cert], check=True, capture_output=True)
        given = ["--tls-cert", cert, "--tls-key", key, "--dry-run"]
        items = json.loads(self.install(*given, "-o", "json").stdout)["items"]
        documents = re.split("^---\n", self.install(*given, "-o", "yaml").stdout, flags=re.M)
        self.assertEqual(len(items), len(documents))
        for item, document in zip(items, documents):
            self.assertIn(f"kind: {item['kind']}\n", document)
        secret = next(each for each in items if each["kind"] == "Secret")["data"]
        self.assertEqual((cert.read_text(), key.read_text()),
                         (base64.b64decode(secret["tls.crt"]).decode(), base64.b64decode(secret["tls.key"]).decode()))

    def test_a_certificate_is_made_for_the_service(self):
        items = json.loads(self.install("--dry-run", "-o", "json", "-n", "mesh").stdout)["items"]
        secret = next(each for each in items if each["kind"] == "Secret")
        pem = base64.b64decode(secret["data"]["tls.crt"])
        shown = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=pem, check=True, capture_output=True).stdout
        self.assertIn(b"DNS:weft-control.mesh.svc", shown)
        webhook = next(each for each in items if each["kind"] == "MutatingWebhookConfiguration")["webhooks"][0]
        self.assertEqual(pem, base64.b64decode(webhook["clientConfig"]["caBundle"]))

    def test_what_the_deployment_runs_is_what_weft_control_takes(self):
        items = json.loads(self.install("--dry-run", "-o", "json").stdout)["items"]
        find = {each["kind"]: each for each in items}
        pod = find["Deployment"]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        # What Kubernetes would put where the containers mount it.
        for name, data in (("tls", {key: base64.b64decode(value) for key, value in find["Secret"]["data"].items()}),
                           ("inject", {key: value.encode() for key, value in find["ConfigMap"]["data"].items()})):
            path = next(each["mountPath"] for each in container["volumeMounts"] if each["name"] == name)
            for file, content in data.items():
                where = self.folder / path.lstrip("/") / file
                where.parent.mkdir(parents=True, exist_ok=True)
                where.write_bytes(content)
        (self.folder / "etc/weft/mesh").mkdir()
        # Nobody answers for the keys of service accounts; they may come later.
        arguments = [each.replace("https://kubernetes.default.svc/", "https://127.0.0.1:1/") for each in container["args"]]
        arguments = [re.sub(r"^0\.0\.0\.0:\d+$", "127.0.0.1:0", re.sub("^/", f"{self.folder}/", each)) for each in arguments]
        process = subprocess.Popen([binary("WEFT_CONTROL_BINARY"), "--admin-address", "127.0.0.1:0", *arguments], stderr=subprocess.PIPE)
        output = Output(process.stderr)
        for each in (process.stderr.close, output.join, process.wait, process.terminate):
            self.addCleanup(each)
        self.assertTrue(output.wait_for(lambda lines: any("serves weftctl" in line for line in lines)), output.text())
        port = re.search(r"webhook listening on 127\.0\.0\.1:(\d+)", output.text()).group(1)
        trust = ssl.create_default_context(cadata=find["ConfigMap"]["data"]["inject.yaml"].split("ca: |\n")[1].replace("  ", ""))
        probe = container["readinessProbe"]["httpGet"]
        connection = http.client.HTTPSConnection("127.0.0.1", int(port), timeout=LIMIT_S, context=trust)
        self.addCleanup(connection.close)
        connection.request("GET", probe["path"])
        self.assertEqual(200, connection.getresponse().status)

    def test_kubectl_is_given_all_of_it(self):
        self.install(path=self.fake_kubectl(0))
        self.assertEqual("apply --server-side -f -\n", (self.folder / "arguments").read_text())
        given = (self.folder / "given").read_text()
        self.assertTrue(given.startswith("apiVersion: v1\nkind: Namespace\n"))
        self.assertIn("kind: MutatingWebhookConfiguration\n", given)

    def test_who_cannot_hand_it_on_says_so(self):
        self.assertIn("kubectl did not apply", self.install(path=self.fake_kubectl(1), expect=REFUSED).stderr)
        told = self.install(path="/nowhere", expect=WRONG_USE)
        self.assertIn("which is not on the PATH; `weftctl install --dry-run` prints them", told.stderr)
        self.assertEqual("", told.stdout)

    def test_wrong_options_are_told_by_name(self):
        for arguments, told in [(["--replicas", 2], "--replicas: expected 0 or 1"), (["--storage", "much"], "--storage: expected a size"),
                                (["--failure-policy", "Perhaps"], "--failure-policy"),
                                (["--webhook-url", "https://a:1/inject"], "--tls-cert: with --webhook-url"),
                                (["--tls-cert", self.folder / "none", "--tls-key", self.folder / "none"], "cannot be read"),
                                (["--tls-cert", self.folder / "none"], "--tls-key: expected the certificate's private key")]:
            self.assertIn(told, self.install("--dry-run", *arguments, expect=WRONG_USE).stderr)


if __name__ == "__main__":
    unittest.main()
