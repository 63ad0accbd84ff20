#pragma once

// What weftctl prints of proxies and of the way of a commit to them. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weft/v1/proxies.pb.h"

namespace weft::weftctl {

// A row for each proxy, and below it what was refused and why.
std::string status_table(const v1::ProxyStatusResponse& response);

// What a person looks for first in resources of this type ("cluster", "endpoint", "secret", "listener", "route",
// "name"), and below it what was refused and why.
std::string config_table(const std::string& type, const v1::ProxyConfigResponse& response);

// "3 of 5 proxies have applied revision 7"
std::string progress_line(const v1::RolloutProgress& progress);
// The same with a bar of so many characters before it, for a terminal.
std::string progress_bar(const v1::RolloutProgress& progress, size_t width);
// How it ended, in one or more lines: who refused and why, who was waited for and for what.
std::string rollout_end(const v1::RolloutProgress& progress);

// "500ms", "30s", "2m", "1h" in milliseconds; nothing if it is none of these.
std::optional<int64_t> parse_duration_ms(std::string_view text);

}  // namespace weft::weftctl
