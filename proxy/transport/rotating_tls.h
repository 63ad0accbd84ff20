#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/transport/secret_use.h"
#include "proxy/transport/server_tls.h"
#include "proxy/transport/socket_options.h"

// TLS whose secrets come and change while it is used: a place in which one context after the other stands. Shared by
// all workers, who look at it once a handshake; the main thread changes it.

namespace weft::transport {

// `Made` is what one set of secrets gives: a std::shared_ptr.
template <typename Made>
class Rotation final : public SecretUse {
 public:
  using Make = std::function<absl::StatusOr<Made>(const std::vector<const SecretText*>&)>;
  // `first`: what is in force before any secret came; nullptr: nothing.
  Rotation(std::vector<SecretName> names, Make make, Made first)
      : names_(std::move(names)), make_(std::move(make)), current_(std::move(first)) {}

  const std::vector<SecretName>& secret_names() const override { return names_; }
  absl::Status prepare(const std::vector<const SecretText*>& secrets) override {
    absl::StatusOr<Made> made = make_(secrets);
    if (!made.ok()) return made.status();
    prepared_ = *std::move(made);
    return absl::OkStatus();
  }
  void commit() override {
    // What was in force before goes when the lock is let go.
    Made next = std::exchange(prepared_, nullptr);
    std::lock_guard<std::mutex> lock(mutex_);
    current_.swap(next);
  }
  bool has_context() const override { return current() != nullptr; }
  Made current() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return current_;
  }

 private:
  const std::vector<SecretName> names_;
  const Make make_;
  Made prepared_;             // The main thread's.
  mutable std::mutex mutex_;  // Guards current_.
  Made current_;
};

using ServerTlsPtr = std::shared_ptr<const ServerTls>;
std::shared_ptr<const ServerTls> make_rotating_server_tls(std::vector<SecretName> names,
                                                          Rotation<ServerTlsPtr>::Make make, ServerTlsPtr first);

// Until there is a context, connections fail with ErrorKind::kNoSecret.
using ConnectorPtr = std::shared_ptr<Connector>;
std::shared_ptr<Connector> make_rotating_connector(std::vector<SecretName> names, Rotation<ConnectorPtr>::Make make,
                                                   ConnectorPtr first);

}  // namespace weft::transport
