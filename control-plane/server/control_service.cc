#include "control-plane/server/control_service.h"

#include <google/protobuf/util/time_util.h>

#include <iterator>

#include "api/text/cat.h"
#include "api/text/print.h"
#include "control-plane/explain/explain.h"
#include "control-plane/registry/format.h"
#include "control-plane/registry/status.h"
#include "control-plane/registry/workloads.h"
#include "control-plane/xds/grpc_status.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::server {

using source::Key;
using text::cat;
using xds::to_grpc;

namespace {

constexpr uint32_t kDefaultHistory = 20;
constexpr uint32_t kMaxHistory = 10'000;

void show(const Key& key, v1::ObjectReference* out) {
  out->set_kind(std::string(source::kind_name(key.kind)));
  out->set_namespace_(key.namespace_name);
  out->set_name(key.name);
}

std::string print(const google::protobuf::Message& content, v1::GetRequest::Format format) {
  text::PrintOptions options;
  options.proto_names = false;
  return format == v1::GetRequest::JSON ? text::print_json(content, options) : text::print_yaml(content, options);
}

// As people compare it: without what stores set.
std::string print_intent(const source::Content& content) {
  if (content == nullptr) return "";
  std::unique_ptr<google::protobuf::Message> shown = registry::with_status(*content, nullptr);
  kubernetes::meta::v1::ObjectMeta* metadata = source::mutable_metadata_of(shown.get());
  metadata->clear_generation();
  metadata->clear_resource_version();
  metadata->clear_creation_timestamp();
  return print(*shown, v1::GetRequest::YAML);
}

v1::AppliedObject::Outcome outcome_of(const Outcome& outcome) {
  if (outcome.after == outcome.before) return v1::AppliedObject::UNCHANGED;
  if (outcome.before == nullptr) return v1::AppliedObject::CREATED;
  return outcome.after == nullptr ? v1::AppliedObject::DELETED : v1::AppliedObject::CONFIGURED;
}

// With the texts before and after if it was a trial, which is for whoever compares.
grpc::Status answer(const absl::StatusOr<Applied>& applied, bool dry_run, v1::ApplyResponse* response) {
  if (!applied.ok()) return to_grpc(applied.status());
  response->set_revision(applied->revision);
  for (const Outcome& outcome : applied->outcomes) {
    v1::AppliedObject* object = response->add_objects();
    show(outcome.key, object->mutable_object());
    object->set_outcome(outcome_of(outcome));
    for (const std::string& warning : outcome.warnings) object->add_warnings(warning);
    if (!dry_run || object->outcome() == v1::AppliedObject::UNCHANGED) continue;
    object->set_before(print_intent(outcome.before));
    object->set_after(print_intent(outcome.after));
  }
  return grpc::Status::OK;
}

absl::StatusOr<source::Kind> kind_of(const std::string& word) {
  const source::KindInfo* info = source::find_kind_by_word(word);
  if (info != nullptr) return info->kind;
  std::string known;
  for (const source::KindInfo& kind : source::all_kinds()) {
    text::append(&known, known.empty() ? "" : ", ", kind.plural);
  }
  return absl::InvalidArgumentError(cat("there is no kind \"", word, "\"; known are ", known));
}

// The one object that is meant, in "default" where it wants a namespace and none is given.
absl::StatusOr<Key> key_of(const v1::ObjectReference& reference) {
  const absl::StatusOr<source::Kind> kind = kind_of(reference.kind());
  if (!kind.ok()) return kind.status();
  if (reference.name().empty()) return absl::InvalidArgumentError(cat("expected the name of a ", reference.kind()));
  Key key{*kind, "", reference.name()};
  if (source::kind_info(*kind).in_namespace) {
    key.namespace_name = reference.namespace_().empty() ? "default" : reference.namespace_();
  }
  return key;
}

using Documents = google::protobuf::RepeatedPtrField<v1::Document>;
absl::StatusOr<std::vector<source::Draft>> read(const Documents& documents) {
  std::vector<source::Draft> out;
  std::string mistakes;
  for (const v1::Document& document : documents) {
    auto drafts = source::read_documents(document.text(), document.file_name());
    if (!drafts.ok()) {
      text::append(&mistakes, mistakes.empty() ? "" : "\n", drafts.status().message());
      continue;
    }
    std::move(drafts->begin(), drafts->end(), std::back_inserter(out));
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  return out;
}

}  // namespace

grpc::Status ControlService::Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ApplyResponse* response) {
  const auto drafts = read(request->documents());
  if (!drafts.ok()) return to_grpc(drafts.status());
  return answer(control_->apply(*drafts, request->dry_run(), "apply"), request->dry_run(), response);
}

