#include "proxy/listener/listen_sockets.h"

#include "absl/strings/str_cat.h"

namespace weft::listener {
namespace {

absl::Status with_name(const snapshot::Listener& listener, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("listener '", listener.name, "': ", status.message()));
}

}  // namespace

absl::StatusOr<ListenSockets> open_listen_sockets(const snapshot::Listener& listener, uint32_t workers) {
  transport::ListenOptions options;
  options.reuse_port = listener.reuse_port;
  options.ipv4_compat = listener.ipv4_compat;
  options.transparent = listener.transparent;
  options.freebind = listener.freebind;
  options.unix_mode = listener.unix_mode;
  options.backlog = listener.backlog;
  options.keepalive = listener.keepalive;
  ListenSockets sockets;
  sockets.worker_sockets.resize(workers);
  for (const transport::Address& configured : listener.addresses) {
    transport::Address address = configured;
    bool one_for_all = !listener.reuse_port || address.family == transport::Address::Family::kUnix;
    for (uint32_t worker = 0; worker < workers; ++worker) {
      absl::StatusOr<transport::Descriptor> socket = worker > 0 && one_for_all
                                                         ? transport::duplicate(sockets.worker_sockets[0].back())
                                                         : transport::listen_on(address, options);
      if (!socket.ok()) return with_name(listener, socket.status());
      // The system chose the first worker's port; the others take the same.
      if (worker == 0 && address.family != transport::Address::Family::kUnix) {
        address = transport::local_address(socket->get());
      }
      sockets.worker_sockets[worker].push_back(*std::move(socket));
    }
    sockets.addresses.push_back(std::move(address));
  }
  return sockets;
}

}  // namespace weft::listener
