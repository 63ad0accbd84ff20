#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/observe/metrics.h"

// The proxy's metrics, under Envoy's names where Envoy has them ("Statistics" pages of its documentation). A struct a
// family; add a line and the metric is counted, merged and exposed.

namespace weft::observe {

// Envoy groups some metrics by a dot, which a member's name cannot have: outlier_detection.ejections_active.
inline std::string exposed_name(std::string_view name) {
  for (std::string_view group :
       {"outlier_detection", "health_check", "ssl", "cors", "client_ssl_socket_factory", "server_ssl_socket_factory"}) {
    if (name.size() > group.size() && name.starts_with(group) && name[group.size()] == '_') {
      return std::string(group) + "." + std::string(name.substr(group.size() + 1));
    }
  }
  return std::string(name);
}

#define WEFT_DECLARE_METRIC(type, name) ::weft::observe::type name;
#define WEFT_VISIT_METRIC(type, name) f(::weft::observe::exposed_name(#name), &Self::name);
#define WEFT_STATS(Name, METRICS) \
  struct Name {                   \
    using Self = Name;            \
    METRICS(WEFT_DECLARE_METRIC)  \
    template <typename F>         \
    static void for_each(F f) {   \
      METRICS(WEFT_VISIT_METRIC)  \
    }                             \
  };

// Prefix "cluster.NAME."
#define WEFT_CLUSTER_METRICS(X)                                                     \
  X(Counter, upstream_cx_total)                                                     \
  X(Gauge, upstream_cx_active)                                                      \
  X(Counter, upstream_cx_http1_total)                                               \
  X(Counter, upstream_cx_http2_total)                                               \
  X(Counter, upstream_cx_connect_fail)                                              \
  X(Counter, upstream_cx_connect_timeout)                                           \
  X(Counter, upstream_cx_idle_timeout)                                              \
  X(Counter, upstream_cx_overflow)                                                  \
  X(Counter, upstream_cx_destroy)                                                   \
  X(Counter, upstream_cx_destroy_local)                                             \
  X(Counter, upstream_cx_destroy_remote)                                            \
  X(Counter, upstream_cx_close_notify)                                              \
  X(Counter, upstream_cx_protocol_error)                                            \
  X(Counter, upstream_cx_max_requests)                                              \
  X(Counter, upstream_cx_none_healthy)                                              \
  X(Counter, upstream_cx_rx_bytes_total)                                            \
  X(Counter, upstream_cx_tx_bytes_total)                                            \
  X(Histogram, upstream_cx_connect_ms)                                              \
  X(Histogram, upstream_cx_length_ms)                                               \
  X(Counter, upstream_rq_total)                                                     \
  X(Gauge, upstream_rq_active)                                                      \
  X(Gauge, upstream_rq_pending_active)                                              \
  X(Counter, upstream_rq_pending_total)                                             \
  X(Counter, upstream_rq_pending_overflow)                                          \
  X(Counter, upstream_rq_pending_failure_eject)                                     \
  X(Counter, upstream_rq_cancelled)                                                 \
  X(Counter, upstream_rq_maintenance_mode)                                          \
  X(Counter, upstream_rq_timeout)                                                   \
  X(Counter, upstream_rq_max_duration_reached)                                      \
  X(Counter, upstream_rq_per_try_timeout)                                           \
  X(Counter, upstream_rq_rx_reset)                                                  \
  X(Counter, upstream_rq_tx_reset)                                                  \
  X(Counter, upstream_rq_retry)                                                     \
  X(Counter, upstream_rq_retry_success)                                             \
  X(Counter, upstream_rq_retry_overflow)                                            \
  X(Counter, upstream_rq_retry_limit_exceeded)                                      \
  X(Counter, upstream_rq_retry_backoff_exponential)                                 \
  X(Counter, upstream_rq_retry_stale_connection)                                    \
  X(Counter, upstream_rq_completed)                                                 \
  X(Counter, upstream_rq_1xx)                                                       \
  X(Counter, upstream_rq_2xx)                                                       \
  X(Counter, upstream_rq_3xx)                                                       \
  X(Counter, upstream_rq_4xx)                                                       \
  X(Counter, upstream_rq_5xx)                                                       \
  X(StatusCounters, upstream_rq_)                                                   \
  X(Histogram, upstream_rq_time)                                                    \
  X(Counter, upstream_flow_control_paused_reading_total)                            \
  X(Counter, upstream_flow_control_resumed_reading_total)                           \
  X(Counter, ssl_handshake)                                                         \
  X(Counter, ssl_connection_error)                                                  \
  X(Counter, ssl_session_reused)                                                    \
  X(Counter, ssl_fail_verify_error)                                                 \
  X(Counter, ssl_fail_verify_san)                                                   \
  X(Counter, client_ssl_socket_factory_ssl_context_update_by_sds)                   \
  X(Counter, client_ssl_socket_factory_upstream_context_secrets_not_ready)          \
  X(Gauge, membership_total)                                                        \
  X(Gauge, membership_healthy)                                                      \
  X(Gauge, membership_excluded)                                                     \
  X(Gauge, membership_degraded)                                                     \
  X(Counter, membership_change)                                                     \
  X(Counter, update_attempt)                                                        \
  X(Counter, update_success)                                                        \
  X(Counter, update_failure)                                                        \
  X(Counter, update_rejected)                                                       \
  X(Counter, update_empty)                                                          \
  X(Counter, update_no_rebuild)                                                     \
  X(Counter, lb_healthy_panic)                                                      \
  X(Gauge, max_host_weight)                                                         \
  X(Counter, retry_or_shadow_abandoned)                                             \
  X(Counter, outlier_detection_ejections_total)                                     \
  X(Counter, outlier_detection_ejections_enforced_total)                            \
  X(Counter, outlier_detection_ejections_overflow)                                  \
  X(Counter, outlier_detection_ejections_consecutive_5xx)                           \
  X(Counter, outlier_detection_ejections_detected_consecutive_5xx)                  \
  X(Counter, outlier_detection_ejections_detected_consecutive_gateway_failure)      \
  X(Counter, outlier_detection_ejections_detected_consecutive_local_origin_failure) \
  X(Gauge, outlier_detection_ejections_active)                                      \
  X(Counter, health_check_attempt)                                                  \
  X(Counter, health_check_success)                                                  \
  X(Counter, health_check_failure)                                                  \
  X(Counter, health_check_network_failure)                                          \
  X(Counter, health_check_passive_failure)                                          \
  X(Gauge, health_check_healthy)
WEFT_STATS(ClusterStats, WEFT_CLUSTER_METRICS)

// An answer that a request to the cluster had.
inline void count_answer(ClusterStats& stats, uint16_t status) {
  stats.upstream_rq_completed.add();
  stats.upstream_rq_.add(status);
  switch (status / 100) {
    case 1:
      return stats.upstream_rq_1xx.add();
    case 2:
      return stats.upstream_rq_2xx.add();
    case 3:
      return stats.upstream_rq_3xx.add();
    case 4:
      return stats.upstream_rq_4xx.add();
    case 5:
      return stats.upstream_rq_5xx.add();
    default:
      return;
  }
}

// Prefix "cluster_manager."
#define WEFT_CLUSTER_MANAGER_METRICS(X) \
  X(Gauge, active_clusters)             \
  X(Gauge, warming_clusters)            \
  X(Counter, cluster_added)             \
  X(Counter, cluster_modified)          \
  X(Counter, cluster_removed)
WEFT_STATS(ClusterManagerStats, WEFT_CLUSTER_MANAGER_METRICS)

// Prefix "listener_manager."
#define WEFT_LISTENER_MANAGER_METRICS(X) \
  X(Counter, listener_added)             \
  X(Counter, listener_modified)          \
  X(Counter, listener_in_place_updated)  \
  X(Counter, listener_removed)           \
  X(Counter, listener_stopped)           \
  X(Counter, listener_create_success)    \
  X(Counter, listener_create_failure)    \
  X(Gauge, total_listeners_active)       \
  X(Gauge, total_listeners_warming)      \
  X(Gauge, total_listeners_draining)     \
  X(Gauge, total_filter_chains_draining) \
  X(Gauge, workers_started)
WEFT_STATS(ListenerManagerStats, WEFT_LISTENER_MANAGER_METRICS)

// Of the resources of one type. Prefix "cluster_manager.cds." and the like. update_time: when the last update was
// taken, milliseconds since 1970; version: a hash of its text.
#define WEFT_UPDATE_METRICS(X)   \
  X(Counter, update_attempt)     \
  X(Counter, update_success)     \
  X(Counter, update_rejected)    \
  X(Counter, init_fetch_timeout) \
  X(Counter, config_reload)      \
  X(Gauge, update_time)          \
  X(Gauge, version)
WEFT_STATS(UpdateStats, WEFT_UPDATE_METRICS)

// Of configuration kept on disk. Prefix "keep_config."
#define WEFT_KEPT_CONFIG_METRICS(X) \
  X(Counter, writes)                \
  X(Counter, write_failures)        \
  X(Counter, refused_files)         \
  X(Gauge, restored_resources)
WEFT_STATS(KeptConfigStats, WEFT_KEPT_CONFIG_METRICS)

// Of one secret that comes while the process runs. Prefix "sds.NAME."
#define WEFT_SECRET_METRICS(X)   \
  X(Counter, update_attempt)     \
  X(Counter, update_success)     \
  X(Counter, update_rejected)    \
  X(Counter, init_fetch_timeout) \
  X(Counter, key_rotation_failed)
WEFT_STATS(SecretStats, WEFT_SECRET_METRICS)

// Prefix "http.STAT_PREFIX."
#define WEFT_HTTP_METRICS(X)                                \
  X(Counter, downstream_cx_total)                           \
  X(Gauge, downstream_cx_active)                            \
  X(Counter, downstream_cx_ssl_total)                       \
  X(Gauge, downstream_cx_ssl_active)                        \
  X(Counter, downstream_cx_http1_total)                     \
  X(Gauge, downstream_cx_http1_active)                      \
  X(Counter, downstream_cx_http2_total)                     \
  X(Gauge, downstream_cx_http2_active)                      \
  X(Counter, downstream_cx_upgrades_total)                  \
  X(Gauge, downstream_cx_upgrades_active)                   \
  X(Counter, downstream_cx_protocol_error)                  \
  X(Counter, downstream_cx_destroy)                         \
  X(Counter, downstream_cx_destroy_local)                   \
  X(Counter, downstream_cx_destroy_remote)                  \
  X(Counter, downstream_cx_destroy_active_rq)               \
  X(Counter, downstream_cx_drain_close)                     \
  X(Counter, downstream_cx_idle_timeout)                    \
  X(Counter, downstream_cx_max_duration_reached)            \
  X(Counter, downstream_cx_max_requests_reached)            \
  X(Counter, downstream_cx_rx_bytes_total)                  \
  X(Counter, downstream_cx_tx_bytes_total)                  \
  X(Histogram, downstream_cx_length_ms)                     \
  X(Counter, downstream_flow_control_paused_reading_total)  \
  X(Counter, downstream_flow_control_resumed_reading_total) \
  X(Counter, downstream_rq_total)                           \
  X(Gauge, downstream_rq_active)                            \
  X(Counter, downstream_rq_http1_total)                     \
  X(Counter, downstream_rq_http2_total)                     \
  X(Counter, downstream_rq_completed)                       \
  X(Counter, downstream_rq_1xx)                             \
  X(Counter, downstream_rq_2xx)                             \
  X(Counter, downstream_rq_3xx)                             \
  X(Counter, downstream_rq_4xx)                             \
  X(Counter, downstream_rq_5xx)                             \
  X(Counter, downstream_rq_rx_reset)                        \
  X(Counter, downstream_rq_tx_reset)                        \
  X(Counter, downstream_rq_header_timeout)                  \
  X(Counter, downstream_rq_timeout)                         \
  X(Counter, downstream_rq_idle_timeout)                    \
  X(Counter, downstream_rq_max_duration_reached)            \
  X(Counter, downstream_rq_too_large)                       \
  X(Counter, downstream_rq_response_before_rq_complete)     \
  X(Counter, downstream_rq_redirected_with_normalized_path) \
  X(Counter, downstream_rq_failed_path_normalization)       \
  X(Counter, downstream_rq_non_relative_path)               \
  X(Counter, downstream_rq_ws_on_non_ws_route)              \
  X(Histogram, downstream_rq_time)                          \
  X(Counter, no_route)                                      \
  X(Counter, no_cluster)                                    \
  X(Counter, rq_direct_response)                            \
  X(Counter, rq_redirect)                                   \
  X(Counter, rq_reset_after_downstream_response_started)    \
  X(Counter, rq_total)                                      \
  X(Counter, rq_retry_skipped_request_not_complete)         \
  X(Counter, cors_origin_valid)                             \
  X(Counter, cors_origin_invalid)
WEFT_STATS(HttpStats, WEFT_HTTP_METRICS)

// Prefix "listener.ADDRESS."
#define WEFT_LISTENER_METRICS(X)                                  \
  X(Counter, downstream_cx_total)                                 \
  X(Gauge, downstream_cx_active)                                  \
  X(Counter, downstream_cx_destroy)                               \
  X(Counter, downstream_cx_overflow)                              \
  X(Counter, downstream_global_cx_overflow)                       \
  X(Counter, downstream_cx_transport_socket_connect_timeout)      \
  X(Counter, downstream_pre_cx_timeout)                           \
  X(Gauge, downstream_pre_cx_active)                              \
  X(Counter, downstream_listener_filter_error)                    \
  X(Counter, downstream_listener_filter_remote_close)             \
  X(Counter, no_filter_chain_match)                               \
  X(Histogram, downstream_cx_length_ms)                           \
  X(Counter, ssl_handshake)                                       \
  X(Counter, ssl_connection_error)                                \
  X(Counter, ssl_session_reused)                                  \
  X(Counter, ssl_no_certificate)                                  \
  X(Counter, ssl_fail_verify_no_cert)                             \
  X(Counter, ssl_fail_verify_error)                               \
  X(Counter, ssl_fail_verify_san)                                 \
  X(Counter, server_ssl_socket_factory_ssl_context_update_by_sds) \
  X(Counter, server_ssl_socket_factory_downstream_context_secrets_not_ready)
WEFT_STATS(ListenerStats, WEFT_LISTENER_METRICS)

// Prefix "tcp.STAT_PREFIX."
#define WEFT_TCP_METRICS(X)                                 \
  X(Counter, downstream_cx_total)                           \
  X(Gauge, downstream_cx_active)                            \
  X(Counter, downstream_cx_no_route)                        \
  X(Counter, downstream_cx_rx_bytes_total)                  \
  X(Counter, downstream_cx_tx_bytes_total)                  \
  X(Counter, downstream_flow_control_paused_reading_total)  \
  X(Counter, downstream_flow_control_resumed_reading_total) \
  X(Counter, idle_timeout)                                  \
  X(Counter, max_downstream_connection_duration)            \
  X(Counter, early_data_received_count_total)               \
  X(Gauge, upstream_flush_active)                           \
  X(Counter, upstream_flush_total)
WEFT_STATS(TcpStats, WEFT_TCP_METRICS)

// Prefix "control_plane."
#define WEFT_CONTROL_PLANE_METRICS(X) \
  X(Gauge, connected_state)           \
  X(Gauge, pending_requests)          \
  X(Counter, rate_limit_enforced)
WEFT_STATS(ControlPlaneStats, WEFT_CONTROL_PLANE_METRICS)

}  // namespace weft::observe
