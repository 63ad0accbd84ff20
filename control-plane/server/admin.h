#pragma once

// The admin port: HTTP GETs of pages that the owner makes. It has a thread of its own; start() and stop() are the
// owner's, and pages are asked for on the admin's thread.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "control-plane/server/http_thread.h"
#include "control-plane/server/page.h"

struct evhttp_request;

namespace weft::control::server {

class Admin {
 public:
  // To be called once, on any thread; without a page the answer is 404.
  using Answer = std::function<void(std::optional<Page> page)>;
  using Ask = std::function<void(const std::string& path, Answer answer)>;

  explicit Admin(Ask ask);

  // `address` is "host:port"; port 0 is any free one.
  absl::Status start(const std::string& address);
  void stop() { thread_.stop(); }

  // "127.0.0.1:15014", once started.
  const std::string& address() const { return thread_.address(); }

 private:
  static void on_request(evhttp_request* request, void* self);

  Ask ask_;
  HttpThread thread_;
};

}  // namespace weft::control::server
