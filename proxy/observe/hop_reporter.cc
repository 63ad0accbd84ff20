#include "proxy/observe/hop_reporter.h"

#include <charconv>

#include "proxy/base/hash.h"
#include "proxy/observe/format.h"

namespace weft::observe {
namespace {

constexpr std::string_view kUnknown = "unknown";
constexpr std::string_view kOverflow = "overflow";
constexpr int kMostGrpcStatus = 16;

std::string or_unknown(std::string_view text) { return std::string(text.empty() ? kUnknown : text); }

// Spreads the bits of one number over those of another (the finaliser of MurmurHash3).
uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdULL;
  hash ^= hash >> 33;
  return hash * 0xc4ceb9fe1a85ec53ULL;
}

template <typename T>
uint64_t hash_of(const T* identity) {
  return identity == nullptr ? 0 : identity->hash;
}

// One end of the hop as labels tell it.
struct End {
  std::string_view workload, namespace_name, principal, service;
};

void add_end(const std::string_view (&names)[7], const End& end, HopLabels& labels) {
  labels.emplace_back(names[0], or_unknown(end.workload));
  labels.emplace_back(names[1], or_unknown(end.namespace_name));
  labels.emplace_back(names[2], or_unknown(end.principal));
  labels.emplace_back(names[3], or_unknown(end.service));
  // Which version of it nobody tells us.
  labels.emplace_back(names[4], std::string(kUnknown));
  labels.emplace_back(names[5], or_unknown(end.service));
  labels.emplace_back(names[6], "latest");
}

constexpr std::string_view kSourceNames[7] = {
    "source_workload", "source_workload_namespace", "source_principal",         "source_app",
    "source_version",  "source_canonical_service",  "source_canonical_revision"};
constexpr std::string_view kDestinationNames[7] = {
    "destination_workload", "destination_workload_namespace", "destination_principal",         "destination_app",
    "destination_version",  "destination_canonical_service",  "destination_canonical_revision"};

// The caller, of whom the certificate is what is believed first.
End caller(const HopEnds& ends) {
  if (ends.downstream == nullptr || !ends.downstream->mutual) return {};
  SpiffeParts parts = spiffe_parts(ends.downstream->peer);
  PeerNames names = parse_peer_names(ends.peer_names);
  return {names.workload.empty() ? parts.service_account : names.workload, parts.namespace_name, ends.downstream->peer,
          names.service.empty() ? parts.service_account : names.service};
}

// Whoever is called. Of what an endpoint does not name, the mesh's services have it from their cluster.
End destination(const HopEnds& ends) {
  End called;
  if (ends.service != nullptr) called.service = ends.service->name;
  if (ends.workload == nullptr) return called;
  const WorkloadIdentity& named = *ends.workload;
  if (ends.service != nullptr && !ends.service->external) {
    called.workload = ends.service->name;
    called.namespace_name = ends.service->namespace_name;
  }
  if (!named.workload.empty()) called.workload = named.workload;
  if (!named.namespace_name.empty()) called.namespace_name = named.namespace_name;
  if (!named.service.empty()) called.service = named.service;
  return called;
}

std::string peer_header_of(const WorkloadIdentity& self) {
  bool said_by_certificate = self.workload == self.service_account && self.service == self.service_account;
  if (said_by_certificate || self.workload.empty() || self.service.empty()) return {};
  return self.workload + "/" + self.service;
}

// 0: none was told.
uint8_t grpc_status_of(const RequestRecord& record, uint8_t other) {
  std::string_view text;
  if (record.response_trailers != nullptr) text = record.response_trailers->value(http::HeaderId::kGrpcStatus);
  if (text.empty() && record.response != nullptr) text = record.response->headers.value(http::HeaderId::kGrpcStatus);
  if (text.empty()) return 0;
  int status = -1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  bool known = error == std::errc() && end == text.data() + text.size() && status >= 0 && status <= kMostGrpcStatus;
  return known ? static_cast<uint8_t>(status + 1) : other;
}

}  // namespace

HopReporter::HopReporter(std::shared_ptr<HopMetrics> metrics, HopSide side, WorkloadIdentity self)
    : metrics_(std::move(metrics)), side_(side), self_(std::move(self)), peer_header_(peer_header_of(self_)) {}

HopReporter::Fate HopReporter::fate_of(const RequestRecord& record) {
  Fate fate;
  fate.grpc = record.request != nullptr && record.request->is_grpc();
  if (fate.grpc) fate.grpc_status = grpc_status_of(record, kOtherGrpcStatus);
  fate.status = record.status;
  fate.cause = record.cause;
  fate.retry_limit = record.retry_limit_exceeded;
  return fate;
}

HopReporter::Security HopReporter::security_of(const HopEnds& ends) const {
  const ConnectionPrincipals* connection = side_ == HopSide::kSource ? ends.upstream : ends.downstream;
  if (side_ == HopSide::kSource && !ends.connected) return Security::kUnknown;
  return connection != nullptr && connection->mutual ? Security::kMutual : Security::kNone;
}

