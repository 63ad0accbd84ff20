#include "proxy/config/identity/identity_client.h"

#include <utility>

#include "api/text/cat.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "proxy/base/log.h"
#include "weft/v1/identity.pb.h"

namespace weft::config::identity {
namespace {

using text::cat;
using transport::wipe;

constexpr std::string_view kPath = "/weft.v1.Identity/Sign";
constexpr std::string_view kSecretName = "default";
constexpr uint32_t kMaxAnswerBytes = 256 * 1024;
constexpr int64_t kDeadlineMs = 10'000;
// How long the start of the process may wait for the first certificate.
constexpr int64_t kSettleMs = 3'000;
constexpr int64_t kFirstRetryMs = 200;
constexpr int64_t kLongestRetryMs = 30'000;
// gRPC's status codes.
constexpr int kDeadlineExceeded = 4;
constexpr int kInvalidArgument = 3;
constexpr int kPermissionDenied = 7;
constexpr int kUnimplemented = 12;
constexpr int kInternal = 13;
constexpr int kUnauthenticated = 16;

// An answer that the same question would get again.
bool is_final(int status) {
  return status == kInvalidArgument || status == kPermissionDenied || status == kUnimplemented ||
         status == kUnauthenticated;
}

int64_t to_ms(const google::protobuf::Timestamp& time) { return time.seconds() * 1000 + time.nanos() / 1'000'000; }

}  // namespace

IdentityClient::IdentityClient(pool::WorkerContext& context, Options options)
    : context_(context),
      options_(std::move(options)),
      stats_("identity.", "", "", 1),
      backoff_(kFirstRetryMs, kLongestRetryMs),
      ask_timer_(context.loop.timers(), base::bind<&IdentityClient::ask>(this)),
      deadline_timer_(context.loop.timers(), base::bind<&IdentityClient::on_deadline>(this)),
      settle_timer_(context.loop.timers(), base::bind<&IdentityClient::on_settle_deadline>(this)) {
  for (xds::ControlPlane& each : options_.control_planes) {
    each.credentials = this;
    each.call.max_message_bytes = kMaxAnswerBytes;
  }
}

IdentityClient::~IdentityClient() { stop(); }

void IdentityClient::stop() {
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->cancel();
  for (event::Timer* each : {&ask_timer_, &deadline_timer_, &settle_timer_}) each->disarm();
  settled_ = nullptr;
  wipe(request_.private_key_pem);
}

void IdentityClient::start(std::function<void()> settled) {
  settled_ = std::move(settled);
  settle_timer_.arm(kSettleMs);
  ask_timer_.arm(0);
}

void IdentityClient::settle() {
  settle_timer_.disarm();
  if (settled_ != nullptr) std::exchange(settled_, nullptr)();
}

bool IdentityClient::certified() const { return holds() && !options_.withheld->load(std::memory_order_relaxed); }

std::string IdentityClient::token() const {
  if (options_.read_token == nullptr) return {};
  absl::StatusOr<std::string> token = options_.read_token();
  if (token.ok()) return *std::move(token);
  base::log_warning(cat("identity: ", token.status().message()));
  return {};
}

void IdentityClient::failed(int status) {
  // A control plane that is away, or cannot be reached, says nothing of the certificate.
  if (status != kUnauthenticated || !has_certificate()) return;
  // Perhaps the control plane knows the authority no more that issued it, or the token no more: the other is tried.
  options_.withheld->store(!options_.withheld->load());
  options_.reconnect();
  // With a token a new certificate may be had, and is then shown.
  if (*options_.withheld && stream_ == nullptr) ask_timer_.arm(0);
}

void IdentityClient::ask() {
  if (stream_ != nullptr) return;
  absl::StatusOr<transport::SigningRequest> request = transport::make_signing_request();
  if (!request.ok()) return ask_again(kInternal, std::string(request.status().message()));
  wipe(request_.private_key_pem);
  request_ = *std::move(request);
  answer_.clear();
  deadline_timer_.arm(kDeadlineMs);
  stream_ = call::GrpcStream::start(context_, control_plane().cluster, xds::call_to(control_plane(), kPath), *this);
}

void IdentityClient::on_grpc_open() {
  v1::SignRequest request;
  *request.mutable_node() = options_.node;
  request.set_csr(request_.csr);
  stream_->send_last(request.SerializeAsString());
}

void IdentityClient::on_grpc_end(const call::GrpcEnd& end) {
  stream_ = nullptr;
  deadline_timer_.disarm();
  if (end.status != 0) {
    failed(end.status);
    return ask_again(end.status, end.reason);
  }
  if (absl::Status taken = take_answer(); !taken.ok()) return ask_again(kInternal, std::string(taken.message()));
  succeeded();
}

void IdentityClient::on_deadline() {
  if (stream_ == nullptr) return;
  std::exchange(stream_, nullptr)->cancel();
  ask_again(kDeadlineExceeded, cat("it did not answer within ", kDeadlineMs / 1000, " s"));
}

absl::Status IdentityClient::take_answer() {
  v1::SignResponse response;
  if (!response.ParseFromString(answer_)) return absl::InvalidArgumentError("what it sent is no weft.v1.SignResponse");
  absl::StatusOr<transport::IssuedCertificate> issued =
      transport::read_issued({response.chain().begin(), response.chain().end()}, request_.private_key_pem);
  if (!issued.ok()) return issued.status();
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.set_name(std::string(kSecretName));
  secret.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_bytes(issued->chain_pem);
  secret.mutable_tls_certificate()->mutable_private_key()->set_inline_bytes(request_.private_key_pem);
  wipe(request_.private_key_pem);
  std::string bytes = secret.SerializeAsString();
  wipe(*secret.mutable_tls_certificate()->mutable_private_key()->mutable_inline_bytes());
  // Before it is in force, so that calls which follow from that are made by it.
  Life before =
      std::exchange(life_, {issued->not_before_s * 1000, issued->not_after_s * 1000, to_ms(response.renew_at())});
  bool withheld = options_.withheld->exchange(false);
  absl::Status taken = options_.take(bytes);
  wipe(bytes);
  if (!taken.ok()) {
    life_ = before;
    *options_.withheld = withheld;
    return taken;
  }
  spiffe_id_ = issued->uri;
  return absl::OkStatus();
}

void IdentityClient::succeeded() {
  stats_.of_worker(0).certificates_issued.add();
  set_alarm(false, "");
  backoff_ = xds::Backoff(first_retry_ms(life_), longest_retry_ms(life_));
  int64_t delay_ms = renewal_delay_ms(life_, wall_ms(), context_.random);
  ask_timer_.arm(delay_ms);
  tick();
  base::log_info(cat("identity: this is ", spiffe_id_, " for ", (life_.not_after_ms - wall_ms()) / 1000,
                     " s; the certificate is renewed in ", delay_ms / 1000, " s"));
  settle();
}

void IdentityClient::ask_again(int status, const std::string& reason) {
  observe::IdentityStats& stats = stats_.of_worker(0);
  stats.renewal_failures.add();
  std::string who =
      cat("identity: control plane \"", control_plane().cluster->name(), "\" gave no certificate: ", reason);
  at_ = (at_ + 1) % options_.control_planes.size();
  int64_t delay_ms = status == kUnimplemented ? kLongestRetryMs : backoff_.next_ms(context_.random);
  ask_timer_.arm(delay_ms);
  std::string left = has_certificate()
                         ? cat("; the one there is holds for ", (life_.not_after_ms - wall_ms()) / 1000, " s")
                         : std::string();
  base::log_warning(cat(who, left, "; again in ", delay_ms, " ms"));
  if (has_certificate() && is_alarming(life_, wall_ms())) set_alarm(true, reason);
  tick();
  if (is_final(status)) settle();
}

void IdentityClient::set_alarm(bool alarm, const std::string& reason) {
  stats_.of_worker(0).alarm.set(alarm);
  if (std::exchange(alarm_, alarm) == alarm || !alarm) return;
  base::log_error(cat("identity: ALARM: the certificate of ", spiffe_id_, " expires in ",
                      (life_.not_after_ms - wall_ms()) / 1000, " s and cannot be renewed: ", reason,
                      "; once it has expired nobody in the mesh talks to this workload"));
}

void IdentityClient::tick() {
  int64_t left_ms = has_certificate() ? life_.not_after_ms - wall_ms() : 0;
  stats_.of_worker(0).seconds_until_expiry.set(std::max<int64_t>(left_ms, 0) / 1000);
}

}  // namespace weft::config::identity
