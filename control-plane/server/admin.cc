#include "control-plane/server/admin.h"

#include <event2/buffer.h>
#include <event2/http.h>

#include <future>
#include <utility>

namespace weft::control::server {

namespace {

constexpr int kMaxHeaderBytes = 8192;
constexpr int kTimeoutSeconds = 10;

}  // namespace

Admin::Admin(Ask ask) : ask_(std::move(ask)) {}

absl::Status Admin::start(const std::string& address) {
  return thread_.start(address, [this](event_base*, evhttp* http) {
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET);
    evhttp_set_max_headers_size(http, kMaxHeaderBytes);
    evhttp_set_max_body_size(http, 0);
    evhttp_set_timeout(http, kTimeoutSeconds);
    evhttp_set_gencb(http, on_request, this);
  });
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
