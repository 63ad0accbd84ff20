#include "proxy/filter/ext_authz/question.h"

#include <sys/uio.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "api/text/utf8.h"
#include "proxy/filter/ext_authz/changes.h"

namespace weft::filter {
namespace {

using http::HeaderId;

constexpr std::string_view kPartialBody = "x-envoy-auth-partial-body";
constexpr std::string_view kDownstreamService = "x-envoy-downstream-service-cluster";
// What goes with every question over HTTP, whatever is allowed.
constexpr std::string_view kAlwaysOverHttp[] = {"authorization", ":method", ":path", ":authority"};

class HeaderCollector {
 public:
  HeaderCollector(const AuthzFacts& facts, bool over_http, Question& question)
      : facts_(facts), over_http_(over_http), question_(question) {}

  void add(std::string_view name, std::string_view value) {
    std::string lower = absl::AsciiStrToLower({name.data(), name.size()});
    // Only the proxy may say it.
    if (lower == kPartialBody || !is_told(lower)) return;
    if (facts_.raw_headers) {
      question_.headers.emplace_back(std::move(lower), value);
      return;
    }
    for (auto& [known, text] : question_.headers) {
      if (known != lower) continue;
      text += ',' + utf8_text(value);
      return;
    }
    question_.headers.emplace_back(std::move(lower), utf8_text(value));
  }

 private:
  bool is_told(const std::string& name) const {
    if (facts_.withheld_headers.contains(name)) return false;
    if (!over_http_) return !facts_.headers || facts_.headers->contains(name);
    bool always = std::find(std::begin(kAlwaysOverHttp), std::end(kAlwaysOverHttp), name) != std::end(kAlwaysOverHttp);
    return always || (facts_.headers && facts_.headers->contains(name));
  }

  const AuthzFacts& facts_;
  bool over_http_;
  Question& question_;
};

std::string first_bytes(const base::Buffer& data, size_t most) {
  std::string bytes;
  struct iovec pieces[64];
  int count = data.pieces(pieces, std::size(pieces));
  for (int i = 0; i < count && bytes.size() < most; ++i) {
    bytes.append(static_cast<const char*>(pieces[i].iov_base), std::min(pieces[i].iov_len, most - bytes.size()));
  }
  // As many pieces only come of many small writes.
  if (bytes.size() < std::min(most, data.size())) bytes = data.to_string().substr(0, most);
  return bytes;
}

void add_body(const base::Buffer& held, const AuthzBody& settings, bool as_bytes, Question& question) {
  if (held.empty()) return;
  std::string bytes = first_bytes(held, settings.max_bytes);
  question.headers.emplace_back(kPartialBody, bytes.size() < held.size() ? "true" : "false");
  question.body_as_bytes = as_bytes;
  question.body = question.body_as_bytes ? std::move(bytes) : utf8_text(bytes);
}

// The values of a name in the metadata, by their keys.
std::vector<http::MetadataEntry> entries_of(const http::Metadata& metadata, const std::string& name) {
  std::vector<http::MetadataEntry> entries;
  metadata.for_each(name, [&](const http::MetadataEntry& entry) { entries.push_back(entry); });
  return entries;
}

void add_peers(FilterStream& stream, const AuthzFacts& facts, Question& question) {
  const transport::ConnectionInfo& connection = stream.connection();
  question.source.address = &connection.remote;
  question.destination.address = &connection.local;
  if (const http::Header* service = stream.request_head().headers.find(kDownstreamService)) {
    question.source.service = utf8_text(service->value);
  }
  if (connection.tls == nullptr) return;
  const transport::TlsInfo& tls = *connection.tls;
  if (tls.peer_verified) {
    const std::string& principal = !tls.peer_uri_sans.empty()   ? tls.peer_uri_sans[0]
                                   : !tls.peer_dns_sans.empty() ? tls.peer_dns_sans[0]
                                                                : tls.peer_subject;
    question.source.principal = utf8_text(principal);
  }
  if (!tls.local_uri_sans.empty()) question.destination.principal = utf8_text(tls.local_uri_sans[0]);
  if (facts.peer_certificate) {
    question.source.certificate = absl::StrReplaceAll(
        stream.peer_certificate_pem(), {{"\n", "%0A"}, {" ", "%20"}, {"+", "%2B"}, {"/", "%2F"}, {"=", "%3D"}});
  }
}

// What the question has of its own, or leaves to its own connection.
bool is_own(std::string_view name) {
  HeaderId id = http::header_id(name);
  return name.starts_with(':') || id == HeaderId::kExpect || id == HeaderId::kHost || is_framing_header(name);
}

}  // namespace

std::string utf8_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    size_t size = text::utf8_sequence(text);
    if (size == 0) {
      result += '!';
    } else {
      result.append(text.substr(0, size));
    }
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return result;
}

