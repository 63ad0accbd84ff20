#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/intercept/commands.h"
#include "proxy/intercept/rules.h"

// Puts the rules in force in the network namespace of this process, or takes them away, by the programs that there are:
// nft, else iptables-restore and ip6tables-restore; and `ip` for addresses and routes. Called by the command line.

namespace weft::intercept {

enum class Backend : uint8_t { kAuto, kNft, kIptables };

struct Target {
  Backend backend = Backend::kAuto;  // kAuto: nft, and iptables where that is missing or the kernel does not take it.
  bool ipv6 = true;                  // The namespace has IPv6.
};

// The rules take the place of those that were there, by whichever backend. On an error nothing is intercepted that was
// not before; what was is so still, or the error says that it is not.
absl::Status apply(const Rules& rules, const Target& target, Commands& commands);

// Takes away everything of ours, of either backend; well if there is nothing.
absl::Status clean(Commands& commands);

// What apply() would do, as a shell script.
absl::StatusOr<std::string> dry_run(const Rules& rules, const Target& target, Commands& commands);

// Whether a process whose /proc/PID/status this is may change the rules of its network namespace (CAP_NET_ADMIN).
bool may_change_rules(const std::string& proc_status);

}  // namespace weft::intercept
