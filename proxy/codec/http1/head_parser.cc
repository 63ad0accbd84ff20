#include "proxy/codec/http1/head_parser.h"

#include <cstring>

#include "proxy/codec/http1/chars.h"

namespace weft::codec::http1 {
namespace {

using http::Cause;
using http::HeaderId;

ParseError bad(std::string_view detail) { return {Cause::kBadRequest, detail}; }

// Takes one line without its CRLF off the front of `rest`. Null data: the line is not ended by CRLF.
std::string_view take_line(std::string_view& rest) {
  const auto* newline = static_cast<const char*>(std::memchr(rest.data(), '\n', rest.size()));
  if (newline == nullptr || newline == rest.data() || newline[-1] != '\r') return {};
  std::string_view line(rest.data(), static_cast<size_t>(newline - rest.data() - 1));
  rest.remove_prefix(line.size() + 2);
  return line;
}

bool parse_length(std::string_view text, uint64_t* length) {
  if (text.empty() || text.size() > 18) return false;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  *length = value;
  return true;
}

// Calls `each` with every element of a comma-separated list.
template <typename Each>
void for_each_token(std::string_view list, Each each) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view token = trim_whitespace(list.substr(0, comma));
    if (!token.empty()) each(token);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
}

// What a peer may not make the next hop lose by naming it in Connection.
bool may_be_nominated(HeaderId id) {
  switch (id) {
    case HeaderId::kOther:
    case HeaderId::kKeepAlive:
    case HeaderId::kTe:
    case HeaderId::kTrailer:
      return true;
    default:
      return false;
  }
}

// More names than any honest peer gives; what is named beyond them would slip through to the next hop.
constexpr size_t kMaxNominated = 16;

struct Collected {
  std::string_view host;
  bool has_host = false;
  std::string_view upgrade;
  std::string_view connection;  // The first Connection field; further ones are handled as they come.
  bool te_trailers = false;
  bool expect_continue = false;
  bool transfer_encoding = false;
};

ParseError parse_fields(std::string_view rest, const Limits& limits, http::HeaderMap& headers, Framing& framing,
                        Collected& collected) {
  std::string_view nominated[kMaxNominated];
  size_t nominated_count = 0;
  uint32_t count = 0;
  while (true) {
    if (rest.size() >= 2 && rest[0] == '\r' && rest[1] == '\n') break;
    const char* at = rest.data();
    const char* end = at + rest.size();
    const char* name_end = at;
    while (name_end < end && is_token_char(*name_end)) ++name_end;
    std::string_view name(at, static_cast<size_t>(name_end - at));
    if (name_end == end || *name_end != ':' || name.empty()) {
      if (*at == ' ' || *at == '\t') return bad("a header line begins with white space (obsolete line folding)");
      if (name.empty()) return bad("a header line has no name");
      if (*name_end == ' ' || *name_end == '\t') return bad("white space stands before a header's colon");
      return bad("a header's name has a character that names may not have, or no colon");
    }
    rest.remove_prefix(name.size() + 1);
    std::string_view line = take_line(rest);
    if (line.data() == nullptr) return bad("a header line does not end in CRLF");
    std::string_view value = trim_whitespace(line);
    if (!is_field_value(value)) return bad("a header's value has a control character");
    if (++count > limits.max_header_count) return {Cause::kHeadersTooLarge, "the message has too many headers"};

    if (limits.underscores != Limits::Underscores::kAllow && name.find('_') != std::string_view::npos) {
      if (limits.underscores == Limits::Underscores::kReject) return bad("a header's name has an underscore");
      continue;
    }
    HeaderId id = http::header_id(name);
    switch (id) {
      case HeaderId::kOther:
        break;
      case HeaderId::kContentLength: {
        if (framing.has_length) return bad("content-length stands twice");
        if (!parse_length(value, &framing.length)) return bad("content-length is no decimal number");
        framing.has_length = true;
        break;
      }
      case HeaderId::kTransferEncoding:
        if (collected.transfer_encoding) return bad("transfer-encoding stands twice");
        if (!http::equals_ignoring_case(value, "chunked")) return bad("transfer-encoding is not exactly \"chunked\"");
        collected.transfer_encoding = true;
        framing.chunked = true;
        continue;
      case HeaderId::kHost:
        if (collected.has_host) return bad("host stands twice");
        collected.has_host = true;
        collected.host = value;
        continue;
      case HeaderId::kConnection:
        for_each_token(value, [&](std::string_view token) {
          if (http::equals_ignoring_case(token, "close")) {
            framing.close = true;
          } else if (http::equals_ignoring_case(token, "keep-alive")) {
            framing.keep_alive = true;
          } else if (http::equals_ignoring_case(token, "upgrade")) {
            framing.has_upgrade_token = true;
          } else if (may_be_nominated(http::header_id(token))) {
            if (nominated_count < kMaxNominated) nominated[nominated_count] = token;
            ++nominated_count;
          }
        });
        if (nominated_count > kMaxNominated) return bad("connection names too many headers");
        continue;
      case HeaderId::kUpgrade:
        collected.upgrade = value;
        continue;
      case HeaderId::kTe:
        for_each_token(value, [&](std::string_view token) {
          if (http::equals_ignoring_case(token, "trailers")) collected.te_trailers = true;
        });
        continue;
      case HeaderId::kExpect:
        if (http::equals_ignoring_case(value, "100-continue")) {
          collected.expect_continue = true;
          continue;
        }
        break;
      case HeaderId::kKeepAlive:
      case HeaderId::kProxyConnection:
      case HeaderId::kHttp2Settings:
        continue;
      default:
        break;
    }
    headers.add_view(id, name, value);
  }
  for (size_t i = 0; i < nominated_count; ++i) headers.remove(nominated[i]);
  if (framing.chunked && framing.has_length) return bad("both transfer-encoding and content-length are given");
  return {};
}

ParseError parse_target(std::string_view target, const Limits& limits, http::RequestHead& request) {
  if (request.method_id == http::Method::kConnect) {
    if (!http::is_authority(target) || http::port_of(target).empty()) {
      return bad("the target of CONNECT is not host:port");
    }
    request.authority = target;
    return {};
  }
  if (target.front() == '/') {
    if (target.find('#') != std::string_view::npos) return bad("the request target has a fragment");
    request.path = target;
    return {};
  }
  if (target == "*" && request.method_id == http::Method::kOptions) {
    request.path = target;
    return {};
  }
  for (std::string_view scheme : {"http", "https"}) {
    if (target.size() < scheme.size() + 3 || !http::equals_ignoring_case(target.substr(0, scheme.size()), scheme) ||
        target.substr(scheme.size(), 3) != "://") {
      continue;
    }
    if (!limits.allow_absolute_form) return bad("the request target is a whole URL");
    std::string_view rest = target.substr(scheme.size() + 3);
    size_t authority_end = rest.find_first_of("/?#");
    request.scheme = scheme;
    request.authority = rest.substr(0, authority_end);
    // RFC 9112, 3.2.4: OPTIONS for a URL without a path is for the server as a whole.
    std::string_view whole = request.method_id == http::Method::kOptions ? "*" : "/";
    std::string_view path = authority_end == std::string_view::npos ? whole : rest.substr(authority_end);
    if (path.front() == '?') path = request.headers.arena().concat("/", path);
    if (!http::is_authority(request.authority)) return bad("the request target's authority is not valid");
    if (path.find('#') != std::string_view::npos) return bad("the request target has a fragment");
    request.path = path;
    return {};
  }
  return bad("the request target is neither a path nor a URL");
}

}  // namespace

