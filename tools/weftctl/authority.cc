#include "tools/weftctl/authority.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <vector>

#include "api/text/print.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/text.h"
#include "weft/v1/authority.grpc.pb.h"

namespace weft::weftctl {

namespace {

using google::protobuf::util::TimeUtil;

std::unique_ptr<v1::CertificateAuthority::Stub> connect_authority(const std::string& socket) {
  return v1::CertificateAuthority::NewStub(connect_channel(socket));
}

bool print_as(const std::string& output, const google::protobuf::Message& message) {
  if (output.empty()) return false;
  text::PrintOptions options;
  options.proto_names = false;
  std::cout << (output == "json" ? text::print_json(message, options) + "\n" : text::print_yaml(message, options));
  return true;
}

// "24h", "1h30m", "90s"
std::string duration_text(const google::protobuf::Duration& duration) {
  constexpr int64_t kMinute = 60;
  constexpr int64_t kHour = 60 * kMinute;
  const int64_t seconds = duration.seconds();
  if (seconds % kMinute != 0 || seconds == 0) return TimeUtil::ToString(duration);
  const std::string hours = seconds >= kHour ? std::to_string(seconds / kHour) + "h" : "";
  const int64_t minutes = seconds % kHour / kMinute;
  return minutes == 0 ? hours : hours + std::to_string(minutes) + "m";
}

std::string phase_text(v1::AuthorityStatus::Phase phase) {
  switch (phase) {
    case v1::AuthorityStatus::TRUSTING:
      return "a new root is being trusted; the old one signs (step 1 of 3 is done)";
    case v1::AuthorityStatus::RETIRING:
      return "the new root signs; the old one is still trusted (step 2 of 3 is done)";
    default:
      return "steady: one root, which signs";
  }
}

void print_status(const v1::AuthorityStatus& status) {
  std::vector<std::vector<std::string>> rows = {
      {"ROOT", "STAGE", "ENDS", "SIGNS UNTIL", "LIVE CERTIFICATES", "LAST OF THEM ENDS", "SHA-256"}};
  for (const v1::AuthorityRoot& each : status.roots()) {
    rows.push_back({each.id() == 0 ? "given" : std::to_string(each.id()), each.stage(),
                    TimeUtil::ToString(each.not_after()), TimeUtil::ToString(each.chain_not_after()),
                    std::to_string(each.live_certificates()),
                    each.has_last_not_after() ? TimeUtil::ToString(each.last_not_after()) : "-", each.sha256()});
  }
  std::cout << "trust domain: " << status.trust_domain() << "\n"
            << "certificates live: " << duration_text(status.certificate_ttl()) << "\n"
            << "proxies that run the roots as they are: " << status.proxies_trusting() << " of " << status.proxies()
            << "\n"
            << "root: " << phase_text(status.phase()) << "\n\n"
            << table(rows) << "\nnext, `weftctl ca rotate` would: " << status.next_step() << "\n";
  for (const std::string& each : status.blockers()) std::cout << "not yet: " << each << "\n";
}

}  // namespace

int ca_status(const std::string& output, const std::string& socket) {
  grpc::ClientContext context;
  v1::AuthorityStatus status;
  const int code = tell(connect_authority(socket)->Status(&context, {}, &status), socket);
  if (code == kDone && !print_as(output, status)) print_status(status);
  return code;
}

int ca_rotate(bool force, const std::string& socket) {
  v1::RotateRequest request;
  request.set_force(force);
  grpc::ClientContext context;
  v1::RotateResponse response;
  const int code = tell(connect_authority(socket)->Rotate(&context, request, &response), socket);
  if (code != kDone) return code;
  for (const std::string& each : response.broken()) std::cerr << "forced: " << each << "\n";
  std::cout << response.done() << "\n\n";
  print_status(response.status());
  return kDone;
}

int ca_issued(const std::string& of, uint32_t limit, const std::string& output, const std::string& socket) {
  v1::IssuedRequest request;
  request.set_of(of);
  request.set_limit(limit);
  grpc::ClientContext context;
  v1::IssuedResponse response;
  const int code = tell(connect_authority(socket)->Issued(&context, request, &response), socket);
  if (code != kDone || print_as(output, response)) return code;
  std::vector<std::vector<std::string>> rows = {
      {"ISSUED", "SPIFFE ID", "NODE", "FROM", "BY", "CAME IN BY", "ENDS", "ROOT", "SERIAL"}};
  for (const v1::IssuedCertificate& each : response.certificates()) {
    rows.push_back({TimeUtil::ToString(each.issued()), each.spiffe_id(), each.node().empty() ? "-" : each.node(),
                    each.peer().empty() ? "-" : each.peer(), each.shown(), each.origin(),
                    TimeUtil::ToString(each.not_after()), std::to_string(each.root()), each.serial()});
  }
  std::cout << (rows.size() == 1 ? "nothing found\n" : table(rows));
  return kDone;
}

}  // namespace weft::weftctl
