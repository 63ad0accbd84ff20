#pragma once

#include <google/protobuf/any.pb.h>

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/cluster/cluster.h"
#include "proxy/config/compile/shared_parts.h"
#include "proxy/route/route_table.h"
#include "proxy/transport/secret_use.h"

// One resource that came while the proxy runs into what it runs. Nothing of it is in force when there is an error; the
// error names the fields, one a line, by their paths from the resource itself. Main thread.

namespace weft::config {

// `name`: the one under which the source knows it, which must be its own.
absl::StatusOr<cluster::ClusterPtr> compile_cluster_resource(SharedParts& parts, const std::string& name,
                                                             const google::protobuf::Any& body);

absl::StatusOr<std::vector<std::vector<cluster::HostPtr>>> compile_endpoints_resource(
    SharedParts& parts, const std::string& name, const google::protobuf::Any& body);

// Of `known`, those filter chains are taken that would be made alike.
absl::StatusOr<std::shared_ptr<const snapshot::Listener>> compile_listener_resource(SharedParts& parts,
                                                                                    const std::string& name,
                                                                                    const google::protobuf::Any& body,
                                                                                    const KnownChains& known);

// Clusters that the configuration names need not exist, unless it says so itself (validate_clusters).
absl::StatusOr<std::shared_ptr<const route::RouteTable>> compile_routes_resource(SharedParts& parts,
                                                                                 const std::string& name,
                                                                                 const google::protobuf::Any& body);

// A secret with the contents of the files that it names: whether it can be used at all, whoever may use it.
absl::Status check_secret_resource(SharedParts& parts, const std::string& name, const transport::SecretText& text);

// What changes when a secret's files do: the files themselves, or the directory that it says is to be watched.
struct SecretFiles {
  std::set<std::string> paths;
  std::string watched_directory;
};
SecretFiles secret_files(const std::string& secret);

}  // namespace weft::config
