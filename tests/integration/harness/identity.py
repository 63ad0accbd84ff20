"""A workload's identity in a test's hands: its key, what it asks weft-control to sign (weft.v1.Identity, by gRPC's own client),
and what came of it."""

import pathlib
import subprocess

import grpc
from envoy.config.core.v3 import base_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

LIMIT_S = 30


def _messages():
    """SignRequest and SignResponse, as api/weft/v1/identity.proto has them."""
    string, message, raw = (descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
                            descriptor_pb2.FieldDescriptorProto.TYPE_BYTES)
    file = descriptor_pb2.FileDescriptorProto(name="weft/v1/identity.proto", package="weft.v1", syntax="proto3",
                                              dependency=[base_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name])

    def add(name, *fields):
        out = file.message_type.add(name=name)
        for number, (field, kind, label, type_name) in enumerate(fields, 1):
            out.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)

    one, many, time = 1, 3, ".google.protobuf.Timestamp"
    add("SignRequest", ("node", message, one, ".envoy.config.core.v3.Node"), ("csr", raw, one, None))
    add("SignResponse", ("chain", raw, many, None), ("spiffe_id", string, one, None), ("not_before", message, one, time),
        ("not_after", message, one, time), ("renew_at", message, one, time))
    pool = descriptor_pool.Default()
    pool.Add(file)
    return tuple(message_factory.GetMessageClass(pool.FindMessageTypeByName(f"weft.v1.{name}")) for name in ("SignRequest", "SignResponse"))


SignRequest, SignResponse = _messages()


def openssl(*arguments, stdin=None, check=True):
    """What it prints."""
    run = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, timeout=LIMIT_S)
    if check and run.returncode:
        raise AssertionError(f"openssl {arguments}: {run.stderr.decode()}")
    return run.stdout


class Workload:
    """A key in a folder, and the certificates that it is given: `certificate` is the file of the newest chain."""

    def __init__(self, folder, name, kind=("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")):
        self.name = name
        self.key, self.certificate = (pathlib.Path(folder) / f"{name}.{end}" for end in ("key", "crt"))
        openssl("genpkey", *kind, "-out", self.key)

    def request(self, *arguments):
        """A certificate signing request, DER."""
        return openssl("req", "-new", "-key", self.key, "-subj", "/CN=ignored", "-outform", "DER", *arguments)

    def ask(self, channel, token=None, csr=None, node=None, **claims):
        """Has its key signed; the response. grpc.RpcError when it is refused."""
        claims = {"namespace": "shop", "service": self.name, **claims}
        node = base_pb2.Node(id=node or self.name)
        node.metadata.update({name: value for name, value in claims.items() if value is not None})
        request = SignRequest(node=node, csr=self.request() if csr is None else csr)
        call = channel.unary_unary("/weft.v1.Identity/Sign", SignRequest.SerializeToString, SignResponse.FromString)
        metadata = [("authorization", "Bearer " + token)] if token else []
        response = call(request, metadata=metadata, timeout=LIMIT_S)
        self.certificate.write_bytes(b"".join(openssl("x509", "-inform", "DER", stdin=each) for each in response.chain))
        return response

    def credentials(self, root):
        """For a channel on which it shows its certificate; `root` is the server's file."""
        return grpc.ssl_channel_credentials(pathlib.Path(root).read_bytes(), self.key.read_bytes(), self.certificate.read_bytes())

    def shown(self, *arguments):
        """What openssl says of the certificate."""
        return openssl("x509", "-in", self.certificate, "-noout", *arguments).decode()
