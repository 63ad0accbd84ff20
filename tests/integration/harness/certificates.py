"""Certificates for a test, made when it starts: a root, and leaves that it signs."""

import pathlib
import subprocess


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name="Weft test root"):
        self.folder = pathlib.Path(folder)
        self.certificate = self.folder / "root.pem"
        self._key = self.folder / "root.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self._key, "-out", self.certificate)

    def leaf(self, name, alternatives=("DNS:localhost", "IP:127.0.0.1")):
        """(certificate file, key file) of a leaf with these subject alternative names."""
        key, request, certificate, extensions = (self.folder / f"{name}.{e}" for e in ("key", "csr", "pem", "ext"))
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions.write_text(f"subjectAltName={','.join(alternatives)}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-days", "2", "-extfile", extensions, "-out", certificate)
        return certificate, key

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
