#include "tools/weftctl/workloads.h"

#include <grpcpp/grpcpp.h>

#include <iostream>
#include <vector>

#include "api/text/print.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/text.h"

namespace weft::weftctl {

int get_workloads(const WorkloadQuery& query, v1::Control::Stub* stub, const std::string& socket) {
  v1::ListWorkloadsRequest request;
  if (!query.all_namespaces) request.set_namespace_(query.namespace_name.empty() ? "default" : query.namespace_name);
  grpc::ClientContext context;
  v1::ListWorkloadsResponse response;
  const int code = tell(stub->ListWorkloads(&context, request, &response), socket);
  if (code != kDone) return code;
  if (!query.output.empty()) {
    text::PrintOptions options;
    options.proto_names = false;
    std::cout << (query.output == "json" ? text::print_json(response, options) + "\n"
                                         : text::print_yaml(response, options));
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"NAMESPACE", "SERVICE", "WORKLOAD", "ADDRESS", "STATE"}};
  for (const v1::Workload& each : response.workloads()) {
    rows.push_back({each.namespace_(), each.service(), each.name(), each.address(), each.state()});
  }
  std::cout << (rows.size() == 1 ? "nothing found\n" : table(rows));
  return kDone;
}

}  // namespace weft::weftctl
