#pragma once

// A response of the hub as the bytes that gRPC would carry. Pure.

#include <string>

#include "control-plane/xds/stream.h"

namespace weft::simulation {

std::string encode(const control::xds::Response& response, control::xds::Form form);

}  // namespace weft::simulation
