// The answer's half of an exchange: the upstream's answer on its way downstream, and the proxy's own answers.

#include <array>
#include <charconv>

#include "proxy/observe/access_log.h"
#include "proxy/observe/format.h"
#include "proxy/route/rewrite.h"
#include "proxy/stream/exchange.h"

namespace weft::stream {
namespace {

using http::Cause;
using http::HeaderId;

void apply(const route::HeaderMutations& mutations, http::HeaderMap& headers, const observe::RequestRecord& record) {
  if (mutations.empty()) return;
  for (const std::string& name : mutations.remove) headers.remove(name);
  for (const route::HeaderValue& each : mutations.add) {
    std::string_view value = each.format != nullptr ? each.format->render(record, headers.arena()) : each.value;
    if (value.empty() && !each.keep_empty) continue;
    using Action = route::HeaderValue::Action;
    bool present = headers.find(each.name) != nullptr;
    switch (each.action) {
      case Action::kAppend:
        headers.add(each.name, value);
        break;
      case Action::kAddIfAbsent:
        if (!present) headers.add(each.name, value);
        break;
      case Action::kOverwrite:
        headers.set(each.name, value);
        break;
      case Action::kOverwriteIfExists:
        if (present) headers.set(each.name, value);
        break;
    }
  }
}

// `levels` from the most to the least specific, null where there is none; the last one applied has the last word.
void apply_all(const std::array<const route::HeaderMutations*, 4>& levels, bool most_specific_wins,
               http::HeaderMap& headers, const observe::RequestRecord& record) {
  for (size_t i = 0; i < levels.size(); ++i) {
    const route::HeaderMutations* each = levels[most_specific_wins ? levels.size() - 1 - i : i];
    if (each != nullptr) apply(*each, headers, record);
  }
}

// gRPC over HTTP/2, "Percent-Encoded": what a grpc-message may hold.
std::string_view percent_encode(std::string_view text, base::Arena& arena) {
  constexpr char kHex[] = "0123456789ABCDEF";
  char* out = static_cast<char*>(arena.allocate(text.size() * 3, 1));
  size_t size = 0;
  for (char c : text) {
    if (c >= 0x20 && c < 0x7f && c != '%') {
      out[size++] = c;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    out[size++] = '%';
    out[size++] = kHex[byte >> 4];
    out[size++] = kHex[byte & 15];
  }
  return {out, size};
}

void count_answer(observe::HttpStats& stats, uint16_t status) {
  stats.downstream_rq_completed.add();
  switch (status / 100) {
    case 1:
      return stats.downstream_rq_1xx.add();
    case 2:
      return stats.downstream_rq_2xx.add();
    case 3:
      return stats.downstream_rq_3xx.add();
    case 4:
      return stats.downstream_rq_4xx.add();
    case 5:
      return stats.downstream_rq_5xx.add();
    default:
      return;
  }
}

}  // namespace

void Exchange::apply_request_mutations(const route::WeightedCluster& destination) {
  http::RequestHead& request = state_->request;
  const route::ClusterAction& action = *route_->forward;
  record_.upstream_cluster = destination.name;
  const route::VirtualHost* virtual_host = route_->virtual_host;
  apply_all({&destination.request_headers, &route_->request_headers,
             virtual_host == nullptr ? nullptr : &virtual_host->request_headers, &routes_->options().request_headers},
            routes_->options().most_specific_header_mutations_wins, request.headers, record_);

  std::string_view host = destination.host_rewrite;
  if (host.empty()) host = action.host_rewrite_literal;
  if (host.empty() && !action.host_rewrite_header.empty()) {
    if (const http::Header* named = request.headers.find(action.host_rewrite_header)) host = named->value;
  }
  if (!host.empty() && host != request.authority) {
    if (action.append_x_forwarded_host) request.headers.set(HeaderId::kXForwardedHost, request.authority);
    request.authority = host;
  }
  if (action.has_prefix_rewrite || action.regex_rewrite != nullptr) {
    std::string_view rewritten = route::rewrite_path(*route_, request, arena_);
    if (!connection_->http().suppress_envoy_headers) request.headers.set(HeaderId::kXEnvoyOriginalPath, request.path);
    request.path = rewritten;
  }
}

void Exchange::apply_response_mutations(http::ResponseHead& head) {
  if (route_ == nullptr) return;
  const route::VirtualHost* virtual_host = route_->virtual_host;
  apply_all({destination_ == nullptr ? nullptr : &destination_->response_headers, &route_->response_headers,
             virtual_host == nullptr ? nullptr : &virtual_host->response_headers, &routes_->options().response_headers},
            routes_->options().most_specific_header_mutations_wins, head.headers, record_);
}

void Exchange::prepare_answer(http::ResponseHead& head) {
  const auto& http = connection_->http();
  using Server = snapshot::ServerHeader;
  bool has_server = head.headers.has(HeaderId::kServer);
  if (http.server_header == Server::kOverwrite) {
    if (has_server) {
      head.headers.set(HeaderId::kServer, http.server_name);
    } else {
      head.headers.add_static(HeaderId::kServer, http.server_name);
    }
  } else if (http.server_header == Server::kAppendIfAbsent && !has_server) {
    head.headers.add_static(HeaderId::kServer, http.server_name);
  }
  if (!head.headers.has(HeaderId::kDate)) head.headers.add(HeaderId::kDate, worker_.date());
  if (!http.via.empty()) head.headers.add_static(HeaderId::kVia, http.via);
  if (http.always_set_request_id_in_response && state_->request.headers.has(HeaderId::kXRequestId)) {
    head.headers.set(HeaderId::kXRequestId, state_->request.headers.value(HeaderId::kXRequestId));
  }
}

void Exchange::send_head(http::ResponseHead& head, bool end) {
  // As in Envoy, an answer that has begun shows that the request was no slow loris's; a tunnel's never ends anyway.
  request_timer_.disarm();
  for (size_t i = filter_count_; i > 0; --i) filters_[i - 1]->on_response_head(head, end);
  record_.status = head.status;
  record_.response_head_bytes = head.headers.byte_size();
  record_.downstream_first_sent_ns = worker_.context().loop.now_ns();
  count_answer(connection_->stats(), head.status);
  if (&head != &state_->response) state_->response = head;
  sent_head_ = &state_->response;
  handle_->send_head(head, end);
  connection_->schedule_flush();
  if (end) note_sent_end();
}

bool Exchange::in_tunnel() const { return state_->request.opens_tunnel(record_.status); }

void Exchange::note_sent_end() {
  if (phase_ == State::kAnswering || phase_ == State::kReplying) step(Event::kAnswerEnd);
  if (!request_ended_) connection_->stats().downstream_rq_response_before_rq_complete.add();
}

void Exchange::on_forward_informational(http::ResponseHead& head) {
  if (handle_ == nullptr || (head.status == 100 && !connection_->http().proxy_100_continue)) return;
  touch();
  handle_->send_informational(head);
  connection_->schedule_flush();
}

void Exchange::on_forward_head(http::ResponseHead& head, bool end) {
  if (handle_ == nullptr) return;
  touch();
  step(Event::kAnswerHead);
  const auto& http = connection_->http();
  if (!http.suppress_envoy_headers) {
    int64_t ms = (record_.upstream_first_received_ns - record_.upstream_first_sent_ns) / 1'000'000;
    char text[24];
    char* text_end = std::to_chars(text, text + sizeof(text), ms).ptr;
    head.headers.set(HeaderId::kXEnvoyUpstreamServiceTime, {text, static_cast<size_t>(text_end - text)});
  }
  if (route_->virtual_host != nullptr && route_->virtual_host->include_attempt_count_in_response) {
    char text[12];
    char* text_end = std::to_chars(text, text + sizeof(text), record_.attempts).ptr;
    head.headers.set(HeaderId::kXEnvoyAttemptCount, {text, static_cast<size_t>(text_end - text)});
  }
  for (std::string_view cookie : new_cookies_) head.headers.add(HeaderId::kSetCookie, cookie);
  apply_response_mutations(head);
  prepare_answer(head);
  if (head.status == 101) duration_timer_.disarm();
  send_head(head, end);
}

void Exchange::on_forward_body(base::Buffer& data, bool end) {
  if (handle_ == nullptr || phase_ != State::kAnswering) {
    data.clear();
    return;
  }
  touch();
  record_.response_body_bytes += data.size();
  for (size_t i = filter_count_; i > 0; --i) filters_[i - 1]->on_response_body(data, end);
  handle_->send_body(data, end);
  connection_->schedule_flush();
  if (end) note_sent_end();
}

void Exchange::on_forward_trailers(http::HeaderMap& trailers) {
  if (handle_ == nullptr || phase_ != State::kAnswering) return;
  touch();
  for (size_t i = filter_count_; i > 0; --i) filters_[i - 1]->on_response_trailers(trailers);
  record_.response_trailers = &trailers;
  handle_->send_trailers(trailers);
  connection_->schedule_flush();
  note_sent_end();
}

void Exchange::on_forward_failed(http::Cause cause, std::string_view detail) {
  if (handle_ == nullptr) return;
  if (phase_ == State::kForwarding) return answer_with(cause, detail);
  if (record_.cause == Cause::kNone) record_.cause = cause;
  if (phase_ == State::kAnswered) return;  // Of a tunnel: the end that broke had said all it had to say.
  connection_->stats().rq_reset_after_downstream_response_started.add();
  abort(cause);
}

void Exchange::make_grpc_answer(http::ResponseHead& head, int grpc_status, std::string_view text) {
  // A trailers-only answer: gRPC clients look at grpc-status, not at the HTTP status.
  head.status = 200;
  head.headers.set(HeaderId::kContentType, "application/grpc");
  char code[12];
  char* end = std::to_chars(code, code + sizeof(code), grpc_status).ptr;
  head.headers.set(HeaderId::kGrpcStatus, {code, static_cast<size_t>(end - code)});
  head.headers.set(HeaderId::kGrpcMessage, percent_encode(text, arena_));
}

void Exchange::reply(const http::ResponseHead& head, std::string_view body, http::Cause cause,
                     std::string_view detail) {
  if (next_state(phase_, Event::kReply) == State::kError) return;
  record_.cause = cause;
  if (!detail.empty()) record_.cause_detail = arena_.copy(detail);
  step(Event::kReply);
  if (!held_body_.empty()) {
    held_body_.clear();
    pause(false);
  }
  http::ResponseHead& response = state_->response;
  response = head;
  if (state_->request.is_grpc() && !head.headers.has(HeaderId::kGrpcStatus)) {
    make_grpc_answer(response, http::grpc_status_of(head.status), body);
    body = {};
  }
  response.has_content_length = true;
  response.content_length = body.size();
  apply_response_mutations(response);
  prepare_answer(response);
  send_head(response, body.empty());
  if (!body.empty() && handle_ != nullptr && phase_ == State::kReplying) {
    base::Buffer data;
    data.append(body);
    record_.response_body_bytes += body.size();
    handle_->send_body(data, true);
    note_sent_end();
  }
  // What looks like a tunnel's beginning leads nowhere.
  if (handle_ != nullptr && in_tunnel()) handle_->reset(codec::ResetReason::kNone);
}

void Exchange::answer_with(http::Cause cause, std::string_view detail, uint16_t status) {
  if (handle_ == nullptr) return;
  if (phase_ != State::kReadingHead && phase_ != State::kFiltering && phase_ != State::kForwarding) return abort(cause);
  const http::CauseInfo& info = http::cause_info(cause);
  http::ResponseHead head(arena_);
  head.status = status != 0 ? status : info.http_status != 0 ? info.http_status : 500;
  std::string_view text = info.sentence;
  if (!detail.empty()) text = arena_.concat(text, " (", detail, ")");
  bool overloaded =
      cause == Cause::kOverflowPending || cause == Cause::kOverflowRequests || cause == Cause::kOverflowConnections;
  if (overloaded && !connection_->http().suppress_envoy_headers) {
    head.headers.add_static(HeaderId::kXEnvoyOverloaded, "true");
  }
  if (state_->request.is_grpc()) {
    make_grpc_answer(head, info.grpc_status, text);
    return reply(head, {}, cause, detail);
  }
  head.headers.add_static(HeaderId::kContentType, "text/plain");
  reply(head, arena_.concat(text, "\n"), cause, detail);
}

void Exchange::abort(http::Cause cause) {
  if (handle_ == nullptr) return;
  if (record_.cause == Cause::kNone) record_.cause = cause;
  connection_->stats().downstream_rq_tx_reset.add();
  step(Event::kReset);
  bool connect = state_->request.method_id == http::Method::kConnect && state_->request.upgrade.empty();
  handle_->reset(connect ? codec::ResetReason::kConnectError : codec::ResetReason::kInternalError);
  connection_->schedule_flush();
}

}  // namespace weft::stream
