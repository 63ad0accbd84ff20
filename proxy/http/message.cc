#include "proxy/http/message.h"

#include <algorithm>
#include <array>

namespace weft::http {
namespace {

constexpr std::array<bool, 256> table_of(std::string_view more) {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 0x20] = true;
  for (char c : more) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kNameChars = table_of("-._~!$&'()*+;=%");
// Of an IPv6 literal with a zone, or one of a version to come.
constexpr std::array<bool, 256> kLiteralChars = table_of("-._~!$&'()*+;=%:");

bool all_in(std::string_view text, const std::array<bool, 256>& table) {
  for (char c : text) {
    if (!table[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

bool escapes_are_whole(std::string_view text) {
  for (size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (at + 2 >= text.size() || !is_hex(text[at + 1]) || !is_hex(text[at + 2])) return false;
  }
  return true;
}

bool is_literal(std::string_view inside) {
  bool future = inside.starts_with('v') || inside.starts_with('V');
  if (future || inside.find('%') != std::string_view::npos) return all_in(inside, kLiteralChars);
  size_t colons = 0;
  for (char c : inside) {
    if (c == ':') ++colons;
    if (!is_hex(c) && c != ':' && c != '.') return false;
  }
  return colons >= 2;
}

// Where the host ends: at the colon before a port, or at the text's end.
size_t host_size(std::string_view authority) {
  size_t colon = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  return colon == std::string_view::npos ? authority.size() : colon;
}

constexpr std::string_view kMethods[] = {"",       "GET",     "HEAD",    "POST",  "PUT",
                                         "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};

}  // namespace

bool is_authority(std::string_view text) {
  std::string_view host = text.substr(0, host_size(text));
  if (host.empty()) return false;
  for (char c : text.substr(std::min(host.size() + 1, text.size()))) {
    if (c < '0' || c > '9') return false;
  }
  if (host.front() != '[') return all_in(host, kNameChars) && escapes_are_whole(host);
  return host.back() == ']' && is_literal(host.substr(1, host.size() - 2));
}

std::string_view port_of(std::string_view authority) {
  size_t size = host_size(authority);
  return authority.substr(std::min(size + 1, authority.size()));
}

std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

std::string_view version_name(Version version) {
  switch (version) {
    case Version::kHttp10:
      return "HTTP/1.0";
    case Version::kHttp11:
      return "HTTP/1.1";
    case Version::kHttp2:
      return "HTTP/2";
  }
  return {};
}

Method method_of(std::string_view name) {
  if (name == "GET") return Method::kGet;
  for (size_t i = 2; i < std::size(kMethods); ++i) {
    if (name == kMethods[i]) return static_cast<Method>(i);
  }
  return Method::kOther;
}

std::string_view method_name(Method method) { return kMethods[static_cast<size_t>(method)]; }

bool is_safe(Method method) {
  return method == Method::kGet || method == Method::kHead || method == Method::kOptions || method == Method::kTrace;
}

bool is_idempotent(Method method) { return is_safe(method) || method == Method::kPut || method == Method::kDelete; }

bool RequestHead::is_grpc() const {
  constexpr std::string_view kGrpc = "application/grpc";
  std::string_view type = headers.value(HeaderId::kContentType);
  if (!type.starts_with(kGrpc)) return false;
  return type.size() == kGrpc.size() || type[kGrpc.size()] == '+' || type[kGrpc.size()] == ';';
}

std::string_view path_only(std::string_view path_and_query) {
  return path_and_query.substr(0, path_and_query.find_first_of("?#"));
}

std::string_view reason_phrase(uint16_t status) {
  switch (status) {
      // clang-format off
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 511: return "Network Authentication Required";
    default: return "Unknown";
      // clang-format on
  }
}

int grpc_status_of(uint16_t http_status) {
  switch (http_status) {
    case 200:
      return 0;
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

}  // namespace weft::http
