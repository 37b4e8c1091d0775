// SPDX-License-Identifier: Apache-2.0
// A program that looks into files as model-prep does before it publishes them, so that tests in
// Python can compare thousands of files with what the libraries of their formats say:
//
//   model-prep-look safetensors FILE...     sound, malformed or unknown, a tab, and why
//   model-prep-look gguf FILE...
//   model-prep-look pickle FILE...          none, pickle or opaque, a tab, and the imports beyond
//                                           PyTorch's list, with tabs between them
//
// One line for each file.
#include <cstdio>
#include <exception>
#include <span>
#include <string>

#include "model_prep/core/gguf.h"
#include "model_prep/core/pickle_files.h"
#include "model_prep/core/safetensors.h"
#include "model_prep/io/file_range.h"

namespace {

using namespace model_prep;

std::string line_of(const FormatCheck& check) {
  constexpr const char* kNames[] = {"sound", "malformed", "unknown"};
  return std::string(kNames[static_cast<int>(check.format)]) + "\t" + check.why;
}

std::string line_of(const PickleFindings& findings) {
  constexpr const char* kNames[] = {"none", "pickle", "opaque"};
  std::string line = kNames[static_cast<int>(findings.form)];
  for (const std::string& name : findings.imports) line += "\t" + name;
  return line;
}

std::string look(const std::string& format, const FileRange& file) {
  if (format == "safetensors") return line_of(read_safetensors(file).check);
  if (format == "gguf") return line_of(check_gguf(file));
  return line_of(look_for_pickle(file, PickleDepth::imports));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    for (const char* path : arguments.subspan(2)) {
      const auto fd = open_for_reading(path);
      const auto range = fd ? range_of(*fd) : std::nullopt;
      if (!range) return 1;
      std::puts(look(arguments[1], *range).c_str());
    }
    return 0;
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    return 1;
  }
}
