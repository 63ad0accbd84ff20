#include "proxy/codec/http1/head_writer.h"

#include <charconv>
#include <cstring>
#include <string>

#include "proxy/codec/http1/chars.h"

namespace weft::codec::http1 {
namespace {

using http::HeaderId;

// Writes into a buffer's own room when the head fits into it, else by way of a string.
class Writer {
 public:
  Writer(base::Buffer& output, size_t most_bytes) : output_(output) {
    if (most_bytes <= base::Block::kDataBytes) {
      at_ = start_ = output.reserve(most_bytes).data;
    } else {
      large_.resize(most_bytes);
      at_ = start_ = large_.data();
    }
  }
  void text(std::string_view bytes) {
    if (bytes.empty()) return;  // memcpy takes no null pointer, whatever the size.
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void number(uint64_t value) { at_ = std::to_chars(at_, at_ + 20, value).ptr; }
  void name(std::string_view bytes, Limits::NameCase name_case) {
    char* written = at_;
    text(bytes);
    if (name_case == Limits::NameCase::kPreserve) return;
    bool word_start = true;
    for (; written != at_; ++written) {
      char c = *written;
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
      if (name_case == Limits::NameCase::kProper && word_start && c >= 'a' && c <= 'z')
        c = static_cast<char>(c & ~0x20);
      word_start = c == '-';
      *written = c;
    }
  }
  void finish() {
    size_t size = static_cast<size_t>(at_ - start_);
    if (large_.empty()) {
      output_.commit(size);
    } else {
      output_.append(std::string_view(start_, size));
    }
  }

 private:
  base::Buffer& output_;
  std::string large_;
  char* start_;
  char* at_;
};

bool well_formed(const http::HeaderMap& headers) {
  for (const http::Header& header : headers) {
    if (header.id == HeaderId::kOther && !is_token(header.name)) return false;
    if (!is_field_value(header.value)) return false;
  }
  return true;
}

void write_length(Writer& writer, std::string_view name, uint64_t length, const Limits& limits) {
  writer.name(name, limits.name_case);
  writer.text(": ");
  writer.number(length);
  writer.text("\r\n");
}

// With `length`, content-length stands once, in the first one's place or at the end; without, not at all.
void write_fields(Writer& writer, const http::HeaderMap& headers, const Limits& limits, const uint64_t* length) {
  for (const http::Header& header : headers) {
    switch (header.id) {
      case HeaderId::kContentLength:
        if (length != nullptr) write_length(writer, header.name, *length, limits);
        length = nullptr;
        continue;
      case HeaderId::kTransferEncoding:
      case HeaderId::kConnection:
      case HeaderId::kHost:
      case HeaderId::kKeepAlive:
      case HeaderId::kProxyConnection:
      case HeaderId::kUpgrade:
        continue;
      default:
        break;
    }
    writer.name(header.name, limits.name_case);
    writer.text(": ");
    writer.text(header.value);
    writer.text("\r\n");
  }
  if (length != nullptr) write_length(writer, http::header_name(HeaderId::kContentLength), *length, limits);
}

// Room for what the writers add to the fields themselves: framing, connection, upgrade.
constexpr size_t kFixedBytes = 256;
size_t most_bytes(const http::HeaderMap& headers, size_t more) {
  return headers.byte_size() + headers.size() * 4 + more + kFixedBytes;
}

}  // namespace

bool write_response_head(const http::ResponseHead& response, const ResponseFraming& framing, const Limits& limits,
                         base::Buffer& output) {
  if (!well_formed(response.headers) || !is_field_value(response.reason) || !is_field_value(response.upgrade)) {
    return false;
  }
  std::string_view reason = response.reason.empty() ? http::reason_phrase(response.status) : response.reason;
  Writer writer(output, most_bytes(response.headers, reason.size() + response.upgrade.size()));
  writer.text("HTTP/1.1 ");
  writer.number(response.status);
  writer.text(" ");
  writer.text(reason);
  writer.text("\r\n");
  write_fields(writer, response.headers, limits, framing.write_length ? &response.content_length : nullptr);
  if (framing.body == BodyFraming::kChunked) {
    writer.name("transfer-encoding", limits.name_case);
    writer.text(": chunked\r\n");
  }
  using Connection = ResponseFraming::Connection;
  if (framing.connection == Connection::kUpgrade) {
    writer.name("upgrade", limits.name_case);
    writer.text(": ");
    writer.text(response.upgrade);
    writer.text("\r\n");
  }
  if (framing.connection != Connection::kSilent) {
    writer.name("connection", limits.name_case);
    writer.text(framing.connection == Connection::kClose       ? ": close\r\n"
                : framing.connection == Connection::kKeepAlive ? ": keep-alive\r\n"
                                                               : ": upgrade\r\n");
  }
  writer.text("\r\n");
  writer.finish();
  return true;
}

bool write_request_head(const http::RequestHead& request, BodyFraming body, const Limits& limits,
                        base::Buffer& output) {
  // RFC 8441's extended CONNECT is an Upgrade on HTTP/1.
  bool connect = request.method_id == http::Method::kConnect;
  bool extended_connect = connect && !request.upgrade.empty();
  std::string_view target = connect && !extended_connect ? request.authority : request.path;
  if (!well_formed(request.headers) || !is_token(request.method) || !is_target(target) ||
      !is_field_value(request.authority) || !is_field_value(request.upgrade)) {
    return false;
  }
  Writer writer(output, most_bytes(request.headers, request.method.size() + target.size() + request.authority.size() +
                                                        request.upgrade.size()));
  writer.text(extended_connect ? "GET" : request.method);
  writer.text(" ");
  writer.text(target);
  writer.text(" HTTP/1.1\r\n");
  writer.name("host", limits.name_case);
  writer.text(": ");
  writer.text(request.authority);
  writer.text("\r\n");
  uint64_t length = request.has_content_length ? request.content_length : 0;
  write_fields(writer, request.headers, limits, body == BodyFraming::kLength ? &length : nullptr);
  if (body == BodyFraming::kChunked) {
    writer.name("transfer-encoding", limits.name_case);
    writer.text(": chunked\r\n");
  }
  auto field = [&](std::string_view name, std::string_view value) {
    writer.name(name, limits.name_case);
    writer.text(": ");
    writer.text(value);
    writer.text("\r\n");
  };
  if (request.expects_continue) field("expect", "100-continue");
  if (!request.upgrade.empty()) {
    field("connection", "upgrade");
    field("upgrade", request.upgrade);
  } else if (request.accepts_trailers && limits.enable_trailers) {
    field("te", "trailers");
    field("connection", "te");
  }
  writer.text("\r\n");
  writer.finish();
  return true;
}

bool write_trailers(const http::HeaderMap& trailers, const Limits& limits, base::Buffer& output) {
  if (!well_formed(trailers)) return false;
  Writer writer(output, most_bytes(trailers, 0));
  writer.text(kLastChunk);
  write_fields(writer, trailers, limits, nullptr);
  writer.text("\r\n");
  writer.finish();
  return true;
}

void write_chunk(base::Buffer& data, base::Buffer& output) {
  char line[20];
  char* end = std::to_chars(line, line + 16, data.size(), 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  output.append(std::string_view(line, static_cast<size_t>(end - line)));
  output.move_from(data);
  output.append_static("\r\n");
}

}  // namespace weft::codec::http1
