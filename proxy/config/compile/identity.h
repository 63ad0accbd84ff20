#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/core/v3/base.pb.h"
#include "proxy/config/compile/context.h"
#include "proxy/observe/hop_identity.h"
#include "proxy/observe/hop_reporter.h"

// Who is who, for the metrics of hops: a proxy's own workload by its node's metadata, endpoints and services by the
// metadata "weft" that the control plane gives them (api/weft/v1/hop_metrics.proto). What is no text there says
// nothing.

namespace weft::config {

// Of an endpoint; parts that its metadata does not name are empty.
std::shared_ptr<const observe::WorkloadIdentity> compile_workload_identity(const core_v3::Metadata& metadata);
// nullptr: the metadata says nothing of it.
std::shared_ptr<const observe::ServiceIdentity> compile_service_identity(const core_v3::Metadata& metadata);

// Of a filter weft.v1.HopMetrics; nullptr with an error.
std::shared_ptr<const observe::HopReporter> compile_hop_metrics(Context& context, const google::protobuf::Any& config,
                                                                std::string_view path);

}  // namespace weft::config
