// SPDX-License-Identifier: Apache-2.0
// What pickles import, in each form that PyTorch and Python load. tests/consumers compares the
// verdicts with those of torch.
#include "model_prep/core/pickle_files.h"

#include "model_prep/core/pickle.h"
#include "support/catch.h"

using namespace model_prep;
using namespace std::string_literals;

namespace {

using NameSet = std::set<std::string>;

PickleFindings look(const std::string& bytes) {
  return look_for_pickle(range_of(bytes), PickleDepth::imports);
}

NameSet imports_of(const std::string& bytes) {
  const PickleFindings findings = look(bytes);
  CHECK(findings.form == PickleForm::pickle);
  return findings.imports;
}

std::string text(const std::string& text) {
  return "\x8c"s + static_cast<char>(text.size()) + text;
}

std::string number(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xffU);
  return bytes;
}

struct Zipped {
  std::string name;
  std::string bytes;
  std::uint16_t method{0};
};

/// An archive as PyTorch writes it: with the records of zip64, or without.
std::string zip_of(const std::vector<Zipped>& entries, bool zip64 = true) {
  std::string file;
  std::string directory;
  for (const Zipped& entry : entries) {
    const std::string sizes = number(0, 4) + number(entry.bytes.size(), 4) +
                              number(entry.bytes.size(), 4) + number(entry.name.size(), 2);
    const std::string middle = number(0, 2) + number(entry.method, 2) + number(0, 4);
    directory += "PK\1\2"s + number(0, 2) + number(0, 2) + middle + sizes + number(0, 2) +
                 number(0, 2) + number(0, 8) + number(file.size(), 4) + entry.name;
    file +=
        "PK\3\4"s + number(0, 2) + middle + sizes + number(3, 2) + entry.name + "pad" + entry.bytes;
  }
  const std::size_t begin = file.size();
  file += directory;
  const std::size_t end = file.size();
  if (zip64)
    file += "PK\6\6"s + number(44, 8) + number(0, 4) + number(0, 8) + number(entries.size(), 8) +
            number(entries.size(), 8) + number(directory.size(), 8) + number(begin, 8) + "PK\6\7" +
            number(0, 4) + number(end, 8) + number(1, 4);
  return file + "PK\5\6" + number(0, 4) + number(entries.size(), 2) + number(entries.size(), 2) +
         number(directory.size(), 4) + number(zip64 ? 0xffffffff : begin, 4) + number(0, 2);
}

const std::string kSystem = "cposix\nsystem\nX\2\0\0\0ls\x85R."s;
const std::string kTensor = "\x80\2ctorch._utils\n_rebuild_tensor_v2\nq\0)R."s;

}  // namespace

TEST_CASE("each opcode that names an import is understood, in all protocols") {
  CHECK(imports_of("cposix\nsystem\n(S'ls'\ntR.") == NameSet{"posix.system"});
  CHECK(imports_of("(S'ls'\niposix\nsystem\n.") == NameSet{"posix.system"});
  CHECK(imports_of("\x80\4" + text("posix") + text("system") + "\x93" + text("ls") + "\x85R.") ==
        NameSet{"posix.system"});
  CHECK(imports_of("\x80\2X\5\0\0\0posixq\0X\6\0\0\0systemq\1"
                   "0h\1\x93."s) == NameSet{"posix.system"});
  CHECK(imports_of("\x80\4" + text("system") + "\x94" + text("posix") + "\x94" + "h\0\x93."s) ==
        NameSet{"posix.system"});
  CHECK(imports_of("Vposix\np5\n0Vsystem\np6\n0g5\ng6\n\x93.") == NameSet{"posix.system"});
  CHECK(imports_of("U\5posixr\0\1\0\0U\6system\x93."s) == NameSet{"posix.system"});
  CHECK(imports_of("\x80\4\x8d" + number(5, 8) + "posix" + "T" + number(6, 4) + "system\x93.") ==
        NameSet{"posix.system"});
  for (const std::string& extension : {"\x82\1."s, "\x83\1\0."s, "\x84\1\0\0\0."s})
    CHECK(imports_of("\x80\2" + extension) == NameSet{std::string(kComputedImport)});
}

