#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/v1/kept_config.pb.h"

// A file of kept configuration: a mark, the length and a hash of what follows, and a weft.v1.KeptResources. Reading
// trusts none of it: a file that was cut off, changed or made by another is an error. Pure, but for the two that touch
// the disk.

namespace weft::config {

inline constexpr size_t kMaxKeptFileBytes = 256 * 1024 * 1024;

std::string encode_kept(const v1::KeptResources& kept);
// Errors say what is wrong with the bytes.
absl::StatusOr<v1::KeptResources> decode_kept(std::string_view bytes);

// All of a file, NotFound if there is none; errors name it. A file that others than its owner may write is not read.
absl::StatusOr<std::string> read_kept_file(const std::string& path);
// Takes the place of the old one at once or not at all; only its owner may read it.
absl::Status write_kept_file(const std::string& path, std::string_view bytes);
// Makes the directory if there is none, for its owner alone.
absl::Status make_kept_directory(const std::string& path);

}  // namespace weft::config
