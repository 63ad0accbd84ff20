#include <arpa/inet.h>
#include <net/if.h>

#include <cstring>

#include "proxy/transport/byte_stream.h"

namespace weft::transport {

Address Address::unix_path(std::string_view path) {
  Address address;
  address.family = Family::kUnix;
  address.path = std::string(path);
  return address;
}

Address Address::parse_ip(std::string_view ip, uint16_t port) {
  Address address;
  address.port = port;
  std::string text(ip);
  if (inet_pton(AF_INET, text.c_str(), address.ip) == 1) {
    address.family = Family::kIpv4;
    return address;
  }
  std::string zone;
  if (size_t percent = text.find('%'); percent != std::string::npos) {
    zone = text.substr(percent + 1);
    text.resize(percent);
  }
  if (inet_pton(AF_INET6, text.c_str(), address.ip) != 1) return Address();
  if (!zone.empty()) {
    address.scope_id = if_nametoindex(zone.c_str());
    if (address.scope_id == 0) {
      for (char c : zone) {
        if (c < '0' || c > '9' || address.scope_id > UINT32_MAX / 10 - 1) return Address();
        address.scope_id = address.scope_id * 10 + static_cast<uint32_t>(c - '0');
      }
    }
  }
  address.family = Family::kIpv6;
  return address;
}

bool Address::is_loopback() const {
  static constexpr uint8_t kLoopback6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  switch (family) {
    case Family::kIpv4:
      return ip[0] == 127;
    case Family::kIpv6:
      return std::memcmp(ip, kLoopback6, 16) == 0 || (std::memcmp(ip, kMapped, 12) == 0 && ip[12] == 127);
    case Family::kUnix:
      return true;
    case Family::kNone:
      return false;
  }
  return false;
}

bool Address::is_within(const Address& network, size_t bits) const {
  if (family != network.family) return false;
  if (std::memcmp(ip, network.ip, bits / 8) != 0) return false;
  if (bits % 8 == 0) return true;
  auto mask = static_cast<uint8_t>(0xff << (8 - bits % 8));
  return ((ip[bits / 8] ^ network.ip[bits / 8]) & mask) == 0;
}

std::string Address::ip_text() const {
  char text[INET6_ADDRSTRLEN];
  switch (family) {
    case Family::kIpv4:
      return inet_ntop(AF_INET, ip, text, sizeof(text));
    case Family::kIpv6: {
      std::string result = inet_ntop(AF_INET6, ip, text, sizeof(text));
      if (scope_id != 0) result.append("%").append(std::to_string(scope_id));
      return result;
    }
    case Family::kUnix:
      return path;
    case Family::kNone:
      return {};
  }
  return {};
}

std::string Address::to_string() const {
  switch (family) {
    case Family::kIpv4:
      return ip_text().append(":").append(std::to_string(port));
    case Family::kIpv6:
      return std::string("[").append(ip_text()).append("]:").append(std::to_string(port));
    case Family::kUnix:
      return path;
    case Family::kNone:
      return {};
  }
  return {};
}

bool Address::operator==(const Address& other) const {
  if (family != other.family) return false;
  switch (family) {
    case Family::kNone:
      return true;
    case Family::kUnix:
      return path == other.path;
    case Family::kIpv4:
      return port == other.port && std::memcmp(ip, other.ip, 4) == 0;
    case Family::kIpv6:
      return port == other.port && scope_id == other.scope_id && std::memcmp(ip, other.ip, 16) == 0;
  }
  return false;
}

}  // namespace weft::transport
