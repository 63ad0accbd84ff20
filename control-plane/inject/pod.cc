#include "control-plane/inject/pod.h"

#include <algorithm>
#include <map>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/inject/containers.h"
#include "control-plane/inject/probes.h"
#include "control-plane/inject/record.h"
#include "control-plane/inject/shape.h"
#include "control-plane/inject/tree_access.h"

namespace weft::control::inject {

namespace {

using text::cat;

constexpr char kDefaultContainer[] = "kubectl.kubernetes.io/default-container";
constexpr std::string_view kOthersProxies[] = {"istio-proxy", "linkerd-proxy"};
constexpr int64_t kOwnPorts[] = {15000, 15001, 15006, 15021, 15090};

const std::string& label_or_annotation(const Tree& pod, std::string_view name) {
  static const std::string kNone;
  const Tree* metadata = member(pod, "metadata");
  if (metadata == nullptr) return kNone;
  for (const char* where : {"labels", "annotations"}) {
    const Tree* words = member(*metadata, where);
    if (words != nullptr && !string_member(*words, name).empty()) return string_member(*words, name);
  }
  return kNone;
}

bool is_windows(const Tree& spec) {
  const Tree* os = member(spec, "os");
  if (os != nullptr && string_member(*os, "name") == "windows") return true;
  const Tree* selector = member(spec, "nodeSelector");
  return selector != nullptr && string_member(*selector, "kubernetes.io/os") == "windows";
}

template <typename Visit>
void for_each_container(const Tree& spec, Visit visit) {
  for (const char* list : {"containers", "initContainers"}) {
    const Tree* containers = member(spec, list);
    if (containers == nullptr) continue;
    for (const Tree& each : *containers) visit(each);
  }
}

// Why this pod gets no sidecar; empty if it gets one. BadAnnotation where its own word cannot be understood.
std::string reason_to_skip(const Tree& pod, std::vector<BadAnnotation>* bad) {
  for (const std::string_view name : {kInject, kIstioInject}) {
    const std::string& word = label_or_annotation(pod, name);
    if (word == "false") return cat(name, " is \"false\"");
    if (word == "true") break;
    if (!word.empty()) {
      bad->push_back({std::string(name), cat("expected \"true\" or \"false\"; got \"", word, "\"")});
      return "";
    }
  }
  const Tree& spec = *member(pod, "spec");
  if (is_true(spec, "hostNetwork"))
    return "hostNetwork is true: its network is the node's, where rules would take the node's own traffic";
  if (is_windows(spec)) return "it is for Windows, which has no interception";
  std::string reason;
  for_each_container(spec, [&reason](const Tree& each) {
    const std::string& name = string_member(each, "name");
    if (std::find(std::begin(kOthersProxies), std::end(kOthersProxies), name) != std::end(kOthersProxies)) {
      reason = cat("it has a sidecar of another mesh, ", name);
    } else if (name == kProxyContainer || name == kInitContainer) {
      reason = cat("it has a container ", name, " of its own");
    }
  });
  return reason;
}

std::map<std::string, std::string> annotations_of(const Tree& pod) {
  std::map<std::string, std::string> out;
  const Tree* metadata = member(pod, "metadata");
  const Tree* annotations = metadata == nullptr ? nullptr : member(*metadata, "annotations");
  if (annotations == nullptr) return out;
  for (const auto& [name, value] : annotations->items()) out[name] = value.get<std::string>();
  return out;
}

// The first port that a container says it has, for TCP.
uint16_t first_port(const Tree& spec) {
  for (const Tree& container : *member(spec, "containers")) {
    const Tree* ports = member(container, "ports");
    if (ports == nullptr || !ports->is_array()) continue;
    for (const Tree& each : *ports) {
      const Tree* number = member(each, "containerPort");
      const std::string& protocol = string_member(each, "protocol");
      if (number == nullptr || !number->is_number_integer() || !(protocol.empty() || protocol == "TCP")) continue;
      const int64_t port = number->get<int64_t>();
      if (port >= 1 && port <= UINT16_MAX) return static_cast<uint16_t>(port);
    }
  }
  return 0;
}

// As users of other meshes name their workloads.
std::string service_by_labels(const Tree& pod, const std::string& workload_name) {
  const Tree* metadata = member(pod, "metadata");
  const Tree* labels = metadata == nullptr ? nullptr : member(*metadata, "labels");
  if (labels != nullptr) {
    for (const char* name : {"app.kubernetes.io/name", "app"}) {
      if (is_service_name(string_member(*labels, name))) return string_member(*labels, name);
    }
  }
  return is_service_name(workload_name) ? workload_name : "";
}

void warn(const PodContext& context, const Settings& settings, const Tree& spec, std::vector<std::string>* warnings) {
  if (!settings.native && context.runs_to_completion) {
    warnings->push_back("in the classic form its proxy runs on when the job is done, so that the job never is");
  }
  for_each_container(spec, [warnings](const Tree& each) {
    const Tree* security = member(each, "securityContext");
    const Tree* user = security == nullptr ? nullptr : member(*security, "runAsUser");
    if (user != nullptr && user->is_number_integer() && user->get<int64_t>() == kProxyUid) {
      warnings->push_back(cat("the container ", string_member(each, "name"), " runs as user ", kProxyUid,
                              ", as the proxy does: what it sends goes past the proxy"));
    }
    const Tree* ports = member(each, "ports");
    if (ports == nullptr || !ports->is_array()) return;
    for (const Tree& port : *ports) {
      const Tree* number = member(port, "containerPort");
      if (number == nullptr || !number->is_number_integer()) continue;
      if (std::find(std::begin(kOwnPorts), std::end(kOwnPorts), number->get<int64_t>()) == std::end(kOwnPorts))
        continue;
      warnings->push_back(cat("the container ", string_member(each, "name"), " has port ", number->get<int64_t>(),
                              ", which is the proxy's"));
    }
  });
}

// Puts everything in; `record` keeps what it takes to undo it.
void add_sidecar(const Settings& settings, Tree* pod, Record* record, std::vector<std::string>* warnings) {
  Tree& spec = *member(*pod, "spec");
  const std::string first_container = string_member(member(spec, "containers")->front(), "name");
  Tree for_proxy = Tree::object();
  if (settings.rewrite_probes) {
    RewrittenProbes probes = rewrite_probes(&spec);
    for_proxy = std::move(probes.for_proxy);
    record->set_probes(std::move(probes.originals));
    warnings->insert(warnings->end(), probes.warnings.begin(), probes.warnings.end());
  }
  Tree proxy = proxy_container(settings, for_proxy);
  if (settings.native) {
    // Before all others, so that theirs have the mesh as well.
    record->insert(&spec, Record::kInitContainers, 0, init_container(settings));
    record->insert(&spec, Record::kInitContainers, 1, std::move(proxy));
  } else {
    // After all others: until the proxy runs, nothing may be sent its way.
    record->append(&spec, Record::kInitContainers, init_container(settings));
    if (settings.hold_application) {
      record->insert(&spec, Record::kContainers, 0, std::move(proxy));
    } else {
      record->append(&spec, Record::kContainers, std::move(proxy));
    }
  }
  for (Tree& volume : volumes(settings)) record->append(&spec, Record::kVolumes, std::move(volume));
  if (!settings.ca.empty()) record->annotate(pod, kCaAnnotation, settings.ca);
  if (!settings.native) record->annotate(pod, kDefaultContainer, first_container);
  record->write(pod);
}

}  // namespace

bool is_injected(const Tree& pod) {
  const Tree* metadata = member(pod, "metadata");
  const Tree* annotations = metadata == nullptr ? nullptr : member(*metadata, "annotations");
  return annotations != nullptr && member(*annotations, kInjectedAnnotation) != nullptr;
}

absl::StatusOr<Outcome> uninject_pod(const PodContext& context, Tree* pod) {
  if (absl::Status status = check_shape(*pod, context.locate); !status.ok()) return status;
  Outcome outcome;
  if (!is_injected(*pod)) {
    outcome.skipped = "it has no sidecar of ours";
    return outcome;
  }
  absl::StatusOr<Record> record = Record::read(*pod);
  if (!record.ok()) {
    const std::string path = cat("metadata.annotations[\"", kInjectedAnnotation, "\"]");
    return absl::InvalidArgumentError(cat(context.locate(path), ": ", record.status().message()));
  }
  record->undo(pod);
  outcome.is_changed = true;
  return outcome;
}

absl::StatusOr<Outcome> inject_pod(const PodContext& context, Tree* pod) {
  Tree made = *pod;
  const absl::StatusOr<Outcome> bare = uninject_pod(context, &made);
  if (!bare.ok()) return bare.status();
  Outcome outcome;
  std::vector<BadAnnotation> bad;
  outcome.skipped = reason_to_skip(made, &bad);
  if (outcome.skipped.empty()) {
    Settings settings = context.settings;
    for (BadAnnotation& each : apply_annotations(annotations_of(made), &settings, &outcome.warnings)) {
      bad.push_back(std::move(each));
    }
    if (!bad.empty()) return refusal(bad, context.locate);
    const Tree& spec = *member(made, "spec");
    if (settings.app_port == 0) settings.app_port = first_port(spec);
    if (settings.service.empty()) settings.service = service_by_labels(made, context.workload_name);
    warn(context, settings, spec, &outcome.warnings);
    Record record;
    add_sidecar(settings, &made, &record, &outcome.warnings);
  }
  outcome.is_changed = made != *pod;
  if (outcome.is_changed) *pod = std::move(made);
  return outcome;
}

}  // namespace weft::control::inject
