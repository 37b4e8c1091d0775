// SPDX-License-Identifier: Apache-2.0
// model-prep-hub: the test hub as a program, for demonstrations and for tests in other languages.
#include <charconv>
#include <csignal>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "support/fake_hub.h"
#include "support/hub_spec.h"
#include "support/hub_tls.h"

namespace {

using model_prep::testing::FakeHub;
using model_prep::testing::HubOptions;
using model_prep::testing::HubSpec;
using model_prep::testing::TestAuthority;

constexpr std::string_view kUsage =
    R"(usage: model-prep-hub [--spec FILE | --demo | --minilm] [options]

A small Hugging Face Hub on 127.0.0.1, for tests. Prints {"endpoint":…,"payload":…} when it listens, serves until
SIGTERM or SIGINT, exits 0.

  --spec FILE          repositories from a JSON file
  --demo               small repositories named like the three default models
  --minilm             all-MiniLM-L6-v2, 30 files in their true sizes
  --port N             port of the hub (default: any)
  --payload-port N     port of the payload host (default: any)
  --ready-file FILE    write the line here too, all at once
  --manifest-out FILE  write a manifest that locks the repositories
  --token T            a valid token; may be repeated
  --mirror             /resolve/ answers 200 itself, as mirrors do
  --no-tree-api        /tree/ is 404
  --page-size N        entries of one page of /tree/ (default: 1000)
  --rate N             bytes per second and connection (default: no limit)
  --tls FILE           https, with a new CA whose certificate is written to FILE
  --help
)";

struct Settings {
  HubOptions options;
  HubSpec spec;
  std::string ready_file;
  std::string manifest_file;
  std::string authority_file;
  bool has_tree_api = true;
  bool wants_help = false;
};

template <typename Number>
Number parse_positive(std::string_view text) {
  Number number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || number <= 0) {
    throw std::invalid_argument("not a positive number: " + std::string(text));
  }
  return number;
}

class Arguments {
 public:
  Arguments(int count, char** values) : next_(values + 1), end_(values + count) {}

  bool empty() const { return next_ == end_; }
  std::string take() {
    if (empty()) throw std::invalid_argument("the last option wants a value");
    return *next_++;
  }

 private:
  char** next_;
  char** end_;
};

void take_option(Settings& settings, Arguments& arguments) {
  const std::string name = arguments.take();
  HubOptions& options = settings.options;
  if (name == "--spec")
    return static_cast<void>(settings.spec = model_prep::testing::read_spec(arguments.take()));
  if (name == "--demo") return static_cast<void>(settings.spec = model_prep::testing::demo_spec());
  if (name == "--minilm")
    return static_cast<void>(settings.spec = model_prep::testing::minilm_spec());
  if (name == "--port")
    return static_cast<void>(options.hub_port = parse_positive<std::uint16_t>(arguments.take()));
  if (name == "--payload-port") {
    return static_cast<void>(options.payload_port =
                                 parse_positive<std::uint16_t>(arguments.take()));
  }
  if (name == "--ready-file") return static_cast<void>(settings.ready_file = arguments.take());
  if (name == "--manifest-out") return static_cast<void>(settings.manifest_file = arguments.take());
  if (name == "--token") return options.tokens.push_back(arguments.take());
  if (name == "--mirror") return static_cast<void>(options.style = HubOptions::Style::mirror);
  if (name == "--no-tree-api") return static_cast<void>(settings.has_tree_api = false);
  if (name == "--page-size")
    return static_cast<void>(options.page_size = parse_positive<std::size_t>(arguments.take()));
  if (name == "--rate") {
    return static_cast<void>(options.bytes_per_second_per_connection =
                                 parse_positive<std::int64_t>(arguments.take()));
  }
  if (name == "--help") return static_cast<void>(settings.wants_help = true);
  if (name == "--tls") return static_cast<void>(settings.authority_file = arguments.take());
  throw std::invalid_argument("no such option: " + name);
}

Settings parse_arguments(Arguments arguments) {
  Settings settings;
  while (!arguments.empty()) take_option(settings, arguments);
  for (const std::string& token : settings.spec.tokens) settings.options.tokens.push_back(token);
  for (auto& repo : settings.spec.repos)
    repo.has_tree_api = repo.has_tree_api && settings.has_tree_api;
  if (settings.spec.repos.empty() && !settings.wants_help) {
    throw std::invalid_argument("one of --spec, --demo, --minilm is needed");
  }
  return settings;
}

// Renamed into place, so that a waiting process never reads half a file.
void write_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp";
  std::ofstream stream(temporary, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) throw std::runtime_error("cannot write " + temporary);
  std::filesystem::rename(temporary, path);
}

void serve(Settings settings) {
  sigset_t endings;
  sigemptyset(&endings);
  sigaddset(&endings, SIGTERM);
  sigaddset(&endings, SIGINT);
  // Before the hub starts its threads, which inherit the mask: only sigwait below takes these
  // signals.
  pthread_sigmask(SIG_BLOCK, &endings, nullptr);

  if (!settings.authority_file.empty()) {
    const TestAuthority authority("model-prep-hub");
    settings.options.tls = authority.certify({});
    write_file(settings.authority_file, authority.pem());
  }
  FakeHub hub(settings.options);
  for (auto& repo : settings.spec.repos) hub.add(std::move(repo));
  if (!settings.manifest_file.empty()) write_file(settings.manifest_file, hub.manifest());
  const std::string line =
      "{\"endpoint\":\"" + hub.endpoint() + "\",\"payload\":\"" + hub.payload_origin() + "\"}\n";
  if (!settings.ready_file.empty()) write_file(settings.ready_file, line);
  std::cout << line << std::flush;
  int signal_number = 0;
  sigwait(&endings, &signal_number);
}

}  // namespace

int main(int count, char** values) {
  try {
    Settings settings = parse_arguments(Arguments(count, values));
    if (settings.wants_help) {
      std::cout << kUsage;
    } else {
      serve(std::move(settings));
    }
    return 0;
  } catch (const std::invalid_argument& error) {
    std::cerr << "model-prep-hub: " << error.what() << "\nhint: model-prep-hub --help\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "model-prep-hub: " << error.what() << "\n";
    return 1;
  }
}
