#pragma once

#include "proxy/observe/request_record.h"

// A configured access log: told of every finished exchange, on the worker's thread, and never blocks it.

namespace weft::observe {

class AccessLog {
 public:
  virtual ~AccessLog() = default;
  // Renders one line now, if the log's filter wants it; the line is written later, by the log's own thread.
  virtual void record(const RequestRecord& record, uint32_t worker) = 0;
  // Opens the file anew (SIGHUP). Any thread.
  virtual void reopen() = 0;
  // Waits until all that was recorded is written, at most `timeout_ms`. Any thread.
  virtual void flush(int64_t timeout_ms) = 0;
};

// Expands Envoy's command operators ("%REQ(:path)% %RESPONSE_CODE%") in header values; the text lives in `arena`.
// `format` was checked when it was configured.
std::string_view expand_operators(std::string_view format, const RequestRecord& record, base::Arena& arena);

}  // namespace weft::observe
