#pragma once

#include <cstdint>
#include <string_view>

// The conditions of Envoy's retry_on and x-envoy-retry-on, by name. Pure.

namespace weft::route {

// The bit of RetryPolicy::On that a name stands for, gRPC's conditions included; 0 when it is none that we know.
uint32_t retry_condition(std::string_view name);

}  // namespace weft::route
