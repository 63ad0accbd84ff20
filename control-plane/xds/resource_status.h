#pragma once

// How each resource of a session stands: what the node was to have, was sent, acknowledged, refused, and runs. Pure;
// the hub's thread.

#include <optional>
#include <string>
#include <vector>

#include "control-plane/xds/hub.h"

namespace weft::control::xds {

enum class Sync : uint8_t {
  // Acknowledged, and where the node reports, in force.
  kSynced,
  // Acknowledged, and not in force yet.
  kWarming,
  // Sent, and not answered.
  kStale,
  kNotSent,
  kRefused,
  // The node asks for it, and there is none.
  kMissing,
};

struct ResourceStatus {
  std::string name;
  // As the node is to have it; null if it is to have none.
  ResourcePointer wanted;
  // What it acknowledged; 0 is none.
  uint64_t held_version = 0;
  // What it runs, as it reports; the same as held_version where it does not.
  uint64_t applied_version = 0;
  uint64_t warming_version = 0;
  Sync sync = Sync::kSynced;
  std::optional<Refusal> refusal;
};

// By name. Costs all that the node has of the type.
std::vector<ResourceStatus> resource_statuses(const Hub::Session& session, Type type);

// Of a type as a whole, without looking at each resource but those in which something differs. kMissing is no case of
// it; nothing if the node asks for none of the type.
std::optional<Sync> type_sync(const Hub::Session& session, Type type);

}  // namespace weft::control::xds
