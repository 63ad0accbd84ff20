#pragma once

// The parts of which listeners behind rules of the kernel are made. Pure; any thread.

#include <cstdint>
#include <string_view>

namespace envoy::config::cluster::v3 {
class Cluster;
}  // namespace envoy::config::cluster::v3

namespace envoy::config::core::v3 {
class Address;
}  // namespace envoy::config::core::v3

namespace envoy::config::listener::v3 {
class FilterChain;
class Listener;
}  // namespace envoy::config::listener::v3

namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace weft::control::compile {

inline constexpr char kAnyIpv4[] = "0.0.0.0";
inline constexpr char kAnyIpv6[] = "::";

void set_address(std::string_view address, uint16_t port, envoy::config::core::v3::Address& out);

// Bytes to a cluster, whose name they have in metrics, too.
void set_tcp(std::string_view cluster, envoy::config::listener::v3::FilterChain& chain);
void set_http(const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& manager,
              envoy::config::listener::v3::FilterChain& chain);

// The chain is for connections that begin with HTTP; not for TLS, however its client would go on. Chains are passed
// over for good by what is more specific at the first criterion, so what is no HTTP needs match_plain(), or the
// default.
void match_http(envoy::config::listener::v3::FilterChain& chain);
// The chain is for connections that are not TLS.
void match_plain(envoy::config::listener::v3::FilterChain& chain);
// The chain is for destinations of this range, too.
void match_range(std::string_view address, uint32_t prefix_bits, envoy::config::listener::v3::FilterChain& chain);

// Looks at first bytes for HTTP, and waits for them no longer than set_detection() says.
void inspect_http(envoy::config::listener::v3::Listener& listener);
// Goes on without first bytes after a short time.
void set_detection(envoy::config::listener::v3::Listener& listener);
// Reads where connections were going, before any other filter looks.
void restore_destination(envoy::config::listener::v3::Listener& listener);

// HTTP is spoken to the cluster's hosts in the version in which it came.
void follow_protocol(envoy::config::cluster::v3::Cluster& cluster);
// The cluster connects to where each connection was going, as often as it is asked.
void set_original_destination(envoy::config::cluster::v3::Cluster& cluster);

}  // namespace weft::control::compile
