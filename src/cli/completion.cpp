// SPDX-License-Identifier: Apache-2.0
#include "model_prep/cli/completion.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/cli/flags.h"

namespace model_prep {
namespace {

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const CommandText& each : commands()) names.emplace_back(each.name);
  return names;
}

std::string joined(const std::vector<std::string>& names, const char* between) {
  return fmt::format("{}", fmt::join(names, between));
}

/// The flags that take a value, and those of them whose value is of that kind.
std::vector<std::string> flags_with_value(std::optional<ValueKind> kind = {}) {
  std::vector<std::string> names;
  for (const Flag& flag : flags())
    if (flag.kind != ValueKind::none && (!kind || flag.kind == *kind))
      names.emplace_back(flag.name);
  for (const InfoFlag& asking : info_flags())
    if (asking.kind != ValueKind::none && (!kind || asking.kind == *kind))
      names.emplace_back(asking.name);
  return names;
}

/// A shell's word in single quotes. All three close the quote for an apostrophe; fish knows `\'`
/// inside too.
std::string quoted(std::string_view text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

/// Puts the pieces into the script where it has `@name@`.
std::string filled(std::string script,
                   const std::vector<std::pair<std::string, std::string>>& pieces) {
  for (const auto& [name, piece] : pieces) {
    const std::string mark = "@" + name + "@";
    for (std::size_t at = 0; (at = script.find(mark, at)) != std::string::npos; at += piece.size())
      script.replace(at, mark.size(), piece);
  }
  return script;
}

constexpr const char* kBash =
    R"sh(# bash completion for model-prep: eval "$(model-prep --completion bash)", or as a file in
# /usr/share/bash-completion/completions
_model_prep() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' i words='' key
  local manifest=()
  # Readline splits --flag=value into three.
  if [[ $current == = ]]; then current=; elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      @commands|@) [[ -n $command ]] || command=${COMP_WORDS[i]} ;;
      @with_value|@)
        [[ ${COMP_WORDS[i]} != --manifest ]] || manifest=(--manifest "${COMP_WORDS[i + 1]}")
        ((i++))
        ;;
    esac
  done
  case $previous in
@choices@
    @files|@) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    @folders|@) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    @texts|@) return ;;
  esac
  case $current in
    -*)
      case ${command:-download} in
@flags@
      esac
      ;;
    *)
      [[ -n $command ]] || words='@commands @'
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  [[ $current != -* ]] || return
  # Keys are a manifest's words: compgen would run what stands in them.
  while IFS= read -r key; do
    [[ $key != "$current"* ]] || COMPREPLY+=("$(printf %q "$key")")
  done < <("$1" list "${manifest[@]}" 2>/dev/null | awk 'NR > 1 { print $1 }')
}
complete -F _model_prep model-prep
)sh";

std::string bash_script() {
  std::string choices;
  const auto add_choice = [&](const char* name, const std::vector<std::string>& words) {
    choices += fmt::format(
        "    {}) mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$current\") && return ;;\n", name,
        fmt::join(words, " "));
  };
  for (const Flag& flag : flags())
    if (flag.kind == ValueKind::choice) add_choice(flag.name, flag.choices);
  for (const InfoFlag& asking : info_flags())
    if (asking.kind == ValueKind::choice) add_choice(asking.name, asking.choices);
  std::string all;
  for (const CommandText& each : commands()) {
    std::vector<std::string> names;
    for (const Flag& flag : flags())
      if (flag.is_for(each.command)) names.emplace_back(flag.name);
    for (const InfoFlag& asking : info_flags()) names.emplace_back(asking.name);
    all += fmt::format("        {}) words='{}' ;;\n", each.name, fmt::join(names, " "));
  }
  return filled(kBash, {{"commands|", joined(command_names(), " | ")},
                        {"commands ", joined(command_names(), " ")},
                        {"with_value|", joined(flags_with_value(), " | ")},
                        {"files|", joined(flags_with_value(ValueKind::file), " | ")},
                        {"folders|", joined(flags_with_value(ValueKind::folder), " | ")},
                        {"texts|", joined(flags_with_value(ValueKind::text), " | ")},
                        {"choices", choices.substr(0, choices.size() - 1)},
                        {"flags", all.substr(0, all.size() - 1)}});
}

constexpr const char* kZsh = R"sh(#compdef model-prep
# zsh completion for model-prep: source <(model-prep --completion zsh), or as the file _model-prep in a folder of $fpath
_model_prep_words() {
  local -a keys commands
  keys=(${(f)"$(${words[1]} list ${opt_args[--manifest]:+--manifest=${opt_args[--manifest]}} 2>/dev/null | awk 'NR > 1 { print $1 }')"})
  [[ -n $command ]] || {
    commands=(
@commands@
    )
    _describe -t commands command commands
  }
  compadd -X model -a keys
}
_model_prep() {
  local command='' i
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      (@commands|@) [[ -n $command ]] || command=$words[i] ;;
      (@with_value|@) ((i++)) ;;
    esac
  done
  local -A opt_args
  local -a flags
  case ${command:-download} in
@flags@
  esac
  _arguments : $flags '*: :_model_prep_words'
}
if [[ $funcstack[1] == _model-prep ]]; then _model_prep "$@"; else compdef _model_prep model-prep; fi
)sh";

