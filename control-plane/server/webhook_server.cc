#include "control-plane/server/webhook_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string_view>
#include <utility>

#include "api/text/cat.h"

namespace weft::control::server {

namespace {

using inject::Verdict;
using text::cat;

constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kJson[] = "application/json";
constexpr const char* kVerdictNames[] = {"injected", "left", "refused", "malformed"};
constexpr int kUnsupportedMediaType = 415;

// Whose connection an SSL is: its slot is emptied when the SSL is freed, which is when the connection is gone.
int owner_slot() {
  static const int slot =
      SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, [](void*, void* on_freed, CRYPTO_EX_DATA*, int, long, void*) {
        if (on_freed == nullptr) return;
        const std::unique_ptr<std::function<void()>> call(static_cast<std::function<void()>*>(on_freed));
        (*call)();
      });
  return slot;
}

void reply(evhttp_request* request, int status, const char* content_type, std::string_view body) {
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", content_type);
  evbuffer_add(evhttp_request_get_output_buffer(request), body.data(), body.size());
  evhttp_send_reply(request, status, nullptr, nullptr);
}

bool is_json(evhttp_request* request) {
  const char* type = evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Type");
  const std::string_view text = type == nullptr ? "" : type;
  return text == kJson || text.starts_with("application/json;");
}

}  // namespace

WebhookServer::WebhookServer(ca::ServerCertificate certificate, inject::Settings settings, WebhookLimits limits)
    : certificate_(std::move(certificate)), settings_(std::move(settings)), limits_(limits) {}

WebhookServer::~WebhookServer() {
  stop();
  SSL_CTX_free(tls_);
}

absl::Status WebhookServer::make_tls() {
  const auto read = [](const std::string& pem) {
    return std::unique_ptr<BIO, decltype(&BIO_free_all)>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                         BIO_free_all);
  };
  const auto certificates = read(certificate_.certificate_pem), key_text = read(certificate_.key_pem);
  tls_ = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_min_proto_version(tls_, TLS1_2_VERSION);
  SSL_CTX_set_options(tls_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(tls_, SSL_SESS_CACHE_OFF);
  const std::unique_ptr<X509, decltype(&X509_free)> leaf(
      PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr), X509_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  bool is_good = leaf != nullptr && key != nullptr && SSL_CTX_use_certificate(tls_, leaf.get()) == 1 &&
                 SSL_CTX_use_PrivateKey(tls_, key.get()) == 1;
  // Those who signed it follow in the same file.
  while (is_good) {
    X509* next = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr);
    if (next == nullptr) break;
    is_good = SSL_CTX_add0_chain_cert(tls_, next) == 1;
  }
  ERR_clear_error();
  return is_good ? absl::OkStatus()
                 : absl::InvalidArgumentError("the webhook's certificate and key are not ones that TLS can use");
}

absl::Status WebhookServer::start(const std::string& address) {
  if (absl::Status status = make_tls(); !status.ok()) return status;
  return thread_.start(address, [this](event_base*, evhttp* http) {
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
    evhttp_set_max_headers_size(http, limits_.max_header_bytes);
    evhttp_set_max_body_size(http, static_cast<ev_ssize_t>(limits_.max_body_bytes));
    evhttp_set_timeout(http, limits_.timeout_seconds);
    evhttp_set_bevcb(http, on_connection, this);
    evhttp_set_cb(http, "/inject", on_review, this);
    evhttp_set_cb(http, "/healthz", on_health, this);
  });
}

void WebhookServer::stop() { thread_.stop(); }

bufferevent* WebhookServer::on_connection(event_base* base, void* self) {
  auto* server = static_cast<WebhookServer*>(self);
  SSL* tls = SSL_new(server->tls_);
  SSL_set_ex_data(tls, owner_slot(), new std::function<void()>([server] { server->on_connection_freed(); }));
  if (++server->connections_ >= server->limits_.max_connections) evconnlistener_disable(server->thread_.listener());
  bufferevent* made = bufferevent_openssl_socket_new(base, -1, tls, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
  // Peers that end without TLS's own goodbye have ended all the same.
  bufferevent_openssl_set_allow_dirty_shutdown(made, 1);
  return made;
}

void WebhookServer::on_connection_freed() {
  --connections_;
  // The listener goes before the connections when all ends.
  if (thread_.listener() != nullptr) evconnlistener_enable(thread_.listener());
}

void WebhookServer::on_review(evhttp_request* request, void* self) {
  auto* server = static_cast<WebhookServer*>(self);
  if (evhttp_request_get_command(request) != EVHTTP_REQ_POST) {
    return reply(request, HTTP_BADMETHOD, kText, "expected POST\n");
  }
  if (!is_json(request))
    return reply(request, kUnsupportedMediaType, kText, "expected Content-Type: application/json\n");
  evbuffer* body = evhttp_request_get_input_buffer(request);
  const size_t size = evbuffer_get_length(body);
  const auto* data = reinterpret_cast<const char*>(evbuffer_pullup(body, -1));
  const inject::Reply answer = inject::review(server->settings_, {data == nullptr ? "" : data, size});
  server->verdicts_[static_cast<size_t>(answer.verdict)].fetch_add(1, std::memory_order_relaxed);
  reply(request, answer.status, answer.status == HTTP_OK ? kJson : kText, answer.body);
}

void WebhookServer::on_health(evhttp_request* request, void*) { reply(request, HTTP_OK, kText, "ok\n"); }

std::string WebhookServer::metrics() const {
  std::string out =
      "# HELP weft_control_admission_reviews_total Pods that the admission webhook was asked about, by verdict.\n"
      "# TYPE weft_control_admission_reviews_total counter\n";
  for (size_t i = 0; i < std::size(kVerdictNames); ++i) {
    text::append(&out, "weft_control_admission_reviews_total{verdict=\"", kVerdictNames[i], "\"} ",
                 verdicts_[i].load(std::memory_order_relaxed), "\n");
  }
  return out;
}

}  // namespace weft::control::server
