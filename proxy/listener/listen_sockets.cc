#include "proxy/listener/listen_sockets.h"

#include <utility>

namespace weft::listener {
namespace {

transport::ListenOptions options_of(const snapshot::Listener& listener) {
  transport::ListenOptions options;
  options.reuse_port = listener.reuse_port;
  options.ipv4_compat = listener.ipv4_compat;
  options.transparent = listener.transparent;
  options.freebind = listener.freebind;
  options.unix_mode = listener.unix_mode;
  options.backlog = listener.backlog;
  options.keepalive = listener.keepalive;
  return options;
}

}  // namespace

absl::StatusOr<ListenAddressPtr> ListenAddress::bind(const snapshot::Listener& listener,
                                                     const transport::Address& address, uint32_t workers) {
  ListenAddressPtr result(new ListenAddress(address, options_of(listener)));
  bool is_unix = address.family == transport::Address::Family::kUnix;
  bool one_for_all = !listener.reuse_port || is_unix;
  for (uint32_t worker = 0; worker < workers; ++worker) {
    if (worker > 0 && one_for_all) {
      result->sockets_.push_back(result->sockets_[0]);
      continue;
    }
    absl::StatusOr<transport::Descriptor> socket = transport::bind_listener(result->bound_, result->options_);
    if (!socket.ok()) {
      if (is_unix) result->bound_ = {};  // The file is another's.
      return socket.status();
    }
    // The system chose the first worker's port; the others take the same.
    if (worker == 0 && !is_unix) result->bound_ = transport::local_address(socket->get());
    result->sockets_.push_back(std::make_shared<const transport::Descriptor>(*std::move(socket)));
  }
  return result;
}

ListenAddress::~ListenAddress() { transport::unlink_listener_path(bound_); }

absl::Status ListenAddress::listen(const snapshot::Listener& listener) {
  for (const ListenSocket& socket : sockets_) {
    absl::Status status = transport::start_listening(*socket, bound_, listener.backlog);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool ListenAddress::serves(const snapshot::Listener& listener, const transport::Address& address) const {
  transport::ListenOptions wanted = options_of(listener);
  wanted.backlog = options_.backlog;  // Which can change while it listens.
  return address == configured_ && wanted == options_;
}

}  // namespace weft::listener
