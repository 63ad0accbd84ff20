#include "tools/weftctl/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace weft::weftctl {

namespace {

namespace fs = std::filesystem;

constexpr int kMaxAnswerBytes = 256 << 20;

std::string refused_as(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "refused, nothing was changed";
    case grpc::StatusCode::NOT_FOUND:
      return "not found";
    case grpc::StatusCode::ABORTED:
      return "changed by someone else meanwhile, nothing was changed";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "no room, nothing was changed";
    default:
      return "error";
  }
}

bool is_document(const fs::path& path) {
  const std::string extension = path.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

bool add(const std::string& name, std::istream& in, google::protobuf::RepeatedPtrField<v1::Document>* documents) {
  v1::Document* document = documents->Add();
  document->set_file_name(name);
  document->mutable_text()->assign(std::istreambuf_iterator<char>(in), {});
  if (!in.bad()) return true;
  std::cerr << "weftctl: cannot read " << name << "\n";
  return false;
}

// A folder's documents, or the file itself; false if it cannot be listed.
bool list_files(const std::string& path, std::vector<std::string>* files) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    files->push_back(path);
    return true;
  }
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    if (at->is_regular_file(error) && is_document(at->path())) files->push_back(at->path());
  }
  if (error) std::cerr << "weftctl: cannot read the folder " << path << ": " << error.message() << "\n";
  std::sort(files->begin(), files->end());
  return !error;
}

}  // namespace

std::shared_ptr<grpc::Channel> connect_channel(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

std::unique_ptr<v1::Control::Stub> connect(const std::string& socket) {
  return v1::Control::NewStub(connect_channel(socket));
}

int tell(const grpc::Status& status, const std::string& socket) {
  if (status.ok()) return kDone;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    std::cerr << "weftctl: no control plane answers on " << socket << ": " << status.error_message()
              << "\nIs weft-control running? --socket or WEFT_CONTROL names another socket.\n";
    return kUnreachable;
  }
  std::cerr << "weftctl: " << refused_as(status.error_code()) << ":\n" << status.error_message() << "\n";
  return kRefused;
}

bool read_documents(const std::vector<std::string>& paths,
                    google::protobuf::RepeatedPtrField<v1::Document>* documents) {
  for (const std::string& path : paths) {
    if (path == "-") {
      if (!add("standard input", std::cin, documents)) return false;
      continue;
    }
    std::vector<std::string> files;
    if (!list_files(path, &files)) return false;
    for (const std::string& file : files) {
      std::ifstream in(file, std::ios::binary);
      if (!in) {
        std::cerr << "weftctl: cannot open " << file << "\n";
        return false;
      }
      if (!add(file, in, documents)) return false;
    }
  }
  return true;
}

}  // namespace weft::weftctl
