#include "tools/weftctl/graph_svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <vector>

#include "tools/weftctl/graph_layout.h"
#include "tools/weftctl/graph_text.h"
#include "tools/weftctl/top_text.h"

namespace weft::weftctl {

namespace {

constexpr double kNodeWidth = 190;
constexpr double kNodeHeight = 46;
constexpr double kLayerGap = 170;
constexpr double kRowGap = 36;
constexpr double kMargin = 24;
constexpr double kTitleHeight = 34;
constexpr size_t kMostNameCharacters = 24;

std::string number(double value) {
  char text[32];
  snprintf(text, sizeof(text), "%.1f", value);
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // What XML does not allow at all.
        out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return out;
}

struct Node {
  std::string name;
  bool is_service = true;
  const v1::Flow* flow = nullptr;  // What comes in, where that is told.
};

struct Point {
  double x = 0;
  double y = 0;
};

const char* stroke_of(const v1::Flow& flow) {
  switch (success_colour(flow)) {
    case Colour::kRed:
      return "#c62828";
    case Colour::kYellow:
      return "#ef8c00";
    case Colour::kGreen:
      return "#2e7d32";
    default:
      return "#78909c";
  }
}

class Picture {
 public:
  Picture(const v1::TrafficResponse& traffic, const std::string& namespace_name)
      : traffic_(traffic), namespace_name_(namespace_name) {
    for (const v1::EdgeTraffic& edge : traffic.edges()) {
      const size_t from = node_of(edge.source());
      edges_.emplace_back(from, node_of(edge.destination()));
    }
    for (const v1::ServiceTraffic& each : traffic.services()) nodes_[node_of(each.service())].flow = &each.flow();
    layout_ = lay_out(nodes_.size(), edges_);
  }

  std::string draw() {
    const double width =
        2 * kMargin + static_cast<double>(std::max<size_t>(layout_.layers(), 1)) * (kNodeWidth + kLayerGap) - kLayerGap;
    const double height =
        2 * kMargin + kTitleHeight + static_cast<double>(std::max<size_t>(layout_.rows, 1)) * (kNodeHeight + kRowGap);
    std::string out =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(width) + "\" height=\"" + number(height) +
        "\" viewBox=\"0 0 " + number(width) + " " + number(height) +
        "\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
        "<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"9\" markerHeight=\"9\" "
        "markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" "
        "fill=\"#455a64\"/></marker></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    const std::string title = namespace_name_.empty() ? "mesh" : "namespace " + namespace_name_;
    out += "<text x=\"" + number(kMargin) + "\" y=\"" + number(kMargin + 8) +
           "\" font-size=\"15\" font-weight=\"600\" fill=\"#263238\">" + escaped(title) + ": " +
           std::to_string(nodes_.size()) + " parties, " + std::to_string(edges_.size()) + " edges</text>\n";
    for (int i = 0; i < traffic_.edges_size(); ++i) out += edge(i);
    for (size_t i = 0; i < nodes_.size(); ++i) out += node(i);
    // Above all lines, so that none runs through a figure.
    return out + labels_ + "</svg>\n";
  }

 private:
  size_t node_of(const v1::Party& party) {
    const std::string name = party_name(party, namespace_name_);
    const auto [found, is_new] = index_.try_emplace(name, nodes_.size());
    if (is_new) nodes_.push_back({name, party.kind() == v1::Party::SERVICE, nullptr});
    return found->second;
  }

  Point corner(const GraphLayout::Place& place) const {
    // Layers stand around one middle line.
    const double step = kNodeHeight + kRowGap;
    const size_t free = layout_.rows - layout_.layer_sizes[place.layer];
    const double top = kMargin + kTitleHeight + static_cast<double>(free) * step / 2;
    return {kMargin + static_cast<double>(place.layer) * (kNodeWidth + kLayerGap),
            top + static_cast<double>(place.row) * step};
  }

