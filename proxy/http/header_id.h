#pragma once

#include <cstdint>
#include <string_view>

// The header names that the proxy itself looks at, as small numbers: a header is compared by its number, and a message
// knows by one bit whether it has it. Names are lower case (RFC 9113, 8.2.1). Add a name to the list and it has a
// number.

#define WEFT_HEADERS(X)                                                         \
  X(kAccept, "accept")                                                          \
  X(kAcceptEncoding, "accept-encoding")                                         \
  X(kAccessControlAllowCredentials, "access-control-allow-credentials")         \
  X(kAccessControlAllowHeaders, "access-control-allow-headers")                 \
  X(kAccessControlAllowMethods, "access-control-allow-methods")                 \
  X(kAccessControlAllowOrigin, "access-control-allow-origin")                   \
  X(kAccessControlExposeHeaders, "access-control-expose-headers")               \
  X(kAccessControlMaxAge, "access-control-max-age")                             \
  X(kAccessControlRequestHeaders, "access-control-request-headers")             \
  X(kAccessControlRequestMethod, "access-control-request-method")               \
  X(kAuthorization, "authorization")                                            \
  X(kCacheControl, "cache-control")                                             \
  X(kConnection, "connection")                                                  \
  X(kContentEncoding, "content-encoding")                                       \
  X(kContentLength, "content-length")                                           \
  X(kContentType, "content-type")                                               \
  X(kCookie, "cookie")                                                          \
  X(kDate, "date")                                                              \
  X(kEtag, "etag")                                                              \
  X(kExpect, "expect")                                                          \
  X(kForwarded, "forwarded")                                                    \
  X(kGrpcMessage, "grpc-message")                                               \
  X(kGrpcStatus, "grpc-status")                                                 \
  X(kGrpcTimeout, "grpc-timeout")                                               \
  X(kHost, "host")                                                              \
  X(kHttp2Settings, "http2-settings")                                           \
  X(kKeepAlive, "keep-alive")                                                   \
  X(kLocation, "location")                                                      \
  X(kOrigin, "origin")                                                          \
  X(kProxyConnection, "proxy-connection")                                       \
  X(kReferer, "referer")                                                        \
  X(kRetryAfter, "retry-after")                                                 \
  X(kServer, "server")                                                          \
  X(kSetCookie, "set-cookie")                                                   \
  X(kTe, "te")                                                                  \
  X(kTrailer, "trailer")                                                        \
  X(kTransferEncoding, "transfer-encoding")                                     \
  X(kUpgrade, "upgrade")                                                        \
  X(kUserAgent, "user-agent")                                                   \
  X(kVary, "vary")                                                              \
  X(kVia, "via")                                                                \
  X(kWwwAuthenticate, "www-authenticate")                                       \
  X(kXEnvoyAttemptCount, "x-envoy-attempt-count")                               \
  X(kXEnvoyDecoratorOperation, "x-envoy-decorator-operation")                   \
  X(kXEnvoyExpectedRqTimeoutMs, "x-envoy-expected-rq-timeout-ms")               \
  X(kXEnvoyExternalAddress, "x-envoy-external-address")                         \
  X(kXEnvoyImmediateHealthCheckFail, "x-envoy-immediate-health-check-fail")     \
  X(kXEnvoyInternal, "x-envoy-internal")                                        \
  X(kXEnvoyMaxRetries, "x-envoy-max-retries")                                   \
  X(kXEnvoyOriginalPath, "x-envoy-original-path")                               \
  X(kXEnvoyOverloaded, "x-envoy-overloaded")                                    \
  X(kXEnvoyRateLimited, "x-envoy-ratelimited")                                  \
  X(kXEnvoyRetryGrpcOn, "x-envoy-retry-grpc-on")                                \
  X(kXEnvoyRetryOn, "x-envoy-retry-on")                                         \
  X(kXEnvoyUpstreamRqPerTryTimeoutMs, "x-envoy-upstream-rq-per-try-timeout-ms") \
  X(kXEnvoyUpstreamRqTimeoutMs, "x-envoy-upstream-rq-timeout-ms")               \
  X(kXEnvoyUpstreamServiceTime, "x-envoy-upstream-service-time")                \
  X(kXForwardedClientCert, "x-forwarded-client-cert")                           \
  X(kXForwardedFor, "x-forwarded-for")                                          \
  X(kXForwardedHost, "x-forwarded-host")                                        \
  X(kXForwardedProto, "x-forwarded-proto")                                      \
  X(kXRequestId, "x-request-id")

namespace weft::http {

enum class HeaderId : uint8_t {
  kOther = 0,
#define X(id, name) id,
  WEFT_HEADERS(X)
#undef X
      kCount
};
static_assert(static_cast<int>(HeaderId::kCount) <= 64, "a message's presence bits are one 64-bit word");

// The number of a name in any letter case; kOther when it has none.
HeaderId header_id(std::string_view name);
// The lower-case name; empty for kOther.
std::string_view header_name(HeaderId id);

}  // namespace weft::http
