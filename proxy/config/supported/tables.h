#pragma once

#include <span>
#include <string_view>

// The parts of the table of supported fields, one for each part of the compiler; entries are as api/text/unsupported.h
// says.

namespace weft::config {

std::span<const std::string_view> supported_process_fields();
std::span<const std::string_view> supported_listener_fields();
std::span<const std::string_view> supported_route_fields();
std::span<const std::string_view> supported_cluster_fields();
// Supported elsewhere, but not in these places.
std::span<const std::string_view> refused_paths();

}  // namespace weft::config
