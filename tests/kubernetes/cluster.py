"""A real API server of Kubernetes with an etcd of its own, on free loopback ports, and nothing else of a cluster: objects are
checked, admitted and kept, and nobody runs them. `tools/setup kubernetes` brings both programs."""

import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import time
import urllib.parse

from tests.integration.harness.certificates import Authority
from tools.demos.ports import free_port

CACHE = pathlib.Path(os.environ.get("WEFT_CACHE", pathlib.Path.home() / ".cache/weft"))
TOKEN = "weft-test-admin"
ISSUER = "https://kubernetes.default.svc"
LIMIT_S = 120
# By kind: group and version, plural, and whether it lives in a namespace.
KINDS = {
    "Namespace": ("v1", "namespaces", False), "Pod": ("v1", "pods", True), "Service": ("v1", "services", True),
    "ServiceAccount": ("v1", "serviceaccounts", True), "Secret": ("v1", "secrets", True), "ConfigMap": ("v1", "configmaps", True),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True), "Deployment": ("apps/v1", "deployments", True),
    "StatefulSet": ("apps/v1", "statefulsets", True), "CronJob": ("batch/v1", "cronjobs", True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "MutatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", False),
}


class Answer:
    """What the API server said: HTTP status, object, and its warnings."""

    def __init__(self, response):
        self.status = response.status
        self.warnings = response.headers.get_all("Warning") or []
        text = response.read().decode()
        try:
            self.body = json.loads(text)
        except json.JSONDecodeError:
            self.body = text

    @property
    def message(self):
        return self.body.get("message", "") if isinstance(self.body, dict) else self.body


class Cluster:
    """Use it as a context manager. Kinds of one's own are made known by `learn`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.kinds = dict(KINDS)
        self.processes = []

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _run(self, name, *arguments):
        log = open(self.folder / f"{name}.log", "wb")
        self.processes.append(subprocess.Popen(list(map(str, arguments)), stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        log.close()

    def _start(self):
        client, peer, self.port = free_port(), free_port(), free_port()
        etcd = f"http://127.0.0.1:{client}"
        self._run("etcd", shutil.which("etcd") or "/usr/bin/etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", etcd,
                  "--advertise-client-urls", etcd, "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--unsafe-no-fsync")
        # Whose certificate it shows, and by whose key it signs the tokens of service accounts.
        authority = Authority(self.folder)
        self.root = authority.certificate
        certificate, key = authority.leaf("apiserver")
        public, private = authority.leaf("accounts")
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self._run("kube-apiserver", CACHE / "bin/kube-apiserver", "--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--secure-port",
                  self.port, "--tls-cert-file", certificate, "--tls-private-key-file", key, "--service-account-issuer", ISSUER,
                  "--service-account-key-file", public, "--service-account-signing-key-file", private, "--token-auth-file", tokens,
                  "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16")
        deadline = time.monotonic() + LIMIT_S
        while not self._is_ready():
            if time.monotonic() > deadline or any(each.poll() is not None for each in self.processes):
                raise AssertionError("the API server did not start:\n" + (self.folder / "kube-apiserver.log").read_text()[-3000:])
            try:
                self.processes[-1].wait(0.1)
            except subprocess.TimeoutExpired:
                pass

    def _is_ready(self):
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def request(self, method, path, body=None, content_type="application/json", accept="application/json"):
        trust = ssl.create_default_context(cafile=self.root)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=trust, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept, "Content-Type": content_type}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def learn(self, definition):
        """Makes the kind of a CustomResourceDefinition known."""
        spec = definition["spec"]
        self.kinds[spec["names"]["kind"]] = (spec["group"] + "/" + spec["versions"][0]["name"], spec["names"]["plural"],
                                             spec["scope"] == "Namespaced")

    def path(self, kind, namespace=None, name=None):
        version, plural, in_namespace = self.kinds[kind]
        return "/".join(filter(None, ["/apis" if "/" in version else "/api", version,
                                      f"namespaces/{namespace or 'default'}" if in_namespace else None, plural, name]))

    def create(self, obj, **query):
        """POSTs it; a field that Kubernetes does not know is refused."""
        path = self.path(obj["kind"], obj["metadata"].get("namespace"))
        return self.request("POST", path + "?" + urllib.parse.urlencode({"fieldValidation": "Strict", **query}), obj)

    def apply(self, obj):
        """As `kubectl apply --server-side` does."""
        path = self.path(obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
        return self.request("PATCH", path + "?fieldManager=weft-test&force=true&fieldValidation=Strict", obj,
                            "application/apply-patch+yaml")

    def get(self, kind, namespace=None, name=None, **keywords):
        return self.request("GET", self.path(kind, namespace, name), **keywords)

    def account_token(self, namespace, name, audience=None):
        """A token of a service account, as a pod gets it; for the API server itself unless an audience is named."""
        spec = {"audiences": [audience]} if audience else {}
        answer = self.request("POST", self.path("ServiceAccount", namespace, name) + "/token",
                              {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        assert answer.status == 201, answer.message
        return answer.body["status"]["token"]

    def wait_for(self, get, is_there):
        """The first answer of get() of which is_there(answer) is true."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            answer = get()
            if is_there(answer):
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {LIMIT_S} s: {answer.body}")
            try:
                self.processes[-1].wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError("the API server has ended")
