#pragma once

// Services and endpoints of the model from their objects, which are valid. Pure; any thread.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "control-plane/registry/model.h"
#include "control-plane/registry/workload.h"

namespace weft::control::registry {

// The service that an object of kind Service or ExternalService is.
ServiceName service_name_of(const source::Key& key);
// The service whose endpoints the slice holds.
ServiceName service_name_of_slice(const source::Object& slice);

// Without assigned addresses.
std::shared_ptr<Service> build_service(const source::Object& object);

// The endpoints of a service: of the slices that name it and of its workloads that announced themselves (by node), or
// for an external one, and one by ExternalName, of its own object. `takes_mtls`: whether a workload that can takes
// mutual TLS at this port of its application.
std::shared_ptr<const Endpoints> build_endpoints(const Service& service, const source::Object& object,
                                                 const std::vector<source::Object>& slices,
                                                 const std::map<std::string, Workload>& workloads,
                                                 absl::FunctionRef<bool(uint16_t app_port)> takes_mtls);

// When the object was made, in milliseconds since the epoch.
int64_t created_ms(const source::Object& object);

}  // namespace weft::control::registry
