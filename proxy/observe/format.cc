#include "proxy/observe/format.h"

#include <time.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proxy/observe/access_log.h"

namespace weft::observe {
namespace {

constexpr size_t kMaxFormatBytes = 64 * 1024;

absl::string_view to_absl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status format_error(size_t at, std::string_view what, std::string_view name) {
  return absl::InvalidArgumentError(
      absl::StrCat("access log format, character ", at + 1, ": ", to_absl(what), " \"", to_absl(name), "\""));
}

void append_number(int64_t value, std::string& out) {
  char text[24];
  char* end = std::to_chars(text, text + sizeof(text), value).ptr;
  out.append(text, end);
}

bool append_text(std::string_view value, std::string& out) {
  out += value;
  return !value.empty();
}

bool append_ms(int64_t from_ns, int64_t to_ns, std::string& out) {
  if (from_ns == 0 || to_ns == 0) return false;
  append_number((to_ns - from_ns) / 1'000'000, out);
  return true;
}

// "2026-01-31T23:59:59.", rendered once a second by each thread.
std::string_view second_text(time_t seconds) {
  thread_local struct {
    time_t seconds = -1;
    char text[32];
    size_t size = 0;
  } last;
  if (last.seconds != seconds) {
    struct tm parts;
    gmtime_r(&seconds, &parts);
    last.size = strftime(last.text, sizeof(last.text), "%Y-%m-%dT%H:%M:%S.", &parts);
    last.seconds = seconds;
  }
  return {last.text, last.size};
}

// strftime's formats and Envoy's %f, %1f to %9f (fraction of the second) and %s.
void append_time(int64_t wall_ns, std::string_view format, std::string& out) {
  time_t seconds = wall_ns / 1'000'000'000;
  char digits[10];
  auto fraction = static_cast<uint32_t>(wall_ns % 1'000'000'000);
  for (int i = 8; i >= 0; --i, fraction /= 10) digits[i] = static_cast<char>('0' + fraction % 10);
  if (format.empty()) {
    out.append(second_text(seconds)).append(digits, 3).push_back('Z');
    return;
  }
  struct tm parts;
  gmtime_r(&seconds, &parts);
  std::string expanded;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      expanded.push_back(format[i]);
      continue;
    }
    char next = format[i + 1];
    if (next == 'f') {
      expanded.append(digits, 9);
      ++i;
    } else if (next >= '1' && next <= '9' && i + 2 < format.size() && format[i + 2] == 'f') {
      expanded.append(digits, static_cast<size_t>(next - '0'));
      i += 2;
    } else if (next == 's') {
      append_number(seconds, expanded);
      ++i;
    } else {
      expanded.append(format.substr(i, 2));
      ++i;
    }
  }
  char text[256];
  out.append(text, strftime(text, sizeof(text), expanded.c_str(), &parts));
}

// Of what Envoy's own filters refuse, the particulars are what Envoy's dashboards know as the code.
bool detail_is_code(http::Cause cause) {
  return cause == http::Cause::kAccessDenied || cause == http::Cause::kTokenRefused;
}

// What Envoy calls the cause, where the particulars are a sentence.
std::string_view code_of(http::Cause cause) {
  switch (cause) {
    case http::Cause::kAuthorizationDenied:
      return "ext_authz_denied";
    case http::Cause::kAuthorizationFailed:
      return "ext_authz_error";
    case http::Cause::kAuthorizationInvalid:
      return "ext_authz_invalid";
    default:
      return http::cause_info(cause).name;
  }
}

}  // namespace

const std::string_view kDefaultHttpFormat =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
    "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" "
    "\"%UPSTREAM_HOST%\"\n";

void append_response_flags(http::Cause cause, bool retry_limit_exceeded, std::string& out) {
  const http::CauseInfo& info = http::cause_info(cause);
  bool some = !info.response_flag.empty() && info.response_flag != "-";
  if (some) out += info.response_flag;
  if (retry_limit_exceeded) {
    out += some ? ",URX" : "URX";
    some = true;
  }
  if (!some) out += '-';
}

