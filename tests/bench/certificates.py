"""Certificates for the TLS scenarios, made by openssl for each run: one authority, one server, one client."""

import os
import subprocess

from .process import BenchError

SERVER_NAME = "b.mesh.test"
CLIENT_NAME = "a.mesh.test"


def spiffe_id(account):
    return "spiffe://cluster.local/ns/bench/sa/" + account


def _openssl(*words):
    run = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        raise BenchError("openssl %s:\n%s" % (words[0], run.stdout))


class Certificates:
    """Paths of PEM files in a folder: ca, and for `server` and `client` a key, a certificate and both in one file."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=bench authority", "-keyout", self._path("ca.key"), "-out", self.ca)
        self._issue("server", SERVER_NAME)
        self._issue("client", CLIENT_NAME)

    def _path(self, name):
        return os.path.join(self.folder, name)

    @property
    def ca(self):
        return self._path("ca.pem")

    def key(self, who):
        return self._path(who + ".key")

    def certificate(self, who):
        return self._path(who + ".pem")

    def both(self, who):
        return self._path(who + ".both.pem")

    def _issue(self, who, name):
        extensions = self._path(who + ".ext")
        with open(extensions, "w") as file:
            file.write("subjectAltName=DNS:%s,URI:%s\nextendedKeyUsage=serverAuth,clientAuth\n" % (name, spiffe_id(who)))
        request = self._path(who + ".csr")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                 "-keyout", self.key(who), "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._path("ca.key"), "-CAcreateserial",
                 "-days", "2", "-extfile", extensions, "-out", self.certificate(who))
        with open(self.both(who), "w") as out:
            for path in (self.certificate(who), self.key(who)):
                with open(path) as file:
                    out.write(file.read())
        os.chmod(self.both(who), 0o600)
