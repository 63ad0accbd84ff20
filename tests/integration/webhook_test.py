"""The admission webhook that weft-control serves, over HTTPS, by curl and by Python."""

import base64
import copy
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import unittest

from tests.integration.harness.control_plane import ControlPlane, binary
from tests.integration.harness.json_patch import patched

LISTENING = re.compile(r"webhook listening on 127\.0\.0\.1:(\d+)")
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cart", "namespace": "shop"},
       "spec": {"containers": [{"name": "app", "image": "cart:1", "ports": [{"containerPort": 8080}],
                                "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}}}]}}
MAX_BODY_BYTES = 8 << 20


def review(pod, uid="705ab4f5", **fields):
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": uid, "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": "shop",
                        "dryRun": False, "object": pod, **fields}}


class Webhook(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        config = pathlib.Path(cls.folder.name) / "inject.yaml"
        config.write_text("image: registry.example/weft-proxy:9\n")
        cls.control = ControlPlane(os.path.join(cls.folder.name, "data"),
                                   ["--webhook-address", "127.0.0.1:0", "--inject-config", str(config)])
        cls.addClassCleanup(cls.control.stop)
        cls.port = int(LISTENING.search(cls.control.output.text()).group(1))
        cls.trust = ssl.create_default_context(cafile=cls.control.certificate)

    def connect(self):
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.trust, timeout=30)
        self.addCleanup(connection.close)
        return connection

    def post(self, body, connection=None, path="/inject", content_type="application/json"):
        connection = connection or self.connect()
        data = body if isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request("POST", path, data, {"Content-Type": content_type} if content_type else {})
        response = connection.getresponse()
        return response.status, response.read().decode()

    def answer(self, pod, **fields):
        status, body = self.post(review(pod, **fields))
        self.assertEqual(200, status, body)
        answer = json.loads(body)
        self.assertEqual(("admission.k8s.io/v1", "AdmissionReview"), (answer["apiVersion"], answer["kind"]))
        return answer["response"]

    def test_curl_gets_a_patch_that_makes_the_sidecar(self):
        run = subprocess.run(["curl", "-sS", "--fail", "--cacert", self.control.certificate, "-H", "Content-Type: application/json",
                              "--data-binary", "@-", f"https://localhost:{self.port}/inject"], input=json.dumps(review(POD)),
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(0, run.returncode, run.stderr)
        response = json.loads(run.stdout)["response"]
        self.assertEqual(("705ab4f5", True, "JSONPatch"), (response["uid"], response["allowed"], response["patchType"]))
        pod = patched(POD, json.loads(base64.b64decode(response["patch"])))
        self.assertEqual(["weft-init", "weft-proxy"], [c["name"] for c in pod["spec"]["initContainers"]])
        self.assertEqual("registry.example/weft-proxy:9", pod["spec"]["initContainers"][1]["image"])
        self.assertEqual("/app-health/app/livez", pod["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"])

    def test_a_patched_pod_is_the_one_that_weftctl_makes(self):
        by_webhook = patched(POD, json.loads(base64.b64decode(self.answer(POD)["patch"])))
        run = subprocess.run([binary("WEFTCTL_BINARY"), "inject", "-f", "-", "--image", "registry.example/weft-proxy:9"],
                             input=json.dumps(POD), capture_output=True, text=True, check=True)
        self.assertEqual(json.loads(run.stdout), by_webhook)
        self.assertEqual({"uid": "2", "allowed": True}, self.answer(by_webhook, uid="2"))

    def test_a_dry_run_is_answered_alike(self):
        self.assertEqual(self.answer(POD), self.answer(POD, dryRun=True))

    def test_a_pod_may_say_no_and_may_not_say_nonsense(self):
        pod = copy.deepcopy(POD)
        pod["metadata"]["labels"] = {"weft.mesh/inject": "false"}
        self.assertEqual({"uid": "705ab4f5", "allowed": True}, self.answer(pod))
        pod["metadata"]["labels"] = {"weft.mesh/inject": "perhaps"}
        refused = self.answer(pod)
        self.assertFalse(refused["allowed"])
        self.assertIn('expected "true" or "false"; got "perhaps"', refused["status"]["message"])

    def test_what_is_no_review_is_refused_with_the_reason(self):
        beta = review(POD)
        beta["apiVersion"] = "admission.k8s.io/v1beta1"
        for body, reason in [("{", "the review:1:"), ("", "the review:1:1"), (b"\xff\xfe", "no UTF-8"), ("[]", "expected an AdmissionReview"),
                             (beta, "got admission.k8s.io/v1beta1 AdmissionReview"), ("[" * 10_000, "within each other"),
                             ({**review(POD), "request": {}}, "expected request.uid")]:
            status, told = self.post(body)
            self.assertEqual(400, status, told)
            self.assertIn(reason, told)

    def test_only_what_is_served_is_served(self):
        self.assertEqual(415, self.post(review(POD), content_type="text/plain")[0])
        self.assertEqual(415, self.post(review(POD), content_type=None)[0])
        self.assertEqual(404, self.post(review(POD), path="/other")[0])
        connection = self.connect()
        connection.request("GET", "/inject")
        self.assertEqual(405, connection.getresponse().status)
        connection = self.connect()
        connection.request("GET", "/healthz")
        self.assertEqual(200, connection.getresponse().status)
        connection = self.connect()
        connection.request("DELETE", "/inject")
        self.assertIn(connection.getresponse().status, (405, 501))

    def test_one_connection_serves_many_reviews(self):
        connection = self.connect()
        for i in range(50):
            status, body = self.post(review(POD, uid=str(i)), connection)
            self.assertEqual((200, str(i)), (status, json.loads(body)["response"]["uid"]))

    def test_bodies_and_headers_are_bounded(self):
        connection = self.connect()
        connection.putrequest("POST", "/inject")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
        connection.endheaders()
        self.assertEqual(413, connection.getresponse().status)
        connection = self.connect()
        # It may be gone before all of it has been sent.
        with self.assertRaises((http.client.HTTPException, OSError, AssertionError)):
            connection.request("POST", "/inject", "{}", {"Content-Type": "application/json", "X-Pad": "x" * 40_000})
            self.assertEqual(200, connection.getresponse().status)
        # One that is large and allowed.
        self.assertTrue(self.answer({**POD, "metadata": {**POD["metadata"], "annotations": {"note": "x" * (1 << 20)}}})["allowed"])

    def test_more_connections_than_it_takes_wait_their_turn(self):
        held = []
        self.addCleanup(lambda: [each.close() for each in held])
        # One fewer than it takes: they say nothing, and hold their places.
        for _ in range(127):
            held.append(self.trust.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 30), server_hostname="localhost"))
        connection = self.connect()
        self.assertEqual(200, self.post(review(POD), connection)[0])
        connection.close()
        held.append(self.trust.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 30), server_hostname="localhost"))
        late = socket.create_connection(("127.0.0.1", self.port), 30)
        late = self.trust.wrap_socket(late, server_hostname="localhost", do_handshake_on_connect=False)
        self.addCleanup(late.close)
        late.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            late.do_handshake()
        late.settimeout(30)
        held.pop().close()
        late.do_handshake()
        late.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(late.recv(100).startswith(b"HTTP/1.1 200"))

    def test_old_tls_and_plain_text_are_refused(self):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", self.port), 30) as plain, self.assertRaises((ssl.SSLError, OSError)):
            old.wrap_socket(plain)
        with socket.create_connection(("127.0.0.1", self.port), 30) as plain:
            plain.sendall(b"POST /inject HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            try:
                self.assertNotIn(b"HTTP/1.1", plain.recv(1000))
            except ConnectionError:
                pass

    def test_verdicts_are_counted(self):
        def count(verdict):
            return int(re.search(r'weft_control_admission_reviews_total\{verdict="%s"\} (\d+)' % verdict,
                                 self.control.get_admin("/metrics")).group(1))

        before = {each: count(each) for each in ("injected", "left", "refused", "malformed")}
        self.answer(POD)
        self.answer(POD, operation="DELETE")
        self.answer({**POD, "metadata": {"annotations": {"weft.mesh/log-level": "loud"}}})
        self.post("{")
        self.assertEqual({each: number + 1 for each, number in before.items()}, {each: count(each) for each in before})


class Options(unittest.TestCase):
    def test_what_cannot_be_served_is_told_at_the_start(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "inject.yaml"
            config.write_text("form: modern\n")
            for arguments, told in [(["--inject-config", str(config)], f"{config}:1:1: form: expected native or classic"),
                                    (["--inject-config", folder + "/none"], "none: cannot be read"),
                                    (["--webhook-cert", str(config), "--webhook-key", str(config)], "expected a certificate in PEM")]:
                run = subprocess.run([binary("WEFT_CONTROL_BINARY"), "--data-dir", folder + "/data", "--xds-insecure", "--xds-address",
                                      "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--webhook-address", "127.0.0.1:0", *arguments],
                                     capture_output=True, text=True, timeout=60)
                self.assertEqual(1, run.returncode, run.stderr)
                self.assertIn(told, run.stderr)


if __name__ == "__main__":
    unittest.main()
