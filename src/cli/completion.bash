# bash completion for model-prep: commands, the flags of each command, their values, and the
# manifest's keys. tests/deploy/test_shells.py holds it to what `model-prep --help` lists.

_model_prep() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command='' words='' key i
  local manifest=()

  # Readline splits --flag=value into three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi

  # The command is the first of these words that is not a flag's value. A model before it means
  # download.
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      download | verify | list | cleanup | lock | export | kserve-init)
        [[ -n $command ]] || command=${COMP_WORDS[i]}
        ;;
      --manifest | --manifest-key | --signature-key | --variant | --include | --exclude | --cache-dir | --summary | \
        --endpoint | --jobs | --retries | --patience | --timeout | --deadline | --limit-rate | --ca-file | \
        --dependencies | --progress | --log-level | --log-format | --for | --to | --prefix | --allow-license | \
        --scan | --format | --from)
        key=${COMP_WORDS[i]}
        [[ ${COMP_WORDS[i + 1]} != = ]] || ((i++))
        ((i++))
        [[ $key != --manifest ]] || manifest=(--manifest "${COMP_WORDS[i]/#~\//$HOME/}")
        ;;
      : | =) ((i++)) ;; # and the rest of an address that it splits
      --) command=${command:-download} ;;
      -*) ;;
      *) command=${command:-download} ;;
    esac
  done

  case $previous in
    --variant) words='fp32 fp16 openvino openvino-int8 onnx mistral gguf all' ;;
    --dependencies) words='report fetch require' ;;
    --format) words='lock cyclonedx' ;;
    --scan) words='off refuse-unsafe required' ;;
    --for)
      words='transformers sentence-transformers diffusers peft optimum-onnx optimum-intel onnxruntime fastembed'
      words="$words openvino faster-whisper model2vec mistral-common gguf tokenizers safetensors"
      ;;
    --progress) words='auto bar log none' ;;
    --log-level) words='debug info warn error off' ;;
    --log-format) words='text json' ;;
    --manifest | --manifest-key | --signature-key | --summary | --ca-file)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --to)
      compopt -o nospace
      mapfile -t COMPREPLY < <(compgen -W 'oci: dir: dir-flat:' -- "$current")
      return
      ;;
    --cache-dir | --from)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return
      ;;
    --include | --exclude | --endpoint | --jobs | --retries | --patience | --timeout | --deadline | \
      --limit-rate | --prefix | --allow-license)
      return
      ;;
  esac
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi

  if [[ $current == -* ]]; then
    local all='--manifest --manifest-key --cache-dir --log-level --log-format --help --version'
    local selection='--variant --include --exclude'
    local network='--endpoint --jobs --retries --patience --timeout --deadline --ca-file --progress'
    case ${command:-download} in
      download)
        words="$all $selection $network --dry-run --cleanup --offline --summary --limit-rate"
        words+=' --signature-key --dependencies --allow-license --scan --forbid-pickle-code --forbid-pickles'
        words+=' --require-signatures --to --prefix --from'
        ;;
      verify) words="$all $selection $network --repair --for --summary --limit-rate" ;;
      list) words="$all $selection $network --builds --json" ;;
      cleanup) words="$all --dry-run --summary" ;;
      lock)
        words="$all $selection $network --signature-key --check --dependencies --allow-license --scan"
        words+=' --format'
        ;;
      export) words="$all $selection --to --prefix --summary --progress" ;;
      kserve-init)
        words="$all $selection $network --summary --limit-rate --signature-key --allow-license --scan"
        words+=' --forbid-pickle-code --forbid-pickles --require-signatures'
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi

  if [[ $command == kserve-init ]]; then # addresses, and folders that need not exist
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
    return
  fi
  if [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'download verify list cleanup lock export kserve-init' -- "$current")
  fi
  # A key may contain anything, and compgen -W would expand $(...) in it: compare it as text.
  while IFS= read -r key; do
    [[ $key != "$current"* ]] || COMPREPLY+=("$(printf %q "$key")")
  done < <(MODELS_TO_DOWNLOAD='' "$1" list "${manifest[@]}" 2>/dev/null | awk 'NR > 1 { print $1 }')
}

complete -F _model_prep model-prep
