#include "control-plane/server/admin.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::control::server {

namespace {

constexpr int kMaxHeaderBytes = 8192;
constexpr int kTimeoutSeconds = 10;

uint16_t port_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

}  // namespace

Admin::Admin(Ask ask) : ask_(std::move(ask)) {}
Admin::~Admin() { stop(); }

absl::Status Admin::start(const std::string& address) {
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
  evhttp_set_allowed_methods(http_, EVHTTP_REQ_GET);
  evhttp_set_max_headers_size(http_, kMaxHeaderBytes);
  evhttp_set_max_body_size(http_, 0);
  evhttp_set_timeout(http_, kTimeoutSeconds);
  evhttp_set_gencb(http_, on_request, this);
  evhttp_bound_socket* socket = evhttp_bind_socket_with_handle(http_, host.c_str(), port);
  if (socket == nullptr) return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
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

void Admin::stop() {
  if (thread_.joinable()) {
    eventfd_write(wake_, 1);
    thread_.join();
    close(wake_);
  }
  if (http_ != nullptr) evhttp_free(std::exchange(http_, nullptr));
  if (base_ != nullptr) event_base_free(std::exchange(base_, nullptr));
}

void Admin::on_request(evhttp_request* request, void* self) {
  const char* path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
  auto made = std::make_shared<std::promise<std::optional<Page>>>();
  std::future<std::optional<Page>> page = made->get_future();
  static_cast<Admin*>(self)->ask_(path == nullptr ? "" : path,
                                  [made](std::optional<Page> each) { made->set_value(std::move(each)); });
  const std::optional<Page> answer = page.get();
  if (!answer.has_value()) {
    evhttp_send_error(request, HTTP_NOTFOUND, nullptr);
    return;
  }
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", answer->content_type.c_str());
  evbuffer_add(evhttp_request_get_output_buffer(request), answer->body.data(), answer->body.size());
  evhttp_send_reply(request, HTTP_OK, "OK", nullptr);
}

}  // namespace weft::control::server
