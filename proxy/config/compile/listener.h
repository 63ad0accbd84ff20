#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/listener/v3/listener.pb.h"
#include "proxy/config/compile/context.h"

// Listeners, their filter chains and listener filters.

namespace weft::config {

namespace listener_v3 = envoy::config::listener::v3;

std::shared_ptr<const snapshot::Listener> compile_listener(Context& context, const listener_v3::Listener& listener,
                                                           std::string_view path);

// A filter chain of `listener`; `path` is the chain's own. The listener's name stands in what has no name of its own.
std::shared_ptr<const snapshot::FilterChain> compile_filter_chain(Context& context,
                                                                  const listener_v3::FilterChain& chain,
                                                                  std::string_view path);

}  // namespace weft::config
