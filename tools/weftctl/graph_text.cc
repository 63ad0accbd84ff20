#include "tools/weftctl/graph_text.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "tools/weftctl/top_text.h"

namespace weft::weftctl {

namespace {

constexpr size_t kNameColumns = 42;

struct Call {
  std::string to;
  const v1::EdgeTraffic* edge;
};

class Tree {
 public:
  Tree(const v1::TrafficResponse& traffic, const std::string& namespace_name, bool is_coloured)
      : is_coloured_(is_coloured) {
    std::set<std::string> called;
    for (const v1::EdgeTraffic& edge : traffic.edges()) {
      const std::string from = party_name(edge.source(), namespace_name);
      const std::string to = party_name(edge.destination(), namespace_name);
      calls_[from].push_back({to, &edge});
      if (from != to) called.insert(to);
    }
    for (const auto& [from, calls] : calls_) {
      if (!called.contains(from)) roots_.push_back(from);
    }
  }

  std::string draw() {
    for (const std::string& root : roots_) draw_root(root);
    // What is left calls in circles alone.
    for (const auto& [from, calls] : calls_) {
      if (!shown_.contains(from)) draw_root(from);
    }
    return std::move(out_);
  }

 private:
  void draw_root(const std::string& name) {
    if (!out_.empty()) out_ += "\n";
    out_ += coloured(name, Colour::kBold, is_coloured_) + "\n";
    draw_calls(name, "");
  }

  void draw_calls(const std::string& from, const std::string& indent) {
    shown_.insert(from);
    const auto found = calls_.find(from);
    if (found == calls_.end()) return;
    for (size_t i = 0; i < found->second.size(); ++i) {
      const Call& call = found->second[i];
      const bool is_last = i + 1 == found->second.size();
      const bool is_known = shown_.contains(call.to) && calls_.contains(call.to);
      std::string line = indent + (is_last ? "└─ " : "├─ ") + call.to + (is_known ? " (above)" : "");
      const size_t width = width_of(line);
      line += std::string(width < kNameColumns ? kNameColumns - width : 1, ' ');
      const v1::Flow& flow = call.edge->flow();
      line += coloured(flow_words(flow), success_colour(flow), is_coloured_);
      if (call.edge->security() == "mutual_tls") line += " mtls";
      if (call.edge->security() == "mixed") line += " mtls in part";
      if (call.edge->security() == "none") line += " plain";
      out_ += line + "\n";
      if (!is_known) draw_calls(call.to, indent + (is_last ? "   " : "│  "));
    }
  }

  const bool is_coloured_;
  std::map<std::string, std::vector<Call>> calls_;
  std::vector<std::string> roots_;
  std::set<std::string> shown_;
  std::string out_;
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::string flow_words(const v1::Flow& flow) {
  if (flow.requests() > 0) {
    return rate_text(flow.requests()) + "/s " + success_text(flow) + " p99 " + duration_text(flow.p99_ms());
  }
  const double bytes = flow.sent_bytes() + flow.received_bytes();
  if (flow.connections() <= 0 && bytes <= 0) return "quiet";
  return rate_text(flow.connections()) + " conn/s " + bytes_text(bytes) + "/s";
}

std::string graph_tree(const v1::TrafficResponse& traffic, const std::string& namespace_name, bool is_coloured) {
  if (traffic.edges().empty()) return traffic.proxies() == 0 ? "no proxy streams its metrics\n" : "nothing flows\n";
  return Tree(traffic, namespace_name, is_coloured).draw();
}

std::string graph_dot(const v1::TrafficResponse& traffic, const std::string& namespace_name) {
  std::string out = "digraph mesh {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n";
  std::set<std::string> names;
  for (const v1::EdgeTraffic& edge : traffic.edges()) {
    const std::string from = party_name(edge.source(), namespace_name);
    const std::string to = party_name(edge.destination(), namespace_name);
    names.insert({from, to});
    const Colour colour = success_colour(edge.flow());
    const char* shown = colour == Colour::kRed ? "red" : colour == Colour::kYellow ? "orange" : "black";
    out += "  " + quoted(from) + " -> " + quoted(to) + " [label=" + quoted(flow_words(edge.flow())) +
           ", color=" + shown + (edge.security() == "none" ? ", style=dashed" : "") + "];\n";
  }
  for (const v1::ServiceTraffic& each : traffic.services()) {
    const std::string name = party_name(each.service(), namespace_name);
    if (names.insert(name).second) out += "  " + quoted(name) + ";\n";
  }
  return out + "}\n";
}

}  // namespace weft::weftctl
