#include "proxy/listener/client_hello.h"

#include <cstdint>

namespace weft::listener {
namespace {

constexpr size_t kRecordHeaderBytes = 5;
constexpr uint8_t kRecordHandshake = 22;
constexpr uint8_t kMessageClientHello = 1;
constexpr uint16_t kExtensionServerName = 0;
constexpr uint16_t kExtensionProtocols = 16;

// Reads numbers and length-prefixed pieces; after the first read past the end everything is empty and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  bool empty() const { return bytes_.empty(); }
  uint32_t number(int size) {
    std::string_view piece = take(static_cast<size_t>(size));
    uint32_t value = 0;
    for (char c : piece) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  std::string_view take(size_t n) {
    if (n > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    std::string_view piece = bytes_.substr(0, n);
    bytes_.remove_prefix(n);
    return piece;
  }
  std::string_view with_length(int size) { return take(number(size)); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

bool parse_server_name(std::string_view body, ClientHello* hello) {
  Reader list(Reader(body).with_length(2));
  while (list.ok() && !list.empty()) {
    uint32_t type = list.number(1);
    std::string_view name = list.with_length(2);
    if (type != 0 || !list.ok()) continue;
    // A NUL or a name no DNS can have is not what a filter chain is chosen by.
    if (name.empty() || name.size() > 255 || name.find('\0') != std::string_view::npos) return false;
    hello->server_name.assign(name);
    for (char& c : hello->server_name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return list.ok();
}

bool parse_protocols(std::string_view body, ClientHello* hello) {
  Reader list(Reader(body).with_length(2));
  while (list.ok() && !list.empty()) {
    std::string_view protocol = list.with_length(1);
    if (!protocol.empty()) hello->protocols.emplace_back(protocol);
  }
  return list.ok();
}

bool parse_body(std::string_view body, ClientHello* hello) {
  Reader reader(body);
  reader.take(2 + 32);    // legacy_version, random
  reader.with_length(1);  // legacy_session_id
  reader.with_length(2);  // cipher_suites
  reader.with_length(1);  // legacy_compression_methods
  if (!reader.ok()) return false;
  if (reader.empty()) return true;  // Before TLS 1.2 there need be no extensions.
  Reader extensions(reader.with_length(2));
  while (extensions.ok() && !extensions.empty()) {
    uint32_t type = extensions.number(2);
    std::string_view extension = extensions.with_length(2);
    if (!extensions.ok()) return false;
    if (type == kExtensionServerName && !parse_server_name(extension, hello)) return false;
    if (type == kExtensionProtocols && !parse_protocols(extension, hello)) return false;
  }
  return reader.ok() && extensions.ok();
}

}  // namespace

HelloResult parse_client_hello(std::string_view bytes, ClientHello* hello) {
  *hello = ClientHello();
  std::string message;  // The handshake bytes of all records so far; most often those of one record.
  size_t position = 0;
  for (;;) {
    std::string_view record = bytes.substr(position);
    if (!record.empty() && static_cast<uint8_t>(record[0]) != kRecordHandshake) return {HelloState::kNotTls};
    if (record.size() > 1 && record[1] != 3) return {HelloState::kNotTls};
    if (record.size() < kRecordHeaderBytes) return {HelloState::kNeedMore, position + kRecordHeaderBytes};
    size_t length = static_cast<size_t>(static_cast<uint8_t>(record[3])) << 8 | static_cast<uint8_t>(record[4]);
    if (length == 0 || position + kRecordHeaderBytes + length > kMaxClientHelloBytes) return {HelloState::kNotTls};
    std::string_view fragment = record.substr(kRecordHeaderBytes, length);
    message.append(fragment);
    if (!message.empty() && static_cast<uint8_t>(message[0]) != kMessageClientHello) return {HelloState::kNotTls};
    if (message.size() >= 4) {
      size_t body = static_cast<size_t>(static_cast<uint8_t>(message[1])) << 16 |
                    static_cast<size_t>(static_cast<uint8_t>(message[2])) << 8 | static_cast<uint8_t>(message[3]);
      if (body > kMaxClientHelloBytes) return {HelloState::kNotTls};
      if (message.size() >= 4 + body) {
        if (parse_body(std::string_view(message).substr(4, body), hello)) return {HelloState::kTls};
        *hello = ClientHello();
        return {HelloState::kNotTls};
      }
    }
    position += kRecordHeaderBytes + length;
    if (fragment.size() < length) return {HelloState::kNeedMore, position};
  }
}

}  // namespace weft::listener