grpc::Status ControlService::Delete(grpc::ServerContext*, const v1::DeleteRequest* request,
                                    v1::ApplyResponse* response) {
  const auto drafts = read(request->documents());
  if (!drafts.ok()) return to_grpc(drafts.status());
  std::vector<Key> keys;
  for (const source::Draft& draft : *drafts) keys.push_back(draft.key);
  for (const v1::ObjectReference& reference : request->objects()) {
    const absl::StatusOr<Key> key = key_of(reference);
    if (!key.ok()) return to_grpc(key.status());
    keys.push_back(*key);
  }
  return answer(control_->remove(keys, request->dry_run(), "delete"), request->dry_run(), response);
}

grpc::Status ControlService::Rollback(grpc::ServerContext*, const v1::RollbackRequest* request,
                                      v1::ApplyResponse* response) {
  return answer(control_->roll_back(request->revision(), request->dry_run()), request->dry_run(), response);
}

grpc::Status ControlService::Get(grpc::ServerContext*, const v1::GetRequest* request, v1::GetResponse* response) {
  Selection selection;
  if (!request->object().kind().empty()) {
    const absl::StatusOr<source::Kind> kind = kind_of(request->object().kind());
    if (!kind.ok()) return to_grpc(kind.status());
    selection.kind = *kind;
  }
  selection.name = request->object().name();
  if (!request->all_namespaces()) {
    const std::string& given = request->object().namespace_();
    selection.namespace_name = given.empty() ? "default" : given;
  }
  const auto found = control_->get(selection);
  if (!found.ok()) return to_grpc(found.status());
  for (const Found& each : *found) {
    v1::FoundObject* object = response->add_objects();
    show(each.object.key, object->mutable_object());
    object->set_revision(each.object.revision);
    *object->mutable_created() = source::metadata_of(*each.shown).creation_timestamp();
    object->set_summary(registry::summary_of(*each.shown));
    object->set_text(print(*each.shown, request->format()));
    object->set_origin(each.origin);
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::History(grpc::ServerContext*, const v1::HistoryRequest* request,
                                     v1::HistoryResponse* response) {
  std::optional<Key> key;
  if (request->has_object()) {
    const absl::StatusOr<Key> named = key_of(request->object());
    if (!named.ok()) return to_grpc(named.status());
    key = *named;
  }
  const uint32_t limit = request->limit() == 0 ? kDefaultHistory : std::min(request->limit(), kMaxHistory);
  const auto commits = control_->history(key, limit);
  if (!commits.ok()) return to_grpc(commits.status());
  for (const source::Commit& commit : *commits) {
    v1::HistoryEntry* entry = response->add_entries();
    entry->set_revision(commit.revision);
    *entry->mutable_time() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(commit.time_ms);
    entry->set_author(commit.author);
    for (const Key& changed : commit.keys) show(changed, entry->add_objects());
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::ListWorkloads(grpc::ServerContext*, const v1::ListWorkloadsRequest* request,
                                           v1::ListWorkloadsResponse* response) {
  for (const Control::FoundWorkload& found : control_->workloads(request->namespace_(), request->service())) {
    const registry::Workload& workload = found.workload;
    const bool is_ipv6 = workload.address.find(':') != std::string::npos;
    v1::Workload* out = response->add_workloads();
    out->set_namespace_(workload.name.namespace_name);
    out->set_service(workload.name.service);
    out->set_name(workload.name.node);
    out->set_address(cat(is_ipv6 ? "[" : "", workload.address, is_ipv6 ? "]:" : ":", workload.port));
    out->set_app_port(workload.app_port);
    out->set_state(registry::state_of(workload, found.is_attached));
    out->set_ready(found.is_attached && workload.ready());
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::CreateToken(grpc::ServerContext*, const v1::CreateTokenRequest* request,
                                         v1::CreateTokenResponse* response) {
  if (!access_.fingerprint.has_value()) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            "weft-control runs with --xds-insecure and asks nobody for a token; start it without, and proxies connect "
            "by TLS and with one"};
  }
  const std::optional<int64_t> ttl_ms = registry::parse_duration_ms(request->ttl());
  if (!ttl_ms.has_value()) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            cat("the time to live is \"", request->ttl(), "\"; expected a duration such as 24h, 30m or 1h30m")};
  }
  const auto token = access_.tokens->issue({request->namespace_(), request->service(), *ttl_ms, request->uses()},
                                           *access_.fingerprint);
  if (!token.ok()) return to_grpc(token.status());
  response->set_token(*token);
  return grpc::Status::OK;
}

grpc::Status ControlService::ListTokens(grpc::ServerContext*, const v1::ListTokensRequest*,
                                        v1::ListTokensResponse* response) {
  for (const ca::Tokens::Listed& each : access_.tokens->list()) {
    v1::JoinToken* out = response->add_tokens();
    out->set_id(each.record.id);
    out->set_namespace_(each.record.namespace_name);
    out->set_service(each.record.service);
    *out->mutable_created() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(each.record.created_ms);
    *out->mutable_expires() = google::protobuf::util::TimeUtil::MillisecondsToTimestamp(each.record.expires_ms);
    out->set_uses(each.record.uses);
    out->set_nodes(static_cast<uint32_t>(each.nodes));
    out->set_state(std::string(each.state));
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::RevokeToken(grpc::ServerContext*, const v1::RevokeTokenRequest* request,
                                         v1::RevokeTokenResponse*) {
  return to_grpc(access_.tokens->revoke(request->id()));
}

grpc::Status ControlService::Analyze(grpc::ServerContext*, const v1::AnalyzeRequest* request,
                                     v1::AnalyzeResponse* response) {
  const auto drafts = read(request->documents());
  if (!drafts.ok()) return to_grpc(drafts.status());
  const auto analysis = control_->analyze(*drafts);
  if (!analysis.ok()) return to_grpc(analysis.status());
  response->set_revision(analysis->revision);
  for (const Control::Located& each : analysis->findings) {
    v1::Finding* finding = response->add_findings();
    finding->set_severity(static_cast<v1::Finding::Severity>(each.finding.severity));
    finding->set_code(each.finding.code);
    finding->set_path(each.finding.path);
    finding->set_message(each.finding.message);
    if (each.finding.key.name.empty()) continue;
    show(each.finding.key, finding->mutable_source()->mutable_object());
    finding->mutable_source()->set_revision(each.revision);
    finding->mutable_source()->set_origin(each.origin);
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::Explain(grpc::ServerContext*, const v1::ExplainRequest* request,
                                     v1::ExplainResponse* response) {
  const registry::ModelPointer model = control_->model();
  auto explained = explain::explain(*model, *request, [this](const Key& key) { return control_->origin(key); });
  if (!explained.ok()) return to_grpc(explained.status());
  *response = *std::move(explained);
  return grpc::Status::OK;
}

grpc::Status ControlService::Version(grpc::ServerContext*, const v1::VersionRequest*, v1::VersionResponse* response) {
  response->set_version(version_);
  response->set_revision(control_->revision());
  return grpc::Status::OK;
}

}  // namespace weft::control::server
