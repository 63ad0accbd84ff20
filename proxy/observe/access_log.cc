#include "proxy/observe/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"

namespace weft::observe {
namespace {

// A worker's lines go to the writer in pieces of about this size.
constexpr size_t kHandOverBytes = 16 * 1024;
// What may wait for the disk, over all logs, before lines are dropped.
constexpr size_t kMaxQueuedBytes = 16 * 1024 * 1024;

// An open log file; the descriptor is replaced by reopen(). Used by the writer's thread but for reopen().
class LogFile {
 public:
  static absl::StatusOr<std::shared_ptr<LogFile>> open(const std::string& path) {
    auto file = std::make_shared<LogFile>();
    file->path_ = path;
    if (path == "/dev/stdout" || path == "/dev/stderr") {
      file->fd_ = path == "/dev/stdout" ? STDOUT_FILENO : STDERR_FILENO;
      file->standard_ = true;
      return file;
    }
    file->fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file->fd_ < 0) {
      return absl::InvalidArgumentError(absl::StrCat("access log ", path, " cannot be opened: ", strerror(errno)));
    }
    return file;
  }
  ~LogFile() {
    if (!standard_ && fd_ >= 0) ::close(fd_);
  }
  void write(std::string_view bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    while (!bytes.empty()) {
      ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;  // A full disk or a closed pipe: the log loses lines, requests go on.
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  void reopen() {
    if (standard_) return;
    int fd = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return;
    std::lock_guard<std::mutex> lock(mutex_);
    ::close(fd_);
    fd_ = fd;
  }

 private:
  std::mutex mutex_;
  std::string path_;
  int fd_ = -1;
  bool standard_ = false;
};

class WriterThread final : public LogWriter {
 public:
  WriterThread() : thread_([this] { run(); }) {}
  ~WriterThread() override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  // False if too much waits already.
  bool write(std::shared_ptr<LogFile> file, std::string bytes) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (queued_bytes_ + bytes.size() > kMaxQueuedBytes) return false;
      queued_bytes_ += bytes.size();
      queue_.emplace_back(std::move(file), std::move(bytes));
    }
    wake_.notify_one();
    return true;
  }
  void flush(int64_t timeout_ms) override {
    std::unique_lock<std::mutex> lock(mutex_);
    written_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return queue_.empty() && !writing_; });
  }

 private:
  void run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      auto [file, bytes] = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
      lock.unlock();
      file->write(bytes);
      file.reset();
      lock.lock();
      writing_ = false;
      queued_bytes_ -= bytes.size();
      if (queue_.empty()) written_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, written_;
  std::deque<std::pair<std::shared_ptr<LogFile>, std::string>> queue_;
  size_t queued_bytes_ = 0;
  bool stopping_ = false;
  bool writing_ = false;
  std::thread thread_;
};

struct CompiledField {
  std::string key;  // Rendered: "name":
  JsonField::Kind kind;
  std::string literal;
  std::optional<Format> format;
  std::vector<CompiledField> fields;
};

