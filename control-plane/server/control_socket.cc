#include "control-plane/server/control_socket.h"

#include <grpcpp/grpcpp.h>
#include <sys/un.h>

#include <cstdlib>
#include <utility>

#include "api/text/cat.h"

namespace weft::control::server {

namespace {

constexpr int kShutdownMs = 1000;
constexpr int kMaxRequestBytes = 64 << 20;
constexpr int kWindowBytes = 1 << 20;

}  // namespace

void ControlSocket::choose_polling() { setenv("GRPC_POLL_STRATEGY", "epoll1", 1); }

absl::StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::serve(const std::string& path,
                                                                    const std::vector<grpc::Service*>& services) {
  constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kMaxPath) {
    return absl::InvalidArgumentError(text::cat("the socket's path has ", path.size(), " bytes, at most ", kMaxPath,
                                                " are possible: ", path, "; name a shorter one by --control-socket"));
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  // What is near needs no ping after each request to find out how large the window should be.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<ControlSocket> socket(new ControlSocket());
  // No call comes by it. That there is one tells gRPC that polling is seen to, and its own threads only wait for calls.
  socket->queue_ = builder.AddCompletionQueue();
  socket->server_ = builder.BuildAndStart();
  if (socket->server_ == nullptr) return absl::UnavailableError(text::cat("cannot listen on ", path));
  return socket;
}

ControlSocket::~ControlSocket() { stop(); }

void ControlSocket::stop() {
  if (std::exchange(is_stopped_, true)) return;
  if (server_ != nullptr) server_->Shutdown(gpr_time_from_millis(kShutdownMs, GPR_TIMESPAN));
  queue_->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
  }
}

}  // namespace weft::control::server
