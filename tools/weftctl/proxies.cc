#include "tools/weftctl/proxies.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <iostream>
#include <memory>

#include "api/text/print.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/proxies_text.h"
#include "weft/v1/proxies.grpc.pb.h"

namespace weft::weftctl {

namespace {

constexpr size_t kBarWidth = 30;
// Goes to the start of the line and clears it.
constexpr char kClearLine[] = "\r\x1b[K";

std::unique_ptr<v1::Proxies::Stub> connect_proxies(const std::string& socket) {
  return v1::Proxies::NewStub(connect_channel(socket));
}

// True if `output` is one that scripts read; then it has been printed.
bool print_for_scripts(const google::protobuf::Message& message, const std::string& output) {
  text::PrintOptions options;
  options.proto_names = false;
  if (output == "json") {
    std::cout << text::print_json(message, options) << "\n";
  } else if (output == "yaml") {
    std::cout << text::print_yaml(message, options);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int proxy_status(const std::string& socket, const std::string& proxy, const std::string& output) {
  v1::ProxyStatusRequest request;
  request.set_proxy(proxy);
  grpc::ClientContext context;
  v1::ProxyStatusResponse response;
  const int code = tell(connect_proxies(socket)->Status(&context, request, &response), socket);
  if (code != kDone) return code;
  if (!proxy.empty() && response.proxies().empty()) {
    std::cerr << "weftctl: no proxy \"" << proxy << "\" is connected\n";
    return kRefused;
  }
  if (!print_for_scripts(response, output)) std::cout << status_table(response);
  return kDone;
}

int proxy_config(const std::string& socket, const std::string& types, const std::string& proxy,
                 const std::string& output) {
  v1::ProxyConfigRequest request;
  request.set_proxy(proxy);
  request.set_type(types.substr(0, types.size() - 1));
  grpc::ClientContext context;
  v1::ProxyConfigResponse response;
  const int code = tell(connect_proxies(socket)->Config(&context, request, &response), socket);
  if (code != kDone) return code;
  if (!print_for_scripts(response, output)) std::cout << config_table(request.type(), response);
  return kDone;
}

int await_applied(const std::string& socket, uint64_t revision, int64_t timeout_ms) {
  v1::AwaitRequest request;
  request.set_revision(revision);
  *request.mutable_timeout() = google::protobuf::util::TimeUtil::MillisecondsToDuration(timeout_ms);
  grpc::ClientContext context;
  const auto stub = connect_proxies(socket);
  const auto reader = stub->Await(&context, request);
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  v1::RolloutProgress progress;
  std::string last;
  while (reader->Read(&progress)) {
    if (progress.state() != v1::RolloutProgress::RUNNING || progress.concerned() == 0) continue;
    const std::string line = is_terminal ? progress_bar(progress, kBarWidth) : progress_line(progress);
    if (line == last) continue;
    std::cout << (is_terminal ? kClearLine : "") << line << (is_terminal ? "" : "\n") << std::flush;
    last = line;
  }
  if (is_terminal && !last.empty()) std::cout << kClearLine;
  if (const int code = tell(reader->Finish(), socket); code != kDone) return code;
  if (progress.state() == v1::RolloutProgress::APPLIED) {
    std::cout << rollout_end(progress);
    return kDone;
  }
  std::cerr << "weftctl: " << rollout_end(progress);
  return kNotApplied;
}

}  // namespace weft::weftctl
