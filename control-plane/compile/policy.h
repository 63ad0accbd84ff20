#pragma once

// The policy that holds for a port of a service, and what of it stands in routes. Pure; any thread.

#include <cstdint>

#include "control-plane/registry/model.h"

namespace envoy::config::route::v3 {
class RouteAction;
}  // namespace envoy::config::route::v3

namespace weft::v1 {
class Retry;
}  // namespace weft::v1

namespace weft::control::compile {

// Null if there is none; lives as long as the model.
const registry::EffectivePolicy* policy_of(const registry::Model& model, const registry::ServiceName& service,
                                           uint16_t port);

void set_retry(const v1::Retry& retry, envoy::config::route::v3::RouteAction& action);

// How requests to the port are told apart where its balancer hashes them; once, however many ports ask for the same.
void add_hash_policy(const v1::TrafficPolicySpec& of_port, envoy::config::route::v3::RouteAction& action);

}  // namespace weft::control::compile
