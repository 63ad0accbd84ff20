#include <algorithm>

#include "api/text/cat.h"
#include "api/text/position.h"
#include "control-plane/analyze/finding.h"
#include "control-plane/registry/routes.h"
#include "gateway/v1/reference_grant.pb.h"

namespace weft::control::analyze {

namespace {

using gateway::v1::ReferenceGrant;
using source::Kind;
using text::cat;

bool is_route(Kind kind) {
  return kind == Kind::kHttpRoute || kind == Kind::kGrpcRoute || kind == Kind::kTcpRoute || kind == Kind::kTlsRoute;
}

// A reference of a route to a service of another namespace.
struct Use {
  source::Key from;
  registry::ServiceName to;
};

std::vector<Use> uses_of(const Input& input) {
  std::vector<Use> out;
  for (const Judged& each : input.objects) {
    if (!is_route(each.object.key.kind)) continue;
    for (const registry::ServiceName& backend : registry::references_of(each.object).backends) {
      if (backend.namespace_name != each.object.key.namespace_name) out.push_back({each.object.key, backend});
    }
  }
  return out;
}

bool may_refer(const gateway::v1::ReferenceGrantFrom& from, const Use& use) {
  const source::KindInfo& kind = source::kind_info(use.from.kind);
  return from.group() == kind.group && from.kind() == kind.name && from.namespace_() == use.from.namespace_name;
}

bool may_be_referred_to(const gateway::v1::ReferenceGrantTo& to, const Use& use) {
  const source::KindInfo& kind = source::kind_info(use.to.external ? Kind::kExternalService : Kind::kService);
  const bool is_named = to.name().empty() || to.name() == use.to.name;
  return to.group() == kind.group && to.kind() == kind.name && is_named;
}

void find_in_grant(const Input& input, const std::vector<Use>& uses, const source::Object& object, Findings* out) {
  const auto& spec = source::content_as<ReferenceGrant>(object).spec();
  const std::string& own = object.key.namespace_name;
  for (int i = 0; i < spec.to_size(); ++i) {
    const auto& to = spec.to(i);
    const bool is_external = to.group() == "weft.mesh";
    if (to.name().empty() || input.model.services.find({own, to.name(), is_external}) != nullptr) continue;
    out->push_back(
        {Severity::kInfo, "GrantToNothing", object.key, text::index_path("spec.to", static_cast<size_t>(i)),
         cat(to.kind(), " ", own, "/", to.name(), " does not exist; correct the name, or delete the entry")});
  }
  for (int i = 0; i < spec.from_size(); ++i) {
    const bool is_used = std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
      if (use.to.namespace_name != own || !may_refer(spec.from(i), use)) return false;
      return std::any_of(spec.to().begin(), spec.to().end(),
                         [&](const auto& to) { return may_be_referred_to(to, use); });
    });
    if (is_used) continue;
    out->push_back({Severity::kInfo, "UnusedGrant", object.key, text::index_path("spec.from", static_cast<size_t>(i)),
                    cat("no ", spec.from(i).kind(), " of ", spec.from(i).namespace_(),
                        " refers to what is granted; delete the entry if none is to come")});
  }
}

}  // namespace

void find_in_grants(const Input& input, Findings* out) {
  const std::vector<Use> uses = uses_of(input);
  for (const Judged& each : input.objects) {
    if (each.object.key.kind == Kind::kReferenceGrant) find_in_grant(input, uses, each.object, out);
  }
}

}  // namespace weft::control::analyze
