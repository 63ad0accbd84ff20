#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "envoy/service/discovery/v3/discovery.pb.h"
#include "proxy/config/xds/subscription.h"

// One resource of a response as it came, looked at only as far as the protocol needs. Pure.

namespace weft::config::xds {

namespace discovery_v3 = envoy::service::discovery::v3;

struct Received {
  Resource resource;
  std::optional<int64_t> ttl_ms;
  bool heartbeat = false;  // No body: what is held lives on for another ttl_ms.
  std::string problem;     // Not empty: cannot be taken, and why. The name may be missing then.
};

// Of a SotW response: the resource itself, or wrapped in envoy.service.discovery.v3.Resource.
Received read_sotw(Type type, const google::protobuf::Any& any, std::string_view version);
Received read_delta(Type type, const discovery_v3::Resource& wrapped);

// The name that a serialised resource gives itself: field 1 in all of our types. Empty optional: no valid message.
std::optional<std::string> name_within(std::string_view bytes);

// What a refused response is told: how many were refused, and of each its name and reason. Bounded.
std::string refusal_text(Type type, const std::vector<Refusal>& refusals);

}  // namespace weft::config::xds
