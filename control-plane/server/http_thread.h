#pragma once

// An HTTP/1 server with a thread of its own, for what is no proxy's traffic: the admin port, the admission webhook.
// Requests are answered on that thread; start() and stop() are the owner's.

#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"

struct event_base;
struct evconnlistener;
struct evhttp;

namespace weft::control::server {

class HttpThread {
 public:
  HttpThread() = default;
  ~HttpThread();
  HttpThread(const HttpThread&) = delete;
  HttpThread& operator=(const HttpThread&) = delete;

  // `prepare` says how requests are taken, before there can be one. `address` is "host:port"; port 0 is any free one.
  using Prepare = std::function<void(event_base* base, evhttp* http)>;
  absl::Status start(const std::string& address, const Prepare& prepare);
  // Ends connections as they are.
  void stop();

  // Once started.
  const std::string& address() const { return address_; }
  evconnlistener* listener() const { return listener_; }

 private:
  event_base* base_ = nullptr;
  evhttp* http_ = nullptr;
  evconnlistener* listener_ = nullptr;
  int wake_ = -1;
  std::string address_;
  std::thread thread_;
};

}  // namespace weft::control::server
