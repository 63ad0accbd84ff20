#pragma once

// The server of the Unix socket on which weftctl calls. Calls are answered on threads of gRPC's own, where they may
// block. None of these polls: gRPC watches all connections of a process in one place, so what comes by this socket is
// read by the loop's thread (loop.h), which therefore must run. Belongs to whoever starts the control plane.

#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace weft::control::server {

class ControlSocket {
 public:
  // To be called before anything of gRPC is: it has to watch connections in the way that this stands on.
  static void choose_polling();

  // The services outlive it. An error says what is wrong with the path, or that nobody can listen there.
  static absl::StatusOr<std::unique_ptr<ControlSocket>> serve(const std::string& path,
                                                              const std::vector<grpc::Service*>& services);
  ~ControlSocket();

  // Ends all calls; those that wait are given a second.
  void stop();

 private:
  ControlSocket() = default;

  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  bool is_stopped_ = false;
};

}  // namespace weft::control::server
