#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/transport/byte_stream.h"

// Which connections of a network namespace its sidecar takes: what `weft-proxy intercept` is told, and what the scripts
// for nftables and iptables are made of. The numbers are Istio's, whose users know them. Pure; any thread.

namespace weft::intercept {

// Of the sidecar, and never taken on their way in: administration, merged metrics, health, metrics.
inline constexpr uint16_t kOwnPorts[] = {15000, 15020, 15021, 15090};
// Whoever connects to this port of kPassAddress or of an own address, the proxy included, is taken, outbound and
// inbound: so that it can prove from inside that the rules are in force. Datagrams to kPassAddress go to the DNS
// responder, if questions do.
inline constexpr uint16_t kSelfTestPort = 15002;
// What the proxy sends over lo from these is not taken again: its connections to the application's own address.
inline constexpr char kPassIpv4[] = "127.0.0.6";
inline constexpr char kPassIpv6[] = "::6";
// The mark of packets that TPROXY takes, the table of routes that holds for it, and the zone of conntrack in which
// questions to the DNS responder are, apart from those that it asks itself.
inline constexpr uint32_t kTproxyMark = 1337;
inline constexpr uint32_t kTproxyTable = 133;
inline constexpr uint32_t kDnsZone = 1;
inline constexpr uint16_t kDnsPort = 53;

struct Cidr {
  transport::Address network;
  uint32_t bits = 0;
  bool is_ipv6() const { return network.family == transport::Address::Family::kIpv6; }
  std::string text() const;  // "10.0.0.0/8"
};

// "10.0.0.0/8", "fd00::/8", or an address alone. The error says what was expected.
absl::StatusOr<Cidr> parse_cidr(const std::string& text);

struct Rules {
  // How inbound connections come to the proxy. kTproxy keeps their addresses as they are, and needs the proxy's
  // listener to be transparent; outbound ones are redirected either way.
  enum class Mode : uint8_t { kRedirect, kTproxy };
  Mode mode = Mode::kRedirect;
  uint16_t outbound_port = 15001;
  uint16_t inbound_port = 15006;
  // The proxy's own, whose connections leave as they are.
  uint32_t uid = 1337;
  uint32_t gid = 1337;
  // Whose outbound connections are taken: not those of these users, and if any are included, no others'.
  std::vector<uint32_t> exclude_uids, include_uids;
  bool inbound = true;
  std::vector<uint16_t> exclude_inbound_ports;
  std::vector<uint16_t> include_inbound_ports;  // Empty: all.
  std::vector<uint16_t> exclude_outbound_ports;
  std::vector<Cidr> exclude_outbound_cidrs;
  // Outbound connections to one of these ports or of these networks; all if there are neither.
  std::vector<uint16_t> include_outbound_ports;
  std::vector<Cidr> include_outbound_cidrs;
  // Where the DNS responder listens on loopback; 0: questions go where they are sent.
  uint16_t dns_port = 0;
  std::vector<transport::Address> dns_servers;  // Whose questions are taken; empty: everybody's.
};

}  // namespace weft::intercept