Question make_question(FilterStream& stream, const AuthzFacts& facts, bool over_http, const AuthzBody* body) {
  const http::RequestHead& head = stream.request_head();
  const observe::RequestRecord& record = stream.record();
  Question question;
  question.time_ns = record.start_wall_ns;
  question.id = std::to_string(stream.random().next());
  question.protocol = record.protocol;
  question.body_bytes = static_cast<int64_t>(stream.held_body().size());
  // An extended CONNECT (RFC 8441) is what HTTP/1 asks by GET and `upgrade`.
  bool extended = head.method_id == http::Method::kConnect && !head.upgrade.empty();
  question.method = extended ? "GET" : utf8_text(head.method);
  question.path = utf8_text(head.path);
  question.host = utf8_text(head.authority);
  std::string_view scheme = head.scheme;
  if (scheme.empty()) scheme = head.headers.value(HeaderId::kXForwardedProto);
  if (scheme.empty()) scheme = stream.connection().tls == nullptr ? "http" : "https";
  question.scheme = utf8_text(scheme);

  HeaderCollector headers(facts, over_http, question);
  headers.add(":authority", head.authority);
  headers.add(":path", head.path);
  headers.add(":method", question.method);
  headers.add(":scheme", scheme);
  if (!head.upgrade.empty()) {
    headers.add("connection", "Upgrade");
    headers.add("upgrade", head.upgrade);
  }
  if (head.accepts_trailers) headers.add("te", "trailers");
  for (const http::Header& each : head.headers) headers.add(each.name, each.value);
  question.raw_headers = facts.raw_headers;
  if (body != nullptr) {
    // What the filter says of it holds for routes with settings of their own, as in Envoy.
    bool as_bytes = over_http || body->as_bytes || (facts.body && facts.body->as_bytes);
    add_body(stream.held_body(), *body, as_bytes, question);
  }

  add_peers(stream, facts, question);
  question.own_labels = &facts.own_labels;
  for (const std::string& name : facts.metadata) {
    if (auto entries = entries_of(stream.metadata(), name); !entries.empty()) {
      question.metadata.emplace_back(name, std::move(entries));
    }
  }
  question.has_tls_session = facts.tls_session;
  if (facts.tls_session) {
    const transport::ConnectionInfo& connection = stream.connection();
    bool by_handshake = connection.tls != nullptr && !connection.tls->sni.empty();
    question.sni = utf8_text(by_handshake ? connection.tls->sni : connection.detected_server_name);
  }
  return question;
}

call::HttpRequest to_http_request(const Question& question, const AuthzService& service) {
  call::HttpRequest request;
  request.cluster = service.cluster;
  request.timeout_ms = service.timeout_ms;
  request.max_answer_bytes = service.max_message_bytes;
  request.method = question.method;
  request.authority = question.host;
  request.path = service.path.empty() ? service.path_prefix + question.path : service.path;
  if (question.path.empty()) request.path.clear();
  request.body = question.body;
  request.always_says_length = true;
  for (const auto& [name, value] : question.headers) {
    if (!is_own(name)) request.headers.emplace_back(name, value);
  }
  return request;
}

}  // namespace weft::filter
