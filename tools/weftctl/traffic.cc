#include "tools/weftctl/traffic.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "api/text/print.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/graph_svg.h"
#include "tools/weftctl/graph_text.h"
#include "tools/weftctl/proxies_text.h"
#include "tools/weftctl/top_text.h"
#include "weft/v1/traffic.grpc.pb.h"

namespace weft::weftctl {

namespace {

constexpr size_t kDefaultColumns = 80;
// Goes home and clears what follows; after the text, so that nothing flickers.
constexpr char kHome[] = "\x1b[H";
constexpr char kClearRest[] = "\x1b[J";
constexpr char kClearLine[] = "\x1b[K";
constexpr int64_t kLeastIntervalMs = 100;

std::string check_duration(const std::string& text) {
  return parse_duration_ms(text).has_value() ? "" : "\"" + text + "\": expected a duration such as 30s";
}

void add_shared(CLI::App& command, TrafficOptions& options) {
  command.add_option("-n,--namespace", options.namespace_name, "Only what has an end in it; by default all")
      ->type_name("NAMESPACE");
  command.add_option("--window", options.window, "How far back rates and quantiles look, at most 60s")
      ->type_name("DURATION")
      ->capture_default_str()
      ->check(check_duration);
}

int fetch(const TrafficOptions& options, v1::Traffic::Stub* stub, const std::string& socket,
          v1::TrafficResponse* response) {
  v1::TrafficRequest request;
  request.set_namespace_(options.namespace_name);
  *request.mutable_window() =
      google::protobuf::util::TimeUtil::MillisecondsToDuration(*parse_duration_ms(options.window));
  grpc::ClientContext context;
  return tell(stub->Get(&context, request, response), socket);
}

std::string as_json(const v1::TrafficResponse& response) {
  text::PrintOptions options;
  options.proto_names = false;
  return text::print_json(response, options) + "\n";
}

size_t terminal_columns() {
  struct winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultColumns;
  return size.ws_col;
}

// Every line clears what an earlier, longer one left behind it.
std::string redrawn(const std::string& text) {
  std::string out = kHome;
  for (const char c : text) {
    if (c == '\n') out += kClearLine;
    out += c;
  }
  return out + kClearRest;
}

}  // namespace

void add_top_options(CLI::App& command, TrafficOptions& options) {
  add_shared(command, options);
  command.add_option("--sort", options.sort, "By which column")
      ->capture_default_str()
      ->check(CLI::IsMember({"rate", "success", "p50", "p99", "bytes", "name"}));
  command.add_option("--interval", options.interval, "From one drawing to the next")
      ->type_name("DURATION")
      ->capture_default_str()
      ->check(check_duration);
  command.add_flag("--once", options.once, "Print it once; so it is without a terminal, too");
  command.add_option("-o,--output", options.output, "json, for programs")->check(CLI::IsMember({"json"}));
}

void add_graph_options(CLI::App& command, TrafficOptions& options) {
  add_shared(command, options);
  command.add_option("-o,--output", options.output, "json, dot or svg; by default a tree")
      ->check(CLI::IsMember({"json", "dot", "svg"}));
}

int top(const TrafficOptions& options, const std::string& socket) {
  const auto stub = v1::Traffic::NewStub(connect_channel(socket));
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  const bool is_live = is_terminal && !options.once && options.output.empty();
  const int64_t interval_ms = std::max(kLeastIntervalMs, *parse_duration_ms(options.interval));
  for (bool is_first = true;; is_first = false) {
    v1::TrafficResponse response;
    if (const int code = fetch(options, stub.get(), socket, &response); code != kDone) return code;
    if (!options.output.empty()) {
      std::cout << as_json(response);
      return kDone;
    }
    const std::string text = top_text(response, {.namespace_name = options.namespace_name,
                                                 .sort = options.sort,
                                                 .columns = is_terminal ? terminal_columns() : kDefaultColumns,
                                                 .is_coloured = is_terminal});
    if (!is_live) {
      std::cout << text;
      return kDone;
    }
    // The first time what stands on the screen is pushed up, not written over.
    if (is_first) std::cout << "\x1b[2J";
    std::cout << redrawn(text) << std::flush;
    poll(nullptr, 0, static_cast<int>(interval_ms));
  }
}

int graph(const TrafficOptions& options, const std::string& socket) {
  const auto stub = v1::Traffic::NewStub(connect_channel(socket));
  v1::TrafficResponse response;
  if (const int code = fetch(options, stub.get(), socket, &response); code != kDone) return code;
  if (options.output == "json") {
    std::cout << as_json(response);
  } else if (options.output == "dot") {
    std::cout << graph_dot(response, options.namespace_name);
  } else if (options.output == "svg") {
    std::cout << graph_svg(response, options.namespace_name);
  } else {
    const bool is_terminal = isatty(STDOUT_FILENO) == 1;
    std::cout << graph_tree(response, options.namespace_name, is_terminal);
  }
  return kDone;
}

}  // namespace weft::weftctl
