#include "control-plane/inject/probes.h"

#include <optional>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/inject/tree_access.h"

namespace weft::control::inject {

namespace {

using text::cat;

struct ProbeKind {
  const char* field;
  const char* path;
};
constexpr ProbeKind kProbes[] = {
    {"livenessProbe", "livez"}, {"readinessProbe", "readyz"}, {"startupProbe", "startupz"}};
// `exec` runs within the container, and is nothing to the network.
constexpr const char* kHandlers[] = {"httpGet", "tcpSocket", "grpc"};
constexpr const char* kContainerLists[] = {"containers", "initContainers"};
constexpr int64_t kMaxPort = 65535;
constexpr int kDefaultTimeoutSeconds = 1;

std::string probe_path(const std::string& container, const ProbeKind& kind) {
  return cat("/app-health/", container, "/", kind.path);
}

// A number, or the name of one of the container's ports.
std::optional<int64_t> port_number(const Tree& container, const Tree* port) {
  if (port == nullptr) return std::nullopt;
  if (port->is_number_integer()) {
    const int64_t number = port->get<int64_t>();
    return number >= 1 && number <= kMaxPort ? std::optional(number) : std::nullopt;
  }
  const Tree* ports = member(container, "ports");
  if (!port->is_string() || ports == nullptr || !ports->is_array()) return std::nullopt;
  for (const Tree& each : *ports) {
    if (string_member(each, "name") == port->get_ref<const std::string&>()) {
      const Tree* number = member(each, "containerPort");
      return number != nullptr && number->is_number_integer() ? std::optional(number->get<int64_t>()) : std::nullopt;
    }
  }
  return std::nullopt;
}

// In the place of the member `key`, so that the order of the others stays.
void replace_member(Tree* object, const std::string& key, const std::string& new_key, Tree value) {
  Tree made = Tree::object();
  for (auto& [each, held] : object->items()) {
    each == key ? made.push_back({new_key, std::move(value)}) : made.push_back({each, std::move(held)});
  }
  *object = std::move(made);
}

Tree kubelet_handler(const std::string& path) { return {{"path", path}, {"port", kHealthPort}}; }

void rewrite_probe(const Tree& container, const std::string& name, const ProbeKind& kind, Tree* probe,
                   RewrittenProbes* out) {
  for (const char* handler : kHandlers) {
    const Tree* asked = member(*probe, handler);
    if (asked == nullptr || !asked->is_object()) continue;
    // Who is asked elsewhere is not the application of this pod.
    if (!string_member(*asked, "host").empty()) return;
    const std::optional<int64_t> port = port_number(container, member(*asked, "port"));
    if (!port.has_value()) {
      out->warnings.push_back(cat("the ", kind.field, " of the container ", name, " stays as it is: its ", handler,
                                  " names no port of the container"));
      return;
    }
    if (*port == kHealthPort) return;
    Tree told = *asked;
    told["port"] = *port;
    const Tree* timeout = member(*probe, "timeoutSeconds");
    const std::string path = probe_path(name, kind);
    out->for_proxy[path] = {{handler, std::move(told)},
                            {"timeoutSeconds", timeout == nullptr ? Tree(kDefaultTimeoutSeconds) : *timeout}};
    out->originals[name][kind.field] = {{handler, *asked}};
    replace_member(probe, handler, "httpGet", kubelet_handler(path));
    return;
  }
}

}  // namespace

RewrittenProbes rewrite_probes(Tree* spec) {
  RewrittenProbes out;
  for (const char* list : kContainerLists) {
    Tree* containers = member(*spec, list);
    if (containers == nullptr) continue;
    for (Tree& container : *containers) {
      for (const ProbeKind& kind : kProbes) {
        Tree* probe = member(container, kind.field);
        if (probe != nullptr) rewrite_probe(container, string_member(container, "name"), kind, probe, &out);
      }
    }
  }
  return out;
}

void restore_probes(const Tree& originals, Tree* spec) {
  for (const char* list : kContainerLists) {
    Tree* containers = member(*spec, list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (Tree& container : *containers) {
      const std::string& name = string_member(container, "name");
      const Tree* kept = member(originals, name);
      if (kept == nullptr) continue;
      for (const ProbeKind& kind : kProbes) {
        Tree* probe = member(container, kind.field);
        const Tree* was = member(*kept, kind.field);
        if (probe == nullptr || was == nullptr || !was->is_object() || was->size() != 1) continue;
        const Tree* now = member(*probe, "httpGet");
        if (now == nullptr || string_member(*now, "path") != probe_path(name, kind)) continue;
        replace_member(probe, "httpGet", was->begin().key(), was->begin().value());
      }
    }
  }
}

}  // namespace weft::control::inject
