#pragma once

// By what a workload came into the mesh first: written into its certificates (the subject's organizational unit), and
// carried over when they are renewed, so that a join token that is revoked is revoked for all that came of it. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace weft::control::ca {

// Of a Kubernetes service account's token.
inline constexpr std::string_view kKubernetesOrigin = "kubernetes";
// The certificate was made here together with its key, and given by discovery.
inline constexpr std::string_view kSecretOrigin = "secret";

inline constexpr std::string_view kTokenOrigin = "token ";

inline std::string token_origin(std::string_view id) { return std::string(kTokenOrigin) + std::string(id); }
// Nothing if it is another origin.
inline std::optional<std::string> token_of_origin(std::string_view origin) {
  if (!origin.starts_with(kTokenOrigin)) return std::nullopt;
  return std::string(origin.substr(kTokenOrigin.size()));
}

}  // namespace weft::control::ca
