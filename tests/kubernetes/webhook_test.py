"""Pods made through a real API server that asks a running weft-control: who gets a sidecar, who does not, and what happens
while nobody answers."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from tests.integration.harness.control_plane import ControlPlane, binary
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.install_test import manifests
from tools.demos.ports import free_port

LISTENING = re.compile(r"webhook listening on (\S+)")


def pod(name, namespace, labels=None, annotations=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels or {},
                                                            "annotations": annotations or {}},
            "spec": {"containers": [{"name": "app", "image": "cart:1", "ports": [{"name": "web", "containerPort": 8080}],
                                     "readinessProbe": {"httpGet": {"path": "/ready", "port": "web"}}}], **spec}}


def containers(obj):
    return [each["name"] for each in obj["spec"].get("initContainers", []) + obj["spec"]["containers"]]


class Webhook(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.cluster = cls.enterClassContext(Cluster(cls.folder.name))
        cls.data = os.path.join(cls.folder.name, "data")
        cls.webhook = f"127.0.0.1:{free_port()}"
        cls.config = pathlib.Path(cls.folder.name) / "inject.yaml"
        cls.control = None
        cls.start_control("{}")
        cls.addClassCleanup(lambda: cls.control and cls.control.stop())
        cls.objects = manifests("--webhook-url", f"https://{cls.webhook}/inject", "--tls-cert", cls.control.certificate, "--control",
                                "127.0.0.1:15010")
        for each in cls.objects:
            answer = cls.cluster.apply(each)
            assert answer.status == 201, answer.message
        # What an injector goes by in a cluster is what weft-control reads here.
        given = next(each for each in cls.objects if each["kind"] == "ConfigMap")["data"]["inject.yaml"]
        cls.control.stop()
        cls.start_control(given)
        cls.namespace("shop", {"weft.mesh/inject": "true"})
        cls.namespace("plain", {})
        cls.namespace("never", {"weft.mesh/inject": "false"})
        # The API server takes a moment to know a new webhook.
        cls.cluster.wait_for(lambda: cls.cluster.create(pod("first", "shop"), dryRun="All"),
                             lambda answer: answer.status == 201 and "weft-proxy" in containers(answer.body))

    @classmethod
    def start_control(cls, config):
        cls.config.write_text(config)
        cls.control = ControlPlane(cls.data, ["--webhook-address", cls.webhook, "--inject-config", str(cls.config)])

    @classmethod
    def namespace(cls, name, labels):
        answer = cls.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        assert answer.status == 201, answer.message
        # A cluster's controllers would make it.
        answer = cls.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})
        assert answer.status == 201, answer.message

    def made(self, obj, **query):
        answer = self.cluster.create(obj, **query)
        self.assertEqual(201, answer.status, answer.message)
        return answer

    def test_pods_of_a_labelled_namespace_get_a_sidecar(self):
        kept = self.made(pod("cart", "shop", {"app": "cart"})).body
        self.assertEqual(["weft-init", "weft-proxy", "app"], containers(kept))
        init, proxy = kept["spec"]["initContainers"]
        self.assertEqual("Always", proxy["restartPolicy"])
        self.assertEqual(["NET_ADMIN", "NET_RAW"], init["securityContext"]["capabilities"]["add"])
        self.assertEqual(1337, proxy["securityContext"]["runAsUser"])
        self.assertEqual({"path": "/app-health/app/readyz", "port": 15021, "scheme": "HTTP"},
                         kept["spec"]["containers"][0]["readinessProbe"]["httpGet"])
        self.assertIn("BEGIN CERTIFICATE", kept["metadata"]["annotations"]["weft.mesh/ca"])
        token = next(each for each in kept["spec"]["volumes"] if each["name"] == "weft-token")
        self.assertEqual("weft", token["projected"]["sources"][0]["serviceAccountToken"]["audience"])
        self.assertEqual(kept["spec"], self.cluster.get("Pod", "shop", "cart").body["spec"])

    def test_the_classic_form_is_a_pod_that_kubernetes_takes(self):
        kept = self.made(pod("old", "shop", annotations={"weft.mesh/sidecar-form": "classic", "weft.mesh/proxy-cpu-limit": "1",
                                                         "weft.mesh/exclude-outbound-ports": "5432"})).body
        self.assertEqual(["weft-init", "weft-proxy", "app"], containers(kept))
        self.assertEqual(1, len(kept["spec"]["initContainers"]))
        self.assertEqual("1", kept["spec"]["containers"][0]["resources"]["limits"]["cpu"])

    def test_who_says_no_gets_none(self):
        self.assertEqual(["app"], containers(self.made(pod("no", "shop", {"weft.mesh/inject": "false"})).body))
        self.assertEqual(["app"], containers(self.made(pod("no-istio", "shop", {"sidecar.istio.io/inject": "false"})).body))
        self.assertEqual(["app"], containers(self.made(pod("no-note", "shop", annotations={"weft.mesh/inject": "false"})).body))

    def test_other_namespaces_are_left_alone_unless_a_pod_asks(self):
        self.assertEqual(["app"], containers(self.made(pod("cart", "plain")).body))
        self.assertEqual(["weft-init", "weft-proxy", "app"], containers(self.made(pod("asks", "plain", {"weft.mesh/inject": "true"})).body))
        self.assertEqual(["app"], containers(self.made(pod("asks", "never", {"weft.mesh/inject": "true"})).body))

    def test_a_pod_on_the_nodes_network_is_made_with_a_warning(self):
        answer = self.made(pod("node", "shop", hostNetwork=True))
        self.assertEqual(["app"], containers(answer.body))
        self.assertTrue(any("no sidecar: hostNetwork is true" in each for each in answer.warnings), answer.warnings)

    def test_an_annotation_that_is_wrong_keeps_the_pod_from_being_made(self):
        answer = self.cluster.create(pod("wrong", "shop", annotations={"weft.mesh/proxy-memory": "lots"}))
        self.assertEqual(422, answer.status)
        self.assertIn('expected a quantity such as 100m, 0.5, 64Mi or 1Gi; got "lots"', answer.message)
        self.assertEqual(404, self.cluster.get("Pod", "shop", "wrong").status)

    def test_a_dry_run_leaves_nothing_behind(self):
        self.assertIn("weft-proxy", containers(self.made(pod("dry", "shop"), dryRun="All").body))
        self.assertEqual(404, self.cluster.get("Pod", "shop", "dry").status)

    def test_workloads_injected_as_files_are_taken_and_their_pods_left(self):
        source = pod("x", "shop")
        template = {"metadata": {"labels": {"app": "ledger"}}, "spec": source["spec"]}
        spec = {"selector": {"matchLabels": {"app": "ledger"}}, "template": template}
        metadata = {"name": "ledger", "namespace": "shop"}
        job = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {**template, "spec": {**source["spec"], "restartPolicy": "Never"}}}}}
        job["jobTemplate"]["spec"]["template"]["spec"]["containers"] = [{"name": "app", "image": "report:1"}]
        for obj in ({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
                    {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": {**spec, "serviceName": "ledger"}},
                    {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": job}):
            for form in ("native", "classic"):
                run = subprocess.run([binary("WEFTCTL_BINARY"), "inject", "-f", "-", "--form", form], input=json.dumps(obj), check=True,
                                     capture_output=True, text=True, timeout=60)
                injected = json.loads(run.stdout)
                answer = self.cluster.create(injected, dryRun="All")
                self.assertEqual(201, answer.status, f"{obj['kind']} {form}: {answer.message}")
                made = injected["spec"]
                for step in ("jobTemplate", "spec", "template") if obj["kind"] == "CronJob" else ("template",):
                    made = made[step]
                child = {"apiVersion": "v1", "kind": "Pod", "metadata": {**made["metadata"], "generateName": "ledger-", "namespace": "shop"},
                         "spec": made["spec"]}
                self.assertEqual(containers(child), containers(self.made(child, dryRun="All").body))

    def test_while_nobody_answers_pods_wait_or_go_without_as_the_policy_says(self):
        self.control.stop()
        try:
            answer = self.cluster.create(pod("late", "shop"))
            self.assertEqual(500, answer.status)
            self.assertIn("namespace.inject.weft.mesh", answer.message)
            self.assertEqual(["app"], containers(self.made(pod("meanwhile", "plain")).body))
            path = self.cluster.path("MutatingWebhookConfiguration", name="weft-inject")
            found = self.cluster.request("GET", path).body
            for policy, is_there in (("Ignore", lambda answer: answer.status == 201 and containers(answer.body) == ["app"]),
                                     ("Fail", lambda answer: answer.status == 500)):
                patch = [{"op": "replace", "path": f"/webhooks/{i}/failurePolicy", "value": policy} for i in range(len(found["webhooks"]))]
                self.assertEqual(200, self.cluster.request("PATCH", path, patch, "application/json-patch+json").status)
                self.cluster.wait_for(lambda: self.cluster.create(pod("policy", "shop"), dryRun="All"), is_there)
        finally:
            self.start_control(self.config.read_text())
        self.assertIn("weft-proxy", containers(self.made(pod("late", "shop")).body))


if __name__ == "__main__":
    unittest.main()
