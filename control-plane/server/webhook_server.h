#pragma once

// The admission webhook's port: HTTPS, POST /inject with an AdmissionReview, and GET /healthz. It has a thread of its
// own, on which reviews are answered; start() and stop() are the owner's, counts() is anyone's.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "control-plane/ca/server_certificate.h"
#include "control-plane/inject/admission.h"
#include "control-plane/server/http_thread.h"

struct bufferevent;
struct evhttp_request;
struct ssl_ctx_st;

namespace weft::control::server {

struct WebhookLimits {
  // The API server takes objects of 3 MiB at most, and sends old ones beside new ones.
  size_t max_body_bytes = 8 << 20;
  int max_header_bytes = 16 << 10;
  // Those beyond wait until one ends.
  int max_connections = 128;
  // Without a byte.
  int timeout_seconds = 30;
};

class WebhookServer {
 public:
  WebhookServer(ca::ServerCertificate certificate, inject::Settings settings, WebhookLimits limits);
  ~WebhookServer();

  // `address` is "host:port"; port 0 is any free one. InvalidArgument for a certificate that TLS does not take.
  absl::Status start(const std::string& address);
  void stop();
  const std::string& address() const { return thread_.address(); }

  // How many reviews came to each verdict, in Prometheus' text.
  std::string metrics() const;

 private:
  static void on_review(evhttp_request* request, void* self);
  static void on_health(evhttp_request* request, void* self);
  static bufferevent* on_connection(event_base* base, void* self);
  absl::Status make_tls();
  void on_connection_freed();

  const ca::ServerCertificate certificate_;
  const inject::Settings settings_;
  const WebhookLimits limits_;
  ssl_ctx_st* tls_ = nullptr;
  int connections_ = 0;  // of the thread
  std::atomic<uint64_t> verdicts_[4] = {};
  HttpThread thread_;
};

}  // namespace weft::control::server
