#pragma once

// The mesh's graph as a picture that stands alone: SVG without scripts, fonts or anything from elsewhere. Pure.

#include <string>

#include "weft/v1/traffic.pb.h"

namespace weft::weftctl {

// Of what is in `namespace_name` the namespace is not written.
std::string graph_svg(const v1::TrafficResponse& traffic, const std::string& namespace_name);

}  // namespace weft::weftctl
