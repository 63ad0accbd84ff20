#include "tools/weftctl/graph_layout.h"

#include <algorithm>
#include <utility>

namespace weft::weftctl {

namespace {

constexpr size_t kSweeps = 8;

using Edges = std::vector<std::pair<size_t, size_t>>;
using Neighbours = std::vector<std::vector<size_t>>;

// Without the edges that close a circle: those that lead back to where a walk came through.
Edges without_circles(size_t nodes, const Edges& edges) {
  Neighbours next(nodes);
  for (const auto& [from, to] : edges) next[from].push_back(to);
  enum class Mark { kNew, kOpen, kDone };
  std::vector<Mark> marks(nodes, Mark::kNew);
  Edges kept;
  struct Step {
    size_t node;
    size_t at;
  };
  // Those whom nobody calls begin; what is left are circles.
  std::vector<bool> is_called(nodes, false);
  for (const auto& [from, to] : edges) is_called[to] = is_called[to] || from != to;
  std::vector<size_t> starts;
  for (size_t i = 0; i < nodes; ++i) {
    if (!is_called[i]) starts.push_back(i);
  }
  for (size_t i = 0; i < nodes; ++i) starts.push_back(i);
  for (const size_t start : starts) {
    if (marks[start] != Mark::kNew) continue;
    std::vector<Step> walk = {{start, 0}};
    marks[start] = Mark::kOpen;
    while (!walk.empty()) {
      Step& step = walk.back();
      if (step.at == next[step.node].size()) {
        marks[step.node] = Mark::kDone;
        walk.pop_back();
        continue;
      }
      const size_t from = step.node;
      const size_t to = next[from][step.at++];
      if (marks[to] == Mark::kOpen) continue;
      kept.emplace_back(from, to);
      if (marks[to] == Mark::kDone) continue;
      marks[to] = Mark::kOpen;
      walk.push_back({to, 0});
    }
  }
  return kept;
}

// The longest way to each node.
std::vector<size_t> layers_of(size_t nodes, const Edges& edges) {
  std::vector<size_t> layers(nodes, 0);
  std::vector<size_t> waits(nodes, 0);
  Neighbours next(nodes);
  for (const auto& [from, to] : edges) {
    next[from].push_back(to);
    ++waits[to];
  }
  std::vector<size_t> free;
  for (size_t i = 0; i < nodes; ++i) {
    if (waits[i] == 0) free.push_back(i);
  }
  while (!free.empty()) {
    const size_t node = free.back();
    free.pop_back();
    for (const size_t to : next[node]) {
      layers[to] = std::max(layers[to], layers[node] + 1);
      if (--waits[to] == 0) free.push_back(to);
    }
  }
  return layers;
}

// Sorts the nodes of each layer by where their neighbours stand, back and forth.
void order_rows(const Neighbours& beside, Neighbours& layers) {
  // Relative to the layer's size, so that a layer of two and one of ten meet in the middle.
  std::vector<double> position(beside.size());
  const auto place = [&](const std::vector<size_t>& layer) {
    for (size_t row = 0; row < layer.size(); ++row) {
      position[layer[row]] = (static_cast<double>(row) + 0.5) / static_cast<double>(layer.size());
    }
  };
  for (const auto& layer : layers) place(layer);
  for (size_t sweep = 0; sweep < kSweeps; ++sweep) {
    for (size_t i = 0; i < layers.size(); ++i) {
      std::vector<size_t>& layer = layers[sweep % 2 == 0 ? i : layers.size() - 1 - i];
      std::vector<std::pair<double, size_t>> wanted;
      for (const size_t node : layer) {
        double sum = 0;
        for (const size_t other : beside[node]) sum += position[other];
        wanted.emplace_back(beside[node].empty() ? position[node] : sum / static_cast<double>(beside[node].size()),
                            node);
      }
      std::stable_sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
      for (size_t row = 0; row < layer.size(); ++row) layer[row] = wanted[row].second;
      place(layer);
    }
  }
}

}  // namespace

GraphLayout lay_out(size_t nodes, const std::vector<std::pair<size_t, size_t>>& edges) {
  GraphLayout layout;
  layout.places.resize(nodes);
  layout.ways.resize(edges.size());
  if (nodes == 0) return layout;
  std::vector<size_t> layer_of = layers_of(nodes, without_circles(nodes, edges));
  Neighbours layers(*std::max_element(layer_of.begin(), layer_of.end()) + 1);
  for (size_t i = 0; i < nodes; ++i) layers[layer_of[i]].push_back(i);
  // An edge over several layers has a node of its own in each between, so that it runs through no other.
  Neighbours beside(nodes);
  std::vector<std::vector<size_t>> between(edges.size());
  const auto join = [&](size_t from, size_t to) {
    beside[from].push_back(to);
    beside[to].push_back(from);
  };
  for (size_t i = 0; i < edges.size(); ++i) {
    const auto& [from, to] = edges[i];
    if (layer_of[to] <= layer_of[from]) continue;
    size_t last = from;
    for (size_t layer = layer_of[from] + 1; layer < layer_of[to]; ++layer) {
      const size_t node = beside.size();
      beside.emplace_back();
      layers[layer].push_back(node);
      between[i].push_back(node);
      join(last, node);
      last = node;
    }
    join(last, to);
  }
  order_rows(beside, layers);
  std::vector<GraphLayout::Place> all(beside.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    layout.layer_sizes.push_back(layers[i].size());
    layout.rows = std::max(layout.rows, layers[i].size());
    for (size_t row = 0; row < layers[i].size(); ++row) all[layers[i][row]] = {i, row};
  }
  for (size_t i = 0; i < edges.size(); ++i) {
    for (const size_t node : between[i]) layout.ways[i].push_back(all[node]);
  }
  all.resize(nodes);
  layout.places = std::move(all);
  return layout;
}

}  // namespace weft::weftctl
