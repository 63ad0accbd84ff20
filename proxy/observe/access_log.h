#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/observe/format.h"
#include "proxy/observe/request_record.h"

// A configured access log: told of every finished exchange, on the worker's thread, and never blocks it. A line is
// rendered into the worker's own buffer; full or aged buffers go to one writer thread. When the disk cannot keep up,
// lines beyond a bound are dropped and counted, never waited for.

namespace weft::observe {

class AccessLog {
 public:
  virtual ~AccessLog() = default;
  virtual void record(const RequestRecord& record, uint32_t worker) = 0;
  // Hands the worker's buffered lines to the writer. On the worker's thread, a few times a second and before it ends.
  virtual void flush_worker(uint32_t worker) = 0;
  // Opens the file anew (SIGHUP). Any thread.
  virtual void reopen() = 0;
  // Lines that were dropped because the writer was behind.
  virtual uint64_t dropped_lines() const = 0;
};

// Says which exchanges and connections a log is told of. Immutable; any thread.
class LogFilter {
 public:
  virtual ~LogFilter() = default;
  virtual bool passes(const RequestRecord& record) const = 0;
};

// One entry of a JSON log: a text with operators, a literal that is no text ("3", "true", "null"), or an object.
struct JsonField {
  std::string name;
  enum class Kind : uint8_t { kFormat, kLiteral, kObject } kind = Kind::kFormat;
  std::string text;
  std::vector<JsonField> fields;
};

struct AccessLogConfig {
  std::string path;         // A file, or "/dev/stdout", "/dev/stderr".
  std::string text_format;  // Empty, and no JSON: Envoy's default line.
  std::vector<JsonField> json_format;
  bool omit_empty_values = false;
  std::shared_ptr<const LogFilter> filter;  // Null: all are logged.
};

// Writes for all access logs of a process, on a thread of its own. Ends when the last log does.
class LogWriter {
 public:
  static std::shared_ptr<LogWriter> make();
  virtual ~LogWriter() = default;
  // Waits until all that was handed over is written, at most `timeout_ms`. Any thread but the writer's.
  virtual void flush(int64_t timeout_ms) = 0;
};

// Errors: an unknown operator; a file that cannot be opened.
absl::StatusOr<std::shared_ptr<AccessLog>> make_access_log(const AccessLogConfig& config, uint32_t workers,
                                                           std::shared_ptr<LogWriter> writer);

}  // namespace weft::observe
