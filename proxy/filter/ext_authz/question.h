#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/call/http_call.h"
#include "proxy/filter/ext_authz/service.h"
#include "proxy/filter/filter.h"

// What the authorization service is asked of one request, as Envoy asks it. Texts are UTF-8, but for raw headers and
// bodies. Pure.

namespace weft::filter {

struct AuthzPeer {
  const transport::Address* address = nullptr;
  std::string service;
  std::string principal;    // What a verified certificate says it is: a URI, or else a DNS name or the subject.
  std::string certificate;  // PEM, escaped as a part of a URL.
};

struct Question {
  int64_t time_ns = 0;  // Since 1970: when the request began.
  std::string id;
  std::string method;
  std::string path;
  std::string host;
  std::string scheme;
  std::string_view protocol;
  int64_t body_bytes = 0;  // That came so far.
  // Names in lower case, with pseudo-headers as HTTP/2 has them. Unless they are raw, every name stands once.
  std::vector<std::pair<std::string, std::string>> headers;
  bool raw_headers = false;
  std::string body;
  bool body_as_bytes = false;
  AuthzPeer source;
  AuthzPeer destination;
  const std::vector<std::pair<std::string, std::string>>* own_labels = nullptr;
  const std::map<std::string, std::string>* extensions = nullptr;  // nullptr: none.
  std::vector<std::pair<std::string_view, std::vector<http::MetadataEntry>>> metadata;
  bool has_tls_session = false;
  std::string sni;
};

// `over_http`: the headers of the question are those of an HTTP request. `body`, which may be nullptr, says how much of
// what has come of the request's body goes with it.
Question make_question(FilterStream& stream, const AuthzFacts& facts, bool over_http, const AuthzBody* body);

// As an HTTP request to the service, without headers of its own. A request that has no path, as CONNECT, cannot be
// asked about so: its path is empty.
call::HttpRequest to_http_request(const Question& question, const AuthzService& service);

// Bytes that are no UTF-8 become '!'.
std::string utf8_text(std::string_view text);

}  // namespace weft::filter
