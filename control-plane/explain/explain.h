#pragma once

// Everything that decides about the outgoing requests of a namespace: the routes as they are compiled for its proxies,
// and for each of them which object, as of which revision, it is from. Who matches a request against it is weftctl, by
// the proxy's own matcher. Pure; any thread.

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "control-plane/registry/model.h"
#include "weft/v1/control.pb.h"

namespace weft::control::explain {

// File and line of an object; empty where it has none.
using OriginOf = std::function<std::string(const source::Key& key)>;

// NotFound if the request names a service that does not exist.
absl::StatusOr<v1::ExplainResponse> explain(const registry::Model& model, const v1::ExplainRequest& request,
                                            const OriginOf& origin_of);

}  // namespace weft::control::explain
