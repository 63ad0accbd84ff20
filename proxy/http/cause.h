#pragma once

#include <cstdint>
#include <string_view>

// Why an exchange ended other than by the upstream's own complete answer. Every answer that the proxy makes itself, and
// every reset, carries one: a stable name for logs and alerts, a sentence for people, who closed, at which phase, the
// HTTP status it is told as, and the response flag of Envoy's access logs.

namespace weft::http {

// X(id, name, HTTP status, gRPC status, Envoy's response flag, who, phase, sentence)
// clang-format off
#define WEFT_CAUSES(X)                                                                                                                  \
  X(kNone, "none", 0, 0, "-", kNobody, kDone, "The upstream answered.")                                                                  \
  X(kBadRequest, "bad_request", 400, 3, "DPE", kProxy, kRequestHead, "The request is not valid HTTP.")                                   \
  X(kHeadersTooLarge, "headers_too_large", 431, 8, "DPE", kProxy, kRequestHead, "The request's headers are larger than the limit.")      \
  X(kUriTooLong, "uri_too_long", 414, 8, "DPE", kProxy, kRequestHead, "The request target is longer than the limit.")                     \
  X(kVersionNotSupported, "version_not_supported", 505, 12, "DPE", kProxy, kRequestHead, "The request's HTTP version is not supported.") \
  X(kHttp10NotAccepted, "http10_not_accepted", 426, 12, "DPE", kProxy, kRequestHead, "HTTP/1.0 is not accepted here.")                     \
  X(kUpgradeNotAllowed, "upgrade_not_allowed", 403, 7, "", kProxy, kRouting, "This route does not allow the requested upgrade.")         \
  X(kRequestHeadersTimeout, "request_headers_timeout", 408, 4, "DT", kProxy, kRequestHead, "The request's headers did not arrive in time.") \
  X(kRequestTimeout, "request_timeout", 408, 4, "DT", kProxy, kRequestBody, "The request did not arrive in time.")                       \
  X(kStreamIdleTimeout, "stream_idle_timeout", 408, 4, "SI", kProxy, kForwarding, "Nothing moved on this stream for the idle timeout.")  \
  X(kMaxStreamDuration, "max_stream_duration", 408, 4, "DT", kProxy, kForwarding, "The stream lasted longer than it may.")               \
  X(kNoRoute, "no_route", 404, 12, "NR", kProxy, kRouting, "No route matches this request.")                                             \
  X(kRedirect, "redirect", 0, 12, "", kProxy, kRouting, "The route redirects this request.")                                             \
  X(kDirectResponse, "direct_response", 0, 12, "", kProxy, kRouting, "The route answers this request itself.")                           \
  X(kNoCluster, "no_cluster", 503, 14, "NC", kProxy, kRouting, "The route names a cluster that does not exist.")                         \
  X(kNoHealthyUpstream, "no_healthy_upstream", 503, 14, "UH", kProxy, kBalancing, "No endpoint of the cluster can take this request.")   \
  X(kNoOriginalDestination, "no_original_destination", 503, 14, "UH", kProxy, kBalancing, "The connection was made to the proxy itself: forwarded to where it was going, it would come back for ever.") \
  X(kOverflowPending, "overflow_pending", 503, 14, "UO", kProxy, kBalancing, "Too many requests wait for a connection to the cluster.")  \
  X(kOverflowRequests, "overflow_requests", 503, 14, "UO", kProxy, kBalancing, "The cluster has its maximum of requests in flight.")     \
  X(kOverflowConnections, "overflow_connections", 503, 14, "UO", kProxy, kBalancing, "The cluster has its maximum of connections.")      \
  X(kConnectRefused, "connect_refused", 503, 14, "UF", kUpstream, kConnecting, "The endpoint refused the connection.")                   \
  X(kConnectTimeout, "connect_timeout", 503, 14, "UF", kProxy, kConnecting, "The connection to the endpoint was not made in time.")      \
  X(kConnectFailed, "connect_failed", 503, 14, "UF", kUpstream, kConnecting, "The connection to the endpoint could not be made.")        \
  X(kUpstreamTlsFailed, "upstream_tls_failed", 503, 14, "UF", kUpstream, kConnecting, "The TLS handshake with the endpoint failed.")     \
  X(kUpstreamClosed, "upstream_closed", 503, 14, "UC", kUpstream, kForwarding, "The endpoint closed the connection before it answered.") \
  X(kUpstreamReset, "upstream_reset", 503, 14, "UR", kUpstream, kForwarding, "The endpoint reset the stream.")                           \
  X(kUpstreamRefusedStream, "upstream_refused_stream", 503, 14, "UR", kUpstream, kForwarding, "The endpoint refused the stream unprocessed.") \
  X(kUpstreamProtocolError, "upstream_protocol_error", 502, 14, "UPE", kUpstream, kForwarding, "The endpoint's answer is not valid HTTP.") \
  X(kUpstreamHeadersTooLarge, "upstream_headers_too_large", 502, 14, "UPE", kUpstream, kForwarding, "The answer's headers are larger than the limit.") \
  X(kUpstreamEarlyEnd, "upstream_early_end", 502, 14, "UC", kUpstream, kForwarding, "The endpoint closed in the middle of its answer.")   \
  X(kRouteTimeout, "route_timeout", 504, 4, "UT", kProxy, kForwarding, "The upstream did not answer within the route's timeout.")        \
  X(kPerTryTimeout, "per_try_timeout", 504, 4, "UT", kProxy, kForwarding, "The upstream did not answer within the time of one try.")     \
  X(kDeadlinePassed, "deadline_passed", 504, 4, "UT", kProxy, kBalancing, "The caller's deadline had passed before work on it began.")   \
  X(kRetryLimit, "retry_limit", 0, 14, "URX", kUpstream, kForwarding, "All tries failed.")                                               \
  X(kRequestTooLarge, "request_too_large", 413, 8, "", kProxy, kRequestBody, "The request's body is larger than the limit.")             \
  X(kDownstreamClosed, "downstream_closed", 499, 1, "DC", kDownstream, kForwarding, "The client closed the connection before the end.")  \
  X(kDownstreamReset, "downstream_reset", 499, 1, "DR", kDownstream, kForwarding, "The client reset the stream.")                        \
  X(kDownstreamProtocolError, "downstream_protocol_error", 400, 13, "DPE", kDownstream, kForwarding, "The client broke the protocol.")   \
  X(kWorkBudgetExceeded, "work_budget_exceeded", 0, 8, "DPE", kProxy, kForwarding, "The peer made more work than its connection may.")   \
  X(kDraining, "draining", 503, 14, "", kProxy, kRequestHead, "The proxy is shutting down.")                                             \
  X(kDrainTimeout, "drain_timeout", 503, 14, "", kProxy, kForwarding, "The proxy shut down before the exchange ended.")                  \
  X(kDownstreamConnectionLimit, "downstream_connection_limit", 0, 8, "", kProxy, kRequestHead, "The listener has its maximum of connections.") \
  X(kNoFilterChain, "no_filter_chain", 0, 14, "NR", kProxy, kRouting, "No filter chain of the listener takes this connection.")           \
  X(kDownstreamHandshakeFailed, "downstream_handshake_failed", 0, 14, "", kDownstream, kRequestHead, "The TLS handshake with the client failed.") \
  X(kAccessDenied, "access_denied", 403, 7, "", kProxy, kRouting, "No policy allows this, or one denies it.")                              \
  X(kTokenRefused, "token_refused", 401, 16, "", kProxy, kRouting, "The request's token is missing or not valid.")                        \
  X(kAuthorizationDenied, "authorization_denied", 403, 7, "UAEX", kProxy, kRouting, "The authorization service denied this request.")       \
  X(kAuthorizationFailed, "authorization_failed", 403, 7, "UAEX", kProxy, kRouting, "The authorization service did not say whether this request may pass.") \
  X(kAuthorizationInvalid, "authorization_invalid", 500, 13, "UAEX", kProxy, kRouting, "The authorization service asked for what nobody may do.")  \
  X(kFilterReply, "filter_reply", 0, 2, "", kProxy, kRouting, "A filter answered this request.")                                         \
  X(kInternal, "internal", 500, 13, "", kProxy, kForwarding, "The proxy failed.")
// clang-format on

enum class Party : uint8_t { kNobody, kProxy, kUpstream, kDownstream };
enum class Phase : uint8_t { kRequestHead, kRequestBody, kRouting, kBalancing, kConnecting, kForwarding, kDone };

enum class Cause : uint8_t {
#define X(id, name, status, grpc, flag, who, phase, sentence) id,
  WEFT_CAUSES(X)
#undef X
      kCount
};

struct CauseInfo {
  std::string_view name;
  uint16_t http_status;  // 0: the one who raises it says, or nothing is answered.
  int grpc_status;
  std::string_view response_flag;  // As in Envoy's %RESPONSE_FLAGS%; empty: Envoy has none.
  Party who;
  Phase phase;
  std::string_view sentence;
};
const CauseInfo& cause_info(Cause cause);
std::string_view party_name(Party party);
std::string_view phase_name(Phase phase);

}  // namespace weft::http