  std::string node(size_t index) const {
    const Node& node = nodes_[index];
    const Point at = corner(layout_.places[index]);
    const std::string middle = number(at.x + kNodeWidth / 2);
    const char* fill = node.is_service ? "#eceff1" : "#ffffff";
    std::string out = "<g><title>" + escaped(node.name) + "</title><rect x=\"" + number(at.x) + "\" y=\"" +
                      number(at.y) + "\" width=\"" + number(kNodeWidth) + "\" height=\"" + number(kNodeHeight) +
                      "\" rx=\"8\" fill=\"" + fill + "\" stroke=\"#455a64\"" +
                      (node.is_service ? "" : " stroke-dasharray=\"4 3\"") + "/>";
    out += "<text x=\"" + middle + "\" y=\"" + number(at.y + (node.flow == nullptr ? 28 : 20)) +
           "\" text-anchor=\"middle\" font-weight=\"600\" fill=\"#263238\">" +
           escaped(cut_to(node.name, kMostNameCharacters)) + "</text>";
    if (node.flow != nullptr) {
      out += "<text x=\"" + middle + "\" y=\"" + number(at.y + 36) +
             "\" text-anchor=\"middle\" font-size=\"11\" fill=\"" + stroke_of(*node.flow) + "\">" +
             escaped(flow_words(*node.flow)) + "</text>";
    }
    return out + "</g>\n";
  }

  // In the middle of a place's height.
  Point side(const GraphLayout::Place& place, double x) const {
    const Point at = corner(place);
    return {at.x + x, at.y + kNodeHeight / 2};
  }

  static std::string curve(const Point& a, const Point& b, double dip) {
    const double bend = dip == 0 ? (b.x - a.x) / 2 : kLayerGap / 2;
    return "C" + number(a.x + bend) + " " + number(a.y + dip) + " " + number(b.x - bend) + " " + number(b.y + dip) +
           " " + number(b.x) + " " + number(b.y);
  }

  std::string edge(int index) {
    const v1::EdgeTraffic& edge = traffic_.edges(index);
    const auto& [from, to] = edges_[static_cast<size_t>(index)];
    const bool is_forward = layout_.places[to].layer > layout_.places[from].layer;
    Point at = side(layout_.places[from], kNodeWidth);
    std::string path = "M" + number(at.x) + " " + number(at.y);
    Point middle = at;
    for (const GraphLayout::Place& place : layout_.ways[static_cast<size_t>(index)]) {
      path += curve(at, side(place, 0), 0);
      at = side(place, kNodeWidth);
      path += "L" + number(at.x) + " " + number(at.y);
      middle = side(place, kNodeWidth / 2);
    }
    const Point end = side(layout_.places[to], 0);
    // A call back goes around below the nodes.
    const double dip = is_forward ? 0 : kNodeHeight + kRowGap / 2;
    path += curve(at, end, dip);
    if (layout_.ways[static_cast<size_t>(index)].empty()) {
      middle = {(at.x + end.x) / 2, (at.y + end.y) / 2 + dip * 0.75};
    }
    const double rate = edge.flow().requests() + edge.flow().connections();
    const double width = rate <= 0 ? 1 : std::clamp(1.5 + std::log10(1 + rate), 1.5, 6.0);
    label(middle, edge);
    return "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + stroke_of(edge.flow()) + "\" stroke-width=\"" +
           number(width) + "\"" + (edge.security() == "none" ? " stroke-dasharray=\"6 4\"" : "") +
           " marker-end=\"url(#arrow)\"><title>" +
           escaped(nodes_[from].name + " → " + nodes_[to].name + ": " + edge.protocol() + ", " +
                   flow_words(edge.flow()) + ", " + edge.security()) +
           "</title></path>\n";
  }

  void label(Point at, const v1::EdgeTraffic& edge) {
    std::string words = flow_words(edge.flow());
    if (edge.security() == "mutual_tls") words += " \xF0\x9F\x94\x92";  // A lock.
    labels_ += "<text x=\"" + number(at.x) + "\" y=\"" + number(at.y - 4) +
               "\" text-anchor=\"middle\" font-size=\"10\" fill=\"#37474f\" stroke=\"#ffffff\" stroke-width=\"3\" "
               "paint-order=\"stroke\">" +
               escaped(words) + "</text>\n";
  }

  const v1::TrafficResponse& traffic_;
  const std::string namespace_name_;
  std::map<std::string, size_t> index_;
  std::vector<Node> nodes_;
  std::vector<std::pair<size_t, size_t>> edges_;
  GraphLayout layout_;
  std::string labels_;
};

}  // namespace

std::string graph_svg(const v1::TrafficResponse& traffic, const std::string& namespace_name) {
  return Picture(traffic, namespace_name).draw();
}

}  // namespace weft::weftctl