size_t HeadScanner::find_end(std::string_view bytes) {
  while (scanned_ < bytes.size()) {
    const void* found = std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_);
    if (found == nullptr) {
      scanned_ = bytes.size();
      return 0;
    }
    size_t next = static_cast<size_t>(static_cast<const char*>(found) - bytes.data()) + 1;
    // A bare LF ends nothing, but there is no use in waiting for more: the parser says what is wrong.
    if (next < 2 || bytes[next - 2] != '\r') return next;
    if (next == 2) return next;
    if (next == bytes.size() || (bytes[next] == '\r' && next + 1 == bytes.size())) {
      scanned_ = next - 1;
      return 0;
    }
    if (bytes[next] == '\r' && bytes[next + 1] == '\n') return next + 2;
    scanned_ = next;
  }
  return 0;
}

ParseError parse_request_head(std::string_view head, const Limits& limits, http::RequestHead& request,
                              Framing& framing) {
  std::string_view rest = head;
  std::string_view line = take_line(rest);
  if (line.data() == nullptr) return bad("the request line does not end in CRLF");
  size_t method_end = line.find(' ');
  if (method_end == std::string_view::npos) return bad("the request line is not method, target and version");
  request.method = line.substr(0, method_end);
  if (!is_token(request.method)) return bad("the method is no token");
  request.method_id = http::method_of(request.method);
  size_t version_start = line.rfind(' ');
  if (version_start == method_end) return bad("the request line has no version");
  std::string_view target = line.substr(method_end + 1, version_start - method_end - 1);
  std::string_view version = line.substr(version_start + 1);
  if (version == "HTTP/1.1") {
    request.version = http::Version::kHttp11;
  } else if (version == "HTTP/1.0") {
    request.version = http::Version::kHttp10;
  } else if (version.size() == 8 && version.starts_with("HTTP/") && version[5] >= '0' && version[5] <= '9') {
    return {Cause::kVersionNotSupported, "the version is neither HTTP/1.0 nor HTTP/1.1"};
  } else {
    return bad("the version is not HTTP/1.1");
  }
  if (target.size() > limits.max_target_bytes) return {Cause::kUriTooLong, "the request target is too long"};
  if (!is_target(target)) return bad("the request target has a space or a character that is not visible ASCII");
  if (ParseError error = parse_target(target, limits, request)) return error;

  Collected collected;
  if (rest.empty()) return bad("the head does not end in an empty line");
  if (ParseError error = parse_fields(rest, limits, request.headers, framing, collected)) return error;
  bool is_11 = request.version == http::Version::kHttp11;
  if (is_11 && !collected.has_host) return bad("host is missing");
  if (!collected.host.empty() && !http::is_authority(collected.host)) return bad("host is not valid");
  if (!is_11 && framing.chunked) return bad("transfer-encoding came with HTTP/1.0");
  // What follows a CONNECT is the tunnel's; a length of it would leave two readings (RFC 9110, 9.3.6).
  if (request.method_id == http::Method::kConnect && (framing.chunked || framing.length != 0)) {
    return bad("CONNECT came with a body");
  }
  // RFC 9112, 3.2.2: the target's authority replaces Host.
  if (request.authority.empty()) request.authority = collected.host;
  // RFC 9112, 3.3: an http URI needs a host, and there is no default to take for it.
  if (is_11 && request.authority.empty()) return bad("host is empty, and the target names none");
  if (framing.has_upgrade_token && is_11) request.upgrade = collected.upgrade;
  request.accepts_trailers = collected.te_trailers;
  request.expects_continue = collected.expect_continue && is_11;
  request.has_content_length = framing.has_length;
  request.content_length = framing.length;
  return {};
}

