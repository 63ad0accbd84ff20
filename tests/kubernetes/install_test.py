"""What `weftctl install` prints, before a real API server: every field known, every object accepted, our kinds usable."""

import json
import os
import subprocess
import tempfile
import unittest

from tests.integration.harness.control_plane import binary
from tests.kubernetes.cluster import Cluster

POLICY = {"apiVersion": "weft.mesh/v1", "kind": "TrafficPolicy", "metadata": {"name": "patience", "namespace": "default"},
          "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": "cart"}], "timeouts": {"request": "2s"},
                   "retry": {"attempts": 2, "codes": [503]}, "loadBalancer": {"algorithm": "RingHash", "hashKey": {"sourceIP": True}}}}
SCOPE = {"apiVersion": "weft.mesh/v1", "kind": "Scope", "metadata": {"name": "default", "namespace": "default"},
         "spec": {"hosts": ["./*"]}}
EXTERNAL = {"apiVersion": "weft.mesh/v1", "kind": "ExternalService", "metadata": {"name": "maps", "namespace": "default"},
            "spec": {"hosts": ["maps.example"], "ports": [{"name": "https", "port": 443}]}}
AUTHENTICATION = {"apiVersion": "weft.mesh/v1", "kind": "PeerAuthentication", "metadata": {"name": "strict", "namespace": "default"},
                  "spec": {"services": ["cart"], "mtls": {"mode": "STRICT"}, "portLevelMtls": {"9090": {"mode": "PERMISSIVE"}}}}
AUTHORIZATION = {"apiVersion": "weft.mesh/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "viewers", "namespace": "default"},
                 "spec": {"targetRefs": [{"kind": "Service", "name": "cart"}], "action": "DENY", "rules": [{
                     "from": [{"source": {"notPrincipals": ["cluster.local/ns/shop/sa/web"]}}],
                     "to": [{"operation": {"methods": ["GET"], "paths": ["/items/{*}"]}}],
                     "when": [{"key": "request.headers[x-tier]", "values": ["gold"]}]}]}}


