// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/dependencies.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/resolve_locally.h"
#include "model_prep/commands/small_files.h"
#include "model_prep/core/build_table.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {
namespace {

/// The files of the snapshot that may name dependencies.
std::vector<const RemoteFile*> files_to_read(const ResolvedSnapshot& snapshot) {
  // Their texts are in memory together.
  constexpr std::size_t kMaxFiles = 256;
  Bytes rest = Bytes{16} * 1024 * 1024;
  std::vector<const RemoteFile*> files;
  for (const RemoteFile& file : snapshot.files) {
    if (file.size > std::min(kMaxDependencyFile, rest) || files.size() == kMaxFiles ||
        !may_name_dependencies(file.path, snapshot.spec))
      continue;
    files.push_back(&file);
    rest -= file.size;
  }
  return files;
}

std::optional<std::string> cached_text(const ResolvedSnapshot& snapshot, const RemoteFile& file,
                                       const Cache& cache) {
  auto text =
      read_file(cache.content(snapshot.spec.repo, snapshot.commit, file).path, kMaxDependencyFile);
  return text && is_content_of(file, *text) ? std::move(text) : std::nullopt;
}

FileTexts cached_texts(const ResolvedSnapshot& snapshot, const Cache& cache) {
  FileTexts texts;
  for (const RemoteFile* file : files_to_read(snapshot))
    if (auto text = cached_text(snapshot, *file, cache))
      texts.emplace(file->path, std::move(*text));
  return texts;
}

/// The first file that the cache has, and whose text is not known all the same: it may name any
/// dependency.
std::optional<Error> find_unread(const ResolvedSnapshot& snapshot, const FileTexts& texts,
                                 const Cache& cache) {
  for (const RemoteFile* file : files_to_read(snapshot)) {
    const auto content = cache.content(snapshot.spec.repo, snapshot.commit, *file);
    if (texts.contains(file->path) || !content.there) continue;

    const bool is_readable = read_file(content.path, kMaxDependencyFile).has_value();
    return Error{
        is_readable ? ErrorKind::digest_mismatch : ErrorKind::io,
        fmt::format("{} {} {}, so what the model needs is not known", snapshot.spec.repo.text(),
                    file->path.text(), is_readable ? "does not have its digest" : "cannot be read"),
        "model-prep verify --repair downloads it again"};
  }
  return std::nullopt;
}

/// Adds the texts that the cache does not have.
void request_texts(std::span<const ResolvedSnapshot* const> snapshots,
                   std::vector<Result<FileTexts>>& texts, Fetcher& fetcher, DependencyMode mode) {
  std::vector<SmallFile> files;
  std::vector<std::size_t> askers;
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    // They were shown when the model was locked; a lock should need no request.
    if (mode == DependencyMode::report && snapshots[i]->spec.fully_locked) continue;

    for (const RemoteFile* file : files_to_read(*snapshots[i])) {
      if (texts[i]->contains(file->path)) continue;
      files.push_back({snapshots[i]->spec.repo, snapshots[i]->commit, *file});
      askers.push_back(i);
    }
  }

  request_small_files(fetcher, files, [&](std::size_t i, const Result<std::string_view>& text) {
    Result<FileTexts>& found = texts[askers[i]];
    if (!found) return;
    if (text)
      found->emplace(files[i].file.path, *text);
    else
      found = text.error();
  });
}

/// Of a snapshot whose files nobody has listed, as huggingface_hub before 1.22 left it: whether it
/// has weights, all parts of them, and no dangling link. A download that was killed has
/// fetched the small files first, and an index of weights is one of them.
bool looks_complete(const std::string& snapshot) {
  const Strings paths = list_recursively(snapshot);
  const auto is_there = [](const std::string& path) { return stat_path(path).has_value(); };
  if (!std::ranges::all_of(paths, is_there)) return false;

  bool has_weights = false;
  std::set<std::string> indices;
  std::set<std::string> shards;
  for (const std::string& path : paths) {
    if (role_of(path) == FileRole::foreign) continue;
    const std::string name = file_name(path);
    const auto weights = parse_weights(name);
    if (!weights) {
      has_weights = has_weights || name.ends_with(".gguf") || name.ends_with(".onnx");
      continue;
    }

    if (weights->part == Part::index) indices.insert(weights->set);
    if (weights->part == Part::shard) shards.insert(weights->set);
    if (weights->part == Part::shard && !std::ranges::all_of(all_shards(path), is_there))
      return false;

    // Not `training_args.bin`, `scheduler.pt` and the like.
    has_weights = has_weights || (weights->part != Part::index &&
                                  (weights->safetensors || name.find("model") != name.npos));
  }
  return has_weights && std::ranges::includes(shards, indices);
}

