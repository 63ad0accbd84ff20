#include "proxy/filter/ext_authz/check.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/observe/format.h"

namespace weft::filter {
namespace {

constexpr std::string_view kPath = "/envoy.service.auth.v3.Authorization/Check";
// gRPC over HTTP/2, "Timeout": at most eight digits.
constexpr int64_t kMostTimeoutMs = 99'999'999;

std::string_view rendered(const route::HeaderValue& header, const observe::RequestRecord& record, base::Arena& arena) {
  return header.format == nullptr ? std::string_view(header.value) : header.format->render(record, arena);
}

// In place of those that have the name.
void set_headers(const AuthzService& service, const observe::RequestRecord& record, base::Arena& arena,
                 std::vector<std::pair<std::string, std::string>>* headers) {
  for (const route::HeaderValue& each : service.headers) {
    std::string_view value = rendered(each, record, arena);
    if (value.empty()) continue;
    std::erase_if(*headers, [&](const auto& header) { return header.first == each.name; });
    headers->emplace_back(each.name, value);
  }
}

}  // namespace

Check::Check(pool::WorkerContext& context, const AuthzService& service, const Question& question,
             const observe::RequestRecord& record, base::Arena& arena, Events& events)
    : context_(context),
      service_(service),
      arena_(arena),
      events_(events),
      timer_(context.loop.timers(), base::bind<&Check::on_timeout>(this)) {
  if (service.kind == AuthzService::Kind::kHttp) {
    ask_over_http(question, record);
  } else {
    ask_over_grpc(question, record);
  }
}

Check::~Check() {
  if (call_ != nullptr) call_->cancel();
  if (stream_ != nullptr) stream_->cancel();
}

void Check::ask_over_http(const Question& question, const observe::RequestRecord& record) {
  call::HttpRequest request = to_http_request(question, service_);
  if (request.path.empty()) {
    failed_at_once_ = "a request without a path cannot be asked about over HTTP";
    timer_.arm(0);
    return;
  }
  set_headers(service_, record, arena_, &request.headers);
  call_ = call::HttpCall::start(context_, std::move(request), *this);
}

void Check::ask_over_grpc(const Question& question, const observe::RequestRecord& record) {
  pool::WorkerCluster* upstream = context_.upstreams.find(service_.cluster);
  if (upstream == nullptr) {
    failed_at_once_ = "there is no such cluster";
    timer_.arm(0);
    return;
  }
  call::GrpcCall call;
  call.path = kPath;
  call.authority = service_.authority;
  call.max_message_bytes = service_.max_message_bytes;
  if (service_.timeout_ms != 0 && service_.timeout_ms <= kMostTimeoutMs) {
    call.metadata.emplace_back("grpc-timeout", absl::StrCat(service_.timeout_ms, "m"));
  }
  set_headers(service_, record, arena_, &call.metadata);
  message_ = write_check_request(question);
  if (service_.timeout_ms != 0) timer_.arm(service_.timeout_ms);
  stream_ = call::GrpcStream::start(context_, upstream->cluster().shared_from_this(), call, *this);
}

void Check::tell(Answer answer) {
  timer_.disarm();
  events_.on_answer(std::move(answer));
}

void Check::tell_read(Answer answer) {
  if (!answer.reason.empty()) answer.reason = absl::StrCat("cluster ", service_.cluster, ": ", answer.reason);
  tell(std::move(answer));
}

void Check::on_timeout() {
  if (!failed_at_once_.empty()) return tell_failed(failed_at_once_);
  std::exchange(stream_, nullptr)->cancel();
  tell_failed(absl::StrCat("no answer came within ", service_.timeout_ms, " ms"));
}

void Check::on_call_answer(const call::HttpAnswer& answer) {
  call_ = nullptr;
  tell_read(read_http_answer(service_, answer.head, answer.body, arena_));
}

void Check::on_call_failed(std::string_view reason) {
  call_ = nullptr;
  tell(Answer::failed(reason));
}

void Check::on_grpc_message(std::string_view message) {
  if (std::exchange(answered_, true)) {
    std::exchange(stream_, nullptr)->cancel();
    return tell_failed("the service answered more than once");
  }
  message_ = message;
}

void Check::on_grpc_end(const call::GrpcEnd& end) {
  stream_ = nullptr;
  if (end.status != 0) return tell_failed(end.reason);
  if (!answered_) return tell_failed("the service ended the call without an answer");
  tell_read(read_check_response(message_, arena_));
}

}  // namespace weft::filter
