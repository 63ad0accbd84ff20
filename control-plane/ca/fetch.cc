#include "control-plane/ca/fetch.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "api/text/cat.h"
#include "control-plane/ca/files.h"
#include "control-plane/ca/x509.h"
#include "control-plane/registry/format.h"

namespace weft::control::ca {

using text::cat;

namespace {

using Uri = std::unique_ptr<evhttp_uri, Freed<evhttp_uri_free>>;
using Loop = std::unique_ptr<event_base, Freed<event_base_free>>;
using Connection = std::unique_ptr<evhttp_connection, Freed<evhttp_connection_free>>;
using TlsContext = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;

constexpr int kHttpsPort = 443;
constexpr int kHttpPort = 80;

struct Target {
  bool is_tls = false;
  // Without brackets.
  std::string host;
  // As it stands in the URL, with the port if there is one.
  std::string authority;
  uint16_t port = 0;
  std::string path;
};

std::optional<Target> parse(const std::string& url) {
  const Uri uri(evhttp_uri_parse(url.c_str()));
  const auto text = [](const char* part) { return std::string(part == nullptr ? "" : part); };
  if (uri == nullptr || text(evhttp_uri_get_host(uri.get())).empty()) return std::nullopt;
  const std::string scheme = text(evhttp_uri_get_scheme(uri.get()));
  if (scheme != "https" && scheme != "http") return std::nullopt;
  Target out{.is_tls = scheme == "https", .host = text(evhttp_uri_get_host(uri.get()))};
  const int port = evhttp_uri_get_port(uri.get());
  out.authority = port < 0 ? out.host : cat(out.host, ":", port);
  if (out.host.starts_with('[') && out.host.ends_with(']')) out.host = out.host.substr(1, out.host.size() - 2);
  out.port = static_cast<uint16_t>(port >= 0 ? port : out.is_tls ? kHttpsPort : kHttpPort);
  out.path = text(evhttp_uri_get_path(uri.get()));
  if (out.path.empty()) out.path = "/";
  if (const char* query = evhttp_uri_get_query(uri.get()); query != nullptr) out.path += cat("?", std::string(query));
  return out;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || (registry::is_ipv4(host) && host.starts_with("127."));
}

struct Answer {
  event_base* loop = nullptr;
  int status = 0;
  std::string body;
};

void on_answer(evhttp_request* request, void* to) {
  Answer& answer = *static_cast<Answer*>(to);
  if (request != nullptr) {
    answer.status = evhttp_request_get_response_code(request);
    evbuffer* body = evhttp_request_get_input_buffer(request);
    answer.body.resize(evbuffer_get_length(body));
    evbuffer_copyout(body, answer.body.data(), answer.body.size());
  }
  event_base_loopbreak(answer.loop);
}

absl::StatusOr<TlsContext> tls_context(const std::string& root_path) {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const bool has_roots = root_path.empty()
                             ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                             : SSL_CTX_load_verify_locations(context.get(), root_path.c_str(), nullptr) == 1;
  if (!has_roots) return absl::UnavailableError(cat(root_path, ": expected roots in PEM: ", library_error()));
  return context;
}

// Owned by the connection that gets it. Null without memory.
bufferevent* tls_stream(event_base* loop, SSL_CTX* context, const std::string& host) {
  SSL* ssl = SSL_new(context);
  // The server must be who the URL names, not only somebody whom the roots know.
  if (registry::is_ip(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
  bufferevent* stream =
      bufferevent_openssl_socket_new(loop, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
  if (stream == nullptr) SSL_free(ssl);
  // Many servers end without a goodbye; HTTP says by itself where the answer ends.
  if (stream != nullptr) bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
  return stream;
}

std::string tls_error(bufferevent* stream) {
  const long verified = SSL_get_verify_result(bufferevent_openssl_get_ssl(stream));
  return verified == X509_V_OK ? "" : cat(": ", std::string(X509_verify_cert_error_string(verified)));
}

}  // namespace

absl::Status check_url(const std::string& url) {
  const std::optional<Target> target = parse(url);
  if (target.has_value() && (target->is_tls || is_loopback(target->host))) return absl::OkStatus();
  return absl::InvalidArgumentError(cat(url, ": expected https://..., or http:// on loopback"));
}

absl::StatusOr<std::string> fetch(const std::string& url, const FetchOptions& options) {
  if (absl::Status status = check_url(url); !status.ok()) return status;
  const std::optional<Target> target = parse(url);
  std::string authorization;
  if (!options.token_path.empty()) {
    const absl::StatusOr<std::string> token = read_file(options.token_path);
    if (!token.ok()) return token.status();
    authorization = cat("Bearer ", std::string(absl::StripAsciiWhitespace(*token)));
  }
  const Loop loop(event_base_new());
  TlsContext context;
  bufferevent* stream = nullptr;
  if (target->is_tls) {
    absl::StatusOr<TlsContext> made = tls_context(options.root_path);
    if (!made.ok()) return made.status();
    context = *std::move(made);
    stream = tls_stream(loop.get(), context.get(), target->host);
  }
  const Connection connection(
      evhttp_connection_base_bufferevent_new(loop.get(), nullptr, stream, target->host.c_str(), target->port));
  evhttp_connection_set_max_body_size(connection.get(), static_cast<ev_ssize_t>(options.max_bytes));
  const timeval limit{.tv_sec = options.timeout_ms / 1000, .tv_usec = options.timeout_ms % 1000 * 1000};
  evhttp_connection_set_timeout_tv(connection.get(), &limit);
  Answer answer{.loop = loop.get()};
  evhttp_request* request = evhttp_request_new(on_answer, &answer);
  evkeyvalq* headers = evhttp_request_get_output_headers(request);
  evhttp_add_header(headers, "Host", target->authority.c_str());
  // Kubernetes' API server gives its keys to nobody who does not name their media type.
  evhttp_add_header(headers, "Accept", "application/jwk-set+json, application/json");
  evhttp_add_header(headers, "Connection", "close");
  if (!authorization.empty()) evhttp_add_header(headers, "Authorization", authorization.c_str());
  // The request is the connection's from here.
  if (evhttp_make_request(connection.get(), request, EVHTTP_REQ_GET, target->path.c_str()) != 0) {
    return absl::UnavailableError(cat(url, ": cannot be asked"));
  }
  // However slowly it comes.
  event_base_loopexit(loop.get(), &limit);
  event_base_dispatch(loop.get());
  if (answer.status == 200) return answer.body;
  const std::string why = stream == nullptr ? "" : tls_error(stream);
  ERR_clear_error();
  return absl::UnavailableError(answer.status == 0 ? cat(url, ": no answer within ", options.timeout_ms, " ms", why)
                                                   : cat(url, ": answered ", answer.status, ", expected 200"));
}

}  // namespace weft::control::ca
