#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/listener/v3/listener.pb.h"
#include "proxy/config/compile/context.h"

// Listeners, their filter chains and what chooses among them. Clusters are compiled before.

namespace weft::config {

namespace listener_v3 = envoy::config::listener::v3;

// `known`: chains that run already; those that would be made alike are taken instead, so that their connections live
// on.
std::shared_ptr<const snapshot::Listener> compile_listener(Context& context, const listener_v3::Listener& proto,
                                                           const KnownChains& known, std::string_view path);

}  // namespace weft::config
