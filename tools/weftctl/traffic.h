#pragma once

// weftctl's commands about traffic: `top`, a table that is drawn anew every so often, and `graph`. Main thread. Each
// returns the process's exit code (client.h).

#include <cstdint>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace weft::weftctl {

struct TrafficOptions {
  std::string namespace_name;
  // "json"; of graph also "dot" and "svg". Empty: for people.
  std::string output;
  std::string sort = "rate";
  std::string window = "30s";
  std::string interval = "2s";
  bool once = false;
};

// Adds the options of `top` and `graph`; their words go to `options`, which outlives the command.
void add_top_options(CLI::App& command, TrafficOptions& options);
void add_graph_options(CLI::App& command, TrafficOptions& options);

int top(const TrafficOptions& options, const std::string& socket);
int graph(const TrafficOptions& options, const std::string& socket);

}  // namespace weft::weftctl