/// Sets `present`. Returns the snapshot if the cache has it and its files are known.
std::optional<ResolvedSnapshot> look_up(Dependency& dependency, const ModelSpec& needed_by,
                                        Cache& cache) {
  const ModelSpec spec = dependency_spec(dependency, needed_by);
  cache.adopt_existing(spec.repo, Cache::Writing::forbidden);
  dependency.present = false;
  const auto commit = cached_commit(spec, cache);
  if (!commit) return std::nullopt;

  const CacheLayout& layout = cache.repository(spec.repo).layout;
  const auto is_there = [&](const RepoPath& path) {
    return stat_path(layout.link(*commit, path)).has_value();
  };
  if (!stat_path(layout.snapshot(*commit)) || !std::ranges::all_of(dependency.needed, is_there))
    return std::nullopt;

  auto local = resolve_locally(spec, cache, Network::forbidden);
  if (!local->snapshot) {
    const bool is_unlisted = local->snapshot.error().kind == ErrorKind::offline_missing;
    const bool has_needed = dependency.code || !dependency.needed.empty();
    dependency.present = is_unlisted && (has_needed || looks_complete(layout.snapshot(*commit)));
    return std::nullopt;
  }
  dependency.present = cache.inspect(*local->snapshot, local->record).has_every_file();
  if (!dependency.present) return std::nullopt;
  return std::move(*local->snapshot);
}

/// Looks up these dependencies, and adds those of what is there.
void complete(std::vector<Dependency>& dependencies, const ModelSpec& model, Cache& cache) {
  for (std::size_t i = 0; i < dependencies.size() && i < kMaxDependencies; ++i) {
    const auto snapshot = look_up(dependencies[i], model, cache);
    if (!snapshot || dependencies[i].code) continue;

    for (Dependency& further :
         find_dependencies(cached_texts(*snapshot, cache), snapshot->spec, snapshot->files)) {
      const bool is_known = further.repo == model.repo ||
                            std::ranges::any_of(dependencies, [&](const Dependency& other) {
                              return other.key() == further.key() && other.code == further.code;
                            });
      if (is_known) continue;
      further.direct = false;
      further.reason += " of " + dependencies[i].repo.text();
      dependencies.push_back(std::move(further));
    }
  }
}

bool is_selected(const Dependency& dependency, std::span<const ModelReport> models) {
  return std::ranges::any_of(models, [&](const ModelReport& model) {
    const ModelSpec& spec = model.spec;
    return spec.repo == dependency.repo &&
           (spec.key == dependency.key() || spec.revision == dependency.revision ||
            (spec.ref == dependency.revision.text() && !spec.ref_if_unset));
  });
}

/// As which model of the run the dependency is fetched. A manifest may give its name to a model of
/// another repository, and a lockfile and the summary have room for one model under each key.
std::string free_key(const Dependency& dependency, std::span<const ModelReport> models) {
  const auto is_taken = [&](const std::string& key) {
    return std::ranges::any_of(models, [&](const ModelReport& model) {
      return model.spec.key == key && model.spec.repo != dependency.repo;
    });
  };
  std::string key = dependency.key();
  while (is_taken(key)) key += "@" + dependency.revision.text();
  return key;
}

void append(RunReport& report, RunReport step) {
  std::ranges::move(step.models, std::back_inserter(report.models));
  report.requests += step.requests;
  report.retries += step.retries;
  report.signal = step.signal;
  report.error = step.error;
}

/// Fails a model that was removed while what it needs arrived.
void check_still_there(Session& session, ModelReport& model) {
  const auto is_there = [&](const FileReport& file) {
    const auto there = stat_path(model.snapshot + "/" + file.path);
    return there && there->size == file.size;
  };
  if (!model.success() || std::ranges::all_of(model.files, is_there)) return;

  model.status = ModelStatus::failed;
  model.error =
      Error{ErrorKind::io, model.spec.key + ": its files were removed while what it needs arrived",
            "run model-prep again: it gets what is missing"};
  session.log_error(*model.error);
}

/// Downloads what the report's models need, and what that needs, as models of the same run.
void fetch_dependencies(Session& session, RunReport& report,
                        const std::function<RunReport(std::vector<ModelSpec>)>& download) {
  const std::size_t asked = report.models.size();
  for (int depth = 0; depth < kMaxDependencyDepth && !report.signal && !report.error; ++depth) {
    auto specs = unselected_dependencies(report.models, session.known_manifest(), &session.cache);
    if (specs.empty()) break;

    Strings keys;
    for (const ModelSpec& spec : specs) keys.push_back(spec.key);
    session.log.info(sanitize_for_log(fmt::format("also needed: {}", fmt::join(keys, ", "))));
    append(report, download(std::move(specs)));
  }

  const bool has_fetched = report.models.size() > asked && !session.options.dry_run;
  for (ModelReport& model : report.models) {
    complete(model.dependencies, model.spec, session.cache);
    if (has_fetched) check_still_there(session, model);
  }
}