std::string zsh_spec(const char* name, const std::string& text, ValueKind kind, const char* type,
                     const std::vector<std::string>& choices, bool repeats) {
  std::string description;
  for (const char c : text)
    description += c == '[' || c == ']' || c == ':' ? fmt::format("\\{}", c) : std::string(1, c);
  std::string spec = repeats ? "*" : "";
  spec += fmt::format("{}{}[{}]", name, kind == ValueKind::none ? "" : "=", description);
  switch (kind) {
    case ValueKind::none: break;
    case ValueKind::text: spec += fmt::format(":{}: ", type); break;
    case ValueKind::file: spec += fmt::format(":{}:_files", type); break;
    case ValueKind::folder: spec += fmt::format(":{}:_files -/", type); break;
    case ValueKind::choice: spec += fmt::format(":{}:({})", type, fmt::join(choices, " ")); break;
  }
  return quoted(spec);
}

std::string zsh_script() {
  std::string names;
  std::string all;
  for (const CommandText& each : commands()) {
    names += fmt::format("      {}\n", quoted(fmt::format("{}:{}", each.name, each.text)));
    all += fmt::format("    ({})\n      flags=(\n", each.name);
    for (const Flag& flag : flags())
      if (flag.is_for(each.command))
        all += fmt::format("        {}\n", zsh_spec(flag.name, flag.text, flag.kind, flag.type,
                                                    flag.choices, flag.repeats));
    for (const InfoFlag& asking : info_flags())
      all += fmt::format("        {}\n", zsh_spec(asking.name, asking.text, asking.kind,
                                                  asking.type, asking.choices, false));
    all += "      )\n      ;;\n";
  }
  return filled(kZsh, {{"commands|", joined(command_names(), " | ")},
                       {"with_value|", joined(flags_with_value(), " | ")},
                       {"commands", names.substr(0, names.size() - 1)},
                       {"flags", all.substr(0, all.size() - 1)}});
}

constexpr const char* kFish =
    R"sh(# fish completion for model-prep: model-prep --completion fish | source, or as the file model-prep.fish in
# ~/.config/fish/completions
function __model_prep_command
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
        else if contains -- $word @with_value@
            set skip yes
        else if contains -- $word @commands@
            echo $word
            return 0
        end
    end
    return 1
end
function __model_prep_for
    contains -- (__model_prep_command; or echo download) $argv
end
function __model_prep_keys
    set -l words (commandline -opc)
    set -l manifest
    set -l at (contains -i -- --manifest $words)
    and set manifest --manifest $words[(math $at + 1)]
    command $words[1] list $manifest 2>/dev/null | awk 'NR > 1 { print $1 }'
end
complete -c model-prep -f
complete -c model-prep -a '(__model_prep_keys)' -d model
)sh";

std::string fish_value(ValueKind kind, const std::vector<std::string>& choices) {
  switch (kind) {
    case ValueKind::none: return "";
    case ValueKind::text: return " -x";
    case ValueKind::file: return " -r -F";
    case ValueKind::folder: return " -x -a '(__fish_complete_directories)'";
    case ValueKind::choice: return fmt::format(" -x -a '{}'", fmt::join(choices, " "));
  }
  return "";
}

std::string fish_script() {
  std::string script = filled(kFish, {{"commands", joined(command_names(), " ")},
                                      {"with_value", joined(flags_with_value(), " ")}});
  for (const CommandText& each : commands())
    script += fmt::format("complete -c model-prep -n 'not __model_prep_command' -a {} -d {}\n",
                          each.name, quoted(each.text));
  for (const Flag& flag : flags()) {
    std::vector<std::string> names;
    for (const CommandText& each : commands())
      if (flag.is_for(each.command)) names.emplace_back(each.name);
    script += fmt::format("complete -c model-prep -n '__model_prep_for {}' -l {}{} -d {}\n",
                          fmt::join(names, " "), flag.name + 2, fish_value(flag.kind, flag.choices),
                          quoted(flag.text));
  }
  for (const InfoFlag& asking : info_flags())
    script += fmt::format("complete -c model-prep -l {}{} -d {}\n", asking.name + 2,
                          fish_value(asking.kind, asking.choices), quoted(asking.text));
  return script;
}

}  // namespace

std::optional<std::string> completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return std::nullopt;
}

}  // namespace model_prep