TEST_CASE("a name that a call computes is an import that nobody knows") {
  CHECK(imports_of("\x80\4" + text("m") + "c_codecs\nencode\n)R\x93.") ==
        NameSet{std::string(kComputedImport)});
}

TEST_CASE("what PyTorch allows is no import to speak of, and what it does not is named once") {
  CHECK(imports_of(kTensor).empty());
  CHECK(imports_of("ccollections\nOrderedDict\n)R.").empty());
  CHECK(imports_of("c__builtin__\nset\n)R.").empty());
  CHECK(imports_of("c__builtin__\neval\n)R.") == NameSet{"__builtin__.eval"});
  CHECK(imports_of("ctorch._utils\n_rebuild\n)Rctorch\nload\nctorch\nload\n0.") ==
        NameSet{"torch._utils._rebuild", "torch.load"});
  CHECK(imports_of("ccollections\nOrderedDict.fromkeys\n.") ==
        NameSet{"collections.OrderedDict.fromkeys"});
  CHECK(is_weights_only_import("torch.FloatStorage"));
  CHECK_FALSE(is_weights_only_import("torch.FloatStorag"));
  CHECK_FALSE(is_weights_only_import(""));
  CHECK_FALSE(is_weights_only_import("torch.Size\ntorch.Tensor"));
}

TEST_CASE("data is skipped, and an import behind it is found") {
  const std::string large(100'000, '.');
  CHECK(imports_of("\x80\3" + ("B" + number(large.size(), 4)) + large + "0" + kSystem) ==
        NameSet{"posix.system"});
  CHECK(imports_of("\x80\5\x96" + number(large.size(), 8) + large + "0\x95" + number(30, 8) +
                   kSystem) == NameSet{"posix.system"});
  CHECK(imports_of("F1.5\n0I1\n0L1L\n0K\1"
                   "0M\1\0"
                   "0J\1\0\0\0"
                   "0G\0\0\0\0\0\0\0\0"
                   "0N0\x88"
                   "0\x89"
                   "0]0}0)0\x8f"
                   "0\x8a\1\1"
                   "0\x8b\1\0\0\0\1"
                   "0"s +
                   kSystem) == NameSet{"posix.system"});
}

TEST_CASE("what is no pickle is not called one") {
  for (const std::string& other :
       {""s, "\x06\0\0\0"s, "\xba\x16\x4f\x2f"s, "mmap lm http"s, "lmgg\0"s, "."s, "(."s, "0."s,
        "config\nfile\nof text\n"s, "graph\n"s, std::string(1000, '\0'), "I am text\n"s})
    CHECK(look(other).form == PickleForm::none);
}

TEST_CASE("a pickle that calls something before it breaks is a pickle") {
  const PickleFindings findings = look("cposix\nsystem\n(S'ls'\ntR\xff");
  CHECK(findings.form == PickleForm::opaque);
  CHECK(findings.imports == NameSet{"posix.system"});
  CHECK(findings.why == "it is no pickle from byte 24 on");
}

TEST_CASE("a call whose name ends with the file is made, so it is found") {
  const PickleFindings findings = look("(S'ls'\niposix\nsystem?");
  CHECK(findings.form == PickleForm::opaque);
  CHECK(findings.imports == NameSet{"posix.system"});
}

TEST_CASE("a number that only Python reads hides the rest of a pickle") {
  CHECK(look("Np+5\n0" + kSystem).form == PickleForm::opaque);
  CHECK(look("Np 5\n0" + kSystem).form == PickleForm::opaque);
  CHECK(look("Np99999999\n0" + kSystem).form == PickleForm::opaque);
}

TEST_CASE("an endless pickle ends at a bound") {
  for (const char opcode : {'N', '(', '}'}) {
    const ReadRange read = [&](Bytes, std::size_t size) { return std::string(size, opcode); };
    const PickleFindings findings = look_for_pickle({Bytes{1} << 40U, read}, PickleDepth::imports);
    CHECK(findings.form == PickleForm::opaque);
    CHECK(findings.why == "it is too large a pickle");
  }
  std::string many;
  for (int i = 0; i < 300; ++i) many += "cm\nname" + std::to_string(i) + "\n0";
  CHECK(look("N" + many + ".").form == PickleForm::opaque);
}

TEST_CASE("all pickles of PyTorch's older form are looked at, and no bytes of its tensors") {
  const std::string magic = "\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  const std::string head = magic + "\x80\2M\xe9\3." + "\x80\2}.";
  const std::string tensors = "\x80\2cposix\nsystem\n.";
  CHECK(imports_of(head + kTensor + "\x80\2]." + tensors).empty());
  CHECK(imports_of(head + kSystem + "\x80\2]." + tensors) == NameSet{"posix.system"});
  CHECK(imports_of(kTensor + "\x80\2" + kSystem) == NameSet{"posix.system"});
  CHECK(imports_of(kTensor + kSystem) == NameSet{"posix.system"});
}