std::string need_of(const ModelReport& model, const Dependency& dependency) {
  return sanitize_for_log(fmt::format("{} needs {}, {} ({})", model.spec.key, dependency.key(),
                                      dependency.reason, dependency.file.text()));
}

/// A line for each dependency; empty if there are none.
std::string dependency_lines(std::span<const ModelReport> models) {
  std::string lines;
  for (const ModelReport& model : models)
    for (const Dependency& dependency : model.dependencies)
      lines += need_of(model, dependency) +
               (dependency.present ? ": in the cache\n" : ": not in the cache\n");
  return lines;
}

}  // namespace

std::vector<Result<std::vector<Dependency>>> read_dependencies(
    std::span<const ResolvedSnapshot* const> snapshots, Cache& cache, Fetcher* fetcher,
    DependencyMode mode) {
  std::vector<Result<FileTexts>> texts;
  for (const ResolvedSnapshot* snapshot : snapshots)
    texts.emplace_back(cached_texts(*snapshot, cache));
  if (fetcher != nullptr) request_texts(snapshots, texts, *fetcher, mode);

  std::vector<Result<std::vector<Dependency>>> found;
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    if (!texts[i]) {
      found.emplace_back(texts[i].error());
      continue;
    }
    const bool must_know = mode != DependencyMode::report && fetcher == nullptr;
    if (auto unread = must_know ? find_unread(*snapshots[i], *texts[i], cache) : std::nullopt) {
      found.emplace_back(std::move(*unread));
      continue;
    }

    auto dependencies = find_dependencies(*texts[i], snapshots[i]->spec, snapshots[i]->files);
    complete(dependencies, snapshots[i]->spec, cache);
    found.emplace_back(std::move(dependencies));
  }
  return found;
}

std::vector<ModelSpec> unselected_dependencies(std::span<const ModelReport> models,
                                               const Manifest& manifest, const Cache* cache) {
  std::vector<ModelSpec> specs;
  for (const ModelReport& model : models)
    for (const Dependency& dependency : model.dependencies) {
      if (is_selected(dependency, models)) continue;

      ModelSpec spec = dependency_spec(dependency, model.spec, manifest);
      spec.key = free_key(dependency, models);
      const auto commit =
          cache != nullptr && dependency.present ? cached_commit(spec, *cache) : std::nullopt;
      if (commit) spec.revision = *Revision::parse(commit->hex());

      // A whole model has the code as well.
      const auto known = std::ranges::find(specs, spec.key, &ModelSpec::key);
      if (known == specs.end()) {
        specs.push_back(std::move(spec));
        continue;
      }

      spec.policy = tightened(spec.policy, known->policy);
      if (dependency.include.empty())
        *known = std::move(spec);
      else
        known->policy = spec.policy;
    }
  return specs;
}

void judge_dependencies(Session& session, std::span<ModelReport> models, DependencyMode mode,
                        Selected selected) {
  for (ModelReport& model : models) {
    if (!model.success()) continue;

    for (const Dependency& dependency : model.dependencies) {
      if (dependency.present) continue;
      if (selected == Selected::count && is_selected(dependency, models)) continue;

      const std::string missing = need_of(model, dependency) + ", which is not in the cache";
      std::string hint = "model-prep --dependencies fetch downloads it";
      if (dependency.code) hint += "; it is code, which will run: use it only if you trust it";
      if (mode == DependencyMode::report) {
        session.log.warning(fmt::format("{}; {}", missing, hint));
        continue;
      }

      if (mode == DependencyMode::fetch)
        hint = "the log has its own error; if it has none, it lacks files that the model needs";
      const Error error{ErrorKind::dependency_missing, missing, hint};
      session.log_error(error);
      if (!model.error) model.error = error;
    }
    if (model.error) model.status = ModelStatus::failed;
  }
}

void settle_dependencies(Session& session, RunReport& report,
                         const std::function<RunReport(std::vector<ModelSpec>)>& download) {
  const Options& options = session.options;
  if (options.dependencies == DependencyMode::fetch) fetch_dependencies(session, report, download);
  if (options.dry_run) session.print_result(dependency_lines(report.models));
  judge_dependencies(session, report.models, options.dependencies,
                     options.dry_run ? Selected::count : Selected::must_be_there);
}

}  // namespace model_prep
