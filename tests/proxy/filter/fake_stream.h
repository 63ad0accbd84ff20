#pragma once

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "proxy/filter/filter.h"

// The exchange of a filter under test: keeps what the filter asked of it.

namespace weft::filter {

class FakeStream final : public FilterStream {
 public:
  explicit FakeStream(const route::Route* route) : route_(route), head_(arena_) {}
  base::Arena& arena() override { return arena_; }
  http::RequestHead& request_head() override { return head_; }
  const route::Route* route() override { return route_; }
  const observe::RequestRecord& record() override { return record_; }
  base::Random& random() override { return random_; }
  const transport::ConnectionInfo& connection() override { return connection_info; }
  http::Metadata& metadata() override { return metadata_; }
  uint32_t worker() override { return 0; }
  pool::WorkerContext& context() override {
    if (worker_context == nullptr) std::abort();
    return *worker_context;
  }
  const base::Buffer& held_body() override { return held; }
  bool request_ended() override { return ended; }
  void want_body(uint64_t bytes) override { wanted_body_bytes = bytes; }
  std::string peer_certificate_pem() override { return certificate; }
  void refresh_route() override { ++route_refreshes; }
  observe::HttpStats& stats() override { return stats_; }
  void resume() override { ++resumes; }
  void reply(const http::ResponseHead& head, std::string_view text, http::Cause why, std::string_view words) override {
    ++replies;
    status = head.status;
    for (const http::Header& each : head.headers) headers_[std::string(each.name)] = each.value;
    body = text;
    cause = why;
    detail = words;
  }

  // Of the last reply; empty if it has none.
  std::string header(http::HeaderId id) {
    auto found = headers_.find(std::string(http::header_name(id)));
    return found == headers_.end() ? std::string() : found->second;
  }

  transport::ConnectionInfo connection_info;
  pool::WorkerContext* worker_context = nullptr;  // For filters that ask others.
  base::Buffer held;
  bool ended = false;
  uint64_t wanted_body_bytes = 0;
  std::string certificate;
  int replies = 0;
  int resumes = 0;
  int route_refreshes = 0;
  int status = 0;
  std::string body;
  http::Cause cause = http::Cause::kNone;
  std::string detail;

 private:
  base::Arena arena_;
  const route::Route* route_;
  http::RequestHead head_;
  observe::RequestRecord record_;
  base::Random random_{1};
  http::Metadata metadata_;
  observe::HttpStats stats_;
  std::map<std::string, std::string> headers_;
};

}  // namespace weft::filter
