#include "proxy/config/compile/protocol.h"

#include <list>

namespace weft::config {
namespace {

// RFC 9113, 6.9.1.
constexpr uint32_t kLeastWindowBytes = 65'535;
constexpr uint32_t kLargestWindowBytes = 2'147'483'647;

void window(Context& context, std::string_view path, uint32_t value, uint32_t& target) {
  if (value < kLeastWindowBytes || value > kLargestWindowBytes) {
    context.error(path, text::cat("expected 65535 to 2147483647 bytes, got ", value));
    return;
  }
  target = value;
}

// Limits hold a view; what it looks at lives as long as the process. Configurations are few.
std::string_view keep(const std::string& value) {
  static std::list<std::string> kept;
  for (const std::string& each : kept) {
    if (each == value) return each;
  }
  return kept.emplace_back(value);
}

constexpr std::string_view kStreamError = "override_stream_error_on_invalid_http_message";

}  // namespace

void refuse_stream_error(Context& context, std::string_view path) {
  context.unsupported(path, text::cat("true is not possible for HTTP/1: after a message that is not valid nobody knows "
                                      "where the next one begins, so the connection always ends; for HTTP/2 set "
                                      "http2_protocol_options.",
                                      kStreamError));
}

void compile_http1_options(Context& context, const core_v3::Http1ProtocolOptions& options, std::string_view path,
                           codec::Limits& limits) {
  limits.allow_absolute_form = WEFT_VALUE_OR(options, allow_absolute_url, true);
  limits.accept_http10 = options.accept_http_10();
  if (!options.default_host_for_http_10().empty()) {
    limits.default_host_for_http10 = keep(options.default_host_for_http_10());
  }
  limits.enable_trailers = options.enable_trailers();
  if (WEFT_VALUE_OR(options, override_stream_error_on_invalid_http_message, false)) {
    refuse_stream_error(context, field_path(path, kStreamError));
  }
  if (options.has_header_key_format()) {
    // preserve_case is what the codec does by itself; the table of what is supported admits no other formatter.
    bool proper = options.header_key_format().has_proper_case_words();
    limits.name_case = proper ? codec::Limits::NameCase::kProper : codec::Limits::NameCase::kPreserve;
  }
}

PingPolicy compile_http2_options(Context& context, const core_v3::Http2ProtocolOptions& options, std::string_view path,
                                 codec::Limits& limits) {
  if (options.has_hpack_table_size()) limits.h2_header_table_bytes = options.hpack_table_size().value();
  if (options.has_max_concurrent_streams()) {
    limits.h2_max_concurrent_streams = options.max_concurrent_streams().value();
    if (limits.h2_max_concurrent_streams == 0) {
      context.error(field_path(path, "max_concurrent_streams"), "expected at least 1");
    }
  }
  if (options.has_initial_stream_window_size()) {
    window(context, field_path(path, "initial_stream_window_size"), options.initial_stream_window_size().value(),
           limits.h2_initial_stream_window_bytes);
  }
  if (options.has_initial_connection_window_size()) {
    window(context, field_path(path, "initial_connection_window_size"),
           options.initial_connection_window_size().value(), limits.h2_initial_connection_window_bytes);
  }
  limits.h2_malformed_ends_connection = !WEFT_VALUE_OR(options, override_stream_error_on_invalid_http_message,
                                                       options.stream_error_on_invalid_http_messaging());
  PingPolicy ping;
  if (options.has_connection_keepalive()) {
    ping.interval_ms = to_ms(options.connection_keepalive().interval());
    ping.timeout_ms = to_ms(options.connection_keepalive().timeout());
    if (ping.timeout_ms <= 0) {
      context.error(field_path(field_path(path, "connection_keepalive"), "timeout"), "expected more than zero");
    }
  }
  return ping;
}

}  // namespace weft::config