void append_response_flags(const RequestRecord& record, std::string& out) {
  append_response_flags(record.cause, record.retry_limit_exceeded, out);
}

const std::vector<Format::OpName>& Format::names() {
  static const std::vector<OpName> kOps = {
      {"REQ", Op::kRequestHeader},
      {"REQ_WITHOUT_QUERY", Op::kRequestHeaderWithoutQuery},
      {"RESP", Op::kResponseHeader},
      {"TRAILER", Op::kResponseTrailer},
      {"START_TIME", Op::kStartTime},
      {"PROTOCOL", Op::kProtocol},
      {"RESPONSE_CODE", Op::kResponseCode},
      {"RESPONSE_FLAGS", Op::kResponseFlags},
      {"RESPONSE_CODE_DETAILS", Op::kResponseCodeDetails},
      {"CONNECTION_TERMINATION_DETAILS", Op::kConnectionTerminationDetails},
      {"DYNAMIC_METADATA", Op::kDynamicMetadata},
      {"CAUSE", Op::kCause},
      {"CAUSE_DETAIL", Op::kCauseDetail},
      {"CAUSE_PARTY", Op::kCauseParty},
      {"CAUSE_PHASE", Op::kCausePhase},
      {"BYTES_RECEIVED", Op::kBytesReceived},
      {"BYTES_SENT", Op::kBytesSent},
      {"REQUEST_HEADERS_BYTES", Op::kRequestHeadBytes},
      {"RESPONSE_HEADERS_BYTES", Op::kResponseHeadBytes},
      {"UPSTREAM_WIRE_BYTES_SENT", Op::kUpstreamBytesSent},
      {"UPSTREAM_WIRE_BYTES_RECEIVED", Op::kUpstreamBytesReceived},
      {"DURATION", Op::kDuration},
      {"REQUEST_DURATION", Op::kRequestDuration},
      {"REQUEST_TX_DURATION", Op::kRequestTxDuration},
      {"RESPONSE_DURATION", Op::kResponseDuration},
      {"RESPONSE_TX_DURATION", Op::kResponseTxDuration},
      {"UPSTREAM_HOST", Op::kUpstreamHost},
      {"UPSTREAM_REMOTE_ADDRESS", Op::kUpstreamHost},
      {"UPSTREAM_CLUSTER", Op::kUpstreamCluster},
      {"UPSTREAM_CLUSTER_RAW", Op::kUpstreamCluster},
      {"UPSTREAM_LOCAL_ADDRESS", Op::kUpstreamLocalAddress},
      {"UPSTREAM_PROTOCOL", Op::kUpstreamProtocol},
      {"UPSTREAM_TRANSPORT_FAILURE_REASON", Op::kUpstreamFailureReason},
      {"UPSTREAM_REQUEST_ATTEMPT_COUNT", Op::kUpstreamAttempts},
      {"UPSTREAM_CONNECTION_ID", Op::kUpstreamConnectionId},
      {"ROUTE_NAME", Op::kRouteName},
      {"VIRTUAL_HOST_NAME", Op::kVirtualHostName},
      {"FILTER_CHAIN_NAME", Op::kFilterChainName},
      {"CONNECTION_ID", Op::kConnectionId},
      {"REQUESTED_SERVER_NAME", Op::kRequestedServerName},
      {"DOWNSTREAM_REMOTE_ADDRESS", Op::kDownstreamRemoteAddress},
      {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Op::kDownstreamRemoteIp},
      {"DOWNSTREAM_REMOTE_PORT", Op::kDownstreamRemotePort},
      {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Op::kDownstreamDirectRemoteAddress},
      {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", Op::kDownstreamDirectRemoteIp},
      {"DOWNSTREAM_DIRECT_REMOTE_PORT", Op::kDownstreamDirectRemotePort},
      {"DOWNSTREAM_LOCAL_ADDRESS", Op::kDownstreamLocalAddress},
      {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Op::kDownstreamLocalIp},
      {"DOWNSTREAM_LOCAL_PORT", Op::kDownstreamLocalPort},
      {"DOWNSTREAM_TLS_VERSION", Op::kDownstreamTlsVersion},
      {"DOWNSTREAM_TLS_CIPHER", Op::kDownstreamTlsCipher},
      {"DOWNSTREAM_PEER_URI_SAN", Op::kDownstreamPeerUriSan},
      {"DOWNSTREAM_PEER_DNS_SAN", Op::kDownstreamPeerDnsSan},
      {"DOWNSTREAM_PEER_SUBJECT", Op::kDownstreamPeerSubject},
      {"DOWNSTREAM_PEER_ISSUER", Op::kDownstreamPeerIssuer},
      {"DOWNSTREAM_PEER_SERIAL", Op::kDownstreamPeerSerial},
      {"DOWNSTREAM_PEER_FINGERPRINT_256", Op::kDownstreamPeerFingerprint},
      {"DOWNSTREAM_LOCAL_URI_SAN", Op::kDownstreamLocalUriSan},
  };
  return kOps;
}

bool Format::numeric(Op op) {
  switch (op) {
    case Op::kResponseCode:
    case Op::kBytesReceived:
    case Op::kBytesSent:
    case Op::kRequestHeadBytes:
    case Op::kResponseHeadBytes:
    case Op::kUpstreamBytesSent:
    case Op::kUpstreamBytesReceived:
    case Op::kDuration:
    case Op::kRequestDuration:
    case Op::kRequestTxDuration:
    case Op::kResponseDuration:
    case Op::kResponseTxDuration:
    case Op::kUpstreamAttempts:
    case Op::kUpstreamConnectionId:
    case Op::kConnectionId:
    case Op::kDownstreamRemotePort:
    case Op::kDownstreamDirectRemotePort:
    case Op::kDownstreamLocalPort:
      return true;
    default:
      return false;
  }
}

bool Format::is_number() const { return is_single() && numeric(pieces_[0].op); }

Format::Field Format::compile_field(std::string_view name, bool of_request) {
  using Kind = Field::Kind;
  Field field;
  field.name = absl::AsciiStrToLower(to_absl(name));
  field.id = http::header_id(field.name);
  if (!of_request) {
    if (field.name == ":status") field.kind = Kind::kStatus;
    return field;
  }
  constexpr std::pair<std::string_view, Kind> kParts[] = {
      {":path", Kind::kPath},     {":method", Kind::kMethod}, {":authority", Kind::kAuthority},
      {":scheme", Kind::kScheme}, {"host", Kind::kAuthority}, {"x-envoy-original-path", Kind::kOriginalPath}};
  for (const auto& [part, kind] : kParts) {
    if (field.name == part) field.kind = kind;
  }
  if (field.kind == Kind::kHeader && field.name.starts_with(':')) field.kind = Kind::kUnknown;
  return field;
}

bool Format::append_header(const http::HeaderMap* headers, const Field& field, std::string& out) {
  if (headers == nullptr || field.name.empty()) return false;
  std::string_view value;
  bool found = field.id == http::HeaderId::kOther ? headers->joined_value(field.name, &value)
                                                  : headers->joined_value(field.id, &value);
  // Control characters cannot be in a parsed value; what else could break a line is the log's concern.
  if (found) out += value;
  return found;
}

bool Format::append_request_field(const RequestRecord& record, const Field& field, std::string& out) {
  using Kind = Field::Kind;
  if (record.request == nullptr || field.name.empty()) return false;
  switch (field.kind) {
    case Kind::kPath:
      return append_text(record.request->path, out);
    case Kind::kMethod:
      return append_text(record.request->method, out);
    case Kind::kAuthority:
      return append_text(record.request->authority, out);
    case Kind::kScheme:
      return append_text(record.request->scheme, out);
    case Kind::kOriginalPath:
      if (append_header(&record.request->headers, field, out)) return true;
      return record.original_path != record.request->path && append_text(record.original_path, out);
    case Kind::kHeader:
      return append_header(&record.request->headers, field, out);
    case Kind::kStatus:
    case Kind::kUnknown:
      return false;
  }
  return false;
}

bool Format::append_metadata(const Piece& piece, const RequestRecord& record, std::string& out) {
  if (record.metadata == nullptr) return false;
  if (piece.keys.empty()) return record.metadata->append_json(piece.text, out);
  const http::MetadataValue* found = record.metadata->find(piece.text, piece.keys);
  if (found == nullptr) return false;
  if (found->kind == http::MetadataValue::Kind::kString) return append_text(found->text, out);
  found->append_json(out);
  return true;
}

absl::StatusOr<Format::Piece> Format::compile_operator(std::string_view text, size_t at) {
  Piece piece;
  std::string_view name = text.substr(0, text.find_first_of("(:"));
  std::string_view rest = text.substr(name.size());
  std::string_view argument;
  if (!rest.empty() && rest.front() == '(') {
    size_t close = rest.rfind(')');
    if (close == std::string_view::npos) return format_error(at, "an operator's ) is missing in", text);
    argument = rest.substr(1, close - 1);
    rest = rest.substr(close + 1);
  }
  if (!rest.empty()) {
    if (rest.front() != ':') return format_error(at, "unexpected text after the operator", text);
    rest.remove_prefix(1);
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), piece.longest);
    if (error != std::errc() || end != rest.data() + rest.size() || piece.longest == 0) {
      return format_error(at, "the length after : is no positive number in", text);
    }
  }
  if (name == "ENVIRONMENT" || name == "HOSTNAME") {
    std::string variable(name == "HOSTNAME" ? "HOSTNAME" : argument);
    const char* found = std::getenv(variable.c_str());
    piece.text = found == nullptr ? "-" : found;
    return piece;
  }
  for (const OpName& each : names()) {
    if (each.name != name) continue;
    piece.op = each.op;
    bool needs_header = each.op == Op::kRequestHeader || each.op == Op::kRequestHeaderWithoutQuery ||
                        each.op == Op::kResponseHeader || each.op == Op::kResponseTrailer;
    if (needs_header && argument.empty()) return format_error(at, "a header name in () is missing after", name);
    if (each.op == Op::kDynamicMetadata) {
      size_t colon = argument.find(':');
      piece.text = std::string(argument.substr(0, colon));
      if (piece.text.empty()) return format_error(at, "the name of a filter in () is missing after", name);
      while (colon != std::string_view::npos) {
        argument.remove_prefix(colon + 1);
        colon = argument.find(':');
        piece.keys.emplace_back(argument.substr(0, colon));
      }
      return piece;
    }
    if (!needs_header) {
      piece.text = std::string(argument);
      return piece;
    }
    bool of_request = each.op == Op::kRequestHeader || each.op == Op::kRequestHeaderWithoutQuery;
    size_t question = argument.find('?');
    piece.field = compile_field(argument.substr(0, question), of_request);
    if (question != std::string_view::npos) {
      piece.alternative = compile_field(argument.substr(question + 1), of_request);
      if (piece.field.name.empty() || piece.alternative.name.empty()) {
        return format_error(at, "a header name is missing beside ? in", text);
      }
    }
    return piece;
  }
  return format_error(at, "unknown operator", name);
}

