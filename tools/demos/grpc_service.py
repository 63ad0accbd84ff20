"""A little gRPC service, and its client.

    grpc_service.py serve ADDRESS:PORT
    grpc_service.py call TARGET NAME

It knows nothing of the mesh. Messages are bytes as they are, so that it needs no generated code.
"""

import concurrent.futures
import sys

import grpc

METHOD = "/greeter.Greeter/Greet"
CALL_LIMIT_S = 5


def serve(address):
    greet = grpc.unary_unary_rpc_method_handler(lambda name, _: b"hello, " + name)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    service, method = METHOD.strip("/").split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: greet}),))
    if not server.add_insecure_port(address):
        sys.exit(f"cannot listen on {address}")
    server.start()
    print(f"greeter listening on {address}", flush=True)
    server.wait_for_termination()


def call(target, name):
    # The mesh balances and encrypts; HTTP proxies of the environment are not for it.
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        print(channel.unary_unary(METHOD)(name.encode(), timeout=CALL_LIMIT_S, wait_for_ready=True).decode())


{"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
