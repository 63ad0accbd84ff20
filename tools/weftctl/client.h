#pragma once

// The calls that weftctl makes, and how it ends. Main thread.

#include <memory>
#include <string>
#include <vector>

#include "weft/v1/control.grpc.pb.h"

namespace weft::weftctl {

// What the process says when it ends.
enum ExitCode {
  kDone = 0,
  // `diff`: applying would change something; `analyze`: warnings and no errors; `explain`: no route matches.
  kDifferent = 1,
  kWrongUse = 2,  // the command line, or a file that cannot be read
  kRefused = 3,   // the control plane says no, and why; `analyze`: errors
  kUnreachable = 4,
  kNotApplied = 5,  // only with --wait: a proxy refused the change, or has not applied it in time
};

std::shared_ptr<grpc::Channel> connect_channel(const std::string& socket);
std::unique_ptr<v1::Control::Stub> connect(const std::string& socket);

// Prints why a call failed, on standard error; says how to end.
int tell(const grpc::Status& status, const std::string& socket);

// "-" is standard input; of a folder every .yaml, .yml and .json below it, by name. False if one cannot be read; that
// has been told.
bool read_documents(const std::vector<std::string>& paths, google::protobuf::RepeatedPtrField<v1::Document>* documents);

}  // namespace weft::weftctl