absl::StatusOr<Format> Format::compile(std::string_view text) {
  if (text.size() > kMaxFormatBytes) return absl::InvalidArgumentError("the access log format is longer than 64 KiB");
  Format format;
  std::string literal;
  auto flush = [&] {
    if (literal.empty()) return;
    Piece piece;
    piece.text = std::move(literal);
    format.pieces_.push_back(std::move(piece));
    literal.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      literal.push_back(text[i]);
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '%') {
      literal.push_back('%');
      ++i;
      continue;
    }
    // A '%' inside parentheses belongs to a time format.
    size_t end = i + 1;
    int depth = 0;
    while (end < text.size() && (text[end] != '%' || depth > 0)) {
      if (text[end] == '(') ++depth;
      if (text[end] == ')') --depth;
      ++end;
    }
    if (end == text.size()) return format_error(i, "no % ends the operator", text.substr(i + 1, 40));
    absl::StatusOr<Piece> piece = compile_operator(text.substr(i + 1, end - i - 1), i);
    if (!piece.ok()) return piece.status();
    flush();
    format.pieces_.push_back(*std::move(piece));
    i = end;
  }
  flush();
  return format;
}

bool Format::value(const Piece& piece, const RequestRecord& record, std::string& out) {
  const http::HeaderMap* response = record.response == nullptr ? nullptr : &record.response->headers;
  auto number = [&](uint64_t value) {
    append_number(static_cast<int64_t>(value), out);
    return true;
  };
  auto text = [&](std::string_view value) { return append_text(value, out); };
  const PeerTexts& peer = record.downstream;
  switch (piece.op) {
    case Op::kText:
      out += piece.text;
      return true;
    case Op::kRequestHeader:
    case Op::kRequestHeaderWithoutQuery: {
      size_t before = out.size();
      bool found =
          append_request_field(record, piece.field, out) || append_request_field(record, piece.alternative, out);
      if (piece.op == Op::kRequestHeaderWithoutQuery) {
        size_t question = out.find('?', before);
        if (question != std::string::npos) out.resize(question);
      }
      return found;
    }
    case Op::kResponseHeader:
      if (piece.field.kind == Field::Kind::kStatus) return record.status != 0 && number(record.status);
      return append_header(response, piece.field, out) || append_header(response, piece.alternative, out);
    case Op::kResponseTrailer:
      return append_header(record.response_trailers, piece.field, out) ||
             append_header(record.response_trailers, piece.alternative, out);
    case Op::kStartTime:
      append_time(record.start_wall_ns, piece.text, out);
      return true;
    case Op::kProtocol:
      return text(record.protocol);
    case Op::kResponseCode:
      return number(record.status);
    case Op::kResponseFlags:
      append_response_flags(record, out);
      return true;
    case Op::kResponseCodeDetails:
      if (record.cause == http::Cause::kNone) return text(record.status == 0 ? "" : "via_upstream");
      if (detail_is_code(record.cause) && !record.cause_detail.empty()) return text(record.cause_detail);
      return text(code_of(record.cause));
    case Op::kConnectionTerminationDetails:
      return text(record.protocol.empty() ? record.cause_detail : std::string_view());
    case Op::kDynamicMetadata:
      return append_metadata(piece, record, out);
    case Op::kCause:
      return text(http::cause_info(record.cause).name);
    case Op::kCauseDetail:
      return text(record.cause_detail);
    case Op::kCauseParty:
      return text(http::party_name(http::cause_info(record.cause).who));
    case Op::kCausePhase:
      return text(http::phase_name(http::cause_info(record.cause).phase));
    case Op::kBytesReceived:
      return number(record.request_body_bytes);
    case Op::kBytesSent:
      return number(record.response_body_bytes);
    case Op::kRequestHeadBytes:
      return number(record.request_head_bytes);
    case Op::kResponseHeadBytes:
      return number(record.response_head_bytes);
    case Op::kUpstreamBytesSent:
      return number(record.upstream_sent_bytes);
    case Op::kUpstreamBytesReceived:
      return number(record.upstream_received_bytes);
    case Op::kDuration:
      return append_ms(record.start_ns, record.end_ns, out);
    case Op::kRequestDuration:
      return append_ms(record.start_ns, record.request_end_ns, out);
    case Op::kRequestTxDuration:
      return append_ms(record.start_ns, record.upstream_last_sent_ns, out);
    case Op::kResponseDuration:
      return append_ms(record.start_ns, record.upstream_first_received_ns, out);
    case Op::kResponseTxDuration:
      return append_ms(record.upstream_first_received_ns, record.end_ns, out);
    case Op::kUpstreamHost:
      return text(record.upstream_host);
    case Op::kUpstreamCluster:
      return text(record.upstream_cluster);
    case Op::kUpstreamLocalAddress:
      return text(record.upstream_local_address);
    case Op::kUpstreamProtocol:
      return text(record.upstream_protocol);
    case Op::kUpstreamFailureReason:
      return text(record.upstream_transport_failure_reason);
    case Op::kUpstreamAttempts:
      return number(record.attempts);
    case Op::kUpstreamConnectionId:
      return record.upstream_connection_id != 0 && number(record.upstream_connection_id);
    case Op::kRouteName:
      return text(record.route_name);
    case Op::kVirtualHostName:
      return text(record.virtual_host);
    case Op::kFilterChainName:
      return text(record.filter_chain_name);
    case Op::kConnectionId:
      return number(peer.connection_id);
    case Op::kRequestedServerName:
      return text(peer.sni);
    case Op::kDownstreamRemoteAddress:
      return text(peer.remote_address);
    case Op::kDownstreamRemoteIp:
      return text(peer.remote_ip);
    case Op::kDownstreamRemotePort:
      return number(peer.remote_port);
    case Op::kDownstreamDirectRemoteAddress:
      return text(peer.direct_remote_address);
    case Op::kDownstreamDirectRemoteIp:
      return text(peer.direct_remote_ip);
    case Op::kDownstreamDirectRemotePort:
      return number(peer.direct_remote_port);
    case Op::kDownstreamLocalAddress:
      return text(peer.local_address);
    case Op::kDownstreamLocalIp:
      return text(peer.local_ip);
    case Op::kDownstreamLocalPort:
      return number(peer.local_port);
    case Op::kDownstreamTlsVersion:
      return text(peer.tls_version);
    case Op::kDownstreamTlsCipher:
      return text(peer.tls_cipher);
    case Op::kDownstreamPeerUriSan:
      return text(peer.peer_uri_san);
    case Op::kDownstreamPeerDnsSan:
      return text(peer.peer_dns_san);
    case Op::kDownstreamPeerSubject:
      return text(peer.peer_subject);
    case Op::kDownstreamPeerIssuer:
      return text(peer.peer_issuer);
    case Op::kDownstreamPeerSerial:
      return text(peer.peer_serial);
    case Op::kDownstreamPeerFingerprint:
      return text(peer.peer_fingerprint_256);
    case Op::kDownstreamLocalUriSan:
      return text(peer.local_uri_san);
  }
  return false;
}

void Format::render(const RequestRecord& record, bool omit_empty, std::string& out) const {
  for (const Piece& piece : pieces_) {
    size_t before = out.size();
    if (!value(piece, record, out) && !omit_empty) out += '-';
    if (piece.longest != 0 && out.size() - before > piece.longest) out.resize(before + piece.longest);
  }
}

bool Format::render_value(const RequestRecord& record, std::string& out) const {
  size_t before = out.size();
  bool found = value(pieces_[0], record, out);
  if (pieces_[0].longest != 0 && out.size() - before > pieces_[0].longest) out.resize(before + pieces_[0].longest);
  return found;
}

std::string_view Format::render(const RequestRecord& record, base::Arena& arena) const {
  // Keeps its storage, so that a request costs no allocation.
  thread_local std::string text;
  text.clear();
  render(record, true, text);
  return arena.copy(text);
}

}  // namespace weft::observe
