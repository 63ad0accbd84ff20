#pragma once

// What a call's context shows of its caller. Lives within the call; gRPC's threads.

#include <grpc/grpc_security_constants.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <string_view>
#include <utility>

#include "control-plane/xds/gate.h"

namespace weft::control::xds {

class Caller {
 public:
  // `context` outlives it.
  template <typename Context>
  explicit Caller(const Context& context) : auth_(context.auth_context()) {
    const auto header = context.client_metadata().find("authorization");
    if (header != context.client_metadata().end()) authorization_ = {header->second.data(), header->second.size()};
  }

  Shown shown() const {
    return {.authorization = authorization_,
            .certificate_pem = property(GRPC_X509_PEM_CERT_PROPERTY_NAME),
            .chain_pem = property(GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME)};
  }

 private:
  std::string_view property(const char* name) const {
    if (auth_ == nullptr) return {};
    const auto values = auth_->FindPropertyValues(name);
    return values.empty() ? std::string_view() : std::string_view(values.front().data(), values.front().size());
  }

  std::shared_ptr<const grpc::AuthContext> auth_;
  std::string_view authorization_;
};

}  // namespace weft::control::xds