ParseError parse_response_head(std::string_view head, const Limits& limits, http::ResponseHead& response,
                               Framing& framing) {
  std::string_view rest = head;
  std::string_view line = take_line(rest);
  if (line.data() == nullptr) return bad("the status line does not end in CRLF");
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || (line[7] != '0' && line[7] != '1') || line[8] != ' ') {
    return bad("the status line does not begin with HTTP/1.1 and a status");
  }
  response.version = line[7] == '1' ? http::Version::kHttp11 : http::Version::kHttp10;
  int status = 0;
  for (char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return bad("the status is no number of three digits");
    status = status * 10 + (c - '0');
  }
  if (status < 100) return bad("the status is below 100");
  if (line.size() > 12 && line[12] != ' ') return bad("the status is no number of three digits");
  response.status = static_cast<uint16_t>(status);
  response.reason = line.size() > 13 ? line.substr(13) : std::string_view();
  if (!is_field_value(response.reason)) return bad("the reason phrase has a control character");
  if (rest.empty()) return bad("the head does not end in an empty line");
  Collected collected;
  if (ParseError error = parse_fields(rest, limits, response.headers, framing, collected)) return error;
  if (response.version == http::Version::kHttp10 && framing.chunked) {
    return bad("transfer-encoding came with HTTP/1.0");
  }
  if (status == 101) response.upgrade = collected.upgrade;
  response.has_content_length = framing.has_length;
  response.content_length = framing.length;
  return {};
}

ParseError parse_trailers(std::string_view block, const Limits& limits, http::HeaderMap& trailers) {
  Framing framing;
  Collected collected;
  if (ParseError error = parse_fields(block, limits, trailers, framing, collected)) return error;
  for (HeaderId id : {HeaderId::kContentLength, HeaderId::kAuthorization, HeaderId::kContentEncoding,
                      HeaderId::kContentType, HeaderId::kCacheControl, HeaderId::kSetCookie, HeaderId::kCookie,
                      HeaderId::kLocation, HeaderId::kTrailer, HeaderId::kXForwardedFor, HeaderId::kXForwardedProto}) {
    trailers.remove(id);
  }
  return {};
}

}  // namespace weft::codec::http1