def manifests(*arguments):
    run = subprocess.run([binary("WEFTCTL_BINARY"), "install", "--dry-run", "-o", "json", *arguments], capture_output=True, text=True,
                         check=True, timeout=60)
    return json.loads(run.stdout)["items"]


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.cluster = cls.enterClassContext(Cluster(cls.folder.name))
        cls.objects = manifests()
        # Webhooks would be asked of what nobody serves here.
        cls.applied = [(each["kind"], each["metadata"]["name"], cls.cluster.apply(each)) for each in cls.objects
                       if each["kind"] != "MutatingWebhookConfiguration"]
        for each in cls.definitions():
            cls.cluster.learn(each)

    @classmethod
    def definitions(cls):
        return [each for each in cls.objects if each["kind"] == "CustomResourceDefinition"]

    def established(self, name):
        def is_there(answer):
            conditions = {c["type"]: c["status"] for c in answer.body.get("status", {}).get("conditions", [])}
            return conditions.get("Established") == "True"

        return self.cluster.wait_for(lambda: self.cluster.get("CustomResourceDefinition", name=name), is_there).body

    def test_everything_is_accepted_once_and_twice(self):
        self.assertGreater(len(self.applied), 10)
        for kind, name, answer in self.applied:
            self.assertEqual(201, answer.status, f"{kind} {name}: {answer.message}")
            self.assertEqual([], answer.warnings, f"{kind} {name}")
        for each in self.objects:
            if each["kind"] == "MutatingWebhookConfiguration":
                self.assertEqual(201, self.cluster.create(each, dryRun="All").status)
            else:
                self.assertEqual(200, self.cluster.apply(each).status, each["kind"])

    def test_pods_of_the_deployment_are_admitted_in_its_namespace(self):
        deployment = next(each for each in self.objects if each["kind"] == "Deployment")
        template = deployment["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "weft-control-", "namespace": "weft-system",
                                                               "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
        answer = self.cluster.create(pod, dryRun="All")
        self.assertEqual(201, answer.status, answer.message)

    def test_our_kinds_are_structural_and_established(self):
        self.assertGreaterEqual(len(self.definitions()), 3)
        for each in self.definitions():
            found = self.established(each["metadata"]["name"])
            self.assertNotIn("NonStructuralSchema", [c["type"] for c in found["status"]["conditions"]])
            self.assertEqual(each["spec"]["names"]["plural"], found["status"]["acceptedNames"]["plural"])

    def test_objects_of_our_kinds_are_checked_and_kept(self):
        for each in self.definitions():
            self.established(each["metadata"]["name"])
        for each in (POLICY, SCOPE, EXTERNAL, AUTHENTICATION, AUTHORIZATION):
            answer = self.cluster.wait_for(lambda: self.cluster.create(each), lambda answer: answer.status != 404)
            self.assertEqual(201, answer.status, answer.message)
            self.assertEqual(each["spec"], answer.body["spec"])
        wrong = {**POLICY, "metadata": {"name": "wrong", "namespace": "default"}}
        for spec, told in [({"retry": {"attempts": "many"}}, "spec.retry.attempts"), ({"retry": {"attempts": -1}}, "greater than or equal to 0"),
                           ({"targetRefs": {}}, "spec.targetRefs"), ({"timeouts": {"reqest": "1s"}}, 'unknown field "spec.timeouts.reqest"'),
                           (None, "spec")]:
            answer = self.cluster.create({**wrong, "spec": spec})
            self.assertIn(answer.status, (400, 422))
            self.assertIn(told, answer.message)
        for good, spec, told in [(AUTHENTICATION, {"mtls": {"mode": 1}}, "spec.mtls.mode"), (AUTHENTICATION, {"mtsl": {}}, 'unknown field "spec.mtsl"'),
                                 (AUTHORIZATION, {"rules": [{"form": []}]}, 'unknown field "spec.rules[0].form"')]:
            answer = self.cluster.create({**good, "metadata": {"name": "wrong", "namespace": "default"}, "spec": spec})
            self.assertIn(answer.status, (400, 422))
            self.assertIn(told, answer.message)

    def test_status_is_apart_and_columns_show_it(self):
        self.established("scopes.weft.mesh")
        scope = {**SCOPE, "metadata": {"name": "columns", "namespace": "default"}}
        self.cluster.wait_for(lambda: self.cluster.create(scope), lambda answer: answer.status == 201)
        path = self.cluster.path("Scope", "default", "columns")
        condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2030-01-01T00:00:00Z"}
        answer = self.cluster.request("PATCH", path + "/status", {"status": {"conditions": [condition]}, "spec": {"hosts": ["~/*"]}},
                                      "application/merge-patch+json")
        self.assertEqual(200, answer.status, answer.message)
        self.assertEqual(["./*"], answer.body["spec"]["hosts"])
        table = self.cluster.get("Scope", "default", "columns", accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
        self.assertEqual(["Name", "Accepted", "Age"], [column["name"] for column in table["columnDefinitions"]])
        self.assertEqual(["columns", "True"], table["rows"][0]["cells"][:2])

    def test_other_options_are_accepted_too(self):
        for arguments in (["--storage", "none", "--replicas", "0", "--failure-policy", "Ignore"], ["-n", "mesh", "--image", "a/b:c@sha256:" + "0" * 64]):
            for each in manifests(*arguments):
                if each["kind"] == "Namespace":
                    self.cluster.apply(each)
                elif each["kind"] != "CustomResourceDefinition":
                    answer = self.cluster.request("PATCH", self.cluster.path(each["kind"], each["metadata"].get("namespace"),
                                                                            each["metadata"]["name"])
                                                  + "?fieldManager=weft-test&force=true&fieldValidation=Strict&dryRun=All", each,
                                                  "application/apply-patch+yaml")
                    self.assertIn(answer.status, (200, 201), f"{each['kind']}: {answer.message}")


if __name__ == "__main__":
    unittest.main()
