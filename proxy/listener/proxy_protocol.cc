#include "proxy/listener/proxy_protocol.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace weft::listener {
namespace {

using transport::Address;

constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kPrefix1 = "PROXY ";
constexpr size_t kMaxLine1Bytes = 107;
constexpr size_t kHeader2Bytes = 16;

ProxyResult invalid(const char* error) { return {ProxyState::kInvalid, 0, error}; }

bool is_prefix(std::string_view bytes, std::string_view of) {
  size_t n = std::min(bytes.size(), of.size());
  return bytes.substr(0, n) == of.substr(0, n);
}

// A port without sign, blanks or leading zeros.
bool parse_port(std::string_view text, uint16_t* port) {
  if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return false;
  uint32_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  *port = static_cast<uint16_t>(value);
  return value <= 65535;
}

ProxyResult parse_line(std::string_view bytes, ProxyHeader* header) {
  std::string_view start = bytes.substr(0, kMaxLine1Bytes);
  size_t end = start.find("\r\n");
  if (end == std::string_view::npos) {
    if (start.size() == kMaxLine1Bytes) return invalid("the PROXY line is longer than 107 bytes");
    return {ProxyState::kNeedMore};
  }
  ProxyResult done{ProxyState::kDone, end + 2};
  std::string_view line = start.substr(kPrefix1.size(), end - kPrefix1.size());
  std::string_view fields[5];
  int count = 0;
  bool more = true;
  while (more && count < 5) {
    size_t space = line.find(' ');
    more = space != std::string_view::npos;
    fields[count++] = line.substr(0, space);
    if (more) line.remove_prefix(space + 1);
  }
  if (fields[0] == "UNKNOWN") return done;
  if (count != 5 || more) return invalid("the PROXY line has not exactly six words");
  Address::Family family;
  if (fields[0] == "TCP4") {
    family = Address::Family::kIpv4;
  } else if (fields[0] == "TCP6") {
    family = Address::Family::kIpv6;
  } else {
    return invalid("the PROXY line names a protocol other than TCP4, TCP6 and UNKNOWN");
  }
  uint16_t source_port, destination_port;
  if (!parse_port(fields[3], &source_port) || !parse_port(fields[4], &destination_port)) {
    return invalid("the PROXY line has a port that is no port");
  }
  if (fields[1].find('%') != std::string_view::npos || fields[2].find('%') != std::string_view::npos) {
    return invalid("the PROXY line has an address with a zone");
  }
  header->source = Address::parse_ip(fields[1], source_port);
  header->destination = Address::parse_ip(fields[2], destination_port);
  if (header->source.family != family || header->destination.family != family) {
    return invalid("the PROXY line has an address that is none of its protocol");
  }
  return done;
}

Address read_ip(Address::Family family, const char* ip, const char* port) {
  Address address;
  address.family = family;
  std::memcpy(address.ip, ip, family == Address::Family::kIpv4 ? 4 : 16);
  address.port = static_cast<uint16_t>(static_cast<uint8_t>(port[0]) << 8 | static_cast<uint8_t>(port[1]));
  return address;
}

ProxyResult parse_binary(std::string_view bytes, ProxyHeader* header) {
  if (bytes.size() < kHeader2Bytes) return {ProxyState::kNeedMore};
  auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (byte(12) >> 4 != 2) return invalid("the PROXY header's version is not 2");
  uint8_t command = byte(12) & 0xf;
  if (command > 1) return invalid("the PROXY header's command is neither LOCAL nor PROXY");
  size_t length = static_cast<size_t>(byte(14)) << 8 | byte(15);
  if (kHeader2Bytes + length > kMaxProxyHeaderBytes) return invalid("the PROXY header is longer than 16 KiB");
  if (bytes.size() < kHeader2Bytes + length) return {ProxyState::kNeedMore};
  ProxyResult done{ProxyState::kDone, kHeader2Bytes + length};
  if (command == 0) return done;
  const char* body = bytes.data() + kHeader2Bytes;
  switch (byte(13)) {
    case 0x11:  // TCP over IPv4
      if (length < 12) return invalid("the PROXY header is too short for its addresses");
      header->source = read_ip(Address::Family::kIpv4, body, body + 8);
      header->destination = read_ip(Address::Family::kIpv4, body + 4, body + 10);
      return done;
    case 0x21:  // TCP over IPv6
      if (length < 36) return invalid("the PROXY header is too short for its addresses");
      header->source = read_ip(Address::Family::kIpv6, body, body + 32);
      header->destination = read_ip(Address::Family::kIpv6, body + 16, body + 34);
      return done;
    case 0x31:  // A Unix stream: no address that anyone here could use.
      if (length < 216) return invalid("the PROXY header is too short for its addresses");
      return done;
    case 0x00:
      return done;
    default:
      return invalid("the PROXY header names neither TCP nor a Unix stream");
  }
}

}  // namespace

ProxyResult parse_proxy_header(std::string_view bytes, ProxyHeader* header) {
  *header = ProxyHeader();
  if (is_prefix(bytes, kPrefix1)) {
    return bytes.size() < kPrefix1.size() ? ProxyResult{ProxyState::kNeedMore} : parse_line(bytes, header);
  }
  if (is_prefix(bytes, kSignature2)) {
    return bytes.size() < kSignature2.size() ? ProxyResult{ProxyState::kNeedMore} : parse_binary(bytes, header);
  }
  return invalid("the connection does not begin with a PROXY header");
}

}  // namespace weft::listener
