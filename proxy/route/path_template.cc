#include "proxy/route/path_template.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft::route {
namespace {

constexpr size_t kMaxVariables = 5;
constexpr size_t kMaxOperators = 16;
constexpr size_t kMaxBytes = 4096;
// RFC 3986, 3.3: what a segment is made of, escapes included.
constexpr std::string_view kSegmentClass = R"([A-Za-z0-9\-._~%!$&'()*+,;:@=])";
constexpr std::string_view kRestClass = R"([A-Za-z0-9\-._~%!$&'()*+,;:@=/])";
constexpr std::string_view kLiterals = "-._~%!$&'()+,;:@";

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<std::string> run() {
    if (text_.empty() || text_[0] != '/') return error("expected a leading /");
    if (text_.size() > kMaxBytes) return error("is longer than 4096 bytes");
    if (absl::Status status = pattern(false); !status.ok()) return status;
    if (at_ != text_.size()) return error("has a } without its {");
    return std::move(regex_);
  }

 private:
  absl::Status error(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("the path template \"",
                                                   absl::string_view(text_.data(), text_.size()), "\" ",
                                                   absl::string_view(what.data(), what.size())));
  }

  // Up to the end, or to the } of the variable that it stands in.
  absl::Status pattern(bool in_variable) {
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      absl::Status status;
      if (c == '}') {
        return in_variable ? absl::OkStatus() : error("has a } without its {");
      } else if (c == '*') {
        status = star();
      } else if (c == '{') {
        status = in_variable ? error("has a variable within a variable") : variable();
      } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '/') {
        status = error("has two slashes in a row");
      } else if (c == '/' || absl::ascii_isalnum(static_cast<unsigned char>(c)) || (c == '=' && !in_variable) ||
                 kLiterals.find(c) != std::string_view::npos) {
        if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '/') regex_ += '\\';
        regex_ += c;
      } else {
        status = error("has a character that no path has");
      }
      if (!status.ok()) return status;
    }
    return in_variable ? error("has a { without its }") : absl::OkStatus();
  }

  absl::Status star() {
    if (rest_taken_) return error("has an operator behind **, which must be the last");
    if (++operators_ > kMaxOperators) return error("has more than 16 operators");
    if (at_ + 1 < text_.size() && text_[at_ + 1] == '*') {
      ++at_;
      rest_taken_ = true;
      absl::StrAppend(&regex_, absl::string_view(kRestClass.data(), kRestClass.size()), "*");
      if (at_ + 1 < text_.size() && text_[at_ + 1] == '*') return error("has three stars in a row");
    } else {
      absl::StrAppend(&regex_, absl::string_view(kSegmentClass.data(), kSegmentClass.size()), "+");
    }
    return absl::OkStatus();
  }

  absl::Status variable() {
    size_t end = text_.find_first_of("=}", ++at_);
    if (end == std::string_view::npos) return error("has a { without its }");
    std::string_view name = text_.substr(at_, end - at_);
    if (name.empty() || !absl::ascii_isalpha(static_cast<unsigned char>(name[0]))) {
      return error("has a variable whose name does not begin with a letter");
    }
    for (char c : name) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_') {
        return error("has a variable whose name is not made of letters, digits and _");
      }
    }
    if (name.size() > 16) return error("has a variable whose name is longer than 16 characters");
    for (std::string_view known : variables_) {
      if (known == name) return error("has two variables of one name");
    }
    variables_.push_back(name);
    if (variables_.size() > kMaxVariables) return error("has more than 5 variables");
    at_ = end;
    if (text_[at_] == '}') {
      if (rest_taken_) return error("has an operator behind **, which must be the last");
      absl::StrAppend(&regex_, absl::string_view(kSegmentClass.data(), kSegmentClass.size()), "+");
      return absl::OkStatus();
    }
    ++at_;
    if (at_ < text_.size() && text_[at_] == '}') return error("has a variable with an empty pattern");
    return pattern(true);
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string regex_;
  std::vector<std::string_view> variables_;
  size_t operators_ = 0;
  bool rest_taken_ = false;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Regex>> compile_path_template(std::string_view text) {
  absl::StatusOr<std::string> regex = Parser(text).run();
  if (!regex.ok()) return regex.status();
  return Regex::compile(*regex);
}

}  // namespace weft::route
