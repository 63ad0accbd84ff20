#pragma once

// What `weftctl graph` shows: a tree of who calls whom, from those whom nobody calls downwards, and the same for
// Graphviz. Pure.

#include <string>

#include "weft/v1/traffic.pb.h"

namespace weft::weftctl {

// Of what is in `namespace_name` the namespace is not written.
std::string graph_tree(const v1::TrafficResponse& traffic, const std::string& namespace_name, bool is_coloured);
std::string graph_dot(const v1::TrafficResponse& traffic, const std::string& namespace_name);

// "12.3/s 99.1% p99 12ms", "0.5c/s 1.2kB/s" for connections, "quiet" for what did not flow within the window.
std::string flow_words(const v1::Flow& flow);

}  // namespace weft::weftctl
