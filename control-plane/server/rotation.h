#pragma once

// How the replacing of the mesh's root stands: what the next step is, and what is in its way. Pure.
//
// (1) A new root is made and all proxies are told to trust it. (2) Once they do, it signs. (3) Once nothing that lives
// hangs from the old one, nobody trusts that any more.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "control-plane/ca/authority.h"
#include "control-plane/xds/hub.h"

namespace weft::control::server {

// Whether a connected proxy runs the newest roots.
struct ProxyTrust {
  std::string node;
  bool is_current = false;
  // Why not: "has not acknowledged them", "refuses them: ...".
  std::string why;
};

// Of all sessions that asked for the roots, by node. The hub's thread.
std::vector<ProxyTrust> proxies_trust(const xds::Hub& hub);

enum class RotationPhase : uint8_t { kSteady, kTrusting, kRetiring };

struct Rotation {
  RotationPhase phase = RotationPhase::kSteady;
  // "`weftctl ca rotate` makes a new root ..."
  std::string next_step;
  // One line for each.
  std::vector<std::string> blockers;
  // What happens if it is done nevertheless.
  std::string consequence;
};

Rotation rotation_of(const ca::Authority::Standing& standing, const std::vector<ProxyTrust>& proxies, int64_t now_ms);

// Does the next step of the phase; what it says was done.
absl::StatusOr<std::string> rotate(RotationPhase phase, ca::Authority& authority);

}  // namespace weft::control::server
