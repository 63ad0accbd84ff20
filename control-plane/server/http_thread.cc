#include "control-plane/server/http_thread.h"

#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::control::server {

namespace {

uint16_t port_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

}  // namespace

HttpThread::~HttpThread() { stop(); }

absl::Status HttpThread::start(const std::string& address, const Prepare& prepare) {
  const size_t colon = address.rfind(':');
  uint16_t port = 0;
  const char* end = address.data() + address.size();
  if (colon == std::string::npos || std::from_chars(address.data() + colon + 1, end, port).ptr != end) {
    return absl::InvalidArgumentError(absl::StrCat(address, ": expected HOST:PORT"));
  }
  const std::string written_host = address.substr(0, colon);
  const bool has_brackets = written_host.starts_with('[') && written_host.ends_with(']');
  const std::string host = has_brackets ? written_host.substr(1, written_host.size() - 2) : written_host;
  base_ = event_base_new();
  http_ = evhttp_new(base_);
  prepare(base_, http_);
  evhttp_bound_socket* socket = evhttp_bind_socket_with_handle(http_, host.c_str(), port);
  if (socket == nullptr) return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  listener_ = evhttp_bound_socket_get_listener(socket);
  address_ = absl::StrCat(written_host, ":", port_of(evhttp_bound_socket_get_fd(socket)));
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const auto end_loop = [](evutil_socket_t, short, void* base) {
    event_base_loopbreak(static_cast<event_base*>(base));
  };
  thread_ = std::thread([this, end_loop] {
    event* wake = event_new(base_, wake_, EV_READ, end_loop, base_);
    event_add(wake, nullptr);
    event_base_dispatch(base_);
    event_free(wake);
  });
  return absl::OkStatus();
}

void HttpThread::stop() {
  if (thread_.joinable()) {
    eventfd_write(wake_, 1);
    thread_.join();
    close(wake_);
  }
  listener_ = nullptr;
  if (http_ != nullptr) evhttp_free(std::exchange(http_, nullptr));
  if (base_ != nullptr) event_base_free(std::exchange(base_, nullptr));
}

}  // namespace weft::control::server
