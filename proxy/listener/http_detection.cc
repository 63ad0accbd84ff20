#include "proxy/listener/http_detection.h"

#include <cstddef>

namespace weft::listener {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// A request line that is longer is not looked at; the codec has its own limits.
constexpr size_t kMaxRequestLineBytes = 8 * 1024;
constexpr size_t kMaxMethodBytes = 32;

bool is_method_char(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_'; }

}  // namespace

bool detect_http_protocol(std::string_view bytes, std::string_view* protocol) {
  *protocol = {};
  std::string_view start = bytes.substr(0, kPreface.size());
  if (start == kPreface.substr(0, start.size())) {
    if (start.size() < kPreface.size()) return false;
    *protocol = "h2c";
    return true;
  }
  size_t method = 0;
  while (method < bytes.size() && is_method_char(bytes[method])) ++method;
  if (method > kMaxMethodBytes) return true;
  if (method == bytes.size()) return false;
  if (method == 0 || bytes[method] != ' ') return true;
  size_t end = bytes.substr(0, kMaxRequestLineBytes).find('\n');
  if (end == std::string_view::npos) return bytes.size() >= kMaxRequestLineBytes;
  std::string_view line = bytes.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.ends_with(" HTTP/1.1")) {
    *protocol = "http/1.1";
  } else if (line.ends_with(" HTTP/1.0")) {
    *protocol = "http/1.0";
  }
  return true;
}

}  // namespace weft::listener
