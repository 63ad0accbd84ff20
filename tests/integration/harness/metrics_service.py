"""A server of Envoy's metrics service (envoy.service.metrics.v3) that keeps what it is sent, with our own protos."""

import concurrent.futures
import pathlib
import subprocess
import tempfile
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

API = pathlib.Path(__file__).resolve().parents[3] / "api"
SERVICE = "envoy.service.metrics.v3.MetricsService"


def message_class(name="envoy.service.metrics.v3.StreamMetricsMessage"):
    """A message of ours as a Python class."""
    with tempfile.NamedTemporaryFile(suffix=".pb") as file:
        subprocess.run(["protoc", f"-I{API}", "--include_imports", f"--descriptor_set_out={file.name}",
                        "envoy/service/metrics/v3/metrics_service.proto"], check=True, cwd=API)
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(file.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for each in descriptors.file:
        pool.Add(each)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


class MetricsServer:
    """Listens at .address; .messages has what came, in its order. As a context manager."""

    def __init__(self):
        self.messages = []
        self._changed = threading.Condition()
        message = message_class()
        handler = grpc.stream_unary_rpc_method_handler(self._take, message.FromString, lambda _: b"")
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"StreamMetrics": handler}),))
        self.address = ("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))
        self._server.start()

    def _take(self, messages, _):
        try:
            for message in messages:
                with self._changed:
                    self.messages.append(message)
                    self._changed.notify_all()
        except grpc.RpcError:
            pass  # The proxy ended.

    def wait_for(self, condition, limit_s=20):
        """Waits until condition(messages) is true; says whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self.messages), limit_s)

    def metrics(self, name):
        """Every metric of this name, as it came."""
        with self._changed:
            return [metric for message in self.messages for family in message.envoy_metrics if family.name == name for metric in family.metric]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.stop(None)