void append_json_string(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    } else if (byte >= 0x80) {
      // Header values may hold any byte; as Latin-1 the line stays valid UTF-8.
      out.push_back(static_cast<char>(0xc0 | (byte >> 6)));
      out.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

absl::StatusOr<std::vector<CompiledField>> compile_json(const std::vector<JsonField>& fields) {
  std::vector<CompiledField> compiled;
  for (const JsonField& field : fields) {
    CompiledField& to = compiled.emplace_back();
    append_json_string(field.name, to.key);
    to.key += ':';
    to.kind = field.kind;
    if (field.kind == JsonField::Kind::kLiteral) {
      to.literal = field.text;
    } else if (field.kind == JsonField::Kind::kFormat) {
      absl::StatusOr<Format> format = Format::compile(field.text);
      if (!format.ok()) return format.status();
      to.format = *std::move(format);
    } else {
      auto inner = compile_json(field.fields);
      if (!inner.ok()) return inner.status();
      to.fields = *std::move(inner);
    }
  }
  return compiled;
}

void render_json(const std::vector<CompiledField>& fields, const RequestRecord& record, bool omit_empty,
                 std::string& out) {
  out.push_back('{');
  bool first = true;
  std::string text;
  for (const CompiledField& field : fields) {
    size_t before = out.size();
    if (!first) out.push_back(',');
    out += field.key;
    if (field.kind == JsonField::Kind::kLiteral) {
      out += field.literal;
    } else if (field.kind == JsonField::Kind::kObject) {
      render_json(field.fields, record, omit_empty, out);
    } else {
      text.clear();
      bool present = true;
      if (field.format->is_single()) {
        present = field.format->render_value(record, text);
      } else {
        field.format->render(record, omit_empty, text);
      }
      if (!present && omit_empty) {
        out.resize(before);
        continue;
      }
      if (!present) {
        out += "null";
      } else if (field.format->is_number()) {
        out += text;
      } else {
        append_json_string(text, out);
      }
    }
    first = false;
  }
  out.push_back('}');
}

class FileAccessLog final : public AccessLog {
 public:
  FileAccessLog(const AccessLogConfig& config, std::optional<Format> format, std::vector<CompiledField> json,
                std::shared_ptr<LogFile> file, std::shared_ptr<WriterThread> writer, uint32_t workers)
      : omit_empty_(config.omit_empty_values),
        filter_(config.filter),
        format_(std::move(format)),
        json_(std::move(json)),
        file_(std::move(file)),
        writer_(std::move(writer)),
        buffers_(workers) {}

  void record(const RequestRecord& record, uint32_t worker) override {
    if (filter_ != nullptr && !filter_->passes(record)) return;
    std::string& buffer = buffers_[worker].lines;
    if (format_) {
      format_->render(record, omit_empty_, buffer);
    } else {
      render_json(json_, record, omit_empty_, buffer);
      buffer.push_back('\n');
    }
    ++buffers_[worker].count;
    if (buffer.size() >= kHandOverBytes) flush_worker(worker);
  }
  void flush_worker(uint32_t worker) override {
    Lines& lines = buffers_[worker];
    if (lines.lines.empty()) return;
    std::string bytes = std::move(lines.lines);
    lines.lines.clear();
    if (!writer_->write(file_, std::move(bytes))) dropped_.fetch_add(lines.count, std::memory_order_relaxed);
    lines.count = 0;
  }
  void reopen() override { file_->reopen(); }
  uint64_t dropped_lines() const override { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct alignas(64) Lines {
    std::string lines;
    uint64_t count = 0;
  };
  bool omit_empty_;
  std::shared_ptr<const LogFilter> filter_;
  std::optional<Format> format_;
  std::vector<CompiledField> json_;
  std::shared_ptr<LogFile> file_;
  std::shared_ptr<WriterThread> writer_;
  std::vector<Lines> buffers_;
  std::atomic<uint64_t> dropped_{0};
};

}  // namespace

std::shared_ptr<LogWriter> LogWriter::make() { return std::make_shared<WriterThread>(); }

absl::StatusOr<std::shared_ptr<AccessLog>> make_access_log(const AccessLogConfig& config, uint32_t workers,
                                                           std::shared_ptr<LogWriter> writer) {
  std::optional<Format> format;
  std::vector<CompiledField> json;
  if (config.json_format.empty()) {
    absl::StatusOr<Format> compiled =
        Format::compile(config.text_format.empty() ? kDefaultHttpFormat : std::string_view(config.text_format));
    if (!compiled.ok()) return compiled.status();
    format = *std::move(compiled);
  } else {
    auto compiled = compile_json(config.json_format);
    if (!compiled.ok()) return compiled.status();
    json = *std::move(compiled);
  }
  auto file = LogFile::open(config.path);
  if (!file.ok()) return file.status();
  return std::make_shared<FileAccessLog>(config, std::move(format), std::move(json), *std::move(file),
                                         std::static_pointer_cast<WriterThread>(std::move(writer)), workers);
}

}  // namespace weft::observe
