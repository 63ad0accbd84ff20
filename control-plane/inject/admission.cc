#include "control-plane/inject/admission.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "api/text/cat.h"
#include "control-plane/inject/manifest.h"
#include "control-plane/inject/patch.h"
#include "control-plane/inject/tree_access.h"

namespace weft::control::inject {

namespace {

using text::cat;

constexpr char kVersion[] = "admission.k8s.io/v1";
constexpr char kKind[] = "AdmissionReview";
constexpr size_t kMaxUidBytes = 256;
// Values of a pod are hundreds; with more, comparing them would take noticeable time.
constexpr size_t kMaxValues = 20'000;
constexpr int kUnprocessable = 422;

Reply malformed(std::string_view what) { return {Verdict::kMalformed, 400, cat(what, "\n")}; }

Reply answer(Verdict verdict, Tree response) {
  const Tree body = {{"apiVersion", kVersion}, {"kind", kKind}, {"response", std::move(response)}};
  return {verdict, 200, body.dump()};
}

Reply refused(const std::string& uid, std::string_view why) {
  return answer(Verdict::kRefused,
                {{"uid", uid},
                 {"allowed", false},
                 {"status", {{"code", kUnprocessable}, {"reason", "Invalid"}, {"message", cat("weft: ", why)}}}});
}

// Whether somebody who knows what he asked for would be surprised to get no sidecar.
bool is_surprising(const std::string& skipped) { return !skipped.empty() && !skipped.ends_with(" is \"false\""); }

Reply review_pod(const Settings& settings, const std::string& uid, const Tree& pod) {
  Tree made = pod;
  std::vector<ObjectOutcome> outcomes;
  const Locate locate = [](std::string_view path) { return std::string(path); };
  if (const absl::Status status = act_on_object(Action::kInject, settings, locate, &made, &outcomes); !status.ok()) {
    return refused(uid, {status.message().data(), status.message().size()});
  }
  Tree response = {{"uid", uid}, {"allowed", true}};
  Tree warnings = Tree::array();
  for (const ObjectOutcome& each : outcomes) {
    for (const std::string& warning : each.outcome.warnings) warnings.push_back(cat("weft: ", warning));
    if (is_surprising(each.outcome.skipped)) warnings.push_back(cat("weft: no sidecar: ", each.outcome.skipped));
  }
  if (!warnings.empty()) response["warnings"] = std::move(warnings);
  const Tree patch = make_patch(pod, made);
  if (patch.empty()) return answer(Verdict::kLeft, std::move(response));
  response["patchType"] = "JSONPatch";
  response["patch"] = absl::Base64Escape(patch.dump());
  return answer(Verdict::kInjected, std::move(response));
}

}  // namespace

Reply review(const Settings& settings, std::string_view body) {
  text::TreeOptions options;
  options.format = text::TreeOptions::Format::kJson;
  options.max_values = kMaxValues;
  const absl::StatusOr<Tree> read = text::read_tree(body, "the review", options, nullptr);
  if (!read.ok()) return malformed({read.status().message().data(), read.status().message().size()});
  const std::string& version = string_member(*read, "apiVersion");
  if (version != kVersion || string_member(*read, "kind") != kKind) {
    return malformed(cat("expected an ", kKind, " of ", kVersion, "; got ", version.empty() ? "none" : version, " ",
                         string_member(*read, "kind")));
  }
  const Tree* request = member(*read, "request");
  if (request == nullptr || !request->is_object()) return malformed("expected the review's request; got none");
  const std::string& uid = string_member(*request, "uid");
  if (uid.empty() || uid.size() > kMaxUidBytes) return malformed("expected request.uid, of at most 256 bytes");
  const Tree* object = member(*request, "object");
  const bool is_new_pod = string_member(*request, "operation") == "CREATE" && object != nullptr &&
                          string_member(*object, "kind") == "Pod" && string_member(*object, "apiVersion") == "v1";
  // One that was injected as a file, or by an earlier call, is what it should be.
  if (!is_new_pod || is_injected(*object)) return answer(Verdict::kLeft, {{"uid", uid}, {"allowed", true}});
  return review_pod(settings, uid, *object);
}

}  // namespace weft::control::inject
