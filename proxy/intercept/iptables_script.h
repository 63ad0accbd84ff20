#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/intercept/rules.h"

// The rules as input of iptables-restore and ip6tables-restore, for where there is no nftables: chains WEFT_… and the
// jumps to them. The same connections are taken as by nft_script.h. Pure; any thread.

namespace weft::intercept {

enum class IpFamily : uint8_t { kIpv4, kIpv6 };

// Input of `iptables-restore --noflush`: takes away what `saved`, the output of iptables-save, has of ours, and puts
// the rules in its place; each table changes at once. Nothing else is touched.
std::string iptables_script(const Rules& rules, IpFamily family, std::string_view saved);
// The same without new rules; empty if `saved` has nothing of ours.
std::string iptables_clean_script(std::string_view saved);

}  // namespace weft::intercept
