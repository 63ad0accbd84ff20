#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "control-plane/registry/check.h"
#include "control-plane/registry/reference.h"
#include "kubernetes/meta/v1/meta.pb.h"
#include "weft/v1/external_authorizer.pb.h"

namespace weft::control::registry {

namespace {

using text::cat;
using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr uint64_t kMaxBodyBytes = 16 * 1024 * 1024;

// A header's name, or a pattern of names with one * at an end.
bool is_header_pattern(std::string_view pattern) {
  if (pattern == "*") return true;
  if (pattern.starts_with('*')) {
    pattern.remove_prefix(1);
  } else if (pattern.ends_with('*')) {
    pattern.remove_suffix(1);
  }
  return is_token(pattern) && pattern.find('*') == std::string_view::npos;
}

// Those that Envoy has a name for.
bool is_known_status(uint32_t status) {
  if (status >= 400 && status <= 417) return true;
  if (status >= 500 && status <= 508) return true;
  constexpr uint32_t kRest[] = {421, 422, 423, 424, 426, 428, 429, 431, 510, 511};
  return std::find(std::begin(kRest), std::end(kRest), status) != std::end(kRest);
}

// Headers that say where a message ends or where it goes.
bool is_of_the_message(std::string_view lower_name) {
  constexpr std::string_view kNames[] = {"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"};
  return std::find(std::begin(kNames), std::end(kNames), lower_name) != std::end(kNames);
}

bool is_header_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f; });
}

void check_patterns(const Names& names, const std::string& path, Check* check) {
  for (int i = 0; i < names.size(); ++i) {
    check->expect(is_header_pattern(names[i]), text::index_path(path, static_cast<size_t>(i)),
                  "a header's name, \"prefix*\", \"*suffix\" or \"*\"", names[i]);
  }
}

void check_http(const v1::HttpAuthorizer& http, Check* check) {
  const std::string path = "spec.http";
  const std::string& prefix = http.path_prefix();
  const bool is_path =
      prefix.empty() || (prefix.starts_with('/') && std::all_of(prefix.begin(), prefix.end(), [](char c) {
                           return c > ' ' && c < 0x7f && c != '?' && c != '#';
                         }));
  check->expect(is_path, at(path, "pathPrefix"), "a path: \"/check\"", prefix);
  check_patterns(http.include_request_headers_in_check(), at(path, "includeRequestHeadersInCheck"), check);
  check_patterns(http.headers_to_upstream_on_allow(), at(path, "headersToUpstreamOnAllow"), check);
  check_patterns(http.headers_to_downstream_on_deny(), at(path, "headersToDownstreamOnDeny"), check);
  check_patterns(http.headers_to_downstream_on_allow(), at(path, "headersToDownstreamOnAllow"), check);
  for (const auto& [name, value] : http.include_additional_headers_in_check()) {
    const std::string here = text::key_path(at(path, "includeAdditionalHeadersInCheck"), name);
    check->expect(is_token(name) && !is_of_the_message(absl::AsciiStrToLower(name)), here,
                  "a header's name, and not one of the message itself", name);
    if (!is_header_value(value)) check->fail(here, "expected a value without control characters");
  }
}

void check_body(const v1::AuthorizerBody& body, bool is_http, Check* check) {
  const std::string path = "spec.includeRequestBodyInCheck";
  check->range(body.max_request_bytes(), at(path, "maxRequestBytes"), 1, kMaxBodyBytes);
  if (is_http && body.pack_as_bytes()) {
    check->fail(at(path, "packAsBytes"), "expected none: over HTTP a body is sent as it is");
  }
}

void check_backend(const gateway::v1::BackendReference& backend, Check* check) {
  const std::string path = "spec.backendRef";
  if (!names_a_service(backend)) {
    check->fail(path, "expected kind Service with group \"\", or ExternalService with group weft.mesh");
  }
  check->expect(is_dns_label(backend.name()), at(path, "name"), "a service's name", backend.name());
  if (!backend.namespace_().empty()) {
    check->expect(is_dns_label(backend.namespace_()), at(path, "namespace"), "a namespace", backend.namespace_());
  }
  check->port(backend.port(), at(path, "port"));
  if (backend.has_weight()) check->fail(at(path, "weight"), "expected none: there is one service");
}

}  // namespace

void check(const v1::ExternalAuthorizer& authorizer, Check* check) {
  const auto& spec = authorizer.spec();
  check_backend(spec.backend_ref(), check);
  if (spec.has_http() == spec.has_grpc()) {
    check->fail("spec", "expected one of http and grpc, the way in which the service is asked");
  }
  if (!spec.timeout().empty()) {
    check->duration(spec.timeout(), "spec.timeout");
    check->expect(parse_duration_ms(spec.timeout()) != 0, "spec.timeout", "more than nothing", spec.timeout());
  }
  if (spec.has_status_on_error() && !is_known_status(spec.status_on_error())) {
    check->fail("spec.statusOnError",
                cat("expected a status of an error, such as 403 or 503; got ", spec.status_on_error()));
  }
  if (spec.has_include_request_body_in_check()) {
    check_body(spec.include_request_body_in_check(), spec.has_http(), check);
  }
  if (spec.has_http()) check_http(spec.http(), check);
}

}  // namespace weft::control::registry