TEST_CASE("the pickles of PyTorch's archive are found through its central directory") {
  const bool zip64 = GENERATE(true, false);
  CHECK(imports_of(zip_of({{"a/data.pkl", kTensor}, {"a/data/0", kSystem}}, zip64)).empty());
  CHECK(imports_of(zip_of({{"a/version", "3"}, {"a/DATA.PKL", kSystem}}, zip64)) ==
        NameSet{"posix.system"});
  CHECK(imports_of(zip_of({{"a/data.pkl", kTensor}, {"a/data.pkl", kSystem}}, zip64)) ==
        NameSet{"posix.system"});
  CHECK(look(zip_of({{"word/document.xml", kSystem}}, zip64)).form == PickleForm::none);

  const PickleFindings packed = look(zip_of({{"a/data.pkl", kTensor, 8}}, zip64));
  CHECK(packed.form == PickleForm::opaque);
  CHECK(packed.why == "a/data.pkl is compressed in its archive");
  CHECK(look("PK\3\4 cut off").form == PickleForm::opaque);
  CHECK(
      look_for_pickle(range_of(zip_of({{"a/data.pkl", kSystem}}, zip64)), PickleDepth::form).form ==
      PickleForm::pickle);
}

TEST_CASE("an index behind which there is a NUL is that of Python's C unpickler") {
  CHECK(imports_of("(lp0\0x\n0cbuiltins\nprint\n(S'ran'\ntR."s) == NameSet{"builtins.print"});
}

TEST_CASE("PyTorch's older form may write its first number in another way") {
  const std::string magic = "\x80\x02L119547037146038801333356L\n.";
  CHECK(imports_of(magic + "cos\nsystem\n(S'x'\ntR.") == NameSet{"os.system"});
}

TEST_CASE("what PyTorch allows before that number does not hide the pickle behind it") {
  const std::string import = "\x80\2ccollections\nOrderedDict\n";
  const std::string number = "\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  CHECK(imports_of(import + "0" + number + kSystem) == NameSet{"posix.system"});
  CHECK(imports_of(import + ")R0" + number + kSystem) == NameSet{"posix.system"});
  CHECK(imports_of(import + "0" + number + "N." + kTensor + kSystem) == NameSet{"posix.system"});

  // Data that is no pickle is none here either.
  CHECK(imports_of(kTensor + "\xff\xfe data").empty());
}

TEST_CASE("what is put into something that was imported makes a file a pickle") {
  const PickleFindings findings = look("csys\npath\nS'/x'\nacevil\ny\n\xff");
  CHECK(findings.form == PickleForm::opaque);
  CHECK(findings.imports == NameSet{"evil.y", "sys.path"});
}

TEST_CASE("a tar archive may be PyTorch's oldest form, and is not looked into") {
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  CHECK(look(tar).form == PickleForm::opaque);

  // The form of 1979 has no magic number, and its first name may be a pickle.
  std::string old(512, '\0');
  old.replace(0, 4, "\x80\x02}.");
  int sum = 8 * ' ';
  for (const char c : old) sum += static_cast<unsigned char>(c);
  std::string octal;
  for (int digit = 15; digit >= 0; digit -= 3) octal += static_cast<char>('0' + (sum >> digit & 7));
  old.replace(148, octal.size(), octal);
  CHECK(look(old).form == PickleForm::opaque);
}
