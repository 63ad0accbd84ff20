"""Authorization services: one over gRPC, by Envoy's own protos, that answers as the test says and keeps what it was asked."""

import concurrent.futures
import threading

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from google.protobuf import json_format
from google.rpc import status_pb2

Actions = base_pb2.HeaderValueOption


def option(name, value, action=None, append=None):
    header = Actions(header=base_pb2.HeaderValue(key=name, value=value))
    if action is not None:
        header.append_action = action
    if append is not None:
        header.append.value = append
    return header


def ok(**fields):
    response = external_auth_pb2.CheckResponse(status=status_pb2.Status(code=0))
    response.ok_response.CopyFrom(external_auth_pb2.OkHttpResponse(**fields))
    return response


def denied(code=0, body="", headers=(), grpc_code=7):
    response = external_auth_pb2.CheckResponse(status=status_pb2.Status(code=grpc_code))
    response.denied_response.status.code = code
    response.denied_response.body = body
    response.denied_response.headers.extend(headers)
    return response


def facts(request):
    """What was told over gRPC, without what differs each time."""
    facts = json_format.MessageToDict(request)["attributes"]
    for part in (facts["request"], facts["request"]["http"]):
        part.pop("time", None)
        part.pop("id", None)
    for peer in (facts["source"], facts["destination"]):
        peer["address"]["socketAddress"].pop("portValue")
    http = facts["request"]["http"]
    http.get("headers", {}).pop("x-request-id", None)
    if "headerMap" in http:
        http["headerMap"] = sorted((each["key"], each["rawValue"]) for each in http["headerMap"]["headers"] if each["key"] != "x-request-id")
    return facts


class GrpcService(external_auth_pb2_grpc.AuthorizationServicer):
    """`answer` is a CheckResponse, or a function of the request and the call's context that gives one."""

    def __init__(self):
        self.answer = ok()
        self.requests = []
        self.metadata = []
        self.asked = threading.Event()  # Of hold().
        self.cancelled = threading.Event()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8))
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server(self, self._server)
        self.address = ("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))

    def Check(self, request, context):
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        return self.answer(request, context) if callable(self.answer) else self.answer

    def hold(self, limit_s):
        """Answers nobody, and says when the caller has given up."""
        self.asked.clear()
        self.cancelled.clear()
        released = threading.Event()

        def wait(_, context):
            context.add_callback(self.cancelled.set)
            self.asked.set()
            released.wait(limit_s)
            return ok()

        self.answer = wait
        return released

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(0).wait()
