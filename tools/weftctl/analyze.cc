#include "tools/weftctl/analyze.h"

#include <grpcpp/grpcpp.h>

#include <iostream>

#include "api/text/print.h"
#include "tools/weftctl/client.h"

namespace weft::weftctl {

namespace {

const char* severity_word(v1::Finding::Severity severity) {
  switch (severity) {
    case v1::Finding::ERROR:
      return "error";
    case v1::Finding::WARNING:
      return "warning";
    default:
      return "info";
  }
}

void print(const v1::Finding& finding) {
  std::cout << severity_word(finding.severity()) << ": " << finding.code() << ": ";
  const v1::ObjectReference& object = finding.source().object();
  if (!object.kind().empty()) {
    std::cout << object.kind() << " " << object.namespace_() << (object.namespace_().empty() ? "" : "/")
              << object.name();
    if (!finding.source().origin().empty()) std::cout << " (" << finding.source().origin() << ")";
    std::cout << ": ";
  }
  if (!finding.path().empty()) std::cout << finding.path() << ": ";
  std::cout << finding.message() << "\n";
}

std::string counted(int count, const std::string& word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

}  // namespace

int analyze(const std::vector<std::string>& files, const std::string& output, v1::Control::Stub* stub,
            const std::string& socket) {
  v1::AnalyzeRequest request;
  if (!read_documents(files, request.mutable_documents())) return kWrongUse;
  grpc::ClientContext context;
  v1::AnalyzeResponse response;
  if (const int code = tell(stub->Analyze(&context, request, &response), socket); code != kDone) return code;
  int counts[v1::Finding::Severity_ARRAYSIZE] = {};
  for (const v1::Finding& finding : response.findings()) ++counts[finding.severity()];
  text::PrintOptions options;
  options.proto_names = false;
  if (output == "json") {
    std::cout << text::print_json(response, options) << "\n";
  } else if (output == "yaml") {
    std::cout << text::print_yaml(response, options);
  } else {
    for (const v1::Finding& finding : response.findings()) print(finding);
    std::cout << counted(counts[v1::Finding::ERROR], "error") << ", "
              << counted(counts[v1::Finding::WARNING], "warning") << ", " << counts[v1::Finding::INFO]
              << " for information\n";
  }
  if (counts[v1::Finding::ERROR] > 0) return kRefused;
  return counts[v1::Finding::WARNING] > 0 ? kDifferent : kDone;
}

}  // namespace weft::weftctl
