#include "tools/weftctl/tokens.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <vector>

#include "api/text/print.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/text.h"

namespace weft::weftctl {

int create_token(const TokenOptions& options, v1::Control::Stub* stub, const std::string& socket) {
  v1::CreateTokenRequest request;
  request.set_namespace_(options.namespace_name);
  request.set_service(options.service);
  request.set_ttl(options.ttl);
  request.set_uses(options.uses);
  grpc::ClientContext context;
  v1::CreateTokenResponse response;
  const int code = tell(stub->CreateToken(&context, request, &response), socket);
  if (code != kDone) return code;
  std::cout << response.token() << "\n";
  return kDone;
}

int list_tokens(const std::string& output, v1::Control::Stub* stub, const std::string& socket) {
  grpc::ClientContext context;
  v1::ListTokensResponse response;
  const int code = tell(stub->ListTokens(&context, {}, &response), socket);
  if (code != kDone) return code;
  if (!output.empty()) {
    text::PrintOptions options;
    options.proto_names = false;
    std::cout << (output == "json" ? text::print_json(response, options) + "\n" : text::print_yaml(response, options));
    return kDone;
  }
  using google::protobuf::util::TimeUtil;
  std::vector<std::vector<std::string>> rows = {{"ID", "NAMESPACE", "SERVICE", "NODES", "STATE", "EXPIRES", "CREATED"}};
  for (const v1::JoinToken& each : response.tokens()) {
    rows.push_back({each.id(), each.namespace_(), each.service().empty() ? "-" : each.service(),
                    std::to_string(each.nodes()) + "/" + std::to_string(each.uses()), each.state(),
                    TimeUtil::ToString(each.expires()), TimeUtil::ToString(each.created())});
  }
  std::cout << (rows.size() == 1 ? "nothing found\n" : table(rows));
  return kDone;
}

int revoke_token(const std::string& id, v1::Control::Stub* stub, const std::string& socket) {
  v1::RevokeTokenRequest request;
  request.set_id(id);
  grpc::ClientContext context;
  v1::RevokeTokenResponse response;
  const int code = tell(stub->RevokeToken(&context, request, &response), socket);
  if (code != kDone) return code;
  std::cout << "token " << id << " is revoked; streams by it are ended\n";
  return kDone;
}

}  // namespace weft::weftctl
