// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/export_image.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/oci_layout.h"

namespace model_prep {
namespace {

class ImageExport {
 public:
  ImageExport(Session& session, std::span<const ResolvedSnapshot> snapshots, BlobReader& reader)
      : session_(session),
        target_(*session.options.to),
        snapshots_(snapshots),
        reader_(reader),
        plan_(plan_image(snapshots, session.options.prefix)) {}

  Result<ExportReport> run() {
    for (const ResolvedSnapshot& snapshot : snapshots_)
      for (const RemoteFile& file : snapshot.files)
        if (is_whiteout(file.path.text()))
          return Error{ErrorKind::usage,
                       fmt::format("{} {}: in an image this name would hide another file",
                                   snapshot.spec.repo.text(), file.path.text()),
                       "leave it out with --exclude, or export to dir:FOLDER"};

    auto layout = OciLayout::open(target_.folder);
    if (!layout) return layout.error();
    if (Status fits = check_space(**layout); !fits) return fits.error();
    warn_of_large_layers();

    std::vector<OciLayer> layers;
    for (const ImageLayer& layer : plan_) {
      const auto blob = (*layout)->add(
          layer.size, [&](const ByteConsumer& consume) { return write_layer(layer, consume); });
      if (!blob) return blob.error();
      layers.push_back({*blob, "model-prep export: " + layer.title});
    }

    const auto image = write_image(**layout, layers);
    if (!image) return image.error();
    if (Status tagged = (*layout)->set_tag(target_.tag, *image); !tagged) return tagged.error();
    return report(*image, layers);
  }

 private:
  /// Layers that are there already need no space, but only their content tells which they are.
  Status check_space(const OciLayout& layout) const {
    Bytes needed = 0;
    for (const ImageLayer& layer : plan_)
      if (!layout.has_size(layer.size)) needed += layer.size;

    return check_export_space(target_.folder, needed);
  }

  void warn_of_large_layers() {
    for (const ImageLayer& layer : plan_)
      if (layer.size > kMaxCommonLayer)
        session_.log.warning(fmt::format("the layer of {} has {}: some registries take only {}",
                                         layer.title, format_bytes(layer.size),
                                         format_bytes(kMaxCommonLayer)));
  }

  Status write_layer(const ImageLayer& layer, const ByteConsumer& consume) {
    for (const ImageEntry& entry : layer.entries) {
      if (Status written = consume(tar_header(entry.tar)); !written) return written;
      if (entry.tar.kind != TarKind::file) continue;

      if (Status written = write_content(entry, consume); !written) return written;
      if (Status written = consume(zeros(tar_padding(entry.tar.size))); !written) return written;
    }
    return consume(zeros(kTarEnd));
  }

  Status write_content(const ImageEntry& entry, const ByteConsumer& consume) {
    if (const auto* blob = std::get_if<ImageBlob>(&entry.content))
      return reader_.read(*blob, consume);
    if (const auto* record = std::get_if<ImageRecord>(&entry.content))
      return consume(image_record(snapshots_, *record, reader_.known()));
    return consume(std::get<std::string>(entry.content));
  }

  static std::string zeros(Bytes count) {
    return std::string(static_cast<std::size_t>(count), '\0');
  }

  static Result<OciBlob> write_image(OciLayout& layout, std::span<const OciLayer> layers) {
    std::vector<OciBlob> manifests;
    for (const std::string_view architecture : kOciArchitectures) {
      const auto config = layout.add(oci_config(architecture, layers));
      if (!config) return config.error();
      const auto manifest = layout.add(oci_manifest(*config, layers));
      if (!manifest) return manifest.error();
      manifests.push_back(*manifest);
    }
    return layout.add(oci_image_index(manifests));
  }

  ExportReport report(const OciBlob& image, std::span<const OciLayer> layers) {
    ExportReport report{
        .to = target_.text(), .digest = oci_digest(image.digest), .layers = {}, .folders = {}};
    Bytes bytes = 0;
    for (const OciLayer& layer : layers) {
      report.layers.push_back(layer.blob);
      bytes += layer.blob.size;
    }
    session_.log.info(fmt::format("wrote {}: {}, {}, {}", report.to, report.digest,
                                  format_count(layers.size(), "layer"), format_bytes(bytes)));
    return report;
  }

  Session& session_;
  const ExportTarget& target_;
  const std::span<const ResolvedSnapshot> snapshots_;
  BlobReader& reader_;
  const std::vector<ImageLayer> plan_;
};

}  // namespace

Result<ExportReport> export_image(Session& session, std::span<const ResolvedSnapshot> snapshots,
                                  BlobReader& reader) {
  return ImageExport(session, snapshots, reader).run();
}

}  // namespace model_prep