HopKey HopReporter::key_of(const HopEnds& ends, const Fate& fate) const {
  HopKey key;
  key.who = mix(self_.hash, hash_of(ends.service));
  if (side_ == HopSide::kSource) {
    key.who = mix(mix(key.who, hash_of(ends.upstream)), hash_of(ends.workload));
  } else {
    key.who = mix(key.who, hash_of(ends.downstream));
    if (!ends.peer_names.empty()) key.who = mix(key.who, base::xxhash64(ends.peer_names));
  }
  key.what = uint64_t{fate.status} | uint64_t{static_cast<uint8_t>(fate.cause)} << 16 |
             uint64_t{fate.grpc_status} << 24 | uint64_t{fate.tcp} << 32 | uint64_t{fate.grpc} << 33 |
             uint64_t{fate.retry_limit} << 34 | uint64_t{static_cast<uint8_t>(security_of(ends))} << 35 |
             uint64_t{static_cast<uint8_t>(side_)} << 37;
  return key;
}

HopCell& HopReporter::cell(const HopEnds& ends, const Fate& fate, uint32_t worker, int64_t now_ns) const {
  HopKey overflow;
  overflow.what = uint64_t{fate.status} | uint64_t{fate.tcp} << 32 | uint64_t{static_cast<uint8_t>(side_)} << 37;
  return metrics_->cell(worker, key_of(ends, fate), overflow, now_ns,
                        [&](bool full) { return full ? overflow_of(fate) : series_of(ends, fate); });
}

HopSeries HopReporter::series_of(const HopEnds& ends, const Fate& fate) const {
  HopSeries series{.tcp = fate.tcp, .labels = {}};
  HopLabels& labels = series.labels;
  bool source = side_ == HopSide::kSource;
  End own{self_.workload, self_.namespace_name, {}, self_.service};
  labels.emplace_back("reporter", source ? "source" : "destination");
  if (source) {
    if (ends.upstream != nullptr) own.principal = ends.upstream->local;
    add_end(kSourceNames, own, labels);
    End called = destination(ends);
    if (ends.upstream != nullptr) called.principal = ends.upstream->peer;
    add_end(kDestinationNames, called, labels);
  } else {
    if (ends.downstream != nullptr) own.principal = ends.downstream->local;
    add_end(kSourceNames, caller(ends), labels);
    add_end(kDestinationNames, own, labels);
  }
  ServiceIdentity none;
  const ServiceIdentity& service = ends.service == nullptr ? none : *ends.service;
  labels.emplace_back("destination_service", or_unknown(service.host));
  labels.emplace_back("destination_service_name", or_unknown(service.name));
  labels.emplace_back("destination_service_namespace", or_unknown(service.namespace_name));
  labels.emplace_back("request_protocol", fate.tcp ? "tcp" : fate.grpc ? "grpc" : "http");
  if (!fate.tcp) {
    labels.emplace_back("response_code", std::to_string(fate.status));
    std::string grpc_status = fate.grpc_status == 0                  ? ""
                              : fate.grpc_status == kOtherGrpcStatus ? "other"
                                                                     : std::to_string(fate.grpc_status - 1);
    labels.emplace_back("grpc_response_status", std::move(grpc_status));
  }
  std::string flags;
  append_response_flags(fate.cause, fate.retry_limit, flags);
  labels.emplace_back("response_flags", std::move(flags));
  Security security = security_of(ends);
  labels.emplace_back("connection_security_policy", security == Security::kMutual ? "mutual_tls"
                                                    : security == Security::kNone ? "none"
                                                                                  : kUnknown);
  labels.emplace_back("cause", http::cause_info(fate.cause).name);
  return series;
}

HopSeries HopReporter::overflow_of(const Fate& fate) const {
  HopSeries series = series_of({}, fate);
  for (auto& [name, value] : series.labels) {
    if (name != "reporter" && name != "response_code") value = kOverflow;
  }
  return series;
}

void HopReporter::count_request(const RequestRecord& record, uint32_t worker) const {
  HopCell& counted = cell(record.ends, fate_of(record), worker, record.end_ns);
  counted.requests.add();
  // Nanoseconds are millionths of a millisecond.
  counted.duration_ms.record(static_cast<uint64_t>(record.end_ns - record.start_ns) / 1'000);
  counted.request_bytes.record(record.request_body_bytes * 1'000);
  counted.response_bytes.record(record.response_body_bytes * 1'000);
}

void HopReporter::count_opened(const TcpHop& hop, uint32_t worker, int64_t now_ns) const {
  cell(hop.ends, {.tcp = true, .cause = hop.cause}, worker, now_ns).opened.add();
}

void HopReporter::count_bytes(const TcpHop& hop, uint64_t received, uint64_t sent, uint32_t worker,
                              int64_t now_ns) const {
  HopCell& counted = cell(hop.ends, {.tcp = true, .cause = hop.cause}, worker, now_ns);
  counted.received_bytes.add(received);
  counted.sent_bytes.add(sent);
}

void HopReporter::count_closed(const TcpHop& hop, uint32_t worker, int64_t now_ns) const {
  cell(hop.ends, {.tcp = true, .cause = hop.cause}, worker, now_ns).closed.add();
}

}  // namespace weft::observe
